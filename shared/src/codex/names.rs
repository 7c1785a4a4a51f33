//! `session_index.jsonl`: the names that users gave to sessions.
//!
//! Codex 0.94 to 0.169 appends a line each time a session is named:
//! `{"id":"…","thread_name":"login work","updated_at":"2026-11-22T10:50:16.527593446Z"}`; the last
//! line of an id counts. 0.94 to 0.110 wrote the name here only. 0.120 to 0.144 wrote it over the
//! database's `title` as well. From 0.145 the database has a column `name`, but a database that Codex
//! has rebuilt from the rollouts has lost it again, while it still stands here.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::error::{reason, warn};
use crate::ndjson::{Line, Lines};
use crate::record::Id;

/// All names ever given.
#[derive(Default)]
pub struct Names {
    last: HashMap<Id, String>,
    all: HashSet<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: Id,
    thread_name: String,
}

impl Names {
    /// Reads the names in a home. A missing file means that none was given; an unreadable one costs
    /// a warning, a broken line itself.
    pub fn read(home: &Path) -> Names {
        let path = home.join("session_index.jsonl");
        let mut names = Names::default();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return names,
            Err(error) => {
                warn(format_args!("cannot read '{}': {}; names may lack", path.display(), reason(&error)));
                return names;
            }
        };
        let mut lines = Lines::new(file, 16 << 10);
        loop {
            match lines.next() {
                Ok(Some(Line::Whole(line))) => {
                    if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                        names.add(entry);
                    }
                }
                Ok(Some(Line::TooLong)) => {}
                Ok(None) => return names,
                Err(error) => {
                    warn(format_args!("cannot read '{}': {}; names may lack", path.display(), reason(&error)));
                    return names;
                }
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        if !entry.thread_name.is_empty() {
            self.all.insert(entry.thread_name.clone());
        }
        self.last.insert(entry.id, entry.thread_name);
    }

    /// The name of a session, if it has one.
    pub fn of(&self, id: Id) -> Option<&str> {
        self.last.get(&id).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether any session was ever given this name: a title that is one was overwritten by it.
    pub fn is_name(&self, text: &str) -> bool {
        !self.all.is_empty() && self.all.contains(text)
    }
}
