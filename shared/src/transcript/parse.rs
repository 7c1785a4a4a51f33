//! The contents of calls and their outputs: commands, patches, paths, and the texts that Codex puts before an output.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::record::{Change, ChangeKind};
use crate::codex::rollout::json::Json;
use crate::codex::rollout::wire::{Fields, Raw, list, members, object, read, string, text};

/// The output of a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Output {
    /// The text, without the lines that Codex puts before it.
    pub(super) text: String,
    /// The exit code of a command that ended.
    pub(super) exit_code: Option<i64>,
    /// Whether the process was still running.
    pub(super) is_running: bool,
    /// Whether the user interrupted the call.
    pub(super) is_aborted: bool,
    /// Whether the tool reports success or failure.
    pub(super) success: Option<bool>,
}

impl Output {
    /// Whether there is no tool of this name.
    pub(super) fn is_unsupported(&self) -> bool {
        self.text.starts_with("unsupported call: ")
    }
}

/// Reads an output: a string, a list of parts, or an object.
pub(super) fn output(raw: Raw<'_>) -> Output {
    let mut found = Output::default();
    let whole = whole(raw, &mut found);
    let inner = if whole.starts_with('{') { read_object(&whole, &mut found) } else { None };
    let (text, header) = without_header(inner.as_deref().unwrap_or(&whole));
    for line in header.lines() {
        let number = |start: &str| line.strip_prefix(start).and_then(|rest| rest.trim().parse().ok());
        found.exit_code =
            found.exit_code.or_else(|| number("Process exited with code ")).or_else(|| number("Exit code: "));
        found.is_running |= line.starts_with("Process running with session ID");
        if line.starts_with("Script completed") {
            found.success = Some(true);
        } else if line.starts_with("Script failed") {
            found.success = Some(false);
        }
    }
    found.is_aborted = text.starts_with("aborted by user");
    found.text = text.to_owned();
    found
}

/// The text of all parts of an output.
fn whole(raw: Raw<'_>, found: &mut Output) -> String {
    let Some(value) = raw else { return String::new() };
    match value.get().as_bytes().first() {
        Some(b'"') => string(raw).unwrap_or_default(),
        Some(b'[') => {
            let parts = list(raw).into_iter().map(|part| object(Some(part)));
            let mut all = String::new();
            for part in parts.filter_map(|part| text(part.text).map(Cow::into_owned)) {
                // The first part is the header without its newline.
                let is_header = all.is_empty() && part.ends_with("Output:");
                all.push_str(&part);
                if is_header {
                    all.push('\n');
                }
            }
            all
        }
        Some(b'{') => {
            let fields = object(raw);
            found.success = read(fields.success);
            let inner = fields.content.or(fields.output).or(fields.text);
            match inner.map(Json::get) {
                Some(json) if json.starts_with('{') => json.to_owned(),
                Some(_) => whole(inner, found),
                None => value.get().to_owned(),
            }
        }
        _ => value.get().to_owned(),
    }
}

/// The output in an object of up to 0.120: `{"output":…,"metadata":{"exit_code":0}}`.
fn read_object(whole: &str, found: &mut Output) -> Option<String> {
    let fields = Fields::of(whole);
    found.exit_code = read(object(Some(fields.metadata?)).exit_code);
    string(fields.output)
}

/// The text behind the lines that Codex puts before an output, and these lines.
fn without_header(text: &str) -> (&str, &str) {
    const STARTS: [&str; 10] = [
        "Chunk ID: ",
        "Wall time: ",
        "Wall time ",
        "Exit code: ",
        "Process exited with code ",
        "Process running with session ID ",
        "Original token count: ",
        "Script completed",
        "Script failed",
        "Script running with cell ID ",
    ];
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("Output:\n") {
            let after = without_warning(after);
            return (after, &text[..text.len() - after.len()]);
        }
        let Some((line, after)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) else {
            return (rest, &text[..text.len() - rest.len()]);
        };
        if !STARTS.iter().any(|start| line.starts_with(start)) {
            return (rest, &text[..text.len() - rest.len()]);
        }
        rest = after;
    }
}

