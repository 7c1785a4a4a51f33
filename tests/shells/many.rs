//! Pressing TAB where there is more than a shell lists without a question: 300 sessions and 150 groups.

use crate::shells::{Shell, bash, fish, has, zsh};
use crate::world::rollouts::{database, id};
use crate::world::*;

const SESSIONS: usize = 300;

/// A world with sessions, of which that of the highest number is the newest. The oldest one alone has a name, the
/// second oldest alone a branch.
fn world() -> World {
    let mut world = World::new();
    let connection = database(&world, "state_5.sqlite");
    connection.execute_batch("ALTER TABLE threads ADD COLUMN git_branch TEXT; BEGIN").unwrap();
    for number in 0..SESSIONS {
        let sql = "INSERT INTO threads VALUES (?1, '/gone/' || ?1, ?2, ?2, 'exec', '/src/alpha', ?3, ?3, 0, NULL, ?4)";
        let branch = if number == 1 { "release/old" } else { "main" };
        let at = (1_795_341_600 + number).to_string();
        connection.execute(sql, [&id(number), &at, &format!("title of {number}"), branch]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let name =
        format!(r#"{{"id":"{}","thread_name":"the oldest","updated_at":"2026-11-22T10:00:00Z"}}"#, id(0));
    world.write("home/.codex/session_index.jsonl", name + "\n");
    let groups: Vec<_> = (0..150)
        .map(|number| {
            serde_json::json!({
                "id": format!("11111111-0000-4000-8000-{number:012}"), "name": format!("group-{number:03}"),
                "sessionIds": [], "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
            })
        })
        .collect();
    world.write("home/.config/codex-agent/groups.json", serde_json::json!({ "groups": groups }).to_string());
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bins().display());
    world.set("PATH", path);
    for (shell, file) in crate::shells::FILES {
        world.write(file, world.ok(&["codex-agent", "--generate", shell]));
    }
    world
}

/// bash and zsh with their default limits, above which they ask, and a command `many` with 200 candidates.
fn asking(world: &World) -> Vec<(&'static str, Shell)> {
    let mut shells = Vec::new();
    if has(world, "bash") {
        let lines = ". completions/codex-agent\nbind 'set completion-query-items 100'\n\
                     list() { COMPREPLY=($(seq 100 299)); }\ncomplete -F list many";
        shells.extend(bash(world, lines).map(|shell| ("bash", shell)));
    }
    if has(world, "zsh") {
        shells.push(("zsh", zsh(world, "LISTMAX=100\n_many() { compadd {100..299} }\ncompdef _many many")));
    }
    shells
}

#[test]
fn no_shell_asks_whether_it_may_list_the_candidates() {
    let world = world();
    for (name, mut shell) in asking(&world) {
        // The shell does ask before it lists 200 words.
        shell.refuse("many ", "possibilities");
        for line in ["codex-agent find ", "codex-agent group show g", "codex-agent ls -", "codex-agent run -"]
        {
            let tab = shell.tab(line);
            assert!(!tab.shown.contains("possibilities"), "{name}: {line}<TAB> asks: {}", tab.shown);
            assert!(tab.shown.lines().count() > 10, "{name}: {line}<TAB> shows {}", tab.shown);
        }
    }
}

#[test]
fn the_newest_sessions_are_offered_first_with_their_titles() {
    let world = world();
    let in_order = |name: &str, shown: &str| {
        // zsh lists in columns, of which the first has the first candidates.
        let first = shown.lines().filter_map(|line| line.split_whitespace().next());
        let ids: Vec<usize> = first.filter_map(|word| usize::from_str_radix(word, 16).ok()).collect();
        assert!(ids.len() > 9 && ids[0] == SESSIONS - 1, "{name}: {shown}");
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] - 1), "{name}: {shown}");
        assert!(shown.contains("title of 299"), "{name}: {shown}");
    };
    for (name, mut shell) in asking(&world) {
        in_order(name, &shell.tab("codex-agent find ").shown);
    }
    if has(&world, "fish") {
        in_order("fish", &fish(&world, "", "codex-agent find "));
        let script = std::fs::read_to_string(world.path("completions/codex-agent.fish")).unwrap();
        assert!(script.contains(" -k "), "without -k fish sorts the candidates");
    }
}

#[test]
fn old_sessions_and_their_values_are_completed_from_their_beginning() {
    let world = world();
    for (typed, word) in [
        ("codex-agent find the", "the\\ oldest"),
        ("codex-agent ls --branch rel", "release/old"),
        ("codex-agent ls --name=the", "the\\ oldest"),
    ] {
        for (name, mut shell) in asking(&world) {
            let line = shell.tab(typed).line;
            assert!(line.trim_end().ends_with(word), "{name}: {typed}<TAB> became {line:?}");
        }
    }
    for (name, mut shell) in asking(&world) {
        // Of 256 sessions with this beginning the newest are offered.
        let shown = shell.tab("codex-agent find 000000").shown;
        assert!(shown.contains("title of 255") && !shown.contains("title of 100"), "{name}: {shown}");
    }
}
