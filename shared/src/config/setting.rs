//! The table of settings.

use std::ffi::OsString;
use std::path::PathBuf;

use super::document::{Invalid, Value};
use crate::time::parse_duration;

/// The kind of value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path that begins with `/` or `~/`.
    Path,
    /// A whole number from this minimum to this maximum.
    Number(usize, usize),
    /// A duration such as `30d`, or `forever`.
    Time,
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// A program with its arguments, or a shell command.
    Command,
}

/// A setting.
pub struct Setting {
    /// The table and the name: `codex.home`.
    pub key: &'static str,
    /// The kind of value.
    pub kind: Kind,
    /// The default, for the user.
    pub default: &'static str,
    /// The meaning, one clause.
    pub about: &'static str,
    /// Further sentences for the manual page.
    pub more: &'static str,
    /// The flag that overrides the setting.
    pub flag: Option<&'static str>,
    /// The variables that override the setting, with the meaning of their values.
    pub variables: &'static [(&'static str, Means)],
}

/// The value of a setting that the value of a variable stands for, if any.
pub type Means = fn(OsString) -> Option<OsString>;

fn itself(value: OsString) -> Option<OsString> {
    Some(value)
}

/// `codex.home`
pub static CODEX_HOME: Setting = Setting {
    key: "codex.home",
    kind: Kind::Path,
    default: "~/.codex",
    about: "Codex's home directory",
    more: "A directory that does not exist is an error. Codex itself does not read this setting: codex-agent sets CODEX_HOME to the directory when codex-agent runs Codex.",
    flag: Some("--codex-home"),
    variables: &[("CODEX_HOME", itself)],
};

/// `codex.binary`
pub static CODEX_BINARY: Setting = Setting {
    key: "codex.binary",
    kind: Kind::Path,
    default: "codex on PATH",
    about: "the executable of Codex",
    more: "codex-agent searches for codex only in the absolute directories of PATH.",
    flag: Some("--codex"),
    variables: &[("CODEX_AGENT_CODEX", itself)],
};

/// `runs.keep`
pub static RUNS_KEEP: Setting = Setting {
    key: "runs.keep",
    kind: Kind::Time,
    default: "30d",
    about: "the time for which a finished run is kept",
    more: "Runs that ended longer ago are removed when another run begins. The sessions of these runs, which belong to Codex, are kept.",
    flag: None,
    variables: &[],
};

/// `runs.max_concurrent`
pub static RUNS_MAX_CONCURRENT: Setting = Setting {
    key: "runs.max_concurrent",
    kind: Kind::Number(1, 256),
    default: "3",
    about: "the number of concurrent jobs of a run",
    more: "A run that is continued keeps the number with which it was started.",
    flag: Some("--max-concurrent"),
    variables: &[],
};

/// `runs.confirm_above`
pub static RUNS_CONFIRM_ABOVE: Setting = Setting {
    key: "runs.confirm_above",
    kind: Kind::Number(0, 1_000_000),
    default: "20",
    about: "the number of sessions above which a run asks for confirmation",
    more: "With 0, every run asks. Nothing is asked with --yes, or if standard input or standard error is not a terminal.",
    flag: None,
    variables: &[],
};

/// `runs.on_end`
pub static RUNS_ON_END: Setting = Setting {
    key: "runs.on_end",
    kind: Kind::Command,
    default: "no command",
    about: "the command that is run when a run ends",
    more: "The shell sh runs the command when a run of any tool was completed or stopped; it gets the run record on its standard input, and the id of the run in CODEX_AGENT_RUN. Its output goes to standard error. Ctrl-C and a closed terminal do not reach the command. If it fails, or is not done within 30 seconds and is killed, a warning is printed; the exit status of the run does not change. Runs within jobs, and runs that the command starts, run no command. For a notification on the desktop: on_end = '''notify-send codex-agent \"$(jq -r '.name + \": \" + .state')\"'''",
    flag: None,
    variables: &[],
};

