//! A transcript as text for people: on a terminal in colours, elsewhere plain.

use codex_agent_shared::config;
use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::{Output, has_written};
use codex_agent_shared::record::Session;
use codex_agent_shared::reference;
use codex_agent_shared::terminal::{Look, columns, is_terminal, painted};
use codex_agent_shared::text::{cell, counted, harmless, path_cell, width};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::stats::Sums;
use codex_agent_shared::transcript::{Detail, Item, Role, Turn, TurnError};

use super::blocks::Block;
use super::early::Early;
use codex_agent_shared::transcript::prose;

/// The width up to which rules are drawn.
const WIDEST: usize = 100;
/// The number of lines of an output that are shown by default.
pub(super) const LINES: usize = 5;

/// The marks of Codex 0.137 to 0.171 where it has left out a part of an output.
const CUTS: [&str; 2] = [" tokens truncated…", "command output truncated for persistence"];

/// How transcripts are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
    /// The columns.
    pub(super) most: usize,
    /// The lines of an output that are shown; `None` for all.
    pub(super) lines: Option<usize>,
    /// Whether reasoning and scripts are shown as a whole.
    pub(super) is_full: bool,
    /// Whether long lines are broken.
    breaks: bool,
}

impl Style {
    pub(super) fn new(color: bool, wide: Option<usize>, lines: Option<usize>, is_full: bool) -> Style {
        let most = wide.unwrap_or_else(columns).max(20);
        Style { color, most, lines, is_full, breaks: is_terminal() || wide.is_some() }
    }

    fn rule(&self) -> usize {
        self.most.min(WIDEST)
    }
}

/// Prints the blocks of transcripts.
pub(super) struct Page<'o> {
    style: Style,
    output: &'o mut Output,
    /// The inherited turns that were not shown, from the first to the last.
    folded: Option<(u64, u64)>,
    session: Session<'static>,
    /// A script whose deeds may follow, which take its place.
    script: Option<Item>,
    early: Early,
    /// Whether the session follows another one, until its title is printed.
    begun: Option<bool>,
    /// Whether inherited turns are shown.
    pub(super) shows_inherited: bool,
}

