//! The records of settings and of problems in config.toml.

use std::borrow::Cow;

use serde::Serialize;

use super::document::TextPosition;
use super::host::{self, HostKey};
use super::{Config, Setting, Source};

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum SettingValue {
    /// A path, a duration or a choice.
    Text(String),
    /// A whole number.
    Number(usize),
}

/// A setting, and where it is set.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettingRecord {
    #[serde(rename = "type")]
    #[allow(missing_docs)] // Always the same.
    pub kind: &'static str,
    /// The table and name of the setting.
    pub key: Cow<'static, str>,
    /// The value; null if there is none.
    pub value: Option<SettingValue>,
    /// Where the value is set: "flag", "environment", "file" or "built-in".
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["flag", "environment", "file", "built-in"])))]
    pub source: &'static str,
    /// The flag, the environment variable or the path of the file; null for the default.
    pub by: Option<String>,
    /// The line in config.toml, from 1; null if the value is not from config.toml.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// The default, for the user; null if config.toml cannot set the value.
    pub default: Option<&'static str>,
    /// The meaning of the setting, one clause.
    pub about: &'static str,
    /// Whether config.toml can set it.
    pub settable: bool,
    /// The reason why the value is invalid; null if it is valid.
    pub problem: Option<String>,
}

impl SettingRecord {
    /// The record of a setting with the source of its value.
    pub fn of_setting(setting: &'static Setting, source: Option<Source>, config: &Config) -> SettingRecord {
        let record = SettingRecord::new(setting.key, setting.about, source, config);
        SettingRecord { default: Some(setting.default), settable: true, ..record }
    }

    /// The record of a value that config.toml cannot set.
    pub fn new(
        key: impl Into<Cow<'static, str>>,
        about: &'static str,
        source: Option<Source>,
        config: &Config,
    ) -> SettingRecord {
        let (source, by, place) = match source {
            None => ("built-in", None, None),
            Some(Source::Flag(name)) => ("flag", Some(name.to_owned()), None),
            Some(Source::Environment(name)) => ("environment", Some(name.to_owned()), None),
            Some(Source::File(place)) => {
                ("file", Some(config.path().to_string_lossy().into_owned()), Some(place))
            }
        };
        SettingRecord {
            kind: "setting",
            key: key.into(),
            value: None,
            source,
            by,
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            default: None,
            about,
            settable: false,
            problem: None,
        }
    }

    /// The record of a key of a host.
    pub fn of_host(key: &HostKey, config: &Config) -> SettingRecord {
        let (default, about) = key.meaning();
        let record = SettingRecord::new(key.key.clone(), about, Some(Source::File(key.place)), config);
        let number = key.text.parse().ok().filter(|_| default == Some(host::NO_NUMBER));
        let value = number.map_or_else(|| SettingValue::Text(key.text.clone()), SettingValue::Number);
        SettingRecord { value: Some(value), default, settable: true, ..record }
    }

    /// The value as text.
    pub fn text(&self) -> String {
        match &self.value {
            Some(SettingValue::Text(text)) => text.clone(),
            Some(SettingValue::Number(number)) => number.to_string(),
            None => String::new(),
        }
    }

    /// The flag, the variable, or the place in the file.
    pub fn origin(&self) -> String {
        let by = self.by.clone().unwrap_or_default();
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{by}:{line}:{column}"),
            _ => by,
        }
    }
}

/// A problem in config.toml.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemRecord {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind of problem.
    pub problem: &'static str,
    /// "error" or "warning".
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["error", "warning"])))]
    pub level: &'static str,
    /// The file.
    pub path: String,
    /// The line, from 1; null for a problem of the whole file.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// An explanation for the user.
    pub detail: String,
}

impl ProblemRecord {
    /// The record of a problem at a position of the file.
    pub fn new(
        config: &Config,
        problem: &'static str,
        is_error: bool,
        place: Option<TextPosition>,
        detail: String,
    ) -> ProblemRecord {
        ProblemRecord {
            kind: "config.problem",
            problem,
            level: if is_error { "error" } else { "warning" },
            path: config.path().to_string_lossy().into_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            detail,
        }
    }
}
