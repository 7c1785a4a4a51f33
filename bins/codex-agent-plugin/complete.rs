//! Completing tools of strangers: what a shell may evaluate, and what a hook offers.
//!
//! A stranger is run for it only where a description that is kept says that it may, and only while its
//! executable is the one that was described. No folder is read: the tool has been named.

use std::time::Duration;

use codex_agent_shared::child::limited;
use codex_agent_shared::child::limited::Limits;
use codex_agent_shared::cli;
use codex_agent_shared::cli::generate;
use codex_agent_shared::described;
use codex_agent_shared::described::{Entry, Kept};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin;
use codex_agent_shared::text::{harmless, tsv};

use super::Args;
use super::verbs::bare;

/// How long somebody waits who has pressed TAB, for a script and for candidates.
const PATIENCE: Duration = Duration::from_secs(2);

fn unknown(name: &str) -> Error {
    Error::not_found(format!("it is not known how '{name}' is completed"))
        .hint(format!("codex-agent plugin add {name} asks it"))
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
    let path = plugin::locate(name).ok_or_else(|| unknown(name))?;
    if plugin::is_ours(name, &path) {
        return cli::print(&described::generate(&path, shell, PATIENCE)?);
    }
    let kept = Kept::read()?;
    match kept.of(&path).and_then(Entry::current) {
        Some(description) if description.has(shell) => {
            cli::print(&described::generate(&path, shell, PATIENCE)?)
        }
        Some(description) if description.completes => cli::print(&by_hook),
        _ => Err(unknown(name)),
    }
}

/// Prints what a hook offers for a word.
pub(super) fn candidates(args: Args) -> Result<Exit> {
    let (name, words) = args.names()?.split_first().ok_or_else(|| Error::usage("a name is missing"))?;
    let name = bare(name);
    let path = plugin::locate(name).ok_or_else(|| unknown(name))?;
    let kept = Kept::read()?;
    if !kept.of(&path).and_then(Entry::current).is_some_and(|description| description.completes) {
        return Err(unknown(name));
    }
    let typed = words.last().map_or("", String::as_str);
    let words = if words.is_empty() { vec![""] } else { words.iter().map(String::as_str).collect() };
    let mut command = described::document(&path, &[&["complete", "--"], &words[..]].concat());
    let limits = Limits::new(PATIENCE, described::MOST);
    // A hook often ends with a test, whose answer may be no.
    let text = limited::output_of(&mut command, limits, "candidates", |code| (0..126).contains(&code))?;
    let mut output = Output::stdout();
    for line in String::from_utf8_lossy(&text).lines() {
        let (word, what) = line.split_once('\t').unwrap_or((line, ""));
        // A control character could do anything to a line that somebody is about to run, and one that nobody sees
        // could show another line than it is.
        if word.is_empty() || harmless(word) != word || !word.starts_with(typed) {
            continue;
        }
        output.text(format!("{}\t{}", tsv(word), harmless(what)).as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
