//! The subject of a tool call, in a line: the command, the files, the query.

use super::*;

/// The longest text of a tool call, in characters.
const SHORT: usize = 200;

impl<'a> Line<'a> {
    /// A tool call of a `legacy` session.
    pub(super) fn read_call(&mut self, payload: &Payload<'a>) {
        let kind = text(payload.kind).unwrap_or_default();
        if !kind.ends_with("_call") {
            return;
        }
        let name = text(payload.name);
        let (name, words) = match (&*kind, name.as_deref()) {
            (
                "function_call",
                Some("shell" | "exec_command" | "local_shell" | "shell_command" | "container.exec"),
            ) => {
                let arguments = text(payload.arguments).unwrap_or_default();
                let arguments = serde_json::from_str::<&RawValue>(&arguments).ok();
                let line = member(arguments, "command").or_else(|| member(arguments, "cmd"));
                (Cow::Borrowed("command_execution"), describe_command(line))
            }
            ("local_shell_call", _) => {
                (Cow::Borrowed("command_execution"), describe_command(member(payload.action, "command")))
            }
            ("web_search_call", _) => {
                let query = text(member(payload.action, "query")).unwrap_or_default();
                (Cow::Borrowed("web_search"), query.into_owned())
            }
            (_, Some("apply_patch")) => {
                let patch = text(payload.input.or(payload.arguments)).unwrap_or_default();
                (Cow::Borrowed("file_change"), describe_patch(&patch).unwrap_or_default())
            }
            _ => {
                let words = text(payload.arguments).or(text(payload.input)).unwrap_or_default().into_owned();
                (name.unwrap_or(kind), words)
            }
        };
        self.item = text(payload.call_id);
        self.kind = LineKind::ToolCall { name, text: short(&words) };
    }
}

pub(super) fn is_tool(kind: &str) -> bool {
    ["ToolCall", "Execution", "Change", "Search", "ImageView", "ImageGeneration"]
        .iter()
        .any(|end| kind.ends_with(end))
}

/// `CommandExecution` as `codex exec --json` writes it: `command_execution`.
pub(super) fn snake(kind: &str) -> String {
    let mut name = String::with_capacity(kind.len() + 4);
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// A command as it would be typed, without the shell that Codex runs it with.
pub(super) fn describe_command(raw: Raw<'_>) -> String {
    if let Some(line) = text(raw) {
        return line.into_owned();
    }
    let words: Vec<Cow<'_, str>> = read(raw).unwrap_or_default();
    match &words[..] {
        [shell, flag, line]
            if matches!(&**flag, "-c" | "-lc" | "-Command")
                && ["sh", "bash", "zsh", "powershell", "pwsh"]
                    .contains(&shell.rsplit('/').next().unwrap_or("")) =>
        {
            line.clone().into_owned()
        }
        _ => words.join(" "),
    }
}

/// The files that a patch names.
fn describe_patch(patch: &str) -> Option<String> {
    let name = |line: &str| {
        let (what, name) = line.strip_prefix("*** ")?.split_once(" File: ")?;
        ["Add", "Update", "Delete"].contains(&what).then(|| name.to_owned())
    };
    let files: Vec<String> = patch.lines().filter_map(name).collect();
    (!files.is_empty()).then(|| files.join(" "))
}

/// The text as a line of at most [`SHORT`] characters.
pub(super) fn short(text: &str) -> String {
    // So many words are longer than the line.
    let words = text.split_whitespace().take(SHORT).collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
