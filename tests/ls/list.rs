//! The listing: filters, order, output formats, wrong usage.

use std::os::unix::fs::symlink;

use crate::world::{NEWEST, World, json};

const ALPHA: &str = "/tmp/codex-fixture/projects/alpha";

fn shorts(world: &World, more: &[&str]) -> Vec<String> {
    let mut words = vec!["codex-agent-ls", "--format", "{short}"];
    words.extend(more);
    world.ok(&words).lines().map(str::to_owned).collect()
}

/// Requires the same listing by the database and by the files alone.
fn both(more: &[&str], want: &[&str]) {
    let world = World::with_home("0.169.0");
    assert_eq!(shorts(&world, more), want, "{more:?}");
    let mut by_files = more.to_vec();
    by_files.push("--no-database");
    assert_eq!(shorts(&world, &by_files), want, "{by_files:?}");
}

#[test]
fn the_newest_come_first_and_hidden_sessions_stay_hidden() {
    both(
        &[],
        &[
            "e03ce4e5", "80632853", "a7c92fd5", "e2971b2e", "0ae31fea", "81cb9f48", "e78b050e", "a38a6c50",
            "a9b95443", "a5a7feaf", "cd6d1b0c",
        ],
    );
}

#[test]
fn filters_by_directory_branch_and_repository() {
    both(&["--cwd", "/tmp/codex-fixture/projects/beta"], &["a7c92fd5", "e2971b2e", "a38a6c50", "a9b95443"]);
    both(&["--cwd", "/tmp/codex-fixture/projects/beta/"], &["a7c92fd5", "e2971b2e", "a38a6c50", "a9b95443"]);
    both(&["--cwd", "/tmp/codex-fixture/projects"], &[]);
    both(&["--under", "/tmp/codex-fixture/projects/notes"], &["e78b050e"]);
    both(&["--under", "/tmp/codex-fixture", "-n", "1"], &["e03ce4e5"]);
    both(&["--under", "/tmp/codex-fix"], &[]);
    both(&["--cwd", "/tmp/codex-fixture/projects/notes", "--cwd", "/nowhere"], &["e78b050e"]);
    both(&["--branch", "main", "-n", "2"], &["a7c92fd5", "e2971b2e"]);
    both(&["--branch", "feature/*", "-n", "1"], &["e03ce4e5"]);
    both(&["--branch", "feature"], &[]);
    both(&["--repo", "*acme/alpha*", "-n", "1"], &["e03ce4e5"]);
    both(&["--repo", "https://example.com/acme/alpha.git", "-n", "1"], &["e03ce4e5"]);
}

#[test]
fn filters_by_source_model_and_version() {
    both(&["--source", "exec", "-n", "1"], &["e03ce4e5"]);
    both(&["--source", "vscode"], &[]);
    both(&["--source", "subagent", "--subagents"], &["76a0ac56"]);
    both(&["--originator", "codex_*", "-n", "1"], &["e03ce4e5"]);
    both(&["--provider", "mock", "-n", "1"], &["e03ce4e5"]);
    both(&["--model", "gpt-5", "-n", "1"], &["e03ce4e5"]);
    both(&["--model", "gpt-4*"], &[]);
    both(&["--cli-version", "0.169*", "-n", "1"], &["e03ce4e5"]);
    both(&["--cli-version", "0.137.0"], &[]);
}

#[test]
fn filters_by_name_archive_status_and_parent() {
    both(&["--named"], &["cd6d1b0c"]);
    both(&["--name", "login work"], &["cd6d1b0c"]);
    both(&["--name", "login*"], &["cd6d1b0c"]);
    both(&["--name", "login"], &[]);
    both(&["--archived=only"], &["91db6294"]);
    both(
        &["--archived", "-n", "100", "--branch", "feature/login", "--sort", "created:asc", "--offset", "4"],
        &["91db6294", "80632853", "e03ce4e5"],
    );
    both(&["--forks-of", "login work"], &["e03ce4e5"]);
    both(&["--forks-of", "e03ce4e5"], &[]);
    both(&["--status", "failed"], &["a38a6c50"]);
    both(&["--status", "interrupted", "--status", "failed"], &["a7c92fd5", "e2971b2e", "a38a6c50"]);
    both(&["--status", "interrupted", "-n", "1", "--offset", "1"], &["e2971b2e"]);
    both(&["--status", "failed", "-n", "1", "--sort", "created"], &["a38a6c50"]);
    both(&["--status", "failed", "--branch", "feature/login"], &[]);
    both(&["--status", "running"], &[]);
}

