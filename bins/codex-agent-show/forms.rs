//! The forms of the output.

use std::io;

use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Result, reason, warn};
use codex_agent_shared::ndjson::{Output, has_written};
use codex_agent_shared::record::Id;
use codex_agent_shared::terminal::is_terminal;
use codex_agent_shared::text::{cell, counted, harmless};
use codex_agent_shared::transcript::stats::Sums;
use codex_agent_shared::transcript::{Detail, Options, Reader, Record, raw_lines};

use super::Args;
use super::around::Around;
use super::blocks::{Block, Blocks};
use super::choice::{Choice, Range};
use super::early::Early;
use super::files::{Files, View};
use super::html::Html;
use super::last;
use super::markdown::{Markdown, visible};
use super::oneline::Oneline;
use super::people::{LINES, Page, Style};
use super::targets::Target;
use codex_agent_shared::transcript::prose;

/// Prints the transcripts; returns whether all that was asked for exists.
pub(super) fn print_all(
    args: &Args,
    index: &mut Index,
    targets: &[Target],
    is_paged: bool,
    output: &mut Output,
) -> Result<bool> {
    let own = &args.own;
    let color = args.common.color.is_on();
    let mut is_complete = true;
    match way(args) {
        Way::Raw => {
            for target in targets {
                print_raw(index, target, output)?;
            }
        }
        Way::Final | Way::Tasks => {
            for (at, target) in targets.iter().enumerate() {
                is_complete &= print_last(args, index, target, at > 0, output)?;
            }
        }
        Way::Files(view) => {
            let is_one = targets.iter().all(|target| target.session.cwd == targets[0].session.cwd);
            let mut files = Files::new(view, color, own.width);
            for target in targets {
                files.directory = target.session.cwd.as_deref().filter(|_| !is_one).map(str::to_owned);
                is_complete &= print_records(args, index, target, &mut |record| match &record {
                    Record::Item(item) => files.add(item, output),
                    _ => Ok(()),
                })?;
            }
            is_complete &= files.finish(output)?;
        }
        Way::Json => {
            let mut early = Early::new();
            for target in targets {
                is_complete &= print_records(args, index, target, &mut |record| {
                    output.record(&record)?;
                    early.write(output)
                })?;
            }
        }
        Way::Oneline => {
            let mut rows = Oneline::new(color, is_terminal() || own.width.is_some());
            let mut early = Early::new();
            for target in targets {
                is_complete &= print_records(args, index, target, &mut |record| {
                    rows.add(&record, &target.session, output)?;
                    early.write(output)
                })?;
            }
            rows.finish(output)?;
        }
        Way::Markdown => {
            let mut page = Markdown { output, full: own.full };
            for target in targets {
                page.session(&target.session)?;
                let mut print = |block: &Block| page.block(block);
                let mut blocks = Blocks::new(&mut print);
                is_complete &= print_records(args, index, target, &mut |record| blocks.add(record))?;
                blocks.finish()?;
            }
        }
        Way::Html => {
            let mut page = Html::new(output, own.full);
            for target in targets {
                page.session(&target.session)?;
                let mut print = |block: &Block| page.block(block);
                let mut blocks = Blocks::new(&mut print);
                is_complete &= print_records(args, index, target, &mut |record| blocks.add(record))?;
                blocks.finish()?;
            }
            page.finish()?;
        }
        Way::People => {
            let lines = if own.full { None } else { Some(own.lines.unwrap_or(LINES)) };
            let mut page = Page::new(Style::new(color, own.width, lines, own.full), output);
            for (at, target) in targets.iter().enumerate() {
                let is_part = own.choice.is_part() || own.last.is_some() || target.turn.is_some();
                page.shows_inherited = own.inherited || is_part;
                // The first screen of a long session need not wait until it is known which turns were rolled back.
                let at_once = is_paged && targets.len() == 1 && !is_part && own.around.is_none();
                let mut reader = open(args, index, target, at_once)?;
                page.session(&target.session, at > 0);
                let mut found = blocks(args, target, &mut reader, &mut |block| page.block(block))?;
                if found.is_none() {
                    page.correct(own.undone)?;
                    page.session(&target.session, at > 0);
                    found = blocks(args, target, &mut reader, &mut |block| page.block(block))?;
                }
                let (sums, read) = found.unwrap_or_default();
                page.end((!is_part).then_some(&sums), read.undone, own.undone)?;
                is_complete &= read.is_found;
            }
        }
    }
    Ok(is_complete)
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    People,
    Oneline,
    Final,
    Tasks,
    Files(View),
    Json,
    Markdown,
    Html,
    Raw,
}

