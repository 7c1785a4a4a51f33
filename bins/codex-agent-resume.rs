//! codex-agent-resume: open a session in Codex's own screen, in its directory.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use codex_agent_engine::codex::server::find_codex;
use codex_agent_engine::codex::version::version;
use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::codex::last_directory;
use codex_agent_shared::codex::refusal::refuse;
use codex_agent_shared::codex::version::refuse_older;
use codex_agent_shared::error::{Error, Exit, Result, reason};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::CommandRecord;
use codex_agent_shared::record::Session;
use codex_agent_shared::reference;
use codex_agent_shared::reference::{Input, Inputs};
use codex_agent_shared::text::quoted;

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    cwd: Option<PathBuf>,
    print: bool,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

fn codex() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "open it there, instead of in the session's directory", |args| {
            &mut args.own.cwd
        }),
        jobs::model(),
        jobs::sandbox(),
        jobs::config(),
        jobs::codex_arg(),
        jobs::bypass(),
    ]
}

fn turn() -> Vec<Flag> {
    vec![
        jobs::prompt(),
        jobs::prompt_file(),
        jobs::image(),
        jobs::output_schema(),
        jobs::skip_git_repo_check(),
        jobs::new(),
        jobs::dry_run(),
        jobs::answers(),
        jobs::events(),
    ]
}

