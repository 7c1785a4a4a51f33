//! Aliases: words of the user's own for a tool with arguments, or for a line of shell.
//!
//! A tool of the name always wins. An alias may lead to another one; one that leads back to itself is
//! refused with the whole way. A line of shell that calls codex-agent again is another process, which
//! cannot know the way it was come by: `CODEX_AGENT_ALIASES` tells it, and the way has an end.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::document::{Invalid, TextPosition, Value};
use super::{ALIAS, Config};
use crate::error::{Error, Result};
use crate::exec::find_program;
use crate::plugin::{OWN_WORD, SearchPath, dispatcher, is_name};
use crate::text::quoted;

/// The variable with the aliases, joined by blanks, whose shell commands led to this process.
pub const CHAIN_VAR: &str = "CODEX_AGENT_ALIASES";

/// How many aliases may lead from one to the next.
const LONGEST_WAY: usize = 32;

/// An alias.
#[derive(Debug)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The value of the alias, as it is shown.
    pub text: String,
    /// The parsed value.
    pub leads: Target,
    /// The position of the name in the file.
    pub place: TextPosition,
}

/// The value of an alias.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A tool, or another alias, and its first arguments.
    Words(Vec<String>),
    /// A shell command.
    Shell(String),
}

/// An alias: a tool with arguments, or a shell command.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AliasRecord<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the alias.
    name: &'a str,
    /// The value of the alias, as it is shown.
    alias: &'a str,
    /// The tool and its arguments; null for a shell command.
    words: Option<&'a [String]>,
    /// The shell command; null for words.
    shell: Option<&'a str>,
    /// The file that defines the alias.
    path: String,
    /// The line in the file, from 1.
    line: usize,
    /// The character in the line, from 1.
    column: usize,
    /// The executable of the same name that is run instead; null if the alias is not shadowed.
    shadowed_by: Option<String>,
}

impl Alias {
    /// The record of the alias; `shadow` is the result of [`shadow`] for its name.
    pub fn record(&self, config: &Config, shadow: Option<&Path>) -> AliasRecord<'_> {
        let (words, shell) = match &self.leads {
            Target::Words(words) => (Some(&words[..]), None),
            Target::Shell(line) => (None, Some(line.as_str())),
        };
        AliasRecord {
            kind: "alias",
            name: &self.name,
            alias: &self.text,
            words,
            shell,
            path: config.path().to_string_lossy().into_owned(),
            line: self.place.line,
            column: self.place.column,
            shadowed_by: shadow.map(|path| path.to_string_lossy().into_owned()),
        }
    }

    /// The warning that the alias is shadowed by an executable.
    pub fn shadowed(&self, config: &Config, by: &Path) -> String {
        let place = config.location(Some(self.place));
        format!("alias '{}' ({place}) is shadowed by '{}'", self.name, by.display())
    }
}

impl Target {
    /// Read the value of an alias, and the text that is shown for it.
    pub(super) fn read(value: &Value) -> std::result::Result<(Target, String), Invalid> {
        let words = match value {
            Value::Text(text) if text.contains('\0') => return Err("it contains a NUL".into()),
            Value::Text(text) => match text.trim_start().strip_prefix('!') {
                Some(line) if line.trim().is_empty() => return Err("no shell command follows the '!'".into()),
                // Arguments are appended to the last line.
                Some(line) => return Ok((Target::Shell(line.trim().to_owned()), text.trim().to_owned())),
                None => split(text)?,
            },
            Value::Texts(words) if words.iter().any(|word| word.contains('\0')) => {
                return Err("it contains a NUL".into());
            }
            Value::Texts(words) => words.clone(),
            other => return Err(Invalid::Type("a string or an array of strings", other.called())),
        };
        match words.first() {
            None => Err("it is empty".into()),
            Some(first) if first.starts_with('-') => {
                let why =
                    format!("it begins with '{first}' instead of a tool; use '!codex-agent {first} ...'");
                Err(why.into())
            }
            Some(first) if !is_name(first) => {
                Err(format!("it begins with '{first}', which is not a valid tool name").into())
            }
            Some(_) => {
                let text = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                Ok((Target::Words(words), text))
            }
        }
    }
}

/// Split a string as a shell does. Operators of a shell are errors: a tool would get them as arguments.
fn split(text: &str) -> std::result::Result<Vec<String>, Invalid> {
    let words = shlex::split(text).ok_or("it has an unclosed quote or a final backslash")?;
    let is_operator = |word: &&String| !word.is_empty() && word.chars().all(|c| "|&;<>".contains(c));
    match words.iter().find(is_operator) {
        None => Ok(words),
        Some(operator) => Err(format!(
            "'{operator}' needs a shell: begin the alias with '!', or use an array to pass it literally"
        )
        .into()),
    }
}

/// The executable that is run instead of an alias: a tool of its name, or the dispatcher, which has the word itself.
pub fn shadow(name: &str, path: &SearchPath) -> Option<PathBuf> {
    match name {
        OWN_WORD => Some(dispatcher()),
        name => path.find(name).ok().flatten(),
    }
}

/// The result of resolving an alias.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// To a tool, and its arguments.
    Tool(PathBuf, Vec<OsString>),
    /// To the dispatcher's own word `help`, and its topic.
    Help(Vec<OsString>),
    /// To a shell with these arguments, and a way so far for [`CHAIN_VAR`].
    Shell(Vec<OsString>, String),
}

