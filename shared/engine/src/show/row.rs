//! The layout of a line about a job on a terminal, the same for running and ended jobs: number, state, session, duration,
//! label and text.

use codex_agent_shared::terminal::{Look, columns, line};
use codex_agent_shared::text::{cell, lines, path_cell, width};

/// The least width of a terminal that shows the session of a job.
const HAS_SESSION: usize = 50;
/// The least width of a terminal that shows the duration of a job.
const HAS_DURATION: usize = 70;
/// The least width for both the label and the text of a job.
const BOTH: usize = 30;
/// The greatest width of a label.
const LABEL: usize = 40;

/// The indentation of the further lines of a text.
const INDENT: usize = 10;

/// The parts of a line.
#[derive(Default)]
pub(super) struct Row<'r> {
    /// The progress of the run, or the time.
    pub(super) place: &'r str,
    /// The number of the job.
    pub(super) number: &'r str,
    /// The state, and its look.
    pub(super) state: &'r str,
    pub(super) look: Option<Look>,
    /// The end of the id of the session.
    pub(super) session: &'r str,
    /// The duration.
    pub(super) duration: &'r str,
    /// The label of the job. Text from outside: may contain control characters.
    pub(super) label: &'r str,
    /// Text from outside: may contain control characters.
    pub(super) text: &'r str,
    /// Whether the end of the text matters more than its beginning and the label, as of a path.
    pub(super) is_path: bool,
}

/// The state of a job that has been running for a time: with the time, where it has no column of its own.
pub(super) fn running_state(since: &str) -> String {
    match most() {
        ..HAS_SESSION => format!("{since:>9}"),
        HAS_SESSION..HAS_DURATION => format!("running {since}"),
        _ => "running".to_owned(),
    }
}

/// The columns of a line: one less than those of the terminal, since a full line may wrap.
pub(super) fn most() -> usize {
    columns().saturating_sub(1)
}

impl Row<'_> {
    /// The parts before the label, as plain text and in colour.
    fn start(&self, color: bool) -> (String, String) {
        let most = most();
        let number = format!("{:>3}", self.number);
        let duration = format!("{:>6}", self.duration);
        let mut cells = vec![
            (self.place, Look::Dim, width(self.place)),
            (number.as_str(), Look::Bold, 3),
            (self.state, self.look.unwrap_or(Look::Plain), if most >= HAS_SESSION { 11 } else { 9 }),
        ];
        // A line about the run has no other parts.
        let is_of_job =
            [self.number, self.session, self.duration, self.label].iter().any(|part| !part.is_empty());
        if is_of_job && most >= HAS_SESSION {
            cells.push((self.session, Look::Id, 8));
        }
        if is_of_job && most >= HAS_DURATION {
            cells.push((duration.as_str(), Look::Dim, 6));
        }
        let (mut plain, mut coloured) = (String::new(), String::new());
        for (text, look, wide) in &cells {
            let blanks = " ".repeat(wide.saturating_sub(width(text)) + 1);
            plain.push_str(text);
            plain.push_str(&blanks);
            // Blanks have no colour, so that they can be trimmed.
            let bare = text.trim_start();
            coloured.push_str(&text[..text.len() - bare.len()]);
            coloured.push_str(&line(&[(bare, *look, 0)], color));
            coloured.push_str(&blanks);
        }
        if is_of_job && most >= HAS_DURATION {
            plain.push(' ');
            coloured.push(' ');
        }
        (plain, coloured)
    }

    /// The row in one line.
    pub(super) fn line(&self, color: bool) -> String {
        let (plain, coloured) = self.start(color);
        let left = most().saturating_sub(width(&plain)).max(8);
        let rest = match self.is_path {
            true if left < BOTH && self.label.is_empty() => path_cell(self.text, None, left),
            true => share(self.label, &path_cell(self.text, None, text_width(left)), left),
            false => share(self.label, self.text, left),
        };
        format!("{coloured}{rest}").trim_end().to_owned()
    }

    /// The row, with its text in further lines if it does not fit.
    pub(super) fn lines(&self, color: bool, longest: usize) -> Vec<String> {
        let (plain, coloured) = self.start(color);
        let left = most().saturating_sub(width(&plain)).max(8);
        let text = cell(self.text, longest);
        let text = match cell(self.label, left.min(LABEL)) {
            label if label.is_empty() => text,
            label if text.is_empty() => label,
            label => format!("{label}: {text}"),
        };
        let mut rows = lines(&plain, &text, INDENT, most());
        if let Some(first) = rows.first_mut() {
            *first = format!("{coloured}{}", &first[plain.len().min(first.len())..]);
        }
        rows.iter().map(|row| row.trim_end().to_owned()).collect()
    }
}

/// The width of the text beside a label.
fn text_width(most: usize) -> usize {
    (most - (most / 2).min(LABEL)).saturating_sub(2)
}

/// A label and a text in so many columns. Of several lines the texts are aligned; where there is no room for both, the
/// label is shown.
fn share(label: &str, text: &str, most: usize) -> String {
    let (label, text) = (cell(label, most), cell(text, most));
    if label.is_empty() || text.is_empty() || most < BOTH {
        return if label.is_empty() { text } else { label };
    }
    let rest = text_width(most);
    let wide = most - rest - 2;
    let label = cell(&label, wide);
    let blanks = " ".repeat(wide - width(&label) + 2);
    let text = cell(&text, rest);
    format!("{label}{blanks}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_and_text_have_columns_of_their_own() {
        assert_eq!(share("mend the parser", "", 9), "mend the…");
        assert_eq!(share("mend it", "$ cargo test", 40), "mend it               $ cargo test");
        let long = "mend the parser, and the printer";
        assert_eq!(share(long, "$ ls", 30), "mend the parse…  $ ls");
        assert_eq!(share(long, "$ cargo test --all", 30), "mend the parse…  $ cargo test…");
        assert_eq!(share(long, "$ ls", 29), "mend the parser, and the pri…");
        assert_eq!(share("", "$ cargo test", 7), "$ carg…");
        assert_eq!(share("a", "b", 0), "");
    }

    #[test]
    fn further_lines_are_indented_and_colour_takes_no_columns() {
        let row =
            Row { place: "[1/2]", number: "2", state: "failed", look: Some(Look::Failed), ..Row::default() };
        let text = "a long explanation of the failure that does not fit into the line of the terminal at all";
        let plain = Row { text, label: "Mend it", ..row }.lines(false, 400);
        assert_eq!(plain[0], "[1/2]   2 failed                       Mend it: a long explanation of the");
        assert_eq!(plain[1], "          failure that does not fit into the line of the terminal at all");
        let coloured = Row { text, label: "Mend it", ..row }.lines(true, 400);
        assert!(coloured[0].contains("\x1b[31mfailed\x1b[0m      "), "{coloured:?}");
        assert_eq!(coloured.len(), plain.len());
    }
}
