//! The place in which a tool is checked: a temporary home with the sample sessions and a session with a hostile title,
//! a Codex without a model, and the environment that the dispatcher sets.

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
use codex_agent_shared::plugin::{dispatcher, set_env, tool_name};
use codex_agent_shared::store::read_capped;
use codex_agent_shared::text::{fingerprint, quoted};

use super::contract::{example_of, kind};
use super::outcome::{NotPassed, Outcome, skipped};

/// The time limit of a short run. A busy machine is slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The limit of output of a short run.
pub(super) const MOST: u64 = 16 << 20;

/// The largest file of --input: 64 MiB.
const LONGEST: u64 = 64 << 20;

/// A title with escapes, and with characters that are escaped in rows.
const HOSTILE: &str = "back\\slash\ttab\nline hostile \x1b[31mred\x1b[0m \x1b]0;title\x07 \x08 end";
/// Parts of the title that a row has only if values are not escaped.
pub(super) const BARE: [(&str, &str); 3] =
    [("back\\slash", "a bare backslash"), ("slash\ttab", "a TAB"), ("tab\nline", "a newline")];

/// A script that prints records of most types. Examples of the other types are made from their schemas.
const SAMPLES: &str = "codex-agent ls --json --archived --subagents
codex-agent ls --json -n 3 | codex-agent group add check
codex-agent group list --json
codex-agent queue add check --project . -p later
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

/// The tool, and the place in which it is run.
pub(super) struct Sandbox {
    directory: tempfile::TempDir,
    place: Place,
    /// The executable.
    pub(super) path: PathBuf,
    /// The name of the tool.
    pub(super) name: String,
    /// The reason why the tool cannot be run.
    pub(super) why_not: Option<String>,
    /// The description that the tool prints.
    description: Option<Description>,
    /// The arguments with which the tool reads and writes records.
    pub(super) arguments: Vec<String>,
    /// Whether the arguments are named by the user or the description.
    pub(super) has_arguments: bool,
    /// Records for the tool to read, a line each.
    pub(super) samples: Vec<String>,
    /// A change of Codex's home that was made before the samples were.
    changed_first: Option<String>,
    home_before: BTreeSet<String>,
    beside_before: BTreeSet<OsString>,
}

impl Sandbox {
    /// Creates the sandbox, starts the tool for the first time, and asks it for its description.
    pub(super) fn make(path: &Path, arguments: &[String], input: Option<&Path>) -> Result<Sandbox> {
        let given = input.map(lines).transpose()?;
        let directory = tempfile::Builder::new().prefix("codex-agent-check-").tempdir();
        let directory = directory.context("make a directory in", &std::env::temp_dir())?;
        let place = Place::within(directory.path());
        let mut sandbox = Sandbox {
            place,
            path: path.to_owned(),
            name: tool_name(path),
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
        // The content of the home is compared twice: the runs of the samples change it between.
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
        self.place.make(&dispatcher().with_file_name("codex-agent-demo"))?;
        for made in ["home", "tmp", "real"].map(|name| self.directory.path().join(name)) {
            fs::create_dir(&made).context("make the directory", &made)?;
        }
        // The Codex on PATH records that it was run, and runs the Codex of the sample.
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
        let made = limited::output(&mut hostile, Limits::new(PATIENCE, MOST), "a sample session");
        made.map(drop).map_err(|error| error.hint("codex-agent-demo must be in the directory of codex-agent"))
    }

    /// The file that exists after the tool has run Codex.
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

    /// Runs the tool. The error is a signal that asks this program to stop.
    pub(super) fn run(&self, words: &[&str], limits: Limits) -> Result<CommandResult> {
        self.start(words, limits).map_err(|failure| failure.into_error(&self.path))
    }

    fn start(&self, words: &[&str], limits: Limits) -> std::result::Result<CommandResult, CommandError> {
        let mut command = Command::new(&self.path);
        command.args(words);
        self.set_env(&mut command);
        limited::run(&mut command, limits)
    }

    /// The message of a shell that cannot parse a script. The script is not run. Without the shell there is no message.
    pub(super) fn fault_of(&self, shell: &str, script: &[u8]) -> Result<Option<String>> {
        let Some(path) = find_program(shell) else { return Ok(None) };
        let mut command = Command::new(&path);
        command.arg("-n");
        self.set_env(&mut command);
        let limits = Limits { input: bytes(script.to_vec()), ..Limits::new(PATIENCE, MOST) };
        let ended = limited::run(&mut command, limits).map_err(|failure| failure.into_error(&path))?;
        let message = ended.first_message().unwrap_or_else(|| "no message".to_owned());
        Ok((ended.how != EndKind::Code(0)).then_some(message))
    }

    /// Runs the tool with empty input.
    pub(super) fn plain(&self, words: &[&str]) -> Result<CommandResult> {
        self.run(words, Limits::new(PATIENCE, MOST))
    }

    /// Runs the tool as a part of a pipe, with these lines as input.
    pub(super) fn fed(&self, input: &[String]) -> Result<CommandResult> {
        self.run(&self.words(), reading(input))
    }

    /// The arguments for a pipe.
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

    /// The description; a check that needs one is skipped without it.
    pub(super) fn described(&self) -> Outcome<&Description> {
        match &self.description {
            Some(description) => Ok(description),
            None => skipped!("the tool has no description"),
        }
    }

    /// The types of records that the tool reads.
    pub(super) fn reads(&self) -> Vec<&str> {
        self.description.iter().flat_map(|known| known.reads.iter().map(String::as_str)).collect()
    }

    /// The types of records that the tool reads and writes, as a filter.
    pub(super) fn filters(&self) -> Vec<&str> {
        let Some(known) = &self.description else { return Vec::new() };
        known.reads.iter().filter(|kind| known.writes.contains(kind)).map(String::as_str).collect()
    }

    /// Records of codex-agent of the types that the tool reads.
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
        // Only runs of Codex by the tool are recorded.
        shell.env("CODEX_AGENT_CODEX", self.directory.path().join("real/codex"));
        let ended = limited::run(&mut shell, Limits::new(6 * PATIENCE, MOST))
            .map_err(|failure| failure.into_error(Path::new("/bin/sh")))?;
        let text = String::from_utf8_lossy(&ended.out).into_owned();
        let is_read = |line: &&str| kind(line).is_some_and(|kind| reads.contains(&kind.as_str()));
        let mut samples: Vec<String> = text.lines().filter(is_read).map(str::to_owned).collect();
        for read in &reads {
            if !samples.iter().any(|line| kind(line).as_deref() == Some(*read)) {
                samples.extend(example_of(read)?);
            }
        }
        Ok(samples)
    }

