//! Operands that are one prompt, and words that are probably a command and not a prompt.
//!
//! A prompt costs money, so operands are sent only if they can hardly be a slip: a lone word that is a verb, a tool, a
//! group, a queue, a run, an alias, a file or an id, or that differs from such a name by one letter, is refused with
//! the command that was probably meant. `--prompt` and operands after `--` are sent unchanged.

use std::path::Path;

use crate::disk::run_dir::RunDir;
use crate::queue::Queues;
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::group::Groups;
use codex_agent_shared::habit;
use codex_agent_shared::plugin::{SearchPath, TOOLS, is_name};
use codex_agent_shared::record::Id;
use codex_agent_shared::text::{is_typo, quoted};

/// Verbs and names of the tools, and the commands that they stand for, separated by bars and without `codex-agent`.
/// Those of the tool at hand come first. Words of other programs are in [`habit`]. `tests/runs/slips.rs` checks that no
/// verb is missing and that each command exists.
const WORDS: &[(&str, &str)] = &[
    ("ls", "ls|run list|queue list"),
    ("list", "run list|queue list|group list"),
    ("log", "run log|queue log NAME|group log NAME"),
    ("watch", "run watch|queue watch NAME|group watch NAME"),
    ("continue", "run continue|queue run NAME"),
    ("stop", "run stop RUN|queue stop NAME"),
    ("prune", "run prune"),
    ("retry", "run retry|queue retry NAME --failed"),
    ("status", "status"),
    ("pause", "queue pause NAME|group pause NAME"),
    ("unpause", "queue unpause NAME|group unpause NAME"),
    ("resume", "resume REF|run continue|queue unpause NAME|group unpause NAME"),
    ("create", "queue create NAME|group create NAME"),
    ("add", "queue add NAME|group add NAME REF"),
    ("show", "run log|queue show NAME|group show NAME"),
    ("edit", "queue edit NAME PROMPT|config edit"),
    ("move", "queue move NAME PROMPT first"),
    ("remove", "queue remove NAME PROMPT|group remove NAME REF"),
    ("delete", "queue delete NAME|group delete NAME"),
    ("mode", "queue mode NAME PROMPT auto"),
    ("rename", "name REF NAME|queue rename NAME NEW|group rename NAME NEW"),
    ("project", "queue project NAME DIR"),
    ("run", "run -p TEXT|queue run NAME|group run NAME -p TEXT"),
    ("get", "config get KEY"),
    ("set", "config set KEY VALUE"),
    ("unset", "config unset KEY"),
    ("path", "config path"),
    ("check", "config check|plugin check TOOL"),
    ("config", "config"),
    ("describe", "plugin describe TOOL"),
    ("refresh", "plugin refresh"),
    ("candidates", "plugin candidates TOOL"),
    ("completion", "plugin completion TOOL bash"),
    ("which", "plugin which TOOL"),
    ("plugin", "plugin list"),
    ("find", "find WORD"),
    ("pick", "pick"),
    ("archive unarchive", "archive REF"),
    ("group", "group list"),
    ("queue", "queue list"),
    ("fork", "fork REF"),
    ("name", "name REF NAME"),
    ("setup", "setup"),
    ("schema", "schema"),
    ("demo", "demo"),
    ("help", "help"),
];

/// The operands of a command that sends them as one prompt.
pub struct Operands<'o> {
    /// The operands.
    pub words: &'o [String],
    /// The queue that the prompt is added to; `None` for a new session.
    pub queue: Option<&'o str>,
    /// Whether the user gave `--`, after which no word is a verb.
    pub is_literal: bool,
}