/// The text behind the note that Codex puts before an output that it has shortened. The place is marked in the text.
fn without_warning(text: &str) -> &str {
    let after = text
        .strip_prefix("Warning: truncated output (original token count: ")
        .and_then(|rest| rest.split_once(")\n"))
        .map_or(text, |(_, rest)| rest);
    let total = after.strip_prefix("Total output lines: ").and_then(|rest| rest.split_once("\n\n"));
    total.filter(|(count, _)| count.bytes().all(|byte| byte.is_ascii_digit())).map_or(after, |(_, rest)| rest)
}

/// A command as it would be typed, without the shell that Codex runs it with.
pub(super) fn command(raw: Raw<'_>) -> String {
    if let Some(line) = text(raw) {
        return line.into_owned();
    }
    let words: Vec<String> = list(raw).into_iter().filter_map(|word| string(Some(word))).collect();
    match &words[..] {
        [shell, flag, line]
            if matches!(&**flag, "-c" | "-lc" | "-Command")
                && ["sh", "bash", "zsh", "powershell", "pwsh"]
                    .contains(&shell.rsplit('/').next().unwrap_or("")) =>
        {
            line.clone()
        }
        _ => words.join(" "),
    }
}

/// The patch of a command such as `["apply_patch", "*** Begin Patch…"]`.
pub(super) fn patch_of_command(raw: Raw<'_>) -> Option<String> {
    match &list(raw)[..] {
        [name, patch] if name.get() == "\"apply_patch\"" => string(Some(*patch)),
        _ => None,
    }
}