    /// A path in Codex's home that was changed.
    pub(super) fn changed_in_home(&self) -> Option<String> {
        let now = contents(&self.place.home);
        let changed = || now.symmetric_difference(&self.home_before).next().cloned();
        self.changed_first.clone().or_else(changed)
    }

    /// A file that was left in the current directory, in TMPDIR, in HOME, or beside the tool.
    pub(super) fn left(&self) -> Option<String> {
        let beside = self.path.parent().unwrap_or(Path::new("/"));
        // Other programs may write beside the tool. A file of the tool has its name, or is a cache of Python.
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_its_own = |name: &&OsString| {
            let name = name.to_string_lossy();
            name.contains(&file) || name == "__pycache__"
        };
        let new =
            names(beside).difference(&self.beside_before).find(is_its_own).map(|name| beside.join(name));
        let inside =
            |directory: PathBuf| names(&directory).into_iter().next().map(|name| directory.join(name));
        // The tool may have run programs that have their own directories in these.
        let is_usual = |name: &&OsString| [".config", ".cache", ".local"].iter().any(|usual| name == usual);
        let home = self.directory.path().join("home");
        let at_home = || names(&home).iter().find(|name| !is_usual(name)).map(|name| home.join(name));
        let left = inside(self.place.project.clone())
            .or_else(|| inside(self.directory.path().join("tmp")))
            .or_else(at_home)
            .or(new);
        left.map(|path| path.display().to_string())
    }

    /// Removes the directory, also where the tool has made a part of it inaccessible. A failure is a warning.
    pub(super) fn remove(self) {
        let path = self.directory.keep();
        if fs::remove_dir_all(&path).is_ok() {
            return;
        }
        make_accessible(&path);
        if let Err(error) = fs::remove_dir_all(&path) {
            warn(format_args!("cannot remove the temporary home '{}': {}", path.display(), reason(&error)));
        }
    }
}

/// Gives this user access to a directory and all directories in it. Those of another user stay as they are.
fn make_accessible(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_accessible(&entry.path());
        }
    }
}

/// The limits of a short run with these lines as input.
pub(super) fn reading(lines: &[String]) -> Limits {
    Limits { input: source(lines), ..Limits::new(PATIENCE, MOST) }
}

/// Lines as input.
pub(super) fn source(lines: &[String]) -> Input {
    bytes(lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().into_bytes())
}

fn bytes(content: Vec<u8>) -> Input {
    Input::Source(Box::new(std::io::Cursor::new(content)))
}

fn lines(file: &Path) -> Result<Vec<String>> {
    let wrong = |why: &str| Error::new(format!("cannot read the --input file '{}': {why}", file.display()));
    let bytes = read_capped(file, LONGEST)
        .map_err(|why| wrong(&why).hint("--input accepts a regular file of at most 64 MiB"))?
        .ok_or_else(|| wrong("no such file or directory"))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

/// Every file of Codex's home, with a digest of its content. Files that SQLite makes when it reads are skipped. No link
/// is followed and only regular files are opened, since the tool may have put anything there.
fn contents(directory: &Path) -> BTreeSet<String> {
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
                // SQLite makes these beside a database that it reads.
                let database = shown.strip_suffix("-shm").or_else(|| shown.strip_suffix("-wal"));
                if database.is_none_or(|database| !Path::new(database).is_file()) {
                    let mut bytes = Vec::new();
                    let file = fs::File::open(&path).map(|file| file.take(LONGEST));
                    let _ = file.and_then(|mut file| file.read_to_end(&mut bytes));
                    let size = entry.metadata().map(|meta| meta.len()).unwrap_or_default();
                    all.insert(format!("{shown} ({size}, {})", fingerprint(&bytes)));
                }
            }
            _ => drop(all.insert(shown)),
        }
    }
    all
}
