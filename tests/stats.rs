//! `codex-agent-stats`: the tokens of the recordings, counted once, by whatever they are divided.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::world::fake::Fake;
use crate::world::json as records;
use crate::world::terminal::{columns_of, on_terminal};
use crate::world::{World, copy, data};

const VERSIONS: [&str; 4] = ["0.106.0", "0.137.0", "0.169.0", "0.171.0"];

/// Input, cached, output and reasoning.
type Tokens = [i64; 4];

fn world(version: &str) -> World {
    let world = World::new();
    copy(&data(&format!("transcripts/{version}")), &world.codex_home());
    world
}

/// The tokens that the script of a recording spent, by the label of the session and the end of its id.
fn expected(version: &str) -> BTreeMap<(String, String), Tokens> {
    let text = fs::read_to_string(data(&format!("transcripts/{version}/tokens.tsv"))).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| cells[at].parse().unwrap();
        ((cells[0].to_owned(), cells[1].to_owned()), [2, 3, 4, 5].map(number))
    };
    text.lines().skip(1).map(row).collect()
}

fn id_of(version: &str, label: &str) -> String {
    let manifest = fs::read_to_string(data(&format!("transcripts/{version}/manifest.tsv"))).unwrap();
    let line = manifest.lines().find(|line| line.split('\t').next() == Some(label)).unwrap();
    line.split('\t').nth(1).unwrap().to_owned()
}

fn stats(world: &World, words: &[&str]) -> Vec<Value> {
    records(&world.ok(&[&["codex-agent-stats", "--json"], words].concat()))
}

fn tokens(record: &Value) -> Tokens {
    ["input", "cached", "output", "reasoning"].map(|name| record["tokens"][name].as_i64().unwrap_or(0))
}

fn sum<'r>(all: impl IntoIterator<Item = &'r Value>) -> Tokens {
    all.into_iter().fold([0; 4], |sum, record| {
        let own = tokens(record);
        [0, 1, 2, 3].map(|at| sum[at] + own[at])
    })
}

#[test]
fn the_tokens_of_each_session_are_those_of_the_script() {
    for version in VERSIONS {
        let (world, want) = (world(version), expected(version));
        let found = stats(&world, &["--by", "session"]);
        let by_end: BTreeMap<String, Tokens> = found
            .iter()
            .map(|one| (one["session"].as_str().unwrap()[28..].to_owned(), tokens(one)))
            .collect();
        for ((label, end), want) in &want {
            assert_eq!(by_end.get(end), Some(want), "{version} {label}");
        }
        let all = want.values().fold([0; 4], |sum, own| [0, 1, 2, 3].map(|at| sum[at] + own[at]));
        assert_eq!(sum(&found), all, "{version}");
        // However the turns are divided, the sums are the same.
        let turns = |all: &[Value]| all.iter().map(|one| one["turns"].as_u64().unwrap()).sum::<u64>();
        for by in
            ["day", "week", "month", "project", "model", "day,model", "model,session", "project,day,session"]
        {
            for more in [&[][..], &["--tree"]] {
                let divided = stats(&world, &[&["--by", by], more].concat());
                assert_eq!((sum(&divided), turns(&divided)), (all, turns(&found)), "{version} {by} {more:?}");
            }
        }
        // Two halves of a time are the whole.
        for at in ["2026-11-28T12:08:20.500Z", "2026-11-28T12:09:00Z", "2026-11-28T12:10:45.123Z"] {
            let after = format!("{}.", &at[..at.len() - 1]);
            let next = if at.contains('.') {
                at.replace("500Z", "501Z").replace("123Z", "124Z")
            } else {
                after + "001Z"
            };
            let halves = [stats(&world, &["--until", at]), stats(&world, &["--since", &next])].concat();
            assert_eq!((sum(&halves), turns(&halves)), (all, turns(&found)), "{version} {at}");
        }
    }
}

