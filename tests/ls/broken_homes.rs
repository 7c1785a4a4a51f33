//! The listing of a home that is missing or damaged: no home, a broken or locked
//! database, broken rollouts, files that move meanwhile.
//!
//! Root has all permissions, so tests of permissions run as the user nobody if the tests are root.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};

use crate::world::fake::end;
use crate::world::rollouts::{
    DAY, database, file_name, id, ids, ids_of_files, message, meta, open_to_all, put, refused, row, set_mode,
    with_rollouts,
};
use crate::world::*;

const EVERYTHING: [&str; 4] = ["codex-agent-ls", "--json", "--archived", "--subagents"];

/// The listing must be every session that has a file, with this many lines on standard error.
fn assert_complete(world: &World, ran: &Ran, lines: usize) {
    ran.succeeds();
    assert_eq!(ids(&ran.out), ids_of_files(&world.codex_home()), "{}", ran.err);
    assert!(ids(&ran.out).len() > 2);
    assert_eq!(ran.err.lines().count(), lines, "{}", ran.err);
}

#[test]
fn without_a_home_the_listing_is_empty_with_a_warning() {
    let world = World::new();
    for (words, out, code) in [
        (&["codex-agent-ls"][..], "", 0),
        (&["codex-agent-ls", "--json"], "", 0),
        (&["codex-agent-ls", "--count"], "0\n", 0),
        (&["codex-agent-ls", "--no-files"], "", 0),
        (&["codex-agent-ls", "--no-database"], "", 0),
        (&["codex-agent-find", "word"], "", 1),
    ] {
        let ran = world.run(words);
        ran.exits(code).prints(out);
        assert_eq!(ran.err.lines().count(), 1, "{words:?} {}", ran.err);
        ran.reports("home/.codex").reports("CODEX_HOME");
    }
    assert!(!world.codex_home().exists(), "nothing may be made there");
}

#[test]
fn a_missing_home_that_was_named_is_an_error() {
    let mut world = World::new();
    world.write("a-file", "");
    for place in ["nowhere", "a-file"] {
        let ran = world.run(&["codex-agent-ls", "--codex-home", place]);
        ran.exits(2).prints("");
        ran.reports(place);
    }
    world.set("CODEX_HOME", "/nowhere/at/all");
    for tool in ["codex-agent-ls", "codex-agent-find"] {
        let ran = world.run(&[tool, "@@"][..if tool.ends_with("ls") { 1 } else { 2 }]);
        ran.exits(2).prints("");
        ran.reports("/nowhere/at/all").reports("CODEX_HOME");
    }
}

#[test]
fn an_empty_home_has_an_empty_listing() {
    let world = World::new();
    fs::create_dir(world.codex_home()).unwrap();
    assert_eq!(world.ok(&["codex-agent-ls", "--archived", "--subagents"]), "");
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "0\n");
    let ran = world.run(&["codex-agent-ls", "--no-files"]);
    ran.exits(2).reports("database");
    assert_eq!(world.snapshot(), Vec::<String>::new());
}

#[test]
fn a_locked_database_is_waited_for_and_then_ignored() {
    // The one lock keeps readers out of a database with a WAL, the other out of one without.
    for sql in
        ["PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;", "PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE;"]
    {
        let world = World::with_home("0.169.0");
        let holder = Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
        holder.execute_batch(sql).unwrap();
        let begun = Instant::now();
        let ran = world.run(&EVERYTHING);
        assert_complete(&world, &ran, 1);
        ran.reports("locked").reports("state_5.sqlite");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let ran = world.run(&["codex-agent-ls", "--no-files"]);
        ran.exits(2).reports("locked");
        // Held until here.
        holder.execute_batch("ROLLBACK").unwrap();
    }
}

