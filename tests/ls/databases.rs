//! Databases of every state that people have: in either journal mode, in directories that may not be
//! written, damaged, rebuilt, held by another process, elsewhere. Sessions are listed in each of them,
//! and nothing is created where nothing may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::ls::foreign_rows::homes;
use crate::ls::foreign_rows::{database, listed, problems};
use crate::world::rollouts::{ids, ids_of_files, open_to_all, refused, set_mode};
use crate::world::{World, json};

const ROWS: [&str; 5] = ["codex-agent-ls", "--json", "--archived", "--subagents", "--no-files"];

const UNION: [&str; 4] = ["codex-agent-ls", "--json", "--archived", "--subagents"];

/// The names in a directory.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Puts the database into a state by what is done to it, and gives the ids and messages that it must have.
fn prepare(world: &World, state: &str) -> BTreeSet<String> {
    let path = world.codex_home().join("state_5.sqlite");
    let connection = Connection::open(&path).unwrap();
    let content = |connection: &Connection| -> BTreeSet<String> {
        let mut statement = connection.prepare("SELECT id || first_user_message FROM threads").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let set = |sql: &str| connection.execute_batch(sql).unwrap();
    // Copies of what a killed Codex leaves, since SQLite clears up when a connection is closed.
    let leave = |ends: &[&str]| {
        for end in ends {
            fs::copy(format!("{}{end}", path.display()), world.path(&format!("left{end}"))).unwrap();
        }
    };
    let restore = |ends: &[&str]| {
        for end in ["-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(format!("{}{end}", path.display()));
        }
        for end in ends {
            fs::rename(world.path(&format!("left{end}")), format!("{}{end}", path.display())).unwrap();
        }
    };
    match state {
        "wal, alone" => {
            set("PRAGMA wal_checkpoint(TRUNCATE);");
            let want = content(&connection);
            drop(connection);
            restore(&[]);
            want
        }
        "wal, with a log" => {
            set(
                "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0; UPDATE threads SET first_user_message = 'of the log' WHERE rowid % 2;",
            );
            let want = content(&connection);
            leave(&["", "-wal"]);
            drop(connection);
            restore(&["", "-wal"]);
            want
        }
        "delete" => {
            set("PRAGMA journal_mode = DELETE;");
            content(&connection)
        }
        "delete, with a journal" => {
            set("PRAGMA journal_mode = DELETE;");
            let want = content(&connection);
            // A cache this small is written out before the transaction ends, which a kill then cuts.
            set(
                "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE threads SET first_user_message = 'of a write that was killed ' || hex(randomblob(2000));",
            );
            leave(&["", "-journal"]);
            set("ROLLBACK;");
            drop(connection);
            restore(&["", "-journal"]);
            let half = Connection::open_with_flags(
                format!("file:{}?immutable=1", path.display()),
                rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
            );
            let is_cut = half.and_then(|half| {
                half.query_row(
                    "SELECT count(*) FROM threads WHERE first_user_message LIKE 'of a write%'",
                    [],
                    |row| row.get::<_, u32>(0),
                )
            });
            assert!(is_cut.is_err() || is_cut.unwrap() > 0, "nothing was written before the kill");
            want
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn rows_are_read_in_every_journal_mode_and_directory() {
    for version in ["0.106.0", "0.137.0", "0.169.0", "0.171.0"] {
        for state in ["wal, alone", "wal, with a log", "delete", "delete, with a journal"] {
            for elsewhere in [false, true] {
                for writable in [true, false] {
                    let what = format!("{version}: {state}, elsewhere {elsewhere}, writable {writable}");
                    let mut world = World::with_home(version);
                    let want = prepare(&world, state);
                    let mut directory = world.codex_home();
                    if elsewhere {
                        directory = world.path("databases");
                        fs::create_dir(&directory).unwrap();
                        for name in names(&world.codex_home()).iter().filter(|name| name.starts_with("state"))
                        {
                            fs::rename(world.codex_home().join(name), directory.join(name)).unwrap();
                        }
                        world.set("CODEX_SQLITE_HOME", directory.to_str().unwrap());
                    }
                    let scratch = world.path("scratch");
                    fs::create_dir(&scratch).unwrap();
                    world.set("TMPDIR", scratch.to_str().unwrap());
                    open_to_all(&world);
                    set_mode(&scratch, 0o777);
                    set_mode(&directory, if writable { 0o777 } else { 0o555 });
                    let before = names(&directory);
                    let Some(rows) = refused(&world, &ROWS) else { return };
                    rows.case(&what).succeeds().reports_exactly("");
                    let read: BTreeSet<String> = json(&rows.out)
                        .iter()
                        .map(|record| {
                            let said = record["first_user_message"].as_str().unwrap_or_default();
                            format!("{}{said}", record["id"].as_str().unwrap())
                        })
                        .collect();
                    assert_eq!(read, want, "{what}");
                    let union = refused(&world, &UNION).unwrap();
                    union.case(&what).succeeds().reports_exactly("");
                    assert_eq!(ids(&union.out), ids_of_files(&world.codex_home()), "{what}");
                    if !writable || state.starts_with("delete") {
                        assert_eq!(names(&directory), before, "{what}: something was created");
                    }
                    assert_eq!(names(&scratch), BTreeSet::new(), "{what}: a copy was left");
                    set_mode(&directory, 0o755);
                }
            }
        }
    }
}

#[test]
fn a_database_with_an_overwritten_header_prints_one_warning() {
    for version in homes() {
        let world = World::with_home(version);
        drop(prepare(&world, "wal, alone"));
        let path = world.codex_home().join("state_5.sqlite");
        let mut bytes = fs::read(&path).unwrap();
        bytes[..512].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let before = fs::read(&path).unwrap();
        let ran = world.run(&UNION);
        ran.case(version).succeeds();
        assert_eq!(ran.err.lines().count(), 1, "{version}: {}", ran.err);
        ran.reports("state_5.sqlite").reports("only the rollout files");
        assert_eq!(ids(&ran.out), ids_of_files(&world.codex_home()), "{version}");
        assert_eq!(problems(&world, "unreadable_database").0, 1, "{version}");
        assert_eq!(fs::read(&path).unwrap(), before, "{version}");
    }
}

#[test]
fn a_rebuilt_database_with_few_rows_hides_no_session() {
    for version in homes() {
        let clean = World::with_home(version);
        let (rows, files) = (listed(&clean, &[]), listed(&clean, &["--no-database"]));
        for kept in [0, 1, 3] {
            let world = World::with_home(version);
            database(&world)
                .execute(
                    "DELETE FROM threads WHERE rowid NOT IN (SELECT rowid FROM threads ORDER BY id LIMIT ?1)",
                    [kept],
                )
                .unwrap();
            let now = listed(&world, &[]);
            assert_eq!(now.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "{version} {kept}");
            let both = now.values().filter(|record| record["found_in"] == "both").count();
            assert_eq!(both as u32, kept, "{version}");
            for (id, record) in &now {
                let of = if record["found_in"] == "both" { &rows[id] } else { &files[id] };
                for field in ["title", "cwd", "name", "updated_at", "source", "git"] {
                    assert_eq!(record[field], of[field], "{version} {kept} {id} {field}");
                }
            }
            let counted = world.ok(&["codex-agent-ls", "--count", "--archived", "--subagents"]);
            assert_eq!(counted.trim(), rows.len().to_string(), "{version} {kept}");
            let lost = rows.len() - kept as usize;
            assert_eq!(problems(&world, "file_without_row").0, lost, "{version} {kept}");
        }
    }
}

#[test]
fn a_broken_database_of_a_higher_number_hides_no_valid_one() {
    type Make = fn(&Path);
    let bad: [(&str, Make); 8] = [
        ("empty", |path| fs::write(path, "").unwrap()),
        ("no database", |path| fs::write(path, "this is no database. ".repeat(999)).unwrap()),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("without a table", |path| {
            Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
        }),
        ("of another program", |path| {
            Connection::open(path)
                .unwrap()
                .execute_batch("CREATE TABLE notes (id TEXT); INSERT INTO notes VALUES ('a')")
                .unwrap();
        }),
        ("with another table of the name", |path| {
            Connection::open(path)
                .unwrap()
                .execute_batch("CREATE TABLE threads (id TEXT, created_at INTEGER)")
                .unwrap();
        }),
        ("cut", |path| {
            fs::copy(path.with_file_name("state_5.sqlite"), path).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_len(700).unwrap();
        }),
        ("with another head", |path| {
            let mut bytes = fs::read(path.with_file_name("state_5.sqlite")).unwrap();
            bytes[..512].fill(0);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for version in ["0.106.0", "0.169.0", "0.171.0"] {
        let clean = World::with_home(version);
        let titles = |world: &World, words: &[&str]| {
            let ran = world.run(words);
            let lines: Vec<String> = ran.err.lines().map(str::to_owned).collect();
            let fields = json(&ran.out);
            let mut fields: Vec<String> = fields
                .iter()
                .map(|r| format!("{} {} {} {}", r["id"], r["title"], r["name"], r["tokens_used"]))
                .collect();
            fields.sort();
            (fields, lines)
        };
        for (what, make) in bad {
            let world = World::with_home(version);
            make(&world.codex_home().join("state_6.sqlite"));
            for words in [&UNION[..], &ROWS] {
                let (now, lines) = titles(&world, words);
                assert_eq!(now, titles(&clean, words).0, "{version} {what}");
                assert_eq!(lines.len(), 1, "{version} {what}: {lines:?}");
                assert!(
                    lines[0].contains("state_6.sqlite") && lines[0].contains("state_5.sqlite"),
                    "{lines:?}"
                );
            }
            let (count, found) = problems(&world, "unreadable_database");
            assert_eq!((count, found.len()), (1, 1), "{version} {what}: {found:?}");
            assert!(found[0]["path"].as_str().unwrap().ends_with("state_6.sqlite"), "{found:?}");
            // Two bad ones above it, then two lines, and one below it, which is not looked at.
            make(&world.codex_home().join("state_17.sqlite"));
            fs::write(world.codex_home().join("state_4.sqlite"), "older").unwrap();
            let (now, lines) = titles(&world, &UNION);
            assert_eq!((now, lines.len()), (titles(&clean, &UNION).0, 2), "{version} {what}");
            assert_eq!(problems(&world, "unreadable_database").0, 2, "{version} {what}");
        }
    }
}

#[test]
fn a_database_without_a_row_hides_no_filled_one_and_is_read_where_it_is_alone() {
    for version in ["0.106.0", "0.169.0", "0.171.0"] {
        let world = World::with_home(version);
        let good = world.codex_home().join("state_5.sqlite");
        let want = world.ok(&ROWS);
        for number in [6, 7] {
            let empty = good.with_file_name(format!("state_{number}.sqlite"));
            fs::copy(&good, &empty).unwrap();
            Connection::open(&empty).unwrap().execute("DELETE FROM threads", []).unwrap();
            let ran = world.run(&ROWS);
            ran.case((&version, &number)).succeeds().prints(want.as_str());
            ran.reports("has no session; ");
            assert!(ran.err.lines().count() == 1, "{}", ran.err);
        }
        fs::remove_file(&good).unwrap();
        let ran = world.run(&ROWS);
        ran.case(version).succeeds().prints("").reports_exactly("");
        let all = world.ok(&["codex-agent-ls", "--archived", "--subagents", "--count"]);
        assert_eq!(all.trim(), want.lines().count().to_string(), "{version}");
    }
}

#[test]
fn a_damaged_page_in_the_middle_hides_no_valid_database() {
    let world = World::with_home("0.171.0");
    drop(prepare(&world, "wal, alone"));
    let good = world.codex_home().join("state_5.sqlite");
    let queries: [&[&str]; 4] = [
        &UNION,
        &ROWS,
        &["codex-agent-ls", "--json", "-n", "3", "--offset", "2"],
        &["codex-agent-find", "--json", "@@"],
    ];
    let want = queries.map(|query| world.ok(query));
    let whole = fs::read(&good).unwrap();
    let bad = good.with_file_name("state_6.sqlite");
    let mut replaced = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xff);
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", bad.display()));
        }
        fs::write(&bad, damaged).unwrap();
        let mut is_damaged = false;
        for (query, want) in queries.iter().zip(&want) {
            let ran = world.run(query);
            ran.case(page).succeeds();
            assert_eq!(ran.err.lines().count(), usize::from(!ran.err.is_empty()), "{page}");
            if ran.err.contains("state_5.sqlite' instead") {
                ran.case(page).reports("state_6.sqlite': ");
                ran.case((&page, &query)).prints(want);
                is_damaged = true;
            }
        }
        replaced += usize::from(is_damaged);
        let check = world.run(&["codex-agent-ls", "--check", "--json"]);
        // A check sees no less than a listing.
        assert!(!is_damaged || check.out.contains("unreadable_database"), "{page}: {check:?}");
    }
    assert!(replaced > 5, "{replaced}");
}

#[test]
fn a_locked_database_is_replaced_by_the_files_and_not_by_an_older_one() {
    let world = World::with_home("0.169.0");
    let home = world.codex_home();
    fs::copy(crate::world::data("homes/0.106.0/state_5.sqlite"), home.join("state_4.sqlite")).unwrap();
    let want = ids_of_files(&home);
    let holder = Connection::open(home.join("state_5.sqlite")).unwrap();
    holder.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;").unwrap();
    let some = want[0].as_str();
    for (words, code) in [
        (&UNION[..], 0),
        (&["codex-agent-ls", "--count"], 0),
        (&["codex-agent-find", "login", "--json"], 0),
        (&["codex-agent-find", some, "--json"], 0),
        (&["codex-agent-find", &some[24..], "login work", "--json"], 0),
        (&["codex-agent-group", "add", "g", some, "@@", "login work"], 0),
        (&["codex-agent-ls", "--group", "g", "--full"], 0),
    ] {
        let begun = Instant::now();
        let ran = world.run(words);
        ran.exits(code);
        // The machine may be slow; the lock is waited for two seconds.
        assert!(begun.elapsed() < Duration::from_secs(6), "{words:?} took {:?}", begun.elapsed());
        let locked = ran.err.lines().filter(|line| line.contains("locked")).count();
        assert_eq!(locked, 1, "{words:?}: {}", ran.err);
        if words == UNION {
            assert_eq!(ids(&ran.out), want);
        }
    }
    holder.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_file_system_that_does_not_answer_is_given_up() {
    let world = World::with_home("0.169.0");
    // To open a pipe without a writer takes as long as a mount whose server is gone.
    world.sh("mkfifo home/.codex/state_9.sqlite").succeeds();
    let begun = Instant::now();
    let ran = world.run(&UNION);
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    ran.succeeds();
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    ran.reports("state_9.sqlite").reports("does not answer");
    assert_eq!(ids(&ran.out), ids_of_files(&world.codex_home()));
}
