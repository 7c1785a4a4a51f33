//! Every tool that lists has the same flags: records, fields, a template, NUL, a limit, a table.

use crate::world::terminal::{columns_of, on_terminal, without_escapes};
use crate::world::{World, json};

/// A tool that lists, with a field of its records, and one in an object of theirs.
const LISTS: [(&[&str], &str, &str); 8] = [
    (&["codex-agent-ls"], "id", "git.branch"),
    (&["codex-agent-find", "-w", "a"], "id", "git.branch"),
    (&["codex-agent-group", "list"], "name", "session_ids"),
    (&["codex-agent-queue", "list"], "name", "counts.pending"),
    (&["codex-agent-queue", "show", "book"], "prompt", "failure.class"),
    (&["codex-agent-run", "list"], "id", "counts.failed"),
    (&["codex-agent-plugin", "list"], "name", "about"),
    (&["codex-agent-config", "list"], "key", "source"),
];

/// A home with groups, queues and runs.
fn world() -> World {
    let world = World::with_home("0.169.0");
    let more = "codex-agent demo sh -c '
        codex-agent run -p one -p FAIL400; codex-agent run three
        printf \"Alpha\\nFAIL400 it\\nBeta\\n\" | codex-agent queue add book; codex-agent queue run book
        codex-agent queue add book Last words; codex-agent queue mode book 4 manual
        codex-agent queue add other First words
        mkdir -p \"$0\"
        cp -r \"$CODEX_AGENT_CONFIG_HOME\" \"$0/config\"; cp -r \"$CODEX_AGENT_STATE_HOME\" \"$0/state\"
    ' \"$PWD/kept\"";
    world.foreign();
    let ran = world.sh(more);
    assert!(world.path("kept/config/queues.json").exists(), "{}", ran.err);
    let mut world = world;
    let (config, state) = (world.path("kept/config"), world.path("kept/state"));
    world.set("CODEX_AGENT_CONFIG_HOME", config.to_str().unwrap());
    world.set("CODEX_AGENT_STATE_HOME", state.to_str().unwrap());
    world.sh(
        "codex-agent ls -n 4 | codex-agent group add work; codex-agent ls -n 2 | codex-agent group add play",
    );
    world
}

