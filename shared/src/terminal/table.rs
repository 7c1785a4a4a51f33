//! A table that fits the terminal: rows are collected, and columns become narrower in a given order.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;

use super::{Look, columns, painted};
use crate::error::Result;
use crate::ndjson::Output;
use crate::text::{cell, path_cell, width};

/// The number of digits of a short id.
const SHORT: usize = 8;

/// The part of a value that is kept if the column is too narrow for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The front.
    Back,
    /// The back: of a path the last two parts, or the last. The home directory of the user is `~`.
    Front,
    /// The last eight digits of an id, in every row of the column; of an address also what follows the id.
    Id,
}

/// A part of a text, in bytes, and its look.
type Span = (Range<usize>, Look);

/// A value, which may have another look and cut than its column, and parts with looks of their own.
///
/// ```
/// use codex_agent_shared::terminal::{Cell, Look};
///
/// // A state before a title, in which a search matched "login".
/// let cell = Cell::parts([("failed: ", Look::Failed), ("Fix the login bug", Look::Plain)]);
/// let cell = cell.mark(16..21, Look::Match);
/// # let _ = cell;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    look: Option<Look>,
    cut: Option<Cut>,
    spans: Vec<Span>,
    is_number: bool,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }
}

impl Cell {
    /// A cell with a look of its own.
    pub fn with_look(text: impl Into<String>, look: Look) -> Cell {
        Cell { look: Some(look), ..Cell::from(text) }
    }

    /// A cell with a cut of its own.
    pub fn with_cut(text: impl Into<String>, cut: Cut) -> Cell {
        Cell { cut: Some(cut), ..Cell::from(text) }
    }

    /// A number, which stands at the right of its column, as does the heading of a column of numbers.
    pub fn number(number: impl Display) -> Cell {
        Cell { is_number: true, ..Cell::from(number.to_string()) }
    }

    /// The cell with a look of its own.
    pub fn looking(self, look: Look) -> Cell {
        Cell { look: Some(look), ..self }
    }

    /// A state such as `failed`, in its colour.
    pub fn state(word: impl Into<String>) -> Cell {
        let word = word.into();
        Cell { look: Look::of_state(&word), ..Cell::from(word) }
    }

    /// A text of several parts. A plain part has the look of the column.
    pub fn parts<'t>(parts: impl IntoIterator<Item = (&'t str, Look)>) -> Cell {
        let mut cell = Cell::default();
        for (text, look) in parts {
            let from = cell.text.len();
            cell.text.push_str(text);
            if look != Look::Plain {
                cell.spans.push((from..cell.text.len(), look));
            }
        }
        cell
    }

    /// Gives a part of the text another look. The range is in bytes of the text as it was given; the look stays with the
    /// text if the cell is cut or escaped. Of several looks of a part the last is shown.
    pub fn mark(mut self, part: Range<usize>, look: Look) -> Cell {
        self.spans.push((part, look));
        self
    }

    /// Cuts the text to at most `most` columns.
    fn fit(&mut self, cut: Cut, home: Option<&str>, most: usize) {
        let cut = self.cut.unwrap_or(cut);
        let fitted = fit(&self.text, cut, home, most);
        if !self.spans.is_empty() {
            let full = |text: &str| fit(text, cut, home, usize::MAX);
            let all = full(&self.text);
            // White space at the end of a part is in the text again as soon as another letter follows.
            let place = |at: usize| match floor(&self.text, at) {
                0 => 0,
                at => full(&format!("{}x", &self.text[..at])).len() - 1,
            };
            let kept = match cut {
                Cut::Back => (0, common(all.bytes(), fitted.bytes())),
                Cut::Front | Cut::Id => {
                    (all.len() - common(all.bytes().rev(), fitted.bytes().rev()), all.len())
                }
            };
            let shift = |at: usize| match cut {
                Cut::Back => at,
                Cut::Front | Cut::Id => (at + fitted.len()).saturating_sub(all.len()),
            };
            let moved = |(part, look): &Span| {
                let (from, to) =
                    (place(part.start).clamp(kept.0, kept.1), place(part.end).clamp(kept.0, kept.1));
                let part = ceil(&fitted, shift(from))..floor(&fitted, shift(to));
                (!part.is_empty()).then_some((part, *look))
            };
            self.spans = self.spans.iter().filter_map(moved).collect();
        }
        self.text = fitted;
    }

    /// The text with its looks. A plain look is that of the column.
    fn painted(&self, column: Look, color: bool) -> String {
        let base = self.look.unwrap_or(column);
        if !color || self.spans.is_empty() {
            return painted(&self.text, base, color);
        }
        let mut ends: Vec<usize> = self.spans.iter().flat_map(|(part, _)| [part.start, part.end]).collect();
        ends.extend([0, self.text.len()]);
        ends.sort_unstable();
        ends.dedup();
        let parts = ends.windows(2).map(|ends| {
            let holds = |(part, _): &&Span| part.start <= ends[0] && ends[1] <= part.end;
            let look = self.spans.iter().rev().find(holds).map_or(base, |(_, look)| *look);
            painted(&self.text[ends[0]..ends[1]], look, color)
        });
        parts.collect()
    }
}