/// A path, or the path in a `file:` URL; relative to the directory if it is inside.
pub(super) fn path(text: &str, cwd: Option<&str>) -> String {
    let plain = match text.strip_prefix("file://") {
        Some(rest) => percent_decoded(rest),
        None => text.to_owned(),
    };
    let inside = cwd
        .and_then(|cwd| plain.strip_prefix(cwd.trim_end_matches('/')))
        .and_then(|rest| rest.strip_prefix('/'));
    match inside {
        Some(inside) if !inside.is_empty() => inside.to_owned(),
        _ => plain,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The files that a patch names, in the form of the model's tool `apply_patch`.
pub(super) fn files_of_patch(patch: &str, cwd: Option<&str>) -> Vec<Change> {
    let mut files: Vec<Change> = Vec::new();
    for line in patch.lines() {
        let Some(rest) = line.strip_prefix("*** ") else { continue };
        let change = |name: &str, kind| Change { path: path(name.trim(), cwd), kind, to: None };
        if let Some(name) = rest.strip_prefix("Add File: ") {
            files.push(change(name, ChangeKind::Created));
        } else if let Some(name) = rest.strip_prefix("Update File: ") {
            files.push(change(name, ChangeKind::Changed));
        } else if let Some(name) = rest.strip_prefix("Delete File: ") {
            files.push(change(name, ChangeKind::Deleted));
        } else if let (Some(name), Some(last)) = (rest.strip_prefix("Move to: "), files.last_mut()) {
            last.kind = ChangeKind::Moved;
            last.to = Some(path(name.trim(), cwd));
        }
    }
    files
}

/// The files in the `changes` of an event or item, in the order in which `listing` names them.
pub(super) fn files_of_changes(changes: Raw<'_>, listing: &str, cwd: Option<&str>) -> Vec<Change> {
    let mut files: Vec<Change> = members(changes)
        .into_iter()
        .map(|(name, change)| {
            let fields = read::<MovePath<'_>>(Some(change)).unwrap_or_default();
            let to = text(fields.move_path).map(|to| path(&to, cwd));
            let kind = match text(fields.kind).as_deref() {
                Some("add") => ChangeKind::Created,
                Some("delete") => ChangeKind::Deleted,
                _ if to.is_some() => ChangeKind::Moved,
                _ => ChangeKind::Changed,
            };
            Change { path: path(&name, cwd), kind, to }
        })
        .collect();
    order(&mut files, listing, cwd);
    files
}

/// Orders files as the output of `apply_patch` lists them: `A src/new.rs`.
pub(super) fn order(files: &mut [Change], listing: &str, cwd: Option<&str>) {
    let listed: Vec<String> = listing
        .lines()
        .filter_map(|line| line.strip_prefix("A ").or(line.strip_prefix("M ")).or(line.strip_prefix("D ")))
        .map(|name| path(name, cwd))
        .collect();
    files.sort_by_cached_key(|file| {
        let name = file.to.as_ref().unwrap_or(&file.path);
        listed.iter().position(|listed| listed == name || *listed == file.path).unwrap_or(usize::MAX)
    });
}

#[derive(Default, serde::Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct MovePath<'a> {
    #[serde(rename = "type")]
    kind: Raw<'a>,
    move_path: Raw<'a>,
    content: Raw<'a>,
    unified_diff: Raw<'a>,
}

/// A path in the headers of a patch, in quotes if git needs them.
fn quoted_path(start: &str, path: &str) -> String {
    if !path.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return format!("{start}{path}");
    }
    let mut out = format!("\"{start}");
    for c in path.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The `changes` of an event or item as a patch that `git apply` accepts, in the order of `files`.
pub(super) fn patch_of_changes(changes: Raw<'_>, files: &[Change], cwd: Option<&str>) -> String {
    let mut pieces: Vec<(String, String)> = Vec::new();
    for (name, change) in members(changes) {
        let fields = read::<MovePath<'_>>(Some(change)).unwrap_or_default();
        let from = path(&name, cwd);
        let to = text(fields.move_path).map_or(from.clone(), |to| path(&to, cwd));
        let lines = |sign: char, text: &str| {
            // A carriage return belongs to its line.
            let mut all: String = text.split_inclusive('\n').map(|line| format!("{sign}{line}")).collect();
            if !text.is_empty() && !text.ends_with('\n') {
                all.push_str("\n\\ No newline at end of file\n");
            }
            all
        };
        let content = text(fields.content).unwrap_or_default();
        let count = content.split_inclusive('\n').count();
        let (old, new) = (quoted_path("a/", &from), quoted_path("b/", &to));
        let head = format!("diff --git {old} {new}\n");
        let piece = match text(fields.kind).as_deref() {
            Some("add") => {
                let body = lines('+', &content);
                let hunk = if count == 0 {
                    String::new()
                } else {
                    format!("--- /dev/null\n+++ {new}\n@@ -0,0 +1,{count} @@\n{body}")
                };
                format!("{head}new file mode 100644\n{hunk}")
            }
            Some("delete") => {
                let body = lines('-', &content);
                let hunk = if count == 0 {
                    String::new()
                } else {
                    format!("--- {old}\n+++ /dev/null\n@@ -1,{count} +0,0 @@\n{body}")
                };
                format!("{head}deleted file mode 100644\n{hunk}")
            }
            _ => {
                let diff = text(fields.unified_diff).unwrap_or_default();
                let moved = if from == to {
                    String::new()
                } else {
                    format!("rename from {}\nrename to {}\n", quoted_path("", &from), quoted_path("", &to))
                };
                let hunks =
                    if diff.is_empty() { String::new() } else { format!("--- {old}\n+++ {new}\n{diff}") };
                let end = if diff.is_empty() || diff.ends_with('\n') { "" } else { "\n" };
                format!("{head}{moved}{hunks}{end}")
            }
        };
        pieces.push((from, piece));
    }
    pieces.sort_by_key(|(from, _)| files.iter().position(|file| file.path == *from).unwrap_or(usize::MAX));
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

/// The texts in the result of a call of a server's tool, and whether it is an error.
pub(super) fn result(raw: Raw<'_>) -> (Option<String>, Option<bool>) {
    let Some(value) = raw else { return (None, None) };
    // An event has `{"Ok":{"content":[…]}}` or `{"Err":"…"}`, an item the inner object.
    let outer = members(raw);
    let inner = match outer.first() {
        Some((name, inner)) if name == "Ok" => *inner,
        Some((name, inner)) if name == "Err" => {
            return (Some(string(Some(*inner)).unwrap_or_else(|| inner.get().to_owned())), Some(true));
        }
        _ => value,
    };
    let fields = object(Some(inner));
    let texts = texts(fields.content);
    let is_error = read(fields.is_error).unwrap_or(false);
    (Some(texts.unwrap_or_else(|| inner.get().to_owned())), Some(is_error))
}

/// The texts of a list of parts, one after the other in lines.
fn texts(parts: Raw<'_>) -> Option<String> {
    let all: Vec<String> = read::<Vec<Json<'_>>>(parts)?
        .into_iter()
        .filter_map(|part| string(object(Some(part)).text))
        .collect();
    Some(all.join("\n"))
}

/// The text of the output of a server's tool without an event: a list of parts as JSON, or the text itself.
pub(super) fn text_of_parts(text: String) -> String {
    let parts = if text.starts_with('[') { Json::of(&text) } else { None };
    texts(parts).unwrap_or(text)
}

/// The arguments of a call: the JSON in a string, else the string.
pub(super) fn arguments(raw: Raw<'_>) -> Option<Box<RawValue>> {
    let value = raw?;
    match text(raw) {
        Some(inside) => match serde_json::from_str::<Box<RawValue>>(&inside) {
            Ok(inner) => Some(inner),
            Err(_) if inside.is_empty() => None,
            Err(_) => value.to_raw(),
        },
        None => value.to_raw(),
    }
}

/// The command and the output in the model's copy of a command of the user.
pub(super) fn user_command(text: &str) -> Option<(String, Output)> {
    let inside = text.trim_start().strip_prefix("<user_shell_command>")?;
    let (_, rest) = inside.split_once("<command>\n")?;
    let (command, rest) = rest.split_once("\n</command>")?;
    let result = rest.split_once("<result>\n").map_or("", |(_, result)| result);
    let result = result.rsplit_once("\n</result>").map_or(result, |(result, _)| result);
    let code = result.strip_prefix("Exit code: ").and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let text = result.split_once("Output:\n").map_or(result, |(_, text)| text);
    Some((command.to_owned(), Output { text: text.to_owned(), exit_code: code, ..Output::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Json<'_> {
        Json::of(text).unwrap()
    }

    fn read_output(json: &str) -> (String, Option<i64>) {
        let found = output(Some(raw(json)));
        (found.text, found.exit_code)
    }

    #[test]
    fn outputs_of_every_form() {
        let header = r#""Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 3\nOriginal token count: 2\nOutput:\nout\nOutput:\n""#;
        assert_eq!(read_output(header), ("out\nOutput:\n".to_owned(), Some(3)));
        let old = r#""{\"output\":\"a\\n\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.0}}""#;
        assert_eq!(read_output(old), ("a\n".to_owned(), Some(0)));
        assert_eq!(read_output(r#""{\"answers\":{}}""#), ("{\"answers\":{}}".to_owned(), None));
        let parts = r#"[{"type":"input_text","text":"Wall time: 0.0 seconds\nOutput:"},{"text":"a"},{"type":"input_image"},{"text":"b"}]"#;
        assert_eq!(read_output(parts), ("ab".to_owned(), None));
        assert_eq!(read_output(r#"{"content":"failed","success":false}"#), ("failed".to_owned(), None));
        assert_eq!(output(Some(raw(r#"{"content":"x","success":false}"#))).success, Some(false));
        assert_eq!(read_output(r#"{"a":1}"#), ("{\"a\":1}".to_owned(), None));
        assert_eq!(read_output("7"), ("7".to_owned(), None));
        assert_eq!(read_output(r#""Output:\n""#), (String::new(), None));
        assert_eq!(read_output(r#""Wall time: 3.3 seconds\naborted by user""#).0, "aborted by user");
        let script =
            r#"[{"text":"Script failed\nWall time 0.0 seconds\nOutput:\n"},{"text":"Script error"}]"#;
        let found = output(Some(raw(script)));
        assert_eq!((found.text.as_str(), found.success), ("Script error", Some(false)));
        assert!(output(Some(raw(r#""Process running with session ID 5\nOutput:\nx""#))).is_running);
        // A text that only looks like a header in its middle is kept.
        assert_eq!(read_output(r#""plain\nExit code: 1\n""#), ("plain\nExit code: 1\n".to_owned(), None));
    }

    #[test]
    fn paths_are_relative_to_the_directory() {
        assert_eq!(path("file:///p/a%20b/%C3%A9%", Some("/p/")), "a b/é%");
        assert_eq!(path("/p/x", Some("/p")), "x");
        assert_eq!(path("/px", Some("/p")), "/px");
        assert_eq!(path("/p", Some("/p")), "/p");
        assert_eq!(path("/a", Some("/")), "a");
        assert_eq!(path("a", None), "a");
    }

    #[test]
    fn changes_become_a_patch_in_the_order_of_the_listing() {
        let changes = raw(
            r#"{"/p/b":{"type":"update","unified_diff":"@@ -1 +1 @@\n-a\n+b\n","move_path":"/p/c"},"/p/d":{"type":"delete","content":"x"},"/p/a":{"type":"add","content":"1\n2\n"}}"#,
        );
        let files = files_of_changes(Some(changes), "Success.\nA a\nM c\nD d\n", Some("/p"));
        let text = serde_json::to_string(&files).unwrap();
        assert_eq!(text, r#"[["a","created"],["b","moved","c"],["d","deleted"]]"#);
        let patch = patch_of_changes(Some(changes), &files, Some("/p"));
        let want = "diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+1\n+2\n\
                    diff --git a/b b/c\nrename from b\nrename to c\n--- a/b\n+++ b/c\n@@ -1 +1 @@\n-a\n+b\n\
                    diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n\\ No newline at end of file\n";
        assert_eq!(patch, want);
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: /p/c\n*** Delete File: d\n";
        assert_eq!(serde_json::to_string(&files_of_patch(patch, Some("/p"))).unwrap(), text);
    }

    #[test]
    fn results_of_tools() {
        let found = |json: &str| result(Some(raw(json)));
        assert_eq!(
            found(r#"{"Ok":{"content":[{"text":"a"},{"text":"b"}]}}"#),
            (Some("a\nb".into()), Some(false))
        );
        assert_eq!(found(r#"{"content":[{"text":"a"}],"isError":true}"#), (Some("a".into()), Some(true)));
        assert_eq!(found(r#"{"Err":"no"}"#), (Some("no".into()), Some(true)));
        assert_eq!(result(None), (None, None));
        assert_eq!(text_of_parts(r#"[{"type":"text","text":"x"}]"#.into()), "x");
        assert_eq!(text_of_parts("[x]".into()), "[x]");
        assert_eq!(arguments(Some(raw(r#""{\"a\":1.50}""#))).unwrap().get(), "{\"a\":1.50}");
        assert_eq!(arguments(Some(raw(r#""x y""#))).unwrap().get(), "\"x y\"");
        assert!(arguments(Some(raw("\"\""))).is_none());
        let (command, output) = user_command("<user_shell_command>\n<command>\necho a; exit 2\n</command>\n<result>\nExit code: 2\nDuration: 1 s\nOutput:\na\n\n</result>\n</user_shell_command>").unwrap();
        assert_eq!(
            (command.as_str(), output.text.as_str(), output.exit_code),
            ("echo a; exit 2", "a\n", Some(2))
        );
    }
}
