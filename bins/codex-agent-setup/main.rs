//! codex-agent-setup: install manual pages and shell completion for the current user.
//!
//! It says what it would do, does it when it is told to, and takes it away again. The tools print their own
//! documents, so that what is installed is of the tools that are there.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Takes, Tool, flags};
use codex_agent_shared::error::{Context, Error, Exit, Result, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{columns, is_terminal};
use codex_agent_shared::text::{path_cell, tsv};

mod documents;
mod install;
mod places;

use documents::Kind;
use install::{Action, Step};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    kinds: Vec<Kind>,
    yes: bool,
    dry_run: bool,
    undo: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::parsed(
            "only",
            Takes::OneOf("KIND", || Kind::ALL.iter().map(|kind| (kind.word(), "")).collect()),
            "manual pages, or the completions of this shell, and nothing else",
            |value| Ok(Kind::parse(&value.text()?).unwrap_or(Kind::Man)),
            |args| &mut args.own.kinds,
        )
        .more("Again for one more. Without it there are manual pages, and completions for each of these shells that is found."),
        Flag::switch("yes", "do it without asking", |args| &mut args.own.yes)
            .short('y')
            .more("Where nobody can be asked nothing is done without it."),
        Flag::switch("dry-run", "list each file, and do nothing", |args| &mut args.own.dry_run).short('n'),
        Flag::switch("undo", "remove what was installed", |args| &mut args.own.undo)
            .more("With --only of this kind alone. A file that somebody has changed since is left, and told. Folders that were made for the files go, where nothing else is in them."),
        flags::json("a record for each file"),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-setup")
        .description([
            "Installs the manual pages of the tools, and their completions for the shells that are found, for this user alone. It says first what it would do, and asks; files of others are never replaced, and no file of a shell's configuration is touched. What has to be added there by hand is said.",
            "    codex-agent setup",
            "Pages go where man(1) looks for those of the executables: for tools in a folder bin somewhere in the home, as $HOME/.cargo/bin, that is share/man beside it, here $HOME/.cargo/share/man; elsewhere $XDG_DATA_HOME/man. Completions go where bash-completion and fish look by themselves; zsh has no such folder for a user, so that a line in ~/.zshrc names it.",
            "Run again after an update, it brings the files up to date, and takes away those of tools that are gone. A package of a distribution installs all of this by itself, and needs no setup.",
        ])
        .command(Command::new(run).flags("Options", flags()))
        .exit_status(&[
            (0, "Done, or there was nothing to do, or it was only told what would be done."),
            (1, "The answer was no, and nothing was done; or --undo had to leave files that were changed."),
            (2, "Bad usage, a file of somebody else is in the way, or trouble. Nothing was changed."),
        ])
        .environment(&[
            (
                "XDG_DATA_HOME",
                "Where completions go for bash and zsh, and perhaps pages, instead of ~/.local/share.",
            ),
            ("XDG_CONFIG_HOME", "Where completions go for fish, instead of ~/.config."),
            (
                "BASH_COMPLETION_USER_DIR",
                "Where bash-completion looks for those of a user; of a list the first.",
            ),
            ("ZDOTDIR", "Where zsh has its startup files, for what is said of them."),
        ])
        .files(&[("~/.local/state/codex-agent/setup.json", "What was installed, for --undo.")])
        .examples(&[
            ("What would be done:", "codex-agent setup --dry-run"),
            ("Do it:", "codex-agent setup --yes"),
            ("Only the manual pages:", "codex-agent setup --only man --yes"),
            ("Take it all away again:", "codex-agent setup --undo --yes"),
        ])
        .see_also(["codex-agent(1)", "codex-agent-files(5)", "codex-agent(7)"])
        .writes(["setup.file"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let mut setup = install::Setup::open()?;
    let steps = match args.own.undo {
        true => setup.undoing(&args.own.kinds)?,
        false => {
            let kinds = if args.own.kinds.is_empty() { places::found() } else { args.own.kinds.clone() };
            setup.installing(documents::all(&kinds)?)?
        }
    };
    tell(&args, &steps)?;
    let refused: Vec<&Step> = steps.iter().filter(|step| step.action == Action::Refuse).collect();
    if let (Some(first), false) = (refused.first(), args.own.undo) {
        let whose = match setup.is_ours(&first.path) {
            true => "was changed since it was installed",
            false => "is not of this program",
        };
        let message = format!("'{}' {whose}, and was left as it is", first.path.display());
        let more =
            if refused.len() > 1 { format!("; so are {} more", refused.len() - 1) } else { String::new() };
        return Err(Error::new(format!("{message}{more}")).hint("move it away; nothing was changed"));
    }
    let has_work = steps.iter().any(|step| step.action.changes());
    if !has_work {
        warn(match (args.own.undo, refused.is_empty()) {
            (true, true) => "nothing is installed",
            (true, false) => "only files that were changed are left",
            (false, _) => "everything is there already",
        });
        return Ok(if refused.is_empty() { Exit::Done } else { Exit::Negative });
    }
    if args.own.dry_run {
        return Ok(Exit::Done);
    }
    if !args.own.yes && !may(args.own.undo)? {
        return Ok(if io::stdin().is_terminal() { Exit::Negative } else { Exit::Done });
    }
    setup.carry_out(&steps)?;
    let removed = steps.iter().filter(|step| step.action == Action::Remove).count();
    let installed = steps.iter().filter(|step| step.action.changes()).count() - removed;
    // Somebody may have removed some by hand.
    let gone = steps.iter().filter(|step| step.action == Action::Remove && !step.is_there()).count();
    for (count, what) in [(installed, "installed"), (removed - gone, "removed"), (gone, "forgot")] {
        if count > 0 {
            let files = if count == 1 { "file" } else { "files" };
            let more = if what == "forgot" { " that had gone already" } else { "" };
            warn(format_args!("{what} {count} {files}{more}"));
        }
    }
    if !args.own.undo {
        let kinds: Vec<Kind> =
            Kind::ALL.into_iter().filter(|kind| steps.iter().any(|s| s.kind == *kind)).collect();
        places::advise(&kinds);
    }
    Ok(if refused.is_empty() { Exit::Done } else { Exit::Negative })
}

/// Asks, where there is somebody to ask.
fn may(undo: bool) -> Result<bool> {
    if !io::stdin().is_terminal() {
        warn("nothing was done; --yes does it");
        return Ok(false);
    }
    let mut error = io::stderr();
    let question = if undo { "Remove them? [y/N] " } else { "Install them? [y/N] " };
    // Whoever does not see the question does not answer it.
    let _ = error.write_all(question.as_bytes()).and_then(|()| error.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read", "standard input".as_ref())?;
    let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !is_yes {
        warn("nothing was done");
    }
    Ok(is_yes)
}

/// Says what is to be done: a line a folder for people, a line a file for programs.
fn tell(args: &Args, steps: &[Step]) -> Result<()> {
    let mut output = Output::stdout();
    if args.common.json {
        steps.iter().try_for_each(|step| output.record(&step.record()))?;
    } else if !is_terminal() || args.own.dry_run {
        for step in steps {
            let path = step.path.to_string_lossy();
            let row = [step.action.word(), step.kind.word(), &tsv(&path)].join("\t");
            output.text(row.as_bytes(), b"\n")?;
        }
    } else {
        let home = std::env::var("HOME").ok();
        for line in install::summary(steps) {
            let path =
                path_cell(&line.folder, home.as_deref(), columns().saturating_sub(line.text.len() + 1));
            output.text(format!("{} {path}", line.text).as_bytes(), b"\n")?;
        }
    }
    output.flush()
}
