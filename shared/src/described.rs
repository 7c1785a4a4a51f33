//! What tools of strangers say of themselves, read once and kept.
//!
//! A tool that answers `--generate describe` with one `tool` record can be listed with its summary,
//! completed, and asked for its manual. No stranger is run only to list it: it is asked when the user
//! says so ([`ask`]), with limits of time and size and nothing to read, and its answer is kept in one
//! file, `plugins.json` in our state folder, with path, size and time of the executable. When the
//! executable changes, the answer is [`State::Stale`]: it may be shown as such, and nothing else is
//! done with it. What a user said of a tool instead ([`Entry::told`]) is true for as long as the user
//! says so.
//!
//! **Crash.** The file is a [`Store`]: old or new, whole.
//!
//! ```
//! use codex_agent_shared::described::Description;
//!
//! let said = br#"{"type":"tool","name":"branches","about":"count sessions by branch"}"#;
//! let description = Description::parse(said, "branches").unwrap();
//! assert!(!description.completes && !description.has("man"));
//! // Whoever says to be somebody else is not believed.
//! assert!(Description::parse(said, "ls").is_err());
//! ```

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::child::limited::{self, Limits};
use crate::config::state_folder;
use crate::error::{Error, Result};
use crate::plugin::{Found, PREFIX, PROTOCOL, PathProblem, TOOLS, ToolRecord, dispatcher, hand_down};
use crate::store::{RawObject, Store};
use crate::text::harmless;
use crate::time::Timestamp;

/// How long a stranger may take to print one of its documents.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How much a description may be.
pub const MOST: u64 = 64 << 10;
/// How much any other document may be.
const MOST_OF_DOCUMENT: u64 = 1 << 20;
/// How many characters a summary may have.
const LONGEST_ABOUT: usize = 200;

/// What a tool says of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// One clause.
    pub about: String,
    /// Its version.
    pub version: Option<String>,
    /// The rules that it was made for.
    pub protocol: u32,
    /// Types of records that it reads from standard input.
    pub reads: Vec<String>,
    /// Types of records that it writes.
    pub writes: Vec<String>,
    /// The arguments with which it does so; `None` where it does not say.
    pub pipe: Option<Vec<String>>,
    /// What its `--generate` prints.
    pub generates: Vec<String>,
    /// Whether `--generate complete -- WORD...` offers candidates.
    pub completes: bool,
    /// The record as it was printed.
    pub text: Box<RawValue>,
}

/// The record, before it is looked at.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    about: String,
    version: Option<String>,
    protocol: Option<u32>,
    reads: Option<Vec<String>>,
    writes: Option<Vec<String>>,
    pipe: Option<Vec<String>>,
    generates: Option<Vec<String>>,
    completes: Option<bool>,
}

impl Description {
    /// Reads what a tool of this name printed. The error says what is wrong with it, in a clause.
    pub fn parse(text: &[u8], name: &str) -> std::result::Result<Description, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let plain = |error: serde_json::Error| {
            let why = error.to_string();
            format!("it is not one 'tool' record: {}", why.split(" at line ").next().unwrap_or(&why))
        };
        // As before records: some editors put the mark there.
        let text = text.trim_start_matches('\u{feff}').trim();
        let text: Box<RawValue> = serde_json::from_str(text).map_err(plain)?;
        if !text.get().starts_with('{') {
            return Err("it is not one 'tool' record: it is no object".to_owned());
        }
        let record: Record = serde_json::from_str(text.get()).map_err(plain)?;
        if record.kind != "tool" {
            return Err(format!("its type is '{}', not 'tool'", record.kind));
        }
        if record.name != name {
            return Err(format!("it is the description of '{}', not of '{name}'", record.name));
        }
        check_about(&record.about)?;
        let protocol = record.protocol.unwrap_or(PROTOCOL);
        if protocol != PROTOCOL {
            return Err(format!("it is made for protocol {protocol}; this codex-agent knows {PROTOCOL}"));
        }
        Ok(Description {
            about: record.about,
            version: record.version,
            protocol,
            reads: record.reads.unwrap_or_default(),
            writes: record.writes.unwrap_or_default(),
            pipe: record.pipe,
            generates: record.generates.unwrap_or_default(),
            completes: record.completes.unwrap_or_default(),
            text,
        })
    }

    /// Whether its `--generate` prints this.
    pub fn has(&self, kind: &str) -> bool {
        self.generates.iter().any(|known| known == kind)
    }
}