/// The options that choose a form, and whether they are given.
pub(super) fn ways(args: &Args) -> [(&'static str, bool, Way); 10] {
    let own = &args.own;
    [
        ("--oneline", own.oneline, Way::Oneline),
        ("--final", own.is_final, Way::Final),
        ("--tasks", own.tasks, Way::Tasks),
        ("--stat", own.stat, Way::Files(View::Stat)),
        ("--name-only", own.name_only, Way::Files(View::Names)),
        ("--patch", own.patch, Way::Files(View::Patch)),
        ("--json", args.common.json, Way::Json),
        ("--markdown", own.markdown, Way::Markdown),
        ("--html", own.html, Way::Html),
        ("--raw", own.raw, Way::Raw),
    ]
}

fn way(args: &Args) -> Way {
    ways(args).into_iter().find(|(_, is_given, _)| *is_given).map_or(Way::People, |(.., way)| way)
}

/// Prints the lines of the rollouts of a session.
fn print_raw(index: &mut Index, target: &Target, output: &mut Output) -> Result<()> {
    let id = target.id()?;
    let named = target.session.rollout_path.as_deref();
    let mut failure = None;
    let read = raw_lines(index.files(), id, named, &mut |line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let printed = match is_terminal() {
            true => output.text(harmless(&String::from_utf8_lossy(line)).as_bytes(), b"\n"),
            false => output.text(line, b"\n"),
        };
        printed.map_err(|error| {
            failure = Some(error);
            std::io::Error::other("the output cannot be written")
        })
    });
    match (failure, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(unreadable(id, &error)),
        (None, Ok(problems)) => {
            problems.iter().for_each(|problem| warn(format_args!("session '{id}': {problem}")));
            Ok(())
        }
    }
}

/// Prints the last answer or the newest check list; returns whether there is one.
fn print_last(
    args: &Args,
    index: &mut Index,
    target: &Target,
    is_further: bool,
    output: &mut Output,
) -> Result<bool> {
    let id = target.id()?;
    let wanted = if args.own.is_final { last::is_answer } else { last::is_tasks };
    let Some((item, remark)) = last::find(index, target, &wanted)? else {
        let what = if args.own.is_final { "answer of the model" } else { "check list" };
        warn(format_args!("session '{id}' has no {what}"));
        return Ok(false);
    };
    if let Some(remark) = remark.filter(|_| args.own.is_final) {
        warn(format_args!("session '{id}': this answer is not the end of the session: {remark}"));
    }
    if is_further {
        output.text(b"", b"\n")?;
    }
    let text = match &item.detail {
        Detail::Todo { steps } => {
            let row = |(step, status): &(String, String)| {
                format!("{} {}", prose::mark(status), cell(step, usize::MAX))
            };
            steps.iter().map(row).collect::<Vec<_>>().join("\n")
        }
        _ => item.text.unwrap_or_default().trim_end().to_owned(),
    };
    let text = if is_terminal() { visible(&text) } else { text };
    output.text(text.as_bytes(), b"\n")?;
    Ok(true)
}

/// A reader of the transcript of a target; of a long one only the last turns are read if only these are chosen, and with
/// `at_once` records are to be confirmed.
fn open(args: &Args, index: &mut Index, target: &Target, at_once: bool) -> Result<Reader> {
    // Undone turns are counted also where they are not shown.
    let undone = args.own.undone || target.names_id() || way(args) == Way::People;
    let options = Options { undone, copied: args.own.inherited, live: false };
    match args.own.last {
        None if at_once => {
            let (id, named) = (target.id()?, target.session.rollout_path.as_deref());
            let opened = Reader::of_session_at_once(index.files(), id, named, options);
            opened.map_err(|error| unreadable(id, &error))
        }
        last => open_last(index, target, last.map(|last| last as u64), options),
    }
}

/// A reader of the transcript of a target, or of its last turns.
pub(super) fn open_last(
    index: &mut Index,
    target: &Target,
    last: Option<u64>,
    options: Options,
) -> Result<Reader> {
    let id = target.id()?;
    let named = target.session.rollout_path.as_deref();
    let files = index.files();
    let opened = match last {
        Some(count) => Reader::last_turns(files, id, named, count, options),
        None => Reader::of_session(files, id, named, options),
    };
    opened.map_err(|error| unreadable(id, &error))
}

