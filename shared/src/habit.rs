//! Words and flags of this package and of other programs, and the commands that they stand for.
//!
//! One table has an answer for each word: the dispatcher gives it for a tool that does not exist, a tool for a verb
//! that does not exist, and `run` for a word that is probably not a prompt. The answers are suggestions only: an
//! external tool or an alias may have any of these names, and no word is run as another one. A second table has the
//! flags of other programs. `tests/dispatch/habit.rs` checks that each command in an answer exists.
//!
//! ```
//! use codex_agent_shared::habit;
//!
//! assert!(habit::hint("session", Some("list")).unwrap().contains("'codex-agent ls'"));
//! assert!(habit::verbs("rm").any(|verb| verb == "delete"));
//! assert!(habit::flag("ls", "older").unwrap().contains("--until"));
//! ```

/// Rows of words of this package (verbs and tools), words of other programs with the same meaning, the commands with
/// that meaning, separated by bars and without `codex-agent`, and a remark. A word may be in several rows. Names in
/// upper case are placeholders; one behind a question mark is optional.
const WORDS: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "session sessions chat chats conversation conversations thread threads",
        "ls|resume REF|fork REF",
        "",
    ),
    ("status", "ps top jobs job running usage", "status|run list|queue list", ""),
    ("ls list", "ps ll dir status l recent", "ls|run list|queue list|group list", ""),
    ("log", "logs history output events reflog", "run log ?RUN|ls|queue log NAME|group log NAME", ""),
    (
        "watch",
        "tail follow attach wait",
        "watch ?REF|run watch ?RUN|status|queue watch NAME|group watch NAME",
        "",
    ),
    ("continue", "proceed", "run continue ?RUN|resume REF|queue run NAME", ""),
    (
        "resume",
        "open attach switch checkout go load restore c r",
        "resume REF|run continue ?RUN|queue unpause NAME|group unpause NAME",
        "",
    ),
    ("stop", "kill cancel abort terminate halt end interrupt", "run stop RUN|queue stop NAME|status", ""),
    ("retry", "rerun redo again restart repeat", "run retry ?RUN|queue retry NAME --failed", ""),
    ("", "branch branches", "ls --branch NAME|fork REF", ""),
    ("fork", "clone copy cp duplicate", "fork REF", ""),
    (
        "",
        "exec start begin work launch send prompt ask e new create",
        "run -p TEXT",
        "'codex' starts a session in the Codex TUI",
    ),
    ("create", "new init make", "queue create NAME|group create NAME", ""),
    ("run", "start exec work begin launch send", "run -p TEXT|queue run NAME|group run NAME -p TEXT", ""),
    (
        "add",
        "push append enqueue put insert submit collect batch schedule todo later",
        "queue add NAME|group add NAME REF",
        "",
    ),
    (
        "show",
        "cat info print inspect describe view get export read transcript less",
        "show REF|run log ?RUN|queue show NAME|group show NAME",
        "",
    ),
    ("", "diff patch changes", "show REF --patch", ""),
    ("", "last answer final", "show REF --final", ""),
    ("find", "lookup query where locate", "find WORD|grep PATTERN", ""),
    ("grep", "search rg ag ack said", "grep PATTERN|find WORD", ""),
    ("stats", "usage cost tokens count report analytics", "stats|status", ""),
    (
        "",
        "rm del erase drop discard trash",
        "archive --delete REF|run prune|queue remove NAME PROMPT|group remove NAME REF",
        "",
    ),
    ("remove", "rm del erase drop discard", "queue remove NAME PROMPT|group remove NAME REF|run prune", ""),
    (
        "delete",
        "rm del erase drop discard",
        "run prune|archive --delete REF|queue delete NAME|group delete NAME",
        "",
    ),
    ("prune", "clean gc clear purge cleanup", "run prune|archive REF", ""),
    ("archive", "", "archive REF", ""),
    ("unarchive", "undo revert", "archive --undo REF", ""),
    (
        "rename name",
        "mv title alias label note tag",
        "name REF NAME|queue rename NAME NEW|group rename NAME NEW",
        "",
    ),
    ("", "tag label", "group add NAME REF", ""),
    ("move", "mv reorder", "queue move NAME PROMPT first", ""),
    ("edit", "modify change", "queue edit NAME PROMPT|config edit", ""),
    ("mode", "", "queue mode NAME PROMPT auto", ""),
    ("project", "", "queue project NAME DIR", ""),
    ("pause", "hold suspend freeze", "queue pause NAME|group pause NAME|run stop RUN", ""),
    ("unpause", "unfreeze", "queue unpause NAME|group unpause NAME", ""),
    ("group", "groups", "group list", ""),
    ("queue", "queues", "queue list", ""),
    ("pick", "choose select fzf", "pick", ""),
    ("get", "", "config get KEY|config list", ""),
    ("set", "", "config set KEY VALUE|config edit", ""),
    ("unset", "", "config unset KEY|config edit", ""),
    ("config", "settings setting preferences env", "config list|config edit", ""),
    ("path", "", "config path", ""),
    ("check", "doctor verify fsck validate", "ls --check|config check|plugin check TOOL", ""),
    ("plugin", "plugins tools", "plugin list", ""),
    ("describe", "", "plugin describe TOOL", ""),
    ("candidates", "", "plugin candidates TOOL", ""),
    ("completion", "completions", "setup|plugin completion TOOL bash", ""),
    ("which", "", "plugin which TOOL", ""),
    ("setup", "init install", "setup", ""),
    ("schema", "", "schema", ""),
    ("demo", "tutorial tour", "demo", ""),
    ("help", "man guide docs manual h", "help|help guide", ""),
    ("", "version ver", "--version", ""),
    ("", "cd chdir", "run --cwd DIR -p TEXT|ls --under DIR", ""),
    ("", "codex", "help", "'codex' starts a session in the Codex TUI"),
    ("", "codex-agent", "--list|help", ""),
    ("", "quit exit q", "run stop RUN|status", "each command ends by itself"),
    ("", "y yes n no ok okay sure", "", "a question is asked only on a terminal, and --yes answers it"),
];

