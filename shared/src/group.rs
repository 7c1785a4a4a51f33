//! Groups: named sets of sessions, kept in `groups.json`.
//!
//! The file has the format of earlier releases of codex-agent (JSON with an indent of 2, camelCase keys, ISO times), so
//! that both can use it. Unknown keys of the file and of each group are kept to the byte. In an old file two groups may
//! have the same name, for which a command requires the id, and the ids of sessions may be any text.
//!
//! ```
//! use codex_agent_shared::group::{Group, check_name};
//!
//! let mut group = Group::new("work", None);
//! let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c".to_owned();
//! // A group has a session once.
//! assert_eq!((group.add(&[id.clone(), id.clone()]), group.remove(&[id])), (1, (1, 0)));
//! assert!(check_name("--all").is_err());
//! ```

use std::collections::HashSet;

use serde::Serialize;

use crate::codex::home::config_directory;
use crate::config::host::name_problem;
use crate::error::Result;
use crate::record::Id;
pub use crate::store::Changed;
use crate::store::{self, HasName, Store, kept_object};
use crate::text::counted;
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
        /// The sessions of other machines, as `HOST:ID`, without duplicates, in the order in which they were added.
        pub host_sessions: Vec<String> = "hostSessions" optional,
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
        format!("{}, made {}", counted(self.count(), "session"), self.created_at)
    }
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member<'g> {
    /// The host of the session; `None` for this machine.
    pub host: Option<&'g str>,
    /// The id of the session; in a file of another program any text.
    pub id: &'g str,
}

impl<'g> Member<'g> {
    /// The member of an entry: `HOST:ID`, or an id. Any other text is taken for an id.
    pub fn parse(entry: &'g str) -> Member<'g> {
        let split = entry.rsplit_once(':');
        match split.filter(|(host, id)| name_problem(host).is_none() && Id::parse(id).is_some()) {
            Some((host, id)) => Member { host: Some(host), id },
            None => Member { host: None, id: entry },
        }
    }

    /// The text by which two members are compared, which is a valid entry: an id in its usual form, any other text
    /// unchanged.
    fn key(self) -> String {
        let id = Id::parse(self.id).map_or_else(|| self.id.to_owned(), |id| id.to_string());
        self.host.map_or_else(|| id.clone(), |host| format!("{host}:{id}"))
    }
}

/// The text by which two entries are compared.
fn key(session: &str) -> String {
    Member::parse(session).key()
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
    /// The sessions of other machines, as HOST:ID. Absent if there are none.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    host_sessions: &'g [String],
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
            host_sessions: &self.host_sessions,
            created_at: &self.created_at,
            updated_at: &self.updated_at,
        }
    }

    /// The sessions: those of this machine, and then those of others.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let here = self.session_ids.iter().map(|id| Member { host: None, id });
        here.chain(self.host_sessions.iter().map(|entry| Member::parse(entry)))
    }

    /// The number of sessions.
    pub fn count(&self) -> usize {
        self.session_ids.len() + self.host_sessions.len()
    }

    /// The valid ids of the sessions of this machine, sorted.
    pub fn sessions(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.session_ids.iter().filter_map(|id| Id::parse(id)).collect();
        ids.sort();
        ids
    }

    /// Adds sessions that the group lacks, and returns their number. A session of another machine is `HOST:ID`.
    pub fn add(&mut self, sessions: &[String]) -> usize {
        let (before, mut known) = (self.count(), self.keys());
        for session in sessions.iter().filter(|session| known.insert(key(session))) {
            match Member::parse(session).host {
                Some(_) => self.host_sessions.push(session.clone()),
                None => self.session_ids.push(session.clone()),
            }
        }
        self.count() - before
    }

    /// Removes sessions, and returns the number of removed ones and of those that the group lacked.
    pub fn remove(&mut self, sessions: &[String]) -> (usize, usize) {
        let known = self.keys();
        let removed: HashSet<String> = sessions.iter().map(|session| key(session)).collect();
        for entries in [&mut self.session_ids, &mut self.host_sessions] {
            entries.retain(|session| !removed.contains(&key(session)));
        }
        let count = removed.intersection(&known).count();
        (count, removed.len() - count)
    }

    fn keys(&self) -> HashSet<String> {
        self.members().map(Member::key).collect()
    }

    /// Sets the time of the last change to the current time.
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

    /// The current groups.
    pub fn read() -> Result<Groups> {
        Groups::store()?.read()
    }

    /// Changes the groups while the file is locked; see [`Store::update`].
    pub fn update<R>(change: impl FnOnce(&mut Groups) -> Result<(R, Changed)>) -> Result<R> {
        Groups::store()?.update(change)
    }

    /// The group with this name or id. No group and several groups with the name are errors.
    pub fn find(&self, name: &str) -> Result<&Group> {
        Ok(&self.groups[self.index_of(name)?])
    }

    /// As [`Groups::find`], to change the group.
    pub fn find_mut(&mut self, name: &str) -> Result<&mut Group> {
        let at = self.index_of(name)?;
        Ok(&mut self.groups[at])
    }

    /// The index of the group in [`Groups::groups`].
    #[doc(hidden)]
    pub fn index_of(&self, name: &str) -> Result<usize> {
        store::find(&self.groups, name)
    }

    /// As [`Groups::index_of`], but `None` if there is no group.
    #[doc(hidden)]
    pub fn position(&self, name: &str) -> Result<Option<usize>> {
        store::position(&self.groups, name)
    }
}

/// Checks the name of a new group.
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
    fn a_file_of_another_format_is_an_error() {
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
    fn a_session_of_two_hosts_is_two_members() {
        let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
        let on = |host: &str| format!("{host}:{id}");
        let mut group = Group::new("n", None);
        assert_eq!(group.add(&[on("a"), id.to_owned(), on("b"), on("a"), "x:y".into(), on("-o")]), 5);
        assert_eq!(group.session_ids, [id, "x:y", &on("-o")]);
        assert_eq!(group.host_sessions, [on("a"), on("b")]);
        let hosts: Vec<_> = group.members().map(|member| member.host).collect();
        assert_eq!(hosts, [None, None, None, Some("a"), Some("b")]);
        assert_eq!(group.remove(&[on("a"), on("c")]), (1, 1));
        assert_eq!((group.count(), group.host_sessions.len()), (4, 1));
        let text = serde_json::to_string(&group).unwrap();
        assert!(text.contains(&format!("\"hostSessions\":[\"b:{id}\"]")), "{text}");
        group.remove(&[on("b")]);
        assert!(!serde_json::to_string(&group).unwrap().contains("hostSessions"));
    }

    #[test]
    fn names() {
        assert!(check_name("work in progress").is_ok());
        for wrong in ["", " ", " a", "-a", "a\nb", "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
