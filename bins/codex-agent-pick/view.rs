//! The frame of a picker: the query, the list, the preview beside or below it, and the keys.
//!
//! A frame fits any size; what does not fit is left out in a fixed order: the preview, the columns of the list from
//! the last one on, the heading, the keys.

use codex_agent_shared::terminal::{Cut, Look};
use codex_agent_shared::text::{cell, harmless, path_cell, width};
use codex_agent_shared::time::Timestamp;

use crate::matching::positions;
use crate::picker::{Mode, Picker, Scope};
use crate::preview::Details;
use crate::rows::Row;
use crate::screen::{Frame, Line, Span};

/// The keys, as the last line and the help show them: the key, a word for the line, and a text for the help.
const KEYS: [(&str, &str, &str); 18] = [
    ("Enter", "choose", "print the marked sessions, or this one"),
    ("Tab", "mark", "mark, and go down; Shift-Tab goes up"),
    ("^O", "resume", "open the session in the Codex TUI"),
    ("^F", "fork", "fork the marked sessions, or this one"),
    ("^R", "name", "name this session"),
    ("^X", "archive", "archive the marked ones, or this one"),
    ("^Y", "copy id", "copy the ids to the clipboard"),
    ("^T", "all", "all sessions, or this repository or directory"),
    ("F1", "keys", "these keys; also ? without a query"),
    ("Esc", "quit", "quit without a choice; also Ctrl-C"),
    ("Up, ^P, ^K", "", "the session before; PageUp a screen"),
    ("Down, ^N, ^J", "", "the session after; PageDown a screen"),
    ("^V", "", "show or hide the preview"),
    ("Shift-Up, -Down", "", "scroll the preview"),
    ("^L", "", "read the sessions again"),
    ("^U, ^W", "", "delete the query, or a word of it"),
    ("'word, !word", "", "exactly this word; without this word"),
    ("^word, word$", "", "at the start; at the end"),
];

/// The keys of the last line, those first that a narrow line needs most.
const NEEDED: [&str; 10] = ["Enter", "Esc", "F1", "Tab", "^T", "^O", "^X", "^R", "^F", "^Y"];

/// Where the parts of a frame are.
struct Layout {
    columns: usize,
    rows: usize,
    /// The columns of the list.
    list: usize,
    /// The rows of the list.
    height: usize,
    has_heading: bool,
    has_keys: bool,
    preview: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Beside(usize),
    Below(usize),
}

impl Layout {
    fn new(picker: &Picker, columns: usize, rows: usize) -> Layout {
        let preview = match (picker.has_preview, columns, rows) {
            (false, ..) => Place::Nowhere,
            (_, 120.., 8..) => Place::Beside((columns * 2 / 5).min(90)),
            (_, 60.., 20..) => Place::Below((rows / 3).min(14)),
            _ => Place::Nowhere,
        };
        let (has_heading, has_keys) = (rows >= 6 && columns >= 40, rows >= 4);
        let below = if let Place::Below(height) = preview { height + 1 } else { 0 };
        let beside = if let Place::Beside(wide) = preview { wide + 3 } else { 0 };
        let height = rows.saturating_sub(1 + usize::from(has_heading) + usize::from(has_keys) + below);
        Layout { columns, rows, list: columns - beside, height, has_heading, has_keys, preview }
    }
}

/// The widths of the columns of the list; 0 for a column that is not shown.
struct Columns {
    host: usize,
    age: usize,
    id: usize,
    title: usize,
    project: usize,
    branch: usize,
}

impl Columns {
    fn new(most: usize, host: usize) -> Columns {
        let shown = |from: usize, wide: usize| if most >= from { wide } else { 0 };
        let mut columns = Columns {
            host: if host > 0 { shown(60, host.clamp(4, 16)) } else { 0 },
            age: shown(30, 4),
            id: shown(100, 8),
            title: 0,
            project: shown(50, (most / 4).min(30)),
            branch: shown(76, (most / 6).min(24)),
        };
        let others = [columns.host, columns.age, columns.id, columns.project, columns.branch];
        let taken: usize = others.iter().filter(|wide| **wide > 0).map(|wide| wide + 2).sum();
        columns.title = most.saturating_sub(taken + 2);
        columns
    }
}

