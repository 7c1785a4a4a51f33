//! Sessions that are selected by words and filters, and what a reference that fits nothing is answered.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::find::references::{FORK, LOGIN, found_ids};
use crate::ls::foreign_rows::database;
use crate::world::World;
use crate::world::terminal::{Terminal, joined, on_terminal, without_escapes};

/// A world with a stub for Codex that writes down each call.
fn world() -> World {
    let mut world = World::with_home("0.171.0");
    let stub = world.script(
        "stubs/codex",
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo codex-cli 0.171.0; exit; }\necho \"$@\" >> \"$HOME/asked\"\n",
    );
    world.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
    let project = fs::canonicalize(world.path("home")).unwrap();
    database(&world).execute("UPDATE threads SET cwd = ?1", [project.to_str().unwrap()]).unwrap();
    world
}

fn titled(world: &World, id: &str, title: &str) {
    let sql = "UPDATE threads SET title = ?2, first_user_message = ?2, name = NULL WHERE id = ?1";
    assert_eq!(database(world).execute(sql, [id, title]).unwrap(), 1);
}

fn ids(world: &World) -> Vec<String> {
    world.ok(&["codex-agent-ls", "--fields", "id"]).lines().map(str::to_owned).collect()
}

/// Runs a tool on a terminal: what it shows, and its exit code.
fn shown(mut command: Command) -> (String, i32) {
    command.env("PAGER", "cat");
    let (shown, code) = Terminal::open(command, 100, 24).end();
    (joined(&shown), code)
}

/// As [`shown`], where nothing can be chosen: the terminal does not control the process.
fn shown_without_choice(world: &World, words: &[&str]) -> (String, i32) {
    let mut command = world.command("setsid");
    command.arg("--wait").args(words);
    shown(command)
}

#[test]
fn several_sessions_with_the_words_are_listed_and_none_is_used() {
    let world = world();
    let all = ids(&world);
    titled(&world, &all[2], "Mend the zebra parser");
    titled(&world, &all[5], "Zebra crossing");
    let takers: [&[&str]; 7] = [
        &["codex-agent-resume"],
        &["codex-agent-resume", "--print"],
        &["codex-agent-resume", "--prompt", "x"],
        &["codex-agent-fork"],
        &["codex-agent-fork", "--prompt", "x"],
        &["codex-agent-name", "a name"],
        &["codex-agent-archive"],
    ];
    for words in takers {
        for more in [&["--find", "zebra"][..], &["--find", "ZEBRA", "--since", "30y"], &["--since", "30y"]] {
            // A set of sessions is archived at once.
            if words[0] == "codex-agent-archive" && !more.contains(&"--find") {
                continue;
            }
            let line = [words, more].concat();
            let ran = world.run(&line);
            ran.case(&line).exits(2).prints("");
            ran.case(&line).reports(" sessions").reports(&all[2]);
        }
        let line = [words, &["--find", "zebra"]].concat();
        let (text, code) = shown_without_choice(&world, &line);
        assert!(
            code == 2 && text.contains(&all[2][28..]) && text.contains(&all[5][28..]),
            "{line:?}: {code} {text}"
        );
        let ran = world.run(&[words, &["--find", "no-such-word"]].concat());
        ran.exits(1).prints("").reports("--find no-such-word matches no session");
        let ran = world.run(&[words, &["--find", " "]].concat());
        ran.exits(2).reports("the words are missing");
    }
    for words in
        [&["codex-agent-resume", "@@", "--find", "zebra"][..], &["codex-agent-fork", "@@", "--find", "zebra"]]
    {
        world.run(words).exits(2).reports("'@@' cannot be combined with --find zebra");
    }
    assert!(!world.path("home/asked").exists(), "Codex was called");
    assert!(world.runs().is_empty(), "a run was made");
}

