//! The rules for external tools: good tools keep them. `rules` has a bad tool for each rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use codex_agent_shared::plugin::reserved_words;
use codex_agent_shared::schema::{WRITTEN, each};
use codex_agent_shared::text::tsv;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::documents::unroff;
use crate::plugin::rules::{WRITE, with_fault};
use crate::plugin::world;
use crate::world::fake::wait_until;
use crate::world::schemas::{As, find_mismatch};
use crate::world::{HOMES, World, bin, bins, json};

/// The directory of external tools.
pub fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins")
}

/// The tool in Rust, which cargo has built with the tests.
pub fn tokens() -> PathBuf {
    let built = bin("examples/codex-agent-tokens");
    assert!(built.exists(), "cargo test builds the examples; with --test they need --examples");
    built
}

/// Whether the languages of the tools are there.
pub fn has(world: &World, programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let there = world.sh(&format!("command -v {program}")).out.contains('/');
        if !there {
            eprintln!("SKIPPED: there is no {program} to run a tool with");
        }
        there
    })
}

/// The results of the checks: name, result, observation.
pub fn check(world: &World, words: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let ran = world.run(&[&["codex-agent", "plugin", "check", "--json"], words].concat());
    ran.reports_exactly("");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = json(&ran.out).into_iter().map(|record| {
        assert_eq!(record["type"], "plugin.check");
        assert!(!record["why"].as_str().unwrap().is_empty());
        (text(&record["check"]), text(&record["result"]), text(&record["seen"]))
    });
    (ran.code, all.collect())
}

pub fn names_with<'c>(checks: &'c [(String, String, String)], result: &str) -> Vec<&'c str> {
    checks.iter().filter(|(_, is, _)| is == result).map(|(name, ..)| name.as_str()).collect()
}

