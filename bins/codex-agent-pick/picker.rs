//! The state of the picker: the rows, the query, the cursor, the marks; and what each key does.
//!
//! This module draws nothing and starts nothing: a key returns the [`Wish`] that another module fulfils.

use std::collections::HashMap;
use std::sync::Arc;

use codex_agent_shared::text::width;

use crate::matching::Matches;
use crate::prompt::Prompt;
use crate::rows::Row;
use crate::screen::{KeyCode, KeyEvent, KeyModifiers};

/// A request of the user, with its sessions: those of the moment of the key, whatever comes into the list later.
pub(super) enum Wish {
    /// Nothing but what is drawn.
    Nothing,
    /// These sessions printed.
    Accept(Vec<Arc<Row>>),
    /// The end without a choice.
    Quit,
    /// The session opened in the Codex TUI; of several that are marked, none can be.
    Resume(Vec<Arc<Row>>),
    /// Forks of the sessions.
    Fork(Vec<Arc<Row>>),
    /// The session named.
    Name(Arc<Row>, String),
    /// The sessions archived.
    Archive(Vec<Arc<Row>>),
    /// The ids of the sessions in the clipboard.
    Copy(Vec<Arc<Row>>),
    /// The list read again.
    Reload,
    /// The picker suspended.
    Suspend,
}

/// What the keys are for.
pub(super) enum Mode {
    /// The query and the list.
    List,
    /// The name of a session.
    Naming(Arc<Row>, Prompt),
    /// The question whether to archive sessions.
    Confirm(Vec<Arc<Row>>),
    /// The list of keys.
    Help,
}

/// The sessions that are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of this repository. Until all of them are known, the scope can become that of all.
    Here,
    All,
}

pub(super) struct Picker {
    pub(super) query: Prompt,
    pub(super) mode: Mode,
    pub(super) scope: Scope,
    /// Whether only one session can be chosen.
    pub(super) one: bool,
    /// The name of the narrow scope: `repository`, or, outside of one, `directory`.
    pub(super) here: &'static str,
    /// What Enter does, if another tool shows the list.
    pub(super) verb: Option<String>,
    /// Whether the list was ordered by its source, and has no scopes.
    pub(super) is_given: bool,
    pub(super) has_preview: bool,
    /// The first line of the preview that is shown.
    pub(super) preview_top: usize,
    /// Whether more rows may come.
    pub(super) is_loading: bool,
    /// A line about what happened, until the next key; whether it is about a failure.
    pub(super) message: Option<(String, bool)>,
    /// The place in the matches that the cursor is on.
    pub(super) cursor: usize,
    /// The first match that is shown.
    pub(super) top: usize,
    /// The rows of the list on the screen, as drawn last.
    pub(super) page: usize,
    /// The columns of the longest name of a host; 0 if all sessions are of this machine.
    pub(super) host_width: usize,
    rows: Vec<Arc<Row>>,
    /// The rows of the scope, in order.
    list: Vec<u32>,
    matches: Matches,
    /// The marked rows, in the order of marking. A list that is read again may not have them yet.
    marks: Vec<Arc<Row>>,
    /// The query that the list begins with, and the ids of the sessions that have its words, the best first. With this
    /// query they come before the rows that only have the letters.
    answers: (String, Vec<String>),
}

impl Wish {
    /// The sessions that are opened or changed.
    pub(super) fn changed(&self) -> &[Arc<Row>] {
        match self {
            Wish::Resume(rows) | Wish::Fork(rows) | Wish::Archive(rows) => rows,
            Wish::Name(row, _) => std::slice::from_ref(row),
            _ => &[],
        }
    }
}

impl Picker {
    pub(super) fn new(query: &str, scope: Scope) -> Picker {
        Picker {
            query: Prompt::new(query),
            mode: Mode::List,
            scope,
            one: false,
            here: "repository",
            verb: None,
            is_given: false,
            has_preview: true,
            preview_top: 0,
            is_loading: true,
            message: None,
            cursor: 0,
            top: 0,
            page: 10,
            host_width: 0,
            rows: Vec::new(),
            list: Vec::new(),
            matches: Matches::default(),
            marks: Vec::new(),
            answers: (query.to_owned(), Vec::new()),
        }
    }

