//! The engine, driven through its executable with a Codex that is a script: what is promised about
//! crashes, stops, locks and odd input.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codex_agent_engine::liveness;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::{Ran, World, json as records};

/// A Codex without a model. Nothing is sent before `thread.started`, and what is sent is logged; words in
/// the prompt say how the turn goes.
pub const CODEX: &str = r#"#!/bin/sh
case $1 in --version) echo "codex-cli 0.169.0"; exit 0 ;; esac
echo "$*|$(pwd)|$CODEX_AGENT_JOB|$CODEX_AGENT_DEPTH" >> "$FAKE/calls"
prompt=$(cat)
id=$(cat /proc/sys/kernel/random/uuid)
case "$*" in *" resume "*) id=${*##* resume }; id=${id% -} ;; esac
say() { printf '%s\n' "$1"; }
case $prompt in
*EXITS*) echo "Error: boom" >&2; exit 3 ;;
*BUSY*) if [ "$(wc -l < "$FAKE/calls")" -lt 3 ]; then
    echo "Error: thread/resume: thread/resume failed: thread $id already has an active writer (code -32600)" >&2; exit 1; fi ;;
*UNTRUSTED*) echo "Not inside a trusted directory and --skip-git-repo-check was not specified." >&2; exit 1 ;;
*OTHER*) id=$(cat /proc/sys/kernel/random/uuid) ;;
*DEAF*) trap '' INT TERM ;;
*SLOWSTART*) sleep 0.3 ;;
esac
say "{\"type\":\"thread.started\",\"thread_id\":\"$id\"}"
say '{"type":"turn.started"}'
printf '%.60s\n' "$prompt" >> "$FAKE/sent"
case $prompt in
*GARBAGE*) say 'no json'; say '{"type":"new.thing","x":[1]}'; printf '\377\376\n' ;;
*LONG*) printf '{"type":"item.completed","item":{"type":"reasoning","text":"'; head -c 30000000 /dev/zero | tr '\0' x; say '"}}' ;;
*AUTH*) say '{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: no"}}'; exit 1 ;;
*TABS*) say '{"type":"turn.failed","error":{"message":"a\tb\nc"}}'; exit 1 ;;
*FAILS*) say '{"type":"turn.failed","error":{"message":"boom"}}'; exit 1 ;;
*DIES*) kill -9 $$ ;;
*DEAF*) for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1; done ;;
*HANGS*) exec sleep 60 ;;
*SLEEPS*) sleep 1 ;;
*) sleep 0.03 ;;
esac
say "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"agent_message\",\"text\":\"echo: $(printf '%.40s' "$prompt" | tr -d '\n\r"\\')\"}}"
say '{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":7}}'
case $prompt in
*BADEND*) exit 4 ;;
*LINGERS*) exec sleep 60 ;;
*LEAVES*) sleep 60 & ;;
esac
"#;

/// A world with such a Codex on its path.
pub struct Fake(pub World);

impl Fake {
    pub fn new() -> Fake {
        Fake::over(World::new())
    }

    pub fn over(mut world: World) -> Fake {
        world.script("bin/codex", CODEX);
        fs::create_dir(world.path("fake")).unwrap();
        let folder = world.path("fake");
        world.set("FAKE", folder.to_str().unwrap());
        let codex = world.path("bin/codex");
        world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
        Fake(world)
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        let mut all = vec!["codex-agent-run"];
        all.extend(words);
        self.0.run(&all)
    }

    pub fn feed(&self, words: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut all = vec!["codex-agent-run"];
        all.extend(words);
        self.0.feed(&all, input)
    }

    pub fn events(&self, words: &[&str]) -> (Ran, Vec<Value>) {
        let mut all = words.to_vec();
        all.push("--json");
        let ran = self.run(&all);
        let events = records(&ran.out);
        (ran, events)
    }

