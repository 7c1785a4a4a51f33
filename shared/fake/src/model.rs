//! Failures of the model service, in the words of each version.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::version::{Version, since};
use crate::words::Words;
use codex_agent_shared::time::Timestamp;

/// A failed turn: the printed message, and the error info of the rollout.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) info: Value,
    /// The time when a usage limit resets, in seconds since 1970.
    pub(super) resets_at: Option<i64>,
}

/// The failure that the words ask for.
pub(super) fn refusal(version: &Version, words: &Words<'_>, home: &Path) -> Option<Refusal> {
    let new = version.has(since::NEW_WORDS);
    let apostrophe = if new { '’' } else { '\'' };
    let refusal =
        |message: &str, info: Value| Some(Refusal { message: message.to_owned(), info, resets_at: None });
    let limit = |end: &str| {
        refusal(&format!("You{apostrophe}ve hit your usage limit. {end}"), json!("usage_limit_exceeded"))
    };
    let unexpected = |status: &str, code: &str| {
        format!("unexpected status {status}: refused: {code}, url: http://127.0.0.1/v1/responses")
    };
    let body = |code: &str| {
        json!({"error": {"type": code, "code": code, "message": format!("refused: {code}")}}).to_string()
    };
    let connection = |status: u16| json!({"http_connection_failed": {"http_status_code": status}});
    let overflow = "Codex ran out of room in the model's context window. Start a new thread or clear earlier history \
                    before retrying.";
    if let Some(reset) = words.limit().and_then(|seconds| limit_end(home, seconds)) {
        let page = if new { "settings/usage" } else { "codex/settings/usage" };
        let resets_at = Some((reset.0 + 999) / 1000);
        // Whole minutes, rounded down, as Codex prints them.
        let reset = reset.local("%-I:%M %p");
        let refused = limit(&format!(
            "Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/{page} to purchase more \
             credits or try again at {reset}."
        ));
        return refused.map(|refused| Refusal { resets_at, ..refused });
    }
    words.iter().find_map(|word| match word {
        "LIMITX" => limit("Try again later."),
        "FAIL400" => refusal(&body("invalid_request_error"), json!("other")),
        "FAIL401" => refusal(&unexpected("401 Unauthorized", "invalid_api_key"), connection(401)),
        "FAIL403" => refusal(&unexpected("403 Forbidden", "forbidden"), connection(403)),
        "FAIL500" => {
            let why = "currently experiencing high demand, which may cause temporary errors.";
            refusal(&format!("We{apostrophe}re {why}"), json!("internal_server_error"))
        }
        "OVERLOADED" => {
            let message = "Selected model is at capacity. Please try a different model.";
            refusal(message, json!("server_overloaded"))
        }
        "CONTEXT" if new => refusal(overflow, json!("context_window_exceeded")),
        "CONTEXT" => refusal(&body("context_length_exceeded"), json!("context_window_exceeded")),
        "NOMODEL" if new => refusal("refused: model_not_found", json!("model_not_found")),
        "NOMODEL" => refusal(&unexpected("404 Not Found", "model_not_found"), json!("model_not_found")),
        "RATELIMIT" => {
            let info = json!({"response_too_many_failed_attempts": {"http_status_code": 429}});
            refusal("exceeded retry limit, last status: 429 Too Many Requests", info)
        }
        _ => None,
    })
}

/// The failure of a turn whose stream ended after the answer.
pub(super) fn incomplete_stream() -> Refusal {
    Refusal {
        message: "stream disconnected before completion: stream closed before response.completed".to_owned(),
        info: json!("other"),
        resets_at: None,
    }
}

/// The time when the usage limit of this home resets; `None` if it has passed. The first process sets that time, in a
/// file that is created atomically, since other processes may do so at the same moment.
fn limit_end(home: &Path, seconds: u64) -> Option<Timestamp> {
    let path = home.join(".fake-limit");
    let now = Timestamp::now();
    if !path.exists()
        && let Ok(mut file) = tempfile::NamedTempFile::new_in(home)
        && write!(file, "{}", now.0 + seconds as i64 * 1000).is_ok()
    {
        // Another process was first.
        let _ = file.persist_noclobber(&path);
    }
    let end = fs::read_to_string(&path).ok()?.trim().parse().ok().map(Timestamp)?;
    (now < end).then_some(end)
}
