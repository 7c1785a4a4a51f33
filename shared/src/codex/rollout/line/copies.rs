//! The model's copies of messages: `response_item` lines, and bare items.

use super::*;
use crate::codex::rollout::typed::{directory, goal, typed_text};

impl<'a> Line<'a> {
    /// An item. Without an envelope, no other line has the same message.
    pub(super) fn copy(&mut self, payload: &Payload<'a>, is_bare: bool) {
        let kind = text(payload.kind).unwrap_or_default();
        self.kind = match (&*kind, text(payload.role).as_deref()) {
            ("message", Some("user")) => user(payload, is_bare),
            ("message", Some("assistant")) if is_bare => {
                let parts: Vec<Part<'a>> = read(payload.content).unwrap_or_default();
                LineKind::AgentMessage { text: joined(&parts) }
            }
            ("message", Some("assistant")) | ("reasoning", _) => LineKind::Copy,
            (kind, _) if kind.ends_with("_call_output") => LineKind::ToolOutput,
            (kind, _) if kind.ends_with("_call") => return self.read_call(payload),
            _ => LineKind::Other,
        };
    }
}

/// A message in the user's name. Codex puts several texts into a message, of which perhaps one was typed; from 0.150 on
/// the message has the kind of each text.
fn user<'a>(payload: &Payload<'a>, is_bare: bool) -> LineKind<'a> {
    let parts: Vec<Part<'a>> = read(payload.content).unwrap_or_default();
    let kinds: Vec<Cow<'a, str>> =
        read(member(payload.passthrough, "content_item_kinds")).unwrap_or_default();
    let mut kind = String::new();
    let (mut images, mut towards, mut cwd, mut is_command) = (0, None, None, false);
    for (at, part) in parts.iter().enumerate() {
        images += usize::from(part.is_image());
        let Some(text) = text(part.text) else { continue };
        is_command |= text.trim_start().starts_with("<user_shell_command>");
        cwd = cwd.or_else(|| directory(&text).map(str::to_owned));
        towards = towards.or_else(|| goal(&text).map(str::to_owned));
        let is_typed = match kinds.get(at).map(|kind| &**kind) {
            Some("unknown") | None => true,
            Some(kind) => kind.starts_with("user."),
        };
        let words = typed_text(&text);
        if is_typed && !words.is_empty() && !is_image_tag(words) {
            if !kind.is_empty() {
                kind.push('\n');
            }
            kind.push_str(words);
        }
    }
    if !kind.is_empty() || images > 0 {
        let text = kind.into();
        return if is_bare {
            LineKind::UserMessage { text, images }
        } else {
            LineKind::Prompt { text, images }
        };
    }
    match (towards, cwd) {
        (Some(text), _) => LineKind::Goal { text: text.into() },
        (None, _) if is_command => LineKind::UserCommand,
        (None, Some(cwd)) if is_bare => {
            LineKind::Context { cwd: Some(cwd.into()), sandbox: None, model: None }
        }
        _ => LineKind::Other,
    }
}

/// Codex writes a tag before and after an image.
fn is_image_tag(text: &str) -> bool {
    text == "</image>" || (text.starts_with("<image") && text.ends_with('>') && !text.contains('\n'))
}
