//! The sample home: thirteen sessions that Codex 0.169 made from invented text, so that every tool can be tried
//! without Codex. A test holds it to the recording it was made from.
//!
//! A [`Place`] is a sample home with all that a command needs beside it: the directories that its sessions
//! work in, a Codex without a model, and room for what our own tools keep.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate as fake;
use codex_agent_shared::codex::rollout::decompressed;
use codex_agent_shared::error::{Context, Error, Result};
use codex_agent_shared::store::place;

/// Path, NUL, length, NUL, bytes; for each file; compressed.
const PACKED: &[u8] = include_bytes!("sample-home.zst");

/// Where the sample was recorded.
const HOME: &str = "/tmp/codex-fixture/home-0.169.0";

/// Where the projects were of which it was recorded.
const PROJECTS: &str = "/tmp/codex-fixture/projects";

/// The directories that its sessions worked in.
const NAMES: [&str; 3] = ["alpha", "beta", "notes"];

/// Where a command finds the sample, a Codex, and room for what it keeps.
pub struct Place {
    /// Codex's home.
    pub home: PathBuf,
    /// Groups and queues.
    pub config: PathBuf,
    /// Runs.
    pub state: PathBuf,
    /// `codex` is in here: the demo, by another name.
    pub bin: PathBuf,
    /// The directories that the sample's sessions work in are in here.
    pub projects: PathBuf,
    /// An empty directory.
    pub project: PathBuf,
}

impl Place {
    /// All of it in one directory.
    pub fn within(folder: &Path) -> Place {
        let [home, config, state, bin, projects, project] =
            ["codex", "config", "state", "bin", "projects", "project"].map(|name| folder.join(name));
        Place { home, config, state, bin, projects, project }
    }

    /// Unpacks the sample, and makes the Codex: `demo` is the executable of codex-agent-demo.
    pub fn make(&self, demo: &Path) -> Result<()> {
        self.unpack()?;
        let projects = NAMES.map(|name| self.projects.join(name));
        for made in projects.iter().chain([&self.bin, &self.project]) {
            place::make(made)?;
        }
        let codex = self.codex();
        std::os::unix::fs::symlink(demo, &codex).context("make the link", &codex)
    }

    /// Unpacks the home, as one whose sessions have always been here: what runs a session again goes to
    /// its directory.
    fn unpack(&self) -> Result<()> {
        let moved = [(PROJECTS, text(&self.projects)?), (HOME, text(&self.home)?)];
        let files = files().map_err(|error| Error::new(format!("the sample home is damaged: {error}")))?;
        for (name, mut bytes) in files {
            let path = self.home.join(name);
            if let Some(folder) = path.parent() {
                place::make(folder)?;
            }
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                for (from, to) in &moved {
                    // Between the quotes of a JSON string.
                    let to = serde_json::Value::from(*to).to_string();
                    bytes = replaced(&bytes, from.as_bytes(), &to.as_bytes()[1..to.len() - 1]);
                }
            }
            let mut options = std::fs::File::options();
            let mut file = place::open(options.write(true).create(true).truncate(true), "the file", &path)?;
            file.write_all(&bytes).context("write", &path)?;
        }
        #[cfg(feature = "sqlite")]
        {
            let table = crate::table::Table::open(&self.home.join("state_5.sqlite"), "")?;
            for (from, to) in moved {
                for column in ["cwd", "rollout_path"] {
                    table.replace(column, from, to)?;
                }
            }
        }
        Ok(())
    }

    /// The Codex.
    pub fn codex(&self) -> PathBuf {
        self.bin.join(fake::NAME)
    }

    /// Sets the environment of a command: the sample, and the tools of this package first on PATH.
    pub fn set_env(&self, command: &mut Command) {
        command
            .env("CODEX_HOME", &self.home)
            .env("CODEX_AGENT_CONFIG_HOME", &self.config)
            .env("CODEX_AGENT_STATE_HOME", &self.state)
            .env("CODEX_AGENT_CODEX", self.codex())
            .env_remove("CODEX_SQLITE_HOME");
        if let Some(path) = self.path() {
            command.env("PATH", path);
        }
    }

    fn path(&self) -> Option<OsString> {
        let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let path = env::var_os("PATH").unwrap_or_default();
        env::join_paths(std::iter::once(self.bin.clone()).chain(own).chain(env::split_paths(&path))).ok()
    }
}

/// Codex's rollouts are JSON, and so are the paths in them.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::usage(format!("cannot put a sample home at '{}': the path is not UTF-8", path.display()))
    })
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, from) {
        all.extend_from_slice(&rest[..at]);
        all.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    all.extend_from_slice(rest);
    all
}

fn files() -> io::Result<Vec<(String, Vec<u8>)>> {
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
