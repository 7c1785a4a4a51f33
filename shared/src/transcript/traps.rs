//! Traps that other readers of rollouts fell into: counts of tokens that are repeated, inherited or absent, copies that
//! nothing marks, models that change, and ids and ordinals of any form.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::faults::*;
use super::*;
use crate::codex::files::Files;
use crate::record::Id;

/// An id that was made at a moment; the greater, the later.
fn id(moment: u64) -> String {
    format!("01a2220e-{moment:04x}-7000-8000-000000000001")
}

fn usage(input: i64) -> Value {
    json!({ "input_tokens": input, "output_tokens": 0, "total_tokens": input })
}

fn count(total: i64, last: i64) -> String {
    let info = json!({ "total_token_usage": usage(total), "last_token_usage": usage(last) });
    event(json!({ "type": "token_count", "info": info }))
}

fn answer(turn_id: &str, response: &str, input: i64) -> String {
    let record = json!({ "turn_id": turn_id, "response_id": response, "usage": usage(input) });
    line(None, "token_usage_record", record)
}

fn started(turn_id: &str) -> String {
    event(json!({ "type": "task_started", "turn_id": turn_id }))
}

fn ended(turn_id: &str) -> String {
    event(json!({ "type": "task_complete", "turn_id": turn_id, "last_agent_message": "x" }))
}

/// A turn with lines in its middle.
fn with(turn_id: &str, middle: &[String]) -> String {
    [&[started(turn_id)], middle, &[ended(turn_id)]].concat().join("\n")
}

/// The input of the session, and of each of its own turns.
fn spent(home: &Home, session: &str) -> (i64, Vec<Option<i64>>) {
    let (all, reader) = home.read(session, everything());
    let own = all.iter().filter(|one| one["type"] == "turn" && one["inherited"] == false);
    let turns = own.map(|turn| turn["tokens"]["input"].as_i64()).collect();
    (reader.summary().spent.unwrap_or_default().input, turns)
}

fn total(home: &Home) -> i64 {
    let files = Files::walk(home.0.path());
    files.sessions().map(|file| spent(home, &file.id.to_string()).0).sum()
}

#[test]
fn repeated_counts_add_nothing_and_a_lower_total_begins_anew() {
    let home = Home::new();
    let again = || count(1000, 1000);
    let lines = [
        meta(A, json!({})),
        with(&turn(1), &[again(), again(), again()]),
        with(&turn(2), &[again(), count(3300, 2300), count(3300, 2300)]),
        with(&turn(3), &[event(json!({ "type": "token_count", "info": null }))]),
        with(&turn(4), &[count(50, 50)]),
    ];
    home.write(A, None, lines.join("\n"));
    assert_eq!(spent(&home, A), (3350, vec![Some(1000), Some(2300), None, Some(50)]));
}

#[test]
fn records_of_answers_may_begin_anywhere() {
    let home = Home::new();
    let (one, two, three, four) = (turn(1), turn(2), turn(3), turn(4));
    let compacted = line(None, "compacted", json!({ "message": "", "compaction_response_id": "c" }));
    let lines = [
        meta(A, json!({})),
        with(&one, &[count(100, 100)]),
        with(&two, &[answer(&two, "a", 10), count(110, 10), answer(&two, "b", 20), count(130, 20)]),
        with(&three, &[answer(&three, "d", 40)]),
        // The service compacted: no count has it, and the one behind it is the old one.
        with(&four, &[count(130, 20), answer(&four, "c", 500), compacted, count(130, 0)]),
    ];
    home.write(A, None, lines.join("\n"));
    assert_eq!(spent(&home, A), (670, vec![Some(100), Some(30), Some(40), Some(500)]));
}

#[test]
fn a_child_spends_what_its_own_answers_did() {
    let lineage = json!({ "forked_from_id": A, "parent_thread_id": A, "source": { "subagent": "review" } });
    for first in [3_100_000_000, 0] {
        let home = Home::new();
        let counts: Vec<String> = (1..=15).map(|at| count(first + at * 9035, 9035)).collect();
        home.write(B, None, [meta(B, lineage.clone()), with(&turn(1), &counts)].join("\n"));
        assert_eq!(spent(&home, B).0, 15 * 9035, "{first}");
    }
}