fn with<'w>(words: &[&'w str], more: &[&'w str]) -> Vec<&'w str> {
    [words, more].concat()
}

#[test]
fn every_listing_has_the_flags_of_all() {
    let world = world();
    for (words, field, inner) in LISTS {
        let plain = world.ok(words);
        let count = plain.lines().count();
        assert!(count > 1, "{words:?}: {plain}");
        let fields = world.ok(&with(words, &["--fields", field]));
        assert_eq!(fields.lines().count(), count, "{words:?}");
        let template = format!("<{{{field}}}>\\t{{{inner}}}");
        let filled = world.ok(&with(words, &["--format", &template]));
        let both = format!("{field},{inner}");
        let rows = world.ok(&with(words, &["--fields", &both]));
        let want: Vec<String> =
            rows.lines().map(|row| format!("<{}", row.replacen('\t', ">\t", 1))).collect();
        assert_eq!(filled.lines().collect::<Vec<_>>(), want, "{words:?}");
        let nul = world.ok(&with(words, &["-0", "--fields", field]));
        assert_eq!(nul.matches('\0').count(), count, "{words:?}");
        if words[0] != "codex-agent-find" {
            let one = world.ok(&with(words, &["-n", "1", "--fields", field]));
            assert_eq!(one.lines().count(), 1, "{words:?}");
            assert_eq!(world.ok(&with(words, &["-n", "0"])), "", "{words:?}");
        }
        // --json=F is --json --fields F, and every row of fields is in it.
        let list = format!("--json={both}");
        let records = world.ok(&with(words, &[&list]));
        assert_eq!(records, world.ok(&with(words, &["--json", "--fields", &both])), "{words:?}");
        for (record, row) in json(&records).iter().zip(fields.lines()) {
            let object = record.as_object().unwrap();
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            assert_eq!(keys.len(), 3, "{record}");
            assert!(keys.contains(&"type") && keys.contains(&field) && keys.contains(&inner), "{record}");
            let value = object[field].as_str().unwrap_or("");
            assert_eq!(value, row, "{words:?}");
        }
        // An unknown field is an error that lists the known ones.
        for flag in [vec!["--fields", "zzzzzz"], vec!["--json=zzzzzz"], vec!["--format", "{zzzzzz}"]] {
            let ran = world.run(&with(words, &flag));
            ran.exits(2).prints("").reports("there is no field 'zzzzzz'").reports(field);
        }
    }
}

#[test]
fn a_template_without_a_field_is_refused() {
    let world = World::with_home("0.169.0");
    for (words, ..) in LISTS.iter().filter(|(words, ..)| words.len() < 3 || words[1] != "show") {
        for template in ["json", "%(id)", "$id", "", "table"] {
            let ran = world.run(&with(words, &["--format", template]));
            ran.exits(2)
                .prints("")
                .reports("there is no field in the template")
                .reports("--json prints records");
        }
    }
    let ran = world.run(&["codex-agent-ls", "--format", "{{.ID}}"]);
    ran.exits(2).reports("did you mean '{id}'?");
    let ran = world.run(&["codex-agent-ls", "--json", "id,title"]);
    ran.exits(2).reports("did you mean '--json=id,title'?");
    let ran = world.run(&["codex-agent-ls", "--archived", "only"]);
    ran.exits(2).reports("did you mean '--archived=only'?");
    world.run(&["codex-agent-ls", "--table", "--json"]).exits(2).reports("--table cannot be combined with");
}

/// A record from standard input may have fields of other tools; elsewhere an unknown field is an error.
#[test]
fn foreign_fields_are_printed_where_records_are_read() {
    let world = World::with_home("0.169.0");
    world.foreign();
    let records = world.ok(&["codex-agent-ls", "-n", "2", "--json"]);
    let marked: String = records
        .lines()
        .map(|line| {
            format!(
                "{},\"where.state\":\"gone\\t\",\"deep\":{{\"n\":7}}}}\n",
                line.strip_suffix('}').unwrap()
            )
        })
        .collect();
    let find = |more: &[&str]| world.feed(&with(&["codex-agent-find", "-"], more), &marked);
    let rows = find(&["--fields", "short,where.state,deep.n,deep,nothing"]);
    rows.succeeds();
    for row in rows.out.lines() {
        assert!(row.ends_with("\tgone\\t\t7\t{\"n\":7}\t"), "{row}");
    }
    let filled = find(&["--format", "{where.state}|{title}"]);
    assert!(filled.out.starts_with("gone\\t|Try another approach\n"), "{}", filled.out);
    for record in json(&find(&["--json=where.state,git.branch"]).out) {
        assert_eq!(record["where.state"], "gone\t");
        assert!(record.as_object().unwrap().contains_key("git.branch"), "{record}");
    }
    let last = find(&["--last", "--fields", "where.state"]);
    assert_eq!(last.out, "gone\\t\n");
    world
        .run(&["codex-agent-find", "@@", "--fields", "where.state"])
        .exits(2)
        .reports("there is no field 'where.state'");
    world
        .run(&["codex-agent-ls", "--fields", "where.state"])
        .exits(2)
        .reports("there is no field 'where.state'");
}

/// Every table has a heading, fits every terminal, and stands in a pipe too if it is asked for. Colours change nothing
/// else.
#[test]
fn tables_of_all_tools_fit_and_have_headings() {
    let mut world = world();
    let codex = world.script("bin/codex", "#!/bin/sh\n");
    world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
    let headings = ["ID ", "ID ", "NAME ", "NAME ", "book:", "RUN ", "NAME ", "KEY "];
    for wide in [20, 40, 60, 80, 120, 200] {
        world.set("COLUMNS", wide.to_string());
        for ((words, ..), heading) in LISTS.iter().zip(headings) {
            let mut lines = 0;
            let check = |shown: &str, how: &str| {
                assert!(wide < 40 || shown.starts_with(heading), "{words:?} {how} in {wide}: {shown}");
                for line in shown.lines() {
                    assert!(columns_of(line) <= wide, "{words:?} {how} in {wide} columns: {line:?}");
                }
            };
            if matches!(wide, 20 | 60) {
                let shown = without_escapes(&on_terminal(&world, words, wide as u16));
                check(&shown, "on a terminal");
                lines = shown.lines().count();
            }
            let table = world.ok(&with(words, &["--table"]));
            check(&table, "in a pipe");
            assert!(lines == 0 || lines == table.lines().count(), "{words:?}: {table}");
            assert!(!table.contains('\x1b'), "{table}");
            let coloured = world.ok(&with(words, &["--table", "--color=always"]));
            assert!(coloured.contains('\x1b'), "{words:?}");
            // The list of settings has the flag itself in it.
            if words[0] != "codex-agent-config" {
                assert_eq!(without_escapes(&coloured), table, "{words:?}");
                // Without --table the rows stay rows.
                assert_eq!(world.ok(&with(words, &["--color=always"])), world.ok(words), "{words:?}");
            }
        }
    }
}

/// States that need attention are coloured, each in the colour that it has everywhere.
#[test]
fn states_have_their_colours() {
    let world = world();
    let table = |words: &[&str]| world.ok(&with(words, &["--table", "--color=always"]));
    let runs = table(&["codex-agent-run", "list"]);
    assert!(runs.contains("\x1b[31m1 failed\x1b[0m"), "{runs:?}");
    let book = table(&["codex-agent-queue", "show", "book"]);
    assert!(book.contains("\x1b[31mfailed\x1b[0m") && book.contains("\x1b[36mmanual\x1b[0m"), "{book:?}");
    assert!(table(&["codex-agent-queue", "list"]).contains("\x1b[31m1 failed\x1b[0m"));
    let sessions = table(&["codex-agent-ls", "--full"]);
    assert!(sessions.contains("\x1b[35minterrupted: \x1b[0m"), "{sessions:?}");
    let chosen = table(&["codex-agent-ls", "--fields", "status,title"]);
    assert!(chosen.contains("\x1b[35minterrupted\x1b[0m"), "{chosen:?}");
}

/// The title has most of the width, and a path is cut between its parts.
#[test]
fn a_narrow_table_leaves_the_title_its_room() {
    let mut world = World::with_home("0.169.0");
    for wide in [60, 80, 120, 200_usize] {
        world.set("COLUMNS", wide.to_string());
        let table = world.ok(&["codex-agent-ls", "--table"]);
        let title = table.lines().next().unwrap().find("TITLE").unwrap();
        assert!(title <= wide / 2, "{table}");
        for row in table.lines().filter(|row| row.contains('…') && row.contains("…/")) {
            let path = row.split("…/").nth(1).unwrap().split("  ").next().unwrap();
            assert!(!path.is_empty() && path.matches('/').count() < 2, "{row}");
        }
    }
    world.set("COLUMNS", "80");
    let table = world.ok(&["codex-agent-ls", "--table", "--fields", "tokens_used,short"]);
    assert!(table.starts_with("TOKENS_USED  SHORT\n") && table.contains("\n        321  "), "{table}");
}