/// Whether a text can be a summary. The error says why not, in a clause.
pub fn check_about(about: &str) -> std::result::Result<(), String> {
    if about.trim().is_empty() {
        Err("'about' is empty".to_owned())
    } else if about.chars().any(char::is_control) {
        Err("'about' has a control character in it: it is one line".to_owned())
    } else if harmless(about) != about {
        Err("'about' has a character in it that nobody sees, such as a change of direction".to_owned())
    } else if about.chars().count() > LONGEST_ABOUT {
        Err(format!("'about' is longer than {LONGEST_ABOUT} characters: it is one clause"))
    } else {
        Ok(())
    }
}

/// What tells an executable from an earlier one at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    mtime: i64,
    mtime_ns: i64,
}

impl Stamp {
    /// Of the file that a link leads to, since that is what is run.
    fn of(path: &Path) -> Option<Stamp> {
        let meta = fs::metadata(path).ok()?;
        Some(Stamp { size: meta.len(), mtime: meta.mtime(), mtime_ns: meta.mtime_nsec() })
    }
}

/// What is kept of one executable.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The user's own words, instead of a description.
    pub told: Option<String>,
    /// What it said of itself.
    pub description: Option<Description>,
    /// When that was.
    pub kept_at: Timestamp,
    stamp: Option<Stamp>,
    /// A description that this release does not understand; it counts as a stale one.
    foreign: Option<Box<RawValue>>,
    rest: RawObject,
}

impl Entry {
    /// The user's words for the executable at a path, which is not run.
    pub fn told(path: &Path, about: &str) -> Result<Entry> {
        check_about(about).map_err(|why| Error::usage(format!("cannot take '{about}': {why}")))?;
        Ok(Entry { told: Some(about.to_owned()), ..Entry::new(path) })
    }

    fn new(path: &Path) -> Entry {
        Entry {
            path: path.to_string_lossy().into_owned(),
            told: None,
            description: None,
            kept_at: Timestamp::now(),
            stamp: Stamp::of(path),
            foreign: None,
            rest: RawObject::default(),
        }
    }

    /// The name of its tool.
    pub fn name(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap_or("");
        file.strip_prefix(PREFIX).unwrap_or(file)
    }

    /// What is known of the executable as it is now.
    pub fn state(&self) -> State {
        let is_current = || self.stamp.is_some() && self.stamp == Stamp::of(Path::new(&self.path));
        if self.told.is_some() || is_current() { State::Known } else { State::Stale }
    }

    /// The summary.
    pub fn about(&self) -> Option<&str> {
        self.told.as_deref().or(self.description.as_ref().map(|description| description.about.as_str()))
    }

    /// What it said of itself, if it is still the same executable.
    pub fn current(&self) -> Option<&Description> {
        let is_same = self.stamp.is_some() && self.stamp == Stamp::of(Path::new(&self.path));
        self.description.as_ref().filter(|_| is_same)
    }
}

/// How far a description is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    None,
    /// It is that of the executable as it is now.
    Known,
    /// The executable has changed since, or is gone.
    Stale,
}

