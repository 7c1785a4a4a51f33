//! The version of an executable of Codex.
//!
//! `codex --version` prints `codex-cli 0.169.0` (0.45 to 0.171) within half a second, also by the launcher of npm. An
//! executable that prints nothing for ten seconds is killed.
//!
//! The version of an executable may differ by directory, since the shim of a version manager (asdf, mise, volta, direnv)
//! depends on it, and may change at any time by an upgrade. So the version is queried in the directory in which Codex
//! will work, and is known for that directory and that file only.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use codex_agent_shared::codex::version::numbers;
use codex_agent_shared::error::{Error, Result, reason};

/// The longest wait for the version.
const PATIENCE: Duration = Duration::from_secs(10);
/// A version that was queried within this time is not queried again.
const JUST_NOW: Duration = Duration::from_millis(500);

/// Queries the version, such as `0.169.0`. An executable that is not Codex, prints no version or does not end is an
/// error. The command is run in `directory`, if that exists, and with this home, if that exists, since Codex creates a
/// directory in its home even for `--version`.
pub fn query_version(codex: &Path, home: Option<&Path>, directory: Option<&Path>) -> Result<String> {
    let failed = |why: &str| {
        Error::new(format!("cannot run '{} --version': {why}", codex.display()))
            .hint("'codex-agent config' shows which setting names the executable")
    };
    let mut command = Command::new(codex);
    if let Some(directory) = directory.filter(|directory| directory.is_dir()) {
        command.current_dir(directory);
    }
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
            // Both fail if the process has ended just now.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(&format!("it did not end within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // The output is in the pipe already. The pipe may stay open forever, in a child of the executable.
    let mut bytes = [0; 200];
    let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
    let got = match &mut child.stdout {
        Some(pipe) if poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&no_wait)) == Ok(1) => {
            pipe.read(&mut bytes).map_err(|error| failed(&reason(&error)))?
        }
        _ => 0,
    };
    let text = String::from_utf8_lossy(&bytes[..got]);
    if !text.starts_with("codex") {
        return Err(failed("it is not Codex"));
    }
    let found = text.split_whitespace().find(|word| numbers(word).is_some());
    found.map(str::to_owned).ok_or_else(|| failed("it printed no version"))
}

/// The versions that executables report in their directories, each queried once.
#[derive(Debug, Default)]
pub struct Versions {
    known: HashMap<Place, Answer>,
}

/// The answer of an executable, and its time. A timeout is cached too, so that not every job waits for it.
#[derive(Debug)]
struct Answer {
    by: ExecutableIdentity,
    at: Instant,
    version: std::result::Result<String, String>,
}

/// The executable, the home of Codex, and the directory.
type Place = (PathBuf, Option<PathBuf>, PathBuf);

/// The identities of an executable and a directory, behind any links, which differ from those of their successors.
/// The time is that of the last change to the file itself: npm gives all files of a package one time of
/// modification, whatever their version.
#[derive(Clone, Debug, PartialEq)]
struct ExecutableIdentity {
    file: (u64, u64),
    length: u64,
    changed: (i64, i64),
    directory: Option<(u64, u64)>,
}

impl ExecutableIdentity {
    fn read(codex: &Path, directory: &Path) -> Option<ExecutableIdentity> {
        let meta = std::fs::metadata(codex).ok()?;
        let directory = std::fs::metadata(directory).ok().map(|meta| (meta.dev(), meta.ino()));
        let (file, changed) = ((meta.dev(), meta.ino()), (meta.ctime(), meta.ctime_nsec()));
        Some(ExecutableIdentity { file, length: meta.len(), changed, directory })
    }
}

