//! The verbs of a group: its records, pipes, references and names.

use serde_json::Value;

use crate::world::{World, json};

const LOGIN: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

const FORK: &str = "01a202e0-c928-7713-b151-bb42e03ce4e5";

const ELSEWHERE: &str = "00000000-0000-7000-8000-000000000000";

/// Runs a verb that must succeed, and gives its standard error.
fn reported(world: &World, words: &[&str]) -> String {
    let mut line = vec!["codex-agent-group"];
    line.extend(words);
    let ran = world.run(&line);
    ran.succeeds().prints("");
    ran.err.trim_start_matches("codex-agent-group: ").trim_end().to_owned()
}

/// Runs a verb that must refuse, with this exit code, and change nothing.
fn refused(world: &World, words: &[&str], code: i32) -> String {
    let before = std::fs::read(world.config("groups.json")).ok();
    let mut line = vec!["codex-agent-group"];
    line.extend(words);
    let ran = world.run(&line);
    ran.exits(code).prints("");
    assert_eq!(std::fs::read(world.config("groups.json")).ok(), before, "{words:?}");
    ran.err
}

fn file(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.config("groups.json")).unwrap()).unwrap()
}

#[test]
fn the_pipe_from_find_to_group_works() {
    let world = World::with_home("0.169.0");
    let ran = world.sh("codex-agent ls --json | codex-agent group add work");
    ran.succeeds().prints("");
    ran.reports_exactly("codex-agent-group: created group and added 11 sessions to 'work'; 11 in all\n");
    let ids: Vec<String> =
        world.ok(&["codex-agent-ls", "--format", "{id}"]).lines().map(str::to_owned).collect();
    assert_eq!(file(&world)["groups"][0]["sessionIds"], serde_json::json!(ids));
    let ran = world.sh("codex-agent ls --json | codex-agent group add work");
    ran.reports_exactly("codex-agent-group: added 0 sessions to 'work', 11 already in it; 11 in all\n");
    assert_eq!(world.ok(&["codex-agent-ls", "--group", "work", "--count"]), "11\n");
}

#[test]
fn a_group_is_created_changed_and_deleted() {
    let world = World::with_home("0.169.0");
    assert_eq!(reported(&world, &["create", "work", "--description", "what I do"]), "created group 'work'");
    assert!(refused(&world, &["create", "work"], 2).contains("group 'work' exists already"));
    assert_eq!(reported(&world, &["add", "work", "cd6d1b0c", "@@"]), "added 2 sessions to 'work'; 2 in all");
    assert_eq!(
        reported(&world, &["add", "work", LOGIN]),
        "added 0 sessions to 'work', 1 already in it; 2 in all"
    );
    let rows = world.ok(&["codex-agent-group", "show", "work"]);
    assert_eq!(rows.lines().map(|row| &row[..36]).collect::<Vec<_>>(), [FORK, LOGIN]);
    assert_eq!(reported(&world, &["pause", "work"]), "group 'work' is paused");
    assert_eq!(file(&world)["groups"][0]["paused"], true);
    assert_eq!(reported(&world, &["resume", "work"]), "group 'work' is no longer paused");
    assert_eq!(reported(&world, &["rename", "work", "play"]), "renamed group 'work' to 'play'");
    let list = world.ok(&["codex-agent-group", "ls"]);
    let cells: Vec<&str> = list.trim_end().split('\t').collect();
    assert_eq!((cells[0], cells[1], cells[2], cells[5]), ("play", "2", "", "what I do"));
    assert_eq!(world.ok(&["codex-agent-group", "list", "--format", "{name}={count}"]), "play=2\n");
    assert_eq!(reported(&world, &["remove", "play", "cd6d1b0c"]), "removed 1 session from 'play'; 1 left");
    assert_eq!(
        reported(&world, &["remove", "play", LOGIN]),
        "removed 0 sessions from 'play', 1 not in it; 1 left"
    );
    assert_eq!(reported(&world, &["delete", "play"]), "deleted group 'play' of 1 session");
    assert_eq!(file(&world), serde_json::json!({"groups": []}));
}

#[test]
fn records_pass_through_unchanged() {
    let world = World::with_home("0.169.0");
    let input = format!(
        "{{\"type\":\"session\",\"id\":\"{LOGIN}\",\"mine\": [1.0e400,0.10],\"n\":123456789012345678901234567890}}\n\
         {{\"type\":\"note\",\"x\":1.50}}\n{{\"type\":\"session\",\"id\":\"{LOGIN}\"}}\n"
    );
    let ran = world.feed(&["codex-agent-group", "add", "g", "--json"], &input);
    ran.succeeds().prints(input.as_str());
    ran.reports("added 1 session to 'g'");
    let ran = world.feed(&["codex-agent-group", "remove", "g", "--json"], &input);
    ran.succeeds().prints(input.as_str());
    let silent = world.feed(&["codex-agent-group", "add", "g"], &input);
    silent.succeeds().prints("");
    // Operands have no record that came in, so theirs is made.
    let ran = world.run(&["codex-agent-group", "add", "g", FORK, "--json"]);
    assert_eq!(json(&ran.out)[0]["title"], "Try another approach");
}

