//! codex-agent-setup: install manual pages and shell completion for the current user.
//!
//! The tools print their own pages, and codex-agent the script of each shell. `setup.json` in the state directory has
//! the fingerprints of the files; it is written before they are, so that a run after a crash goes on. A file that it
//! does not name, or that was changed, is left alone, and so is a kind that a package has installed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Takes, Tool, flags};
use codex_agent_shared::config::state_folder;
use codex_agent_shared::error::{Context, Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::SetupFileRecord;
use codex_agent_shared::store::Store;
use codex_agent_shared::text::{fingerprint, harmless, tsv};
use serde::{Deserialize, Serialize};

mod places;

use places::Kind;

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
        .more("May be given more than once. [default: man, and each of these shells that is installed]"),
        Flag::switch("yes", "do it without asking", |args| &mut args.own.yes)
            .short('y')
            .more("Without a terminal to ask on it is necessary."),
        Flag::switch("dry-run", "list each file, and do nothing", |args| &mut args.own.dry_run).short('n'),
        Flag::switch("undo", "remove what was installed", |args| &mut args.own.undo)
            .more("With --only of this kind alone. A file that was changed since is kept and reported. Directories that setup created are removed if they are empty."),
        flags::json("a record for each file"),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-setup")
        .description([
            "Installs the manual pages of the tools, and the completion script of each shell that is found, for this user alone. It lists first what it would do, and asks. A file that is not its own is never replaced, and no configuration of a shell is touched: a line that has to be added there is printed.",
            "    codex-agent setup",
            "Pages go where man(1) looks for those of the executables: for tools in a folder bin somewhere in the home, as $HOME/.cargo/bin, that is share/man beside it, here $HOME/.cargo/share/man; elsewhere $XDG_DATA_HOME/man. Completions go where bash-completion and fish look by themselves; zsh has no such folder for a user, so that a line in ~/.zshrc names it.",
            "Run again after an update, it brings the files up to date, and takes away those of tools that are gone. What a package has installed, in a directory of $XDG_DATA_DIRS or beside the executables, is left alone: then there is nothing to do.",
        ])
        .command(Command::new(run).flags("Options", flags()))
        .exit_status(&[
            (0, "Done, or there was nothing to do, or --dry-run has listed it."),
            (1, "The answer was no, or there is no terminal to ask on and no --yes, and nothing was done; or --undo left files that were changed."),
            (2, "Bad usage; a file that is not its own is in the way, and nothing was changed; or a file cannot be written."),
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

/// The content of `setup.json`.
#[derive(Default, Serialize, Deserialize)]
struct Installed {
    /// By path: the kind, and the fingerprints that the file may have.
    files: BTreeMap<String, (String, Vec<String>)>,
    /// Directories that were created for the files, each before those in it.
    #[serde(default)]
    folders: Vec<String>,
}

impl Installed {
    fn prints(&self, path: &Path) -> Result<&[String]> {
        Ok(self.files.get(key(path)?).map_or(&[][..], |(_, prints)| prints))
    }
}

/// A path as `setup.json` has it.
fn key(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::new(format!("cannot install '{}': it is not UTF-8", path.display())))
}

/// A file, and what is done with it.
struct Step {
    action: &'static str,
    kind: Kind,
    path: PathBuf,
    text: Vec<u8>,
}

impl Step {
    fn changes(&self) -> bool {
        ["make", "replace", "remove"].contains(&self.action)
    }
}

fn run(args: Args) -> Result<Exit> {
    let store = Store::new(state_folder()?.join("setup.json"));
    let installed: Installed = store.read()?;
    let kinds = if args.own.kinds.is_empty() { Kind::found() } else { args.own.kinds.clone() };
    let steps =
        if args.own.undo { removing(&installed, &args.own.kinds)? } else { installing(&installed, &kinds)? };
    list(&args, &steps)?;
    let refused: Vec<&Step> = steps.iter().filter(|step| step.action == "refuse").collect();
    if let (Some(first), false) = (refused.first(), args.own.undo) {
        let why = match installed.prints(&first.path)? {
            [] => "is not of this program",
            _ => "was changed since it was installed",
        };
        return Err(Error::new(format!("cannot install '{}': the file there {why}", first.path.display()))
            .hint("move it away; nothing was changed"));
    }
    let ends = if refused.is_empty() { Exit::Done } else { Exit::Negative };
    let count = steps.iter().filter(|step| step.changes()).count();
    if count == 0 || args.own.dry_run {
        if count == 0 {
            status(match (args.own.undo, refused.is_empty()) {
                (true, true) => "nothing is installed",
                (true, false) => "only files that were changed are left",
                (false, _) => "everything is installed already",
            });
        }
        return Ok(ends);
    }
    if !args.own.yes && !may(args.own.undo)? {
        return Ok(Exit::Negative);
    }
    carry_out(&store, &steps)?;
    status(format_args!("{} {count} file(s)", if args.own.undo { "removed" } else { "installed" }));
    if !args.own.undo {
        kinds.iter().for_each(|kind| kind.advise());
    }
    Ok(ends)
}

/// The content of a file; of a link, and of whatever else is no file, `Some` of what no file of ours holds.
fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => fs::read(path).context("read", path).map(Some),
        Ok(_) => Ok(Some(Vec::new())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).context("read", path),
    }
}

