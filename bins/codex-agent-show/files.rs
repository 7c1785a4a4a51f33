//! The files that a session changed.

use std::collections::BTreeMap;

use codex_agent_shared::error::{Result, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Look, painted};
use codex_agent_shared::text::{counted, harmless, width};
use codex_agent_shared::transcript::{Detail, Item};

use super::prose::{file_changes, is_diff};

/// Which view of the files is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// A line for each file, with the numbers of lines.
    Stat,
    /// The paths.
    Names,
    /// The patches, for `git apply`.
    Patch,
}

/// The changes of one file.
#[derive(Debug, Default)]
struct Total {
    patches: usize,
    added: usize,
    removed: usize,
    /// Whether the lines of a change are unknown.
    is_unknown: bool,
}

/// Collects the files of the patches of a session.
pub(super) struct Files {
    view: View,
    color: bool,
    /// The paths, in the order of their first changes.
    order: Vec<String>,
    totals: BTreeMap<String, Total>,
    /// The addresses of patches that are in no form that git reads.
    not_diffs: Vec<String>,
}

impl Files {
    pub(super) fn new(view: View, color: bool) -> Files {
        Files { view, color, order: Vec::new(), totals: BTreeMap::new(), not_diffs: Vec::new() }
    }

    /// Adds a patch that was applied, or prints it.
    pub(super) fn add(&mut self, item: &Item, output: &mut Output) -> Result<()> {
        let Detail::Patch { files, failed: false } = &item.detail else { return Ok(()) };
        let text = item.text.as_deref().unwrap_or_default();
        if self.view == View::Patch {
            return match is_diff(text) {
                true => self.print(text, output),
                false => {
                    self.not_diffs.push(item.address.clone().unwrap_or_default());
                    Ok(())
                }
            };
        }
        for change in file_changes(text, files) {
            let name = change.name();
            let total = self.totals.entry(name.clone()).or_insert_with(|| {
                self.order.push(name);
                Total::default()
            });
            total.patches += 1;
            match change.lines {
                Some((added, removed)) => {
                    total.added += added;
                    total.removed += removed;
                }
                None => total.is_unknown = true,
            }
        }
        Ok(())
    }

    /// Prints a patch. On a terminal its lines are harmless, and coloured.
    fn print(&self, text: &str, output: &mut Output) -> Result<()> {
        if !codex_agent_shared::terminal::is_terminal() && !self.color {
            return output.text(text.as_bytes(), b"");
        }
        text.lines().try_for_each(|line| {
            let look = match line.as_bytes() {
                [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'd', b'i', b'f', b'f', ..] => Look::Bold,
                [b'+', ..] => Look::Running,
                [b'-', ..] => Look::Failed,
                [b'@', b'@', ..] => Look::Waiting,
                _ => Look::Plain,
            };
            let line = harmless(&line.replace('\t', "    ")).into_owned();
            output.text(painted(&line, look, self.color).as_bytes(), b"\n")
        })
    }

    /// Prints the files; returns whether all patches could be printed.
    pub(super) fn finish(self, output: &mut Output) -> Result<bool> {
        for address in &self.not_diffs {
            warn(format_args!(
                "the patch {address} is left out: this version of Codex recorded only the text of the model, which \
                 'git apply' does not read"
            ));
        }
        match self.view {
            View::Patch => {}
            View::Names => {
                for name in &self.order {
                    let path = name.rsplit(" → ").next().unwrap_or(name);
                    output.row([path])?;
                }
            }
            View::Stat => {
                let wide = self.order.iter().map(|name| width(&harmless(name))).max().unwrap_or(0);
                let (mut added, mut removed) = (0, 0);
                for name in &self.order {
                    let total = &self.totals[name];
                    (added, removed) = (added + total.added, removed + total.removed);
                    let name = harmless(name);
                    let blanks = " ".repeat(wide - width(&name));
                    let plus = painted(&format!("+{}", total.added), Look::Running, self.color);
                    let minus = painted(&format!("-{}", total.removed), Look::Failed, self.color);
                    let more = if total.is_unknown { "  (some lines are not recorded)" } else { "" };
                    output.text(format!(" {name}{blanks}  {plus} {minus}{more}").as_bytes(), b"\n")?;
                }
                let files = counted(self.order.len(), "file");
                output.text(format!(" {files} changed, +{added} -{removed}").as_bytes(), b"\n")?;
            }
        }
        Ok(self.not_diffs.is_empty())
    }
}
