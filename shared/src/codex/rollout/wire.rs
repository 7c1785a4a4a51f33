//! The form in which Codex writes a line: an envelope about a payload, or the bare item of before September 2025.
//!
//! Every field is kept as raw JSON, and read only where it is of interest. A field of an unexpected form is as absent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::time::Timestamp;

/// A piece of JSON that is parsed only if it is of interest.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// A line of a rollout.
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
        #[derive(Default, Deserialize)]
        #[serde(bound(deserialize = "'de: 'a"), default)]
        pub(crate) struct Fields<'a> {
            $($(#[serde(rename = $key)])? pub(crate) $name: Raw<'a>,)*
        }
    };
}

fields! {
    kind = "type", action, aggregated_output, arguments, author, call_id, changes, command, compaction_response_id, content,
    codex_error_info, completed_at, completed_at_ms, cli_version, cwd, duration_ms, encrypted_content, end_byte_offset,
    end_ordinal_exclusive, error, exit_code, findings, forked_from_id, goal, history_base, history_mode, id, images, info, input,
    invocation, is_error = "isError", item, last_agent_message, last_token_usage, local_images, message, metadata, model,
    mode, name, namespace, num_turns, objective, output, overall_explanation, parent_thread_id, path, pattern, activity = "kind",
    passthrough = "internal_chat_message_metadata_passthrough", content_item_kinds, phase, prompt, queries, query, reason,
    recipient, response_id, result, review_output, role, sandbox_policy, server, source, started_at, started_at_ms, status,
    stdout, subagent_history_start_ordinal, success, summary, summary_text, text, thread_id, thread_name, thread_settings, timestamp, tool, total_token_usage, turn_id,
    turn_id_camel = "turnId", url, usage, user_facing_hint,
}

impl<'a> Line<'a> {
    /// Passes the line that a text has, if it is one.
    pub(crate) fn read<T>(bytes: &[u8], take: impl FnOnce(&Line<'_>) -> T) -> Option<T> {
        Line::parse(&text_of_line(bytes)).map(|line| take(&line))
    }

    /// Reads a line, with or without its newline; `None` if it is not JSON.
    pub(crate) fn parse(line: &'a str) -> Option<Line<'a>> {
        #[derive(Deserialize)]
        #[serde(bound(deserialize = "'de: 'a"))]
        struct Envelope<'a> {
            timestamp: Raw<'a>,
            ordinal: Raw<'a>,
            #[serde(rename = "type")]
            kind: Raw<'a>,
            #[serde(borrow)]
            payload: Option<Payload<'a>>,
        }
        let outer: Envelope<'a> = serde_json::from_str(line).ok()?;
        let at = text(outer.timestamp).and_then(|at| Timestamp::parse(&at));
        let ordinal = read(outer.ordinal);
        if let Some(payload) = outer.payload {
            return Some(Line { at, ordinal, kind: text(outer.kind).unwrap_or_default(), fields: payload.0 });
        }
        Some(Line { at, ordinal, kind: "bare".into(), fields: serde_json::from_str(line).ok()? })
    }
}

/// The fields of an object; a value of another type has none. They are read with the line, and not once more.
struct Payload<'a>(Fields<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Fields<'de>, A::Error> {
                Fields::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Fields<'de>, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Fields::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
        }
        deserializer.deserialize_any(Visitor).map(Payload)
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

/// A string inside something optional: serde borrows it only through a type of its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string, with a replacement character for each surrogate without its other half.
pub(crate) fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let json = raw?.get();
    match serde_json::from_str::<Text<'_>>(json) {
        Ok(text) => Some(text.0),
        Err(_) => lossy(json.strip_prefix('"')?.strip_suffix('"')?).map(Cow::Owned),
    }
}

pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    text(raw).map(Cow::into_owned)
}

/// The object or list of objects in a value.
pub(crate) fn object<'a>(raw: Raw<'a>) -> Fields<'a> {
    read(raw).unwrap_or_default()
}

pub(crate) fn list<'a>(raw: Raw<'a>) -> Vec<&'a RawValue> {
    read(raw).unwrap_or_default()
}

/// The members of an object, in their order.
pub(crate) fn members(raw: Raw<'_>) -> Vec<(String, &RawValue)> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Members<'de>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = map.next_entry()? {
                all.push(entry);
            }
            Ok(Members(all))
        }
    }
    impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Visitor)
        }
    }
    read::<Members<'_>>(raw).map_or_else(Vec::new, |members| members.0)
}

/// Reads the inside of a JSON string with surrogates that have no other half; `None` for any other error.
fn lossy(inside: &str) -> Option<String> {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some(at) = rest.find('\\') {
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
        assert_eq!(lossy(r"a\x"), None);
        assert_eq!(lossy(r"\ud83d\u0041").unwrap(), "\u{fffd}A");
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
