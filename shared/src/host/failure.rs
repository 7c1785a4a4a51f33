//! Why a host did not answer, in one line with its hint.

use super::Host;
use super::protocol::{PROTOCOL, SERVE};
use crate::child::limited::EndKind;

/// The state of the talk with a host when it ended.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// The protocol of the host, once it has answered.
    pub(super) protocol: Option<u32>,
    /// The version of codex-agent on the host.
    pub(super) version: String,
    /// Whether the last line of the output was cut.
    pub(super) is_torn: bool,
    /// Whether the host printed too much that is no answer.
    pub(super) is_babble: bool,
}

/// Messages of a tool of codex-agent on a host, without its name; a hint is behind its message.
pub(super) fn messages_of_tool(messages: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_own = false;
    for line in messages {
        let message = line.strip_prefix("codex-agent").and_then(|rest| rest.split_once(": "));
        match message {
            Some((_, message)) => {
                found.push(message.to_owned());
                is_own = true;
            }
            None if is_own && line.starts_with("  ") => {
                if let Some(last) = found.last_mut() {
                    last.push_str(&format!("; {}", line.trim()));
                }
            }
            None => is_own = false,
        }
    }
    found.retain(|message| !message.starts_with("Try '"));
    found
}

/// The failure of a host; `None` if its tool ended by itself, which its exit status is about.
pub(super) fn failure(
    host: &Host,
    tool: &str,
    talk: &Talk,
    end: Option<EndKind>,
    messages: &[String],
) -> Option<String> {
    let last = messages.iter().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim());
    let detail = |why: String| last.map_or(why.clone(), |last| format!("{why}: {last}"));
    if let Some(protocol) = talk.protocol {
        return match end {
            _ if protocol != PROTOCOL => Some(format!(
                "codex-agent {} there has protocol {protocol}, and this one {PROTOCOL}; use the same version on both",
                talk.version
            )),
            Some(EndKind::Code(0..=2 | 75)) if !talk.is_torn => None,
            _ if talk.is_torn => Some(detail("the connection ended in the middle of a line".to_owned())),
            Some(EndKind::Code(code)) => Some(detail(format!("the connection ended with status {code}"))),
            Some(EndKind::Signal(signal)) => {
                Some(detail(format!("the connection was ended by signal {signal}")))
            }
            _ => Some(detail("the connection did not end".to_owned())),
        };
    }
    Some(unanswered(host, (&format!("codex-agent {tool} --host"), SERVE), talk.is_babble, end, messages).why)
}

/// Why the command of a host ended before codex-agent answered.
pub struct Unanswered {
    /// The reason in one line, with its hint.
    pub why: String,
    /// Whether the same would happen again.
    pub is_lasting: bool,
}

