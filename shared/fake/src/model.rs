//! The reply of the model: an answer, or a failure in the words of the version.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::version::{Version, since};
use crate::words::Words;
use codex_agent_shared::time::Timestamp;

/// A failure: what is printed, and the kind that goes into the rollout.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) info: Value,
}

fn refusal(message: impl Into<String>, info: Value) -> Option<Refusal> {
    Some(Refusal { message: message.into(), info })
}

/// The failure that the words ask for.
pub(super) fn refuses(version: &Version, words: &Words<'_>, home: &Path) -> Option<Refusal> {
    let new = version.has(since::NEW_WORDS);
    let apostrophe = if new { '’' } else { '\'' };
    let unexpected = |status: &str, code: &str| {
        format!("unexpected status {status}: refused: {code}, url: http://127.0.0.1/v1/responses")
    };
    let body =
        |code: &str| json!({"error": {"type": code, "code": code, "message": format!("refused: {code}")}});
    let connection = |status: u16| json!({"http_connection_failed": {"http_status_code": status}});
    if words.has("LIMITX") {
        let message = format!("You{apostrophe}ve hit your usage limit. Try again later.");
        return refusal(message, json!("usage_limit_exceeded"));
    }
    if let Some(end) = words.limit().and_then(|seconds| limit_end(home, seconds)) {
        let place = if new { "settings/usage" } else { "codex/settings/usage" };
        // Whole minutes, rounded down, as Codex prints them.
        let when = end.local("%-I:%M %p");
        let message = format!(
            "You{apostrophe}ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit \
             https://chatgpt.com/{place} to purchase more credits or try again at {when}."
        );
        return refusal(message, json!("usage_limit_exceeded"));
    }
    if words.has("FAIL400") {
        return refusal(body("invalid_request_error").to_string(), json!("other"));
    }
    if words.has("FAIL401") {
        return refusal(unexpected("401 Unauthorized", "invalid_api_key"), connection(401));
    }
    if words.has("FAIL403") {
        return refusal(unexpected("403 Forbidden", "forbidden"), connection(403));
    }
    if words.has("FAIL500") {
        let message =
            format!("We{apostrophe}re currently experiencing high demand, which may cause temporary errors.");
        return refusal(message, json!("internal_server_error"));
    }
    if words.has("OVERLOADED") {
        let message = "Selected model is at capacity. Please try a different model.";
        return refusal(message, json!("server_overloaded"));
    }
    if words.has("CONTEXT") {
        let message = match new {
            true => {
                "Codex ran out of room in the model's context window. Start a new thread or clear earlier \
                     history before retrying."
                    .to_owned()
            }
            false => body("context_length_exceeded").to_string(),
        };
        return refusal(message, json!("context_window_exceeded"));
    }
    if words.has("NOMODEL") {
        let message = match new {
            true => "refused: model_not_found".to_owned(),
            false => unexpected("404 Not Found", "model_not_found"),
        };
        return refusal(message, json!("model_not_found"));
    }
    if words.has("RATELIMIT") {
        let info = json!({"response_too_many_failed_attempts": {"http_status_code": 429}});
        return refusal("exceeded retry limit, last status: 429 Too Many Requests", info);
    }
    None
}

/// The failure of a turn whose stream was cut after the answer.
pub(super) fn cut() -> Refusal {
    Refusal {
        message: "stream disconnected before completion: stream closed before response.completed".to_owned(),
        info: json!("other"),
    }
}

/// When the usage limit of this home ends; `None` if it has ended. The first caller sets it; its file is created
/// atomically, since others may ask at the same moment.
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
