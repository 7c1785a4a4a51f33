//! Where a tool is tried: a temporary home, the sample sessions and one with a hostile title, a Codex
//! without a model, and what the dispatcher hands down.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use codex_agent_fake::sample::Place;
use codex_agent_shared::child::limited;
use codex_agent_shared::child::limited::{CommandError, CommandResult, EndKind, Input, Limits};
use codex_agent_shared::error::{Context, Error, Result, reason, warn};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::{dispatcher, name_of, set_env};
use codex_agent_shared::store::read_capped;
use codex_agent_shared::text::quoted;

use super::contract::{kind, made_up};

/// How long a run may take that has next to nothing to do. Machines that do other things are slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How much a run may print that has next to nothing to do.
pub(super) const MOST: u64 = 16 << 20;

/// How much of records from elsewhere it may be fed: 64 MiB.
const LONGEST: u64 = 64 << 20;

/// A title that no terminal may obey, and no row may have as it is.
const HOSTILE: &str = "back\\slash\ttab\nline hostile \x1b[31mred\x1b[0m \x1b]0;title\x07 \x08 end";
/// Parts of it that a row has only where values are not escaped.
pub(super) const BARE: [(&str, &str); 3] =
    [("back\\slash", "a bare backslash"), ("slash\ttab", "a TAB"), ("tab\nline", "a newline")];

/// Prints records as these tools make them, of most types; of the others an example is made from the schema.
const SAMPLES: &str = "codex-agent ls --json --archived --subagents
codex-agent ls --json -n 3 | codex-agent group add check
codex-agent group list --json
echo later | codex-agent queue add check --project .
codex-agent queue list --json
codex-agent queue show check --json
codex-agent run --json hello FAIL400
codex-agent run list --json
codex-agent run --dry-run hello
codex-agent --list=json
codex-agent ls --check --json
codex-agent config --json
codex-agent setup --dry-run --json
codex-agent schema --json";

/// The tool, and where it is tried.
pub(super) struct Sandbox {
    directory: tempfile::TempDir,
    place: Place,
    /// The executable.
    pub(super) path: PathBuf,
    /// The name of its tool.
    pub(super) name: String,
    /// Why it cannot be run, where it cannot.
    pub(super) why_not: Option<String>,
    /// What it says of itself, if it does.
    pub(super) description: Option<Description>,
    /// With which it reads and writes records.
    pub(super) arguments: Vec<String>,
    /// Whether they were named.
    pub(super) has_arguments: bool,
    /// Records that it may read, a line each.
    pub(super) samples: Vec<String>,
    /// A change in Codex's home from before the samples were made there.
    changed_first: Option<String>,
    home_before: BTreeSet<String>,
    beside_before: BTreeSet<OsString>,
}

impl Sandbox {
    /// Makes it, and looks whether the tool starts and what it says of itself.
    pub(super) fn make(path: &Path, arguments: &[String], input: Option<&Path>) -> Result<Sandbox> {
        let given = input.map(lines).transpose()?;
        let directory = tempfile::Builder::new()
            .prefix("codex-agent-check-")
            .tempdir()
            .map_err(|error| Error::new(format!("cannot make a temporary directory: {error}")))?;
        let place = Place::within(directory.path());
        let mut sandbox = Sandbox {
            place,
            path: path.to_owned(),
            name: name_of(path),
            why_not: None,
            description: None,
            arguments: arguments.to_vec(),
            has_arguments: !arguments.is_empty(),
            samples: Vec::new(),
            changed_first: None,
            home_before: BTreeSet::new(),
            beside_before: BTreeSet::new(),
            directory,
        };
        sandbox.populate()?;
        sandbox.beside_before = names(path.parent().unwrap_or(Path::new("/")));
        // Before the tool is run for the first time, and once more behind the samples: the runs among
        // them write there too.
        sandbox.home_before = contents(&sandbox.place.home);
        sandbox.try_start()?;
        sandbox.changed_first = sandbox.changed_in_home();
        sandbox.samples = match given {
            Some(lines) => lines,
            None => sandbox.own_samples()?,
        };
        sandbox.home_before = contents(&sandbox.place.home);
        Ok(sandbox)
    }

