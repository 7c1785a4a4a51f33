//! Records of followed sessions as lines: for people with a tag, elsewhere in columns.

use std::collections::HashMap;

use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::{Id, Status};
use codex_agent_shared::terminal::{Look, columns, painted};
use codex_agent_shared::text::{cell, harmless, tsv, width};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::prose;
use codex_agent_shared::transcript::{Item, Record, Role, SessionEvent, SessionEventKind, Turn};

/// The width of a title in a tag.
const TITLE: usize = 20;
/// The least width of the text beside a title.
const LEAST: usize = 24;

/// The records that are printed.
#[derive(Clone, Debug, Default)]
pub struct Only {
    roles: Vec<Role>,
    turns: bool,
    sessions: bool,
}

impl Only {
    /// Parses roles, `turn` and `session`, with commas between them.
    pub fn parse(text: &str) -> Result<Only> {
        let mut only = Only::default();
        for word in text.split(',').map(str::trim) {
            match (Role::parse(word), word) {
                (Some(role), _) => only.roles.push(role),
                (None, "turn") => only.turns = true,
                (None, "session") => only.sessions = true,
                (None, _) => return Err(Role::list_error(text, "roles, turn or session,")),
            }
        }
        Ok(only)
    }

    /// Whether a record is printed.
    pub fn has(&self, record: &Record) -> bool {
        if self.roles.is_empty() && !self.turns && !self.sessions {
            return true;
        }
        match record {
            Record::Item(item) => self.roles.contains(&item.role),
            Record::Event(SessionEvent { what: SessionEventKind::TurnStarted { .. }, .. }) => self.turns,
            Record::Event(_) => self.sessions,
            _ => self.turns,
        }
    }
}

/// How records of sessions are printed.
#[derive(Default)]
pub struct RecordStyle {
    /// The records that are printed.
    pub only: Only,
    /// Whether texts are printed as a whole.
    pub full: bool,
    /// Whether lines for people have the session.
    pub is_tagged: bool,
    /// The titles of sessions.
    pub titles: HashMap<Id, String>,
}

/// The session and the time of a record.
pub fn place(record: &Record) -> (Option<Id>, Option<Timestamp>) {
    match record {
        Record::Item(item) => (item.session, item.at),
        Record::Turn(turn) => (turn.session, turn.completed_at.or(turn.started_at)),
        Record::Event(event) => (Some(event.session), event.at),
        _ => (None, None),
    }
}

/// The columns of a record: time, event, job, session, text, address.
pub(super) fn row(record: &Record) -> String {
    let (session, at) = place(record);
    let (event, text, address) = match record {
        Record::Item(item) => (item.role.word(), text_of(item), item.address.clone()),
        Record::Turn(turn) => ("turn", text_of_turn(turn), turn.address()),
        Record::Event(event) => {
            let address = match &event.what {
                SessionEventKind::TurnStarted { address, .. } => address.clone(),
                _ => None,
            };
            (event.what.word(), event.what.text(), address)
        }
        _ => return String::new(),
    };
    let at = at.unwrap_or_else(Timestamp::now).to_string();
    let session = session.map(|id| id.to_string()).unwrap_or_default();
    [&*at, event, "", &session, &tsv(&text), &address.unwrap_or_default()].join("\t")
}

/// The text of an item without its mark: the message, the command, the output.
fn text_of(item: &Item) -> String {
    match prose::headline(item) {
        Some(head) if item.role != Role::Command => [head.verb, head.subject, head.remark]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        _ => item.text.clone().unwrap_or_default(),
    }
}

/// The status of a turn, and its error.
fn text_of_turn(turn: &Turn) -> String {
    let status = if turn.undone { "undone" } else { prose::state(turn).unwrap_or("completed") };
    match turn.error.as_ref().and_then(|error| error.message.as_deref()) {
        Some(message) => format!("{status}: {message}"),
        None => status.to_owned(),
    }
}

