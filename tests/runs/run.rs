//! A run from its prompts to its end: where prompts come from, and the arguments of Codex.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::fake::{Fake, of_type};
use crate::world::json as records;
use crate::world::script::{Scripted, failure_messages};

#[test]
fn a_run_from_end_to_end() {
    let fake = Scripted::new();
    let (ran, events) = fake.events(&["-p", "one", "-p", "list", "-p", "two"]);
    ran.succeeds();
    ran.reports(", 3 at a time, default sandbox of Codex; Ctrl-C stops after the running jobs");
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
    // The log of a run has the same events as its output.
    assert_eq!(records(&fake.0.ok(&["codex-agent-run", "log", "--json"])), events);
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    assert_eq!((&run["state"], &run["counts"]["completed"]), (&json!("finished"), &json!(3)));
    assert_eq!(run["codex"]["version"], "0.169.0");
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    assert!(calls.contains(&format!("exec --json -|{}|1|1", here.display())), "{calls}");
    // For its user alone.
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = fake.runs().remove(0);
    assert_eq!([mode(directory.clone()), mode(directory.join("jobs/1"))], [0o700, 0o700]);
    for file in ["journal.ndjson", "jobs/1/1.prompt", "jobs/1/1.out", "jobs/1/1.err"] {
        assert_eq!(mode(directory.join(file)), 0o600, "{file}");
    }
    let name = directory.file_name().unwrap().to_str().unwrap();
    let world = fs::canonicalize(fake.0.path("")).unwrap();
    let subject = world.file_name().unwrap().to_str().unwrap().to_lowercase();
    assert!(name.ends_with(|c: char| c.is_ascii_hexdigit()) && name.contains("Z-new-"), "{name} {subject}");
}

#[test]
fn prompts_come_from_operands_lines_records_and_files() {
    let fake = Scripted::new();
    let answers = fake.run(&["--answers", "hello"]);
    answers.succeeds().prints("echo: hello\n");
    let lines = "plain\n\n{\"type\":\"prompt\",\"prompt\":\"from a\\nrecord\"}\r\n-dash\n";
    let ran = fake.feed(&["--answers", "-j", "1"], lines);
    ran.succeeds();
    let said: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with("==> ")).collect();
    assert_eq!(said, ["echo: plain", "echo: from arecord", "echo: -dash"]);
    fake.feed(&["--answers", "--text", "-"], "{x}").prints("echo: {x}\n");
    assert_eq!(fake.feed(&["--answers", "-0", "-", "-j1"], "a\nb\0c").out.lines().count(), 4);
    fake.feed(&["--answers", "--prompt-file", "-"], "x\ny").prints("echo: xy\n");
    let big = "y".repeat(5 << 20);
    let file = fake.0.write("big", &big);
    let ran = fake.run(&["--answers", "--prompt-file", file.to_str().unwrap()]);
    ran.succeeds().prints(&*format!("echo: {}\n", &big[..40]));
    assert_eq!(fs::metadata(fake.runs().last().unwrap().join("jobs/1/1.prompt")).unwrap().len(), 5 << 20);
    let dashed = fake.run(&["--answers", "--", "--yolo"]);
    dashed.prints("echo: --yolo\n");
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(!calls.contains("yolo"), "a prompt is no argument");
    let image = fake.0.write("a,b.png", "picture");
    fake.run(&["--image", image.to_str().unwrap(), "look"]).succeeds();
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(calls.contains("/jobs/1/image-1-") && !calls.contains("a,b"), "{calls}");
    let piped = fake.run(&["TABS"]);
    let row = piped.out.lines().find(|row| row.contains("job.failed")).unwrap();
    assert!(row.ends_with("\trefused: a\\tb\\nc"), "{row}");
}

#[test]
fn an_invalid_prompt_starts_nothing() {
    let fake = Scripted::new();
    let all: [(&[&str], &[u8], &str); 9] = [
        (&[""], b"", "the prompt is empty"),
        (&["-p", "good", "-p", " \n"], b"", "the prompt is empty"),
        (&["-"], b"good\na\0b\n", "stdin:2: the prompt contains a NUL character"),
        (&["-"], b"good\n\xff\n", "stdin:2: the prompt is not UTF-8"),
        (&["-"], b"good\n{\"a\":1}\n", "stdin:2: expected a prompt record"),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\"}\n{\"type\":\"job\"}\n", "stdin:2: "),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\",\"session\":\"--yolo\"}\n", "a session id"),
        (&["--jobs"], b"{\"type\":\"job\",\"prompt\":\"a\",\"id\":\"x\"}\n{\"type\":\"job\",\"prompt\":\"b\",\"id\":\"x\"}\n", "two jobs of the run have the id 'x'"),
        (&["--cwd", "nowhere", "x"], b"", "cannot change to 'nowhere'"),
    ];
    for (words, input, want) in all {
        let ran = fake.feed(words, input);
        ran.exits(2);
        ran.reports(want);
    }
    assert_eq!(fake.sent(), Vec::<String>::new());
    assert_eq!(fake.runs(), Vec::<PathBuf>::new(), "a plan that was refused leaves nothing");
    // The output of a dry run is valid input of --jobs.
    let dry = fake.feed(&["--dry-run", "-s", "read-only", "-"], "a\nb\n");
    let ran = fake.feed(&["--jobs", "--json"], &dry.out);
    let modes: Vec<Value> =
        of_type(&records(&ran.out), "job.started").iter().map(|event| event["sandbox"].clone()).collect();
    ran.succeeds();
    assert_eq!(modes, vec![json!("read-only"), json!("read-only")]);
    assert_eq!(fake.sent(), ["a", "b"]);
}

