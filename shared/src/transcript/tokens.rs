//! The tokens of the answers in one rollout, each counted once.
//!
//! From 0.153 each answer has a `token_usage_record`. A `token_count` has the total so far and the last answer: it is
//! written again unchanged, continues from the parent's total in a fork, and has an estimate in place of the last answer
//! after a compaction. It counts only if the total has changed and no record of the same answer came before it.

use std::collections::VecDeque;

use super::record::Tokens;
use crate::codex::rollout::wire::{Raw, object, read, string};

/// The counters of one rollout.
#[derive(Default)]
pub(super) struct Counter {
    total: Option<[i64; 5]>,
    /// Whether a record came since the total changed last.
    has_record: bool,
    /// The last answers that were counted.
    answers: VecDeque<String>,
}

impl Counter {
    /// The tokens of a `token_usage_record`; `None` for an answer that was counted before.
    pub(super) fn record(&mut self, usage: Raw<'_>, response_id: Raw<'_>) -> Option<Tokens> {
        self.has_record = true;
        if let Some(id) = string(response_id) {
            if self.answers.contains(&id) {
                return None;
            }
            self.answers.push_back(id);
            if self.answers.len() > 16 {
                self.answers.pop_front();
            }
        }
        numbers(usage).map(tokens)
    }

    /// The tokens of a `token_count`; `None` if they were counted before.
    pub(super) fn count(&mut self, info: Raw<'_>) -> Option<Tokens> {
        let info = object(Some(info?));
        let total = numbers(info.total_token_usage);
        if total.is_none() || total == self.total {
            return None;
        }
        self.total = total;
        if std::mem::take(&mut self.has_record) {
            return None;
        }
        numbers(info.last_token_usage)
            .filter(|[input, _, output, ..]| (*input, *output) != (0, 0))
            .map(tokens)
    }

    /// A compaction, whose own record no `token_count` repeats if the service compacted.
    pub(super) fn compacted(&mut self) {
        self.has_record = false;
    }
}

fn tokens([input, cached, output, reasoning, _]: [i64; 5]) -> Tokens {
    Tokens { input, cached, output, reasoning }
}

/// Input, cached input, output, reasoning, total.
fn numbers(usage: Raw<'_>) -> Option<[i64; 5]> {
    #[derive(serde::Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Usage {
        input_tokens: Option<f64>,
        cached_input_tokens: Option<f64>,
        output_tokens: Option<f64>,
        reasoning_output_tokens: Option<f64>,
        total_tokens: Option<f64>,
    }
    let Usage { input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens, total_tokens } =
        read(usage)?;
    input_tokens.or(output_tokens)?;
    // Some alpha versions wrote the numbers as floats.
    let number = |value: Option<f64>| value.unwrap_or(0.0) as i64;
    Some([
        number(input_tokens),
        number(cached_input_tokens),
        number(output_tokens),
        number(reasoning_output_tokens),
        number(total_tokens),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::rollout::json::Json;

    fn raw(text: &str) -> Json<'_> {
        Json::of(text).unwrap()
    }

    fn count(counter: &mut Counter, total: i64, last: (i64, i64)) -> Option<(i64, i64)> {
        let info = format!(
            r#"{{"total_token_usage":{{"input_tokens":{total},"output_tokens":7,"total_tokens":{}}},"last_token_usage":{{"input_tokens":{},"output_tokens":{},"total_tokens":9}}}}"#,
            total + 7,
            last.0,
            last.1
        );
        counter.count(Some(raw(&info))).map(|tokens| (tokens.input, tokens.output))
    }

    fn record(counter: &mut Counter, id: &str, input: i64) -> Option<i64> {
        let usage = format!(r#"{{"input_tokens":{input},"output_tokens":1.0}}"#);
        let id = format!("\"{id}\"");
        counter.record(Some(raw(&usage)), Some(raw(&id))).map(|tokens| tokens.input)
    }

    #[test]
    fn an_answer_counts_once() {
        let mut counter = Counter::default();
        assert!(counter.count(None).is_none());
        // The first count of a fork has the parent's total: the last answer counts.
        assert_eq!(count(&mut counter, 5000, (100, 5)), Some((100, 5)));
        assert_eq!(count(&mut counter, 5000, (100, 5)), None, "repeated");
        assert_eq!(count(&mut counter, 5000, (0, 0)), None, "an estimate after a compaction");
        // The records begin in the middle of the file.
        assert_eq!(record(&mut counter, "a", 200), Some(200));
        assert_eq!(count(&mut counter, 5200, (200, 1)), None);
        assert_eq!(record(&mut counter, "a", 200), None, "counted before");
        assert_eq!(count(&mut counter, 5200, (200, 1)), None);
        // A compaction by the service is in no total.
        assert_eq!(record(&mut counter, "b", 1600), Some(1600));
        counter.compacted();
        assert_eq!(count(&mut counter, 5200, (0, 0)), None);
        assert_eq!(count(&mut counter, 5210, (10, 1)), Some((10, 1)), "an older Codex continued the session");
        // A total that fell begins anew.
        assert_eq!(count(&mut counter, 30, (30, 1)), Some((30, 1)));
    }
}
