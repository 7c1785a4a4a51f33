//! The arguments of `codex exec` that this Codex knows.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::output::{OrExit, exit_with};
use crate::version::{Version, since};

#[derive(Default)]
pub(super) struct Args {
    pub(super) json: bool,
    pub(super) sandbox: Option<String>,
    pub(super) model: Option<String>,
    pub(super) directory: Option<OsString>,
    pub(super) skip_git_check: bool,
    pub(super) worktree: bool,
    pub(super) verb: Verb,
    /// The prompt, or `-`.
    pub(super) prompt: Option<OsString>,
}

#[derive(Default)]
pub(super) enum Verb {
    #[default]
    New,
    Resume(OsString),
    Fork(OsString),
}

/// Options with a value that change nothing here.
const IGNORED: [&str; 9] = [
    "--config",
    "-c",
    "--output-schema",
    "--profile",
    "-p",
    "--color",
    "--add-dir",
    "--enable",
    "--thread-source",
];

/// Parses the arguments after `exec`.
pub(super) fn parse(version: &Version, words: &[OsString]) -> OrExit<Args> {
    let mut args = Args::default();
    let mut operands: Vec<&OsString> = Vec::new();
    let mut rest = words.iter().peekable();
    let mut is_open = true;
    while let Some(word) = rest.next() {
        if !is_open || is_operand(word) {
            operands.push(word);
            continue;
        }
        let text = word.to_str().unwrap_or_default();
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            // -mMODEL
            None if !text.starts_with("--") && text.len() > 2 && text.is_char_boundary(2) => {
                (&text[..2], Some(&text[2..]))
            }
            None => (text, None),
        };
        let in_verb = operands.first().is_some_and(|verb| *verb == "resume" || is_fork(version, verb));
        let mut value = || {
            // An option is never a value (0.106 and 0.169).
            let next =
                || rest.next_if(|word| is_operand(word)).map(|word| word.to_string_lossy().into_owned());
            match attached.map(str::to_owned).or_else(next) {
                Some(value) => Ok(value),
                None => usage(&format!("a value is required for '{name}' but none was supplied")),
            }
        };
        match name {
            "--" if attached.is_none() => is_open = false,
            "--json" | "--experimental-json" => args.json = true,
            "--skip-git-repo-check" => args.skip_git_check = true,
            "--worktree" if version.has(since::WORKTREES) => args.worktree = true,
            // Ignored here: the session is written nevertheless.
            "--ephemeral" => {}
            "--dangerously-bypass-approvals-and-sandbox" | "--yolo" => {
                args.sandbox = Some("danger-full-access".to_owned());
            }
            "--full-auto" if !version.has(since::NO_FULL_AUTO) => {
                args.sandbox = Some("workspace-write".to_owned());
            }
            "--sandbox" | "-s" if !in_verb => {
                let mode = value()?;
                if !["read-only", "workspace-write", "danger-full-access"].contains(&&*mode) {
                    return usage(&format!(
                        "invalid value '{mode}' for '--sandbox <SANDBOX_MODE>'\n  [possible values: \
                         read-only, workspace-write, danger-full-access]"
                    ));
                }
                args.sandbox = Some(mode);
            }
            "--cd" | "-C" if !in_verb => args.directory = Some(value()?.into()),
            "--model" | "-m" => args.model = Some(value()?),
            "--image" | "-i" => {
                value()?;
                // Without `=` it accepts all words up to the next option.
                while attached.is_none() && rest.next_if(|word| is_operand(word)).is_some() {}
            }
            ignored if IGNORED.contains(&ignored) => drop(value()?),
            _ => return unexpected(text),
        }
    }
    let mut operands = operands.into_iter();
    match operands.next() {
        Some(verb) if verb == "resume" || is_fork(version, verb) => {
            let Some(id) = operands.next().cloned() else {
                return usage("the following required arguments were not provided:\n  <SESSION_ID>");
            };
            args.verb = if verb == "resume" { Verb::Resume(id) } else { Verb::Fork(id) };
            args.prompt = operands.next().cloned();
        }
        prompt => args.prompt = prompt.cloned(),
    }
    match operands.next() {
        Some(more) => unexpected(&more.to_string_lossy()),
        None => Ok(args),
    }
}

fn is_operand(word: &OsString) -> bool {
    word == "-" || !word.as_bytes().starts_with(b"-")
}

fn is_fork(version: &Version, verb: &OsString) -> bool {
    verb == "fork" && version.has(since::EXEC_FORK)
}

fn unexpected<T>(word: &str) -> OrExit<T> {
    let tip = match word.starts_with('-') {
        true => format!("\n\n  tip: to pass '{word}' as a value, use '-- {word}'"),
        false => String::new(),
    };
    usage(&format!("unexpected argument '{word}' found{tip}"))
}

fn usage<T>(why: &str) -> OrExit<T> {
    exit_with(
        2,
        format!(
            "error: {why}\n\nUsage: codex exec [OPTIONS] [PROMPT]\n       codex exec [OPTIONS] <COMMAND> [ARGS]\n\n\
             For more information, try '--help'."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Option<Args> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&Version::from_environment(), &words).ok()
    }

    #[test]
    fn arguments_have_the_syntax_of_codex() {
        let args = parse_words("--json -s workspace-write -m x --image=a,b -C /p resume ID -").unwrap();
        assert!(args.json && args.prompt.is_some_and(|prompt| prompt == "-"));
        assert!(matches!(args.verb, Verb::Resume(id) if id == "ID"));
        assert_eq!((args.sandbox.as_deref(), args.model.as_deref()), (Some("workspace-write"), Some("x")));
        // An image without `=` swallows all further words.
        let args = parse_words("--json -i a resume ID -").unwrap();
        assert!(matches!(args.verb, Verb::New) && args.prompt.is_none());
        for wrong in ["--nosuch x", "-s bad x", "resume ID -s read-only -", "a b", "--full-auto x", "resume"]
        {
            assert!(parse_words(wrong).is_none(), "{wrong}");
        }
    }
}
