//! The description of an external tool: one JSON file a tool, the record that `--generate describe` prints.
//!
//! `NAME.json` is searched for in `codex-agent/tools` below `XDG_DATA_HOME`, where the user's own is, then below
//! each directory of `XDG_DATA_DIRS`, where packages put theirs. A tool with a description is listed with its
//! summary, completed, and asked for its manual page; no tool is run only to be listed. A file that cannot be
//! read is skipped with a warning, and is never overwritten.
//!
//! **Crash.** A file is a [`Store`]: the old or the new one.
//!
//! ```
//! use codex_agent_shared::plugin::description::Description;
//!
//! let printed = br#"{"type":"tool","name":"branches","about":"count sessions by branch"}"#;
//! let description = Description::parse(printed, "branches").unwrap();
//! assert!(!description.completes && !description.has("man"));
//! assert!(Description::parse(printed, "ls").is_err());
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::record::ToolRecord;
use super::{FoundTool, PROTOCOL, dispatcher, set_env};
use crate::child::limited::{self, Limits};
use crate::config::{data_dirs, data_home};
use crate::error::{Context, Error, Result, warn_of};
use crate::store::{Store, read_capped};
use crate::text::harmless;

/// Below each data directory.
const DIRECTORY: &str = "codex-agent/tools";
/// How long an external tool may take to print one of its documents.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long a tool may take for a script or for candidates, as the user waits.
pub const PATIENCE_OF_TAB: Duration = Duration::from_secs(2);
/// How long a description may be, in bytes.
pub const MOST: u64 = 64 << 10;
/// How long any other document may be.
const MOST_OF_DOCUMENT: u64 = 1 << 20;
/// How many characters a summary may have.
const LONGEST_ABOUT: usize = 200;

/// The description of a tool. The fields are those of the record `tool`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Description {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    /// What the tool is for, in one clause.
    pub about: String,
    /// Its version.
    pub version: Option<String>,
    protocol: Option<u32>,
    /// Types of records that it reads from standard input.
    #[serde(default, deserialize_with = "or_default")]
    pub reads: Vec<String>,
    /// Types of records that it writes.
    #[serde(default, deserialize_with = "or_default")]
    pub writes: Vec<String>,
    /// The arguments with which it does so; `None` where they are unknown.
    pub pipe: Option<Vec<String>>,
    /// The documents that its `--generate` prints.
    #[serde(default, deserialize_with = "or_default")]
    pub generates: Vec<String>,
    /// Whether `--generate complete -- WORD...` offers candidates.
    #[serde(default, deserialize_with = "or_default")]
    pub completes: bool,
}

/// A field that is null is one that is left out.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Description {
    /// Reads the record of the tool of this name. The error says why it is none, in a clause.
    pub fn parse(text: &[u8], name: &str) -> std::result::Result<Description, String> {
        let raw = raw(text)?;
        let read: Description = serde_json::from_str(raw.get()).map_err(|error| no_record(&error))?;
        if read.kind != "tool" {
            return Err(format!("its type is '{}', not 'tool'", read.kind));
        }
        if read.name != name {
            return Err(format!("it is the description of '{}', not of '{name}'", read.name));
        }
        check_about(&read.about)?;
        match read.protocol.unwrap_or(PROTOCOL) {
            PROTOCOL => Ok(read),
            other => Err(format!("it is made for protocol {other}; this codex-agent knows {PROTOCOL}")),
        }
    }

    /// The description of a tool, from the first file that can be read. A file that cannot is a warning.
    pub fn find(name: &str) -> Option<Description> {
        directories().iter().find_map(|directory| {
            read(&file(directory, name), name).unwrap_or_else(|error| {
                warn_of(&error);
                None
            })
        })
    }

    /// Whether `--generate` of the tool prints this document.
    pub fn has(&self, kind: &str) -> bool {
        self.generates.iter().any(|known| known == kind)
    }

    /// The record of a tool with everything that this description has.
    pub fn record<'r>(&'r self, tool: &'r FoundTool) -> ToolRecord<'r> {
        let words = |words: &'r [String]| words.iter().map(String::as_str).collect::<Vec<_>>();
        ToolRecord {
            protocol: Some(PROTOCOL),
            reads: Some(words(&self.reads)),
            writes: Some(words(&self.writes)),
            pipe: self.pipe.as_deref().map(words),
            generates: Some(words(&self.generates)),
            completes: Some(self.completes),
            ..listed(tool, Some(self))
        }
    }
}