#[test]
fn a_group_record_has_its_fields() {
    let world = World::with_home("0.169.0");
    let ran = world.run(&["codex-agent-group", "create", "a b", "--json"]);
    let made = &json(&ran.out)[0];
    assert_eq!((made["type"].as_str(), made["name"].as_str()), (Some("group"), Some("a b")));
    assert!(
        made["description"].is_null()
            && made["paused"] == false
            && made["session_ids"] == serde_json::json!([])
    );
    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
    assert_eq!(json(&world.ok(&["codex-agent-group", "list", "--json"])), std::slice::from_ref(made));
    assert_eq!(json(&world.ok(&["codex-agent-group", "show", "a b", "--json"])), std::slice::from_ref(made));
    let by_id = world.ok(&["codex-agent-group", "show", made["id"].as_str().unwrap(), "--json"]);
    assert_eq!(json(&by_id), std::slice::from_ref(made));
}

#[test]
fn all_of_the_input_is_added_or_none() {
    let world = World::with_home("0.169.0");
    let half = format!("{LOGIN}\n{ELSEWHERE}\n");
    let ran = world.feed(&["codex-agent-group", "add", "g"], &half);
    ran.exits(1).prints("");
    ran.reports("stdin:2: Codex has no session").reports("nothing was changed");
    assert!(!world.config("groups.json").exists());
    let err = refused(&world, &["add", "g", LOGIN, ELSEWHERE], 1);
    assert!(err.contains("--unchecked adds ids of sessions of another machine"), "{err}");
    assert_eq!(
        reported(&world, &["add", "g", "--unchecked", ELSEWHERE, LOGIN]),
        "created group and added 2 sessions to 'g'; 2 in all"
    );
    let err = refused(&world, &["add", "g", "--unchecked", "cd6d1b0c"], 2);
    assert!(err.contains("not a full id"), "{err}");
    for (line, told) in [
        ("{\"type\":\"session\",\"id\":\"cd6d1b0c\"}", "invalid id 'cd6d1b0c' in a session record"),
        ("{\"type\":\"session\"}", "missing field 'id'"),
        ("{\"id\":7}", "expected a session record: the id is not a string"),
        ("{", "EOF while parsing"),
        ("no such", "no session 'no such'"),
    ] {
        let ran = world.feed(&["codex-agent-group", "add", "h"], format!("{LOGIN}\n{line}\n"));
        assert!((1..=2).contains(&ran.code), "{line}");
        ran.reports("stdin:2").reports(told);
    }
    assert_eq!(file(&world)["groups"].as_array().unwrap().len(), 1);
    assert_eq!(
        refused(&world, &["add", "new", "--existing", LOGIN], 1).lines().next().unwrap(),
        "codex-agent-group add: there is no group 'new'"
    );
}

#[test]
fn missing_sessions_are_listed_and_can_be_removed() {
    let world = World::with_home("0.169.0");
    reported(&world, &["add", "g", "--unchecked", ELSEWHERE, LOGIN]);
    let rows = world.ok(&["codex-agent-group", "show", "g"]);
    assert!(rows.contains(&format!("{ELSEWHERE}\t\t\t\n")) && rows.contains("login work"), "{rows}");
    assert_eq!(reported(&world, &["remove", "g", "00000000"]), "removed 1 session from 'g'; 1 left");
    assert!(refused(&world, &["remove", "g", "no such"], 1).contains("no session 'no such'"));
    assert!(refused(&world, &["remove", "x", LOGIN], 1).contains("there is no group 'x'"));
}

#[test]
fn unusable_names_are_refused() {
    let world = World::with_home("0.169.0");
    for name in ["", " ", " a", "a\nb", "a\tb", LOGIN] {
        assert!(refused(&world, &["create", name], 2).contains("invalid group name"), "{name:?}");
        assert!(refused(&world, &["add", name, LOGIN], 2).contains("invalid group name"), "{name:?}");
    }
    // A part of an id is never taken for a group's.
    reported(&world, &["create", "01a202e0"]);
    reported(&world, &["create", "a"]);
    reported(&world, &["create", "b"]);
    assert!(refused(&world, &["rename", "a", "b"], 2).contains("group 'b' exists already"));
    assert!(refused(&world, &["delete", "a", "x"], 1).contains("there is no group 'x'"));
    assert_eq!(reported(&world, &["rename", "a", "a"]), "renamed group 'a' to 'a'");
}

