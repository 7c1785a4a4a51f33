//! Lines with the model's own items: calls and their outputs, and copies of messages.

use super::events::typed_of_event;
use super::items::parts;
use super::machine::Machine;
use super::parse::{
    Output, arguments, command, files_of_patch, order, output, patch_of_command, path, text_of_parts,
    user_command,
};
use super::record::{AgentAction, By, Detail, Item, Role};
use super::state::{Slot, Wait};
use crate::codex::rollout::json::Json;
use crate::codex::rollout::wire::{Fields, Line, Raw, list, members, object, read, string, text};
use crate::codex::rollout::{AgentMessage, is_image_tag};
use crate::time::Timestamp;

impl Machine {
    /// An item of the model, in an envelope or bare.
    pub(super) fn response(&mut self, line: &Line<'_>) {
        let fields = &line.fields;
        let is_bare = line.kind == "bare";
        let turn_id = text(object(fields.passthrough).turn_id);
        let turn_id = turn_id.as_deref();
        let kind = text(fields.kind).unwrap_or_default();
        let is_output = kind.ends_with("_call_output");
        if self.is_of_reviewer(turn_id) {
            return;
        }
        match (&*kind, text(fields.role).as_deref()) {
            ("message", Some("user")) => self.user_copy(line, turn_id, is_bare),
            ("message", Some("assistant")) => self.agent_copy(line, turn_id, is_bare),
            ("message", _) => {}
            ("reasoning", _) => {
                let summary =
                    list(fields.summary).into_iter().filter_map(|part| string(object(Some(part)).text));
                self.reasoning(turn_id, summary.collect(), line.at(), false);
            }
            ("agent_message", _) => self.agent_report(line, turn_id),
            ("web_search_call", _) => self.search(line.at(), turn_id, fields, false),
            (kind, _) if is_output => self.output(kind, line),
            (kind, _) if kind.ends_with("_call") => self.call(kind, line, turn_id),
            ("ghost_snapshot" | "additional_tools" | "compaction" | "compaction_summary" | "other", _) => {}
            // The first line of a session of before September 2025, and its states.
            ("", _) if is_bare => {}
            _ => self.summary.unknown_lines += 1,
        }
    }

    fn user_copy(&mut self, line: &Line<'_>, turn_id: Option<&str>, is_bare: bool) {
        let Copied { typed: whole, images, commands } = copied(&line.fields);
        for (command, output) in commands {
            self.user_command(line.at(), turn_id, command, output);
        }
        if whole.trim().is_empty() && images == 0 {
            return;
        }
        if is_bare {
            return self.user_message(None, &whole, images, line.at());
        }
        // The message itself is an event; its copy counts only in a turn that has none.
        let is_of_open = self.open.as_ref().is_some_and(|open| {
            !open.has_user && turn_id.is_none_or(|id| open.place.id.as_deref() == Some(id))
        });
        if is_of_open && !self.is_ending() {
            let item = Item::new(Role::User, Some(whole), line.at(), Detail::Message { phase: None, images });
            self.wait_for_event(item, true);
        }
    }

    fn agent_copy(&mut self, line: &Line<'_>, turn_id: Option<&str>, is_bare: bool) {
        let (text, _) = parts(line.fields.content);
        let phase = string(line.fields.phase);
        if is_bare {
            return self.agent_message(None, text, phase, line.at());
        }
        let is_of_open = self.open.as_ref().is_some_and(|open| {
            !open.has_answer && turn_id.is_none_or(|id| open.place.id.as_deref() == Some(id))
        });
        if is_of_open && !self.is_ending() && !text.is_empty() {
            let item =
                Item::new(Role::Assistant, Some(text), line.at(), Detail::Message { phase, images: 0 });
            self.wait_for_event(item, false);
        }
    }

    fn user_command(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        command: String,
        output: Output,
    ) {
        if self.is_copy(Role::Command, &command, false) {
            return;
        }
        let detail = Detail::Command { exit_code: output.exit_code, by: By::User };
        let mut slot = Slot::new(None, Item::new(Role::Command, Some(command), at, detail), Wait::Nothing);
        slot.output = Some(Item::new(Role::Output, Some(output.text), at, Detail::Plain {}));
        self.add(turn_id, slot);
    }

