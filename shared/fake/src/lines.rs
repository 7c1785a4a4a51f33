//! The lines that a turn adds to a rollout, in the two forms of Codex since 0.101: `legacy`, and from 0.148 on
//! `paginated`, with numbered lines.

use serde_json::{Value, json};

use crate::line::{Line, Usage, event, message, policy, typed};
use crate::thread::Thread;
use crate::version::since;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// A turn that has not ended.
pub(super) struct OpenTurn {
    pub(super) id: String,
    pub(super) began: Timestamp,
}

impl OpenTurn {
    fn add_end(&self, payload: &mut Value, thread: &Thread<'_>) {
        if thread.has(since::STRICT) {
            let now = Timestamp::now();
            payload["completed_at"] = json!(now.0 / 1000);
            payload["duration_ms"] = json!(now.0 - self.began.0);
        }
        if thread.is_paginated {
            payload["started_at"] = json!(self.began.0 / 1000);
        }
        if has_roots(thread) {
            payload["root_turn_id"] = json!(self.id);
        }
    }
}

/// Whether turns have the id of the turn that they come from.
fn has_roots(thread: &Thread<'_>) -> bool {
    thread.is_paginated && thread.has(since::ROOT_TURNS)
}

/// The beginning of a turn, up to the message of the user.
pub(super) fn start_lines(thread: &Thread<'_>, turn: &OpenTurn, prompt: &str) -> Vec<Line> {
    let id = &turn.id;
    let mut started =
        json!({"turn_id": id, "model_context_window": 258_400, "collaboration_mode_kind": "default"});
    let mut context = json!({
        "turn_id": id, "cwd": thread.cwd, "approval_policy": "never", "sandbox_policy": policy(&thread.sandbox),
        "model": thread.model, "summary": "auto",
    });
    if thread.has(since::STRICT) {
        started["started_at"] = json!(turn.began.0 / 1000);
    }
    if has_roots(thread) {
        started["root_turn_id"] = json!(id);
        started["turn_attribution"] = json!({
            "turn_id": id, "turn_trigger": "exec", "parent_turn_id": null, "initiating_agent_path": null,
            "root_turn_id": id,
        });
        context["root_turn_id"] = json!(id);
    }
    let shown = match thread.is_paginated {
        true => {
            let content = json!([{"type": "text", "text": prompt, "text_elements": []}]);
            completed_item(
                thread,
                turn,
                json!({"type": "UserMessage", "id": Id::ordered(), "content": content}),
            )
        }
        false => {
            let payload = json!({"message": prompt, "images": [], "local_images": [], "text_elements": []});
            event("user_message", &payload)
        }
    };
    let sent = message("user", "input_text", prompt, json!({}));
    vec![event("task_started", &started), ("turn_context", context.to_string()), sent, shown]
}

/// An answer.
pub(super) fn answer_lines(thread: &Thread<'_>, turn: &OpenTurn, text: &str) -> Vec<Line> {
    let id = format!("msg_{}", Id::random().hex());
    let more = if thread.is_paginated { json!({"id": id}) } else { json!({}) };
    let item = message("assistant", "output_text", text, more);
    match thread.is_paginated {
        true => {
            let content = json!([{"type": "Text", "text": text}]);
            let shown = json!({"type": "AgentMessage", "id": id, "content": content});
            vec![completed_item(thread, turn, shown), item]
        }
        false => {
            let mut shown = json!({"message": text});
            if thread.has(since::PHASE) {
                shown["phase"] = Value::Null;
            }
            vec![event("agent_message", &shown), item]
        }
    }
}

/// A command that was run.
pub(super) fn command_lines(
    thread: &Thread<'_>,
    turn: &OpenTurn,
    command: &str,
    output: &str,
    code: i32,
) -> Vec<Line> {
    let id = format!("call_{}", Id::random().hex());
    let call = json!({"name": "shell", "arguments": json!({"command": command}).to_string(), "call_id": id});
    let mut lines = vec![("response_item", typed("function_call", &call))];
    if thread.is_paginated {
        let item = json!({
            "type": "CommandExecution", "id": id, "command": command, "aggregated_output": output,
            "exit_code": code, "status": "completed",
        });
        lines.push(completed_item(thread, turn, item));
    }
    let result = json!({"call_id": id, "output": output});
    lines.push(("response_item", typed("function_call_output", &result)));
    lines
}

fn completed_item(thread: &Thread<'_>, turn: &OpenTurn, item: Value) -> Line {
    let now = Timestamp::now().0;
    let payload = json!({
        "thread_id": thread.id, "turn_id": turn.id, "item": item, "started_at_ms": now, "completed_at_ms": now,
    });
    event("item_completed", &payload)
}

/// The cost of an answer.
pub(super) fn token_lines(thread: &Thread<'_>, turn: &OpenTurn, last: Usage) -> Vec<Line> {
    let (total, last) = (thread.total.to_json(&thread.store.version), last.to_json(&thread.store.version));
    let mut lines = Vec::new();
    if thread.is_paginated && thread.has(since::TOKEN_RECORDS) {
        let record = json!({
            "thread_id": thread.id, "turn_id": turn.id, "session_id": thread.id, "root_turn_id": turn.id,
            "usage": last, "turn_token_usage": last, "thread_token_usage": total,
        });
        lines.push(("token_usage_record", record.to_string()));
    }
    let info = json!({"total_token_usage": total, "last_token_usage": last, "model_context_window": 258_400});
    lines.push(event("token_count", &json!({"info": info, "rate_limits": null})));
    lines
}

/// The windows of the usage limits after a turn that met one.
pub(super) fn limit_line(resets_at: i64) -> Line {
    let window = |used_percent: f64, minutes: i64, resets_at: i64| json!({"used_percent": used_percent, "window_minutes": minutes, "resets_at": resets_at});
    let limits = json!({
        "limit_id": "codex", "primary": window(100.0, 300, resets_at), "secondary": window(37.0, 10_080, resets_at + 300_000),
    });
    event("token_count", &json!({"info": null, "rate_limits": limits}))
}

/// The end of a turn, with its last message or its failure.
pub(super) fn end_line(
    thread: &Thread<'_>,
    turn: &OpenTurn,
    last_message: Option<&str>,
    error: Option<(&str, &Value)>,
) -> Line {
    let mut payload = json!({"turn_id": turn.id, "last_agent_message": last_message});
    turn.add_end(&mut payload, thread);
    if let Some((message, info)) = error.filter(|_| thread.is_paginated) {
        payload["error"] = json!({"message": message, "codex_error_info": info});
    }
    event("task_complete", &payload)
}

/// The end of a turn that the user interrupted.
pub(super) fn abort_lines(thread: &Thread<'_>, turn: &OpenTurn) -> Vec<Line> {
    let text = "<turn_aborted>\nThe user interrupted the previous turn on purpose. Any running unified exec \
                processes were terminated. If any tools/commands were aborted, they may have partially executed; \
                verify current state before retrying.\n</turn_aborted>";
    let mut payload = json!({"turn_id": turn.id, "reason": "interrupted"});
    turn.add_end(&mut payload, thread);
    vec![message("user", "input_text", text, json!({})), event("turn_aborted", &payload)]
}

/// The usage in `turn.completed`: the total of the session.
pub(super) fn reported_usage(thread: &Thread<'_>) -> Value {
    let mut usage = thread.total.to_json(&thread.store.version);
    if let Value::Object(usage) = &mut usage {
        usage.remove("total_tokens");
        if !thread.has(since::REASONING_TOKENS) {
            usage.remove("reasoning_output_tokens");
        }
    }
    usage
}