/// No sample home is left, whatever a tool did in it.
pub fn leaves_no_home(world: &World) {
    let left = fs::read_dir(world.path("")).unwrap().flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("-check-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The checks that a tool without input and without records of its own is spared.
const OF_INPUT: [&str; 5] = ["own-fields", "foreign-fields", "foreign-types", "bad-line", "bounded-memory"];

#[test]
fn the_example_tools_keep_every_rule() {
    let world = world();
    if !has(&world, &["python3", "jq"]) {
        return;
    }
    let tools = [
        (plugins().join("codex-agent-today"), OF_INPUT.to_vec()),
        (plugins().join("codex-agent-uniq"), vec![]),
        (tokens(), vec!["records", "own-fields", "foreign-fields", "foreign-types"]),
    ];
    for (path, skipped) in tools {
        let (code, checks) = check(&world, &[path.to_str().unwrap()]);
        assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{checks:?}");
        assert_eq!(names_with(&checks, "skipped"), skipped, "{checks:?}");
        assert_eq!(checks.len(), 23);
        let source = if path == tokens() { plugins().join("codex-agent-tokens.rs") } else { path.clone() };
        assert!(fs::read_to_string(source).unwrap().lines().count() < 60, "{}", path.display());
    }
    leaves_no_home(&world);
}

#[test]
fn the_example_tools_print_what_they_promise() {
    let mut world = World::with_home("0.169.0");
    if !has(&world, &["python3", "jq"]) {
        return;
    }
    for name in ["today", "uniq"] {
        let file = format!("codex-agent-{name}");
        fs::create_dir_all(world.path("bin")).unwrap();
        std::os::unix::fs::symlink(plugins().join(&file), world.path("bin").join(&file)).unwrap();
    }
    std::os::unix::fs::symlink(tokens(), world.path("bin/codex-agent-tokens")).unwrap();
    world.set(
        "PATH",
        format!("{}:{}:/usr/bin:/bin", crate::world::bins().display(), world.path("bin").display()),
    );
    let alpha = "/tmp/codex-fixture/projects/alpha";
    let today = world.ok(&["codex-agent", "today", "--since", "2026-01-01"]);
    assert!(today.lines().any(|row| row.starts_with(&format!("{alpha}\t6\t"))), "{today}");
    let uniq = world.sh("codex-agent ls --json | codex-agent uniq | codex-agent find --fields cwd -");
    uniq.succeeds();
    assert_eq!(uniq.out.lines().count(), 3, "{}{}", uniq.out, uniq.err);
    let tokens = world.sh("codex-agent ls --json | codex-agent tokens");
    assert!(tokens.out.lines().any(|row| row.ends_with(&format!("\t{alpha}"))), "{}", tokens.out);
    let sum: u64 =
        tokens.out.lines().map(|row| row.split('\t').next().unwrap().parse::<u64>().unwrap()).sum();
    let all = world.sh("codex-agent ls --json | jq -s 'map(.tokens_used // 0) | add'");
    assert_eq!(sum.to_string(), all.out.trim());
}

/// The example of the manual page of the rules, from the line that begins like this.
fn of_the_page(begins: &str) -> String {
    shown_in("man/codex-agent-plugins.7", begins)
}

/// The example of any manual page, from the line that begins like this.
fn shown_in(page: &str, begins: &str) -> String {
    let page = unroff(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap());
    let shown = page.split(".nf\n.RS 4\n").find(|part| part.starts_with(begins)).unwrap();
    shown.split(".RE\n").next().unwrap().to_owned()
}

/// The tool that README shows.
fn of_readme() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let from = readme.find("    #!/bin/sh\n").unwrap();
    let shown = readme[from..].lines().take_while(|line| line.starts_with("    "));
    shown.map(|line| format!("{}\n", &line[4..])).collect()
}

#[test]
fn the_tools_of_the_page_count_every_session_of_every_home() {
    let mut blank = 0;
    for home in HOMES {
        let mut world = World::with_home(home);
        world.set("PATH", format!("{}:{}:/usr/bin:/bin", bins().display(), world.path("bin").display()));
        let number = |text: &str| text.trim().parse::<usize>().unwrap();
        for (tool, since) in [
            (of_readme(), false),
            (of_the_page("#!/bin/sh\n"), true),
            (shown_in("man/codex-agent.7", "#!/bin/sh\n"), true),
        ] {
            world.script("bin/codex-agent-branches", &tool);
            let times = world.ok(&["codex-agent", "ls", "--fields", "updated_at"]);
            for time in [""].into_iter().chain(times.lines().filter(|time| since && !time.is_empty())) {
                let options: &[&str] = if time.is_empty() { &[] } else { &["--since", time] };
                let rows = world.ok(&[&["codex-agent", "branches"], options].concat());
                let counts: Vec<(&str, &str)> =
                    rows.lines().map(|row| row.split_once('\t').unwrap()).collect();
                let all = world.ok(&[&["codex-agent", "ls", "--count"], options].concat());
                let sum: usize = counts.iter().map(|(count, _)| number(count)).sum();
                assert_eq!(sum, number(&all), "{home} {options:?}: {rows}");
                blank += counts.iter().filter(|(_, branch)| branch.is_empty()).count();
            }
        }
    }
    assert!(blank > 20, "only {blank} countings met a session without a branch");
}

#[test]
fn the_functions_of_the_page_escape_values_as_rows_do() {
    let world = world();
    if !has(&world, &["python3", "jq"]) {
        return;
    }
    let odd: String = (1..0x250).filter_map(char::from_u32).chain("日本\u{1f600} \\n\\\\t".chars()).collect();
    let file = world.write("text", serde_json::to_string(&odd).unwrap());
    let jq = format!("{}plain", of_the_page("def digit"));
    let python = format!("{}import json\nprint(plain(json.load(open('text'))))", of_the_page("NAMED"));
    for words in [&["jq", "-r", &jq, file.to_str().unwrap()][..], &["python3", "-c", &python]] {
        assert_eq!(world.ok(words), format!("{}\n", tsv(&odd)), "{}", words[0]);
    }
}

#[test]
fn the_tool_in_sh_escapes_titles_as_the_listing_does() {
    let mut world = World::with_home("0.169.0");
    if !has(&world, &["jq"]) {
        return;
    }
    world.set("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bins().display()));
    let title = "a\\b\tc\nd\re\x1bf\u{9b}g";
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET title = ?1, first_user_message = ?1", [title]).unwrap();
    let listed = world.ok(&["codex-agent-ls", "-n", "1", "--fields", "title"]);
    let tool = plugins().join("codex-agent-today").display().to_string();
    let rows = world.ok(&[&tool, "--since", "2026-01-01"]);
    assert_eq!(listed.trim_end(), tsv(title));
    assert!(rows.lines().any(|row| row.ends_with(&format!("\t{}", listed.trim_end()))), "{rows}");
}

#[test]
fn the_tool_of_readme_keeps_every_rule() {
    let world = world();
    world.script("bin/codex-agent-branches", &of_readme());
    let (code, checks) = check(&world, &["branches"]);
    assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{checks:?}");
    assert!(names_with(&checks, "ok").len() >= 12, "{checks:?}");
    world.run(&["codex-agent", "plugin", "add", "branches", "--about", "count"]).succeeds();
}

#[test]
fn the_tool_of_the_page_keeps_every_rule() {
    let world = world();
    world.script("bin/codex-agent-branches", &of_the_page("#!/bin/sh\n"));
    let (code, checks) = check(&world, &["branches"]);
    assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{checks:?}");
    assert_eq!(names_with(&checks, "skipped"), [&["records"], &OF_INPUT[..]].concat());
    world.run(&["codex-agent", "plugin", "add", "branches"]).succeeds();
    assert_eq!(
        world.ok(&["codex-agent", "plugin", "candidates", "branches", "--since", "t"]),
        "today\tsince midnight\n"
    );
    let mut world = World::with_home("0.169.0");
    world.script("bin/codex-agent-branches", &of_the_page("#!/bin/sh\n"));
    world.set("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()));
    let counts = world.ok(&["codex-agent", "branches"]);
    assert!(counts.lines().any(|line| line == "4\tmain"), "{counts}");
}

#[test]
fn the_filter_of_the_page_keeps_the_rules_for_filters() {
    let world = world();
    if !has(&world, &["jq", "awk"]) {
        return;
    }
    let script = format!(
        "#!/bin/sh\nname=codex-agent-branched\n[ \"$1 $2\" != '--generate describe' ] || {{\n\
         echo '{{\"type\":\"tool\",\"name\":\"branched\",\"about\":\"x\",\"reads\":[\"session\"],\"writes\":[\"session\"]}}'\n\
         exit\n}}\n{}",
        of_the_page("jq -Rr ")
    );
    let path = world.script("bin/codex-agent-branched", &script);
    let rules = ["empty-input", "no-escapes", "closed-pipe", "interrupt", "terminate", "records"]
        .into_iter()
        .chain(OF_INPUT);
    let mut words: Vec<&str> = rules.flat_map(|rule| ["--only", rule]).collect();
    words.push(path.to_str().unwrap());
    let (code, checks) = check(&world, &words);
    assert_eq!((code, names_with(&checks, "ok").len()), (0, 11), "{checks:?}");
}

#[test]
fn the_page_names_every_check() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/codex-agent-plugins.7")).unwrap();
    let section =
        page.split(".SH CHECKING\n").nth(1).unwrap().split(".SH ").next().unwrap().replace("\\-", "-");
    let terms: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix(".B "))
        .flat_map(|line| line.split(", "))
        .collect();
    let world = world();
    let (_, checks) = check(&world, &["status"]);
    let mut names: Vec<&str> = checks.iter().map(|(name, ..)| name.as_str()).collect();
    let mut told = terms.clone();
    names.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, names);
}

