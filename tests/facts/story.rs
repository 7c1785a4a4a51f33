//! The steps that are run with a Codex, in groups, each on a Codex home of its own. A step that a version
//! does not have ends its group; the facts that need it fail then.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use codex_agent_engine::codex::fork::{Cut, Forker, set_name};
use codex_agent_shared::codex::rollout;
use codex_agent_shared::error::Error;
use codex_agent_shared::record::Id;
use rustix::process::Signal;
use serde_json::json;

use super::lab::{Lab, Outcome, said};

/// A group: its name and its steps.
pub type Group = (&'static str, fn(&Lab) -> Outcome);

/// All groups, the longest first.
pub const GROUPS: [Group; 8] = [
    ("signals", signals),
    ("main", main),
    ("terminal", terminal),
    ("failures", failures),
    ("words", words),
    ("odd", odd),
    ("moved", moved),
    ("packed", packed),
];

/// A long message of several lines.
pub fn long_message() -> String {
    let start = "Explain \"quotes\" and back\\slashes\nsecond line: žluťoučký kůň, 日本語, 🦀\n\tthird: ";
    start.to_owned() + &"lorem ipsum dolor sit amet ".repeat(100) + "end"
}

/// Sessions as they are made from day to day.
fn main(lab: &Lab) -> Outcome {
    let at = || lab.at("main", "alpha");
    let login = at().input("Fix the login bug").exec("new", &["-"])?.id()?;
    let schema = lab.path("schema.json");
    fs::write(&schema, r#"{"type":"object","properties":{},"additionalProperties":false}"#).map_err(said)?;
    let image = lab.path("image.png");
    fs::write(&image, PIXEL).map_err(said)?;
    let (schema, image) =
        (format!("--output-schema={}", schema.display()), format!("--image={}", image.display()));
    let all = [
        "--sandbox=workspace-write",
        "--model=gpt-5-codex",
        "--config=model_provider=\"mock\"",
        &image,
        &schema,
    ];
    at().input("Now add a test").exec("resume", &[&all[..], &["resume", &login, "-"]].concat())?;
    // In another directory, without the options.
    lab.at("main", "beta").input("Write the changelog").exec("resume elsewhere", &["resume", &login, "-"])?;
    at().input(long_message()).exec("several lines", &["-"])?;
    lab.at("main", "notes").exec("no repository", &["Summarise"])?;
    at().exec("shell", &["List files SHELL{ls -1}"])?;
    at().exec("spawn", &["Delegate this SPAWN"])?;
    at().input("Try another way").exec("fork", &["fork", &login, "-"])?;
    at().input("left unread").exec("fork alone", &["fork", &login])?;

    let named = at().exec("named", &["Work that gets a name"])?.id()?;
    let mut server = lab.server("main", "alpha")?;
    let id = |text: &str| Id::parse(text).ok_or_else(|| format!("'{text}' is no id"));
    let recency = |id: &str| lab.row("main", id, "recency_at_ms").unwrap_or_default();
    let before = recency(&named);
    // This session is newer than the one that is renamed.
    at().exec("plain", &["Work without a name"])?;
    let view = lab.view("main")?;
    for name in ["first name", "second name"] {
        set_name(&mut server, &view, &lab.version, id(&named)?, name).map_err(said)?;
    }
    lab.note("a rename moves recency_at_ms", (recency(&named) != before).to_string());
    let unknown = server
        .call("thread/nonsense", &json!({}))
        .map_err(|failure| Error::from(failure).message().to_owned());
    lab.note("unknown method", unknown.err().unwrap_or_default());
    let since = Instant::now();
    server.close();
    lab.note("app-server ends by itself", (since.elapsed() < Duration::from_secs(4)).to_string());
    at().exec("fork of a named", &["fork", &named, "On"])?;

    let gone = at().exec("to be archived", &["Old things"])?.id()?;
    at().run("archive", &["archive", &gone])?;
    at().run("archive again", &["archive", &gone])?;
    at().exec("resume of an archived", &["resume", &gone, "More"])?;
    at().exec("fork of an archived", &["fork", &gone, "More"])?;
    let other = at().exec("to be unarchived", &["Other old things"])?.id()?;
    at().run("archive another", &["archive", &other])?;
    let before = recency(&other);
    at().run("unarchive", &["unarchive", &other])?;
    lab.note("an unarchive moves recency_at_ms", (recency(&other) != before).to_string());
    at().run("unarchive again", &["unarchive", &other])?;
    let deleted = at().exec("to be deleted", &["Useless things"])?.id()?;
    at().run("delete unasked", &["delete", &deleted])?;
    at().run("delete", &["delete", "--force", &deleted])?;
    at().run("version", &["--version"])?;

    let directory = lab.path("alpha");
    let mut forker = Forker::new(&lab.codex, &lab.version, &view, &directory);
    let cut = forker.fork(id(&login)?, &Cut::Message(2)).map_err(said)?;
    forker.close();
    lab.note(".cut fork", cut.to_string());
    at().exec("in a cut fork", &["resume", &cut.to_string(), "After the cut"])?;
    Ok(())
}

/// How turns fail: by the words that steer the model of the tests.
pub const FAILURES: [&str; 10] = [
    "FAIL400",
    "FAIL401",
    "FAIL403",
    "FAIL500",
    "RATELIMIT",
    "LIMIT3600",
    "OVERLOADED",
    "CONTEXT",
    "NOMODEL",
    "CUT",
];

fn failures(lab: &Lab) -> Outcome {
    for word in FAILURES {
        lab.at("failures", "alpha").exec(word, &[word])?;
    }
    lab.at("failures", "alpha").exec("LIMITX", &["LIMITX"])?;
    // In a session that has had a turn.
    let id = lab.at("failures", "alpha").exec("good before bad", &["Refactor the parser"])?.id()?;
    lab.at("failures", "alpha").exec("bad after good", &["resume", &id, "FAIL400"])?;
    Ok(())
}

/// Turns that are interrupted, and sessions that are in use.
fn signals(lab: &Lab) -> Outcome {
    let at = || lab.at("signals", "beta");
    let slow = |label: &str, words: &[&str]| -> Outcome<_> {
        let words = [&["exec", "--json", "--skip-git-repo-check"], words].concat();
        let mut started = at().start(label, &words)?;
        started.until_asked(words.last().copied().unwrap_or_default())?;
        Ok(started)
    };
    for (label, signal) in [
        ("SIGINT", Signal::INT),
        ("SIGTERM", Signal::TERM),
        ("SIGHUP", Signal::HUP),
        ("SIGKILL", Signal::KILL),
    ] {
        let started = slow(label, &[&format!("SLEEP60 until {label}")])?;
        started.signal(signal)?;
        let id = started.end()?.id()?;
        lab.wait("no process holds the session", || !is_held(lab, &id))?;
        let path = lab.rollout("signals", &id)?;
        let ending = rollout::tail(&path, true).map_err(said)?.ending;
        let is_whole = fs::read(&path).map_err(said)?.ends_with(b"\n");
        lab.note(&format!("rollout after {label}"), format!("{ending:?} newline={is_whole}"));
        at().exec(&format!("after {label}"), &["resume", &id, "And on"])?;
    }
    // The launcher alone.
    let mut started = slow("launcher killed", &["SLEEP4 without a launcher"])?;
    started.kill_alone()?;
    std::thread::sleep(Duration::from_millis(300));
    lab.note("lock after the launcher", started.is_locked().to_string());
    started.until("turn.completed")?;
    lab.wait("the lock is free", || !started.is_locked())?;
    started.end()?;
    // A process that a tool leaves behind.
    let label = "left behind";
    let mut started = at().start(label, &["exec", "--json", "SHELL{(setsid sleep 60 &) ; true} and on"])?;
    started.until("turn.completed")?;
    lab.wait("the lock is free", || !started.is_locked())?;
    lab.note("lock after a tool", format!("{}", started.so_far().took < Duration::from_secs(60)));
    started.end()?;

    let mut first = at().start("first writer", &["exec", "--json", "SLEEP9 alone"])?;
    let id = first.until("thread.started")?.id()?;
    first.until_asked("SLEEP9 alone")?;
    lab.note("held while it runs", is_held(lab, &id).to_string());
    let lock = lab.home("signals").join(format!("thread-writer-locks/{id}.lock"));
    lab.note("lock file while it runs", lock.exists().to_string());
    at().exec("second writer", &["resume", &id, "I too"])?;
    at().exec("fork of a held", &["fork", &id, "Beside"])?;
    first.end()?;
    lab.note("held after its end", is_held(lab, &id).to_string());
    at().exec("after both", &["resume", &id, "Later"])?;

    // A port that nothing listens on.
    let closed = "model_providers.mock.base_url=\"http://127.0.0.1:9/v1\"";
    // It never ends by itself: it must not outlive a program that was interrupted here.
    let codex = lab.codex.to_string_lossy().into_owned();
    let words = ["-s", "KILL", "60", &codex, "exec", "--json", "-c", closed, "Anything"];
    let mut started = at().program("no network", Path::new("timeout"), &words)?;
    let is_there = started.until("\"type\":\"error\"");
    std::thread::sleep(Duration::from_secs(2));
    started.signal(Signal::KILL)?;
    started.end()?;
    is_there.map(drop)
}

/// Whether some process holds a session, as the library sees it.
pub fn is_held(lab: &Lab, id: &str) -> bool {
    let Some(session) = Id::parse(id) else { return false };
    let rollout = lab.rollout("signals", id).unwrap_or_default();
    codex_agent_shared::codex::holder::Holders::default().holds(&lab.home("signals"), session, &rollout)
        == Some(true)
}

/// Command lines with something wrong or unusual.
fn words(lab: &Lab) -> Outcome {
    let at = || lab.at("words", "alpha");
    let id = at().exec("before words", &["Something"])?.id()?;
    let unknown = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";
    at().exec("bad flag", &["--no-such-flag", "A bad flag"])?;
    at().exec("flag after resume", &["resume", "--sandbox=read-only", &id, "A flag behind"])?;
    lab.at("words", "notes").run("not trusted", &["exec", "--json", "Untrusted things"])?;
    at().exec("unknown id", &["resume", unknown, "Of an unknown one"])?;
    at().exec("unknown name", &["resume", "no-such-name", "Of an unknown name"])?;
    at().exec("short id", &["resume", &id[..8], "Of a short id"])?;
    at().exec("fork of an unknown id", &["fork", unknown, "Of an unknown one"])?;
    at().exec("fork of an unknown name", &["fork", "no-such-name", "Of an unknown name"])?;
    at().input("Behind an image").exec("swallowed words", &["-i", "/no/such.png", "resume", &id, "-"])?;
    at().input("Without an image").exec("missing image", &["--image=/no/such.png", "resume", &id, "-"])?;
    at().input("with a NUL\0 inside").exec("NUL", &["-"])?;
    at().input(b"not \xff\xfe text").exec("not UTF-8", &["-"])?;
    at().exec("empty", &["-"])?;
    at().input("").exec("empty resume", &["resume", &id, "-"])?;
    at().input("--json").exec("a prompt like a flag", &["resume", &id, "-"])?;
    at().out("/dev/full").exec("full disk", &["Onto a full disk"])?;
    at().variable("CODEX_HOME", lab.path("no-home")).exec("no home", &["Without a home"])?;
    at().exec("full auto", &["--full-auto", "On its own"])?;
    at().exec("missing provider", &["--config=model_provider=\"none-such\"", "resume", &id, "Who answers?"])?;
    at().run("human", &["exec", "For people"])?;
    let allowed = at().exec("allowed", &["--sandbox=workspace-write", "May write"])?.id()?;
    at().exec("allowed no more", &["resume", &allowed, "May it still?"])?;
    at().exec("ephemeral", &["--ephemeral", "Not kept"])?;
    Ok(())
}

/// Sessions that are reverted or have queued messages, and a database that is rebuilt.
fn odd(lab: &Lab) -> Outcome {
    let at = || lab.at("odd", "alpha");
    let reverted = at().exec("to be reverted", &["One"])?.id()?;
    at().exec("to be reverted again", &["resume", &reverted, "Two"])?;
    let mut server = lab.server("odd", "alpha")?;
    let mut call = |method: &str, params: serde_json::Value| {
        server.call(method, &params).map_err(|failure| said(Error::from(failure)))
    };
    let turns =
        call("thread/turns/list", json!({"threadId": reverted, "sortDirection": "asc", "limit": 100}))?;
    call("thread/resume", json!({"threadId": reverted}))?;
    call("thread/revert", json!({"threadId": reverted, "beforeTurnId": turns["data"][1]["id"]}))?;
    server.close();

    let queued = at().exec("to be queued for", &["Three"])?.id()?;
    at().run("queue", &["queue", "--thread", &queued, "--message", "Queued words"])?;
    let id = Id::parse(&queued).ok_or("no id")?;
    let count =
        codex_agent_shared::codex::state::count_queued_messages(lab.view("odd")?.database_folder(), id);
    lab.note("queued", count.to_string());
    at().exec("with a queue", &["resume", &queued, "Own words"])?;

    // The database is rebuilt from the rollouts.
    let mut server = lab.server("odd", "alpha")?;
    let named = Id::parse(&queued).ok_or("no id")?;
    set_name(&mut server, &lab.view("odd")?, &lab.version, named, "kept name").map_err(said)?;
    server.close();
    for entry in fs::read_dir(lab.home("odd")).map_err(said)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("state") {
            fs::remove_file(entry.path()).map_err(said)?;
        }
    }
    lab.ask("odd", "thread/list", &json!({"limit": 100, "sourceKinds": ["exec", "cli", "vscode"]}))?;

    Ok(())
}

/// A session that Codex compresses, and resumes then. Codex looks for old rollouts only once in a while:
/// the feature is off until there is one.
fn packed(lab: &Lab) -> Outcome {
    let packed = lab.at("packed", "alpha").exec("to be compressed", &["Four"])?.id()?;
    let path = lab.rollout("packed", &packed)?;
    let old = std::time::SystemTime::now() - Duration::from_secs(90 * 86_400);
    fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(old)).map_err(said)?;
    let config = lab.home("packed").join("config.toml");
    let text =
        fs::read_to_string(&config).map_err(said)? + "[features]\nlocal_thread_store_compression = true\n";
    fs::write(&config, text).map_err(said)?;
    let mut server = lab.server("packed", "alpha")?;
    let answer = server.call("rollout/compress", &json!({}));
    lab.note("compress", answer.map_or_else(|failure| said(Error::from(failure)), |_| "done".to_owned()));
    lab.wait("it is compressed", || !path.exists())?;
    server.close();
    let head = rollout::head(&lab.rollout("packed", &packed)?, rollout::Depth::Message).map_err(said)?;
    lab.note("title of a compressed", head.title.unwrap_or_default());
    lab.note(
        ".row of a compressed",
        lab.row("packed", &packed, "rollout_path")?.as_str().unwrap_or_default(),
    );
    lab.at("packed", "alpha").exec("resume of a compressed", &["resume", &packed, "On"])?;
    Ok(())
}

