//! Operands that are one prompt, and words that are probably a command and not a prompt.
//!
//! A prompt costs money, so operands are sent only if they can hardly be a slip. A lone word is refused if it is a
//! verb, a tool, a command of other programs, a group, a queue, a run, an alias, a file, an id or a number, or if it
//! differs from such a name by one letter; of several words, a verb with names, and words that have the form of a
//! command. A line of standard input is refused if it is such a lone word, or a line of a listing. The error names the
//! command that was probably meant. `--prompt`, operands after `--` and lines with `--text` are sent unchanged.

use std::cell::OnceCell;
use std::path::Path;

use crate::disk::run_dir::RunDir;
use crate::queue::Queues;
use codex_agent_shared::config;
use codex_agent_shared::config::SETTINGS;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::group::Groups;
use codex_agent_shared::habit;
use codex_agent_shared::plugin::{PREFIX, SearchPath, TOOLS, is_name};
use codex_agent_shared::record::{Field, Id};
use codex_agent_shared::reference::is_hex_word;
use codex_agent_shared::text::{is_typo, quoted};

/// The verbs of `codex-agent run`. As an operand such a word is behind an option, since in front it is the verb.
const RUN_VERBS: [&str; 8] = ["list", "ls", "log", "watch", "continue", "retry", "stop", "prune"];

/// Words that only a sentence has.
const PROSE: &str = "a an the this that these those it its them they all any each every some no not my our your their \
    me us you we in of for to with on from and or into at by as so is are was be if when then how why what where but";

/// Words that end a sentence of two words.
const OBJECTS: &str = "it this that these those them me us everything something";

/// States, each of which a user may ask for.
const STATES: [&str; 7] = ["failed", "interrupted", "running", "pending", "stopped", "skipped", "completed"];

/// The ends of the names of files that may have prompts.
const EXTENSIONS: [&str; 9] = [".txt", ".md", ".json", ".ndjson", ".jsonl", ".yaml", ".yml", ".toml", ".csv"];

/// Nouns at the end of a command in words: `status all runs`.
const NOUNS: &str = "runs jobs queues groups sessions prompts";

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
        match Guard::new(self)?.meaning(&all) {
            None => Ok(joined),
            Some(slip) => Err(slip
                .error(&format!("'{joined}'"))
                .hint(format!("to send it as a prompt: {}", self.with_flags(&[&joined])))),
        }
    }
}

/// Words that are probably not a prompt.
struct Slip {
    /// What the words are.
    what: String,
    /// The commands that were probably meant.
    commands: Vec<String>,
    remarks: Vec<&'static str>,
}

impl Slip {
    fn new(what: impl Into<String>, commands: Vec<String>) -> Slip {
        Slip { what: what.into(), commands, remarks: Vec::new() }
    }

    fn error(self, subject: &str) -> Error {
        let error = Error::usage(format!("{subject} is {}, and probably not a prompt", self.what));
        let error = self.remarks.into_iter().fold(error, Error::hint);
        let commands: Vec<String> = self.commands.iter().map(|command| format!("'{command}'")).collect();
        match &commands[..] {
            [] => error,
            all => error.hint(format!("did you mean {}?", all.join(" or "))),
        }
    }
}

/// The check of operands, or of the lines of standard input.
pub struct Guard<'o> {
    operands: &'o Operands<'o>,
    names: OnceCell<Names>,
    queues: Vec<String>,
}