    /// A message between agents.
    fn agent_report(&mut self, line: &Line<'_>, turn_id: Option<&str>) {
        let message = AgentMessage::of(&line.fields);
        let action = if message.is_task() { AgentAction::Task } else { AgentAction::Report };
        let payload = Some(message.payload).filter(|payload| !payload.is_empty());
        let item = Item::new(Role::Agent, payload, line.at(), Detail::Agent { action });
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
    }

    fn call(&mut self, kind: &str, line: &Line<'_>, turn_id: Option<&str>) {
        let fields = &line.fields;
        let call = string(fields.call_id).or_else(|| string(fields.id));
        if call.as_deref().is_some_and(|call| self.waiting(call).is_some()) {
            return;
        }
        if let Some(call) = &call {
            // Some services use ids again.
            self.answered.retain(|answered| answered != call);
        }
        let name = text(fields.name).unwrap_or_default();
        let words = text(fields.arguments).or(text(fields.input)).unwrap_or_default();
        let given = Fields::of(&words);
        let item = |role, text: Option<String>, detail| Item::new(role, text, line.at(), detail);
        let action = agent_action(&name, text(fields.namespace).as_deref(), &words);
        let item = match (kind, &*name) {
            (
                "function_call",
                "shell" | "exec_command" | "local_shell" | "shell_command" | "container.exec",
            )
            | ("local_shell_call", _) => {
                // The keys are those of several versions.
                let line = given.command.or_else(|| cmd(&words)).or(object(fields.action).command);
                match patch_of_command(line) {
                    Some(patch) => {
                        item(Role::Patch, Some(patch), Detail::Patch { files: Vec::new(), failed: false })
                    }
                    None => {
                        let detail = Detail::Command { exit_code: None, by: By::Agent };
                        item(Role::Command, Some(command(line)), detail)
                    }
                }
            }
            (_, "apply_patch") => {
                let patch = string(given.input).unwrap_or_else(|| words.clone().into_owned());
                item(Role::Patch, Some(patch), Detail::Patch { files: Vec::new(), failed: false })
            }
            ("custom_tool_call", "exec") => item(
                Role::Script,
                Some(words.clone().into_owned()),
                Detail::Script { output: None, failed: None },
            ),
            (_, "update_plan") => {
                let (text, steps) = todo(&words);
                item(Role::Todo, Some(text), Detail::Todo { steps })
            }
            (_, "request_user_input") => {
                let text = questions(&words).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n");
                item(Role::Question, Some(text), Detail::Question { answers: Vec::new() })
            }
            (_, "view_image") => {
                let path = text(given.path).map(|found| path(&found, self.cwd.as_deref()));
                item(Role::Image, None, Detail::Image { path })
            }
            (_, "create_goal" | "update_goal") => {
                let state = match name.as_ref() {
                    "create_goal" => Some("active".to_owned()),
                    _ => string(given.status),
                };
                self.is_copy(Role::Goal, state.as_deref().unwrap_or_default(), false);
                item(Role::Goal, string(given.objective), Detail::Goal { state })
            }
            _ if action.is_some() => {
                let action = action.unwrap_or(AgentAction::Send);
                item(Role::Agent, string(given.message).or(string(given.prompt)), Detail::Agent { action })
            }
            _ => {
                let name = tool_name(kind, &name, text(fields.namespace).as_deref());
                let arguments = arguments(fields.arguments.or(fields.input).or(fields.action));
                item(Role::Tool, None, Detail::Tool { name, arguments, output: None, failed: None })
            }
        };
        // An item that has the call already came before it.
        let wait = if call.is_some() { Wait::Output } else { Wait::Nothing };
        self.add(turn_id, Slot::new(call, item, wait));
    }

