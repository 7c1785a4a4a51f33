//! Things of one file that people tell apart by a name: groups, queues. Names were not unique once; where
//! two things have one name, it is said so, and an id is taken.

use crate::error::{Error, Result};
use crate::text::{harmless, nearest};

/// A thing with a name.
pub trait HasName {
    /// What it is: `group`.
    const WHAT: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// Its name.
    fn name(&self) -> &str;
    /// What tells it from another one of its name.
    fn summary(&self) -> String;
}

/// Where the thing of this name or id stands; no such thing is no error, two of the name are.
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
            Err(Error::new(format!("ambiguous name '{name}': {} {what}s have it; use an id", has_name.len()))
                .hint(lines.join("\n")))
        }
    }
}

/// As [`position`], but there must be one.
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

/// Whether a new thing may have this name, by [`NAME_RULES`]: a name that is an id could not be distinguished
/// from one.
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