#[test]
fn the_file_of_the_predecessor_is_read_and_kept() {
    let world = World::with_home("0.169.0");
    let old = format!(
        r#"{{"groups":[
  {{"id":"g1","name":"team","description":"d","paused":true,"sessionIds":["{LOGIN}","not-a-session"],
    "createdAt":"2026-02-20T10:51:26.447Z","updatedAt":"2026-02-20T10:51:28.327Z","extra":{{"n": 1.50}}}},
  {{"id":"g2","name":"twin","sessionIds":[],"createdAt":"c","updatedAt":"u"}},
  {{"id":"g3","name":"twin","sessionIds":["{FORK}"],"createdAt":"c","updatedAt":"u"}}],"version":12345678901234567890123}}"#
    );
    world.write("home/.config/codex-agent/groups.json", &old);
    let list = world.ok(&["codex-agent-group", "list", "--format", "{id} {name} {count} {paused}"]);
    assert_eq!(list, "g1 team 2 paused\ng2 twin 0 \ng3 twin 1 \n");
    let shown = world.run(&["codex-agent-group", "show", "team"]);
    shown.succeeds();
    assert_eq!(shown.out.lines().count(), 1);
    shown.reports("'not-a-session'");
    for verb in [&["show", "twin"][..], &["add", "twin", LOGIN], &["delete", "twin"]] {
        let err = refused(&world, verb, 2);
        assert!(
            err.contains("ambiguous name 'twin' of 2 groups: use an id")
                && err.contains("g2")
                && err.contains("g3"),
            "{err}"
        );
    }
    reported(&world, &["add", "g2", LOGIN]);
    reported(&world, &["remove", "team", "not-a-session"]);
    let text = std::fs::read_to_string(world.config("groups.json")).unwrap();
    assert!(text.contains(r#""extra": {"n": 1.50}"#) && text.contains("12345678901234567890123"), "{text}");
    assert_eq!(file(&world)["groups"][1]["sessionIds"], serde_json::json!([LOGIN]));
    assert_eq!(file(&world)["groups"][0]["sessionIds"], serde_json::json!([LOGIN]));
    assert!(
        text.starts_with("{\n  \"groups\": [\n    {\n      \"id\": \"g1\"") && text.ends_with("}\n"),
        "{text}"
    );
}

#[test]
fn the_environment_sets_the_place_of_the_file() {
    let mut world = World::with_home("0.169.0");
    world.set("XDG_CONFIG_HOME", "relative/is/ignored");
    reported(&world, &["create", "a"]);
    assert!(world.config("groups.json").exists());
    let xdg = world.path("xdg");
    world.set("XDG_CONFIG_HOME", xdg.to_str().unwrap());
    reported(&world, &["create", "b"]);
    assert!(xdg.join("codex-agent/groups.json").exists());
    let own = world.path("own");
    world.set("CODEX_AGENT_CONFIG_HOME", own.to_str().unwrap());
    reported(&world, &["create", "c"]);
    assert!(own.join("groups.json").exists());
}

#[test]
fn wrong_usage_gets_a_hint_and_exits_with_2() {
    let world = World::with_home("0.169.0");
    for (words, help) in [
        (&["--color"][..], "verbs: create list show add"),
        (&["ad"], "did you mean 'add'?"),
        (&["--json", "list"], "expected a verb before '--json'"),
        (&["create"], "the name of a group is missing"),
        (&["create", "a", "b"], "unexpected operand 'b'"),
        (&["rename", "a"], "the group's new name is missing"),
        (&["add", "a", "--existng"], "did you mean '--existing'?"),
        (&["list", "a"], "'codex-agent group show NAME' shows a group"),
        (&["list", "--format", "{titel}"], "fields: id name description"),
        (&["delete"], "the name of a group is missing"),
    ] {
        let err = refused(&world, words, 2);
        assert!(err.contains(help), "{words:?}: {err}");
        assert!(err.contains("--help'."), "{err}");
    }
    assert!(refused(&world, &["ad"], 2).contains("Try 'codex-agent-group --help'."));
    assert!(refused(&world, &["rename", "a"], 2).contains("Try 'codex-agent-group rename --help'."));
}

#[test]
fn each_record_is_passed_on_once() {
    let world = World::with_home("0.169.0");
    let ran = world.sh("codex-agent ls -n 2 --json | codex-agent group add g - --json | wc -l");
    assert_eq!(ran.out.trim(), "2", "{}", ran.err);
    let ran =
        world.sh(&format!("codex-agent ls -n 2 --json | codex-agent group add g {LOGIN} - --json | wc -l"));
    assert_eq!(ran.out.trim(), "3", "{}", ran.err);
    let ran = world.run(&["codex-agent-group", "remove", "g", LOGIN, "--json"]);
    assert_eq!(json(&ran.out)[0]["id"], LOGIN);
}

#[test]
fn unusual_entries_of_an_old_file_are_resolved_to_sessions() {
    let world = World::with_home("0.169.0");
    let upper = FORK.to_uppercase();
    let old = format!(
        r#"{{"groups":[{{"id":"g1","name":"g","sessionIds":["{LOGIN}","{LOGIN}","{upper}"],"createdAt":"c","updatedAt":"u"}}]}}"#
    );
    world.write("home/.config/codex-agent/groups.json", &old);
    assert_eq!(reported(&world, &["add", "g", FORK]), "added 0 sessions to 'g', 1 already in it; 3 in all");
    assert_eq!(reported(&world, &["remove", "g", LOGIN, FORK]), "removed 2 sessions from 'g'; 0 left");
    let twice = r#"{"groups":[],"groups":[{"id":"g1","name":"g","sessionIds":[]}]}"#;
    world.write("home/.config/codex-agent/groups.json", twice);
    assert!(refused(&world, &["create", "h"], 2).contains("duplicate field"));
}

#[test]
fn add_and_remove_resolve_references_alike() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET name = 'cd6d1b0c' WHERE id = ?1", [FORK]).unwrap();
    drop(database);
    reported(&world, &["add", "g", LOGIN]);
    for verb in ["add", "remove"] {
        let err = refused(&world, &[verb, "g", "cd6d1b0c"], 2);
        assert!(err.contains(LOGIN) && err.contains(FORK), "{verb}: {err}");
    }
    let ran = world.feed(&["codex-agent-group", "add", "g"], "cd6d1b0c\n");
    ran.reports(LOGIN).reports("nothing was changed");
}