/// The description of each tool that was found. Those of this package need none.
pub fn with_descriptions(tools: &[FoundTool]) -> Vec<(&FoundTool, Option<Description>)> {
    let of = |tool: &FoundTool| if tool.is_ours() { None } else { Description::find(&tool.name) };
    tools.iter().map(|tool| (tool, of(tool))).collect()
}

/// The record of a tool in a listing.
pub fn listed<'r>(tool: &'r FoundTool, description: Option<&'r Description>) -> ToolRecord<'r> {
    let record = ToolRecord::of(tool);
    let Some(Description { about, version, .. }) = description else { return record };
    ToolRecord { about: Some(about), version: version.as_deref(), description: Some("known"), ..record }
}

fn no_record(error: &serde_json::Error) -> String {
    let why = error.to_string();
    format!("it is not one 'tool' record: {}", why.split(" at line ").next().unwrap_or(&why))
}

/// A text as one JSON object, with every digit and every field that it has.
fn raw(text: &[u8]) -> std::result::Result<Box<RawValue>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    // Some editors put a byte order mark before the text.
    let text = text.trim_start_matches('\u{feff}').trim();
    let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| no_record(&error))?;
    match raw.get().starts_with('{') {
        true => Ok(raw),
        false => Err("it is not one 'tool' record: it is no object".to_owned()),
    }
}

/// Whether a text can be a summary. The error says why not, in a clause.
fn check_about(about: &str) -> std::result::Result<(), String> {
    if about.trim().is_empty() {
        Err("'about' is empty".to_owned())
    } else if about.chars().any(char::is_control) {
        Err("'about' has a control character in it: it is one line".to_owned())
    } else if harmless(about) != about {
        Err("'about' has an invisible character in it, such as a change of direction".to_owned())
    } else if about.chars().count() > LONGEST_ABOUT {
        Err(format!("'about' is longer than {LONGEST_ABOUT} characters: it is one clause"))
    } else {
        Ok(())
    }
}

/// The directories of descriptions, the user's own first. Without a home there is none of the user's own.
fn directories() -> Vec<PathBuf> {
    data_home().ok().into_iter().chain(data_dirs()).map(|data| data.join(DIRECTORY)).collect()
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.json"))
}

/// The description in a file; `None` where there is no file.
fn read(path: &Path, name: &str) -> Result<Option<Description>> {
    let parse = |text: Vec<u8>| Description::parse(&text, name);
    read_capped(path, MOST).and_then(|text| text.map(parse).transpose()).map_err(|why| {
        Error::new(format!("cannot read the description '{}': {why}", path.display()))
            .hint(format!("repair it, or remove it: codex-agent plugin remove {name}"))
    })
}

/// The user's own file for a tool. A file there that is no description is an error: it is not overwritten.
pub fn own_file(name: &str) -> Result<PathBuf> {
    let path = file(&data_home()?.join(DIRECTORY), name);
    read(&path, name).map(|_| path)
}

/// Writes the user's own file: the record that a tool has printed, or one with a summary alone.
pub fn write(name: &str, record: &RawValue) -> Result<()> {
    let held = Store::new(own_file(name)?).lock()?;
    own_file(name)?;
    held.write(&record)
}

/// The file that [`remove`] takes away: the user's own. One of a package is an error that names it.
pub fn removable(name: &str) -> Result<PathBuf> {
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    match directories().iter().map(|directory| file(directory, name)).find(is_there) {
        None => Err(Error::not_found(format!("there is no description of '{name}'"))),
        Some(own) if data_home().is_ok_and(|data| own.starts_with(data)) => Ok(own),
        Some(other) => Err(Error::new(format!(
            "cannot remove the description of '{name}': '{}' was installed by a package",
            other.display()
        ))
        .hint(format!("codex-agent plugin add {name} writes one of your own, which comes first"))),
    }
}

