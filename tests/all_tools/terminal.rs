//! Tables, help and live views fit the terminal that they are shown on.

use crate::world::World;
use crate::world::terminal::{Terminal, columns_of, on_terminal, without_escapes};

#[test]
fn tables_fit_a_narrow_terminal() {
    let mut world = World::with_home("0.169.0");
    world.ok(&["sh", "-c", "codex-agent ls --json | codex-agent group add work 2>/dev/null"]);
    let name = "a name that is much longer than any column for names would ever be, 日本語";
    let text = "what it is for, in so many words that they fill more than one line, 日本語日本語";
    world.ok(&["sh", "-c", "codex-agent group create \"$1\" -d \"$2\" 2>/dev/null", "sh", name, text]);
    let commands: [(&[&str], &str); 4] = [
        (&["codex-agent", "ls"], "ID"),
        (&["codex-agent", "group", "list"], "NAME"),
        (&["codex-agent", "find", "login"], "ID"),
        (&["codex-agent", "--list"], "NAME"),
    ];
    for no_color in [false, true] {
        if no_color {
            world.set("NO_COLOR", "1");
        }
        for (words, heading) in &commands {
            for wide in [60, 40, 100] {
                let shown = on_terminal(&world, words, wide);
                let plain = without_escapes(&shown);
                for line in plain.lines() {
                    assert!(columns_of(line) <= usize::from(wide), "{words:?} in {wide} columns: {line:?}");
                }
                assert!(plain.lines().count() > 1, "{words:?}: {plain}");
                assert!(plain.starts_with(heading), "{words:?}: {plain}");
                assert_eq!(shown.contains('\x1b'), !no_color, "{words:?}: {shown:?}");
            }
        }
    }
}

/// Fields of one's choice are shown as a table shows its own: a time is an age, and what is cut is the part that
/// all have in common.
#[test]
fn fields_on_a_terminal_are_distinguished() {
    let world = World::with_home("0.169.0");
    let words = ["codex-agent", "ls", "-n", "4", "--fields", "id,updated_at,cwd,title"];
    for wide in [40, 60] {
        let plain = without_escapes(&on_terminal(&world, &words, wide));
        let ids = world.ok(&["codex-agent", "ls", "-n", "4", "--format", "{short}"]);
        for (row, id) in plain.lines().skip(1).zip(ids.lines()) {
            assert!(row.starts_with(id) && columns_of(row) <= usize::from(wide), "{plain}");
            assert!(!row.contains("2026-11"), "a time is no age: {plain}");
        }
        assert_eq!(plain.lines().count(), 5, "{plain}");
    }
    let whole = on_terminal(&world, &words, 300);
    let id = world.ok(&["codex-agent", "ls", "-n", "1", "--format", "{id}"]);
    assert!(without_escapes(&whole).contains(id.trim()), "{whole}");
}

/// A fork that has no message yet is called by what it was forked from; in a record it has no title still.
#[test]
fn a_table_shows_the_parent_of_a_fork() {
    let world = World::new();
    let script = "codex-agent fork e03ce4e5 -n 2; codex-agent ls -n 2; codex-agent ls -n 1 --json | cat";
    let lines = demo(&world, script, 100);
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("  fork of Try another approach"), 2, "{lines:#?}");
    // Codex's database has the beginning of the conversation.
    assert_eq!(count("  fork of Fix the login bug"), 2, "{lines:#?}");
    let record: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert!(record["title"].is_null() && record.get("begins").is_none(), "{record}");
    // The home of a real Codex has one, too.
    let world = World::with_home("0.169.0-odd");
    let shown = on_terminal(&world, &["codex-agent", "ls"], 100);
    assert!(without_escapes(&shown).contains("  fork of Chain root, first message"), "{shown}");
    assert!(shown.contains("\x1b[2mfork of"), "it is no title: {shown:?}");
}

/// Help is wrapped between words, and is the same text however wide.
#[test]
fn help_fits_a_narrow_terminal() {
    let world = World::new();
    let commands: [&[&str]; 5] = [
        &["codex-agent", "--help"],
        &["codex-agent-ls", "--help"],
        &["codex-agent-queue", "--help"],
        &["codex-agent-queue", "run", "--help"],
        &["codex-agent-plugin", "candidates", "--help"],
    ];
    for words in commands {
        let piped = world.ok(words);
        let text = |shown: &str| shown.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(on_terminal(&world, words, 200), piped);
        for wide in [40, 60, 80] {
            let shown = on_terminal(&world, words, wide);
            assert_eq!(text(&shown), text(&piped), "{words:?}");
            let long = shown.lines().find(|line| line.len() >= usize::from(wide));
            // A word is not broken, and a flag and its value stay on one line.
            let may = |line: &str| line.starts_with("      --") || !line.trim().contains(' ');
            assert!(long.is_none_or(may), "{words:?} in {wide}: {long:?}");
        }
    }
}

/// The reason of a failure is shown in full, and broken between words.
#[test]
fn a_reason_is_not_truncated() {
    let world = World::new();
    let mut command = world.command("codex-agent-demo");
    command.args(["sh", "-c", "codex-agent run FAIL401; codex-agent run log"]);
    let (shown, code) = Terminal::open(command, 60, 24).end();
    let plain = without_escapes(&shown);
    assert_eq!(code, 0, "{plain}");
    let reason = "auth: unexpected status 401 Unauthorized: refused: invalid_api_key, url:";
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words.matches(reason).count(), 2, "{plain}");
    let directory = world.path("a-directory-with-quite-a-name/project");
    std::fs::create_dir_all(&directory).unwrap();
    let mut command = world.command("codex-agent-demo");
    let script = "codex-agent run --cwd \"$1\" -p ok && codex-agent run log";
    command.args(["sh", "-c", script, "sh", directory.to_str().unwrap()]);
    let (shown, code) = Terminal::open(command, 100, 24).end();
    assert!(
        code == 0 && without_escapes(&shown).contains("…/project\n"),
        "its end tells a directory: {shown}"
    );
    let events: Vec<&str> = plain.lines().filter(|line| line.starts_with(['[', ' '])).collect();
    assert!(events.len() > 6 && events.iter().all(|line| columns_of(line) < 60), "{plain}");
}

