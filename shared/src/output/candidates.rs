//! Sessions in a message on a terminal, by the table of listings.

use std::collections::HashMap;

use super::{found_row, sessions_row, sessions_table};
use crate::record::{Id, Session};
use crate::time::Timestamp;

/// The lines of a table of sessions in at most `most` columns. Without `words` the rows are those of a listing; for a
/// word that a title does not show, the field with the word follows the title. Sessions with the same short id have
/// their complete ids.
pub(crate) fn candidate_lines(sessions: &[&Session<'_>], words: &[String], most: usize) -> Vec<String> {
    let now = Timestamp::now();
    let mut short_ids: HashMap<String, usize> = HashMap::new();
    for id in sessions.iter().filter_map(|session| session.id) {
        *short_ids.entry(id.short()).or_default() += 1;
    }
    let mut table = sessions_table(most, false);
    for session in sessions {
        let mut row = match words {
            [] => sessions_row(session, now),
            words => found_row(session, now, words, most),
        };
        if let Some(id) = session.id.filter(|id: &Id| short_ids[&id.short()] > 1) {
            row[0] = id.to_string().into();
        }
        table.row(row);
    }
    table.lines(most, false)
}