#[test]
fn subagents_count_for_their_root_and_undone_turns_are_spent() {
    let world = world("0.171.0");
    let want = expected("0.171.0");
    let of = |label: &str| want.iter().find(|((own, _), _)| own == label).unwrap().1;
    let agents = id_of("0.171.0", "agents");
    let tree = stats(&world, &["--by", "session", "--tree"]);
    let found = tree.iter().find(|one| one["session"] == *agents).unwrap();
    let (parent, child) = (of("agents"), of("agent-child"));
    assert_eq!(tokens(found), [0, 1, 2, 3].map(|at| parent[at] + child[at]));
    assert_eq!(found["sessions"], 2);
    let child = id_of("0.171.0", "agent-child");
    assert!(!tree.iter().any(|one| one["session"] == *child));
    // Two of the four turns of this session were reverted.
    let cut = id_of("0.171.0", "cut");
    let spent = stats(&world, &[&cut, "--by", "session"]);
    let kept = stats(&world, &[&cut, "--by", "session", "--kept"]);
    assert_eq!((tokens(&spent[0]), &spent[0]["turns"]), (*of("cut"), &4.into()));
    assert_eq!((&kept[0]["turns"], kept[0]["tokens"]["input"].as_i64()), (&2.into(), Some(1800)));
    // The tokens of interrupted turns are unknown, and the sum is a lower bound.
    let failures = stats(&world, &[&id_of("0.171.0", "failures")]);
    assert_eq!((&failures[0]["turns"], &failures[0]["unknown_turns"]), (&7.into(), &3.into()));
}

/// The file of a reviewer names the session that it reviewed, but not in every version.
#[test]
fn reviewers_count_for_the_session_that_they_reviewed() {
    for (version, is_named) in [("0.106.0", false), ("0.137.0", true), ("0.169.0", true), ("0.171.0", true)] {
        let (world, want) = (world(version), expected(version));
        let of = |label: &str| want.iter().find(|((own, _), _)| own == label).unwrap().1;
        let (misc, reviewer) = (id_of(version, "misc"), id_of(version, "reviewer"));
        for more in [&[][..], &["--no-database"]] {
            let tree = stats(&world, &[&["--by", "session", "--tree"], more].concat());
            let found = |id: &str| tree.iter().find(|one| one["session"] == *id);
            let whole = match is_named {
                true => [0, 1, 2, 3].map(|at| of("misc")[at] + of("reviewer")[at]),
                false => *of("misc"),
            };
            assert_eq!(tokens(found(&misc).unwrap()), whole, "{version}");
            assert_eq!(found(&reviewer).is_some(), !is_named, "{version}");
        }
    }
}

/// The turns that Codex imported are those of another program; what follows them is Codex's own.
#[test]
fn imported_turns_are_not_counted() {
    const SESSION: &str = "01a2290c-4723-7ed3-8a51-814e10e21868";
    let world = World::new();
    let line = |kind: &str, payload: Value| {
        let at = "2026-11-29T20:43:20.228Z";
        format!("{}\n", serde_json::json!({"timestamp": at, "type": kind, "payload": payload}))
    };
    let event = |payload: Value| line("event_msg", payload);
    let usage = |input: u64, total: u64| serde_json::json!({"input_tokens": input, "output_tokens": 0, "total_tokens": total});
    let mut text = line(
        "session_meta",
        serde_json::json!({"id": SESSION, "timestamp": "2026-11-29T20:43:20.227Z", "cwd": "/tmp/work",
            "originator": "codex-tui", "cli_version": "0.171.0", "source": "vscode", "model_provider": "openai"}),
    );
    // As 0.171 imports a session: the last turn has an estimate in place of tokens.
    for number in [1, 2] {
        let id = format!("external-import-turn-{number}");
        text += &event(serde_json::json!({"type": "task_started", "turn_id": id, "started_at": 1795860060}));
        text += &event(serde_json::json!({"type": "user_message", "message": "please"}));
        text += &event(serde_json::json!({"type": "agent_message", "message": "done"}));
        if number == 2 {
            let info =
                serde_json::json!({"total_token_usage": usage(0, 19), "last_token_usage": usage(0, 19)});
            text += &event(
                serde_json::json!({"type": "agent_message", "message": "<EXTERNAL SESSION IMPORTED>"}),
            );
            text += &event(serde_json::json!({"type": "token_count", "info": info}));
        }
        text +=
            &event(serde_json::json!({"type": "task_complete", "turn_id": id, "last_agent_message": null}));
    }
    let name = format!("home/.codex/sessions/2026/11/29/rollout-2026-11-29T20-43-20-{SESSION}.jsonl");
    world.write(&name, &text);
    assert_eq!(stats(&world, &[]), [Value::Null; 0]);
    let shown = on_terminal(&world, &["codex-agent-stats"], 80);
    assert!(shown.contains("2 imported turns of other programs not counted"), "{shown}");
    let own = "01a2290d-0000-7000-8000-000000000000";
    let info = serde_json::json!({"total_token_usage": usage(70, 89), "last_token_usage": usage(70, 70)});
    text += &event(serde_json::json!({"type": "task_started", "turn_id": own}));
    text += &event(serde_json::json!({"type": "user_message", "message": "go on"}));
    text += &event(serde_json::json!({"type": "agent_message", "message": "gone on"}));
    text += &event(serde_json::json!({"type": "token_count", "info": info}));
    text +=
        &event(serde_json::json!({"type": "task_complete", "turn_id": own, "last_agent_message": "gone on"}));
    world.write(&name, &text);
    let found = stats(&world, &["--on", "2026-W48"]);
    assert_eq!((found.len(), &found[0]["turns"], tokens(&found[0])), (1, &1.into(), [70, 0, 0, 0]));
    assert_eq!(found[0]["unknown_turns"], 0);
}

