//! Searches for words: where a session has them, and which sessions are the best answers.

use std::borrow::Cow;
use std::ops::Range;

use crate::record::Session;
use crate::text::{find_words, lowered};

/// The characters of a title that tables show at most. A word behind them is found in the message, not in the title.
const SHOWN: usize = 100;

/// Where a session has a word. The first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// The name.
    Name,
    /// The beginning of the title.
    Title,
    /// The first message, or the rest of the title.
    Message,
    /// The working directory.
    Directory,
    /// The branch.
    Branch,
}

impl Place {
    /// The name of the place for people.
    pub fn word(self) -> &'static str {
        ["name", "title", "message", "directory", "branch"][self as usize]
    }

    /// Name and title are equally good, and so are directory and branch.
    fn class(self) -> usize {
        [0, 0, 1, 2, 2][self as usize]
    }

    /// The text of the place.
    fn text<'s>(self, session: &'s Session<'_>) -> Option<&'s str> {
        match self {
            Place::Name => session.name.as_deref(),
            Place::Title => session.title.as_deref(),
            // The title is most often the first message.
            Place::Message => session.first_user_message.as_deref(),
            Place::Directory => session.cwd.as_deref(),
            Place::Branch => session.git.as_ref()?.branch.as_deref(),
        }
    }

    /// The part of the text around the first occurrence of a word, and whether it begins and ends with the text.
    pub fn excerpt<'s>(self, session: &'s Session<'_>, word: &str, around: usize) -> Option<Cow<'s, str>> {
        let places = if self == Place::Message { &[Place::Message, Place::Title][..] } else { &[self] };
        let texts = places.iter().filter_map(|place| place.text(session));
        let (text, Range { start, end }) = texts
            .filter_map(|text| Some((text, find_words(text, &[word.to_owned()]).into_iter().next()?)))
            .next()?;
        let from = text[..start].char_indices().rev().nth(around.saturating_sub(1)).map_or(0, |(at, _)| at);
        let upto = text[end..].char_indices().nth(around).map_or(text.len(), |(at, _)| end + at);
        let (before, after) = (if from > 0 { "…" } else { "" }, if upto < text.len() { "…" } else { "" });
        Some(match (before, after) {
            ("", "") => Cow::Borrowed(text),
            _ => Cow::Owned(format!("{before}{}{after}", &text[from..upto])),
        })
    }
}

/// The best place of each word, which is in lower case; `None` if the session does not have all of the words.
pub fn places(words: &[String], session: &Session<'_>) -> Option<Vec<Place>> {
    use Place::{Branch, Directory, Message, Name, Title};
    let message = Message.text(session).filter(|text| session.title.as_deref() != Some(text));
    let texts = [
        (Name, Name.text(session)),
        (Title, Title.text(session)),
        (Message, message),
        (Directory, Directory.text(session)),
        (Branch, Branch.text(session)),
    ];
    let texts = texts.map(|(place, text)| (place, text.map(lowered)));
    let place_of = |word: &String| {
        let found = texts.iter().filter_map(|(place, text)| {
            let text = text.as_deref()?;
            let at = text.find(word.as_str())?;
            let is_deep = *place == Title && text[..at].chars().nth(SHOWN).is_some();
            Some(if is_deep { Message } else { *place })
        });
        found.min()
    };
    words.iter().map(place_of).collect()
}

/// The rank of a session in a search, from the best place of each word: the sum of 0 for the name or the title, 1 for
/// the first message, 2 for the directory or the branch. `None` if the session does not have all of the words.
pub fn rank(words: &[String], session: &Session<'_>) -> Option<usize> {
    Some(places(words, session)?.into_iter().map(Place::class).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Git;

    fn session() -> Session<'static> {
        Session {
            name: Some("Login work".into()),
            title: Some(format!("Fix the parser {} deep", "x".repeat(200)).into()),
            first_user_message: Some("Fix the parser, please".into()),
            cwd: Some("/src/login-app".into()),
            git: Some(Git { branch: Some("feature/parser".into()), ..Git::default() }),
            ..Session::default()
        }
    }

    #[test]
    fn a_word_counts_at_its_best_place() {
        let session = session();
        let at = |word: &str| places(&[word.to_owned()], &session).map(|places| places[0]);
        assert_eq!(at("login"), Some(Place::Name));
        assert_eq!(at("parser"), Some(Place::Title));
        assert_eq!(at("please"), Some(Place::Message));
        assert_eq!(at("deep"), Some(Place::Message));
        assert_eq!(at("app"), Some(Place::Directory));
        assert_eq!(at("feature"), Some(Place::Branch));
        assert_eq!(at("absent"), None);
        let rank = |words: &[&str]| rank(&words.map_owned(), &session);
        assert_eq!(rank(&["login", "parser"]), Some(0));
        assert_eq!(rank(&["please", "app", "login"]), Some(3));
        assert_eq!(rank(&["login", "absent"]), None);
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }

    #[test]
    fn excerpts_have_the_word() {
        let session = session();
        let excerpt = |place: Place, word, around| place.excerpt(&session, word, around);
        assert_eq!(excerpt(Place::Directory, "app", 40).as_deref(), Some("/src/login-app"));
        assert_eq!(excerpt(Place::Directory, "login", 2).as_deref(), Some("…c/login-a…"));
        assert_eq!(excerpt(Place::Message, "deep", 3).as_deref(), Some("…xx deep"));
        assert_eq!(excerpt(Place::Branch, "absent", 3), None);
    }
}
