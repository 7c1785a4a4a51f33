//! The answers of hosts, as one output.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{Remote, with_host};
use crate::error::{Exit, Result, warn};
use crate::host::HERE;
use crate::host::gather::{Gather, Merge};
use crate::ndjson::Output;
use crate::output::{Sessions, Shape};
use crate::query::Sort;
use crate::record::{Field, RawRecord, Session};
use crate::terminal::{Color, columns, is_terminal, page};
use crate::text::{harmless, harmless_json, harmless_with_colors};

/// The time for which a host that lists sessions may be silent. Its listing is one block.
const LISTING: Duration = Duration::from_secs(10);

/// The longest listing of a host that is sorted, in bytes: that of 250,000 sessions.
const LONGEST_LISTING: u64 = 256 << 20;

/// The time for which a host that reads transcripts may be silent. A lost connection ends by itself.
const READING: Duration = Duration::from_secs(600);

/// The flags of the form of the output, which the asked hosts do not choose.
const FORM: [&str; 10] =
    ["json", "fields", "format", "null", "table", "no-pager", "color", "count", "limit", "offset"];

/// What the lines of a tool begin with, where they are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// An id or an address, which becomes `HOST:ID`.
    Address,
    /// Any other value: the host is a column before it.
    Column,
    /// The lines are a text, and no rows.
    Text,
}

impl Style {
    /// The text before a row of a host.
    fn before(self, host: &str) -> String {
        match self {
            Style::Address if host != HERE => format!("{host}:"),
            Style::Column => format!("{host}\t"),
            _ => String::new(),
        }
    }
}

/// The order of sessions of several hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By a key.
    Sorted(Sort),
    /// As each host has found them: the best of each host first.
    Ranked,
    /// As each host has listed them, one host after the other.
    Listed,
}

/// A session of a host.
pub struct Found {
    /// The session.
    pub session: Session<'static>,
    /// The record as the host has written it, with its host.
    pub record: RawRecord,
    /// The place in the list of the host, and that of the host.
    place: (usize, usize),
}

/// The sessions of hosts, in order, and the exit status.
pub type FoundSessions = (Vec<Found>, Exit);

/// The question to a tool that lists sessions.
pub(super) fn gather(tool: &'static str) -> Gather {
    Gather {
        tool,
        merge: Merge::Lines,
        end: b'\n',
        silence: LISTING,
        keeps_rest: false,
        longest: LONGEST_LISTING,
    }
}