#[test]
fn a_broken_database_prints_one_warning_and_hides_no_session() {
    type Break = fn(&Path);
    let cases: [(&str, Break); 8] = [
        ("cut to nothing", |path| truncate(path, |_| 0)),
        ("cut in its header", |path| truncate(path, |_| 57)),
        ("cut after one page", |path| truncate(path, |_| 4096)),
        ("cut in the middle", |path| truncate(path, |length| length / 2)),
        ("without its last byte", |path| truncate(path, |length| length - 1)),
        ("not a database", |path| fs::write(path, "this is no database. ".repeat(1000)).unwrap()),
        ("a folder", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("without the table", |path| {
            Connection::open(path).unwrap().execute_batch("ALTER TABLE threads RENAME TO strings").unwrap();
        }),
    ];
    for (what, break_it) in cases {
        let world = World::with_home("0.137.0");
        // Left behind by Codex; a database that is broken later has none of its own.
        for name in ["state_5.sqlite-wal", "state_5.sqlite-shm"] {
            fs::remove_file(world.codex_home().join(name)).unwrap();
        }
        break_it(&world.codex_home().join("state_5.sqlite"));
        let ran = world.run(&EVERYTHING);
        assert_complete(&world, &ran, 1);
        ran.case(what).reports("state_5.sqlite");
        let alone = world.run(&["codex-agent-ls", "--no-files"]);
        alone.case(what).exits(2).prints("");
        alone.case(what).reports("state_5.sqlite").reports("--no-files");
        let check = world.run(&["codex-agent-ls", "--check", "--json"]);
        check.case((&what, &check)).exits(1);
        check.case(what).shows("unreadable_database");
    }
}

fn truncate(path: &Path, length: fn(u64) -> u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length(file.metadata().unwrap().len())).unwrap();
}

#[test]
fn a_damaged_page_prints_one_warning_and_hides_no_session() {
    let world = World::with_home("0.137.0");
    let path = world.codex_home().join("state_5.sqlite");
    let whole = fs::read(&path).unwrap();
    let mut troubled = 0;
    for page in 1..whole.len() / 4096 {
        for fill in [0, 0xff] {
            let mut damaged = whole.clone();
            damaged[page * 4096..(page + 1) * 4096].fill(fill);
            fs::write(&path, damaged).unwrap();
            let ran = world.run(&EVERYTHING);
            assert_complete(&world, &ran, usize::from(!ran.err.is_empty()));
            troubled += usize::from(ran.err.contains("state_5.sqlite"));
            let five = world.run(&[
                "codex-agent-ls",
                "--json",
                "--archived",
                "--subagents",
                "--offset",
                "2",
                "--limit",
                "5",
            ]);
            five.case(page).succeeds();
            assert_eq!(json(&five.out).len(), 5, "page {page}: {}", five.err);
            let add = world.run(&["codex-agent-group", "add", "g", &ids(&ran.out)[0]]);
            add.case(page).succeeds();
            let check = world.run(&["codex-agent-ls", "--check"]);
            let sees = if ran.err.contains("state_5.sqlite") { 1..2 } else { 0..2 };
            assert!(sees.contains(&check.code), "page {page}: {check:?}");
        }
    }
    assert!(troubled > 0, "no page that was damaged was read");
}

#[test]
fn an_unreadable_database_hides_no_session() {
    let world = World::with_home("0.137.0");
    open_to_all(&world);
    set_mode(&world.codex_home().join("state_5.sqlite"), 0);
    let Some(ran) = refused(&world, &EVERYTHING) else { return };
    assert_complete(&world, &ran, 1);
    ran.reports("state_5.sqlite");
    let ran = refused(&world, &["codex-agent-ls", "--no-files"]).unwrap();
    ran.exits(2).prints("");
}

#[test]
fn a_read_only_directory_hides_no_row() {
    let mut world = World::with_home("0.169.0");
    let home = world.codex_home();
    let path = home.join("state_5.sqlite");
    let count = |uri: String| -> u32 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags).unwrap();
        connection.query_row("SELECT count(*) FROM threads", [], |row| row.get(0)).unwrap()
    };
    // The rows of the database alone, and those that the WAL adds.
    let without_wal = count(format!("file:{}?immutable=1", path.display()));
    let all = count(format!("file:{}?mode=ro", path.display()));
    assert!(all > without_wal && without_wal > 0, "{all} {without_wal}");
    let scratch = world.path("scratch");
    fs::create_dir(&scratch).unwrap();
    world.set("TMPDIR", scratch.to_str().unwrap());
    open_to_all(&world);
    set_mode(&scratch, 0o777);
    // Files that may not be written either, as on a mounted backup.
    world.sh("chmod a-w home/.codex/state_5.sqlite*");
    set_mode(&home, 0o555);
    let rows = ["codex-agent-ls", "--json", "--archived", "--subagents", "--no-files"];
    for (gone, want) in
        [(None, all), (Some("state_5.sqlite-shm"), all), (Some("state_5.sqlite-wal"), without_wal)]
    {
        if let Some(gone) = gone {
            set_mode(&home, 0o755);
            fs::remove_file(home.join(gone)).unwrap();
            set_mode(&home, 0o555);
        }
        let before = world.snapshot();
        let Some(ran) = refused(&world, &rows) else { return set_mode(&home, 0o755) };
        ran.case(gone).succeeds().reports_exactly("");
        assert_eq!(ids(&ran.out).len() as u32, want, "without {gone:?}");
        assert_eq!(world.snapshot(), before);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "a copy was left behind, without {gone:?}");
    }
    set_mode(&home, 0o755);
}