#[test]
fn saves_before_an_output_failure_are_reported() {
    let world = World::with_home("0.169.0");
    let ran = world.sh(&format!("codex-agent group add g {LOGIN} --json >/dev/full"));
    ran.exits(2);
    ran.reports("the change of the group itself was saved");
    assert_eq!(file(&world)["groups"][0]["sessionIds"], serde_json::json!([LOGIN]));
}

#[test]
fn an_empty_pipe_creates_no_group() {
    let world = World::with_home("0.169.0");
    let ran = world.sh("codex-agent ls --json --cwd /nowhere | codex-agent group add work");
    ran.succeeds().prints("");
    ran.reports("no sessions were read, so group 'work' was not created");
    assert!(!world.config("groups.json").exists());
}

#[test]
fn a_prompt_without_its_flag_gets_a_hint() {
    let world = World::with_home("0.169.0");
    reported(&world, &["add", "work", LOGIN]);
    for (words, want) in [
        (&["run", "work", "Run the tests"][..], "--prompt 'Run the tests' sends this text"),
        (&["run", "work", "Go", "on"], "--prompt 'Go on' sends this text"),
    ] {
        let told = refused(&world, words, 2);
        assert!(told.contains("unexpected operand") && told.contains(want), "{told}");
    }
    let ran = world.run(&["codex-agent-resume", LOGIN, "it's on"]);
    ran.exits(2);
    ran.reports("to send this text: codex-agent resume").reports("--prompt \"it's on\"");
}

/// The record of the group, or fields of its sessions, archived ones too.
#[test]
fn a_group_shows_fields_of_its_sessions() {
    let world = World::with_home("0.169.0");
    world.ok(&["sh", "-c", "codex-agent ls --archived --json | codex-agent group add work 2>/dev/null"]);
    let show = |more: &[&str]| world.ok(&[&["codex-agent-group", "show", "work"][..], more].concat());
    let rows = show(&["--fields", "id,archived_at"]);
    assert_eq!(rows.lines().filter(|row| !row.ends_with('\t')).count(), 1, "{rows}");
    assert_eq!(rows.lines().count(), 12);
    let records = json(&show(&["--json=id,archived_at"]));
    assert_eq!(records.len(), 12);
    assert!(records.iter().all(|record| record["type"] == "session"), "{records:?}");
    assert_eq!(json(&show(&["--json"]))[0]["type"], "group");
    assert_eq!(show(&["-n", "2"]).lines().count(), 2);
}

#[test]
fn a_list_has_one_format() {
    let world = World::new();
    let told = refused(&world, &["list", "--json", "--format", "{name}"], 2);
    assert!(told.contains("--format cannot be combined with --fields or --json"), "{told}");
}