/// Removes a description, and the lock of its file.
pub fn remove(path: &Path) -> Result<()> {
    let _held = Store::new(path.to_owned()).lock()?;
    fs::remove_file(path).context("remove", path)?;
    let lock = path.with_extension("json.lock");
    match fs::remove_file(&lock) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove", &lock),
        _ => Ok(()),
    }
}

/// A description in the user's own words.
pub fn from_about(name: &str, about: &str) -> Result<(Description, Box<RawValue>)> {
    let record = serde_json::to_vec(&ToolRecord::new(name, Some(about))).unwrap_or_default();
    described(&record, name)
        .map_err(|why| Error::usage(format!("invalid value '{about}' for '--about': {why}")))
}

fn described(text: &[u8], name: &str) -> std::result::Result<(Description, Box<RawValue>), String> {
    Ok((Description::parse(text, name)?, raw(text)?))
}

/// A command that prints a document of a tool.
pub fn document(path: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.arg("--generate").args(words);
    set_env(&mut command, &dispatcher());
    command
}

/// Asks a tool for its description: runs it, with nothing to read and little time.
pub fn ask(path: &Path, name: &str) -> Result<(Description, Box<RawValue>)> {
    let hint = || format!("codex-agent plugin add {name} --about TEXT describes it without running it");
    let mut command = document(path, &["describe"]);
    let text = limited::output(&mut command, Limits::new(PATIENCE, MOST), "a description")
        .map_err(|error| error.or_hint(hint()))?;
    described(&text, name).map_err(|why| {
        Error::new(format!("cannot read the description that '{}' printed: {why}", path.display()))
            .hint(hint())
    })
}

/// Asks an external tool for candidates for the last of these words, and gives each to `offer` with its meaning.
pub fn candidates(path: &Path, words: &[String], mut offer: impl FnMut(&str, &str)) -> Result<()> {
    let mut command = document(path, &["complete", "--"]);
    command.args(words);
    // A hook often ends with a test, whose answer may be no.
    let limits = Limits::new(PATIENCE_OF_TAB, MOST);
    let text = limited::output_if(&mut command, limits, "candidates", |code| (0..126).contains(&code))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let (word, meaning) = line.split_once('\t').unwrap_or((line, ""));
        offer(word, meaning);
    }
    Ok(())
}

/// A document of a tool that has it by its description, or that is of this package.
pub fn generate(path: &Path, kind: &str, patience: Duration) -> Result<String> {
    let mut command = document(path, &[kind]);
    let text = limited::output(&mut command, Limits::new(patience, MOST_OF_DOCUMENT), kind)?;
    String::from_utf8(text)
        .map_err(|_| Error::new(format!("cannot read what '{}' printed: it is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_one_record_of_the_right_name() {
        let parse = |text: &str| Description::parse(text.as_bytes(), "today");
        let whole = parse(r#"{"type":"tool","name":"today","about":"x","reads":["session"],"new":1}"#);
        assert_eq!(whole.unwrap().reads, ["session"]);
        assert!(parse("\u{feff}{\"type\":\"tool\",\"name\":\"today\",\"about\":\"x\"}\n").is_ok());
        for (text, why) in [
            ("", "not one 'tool' record"),
            ("[]", "it is no object"),
            (r#"["tool","today","x",null,null,null,null,null,null,null]"#, "it is no object"),
            (r#"{"type":"tool","name":"today"}"#, "missing field `about`"),
            (r#"{"type":"tool","name":"today","about":"x"} {}"#, "not one 'tool' record"),
            (r#"{"type":"session","name":"today","about":"x"}"#, "its type is 'session'"),
            (r#"{"type":"tool","name":"other","about":"x"}"#, "the description of 'other'"),
            (r#"{"type":"tool","name":"today","about":" "}"#, "'about' is empty"),
            (r#"{"type":"tool","name":"today","about":"a\nb"}"#, "control character"),
            (r#"{"type":"tool","name":"today","about":"a\u202eb"}"#, "invisible character"),
            (r#"{"type":"tool","name":"today","about":"x","protocol":2}"#, "made for protocol 2"),
            (r#"{"type":"tool","name":"today","about":"x","generates":"man"}"#, "expected a sequence"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(check_about(&"x".repeat(201)).is_err());
    }
}
