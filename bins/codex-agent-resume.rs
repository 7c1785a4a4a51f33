//! codex-agent-resume: resume Codex sessions.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use codex_agent_engine::Options;
use codex_agent_engine::codex::server::find_codex;
use codex_agent_engine::codex::version::query_version;
use codex_agent_engine::codex::worktree::is_in_worktree;
use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_engine::commands::send::{Target, dedup_ids, find_targets, send_prompt};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::remote::find_one;
use codex_agent_shared::cli::{Command, Completes, Tool, filters, flags};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::codex::last_directory;
use codex_agent_shared::codex::refusal::check_resumable;
use codex_agent_shared::codex::version::check_writer_version;
use codex_agent_shared::error::{Error, Exit, Result, reason};
use codex_agent_shared::host::{Host, split_reference};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::CommandRecord;
use codex_agent_shared::record::{Id, Session};
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

fn tui_flags() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "open the session in DIR, instead of in the session's directory", |args| {
            &mut args.own.cwd
        }),
        jobs::model(),
        jobs::sandbox(),
        jobs::config(),
        jobs::codex_arg(),
        jobs::bypass(),
    ]
}

fn prompt_flags() -> Vec<Flag> {
    vec![
        jobs::prompt(),
        jobs::prompt_file(),
        jobs::image(),
        jobs::output_schema(),
        jobs::skip_git_repo_check(),
        jobs::new(),
        jobs::dry_run(),
        jobs::yes(),
        jobs::answers(),
        jobs::events(),
    ]
}