    pub fn spawn(&self, words: &[&str]) -> Child {
        let mut command: Command = self.0.command("codex-agent-run");
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn sent(&self) -> Vec<String> {
        let mut sent: Vec<String> = fs::read_to_string(self.0.path("fake/sent"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        sent.sort();
        sent
    }

    pub fn wait_for_sent(&self, count: usize) {
        let patience = Instant::now() + Duration::from_secs(20);
        while self.sent().len() < count {
            assert!(Instant::now() < patience, "only {:?} was sent", self.sent());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn runs(&self) -> Vec<PathBuf> {
        let runs = self.0.path("home/.local/state/codex-agent/runs");
        let mut runs: Vec<PathBuf> =
            fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        runs.sort_by_key(|run| fs::metadata(run.join("journal.ndjson")).unwrap().created().unwrap());
        runs
    }

    pub fn journal(&self) -> PathBuf {
        self.runs().last().unwrap().join("journal.ndjson")
    }
}

pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

pub fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

pub fn failures(events: &[Value]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = of_type(events, "job.failed")
        .iter()
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&event["failure"]["class"]), text(&event["failure"]["message"]))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_run_from_end_to_end() {
    let fake = Fake::new();
    let (ran, events) = fake.events(&["one", "-p", "list", "two"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("3 jobs, 3 at a time; Ctrl-C stops after the running jobs"), "{}", ran.err);
    assert_eq!(fake.sent(), ["list", "one", "two"]);
    let steps = |job: &str| -> Vec<String> {
        let of_job = events.iter().filter(|event| event["job"] == job);
        of_job.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(steps("1"), ["job.started", "job.spawned", "job.session", "job.completed"]);
    let completed = of_type(&events, "job.completed");
    assert_eq!(completed[0]["usage"], json!({"input_tokens": 100, "output_tokens": 7}));
    let last = events.last().unwrap();
    assert_eq!((last["type"].as_str(), &last["counts"]["completed"]), (Some("run.completed"), &json!(3)));
    // What is told later is what was told at the time.
    assert_eq!(records(&fake.0.ok(&["codex-agent-run", "log", "--json"])), events);
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    assert_eq!((&run["state"], &run["counts"]["completed"]), (&json!("finished"), &json!(3)));
    assert_eq!(run["codex"]["version"], "0.169.0");
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    assert!(calls.contains(&format!("exec --json -|{}|1|1", here.display())), "{calls}");
    // For its user alone.
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = fake.runs().remove(0);
    assert_eq!([mode(folder.clone()), mode(folder.join("jobs/1"))], [0o700, 0o700]);
    for file in ["journal.ndjson", "jobs/1/1.prompt", "jobs/1/1.out", "jobs/1/1.err"] {
        assert_eq!(mode(folder.join(file)), 0o600, "{file}");
    }
    let name = folder.file_name().unwrap().to_str().unwrap();
    let world = fs::canonicalize(fake.0.path("")).unwrap();
    let subject = world.file_name().unwrap().to_str().unwrap().to_lowercase();
    assert!(name.ends_with(|c: char| c.is_ascii_hexdigit()) && name.contains("Z-new-"), "{name} {subject}");
}

#[test]
fn prompts_come_from_everywhere() {
    let fake = Fake::new();
    let answers = fake.run(&["--answers", "hello"]);
    assert_eq!((answers.out.as_str(), answers.code), ("echo: hello\n", 0));
    let lines = "plain\n\n{\"type\":\"prompt\",\"prompt\":\"from a\\nrecord\"}\r\n-dash\n";
    let ran = fake.feed(&["--answers", "-j", "1"], lines);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with("==> ")).collect();
    assert_eq!(said, ["echo: plain", "echo: from arecord", "echo: -dash"]);
    assert_eq!(fake.feed(&["--answers", "--text", "-"], "{x}").out, "echo: {x}\n");
    assert_eq!(fake.feed(&["--answers", "-0", "-", "-j1"], "a\nb\0c").out.lines().count(), 4);
    assert_eq!(fake.feed(&["--answers", "--prompt-file", "-"], "x\ny").out, "echo: xy\n");
    let big = "y".repeat(5 << 20);
    let file = fake.0.write("big", &big);
    let ran = fake.run(&["--answers", "--prompt-file", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str()), (0, &*format!("echo: {}\n", &big[..40])));
    assert_eq!(fs::metadata(fake.runs().last().unwrap().join("jobs/1/1.prompt")).unwrap().len(), 5 << 20);
    let dashed = fake.run(&["--answers", "--", "--yolo"]);
    assert_eq!(dashed.out, "echo: --yolo\n");
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(!calls.contains("yolo"), "a prompt is no argument");
    let image = fake.0.write("a,b.png", "picture");
    assert_eq!(fake.run(&["--image", image.to_str().unwrap(), "look"]).code, 0);
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(calls.contains("/jobs/1/image-1-") && !calls.contains("a,b"), "{calls}");
    let piped = fake.run(&["TABS"]);
    let row = piped.out.lines().find(|row| row.contains("job.failed")).unwrap();
    assert!(row.ends_with("\trefused: a\\tb\\nc"), "{row}");
}

#[test]
fn what_cannot_be_a_prompt_starts_nothing() {
    let fake = Fake::new();
    let all: [(&[&str], &[u8], &str); 9] = [
        (&[""], b"", "the prompt is empty"),
        (&["good", " \n"], b"", "the prompt is empty"),
        (&["-"], b"good\na\0b\n", "stdin:2: the prompt contains a NUL character"),
        (&["-"], b"good\n\xff\n", "stdin:2: the prompt is not UTF-8"),
        (&["-"], b"good\n{\"a\":1}\n", "stdin:2: expected a prompt record"),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\"}\n{\"type\":\"job\"}\n", "stdin:2: "),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\",\"session\":\"--yolo\"}\n", "a session id"),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\",\"id\":\"x\"}\n{\"type\":\"job\",\"prompt\":\"b\",\"id\":\"x\"}\n", "two jobs 'x'"),
        (&["--cwd", "nowhere", "x"], b"", "cannot change to 'nowhere'"),
    ];
    for (words, input, want) in all {
        let ran = fake.feed(words, input);
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.contains(want), "{words:?}: {}", ran.err);
    }
    assert_eq!(fake.sent(), Vec::<String>::new());
    assert_eq!(fake.runs(), Vec::<PathBuf>::new(), "a plan that was refused leaves nothing");
    // What is printed by a dry run is what --jobs takes.
    let dry = fake.feed(&["--dry-run", "-s", "read-only", "-"], "a\nb\n");
    let ran = fake.feed(&["--jobs", "--json"], &dry.out);
    let modes: Vec<Value> =
        of_type(&records(&ran.out), "job.started").iter().map(|event| event["sandbox"].clone()).collect();
    assert_eq!((ran.code, modes), (0, vec![json!("read-only"), json!("read-only")]));
    assert_eq!(fake.sent(), ["a", "b"]);
}

#[test]
fn failures_have_a_class() {
    let fake = Fake::new();
    let prompts =
        ["EXITS", "UNTRUSTED", "FAILS", "DIES", "BADEND", "GARBAGE", "LONG", "fine"].map(str::to_owned);
    let words: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let (ran, events) = fake.events(&words);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let failures = failures(&events);
    let classes: Vec<&str> = failures.iter().map(|(class, _)| class.as_str()).collect();
    assert_eq!(classes, ["crashed", "crashed", "interrupted", "not_trusted", "refused"]);
    assert_eq!(failures[0].1, "Codex ended with 3 before it began: Error: boom");
    assert_eq!(failures[1].1, "the turn was completed, but then Codex ended with 4");
    assert_eq!(failures[2].1, "Codex was killed by signal 9 in the middle of the turn");
    assert_eq!(of_type(&events, "job.completed").len(), 3);
    assert_eq!(events.last().unwrap()["type"], "run.completed");
    // A finished run has its failures, and is finished.
    assert_eq!(fake.run(&["continue"]).code, 0);
    assert_eq!(fake.sent().len(), 6);
}

#[test]
fn one_failed_login_stops_the_run() {
    let fake = Fake::new();
    let mut input = "AUTH\n".to_owned();
    (0..9).for_each(|n| input.push_str(&format!("job {n}\n")));
    let ran = fake.feed(&["-j", "1", "-", "--json"], &input);
    assert_eq!(ran.code, 75, "{}", ran.err);
    let events = records(&ran.out);
    assert_eq!(failures(&events)[0].0, "auth");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["why"], &last["left"]),
        (&json!("run.stopped"), &json!("auth"), &json!(10))
    );
    // The job that found out is done again, and says so.
    fake.0.script("bin/codex", &CODEX.replace("*AUTH*)", "*NEVER*)"));
    let (ran, events) = fake.events(&["continue"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let resent: Vec<&Value> =
        of_type(&events, "job.started").into_iter().filter(|event| event["resent"] == true).collect();
    assert_eq!((resent.len(), &resent[0]["job"], &resent[0]["attempt"]), (1, &json!("1"), &json!(2)));
    assert_eq!(resent[0]["session"], json!(null), "a new attempt is a new session");
    let of_first = |kind: &str| of_type(&events, kind).into_iter().find(|event| event["job"] == "1").unwrap();
    assert_eq!(of_first("job.session")["session"], of_first("job.completed")["session"]);
    assert_eq!(fake.sent().len(), 11);
    let (ran, events) = fake.events(&["-j1", "--max-failures", "1", "FAILS", "x", "y"]);
    assert_eq!((ran.code, &events.last().unwrap()["why"]), (75, &json!("max_failures")));
}

#[test]
fn a_codex_that_cannot_be_run() {
    let mut fake = Fake::new();
    let missing = fake.run(&["--codex", "/no/such/codex", "x"]);
    assert!(missing.code == 2 && missing.err.contains("no such file or directory"), "{}", missing.err);
    let plain = fake.0.write("plain", "x");
    let ran = fake.run(&["--codex", plain.to_str().unwrap(), "x"]);
    assert!(ran.code == 2 && ran.err.contains("it is not an executable file"), "{}", ran.err);
    let broken = fake.0.script("broken", "#!/no/such/interpreter\n");
    let ran = fake.run(&["--codex", broken.to_str().unwrap(), "x", "y", "--json"]);
    assert_eq!((ran.code, &*failures(&records(&ran.out))[0].0), (75, "spawn"), "{}", ran.err);
    fake.0.set("CODEX_AGENT_CODEX", "").set("PATH", "bin:./bin::");
    let ran = fake.run(&["x"]);
    assert!(ran.code == 2 && ran.err.contains("there is no codex on PATH"), "{}", ran.err);
    let absolute = fake.0.path("bin");
    fake.0.set("PATH", format!("bin:{}:/usr/bin:/bin", absolute.display()));
    assert_eq!(fake.run(&["x"]).code, 0);
    assert_eq!(fake.sent(), ["x"]);
    fake.0.set("CODEX_AGENT_DEPTH", "3");
    let ran = fake.run(&["x"]);
    assert!(ran.code == 2 && ran.err.contains("may not be nested"), "{}", ran.err);
}

#[test]
fn two_hundred_jobs_at_sixteen_at_once_stay_flat() {
    let fake = Fake::new();
    let input: String = (0..200).map(|n| format!("job {n}\n")).collect();
    fake.0.write("prompts", input);
    let mut command = fake.0.command("sh");
    command.args(["-c", "exec codex-agent-run -j 16 --json - < prompts"]).stdout(Stdio::null());
    let mut runner = command.stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", runner.id());
    let descriptors = format!("/proc/{}/fd", runner.id());
    let (mut early, mut most, mut open) = (0, 0, 0);
    while runner.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
        open = open.max(fs::read_dir(&descriptors).map_or(0, Iterator::count));
        let done = fake.sent().len();
        if done < 40 {
            early = early.max(kib);
        }
        most = most.max(kib);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(runner.wait().unwrap().code(), Some(0));
    assert_eq!(fake.sent().len(), 200);
    println!("200 jobs at 16: {early} KiB early, {most} KiB at most, {open} descriptors");
    assert!(most < 30 << 10 && most < early + 4096, "{early} KiB, then {most} KiB");
    assert!(open < 16 + 24, "{open} descriptors");
}

/// The sessions of a recorded home, whose rollouts are really there.
fn with_sessions() -> (Fake, Vec<String>) {
    let fake = Fake::over(World::with_home("0.169.0"));
    let list = records(&fake.0.ok(&["codex-agent-ls", "--json"]));
    let ids = list.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    (fake, ids)
}

fn job(session: &str, prompt: &str, cwd: &std::path::Path) -> String {
    format!("{}\n", json!({"type": "job", "session": session, "prompt": prompt, "cwd": cwd}))
}

#[test]
fn sessions_are_resumed_and_only_those() {
    let (fake, ids) = with_sessions();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let input = [
        job(&ids[0], "go on", &here),
        job(&ids[1], "OTHER", &here),
        job("01a202e0-0000-7000-8000-000000000000", "nobody", &here),
        format!("{}\n", json!({"type": "job", "session": ids[2], "prompt": "its directory is gone"})),
        format!(
            "{}\n",
            json!({"type": "job", "session": ids[3], "prompt": "x", "cwd": here, "images": ["/no/pic.png"]})
        ),
        job(&ids[0], "and again", &here),
    ]
    .concat();
    let ran = fake.feed(&["--jobs", "--json"], &input);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let events = records(&ran.out);
    let classes: Vec<String> = failures(&events).into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, ["cwd", "not_found", "refused", "wrong_session"], "{}", ran.out);
    let completed: Vec<&Value> = of_type(&events, "job.completed");
    assert_eq!(
        completed.iter().map(|event| event["session"].as_str().unwrap()).collect::<Vec<_>>(),
        [&ids[0], &ids[0]]
    );
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(calls.contains(&format!("exec --json --sandbox=read-only resume {} -|", ids[0])), "{calls}");
    // Two jobs of one session never run at once, and keep their order.
    let at = |kind: &str, job: &str| {
        events.iter().position(|event| event["type"] == kind && event["job"] == job).unwrap()
    };
    assert!(at("job.completed", "1") < at("job.started", "6"));
}

