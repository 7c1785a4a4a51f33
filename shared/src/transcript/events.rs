//! Lines of events: the starts and ends of turns, and up to 0.147 what Codex shows to people.

use super::head::Head;
use super::machine::Machine;
use super::record::{Detail, Item, ReviewAction, Role, TurnError, TurnStatus};
use super::state::{Candidate, End, Open, Slot, Wait};
use crate::codex::rollout::wire::{Fields, Line, Raw, list, object, read, string, text, text_of_line};
use crate::codex::rollout::{LineKind, typed_text};
use crate::record::Id;
use crate::time::Timestamp;

/// Events without an item of their own, or with one that another line has as well.
const IGNORED: [&str; 23] = [
    "agent_reasoning_raw_content",
    "agent_reasoning_section_break",
    "item_started",
    "item_updated",
    "thread_name_updated",
    "background_event",
    "error",
    "stream_error",
    "warning",
    "turn_diff",
    "plan_update",
    "exec_command_begin",
    "exec_command_end",
    "exec_command_output_delta",
    "patch_apply_begin",
    "mcp_tool_call_begin",
    "web_search_begin",
    "view_image_tool_call",
    "collab_agent_spawn_begin",
    "collab_agent_spawn_end",
    "undo_started",
    "undo_completed",
    "session_configured",
];

/// The length of reasoning whose parts are collected.
const LONGEST: usize = 1 << 20;

impl Machine {
    /// Reads the next line, without its newline.
    pub(super) fn line(&mut self, bytes: &[u8]) {
        if self.wants.items_alone && self.is_needless(bytes) {
            return;
        }
        let text = text_of_line(bytes);
        match Line::parse(&text) {
            Some(line) => self.read(&line),
            None if text.is_empty() => {}
            None => self.summary.invalid_lines += 1,
        }
    }

    /// Whether a line adds nothing to the items, by its beginning.
    fn is_needless(&mut self, line: &[u8]) -> bool {
        match Head::of(line) {
            Head::OfNoItem => true,
            Head::OfNoMessage => self.counts_messages(),
            Head::Output(call) => !self.needs_output(call),
            Head::Command(_) if self.counts_messages() => true,
            // The call keeps its place and its numbers.
            Head::Command(call) if self.wants.messages_alone && !self.is_in_review() => {
                let call = std::str::from_utf8(call).unwrap_or_default();
                let is_waiting = self.waiting(call).is_some();
                if is_waiting {
                    self.file.has_command_items = true;
                    self.change(call, |slot| slot.wait = Wait::Nothing);
                }
                is_waiting
            }
            Head::Command(_) => false,
            Head::Other => false,
        }
    }

    /// Whether messages are counted, so that the places and the numbers of other items are of no use.
    fn counts_messages(&self) -> bool {
        self.wants.is_count && self.wants.messages_alone && !self.is_in_review()
    }

    fn read(&mut self, line: &Line<'_>) {
        if self.file.is_copying && self.file.own_from.zip(line.ordinal).is_some_and(|(own, at)| at >= own) {
            self.finish_turn();
            self.file.is_copying = false;
        }
        match &*line.kind {
            "event_msg" => self.event(line),
            "response_item" | "bare" => self.response(line),
            "session_meta" => self.meta(line),
            "turn_context" => self.context(&line.fields),
            "compacted" => self.compacted(line),
            "token_usage_record" => {
                let fields = &line.fields;
                if let Some(tokens) = self.file.counter.record(fields.usage, fields.response_id) {
                    self.count_tokens(text(fields.turn_id).as_deref(), line.at(), tokens);
                }
            }
            "world_state"
            | "retained_context"
            | "inter_agent_communication_metadata"
            | "additional_tools"
            | "configuration_update"
            | "thread_settings_applied" => {}
            _ => self.summary.unknown_lines += 1,
        }
        // Lines with an ordinal are of versions that write the errors of turns.
        if line.ordinal.is_none() {
            self.file.judge.add(&LineKind::of(line));
        }
    }

    fn meta(&mut self, line: &Line<'_>) {
        self.file.metas += 1;
        if self.file.metas == 1 {
            self.file.id = string(line.fields.id).and_then(|id| Id::parse(&id));
            let at = text(line.fields.timestamp).and_then(|at| Timestamp::parse(&at));
            self.file.started_at = at.or(line.at());
            self.cwd = string(line.fields.cwd).or(self.cwd.take());
            let is_subagent = line.fields.source.is_some_and(|source| source.get().contains("\"subagent\""));
            self.set_subagent(is_subagent);
            self.file.has_parent =
                text(line.fields.forked_from_id).or(text(line.fields.parent_thread_id)).is_some();
            self.file.own_from = read(line.fields.subagent_history_start_ordinal);
        } else if !self.file.has_turns {
            // What follows was copied from this session.
            self.file.is_copying = true;
        }
    }