#[test]
fn filters_by_time() {
    both(&["--since", "2026-11-22T10:50:14Z"], &["e03ce4e5", "80632853"]);
    both(&["--until", "2026-11-22T10:50:02Z"], &["cd6d1b0c"]);
    both(&["--time", "created", "--since", "2026-11-22T10:50:14Z"], &["e03ce4e5", "80632853"]);
    both(
        &["--since", "2026-11-22T10:50:04Z", "--until", "2026-11-22T10:50:05.4Z"],
        &["e78b050e", "a38a6c50"],
    );
    both(&["--since", "2999-01-01"], &[]);
    // Whole seconds of an old database must not lose what happened within the second.
    let world = World::with_home("0.106.0");
    assert_eq!(shorts(&world, &["--since", "2026-11-22T10:52:04.700Z"]), ["55463926"]);
    assert_eq!(shorts(&world, &["--since", "2026-11-22T10:52:05.000Z"]), Vec::<String>::new());
    assert_eq!(shorts(&world, &["--until", "2026-11-22T10:51:49Z", "--sort", "created:asc"]).len(), 3);
}

#[test]
fn every_order_sorts() {
    both(&["--sort", "created", "-n", "2"], &["e03ce4e5", "80632853"]);
    both(&["--sort", "created:asc", "-n", "2"], &["cd6d1b0c", "a5a7feaf"]);
    both(&["--sort", "updated:asc", "-n", "1", "--offset", "1"], &["a5a7feaf"]);
    both(&["-s", "title", "-n", "3"], &["a9b95443", "80632853", "a5a7feaf"]);
    both(
        &["-s", "cwd:desc", "-n", "2"],
        &["e78b050e", "e2971b2e"].map(|id| if id == "e2971b2e" { "a7c92fd5" } else { id }),
    );
    let world = World::with_home("0.169.0");
    assert_eq!(shorts(&world, &["--sort", "tokens", "-n", "2"]), ["e03ce4e5", "cd6d1b0c"]);
    assert_eq!(shorts(&world, &["-n", "0"]), Vec::<String>::new());
    assert_eq!(shorts(&world, &["--offset", "10"]), ["cd6d1b0c"]);
    assert_eq!(shorts(&world, &["--offset", "11"]), Vec::<String>::new());
}

#[test]
fn pages_together_are_the_whole_listing() {
    for version in ["0.45.0", "0.106.0", "0.169.0", "0.169.0-odd", NEWEST] {
        let world = World::with_home(version);
        for sort in ["updated", "created", "created:asc", "title", "cwd", "tokens"] {
            for source in ["--color=never", "--no-database"] {
                let whole = shorts(&world, &["--sort", sort, source]);
                let mut pages = Vec::new();
                for offset in (0..whole.len() + 3).step_by(3) {
                    pages.extend(shorts(
                        &world,
                        &["--sort", sort, source, "-n", "3", "--offset", &offset.to_string()],
                    ));
                }
                assert_eq!(pages, whole, "{version} {sort} {source}");
            }
        }
    }
}

#[test]
fn fields_have_the_dotted_names_of_the_record() {
    let world = World::with_home("0.169.0");
    let base = ["codex-agent-ls", "--subagents", "--archived"];
    let records = json(&world.ok(&[&base[..], &["--json"]].concat()));
    let paths =
        ["git.sha", "git.branch", "git.origin_url", "subagent.parent", "subagent.nickname", "subagent.role"];
    for path in paths {
        let (field, part) = path.split_once('.').unwrap();
        let text = |record: &serde_json::Value| record[field][part].as_str().unwrap_or("").to_owned();
        let expected: Vec<String> = records.iter().map(text).collect();
        // No session of this home has a role: its rows are empty.
        assert!(part == "role" || expected.iter().any(|text| !text.is_empty()), "the home has no {path}");
        for name in [path, part] {
            let template = format!("{{{name}}}");
            for flag in [["--fields", name], ["--format", &template]] {
                let rows = world.ok(&[&base[..], &flag].concat());
                assert_eq!(rows.split_terminator('\n').collect::<Vec<_>>(), expected, "{flag:?}");
            }
        }
    }
}