/// The commands of [`WORDS`], and the effect of each.
const EFFECTS: &[(&str, &str)] = &[
    ("ls", "lists sessions, the newest first"),
    ("ls --branch NAME", "lists the sessions of a git branch"),
    ("ls --check", "compares the database of Codex with its rollouts"),
    ("ls --under DIR", "lists the sessions of a directory"),
    ("find WORD", "searches titles, names, first messages, directories and branches"),
    ("grep PATTERN", "searches transcripts"),
    ("show REF", "prints the transcript of a session"),
    ("show REF --patch", "prints the patches that a session applied"),
    ("show REF --final", "prints the last answer of the model"),
    ("watch ?REF", "follows sessions"),
    ("stats", "counts tokens and turns by day, project, model or session"),
    ("pick", "lets you choose sessions on a terminal"),
    ("resume REF", "opens a session in the Codex TUI, and with -p sends a prompt"),
    ("fork REF", "forks a session"),
    ("name REF NAME", "names a session"),
    ("archive REF", "archives a session"),
    ("archive --undo REF", "unarchives a session"),
    ("archive --delete REF", "deletes a session"),
    ("status", "shows running jobs, pending work and usage limits"),
    ("run -p TEXT", "starts a session without a terminal"),
    ("run --cwd DIR -p TEXT", "starts a session in another directory"),
    ("run list", "lists runs"),
    ("run log ?RUN", "prints the log of a run"),
    ("run watch ?RUN", "follows a run"),
    ("run continue ?RUN", "continues an unfinished run"),
    ("run retry ?RUN", "does the failed jobs of a run again"),
    ("run stop RUN", "stops a run"),
    ("run prune", "removes old runs"),
    ("queue list", "lists queues"),
    ("queue create NAME", "creates a queue"),
    ("queue add NAME", "adds prompts to a queue"),
    ("queue show NAME", "shows a queue"),
    ("queue run NAME", "sends the prompts of a queue"),
    ("queue log NAME", "prints the log of a queue"),
    ("queue watch NAME", "follows a queue"),
    ("queue stop NAME", "stops a queue"),
    ("queue retry NAME --failed", "requeues the failed prompts of a queue"),
    ("queue pause NAME", "pauses a queue"),
    ("queue unpause NAME", "continues a paused queue"),
    ("queue edit NAME PROMPT", "edits a prompt of a queue"),
    ("queue move NAME PROMPT first", "moves a prompt of a queue"),
    ("queue remove NAME PROMPT", "removes a prompt of a queue"),
    ("queue mode NAME PROMPT auto", "sets whether a prompt is sent automatically"),
    ("queue rename NAME NEW", "renames a queue"),
    ("queue project NAME DIR", "changes the directory of a queue"),
    ("queue delete NAME", "deletes a queue"),
    ("group list", "lists groups"),
    ("group create NAME", "creates a group"),
    ("group add NAME REF", "adds a session to a group"),
    ("group show NAME", "lists the sessions of a group"),
    ("group run NAME -p TEXT", "sends a prompt to each session of a group"),
    ("group log NAME", "prints the log of a group"),
    ("group watch NAME", "follows the run of a group"),
    ("group pause NAME", "pauses a group"),
    ("group unpause NAME", "continues a paused group"),
    ("group remove NAME REF", "removes a session from a group"),
    ("group rename NAME NEW", "renames a group"),
    ("group delete NAME", "deletes a group"),
    ("config list", "lists the settings"),
    ("config get KEY", "prints a setting"),
    ("config set KEY VALUE", "sets a setting"),
    ("config unset KEY", "removes a setting"),
    ("config edit", "opens config.toml in an editor"),
    ("config path", "prints the path of config.toml"),
    ("config check", "reports problems in config.toml"),
    ("plugin list", "lists external tools"),
    ("plugin describe TOOL", "prints the description of an external tool"),
    ("plugin candidates TOOL", "prints the candidates of an external tool"),
    ("plugin completion TOOL bash", "prints the completion script of an external tool"),
    ("plugin which TOOL", "prints the path of a tool"),
    ("plugin check TOOL", "checks an external tool"),
    ("setup", "installs manual pages and shell completion"),
    ("schema", "prints the JSON Schemas of records"),
    ("demo", "shows the tools on a sample of Codex's home"),
    ("help", "opens a manual page"),
    ("help guide", "opens codex-agent(7)"),
    ("--version", "prints the version"),
    ("--list", "lists the tools"),
];