    fn output(&mut self, kind: &str, line: &Line<'_>) {
        let fields = &line.fields;
        let Some(call) = string(fields.call_id).or_else(|| string(fields.id)) else { return };
        let Some(waiting) = self.waiting(&call).filter(|slot| slot.wait == Wait::Output) else {
            // A call that was passed on before may wait for this output.
            return self.late_output(&call, fields);
        };
        let found = output(fields.output.or(fields.content).or_else(|| tools_of(kind, fields)));
        let cwd = self.cwd.clone();
        let is_command = waiting.item.role == Role::Command;
        let has_items = is_command && (self.file.has_command_items || line.ordinal.is_some());
        // An item with the end of the command still comes, where commands have items: perhaps after the turn.
        let wait = match () {
            () if !has_items || found.is_unsupported() => Wait::Nothing,
            () if found.is_running || found.is_aborted => Wait::Item,
            () => Wait::Copy,
        };
        self.change(&call, |slot| complete(slot, found, wait, cwd.as_deref()));
    }

    fn late_output(&mut self, call: &str, fields: &Fields<'_>) {
        if self.waiting(call).is_none() {
            let cwd = self.cwd.clone();
            // Most calls have their output from an item, and need no other one.
            self.change(call, |slot| {
                complete(slot, output(fields.output.or(fields.content)), Wait::Nothing, cwd.as_deref());
            });
        }
    }
}

/// The contents of the model's copy of a message of the user.
#[derive(Default)]
struct Copied {
    /// The typed part.
    typed: String,
    images: u64,
    /// The user's own commands, with their outputs.
    commands: Vec<(String, Output)>,
}

fn copied(fields: &Fields<'_>) -> Copied {
    let kinds: Vec<String> = read(object(fields.passthrough).content_item_kinds).unwrap_or_default();
    let mut copied = Copied::default();
    for (at, part) in list(fields.content).into_iter().enumerate() {
        let part = object(Some(part));
        copied.images += u64::from(text(part.kind).is_some_and(|kind| kind.contains("image")));
        let Some(words) = text(part.text) else { continue };
        if let Some(command) = user_command(&words) {
            copied.commands.push(command);
            continue;
        }
        let is_typed = kinds.get(at).is_none_or(|kind| kind == "unknown" || kind.starts_with("user."));
        let Some(words) = typed_of_event(&words).filter(|words| is_typed && !is_image_tag(words)) else {
            continue;
        };
        if !copied.typed.is_empty() {
            copied.typed.push('\n');
        }
        copied.typed.push_str(words);
    }
    copied
}

/// The typed part of the model's copy of a message of the user.
pub(super) fn typed_of_copy(fields: &Fields<'_>) -> String {
    copied(fields).typed
}

/// Adds the output of a call.
fn complete(slot: &mut Slot, found: Output, wait: Wait, cwd: Option<&str>) {
    slot.wait = wait;
    if found.is_unsupported() && !matches!(slot.item.role, Role::Tool) {
        // No such tool was called.
        let (name, arguments) = match slot.item.role {
            Role::Todo => ("update_plan", None),
            Role::Script => ("exec", None),
            Role::Image => ("view_image", None),
            Role::Question => ("request_user_input", None),
            role => (role.word(), None),
        };
        let detail =
            Detail::Tool { name: name.to_owned(), arguments, output: Some(found.text), failed: Some(true) };
        let before = std::mem::replace(&mut slot.item, Item::new(Role::Tool, None, None, detail));
        slot.item.at = before.at;
        // A command keeps its two numbers.
        return;
    }
    let is_server = matches!(&slot.item.detail, Detail::Tool { name, .. } if name.contains('.'));
    match &mut slot.item.detail {
        Detail::Command { exit_code, .. } => {
            *exit_code = found.exit_code.or(*exit_code);
            slot.output = Some(Item::new(Role::Output, Some(found.text), slot.item.at, Detail::Plain {}));
        }
        Detail::Patch { files, failed } => {
            let is_applied = match found.exit_code {
                Some(code) => code == 0,
                None => found.text.starts_with("Success.") || found.success == Some(true),
            };
            *failed = !is_applied;
            *files = if is_applied {
                files_of_patch(slot.item.text.as_deref().unwrap_or_default(), cwd)
            } else {
                Vec::new()
            };
            order(files, &found.text, cwd);
        }
        Detail::Tool { output, failed, .. } => {
            *failed =
                if found.is_unsupported() || found.success == Some(false) { Some(true) } else { *failed };
            *output = Some(if is_server { text_of_parts(found.text) } else { found.text });
        }
        Detail::Script { output, failed } => {
            *failed = found.success.map(|success| !success);
            *output = Some(found.text);
        }
        Detail::Question { answers } => *answers = answers_in(&found.text),
        _ => {}
    }
}

