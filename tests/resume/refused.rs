//! Sessions that Codex refuses to resume: the report about a rollout agrees with the real Codex.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::real::{Real, codex, streams};
use crate::world::{HOMES, World, copy, json as records};

/// A change to the bytes of a rollout.
type Change = (&'static str, fn(&[u8]) -> Vec<u8>);

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

fn first_without(key: &str, bytes: &[u8]) -> Vec<u8> {
    with_first(bytes, |first| {
        first["payload"].as_object_mut().unwrap().remove(key);
    })
}

fn with_first(bytes: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let all = lines(bytes);
    let mut first: Value = serde_json::from_slice(all[0]).unwrap();
    change(&mut first);
    [format!("{first}\n").as_bytes(), &all[1..].concat()].concat()
}

const UNNUMBERED: &[u8] = br#"{"timestamp":"2026-11-28T13:16:54.617Z","type":"event_msg","payload":{"type":"user_message","message":"old","images":[]}}
"#;

const UNKNOWN: &[u8] =
    b"{\"timestamp\":\"2026-11-28T13:16:54.617Z\",\"type\":\"never_seen\",\"payload\":{}}\n";

const CHANGES: [Change; 22] = [
    ("nothing", |bytes| bytes.to_vec()),
    ("a last line of an older Codex", |bytes| [bytes, UNNUMBERED].concat()),
    ("the same, then a line of an unknown type", |bytes| [bytes, UNNUMBERED, UNKNOWN].concat()),
    ("the same, then half a line", |bytes| [bytes, UNNUMBERED, b"{\"timestamp\":\"20"].concat()),
    ("no ordinals at all", |bytes| {
        let strip = |line: &&[u8]| {
            let mut value: Value = serde_json::from_slice(line).unwrap();
            value.as_object_mut().unwrap().remove("ordinal");
            format!("{value}\n").into_bytes()
        };
        lines(bytes).iter().flat_map(strip).collect()
    }),
    ("a line without an ordinal in the middle", |bytes| {
        let all = lines(bytes);
        [&all[..6].concat(), UNNUMBERED, &all[6..].concat()].concat()
    }),
    ("a last line of an unknown type", |bytes| [bytes, UNKNOWN].concat()),
    ("garbage at the end", |bytes| [bytes, b"garbage\n"].concat()),
    ("half a line at the end", |bytes| [bytes, &lines(bytes)[3][..40]].concat()),
    ("zeros at the end", |bytes| [bytes, &[0; 512]].concat()),
    ("a line twice", |bytes| [bytes, lines(bytes).last().unwrap()].concat()),
    ("a lost line", |bytes| [lines(bytes)[..5].concat(), lines(bytes)[6..].concat()].concat()),
    ("an empty first line", |bytes| [b"\n", bytes].concat()),
    ("garbage before the first line", |bytes| [b"garbage\n", bytes].concat()),
    ("no first line", |bytes| lines(bytes)[1..].concat()),
    ("another id", |bytes| {
        with_first(bytes, |first| first["payload"]["id"] = "01a2224d-33b7-78a2-86df-f3b02c66dd00".into())
    }),
    ("no directory", |bytes| first_without("cwd", bytes)),
    ("no originator", |bytes| first_without("originator", bytes)),
    ("no source", |bytes| first_without("source", bytes)),
    ("no time", |bytes| first_without("timestamp", bytes)),
    ("a history of the future", |bytes| {
        with_first(bytes, |first| first["payload"]["history_mode"] = "future".into())
    }),
    ("no envelope", |bytes| {
        let first: Value = serde_json::from_slice(lines(bytes)[0]).unwrap();
        let bare = serde_json::json!({"id": first["payload"]["id"], "timestamp": "2025-08-13T10:00:00.000Z", "instructions": null});
        let said = serde_json::json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "old"}]});
        format!("{bare}\n{{\"record_type\":\"state\"}}\n{said}\n").into_bytes()
    }),
];

/// The rollout of a session.
fn file(home: &Path, id: &str) -> PathBuf {
    let mut directories = vec![home.join("sessions")];
    while let Some(folder) = directories.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.to_str().unwrap().contains(id) {
                return path;
            }
        }
    }
    panic!("{id}");
}

