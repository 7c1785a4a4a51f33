//! A session record as JSON: whole, in the fields that were asked for, and fast.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Field, Session, Value};

impl Session<'_> {
    /// Writes the record as JSON, byte for byte what its [`Serialize`] writes. Listings write little
    /// else, and a third of their time went into looking at keys and ids for characters to escape.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"session\"");
        for &field in Field::ALL {
            let Some(value) = self.value(field) else { continue };
            out.extend_from_slice(b",\"");
            out.extend_from_slice(field.name().as_bytes());
            out.extend_from_slice(b"\":");
            match value {
                Value::Null => out.extend_from_slice(b"null"),
                Value::Text(text) => write_text(text, out),
                Value::Id(id) => write_plain(&id.text(), out),
                Value::Time(at) => write_plain(&at.text(), out),
                Value::Git(git) => {
                    let mut before = b"{\"".as_slice();
                    for (key, part) in
                        [("sha", &git.sha), ("branch", &git.branch), ("origin_url", &git.origin_url)]
                    {
                        out.extend_from_slice(before);
                        out.extend_from_slice(key.as_bytes());
                        out.extend_from_slice(b"\":");
                        match part {
                            Some(text) => write_text(text, out),
                            None => out.extend_from_slice(b"null"),
                        }
                        before = b",\"";
                    }
                    out.push(b'}');
                }
                // A Vec takes everything, and these have nothing in them that JSON has not.
                other => drop(serde_json::to_writer(&mut *out, &other)),
            }
        }
        out.push(b'}');
    }
}

impl Serialize for Session<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "session")?;
        for &field in Field::ALL {
            if let Some(value) = self.value(field) {
                map.serialize_entry(field.name(), &value)?;
            }
        }
        map.end()
    }
}

fn write_plain(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// A JSON string. Text without anything to escape, which is most, is copied.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let escapes = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // Without a way out in the middle the compiler looks at many bytes at once.
    let clean = |chunk: &[u8]| !chunk.iter().fold(false, |found, byte| found | escapes(byte));
    if text.as_bytes().chunks(64).all(clean) {
        write_plain(text.as_bytes(), out);
    } else {
        drop(serde_json::to_writer(&mut *out, text));
    }
}

/// A session record with only the fields that were asked for, in that order.
pub struct Chosen<'s> {
    /// The whole record.
    pub session: &'s Session<'s>,
    /// The fields to write.
    pub fields: &'s [Field],
}

impl Serialize for Chosen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "session")?;
        for (at, field) in self.fields.iter().enumerate() {
            if self.fields[..at].contains(field) {
                continue;
            }
            let value = self.session.value(*field).unwrap_or(Value::Null);
            map.serialize_entry(field.name(), &value)?;
        }
        map.end()
    }
}
