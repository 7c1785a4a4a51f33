//! codex-agent-fork: fork Codex sessions, whole or before a message.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codex_agent_engine::codex::fork::{Cut, Forker, check_is_in_home, check_name};
use codex_agent_engine::codex::server::find_codex;
use codex_agent_engine::codex::version::Versions;
use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_engine::commands::send::{Target, find_targets, send_prompt, send_to_forks};
use codex_agent_engine::commands::start::{Planned, must_ask};
use codex_agent_engine::record::job::check_prompt;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, Value, filters, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::codex::last_directory;
use codex_agent_shared::codex::refusal::check_resumable;
use codex_agent_shared::codex::version::{check_writer_version, is_before};
use codex_agent_shared::error::{Error, Exit, Result, reason, status, warn_of};
use codex_agent_shared::output::{Sessions, Shape};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::reference::{self, Address};
use codex_agent_shared::text::counted;
use codex_agent_shared::transcript::{Options, Reader, Record};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    nth: Option<i64>,
    at: Option<String>,
    count: Option<usize>,
    name: Option<String>,
    cwd: Option<PathBuf>,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

fn fork_flags() -> Vec<Flag> {
    vec![
        Flag::parsed("nth-message", Takes::Text("N"), "fork before the Nth message of the user in the session", parse_nth, |args| {
            &mut args.own.nth
        })
        .more("The fork has the turns before the turn with this message. 1 creates a fork without turns; -1 omits the last message and its answer, -2 the last two messages and their answers."),
        Flag::text("at", "SESSION:TURN", "fork before this turn of this session", |args| &mut args.own.at)
            .more("SESSION is a reference, and TURN is the number of the turn that codex-agent-show(1) shows, or Codex's id of the turn. The option is given instead of REF."),
        Flag::number("count", "N", 1..=1000, "make N forks of each session, at most 1000", |args| &mut args.own.count)
            .short('n'),
        Flag::parsed(
            "name",
            Takes::Text("NAME"),
            "name each fork: NAME, NAME 2, NAME 3, ...",
            |value| Ok(check_name(&value.text()?)?.to_owned()),
            |args| &mut args.own.name,
        )
        .more("By default, a fork has no name, or the name of the session that was forked, as in Codex 0.169."),
        Flag::directory(
            "cwd",
            "the working directory of the forks, instead of that of the session",
            |args| &mut args.own.cwd,
        ),
        jobs::worktree(),
    ]
}

/// The number of a message.
fn parse_nth(value: Value) -> Result<i64> {
    let text = value.text()?;
    let nth = text.parse().ok().filter(|nth| *nth != 0);
    nth.ok_or_else(|| Error::usage(format!("invalid value '{text}': expected 1, 2, ... or -1, -2, ...")))
}

fn prompt_flags() -> [Flag; 5] {
    [jobs::prompt(), jobs::prompt_file(), jobs::image(), jobs::answers(), jobs::events()]
}