impl Remote<'_> {
    fn gather(&self, merge: Merge, silence: Duration) -> Gather {
        let end = if self.common.nul { b'\0' } else { b'\n' };
        Gather { tool: self.tool, merge, end, silence, keeps_rest: false, longest: u64::MAX }
    }

    /// Whether there is a host to ask. All of standard input may have been skipped.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    fn host_names(&self) -> Vec<String> {
        self.targets.iter().map(|target| target.host.name.clone()).collect()
    }

    /// The number of sessions of all hosts.
    pub fn count(mut self) -> Result<(usize, Exit)> {
        let asks = self.asks(&FORM, &["--count".to_owned()], None)?;
        let mut sum = 0;
        let exit = self.gather(Merge::Lines, LISTING).run(asks, &mut |_, line| {
            sum += std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.trim().parse::<usize>().ok())
                .unwrap_or(0);
            Ok(true)
        })?;
        Ok((sum, self.exit(exit)))
    }

    /// Prints the sessions of all hosts as records, each as it comes.
    pub fn stream_sessions(mut self) -> Result<Exit> {
        let names = self.host_names();
        let more = self.session_form(&Shape { json: true, ..Shape::default() }, None);
        let asks = self.asks(&FORM, &more, None)?;
        let mut output = Output::stdout();
        let mut skipped = Skipped::default();
        let exit = self.gather(Merge::Lines, LISTING).run(asks, &mut |at, line| {
            match with_host(line, &names[at]) {
                Some(record) => output.text(shown(&record).as_bytes(), b"\n")?,
                None => skipped.add(&names[at], line),
            }
            output.flush_checked().map(|()| true)
        })?;
        output.flush()?;
        Ok(skipped.exit(self.exit(exit)))
    }

    /// The flags by which a host prints session records with the fields that are printed here.
    fn session_form(&self, shape: &Shape, limit: Option<usize>) -> Vec<String> {
        let needed = shape.needed();
        let extra =
            Field::ALL.iter().filter(|field| !Field::LISTED.contains(field) && needed.contains(field));
        let extra: Vec<&str> =
            extra.filter(|field| **field != Field::Host).map(|field| field.name()).collect();
        let mut more = match extra.is_empty() {
            true => vec!["--json".to_owned()],
            false => {
                let listed = Field::LISTED.iter().map(|field| field.name());
                vec![format!("--json={}", listed.chain(extra).collect::<Vec<_>>().join(","))]
            }
        };
        more.extend(limit.map(|limit| format!("--limit={limit}")));
        more
    }

    /// The sessions of all hosts that `shape` needs.
    pub fn sessions(mut self, shape: &Shape, order: Order) -> Result<FoundSessions> {
        let (offset, limit) = (self.common.selection.offset, self.common.selection.limit);
        let names = self.host_names();
        let more = self.session_form(shape, limit.map(|limit| limit.saturating_add(offset)));
        let asks = self.asks(&FORM, &more, None)?;
        let mut found: Vec<Found> = Vec::new();
        let mut places = vec![0; names.len()];
        let mut skipped = Skipped::default();
        let exit = Gather { end: b'\n', longest: LONGEST_LISTING, ..self.gather(Merge::Lines, LISTING) }
            .run(asks, &mut |at, line| {
                match read(line, &names[at]) {
                    // A record of another type.
                    Some(None) => {}
                    Some(Some((session, record))) => {
                        found.push(Found { session, record, place: (places[at], at) });
                        places[at] += 1;
                    }
                    None => skipped.add(&names[at], line),
                }
                Ok(true)
            })?;
        // The order of hosts decides between sessions that were copied from one to another.
        found.sort_by_key(|found| found.place);
        if order == Order::Listed {
            found.sort_by_key(|found| found.place.1);
        }
        if let Order::Sorted(sort) = order {
            found.sort_by(|a, b| sort.compare(&a.session, &b.session).then(a.place.1.cmp(&b.place.1)));
        }
        found.drain(..offset.min(found.len()));
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok((found, skipped.exit(self.exit(exit))))
    }

    /// Prints the sessions of all hosts.
    pub fn print_sessions(self, shape: Shape, order: Order) -> Result<Exit> {
        let (found, exit) = self.sessions(&shape, order)?;
        print_found(&found, shape, &[])?;
        Ok(exit)
    }

    /// Passes on each record of the hosts, with its host. The hosts get the typed flags except for some, and others.
    pub fn records(
        mut self,
        except: &[&str],
        more: &[String],
        take: &mut dyn FnMut(&str, serde_json::Value),
    ) -> Result<Exit> {
        let names = self.host_names();
        let asks = self.asks(except, more, None)?;
        let mut skipped = Skipped::default();
        let gather = Gather { end: b'\n', ..self.gather(Merge::Lines, READING) };
        let exit = gather.run(asks, &mut |at, line| {
            match serde_json::from_slice(line) {
                Ok(record @ serde_json::Value::Object(_)) => take(&names[at], record),
                _ => skipped.add(&names[at], line),
            }
            Ok(true)
        })?;
        Ok(skipped.exit(self.exit(exit)))
    }

    /// Prints the output of all hosts as the tool prints it there.
    pub fn print(mut self, style: Style) -> Result<Exit> {
        let common = self.common;
        let names = self.host_names();
        let shows_table =
            (is_terminal() || common.table) && !common.json && !common.nul && common.template.is_none();
        let is_row = !common.json && !shows_table && common.template.is_none() && common.fields.is_none();
        // The host does not know this terminal.
        let color = if self.common.color.is_on() { "--color=always" } else { "--color=never" };
        let is_colored = shows_table || common.color == Color::Always;
        let more = if is_colored { vec![color.to_owned()] } else { Vec::new() };
        let asks = self.asks(&["color", "no-pager"], &more, shows_table.then(columns))?;
        if is_terminal() && !common.no_pager {
            page();
        }
        let mut output = Output::stdout();
        let mut skipped = Skipped::default();
        let mut left = common.limit.unwrap_or(usize::MAX);
        let mut last = None;
        let end: &[u8] = if common.nul { b"\0" } else { b"\n" };
        let keeps_hosts = shows_table || style == Style::Text || self.tool == "show";
        let merge = if keeps_hosts { Merge::Hosts } else { Merge::Lines };
        let silence = if self.tool == "status" { LISTING } else { READING };
        let gather =
            Gather { keeps_rest: style == Style::Text && !common.json, ..self.gather(merge, silence) };
        let exit = gather.run(asks, &mut |at, line| {
            if common.json {
                let Some(record) = with_host(line, &names[at]) else {
                    skipped.add(&names[at], line);
                    return Ok(true);
                };
                output.text(shown(&record).as_bytes(), b"\n")?;
            } else {
                if shows_table && names.len() > 1 && last.replace(at) != Some(at) {
                    output.text(format!("==> {} <==", names[at]).as_bytes(), b"\n")?;
                }
                let text = String::from_utf8_lossy(line);
                let text = if is_terminal() { harmless_with_colors(&text) } else { text };
                let before = if is_row { style.before(&names[at]) } else { String::new() };
                output.text(format!("{before}{text}").as_bytes(), end)?;
            }
            if merge == Merge::Lines {
                output.flush_checked()?;
                left -= usize::from(!shows_table);
            }
            Ok(left > 0)
        })?;
        output.flush()?;
        Ok(skipped.exit(self.exit(exit)))
    }
}