/// Programs of a shell. Behind such a word, one or two words are probably their operands.
const PROGRAMS: &str = "git gh ls ll cd pwd grep rg cat cp mv rm mkdir rmdir chmod chown curl wget docker podman ssh \
    scp rsync sudo su apt brew npm npx pnpm yarn cargo rustc pip python python3 node go vim vi nano emacs tmux sed awk \
    xargs tar ps htop ping env echo printf bash sh zsh fish man less jq fzf kubectl systemctl terraform codex \
    codex-agent claude";

/// Programs of a shell that are English verbs too. Behind such a word, a single word is probably an operand.
const VERBS: &str = "make kill touch open diff head tail top which more";

/// Flags of other programs, by tool: the tools, the flags without dashes, and the hint. `*` is every tool.
const FLAGS: &[(&str, &str, &str)] = &[
    (
        "ls pick",
        "grep content body message text",
        "'codex-agent grep PATTERN' searches transcripts, and 'codex-agent find --said WORDS' lists their sessions",
    ),
    ("show", "md", "did you mean '--markdown'?"),
    ("show", "output o", "the output is that of the command: 'codex-agent show REF --markdown > FILE'"),
    ("show", "prompts", "'codex-agent show REF --only user' shows the prompts"),
    ("show", "last-answer answer", "did you mean '--final'?"),
    ("show", "diff", "did you mean '--patch'?"),
    ("grep", "said", "the words are the pattern: 'codex-agent grep --all-of \"WORD WORD\"'"),
    (
        "stats",
        "today week month day daily weekly monthly",
        "did you mean '--by'? '--by week' counts by week, and '--on \"this week\"' chooses answers by time",
    ),
    ("stats", "days", "'codex-agent stats --since 7d' counts the answers of the last seven days"),
    ("find", "grep content body message text", "did you mean '--said'? It searches transcripts"),
    ("grep", "only-matching o", "with '--json', the field spans has the places of matches"),
    ("grep", "extended-regexp perl-regexp E P", "patterns have the syntax of ripgrep, without look-around"),
    ("grep", "recursive r R", "all sessions are searched; '--under DIR' selects those of a directory"),
    (
        "archive",
        "older older-than before",
        "did you mean '--until'? 'codex-agent archive --until 90d' archives sessions that were not updated for 90 days",
    ),
    ("archive", "force f", "did you mean '--yes'?"),
    (
        "status",
        "watch follow w f",
        "'codex-agent run watch' follows a run, and 'watch codex-agent status' repeats the status",
    ),
    (
        "run",
        "detach background bg d",
        "runs stay in the foreground: end the command with '&', and follow it by 'codex-agent run watch'",
    ),
    (
        "ls find pick",
        "older older-than before",
        "did you mean '--until'? 'codex-agent ls --until 90d' lists sessions that were not updated for 90 days",
    ),
    (
        "ls find pick archive",
        "newer newer-than after",
        "did you mean '--since'? 'codex-agent ls --since 1d' lists sessions that were updated in the last day",
    ),
    (
        "ls find pick",
        "dir directory path in",
        "did you mean '--under'? 'codex-agent ls --under DIR' lists the sessions of a directory and of those below it",
    ),
    ("ls find", "all a", "'codex-agent ls --archived' lists archived sessions too"),
    (
        "ls find",
        "csv tsv",
        "in a pipe, each session is one line with TABs: 'codex-agent ls --fields short,title'",
    ),
    ("run", "grep list ls", "'codex-agent run list' lists runs"),
    ("run group queue resume fork", "host hosts", "did you mean '--on'? It carries out jobs on hosts"),
    (
        "run",
        "cd C dir directory",
        "did you mean '--cwd'? 'codex-agent run --cwd DIR -p TEXT' starts the session in another directory",
    ),
    (
        "run group queue fork resume",
        "full-auto",
        "Codex has no --full-auto any more: 'codex-agent run --sandbox workspace-write -p TEXT' may change files",
    ),
    (
        "run group queue fork resume",
        "yolo",
        "'codex-agent run --dangerously-bypass-approvals-and-sandbox -p TEXT' runs without a sandbox",
    ),
    (
        "run group queue",
        "parallel concurrency max-procs P",
        "did you mean '--max-concurrent'? 'codex-agent run --max-concurrent 4' runs four jobs at a time",
    ),
    (
        "run",
        "continue resume last r",
        "'codex-agent run continue' continues a run; 'codex-agent resume @' resumes a session",
    ),
    ("run", "failed", "'codex-agent run retry --failed' does the failed jobs of a run again"),
    (
        "resume fork",
        "last continue latest newest",
        "'codex-agent resume @' resumes the newest session of the directory; 'codex-agent fork @' forks it",
    ),
    (
        "resume fork",
        "message msg",
        "did you mean '--prompt'? 'codex-agent resume REF --prompt TEXT' sends a prompt",
    ),
    (
        "resume fork name archive",
        "id session session-id",
        "a session is an operand: 'codex-agent resume REF'",
    ),
    ("config", "set add", "'codex-agent config set KEY VALUE' sets a setting"),
    ("config", "unset remove delete", "'codex-agent config unset KEY' removes a setting"),
    ("config", "get", "'codex-agent config get KEY' prints a setting"),
    ("config", "list l show", "'codex-agent config list' lists the settings"),
    ("config", "edit e", "'codex-agent config edit' opens config.toml in an editor"),
    ("config", "global local system", "there is one config.toml: 'codex-agent config path' prints its path"),
    (
        "archive",
        "unarchive restore",
        "did you mean '--undo'? 'codex-agent archive --undo REF' unarchives a session",
    ),
    (
        "archive",
        "rm remove purge",
        "did you mean '--delete'? 'codex-agent archive --delete REF' deletes a session",
    ),
    (
        "group queue",
        "delete d rm remove",
        "a verb comes first: 'codex-agent queue delete NAME' or 'codex-agent group delete NAME'",
    ),
    ("group queue", "list l", "a verb comes first: 'codex-agent queue list' or 'codex-agent group list'"),
    (
        "*",
        "no-color nocolor",
        "the variable NO_COLOR turns colours off; tools that list have '--color never'",
    ),
];

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word && !word.is_empty())
}

