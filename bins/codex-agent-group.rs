//! codex-agent-group: keep named sets of Codex sessions.
//!
//! Every verb that changes something reads all of its input first, and then changes the one file under
//! its lock, so that it takes all of the input or none.

use std::io;
use std::process::ExitCode;

use codex_agent_shared::cli::{self, Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, warn};
use codex_agent_shared::group::{Group, Groups, check_name};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Sessions, Shape, Template};
use codex_agent_shared::plugin::about;
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Foreign, Id, Session};
use codex_agent_shared::reference::{self, Input, Inputs};
use codex_agent_shared::store::Changed;
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, tsv, width};
use codex_agent_shared::time::Timestamp;

#[derive(Default)]
struct Args {
    common: flags::Common,
    operands: Vec<String>,
    description: Option<String>,
    existing: bool,
    unchecked: bool,
    template: Option<Template>,
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

impl Args {
    /// The name that the verb is about.
    fn name(&self) -> Result<&str> {
        self.operands.first().map(String::as_str).ok_or_else(|| {
            Error::usage("the name of a group is missing").hint("codex-agent group list lists them")
        })
    }
}

fn operand(args: &mut Args, operand: std::ffi::OsString) -> Result<()> {
    let text = operand.into_string().map_err(|operand| {
        Error::usage(format!("cannot take '{}': it is not UTF-8", operand.to_string_lossy()))
    })?;
    args.operands.push(text);
    Ok(())
}

const DESCRIPTION: Flag<Args> = Flag {
    short: Some('d'),
    long: "description",
    takes: Takes::Text("TEXT"),
    help: "what the group is for",
    more: "",
    set: |args, value| {
        args.description = Some(value.text()?);
        Ok(())
    },
};

const UNCHECKED: Flag<Args> = Flag {
    short: None,
    long: "unchecked",
    takes: Takes::Nothing,
    help: "take ids as they are, without looking whether Codex has them",
    more: "For sessions of another machine. Only full ids and records are taken then.",
    set: |args, _| {
        args.unchecked = true;
        Ok(())
    },
};

const EXISTING: Flag<Args> = Flag {
    short: None,
    long: "existing",
    takes: Takes::Nothing,
    help: "refuse to make the group",
    more: "",
    set: |args, _| {
        args.existing = true;
        Ok(())
    },
};

const FORMAT: Flag<Args> = Flag {
    short: None,
    long: "format",
    takes: Takes::Text("TEMPLATE"),
    help: "a template such as '{name}\\t{count}'",
    more: "Fields: id, name, description, paused, count, created_at, updated_at.",
    set: |args, value| {
        let known = |name: &str| match name {
            "id" | "name" | "description" | "paused" | "count" | "created_at" | "updated_at" => Ok(()),
            other => Err(Error::usage(format!("there is no field '{other}' in a group"))
                .hint("fields: id name description paused count created_at updated_at")),
        };
        args.template = Some(Template::parse(&value.text()?, known)?);
        Ok(())
    },
};

const fn command(
    name: &'static str,
    about: &'static str,
    operands: &'static str,
    completes: &'static [Completes],
    details: &'static [&'static str],
    sections: &'static [(&'static str, &'static [Flag<Args>])],
    run: fn(Args) -> Result<Exit>,
) -> Command<Args> {
    Command { name, aliases: &[], about, operands, completes, details, sections, greedy: false, operand, run }
}

const GROUP_JSON: Flag<Args> = flags::json("group records, one a line");
const CHANGED_JSON: Flag<Args> = flags::json("the group's record on standard output");

