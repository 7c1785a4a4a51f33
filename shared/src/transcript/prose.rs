//! Items in words, for all forms that people read.

use super::record::{
    AgentAction, By, Change, ChangeKind, Detail, Item, ReviewAction, Role, Tokens, Turn, TurnStatus,
};
use crate::text::counted;
use crate::time::Timestamp;

/// An item in a line: `Ran ls -1`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Headline {
    /// The verb.
    pub verb: String,
    /// The subject: a command, a name, a text; empty if there is none.
    pub subject: String,
    /// A remark behind it; empty if there is none.
    pub remark: String,
    /// Whether the deed failed.
    pub is_failed: bool,
}

/// A file of a patch, with the lines that were added and removed; `None` if they are unknown.
#[derive(Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The path before the change.
    pub path: String,
    /// The path after a move.
    pub to: Option<String>,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The numbers of lines.
    pub lines: Option<(usize, usize)>,
}

impl FileChange {
    /// The path, with the new one of a moved file.
    pub fn name(&self) -> String {
        match &self.to {
            Some(to) => format!("{} → {to}", self.path),
            None => self.path.clone(),
        }
    }

    /// The kind of change: `new +3`, `+1 -1`, `deleted`.
    pub fn summary(&self) -> String {
        let word = match self.kind {
            ChangeKind::Created => "new",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Moved => "moved",
            _ => "",
        };
        let (added, removed) = self.lines.unwrap_or_default();
        let count = |sign: char, count: usize| (count > 0).then(|| format!("{sign}{count}"));
        let parts =
            [Some(word.to_owned()).filter(|word| !word.is_empty()), count('+', added), count('-', removed)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "changed".to_owned() } else { parts.join(" ") }
    }
}

/// The path that a line of a patch in the form of the model's tool names.
fn named_file(line: &str) -> Option<&str> {
    ["*** Add File: ", "*** Update File: ", "*** Delete File: "]
        .iter()
        .find_map(|start| line.strip_prefix(start))
}

/// Whether a text is a patch that `git apply` accepts. Up to Codex 0.120 only the patch of the model is recorded.
pub fn is_diff(text: &str) -> bool {
    text.starts_with("diff --git ")
}

/// The files of a patch that was applied, with their counts of lines.
pub fn file_changes(text: &str, files: &[Change]) -> Vec<FileChange> {
    let mut counts: Vec<(&str, usize, usize)> = Vec::new();
    let (is_diff, mut is_body) = (is_diff(text), false);
    for line in text.lines() {
        if is_diff && line.starts_with("diff --git ") {
            counts.push(("", 0, 0));
            is_body = false;
        } else if is_diff && line.starts_with("@@") {
            is_body = true;
        } else if let Some(path) = named_file(line).filter(|_| !is_diff) {
            counts.push((path, 0, 0));
            is_body = true;
        } else if let (true, Some(count)) = (is_body, counts.last_mut()) {
            match line.as_bytes().first() {
                Some(b'+') => count.1 += 1,
                Some(b'-') => count.2 += 1,
                _ => {}
            }
        }
    }
    let change = |(at, file): (usize, &Change)| {
        // Paths of the model may be longer than those of the item, which are relative to the directory.
        let count = match is_diff {
            true => counts.get(at),
            false => counts.iter().find(|(path, ..)| path.ends_with(file.path.as_str())),
        };
        let is_known = is_diff || file.kind != ChangeKind::Deleted;
        let lines = count.filter(|_| is_known).map(|(_, added, removed)| (*added, *removed));
        FileChange { path: file.path.clone(), to: file.to.clone(), kind: file.kind, lines }
    };
    files.iter().enumerate().map(change).collect()
}

/// The number of lines that several changes add and remove, as `+4 -1`; empty if unknown.
pub fn sum_of_lines(changes: &[FileChange]) -> String {
    let lines = changes.iter().filter_map(|change| change.lines);
    let (added, removed) = lines.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    match (added, removed) {
        (0, 0) => String::new(),
        (added, 0) => format!("+{added}"),
        (0, removed) => format!("-{removed}"),
        (added, removed) => format!("+{added} -{removed}"),
    }
}

