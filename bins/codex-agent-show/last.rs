//! The last answer and the newest check list of a session, from the end of its transcript.

use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::Result;
use codex_agent_shared::transcript::{Item, Options, Record, Role};

use super::forms::{open_last, unreadable};
use super::targets::Target;

/// The last item that is wanted. More and more of the last turns are read until there is one.
pub(super) fn find(
    index: &mut Index,
    target: &Target,
    is_wanted: &dyn Fn(&Item) -> bool,
) -> Result<Option<Item>> {
    let id = target.id()?;
    let mut count = 1;
    loop {
        let mut reader = open_last(index, target, Some(count), Options::default())?;
        let (mut found, mut turns) = (None, 0);
        while let Some(record) = reader.next_record().map_err(|error| unreadable(id, &error))? {
            match record {
                Record::Item(item) if is_wanted(&item) => found = Some(item),
                Record::Turn(_) => turns += 1,
                _ => {}
            }
        }
        if found.is_some() || turns < count {
            return Ok(found);
        }
        count = count.saturating_mul(8);
    }
}

/// Whether an item is an answer of the model.
pub(super) fn is_answer(item: &Item) -> bool {
    item.role == Role::Assistant && item.text.as_deref().is_some_and(|text| !text.is_empty())
}

/// Whether an item is a check list.
pub(super) fn is_tasks(item: &Item) -> bool {
    item.role == Role::Todo
}