#[test]
fn one_session_with_the_words_is_used() {
    let world = world();
    let all = ids(&world);
    titled(&world, &all[2], "Mend the zebra parser");
    titled(&world, &all[5], "Zebra crossing");
    let ran = world.run(&["codex-agent-resume", "--find", "PARSER zebra", "--print"]);
    ran.succeeds();
    assert!(ran.out.trim_end().ends_with(&all[2]), "{}", ran.out);
    let ran = world.run(&["codex-agent-resume", "--find", "zebra mend", "--since", "30y"]);
    ran.succeeds().reports(&all[2]).reports("--find 'zebra mend'");
    let asked = fs::read_to_string(world.path("home/asked")).unwrap();
    assert_eq!(asked.trim(), format!("resume {}", all[2]));
    let ran = world.run(&["codex-agent-fork", "--find", "crossing", "--dry-run", "--json"]);
    ran.succeeds();
    assert!(ran.out.contains(&all[5]) && ran.out.lines().count() == 1, "{}", ran.out);
    // A group is a set, so that all are added; no one else of it is removed.
    world.run(&["codex-agent-group", "add", "g", "--find", "zebra"]).succeeds().reports("added 2 sessions");
    world.run(&["codex-agent-group", "add", "g", &all[0]]).succeeds();
    world
        .run(&["codex-agent-group", "remove", "g", "--find", "zebra"])
        .succeeds()
        .reports("removed 2 sessions");
    assert_eq!(world.ok(&["codex-agent-ls", "--group", "g", "--fields", "id"]).trim(), all[0]);
    world
        .run(&["codex-agent-group", "add", "g", "--find", "no-such-word"])
        .exits(1)
        .reports("nothing was changed");
}

#[test]
fn a_reference_without_a_session_is_answered_by_a_search_on_a_terminal() {
    let world = world();
    let all = ids(&world);
    titled(&world, &all[3], "Mend the zebra parser");
    for words in [
        &["codex-agent-resume", "zebra"][..],
        &["codex-agent-resume", "zebra", "--prompt", "x"],
        &["codex-agent-fork", "mend zebra"],
        &["codex-agent-name", "zebra", "a name"],
        &["codex-agent-group", "add", "g", "zebra"],
    ] {
        let (text, code) = shown_without_choice(&world, words);
        assert!(
            code == 1 && text.contains(&all[3][28..]) && text.contains("sessions with these words:"),
            "{words:?}: {text}"
        );
        // A script gets no list.
        let ran = world.run(words);
        ran.exits(1).reports("no session '");
        assert!(!ran.err.contains(&all[3]), "{words:?}: {}", ran.err);
    }
    world.run(&["codex-agent-resume", "abc"]).exits(1).reports("a part of an id has 4 or more hex digits");
    assert!(!world.path("home/asked").exists(), "Codex was called");
}

/// A directory in a repository, whose configuration git would write.
fn repository(world: &World, url: Option<&str>) -> std::path::PathBuf {
    let url = url.map(|url| format!("[remote \"origin\"]\n\turl = {url}\n")).unwrap_or_default();
    world.write("work/alpha/.git/config", format!("[core]\n\tbare = false\n{url}"));
    fs::create_dir_all(world.path("work/alpha/src/deep")).unwrap();
    fs::canonicalize(world.path("work/alpha")).unwrap()
}

