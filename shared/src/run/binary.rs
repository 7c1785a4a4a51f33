//! Which Codex is run, and with which arguments.
//!
//! Which one is decided in [`find_codex`]. The path is absolute, because every job changes its directory.
//!
//! Arguments have the form that every version takes: options before `resume UUID -`, each joined to
//! its value, so that no value can be taken for an option; `--image=PATH`, because `-i PATH` swallows
//! what follows and begins a new session. The prompt is not among them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::event::Codex;
use super::job::{Job, Sandbox};
use crate::codex::server::find_codex;
use crate::error::{Error, Result};

/// Finds the executable. `named` is what the user said on the command line.
pub fn find(named: Option<&Path>) -> Result<PathBuf> {
    let path = find_codex(named)?;
    if !is_executable(&path) {
        return Err(Error::new(format!(
            "cannot run codex at '{}': it is not an executable file",
            path.display()
        ))
        .hint("--codex or CODEX_AGENT_CODEX names another"));
    }
    Ok(path)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What a Codex says about itself. One that says nothing in time has no version.
pub fn about(path: &Path) -> Codex {
    Codex { path: Some(path.to_string_lossy().into_owned()), version: version(path) }
}

fn version(path: &Path) -> Option<String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // What it left in the pipe is at hand; something that it started may keep the pipe open.
    let mut text = [0; 200];
    let got = std::io::Read::read(child.stdout.as_mut()?, &mut text).ok()?;
    let text = std::str::from_utf8(&text[..got]).ok()?;
    let word = text.lines().next()?.split_whitespace().last()?;
    word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.to_owned())
}

/// The first two numbers of a version.
pub fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The arguments of a job. `images` are where its pictures are now.
pub fn arguments(job: &Job, sandbox: Option<Sandbox>, images: &[PathBuf]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["exec".into(), "--json".into()];
    let options = &job.options;
    if options.skip_git_repo_check {
        words.push("--skip-git-repo-check".into());
    }
    if let Some(sandbox) = sandbox {
        words.push(format!("--sandbox={}", sandbox.word()).into());
    }
    if let Some(model) = &options.model {
        words.push(format!("--model={model}").into());
    }
    words.extend(options.config.iter().map(|pair| format!("--config={pair}").into()));
    for image in images {
        let mut word = OsString::from("--image=");
        word.push(image);
        words.push(word);
    }
    if let Some(session) = job.asked() {
        words.push("resume".into());
        words.push(session.to_string().into());
    }
    words.push("-".into());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Id;

    #[test]
    fn arguments_have_one_form() {
        let id = Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c").unwrap();
        let mut job = Job::resume(id, "--yolo".into());
        job.options.model = Some("-m".into());
        job.options.config = vec!["a=1".into()];
        let words = arguments(&job, Some(Sandbox::ReadOnly), &[PathBuf::from("/i/image-1.png")]);
        let want = "exec --json --sandbox=read-only --model=-m --config=a=1 --image=/i/image-1.png resume \
                    01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c -";
        assert_eq!(words.join(" ".as_ref()), *want);
        let words = arguments(&Job::new("x".into()), None, &[]);
        assert_eq!(words.join(" ".as_ref()), *"exec --json -");
        assert_eq!(release("0.169.0"), Some((0, 169)));
        assert_eq!(release("garbage"), None);
    }
}