impl<'o> Guard<'o> {
    /// The check for a command with these operands.
    pub fn new(operands: &'o Operands<'o>) -> Result<Guard<'o>> {
        // A file that cannot be read must not hide the slip of another kind; the tools of these files report it.
        let queues = Queues::store()?.read::<Queues>().map(|queues| queues.queues).unwrap_or_default();
        let queues = queues.into_iter().map(|queue| queue.name).collect();
        Ok(Guard { operands, names: OnceCell::new(), queues })
    }

    /// The names that the user gave, which are read once.
    fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::read(&self.queues))
    }

    /// Refuses a line of standard input that is a lone word that is no prompt, or that a tool printed.
    pub fn check_line(&self, line: &str) -> Result<()> {
        let error = match line.split_whitespace().collect::<Vec<_>>()[..] {
            [word] => self.meaning_of_word(word).map(|slip| slip.error(&format!("'{word}'"))),
            _ => None,
        };
        let error = error.or_else(|| {
            let what = self.kind_of_row(line)?;
            let sends =
                "'codex-agent resume --prompt TEXT -' sends a prompt to the sessions of standard input";
            Some(Slip::new(what, Vec::new()).error("the line").hint(sends))
        });
        error.map_or(Ok(()), |error| Err(error.hint("with --text each line is a prompt")))
    }

    /// What a line is if a tool printed it.
    fn kind_of_row(&self, line: &str) -> Option<&'static str> {
        if line.trim_start().contains('\t') {
            return Some("a row with TABs, such as codex-agent prints in a pipe");
        }
        let mut cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        if Id::parse(line.trim()).is_some() {
            return Some("an id that codex-agent printed");
        }
        // The first column of a table may have a blank.
        let is_heading = |cell: &&str| {
            let is_capital = |byte: u8| byte.is_ascii_uppercase() || b" #,._0123456789".contains(&byte);
            cell.bytes().all(is_capital)
        };
        let first = cells.first().copied()?;
        let is_field = |name: &str| Field::NAMES.contains(&name.to_lowercase().as_str());
        let is_table = cells.len() > 1 || is_field(first);
        if is_table && cells.iter().all(is_heading) {
            return Some("the heading of a table");
        }
        // A narrow column leaves one blank behind its cell.
        if cells.len() == 1 {
            cells = line.split_whitespace().collect();
            let is_short = is_short_id(cells[0]) && cells.len() > 1;
            return is_short.then_some("a row of a table");
        }
        let is_word = !first.contains(' ') && !first.ends_with(['.', '?', '!', ':', ',', ';']);
        let is_row =
            is_word && (cells.len() > 2 || is_short_id(first) || self.meaning_of_word(first).is_some());
        is_row.then_some("a row of a table")
    }

    /// What the words are if they are probably not a prompt.
    fn meaning(&self, words: &[&str]) -> Option<Slip> {
        let [first, rest @ ..] = words else { return None };
        // Copied text often has a dash of typography instead of the dashes of a flag.
        let is_dashed = |word: &&&str| {
            let name = word.trim_start_matches(['\u{2013}', '\u{2014}', '\u{2212}']);
            name.len() < word.len() && name.starts_with(|first: char| first.is_ascii_alphabetic())
        };
        if let Some(word) = words.iter().find(is_dashed) {
            let name = word.trim_start_matches(|c: char| !c.is_ascii());
            return Some(Slip::new(format!("written with a long dash ('--{name}' is a flag)"), Vec::new()));
        }
        if rest.is_empty() {
            return self.meaning_of_word(first);
        }
        let lower = first.to_lowercase();
        let names = self.names();
        let is_setting = |word: &&str| SETTINGS.iter().any(|setting| setting.key == *word);
        let is_target =
            |word: &&str| is_id(word) || names.kind(word, |typed, known| typed == known).is_some();
        let is_known = habit::meaning(&lower).is_some();
        let is_own = |word: &&str| habit::own_words().any(|own| own == *word);
        if words.iter().all(|word| is_number(word)) {
            return Some(Slip::new("numbers", Vec::new()));
        }
        if first.starts_with('@') || Id::parse(first).is_some() {
            let command = format!("codex-agent resume {first} -p {}", quoted(&rest.join(" ")));
            return Some(Slip::new("like a session and its prompt", vec![command]));
        }
        // 'queue add book ...', where there is a queue of this name.
        let is_tool = TOOLS.iter().any(|(tool, ..)| *tool == lower);
        let is_verb_of_tool = is_tool && is_own(&rest[0]) && rest.get(1).is_some_and(&is_target);
        let is_command = is_verb_of_tool
            || match rest.iter().all(is_target) {
                true => is_known || similar(&lower).is_some(),
                false => {
                    is_known
                        && (rest.iter().any(is_setting)
                            || rest.iter().all(|word| is_target(word) || is_own(word)))
                }
            };
        if is_command {
            let what = "like a command of codex-agent";
            return Some(Slip::new(what, self.commands_with(&lower, rest, names)));
        }
        self.meaning_of_form(first, rest)
    }

    /// What words are that have the form of a command: a tool or a program of a shell, and one or two words that are
    /// bare and of no sentence.
    fn meaning_of_form(&self, first: &str, rest: &[&str]) -> Option<Slip> {
        let is_bare = |word: &&str| {
            let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@=~+".contains(&byte);
            word.bytes().all(is_of_word) && !(word.len() > 2 && word.ends_with(['.', ':']))
        };
        if rest.len() > 2 || !rest.iter().all(is_bare) {
            return None;
        }
        // Behind an option, a verb is an operand: 'run -j 4 retry failed'.
        let is_verb = self.operands.queue.is_none() && RUN_VERBS.contains(&first);
        let sentence = if rest.len() == 1 { OBJECTS } else { PROSE };
        let is_noun = |word: &&&str| NOUNS.split(' ').any(|noun| noun == **word);
        let names_list =
            TOOLS.iter().any(|(tool, ..)| *tool == first) && rest.last().filter(is_noun).is_some();
        let is_sentence = rest.iter().any(|word| sentence.split(' ').any(|other| other == *word));
        let is_sentence = is_sentence && !names_list;
        if is_sentence && !(is_verb && rest.len() == 1) {
            return None;
        }
        // 'run tests' is a usual prompt.
        let is_tool = first != "run" && TOOLS.iter().any(|(tool, ..)| *tool == first);
        if is_verb || is_tool {
            let what = "like a command of codex-agent";
            let commands = match first {
                "find" | "pick" => vec![format!("codex-agent {first} {}", rest.join(" "))],
                "ls" if Path::new(rest[0]).is_dir() => {
                    vec![format!("codex-agent ls --under {}", quoted(rest[0]))]
                }
                _ => self.commands(first),
            };
            return Some(Slip::new(what, commands));
        }
        let is_program = habit::is_program(first, rest.len());
        is_program.then(|| Slip::new("like a command of a shell", Vec::new()))
    }

    fn meaning_of_word(&self, word: &str) -> Option<Slip> {
        let lower = word.to_lowercase();
        let known = habit::meaning(&lower);
        if known.as_ref().is_some_and(|known| known.is_own) {
            return Some(self.slip_of("a word of codex-agent", &lower));
        }
        let names = self.names();
        if let Some((kind, name)) = names.kind(word, |typed, known| typed == known) {
            return Some(Slip::new(format!("the name of {kind}"), commands_of(kind, name)));
        }
        if is_id(word) || is_number(word) {
            let run = RunDir::find(word).ok().map(|run| format!("codex-agent run log {}", run.name()));
            let is_reference = word.starts_with('@') || Id::parse(word).is_some() || is_hex_word(word);
            let session = is_reference.then(|| format!("codex-agent resume {word}"));
            return Some(Slip::new("an id or a number", run.or(session).into_iter().collect()));
        }
        let tool = word.strip_prefix(PREFIX).unwrap_or(word);
        if is_name(tool) && (config::as_far_as_valid().alias(word).is_some() || is_tool(tool)) {
            return Some(Slip::new("a tool or an alias", vec![format!("codex-agent {tool}")]));
        }
        if let Some(known) = known {
            let is_answer = known.commands.is_empty();
            let what = if is_answer { "an answer to a question" } else { "a command of other programs" };
            return Some(self.slip_of(what, &lower));
        }
        if STATES.contains(&lower.as_str()) {
            let commands = ["codex-agent status", "codex-agent run list"].map(str::to_owned).to_vec();
            return Some(Slip::new("a state of jobs", commands));
        }
        // 'retry-failed'
        let parts: Vec<&str> = lower.split('-').collect();
        if parts.len() > 1 && habit::own_words().any(|own| own == parts[0]) {
            return self.meaning(&parts);
        }
        let path = Path::new(word);
        if EXTENSIONS.iter().any(|end| lower.len() > end.len() && lower.ends_with(end)) && !path.exists() {
            return Some(Slip::new("the name of a file that does not exist", Vec::new()));
        }
        if path.is_file() {
            let feed = format!("{} < {}", self.operands.with_flags(&[]), quoted(word));
            let whole = format!("{} --prompt-file {}", self.operands.with_flags(&[]), quoted(word));
            return Some(Slip::new("a file", vec![whole, feed]));
        }
        if path.is_dir() {
            return Some(Slip::new("a directory", Vec::new()));
        }
        if ["/", "./", "../", "~/"].iter().any(|start| word.starts_with(start)) {
            return Some(Slip::new("a path or a command of the Codex TUI", Vec::new()));
        }
        if habit::is_program(&lower, 0) {
            return Some(Slip::new("a program of a shell", Vec::new()));
        }
        let of_name = names.kind(word, is_typo).map(|(kind, name)| {
            Slip::new(format!("similar to '{name}', the name of {kind}"), commands_of(kind, name))
        });
        let known = similar(&lower);
        // A name of the user is more probable than a word of another program.
        let is_own = known.is_some_and(|known| habit::own_words().any(|own| own == known));
        let of_word = known.map(|known| self.slip_of(&format!("similar to '{known}'"), known));
        if is_own { of_word.or(of_name) } else { of_name.or(of_word) }
    }

    fn slip_of(&self, what: &str, word: &str) -> Slip {
        let remarks = habit::meaning(word).map(|meaning| meaning.remarks).unwrap_or_default();
        Slip { remarks, ..Slip::new(what, self.commands(word)) }
    }

    /// The commands that a word stands for; those of a queue if a prompt is added to a queue.
    fn commands(&self, word: &str) -> Vec<String> {
        let all = commands_of_word(word);
        let is_of_queue = |command: &&&str| command.starts_with("queue ") && command.contains(" NAME");
        if let (Some(queue), Some(command)) = (self.operands.queue, all.iter().find(is_of_queue)) {
            return vec![format!("codex-agent {}", command.replacen("NAME", &quoted(queue), 1))];
        }
        let tool = if self.operands.queue.is_some() { "queue " } else { "run " };
        let of_tool = all.iter().filter(|command| command.starts_with(tool));
        let others = all.iter().filter(|command| !command.starts_with(tool));
        let all = of_tool.chain(others).take(3);
        all.map(|command| format!("codex-agent {}", habit::typed(command))).collect()
    }

    /// The commands that a word and the name or id after it stand for.
    fn commands_with(&self, word: &str, rest: &[&str], names: &Names) -> Vec<String> {
        let [target] = rest else { return self.commands(word) };
        let kind = names.kind(target, |typed, known| typed == known);
        if let Some((kind, name)) = kind.filter(|(kind, _)| kind.strip_prefix("a ") == Some(word)) {
            return commands_of(kind, name);
        }
        if TOOLS.iter().any(|(tool, ..)| *tool == word) && habit::own_words().any(|known| known == *target) {
            return vec![format!("codex-agent {word} {target}")];
        }
        let (prefix, place) = match kind {
            Some(("a group", _)) => ("group ", "NAME"),
            Some(("a queue", _)) => ("queue ", "NAME"),
            Some(_) => ("run ", "RUN"),
            None if RunDir::find(target).is_ok() => ("run ", "RUN"),
            None if SETTINGS.iter().any(|setting| setting.key == *target) => ("config ", "KEY"),
            None if is_id(target) => ("", "REF"),
            None if habit::is_prefix(word) => return self.commands(target),
            None => return self.commands(word),
        };
        let all = commands_of_word(word);
        let fitting = all.iter().filter(|command| command.starts_with(prefix) && command.contains(place));
        let fitting = fitting.map(|command| {
            format!("codex-agent {}", command.replace('?', "").replacen(place, &quoted(target), 1))
        });
        match fitting.take(2).collect::<Vec<_>>() {
            none if none.is_empty() => self.commands(word),
            some => some,
        }
    }
}