impl Page<'_> {
    pub(super) fn new(style: Style, output: &mut Output) -> Page<'_> {
        Page {
            style,
            output,
            folded: None,
            session: Session::default(),
            script: None,
            early: Early::new(),
            begun: None,
            shows_inherited: false,
        }
    }

    fn put(&mut self, text: &str, look: Look) -> Result<()> {
        let line = painted(text, look, self.style.color);
        self.output.text(line.as_bytes(), b"\n")
    }

    /// Begins a session. Its title is printed before its first turn.
    pub(super) fn session(&mut self, session: &Session<'static>, is_further: bool) {
        self.folded = None;
        self.session = session.clone();
        self.begun = Some(is_further);
    }

    /// Prints the title and the place of the session, unless they are printed.
    fn title(&mut self) -> Result<()> {
        let Some(is_further) = self.begun.take() else { return Ok(()) };
        let session = self.session.clone();
        if is_further {
            self.output.text(b"", b"\n")?;
        }
        let id = session.id.map(|id| id.short()).unwrap_or_default();
        let most = self.style.rule();
        let title = cell(session.label(), most.saturating_sub(id.len() + 2));
        let blanks = most.saturating_sub(width(&title) + id.len());
        let color = self.style.color;
        let line = painted(&title, Look::Bold, color) + &" ".repeat(blanks) + &painted(&id, Look::Id, color);
        self.output.text(line.as_bytes(), b"\n")?;
        let home = config::home().ok().and_then(|home| home.into_os_string().into_string().ok());
        let place = session.cwd.as_deref().map(|cwd| path_cell(cwd, home.as_deref(), most.saturating_sub(4)));
        let branch =
            session.git.as_ref().and_then(|git| git.branch.as_deref()).map(|branch| cell(branch, 40));
        let agent = session.subagent.as_ref().map(|_| "subagent".to_owned());
        let time = |at: Option<Timestamp>| at.map(|at| at.local("%Y-%m-%d %H:%M"));
        let began = time(session.created_at);
        let archived = session.archived_at.map(|_| "archived".to_owned());
        let parts =
            [place, branch, session.model.as_deref().map(|model| cell(model, 30)), began, agent, archived];
        let mut line = String::new();
        for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
            if !line.is_empty() && width(&line) + 2 + width(&part) > most {
                self.put(&line, Look::Dim)?;
                line.clear();
            }
            line.push_str(if line.is_empty() { "" } else { "  " });
            line.push_str(&part);
        }
        self.put(&line, Look::Dim)?;
        self.output.text(b"", b"\n")
    }

    /// Drops what was printed, or says that it is not what stands.
    pub(super) fn correct(&mut self, shows_undone: bool) -> Result<()> {
        (self.folded, self.script) = (None, None);
        if !has_written() {
            self.output.clear();
            return Ok(());
        }
        // The user may have left the pager.
        self.output.flush_checked()?;
        let what = if shows_undone { "with these turns marked" } else { "without them" };
        self.put("", Look::Plain)?;
        self.put("Turns were rolled back later.", Look::Dim)?;
        self.put(&format!("The transcript {what}:"), Look::Dim)?;
        self.put("", Look::Plain)
    }

    /// A block of a turn.
    pub(super) fn block(&mut self, block: &Block) -> Result<()> {
        self.title()?;
        if block.is_inherited && !self.shows_inherited {
            if let Some(number) = block.number {
                let first = self.folded.map_or(number, |(first, _)| first);
                self.folded = Some((first, number));
            }
            return Ok(());
        }
        self.unfold()?;
        if block.has_heading() {
            self.heading(block)?;
        }
        for item in &block.items {
            self.item(item)?;
        }
        self.early.write(self.output)?;
        self.flush_script(false)?;
        if let Some(turn) = &block.turn {
            if let Some(error) = &turn.error {
                self.error(error)?;
            }
            // The heading of a long turn was printed before its end was known.
            if !block.has_heading() {
                let text =
                    self.ruled(&format!("{} ends", label(block)), &figures(Some(turn), turn.started_at));
                self.put(&text, Look::Dim)?;
            }
        }
        Ok(())
    }

    /// The line about the inherited turns that were not shown.
    pub(super) fn unfold(&mut self) -> Result<()> {
        let Some((first, last)) = self.folded.take() else { return Ok(()) };
        let which = if first == last { format!("turn {first}") } else { format!("turns {first} to {last}") };
        let parent = reference::parent_of(&self.session);
        let from = parent.map_or_else(String::new, |parent| format!(" from {}", parent.short()));
        self.put(&format!("{which}{from} (--inherited)"), Look::Dim)
    }

    /// A rule with a text at its beginning and one at its end.
    fn ruled(&self, start: &str, end: &str) -> String {
        let most = self.style.rule();
        let used = width(start) + width(end) + 8;
        let rule = |count: usize| "─".repeat(count);
        match (end.is_empty(), most.checked_sub(used)) {
            (true, _) => format!("── {start} {}", rule(most.saturating_sub(width(start) + 4))),
            (false, Some(left)) => format!("── {start} {} {end} ──", rule(left)),
            (false, None) => cell(&format!("── {start} · {end}"), most),
        }
    }

    fn heading(&mut self, block: &Block) -> Result<()> {
        let began = block.turn.as_ref().and_then(|turn| turn.started_at);
        let began = began.or_else(|| block.items.first().and_then(|item| item.at));
        let figures = if block.is_late { String::new() } else { figures(block.turn.as_ref(), began) };
        let look = match block.turn.as_ref().and_then(prose::state) {
            _ if block.is_undone => Look::Dim,
            Some("failed") => Look::Failed,
            Some(_) => Look::Interrupted,
            None => Look::Bold,
        };
        let text = self.ruled(&label(block), &figures);
        self.put(&text, look)
    }

    fn error(&mut self, error: &TurnError) -> Result<()> {
        let message = error.message.as_deref().unwrap_or("the turn failed");
        self.text("! ", message, Look::Failed)
    }

    /// A text: a mark, and the lines below it indented by two columns.
    fn text(&mut self, mark: &str, text: &str, look: Look) -> Result<()> {
        let mut in_code = false;
        for (at, line) in text.trim_matches(['\n', '\r']).lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            let start = if at == 0 { mark } else { "  " };
            self.broken(start, line, in_code, look)?;
        }
        Ok(())
    }

    /// A line, which is broken between words on a terminal. The lines below it have its indentation.
    fn broken(&mut self, start: &str, line: &str, in_code: bool, look: Look) -> Result<()> {
        if line.trim_end().is_empty() {
            return self.put("", look);
        }
        let line = line.replace('\t', "    ");
        let line = harmless(line.trim_end());
        let room = self.style.most.saturating_sub(width(start));
        if !self.style.breaks || in_code || width(&line) <= room {
            return self.put(&format!("{start}{line}"), look);
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let indent = if indent + 20 > room { 0 } else { indent };
        let first = format!("{start}{}", " ".repeat(indent));
        let below = width(start) + indent;
        for line in codex_agent_shared::text::lines(&first, line.trim_start(), below, self.style.most) {
            self.put(&line, look)?;
        }
        Ok(())
    }

    /// An output: its first lines and its last ones.
    fn output(&mut self, text: &str) -> Result<()> {
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let most = self.style.lines.unwrap_or(usize::MAX).max(1);
        // A line about one hidden line would take its place.
        let (head, tail) = match lines.len() <= most.saturating_add(1) {
            true => (lines.len(), 0),
            false => (most.div_ceil(3), most - most.div_ceil(3)),
        };
        let room = self.style.most.saturating_sub(4);
        let shown = |line: &str| {
            let line = line.replace('\t', "    ");
            match self.style.lines {
                Some(_) => cut(&harmless(&line), room),
                None => harmless(&line).into_owned(),
            }
        };
        let mut all: Vec<String> = lines[..head].iter().map(|line| shown(line)).collect();
        if tail > 0 {
            let hidden = &lines[head..lines.len() - tail];
            let is_cut = |line: &&str| CUTS.iter().any(|mark| line.contains(mark));
            let by_codex = if hidden.iter().any(is_cut) { ", shortened by Codex" } else { "" };
            all.push(format!("… {} more{by_codex}", counted(hidden.len(), "line")));
            all.extend(lines[lines.len() - tail..].iter().map(|line| shown(line)));
        }
        for (at, line) in all.iter().enumerate() {
            let start = if at == 0 { "  └ " } else { "    " };
            self.put(&format!("{start}{line}"), Look::Dim)?;
        }
        Ok(())
    }

    /// Prints a script that has no item of what it did.
    fn flush_script(&mut self, has_deeds: bool) -> Result<()> {
        let Some(script) = self.script.take() else { return Ok(()) };
        let is_failed = matches!(script.detail, Detail::Script { failed: Some(true), .. });
        if has_deeds && !is_failed && !self.style.is_full {
            return Ok(());
        }
        self.headline(&script)?;
        self.output(script.text.as_deref().unwrap_or_default())?;
        prose::result(&script).map_or(Ok(()), |result| self.output(result))
    }

    fn headline(&mut self, item: &Item) -> Result<()> {
        let Some(head) = prose::headline(item) else { return Ok(()) };
        let color = self.style.color;
        let look = if head.is_failed { Look::Failed } else { Look::Bold };
        let mut lines = head.subject.trim_end().lines();
        let first = lines.next().unwrap_or_default().replace('\t', "    ");
        let remark =
            if head.remark.is_empty() { String::new() } else { format!("  {}", harmless(&head.remark)) };
        let room = self.style.most.saturating_sub(3 + width(&head.verb) + width(&remark));
        let first =
            if self.style.is_full { harmless(&first).into_owned() } else { cut(&harmless(&first), room) };
        let mut line = format!("• {}", painted(&head.verb, look, color));
        if !first.is_empty() {
            line.push(' ');
            line.push_str(&first);
        }
        line.push_str(&painted(&remark, if head.is_failed { Look::Failed } else { Look::Dim }, color));
        self.output.text(line.as_bytes(), b"\n")?;
        let rest: Vec<&str> = lines.collect();
        let most = if self.style.is_full { usize::MAX } else { self.style.lines.unwrap_or(usize::MAX) };
        let shown = if rest.len() <= most.saturating_add(1) { rest.len() } else { most };
        for line in &rest[..shown] {
            let line = line.replace('\t', "    ");
            let room = self.style.most.saturating_sub(4);
            let line =
                if self.style.is_full { harmless(&line).into_owned() } else { cut(&harmless(&line), room) };
            self.put(&format!("    {line}"), Look::Plain)?;
        }
        match rest.len() - shown {
            0 => Ok(()),
            hidden => self.put(&format!("    … {} more", counted(hidden, "line")), Look::Dim),
        }
    }

    /// Prints an item.
    pub(super) fn item(&mut self, item: &Item) -> Result<()> {
        self.flush_script(prose::is_deed(item))?;
        let text = item.text.as_deref().unwrap_or_default();
        match (&item.detail, item.role) {
            (Detail::Script { .. }, _) => {
                self.script = Some(item.clone());
                Ok(())
            }
            (Detail::Message { images, .. }, role) => {
                let (mark, look) =
                    if role == Role::User { ("› ", Look::Bold) } else { ("• ", Look::Plain) };
                self.text(mark, text, look)?;
                match images {
                    0 => Ok(()),
                    count => self.put(&format!("  [{}]", counted(*count, "picture")), Look::Dim),
                }
            }
            (_, Role::Reasoning) if !self.style.is_full => {
                let most = self.style.most.saturating_sub(2);
                let heading = cell(prose::reasoning_heading(text), most);
                self.put(&format!("  {heading}"), Look::Dim)
            }
            (_, Role::Reasoning) => self.text("  ", text, Look::Dim),
            (_, Role::Output) => self.output(text),
            (_, Role::Plan | Role::Compaction) => {
                self.headline(item)?;
                match item.role {
                    Role::Plan => self.text("  ", text, Look::Plain),
                    _ => self.output(text),
                }
            }
            (Detail::Patch { files, failed: false }, _) => {
                self.headline(item)?;
                let changes = prose::file_changes(text, files);
                let wide = changes.iter().map(|change| width(&harmless(&change.name()))).max().unwrap_or(0);
                let (longest, wide) = (wide, wide.min(self.style.most.saturating_sub(20)));
                for (at, change) in changes.iter().enumerate() {
                    let start = if at == 0 { "  └ " } else { "    " };
                    let name = cell(&change.name(), wide.max(10));
                    let blanks = " ".repeat((wide.max(10).min(longest) + 2).saturating_sub(width(&name)));
                    self.put(&format!("{start}{name}{blanks}{}", change.summary()), Look::Dim)?;
                }
                Ok(())
            }
            (Detail::Todo { steps }, _) => {
                self.headline(item)?;
                steps.iter().try_for_each(|(step, status)| {
                    let start = format!("    {} ", prose::mark(status));
                    self.broken(&start, &cell(step, usize::MAX), false, Look::Plain)
                })
            }
            (Detail::Question { answers }, _) => {
                self.headline(item)?;
                self.output(&answers.join("\n"))
            }
            (Detail::Tool { .. }, _) => {
                self.headline(item)?;
                prose::result(item).map_or(Ok(()), |result| self.output(result))
            }
            _ => self.headline(item),
        }
    }

    /// The end of a transcript: the sums, if it was shown as a whole, and the number of undone turns.
    pub(super) fn end(&mut self, sums: Option<&Sums>, undone: u64, shows_undone: bool) -> Result<()> {
        self.unfold()?;
        let Some(sums) = sums else { return Ok(()) };
        self.title()?;
        let mut parts = vec![counted(sums.turns, "turn")];
        if sums.duration_ms > 0 {
            parts.push(prose::duration(sums.duration_ms));
        }
        let tokens = sums.tokens.map_or(0, |tokens| tokens.input.saturating_add(tokens.output));
        if tokens > 0 {
            let more = if sums.unknown_turns > 0 { "+" } else { "" };
            parts.push(format!("{}{more} tokens", prose::short_number(tokens)));
        }
        let mut text = parts.join(", ");
        if undone > 0 {
            let hint = if shows_undone { "" } else { " (--undone)" };
            text.push_str(&format!("; {} undone{hint}", counted(undone, "turn")));
        }
        self.output.text(b"", b"\n")?;
        self.put(&text, Look::Dim)
    }
}

