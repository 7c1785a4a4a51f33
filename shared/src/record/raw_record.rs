//! Records that somebody else wrote: what is not ours in them goes through to the byte.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Field, Session};
use crate::error::{Error, Result};
use crate::store::RawObject;

/// A record that came in on a pipe: its text to the byte, and the two fields that decide where it
/// goes. Nothing of it passes through another form, so that numbers and order survive.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// The record as it was written.
    pub text: Box<RawValue>,
    /// Its `type`.
    pub kind: Option<String>,
    /// Its `id`. In a record of a type that is not ours it may be anything, and is none unless it is a string.
    pub id: Option<String>,
}

impl RawRecord {
    /// Looks into a record. Anything but an object is an error that says what was expected.
    pub fn new(text: Box<RawValue>) -> Result<RawRecord> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(rename = "type", borrow, default)]
            kind: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            id: Option<&'a RawValue>,
        }
        let head: Head<'_> = serde_json::from_str(text.get()).map_err(|error| {
            let why = error.to_string();
            Error::new(format!("expected a record: {}", why.split(" at line ").next().unwrap_or(&why)))
        })?;
        let kind = head.kind.map(Cow::into_owned);
        let is_session = kind.as_deref().is_none_or(|kind| kind == "session");
        let id = match head.id.map(|id| serde_json::from_str::<String>(id.get())) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) if !is_session => None,
            Some(Err(_)) => return Err(Error::new("expected a session record: the id is not a string")),
        };
        Ok(RawRecord { text, kind, id })
    }
}

/// A session record with what a record on the pipe had beyond it: fresh known fields first, then the
/// foreign fields with their text to the byte.
pub struct MergedRecord<'s> {
    /// The session as the index has it now.
    pub session: &'s Session<'s>,
    /// The record as it came in.
    pub foreign: &'s RawValue,
}

impl Serialize for MergedRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "session")?;
        for &field in Field::ALL {
            if let Some(value) = self.session.value(field) {
                map.serialize_entry(field.name(), &value)?;
            }
        }
        for (key, value) in RawObject::entries(self.foreign) {
            let written =
                Field::ALL.iter().any(|field| field.name() == key && self.session.value(*field).is_some());
            if key != "type" && !written {
                map.serialize_entry(&key, &value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn foreign_fields_survive_to_the_byte() {
        let foreign =
            raw(r#"{"x": 1.0e400 ,"id":"old","big":123456789012345678901234567890,"forked_from":"kept"}"#);
        let session = Session { name: Some("n".into()), ..Session::default() };
        let text = serde_json::to_string(&MergedRecord { session: &session, foreign: &foreign }).unwrap();
        assert!(
            text.ends_with(r#""x":1.0e400,"big":123456789012345678901234567890,"forked_from":"kept"}"#),
            "{text}"
        );
        assert_eq!(text.matches("\"id\"").count(), 1);
    }

    #[test]
    fn only_objects_are_records() {
        assert_eq!(RawRecord::new(raw(r#"{"type":"x","id":"y"}"#)).unwrap().kind.unwrap(), "x");
        assert_eq!(RawRecord::new(raw(r#"{"type":"x","id":{"a":1}}"#)).unwrap().id, None);
        let error = RawRecord::new(raw(r#"{"id":3}"#)).unwrap_err();
        assert!(error.message().ends_with("the id is not a string"), "{error}");
    }
}
