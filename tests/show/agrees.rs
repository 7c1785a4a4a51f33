//! The items that `show` prints are those that Codex shows: `thread/read` of the app-server is asked in the home where the sessions were
//! made, since it answers with nothing in a home that was copied.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::reading::{Format, Readings};
use super::script::{SERVER, script};
use super::{VERSIONS, shown, world};
use crate::world::app::App;
use crate::world::model::Model;
use crate::world::real::Real;
use crate::world::{NEWEST, World, copy, json as records};

/// The answers that Codex gave when the homes were recorded.
#[test]
fn the_recordings_are_read_as_codex_read_them() {
    let mut readings = Readings::default();
    for version in VERSIONS {
        let (world, sessions) = world(version);
        let answers = records(&fs::read_to_string(world.codex_home().join("oracle.ndjson")).unwrap());
        let answers: BTreeMap<&str, &Value> =
            answers.iter().map(|answer| (answer["label"].as_str().unwrap(), answer)).collect();
        for (label, id) in &sessions {
            let Some(answer) = answers.get(&**label) else { continue };
            let format = match (version, &**label) {
                ("0.106.0", _) => Format::Oldest,
                ("0.137.0", _) | (_, "legacy") => Format::Legacy,
                (_, "migrated") => Format::Migrated,
                _ => Format::Paginated,
            };
            let shown = records(&shown(&world, &[id, "--json", "--inherited"]));
            let place = format!("{version} {label}");
            readings.compare(&place, format, answer["turns"].as_array().unwrap(), &shown);
        }
    }
    // The scripts of the recordings called one tool at a time, and were silent in another way.
    assert_eq!(readings.unused(), ["together", "empty"]);
    assert!(readings.turns > 200 && readings.items > 500, "{} {}", readings.turns, readings.items);
}

/// A session of the app-server.
struct Session<'a> {
    app: &'a mut App,
    id: String,
}

impl Session<'_> {
    fn start<'a>(app: &'a mut App, codex: &Real, more: Value) -> Session<'a> {
        let mut params = json!({
            "cwd": codex.world.path("alpha"), "approvalPolicy": "never", "sandbox": "danger-full-access",
        });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = app.call("thread/start", &params)["thread"]["id"].as_str().unwrap().to_owned();
        Session { app, id }
    }

    /// Calls a method with the id of the session.
    fn call(&mut self, method: &str, mut params: Value) -> Value {
        params["threadId"] = self.id.clone().into();
        self.app.call(method, &params)
    }

    /// Starts a turn and gives its id.
    fn begin(&mut self, text: &str, mode: &str) -> String {
        let settings = json!({"model": "gpt-5.5", "reasoning_effort": null, "developer_instructions": null});
        let mut params = json!({"input": [{"type": "text", "text": text}]});
        if !mode.is_empty() {
            params["collaborationMode"] = json!({"mode": mode, "settings": settings});
        }
        self.call("turn/start", params)["turn"]["id"].as_str().unwrap().to_owned()
    }

    fn turn(&mut self, text: &str) {
        self.begin(text, "");
        self.end("completed");
    }

    #[track_caller]
    fn end(&mut self, status: &str) {
        let turn = self.app.end_of_turn(&self.id);
        assert_eq!(turn["status"], status, "{turn}");
    }

    fn fork(&mut self) -> Session<'_> {
        let fork = self.call("thread/fork", json!({}));
        Session { id: fork["thread"]["id"].as_str().unwrap().to_owned(), app: self.app }
    }
}

/// A turn of each kind that needs no code mode.
fn classic(session: &mut Session<'_>, codex: &Real) {
    for text in ["List the files", "Run commands", "Patch the files", "Use all tools", "Say nothing"] {
        session.turn(text);
    }
    session.begin("Plan the release", "plan");
    session.end("completed");
    session.begin("Ask me something", "plan");
    session.app.answer("item/tool/requestUserInput", &json!({"answers": {"q1": {"answers": ["Blue"]}}}));
    session.end("completed");
    steer(session, codex, "default", "Hurry up please");
    session.call("thread/shellCommand", json!({"command": "echo mine; exit 2"}));
    session.end("completed");
    let waiting = session.begin("Wait for me", "");
    until_started(session, "sleep 30");
    session.call("turn/interrupt", json!({"turnId": waiting}));
    session.end("interrupted");
    session.begin("Fail here", "");
    session.end("failed");
    let image = codex.world.path("alpha/red.png");
    session.call(
        "turn/start",
        json!({"input": [{"type": "localImage", "path": image}, {"type": "text", "text": "See this"}]}),
    );
    session.end("completed");
    session.call("thread/compact/start", json!({}));
    session.end("completed");
    session.call("review/start", json!({"target": {"type": "uncommittedChanges"}}));
    session.end("completed");
    session.turn("Delegate");
    session.turn("Delegate with context");
}

