//! Reading the output of Codex, during an attempt or later.
//!
//! `.out` is read from the end of the last read; a partial line waits for its rest. Memory is bounded: only the
//! beginning of a line over 4 MiB is kept, which is enough for its type. Lines that are not JSON and unknown
//! events are skipped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::record::event::Usage;
use crate::record::failure::{Class, classify};
use codex_agent_shared::record::Id;

/// The longest line that is parsed completely.
const LONGEST: usize = 4 << 20;

/// The end of a turn, as Codex reported it.
#[derive(Clone, Debug, PartialEq)]
pub enum Terminal {
    /// `turn.completed`, with the totals that Codex counts.
    Completed(Usage),
    /// `turn.failed`, with its message.
    Failed(String),
}

/// The state that the output shows so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The session, after `thread.started`.
    pub session: Option<Id>,
    /// Whether an event of a session, turn or item was read: the prompt may have been sent.
    pub begun: bool,
    /// The end of the turn.
    pub terminal: Option<Terminal>,
    /// The last message of the model.
    pub last_message: Option<String>,
    /// Whether the model has acted or answered in the turn.
    pub acted: bool,
    /// Whether an event of a turn was read.
    pub turned: bool,
    /// Whether Codex reported that it cannot write the session.
    pub unsaved: bool,
    /// The last error message of Codex.
    pub error: Option<String>,
    /// The number of events, without reports that there is no network.
    pub events: u64,
    /// Whether the last event reported that there is no network.
    pub offline: bool,
    /// The current action, in a few words.
    pub doing: String,
}

/// A reader of one `.out`.
pub struct Follower {
    file: File,
    line: Vec<u8>,
    is_truncated: bool,
    /// The lines that were read, unchanged, if an observer wants lines.
    pub kept: Option<Vec<Vec<u8>>>,
    /// The state so far.
    pub progress: Progress,
}

impl Follower {
    /// Opens an output at its start.
    pub fn open(path: &Path) -> io::Result<Follower> {
        let file = File::open(path)?;
        Ok(Follower {
            file,
            line: Vec::new(),
            is_truncated: false,
            kept: None,
            progress: Progress::default(),
        })
    }

    /// Reads new output, up to the limit for kept lines. Returns false if more is there.
    pub fn read(&mut self) -> io::Result<bool> {
        let mut block = [0; 32 << 10];
        let mut room = LONGEST;
        loop {
            if self.kept.is_some() && room < block.len() {
                return Ok(false);
            }
            let got = match self.file.read(&mut block) {
                Ok(0) => return Ok(true),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            room = room.saturating_sub(got);
            for piece in block[..got].split_inclusive(|byte| *byte == b'\n') {
                self.append_piece(piece);
            }
        }
    }

    /// As [`Follower::read`], but a last line without a newline counts as complete.
    pub fn finish(&mut self) -> io::Result<bool> {
        let is_all = self.read()?;
        if is_all && !self.line.is_empty() {
            self.end_line();
        }
        Ok(is_all)
    }

    /// Syncs the output to disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn append_piece(&mut self, piece: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        self.is_truncated |= piece.len() > room;
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.ends_with(b"\n") {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_truncated) {
            self.read_long_line(&line[..line.len().min(200)]);
        } else if let Ok(event) = serde_json::from_slice::<Value>(&line)
            && let Some(kind) = event["type"].as_str()
        {
            self.apply_event(kind, &event);
            // Only events are kept.
            if let Some(kept) = &mut self.kept {
                kept.push(line.trim_ascii().to_vec());
            }
        }
        // The buffer of a huge line is freed.
        if line.capacity() <= 64 << 10 {
            self.line = line;
            self.line.clear();
        }
    }

    /// Reads the type of a long line from its beginning, where Codex writes it.
    fn read_long_line(&mut self, start: &[u8]) {
        self.progress.events += 1;
        // A long line may belong to a turn, so a turn is assumed.
        self.progress.begun = true;
        let is = |kind: &str| start.starts_with(format!("{{\"type\":\"{kind}\"").as_bytes());
        if is("turn.completed") {
            self.end_turn(Terminal::Completed(Usage::new()));
        } else if is("turn.failed") {
            self.end_turn(Terminal::Failed("(its message is too long to be shown)".to_owned()));
        } else if is("item.completed") {
            self.progress.acted = true;
            if memchr::memmem::find(start, b"\"agent_message\"").is_some() {
                self.progress.last_message = None;
            }
        }
    }

