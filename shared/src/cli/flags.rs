//! Flags that several tools share.

use std::collections::HashSet;
use std::path::PathBuf;

use super::complete::find_sessions;
use super::flag::{Completes, Flag, Takes, Typed, Value, Values};
use super::selection::Selection;
use super::table::Command;
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::config;
use crate::error::{Error, Result};
use crate::host::HostList;
use crate::output::{Shape, Template};
use crate::record::{Field, Session};
use crate::reference;
use crate::schema;
use crate::terminal::Color;
use crate::text::nearest;

/// The values of the shared flags.
#[derive(Default)]
pub struct CommonOptions {
    /// `--codex-home`.
    pub codex_home: Option<PathBuf>,
    /// `--color`.
    pub color: Color,
    /// `--json`.
    pub json: bool,
    /// Whether the value of `--json` has the fields.
    json_fields: bool,
    /// `--no-database`.
    pub no_database: bool,
    /// `--no-files`.
    pub no_files: bool,
    /// `--codex`.
    pub codex: Option<PathBuf>,
    /// `--fields`, or the value of `--json`: names, which [`CommonOptions::shape`] checks.
    pub fields: Option<Vec<String>>,
    /// `--format`.
    pub template: Option<Template>,
    /// `-0`.
    pub nul: bool,
    /// `--full`.
    pub full: bool,
    /// `--limit` of a listing of records that are no sessions.
    pub limit: Option<usize>,
    /// `--table`.
    pub table: bool,
    /// `--no-pager`.
    pub no_pager: bool,
    /// The flags that select sessions.
    pub selection: Selection,
    /// `--host`.
    pub hosts: Option<HostList>,
    /// The arguments as they were typed, for the tools with `--host`.
    pub(super) typed: Vec<Typed>,
}

impl CommonOptions {
    /// Opens the index with the sources that the flags choose.
    pub fn index(&self) -> Result<Index> {
        let home = Home::find(self.codex_home.as_deref())?;
        if self.no_database && self.no_files {
            return Err(Error::usage("--no-database and --no-files leave no source of sessions"));
        }
        let opened = Index::open(home, Sources { database: !self.no_database, files: !self.no_files });
        opened.map_err(|error| match self.no_files {
            true => error.hint("without --no-files sessions are read from the rollout files"),
            false => error,
        })
    }

