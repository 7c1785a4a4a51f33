//! Damaged, unusual and changing files: what is there is read once, and nothing of it is read wrong.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::reader::pieces;
use super::*;
use crate::codex::files::Files;
use crate::codex::rollout::mutations::Dice;
use crate::record::Id;

pub(super) const A: &str = "01a2220e-0000-7000-8000-00000000000a";
pub(super) const B: &str = "01a2220e-1000-7000-8000-00000000000b";
pub(super) const SEGMENT: &str = "01a2220e-0800-7000-8000-0000000000aa";
pub(super) const LATER: &str = "01a2220e-0900-7000-8000-0000000000ab";

/// The id of a turn, the later the greater.
pub(super) fn turn(number: u64) -> String {
    format!("01a2220e-2{number:03}-7000-8000-000000000001")
}

pub(super) fn line(ordinal: Option<u64>, kind: &str, payload: Value) -> String {
    let mut line = json!({ "timestamp": "2026-11-28T12:08:15.000Z", "type": kind, "payload": payload });
    if let Some(ordinal) = ordinal {
        line["ordinal"] = ordinal.into();
    }
    line.to_string()
}

pub(super) fn event(payload: Value) -> String {
    line(None, "event_msg", payload)
}

pub(super) fn meta(id: &str, more: Value) -> String {
    let mut payload = json!({ "id": id, "timestamp": "2026-11-28T12:08:14.000Z", "cwd": "/p" });
    for (name, value) in more.as_object().into_iter().flatten() {
        payload[name] = value.clone();
    }
    line(None, "session_meta", payload)
}

/// A turn with a message and an answer.
pub(super) fn talk(number: u64, message: &str) -> String {
    [
        event(json!({ "type": "task_started", "turn_id": turn(number) })),
        event(json!({ "type": "user_message", "message": message })),
        event(json!({ "type": "agent_message", "message": format!("{message}!"), "phase": "final_answer" })),
        event(json!({ "type": "task_complete", "turn_id": turn(number), "last_agent_message": "x" })),
    ]
    .join("\n")
}

/// A home with rollouts.
pub(super) struct Home(pub(super) tempfile::TempDir);

impl Home {
    pub(super) fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    #[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
    pub(super) fn write(&self, id: &str, segment: Option<&str>, text: impl AsRef<[u8]>) -> PathBuf {
        let folder = self.0.path().join("sessions/2026/11/28");
        fs::create_dir_all(&folder).unwrap();
        let segment = segment.map_or(String::new(), |segment| format!("_{segment}"));
        let path = folder.join(format!("rollout-2026-11-28T12-08-14-{id}{segment}.jsonl"));
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn reader(&self, id: &str, options: Options) -> Reader {
        let files = Files::walk(self.0.path());
        Reader::of_session(&files, Id::parse(id).unwrap(), None, options).unwrap()
    }

    pub(super) fn read(&self, id: &str, options: Options) -> (Vec<Value>, Reader) {
        let mut reader = self.reader(id, options);
        let all = rest(&mut reader);
        (all, reader)
    }
}

pub(super) fn rest(reader: &mut Reader) -> Vec<Value> {
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if !matches!(record, Record::Event(_)) {
            all.push(serde_json::to_value(&record).unwrap());
        }
    }
    all
}

pub(super) fn everything() -> Options {
    Options { undone: true, copied: true, live: false }
}

/// The items as `turn role text`, with `-` for an undone turn, and the turns as `turn status`.
pub(super) fn brief(records: &[Value]) -> Vec<String> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or("-").to_owned();
    let each = records.iter().map(|record| {
        let turn = record["turn"].as_u64().map_or("-".to_owned(), |turn| turn.to_string());
        let words = match record["type"] == "turn" {
            true => text(record, "status"),
            false => format!("{} {}", text(record, "role"), text(record, "text")),
        };
        let marks = ["late", "undone", "inherited"].into_iter().filter(|mark| record[*mark] == true);
        marks.fold(format!("{turn} {words}"), |all, mark| format!("{all} ({mark})"))
    });
    each.collect()
}