/// Each fork has the lines of its parent, with times of the copy, and one turn of its own.
#[test]
fn a_chain_of_copied_forks_counts_each_answer_once() {
    let home = Home::new();
    let (mut metas, mut turns) = (Vec::new(), Vec::new());
    for depth in 0..4u64 {
        let own = id(depth * 16);
        metas.insert(0, meta(&own, json!({})));
        let number = i64::try_from(depth).unwrap() + 1;
        turns.push(with(&id(depth * 16 + 8), &[count(number * 100, 100)]));
        // The parent's count is repeated before the first own turn, too.
        let lines = [metas.join("\n"), turns[..turns.len() - 1].join("\n"), turns.last().unwrap().clone()];
        home.write(&own, None, lines.join("\n"));
        assert_eq!(spent(&home, &own), (100, vec![Some(100)]), "{depth}");
    }
    assert_eq!(total(&home), 400);
}

/// Turns that are older than their session are copies, also if no line names where they come from; equal numbers prove
/// nothing.
#[test]
fn a_copy_without_a_mark_is_known_by_the_ids_of_its_turns() {
    let home = Home::new();
    let lineage = json!({ "forked_from_id": A, "source": { "subagent": { "thread_spawn": { "parent_thread_id": A } } } });
    let steps: Vec<String> = (1..=34).map(|at| count(40_000 + at, 1)).collect();
    home.write(A, None, [meta(A, json!({})), with(&id(0x100), &steps)].join("\n"));
    for child in 0..3u64 {
        let lines = [
            meta(&id(0x200 + child), lineage.clone()),
            with(&id(0x100), &steps),
            with(&id(0x300 + child), &[]),
        ];
        home.write(&id(0x200 + child), None, lines.join("\n"));
        let (all, reader) = home.read(&id(0x200 + child), Options::default());
        assert_eq!((reader.summary().copied_turns, reader.summary().turns), (1, 1));
        assert_eq!(all.len(), 1, "{all:?}");
    }
    assert_eq!(total(&home), 34);
    let twins = [id(0x400), id(0x401)];
    for (twin, at) in twins.iter().zip(0..) {
        home.write(twin, None, [meta(twin, lineage.clone()), with(&id(0x500 + at), &steps)].join("\n"));
    }
    assert_eq!(total(&home), 3 * 34);
    // The clock went back between a session without a parent and its first turn.
    home.write(&id(0x600), None, [meta(&id(0x600), json!({})), with(&id(0x5ff), &steps)].join("\n"));
    assert_eq!(total(&home), 4 * 34);
}

#[test]
fn the_model_is_that_of_the_turn() {
    let home = Home::new();
    let context = |model: &str, turn_id: &str| {
        line(None, "turn_context", json!({ "model": model, "turn_id": turn_id }))
    };
    let own = |number: u64, model: &str| {
        let total = i64::try_from(number).unwrap() * 10;
        with(&turn(number), &[context(model, &turn(number)), count(total, 10)])
    };
    let lines = [
        meta(A, json!({ "model": "third" })),
        own(1, "a"),
        own(2, "b"),
        // A resumed session repeats the count before its turn and its model.
        count(20, 10),
        own(3, "a"),
    ];
    home.write(A, None, lines.join("\n"));
    let models = |id: &str| -> Vec<Value> {
        let all = home.read(id, everything()).0;
        all.iter().filter(|one| one["type"] == "turn").map(|one| one["model"].clone()).collect()
    };
    assert_eq!((models(A), spent(&home, A).0), (vec!["a".into(), "b".into(), "a".into()], 30));
    let mut by_model = BTreeMap::new();
    let mut reader = home.reader(A, everything());
    while let Some(record) = reader.next_record().unwrap() {
        let Record::Turn(turn) = record else { continue };
        for answer in turn.answers {
            *by_model.entry(answer.model).or_insert(0) += answer.tokens.input;
        }
    }
    assert_eq!(by_model, BTreeMap::from([(Some("a".to_owned()), 20), (Some("b".to_owned()), 10)]));
    // Only the settings have the model, or nothing.
    let settings = json!({ "thread_settings": { "model": "c" } });
    let mut applied = settings.clone();
    applied["type"] = "thread_settings_applied".into();
    for (lines, want) in [
        (vec![event(applied), with(&turn(1), &[count(10, 10)])], json!("c")),
        (vec![with(&turn(1), &[count(10, 10)])], Value::Null),
    ] {
        home.write(B, None, [vec![meta(B, json!({}))], lines].concat().join("\n"));
        assert_eq!(models(B), [want]);
    }
}