#[test]
fn the_database_of_the_highest_number_is_read() {
    let world = World::new();
    for (number, name) in
        ["state.sqlite", "state_4.sqlite", "state_5.sqlite", "state_10.sqlite"].iter().enumerate()
    {
        row(&database(&world, name), number, name);
        let out = world.ok(&["codex-agent-ls", "--no-files", "--json"]);
        assert_eq!(ids(&out), [id(number)], "{name}");
    }
    // The older one is used again, by an older Codex, and is still not the one.
    row(&Connection::open(world.codex_home().join("state_4.sqlite")).unwrap(), 7, "later");
    fs::write(world.codex_home().join("state_99.sqlite.bak"), "").unwrap();
    fs::write(world.codex_home().join("state_x.sqlite"), "").unwrap();
    assert_eq!(ids(&world.ok(&["codex-agent-ls", "--no-files", "--json"])), [id(3)]);
}

#[test]
fn a_broken_rollout_prints_one_warning_and_hides_no_other_session() {
    let good = |number| meta(number, "") + &message(&format!("message {number}"));
    // The text, and whether it is still a session that can be listed, and under which title.
    let cases: [(&str, Vec<u8>, Option<&str>); 9] = [
        ("empty", Vec::new(), None),
        ("one newline", b"\n".to_vec(), None),
        ("no JSON at all", b"hello\nworld\n".repeat(40), None),
        ("another kind of JSON", b"{\"a\":1}\n[2]\n".repeat(20), None),
        ("cut in its first line", good(9).into_bytes()[..120].to_vec(), None),
        ("cut in its last line", (good(9) + &message("more")[..60]).into_bytes(), Some("message 9")),
        (
            "invalid JSON in the middle",
            (meta(9, "") + "{\"user_message\" oops}\n\u{0}\n\n" + &message("after")).into_bytes(),
            Some("after"),
        ),
        (
            "invalid UTF-8 in the middle",
            [meta(9, "").as_bytes(), b"{\"user_message\":\"\xff\xfe\"}\n", message("after").as_bytes()]
                .concat(),
            Some("after"),
        ),
        (
            "a first line of 50 MB",
            (meta(9, &"word ".repeat(10_000_000)) + &message("after")).into_bytes(),
            Some("after"),
        ),
    ];
    for (what, text, title) in cases {
        let world = World::new();
        (1..4).for_each(|number| drop(put(&world, number, good(number))));
        let path = put(&world, 9, text);
        if ["empty", "cut in its first line"].contains(&what) {
            // For a moment after it is made, every rollout is like this, and nothing is wrong with it.
            assert_eq!(ids(&world.ok(&["codex-agent-ls", "--json"])), [id(1), id(2), id(3)], "{what}");
        }
        let old = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        let ran = world.run(&["codex-agent-ls", "--json"]);
        ran.case(what).succeeds();
        let mut want = vec![id(1), id(2), id(3)];
        want.extend(title.map(|_| id(9)));
        assert_eq!(ids(&ran.out), want, "{what}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), usize::from(title.is_none()), "{what}: {}", ran.err);
        assert!(title.is_some() || ran.err.contains(&file_name(9)), "{what}: {}", ran.err);
        let records = json(&ran.out);
        let found = records.iter().find(|record| record["id"] == id(9).as_str());
        assert_eq!(found.map(|record| record["title"].as_str().unwrap_or("")), title, "{what}");
        if let Some(found) = found {
            // The time of the last line that is whole.
            assert_eq!(found["updated_at"], "2026-11-22T10:00:01.000Z", "{what}");
        }
        let full = world.run(&["codex-agent-ls", "--json", "--full"]);
        full.case(what).succeeds();
        assert_eq!(ids(&full.out), want, "{what}: {}", full.err);
    }
}

#[test]
fn an_unreadable_rollout_prints_one_warning() {
    let world = World::new();
    (1..4).for_each(|number| drop(put(&world, number, meta(number, "") + &message("x"))));
    open_to_all(&world);
    let path = put(&world, 9, meta(9, ""));
    set_mode(&path, 0);
    let Some(ran) = refused(&world, &["codex-agent-ls", "--json"]) else { return };
    ran.succeeds();
    assert_eq!(ids(&ran.out), vec![id(1), id(2), id(3)], "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    ran.reports(file_name(9)).reports("permission denied");
    // A whole day that is closed costs one as well.
    let day = world.path("home/.codex/sessions/2026/11/23");
    fs::create_dir(&day).unwrap();
    set_mode(&day, 0);
    fs::remove_file(path).unwrap();
    let ran = refused(&world, &["codex-agent-ls", "--json"]).unwrap();
    set_mode(&day, 0o755);
    ran.succeeds();
    assert_eq!(ids(&ran.out), vec![id(1), id(2), id(3)], "{}", ran.err);
    ran.reports("2026/11/23");
    assert!(ran.err.lines().count() == 1, "{}", ran.err);
}

#[test]
fn a_file_with_only_the_name_of_a_rollout_is_no_session() {
    let world = World::new();
    put(&world, 1, meta(1, "") + &message("x"));
    let day = world.path(DAY);
    fs::create_dir(day.join(file_name(2))).unwrap();
    symlink("nowhere", day.join(file_name(3))).unwrap();
    symlink("/dev/zero", day.join(file_name(4))).unwrap();
    // Opening a pipe without a writer would block for ever.
    world.sh(&format!("mkfifo {DAY}/{}", file_name(5))).succeeds();
    world.write(&format!("{DAY}/rollout-yesterday.jsonl"), meta(6, ""));
    world.write(&format!("{DAY}/{}.tmp", file_name(7)), meta(7, ""));
    for words in [&["--json"][..], &["--json", "--full", "--no-database"]] {
        let out = world.path("out");
        let mut command = world.command("codex-agent-ls");
        let mut child = command.args(words).stdout(File::create(&out).unwrap()).spawn().unwrap();
        assert_eq!(end(&mut child), 0);
        assert_eq!(ids(&fs::read_to_string(&out).unwrap()), [id(1)]);
    }
}

#[test]
fn a_circular_link_prints_a_warning_and_is_not_followed() {
    for link in ["2026/11/22/again", "2026/again", "again"] {
        let world = World::new();
        put(&world, 1, meta(1, "") + &message("x"));
        symlink(world.path("home/.codex/sessions"), world.path("home/.codex/sessions").join(link)).unwrap();
        let ran = world.run(&["codex-agent-ls", "--json"]);
        ran.case(link).succeeds();
        assert_eq!(ids(&ran.out), vec![id(1)], "{link}: {}", ran.err);
        assert!(ran.err.lines().count() <= 1, "{link}: {}", ran.err);
    }
    let world = World::new();
    put(&world, 1, meta(1, "") + &message("x"));
    let path = world.path(DAY).join(file_name(2));
    symlink(&path, &path).unwrap();
    let ran = world.run(&["codex-agent-ls", "--json"]);
    ran.succeeds();
    assert_eq!(ids(&ran.out), vec![id(1)], "{}", ran.err);
}

#[test]
fn linked_rollouts_and_linked_years_are_listed_once() {
    let world = World::new();
    put(&world, 1, meta(1, "") + &message("x"));
    let elsewhere = world.write("elsewhere/a-rollout", meta(2, "") + &message("x"));
    symlink(elsewhere, world.path(DAY).join(file_name(2))).unwrap();
    world.write(&format!("old/01/31/{}", file_name(3)), meta(3, "") + &message("x"));
    symlink(world.path("old"), world.path("home/.codex/sessions/2025")).unwrap();
    // The same year under a second name shows nothing twice.
    symlink("2026", world.path("home/.codex/sessions/2027")).unwrap();
    assert_eq!(ids(&world.ok(&["codex-agent-ls", "--json"])), [id(1), id(2), id(3)]);
    let out = world.ok(&["codex-agent-ls", "--json", "--sort", "created", "--limit", "9"]);
    assert_eq!(ids(&out), [id(1), id(2), id(3)]);
}

#[test]
fn a_session_that_is_archived_during_the_listing_is_listed_once() {
    let world = with_rollouts(400);
    let archive = world.codex_home().join("archived_sessions");
    fs::create_dir(&archive).unwrap();
    // One session is in the directory that is read first, one in the last, so that each walk has both before it
    // and behind it when they move.
    let entries = |directory: &Path| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (mut first, mut last) = (world.codex_home().join("sessions"), world.codex_home().join("sessions"));
    for _ in 0..4 {
        first = entries(&first).next().unwrap();
        last = entries(&last).last().unwrap();
    }
    let places = [first, last].map(|live| (archive.join(live.file_name().unwrap()), live));
    let movers = [&places[0], &places[1]]
        .map(|(_, live)| live.to_string_lossy()[live.as_os_str().len() - 42..][..36].to_owned());
    let want: Vec<String> = (0..400).map(id).collect();
    // The counter before and after: an odd number is an unfinished move.
    let (moves, stop) = ([AtomicUsize::new(0), AtomicUsize::new(0)], AtomicBool::new(false));
    let counts = || [0, 1].map(|which: usize| moves[which].load(Ordering::SeqCst));
    let (mut judged, took) = ([0, 0], AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0_usize.. {
                let (archived, live) = &places[turn % 2];
                let (from, to) = if turn % 4 < 2 { (live, archived) } else { (archived, live) };
                moves[turn % 2].fetch_add(1, Ordering::SeqCst);
                fs::rename(from, to).unwrap();
                moves[turn % 2].fetch_add(1, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // Longer than the grain of the clock in file times and than a listing, and never in step with them.
                let least = 11_000 + turn as u64 * 7_919 % 9_000;
                std::thread::sleep(Duration::from_micros(least.max(took.load(Ordering::SeqCst))));
            }
        });
        let judge = || {
            for _ in 0..if is_long() { 200 } else { 80 } {
                let (before, begun) = (counts(), Instant::now());
                let ran = world.run(&["codex-agent-ls", "--no-database", "--archived", "--json"]);
                let after = counts();
                took.store(begun.elapsed().as_micros() as u64, Ordering::SeqCst);
                ran.succeeds().reports_exactly("");
                let mut got = ids(&ran.out);
                assert!(got.windows(2).all(|two| two[0] < two[1]), "one is listed twice");
                for which in [0, 1] {
                    // A session that moved twice while it was looked for can be missed by anybody.
                    match after[which].div_ceil(2) - before[which] / 2 {
                        during @ (0 | 1) => judged[which] += during,
                        _ => got.push(movers[which].clone()),
                    }
                }
                got.sort();
                got.dedup();
                let missed: Vec<_> = want.iter().filter(|id| !got.contains(id)).collect();
                assert!(missed.is_empty() && got.len() == want.len(), "{missed:?} missed; {movers:?} moved");
            }
        };
        // The mover must end before a failure may.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge));
        stop.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(judged[0] > 0 && judged[1] > 0, "nothing moved while a listing ran");
}

#[test]
fn twenty_thousand_sessions_need_few_descriptors_and_may_lose_their_reader() {
    let world = with_rollouts(20_000);
    let count = world.sh("ulimit -n 1024; ulimit -Hn 1024; exec codex-agent-ls --json --full");
    count.succeeds().reports_exactly("");
    assert_eq!(count.out.lines().count(), 20_000);
    let few = world.sh("ulimit -n 40; ulimit -Hn 40; exec codex-agent-ls");
    few.succeeds().reports_exactly("");
    assert_eq!(few.out.lines().count(), 20_000);
    let piped = world.sh("{ codex-agent-ls; echo $? >code; } | head -1");
    piped.reports_exactly("");
    assert_eq!(piped.out.lines().count(), 1);
    let code = fs::read_to_string(world.path("code")).unwrap();
    assert!(["0", "141"].contains(&code.trim()), "{code}");
}
