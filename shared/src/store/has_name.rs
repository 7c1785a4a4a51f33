//! Lookup of groups and queues by name or id. Old files may have duplicate names: such a name is ambiguous, and an id
//! is required.

use crate::error::{Error, Result};
use crate::text::{harmless, nearest};

/// An object with an id and a name.
pub trait HasName {
    /// The noun for messages: `group`.
    const WHAT: &'static str;
    fn id(&self) -> &str;
    fn name(&self) -> &str;
    /// A description that distinguishes objects of the same name.
    fn summary(&self) -> String;
}

/// The index of the object with this name or id; `None` if there is none. An ambiguous name is an error.
pub fn position<T: HasName>(all: &[T], name: &str) -> Result<Option<usize>> {
    let has_name: Vec<usize> = (0..all.len()).filter(|at| all[*at].name() == name).collect();
    match has_name[..] {
        [at] => Ok(Some(at)),
        [] => Ok(all.iter().position(|thing| thing.id() == name)),
        _ => {
            let line =
                |at: &usize| harmless(&format!("{}  {}", all[*at].id(), all[*at].summary())).into_owned();
            let lines: Vec<String> = has_name.iter().map(line).collect();
            let what = T::WHAT;
            Err(Error::new(format!("ambiguous name '{name}' of {} {what}s: use an id", has_name.len()))
                .hint(lines.join("\n")))
        }
    }
}

/// The index of the object with this name or id; an error if there is none.
pub fn find<T: HasName>(all: &[T], name: &str) -> Result<usize> {
    position(all, name)?.ok_or_else(|| {
        let what = T::WHAT;
        let error = Error::not_found(format!("there is no {what} '{name}'"));
        match nearest(name, all.iter().map(HasName::name)).first() {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint(format!("'codex-agent {what} list' lists the {what}s")),
        }
    })
}

/// The rules of [`check_name`], for the manual pages.
pub const NAME_RULES: &str = "A name may contain blanks. A name is refused if it is empty, begins or ends with a blank, begins with '-', contains a control character, is longer than 200 bytes, is a complete id, or exists already.";

/// Check a new name by [`NAME_RULES`]. A name that is an id would be ambiguous.
pub fn check_name<T: HasName>(name: &str, is_id: bool) -> Result<()> {
    let why = if name.trim().is_empty() {
        "it is empty"
    } else if name.trim() != name {
        "it begins or ends with a blank"
    } else if name.starts_with('-') {
        "it begins with '-', as flags do"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else if name.len() > 200 {
        "it is longer than 200 bytes"
    } else if is_id {
        "it is a complete id"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("invalid {} name '{name}': {why}", T::WHAT)))
}
