//! codex-agent-show: print what was said and done in Codex sessions.

use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::remote::{Operands, Style};
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, filters, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::reference::reads_stdin;
use codex_agent_shared::terminal::page;

mod around;
mod blocks;
mod choice;
mod early;
mod files;
mod forms;
mod html;
mod last;
mod markdown;
mod oneline;
mod people;
mod targets;

use choice::Choice;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    choice: Choice,
    last: Option<usize>,
    undone: bool,
    inherited: bool,
    subagents: bool,
    around: Option<String>,
    context: Option<usize>,
    oneline: bool,
    is_final: bool,
    tasks: bool,
    stat: bool,
    name_only: bool,
    patch: bool,
    full: bool,
    lines: Option<usize>,
    markdown: bool,
    html: bool,
    raw: bool,
    width: Option<usize>,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn choosing() -> [Flag; 8] {
    [
        Flag::parsed("turns", Takes::Text("TURNS"), "show only these turns: 3, 3-5, 3- or -3", choice::parse_turns, |args| {
            &mut args.own.choice.turns
        })
        .more("Several ranges are separated by commas. The numbers are those of the headings and of the field turn of records; undone turns have none."),
        Flag::number("last", "N", 1.., "show only the last N turns", |args: &mut Args| &mut args.own.last)
            .short('n')
            .more("Of a long transcript only the end is read, and the turns have no numbers then."),
        Flag::parsed("only", Takes::Text("ROLES"), "show only items of these roles, such as user,assistant,command,output,patch", choice::parse_roles, |args| {
            &mut args.own.choice.roles
        })
        .more("ROLES are names of roles with commas between them: user, assistant, reasoning, plan, command, output, script, patch, todo, search, tool, image, question, agent, review, compaction, goal. See codex-agent-records(5)."),
        Flag::text("around", "ADDRESS", "show the items around an item", |args| &mut args.own.around)
            .more("ADDRESS is SESSION:TURN:ITEM or SESSION:TURN, where SESSION is a reference. The turns before and after it count too."),
        Flag::number("context", "N", 0..=100_000, "with --around, show N items before and after it", |args: &mut Args| {
            &mut args.own.context
        })
        .short('C')
        .default("2"),
        Flag::switch("undone", "also show turns that were rolled back or reverted", |args| &mut args.own.undone),
        Flag::switch("inherited", "also show the turns that a fork or a subagent begins with", |args| {
            &mut args.own.inherited
        })
        .more("By default the turns of a fork that are those of the session that was forked are one line, and turns that were copied into a subagent are left out. Records have the turns of a fork always, with inherited true."),
        Flag::switch("subagents", "also show the subagents of each session, behind it", |args| &mut args.own.subagents),
    ]
}

fn views() -> [Flag; 8] {
    [
        Flag::switch("oneline", "print a line for each turn: address, time, status, tokens, prompt", |args| {
            &mut args.own.oneline
        }),
        Flag::switch("final", "print the last answer of the model, and nothing else", |args| &mut args.own.is_final),
        Flag::switch("tasks", "print the newest check list of the model", |args| &mut args.own.tasks),
        Flag::switch("stat", "print the files that were changed, with the numbers of lines", |args| &mut args.own.stat),
        Flag::switch("name-only", "print the paths of the files that were changed", |args| &mut args.own.name_only),
        Flag::switch("patch", "print the patches that were applied, for git apply", |args| &mut args.own.patch)
            .more("git apply applies a move to the file as it was before all patches of its input; for a session that changed a file before it moved the file, apply one patch at a time, by its address. Up to Codex 0.120 a rollout has the patch of the model alone, which git does not read; such a patch is reported and left out."),
        Flag::switch("full", "show all lines of outputs, and reasoning and scripts as a whole", |args| &mut args.own.full),
        Flag::number("lines", "N", 1..=1_000_000, "show N lines of each output", |args: &mut Args| &mut args.own.lines)
            .default("5"),
    ]
}

