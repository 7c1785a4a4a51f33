//! Turns of every kind, which a scripted model makes of the real Codex.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::world::model::Script;

/// A patch that applies, and one that does not.
const PATCH: &str = "*** Begin Patch\n*** Update File: old.txt\n@@\n one\n-two\n+zwei\n three\n*** Add File: src/new.rs\n\
                     +fn main() {}\n*** End Patch";
const MOVE: &str = "*** Begin Patch\n*** Update File: old.txt\n*** Move to: moved.txt\n@@\n one\n-zwei\n+deux\n three\n\
                    *** Delete File: gone.txt\n*** End Patch";
const MISFIT: &str = "*** Begin Patch\n*** Update File: nothere.txt\n@@\n-a\n+b\n*** End Patch";

/// A server of the tools `add` and `fail`, for the shell.
pub const SERVER: &str = r#"#!/bin/sh
while read -r line; do
    id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    [ "$id" ] || continue
    case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"calc","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"add","description":"Add","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"fail","description":"Fail","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]}' ;;
    *'"add"'*) result='{"content":[{"type":"text","text":"2 + 3 = 5"}]}' ;;
    *'"fail"'*) result='{"content":[{"type":"text","text":"no such number"}],"isError":true}' ;;
    *) result='{}' ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

fn say(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn said(text: &str, phase: &str) -> Value {
    let mut item = say(text);
    item["phase"] = phase.into();
    item
}

fn think(parts: &[&str]) -> Value {
    let summary: Vec<Value> =
        parts.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    json!({"type": "reasoning", "summary": summary, "encrypted_content": "gAAAAAxxxxxxxx"})
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"type": "function_call", "name": name, "arguments": arguments.to_string()})
}

fn call_in(namespace: &str, name: &str, arguments: Value) -> Value {
    let mut item = call(name, arguments);
    item["namespace"] = namespace.into();
    item
}

/// A command, which Codex answers at its end: a slow machine must not make it one that runs in the background.
fn run(command: &str) -> Value {
    call("exec_command", json!({"cmd": command, "yield_time_ms": 20_000}))
}

fn custom(name: &str, input: &str) -> Value {
    json!({"type": "custom_tool_call", "status": "completed", "name": name, "input": input})
}

fn search(action: Value) -> Value {
    json!({"type": "web_search_call", "status": "completed", "action": action})
}

/// A script of code mode.
fn code(source: &str) -> Value {
    custom("exec", source)
}

