//! The rules for tools of strangers: good tools keep them, and for each rule there is a bad one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::plugin::world;
use crate::world::{World, bin, json};

/// The folder of the tools of strangers.
fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins")
}

/// The tool in Rust, which cargo has built with the tests.
pub fn tokens() -> PathBuf {
    let built = bin("examples/codex-agent-tokens");
    assert!(built.exists(), "cargo test builds the examples; with --test they need --examples");
    built
}

/// Whether the languages of the tools are there.
fn has(world: &World, programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let there = world.sh(&format!("command -v {program}")).out.contains('/');
        if !there {
            eprintln!("SKIPPED: there is no {program} to run a tool with");
        }
        there
    })
}

/// What each check came to: name, result, what was seen.
fn check(world: &World, words: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let ran = world.run(&[&["codex-agent", "plugin", "check", "--json"], words].concat());
    assert_eq!(ran.err, "", "{words:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = json(&ran.out).into_iter().map(|record| {
        assert_eq!(record["type"], "plugin.check");
        assert!(!record["why"].as_str().unwrap().is_empty());
        (text(&record["check"]), text(&record["result"]), text(&record["seen"]))
    });
    (ran.code, all.collect())
}

fn of<'c>(checks: &'c [(String, String, String)], result: &str) -> Vec<&'c str> {
    checks.iter().filter(|(_, is, _)| is == result).map(|(name, ..)| name.as_str()).collect()
}

