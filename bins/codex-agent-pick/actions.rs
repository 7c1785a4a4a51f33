//! What the keys do to sessions: each is done by the tool that does it on a command line.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use codex_agent_shared::error::{Error, Exit, Result, reason};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::plugin::sibling;
use codex_agent_shared::record::Session;

use crate::rows::Row;

/// A change of sessions.
pub(super) enum Action {
    Fork,
    Name(String),
    Archive,
}

/// What a change did: the line that says so, whether it failed, and the rows that are other than before.
pub(super) struct Outcome {
    pub(super) message: String,
    pub(super) is_failure: bool,
    pub(super) added: Vec<Arc<Row>>,
    /// Rows of the same session, by its id; without a row the session leaves the list.
    pub(super) changed: Vec<(String, Option<Arc<Row>>)>,
}

/// The executable of another tool.
fn tool(name: &str, codex_home: Option<&Path>) -> Result<Command> {
    let path = sibling(name).ok_or_else(|| {
        Error::new(format!("cannot find codex-agent-{name} beside codex-agent-pick"))
            .with_exit(Exit::CannotRun)
    })?;
    let mut command = Command::new(path);
    if let Some(home) = codex_home {
        command.arg("--codex-home").arg(home);
    }
    Ok(command)
}

/// Replaces this process by codex-agent-resume, on the terminal whatever standard input and output are.
pub(super) fn resume(row: &Row, codex_home: Option<&Path>) -> Error {
    let terminal = || File::options().read(true).write(true).open("/dev/tty");
    let run = |mut command: Command| -> Error {
        match (terminal(), terminal()) {
            (Ok(input), Ok(output)) => command.stdin(input).stdout(output),
            (Err(error), _) | (_, Err(error)) => {
                return Error::new(format!("cannot open the terminal for Codex: {}", reason(&error)));
            }
        };
        let error = command.arg("--").arg(&row.id).exec();
        Error::new(format!("cannot run codex-agent-resume: {}", reason(&error))).with_exit(Exit::CannotRun)
    };
    tool("resume", codex_home).map_or_else(|error| error, run)
}

/// Changes sessions, which takes as long as Codex takes.
pub(super) fn act(action: &Action, rows: &[Arc<Row>], codex_home: Option<&PathBuf>) -> Outcome {
    let done = match action {
        Action::Fork => fork(rows, codex_home),
        Action::Name(name) => rename(rows, name, codex_home),
        Action::Archive => archive(rows, codex_home),
    };
    done.unwrap_or_else(|error| Outcome {
        message: error.to_string(),
        is_failure: true,
        added: Vec::new(),
        changed: Vec::new(),
    })
}

fn fork(rows: &[Arc<Row>], codex_home: Option<&PathBuf>) -> Result<Outcome> {
    let mut command = tool("fork", codex_home.map(PathBuf::as_path))?;
    let ran = run(command.args(["--json", "-"]), &ids(rows))?;
    let forks: Vec<Arc<Row>> = records(&ran.output, rows);
    let message = match (&ran.error, &forks[..]) {
        (Some(error), _) => error.clone(),
        (None, [fork]) => format!("forked: {} is the fork", fork.short()),
        (None, forks) => format!("forked: {} forks were created", forks.len()),
    };
    Ok(Outcome { message, is_failure: ran.error.is_some(), added: forks, changed: Vec::new() })
}

fn rename(rows: &[Arc<Row>], name: &str, codex_home: Option<&PathBuf>) -> Result<Outcome> {
    let Some(row) = rows.first() else { return Err(Error::new("there is no session to name")) };
    let mut command = tool("name", codex_home.map(PathBuf::as_path))?;
    let ran = run(command.args(["--json", "--", &row.id, name]), "")?;
    let named = records(&ran.output, rows).pop();
    let message = ran.error.clone().unwrap_or_else(|| format!("named '{name}'"));
    let changed = named.map(|named| (row.id.clone(), Some(named))).into_iter().collect();
    Ok(Outcome { message, is_failure: ran.error.is_some(), added: Vec::new(), changed })
}

fn archive(rows: &[Arc<Row>], codex_home: Option<&PathBuf>) -> Result<Outcome> {
    let mut command = tool("archive", codex_home.map(PathBuf::as_path))?;
    let ran = run(command.args(["--json", "-"]), &ids(rows))?;
    // Of several sessions Codex may refuse some.
    let gone: Vec<String> = ran.output.lines().filter_map(archived_session).collect();
    let message = match (&ran.error, gone.len()) {
        (Some(error), _) => error.clone(),
        (None, 1) => "archived; 'codex-agent archive --undo ID' unarchives the session".to_owned(),
        (None, count) => format!("{count} sessions were archived"),
    };
    let changed = gone.into_iter().map(|id| (id, None)).collect();
    Ok(Outcome { message, is_failure: ran.error.is_some(), added: Vec::new(), changed })
}

/// The session of a record of type `session.archived`.
fn archived_session(line: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    (record["type"] == "session.archived").then(|| record["session"].as_str().map(str::to_owned))?
}

fn ids(rows: &[Arc<Row>]) -> String {
    rows.iter().map(|row| format!("{}\n", row.id)).collect()
}

struct Ran {
    output: String,
    /// The first line of the error, if the tool failed.
    error: Option<String>,
}

/// Runs a tool with a text on its standard input, and without the terminal.
fn run(command: &mut Command, input: &str) -> Result<Ran> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| Error::new(format!("cannot run '{name}': {}", reason(&error)));
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that rejects its operands reads nothing.
        let _ = stdin.write_all(input.as_bytes());
    }
    let mut errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        errors.as_mut().map(|errors| errors.read_to_string(&mut text));
        text
    });
    let output = child.wait_with_output().map_err(failed)?;
    let errors = reader.join().unwrap_or_default();
    let error = (!output.status.success()).then(|| {
        let first = errors.lines().next().unwrap_or("the tool failed without a message");
        first.split_once(": ").map_or(first, |(_, message)| message).to_owned()
    });
    Ok(Ran { output: String::from_utf8_lossy(&output.stdout).into_owned(), error })
}

/// The rows of the session records that a tool printed. They are of the repository of the rows before. A fork without a
/// message of its own has the title of the session that was forked.
fn records(output: &str, before: &[Arc<Row>]) -> Vec<Arc<Row>> {
    let is_here = before.first().is_none_or(|row| row.is_here);
    let session = |line: &str| {
        let mut session = serde_json::from_str::<Session<'_>>(line).ok()?;
        let parent = session.forked_from.flatten().map(|id| id.to_string());
        // The record of a fork names its parent only if the rollout is read.
        let parent = before.iter().find(|row| before.len() == 1 || parent.as_ref() == Some(&row.id));
        if session.parent_title.is_none() {
            session.parent_title = parent.map(|row| row.parts()[0].1.to_owned().into());
        }
        session.id.is_some().then(|| Arc::new(Row::new(&session, is_here)))
    };
    output.lines().filter_map(session).collect()
}

/// Gives a text to tmux, which copies it to the clipboard of its terminal. `None` outside of tmux.
pub(super) fn copy_by_tmux(text: &str) -> Option<bool> {
    std::env::var_os("TMUX").filter(|value| !value.is_empty())?;
    let tmux = find_program("tmux")?;
    let load = |options: &[&str]| {
        let ran = run(Command::new(&tmux).arg("load-buffer").args(options).arg("-"), text);
        ran.is_ok_and(|ran| ran.error.is_none())
    };
    // -w is of tmux 3.2.
    Some(load(&["-w"]) || load(&[]))
}
