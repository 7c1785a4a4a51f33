//! Records of other programs, which are passed through to the byte.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::ndjson::json_reason;

/// A record from a pipe: its text to the byte, so that numbers and order are kept, and the two fields that a tool
/// needs to route the record.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// The record as it was written.
    pub text: Box<RawValue>,
    /// The field `type`.
    pub kind: Option<String>,
    /// The field `id`, if it is a string. Only a session record must have a string.
    pub id: Option<String>,
}

impl RawRecord {
    /// Reads the two fields of a record. An error names what was expected.
    pub fn new(text: Box<RawValue>) -> Result<RawRecord> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(rename = "type", borrow, default)]
            kind: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            id: Option<&'a RawValue>,
        }
        let head: Head<'_> = serde_json::from_str(text.get())
            .map_err(|error| Error::new(format!("expected a record: {}", json_reason(&error))))?;
        let kind = head.kind.map(Cow::into_owned);
        let is_session = kind.as_deref().is_none_or(|kind| kind == "session");
        let id = match head.id.map(|id| serde_json::from_str::<String>(id.get())).transpose() {
            Ok(id) => id,
            Err(_) if !is_session => None,
            Err(_) => return Err(Error::new("expected a session record: the id is not a string")),
        };
        Ok(RawRecord { text, kind, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{MergedRecord, Session};

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
