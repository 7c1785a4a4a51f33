//! Aliases: the user's short names for a tool with arguments, or for a shell command.
//!
//! A tool of the same name is preferred. An alias may refer to another one; aliases that refer to each other in a
//! circle are an error that names all of them. A shell command that runs codex-agent again is another process, which
//! gets the names so far in `CODEX_AGENT_ALIASES`, so that a circle through the shell ends too.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::document::{Invalid, TextPosition, Value};
use super::{ALIAS, Config};
use crate::error::{Error, Result};
use crate::exec::find_program;
use crate::plugin::{OWN_WORD, SearchPath, dispatcher, is_name};
use crate::text::{quoted, split_words};

/// The variable with the aliases, joined by blanks, whose shell commands led to this process.
pub const CHAIN_VAR: &str = "CODEX_AGENT_ALIASES";

/// The maximum number of aliases of which each refers to the next.
const LONGEST_CHAIN: usize = 32;

/// An alias.
#[derive(Debug)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The value as text for the user.
    pub text: String,
    /// The parsed value.
    pub target: Target,
    /// The position of the name in the file.
    pub place: TextPosition,
}

/// The value of an alias.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// The name of a tool or of another alias, and its first arguments.
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
        let (words, shell) = match &self.target {
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
    /// Reads the value of an alias, and its text for the user.
    pub(super) fn read(value: &Value) -> std::result::Result<(Target, String), Invalid> {
        if value.has_nul() {
            return Err("it contains a NUL".into());
        }
        let words = match value {
            Value::Text(text) => match text.trim_start().strip_prefix('!') {
                Some(line) if line.trim().is_empty() => return Err("no shell command follows the '!'".into()),
                // Arguments are appended to the last line.
                Some(line) => return Ok((Target::Shell(line.trim().to_owned()), text.trim().to_owned())),
                None => split(text)?,
            },
            Value::Texts(words) => words.clone(),
            other => return Err(Invalid::Type("a string or an array of strings", other.type_name())),
        };
        match words.first() {
            None => Err("it is empty".into()),
            Some(first) if first.starts_with('-') => {
                Err(format!("it begins with '{first}' instead of a tool; use '!codex-agent {first} ...'")
                    .into())
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

/// Splits a string as a shell does. Operators of a shell are errors: a tool would get them as arguments.
fn split(text: &str) -> std::result::Result<Vec<String>, Invalid> {
    let words = split_words(text).ok_or("it has an unclosed quote or a final backslash")?;
    let is_operator = |word: &&String| !word.is_empty() && word.chars().all(|c| "|&;<>".contains(c));
    match words.iter().find(is_operator) {
        None => Ok(words),
        Some(operator) => Err(format!(
            "'{operator}' needs a shell: begin the alias with '!', or use an array to pass it literally"
        )
        .into()),
    }
}

/// The executable that is run instead of an alias: a tool of the same name, or the dispatcher for its own word.
pub fn shadow(name: &str, path: &SearchPath) -> Option<PathBuf> {
    match name {
        OWN_WORD => Some(dispatcher()),
        name => path.find(name).ok().flatten(),
    }
}

/// The command that an alias stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum AliasResolution {
    /// A tool, and its arguments.
    Tool(PathBuf, Vec<OsString>),
    /// The dispatcher's own word `help`, and its topic.
    Help(Vec<OsString>),
    /// A shell with these arguments, and the value of [`CHAIN_VAR`].
    Shell(Vec<OsString>, String),
}

/// Resolves words whose first is an alias. A name that is neither a tool nor an alias is an error with exit status 127
/// and the nearest tools and aliases; aliases in a circle are an error with exit status 2.
pub fn resolve(config: &Config, words: &[OsString], path: &SearchPath) -> Result<AliasResolution> {
    let before = env::var(CHAIN_VAR).unwrap_or_default();
    let mut chain: Vec<String> = Vec::new();
    let mut words = words.to_vec();
    loop {
        let name = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let with_chain = |error: Error| match chain.first() {
            None => error,
            Some(first) => {
                let place = config.location(config.alias(first).map(|alias| alias.place));
                error.hint(format!("aliases: {} -> {name} ({place})", chain.join(" -> ")))
            }
        };
        if !chain.is_empty() {
            if name == OWN_WORD {
                return Ok(AliasResolution::Help(words.split_off(1)));
            }
            if let Some(tool) = path.find(&name).map_err(with_chain)? {
                return Ok(AliasResolution::Tool(tool, words.split_off(1)));
            }
        }
        let Some(alias) = config.alias(&name) else {
            // The alias may exist and be invalid.
            config.valid_for(&format!("{ALIAS}.{name}")).map_err(with_chain)?;
            // Similar aliases are suggested only for a word that the user typed.
            let typed = config.aliases().iter().filter(|_| chain.is_empty());
            let others: Vec<&str> = typed.map(|alias| alias.name.as_str()).collect();
            let next = words.get(1).map(|word| word.to_string_lossy());
            return Err(with_chain(path.unknown(&name, next.as_deref(), &others)));
        };
        let file = config.path().display();
        if chain.contains(&name) {
            let circle = format!("alias '{}' refers to itself: {} -> {name}", chain[0], chain.join(" -> "));
            return Err(Error::new(circle).hint(format!("change one of these aliases in '{file}'")));
        }
        chain.push(name);
        let all: Vec<&str> = before.split_whitespace().chain(chain.iter().map(String::as_str)).collect();
        if all.len() > LONGEST_CHAIN {
            let last = all[(all.len() - chain.len()).saturating_sub(3)..].join(" -> ");
            return Err(Error::new(format!("too many aliases refer to each other: ... {last}"))
                .hint(format!("at most {LONGEST_CHAIN} aliases are followed; edit '{file}'")));
        }
        match &alias.target {
            Target::Words(first) => drop(words.splice(..1, first.iter().map(OsString::from))),
            Target::Shell(line) => {
                let rest = words.split_off(1);
                // Without arguments nothing is appended: the line may end in a comment or an operator.
                let line = if rest.is_empty() { line.clone() } else { format!("{line} \"$@\"") };
                let name = format!("codex-agent {}", alias.name);
                let mut arguments: Vec<OsString> = vec!["-c".into(), line.into(), name.into()];
                arguments.extend(rest);
                return Ok(AliasResolution::Shell(arguments, all.join(" ")));
            }
        }
    }
}

/// The shell that runs aliases with '!'.
pub fn shell() -> PathBuf {
    find_program("sh").unwrap_or_else(|| Path::new("/bin/sh").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Target, Invalid> {
        Target::read(&Value::Text(text.to_owned())).map(|(target, _)| target)
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
        let (target, text) = Target::read(&array).unwrap();
        assert_eq!(Ok(target), words(&["find", "|", "a b"]));
        assert_eq!(text, "find '|' 'a b'");
    }
}