/// The answers to a message, or to the task of an agent, one for each request.
fn steps(message: &str) -> Option<Vec<Vec<Value>>> {
    let plan = |first: &str, second: &str| {
        call(
            "update_plan",
            json!({"plan": [{"step": "Read", "status": first}, {"step": "Write", "status": second}]}),
        )
    };
    let question = json!({"questions": [{
        "id": "q1", "header": "Colour", "question": "Which colour?",
        "options": [{"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}],
    }]});
    let review = json!({
        "findings": [{
            "title": "[P1] Broken", "body": "It breaks.", "confidence_score": 0.9, "priority": 1,
            "code_location": {"absolute_file_path": "/x/old.txt", "line_range": {"start": 1, "end": 2}},
        }],
        "overall_correctness": "patch is incorrect", "overall_explanation": "Bad.", "overall_confidence_score": 0.9,
    });
    Some(match message {
        "List the files" => vec![
            vec![
                think(&["**Planning**\n\nI look first.", "**Then**\n\nI answer."]),
                said("I will list them.", "commentary"),
                run("ls; echo 'said \"quoted\"'"),
            ],
            vec![said("There are two files.\n\n```\nold.txt\n```", "final_answer")],
        ],
        "Run commands" => vec![
            // They run at the same time, and the second one ends first.
            vec![run("sleep 0.4; echo slow; exit 3"), run("echo fast")],
            vec![run("seq 1 20000")],
            vec![run(r"printf 'bad \377 byte \033[31mred\033[0m\n'")],
            vec![say("They ran.")],
        ],
        "Patch the files" => vec![
            vec![custom("apply_patch", PATCH)],
            vec![custom("apply_patch", MOVE)],
            vec![custom("apply_patch", MISFIT)],
            vec![say("Patched.")],
        ],
        "Use all tools" => vec![
            vec![
                search(json!({"type": "search", "query": "rust memmem", "queries": ["rust memmem"]})),
                search(json!({"type": "open_page", "url": "https://example.com/memchr"})),
                // A search alone ends the turn.
                run("true"),
            ],
            vec![call_in("mcp__calc", "add", json!({"a": 2, "b": 3}))],
            vec![call_in("mcp__calc", "fail", json!({}))],
            vec![call("view_image", json!({"path": "red.png"}))],
            vec![call("made_up_tool", json!({"x": 1}))],
            vec![plan("in_progress", "pending")],
            vec![plan("completed", "completed")],
            vec![say("Used.")],
        ],
        "Say nothing" => vec![vec![say("")]],
        "Plan the release" => {
            vec![vec![say("Here it is.\n<proposed_plan>\n# Plan\n- step A\n</proposed_plan>\nTell me.")]]
        }
        "Ask me something" => vec![vec![call("request_user_input", question)], vec![say("Asked.")]],
        "Work slowly" => vec![vec![run("until [ -e steered ]; do sleep 0.05; done; rm steered")]],
        "Hurry up please" => vec![vec![say("Hurried.")]],
        "Wait for me" => vec![vec![said("Now I wait.", "commentary"), run("sleep 30")]],
        "Delegate" => vec![
            vec![call_in("multi_agent_v1", "spawn_agent", json!({"message": "Explore the tree"}))],
            vec![call_in(
                "multi_agent_v1",
                "wait_agent",
                json!({"targets": ["@agent"], "timeout_ms": 10000}),
            )],
            vec![say("Delegated.")],
        ],
        "Delegate with context" => vec![
            vec![call_in(
                "multi_agent_v1",
                "spawn_agent",
                json!({"message": "Look into it", "fork_context": true}),
            )],
            vec![call_in(
                "multi_agent_v1",
                "wait_agent",
                json!({"targets": ["@agent"], "timeout_ms": 10000}),
            )],
            vec![say("Delegated.")],
        ],
        "Explore the tree" => vec![vec![run("echo from child")], vec![say("Child report.")]],
        "Look into it" => vec![vec![say("Context report.")]],
        "Code: run" => vec![
            vec![
                think(&["**Code**"]),
                code("const r = await tools.exec_command({\"cmd\": \"echo coded\"});\ntext(r.output);"),
            ],
            vec![code("const r = await tools.exec_command({\"cmd\": \"exit 4\"});\ntext(r.output);")],
            vec![code("text(await tools.mcp__calc__add({\"a\": 2, \"b\": 3}));")],
            vec![code(&format!(
                "await tools.apply_patch({});",
                json!(PATCH.replace("old", "code").replace("new", "coded"))
            ))],
            vec![code(&format!("await tools.apply_patch({});", json!(MISFIT)))],
            vec![say("Coded.")],
        ],
        "Code: delegate" => vec![
            vec![call_in(
                "collaboration",
                "spawn_agent",
                json!({"message": "Look into it", "task_name": "look", "fork_turns": "all"}),
            )],
            vec![call_in("collaboration", "wait_agent", json!({"timeout_ms": 10000}))],
            vec![say("Delegated.")],
        ],
        // Of the prompt for a compaction a word would steer the model.
        _ if message.contains("CONTEXT CHECKPOINT") => vec![vec![say("All was done.")]],
        _ if message.starts_with("Review the") => vec![vec![say(&review.to_string())]],
        _ => return None,
    })
}

/// The task of an agent: what another agent wrote last.
fn task(body: &Value) -> Option<String> {
    let items = body["input"].as_array()?;
    let is_task = |item: &&Value| item["type"] == "agent_message" && item["recipient"] != "/root";
    let message = items.iter().rfind(is_task)?;
    let part = &message["content"].as_array()?.last()?;
    let text = part["encrypted_content"].as_str().or(part["text"].as_str())?;
    Some(text.rsplit("Payload:\n").next()?.to_owned())
}

/// The newest id of an agent in the outputs of tools.
fn agent(body: &Value) -> Option<String> {
    let outputs = body["input"].as_array()?.iter().filter_map(|item| item["output"].as_str());
    let mut ids = outputs.rev().filter_map(|output| {
        serde_json::from_str::<Value>(output).ok()?["agent_id"].as_str().map(str::to_owned)
    });
    ids.next()
}

/// The script for [`crate::world::model::Model::scripted`].
pub fn script() -> Script {
    let asked: Mutex<HashMap<String, usize>> = Mutex::default();
    Box::new(move |body, message| {
        let message = task(body).unwrap_or_else(|| message.to_owned());
        if message == "Fail here" {
            return Some(Err((400, "invalid_request_error")));
        }
        let steps = steps(&message)?;
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(message).or_default();
        // Each turn takes all steps, so that the next turn with this message begins anew.
        let step = steps[*count % steps.len()].clone();
        *count += 1;
        let text = Value::from(step).to_string().replace("@agent", &agent(body).unwrap_or_default());
        Some(Ok(serde_json::from_str(&text).unwrap()))
    })
}