impl State {
    /// In records.
    pub fn word(self) -> &'static str {
        match self {
            State::None => "none",
            State::Known => "known",
            State::Stale => "stale",
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut rest = RawObject::deserialize(deserializer)?;
        let path: String = rest.need("path")?;
        let (size, mtime, mtime_ns) = (rest.take("size")?, rest.take("mtime")?, rest.take("mtime_ns")?);
        let stamp = match (size, mtime, mtime_ns) {
            (Some(size), Some(mtime), Some(mtime_ns)) => Some(Stamp { size, mtime, mtime_ns }),
            _ => None,
        };
        let mut entry = Entry {
            told: rest.take("about")?,
            description: None,
            kept_at: rest.need("kept_at")?,
            stamp,
            path,
            foreign: None,
            rest: RawObject::default(),
        };
        let text: Option<Box<RawValue>> = rest.take("description")?;
        match text.as_ref().map(|text| Description::parse(text.get().as_bytes(), entry.name())) {
            Some(Ok(description)) => entry.description = Some(description),
            // Another release may have understood it.
            Some(Err(_)) => (entry.foreign, entry.stamp) = (text, None),
            None => {}
        }
        Ok(Entry { rest, ..entry })
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        if let Some(stamp) = &self.stamp {
            map.serialize_entry("size", &stamp.size)?;
            map.serialize_entry("mtime", &stamp.mtime)?;
            map.serialize_entry("mtime_ns", &stamp.mtime_ns)?;
        }
        map.serialize_entry("kept_at", &self.kept_at)?;
        if let Some(about) = &self.told {
            map.serialize_entry("about", about)?;
        }
        if let Some(description) = &self.description {
            map.serialize_entry("description", &description.text)?;
        } else if let Some(text) = &self.foreign {
            map.serialize_entry("description", text)?;
        }
        self.rest.write(&mut map)?;
        map.end()
    }
}

/// The whole file.
#[derive(Debug, Default)]
pub struct Kept {
    /// What is kept, in the order in which it came.
    pub plugins: Vec<Entry>,
    rest: RawObject,
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut rest = RawObject::deserialize(deserializer)?;
        Ok(Kept { plugins: rest.need("plugins")?, rest })
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("plugins", &self.plugins)?;
        self.rest.write(&mut map)?;
        map.end()
    }
}

/// What looks like a tool and is none, or cannot be run or looked into.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The file, or the folder of the search path.
    path: Cow<'r, str>,
    /// What is wrong: "shadowed", "not_executable", "misnamed", "no_interpreter" or "unreadable".
    problem: &'r str,
    /// The same for people.
    detail: &'r str,
}

impl<'r> ProblemRecord<'r> {
    /// The record of an oddity.
    pub fn of(oddity: &'r PathProblem) -> ProblemRecord<'r> {
        let PathProblem { path, problem, detail } = oddity;
        ProblemRecord { kind: "plugin.problem", path: path.to_string_lossy(), problem, detail }
    }
}

/// A rule that a tool was held to.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The tool.
    name: &'r str,
    /// Its executable.
    path: Cow<'r, str>,
    /// The name of the rule, as codex-agent-plugins(7) has it.
    check: &'r str,
    /// What became of it: "ok", "failed" or "skipped".
    result: &'r str,
    /// What was seen, for people.
    seen: &'r str,
    /// Why it matters, for people.
    why: &'r str,
}

impl<'r> CheckRecord<'r> {
    /// Of a tool at a path: the name of the rule and why it matters, the result and what was seen.
    pub fn new(
        (name, path): (&'r str, &'r Path),
        (check, why): (&'r str, &'r str),
        (result, seen): (&'r str, &'r str),
    ) -> CheckRecord<'r> {
        CheckRecord { kind: "plugin.check", name, path: path.to_string_lossy(), check, result, seen, why }
    }
}

/// The file.
pub fn store() -> Result<Store> {
    Ok(Store::new(state_folder()?.join("plugins.json")))
}

impl Kept {
    /// What is kept now.
    pub fn read() -> Result<Kept> {
        store()?.read()
    }

    /// What is kept of the executable at a path.
    pub fn of(&self, path: &Path) -> Option<&Entry> {
        let path = path.to_string_lossy();
        self.plugins.iter().find(|entry| entry.path == path)
    }

