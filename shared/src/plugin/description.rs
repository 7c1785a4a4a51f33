//! The description of an external tool: a JSON file for each tool, the record that `--generate describe` prints.
//!
//! `NAME.json` is searched for in `codex-agent/tools` below `XDG_DATA_HOME`, for the user's own files, then, for those of
//! packages, below the directory `share` beside the `bin` of the executable, and below each directory of
//! `XDG_DATA_DIRS`. The description has the summary for lists, and declares
//! completion and the manual page; no tool is run only to be listed. A file that cannot be read is skipped with a
//! warning, and is never overwritten.
//!
//! **Crash.** A [`Store`] writes the file: the old or the new one is complete.
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
use crate::config::{data_dirs, data_home, share_beside};
use crate::error::{Context, Error, Result, warn_of};
use crate::ndjson::json_reason;
use crate::store::{Store, read_capped};
use crate::text::harmless;

/// The directory of descriptions below each data directory.
const DIRECTORY: &str = "codex-agent/tools";
/// The maximum time in which an external tool prints a document.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum time in which a tool prints a script or candidates: the user waits.
pub const PATIENCE_OF_TAB: Duration = Duration::from_secs(2);
/// The maximum size of a description, in bytes.
pub const MOST: u64 = 64 << 10;
/// The maximum size of any other document.
const MOST_OF_DOCUMENT: u64 = 1 << 20;
/// The maximum length of a summary, in characters.
const LONGEST_ABOUT: usize = 200;

/// The description of a tool. The fields are those of the record `tool`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Description {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    /// The summary: one clause.
    pub about: String,
    /// The version of the tool.
    pub version: Option<String>,
    protocol: Option<u32>,
    /// Types of records that the tool reads from standard input.
    #[serde(default, deserialize_with = "or_default")]
    pub reads: Vec<String>,
    /// Types of records that the tool writes.
    #[serde(default, deserialize_with = "or_default")]
    pub writes: Vec<String>,
    /// The arguments with which the tool reads and writes records; `None` if they are unknown.
    pub pipe: Option<Vec<String>>,
    /// The documents that `--generate` prints.
    #[serde(default, deserialize_with = "or_default")]
    pub generates: Vec<String>,
    /// Whether `--generate complete -- WORD...` offers candidates.
    #[serde(default, deserialize_with = "or_default")]
    pub completes: bool,
}

/// A null field is an absent field.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Description {
    /// Parses the record of the tool with this name. The error is the reason why it is invalid, as a clause.
    pub fn parse(text: &[u8], name: &str) -> std::result::Result<Description, String> {
        let raw = parse_object(text)?;
        let read: Description =
            serde_json::from_str(raw.get()).map_err(|error| invalid(&json_reason(&error)))?;
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

    /// The description of a tool with this executable, from the first file that can be read. For a file that cannot be
    /// read a warning is printed.
    pub fn find(name: &str, executable: &Path) -> Option<Description> {
        directories(Some(executable)).iter().find_map(|directory| {
            read(&path_in(directory, name), name).unwrap_or_else(|error| {
                warn_of(&error);
                None
            })
        })
    }

    /// Whether `--generate` of the tool prints this document.
    pub fn has(&self, kind: &str) -> bool {
        self.generates.iter().any(|known| known == kind)
    }

    /// The record of a tool with all fields of this description.
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

/// The tools with their descriptions. Tools of this package need none.
pub fn with_descriptions(tools: &[FoundTool]) -> Vec<(&FoundTool, Option<Description>)> {
    let of = |tool: &FoundTool| if tool.is_ours() { None } else { Description::find(&tool.name, &tool.path) };
    tools.iter().map(|tool| (tool, of(tool))).collect()
}

/// The record of a tool in a listing.
pub fn listed<'r>(tool: &'r FoundTool, description: Option<&'r Description>) -> ToolRecord<'r> {
    let record = ToolRecord::from_path(tool);
    let Some(Description { about, version, .. }) = description else { return record };
    ToolRecord { about: Some(about), version: version.as_deref(), description: Some("known"), ..record }
}

fn invalid(why: &str) -> String {
    format!("it is not one 'tool' record: {why}")
}

/// A text as one JSON object, with all digits and all fields.
fn parse_object(text: &[u8]) -> std::result::Result<Box<RawValue>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    // Some editors write a byte order mark before the text.
    let text = text.trim_start_matches('\u{feff}').trim();
    let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| invalid(&json_reason(&error)))?;
    if raw.get().starts_with('{') { Ok(raw) } else { Err(invalid("it is no object")) }
}

/// Checks a summary. The error is the reason why it is invalid, as a clause.
fn check_about(about: &str) -> std::result::Result<(), String> {
    Err(if about.trim().is_empty() {
        "'about' is empty".to_owned()
    } else if about.chars().any(char::is_control) {
        "'about' has a control character in it: it is one line".to_owned()
    } else if harmless(about) != about {
        "'about' has an invisible character in it, such as a change of direction".to_owned()
    } else if about.chars().count() > LONGEST_ABOUT {
        format!("'about' is longer than {LONGEST_ABOUT} characters: it is one clause")
    } else {
        return Ok(());
    })
}