#[test]
fn every_output_format_prints_its_fields() {
    let world = World::with_home("0.169.0");
    let row = world.ok(&["codex-agent-ls", "-n", "1"]);
    assert_eq!(
        row,
        format!(
            "01a202e0-c928-7713-b151-bb42e03ce4e5\t2026-11-22T10:50:15.825Z\t{ALPHA}\tTry another approach\n"
        )
    );
    assert_eq!(
        world.ok(&["codex-agent-ls", "--name", "login*", "--fields", "name, branch,short"]),
        "login work\tfeature/login\tcd6d1b0c\n"
    );
    assert_eq!(
        world.ok(&["codex-agent-ls", "-n", "1", "--json", "--fields", "short,id"]),
        "{\"type\":\"session\",\"short\":\"e03ce4e5\",\"id\":\"01a202e0-c928-7713-b151-bb42e03ce4e5\"}\n"
    );
    assert_eq!(
        world.ok(&["codex-agent-ls", "-n", "2", "-0", "--format", "{cwd}"]),
        format!("{ALPHA}\0{ALPHA}\0")
    );
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
    assert_eq!(world.ok(&["codex-agent-ls", "-c", "--no-database", "--archived=only"]), "1\n");
    let second = ["--cwd", ALPHA, "--sort", "created:asc", "--offset", "1", "-n", "1"];
    let second = [&["codex-agent-ls", "--format", "{title}"][..], &second].concat();
    let unicode = world.ok(&second);
    assert!(unicode.contains("back\\\\slashes\\nsecond line") && unicode.contains("\\tthird"), "{unicode}");
    let raw = world.ok(&[&second[..], &["-0"]].concat());
    assert!(raw.contains("back\\slashes\nsecond line") && raw.ends_with('\0'), "{raw}");
}

#[test]
fn a_record_has_costly_fields_only_on_request() {
    let world = World::with_home("0.169.0");
    let record = &json(&world.ok(&["codex-agent-ls", "--json", "--name", "login work"]))[0];
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 22, "{keys:?}");
    for field in ["forked_from", "status", "resume_command"] {
        assert!(!record.as_object().unwrap().contains_key(field));
        let more =
            &json(&world.ok(&["codex-agent-ls", "--json", "--name", "login work", "--fields", field]))[0];
        assert!(more.as_object().unwrap().contains_key(field), "{more}");
    }
    assert_eq!(record["tokens_used"], 321);
    assert_eq!(record["pinned"], false);
    assert_eq!(record["git"]["sha"], "bc3f9ed61d2bfe2e11d558637c2c171e754dd954");
    let full = &json(&world.ok(&["codex-agent-ls", "--json", "--name", "login work", "--full"]))[0];
    assert_eq!(full["resume_command"], serde_json::json!(["codex", "resume", "--cd", ALPHA, full["id"]]));
    let archived = &json(&world.ok(&["codex-agent-ls", "--json", "--archived=only", "--full"]))[0];
    assert!(archived["resume_command"].is_null(), "an archived session cannot be resumed");
}

#[test]
fn a_symbolic_link_to_a_directory_is_that_directory() {
    let world = World::with_home("0.169.0");
    let project = world.path("project");
    std::fs::create_dir(&project).unwrap();
    symlink(&project, world.path("link")).unwrap();
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    let real = std::fs::canonicalize(&project).unwrap();
    database.execute("UPDATE threads SET cwd = ?1 WHERE name IS NOT NULL", [real.to_str().unwrap()]).unwrap();
    drop(database);
    assert_eq!(shorts(&world, &["--cwd", "link"]), ["cd6d1b0c"]);
    assert_eq!(
        shorts(&world, &["--under", "./link/.."]).len(),
        1,
        "a path through a link leads where the link leads"
    );
    assert_eq!(shorts(&world, &["--cwd", "project"]), ["cd6d1b0c"]);
}

#[test]
fn a_group_filters_and_an_unknown_group_is_reported() {
    let world = World::with_home("0.169.0");
    world.run(&["codex-agent-group", "add", "work", "cd6d1b0c", "e03ce4e5"]);
    assert_eq!(shorts(&world, &["--group", "work"]), ["e03ce4e5", "cd6d1b0c"]);
    let ran = world.run(&["codex-agent-ls", "--group", "wrok"]);
    ran.exits(1).prints("");
    ran.reports("no group 'wrok'").reports("did you mean 'work'?");
}

