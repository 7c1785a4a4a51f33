//! codex-agent-archive: archive Codex sessions.

use std::collections::HashSet;
use std::fs::File;
use std::io::stdin;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use codex_agent_engine::codex::archive::{Action, Archiver, Refused, RefusedRecord, refusal_error};
use codex_agent_engine::codex::server::find_codex;
use codex_agent_engine::codex::version::query_version;
use codex_agent_engine::commands::pending::find_pending_work;
use codex_agent_engine::commands::start::is_above_limit;
use codex_agent_shared::child::signals::ignore_interrupts;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, filters, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, status, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Sessions, Shape};
use codex_agent_shared::query::Archived;
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::terminal::{ask, can_ask};
use codex_agent_shared::text::{cell, counted};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::{SessionEvent, SessionEventKind};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    undo: bool,
    delete: bool,
    yes: bool,
    dry_run: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::switch("undo", "unarchive the sessions", |args: &mut Args| &mut args.own.undo),
        Flag::switch("delete", "delete the sessions, archived or not, after a confirmation", |args: &mut Args| &mut args.own.delete)
            .more("Codex deletes the transcript and the name of each session, and the subagents of the session; none of these can be restored. Codex deletes no session of which forks exist that begin in its transcript, unless the forks are deleted by the same command, and does not delete the worktree of a session."),
        Flag::switch("yes", "do not ask for confirmation, and include sessions with pending jobs", |args: &mut Args| &mut args.own.yes)
            .short('y')
            .more("If standard input or standard error is not a terminal, --delete needs this option, and so do more than 20 sessions that are selected by options; the setting runs.confirm_above changes the number."),
        Flag::switch("dry-run", "print the sessions that would be changed, and change no session", |args: &mut Args| {
            &mut args.own.dry_run
        }),
        flags::json("print a record for each session"),
        flags::codex_home(),
        flags::codex(),
    ]
}

fn selecting() -> impl Iterator<Item = Flag> {
    filters::selecting().into_iter().map(|flag| match flag.long() {
        "until" => flag.more("If TIME is a day, week, month or year, such as 2026-11-22, yesterday or 'last week', sessions up to its end are included. '--until 90d' selects the sessions without a turn in the last 90 days."),
        _ => flag,
    })
}

