//! Groups: named sets of sessions, kept in `groups.json`.
//!
//! The file keeps the shape that earlier releases of codex-agent wrote (2-space JSON, camelCase keys,
//! ISO times), so that it can be used by both. Unknown keys are kept to the byte, those of the file
//! and those of each group. Names were not unique once; where two groups have one name, a command
//! says so and takes the id. The ids of sessions may be any text in an old file.
//!
//! ```
//! use codex_agent_shared::group::{Group, check_name};
//!
//! let mut group = Group::new("work", None);
//! let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c".to_owned();
//! // A session is in a group once.
//! assert_eq!((group.add(&[id.clone(), id.clone()]), group.remove(&[id])), (1, (1, 0)));
//! assert!(check_name("--all").is_err());
//! ```

use std::collections::HashSet;

use serde::Serialize;

use crate::codex::home::config_directory;
use crate::error::Result;
use crate::record::Id;
pub use crate::store::Changed;
use crate::store::{self, HasName, Store, kept_object};
use crate::time::Timestamp;

kept_object! {
    /// A named set of sessions.
    #[derive(Clone, Debug, Default)]
    pub struct Group {
        /// The id, a UUID.
        pub id: String = "id" needed,
        /// The name.
        pub name: String = "name" always,
        /// The description.
        pub description: Option<String> = "description" optional,
        /// Whether the group is paused: runs of it do not start.
        pub paused: bool = "paused" always,
        /// The ids of its sessions, without duplicates, in the order in which they were added.
        pub session_ids: Vec<String> = "sessionIds" needed,
        /// The time of creation, RFC 3339.
        pub created_at: String = "createdAt" always,
        /// The time of the last change, RFC 3339.
        pub updated_at: String = "updatedAt" always,
    }
}

kept_object! {
    /// The contents of the file.
    #[derive(Debug, Default)]
    pub struct Groups {
        /// The groups, in the order of their creation.
        pub groups: Vec<Group> = "groups" needed,
    }
}

impl HasName for Group {
    const WHAT: &'static str = "group";

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        format!("{} sessions, made {}", self.session_ids.len(), self.created_at)
    }
}

/// What makes two entries one: an id in its usual form, anything else as it stands.
fn key(session: &str) -> String {
    Id::parse(session).map_or_else(|| session.to_owned(), |id| id.to_string())
}

/// A named set of sessions.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GroupRecord<'g> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the group: a UUID, or any text in a file of another program.
    id: &'g str,
    /// The name.
    name: &'g str,
    /// The description.
    description: Option<&'g str>,
    /// Whether the group is paused.
    paused: bool,
    /// The ids of its sessions, without duplicates, in the order in which they were added.
    session_ids: &'g [String],
    /// The time when the group was created, unchanged from groups.json.
    created_at: &'g str,
    /// The time when the group was last changed, unchanged from groups.json.
    updated_at: &'g str,
}

impl Group {
    /// A new, empty group.
    pub fn new(name: &str, description: Option<String>) -> Group {
        let now = Timestamp::now().to_string();
        Group {
            id: Id::random().to_string(),
            name: name.to_owned(),
            description,
            created_at: now.clone(),
            updated_at: now,
            ..Group::default()
        }
    }