static CREATE: Command<Args> = command(
    "create",
    "make an empty group",
    "NAME",
    &[Completes::Nothing],
    &[
        "A name may hold blanks, but no control characters, and may not look like an id. A name that is there already is refused.",
    ],
    &[("Options", &[DESCRIPTION, CHANGED_JSON])],
    create,
);
static LIST: Command<Args> = Command {
    aliases: &["ls"],
    ..command(
        "list",
        "list the groups",
        "",
        &[Completes::Nothing],
        &[
            "In a pipe: name, number of sessions, paused or not, time of the last change, id, description, with TABs between.",
        ],
        &[("Options", &[GROUP_JSON, FORMAT, flags::color()])],
        list,
    )
};
static SHOW: Command<Args> = command(
    "show",
    "show a group and its sessions",
    "NAME",
    &[Completes::Groups],
    &[
        "On a terminal the group and a table of its sessions; in a pipe a row a session, as codex-agent ls has them. A session that Codex does not have any more is a row with its id alone. With --json it is the group's record; 'codex-agent ls --group NAME --json' gives the records of the sessions.",
    ],
    &[("Options", &[GROUP_JSON, flags::color(), flags::codex_home()])],
    show,
);
static ADD: Command<Args> = command(
    "add",
    "add sessions to a group",
    "NAME [REF...|-]",
    &[Completes::Groups, Completes::Sessions],
    &[
        "Makes the group where there is none, and says so. A REF is a reference as codex-agent(7) describes them. Without one, or for '-', they are read from standard input: session records, JSON strings, or lines up to their first TAB.",
        "Each session must exist; archived ones and subagents do. All of the input is taken, or, where one line of it is wrong, none. A session that is in the group stays in it once. With --json the session records that came in go out again unchanged, so that the verb can stand in the middle of a pipe.",
    ],
    &[("Options", &[flags::json("hand on the session records"), EXISTING, UNCHECKED, flags::codex_home()])],
    add,
);
static REMOVE: Command<Args> = command(
    "remove",
    "remove sessions from a group",
    "NAME [REF...|-]",
    &[Completes::Groups, Completes::Sessions],
    &[
        "Takes what add takes. A session that Codex does not have any more can be removed by its id, or by the beginning or end of it. One that is not in the group is told and is no error.",
    ],
    &[("Options", &[flags::json("hand on the session records"), flags::codex_home()])],
    remove,
);
static RENAME: Command<Args> = command(
    "rename",
    "give a group another name",
    "NAME NEW",
    &[Completes::Groups, Completes::Nothing],
    &[],
    &[("Options", &[CHANGED_JSON])],
    rename,
);
static DELETE: Command<Args> = command(
    "delete",
    "delete groups; their sessions stay",
    "NAME...",
    &[Completes::Groups],
    &["All of them, or, where one is not there, none."],
    &[("Options", &[flags::json("the records of the deleted groups")])],
    delete,
);
static PAUSE: Command<Args> = command(
    "pause",
    "mark a group as paused",
    "NAME...",
    &[Completes::Groups],
    &["The mark is kept and shown. Tools that run prompts over a group leave a paused one alone."],
    &[("Options", &[CHANGED_JSON])],
    |args| set_paused(&args, true),
);
static UNPAUSE: Command<Args> = Command {
    aliases: &["resume"],
    ..command(
        "unpause",
        "take the mark of a paused group away",
        "NAME...",
        &[Completes::Groups],
        &[],
        &[("Options", &[CHANGED_JSON])],
        |args| set_paused(&args, false),
    )
};