/// No sample home is left, whatever a tool did in it.
fn leaves_no_home(world: &World) {
    let left = fs::read_dir(world.path("")).unwrap().flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("-check-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The checks that a tool without input and without records of its own is spared.
const OF_INPUT: [&str; 4] = ["foreign-fields", "foreign-types", "bad-line", "bounded-memory"];

#[test]
fn tools_to_begin_with_keep_every_rule() {
    let world = world();
    if !has(&world, &["python3", "jq"]) {
        return;
    }
    let tools = [
        (plugins().join("codex-agent-today"), OF_INPUT.to_vec()),
        (plugins().join("codex-agent-uniq"), vec![]),
        (tokens(), vec!["completes", "records", "foreign-fields", "foreign-types"]),
    ];
    for (path, skipped) in tools {
        let (code, checks) = check(&world, &[path.to_str().unwrap()]);
        assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{checks:?}");
        assert_eq!(of(&checks, "skipped"), skipped, "{checks:?}");
        assert_eq!(checks.len(), 21);
        let source = if path == tokens() { plugins().join("codex-agent-tokens.rs") } else { path.clone() };
        assert!(fs::read_to_string(source).unwrap().lines().count() < 60, "{}", path.display());
    }
    leaves_no_home(&world);
}

#[test]
fn tools_to_begin_with_are_of_use() {
    let mut world = World::with_home("0.169.0");
    if !has(&world, &["python3", "jq"]) {
        return;
    }
    for name in ["today", "uniq"] {
        let file = format!("codex-agent-{name}");
        fs::create_dir_all(world.path("bin")).unwrap();
        std::os::unix::fs::symlink(plugins().join(&file), world.path("bin").join(&file)).unwrap();
    }
    std::os::unix::fs::symlink(tokens(), world.path("bin/codex-agent-tokens")).unwrap();
    world.set(
        "PATH",
        format!("{}:{}:/usr/bin:/bin", crate::world::bins().display(), world.path("bin").display()),
    );
    let alpha = "/tmp/codex-fixture/projects/alpha";
    let today = world.ok(&["codex-agent", "today", "--since", "2026-01-01"]);
    assert!(today.lines().any(|row| row.starts_with(&format!("{alpha}\t6\t"))), "{today}");
    let uniq = world.sh("codex-agent ls --json | codex-agent uniq | codex-agent find --fields cwd -");
    assert_eq!((uniq.code, uniq.out.lines().count()), (0, 3), "{}{}", uniq.out, uniq.err);
    let tokens = world.sh("codex-agent ls --json | codex-agent tokens");
    assert!(tokens.out.lines().any(|row| row.ends_with(&format!("\t{alpha}"))), "{}", tokens.out);
    let sum: u64 =
        tokens.out.lines().map(|row| row.split('\t').next().unwrap().parse::<u64>().unwrap()).sum();
    let all = world.sh("codex-agent ls --json | jq -s 'map(.tokens_used // 0) | add'");
    assert_eq!(sum.to_string(), all.out.trim());
}

/// What the page of the rules shows, from the line that begins like this.
fn of_the_page(begins: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/codex-agent-plugins.7"));
    let page =
        page.unwrap().replace("\\-", "-").replace("\\(aq", "'").replace("\\&", "").replace("\\(ha", "^");
    let page = page.replace("\\e", "\\");
    let shown = page.split(".nf\n.RS 4\n").find(|part| part.starts_with(begins)).unwrap();
    shown.split(".RE\n").next().unwrap().to_owned()
}

#[test]
fn the_tool_of_readme_keeps_every_rule() {
    let world = world();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let from = readme.find("    #!/bin/sh\n").unwrap();
    let shown = readme[from..].lines().take_while(|line| line.starts_with("    "));
    world.script(
        "bin/codex-agent-branches",
        &shown.map(|line| format!("{}\n", &line[4..])).collect::<String>(),
    );
    let (code, checks) = check(&world, &["branches"]);
    assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{checks:?}");
    assert!(of(&checks, "ok").len() >= 12, "{checks:?}");
    assert_eq!(world.run(&["codex-agent", "plugin", "add", "branches", "--about", "count"]).code, 0);
}

#[test]
fn the_tool_of_the_page_keeps_every_rule() {
    let world = world();
    world.script("bin/codex-agent-branches", &of_the_page("#!/bin/sh\n"));
    let (code, checks) = check(&world, &["branches"]);
    assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{checks:?}");
    assert_eq!(of(&checks, "skipped"), [&["records"], &OF_INPUT[..]].concat());
    assert_eq!(world.run(&["codex-agent", "plugin", "add", "branches"]).code, 0);
    assert_eq!(
        world.ok(&["codex-agent", "plugin", "candidates", "branches", "--since", "t"]),
        "today\tsince midnight\n"
    );
    let mut world = World::with_home("0.169.0");
    world.script("bin/codex-agent-branches", &of_the_page("#!/bin/sh\n"));
    world.set("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()));
    let counts = world.ok(&["codex-agent", "branches"]);
    assert!(counts.lines().any(|line| line.trim() == "4 main"), "{counts}");
}

#[test]
fn the_filter_of_the_page_keeps_the_rules_for_filters() {
    let world = world();
    if !has(&world, &["jq", "awk"]) {
        return;
    }
    let script = format!(
        "#!/bin/sh\nname=codex-agent-branched\n[ \"$1 $2\" != '--generate describe' ] || {{\n\
         echo '{{\"type\":\"tool\",\"name\":\"branched\",\"about\":\"x\",\"reads\":[\"session\"],\"writes\":[\"session\"]}}'\n\
         exit\n}}\n{}",
        of_the_page("jq -Rr ")
    );
    let path = world.script("bin/codex-agent-branched", &script);
    let rules = ["empty-input", "no-escapes", "closed-pipe", "interrupt", "terminate", "records"]
        .into_iter()
        .chain(OF_INPUT);
    let mut words: Vec<&str> = rules.flat_map(|rule| ["--only", rule]).collect();
    words.push(path.to_str().unwrap());
    let (code, checks) = check(&world, &words);
    assert_eq!((code, of(&checks, "ok").len()), (0, 10), "{checks:?}");
}

#[test]
fn the_page_names_every_check() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/codex-agent-plugins.7")).unwrap();
    let section =
        page.split(".SH CHECKING\n").nth(1).unwrap().split(".SH ").next().unwrap().replace("\\-", "-");
    let terms: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix(".B "))
        .flat_map(|line| line.split(", "))
        .collect();
    let world = world();
    let (_, checks) = check(&world, &["status"]);
    let mut names: Vec<&str> = checks.iter().map(|(name, ..)| name.as_str()).collect();
    let mut told = terms.clone();
    names.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, names);
}