/// `ui.color`
pub static UI_COLOR: Setting = Setting {
    key: "ui.color",
    kind: Kind::OneOf(&["auto", "always", "never"]),
    default: "auto",
    about: "whether tables are coloured",
    more: "With auto, output to a terminal is coloured, unless TERM is dumb.",
    flag: Some("--color"),
    variables: &[
        ("NO_COLOR", |_| Some("never".into())),
        ("CLICOLOR_FORCE", |value| (value != "0").then(|| "always".into())),
    ],
};

/// `ui.pager`
pub static UI_PAGER: Setting = Setting {
    key: "ui.pager",
    kind: Kind::Command,
    default: "less",
    about: "the pager for output that is longer than the terminal",
    more: "The value cat means no pager, as does --no-pager. If neither the setting nor CODEX_AGENT_PAGER is set, PAGER names the pager. If LESS is not set, it is FRX for the pager: less ends if the output fits the screen, shows colours, and leaves the text on the screen.",
    flag: None,
    variables: &[("CODEX_AGENT_PAGER", itself)],
};

/// Every setting.
pub static SETTINGS: [&Setting; 8] = [
    &CODEX_HOME,
    &CODEX_BINARY,
    &RUNS_KEEP,
    &RUNS_MAX_CONCURRENT,
    &RUNS_CONFIRM_ABOVE,
    &RUNS_ON_END,
    &UI_COLOR,
    &UI_PAGER,
];

impl Kind {
    /// Reads a value of the file. The error names the expected type.
    pub(super) fn read(self, value: &Value) -> Result<OsString, Invalid> {
        let text = match (self, value) {
            (Kind::Number(least, most), Value::Number(number)) => {
                let number = number.and_then(|number| usize::try_from(number).ok());
                return match number.filter(|number| (least..=most).contains(number)) {
                    Some(number) => Ok(number.to_string().into()),
                    None => Err(format!("it must be from {least} to {most}").into()),
                };
            }
            (Kind::Number(..), other) => return Err(Invalid::Type("a whole number", other.type_name())),
            (_, Value::Text(text)) => text.as_str(),
            (_, other) => return Err(Invalid::Type("a string", other.type_name())),
        };
        match self {
            _ if text.trim().is_empty() => Err("it is empty".into()),
            Kind::Path => path(text).map(PathBuf::into_os_string),
            Kind::Command if text.contains(['\0', '\n']) => Err("it contains a line break or a NUL".into()),
            Kind::Command => Ok(text.into()),
            Kind::Time if text == "forever" => Ok(text.into()),
            Kind::Time => match parse_duration(text) {
                Ok(_) => Ok(text.into()),
                Err(_) => Err(format!("'{text}' is not a duration; use 12h, 30d, 8w or forever").into()),
            },
            Kind::OneOf(words) if words.contains(&text) => Ok(text.into()),
            Kind::OneOf(words) => Err(format!("expected {}, not '{text}'", words.join(" or ")).into()),
            Kind::Number(..) => Err("expected a whole number".into()),
        }
    }

    /// A description of valid values.
    pub fn expected(self) -> String {
        match self {
            Kind::Path => "a path that begins with / or ~/".to_owned(),
            Kind::Number(least, most) => format!("a number from {least} to {most}"),
            Kind::Time => "a duration such as 30d, or forever".to_owned(),
            Kind::OneOf(words) => words.join(" or "),
            Kind::Command => "a command".to_owned(),
        }
    }
}

/// Reads a path. A relative path would depend on the current directory, and is invalid.
pub(super) fn path(text: &str) -> Result<PathBuf, Invalid> {
    if text.contains('\0') {
        return Err("it contains a NUL".into());
    }
    let path = match text.strip_prefix("~/") {
        Some(rest) => {
            let home = super::home().map_err(|why| format!("'~' means HOME: {why}"))?;
            home.join(rest.trim_start_matches('/'))
        }
        None => PathBuf::from(text),
    };
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("expected a path that begins with / or ~/, not '{text}'").into()),
    }
}