    /// The sessions of a tool that accepts references: those of its operands and of standard input, or the one that the
    /// flags of [`super::filters::selecting`] select. `harm` is the hint about what was not done.
    pub fn sessions(
        &self,
        index: &mut Index,
        operands: &[String],
        harm: &str,
    ) -> Result<Vec<Session<'static>>> {
        match self.selection.one(index, operands, true).map_err(|error| error.hint(harm))? {
            Some(session) => Ok(vec![session]),
            None => reference::resolve_all(index, operands, harm),
        }
    }

    /// The path of Codex's home, for the records of jobs.
    #[doc(hidden)]
    pub fn codex_home_of_jobs(&self) -> Result<Option<String>> {
        let home = Home::find(self.codex_home.as_deref())?;
        let path = home.path();
        path.to_str().map(|text| Some(text.to_owned())).ok_or_else(|| {
            Error::new(format!("cannot run jobs in Codex's home '{}': the path is not UTF-8", path.display()))
        })
    }

    /// The form in which sessions are printed; an error if two flags choose different ones, or for an unknown field.
    pub fn shape(&self) -> Result<Shape> {
        self.checked_shape(|name| Field::parse(name).map(drop))
    }

    /// As [`CommonOptions::shape`], for sessions from standard input, whose records may have fields of other tools.
    pub fn shape_with_foreign(&self) -> Result<Shape> {
        self.checked_shape(|name| match name.is_empty() {
            true => Field::parse(name).map(drop),
            false => Ok(()),
        })
    }

    /// The form in which records of other types are printed. Their fields are those of the schemas of these types, and
    /// `more`, which only rows and templates have.
    pub fn shape_of(&self, kinds: &[&str], more: &[&str]) -> Result<Shape> {
        let names = std::cell::OnceCell::new();
        let known = || {
            let mut all: Vec<String> = kinds.iter().flat_map(|kind| schema::fields(kind)).collect();
            all.extend(more.iter().map(|name| (*name).to_owned()));
            let mut seen = HashSet::new();
            all.retain(|name| seen.insert(name.clone()));
            all
        };
        self.checked_shape(|name| {
            let known: &Vec<String> = names.get_or_init(known);
            if known.iter().any(|one| one == name) || name == "type" {
                return Ok(());
            }
            let error =
                Error::usage(format!("there is no field '{name}' in a {} record", kinds.join(" or ")));
            let error = match nearest(name, known.iter().map(String::as_str)).first() {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error,
            };
            Err(error.hint(format!("fields: {}", known.join(" "))))
        })
    }

    fn checked_shape(&self, check: impl Fn(&str) -> Result<()>) -> Result<Shape> {
        let flag = if self.json_fields { "--json" } else { "--fields" };
        let names = self.fields.iter().flatten().map(|name| (name.as_str(), flag));
        let template = self.template.iter().flat_map(Template::names).map(|name| (name, "--format"));
        for (name, flag) in names.chain(template) {
            check(name).map_err(|error| error.within(flag))?;
        }
        if self.table && (self.json || self.template.is_some() || self.nul) {
            return Err(Error::usage("--table cannot be combined with --json, --format or -0"));
        }
        if self.template.is_some() && (self.json || self.fields.is_some()) {
            return Err(Error::usage("--format cannot be combined with --fields or --json"));
        }
        if self.nul && self.json {
            return Err(Error::usage("-0 cannot be combined with --json: a record is one line"));
        }
        Ok(Shape {
            json: self.json,
            fields: self.fields.clone(),
            template: self.template.clone(),
            nul: self.nul,
            color: self.color,
            table: self.table,
            limit: self.limit,
            no_pager: self.no_pager,
        })
    }
}

impl<O, J> Command<Args<O, J>> {
    /// Accepts operands that are text, and stores them in [`Args::operands`].
    pub fn operands(self, synopsis: &'static str, completes: &'static [Completes]) -> Self {
        self.operand(synopsis, completes, |args, word| {
            args.operands.push(word.into_string().map_err(|word| {
                Error::usage(format!("invalid operand '{}': it is not UTF-8", word.to_string_lossy()))
            })?);
            Ok(())
        })
        .end_of_flags(|args| args.has_end_of_flags = true)
    }
}

impl<O, J> Command<Args<O, J>> {
    /// Lets the tool run on other machines; the command has the flag [`host`].
    #[doc(hidden)]
    pub fn on_hosts(self) -> Self {
        self.typed(|args, typed| args.common.typed = typed)
    }
}

/// The arguments of a command: the values of the shared flags, of the flags of jobs (`J`) and of the flags of the tool
/// (`O`), and the operands.
#[derive(Default)]
pub struct Args<O = (), J = ()> {
    /// The values of the shared flags.
    pub common: CommonOptions,
    /// The values of the flags of jobs, for a tool that runs jobs.
    pub jobs: J,
    /// The values of the tool's own flags.
    pub own: O,
    /// The operands, in their order.
    pub operands: Vec<String>,
    /// Whether `--` was given, so that no operand is meant as a verb.
    #[doc(hidden)]
    pub has_end_of_flags: bool,
}

/// `--host HOST,...`
#[doc(hidden)]
pub fn host<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "run on these hosts, and print the records of all of them";
    let parse = |value: Value| HostList::parse(&value.text()?);
    Flag::new("host", Takes::List("HOST,...", host_names), help, move |args: &mut Args<O, J>, value| {
        args.common.hosts.get_or_insert_default().extend(parse(value)?);
        Ok(())
    })
    .more(
        "HOST is a host of config.toml (see codex-agent-config(1)), or any name that ssh accepts; 'all' stands for all \
         hosts of config.toml, and '.' for this machine. The tool of the same name runs on the host, with the sessions \
         of the host; codex-agent must be installed there. If a host cannot be reached, or does not answer for 3 \
         seconds, the tool prints one warning, and exits with status 2. Records have the field host, and tables the \
         column HOST. In lines of a pipe, ids and addresses begin with the host, as in HOST:ID, and other lines have the host in a first \
         column; with --fields and --format it is the field host. Tools with this option \
         accept HOST:ID as a reference. Directories are replaced as [host.NAME.paths] in config.toml says.",
    )
}

