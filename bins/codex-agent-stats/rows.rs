//! The rows of the sums.

use std::collections::HashMap;

use codex_agent_shared::choice::Choice;
use codex_agent_shared::config;
use codex_agent_shared::error::Result;
use codex_agent_shared::output::{Listing, Rows, Shape};
use codex_agent_shared::record::Id;
use codex_agent_shared::terminal::{Cell, Cut, Look, Table};
use codex_agent_shared::text::{cell, path_cell, thousands};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::Tokens;
use codex_agent_shared::transcript::stats::{By, Stats, StatsRecord, Sums};

/// The width of the bars.
const BAR: usize = 20;

/// A number with a mark between thousands; with `+` if it is a lower bound.
fn number(count: Option<i64>, is_least: bool) -> String {
    let Some(count) = count else { return "?".to_owned() };
    thousands(count) + if is_least { "+" } else { "" }
}

fn total(sums: &Sums) -> i64 {
    sums.tokens.map_or(0, |tokens| tokens.input.saturating_add(tokens.output))
}

/// A bar whose length is a part of the longest one.
fn bar(part: i64, most: i64) -> String {
    let eighths = if most > 0 { (part as f64 / most as f64 * (BAR * 8) as f64).round() as usize } else { 0 };
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + rest
}

fn cell_of(by: By, value: Option<&str>, home: Option<&str>) -> String {
    match (by, value) {
        (By::Project, Some(value)) => path_cell(value, home, 40),
        (By::Session, Some(value)) => Id::parse(value).map_or_else(|| value.to_owned(), Id::short),
        (_, Some(value)) => value.to_owned(),
        (By::Group, None) => "no group".to_owned(),
        (_, None) => "unknown".to_owned(),
    }
}

fn duration(sums: &Sums) -> String {
    match sums.duration_ms {
        0 => String::new(),
        ms => Timestamp(0).countdown(Timestamp(ms)),
    }
}

fn cells(values: Vec<String>, sums: &Sums, last: String) -> Vec<Cell> {
    let is_least = sums.unknown_turns > 0;
    let token = |of: fn(&Tokens) -> i64| number(sums.tokens.as_ref().map(of), is_least);
    let mut cells: Vec<Cell> = values.into_iter().map(Cell::from).collect();
    cells.push(Cell::number(sums.turns));
    cells.push(Cell::number(duration(sums)));
    for text in
        [token(|one| one.input), token(|one| one.cached), token(|one| one.output), token(|one| one.reasoning)]
    {
        cells.push(Cell::number(text));
    }
    cells.push(last.into());
    cells
}

/// Prints the sums: times in their order, all else with the most tokens first. On a terminal, rows about one session end
/// with its title, by its id, and the others with a bar.
pub(super) fn print(stats: &Stats, shape: Shape, titles: &HashMap<String, &str>) -> Result<()> {
    // A number is shown as a whole or not at all; the sums are the widest ones.
    let all = stats.total();
    let wide =
        |of: fn(&Tokens) -> i64| number(all.tokens.as_ref().map(of), all.unknown_turns > 0).chars().count();
    let mut table = Table::new();
    for (at, by) in stats.by.iter().enumerate() {
        let look = if *by == By::Session { Look::Id } else { Look::Plain };
        table = table.column(by.word().to_uppercase(), look);
        if *by == By::Project {
            table = table.cut(Cut::Front);
        }
        if matches!(by, By::Project | By::Model | By::Group) {
            table = table.gives_way(if at == 0 { 6 } else { 7 }, 12);
        }
    }
    table = table
        .column("TURNS", Look::Dim)
        .column("TIME", Look::Dim)
        .optional(3, duration(&all).len().max(5))
        .column("INPUT", Look::Plain)
        .column("CACHED", Look::Dim)
        .optional(2, wide(|one| one.cached).max(6))
        .column("OUTPUT", Look::Plain)
        .column("REASONING", Look::Dim)
        .optional(4, wide(|one| one.reasoning).max(9));
    let session = stats.by.iter().position(|by| *by == By::Session && !titles.is_empty());
    table = match session {
        Some(_) => table.column("TITLE", Look::Plain).optional(5, 12),
        None => table.column("", Look::Running).optional(1, BAR),
    };
    let mut rows: Vec<_> = stats.sums.iter().collect();
    let first = stats.by.iter().find(|by| **by != By::Host);
    let is_time = matches!(first, Some(By::Day | By::Week | By::Month));
    if !is_time {
        rows.sort_by_key(|(_, sums)| std::cmp::Reverse(total(sums)));
    }
    let most = rows.iter().map(|(_, sums)| total(sums)).max().unwrap_or(0);
    let home = config::home().ok().and_then(|home| home.into_os_string().into_string().ok());
    let mut listing = Listing::new(shape, table);
    for (key, sums) in &rows {
        let values = || stats.by.iter().zip(key.iter());
        let plain = || {
            let tokens = sums.tokens;
            let number =
                |of: fn(&Tokens) -> i64| tokens.as_ref().map(|one| of(one).to_string()).unwrap_or_default();
            let mut cells: Vec<String> =
                values().map(|(_, value)| value.clone().unwrap_or_default()).collect();
            cells.extend([sums.sessions.to_string(), sums.turns.to_string(), sums.duration_ms.to_string()]);
            cells.extend([number(|one| one.input), number(|one| one.cached)]);
            cells.extend([
                number(|one| one.output),
                number(|one| one.reasoning),
                sums.unknown_turns.to_string(),
            ]);
            cells
        };
        let table = |_| {
            let values = values().map(|(by, value)| cell_of(*by, value.as_deref(), home.as_deref()));
            let id = session.and_then(|at| key[at].as_ref());
            let title = || id.and_then(|id| titles.get(id)).map(|title| cell(title, 100)).unwrap_or_default();
            cells(values.collect(), sums, if session.is_some() { title() } else { bar(total(sums), most) })
        };
        listing.add(&StatsRecord::new(&stats.by, key, sums), &[], Rows { plain, table })?;
    }
    if rows.len() > 1 {
        let mut values = vec!["total".to_owned()];
        values.resize(stats.by.len(), String::new());
        listing.sum(cells(values, &stats.total(), String::new()));
    }
    listing.finish()
}
