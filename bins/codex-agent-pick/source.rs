//! The sessions, read on a thread of their own, so that the first rows are shown before the last are known.
//!
//! Rows are reported in order, in batches that grow. Without standard input those of this repository come first, and
//! before all rows the ids of the sessions that have the words of the query.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::cli::remote::{Operands, Order};
use codex_agent_shared::error::{Exit, Result, warn};
use codex_agent_shared::output::Shape;
use codex_agent_shared::query::{Archived, Directory, Filter, Query, Repository, Sort};
use codex_agent_shared::record::{Field, Id, RawRecord, Session};
use codex_agent_shared::reference::{self, Input, Inputs};

use crate::rows::Row;

/// Where sessions come from.
#[derive(Clone)]
pub(super) enum Source {
    /// The home of Codex.
    Home {
        /// The conditions of each session.
        filter: Box<Filter>,
        /// The condition of the sessions of this place.
        here: Box<Filter>,
        /// Whether the conditions name places or sessions, so that those of this place are not read first.
        is_placed: bool,
        /// The words of the query that the list begins with.
        words: Vec<String>,
    },
    /// Standard input, which can be read once.
    Stdin,
    /// Hosts, of which each is asked.
    Hosts,
}

/// What is known of the list so far.
pub(super) enum Report {
    /// The ids of the sessions that have the words, the best first.
    Answers(Vec<String>),
    /// More rows.
    Rows(Vec<Arc<Row>>),
    /// All sessions of this repository were reported; others may follow.
    Here,
    /// All rows were reported. The exit status is that of the input.
    End(Result<Exit>),
}

/// The fields of a row.
const FIELDS: [Field; 9] = [
    Field::Id,
    Field::UpdatedAt,
    Field::Cwd,
    Field::Name,
    Field::Title,
    Field::Branch,
    Field::Source,
    Field::Subagent,
    Field::ArchivedAt,
];

/// Collects rows, and reports them. The first batch is a screen.
struct Batches<'r> {
    rows: Vec<Arc<Row>>,
    most: usize,
    report: &'r mut dyn FnMut(Report),
}

impl Batches<'_> {
    fn push(&mut self, row: Row) {
        self.rows.push(Arc::new(row));
        if self.rows.len() >= self.most {
            self.most = (self.most * 8).min(16_384);
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.rows.is_empty() {
            (self.report)(Report::Rows(std::mem::take(&mut self.rows)));
        }
    }
}

/// The condition of the sessions of a directory, and the name of the place: those of its repository, in all of its
/// working trees, or, outside of a repository, those of the directory and of the directories below it.
pub(super) fn place_of(directory: &Path) -> (Filter, &'static str) {
    match Repository::of_directory(directory) {
        Some(repository) => (Filter { repo: vec![repository], ..Filter::default() }, "repository"),
        None => (Filter { under: vec![Directory::new(directory)], ..Filter::default() }, "directory"),
    }
}

/// Reads all sessions of a source.
pub(super) fn load(source: Source, common: &CommonOptions, report: &mut dyn FnMut(Report)) {
    let mut batches = Batches { rows: Vec::new(), most: 64, report };
    let end = match source {
        Source::Home { filter, here, is_placed, words } => {
            load_home(&filter, &here, is_placed, words, common, &mut batches)
        }
        Source::Stdin => load_stdin(common, &mut batches),
        Source::Hosts => load_hosts(common, &mut batches),
    };
    batches.flush();
    (batches.report)(Report::End(end));
}

