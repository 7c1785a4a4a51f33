//! codex-agent-pick: choose sessions interactively.
//!
//! Threads report to one loop: `screen` the keys, `source` the rows, `preview` the details of the current session, and
//! `actions` what became of a fork, a name or an archive. The loop changes the state (`picker`), and draws (`view`).

mod actions;
mod matching;
mod picker;
mod preview;
mod prompt;
mod rows;
mod screen;
mod source;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use codex_agent_shared::child;
use codex_agent_shared::child::signals::{SIGCONT, SIGTSTP};
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::cli::{Command, Completes, Tool, filters, flags};
use codex_agent_shared::error::{Error, Exit, Result, reason, warn};
use codex_agent_shared::output::{Sessions, Shape};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::terminal::is_terminal;
use codex_agent_shared::text::lowered;

use actions::Action;
use picker::{Picker, Scope, Wish};
use preview::Details;
use rows::Row;
use screen::{Heard, Screen};
use source::{Report, Source};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    all: bool,
    one: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn pick_flags() -> [Flag; 2] {
    [
        Flag::switch("all", "begin with the sessions of all directories", |args: &mut Args| &mut args.own.all)
            .short('a')
            .more("By default, the list begins with the sessions of this repository in all of its working trees, or, outside of a repository, of the current directory and the directories below it; Ctrl-T shows all. If there are no such sessions, or if --cwd, --under, --repo, --group or --forks-of is given, the list begins with all."),
        Flag::switch("one", "choose one session; Tab marks none", |args: &mut Args| &mut args.own.one).short('1'),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-pick")
        .description([
            "Shows sessions on the terminal, the newest first, and prints those that are chosen. What is typed filters the list: each word must occur in the title, the name, the project (the last two parts of the directory) or the branch of a session; its letters may be apart, and the best match comes first. Beside or below the list is a preview of the current session.",
            "Enter prints the sessions marked with Tab, or the current one. In a pipe, session records are printed for other tools; on a terminal, a table as codex-agent-ls(1) prints it:",
            "    codex-agent pick | codex-agent resume -",
            "Sessions are read from standard input, if it is no terminal: session records, JSON strings, or lines up to their first TAB. Their order is kept. Records are printed unchanged. With --host, the sessions of other machines are shown, with the column HOST; they are not opened or changed from here, and Ctrl-Y copies HOST:ID. Otherwise the filters are those of codex-agent-ls(1).",
            "The operands are the query that the list begins with. The sessions that codex-agent-find(1) finds by these words, also in the first message, come first, until the query is changed; not for a query with a capital letter or one of the signs below. An operand '-' is standard input. In a query, 'word matches exactly this word, !word excludes sessions, ^word and word$ match at the start and at the end. A query with a capital letter distinguishes upper and lower case.",
            "Keys: Enter prints, Tab marks, Ctrl-O opens the session in the Codex TUI, Ctrl-F forks, Ctrl-R names, Ctrl-X archives after a question, Ctrl-Y copies the id, Ctrl-T shows the sessions of all directories or of this repository, Ctrl-V shows or hides the preview, Ctrl-L reads the sessions again, Ctrl-Z suspends, F1 shows all keys. Escape and Ctrl-C end the tool with the exit status 130. The query is edited with the keys of readline; arrows, Ctrl-P and Ctrl-N, PageUp and PageDown move in the list.",
            "The list is drawn on /dev/tty, so that standard input and standard output can be pipes. codex-agent-resume(1), codex-agent-fork(1) and codex-agent-name(1) run this tool if no session is given on a terminal, or words instead of a reference. The id is copied with the OSC 52 sequence of the terminal, or, in tmux, by 'tmux load-buffer -w'.",
        ])
        .command(
            Command::new(run)
                .operands("[QUERY...] [-]", &[Completes::Nothing])
                .flags("Options", pick_flags())
                .flags("Filters", filters::filters())
                .flags("Output options", flags::session_output().into_iter().chain([flags::color()]))
                .flags("Sources", [flags::host(), flags::codex_home(), flags::no_files(), flags::no_database()])
                .on_hosts(),
        )
        .exit_status(&[
            (0, "The chosen sessions were printed, or a session was opened and Codex ended with 0."),
            (1, "There is no session to choose from, or none that the filters select, or a chosen session does not exist any more."),
            (2, "Bad usage, no terminal to draw on, or an invalid line on standard input."),
            (130, "The tool was left without a choice."),
        ])
        .examples(&[
            ("Choose a session of this repository, and resume it:", "codex-agent pick | codex-agent resume -"),
            ("Choose among the sessions that were updated since a day and have a word:", "codex-agent pick --since 2026-11-22 parser"),
            (
                "Choose among the sessions of a branch, and add them to a group:",
                "codex-agent ls --json --branch main | codex-agent pick | codex-agent group add work",
            ),
            ("Change to the directory of a session:", "cd \"$(codex-agent pick --one --format '{cwd}')\""),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-find(1)",
            "codex-agent-ls(1)",
            "codex-agent-resume(1)",
            "codex-agent-fork(1)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes(["session"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

/// What the loop waits for.
enum Event {
    Heard(Heard),
    /// The number of the reading, which a later one makes void.
    Report(u32, Report),
    Details(Details),
    Acted(actions::Outcome),
}

impl From<Heard> for Event {
    fn from(heard: Heard) -> Event {
        Event::Heard(heard)
    }
}

/// The end of the loop.
enum End {
    Chosen(Vec<Arc<Row>>, Exit),
    Resume(Arc<Row>),
    Left(Exit),
    /// The home has no session that can be chosen.
    Empty,
}

fn run(args: Args) -> Result<Exit> {
    let mut shape = args.common.shape()?;
    if !is_terminal() && shape.fields.is_none() && shape.template.is_none() && !shape.nul {
        shape.json = true;
    }
    let words: Vec<&str> = args.operands.iter().map(String::as_str).filter(|word| *word != "-").collect();
    let query = words.join(" ");
    let is_placed = args.common.selection.has_place();
    let mut picker = Picker::new(&query, if args.own.all || is_placed { Scope::All } else { Scope::Here });
    picker.verb = std::env::var(cli::PICK_FOR)
        .ok()
        .filter(|verb| matches!(verb.as_str(), "resume" | "fork" | "name" | "show"));
    picker.one = args.own.one;
    picker.is_given = reads_stdin(&args)?;
    let source = match picker.is_given {
        true if args.common.hosts.is_some() => Source::Hosts,
        true => Source::Stdin,
        false => {
            let here = std::env::current_dir().map_err(|error| {
                Error::new(format!("cannot determine the current directory: {}", reason(&error)))
            })?;
            let (here, name) = source::place_of(&here);
            picker.here = name;
            let selection = &args.common.selection;
            let filter = match selection.is_given() {
                true => selection.filter(&mut args.common.index()?)?,
                false => Filter::default(),
            };
            // A query with a syntax of its own is none of words.
            let is_plain = |c: char| !c.is_uppercase() && !matches!(c, '!' | '^' | '$' | '\'' | '|');
            let words = query.split_whitespace().filter(|_| query.chars().all(is_plain));
            let words = words.map(|word| lowered(word).into_owned()).collect();
            Source::Home { filter: Box::new(filter), here: Box::new(here), is_placed, words }
        }
    };
    let common = Arc::new(args.common);
    let end = {
        let screen = Screen::open(common.color.is_on_at(true))?;
        let (sender, events) = channel();
        let ended = Loop::new(screen, picker, source, Arc::clone(&common), sender)?.run(&events);
        screen::restore();
        ended?
    };
    match end {
        End::Chosen(rows, exit) => {
            print(&rows, shape, &common).map(|printed| if exit == Exit::Done { printed } else { exit })
        }
        End::Resume(row) => Err(actions::resume(&row, common.codex_home.as_deref())),
        End::Left(exit) => Ok(exit),
        End::Empty if common.selection.is_given() => {
            common.selection.note_none(&mut common.index()?, "no session matches")?;
            Ok(Exit::Negative)
        }
        End::Empty => Err(Error::not_found("there is no session to choose from")
            .hint("'codex-agent ls --archived --subagents' lists hidden sessions")),
    }
}

/// Whether the list is that of standard input, or of hosts: it has an order, and was filtered by the tool that made it.
fn reads_stdin(args: &Args) -> Result<bool> {
    if args.common.hosts.is_some() {
        return Ok(true);
    }
    let is_terminal = io::stdin().is_terminal();
    if is_terminal && args.operands.iter().any(|word| word == "-") {
        return Err(Error::usage("cannot read sessions from standard input: it is a terminal")
            .hint("pipe sessions to this tool: codex-agent ls --json | codex-agent pick"));
    }
    if !is_terminal && args.common.selection.is_given() {
        return Err(Error::usage("filters cannot be combined with sessions on standard input")
            .hint("the tool that prints the sessions can filter them: codex-agent ls, codex-agent find"));
    }
    Ok(!is_terminal)
}

struct Loop {
    screen: Screen,
    picker: Picker,
    details: Option<Details>,
    source: Source,
    common: Arc<CommonOptions>,
    sender: Sender<Event>,
    previews: Sender<Arc<Row>>,
    /// The id of the row whose preview was requested last.
    requested: String,
    reading: u32,
    /// The session of the cursor when a fork was requested, to which the cursor comes from there.
    forked: Option<String>,
    /// The exit status of the input.
    exit: Exit,
}

impl Loop {
    fn new(
        screen: Screen,
        picker: Picker,
        source: Source,
        common: Arc<CommonOptions>,
        sender: Sender<Event>,
    ) -> Result<Loop> {
        screen.listen(&sender)?;
        let to = sender.clone();
        let previews =
            preview::serve(Arc::clone(&common), move |details| drop(to.send(Event::Details(details))));
        let (details, requested) = (None, String::new());
        Ok(Loop {
            screen,
            picker,
            details,
            source,
            common,
            sender,
            previews,
            requested,
            reading: 0,
            forked: None,
            exit: Exit::Done,
        })
    }

    fn run(mut self, events: &Receiver<Event>) -> Result<End> {
        self.read();
        loop {
            self.draw()?;
            // The sender of this loop keeps the channel open.
            let mut next = events.recv().ok();
            while let Some(event) = next {
                if let Some(end) = self.handle(event)? {
                    return Ok(end);
                }
                next = events.try_recv().ok();
            }
        }
    }

    fn draw(&mut self) -> Result<()> {
        let (columns, rows) = self.screen.size();
        let frame = view::frame(&mut self.picker, self.details.as_ref(), columns, rows);
        self.screen.paint(&frame)?;
        if let Some(row) = self.picker.current().filter(|row| row.id != self.requested) {
            self.requested.clone_from(&row.id);
            // Without a thread for previews there are none.
            let _ = self.previews.send(Arc::clone(row));
        }
        Ok(())
    }

    /// Reads the sessions on a thread.
    fn read(&mut self) {
        self.reading += 1;
        let (number, to) = (self.reading, self.sender.clone());
        let (source, common) = (self.source.clone(), Arc::clone(&self.common));
        std::thread::spawn(move || {
            source::load(source, &common, &mut |report| drop(to.send(Event::Report(number, report))));
        });
    }

    fn handle(&mut self, event: Event) -> Result<Option<End>> {
        match event {
            Event::Heard(Heard::Key(key)) => {
                let wish = self.picker.press(key);
                return self.fulfil(wish);
            }
            Event::Heard(Heard::Paste(text)) => self.picker.paste(&text),
            Event::Heard(Heard::Resize) => self.screen.forget(),
            Event::Heard(Heard::Signal(SIGTSTP)) => {
                screen::restore();
                child::suspend();
                self.resurface();
            }
            Event::Heard(Heard::Signal(SIGCONT)) => self.resurface(),
            Event::Heard(Heard::Signal(signal)) => {
                return Ok(Some(End::Left(Exit::Theirs(128 + u8::try_from(signal).unwrap_or(0)))));
            }
            Event::Heard(Heard::Hangup) => return Ok(Some(End::Left(Exit::Theirs(129)))),
            Event::Report(number, report) if number == self.reading => return self.receive(report),
            Event::Report(..) => {}
            Event::Details(details) => self.details = Some(details),
            Event::Acted(outcome) => {
                self.picker.message = Some((outcome.message, outcome.is_failure));
                if !outcome.added.is_empty() {
                    let from = self.forked.take();
                    self.picker.add_first(outcome.added, from.as_deref());
                }
                for (id, row) in outcome.changed {
                    self.picker.replace(&id, row);
                }
                self.requested.clear();
            }
        }
        Ok(None)
    }

    /// Draws everything again, after another program had the terminal.
    fn resurface(&mut self) {
        // If the terminal is gone, its reader reports that.
        let _ = self.screen.enter();
    }

    fn receive(&mut self, report: Report) -> Result<Option<End>> {
        match report {
            Report::Answers(ids) => self.picker.answer(ids),
            Report::Rows(rows) => self.picker.add(rows),
            Report::Here => self.picker.here_is_complete(),
            Report::End(end) => {
                self.exit = end?;
                self.picker.is_loading = false;
                if self.picker.counts().0 == 0 {
                    return match self.source {
                        Source::Stdin => Err(Error::not_found("there is no session on standard input")),
                        Source::Hosts => Err(Error::not_found("the hosts have no such session")),
                        Source::Home { .. } => Ok(Some(End::Empty)),
                    };
                }
            }
        }
        Ok(None)
    }

    fn fulfil(&mut self, wish: Wish) -> Result<Option<End>> {
        if let Some(row) = wish.changed().iter().find(|row| !row.host.is_empty()) {
            let id = row.own_id().map(|id| id.to_string()).unwrap_or_default();
            let message = match &wish {
                Wish::Resume(_) => format!("on host '{0}': codex-agent resume {0}:{id}", row.host),
                _ => format!("a session of host '{}' is changed there", row.host),
            };
            self.show_message(message, true);
            return Ok(None);
        }
        match wish {
            Wish::Nothing => {}
            Wish::Accept(rows) => return Ok(Some(End::Chosen(rows, self.exit))),
            Wish::Quit => return Ok(Some(End::Left(Exit::Interrupted))),
            Wish::Resume(rows) => match rows.as_slice() {
                [row] => return Ok(Some(End::Resume(Arc::clone(row)))),
                rows => self
                    .show_message(format!("one session can be opened, and {} are marked", rows.len()), true),
            },
            Wish::Fork(rows) => {
                self.forked = self.picker.current().map(|row| row.id.clone());
                self.act(Action::Fork, rows, "forking ...");
            }
            Wish::Name(row, name) => self.act(Action::Name(name), vec![row], "naming ..."),
            Wish::Archive(rows) => self.act(Action::Archive, rows, "archiving ..."),
            Wish::Copy(rows) => self.copy(&rows),
            Wish::Reload => {
                self.screen.forget();
                if matches!(self.source, Source::Stdin) {
                    self.show_message("standard input cannot be read again".to_owned(), true);
                } else {
                    self.picker.clear();
                    self.requested.clear();
                    self.read();
                }
            }
            // The signal comes back to this process, too.
            Wish::Suspend if child::can_suspend() => child::suspend_group(),
            Wish::Suspend => {
                self.show_message("there is no shell that would continue this tool".to_owned(), true)
            }
        }
        Ok(None)
    }

    fn show_message(&mut self, message: String, is_failure: bool) {
        self.picker.message = Some((message, is_failure));
    }

    /// Changes sessions on a thread.
    fn act(&mut self, action: Action, rows: Vec<Arc<Row>>, message: &str) {
        self.show_message(message.to_owned(), false);
        let (to, home) = (self.sender.clone(), self.common.codex_home.clone());
        std::thread::spawn(move || drop(to.send(Event::Acted(actions::act(&action, &rows, home.as_ref())))));
    }

    fn copy(&mut self, rows: &[Arc<Row>]) {
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let text = ids.join("\n");
        let what = if ids.len() == 1 { text.clone() } else { format!("{} ids", ids.len()) };
        let copied = actions::copy_by_tmux(&text).unwrap_or_else(|| self.screen.copy(&text).is_ok());
        match copied {
            true => self.show_message(format!("copied {what}"), false),
            false => self.show_message(format!("cannot copy {what} to the clipboard"), true),
        }
    }
}

/// Prints the chosen sessions as the index has them now, or as standard input had them.
fn print(rows: &[Arc<Row>], shape: Shape, common: &CommonOptions) -> Result<Exit> {
    let is_record = shape.json && shape.fields.is_none() && !common.full;
    let (fields, mut index, mut exit) = (shape.needed(), None, Exit::Done);
    let mut sessions = Sessions::new(shape);
    if rows.iter().any(|row| !row.host.is_empty()) {
        sessions = sessions.with_hosts();
    }
    for row in rows {
        if let Some(raw) = row.raw.as_ref().filter(|_| is_record) {
            sessions.record(&raw.text)?;
            continue;
        }
        if let Some(raw) = row.raw.as_ref().filter(|_| !row.host.is_empty()) {
            let session: Session<'_> = serde_json::from_str(raw.text.get()).unwrap_or_default();
            sessions.write_with(&session, Some(&raw.text))?;
            continue;
        }
        let index = match &mut index {
            Some(index) => index,
            none => {
                let index = none.insert(common.index()?);
                sessions = sessions.completed_by(index);
                index
            }
        };
        let ids = Some(Id::parse(&row.id).into_iter().collect());
        let filter = Filter { ids, archived: Archived::With, subagents: true, ..Filter::default() };
        let query = Query { filter, fields: fields.clone(), full: common.full, ..Query::default() };
        let found = index.list(&query, &mut |session| sessions.write(session))?;
        if found == 0 {
            match row.raw.as_ref().and_then(|raw| serde_json::from_str::<Session<'_>>(raw.text.get()).ok()) {
                Some(session) => sessions.write(&session)?,
                None => {
                    warn(format_args!("session '{}' does not exist any more", row.id));
                    exit = Exit::Negative;
                }
            }
        }
    }
    sessions.finish()?;
    Ok(exit)
}
