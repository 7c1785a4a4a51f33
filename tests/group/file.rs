//! The file of the groups: damaged, read-only, on a full disk, linked, written by many, killed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::world::fake::end;
use crate::world::rollouts::{id, open_to_all, refused, set_mode, skip};
use crate::world::*;

/// A `groups.json` as earlier releases wrote it, with one group.
fn groups_json(sessions: &[String]) -> String {
    let group = serde_json::json!({
        "id": "11111111-0000-4000-8000-000000000000", "name": "work", "paused": false, "sessionIds": sessions,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
    });
    format!("{:#}\n", serde_json::json!({ "groups": [group] }))
}

fn put_groups(world: &World, text: impl AsRef<[u8]>) -> std::path::PathBuf {
    world.write("home/.config/codex-agent/groups.json", text)
}

/// The sessions of the group `work`. The file must parse, whatever happened to its writer.
pub(crate) fn members(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let file: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let ids = file["groups"][0]["sessionIds"].as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The names of temporary files beside a file.
fn left_behind(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path.parent().unwrap()).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !["groups.json", "groups.json.lock", "filler"].contains(&name.as_str())).collect()
}

/// `group add work` of one id, without a look into Codex's home.
fn add(id: &str) -> [&str; 5] {
    ["codex-agent-group", "add", "work", "--unchecked", id]
}

#[test]
fn a_groups_file_that_cannot_be_parsed_is_named_and_kept() {
    let whole = groups_json(&[id(1)]);
    let wrong_shape = r#"{"groups":[{"name":"n"}]}"#;
    for text in
        ["", "\n", &whole[..whole.len() / 2], &whole[..whole.len() - 3], "[]", "{}", "null", wrong_shape]
    {
        let world = World::new();
        let path = put_groups(&world, text);
        for words in [
            &add(&id(2))[..],
            &["codex-agent-group", "list"],
            &["codex-agent-group", "show", "work"],
            &["codex-agent-group", "create", "new"],
            &["codex-agent-group", "delete", "work"],
            &["codex-agent-group", "pause", "work"],
            &["codex-agent-group", "remove", "work", &id(1)],
        ] {
            let ran = world.run(words);
            ran.case(text).exits(2).prints("");
            ran.case(text).reports("groups.json");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(left_behind(&path), Vec::<String>::new());
    }
}

#[test]
fn a_path_that_is_no_regular_file_is_refused() {
    let state = |name: &str| format!("home/.local/state/codex-agent/{name}");
    for (file, line) in [
        ("home/.config/codex-agent/groups.json".to_owned(), "codex-agent-group list"),
        ("home/.config/codex-agent/groups.json".to_owned(), "codex-agent-group create new"),
        ("home/.config/codex-agent/queues.json".to_owned(), "codex-agent-queue list"),
        (state("setup.json"), "codex-agent-setup --dry-run"),
    ] {
        let world = World::new();
        world.script("bin/codex-agent-none", "#!/bin/sh\n");
        let name = file.rsplit('/').next().unwrap();
        for (make, why) in [
            ("mkfifo", "it is a pipe"),
            ("ln -s /dev/zero", "it is a device"),
            ("mkdir", "it is a directory"),
            ("truncate -s 257M", "it is larger than 256 MiB"),
        ] {
            let line = format!(
                "mkdir -p $(dirname {file}); {make} {file}; ulimit -v 4000000; PATH=$PATH:$PWD/bin timeout 60 {line}"
            );
            let ran = world.sh(&line);
            ran.exits(2).prints("");
            ran.reports(name).reports(why);
            world.sh(&format!("rm -r {file}")).succeeds();
        }
        // No process holds its lock.
        let line = format!("mkfifo {file}.lock; PATH=$PATH:$PWD/bin timeout 60 {line} --yes");
        let ran = world.sh(&line);
        assert!(ran.code != 124, "{line}: {}", ran.err);
    }
}

#[test]
fn unknown_keys_of_the_groups_file_are_kept_to_the_byte() {
    let world = World::new();
    // Numbers that no machine word holds, spacing, order, escapes: nothing of it is ours to change.
    let strange = r#"{"b": 1.50, "a":[1,  2], "n": 123456789012345678901234567890, "s":"\u00e9\/"}"#;
    let text = format!(
        r#"{{"version": 1e400, "groups":[{{"color":{strange},"id":"g-1","name":"work","sessionIds":["{}","not an id"],"createdAt":"c","updatedAt":"u","z": {{ }} }}], "later":{strange}}}"#,
        id(1)
    );
    let path = put_groups(&world, text);
    for words in [
        &add(&id(2))[..],
        &["codex-agent-group", "rename", "work", "play"],
        &["codex-agent-group", "pause", "play"],
    ] {
        world.run(words).succeeds();
    }
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(strange).count(), 2, "{text}");
    assert!(text.contains("1e400") && text.contains("{ }"), "{text}");
    assert!(text.contains("\"play\"") && text.contains(&id(2)) && text.contains("not an id"), "{text}");
}