/// Rolls back turns with two messages and with none, around a compaction, and twice in a row.
fn roll_back(session: &mut Session<'_>, codex: &Real) {
    let drop = |session: &mut Session<'_>, count: u64| {
        session.call("thread/rollback", json!({"numTurns": count}));
    };
    steer(session, codex, "", "And more");
    session.turn("The third");
    drop(session, 2);
    session.turn("The fourth");
    session.call("thread/compact/start", json!({}));
    session.end("completed");
    session.turn("The fifth");
    drop(session, 1);
    drop(session, 1);
    session.call("thread/shellCommand", json!({"command": "echo mine"}));
    session.end("completed");
    session.turn("The sixth");
    session.turn("The seventh");
    drop(session, 1);
}

/// A turn with a second message, which comes while a command runs: the command waits for a file that is written after it, so
/// that no machine is too slow for this.
fn steer(session: &mut Session<'_>, codex: &Real, mode: &str, text: &str) {
    let turn = session.begin("Work slowly", mode);
    until_started(session, "until [ -e steered ]");
    let input = json!([{"type": "text", "text": text}]);
    session.call("turn/steer", json!({"expectedTurnId": turn, "input": input}));
    codex.world.write("alpha/steered", "");
    session.end("completed");
}

/// Waits until a command of the session runs.
fn until_started(session: &mut Session<'_>, command: &str) {
    let id = session.id.clone();
    let is_it = |message: &Value| {
        let item = &message["params"]["item"];
        message["method"] == "item/started"
            && message["params"]["threadId"] == id
            && item["command"].as_str().is_some_and(|all| all.contains(command))
    };
    session.app.until(command, is_it);
}

/// The smallest PNG of a red square.
const RED: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

/// A live home with sessions of every kind, and the same sessions in a home that was copied. `false` without this Codex.
fn live(version: &str, readings: &mut Readings) -> bool {
    let Some(codex) = Real::with_model(version, Model::scripted(script())) else { return false };
    let server = codex.world.script("calc", SERVER);
    let config = codex.model.config_toml().replace("\"gpt-5\"", "\"gpt-5.5\"");
    let more = format!(
        "\n[features]\nmulti_agent = true\n[tools.update_plan]\nenabled = true\n[mcp_servers.calc]\ncommand = {:?}\n",
        server.to_str().unwrap()
    );
    codex.world.write("home/.codex/config.toml", config + &more);
    codex.world.write("alpha/old.txt", "one\ntwo\nthree\n");
    codex.world.write("alpha/gone.txt", "gone\n");
    codex.world.write("alpha/code.txt", "one\ntwo\nthree\n");
    codex.world.write("alpha/red.png", RED);
    let is_new = version != "0.137.0";
    let mut app = App::start(&codex);
    let mut session = Session::start(&mut app, &codex, json!({}));
    classic(&mut session, &codex);
    let mut fork = session.fork();
    fork.turn("In the fork");
    fork.fork().turn("In the fork of the fork");
    // The next turns are undone.
    session.turn("Too much");
    let undone = session.begin("Far too much", "");
    session.end("completed");
    match is_new {
        true => session.call("thread/revert", json!({"beforeTurnId": undone})),
        false => session.call("thread/rollback", json!({"numTurns": 1})),
    };
    session.turn("Once more");
    if !is_new {
        let mut cut = Session::start(&mut app, &codex, json!({}));
        cut.turn("The first");
        roll_back(&mut cut, &codex);
        // Once more in a fork, where the turns are copies.
        roll_back(&mut cut.fork(), &codex);
    }
    let legacy = is_new.then(|| {
        let mut code = Session::start(&mut app, &codex, json!({"model": "gpt-6.1-sol"}));
        code.turn("Code: run");
        code.turn("Code: delegate");
        let mut legacy = Session::start(&mut app, &codex, json!({"historyMode": "legacy"}));
        legacy.turn("In the old format");
        legacy.turn("List the files");
        legacy.id
    });
    let mut sessions: Vec<String> =
        codex.list(&["--subagents"]).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    sessions.sort();
    assert!(sessions.len() > 5, "{sessions:?}");
    let mut pages = BTreeMap::new();
    for id in &sessions {
        let format = match is_new && legacy.as_ref() != Some(id) {
            true => Format::Paginated,
            false => Format::Legacy,
        };
        let answer = app.call("thread/read", &json!({"threadId": id, "includeTurns": true}));
        let page = shown(&codex.world, &[id, "--json", "--inherited"]);
        let place = format!("{version} {id}");
        readings.compare(&place, format, answer["thread"]["turns"].as_array().unwrap(), &records(&page));
        pages.insert(id, page);
    }
    drop(app);
    // In a copy Codex itself shows nothing, or fails.
    let copied = World::new();
    copy(&codex.world.codex_home(), &copied.codex_home());
    for (id, page) in pages {
        assert_eq!(shown(&copied, &[id, "--json", "--inherited"]), page, "{version} {id}");
    }
    true
}

#[test]
fn the_real_codex_shows_the_same() {
    let mut readings = Readings::default();
    let ran = [NEWEST, "0.137.0"].map(|version| live(version, &mut readings));
    if ran == [true, true] {
        // The events of all tools came before 0.137.
        assert_eq!(readings.unused(), ["legacy tool"]);
        assert!(readings.turns > 100 && readings.items > 300, "{} {}", readings.turns, readings.items);
    }
}