/// The values of [`host`].
#[doc(hidden)]
pub fn host_names() -> Vec<(&'static str, &'static str)> {
    // A process prints candidates once, and ends.
    let hosts = config::as_far_as_valid().hosts().iter().map(|host| (&*String::leak(host.name.clone()), ""));
    hosts.chain([("all", "all hosts of config.toml"), (".", "this machine")]).collect()
}

/// `--codex FILE`
pub fn codex<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::file("codex", "the executable of Codex", |args: &mut Args<O, J>| &mut args.common.codex)
        .more("Without this option, CODEX_AGENT_CODEX or the setting codex.binary in config.toml names the executable; if neither is set, it is codex on PATH.")
}

/// The names in a list such as `id,title`.
fn names(value: &str) -> Vec<String> {
    value.split(',').map(|name| name.trim().to_owned()).collect()
}

fn session_fields() -> Vec<(&'static str, &'static str)> {
    Field::NAMES.iter().map(|name| (*name, "")).collect()
}

/// `--fields F,F,...`
fn fields<O: 'static, J: 'static>(known: Values) -> Flag<Args<O, J>> {
    let help = "print only these fields, in this order";
    Flag::new("fields", Takes::List("F,F,...", known), help, |args: &mut Args<O, J>, value| {
        args.common.fields = Some(names(&value.text()?));
        args.common.json_fields = false;
        Ok(())
    })
    .more(
        "On a terminal, the fields are the columns of a table, in which times are ages and ids may be shortened to \
         eight digits. In a pipe, the columns are separated by TABs. With --json, records have only these fields and \
         their type. codex-agent-records(5) lists the fields, including dotted names such as git.branch.",
    )
}

/// `--json[=F,F,...]`
fn json_of<O: 'static, J: 'static>(help: &'static str, known: Values) -> Flag<Args<O, J>> {
    Flag::new("json", Takes::PerhapsList("F,F,...", known), help, |args: &mut Args<O, J>, value| {
        args.common.json = true;
        if let Some(list) = value.perhaps()? {
            (args.common.fields, args.common.json_fields) = (Some(names(&list)), true);
        }
        Ok(())
    })
    .more("With a list of fields, it is --json and --fields. codex-agent-records(5) describes the records.")
}

/// `--format TEMPLATE`
fn format<O: 'static, J: 'static>(help: &'static str) -> Flag<Args<O, J>> {
    let parse = move |value: Value| Template::parse(&value.text()?, |_| Ok(()));
    Flag::parsed("format", Takes::Text("TEMPLATE"), help, parse, |args: &mut Args<O, J>| &mut args.common.template).more(
        "Each record is printed as one line. In TEMPLATE, a field stands in braces, and the escapes are \\t, \\n, \\0, \
         \\\\, \\{ and \\}. A TEMPLATE without a field is an error. Values are escaped as in TAB-separated lines, \
         unless -0 is given.",
    )
}

/// `-0`, `--null`
fn null<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "end lines with NUL instead of a newline, as for xargs -0, and do not escape values";
    Flag::switch("null", help, |args: &mut Args<O, J>| &mut args.common.nul).short('0')
}

/// `--full`
fn full<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "also read the rollouts, which have the parent of a fork, the status and the last directory";
    Flag::switch("full", help, |args: &mut Args<O, J>| &mut args.common.full).more(
        "Records then have forked_from, status and resume_command, a table shows the status of sessions that are not \
         idle, and values that an older database lacks are read from the rollout. The title of a fork is then the \
         first message of the fork itself; the database may have the title of the session that was forked.",
    )
}