/// The list of tools in the output of a search for tools, which has no other output.
fn tools_of<'a>(kind: &str, fields: &Fields<'a>) -> Raw<'a> {
    (kind == "tool_search_output").then_some(fields.text).flatten()
}

/// The key of `exec_command`, which no other tool has.
fn cmd(words: &str) -> Raw<'_> {
    members(Json::of(words)).into_iter().find(|(name, _)| name == "cmd").map(|(_, value)| value)
}

/// The explanation and the steps of a check list.
fn todo(words: &str) -> (String, Vec<(String, String)>) {
    #[derive(Default, serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"), default)]
    struct Plan<'a> {
        explanation: Raw<'a>,
        plan: Raw<'a>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"), default)]
    struct Step<'a> {
        step: Raw<'a>,
        status: Raw<'a>,
    }
    let plan: Plan<'_> = serde_json::from_str(words).unwrap_or_default();
    let steps = list(plan.plan).into_iter().map(|step| {
        let step: Step<'_> = read(Some(step)).unwrap_or_default();
        (string(step.step).unwrap_or_default(), string(step.status).unwrap_or_default())
    });
    (string(plan.explanation).unwrap_or_default(), steps.collect())
}

/// The ids and texts of questions.
fn questions(words: &str) -> Vec<(String, String)> {
    #[derive(Default, serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"), default)]
    struct Questions<'a> {
        questions: Raw<'a>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"), default)]
    struct Question<'a> {
        id: Raw<'a>,
        question: Raw<'a>,
    }
    let all: Questions<'_> = serde_json::from_str(words).unwrap_or_default();
    let each = list(all.questions).into_iter().map(|one| {
        let one: Question<'_> = read(Some(one)).unwrap_or_default();
        (string(one.id).unwrap_or_default(), string(one.question).unwrap_or_default())
    });
    each.collect()
}

/// The answers in `{"answers":{ID:{"answers":[…]}}}`.
fn answers_in(text: &str) -> Vec<String> {
    #[derive(Default, serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"), default)]
    struct Answers<'a> {
        answers: Raw<'a>,
    }
    let outer: Answers<'_> = serde_json::from_str(text).unwrap_or_default();
    let each = members(outer.answers).into_iter().flat_map(|(_, one)| {
        let inner: Answers<'_> = read(Some(one)).unwrap_or_default();
        read::<Vec<String>>(inner.answers).or_else(|| read(Some(one))).unwrap_or_default()
    });
    each.collect()
}

/// What a call of a tool for agents does. `wait` is a tool for scripts as well.
fn agent_action(name: &str, namespace: Option<&str>, words: &str) -> Option<AgentAction> {
    let is_agents =
        namespace.is_some_and(|space| space.starts_with("multi_agent") || space == "collaboration");
    let is_other = namespace.is_some_and(|space| space.starts_with("mcp__"));
    Some(match name {
        _ if is_other => return None,
        "spawn_agent" => AgentAction::Spawn,
        "send_input" | "send_message" | "followup_task" | "resume_agent" => AgentAction::Send,
        "wait_agent" => AgentAction::Wait,
        "wait" if is_agents || words.contains("\"ids\"") => AgentAction::Wait,
        "close_agent" => AgentAction::Close,
        "interrupt_agent" => AgentAction::Interrupt,
        _ => return None,
    })
}

/// The name of a tool: SERVER.TOOL for a tool of a server.
fn tool_name(kind: &str, name: &str, namespace: Option<&str>) -> String {
    let server = |space: &str| space.strip_prefix("mcp__").unwrap_or(space).trim_end_matches("__").to_owned();
    match (namespace, name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"))) {
        (Some(space), _) if !space.is_empty() => format!("{}.{name}", server(space)),
        (_, Some((server, tool))) => format!("{server}.{tool}"),
        _ if name.is_empty() => kind.trim_end_matches("_call").to_owned(),
        _ => name.to_owned(),
    }
}