#[test]
fn a_tool_that_does_not_say_how_it_works_in_a_pipe_is_told_to() {
    let world = world();
    for (name, why) in [("find", "which is no record"), ("group", "a verb is missing")] {
        let (code, checks) = check(&world, &[name]);
        assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{checks:?}");
        let records = checks.iter().find(|(name, ..)| name == "records").unwrap();
        assert!(records.1 == "skipped" && records.2.contains(why), "{records:?}");
        assert!(records.2.contains("'pipe' names those it needs"), "{records:?}");
    }
}

#[test]
fn our_own_tools_keep_the_rules() {
    let world = world();
    for words in [
        &["find", "--", "--json", "-"][..],
        &["group", "--", "add", "checked", "--json"],
        &["ls", "--", "--json"],
        &["status"],
        &["demo", "true"],
    ] {
        let (code, checks) = check(&world, words);
        assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{words:?}: {checks:?}");
    }
}

#[test]
fn a_plain_script_is_spared_what_it_cannot_know() {
    let world = world();
    let script = "#!/bin/sh\ncase ${1-} in\n-h|--help) echo 'usage: codex-agent plain' ;;\n'') echo done ;;\n\
                  *) echo \"codex-agent-plain: cannot take '$1'\" >&2; exit 2 ;;\nesac\n";
    world.script("bin/codex-agent-plain", script);
    let (code, checks) = check(&world, &["plain"]);
    assert_eq!((code, of(&checks, "failed")), (0, vec![]), "{checks:?}");
    let describe = checks.iter().find(|(name, ..)| name == "describe").unwrap();
    assert!(describe.1 == "skipped" && describe.2.contains("with one it would be listed"), "{describe:?}");
    let made = [
        "name",
        "starts",
        "help",
        "help-short",
        "bad-usage",
        "empty-input",
        "no-escapes",
        "closed-pipe",
        "interrupt",
        "terminate",
        "codex-home",
        "leaves-nothing",
    ];
    assert_eq!(of(&checks, "ok"), made);
}