/// The answer for a word.
#[derive(Debug, Default)]
pub struct Meaning {
    /// Whether the word is a verb or a tool of this package.
    pub is_own: bool,
    /// The commands, without `codex-agent`, the most probable first.
    pub commands: Vec<&'static str>,
    /// The remarks.
    pub remarks: Vec<&'static str>,
}

/// The answer for a word; `None` if the tables do not have it.
pub fn meaning(word: &str) -> Option<Meaning> {
    let is_own = WORDS.iter().any(|(own, ..)| has(own, word));
    let is_row = |(own, other, ..): &&(&str, &str, &str, &str)| has(if is_own { own } else { other }, word);
    let mut rows = WORDS.iter().filter(is_row).peekable();
    rows.peek()?;
    let mut meaning = Meaning { is_own, ..Meaning::default() };
    for (_, _, commands, remark) in rows {
        for command in commands.split('|').filter(|command| !command.is_empty()) {
            if !meaning.commands.contains(&command) {
                meaning.commands.push(command);
            }
        }
        meaning.remarks.extend(Some(*remark).filter(|remark| !remark.is_empty()));
    }
    Some(meaning)
}

/// The verbs and tools of this package.
pub fn own_words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().flat_map(|(own, ..)| own.split(' ')).filter(|word| !word.is_empty())
}