fn other_flags() -> Vec<Flag> {
    vec![
        Flag::switch("print", "print the command that opens the session, instead of running the command", |args| &mut args.own.print).more(
            "The command is printed as a shell command line, or, with --json, as a record of type command with the fields argv and cwd.",
        ),
        flags::json("with --print, print a record; with a prompt, print events as JSON records"),
        flags::codex_home(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-resume")
        .description([
            "Runs 'codex resume' for a session, in the working directory of the session. If 'codex resume' is run without this tool, it opens the session in the current directory, and starts a new session if the id or name is unknown; this tool checks that the session exists, and passes the complete id of the session to Codex.",
            "With --prompt or --prompt-file, the Codex TUI is not opened: the prompt is sent to each of the sessions as its next turn, in the working directory of its last turn, several sessions concurrently. Events are printed as they happen, and are saved: 'codex-agent run log' prints the events again. After a crash, 'codex-agent run continue' continues the run without sending a prompt twice. See codex-agent-run(1).",
            "    codex-agent find parser --json | codex-agent resume --prompt 'Go on' --answers",
            "REF is a reference to a session; see codex-agent(7). Without REF, codex-agent-pick(1) lets the user choose on a terminal; otherwise, or if REF is '-', the reference is read from the first line of standard input, or, with a prompt, a reference from each line: a session record, a JSON string, or a line up to its first TAB. The standard input of the Codex TUI is then the terminal.",
            "Instead of REF, --find names the session by words; the other options of this section narrow the choice, or name the session alone. If several sessions match, the user chooses one of them on a terminal with codex-agent-pick(1); otherwise they are listed, the best first, none is resumed, and the exit status is 2. On a terminal, words that are no reference open codex-agent-pick(1) with the sessions that have these words first, in all directories; Enter resumes the first.",
            "    codex-agent resume login page --since yesterday",
            "HOST:REF is a session of a host of config.toml: the TUI is opened there, over ssh with a terminal. With a prompt, the prompt is sent there; see codex-agent-distributed(7).",
            "A session is refused, with a hint, if it is archived, if its working directory does not exist, or if a newer version of Codex wrote it in a format that the installed Codex does not know: the installed Codex would damage the session.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...|-]", &[Completes::Sessions])
                .flags(
                    filters::SELECTION,
                    filters::selecting().into_iter().filter(|flag| flag.long() != "on").chain([jobs::on_time_or_hosts()]),
                )
                .flags("TUI options", tui_flags())
                .flags("Prompt options", jobs::with_prompt(prompt_flags()))
                .flags(
                    jobs::RUN_OPTIONS,
                    jobs::with_prompt(jobs::concurrent_run_options()).chain([flags::codex()]),
                )
                .flags("Other", other_flags()),
        )
        .exit_status(&[
            (0, "With --print: the command was printed. With a prompt: every job was completed. Otherwise the exit status is that of Codex."),
            (1, "The session does not exist, or, with a prompt, a job failed or the run was not confirmed."),
            (2, "Bad usage, an ambiguous reference, or a session that cannot be opened."),
            (75, "With a prompt: the run was stopped before its end; 'codex-agent run continue' continues the run."),
            (126, "Codex could not be run."),
            (130, "With a prompt: the run was interrupted."),
        ])
        .examples(&[
            ("Resume the newest session of the current directory:", "codex-agent resume @"),
            (
                "Resume the session that has a word and was updated since a day (of several, the user chooses one on a terminal):",
                "codex-agent resume --find 'login work' --since 2026-11-22",
            ),
            ("Choose a session of this repository, and resume it:", "codex-agent pick | codex-agent resume -"),
            ("Print the command that opens the newest session of any directory:", "codex-agent resume @@ --print"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-ls(1)",
            "codex-agent-find(1)",
            "codex-agent-pick(1)",
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

fn run(mut args: Args) -> Result<Exit> {
    if args.jobs.has_prompt() {
        return send_to_all(args);
    }
    if args.jobs.dry_run {
        return Err(Error::usage("--dry-run needs a prompt").hint("--print prints the Codex command"));
    }
    args.jobs.check_has_prompt()?;
    if args.common.json && !args.own.print {
        return Err(Error::usage("--json needs --print or a prompt"));
    }
    if let Some(exit) = args.pick_if_missing(true)? {
        return Ok(exit);
    }
    if let [reference] = &args.operands[..]
        && !args.common.selection.is_given()
        && let Some((host, reference)) = split_reference(reference, &[])?
    {
        return resume_on_host(&args, &host, reference);
    }
    let selection = &args.common.selection;
    let reads = !selection.is_given() && reference::reads_stdin(&args.operands)?;
    if args.operands.len() > 1 && !selection.is_given() {
        let (prompt, words) = (quoted(&args.operands[1..].join(" ")), quoted(&args.operands.join(" ")));
        let first = quoted(&args.operands[0]);
        return Err(Error::usage(format!("unexpected operand '{}'", args.operands[1]))
            .hint("the Codex TUI opens one session")
            .hint(format!("to send this text: codex-agent resume {first} --prompt {prompt}"))
            .hint(format!("--find {words} opens the session that has these words")));
    }
    let mut index = args.common.index()?;
    let session = match selection.one(&mut index, &args.operands, !args.own.print)? {
        Some(session) => session,
        None => {
            let text = if reads { read_reference()? } else { args.operands[0].clone() };
            let resolve = if args.own.print { reference::resolve } else { reference::resolve_to_act };
            resolve(&mut index, &text)?
        }
    };
    let (id, directory) = check_session(&args, index.home(), &session)?;
    check_resumable(&session, false, index.files())?;
    let codex = find_codex(args.common.codex.as_deref())?;
    // The version query takes time, and only this format needs the version.
    if session.history.as_deref() == Some("paginated") {
        check_writer_version(&query_version(&codex, Some(index.home().path()), Some(&directory))?, &session)?;
    }
    let argv = resume_argv(&args, &id)?;
    if args.own.print {
        return print_command(&args, &codex, &argv, &directory);
    }
    Err(exec_codex(&index, &codex, &argv, &directory, reads))
}

/// Opens the TUI on a host, by the codex-agent there. Only an id reaches the shell of the host.
fn resume_on_host(args: &Args, host: &Host, reference: &str) -> Result<Exit> {
    let options = &args.jobs.options;
    if args.own.cwd.is_some() || args.common.json || *options != Options::default() {
        return Err(Error::usage("the options of the TUI cannot be combined with a session of a host")
            .hint(format!("resume the session on host '{}' itself", host.name)));
    }
    let id = match Id::parse(reference) {
        Some(id) => id.to_string(),
        None => find_one(host, reference)?.id.map(|id| id.to_string()).unwrap_or_default(),
    };
    let mut command = host.terminal_command(&["resume", &id]);
    if args.own.print {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        let mut output = Output::stdout();
        output.text(words.join(" ").as_bytes(), b"\n")?;
        output.flush()?;
        return Ok(Exit::Done);
    }
    let error = command.exec();
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Error::new(format!("cannot run '{program}': {}", reason(&error)))
        .hint(format!("host.{}.via in config.toml is the command that reaches the host", host.name))
        .with_exit(Exit::CannotRun))
}

/// Sends the prompt to each of the sessions, without the TUI.
fn send_to_all(mut args: Args) -> Result<Exit> {
    if args.own.print || args.own.cwd.is_some() {
        return Err(Error::usage("--print and --cwd cannot be combined with a prompt")
            .hint("--dry-run prints the jobs; each session is continued in its last directory"));
    }
    if let Some(exit) = args.pick_if_missing(false)? {
        return Ok(exit);
    }
    if !args.common.selection.is_given() {
        args.jobs.check_single_stdin(&args.operands)?;
        if let Some(targets) = find_targets(&args.operands, &args.jobs)? {
            return send_prompt("resume", &name_targets(&targets), &targets, &args.common, &args.jobs);
        }
    } else if args.jobs.on.is_some() {
        return Err(Error::usage("--find and the options of its section cannot be combined with --on").hint(
            "'codex-agent find --host HOST --json WORDS | codex-agent resume --prompt TEXT -' does that",
        ));
    }
    let mut index = args.common.index()?;
    let sessions = args.common.sessions(&mut index, &args.operands, "nothing was started")?;
    let targets = Target::here(&dedup_ids(sessions.iter().filter_map(|session| session.id)));
    send_prompt("resume", &name_targets(&targets), &targets, &args.common, &args.jobs)
}

/// The name of a run.
fn name_targets(targets: &[Target]) -> String {
    match targets {
        [one] => one.id.short(),
        _ => format!("{}-sessions", targets.len()),
    }
}

/// The first reference on standard input. The rest is not read.
fn read_reference() -> Result<String> {
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    loop {
        match inputs.next() {
            None => return Err(Error::not_found("there is no session on standard input")),
            Some(Err(failure)) => return Err(failure.error),
            Some(Ok((_, Input::Text(text)))) => return Ok(text),
            Some(Ok((_, Input::Record(foreign)))) => {
                reference::check_is_here(&foreign)?;
                return Ok(foreign.id.unwrap_or_default());
            }
            Some(Ok((_, Input::Other(record)))) => {
                if let Some(id) = reference::match_session(&record) {
                    reference::check_is_here(&record)?;
                    return Ok(id);
                }
            }
        }
    }
}

fn check_session(args: &Args, home: &Home, session: &Session<'_>) -> Result<(String, PathBuf)> {
    let Some(id) = session.id.map(|id| id.to_string()) else {
        return Err(Error::new("cannot resume a session that has no id"));
    };
    if session.archived_at.is_some() {
        return Err(Error::new(format!("session '{id}' is archived"))
            .hint(format!("'codex-agent archive --undo {id}' unarchives the session")));
    }
    let own = last_directory(session).map(PathBuf::from);
    let directory = args.own.cwd.clone().or(own).ok_or_else(|| {
        Error::new(format!("the directory of session '{id}' is unknown")).hint("name a directory by --cwd")
    })?;
    if !directory.is_dir() {
        let message = format!("cannot open session '{id}': there is no directory '{}'", directory.display());
        let error = Error::new(message).hint("name another directory by --cwd");
        return Err(match is_in_worktree(home, &directory) {
            true => error.hint("the worktree in which the session worked was removed"),
            false => error,
        });
    }
    Ok((id, std::path::absolute(&directory).unwrap_or(directory)))
}

/// `codex resume` and the rest, options before the id, in the form that Codex 0.45 to 0.171 accept.
fn resume_argv(args: &Args, id: &str) -> Result<Vec<String>> {
    let mut argv = vec!["resume".to_owned()];
    let options = args.jobs.options()?;
    let sandbox = options.sandbox.map(|sandbox| sandbox.word().to_owned());
    for (flag, value) in [("--model", options.model), ("--sandbox", sandbox)] {
        argv.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    argv.extend(options.config.into_iter().flat_map(|setting| ["--config".to_owned(), setting]));
    if options.bypass {
        argv.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
    }
    argv.extend(options.args);
    argv.push(id.to_owned());
    Ok(argv)
}

fn print_command(args: &Args, codex: &Path, argv: &[String], directory: &Path) -> Result<Exit> {
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

/// Replaces this process by Codex; returns only if that failed.
fn exec_codex(index: &Index, codex: &Path, argv: &[String], directory: &Path, reads: bool) -> Error {
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
                    .hint("without a terminal, name the session as an operand");
            }
        }
    }
    let error = process.exec();
    Error::new(format!("cannot run '{}': {}", codex.display(), reason(&error))).with_exit(Exit::CannotRun)
}
