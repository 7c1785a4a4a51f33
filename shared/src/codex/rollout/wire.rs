//! The form in which Codex writes a line: an envelope about a payload, or the bare item of before September 2025.
//!
//! Every field is kept as raw JSON, and read only where it is of interest. A field of an unexpected form is as absent.

use std::borrow::Cow;

use serde::Deserialize;

use super::json::{Cursor, Json, unescaped};
use crate::time::Timestamp;

/// A piece of JSON that is parsed only if it is of interest; a null is as absent.
pub(crate) type Raw<'a> = Option<Json<'a>>;

/// A line of a rollout.
#[derive(Default)]
pub(crate) struct Line<'a> {
    timestamp: Raw<'a>,
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
        let (mut fields, mut cursor) = (Fields::default(), Cursor::of(text));
        match fields.read(&mut cursor, false).filter(|_| cursor.is_at_end()) {
            Some(_) => fields,
            None => Fields::default(),
        }
    }

    /// Reads the fields of the next value into empty ones, so that they need not be moved, perhaps with those of its item;
    /// returns whether the value is not null. A value that is no object has no fields.
    fn read(&mut self, cursor: &mut Cursor<'a>, has_item: bool) -> Option<bool> {
        if cursor.next() != Some(b'{') {
            return cursor.value().map(|value| value.get() != "null");
        }
        cursor.members(|key, value| {
            if has_item && key == "item" {
                let mut item = Box::<Fields<'a>>::default();
                if item.read(value, false)? {
                    self.item = Some(item);
                }
                return Some(());
            }
            let found = value.value()?;
            if let Some(field) = self.field(key) {
                *field = Some(found).filter(|found| found.get() != "null");
            }
            Some(())
        })?;
        Some(true)
    }
}

impl<'a> Line<'a> {
    /// The time in the envelope. Most lines are read without it.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        text(self.timestamp).and_then(|at| Timestamp::parse(&at))
    }

    /// Passes the line that a text has, if it is one.
    pub(crate) fn read<T>(bytes: &[u8], take: impl FnOnce(&Line<'_>) -> T) -> Option<T> {
        Line::parse(&text_of_line(bytes)).map(|line| take(&line))
    }

    /// Reads a line, with or without its newline; `None` if it is not JSON.
    pub(crate) fn parse(text: &'a str) -> Option<Line<'a>> {
        let mut line = Line::default();
        let mut has_payload = false;
        let mut cursor = Cursor::of(text);
        cursor.members(|key, value| {
            match key {
                "payload" => has_payload = line.fields.read(value, true)?,
                "timestamp" => line.timestamp = Some(value.value()?),
                "ordinal" => line.ordinal = read(value.value()),
                "type" => line.kind = string_of(value.value()?).unwrap_or_default(),
                _ => drop(value.value()?),
            }
            Some(())
        })?;
        if !cursor.is_at_end() {
            return None;
        }
        if !has_payload {
            line.kind = "bare".into();
            line.fields = Fields::default();
            line.fields.read(&mut Cursor::of(text), true)?;
        }
        Some(line)
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
    string_of(raw?)
}

fn string_of(value: Json<'_>) -> Option<Cow<'_, str>> {
    unescaped(value.get().strip_prefix('"')?.strip_suffix('"')?)
}

pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    text(raw).map(Cow::into_owned)
}

/// The fields of the object in a value.
pub(crate) fn object<'a>(raw: Raw<'a>) -> Fields<'a> {
    raw.map_or_else(Fields::default, |raw| Fields::of(raw.get()))
}

/// The values of a list.
pub(crate) fn list<'a>(raw: Raw<'a>) -> Vec<Json<'a>> {
    raw.and_then(|raw| Cursor::of(raw.get()).values()).unwrap_or_default()
}

/// The members of an object, in their order.
pub(crate) fn members<'a>(raw: Raw<'a>) -> Vec<(String, Json<'a>)> {
    let Some(raw) = raw else { return Vec::new() };
    let mut all = Vec::new();
    let found = Cursor::of(raw.get()).members(|key, value| {
        all.push((key.to_owned(), value.value()?));
        Some(())
    });
    found.map_or_else(Vec::new, |()| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_becomes_a_replacement_character() {
        let line = r#"{"type":"event_msg","payload":{"type":"agent_message","message":"a\ud83d b\ud83d\ude00\n\"\u00e9"}}"#;
        let line = Line::parse(line).unwrap();
        assert_eq!(text(line.fields.message).unwrap(), "a\u{fffd} b\u{1f600}\n\"é");
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
        let raw = Json::of(r#"{"b":1,"a":{"c":2}}"#);
        let names: Vec<_> = members(raw).into_iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(names, [("b".to_owned(), "1"), ("a".to_owned(), "{\"c\":2}")]);
    }
}
