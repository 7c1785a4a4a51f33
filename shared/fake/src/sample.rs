//! The sample home: thirteen sessions that Codex 0.169 made from invented text, to try the tools without Codex.
//!
//! A [`Place`] is a sample home with the other directories that a command needs: those of the sessions, that of a
//! Codex without a model, and those of the files of codex-agent.

use std::env;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate as fake;
use codex_agent_shared::codex::rollout::decompressed;
use codex_agent_shared::error::{Context, Error, Result};
use codex_agent_shared::store::private;

/// Path, NUL, length, NUL, bytes; for each file; compressed.
const PACKED: &[u8] = include_bytes!("sample-home.zst");

/// The directory in which the sample was recorded.
const HOME: &str = "/tmp/codex-fixture/home-0.169.0";

/// The directory of the projects in which the sample was recorded.
const PROJECTS: &str = "/tmp/codex-fixture/projects";

/// The directories of the sessions.
const NAMES: [&str; 3] = ["alpha", "beta", "notes"];

/// The directories of a sample home and of the commands that use it.
pub struct Place {
    /// Codex's home.
    pub home: PathBuf,
    /// The directory of groups and queues.
    pub config: PathBuf,
    /// The directory of runs.
    pub state: PathBuf,
    /// The directory of `codex`, a link to codex-agent-demo.
    pub bin: PathBuf,
    /// The parent directory of the directories of the sessions.
    pub projects: PathBuf,
    /// An empty directory.
    pub project: PathBuf,
}

impl Place {
    /// A place in one directory.
    pub fn within(directory: &Path) -> Place {
        let [home, config, state, bin, projects, project] =
            ["codex", "config", "state", "bin", "projects", "project"].map(|name| directory.join(name));
        Place { home, config, state, bin, projects, project }
    }

    /// Creates the directories and the sample. `demo` is the executable of codex-agent-demo, which serves as Codex.
    pub fn make(&self, demo: &Path) -> Result<()> {
        self.unpack()?;
        let projects = NAMES.map(|name| self.projects.join(name));
        for made in projects.iter().chain([&self.bin, &self.project]) {
            private::create_dir(made)?;
        }
        let codex = self.codex();
        std::os::unix::fs::symlink(demo, &codex).context("make the link", &codex)
    }

    /// Unpacks the home. The paths in it are changed to those of this place, since a session is resumed in its
    /// directory.
    fn unpack(&self) -> Result<()> {
        let moved = [(PROJECTS, text(&self.projects)?), (HOME, text(&self.home)?)];
        let files = unpacked_files()
            .map_err(|error| Error::new(format!("cannot unpack the sample home: {error}")))?;
        for (name, mut bytes) in files {
            let path = self.home.join(name);
            if let Some(directory) = path.parent() {
                private::create_dir(directory)?;
            }
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                for (from, to) in &moved {
                    // The text between the quotes of a JSON string.
                    let to = serde_json::Value::from(*to).to_string();
                    bytes = replace_all(&bytes, from.as_bytes(), &to.as_bytes()[1..to.len() - 1]);
                }
            }
            let mut options = std::fs::File::options();
            let mut file = private::open(options.write(true).create(true).truncate(true), "the file", &path)?;
            file.write_all(&bytes).context("write", &path)?;
        }
        let table = crate::table::Table::open(&self.home.join("state_5.sqlite"), "")?;
        for (from, to) in moved {
            for column in ["cwd", "rollout_path"] {
                table.replace(column, from, to)?;
            }
        }
        Ok(())
    }

    /// The path of its Codex.
    pub fn codex(&self) -> PathBuf {
        self.bin.join(fake::NAME)
    }

    /// Sets the environment of a command: the sample, and the tools of this package first on `PATH`.
    pub fn set_env(&self, command: &mut Command) {
        command
            .env("CODEX_HOME", &self.home)
            .env("CODEX_AGENT_CONFIG_HOME", &self.config)
            .env("CODEX_AGENT_STATE_HOME", &self.state)
            .env("CODEX_AGENT_CODEX", self.codex())
            .env_remove("CODEX_SQLITE_HOME");
        let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let path = env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(self.bin.clone()).chain(own).chain(env::split_paths(&path));
        if let Ok(path) = env::join_paths(places) {
            command.env("PATH", path);
        }
    }
}

/// The path as text, since rollouts are JSON.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::usage(format!("cannot put a sample home at '{}': the path is not UTF-8", path.display()))
    })
}

fn replace_all(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut all, mut end) = (Vec::with_capacity(bytes.len()), 0);
    for at in memchr::memmem::find_iter(bytes, from) {
        all.extend_from_slice(&bytes[end..at]);
        all.extend_from_slice(to);
        end = at + from.len();
    }
    all.extend_from_slice(&bytes[end..]);
    all
}

/// The files of the sample, each with its path in the home.
fn unpacked_files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    decompressed(PACKED)?.read_to_end(&mut all)?;
    let mut rest = &all[..];
    let mut files = Vec::new();
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    while !rest.is_empty() {
        let mut word = || -> io::Result<String> {
            let end = memchr::memchr(0, rest).ok_or_else(damaged)?;
            let word = String::from_utf8(rest[..end].to_vec()).map_err(|_| damaged())?;
            rest = &rest[end + 1..];
            Ok(word)
        };
        let name = word()?;
        let length: usize = word()?.parse().map_err(|_| damaged())?;
        files.push((name, rest.get(..length).ok_or_else(damaged)?.to_vec()));
        rest = &rest[length..];
    }
    Ok(files)
}