/// A copy of the home, as if it had always been there, and without Codex's projection of the rollouts.
fn home_of(real: &Real, name: &str) -> PathBuf {
    let home = real.world.path(name);
    copy(&real.world.codex_home(), &home);
    let database = rusqlite::Connection::open(home.join("state_5.sqlite")).unwrap();
    let (from, to) = (real.world.codex_home(), home.clone());
    let sql = "UPDATE threads SET rollout_path = replace(rollout_path, ?1, ?2)";
    database.execute(sql, [from.to_str().unwrap(), to.to_str().unwrap()]).unwrap();
    for name in ["thread_history_1.sqlite", "thread_history_1.sqlite-wal", "thread_history_1.sqlite-shm"] {
        let _ = std::fs::remove_file(home.join(name));
    }
    home
}

/// Whether the real Codex resumes a session of this home, in which case nothing may be lost.
fn resumes(real: &Real, home: &Path, id: &str) -> Result<(), String> {
    let mut command = real.command("alpha");
    command.env("CODEX_HOME", home).args(["exec", "--json", "--skip-git-repo-check", "resume", id, "Again"]);
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && out.contains("turn.completed") && out.contains(id) {
        return Ok(());
    }
    Err(streams(&output))
}

/// The problem that `ls --check` reports for a session that cannot be resumed.
fn find_reported_problem(world: &World, home: &Path, id: &str) -> Option<String> {
    let home = home.to_str().unwrap();
    let ran = world.run(&["codex-agent-ls", "--check", "--json", "--codex-home", home]);
    let about = ["not_resumable", "foreign_file", "unreadable_file"];
    let is_it = |problem: &Value| problem["id"] == id && about.iter().any(|word| problem["problem"] == *word);
    records(&ran.out).into_iter().find(is_it).map(|problem| problem.to_string())
}

#[test]
fn sessions_that_codex_refuses_to_resume_are_predicted() {
    let Some(real) = Real::new() else { return };
    let Some(old) = codex("0.120.0") else { return };
    let paginated = real.exec("alpha", &["Hello there"]);
    let made = Real { world: World::new(), codex: old, model: crate::world::model::Model::start() };
    made.world.write("home/.codex/config.toml", made.model.config_toml());
    std::fs::create_dir(made.world.path("alpha")).unwrap();
    let legacy = made.exec("alpha", &["Hello there"]);
    for (real, made, id) in [(&real, &real, &paginated), (&real, &made, &legacy)] {
        for (at, (what, change)) in CHANGES.iter().enumerate() {
            let home = home_of(made, &format!("home-{at}"));
            std::fs::copy(real.world.codex_home().join("config.toml"), home.join("config.toml")).unwrap();
            let path = file(&home, id);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, change(&bytes)).unwrap();
            let reported = find_reported_problem(&real.world, &home, id);
            let resumes = resumes(real, &home, id);
            assert_eq!(reported.is_some(), resumes.is_err(), "{what} {id}: {reported:?} {resumes:?}");
        }
    }
    let invalid = home_of(&made, "home-invalid");
    std::fs::copy(real.world.codex_home().join("config.toml"), invalid.join("config.toml")).unwrap();
    let path = file(&invalid, &legacy);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], b"{\"type\":\"never_seen\",\"payload\":\"\xff\"}\n"].concat())
        .unwrap();
    assert!(find_reported_problem(&real.world, &invalid, &legacy).unwrap().contains("UTF-8"));
    assert!(resumes(&real, &invalid, &legacy).unwrap_err().contains("UTF-8"));
}

#[test]
fn a_fork_with_a_damaged_base_is_predicted() {
    let Some(real) = Real::new() else { return };
    let root = real.exec("alpha", &["One"]);
    real.exec("alpha", &["resume", &root, "Two"]);
    let fork = real.exec("alpha", &["fork", &root]);
    real.exec("alpha", &["resume", &fork, "Three"]);
    let second = real.exec("alpha", &["fork", &fork]);
    real.exec("alpha", &["resume", &second, "Four"]);
    type Damage = fn(&Path);
    let damages: [(&str, Damage, [bool; 2]); 6] = [
        ("nothing", |_| {}, [true, true]),
        ("gone", |path| std::fs::remove_file(path).unwrap(), [false, false]),
        (
            "shorter",
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, lines(&bytes)[..lines(&bytes).len() - 1].concat()).unwrap();
            },
            [false, false],
        ),
        ("empty", |path| std::fs::write(path, "").unwrap(), [false, false]),
        (
            "longer",
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, [&bytes[..], UNNUMBERED].concat()).unwrap();
            },
            [true, true],
        ),
        (
            "elsewhere",
            |path| {
                let aside = path.ancestors().nth(6).unwrap().join(path.file_name().unwrap());
                std::fs::rename(path, &aside).unwrap();
                std::os::unix::fs::symlink(aside, path).unwrap();
            },
            [false, false],
        ),
    ];
    for (at, (what, damage, fine)) in damages.into_iter().enumerate() {
        for (id, fine) in [&fork, &second].into_iter().zip(fine) {
            let home = home_of(&real, &format!("home-{at}-{id}"));
            damage(&file(&home, &root));
            let reported = find_reported_problem(&real.world, &home, id);
            let resumes = resumes(&real, &home, id);
            assert_eq!(
                (reported.is_none(), resumes.is_ok()),
                (fine, fine),
                "{what}: {reported:?} {resumes:?}"
            );
        }
    }
}