#[test]
fn a_busy_session_is_waited_for_skipped_or_failed() {
    let (fake, ids) = with_sessions();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let input = job(&ids[0], "BUSY", &here);
    for (policy, code, kind) in [("fail", 1, "job.failed"), ("skip", 0, "job.skipped")] {
        fs::remove_file(fake.0.path("fake/calls")).ok();
        let ran = fake.feed(&["--jobs", "--json", "--on-busy", policy], &input);
        assert_eq!((ran.code, of_type(&records(&ran.out), kind).len()), (code, 1), "{policy} {}", ran.out);
    }
    fs::remove_file(fake.0.path("fake/calls")).ok();
    let ran = fake.feed(&["--jobs", "--json"], &input);
    let events = records(&ran.out);
    assert_eq!((ran.code, of_type(&events, "job.completed").len()), (0, 1), "{}", ran.out);
    assert_eq!(of_type(&events, "job.completed")[0]["attempt"], 3);
    assert!(ran.err.contains("already has an active writer") && ran.err.contains("; waiting"), "{}", ran.err);
    assert_eq!(fake.sent().len(), 1);
    // Another run of ours that drives it is the same, and is seen before anything is started.
    let mut other = fake.0.command("sh");
    fake.0.write("job", job(&ids[0], "SLEEPS", &here));
    let mut other = other.args(["-c", "codex-agent-run --jobs < job"]).stdout(Stdio::null()).spawn().unwrap();
    fake.wait_for_sent(2);
    let ran = fake.feed(&["--jobs", "--json", "--on-busy=fail"], job(&ids[0], "x", &here));
    assert_eq!(failures(&records(&ran.out))[0].1, format!("session '{}' is driven by another job", ids[0]));
    let ran = fake.feed(&["--jobs", "--json", "--on-busy=wait=20s"], job(&ids[0], "after", &here));
    assert_eq!(ran.code, 0, "{}", ran.err);
    other.wait().unwrap();
    assert_eq!(fake.sent(), ["BUSY", "SLEEPS", "after"]);
}

