//! The turn that is open, the calls that wait for their outputs, and the order of records.
//!
//! A call has its place and its number when its line is read, and is passed on when its output is known. A turn that ended
//! in an interruption remains open until the next line that is not its own, since Codex writes the end of an interrupted
//! command after the end of the turn.

use std::collections::VecDeque;
use std::ops::Range;

use super::event::{SessionEvent, SessionEventKind};
use super::record::{Detail, Item, Record, Role, Tokens, Turn, TurnStatus, add_answer, address};
use super::state::{Closed, End, FileState, Open, Part, PassedOn, Place, Slot, Summary, Wait, Wants};
use super::turn_set::TurnSet;
use crate::record::{Id, Status};
use crate::time::Timestamp;

/// The number of calls of a turn that wait at a time, and their size: beyond, the first one waits no longer.
const SLOTS: usize = 512;
const HELD: usize = 4 << 20;
/// The number of items behind a command among which the item of the command comes.
const NEAR: usize = 16;
/// The number of ended turns, and of incomplete calls, to which late lines are matched.
const CLOSED: usize = 1024;
const PARTIAL: usize = 64;
/// The number of items of a turn that are compared with their copies.
const SEEN: usize = 32;

/// Turns lines into records.
#[derive(Default)]
pub(super) struct Machine {
    session: Option<Id>,
    pub(super) wants: Wants,
    part: Part,
    is_subagent: bool,
    pub(super) file: FileState,
    pub(super) cwd: Option<String>,
    pub(super) open: Option<Open>,
    pub(super) closed: VecDeque<Closed>,
    partial: VecDeque<(Place, Slot)>,
    /// The complete calls that were passed on before their items.
    pub(super) answered: VecDeque<String>,
    /// Items before the first turn, or between two turns.
    preface: VecDeque<Item>,
    serial: u64,
    number: u64,
    /// The turns that stand, as ranges of their serial numbers.
    standing: TurnSet,
    /// The turns that were rolled back, in the same form.
    rolled_back: Vec<Range<u64>>,
    /// The turns of which it is known in advance that they will be rolled back.
    foreseen: Option<TurnSet>,
    /// The time of the id of the newest turn.
    newest: Option<Timestamp>,
    /// The number of standing turns that are not passed on, and whether their number is known.
    skipped: u64,
    is_unnumbered: bool,
    pub(super) summary: Summary,
    out: VecDeque<Record>,
}

impl Machine {
    pub(super) fn new(session: Option<Id>, wants: Wants, foreseen: Option<TurnSet>) -> Machine {
        Machine { session, wants, foreseen, ..Machine::default() }
    }

    /// Passes the first turns not on. Without the first turn of the transcript the numbers of the others are unknown.
    pub(super) fn skip(&mut self, turns: u64, is_unnumbered: bool) {
        (self.skipped, self.is_unnumbered) = (turns, is_unnumbered);
    }

    /// Accepts the turns that will be rolled back; `false` if one of them has begun.
    pub(super) fn foresee(&mut self, turns: &TurnSet) -> bool {
        self.foreseen = Some(turns.clone());
        !turns.has_before(self.serial)
    }

    /// Passes records on as soon as they are known.
    pub(super) fn follow(&mut self) {
        self.wants.live = true;
    }

    /// Whether a call waits for its output. Most have it from an item already.
    pub(super) fn needs_output(&self, call: &[u8]) -> bool {
        let is_call = |slot: &Slot| slot.call.as_deref().is_some_and(|own| own.as_bytes() == call);
        let is_open = |open: &Open| open.slots.iter().any(|slot| slot.wait == Wait::Output && is_call(slot));
        self.open.as_ref().is_some_and(is_open) || self.partial.iter().any(|(_, slot)| is_call(slot))
    }

    /// Ends the part of a transcript that is past: what follows is passed on as it is written.
    pub(super) fn be_live(&mut self) {
        (self.foreseen, self.skipped) = (None, 0);
    }