#[test]
fn a_codex_that_cannot_be_run_is_reported() {
    let mut fake = Scripted::new();
    let missing = fake.run(&["--codex", "/no/such/codex", "x"]);
    missing.exits(2).reports("no such file or directory");
    let plain = fake.0.write("plain", "x");
    let ran = fake.run(&["--codex", plain.to_str().unwrap(), "x"]);
    ran.exits(2).reports("it is not an executable file");
    let broken = fake.0.script("broken", "#!/no/such/interpreter\n");
    let ran = fake.run(&["--codex", broken.to_str().unwrap(), "-p", "x", "-p", "y", "--json"]);
    ran.exits(75);
    assert_eq!(&*failure_messages(&records(&ran.out))[0].0, "spawn", "{}", ran.err);
    fake.0.set("CODEX_AGENT_CODEX", "").set("PATH", "bin:./bin::");
    let ran = fake.run(&["x"]);
    ran.exits(2).reports("there is no executable 'codex' on PATH");
    let absolute = fake.0.path("bin");
    fake.0.set("PATH", format!("bin:{}:/usr/bin:/bin", absolute.display()));
    fake.run(&["x"]).succeeds();
    assert_eq!(fake.sent(), ["x"]);
    fake.0.set("CODEX_AGENT_DEPTH", "3");
    let ran = fake.run(&["x"]);
    ran.exits(2).reports("may not be nested");
}

#[test]
fn codex_gets_the_options_of_the_command_line() {
    let fake = Fake::newest();
    let schema = fake.0.write("work/a,schema.json", "{}");
    let argv = |words: &[&str]| {
        let ran = fake.tool(&[&["run", "x"], words].concat());
        ran.succeeds();
        let sent = fake.sent().pop().unwrap();
        sent["argv"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let bypass = "--dangerously-bypass-approvals-and-sandbox";
    assert_eq!(argv(&[bypass]), format!("exec --json {bypass} -"));
    assert_eq!(
        argv(&["--codex-arg=--add-dir=/tmp", "-m", "o", "-c", "a=b"]),
        "exec --add-dir=/tmp --json --model=o --config=a=b -"
    );
    let told = argv(&["--output-schema", schema.to_str().unwrap()]);
    assert!(
        told.starts_with("exec --json --output-schema=/")
            && told.contains("/schema-")
            && told.ends_with(".json -")
            && !told.contains(','),
        "{told}"
    );
    let before = fake.sent().len();
    for (words, want) in [
        (&["--codex-arg=x"][..], "invalid argument 'x' for Codex: expected --FLAG or --FLAG=VALUE"),
        (&["--codex-arg=-"], "invalid argument '-' for Codex"),
        (&["--codex-arg=--"], "invalid argument '--' for Codex"),
        (&["--codex-arg="], "invalid argument '' for Codex"),
        (&[bypass, "--sandbox", "read-only"], "cannot be combined with --sandbox"),
        (&["--output-schema", "nowhere.json"], "cannot open the schema 'nowhere.json'"),
        (&["-c", "x"], "expected KEY=VALUE"),
    ] {
        let ran = fake.tool(&[&["run", "x"], words].concat());
        ran.exits(2).reports(want);
    }
    // A flag without its value does not consume our arguments, and no other session gets the prompt.
    let id = fake.begin("mine");
    for word in ["--image", "--model", "-i"] {
        let ran = fake.tool(&["resume", &id, "--prompt", "x", &format!("--codex-arg={word}")]);
        ran.case(word).exits(1);
    }
    assert_eq!(fake.sent().len(), before + 1);
    let ran = fake.tool(&["run", "--json", "--events", "x"]);
    let events = records(&ran.out);
    let own: Vec<&str> =
        of_type(&events, "job.event").iter().map(|event| event["event"]["type"].as_str().unwrap()).collect();
    assert_eq!(own, ["thread.started", "turn.started", "item.completed", "turn.completed"]);
    let log = fs::read_to_string(fake.runs().pop().unwrap().join("journal.ndjson")).unwrap();
    assert!(!log.contains("job.event"));
}
