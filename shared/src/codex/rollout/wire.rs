//! The form in which Codex writes a line: an envelope about a payload, or the bare item of before September 2025.
//!
//! Every field is kept as raw JSON, and read only where it is of interest. A field of an unexpected form is as absent.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::time::Timestamp;

/// A piece of JSON that is parsed only if it is of interest.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// A line of a rollout.
#[derive(Default)]
pub(crate) struct Line<'a> {
    pub(crate) at: Option<Timestamp>,
    pub(crate) ordinal: Option<u64>,
    /// The type of the envelope; of a line without an envelope, `bare`.
    pub(crate) kind: Cow<'a, str>,
    /// The payload; of a line without an envelope, the line.
    pub(crate) fields: Fields<'a>,
}

macro_rules! fields {
    ($($name:ident $(= $key:literal)?),* $(,)?) => {
        /// The fields of a payload, or of an object in it.
        #[derive(Default)]
        pub(crate) struct Fields<'a> {
            $(pub(crate) $name: Raw<'a>,)*
            /// The item that an event is about; its fields are read with the line.
            pub(crate) item: Option<Box<Fields<'a>>>,
        }

        impl<'a> Fields<'a> {
            /// The field of a key; `None` if the key is of no interest.
            fn field(&mut self, key: &str) -> Option<&mut Raw<'a>> {
                #[allow(non_upper_case_globals)]
                mod keys {
                    $(pub(super) const $name: &str = fields!(@key $name $($key)?);)*
                }
                match key {
                    $(keys::$name => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
    (@key $name:ident $key:literal) => { $key };
    (@key $name:ident) => { stringify!($name) };
}

fields! {
    kind = "type", action, aggregated_output, arguments, author, call_id, changes, command, compaction_response_id, content,
    codex_error_info, completed_at, completed_at_ms, cli_version, cwd, duration_ms, encrypted_content, end_byte_offset,
    end_ordinal_exclusive, error, exit_code, findings, forked_from_id, goal, history_base, history_mode, id, images, info, input,
    invocation, is_error = "isError", last_agent_message, last_token_usage, local_images, message, metadata, model,
    mode, name, namespace, num_turns, objective, output, overall_explanation, parent_thread_id, path, pattern, activity = "kind",
    passthrough = "internal_chat_message_metadata_passthrough", content_item_kinds, phase, prompt, queries, query, reason,
    recipient, response_id, result, review_output, role, sandbox_policy, server, source, started_at, started_at_ms, status,
    stdout, subagent_history_start_ordinal, success, summary, summary_text, text, thread_id, thread_name, thread_settings, timestamp, tool, total_token_usage, turn_id,
    turn_id_camel = "turnId", url, usage, user_facing_hint,
}

impl<'a> Fields<'a> {
    /// The fields of the object that a text is; none if it is something else.
    pub(crate) fn of(text: &'a str) -> Fields<'a> {
        let mut fields = Fields::default();
        if text.starts_with('{') && parse(text, Into(&mut fields)).is_err() {
            return Fields::default();
        }
        fields
    }
}

impl<'a> Line<'a> {
    /// Passes the line that a text has, if it is one.
    pub(crate) fn read<T>(bytes: &[u8], take: impl FnOnce(&Line<'_>) -> T) -> Option<T> {
        Line::parse(&text_of_line(bytes)).map(|line| take(&line))
    }

    /// Reads a line, with or without its newline; `None` if it is not JSON.
    pub(crate) fn parse(line: &'a str) -> Option<Line<'a>> {
        let mut found = Line::default();
        let has_payload = parse(line, Outer(&mut found)).ok()?;
        if !has_payload {
            found.kind = "bare".into();
            found.fields = Fields::default();
            parse(line, Into(&mut found.fields)).ok()?;
        }
        Some(found)
    }
}

/// Reads a text that is one value.
fn parse<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> serde_json::Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// A key of an object, which is borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the envelope of a line into it, with the fields of the payload, and returns whether there is a payload.
struct Outer<'f, 'a>(&'f mut Line<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Outer<'_, 'a> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Outer<'_, 'a> {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a line")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut timestamp, mut ordinal, mut kind, mut has_payload): (Raw<'de>, Raw<'de>, Raw<'de>, _) =
            (None, None, None, None);
        while let Some(Key(key)) = map.next_key()? {
            let field = match &*key {
                "timestamp" => &mut timestamp,
                "ordinal" => &mut ordinal,
                "type" => &mut kind,
                "payload" if has_payload.is_none() => {
                    has_payload = Some(map.next_value_seed(Into(&mut self.0.fields))?);
                    continue;
                }
                "payload" => return Err(A::Error::duplicate_field("payload")),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if field.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        let line = self.0;
        line.at = text(timestamp).and_then(|at| Timestamp::parse(&at));
        line.ordinal = read(ordinal);
        line.kind = text(kind).unwrap_or_default();
        Ok(has_payload == Some(true))
    }
}

/// Reads the fields of an object into others, which are empty, so that they need not be moved; and returns whether the
/// value is not null. A value that is no object has no fields.
struct Into<'f, 'a>(&'f mut Fields<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Into<'_, 'a> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Into<'_, 'a> {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            if key == "item" {
                let mut item = Box::<Fields<'a>>::default();
                if map.next_value_seed(Into(&mut item))? && self.0.item.replace(item).is_some() {
                    return Err(A::Error::duplicate_field("item"));
                }
                continue;
            }
            match self.0.field(&key) {
                Some(field) if field.is_none() => *field = map.next_value()?,
                Some(_) => return Err(A::Error::custom("a field is there twice")),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(true)
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }
}

/// The text of a line, without what a damaged file has around it: NULs and blanks behind it, a mark of the byte order
/// before it. Bytes that are no text become replacement characters.
pub(crate) fn text_of_line(bytes: &[u8]) -> Cow<'_, str> {
    let is_text = |byte: &u8| !matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n');
    let bytes = &bytes[..bytes.iter().rposition(is_text).map_or(0, |at| at + 1)];
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    // Text without a fault is validated several times as fast as text that is mended.
    match std::str::from_utf8(bytes) {
        Ok(line) => Cow::Borrowed(line),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A value of a type, if it has this type.
pub(crate) fn read<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A string, with a replacement character for each surrogate without its other half.
pub(crate) fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let inside = raw?.get().strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inside.as_bytes()) {
        None => Some(Cow::Borrowed(inside)),
        Some(first) => unescaped(inside, first).map(Cow::Owned),
    }
}

pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    text(raw).map(Cow::into_owned)
}

/// The fields of the object in a value.
pub(crate) fn object<'a>(raw: Raw<'a>) -> Fields<'a> {
    raw.map_or_else(Fields::default, |raw| Fields::of(raw.get()))
}

pub(crate) fn list<'a>(raw: Raw<'a>) -> Vec<&'a RawValue> {
    read(raw).unwrap_or_default()
}