#[test]
fn a_missing_or_circular_base_is_reported_and_the_rest_is_read() {
    let home = Home::new();
    let base = |id: &str| json!({ "history_base": { "thread_id": id, "end_ordinal_exclusive": 9, "end_byte_offset": 900 } });
    home.write(B, None, [meta(B, base(A)), talk(1, "hi")].join("\n"));
    let (all, reader) = home.read(B, everything());
    assert_eq!(brief(&all), ["1 user hi", "1 assistant hi!", "1 completed"]);
    let missing = [Problem::MissingBase { id: Id::parse(A).unwrap() }];
    assert_eq!(reader.problems(), missing);
    assert!(missing[0].to_string().contains(A));
    let path = home.write(B, None, [meta(B, base(B)), talk(1, "hi")].join("\n"));
    let (all, reader) = home.read(B, everything());
    assert_eq!(
        (brief(&all).len(), reader.problems()),
        (3, &[Problem::CircularBase { path: path.clone() }][..])
    );
    home.write(A, None, [meta(A, base(B)), talk(2, "ho")].join("\n"));
    home.write(B, None, [meta(B, base(A)), talk(1, "hi")].join("\n"));
    let (all, reader) = home.read(B, everything());
    assert!(brief(&all).contains(&"2 user hi".to_owned()), "{:?}", brief(&all));
    assert_eq!(reader.problems(), [Problem::CircularBase { path }]);
}

/// A subagent whose parent was compacted: the copy begins inside of a turn, and has new times.
#[test]
fn the_first_own_ordinal_ends_the_copy_in_a_subagent() {
    let home = Home::new();
    let source = json!({ "subagent": { "thread_spawn": { "parent_thread_id": A, "depth": 1 } } });
    let lines = [
        meta(B, json!({ "source": source, "subagent_history_start_ordinal": 5 })),
        meta(A, json!({})),
        line(None, "compacted", json!({ "message": "before" })),
        event(
            json!({ "type": "task_complete", "turn_id": "01a2220e-0f00-7000-8000-000000000001", "last_agent_message": "x" }),
        ),
        event(json!({ "type": "task_started", "turn_id": "01a2220e-0f01-7000-8000-000000000001" })),
        talk(1, "own"),
    ];
    let lines = lines.join("\n");
    let numbered =
        lines.lines().zip(0..).map(|(line, at)| line.replacen('{', &format!("{{\"ordinal\":{at},"), 1));
    let numbered: Vec<String> = numbered.collect();
    home.write(B, None, numbered.join("\n"));
    let (all, reader) = home.read(B, Options::default());
    assert_eq!(brief(&all), ["1 user own", "1 assistant own!", "1 completed"]);
    assert_eq!((reader.summary().turns, reader.summary().copied_turns), (1, 2));
}

/// Reasoning has an event for each part, and a line with all parts, of which either may be missing.
#[test]
fn reasoning_is_read_once() {
    let home = Home::new();
    let part = |text: &str| event(json!({ "type": "agent_reasoning", "text": text }));
    let all = |parts: &[&str]| {
        let parts: Vec<Value> =
            parts.iter().map(|text| json!({ "type": "summary_text", "text": text })).collect();
        line(None, "response_item", json!({ "type": "reasoning", "summary": parts }))
    };
    let message = event(json!({ "type": "agent_message", "message": "hi" }));
    let lines = [
        meta(A, json!({})),
        event(json!({ "type": "task_started", "turn_id": turn(1) })),
        part("a"),
        part("b"),
        all(&["a", "b"]),
        message.clone(),
        part("c"),
        part("d"),
        message,
        all(&["e"]),
        part("e"),
    ];
    home.write(A, None, lines.join("\n"));
    let want = [
        "1 reasoning a\n\nb",
        "1 assistant hi",
        "1 reasoning c\n\nd",
        "1 assistant hi",
        "1 reasoning e",
        "1 -",
    ];
    assert_eq!(brief(&home.read(A, everything()).0), want);
}