/// Explains the end of a command of a host before codex-agent answered. `used` is what the host is used for, and `flag`
/// the flag without which it cannot be.
pub fn unanswered(
    host: &Host,
    (used, flag): (&str, &str),
    is_babble: bool,
    end: Option<EndKind>,
    messages: &[String],
) -> Unanswered {
    let last = messages.iter().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim());
    let via = host.via.first().map_or("codex-agent", String::as_str);
    let command = host.command.join(" ");
    let key = format!("host.{}", host.name);
    let hint_command = format!("{key}.command in config.toml is the path of codex-agent there");
    let own = messages_of_tool(messages);
    // The last words of codex-agent are better than those of the command between.
    let detail = |why: String| match own.last().map(String::as_str).or(last) {
        Some(last) => format!("{why}: {last}"),
        None => why,
    };
    let is_ssh = via.rsplit('/').next() == Some("ssh");
    let lasting = |why: String| Unanswered { why, is_lasting: true };
    let passing = |why: String| Unanswered { why, is_lasting: false };
    // Its dispatcher has no such tool, or its tool no such flag.
    let is_old = |text: &String| text.contains(flag) || text.contains("no tool");
    match end {
        _ if is_babble => lasting("it prints text that is not an answer of codex-agent".to_owned()),
        Some(EndKind::Code(127)) if own.is_empty() => {
            lasting(format!("there is no '{command}' on the host; {hint_command}"))
        }
        Some(EndKind::Code(126)) => {
            lasting(format!("{}; {hint_command}", detail(format!("cannot run '{command}' on the host"))))
        }
        Some(EndKind::Code(2 | 127)) if own.iter().any(is_old) => {
            let said = own.iter().find(|text| is_old(text)).cloned().unwrap_or_default();
            lasting(format!("codex-agent there is too old for '{used}' ({said}); update it"))
        }
        Some(EndKind::Code(255)) if last.is_some_and(|last| last.contains("Could not resolve hostname")) => {
            lasting(format!("cannot connect: {}", last.unwrap_or_default().trim_start_matches("ssh: ")))
        }
        Some(EndKind::Code(255)) if is_ssh => passing(match last {
            Some(last) => format!("cannot connect: {}", last.strip_prefix("ssh: ").unwrap_or(last)),
            None => format!("cannot connect; 'ssh {} true' shows why", host.name),
        }),
        Some(EndKind::Code(0)) => passing(detail("it ended without an answer of codex-agent".to_owned())),
        Some(EndKind::Code(code)) => {
            passing(detail(format!("'{via}' ended with status {code} before codex-agent answered")))
        }
        Some(EndKind::Signal(signal)) => {
            passing(detail(format!("'{via}' was ended by signal {signal} before codex-agent answered")))
        }
        _ => passing(detail(format!("'{via}' did not end, and codex-agent did not answer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(via: &str, talk: &Talk, end: EndKind, messages: &[&str]) -> Option<String> {
        let host = Host { name: "h1".to_owned(), via: vec![via.to_owned()], ..Host::here() };
        let messages: Vec<String> = messages.iter().map(|line| (*line).to_owned()).collect();
        failure(&host, "ls", talk, Some(end), &messages)
    }

    #[test]
    fn each_kind_of_failure_has_its_line() {
        let none = Talk::default();
        let greeted = Talk { protocol: Some(PROTOCOL), ..Talk::default() };
        let torn = Talk { is_torn: true, protocol: Some(PROTOCOL), ..Talk::default() };
        let newer = Talk { protocol: Some(2), version: "9.0.0".to_owned(), ..Talk::default() };
        let refused = "ssh: connect to host h1 port 22: Connection refused";
        let denied = "me@h1: Permission denied (publickey).";
        let old = "codex-agent-ls: unknown flag '--serve'";
        for (talk, code, messages, want) in [
            (&none, 255, &[refused][..], "cannot connect: connect to host h1 port 22: Connection refused"),
            (&none, 255, &[denied], "cannot connect: me@h1: Permission denied (publickey)."),
            (&none, 127, &["bash: line 1: codex-agent: command not found"], "host.h1.command in config.toml"),
            (&none, 2, &[old, "Try 'codex-agent-ls --help'."], "too old for 'codex-agent ls --host'"),
            (&none, 127, &["codex-agent: there is no tool 'ls'"], "too old"),
            (&none, 3, &["what"], "'ssh' ended with status 3 before codex-agent answered: what"),
            (&none, 0, &[], "it ended without an answer of codex-agent"),
            (&newer, 0, &[], "codex-agent 9.0.0 there has protocol 2"),
            (&torn, 0, &[], "in the middle of a line"),
            (
                &greeted,
                255,
                &["client_loop: send disconnect: Broken pipe"],
                "ended with status 255: client_loop",
            ),
        ] {
            let line = explained("ssh", talk, EndKind::Code(code), messages).unwrap();
            assert!(line.contains(want), "{line}");
        }
        assert_eq!(explained("ssh", &greeted, EndKind::Code(1), &["noise"]), None);
        assert!(explained("sh", &greeted, EndKind::Signal(9), &[]).unwrap().contains("signal 9"));
    }

    #[test]
    fn a_hint_is_behind_its_message() {
        let lines =
            ["Warning: of ssh", "codex-agent-ls: no group 'x'", "  did you mean 'y'?", "noise", "  more"];
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(messages_of_tool(&lines), ["no group 'x'; did you mean 'y'?"]);
    }
}
