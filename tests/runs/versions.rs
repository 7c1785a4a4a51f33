//! ?

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::runs::script;
use crate::world::fake::{Fake, end, failures, of_type, wait_until};
use crate::world::json as records;
use crate::world::real::{Real, codex, streams};

#[test]
fn a_codex_of_unknown_version_resumes_no_session() {
    let mut fake = Fake::newest();
    let id = fake.begin("mine");
    script(&mut fake, "case $1 in --version) echo something else; exit ;; esac\nexec $FAKE \"$@\"");
    let ran = fake.tool(&["resume", &id, "--prompt", "x", "--json"]);
    assert_eq!(failures(&records(&ran.out)), ["refused"], "{}", ran.err);
    assert_eq!(fake.prompts(), ["mine"]);
    fake.tool(&["run", "-p", "new"]).case("a new session is nothing to be damaged").succeeds();
}

/// A version manager's shim: the file `.codex-version` of the directory that it runs in, or of one above, names
/// the version.
fn shim(run: &str) -> String {
    format!(
        "#!/bin/sh\nd=$PWD\nwhile [ ! -f \"$d/.codex-version\" ] && [ \"$d\" != / ]; do d=$(dirname \"$d\"); done\n\
         v=$(cat \"$d/.codex-version\" 2>/dev/null)\n{run}\n"
    )
}

/// A fake behind such a shim, with a directory for each of two versions.
fn shimmed() -> (Fake, [PathBuf; 2]) {
    let mut fake = Fake::newest();
    let run =
        format!("CODEX_FAKE_VERSION=${{v:-0.169.0}} exec {} \"$@\"", fake.0.path("bin/codex").display());
    let shim = fake.0.script("shims/codex", &shim(&run));
    let directories = ["old", "new"].map(|name| fs::canonicalize(fake.0.path("")).unwrap().join(name));
    for (directory, version) in directories.iter().zip(["0.137.0", "0.169.0"]) {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join(".codex-version"), version).unwrap();
    }
    fake.0.set("CODEX_AGENT_CODEX", shim.to_str().unwrap());
    (fake, directories)
}

/// Runs `codex-agent-run --jobs` in a directory over these jobs.
fn jobs(fake: &Fake, from: &Path, more: &[&str], jobs: &[Value]) -> (i32, Vec<Value>, String) {
    let input: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let words = [&["run", "--jobs", "--json"], more].concat();
    let path = fake.0.write("input", input);
    let mut command = fake.started(&words);
    let output = command.current_dir(from).stdin(fs::File::open(path).unwrap()).output().unwrap();
    (output.status.code().unwrap(), records(&String::from_utf8_lossy(&output.stdout)), streams(&output))
}

fn job(id: &str, cwd: &Path, prompt: &str) -> Value {
    json!({"type": "job", "session": id, "cwd": cwd, "prompt": prompt})
}

fn rollout(fake: &Fake, id: &str) -> PathBuf {
    let listed = fake.list();
    let row = listed.iter().find(|row| row["id"] == id).unwrap();
    PathBuf::from(row["rollout_path"].as_str().unwrap())
}

#[test]
fn each_job_uses_the_version_of_its_directory() {
    let (fake, [old, new]) = shimmed();
    let begin = |version: &str| {
        let output = fake.command(&["exec", "--json", "Begin"]).env("CODEX_FAKE_VERSION", version).output();
        let out = String::from_utf8(output.unwrap().stdout).unwrap();
        records(&out)[0]["thread_id"].as_str().unwrap().to_owned()
    };
    let (paginated, legacy) = (begin("0.169.0"), begin("0.137.0"));
    let mut sent = 2;
    for from in [&old, &new] {
        for (there, version) in [(&old, "0.137.0"), (&new, "0.169.0")] {
            for id in [&paginated, &legacy] {
                let before = fs::read(rollout(&fake, id)).unwrap();
                let (code, events, told) = jobs(&fake, from, &[], &[job(id, there, "Again")]);
                let case = format!("{} {version} {id}: {told}", from.display());
                if *id == paginated && version == "0.137.0" {
                    assert_eq!((code, failures(&events)), (1, vec!["refused".to_owned()]), "{case}");
                    assert!(told.contains("0.137.0 is too old: it would damage session"), "{case}");
                    assert_eq!(fs::read(rollout(&fake, id)).unwrap(), before, "{case}");
                } else {
                    assert_eq!(code, 0, "{case}");
                    assert_eq!(of_type(&events, "job.started")[0]["version"], version, "{case}");
                    sent += 1;
                }
            }
        }
        // The Codex that a person sees is asked in the same place.
        for (there, code) in [(&old, 2), (&new, 0)] {
            let place = there.to_str().unwrap();
            let mut command = fake.started(&["resume", &paginated, "--print", "--cwd", place]);
            let output = command.current_dir(from).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{place}: {}", streams(&output));
        }
    }
    assert_eq!(fake.prompts().len(), sent);
}