/// The members of an object, in their order.
pub(crate) fn members(raw: Raw<'_>) -> Vec<(String, &RawValue)> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);
    struct Each;
    impl<'de> Visitor<'de> for Each {
        type Value = Members<'de>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = map.next_entry()? {
                all.push(entry);
            }
            Ok(Members(all))
        }
    }
    impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Each)
        }
    }
    read::<Members<'_>>(raw).map_or_else(Vec::new, |members| members.0)
}

/// The text in the inside of a JSON string, which has its first escape at an offset; `None` for an invalid escape.
fn unescaped(inside: &str, first: usize) -> Option<String> {
    let mut out = String::with_capacity(inside.len());
    let (mut rest, mut next) = (inside, Some(first));
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some(at) = next {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(first) = unit(rest) {
            rest = &rest[6..];
            if (0xd800..0xdc00).contains(&first)
                && let Some(second) = unit(rest).filter(|unit| (0xdc00..0xe000).contains(unit))
            {
                out.extend(char::decode_utf16([first, second]).map(|c| c.unwrap_or('\u{fffd}')));
                rest = &rest[6..];
            } else {
                out.push(char::from_u32(first.into()).unwrap_or('\u{fffd}'));
            }
        } else {
            out.push(match rest.as_bytes().get(1)? {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                c @ (b'"' | b'\\' | b'/') => char::from(*c),
                _ => return None,
            });
            rest = &rest[2..];
        }
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_becomes_a_replacement_character() {
        let line = r#"{"type":"event_msg","payload":{"type":"agent_message","message":"a\ud83d b\ud83d\ude00\n\"\u00e9"}}"#;
        let line = Line::parse(line).unwrap();
        assert_eq!(text(line.fields.message).unwrap(), "a\u{fffd} b\u{1f600}\n\"é");
        assert_eq!(unescaped(r"a\x", 1), None);
        assert_eq!(unescaped(r"\ud83d\u0041", 0).unwrap(), "\u{fffd}A");
    }

    #[test]
    fn a_field_of_another_form_is_absent() {
        let line =
            Line::parse(r#"{"type":7,"ordinal":"x","payload":{"message":["a"],"turn_id":null}}"#).unwrap();
        assert_eq!((&*line.kind, line.ordinal), ("", None));
        assert!(text(line.fields.message).is_none() && line.fields.turn_id.is_none());
        assert_eq!(list(line.fields.message).len(), 1);
        assert!(Line::parse(r#"{"type":"message","role":"user"}"#).unwrap().kind == "bare");
        assert!(Line::parse("7").is_none() && Line::parse("{").is_none());
        let raw: &RawValue = serde_json::from_str(r#"{"b":1,"a":{"c":2}}"#).unwrap();
        let names: Vec<_> = members(Some(raw)).into_iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(names, [("b".to_owned(), "1"), ("a".to_owned(), "{\"c\":2}")]);
    }
}
