//! Documents are what the executables say of themselves: man pages and completions as they are checked
//! in, the text of `--help`, the examples.
//!
//! `UPDATE=1 cargo test --test tests documents` writes the generated ones anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::plugin::TOOLS;
use serde_json::json;

use crate::world::real::Real;
use crate::world::terminal::on_terminal;
use crate::world::*;

/// Pages that are written by hand.
const BY_HAND: [&str; 4] =
    ["codex-agent.7", "codex-agent-plugins.7", "codex-agent-records.5", "codex-agent-files.5"];

/// Examples that print nothing where there is nobody to type.
const SILENT: [&str; 5] = [
    "codex-agent plugin list --json | jq -r 'select(.type == \"tool\" and .ours == false).name'",
    "codex-agent demo sh",
    "codex-agent status",
    "codex-agent schema --all > codex-agent.schema.json",
    "codex-agent run --dry-run --sandbox read-only 'Look for dead code' > jobs",
];

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every executable of Cargo.toml.
fn executables() -> Vec<String> {
    let manifest = fs::read_to_string(root("Cargo.toml")).unwrap();
    let names = manifest.split("[[bin]]").skip(1).map(|table| {
        let line = table.lines().find(|line| line.starts_with("name = ")).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    });
    names.collect()
}

/// The documents of an executable that are made from its table: kind and file.
fn documents(name: &str) -> [(&'static str, String); 1] {
    [("man", format!("man/{name}.1"))]
}

/// The verbs of an executable, as its help lists them.
fn verbs(world: &World, name: &str) -> Vec<String> {
    let help = world.ok(&[name, "--help"]);
    let listed =
        help.lines().skip_while(|line| *line != "Verbs:").skip(1).take_while(|line| !line.is_empty());
    // What goes on in a second line is further in.
    let first =
        listed.filter(|line| !line.starts_with("   ")).map(|line| line.split_whitespace().next().unwrap());
    first.map(str::to_owned).collect()
}

/// Every command line whose `--help` there is.
pub fn commands(world: &World) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in executables() {
        let verbs = verbs(world, &name);
        all.push(vec![name.clone()]);
        all.extend(verbs.into_iter().map(|verb| vec![name.clone(), verb]));
    }
    all
}

fn run(world: &World, command: &[String], flag: &str) -> Ran {
    let words: Vec<&str> = command.iter().map(String::as_str).chain([flag]).collect();
    world.run(&words)
}

/// A flag as its help shows it.
pub struct Listed {
    short: Option<String>,
    pub long: String,
    pub help: String,
}

pub fn flags(help: &str) -> Vec<Listed> {
    let mut flags: Vec<Listed> = Vec::new();
    for line in help.lines() {
        let is_flag = line.starts_with("      --") || (line.starts_with("  -") && line.contains(", --"));
        let text = line.trim_start();
        if is_flag {
            let short =
                text.strip_prefix('-').filter(|rest| !rest.starts_with('-')).map(|rest| rest[..1].to_owned());
            let from = text.find("--").unwrap() + 2;
            let long = text[from..].split([' ', '[']).next().unwrap().to_owned();
            // Whatever is too long for its column leaves the words to the next line.
            let words = text.split_once("  ").map_or("", |(_, words)| words.trim_start());
            flags.push(Listed { short, long, help: words.to_owned() });
        } else if line.starts_with("          ") {
            let flag = flags.last_mut().unwrap();
            flag.help = format!("{} {text}", flag.help).trim_start().to_owned();
        }
    }
    flags
}

#[test]
fn the_executables_are_the_tools_and_the_dispatcher() {
    let world = World::new();
    let bins: BTreeSet<String> = executables().into_iter().collect();
    let mut tools: BTreeSet<String> = TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}")).collect();
    tools.insert("codex-agent".to_owned());
    assert_eq!(bins, tools);
    let listed: BTreeSet<String> = json(&world.ok(&["codex-agent", "--list=json"]))
        .iter()
        .filter(|tool| tool["ours"] == true)
        .map(|tool| format!("codex-agent-{}", tool["name"].as_str().unwrap()))
        .chain(["codex-agent".to_owned()])
        .collect();
    assert_eq!(bins, listed);
    for (name, about, _) in TOOLS {
        let help = world.ok(&[&format!("codex-agent-{name}"), "--help"]);
        let first = help.split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(first, format!("codex-agent-{name} - {about}"));
        let line = format!("  {name:7} {about}\n");
        assert!(world.ok(&["codex-agent", "--help"]).contains(&line), "the dispatcher's help lacks {name}");
        let page = unroff(&world.ok(&["codex-agent", "--generate", "man"]));
        assert!(page.contains(line.trim_start()), "the dispatcher's page lacks {name}");
    }
}