#[test]
fn sessions_are_chosen_and_grouped() {
    let world = world("0.169.0");
    let (tools, fork) = (id_of("0.169.0", "tools"), id_of("0.169.0", "fork"));
    world.run(&["codex-agent-group", "add", "one", &tools]).succeeds();
    world.run(&["codex-agent-group", "add", "both", &tools, &fork]).succeeds();
    let found = stats(&world, &["--by", "group"]);
    let of = |name: Value| tokens(found.iter().find(|one| one["group"] == name).unwrap());
    let alone = |id: &str| sum(&stats(&world, &[id]));
    assert_eq!(of("one".into()), alone(&tools));
    assert_eq!(of("both".into()), [0, 1, 2, 3].map(|at| alone(&tools)[at] + alone(&fork)[at]));
    // A reference that is given twice counts once; and so does one on standard input.
    assert_eq!(sum(&stats(&world, &[&tools, &tools])), alone(&tools));
    let ids = format!("{tools}\ttitle\n{{\"type\":\"session\",\"id\":\"{fork}\"}}\n{tools}\n");
    let piped = world.feed(&["codex-agent-stats", "-", "--json"], ids);
    assert_eq!(sum(&records(&piped.succeeds().out)), of("both".into()));
    assert_eq!(sum(&stats(&world, &["--group", "both"])), of("both".into()));
    let rows = world.ok(&["codex-agent-stats", "--by", "model", "--fields", "model,tokens.output"]);
    assert!(rows.lines().all(|row| row.split('\t').count() == 2) && rows.contains("gpt-5.5\t"), "{rows}");
    let help = world.ok(&["codex-agent-stats", "--help"]);
    let refused = world.run(&["codex-agent-stats", "--by", "colour"]);
    let (_, expected) = refused.err.split_once("expected ").unwrap();
    let by: Vec<&str> = expected.split(", ").take_while(|word| !word.starts_with("with ")).collect();
    assert!(by.len() == 8 && by.iter().all(|word| help.contains(word)), "{by:?} {help}");
    for words in
        [&["--by", "colour"][..], &["--by", ""], &["--fields", "colour"], &["--group", "one", &tools]]
    {
        world.run(&[&["codex-agent-stats"], words].concat()).exits(2).prints("");
    }
    world.run(&["codex-agent-stats", "no-such-session"]).exits(1).prints("");
    assert_eq!(world.run(&["codex-agent-stats", "--since", "2090-01-01"]).succeeds().out, "");
}

#[test]
fn a_terminal_gets_a_table_with_bars() {
    let world = world("0.171.0");
    for columns in [60, 80, 120] {
        let shown = on_terminal(&world, &["codex-agent-stats", "--by", "model", "--color=never"], columns);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("MODEL ") && lines[0].contains("INPUT") && lines.len() == 4, "{shown}");
        assert!(lines[3].starts_with("total ") && lines[3].contains("160,595+"), "{shown}");
        assert_eq!(shown.contains('█'), columns >= 100, "{columns}: {shown}");
        assert!(!shown.contains('…'), "{shown}");
    }
    let shown = on_terminal(&world, &["codex-agent-stats", "--on", "2020"], 80);
    assert!(shown.contains("nothing to count in "), "{shown}");
    let shown = on_terminal(&world, &["codex-agent-stats", "--cwd", "/nowhere"], 120);
    assert!(shown.contains("'/nowhere' of --cwd is not a directory"), "{shown}");
    // An id says little about a session.
    for columns in [80, 120] {
        let words = ["codex-agent-stats", "--by", "session", "--color=never"];
        let shown = on_terminal(&world, &words, columns);
        let row = shown.lines().find(|line| line.starts_with("08af09f0 ")).unwrap();
        assert!(
            shown.lines().next().unwrap().ends_with(" TITLE") && row.contains("  List the files"),
            "{shown}"
        );
        assert!(
            !shown.contains('█') && shown.lines().all(|line| columns_of(line) <= columns.into()),
            "{shown}"
        );
    }
    let address = format!("{}:2", id_of("0.171.0", "tools"));
    let ran = world.run(&["codex-agent-stats", &address]);
    ran.exits(2).prints("").reports("is the address of a turn: whole sessions are counted");
}