#[test]
fn a_session_that_an_older_codex_wrote_to_is_refused_with_a_hint() {
    let Some(mut real) = Real::new() else { return };
    let id = real.exec("alpha", &["Hello there"]);
    let path = file(&real.world.codex_home(), &id);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], UNNUMBERED].concat()).unwrap();
    real.world.set("PATH", format!("{}:{}", crate::world::bins().display(), std::env::var("PATH").unwrap()));
    let requests = real.model.requests().len();
    // The session is listed, and refused with its reason; nothing is sent.
    let listed = records(&real.world.ok(&["codex-agent-ls", "--json", "--full", "--archived"]));
    assert_eq!((&listed[0]["title"], &listed[0]["status"]), (&"Hello there".into(), &"idle".into()));
    for words in [&["codex-agent-resume", &id][..], &["codex-agent-resume", &id, "--prompt", "Again"]] {
        let ran = real.world.run(words);
        assert_ne!(ran.code, 0, "{words:?}");
        assert!(
            ran.err.contains("no ordinal") || ran.out.contains("no ordinal"),
            "{words:?}: {}{}",
            ran.out,
            ran.err
        );
    }
    assert_eq!(real.model.requests().len(), requests);
    assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len() + UNNUMBERED.len());
    // The fork that the hint names has the whole session, and can be resumed.
    let ran = real.world.run(&["codex-agent-resume", &id]);
    ran.reports(format!("codex-agent fork {id}"));
    let fork = real.world.ok(&["codex-agent-fork", &id]);
    let fork = fork.split_whitespace().next().unwrap();
    assert_eq!(resumes(&real, &real.world.codex_home(), fork), Ok(()));
    assert!(real.model.requests().last().unwrap().body.to_string().contains("Hello there"));
}

#[test]
fn no_recorded_session_is_refused() {
    for version in HOMES {
        let world = World::with_home(version);
        let ran = world.run(&["codex-agent-ls", "--check", "--json"]);
        for problem in records(&ran.out) {
            assert_ne!(problem["problem"], "not_resumable", "{version}: {problem}");
        }
    }
}

#[test]
fn a_fork_of_a_reverted_session_has_its_base_in_a_segment() {
    let mut world = World::new();
    let [root, segment, fork] = [1, 2, 3].map(|last| format!("01a2224d-33b7-78a2-86df-f3b02c66dd0{last}"));
    let directory = world.path("");
    let put = |name: &str, id: &str, base: Value| {
        let meta = serde_json::json!({"id": id, "timestamp": "2026-11-28T13:16:54.000Z", "cwd": directory,
            "originator": "codex_exec", "cli_version": "0.171.0", "source": "exec", "history_mode": "paginated",
            "history_base": base});
        let line = serde_json::json!({"timestamp": "2026-11-28T13:16:54.000Z", "ordinal": 0, "type": "session_meta", "payload": meta});
        world.write(
            &format!("home/.codex/sessions/2026/11/28/rollout-2026-11-28T13-16-54-{name}.jsonl"),
            format!("{line}\n"),
        );
    };
    let base =
        |id: &str| serde_json::json!({"thread_id": id, "end_ordinal_exclusive": 1, "end_byte_offset": 10});
    put(&root, &root, Value::Null);
    put(&format!("{root}_{segment}"), &root, base(&root));
    put(&fork, &fork, base(&segment));
    assert_eq!(find_reported_problem(&world, &world.codex_home(), &fork), None);
    let codex = world.script("codex", "#!/bin/sh\necho codex-cli 0.171.0\n");
    world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
    let ran = world.run(&["codex-agent-fork", &fork]);
    ran.reports("could not fork");
    // Without the segment, its beginning is gone.
    std::fs::remove_file(file(&world.codex_home(), &segment)).unwrap();
    assert!(find_reported_problem(&world, &world.codex_home(), &fork).unwrap().contains(&segment));
    let ran = world.run(&["codex-agent-fork", &fork]);
    ran.never_reports("could not fork").reports(&segment);
}