/// Each of three subagents has the turns of all above it, and starts the next one.
#[test]
fn subagents_of_subagents_have_only_their_own_turns() {
    let home = Home::new();
    let (mut metas, mut copied) = (Vec::new(), Vec::new());
    for depth in 0..4u64 {
        let own = id(depth * 16);
        let source = json!({ "subagent": { "thread_spawn": { "parent_thread_id": id(0), "depth": depth } } });
        metas.insert(0, meta(&own, if depth > 0 { json!({ "source": source }) } else { json!({}) }));
        let first = with(
            &id(depth * 16 + 4),
            &[event(json!({ "type": "user_message", "message": format!("{depth}") }))],
        );
        // The turn in which the next one is started is open in the copy.
        let running = started(&id(depth * 16 + 8));
        home.write(
            &own,
            None,
            [&metas[..], &copied[..], &[first.clone(), running.clone()]].concat().join("\n"),
        );
        copied.extend([first, running]);
        let (all, reader) = home.read(&own, Options::default());
        let want = [format!("1 user {depth}"), "1 completed".to_owned(), "2 -".to_owned()];
        assert_eq!(brief(&all), want, "{depth}");
        assert_eq!((reader.summary().copied_turns, reader.summary().own_turns), (2 * depth, 2));
        // The last turns are the own ones, unless more are asked for.
        let files = Files::walk(home.0.path());
        let session = Id::parse(&own).unwrap();
        for (count, copied) in [(1, 0), (2, 0), (3, depth)] {
            let mut reader = Reader::last_turns(&files, session, None, count, everything()).unwrap();
            let users = brief(&rest(&mut reader)).iter().filter(|one| one.contains("user")).count() as u64;
            assert_eq!(users, copied + u64::from(count > 1), "{depth} {count}");
        }
        let (all, _) = home.read(&own, everything());
        assert_eq!(brief(&all).iter().filter(|one| one.contains("user")).count() as u64, depth + 1);
    }
}

#[test]
fn ids_and_ordinals_of_any_form_lose_nothing() {
    let home = Home::new();
    let said = |turn_id: &str, text: &str| {
        let item = json!({ "type": "AgentMessage", "content": [{ "type": "Text", "text": text }] });
        json!({ "type": "item_completed", "turn_id": turn_id, "item": item })
    };
    let numbered = |ordinal: Value, payload: Value| {
        json!({ "timestamp": "2026-11-28T12:08:15.000Z", "type": "event_msg", "ordinal": ordinal, "payload": payload })
            .to_string()
    };
    let begin = |turn_id: &str| json!({ "type": "task_started", "turn_id": turn_id });
    let end =
        |turn_id: &str| json!({ "type": "task_complete", "turn_id": turn_id, "last_agent_message": "x" });
    let lines = [
        meta(A, json!({ "history_mode": "paginated" })),
        numbered(4.into(), begin("external-import-turn-1")),
        numbered(5.into(), said("external-import-turn-1", "a")),
        numbered(5.into(), said("external-import-turn-1", "b")),
        numbered(Value::Null, end("external-import-turn-1")),
        numbered(0.into(), begin("7")),
        numbered("9".into(), said("7", "c")),
        numbered((-1).into(), said("external-import-turn-1", "late")),
        // An id of another type is none.
        event(json!({ "type": "agent_message", "turn_id": 7, "message": "d" })),
        numbered(json!([1]), end("7")),
    ];
    home.write(A, None, lines.join("\n"));
    let (all, reader) = home.read(A, everything());
    let mut found = brief(&all);
    found.sort();
    let want = [
        "1 assistant a",
        "1 assistant b",
        "1 assistant late (late)",
        "1 completed",
        "2 assistant c",
        "2 assistant d",
        "2 completed",
    ];
    assert_eq!(found, want);
    assert_eq!((reader.summary().invalid_lines, reader.summary().unknown_lines), (0, 0));
    assert_eq!(all[0]["address"], format!("{A}:1:1"));
}