impl Versions {
    /// The version of this executable in a directory; `anew` queries it again, unless it was queried just now.
    pub fn get(&mut self, codex: &Path, home: Option<&Path>, directory: &Path, anew: bool) -> Result<String> {
        let key = (codex.to_owned(), home.map(Path::to_owned), directory.to_owned());
        // Read before the query, so that an executable that is replaced meanwhile is queried again.
        let stamp = ExecutableIdentity::read(codex, directory);
        let is_good = |answer: &&Answer| {
            Some(&answer.by) == stamp.as_ref() && (!anew || answer.at.elapsed() < JUST_NOW)
        };
        if let Some(answer) = self.known.get(&key).filter(is_good) {
            return answer.version.clone().map_err(Error::new);
        }
        let at = Instant::now();
        let version = query_version(codex, home, Some(directory));
        if let Some(by) = stamp {
            let kept = version.as_ref().map(String::clone).map_err(|error| error.message().to_owned());
            self.known.insert(key, Answer { by, at, version: kept });
        }
        version
    }

    /// Forgets all versions, after one turned out to be wrong.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // The tests create the files that they read.
mod tests {
    use super::*;
    use std::io::Write;

    /// Writes an executable script in another process: a process that another test starts meanwhile would inherit
    /// the open file, and the script could not be run ("text file busy").
    fn write_script(path: &Path, text: &str) {
        let mut shell = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn a_version_holds_for_one_directory_and_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let codex = folder.path().join("codex");
        let install = |text: &str| {
            let new = folder.path().join("new");
            write_script(&new, &format!("echo x >> {}/asked\n{text}", folder.path().display()));
            // As by npm, the time of modification is the same for each version.
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(500_000_000);
            std::fs::File::options().write(true).open(&new).unwrap().set_modified(time).unwrap();
            std::fs::rename(&new, &codex).unwrap();
        };
        let asked = || std::fs::read_to_string(folder.path().join("asked")).unwrap().lines().count();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(format!("in-{name}")));
        std::fs::create_dir(&old).unwrap();
        std::fs::create_dir(&new).unwrap();
        install("case $PWD in *old) echo codex-cli 0.137.0;; *) echo codex-cli 0.171.0;; esac");
        let mut versions = Versions::default();
        for _ in 0..3 {
            assert_eq!(versions.get(&codex, None, &old, false).unwrap(), "0.137.0");
            assert_eq!(versions.get(&codex, None, &new, false).unwrap(), "0.171.0");
        }
        assert_eq!(asked(), 2);
        std::thread::sleep(JUST_NOW);
        assert_eq!((versions.get(&codex, None, &new, true).unwrap().as_str(), asked()), ("0.171.0", 3));
        assert_eq!((versions.get(&codex, None, &new, true).unwrap().as_str(), asked()), ("0.171.0", 3));
        install("case $PWD in *old) echo codex-cli 0.150.0;; *) echo codex-cli 0.106.0;; esac");
        assert_eq!(versions.get(&codex, None, &old, false).unwrap(), "0.150.0");
        assert_eq!(versions.get(&codex, None, &new, false).unwrap(), "0.106.0");
        versions.forget();
        assert_eq!((versions.get(&codex, None, &new, false).unwrap().as_str(), asked()), ("0.106.0", 6));
    }

    #[test]
    fn the_output_of_an_executable_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let query = |text: &str| {
            let path = folder.path().join("codex");
            write_script(&path, text);
            query_version(&path, None, None).map_err(|error| error.message().to_owned())
        };
        assert_eq!(query("echo codex-cli 0.169.0"), Ok("0.169.0".to_owned()));
        // A child of the executable keeps the pipe open.
        assert_eq!(query("sleep 30 & echo codex-cli 0.1.2"), Ok("0.1.2".to_owned()));
        assert!(query("sleep 30 &").unwrap_err().ends_with("it is not Codex"));
        assert!(query("echo git version 2.0").unwrap_err().ends_with("it is not Codex"));
        assert!(query("echo codex").unwrap_err().ends_with("it printed no version"));
        assert!(
            query_version(Path::new("/no/codex"), None, None).unwrap_err().message().contains("/no/codex")
        );
    }
}
