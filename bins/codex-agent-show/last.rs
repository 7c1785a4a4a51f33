//! The last answer and the newest check list of a session, from the end of its transcript.

use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::Result;
use codex_agent_shared::transcript::{Item, Options, Record, Role, prose};

use super::forms::{open_last, unreadable};
use super::targets::Target;

/// The last item that is wanted, and the state of its turn if a later one has none or the turn was not completed. More and more of the last turns are read until there is one.
pub(super) fn find(
    index: &mut Index,
    target: &Target,
    is_wanted: &dyn Fn(&Item) -> bool,
) -> Result<Option<(Item, Option<String>)>> {
    let id = target.id()?;
    let mut count = 1;
    loop {
        let mut reader = open_last(index, target, Some(count), Options::default())?;
        let (mut found, mut turns, mut remark) = (None, 0, None);
        while let Some(record) = reader.next_record().map_err(|error| unreadable(id, &error))? {
            match record {
                Record::Item(item) if is_wanted(&item) => found = Some(item),
                Record::Turn(turn) => {
                    turns += 1;
                    if found.as_ref().is_some_and(|item| item.turn_id == turn.turn_id) {
                        remark = prose::state(&turn).map(|state| format!("its turn: {state}"));
                    } else if found.is_some() {
                        let state = prose::state(&turn).unwrap_or("no answer");
                        remark = Some(format!("it is of an earlier turn; the last turn: {state}"));
                    }
                }
                _ => {}
            }
        }
        if found.is_some() || turns < count {
            return Ok(found.map(|item| (item, remark)));
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