#[test]
fn the_version_of_an_executable_that_is_replaced_during_a_run_is_read_again() {
    // The file that decides changes, and the executable itself.
    for by_file in [true, false] {
        let (fake, [_, new]) = shimmed();
        let id = fake.begin("Begin");
        let before = fs::read(rollout(&fake, &id)).unwrap();
        let all = [json!({"type": "job", "cwd": new, "prompt": "SLEEP2 first"}), job(&id, &new, "second")];
        let input: String = all.iter().map(|job| format!("{job}\n")).collect();
        let path = fake.0.write("input", input);
        let mut command = fake.started(&["run", "--jobs", "-j1"]);
        let mut runner = command.stdin(fs::File::open(path).unwrap()).spawn().unwrap();
        fake.wait_for_sent(2);
        match by_file {
            true => fs::write(new.join(".codex-version"), "0.137.0").unwrap(),
            false => {
                let codex = fake.0.path("bin/codex");
                let run = format!("CODEX_FAKE_VERSION=0.137.0 exec {} \"$@\"", codex.display());
                let other = fake.0.script("shims/other", &format!("#!/bin/sh\n{run}\n"));
                fs::rename(other, fake.0.path("shims/codex")).unwrap();
            }
        }
        assert_eq!(end(&mut runner), 1);
        assert_eq!(fake.prompts(), ["Begin", "SLEEP2 first"]);
        assert_eq!(fs::read(rollout(&fake, &id)).unwrap(), before);
        let versions: Vec<Value> =
            of_type(&fake.journal(), "job.started").iter().map(|event| event["version"].clone()).collect();
        assert_eq!(versions, ["0.169.0"]);
    }
}

#[test]
fn a_codex_that_is_older_than_its_version_stops_the_run() {
    let (fake, [_, new]) = shimmed();
    let [one, two] = ["one", "two"].map(|prompt| fake.begin(prompt));
    let codex = fake.0.path("bin/codex");
    let lies = format!(
        "#!/bin/sh\ncase $1 in --version) echo codex-cli 0.169.0; exit;; esac\n\
         CODEX_FAKE_VERSION=0.137.0 exec {} \"$@\"\n",
        codex.display()
    );
    fake.0.script("shims/codex", &lies);
    // The session records the version that created it.
    let (code, _, told) = jobs(&fake, &new, &[], &[json!({"type": "job", "cwd": new, "prompt": "new"})]);
    assert!(
        code == 0 && told.contains("Codex reported version 0.169.0, but version 0.137.0 began"),
        "{told}"
    );
    let both = [job(&one, &new, "again one"), job(&two, &new, "again two")];
    let (code, events, told) = jobs(&fake, &new, &["-j1"], &both);
    assert_eq!((code, failures(&events)), (75, vec!["version".to_owned()]), "{told}");
    assert_eq!(
        (&events.last().unwrap()["why"], &events.last().unwrap()["left"]),
        (&json!("version"), &json!(1))
    );
    assert_eq!(fake.prompts().iter().filter(|prompt| prompt.starts_with("again")).count(), 1);
}

#[test]
fn the_real_codex_of_another_directory_damages_nothing() {
    let (Some(real), Some(older)) = (Real::with_version("0.171.0"), codex("0.137.0")) else { return };
    let run = format!(
        "case $v in 0.137*) exec {} \"$@\";; *) exec {} \"$@\";; esac",
        older.display(),
        real.codex.display()
    );
    let shim = real.world.script("shims/codex", &shim(&run));
    fs::write(real.world.path("alpha/.codex-version"), "0.137.0").unwrap();
    fs::write(real.world.path("beta/.codex-version"), "0.171.0").unwrap();
    let id = real.exec("beta", &["Begin"]);
    let place = |name: &str| fs::canonicalize(real.world.path(name)).unwrap();
    // From the directory of either version, into that of either.
    for (from, there, code) in
        [("alpha", "alpha", 1), ("beta", "alpha", 1), ("alpha", "beta", 0), ("beta", "beta", 0)]
    {
        let input = format!("{}\n", job(&id, &place(there), &format!("{from} to {there}")));
        let input = real.world.write("input", input);
        let words = ["--jobs", "--json", "--skip-git-repo-check", "--codex", shim.to_str().unwrap()];
        let output = real.agent(from, &words).stdin(fs::File::open(input).unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{from} {there}: {}", streams(&output));
        let events = records(&String::from_utf8_lossy(&output.stdout));
        match code {
            0 => assert_eq!(of_type(&events, "job.started")[0]["version"], "0.171.0"),
            _ => assert_eq!(failures(&events), ["refused"], "{}", streams(&output)),
        }
    }
    // The session is as valid as before.
    assert_eq!(real.exec("beta", &["resume", &id, "And on"]), id);
    assert_eq!(real.seen().len(), 4);
}

#[test]
fn the_version_of_a_real_codex_that_is_replaced_during_a_run_is_read_again() {
    let (Some(real), Some(older)) = (Real::with_version("0.171.0"), codex("0.137.0")) else { return };
    let link = real.world.path("codex");
    std::os::unix::fs::symlink(&real.codex, &link).unwrap();
    let id = real.exec("beta", &["Begin"]);
    let there = fs::canonicalize(real.world.path("beta")).unwrap();
    let all = [json!({"type": "job", "cwd": there, "prompt": "first SLEEP3"}), job(&id, &there, "second")];
    let input: String = all.iter().map(|job| format!("{job}\n")).collect();
    let input = real.world.write("input", input);
    let words = ["--jobs", "-j1", "--json", "--skip-git-repo-check", "--codex", link.to_str().unwrap()];
    let mut command = real.agent("beta", &words);
    let out = real.world.path("out");
    command.stdin(fs::File::open(input).unwrap()).stdout(fs::File::create(&out).unwrap());
    let mut runner = command.spawn().unwrap();
    wait_until(|| real.seen().len() == 2);
    std::os::unix::fs::symlink(&older, real.world.path("other")).unwrap();
    fs::rename(real.world.path("other"), &link).unwrap();
    assert_eq!(end(&mut runner), 1);
    let events = records(&fs::read_to_string(out).unwrap());
    assert_eq!(failures(&events), ["refused"], "{events:?}");
    assert_eq!(real.exec("beta", &["resume", &id, "And on"]), id);
}