fn installing(installed: &Installed, kinds: &[Kind]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for kind in kinds {
        if let Some(place) = kind.installed()? {
            status(format_args!("{} in '{}' are installed already", kind.name(), place.display()));
            continue;
        }
        for (path, text) in kind.documents()? {
            let action = match content(&path)? {
                None => "make",
                Some(there) if there == text => "keep",
                Some(there) if installed.prints(&path)?.contains(&fingerprint(&there)) => "replace",
                Some(_) => "refuse",
            };
            steps.push(Step { action, kind: *kind, path, text });
        }
    }
    let is_gone = |step: &Step| step.action == "remove" && !steps.iter().any(|other| other.path == step.path);
    let gone: Vec<Step> = removing(installed, kinds)?.into_iter().filter(is_gone).collect();
    steps.extend(gone);
    Ok(steps)
}

/// The files of these kinds, of all where there is none: what was changed is left.
fn removing(installed: &Installed, kinds: &[Kind]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (path, (kind, prints)) in &installed.files {
        let (path, kind) = (PathBuf::from(path), Kind::parse(kind).unwrap_or(Kind::Man));
        if kinds.is_empty() || kinds.contains(&kind) {
            let is_ours = content(&path)?.is_none_or(|there| prints.contains(&fingerprint(&there)));
            steps.push(Step {
                action: if is_ours { "remove" } else { "refuse" },
                kind,
                path,
                text: Vec::new(),
            });
        }
    }
    Ok(steps)
}

fn carry_out(store: &Store, steps: &[Step]) -> Result<()> {
    let held = store.hold()?;
    let mut now: Installed = held.read()?;
    for step in steps.iter().filter(|step| step.changes()) {
        // The user may have written the file while the question stood.
        let there = content(&step.path)?.map(|there| fingerprint(&there));
        let known = now.prints(&step.path)?;
        if there.is_some_and(|there| !known.contains(&there)) {
            return Err(Error::new(format!(
                "cannot {} '{}': the file has changed",
                step.action,
                step.path.display()
            ))
            .hint("nothing was changed; run it again"));
        }
    }
    for step in steps.iter().filter(|step| step.changes() && step.action != "remove") {
        let entry =
            now.files.entry(key(&step.path)?.to_owned()).or_insert((step.kind.word().to_owned(), Vec::new()));
        entry.1.push(fingerprint(&step.text));
        let missing: Vec<&Path> = step.path.ancestors().skip(1).take_while(|place| !place.exists()).collect();
        for directory in missing.into_iter().rev() {
            let directory = key(directory)?.to_owned();
            if !now.folders.contains(&directory) {
                now.folders.push(directory);
            }
        }
    }
    held.write(&now)?;
    for step in steps.iter().filter(|step| step.changes()) {
        let (path, directory) = (key(&step.path)?, step.path.parent().unwrap_or(Path::new("/")));
        let name = step.path.file_name().unwrap_or_default().to_string_lossy();
        let part = |print: &String| directory.join(format!(".{name}.{print}.codex-agent-setup"));
        // A setup that was killed may have left it; the name has the fingerprint of what it was writing.
        now.prints(&step.path)?.iter().for_each(|print| drop(fs::remove_file(part(print))));
        if step.action == "remove" {
            if step.path.exists() {
                fs::remove_file(&step.path).context("remove", &step.path)?;
            }
            now.files.remove(path);
            continue;
        }
        let print = fingerprint(&step.text);
        write(&part(&print), step)?;
        now.files.insert(path.to_owned(), (step.kind.word().to_owned(), vec![print]));
    }
    if now.files.is_empty() {
        // A directory that is not empty stays.
        now.folders.drain(..).rev().for_each(|directory| drop(fs::remove_dir(directory)));
    }
    held.write(&now)
}

/// Writes a file by way of `part`, synced before it is renamed. Every user may read it, as other documents.
fn write(part: &Path, step: &Step) -> Result<()> {
    let directory = part.parent().unwrap_or(Path::new("/"));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755).create(directory).context("create", directory)?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(part);
    let mut file = tempfile::NamedTempFile::from_parts(
        file.context("create", part)?,
        tempfile::TempPath::try_from_path(part).context("create", part)?,
    );
    file.write_all(&step.text).context("write", &step.path)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).context("write", &step.path)?;
    file.as_file().sync_all().context("write", &step.path)?;
    file.persist(&step.path).map_err(|error| error.error).context("write", &step.path)?;
    Ok(())
}

/// Asks on the terminal.
fn may(undo: bool) -> Result<bool> {
    if !io::stdin().is_terminal() {
        warn("nothing was done, as there is no terminal to ask on: --yes does it");
        return Ok(false);
    }
    let mut error = io::stderr();
    let question = if undo { "Remove them? [y/N] " } else { "Install them? [y/N] " };
    let _ = error.write_all(question.as_bytes()).and_then(|()| error.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read", Path::new("standard input"))?;
    let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !is_yes {
        status("nothing was done");
    }
    Ok(is_yes)
}

fn list(args: &Args, steps: &[Step]) -> Result<()> {
    let mut output = Output::stdout();
    if io::stdout().is_terminal() && !args.common.json {
        let directory = |step: &Step| (step.action, step.kind, step.path.parent().map(Path::to_owned));
        for group in steps.chunk_by(|one, next| directory(one) == directory(next)) {
            let place = group[0].path.parent().unwrap_or(Path::new("/"));
            let (action, files) = (group[0].action, if group.len() == 1 { "file" } else { "files" });
            let row = format!("{action} {} {files} in {}\n", group.len(), harmless(&place.to_string_lossy()));
            output.text(row.as_bytes(), b"")?;
        }
        return output.flush();
    }
    for step in steps {
        if args.common.json {
            output.record(&SetupFileRecord::new(step.action, step.kind.word(), &step.path))?;
        } else {
            let row = [step.action, step.kind.word(), &tsv(&step.path.to_string_lossy())].join("\t");
            output.text(row.as_bytes(), b"\n")?;
        }
    }
    output.flush()
}