/// The directories of descriptions, first the user's own, if the user has a home. A package may have a link to the
/// executable in a directory of PATH.
fn directories(executable: Option<&Path>) -> Vec<PathBuf> {
    let real = executable.and_then(|path| fs::canonicalize(path).ok());
    let paths = executable.into_iter().chain(real.as_deref());
    let beside = paths.filter_map(|path| share_beside(path.parent()?));
    let mut all: Vec<PathBuf> = Vec::new();
    for data in data_home().ok().into_iter().chain(beside).chain(data_dirs()) {
        let directory = data.join(DIRECTORY);
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    all
}

fn path_in(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.json"))
}

/// The description in a file; `None` if the file does not exist.
fn read(path: &Path, name: &str) -> Result<Option<Description>> {
    let parse = |text: Vec<u8>| Description::parse(&text, name);
    read_capped(path, MOST).and_then(|text| text.map(parse).transpose()).map_err(|why| {
        Error::new(format!("cannot read the description of tool '{name}' in '{}': {why}", path.display()))
            .hint(format!("repair the file, or remove the file by 'codex-agent plugin remove {name}'"))
    })
}

/// The path of the user's own file for a tool. A file that is not a valid description is an error, and not overwritten.
pub fn own_file(name: &str) -> Result<PathBuf> {
    let path = path_in(&data_home()?.join(DIRECTORY), name);
    read(&path, name).map(|_| path)
}

/// Writes the user's own file: the record that a tool printed, or a record with only a summary.
pub fn write(name: &str, record: &RawValue) -> Result<()> {
    let held = Store::new(own_file(name)?).lock()?;
    own_file(name)?;
    held.write(&record)
}

/// The user's own file for a tool, for [`remove`]. A file of a package is an error that names the file. The executable
/// may be gone.
pub fn removable(name: &str, executable: Option<&Path>) -> Result<PathBuf> {
    let exists = |path: &PathBuf| path.symlink_metadata().is_ok();
    match directories(executable).iter().map(|directory| path_in(directory, name)).find(exists) {
        None => Err(Error::not_found(format!("there is no description of the tool '{name}'"))),
        Some(own) if data_home().is_ok_and(|data| own.starts_with(data)) => Ok(own),
        Some(other) => Err(Error::new(format!(
            "cannot remove the description of the tool '{name}': '{}' was installed by a package",
            other.display()
        ))
        .hint(format!(
            "'codex-agent plugin add {name}' writes a description of your own, which is preferred"
        ))),
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

/// A description with a summary of the user.
pub fn from_about(name: &str, about: &str) -> Result<(Description, Box<RawValue>)> {
    let record = serde_json::to_vec(&ToolRecord::new(name, Some(about))).unwrap_or_default();
    described(&record, name)
        .map_err(|why| Error::usage(format!("invalid value '{about}' for '--about': {why}")))
}

fn described(text: &[u8], name: &str) -> std::result::Result<(Description, Box<RawValue>), String> {
    Ok((Description::parse(text, name)?, parse_object(text)?))
}

/// The command that prints a document of a tool.
pub fn document(path: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.arg("--generate").args(words);
    set_env(&mut command, &dispatcher());
    command
}

/// Runs a tool for its description, without input and with limits.
pub fn ask(path: &Path, name: &str) -> Result<(Description, Box<RawValue>)> {
    let hint =
        || format!("'codex-agent plugin add {name} --about TEXT' describes the tool without running it");
    let mut command = document(path, &["describe"]);
    let text = limited::output(&mut command, Limits::new(PATIENCE, MOST), "a description")
        .map_err(|error| error.or_hint(hint()))?;
    described(&text, name).map_err(|why| {
        Error::new(format!("cannot read the description that '{}' printed: {why}", path.display()))
            .hint(hint())
    })
}

/// Runs an external tool for candidates for the last of these words, and calls `offer` with each and its meaning.
pub fn candidates(path: &Path, words: &[String], mut offer: impl FnMut(&str, &str)) -> Result<()> {
    let mut command = document(path, &["complete", "--"]);
    command.args(words);
    // The last command of a script is often a test, which may be false.
    let limits = Limits::new(PATIENCE_OF_TAB, MOST);
    let text = limited::output_if(&mut command, limits, "completions", |code| (0..126).contains(&code))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let (word, meaning) = line.split_once('\t').unwrap_or((line, ""));
        offer(word, meaning);
    }
    Ok(())
}

/// A document of a tool of this package, or of an external tool whose description declares the document.
pub fn generate(path: &Path, kind: &str, patience: Duration) -> Result<String> {
    let mut command = document(path, &[kind]);
    let what = format!("the document '{kind}'");
    let text = limited::output(&mut command, Limits::new(patience, MOST_OF_DOCUMENT), &what)?;
    String::from_utf8(text)
        .map_err(|_| Error::new(format!("cannot read the output of '{}': it is not UTF-8", path.display())))
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
