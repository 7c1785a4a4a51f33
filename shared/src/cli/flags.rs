//! Flags that several tools have, described once for all of them.

use std::path::PathBuf;

use super::{Flag, Takes};
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::error::{Error, Result};
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
}

impl Common {
    /// Opens the index that the flags ask for.
    pub fn index(&self) -> Result<Index> {
        let home = Home::find(self.codex_home.as_deref())?;
        Index::open(home, Sources { database: !self.no_database, files: !self.no_files })
    }
}

/// `--codex-home DIR`
pub const fn codex_home<A: AsMut<Common>>() -> Flag<A> {
    Flag {
        short: None,
        long: "codex-home",
        takes: Takes::Directory("DIR"),
        help: "Codex's home, instead of CODEX_HOME or ~/.codex",
        more: "",
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
        help: "colour tables: auto, always or never",
        more: "With auto, which is the default, a terminal gets colours unless NO_COLOR is set; \
               CLICOLOR_FORCE asks for them everywhere.",
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