    /// The status of the turn that began last, without a look at its process: running if the turn has not ended.
    pub(super) fn status(&self) -> Status {
        // Up to 0.98 no line marks the end of a turn.
        let is_running = |open: &Open| open.end.is_none() && (self.file.has_starts || !open.has_answer);
        if self.open.as_ref().is_some_and(|open| is_running(open) && !open.place.copied) {
            return Status::Running;
        }
        let ended = self.open.as_ref().and_then(|open| open.end.as_ref()).map(|end| end.status);
        let last = || {
            let is_own = |closed: &&Closed| !closed.place.undone && !closed.place.copied;
            self.closed.iter().rev().find(is_own).and_then(|closed| closed.turn.status)
        };
        match ended.unwrap_or_else(last) {
            Some(TurnStatus::Failed) => Status::Failed,
            Some(TurnStatus::Interrupted) => Status::Interrupted,
            _ => Status::Idle,
        }
    }

    /// Begins a file, or with `is_same_file` the reverted rest of a file.
    pub(super) fn begin(&mut self, part: Part, is_same_file: bool) {
        self.finish_turn();
        self.part = part;
        self.is_subagent = false;
        self.answered.clear();
        if !is_same_file {
            self.file = FileState::default();
        }
    }

    /// Whether the session is a subagent, which its first line shows.
    pub(super) fn set_subagent(&mut self, is_subagent: bool) {
        self.is_subagent = is_subagent && !self.part.inherited;
    }

    /// The next record that is complete.
    pub(super) fn pop(&mut self) -> Option<Record> {
        self.out.pop_front()
    }

    /// The turns that were rolled back, in ascending order.
    pub(super) fn into_rolled_back(self) -> TurnSet {
        TurnSet::of(self.rolled_back)
    }

    /// Opens a turn.
    pub(super) fn start(&mut self, id: Option<String>, at: Option<Timestamp>, is_implicit: bool) {
        self.finish_turn();
        // Some versions do not name the sessions whose turns they copied.
        if !self.file.has_turns && self.file.has_parent && id.is_some() && !self.is_own(id.as_deref(), None) {
            self.file.is_copying = true;
        }
        self.file.has_turns = true;
        if self.file.is_copying && self.file.own_from.is_none() && self.is_own(id.as_deref(), at) {
            self.file.is_copying = false;
        }
        let serial = self.serial;
        self.serial += 1;
        let is_foreseen = self.foreseen.as_ref().is_some_and(|all| all.has(serial));
        let undone = self.part.undone || is_foreseen;
        let copied = self.file.is_copying && self.is_subagent;
        let inherited = self.part.inherited || self.file.is_copying;
        self.standing.push(serial);
        let number = if undone || copied {
            self.summary.undone_turns += u64::from(undone);
            self.summary.copied_turns += u64::from(copied && !undone);
            None
        } else {
            self.number += 1;
            self.summary.turns = self.number;
            self.summary.own_turns += u64::from(!inherited);
            Some(self.number).filter(|_| !self.is_unnumbered)
        };
        let skipped = self.skipped > 0 && self.number <= self.skipped;
        self.newest = clock(id.as_deref()).or(self.newest);
        let open = Open {
            place: Place { number, id, undone, inherited, copied, skipped },
            serial,
            count: 0,
            slots: VecDeque::new(),
            held: 0,
            started_at: at,
            model: None,
            tokens: None,
            answers: Vec::new(),
            is_implicit,
            is_in_review: false,
            reviewer: None,
            has_user: false,
            has_answer: false,
            is_compacted: false,
            prompt: None,
            reply: None,
            thought: None,
            seen: VecDeque::new(),
            end: None,
        };
        if let Some(session) = self.session
            && self.wants.live
            && !inherited
            && self.is_wanted(&open.place)
        {
            let turn = open.place.id.clone();
            let address = address(Some(session), number, turn.as_deref(), None);
            let what = SessionEventKind::TurnStarted { turn, address };
            self.out.push_back(Record::Event(SessionEvent { what, session, at }));
        }
        self.open = Some(open);
        while let Some(item) = self.preface.pop_front() {
            self.push(Slot::new(None, item, Wait::Nothing));
        }
    }

