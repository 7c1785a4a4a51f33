//! Files that are no tools, descriptions that cannot be read, paths of every kind: each is reported, and hides
//! nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::plugin::{DESCRIBED, listed, own, plugin, world};
use crate::world::{World, bins, json};

#[test]
fn a_file_that_is_no_tool_is_reported_with_the_reason() {
    let mut world = world();
    world.script("bin/codex-agent-good", "#!/bin/sh\n");
    world.script("bin/codex-agent-ls", "#!/bin/sh\necho hostile\n");
    world.script("bin/codex-agent-help", "#!/bin/sh\n");
    world.script("bin/codex-agent-Big", "#!/bin/sh\n");
    world.script("bin/codex-agent-two words", "#!/bin/sh\n");
    world.script("bin/codex-agent-..", "#!/bin/sh\n");
    world.script("bin/codex-agent-\u{1b}[31m", "#!/bin/sh\n");
    world.script("bin/codex-agent-broken", "#!/no/such/interpreter -x\n");
    world.script("bin/codex-agent-enved", "#!/usr/bin/env -S no-such-python -u\n");
    world.script("bin/codex-agent-fine", "#! /usr/bin/env sh\n");
    world.script("bin/codex-agent-unset", "#!/usr/bin/env -S -u FOO sh\n");
    world.script("bin/codex-agent-crlf", "#!/bin/sh\r\n");
    world.write("bin/codex-agent-plain", "#!/bin/sh\n");
    world.write("bin/codex-agent-good.1", "a page, which is no tool and meant as none");
    fs::create_dir(world.path("bin/codex-agent-folder")).unwrap();
    symlink("/nowhere", world.path("bin/codex-agent-dangling")).unwrap();
    world.script("later/codex-agent-good", "#!/bin/sh\n");
    symlink("loop", world.path("loop")).unwrap();
    let root = world.path("");
    let path = |name: &str| root.join(name).display().to_string();
    let directories = format!("{}:{}:{}:/usr/bin:/bin", path("bin"), path("later"), path("loop"));
    world.set("PATH", directories);
    let ran = plugin(&world, &["list", "--json"]);
    ran.succeeds().reports_exactly("");
    let records = json(&ran.out);
    let problems: Vec<(String, String)> = records
        .iter()
        .filter(|record| record["type"] == "plugin.problem")
        .map(|record| {
            let file =
                Path::new(record["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
            (
                file.trim_start_matches("codex-agent-").to_owned(),
                record["problem"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let mut wanted = [
        ("..", "misnamed"),
        ("Big", "misnamed"),
        ("\u{1b}[31m", "misnamed"),
        ("two words", "misnamed"),
        ("help", "misnamed"),
        ("dangling", "not_executable"),
        ("folder", "not_executable"),
        ("plain", "not_executable"),
        ("ls", "shadowed"),
        ("good", "shadowed"),
        ("loop", "unreadable"),
        ("broken", "no_interpreter"),
        ("enved", "no_interpreter"),
        ("crlf", "no_interpreter"),
    ]
    .map(|(name, problem)| (name.to_owned(), problem.to_owned()))
    .to_vec();
    let mut problems_sorted = problems.clone();
    problems_sorted.sort();
    wanted.sort();
    assert_eq!(problems_sorted, wanted);
    let tools: Vec<&Value> = records.iter().filter(|record| record["type"] == "tool").collect();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .filter(|name| !["plugin", "status"].contains(name))
        .collect();
    assert!(names.contains(&"good") && names.contains(&"broken") && !names.contains(&"help"), "{names:?}");
    let ls = tools.iter().find(|tool| tool["name"] == "ls").unwrap();
    assert_eq!((&ls["ours"], &ls["shadows"]), (&json!(true), &json!([path("bin/codex-agent-ls")])));

    let ran = plugin(&world, &["ls"]);
    ran.succeeds();
    for line in [
        format!("'{}' is no tool: it is a directory", path("bin/codex-agent-folder")),
        format!("'{}' is no tool: it is not executable", path("bin/codex-agent-plain")),
        format!(
            "'{}' is no tool: it is a symbolic link to a file that does not exist",
            path("bin/codex-agent-dangling")
        ),
        format!("'{}' is no tool: the name of a tool is lower case", path("bin/codex-agent-Big")),
        format!(
            "'{}' is not run: '{}' comes before it",
            path("later/codex-agent-good"),
            path("bin/codex-agent-good")
        ),
        format!(
            "'{}' cannot be run: its first line names '/no/such/interpreter'",
            path("bin/codex-agent-broken")
        ),
        format!("'{}' cannot be read: ", path("loop")),
    ] {
        ran.reports(&line);
    }
    ran.never_shows("good.1").never_reports("good.1");
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    plugin(&world, &["which", "good"]).prints(format!("{}\n", path("bin/codex-agent-good")));
    let both = format!("{}\n{}\n", path("bin/codex-agent-good"), path("later/codex-agent-good"));
    plugin(&world, &["which", "-a", "good"]).prints(both);
    for (name, code) in
        [("plain", 2), ("dangling", 2), ("folder", 2), ("nothing", 1), ("Big", 1), ("..", 1), ("", 1)]
    {
        let ran = plugin(&world, &["which", name]);
        ran.case(name).exits(code).prints("");
    }
    world.run(&["codex-agent", "help", "broken"]).exits(126);
}

#[test]
fn search_paths_of_every_kind_are_read() {
    let mut world = World::new();
    world.script("bin/codex-agent-good", "#!/bin/sh\n");
    let many: Vec<String> = (0..500)
        .map(|number| {
            world.script(&format!("many/{number}/codex-agent-n{number}"), "#!/bin/sh\n");
            world.path(&format!("many/{number}")).display().to_string()
        })
        .collect();
    let bin = world.path("bin").display().to_string();
    let own = bins().display().to_string();
    for (path, found) in [
        (String::new(), false),
        (":::".to_owned(), false),
        ("bin:./bin:../bin:".to_owned(), false),
        (format!("::bin:{bin}:/nowhere:/etc/passwd:"), true),
        (format!("{}:{bin}", many.join(":")), true),
    ] {
        world.set("PATH", path.clone());
        let command = bins().join("codex-agent-plugin");
        let ran = world.run(&[command.to_str().unwrap(), "list", "--json"]);
        ran.case(&path).succeeds().reports_exactly("");
        let tools = json(&ran.out);
        assert_eq!(tools.iter().any(|tool| tool["name"] == "good"), found, "{path}");
        assert_eq!(
            tools.iter().filter(|tool| tool["type"] == "plugin.problem").count(),
            0,
            "{path}: {}",
            ran.out
        );
        if path.len() > 5000 {
            assert!(tools.iter().any(|tool| tool["name"] == "n499"));
        }
        assert!(
            tools.iter().any(|tool| tool["name"] == "ls" && tool["path"].as_str().unwrap().starts_with(&own))
        );
    }
}

#[test]
fn a_directory_that_may_not_be_read_hides_nothing_else() {
    if crate::world::is_root() {
        eprintln!("SKIPPED: root may read every folder");
        return;
    }
    let world = world();
    world.script("bin/codex-agent-good", "#!/bin/sh\n");
    fs::set_permissions(world.path("bin"), fs::Permissions::from_mode(0o311)).unwrap();
    let ran = plugin(&world, &["list"]);
    ran.succeeds().reports("cannot be read: permission denied");
    // The tool cannot be listed, and can be run all the same.
    world.run(&["codex-agent", "good"]).succeeds();
}

#[test]
fn a_description_that_cannot_be_read_is_a_warning_and_never_overwritten() {
    let mut world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    world.set("XDG_DATA_DIRS", world.path("share").display().to_string());
    let good = DESCRIBED.split("echo '").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let others = ["", "{", "[]", "null", "\u{0}", r#"{"type":"tool","name":"told"}"#, "\u{ff}"];
    let of_later = r#"{"type":"tool","name":"told","about":"x","protocol":7}"#;
    let of_another = r#"{"type":"tool","name":"other","about":"x"}"#;
    for text in others.into_iter().chain([of_later, of_another, &good, &" ".repeat(70_000)]) {
        let file = world.write("home/.local/share/codex-agent/tools/told.json", text);
        for words in [&["--list"][..], &["--list=json"], &["plugin", "list"], &["plugin", "list", "--json"]] {
            let ran = world.run(&[&["codex-agent"], words].concat());
            ran.case(text).succeeds().shows("told");
            let warnings = ran.err.matches("cannot read the description").count();
            ran.case(text).reports("tools/told.json");
            assert!(warnings == 1, "{words:?} {text:?}: {}", ran.err);
        }
        plugin(&world, &["describe", "told"]).case(text).exits(1);
        for words in [&["add", "told"][..], &["add", "told", "--about", "x"]] {
            let ran = plugin(&world, words);
            ran.case(text).exits(2).prints("");
            ran.reports("tools/told.json").reports("plugin remove told");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(!world.path("bin/codex-agent-told.runs").exists(), "it was run");
        world.run(&["codex-agent", "told", "x"]).prints("told: x\n");
        fs::remove_file(world.path("bin/codex-agent-told.runs")).unwrap();
        // The one of a package describes the tool meanwhile.
        let packaged = r#"{"type":"tool","name":"told","about":"of a package"}"#;
        let shipped = world.write("share/codex-agent/tools/told.json", packaged);
        world.run(&["codex-agent", "--list"]).case(text).shows("told\tof a package\t");
        fs::remove_file(shipped).unwrap();
        plugin(&world, &["remove", "told"]).succeeds();
        assert!(!file.exists());
    }
    for make in ["mkfifo", "ln -s /dev/zero", "mkdir", "truncate -s 257M"] {
        let ran = world.sh(&format!("{make} home/.local/share/codex-agent/tools/told.json"));
        ran.succeeds();
        let ran = world.sh("ulimit -v 2000000; timeout 60 codex-agent --list");
        ran.case(make).succeeds().reports("cannot read the description");
        plugin(&world, &["add", "told", "--about", "x"]).case(make).exits(2);
        world.sh("rm -r home/.local/share/codex-agent/tools/told.json");
    }
}

#[test]
fn a_null_field_counts_as_a_missing_one() {
    let world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    world.write(
        "home/.local/share/codex-agent/tools/told.json",
        r#"{"type":"tool","name":"told","about":"x","version":null,"protocol":null,"reads":null,"writes":null,
            "pipe":null,"generates":null,"completes":null}"#,
    );
    assert_eq!(
        (&listed(&world, "told")["about"], &listed(&world, "told")["version"]),
        (&json!("x"), &Value::Null)
    );
}

#[test]
fn without_a_home_the_tools_are_listed_all_the_same() {
    let mut world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    world.set("HOME", "");
    let ran = plugin(&world, &["list"]);
    ran.succeeds().shows("told\t");
    let ran = plugin(&world, &["add", "told"]);
    ran.exits(2).reports("HOME is not set");
}

#[test]
fn a_directory_and_a_link_to_it_are_listed_once() {
    let mut world = world();
    world.script("bin/codex-agent-told", DESCRIBED);
    world.script("later/codex-agent-told", DESCRIBED);
    symlink("bin", world.path("link")).unwrap();
    let directories = ["bin", "link", "later"].map(|name| world.path(name).display().to_string());
    world.set("PATH", format!("{}:/usr/bin:/bin", directories.join(":")));
    let places = [&directories[0], &directories[2]].map(|directory| format!("{directory}/codex-agent-told"));
    plugin(&world, &["which", "-a", "told"]).prints(format!("{}\n", places.join("\n")));
    plugin(&world, &["add", "told"]).succeeds();
    let described = &json(&plugin(&world, &["describe", "told", "--json"]).out)[0];
    assert_eq!(described["shadows"], json!([places[1]]));
    assert_eq!(listed(&world, "told")["shadows"], json!([places[1]]));
}

#[test]
fn a_path_that_is_not_utf_8_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let world = world();
    let directory = world.path("bin").join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let script = world.script("script", &DESCRIBED.replace("told", "odd"));
    fs::create_dir_all(&directory).unwrap();
    fs::copy(script, directory.join("codex-agent-odd")).unwrap();
    let mut command = world.command("codex-agent-plugin");
    let mut path = directory.clone().into_os_string();
    path.push(":/usr/bin:/bin");
    assert!(command.args(["add", "odd"]).env("PATH", path).status().unwrap().success());
    assert!(own(&world, "odd").exists());
}

#[test]
fn a_tool_is_also_found_by_the_name_of_its_executable() {
    let world = world();
    let tool = world.script("bin/codex-agent-told", DESCRIBED);
    plugin(&world, &["add", "codex-agent-told"]).succeeds();
    plugin(&world, &["which", "codex-agent-told"]).prints(format!("{}\n", tool.display()));
    for words in [&["describe"][..], &["check", "--only", "name"], &["remove"]] {
        let ran = plugin(&world, &[words, &["codex-agent-told"]].concat());
        ran.succeeds();
    }
}

#[test]
fn concurrent_additions_are_all_saved() {
    let world = world();
    let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
    for name in &names {
        world.script(
            &format!("bin/codex-agent-{name}"),
            &DESCRIBED.replace("told", name).replace("1e400", "1"),
        );
    }
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| assert_eq!(plugin(&world, &["add", name]).code, 0));
        }
    });
    names.iter().for_each(|name| assert_eq!(listed(&world, name)["description"], "known"));
    // Concurrent additions of one name leave one complete file.
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| assert_eq!(plugin(&world, &["add", "n0", "--about", name]).code, 0));
        }
    });
    assert!(names.iter().any(|name| listed(&world, "n0")["about"] == **name));
}

#[test]
fn wrong_usage_is_refused() {
    let world = world();
    for (words, why) in [
        (&["list", "x"][..], "unexpected operand 'x'"),
        (&["which"], "the name of a tool is missing"),
        (&["which", "a", "b"], "unexpected operand 'b'"),
        (&["add"], "the name of a tool is missing"),
        (&["check"], "the name of a tool is missing"),
        (&["check", "--only", "nonsense", "ls"], "nonsense"),
        (&["completion", "ls"], "expected the name of a tool and a shell"),
        (&["completion", "ls", "tcsh"], "cannot complete in shell 'tcsh'"),
        (&["remove"], "the name of a tool is missing"),
        (&["nonsense"], "unknown verb 'nonsense'"),
    ] {
        let ran = plugin(&world, words);
        ran.exits(2).prints("");
        ran.reports(why);
    }
}
