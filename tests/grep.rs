//! `codex-agent-grep` and `find --said`: each message once, in the transcripts of all versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::world::json as records;
use crate::world::terminal::on_terminal;
use crate::world::{World, copy, data};

const VERSIONS: [&str; 4] = ["0.106.0", "0.137.0", "0.169.0", "0.171.0"];

fn world(version: &str) -> World {
    let world = World::new();
    copy(&data(&format!("transcripts/{version}")), &world.codex_home());
    world
}

fn grep(world: &World, words: &[&str]) -> Vec<Value> {
    let ran = world.run(&[&["codex-agent-grep", "--json"], words].concat());
    records(&ran.out)
}

fn text<'v>(record: &'v Value, field: &str) -> &'v str {
    record[field].as_str().unwrap_or_default()
}

#[test]
fn a_match_is_an_item_that_show_prints() {
    for version in VERSIONS {
        let world = world(version);
        let found = grep(&world, &["[a-z]{3}", "--in", "all", "--archived", "--subagents"]);
        assert!(found.len() > 80, "{version}: {}", found.len());
        let mut shown: BTreeMap<(String, String, u64), Value> = BTreeMap::new();
        let ids: BTreeSet<&str> = found.iter().map(|hit| text(hit, "session")).collect();
        for id in &ids {
            for item in records(&world.ok(&["codex-agent-show", "--json", "--undone", id])) {
                if let Some(number) = item["item"].as_u64() {
                    let key =
                        ((*id).to_owned(), item["turn_id"].to_string() + &item["turn"].to_string(), number);
                    shown.insert(key, item);
                }
            }
        }
        let mut seen = BTreeSet::new();
        for hit in &found {
            let key = (
                text(hit, "session").to_owned(),
                hit["turn_id"].to_string() + &hit["turn"].to_string(),
                hit["item"].as_u64().unwrap(),
            );
            let item = &shown[&key];
            for field in ["address", "role", "at", "undone", "inherited"] {
                assert_eq!(hit[field], item[field], "{version} {field}: {hit}");
            }
            if let Some(whole) = item["text"].as_str() {
                assert!(text(hit, "text").starts_with(whole), "{hit}");
            }
            assert!(seen.insert(key), "{version}: twice: {hit}");
            // The places are those of characters.
            let chars: Vec<char> = text(hit, "text").chars().collect();
            for span in hit["spans"].as_array().unwrap() {
                let (start, end) = (span[0].as_u64().unwrap() as usize, span[1].as_u64().unwrap() as usize);
                assert_eq!(end - start, 3);
                assert!(chars[start..end].iter().all(char::is_ascii_lowercase), "{hit}");
            }
        }
    }
}

/// A session in the form of 0.137 with a turn for each pair of messages.
fn write_session(world: &World, id: &str, day: &str, turns: &[(&str, &str)]) {
    let line = |kind: &str, payload: Value| {
        serde_json::json!({"timestamp": format!("{day}T10:00:00.000Z"), "type": kind, "payload": payload})
            .to_string()
    };
    let meta = serde_json::json!({"id": id, "timestamp": format!("{day}T10:00:00.000Z"), "cwd": "/tmp",
        "originator": "codex_exec", "cli_version": "0.137.0", "source": "exec", "model_provider": "openai"});
    let mut lines = vec![line("session_meta", meta)];
    for (at, (user, answer)) in turns.iter().enumerate() {
        let turn = format!("{}-{at:04}-7000-8000-000000000000", &id[..8]);
        lines.push(line("event_msg", serde_json::json!({"type": "task_started", "turn_id": turn})));
        let part = serde_json::json!([{"type": "input_text", "text": user}]);
        lines.push(line(
            "response_item",
            serde_json::json!({"type": "message", "role": "user", "content": part}),
        ));
        lines.push(line("event_msg", serde_json::json!({"type": "user_message", "message": user})));
        let part = serde_json::json!([{"type": "output_text", "text": answer}]);
        lines.push(line("event_msg", serde_json::json!({"type": "agent_message", "message": answer})));
        lines.push(line(
            "response_item",
            serde_json::json!({"type": "message", "role": "assistant", "content": part}),
        ));
        lines.push(line(
            "event_msg",
            serde_json::json!({"type": "task_complete", "turn_id": turn, "last_agent_message": answer}),
        ));
    }
    let folder = world.codex_home().join("sessions").join(day.replace('-', "/"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("rollout-{day}T10-00-00-{id}.jsonl")), lines.join("\n") + "\n").unwrap();
}

