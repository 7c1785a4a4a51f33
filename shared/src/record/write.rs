//! A session record as JSON: complete, with chosen fields, and fast.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Field, Session, Value};
use crate::store::RawObject;

/// The first member of a session record.
const TYPE: (&str, Value<'_>) = ("type", Value::Text("session"));

impl Session<'_> {
    /// The members of the record in order, `type` first, without the fields for which the rollout was not read.
    fn members(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let fields = Field::ALL.iter().filter_map(|field| Some((field.name(), self.value(*field)?)));
        std::iter::once(TYPE).chain(fields)
    }

    /// Writes the record as JSON, with the same bytes as its [`Serialize`]. A listing spends most of its time here,
    /// and serde_json a third of that on the search for characters to escape in keys and ids.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        write_object(self.members(), out);
    }
}

impl Serialize for Session<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

fn write_object<'v>(members: impl IntoIterator<Item = (&'static str, Value<'v>)>, out: &mut Vec<u8>) {
    let mut before: &[u8] = b"{\"";
    for (name, value) in members {
        out.extend_from_slice(before);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Text(text) => write_string(text, out),
            Value::Id(id) => write_unescaped_string(&id.text(), out),
            Value::Time(at) => write_unescaped_string(&at.text(), out),
            Value::Git(git) => write_object(git.members(), out),
            // A vector accepts every write, and these values have nothing that JSON lacks.
            other => drop(serde_json::to_writer(&mut *out, &other)),
        }
        before = b",\"";
    }
    out.push(b'}');
}

fn write_unescaped_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Writes a JSON string. Most text has nothing to escape, and is copied.
fn write_string(text: &str, out: &mut Vec<u8>) {
    let escapes = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // A fold without an early exit lets the compiler compare many bytes at a time.
    let is_plain = |chunk: &[u8]| !chunk.iter().fold(false, |found, byte| found | escapes(byte));
    if text.as_bytes().chunks(64).all(is_plain) {
        write_unescaped_string(text.as_bytes(), out);
    } else {
        drop(serde_json::to_writer(&mut *out, text));
    }
}

/// A session record that is based on a record from a pipe: the known fields as they are now, then the foreign fields
/// with their text to the byte.
pub struct MergedRecord<'s> {
    /// The session of the index.
    pub session: &'s Session<'s>,
    /// The record from the pipe.
    pub foreign: &'s RawValue,
}

impl Serialize for MergedRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.session.members() {
            map.serialize_entry(name, &value)?;
        }
        for (key, value) in RawObject::entries(self.foreign) {
            if self.session.members().all(|(name, _)| name != key) {
                map.serialize_entry(&key, &value)?;
            }
        }
        map.end()
    }
}