    fn context(&mut self, fields: &Fields<'_>) {
        self.cwd = string(fields.cwd).or(self.cwd.take());
        self.set_model(string(fields.model), text(fields.turn_id).as_deref());
    }

    fn set_model(&mut self, model: Option<String>, turn_id: Option<&str>) {
        if model.is_none() {
            return;
        }
        if let Some(open) = &mut self.open
            && !open.is_in_review
            && turn_id.is_none_or(|id| open.place.id.as_deref().is_none_or(|own| own == id))
        {
            open.model = model.clone();
        }
        self.file.model = model;
    }

    fn compacted(&mut self, line: &Line<'_>) {
        self.file.counter.compacted();
        let message = string(line.fields.message).unwrap_or_default();
        // The summary comes behind an instruction for the model.
        let summary = message.split_once("analysis:\n").map_or(&*message, |(_, summary)| summary).to_owned();
        if let Some(open) = &mut self.open {
            // The model's copy of the summary is not an answer.
            open.reply = None;
        }
        let summary = (!summary.is_empty()).then_some(summary);
        let item = Item::new(Role::Compaction, summary, line.at(), Detail::Plain {});
        self.add(None, Slot::new(None, item, Wait::Nothing));
        if let Some(open) = &mut self.open {
            open.is_compacted = true;
        }
    }

    /// The event of a compaction, whose line comes before it.
    pub(super) fn compaction(&mut self, turn_id: Option<&str>, at: Option<Timestamp>) {
        if self.open.as_mut().is_some_and(|open| std::mem::take(&mut open.is_compacted)) {
            return;
        }
        let item = Item::new(Role::Compaction, None, at, Detail::Plain {});
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
    }

