//! The launch of codex-agent-pick by a tool that needs a session and was given none, or only words for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use super::Selection;
use super::flags::Args;
use crate::codex::index::Index;
use crate::error::{Error, Exit, Result, program, reason};
use crate::plugin::sibling;
use crate::query::Query;
use crate::record::Field;
use crate::reference::{is_unknown_word, search, words_of};
use crate::terminal::{can_ask, has_screen};

/// The variable with the verb of the tool that the picker chooses sessions for.
#[doc(hidden)]
pub const PICK_FOR: &str = "CODEX_AGENT_PICK_FOR";

/// The list from which the user chooses.
struct Choice {
    /// The arguments of the picker.
    args: Vec<OsString>,
    /// The ids of its sessions, if they are not all of Codex's home.
    ids: Option<Vec<String>>,
}

impl<O, J> Args<O, J> {
    /// Lets the user choose on the terminal if the arguments name no session: there are neither references nor `--find`,
    /// or the flags of [`super::filters::selecting`] select several sessions, or no operand is a reference and sessions
    /// have all of the operands as words. The ids of the chosen sessions are stored as the operands.
    ///
    /// `Some` is the exit status of a user who chose none. Without a terminal nothing happens.
    #[doc(hidden)]
    pub fn pick_if_missing(&mut self, one: bool) -> Result<Option<Exit>> {
        // The picker draws on the controlling terminal, which a process of a session of its own does not have.
        if !can_ask() || !has_screen() || File::open("/dev/tty").is_err() {
            return Ok(None);
        }
        let choice = match (self.operands.is_empty(), self.common.selection.is_given()) {
            (true, false) => Some(Choice { args: Vec::new(), ids: None }),
            (true, true) => self.choice_of_several()?,
            (false, _) => self.choice_by_words()?,
        };
        match choice {
            Some(choice) => self.choose(choice, one),
            None => Ok(None),
        }
    }

    /// The sessions that the flags select, if there are several.
    fn choice_of_several(&self) -> Result<Option<Choice>> {
        let ids = self.matches(&mut self.common.index()?, &[])?;
        Ok((ids.len() > 1).then(|| Choice { args: Vec::new(), ids: Some(ids) }))
    }

    /// All sessions that the flags select, with the operands as the query, if no operand is a reference. If no session
    /// has these words, the operands become the words of `--find` beside other flags, whose error names them all.
    fn choice_by_words(&mut self) -> Result<Option<Choice>> {
        if !self.common.selection.filter.words.is_empty() {
            return Ok(None);
        }
        let mut index = self.common.index()?;
        for operand in &self.operands {
            if !is_unknown_word(&mut index, operand)? {
                return Ok(None);
            }
        }
        let words = words_of(&self.operands.join(" "));
        if words.is_empty() {
            return Ok(None);
        }
        if self.matches(&mut index, &words)?.is_empty() {
            if self.common.selection.is_given() {
                self.common.selection.filter.words = words;
                self.operands.clear();
            }
            return Ok(None);
        }
        let mut args = vec![OsString::from("--all")];
        args.extend(self.common.selection.arguments());
        args.push("--".into());
        args.extend(self.operands.drain(..).map(OsString::from));
        Ok(Some(Choice { args, ids: None }))
    }

    /// The ids of the sessions that the flags select and that have the words, the best answers first.
    fn matches(&self, index: &mut Index, words: &[String]) -> Result<Vec<String>> {
        let mut filter = self.common.selection.filter(index)?;
        filter.words.extend_from_slice(words);
        let mut ids = Vec::new();
        let query = Query { filter, fields: vec![Field::Id], ..Query::default() };
        search(index, &query, &mut |session| {
            ids.extend(session.id.map(|id| id.to_string()));
            Ok(())
        })?;
        Ok(ids)
    }

    fn choose(&mut self, choice: Choice, one: bool) -> Result<Option<Exit>> {
        let Some(picker) = sibling("pick") else { return Ok(None) };
        let mut command = Command::new(&picker);
        command.args(["--format", "{id}"]).stdout(Stdio::piped());
        if one {
            command.arg("--one");
        }
        // The list names what Enter does.
        command.env(PICK_FOR, program().rsplit('-').next().unwrap_or_default());
        if let Some(home) = &self.common.codex_home {
            command.arg("--codex-home").arg(home);
        }
        command.args(choice.args);
        if choice.ids.is_some() {
            command.stdin(Stdio::piped());
        }
        let failed = |error: std::io::Error| {
            Error::new(format!("cannot run '{}': {}", picker.display(), reason(&error)))
                .with_exit(Exit::CannotRun)
        };
        let mut child = command.spawn().map_err(failed)?;
        if let (Some(mut stdin), Some(ids)) = (child.stdin.take(), &choice.ids) {
            // The picker may end before it has read them.
            let _ = stdin.write_all((ids.join("\n") + "\n").as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        let ids = String::from_utf8_lossy(&output.stdout);
        self.operands.extend(ids.lines().map(str::to_owned));
        self.common.selection = Selection::default();
        Ok(match output.status.code() {
            Some(0) if !self.operands.is_empty() => None,
            Some(0) => Some(Exit::Done),
            Some(code) => Some(Exit::Theirs(u8::try_from(code).unwrap_or(2))),
            None => Some(Exit::Interrupted),
        })
    }
}
