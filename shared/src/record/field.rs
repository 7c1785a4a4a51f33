//! The fields of a session record: one table has their order, names, values and needs.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::{FoundIn, Git, Id, Needs, Session, Status, Subagent};
use crate::choice::Choice;
use crate::error::{Error, Result};
use crate::time::Timestamp;

macro_rules! fields {
    (
        listed { $($field:ident $name:ident $($need:ident)|+;)* }
        from_rollout { $($extra:ident $extra_name:ident $($extra_need:ident)|+;)* }
        added { $($added:ident $added_name:ident;)* }
        parts { $($part:ident $part_name:literal $dotted:literal $part_need:ident
            |$session:ident| $value:expr;)* }
    ) => {
        /// The fields of a session record, in the order in which they are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // The fields of [`Session`] of the same names.
        #[non_exhaustive]
        pub enum Field { $($field,)* $($extra,)* $($added,)* $($part,)* }

        impl Field {
            /// The fields that every listing has; the others of [`Field::ALL`] are read from the rollout, or are those
            /// of hosts.
            pub const LISTED: &[Field] = &[$(Field::$field,)*];

            /// Every field of the record, in order.
            pub const ALL: &[Field] = &[$(Field::$field,)* $(Field::$extra,)* $(Field::$added,)*];

            /// Parts of fields, for `--fields` and `--format` only.
            pub const PARTS: &[Field] = &[$(Field::$part,)*];

            /// The names of [`Field::ALL`] and [`Field::PARTS`].
            pub const NAMES: &[&str] =
                &[$(stringify!($name),)* $(stringify!($extra_name),)* $(stringify!($added_name),)* $($part_name,)*];

            /// The field's name in JSON, `--fields` and `--format`.
            pub const fn name(self) -> &'static str {
                Field::NAMES[self as usize]
            }

            /// The path in the record, such as `git.branch`.
            fn path(self) -> &'static str {
                match self {
                    $(Field::$part => $dotted,)*
                    _ => self.name(),
                }
            }

            /// The parts of a session that must be read to know the field.
            pub fn needs(self) -> Needs {
                match self {
                    $(Field::$field => Needs::NAME$(.and(Needs::$need))+,)*
                    $(Field::$extra => Needs::ROLLOUT$(.and(Needs::$extra_need))+,)*
                    $(Field::$added => Needs::NAME,)*
                    $(Field::$part => Needs::$part_need,)*
                }
            }
        }

        impl<'a> Session<'a> {
            /// The value of a field; `None` where the field is omitted because the rollout was not read.
            pub fn value(&self, field: Field) -> Option<Value<'_>> {
                Some(match field {
                    $(Field::$field => self.$name.value(),)*
                    $(Field::$extra => self.$extra_name.as_ref()?.value(),)*
                    $(Field::$added => self.$added_name.as_ref()?.value(),)*
                    $(Field::$part => {
                        let $session = self;
                        $value.unwrap_or(Value::Null)
                    })*
                })
            }

            /// A copy with these fields, and without borrowed text. All other fields are as in an empty record. Parts of
            /// fields are ignored.
            pub fn owned(&self, fields: &[Field]) -> Session<'static> {
                let has = |field| fields.contains(&field);
                Session {
                    $($name: if has(Field::$field) { self.$name.clone().own() } else { Default::default() },)*
                    $($extra_name: if has(Field::$extra) { self.$extra_name.clone().own() } else { Default::default() },)*
                    $($added_name: if has(Field::$added) { self.$added_name.clone().own() } else { Default::default() },)*
                    parent_title: self.parent_title.clone().own(),
                }
            }

            /// The record without borrowed text.
            pub fn into_owned(self) -> Session<'static> {
                Session {
                    $($name: self.$name.own(),)*
                    $($extra_name: self.$extra_name.own(),)*
                    $($added_name: self.$added_name.own(),)*
                    parent_title: self.parent_title.own(),
                }
            }
        }
    };
}

