//! Searches for words: the best answers first, and a single session by words.

use std::io::{self, IsTerminal};

use super::{CANDIDATES, SIMILAR, describe_candidates, id_among, is_hex_word, summary};
use crate::codex::index::Index;
use crate::config::host::name_problem;
use crate::error::{Error, Result};
use crate::query::{Archived, Filter, Query, Sort, places, rank};
use crate::record::{Id, Session};
use crate::text::{cell, counted, lowered};

/// Pass each session of a query to `emit`, the best answers to its words first, and of equally good ones the newest; the
/// order of the query is ignored. Without words this is the list of the newest. Returns the number of sessions.
pub fn search(
    index: &mut Index,
    query: &Query,
    emit: &mut dyn FnMut(&Session<'_>) -> Result<()>,
) -> Result<usize> {
    let words = &query.filter.words;
    let newest = Query { sort: Sort::default(), ..query.clone() };
    if words.is_empty() {
        return index.list(&newest, emit);
    }
    let wanted = query.limit.map_or(usize::MAX, |limit| limit.saturating_add(query.offset));
    // Sessions come the newest first, so that each rank is in order, and no rank needs more than are wanted in all.
    let mut ranks: Vec<Vec<Session<'static>>> = vec![Vec::new(); 2 * words.len() + 1];
    if query.limit == Some(0) {
        return Ok(0);
    }
    let all = Query { offset: 0, limit: None, ..newest };
    index.list(&all, &mut |session| {
        let rank = &mut ranks[rank(words, session).unwrap_or(2 * words.len())];
        if rank.len() < wanted {
            rank.push(session.clone().into_owned());
        }
        Ok(())
    })?;
    let mut count = 0;
    for session in ranks.iter().flatten().skip(query.offset).take(query.limit.unwrap_or(usize::MAX)) {
        emit(session)?;
        count += 1;
    }
    Ok(count)
}

/// The only session that a filter accepts; `what` names the filter in errors. No session is an error with exit status 1,
/// several are an error with exit status 2 that lists them, the best answers first.
pub fn choose(index: &mut Index, filter: &Filter, what: &str) -> Result<Session<'static>> {
    let mut found = answers(index, filter.clone())?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(none_error(index, filter, what)?),
        count => {
            let error = Error::new(format!("{what} matches {}", counted(count, "session")))
                .hint(describe_answers(&found, filter, CANDIDATES));
            let all: Vec<&Session<'_>> = found.iter().collect();
            let best = id_among(&found[0], &all).unwrap_or_default();
            Err(error.hint(format!("the first is {best}; name a session by its id, or add words")))
        }
    }
}

/// The lines about found sessions.
fn describe_answers(found: &[Session<'_>], filter: &Filter, most: usize) -> String {
    let found: Vec<&Session<'_>> = found.iter().collect();
    describe_candidates(&found, &filter.words, most, |session| answer(session, filter))
}

fn none_error(index: &mut Index, filter: &Filter, what: &str) -> Result<Error> {
    let error = Error::not_found(format!("{what} matches no session"));
    let hidden = Filter { archived: Archived::With, subagents: true, ..filter.clone() };
    let hidden = answers(index, hidden)?;
    if !hidden.is_empty() {
        let lines = describe_answers(&hidden, filter, SIMILAR);
        return Ok(error.hint("archived sessions and subagents that match:").hint(lines));
    }
    // Without the other conditions the words may be found.
    let words = Filter { words: filter.words.clone(), ..Filter::default() };
    let others = match words == *filter || words.words.is_empty() {
        true => Vec::new(),
        false => answers(index, words)?,
    };
    Ok(match others.is_empty() {
        true => error
            .hint("'codex-agent ls' lists sessions; 'codex-agent find --said WORD' searches what was said"),
        false => {
            let lines = describe_answers(&others, filter, SIMILAR);
            error.hint("without the other options, the words match:").hint(lines)
        }
    })
}

/// The error for a reference that is no session. On a terminal it lists the sessions that have the words.
pub(super) fn no_session_error(index: &mut Index, text: &str) -> Result<Error> {
    let error = Error::not_found(format!("no session '{text}'"));
    let part = text.strip_prefix("id:").unwrap_or(text).replace('-', "");
    let is_short = matches!(part.len(), 1..4) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let error = if is_short { error.hint("a part of an id has 4 or more hex digits") } else { error };
    let error = with_host_hint(error, text);
    let is_form = text.starts_with("id:") || text.starts_with("name:") || Id::parse(text).is_some();
    let filter = Filter { words: words_of(text), ..Filter::default() };
    let found = match io::stderr().is_terminal() && !is_form && !filter.words.is_empty() {
        true => answers(index, filter.clone())?,
        false => Vec::new(),
    };
    if found.is_empty() {
        return Ok(error.hint("'codex-agent ls' lists sessions; 'codex-agent find WORD' searches them"));
    }
    Ok(error.hint("sessions with these words:").hint(describe_answers(&found, &filter, SIMILAR)))
}

/// An error with the flag for `HOST:REF`, if the text may be one of a host that no table describes, and no text with a
/// colon in it.
pub(super) fn with_host_hint(error: Error, text: &str) -> Error {
    let is_word = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '/');
    match text.split_once(':').filter(|(_, rest)| is_word(rest)) {
        Some((host, _))
            if name_problem(host).is_none() && !is_hex_word(host) && Id::parse(host).is_none() =>
        {
            error.hint(format!(
                "'--host {host}' asks a host of this name, and a host of config.toml needs no flag"
            ))
        }
        _ => error,
    }
}

/// The words of a text, in lower case.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| lowered(word).into_owned()).collect()
}

fn answers(index: &mut Index, filter: Filter) -> Result<Vec<Session<'static>>> {
    let mut found = Vec::new();
    search(index, &Query { filter, ..Query::default() }, &mut |session| {
        found.push(session.clone().into_owned());
        Ok(())
    })?;
    Ok(found)
}

/// A line about a found session, with the place of each word that its label does not show.
fn answer(session: &Session<'_>, filter: &Filter) -> String {
    let mut line = summary(session);
    let mut shown = Vec::new();
    for (word, place) in filter.words.iter().zip(places(&filter.words, session).unwrap_or_default()) {
        let is_visible = lowered(&cell(session.label(), 40)).contains(word.as_str());
        if !is_visible && !shown.contains(&place) {
            let text = place.excerpt(session, word, 15).unwrap_or_default();
            line.push_str(&format!("  {}: {}", place.word(), cell(&text, 40)));
            shown.push(place);
        }
    }
    match (session.archived_at, session.is_subagent()) {
        (Some(_), _) => line + " (archived)",
        (None, true) => line + " (a subagent)",
        (None, false) => line,
    }
}
