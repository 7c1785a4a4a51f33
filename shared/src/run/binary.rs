//! Which Codex is run, and with which arguments.
//!
//! Which one is decided in [`find_codex`]. The path is absolute, because every job changes its directory.
//!
//! Arguments have the form that every version takes: options before `resume UUID -`, each joined to
//! its value, so that no value can be taken for an option; `--image=PATH`, because `-i PATH` swallows
//! what follows and begins a new session. The prompt is not among them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::event::Codex;
use super::job::{Job, Sandbox};
use crate::codex::server::find_codex;
use crate::codex::version::version;
use crate::error::{Error, Result};
use crate::plugin::is_executable;

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

/// What a Codex says about itself. One that says nothing in time has no version.
pub fn about(path: &Path) -> Codex {
    Codex { path: Some(path.to_string_lossy().into_owned()), version: version(path).ok() }
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
    }
}