/// The files that a patch names which was not applied.
fn named_files(text: &str) -> String {
    let of_diff = |line: &'_ str| line.strip_prefix("+++ b/").map(str::to_owned);
    let names = text.lines().filter_map(|line| named_file(line).map(str::to_owned).or_else(|| of_diff(line)));
    names.collect::<Vec<_>>().join(", ")
}

/// A line with a colon between the verb and a text.
fn titled(verb: &str, subject: String) -> Headline {
    let colon = if subject.is_empty() { "" } else { ":" };
    Headline { verb: format!("{verb}{colon}"), subject, ..Headline::default() }
}

/// The line about an item; `None` for messages, reasoning and outputs, which are their text.
pub fn headline(item: &Item) -> Option<Headline> {
    let text = || item.text.clone().unwrap_or_default();
    let line =
        |verb: &str, subject: String| Headline { verb: verb.to_owned(), subject, ..Headline::default() };
    Some(match &item.detail {
        Detail::Command { exit_code, by } => {
            let verb = if *by == By::User { "You ran" } else { "Ran" };
            match exit_code {
                Some(0) => line(verb, text()),
                // Codex's word for a command that was interrupted.
                Some(-1) => {
                    Headline { is_failed: true, remark: "interrupted".to_owned(), ..line(verb, text()) }
                }
                Some(code) if *by == By::Agent => {
                    Headline { is_failed: true, ..line(&format!("Failed ({code})"), text()) }
                }
                Some(code) => {
                    Headline { is_failed: true, remark: format!("exit code {code}"), ..line(verb, text()) }
                }
                None => Headline { remark: "exit code unknown".to_owned(), ..line(verb, text()) },
            }
        }
        Detail::Patch { failed: true, .. } => {
            Headline { is_failed: true, ..titled("Patch did not apply", named_files(&text())) }
        }
        Detail::Patch { files, .. } => {
            let changes = file_changes(item.text.as_deref().unwrap_or_default(), files);
            Headline {
                remark: sum_of_lines(&changes),
                ..line(&format!("Edited {}", counted(files.len(), "file")), String::new())
            }
        }
        Detail::Tool { name, arguments, failed, .. } => {
            let arguments = arguments.as_ref().map_or("", |json| json.get());
            let subject = format!("{name} {arguments}").trim_end().to_owned();
            let is_failed = *failed == Some(true);
            let remark = if is_failed { "failed".to_owned() } else { String::new() };
            Headline { is_failed, remark, ..line("Called", subject) }
        }
        Detail::Script { failed, .. } => {
            let is_failed = *failed == Some(true);
            line(if is_failed { "Script failed" } else { "Ran a script" }, String::new()).failed(is_failed)
        }
        Detail::Todo { .. } => titled("Plan", text()),
        Detail::Question { .. } => titled("Asked", text()),
        Detail::Image { path } => line("Looked at", path.clone().unwrap_or_else(|| "an image".to_owned())),
        Detail::Review { action: ReviewAction::Entered, .. } => line("Review of", text()),
        Detail::Review { findings, .. } => {
            let findings = findings.map_or_else(String::new, |count| counted(count, "finding"));
            Headline { remark: findings, ..titled("Review finished", text()) }
        }
        Detail::Agent { action } => titled(
            match action {
                AgentAction::Spawn => "Started an agent",
                AgentAction::Send => "Sent to an agent",
                AgentAction::Wait => "Waited for agents",
                AgentAction::Close => "Closed an agent",
                AgentAction::Interrupt => "Interrupted an agent",
                AgentAction::Report => "Report of an agent",
                AgentAction::Task => "Task of another agent",
            },
            text(),
        ),
        Detail::Goal { state } => {
            Headline { remark: state.clone().unwrap_or_default(), ..titled("Goal", text()) }
        }
        _ => match item.role {
            Role::Search => line("Searched", text()),
            Role::Plan => line("Proposed a plan", String::new()),
            Role::Compaction => line("Compacted the conversation", String::new()),
            _ => return None,
        },
    })
}