    fn populate(&self) -> Result<()> {
        let own = std::env::current_exe()
            .map_err(|error| Error::new(format!("cannot tell which executable this is: {error}")))?;
        self.place.make(&own.with_file_name("codex-agent-demo"))?;
        for made in ["home", "tmp", "real"].map(|name| self.directory.path().join(name)) {
            fs::create_dir(&made).context("make the directory", &made)?;
        }
        // The Codex that is found tells that it was run, and becomes the one of the sample.
        let (codex, real) = (self.place.codex(), self.directory.path().join("real/codex"));
        let link = fs::read_link(&codex).context("read the link", &codex)?;
        std::os::unix::fs::symlink(link, &real).context("make the link", &real)?;
        fs::remove_file(&codex).context("remove", &codex)?;
        let quoted = |path: &Path| quoted(&path.to_string_lossy());
        let script =
            format!("#!/bin/sh\necho run >> {}\nexec {} \"$@\"\n", quoted(&self.ran()), quoted(&real));
        #[allow(clippy::disallowed_methods)] // A temporary directory of our own.
        fs::write(&codex, script).context("write", &codex)?;
        fs::set_permissions(&codex, fs::Permissions::from_mode(0o700)).context("change", &codex)?;
        let mut hostile = Command::new(&real);
        hostile.args(["exec", "--skip-git-repo-check", HOSTILE]);
        self.set_env(&mut hostile);
        let ended = limited::run(&mut hostile, Limits::new(PATIENCE, MOST));
        match ended.map_err(|failure| failure.into_error(&real))?.how {
            EndKind::Code(0) => Ok(()),
            _ => Err(Error::new("cannot make the sample: the Codex of the demo failed")
                .hint("codex-agent-demo must lie beside codex-agent-plugin")),
        }
    }

    /// The file that says that the tool has run Codex.
    fn ran(&self) -> PathBuf {
        self.directory.path().join("ran")
    }

    /// Whether the tool has run Codex, which may write into its home.
    pub(super) fn has_run_codex(&self) -> bool {
        self.ran().exists()
    }

    fn set_env(&self, command: &mut Command) {
        let foreign = |name: &str| {
            ["XDG_", "CODEX_"].iter().any(|prefix| name.starts_with(prefix))
                || ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"].contains(&name)
        };
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(foreign) {
                command.env_remove(name);
            }
        }
        let directory = self.directory.path();
        self.place.set_env(command);
        set_env(command, &dispatcher());
        command
            .env("HOME", directory.join("home"))
            .env("TMPDIR", directory.join("tmp"))
            .env("TERM", "xterm-256color")
            .current_dir(&self.place.project);
    }

    /// Runs the tool. The error is a signal that asks us to stop.
    pub(super) fn run(&self, words: &[&str], limits: Limits) -> Result<CommandResult> {
        self.start(words, limits).map_err(|failure| failure.into_error(&self.path))
    }

    fn start(&self, words: &[&str], limits: Limits) -> std::result::Result<CommandResult, CommandError> {
        let mut command = Command::new(&self.path);
        command.args(words);
        self.set_env(&mut command);
        limited::run(&mut command, limits)
    }

    /// What a shell says of a script, without running it. A shell that is not here says nothing.
    pub(super) fn fault_of(&self, shell: &str, script: &[u8]) -> Result<Option<String>> {
        let Some(path) = find_program(shell) else { return Ok(None) };
        let mut command = Command::new(&path);
        command.arg("-n");
        self.set_env(&mut command);
        let input = Input::Source(Box::new(std::io::Cursor::new(script.to_vec())));
        let limits = Limits { input, ..Limits::new(PATIENCE, MOST) };
        let ended = limited::run(&mut command, limits).map_err(|failure| failure.into_error(&path))?;
        let message = ended.first_message().unwrap_or_else(|| "it does not read it".to_owned());
        Ok((ended.how != EndKind::Code(0)).then_some(message))
    }

    /// Runs it with nothing to read.
    pub(super) fn plain(&self, words: &[&str]) -> Result<CommandResult> {
        self.run(words, Limits::new(PATIENCE, MOST))
    }

    /// Runs it as a part of a pipe, with these lines to read.
    pub(super) fn fed(&self, input: &[String]) -> Result<CommandResult> {
        let limits = Limits { input: source(input), ..Limits::new(PATIENCE, MOST) };
        self.run(&self.words(), limits)
    }

    /// The arguments with which it is a part of a pipe.
    pub(super) fn words(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    fn try_start(&mut self) -> Result<()> {
        match self.start(&["--help"], Limits::new(PATIENCE, MOST)) {
            Ok(_) => {}
            Err(CommandError::Start(error)) => {
                self.why_not = Some(CommandError::Start(error).into_error(&self.path).message().to_owned());
                return Ok(());
            }
            Err(asked) => return Err(asked.into_error(&self.path)),
        }
        let limits = Limits::new(description::PATIENCE, description::MOST);
        let ended = self.run(&["--generate", "describe"], limits)?;
        if ended.how == EndKind::Code(0) {
            self.description = Description::parse(&ended.out, &self.name).ok();
        }
        if self.arguments.is_empty() {
            let pipe = self.description.as_ref().and_then(|description| description.pipe.clone());
            self.has_arguments = pipe.is_some();
            self.arguments = pipe.unwrap_or_default();
        }
        Ok(())
    }

    /// Types of records that it reads.
    pub(super) fn reads(&self) -> Vec<&str> {
        self.description.iter().flat_map(|known| known.reads.iter().map(String::as_str)).collect()
    }

    /// Types of records that it reads and writes: for those it is a filter.
    pub(super) fn filters(&self) -> Vec<&str> {
        let Some(known) = &self.description else { return Vec::new() };
        known.reads.iter().filter(|kind| known.writes.contains(kind)).map(String::as_str).collect()
    }

    /// What codex-agent itself has of the types that the tool reads.
    fn own_samples(&self) -> Result<Vec<String>> {
        let reads = self.reads();
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        let only_sessions = reads == ["session"];
        let script = if only_sessions { SAMPLES.lines().next().unwrap_or("") } else { SAMPLES };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        self.set_env(&mut shell);
        // The Codex of the sample itself: only the tool's own runs are recorded.
        shell.env("CODEX_AGENT_CODEX", self.directory.path().join("real/codex"));
        let ended = limited::run(&mut shell, Limits::new(6 * PATIENCE, MOST))
            .map_err(|failure| failure.into_error(Path::new("/bin/sh")))?;
        let text = String::from_utf8_lossy(&ended.out).into_owned();
        let is_read = |line: &&str| kind(line).is_some_and(|kind| reads.contains(&kind.as_str()));
        let mut samples: Vec<String> = text.lines().filter(is_read).map(str::to_owned).collect();
        for read in &reads {
            if !samples.iter().any(|line| kind(line).as_deref() == Some(*read)) {
                samples.extend(made_up(read)?);
            }
        }
        Ok(samples)
    }

    /// What has changed in Codex's home since the beginning.
    pub(super) fn changed_in_home(&self) -> Option<String> {
        let now = contents(&self.place.home);
        let changed = || now.symmetric_difference(&self.home_before).next().cloned();
        self.changed_first.clone().or_else(changed)
    }

    /// What was left where it was run, in TMPDIR, in the home of the user, or beside it.
    pub(super) fn left(&self) -> Option<String> {
        let beside = self.path.parent().unwrap_or(Path::new("/"));
        // Others may write there too: what is looked for has its name, or is what Python leaves.
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_its_own = |name: &&OsString| {
            let name = name.to_string_lossy();
            name.contains(&file) || name == "__pycache__"
        };
        let new =
            names(beside).difference(&self.beside_before).find(is_its_own).map(|name| beside.join(name));
        let inside =
            |directory: PathBuf| names(&directory).into_iter().next().map(|name| directory.join(name));
        // Below these each program has a directory of its own, and others may have been run.
        let is_usual = |name: &&OsString| [".config", ".cache", ".local"].iter().any(|usual| name == usual);
        let home = self.directory.path().join("home");
        let at_home = || names(&home).iter().find(|name| !is_usual(name)).map(|name| home.join(name));
        let left = inside(self.place.project.clone())
            .or_else(|| inside(self.directory.path().join("tmp")))
            .or_else(at_home)
            .or(new);
        left.map(|path| path.display().to_string())
    }

    /// Removes it. Directories that the tool has closed are opened first; a rest that stays is a warning.
    pub(super) fn remove(self) {
        let path = self.directory.keep();
        if fs::remove_dir_all(&path).is_ok() {
            return;
        }
        open_up(&path);
        if let Err(error) = fs::remove_dir_all(&path) {
            warn(format_args!("cannot remove '{}', where it was run: {}", path.display(), reason(&error)));
        }
    }
}

