//! The fields of a session that its transcript has.

use std::borrow::Cow;
use std::io;

use super::reader::{Options, Reader};
use super::record::{Record, Role};
use crate::codex::files::Files;
use crate::codex::index::Index;
use crate::error::{reason, warn};
use crate::record::{Field, Session};

/// The fields that are read from transcripts.
const FIELDS: [Field; 3] = [Field::Turns, Field::Tokens, Field::LastMessage];

/// Completes sessions by their transcripts, if a field of those is asked for.
#[derive(Default)]
pub struct Figures {
    files: Option<Files>,
}

impl Figures {
    /// For sessions of an index, of which these fields are printed.
    pub fn new(index: &Index, fields: &[Field]) -> Figures {
        let is_wanted = fields.iter().any(|field| FIELDS.contains(field));
        Figures { files: is_wanted.then(|| Files::walk(index.home().path())) }
    }

    /// Adds the fields to a session. If its transcript cannot be read they are null, with a warning.
    pub fn complete<'s>(&self, session: &'s Session<'s>) -> Cow<'s, Session<'s>> {
        let Some(files) = &self.files else { return Cow::Borrowed(session) };
        let mut session = session.clone();
        (session.turns, session.tokens, session.last_message) = (Some(None), Some(None), Some(None));
        if let Err(error) = read(&mut session, files)
            && error.kind() != io::ErrorKind::NotFound
        {
            let id = session.id.map(|id| id.to_string()).unwrap_or_default();
            warn(format_args!("cannot read the transcript of session '{id}': {}", reason(&error)));
        }
        Cow::Owned(session)
    }
}

fn read(session: &mut Session<'_>, files: &Files) -> io::Result<()> {
    let Some(id) = session.id else { return Ok(()) };
    let options = Options { undone: true, ..Options::default() };
    let mut reader = Reader::of_session(files, id, session.rollout_path.as_deref(), options)?;
    let mut last = None;
    while let Some(record) = reader.next_record()? {
        if let Record::Item(item) = record
            && item.role == Role::Assistant
            && !item.undone
        {
            last = item.text;
        }
    }
    let summary = reader.summary();
    let number = |count: u64| i64::try_from(count).ok();
    session.turns = Some(number(summary.turns));
    session.tokens = Some(summary.spent.map(|spent| spent.input.saturating_add(spent.output)));
    session.last_message = Some(last.map(Cow::Owned));
    Ok(())
}
