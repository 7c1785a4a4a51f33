//! The sessions that are searched, and the threads that search them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, is_quiet, note, reason, warn};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Field, Id, Session};
use codex_agent_shared::reference;
use codex_agent_shared::text::counted;
use codex_agent_shared::transcript::order::{Found, in_order};
use codex_agent_shared::transcript::search::{Hit, Place, Search};
use codex_agent_shared::transcript::{Options, Problem, Reader, Record};

use super::Args;
use super::forms::Form;

/// The time after which output is shown although more may follow.
const PATIENCE: Duration = Duration::from_millis(300);

/// A session to search.
struct Job {
    session: Session<'static>,
    /// Whether its matches are only counted.
    is_hidden: bool,
    /// Whether its inherited turns are searched: those of a session that is searched itself are not.
    inherits: bool,
    /// The turn that an address names.
    turn: Option<String>,
}

impl Job {
    /// Whether the turn of this number and id is searched.
    fn has(&self, number: Option<u64>, id: Option<&str>) -> bool {
        self.turn.as_deref().is_none_or(|turn| match turn.parse::<u64>() {
            Ok(wanted) => number == Some(wanted),
            Err(_) => id == Some(turn),
        })
    }
}

/// The end of the search of a session, with the number of matches.
enum End {
    Searched(usize, Vec<Problem>),
    /// The session has no turn of this address.
    NoTurn(String),
    Missing,
    Failed(String),
}

/// Searches all sessions; the exit status says whether there is a match.
pub(super) fn search_all(args: &Args, search: &Search) -> Result<Exit> {
    let mut index = args.common.index()?;
    let mut form = Form::new(args, &index)?;
    // The names of the files are read once, for the listing and for the search.
    let files = index.shared_files();
    let mut tally = Tally::new(args);
    let most = match (args.own.list || is_quiet(), args.own.most) {
        (true, _) => 1,
        (false, most) => most.unwrap_or(usize::MAX),
    };
    let is_counted = args.own.list || args.own.count || is_quiet();
    let mut count = 0;
    in_order(
        |add| {
            feed(args, &mut index, &mut |job| {
                count += 1;
                add(Arc::new(job))
            })
        },
        |job: Arc<Job>, give| {
            let is_counted = is_counted || job.is_hidden;
            let end = do_job(&job, search, &files, most, is_counted, &mut |hit, size| {
                give((Arc::clone(&job), hit), size)
            });
            (job, end)
        },
        |found| match found {
            Found::Result((job, hit), _) => tally.hit(&job.session, &hit, &mut form),
            Found::End((job, end)) => tally.end(&job.session, job.is_hidden, end, &mut form),
        },
    )?;
    form.finish()?;
    tally.finish(args, &mut index, count)
}

/// The fields of sessions that are printed.
fn form_fields(args: &Args) -> Result<Vec<Field>> {
    let mut fields = vec![
        Field::Id,
        Field::RolloutPath,
        Field::Title,
        Field::Name,
        Field::Cwd,
        Field::UpdatedAt,
        Field::ArchivedAt,
        Field::Subagent,
        Field::Source,
    ];
    if args.own.list {
        fields.extend(Field::LISTED);
        fields.extend(args.common.shape()?.needed());
    }
    Ok(fields)
}

/// Passes the sessions on: those of REF, or those that the filters select, first those that are shown.
fn feed(args: &Args, index: &mut Index, add: &mut dyn FnMut(Job) -> bool) -> Result<()> {
    let fields = form_fields(args)?;
    match args.operands.is_empty() {
        true => feed_selected(args, index, fields, add),
        false => feed_named(args, index, fields, add),
    }
}

fn feed_named(
    args: &Args,
    index: &mut Index,
    fields: Vec<Field>,
    add: &mut dyn FnMut(Job) -> bool,
) -> Result<()> {
    if args.common.selection.is_given() {
        return Err(Error::usage("filters of sessions cannot be combined with REF"));
    }
    let mut named = Vec::new();
    for operand in args.operands.iter().filter(|operand| *operand != "-") {
        let (session, turn, _) = reference::resolve_address(index, operand)?;
        named.push((session, turn));
    }
    if args.operands.iter().any(|operand| operand == "-") {
        reference::each_of_stdin(|_| None, &mut |text| {
            named.push((reference::resolve_address(index, text)?.0, None));
            Ok(())
        })?;
    }
    // Rows of matches name a session several times.
    let mut seen = HashSet::new();
    named.retain(|(session, turn)| session.id.is_none_or(|id| seen.insert((id, turn.clone()))));
    let ids: BTreeSet<Id> = named.iter().filter_map(|(session, _)| session.id).collect();
    // A reference that was resolved has not all fields.
    let filter = Filter {
        ids: Some(ids.iter().copied().collect()),
        archived: Archived::With,
        subagents: true,
        ..Filter::default()
    };
    let mut complete = HashMap::new();
    let query = Query { filter, fields, full: args.common.full, ..Query::default() };
    index.list(&query, &mut |session| {
        complete.extend(session.id.map(|id| (id, session.clone().into_owned())));
        Ok(())
    })?;
    for (session, turn) in named {
        let inherits = args.own.inherited || !has_ancestor(index, &session, &ids)?;
        let session = session.id.and_then(|id| complete.get(&id).cloned()).unwrap_or(session);
        if !add(Job { session, is_hidden: false, inherits, turn }) {
            break;
        }
    }
    Ok(())
}