/// Lets this user into all folders below.
fn open_up(directory: &Path) {
    // What is another user's stays closed.
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Lines as something to read.
pub(super) fn source(lines: &[String]) -> Input {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Input::Source(Box::new(std::io::Cursor::new(text.into_bytes())))
}

fn lines(file: &Path) -> Result<Vec<String>> {
    let wrong = |why: &str| Error::new(format!("cannot read '{}': {why}", file.display()));
    let bytes = read_capped(file, LONGEST)
        .map_err(|why| wrong(&why).hint("--input takes a file of records, of 64 MiB at the most"))?
        .ok_or_else(|| wrong("no such file or directory"))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

/// Every file of Codex's home, with what it holds. What SQLite makes by being read is left aside. A tool
/// may have put anything there, so that no link is followed and only files are opened.
fn contents(directory: &Path) -> BTreeSet<String> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let shown = path.display().to_string();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                all.extend(contents(&path));
                all.insert(shown);
            }
            Ok(kind) if kind.is_file() => {
                // Beside a database they come and go by its being read.
                let database = shown.strip_suffix("-shm").or_else(|| shown.strip_suffix("-wal"));
                if database.is_none_or(|database| !Path::new(database).is_file()) {
                    let mut hasher = DefaultHasher::new();
                    let mut bytes = Vec::new();
                    // A tool may have put a file of any size there.
                    let file = fs::File::open(&path).map(|file| file.take(64 << 20));
                    let _ = file.and_then(|mut file| file.read_to_end(&mut bytes));
                    bytes.hash(&mut hasher);
                    let size = entry.metadata().map(|meta| meta.len()).unwrap_or_default();
                    all.insert(format!("{shown} ({size}, {:x})", hasher.finish()));
                }
            }
            _ => drop(all.insert(shown)),
        }
    }
    all
}
