//! The forms of the output.

use codex_agent_shared::codex::index::Index;
use codex_agent_shared::config;
use codex_agent_shared::error::{Result, is_quiet};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows, Sessions, Shape, label};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::terminal::{Cell, Look, Table, columns, page, painted};
use codex_agent_shared::text::{cell, path_cell, width};
use codex_agent_shared::transcript::search::{Hit, MatchRecord, TextLine};

use super::Args;
use super::excerpt::{excerpt, shown};

/// The values that rows and templates have besides the fields of the record.
pub(super) const MORE: [&str; 3] = ["title", "cwd", "line"];

/// The lines of context.
#[derive(Clone, Copy)]
pub(super) struct Context {
    before: usize,
    after: usize,
}

/// Prints what is found.
pub(super) enum Form {
    /// Lines below the title of their session.
    People(Box<People>),
    /// Records or rows of items.
    Items(Box<Listing>, Context),
    /// The sessions with a match.
    Sessions(Box<Sessions>),
    /// The number of matches of each session.
    Counts(Box<Listing>),
    /// Nothing: only the exit status is of interest.
    Nothing,
}

impl Form {
    pub(super) fn new(args: &Args, index: &Index) -> Result<Form> {
        let own = &args.own;
        if is_quiet() {
            return Ok(Form::Nothing);
        }
        let context = Context {
            before: own.before.or(own.context).unwrap_or(0),
            after: own.after.or(own.context).unwrap_or(0),
        };
        if own.list {
            return Ok(Form::Sessions(Box::new(Sessions::new(args.common.shape()?).completed_by(index))));
        }
        let shape = args.common.shape_of(&["match"], &MORE)?;
        if own.count {
            let table = Table::new()
                .column("ID", Look::Id)
                .column("MATCHES", Look::Plain)
                .column("TITLE", Look::Plain)
                .gives_way(1, 20);
            return Ok(Form::Counts(Box::new(Listing::new(Shape { limit: None, ..shape }, table))));
        }
        let is_plain = shape.fields.is_none() && shape.template.is_none() && !shape.json;
        if is_plain && shape.is_table() {
            if !shape.no_pager {
                page();
            }
            return Ok(Form::People(Box::new(People::new(shape.color.is_on(), context))));
        }
        Ok(Form::Items(Box::new(Listing::new(shape, Table::new())), context))
    }

    /// Prints an item that matches.
    pub(super) fn add(&mut self, session: &Session<'_>, hit: &Hit) -> Result<()> {
        match self {
            Form::People(people) => people.add(session, hit),
            Form::Items(listing, context) => {
                let lines: Vec<&str> = chosen(hit, *context).iter().map(|(line, _)| line.text).collect();
                let lines = lines.join("\n");
                let more = [
                    ("title", session.label()),
                    ("cwd", session.cwd.as_deref().unwrap_or_default()),
                    ("line", &*lines),
                ];
                let plain = || {
                    let item = &hit.item;
                    let at = item.at.map(|at| at.to_string()).unwrap_or_default();
                    let role = format!("{}{}", item.role.word(), if item.undone { " undone" } else { "" });
                    vec![item.address.clone().unwrap_or_default(), at, role, lines.clone()]
                };
                listing.add(&MatchRecord::new(hit), &more, Rows { plain, table: |_| Vec::<Cell>::new() })
            }
            Form::Sessions(_) | Form::Counts(_) | Form::Nothing => Ok(()),
        }
    }

    /// Ends a session with matches; returns whether something was printed for it.
    pub(super) fn end_session(&mut self, session: &Session<'_>, count: usize) -> Result<bool> {
        match self {
            Form::Sessions(sessions) => sessions.write(session).map(|()| true),
            Form::Counts(listing) => {
                let id = session.id.map(|id| id.to_string()).unwrap_or_default();
                let plain = || vec![id, count.to_string(), session.label().to_owned()];
                let table = |_| {
                    let (title, look) = label(session);
                    let id = session.id.map(Id::short).unwrap_or_default();
                    vec![id.into(), Cell::number(count), Cell::with_look(title, look)]
                };
                // There is no record of a count.
                listing.add(&(), &[], Rows { plain, table }).map(|()| true)
            }
            Form::Nothing => Ok(true),
            Form::People(_) | Form::Items(..) => Ok(false),
        }
    }