    /// Whether a turn that begins in a file with copied lines is the session's own: its id is younger than that of the
    /// session. Without such an id the times count.
    fn is_own(&self, id: Option<&str>, at: Option<Timestamp>) -> bool {
        let turn = clock(id);
        let session = self.file.id.and_then(Id::created_at).or(self.file.started_at);
        match (turn.or(at), session) {
            (Some(turn), Some(session)) => turn >= session,
            _ => true,
        }
    }

    /// Whether the tokens and turns of the line that is being read are the session's own.
    pub(super) fn is_own_part(&self) -> bool {
        !self.part.inherited && !self.file.is_copying
    }

    /// The end of the open turn.
    pub(super) fn end(&mut self, end: End) {
        self.settle();
        let Some(open) = &mut self.open else { return };
        open.end = Some(end);
        if !open.slots.iter().any(|slot| slot.wait == Wait::Item) {
            self.finish_turn();
        }
    }

    /// Whether the open turn has ended, and only a late item of it is awaited.
    pub(super) fn is_ending(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.end.is_some())
    }

    /// Passes the open turn on, as far as it is known.
    pub(super) fn finish_turn(&mut self) {
        self.settle();
        let Some(mut open) = self.open.take() else { return };
        while let Some(slot) = open.slots.pop_front() {
            self.emit(&open.place, slot, false);
        }
        let is_cut = open.end.is_none();
        let end = open.end.unwrap_or_else(|| End {
            // Up to 0.98 no line marks the end of a turn, only that of the next message its start.
            status: match self.file.has_starts {
                true => Some(TurnStatus::Interrupted),
                false => open.has_answer.then_some(TurnStatus::Completed),
            },
            ..End::default()
        });
        let mut turn = Turn::new(self.session);
        (turn.turn, turn.turn_id) = (open.place.number, open.place.id.clone());
        (turn.undone, turn.inherited) = (open.place.undone, open.place.inherited);
        (turn.status, turn.error) = (end.status, end.error);
        (turn.started_at, turn.completed_at) = (open.started_at, end.at);
        let between = || Some((end.at?.0.checked_sub(open.started_at?.0)?).max(0));
        turn.duration_ms = end.duration_ms.or_else(between);
        turn.model = open.model.or_else(|| self.file.model.clone());
        (turn.tokens, turn.answers) = (open.tokens, open.answers);
        self.emit_turn(&open.place, turn.clone());
        self.closed.push_back(Closed {
            serial: open.serial,
            place: open.place,
            turn,
            count: open.count,
            is_cut,
        });
        if self.closed.len() > CLOSED {
            self.closed.pop_front();
        }
    }

    /// The end of the text so far. In a transcript that is followed only what is known for sure is passed on; else the
    /// turn that is open.
    pub(super) fn finish(&mut self) {
        if !self.wants.live {
            self.settle();
            // It is unknown whether the last turn is still running.
            if let Some(open) = &mut self.open
                && open.end.is_none()
                && self.file.has_starts
            {
                open.end = Some(End::default());
            }
            self.finish_turn();
        } else if self.is_ending() {
            self.finish_turn();
        }
    }

    /// Drops the last turns that stand.
    pub(super) fn roll_back(&mut self, count: u64, at: Option<Timestamp>) {
        self.finish_turn();
        if self.foreseen.is_some() {
            return;
        }
        if let Some(session) = self.session
            && self.wants.live
            && self.is_own_part()
        {
            let what = SessionEventKind::RolledBack { turns: count };
            self.out.push_back(Record::Event(SessionEvent { what, session, at }));
        }
        let mut left = count;
        while left > 0
            && let Some(dropped) = self.standing.pop(left)
        {
            left -= dropped.end - dropped.start;
            self.rolled_back.push(dropped.clone());
            // A transcript that is followed has these turns already.
            let mut again = Vec::new();
            for closed in self.closed.iter_mut().filter(|closed| dropped.contains(&closed.serial)) {
                if closed.place.number.take().is_some() {
                    self.number = self.number.saturating_sub(1);
                    self.summary.own_turns -=
                        u64::from(!closed.place.inherited && self.summary.own_turns > 0);
                    self.summary.undone_turns += 1;
                }
                closed.place.undone = true;
                closed.turn = closed.turn.clone().undone();
                again.push(closed.turn.clone());
            }
            self.summary.turns = self.number;
            if self.wants.live {
                self.out.extend(again.into_iter().map(Record::Turn));
            }
        }
    }

    /// Adds an item to its turn: the turn whose id its line has, else the open one.
    pub(super) fn add(&mut self, turn_id: Option<&str>, mut slot: Slot) {
        let is_open = match (&self.open, turn_id) {
            (Some(open), Some(id)) => open.place.id.as_deref().is_none_or(|own| own == id),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_open {
            if let (Some(open), Some(id)) = (&mut self.open, turn_id) {
                open.place.id.get_or_insert_with(|| id.to_owned());
            }
            self.settle();
            return self.push(slot);
        }
        let closed = match turn_id {
            Some(id) => self.closed.iter_mut().rev().find(|closed| closed.place.id.as_deref() == Some(id)),
            None if self.file.has_starts => self.closed.back_mut(),
            None => None,
        };
        if let Some(closed) = closed {
            slot.number = closed.count + 1;
            closed.count += if slot.item.role == Role::Command { 2 } else { 1 };
            let place = closed.place.clone();
            return self.emit(&place, slot, true);
        }
        if self.is_earlier(turn_id) {
            // Too many turns have ended since.
            let place = Place { id: turn_id.map(str::to_owned), ..Place::default() };
            return self.emit(&place, slot, true);
        }
        // The line that marks the start of the turn is lost, or never was.
        self.start(turn_id.map(str::to_owned), slot.item.at, true);
        self.push(slot);
    }

    /// Whether a turn began before the one that began last.
    pub(super) fn is_earlier(&self, turn_id: Option<&str>) -> bool {
        clock(turn_id).zip(self.newest).is_some_and(|(turn, newest)| turn < newest)
    }

    /// Keeps an item for the next turn.
    pub(super) fn add_before_turn(&mut self, item: Item) {
        self.preface.push_back(item);
        if self.preface.len() > 8 {
            self.preface.pop_front();
        }
    }

    fn push(&mut self, mut slot: Slot) {
        let Some(open) = &mut self.open else { return };
        slot.number = open.count + 1;
        open.count += if slot.item.role == Role::Command { 2 } else { 1 };
        open.held += slot.measure();
        open.slots.push_back(slot);
        self.drain();
    }

    /// Passes the items on that wait for nothing: all of them in a transcript that is followed, else those at the front.
    pub(super) fn drain(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        // The id of the turn of a review comes at its end.
        let is_unnamed = open.place.id.is_none() && (open.is_in_review || open.reviewer.is_some());
        if self.wants.live {
            let (ready, waiting): (VecDeque<Slot>, VecDeque<Slot>) =
                open.slots.drain(..).partition(|slot| matches!(slot.wait, Wait::Nothing | Wait::Copy));
            open.slots = waiting;
            open.held = open.slots.iter().map(|slot| slot.size).sum();
            for slot in ready {
                self.emit(&open.place, slot, false);
            }
        }
        while let Some(first) = open.slots.front() {
            let is_known = match first.wait {
                Wait::Copy => open.slots.len() > NEAR,
                wait => wait == Wait::Nothing,
            };
            let is_ready = is_known && !is_unnamed;
            if !is_ready && open.slots.len() <= SLOTS && open.held <= HELD {
                break;
            }
            if let Some(slot) = open.slots.pop_front() {
                open.held = open.held.saturating_sub(slot.size);
                self.emit(&open.place, slot, false);
            }
        }
        self.open = Some(open);
    }

    /// Changes the call of an id, if it is known. A call that was passed on already is passed on again, as a late one.
    pub(super) fn change(&mut self, call: &str, change: impl FnOnce(&mut Slot)) -> bool {
        if let Some(open) = &mut self.open
            && let Some(slot) = open.slots.iter_mut().rev().find(|slot| slot.call.as_deref() == Some(call))
        {
            let before = slot.size;
            change(slot);
            open.held = (open.held + slot.measure()).saturating_sub(before);
            let is_complete = open.end.is_some() && !open.slots.iter().any(|slot| slot.wait == Wait::Item);
            match is_complete {
                true => self.finish_turn(),
                false => self.drain(),
            }
            return true;
        }
        let partial = self.partial.iter().rposition(|(_, slot)| slot.call.as_deref() == Some(call));
        let Some((place, mut slot)) = partial.and_then(|at| self.partial.remove(at)) else { return false };
        change(&mut slot);
        let is_open = self.open.as_ref().is_some_and(|open| open.place.id == place.id && place.id.is_some());
        self.emit(&place, slot, !is_open);
        true
    }

    /// The call of an id that is still waiting.
    pub(super) fn waiting(&self, call: &str) -> Option<&Slot> {
        let open = self.open.as_ref()?;
        open.slots.iter().rev().find(|slot| slot.call.as_deref() == Some(call))
    }

    /// Whether an item is the copy of one that the turn has: each is written once as an event, and once for the model.
    pub(super) fn is_copy(&mut self, role: Role, text: &str, is_event: bool) -> bool {
        let Some(open) = &mut self.open else { return false };
        let found = open
            .seen
            .iter()
            .position(|(seen, words, event)| *seen == role && *event != is_event && words == text);
        if let Some(at) = found {
            open.seen.remove(at);
            return true;
        }
        open.seen.push_back((role, text.to_owned(), is_event));
        if open.seen.len() > SEEN {
            open.seen.pop_front();
        }
        false
    }

    /// Adds the messages of which only the model's copy came, and the reasoning of which only the events came.
    pub(super) fn settle(&mut self) {
        let Some(open) = &mut self.open else { return };
        let (prompt, thought, reply) = (open.prompt.take(), open.thought.take(), open.reply.take());
        open.has_user |= prompt.is_some();
        open.has_answer |= reply.is_some();
        for candidate in [prompt, thought, reply].into_iter().flatten() {
            let role = candidate.item.role;
            if self.is_copy(role, &candidate.text, role == Role::Reasoning) && role == Role::Reasoning {
                continue;
            }
            let mut item = candidate.item;
            item.text = Some(candidate.text);
            self.push(Slot::new(None, item, Wait::Nothing));
        }
    }

    /// Counts tokens for the turn of an id, else for the open one.
    pub(super) fn count_tokens(&mut self, turn_id: Option<&str>, at: Option<Timestamp>, tokens: Tokens) {
        if self.is_own_part() {
            self.summary.spent.get_or_insert_default().add(tokens);
        }
        if let Some(open) = &mut self.open
            && turn_id.is_none_or(|id| open.place.id.as_deref().is_none_or(|own| own == id))
        {
            open.tokens.get_or_insert_default().add(tokens);
            let model = open.model.as_deref().or(self.file.model.as_deref());
            add_answer(&mut open.answers, at, model, tokens);
        } else if let Some(id) = turn_id
            && let Some(closed) =
                self.closed.iter_mut().rev().find(|closed| closed.place.id.as_deref() == Some(id))
        {
            closed.turn.tokens.get_or_insert_default().add(tokens);
            let model = closed.turn.model.clone();
            add_answer(&mut closed.turn.answers, at, model.as_deref(), tokens);
            let (place, turn) = (closed.place.clone(), closed.turn.clone());
            self.emit_turn(&place, turn);
        }
    }

    /// Corrects a turn that was believed to be interrupted. Returns whether there is such a turn.
    pub(super) fn correct(&mut self, turn_id: &str, end: End) -> bool {
        let found = self.closed.iter_mut().rev().find(|closed| closed.place.id.as_deref() == Some(turn_id));
        let Some(closed) = found else { return false };
        if std::mem::take(&mut closed.is_cut) {
            (closed.turn.status, closed.turn.error, closed.turn.completed_at) =
                (end.status, end.error, end.at);
            closed.turn.duration_ms = end.duration_ms;
            let (place, turn) = (closed.place.clone(), closed.turn.clone());
            self.emit_turn(&place, turn);
        }
        true
    }

    /// The turns that were passed on, oldest first, with the items that were; the open turn is the last one.
    pub(super) fn passed_on(&self) -> Vec<(Turn, PassedOn)> {
        let closed = self.closed.iter().filter(|closed| !closed.place.undone);
        let passed_on = |closed: &Closed| PassedOn { count: closed.count, waiting: Vec::new() };
        let mut all: Vec<_> = closed.map(|closed| (closed.turn.clone(), passed_on(closed))).collect();
        if let Some(open) = &self.open {
            let mut turn = Turn::new(self.session);
            (turn.turn, turn.turn_id) = (open.place.number, open.place.id.clone());
            let waiting = open.slots.iter().flat_map(|slot| [slot.number, slot.number + 1]).collect();
            all.push((turn, PassedOn { count: open.count, waiting }));
        }
        all
    }

    /// Drops the records that are complete and were not popped.
    pub(super) fn drop_records(&mut self) {
        self.out.clear();
    }

    /// Codex's id of the turn that is open.
    pub(super) fn open_turn(&self) -> Option<&str> {
        self.open.as_ref()?.place.id.as_deref()
    }

    /// Passes a turn on as undone.
    pub(super) fn undo(&mut self, turn: Turn) {
        self.out.push_back(Record::Turn(turn.undone()));
    }

    fn is_wanted(&self, place: &Place) -> bool {
        (self.wants.undone || !place.undone) && (self.wants.copied || !place.copied) && !place.skipped
    }

    fn emit_turn(&mut self, place: &Place, turn: Turn) {
        if self.is_wanted(place) {
            self.out.push_back(Record::Turn(turn));
        }
    }

    fn emit(&mut self, place: &Place, slot: Slot, is_late: bool) {
        if slot.wait == Wait::Copy {
            slot.call.clone().into_iter().for_each(|call| self.answer(call));
        } else if slot.wait != Wait::Nothing && slot.size < HELD / PARTIAL {
            self.partial.push_back((place.clone(), slot.clone()));
            if self.partial.len() > PARTIAL {
                self.partial.pop_front();
            }
        }
        if !self.is_wanted(place) {
            return;
        }
        let Slot { mut item, output, number, .. } = slot;
        // A call without an output may have failed: the rollout has no result of it.
        if let Detail::Patch { files, failed } = &mut item.detail
            && slot.wait == Wait::Output
        {
            files.clear();
            *failed = true;
        }
        for (at, mut item) in [Some(item), output].into_iter().flatten().enumerate() {
            if self.wants.messages_alone && !matches!(item.role, Role::User | Role::Assistant) {
                continue;
            }
            (item.session, item.turn, item.turn_id) = (self.session, place.number, place.id.clone());
            item.item = Some(number + at as u64).filter(|_| number > 0);
            if !self.wants.is_count {
                item.address = address(item.session, item.turn, item.turn_id.as_deref(), item.item);
            }
            (item.undone, item.inherited, item.late) = (place.undone, place.inherited, is_late);
            self.out.push_back(Record::Item(item));
        }
    }
}

/// The time in the id of a turn.
pub(super) fn clock(id: Option<&str>) -> Option<Timestamp> {
    id.and_then(Id::parse).and_then(Id::created_at)
}