#[test]
fn documents_are_current() {
    let world = World::new();
    let mut wrong = Vec::new();
    for name in executables() {
        for (kind, file) in documents(&name) {
            let now = world.ok(&[&name, "--generate", kind]);
            if fs::read_to_string(root(&file)).is_ok_and(|text| text == now) {
                continue;
            }
            if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
                fs::write(root(&file), now).unwrap();
            } else {
                wrong.push(file);
            }
        }
    }
    assert!(wrong.is_empty(), "not what --generate prints: {wrong:?}; UPDATE=1 writes them anew");
}

#[test]
fn every_document_belongs_to_a_tool() {
    let wanted: BTreeSet<String> =
        executables().iter().flat_map(|name| documents(name).map(|(_, file)| file)).collect();
    for folder in ["man"] {
        for entry in fs::read_dir(root(folder)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let file = format!("{folder}/{name}");
            assert!(wanted.contains(&file) || BY_HAND.contains(&name.as_str()), "{file} belongs to no tool");
        }
    }
}

#[test]
fn help_is_short_and_aligned() {
    let world = World::new();
    let mut wrong = Vec::new();
    for command in commands(&world) {
        let ran = run(&world, &command, "--help");
        ran.succeeds().reports_exactly("");
        run(&world, &command, "-h").case("-h").prints(&ran.out);
        for line in ran.out.lines() {
            if line.chars().count() > 79 || line.trim_end() != line {
                wrong.push(format!("{command:?}: {line:?} is too long or ends in a blank"));
            }
        }
        let mut seen = BTreeSet::new();
        for flag in flags(&ran.out) {
            let names =
                flag.short.iter().map(|short| format!("-{short}")).chain([format!("--{}", flag.long)]);
            for name in names {
                if !seen.insert(name.clone()) {
                    wrong.push(format!("{command:?}: {name} is there twice"));
                }
            }
            let is_well_formed = flag.long.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            // Names keep their capital.
            let begins = flag.help.starts_with(|c: char| !c.is_uppercase()) || flag.help.starts_with("Codex");
            if !is_well_formed || !begins || flag.help.ends_with('.') && !flag.help.ends_with("...") {
                wrong.push(format!("{command:?}: --{}: {:?}", flag.long, flag.help));
            }
        }
        let has_standard = seen.contains("--help") && seen.contains("--version");
        if !has_standard && !ran.out.contains("\nVerbs:\n") {
            wrong.push(format!("{command:?}: --help or --version is not in its help"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_tool_describes_itself() {
    let world = World::new();
    for command in commands(&world) {
        let name = &command[0];
        let version = run(&world, &command, "--version");
        version.prints(format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        version.succeeds().reports_exactly("");
    }
    for name in executables() {
        let nonsense = world.run(&[&name, "--generate", "nonsense"]);
        nonsense.case(&name).exits(2).prints("");
        nonsense.case(&name).reports("nonsense");
        let records = json(&world.ok(&[&name, "--generate", "describe"]));
        assert_eq!(records.len(), 1, "{name}");
        assert_eq!(
            (&records[0]["type"], &records[0]["name"]),
            (&"tool".into(), &name.strip_prefix("codex-agent-").unwrap_or(&name).into())
        );
        for kind in records[0]["generates"].as_array().unwrap() {
            world.ok(&[&name, "--generate", kind.as_str().unwrap()]);
        }
    }
}

#[test]
fn pages_are_well_formed() {
    let world = World::new();
    let mut pages: Vec<(String, String)> = executables()
        .into_iter()
        .map(|name| {
            let text = world.ok(&[&name, "--generate", "man"]);
            (format!("{name}.1"), text)
        })
        .collect();
    let by_hand =
        BY_HAND.map(|name| (name.to_owned(), fs::read_to_string(root("man").join(name)).unwrap_or_default()));
    // One that is not written yet has no faults.
    pages.extend(by_hand.into_iter().filter(|(_, text)| !text.is_empty()));
    for (program, line) in [
        ("groff", "groff -man -ww -Tutf8 \"$1\" 2>&1 >/dev/null"),
        // Pages have no date: it would change them with every build. Matters of style, such as long
        // lines, are left to whoever writes a page.
        ("mandoc", "mandoc -Tlint -Wwarning \"$1\" | grep -v 'missing date'"),
    ] {
        if !world.sh(&format!("command -v {program}")).out.contains('/') {
            eprintln!("SKIPPED: there is no {program} to look at the manual pages");
            continue;
        }
        for (name, text) in &pages {
            let file = world.write(&format!("man/{name}"), text);
            let ran = world.run(&["sh", "-c", line, "sh", file.to_str().unwrap()]);
            ran.case((&program, &name)).prints("").reports_exactly("");
        }
    }
}

#[test]
fn pages_have_their_sections_in_order() {
    let order = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "EXAMPLES",
        "VERBS",
        "OPTIONS",
        "EXIT STATUS",
        "FILES",
        "ENVIRONMENT",
        "SEE ALSO",
    ];
    let world = World::new();
    for name in executables() {
        let page = world.ok(&[&name, "--generate", "man"]);
        let sections: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .map(|text| text.trim_matches('"'))
            .collect();
        let places: Vec<usize> =
            sections.iter().map(|section| order.iter().position(|known| known == section).unwrap()).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{name}: {sections:?}");
        for wanted in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            assert!(sections.contains(&wanted), "{name} has no {wanted}");
        }
    }
}

/// A line of roff as text.
pub fn unroff(line: &str) -> String {
    let mut text = line.to_owned();
    for (escape, character) in [
        ("\\-", "-"),
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\fP", ""),
        ("\\&", ""),
        ("\\(aq", "'"),
        ("\\(ha", "^"),
        ("\\(ti", "~"),
        ("\\(dq", "\""),
        ("\\e", "\\"),
    ] {
        text = text.replace(escape, character);
    }
    text
}

/// The commands of a page's EXAMPLES.
pub fn examples(page: &str) -> Vec<String> {
    let section = page.split(".SH EXAMPLES\n").nth(1).unwrap().split("\n.SH ").next().unwrap();
    let blocks = section.split(".nf\n").skip(1).map(|block| block.split(".fi\n").next().unwrap());
    blocks
        .map(|block| {
            let lines = block.lines().filter(|line| !line.starts_with('.')).map(unroff);
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect()
}

/// Makes the recorded sessions those of a folder that is there, so that examples about "here" have some.
fn move_projects(world: &World, to: &Path) {
    const RECORDED: &str = "/tmp/codex-fixture/projects";
    let to = to.to_str().unwrap();
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    let moved = database.execute("UPDATE threads SET cwd = replace(cwd, ?1, ?2)", [RECORDED, to]).unwrap();
    assert!(moved > 0);
    let mut folders = vec![world.codex_home().join("sessions"), world.codex_home().join("archived_sessions")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                fs::write(entry.path(), text.replace(RECORDED, to)).unwrap();
            }
        }
    }
}

/// The tools whose examples open Codex's own screen, which a stub stands for.
const SCREEN: [&str; 3] = ["codex-agent-resume", "codex-agent-ls", "codex-agent-find"];

/// The tools that need Codex itself.
pub const ORDERS: [&str; 3] = ["codex-agent-fork", "codex-agent-name", "codex-agent-run"];

#[test]
fn every_example_runs() {
    let mut failed = Vec::new();
    for name in executables() {
        // One world a page: an example may go on with what the one before it made.
        let mut world = World::with_home("0.169.0");
        world.set("CODEX_HOME", world.codex_home().display().to_string());
        for project in ["alpha", "beta"] {
            fs::create_dir_all(world.path("here").join(project)).unwrap();
        }
        move_projects(&world, &fs::canonicalize(world.path("here")).unwrap());
        // Never the real Codex, which would want a terminal and an account.
        if SCREEN.contains(&name.as_str()) {
            world.script("stubs/codex", "#!/bin/sh\necho codex-cli 0.169.0 \"$@\"\n");
        } else {
            fs::create_dir(world.path("stubs")).unwrap();
            std::os::unix::fs::symlink(bin("codex-agent-demo"), world.path("stubs/codex")).unwrap();
        }
        for (program, stub) in [("fzf", "#!/bin/sh\nhead -n 1\n"), ("jq", "#!/bin/sh\ncat\n")] {
            // A chooser has nobody to choose for it, so that it is always the stub.
            if program == "fzf" || !world.sh(&format!("command -v {program}")).out.contains('/') {
                world.script(&format!("stubs/{program}"), stub);
            }
        }
        let path =
            format!("{}:{}:/usr/local/bin:/usr/bin:/bin", world.path("stubs").display(), bins().display());
        world.set("PATH", path);
        let examples = examples(&world.ok(&[&name, "--generate", "man"]));
        assert!(!examples.is_empty(), "{name} has no examples");
        // Only the real Codex can fork what another real one has made: see `real`.
        if name == "codex-agent-fork" {
            continue;
        }
        for example in examples {
            let line = format!("cd here/alpha\n{example}");
            // What was chosen in a pipe is opened on the terminal.
            if example.ends_with("codex-agent resume -") {
                let shown = on_terminal(&world, &["setsid", "--ctty", "--wait", "sh", "-c", &line], 100);
                assert!(shown.contains("resume 01a2"), "{example}: {shown}");
                continue;
            }
            let ran = world.sh(&line);
            let is_silent = ran.out.is_empty() && ran.err.is_empty();
            if ran.code != 0 || (is_silent && !SILENT.contains(&example.as_str())) {
                failed.push(format!("{name}: {example}\n  exit {}: {}{}", ran.code, ran.out, ran.err));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The flags that a line of prose or shell mentions, by the tool that they are given to; the dispatcher
/// is the empty one.
fn mentioned(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("codex-agent") {
        let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c));
        let from = at + "codex-agent".len();
        let next = rest[from..].find("codex-agent").map_or(rest.len(), |next| from + next);
        // What follows a pipe, or the end of a quotation, is somebody else's.
        let own = rest[from..next].split(['|', ';', ')', '`', '"', '>', '&']).next().unwrap_or("");
        rest = &rest[next..];
        let mut words = own.split([' ', '\'', ',', '[', ']']);
        let mut tool = match words.next().map(|word| (word, word.strip_prefix('-'))) {
            Some((_, Some(name))) => name,
            Some(("", None)) => "",
            _ => continue,
        };
        for word in words.filter(|word| begins && !word.is_empty()) {
            match word.strip_prefix("--") {
                Some("") => break,
                Some(long) => {
                    let end = long.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(long.len());
                    found.push((tool.to_owned(), format!("--{}", &long[..end])));
                }
                None if tool.is_empty() && !word.starts_with('-') => tool = word,
                None => {}
            }
        }
    }
    found
}

#[test]
fn mentioned_flags_exist() {
    let world = World::new();
    let known = |name: &str| -> BTreeSet<String> {
        let mut words: Vec<Vec<String>> = vec![vec![name.to_owned()]];
        words.extend(verbs(&world, name).into_iter().map(|verb| vec![name.to_owned(), verb]));
        let own = words.iter().flat_map(|words| flags(&run(&world, words, "--help").out));
        own.map(|flag| format!("--{}", flag.long)).chain(["--generate".to_owned()]).collect()
    };
    for file in BY_HAND.map(|page| format!("man/{page}")).into_iter().chain(["README.md".to_owned()]) {
        let Ok(text) = fs::read_to_string(root(&file)) else { continue };
        for line in text.lines().map(unroff) {
            for (tool, flag) in mentioned(&line) {
                let name =
                    if tool.is_empty() { "codex-agent".to_owned() } else { format!("codex-agent-{tool}") };
                // The flags of an external tool are its own.
                if executables().contains(&name) {
                    assert!(known(&name).contains(&flag), "{file}: there is no {flag} of {name}: {line}");
                }
            }
        }
    }
}

#[test]
fn the_search_for_flags_finds_them() {
    let seen = |line: &str| -> String {
        mentioned(line).iter().map(|(tool, flag)| format!("{tool} {flag}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(seen("codex-agent ls --json --under . | jq --raw-output"), "ls --json, ls --under");
    assert_eq!(
        seen("see 'codex-agent-ls --sort=cwd' and `codex-agent find -w --one.` for --more"),
        "ls --sort, find --one"
    );
    assert_eq!(seen("codex-agent --list=json, codex-agent -C x ls --all"), " --list, x --all");
    assert_eq!(seen("codex-agent --list ls --count -- --no"), " --list, ls --count");
    assert_eq!(seen("https://example.org/codex-agent --x"), "");
}

/// A folder of the demo, wherever it is, as README shows it.
fn demo_named(text: &str) -> String {
    let name = "codex-agent-demo-";
    let mut parts = text.split(name);
    let mut named = parts.next().unwrap().to_owned();
    for part in parts {
        let path = named.rfind([' ', '\'', '\n', '\t']).map_or(0, |at| at + 1);
        named.truncate(path);
        named.push_str("DEMO");
        named.push_str(&part[6..]);
    }
    named
}

#[test]
fn the_pipelines_of_readme_print_their_output() {
    let world = World::new();
    if world.run(&["jq", "--version"]).code != 0 {
        println!("SKIPPED: there is no jq here");
        return;
    }
    let readme = fs::read_to_string(root("README.md")).unwrap();
    let section = readme.split("\n## Three pipelines\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let shown: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let script: Vec<String> = shown
        .iter()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|command| format!("printf '%s\\n' '$ {}'\n{command}", command.replace('\'', "'\\''")))
        .collect();
    assert_eq!(script.len(), 4);
    let script = format!("exec 2>&1\n{}", script.join("\n"));
    let printed = world.ok(&["codex-agent-demo", "sh", "-c", &script]);
    assert_eq!(demo_named(&printed), demo_named(&(shown.join("\n") + "\n")));
}

/// The picture of README is drawn from what the tools print, as `tests/picture/make` does it again.
#[test]
fn the_image_of_readme_can_be_drawn() {
    let world = World::new();
    let script = root("tests/picture/make");
    if world.run(&["python3", "--version"]).code != 0 {
        println!("SKIPPED: there is no Python 3 here");
        return;
    }
    let drawn = world.path("picture.svg");
    let (script, file, bins) = (script.to_str().unwrap(), drawn.to_str().unwrap(), bins());
    world.ok(&["python3", script, "--bin", bins.to_str().unwrap(), file]);
    for picture in [drawn.clone(), root("tests/picture/terminal.svg")] {
        let text = fs::read_to_string(&picture).unwrap();
        for shown in ["Try another approach", " running ", "cargo test", "2 completed", "idle, 2 completed"] {
            assert!(text.contains(shown), "{shown} is not in {}", picture.display());
        }
        assert!(!text.contains('\x1b'), "{}", picture.display());
    }
    let ran = world.run(&["python3", script, "--bin", "nowhere", file]);
    ran.exits(2).reports("there are no executables");
}

#[test]
fn every_example_that_starts_codex_runs() {
    for tool in ORDERS {
        let Some(codex) = Real::new() else { return };
        let one = codex.exec("alpha", &["Mend the login"]);
        codex.exec("alpha", &["resume", &one, "And the parser"]);
        codex.ask("thread/name/set", json!({"threadId": one, "name": "login work"}));
        let page = codex.world.ok(&[tool, "--generate", "man"]);
        for example in examples(&page) {
            let ran = codex.world.sh(&format!("cd alpha\n{example}"));
            let is_silent = ran.out.is_empty() && ran.err.is_empty() && !example.contains(" > ");
            assert!(ran.code == 0 && !is_silent, "{tool}: {example}: {} {}", ran.out, ran.err);
        }
    }
}