fn other_flags() -> [Flag; 4] {
    let help = "print the sessions that would be forked, and create no fork";
    let dry_run = Flag::switch("dry-run", help, |args| &mut args.jobs.dry_run);
    [
        flags::json("print the records of the forks, one per line"),
        dry_run,
        jobs::yes().help("do not ask for confirmation before many forks are created"),
        flags::codex_home(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-fork")
        .description([
            "Creates forks: new sessions that begin with the turns of an existing session, either with all of these turns or with the turns before a message. The existing session does not change. As soon as Codex has created a fork, the fork is printed, as codex-agent-ls(1) prints a session.",
            "REF is a reference to the session to fork; see codex-agent(7). Without REF, codex-agent-pick(1) lets the user choose on a terminal; otherwise, or if REF is '-', references are read from standard input: session records, JSON strings, or lines up to their first TAB. Instead of REF, --find names one session by words; if several match, the user chooses on a terminal; otherwise they are listed, and none is forked. On a terminal, words that are no reference open codex-agent-pick(1) with the sessions that have these words.",
            "With --prompt or --prompt-file, a prompt is sent to each fork as its next turn; several forks run concurrently, without the Codex TUI. See codex-agent-run(1). With --json, the records of the forks are printed first, and then the events of the run.",
            "    codex-agent fork @ --nth-message -1 --prompt 'Try it without the cache' --answers",
            "The working directory of a fork is that of the session that was forked, or the directory of --cwd. The directory must exist.",
            "If more than 20 forks are to be created, and standard input and standard error are a terminal, the tool asks for confirmation. --yes skips the question, and the setting runs.confirm_above changes the number. Without a confirmation nothing is forked. Where nothing can be asked, the forks are created without a question.",
            "Codex 0.92 or later is needed. Codex has no command that forks a session before a message. For such a fork, this tool sends requests to 'codex app-server', and counts the messages of the new session; if the number of messages is wrong, the fork is deleted.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...|-]", &[Completes::Sessions])
                .flags(
                    filters::SELECTION,
                    filters::selecting().into_iter().filter(|flag| flag.long() != "on").chain([jobs::on_time_or_hosts()]),
                )
                .flags("Fork options", fork_flags())
                .flags("Prompt options", jobs::with_prompt(prompt_flags()))
                .flags(
                    jobs::RUN_OPTIONS,
                    jobs::with_prompt(
                        jobs::codex_options().into_iter().chain(jobs::concurrent_run_options()),
                    )
                        .chain([flags::codex()]),
                )
                .flags("Other", other_flags()),
        )
        .exit_status(&[
            (0, "All forks were created."),
            (1, "A session or a message does not exist, a fork could not be created, a job failed, or the user did not confirm."),
            (2, "Bad usage, an ambiguous reference, or Codex was not found."),
            (75, "With a prompt: the run was stopped before its end; 'codex-agent run continue' continues the run."),
            (130, "With a prompt: the run was interrupted."),
        ])
        .examples(&[
            ("Fork the newest session of the current directory:", "codex-agent fork @"),
            (
                "Fork a session before the last message, and name the fork:",
                "codex-agent fork @ --nth-message -1 --name 'another way'",
            ),
            (
                "Make three forks of each session that a search finds, and add the forks to a group:",
                "codex-agent find 'login work' --json | codex-agent fork -n 3 --json | codex-agent group add tries",
            ),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-find(1)",
            "codex-agent-group(1)",
            "codex-agent-name(1)",
            "codex-agent-pick(1)",
            "codex-agent-run(1)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes(["session"])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    if args.own.nth.is_some() && args.own.at.is_some() {
        return Err(Error::usage("--nth-message and --at cannot be combined"));
    }
    if args.jobs.options.worktree && (args.own.nth.is_some() || args.own.at.is_some()) {
        return Err(Error::usage("--worktree cannot be combined with --nth-message or --at")
            .hint("Codex creates a worktree only for a fork with all turns"));
    }
    match args.jobs.has_prompt() {
        true => validate_prompt(&mut args)?,
        false => args.jobs.check_has_prompt()?,
    }
    if args.own.at.is_none()
        && let Some(exit) = args.pick_if_missing(false)?
    {
        return Ok(exit);
    }
    if args.jobs.has_prompt()
        && !args.common.selection.is_given()
        && args.own.at.is_none()
        && let Some(targets) = find_targets(&args.operands, &args.jobs)?
    {
        return fork_on_hosts(&args, &targets);
    }
    if args.jobs.on.is_some() {
        return Err(Error::usage(
            "--on cannot be combined with --find, --at and the options of their sections",
        ));
    }
    let mut index = args.common.index()?;
    let (parents, cut) = match &args.own.at {
        Some(at) => {
            let address = Address::parse(at);
            if address.as_ref().is_some_and(|address| address.item.is_some_and(|item| item > 1)) {
                status("a fork begins with whole turns: without the turn of this item");
            }
            let (session, turn) = address
                .map(|address| (address.session, address.turn))
                .or_else(|| at.split_once(':'))
                .filter(|(session, turn)| !session.is_empty() && !turn.is_empty())
                .ok_or_else(|| {
                    Error::usage(format!("invalid value '{at}' for '--at': expected SESSION:TURN"))
                })?;
            if args.common.selection.is_given() {
                return Err(Error::usage(
                    "--find and the options of its section cannot be combined with --at",
                ));
            }
            if let Some(extra) = args.operands.first() {
                return Err(Error::usage(format!("operand '{extra}' cannot be combined with --at")));
            }
            let session = reference::resolve_to_act(&mut index, session)?;
            let turn = turn_id(&mut index, &session, turn)?;
            (vec![session], Cut::Turn(turn))
        }
        None => (
            args.common.sessions(&mut index, &args.operands, "nothing was forked")?,
            args.own.nth.map_or(Cut::Whole, Cut::Message),
        ),
    };
    let mut rows = Sessions::new(Shape { json: args.common.json, ..Shape::default() });
    if args.jobs.dry_run {
        parents.iter().try_for_each(|parent| rows.write(parent))?;
        rows.finish()?;
        return Ok(Exit::Done);
    }
    if parents.is_empty() {
        status("the input has no sessions; nothing was forked");
        return Ok(Exit::Done);
    }
    let codex = find_codex(args.common.codex.as_deref())?;
    let mut versions = Versions::default();
    let here = versions.get(&codex, Some(index.home().path()), Path::new("."), false)?;
    for parent in &parents {
        let outside =
            if is_before(&here, (0, 148)) { Ok(()) } else { check_is_in_home(index.home(), parent) };
        let refused = outside.and_then(|()| check_resumable(parent, true, index.files()));
        refused.map_err(|error| error.hint("nothing was forked"))?;
    }
    if !is_confirmed(&args, &parents)? {
        return Ok(Exit::Negative);
    }
    // The prompt was confirmed together with the forks.
    args.jobs.yes = true;
    let mut exit = Exit::Done;
    let mut made = Vec::new();
    for parent in &parents {
        let before = made.len();
        if let Err(error) = fork_one(&args, &index, (&codex, &mut versions), parent, &cut, &mut made) {
            let id = parent.id.map(|id| id.short()).unwrap_or_default();
            warn_of(&error.within(id));
            exit = Exit::Negative;
        }
        // With a prompt, the events report the forks.
        if args.common.json || !args.jobs.has_prompt() {
            match print_forks(&args, parent, &made[before..], &mut rows) {
                // The prompts are sent although standard output is closed.
                Err(error) if error.is_broken_pipe() && args.jobs.has_prompt() => {}
                Err(error) if !error.is_broken_pipe() => {
                    let ids: Vec<String> = made.iter().map(ToString::to_string).collect();
                    return Err(error.hint(format!("these forks were created: {}", ids.join(" "))));
                }
                printed => printed?,
            }
        }
    }
    let finished = rows.finish();
    if !args.jobs.has_prompt() || made.is_empty() {
        return finished.map(|()| exit);
    }
    let name = match &made[..] {
        [one] => one.short(),
        forks => format!("{}-forks", forks.len()),
    };
    // The forks are new, so that no unfinished run can have them.
    args.jobs.new = true;
    let sent = send_prompt("fork", &name, &Target::here(&made), &args.common, &args.jobs)?;
    Ok(if sent == Exit::Done { exit } else { sent })
}

/// Sends the prompt to forks of sessions of hosts, which `codex exec fork` creates there.
fn fork_on_hosts(args: &Args, targets: &[Target]) -> Result<Exit> {
    let own = &args.own;
    let is_given =
        [(own.nth.is_some(), "--nth-message"), (own.name.is_some(), "--name"), (own.cwd.is_some(), "--cwd")];
    if let Some((_, flag)) = is_given.into_iter().find(|(is_given, _)| *is_given) {
        return Err(Error::usage(format!("{flag} cannot be combined with sessions of hosts"))
            .hint("a host forks whole sessions, in their directories"));
    }
    let count = own.count.unwrap_or(1);
    let name = match targets {
        [one] if count == 1 => one.id.short(),
        _ => format!("{}-forks", targets.len() * count),
    };
    send_to_forks(&name, targets, &args.common, &args.jobs, count)
}

/// Codex's id of a turn that is named by its number or by this id.
fn turn_id(index: &mut Index, session: &Session<'_>, turn: &str) -> Result<String> {
    let (Ok(number), Some(id)) = (turn.parse::<u64>(), session.id) else { return Ok(turn.to_owned()) };
    let named = session.rollout_path.as_deref();
    let unreadable = |error: std::io::Error| {
        Error::new(format!("cannot read the transcript of session '{id}': {}", reason(&error)))
            .hint("nothing was forked")
    };
    let reader = Reader::of_session(index.files(), id, named, Options::default()).map_err(unreadable)?;
    let mut turns = 0;
    for record in reader {
        if let Record::Turn(found) = record.map_err(unreadable)? {
            turns = turns.max(found.turn.unwrap_or(0));
            if found.turn == Some(number) {
                return found.turn_id.ok_or_else(|| {
                    Error::new(format!("turn {number} of session '{id}' has no id, as up to Codex 0.98"))
                        .hint("--nth-message forks before a message")
                });
            }
        }
    }
    Err(Error::not_found(format!("session '{id}' has no turn {number}: it has {}", counted(turns, "turn")))
        .hint(format!("'codex-agent show {id} --oneline' lists its turns"))
        .hint("nothing was forked"))
}

/// Asks once whether many forks are created.
fn is_confirmed(args: &Args, parents: &[Session<'_>]) -> Result<bool> {
    let count = args.own.count.unwrap_or(1) * parents.len();
    if !must_ask(count, &args.jobs)? {
        return Ok(true);
    }
    let options = args.jobs.options()?;
    let mut planned = Planned::default();
    for parent in parents {
        let directory = args.own.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned());
        planned.add_fork(directory.or_else(|| last_directory(parent)), &options);
    }
    let prompt = match args.jobs.has_prompt() {
        true => Some(args.jobs.settings(&args.common)?.max_concurrent),
        false => None,
    };
    planned.confirm_forks(count, prompt)
}

/// Validates the prompt and its options before anything is forked.
fn validate_prompt(args: &mut Args) -> Result<()> {
    if args.own.at.is_none() && !args.common.selection.is_given() {
        args.jobs.check_single_stdin(&args.operands)?;
    }
    let prompt = args.jobs.single_prompt()?;
    check_prompt(&prompt)?;
    args.jobs.show_options(&args.common)?;
    args.jobs.images()?;
    args.jobs.options()?;
    args.jobs.settings(&args.common)?;
    args.jobs.prompt = vec![prompt];
    args.jobs.prompt_file = None;
    Ok(())
}

fn fork_one(
    args: &Args,
    index: &Index,
    (codex, versions): (&Path, &mut Versions),
    parent: &Session<'_>,
    cut: &Cut,
    made: &mut Vec<Id>,
) -> Result<()> {
    let Some(id) = parent.id else { return Err(Error::new("cannot fork a session that has no id")) };
    let own = last_directory(parent).map(PathBuf::from);
    let directory = args.own.cwd.clone().or(own).ok_or_else(|| {
        Error::new(format!("the directory of session '{id}' is unknown")).hint("name a directory by --cwd")
    })?;
    let directory = std::fs::canonicalize(&directory).map_err(|error| {
        let why = reason(&error);
        Error::new(format!("cannot change to '{}' to fork session '{id}': {why}", directory.display()))
            .hint("name another directory by --cwd")
    })?;
    let version = versions.get(codex, Some(index.home().path()), &directory, true)?;
    check_writer_version(&version, parent)?;
    let mut forker = Forker::new(codex, &version, index.home(), &directory);
    if args.jobs.options.worktree {
        forker = forker.in_worktree()?;
    }
    for _ in 0..args.own.count.unwrap_or(1) {
        let fork = forker.fork(id, cut)?;
        made.push(fork);
        if let Some(name) = &args.own.name {
            let name = if made.len() == 1 { name.clone() } else { format!("{name} {}", made.len()) };
            forker.name(fork, &name)?;
        }
    }
    // After the end of the server the sessions are unlocked, and all changes are on disk.
    forker.close();
    Ok(())
}

/// Prints forks as the index has them now. On a terminal a fork without a message has the title of its parent.
fn print_forks(args: &Args, parent: &Session<'_>, forks: &[Id], rows: &mut Sessions) -> Result<()> {
    let mut fresh = args.common.index()?;
    for fork in forks {
        let mut session = fresh.get(*fork)?.unwrap_or(Session::with_id(*fork));
        let label = Some(parent.label()).filter(|label| !label.is_empty());
        session.parent_title = label.map(|label| label.to_owned().into()).or(session.parent_title);
        rows.write(&session)?;
        rows.flush()?;
    }
    Ok(())
}