/// The frame of a picker. The number of rows of the list is stored in the picker.
pub(super) fn frame(picker: &mut Picker, details: Option<&Details>, columns: usize, rows: usize) -> Frame {
    let layout = Layout::new(picker, columns, rows);
    picker.page = layout.height;
    if picker.cursor >= picker.top + layout.height.max(1) {
        picker.top = picker.cursor + 1 - layout.height.max(1);
    }
    let (first, column) = query_line(picker, columns);
    let mut lines = vec![first];
    if matches!(picker.mode, Mode::Help) {
        lines.extend(help(columns).take(rows.saturating_sub(1)));
        lines.resize_with(rows, Line::default);
        return Frame { lines, cursor: (column as u16, 0) };
    }
    let widths = Columns::new(layout.list, picker.host_width);
    if layout.has_heading {
        lines.push(Line { left: heading(&widths), beside: None });
    }
    let now = Timestamp::now();
    let empty = if picker.is_loading { "loading ..." } else { "no session matches" };
    let shown: Vec<Line> = match picker.matching().len() {
        0 => vec![Line {
            left: vec![Span::new(cell(&format!("  {empty}"), layout.list), Look::Dim)],
            beside: None,
        }],
        _ => {
            let visible = picker.matching().enumerate().skip(picker.top).take(layout.height);
            visible
                .map(|(at, row)| Line { left: row_line(picker, at, row, &widths, now), beside: None })
                .collect()
        }
    };
    lines.extend(shown.into_iter().take(layout.height));
    let list_end = 1 + usize::from(layout.has_heading) + layout.height;
    lines.resize_with(list_end.min(rows), Line::default);
    add_preview(&mut lines, picker, details, &layout);
    if layout.has_keys {
        lines.resize_with(layout.rows - 1, Line::default);
        lines.push(Line { left: last_line(picker, layout.columns), beside: None });
    }
    lines.truncate(rows);
    Frame { lines, cursor: (column.min(columns - 1) as u16, 0) }
}

/// The query and the counts, or the line that is typed instead of a query; and the column of the cursor.
fn query_line(picker: &Picker, columns: usize) -> (Line, usize) {
    let (start, prompt) = match &picker.mode {
        Mode::Naming(_, name) => ("name: ", name),
        _ => ("> ", &picker.query),
    };
    let start = if columns > 12 { start } else { "" };
    let (_, of_scope) = picker.counts();
    let scope = match picker.scope {
        _ if picker.is_given => String::new(),
        Scope::Here => format!("  this {}", picker.here),
        Scope::All => "  all".to_owned(),
    };
    let marked = if picker.marks() > 0 { format!("{} marked  ", picker.marks()) } else { String::new() };
    let more = if picker.is_loading { "+" } else { "" };
    let counts = format!("{marked}{}/{of_scope}{more}{scope}", picker.matching().len());
    // The counts give way to the query.
    let counts = if width(&counts) + 20 <= columns { counts } else { String::new() };
    let most = columns.saturating_sub(width(start) + width(&counts) + usize::from(!counts.is_empty()) * 2);
    let (text, column) = prompt.window(most.max(1));
    let gap = columns.saturating_sub(width(start) + width(&text) + width(&counts));
    let left = vec![
        Span::new(start, Look::Bold),
        Span::new(text, Look::Plain),
        Span::new(" ".repeat(if counts.is_empty() { 0 } else { gap }), Look::Plain),
        Span::new(counts, Look::Dim),
    ];
    (Line { left, beside: None }, width(start) + column)
}

fn heading(columns: &Columns) -> Vec<Span> {
    let mut text = "  ".to_owned();
    let parts = [
        ("HOST", columns.host),
        ("AGE", columns.age),
        ("ID", columns.id),
        ("TITLE", columns.title),
        ("PROJECT", columns.project),
        ("BRANCH", columns.branch),
    ];
    for (name, wide) in parts.into_iter().filter(|(_, wide)| *wide > 0) {
        text.push_str(&format!("{:wide$}  ", cell(name, wide)));
    }
    vec![Span::new(text.trim_end(), Look::Dim)]
}

