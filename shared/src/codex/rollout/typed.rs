//! The typed part of a message, without the blocks that Codex and editors put before it.
//!
//! Complete blocks at the beginning of a text are removed, one after the other; the rest was typed. A block without an
//! end was typed as well, since Codex always ends its blocks.

#[cfg(feature = "sqlite")]
use std::borrow::Cow;

/// The tags of the blocks that Codex writes in the user's name.
const TAGS: [&str; 10] = [
    "environment_context",
    "user_instructions",
    "INSTRUCTIONS",
    "recommended_plugins",
    "turn_aborted",
    "subagent_notification",
    "user_shell_command",
    "user_action",
    "goal_context",
    "codex_internal_context",
];
const AGENTS: &str = "# AGENTS.md instructions for ";
const EDITOR: &str = "# Context from my IDE setup:";
const REQUEST: &str = "## My request for Codex:";

/// The typed part of a message, without white space around it; empty if no part was typed. As in Codex's titles (0.169),
/// the text behind the first `## My request for Codex:` is the message.
pub fn typed_text(text: &str) -> &str {
    let mut rest = text.trim();
    while let Some(after) = after_block(rest) {
        rest = after.trim_start();
    }
    match rest.split_once(REQUEST) {
        Some((_, request)) => request.trim(),
        None if rest.starts_with(EDITOR) => "",
        None => rest,
    }
}

/// The typed part of a text in a row; `None` if no part was typed. Codex has removed the blocks of most titles.
#[cfg(feature = "sqlite")]
pub fn typed_text_of_row(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if !text.trim_start().starts_with(['<', '#']) {
        return Some(text);
    }
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(typed_text(text)),
        Cow::Owned(text) => Cow::Owned(typed_text(&text).to_owned()),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The text behind the block that a text begins with; `None` without such a block.
fn after_block(text: &str) -> Option<&str> {
    if text.starts_with(AGENTS) {
        // Some versions wrote the title without tags.
        return Some(text.split_once("</INSTRUCTIONS>").map_or("", |(_, rest)| rest));
    }
    let (name, _) = tag(text)?;
    let end = format!("</{name}>");
    text.split_once(&end).map(|(_, rest)| rest)
}

/// The tag that a text begins with, if the tag is one of Codex's, and the text behind it.
fn tag(text: &str) -> Option<(&'static str, &str)> {
    let inside = text.strip_prefix('<')?;
    let name = TAGS.into_iter().find(|name| {
        inside.strip_prefix(name).is_some_and(|rest| rest.starts_with('>') || rest.starts_with(" source="))
    })?;
    Some((name, inside.split_once('>')?.1))
}

/// The goal in a text of Codex: the text in `<objective>`, else the whole of an older text that is nothing but the goal.
/// `None` if the text is no goal, and empty if the goal is elsewhere.
pub(super) fn goal(text: &str) -> Option<&str> {
    let (name, body) = tag(text.trim_start())?;
    let within = |tag: &str| {
        let (_, from) = body.split_once(&format!("<{tag}>"))?;
        Some(from.split_once(&format!("</{tag}>")).map_or(from, |(text, _)| text).trim())
    };
    let whole = match name {
        "goal_context" => body.split_once("</goal_context>").map_or(body, |(text, _)| text).trim(),
        "codex_internal_context" if text.contains("source=\"goal\"") => "",
        _ => return None,
    };
    Some(within("objective").or_else(|| within("untrusted_objective")).unwrap_or(whole))
}

/// The directory that an environment block names.
pub(super) fn directory(text: &str) -> Option<&str> {
    let (_, body) = tag(text.trim_start()).filter(|(name, _)| *name == "environment_context")?;
    let by_tag = body.split_once("<cwd>").and_then(|(_, from)| from.split_once("</cwd>")).map(|(cwd, _)| cwd);
    let by_line = || body.lines().find_map(|line| line.trim().strip_prefix("Current working directory:"));
    by_tag.or_else(by_line).map(str::trim).filter(|cwd| cwd.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_removed_one_by_one() {
        let environment = "<environment_context>\n  <cwd>/p</cwd>\n</environment_context>";
        let agents = "# AGENTS.md instructions for /p\n\n<INSTRUCTIONS>\nAnswer.\n</INSTRUCTIONS>";
        let aborted = "<turn_aborted>\nThe user interrupted.\n</turn_aborted>";
        let goal = "<codex_internal_context source=\"goal\">\nContinue.\n</codex_internal_context>";
        let editor = "# Context from my IDE setup:\n\n## Active file: a.rs\n\n";
        let blocks = [environment, agents, aborted, goal, "<user_instructions>x</user_instructions>"];
        for first in blocks {
            assert_eq!(typed_text(first), "", "{first}");
            for second in blocks {
                let both = format!("\n{first}\n\n{second}");
                assert_eq!(typed_text(&both), "", "{both}");
                assert_eq!(typed_text(&format!("{both}\nFix <this>\n")), "Fix <this>");
                let wrapped = format!("{both}\n{editor}## My request for Codex:\nfix it\n");
                assert_eq!(typed_text(&wrapped), "fix it");
            }
        }
        assert_eq!(typed_text(editor), "");
        assert_eq!(typed_text("# AGENTS.md instructions for /p\n\nAnswer."), "");
        // A block that only looks like one, or does not end, was typed.
        for text in [
            "<environment_context> is what?",
            "<environment_contexts>a</environment_contexts>",
            "<b>x</b>",
            "# Title",
            "see <turn_aborted>x</turn_aborted>",
        ] {
            assert_eq!(typed_text(text), text);
        }
        assert_eq!(typed_text("  a b \n"), "a b");
        assert_eq!(
            typed_text("a ## My request for Codex: b ## My request for Codex: c"),
            "b ## My request for Codex: c"
        );
    }

    #[test]
    fn goals_and_directories_in_blocks() {
        assert_eq!(goal("<goal_context>\nShip it\n</goal_context>"), Some("Ship it"));
        assert_eq!(
            goal("<goal_context>\nGo on.\n<objective>\nShip it\n</objective>\n</goal_context>"),
            Some("Ship it")
        );
        let internal = |text: &str| {
            format!("<codex_internal_context source=\"goal\">\n{text}\n</codex_internal_context>")
        };
        assert_eq!(goal(&internal("<objective>Ship it</objective>")), Some("Ship it"));
        assert_eq!(goal(&internal("Continue.")), Some(""));
        assert_eq!(goal("<codex_internal_context source=\"other\">x</codex_internal_context>"), None);
        assert_eq!(goal("Ship it"), None);
        assert_eq!(directory("<environment_context>\n<cwd>/a b</cwd>\n</environment_context>"), Some("/a b"));
        let old = "<environment_context>\nCurrent working directory: /p\nApproval policy: never\n</environment_context>";
        assert_eq!(directory(old), Some("/p"));
        assert_eq!(directory("<environment_context>\n<cwd>p</cwd>\n</environment_context>"), None);
        assert_eq!(directory("<cwd>/p</cwd>"), None);
    }
}