/// Databases that are kept elsewhere.
fn moved(lab: &Lab) -> Outcome {
    for (home, directory) in [("variable", "by-variable"), ("key", "by-key"), ("both", "by-both")] {
        let place = lab.path(directory);
        let elsewhere = lab.path("by-neither");
        for place in [&place, &elsewhere] {
            fs::create_dir_all(place).map_err(said)?;
        }
        let config = lab.home(home).join("config.toml");
        if home != "variable" {
            let text = fs::read_to_string(&config).map_err(said)?;
            fs::write(&config, format!("sqlite_home = {:?}\n{text}", place.display().to_string()))
                .map_err(said)?;
        }
        let variable = if home == "variable" { place } else { elsewhere };
        let job = lab.at(home, "alpha");
        let job = if home == "key" { job } else { job.variable("CODEX_SQLITE_HOME", variable) };
        job.exec(&format!("moved by {home}"), &["Elsewhere"])?;
    }
    Ok(())
}

/// A session of the TUI.
fn terminal(lab: &Lab) -> Outcome {
    let no_daemon = lab.print(&["--help"])?.contains("--no-daemon");
    let line = format!(
        "stty rows 40 cols 120; exec '{}' {} 'Hello from a terminal'",
        lab.codex.display(),
        if no_daemon { "--no-daemon" } else { "" }
    );
    super::screen::run(lab, &line)
}

/// A grey pixel.
const PIXEL: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00\x0aIDATx\x9cch\x00\x00\x00\x82\x00\x81w\xcdr\xb6\x00\x00\x00\x00IEND\xaeB`\x82";

/// The homes whose rollouts are read.
pub const HOMES: [&str; 7] = ["main", "failures", "signals", "words", "odd", "packed", "tui"];

/// Prints the progress.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "facts: {text}");
}