#[test]
fn two_groups_of_one_name_are_distinguished_by_id() {
    let world = World::new();
    let one = groups_json(&[id(1)]);
    let group = |digit: &str| {
        one.replace("11111111-0000", digit).replace("{\n  \"groups\": [", "").replace("]\n}\n", "")
    };
    let first = &group("aaaaaaaa-0000").trim().to_owned();
    let second = &group("bbbbbbbb-0000").trim().to_owned();
    let text = format!("{{\"groups\": [{first}, {second}]}}");
    let path = put_groups(&world, &text);
    for words in
        [&add(&id(2))[..], &["codex-agent-group", "show", "work"], &["codex-agent-group", "delete", "work"]]
    {
        let ran = world.run(words);
        ran.exits(2).prints("");
        for id in ["aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"] {
            ran.reports(id);
        }
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let second = "bbbbbbbb-0000-4000-8000-000000000000";
    let ran = world.run(&["codex-agent-group", "add", second, "--unchecked", &id(2)]);
    ran.succeeds();
    let file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["groups"][0]["sessionIds"].as_array().unwrap().len(), 1);
    assert_eq!(file["groups"][1]["sessionIds"].as_array().unwrap().len(), 2);
    world.run(&["codex-agent-group", "delete", second]).succeeds();
    world.run(&["codex-agent-group", "show", "work"]).succeeds();
}