/// The commands that a word of the table or a similar word stands for.
fn commands_of_word(word: &str) -> Vec<&'static str> {
    let meaning = habit::meaning(word).or_else(|| habit::meaning(similar(word)?));
    meaning.map(|meaning| meaning.commands).unwrap_or_default()
}

/// The known word from which a word differs by one typing error. Of a short word of another program, another letter or
/// one more makes an English word too often: 'four' is not 'tour'.
fn similar(word: &str) -> Option<&'static str> {
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    let is_far =
        |known: &str| known.len() < 5 && word.len() >= known.len() && letters(word) != letters(known);
    let of_others = || habit::words().find(|known| is_typo(word, known) && !is_far(known));
    habit::own_words().find(|known| is_typo(word, known)).or_else(of_others)
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

/// Whether a word begins as a number: `-3`, `90d`, `2026-11-22`.
fn is_number(word: &str) -> bool {
    word.trim_start_matches(['-', '+', '#', '.', '$']).starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a word has the form of the short id of a session, or of the id of a run.
fn is_short_id(word: &str) -> bool {
    let is_run = word.len() > 16 && word.contains("Z-") && is_id(word);
    is_run
        || (word.len() == 8
            && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)))
}

/// The names that the user gave, with what each is the name of.
struct Names(Vec<(&'static str, String)>);

impl Names {
    fn read(queues: &[String]) -> Names {
        let groups = Groups::read().map(|groups| groups.groups).unwrap_or_default();
        let runs = RunDir::all().unwrap_or_default();
        let names = groups.into_iter().map(|group| ("a group", group.name));
        let names = names.chain(queues.iter().map(|queue| ("a queue", queue.clone())));
        Names(names.chain(runs.iter().map(|run| ("a run", run.name().to_owned()))).collect())
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