fn row_line(picker: &Picker, at: usize, row: &Row, columns: &Columns, now: Timestamp) -> Vec<Span> {
    let is_current = at == picker.cursor;
    let matched = positions(picker.query.text(), row.text());
    let mark = match (is_current, picker.is_marked(row)) {
        (true, true) => ">*",
        (true, false) => "> ",
        (false, true) => " *",
        (false, false) => "  ",
    };
    let mut spans = vec![Span::new(mark, Look::Bold)];
    let age = row.updated_at.map(|at| at.age(now)).unwrap_or_default();
    let [title, project, branch] = row.parts();
    let host = if row.host.is_empty() { "." } else { &row.host };
    let before = [
        (host.to_owned(), columns.host, Look::Plain),
        (age, columns.age, Look::Dim),
        (row.short(), columns.id, Look::Id),
    ];
    for (text, wide, look) in before {
        if wide > 0 {
            spans.extend(fitted(&cell(&text, wide), (0, Cut::Back), &[], wide, look));
        }
    }
    let of_text = [
        (title, columns.title, row.look, Cut::Back),
        (project, columns.project, Look::Plain, Cut::Front),
        (branch, columns.branch, Look::Dim, Cut::Back),
    ];
    for ((start, text), wide, look, cut) in of_text {
        if wide > 0 {
            spans.extend(fitted(text, (start, cut), &matched, wide, look));
        }
    }
    spans.iter_mut().for_each(|span| span.is_current = is_current);
    spans
}

