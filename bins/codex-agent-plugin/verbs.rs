//! What is known of tools: shown, asked for, kept, forgotten.

use std::path::{Path, PathBuf};

use codex_agent_shared::described;
use codex_agent_shared::described::{Description, Entry, Kept, ProblemRecord, State, summary};
use codex_agent_shared::error::{Error, Exit, Result, note, warn, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin;
use codex_agent_shared::plugin::{PREFIX, PathProblem, ToolRecord};
use codex_agent_shared::store::Changed;
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, path_cell, tsv, width};

use super::Args;

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Lists the tools.
pub(super) fn list(args: Args) -> Result<Exit> {
    if let Some(operand) = args.operands.first() {
        return Err(Error::usage(format!("unexpected operand '{operand}'")));
    }
    let (tools, mut odd) = plugin::scan();
    for tool in tools.iter().filter(|tool| !tool.is_ours()) {
        if let Some(detail) = plugin::wrong_interpreter(&tool.path) {
            odd.push(PathProblem { path: tool.path.clone(), problem: "no_interpreter", detail });
        }
    }
    // Without it they are strangers, and are there all the same.
    let (kept, exit) = match Kept::read() {
        Ok(kept) => (kept, Exit::Done),
        Err(error) => {
            warn_of(&error);
            (Kept::default(), Exit::Trouble)
        }
    };
    let records: Vec<ToolRecord<'_>> = tools.iter().map(|tool| kept.record(tool)).collect();
    let mut output = Output::stdout();
    if args.common.json {
        for record in &records {
            output.record(record)?;
        }
        for oddity in &odd {
            output.record(&ProblemRecord::of(oddity))?;
        }
        output.flush()?;
        return Ok(exit);
    }
    let rows = if is_terminal() { table(&records) } else { records.iter().map(row).collect() };
    for row in rows {
        output.text(row.as_bytes(), b"\n")?;
    }
    output.flush()?;
    for PathProblem { path, detail, problem } in &odd {
        let what = match *problem {
            "shadowed" => "is not run",
            "unreadable" => "cannot be looked into",
            "no_interpreter" => "cannot be run",
            _ => "is no tool",
        };
        warn(format_args!("'{}' {what}: {detail}", path.display()));
    }
    Ok(exit)
}

fn row(record: &ToolRecord<'_>) -> String {
    let cells = [
        record.name.to_owned(),
        summary(record),
        record.path.clone().unwrap_or_default(),
        record.shadows.clone().unwrap_or_default().join(":"),
        record.version.unwrap_or("").to_owned(),
        record.description.unwrap_or("").to_owned(),
    ];
    cells.map(|cell| tsv(&cell).into_owned()).join("\t")
}

/// Name, version and summary, and, where there is room, where it is.
fn table(records: &[ToolRecord<'_>]) -> Vec<String> {
    let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| width(&text)).max().unwrap_or(0);
    let version = |record: &ToolRecord<'_>| cell(record.version.unwrap_or("-"), 12);
    let first = widest(&mut records.iter().map(|record| record.name.to_owned()));
    let second = widest(&mut records.iter().map(version));
    let left = columns().saturating_sub(first + second + 4);
    let third = widest(&mut records.iter().map(|record| cell(&summary(record), left)));
    let room = left.saturating_sub(third + 2);
    let home = std::env::var("HOME").ok();
    let row = |record: &ToolRecord<'_>| {
        let place = path_cell(record.path.as_deref().unwrap_or(""), home.as_deref(), room);
        let place = if room < 20 { String::new() } else { place };
        let cells = [
            (record.name, Look::Plain, first),
            (&version(record), Look::Plain, second),
            (&cell(&summary(record), left), Look::Plain, third),
            (&place, Look::Plain, room),
        ];
        line(&cells, false)
    };
    records.iter().map(row).collect()
}

/// Finds the executable of a tool; one that is not there is exit 1 here.
pub(super) fn find(name: &str) -> Result<PathBuf> {
    plugin::find(name).map_err(|error| match error.exit() {
        Exit::NoSuchTool => error.with_exit(Exit::Negative),
        _ => error.with_exit(Exit::Trouble),
    })
}