impl Operands<'_> {
    /// The command with these prompts as flags.
    pub fn with_flags(&self, prompts: &[&str]) -> String {
        let tool = self
            .queue
            .map_or("codex-agent run".to_owned(), |queue| format!("codex-agent queue add {}", quoted(queue)));
        let flags: Vec<String> = prompts.iter().map(|prompt| format!(" -p {}", quoted(prompt))).collect();
        format!("{tool}{}", flags.concat())
    }

    /// The prompt: the words, joined by blanks. Words that are probably not a prompt are refused.
    pub fn prompt(&self) -> Result<String> {
        let joined = self.words.join(" ");
        let all: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let has_blank = |word: &&&str| word.is_empty() || word.contains(char::is_whitespace);
        if let Some(word) = all.iter().find(has_blank).filter(|_| all.len() > 1) {
            let what = if word.is_empty() { "empty".to_owned() } else { format!("'{word}'") };
            return Err(Error::usage(format!(
                "operands are one prompt, and one of several operands is {what}"
            ))
            .hint(format!("several prompts: {}", self.with_flags(&all)))
            .hint(format!("one prompt: {}", self.with_flags(&[&joined]))));
        }
        if self.is_literal {
            return Ok(joined);
        }
        match self.meaning()? {
            None => Ok(joined),
            Some((what, commands)) => {
                let error = Error::usage(format!("'{joined}' is {what}, and probably not a prompt"));
                let commands: Vec<String> = commands.iter().map(|command| format!("'{command}'")).collect();
                let error = match (&commands[..], habit::command(&joined.to_lowercase(), None)) {
                    ([], None) => error,
                    ([], Some(hint)) => error.hint(hint),
                    (all, _) => error.hint(format!("did you mean {}?", all.join(" or "))),
                };
                Err(error.hint(format!("to send it as a prompt: {}", self.with_flags(&[&joined]))))
            }
        }
    }

    /// What the words are if they are probably not a prompt, and the commands that were probably meant.
    fn meaning(&self) -> Result<Option<(String, Vec<String>)>> {
        let [first, rest @ ..] = self.words else { return Ok(None) };
        // Copied text often has a dash of typography instead of the dashes of a flag.
        let is_dashed = |word: &&String| {
            let name = word.trim_start_matches(['\u{2013}', '\u{2014}', '\u{2212}']);
            name.len() < word.len() && name.starts_with(|first: char| first.is_ascii_alphabetic())
        };
        if let Some(word) = self.words.iter().find(is_dashed) {
            let name = word.trim_start_matches(|c: char| !c.is_ascii());
            return Ok(Some((format!("written with a long dash ('--{name}' is a flag)"), Vec::new())));
        }
        let names = Names::read()?;
        if rest.is_empty() {
            return Ok(self.meaning_of_word(first, &names));
        }
        let meant = |is: fn(&str, &str) -> bool| {
            let lower = first.to_lowercase();
            let is_known = all_words().any(|word| is(&lower, word)) || is_habit(&lower);
            is_known.then(|| self.commands_with(&lower, rest, &names))
        };
        let is_target =
            |word: &String| is_id(word) || names.kind(word, |typed, known| typed == known).is_some();
        let is_exact = |typed: &str, known: &str| typed == known;
        let commands = if rest.iter().all(is_target) {
            meant(|typed, known| typed == known || is_typo(typed, known))
        } else if rest.iter().all(|word| is_target(word) || all_words().any(|known| is_exact(word, known))) {
            meant(is_exact)
        } else {
            None
        };
        Ok(commands.map(|commands| ("like a command of codex-agent".to_owned(), commands)))
    }

    fn meaning_of_word(&self, word: &str, names: &Names) -> Option<(String, Vec<String>)> {
        let lower = word.to_lowercase();
        if all_words().any(|known| known == lower) {
            return Some(("a word of codex-agent".to_owned(), self.commands(&lower)));
        }
        if let Some((kind, name)) = names.kind(word, |typed, known| typed == known) {
            return Some((format!("the name of {kind}"), commands_of(kind, name)));
        }
        if is_id(word) {
            let run = RunDir::find(word).ok().map(|run| format!("codex-agent run log {}", run.name()));
            let session = format!("codex-agent resume {word}");
            return Some(("an id or a number".to_owned(), vec![run.unwrap_or(session)]));
        }
        if is_name(word) && (config::as_far_as_valid().alias(word).is_some() || is_tool(word)) {
            return Some(("a tool or an alias".to_owned(), vec![format!("codex-agent {word}")]));
        }
        if is_habit(&lower) {
            return Some(("a command of other programs".to_owned(), self.commands(&lower)));
        }
        let path = Path::new(word);
        if path.is_file() {
            let feed = format!("{} < {}", self.with_flags(&[]), quoted(word));
            let whole = format!("{} --prompt-file {}", self.with_flags(&[]), quoted(word));
            return Some(("a file".to_owned(), vec![whole, feed]));
        }
        if path.is_dir() {
            return Some(("a directory".to_owned(), Vec::new()));
        }
        if let Some(known) = all_words().find(|known| is_typo(&lower, known)) {
            return Some((format!("similar to '{known}'"), self.commands(known)));
        }
        let (kind, name) = names.kind(word, is_typo)?;
        Some((format!("similar to '{name}', the name of {kind}"), commands_of(kind, name)))
    }

    /// The commands that a word stands for; those of a queue if a prompt is added to a queue.
    fn commands(&self, word: &str) -> Vec<String> {
        let all = commands_of_word(word);
        let is_of_queue = |command: &&&str| command.starts_with("queue ") && command.contains(" NAME");
        if let (Some(queue), Some(command)) = (self.queue, all.iter().find(is_of_queue)) {
            return vec![format!("codex-agent {}", command.replacen("NAME", &quoted(queue), 1))];
        }
        let of_tool = all.iter().filter(|command| self.queue.is_some() && command.starts_with("queue "));
        let others = all.iter().filter(|command| self.queue.is_none() || !command.starts_with("queue "));
        of_tool.chain(others).take(3).map(|command| format!("codex-agent {command}")).collect()
    }

    /// The commands that a word and the name or id after it stand for.
    fn commands_with(&self, word: &str, rest: &[String], names: &Names) -> Vec<String> {
        let [target] = rest else { return self.commands(word) };
        if TOOLS.iter().any(|(tool, ..)| *tool == word) && all_words().any(|known| known == target) {
            return vec![format!("codex-agent {word} {target}")];
        }
        let (prefix, place) = match names.kind(target, |typed, known| typed == known) {
            Some(("a group", _)) => ("group ", "NAME"),
            Some(("a queue", _)) => ("queue ", "NAME"),
            Some(_) => ("run ", "RUN"),
            None if RunDir::find(target).is_ok() => ("run ", "RUN"),
            None => ("", "REF"),
        };
        let all = commands_of_word(word);
        let command = all.iter().find(|command| command.starts_with(prefix) && command.contains(place));
        match command.map(|command| command.replacen(place, &quoted(target), 1)) {
            Some(command) => vec![format!("codex-agent {command}")],
            None => self.commands(word),
        }
    }
}