    /// Shows what was printed so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Form::People(people) => people.output.flush(),
            Form::Items(listing, _) => listing.flush(),
            Form::Sessions(sessions) => sessions.flush(),
            Form::Counts(_) | Form::Nothing => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Form::People(mut people) => people.output.flush(),
            Form::Items(listing, _) | Form::Counts(listing) => listing.finish(),
            Form::Sessions(sessions) => sessions.finish(),
            Form::Nothing => Ok(()),
        }
    }
}

/// The matching lines with their context, each with whether lines before it are omitted.
fn chosen(hit: &Hit, context: Context) -> Vec<(TextLine<'_>, bool)> {
    let matching: Vec<u64> = hit.lines().map(|line| line.number).collect();
    let mut next = 0;
    let mut last = 0;
    let mut lines = Vec::new();
    for line in hit.all_lines() {
        while matching.get(next).is_some_and(|number| number + (context.after as u64) < line.number) {
            next += 1;
        }
        let is_near = matching.get(next).is_some_and(|number| *number <= line.number + context.before as u64);
        if is_near {
            let is_apart = last > 0 && line.number > last + 1;
            last = line.number;
            lines.push((line, is_apart));
        }
    }
    lines
}

/// Lines below the title of their session.
pub(super) struct People {
    output: Output,
    color: bool,
    most: usize,
    home: Option<String>,
    context: Context,
    session: Option<Id>,
}

impl People {
    fn new(color: bool, context: Context) -> People {
        let home = config::home().ok().and_then(|home| home.into_os_string().into_string().ok());
        People { output: Output::stdout(), color, most: columns(), home, context, session: None }
    }

    fn heading(&mut self, session: &Session<'_>) -> Result<()> {
        if self.session.is_some() {
            self.output.text(b"", b"\n")?;
        }
        self.session = session.id;
        let (title, look) = label(session);
        let look = if look == Look::Plain { Look::Bold } else { look };
        let time = session.updated_at.map(|at| at.local("%Y-%m-%d %H:%M")).unwrap_or_default();
        let room = self.most.saturating_sub(width(&time) + 2).max(10);
        let title = cell(&title, room);
        let left = room.saturating_sub(width(&title) + 2);
        let path = match left {
            0..=7 => String::new(),
            left => path_cell(session.cwd.as_deref().unwrap_or_default(), self.home.as_deref(), left),
        };
        let rest: Vec<&str> = [&*path, &*time].into_iter().filter(|text| !text.is_empty()).collect();
        let line = format!(
            "{}  {}",
            painted(&title, look, self.color),
            painted(&rest.join("  "), Look::Dim, self.color)
        );
        self.output.text(line.trim_end().as_bytes(), b"\n")
    }

    fn add(&mut self, session: &Session<'_>, hit: &Hit) -> Result<()> {
        if self.session.is_none() || self.session != session.id {
            self.heading(session)?;
        }
        let item = &hit.item;
        let id = session.id.map(Id::short).unwrap_or_default();
        let number = |number: Option<u64>| number.map_or(String::new(), |number| format!(":{number}"));
        let place = match item.undone {
            true => format!("{id} undone"),
            false => format!("{id}{}{}", number(item.turn), number(item.item)),
        };
        let role = item.role.word();
        let indent = width(&place) + 1 + role.len() + 2;
        let start =
            format!("{} {}  ", painted(&place, Look::Id, self.color), painted(role, Look::Dim, self.color));
        let room = self.most.saturating_sub(indent).max(20);
        let mut start = Some(start);
        for (line, is_apart) in chosen(hit, self.context) {
            let (text, spans) = shown(line.text, &line.spans);
            let mut text = excerpt(&text, &spans, room, self.color);
            if line.spans.is_empty() && !hit.spans.is_empty() {
                text = painted(&text, Look::Dim, self.color);
            }
            let blanks = " ".repeat(indent);
            if is_apart && (self.context.before > 0 || self.context.after > 0) {
                let mark = format!("{blanks}{}", painted("--", Look::Dim, self.color));
                self.output.text(mark.as_bytes(), b"\n")?;
            }
            let line = format!("{}{text}", start.take().unwrap_or(blanks));
            self.output.text(line.trim_end().as_bytes(), b"\n")?;
        }
        Ok(())
    }
}
