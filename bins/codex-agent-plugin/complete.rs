//! Completion of external tools: scripts for a shell, and the candidates of a hook.
//!
//! An external tool is run for it only where its description allows that. No directory is read: the tool has been
//! named.

use std::path::PathBuf;
use std::time::Duration;

use codex_agent_shared::child::limited;
use codex_agent_shared::child::limited::Limits;
use codex_agent_shared::cli;
use codex_agent_shared::cli::generate;
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::{SearchPath, is_ours};
use codex_agent_shared::text::{harmless, tsv};

use super::verbs::bare;
use super::{Args, tool_names};

/// How long a tool may take for a script or for candidates, as the user waits.
const PATIENCE: Duration = Duration::from_secs(2);

fn unknown(name: &str) -> Error {
    Error::not_found(format!("the completion of '{name}' is unknown"))
        .hint(format!("codex-agent plugin add {name} asks the tool for its description"))
}

fn find(name: &str) -> Result<PathBuf> {
    SearchPath::from_env().find(name).ok().flatten().ok_or_else(|| unknown(name))
}

/// Prints a script for a shell to evaluate.
pub(super) fn completion(args: Args) -> Result<Exit> {
    let [name, shell] = &args.operands[..] else {
        return Err(Error::usage("expected a name and a shell").hint("shells: bash zsh fish"));
    };
    let name = bare(name);
    let Some(by_hook) = generate::hook(name, shell) else {
        return Err(Error::usage(format!("cannot complete in '{shell}'")).hint("shells: bash zsh fish"));
    };
    let path = find(name)?;
    if is_ours(name, &path) {
        return cli::print(&description::generate(&path, shell, PATIENCE)?);
    }
    match Description::find(name) {
        Some(known) if known.has(shell) => cli::print(&description::generate(&path, shell, PATIENCE)?),
        Some(known) if known.completes => cli::print(&by_hook),
        _ => Err(unknown(name)),
    }
}

/// Prints what a hook offers for a word.
pub(super) fn candidates(args: Args) -> Result<Exit> {
    let (name, words) = tool_names(&args)?.split_first().ok_or_else(|| Error::usage("a name is missing"))?;
    let name = bare(name);
    let path = find(name)?;
    if !Description::find(name).is_some_and(|known| known.completes) {
        return Err(unknown(name));
    }
    let typed = words.last().map_or("", String::as_str);
    let words = if words.is_empty() { vec![""] } else { words.iter().map(String::as_str).collect() };
    let mut command = description::document(&path, &[&["complete", "--"], &words[..]].concat());
    let limits = Limits::new(PATIENCE, description::MOST);
    // A hook often ends with a test, whose answer may be no.
    let text = limited::output_of(&mut command, limits, "candidates", |code| (0..126).contains(&code))?;
    let mut output = Output::stdout();
    for line in String::from_utf8_lossy(&text).lines() {
        let (word, what) = line.split_once('\t').unwrap_or((line, ""));
        // A control character could do anything to a line that is about to be run, and an invisible one could show
        // another line than it is.
        if word.is_empty() || harmless(word) != word || !word.starts_with(typed) {
            continue;
        }
        output.text(format!("{}\t{}", tsv(word), harmless(what)).as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