/// Prints sessions of hosts, in which these words, in lower case, are marked.
pub fn print_found(found: &[Found], shape: Shape, words: &[String]) -> Result<()> {
    let is_plain_json = shape.json && shape.fields.is_none();
    let mut sessions = Sessions::new(shape).with_hosts();
    sessions.highlight(words);
    for Found { session, record, .. } in found {
        match is_plain_json {
            true => sessions.record(&record.text)?,
            false => sessions.write_with(session, Some(&record.text))?,
        }
    }
    sessions.finish()
}

/// Reads the session record of a host; `None` inside for a record of another type, and outside for no record.
pub(super) fn read(line: &[u8], host: &str) -> Option<Option<(Session<'static>, RawRecord)>> {
    let line = with_host(line, host)?.into_owned();
    let record = RawRecord::new(RawValue::from_string(line).ok()?).ok()?;
    if record.kind.as_deref() != Some("session") {
        return Some(None);
    }
    let session: Session<'_> = serde_json::from_str(record.text.get()).ok()?;
    Some(Some((session.into_owned(), record)))
}

/// The lines of hosts that are no records.
#[derive(Default)]
struct Skipped {
    hosts: Vec<String>,
}

impl Skipped {
    /// Reports the first such line of a host.
    fn add(&mut self, host: &str, line: &[u8]) {
        if line.is_empty() || self.hosts.iter().any(|known| known == host) {
            return;
        }
        self.hosts.push(host.to_owned());
        let line = String::from_utf8_lossy(line);
        let start: String = line.chars().take(60).collect();
        warn(format_args!("host '{host}': skipped what is no record: '{}'", harmless(&start)));
    }

    fn exit(&self, exit: Exit) -> Exit {
        if self.hosts.is_empty() { exit } else { Exit::Trouble }
    }
}

/// A record of a host, made harmless for a terminal.
fn shown(record: &str) -> Cow<'_, str> {
    if is_terminal() { harmless_json(record) } else { Cow::Borrowed(record) }
}