/// The name of a tool, which may be that of its executable.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Prints where a tool is.
pub(super) fn which(args: Args) -> Result<Exit> {
    let name = bare(args.name()?);
    let first = find(name)?;
    let paths = if args.all { plugin::all_of(name) } else { vec![first] };
    let mut output = Output::stdout();
    for path in paths {
        let path = lossy(&path);
        let shown = if is_terminal() { codex_agent_shared::text::harmless(&path) } else { tsv(&path) };
        output.text(shown.as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// Tells what is known of one tool.
pub(super) fn describe(args: Args) -> Result<Exit> {
    let name = bare(args.name()?);
    let path = find(name)?;
    let own;
    let kept = Kept::read()?;
    let entry = if plugin::is_ours(name, &path) {
        own = described::ask(&path, name)?;
        &own
    } else {
        kept.of(&path).ok_or_else(|| {
            Error::not_found(format!("'{name}' has not been asked what it is"))
                .hint(format!("codex-agent plugin add {name} asks it"))
        })?
    };
    if entry.state() == State::Stale {
        warn(format_args!(
            "the description of '{name}' is stale: '{}' has changed since; codex-agent plugin refresh asks again",
            path.display()
        ));
    }
    let record = whole(entry, name, &path);
    let mut output = Output::stdout();
    if args.common.json {
        output.record(&record)?;
        output.flush()?;
        return Ok(Exit::Done);
    }
    let list = |words: &Option<Vec<&str>>| words.as_ref().map(|words| words.join(" ")).unwrap_or_default();
    let rows = [
        ("name", name.to_owned()),
        ("about", record.about.unwrap_or("").to_owned()),
        ("version", record.version.unwrap_or("").to_owned()),
        ("path", lossy(&path)),
        ("description", record.description.unwrap_or("").to_owned()),
        ("reads", list(&record.reads)),
        ("writes", list(&record.writes)),
        ("pipe", list(&record.pipe)),
        ("generates", list(&record.generates)),
        ("completes", record.completes.map_or("", |yes| if yes { "yes" } else { "no" }).to_owned()),
    ];
    for (word, value) in rows {
        let text = if is_terminal() {
            format!("{word:12} {}", codex_agent_shared::text::harmless(&value)).trim_end().to_owned()
        } else {
            format!("{word}\t{}", tsv(&value))
        };
        output.text(text.as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// The record of all that is kept of a tool.
fn whole<'e>(entry: &'e Entry, name: &'e str, path: &Path) -> ToolRecord<'e> {
    let words = |words: &'e [String]| words.iter().map(String::as_str).collect::<Vec<_>>();
    let mut record = ToolRecord {
        path: Some(lossy(path)),
        ours: Some(plugin::is_ours(name, path)),
        shadows: Some(
            plugin::all_of(name).iter().filter(|other| *other != path).map(|path| lossy(path)).collect(),
        ),
        description: Some(entry.state().word()),
        ..ToolRecord::new(name, entry.about())
    };
    if let Some(Description { version, protocol, reads, writes, pipe, generates, completes, .. }) =
        &entry.description
    {
        record = ToolRecord {
            version: version.as_deref(),
            protocol: Some(*protocol),
            reads: Some(words(reads)),
            writes: Some(words(writes)),
            pipe: pipe.as_deref().map(words),
            generates: Some(words(generates)),
            completes: Some(*completes),
            ..record
        };
    }
    record
}

/// The executable of a stranger; a tool of ours needs nobody to keep anything of it.
fn stranger(name: &str) -> Result<PathBuf> {
    let path = find(name)?;
    if plugin::is_ours(name, &path) {
        return Err(Error::usage(format!("'{name}' is a tool of this package, and is always known")));
    }
    if path.to_str().is_none() {
        let message = format!("cannot keep anything of '{}': its path is not UTF-8", path.display());
        return Err(Error::new(message).hint("put it into a folder with another name"));
    }
    Ok(path)
}

fn told(entries: &[Entry], json: bool) -> Result<()> {
    let mut output = Output::stdout();
    for entry in entries {
        if json {
            output.record(&whole(entry, entry.name(), Path::new(&entry.path)))?;
        } else {
            note(format_args!("{}: {}", entry.name(), entry.about().unwrap_or("")));
        }
    }
    output.flush()
}

/// Keeps entries, all of them in one change, and gives those that are kept then. What somebody has said while a
/// tool was asked is what holds.
fn keep(before: &Kept, entries: Vec<Entry>) -> Result<Vec<Entry>> {
    described::store()?.update(|kept: &mut Kept| {
        let mut done = Vec::new();
        for entry in entries {
            let path = Path::new(&entry.path);
            let at = |kept: &Kept| kept.of(path).map(|there| there.kept_at);
            let said = kept.of(path).filter(|there| there.told.is_some() && at(kept) != at(before));
            if let (None, Some(said)) = (&entry.told, said) {
                warn(format_args!("of '{}' words of your own are kept, said meanwhile", said.name()));
                done.push(said.clone());
                continue;
            }
            kept.put(entry.clone());
            done.push(entry);
        }
        Ok((done, Changed::Yes))
    })
}

/// Asks tools what they are.
pub(super) fn add(args: Args) -> Result<Exit> {
    let names: Vec<&str> = args.names()?.iter().map(|name| bare(name)).collect();
    if args.about.is_some() && names.len() > 1 {
        return Err(Error::usage("--about goes with one name"));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| stranger(name)).collect::<Result<_>>()?;
    // The file is looked at before anything is run, since nothing can be kept in one that is broken.
    let kept = Kept::read()?;
    let ask = |(name, path): (&&str, &PathBuf)| match &args.about {
        Some(about) => Entry::told(path, about),
        None => described::ask(path, name),
    };
    let entries: Vec<Entry> = names.iter().zip(&paths).map(ask).collect::<Result<_>>()?;
    let entries = keep(&kept, entries)?;
    told(&entries, args.common.json)?;
    Ok(Exit::Done)
}

/// Asks again.
pub(super) fn refresh(args: Args) -> Result<Exit> {
    let kept = Kept::read()?;
    if !args.operands.is_empty() {
        let mut entries = Vec::new();
        for name in args.operands.iter().map(|name| bare(name)) {
            let path = stranger(name)?;
            let Some(there) = kept.of(&path) else {
                return Err(Error::not_found(format!("nothing is kept of '{name}'"))
                    .hint(format!("codex-agent plugin add {name} asks it")));
            };
            if there.told.is_some() {
                let how = format!("codex-agent plugin add {name} asks it instead");
                warn(format_args!("of '{name}' words of your own are kept, and it was not asked; {how}"));
                continue;
            }
            entries.push(described::ask(&path, name)?);
        }
        let entries = if entries.is_empty() { entries } else { keep(&kept, entries)? };
        told(&entries, args.common.json)?;
        return Ok(Exit::Done);
    }
    let (mut entries, mut gone, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for entry in kept.plugins.iter().filter(|entry| entry.told.is_none() || !Path::new(&entry.path).exists())
    {
        if entry.state() == State::Known && entry.told.is_none() {
            continue;
        }
        if !Path::new(&entry.path).exists() {
            gone.push(entry.path.clone());
            continue;
        }
        if plugin::locate(entry.name()).as_deref() != Some(Path::new(&entry.path)) {
            warn(format_args!(
                "'{}' is not what codex-agent {} runs now, and was not asked",
                entry.path,
                entry.name()
            ));
            continue;
        }
        match described::ask(Path::new(&entry.path), entry.name()) {
            Ok(fresh) => entries.push((entry.kept_at, fresh)),
            Err(error) if matches!(error.exit(), Exit::Theirs(_)) => return Err(error),
            Err(error) => {
                warn_of(&error);
                exit = Exit::Trouble;
            }
        }
    }
    if !entries.is_empty() || !gone.is_empty() {
        described::store()?.update(|kept: &mut Kept| {
            kept.plugins.retain(|entry| !gone.contains(&entry.path) || Path::new(&entry.path).exists());
            for (read_at, fresh) in &entries {
                // What somebody has said or forgotten meanwhile is what holds.
                let there = kept.of(Path::new(&fresh.path));
                if there.is_some_and(|there| there.kept_at == *read_at && there.told.is_none()) {
                    kept.put(fresh.clone());
                }
            }
            Ok(((), Changed::Yes))
        })?;
    }
    let entries: Vec<Entry> = entries.into_iter().map(|(_, fresh)| fresh).collect();
    for path in gone {
        warn(format_args!("'{path}' is gone, and forgotten"));
    }
    told(&entries, args.common.json)?;
    Ok(exit)
}

/// Forgets tools, also those that are gone.
pub(super) fn forget(args: Args) -> Result<Exit> {
    let names: Vec<&str> = args.names()?.iter().map(|name| bare(name)).collect();
    described::store()?.update(|kept: &mut Kept| {
        for name in &names {
            if !kept.plugins.iter().any(|entry| entry.name() == *name) {
                return Err(Error::not_found(format!("nothing is kept of '{name}'")));
            }
        }
        kept.plugins.retain(|entry| !names.contains(&entry.name()));
        Ok(((), Changed::Yes))
    })?;
    Ok(Exit::Done)
}