    /// Adds rows to the list. The cursor stays on its session, unless it is at the top.
    pub(super) fn add(&mut self, rows: Vec<Arc<Row>>) {
        let widest = rows.iter().map(|row| width(&row.host)).max();
        self.host_width = self.host_width.max(widest.unwrap_or(0));
        self.change(|all| all.extend(rows));
    }

    /// The sessions that have the words of the query that the list began with, the best first.
    pub(super) fn answer(&mut self, ids: Vec<String>) {
        self.answers.1 = ids;
        self.change(|_| {});
    }

    /// Adds rows before all others. The cursor goes to the first of them, unless it has left the session `from` since,
    /// or the user is asked something.
    pub(super) fn add_first(&mut self, rows: Vec<Arc<Row>>, from: Option<&str>) {
        let is_waiting = matches!(self.mode, Mode::List)
            && from.is_some()
            && self.current().map(|row| row.id.as_str()) == from;
        let first = rows.first().map(|row| row.id.clone());
        self.change(|all| drop(all.splice(0..0, rows)));
        if let Some(at) = first.filter(|_| is_waiting).and_then(|id| self.place(&id)) {
            self.cursor = at;
            self.hold_cursor();
        }
    }

    /// Replaces the row with this id, or removes it.
    pub(super) fn replace(&mut self, id: &str, row: Option<Arc<Row>>) {
        let Some(at) = self.rows.iter().position(|other| other.id == id) else { return };
        match row {
            Some(row) => {
                let marked = self.marks.iter_mut().filter(|mark| mark.id == id);
                marked.for_each(|mark| *mark = Arc::clone(&row));
                self.change(|all| all[at] = row);
            }
            None => {
                self.marks.retain(|mark| mark.id != id);
                self.change(|all| drop(all.remove(at)));
            }
        }
    }

    /// Forgets all rows, but neither the query nor the marks.
    pub(super) fn clear(&mut self) {
        self.is_loading = true;
        self.change(Vec::clear);
    }

    /// All rows of this repository are known. If there are none, all sessions are shown.
    pub(super) fn here_is_complete(&mut self) {
        if self.scope == Scope::Here && self.rows.is_empty() {
            self.set_scope(Scope::All);
        }
    }

    fn set_scope(&mut self, scope: Scope) {
        self.scope = scope;
        self.change(|_| {});
    }