#[test]
fn the_database_is_where_codex_is_configured() {
    let mut world = World::with_home("0.169.0");
    let place = world.path("elsewhere");
    std::fs::create_dir(&place).unwrap();
    for name in ["state_5.sqlite", "state_5.sqlite-wal", "state_5.sqlite-shm"] {
        std::fs::rename(world.codex_home().join(name), place.join(name)).unwrap();
    }
    let found =
        |world: &World| json(&world.run(&["codex-agent-ls", "-n", "1", "--json"]).out)[0]["found_in"].clone();
    assert_eq!(found(&world), "files");
    world.set("CODEX_SQLITE_HOME", place.to_str().unwrap());
    assert_eq!(found(&world), "both");
    // Codex's own configuration wins over the environment.
    let config = world.codex_home().join("config.toml");
    std::fs::write(&config, "model = \"m\"\nsqlite_home = \"/nowhere\"\n").unwrap();
    assert_eq!(found(&world), "files");
    let ran = world.run(&["codex-agent-ls", "-c"]);
    ran.reports("there is no Codex database in '/nowhere'");
    std::fs::write(&config, format!("sqlite_home = \"{}\"\n", place.display())).unwrap();
    world.set("CODEX_SQLITE_HOME", "/nowhere");
    assert_eq!(found(&world), "both");
    std::fs::write(&config, "sqlite_home = [broken").unwrap();
    let ran = world.run(&["codex-agent-ls", "-c"]);
    ran.succeeds().prints("11\n");
    ran.reports("config.toml").reports("sqlite_home");
}

#[test]
fn a_moved_home_is_listed_with_its_new_paths() {
    let world = World::with_home("0.137.0");
    for record in json(&world.ok(&["codex-agent-ls", "--json", "--archived", "--subagents"])) {
        let path = record["rollout_path"].as_str().unwrap();
        assert!(path.starts_with(world.codex_home().canonicalize().unwrap().to_str().unwrap()), "{path}");
        assert!(std::path::Path::new(path).exists());
    }
}

#[test]
fn wrong_usage_gets_a_hint_and_exits_with_2() {
    let world = World::with_home("0.169.0");
    for (words, help) in [
        (&["--limt", "3"][..], "did you mean '--limit'?"),
        (&["-n"], "'-n' needs a value"),
        (&["-n", "abc"], "--limit: invalid value 'abc': expected a whole number"),
        (&["--limit", "-1"], "it may not be negative"),
        (&["--since", "tuesdayish"], "use a time such as 2d, 12h, yesterday"),
        (&["--sort", "colour"], "keys: updated created tokens title cwd"),
        (&["--fields", "titel"], "did you mean 'title'?"),
        (&["--sort", "updated:frob"], "invalid value 'updated:frob': unknown order 'frob'"),
        (&["--sort", "updated:"], "the order is asc or desc"),
        (&["--format", "{titel}"], "did you mean 'title'?"),
        (&["--format", "\\x"], "escapes: "),
        (&["--archived=all"], "expected only or no value"),
        (&["--json=yes"], "--json: there is no field 'yes'"),
        (&["--full=yes"], "accepts no value"),
        (&["--color", "blue"], "expected auto or always or never"),
        (&["login"], "'codex-agent find login' finds sessions by"),
        (&["the bug"], "'codex-agent find 'the bug'' finds sessions by"),
        (&["5"], "'codex-agent ls -n 5' lists 5 sessions"),
        (&["--archived", "only"], "did you mean '--archived=only'?"),
        (&["--archived=yes"], "expected only or no value"),
        (&["--sort", "status"], "keys: updated created tokens title cwd id name "),
        (&["--repo", "."], "'.': the directory is in no git repository"),
        (&["--no-files", "--no-database"], "leave no source of sessions"),
        (&["--format", "{id}", "--json"], "cannot be combined with --fields"),
        (&["--json", "-0"], "cannot be combined with --json"),
        (&["--codex-home", ""], "expected the path of a directory"),
    ] {
        let mut line = vec!["codex-agent-ls"];
        line.extend(words);
        let ran = world.run(&line);
        ran.exits(2).prints("");
        ran.reports(help);
        assert!(ran.err.starts_with("codex-agent-ls: "), "{words:?}: {}", ran.err);
        assert!(ran.err.ends_with("Try 'codex-agent-ls --help'.\n"), "{}", ran.err);
    }
}

