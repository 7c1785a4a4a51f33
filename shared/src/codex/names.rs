//! `session_index.jsonl`: the names of sessions.
//!
//! Codex 0.94 to 0.171 appends a line each time a session is named:
//! `{"id":"…","thread_name":"login work","updated_at":"2026-11-22T10:50:16.527593446Z"}`; the last
//! line of an id counts. 0.94 to 0.110 wrote the name to this file only. 0.120 to 0.144 wrote the name over the
//! database's `title` as well. From 0.145 the database has a column `name`, but a database that Codex
//! has rebuilt from the rollouts has lost the names, while this file still has them.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::error::{reason, warn_once};
use crate::record::Id;

/// The names of all sessions. The file may have thousands of lines of which a listing needs fifty, so only
/// ids are read first; a line is parsed when its name is needed.
#[derive(Default)]
pub struct Names {
    text: Vec<u8>,
    /// Id and position of each line, sorted by id; lines of the same id are in the order of the file.
    lines: Vec<([u8; 36], usize)>,
}

#[derive(Deserialize)]
struct NameLine {
    id: Id,
    thread_name: String,
}

impl Names {
    /// Read the names of a home. A missing file has no names, an unreadable one prints a warning, and a malformed line
    /// is skipped.
    pub fn read(home: &Path) -> Names {
        let path = home.join("session_index.jsonl");
        Names::parse(fs::read(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let (path, why) = (path.display(), reason(&error));
                warn_once(format_args!("cannot read '{path}': {why}; names of sessions may be missing"));
            }
            Vec::new()
        }))
    }

    fn parse(text: Vec<u8>) -> Names {
        let mut lines = Vec::new();
        let mut from = 0;
        while from < text.len() {
            let end = memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |at| from + at);
            if let Some(id) = id_of(&text[from..end]) {
                lines.push((id, from));
            }
            from = end + 1;
        }
        // Ids begin with a timestamp, so most of the file is in order, which makes this sort fast.
        lines.sort_by_key(|line| line.0);
        Names { text, lines }
    }

    /// Whether the file has no names.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The ids of the sessions whose name begins with `start`, sorted.
    pub fn ids(&self, start: &str) -> Vec<Id> {
        let ids = self.lines.iter().filter_map(|(id, _)| Id::parse(std::str::from_utf8(id).ok()?));
        let has_name = |id: &Id| self.name_of(*id).is_some_and(|name| name.starts_with(start));
        let mut ids: Vec<Id> = ids.filter(has_name).collect();
        ids.dedup();
        ids
    }

    /// The name of a session, from its last line.
    pub fn name_of(&self, id: Id) -> Option<String> {
        let wanted = id.text();
        let upto = self.lines.partition_point(|line| line.0 <= wanted);
        let (last, from) = *self.lines.get(upto.checked_sub(1)?)?;
        if last != wanted {
            return None;
        }
        let line = self.text[from..].split(|byte| *byte == b'\n').next()?;
        let entry: NameLine = serde_json::from_slice(line).ok()?;
        Some(entry.thread_name).filter(|name| !name.is_empty())
    }
}

/// The id of a line. If it is the first key, as Codex writes it, the line is not parsed.
fn id_of(line: &[u8]) -> Option<[u8; 36]> {
    let first = line.strip_prefix(b"{\"id\":\"").and_then(|rest| rest.first_chunk::<36>());
    match first {
        // A line without a newline is being written, or is a remnant of a crash.
        Some(id) if line.trim_ascii_end().ends_with(b"}") && !id.iter().any(u8::is_ascii_uppercase) => {
            Some(*id)
        }
        _ => serde_json::from_slice::<NameLine>(line).ok().map(|entry| entry.id.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_an_id_counts() {
        const A: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
        const B: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0d";
        let text = format!(
            "{{\"id\":\"{A}\",\"thread_name\":\"one\"}}\nbroken\n{{\"thread_name\":\"b\",\"id\":\"{B}\"}}\n\
             {{\"id\":\"{A}\",\"thread_name\":\"two\",\"updated_at\":\"x\"}}\n\
             {{\"id\":\"{A}\",\"thread_name\":\"thr"
        );
        let names = Names::parse(text.into_bytes());
        assert_eq!(names.name_of(Id::parse(A).unwrap()).as_deref(), Some("two"));
        assert_eq!(names.name_of(Id::parse(B).unwrap()).as_deref(), Some("b"));
        assert_eq!(names.name_of(Id::random()), None);
    }
}