fn feed_selected(
    args: &Args,
    index: &mut Index,
    fields: Vec<Field>,
    add: &mut dyn FnMut(Job) -> bool,
) -> Result<()> {
    let shown = args.common.selection.filter(index)?;
    let (has_subagents, archived) = (shown.subagents, shown.archived);
    // Sessions that are not shown are searched for a note alone.
    let all = Filter {
        subagents: true,
        archived: if archived == Archived::No { Archived::With } else { archived },
        ..shown.clone()
    };
    // One listing has both; but where the first matches are enough, the others need not be read.
    let hides = !has_subagents || archived == Archived::No;
    let filters = match args.common.limit {
        _ if is_quiet() || !hides => vec![shown],
        Some(_) => vec![shown, all],
        None => vec![all],
    };
    let mut kept = fields.clone();
    // The label of a session shows it where it was read for a filter.
    kept.push(Field::ForkedFrom);
    let mut seen = HashSet::new();
    let mut hidden = Vec::new();
    let mut is_over = false;
    for filter in filters {
        if is_over {
            break;
        }
        let query = Query { filter, fields: fields.clone(), full: args.common.full, ..Query::default() };
        index.list_while(&query, &mut |session| {
            if session.id.is_some_and(|id| !seen.insert(id)) {
                return Ok(true);
            }
            let is_hidden = (!has_subagents && session.is_subagent())
                || (archived == Archived::No && session.archived_at.is_some());
            let session = match args.own.list {
                true => session.clone().into_owned(),
                false => session.owned(&kept),
            };
            let job = Job { session, is_hidden, inherits: args.own.inherited, turn: None };
            if is_hidden {
                hidden.push(job);
            } else {
                is_over = !add(job);
            }
            Ok(!is_over)
        })?;
    }
    for job in hidden {
        is_over = is_over || !add(job);
    }
    Ok(())
}

/// Whether a session continues another one of these.
fn has_ancestor(index: &mut Index, session: &Session<'_>, all: &BTreeSet<Id>) -> Result<bool> {
    // A session alone has none, and its rollout need not be read for that.
    let mut parent = if all.len() > 1 { reference::parent_of(session) } else { None };
    // A chain of forks is short, but a damaged home may have a circular one.
    for _ in 0..64 {
        let Some(id) = parent else { break };
        if all.contains(&id) {
            return Ok(true);
        }
        parent = index.get(id)?.and_then(|session| reference::parent_of(&session));
    }
    Ok(false)
}

fn do_job(
    job: &Job,
    search: &Search,
    files: &Files,
    most: usize,
    is_counted: bool,
    give: &mut dyn FnMut(Hit, usize) -> bool,
) -> End {
    let Some(session) = job.session.id else { return End::Missing };
    let named = job.session.rollout_path.as_deref();
    let place = Place { files, session, named, inherits: job.inherits };
    let most = if job.is_hidden { usize::MAX } else { most };
    let searched = if is_counted && job.turn.is_none() {
        search.count(&place, most)
    } else {
        let mut count = 0;
        let searched = search.search(&place, &mut |hit| {
            if !job.has(hit.item.turn, hit.item.turn_id.as_deref()) {
                return true;
            }
            count += 1;
            let size = size_of::<Hit>() + 2 * hit.text.len();
            (is_counted || give(hit, size)) && count < most
        });
        searched.map(|problems| (count, problems))
    };
    match searched {
        Ok((0, problems)) => match &job.turn {
            Some(turn) if !has_turn(job, &place) => End::NoTurn(turn.clone()),
            _ => End::Searched(0, problems),
        },
        Ok((count, problems)) => End::Searched(count, problems),
        Err(error) if error.kind() == ErrorKind::NotFound => End::Missing,
        Err(error) => End::Failed(reason(&error)),
    }
}

