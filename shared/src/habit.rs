//! Words of other programs, and the tools and verbs of this package that do the same.
//!
//! The words are suggestions only: an external tool or an alias may have any of these names, and no word is run as
//! another one. `tests/dispatch/habit.rs` checks that each command in a hint exists.
//!
//! ```
//! use codex_agent_shared::habit;
//!
//! assert!(habit::command("session", Some("list")).unwrap().contains("'codex-agent ls'"));
//! assert!(habit::verbs("rm").any(|verb| verb == "delete"));
//! ```

/// Verbs of other programs, and verbs of this package with that meaning, the most probable first.
const VERBS: [(&str, &str); 13] = [
    ("rm del erase drop discard", "remove delete"),
    ("ls ps ll dir status", "list"),
    ("cat info print inspect describe view get", "show"),
    ("new init make", "create"),
    ("push append enqueue put insert submit", "add"),
    ("kill cancel abort terminate halt end", "stop"),
    ("start exec work begin launch send", "run"),
    ("tail follow attach wait", "watch"),
    ("logs history output events", "log"),
    ("mv", "rename move"),
    ("restart rerun redo again", "retry"),
    ("hold suspend freeze", "pause"),
    ("clean gc clear purge cleanup", "prune"),
];

/// The verbs of this package that have the meaning of a verb of another program.
pub fn verbs(word: &str) -> impl Iterator<Item = &'static str> {
    let fits = move |(words, _): &&(&str, &str)| words.split(' ').any(|other| other == word);
    VERBS.iter().filter(fits).flat_map(|(_, ours)| ours.split(' '))
}

/// Commands of other programs, and the hint for each.
const COMMANDS: [(&str, &str); 24] = [
    (
        "session sessions chat chats conversation conversations thread threads",
        "'codex-agent ls' lists sessions; 'codex-agent resume' and 'codex-agent fork' open sessions",
    ),
    (
        "list log history l ll dir recent reflog",
        "'codex-agent ls' lists sessions, the newest first; 'codex-agent run log' prints the log of a run",
    ),
    ("logs tail", "'codex-agent run log' prints the log of a run, 'codex-agent run watch' follows a run"),
    (
        "branch branches",
        "'codex-agent ls --branch NAME' lists the sessions of a git branch; 'codex-agent fork' forks a session",
    ),
    (
        "exec new start prompt ask send create e",
        "'codex-agent run PROMPT' starts a session without a terminal; 'codex' starts a session in the Codex TUI",
    ),
    (
        "open continue attach switch checkout go load restore c r",
        "'codex-agent resume' resumes sessions; 'codex-agent run continue' continues a run",
    ),
    (
        "retry rerun again redo",
        "'codex-agent queue retry' retries failed prompts; 'codex-agent resume -p' sends a prompt",
    ),
    ("clone copy cp duplicate", "'codex-agent fork' forks a session"),
    (
        "search lookup query where locate rg",
        "'codex-agent find' finds sessions by words, by name or by a part of the id",
    ),
    (
        "grep",
        "no tool searches transcripts yet: 'codex-agent find' searches titles, names, first messages, directories \
         and branches",
    ),
    (
        "show cat view print export read transcript less diff",
        "no tool prints transcripts yet: 'codex-agent resume REF' opens a session in the Codex TUI, and \
         'codex-agent find REF --json' prints its record",
    ),
    (
        "watch follow",
        "no tool follows a session yet: 'codex-agent run watch' follows a run, and 'codex-agent status' shows running jobs",
    ),
    (
        "stats usage cost tokens count report",
        "no tool evaluates transcripts yet: 'codex-agent ls --fields short,tokens_used,title' prints the tokens of sessions",
    ),
    (
        "rm delete remove del clean prune gc",
        "'codex-agent archive' archives sessions, and 'codex-agent archive --delete' deletes them; 'codex-agent run prune' removes old runs",
    ),
    (
        "rename mv title alias tag label note",
        "'codex-agent name' names a session, 'codex-agent group add' groups sessions",
    ),
    (
        "add collect",
        "'codex-agent group add' adds sessions to a group, 'codex-agent queue add' adds prompts to a queue",
    ),
    ("ps top jobs job running", "'codex-agent status' shows running jobs; 'codex-agent run list' lists runs"),
    (
        "stop kill cancel abort pause",
        "'codex-agent run stop' stops a run, 'codex-agent queue stop' stops a queue; 'codex-agent status' shows what runs",
    ),
    (
        "batch schedule enqueue push todo later",
        "'codex-agent queue add' adds prompts to a queue, 'codex-agent queue run' sends them",
    ),
    ("init install completion completions", "'codex-agent setup' installs manual pages and shell completion"),
    (
        "set get settings setting env",
        "'codex-agent config' shows settings; 'codex-agent config edit' opens config.toml in an editor",
    ),
    (
        "man guide docs manual",
        "'codex-agent help' opens a manual page; 'codex-agent help guide' opens codex-agent(7)",
    ),
    ("version", "'codex-agent --version' prints the version"),
    ("doctor check verify fsck", "'codex-agent ls --check' compares the database of Codex with its rollouts"),
];

fn row(word: &str) -> Option<usize> {
    COMMANDS.iter().position(|(words, _)| words.split(' ').any(|other| other == word))
}

/// Whether a word only precedes the command: `session` of `session list`.
pub fn is_prefix(word: &str) -> bool {
    row(word) == Some(0)
}

/// The hint for a command of another program; `next` is its first argument.
pub fn command(word: &str, next: Option<&str>) -> Option<&'static str> {
    let inner = next.filter(|_| is_prefix(word)).and_then(row);
    Some(COMMANDS[inner.or_else(|| row(word))?].1)
}

/// Every hint, with a word of its command.
pub fn hints() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMANDS.iter().map(|(words, hint)| (words.split(' ').next().unwrap_or_default(), *hint))
}