/// A fault: the checks that fail, and what becomes what in the good tool.
type Fault = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const FAULTS: [Fault; 28] = [
    (
        &["help"],
        &[(
            r#"if word in ("-h", "--help"):"#,
            "if word == '--help':\n            print('codex-agent-uniq helps'); return 1\n        if word == '-h':",
        )],
    ),
    (
        &["help"],
        &[(
            r#"if word in ("-h", "--help"):"#,
            "if word == '--help':\n            return print('You will find out.')\n        if word == '-h':",
        )],
    ),
    (&["help-short"], &[(r#"if word in ("-h", "--help"):"#, "if word == '--help':")]),
    (
        &["bad-usage"],
        &[("return say(f\"cannot take '{word}'\") or 2", "return say(f\"cannot take '{word}'\") or 1")],
    ),
    (
        &["bad-usage"],
        &[("return say(f\"cannot take '{word}'\") or 2", "return print('what?', file=sys.stderr) or 2")],
    ),
    (
        &["bad-usage"],
        &[("return say(f\"cannot take '{word}'\") or 2", "return print('what?') or say('cannot') or 2")],
    ),
    (&["describe"], &[(r#""name": "uniq""#, r#""name": "unique""#)]),
    (&["describe"], &[("return print(json.dumps(ABOUT))", "import time; time.sleep(600)")]),
    (&["generates"], &[(r#""generates": ["describe"]"#, r#""generates": ["describe", "man"]"#)]),
    (
        &["generates"],
        &[
            (r#""generates": ["describe"]"#, r#""generates": ["describe", "bash"]"#),
            (
                "        if word != \"--by\" or",
                "        if word == \"--generate\" and words[:1] == [\"bash\"]:\n            return print(\"complete -F ((\")\n        if word != \"--by\" or",
            ),
        ],
    ),
    (&["completes"], &[(r#"["--by", "--help"]))"#, r#"["--by\033[1m"]))"#)]),
    (
        &["completes"],
        &[(
            r#"return print("\n".join(KEYS"#,
            "import time; time.sleep(600)\n            return print(\"\\n\".join(KEYS",
        )],
    ),
    (&["version"], &[(r#"return print(NAME, ABOUT["version"])"#, "return print(NAME, 'latest')")]),
    (
        &["no-escapes"],
        &[(r#"return print(USAGE, end="")"#, r#"return print("\033[1musage\033[0m: codex-agent-uniq")"#)],
    ),
    (&["closed-pipe"], &[("(signal.SIGINT, signal.SIGPIPE)", "(signal.SIGINT,)")]),
    (&["interrupt"], &[("(signal.SIGINT, signal.SIGPIPE)", "(signal.SIGPIPE,)")]),
    (&["terminate"], &[("sys.exit(main", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsys.exit(main")]),
    (
        &["records", "foreign-fields", "foreign-types"],
        &[("    return status\n", "    print('done', flush=True)\n    return status\n")],
    ),
    (
        &["foreign-fields"],
        &[(
            "sys.stdout.buffer.write(text + b\"\\n\")",
            "record.pop('x_check', 0)\n            sys.stdout.buffer.write(json.dumps(record).encode() + b\"\\n\")",
        )],
    ),
    // What comes after the bad line is looked for by the same record.
    (
        &["foreign-types", "bad-line"],
        &[("if text and not (key[0] and key in seen):", "if text and key[0] and key not in seen:")],
    ),
    (&["bad-line"], &[("status = 2\n", "status = 0\n")]),
    (&["bad-line"], &[("stdin:{number}: {error}", "{error}")]),
    (
        &["codex-home"],
        &[(
            "seen, status = set(), 0",
            "seen, status = set(), 0\n    import os; open(os.environ['CODEX_HOME'] + '/uniq.log', 'a').write('x')",
        )],
    ),
    // It is no filter by its description, and is one.
    (&["records"], &[(r#""writes": ["session"]"#, r#""writes": ["uniq.directory"]"#)]),
    (
        &["leaves-nothing"],
        &[("seen, status = set(), 0", "seen, status = set(), 0\n    open('uniq.log', 'a').write('x')")],
    ),
    (
        &["leaves-nothing"],
        &[(
            "seen, status = set(), 0",
            "seen, status = set(), 0\n    import os; open(os.environ['HOME'] + '/.uniq', 'a').write('x')",
        )],
    ),
    (
        &["terminate", "leaves-nothing"],
        &[(
            "seen, status = set(), 0",
            "seen, status = set(), 0\n    import subprocess\n    subprocess.Popen(['sh', '-c', 'trap \"\" TERM; exec sleep 61'], stdout=sys.stderr)",
        )],
    ),
    (
        &["interrupt"],
        &[
            (
                "seen, status = set(), 0",
                "seen, status = set(), 0\n    import subprocess\n    child = subprocess.Popen(['sh', '-c', 'trap \"\" INT; exec sleep 61'], stdout=sys.stderr)",
            ),
            ("    return status\n", "    child.kill()\n    return status\n"),
        ],
    ),
];

/// Every check but the long one.
fn all_but_the_long_one(world: &World) -> Vec<String> {
    let (_, checks) = check(world, &["status"]);
    let names = checks.into_iter().map(|(name, ..)| name).filter(|name| name != "bounded-memory");
    names.flat_map(|name| ["--only".to_owned(), name]).collect()
}

/// The good tool with something done to it.
fn with_fault(world: &World, at: usize, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(plugins().join("codex-agent-uniq")).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "fault {at} changes nothing: {from}");
        text = text.replace(from, to);
    }
    world.script(&format!("faults/{at}/codex-agent-uniq"), &text).display().to_string()
}

#[test]
fn every_fault_is_caught_by_the_name_of_its_check() {
    let world = world();
    if !has(&world, &["python3", "bash"]) {
        return;
    }
    let only = all_but_the_long_one(&world);
    let catch = |at: usize| {
        let (fails, changes) = FAULTS[at];
        let path = with_fault(&world, at, changes);
        let mut words: Vec<&str> = only.iter().map(String::as_str).collect();
        words.push(&path);
        let (code, checks) = check(&world, &words);
        assert_eq!((code, of(&checks, "failed")), (1, fails.to_vec()), "fault {at}: {checks:?}");
    };
    // Most of a check is waiting.
    std::thread::scope(|scope| {
        for first in 0..4 {
            let catch = &catch;
            scope.spawn(move || (first..FAULTS.len()).step_by(4).for_each(catch));
        }
    });
    leaves_no_home(&world);
}

#[test]
fn a_tool_that_is_slow_to_start_is_not_interrupted_before() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    let path = with_fault(&world, 0, &[("import sys\n", "import sys, time\ntime.sleep(0.8)\n")]);
    let (code, checks) = check(&world, &["--only", "interrupt", "--only", "terminate", &path]);
    let told = |nth: usize| checks[nth].2.as_str();
    assert_eq!((code, of(&checks, "ok").len()), (0, 2), "{checks:?}");
    assert!(told(0).contains("at SIGINT") && told(1).contains("at SIGTERM"), "{checks:?}");
}

#[test]
fn a_tool_that_keeps_all_that_it_reads_is_caught() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    let path = with_fault(&world, 0, &[("text = line", "seen.add((number, line * 4))\n        text = line")]);
    let (code, checks) = check(&world, &["--only", "bounded-memory", &path]);
    assert_eq!((code, of(&checks, "failed")), (1, vec!["bounded-memory"]), "{checks:?}");
    assert!(checks[0].2.contains("more than 256 MiB"), "{checks:?}");
}

#[test]
fn faults_of_name_start_and_empty_input_are_caught() {
    let world = world();
    let good = "#!/bin/sh\necho 'usage: x'\n";
    for name in ["Big", "help", "guide", "ls"] {
        let path = world.script(&format!("other/codex-agent-{name}"), good);
        let (code, checks) = check(&world, &["--only", "name", path.to_str().unwrap()]);
        assert_eq!((code, of(&checks, "failed")), (1, vec!["name"]), "{name}: {checks:?}");
    }
    let path = world.script("other/uniq", good);
    assert_eq!(of(&check(&world, &["--only", "name", path.to_str().unwrap()]).1, "failed"), ["name"]);
    let path = world.script("other/codex-agent-broken", "#!/no/such\n");
    let (code, checks) = check(&world, &[path.to_str().unwrap()]);
    assert_eq!((code, of(&checks, "failed")), (1, vec!["starts"]), "{checks:?}");
    assert_eq!(of(&checks, "skipped").len(), 19);
    let path = world.write("other/codex-agent-plain", good);
    assert_eq!(of(&check(&world, &[path.to_str().unwrap()]).1, "failed"), ["starts"]);
    for fault in [
        "exec sleep 600",
        "kill -SEGV $$",
        "echo 'Traceback (most recent call last):' >&2; exit 1",
        "exit 101",
    ] {
        let script = format!("#!/bin/sh\n[ $# -eq 0 ] || exit 2\n{fault}\n");
        let path = world.script("other/codex-agent-empty", &script);
        let (code, checks) = check(&world, &["--only", "empty-input", path.to_str().unwrap()]);
        assert_eq!((code, of(&checks, "failed")), (1, vec!["empty-input"]), "{fault}: {checks:?}");
    }
    // A title that is not made harmless, from a record and not from a table of ours.
    let title = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncodex-agent ls --json | jq -r .title\n";
    let path = world.script("other/codex-agent-titles", title);
    if has(&world, &["jq"]) {
        let (_, checks) = check(&world, &["--only", "no-escapes", path.to_str().unwrap()]);
        assert_eq!(of(&checks, "failed"), ["no-escapes"], "{checks:?}");
    }
    // One that heeds nothing is no liar, but no good tool either.
    let path = world.script("other/codex-agent-deaf", "#!/bin/sh\necho usage, perhaps\n");
    let (_, checks) = check(&world, &[path.to_str().unwrap()]);
    assert_eq!(of(&checks, "failed"), ["bad-usage"], "{checks:?}");
    assert!(of(&checks, "skipped").contains(&"describe"), "{checks:?}");
    // A folder, and nothing.
    assert_eq!(world.run(&["codex-agent", "plugin", "check", "./other"]).code, 2);
    assert_eq!(world.run(&["codex-agent", "plugin", "check", "./nothing"]).code, 1);
    assert_eq!(world.run(&["codex-agent", "plugin", "check", "nothing"]).code, 1);
}

#[test]
fn a_tool_that_runs_codex_may_change_its_home() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncodex exec --skip-git-repo-check hello >/dev/null\n";
    let path = world.script("bin/codex-agent-asks", script);
    let (_, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
    assert_eq!(of(&checks, "skipped"), ["codex-home"], "{checks:?}");
}

#[test]
fn nothing_that_a_tool_leaves_behind_holds_the_check_up() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncd \"$CODEX_HOME\" && mkfifo pipe\n\
                  ln -s . one; ln -s . two; ln -s . three\n\
                  setsid sleep 30 &\nyes >&2 & exit 0\n";
    let path = world.script("bin/codex-agent-trap", script);
    let start = std::time::Instant::now();
    let (_, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
    assert_eq!(of(&checks, "failed"), ["codex-home"], "{checks:?}");
    assert!(start.elapsed() < Duration::from_secs(25), "it was waited for");
    leaves_no_home(&world);
}

#[test]
fn records_of_every_type_that_we_make_can_be_read_and_others_are_given() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    for kind in ["group", "queue", "prompt", "run", "job", "run.started", "job.completed", "tool"] {
        let path = with_fault(
            &world,
            0,
            &[("[\"session\"]", &format!("[{kind:?}]")), ("== \"session\"", &format!("== {kind:?}"))],
        );
        let (code, checks) =
            check(&world, &["--only", "foreign-fields", "--only", "bad-line", &path, "--", "--by", "id"]);
        assert_eq!((code, of(&checks, "ok")), (0, vec!["foreign-fields", "bad-line"]), "{kind}: {checks:?}");
    }
    let path = with_fault(&world, 0, &[("\"session\"", "\"mine\"")]);
    let only = ["--only", "foreign-fields", path.as_str()];
    let (_, checks) = check(&world, &only);
    assert!(checks[0].1 == "skipped" && checks[0].2.contains("no sample of mine"), "{checks:?}");
    let input =
        world.write("input", "{\"type\":\"mine\",\"cwd\":\"x\"}\n\n{\"type\":\"mine\",\"cwd\":\"y\"}\n");
    let (_, checks) = check(&world, &[&["--input", input.to_str().unwrap()], &only[..]].concat());
    assert!(checks[0].1 == "ok" && checks[0].2.contains("all 2 records"), "{checks:?}");
}

#[test]
fn lines_say_what_was_seen_and_why_it_matters() {
    let world = world();
    world.script("bin/codex-agent-quiet", "#!/bin/sh\n");
    let ran = world.run(&["codex-agent", "plugin", "check", "quiet"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let row = ran.out.lines().find(|row| row.starts_with("failed\thelp\t")).unwrap();
    let cells: Vec<&str> = row.split('\t').collect();
    assert_eq!(cells.len(), 4);
    assert!(
        cells[2].contains("which tells no usage") && cells[3].contains("where no manual page is installed"),
        "{row}"
    );
    let shown = crate::terminal::on_terminal(
        &world,
        &["codex-agent-plugin", "check", "--only", "name", "quiet"],
        100,
    );
    assert!(shown.contains("ok") && shown.contains("1 ok, 0 failed, 0 skipped"), "{shown}");
}

#[test]
fn a_check_that_is_interrupted_cleans_up() {
    let world = world();
    world.script("bin/codex-agent-hang", "#!/bin/sh\necho $$ > \"$0.pid\"\nsleep 600\n");
    let child =
        world.command("codex-agent-plugin").args(["check", "hang"]).stderr(Stdio::piped()).spawn().unwrap();
    while !world.path("bin/codex-agent-hang.pid").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(128 + 15));
    leaves_no_home(&world);
}

#[test]
fn what_is_written_by_every_run_is_seen() {
    for line in [
        "touch \"$CODEX_HOME/planted\"",
        "mkdir -p \"$CODEX_HOME/made\"",
        "rm -rf \"$CODEX_HOME/sessions\"",
        "echo x > \"$CODEX_HOME/note-wal\"",
    ] {
        let world = world();
        let path = world.script("bin/codex-agent-plants", &format!("#!/bin/sh\n{line}\n"));
        let (code, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
        assert_eq!((code, of(&checks, "failed")), (1, vec!["codex-home"]), "{line}: {checks:?}");
    }
}

#[test]
fn a_tool_without_help_is_not_blamed_for_pipes_and_controls_beyond_ascii_are_seen() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || { echo \"codex-agent-plain: cannot take '$1'\" >&2; exit 2; }\necho done\n";
    let path = world.script("bin/codex-agent-plain", script);
    let (_, checks) = check(&world, &["--only", "closed-pipe", path.to_str().unwrap()]);
    assert_eq!(of(&checks, "ok"), ["closed-pipe"], "{checks:?}");
    let path = world.script("bin/codex-agent-beyond", "#!/bin/sh\nprintf 'a\\302\\233b\\n'\n");
    let (code, checks) = check(&world, &["--only", "no-escapes", path.to_str().unwrap()]);
    assert_eq!((code, of(&checks, "failed")), (1, vec!["no-escapes"]), "{checks:?}");
}

#[test]
fn what_a_tool_makes_hard_to_remove_is_removed() {
    let world = world();
    let script = "#!/bin/sh\nmkdir -p \"$TMPDIR/x/y\" && chmod 000 \"$TMPDIR/x\"\n";
    let path = world.script("bin/codex-agent-hard", script);
    let (code, checks) = check(&world, &["--only", "leaves-nothing", path.to_str().unwrap()]);
    assert_eq!((code, of(&checks, "failed")), (1, vec!["leaves-nothing"]), "{checks:?}");
    leaves_no_home(&world);
}

#[test]
fn what_is_no_file_of_records_is_not_fed() {
    let world = World::new();
    world.script("bin/codex-agent-plain", "#!/bin/sh\ntouch ran\n");
    assert_eq!(world.sh("mkfifo pipe; mkdir folder; truncate -s 65M huge").code, 0);
    for (input, why) in [
        ("/dev/zero", "it is a device"),
        ("pipe", "it is a pipe"),
        ("folder", "it is a directory"),
        ("huge", "it is larger than 64 MiB"),
        ("nothing", "no such file or directory"),
    ] {
        // Were it read, it would be without end.
        let line = format!(
            "ulimit -v 2000000; exec timeout 60 codex-agent-plugin check ./bin/codex-agent-plain --input {input}"
        );
        let ran = world.sh(&line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{input}: {}", ran.err);
        assert!(ran.err.contains(&format!("cannot read '{input}': {why}")), "{}", ran.err);
    }
    leaves_no_home(&world);
}
