//! Completion of external tools: scripts for a shell, and the candidates of a hook.
//!
//! An external tool is run only if its description allows that. No directory is read, since the tool has been named.

use std::path::PathBuf;

use codex_agent_shared::cli;
use codex_agent_shared::cli::generate::SHELLS;
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::plugin::description::{self, Description, PATIENCE_OF_TAB};
use codex_agent_shared::plugin::{SearchPath, dispatcher, is_ours};
use codex_agent_shared::text::{harmless, tsv};

use super::verbs::bare;
use super::{Args, tool_names};

fn unknown(name: &str) -> Error {
    Error::not_found(format!("the completion of the tool '{name}' is unknown"))
        .hint(format!("'codex-agent plugin add {name}' asks the tool for its description"))
}

fn find(name: &str) -> Result<PathBuf> {
    SearchPath::from_env().find(name).ok().flatten().ok_or_else(|| unknown(name))
}

/// Prints the completion script of a tool for a shell. The script of a tool of the package is that of all its tools.
pub(super) fn completion(args: Args) -> Result<Exit> {
    let [name, shell] = &args.operands[..] else {
        return Err(Error::usage("expected the name of a tool and a shell").hint("shells: bash zsh fish"));
    };
    let name = bare(name);
    if !SHELLS.contains(&shell.as_str()) {
        return Err(Error::usage(format!("cannot complete in shell '{shell}'")).hint("shells: bash zsh fish"));
    }
    let path = find(name)?;
    if is_ours(name, &path) {
        return cli::print(&description::generate(&dispatcher(), shell, PATIENCE_OF_TAB)?);
    }
    if !Description::find(name, &path).is_some_and(|known| known.has(shell)) {
        return Err(unknown(name));
    }
    cli::print(&description::generate(&path, shell, PATIENCE_OF_TAB)?)
}

/// Prints the candidates of a hook for the last word.
pub(super) fn candidates(args: Args) -> Result<Exit> {
    let (name, words) = tool_names(&args)?;
    let name = bare(name);
    let path = find(name)?;
    if !Description::find(name, &path).is_some_and(|known| known.completes) {
        return Err(unknown(name));
    }
    let words = if words.is_empty() { &[String::new()][..] } else { words };
    let typed = words.last().map_or("", String::as_str);
    let mut rows = Vec::new();
    description::candidates(&path, words, |word, meaning| {
        // A control character could change the line that is about to be run, and an invisible character could hide
        // what the line is.
        if !word.is_empty() && harmless(word) == word && word.starts_with(typed) {
            rows.push(format!("{}\t{}\n", tsv(word), harmless(meaning)));
        }
    })?;
    cli::print(&rows.concat())
}