#[test]
fn a_tool_that_does_not_describe_its_input_is_reported() {
    let world = world();
    for (name, why) in [("find", "which is no record"), ("run", "expected a prompt record")] {
        let (code, checks) = check(&world, &[name]);
        assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{checks:?}");
        let records = checks.iter().find(|(name, ..)| name == "records").unwrap();
        assert!(records.1 == "skipped" && records.2.contains(why), "{records:?}");
        assert!(records.2.contains("'pipe' in the description names the arguments"), "{records:?}");
    }
}

#[test]
fn our_own_tools_keep_the_rules() {
    let world = world();
    for words in [
        &["find", "--", "--json", "-"][..],
        &["group", "--", "add", "checked", "--json"],
        &["ls", "--", "--json"],
        &["status"],
        &["demo", "true"],
    ] {
        let (code, checks) = check(&world, words);
        assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{words:?}: {checks:?}");
    }
}

#[test]
fn a_plain_script_is_not_checked_for_the_description() {
    let world = world();
    let script = "#!/bin/sh\ncase ${1-} in\n-h|--help) echo 'usage: codex-agent plain' ;;\n'') echo done ;;\n\
                  *) echo \"codex-agent-plain: cannot take '$1'\" >&2; exit 2 ;;\nesac\n";
    world.script("bin/codex-agent-plain", script);
    let (code, checks) = check(&world, &["plain"]);
    assert_eq!((code, names_with(&checks, "failed")), (0, vec![]), "{checks:?}");
    let describe = checks.iter().find(|(name, ..)| name == "describe").unwrap();
    assert!(describe.1 == "skipped" && describe.2.contains("with one it would be listed"), "{describe:?}");
    let made = [
        "name",
        "starts",
        "help",
        "help-short",
        "bad-usage",
        "empty-input",
        "no-escapes",
        "rows",
        "closed-pipe",
        "interrupt",
        "terminate",
        "codex-home",
        "leaves-nothing",
    ];
    assert_eq!(names_with(&checks, "ok"), made);
}