    /// Whether the lines are those of a reviewer.
    fn is_in_review(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_in_review)
    }

    /// Whether a line with the id of a turn is a reviewer's. A late line of an earlier turn is not.
    pub(super) fn is_of_reviewer(&self, turn_id: Option<&str>) -> bool {
        let is_earlier = || {
            turn_id.is_some_and(|id| self.closed.iter().any(|one| one.turn.turn_id.as_deref() == Some(id)))
        };
        self.is_in_review() && !is_earlier()
    }

    fn event(&mut self, line: &Line<'_>) {
        let fields = &line.fields;
        let turn_id = text(fields.turn_id);
        let turn_id = turn_id.as_deref();
        let kind = text(fields.kind).unwrap_or_default();
        match &*kind {
            // `task_` is what versions up to 0.171 write, `turn_` what they read as well.
            "task_started" | "turn_started" => self.turn_started(line, turn_id),
            "task_complete" | "turn_complete" | "turn_aborted" => self.turn_ended(line, turn_id),
            "user_message" => {
                let images = list(fields.images).len() + list(fields.local_images).len();
                self.user_message(
                    turn_id,
                    &text(fields.message).unwrap_or_default(),
                    images as u64,
                    line.at(),
                );
            }
            "agent_message" if !self.is_of_reviewer(turn_id) => {
                let message = string(fields.message).unwrap_or_default();
                self.agent_message(turn_id, message, string(fields.phase), line.at());
            }
            "agent_reasoning" if !self.is_of_reviewer(turn_id) => {
                self.wait_for_reasoning(fields.text, line.at())
            }
            "agent_reasoning" => {}
            "item_completed" => self.item(line, turn_id),
            "token_count" => {
                if let Some(tokens) = self.file.counter.count(fields.info) {
                    self.count_tokens(None, line.at(), tokens);
                }
            }
            "patch_apply_end" if !self.is_of_reviewer(turn_id) => {
                let has_failed = read::<bool>(fields.success) == Some(false);
                self.file_change(line.at(), turn_id, fields.call_id, fields, has_failed);
            }
            "mcp_tool_call_end" if !self.is_of_reviewer(turn_id) => {
                let call = object(fields.invocation);
                self.mcp_call(line.at(), turn_id, fields.call_id, &call, fields.result, None);
            }
            "web_search_end" if !self.is_of_reviewer(turn_id) => {
                self.search(line.at(), turn_id, fields, true);
            }
            "entered_review_mode" => self.review_entered(line.at(), turn_id, fields),
            "exited_review_mode" => self.review_finished(line.at(), turn_id, fields),
            "context_compacted" => self.compaction(turn_id, line.at()),
            "thread_rolled_back" => self.roll_back(read(fields.num_turns).unwrap_or(0), line.at()),
            "thread_goal_updated" => self.goal_updated(line),
            "thread_settings_applied" => {
                let settings = object(fields.thread_settings);
                if self.open.as_ref().is_none_or(|open| open.model.is_none()) {
                    self.set_model(string(settings.model), turn_id);
                }
            }
            _ if IGNORED.contains(&&*kind) || self.is_of_reviewer(turn_id) => {}
            "agent_message" | "patch_apply_end" | "mcp_tool_call_end" | "web_search_end" => {}
            _ => self.summary.unknown_lines += 1,
        }
    }

    fn turn_started(&mut self, line: &Line<'_>, turn_id: Option<&str>) {
        if let Some(open) = self.open.as_mut().filter(|open| open.is_in_review) {
            open.reviewer = turn_id.map(str::to_owned);
            return;
        }
        let is_again = turn_id.is_some()
            && self
                .open
                .as_ref()
                .is_some_and(|open| open.place.id.as_deref() == turn_id && !open.is_implicit);
        if is_again {
            return;
        }
        // An item may come before the line that marks the start of its turn.
        if let Some(open) = &mut self.open
            && open.is_implicit
            && turn_id.is_some()
            && open.place.id.as_deref() == turn_id
        {
            open.is_implicit = false;
            return;
        }
        self.file.has_starts = true;
        self.start(turn_id.map(str::to_owned), moment(line.at(), line.fields.started_at), false);
    }

    fn turn_ended(&mut self, line: &Line<'_>, turn_id: Option<&str>) {
        let fields = &line.fields;
        let status = match LineKind::of(line) {
            LineKind::TurnFailed { .. } => TurnStatus::Failed,
            LineKind::TurnSilent if self.file.judge.failed() => TurnStatus::Failed,
            LineKind::TurnAborted => TurnStatus::Interrupted,
            _ => TurnStatus::Completed,
        };
        let error = fields.error.map(|error| {
            let error = object(Some(error));
            TurnError { message: string(error.message), info: read(error.codex_error_info) }
        });
        let end = End {
            status: Some(status),
            at: moment(line.at(), fields.completed_at),
            duration_ms: read(fields.duration_ms),
            error,
        };
        if let Some(open) = self.open.as_mut().filter(|_| turn_id.is_some()) {
            if open.reviewer.as_deref() == turn_id && open.place.id.as_deref() != turn_id {
                return;
            }
            // The turn of a review has its id only here.
            open.place.id = open.place.id.take().or_else(|| turn_id.map(str::to_owned));
        }
        let is_open =
            self.open.as_ref().is_some_and(|open| turn_id.is_none() || open.place.id.as_deref() == turn_id);
        if is_open {
            if let Some(open) = self.open.as_mut() {
                open.is_in_review = false;
                open.reviewer = None;
            }
            return self.end(end);
        }
        let Some(id) = turn_id else { return };
        // The line that marks the start of the turn is lost.
        if !self.correct(id, end_copy(&end)) && self.open.is_none() && !self.is_earlier(Some(id)) {
            self.start(Some(id.to_owned()), end.at, true);
            self.end(end);
        }
    }

    /// A message that the user typed.
    pub(super) fn user_message(
        &mut self,
        turn_id: Option<&str>,
        whole: &str,
        images: u64,
        at: Option<Timestamp>,
    ) {
        if self.is_of_reviewer(turn_id) {
            return;
        }
        let Some(text) = typed_of_event(whole).filter(|text| !text.is_empty() || images > 0) else { return };
        if turn_id.is_none() {
            // Up to 0.98 a turn begins with its message.
            let is_new = match &self.open {
                Some(open) => open.is_implicit && open.has_user && !self.file.has_starts,
                None => true,
            };
            if is_new || self.is_ending() {
                self.start(None, at, true);
            }
        }
        if let Some(open) = &mut self.open {
            open.prompt = None;
        }
        if self.is_copy(Role::User, text, true) {
            return;
        }
        let item = Item::new(Role::User, Some(text.to_owned()), at, Detail::Message { phase: None, images });
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
        if let Some(open) = &mut self.open {
            open.has_user = true;
        }
    }

    /// A message of the model.
    pub(super) fn agent_message(
        &mut self,
        turn_id: Option<&str>,
        message: String,
        phase: Option<String>,
        at: Option<Timestamp>,
    ) {
        if message.is_empty() {
            return;
        }
        if let Some(open) = &mut self.open
            && open.reply.as_ref().is_some_and(|reply| reply.text == message)
        {
            open.reply = None;
        } else if self.is_copy(Role::Assistant, &message, true) {
            return;
        }
        let item = Item::new(Role::Assistant, Some(message), at, Detail::Message { phase, images: 0 });
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
        if let Some(open) = &mut self.open {
            open.has_answer = true;
        }
    }

    pub(super) fn review_entered(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        fields: &Fields<'_>,
    ) {
        let is_open =
            self.open.as_ref().is_some_and(|open| turn_id.is_some() && open.place.id.as_deref() == turn_id);
        if !is_open {
            self.start(turn_id.map(str::to_owned), at, true);
        }
        if let Some(open) = &mut self.open {
            open.is_in_review = true;
        }
        let detail = Detail::Review { action: ReviewAction::Entered, findings: None };
        let item = Item::new(Role::Review, string(fields.user_facing_hint), at, detail);
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
    }

    pub(super) fn review_finished(
        &mut self,
        at: Option<Timestamp>,
        turn_id: Option<&str>,
        fields: &Fields<'_>,
    ) {
        if let Some(open) = &mut self.open
            && open.is_in_review
        {
            open.is_in_review = false;
            // Without an id the turn still waits for its own.
            open.reviewer.get_or_insert_default();
        }
        let output = object(fields.review_output);
        let findings = Some(list(output.findings).len() as u64);
        let detail = Detail::Review { action: ReviewAction::Finished, findings };
        let item = Item::new(Role::Review, string(output.overall_explanation), at, detail);
        self.add(turn_id, Slot::new(None, item, Wait::Nothing));
    }

    fn goal_updated(&mut self, line: &Line<'_>) {
        let goal = object(line.fields.goal);
        let (objective, state) = (string(goal.objective), string(goal.status));
        let known = (objective.clone().unwrap_or_default(), state.clone().unwrap_or_default());
        if self.file.goal.as_ref() == Some(&known) {
            return;
        }
        let is_called = self.is_copy(Role::Goal, &known.1, true);
        self.file.goal = Some(known);
        if is_called {
            return;
        }
        let item = Item::new(Role::Goal, objective, line.at(), Detail::Goal { state });
        let turn_id = text(line.fields.turn_id_camel);
        if self.open.is_some() {
            self.add(turn_id.as_deref(), Slot::new(None, item, Wait::Nothing));
        } else {
            self.add_before_turn(item);
        }
    }

    /// A part of reasoning. The model's line with all parts is behind it, but not in the copy that a subagent gets.
    fn wait_for_reasoning(&mut self, part: Raw<'_>, at: Option<Timestamp>) {
        let Some(part) = string(part) else { return };
        let held = |open: &Open| open.thought.as_ref().map_or(0, |thought| thought.text.len());
        if self.open.as_ref().is_some_and(|open| held(open) + part.len() > LONGEST) {
            self.settle();
        }
        let Some(open) = &mut self.open else { return };
        let item = Item::new(Role::Reasoning, None, at, Detail::Plain {});
        let thought = open.thought.get_or_insert_with(|| Candidate { text: String::new(), item });
        if !thought.text.is_empty() {
            thought.text += "\n\n";
        }
        thought.text += &part;
    }

    /// A message of which only the model's copy came so far.
    pub(super) fn wait_for_event(&mut self, item: Item, is_user: bool) {
        let Some(open) = &mut self.open else { return };
        let text = item.text.clone().unwrap_or_default();
        *(if is_user { &mut open.prompt } else { &mut open.reply }) = Some(Candidate { text, item });
    }
}

/// The typed part of a message; without injected blocks it is the message to the byte. `None` if nothing was typed.
pub(super) fn typed_of_event(whole: &str) -> Option<&str> {
    let text = typed_text(whole);
    match text == whole.trim() {
        true => Some(whole),
        false => Some(text).filter(|text| !text.is_empty()),
    }
}

/// The time of a line, or the whole seconds in it if the line was copied later.
fn moment(at: Option<Timestamp>, seconds: Raw<'_>) -> Option<Timestamp> {
    let seconds = read::<i64>(seconds).and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp);
    match (at, seconds) {
        (Some(at), Some(seconds)) if at.0.abs_diff(seconds.0) > 2000 => Some(seconds),
        (at, seconds) => at.or(seconds),
    }
}

fn end_copy(end: &End) -> End {
    End { status: end.status, at: end.at, duration_ms: end.duration_ms, error: end.error.clone() }
}
