//! A world for one test: a fresh folder, a Codex home in it, a closed environment, and the real
//! executables on `PATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

pub mod app;
pub mod fake;
pub mod hosts;
pub mod model;
pub mod ran;
pub mod real;
pub mod rollouts;
pub mod schemas;
pub mod script;
pub mod terminal;

pub use ran::Ran;

/// The recorded homes: every version of Codex that the tests know.
pub const HOMES: [&str; 11] = [
    "0.45.0",
    "0.77.0",
    "0.92.0",
    "0.101.0",
    "0.106.0",
    "0.120.0",
    "0.137.0",
    "0.150.0",
    "0.169.0",
    "0.169.0-odd",
    NEWEST,
];

/// The newest of them, which the real Codex and the fake are driven in.
pub const NEWEST: &str = "0.171.0";

pub struct World {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    foreign: AtomicBool,
}

impl World {
    /// A world whose Codex home is not there yet.
    pub fn new() -> World {
        let directory = tempfile::Builder::new().prefix("world-").tempdir().unwrap();
        let world = World { directory, variables: Vec::new(), foreign: AtomicBool::new(false) };
        fs::create_dir(world.path("home")).unwrap();
        world
    }

    /// A world with a copy of a recorded home.
    pub fn with_home(version: &str) -> World {
        let world = World::new();
        copy(&data(&format!("homes/{version}")), &world.codex_home());
        world
    }

    /// A path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn codex_home(&self) -> PathBuf {
        self.path("home/.codex")
    }

    pub fn config(&self, name: &str) -> PathBuf {
        self.path("home/.config/codex-agent").join(name)
    }

    /// From now on there are records in this world that do not fit their schemas, because a test has put
    /// them there.
    pub fn foreign(&self) {
        self.foreign.store(true, Ordering::Relaxed);
    }

    /// Holds what a tool printed to its schemas.
    pub fn hold(&self, words: &[&str], input: &[u8], out: &str) {
        if !self.foreign.load(Ordering::Relaxed) {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            schemas::hold(&words, &String::from_utf8_lossy(input), out);
        }
    }

    /// Writes a file, and creates the directories above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The directories of all runs, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let runs = self.path("home/.local/state/codex-agent/runs");
        let mut runs: Vec<PathBuf> =
            fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        runs.sort_by_key(|run| fs::metadata(run).unwrap().created().unwrap());
        runs
    }

    /// Writes an executable script. Another process does: a child of another test that is just being started would have
    /// the file open for writing, and the system would refuse to run it ("text file busy").
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let text = self.write(&format!("{name}.text"), text);
        let path = self.path(name);
        assert!(Command::new("cp").args([&text, &path]).status().unwrap().success());
        fs::remove_file(text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Sets an environment variable for everything that runs in this world from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut World {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A command in this world: our executables, then the system's, and nothing else of outside.
    pub fn command(&self, program: &str) -> Command {
        let ours = bin(program);
        let mut command = Command::new(if ours.exists() { ours } else { PathBuf::from(program) });
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bins().display()))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("TMPDIR", self.directory.path())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs one of our tools: the first word is the executable, the others are its arguments.
    pub fn run(&self, words: &[&str]) -> Ran {
        let ran = ran::finish(self.command(words[0]).args(&words[1..]));
        self.hold(words, b"", &ran.out);
        ran
    }

    /// Runs a tool that must succeed and report nothing, and gives its standard output.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        ran.succeeds().reports_exactly("");
        ran.out
    }

    /// Runs a tool with this on standard input.
    pub fn feed(&self, words: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let ran = ran::feed(self.command(words[0]).args(&words[1..]), input.as_ref());
        self.hold(words, input.as_ref(), &ran.out);
        ran
    }

    /// Runs a line of shell.
    pub fn sh(&self, line: &str) -> Ran {
        let ran = ran::finish(self.command("sh").args(["-c", line]));
        // The output of a pipe was written by its last tool, whose name is not searched for here.
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_ours = words.iter().any(|word| word.starts_with("codex-agent"));
        if is_ours && !words.contains(&"jq") {
            self.hold(&[&["codex-agent"], &words[..]].concat(), b"", &ran.out);
        }
        ran
    }

    /// What every file in Codex's home is: path, kind, mode, size and contents. SQLite's shared memory
    /// and log are left aside, which reading makes and touches.
    pub fn snapshot(&self) -> Vec<String> {
        let mut all = Vec::new();
        walk(&self.codex_home(), &mut all);
        all.sort();
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.foreign.load(Ordering::Relaxed) && !std::thread::panicking() {
            schemas::hold_journals(&self.path("home/.local/state/codex-agent/runs"));
        }
    }
}

fn walk(directory: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let meta = path.symlink_metadata().unwrap();
        let name = path.display().to_string();
        if name.ends_with("-shm") || name.ends_with("-wal") {
            continue;
        }
        let sum = fs::read(&path).map(|bytes| checksum(&bytes)).unwrap_or(0);
        let modified = meta.modified().unwrap();
        // The time of a directory changes with the -wal and -shm, which are ignored.
        let modified = if meta.is_dir() { String::new() } else { format!("{modified:?}") };
        let size = if meta.is_dir() { 0 } else { meta.len() };
        all.push(format!("{name} {:o} {size} {sum:x} {modified}", meta.permissions().mode()));
        if meta.is_dir() {
            walk(&path, all);
        }
    }
}

/// FNV-1a, which suffices to detect a changed file.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The directory of our executables.
pub fn bins() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_codex-agent")).parent().unwrap().to_owned()
}

/// The path of an executable of ours.
pub fn bin(name: &str) -> PathBuf {
    bins().join(name)
}

/// A file of the test data.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Copies a directory with everything in it. Times are kept, as they are part of the recording.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            fs::File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// The lines of an output as JSON.
pub fn json(lines: &str) -> Vec<serde_json::Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Whether random tests run in their long forms: `tests/run --long`.
pub fn is_long() -> bool {
    std::env::var_os("CODEX_AGENT_TEST_LONG").is_some()
}

/// Whether a test that needs to be refused by permissions can be: root is refused nothing.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Chance from a seed, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// An index below `limit`.
    pub fn upto(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    pub fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.upto(all.len())]
    }
}