#[test]
fn full_reads_a_rollout_before_its_fields_are_filtered() {
    for (version, flag, value) in [("0.106.0", "--model", "gpt-5"), ("0.137.0", "--originator", "codex_exec")]
    {
        let world = World::with_home(version);
        let count = |more: &[&str]| {
            let mut words = vec!["codex-agent-ls", "--full", flag, value, "--count"];
            words.extend(more);
            world.ok(&words)
        };
        assert_eq!(count(&[]), count(&["--no-database"]), "{version} {flag}");
        assert_ne!(count(&[]), "0\n");
    }
}

#[test]
fn a_limited_listing_by_creation_misses_no_session() {
    let world = World::with_home("0.169.0-odd");
    let sessions = world.codex_home().join("sessions");
    let day = sessions.join("2026/11/22");
    // One rollout is where no version puts it, and one session was reverted long after its creation.
    let loose = std::fs::read_dir(&day)
        .unwrap()
        .flatten()
        .find(|e| e.file_name().to_string_lossy().contains("d974d51e"))
        .unwrap();
    std::fs::rename(loose.path(), sessions.join(loose.file_name())).unwrap();
    let late = sessions.join("2026/12/25");
    std::fs::create_dir_all(&late).unwrap();
    let segment = std::fs::read_dir(&day)
        .unwrap()
        .flatten()
        .find(|e| e.file_name().to_string_lossy().contains("e54_"))
        .unwrap();
    let text = std::fs::read_to_string(segment.path()).unwrap().replace("2026-11-22T", "2026-12-25T");
    let name = segment.file_name().to_string_lossy().replace("2026-11-22T", "2026-12-25T");
    std::fs::write(late.join(name), text).unwrap();
    std::fs::remove_file(segment.path()).unwrap();
    let by = ["--no-database", "--sort", "created"];
    let whole = shorts(&world, &by);
    assert_eq!((whole.len(), whole[0].as_str()), (10, "b2fa1e54"));
    for n in 1..12 {
        let limit = n.to_string();
        let mut words = by.to_vec();
        words.extend(["-n", &limit]);
        assert_eq!(shorts(&world, &words), whole[..whole.len().min(n)], "-n {n}");
    }
    let title =
        world.ok(&["codex-agent-ls", "--no-database", "--sort", "created", "-n", "1", "--fields", "title"]);
    assert_eq!(title, "To be reverted, first\n");
}

#[test]
fn a_damaged_session_does_not_shorten_the_page() {
    let world = World::with_home("0.169.0");
    let path = world.ok(&["codex-agent-ls", "-n", "1", "--fields", "rollout_path"]);
    let file = std::fs::File::options().write(true).open(path.trim()).unwrap();
    file.set_len(6000).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    for n in ["1", "2", "3"] {
        let ran = world.run(&[
            "codex-agent-ls",
            "--no-database",
            "--sort",
            "created",
            "-n",
            n,
            "--fields",
            "id,title",
        ]);
        assert_eq!(ran.out.lines().count().to_string(), n, "{}", ran.err);
        ran.reports("cannot read");
    }
}

#[test]
fn the_row_decides_between_two_copies_of_a_rollout() {
    let world = World::with_home("0.169.0");
    let path = world.ok(&["codex-agent-ls", "-n", "1", "--fields", "rollout_path"]);
    let path = std::path::Path::new(path.trim());
    std::fs::copy(path, world.codex_home().join("archived_sessions").join(path.file_name().unwrap()))
        .unwrap();
    let listed = |source| {
        world.ok(&["codex-agent-ls", "-n", "1", "--fields", "rollout_path", source]).trim().to_owned()
    };
    for source in ["--color=never", "--no-database"] {
        assert_eq!(listed(source), path.to_str().unwrap());
    }
    // Days before and after, and a home that was moved after its rows were written.
    for (directory, moves) in [("2025/01/01", false), ("2027/12/31", false), ("2027/12/31", true)] {
        let directory = world.codex_home().join("sessions").join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(path, directory.join(path.file_name().unwrap())).unwrap();
        if moves {
            let sql = "UPDATE threads SET rollout_path = '/gone' || rollout_path";
            crate::ls::foreign_rows::database(&world).execute_batch(sql).unwrap();
        }
        assert_eq!(listed("--color=never"), path.to_str().unwrap(), "{directory:?} {moves}");
    }
}

