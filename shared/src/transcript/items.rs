//! Finished items: what Codex shows to people, from 0.148 on also of the calls of tools.

use super::machine::Machine;
use super::parse::{command, files_of_changes, patch_of_changes, path, result};
use super::record::{AgentAction, By, Detail, Item, Role};
use super::state::{Slot, Wait};
use crate::codex::rollout::json::Json;
use crate::codex::rollout::wire::{Fields, Line, Raw, list, object, read, string, text};
use crate::time::Timestamp;

/// The number of calls whose items may come after they were passed on.
const ANSWERED: usize = 64;

impl Machine {
    /// A finished item.
    pub(super) fn item(&mut self, line: &Line<'_>, turn_id: Option<&str>) {
        let Some(item) = line.fields.item.as_deref() else {
            self.summary.unknown_lines += 1;
            return;
        };
        let at = read(line.fields.started_at_ms).map(Timestamp).or(line.at());
        let kind = text(item.kind).unwrap_or_default();
        if self.is_of_reviewer(turn_id) && kind != "ExitedReviewMode" {
            return;
        }
        match &*kind {
            "UserMessage" => {
                let (text, images) = parts(item.content);
                self.user_message(turn_id, &text, images, at);
            }
            "AgentMessage" => {
                let (text, _) = parts(item.content);
                self.agent_message(turn_id, text, string(item.phase), at);
            }
            "Reasoning" => {
                let texts: Vec<String> = read(item.summary_text).unwrap_or_default();
                self.reasoning(turn_id, texts, at, true);
            }
            "Plan" => {
                let plan = Item::new(Role::Plan, string(item.text), at, Detail::Plain {});
                self.add(turn_id, Slot::new(None, plan, Wait::Nothing));
                if let Some(open) = &mut self.open {
                    open.has_answer = true;
                }
            }
            "CommandExecution" => self.command_item(turn_id, at, item),
            "FileChange" => {
                let status = text(item.status).unwrap_or_default();
                self.file_change(at, turn_id, item.id, item, status == "failed" || status == "declined");
            }
            "WebSearch" => self.search(at, turn_id, item, true),
            "McpToolCall" => {
                let status = text(item.status).unwrap_or_default();
                let result = item.result.or(item.error);
                let has_failed = status == "failed" || (item.result.is_none() && item.error.is_some());
                self.mcp_call(at, turn_id, item.id, item, result, Some(has_failed));
            }
            "ImageView" => {
                let path = text(item.path).map(|found| path(&found, self.cwd.as_deref()));
                let view = Item::new(Role::Image, None, at, Detail::Image { path });
                self.put(turn_id, item.id, view, None);
            }
            "CollabAgentToolCall" => self.agent_item(turn_id, at, item),
            "SubAgentActivity" => {
                let action = match text(item.activity).as_deref() {
                    Some("started") => AgentAction::Spawn,
                    Some("interacted") => AgentAction::Send,
                    _ => return,
                };
                // The call has the text.
                if !string(item.id).is_some_and(|id| self.change(&id, |slot| slot.wait = Wait::Nothing))
                    && text(item.id).is_some_and(|id| id.starts_with("exec-"))
                {
                    let agent = Item::new(Role::Agent, None, at, Detail::Agent { action });
                    self.put(turn_id, item.id, agent, None);
                }
            }
            "EnteredReviewMode" => self.review_entered(at, turn_id, item),
            "ExitedReviewMode" => self.review_finished(at, turn_id, item),
            "ContextCompaction" => self.compaction(turn_id, at),
            kind if kind.ends_with("ToolCall") || kind == "ImageGeneration" => {
                let name = string(item.tool).or(string(item.name)).unwrap_or_else(|| kind.to_owned());
                let failed = text(item.status).map(|status| status == "failed");
                let output = string(item.output).or(item.result.map(|result| result.get().to_owned()));
                let arguments = item.arguments.and_then(Json::to_raw);
                let tool = Item::new(Role::Tool, None, at, Detail::Tool { name, arguments, output, failed });
                self.put(turn_id, item.id, tool, None);
            }
            "HookPrompt" | "Sleep" | "Realtime" => {}
            _ => self.summary.unknown_lines += 1,
        }
    }

    /// Completes the call of an id, or adds an item where no call has the id.
    fn put(&mut self, turn_id: Option<&str>, call: Raw<'_>, item: Item, output: Option<Item>) {
        let call = string(call);
        let mut new = Some((item, output));
        if let Some(call) = &call {
            self.change(call, |slot| {
                let Some((item, output)) = new.take() else { return };
                let before = std::mem::replace(&mut slot.item, item);
                // The place is that of the call, and the text as the model wrote it.
                slot.item.at = before.at;
                if before.role == slot.item.role && slot.item.text.is_none() {
                    slot.item.text = before.text;
                }
                slot.output = output.or(slot.output.take());
                slot.wait = Wait::Nothing;
            });
        }
        if let Some((item, output)) = new {
            let mut slot = Slot::new(call, item, Wait::Nothing);
            slot.output = output;
            self.add(turn_id, slot);
        }
    }

    /// Notes that a complete call is passed on before its item has come.
    pub(super) fn answer(&mut self, call: String) {
        self.answered.push_back(call);
        if self.answered.len() > ANSWERED {
            self.answered.pop_front();
        }
    }

    /// Whether a call was passed on before its item, which comes now.
    fn is_answered(&mut self, call: Raw<'_>) -> bool {
        let call = text(call).unwrap_or_default();
        let found = self.answered.iter().position(|answered| *answered == *call);
        found.and_then(|at| self.answered.remove(at)).is_some()
    }