/// The error for a transcript that cannot be read.
pub(super) fn unreadable(id: Id, error: &io::Error) -> Error {
    Error::new(format!("cannot read the transcript of session '{id}': {}", reason(error)))
        .hint("'codex-agent ls --check' lists where Codex's database and rollouts disagree")
}

/// The end of reading a transcript.
#[derive(Debug, Default)]
struct Read {
    /// Whether the turn or item that was named exists.
    is_found: bool,
    /// The number of turns that were rolled back or reverted.
    undone: u64,
}

/// Passes the chosen records of a target on; returns whether the turn or item that was named exists.
fn print_records(
    args: &Args,
    index: &mut Index,
    target: &Target,
    take: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<bool> {
    let mut reader = open(args, index, target, false)?;
    Ok(records(args, target, &mut reader, take)?.is_some_and(|read| read.is_found))
}

/// Passes the chosen records of a target on. `None` if a turn may have been passed on that was rolled back: the reader begins
/// with the first record again.
fn records(
    args: &Args,
    target: &Target,
    reader: &mut Reader,
    take: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<Option<Read>> {
    let id = target.id()?;
    let named = target.turn.as_ref().map(|turn| args.own.choice.of_turn(turn));
    let mut around = None;
    let choice = match (named, &args.own.around) {
        (Some(named), Some(_)) => {
            around = Some(Around::new(named, target.item, args.own.context.unwrap_or(2)));
            args.own.choice.clone()
        }
        // A line is one of a turn.
        (Some(named), None) => Choice { item: target.item.filter(|_| way(args) != Way::Oneline), ..named },
        (None, _) => args.own.choice.clone(),
    };
    let shows_undone = args.own.undone || target.names_id();
    // Records have the inherited turns always, and people get a line about them.
    let is_part = args.own.choice.is_part() || args.own.last.is_some() || target.turn.is_some();
    let shows_inherited = args.own.inherited || is_part || matches!(way(args), Way::Json | Way::People);
    let mut is_found = false;
    loop {
        // Nothing that was written can be taken back.
        if !reader.confirm(has_written()).map_err(|error| unreadable(id, &error))? {
            return Ok(None);
        }
        let Some(record) = reader.next_record().map_err(|error| unreadable(id, &error))? else { break };
        if (is_undone(&record) && !shows_undone) || (is_inherited(&record) && !shows_inherited) {
            continue;
        }
        match &mut around {
            Some(around) => {
                around.add(record, &choice, take)?;
                is_found = around.is_found();
                if around.is_over() {
                    break;
                }
            }
            None if choice.has(&record) => {
                is_found |= choice.item.is_none() || matches!(record, Record::Item(_));
                take(record)?;
                if choice.item.is_some() {
                    break;
                }
            }
            None => {}
        }
    }
    if !reader.confirm(true).map_err(|error| unreadable(id, &error))? {
        return Ok(None);
    }
    for problem in reader.problems() {
        warn(format_args!("session '{id}': {problem}"));
    }
    let summary = reader.summary();
    if summary.invalid_lines > 0 {
        let lines = counted(summary.invalid_lines, "line");
        warn(format_args!("session '{id}': skipped {lines} of the rollout that could not be read"));
    }
    let undone = summary.undone_turns;
    if !is_found && target.turn.is_none() && args.own.choice.is_part() {
        let turns = counted(summary.turns, "turn");
        let wanted: Vec<String> = args.own.choice.turns.iter().map(Range::to_string).collect();
        warn(format_args!("session '{id}' has {turns}, and none of --turns {}", wanted.join(",")));
        return Ok(Some(Read { is_found: false, undone }));
    }
    Ok(Some(Read { is_found: target.report_missing(is_found), undone }))
}

fn is_undone(record: &Record) -> bool {
    match record {
        Record::Item(item) => item.undone,
        Record::Turn(turn) => turn.undone,
        _ => false,
    }
}

fn is_inherited(record: &Record) -> bool {
    match record {
        Record::Item(item) => item.inherited,
        Record::Turn(turn) => turn.inherited,
        _ => false,
    }
}

/// Passes the chosen blocks of a target on; `None` as in [`records`].
fn blocks(
    args: &Args,
    target: &Target,
    reader: &mut Reader,
    take: &mut dyn FnMut(&Block) -> Result<()>,
) -> Result<Option<(Sums, Read)>> {
    let mut blocks = Blocks::new(take);
    let Some(read) = records(args, target, reader, &mut |record| blocks.add(record))? else {
        return Ok(None);
    };
    Ok(Some((blocks.finish()?, read)))
}