    /// Puts an entry in the place of the one of its path, or at the end.
    pub fn put(&mut self, entry: Entry) {
        match self.plugins.iter_mut().find(|there| there.path == entry.path) {
            Some(there) => {
                let rest = std::mem::take(&mut there.rest);
                *there = Entry { rest, ..entry };
            }
            None => self.plugins.push(entry),
        }
    }

    /// The record of a tool that was found: of ours all is known, of a stranger what is kept.
    pub fn record<'r>(&'r self, tool: &'r Found) -> ToolRecord<'r> {
        let lossy = |path: &PathBuf| path.to_string_lossy().into_owned();
        let record = ToolRecord {
            path: Some(lossy(&tool.path)),
            ours: Some(tool.is_ours()),
            shadows: Some(tool.shadows.iter().map(lossy).collect()),
            ..ToolRecord::new(&tool.name, None)
        };
        if tool.is_ours() {
            return ToolRecord {
                about: TOOLS.iter().find(|(name, _)| *name == tool.name).map(|(_, about)| *about),
                version: Some(env!("CARGO_PKG_VERSION")),
                description: Some(State::Known.word()),
                ..record
            };
        }
        let entry = self.of(&tool.path);
        ToolRecord {
            about: entry.and_then(Entry::about),
            version: entry.and_then(|entry| entry.description.as_ref()?.version.as_deref()),
            description: Some(entry.map_or(State::None, Entry::state).word()),
            ..record
        }
    }
}

/// What a tool is for, as people see it: a summary that may be wrong by now is marked.
pub fn summary(record: &ToolRecord<'_>) -> String {
    match (record.about, record.description) {
        (Some(about), Some("stale")) => format!("{about} (stale)"),
        (about, _) => about.unwrap_or("").to_owned(),
    }
}

/// A command that is one of a tool's own documents.
pub fn document(path: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.arg("--generate").args(words);
    hand_down(&mut command, &dispatcher());
    command
}

/// Asks a tool what it is: runs it, with nothing to read and little time.
pub fn ask(path: &Path, name: &str) -> Result<Entry> {
    // Looked at before it is run: a change meanwhile makes the answer stale, and not wrong.
    let entry = Entry::new(path);
    let way_out =
        || format!("codex-agent plugin add {name} --about TEXT keeps words of your own, and does not run it");
    let mut command = document(path, &["describe"]);
    let text = limited::output(&mut command, Limits::new(PATIENCE, MOST), "a description")
        .map_err(|error| error.or_hint(way_out()))?;
    let description = Description::parse(&text, name).map_err(|why| {
        let shown = path.display();
        Error::new(format!("cannot read the description of '{shown}': {why}")).hint(way_out())
    })?;
    Ok(Entry { description: Some(description), ..entry })
}

/// A document of a tool that says that it has it, or that is ours. It is run, for no longer than somebody waits.
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
            (r#"{"type":"tool","name":"today","about":"a\u202eb"}"#, "nobody sees"),
            (r#"{"type":"tool","name":"today","about":"x","protocol":2}"#, "made for protocol 2"),
            (r#"{"type":"tool","name":"today","about":"x","generates":"man"}"#, "expected a sequence"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(check_about(&"x".repeat(201)).is_err());
    }

    #[test]
    fn foreign_keys_of_the_file_are_kept() {
        let text = r#"{"plugins":[{"path":"/x/codex-agent-a","size":1,"mtime":2,"mtime_ns":3,"kept_at":"2026-11-22T10:50:00.000Z","description":{"type":"tool","name":"a","about":"b","n":1e400},"later":[1]}],"more":{}}"#;
        let mut kept: Kept = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), text);
        assert_eq!((kept.plugins[0].name(), kept.plugins[0].state()), ("a", State::Stale));
        assert!(kept.plugins[0].current().is_none());
        kept.put(Entry::told(Path::new("/x/codex-agent-a"), "mine").unwrap());
        assert_eq!((kept.plugins.len(), kept.plugins[0].state()), (1, State::Known));
        assert!(serde_json::to_string(&kept).unwrap().contains(r#""later":[1]"#));
    }
}