static TOOL: Tool = Tool {
    name: "codex-agent-group",
    about: about("group"),
    description: &[
        "A group is a set of sessions with a name. It is filled from a pipe or by hand, and read by other tools: 'codex-agent ls --group NAME' lists its sessions.",
        "    codex-agent ls --json --under ~/src --since 7d | codex-agent group add work",
        "Groups are kept in one file. Any number of processes may change it at once; each change is whole or has not happened, also after a crash. A file that cannot be read is never overwritten.",
        "A group is told by its name. Where an older file has two groups of one name, the verbs say so and take the id.",
    ],
    commands: &[&CREATE, &LIST, &SHOW, &ADD, &REMOVE, &RENAME, &DELETE, &PAUSE, &UNPAUSE],
    exit_status: &[
        (0, "Done."),
        (1, "There is no such group, or no such session. Nothing was changed."),
        (2, "Bad usage, bad input, or trouble with a file. Nothing was changed."),
    ],
    environment: &[(
        "CODEX_AGENT_CONFIG_HOME",
        "Where groups.json is, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
    )],
    files: &[("~/.config/codex-agent/groups.json", "The groups; see codex-agent-files(5).")],
    examples: &[
        Example {
            text: "Put all sessions of a directory tree into a group:",
            command: "codex-agent ls --json --under . | codex-agent group add work",
            exit: 0,
        },
        Example {
            text: "Add the newest session of all, and look at the group:",
            command: "codex-agent group add work @@ && codex-agent group show work",
            exit: 0,
        },
        Example {
            text: "Add what was chosen, and hand it on to another tool:",
            command: "codex-agent find login --json | codex-agent group add work --json | jq -r .cwd",
            exit: 0,
        },
        Example {
            text: "Take out what has been archived since:",
            command: "codex-agent ls --group work --archived=only --json | codex-agent group remove work",
            exit: 0,
        },
        Example {
            text: "Copy a group:",
            command: "codex-agent ls --group work --archived --json | codex-agent group add 'work, kept'",
            exit: 0,
        },
        Example { text: "The names of all groups:", command: "codex-agent group list | cut -f1", exit: 0 },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-ls(1)",
        "codex-agent-find(1)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &["session"],
    writes: &["group", "session"],
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}

fn only_one(args: &Args) -> Result<&str> {
    match args.operands.get(1) {
        None => args.name(),
        Some(extra) => Err(Error::usage(format!("unexpected operand '{extra}'"))),
    }
}

/// Prints the records of groups, if that was asked for.
fn tell(args: &Args, groups: &[Group]) -> Result<Exit> {
    let mut output = Output::stdout();
    for group in groups.iter().filter(|_| args.common.json) {
        output.record(&group.record())?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn refuse_taken(groups: &Groups, name: &str) -> Result<()> {
    if groups.groups.iter().any(|group| group.name == name) {
        return Err(Error::new(format!("there is a group '{name}' already"))
            .hint("codex-agent group add puts sessions into it"));
    }
    Ok(())
}

fn create(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    check_name(name)?;
    let group = Groups::update(|groups| {
        refuse_taken(groups, name)?;
        let group = Group::new(name, args.description.clone());
        groups.groups.push(group.clone());
        Ok((group, Changed::Yes))
    })?;
    warn(format_args!("made group '{name}'"));
    tell(&args, &[group])
}

fn list(args: Args) -> Result<Exit> {
    if let Some(extra) = args.operands.first() {
        return Err(Error::usage(format!("unexpected operand '{extra}'"))
            .hint("codex-agent group show NAME shows one"));
    }
    let groups = Groups::read()?.groups;
    if args.common.json {
        return tell(&args, &groups);
    }
    let mut output = Output::stdout();
    if let Some(template) = &args.template {
        for group in &groups {
            let row = template.fill(false, |field| value(group, field));
            output.text(row.as_bytes(), b"\n")?;
        }
    } else if is_terminal() {
        for row in table(&groups, args.common.color.is_on()) {
            output.text(row.as_bytes(), b"\n")?;
        }
    } else {
        for group in &groups {
            let fields = ["name", "count", "paused", "updated_at", "id", "description"];
            let cells = fields.map(|field| tsv(&value(group, field)).into_owned());
            output.text(cells.join("\t").as_bytes(), b"\n")?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn value(group: &Group, field: &str) -> String {
    match field {
        "id" => group.id.clone(),
        "name" => group.name.clone(),
        "description" => group.description.clone().unwrap_or_default(),
        "paused" => if group.paused { "paused" } else { "" }.to_owned(),
        "count" => group.session_ids.len().to_string(),
        "created_at" => group.created_at.clone(),
        _ => group.updated_at.clone(),
    }
}

fn table(groups: &[Group], color: bool) -> Vec<String> {
    if groups.is_empty() {
        return Vec::new();
    }
    let now = Timestamp::now();
    let mut rows = vec![["NAME", "SESSIONS", "UPDATED", "", "DESCRIPTION"].map(str::to_owned)];
    for group in groups {
        let updated = Timestamp::parse(&group.updated_at).map(|at| at.age(now)).unwrap_or_default();
        rows.push([
            cell(&group.name, 40),
            group.session_ids.len().to_string(),
            updated,
            value(group, "paused"),
            cell(group.description.as_deref().unwrap_or(""), 200),
        ]);
    }
    let most = columns();
    let widest = |at: usize| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0);
    let mut widths = [0, 1, 2, 3].map(widest);
    widths[0] = widths[0].min(most.saturating_sub(widths[1] + widths[2] + widths[3] + 8).max(8));
    let left = most.saturating_sub(widths.iter().sum::<usize>() + 8);
    let heading = |at: usize, look| if at == 0 { Look::Bold } else { look };
    let lay = |(at, row): (usize, &[String; 5])| {
        let name = cell(&row[0], widths[0]);
        let description = cell(&row[4], left);
        line(
            &[
                (&name, heading(at, Look::Plain), widths[0]),
                (&row[1], heading(at, Look::Plain), widths[1]),
                (&row[2], heading(at, Look::Dim), widths[2]),
                (&row[3], heading(at, Look::Id), widths[3]),
                (&description, heading(at, Look::Plain), left),
            ],
            color,
        )
    };
    rows.iter().enumerate().map(lay).collect()
}

fn show(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    let groups = Groups::read()?;
    let group = &groups.groups[groups.find(name)?];
    if args.common.json {
        return tell(&args, std::slice::from_ref(group));
    }
    if is_terminal() {
        let paused = if group.paused { ", paused" } else { "" };
        let count = group.session_ids.len();
        let mut text = format!("{}: {}{paused}\n", cell(&group.name, 200), sessions(count));
        if let Some(description) = &group.description {
            text.push_str(&format!("{}\n", cell(description, columns())));
        }
        cli::print(&text)?;
    }
    let shape = Shape { color: args.common.color, ..Shape::default() };
    let filter = Filter {
        ids: Some(group.sessions()),
        archived: Archived::With,
        subagents: true,
        ..Filter::default()
    };
    let query = Query { filter, fields: shape.needed(), ..Query::default() };
    let mut missing = group.session_ids.clone();
    let mut rows = Sessions::new(shape);
    if !missing.is_empty() {
        args.common.index()?.list(&query, &mut |session| {
            missing.retain(|id| session.id != Id::parse(id));
            rows.write(session)
        })?;
    }
    for id in &missing {
        match Id::parse(id) {
            Some(id) => {
                let title = is_terminal().then_some("(Codex has no such session)".into());
                rows.write(&Session { id: Some(id), title, ..Session::default() })?;
            }
            None => warn(format_args!("'{id}' in group '{name}' is not the id of a session")),
        }
    }
    rows.finish()?;
    Ok(Exit::Done)
}

/// What add and remove were given: ids, and the records to hand on.
#[derive(Default)]
struct Given {
    ids: Vec<String>,
    records: Vec<Foreign>,
}

/// Reads every operand and, if it is to be, standard input. `find` tells what a reference means.
fn given(args: &Args, mut find: impl FnMut(&str, bool) -> Result<String>) -> Result<Given> {
    let mut given = Given::default();
    let references = &args.operands[1..];
    let reads = reference::from_stdin(references)?;
    for text in references.iter().filter(|text| *text != "-") {
        given.ids.push(find(text, false)?);
    }
    if !reads {
        return Ok(given);
    }
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    while let Some(next) = inputs.next() {
        let (at, input) = next.map_err(|(error, _)| error.hint("nothing was changed"))?;
        let place = |error: Error| error.within(format_args!("stdin:{at}")).hint("nothing was changed");
        match input {
            Input::Text(text) => given.ids.push(find(&text, false).map_err(place)?),
            Input::Record(foreign) => {
                let id = foreign.id.as_deref().unwrap_or("");
                given.ids.push(find(id, true).map_err(place)?);
                if args.common.json {
                    given.records.push(foreign);
                }
            }
            // Not ours to add, but ours to hand on.
            Input::Other(foreign) if args.common.json => given.records.push(foreign),
            Input::Other(_) => {}
        }
    }
    Ok(given)
}

fn hand_on(args: &Args, index: Option<&mut Index>, given: &Given, operands: &[String]) -> Result<Exit> {
    let mut output = Output::stdout();
    if args.common.json {
        if let Some(index) = index {
            for id in operands.iter().filter_map(|id| Id::parse(id)) {
                if let Some(session) = index.get(id)? {
                    output.record(&session)?;
                }
            }
        }
        for record in &given.records {
            output.record(&record.text)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn sessions(count: usize) -> String {
    format!("{count} session{}", if count == 1 { "" } else { "s" })
}

fn add(args: Args) -> Result<Exit> {
    let name = args.name()?.to_owned();
    let mut index = None;
    let mut known: Option<Vec<Id>> = None;
    let unchecked = args.unchecked;
    let common = &args.common;
    let given = given(&args, |text, is_record| {
        let id = Id::parse(text);
        if unchecked {
            return id.map(|id| id.to_string()).ok_or_else(|| {
                Error::usage(format!("'{text}' is not a full id, and --unchecked looks nothing up"))
            });
        }
        if index.is_none() {
            index = Some(common.index()?);
        }
        let Some(index) = index.as_mut() else { return Err(Error::new("no index")) };
        if let Some(id) = id {
            if known.is_none() {
                known = Some(index.ids()?);
            }
            if known.as_ref().is_some_and(|known| known.binary_search(&id).is_ok()) {
                return Ok(id.to_string());
            }
            return Err(Error::not_found(format!("Codex has no session '{id}'"))
                .hint("--unchecked adds ids of elsewhere"));
        }
        if is_record {
            return Err(Error::new(format!("expected a session record: '{text}' is not an id")));
        }
        let session = reference::resolve(index, text)?;
        Ok(session.id.map(|id| id.to_string()).unwrap_or_default())
    })?;
    let (made, added, all) = Groups::update(|groups| {
        let (at, made) = match groups.position(&name)? {
            Some(at) => (at, false),
            None if args.existing => (groups.find(&name)?, false),
            None => {
                check_name(&name)?;
                groups.groups.push(Group::new(&name, None));
                (groups.groups.len() - 1, true)
            }
        };
        let group = &mut groups.groups[at];
        let added = group.add(&given.ids);
        if added > 0 {
            group.touch();
        }
        let changed = if made || added > 0 { Changed::Yes } else { Changed::No };
        Ok(((made, added, group.session_ids.len()), changed))
    })?;
    let made = if made { "made group and " } else { "" };
    let distinct: std::collections::HashSet<&String> = given.ids.iter().collect();
    let there = match distinct.len() - added {
        0 => String::new(),
        there => format!(", {there} there already"),
    };
    warn(format_args!("{made}added {} to '{name}'{there}; {all} in all", sessions(added)));
    let operands = args.operands.len() - 1;
    let typed = &given.ids[..operands.min(given.ids.len())];
    hand_on(&args, index.as_mut(), &given, typed)
}

fn remove(args: Args) -> Result<Exit> {
    let name = args.name()?.to_owned();
    let groups = Groups::read()?;
    let members = groups.groups[groups.find(&name)?].session_ids.clone();
    let mut index = None;
    let common = &args.common;
    let given = given(&args, |text, _| {
        // A member is named by what it is in the group, whether Codex still has it or not.
        if let Some(id) = Id::parse(text) {
            return Ok(id.to_string());
        }
        let part = text.strip_prefix("id:").unwrap_or(text).to_lowercase();
        let near: Vec<&String> = members
            .iter()
            .filter(|id| *id == text || (part.len() >= 4 && (id.starts_with(&part) || id.ends_with(&part))))
            .collect();
        if let [one] = near[..] {
            return Ok(one.clone());
        }
        if index.is_none() {
            index = Some(common.index()?);
        }
        let Some(index) = index.as_mut() else { return Err(Error::new("no index")) };
        let session = reference::resolve(index, text)?;
        Ok(session.id.map(|id| id.to_string()).unwrap_or_default())
    })?;
    let (removed, all) = Groups::update(|groups| {
        let at = groups.find(&name)?;
        let group = &mut groups.groups[at];
        let removed = group.remove(&given.ids);
        if removed > 0 {
            group.touch();
        }
        let changed = if removed > 0 { Changed::Yes } else { Changed::No };
        Ok(((removed, group.session_ids.len()), changed))
    })?;
    let distinct: std::collections::HashSet<&String> = given.ids.iter().collect();
    let absent = match distinct.len() - removed {
        0 => String::new(),
        absent => format!(", {absent} not in it"),
    };
    warn(format_args!("removed {} from '{name}'{absent}; {all} left", sessions(removed)));
    hand_on(&args, index.as_mut(), &given, &[])
}

fn rename(args: Args) -> Result<Exit> {
    let name = args.name()?.to_owned();
    let Some(new) = args.operands.get(1) else { return Err(Error::usage("the new name is missing")) };
    if let Some(extra) = args.operands.get(2) {
        return Err(Error::usage(format!("unexpected operand '{extra}'")).hint("quote a name with blanks"));
    }
    check_name(new)?;
    let group = Groups::update(|groups| {
        let at = groups.find(&name)?;
        if groups.groups[at].name == *new {
            return Ok((groups.groups[at].clone(), Changed::No));
        }
        refuse_taken(groups, new)?;
        groups.groups[at].name.clone_from(new);
        groups.groups[at].touch();
        Ok((groups.groups[at].clone(), Changed::Yes))
    })?;
    warn(format_args!("group '{name}' is now '{new}'"));
    tell(&args, &[group])
}

fn delete(args: Args) -> Result<Exit> {
    args.name()?;
    let gone = Groups::update(|groups| {
        let mut places = Vec::new();
        for name in &args.operands {
            places.push(groups.find(name)?);
        }
        places.sort_unstable();
        places.dedup();
        let gone: Vec<Group> = places.iter().rev().map(|at| groups.groups.remove(*at)).collect();
        Ok((gone, Changed::Yes))
    })?;
    for group in &gone {
        warn(format_args!("deleted group '{}' of {}", group.name, sessions(group.session_ids.len())));
    }
    tell(&args, &gone)
}

fn set_paused(args: &Args, paused: bool) -> Result<Exit> {
    args.name()?;
    let groups = Groups::update(|groups| {
        let mut changed = Changed::No;
        let mut touched = Vec::new();
        for name in &args.operands {
            let at = groups.find(name)?;
            let group = &mut groups.groups[at];
            if group.paused != paused {
                group.paused = paused;
                group.touch();
                changed = Changed::Yes;
            }
            touched.push(group.clone());
        }
        Ok((touched, changed))
    })?;
    for group in &groups {
        warn(format_args!("group '{}' is {}", group.name, if paused { "paused" } else { "not paused" }));
    }
    tell(args, &groups)
}
