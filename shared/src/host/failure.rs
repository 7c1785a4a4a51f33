//! Why a host did not answer, in one line with its hint.

use super::Host;
use super::protocol::PROTOCOL;
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
    let via = host.via.first().map_or("codex-agent", String::as_str);
    let command = host.command.join(" ");
    let key = format!("host.{}", host.name);
    let detail = |why: String| last.map_or(why.clone(), |last| format!("{why}: {last}"));
    let hint_command = || format!("{key}.command in config.toml is the path of codex-agent there");
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
    let is_ssh = via.rsplit('/').next() == Some("ssh");
    let no_tool = || format!("there is no '{command}' on the host; {}", hint_command());
    let last_text = last.unwrap_or_default();
    Some(match end {
        _ if talk.is_babble => "it prints text that is not an answer of codex-agent".to_owned(),
        Some(EndKind::Code(127)) if messages_of_tool(messages).is_empty() => no_tool(),
        Some(EndKind::Code(126)) => {
            format!("{}; {}", detail(format!("cannot run '{command}' on the host")), hint_command())
        }
        // Its dispatcher has no such tool, or its tool no such flag.
        Some(EndKind::Code(2 | 127))
            if last_text.contains("--serve") || !messages_of_tool(messages).is_empty() =>
        {
            let said = messages_of_tool(messages).into_iter().next().unwrap_or_else(|| last_text.to_owned());
            format!("codex-agent there is too old for 'codex-agent {tool} --host' ({said}); update it")
        }
        Some(EndKind::Code(255)) if is_ssh => match last {
            Some(last) => format!("cannot connect: {}", last.strip_prefix("ssh: ").unwrap_or(last)),
            None => format!("cannot connect; 'ssh {} true' shows why", host.name),
        },
        Some(EndKind::Code(0)) => "it ended without an answer of codex-agent".to_owned(),
        Some(EndKind::Code(code)) => {
            detail(format!("'{via}' ended with status {code} before codex-agent answered"))
        }
        Some(EndKind::Signal(signal)) => {
            detail(format!("'{via}' was ended by signal {signal} before codex-agent answered"))
        }
        _ => detail(format!("'{via}' did not end, and codex-agent did not answer")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(via: &str, talk: &Talk, end: EndKind, messages: &[&str]) -> Option<String> {
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
            let line = told("ssh", talk, EndKind::Code(code), messages).unwrap();
            assert!(line.contains(want), "{line}");
        }
        assert_eq!(told("ssh", &greeted, EndKind::Code(1), &["noise"]), None);
        assert!(told("sh", &greeted, EndKind::Signal(9), &[]).unwrap().contains("signal 9"));
    }

    #[test]
    fn a_hint_is_behind_its_message() {
        let lines =
            ["Warning: of ssh", "codex-agent-ls: no group 'x'", "  did you mean 'y'?", "noise", "  more"];
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(messages_of_tool(&lines), ["no group 'x'; did you mean 'y'?"]);
    }
}