fn run_in(world: &World, directory: &Path, words: &[&str]) -> (i32, String, String) {
    let output = world.command(words[0]).args(&words[1..]).current_dir(directory).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_repository_is_meant_by_its_directory_and_its_name() {
    let world = world();
    let root = repository(&world, Some("git@example.com:acme/alpha.git"));
    let all = ids(&world);
    let set = |id: &str, url: Option<&str>, cwd: &Path| {
        let sql = "UPDATE threads SET git_origin_url = ?2, cwd = ?3 WHERE id = ?1";
        database(&world).execute(sql, rusqlite::params![id, url, cwd.to_str().unwrap()]).unwrap();
    };
    database(&world)
        .execute("UPDATE threads SET git_origin_url = 'https://example.com/acme/other'", [])
        .unwrap();
    set(&all[1], Some("https://example.com/acme/alpha"), Path::new("/elsewhere"));
    set(&all[2], Some("ssh://git@EXAMPLE.com/Acme/Alpha.git"), Path::new("/elsewhere"));
    // Before the repository had a remote, and of a repository inside of it.
    set(&all[3], None, &root.join("src"));
    set(&all[4], Some("https://example.com/acme/inner"), &root.join("src"));
    let list = |directory: &Path, repo: &str| {
        let words = ["codex-agent-ls", "--repo", repo, "--fields", "id"];
        let (code, out, err) = run_in(&world, directory, &words);
        assert_eq!((code, err.as_str()), (0, ""), "{repo}");
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (directory, repo) in [(root.join("src/deep"), "."), (root.clone(), "./src"), (root.join("src"), "..")]
    {
        assert_eq!(list(&directory, repo), all[1..4], "{repo}");
    }
    assert_eq!(list(Path::new("/"), root.to_str().unwrap()), all[1..4]);
    for repo in
        ["acme/alpha", "ACME/alpha.git", "https://example.com/acme/alpha.git", "example.com:acme/alpha"]
    {
        assert_eq!(list(Path::new("/"), repo), all[1..3], "{repo}");
    }
    assert_eq!(list(Path::new("/"), "*acme/alpha"), all[1..2]);
    assert_eq!(list(Path::new("/"), "cme/alpha"), Vec::<String>::new());
    let (code, _, err) =
        run_in(&world, &root.join("src"), &["codex-agent-group", "add", "alpha", "--repo", "."]);
    assert!(code == 0 && err.contains("added 3 sessions"), "{err}");
    // Without a remote, the working trees decide: the main one and a linked one.
    repository(&world, None);
    let linked = world.path("work/linked");
    fs::create_dir_all(&linked).unwrap();
    let linked = fs::canonicalize(linked).unwrap();
    world.write("work/linked/.git", format!("gitdir: {}\n", root.join(".git/worktrees/linked").display()));
    world.write("work/alpha/.git/worktrees/linked/gitdir", format!("{}\n", linked.join(".git").display()));
    world.write("work/alpha/.git/worktrees/linked/commondir", "../..\n");
    set(&all[5], None, &linked.join("below"));
    for directory in [&root, &linked] {
        assert_eq!(list(directory, "."), all[3..6], "{}", directory.display());
    }
}

#[test]
fn at_in_a_repository_is_the_nearest_directory_with_a_session() {
    let world = world();
    let root = repository(&world, None);
    let all = ids(&world);
    let set = |id: &str, cwd: &Path| {
        let sql = "UPDATE threads SET cwd = ?2 WHERE id = ?1";
        database(&world).execute(sql, [id, cwd.to_str().unwrap()]).unwrap();
    };
    set(&all[4], &root);
    set(&all[6], &root);
    // Above the repository nothing is meant.
    set(&all[0], root.parent().unwrap());
    let at = |directory: &Path, reference: &str| {
        run_in(&world, directory, &["codex-agent-find", reference, "--fields", "id"])
    };
    for directory in [root.join("src/deep"), root.join("src"), root.clone()] {
        assert_eq!(at(&directory, "@").1.trim(), all[4]);
        assert_eq!(at(&directory, "@2").1.trim(), all[6]);
        let (code, out, err) = at(&directory, "@3");
        assert!(code == 1 && out.is_empty() && err.contains("no session '@3' of the directory"), "{err}");
    }
    let (_, _, err) = run_in(&world, &root.join("src"), &["codex-agent-resume", "@"]);
    let place = format!("'{}/src' has no session", root.display());
    assert!(err.contains(&all[4]) && err.contains(&place), "{err}");
    let (_, _, err) = run_in(&world, &root, &["codex-agent-resume", "@"]);
    assert!(!err.contains("has no session"), "{err}");
    let mut command = world.command("codex-agent-find");
    command.arg("@").current_dir(root.join("src"));
    let (text, code) = shown(command);
    assert!(code == 0 && text.contains("has no session"), "{text}");
    // A session of the directory itself is nearer.
    set(&all[7], &root.join("src"));
    assert_eq!(at(&root.join("src/deep"), "@").1.trim(), all[7]);
    // Without a repository it is the directory alone.
    fs::remove_dir_all(root.join(".git")).unwrap();
    assert_eq!(at(&root.join("src/deep"), "@").0, 1);
}

#[test]
fn a_hex_word_is_an_id_and_a_word() {
    let world = World::with_home("0.169.0");
    assert_eq!(found_ids(&world, &["cd6d"]), [LOGIN]);
    titled(&world, FORK, "The CD6D chip");
    assert_eq!(found_ids(&world, &["cd6d"]), [LOGIN, FORK]);
    assert_eq!(found_ids(&world, &["--words", "cd6d"]), [FORK]);
    assert_eq!(found_ids(&world, &["id:cd6d"]), [LOGIN]);
    world.run(&["codex-agent-find", "--one", "cd6d"]).exits(2).reports(LOGIN).reports(FORK);
    let text = without_escapes(&on_terminal(&world, &["codex-agent-find", "cd6d"], 200));
    assert!(text.contains("'cd6d' was searched for as a part of an id and as a word; --words"), "{text}");
    // Digits of a table that nobody wrote need no note.
    let text = without_escapes(&on_terminal(&world, &["codex-agent-find", "e03ce4e5"], 200));
    assert!(!text.contains("searched for"), "{text}");
}

/// A filter means the same in both tools.
#[test]
fn find_has_every_filter_of_ls() {
    let world = World::with_home("0.171.0");
    let all =
        world.ok(&["codex-agent-ls", "--archived", "--subagents", "--fields", "id", "--sort", "created"]);
    let filters: [&[&str]; 11] = [
        &["--branch", "feature/*"],
        &["--since", "2026-11-22", "--time", "created"],
        &["--until", "2026-11-21"],
        &["--on", "2026-11-22"],
        &["--status", "failed"],
        &["--archived=only"],
        &["--subagents", "--archived"],
        &["--named"],
        &["--model", "*5*"],
        &["--repo", "acme/alpha"],
        &["--offset", "1", "-n", "2"],
    ];
    let mut listed = 0;
    for filter in filters {
        let by = ["--fields", "id", "--sort", "created:asc"];
        let want = world.ok(&[&["codex-agent-ls"][..], filter, &by].concat());
        // Each directory has a slash; and all of the sessions are in the input.
        let found = world.run(&[&["codex-agent-find", "--words", "/"][..], filter, &by].concat());
        assert_eq!(found.out, want, "{filter:?}");
        let piped = world.feed(&[&["codex-agent-find"][..], filter, &by].concat(), &all);
        let visible = !filter.contains(&"-n");
        let ids: Vec<&str> = piped.out.lines().collect();
        // A session of the input is hidden only by a filter that was given.
        assert!(!visible || want.lines().all(|id| ids.contains(&id)), "{filter:?}");
        let count = world.run(&[&["codex-agent-find", "--words", "/", "--count"][..], filter].concat());
        assert_eq!(count.out.trim(), want.lines().count().to_string(), "{filter:?}");
        listed += want.lines().count();
    }
    assert!(listed > 20, "{listed}");
}

#[test]
fn a_filter_that_no_session_meets_is_named_on_a_terminal() {
    let world = World::with_home("0.171.0");
    for (words, want) in [
        (&["ls", "--under", "/no/such/dir"][..], "'/no/such/dir' of --under is not a directory"),
        (
            &["ls", "--since", "2026-11-23", "--until", "2026-11-20"],
            "--since 2026-11-23 00:00 is after --until 2026-11-20 23:59",
        ),
        (&["ls", "--repo", "acme/no-such"], "no session has --repo 'acme/no-such'"),
        (
            &["ls", "--branch", "mian"],
            "no session has --branch 'mian' (a pattern without a star is the whole value)",
        ),
        (&["ls", "--offset", "1000"], "--offset 1000 skips all of the "),
        (&["find", "e", "--cwd", "/no/such/dir"], "'/no/such/dir' of --cwd is not a directory"),
    ] {
        let mut command = world.command("codex-agent");
        command.args(words);
        let (text, code) = shown(command);
        assert!(text.contains(want), "{words:?}: {text}");
        assert_eq!(code, i32::from(words[0] == "find"), "{words:?}");
        let ran = world.run(&[&["codex-agent"], words].concat());
        ran.exits(code).prints("").reports_exactly("");
    }
    let mut command = world.command("codex-agent");
    command.args(["ls", "-n", "0"]);
    assert_eq!(shown(command), (String::new(), 0));
}

#[test]
fn the_words_are_marked_and_their_field_is_shown() {
    let world = World::with_home("0.171.0");
    let all = ids(&world);
    titled(&world, &all[1], "Mend the zebra parser");
    database(&world)
        .execute("UPDATE threads SET git_branch = 'feature/zebra-stripes' WHERE id = ?1", [&all[0]])
        .unwrap();
    titled(&world, &all[2], &format!("Long {} then a ZEBRA at last", "x".repeat(300)));
    for wide in [60, 80, 120, 200] {
        let text = on_terminal(&world, &["codex-agent-find", "zebra"], wide);
        let plain = without_escapes(&text);
        let rows: Vec<&str> = plain.lines().filter(|line| !line.starts_with("ID")).collect();
        assert_eq!(rows.len(), 3, "{plain}");
        assert!(rows[0].contains("Mend the zebra parser") && !rows[0].contains("title:"), "{wide}: {plain}");
        assert!(rows[1].contains(" (message: ") && rows[1].contains("ZEBRA"), "{wide}: {plain}");
        assert!(rows[2].contains(" (branch: ") && rows[2].contains("zebra"), "{wide}: {plain}");
        for (row, word) in
            text.lines().filter(|line| line.to_lowercase().contains("zebra")).zip(["zebra", "ZEBRA", "zebra"])
        {
            assert!(row.contains(&format!("\x1b[1;4m{word}\x1b[0m")), "{wide}: {row:?}");
        }
    }
}

/// The table of sessions in an error fits the terminal of standard error, whatever standard output is.
#[test]
fn a_table_of_candidates_is_never_broken() {
    let world = world();
    for id in ids(&world) {
        titled(
            &world,
            &id,
            "Long prompt: lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod",
        );
    }
    for columns in [40, 80, 120] {
        for line in [
            "codex-agent-resume --find lorem",
            "codex-agent-resume --find lorem >out",
            "COLUMNS=200 codex-agent-resume --find lorem | cat",
        ] {
            let mut command = world.command("setsid");
            command.args(["--wait", "sh", "-c", line]);
            let (shown, _) = Terminal::open(command, columns, 24).end();
            let shown = without_escapes(&shown);
            let rows = shown.lines().filter(|line| line.contains("Long")).count();
            assert!(rows > 2 && !shown.contains("\n     "), "{columns} {line}: {shown}");
            let heading = shown.lines().position(|line| line.contains("TITLE")).unwrap();
            for row in shown.lines().skip(heading + 1).take(rows) {
                assert!(row.contains("Long"), "{columns} {line}: {shown}");
            }
        }
    }
}

/// In a repository without a session above, '@' is one of its working trees; of another clone it is never.
#[test]
fn at_in_a_worktree_is_a_session_of_the_repository() {
    let world = world();
    let root = repository(&world, Some("git@example.com:acme/alpha.git"));
    let all = ids(&world);
    let set = |id: &str, cwd: &Path| {
        let sql =
            "UPDATE threads SET cwd = ?2, git_origin_url = 'https://example.com/acme/alpha' WHERE id = ?1";
        database(&world).execute(sql, [id, cwd.to_str().unwrap()]).unwrap();
    };
    fs::create_dir_all(world.path("work/linked/src")).unwrap();
    let linked = fs::canonicalize(world.path("work/linked")).unwrap();
    world.write("work/linked/.git", format!("gitdir: {}\n", root.join(".git/worktrees/linked").display()));
    world.write("work/alpha/.git/worktrees/linked/gitdir", format!("{}\n", linked.join(".git").display()));
    world.write("work/alpha/.git/worktrees/linked/commondir", "../..\n");
    let at = |directory: &Path| run_in(&world, directory, &["codex-agent-find", "@", "--fields", "id"]);
    // Another clone has the same origin.
    set(&all[1], &fs::canonicalize(world.path("home")).unwrap().join("clone"));
    assert_eq!(at(&linked.join("src")).0, 1);
    set(&all[4], &root.join("src"));
    for directory in [linked.join("src"), linked.clone(), root.join("src/deep"), root.clone()] {
        assert_eq!(at(&directory).1.trim(), all[4], "{}", directory.display());
    }
    let (_, _, err) = run_in(&world, &linked, &["codex-agent-resume", "@"]);
    assert!(err.contains(&all[4]) && err.contains("in the same repository: '"), "{err}");
}

#[test]
fn a_period_is_both_ends_of_it() {
    let world = World::with_home("0.171.0");
    for period in ["2026-11-22", "2026-11", "this year", "yesterday", "last week"] {
        let ends = ["codex-agent-ls", "--since", period, "--until", period, "--json"];
        let listed = world.run(&["codex-agent-ls", "--on", period, "--json"]);
        listed.succeeds();
        assert_eq!(listed.out, world.run(&ends).out, "{period}");
    }
    assert!(!world.ok(&["codex-agent-ls", "--on", "2026-11"]).is_empty());
    for point in ["2d", "now", "2026-11-22T10:50"] {
        let ran = world.run(&["codex-agent-ls", "--on", point]);
        ran.exits(2).reports(format!("invalid value '{point}': expected a day, week, month or year"));
    }
}
