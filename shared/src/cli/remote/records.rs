//! The field `host` of records.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::store::RawObject;

/// The record with this host, behind its type; `None` if the line is no record. A host that the record names already,
/// which another machine has written, is replaced.
pub fn with_host<'l>(line: &'l [u8], host: &str) -> Option<Cow<'l, str>> {
    let line = std::str::from_utf8(line).ok()?.trim();
    if !line.starts_with('{') {
        return None;
    }
    let host = serde_json::to_string(host).ok()?;
    let kind = line.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
    if kind.is_some_and(|kind| kind.contains('\\')) || line.contains("\"host\"") || line.contains("\\u") {
        return rewritten(line, &host).map(Cow::Owned);
    }
    serde_json::from_str::<IgnoredAny>(line).ok()?;
    // Behind `{"type":"..."`, or in front of all other members.
    let kind = line.strip_prefix("{\"type\":\"").and_then(|rest| rest.find('"'));
    let at = kind.map_or(1, |end| "{\"type\":\"".len() + end + 1);
    let (before, after) = line.split_at_checked(at)?;
    let is_last = after.trim_start().starts_with('}');
    Some(Cow::Owned(match kind {
        Some(_) => format!("{before},\"host\":{host}{after}"),
        None => format!("{before}\"host\":{host}{}{after}", if is_last { "" } else { "," }),
    }))
}

/// As [`with_host`], for a record that may have a host: member by member.
fn rewritten(line: &str, host: &str) -> Option<String> {
    let object: &RawValue = serde_json::from_str(line).ok()?;
    let members: Vec<(String, Box<RawValue>)> =
        RawObject::entries(object).filter(|(name, _)| name != "host").collect();
    let mut out = String::with_capacity(line.len() + host.len() + 16);
    let (kind, others): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| name == "type");
    let mut add = |name: &str, value: &str| {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&format!("{}:{value}", serde_json::Value::from(name)));
    };
    kind.iter().for_each(|(name, value)| add(name, value.get()));
    add("host", host);
    others.iter().for_each(|(name, value)| add(name, value.get()));
    out.push('}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_host_that_was_asked() {
        for (line, want) in [
            (r#"{"type":"session","id":"a"}"#, Some(r#"{"type":"session","host":"h1","id":"a"}"#)),
            (r#"{"type":"x"}"#, Some(r#"{"type":"x","host":"h1"}"#)),
            (r#"{"id":"a"}"#, Some(r#"{"host":"h1","id":"a"}"#)),
            ("{}", Some(r#"{"host":"h1"}"#)),
            (r#"{"type":"a\"b","t":1}"#, Some(r#"{"type":"a\"b","host":"h1","t":1}"#)),
            (r#"{"type":"s","host":"evil","n":1.0e400}"#, Some(r#"{"type":"s","host":"h1","n":1.0e400}"#)),
            (r#"{"type":"s","\u0068ost":"evil"}"#, Some(r#"{"type":"s","host":"h1"}"#)),
            (r#"{"a":{"host":1},"type":"s"}"#, Some(r#"{"type":"s","host":"h1","a":{"host":1}}"#)),
            (r#"{"type":"s","a":"#, None),
            (r#"{"type":"s","a":1} x"#, None),
            ("Welcome to h1", None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(with_host(line.as_bytes(), "h1").as_deref(), want, "{line}");
        }
        assert_eq!(with_host(b"\xff", "h1"), None);
    }
}