/// All words: first those of this package.
pub fn words() -> impl Iterator<Item = &'static str> {
    let others = WORDS.iter().flat_map(|(_, other, ..)| other.split(' '));
    own_words().chain(others.filter(|word| !word.is_empty()))
}

/// The verbs of this package that have the meaning of a verb of another program.
pub fn verbs(word: &str) -> impl Iterator<Item = &'static str> {
    WORDS.iter().filter(move |(_, other, ..)| has(other, word)).flat_map(|(own, ..)| own.split(' '))
}

/// Whether a word only precedes the command: `session` of `session list`.
pub fn is_prefix(word: &str) -> bool {
    has(WORDS[0].1, word)
}

/// A command as it is typed: an optional placeholder is left out.
pub fn typed(command: &str) -> &str {
    command.split(" ?").next().unwrap_or(command)
}

/// The hint for a command of another program, a line for each command; `next` is its first argument.
pub fn hint(word: &str, next: Option<&str>) -> Option<String> {
    let inner = next.filter(|_| is_prefix(word)).and_then(meaning);
    let Meaning { commands, remarks, .. } = inner.or_else(|| meaning(word))?;
    let effect = |command: &&str| {
        let (_, effect) = EFFECTS.iter().find(|(other, _)| other == command)?;
        Some(format!("'codex-agent {}' {effect}", typed(command)))
    };
    let lines = commands.iter().take(4).filter_map(effect);
    Some(remarks.into_iter().map(str::to_owned).chain(lines).collect::<Vec<_>>().join("\n"))
}

/// Whether a word is a program of a shell behind which `count` words are probably operands.
pub fn is_program(word: &str, count: usize) -> bool {
    has(PROGRAMS, word) || (count < 2 && has(VERBS, word))
}

/// The hint for a flag of another program that a tool does not have. The names have neither dashes nor a prefix.
pub fn flag(tool: &str, flag: &str) -> Option<&'static str> {
    let is_row =
        |(tools, flags, _): &&(&str, &str, &str)| (*tools == "*" || has(tools, tool)) && has(flags, flag);
    FLAGS.iter().find(is_row).map(|(.., hint)| *hint)
}

/// Every command of the answers, and the words that have it.
#[doc(hidden)]
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    EFFECTS.iter().copied()
}

/// The tools, the flags and the hint of each row of flags.
#[doc(hidden)]
pub fn flags() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    FLAGS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_an_effect_and_a_word() {
        let used: Vec<&str> = WORDS.iter().flat_map(|(_, _, commands, _)| commands.split('|')).collect();
        for command in used.iter().filter(|command| !command.is_empty()) {
            assert!(EFFECTS.iter().any(|(other, _)| other == command), "{command} has no effect");
        }
        for (command, _) in EFFECTS {
            assert!(used.contains(command), "no word stands for {command}");
        }
        let mut own: Vec<&str> = own_words().collect();
        let count = own.len();
        own.sort_unstable();
        own.dedup();
        assert_eq!(own.len(), count, "a word of this package is in one row");
    }
}