fields! {
    listed {
        Id id NAME;
        // A copied fork may have its parent's name in its rollout alone.
        Name name NAMES | MESSAGE;
        Title title MESSAGE;
        FirstUserMessage first_user_message MESSAGE;
        Cwd cwd START;
        CreatedAt created_at START;
        UpdatedAt updated_at TAIL;
        ArchivedAt archived_at NAME;
        Source source START;
        Originator originator START;
        Subagent subagent START;
        Model model MESSAGE;
        ReasoningEffort reasoning_effort START;
        ModelProvider model_provider START;
        CliVersion cli_version START;
        Git git META;
        RolloutPath rollout_path NAME;
        History history META;
        // Only the database has the next two.
        TokensUsed tokens_used NAME;
        Pinned pinned NAME;
        FoundIn found_in NAME;
    }
    from_rollout {
        ForkedFrom forked_from START;
        Status status ENDING;
        ResumeCommand resume_command START;
        // Tools that print the next three complete the session by its transcript.
        Turns turns START;
        Tokens tokens START;
        LastMessage last_message START;
    }
    added {
        Host host;
    }
    parts {
        Sha "sha" "git.sha" META |session| session.git.as_ref().map(|git| git.sha.value());
        Branch "branch" "git.branch" META |session| session.git.as_ref().map(|git| git.branch.value());
        OriginUrl "origin_url" "git.origin_url" META
            |session| session.git.as_ref().map(|git| git.origin_url.value());
        Parent "parent" "subagent.parent" START
            |session| session.subagent.as_ref().map(|agent| agent.parent.value());
        Nickname "nickname" "subagent.nickname" START
            |session| session.subagent.as_ref().map(|agent| agent.nickname.value());
        Role "role" "subagent.role" START
            |session| session.subagent.as_ref().map(|agent| agent.role.value());
        // The last eight hex digits.
        Short "short" "short" NAME |session| session.id.map(Value::Short);
    }
}

impl Field {
    /// The field with this name; a part has its path in the record as a second name, such as `git.branch`.
    pub fn parse(name: &str) -> Result<Field> {
        let mut all = Field::ALL.iter().chain(Field::PARTS).copied();
        all.find(|field| field.name() == name || field.path() == name).ok_or_else(|| {
            let near = crate::text::nearest(name, Field::NAMES.iter().copied());
            let error = Error::usage(format!("there is no field '{name}' in a session record"));
            match near.first() {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(format!("fields: {}", Field::NAMES.join(" "))),
            }
        })
    }
}

/// The value of one field.
#[non_exhaustive]
pub enum Value<'s> {
    /// Null: absent, or unknown.
    Null,
    /// Text.
    Text(&'s str),
    /// An id.
    Id(Id),
    /// A time.
    Time(Timestamp),
    /// A number.
    Number(i64),
    /// A flag.
    Bool(bool),
    /// The parts of a subagent.
    Subagent(&'s Subagent<'s>),
    /// The parts of a commit.
    Git(&'s Git<'s>),
    /// An argument array.
    Argv(&'s [String]),
    /// The short form of an id.
    Short(Id),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Id(id) => id.serialize(serializer),
            Value::Time(at) => at.serialize(serializer),
            Value::Number(number) => serializer.serialize_i64(*number),
            Value::Bool(yes) => serializer.serialize_bool(*yes),
            Value::Subagent(subagent) => subagent.serialize(serializer),
            Value::Git(git) => git.serialize(serializer),
            Value::Argv(argv) => argv.serialize(serializer),
            Value::Short(id) => serializer.serialize_str(&id.short()),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// Prints nothing for null, and JSON for a value with parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Text(text) => f.write_str(text),
            Value::Id(id) => id.fmt(f),
            Value::Time(at) => at.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Bool(yes) => yes.fmt(f),
            Value::Short(id) => f.write_str(&id.short()),
            Value::Subagent(_) | Value::Git(_) | Value::Argv(_) => {
                f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
            }
        }
    }
}

/// A member of the record: its value, and a copy without borrowed text.
trait Member {
    type Owned;
    fn value(&self) -> Value<'_>;
    fn own(self) -> Self::Owned;
}

impl Git<'_> {
    /// The members of the record.
    pub(super) fn members(&self) -> [(&'static str, Value<'_>); 3] {
        [("sha", self.sha.value()), ("branch", self.branch.value()), ("origin_url", self.origin_url.value())]
    }
}