fn other() -> Vec<Flag> {
    vec![
        Flag::switch("print", "print the command instead of running it", |args| &mut args.own.print)
            .more("As a line of shell; with --json as a record of type command, which has argv and cwd."),
        flags::json("with --print: a record"),
        flags::codex_home(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-resume")
        .description([
            "Becomes 'codex resume' of a session, in the directory of the session: wherever it is called from, by whatever names the session. Codex itself resumes in the directory that it is called from, and takes a word that it does not know for a new session; it is always given the whole id here.",
            "With --prompt or --prompt-file there is no screen: the prompt is sent to each of the sessions, several at once, each in the directory where it ran last. What becomes of them is told as it happens, and kept: 'codex-agent run log' tells it again, and after a crash 'codex-agent run continue' goes on without sending any prompt twice; see codex-agent-run(1).",
            "    codex-agent find parser --json | codex-agent resume --prompt 'Go on' --answers",
            "The session is a reference as codex-agent(7) describes them. Without one, or for '-', the first thing on standard input is it: a session record, a JSON string, or a line up to its first TAB. Codex then gets the terminal as its standard input.",
            "An archived session, one whose directory is gone, and one of a format that this Codex cannot read (and would damage) are refused, with the way out.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...|-]", &[Completes::Sessions])
                .flags("How it is opened", codex())
                .flags("With a prompt, without a screen", jobs::with_prompt(turn()))
                .flags(jobs::RUN_OPTIONS, jobs::with_prompt(jobs::how_concurrent()).chain([flags::codex()]))
                .flags("Other", other()),
        )
        .exit_status(&[
            (0, "Printed. Otherwise the exit status is Codex's."),
            (1, "There is no such session, or some job failed."),
            (2, "Bad usage, a reference that may be several sessions, or the session cannot be opened."),
            (75, "With a prompt: the run was stopped with work left; 'codex-agent run continue' goes on."),
            (126, "Codex could not be run."),
            (130, "With a prompt: interrupted."),
        ])
        .examples(&[
            ("Go on with the newest session of this directory:", "codex-agent resume @"),
            ("Choose one with fzf:", "codex-agent ls | fzf | codex-agent resume -"),
            ("What would be run:", "codex-agent resume @@ --print"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-ls(1)",
            "codex-agent-find(1)",
            "codex-agent-fork(1)",
            "codex-agent-run(1)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes(["command", "job"])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    if args.jobs.has_prompt() {
        return send(&args);
    }
    if args.jobs.dry_run {
        return Err(Error::usage("--dry-run goes with a prompt").hint("--print prints the command"));
    }
    args.jobs.refuse_without_prompt()?;
    if args.common.json && !args.own.print {
        return Err(Error::usage("--json goes with --print, or with a prompt"));
    }
    let reads = reference::from_stdin(&args.operands)?;
    if args.operands.len() > 1 {
        let words = quoted(&args.operands[1..].join(" "));
        return Err(Error::usage(format!("unexpected operand '{}'", args.operands[1])).hint(format!(
            "Codex's screen shows one session at a time; --prompt {words} sends it a prompt"
        )));
    }
    let mut index = args.common.index()?;
    let text = if reads { first_of_stdin()? } else { args.operands[0].clone() };
    let resolve = if args.own.print { reference::resolve } else { reference::resolve_to_act };
    let session = resolve(&mut index, &text)?;
    let (id, directory) = check(&args, &session)?;
    refuse(&session, false, index.files())?;
    let codex = find_codex(args.common.codex.as_deref())?;
    // Asking for the version takes a moment, which only this format is worth.
    if session.history.as_deref() == Some("paginated") {
        refuse_older(&version(&codex, Some(index.home().path()), Some(&directory))?, &session)?;
    }
    let argv = argv(&args, &id)?;
    if args.own.print {
        return print(&args, &codex, &argv, &directory);
    }
    Err(become_codex(&index, &codex, &argv, &directory, reads))
}

/// Sends the prompt to each of the sessions, without a screen.
fn send(args: &Args) -> Result<Exit> {
    if args.own.print || args.own.cwd.is_some() {
        return Err(Error::usage("--print and --cwd do not go with a prompt")
            .hint("--dry-run prints the jobs; a session runs where it ran last"));
    }
    let stdin_is_prompt = args.jobs.prompt_file.as_deref() == Some(Path::new("-"));
    if stdin_is_prompt && args.operands.iter().any(|operand| operand == "-") {
        return Err(Error::usage("standard input cannot be the prompt and the sessions"));
    }
    if stdin_is_prompt && args.operands.is_empty() {
        return Err(Error::usage("a session is missing"));
    }
    let mut index = args.common.index()?;
    let sessions = reference::all(&mut index, &args.operands, "nothing was started")?;
    let ids = codex_agent_engine::commands::send::dedup_ids(sessions.iter().filter_map(|session| session.id));
    let name = match &ids[..] {
        [one] => one.short(),
        _ => format!("{}-sessions", ids.len()),
    };
    codex_agent_engine::commands::send::add("resume", &name, &ids, &args.common, &args.jobs)
}

/// The first thing on standard input that names a session. The rest is left unread.
fn first_of_stdin() -> Result<String> {
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    loop {
        match inputs.next() {
            None => return Err(Error::not_found("there is no session on standard input")),
            Some(Err(failure)) => return Err(failure.error),
            Some(Ok((_, Input::Text(text)))) => return Ok(text),
            Some(Ok((_, Input::Record(foreign)))) => return Ok(foreign.id.unwrap_or_default()),
            Some(Ok((_, Input::Other(_)))) => {}
        }
    }
}

fn check(args: &Args, session: &Session<'_>) -> Result<(String, PathBuf)> {
    let Some(id) = session.id.map(|id| id.to_string()) else {
        return Err(Error::new("the session has no id"));
    };
    if session.archived_at.is_some() {
        return Err(Error::new(format!("session '{id}' is archived")).hint(format!("codex unarchive {id}")));
    }
    let own = last_directory(session).map(PathBuf::from);
    let directory = args.own.cwd.clone().or(own).ok_or_else(|| {
        Error::new(format!("nobody knows the directory of session '{id}'")).hint("--cwd names one")
    })?;
    if !directory.is_dir() {
        let place = directory.display();
        return Err(Error::new(format!(
            "cannot open session '{id}' in '{place}': there is no such directory"
        ))
        .hint("--cwd names another"));
    }
    Ok((id, std::path::absolute(&directory).unwrap_or(directory)))
}

/// `codex resume` and the rest, options before the id, in the form that 0.45 to 0.171 take.
fn argv(args: &Args, id: &str) -> Result<Vec<String>> {
    let mut argv = vec!["resume".to_owned()];
    let sandbox = args.jobs.sandbox()?.map(|sandbox| sandbox.word().to_owned());
    for (flag, value) in [("--model", &args.jobs.model), ("--sandbox", &sandbox)] {
        argv.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    argv.extend(args.jobs.config.iter().flat_map(|setting| ["--config".to_owned(), setting.clone()]));
    if args.jobs.bypass {
        argv.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
    }
    argv.extend(args.jobs.args.iter().cloned());
    argv.push(id.to_owned());
    Ok(argv)
}

fn print(args: &Args, codex: &Path, argv: &[String], directory: &Path) -> Result<Exit> {
    let program = codex.to_string_lossy().into_owned();
    let argv: Vec<String> = std::iter::once(program).chain(argv.iter().cloned()).collect();
    let mut output = Output::stdout();
    if args.common.json {
        let cwd = directory.to_string_lossy();
        output.record(&CommandRecord::new(&argv, &cwd))?;
    } else {
        let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
        let line = format!("cd {} && {}", quoted(&directory.to_string_lossy()), words.join(" "));
        output.text(line.as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// Replaces this process. What it returns is why it could not.
fn become_codex(index: &Index, codex: &Path, argv: &[String], directory: &Path, reads: bool) -> Error {
    let mut process = Process::new(codex);
    process.args(argv).current_dir(directory);
    if index.home().needs_codex_home_var() {
        process.env("CODEX_HOME", index.home().path());
    }
    if reads {
        // Standard input was the pipe that named the session.
        match File::open("/dev/tty") {
            Ok(terminal) => drop(process.stdin(terminal)),
            Err(error) => {
                return Error::new(format!("cannot open the terminal for Codex: {}", reason(&error)))
                    .hint("without one, name the session as an operand");
            }
        }
    }
    let error = process.exec();
    Error::new(format!("cannot run '{}': {}", codex.display(), reason(&error))).with_exit(Exit::CannotRun)
}