#[test]
fn a_read_only_groups_file_is_not_changed() {
    let world = World::new();
    let text = groups_json(&[id(1)]);
    let path = put_groups(&world, &text);
    set_mode(&path, 0o444);
    // The file stays unchanged even for root, which could write there.
    for words in [&add(&id(2))[..], &["codex-agent-group", "delete", "work"]] {
        let ran = world.run(words);
        ran.exits(2).reports("groups.json");
        ran.reports("permission denied");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(left_behind(&path), Vec::<String>::new());
    world.run(&["codex-agent-group", "list"]).succeeds();
}

#[test]
fn a_read_only_directory_changes_no_group() {
    let world = World::new();
    let text = groups_json(&[id(1)]);
    let path = put_groups(&world, &text);
    open_to_all(&world);
    set_mode(path.parent().unwrap(), 0o555);
    let ran = refused(&world, &add(&id(2)));
    let list = refused(&world, &["codex-agent-group", "list"]);
    set_mode(path.parent().unwrap(), 0o755);
    let (Some(ran), Some(list)) = (ran, list) else { return };
    assert!(
        // The directory is another user's where root runs this.
        ran.code == 2 && (ran.err.contains("permission denied") || ran.err.contains("it belongs to user 0")),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    list.succeeds().reports_exactly("");
    assert!(list.out.starts_with("work\t1\t"), "{}", list.out);
}

#[test]
fn a_full_disk_changes_no_group() {
    // A namespace of its own, so that the mount goes away with the shell, however that ends.
    let world = World::new();
    let sessions: Vec<String> = (0..100).map(id).collect();
    let text = groups_json(&sessions);
    world.write("groups.json", &text);
    fs::create_dir(world.path("small")).unwrap();
    let ran = world.sh(
        "exec 3>&2; exec 2>mount.err
         unshare --map-root-user --mount sh -c '
           mount -t tmpfs -o size=16k,mode=700 none small || exit 99
           cp groups.json small/ && exec 2>&3
           head -c 100000 /dev/zero >small/filler 2>/dev/null
           CODEX_AGENT_CONFIG_HOME=$PWD/small codex-agent-group add work --unchecked 01a202e0-0000-7000-8000-ffffffffffff
           echo $?; ls -A small; cmp groups.json small/groups.json && echo same
         '",
    );
    if ran.out.is_empty() {
        return skip(&format!(
            "no small disk to fill: {}",
            fs::read_to_string(world.path("mount.err")).unwrap()
        ));
    }
    ran.reports("groups.json").reports("no space left");
    assert_eq!(
        ran.out.lines().collect::<Vec<_>>(),
        ["2", "filler", "groups.json", "groups.json.lock", "same"],
        "{}",
        ran.err
    );
}

#[test]
fn a_limit_of_the_file_size_changes_no_group() {
    let world = World::new();
    let sessions: Vec<String> = (0..100).map(id).collect();
    let text = groups_json(&sessions);
    let path = put_groups(&world, &text);
    // The limit is in blocks of 512 bytes or 1 KiB, by the shell. Writing stops in the middle.
    let ran = world.sh(&format!("trap '' XFSZ; ulimit -f 3; exec {}", add(&id(200)).join(" ")));
    ran.exits(2).reports("groups.json").reports("nothing was changed");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(left_behind(&path), Vec::<String>::new());
}

#[test]
fn a_hundred_concurrent_additions_are_all_saved() {
    let world = World::new();
    let children: Vec<Child> = (0..100)
        .map(|number| {
            let id = id(number);
            let words = add(&id);
            world.command(words[0]).args(&words[1..]).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(end(&mut child), 0);
    }
    let path = world.config("groups.json");
    let mut got = members(&path);
    got.sort();
    assert_eq!(got, (0..100).map(id).collect::<Vec<_>>());
    assert_eq!(fs::read_to_string(&path).unwrap().matches("\"work\"").count(), 1, "the group was made twice");
    assert_eq!(left_behind(&path), Vec::<String>::new());
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_groups_or_the_new() {
    let world = World::new();
    let sessions: Vec<String> = (0..2000).map(id).collect();
    let path = put_groups(&world, groups_json(&sessions));
    let begin = |id: &str| {
        let words = add(id);
        world.command(words[0]).args(&words[1..]).stderr(Stdio::null()).spawn().unwrap()
    };
    let begun = Instant::now();
    (0..5).for_each(|number| assert_eq!(begin(&id(5000 + number)).wait().unwrap().code(), Some(0)));
    let mut whole = begun.elapsed() / 5;
    let mut before = members(&path);
    let (mut old, mut new) = (0, 0);
    for number in 0..2000 {
        // A machine may be much slower or faster than it was a moment ago.
        if number % 50 == 0 && number > 0 {
            match (old, new) {
                (0, _) => whole /= 2,
                (_, 0) => whole *= 2,
                _ if number >= 200 => break,
                _ => {}
            }
        }
        let id = id(10_000 + number as usize);
        let mut child = begin(&id);
        std::thread::sleep(whole * (number % 50) / 40);
        child.kill().unwrap();
        child.wait().unwrap();
        let after = members(&path);
        if after == before {
            old += 1;
        } else {
            before.push(id);
            assert_eq!(after, before, "neither the old nor the new");
            new += 1;
        }
    }
    assert!(old > 0 && new > 0, "every kill came at one side of the change: {old} {new}");
    // No lock outlives its holder, and what the dead left is swept once it is old.
    for name in left_behind(&path) {
        let file = fs::File::options().write(true).open(path.with_file_name(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(7200)).unwrap();
    }
    fs::write(path.with_file_name(".codex-agent-fresh"), "being written").unwrap();
    world.run(&add(&id(99_999))).succeeds();
    assert_eq!(left_behind(&path), [".codex-agent-fresh"]);
    assert_eq!(members(&path).len(), before.len() + 1);
}

#[test]
fn the_groups_file_is_private() {
    let world = World::new();
    let line = format!("umask 000; {}", add(&id(1)).join(" "));
    world.sh(&line).succeeds();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = world.config("groups.json");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&world.config("groups.json.lock")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // A mode that its user chose stays.
    set_mode(&path, 0o640);
    set_mode(path.parent().unwrap(), 0o755);
    world.run(&add(&id(2))).succeeds();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o640, 0o755));
}

#[test]
fn a_linked_groups_file_stays_a_link() {
    let world = World::new();
    fs::create_dir_all(world.path("home/.config/codex-agent")).unwrap();
    fs::create_dir(world.path("dotfiles")).unwrap();
    let link = world.config("groups.json");
    symlink("../../../dotfiles/codex-groups.json", &link).unwrap();
    // First to a file that is not there yet, then to one that is.
    for number in 1..3 {
        world.run(&add(&id(number))).succeeds();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(members(&world.path("dotfiles/codex-groups.json")).len(), number);
    }
    let beside: Vec<_> =
        fs::read_dir(link.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(beside, ["groups.json"], "lock and temporary files belong beside the target");
}
