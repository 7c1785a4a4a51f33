//! The verbs for descriptions of tools: list, which, describe, add, remove.

use std::path::PathBuf;

use codex_agent_shared::error::{Error, Exit, Result, note, warn};
use codex_agent_shared::exec::wrong_interpreter;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows};
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::record::{ProblemRecord, ToolRecord};
use codex_agent_shared::plugin::{FoundTool, PREFIX, PathProblem, SearchPath};
use codex_agent_shared::terminal::{Cell, Color, Cut, Look, Table, is_terminal, line};
use codex_agent_shared::text::{harmless, tsv};

use super::{Args, tool_name, tool_names};

/// Lists the tools.
pub(super) fn list(args: Args) -> Result<Exit> {
    let shape = args.common.shape_of(&["tool"], &[])?;
    let is_json = shape.json;
    let path = SearchPath::from_env();
    let listing = path.list();
    let without = listing.tools.iter().filter(|tool| !tool.is_ours()).filter_map(|tool| {
        let detail = wrong_interpreter(&tool.path)?;
        Some(PathProblem { path: tool.path.clone(), problem: "no_interpreter", detail })
    });
    let problems: Vec<PathProblem> = listing.problems.iter().cloned().chain(without).collect();
    let known = description::with_descriptions(&listing.tools);
    let records: Vec<ToolRecord<'_>> =
        known.iter().map(|(tool, about)| description::listed(tool, about.as_ref())).collect();
    // On a terminal: name, version and summary, and the path if there is room.
    let mut table = Table::new().column("NAME", Look::Plain).column("KIND", Look::Waiting).optional(3, 8);
    table = table
        .column("VERSION", Look::Dim)
        .most(12)
        .optional(4, 5)
        .column("SUMMARY", Look::Plain)
        .gives_way(2, 1);
    table = table.column("PATH", Look::Dim).cut(Cut::Front).optional(1, 20);
    let mut listing = Listing::new(shape, table);
    for record in &records {
        let [about, path, description] =
            [record.about, record.path.as_deref(), record.description].map(Option::unwrap_or_default);
        let version = record.version.unwrap_or("");
        let plain = || {
            let shadows = record.shadows.as_deref().unwrap_or_default().join(":");
            [record.name, about, path, &shadows, version, description].map(str::to_owned).to_vec()
        };
        let kind = if record.ours == Some(true) { "" } else { "external" };
        let table = |_| [record.name, kind, version, about, path].map(Cell::from).to_vec();
        listing.add(record, &[], Rows { plain, table })?;
    }
    listing.finish()?;
    if is_json && args.common.fields.is_none() {
        let mut output = Output::stdout();
        problems.iter().try_for_each(|problem| output.record(&ProblemRecord::new(problem)))?;
        return output.flush().map(|()| Exit::Done);
    }
    for PathProblem { path, detail, problem } in &problems {
        let what = match *problem {
            "shadowed" => "is not run",
            "unreadable" => "cannot be read",
            "no_interpreter" => "cannot be run",
            _ => "is no tool",
        };
        warn(format_args!("'{}' {what}: {detail}", path.display()));
    }
    Ok(Exit::Done)
}

/// The name of a tool, from the name of the tool or of its executable.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Finds a tool. The exit status for a missing tool is 1.
pub(super) fn find(name: &str) -> Result<FoundTool> {
    let path = SearchPath::from_env();
    let found = path.find(name).and_then(|found| found.ok_or_else(|| path.unknown(name, None, &[])));
    let first = found.map_err(|error| match error.exit() {
        Exit::NoSuchTool => error.with_exit(Exit::Negative),
        _ => error.with_exit(Exit::Trouble),
    })?;
    let shadows = path.find_all(name).into_iter().filter(|other| *other != first).collect();
    Ok(FoundTool { name: name.to_owned(), path: first, shadows })
}

