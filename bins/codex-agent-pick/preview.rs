//! The preview: what is known of the current session, read on a thread of its own.
//!
//! Facts come first, then the text of the session. A key never waits for a preview: only the newest request is
//! answered, and the answer names its session.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::Result;
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Id, Session, Status};
use codex_agent_shared::terminal::Look;
use codex_agent_shared::text::{cell, harmless, thousands, width};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::{Options, Reader, Record, Role};

use crate::rows::Row;
use crate::screen::Span;

/// The characters of a text that are shown at most: a first message may have a megabyte.
const MOST: usize = 20_000;
/// The number of turns of which the messages are shown.
const TURNS: u64 = 3;
/// How long the files of a home that were found once are believed to be all.
const FRESH: Duration = Duration::from_secs(5);

/// What is shown of a session.
pub(super) struct Details {
    /// The id of the session.
    pub(super) id: String,
    facts: Vec<(&'static str, String, Look)>,
    text: String,
}

/// Answers requests until their sender is gone.
pub(super) fn serve(
    common: Arc<CommonOptions>,
    answer: impl Fn(Details) + Send + 'static,
) -> Sender<Arc<Row>> {
    let (sender, requests): (_, Receiver<Arc<Row>>) = channel();
    std::thread::spawn(move || {
        let mut opened: Option<(Index, Instant)> = None;
        while let Ok(mut row) = requests.recv() {
            while let Ok(newer) = requests.try_recv() {
                row = newer;
            }
            if opened.as_ref().is_some_and(|(_, at)| at.elapsed() > FRESH) {
                opened = None;
            }
            if let Some(session) = there(&row) {
                let text: String =
                    session.first_user_message.as_deref().unwrap_or("").trim().chars().take(MOST).collect();
                answer(details(&row, &session, text));
                continue;
            }
            let found = match &mut opened {
                Some((index, _)) => read(index, &row),
                None => {
                    common.index().and_then(|index| read(&mut opened.insert((index, Instant::now())).0, &row))
                }
            };
            answer(match found {
                Ok(Some(session)) => {
                    let text = opened.as_mut().map(|(index, _)| text(index, &session));
                    details(&row, &session, text.unwrap_or_default())
                }
                // A record of another home, or a session that was deleted meanwhile.
                Ok(None) => bare(&row, "Codex's home has no such session"),
                Err(error) => bare(&row, error.message()),
            });
        }
    });
    sender
}

/// The session of another machine, as its record has it.
fn there(row: &Row) -> Option<Session<'static>> {
    let raw = row.raw.as_ref().filter(|_| !row.host.is_empty())?;
    serde_json::from_str::<Session<'_>>(raw.text.get()).ok().map(Session::into_owned)
}

fn read(index: &mut Index, row: &Row) -> Result<Option<Session<'static>>> {
    let Some(id) = Id::parse(&row.id) else { return Ok(None) };
    let filter =
        Filter { ids: Some(vec![id]), archived: Archived::With, subagents: true, ..Filter::default() };
    let mut found = None;
    index.list(&Query { filter, full: true, ..Query::default() }, &mut |session| {
        found = Some(session.clone().into_owned());
        Ok(())
    })?;
    Ok(found)
}

fn bare(row: &Row, why: &str) -> Details {
    let facts = vec![("", cell(why, 200), Look::Dim), ("id", cell(&row.id, 100), Look::Id)];
    Details { id: row.id.clone(), facts, text: String::new() }
}

fn details(row: &Row, session: &Session<'_>, text: String) -> Details {
    let now = Timestamp::now();
    let mut facts: Vec<(&'static str, String, Look)> = Vec::new();
    let mut fact = |name, value: Option<String>, look| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value, look)));
    };
    let plain = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(|text| cell(text, 500));
    fact("name", plain(&session.name), Look::Bold);
    let state = status(session);
    let look = state.as_deref().and_then(Look::of_state).unwrap_or(Look::Plain);
    fact("status", state, look);
    fact("host", Some(row.host.clone()), Look::Plain);
    fact("directory", plain(&session.cwd), Look::Plain);
    let git = session.git.as_ref();
    fact("branch", git.and_then(|git| plain(&git.branch)), Look::Plain);
    fact("remote", git.and_then(|git| plain(&git.origin_url)), Look::Plain);
    let moment =
        |at: Option<Timestamp>| at.map(|at| format!("{}, {}", at.local("%Y-%m-%d %H:%M"), ago(at, now)));
    fact("updated", moment(session.updated_at), Look::Plain);
    fact("created", moment(session.created_at), Look::Plain);
    fact("tokens", session.tokens_used.map(thousands), Look::Plain);
    let by =
        [plain(&session.model), plain(&session.reasoning_effort)].into_iter().flatten().collect::<Vec<_>>();
    fact("model", Some(by.join(" ")), Look::Plain);
    let made =
        [plain(&session.source), plain(&session.cli_version)].into_iter().flatten().collect::<Vec<_>>();
    fact("source", Some(made.join(" ")), Look::Plain);
    fact("id", Some(row.id.clone()), Look::Id);
    Details { id: row.id.clone(), facts, text }
}

