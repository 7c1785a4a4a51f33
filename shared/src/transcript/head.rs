//! What the beginning of a line shows about the rest, so that a line need not be parsed.
//!
//! Only lines with their keys in Codex's order are recognised; any other line is [`Head::Other`].

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The length of the beginning in which the types of a line stand.
pub(super) const HEAD: usize = 512;

/// What a line is about.
#[derive(Debug, PartialEq)]
pub(super) enum Head<'l> {
    /// A line that no item comes from: a count of tokens, reasoning without a summary, text for the model alone.
    OfNoItem,
    /// A call, or reasoning, of the model: neither a message nor a part of one.
    OfNoMessage,
    /// The output of a call with this id, which has no escapes.
    Output(&'l [u8]),
    /// The end of the command with this id, which has no escapes.
    Command(&'l [u8]),
    /// Any other line.
    Other,
}

/// The beginning of the item of a command, up to its id.
static COMMAND: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"\"item\":{\"type\":\"CommandExecution\",\"id\":"));

impl Head<'_> {
    pub(super) fn of(line: &[u8]) -> Head<'_> {
        Head::read(&line[..line.len().min(HEAD)]).unwrap_or(Head::Other)
    }

    fn read(head: &[u8]) -> Option<Head<'_>> {
        let (envelope, rest) = next_type(head)?;
        let rest = rest.strip_prefix(b",\"payload\":{")?;
        let is_of_none = match envelope {
            b"token_usage_record" | b"world_state" | b"retained_context" | b"additional_tools" => true,
            b"event_msg" => {
                let (kind, rest) = value(rest.strip_prefix(b"\"type\":")?)?;
                if kind == b"item_completed" {
                    let at = COMMAND.find(rest)? + COMMAND.needle().len();
                    return Some(Head::Command(value(&rest[at..])?.0));
                }
                kind == b"token_count"
            }
            b"response_item" => {
                let (kind, rest) = value(rest.strip_prefix(b"\"type\":")?)?;
                if kind.ends_with(b"_call_output") {
                    let (call, _) = value(rest.strip_prefix(b",\"call_id\":")?)?;
                    return Some(Head::Output(call));
                }
                let rest = match rest.strip_prefix(b",\"id\":") {
                    Some(rest) => value(rest)?.1,
                    None => rest,
                };
                match kind {
                    b"reasoning" if rest.starts_with(b",\"summary\":[],") => true,
                    b"reasoning" | b"function_call" | b"custom_tool_call" => return Some(Head::OfNoMessage),
                    b"message" => rest.starts_with(b",\"role\":\"developer\","),
                    _ => false,
                }
            }
            _ => false,
        };
        is_of_none.then_some(Head::OfNoItem)
    }
}

/// The value of the next `type`, and what follows it.
pub(super) fn next_type(head: &[u8]) -> Option<(&[u8], &[u8])> {
    // A finder is built once, not for each line.
    static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"type\":\""));
    let at = TYPE.find(head)? + TYPE.needle().len();
    let end = at + memchr::memchr(b'"', &head[at..])?;
    Some((&head[at..end], &head[end + 1..]))
}

/// A string without escapes, and what follows it.
pub(super) fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', inside).filter(|end| inside[*end] == b'"')?;
    Some((&inside[..end], &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_the_order_of_codex_are_recognised() {
        let line = |kind: &str, payload: &str| {
            format!(r#"{{"timestamp":"x","ordinal":3,"type":"{kind}","payload":{{{payload}}}}}"#)
        };
        for (kind, payload) in [
            ("token_usage_record", r#""thread_id":"x""#),
            ("event_msg", r#""type":"token_count","info":null"#),
            ("response_item", r#""type":"reasoning","id":"x","summary":[],"encrypted_content":"y""#),
            ("response_item", r#""type":"message","role":"developer","content":[]"#),
        ] {
            assert_eq!(Head::of(line(kind, payload).as_bytes()), Head::OfNoItem, "{payload}");
        }
        let output = line("response_item", r#""type":"custom_tool_call_output","call_id":"c1","output":"y""#);
        assert_eq!(Head::of(output.as_bytes()), Head::Output(b"c1"));
        for payload in [
            r#""type":"reasoning","summary":[{"type":"summary_text"}]"#,
            r#""type":"function_call","id":"x","name":"shell","arguments":"{}","call_id":"c""#,
        ] {
            assert_eq!(Head::of(line("response_item", payload).as_bytes()), Head::OfNoMessage, "{payload}");
        }
        let item = |kind: &str| {
            format!(r#""type":"item_completed","turn_id":"t","item":{{"type":"{kind}","id":"c2","x":1}}"#)
        };
        let command = line("event_msg", &item("CommandExecution"));
        assert_eq!(Head::of(command.as_bytes()), Head::Command(b"c2"));
        assert_eq!(Head::of(line("event_msg", &item("AgentMessage")).as_bytes()), Head::Other);
        for (kind, payload) in [
            ("event_msg", r#""type":"task_started""#),
            ("event_msg", r#""info":null,"type":"token_count""#),
            ("response_item", r#""type":"message","role":"user","content":[]"#),
            ("response_item", r#""type":"function_call_output","call_id":"c\"","output":"y""#),
            ("response_item", r#""type":"function_call_output","output":"y","call_id":"c""#),
            ("compacted", r#""type":"token_count","message":"x""#),
        ] {
            assert_eq!(Head::of(line(kind, payload).as_bytes()), Head::Other, "{payload}");
        }
        assert_eq!(Head::of(br#"{"payload":{"type":"token_count"},"type":"event_msg"}"#), Head::Other);
        assert_eq!(Head::of(br#"{"type":"token_count","#), Head::Other);
    }
}