/// A text in a column, and the two blanks after it. The matched characters are highlighted; a match beyond the end of
/// the column moves the text. A text that is cut at the front keeps its end.
fn fitted(text: &str, (start, cut): (usize, Cut), matched: &[usize], wide: usize, look: Look) -> Vec<Span> {
    let here: Vec<usize> =
        matched.iter().filter_map(|at| at.checked_sub(start)).filter(|at| *at < text.len()).collect();
    let mut from = 0;
    if cut == Cut::Front {
        // The text is harmless, so that its shortened form is an ellipsis and its end.
        let end = path_cell(text, None, wide);
        from = end.strip_prefix('…').map_or(0, |end| text.len() - end.len());
    } else if let (Some(first), Some(last)) = (here.first(), here.last())
        && width(&text[..*last]) + 2 > wide
        && text.is_char_boundary(*first)
    {
        // The first matched characters are shown with a little before them.
        let mut before = 0;
        from = text[..*first]
            .char_indices()
            .rev()
            .find(|(_, c)| {
                before += width(c.encode_utf8(&mut [0; 4]));
                before * 3 > wide
            })
            .map_or(0, |(at, c)| at + c.len_utf8());
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut used = 0;
    if from > 0 {
        spans.push(Span::new("…", look));
        used = 1;
    }
    let is_cut = used + width(&text[from..]) > wide;
    let most = if is_cut { wide.saturating_sub(1) } else { wide };
    for (at, c) in text[from..].char_indices() {
        let own = width(c.encode_utf8(&mut [0; 4]));
        if used + own > most {
            break;
        }
        used += own;
        let look = if here.binary_search(&(from + at)).is_ok() { Look::Match } else { look };
        match spans.last_mut() {
            // An accent belongs to the character before it.
            Some(last) if last.look == look || own == 0 => last.text.push(c),
            _ => spans.push(Span::new(c, look)),
        }
    }
    if is_cut && used < wide {
        spans.push(Span::new("…", look));
        used += 1;
    }
    spans.push(Span::new(" ".repeat((wide + 2).saturating_sub(used)), Look::Plain));
    spans
}

fn add_preview(lines: &mut Vec<Line>, picker: &Picker, details: Option<&Details>, layout: &Layout) {
    let current = picker.current().map(|row| row.id.as_str());
    let details = details.filter(|details| current == Some(details.id.as_str()));
    let text = |columns: usize, height: usize| {
        let lines = details.map(|details| details.lines(columns, height)).unwrap_or_default();
        let top = picker.preview_top.min(lines.len().saturating_sub(1));
        lines.into_iter().skip(top)
    };
    match layout.preview {
        Place::Nowhere => {}
        Place::Beside(wide) => {
            let mut shown = text(wide, layout.rows);
            let column = (layout.list + 1) as u16;
            for line in lines.iter_mut().skip(1) {
                let mut spans = vec![Span::new("│ ", Look::Dim)];
                spans.extend(shown.next().unwrap_or_default());
                line.beside = Some((column, spans));
            }
        }
        Place::Below(height) => {
            let rule = Span::new("─".repeat(layout.columns), Look::Dim);
            lines.push(Line { left: vec![rule], beside: None });
            let shown = text(layout.columns, height).take(height);
            lines.extend(shown.map(|left| Line { left, beside: None }));
        }
    }
}

/// A message, a question, or as many of the keys as fit.
fn last_line(picker: &Picker, columns: usize) -> Vec<Span> {
    match (&picker.mode, &picker.message) {
        (Mode::Naming(row, _), _) => {
            let keys = format!("Enter names '{}'; Esc goes back", cell(row.parts()[0].1, 40));
            vec![Span::new(cell(&keys, columns), Look::Dim)]
        }
        (Mode::Confirm(rows), _) => {
            let question = match &rows[..] {
                [row] => format!("Archive '{}'? [y/N]", cell(row.parts()[0].1, 40)),
                rows => format!("Archive {} sessions? [y/N]", rows.len()),
            };
            vec![Span::new(cell(&question, columns), Look::Bold)]
        }
        (_, Some((message, is_failure))) => {
            vec![Span::new(cell(message, columns), if *is_failure { Look::Failed } else { Look::Bold })]
        }
        _ => keys_line(picker, columns),
    }
}

/// The most needed of the keys that fit, in their order.
fn keys_line(picker: &Picker, columns: usize) -> Vec<Span> {
    let is_useful = |word: &str| match word {
        "all" => !picker.is_given,
        "mark" => !picker.one,
        // Enter does the same.
        word => !word.is_empty() && picker.verb.as_deref() != Some(word),
    };
    let keys: Vec<(&str, &str)> = KEYS
        .iter()
        .filter(|(_, word, _)| is_useful(word))
        .map(|(key, word, _)| match (*word, picker.scope) {
            ("all", Scope::All) => (*key, picker.here),
            ("choose", _) => (*key, picker.verb.as_deref().unwrap_or("choose")),
            (word, _) => (*key, word),
        })
        .collect();
    let mut shown = Vec::new();
    let mut used = 0;
    for needed in NEEDED {
        let Some(key) = keys.iter().find(|(key, _)| *key == needed) else { continue };
        let wide = width(key.0) + 1 + width(key.1) + if shown.is_empty() { 0 } else { 2 };
        if used + wide <= columns {
            used += wide;
            shown.push(needed);
        }
    }
    let mut line = Vec::new();
    for (key, word) in keys.into_iter().filter(|(key, _)| shown.contains(key)) {
        line.push(Span::new(" ".repeat(if line.is_empty() { 0 } else { 2 }), Look::Plain));
        line.push(Span::new(key, Look::Bold));
        line.push(Span::new(format!(" {word}"), Look::Dim));
    }
    line
}

fn help(columns: usize) -> impl Iterator<Item = Line> {
    let line = move |(key, _, text): &(&'static str, &'static str, &'static str)| {
        let key = format!("  {:17}", harmless(key));
        let text = cell(text, columns.saturating_sub(width(&key)));
        Line {
            left: vec![Span::new(cell_kept(&key, columns), Look::Bold), Span::new(text, Look::Plain)],
            beside: None,
        }
    };
    let last =
        Line { left: vec![Span::new(cell("any key returns to the list", columns), Look::Dim)], beside: None };
    KEYS.iter().map(line).chain([Line::default(), last])
}

/// A text in at most so many columns, with its blanks.
fn cell_kept(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_agent_shared::record::Session;
    use std::sync::Arc;

    fn picker(titles: &[String]) -> Picker {
        let mut picker = Picker::new("", Scope::All);
        let row = |(at, title): (usize, &String)| {
            let mut session = Session::default();
            session.title = Some(title.clone().into());
            session.cwd = Some("/home/me/src/a-long-name-of-a-project".into());
            let mut row = Row::new(&session, true);
            row.id = format!("{at}");
            Arc::new(row)
        };
        picker.add(titles.iter().enumerate().map(row).collect());
        picker
    }

    fn text(spans: &[Span]) -> String {
        spans.iter().map(|span| span.text.as_str()).collect()
    }

    #[test]
    fn a_frame_fits_any_size() {
        let titles: Vec<String> =
            ["short", &"日本語 wide ".repeat(50), &format!("e{}", "\u{301}".repeat(999)), "\u{1b}[2J"]
                .iter()
                .cycle()
                .take(60)
                .map(|title| (*title).to_owned())
                .collect();
        let mut picker = picker(&titles);
        for mode in [
            Mode::List,
            Mode::Help,
            Mode::Confirm(picker.chosen()),
            Mode::Naming(picker.chosen().remove(0), crate::prompt::Prompt::new("a name")),
        ] {
            picker.mode = mode;
            for query in ["", "日w", "short"] {
                picker.query = crate::prompt::Prompt::new(query);
                for columns in [1, 2, 5, 12, 20, 39, 40, 60, 80, 119, 120, 200, 400] {
                    for rows in [1, 2, 3, 5, 6, 19, 20, 50] {
                        let frame = frame(&mut picker, None, columns, rows);
                        assert_eq!(frame.lines.len(), rows, "{columns}x{rows}");
                        assert!(usize::from(frame.cursor.0) < columns, "{columns}x{rows}");
                        for line in &frame.lines {
                            let left = text(&line.left);
                            let limit = line.beside.as_ref().map_or(columns, |(at, _)| usize::from(*at));
                            assert!(width(left.trim_end()) <= limit, "{columns}x{rows}: {left:?}");
                            assert!(!left.contains('\u{1b}'));
                            let beside = line
                                .beside
                                .as_ref()
                                .map_or(0, |(at, spans)| usize::from(*at) + width(&text(spans)));
                            assert!(beside <= columns, "{columns}x{rows}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_match_far_in_a_title_is_shown() {
        let title = format!("{}needle and more", "hay ".repeat(40));
        let at = title.find("needle").unwrap();
        let matched: Vec<usize> = (at..at + 6).collect();
        let spans = fitted(&title, (0, Cut::Back), &matched, 30, Look::Plain);
        assert_eq!(width(&text(&spans)), 32);
        let shown: String =
            spans.iter().filter(|span| span.look == Look::Match).map(|span| span.text.as_str()).collect();
        assert_eq!(shown, "needle");
        assert!(text(&spans).starts_with('…'));
    }

    #[test]
    fn a_project_is_cut_at_the_front_and_keeps_its_highlight() {
        let at = "projects/alpha".find("alpha").unwrap();
        let matched: Vec<usize> = (at..at + 5).collect();
        for (wide, want) in [(14, "projects/alpha"), (10, "…/alpha"), (7, "…/alpha"), (5, "…lpha"), (1, "…")]
        {
            let spans = fitted("projects/alpha", (0, Cut::Front), &matched, wide, Look::Plain);
            assert_eq!(text(&spans).trim_end(), want);
            assert_eq!(width(&text(&spans)), wide + 2);
            let marked = spans.iter().filter(|span| span.look == Look::Match).map(|span| span.text.as_str());
            assert!("alpha".ends_with(&marked.collect::<String>()), "{wide}");
        }
    }

    #[test]
    fn the_most_needed_keys_are_shown_in_a_narrow_line() {
        let picker = picker(&["one".to_owned()]);
        for (columns, want) in [
            (31, "Enter choose  F1 keys  Esc quit"),
            (40, "Enter choose  ^R name  F1 keys  Esc quit"),
            (60, "Enter choose  Tab mark  ^T repository  F1 keys  Esc quit"),
            (80, "Enter choose  Tab mark  ^O resume  ^X archive  ^T repository  F1 keys  Esc quit"),
        ] {
            assert_eq!(text(&keys_line(&picker, columns)), want);
        }
    }
}