    fn end_turn(&mut self, terminal: Terminal) {
        // A second turn is a queued message of the user, and not of this job.
        self.progress.terminal.get_or_insert(terminal);
    }

    /// Applies an event. A value of an unexpected type counts as absent.
    fn apply_event(&mut self, kind: &str, event: &Value) {
        let progress = &mut self.progress;
        let (item, message) = (&event["item"], event["message"].as_str());
        progress.offline =
            kind == "error" && classify(None, message.unwrap_or_default()) == Some(Class::Network);
        progress.events += u64::from(!progress.offline);
        progress.begun |= ["thread.", "turn.", "item."].iter().any(|start| kind.starts_with(start));
        progress.turned |= kind.starts_with("turn.");
        progress.doing = describe_action(kind, event).unwrap_or_else(|| std::mem::take(&mut progress.doing));
        match kind {
            "thread.started" if progress.session.is_none() => {
                progress.session = event["thread_id"].as_str().and_then(Id::parse);
            }
            "error" => progress.error = message.map(str::to_owned),
            "turn.completed" => {
                let numbers = event["usage"].as_object().into_iter().flatten();
                let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), value.as_i64()?)));
                self.end_turn(Terminal::Completed(numbers.collect()));
            }
            "turn.failed" => {
                let reason = event["error"]["message"].as_str().or(event["error"].as_str());
                let message = reason.map(str::to_owned).or(progress.error.clone());
                self.end_turn(Terminal::Failed(message.unwrap_or_default()));
            }
            "item.started" | "item.updated" | "item.completed"
                if progress.terminal.is_none() && item.is_object() =>
            {
                if item["type"] == "error" {
                    // An item of type error is only a warning.
                    let message = item["message"].as_str().unwrap_or_default();
                    progress.unsaved |= classify(None, message) == Some(Class::Disk);
                    return;
                }
                progress.acted = true;
                if item["type"] == "agent_message" {
                    progress.last_message = item["text"].as_str().map(str::to_owned);
                }
            }
            _ => {}
        }
    }
}

/// The action of Codex in an event, in a few words; `None` if the event has none.
fn describe_action(kind: &str, event: &Value) -> Option<String> {
    let text = match kind {
        "turn.started" => "thinking",
        "error" => event["message"].as_str()?,
        "item.started" | "item.updated" | "item.completed" => {
            let names = ["text", "command", "query", "message", "tool", "type"];
            names.iter().find_map(|name| event["item"][*name].as_str())?
        }
        _ => return None,
    };
    Some(text.trim().chars().take(300).collect())
}

/// The end of standard error, for messages and for the table of failures.
pub fn last_words(path: &Path) -> String {
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
    fn lines_are_read_in_pieces() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut follower = Follower::open(file.path()).unwrap();
        let mut append = |text: &str| {
            file.write_all(text.as_bytes()).unwrap();
            assert!(follower.read().unwrap());
            Progress { events: 0, doing: String::new(), ..follower.progress.clone() }
        };
        assert_eq!(append("garbage\n{\"type\":\"thread.sta"), Progress::default());
        let rest = format!("rted\",\"thread_id\":\"{ID}\"}}\n");
        assert_eq!(append(&rest).session, Id::parse(ID));
        let warning = r#"{"type":"item.completed","item":{"id":"item_0","type":"error","message":"w"}}"#;
        assert!(!append(&format!("{warning}\n")).acted);
        append("{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"");
        for _ in 0..80 {
            append(&"x".repeat(64 << 10));
        }
        let long = append("\"}}\n");
        assert_eq!((long.acted, long.last_message.as_deref()), (true, None));
        let message_text =
            append("{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"done\"}}\n");
        assert_eq!(message_text.last_message.as_deref(), Some("done"));
        assert_eq!(append("{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":5}}").terminal, None);
        follower.finish().unwrap();
        let usage = Usage::from([("input_tokens".to_owned(), 5)]);
        assert_eq!(follower.progress.terminal, Some(Terminal::Completed(usage)));
        assert!(follower.line.capacity() <= 64 << 10);
        assert_eq!((follower.progress.doing.as_str(), follower.progress.offline), ("done", false));
    }

    #[test]
    fn recorded_output_is_parsed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/homes/0.169.0/exec-json");
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
        let interrupted = read("int-2.out");
        assert!(interrupted.session.is_some() && interrupted.terminal.is_none() && !interrupted.acted);
    }
}