impl<T: Member> Member for Option<T> {
    type Owned = Option<T::Owned>;
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }
    fn own(self) -> Self::Owned {
        self.map(T::own)
    }
}

/// Implements [`Member`]: `TYPE, owned type: |this| value, owned value`.
macro_rules! members {
    ($($member:ty, $owned:ty: |$this:ident| $value:expr, $own:expr;)*) => {
        $(impl Member for $member {
            type Owned = $owned;
            fn value(&self) -> Value<'_> {
                let $this = self;
                $value
            }
            fn own(self) -> $owned {
                let $this = self;
                $own
            }
        })*
    };
}

members! {
    Cow<'_, str>, Cow<'static, str>: |text| Value::Text(text), Cow::Owned(text.into_owned());
    Id, Id: |id| Value::Id(*id), id;
    Timestamp, Timestamp: |at| Value::Time(*at), at;
    i64, i64: |number| Value::Number(*number), number;
    bool, bool: |yes| Value::Bool(*yes), yes;
    FoundIn, FoundIn: |place| Value::Text(place.word()), place;
    Status, Status: |status| Value::Text(status.word()), status;
    Vec<String>, Vec<String>: |argv| Value::Argv(argv), argv;
    Subagent<'_>, Subagent<'static>: |agent| Value::Subagent(agent), Subagent {
        parent: agent.parent,
        nickname: agent.nickname.own(),
        role: agent.role.own(),
    };
    Git<'_>, Git<'static>: |git| Value::Git(git), Git {
        sha: git.sha.own(),
        branch: git.branch.own(),
        origin_url: git.origin_url.own(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_a_record_is_the_name_of_a_field() {
        let session = Session {
            subagent: Some(Subagent { nickname: Some("Kepler".into()), ..Subagent::default() }),
            git: Some(Git { branch: Some("main".into()), ..Git::default() }),
            ..Session::default()
        };
        let record = serde_json::to_value(&session).unwrap();
        let mut parts = 0;
        for (name, value) in record.as_object().unwrap().iter().filter(|(name, _)| *name != "type") {
            assert_eq!(Field::parse(name).unwrap().name(), name);
            for (part, value) in value.as_object().into_iter().flatten() {
                let field = Field::parse(&format!("{name}.{part}")).unwrap();
                assert_eq!(field, Field::parse(part).unwrap());
                assert_eq!(serde_json::to_value(session.value(field).unwrap()).unwrap(), *value);
                parts += 1;
            }
        }
        assert_eq!((parts, Field::NAMES.len()), (6, Field::ALL.len() + Field::PARTS.len()));
        assert!(Field::parse("git.nickname").is_err() && Field::parse("cwd.sha").is_err());
    }

    #[test]
    fn a_copy_with_some_fields_has_no_others() {
        let session = Session {
            id: Some(Id::parse("0199a213-81c0-7800-8aa1-bbab2a035a53").unwrap()),
            name: Some("n".into()),
            cwd: Some("/w".into()),
            git: Some(Git::default()),
            tokens_used: Some(7),
            ..Session::default()
        };
        for fields in [&[][..], &[Field::Id], &[Field::Name, Field::Git], Field::ALL] {
            let copy = session.owned(fields);
            for field in Field::ALL.iter().copied() {
                let want = if fields.contains(&field) { &session } else { &Session::default() };
                let value = |session: &Session<'_>| serde_json::to_value(session.value(field)).unwrap();
                assert_eq!(value(&copy), value(want), "{field:?} of {fields:?}");
            }
        }
    }

    #[test]
    fn the_fields_of_a_listing_are_those_written_without_the_rollout() {
        for field in Field::ALL.iter().copied() {
            assert_eq!(
                Field::LISTED.contains(&field),
                Session::default().value(field).is_some(),
                "{field:?}"
            );
            let is_of_rollout = field.needs().has(Needs::ROLLOUT) || field == Field::Host;
            assert_eq!(!Field::LISTED.contains(&field), is_of_rollout, "{field:?}");
        }
    }
}