/// A fork adds only its own turns, and a rollout that cannot be read is reported while the others are counted.
#[test]
fn forks_add_nothing_and_failures_hide_nothing() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two"));
    let all = |fake: &Fake| sum(&records(&fake.good(&["stats", "--json"])));
    let before = all(&fake);
    assert!(before[0] > 0);
    fake.good(&["fork", &one]);
    fake.good(&["fork", &one]);
    assert_eq!(all(&fake), before);
    let path = fake.good(&["find", &two, "--format", "{rollout_path}"]);
    fs::remove_file(path.trim()).unwrap();
    let ran = fake.tool(&["stats", "--json"]);
    ran.exits(2)
        .reports(format!("cannot read the transcript of session '{two}'"))
        .reports("it is not counted");
    assert_eq!(sum(&records(&ran.out)), [0, 1, 2, 3].map(|at| before[at] / 2));
}

#[test]
fn ls_prints_the_figures_of_a_transcript() {
    for version in VERSIONS {
        let world = world(version);
        let words = ["codex-agent-ls", "--archived", "--subagents", "--json=id,turns,tokens,last_message"];
        let listed = records(&world.ok(&words));
        let counted = records(&world.ok(&["codex-agent-stats", "--by", "session", "--json"]));
        assert!(listed.len() > 12, "{version}");
        for session in &listed {
            let id = session["id"].as_str().unwrap();
            let sums = counted.iter().find(|one| one["session"] == id);
            let tokens = sums.map(|one| &one["tokens"]).filter(|tokens| tokens.is_object());
            let sum = tokens.map(|one| one["input"].as_i64().unwrap() + one["output"].as_i64().unwrap());
            assert_eq!(session["tokens"].as_i64(), sum, "{version} {id}");
            let shown = records(&world.ok(&["codex-agent-show", "--json", id]));
            let turns =
                shown.iter().filter(|one| one["type"] == "turn").filter_map(|one| one["turn"].as_u64());
            assert_eq!(session["turns"].as_u64(), Some(turns.max().unwrap_or(0)), "{version} {id}");
            let mut answers = shown.iter().filter(|one| one["role"] == "assistant");
            assert_eq!(
                session["last_message"],
                answers.next_back().map_or(Value::Null, |one| one["text"].clone())
            );
        }
    }
    // Other fields do not read transcripts.
    let world = world("0.171.0");
    let all = records(&world.ok(&["codex-agent-ls", "--full", "--json"]));
    assert!(all.iter().all(|session| session.get("turns").is_none()));
    let rows = world.ok(&["codex-agent-find", "haiku", "--fields", "turns,tokens"]);
    assert!(rows.lines().all(|row| row.split('\t').all(|cell| cell.parse::<u64>().is_ok())), "{rows}");
    world.run(&["codex-agent-ls", "--sort", "turns"]).exits(2);
}

#[test]
fn status_shows_the_limits_that_sessions_saw() {
    let world = world("0.171.0");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let file = world.ok(&["codex-agent-ls", "-n", "1", "--fields", "rollout_path"]).trim_end().to_owned();
    let window = |percent: u64, minutes: u64, seconds: u64| {
        format!(r#"{{"used_percent":{percent},"window_minutes":{minutes},"resets_at":{}}}"#, now + seconds)
    };
    let (first, second) = (window(88, 10080, 200_000), window(91, 300, 7000));
    let limits =
        format!(r#"{{"limit_id":"codex","primary":{first},"secondary":{second},"plan_type":"plus"}}"#);
    let payload = format!(r#"{{"type":"token_count","info":null,"rate_limits":{limits}}}"#);
    let line =
        format!(r#"{{"timestamp":"2026-11-29T11:50:00.000Z","type":"event_msg","payload":{payload}}}"#);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{line}\n")).unwrap();
    let seen = records(&world.ok(&["codex-agent-status", "--json"]));
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!((&seen[0]["minutes"], &seen[0]["used_percent"]), (&300.into(), &91.0.into()));
    assert_eq!((seen[1]["plan"].as_str(), &seen[1]["others"]), (Some("plus"), &serde_json::json!([])));
    let shown = on_terminal(&world, &["codex-agent-status", "--color=never"], 80);
    assert!(shown.contains("codex plus") && shown.contains("5h 91%, 7d 88%"), "{shown}");
    // A pipe has only what waits.
    assert_eq!(world.ok(&["codex-agent-status"]), "");
}