fn tool() -> Tool {
    Tool::ours("codex-agent-archive")
        .description([
            "Runs Codex to archive sessions. An archived session is not listed by codex-agent-ls(1) or by Codex, and cannot be resumed until it is unarchived; its transcript is kept. Codex archives the subagents of a session with the session.",
            "REF is a reference to a session; see codex-agent(7). Without REF, or if REF is '-', references are read from standard input: session records, JSON strings, or lines up to their first TAB. All references must match a session; otherwise no session is changed.",
            "Instead of REF, --since, --until, --under and --repo select all sessions that match: with --undo the archived ones, with --delete archived ones and others.",
            "    codex-agent archive --until 90d",
            "If standard input is a pipe or a file, these options are refused. If they select more than 20 sessions, the tool shows their number, the oldest and the newest, and asks for confirmation; the setting runs.confirm_above changes the number. With --find, alone or beside these options, exactly one session must match; if several match, they are listed, and none is changed.",
            "A session for which a run or a queue has pending jobs is skipped, since its jobs would fail, unless --yes is given. --undo skips no session.",
            "A line on standard error reports the result for each session. A session that Codex does not archive, such as a session that is open in another process, is reported with Codex's reason, and the other sessions are archived. A session that is archived already is reported, and is no error.",
            "Codex 0.77 or later is needed; 0.92 or later for --undo, 0.140 or later for --delete. Codex is started once for all sessions, which takes about half a second.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...|-]", &[Completes::Sessions])
                .flags(filters::SELECTION, selecting())
                .flags("Options", flags()),
        )
        .exit_status(&[
            (0, "All sessions are archived, or, with --undo or --delete, unarchived or deleted; also if the input is empty, or no session matches --since, --until, --under and --repo."),
            (1, "A session does not exist, no session matches --find, Codex refused a session, a session was skipped, or the user did not confirm."),
            (130, "Ctrl-C: the line on standard error reports how many sessions were archived; the same command goes on."),
            (2, "Bad usage, an ambiguous reference, a confirmation is needed and there is neither a terminal nor --yes, or Codex could not be run."),
        ])
        .examples(&[
            ("Archive the newest session of the current directory:", "codex-agent archive @"),
            ("Archive all sessions without a turn in the last 90 days:", "codex-agent archive --until 90d"),
            ("Show which sessions of the repository of the current directory would be archived:", "codex-agent archive --repo . --until 2w --dry-run"),
            ("Archive the sessions of a branch:", "codex-agent ls --branch main --json | codex-agent archive -"),
            ("Unarchive a session:", "codex-agent archive --undo cd6d1b0c"),
            ("List the archived sessions:", "codex-agent ls --archived=only"),
            (
                "Delete all sessions that have been archived and have had no turn for a year:",
                "codex-agent ls --archived=only --until 52w --json | codex-agent archive --delete --yes -",
            ),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-find(1)",
            "codex-agent-ls(1)",
            "codex-agent-resume(1)",
            "codex-agent-records(5)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes(["session", "session.archived", "session.unarchived", "session.deleted", "session.refused"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let action = match (args.own.undo, args.own.delete) {
        (true, true) => return Err(Error::usage("--undo and --delete cannot be combined")),
        (true, false) => Action::Unarchive,
        (false, true) => Action::Delete,
        (false, false) => Action::Archive,
    };
    let mut index = args.common.index()?;
    let harm = format!("nothing was {}", action.done());
    let selection = &args.common.selection;
    let is_filtered = selection.is_given() && !selection.has_words();
    if is_filtered && reads_input() {
        let typed = selection.typed();
        return Err(Error::usage(format!(
            "{typed} cannot be combined with sessions on standard input; {harm}"
        ))
        .hint(format!("'codex-agent ls {typed} --json | codex-agent archive -' selects among all sessions"))
        .hint("'< /dev/null' if standard input has no sessions"));
    }
    let mut sessions = match is_filtered {
        true => filtered(&args, action, &mut index).map_err(|error| error.hint(harm.as_str()))?,
        false => args.common.sessions(&mut index, &args.operands, &harm)?,
    };
    let mut seen = HashSet::new();
    sessions.retain(|session| session.id.is_some_and(|id| seen.insert(id)));
    let mut report = Report::new(action, args.common.json && !args.own.dry_run);
    if action != Action::Unarchive && !args.own.yes {
        skip_pending(action, &mut sessions, &mut report)?;
    }
    if args.own.dry_run {
        print_dry_run(&args, action, &sessions)?;
        return Ok(if report.count_refused > 0 { Exit::Negative } else { Exit::Done });
    }
    if sessions.is_empty() && report.count_refused == 0 {
        if !is_filtered {
            status(format_args!("the input has no sessions; {harm}"));
        }
        return Ok(Exit::Done);
    }
    let is_confirmed = args.own.yes
        || sessions.is_empty()
        || match action {
            Action::Delete => is_deletion_confirmed(&sessions)?,
            _ if is_filtered && is_above_limit(sessions.len())? => is_selection_confirmed(action, &sessions)?,
            _ => true,
        };
    if !is_confirmed {
        status(format_args!("{harm}: the answer was not yes"));
        return Ok(Exit::Negative);
    }
    let (done, open): (Vec<_>, Vec<_>) = sessions.iter().partition(|session| action.is_done(session));
    for session in done {
        report.already(session)?;
    }
    if !open.is_empty() {
        let codex = find_codex(args.common.codex.as_deref())?;
        let home = index.home().clone();
        let version = query_version(&codex, Some(home.path()), Some(home.path()))?;
        let mut archiver = Archiver::start(&codex, &version, &home)?;
        let (count, interrupts) = (open.len(), ignore_interrupts()?);
        let is_interrupted = || interrupts.load(Ordering::Relaxed) > 0;
        let applied = apply_to_all(&mut archiver, action, open, &mut report, &is_interrupted);
        if is_interrupted() {
            // The server gets the Ctrl-C too.
            let (changed, done) = (report.count_done, action.done());
            status(format_args!("stopped: {changed} of {} {done}", counted(count, "session")));
            report.output.as_mut().map_or(Ok(()), Output::flush)?;
            return Ok(Exit::Interrupted);
        }
        applied?;
        archiver.close();
    }
    report.finish()
}

/// Whether standard input is a pipe or a file, whose sessions the user may mean.
fn reads_input() -> bool {
    let input = stdin().as_fd().try_clone_to_owned().and_then(|input| File::from(input).metadata());
    let kind = input.map(|input| input.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file() || kind.is_socket())
}

/// The sessions that the filters select, the newest first.
fn filtered(args: &Args, action: Action, index: &mut Index) -> Result<Vec<Session<'static>>> {
    let archived = match action {
        Action::Archive => Archived::No,
        Action::Unarchive => Archived::Only,
        Action::Delete => Archived::With,
    };
    let selection = &args.common.selection;
    match selection.all(index, &args.operands, archived) {
        Ok(found) => {
            let found = found.unwrap_or_default();
            status(format_args!("{} selects {}", selection.typed(), counted(found.len(), "session")));
            Ok(found)
        }
        // A command that is run every day has nothing to do on most days.
        Err(error) if error.exit() == Exit::Negative => {
            let harm = format!("nothing was {}", action.done());
            warn_of(&error.hint(harm));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Removes and reports the sessions for which a run or a queue has pending jobs.
fn skip_pending(action: Action, sessions: &mut Vec<Session<'static>>, report: &mut Report) -> Result<()> {
    let mut pending = find_pending_work().map_err(|error| {
        let word = action.word();
        error.hint(format!("nothing was {}; --yes {word}s the sessions without this check", action.done()))
    })?;
    let mut error = None;
    sessions.retain(|session| {
        let work = session.id.filter(|_| !action.is_done(session)).and_then(|id| pending.remove(&id));
        let Some(work) = work else { return true };
        let hint = format!("{}; --yes {}s the session nevertheless", work.command, action.word());
        let refused = Refused { message: work.clause, hint: Some(hint), has_forks: false };
        let reported = report.refused(session, &refused.message, &refusal_error(action, session, &refused));
        error = error.take().or(reported.err());
        false
    });
    error.map_or(Ok(()), Err)
}

/// Archives, unarchives or deletes the sessions. A session with forks is deleted after its forks.
fn apply_to_all(
    archiver: &mut Archiver<'_>,
    action: Action,
    mut open: Vec<&Session<'_>>,
    report: &mut Report,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<()> {
    loop {
        let count = open.len();
        let mut left = Vec::new();
        for (at, session) in open.iter().enumerate() {
            if is_interrupted() {
                return Ok(());
            }
            match archiver.apply(action, session) {
                Ok(Ok(path)) => report.done(session, path.map(|path| path.to_string_lossy().into_owned()))?,
                Ok(Err(refused)) if refused.has_forks => left.push((*session, refused)),
                Ok(Err(refused)) => {
                    report.refused(session, &refused.message, &refusal_error(action, session, &refused))?
                }
                Err(error) => {
                    let rest = count - at + left.len();
                    let changed = report.count_done;
                    let done = action.done();
                    let was = |count: usize| {
                        format!("{} {}", counted(count, "session"), if count == 1 { "was" } else { "were" })
                    };
                    let (changed, rest) = (was(changed), was(rest));
                    return Err(error.hint(format!("{changed} {done}; {rest} not tried or not {done}")));
                }
            }
        }
        if left.len() == count || left.is_empty() {
            for (session, refused) in left {
                report.refused(session, &refused.message, &refusal_error(action, session, &refused))?;
            }
            return Ok(());
        }
        open = left.into_iter().map(|(session, _)| session).collect();
    }
}

/// The number of sessions that a question lists.
const LISTED: usize = 10;

/// The error for a question that cannot be asked.
fn no_terminal(action: Action, what: &str) -> Error {
    let verb = action.word();
    let error = format!("cannot {verb} {what} without a confirmation: there is no terminal to ask on");
    Error::new(error).hint(format!("--yes {verb}s the sessions without a confirmation"))
}

fn is_deletion_confirmed(sessions: &[Session<'_>]) -> Result<bool> {
    if !can_ask() {
        return Err(no_terminal(Action::Delete, "sessions"));
    }
    for session in sessions.iter().take(LISTED) {
        status(summary(session));
    }
    if sessions.len() > LISTED {
        status(format_args!("and {} more", sessions.len() - LISTED));
    }
    let what = match sessions.len() {
        1 => "this session, its transcript and its subagents".to_owned(),
        count => format!("these {count} sessions, their transcripts and their subagents"),
    };
    ask(&format!("Delete {what}? They cannot be restored."))
}

/// Asks whether the sessions that filters selected are meant, of which the oldest and the newest are shown.
fn is_selection_confirmed(action: Action, sessions: &[Session<'_>]) -> Result<bool> {
    let count = counted(sessions.len(), "session");
    if !can_ask() {
        return Err(no_terminal(action, &count));
    }
    let day = |session: &Session<'_>| session.updated_at.map(|at| at.local("%Y-%m-%d")).unwrap_or_default();
    let ends = [("oldest", sessions.last()), ("newest", sessions.first())];
    for (which, session) in ends.into_iter().filter_map(|(which, session)| Some((which, session?))) {
        status(format_args!("the {which}: {}  {}", day(session), summary(session)));
    }
    let word = action.word();
    ask(&format!("{}{} {count}?", word[..1].to_uppercase(), &word[1..]))
}

fn print_dry_run(args: &Args, action: Action, sessions: &[Session<'_>]) -> Result<()> {
    let mut rows = Sessions::new(Shape { json: args.common.json, ..Shape::default() });
    for session in sessions {
        match action.is_done(session) {
            true => status(already(action, session)),
            false => rows.write(session)?,
        }
    }
    rows.finish()
}

/// The id and the title of a session, as a line has them.
fn summary(session: &Session<'_>) -> String {
    let id = session.id.map(Id::short).unwrap_or_default();
    format!("{id}  {}", cell(session.label(), 60)).trim_end().to_owned()
}

fn already(action: Action, session: &Session<'_>) -> String {
    match action {
        Action::Unarchive => format!("not archived: {}", summary(session)),
        _ => format!("already {}: {}", action.done(), summary(session)),
    }
}

/// Reports the result for each session. The work continues if the reader of standard output has closed it.
struct Report {
    action: Action,
    output: Option<Output>,
    count_done: usize,
    count_already: usize,
    count_refused: usize,
}

impl Report {
    fn new(action: Action, json: bool) -> Report {
        let output = json.then(Output::stdout);
        Report { action, output, count_done: 0, count_already: 0, count_refused: 0 }
    }

    fn done(&mut self, session: &Session<'_>, path: Option<String>) -> Result<()> {
        self.count_done += 1;
        status(format_args!("{}: {}", self.action.done(), summary(session)));
        self.event(session, path, Timestamp::now())
    }

    fn already(&mut self, session: &Session<'_>) -> Result<()> {
        self.count_already += 1;
        status(already(self.action, session));
        let path = session.rollout_path.as_deref().map(str::to_owned);
        self.event(session, path, session.archived_at.unwrap_or_else(Timestamp::now))
    }

    fn refused(&mut self, session: &Session<'_>, message: &str, error: &Error) -> Result<()> {
        self.count_refused += 1;
        warn_of(error);
        let Some(id) = session.id else { return Ok(()) };
        self.record(&RefusedRecord::new(id, self.action, message))
    }

    fn event(&mut self, session: &Session<'_>, path: Option<String>, at: Timestamp) -> Result<()> {
        let path = path.unwrap_or_default();
        let what = match self.action {
            Action::Archive => SessionEventKind::Archived { path },
            Action::Unarchive => SessionEventKind::Unarchived { path },
            Action::Delete => SessionEventKind::Deleted,
        };
        let Some(session) = session.id else { return Ok(()) };
        self.record(&SessionEvent { what, session, at: Some(at) })
    }

    fn record(&mut self, record: &impl serde::Serialize) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        match output.record(record).and_then(|()| output.flush()) {
            Err(error) if error.is_broken_pipe() => {
                self.output = None;
                Ok(())
            }
            written => written,
        }
    }

    fn finish(self) -> Result<Exit> {
        let (done, already, refused) = (self.count_done, self.count_already, self.count_refused);
        if done + already + refused > 1 {
            let word = self.action.done();
            let mut line = format!("{} {word}", counted(done, "session"));
            if already > 0 {
                line += &match self.action {
                    Action::Unarchive => format!(", {already} not archived"),
                    _ => format!(", {already} already {word}"),
                };
            }
            if refused > 0 {
                line += &format!(", {refused} not {word}");
            }
            status(line);
        }
        Ok(if refused > 0 { Exit::Negative } else { Exit::Done })
    }
}