    fn command_item(&mut self, turn_id: Option<&str>, at: Option<Timestamp>, item: &Fields<'_>) {
        self.file.has_command_items = true;
        // The command was passed on with its output.
        if self.is_answered(item.id) {
            return;
        }
        let is_user = text(item.source).as_deref() == Some("user_shell");
        let by = if is_user { By::User } else { By::Agent };
        let words = command(item.command);
        if is_user && self.is_copy(Role::Command, &words, true) {
            return;
        }
        let detail = Detail::Command { exit_code: read(item.exit_code), by };
        let run = Item::new(Role::Command, Some(words), at, detail);
        let output = self
            .abridged(item)
            .or_else(|| string(item.aggregated_output))
            .map(|output| Item::new(Role::Output, Some(output), at, Detail::Plain {}));
        self.put(turn_id, item.id, run, output);
    }

    /// A text that may stand for the output of a command. The sizes of outputs that wait decide how long they wait, so that
    /// only the output of a call that nothing waits with is abridged.
    fn abridged(&self, item: &Fields<'_>) -> Option<String> {
        let abridge = self.wants.abridge.as_ref()?;
        let open = self.open.as_ref().filter(|open| open.place.id.is_some() && open.slots.len() == 1)?;
        let call = text(item.id)?;
        open.slots.iter().find(|slot| slot.call.as_deref() == Some(&*call))?;
        (abridge.0)(item.aggregated_output?.get().strip_prefix('"')?.strip_suffix('"')?)
    }

    pub(super) fn file_change(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        call: Raw<'_>,
        fields: &Fields<'_>,
        failed: bool,
    ) {
        let (cwd, listing) = (self.cwd.as_deref(), text(fields.stdout).unwrap_or_default());
        let files = files_of_changes(fields.changes, &listing, cwd);
        let patch = patch_of_changes(fields.changes, &files, cwd);
        let files = if failed { Vec::new() } else { files };
        let item = Item::new(Role::Patch, Some(patch), at, Detail::Patch { files, failed });
        self.put(turn_id, call, item, None);
    }

    pub(super) fn mcp_call(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        id: Raw<'_>,
        call: &Fields<'_>,
        outcome: Raw<'_>,
        has_failed: Option<bool>,
    ) {
        let (output, is_error) = match text(outcome) {
            Some(text) => (Some(text.into_owned()), Some(true)),
            None => result(outcome),
        };
        let failed = match (has_failed, is_error) {
            (Some(true), _) => Some(true),
            (status, error) => error.or(status),
        };
        let parts = [string(call.server), string(call.tool)];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
        let arguments = call.arguments.and_then(Json::to_raw);
        let item = Item::new(Role::Tool, None, at, Detail::Tool { name, arguments, output, failed });
        self.put(turn_id, id, item, None);
    }

    /// A search of the web, as an event or as the model's copy of it.
    pub(super) fn search(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        fields: &Fields<'_>,
        is_event: bool,
    ) {
        let action = object(fields.action);
        let query = string(fields.query).filter(|query| !query.is_empty());
        let words = query.or_else(|| {
            let (pattern, url) = (text(action.pattern), text(action.url));
            match (string(action.query).filter(|query| !query.is_empty()), pattern, url) {
                (Some(query), ..) => Some(query),
                (None, Some(pattern), Some(url)) => Some(format!("'{pattern}' in {url}")),
                (None, Some(pattern), None) => Some(pattern.into_owned()),
                (None, None, Some(url)) => Some(url.into_owned()),
                (None, None, None) => read::<Vec<String>>(action.queries).map(|all| all.join(", ")),
            }
        });
        let words = words.unwrap_or_default();
        if self.is_copy(Role::Search, &words, is_event) {
            return;
        }
        self.add(
            turn_id,
            Slot::new(None, Item::new(Role::Search, Some(words), at, Detail::Plain {}), Wait::Nothing),
        );
    }

    /// The summary of a piece of reasoning. Where it is encrypted as a whole there is none.
    pub(super) fn reasoning(
        &mut self,
        turn_id: Option<&str>,
        texts: Vec<String>,
        at: Option<Timestamp>,
        is_event: bool,
    ) {
        let text = texts.join("\n\n");
        if let Some(open) = self.open.as_mut().filter(|_| !text.is_empty()) {
            open.thought = None;
        }
        if text.is_empty() || self.is_copy(Role::Reasoning, &text, is_event) {
            return;
        }
        let item = Item::new(Role::Reasoning, Some(text), at, Detail::Plain {});
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
    }

    fn agent_item(&mut self, turn_id: Option<&str>, at: Option<Timestamp>, item: &Fields<'_>) {
        let tool = text(item.tool).unwrap_or_default().to_lowercase();
        let action = match () {
            () if tool.starts_with("spawn") => AgentAction::Spawn,
            () if tool.starts_with("wait") => AgentAction::Wait,
            () if tool.starts_with("close") => AgentAction::Close,
            () if tool.starts_with("interrupt") => AgentAction::Interrupt,
            () => AgentAction::Send,
        };
        let prompt =
            string(item.prompt).filter(|_| !matches!(action, AgentAction::Wait | AgentAction::Close));
        let agent = Item::new(Role::Agent, prompt, at, Detail::Agent { action });
        self.put(turn_id, item.id, agent, None);
    }
}

/// The text of the parts of a message, and the number of images.
pub(super) fn parts(content: Raw<'_>) -> (String, u64) {
    let (mut whole, mut images) = (String::new(), 0);
    for part in list(content).into_iter().map(|part| object(Some(part))) {
        images +=
            u64::from(text(part.kind).is_some_and(|kind| kind.contains("image") || kind.contains("Image")));
        whole.push_str(&text(part.text).unwrap_or_default());
    }
    (whole, images)
}
