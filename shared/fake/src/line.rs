//! A line of a rollout, and the tokens that lines count.

use serde_json::{Value, json};

use crate::version::{Version, since};

/// The type of a line, and its payload as JSON.
pub(super) type Line = (&'static str, String);

/// The JSON of an object with its type first, as readers expect it.
pub(super) fn typed(kind: &str, rest: &Value) -> String {
    let rest = rest.to_string();
    match rest.len() {
        ..=2 => format!("{{\"type\":\"{kind}\"}}"),
        _ => format!("{{\"type\":\"{kind}\",{}", &rest[1..]),
    }
}

pub(super) fn event(kind: &str, rest: &Value) -> Line {
    ("event_msg", typed(kind, rest))
}

pub(super) fn message(role: &str, kind: &str, text: &str, more: Value) -> Line {
    let mut payload = json!({"role": role, "content": [{"type": kind, "text": text}]});
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    ("response_item", typed("message", &payload))
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) input: i64,
    pub(super) cached: i64,
    pub(super) output: i64,
}

impl Usage {
    /// The fixed cost of an answer.
    pub(super) const ONE: Usage = Usage { input: 100, cached: 10, output: 7 };

    pub(super) fn plus(self, more: Usage) -> Usage {
        Usage {
            input: self.input + more.input,
            cached: self.cached + more.cached,
            output: self.output + more.output,
        }
    }

    pub(super) fn total(self) -> i64 {
        self.input + self.output
    }

    pub(super) fn parse(value: &Value) -> Option<Usage> {
        let number = |name: &str| value[name].as_i64();
        Some(Usage {
            input: number("input_tokens")?,
            cached: number("cached_input_tokens").unwrap_or(0),
            output: number("output_tokens")?,
        })
    }

    pub(super) fn to_json(self, version: &Version) -> Value {
        let mut usage = json!({
            "input_tokens": self.input, "cached_input_tokens": self.cached, "output_tokens": self.output,
            "reasoning_output_tokens": 0, "total_tokens": self.total(),
        });
        if version.has(since::CACHE_WRITE_TOKENS) {
            usage["cache_write_input_tokens"] = json!(0);
        }
        usage
    }
}

/// The sandbox policy of rollouts and rows.
pub(super) fn policy(mode: &str) -> Value {
    match mode {
        "workspace-write" => json!({
            "type": mode, "network_access": false, "exclude_tmpdir_env_var": false, "exclude_slash_tmp": false,
        }),
        _ => json!({"type": mode}),
    }
}
