//! A line that the user types, with the keys of readline.

use codex_agent_shared::text::{harmless, width};

use crate::screen::{KeyCode, KeyEvent, KeyModifiers};

/// A text and a cursor in it.
#[derive(Default)]
pub(super) struct Prompt {
    text: String,
    /// The byte before which the next character is inserted.
    at: usize,
}

impl Prompt {
    /// A line with a text, and the cursor at its end.
    pub(super) fn new(text: &str) -> Prompt {
        let mut prompt = Prompt::default();
        prompt.insert(text);
        prompt
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Inserts a text, which may be pasted, as one line.
    pub(super) fn insert(&mut self, text: &str) {
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            // A query of a million characters is a slip.
            if !c.is_control() && self.text.len() < 1000 {
                self.text.insert(self.at, c);
                self.at += c.len_utf8();
            }
        }
    }

    /// Edits the line by a key, and returns whether the key is one of the line.
    pub(super) fn edit(&mut self, key: KeyEvent) -> bool {
        let (ctrl, alt) = (KeyModifiers::CONTROL, KeyModifiers::ALT);
        let held = key.modifiers & (ctrl | alt);
        match key.code {
            KeyCode::Char(c) if held.is_empty() => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Char('a') if held == ctrl => self.at = 0,
            KeyCode::Home => self.at = 0,
            KeyCode::Char('e') if held == ctrl => self.at = self.text.len(),
            KeyCode::End => self.at = self.text.len(),
            KeyCode::Left if held.is_empty() => self.at = self.before(),
            KeyCode::Char('b') if held == ctrl => self.at = self.before(),
            KeyCode::Right if held.is_empty() => self.at = self.after(),
            KeyCode::Char('b') if held == alt => self.at = self.word_before(),
            KeyCode::Left => self.at = self.word_before(),
            KeyCode::Char('f') if held == alt => self.at = self.word_after(),
            KeyCode::Right => self.at = self.word_after(),
            KeyCode::Backspace if held.is_empty() => self.cut(self.before(), self.at),
            KeyCode::Char('h') if held == ctrl => self.cut(self.before(), self.at),
            KeyCode::Char('w') if held == ctrl => self.cut(self.word_before(), self.at),
            KeyCode::Backspace => self.cut(self.word_before(), self.at),
            KeyCode::Char('d') if held == alt => self.cut(self.at, self.word_after()),
            KeyCode::Delete => self.cut(self.at, self.after()),
            KeyCode::Char('d') if held == ctrl => self.cut(self.at, self.after()),
            KeyCode::Char('u') if held == ctrl => self.cut(0, self.at),
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = from;
    }

    fn before(&self) -> usize {
        self.text[..self.at].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8())
    }

    fn word_before(&self) -> usize {
        let start = self.text[..self.at].trim_end();
        start.rfind(char::is_whitespace).map_or(0, |at| at + 1)
    }

    fn word_after(&self) -> usize {
        let rest = &self.text[self.at..];
        let blanks = rest.len() - rest.trim_start().len();
        let word = rest[blanks..].find(char::is_whitespace).unwrap_or(rest.len() - blanks);
        self.at + blanks + word
    }

    /// The text that fits into so many columns around the cursor, and the column of the cursor in it.
    pub(super) fn window(&self, most: usize) -> (String, usize) {
        let shown = |text: &str| harmless(text).into_owned();
        let mut before = shown(&self.text[..self.at]);
        while width(&before) + 1 > most && !before.is_empty() {
            before.remove(0);
        }
        let column = width(&before);
        let mut after = shown(&self.text[self.at..]);
        while column + width(&after) > most && !after.is_empty() {
            after.pop();
        }
        (before + &after, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(prompt: &mut Prompt, code: KeyCode, held: KeyModifiers) {
        assert!(prompt.edit(KeyEvent::new(code, held)));
    }

    #[test]
    fn keys_of_readline() {
        let (none, ctrl, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        let mut prompt = Prompt::new("fix the  日本 ");
        press(&mut prompt, KeyCode::Char('w'), ctrl);
        assert_eq!(prompt.text(), "fix the  ");
        press(&mut prompt, KeyCode::Backspace, alt);
        assert_eq!(prompt.text(), "fix ");
        press(&mut prompt, KeyCode::Char('a'), ctrl);
        press(&mut prompt, KeyCode::Char('é'), none);
        assert_eq!(prompt.text(), "éfix ");
        press(&mut prompt, KeyCode::Char('f'), alt);
        press(&mut prompt, KeyCode::Backspace, none);
        assert_eq!(prompt.text(), "éfi ");
        press(&mut prompt, KeyCode::Left, none);
        press(&mut prompt, KeyCode::Delete, none);
        assert_eq!(prompt.text(), "éf ");
        press(&mut prompt, KeyCode::Char('u'), ctrl);
        assert_eq!(prompt.text(), " ");
        press(&mut prompt, KeyCode::Char('e'), ctrl);
        prompt.insert("two\nlines\u{1b}");
        assert_eq!(prompt.text(), " two lines");
        press(&mut prompt, KeyCode::Char('b'), alt);
        press(&mut prompt, KeyCode::Char('d'), alt);
        assert_eq!(prompt.text(), " two ");
        assert!(!prompt.edit(KeyEvent::new(KeyCode::Char('x'), ctrl)));
    }

    #[test]
    fn a_long_line_shows_its_cursor() {
        let mut prompt = Prompt::new(&"日本".repeat(50));
        for most in [1, 2, 7, 20, 300] {
            let (text, column) = prompt.window(most);
            assert!(width(&text) <= most && column < most.max(201), "{most}: {text} {column}");
        }
        press(&mut prompt, KeyCode::Home, KeyModifiers::NONE);
        assert_eq!(prompt.window(7), ("日本日".to_owned(), 0));
    }
}
