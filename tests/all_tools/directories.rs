//! Directories of our own: whose they are, what is written in them, what they do not take.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::world::fake::{Fake, crash, of_type};
use crate::world::{Ran, bin, is_root, json as records, ran};

const STATE: &str = "home/.local/state/codex-agent";

const CONFIG: &str = "home/.config/codex-agent";

/// Two jobs: a turn of a session that is there, and a new one.
fn two_jobs(fake: &Fake, id: &str) -> String {
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let jobs = [
        json!({"type": "job", "session": id, "prompt": "more", "cwd": work}),
        json!({"type": "job", "prompt": "new", "cwd": work}),
    ];
    jobs.map(|job| format!("{job}\n")).concat()
}

/// Everything below a directory.
fn below(directory: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        all.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            below(&entry.path(), all);
        }
    }
}

/// Uses every tool that keeps something.
fn use_all(fake: &Fake, id: &str) -> Vec<Ran> {
    fake.0.script(
        "bin/codex-agent-mine",
        "#!/bin/sh\necho '{\"type\":\"tool\",\"name\":\"mine\",\"about\":\"x\"}'\n",
    );
    vec![
        fake.tool(&["group", "add", "g", id]),
        fake.tool(&["queue", "add", "q", "-p", "one", "-p", "two"]),
        fake.tool(&["queue", "run", "q"]),
        fake.tool(&["resume", id, "--prompt", "more"]),
        fake.tool(&["run", "-p", "new"]),
        fake.tool(&["run", "LIMIT"]),
        fake.tool(&["plugin", "add", "mine"]),
        fake.tool(&["setup", "--yes", "--only", "man"]),
    ]
}

#[test]
fn no_link_is_followed_where_a_file_is_written() {
    // Which files there are by fixed names, is seen.
    let with_plugin = || {
        let mut fake = Fake::newest();
        let bins = fake.0.path("bin").display().to_string();
        fake.0.set("CODEX_AGENT_EXEC_PATH", bins);
        fake
    };
    let fake = with_plugin();
    let id = fake.begin("mine");
    use_all(&fake, &id);
    let mut all = Vec::new();
    [STATE, CONFIG].iter().for_each(|place| below(&fake.0.path(place), &mut all));
    let root = fake.0.path("");
    let is_fixed = |path: &&PathBuf| path.is_file() && !path.starts_with(fake.0.path(STATE).join("runs"));
    let names =
        all.iter().filter(is_fixed).map(|path| path.strip_prefix(&root).unwrap().display().to_string());
    let names: Vec<String> = names
        .map(|name| name.replace(&id, "SESSION"))
        // New sessions, and a queue, have other ids each time.
        .filter(|name| !["locks/session-0", "locks/queue-"].iter().any(|random| name.contains(random)))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in &names {
        let fake = with_plugin();
        let id = fake.begin("mine");
        let victim = fake.0.write("victim", "precious");
        let planted = fake.0.path(&name.replace("SESSION", &id));
        fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(&victim, &planted).unwrap();
        let ran = use_all(&fake, &id);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
        let said = |ran: &Ran| {
            let all = format!("{}{}", ran.out, ran.err);
            all.contains(planted.to_str().unwrap()) || all.contains("victim")
        };
        assert!(ran.iter().any(said), "{name}: {ran:?}");
    }
    println!("links at {} names: {names:?}", names.len());
}

#[test]
fn no_link_in_the_directory_of_a_run_is_followed() {
    for name in ["journal.ndjson", "jobs/2/1.prompt", "jobs/2/1.out", "jobs/2/1.err"] {
        let fake = Fake::newest();
        let mut runner = fake.start(&["run", "-j1", "-p", "MS300", "-p", "next"]);
        fake.wait_for_sent(1);
        crash(&mut runner);
        let run = fake.runs().pop().unwrap();
        let (planted, victim) = (run.join(name), fake.0.path("victim"));
        match fs::rename(&planted, &victim) {
            Ok(()) => {}
            Err(_) => fs::write(&victim, "precious").unwrap(),
        }
        let before = fs::read(&victim).unwrap();
        fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(&victim, &planted).unwrap();
        let ran = fake.tool(&["run", "continue", run.file_name().unwrap().to_str().unwrap()]);
        assert!([2, 75].contains(&ran.code), "{name}: {} {}", ran.code, ran.err);
        assert!((ran.out + &ran.err).contains("it is a symbolic link"), "{name}");
        assert_eq!(fs::read(&victim).unwrap(), before, "{name}");
        // Without it, all is done, and each once.
        fs::remove_file(&planted).unwrap();
        if name == "journal.ndjson" {
            fs::rename(&victim, &planted).unwrap();
        }
        fake.tool(&["run", "continue"]).case(name).succeeds();
        assert_eq!(fake.prompts(), ["MS300", "next"], "{name}");
    }
}