fn load_home(
    filter: &Filter,
    here: &Filter,
    is_placed: bool,
    words: Vec<String>,
    common: &CommonOptions,
    batches: &mut Batches<'_>,
) -> Result<Exit> {
    let mut index = common.index()?;
    if !words.is_empty() {
        let mut ids = Vec::new();
        let query = Query { filter: Filter { words, ..filter.clone() }, ..Query::default() };
        reference::search(&mut index, &query, &mut |session| {
            ids.extend(session.id.map(|id| id.to_string()));
            Ok(())
        })?;
        (batches.report)(Report::Answers(ids));
    }
    let mut seen = HashSet::new();
    let here = Filter { archived: Archived::With, subagents: true, ..here.clone() };
    if !is_placed {
        let filter = Filter { repo: here.repo.clone(), under: here.under.clone(), ..filter.clone() };
        let query = Query { filter, fields: FIELDS.to_vec(), ..Query::default() };
        index.list(&query, &mut |session| {
            if session.id.is_some_and(|id| seen.insert(id)) {
                batches.push(Row::new(session, true));
            }
            Ok(())
        })?;
        batches.flush();
        (batches.report)(Report::Here);
    }
    let query = Query { filter: filter.clone(), fields: FIELDS.to_vec(), ..Query::default() };
    index.list(&query, &mut |session| {
        if session.id.is_some_and(|id| seen.insert(id)) {
            batches.push(Row::new(session, is_placed && !here.rejects(session, here.needs())));
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// The sessions of all hosts, the newest first.
fn load_hosts(common: &CommonOptions, batches: &mut Batches<'_>) -> Result<Exit> {
    let Some(remote) = common.on_hosts("ls", Operands::default())? else { return Ok(Exit::Done) };
    let shape = Shape { json: true, ..Shape::default() };
    let (found, exit) =
        remote.only_flags(&["all", "one"]).sessions(&shape, Order::Sorted(Sort::default()))?;
    for found in found {
        batches.push(row_of_record(found.record));
    }
    Ok(exit)
}

/// Sessions in the order of the input: a query of another tool has its own order.
fn load_stdin(common: &CommonOptions, batches: &mut Batches<'_>) -> Result<Exit> {
    let mut exit = Exit::Done;
    let mut texts: Vec<(u64, String)> = Vec::new();
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    while let Some(next) = inputs.next() {
        match next {
            Ok((_, Input::Record(record))) => {
                // References before this record keep their place.
                exit = resolve(&mut texts, common, batches)?.unwrap_or(exit);
                batches.push(row_of_record(record));
            }
            Ok((_, Input::Other(_))) => {}
            Ok((line, Input::Text(text))) => texts.push((line, text)),
            Err(failure) if failure.is_final => return Err(failure.error),
            Err(failure) => (warn(&failure.error), exit = Exit::Trouble).1,
        }
    }
    Ok(resolve(&mut texts, common, batches)?.unwrap_or(exit))
}

fn row_of_record(record: RawRecord) -> Row {
    // A record of another program may have fields of other types; its id is enough.
    let session: Session<'_> = serde_json::from_str(record.text.get()).unwrap_or_default();
    let mut row = Row::new(&session, true);
    row.set_id(record.id.as_deref().unwrap_or_default());
    row.raw = Some(record);
    row
}

/// Rows of references. Complete ids, as `ls` prints them, are looked up together. A reference without a session is a
/// warning.
fn resolve(
    texts: &mut Vec<(u64, String)>,
    common: &CommonOptions,
    batches: &mut Batches<'_>,
) -> Result<Option<Exit>> {
    if texts.is_empty() {
        return Ok(None);
    }
    let mut index = common.index()?;
    let mut ids: Vec<Id> = texts.iter().filter_map(|(_, text)| Id::parse(text)).collect();
    ids.sort();
    ids.dedup();
    let mut known: HashMap<Id, Row> = HashMap::new();
    if ids.len() > 1 {
        let filter =
            Filter { ids: Some(ids), archived: Archived::With, subagents: true, ..Filter::default() };
        let query = Query { filter, fields: FIELDS.to_vec(), ..Query::default() };
        index.list(&query, &mut |session| {
            known.extend(session.id.map(|id| (id, Row::new(session, true))));
            Ok(())
        })?;
    }
    let mut exit = None;
    for (line, text) in texts.drain(..) {
        let row = match Id::parse(&text).and_then(|id| known.remove(&id)) {
            Some(row) => Ok(row),
            None => reference::resolve(&mut index, &text).map(|session| Row::new(&session, true)),
        };
        match row {
            Ok(row) => batches.push(row),
            Err(error) => {
                warn(error.within(format_args!("stdin:{line}")));
                exit = Some(Exit::Trouble);
            }
        }
    }
    Ok(exit)
}
