//! The roles of the items that a line may become, by the types that stand at its beginning.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::transcript::head::{HEAD, next_type, value};
use crate::transcript::record::Role;

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Roles(u32);

impl Roles {
    pub(super) const NONE: Roles = Roles(0);
    pub(super) const ALL: Roles = Roles(u32::MAX);

    pub(super) const fn of(roles: &[Role]) -> Roles {
        let (mut set, mut at) = (0, 0);
        while at < roles.len() {
            set |= 1 << roles[at] as u32;
            at += 1;
        }
        Roles(set)
    }

    pub(super) fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u32) != 0
    }

    pub(super) fn meets(self, other: Roles) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all roles are among others.
    pub(super) fn is_within(self, others: Roles) -> bool {
        self.0 & !others.0 == 0
    }
}

/// The roles whose texts stand in a line as a whole, and are known without the lines around it.
pub(super) const MESSAGES: Roles = Roles::of(&[Role::User, Role::Assistant]);

/// The roles whose texts are put together from pieces of lines.
pub(super) const PIECES: Roles =
    Roles::of(&[Role::Command, Role::Patch, Role::Search, Role::Tool, Role::Image, Role::Review]);

/// The beginning of a finished item.
static ITEM: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"item\":{\"type\":\""));

/// The roles of the items that a line may become. A line of an unknown form may become any.
pub(super) fn roles_of_line(line: &[u8]) -> Roles {
    let head = &line[..line.len().min(HEAD)];
    let Some((envelope, rest)) = next_type(head) else { return Roles::ALL };
    // Another order of keys, or an item without an envelope.
    let Some(rest) = rest.strip_prefix(b",\"payload\":{") else { return Roles::ALL };
    match envelope {
        b"event_msg" => payload_type(rest).map_or(Roles::ALL, |(kind, rest)| roles_of_event(kind, rest)),
        b"response_item" => {
            payload_type(rest).map_or(Roles::ALL, |(kind, rest)| roles_of_response(kind, rest))
        }
        b"compacted" => Roles::of(&[Role::Compaction]),
        b"session_meta"
        | b"turn_context"
        | b"token_usage_record"
        | b"world_state"
        | b"retained_context"
        | b"inter_agent_communication_metadata"
        | b"additional_tools"
        | b"configuration_update"
        | b"thread_settings_applied" => Roles::NONE,
        _ => Roles::ALL,
    }
}

/// The type of the payload, if it is the first key of it, as Codex writes it.
fn payload_type(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    value(rest.strip_prefix(b"\"type\":")?)
}

/// The role of a message.
fn role(rest: &[u8]) -> Option<&[u8]> {
    static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"role\":"));
    value(&rest[KEY.find(rest)? + KEY.needle().len()..]).map(|(role, _)| role)
}

fn roles_of_event(kind: &[u8], rest: &[u8]) -> Roles {
    match kind {
        b"user_message" => Roles::of(&[Role::User]),
        b"agent_message" => Roles::of(&[Role::Assistant]),
        b"item_completed" => match ITEM.find(rest) {
            Some(at) => match next_type(&rest[at..]) {
                Some((kind, _)) => roles_of_item(kind),
                None => Roles::ALL,
            },
            None => Roles::ALL,
        },
        b"patch_apply_end" => Roles::of(&[Role::Patch]),
        b"mcp_tool_call_end" => Roles::of(&[Role::Tool]),
        b"web_search_end" => Roles::of(&[Role::Search]),
        b"entered_review_mode" | b"exited_review_mode" => Roles::of(&[Role::Review]),
        // Where the line of the model is missing, these are the reasoning.
        b"agent_reasoning" => Roles::of(&[Role::Reasoning]),
        b"thread_goal_updated" => Roles::of(&[Role::Goal]),
        b"task_started"
        | b"turn_started"
        | b"task_complete"
        | b"turn_complete"
        | b"turn_aborted"
        | b"token_count"
        | b"context_compacted"
        | b"thread_rolled_back" => Roles::NONE,
        _ => Roles::ALL,
    }
}

fn roles_of_item(kind: &[u8]) -> Roles {
    match kind {
        b"UserMessage" => Roles::of(&[Role::User]),
        b"AgentMessage" => Roles::of(&[Role::Assistant]),
        b"Reasoning" => Roles::of(&[Role::Reasoning]),
        b"Plan" => Roles::of(&[Role::Plan]),
        b"CommandExecution" => Roles::of(&[Role::Command, Role::Output]),
        b"FileChange" => Roles::of(&[Role::Patch]),
        b"WebSearch" => Roles::of(&[Role::Search]),
        b"McpToolCall" => Roles::of(&[Role::Tool]),
        b"CollabAgentToolCall" => Roles::of(&[Role::Agent]),
        _ => Roles::ALL,
    }
}

fn roles_of_response(kind: &[u8], rest: &[u8]) -> Roles {
    match kind {
        b"message" => match role(rest) {
            Some(b"user") => Roles::of(&[Role::User, Role::Command, Role::Output]),
            Some(b"assistant") => Roles::of(&[Role::Assistant]),
            Some(b"developer" | b"system") => Roles::NONE,
            _ => Roles::ALL,
        },
        b"reasoning" => Roles::of(&[Role::Reasoning]),
        b"agent_message" => Roles::of(&[Role::Agent]),
        b"web_search_call" => Roles::of(&[Role::Search]),
        // Calls and outputs have any role but those of messages.
        _ if kind.ends_with(b"_call") || kind.ends_with(b"_call_output") => Roles(!MESSAGES.0),
        _ => Roles::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_a_line_decide() {
        let of = |line: &str| roles_of_line(line.as_bytes());
        let user = r#"{"timestamp":"2026-11-29T10:00:00.000Z","ordinal":3,"type":"event_msg","payload":{"type":"item_completed","thread_id":"x","turn_id":"y","item":{"type":"UserMessage","id":"z"}}}"#;
        assert_eq!(of(user), Roles::of(&[Role::User]));
        let copy = r#"{"timestamp":"x","type":"response_item","payload":{"type":"message","id":"m","role":"developer","content":[]}}"#;
        assert_eq!(of(copy), Roles::NONE);
        let event = r#"{"type":"event_msg","payload":{"type":"agent_reasoning","text":"x"}}"#;
        assert_eq!(of(event), Roles::of(&[Role::Reasoning]));
        for any in [
            r#"{"type":"message","role":"user","content":[]}"#,
            r#"{"type": "event_msg"}"#,
            r#"{"payload":{"type":"event_msg"}}"#,
            "",
        ] {
            assert_eq!(of(any), Roles::ALL, "{any}");
        }
        let call = of(r#"{"type":"response_item","payload":{"type":"function_call","name":"x"}}"#);
        assert!(call.has(Role::Todo) && !call.meets(MESSAGES));
        assert!(MESSAGES.is_within(Roles::ALL) && !Roles::ALL.is_within(MESSAGES));
    }
}
