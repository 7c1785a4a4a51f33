//! Installing documents for a user: what is shown, what is done, what is left alone, and what is taken away.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codex_agent_shared::plugin::TOOLS;
use serde_json::{Value, json};

use crate::world::terminal::Terminal;
use crate::world::{World, bins, is_root, json as records};

/// A world with a shell of each kind, which is never run.
fn world() -> World {
    let mut world = World::new();
    world.set("XDG_DATA_DIRS", world.path("share").display().to_string());
    for shell in ["bash", "zsh", "fish", "man"] {
        world.script(&format!("shells/{shell}"), "#!/bin/sh\nexit 1\n");
    }
    let path = format!("{}:{}:/usr/bin:/bin", bins().display(), world.path("shells").display());
    world.set("PATH", path);
    world
}

/// Every file below the user's home, but for the record of setup.
fn tree(world: &World) -> BTreeSet<PathBuf> {
    fn walk(folder: &Path, all: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.path().is_dir() {
                true => walk(&entry.path(), all),
                false => drop(all.insert(entry.path())),
            }
        }
    }
    let mut all = BTreeSet::new();
    walk(&world.path("home"), &mut all);
    all.retain(|path| !path.starts_with(world.path("home/.local/state")));
    all
}

fn setup(world: &World, words: &[&str]) -> (i32, Vec<Value>, String) {
    let ran = world.run(&[&["codex-agent-setup", "--json"], words].concat());
    (ran.code, records(&ran.out), ran.err)
}

fn actions(steps: &[Value]) -> BTreeSet<&str> {
    steps.iter().map(|step| step["action"].as_str().unwrap()).collect()
}

