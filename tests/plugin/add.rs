//! External tools and their descriptions. No external tool is run only to be listed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::plugin::{DESCRIBED, listed, own, plugin, runs, world};
use crate::world::fake::wait_until;
use crate::world::json;

#[test]
fn an_external_tool_is_run_once_and_then_described_by_a_file() {
    let world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    assert_eq!(
        (&listed(&world, "told")["about"], &listed(&world, "told")["description"]),
        (&Value::Null, &json!("none"))
    );
    let ran = plugin(&world, &["describe", "told"]);
    ran.exits(1).prints("");
    ran.reports("'codex-agent plugin add told' asks the tool");
    assert!(runs(&world).is_empty(), "it was run to be listed");

    let ran = plugin(&world, &["add", "told", "--json"]);
    ran.succeeds().reports_exactly("");
    let added = &json(&ran.out)[0];
    assert_eq!((&added["about"], &added["reads"]), (&json!("tell of itself"), &json!(["session"])));
    assert_eq!(runs(&world), ["--generate describe"]);
    let told = listed(&world, "told");
    assert_eq!(
        (&told["about"], &told["version"], &told["description"], &told["ours"]),
        (&json!("tell of itself"), &json!("3.1"), &json!("known"), &json!(false))
    );
    let row = world.ok(&["codex-agent", "plugin", "list"]);
    let row = row.lines().find(|row| row.starts_with("told\t")).unwrap().to_owned();
    let path = world.path("bin/codex-agent-told").display().to_string();
    assert_eq!(row, format!("told\ttell of itself\t{path}\t\t3.1\tknown"));
    let row = world.ok(&["codex-agent", "--list"]);
    assert!(row.contains(&format!("told\ttell of itself\t{path}\t\n")), "{row}");
    let lines = world.ok(&["codex-agent", "plugin", "describe", "told"]);
    assert!(lines.contains("version\t3.1\n") && lines.contains("completes\tyes\n"), "{lines}");
    let whole = json(&world.ok(&["codex-agent", "plugin", "describe", "told", "--json"]))[0].clone();
    assert_eq!((&whole["generates"], &whole["completes"]), (&json!(["man", "describe"]), &json!(true)));
    assert_eq!(runs(&world).len(), 1, "it was run to be described");
    // The file is the record that the tool printed, to the byte, and the user's alone.
    let printed = world.run(&["codex-agent", "told", "--generate", "describe"]).out;
    assert_eq!(fs::read_to_string(own(&world, "told")).unwrap(), printed);
    assert!(printed.contains("\"later\":1e400"), "{printed}");
    assert_eq!(fs::metadata(own(&world, "told")).unwrap().permissions().mode() & 0o777, 0o600);

    // The file describes the tool until it is removed, also after the executable has changed or is missing.
    world.script("bin/codex-agent-told", &DESCRIBED.replace("3.1", "3.2"));
    assert_eq!(listed(&world, "told")["version"], "3.1");
    plugin(&world, &["add", "told"]).succeeds();
    assert_eq!(listed(&world, "told")["version"], "3.2");
    fs::remove_file(world.path("bin/codex-agent-told")).unwrap();
    plugin(&world, &["remove", "told"]).succeeds();
    let left: Vec<_> = fs::read_dir(own(&world, "told").parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let ran = plugin(&world, &["remove", "told"]);
    ran.exits(1).reports("there is no description of the tool 'told'");
}

#[test]
fn a_package_ships_a_description_and_the_users_own_comes_first() {
    let mut world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    world.set(
        "XDG_DATA_DIRS",
        format!("relative:{0}/early:{0}/late", world.path("").to_str().unwrap().trim_end_matches('/')),
    );
    let record =
        |about: &str| format!(r#"{{"type":"tool","name":"told","about":"{about}","completes":true}}"#);
    // A relative directory would be another one wherever codex-agent is run.
    world.write("relative/codex-agent/tools/told.json", record("relative"));
    assert_eq!(listed(&world, "told")["description"], "none");
    // A package below a prefix of its own, whose executable is a link.
    world.script("opt/told/bin/codex-agent-told", DESCRIBED);
    fs::remove_file(world.path("bin/codex-agent-told")).unwrap();
    symlink("../opt/told/bin/codex-agent-told", world.path("bin/codex-agent-told")).unwrap();
    let beside = world.write("opt/told/share/codex-agent/tools/told.json", record("beside"));
    assert_eq!(listed(&world, "told")["about"], "beside");
    plugin(&world, &["candidates", "told", ""]).prints("one\ttwo\n");
    plugin(&world, &["remove", "told"]).exits(2).reports("opt/told/share");
    assert_eq!(runs(&world), ["--generate complete -- "], "the tool was run to be listed");
    fs::remove_file(beside).unwrap();
    let late = world.write("late/codex-agent/tools/told.json", record("late"));
    assert_eq!(listed(&world, "told")["about"], "late");
    let early = world.write("early/codex-agent/tools/told.json", record("early"));
    assert_eq!(listed(&world, "told")["about"], "early");
    plugin(&world, &["candidates", "told", ""]).prints("one\ttwo\n");
    let ran = plugin(&world, &["remove", "told"]);
    ran.exits(2).reports(&*early.to_string_lossy());

    plugin(&world, &["add", "told", "--about", "in my words"]).succeeds();
    assert_eq!(listed(&world, "told")["about"], "in my words");
    let mine = fs::read_to_string(own(&world, "told")).unwrap();
    assert_eq!(json(&mine), [json!({"type": "tool", "name": "told", "about": "in my words"})]);
    world.set("XDG_DATA_HOME", world.path("data").display().to_string());
    assert_eq!(listed(&world, "told")["about"], "early");
    plugin(&world, &["add", "told", "--about", "elsewhere"]).succeeds();
    assert!(world.path("data/codex-agent/tools/told.json").exists());
    world.set("XDG_DATA_HOME", "");
    plugin(&world, &["remove", "codex-agent-told"]).succeeds();
    assert_eq!(listed(&world, "told")["about"], "early");
    assert!(early.exists() && late.exists());
}

#[test]
fn a_file_of_the_first_release_is_ignored() {
    let world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    for text in ["{", r#"{"plugins":[{"path":"/x/codex-agent-told","about":"old"}]}"#] {
        let old = world.write("home/.local/state/codex-agent/plugins.json", text);
        assert_eq!(listed(&world, "told")["description"], "none");
        plugin(&world, &["add", "told"]).succeeds();
        plugin(&world, &["remove", "told"]).succeeds();
        assert_eq!(fs::read_to_string(old).unwrap(), text);
    }
}

#[test]
fn a_summary_of_the_users_own_stands_for_a_description() {
    let world = world();
    world.script("bin/codex-agent-plain", "#!/bin/sh\ntouch \"$0.ran\"\n");
    plugin(&world, &["add", "plain", "--about", "do it plainly"]).succeeds();
    assert!(!world.path("bin/codex-agent-plain.ran").exists(), "it was run");
    assert_eq!(
        (&listed(&world, "plain")["about"], &listed(&world, "plain")["description"]),
        (&json!("do it plainly"), &json!("known"))
    );
    for about in ["", "two\nlines", "\u{1b}[31mred", &"x".repeat(201)] {
        let ran = plugin(&world, &["add", "plain", "--about", about]);
        ran.case(about).exits(2).reports("'about'");
    }
    assert_eq!(listed(&world, "plain")["about"], "do it plainly");
    let ran = plugin(&world, &["add", "plain", "told", "--about", "x"]);
    ran.exits(2).reports("--about can describe only one tool");
}

#[test]
fn all_of_the_names_are_added_or_none() {
    let world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    for (other, code, why) in [
        ("nowhere", 1, "there is no tool 'nowhere'"),
        ("ls", 2, "'ls' is a tool of codex-agent itself"),
        ("Bad", 1, "'Bad' cannot be the name of a tool"),
    ] {
        let ran = plugin(&world, &["add", "told", other]);
        ran.case(other).exits(code).reports(why);
    }
    assert!(runs(&world).is_empty(), "one was asked although another is not there");
    world.script("bin/codex-agent-mute", "#!/bin/sh\nexit 2\n");
    let ran = plugin(&world, &["add", "told", "mute"]);
    ran.exits(2).reports("--about TEXT' describes the tool without running it");
    assert!(!own(&world, "told").exists() && !own(&world, "mute").exists());
    // A file that is in the way of one of them is, too.
    world.script("bin/codex-agent-other", &DESCRIBED.replace("told", "other"));
    fs::remove_file(world.path("bin/codex-agent-told.runs")).unwrap();
    fs::create_dir_all(own(&world, "other")).unwrap();
    plugin(&world, &["add", "told", "other"]).exits(2);
    assert!(runs(&world).is_empty() && !own(&world, "told").exists());
}

#[test]
fn a_tool_with_an_invalid_description_is_reported_and_not_added() {
    let world = world();
    for (name, script, why) in [
        ("flood", "head -c 10000000 /dev/zero", "it printed more than 64 KiB"),
        ("endless", "yes '{\"type\":\"tool\"}'", "it printed more than 64 KiB"),
        ("garbage", "head -c 500 /dev/urandom | tr -d '{'", "it is not"),
        ("silent", ":", "it is not one 'tool' record"),
        ("wrong", "echo '{\"type\":\"tool\",\"name\":\"ls\",\"about\":\"x\"}'", "the description of 'ls'"),
        (
            "late",
            "echo '{\"type\":\"tool\",\"name\":\"late\",\"about\":\"x\",\"protocol\":9}'",
            "made for protocol 9",
        ),
        (
            "red",
            "printf '{\"type\":\"tool\",\"name\":\"red\",\"about\":\"\\\\u001b[31m\"}'",
            "control character",
        ),
        ("failing", "echo 'no such flag' >&2; exit 3", "it exited with status 3: no such flag"),
        ("killed", "kill -9 $$", "it was killed by signal 9"),
        ("reading", "read line && echo $line || exit 5", "it exited with status 5"),
    ] {
        world.script(&format!("bin/codex-agent-{name}"), &format!("#!/bin/sh\n{script}\n"));
        let ran = plugin(&world, &["add", name]);
        ran.case(name).exits(2).prints("");
        ran.case(name).reports(why).reports("--about TEXT");
        assert!(!ran.err.contains('\u{1b}'), "{name}: {:?}", ran.err);
    }
    world.script("bin/codex-agent-broken", "#!/no/such\n");
    let ran = plugin(&world, &["add", "broken"]);
    ran.exits(2).reports("the interpreter of the script does not exist");
    assert!(!own(&world, "broken").parent().unwrap().exists());
}

#[test]
fn a_tool_that_hangs_is_ended_with_its_children() {
    let world = world();
    let hangs = "#!/bin/sh\nsleep 600 &\necho $! > \"$0.child\"\ntrap '' TERM INT\nwait\nsleep 600\n";
    world.script("bin/codex-agent-hang", hangs);
    let start = Instant::now();
    let ran = plugin(&world, &["add", "hang"]);
    ran.exits(2).reports("it did not exit within 5 seconds");
    assert!(start.elapsed() < Duration::from_secs(30));
    wait_until(|| is_gone(&world.path("bin/codex-agent-hang.child")));
}

/// Whether the process whose number is in a file has ended.
fn is_gone(file: &Path) -> bool {
    let pid = fs::read_to_string(file).unwrap();
    // An orphan stays a zombie until init has reaped it.
    !fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn an_interrupt_ends_the_tool_that_is_described() {
    let world = world();
    world.script("bin/codex-agent-hang", "#!/bin/sh\nsleep 600 &\necho $! > \"$0.child\"\nwait\n");
    let child =
        world.command("codex-agent-plugin").args(["add", "hang"]).stderr(Stdio::piped()).spawn().unwrap();
    let file = world.path("bin/codex-agent-hang.child");
    wait_until(|| !fs::read_to_string(&file).unwrap_or_default().is_empty());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until(|| is_gone(&file));
}

#[test]
fn help_of_an_external_tool_is_its_page_or_its_usage() {
    let mut world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    assert!(world.ok(&["codex-agent", "help", "told"]).contains("usage: codex-agent told"));
    plugin(&world, &["add", "told"]).succeeds();
    if world.sh("command -v man").out.contains('/') {
        assert!(world.ok(&["codex-agent", "help", "told"]).contains("its own page"));
        // A page that is installed comes first.
        world.write("man/man1/codex-agent-told.1", ".TH TOLD 1\n.SH NAME\ntold \\- the installed page\n");
        world.set("MANPATH", world.path("man").display().to_string());
        assert!(world.ok(&["codex-agent", "help", "told"]).contains("the installed page"));
        fs::remove_dir_all(world.path("man")).unwrap();
        // A tool that declares a manual page and has none is reported, and its usage is shown.
        let broken = DESCRIBED.replace("'--generate man')", "'--generate man') exit 9 ;;\nx)");
        world.script("bin/codex-agent-told", &broken);
        let ran = world.run(&["codex-agent", "help", "told"]);
        ran.succeeds().shows("usage:").reports("it exited with status 9");
    }
    // Without man(1) there is nothing to open a page with.
    world.set("PATH", format!("{}:{}", world.path("bin").display(), world.path("none").display()));
    symlink("/bin/sh", world.path("bin/sh")).unwrap();
    symlink("/bin/cat", world.path("bin/cat")).unwrap();
    assert!(world.ok(&["codex-agent", "help", "told"]).contains("usage: codex-agent told"));
}

/// When files were looked into last: all of them are made to look old, something is done, and those that
/// somebody has read since are given.
fn read_by(paths: &[&Path], act: impl FnOnce()) -> Vec<usize> {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for path in paths {
        fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_accessed(old)).unwrap();
    }
    act();
    let is_read = |at: &usize| fs::metadata(paths[*at]).unwrap().accessed().unwrap() != old;
    (0..paths.len()).filter(is_read).collect()
}

#[test]
fn running_and_completing_read_no_directory_and_running_reads_no_file() {
    let world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    plugin(&world, &["add", "told"]).succeeds();
    let (bin, kept) = (world.path("bin"), own(&world, "told"));
    let paths = [bin.as_path(), kept.as_path()];
    if read_by(&paths, || drop(world.ok(&["codex-agent", "--list"]))) != [0, 1] {
        eprintln!("SKIPPED: this file system does not tell when something was read");
        return;
    }
    let read = read_by(&paths, || drop(world.ok(&["codex-agent", "told", "x"])));
    assert!(read.is_empty(), "{read:?} was read to run a tool");
    for words in
        [&["completion", "told", "bash"][..], &["candidates", "told", "o"], &["completion", "nothing", "zsh"]]
    {
        let read = read_by(&paths, || drop(plugin(&world, words)));
        assert!(!read.contains(&0), "PATH was walked for {words:?}");
    }
}

#[test]
fn candidates_are_those_that_begin_as_typed_and_are_harmless() {
    let world = world();
    let hook = r#"#!/bin/sh
case "$1 $2" in
'--generate describe') echo '{"type":"tool","name":"hook","about":"x","completes":true}' ;;
'--generate complete')
    shift 2
    printf '%s|' "$@" > "$0.words"
    printf 'two words\tof \033[31mtwo\nback\\slash\n\033[31mred\tbad\n\ttwice\n\nb\342\200\256d\nteam:a\n' ;;
esac
"#;
    world.script("bin/codex-agent-hook", hook);
    plugin(&world, &["add", "hook"]).succeeds();
    let ran = plugin(&world, &["candidates", "hook", "--flag", "a b", ""]);
    ran.succeeds().reports_exactly("");
    ran.prints("two words\tof \\x1b[31mtwo\nback\\\\slash\t\nteam:a\t\n");
    assert_eq!(fs::read_to_string(world.path("bin/codex-agent-hook.words")).unwrap(), "--|--flag|a b||");
    plugin(&world, &["candidates", "hook", "te"]).prints("team:a\t\n");
    assert_eq!(plugin(&world, &["candidates", "hook"]).out.lines().count(), 3);
    // The last line of the page may be a test.
    world.script(
        "bin/codex-agent-hook",
        &hook.replace("shift 2", "shift 3; [ -n \"$1\" ] && exit 3; echo team:a; exit 1"),
    );
    let ran = plugin(&world, &["candidates", "hook", ""]);
    ran.succeeds().prints("team:a\t\n").reports_exactly("");
    plugin(&world, &["candidates", "hook", "x"]).prints("");
    plugin(&world, &["check", "hook", "--only", "completes"]).succeeds();
    // A tool that takes too long is not waited for.
    world.script("bin/codex-agent-hook", &hook.replace("shift 2", "sleep 60"));
    let start = Instant::now();
    let ran = plugin(&world, &["candidates", "hook", ""]);
    ran.exits(2).reports("within 2 seconds");
    assert!(start.elapsed() < Duration::from_secs(20));
}