const FIRST: &str = "01a10000-0000-7000-8000-00000000000a";
const SECOND: &str = "01a20000-0000-7000-8000-00000000000b";

/// Two sessions without a database, the second newer.
fn two_sessions() -> World {
    let world = World::new();
    fs::create_dir_all(world.codex_home()).unwrap();
    write_session(
        &world,
        FIRST,
        "2026-10-01",
        &[
            ("Where is the Parser?\nIn src/é.rs: \"fn parse\"", "a\nb\nparser c\nd\ne"),
            ("And the cache?", "nowhere"),
        ],
    );
    write_session(&world, SECOND, "2026-10-02", &[("say \u{1b}[31mred\tparser", "done: deadlock")]);
    world
}

#[test]
fn patterns_are_those_of_grep() {
    let world = two_sessions();
    let count = |words: &[&str]| {
        let ran = world.run(&[&["codex-agent-grep", "--format", "{address}"], words].concat());
        assert_eq!((ran.err.as_str(), ran.code == 0), ("", !ran.out.is_empty()), "{words:?}");
        ran.out.lines().map(|line| line.split_once(':').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    // The newest session is first.
    assert_eq!(count(&["parser"]), ["1:1", "1:2"]);
    assert_eq!(count(&["-i", "parser"]), ["1:1", "1:1", "1:2"]);
    assert_eq!(count(&["-S", "Parser"]), ["1:1"]);
    assert_eq!(count(&["-S", "parser"]).len(), 3);
    assert_eq!(count(&["-w", "parse"]), ["1:1"]);
    assert_eq!(count(&["^parser"]), ["1:2"]);
    assert_eq!(count(&["-F", "b\nparser"]), ["1:2"]);
    assert_eq!(count(&["-F", "\"fn parse\""]), ["1:1"]);
    assert_eq!(count(&["-F", "é.rs"]), ["1:1"]);
    assert_eq!(count(&["-F", "(?i)"]), [""; 0]);
    assert_eq!(count(&["(?i)PARSER", FIRST]).len(), 2);
    assert_eq!(count(&["-v", "parser", "--in", "user"]), ["1:1", "2:1"]);
    assert_eq!(count(&["-e", "nowhere", "-e", "deadlock"]), ["1:2", "2:2"]);
    assert_eq!(count(&["--all-of", "cache parser"]), ["1:2", "2:1"]);
    assert_eq!(count(&["--all-of", "cache deadlock"]), [""; 0]);
    assert_eq!(count(&["--all-of", "-e", "cache", "-e", "the Parser"]), ["1:1", "2:1"]);
    assert_eq!(count(&["-m", "1", "-i", "parser"]), ["1:1", "1:1"]);
    assert_eq!(count(&["-n", "1", "-i", "parser"]), ["1:1"]);
    assert_eq!(count(&["parser", "--until", "2026-10-31"]), ["1:2"]);
    assert_eq!(count(&["parser", SECOND, FIRST, SECOND]).len(), 2);
    assert_eq!(count(&["--", "-e"]), [""; 0]);
}

#[test]
fn rows_and_counts_are_for_pipes() {
    let world = two_sessions();
    let rows = world.ok(&["codex-agent-grep", "-i", "parser", "-C1"]);
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(
        rows.iter().map(|row| row[2..].to_vec()).collect::<Vec<_>>(),
        [
            vec!["user", "say \\x1b[31mred\\tparser"],
            vec!["user", "Where is the Parser?\\nIn src/é.rs: \"fn parse\""],
            vec!["assistant", "b\\nparser c\\nd"],
        ]
    );
    assert_eq!(rows[1][0], format!("{FIRST}:1:1"));
    let counts = world.ok(&["codex-agent-grep", "-i", "parser", "-c"]);
    let counts: Vec<Vec<&str>> = counts.lines().map(|row| row.split('\t').take(2).collect()).collect();
    assert_eq!(counts, [[SECOND, "1"], [FIRST, "2"]]);
    let sessions = records(&world.ok(&["codex-agent-grep", "-i", "parser", "-l", "--json"]));
    assert_eq!(sessions.iter().map(|one| text(one, "id")).collect::<Vec<_>>(), [SECOND, FIRST]);
    assert!(sessions.iter().all(|one| one["type"] == "session" && one["cwd"] == "/tmp"));
    let hit = grep(&world, &["d$", FIRST])[0].clone();
    assert_eq!(hit["lines"], serde_json::json!([[4, "d"]]));
    assert_eq!(hit["spans"], serde_json::json!([[13, 14]]));
    assert_eq!(
        world
            .ok(&["codex-agent-grep", "nowhere", "--fields", "role,title,line"])
            .trim_end()
            .split('\t')
            .count(),
        3
    );
    // Session records select the sessions.
    let listed = world.ok(&["codex-agent-ls", "--json", "--until", "2026-10-31"]);
    let ran = world.feed(&["codex-agent-grep", "parser", "-"], listed);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.err);
}

/// Items without a match are printed as a whole, and with --quiet nothing is.
#[test]
fn the_forms_of_grep_that_print_no_match() {
    let world = two_sessions();
    let rows = world.ok(&["codex-agent-grep", "-v", "deadlock|cache", "--fields", "line", FIRST]);
    let texts = ["Where is the Parser?\\nIn src/é.rs: \"fn parse\"", "a\\nb\\nparser c\\nd\\ne", "nowhere"];
    assert_eq!(rows.lines().collect::<Vec<_>>(), texts);
    let words = ["codex-agent-grep", "-v", "deadlock", "--in", "assistant", "--color=never"];
    let shown = on_terminal(&world, &words, 80);
    assert!(shown.contains("0000000a:1:2 assistant  a") && shown.contains("parser c"), "{shown}");
    for more in [&[][..], &["-c"], &["-l"], &["--json"], &["-v"]] {
        let ran = world.run(&[&["codex-agent-grep", "-q", "parser"], more].concat());
        assert_eq!((ran.exits(0).out.as_str(), ran.err.as_str()), ("", ""), "{more:?}");
    }
    let ran = world.run(&["codex-agent-grep", "--quiet", "frobnicate"]);
    assert_eq!((ran.exits(1).out.as_str(), ran.err.as_str()), ("", ""));
    // On a narrow terminal an address has its short form as a whole.
    let fields = ["codex-agent-grep", "-i", "parser", "--fields", "address,role,title,line"];
    let shown = on_terminal(&world, &fields, 60);
    assert!(shown.contains("0000000a:1:2") && shown.contains("0000000b:1:1"), "{shown}");
}

#[test]
fn a_terminal_has_the_matches_below_their_session() {
    let world = two_sessions();
    for columns in [60, 100] {
        let shown = on_terminal(&world, &["codex-agent-grep", "-i", "parser", "--color=always"], columns);
        assert!(shown.contains("\u{1b}[1;4mparser\u{1b}[0m"), "{shown}");
        assert!(!shown.contains("\u{1b}[31m"), "{shown}");
        let plain =
            on_terminal(&world, &["codex-agent-grep", "-i", "parser", "--color=never", "-C", "1"], columns);
        assert!(plain.lines().all(|line| line.trim_end().chars().count() <= columns as usize), "{plain}");
        assert!(plain.contains("0000000b:1:1 user  say \\x1b[31mred    parser"), "{plain}");
        assert!(
            plain.contains("0000000a:1:2 assistant  b\n") || plain.contains("0000000a:1:2 assistant  b\r\n"),
            "{plain}"
        );
    }
}

#[test]
fn hidden_sessions_are_searched_and_counted() {
    let fake = World::new();
    copy(&data("transcripts/0.171.0"), &fake.codex_home());
    let all = grep(&fake, &["[a-z]", "--subagents", "--archived"]);
    let shown = grep(&fake, &["[a-z]"]);
    let hidden = all.len() - shown.len();
    assert!(hidden > 0 && !shown.is_empty());
    let screen = on_terminal(&fake, &["codex-agent-grep", "-c", "[a-z]"], 80);
    assert!(
        screen.contains(&format!("{hidden} more matches in ")) && screen.contains("(--subagents)"),
        "{screen}"
    );
}

#[test]
fn undone_turns_are_found_and_marked_and_inherited_ones_left_out() {
    for version in VERSIONS {
        let world = world(version);
        let found = grep(&world, &["haiku"]);
        assert!(found.iter().all(|hit| hit["inherited"] == false), "{version}");
        let all = grep(&world, &["haiku", "--inherited"]);
        let inherited = all.iter().filter(|hit| hit["inherited"] == true).count();
        assert_eq!(all.len() - inherited, found.len(), "{version}");
        assert!(inherited > 0, "{version}");
        let undone = grep(&world, &["[a-z]"]).iter().filter(|hit| hit["undone"] == true).count();
        assert!(undone > 0, "{version}");
    }
}

#[test]
fn sessions_are_found_by_what_was_said() {
    let world = two_sessions();
    let find = |words: &[&str]| {
        let ran = world.run(&[&["codex-agent-find", "--fields", "id"], words].concat());
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(find(&["--said", "PARSER"]), [SECOND, FIRST]);
    assert_eq!(find(&["--said", "parser deadlock"]), [SECOND]);
    assert_eq!(find(&["--said", "parser", "--said", "cache"]), [FIRST]);
    assert_eq!(find(&["--said", "parser", "-n", "1"]), [SECOND]);
    assert_eq!(find(&["--said", "parser", "--last"]), [SECOND]);
    assert_eq!(find(&["--said", "parser", "--sort", "updated:asc"]), [FIRST, SECOND]);
    assert_eq!(find(&["--said", "parser", "--until", "2026-10-31"]), [FIRST]);
    assert_eq!(find(&["where", "--said", "cache"]), [FIRST]);
    assert_eq!(find(&["--said", "cache", FIRST, SECOND]), [FIRST]);
    assert_eq!(find(&["--said", "frobnicate"]), [""; 0]);
    world.run(&["codex-agent-find", "--said", "frobnicate"]).exits(1);
    world.run(&["codex-agent-find", "--said", " "]).exits(2);
    let both = world.ok(&["codex-agent-ls", "--json"]);
    let ran = world.feed(&["codex-agent-find", "-", "--said", "deadlock", "--fields", "id"], both);
    assert_eq!(ran.out.trim_end(), SECOND);
}

#[test]
fn errors_name_the_pattern_and_the_session() {
    let world = two_sessions();
    for (words, message) in [
        (&[][..], "the pattern is missing"),
        (&["a(b"], "invalid pattern 'a(b': unclosed group at character 2"),
        (&["a", "--in", "usr"], "invalid value 'usr'"),
        (&["-i", "-S", "a"], "--ignore-case and --smart-case cannot be combined"),
        (&["-c", "--json", "a"], "--count and --json cannot be combined"),
        (&["-c", "--json", "a"], "in a pipe, -c prints rows"),
        (&["a", FIRST, "--since", "2d"], "filters of sessions cannot be combined with REF"),
        (&["--all-of", " "], "the words of the pattern are missing"),
        (&["-n", "0", "parser"], "invalid value '0' for '--limit': it must be 1 or more"),
        (&["a{1000}{1000}{1000}"], "invalid pattern"),
    ] {
        let ran = world.run(&[&["codex-agent-grep"], words].concat());
        ran.exits(2);
        assert!(ran.err.contains(message), "{words:?}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
    world.run(&["codex-agent-grep", "a", "no-such-session"]).exits(1).prints("");
    assert_eq!(world.run(&["codex-agent-grep", "frobnicate"]).exits(1).err, "");
    // A turn that is not there is not one without a match.
    for (turn, is_there) in [("1", true), ("9", false), ("01a2220e-0000-7000-8000-000000000999", false)] {
        let ran = world.run(&["codex-agent-grep", "frobnicate", &format!("{FIRST}:{turn}")]);
        ran.exits(1).prints("");
        let message = format!("session '{FIRST}' has no turn {turn}; 'codex-agent show {FIRST} --oneline'");
        assert_eq!(ran.err.contains(&message), !is_there, "{}", ran.err);
    }
    // A rollout that cannot be read is reported, and the others are searched.
    let folder = world.codex_home().join("sessions/2026/10/03");
    fs::create_dir_all(&folder).unwrap();
    let broken = "01a30000-0000-7000-8000-00000000000c";
    fs::write(folder.join(format!("rollout-2026-10-03T10-00-00-{broken}.jsonl.zst")), "no zstd").unwrap();
    let ran = world.run(&["codex-agent-grep", "parser"]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.err);
}

#[test]
fn compressed_rollouts_are_searched() {
    let world = two_sessions();
    let file =
        world.codex_home().join(format!("sessions/2026/10/01/rollout-2026-10-01T10-00-00-{FIRST}.jsonl"));
    let text = fs::read(&file).unwrap();
    fs::write(file.with_extension("jsonl.zst"), zstd::encode_all(&text[..], 3).unwrap()).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(grep(&world, &["cache"]).len(), 1);
}

#[test]
fn a_closed_pipe_ends_the_search() {
    let world = two_sessions();
    let ran = world.sh("codex-agent-grep -i parser --format '{address}' | head -n 1");
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (&*format!("{SECOND}:1:1\n"), ""));
}

#[test]
fn matches_are_sessions_for_other_tools() {
    let world = two_sessions();
    let records = world.ok(&["codex-agent-grep", "-i", "parser", "--json"]);
    let rows = world.ok(&["codex-agent-grep", "-i", "parser"]);
    for (name, input) in [("records", &records), ("rows", &rows)] {
        world.run(&["codex-agent-group", "create", name]).exits(0);
        let added = world.feed(&["codex-agent-group", "add", name], input);
        assert_eq!(added.code, 0, "{}", added.err);
        let members = world.ok(&["codex-agent-group", "show", name, "--fields", "id"]);
        assert_eq!(members.lines().collect::<BTreeSet<_>>(), BTreeSet::from([FIRST, SECOND]), "{name}");
        let again = world.feed(&["codex-agent-grep", "deadlock|cache", "-", "--format", "{session}"], input);
        assert_eq!(again.out, format!("{SECOND}\n{FIRST}\n"), "{name}: {}", again.err);
    }
    let turn = format!("{FIRST}:2");
    assert_eq!(grep(&world, &["[a-z]", &turn]).len(), 2);
    assert_eq!(world.ok(&["codex-agent-grep", "-c", "[a-z]", &turn]).split('\t').nth(1), Some("2"));
    assert_eq!(grep(&world, &["parser", &turn]).len(), 0);
}

#[test]
fn a_named_fork_is_searched_with_what_it_inherits() {
    for version in VERSIONS {
        let world = world(version);
        let found = grep(&world, &["[a-z]", "--inherited"]);
        let fork = found.iter().find(|hit| hit["inherited"] == true).map(|hit| text(hit, "session")).unwrap();
        let of_fork = grep(&world, &["[a-z]", fork]);
        assert!(of_fork.iter().any(|hit| hit["inherited"] == true), "{version}");
        // The session that was forked has them.
        let shown = records(&world.ok(&["codex-agent-ls", "--full", "--json", "--archived"]));
        let session = shown.iter().find(|one| one["id"] == fork).unwrap();
        let both = grep(&world, &["[a-z]", fork, text(session, "forked_from")]);
        assert!(both.iter().all(|hit| hit["inherited"] == false || hit["session"] != fork), "{version}");
        assert!(both.iter().any(|hit| hit["session"] == fork), "{version}");
    }
}