#[test]
fn records_of_every_type_are_fed_and_passed_on() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    for kind in ["group", "queue", "prompt", "run", "job", "run.started", "job.completed", "tool"] {
        let path = with_fault(
            &world,
            0,
            &[("[\"session\"]", &format!("[{kind:?}]")), ("== \"session\"", &format!("== {kind:?}"))],
        );
        let (code, checks) =
            check(&world, &["--only", "foreign-fields", "--only", "bad-line", &path, "--", "--by", "id"]);
        assert_eq!(
            (code, names_with(&checks, "ok")),
            (0, vec!["foreign-fields", "bad-line"]),
            "{kind}: {checks:?}"
        );
    }
    let path = with_fault(&world, 0, &[("\"session\"", "\"mine\"")]);
    let only = ["--only", "foreign-fields", path.as_str()];
    let (_, checks) = check(&world, &only);
    assert!(checks[0].1 == "skipped" && checks[0].2.contains("no sample of mine"), "{checks:?}");
    let input =
        world.write("input", "{\"type\":\"mine\",\"cwd\":\"x\"}\n\n{\"type\":\"mine\",\"cwd\":\"y\"}\n");
    let (_, checks) = check(&world, &[&["--input", input.to_str().unwrap()], &only[..]].concat());
    assert!(checks[0].1 == "ok" && checks[0].2.contains("all 2 records"), "{checks:?}");
}

/// A tool that reads these types, appends all that it reads to a file, and writes nothing.
fn reader(world: &World, name: &str, kinds: &[&str]) -> String {
    let about = serde_json::json!({
        "type": "tool", "name": name, "about": "x", "reads": kinds, "writes": [], "pipe": [],
    });
    let script = format!(
        "#!/bin/sh\ncase ${{1-}} in\n--generate) echo '{about}'; exit ;;\n?*) echo \"codex-agent-{name}: cannot take \
         '$1'\" >&2; exit 2 ;;\nesac\ncat >> {}\n",
        world.path("read").display()
    );
    world.script(&format!("bin/codex-agent-{name}"), &script).display().to_string()
}

#[test]
fn every_type_of_the_schema_has_samples_that_fit_it() {
    let world = world();
    let kinds: Vec<String> = each(WRITTEN).unwrap().into_iter().map(|schema| schema.name).collect();
    let tool = reader(&world, "all", &kinds.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, checks) = check(&world, &["--only", "codex-home", &tool]);
    assert_eq!((code, names_with(&checks, "ok")), (0, vec!["codex-home"]), "{checks:?}");
    let read = json(&fs::read_to_string(world.path("read")).unwrap());
    for kind in &kinds {
        let of_it = read.iter().filter(|record| record["type"] == **kind);
        let misfits: Vec<Option<String>> = of_it.map(|record| find_mismatch(record, As::Today)).collect();
        assert!(!misfits.is_empty() && misfits.iter().all(Option::is_none), "{kind}: {misfits:?}");
    }
    // Records that are usual in a pipe come from the tools, not from the schema.
    for (kind, field) in [("job.completed", "session"), ("job.failed", "failure"), ("setting", "key")] {
        let made = read.iter().filter(|record| record["type"] == kind && record[field] != "example");
        assert!(made.count() > 0, "{kind}");
    }
}