/// The text up to so many columns, with its blanks.
fn cut(text: &str, most: usize) -> String {
    let (mut used, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        used += width(&text[at..next]);
        if used > most {
            return format!("{}…", &text[..end]);
        }
        // Room for the mark.
        if used < most {
            end = next;
        }
    }
    text.to_owned()
}

/// The name of a turn in a heading: its number.
fn label(block: &Block) -> String {
    let name = block.number.map_or_else(|| "turn".to_owned(), |number| number.to_string());
    match (block.is_undone, block.is_late) {
        (true, _) if block.number.is_none() => "undone".to_owned(),
        (true, _) => format!("{name} · undone"),
        (false, true) => format!("{name} · later"),
        (false, false) if block.is_continued => format!("{name} · continued"),
        (false, false) => name,
    }
}

/// The time, the state, the duration and the tokens of a turn.
fn figures(turn: Option<&Turn>, began: Option<Timestamp>) -> String {
    let mut parts: Vec<String> = began.map(|at| at.local("%m-%d %H:%M")).into_iter().collect();
    if let Some(turn) = turn {
        parts.extend(prose::state(turn).map(str::to_owned));
        parts.extend(turn.duration_ms.map(prose::duration));
        parts.push(prose::tokens(turn.tokens.as_ref()));
    }
    parts.join(" · ")
}
