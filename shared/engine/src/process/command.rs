//! The executable of Codex, and its arguments.
//!
//! [`find_codex`] selects the executable. The path is absolute, because every job changes its directory.
//!
//! Arguments have the form that every version accepts: options before `resume UUID -`, each joined to its value, so that
//! no value can be read as an option; `--image=PATH`, since `-i PATH` swallows the next words and begins a new session.
//! Arguments of the user come first, before a generated option, so that Codex refuses an option without its value, which
//! would swallow the word `resume` otherwise. The prompt is not an argument.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::codex::server::find_codex;
use crate::codex::version::Versions;
use crate::record::event::Codex;
use crate::record::job::{Job, Kind, Sandbox};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::exec::is_executable;
use codex_agent_shared::text::fingerprint;

/// Finds the executable. `named` is the path given on the command line.
pub fn find(named: Option<&Path>) -> Result<PathBuf> {
    let path = find_codex(named)?;
    if !is_executable(&path) {
        let message = format!("cannot run codex at '{}': it is not an executable file", path.display());
        return Err(Error::new(message).hint("'codex-agent config' shows which setting names the executable"));
    }
    Ok(path)
}

/// Describes a Codex, with the version that it reports in the current directory. The version for a job is queried in the
/// directory of the job.
pub fn describe_codex(path: &Path, home: Option<&str>, versions: &mut Versions) -> Codex {
    let version = versions.get(path, home.map(Path::new), Path::new("."), false).ok();
    Codex { path: Some(path.to_string_lossy().into_owned()), version }
}

/// The copies of the files of a job.
#[derive(Debug, Default)]
pub struct Copies {
    /// Its images.
    pub images: Vec<PathBuf>,
    /// The JSON Schema of its last message.
    pub schema: Option<PathBuf>,
}

/// The files of a job, each with the path of its copy in the directory of the job: the images in order, then the
/// schema. The name of a copy has a hash of the original path, since a job that is planned anew may have other
/// files.
pub fn copies<'j>(job: &'j Job, directory: &Path) -> Vec<(&'j str, PathBuf)> {
    let image = |(at, image): (usize, &'j String)| {
        let kind = Path::new(image).extension().and_then(|kind| kind.to_str()).unwrap_or("img");
        let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        (image.as_str(), directory.join(format!("image-{}-{}.{kind}", at + 1, short_hash(image))))
    };
    let schema = job.options.output_schema.as_deref();
    let schema = schema.map(|from| (from, directory.join(format!("schema-{}.json", short_hash(from)))));
    job.images.iter().enumerate().map(image).chain(schema).collect()
}

fn short_hash(path: &str) -> String {
    fingerprint(path.as_bytes())[..8].to_owned()
}

/// The arguments of a job.
pub fn arguments(job: &Job, sandbox: Option<Sandbox>, copies: &Copies) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["exec".into()];
    words.extend(job.options.args.iter().map(OsString::from));
    words.push("--json".into());
    let joined = |flag: &str, path: &PathBuf| {
        let mut word = OsString::from(flag);
        word.push(path);
        word
    };
    let options = &job.options;
    if options.skip_git_repo_check {
        words.push("--skip-git-repo-check".into());
    }
    if options.bypass {
        words.push("--dangerously-bypass-approvals-and-sandbox".into());
    } else if let Some(sandbox) = sandbox {
        words.push(format!("--sandbox={}", sandbox.word()).into());
    }
    if let Some(model) = &options.model {
        words.push(format!("--model={model}").into());
    }
    words.extend(options.config.iter().map(|pair| format!("--config={pair}").into()));
    words.extend(copies.images.iter().map(|image| joined("--image=", image)));
    words.extend(copies.schema.iter().map(|schema| joined("--output-schema=", schema)));
    // Codex refuses the option for a session that it resumes.
    if options.worktree && job.kind() != Kind::Resume {
        words.push("--worktree".into());
    }
    let verb = match job.kind() {
        Kind::New => None,
        Kind::Resume => Some("resume"),
        Kind::Fork => Some("fork"),
    };
    if let (Some(verb), Some(session)) = (verb, job.session) {
        words.push(verb.into());
        words.push(session.to_string().into());
    }
    words.push("-".into());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::job::Options;
    use codex_agent_shared::record::Id;

    #[test]
    fn arguments_have_one_form() {
        let id = Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c").unwrap();
        let mut job = Job::new("--yolo".into()).resuming(id);
        job.options.model = Some("-m".into());
        job.options.config = vec!["a=1".into()];
        job.options.args = vec!["--ephemeral".into()];
        let copies = Copies {
            images: vec![PathBuf::from("/i/image-1.png")],
            schema: Some(PathBuf::from("/i/s.json")),
        };
        let words = arguments(&job, Some(Sandbox::ReadOnly), &copies);
        let want = "exec --ephemeral --json --sandbox=read-only --model=-m --config=a=1 --image=/i/image-1.png \
                    --output-schema=/i/s.json resume \
                    01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c -";
        assert_eq!(words.join(" ".as_ref()), *want);
        job.options.worktree = true;
        assert_eq!(arguments(&job, Some(Sandbox::ReadOnly), &copies), words);
        job.options = Options { bypass: true, worktree: true, ..Options::default() };
        let words = arguments(&job.in_fork(), Some(Sandbox::ReadOnly), &Copies::default());
        let want = format!("exec --json --dangerously-bypass-approvals-and-sandbox --worktree fork {id} -");
        assert_eq!(words.join(" ".as_ref()), *want);
        let words = arguments(&Job::new("x".into()), None, &Copies::default());
        assert_eq!(words.join(" ".as_ref()), *"exec --json -");
    }
}
