//! Ids of sessions.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// The id of a session: a UUID in its hyphenated form. Codex creates UUIDs of version 7, whose first 48 bits are the
/// milliseconds of their creation, so that ids sort by creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(uuid::Uuid);

impl Id {
    /// Parses the 36 characters of a hyphenated UUID, in either case.
    pub fn parse(text: &str) -> Option<Id> {
        if text.len() != 36 {
            return None;
        }
        uuid::Uuid::try_parse_ascii(text.as_bytes()).ok().map(Id)
    }

    /// A new random id (version 4) for objects of codex-agent, such as groups.
    #[doc(hidden)]
    pub fn random() -> Id {
        Id(uuid::Uuid::new_v4())
    }

    /// A new id that sorts by creation (version 7), as Codex creates it.
    #[doc(hidden)]
    pub fn ordered() -> Id {
        let random = uuid::Uuid::new_v4().as_u128() & !(0x000f_ffff_ffff_ffff << 76);
        let clock = Timestamp::now().0.unsigned_abs() as u128;
        Id(uuid::Uuid::from_u128(random | clock << 80 | 7 << 76))
    }

    /// The milliseconds since 1970 at which an id of version 7 was created; of any other UUID, its first bits.
    pub fn clock(self) -> i64 {
        (self.0.as_u128() >> 80) as i64
    }

    /// The time at which an id of version 7 was created; `None` for any other UUID.
    pub fn created_at(self) -> Option<Timestamp> {
        (self.0.get_version_num() == 7).then(|| Timestamp(self.clock()))
    }

    /// The 36 characters, in lower case.
    pub fn text(self) -> [u8; 36] {
        let mut text = [0; 36];
        self.0.hyphenated().encode_lower(&mut text);
        text
    }

    /// The *last* eight hex digits, for tables. Sessions of the same minute share the first eight.
    pub fn short(self) -> String {
        self.hex()[24..].to_owned()
    }

    /// The 32 hex digits without dashes.
    pub fn hex(self) -> String {
        self.0.simple().to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.hyphenated().encode_lower(&mut [0; 36]))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Id::parse(&text).ok_or_else(|| {
            serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &"a session id (a UUID)")
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "uuid",
            "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hyphenated_uuids_only() {
        let text = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
        let id = Id::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), "cd6d1b0c");
        assert_eq!(Timestamp(id.clock()).to_string(), "2026-11-22T10:50:00.413Z");
        assert_eq!(Id::parse(&text.to_uppercase()), Some(id));
        for wrong in ["01a202e08d5d7d6282cefdb2cd6d1b0c", "{01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0}", ""] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn new_ids_tell_when_they_were_made() {
        let before = Timestamp::now().0;
        let id = Id::ordered();
        assert!((before..=Timestamp::now().0).contains(&id.clock()), "{id}");
        assert!(id.to_string()[14..].starts_with('7') && "89ab".contains(&id.to_string()[19..20]), "{id}");
        assert_ne!(id, Id::ordered());
    }
}