/// The lines of a record for people; none for a record that another one shows.
pub(super) fn lines(record: &Record, style: &RecordStyle, color: bool) -> Vec<String> {
    let (session, at) = place(record);
    let Some((mark, look, text)) = words(record, style.full) else { return Vec::new() };
    let time = at.unwrap_or_else(Timestamp::now).local("%H:%M:%S");
    let mut start = painted(&time, Look::Dim, color) + " ";
    let mut wide = width(&time) + 1;
    if style.is_tagged {
        let id = session.map(|id| id.short()).unwrap_or_default();
        wide += width(&id) + 1;
        start += &painted(&id, Look::Id, color);
        start.push(' ');
        // A narrow terminal has room for the text alone.
        let most = TITLE.min(columns().saturating_sub(wide + LEAST + 2));
        let title = session.and_then(|id| style.titles.get(&id)).filter(|_| most >= LEAST / 2);
        if let Some(title) = title.map(|title| cell(title, most)) {
            start += &painted(&title, Look::Dim, color);
            start += &" ".repeat((most + 1).saturating_sub(width(&title)));
            wide += most + 1;
        }
    }
    let room = columns().saturating_sub(wide + width(mark) + 1).max(8);
    if !style.full {
        let shown = cell(text.trim(), room);
        return vec![start + &painted(&format!("{mark}{shown}"), look, color)];
    }
    let all: Vec<&str> = text.trim_end().lines().collect();
    let line = |(at, line): (usize, &&str)| {
        let mark = if at == 0 { mark.to_owned() } else { " ".repeat(width(mark)) };
        let line = harmless(&line.replace('\t', "    ")).into_owned();
        start.clone() + &painted(&format!("{mark}{line}"), look, color)
    };
    if all.is_empty() { vec![line((0, &""))] } else { all.iter().enumerate().map(line).collect() }
}

/// The mark, the look and the text of a record for people.
fn words(record: &Record, full: bool) -> Option<(&'static str, Look, String)> {
    Some(match record {
        Record::Item(item) => {
            let text = item.text.clone().unwrap_or_default();
            match prose::headline(item) {
                Some(head) => {
                    let look = if head.is_failed { Look::Failed } else { Look::Plain };
                    let subject = if full { head.subject } else { first_line(&head.subject) };
                    let parts = [head.verb, subject, head.remark];
                    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                    let mut text = parts.join(" ");
                    if let Some(result) = prose::result(item).filter(|_| full) {
                        text = format!("{text}\n{result}");
                    }
                    ("• ", look, text)
                }
                None => match item.role {
                    Role::User => ("› ", Look::Bold, text),
                    Role::Output => ("  └ ", Look::Dim, if full { text } else { shortened(&text) }),
                    Role::Reasoning if !full => ("  ", Look::Dim, prose::reasoning_heading(&text).to_owned()),
                    Role::Reasoning => ("  ", Look::Dim, text),
                    _ => ("• ", Look::Plain, text),
                },
            }
        }
        Record::Turn(turn) => {
            let state = if turn.undone { "undone" } else { prose::state(turn).unwrap_or("completed") };
            let look = Look::of_state(state).unwrap_or(Look::Dim);
            let number = turn.turn.map_or_else(|| "turn".to_owned(), |number| format!("turn {number}"));
            let mut parts = vec![format!("{number} {state}")];
            parts.extend(turn.duration_ms.map(prose::duration));
            parts.extend(turn.tokens.as_ref().map(|tokens| prose::tokens(Some(tokens))));
            parts.extend(turn.error.as_ref().and_then(|error| error.message.clone()));
            ("── ", look, parts.join(" · "))
        }
        Record::Event(event) => match &event.what {
            SessionEventKind::TurnStarted { address, .. } => {
                let number = address.as_deref().and_then(|address| address.rsplit(':').next());
                let number = number.filter(|number| number.len() < 10);
                (
                    "── ",
                    Look::Running,
                    number
                        .map_or_else(|| "turn started".to_owned(), |number| format!("turn {number} started")),
                )
            }
            // The start and the end of a turn show the other statuses.
            SessionEventKind::Status { status: Status::Interrupted } => {
                ("── ", Look::Interrupted, Status::Interrupted.word().to_owned())
            }
            SessionEventKind::Status { .. } => return None,
            what => ("── ", Look::Dim, format!("{} {}", what.word().replace(['.', '_'], " "), what.text())),
        },
        _ => return None,
    })
}

fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { first + " …" } else { first }
}

/// The first line of an output, and the number of the others.
fn shortened(text: &str) -> String {
    let text = text.trim();
    let first = text.lines().next().unwrap_or_default();
    match text.lines().count() {
        0 | 1 => first.to_owned(),
        count => format!("{first} (+{})", codex_agent_shared::text::counted(count - 1, "line")),
    }
}
