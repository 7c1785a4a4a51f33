//! Addresses of turns and items.

use super::search::with_host_hint;
use super::{matching, resolve};
use crate::codex::index::Index;
use crate::error::Result;
use crate::record::{Id, Session};

/// The address of a turn, `SESSION:TURN`, or of an item, `SESSION:TURN:ITEM`. SESSION is a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address<'t> {
    /// The reference to the session.
    pub session: &'t str,
    /// The number of the turn, or Codex's id of it.
    pub turn: &'t str,
    /// The number of the item in the turn.
    pub item: Option<u64>,
}

impl<'t> Address<'t> {
    /// Parses an address; `None` for any other text, such as a reference to a session.
    pub fn parse(text: &'t str) -> Option<Address<'t>> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
        let is_turn = |text: &str| number(text).is_some() || Id::parse(text).is_some();
        let (head, last) = text.rsplit_once(':')?;
        let inner = head.rsplit_once(':').filter(|(session, turn)| is_session(session) && is_turn(turn));
        match (inner, number(last)) {
            (Some((session, turn)), Some(item)) => Some(Address { session, turn, item: Some(item) }),
            _ if is_session(head) && is_turn(last) => Some(Address { session: head, turn: last, item: None }),
            _ => None,
        }
    }
}

/// The session of a reference or an address, with the turn and the item that the address names.
#[doc(hidden)]
pub fn resolve_address(
    index: &mut Index,
    text: &str,
) -> Result<(Session<'static>, Option<String>, Option<u64>)> {
    // A name may end like an address.
    let mut is_name = |text: &str| matching(index, text).is_ok_and(|found| !found.is_empty());
    let (reference, turn, item) = match Address::parse(text) {
        None => (text, None, None),
        Some(_) if is_name(text) => (text, None, None),
        Some(Address { session, turn, item, .. }) => match text.rsplit_once(':') {
            Some((name, turn)) if item.is_some() && is_name(name) => (name, Some(turn.to_owned()), None),
            _ => (session, Some(turn.to_owned()), item),
        },
    };
    let session = resolve(index, reference).map_err(|error| match turn {
        Some(_) => with_host_hint(error, text),
        None => error,
    })?;
    Ok((session, turn, item))
}

/// Whether a text in front of a colon is a reference, and not the kind of one, as in `id:1234`.
fn is_session(text: &str) -> bool {
    !text.is_empty() && !matches!(text, "id" | "name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_turns_and_items() {
        const TURN: &str = "01a2220e-5645-7be3-a60f-3d5808af09f0";
        let address = |session, turn, item| Some(Address { session, turn, item });
        for (text, want) in [
            ("@:3", address("@", "3", None)),
            ("cd6d1b0c:3:2", address("cd6d1b0c", "3", Some(2))),
            ("id:cd6d1b0c:3", address("id:cd6d1b0c", "3", None)),
            ("name:3:4", address("name:3", "4", None)),
            ("@@:01a2220e-5645-7be3-a60f-3d5808af09f0", address("@@", TURN, None)),
            ("x:01a2220e-5645-7be3-a60f-3d5808af09f0:7", address("x", TURN, Some(7))),
            ("login: part 2", None),
            ("id:1234", None),
            ("name:3", None),
            (":3", None),
            ("@:0", None),
            ("@:x", None),
            ("@", None),
        ] {
            assert_eq!(Address::parse(text), want, "{text}");
        }
    }
}