/// The commands that a word of the table, a similar word or a word of other programs stands for.
fn commands_of_word(word: &str) -> Vec<&'static str> {
    let row = |is: &dyn Fn(&str) -> bool| {
        let row = WORDS.iter().find(|(words, _)| words.split(' ').any(is));
        row.map(|(_, commands)| commands.split('|').collect::<Vec<_>>())
    };
    let habits = || habit::verbs(word).filter_map(|verb| row(&|known| known == verb)).flatten().collect();
    let own: Vec<&str> = row(&|known| known == word).unwrap_or_else(habits);
    match own.is_empty() && !is_habit(word) {
        true => row(&|known| is_typo(word, known)).unwrap_or_default(),
        false => own,
    }
}

fn is_habit(word: &str) -> bool {
    habit::verbs(word).next().is_some() || habit::command(word, None).is_some()
}

/// All words of the table.
fn all_words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().flat_map(|(words, _)| words.split(' '))
}

fn is_tool(word: &str) -> bool {
    SearchPath::from_env().find(word).is_ok_and(|found| found.is_some())
}

/// Whether a word can only be a number, an id or another reference to a session, or the id of a run.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_number = digits == word.len();
    let is_run = digits >= 8 && word.bytes().take(8).all(|byte| byte.is_ascii_digit());
    word.starts_with('@') || (digits > 0 && (is_number || is_run || (is_hex && word.len() >= 4)))
}

/// The names that the user gave, with what each is the name of.
struct Names(Vec<(&'static str, String)>);

impl Names {
    fn read() -> Result<Names> {
        // A file that cannot be read must not hide the slip of another kind; the tools of these files report it.
        let groups = Groups::read().map(|groups| groups.groups).unwrap_or_default();
        let queues = Queues::store()?.read::<Queues>().map(|queues| queues.queues).unwrap_or_default();
        let runs = RunDir::all().unwrap_or_default();
        let names = groups.into_iter().map(|group| ("a group", group.name));
        let names = names.chain(queues.into_iter().map(|queue| ("a queue", queue.name)));
        Ok(Names(names.chain(runs.iter().map(|run| ("a run", run.name().to_owned()))).collect()))
    }

    /// The kind and the name that a word means, as `is` compares them.
    fn kind(&self, word: &str, is: fn(&str, &str) -> bool) -> Option<(&'static str, &str)> {
        self.0.iter().find(|(_, name)| is(word, name)).map(|(kind, name)| (*kind, name.as_str()))
    }
}

fn commands_of(kind: &str, name: &str) -> Vec<String> {
    let name = quoted(name);
    vec![match kind {
        "a group" => format!("codex-agent group run {name} -p TEXT"),
        "a queue" => format!("codex-agent queue run {name}"),
        _ => format!("codex-agent run log {name}"),
    }]
}

/// Whether a line of standard input is a row or an id that a tool printed, which was probably piped to the wrong tool.
pub fn is_row(line: &str) -> bool {
    let mut cells = line.split('\t').peekable();
    let is_run = |cell: &str| is_id(cell) && cell.contains("Z-");
    let has_run = cells.peek().is_some_and(|first| is_run(first) && first.len() < line.len());
    has_run || cells.any(|cell| Id::parse(cell).is_some())
}