impl Headline {
    fn failed(self, is_failed: bool) -> Headline {
        Headline { is_failed, ..self }
    }
}

/// The text below the headline that is an output, and may be cut.
pub fn result(item: &Item) -> Option<&str> {
    match &item.detail {
        Detail::Tool { output, .. } | Detail::Script { output, .. } => output.as_deref(),
        _ => item.text.as_deref().filter(|_| item.role == Role::Output),
    }
}

/// The items, each with the text of its result: a command with the output behind it, a call with its own.
pub fn with_results(items: &[Item]) -> impl Iterator<Item = (&Item, Option<&str>)> {
    let mut left = items.iter().peekable();
    std::iter::from_fn(move || {
        let item = left.next()?;
        let text = match item.role {
            Role::Command => left.next_if(|next| next.role == Role::Output).and_then(result),
            Role::Output => None,
            _ => result(item),
        };
        Some((item, text))
    })
}

/// Whether an item is something that a script did, so that the script needs no line.
pub fn is_deed(item: &Item) -> bool {
    !matches!(item.role, Role::User | Role::Assistant | Role::Reasoning | Role::Script | Role::Compaction)
}

/// The heading of a text of reasoning: its first line without the asterisks.
pub fn reasoning_heading(text: &str) -> &str {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    line.strip_prefix("**").and_then(|line| line.strip_suffix("**")).unwrap_or(line)
}

/// A number of tokens: `351`, `12.3k`, `1.2M`.
pub fn short_number(count: i64) -> String {
    let scaled = |unit: i64, letter: char| format!("{}.{}{letter}", count / unit, count % unit * 10 / unit);
    match count {
        ..1000 => count.to_string(),
        1000..1_000_000 => scaled(1000, 'k'),
        _ => scaled(1_000_000, 'M'),
    }
}

/// The tokens of a turn: the input and the output.
pub fn tokens(tokens: Option<&Tokens>) -> String {
    match tokens {
        Some(tokens) => format!("{} tokens", short_number(tokens.input.saturating_add(tokens.output))),
        None => "tokens unknown".to_owned(),
    }
}

/// A duration: `950ms`, `3s`, `4m30s`, `1h05m`.
pub fn duration(ms: i64) -> String {
    match ms {
        ..1000 => format!("{ms}ms"),
        _ => Timestamp(0).countdown(Timestamp(ms)),
    }
}

/// The state of a turn in a word; `None` for a completed one.
pub fn state(turn: &Turn) -> Option<&'static str> {
    match turn.status {
        Some(TurnStatus::Completed) => None,
        Some(TurnStatus::Failed) => Some("failed"),
        Some(TurnStatus::Interrupted) => Some("interrupted"),
        _ => Some("not ended"),
    }
}

/// The mark of a step of a check list.
pub fn mark(status: &str) -> &'static str {
    match status {
        "completed" => "[x]",
        "in_progress" => "[>]",
        _ => "[ ]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        let numbers = [0, 999, 1000, 12_345, 999_999, 1_250_000];
        assert_eq!(numbers.map(short_number), ["0", "999", "1.0k", "12.3k", "999.9k", "1.2M"]);
        let durations = [40, 999, 1000, 62_000, 3_900_000];
        assert_eq!(durations.map(duration), ["40ms", "999ms", "1s", "1m02s", "1h05m"]);
    }

    #[test]
    fn the_heading_of_reasoning_is_its_first_line() {
        assert_eq!(reasoning_heading("\n**Planning the listing**\n\nI look."), "Planning the listing");
        assert_eq!(reasoning_heading("plain *text*"), "plain *text*");
        assert_eq!(reasoning_heading(""), "");
    }
}