fn forms() -> [Flag; 7] {
    [
        flags::json("print the records of items and turns, one per line"),
        Flag::switch("markdown", "print Markdown", |args| &mut args.own.markdown),
        Flag::switch("html", "print a page of HTML, which has no script and requests nothing", |args| {
            &mut args.own.html
        }),
        Flag::switch("raw", "print the lines of the rollouts as they are", |args| &mut args.own.raw),
        Flag::number("width", "N", 20..=1000, "break and cut lines at N columns", |args: &mut Args| {
            &mut args.own.width
        })
        .more("By default lines are as wide as the terminal; in a pipe, lines of messages are not broken."),
        flags::color(),
        flags::no_pager(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-show")
        .description([
            "Prints the transcripts of sessions: the messages, the commands with their outputs, the patches, the check lists, the calls of tools, how each turn ended, and what it cost. Transcripts of all versions of Codex since 0.45 are read, from the rollouts alone: neither Codex nor its database is needed for them.",
            "REF is a reference to a session; see codex-agent(7). An address, SESSION:TURN or SESSION:TURN:ITEM, names a turn or an item of a session; the headings have the numbers of turns, and records have the field address. Without REF, codex-agent-pick(1) lets the user choose on a terminal; otherwise, or if REF is '-', references and addresses are read from standard input: session records, JSON strings, or lines up to their first TAB. Instead of REF, --find names one session by words.",
            "    codex-agent show @ --turns 2-",
            "A turn begins with a heading: its number, the time when it began, its state if it was not completed, its duration and its tokens (input and output). A mark begins each message and each deed: an angle bracket for the user, a bullet for the model, an exclamation mark for the error that ended a turn. Of a long output the first and the last lines are shown, of reasoning its heading; --full shows all. The last line has the sums, and the number of turns that were undone. A session of before Codex 0.148 is searched for rollbacks to its end before its first turn is printed, which takes about a tenth of a second for each gigabyte on two processors; with -n, only the end is read. Where a pager may be started, the first turns of such a session of more than 32 MiB are shown meanwhile, as much as fills the screen; if a rollback may have undone one of them, a line says so, and the transcript follows from its beginning.",
            "An item that Codex wrote after the end of its turn, such as a command that was killed, is shown where it stands, with a heading of its own.",
            "On a terminal, output that is longer than the screen goes to the pager; see codex-agent(7).",
        ])
        .command(
            Command::new(run)
                .operands("[REF...|-]", &[Completes::Sessions])
                .flags(filters::SELECTION, filters::selecting())
                .flags("Turns and items", choosing())
                .flags("Views", views())
                .flags("Forms", forms())
                .flags("Sources", [flags::host(), flags::codex_home(), flags::no_database()])
                .on_hosts(),
        )
        .exit_status(&[
            (0, "The transcripts were printed."),
            (1, "A session, a turn or an item does not exist; with --final or --tasks, there is no answer or check list; with --patch, a patch was left out."),
            (2, "Bad usage, an ambiguous reference, or a transcript could not be read."),
        ])
        .files(&[("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollouts of sessions.")])
        .examples(&[
            ("Read the newest session of the current directory:", "codex-agent show @"),
            ("Read its last two turns, with complete outputs:", "codex-agent show @ -n 2 --full"),
            ("List the turns of a session:", "codex-agent show cd6d1b0c --oneline"),
            ("Print the last answer of a session:", "codex-agent show @ --final"),
            ("List the prompts of a session:", "codex-agent show @ --json | jq -r 'select(.role == \"user\").text'"),
            ("See which files a session changed:", "codex-agent show @ --stat"),
            ("Choose a session by its transcript with fzf, and resume it:", "codex-agent ls --fields id,title,cwd | fzf --no-mouse -d '\\t' --with-nth 2,3 --preview 'codex-agent show --color=always --width=$FZF_PREVIEW_COLUMNS {1}' | codex-agent resume -"),
            ("Save a session as a page:", "codex-agent show @ --html > session.html"),
        ])
        .see_also("codex-agent(1) codex-agent-find(1) codex-agent-ls(1) codex-agent-pick(1) codex-agent-records(5) codex-agent(7) codex-agent-transcripts(7)".split(' '))
        .reads(&["session"])
        .writes(["item", "turn"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    check_usage(&args)?;
    let names_none = args.own.around.is_none() && !args.common.selection.is_given();
    let input = names_none && reads_stdin(&args.operands).unwrap_or(false);
    let operands = Operands { input, flag: Some("around"), ..Operands::default() };
    if let Some(remote) = args.common.on_hosts("show", operands)? {
        return remote.print(if args.own.oneline { Style::Address } else { Style::Text });
    }
    if args.own.around.is_none()
        && let Some(exit) = args.pick_if_missing(false)?
    {
        return Ok(exit);
    }
    let mut index = args.common.index()?;
    let targets = targets::find_all(&args, &mut index)?;
    check_addresses(&args, &targets)?;
    let is_paged = !args.common.no_pager && page();
    let mut output = Output::stdout();
    let is_complete = forms::print_all(&args, &mut index, &targets, is_paged, &mut output)?;
    output.flush()?;
    Ok(if is_complete { Exit::Done } else { Exit::Negative })
}

/// An error for options that exclude each other.
fn check_usage(args: &Args) -> Result<()> {
    let own = &args.own;
    let refuse =
        |first: &str, second: &str| Err(Error::usage(format!("{first} and {second} cannot be combined")));
    let ways: Vec<&str> =
        forms::ways(args).into_iter().filter(|(_, is_given, _)| *is_given).map(|(name, ..)| name).collect();
    if let [first, second, ..] = ways[..] {
        return refuse(first, second);
    }
    let parts = [
        ("--turns", own.choice.is_part()),
        ("--last", own.last.is_some()),
        ("--around", own.around.is_some()),
        ("--undone", own.undone),
        ("--only", !own.choice.roles.is_empty()),
    ];
    let parts: Vec<&str> =
        parts.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
    match (ways.first(), &parts[..]) {
        (Some(way @ (&"--final" | &"--tasks" | &"--raw")), [part, ..]) => return refuse(way, part),
        (_, ["--turns", part @ ("--last" | "--around"), ..]) => return refuse("--turns", part),
        (_, ["--last", part @ ("--around" | "--undone"), ..]) => return refuse("--last", part),
        (Some(way), ["--around", ..]) if *way != "--json" => return refuse(way, "--around"),
        _ => {}
    }
    let way = ways.first().copied();
    let is_text = matches!(way, None | Some("--markdown" | "--html"));
    let pairs = [
        ("--around", own.around.is_some(), "--subagents", own.subagents),
        ("--full", own.full, "--lines", own.lines.is_some()),
        ("--full", own.full, way.unwrap_or_default(), !is_text),
        ("--lines", own.lines.is_some(), way.unwrap_or_default(), way.is_some()),
        ("--inherited", own.inherited, "--raw", own.raw),
        (
            "--width",
            own.width.is_some(),
            way.unwrap_or_default(),
            !matches!(way, None | Some("--oneline" | "--stat")),
        ),
        (
            "--only",
            !own.choice.roles.is_empty(),
            way.unwrap_or_default(),
            matches!(way, Some("--stat" | "--name-only" | "--patch" | "--oneline")),
        ),
    ];
    if let Some((first, _, second, _)) = pairs.into_iter().find(|(_, first, _, second)| *first && *second) {
        return refuse(first, second);
    }
    if own.context.is_some() && own.around.is_none() {
        return Err(Error::usage("--context needs --around"));
    }
    if own.around.is_some() && (!args.operands.is_empty() || args.common.selection.is_given()) {
        return Err(Error::usage("--around names the session, and cannot be combined with REF or --find"));
    }
    Ok(())
}

/// An error for options that choose other turns than an address, or that have no turns.
fn check_addresses(args: &Args, targets: &[targets::Target]) -> Result<()> {
    let own = &args.own;
    let options = [
        ("--turns", own.choice.is_part()),
        ("--last", own.last.is_some()),
        ("--final", own.is_final),
        ("--tasks", own.tasks),
        ("--raw", own.raw),
    ];
    let given = options.into_iter().find(|(_, is_given)| *is_given);
    match given.filter(|_| own.around.is_none() && targets.iter().any(|target| target.turn.is_some())) {
        Some((option, _)) => {
            Err(Error::usage(format!("an address of a turn and {option} cannot be combined")))
        }
        None => Ok(()),
    }
}
