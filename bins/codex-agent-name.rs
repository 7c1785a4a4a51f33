//! codex-agent-name: name a Codex session.

use std::process::ExitCode;

use codex_agent_engine::codex::fork::{check_name, set_name};
use codex_agent_engine::codex::server::{Server, find_codex};
use codex_agent_engine::codex::version::query_version;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Selection, Tool, filters, flags};
use codex_agent_shared::error::{Error, Exit, Result, status};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Id;
use codex_agent_shared::reference;
use codex_agent_shared::terminal::{ask_text, can_ask};

type Args = cli::Args;
type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![flags::json("print the record of the session"), flags::codex_home(), flags::codex()]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-name")
        .description([
            "Runs Codex to name the session REF, so that the list of sessions in Codex shows NAME, and 'codex resume NAME' finds the session. Codex has no command that names sessions of 'codex exec'.",
            "REF is a reference to a session; see codex-agent(7). On a terminal, codex-agent-pick(1) lets the user choose the session if REF and NAME are missing, and the name is then asked for, or if REF is no reference and sessions have it as a word, or if --find matches several sessions. Without a terminal, --find lists several sessions that match, and none is named. Every tool of codex-agent accepts the name of a session as a reference. Several sessions may have the same name: Codex 0.171 itself names the sessions of the Codex TUI, and in Codex 0.169 a fork has the name of the session that was forked. If a tool needs one session and several sessions have the name, the tool prints an error that lists the newest of these sessions. A name is refused if it is a complete id or the path of a rollout, or begins with @, -, id: or name:, since such a name would be another kind of reference. Codex removes blanks around a name, keeps the earlier names of a session in session_index.jsonl, and cannot remove a name.",
            "Codex 0.94 or later is needed. The tool starts Codex, which takes about half a second.",
        ])
        .command(
            Command::new(run)
                .operands("[REF] NAME", &[Completes::Sessions, Completes::Nothing])
                .flags(filters::SELECTION, filters::selecting())
                .flags("Options", flags()),
        )
        .exit_status(&[
            (0, "The session has the name."),
            (1, "The session does not exist."),
            (2, "Bad usage, an ambiguous reference, or Codex refused the name."),
        ])
        .examples(&[
            ("Name the newest session of the current directory:", "codex-agent name @ 'login work'"),
            ("Find a session by its name:", "codex-agent find 'login work' --format '{id}'"),
        ])
        .see_also(["codex-agent(1)", "codex-agent-find(1)", "codex-agent-fork(1)", "codex-agent-pick(1)", "codex-agent(7)"])
        .writes(["session"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    let has_none = args.operands.is_empty();
    // The last operand is the name, and the one before it the session.
    let name = match (args.operands.len(), args.common.selection.is_given()) {
        (1, true) | (2, _) => args.operands.pop(),
        _ => None,
    };
    if (has_none || name.is_some())
        && let Some(exit) = args.pick_if_missing(true)?
    {
        return Ok(exit);
    }
    if has_none && args.common.selection.is_given() && can_ask() {
        // Only one session matches the options.
        let mut index = args.common.index()?;
        let found = args.common.selection.one(&mut index, &[], true)?;
        args.operands.extend(found.and_then(|session| session.id).map(|id| id.to_string()));
        args.common.selection = Selection::default();
    }
    if let Some(id) = args.operands.first().filter(|_| has_none) {
        let short = Id::parse(id).map_or_else(|| id.clone(), Id::short);
        args.operands.push(ask_text(&format!("Name of session '{short}':"))?);
    }
    args.operands.extend(name);
    let selection = &args.common.selection;
    let (reference, name) = match &args.operands[..] {
        [name] if selection.is_given() => (&[][..], name),
        [reference, name] => (std::slice::from_ref(reference), name),
        [] if selection.is_given() => return Err(Error::usage("a name for the session is missing")),
        [] => return Err(Error::usage("a session and a name for the session are missing")),
        [_] => return Err(Error::usage("a name for the session is missing")),
        [_, _, extra, ..] => {
            return Err(Error::usage(format!("unexpected operand '{extra}'"))
                .hint("put a name with blanks in quotes"));
        }
    };
    let name = check_name(name)?;
    let mut index = args.common.index()?;
    let session = match selection.one(&mut index, reference, true)? {
        Some(session) => session,
        None => reference::resolve_to_act(&mut index, &reference[0])?,
    };
    let Some(id) = session.id else { return Err(Error::new("cannot name a session that has no id")) };
    let codex = find_codex(args.common.codex.as_deref())?;
    // The directory of the server does not matter for a name, and the session's directory may not exist.
    let home = index.home().clone();
    let version = query_version(&codex, Some(home.path()), Some(home.path()))?;
    let mut server = Server::start(&codex, &home, home.path())?;
    set_name(&mut server, &home, &version, id, name)?;
    server.close();
    // An index that was opened before the change has the old name.
    let named = args.common.index()?.get(id)?;
    let named = named.filter(|session| session.name.as_deref() == Some(name)).ok_or_else(|| {
        Error::new(format!("Codex {version} accepted name '{name}' for session '{id}' without saving it"))
    })?;
    status(format_args!("session '{}' is named '{name}'", id.short()));
    let mut output = Output::stdout();
    if args.common.json {
        output.record(&named)?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
