//! Which version a Codex is: what it says of itself, and what its number says.
//!
//! `codex --version` prints `codex-cli 0.169.0` (0.45 to 0.171) within half a second, through npm's
//! launcher too. One that says nothing is not waited for.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result, reason};
use crate::record::Session;

/// How long an executable may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `codex --version` says: `0.169.0`. An executable that is not Codex, that does not say it, or that
/// does not end is an error that names it. Codex makes a folder in its home even for this, so that it is told
/// which one is meant, where that is there.
pub fn version(codex: &Path, home: Option<&Path>) -> Result<String> {
    let failed = |why: &str| {
        Error::new(format!("cannot run '{} --version': {why}", codex.display()))
            .hint("'codex-agent config' tells what names it")
    };
    let mut command = Command::new(codex);
    if let Some(home) = home.filter(|home| home.is_dir()) {
        command.env("CODEX_HOME", home);
    }
    let mut child = command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&reason(&error)))?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().map_err(|error| failed(&reason(&error)))?.is_none() {
        if Instant::now() > deadline {
            // Either may fail only because it has ended after all.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(&format!("it did not end within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // What it left in the pipe is at hand; something that it started may keep the pipe open for ever.
    let mut bytes = [0; 200];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let got = match &mut child.stdout {
        Some(pipe) if poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&at_once)) == Ok(1) => {
            pipe.read(&mut bytes).map_err(|error| failed(&reason(&error)))?
        }
        _ => 0,
    };
    let text = String::from_utf8_lossy(&bytes[..got]);
    if !text.starts_with("codex") {
        return Err(failed("it is not Codex"));
    }
    let found = text.split_whitespace().find(|word| numbers(word).is_some());
    found.map(str::to_owned).ok_or_else(|| failed("it does not say its version"))
}

/// The major and minor number of a version; `None` for what is none.
pub fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether a version is older than this; one that nobody can read is not.
pub fn is_before(version: &str, first: (u32, u32)) -> bool {
    numbers(version).is_some_and(|version| version < first)
}

/// Refuses a session of a format that this Codex cannot read, and would damage for all later ones.
pub fn refuse_older(version: &str, session: &Session<'_>) -> Result<()> {
    if session.history.as_deref() != Some("paginated") || !is_before(version, (0, 148)) {
        return Ok(());
    }
    let by = session.cli_version.as_deref().unwrap_or("a later version");
    Err(Error::new(format!("Codex {version} would damage this session, which {by} made"))
        .hint("0.148 is the first version that can read it; --codex names another Codex"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // What a test finds there must be put there.
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn numbers_of_versions() {
        assert_eq!(numbers("0.169.0"), Some((0, 169)));
        assert_eq!(numbers("1.2.0-alpha.3"), Some((1, 2)));
        assert_eq!(numbers("garbage"), None);
        assert_eq!(numbers("0.x"), None);
        assert!(is_before("0.99.0", (0, 148)) && !is_before("0.148.0", (0, 148)));
        assert!(!is_before("from source", (0, 148)));
    }

    #[test]
    fn what_an_executable_says() {
        let folder = tempfile::tempdir().unwrap();
        let says = |text: &str| {
            let path = folder.path().join("codex");
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            version(&path, None).map_err(|error| error.message().to_owned())
        };
        assert_eq!(says("echo codex-cli 0.169.0"), Ok("0.169.0".to_owned()));
        // Something that it leaves behind keeps the pipe.
        assert_eq!(says("sleep 30 & echo codex-cli 0.1.2"), Ok("0.1.2".to_owned()));
        assert!(says("sleep 30 &").unwrap_err().ends_with("it is not Codex"));
        assert!(says("echo git version 2.0").unwrap_err().ends_with("it is not Codex"));
        assert!(says("echo codex").unwrap_err().ends_with("it does not say its version"));
        assert!(version(Path::new("/no/codex"), None).unwrap_err().message().contains("/no/codex"));
    }
}