#[test]
fn a_directory_that_others_own_or_write_to_is_refused() {
    type Harm = fn(&Path);
    let open: [Harm; 2] = [
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o757)).unwrap(),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o1777)).unwrap(),
    ];
    let of_others: [Harm; 3] = [
        |path| {
            chown(path, None, Some(65534)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o775)).unwrap();
        },
        |path| chown(path, Some(65534), Some(65534)).unwrap(),
        |path| {
            let moved = path.with_extension("moved");
            fs::rename(path, &moved).unwrap();
            symlink(&moved, path).unwrap();
            lchown(path, Some(65534), None).unwrap();
        },
    ];
    let harms = match is_root() {
        true => [&open[..], &of_others].concat(),
        false => {
            eprintln!("SKIPPED in part: only root can give a directory away");
            open.to_vec()
        }
    };
    for harm in harms {
        for place in
            [STATE, "home/.local/state/codex-agent/runs", "home/.local/state/codex-agent/locks", CONFIG]
        {
            let fake = Fake::newest();
            let id = fake.begin("mine");
            fake.good(&["resume", &id, "--prompt", "before"]);
            fake.good(&["queue", "add", "q", "one"]);
            let place = fake.0.path(place);
            harm(&place);
            let words: &[&str] = match place.ends_with(Path::new(CONFIG)) {
                true => &["queue", "run", "q"],
                false => &["resume", &id, "--prompt", "more"],
            };
            let ran = fake.tool(words);
            let why = format!("cannot use the directory '{}': ", place.display());
            ran.reports(&why);
            assert!([2, 75].contains(&ran.code), "{words:?}: {} {}", ran.code, ran.err);
            let continue_command =
                ["chmod go-w '", "run as that user"].iter().any(|hint| ran.err.contains(hint));
            assert!(continue_command, "{}", ran.err);
            assert_eq!(fake.prompts(), ["mine", "before"], "{words:?}");
        }
    }
    // A link of the user's own leads wherever it leads, and what is above ours is not looked at.
    let fake = Fake::newest();
    fs::create_dir_all(fake.0.path("home/.local/state")).unwrap();
    fs::set_permissions(fake.0.path("home/.local"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(fake.0.path("disk")).unwrap();
    symlink(fake.0.path("disk"), fake.0.path(STATE)).unwrap();
    fake.good(&["run", "-p", "new"]);
    assert!(fake.0.path("disk/runs").is_dir());
}

#[test]
fn a_directory_that_only_the_private_group_of_the_user_may_write_to_is_used() {
    if !is_root() {
        return eprintln!("SKIPPED: which group is private is known of root");
    }
    let fake = Fake::newest();
    for place in [CONFIG, STATE] {
        fs::create_dir_all(fake.0.path(place)).unwrap();
        fs::set_permissions(fake.0.path(place), fs::Permissions::from_mode(0o2775)).unwrap();
    }
    fake.good(&["queue", "add", "q", "one"]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["one"]);
}

#[test]
fn no_file_is_writable_by_others_whatever_the_umask() {
    let fake = Fake::newest();
    let id = fake.begin("mine");
    fake.0.script(
        "bin/codex-agent-mine",
        "#!/bin/sh\necho '{\"type\":\"tool\",\"name\":\"mine\",\"about\":\"x\"}'\n",
    );
    let line = format!(
        "umask 000; export CODEX_AGENT_EXEC_PATH=$PWD/../bin; codex-agent-group add g {id}; codex-agent-queue add q one two; \
         codex-agent-queue run q; codex-agent-resume {id} --prompt more; codex-agent-run --image ../bin/codex -p new; \
         codex-agent-run LIMIT; codex-agent-plugin add mine; codex-agent-setup --yes; \
         codex-agent-name {id} x; codex-agent-fork {id} --prompt y; codex-agent-demo --keep ../kept"
    );
    fake.0.command("sh").args(["-c", &line]).current_dir(fake.0.path("work")).output().unwrap();
    let mut all = Vec::new();
    below(&fake.0.path("home"), &mut all);
    below(fake.0.path("").as_path(), &mut all);
    let is_others = |path: &&PathBuf| {
        // Codex makes its home, a test the rest.
        let made_here =
            ["home/.local", "home/.config"].iter().any(|place| path.starts_with(fake.0.path(place)));
        let kept = path.strip_prefix(fake.0.path("")).unwrap().display().to_string();
        (made_here || kept.starts_with("kept")) && !path.is_symlink()
    };
    let (mut ours, mut open) = (0, 0);
    for path in all.iter().filter(is_others) {
        let meta = fs::metadata(path).unwrap();
        let mode = meta.permissions().mode() & 0o777;
        let is_private = [STATE, CONFIG, "home/.local/share/codex-agent"]
            .iter()
            .any(|place| path.starts_with(fake.0.path(place)));
        let is_kept = path.strip_prefix(fake.0.path("")).unwrap().display().to_string().starts_with("kept");
        // The Codex of the sample decides the modes in its own home.
        let want: &[u32] = match (is_private || is_kept, meta.is_dir()) {
            (true, true) => &[0o700],
            (true, false) => &[0o600],
            (false, true) => &[0o700, 0o755],
            (false, false) => &[0o644],
        };
        assert!(want.contains(&mode), "{}: {mode:o}", path.display());
        if is_private { ours += 1 } else { open += 1 }
    }
    assert!(ours > 30 && open > 20, "{ours} of our own, {open} documents and samples");
}

#[test]
fn a_relative_path_in_a_variable_is_refused() {
    // A directory of another user, with a codex and files of ours in it.
    let tools: [&[&str]; 8] = [
        &["run", "x"],
        &["queue", "list"],
        &["queue", "add", "q", "x"],
        &["group", "list"],
        &["resume", "@", "--prompt", "x"],
        &["fork", "@", "--prompt", "x"],
        &["name", "@", "x"],
        &["status"],
    ];
    for (variable, value) in [
        ("CODEX_AGENT_CODEX", "./codex"),
        ("CODEX_AGENT_CODEX", "tools/codex"),
        ("CODEX_AGENT_CONFIG_HOME", "settings"),
        ("CODEX_AGENT_STATE_HOME", "./state"),
    ] {
        let mut fake = Fake::newest();
        fake.begin("mine");
        for codex in ["work/codex", "work/tools/codex"] {
            fake.0.script(codex, "#!/bin/sh\ntouch ../pwned\n");
        }
        fake.0.write("work/settings/config.toml", "codex.home = '/nowhere'\n");
        fake.0.set(variable, value);
        let mut refused = 0;
        for words in tools {
            let ran = fake.tool(words);
            let is_meant = ran.err.contains(&format!("cannot use {variable}: '{value}' is "));
            refused += usize::from(ran.code == 2 && is_meant);
            // The others do not need it.
            assert!(is_meant || ran.code == 0, "{variable}={value} {words:?}: {} {}", ran.code, ran.err);
        }
        assert!(refused >= 3, "{variable}={value}: {refused} tools refused it");
        assert!(!fake.0.path("pwned").exists(), "{variable}={value}");
        let mut there = Vec::new();
        below(&fake.0.path("work"), &mut there);
        assert_eq!(there.len(), 5, "{variable}={value}: {there:?}");
    }
}

#[test]
fn a_plain_name_of_codex_is_found_on_path() {
    let mut fake = Fake::newest();
    fake.0.script("work/codex", "#!/bin/sh\ntouch ../pwned\n");
    let bins = fake.0.path("bin").display().to_string();
    // A relative or empty entry of PATH means the working directory.
    for path in
        [format!(".:{bins}:/usr/bin:/bin"), format!(":{bins}:/usr/bin:/bin:"), format!("../work:{bins}")]
    {
        for name in ["codex", ""] {
            fake.0.set("PATH", &*path).set("CODEX_AGENT_CODEX", name);
            fake.good(&["run", "x"]);
        }
        fake.good(&["run", "--codex", "codex", "x"]);
    }
    assert!(!fake.0.path("pwned").exists());
    fake.0.set("CODEX_AGENT_CODEX", "codex-nightly");
    let ran = fake.tool(&["run", "x"]);
    let want = "there is no 'codex-nightly' on PATH (CODEX_AGENT_CODEX)";
    ran.exits(2).reports(want);
    // Where it is typed, it is meant from here.
    fake.0.set("CODEX_AGENT_CODEX", "");
    fake.good(&["run", "--codex", "../bin/codex", "x"]);
    assert_eq!(fake.sent().len(), 10);
}

/// Whether faults can be put into system calls here.
fn can_trace(fake: &Fake) -> bool {
    let can = fake.0.sh("strace -o /dev/null -e trace=none true").code == 0;
    if !can {
        eprintln!("SKIPPED: there is no strace that may look");
    }
    can
}

/// Runs a tool with this fault, which its children do not have.
fn with_fault(fake: &Fake, fault: &str, words: &[&str], input: &str) -> Ran {
    let line = format!("exec strace -o ../trace -e trace=flock -e inject={fault} \"$@\" < ../input");
    fake.0.write("input", input);
    let mut command = fake.0.command("sh");
    command.args(["-c", &line, "sh"]).arg(bin(&format!("codex-agent-{}", words[0]))).args(&words[1..]);
    ran::finish(command.current_dir(fake.0.path("work")))
}

#[test]
fn a_lock_that_cannot_be_taken_fails_no_job() {
    let fake = Fake::newest();
    if !can_trace(&fake) {
        return;
    }
    let mut seen = std::collections::BTreeMap::new();
    for error in ["ENOLCK", "ENOSYS", "EACCES", "EROFS", "EIO"] {
        // Two calls in a row, as what cannot be locked for good is seen before anything is begun.
        for nth in (1..60).step_by(if error == "ENOLCK" { 1 } else { 4 }) {
            let fake = Fake::newest();
            let id = fake.begin("mine");
            let jobs = two_jobs(&fake, &id);
            let ran = with_fault(
                &fake,
                &format!("flock:error={error}:when={nth}..{}", nth + 1),
                &["run", "--jobs", "-j1", "--json"],
                &jobs,
            );
            let events = if ran.code == 2 { Vec::new() } else { records(&ran.out) };
            let of_good: Vec<&Value> = of_type(&events, "job.failed")
                .into_iter()
                .filter(|event| event["again"] == json!(false))
                .collect();
            assert!(of_good.is_empty(), "{error} {nth}: {of_good:?}");
            *seen.entry((error, ran.code)).or_insert(0) += 1;
            let was_hit = fs::read_to_string(fake.0.path("trace")).unwrap().contains("INJECTED");
            if !was_hit {
                ran.case((&error, &nth)).succeeds();
                break;
            }
            assert!([0, 2, 75].contains(&ran.code), "{error} {nth}: {} {}", ran.code, ran.err);
            let begun = !of_type(&fake.journal(), "run.started").is_empty();
            match begun {
                // The call may have succeeded all the same.
                true => assert_eq!(fake.tool(&["run", "continue"]).code, 0, "{error} {nth}: {}", ran.err),
                false => assert_eq!(fake.feed(&["run", "--jobs", "-j1"], &jobs).code, 0),
            }
            let mut sent = fake.prompts();
            sent.sort();
            assert_eq!(sent, ["mine", "more", "new"], "{error} {nth}: {}", ran.err);
        }
    }
    println!("faults and exit codes: {seen:?}");
    assert!(seen.keys().any(|(_, code)| *code == 75), "{seen:?}");
}

#[test]
fn a_file_system_that_grants_a_lock_twice_is_refused() {
    let fake = Fake::newest();
    if !can_trace(&fake) {
        return;
    }
    let id = fake.begin("mine");
    fake.good(&["queue", "add", "q", "one"]);
    let jobs = two_jobs(&fake, &id);
    for words in
        [&["run", "--jobs"][..], &["run", "x"], &["resume", &id, "--prompt", "x"], &["queue", "run", "q"]]
    {
        let ran =
            with_fault(&fake, "flock:retval=0", words, if words.contains(&"--jobs") { &jobs } else { "" });
        ran.exits(2).reports("its file system grants one lock twice");
        ran.reports("CODEX_AGENT_STATE_HOME");
        assert_eq!(fake.prompts(), ["mine"], "{words:?}");
        assert!(fake.runs().is_empty(), "{words:?} left a run");
    }
    // A run that was begun on a file system that can is not continued on one that cannot.
    let mut runner = fake.start(&["run", "-j1", "-p", "MS300", "-p", "next"]);
    fake.wait_for_sent(2);
    crash(&mut runner);
    let ran = with_fault(&fake, "flock:retval=0", &["run", "continue"], "");
    assert!(ran.code != 0, "{}", ran.err);
    fake.tool(&["run", "continue"]).succeeds();
    assert_eq!(fake.prompts(), ["mine", "MS300", "next"]);
}

#[test]
fn files_of_another_user_stop_a_run_and_fail_no_job() {
    let fake = Fake::newest();
    if !is_root() || fake.0.sh("setpriv --reuid 65534 --regid 65534 --clear-groups true").code != 0 {
        return eprintln!("SKIPPED: this user cannot become another one");
    }
    let id = fake.begin("mine");
    fake.good(&["resume", &id, "--prompt", "before"]);
    // The files as a run by root leaves them.
    let lock = fake.0.path(STATE).join(format!("locks/session-{id}"));
    fake.0.sh("chown -R 65534:65534 . && chmod 755 .").succeeds();
    chown(&lock, Some(0), Some(0)).unwrap();
    let jobs = two_jobs(&fake, &id);
    fake.0.write("input", &jobs);
    fs::set_permissions(fake.0.path("input"), fs::Permissions::from_mode(0o644)).unwrap();
    let as_user = |line: &str| {
        let mut command = fake.0.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", line]);
        let output = command.current_dir(fake.0.path("work")).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let ran = as_user("codex-agent-run --jobs -j1 --json < ../input");
    if ran.1.contains("not found") || ran.0 == 126 {
        return eprintln!("SKIPPED: another user cannot run what is built here: {}", ran.1);
    }
    assert!(ran.0 == 75 && ran.1.contains("stopped (disk)"), "{ran:?}");
    let events = fake.journal();
    let failed = of_type(&events, "job.failed");
    assert_eq!(
        (failed.len(), &failed[0]["again"], &failed[0]["failure"]["class"]),
        (1, &json!(true), &json!("disk"))
    );
    assert!(failed[0]["failure"]["message"].as_str().unwrap().contains("permission denied"), "{failed:?}");
    chown(&lock, Some(65534), Some(65534)).unwrap();
    let ran = as_user("codex-agent-run continue");
    assert_eq!(ran.0, 0, "{}", ran.1);
    assert_eq!(fake.prompts(), ["mine", "before", "more", "new"]);
}

#[test]
fn too_few_descriptors_send_nothing_twice_and_the_hint_names_a_limit_that_works() {
    let mut ends = std::collections::BTreeMap::new();
    for most in 6..=40 {
        let fake = Fake::newest();
        let line = format!("ulimit -n {most}; exec codex-agent-run -j2 -p a -p b -p c");
        let mut command = fake.0.command("sh");
        let output = command.args(["-c", &line]).current_dir(fake.0.path("work")).output().unwrap();
        let (code, err) =
            (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        *ends.entry(code).or_insert(0) += 1;
        let listed = records(&fake.good(&["run", "list", "--json"]));
        // The limit that a hint names works, and no hint names one that is too low.
        let hinted = err.split("codex-agent run continue ").nth(1).and_then(|rest| rest.split('\'').next());
        match (code, hinted) {
            (0, None) => {}
            (2 | 75, Some(run)) => {
                assert!(listed[0]["id"].as_str().unwrap().ends_with(run), "{most}: {run}: {err}");
                let mut sent = fake.prompts();
                let log = fake.tool(&["run", "log", run]);
                log.case(most).succeeds();
                let ran = fake.tool(&["run", "continue", run]);
                ran.case(most).succeeds();
                assert!(fake.sent().len() > sent.len() || sent.len() == 3, "{most}");
                sent = fake.prompts();
                sent.sort();
                assert_eq!(sent, ["a", "b", "c"], "{most}: {err}");
            }
            (_, hinted) => {
                assert!(code != 0 && hinted.is_none(), "{most}: {code} {err}");
                assert!(err.contains("too many open files") || code > 2, "{most}: {code} {err}");
                assert!(
                    listed.is_empty() && fake.runs().is_empty() && fake.sent().is_empty(),
                    "{most}: {err}"
                );
                fake.tool(&["run", "log"]).exits(1);
                fake.tool(&["run", "continue"]).reports("there is no unfinished run");
                fake.tool(&["run", "prune"]).reports("removed 0 runs");
            }
        }
    }
    println!("exit codes from 6 to 40 open files: {ends:?}");
    assert!(ends.contains_key(&0) && ends.contains_key(&2), "{ends:?}");
}

#[test]
fn a_run_whose_file_system_loses_its_locks_waits_for_its_codex() {
    for nth in [5, 8] {
        let fake = Fake::newest();
        if !can_trace(&fake) {
            return;
        }
        let begun = std::time::Instant::now();
        let fault = format!("flock:error=ENOLCK:when={nth}+");
        let ran = with_fault(&fake, &fault, &["run", "--text", "-"], "one\ntwo\nthree\nfour\n");
        ran.case(nth).exits(75);
        assert!(!fake.prompts().is_empty(), "{nth}: {}", ran.err);
        // A runner that signals a process which ended long before needs more than 20 s.
        assert!(begun.elapsed().as_secs() < 15, "{nth}: {:?}", begun.elapsed());
        fake.good(&["run", "continue"]);
        let mut sent = fake.prompts();
        sent.sort();
        assert_eq!(sent, ["four", "one", "three", "two"], "{nth}");
    }
}