/// A session of two turns is reverted to the first, and continued; then reverted to the beginning; a fork was made of the
/// file between the two.
#[test]
fn a_base_is_a_file_up_to_a_byte() {
    let home = Home::new();
    let first = [meta(A, json!({})), talk(1, "one")].join("\n") + "\n";
    home.write(A, None, [first.clone(), talk(2, "two") + "\n"].concat());
    let base = |id: &str, end: usize| json!({ "history_base": { "thread_id": id, "end_byte_offset": end, "end_ordinal_exclusive": 5 } });
    let second = [meta(A, base(A, first.len())), talk(3, "three")].join("\n") + "\n";
    home.write(A, Some(SEGMENT), [second.clone(), talk(4, "four") + "\n"].concat());
    let (all, _) = home.read(A, Options::default());
    let lived = [
        "1 user one",
        "1 assistant one!",
        "1 completed",
        "2 user three",
        "2 assistant three!",
        "2 completed",
    ];
    assert_eq!(brief(&all)[..6], lived);
    let (all, _) = home.read(A, everything());
    let undone = ["- user two (undone)", "- assistant two! (undone)", "- completed (undone)"];
    assert_eq!(brief(&all)[3..6], undone);
    assert_eq!(all[3]["turn_id"], turn(2));
    assert_eq!(all[3]["address"], format!("{A}:{}:1", turn(2)));
    // The fork names the segment, and its end is before "four".
    home.write(B, None, [meta(B, base(SEGMENT, second.len())), talk(5, "fork")].join("\n"));
    let (all, reader) = home.read(B, everything());
    let heads: Vec<String> = brief(&all).into_iter().filter(|one| one.contains("user")).collect();
    assert_eq!(heads, ["1 user one (inherited)", "2 user three (inherited)", "3 user fork"]);
    assert_eq!((reader.summary().turns, reader.summary().own_turns, reader.problems()), (3, 1, &[][..]));
    // Of two segments of one second the greater is the live one; the other is undone as a whole.
    home.write(A, Some(LATER), [meta(A, json!({})), talk(6, "anew")].join("\n"));
    let (all, reader) = home.read(A, everything());
    let heads: Vec<String> = brief(&all).into_iter().filter(|one| one.contains("user")).collect();
    let undone =
        ["- user one (undone)", "- user two (undone)", "- user three (undone)", "- user four (undone)"];
    assert_eq!(heads, [&undone[..], &["1 user anew"]].concat());
    assert_eq!((reader.summary().turns, reader.summary().undone_turns), (1, 4));
    // An offset inside of a line is one of another text: the ordinal counts.
    let numbered = |number: u64| {
        let lines = talk(number, &number.to_string());
        let each = lines
            .lines()
            .zip(number * 10..)
            .map(|(line, at)| line.replacen('{', &format!("{{\"ordinal\":{at},"), 1));
        each.collect::<Vec<_>>().join("\n")
    };
    let other = Home::new();
    other.write(A, None, [meta(A, json!({})), numbered(1), numbered(2)].join("\n") + "\n");
    let base =
        json!({ "history_base": { "thread_id": A, "end_byte_offset": 77, "end_ordinal_exclusive": 20 } });
    other.write(B, None, [meta(B, base), numbered(3)].join("\n"));
    let heads: Vec<String> =
        brief(&other.read(B, everything()).0).into_iter().filter(|one| one.contains("user")).collect();
    assert_eq!(heads, ["1 user 1 (inherited)", "2 user 3"]);
}

