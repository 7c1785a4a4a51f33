//! A bad tool for each rule of `codex-agent plugin check`, and tools that are hard to try.

use std::fs;
use std::time::Duration;

use crate::plugin::check::{check, has, leaves_no_home, names_with, plugins};
use crate::plugin::world;
use crate::world::World;

/// A fault: the checks that fail, and what becomes what in the good tool.
type Fault = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// How the good tool writes a line; a fault may write `WRITE(record)` for the record that was read.
pub const WRITE: &str = "sys.stdout.buffer.write(text + b\"\\n\")";

const FAULTS: [Fault; 37] = [
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
    // The same record shows whether the tool has read on after the invalid line.
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
    (
        &["bad-usage"],
        &[(
            "        if word != \"--by\" or",
            "        if not word.startswith('-'):\n            continue\n        if word != \"--by\" or",
        )],
    ),
    // Types of its own: no dot, or a word of the package before it.
    (&["records"], &[(r#""writes": ["session"]"#, r#""writes": ["session", "count"]"#)]),
    (&["records"], &[(r#""writes": ["session"]"#, r#""writes": ["session", "job.count"]"#)]),
    // Records of the package that are not as their schema has them.
    (&["records"], &[(WRITE, "record.update({'id': 17, 'name': []} if key[0] else {}); WRITE(record)")]),
    (&["records"], &[(WRITE, "record.pop('git', 0); WRITE(record)")]),
    // Fields of its own: no dot, a word of the package before it, the same one again, twice at once.
    (&["own-fields"], &[(WRITE, "record.update({'state': 'gone'} if key[0] else {}); WRITE(record)")]),
    (&["own-fields"], &[(WRITE, "record.update({'turn.state': 'gone'} if key[0] else {}); WRITE(record)")]),
    (
        &["own-fields"],
        &[(WRITE, "sys.stdout.buffer.write(text[:-1] + (b',\"uniq.a\":1' if key[0] else b'') + b'}\\n')")],
    ),
    (
        &["records", "own-fields"],
        &[(
            WRITE,
            "sys.stdout.buffer.write(text[:-1] + (b',\"uniq.a\":1,\"uniq.a\":1' if key[0] else b'') + b'}\\n')",
        )],
    ),
    // The description declares no filter, and the tool is one.
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
pub fn with_fault(world: &World, at: usize, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(plugins().join("codex-agent-uniq")).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "fault {at} changes nothing: {from}");
        text = text.replace(
            from,
            &to.replace("WRITE(record)", "sys.stdout.buffer.write(json.dumps(record).encode() + b'\\n')"),
        );
    }
    world.script(&format!("faults/{at}/codex-agent-uniq"), &text).display().to_string()
}

#[test]
fn each_check_fails_for_its_fault() {
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
        assert_eq!((code, names_with(&checks, "failed")), (1, fails.to_vec()), "fault {at}: {checks:?}");
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
fn a_tool_that_starts_slowly_is_not_interrupted_early() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    let path = with_fault(&world, 0, &[("import sys\n", "import sys, time\ntime.sleep(0.8)\n")]);
    let (code, checks) = check(&world, &["--only", "interrupt", "--only", "terminate", &path]);
    let told = |nth: usize| checks[nth].2.as_str();
    assert_eq!((code, names_with(&checks, "ok").len()), (0, 2), "{checks:?}");
    assert!(told(0).contains("at SIGINT") && told(1).contains("at SIGTERM"), "{checks:?}");
}

#[test]
fn a_tool_that_buffers_its_input_fails() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    let path = with_fault(&world, 0, &[("text = line", "seen.add((number, line * 4))\n        text = line")]);
    let (code, checks) = check(&world, &["--only", "bounded-memory", &path]);
    assert_eq!((code, names_with(&checks, "failed")), (1, vec!["bounded-memory"]), "{checks:?}");
    assert!(checks[0].2.contains("more than 256 MiB"), "{checks:?}");
}

#[test]
fn faults_of_name_start_and_empty_input_fail() {
    let world = world();
    let good = "#!/bin/sh\necho 'usage: x'\n";
    // Names of the manual page, of a tool, of future tools, and the prefix of a type.
    for name in
        ["Big", "help", "guide", "ls", "show", "grep", "watch", "stats", "pick", "archive", "turn", "job"]
    {
        let path = world.script(&format!("other/codex-agent-{name}"), good);
        let (code, checks) = check(&world, &["--only", "name", path.to_str().unwrap()]);
        assert_eq!((code, names_with(&checks, "failed")), (1, vec!["name"]), "{name}: {checks:?}");
    }
    let path = world.script("other/uniq", good);
    assert_eq!(names_with(&check(&world, &["--only", "name", path.to_str().unwrap()]).1, "failed"), ["name"]);
    let path = world.script("other/codex-agent-broken", "#!/no/such\n");
    let (code, checks) = check(&world, &[path.to_str().unwrap()]);
    assert_eq!((code, names_with(&checks, "failed")), (1, vec!["starts"]), "{checks:?}");
    assert_eq!(names_with(&checks, "skipped").len(), 21);
    let path = world.write("other/codex-agent-plain", good);
    assert_eq!(names_with(&check(&world, &[path.to_str().unwrap()]).1, "failed"), ["starts"]);
    for fault in [
        "exec sleep 600",
        "kill -SEGV $$",
        "echo 'Traceback (most recent call last):' >&2; exit 1",
        "exit 101",
    ] {
        let script = format!("#!/bin/sh\n[ $# -eq 0 ] || exit 2\n{fault}\n");
        let path = world.script("other/codex-agent-empty", &script);
        let (code, checks) = check(&world, &["--only", "empty-input", path.to_str().unwrap()]);
        assert_eq!((code, names_with(&checks, "failed")), (1, vec!["empty-input"]), "{fault}: {checks:?}");
    }
    // A title that is not made harmless, from a record and not from a table of ours.
    let title = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncodex-agent ls --json | jq -r .title\n";
    let path = world.script("other/codex-agent-titles", title);
    if has(&world, &["jq"]) {
        let (_, checks) = check(&world, &["--only", "no-escapes", path.to_str().unwrap()]);
        assert_eq!(names_with(&checks, "failed"), ["no-escapes"], "{checks:?}");
    }
    // A title that is not written as rows have it, with each of the three that spoil one.
    for (jq, what) in [
        (".title", "a bare backslash"),
        (".title | gsub(\"\\\\\\\\\"; \"/\")", "a TAB"),
        (".title | gsub(\"[\\\\\\\\\\t]\"; \" \")", "a newline"),
    ] {
        let script = format!("#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncodex-agent ls --json | jq -r '{jq}'\n");
        let path = world.script("other/codex-agent-titles", &script);
        if has(&world, &["jq"]) {
            let (_, checks) = check(&world, &["--only", "rows", path.to_str().unwrap()]);
            assert_eq!(names_with(&checks, "failed"), ["rows"], "{jq}: {checks:?}");
            assert!(checks[0].2.contains(what), "{checks:?}");
        }
    }
    // A tool that ignores everything has an honest description, and still fails.
    let path = world.script("other/codex-agent-deaf", "#!/bin/sh\necho usage, perhaps\n");
    let (_, checks) = check(&world, &[path.to_str().unwrap()]);
    assert_eq!(names_with(&checks, "failed"), ["bad-usage"], "{checks:?}");
    assert!(names_with(&checks, "skipped").contains(&"describe"), "{checks:?}");
    // A directory, and a missing path.
    world.run(&["codex-agent", "plugin", "check", "./other"]).exits(2);
    world.run(&["codex-agent", "plugin", "check", "./nothing"]).exits(1);
    world.run(&["codex-agent", "plugin", "check", "nothing"]).exits(1);
}

#[test]
fn a_tool_that_runs_codex_may_change_its_home() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncodex exec --skip-git-repo-check hello >/dev/null\n";
    let path = world.script("bin/codex-agent-asks", script);
    let (_, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
    assert_eq!(names_with(&checks, "skipped"), ["codex-home"], "{checks:?}");
}

#[test]
fn a_process_that_a_tool_leaves_behind_does_not_delay_the_check() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || exit 2\ncd \"$CODEX_HOME\" && mkfifo pipe\n\
                  ln -s . one; ln -s . two; ln -s . three\n\
                  setsid sleep 30 &\nyes >&2 & exit 0\n";
    let path = world.script("bin/codex-agent-trap", script);
    let start = std::time::Instant::now();
    let (_, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
    assert_eq!(names_with(&checks, "failed"), ["codex-home"], "{checks:?}");
    assert!(start.elapsed() < Duration::from_secs(25), "it was waited for");
    leaves_no_home(&world);
}

#[test]
fn a_file_that_every_run_writes_is_found() {
    for line in [
        "touch \"$CODEX_HOME/planted\"",
        "mkdir -p \"$CODEX_HOME/made\"",
        "rm -rf \"$CODEX_HOME/sessions\"",
        "echo x > \"$CODEX_HOME/note-wal\"",
    ] {
        let world = world();
        let path = world.script("bin/codex-agent-plants", &format!("#!/bin/sh\n{line}\n"));
        let (code, checks) = check(&world, &["--only", "codex-home", path.to_str().unwrap()]);
        assert_eq!((code, names_with(&checks, "failed")), (1, vec!["codex-home"]), "{line}: {checks:?}");
    }
}

#[test]
fn a_tool_without_help_fails_no_check_of_pipes_and_c1_controls_are_found() {
    let world = world();
    let script = "#!/bin/sh\n[ $# -eq 0 ] || { echo \"codex-agent-plain: cannot take '$1'\" >&2; exit 2; }\necho done\n";
    let path = world.script("bin/codex-agent-plain", script);
    let (_, checks) = check(&world, &["--only", "closed-pipe", path.to_str().unwrap()]);
    assert_eq!(names_with(&checks, "ok"), ["closed-pipe"], "{checks:?}");
    let path = world.script("bin/codex-agent-beyond", "#!/bin/sh\nprintf 'a\\302\\233b\\n'\n");
    let (code, checks) = check(&world, &["--only", "no-escapes", path.to_str().unwrap()]);
    assert_eq!((code, names_with(&checks, "failed")), (1, vec!["no-escapes"]), "{checks:?}");
}

#[test]
fn files_that_are_hard_to_remove_are_removed() {
    let world = world();
    let script = "#!/bin/sh\nmkdir -p \"$TMPDIR/x/y\" && chmod 000 \"$TMPDIR/x\"\n";
    let path = world.script("bin/codex-agent-hard", script);
    let (code, checks) = check(&world, &["--only", "leaves-nothing", path.to_str().unwrap()]);
    assert_eq!((code, names_with(&checks, "failed")), (1, vec!["leaves-nothing"]), "{checks:?}");
    leaves_no_home(&world);
}