/// Runs a script of the demo on a terminal, and gives the lines that were shown, those too that were drawn over.
fn demo(world: &World, script: &str, columns: u16) -> Vec<String> {
    let mut command = world.command("codex-agent-demo");
    command.args(["sh", "-c", script]);
    let (shown, code) = Terminal::open(command, columns, 24).end();
    let plain = without_escapes(&shown);
    assert_eq!(code, 0, "{plain}");
    plain.lines().map(str::to_owned).collect()
}

/// The live view shows the running jobs in their order; completed jobs have the same columns.
#[test]
fn the_live_view_shows_running_jobs() {
    let world = World::new();
    let has = |lines: &[String], words: &[&str]| {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        lines.iter().find(fits).unwrap_or_else(|| panic!("no {words:?} in {lines:#?}")).find(words[0])
    };
    // A prompt that was sent before is not numbered again, and what is numbered is its place in the queue.
    let script = "printf 'A\\nPlan it MS700\\n' | codex-agent queue add q 2>/dev/null; \
                  codex-agent queue mode q 1 manual 2>/dev/null; codex-agent queue run q; codex-agent queue log q";
    let lines = demo(&world, script, 60);
    let running = has(&lines, &["  2 running ", " Plan it MS700"]);
    assert_eq!(running, has(&lines, &["  2 completed ", "[1/1]"]), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("  2 completed ")).count(), 2, "{lines:#?}");
    let is_titled = |line: &&String| line.contains("  2 completed ") && line.contains("Plan it MS700");
    assert_eq!(lines.iter().filter(is_titled).count(), 2, "{lines:#?}");
    // The one that is over first is not the last.
    let words = "-p 'One MS1500' -p 'Two MS300' -p 'Three MS1000' -p 'Four MS1500'";
    let lines = demo(&world, &format!("codex-agent run -j3 {words}"), 100);
    has(&lines, &["  1 running ", "  One MS1500                      thinking"]);
    let numbers = lines.iter().map(|line| {
        let (number, _) = line.split_once(" running ")?;
        number.trim().parse::<usize>().ok()
    });
    let numbers: Vec<Option<usize>> = numbers.collect();
    let is_ordered = |pair: &[Option<usize>]| pair[1].is_none() || pair[0] < pair[1];
    assert!(numbers.windows(2).all(is_ordered), "{lines:#?}");
    assert!(numbers.windows(3).any(|three| three == [Some(1), Some(3), Some(4)]), "{lines:#?}");
    // All sessions get the same prompt, and each has another title.
    let script = "codex-agent ls --json -n 2 | codex-agent group add g 2>/dev/null; \
                  codex-agent ls -n 2 --format '{title}'; \
                  codex-agent group run g --prompt 'Go MS700'";
    let group = demo(&world, script, 60);
    let script = "codex-agent ls -n 2 --format '{title}'; \
                  codex-agent ls -n 2 --json | codex-agent resume --prompt 'Go MS700'";
    for lines in [group, demo(&world, script, 60)] {
        for title in &lines[..2] {
            has(&lines, &[" running ", title.split_at(title.len().min(15)).0]);
        }
    }
}

#[test]
fn events_are_aligned_and_fit() {
    let world = World::new();
    let script = "seq 11 | codex-agent run --text -j5 2>&1;  codex-agent run log";
    let lines = demo(&world, script, 60);
    // The run shows its progress, and the log the times.
    for is_of_log in [false, true] {
        let is_it = |line: &&String| {
            line.starts_with(|c: char| if is_of_log { c.is_ascii_digit() } else { c == '[' })
        };
        let places: Vec<usize> = lines
            .iter()
            .filter(is_it)
            .filter(|line| !line.contains(" ended "))
            .filter_map(|line| line.find(" completed "))
            .collect();
        assert!(places.len() == 11 && places.iter().all(|place| *place == places[0]), "{lines:#?}");
    }
    let script = "codex-agent run -p 'Write MS700 the parser' -p 'Write the manual FAIL401' | cat; codex-agent run log; \
                  codex-agent run -p 'Write MS700 the parser' -p 'Write the manual'";
    for wide in [30, 40, 49, 50] {
        let lines = demo(&world, "codex-agent run one two 2>/dev/null | cat; codex-agent run list", wide);
        let row = lines.last().unwrap();
        assert!(columns_of(row) <= usize::from(wide) && row.contains("  finished  "), "{lines:#?}");
        let lines = demo(&world, script, wide);
        // A word is not broken.
        let of_events = |line: &&String| line.starts_with(['[', ' ']) && line.trim().contains(' ');
        let wrong = lines.iter().filter(of_events).find(|line| columns_of(line) >= usize::from(wide));
        assert_eq!(wrong, None, "in {wide} columns: {lines:#?}");
        let live =
            |line: &&String| line.starts_with(' ') && line.contains("s  Write") | line.contains("s Write");
        assert!(lines.iter().any(|line| live(&line)), "{lines:#?}");
    }
}