/// The text below the facts: the first message, and what was said in the last turns.
fn text(index: &mut Index, session: &Session<'_>) -> String {
    let first = session.first_user_message.as_deref().or(session.title.as_deref()).unwrap_or("");
    let first: String = first.trim().chars().take(MOST).collect();
    let said = said_last(index, session).unwrap_or_default();
    let rest = match said.split_first() {
        Some((message, rest)) if message.0 == Role::User && message.1 == first => rest,
        _ => &said[..],
    };
    let mut text = first;
    if rest.len() == said.len() && !said.is_empty() {
        text.push_str("\n\n…");
    }
    for (role, message) in rest {
        let mark = if *role == Role::User { "›" } else { "•" };
        text.push_str(&format!("\n\n{mark} {message}"));
    }
    text
}

/// The messages of the last turns.
fn said_last(index: &mut Index, session: &Session<'_>) -> std::io::Result<Vec<(Role, String)>> {
    let Some(id) = session.id else { return Ok(Vec::new()) };
    let named = session.rollout_path.as_deref();
    let reader = Reader::last_turns(index.files(), id, named, TURNS, Options::default())?;
    let mut said = Vec::new();
    for record in reader {
        if let Record::Item(item) = record?
            && matches!(item.role, Role::User | Role::Assistant)
        {
            let text = item.text.as_deref().unwrap_or("").trim();
            said.push((item.role, text.chars().take(MOST / 4).collect()));
        }
    }
    Ok(said)
}

fn status(session: &Session<'_>) -> Option<String> {
    let word = |status: Status| Status::ALL.iter().find(|(one, ..)| *one == status).map(|(_, word, _)| *word);
    let status = session.status.and_then(word);
    match session.archived_at {
        Some(_) => Some(format!("archived, {}", status.unwrap_or("unknown"))),
        None => status.map(str::to_owned),
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    match at.age(now) {
        age if age == "now" || age.starts_with("in ") || age.contains('-') => age,
        age => format!("{age} ago"),
    }
}

impl Details {
    /// The lines of the preview, at most so many columns wide. In few lines the facts share one, so that the text has
    /// the rest.
    pub(super) fn lines(&self, columns: usize, height: usize) -> Vec<Vec<Span>> {
        let is_low = height < self.facts.len() + 4;
        let mut lines: Vec<Vec<Span>> = match is_low {
            true => vec![self.summary(columns)],
            false => self.facts.iter().map(|fact| fact_line(fact, columns)).collect(),
        };
        if !self.text.is_empty() {
            lines.extend((!is_low).then(Vec::new));
            lines.extend(
                wrapped(&self.text, columns).into_iter().map(|line| vec![Span::new(line, Look::Plain)]),
            );
        }
        if is_low {
            lines.push(Vec::new());
            lines.extend(self.facts.iter().map(|fact| fact_line(fact, columns)));
        }
        lines
    }

    /// As many of the facts as one line has room for, in their order.
    fn summary(&self, columns: usize) -> Vec<Span> {
        let mut line: Vec<Span> = Vec::new();
        let mut used = 0;
        for (name, value, look) in
            self.facts.iter().filter(|(name, ..)| !["id", "created", "remote"].contains(name))
        {
            let word = if *name == "tokens" { format!("{value} tokens") } else { value.clone() };
            let gap = if used == 0 { 0 } else { 2 };
            if used + gap + width(&word) <= columns {
                used += gap + width(&word);
                line.push(Span::new(" ".repeat(gap), Look::Plain));
                line.push(Span::new(word, *look));
            }
        }
        line
    }
}

fn fact_line((name, value, look): &(&str, String, Look), columns: usize) -> Vec<Span> {
    let shown = if columns < 30 || name.is_empty() { String::new() } else { format!("{name:11}") };
    let rest = columns.saturating_sub(width(&shown));
    vec![Span::new(shown, Look::Dim), Span::new(cell(value, rest), *look)]
}

/// A text as harmless lines of at most so many columns, broken between words where that is possible.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.trim_end().split_inclusive([' ', '\t']) {
            let word = harmless(&word.replace('\t', "  ")).into_owned();
            if !line.is_empty() && width(&line) + width(word.trim_end()) > most {
                lines.push(std::mem::take(&mut line));
            }
            let mut used = width(&line);
            for c in word.chars() {
                let wide = width(c.encode_utf8(&mut [0; 4]));
                if used + wide > most && c != ' ' && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                // Thousands of accents on one letter would flood the screen.
                if wide > 0 && used + wide <= most || line.len() < most * 8 && wide == 0 {
                    line.push(c);
                    used += wide;
                }
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_to_any_width() {
        let text = format!(
            "Fix the \u{1b}[2Jparser\n\n日本語のとても長いテキスト a{}\tb {}",
            "\u{301}".repeat(5000),
            "x".repeat(300)
        );
        for most in 1..60 {
            let lines = wrapped(&text, most);
            assert!(
                lines.iter().all(|line| width(line) <= most && line.len() < most * 16 + 8),
                "{most}: {lines:?}"
            );
            assert!(!lines.concat().contains('\u{1b}'));
        }
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("a\n\nb", 8), ["a", "", "b"]);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, want) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")]
        {
            assert_eq!(thousands(number), want);
        }
    }
}