    /// The record of this group.
    pub fn record(&self) -> GroupRecord<'_> {
        GroupRecord {
            kind: "group",
            id: &self.id,
            name: &self.name,
            description: self.description.as_deref(),
            paused: self.paused,
            session_ids: &self.session_ids,
            created_at: &self.created_at,
            updated_at: &self.updated_at,
        }
    }

    /// The sessions of the group whose ids are ids, sorted.
    pub fn sessions(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.session_ids.iter().filter_map(|id| Id::parse(id)).collect();
        ids.sort();
        ids
    }

    /// Adds sessions that are not there yet; returns how many that were.
    pub fn add(&mut self, sessions: &[String]) -> usize {
        let mut there: HashSet<String> = self.session_ids.iter().map(|session| key(session)).collect();
        let mut fresh = Vec::new();
        for session in sessions {
            if there.insert(key(session)) {
                fresh.push(session.clone());
            }
        }
        let added = fresh.len();
        self.session_ids.extend(fresh);
        added
    }

    /// Removes sessions; returns how many of them were there, and how many were not.
    pub fn remove(&mut self, sessions: &[String]) -> (usize, usize) {
        let there: HashSet<String> = self.session_ids.iter().map(|session| key(session)).collect();
        let gone: HashSet<String> = sessions.iter().map(|session| key(session)).collect();
        self.session_ids.retain(|session| !gone.contains(&key(session)));
        let removed = gone.intersection(&there).count();
        (removed, gone.len() - removed)
    }

    /// Marks the group as changed now.
    pub fn touch(&mut self) {
        self.updated_at = Timestamp::now().to_string();
    }
}

impl Groups {
    /// The file of all groups.
    #[doc(hidden)]
    pub fn store() -> Result<Store> {
        Ok(Store::new(config_directory()?.join("groups.json")))
    }

    /// All groups as they are now.
    pub fn read() -> Result<Groups> {
        Groups::store()?.read()
    }

    /// Changes the groups under their lock; see [`Store::update`].
    pub fn update<R>(change: impl FnOnce(&mut Groups) -> Result<(R, Changed)>) -> Result<R> {
        Groups::store()?.update(change)
    }

    /// The group of this name or id; an error where there is none, or two of the name.
    pub fn find(&self, name: &str) -> Result<&Group> {
        Ok(&self.groups[self.index_of(name)?])
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, name: &str) -> Result<&mut Group> {
        let at = self.index_of(name)?;
        Ok(&mut self.groups[at])
    }

    /// The index of the group in [`Groups::groups`].
    #[doc(hidden)]
    pub fn index_of(&self, name: &str) -> Result<usize> {
        store::find(&self.groups, name)
    }

    /// As [`Groups::index_of`], but no group of the name is no error.
    #[doc(hidden)]
    pub fn position(&self, name: &str) -> Result<Option<usize>> {
        store::position(&self.groups, name)
    }
}

/// Whether a new group may have this name.
pub fn check_name(name: &str) -> Result<()> {
    store::check_name::<Group>(name, Id::parse(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_kept_to_the_byte() {
        let text = r#"{"groups":[{"id":"g","name":"n","sessionIds":["a","not an id"],"createdAt":"c","updatedAt":"u","color":{"r": 1.50}}],"version":123456789012345678901234567890}"#;
        let groups: Groups = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&groups).unwrap();
        assert!(
            again.contains(r#""color":{"r": 1.50}"#) && again.contains("123456789012345678901234567890"),
            "{again}"
        );
        assert!(again.contains(r#""paused":false"#));
        assert!(!again.contains("description"));
    }

    #[test]
    fn what_is_no_group_file_is_an_error() {
        for wrong in
            ["{}", "[]", r#"{"groups":[{"name":"n","sessionIds":[]}]}"#, r#"{"groups":[{"id":"g"}]}"#]
        {
            assert!(serde_json::from_str::<Groups>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn groups_are_sets() {
        let mut group = Group::new("n", None);
        assert_eq!(group.add(&["a".into(), "b".into(), "a".into()]), 2);
        assert_eq!(group.add(&["b".into(), "c".into()]), 1);
        assert_eq!(group.remove(&["a".into(), "x".into()]), (1, 1));
        let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c".to_owned();
        group.session_ids.push(id.to_uppercase());
        assert_eq!(group.add(std::slice::from_ref(&id)), 0);
        assert_eq!(group.remove(&[id]), (1, 0));
        assert_eq!(group.session_ids, ["b", "c"]);
    }

    #[test]
    fn names() {
        assert!(check_name("work in progress").is_ok());
        for wrong in ["", " ", " a", "-a", "a\nb", "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