#[test]
fn rolled_back_turns_are_undone() {
    let home = Home::new();
    let back = |count: u64| event(json!({ "type": "thread_rolled_back", "num_turns": count }));
    let lines = [
        meta(A, json!({})),
        talk(1, "a"),
        talk(2, "b"),
        talk(3, "c"),
        back(1),
        back(1),
        talk(4, "d"),
        back(1),
        talk(5, "e") + "\n",
    ];
    home.write(A, None, lines.join("\n"));
    let users = |all: &[Value]| -> Vec<String> {
        brief(all).into_iter().filter(|one| one.contains("user")).collect()
    };
    let (all, reader) = home.read(A, Options::default());
    assert_eq!(users(&all), ["1 user a", "2 user e"]);
    assert_eq!((reader.summary().turns, reader.summary().undone_turns), (2, 3));
    let (all, _) = home.read(A, everything());
    assert_eq!(
        users(&all),
        ["1 user a", "- user b (undone)", "- user c (undone)", "- user d (undone)", "2 user e"]
    );
    // A transcript that is followed returns the turns again, with the numbers that they had.
    let (all, reader) = home.read(A, Options { live: true, ..everything() });
    let turns: Vec<String> = brief(&all).into_iter().filter(|one| one.contains("completed")).collect();
    let want = ["1 completed", "2 completed", "3 completed", "- completed (undone)", "- completed (undone)"];
    assert_eq!(turns[..5], want);
    assert_eq!(turns[5..], ["2 completed", "- completed (undone)", "2 completed"]);
    assert_eq!(reader.summary().turns, 2);
}

/// Sessions with rollbacks anywhere, of which some records are read before it is known what was rolled back.
#[test]
fn records_that_were_returned_early_are_confirmed_or_refuted() {
    let mut dice = Dice(5);
    let mut outcomes = [0, 0];
    for round in 0..600 {
        let home = Home::new();
        let mut lines = vec![meta(A, json!({}))];
        for number in 1..=1 + dice.roll(7) as u64 {
            lines.push(talk(number, &number.to_string()));
            if dice.roll(4) == 0 {
                let back = json!({ "type": "thread_rolled_back", "num_turns": 1 + dice.roll(3) });
                lines.push(event(back));
            }
        }
        home.write(A, None, lines.join("\n") + "\n");
        let files = Files::walk(home.0.path());
        let sources = || pieces(&files, Id::parse(A).unwrap(), None, true).unwrap().0;
        let (whole, plain) = home.read(A, everything());
        let read = |most: usize| {
            let session = Id::parse(A);
            let mut reader = Reader::at_once_beyond(0, session, sources(), everything(), Vec::new()).unwrap();
            let mut all = Vec::new();
            while all.len() < most
                && let Some(record) = reader.next_record().unwrap()
            {
                all.push(serde_json::to_value(&record).unwrap());
            }
            let stands = reader.confirm(true).unwrap();
            assert!(reader.confirm(true).unwrap(), "{round}");
            if !stands {
                all.clear();
            }
            all.extend(rest(&mut reader));
            (stands, all, reader.summary().clone())
        };
        let early = dice.roll(whole.len() + 1);
        let (stands, all, summary) = read(early);
        outcomes[usize::from(stands)] += 1;
        // A turn has three records. The turn that follows those that were returned may have begun.
        let is_undone =
            |count: usize| whole[..count.min(whole.len())].iter().any(|one| one["undone"] == true);
        assert!(all == whole && summary == *plain.summary(), "{round} {early}");
        assert!(if stands { !is_undone(early) } else { is_undone(early + 3) }, "{round} {early}");
        assert!(read(0).0, "nothing was returned");
    }
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
}

