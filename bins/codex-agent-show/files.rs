//! The files that a session changed.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use codex_agent_shared::error::{Result, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Look, columns, is_terminal, painted};
use codex_agent_shared::text::{counted, harmless, path_cell, width};
use codex_agent_shared::transcript::{Detail, Item};

use codex_agent_shared::transcript::prose::{file_changes, is_diff};

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
    wide: Option<usize>,
    /// The directory of the session, if there are several: paths are absolute then.
    pub(super) directory: Option<String>,
    /// The new paths, in the order of their first changes.
    paths: Vec<String>,
    /// The addresses of patches of files outside of the directory of the session.
    outside: Vec<String>,
    /// The addresses of patches with a text that is too long for the reader.
    shortened: Vec<String>,
    /// The names, in the order of their first changes.
    order: Vec<String>,
    totals: BTreeMap<String, Total>,
    /// The addresses of patches that are in no form that git reads.
    not_diffs: Vec<String>,
    /// The files that the patches so far have touched, and the addresses of patches that move one of them.
    touched: HashSet<String>,
    moved: Vec<String>,
}

impl Files {
    pub(super) fn new(view: View, color: bool, wide: Option<usize>) -> Files {
        Files {
            view,
            color,
            wide,
            directory: None,
            paths: Vec::new(),
            outside: Vec::new(),
            shortened: Vec::new(),
            order: Vec::new(),
            totals: BTreeMap::new(),
            not_diffs: Vec::new(),
            touched: HashSet::new(),
            moved: Vec::new(),
        }
    }

    /// A path, which is that of the directory of the session if there are several.
    fn path(&self, path: &str) -> String {
        match &self.directory {
            Some(directory) => Path::new(directory).join(path).to_string_lossy().into_owned(),
            None => path.to_owned(),
        }
    }

    /// Adds a patch that was applied, or prints it.
    pub(super) fn add(&mut self, item: &Item, output: &mut Output) -> Result<()> {
        let Detail::Patch { files, failed: false } = &item.detail else { return Ok(()) };
        let text = item.text.as_deref().unwrap_or_default();
        if self.view == View::Patch {
            return match is_diff(text) {
                true if text.contains("diff --git a//") || text.contains("diff --git \"a//") => {
                    self.outside.push(item.address.clone().unwrap_or_default());
                    Ok(())
                }
                true if is_shortened(text) => {
                    self.shortened.push(item.address.clone().unwrap_or_default());
                    Ok(())
                }
                true => {
                    if files
                        .iter()
                        .any(|file| file.to.is_some() && self.touched.contains(&self.path(&file.path)))
                    {
                        self.moved.push(item.address.clone().unwrap_or_default());
                    }
                    let paths = files.iter().flat_map(|file| [Some(&file.path), file.to.as_ref()]).flatten();
                    let paths: Vec<String> = paths.map(|path| self.path(path)).collect();
                    self.touched.extend(paths);
                    self.print(text, output)
                }
                false => {
                    self.not_diffs.push(item.address.clone().unwrap_or_default());
                    Ok(())
                }
            };
        }
        for mut change in file_changes(text, files) {
            (change.path, change.to) = (self.path(&change.path), change.to.map(|to| self.path(&to)));
            let path = change.to.as_ref().unwrap_or(&change.path);
            if !self.paths.contains(path) {
                self.paths.push(path.clone());
            }
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
        // Whatever the environment says about colours, a program reads a pipe.
        if !is_terminal() {
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
        for address in &self.outside {
            warn(format_args!(
                "the patch {address} is left out: it changes a file outside of the directory of the session"
            ));
        }
        for address in &self.shortened {
            warn(format_args!(
                "the patch {address} is left out: its line in the rollout is too long to be read as a whole"
            ));
        }
        for address in &self.moved {
            warn(format_args!(
                "the patch {address} moves a file that an earlier patch of this output has changed: 'git apply' accepts \
                 these patches only one at a time, by their addresses"
            ));
        }
        match self.view {
            View::Patch => {}
            View::Names => {
                for path in &self.paths {
                    output.row([path.as_str()])?;
                }
            }
            View::Stat => {
                let most = self.wide.unwrap_or_else(columns).saturating_sub(20).max(10);
                let wide = self.order.iter().map(|name| width(&harmless(name))).max().unwrap_or(0);
                // Rows in a pipe are read by programs.
                let wide = if is_terminal() || self.wide.is_some() { wide.min(most) } else { wide };
                let (mut added, mut removed) = (0, 0);
                for name in &self.order {
                    let total = &self.totals[name];
                    (added, removed) = (added + total.added, removed + total.removed);
                    let name = path_cell(name, None, wide);
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
        Ok(self.not_diffs.is_empty() && self.shortened.is_empty() && self.outside.is_empty())
    }
}

/// Whether a text of a patch ends with the mark of a text that the reader has shortened.
fn is_shortened(patch: &str) -> bool {
    let mut lines = patch.lines().peekable();
    while let Some(line) = lines.next() {
        let is_end =
            lines.peek().is_none_or(|next| next.starts_with('\\') || next.starts_with("diff --git "));
        if is_end && line.ends_with('…') {
            return true;
        }
    }
    false
}