    /// The number of rows, and of those in the scope.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.rows.len(), self.list.len())
    }

    /// The rows that match, the best first.
    pub(super) fn matching(&self) -> impl ExactSizeIterator<Item = &Arc<Row>> {
        self.matches.ranked.iter().map(|at| &self.rows[*at as usize])
    }

    /// The row of the cursor.
    pub(super) fn current(&self) -> Option<&Arc<Row>> {
        self.matches.ranked.get(self.cursor).map(|at| &self.rows[*at as usize])
    }

    pub(super) fn is_marked(&self, row: &Row) -> bool {
        self.marks.iter().any(|mark| mark.id == row.id)
    }

    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// The marked rows, in the order of marking, or the row of the cursor.
    pub(super) fn chosen(&self) -> Vec<Arc<Row>> {
        match self.marks.is_empty() {
            true => self.current().cloned().into_iter().collect(),
            false => self.marks.clone(),
        }
    }

    /// Changes the rows, and makes the list of the scope and its matches anew.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Arc<Row>>)) {
        // The matches name rows by their places, which the change may move. While the list is read, the top of it is
        // the best match so far.
        let holds = self.cursor > 0 || !self.is_loading || !matches!(self.mode, Mode::List);
        let kept = holds.then(|| self.current().map(|row| row.id.clone())).flatten();
        change(&mut self.rows);
        let is_in = |row: &Arc<Row>| self.is_given || self.scope == Scope::All || row.is_here;
        self.list = (0..self.rows.len() as u32).filter(|at| is_in(&self.rows[*at as usize])).collect();
        if !self.is_given {
            // Rows of this repository came first. The sort is stable: rows without a time keep their order.
            self.list.sort_by_key(|at| std::cmp::Reverse(self.rows[*at as usize].updated_at));
        }
        self.matches = Matches::all(self.query.text(), &self.rows, &self.list);
        self.rank_answers();
        let found = kept.and_then(|id| self.place(&id));
        self.cursor = found.unwrap_or(self.cursor);
        self.hold_cursor();
    }

    /// Puts the answers to the first query first.
    fn rank_answers(&mut self) {
        let (query, ids) = &self.answers;
        if ids.is_empty() || self.query.text().trim() != query.trim() {
            return;
        }
        let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        let place = |at: &u32| places.get(self.rows[*at as usize].id.as_str()).copied();
        let mut first: Vec<u32> = self.list.iter().copied().filter(|at| place(at).is_some()).collect();
        first.sort_by_key(|at| place(at));
        let rest = self.matches.ranked.iter().copied().filter(|at| place(at).is_none());
        self.matches.ranked = first.into_iter().chain(rest).collect();
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.matching().position(|row| row.id == id)
    }

    fn hold_cursor(&mut self) {
        self.cursor = self.cursor.min(self.matches.ranked.len().saturating_sub(1));
        self.top = self.top.min(self.cursor);
        self.preview_top = 0;
    }

    /// The query was edited: the best match is the current one.
    fn requery(&mut self) {
        self.matches.refine(self.query.text(), &self.rows, &self.list);
        self.rank_answers();
        self.cursor = 0;
        self.hold_cursor();
    }

    fn go(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by);
        self.hold_cursor();
    }

    fn mark(&mut self, by: isize) {
        if self.one {
            self.message = Some(("only one session can be chosen".to_owned(), true));
            return;
        }
        if let Some(row) = self.current().cloned() {
            match self.marks.iter().position(|mark| mark.id == row.id) {
                Some(at) => drop(self.marks.remove(at)),
                None => self.marks.push(row),
            }
            self.go(by);
        }
    }

    /// Inserts a text at the cursor of the line that is edited.
    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Naming(_, prompt) => prompt.insert(text),
            Mode::List => {
                self.query.insert(text);
                self.requery();
            }
            Mode::Confirm(_) | Mode::Help => {}
        }
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Wish {
        // Another mode does not show the message.
        if matches!(self.mode, Mode::List) {
            self.message = None;
        }
        let is_ctrl =
            |letter: char| key.code == KeyCode::Char(letter) && key.modifiers == KeyModifiers::CONTROL;
        let leaves = key.code == KeyCode::Esc || is_ctrl('c') || is_ctrl('g');
        if is_ctrl('z') {
            return Wish::Suspend;
        }
        match &mut self.mode {
            Mode::Help => self.mode = Mode::List,
            Mode::Confirm(rows) => {
                let rows = std::mem::take(rows);
                self.mode = Mode::List;
                if matches!(key.code, KeyCode::Char('y' | 'Y')) {
                    return Wish::Archive(rows);
                }
            }
            Mode::Naming(..) if leaves => self.mode = Mode::List,
            Mode::Naming(row, prompt) if key.code == KeyCode::Enter => {
                let (row, name) = (Arc::clone(row), prompt.text().trim().to_owned());
                self.mode = Mode::List;
                if !name.is_empty() {
                    return Wish::Name(row, name);
                }
            }
            Mode::Naming(_, prompt) => drop(prompt.edit(key)),
            Mode::List if leaves => return Wish::Quit,
            Mode::List => return self.press_in_list(key),
        }
        Wish::Nothing
    }

    fn press_in_list(&mut self, key: KeyEvent) -> Wish {
        let page = self.page.max(1) as isize;
        let shift = key.modifiers.contains(KeyModifiers::SHIFT);
        let letter = match key.code {
            KeyCode::Char(letter) if key.modifiers == KeyModifiers::CONTROL => Some(letter),
            _ => None,
        };
        match (key.code, letter) {
            (KeyCode::Enter, _) if self.current().is_some() => return Wish::Accept(self.chosen()),
            (KeyCode::F(1), _) => self.mode = Mode::Help,
            (KeyCode::Char('?'), None) if self.query.text().is_empty() => self.mode = Mode::Help,
            (KeyCode::Up, _) if shift => self.preview_top = self.preview_top.saturating_sub(1),
            (KeyCode::Down, _) if shift => self.preview_top += 1,
            (KeyCode::Up, _) | (_, Some('p' | 'k')) => self.go(-1),
            (KeyCode::Down, _) | (_, Some('n' | 'j')) => self.go(1),
            (KeyCode::PageUp, _) => self.go(-page),
            (KeyCode::PageDown, _) => self.go(page),
            (KeyCode::Tab, _) => self.mark(1),
            (KeyCode::BackTab, _) => self.mark(-1),
            (_, Some('t')) if self.is_given => {
                let whose = if self.host_width > 0 { "the hosts" } else { "standard input" };
                self.message = Some((format!("the list is that of {whose}"), true));
            }
            (_, Some('t')) => self.set_scope(if self.scope == Scope::All { Scope::Here } else { Scope::All }),
            (_, Some('v')) => self.has_preview = !self.has_preview,
            (_, Some('l')) => return Wish::Reload,
            (_, Some('d')) if self.query.text().is_empty() => return Wish::Quit,
            (_, Some('o' | 'f' | 'r' | 'x' | 'y')) if self.current().is_none() => {
                self.message = Some(("there is no session on this line".to_owned(), true));
            }
            (_, Some('o')) => return Wish::Resume(self.chosen()),
            (_, Some('f')) => return Wish::Fork(self.chosen()),
            (_, Some('r')) => {
                if let Some(row) = self.current().cloned() {
                    self.mode = Mode::Naming(row, Prompt::default());
                }
            }
            (_, Some('x')) => self.mode = Mode::Confirm(self.chosen()),
            (_, Some('y')) => return Wish::Copy(self.chosen()),
            _ => {
                let before = self.query.text().to_owned();
                self.query.edit(key);
                if self.query.text() != before {
                    self.requery();
                }
            }
        }
        Wish::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_agent_shared::record::Session;
    use codex_agent_shared::time::Timestamp;

    fn row(id: &str, title: &'static str, at: i64, is_here: bool) -> Arc<Row> {
        let mut session = Session::default();
        session.title = Some(title.into());
        session.updated_at = Some(Timestamp(at));
        let mut row = Row::new(&session, is_here);
        row.id = id.to_owned();
        Arc::new(row)
    }

    fn ids(picker: &Picker) -> String {
        picker.matching().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn press(picker: &mut Picker, code: KeyCode) -> Wish {
        picker.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn ctrl(picker: &mut Picker, letter: char) -> Wish {
        picker.press(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
    }

    #[test]
    fn a_scope_widens_to_all_by_time() {
        let mut picker = Picker::new("", Scope::Here);
        picker.add(vec![row("a", "fix", 5, true), row("b", "fit", 1, true)]);
        picker.here_is_complete();
        picker.add(vec![row("c", "fig", 9, false), row("d", "fin", 3, false)]);
        assert_eq!(ids(&picker), "a b");
        ctrl(&mut picker, 't');
        assert_eq!(ids(&picker), "c a d b");
        press(&mut picker, KeyCode::Char('x'));
        assert_eq!(ids(&picker), "a");
        ctrl(&mut picker, 't');
        assert_eq!(ids(&picker), "a");
    }

    #[test]
    fn without_sessions_here_all_are_shown() {
        let mut picker = Picker::new("", Scope::Here);
        picker.here_is_complete();
        picker.add(vec![row("c", "fig", 9, false)]);
        assert_eq!(ids(&picker), "c");
    }

    #[test]
    fn the_cursor_stays_on_its_session_while_rows_come() {
        let mut picker = Picker::new("", Scope::All);
        picker.add(vec![row("a", "one", 5, true), row("b", "two", 3, true)]);
        press(&mut picker, KeyCode::Down);
        picker.add(vec![row("c", "three", 4, true), row("d", "four", 9, true)]);
        assert_eq!((ids(&picker).as_str(), picker.cursor), ("d a c b", 3));
        press(&mut picker, KeyCode::Up);
        assert_eq!(picker.current().unwrap().id, "c");
        picker.replace("c", None);
        assert_eq!(picker.current().unwrap().id, "b");
    }

    #[test]
    fn marks_are_chosen_in_their_order() {
        let mut picker = Picker::new("", Scope::All);
        picker.add(vec![row("a", "one", 3, true), row("b", "two", 2, true), row("c", "three", 1, true)]);
        press(&mut picker, KeyCode::Down);
        press(&mut picker, KeyCode::Tab);
        press(&mut picker, KeyCode::BackTab);
        press(&mut picker, KeyCode::Up);
        press(&mut picker, KeyCode::Tab);
        let chosen: Vec<String> = picker.chosen().iter().map(|row| row.id.clone()).collect();
        assert_eq!(chosen, ["b", "c", "a"]);
        press(&mut picker, KeyCode::Up);
        press(&mut picker, KeyCode::Tab);
        assert_eq!(picker.marks(), 2);
        picker.one = true;
        press(&mut picker, KeyCode::Tab);
        assert!(picker.marks() == 2 && picker.message.is_some());
    }

    #[test]
    fn archiving_and_naming_ask_first() {
        let mut picker = Picker::new("", Scope::All);
        assert!(matches!(ctrl(&mut picker, 'x'), Wish::Nothing));
        assert!(matches!(picker.mode, Mode::List) && picker.message.is_some());
        assert!(matches!(press(&mut picker, KeyCode::Enter), Wish::Nothing));
        picker.add(vec![row("a", "one", 3, true)]);
        ctrl(&mut picker, 'x');
        assert!(matches!(press(&mut picker, KeyCode::Char('n')), Wish::Nothing));
        ctrl(&mut picker, 'x');
        assert!(matches!(press(&mut picker, KeyCode::Char('y')), Wish::Archive(rows) if rows[0].id == "a"));
        ctrl(&mut picker, 'r');
        picker.paste("login\nwork ");
        assert!(
            matches!(press(&mut picker, KeyCode::Enter), Wish::Name(row, name) if row.id == "a" && name == "login work")
        );
        ctrl(&mut picker, 'r');
        assert!(matches!(press(&mut picker, KeyCode::Esc), Wish::Nothing));
        assert!(matches!(press(&mut picker, KeyCode::Esc), Wish::Quit));
    }

    #[test]
    fn a_question_is_about_the_sessions_of_its_key() {
        for marks in [false, true] {
            for loading in [false, true] {
                let mut picker = Picker::new("", Scope::All);
                picker.add(vec![row("a", "one", 5, true), row("b", "two", 3, true)]);
                picker.is_loading = loading;
                if marks {
                    press(&mut picker, KeyCode::Tab);
                }
                picker.press(KeyEvent::new(KeyCode::Home, KeyModifiers::NONE));
                let asked: Vec<String> = picker.chosen().iter().map(|row| row.id.clone()).collect();
                ctrl(&mut picker, 'x');
                picker.add_first(vec![row("c", "fork", 9, true)], Some("a"));
                picker.add(vec![row("d", "later", 10, true)]);
                picker.replace("b", Some(row("b", "renamed", 20, true)));
                let Wish::Archive(rows) = press(&mut picker, KeyCode::Char('y')) else { panic!("{marks}") };
                assert_eq!(rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), asked, "{loading}");
            }
        }
    }

    #[test]
    fn the_cursor_follows_a_fork_only_from_the_session_that_was_forked() {
        for (from, want) in [(Some("a"), "c"), (Some("b"), "a"), (None, "a")] {
            let mut picker = Picker::new("", Scope::All);
            picker.add(vec![row("a", "one", 5, true), row("b", "two", 3, true)]);
            picker.is_loading = false;
            picker.add_first(vec![row("c", "fork", 9, true)], from);
            assert_eq!(picker.current().unwrap().id, want, "{from:?}");
        }
    }

    #[test]
    fn answers_come_first_until_the_query_changes() {
        let mut picker = Picker::new("cache", Scope::All);
        picker.add(vec![
            row("a", "cache", 9, true),
            row("b", "c a c h e", 8, true),
            row("c", "deep", 1, true),
        ]);
        picker.answer(vec!["c".to_owned(), "a".to_owned(), "gone".to_owned()]);
        assert_eq!(ids(&picker), "c a b");
        press(&mut picker, KeyCode::Char('x'));
        assert_eq!(ids(&picker), "");
        press(&mut picker, KeyCode::Backspace);
        assert_eq!(ids(&picker), "c a b");
        ctrl(&mut picker, 'u');
        assert_eq!(ids(&picker), "a b c");
    }
}
