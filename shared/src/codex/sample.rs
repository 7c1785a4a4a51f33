//! The sample home: thirteen sessions that Codex 0.169 made of the words of nobody, so that everything
//! can be tried where there is no Codex. A test holds it to the recording it was made from.
//!
//! A [`Place`] is a sample home with all that a command needs beside it: a Codex without a model, and room
//! for what our own tools keep.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fake;
use super::rollout::decompressed;
use crate::error::{Context, Error, Result};

/// Path, NUL, length, NUL, bytes; for each file; compressed.
const PACKED: &[u8] = include_bytes!("sample-home.zst");

/// A directory that some sessions of the sample worked in. It need not be there.
pub const PROJECT: &str = "/tmp/codex-fixture/projects/beta";

/// Unpacks the sample home into a folder, which is made.
pub fn unpack(into: &Path) -> Result<()> {
    for (name, bytes) in
        files().map_err(|error| Error::new(format!("the sample home is damaged: {error}")))?
    {
        let path = into.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context("make the folder", folder)?;
        }
        #[allow(clippy::disallowed_methods)] // A folder of our own that nobody else looks into yet.
        std::fs::write(&path, bytes).context("write", &path)?;
    }
    Ok(())
}

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
    /// A directory to work in: those that the sample sessions worked in are on no machine.
    pub project: PathBuf,
}

impl Place {
    /// All of it in one folder.
    pub fn within(folder: &Path) -> Place {
        let [home, config, state, bin, project] =
            ["codex", "config", "state", "bin", "project"].map(|name| folder.join(name));
        Place { home, config, state, bin, project }
    }

    /// Unpacks the sample, and makes the Codex: `demo` is the executable of codex-agent-demo.
    pub fn make(&self, demo: &Path) -> Result<()> {
        unpack(&self.home)?;
        for made in [&self.bin, &self.project] {
            std::fs::create_dir_all(made).context("make the folder", made)?;
        }
        let codex = self.codex();
        std::os::unix::fs::symlink(demo, &codex).context("make the link", &codex)
    }

    /// The Codex.
    pub fn codex(&self) -> PathBuf {
        self.bin.join(fake::NAME)
    }

    /// Lets a command find all of it, and our own tools first, wherever PATH leads.
    pub fn dress(&self, command: &mut Command) {
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