/// The item of a command comes behind its output, at once, after many other lines, after the turn, or never.
#[test]
fn a_command_whose_item_comes_behind_its_output_is_one() {
    let home = Home::new();
    let payload = |kind: &str, payload: Value| line(Some(7), kind, payload);
    let said = |text: &str| {
        let item = json!({ "type": "AgentMessage", "content": [{ "type": "Text", "text": text }] });
        payload("event_msg", json!({ "type": "item_completed", "turn_id": turn(1), "item": item }))
    };
    let call = |id: &str, command: &str| {
        let words = json!({ "cmd": command }).to_string();
        payload(
            "response_item",
            json!({ "type": "function_call", "name": "exec_command", "call_id": id, "arguments": words }),
        )
    };
    let output = |id: &str, text: &str| {
        let text = format!("Process exited with code 0\nOutput:\n{text}");
        payload("response_item", json!({ "type": "function_call_output", "call_id": id, "output": text }))
    };
    let item = |id: &str, command: &str, text: &str| {
        let item = json!({
            "type": "CommandExecution", "id": id, "command": ["bash", "-lc", command], "exit_code": 0, "aggregated_output": text,
        });
        payload("event_msg", json!({ "type": "item_completed", "turn_id": turn(1), "item": item }))
    };
    let start = payload("event_msg", json!({ "type": "task_started", "turn_id": turn(1) }));
    let end = payload(
        "event_msg",
        json!({ "type": "task_complete", "turn_id": turn(1), "last_agent_message": "x" }),
    );
    for (between, is_after) in [(0, false), (3, false), (40, false), (0, true), (40, true)] {
        let mut lines = vec![meta(A, json!({ "history_mode": "paginated" })), start.clone()];
        lines.extend([call("c", "one"), output("c", "1")]);
        lines.extend((0..between).map(|number| said(&number.to_string())));
        let mut rest = vec![item("c", "one", "1"), said("last"), end.clone()];
        if is_after {
            rest.rotate_left(1);
        }
        lines.extend(rest);
        // The same id once more, with the item first, and a command without an item.
        lines.push(start.replace(&turn(1), &turn(2)));
        lines.extend([call("c", "two"), item("c", "two", "2").replace(&turn(1), &turn(2)), output("c", "2")]);
        lines.extend([call("d", "three"), output("d", "3"), end.replace(&turn(1), &turn(2))]);
        home.write(A, None, lines.join("\n") + "\n");
        for live in [false, true] {
            let all = home.read(A, Options { live, ..everything() }).0;
            let commands = all.iter().filter(|one| one["role"] == "command" || one["role"] == "output");
            let mut found: Vec<String> = commands
                .map(|one| format!("{} {} {}", one["turn"], one["item"], one["text"].as_str().unwrap()))
                .collect();
            found.sort();
            let want = ["1 1 one", "1 2 1", "2 1 two", "2 2 2", "2 3 three", "2 4 3"];
            assert_eq!(found, want, "{between} {is_after} {live}");
        }
    }
}

#[test]
fn an_item_belongs_to_the_turn_whose_id_it_has() {
    let home = Home::new();
    let said = |number: u64, text: &str| {
        let item = json!({ "type": "AgentMessage", "content": [{ "type": "Text", "text": text }] });
        event(json!({ "type": "item_completed", "turn_id": turn(number), "item": item }))
    };
    let lines = [
        meta(A, json!({})),
        event(json!({ "type": "task_started", "turn_id": turn(1) })),
        said(1, "first"),
        event(json!({ "type": "task_started", "turn_id": turn(2) })),
        said(2, "second"),
        said(1, "first again"),
        event(json!({ "type": "task_complete", "turn_id": turn(1), "last_agent_message": "x" })),
        event(json!({ "type": "task_complete", "turn_id": turn(2), "last_agent_message": "x" })),
        // The start of this turn is lost, and so is the end.
        said(3, "third"),
    ];
    home.write(A, None, lines.join("\n"));
    let (all, _) = home.read(A, everything());
    let want = [
        "1 assistant first",
        "1 interrupted",
        "2 assistant second",
        "1 assistant first again (late)",
        "1 completed",
        "2 completed",
        "3 assistant third",
        "3 -",
    ];
    let mut found = brief(&all);
    // The second turn is passed on when its items are complete.
    found.sort_by_key(|one| want.iter().position(|want| want == one));
    assert_eq!(found, want);
    assert_eq!(all.iter().filter(|one| one["item"] == 2).count(), 1);
}

