//! A transcript as Markdown.

use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Session;
use codex_agent_shared::text::harmless;
use codex_agent_shared::transcript::{Detail, Item, Role};

use super::blocks::Block;
use codex_agent_shared::transcript::prose;

/// The lines of a long output that are kept, at its beginning and at its end.
const KEPT: usize = 10;

/// A text with its control characters visible; the lines stay.
pub(super) fn visible(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let parts: Vec<_> = line.split('\t').map(harmless).collect();
        parts.join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A Markdown text of the model that ends what it begins: a fence is closed, and no line begins a block of HTML.
fn bounded(text: &str) -> String {
    let (mut out, mut open): (String, Option<String>) = (String::new(), None);
    for line in visible(text.trim_end()).lines() {
        let bare = line.trim_start();
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'));
        let fence: String =
            mark.map_or_else(String::new, |mark| bare.chars().take_while(|c| *c == mark).collect());
        match &open {
            Some(begun) if fence.starts_with(begun.as_str()) && bare.len() == fence.len() => open = None,
            Some(_) => {}
            None if fence.len() >= 3 => open = Some(fence),
            None if bare.starts_with('<') => out.push('\\'),
            None => {}
        }
        let line = if open.is_none() && out.ends_with('\\') { bare } else { line };
        out.push_str(line);
        out.push('\n');
    }
    if let Some(fence) = open {
        out.push_str(&fence);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// The lines of an output; of a long one the first and the last, unless it is wanted `full`.
pub(super) fn shortened(text: &str, full: bool) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if full || lines.len() <= 2 * KEPT + 1 {
        return text.trim_end().to_owned();
    }
    let hidden = format!("… {} lines more", lines.len() - 2 * KEPT);
    [&lines[..KEPT], &[hidden.as_str()], &lines[lines.len() - KEPT..]].concat().join("\n")
}

/// A text in a fence that is longer than any inside.
fn fenced(text: &str) -> String {
    let longest =
        text.lines().map(|line| line.trim_start().bytes().take_while(|byte| *byte == b'`').count()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", visible(text))
}

/// A text in a line of HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
    out
}

/// A text in a span of code.
fn code(text: &str) -> String {
    let text = harmless(text);
    let ticks = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(ticks + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// A text in a line, in which no character has a meaning for Markdown.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(&text.lines().collect::<Vec<_>>().join(" ")).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Prints transcripts as Markdown.
pub(super) struct Markdown<'o> {
    pub(super) output: &'o mut Output,
    /// Whether outputs are not shortened.
    pub(super) full: bool,
}

impl Markdown<'_> {
    fn put(&mut self, text: &str) -> Result<()> {
        self.output.text(text.as_bytes(), b"\n")
    }

    pub(super) fn session(&mut self, session: &Session<'_>) -> Result<()> {
        self.put(&format!("# {}\n\n| | |\n|---|---|", plain(session.label())))?;
        let id = session.id.map(|id| code(&id.to_string()));
        let directory = session.cwd.as_deref().map(code);
        let branch = session.git.as_ref().and_then(|git| git.branch.as_deref()).map(code);
        let began = session.created_at.map(|at| at.local("%Y-%m-%d %H:%M"));
        let model = session.model.as_deref().map(plain);
        let rows = [
            ("session", id),
            ("directory", directory),
            ("branch", branch),
            ("model", model),
            ("began", began),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                self.put(&format!("| {name} | {} |", value.replace('|', "\\|")))?;
            }
        }
        self.put("")
    }

    pub(super) fn block(&mut self, block: &Block) -> Result<()> {
        if block.has_heading() {
            let name = match block.number {
                Some(number) => format!("{number}."),
                None if block.is_undone => "Undone turn".to_owned(),
                None => "Turn".to_owned(),
            };
            let state = block
                .turn
                .as_ref()
                .and_then(prose::state)
                .map_or_else(String::new, |state| format!(" {state}"));
            let late = if block.is_late { " (later)" } else { "" };
            let late = if block.is_continued { " (continued)" } else { late };
            let undone = if block.is_undone && block.number.is_some() { " (undone)" } else { "" };
            let anchor = block.number.filter(|_| block.has_anchor());
            let anchor = anchor.map_or_else(String::new, |number| format!(" <a id=\"t{number}\"></a>"));
            self.put(&format!("## {name}{state}{late}{undone}{anchor}\n"))?;
        }
        prose::with_results(&block.items).try_for_each(|(item, result)| self.item(item, result))?;
        // The heading of a long turn was printed before its end was known.
        if let Some(turn) = block.turn.as_ref().filter(|_| !block.is_first) {
            let state = prose::state(turn).unwrap_or("completed");
            self.put(&format!("*The turn ended: {state}, {}.*\n", prose::tokens(turn.tokens.as_ref())))?;
        }
        let error = block.turn.as_ref().and_then(|turn| turn.error.as_ref());
        match error {
            Some(error) => {
                let message = error.message.as_deref().unwrap_or("the turn failed");
                self.put(&format!("**Error:** {}\n", plain(message)))
            }
            None => Ok(()),
        }
    }

    /// Prints a command or a call, with its output.
    fn deed(&mut self, item: &Item, output: &str) -> Result<()> {
        let Some(head) = prose::headline(item) else { return Ok(()) };
        let mut lines = head.subject.lines();
        let first = lines.next().unwrap_or_default();
        let rest = head.subject[first.len()..].trim_matches('\n');
        let dots = if rest.is_empty() { "" } else { " …" };
        let remark =
            if head.remark.is_empty() { String::new() } else { format!(" · {}", escaped(&head.remark)) };
        let verb = escaped(&head.verb);
        let summary = match first.is_empty() {
            true => format!("{verb}{remark}"),
            false => format!("{verb} <code>{}</code>{dots}{remark}", escaped(&harmless(first))),
        };
        let script = item.text.as_deref().filter(|_| item.role == Role::Script);
        let whole = if rest.is_empty() { script.map(str::to_owned) } else { Some(head.subject.clone()) };
        let output = shortened(output, self.full);
        if whole.is_none() && output.is_empty() {
            return self.put(&format!("{summary}\n"));
        }
        self.put(&format!("<details><summary>{summary}</summary>\n"))?;
        for text in whole.iter().chain(Some(&output).filter(|output| !output.is_empty())) {
            self.put(&fenced(text))?;
        }
        self.put("</details>\n")
    }

    fn item(&mut self, item: &Item, result: Option<&str>) -> Result<()> {
        let text = item.text.as_deref().unwrap_or_default();
        match (&item.detail, item.role) {
            (Detail::Message { images, .. }, Role::User) => {
                let lines: Vec<String> =
                    visible(text).lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
                self.put(&(lines.join("\n") + "\n"))?;
                match images {
                    0 => Ok(()),
                    count => {
                        self.put(&format!("*{}*\n", codex_agent_shared::text::counted(*count, "picture")))
                    }
                }
            }
            (Detail::Message { .. }, _) => self.put(&(bounded(text) + "\n")),
            (_, Role::Reasoning) => {
                let text = bounded(text);
                self.put(&format!("<details><summary>Reasoning</summary>\n\n{text}\n\n</details>\n"))
            }
            (_, Role::Plan) => self.put(&format!("**Proposed plan**\n\n{}\n", bounded(text))),
            (_, Role::Compaction) => {
                let text = bounded(text);
                self.put(&format!(
                    "<details><summary>Compacted the conversation</summary>\n\n{text}\n\n</details>\n"
                ))
            }
            (Detail::Command { .. } | Detail::Script { .. } | Detail::Tool { .. }, _) => {
                self.deed(item, result.unwrap_or_default())
            }
            (_, Role::Output) => self.put(&fenced(&shortened(text, self.full))),
            (Detail::Patch { files, failed: false }, _) => {
                for change in prose::file_changes(text, files) {
                    let to = change.to.as_deref().map_or_else(String::new, |to| format!(" → {}", code(to)));
                    self.put(&format!("- {}{to} {}", code(&change.path), change.summary()))?;
                }
                self.put("")
            }
            (Detail::Todo { steps }, _) => {
                if !text.is_empty() {
                    self.put(&format!("{}\n", plain(text)))?;
                }
                for (step, status) in steps {
                    let mark = if status == "completed" { "x" } else { " " };
                    let state = if status == "in_progress" { " *(in progress)*" } else { "" };
                    self.put(&format!("- [{mark}] {}{state}", plain(step)))?;
                }
                self.put("")
            }
            (Detail::Question { answers }, _) => {
                self.put(&format!("**Asked:** {}\n", plain(text)))?;
                answers.iter().try_for_each(|answer| self.put(&format!("> {}\n", plain(answer))))
            }
            _ => {
                let Some(head) = prose::headline(item) else { return Ok(()) };
                let subject = if head.subject.is_empty() {
                    String::new()
                } else {
                    format!(" {}", plain(&head.subject))
                };
                let remark = if head.remark.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", plain(&head.remark))
                };
                self.put(&format!("*{}:*{subject}{remark}\n", head.verb.trim_end_matches(':')))
            }
        }
    }
}