/// `--table`
fn table<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::switch("table", "print a table also in a pipe", |args: &mut Args<O, J>| &mut args.common.table).more(
        "The table is as wide as the terminal; in a pipe, as the variable COLUMNS says, or else as the terminal on \
         standard error, or else 80 columns wide.",
    )
}

/// `--no-pager`
pub fn no_pager<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "do not send the output to a pager";
    Flag::switch("no-pager", help, |args: &mut Args<O, J>| &mut args.common.no_pager).more(
        "By default, output that is longer than the terminal is shown by a pager: CODEX_AGENT_PAGER, the setting \
         ui.pager, PAGER, or less.",
    )
}

/// `-n`, `--limit N` of a listing.
pub fn limit<O: 'static, J: 'static>(help: &'static str) -> Flag<Args<O, J>> {
    Flag::number("limit", "N", .., help, |args: &mut Args<O, J>| &mut args.common.limit).short('n')
}

/// The flags for the output of sessions: `--json`, `--fields`, `--format`, `--null`, `--table`, `--full`, `--no-pager`.
pub fn session_output<O: 'static, J: 'static>() -> [Flag<Args<O, J>>; 7] {
    [
        json_of("print session records, one per line", session_fields),
        fields(session_fields),
        format("a template such as '{id}\\t{title}'"),
        null(),
        table(),
        full(),
        no_pager(),
    ]
}

/// The help of the flags for the output of a listing, and the fields of its records.
pub struct ListingHelp {
    /// The help of `--json`.
    pub json: &'static str,
    /// The help of `--format`, with an example.
    pub format: &'static str,
    /// The help of `--limit`.
    pub limit: &'static str,
    /// The fields.
    pub fields: Values,
}

/// The flags for the output of a tool that lists records: `--json`, `--fields`, `--format`, `--null`, `--limit`,
/// `--table`, `--color`, `--no-pager`.
pub fn listing_output<O: 'static, J: 'static>(help: &ListingHelp) -> [Flag<Args<O, J>>; 8] {
    [
        json_of(help.json, help.fields),
        fields(help.fields),
        format(help.format),
        null(),
        limit(help.limit),
        table(),
        color(),
        no_pager(),
    ]
}

/// The fields of records of these types, as the candidates of a flag.
pub fn fields_of(kinds: &[&str], more: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    // A process prints candidates once, and ends.
    let names = kinds.iter().flat_map(|kind| schema::fields(kind)).map(|name| &*String::leak(name));
    let mut seen = HashSet::new();
    names.chain(more.iter().copied()).filter(|name| seen.insert(*name)).map(|name| (name, "")).collect()
}

/// `--codex-home DIR`
pub fn codex_home<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "Codex's home directory, instead of CODEX_HOME or ~/.codex";
    Flag::directory("codex-home", help, |args: &mut Args<O, J>| &mut args.common.codex_home)
        .more("Without this option and CODEX_HOME, the setting codex.home in config.toml is used.")
        .finds(find_sessions)
}

/// `--color WHEN`
pub fn color<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::choice("color", "WHEN", "when to colour tables", |args: &mut Args<O, J>| &mut args.common.color)
        .default("auto")
        .more("NO_COLOR and CLICOLOR_FORCE override the setting ui.color in config.toml. The option only chooses colours: the lines in a pipe, which are no table without --table, have none.")
}

/// `--json`
pub fn json<O: 'static, J: 'static>(help: &'static str) -> Flag<Args<O, J>> {
    Flag::switch("json", help, |args: &mut Args<O, J>| &mut args.common.json)
        .more("codex-agent-records(5) describes the records.")
}

/// `--no-database`
pub fn no_database<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "read only the rollout files";
    Flag::switch("no-database", help, |args: &mut Args<O, J>| &mut args.common.no_database)
        .more("The values that only Codex's database has (tokens used, pinned) are null.")
}

/// `--no-files`
pub fn no_files<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "read only Codex's database";
    Flag::switch("no-files", help, |args: &mut Args<O, J>| &mut args.common.no_files).more(
        "Reading only the database is fastest. Sessions without a row in the database are not listed, and a session with a row is listed even if its rollout does not exist.",
    )
}
