//! Reading what Codex prints, while it prints it or after.
//!
//! `.out` is read from where the last look ended; half a line waits for its other half. Memory is
//! bounded whatever Codex prints: of a line over 4 MiB only the beginning is kept, which is enough
//! to know its type. Lines that are not JSON and events that are not known are passed over.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::event::Usage;
use crate::record::Id;

/// The longest line that is understood whole.
const LONGEST: usize = 4 << 20;

/// How a turn ended, as Codex said.
#[derive(Clone, Debug, PartialEq)]
pub enum Terminal {
    /// `turn.completed`, with the totals that Codex counts.
    Completed(Usage),
    /// `turn.failed`, with its message.
    Failed(String),
}

/// What the output has said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The session, once `thread.started` was there.
    pub session: Option<Id>,
    /// How the turn ended.
    pub terminal: Option<Terminal>,
    /// The last message of the model.
    pub last_message: Option<String>,
    /// Whether anything was done or said in the turn.
    pub acted: bool,
    /// The last thing that Codex called an error.
    pub error: Option<String>,
}

/// A reader of one `.out`.
pub struct Follower {
    file: File,
    line: Vec<u8>,
    cut: bool,
    /// What was read so far.
    pub progress: Progress,
}

impl Follower {
    /// Begins at the start of the file.
    pub fn open(path: &Path) -> io::Result<Follower> {
        Ok(Follower { file: File::open(path)?, line: Vec::new(), cut: false, progress: Progress::default() })
    }

    /// Reads all that is new.
    pub fn read(&mut self) -> io::Result<()> {
        let mut block = [0; 32 << 10];
        loop {
            let got = match self.file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for piece in block[..got].split_inclusive(|byte| *byte == b'\n') {
                self.take(piece);
            }
        }
    }

    /// Reads the rest, a last line without its end too.
    pub fn finish(&mut self) -> io::Result<()> {
        self.read()?;
        if !self.line.is_empty() {
            self.line_is_whole();
        }
        Ok(())
    }

    /// Puts what Codex has printed so far on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn take(&mut self, piece: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        self.cut |= piece.len() > room;
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.ends_with(b"\n") {
            self.line_is_whole();
        }
    }

    fn line_is_whole(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.cut) {
            self.long_line(&line[..line.len().min(200)]);
        } else if let Ok(event) = serde_json::from_slice::<Printed>(&line) {
            self.event(event);
        }
        // One huge line must not be paid for by all that follow.
        if line.capacity() <= 64 << 10 {
            self.line = line;
            self.line.clear();
        }
    }

    /// Codex writes the type first, so the beginning of a line tells it.
    fn long_line(&mut self, start: &[u8]) {
        let is = |kind: &str| start.starts_with(format!("{{\"type\":\"{kind}\"").as_bytes());
        if is("turn.completed") {
            self.end(Terminal::Completed(Usage::new()));
        } else if is("turn.failed") {
            self.end(Terminal::Failed("(its message is too long to be shown)".to_owned()));
        } else if is("item.completed") {
            self.progress.acted = true;
            if memchr::memmem::find(start, b"\"agent_message\"").is_some() {
                self.progress.last_message = None;
            }
        }
    }

    fn end(&mut self, terminal: Terminal) {
        // A second turn is that of somebody who queued it, not ours.
        self.progress.terminal.get_or_insert(terminal);
    }

    fn event(&mut self, event: Printed) {
        let progress = &mut self.progress;
        match event.kind.as_str() {
            "thread.started" if progress.session.is_none() => {
                progress.session = event.thread_id.as_deref().and_then(Id::parse);
            }
            "error" => progress.error = event.message,
            "turn.completed" => {
                let usage = event.usage.unwrap_or_default();
                let numbers = usage.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?)));
                let usage = numbers.collect();
                self.end(Terminal::Completed(usage));
            }
            "turn.failed" => {
                let message = event.error.and_then(|error| error.message).or(progress.error.clone());
                self.end(Terminal::Failed(message.unwrap_or_default()));
            }
            "item.started" | "item.updated" | "item.completed" if progress.terminal.is_none() => {
                let Some(item) = event.item else { return };
                match item.kind.as_deref() {
                    // A warning, whatever it is called.
                    Some("error") => {}
                    Some("agent_message") => {
                        progress.acted = true;
                        progress.last_message = item.text;
                    }
                    _ => progress.acted = true,
                }
            }
            _ => {}
        }
    }
}

#[derive(Deserialize)]
struct Printed {
    #[serde(rename = "type")]
    kind: String,
    thread_id: Option<String>,
    message: Option<String>,
    error: Option<Wrong>,
    item: Option<Item>,
    usage: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Wrong {
    message: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
}

/// The end of a standard error, for people and for the table of failures.
pub fn last_words(path: &Path) -> String {
    use std::io::{Seek, SeekFrom};
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(8 << 10)))?;
        let mut bytes = Vec::new();
        file.take(8 << 10).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const ID: &str = "01a202e0-a4f9-7700-959a-22150ae31fea";

    #[test]
    fn lines_come_in_pieces() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut follower = Follower::open(file.path()).unwrap();
        let mut say = |text: &str| {
            file.write_all(text.as_bytes()).unwrap();
            follower.read().unwrap();
            follower.progress.clone()
        };
        assert_eq!(say("garbage\n{\"type\":\"thread.sta"), Progress::default());
        let rest = format!("rted\",\"thread_id\":\"{ID}\"}}\n");
        assert_eq!(say(&rest).session, Id::parse(ID));
        let warning = r#"{"type":"item.completed","item":{"id":"item_0","type":"error","message":"w"}}"#;
        assert!(!say(&format!("{warning}\n")).acted);
        say("{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"");
        for _ in 0..80 {
            say(&"x".repeat(64 << 10));
        }
        let long = say("\"}}\n");
        assert_eq!((long.acted, long.last_message.as_deref()), (true, None));
        let said =
            say("{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"done\"}}\n");
        assert_eq!(said.last_message.as_deref(), Some("done"));
        assert_eq!(say("{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":5}}").terminal, None);
        follower.finish().unwrap();
        let usage = Usage::from([("input_tokens".to_owned(), 5)]);
        assert_eq!(follower.progress.terminal, Some(Terminal::Completed(usage)));
        assert!(follower.line.capacity() <= 64 << 10);
    }

    #[test]
    fn real_output_is_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/homes/0.169.0/exec-json");
        let read = |name: &str| {
            let mut follower = Follower::open(&folder.join(name)).unwrap();
            follower.finish().unwrap();
            follower.progress
        };
        let shell = read("shell.out");
        assert_eq!(shell.session, Id::parse(ID));
        assert!(matches!(shell.terminal, Some(Terminal::Completed(_))) && shell.acted);
        assert_eq!(shell.last_message.as_deref(), Some("echo: List files SHELL{ls -1}"));
        let failed = read("failed-2.out");
        assert!(matches!(failed.terminal, Some(Terminal::Failed(why)) if why.contains("boom")));
        let cut = read("int-2.out");
        assert!(cut.session.is_some() && cut.terminal.is_none() && !cut.acted);
    }
}