#[test]
fn it_says_what_it_would_do_does_it_and_takes_it_away() {
    let world = world();
    world.write("home/.zshrc", "mine\n");
    // An empty directory of the user stays.
    fs::create_dir_all(world.path("home/.local/share/man")).unwrap();
    let before = tree(&world);
    let (code, steps, err) = setup(&world, &[]);
    assert!(
        code == 1 && err.contains("nothing was done") && err.contains("--yes skips the confirmation"),
        "{err}"
    );
    let tools = TOOLS.len() + 1;
    assert_eq!(steps.len(), 3 * tools + 1 + 6);
    assert_eq!(actions(&steps), BTreeSet::from(["make"]));
    let rows = world.ok(&["codex-agent-setup", "--dry-run"]);
    assert_eq!(rows.lines().count(), steps.len());
    assert!(rows.lines().all(|row| row.starts_with("make\t")), "{rows}");
    assert_eq!(tree(&world), before);

    let (code, _, err) = setup(&world, &["--yes"]);
    assert!(code == 0 && err.contains(&format!("installed {} file", steps.len())), "{err}");
    assert!(err.contains("into ~/.zshrc, before compinit"), "{err}");
    assert_eq!(fs::read_to_string(world.path("home/.zshrc")).unwrap(), "mine\n");
    for (path, of) in [
        (".local/share/man/man1/codex-agent-ls.1", "man/codex-agent-ls.1"),
        (".local/share/man/man5/codex-agent-records.5", "man/codex-agent-records.5"),
        (".local/share/man/man7/codex-agent-plugins.7", "man/codex-agent-plugins.7"),
        (".local/share/man/man7/codex-agent-distributed.7", "man/codex-agent-distributed.7"),
        (".local/share/man/man7/codex-agent-transcripts.7", "man/codex-agent-transcripts.7"),
        (".local/share/bash-completion/completions/codex-agent", "completions/codex-agent.bash"),
        (".local/share/zsh/site-functions/_codex-agent", "completions/codex-agent.zsh"),
        (".config/fish/completions/codex-agent.fish", "completions/codex-agent.fish"),
    ] {
        let path = world.path("home").join(path);
        let of = Path::new(env!("CARGO_MANIFEST_DIR")).join(of);
        assert_eq!(fs::read(&path).unwrap(), fs::read(of).unwrap(), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }
    // Twice is as good as once.
    let there = tree(&world);
    let (code, steps, err) = setup(&world, &["--yes"]);
    assert!(code == 0 && err.contains("everything is installed already"), "{err}");
    assert_eq!((actions(&steps), tree(&world)), (BTreeSet::from(["keep"]), there));

    let (code, _, err) = setup(&world, &["--undo"]);
    assert!(code == 1 && err.contains("nothing was done"), "{err}");
    let (code, steps, err) = setup(&world, &["--undo", "--yes"]);
    assert!(code == 0 && err.contains("removed"), "{err}");
    assert_eq!((actions(&steps), tree(&world)), (BTreeSet::from(["remove"]), before));
    let has = |directory: &str| world.path("home").join(directory).exists();
    assert!(has(".local/share/man") && !has(".local/share/man/man1") && !has(".config/fish"));
    let (code, _, err) = setup(&world, &["--undo", "--yes"]);
    assert!(code == 0 && err.contains("nothing is installed"), "{err}");
}

#[test]
fn files_of_others_and_changed_ones_are_left() {
    let world = world();
    let page = "home/.local/share/man/man1/codex-agent-ls.1";
    world.write(page, "of somebody else");
    let before = tree(&world);
    let (code, steps, err) = setup(&world, &["--yes"]);
    assert!(
        code == 2
            && err.contains("was not written by codex-agent setup")
            && err.contains("nothing was changed"),
        "{err}"
    );
    assert!(steps.iter().any(|step| step["action"] == "refuse" && step["kind"] == "man"));
    assert_eq!(tree(&world), before);
    // Other kinds do not suffer from it.
    assert_eq!(setup(&world, &["--yes", "--only", "fish", "--only", "bash"]).0, 0);
    fs::remove_file(world.path(page)).unwrap();
    assert_eq!(setup(&world, &["--yes"]).0, 0);
    // One of an older release is brought up to date; one that was edited is nobody's to replace.
    let known = world.path("home/.local/state/codex-agent/setup.json");
    let old = "an older page";
    fs::write(world.path(page), old).unwrap();
    let (code, _, err) = setup(&world, &["--yes"]);
    assert!(code == 2 && err.contains("was changed since it was installed"), "{err}");
    let print = codex_agent_shared::text::fingerprint(old.as_bytes());
    let mut saved: Value = serde_json::from_slice(&fs::read(&known).unwrap()).unwrap();
    saved["files"][world.path(page).to_str().unwrap()][1] = json!([print]);
    fs::write(&known, saved.to_string()).unwrap();
    let (code, steps, _) = setup(&world, &["--yes"]);
    assert_eq!((code, actions(&steps)), (0, BTreeSet::from(["keep", "replace"])));
    // Undone, the changed one stays, and is told.
    fs::write(world.path(page), "edited").unwrap();
    let (code, steps, _) = setup(&world, &["--undo", "--yes"]);
    assert_eq!((code, actions(&steps)), (1, BTreeSet::from(["refuse", "remove"])));
    assert_eq!(fs::read_to_string(world.path(page)).unwrap(), "edited");
    assert!(!world.path("home/.config/fish/completions/codex-agent.fish").exists());
    assert!(world.path("home/.local/share/man/man1").exists());
}

#[test]
fn a_link_is_not_written_through() {
    let world = world();
    let target = world.write("dotfiles/page", "mine");
    let link = world.path("home/.local/share/man/man1/codex-agent.1");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(setup(&world, &["--yes"]).0, 2);
    assert_eq!(fs::read_to_string(target).unwrap(), "mine");
    assert!(link.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn what_cannot_be_written_is_an_error_with_its_path_and_can_be_undone() {
    let world = world();
    // The directory of fish is a file, which is met after the pages were written.
    world.write("home/.config/fish", "a file");
    let before = tree(&world);
    let (code, _, err) = setup(&world, &["--yes"]);
    assert!(code == 2 && err.contains("cannot create") && err.contains(".config/fish/completions"), "{err}");
    // What was written is known, and removed again.
    let (code, _, err) = setup(&world, &["--undo", "--yes"]);
    assert_eq!((code, tree(&world)), (0, before), "{err}");
    if is_root() {
        println!("root may write into a home that is read-only: not tried");
        return;
    }
    let home = world.path("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o555)).unwrap();
    let (code, _, err) = setup(&world, &["--yes", "--only", "man"]);
    assert!(code == 2 && err.contains("permission denied"), "{err}");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_read_only_home_is_reported() {
    // Read-only for root too.
    let world = world();
    let home = world.path("home");
    let line = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && codex-agent-setup --yes --only man",
        home.display()
    );
    let ran = world.run(&["unshare", "--mount", "sh", "-c", &line]);
    if ran.err.contains("unshare") || ran.err.contains("mount:") {
        println!("nothing can be mounted here: not tried");
        return;
    }
    assert!(ran.code == 2 && ran.err.contains("read-only file system"), "{} {}", ran.code, ran.err);
}

#[test]
fn without_a_shell_there_are_pages_alone() {
    let mut world = World::new();
    world.set("PATH", bins().to_str().unwrap());
    let (code, steps, _) = setup(&world, &[]);
    let kinds: BTreeSet<&str> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert_eq!((code, kinds), (1, BTreeSet::from(["man"])));
}

#[test]
fn on_a_terminal_it_asks() {
    let world = world();
    for (answer, code, done) in [("n\n", 1, false), ("\n", 1, false), ("y\n", 0, true)] {
        let mut terminal = Terminal::open(world.command("codex-agent-setup"), 60, 24);
        terminal.until("[y/N] ");
        terminal.press(answer);
        let (shown, ended) = terminal.end();
        assert_eq!(ended, code, "{shown}");
        assert_eq!(world.path("home/.config/fish/completions/codex-agent.fish").exists(), done);
    }
}

#[test]
fn pages_go_beside_the_executables_in_a_home() {
    let world = world();
    let cargo = world.path("home/.cargo/bin");
    fs::create_dir_all(&cargo).unwrap();
    for tool in ["codex-agent", "codex-agent-ls", "codex-agent-setup"] {
        fs::hard_link(bins().join(tool), cargo.join(tool))
            .or_else(|_| fs::copy(bins().join(tool), cargo.join(tool)).map(drop))
            .unwrap();
    }
    let ran = world.run(&[cargo.join("codex-agent-setup").to_str().unwrap(), "--json", "--only", "man"]);
    let paths: Vec<Value> = records(&ran.out).into_iter().map(|step| step["path"].clone()).collect();
    assert_eq!(paths.len(), 3 + 6, "{paths:?}");
    let pages = world.path("home/.cargo/share/man");
    assert!(paths.iter().all(|path| Path::new(path.as_str().unwrap()).starts_with(&pages)), "{paths:?}");
}

/// Makes what is installed that of an older release: every file holds something else, and is known.
fn make_old(world: &World) {
    let known = world.path("home/.local/state/codex-agent/setup.json");
    let mut saved: Value = serde_json::from_slice(&fs::read(&known).unwrap()).unwrap();
    for (path, entry) in saved["files"].as_object_mut().unwrap() {
        let old = format!("old text of {path}");
        fs::write(path, &old).unwrap();
        entry[1] = json!([codex_agent_shared::text::fingerprint(old.as_bytes())]);
    }
    fs::write(known, saved.to_string()).unwrap();
}

#[test]
fn an_update_that_is_killed_is_gone_on_with_or_taken_away() {
    let world = world();
    let before = tree(&world);
    let (mut kills, mut mixed) = (0, 0);
    let rounds = if crate::world::is_long() { 24 } else { 8_u64 };
    for round in 0..rounds {
        assert_eq!(setup(&world, &["--yes"]).0, 0);
        make_old(&world);
        let mut command = world.command("codex-agent-setup");
        let mut child = command
            .arg("--yes")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Most of its time it asks the tools for their documents.
        let ls = world.path("home/.local/share/man/man1/codex-agent.1");
        while child.try_wait().unwrap().is_none() && fs::read(&ls).unwrap().starts_with(b"old") {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 9600 / rounds));
        let _ = child.kill();
        kills += usize::from(!child.wait().unwrap().success());
        let is_old = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"old"));
        let files: Vec<PathBuf> = tree(&world).into_iter().filter(|path| path.is_file()).collect();
        mixed += usize::from(files.iter().any(is_old));
        // Half of the time it is gone on with, half of the time taken away.
        if round % 2 == 0 {
            let (code, steps, err) = setup(&world, &["--yes"]);
            assert!(code == 0 && !actions(&steps).contains("refuse"), "{err}");
        }
        let (code, _, err) = setup(&world, &["--undo", "--yes"]);
        assert_eq!((code, tree(&world)), (0, before.clone()), "{err}");
    }
    println!("{kills} kills, {mixed} of them in the middle of an update");
    assert!(mixed > 0);
}

#[test]
fn one_kind_is_taken_away_alone() {
    let world = world();
    assert_eq!(setup(&world, &["--yes", "--only", "man", "--only", "fish"]).0, 0);
    let (code, _, err) = setup(&world, &["--undo", "--yes", "--only", "bash"]);
    assert!(code == 0 && err.contains("nothing is installed"), "{err}");
    assert_eq!(setup(&world, &["--undo", "--yes", "--only", "fish"]).0, 0);
    assert!(world.path("home/.local/share/man/man1/codex-agent.1").exists());
    assert!(!world.path("home/.config/fish/completions/codex-agent.fish").exists());
}

#[test]
fn what_comes_while_the_question_stands_is_not_lost() {
    let world = world();
    let page = world.path("home/.local/share/man/man1/codex-agent-ls.1");
    let mut command = world.command("codex-agent-setup");
    command.args(["--only", "man"]);
    let mut terminal = Terminal::open(command, 100, 24);
    terminal.until("[y/N] ");
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, "precious").unwrap();
    terminal.press("y\n");
    let (shown, code) = terminal.end();
    assert!(code == 2 && shown.contains("changed after the listing"), "{shown}");
    assert_eq!(fs::read_to_string(&page).unwrap(), "precious");
    assert_eq!(fs::read_dir(page.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn nothing_is_put_where_all_programs_are() {
    let mut world = world();
    world.set("HOME", "/");
    let (data, state) = (world.path("data"), world.path("state"));
    world.set("XDG_DATA_HOME", data.to_str().unwrap());
    world.set("XDG_STATE_HOME", state.to_str().unwrap());
    let (code, steps, err) = setup(&world, &["--dry-run", "--only", "man"]);
    assert_eq!(code, 0, "{err}");
    assert!(steps.iter().all(|step| Path::new(step["path"].as_str().unwrap()).starts_with(&data)));
}

#[test]
fn the_places_of_others_are_theirs_to_name() {
    let mut world = world();
    let places = [world.path("first"), world.path("second")].map(|path| path.display().to_string());
    world.set("BASH_COMPLETION_USER_DIR", places.join(":"));
    world.set("ZDOTDIR", world.path("zdot").to_str().unwrap());
    let (code, _, err) = setup(&world, &["--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(world.path("first/completions/codex-agent").exists());
    assert!(err.contains(&format!("into {}, before compinit", world.path("zdot/.zshrc").display())), "{err}");
}

#[test]
fn what_a_package_has_installed_is_left_alone() {
    let places = [
        ("man", "share/man/man1/codex-agent.1.gz"),
        ("man", "home/.local/share/man/man1/codex-agent.1.gz"),
        ("bash", "share/bash-completion/completions/codex-agent"),
        ("zsh", "share/zsh/vendor-completions/_codex-agent"),
        ("zsh", "share/zsh/site-functions/_codex-agent"),
        ("fish", "share/fish/vendor_completions.d/codex-agent.fish"),
    ];
    for (kind, file) in places {
        let world = world();
        world.write(file, "of a package");
        let (code, steps, err) = setup(&world, &["--yes"]);
        assert!(code == 0 && err.contains("a package has installed the files already"), "{file}: {err}");
        assert!(!steps.is_empty() && steps.iter().all(|step| step["kind"] != kind), "{file}: {steps:?}");
    }
    let world = world();
    places.iter().for_each(|(_, file)| drop(world.write(file, "of a package")));
    let before = tree(&world);
    let (code, steps, _) = setup(&world, &["--yes"]);
    assert_eq!((code, steps.len(), tree(&world)), (0, 0, before));
}
