//! codex-agent-name: name a Codex session.

use std::process::ExitCode;

use codex_agent_engine::codex::fork::{checked_name, set_name};
use codex_agent_engine::codex::server::{Server, find_codex};
use codex_agent_engine::codex::version::version;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::about;
use codex_agent_shared::reference;

#[derive(Default)]
struct Args {
    common: flags::Common,
    operands: Vec<String>,
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

const FLAGS: &[Flag<Args>] =
    &[flags::json("the session's record on standard output"), flags::codex_home(), flags::codex()];

static COMMAND: Command<Args> = Command {
    name: "",
    aliases: &[],
    about: about("name"),
    operands: "REF NAME",
    completes: &[Completes::Sessions, Completes::Nothing],
    details: &[],
    sections: &[("Options", FLAGS)],
    greedy: false,
    operand: |args, operand| flags::text_operand(&mut args.operands, operand),
    run,
};

static TOOL: Tool = Tool {
    name: "codex-agent-name",
    about: about("name"),
    description: &[
        "Gives a session a name, through Codex itself, so that Codex's own picker shows it and 'codex resume NAME' knows it. Sessions of 'codex exec' cannot be named in another way.",
        "Every tool here takes the name as a reference. Names need not be unique: Codex names the sessions of its TUI itself (0.171), and a fork takes its parent's name with it (0.169). A name that several sessions have means none of them; the error names the newest. A name is refused if it is a whole id or the path of a rollout, or begins with @, -, id: or name:, as references do. Codex removes blanks around a name, keeps every name that was ever given, and cannot take one away again.",
        "Codex can do it from 0.94 on. It takes about half a second, which is Codex's start.",
    ],
    commands: &[&COMMAND],
    exit_status: &[
        (0, "The session has the name."),
        (1, "There is no such session."),
        (2, "Bad usage, a reference that may be several sessions, or Codex refused."),
    ],
    environment: &[],
    files: &[],
    examples: &[
        Example {
            text: "Name the newest session of this directory:",
            command: "codex-agent name @ 'login work'",
            exit: 0,
        },
        Example {
            text: "And find it by its name:",
            command: "codex-agent find 'login work' --format '{id}'",
            exit: 0,
        },
    ],
    see_also: &["codex-agent(1)", "codex-agent-find(1)", "codex-agent-fork(1)", "codex-agent(7)"],
    reads: &[],
    writes: &["session"],
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}

fn run(args: Args) -> Result<Exit> {
    let [text, name] = &args.operands[..] else {
        return Err(match args.operands.len() {
            0 => Error::usage("a session and its name are missing"),
            1 => Error::usage("the name is missing"),
            _ => Error::usage(format!("unexpected operand '{}'", args.operands[2]))
                .hint("quote a name with blanks"),
        });
    };
    let name = checked_name(name)?;
    let mut index = args.common.index()?;
    let session = reference::resolve_to_act(&mut index, text)?;
    let Some(id) = session.id else { return Err(Error::new(format!("'{text}' has no id"))) };
    let codex = find_codex(args.common.codex.as_deref())?;
    // Where the server runs does not matter to a name, and the session's directory may be gone.
    let home = index.home().clone();
    let version = version(&codex, Some(home.path()), Some(home.path()))?;
    let mut server = Server::start(&codex, &home, home.path())?;
    set_name(&mut server, &home, &version, id, name)?;
    server.close();
    // What was read before the change is old; a new index sees the new name.
    let named = args.common.index()?.get(id)?;
    let named = named.filter(|session| session.name.as_deref() == Some(name)).ok_or_else(|| {
        Error::new(format!("Codex {version} took the name '{name}' for '{id}', but does not show it"))
    })?;
    warn(format_args!("'{}' is named '{name}'", id.short()));
    let mut output = Output::stdout();
    if args.common.json {
        output.record(&named)?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