#[test]
fn a_check_accepts_no_filters() {
    let world = World::with_home("0.169.0");
    for more in [
        &["--cwd", "/x"][..],
        &["--group", "g"],
        &["-n", "1"],
        &["--count"],
        &["--archived"],
        &["--no-files"],
        &["--source", "exec"],
    ] {
        let mut words = vec!["codex-agent-ls", "--check"];
        words.extend(more);
        world.run(&words).case(more).exits(2);
    }
}

#[test]
fn a_missing_directory_can_be_a_filter() {
    let world = World::with_home("0.169.0");
    let mut command = world.command("codex-agent-ls");
    std::fs::create_dir(world.path("work")).unwrap();
    let here = std::fs::canonicalize(world.path("work")).unwrap();
    let gone = here.parent().unwrap().join("gone");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database
        .execute("UPDATE threads SET cwd = ?1 WHERE cwd LIKE '%/beta'", [gone.to_str().unwrap()])
        .unwrap();
    drop(database);
    let output = command.current_dir(&here).args(["--cwd", "../gone", "--count"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4\n");
}

#[test]
fn a_nul_character_in_a_title_forges_no_row() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database
        .execute("UPDATE threads SET title = 'A' || char(0) || 'forged' WHERE name IS NOT NULL", [])
        .unwrap();
    drop(database);
    let out = world.ok(&["codex-agent-ls", "--named", "-0", "--format", "{title}"]);
    assert_eq!(out, "A\u{fffd}forged\0");
}

/// Codex 0.171 lists sessions of the applications of ChatGPT among those of the user.
#[test]
fn an_object_as_source_is_a_subagent_only_with_that_key() {
    for (object, word) in [
        (r#"{"custom":"chatgpt"}"#, Some("custom:chatgpt")),
        (r#"{"custom":"atlas"}"#, Some("custom:atlas")),
        (r#"{"internal":"memory_consolidation"}"#, Some("internal:memory_consolidation")),
        (r#"{"remote":{"host":"subagent"}}"#, Some("remote")),
        (r#"{"subagent":"review"}"#, None),
        (r#"{"subagent":{"other":"guardian"}}"#, None),
        (r#"{"subagent":{"of a later version":{}}}"#, None),
    ] {
        let world = World::with_home(NEWEST);
        let list = json(&world.ok(&["codex-agent-ls", "--json", "--sort", "created:asc", "-n", "1"]));
        let (id, path) = (list[0]["id"].as_str().unwrap(), list[0]["rollout_path"].as_str().unwrap());
        let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
        let changed = database.execute("UPDATE threads SET source = ?1 WHERE id = ?2", [object, id]).unwrap();
        assert_eq!(changed, 1);
        drop(database);
        let text = std::fs::read_to_string(path).unwrap();
        let new = text.replacen(r#""source":"exec""#, &format!(r#""source":{object}"#), 1);
        assert_ne!(text, new);
        std::fs::write(path, new).unwrap();
        for source in ["--color=never", "--no-files", "--no-database"] {
            let record = |more: &[&str]| {
                let list = json(&world.ok(&[&["codex-agent-ls", "--json", source], more].concat()));
                list.into_iter().find(|record| record["id"] == id)
            };
            let told = format!("{object} {source}");
            let by_default = record(&[]);
            assert_eq!(by_default.is_some(), word.is_some(), "{told}");
            let shown = record(&["--subagents"]).unwrap();
            assert_eq!(shown["source"], word.unwrap_or("subagent"), "{told}");
            assert_eq!(shown["subagent"].is_null(), word.is_some(), "{told}");
            for (pattern, fits) in [
                (word.unwrap_or("subagent"), true),
                ("custom:*", word.is_some_and(|word| word.starts_with("custom:"))),
                ("exec", false),
                ("chatgpt", false),
            ] {
                let found = record(&["--subagents", "--source", pattern]);
                assert_eq!(found.is_some(), fits, "{told} --source {pattern}");
            }
        }
    }
}