#[test]
fn sample_events_of_runs_are_no_fault_of_a_tool() {
    let world = world();
    for kinds in [&["job.completed"][..], &["run.completed", "queue", "group"], &["session", "prompt", "job"]]
    {
        let (code, checks) = check(&world, &[&reader(&world, "quiet", kinds)]);
        let made = ["codex-home", "leaves-nothing", "bounded-memory"];
        assert!(made.iter().all(|name| names_with(&checks, "ok").contains(name)), "{kinds:?}: {checks:?}");
        assert_eq!(
            (code, names_with(&checks, "failed")),
            (1, vec!["help", "help-short", "bad-line"]),
            "{checks:?}"
        );
    }
}

#[test]
fn a_filter_that_replaces_its_own_field_keeps_every_rule() {
    let world = world();
    if !has(&world, &["python3"]) {
        return;
    }
    let path = with_fault(
        &world,
        0,
        &[(WRITE, "record.update({'uniq.kept': True} if key[0] else {}); WRITE(record)")],
    );
    let rules = ["records", "own-fields", "foreign-fields", "foreign-types", "bad-line", "bad-usage"];
    let only: Vec<&str> = rules.iter().flat_map(|rule| ["--only", rule]).collect();
    let (code, checks) = check(&world, &[&only[..], &[&path]].concat());
    assert_eq!((code, names_with(&checks, "ok").len()), (0, rules.len()), "{checks:?}");
    assert_eq!(checks.iter().find(|(name, ..)| name == "own-fields").unwrap().2, "uniq.kept");
    // Sessions with a few fields alone, as 'ls --json --fields' prints them, may come out so.
    let input = world.write("input", "{\"type\":\"session\",\"id\":\"x\",\"cwd\":\"y\"}\n");
    let (code, checks) =
        check(&world, &[&["--input", input.to_str().unwrap()], &only[..], &[&path]].concat());
    assert_eq!((code, names_with(&checks, "ok").len()), (0, rules.len()), "{checks:?}");
}

#[test]
fn the_page_names_every_reserved_word() {
    let shown = of_the_page("archive ");
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), reserved_words().collect::<Vec<_>>());
}

#[test]
fn lines_name_the_observation_and_the_reason() {
    let world = world();
    world.script("bin/codex-agent-quiet", "#!/bin/sh\n");
    let ran = world.run(&["codex-agent", "plugin", "check", "quiet"]);
    ran.exits(1);
    let row = ran.out.lines().find(|row| row.starts_with("failed\thelp\t")).unwrap();
    let cells: Vec<&str> = row.split('\t').collect();
    assert_eq!(cells.len(), 4);
    assert!(
        cells[2].contains("which shows no usage") && cells[3].contains("if no manual page is installed"),
        "{row}"
    );
    let shown = crate::world::terminal::on_terminal(
        &world,
        &["codex-agent-plugin", "check", "--only", "name", "quiet"],
        100,
    );
    assert!(shown.contains("ok") && shown.contains("1 ok, 0 failed, 0 skipped"), "{shown}");
}

#[test]
fn a_check_that_is_interrupted_cleans_up() {
    let world = world();
    world.script("bin/codex-agent-hang", "#!/bin/sh\necho $$ > \"$0.pid\"\nsleep 600\n");
    let child =
        world.command("codex-agent-plugin").args(["check", "hang"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| world.path("bin/codex-agent-hang.pid").exists());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(128 + 15));
    leaves_no_home(&world);
}

#[test]
fn a_file_without_records_is_refused() {
    let world = World::new();
    world.script("bin/codex-agent-plain", "#!/bin/sh\ntouch ran\n");
    world.sh("mkfifo pipe; mkdir folder; truncate -s 65M huge").succeeds();
    for (input, why) in [
        ("/dev/zero", "it is a device"),
        ("pipe", "it is a pipe"),
        ("folder", "it is a directory"),
        ("huge", "it is larger than 64 MiB"),
        ("nothing", "no such file or directory"),
    ] {
        // Were it read, it would be without end.
        let line = format!(
            "ulimit -v 2000000; exec timeout 60 codex-agent-plugin check ./bin/codex-agent-plain --input {input}"
        );
        let ran = world.sh(&line);
        ran.case(input).exits(2).prints("");
        ran.reports(format!("cannot read the --input file '{input}': {why}"));
    }
    leaves_no_home(&world);
}
