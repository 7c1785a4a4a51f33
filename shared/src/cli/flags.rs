//! Flags that several tools share.

use std::path::PathBuf;

use super::complete::find_sessions;
use super::flag::{Completes, Flag, Takes, Value};
use super::table::Command;
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::error::{Error, Result};
use crate::output::{Shape, Template};
use crate::record::Field;
use crate::terminal::Color;

/// The values of the shared flags.
#[derive(Default)]
pub struct CommonOptions {
    /// `--codex-home`.
    pub codex_home: Option<PathBuf>,
    /// `--color`.
    pub color: Color,
    /// `--json`.
    pub json: bool,
    /// `--no-database`.
    pub no_database: bool,
    /// `--no-files`.
    pub no_files: bool,
    /// `--codex`.
    pub codex: Option<PathBuf>,
    /// `--fields`.
    pub fields: Option<Vec<Field>>,
    /// `--format`.
    pub template: Option<Template>,
    /// `-0`.
    pub nul: bool,
    /// `--full`.
    pub full: bool,
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

    /// The path of Codex's home, for the records of jobs.
    #[doc(hidden)]
    pub fn codex_home_of_jobs(&self) -> Result<Option<String>> {
        let home = Home::find(self.codex_home.as_deref())?;
        let path = home.path();
        path.to_str().map(|text| Some(text.to_owned())).ok_or_else(|| {
            Error::new(format!("cannot run jobs in Codex's home '{}': the path is not UTF-8", path.display()))
        })
    }

    /// The form in which sessions are printed; an error if two flags choose different ones.
    pub fn shape(&self) -> Result<Shape> {
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

/// `--codex FILE`
pub fn codex<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::file("codex", "the executable of Codex", |args: &mut Args<O, J>| &mut args.common.codex)
        .more("Without this option, CODEX_AGENT_CODEX or the setting codex.binary in config.toml names the executable; if neither is set, it is codex on PATH.")
}

/// `--fields F,F,...`
fn fields<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let known = || Field::NAMES.iter().map(|name| (*name, "")).collect();
    let parse = |value: Value| -> Result<Vec<Field>> {
        value.text()?.split(',').map(|name| Field::parse(name.trim())).collect()
    };
    let (takes, help) = (Takes::List("F,F,...", known), "print only these fields, in this order");
    Flag::parsed("fields", takes, help, parse, |args: &mut Args<O, J>| &mut args.common.fields).more(
        "On a terminal, the fields are the columns of a table, in which times are ages and ids may be shortened to \
         eight digits. In a pipe, the columns are separated by TABs. With --json, records have only these fields and \
         their type. codex-agent-records(5) lists the fields, including dotted names such as git.branch.",
    )
}

/// `--format TEMPLATE`
fn format<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let known = |name: &str| Field::parse(name).map(|_| ());
    let (takes, help) = (Takes::Text("TEMPLATE"), "a template such as '{id}\\t{title}'");
    let parse = move |value: Value| Template::parse(&value.text()?, known);
    Flag::parsed("format", takes, help, parse, |args: &mut Args<O, J>| &mut args.common.template).more(
        "Each session is printed as one line. In TEMPLATE, a field stands in braces, and the escapes are \\t, \\n, \\0, \
         \\\\, \\{ and \\}. Values are escaped as in TAB-separated lines, unless -0 is given.",
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

/// The flags for the output of sessions: `--json`, `--fields`, `--format`, `--null`, `--full`.
pub fn session_output<O: 'static, J: 'static>() -> [Flag<Args<O, J>>; 5] {
    [json("print session records, one per line"), fields(), format(), null(), full()]
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
        .more("NO_COLOR and CLICOLOR_FORCE override the setting ui.color in config.toml.")
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
