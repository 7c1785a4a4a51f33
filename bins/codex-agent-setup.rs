//! codex-agent-setup: install manual pages and shell completion for the current user.
//!
//! The tools print their own pages, and codex-agent prints the script of each shell. `setup.json` in the state
//! directory lists each file that was written, with the fingerprint of each of its contents. A file is replaced or
//! removed only if its content has a recorded fingerprint. The fingerprint of a new content is recorded before the file is written, so that a run
//! after a crash completes or removes what the first run wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, iter};

use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::{self, Command, Tool, flags};
use codex_agent_shared::config::{data_dirs, data_home, share_beside, state_directory, user_home};
use codex_agent_shared::error::{Context, Error, Exit, Result, status, warn};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::SetupFileRecord;
use codex_agent_shared::plugin::description::{PATIENCE, generate};
use codex_agent_shared::plugin::{PREFIX, TOOLS, dispatcher};
use codex_agent_shared::store::{Store, private};
use codex_agent_shared::terminal::{ask, can_ask, is_terminal};
use codex_agent_shared::text::{fingerprint, harmless, quoted, tsv};
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Own {
    kinds: Vec<Kind>,
    yes: bool,
    dry_run: bool,
    undo: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn tool() -> Tool {
    Tool::ours("codex-agent-setup")
        .description([
            "Installs the manual pages of codex-agent and its tools, and completion scripts for those of the shells bash, zsh and fish that are installed, for the current user. The files are listed first, and are installed after a confirmation. A file that codex-agent-setup did not write is never replaced. The startup files of shells are not changed: if a startup file needs another line, this line is printed.",
            "    codex-agent setup",
            "Manual pages are installed in a directory in which man(1) searches for them. If the executables are in a directory called bin below the home directory of the user, such as ~/.cargo/bin, the manual pages are installed in the directory share/man beside it, such as ~/.cargo/share/man. For executables in another directory, the manual pages are installed in $XDG_DATA_HOME/man. Completion scripts for bash and fish are installed in the directories in which bash-completion and fish search. By default, zsh does not search for completion scripts in any directory below the home directory; a line in ~/.zshrc must therefore name the directory in which the script for zsh is installed.",
            "After an update of the tools, run codex-agent-setup again: files that have changed are replaced, and the files of tools that no longer exist are removed. If a software package has installed the manual pages, or the scripts of a shell, in a directory of $XDG_DATA_DIRS or beside the executables, files of this kind are not installed.",
        ])
        .command(Command::new(run).flags(
            "Options",
            [
                Flag::choice::<Kind, _>("only", "KIND", "install or remove only files of this kind", |args: &mut Args| {
                    &mut args.own.kinds
                })
                .more("May be given more than once. [default: man, and those of the shells that are installed]"),
                Flag::switch("yes", "do not ask for confirmation", |args| &mut args.own.yes)
                    .short('y')
                    .more("This option is required if standard input is not a terminal."),
                Flag::switch("dry-run", "list the files, and change no file", |args| &mut args.own.dry_run),
                Flag::switch("undo", "remove the installed files", |args| &mut args.own.undo)
                    .more("With --only, files of other kinds are kept. A file that was changed after codex-agent-setup installed it is kept and listed. With the last file, the directories that codex-agent-setup created are removed if they are empty."),
                flags::json("print a record of type setup.file for each file"),
            ],
        ))
        .exit_status(&[
            (0, "The files were installed, removed or listed, or no change was necessary."),
            (1, "One of these: the user did not confirm, and no file was changed; standard input is not a terminal, --yes is missing, and no file was changed; --undo kept files that were changed after their installation."),
            (2, "One of these: bad usage; a file that codex-agent-setup did not write has the path of a file to install, and no file was changed; a file could not be written."),
        ])
        .environment(&[
            ("XDG_DATA_HOME", "The directory below which completion scripts for bash and zsh are installed, and manual pages if the executables are not below the home directory, instead of ~/.local/share."),
            ("XDG_CONFIG_HOME", "The directory below which completion scripts for fish are installed, instead of ~/.config."),
            ("BASH_COMPLETION_USER_DIR", "The directories in which bash-completion searches for completion scripts of the user, separated by colons; scripts are installed in the first directory."),
            ("ZDOTDIR", "The directory of the startup files of zsh; the message about the missing line names this directory."),
        ])
        .files(&[("~/.local/state/codex-agent/setup.json", "The list of installed files, for --undo.")])
        .examples(&[
            ("List the files without installing them:", "codex-agent setup --dry-run"),
            ("Install all files without a confirmation:", "codex-agent setup --yes"),
            ("Install only the manual pages:", "codex-agent setup --only man --yes"),
            ("Remove all files that codex-agent-setup installed:", "codex-agent setup --undo --yes"),
        ])
        .see_also("codex-agent(1) codex-agent-files(5) codex-agent(7)".split(' '))
        .writes(["setup.file"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

/// The manual pages that no tool prints.
const PAGES: [(&str, &str); 6] = [
    ("man7/codex-agent.7", include_str!("../man/codex-agent.7")),
    ("man7/codex-agent-distributed.7", include_str!("../man/codex-agent-distributed.7")),
    ("man7/codex-agent-plugins.7", include_str!("../man/codex-agent-plugins.7")),
    ("man7/codex-agent-transcripts.7", include_str!("../man/codex-agent-transcripts.7")),
    ("man5/codex-agent-records.5", include_str!("../man/codex-agent-records.5")),
    ("man5/codex-agent-files.5", include_str!("../man/codex-agent-files.5")),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Choice for Kind {
    const ALL: &'static [(Kind, &'static str, &'static str)] = &[
        (Kind::Man, "man", "manual pages"),
        (Kind::Bash, "bash", "completion scripts for bash"),
        (Kind::Zsh, "zsh", "the completion script for zsh"),
        (Kind::Fish, "fish", "completion scripts for fish"),
    ];
}

impl Kind {
    /// The file of a tool, and the directories below a data directory in which a package installs it.
    fn places(self, tool: &str) -> (String, &'static [&'static str]) {
        match self {
            Kind::Man => (format!("man1/{tool}.1"), &["man"]),
            Kind::Bash => (tool.to_owned(), &["bash-completion/completions"]),
            Kind::Zsh => (format!("_{tool}"), &["zsh/vendor-completions", "zsh/site-functions"]),
            Kind::Fish => (format!("{tool}.fish"), &["fish/vendor_completions.d"]),
        }
    }

    /// The directory that files of this kind are written to, for executables in the directory `bin`.
    fn directory(self, bin: &Path) -> Result<PathBuf> {
        let variable = |name| env::var_os(name).filter(|value| Path::new(value).is_absolute());
        let home = user_home("your home directory", "XDG_DATA_HOME and XDG_CONFIG_HOME");
        Ok(match self {
            // A home of '/' contains the directories of all users.
            Kind::Man => match share_beside(bin).zip(home.ok()) {
                Some((share, home)) if home != Path::new("/") && share.starts_with(&home) => {
                    share.join("man")
                }
                _ => data_home()?.join("man"),
            },
            Kind::Bash => {
                let list = variable("BASH_COMPLETION_USER_DIR").unwrap_or_default();
                let first = env::split_paths(&list).find(|path| path.is_absolute());
                first.map_or_else(|| Ok(data_home()?.join("bash-completion")), Ok)?.join("completions")
            }
            Kind::Zsh => data_home()?.join("zsh/site-functions"),
            Kind::Fish => {
                let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
                config.map_or_else(|| Ok(home?.join(".config")), Ok)?.join("fish/completions")
            }
        })
    }

    /// The directory in which a package has installed files of this kind.
    fn installed_by_package(self, bin: &Path) -> Result<Option<PathBuf>> {
        let own = self.directory(bin)?;
        let (file, inside) = self.places("codex-agent");
        let shares = data_dirs().into_iter().chain(share_beside(bin));
        let all = shares.flat_map(|share| inside.iter().map(move |inside| share.join(inside)));
        // In the directory that setup writes to, only a compressed page is of a package.
        let has = |directory: &PathBuf, file: &str| directory.join(file).exists();
        let packed = format!("{file}.gz");
        Ok(all.chain([own.clone()]).find(|there| has(there, &packed) || *there != own && has(there, &file)))
    }

    /// The paths and contents of the files of this kind, for the tools in the directory `bin`.
    fn documents(self, bin: &Path) -> Result<Vec<(String, String)>> {
        let directory = self.directory(bin)?;
        let directory = directory.to_str().ok_or_else(|| {
            Error::new(format!("cannot install into '{}': the path is not UTF-8", directory.display()))
                .hint("set XDG_DATA_HOME and XDG_CONFIG_HOME to other directories")
        })?;
        let pages = PAGES.iter().filter(|_| self == Kind::Man);
        let page = |(name, text): &(&str, &str)| (format!("{directory}/{name}"), (*text).to_owned());
        let mut all: Vec<_> = pages.map(page).collect();
        let names = TOOLS.iter().map(|(name, ..)| format!("{PREFIX}{name}"));
        for tool in iter::once("codex-agent".to_owned()).chain(names).filter(|tool| bin.join(tool).is_file())
        {
            // bash and fish search for a file by the name of the command. The file of zsh names all commands.
            let text = match self {
                Kind::Bash if tool != "codex-agent" => ". \"${BASH_SOURCE[0]%/*}/codex-agent\"\n".to_owned(),
                Kind::Fish if tool != "codex-agent" => {
                    "source (status dirname)/codex-agent.fish\n".to_owned()
                }
                Kind::Zsh if tool != "codex-agent" => continue,
                _ => generate(&bin.join(&tool), self.word(), PATIENCE)?,
            };
            all.push((format!("{directory}/{}", self.places(&tool).0), text));
        }
        Ok(all)
    }

    /// Prints the line that the user may have to add to a startup file, for the shell or man(1) to find the files.
    fn print_startup_line(self, bin: &Path) -> Result<()> {
        let directory = quoted(&self.directory(bin)?.to_string_lossy());
        let zsh = env::var_os("ZDOTDIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let zsh = zsh.unwrap_or_else(|| PathBuf::from("~")).join(".zshrc");
        status(match self {
            // The empty part of MANPATH stands for the directories that man searches by default.
            Kind::Man => format!(
                "if 'man codex-agent' finds no page, put 'export MANPATH={directory}:$MANPATH' into your shell's startup file"
            ),
            Kind::Bash => {
                format!("bash without bash-completion: put '. {directory}/codex-agent' into ~/.bashrc")
            }
            Kind::Zsh => {
                format!("zsh: put 'fpath=({directory} $fpath)' into {}, before compinit", zsh.display())
            }
            Kind::Fish => return Ok(()),
        });
        Ok(())
    }
}

/// The content of `setup.json`.
#[derive(Default, Serialize, Deserialize)]
struct Installed {
    /// By path: the kind, and the fingerprint of each content that was written.
    files: BTreeMap<String, (String, BTreeSet<String>)>,
    /// Directories that were created for the files.
    #[serde(default)]
    folders: BTreeSet<String>,
}

impl Installed {
    /// The action for a file that is to have the content `wanted`, or is to be removed.
    fn action(&self, path: &str, wanted: Option<&str>) -> Result<&'static str> {
        let there = match Path::new(path).symlink_metadata() {
            Ok(meta) if meta.is_file() => Some(fs::read(path).context("read", Path::new(path))?),
            // A link or a directory has the content of no file that setup wrote.
            Ok(_) => Some(Vec::new()),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(error).context("read", Path::new(path)),
        };
        let is_known =
            |content| self.files.get(path).is_some_and(|(_, known)| known.contains(&fingerprint(content)));
        Ok(match (wanted, there) {
            (Some(wanted), Some(there)) if wanted.as_bytes() == there => "keep",
            (_, Some(there)) if !is_known(&there) => "refuse",
            (Some(_), None) => "make",
            (Some(_), Some(_)) => "replace",
            (None, _) => "remove",
        })
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A file, its action, and its content if it is to be installed.
struct Step {
    action: &'static str,
    kind: Kind,
    path: String,
    text: Option<String>,
}

impl Step {
    fn directory(&self) -> &Path {
        Path::new(&self.path).parent().unwrap_or(Path::new("/"))
    }
}

fn run(args: Args) -> Result<Exit> {
    let store = Store::new(state_directory()?.join("setup.json"));
    let installed: Installed = store.read()?;
    let (undo, dispatcher) = (args.own.undo, dispatcher());
    let bin = dispatcher.parent().unwrap_or(Path::new("/"));
    let is_wanted = |kind: &Kind| match args.own.kinds[..] {
        [] => undo || *kind == Kind::Man || find_program(kind.word()).is_some(),
        _ => args.own.kinds.contains(kind),
    };
    let kinds: Vec<Kind> = Kind::ALL.iter().map(|(kind, ..)| *kind).filter(is_wanted).collect();
    let steps = plan(&installed, &kinds, bin, undo)?;
    list(&args, &steps)?;
    let (refused, steps): (Vec<Step>, Vec<Step>) =
        steps.into_iter().filter(|step| step.action != "keep").partition(|step| step.action == "refuse");
    let exit = match &refused[..] {
        [] => Exit::Done,
        _ if undo => Exit::Negative,
        [Step { path, .. }, ..] => {
            let why = match installed.files.contains_key(path) {
                true => "was changed since it was installed",
                false => "was not written by codex-agent setup",
            };
            return Err(Error::new(format!("cannot install '{path}': the existing file {why}"))
                .hint("move the file away; nothing was changed"));
        }
    };
    if steps.is_empty() {
        status(match (undo, exit) {
            (true, Exit::Done) => "nothing is installed",
            (true, _) => "only files that were changed are left",
            (false, _) => "everything is installed already",
        });
    }
    if steps.is_empty() || args.own.dry_run {
        return Ok(exit);
    }
    if !args.own.yes && !is_confirmed(undo)? {
        return Ok(Exit::Negative);
    }
    apply(&store, &steps)?;
    status(format_args!("{} {} file(s)", if undo { "removed" } else { "installed" }, steps.len()));
    kinds.iter().filter(|_| !undo).try_for_each(|kind| kind.print_startup_line(bin))?;
    Ok(exit)
}

/// The steps that install the files of these kinds and remove the other recorded files of the kinds; with `undo`, the
/// steps that remove all of them.
fn plan(installed: &Installed, kinds: &[Kind], bin: &Path, undo: bool) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for kind in kinds.iter().copied().filter(|_| !undo) {
        if let Some(place) = kind.installed_by_package(bin)? {
            let (word, place) = (kind.word(), place.display());
            status(format_args!("skipped {word}: a package has installed the files already, in '{place}'"));
            continue;
        }
        for (path, text) in kind.documents(bin)? {
            let action = installed.action(&path, Some(&text))?;
            steps.push(Step { action, kind, path, text: Some(text) });
        }
    }
    for (path, (kind, _)) in &installed.files {
        let kind = Kind::parse(kind).unwrap_or(Kind::Man);
        if kinds.contains(&kind) && !steps.iter().any(|step| step.path == *path) {
            let action = installed.action(path, None)?;
            // A changed file of a tool that no longer exists does not prevent an installation.
            if undo || action == "remove" {
                steps.push(Step { action, kind, path: path.clone(), text: None });
            }
        }
    }
    Ok(steps)
}

fn apply(store: &Store, steps: &[Step]) -> Result<()> {
    let locked = store.lock()?;
    let mut now: Installed = locked.read()?;
    for Step { action, path, text, .. } in steps {
        // The file may have been written after it was listed.
        if now.action(path, text.as_deref())? != *action {
            return Err(Error::new(format!("cannot {action} '{path}': the file changed after the listing"))
                .hint("nothing was changed; run 'codex-agent setup' again"));
        }
    }
    for Step { kind, path, text, .. } in steps {
        let Some(text) = text else { continue };
        let entry = now.files.entry(path.clone()).or_insert((kind.word().to_owned(), BTreeSet::new()));
        entry.1.insert(fingerprint(text.as_bytes()));
        let missing = Path::new(path).ancestors().skip(1).take_while(|directory| !directory.exists());
        now.folders.extend(missing.map(|directory| directory.display().to_string()));
    }
    locked.write(&now)?;
    for Step { path, text, .. } in steps {
        write(Path::new(path), text.as_deref())?;
        if text.is_none() {
            now.files.remove(path);
        }
    }
    if now.files.is_empty() {
        // Each directory comes after its parent. A directory that is not empty stays.
        let directories = std::mem::take(&mut now.folders);
        directories.iter().rev().for_each(|directory| drop(fs::remove_dir(directory)));
    }
    locked.write(&now)
}

/// Writes a file that every user may read, by a temporary file that is synced and renamed; removes it without a text.
fn write(path: &Path, text: Option<&str>) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let part = format!(".{}.codex-agent-setup", path.file_name().unwrap_or_default().to_string_lossy());
    // A setup that was killed may have left the temporary file.
    let _ = fs::remove_file(directory.join(&part));
    let Some(text) = text else {
        return match fs::remove_file(path) {
            Err(error) if !is_missing(&error) => Err(error).context("remove", path),
            _ => Ok(()),
        };
    };
    private::check_home(directory)?;
    let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
    made.context("create", directory)?;
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(&part).rand_bytes(0).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().context("write", path)
}

/// Asks on the terminal.
fn is_confirmed(undo: bool) -> Result<bool> {
    if !can_ask() {
        warn("nothing was done: there is no terminal for the confirmation; --yes skips the confirmation");
        return Ok(false);
    }
    let is_yes = ask(if undo { "Remove them?" } else { "Install them?" })?;
    if !is_yes {
        status("nothing was changed: the answer was not yes");
    }
    Ok(is_yes)
}

/// Prints a line for each file; on a terminal, a line for each directory.
fn list(args: &Args, steps: &[Step]) -> Result<()> {
    let mut output = Output::stdout();
    let is_grouped = is_terminal() && !args.common.json;
    let is_alike = |a: &Step, b: &Step| (a.action, a.directory()) == (b.action, b.directory());
    for group in steps.chunk_by(|a, b| is_grouped && is_alike(a, b)) {
        let Step { action, kind, path, .. } = &group[0];
        if args.common.json {
            output.record(&SetupFileRecord::new(action, kind.word(), Path::new(path)))?;
        } else if is_grouped {
            let files = if group.len() == 1 { "file" } else { "files" };
            let directory = group[0].directory().to_string_lossy();
            let row = format!("{action} {} {files} in {}", group.len(), harmless(&directory));
            output.text(row.as_bytes(), b"\n")?;
        } else {
            output.text([action, kind.word(), &*tsv(path)].join("\t").as_bytes(), b"\n")?;
        }
    }
    output.flush()
}