#[test]
fn after_another_boot_nothing_is_taken_for_unsent() {
    let fake = Fake::new();
    let mut runner = fake.spawn(&["-j1", "SLOWSTART", "next"]);
    let patience = Instant::now() + Duration::from_secs(10);
    while !fs::read_to_string(fake.0.path("fake/calls")).unwrap_or_default().contains("exec --json") {
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let out = fake.runs()[0].join("jobs/1/1.out");
    while liveness::may_be_locked(&out) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let journal = fake.journal();
    let text = fs::read_to_string(&journal).unwrap();
    // As a power cut leaves it: another boot, and less in the output than Codex printed.
    fs::write(&journal, text.replace(&liveness::boot().unwrap(), "00000000-0000-4000-8000-000000000000"))
        .unwrap();
    fs::write(&out, "").unwrap();
    let (ran, events) = fake.events(&["continue"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(failures(&events)[0].0, "interrupted");
    assert_eq!(fake.sent(), ["SLOWSTART", "next"]);
}

#[test]
fn an_older_codex_is_kept_from_what_it_would_damage() {
    let (fake, ids) = with_sessions();
    fake.0.script("bin/codex", &CODEX.replace("codex-cli 0.169.0", "codex-cli 0.137.0"));
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let ran = fake.feed(&["--jobs", "--json"], job(&ids[0], "x", &here));
    let (class, message) = failures(&records(&ran.out)).remove(0);
    assert_eq!((ran.code, class.as_str()), (1, "refused"));
    assert!(message.contains("0.137.0") && message.contains("0.169.0"), "{message}");
    assert_eq!(fake.sent(), Vec::<String>::new());
}