/// Prints the path of a tool.
pub(super) fn which(args: Args) -> Result<Exit> {
    let FoundTool { path, shadows, .. } = find(bare(tool_name(&args)?))?;
    let mut output = Output::stdout();
    for path in [path].into_iter().chain(shadows.into_iter().filter(|_| args.own.all)) {
        let path = path.to_string_lossy();
        let shown = if is_terminal() { harmless(&path) } else { tsv(&path) };
        output.text(shown.as_bytes(), b"\n")?;
    }
    output.flush().map(|()| Exit::Done)
}

/// Prints the description of a tool.
pub(super) fn describe(args: Args) -> Result<Exit> {
    let tool = find(bare(tool_name(&args)?))?;
    let name = &tool.name;
    let known = if tool.is_ours() {
        description::ask(&tool.path, name)?.0
    } else {
        Description::find(name, &tool.path).ok_or_else(|| {
            Error::not_found(format!("there is no description of the tool '{name}'"))
                .hint(format!("'codex-agent plugin add {name}' asks the tool for its description"))
        })?
    };
    let record = known.record(&tool);
    let mut output = Output::stdout();
    if args.common.json {
        output.record(&record)?;
        return output.flush().map(|()| Exit::Done);
    }
    let list = |words: &Option<Vec<&str>>| words.as_ref().map(|words| words.join(" ")).unwrap_or_default();
    let rows = [
        ("name", name.clone()),
        ("about", known.about.clone()),
        ("version", record.version.unwrap_or("").to_owned()),
        ("path", tool.path.to_string_lossy().into_owned()),
        ("description", record.description.unwrap_or("").to_owned()),
        ("reads", list(&record.reads)),
        ("writes", list(&record.writes)),
        ("pipe", list(&record.pipe)),
        ("generates", list(&record.generates)),
        ("completes", if known.completes { "yes" } else { "no" }.to_owned()),
    ];
    let color = is_terminal() && Color::Unset.is_on();
    for (word, value) in rows {
        if is_terminal() {
            // Nothing is cut: a path may be copied.
            let cells = [(word, Look::Bold, 12), (&*harmless(&value), Look::Plain, 0)];
            output.text(line(&cells, color).as_bytes(), b"\n")?;
        } else {
            output.row([word, &value])?;
        }
    }
    output.flush().map(|()| Exit::Done)
}

/// Writes the descriptions of tools. If one of the tools prints none, no description is written.
pub(super) fn add(args: Args) -> Result<Exit> {
    let (_, others) = tool_names(&args)?;
    if args.own.about.is_some() && !others.is_empty() {
        return Err(Error::usage("--about can describe only one tool"));
    }
    let mut tools = Vec::new();
    for name in args.operands.iter().map(|name| bare(name)) {
        let tool = find(name)?;
        if tool.is_ours() {
            return Err(Error::usage(format!(
                "'{name}' is a tool of codex-agent itself, and needs no description"
            )));
        }
        // No tool is run if its description could not be written.
        description::own_file(name)?;
        tools.push(tool);
    }
    let ask = |FoundTool { path, name, .. }: &FoundTool| match &args.own.about {
        Some(about) => description::from_about(name, about),
        None => description::ask(path, name),
    };
    let answers: Vec<_> = tools.iter().map(ask).collect::<Result<_>>()?;
    let mut output = Output::stdout();
    for (tool, (description, text)) in tools.iter().zip(&answers) {
        description::write(&tool.name, text)?;
        if args.common.json {
            output.record(&description.record(tool))?;
        } else {
            note(format_args!("{}: {}", tool.name, description.about));
        }
    }
    output.flush().map(|()| Exit::Done)
}

/// Removes descriptions of the user. If one of them cannot be removed, none is removed.
pub(super) fn remove(args: Args) -> Result<Exit> {
    tool_names(&args)?;
    let path = SearchPath::from_env();
    let executable = |name: &str| path.find(name).ok().flatten();
    let names = args.operands.iter().map(|name| bare(name));
    let files = names.map(|name| description::removable(name, executable(name).as_deref()));
    let files: Vec<PathBuf> = files.collect::<Result<_>>()?;
    for file in files {
        description::remove(&file)?;
    }
    Ok(Exit::Done)
}
