//! Flags that several tools have, described once for all of them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Flag, Takes};
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::error::{Error, Result};
use crate::output::{Shape, Template};
use crate::record::Field;
use crate::terminal::Color;

/// What the shared flags store. A tool's arguments hold one of these.
#[derive(Default)]
pub struct Common {
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

impl Common {
    /// Opens the index that the flags ask for.
    pub fn index(&self) -> Result<Index> {
        let home = Home::find(self.codex_home.as_deref())?;
        if self.no_database && self.no_files {
            return Err(Error::usage("--no-database and --no-files together leave nothing to look at"));
        }
        let opened = Index::open(home, Sources { database: !self.no_database, files: !self.no_files });
        opened.map_err(|error| match self.no_files {
            true => error.hint("without --no-files the rollout files are listed"),
            false => error,
        })
    }

    /// Codex's home as jobs name it.
    pub fn home_of_jobs(&self) -> Result<Option<String>> {
        let home = Home::find(self.codex_home.as_deref())?;
        let path = home.path();
        let text = path.to_str().map(str::to_owned);
        text.map(Some).ok_or_else(|| {
            Error::new(format!("cannot run jobs in Codex's home '{}': the path is not UTF-8", path.display()))
        })
    }

    /// The shape that sessions are shown in; an error where two flags ask for different ones.
    pub fn shape(&self) -> Result<Shape> {
        if self.template.is_some() && (self.json || self.fields.is_some()) {
            return Err(Error::usage("--format goes with neither --fields nor --json"));
        }
        if self.nul && self.json {
            return Err(Error::usage("-0 does not go with --json: a record is one line"));
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

/// The names of all fields.
const FIELDS: [&str; Field::ALL.len() + Field::PARTS.len()] = {
    let mut names = [""; Field::ALL.len() + Field::PARTS.len()];
    let mut at = 0;
    while at < names.len() {
        let part = at.wrapping_sub(Field::ALL.len());
        names[at] = if at < Field::ALL.len() { Field::ALL[at].name() } else { Field::PARTS[part].name() };
        at += 1;
    }
    names
};

/// An operand that is text.
pub fn text_operand(operands: &mut Vec<String>, operand: OsString) -> Result<()> {
    let text = operand.into_string().map_err(|operand| {
        Error::usage(format!("cannot take '{}': it is not UTF-8", operand.to_string_lossy()))
    })?;
    operands.push(text);
    Ok(())
}

/// `--codex FILE`
pub const fn codex<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "codex",
        takes: Takes::File("FILE"),
        help: "the executable of Codex",
        more: "Instead of CODEX_AGENT_CODEX, codex.binary in config.toml, or codex on PATH.",
        set: |args, value| {
            args.as_mut().codex = Some(value.path());
            Ok(())
        },
    }
}

/// `--fields F,F,...`
pub const fn fields<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "fields",
        takes: Takes::List("F,F,...", &FIELDS),
        help: "only these fields, in this order",
        more: "A table on a terminal, where a time is an age and, if there is little room, an id its last \
               eight digits; TAB-separated in a pipe, and with --json records that have no others \
               but their type. The fields are those of codex-agent-records(5), and sha, branch, origin_url, \
               parent, short.",
        set: |args, value| {
            let fields: Result<Vec<Field>> =
                value.text()?.split(',').map(|name| Field::parse(name.trim())).collect();
            args.as_mut().fields = Some(fields?);
            Ok(())
        },
    }
}

/// `--format TEMPLATE`
pub const fn format<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "format",
        takes: Takes::Text("TEMPLATE"),
        help: "a template such as '{id}\\t{title}'",
        more: "One line a session. Fields stand in braces; \\t, \\n, \\0, \\\\, \\{ and \\} are read. Values are \
               escaped as in TAB-separated rows, unless -0 is given.",
        set: |args, value| {
            let known = |name: &str| Field::parse(name).map(|_| ());
            args.as_mut().template = Some(Template::parse(&value.text()?, known)?);
            Ok(())
        },
    }
}

/// `-0`, `--null`
pub const fn null<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: Some('0'),
        long: "null",
        takes: Takes::Nothing,
        help: "end rows with NUL, and escape nothing in them",
        more: "For xargs -0.",
        set: |args, _| {
            args.as_mut().nul = true;
            Ok(())
        },
    }
}

/// `--full`
pub const fn full<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "full",
        takes: Takes::Nothing,
        help: "look into the rollouts: fork parent, status, last directory",
        more: "Adds forked_from, status and resume_command to records, tells in a table what is not idle, and \
               fills what an older database lacks. A fork's title is then its own first message; the database \
               may have its parent's.",
        set: |args, _| {
            args.as_mut().full = true;
            Ok(())
        },
    }
}

/// `--codex-home DIR`
pub const fn codex_home<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "codex-home",
        takes: Takes::Directory("DIR"),
        help: "Codex's home, instead of CODEX_HOME or ~/.codex",
        more: "codex.home in config.toml comes between the two.",
        set: |args, value| {
            let path = value.path();
            if path.as_os_str().is_empty() {
                return Err(Error::usage("expected a directory"));
            }
            args.as_mut().codex_home = Some(path);
            Ok(())
        },
    }
}

/// `--color WHEN`
pub const fn color<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "color",
        takes: Takes::OneOf("WHEN", &["auto", "always", "never"]),
        help: "when to colour tables",
        more: "With auto, which is the default, a terminal gets colours unless NO_COLOR is set; \
               CLICOLOR_FORCE asks for them everywhere. ui.color in config.toml comes after these.",
        set: |args, value| {
            args.as_mut().color = Color::parse(&value.text()?);
            Ok(())
        },
    }
}

/// `--json`
pub const fn json<A: AsMut<Common>>(help: &'static str) -> Flag<A> {
    Flag {
        short: None,
        long: "json",
        takes: Takes::Nothing,
        help,
        more: "As codex-agent-records(5) describes them.",
        set: |args, _| {
            args.as_mut().json = true;
            Ok(())
        },
    }
}

/// `--no-database`
pub const fn no_database<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "no-database",
        takes: Takes::Nothing,
        help: "read the rollout files alone",
        more: "What only the database knows (tokens used, pinned) is then null.",
        set: |args, _| {
            args.as_mut().no_database = true;
            Ok(())
        },
    }
}

/// `--no-files`
pub const fn no_files<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "no-files",
        takes: Takes::Nothing,
        help: "trust Codex's database alone",
        more: "Sessions without a row are then not listed, and nobody looks whether the file of a \
               row is still there. It is the fastest way.",
        set: |args, _| {
            args.as_mut().no_files = true;
            Ok(())
        },
    }
}
