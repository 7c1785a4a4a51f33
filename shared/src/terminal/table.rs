//! A table that fits the terminal: rows are collected, and columns become narrower in a given order.

use std::collections::BTreeSet;

use super::{Look, columns, line};
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
    /// The back, for a path. The home directory of the user is `~`.
    Front,
    /// The last eight digits of an id, in every row of the column.
    Id,
}

/// A value, which may have another look and cut than its column.
pub struct Cell {
    text: String,
    look: Option<Look>,
    cut: Option<Cut>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), look: None, cut: None }
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
                cell.text = fit(&cell.text, cell.cut.unwrap_or(column.cut), home.as_deref(), column.most);
            }
        }
        if self.has_heading() {
            let head = |column: &Column| Cell::with_look(column.name.as_str(), Look::Bold);
            let head = self.columns.iter().map(head).collect();
            self.rows.insert(0, head);
        }
        let widths = self.widths(most);
        let lay = |row: &Vec<Cell>| {
            let cells = row.iter().zip(&self.columns).zip(&widths);
            let shown = cells.filter_map(|((cell, column), wide)| {
                let text = fit(&cell.text, cell.cut.unwrap_or(column.cut), None, (*wide)?);
                Some((text, cell.look.unwrap_or(column.look), (*wide)?))
            });
            let shown: Vec<_> = shown.collect();
            let cells = shown.iter().map(|(text, look, wide)| (text.as_str(), *look, *wide));
            line(&cells.collect::<Vec<_>>(), color)
        };
        self.rows.iter().map(lay).collect()
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
                cell.text = cell.text.chars().skip(cell.text.chars().count().saturating_sub(SHORT)).collect();
            }
            widths = self.measure();
        }
        // In the last round (`None`) every column becomes as narrow as necessary.
        let orders: BTreeSet<u8> =
            self.columns.iter().map(|column| column.order).filter(|order| *order > 0).collect();
        for order in orders.into_iter().map(Some).chain([None]) {
            let least = |at: usize| if order.is_none() { 1 } else { self.columns[at].least };
            let gives_way = |at: usize| order.is_none_or(|order| self.columns[at].order == order);
            while is_wide(&widths) {
                // The last digits of an id are kept until the other columns are very narrow.
                let spare = |(at, wide): &(usize, &mut usize)| match self.columns[*at].cut {
                    Cut::Id if **wide <= SHORT => (**wide).min(2),
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
