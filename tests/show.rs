//! `codex-agent-show`: the transcripts of recorded homes in every form, and what it does with bad ones.

mod agrees;
mod great;
mod reading;
mod script;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::world::fake::Fake;
use crate::world::json as records;
use crate::world::real::Real;
use crate::world::schemas::{As, find_mismatch};
use crate::world::terminal::{Terminal, columns_of, on_terminal, without_escapes};
use crate::world::{World, copy, data};

const VERSIONS: [&str; 4] = ["0.106.0", "0.137.0", "0.169.0", "0.171.0"];

/// A world with the home of the transcripts of a version, and the ids of its sessions by their labels.
fn world(version: &str) -> (World, BTreeMap<String, String>) {
    let world = World::new();
    copy(&data(&format!("transcripts/{version}")), &world.codex_home());
    let manifest = fs::read_to_string(world.codex_home().join("manifest.tsv")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap())
    };
    (world, manifest.lines().map(row).collect())
}

fn shown(world: &World, words: &[&str]) -> String {
    let ran = world.run(&[&["codex-agent-show"], words].concat());
    ran.succeeds().reports_exactly("");
    ran.out
}

/// The text of each user and assistant message that a recording expects is in the records of the session, once, in its
/// turn; and every record fits its schema.
#[test]
fn the_records_are_those_of_the_recordings() {
    let mut compared = 0;
    for version in VERSIONS {
        let (world, sessions) = world(version);
        let expected = records(&fs::read_to_string(world.codex_home().join("expect.ndjson")).unwrap());
        for id in sessions.values() {
            let found = records(&shown(&world, &[id, "--json", "--undone", "--inherited"]));
            for record in &found {
                let mismatch = find_mismatch(record, As::Today);
                assert_eq!(mismatch, None, "{record}");
            }
            let wanted = expected.iter().filter(|want| want["session"] == **id && want["role"].is_string());
            for want in wanted {
                let is_it = |one: &&Value| {
                    one["type"] == "item" && one["turn"] == want["turn"] && one["item"] == want["item"]
                };
                let all: Vec<&Value> = found.iter().filter(is_it).collect();
                assert_eq!(all.len(), 1, "{version} {want}");
                assert_eq!(all[0]["role"], want["role"], "{version} {want}");
                if want["text"].is_string() {
                    assert_eq!(all[0]["text"], want["text"], "{version} {want}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 700, "{compared}");
}

/// The whole page of a session whose turns have an item of each common kind.
#[test]
fn a_page_for_people() {
    let (mut world, sessions) = world("0.171.0");
    world.set("TZ", "UTC");
    let page = shown(&world, &[&sessions["tools"]]);
    let want = "\
List the files here                                                     08af09f0
/tmp/codex-fixture/projects/alpha  main  gpt-5.5  2026-11-28 12:08

── 1 ────────────────────────────────────── 11-28 12:08 · 190ms · 2.2k tokens ──
› List the files here
  Planning the listing
• I will list the files.
• Ran ls -1; echo 'said \"quoted\"'
  └ README.md
    old.txt
    pic.png
    said \"quoted\"
• There are two files, and a picture.
── 2 ────────────────────────────────────── 11-28 12:08 · 134ms · 5.9k tokens ──
› Patch the files
• Edited 2 files  +4 -1
  └ src/new.rs  new +3
    old.txt     +1 -1
• Edited 2 files  +1 -4
  └ old.txt → moved.txt  moved +1 -1
    README.md            deleted -3
• Patch did not apply: nothere.txt
• Patched.

  ```rust
  fn main() {}
  ```
── 3 ─────────────────────────────────────── 11-28 12:08 · 107ms · 351 tokens ──
› Make a plan
• Plan: First steps
    [x] Read the code
    [>] Write a test
    [ ] Ship
";
    assert!(page.starts_with(want), "{page}");
    for part in [
        "• Failed (3) echo out; sleep 0.3; echo err >&2; exit 3\n  └ out\n    err\n",
        "• Ran seq 1 30000\n  └ 1\n    2\n    … 12225 lines more, shortened by Codex\n    29998\n    29999\n    30000\n",
        "  └ bad \u{fffd} byte \\x1b[31mred\\x1b[0m\n",
        "• Called calc.fail {}  failed\n  └ no such number\n",
        "\n\n8 turns, 2s, 13.9k tokens\n",
    ] {
        assert!(page.contains(part), "no {part}: {page}");
    }
    let full = shown(&world, &[&sessions["tools"], "--full"]);
    assert!(full.contains("  I look first.\n") && full.lines().count() > 12_000, "{}", full.lines().count());
    let few = shown(&world, &[&sessions["tools"], "--lines", "2"]);
    assert!(few.contains("  └ 1\n    … 12228 lines more, shortened by Codex\n    30000\n"), "{few}");
    // Turns of a fork that are those of its parent are a line; those that were undone are counted.
    let fork = shown(&world, &[&sessions["fork"]]);
    let parent = &sessions["root"][28..];
    assert!(fork.contains(&format!("\nturns 1 to 2 from {parent} (--inherited)\n── 3 ──")), "{fork}");
    assert!(shown(&world, &[&sessions["fork"], "--inherited"]).contains("\n── 1 ──"));
    let cut = shown(&world, &[&sessions["cut"]]);
    assert!(cut.ends_with("; 2 turns undone (--undone)\n") && !cut.contains("capitals"), "{cut}");
    let undone = shown(&world, &[&sessions["cut"], "--undone"]);
    assert!(undone.contains("── undone ──") && undone.contains("› Now in capitals (cut)\n"), "{undone}");
    let failures = shown(&world, &[&sessions["failures"]]);
    assert!(
        failures.contains(" · failed · ") && failures.contains("\n! bad things happened\n"),
        "{failures}"
    );
    let late = shown(&world, &[&sessions["misc"]]);
    assert!(late.contains("── 3 · later ──"), "{late}");
    // The subagents of a session are behind it.
    let agents = shown(&world, &[&sessions["agents"], "--subagents"]);
    assert!(
        agents.contains(&sessions["agent-child"][28..]) && agents.contains("• Child report.\n"),
        "{agents}"
    );
}

/// What the flags choose is what a filter of all records chooses.
#[test]
fn turns_and_roles_are_chosen() {
    let (world, sessions) = world("0.169.0");
    let mut dice = 7u64;
    let mut roll = |most: u64| {
        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (dice >> 33) % most
    };
    const ROLES: [&str; 6] = ["user", "assistant", "command", "output", "patch", "reasoning"];
    for id in sessions.values() {
        let all = records(&shown(&world, &[id, "--json"]));
        let last = all.iter().filter_map(|one| one["turn"].as_u64()).max().unwrap_or(0);
        for _ in 0..4 {
            let (a, b) = (1 + roll(last + 2), 1 + roll(last + 2));
            let (range, first, end) = match roll(4) {
                0 => (format!("{a}"), a, a),
                1 => (format!("{a}-"), a, u64::MAX),
                2 => (format!("-{b}"), 1, b),
                _ => (format!("{}-{}", a.min(b), a.max(b)), a.min(b), a.max(b)),
            };
            let roles = [ROLES[roll(6) as usize], ROLES[roll(6) as usize]];
            let is_chosen = |one: &&Value| {
                let is_in = one["turn"].as_u64().is_some_and(|turn| (first..=end).contains(&turn));
                is_in && (one["type"] == "turn" || roles.contains(&one["role"].as_str().unwrap()))
            };
            let want: Vec<&Value> = all.iter().filter(is_chosen).collect();
            let words = ["codex-agent-show", id, "--json", "--turns", &range, "--only", &roles.join(",")];
            let ran = world.run(&words);
            // Turns that do not exist are an error.
            ran.case(&range).exits(i32::from(first > last));
            assert_eq!(records(&ran.out).iter().collect::<Vec<_>>(), want, "{words:?}");
        }
        let count = 1 + roll(last + 1);
        let want = all.iter().filter(|one| one["turn"].as_u64().is_some_and(|turn| turn + count > last));
        let found = records(&shown(&world, &[id, "--json", "-n", &count.to_string()]));
        assert_eq!(found.iter().collect::<Vec<_>>(), want.collect::<Vec<_>>(), "{id} -n {count}");
    }
}

#[test]
fn an_address_names_a_turn_or_an_item() {
    let (world, sessions) = world("0.171.0");
    let id = &sessions["tools"];
    let all = records(&shown(&world, &[id, "--json"]));
    let items: Vec<&Value> = all.iter().filter(|one| one["type"] == "item").collect();
    for item in &items {
        let address = item["address"].as_str().unwrap();
        assert_eq!(records(&shown(&world, &[address, "--json"])), [(*item).clone()]);
    }
    // A turn by its number, by its id, and on standard input in the first column of a row.
    let turn = items.iter().find(|item| item["turn"] == 3).unwrap();
    let by_number = shown(&world, &[&format!("{id}:3"), "--json"]);
    assert_eq!(shown(&world, &[&format!("{id}:{}", turn["turn_id"].as_str().unwrap()), "--json"]), by_number);
    let piped = world.feed(&["codex-agent-show", "--json"], format!("{id}:3\tanything\n"));
    assert_eq!(piped.succeeds().out, by_number);
    for (context, at) in [(0usize, 9usize), (2, 9), (3, 0), (100, 12)] {
        let address = items[at]["address"].as_str().unwrap();
        let found = shown(&world, &["--around", address, "-C", &context.to_string(), "--json"]);
        let found: Vec<Value> = records(&found).into_iter().filter(|one| one["type"] == "item").collect();
        let near = &items[at.saturating_sub(context)..(at + context + 1).min(items.len())];
        assert_eq!(found.iter().collect::<Vec<_>>(), near, "{context} {at}");
    }
    // An item that Codex wrote after the end of its turn, and a turn that was undone.
    let misc = &sessions["misc"];
    let late = records(&shown(&world, &[misc, "--json"]));
    let late = late.iter().find(|one| one["late"] == true).unwrap();
    assert_eq!(
        records(&shown(&world, &[late["address"].as_str().unwrap(), "--json"])),
        std::slice::from_ref(late)
    );
    assert!(shown(&world, &[misc, "--turns", "3"]).contains("── 3 · later ──"));
    let undone = records(&shown(&world, &[&sessions["cut"], "--undone", "--json"]));
    let undone = undone.iter().find(|one| one["undone"] == true && one["type"] == "item").unwrap();
    assert_eq!(
        records(&shown(&world, &[undone["address"].as_str().unwrap(), "--json"])),
        std::slice::from_ref(undone)
    );
    // Items of another call are addresses too, and around a turn there are no others.
    let piped = world.feed(&["codex-agent-show", "-", "--json"], format!("{}\n", items[4]));
    assert_eq!(records(&piped.succeeds().out), [items[4].clone()]);
    let around = shown(&world, &["--around", &format!("{id}:2"), "-C", "1"]);
    assert_eq!(around.matches("──\n").count(), 3, "{around}");
    let named = format!("{id}:2:3");
    let alone = records(&shown(&world, &["--around", &named, "--only", "user", "--json", "-C", "0"]));
    assert_eq!(alone[0]["address"], named.as_str());
    for (address, what, hint) in [
        (":99", "has no turn 99", "--oneline' lists its turns"),
        (":2:99", "has no item 99 of turn 2", ":2 --json' has the addresses of its items"),
    ] {
        let ran = world.run(&["codex-agent-show", &format!("{id}{address}")]);
        ran.exits(1).prints("").reports(what).reports(hint);
    }
    let ran = world.run(&["codex-agent-show", id, "--turns", "99,70-80,200-"]);
    ran.exits(1).prints("").reports("has 8 turns, and none of --turns 99,70-80,200-");
}

#[test]
fn views_of_answers_lists_and_files() {
    let (world, sessions) = world("0.171.0");
    let id = &sessions["tools"];
    assert_eq!(shown(&world, &[id, "--final"]), "No such tool.\n");
    assert_eq!(shown(&world, &[id, "--tasks"]), "[x] Read the code\n[x] Write a test\n[x] Ship\n");
    let ran = world.run(&["codex-agent-show", &sessions["root"], "--tasks"]);
    ran.exits(1).prints("").reports("has no check list");
    let names = shown(&world, &[id, "--name-only"]);
    assert_eq!(names, "src/new.rs\nold.txt\nmoved.txt\nREADME.md\n");
    let stat = shown(&world, &[id, "--stat"]);
    assert!(
        stat.contains(" src/new.rs           +3 -0\n") && stat.ends_with(" 4 files changed, +5 -5\n"),
        "{stat}"
    );
    let rows = shown(&world, &[id, "--oneline"]);
    assert_eq!(rows.lines().count(), 8);
    let cells: Vec<&str> = rows.lines().nth(6).unwrap().split('\t').collect();
    assert_eq!(cells[0], format!("{id}:7"));
    assert_eq!((cells[2], cells[4], cells[5]), ("completed", "2096", "Run commands that fail"));
    // These are Codex's lines, of which this project has no schema.
    let raw = world.command("codex-agent-show").args([&sessions["fork"], "--raw"]).output().unwrap();
    let raw = String::from_utf8(raw.stdout).unwrap();
    assert!(raw.lines().all(|line| line.starts_with('{')) && raw.contains("\"session_meta\""), "{raw}");
    for words in [
        &["--full", "--lines", "2"][..],
        &["--only", "user", "--stat"],
        &["--lines", "2", "--json"],
        &["--width", "60", "--html"],
        &["--inherited", "--raw"],
    ] {
        world
            .run(&[&["codex-agent-show", id], words].concat())
            .exits(2)
            .prints("")
            .reports("cannot be combined");
    }
    for words in [&["--final"][..], &["--raw"], &["--turns", "2"], &["-n", "1"]] {
        let address = format!("{id}:2");
        world.run(&[&["codex-agent-show", &address], words].concat()).exits(2).reports("an address");
    }
    // A fork changed none of the files of its parent.
    assert_eq!(shown(&world, &[&sessions["fork"], "--oneline"]).lines().count(), 1);
    assert_eq!(shown(&world, &[&sessions["fork"], "--oneline", "--inherited"]).lines().count(), 3);
    for words in
        [&["--stat", "--json"][..], &["--final", "-n", "2"], &["--turns", "1", "-n", "1"], &["-C", "1"]]
    {
        world.run(&[&["codex-agent-show", id], words].concat()).exits(2).prints("");
    }
    for words in [&["--turns", "0"][..], &["--turns", "5-2"], &["--only", "users"]] {
        world.run(&[&["codex-agent-show", id], words].concat()).exits(2).reports("invalid value");
    }
}

/// git applies what '--patch' prints of each item, and the files are those of the session.
#[test]
fn git_applies_the_patches() {
    for version in VERSIONS {
        let (world, sessions) = world(version);
        let id = &sessions["tools"];
        world.write("tree/old.txt", "one\ntwo\nthree\n");
        world.write("tree/README.md", "# alpha\n\nA small project.\n");
        let patch = world.run(&["codex-agent-show", id, "--patch"]);
        if version == "0.106.0" {
            patch.exits(1).prints("").reports("is left out").reports("recorded only the text of the model");
            continue;
        }
        patch.succeeds();
        world.sh("cd tree && git init -q .").succeeds();
        // git applies a move to the file as it was before all patches of its input, which a warning says.
        patch.reports(":2:3 moves a file that an earlier patch of this output has changed");
        world.write("all", &patch.out);
        world.sh("cd tree && git apply ../all").exits(1);
        let items = records(&shown(&world, &[id, "--json", "--only", "patch"]));
        let applied = items.iter().filter(|one| one["failed"] == false);
        let mut all = String::new();
        for address in applied.map(|one| one["address"].as_str().unwrap()) {
            let patch = shown(&world, &[address, "--patch"]);
            world.write("patch", &patch);
            world.sh("cd tree && git apply ../patch").case((version, address)).succeeds();
            all += &patch;
        }
        assert_eq!(all, patch.out);
        let text = |name: &str| fs::read_to_string(world.path("tree").join(name)).unwrap();
        assert_eq!(text("src/new.rs"), "fn main() {\n    println!(\"hi\");\n}\n", "{version}");
        assert_eq!(text("moved.txt"), "one\ndeux\nthree\n", "{version}");
        assert!(!world.path("tree/old.txt").exists() && !world.path("tree/README.md").exists(), "{version}");
    }
}

/// Texts of others neither reach the terminal as escapes nor a page as markup.
#[test]
fn texts_of_others_are_harmless() {
    let fake = Fake::newest();
    let text = "<script>alert(1)</script> \x1b[31m ` ``` ```` & \u{202e}x";
    let id = fake.begin(text);
    let html = fake.good(&["show", &id, "--html"]);
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    for part in ["default-src 'none'", "<section id=\"t1\">", "<blockquote id=\"t1.1\">", "</html>"] {
        assert!(html.contains(part), "no {part}: {html}");
    }
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains(" src="), "{html}");
    let markdown = fake.good(&["show", &id, "--markdown"]);
    assert!(markdown.contains("## 1.") && markdown.contains("> <script>"), "{markdown}");
    for words in [
        &["show", &id][..],
        &["show", &id, "--html"],
        &["show", &id, "--markdown"],
        &["show", &id, "--oneline"],
    ] {
        let out = fake.good(words);
        assert!(!out.contains('\x1b'), "{words:?}: {out:?}");
    }
    for columns in [20, 60, 200] {
        for words in [&["show", &id, "--color=never"][..], &["show", &id, "--oneline", "--color=never"]] {
            let mut command = fake.started(words);
            command.env("CODEX_AGENT_PAGER", "cat");
            let (shown, code) = Terminal::open(command, columns, 24).end();
            assert!(
                code == 0 && !shown.contains('\x1b') && !shown.contains('\u{202e}'),
                "{columns}: {shown:?}"
            );
            for line in shown.lines().filter(|line| line.contains("──") || line.contains("TURN")) {
                assert!(columns_of(line) <= usize::from(columns), "{columns}: {line}");
            }
        }
    }
}

#[test]
fn a_terminal_pages_and_colours() {
    let (world, sessions) = world("0.171.0");
    let mut command = world.command("codex-agent-show");
    command.arg(&sessions["tools"]).env("CODEX_AGENT_PAGER", "cat > paged; echo read");
    let (shown, code) = Terminal::open(command, 80, 24).end();
    assert_eq!((without_escapes(&shown).trim(), code), ("read", 0));
    let paged = fs::read_to_string(world.path("paged")).unwrap();
    assert!(paged.contains("\x1b[31mFailed (3)\x1b[0m"), "{paged:?}");
    // A reader that closes the pipe ends it without a message.
    let ran = world.sh(&format!("codex-agent-show {} --full | head -n 1", sessions["tools"]));
    ran.succeeds().reports_exactly("");
}

/// A rollout that cannot be read is named; one with damaged lines is read as far as it goes.
#[test]
fn damaged_rollouts_are_reported() {
    let fake = Fake::newest();
    let id = fake.begin("hello");
    let path = fake.good(&["find", &id, "--format", "{rollout_path}"]);
    let text = fs::read_to_string(path.trim()).unwrap();
    fs::write(path.trim(), text.clone() + "not JSON\n").unwrap();
    let ran = fake.tool(&["show", &id]);
    ran.succeeds().shows("echo: hello").reports("skipped 1 line of the rollout that could not be read");
    fs::remove_file(path.trim()).unwrap();
    let ran = fake.tool(&["show", &id]);
    ran.exits(2).reports(format!("cannot read the transcript of session '{id}': the session has no rollout"));
}

#[test]
fn a_fork_is_made_before_the_turn_with_a_number() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.resume(&id, "two").succeeds();
    let by = |turn: &str| {
        records(&fake.good(&["fork", "--at", &format!("{id}:{turn}"), "--json"]))[0]["id"].clone()
    };
    let turns = records(&fake.good(&["show", &id, "--json"]));
    let second = turns.iter().find(|one| one["type"] == "turn" && one["turn"] == 2).unwrap();
    let (number, named) = (by("2"), by(second["turn_id"].as_str().unwrap()));
    let texts = |id: &Value| {
        let all = records(&fake.good(&["show", id.as_str().unwrap(), "--json", "--only", "user"]));
        all.iter().filter(|one| one["type"] == "item").map(|one| one["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((texts(&number), texts(&named)), (vec!["one".into()], vec!["one".into()]));
    let ran = fake.tool(&["fork", "--at", &format!("{id}:9")]);
    ran.exits(1).reports("has no turn 9: it has 2 turns").reports("nothing was forked");
}

#[test]
fn the_real_codex_is_shown() {
    let Some(codex) = Real::new() else { return };
    let id = codex.exec("alpha", &["Say hello"]);
    codex.exec("alpha", &["resume", &id, "And again"]);
    let show = |words: &[&str]| codex.world.ok(&[&["codex-agent-show", &id], words].concat());
    assert_eq!(show(&["--final"]), "echo: And again\n");
    let all = records(&show(&["--json"]));
    let of = |role: &str| -> Vec<String> {
        let items = all.iter().filter(|one| one["role"] == role);
        items.map(|one| one["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("user"), ["Say hello", "And again"]);
    assert_eq!(of("assistant"), ["echo: Say hello", "echo: And again"]);
    let turns: Vec<&Value> = all.iter().filter(|one| one["type"] == "turn").collect();
    assert!(turns.len() == 2 && turns.iter().all(|turn| turn["status"] == "completed"), "{turns:?}");
}

/// A name that ends like an address is a name first.
/// Whole columns are omitted before a part of an address is.
#[test]
fn a_narrow_terminal_has_the_address_of_each_turn() {
    let (world, ids) = world("0.171.0");
    let id = &ids["tools"];
    for columns in [44, 60, 80, 120] {
        let shown = on_terminal(&world, &["codex-agent-show", id, "--oneline", "--color=never"], columns);
        let lines: Vec<&str> = shown.lines().collect();
        let address = format!("{}:1", &id[id.len() - 8..]);
        assert!(lines[0].starts_with("TURN") && lines[1].starts_with(&address), "{columns}: {shown}");
        assert!(lines[1].contains("completed"), "{columns}: {shown}");
        assert_eq!(lines[0].contains("TOOK"), columns >= 80, "{columns}: {shown}");
        assert!(
            lines.iter().all(|line| line.trim_end().chars().count() <= columns.into()),
            "{columns}: {shown}"
        );
    }
}

#[test]
fn a_name_with_a_colon_is_a_name() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two"));
    fake.good(&["name", &one, "fix"]);
    fake.good(&["name", &two, "fix:1"]);
    let shown = |reference: &str| fake.good(&["show", reference, "--final"]);
    assert_eq!(
        [shown("fix:1"), shown("fix"), shown("name:fix:1")],
        ["echo: two\n", "echo: one\n", "echo: two\n"]
    );
    assert!(fake.good(&["show", "fix:1:1"]).contains("two"));
}

/// An answer of the model cannot hide what follows it in Markdown.
#[test]
fn a_fence_that_an_answer_leaves_open_is_closed() {
    let fake = Fake::newest();
    let id = fake.begin("one\n```py\nopen");
    fake.resume(&id, "two\n<!-- next").succeeds();
    let page = fake.good(&["show", &id, "--markdown"]);
    let fences = page.lines().filter(|line| line.starts_with("```")).count();
    assert!(fences == 2 && page.contains("## 2."), "{page}");
    assert!(page.contains("\n\\<!-- next") && !page.contains("\n<!--"), "{page}");
}

#[test]
fn an_answer_that_is_not_the_end_of_the_session_is_marked() {
    let (world, ids) = world("0.171.0");
    let id = &ids["failures"];
    let path = world.ok(&["codex-agent-ls", "--fields", "id,rollout_path"]);
    let path = path.lines().find_map(|row| row.strip_prefix(&format!("{id}\t"))).unwrap().to_owned();
    // The third turn ended at a usage limit.
    let text = fs::read_to_string(&path).unwrap();
    let mut ends = 0;
    let kept: Vec<&str> = text
        .lines()
        .take_while(|line| {
            ends += usize::from(line.contains("\"task_started\""));
            ends < 4
        })
        .collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    let ran = world.run(&["codex-agent-show", id, "--final"]);
    ran.exits(0).prints("partial answer\n");
    assert!(
        ran.err.contains("is not the end of the session: it is of an earlier turn; the last turn: failed"),
        "{}",
        ran.err
    );
    // A session that ended with its answer has no remark.
    shown(&world, &[&ids["tools"], "--final"]);
}