/// Follows words whose first is no tool. A word that is neither tool nor alias is an error with exit status 127
/// and the nearest tools and aliases, aliases in a circle one with 2.
pub fn follow(config: &Config, words: &[OsString], path: &SearchPath) -> Result<Resolved> {
    let before = env::var(CHAIN_VAR).unwrap_or_default();
    let mut way: Vec<String> = Vec::new();
    let mut words = words.to_vec();
    loop {
        let name = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        if !way.is_empty() {
            if name == "help" {
                return Ok(Resolved::Help(words.split_off(1)));
            }
            if let Some(tool) = path.find(&name).map_err(|error| error.hint(chain(config, &way, &name)))? {
                return Ok(Resolved::Tool(tool, words.split_off(1)));
            }
        }
        let Some(alias) = config.aliases().iter().find(|alias| alias.name == name) else {
            // The alias may exist and be invalid.
            let is_valid = config.valid_for(&format!("{ALIAS}.{name}")).map(drop);
            is_valid.map_err(
                |error| if way.is_empty() { error } else { error.hint(chain(config, &way, &name)) },
            )?;
            // Similar aliases are suggested only for a word that the user typed.
            let typed = config.aliases().iter().filter(|_| way.is_empty());
            let others: Vec<&str> = typed.map(|alias| alias.name.as_str()).collect();
            let error = path.unknown(&name, &others);
            return Err(match way.is_empty() {
                true => error,
                false => error.hint(chain(config, &way, &name)),
            });
        };
        if way.contains(&name) {
            let circle = joined(&way, &name);
            return Err(Error::new(format!("alias '{}' refers to itself: {circle}", way[0]))
                .hint(format!("change one of them in '{}'", config.path().display())));
        }
        way.push(name);
        if before.split_whitespace().count() + way.len() > LONGEST_WAY {
            let so_far = before.split_whitespace().rev().take(3).collect::<Vec<_>>();
            let so_far: Vec<&str> = so_far.into_iter().rev().chain(way.iter().map(String::as_str)).collect();
            return Err(Error::new(format!(
                "too many aliases refer to each other: ... {}",
                so_far.join(" -> ")
            ))
            .hint(format!("at most {LONGEST_WAY} are followed; edit '{}'", config.path().display())));
        }
        match &alias.leads {
            Target::Words(first) => drop(words.splice(..1, first.iter().map(OsString::from))),
            Target::Shell(line) => {
                let rest = words.split_off(1);
                // Without arguments nothing is appended: the line may end in a comment or an operator.
                let line = if rest.is_empty() { line.clone() } else { format!("{line} \"$@\"") };
                let name = format!("codex-agent {}", alias.name);
                let mut arguments: Vec<OsString> = vec!["-c".into(), line.into(), name.into()];
                arguments.extend(rest);
                let so_far = before.split_whitespace().map(str::to_owned).chain(way);
                return Ok(Resolved::Shell(arguments, so_far.collect::<Vec<_>>().join(" ")));
            }
        }
    }
}

fn joined(way: &[String], last: &str) -> String {
    way.iter().map(String::as_str).chain([last]).collect::<Vec<_>>().join(" -> ")
}

/// The chain of aliases that led here, for a message.
fn chain(config: &Config, way: &[String], last: &str) -> String {
    let place =
        config.aliases().iter().find(|alias| way.first() == Some(&alias.name)).map(|alias| alias.place);
    format!("aliases: {} ({})", joined(way, last), config.location(place))
}

/// The shell that runs aliases with '!'.
pub fn shell() -> PathBuf {
    find_program("sh").unwrap_or_else(|| Path::new("/bin/sh").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Target, Invalid> {
        Target::read(&Value::Text(text.to_owned())).map(|(leads, _)| leads)
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let words = |list: &[&str]| Ok(Target::Words(list.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!(read("ls --since 1d"), words(&["ls", "--since", "1d"]));
        assert_eq!(
            read("find 'a b' \"c\\\"d $HOME\" e\\ f ''"),
            words(&["find", "a b", "c\"d $HOME", "e f", ""])
        );
        assert_eq!(read(" !echo a; echo "), Ok(Target::Shell("echo a; echo".to_owned())));
        for (text, why) in [
            ("", "empty"),
            ("  ", "empty"),
            ("''", "not a valid tool name"),
            ("!", "no shell command"),
            ("find 'a", "an unclosed quote"),
            ("ls \\", "a final backslash"),
            ("ls | head", "begin the alias with '!'"),
            ("--codex-home /x ls", "instead of a tool"),
            ("../ls", "not a valid tool name"),
            ("ls \0", "it contains a NUL"),
            ("!ls \0", "it contains a NUL"),
        ] {
            assert!(matches!(read(text), Err(Invalid::Value(chain)) if chain.contains(why)), "{text}");
        }
        let array = Value::Texts(vec!["find".to_owned(), "|".to_owned(), "a b".to_owned()]);
        let (leads, text) = Target::read(&array).unwrap();
        assert_eq!(Ok(leads), words(&["find", "|", "a b"]));
        assert_eq!(text, "find '|' 'a b'");
    }
}
