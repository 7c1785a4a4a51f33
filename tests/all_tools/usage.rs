//! Wrong usage exits with status 2 and a hint, and no tool changes Codex's home.

use std::fs;

use crate::world::rollouts::{ids_of_files, with_rollouts};
use crate::world::*;

#[test]
fn ls_find_and_group_leave_codexs_home_unchanged() {
    for version in HOMES {
        let world = World::with_home(version);
        let logs = || -> Vec<(String, Vec<u8>)> {
            let all = fs::read_dir(world.codex_home()).unwrap().flatten().map(|entry| entry.path());
            // An empty log is made and removed by reading; one that has rows in it is Codex's.
            let mut logs: Vec<_> = all
                .filter(|path| path.to_string_lossy().ends_with("-wal"))
                .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
                .filter(|(_, bytes)| !bytes.is_empty())
                .collect();
            logs.sort();
            logs
        };
        let (before, logs_before) = (world.snapshot(), logs());
        assert!(before.len() > 5, "{version}");
        let all = ids_of_files(&world.codex_home()).join("\n");
        for line in [
            "codex-agent-ls",
            "codex-agent-ls --json --full --archived --subagents",
            "codex-agent-ls --no-database --sort title",
            "codex-agent-ls --sort created --limit 2",
            "codex-agent-ls --forks-of @@",
            "codex-agent-find @@",
            "codex-agent-ls --json --archived | codex-agent-group add g -",
            "codex-agent-ls --group g | codex-agent-group remove g -",
            "codex-agent-group add g @@ && codex-agent-group show g",
            "codex-agent-group rename g h && codex-agent-group delete h",
        ] {
            let ran = world.sh(line);
            ran.case(version).succeeds();
        }
        world.run(&["codex-agent-ls", "--check"]);
        world.run(&["codex-agent-ls", "--no-files"]);
        world.run(&["codex-agent-find", "readme", "--full", "--json"]);
        world.feed(&["codex-agent-find", "-"], all);
        assert_eq!(world.snapshot(), before, "{version}");
        assert_eq!(logs(), logs_before, "{version}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_a_hint() {
    let world = with_rollouts(1);
    for (line, helps) in [
        ("ls --bogus", &["unknown flag '--bogus'"][..]),
        ("ls --limt 3", &["did you mean '--limit'"]),
        ("ls -x", &["unknown flag '-x'"]),
        ("ls --limit", &["'--limit' needs a value"]),
        ("ls -n", &["needs a value"]),
        ("ls --limit -1", &["--limit", "'-1'", "negative"]),
        ("ls --limit abc", &["--limit", "'abc'", "whole number"]),
        ("ls --limit ''", &["--limit", "whole number"]),
        ("ls --limit 1.5", &["'1.5'", "whole number"]),
        ("ls --offset -3", &["--offset", "negative"]),
        ("ls --since tuesdayish", &["--since", "'tuesdayish'", "yesterday"]),
        ("ls --until 2026-13-45", &["--until", "'2026-13-45'"]),
        ("ls --sort colour", &["--sort", "'colour'", "updated created tokens title cwd"]),
        ("ls --sort updated:sideways", &["'sideways'", ":asc"]),
        ("ls --fields titel", &["'titel'", "did you mean 'title'"]),
        ("ls --fields id,,title", &["--fields", "fields:"]),
        ("ls --format '{titel}'", &["did you mean 'title'"]),
        ("ls --format '{id'", &["--format", "'{id'"]),
        ("ls --format '{id}\\q'", &["--format", "\\q", "escapes"]),
        ("ls --color sometimes", &["'sometimes'", "auto", "always", "never"]),
        ("ls --archived=maybe", &["'maybe'", "only"]),
        ("ls --json=3", &["no field '3'", "fields: id name"]),
        ("ls --full=3", &["accepts no value"]),
        ("ls --json --format '{id}'", &["--format", "--json"]),
        ("ls --no-files --no-database", &["--no-database", "--no-files"]),
        ("ls login", &["'login'", "find"]),
        ("find --onee x", &["did you mean '--one'"]),
        ("find @0", &["'@0'", "@@"]),
        ("find id:xyz", &["'id:xyz'", "hex"]),
        ("group --json", &["verb", "create list show add"]),
        ("group ad g", &["did you mean 'add'"]),
        ("group frobnicate", &["'frobnicate'", "verbs:"]),
        ("group add", &["name of a group"]),
        ("group add g --unchekced", &["did you mean '--unchecked'"]),
        ("group add g --unchecked login", &["'login'", "full id"]),
        ("group rename g", &["new name"]),
        ("group create ''", &["empty"]),
        ("group create -- -x", &["flags"]),
    ] {
        let ran = world.sh(&format!("exec codex-agent-{line}"));
        ran.exits(2).prints("");
        for helps in helps {
            ran.case(helps).reports(helps);
        }
        ran.reports("--help'.");
        assert!(ran.err.starts_with("codex-agent-"), "{line}: {}", ran.err);
    }
    assert!(!world.config("groups.json").exists());
}