/// The number of bytes that two texts have in common.
fn common(one: impl Iterator<Item = u8>, other: impl Iterator<Item = u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// A value in at most `most` columns.
fn fit(text: &str, cut: Cut, home: Option<&str>, most: usize) -> String {
    match cut {
        Cut::Back => cell(text, most),
        Cut::Front | Cut::Id => path_cell(text, home, most),
    }
}

struct Column {
    name: String,
    look: Look,
    cut: Cut,
    most: usize,
    least: usize,
    order: u8,
    is_optional: bool,
}

/// Rows of cells. The methods after [`Table::column`] change the last column.
///
/// ```
/// use codex_agent_shared::terminal::{Look, Table};
///
/// let mut table = Table::new().column("NAME", Look::Plain).column("TEXT", Look::Dim).gives_way(1, 4);
/// table.row(["work", "a long text"]);
/// assert_eq!(table.lines(13, false), ["NAME  TEXT", "work  a long…"]);
/// ```
#[derive(Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Table {
        Table::default()
    }

    /// Adds a column. A table of columns without names has no heading.
    pub fn column(mut self, name: impl Into<String>, look: Look) -> Table {
        let name = name.into();
        let (cut, most, least, order, is_optional) = (Cut::Back, 300, 1, 0, false);
        self.columns.push(Column { name, look, cut, most, least, order, is_optional });
        self
    }

    fn last(mut self, change: impl FnMut(&mut Column)) -> Table {
        self.columns.last_mut().into_iter().for_each(change);
        self
    }

    /// Sets the part of a value that is kept.
    pub fn cut(self, cut: Cut) -> Table {
        self.last(|column| column.cut = cut)
    }

    /// Sets the maximum width.
    pub fn most(self, most: usize) -> Table {
        self.last(|column| column.most = most)
    }

    /// Lets the column become narrower, down to `least`, before the columns of a higher order do. Of several columns
    /// of an order the widest gives way first; columns without an order give way last.
    pub fn gives_way(self, order: u8, least: usize) -> Table {
        self.last(|column| (column.order, column.least) = (order, least))
    }

    /// As [`Table::gives_way`], and omits the column if it is empty or would be narrower than `least`.
    pub fn optional(self, order: u8, least: usize) -> Table {
        self.gives_way(order, least).last(|column| column.is_optional = true)
    }

    /// Adds a row, a cell for each column.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(C::into).collect());
    }

    /// Writes the table for the terminal on standard output.
    pub fn write(self, output: &mut Output, color: bool) -> Result<()> {
        self.lines(columns(), color).iter().try_for_each(|text| output.text(text.as_bytes(), b"\n"))
    }

    /// The lines of the table in `most` columns of the terminal; none for a table without rows.
    pub fn lines(mut self, most: usize, color: bool) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let home = std::env::var("HOME").ok();
        for row in &mut self.rows {
            for (cell, column) in row.iter_mut().zip(&self.columns) {
                cell.fit(column.cut, home.as_deref(), column.most);
            }
        }
        if self.has_heading() {
            let are_numbers = |at: usize| {
                let mut texts =
                    self.rows.iter().map(|row| &row[at]).filter(|cell| !cell.text.is_empty()).peekable();
                texts.peek().is_some() && texts.all(|cell| cell.is_number)
            };
            let head = |(at, column): (usize, &Column)| Cell {
                is_number: are_numbers(at),
                ..Cell::with_look(column.name.as_str(), Look::Bold)
            };
            let head = self.columns.iter().enumerate().map(head).collect();
            self.rows.insert(0, head);
        }
        let mut widths = self.widths(most);
        // A path that lost a part may be narrower than its column; the other columns get the rest.
        for at in 0..self.columns.len() {
            let Some(wide) = widths[at].filter(|_| self.columns[at].cut == Cut::Front) else { continue };
            self.rows.iter_mut().for_each(|row| row[at].fit(Cut::Front, None, wide));
            if self.rows.iter().all(|row| width(&row[at].text) < wide) {
                widths = self.widths(most);
            }
        }
        let columns = &self.columns;
        let lay = |mut row: Vec<Cell>| {
            let mut line = String::new();
            let mut blanks = 0;
            let cells = row.iter_mut().zip(columns).zip(&widths);
            for (at, ((cell, column), wide)) in
                cells.filter_map(|(cell, wide)| Some((cell, (*wide)?))).enumerate()
            {
                cell.fit(column.cut, None, wide);
                let spare = wide.saturating_sub(width(&cell.text));
                let before = if cell.is_number { spare } else { 0 };
                blanks += if at > 0 { 2 } else { 0 } + before;
                // Blanks at the end of a line would wrap on a narrow terminal.
                if !cell.text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                    line.push_str(&cell.painted(column.look, color));
                }
                blanks += spare - before;
            }
            line
        };
        self.rows.into_iter().map(lay).collect()
    }

    fn has_heading(&self) -> bool {
        self.columns.iter().any(|column| !column.name.is_empty())
    }

    fn measure(&self) -> Vec<Option<usize>> {
        let widest =
            |rows: &[Vec<Cell>], at: usize| rows.iter().map(|row| width(&row[at].text)).max().unwrap_or(0);
        let measured = |(at, column): (usize, &Column)| {
            let is_empty = widest(&self.rows[usize::from(self.has_heading())..], at) == 0;
            (!(column.is_optional && is_empty)).then(|| widest(&self.rows, at))
        };
        self.columns.iter().enumerate().map(measured).collect()
    }

    /// The width of each column, `None` if the column is omitted.
    fn widths(&mut self, most: usize) -> Vec<Option<usize>> {
        let is_wide = |widths: &[Option<usize>]| {
            let shown = || widths.iter().flatten();
            shown().sum::<usize>() + 2 * shown().count().saturating_sub(1) > most
        };
        let mut widths = self.measure();
        if is_wide(&widths) {
            let is_id =
                |(cell, column): &(&mut Cell, &Column)| column.cut == Cut::Id && cell.text != column.name;
            let cells = self.rows.iter_mut().flat_map(|row| row.iter_mut().zip(&self.columns));
            for (cell, _) in cells.filter(is_id) {
                let (id, rest) = cell.text.split_at(cell.text.find(':').unwrap_or(cell.text.len()));
                let digits = id.chars().skip(id.chars().count().saturating_sub(SHORT));
                cell.text = digits.chain(rest.chars()).collect();
            }
            widths = self.measure();
        }
        // The widths without the headings.
        let rows = &self.rows[usize::from(self.has_heading())..];
        let needed = |at: usize| rows.iter().map(|row| width(&row[at].text)).max().unwrap_or(0);
        let needed: Vec<usize> = (0..self.columns.len()).map(needed).collect();
        // In the last round (`None`) every column becomes as narrow as necessary.
        let orders: BTreeSet<u8> =
            self.columns.iter().map(|column| column.order).filter(|order| *order > 0).collect();
        for order in orders.into_iter().map(Some).chain([None]) {
            let least = |at: usize| if order.is_none() { 1 } else { self.columns[at].least };
            let gives_way = |at: usize| order.is_none_or(|order| self.columns[at].order == order);
            while is_wide(&widths) {
                // The last digits of an id are kept until the other columns are very narrow.
                let spare = |(at, wide): &(usize, &mut usize)| match self.columns[*at].cut {
                    Cut::Id if **wide <= needed[*at] => (**wide).min(2),
                    _ => **wide,
                };
                let shown = widths.iter_mut().enumerate().filter_map(|(at, wide)| Some((at, wide.as_mut()?)));
                let able = shown.filter(|(at, wide)| gives_way(*at) && **wide > least(*at));
                let Some((_, widest)) = able.max_by_key(spare) else { break };
                *widest -= 1;
            }
            let omitted =
                |at: &usize| self.columns[*at].is_optional && order == Some(self.columns[*at].order);
            if is_wide(&widths) {
                (0..widths.len()).filter(omitted).for_each(|at| widths[at] = None);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(cell: Cell, cut: Cut, most: usize) -> String {
        let mut table = Table::new().column("", Look::Dim).cut(cut);
        table.row([cell]);
        table.lines(most, true).remove(0)
    }

    #[test]
    fn parts_keep_their_look_when_the_text_is_cut_or_escaped() {
        let cell = || Cell::parts([("failed: ", Look::Failed), ("Fix  the\tlogin\u{7} bug", Look::Plain)]);
        let marked = cell().mark(17..22, Look::Match);
        let shown = one(marked, Cut::Back, 80);
        let want =
            "\x1b[31mfailed: \x1b[0m\x1b[2mFix the \x1b[0m\x1b[1;4mlogin\x1b[0m\x1b[2m\\x07 bug\x1b[0m";
        assert_eq!(shown, want);
        let shown = one(cell().mark(17..22, Look::Match), Cut::Back, 20);
        assert_eq!(shown, "\x1b[31mfailed: \x1b[0m\x1b[2mFix the \x1b[0m\x1b[1;4mlog\x1b[0m\x1b[2m…\x1b[0m");
        assert_eq!(one(cell(), Cut::Back, 4), "\x1b[31mfai\x1b[0m\x1b[2m…\x1b[0m");
        let path = || Cell::from("/src/alpha/parser/lib").mark(5..10, Look::Match).mark(11..17, Look::Match);
        assert_eq!(one(path(), Cut::Front, 14), "\x1b[2m…/\x1b[0m\x1b[1;4mparser\x1b[0m\x1b[2m/lib\x1b[0m");
        // A range that is no range of the text does no harm.
        assert_eq!(one(Cell::from("日本").mark(1..400, Look::Match), Cut::Back, 9), "\x1b[1;4m日本\x1b[0m");
        assert_eq!(one(Cell::from("ab").mark(9..12, Look::Match), Cut::Back, 9), "\x1b[2mab\x1b[0m");
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let mut table = Table::new().column("N", Look::Plain).column("TOKENS", Look::Plain);
        table = table.column("X", Look::Plain);
        table.row([Cell::from("a"), Cell::number(7), Cell::number(1)]);
        table.row([Cell::from("b"), Cell::number(123_456_789), Cell::from("x")]);
        table.row([Cell::from("c"), Cell::from(""), Cell::number(10)]);
        assert_eq!(
            table.lines(80, false),
            ["N     TOKENS  X", "a          7   1", "b  123456789  x", "c             10"]
        );
    }

    #[test]
    fn a_column_of_paths_is_no_wider_than_what_is_left_of_them() {
        let mut table = Table::new();
        table = table.column("DIRECTORY", Look::Plain).cut(Cut::Front).most(20).gives_way(2, 8);
        table = table.column("TITLE", Look::Plain).gives_way(1, 10);
        table.row(["/home/me/sample-projects/alpha", "a title that has more room than thought"]);
        table.row(["/home/me/sample-projects/beta/src", "short"]);
        let lines = table.lines(40, false);
        assert_eq!(lines[1], "…/alpha     a title that has more room …", "{lines:#?}");
        assert_eq!(lines[2], "…/beta/src  short");
    }

    /// Whatever stands in a table: each line fits, and colours change nothing but colours.
    #[test]
    fn every_table_fits_every_terminal() {
        let pieces = [
            "日本語",
            "e\u{301}e\u{301}",
            "👩\u{200d}💻",
            "word",
            " ",
            "\x1b[2J",
            "/",
            "a-long-piece",
            "\u{202e}",
        ];
        let mut seed = 7_u64;
        let mut below = |most: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % most
        };
        for wide in 20..=200 {
            let mut rows = Vec::new();
            for _ in 0..6 {
                let row: Vec<Cell> = (0..4)
                    .map(|at| {
                        let text: String = (0..below(12)).map(|_| pieces[below(pieces.len())]).collect();
                        let part = below(40)..below(60);
                        if at == 3 {
                            Cell::number(below(90_000))
                        } else {
                            Cell::from(text).mark(part, Look::Match)
                        }
                    })
                    .collect();
                rows.push(row);
            }
            let lines = |color| {
                let mut table = Table::new().column("ID", Look::Id).cut(Cut::Id);
                table = table.column("PLACE", Look::Dim).cut(Cut::Front).most(wide / 4).optional(2, 8);
                table = table.column("TITLE", Look::Plain).gives_way(1, wide / 2);
                table = table.column("NUMBER", Look::Plain);
                rows.iter().cloned().for_each(|row| table.row(row));
                table.lines(wide, color)
            };
            let plain = lines(false);
            for (line, coloured) in plain.iter().zip(lines(true)) {
                assert!(width(line) <= wide && !line.ends_with(' '), "{wide}: {line:?}");
                let mut stripped = String::new();
                for part in coloured.split('\x1b') {
                    stripped.push_str(
                        part.strip_prefix('[').and_then(|part| Some(part.split_once('m')?.1)).unwrap_or(part),
                    );
                }
                assert_eq!(stripped, *line);
            }
        }
    }
}