/// Whether a session has the turn that an address names, as far as its files can be read.
fn has_turn(job: &Job, place: &Place<'_>) -> bool {
    let options = Options { undone: true, copied: place.inherits, live: false };
    let Ok(mut reader) = Reader::of_session(place.files, place.session, place.named, options) else {
        return true;
    };
    loop {
        match reader.next_record() {
            Ok(Some(Record::Item(item))) if job.has(item.turn, item.turn_id.as_deref()) => return true,
            Ok(Some(Record::Turn(turn))) if job.has(turn.turn, turn.turn_id.as_deref()) => return true,
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Counts what is found, and passes it on to be printed.
struct Tally {
    limit: usize,
    is_named: bool,
    shows_inherited: bool,
    /// The number of items or sessions that were printed.
    printed: usize,
    missing: usize,
    /// The matches in subagents and in archived sessions, and the numbers of such sessions.
    subagents: (usize, usize),
    archived: (usize, usize),
    began: Instant,
    /// Whether a turn that was named does not exist.
    lacks_turn: bool,
    exit: Exit,
}

impl Tally {
    fn new(args: &Args) -> Tally {
        Tally {
            limit: if is_quiet() { 1 } else { args.common.limit.unwrap_or(usize::MAX) },
            is_named: !args.operands.is_empty(),
            shows_inherited: args.own.inherited,
            printed: 0,
            missing: 0,
            subagents: (0, 0),
            archived: (0, 0),
            began: Instant::now(),
            lacks_turn: false,
            exit: Exit::Done,
        }
    }

    fn hit(&mut self, session: &Session<'_>, hit: &Hit, form: &mut Form) -> Result<bool> {
        if self.printed >= self.limit {
            return Ok(false);
        }
        form.add(session, hit)?;
        self.printed += 1;
        Ok(self.printed < self.limit)
    }

    fn end(&mut self, session: &Session<'_>, is_hidden: bool, end: End, form: &mut Form) -> Result<bool> {
        if self.printed >= self.limit {
            return Ok(false);
        }
        let mut count = 0;
        let id = session.id.map(|id| id.to_string()).unwrap_or_default();
        match end {
            End::Searched(matches, problems) => {
                count = matches;
                for problem in &problems {
                    // The turns before are those of another session.
                    if self.shows_inherited || matches!(problem, Problem::Unreadable { .. }) {
                        warn(format_args!("session '{id}': {problem}"));
                    }
                }
            }
            End::NoTurn(turn) => {
                warn(reference::no_turn(&id, &turn));
                self.lacks_turn = true;
            }
            End::Missing if self.is_named => {
                warn(format_args!("session '{id}' has no rollout, and was not searched"));
                self.exit = Exit::Trouble;
            }
            End::Missing => self.missing += 1,
            End::Failed(reason) => {
                warn(format_args!("cannot search the transcript of session '{id}': {reason}"));
                self.exit = Exit::Trouble;
            }
        }
        if is_hidden && count > 0 {
            let tally = if session.is_subagent() { &mut self.subagents } else { &mut self.archived };
            *tally = (tally.0 + count, tally.1 + 1);
        } else if count > 0 && form.end_session(session, count)? {
            self.printed += 1;
        }
        if self.began.elapsed() > PATIENCE {
            self.began = Instant::now();
            form.flush()?;
        }
        Ok(self.printed < self.limit)
    }

    /// Reports what was not printed.
    fn finish(self, args: &Args, index: &mut Index, count: usize) -> Result<Exit> {
        let hidden =
            [(self.subagents, "subagent", "--subagents"), (self.archived, "archived session", "--archived")];
        let more = if self.printed > 0 { "more " } else { "" };
        for ((hits, sessions), noun, flag) in hidden.into_iter().filter(|((hits, _), ..)| *hits > 0) {
            let hits = match hits {
                1 => format!("1 {more}match"),
                hits => format!("{hits} {more}matches"),
            };
            note(format_args!("{hits} in {} ({flag})", counted(sessions, noun)));
        }
        if self.missing > 0 {
            note(format_args!(
                "{} without a rollout could not be searched",
                counted(self.missing, "session")
            ));
        }
        if count == 0 {
            args.common.selection.note_none(index, "no session matches the filters")?;
        } else if self.printed == 0
            && !self.lacks_turn
            && self.exit == Exit::Done
            && (self.subagents.0, self.archived.0) == (0, 0)
        {
            let sessions = counted(count, "session");
            match args.own.roles.is_empty() {
                true => note(format_args!(
                    "no match in the messages of {sessions}; --in all also searches commands, outputs and other items"
                )),
                false => note(format_args!("no match in {sessions}")),
            }
        }
        Ok(match self.exit {
            Exit::Done if self.printed == 0 => Exit::Negative,
            exit => exit,
        })
    }
}