#[test]
fn damaged_lines_are_counted_and_the_next_ones_are_read() {
    let home = Home::new();
    let message = |text: &str| event(json!({ "type": "agent_message", "message": text }));
    let whole = message("whole");
    let mut bytes = [meta(A, json!({})), talk(1, "hi")].join("\n").into_bytes();
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(&whole.as_bytes()[..40]);
    bytes.extend_from_slice(b"\n\n  \n\0\0\0\n[1]\n{}\n");
    bytes.extend_from_slice(event(json!({ "type": "task_started", "turn_id": turn(2) })).as_bytes());
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(whole.as_bytes());
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(message("bad byte").replace("bad ", "bad\\ud83d ").as_bytes());
    bytes.extend_from_slice(b"\n");
    let invalid = message("lost ~ byte").into_bytes();
    bytes.extend(invalid.into_iter().map(|byte| if byte == b'~' { 0xff } else { byte }));
    bytes.extend_from_slice(b"\n{\"type\":\"tomorrow\",\"payload\":{}}\n");
    bytes.extend_from_slice(event(json!({ "type": "tomorrow" })).as_bytes());
    bytes.extend_from_slice(b"\n");
    // A last line without a newline, and the NULs of a file that was extended before a crash.
    bytes.extend_from_slice(message("the end").as_bytes());
    let path = home.write(A, None, &bytes);
    let (all, reader) = home.read(A, everything());
    let said: Vec<&str> =
        all.iter().filter(|one| one["turn"] == 2).filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(said, ["whole", "bad\u{fffd} byte", "lost \u{fffd} byte", "the end"]);
    assert_eq!((reader.summary().unknown_lines, reader.summary().invalid_lines), (2, 2));
    assert_eq!(reader.reached().unwrap().offset as usize, bytes.len() - message("the end").len());
    // A transcript that is followed waits for the newline.
    let (all, mut reader) = home.read(A, Options { live: true, ..everything() });
    assert!(!all.iter().any(|one| one["text"] == "the end"));
    append(&path, b"\n");
    assert_eq!(brief(&rest(&mut reader)), ["2 assistant the end"]);
    assert_eq!(brief(&rest(&mut reader)), [""; 0]);
}

#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
pub(super) fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_session_without_an_envelope_is_read() {
    let home = Home::new();
    let message = |role: &str, kind: &str, text: &str| {
        json!({ "type": "message", "role": role, "content": [{ "type": kind, "text": text }] }).to_string()
    };
    let lines = [
        json!({ "id": A, "timestamp": "2025-08-13T10:00:00.000Z", "instructions": "x" }).to_string(),
        json!({ "record_type": "state" }).to_string(),
        message("user", "input_text", "<environment_context>\n<cwd>/p</cwd>\n</environment_context>\n\nFix it"),
        json!({ "type": "reasoning", "summary": [{ "type": "summary_text", "text": "Hm" }] }).to_string(),
        json!({ "type": "function_call", "name": "shell", "call_id": "c", "arguments": "{\"command\":[\"bash\",\"-lc\",\"ls\"]}" }).to_string(),
        json!({ "type": "function_call_output", "call_id": "c", "output": "{\"output\":\"a\\n\",\"metadata\":{\"exit_code\":0}}" }).to_string(),
        message("assistant", "output_text", "Fixed."),
        message("user", "input_text", "Thanks"),
    ];
    home.write(A, None, lines.join("\n"));
    let (all, reader) = home.read(A, everything());
    let want = [
        "1 user Fix it",
        "1 reasoning Hm",
        "1 command ls",
        "1 output a\n",
        "1 assistant Fixed.",
        "1 completed",
        "2 user Thanks",
        "2 -",
    ];
    assert_eq!(brief(&all), want);
    assert_eq!((&all[2]["exit_code"], &all[5]["tokens"]), (&json!(0), &Value::Null));
    assert_eq!((reader.summary().unknown_lines, reader.summary().invalid_lines), (0, 0));
}
