//! The records of tools: `tool`, `plugin.problem` and `plugin.check`.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::{FoundTool, PathProblem, TOOLS};

// An absent field is unknown: the dispatcher's `--list=json` knows the path of a tool, `--generate describe` of the
// tool its purpose.
/// A tool.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRecord<'t> {
    /// Always `tool`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The name of the executable without codex-agent-.
    pub name: &'t str,
    /// The summary of the tool, one clause; null for an external tool without a description.
    pub about: Option<&'t str>,
    /// The executable that is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the tool belongs to this package and is in the directory of codex-agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
    /// Executables of the same name that follow on the search path and are not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadows: Option<Vec<String>>,
    /// The version of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'t str>,
    /// The value of CODEX_AGENT_PROTOCOL that the tool supports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// The types of records that the tool reads from standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Vec<&'t str>>,
    /// The types of records that the tool prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<&'t str>>,
    /// The arguments with which the tool reads and prints records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipe: Option<Vec<&'t str>>,
    /// The values of the option --generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generates: Option<Vec<&'t str>>,
    /// Whether '--generate complete' prints completion candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completes: Option<bool>,
    /// Whether the tool has a description: known or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'t str>,
}

impl<'t> ToolRecord<'t> {
    /// The record of a tool on the search path, with summary and version of a tool of this package.
    pub fn from_path(tool: &'t FoundTool) -> ToolRecord<'t> {
        let lossy = |path: &Path| path.to_string_lossy().into_owned();
        let about =
            TOOLS.iter().find(|(name, ..)| tool.is_ours() && *name == tool.name).map(|(_, about, _)| *about);
        ToolRecord {
            path: Some(lossy(&tool.path)),
            ours: Some(tool.is_ours()),
            shadows: Some(tool.shadows.iter().map(|path| lossy(path)).collect()),
            version: about.map(|_| env!("CARGO_PKG_VERSION")),
            description: Some(if about.is_some() { "known" } else { "none" }),
            ..ToolRecord::new(&tool.name, about)
        }
    }

    /// A record with a name, and the summary if it is known.
    pub fn new(name: &'t str, about: Option<&'t str>) -> Self {
        ToolRecord { kind: "tool", name, about, ..ToolRecord::default() }
    }
}

/// A file that is named like a tool and is not usable, or a directory that cannot be read.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The file, or the directory of the search path.
    path: Cow<'r, str>,
    /// The kind of problem: "shadowed", "not_executable", "misnamed", "no_interpreter" or "unreadable".
    problem: &'r str,
    /// An explanation for the user.
    detail: &'r str,
}

impl<'r> ProblemRecord<'r> {
    /// The record of a problem.
    pub fn new(found: &'r PathProblem) -> ProblemRecord<'r> {
        let PathProblem { path, problem, detail } = found;
        ProblemRecord { kind: "plugin.problem", path: path.to_string_lossy(), problem, detail }
    }
}

/// The result of one check of a tool.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the tool.
    name: &'r str,
    /// The executable.
    path: Cow<'r, str>,
    /// The name of the check; see codex-agent-plugins(7).
    check: &'r str,
    /// The result: "ok", "failed" or "skipped".
    result: &'r str,
    /// The observation, for the user.
    seen: &'r str,
    /// The reason for the rule, for the user.
    why: &'r str,
}

impl<'r> CheckRecord<'r> {
    /// The record of a check of the tool at a path: name and reason of the rule, result and observation.
    pub fn new(
        (name, path): (&'r str, &'r Path),
        (check, why): (&'r str, &'r str),
        (result, seen): (&'r str, &'r str),
    ) -> CheckRecord<'r> {
        CheckRecord { kind: "plugin.check", name, path: path.to_string_lossy(), check, result, seen, why }
    }
}
