//! The records of tools: `tool`, `plugin.problem` and `plugin.check`.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::{FoundTool, PathProblem, TOOLS};

// A field that is left out is unknown: the dispatcher's `--list=json` knows where a tool is, `--generate describe`
// of the tool what it does.
/// A tool.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRecord<'t> {
    /// Always `tool`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What follows codex-agent- in the name of the executable.
    pub name: &'t str,
    /// What it is for, in one clause; null for an external tool without a description.
    pub about: Option<&'t str>,
    /// The executable that would be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether it lies beside the dispatcher, as the tools of this package do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
    /// Executables of the same name later on the search path, which are not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadows: Option<Vec<String>>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'t str>,
    /// The value of CODEX_AGENT_PROTOCOL that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// The types of records that it reads from standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Vec<&'t str>>,
    /// The types of records that it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<&'t str>>,
    /// The arguments with which it reads and writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipe: Option<Vec<&'t str>>,
    /// What its option --generate can print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generates: Option<Vec<&'t str>>,
    /// Whether its completion hook offers candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completes: Option<bool>,
    /// Whether it has a description: known or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'t str>,
}

impl<'t> ToolRecord<'t> {
    /// The record of a tool that was found: about and version of a tool of this package are known.
    pub fn of(tool: &'t FoundTool) -> ToolRecord<'t> {
        let lossy = |path: &Path| path.to_string_lossy().into_owned();
        let about =
            TOOLS.iter().find(|(name, _)| tool.is_ours() && *name == tool.name).map(|(_, about)| *about);
        ToolRecord {
            path: Some(lossy(&tool.path)),
            ours: Some(tool.is_ours()),
            shadows: Some(tool.shadows.iter().map(|path| lossy(path)).collect()),
            version: about.map(|_| env!("CARGO_PKG_VERSION")),
            description: Some(if about.is_some() { "known" } else { "none" }),
            ..ToolRecord::new(&tool.name, about)
        }
    }

    /// A record with a name, and what the tool is for if that is known.
    pub fn new(name: &'t str, about: Option<&'t str>) -> Self {
        ToolRecord {
            kind: "tool",
            name,
            about,
            path: None,
            ours: None,
            shadows: None,
            version: None,
            protocol: None,
            reads: None,
            writes: None,
            pipe: None,
            generates: None,
            completes: None,
            description: None,
        }
    }
}

/// What looks like a tool and is none, or cannot be run or looked into.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The file, or the folder of the search path.
    path: Cow<'r, str>,
    /// What is wrong: "shadowed", "not_executable", "misnamed", "no_interpreter" or "unreadable".
    problem: &'r str,
    /// The same for people.
    detail: &'r str,
}

impl<'r> ProblemRecord<'r> {
    /// The record of an oddity.
    pub fn of(oddity: &'r PathProblem) -> ProblemRecord<'r> {
        let PathProblem { path, problem, detail } = oddity;
        ProblemRecord { kind: "plugin.problem", path: path.to_string_lossy(), problem, detail }
    }
}

/// A rule that a tool was held to.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The tool.
    name: &'r str,
    /// Its executable.
    path: Cow<'r, str>,
    /// The name of the rule, as codex-agent-plugins(7) has it.
    check: &'r str,
    /// What became of it: "ok", "failed" or "skipped".
    result: &'r str,
    /// What was seen, for people.
    seen: &'r str,
    /// Why it matters, for people.
    why: &'r str,
}

impl<'r> CheckRecord<'r> {
    /// Of a tool at a path: the name of the rule and why it matters, the result and what was seen.
    pub fn new(
        (name, path): (&'r str, &'r Path),
        (check, why): (&'r str, &'r str),
        (result, seen): (&'r str, &'r str),
    ) -> CheckRecord<'r> {
        CheckRecord { kind: "plugin.check", name, path: path.to_string_lossy(), check, result, seen, why }
    }
}
