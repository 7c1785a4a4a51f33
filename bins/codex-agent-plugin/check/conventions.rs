//! The checks for every tool.

use std::time::{Duration, Instant};

use codex_agent_shared::child::limited::{CommandResult, EndKind, Input, Limits, Reader, Stop};
use codex_agent_shared::cli::generate::SHELLS;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::{OWN_WORD, PREFIX, SearchPath, TOOLS, is_name, is_ours};
use codex_agent_shared::text::counted;

use super::contract::is_reserved;
use super::outcome::{
    NotPassed, Outcome, ending, excerpt, failed, has_named_message, is_quiet_or_named, skipped,
};
use super::sandbox::{BARE, MOST, PATIENCE, Sandbox, reading, source};

/// A flag that no tool has.
const NO_FLAG: &str = "--no-such-flag-of-anybody";
/// An operand that no tool can use.
const NO_OPERAND: &str = "no-such-operand-of-anybody";
/// The words after 'codex-agent help' that open manual pages of this package.
const PAGES: [&str; 6] = ["guide", "records", "files", "plugins", "transcripts", "distributed"];
/// The shortest time for which a tool runs before it is asked to stop.
const BEFORE: Duration = Duration::from_millis(500);
/// The longest time for which a tool that starts slowly runs before it is asked to stop.
const LONGEST: Duration = Duration::from_secs(10);
/// The time that a tool has to stop, and to complete a word.
const AFTER: Duration = Duration::from_secs(2);
/// The time for which processes that a tool has started may outlive the tool.
const OTHERS: Duration = Duration::from_secs(1);

pub(super) fn name(sandbox: &Sandbox) -> Outcome {
    let file = sandbox.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(name) = file.strip_prefix(PREFIX) else {
        return failed!("'{file}' does not begin with '{PREFIX}', so that it is never found");
    };
    let is_ours = is_ours(name, &sandbox.path);
    if !is_name(name) {
        failed!("'{name}' is more than lower case letters, digits and dashes")
    } else if name == OWN_WORD {
        failed!("'help' is a word of codex-agent itself")
    } else if PAGES.contains(&name) {
        failed!("'codex-agent help {name}' opens a manual page of codex-agent")
    } else if !is_ours && TOOLS.iter().any(|(tool, ..)| *tool == name) {
        failed!("the tool is never run: codex-agent has a tool '{name}' itself")
    } else if !is_ours && is_reserved(name)? {
        failed!("'{name}' is reserved for a tool or a type of codex-agent")
    } else {
        Ok(match SearchPath::from_env().find(name).ok().flatten() {
            Some(found) if found == sandbox.path => format!("the tool is 'codex-agent {name}'"),
            Some(other) => format!("'codex-agent {name}' runs '{}', which comes first", other.display()),
            None => format!("the tool is 'codex-agent {name}' once its directory is on PATH"),
        })
    }
}

pub(super) fn starts(sandbox: &Sandbox) -> Outcome {
    match &sandbox.why_not {
        Some(why) => failed!("{why}"),
        None => Ok("the tool can be run".to_owned()),
    }
}

/// Checks the help that a flag prints.
pub(super) fn help(sandbox: &Sandbox, flag: &str) -> Outcome {
    let ended = sandbox.plain(&[flag])?;
    let text = String::from_utf8_lossy(&ended.out).to_lowercase();
    if ended.how != EndKind::Code(0) {
        failed!("{flag} {}", ending(ended.how))
    } else if ended.first_message().is_some() {
        failed!("{flag} wrote to standard error: {}", excerpt(&ended.err))
    } else if !text.contains("usage") && !text.contains(&format!("{PREFIX}{}", sandbox.name)) {
        failed!("{flag} printed {}, which shows no usage", excerpt(&ended.out))
    } else {
        Ok(format!("{flag} printed {}", counted(ended.lines, "line")))
    }
}

pub(super) fn bad_usage(sandbox: &Sandbox) -> Outcome {
    let ended = sandbox.plain(&[NO_FLAG])?;
    let seen = excerpt(&ended.err);
    if ended.how != EndKind::Code(2) {
        failed!("{NO_FLAG} {}, not with status 2", ending(ended.how))
    } else if !ended.out.is_empty() {
        failed!("{NO_FLAG} printed {} on standard output", excerpt(&ended.out))
    } else if !has_named_message(&ended, &sandbox.name) {
        failed!("{NO_FLAG} printed {seen}: no line begins with '{PREFIX}{}:'", sandbox.name)
    } else if ignores_operand(sandbox)? {
        failed!("the operand '{NO_OPERAND}' was accepted without a message, and changed nothing")
    } else {
        Ok(format!("exited with status 2: {seen}"))
    }
}

/// Whether the usage shows no operand, and an operand changes nothing.
fn ignores_operand(sandbox: &Sandbox) -> Outcome<bool> {
    let help = sandbox.plain(&["--help"])?;
    if has_operands(&String::from_utf8_lossy(&help.out), &sandbox.name) {
        return Ok(false);
    }
    let without = sandbox.fed(&sandbox.samples)?;
    let words = [&sandbox.words()[..], &[NO_OPERAND]].concat();
    let with = sandbox.run(&words, reading(&sandbox.samples))?;
    let is_done = matches!(with.how, EndKind::Code(0 | 1));
    Ok(is_done && (with.how, with.out, with.err) == (without.how, without.out, without.err))
}

/// Whether the usage of a tool shows operands. Without a usage the answer is unknown, and counts as yes.
fn has_operands(help: &str, name: &str) -> bool {
    let Some(at) = help.to_lowercase().find("usage") else { return true };
    let usage = help.get(at..).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let mut words = usage.split_whitespace().skip_while(|word| !word.starts_with("codex-agent"));
    let is_named = match words.next() {
        Some("codex-agent") => words.next() == Some(name),
        Some(word) => word == format!("{PREFIX}{name}"),
        None => false,
    };
    let mut is_value = false;
    !is_named
        || words.any(|word| {
            let bare = word.trim_matches(['[', ']', '.', '|', '(', ')']);
            let is_flag = bare.starts_with('-') && !["-", "--"].contains(&bare);
            let is_place = ["-", "--"].contains(&bare)
                || word.starts_with('[')
                || bare.contains('<')
                || bare.bytes().any(|byte| byte.is_ascii_uppercase());
            let is_operand =
                is_place && !is_flag && !is_value && !["OPTION", "OPTIONS", "FLAGS"].contains(&bare);
            // The word after a flag is the value of the flag, also within brackets.
            is_value = is_flag && !word.ends_with(']') && !bare.contains('=');
            is_operand
        })
}

pub(super) fn describe(sandbox: &Sandbox) -> Outcome {
    let limits = Limits::new(description::PATIENCE, description::MOST);
    let ended = sandbox.run(&["--generate", "describe"], limits)?;
    match ended.how {
        EndKind::Code(0) => match Description::parse(&ended.out, &sandbox.name) {
            Ok(description) => Ok(description.about),
            // The output is no description if the tool prints the same for every option.
            Err(_) if sandbox.plain(&[NO_FLAG])?.how == EndKind::Code(0) => {
                skipped!("the tool ignores its options, so that it cannot describe itself")
            }
            Err(why) => failed!("--generate describe printed {}: {why}", excerpt(&ended.out)),
        },
        EndKind::Code(_) if ended.out.is_empty() => skipped!(
            "the tool has no description; with one it would be listed with its summary, its manual and its completion would be used, and its records would be checked"
        ),
        EndKind::Late => {
            failed!("--generate describe did not exit within {} seconds", description::PATIENCE.as_secs())
        }
        EndKind::TooMuch => {
            failed!("--generate describe printed more than {} KiB", description::MOST >> 10)
        }
        how => failed!("--generate describe {}", ending(how)),
    }
}

pub(super) fn generates(sandbox: &Sandbox) -> Outcome {
    let description = sandbox.described()?;
    for kind in &description.generates {
        let is_shell = SHELLS.contains(&kind.as_str());
        let patience = if is_shell { AFTER } else { PATIENCE };
        let ended = sandbox.run(&["--generate", kind], Limits::new(patience, MOST))?;
        let text = String::from_utf8_lossy(&ended.out);
        let printed = excerpt(&ended.out);
        if ended.how != EndKind::Code(0) || text.trim().is_empty() {
            return failed!("--generate {kind} {}, and printed {printed}", ending(ended.how));
        }
        let is_page = text.lines().any(|line| line.starts_with(".TH ") || line.starts_with(".Dd "));
        if kind == "man" && !is_page {
            return failed!("--generate man printed {printed}: no line begins with .TH or .Dd");
        }
        if is_shell && let Some(why) = sandbox.fault_of(kind, &ended.out)? {
            return failed!("{kind} cannot parse the script of --generate {kind}: {why}");
        }
    }
    match description.generates[..] {
        [] => skipped!("the description names no document"),
        _ => Ok(description.generates.join(", ")),
    }
}

pub(super) fn completes(sandbox: &Sandbox) -> Outcome {
    if !sandbox.described()?.completes {
        return skipped!("the description names no hook for completion");
    }
    let ended = sandbox.run(&["--generate", "complete", "--", ""], Limits::new(AFTER, description::MOST))?;
    let has_control = |line: &&[u8]| line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    let is_good =
        matches!(ended.how, EndKind::Code(code) if code == 0 || (code < 126 && !ended.out.is_empty()));
    if !is_good {
        failed!("--generate complete -- '' {}", ending(ended.how))
    } else if let Some(line) = ended.out.split(|byte| *byte == b'\n').find(has_control) {
        failed!("a candidate has a control character: {}", excerpt(line))
    } else {
        Ok(format!("{} for an empty word", counted(ended.lines, "candidate")))
    }
}

pub(super) fn version(sandbox: &Sandbox) -> Outcome {
    let Some(version) = &sandbox.described()?.version else {
        return skipped!("the description has no version");
    };
    let ended = sandbox.plain(&["--version"])?;
    let prints_it = String::from_utf8_lossy(&ended.out).contains(version.as_str());
    if ended.how == EndKind::Code(0) && prints_it {
        return Ok(version.clone());
    }
    let (how, printed) = (ending(ended.how), excerpt(&ended.out));
    failed!("--version {how}, and printed {printed}; the description has version {version}")
}

pub(super) fn empty_input(sandbox: &Sandbox) -> Outcome {
    let ended = sandbox.plain(&sandbox.words())?;
    match ended.how {
        // After success standard error may have counts and progress.
        EndKind::Code(0) => Ok(ending(ended.how)),
        EndKind::Code(1 | 2 | 75) if is_quiet_or_named(&ended, &sandbox.name) => Ok(ending(ended.how)),
        EndKind::Code(_) => failed!("{}: {}", ending(ended.how), excerpt(&ended.err)),
        how => failed!("{}", ending(how)),
    }
}

pub(super) fn no_escapes(sandbox: &Sandbox) -> Outcome {
    for (what, ended) in [
        ("--help", sandbox.plain(&["--help"])?),
        ("the message for bad usage", sandbox.plain(&[NO_FLAG])?),
        ("the output", sandbox.fed(&sandbox.samples)?),
        ("the output", sandbox.plain(&sandbox.words())?),
        ("the output without arguments", sandbox.plain(&[])?),
    ] {
        let is_control = |byte: &&u8| byte.is_ascii_control() && !b"\t\n\r".contains(byte);
        // The control characters U+0080 to U+009F are escapes too.
        let is_beyond = |pair: &[u8]| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]);
        for (stream, bytes) in [("standard output", &ended.out), ("standard error", &ended.err)] {
            let found = match bytes.iter().find(is_control) {
                _ if bytes.windows(2).any(is_beyond) => "a control character beyond ASCII".to_owned(),
                Some(0x1b) => "an escape".to_owned(),
                Some(byte) => format!("the byte \\x{byte:02x}"),
                None => continue,
            };
            return failed!("{what} has {found}, on {stream}, which is no terminal");
        }
    }
    Ok("no escapes, although a session has a title with escapes".to_owned())
}

pub(super) fn closed_pipe(sandbox: &Sandbox) -> Outcome {
    let help = sandbox.plain(&["--help"])?;
    if help.how == EndKind::Code(0) && help.first_message().is_none() {
        let limits = Limits { reader: Reader::Gone, ..Limits::new(PATIENCE, MOST) };
        ends_quietly("--help", &sandbox.run(&["--help"], limits)?)?;
    }
    let with_reader = sandbox.fed(&sandbox.samples)?;
    if with_reader.how != EndKind::Code(0) || with_reader.first_message().is_some() {
        return Ok("--help exited without a message".to_owned());
    }
    let (input, reader) = match sandbox.samples[..] {
        [] => (Input::Nothing, Reader::Gone),
        // More than the buffer of any pipe.
        _ => {
            let many: Vec<String> = sandbox.samples.iter().cycle().take(2000).cloned().collect();
            (source(&many), Reader::OneLine)
        }
    };
    let limits = Limits { input, reader, ..Limits::new(PATIENCE, u64::MAX) };
    ends_quietly("the tool", &sandbox.run(&sandbox.words(), limits)?)?;
    Ok("the tool exited without a message".to_owned())
}

fn ends_quietly(what: &str, ended: &CommandResult) -> Outcome<()> {
    match ended.first_message() {
        _ if ended.how == EndKind::Late => failed!("{what} did not exit after its reader was gone"),
        Some(text) => failed!("{what} printed {} after its reader was gone", excerpt(text.as_bytes())),
        None => Ok(()),
    }
}

/// Checks whether titles in plain lines are escaped, since others break rows and columns.
pub(super) fn rows(sandbox: &Sandbox) -> Outcome {
    for ended in [sandbox.fed(&sandbox.samples)?, sandbox.plain(&[])?] {
        let text = String::from_utf8_lossy(&ended.out);
        if let Some((_, what)) = BARE.iter().find(|(bare, _)| text.contains(bare)) {
            return failed!("a title in the output has {what}");
        }
    }
    Ok("no title is printed without escaping".to_owned())
}

/// Checks whether the tool exits at a signal, while it waits for input.
pub(super) fn stops(sandbox: &Sandbox, stop: Stop, name: &str) -> Outcome {
    let begin: String = sandbox.samples.iter().take(3).map(|line| format!("{line}\n")).collect();
    // A traceback of Python from an interrupted import is not a message of the tool.
    let began = Instant::now();
    sandbox.plain(&["--help"])?;
    let before = (began.elapsed() * 4).clamp(BEFORE, LONGEST);
    let limits = Limits {
        input: Input::Open(begin.into_bytes()),
        stop: Some((before, stop)),
        others: Some(OTHERS),
        ..Limits::new(AFTER, MOST)
    };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    let how = ending(ended.how);
    if ended.how == EndKind::Late {
        failed!("the tool was still running {} s after {name}", AFTER.as_secs())
    } else if !ended.was_asked {
        Ok("the tool waits for no input, and exited by itself".to_owned())
    } else if let Some(program) = ended.left {
        failed!("at {name} the tool {how}, and left '{program}' running")
    } else if !is_quiet_or_named(&ended, &sandbox.name) {
        failed!("at {name} the tool printed {}", excerpt(&ended.err))
    } else {
        Ok(format!("at {name} the tool {how}"))
    }
}

pub(super) fn codex_home(sandbox: &Sandbox) -> Outcome {
    sandbox.fed(&sandbox.samples)?;
    match sandbox.changed_in_home() {
        None => Ok("nothing has changed".to_owned()),
        Some(_) if sandbox.has_run_codex() => skipped!("the tool ran Codex, which may change its own home"),
        Some(what) => failed!("the tool changed {what}"),
    }
}

pub(super) fn leaves_nothing(sandbox: &Sandbox) -> Outcome {
    let limits = Limits { others: Some(OTHERS), ..reading(&sandbox.samples) };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    match (sandbox.left(), ended.left) {
        (Some(left), _) => failed!("the tool left '{left}'"),
        (None, Some(program)) => failed!("the tool exited, and left '{program}' running"),
        (None, None) => Ok("no file in the current directory, TMPDIR, HOME or beside the tool".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_shows_a_place_for_operands_or_none() {
        for (usage, shows) in [
            ("usage: codex-agent x [--by FIELD] [-n N]", false),
            ("Usage: codex-agent-x [OPTION...]", false),
            ("usage:\n  codex-agent-x [-h|--help] --since TIME\n\n  FILE is explained here", false),
            ("usage: codex-agent x --color=WHEN", false),
            ("usage: codex-agent x list", false),
            ("usage: codex-agent x PATTERN...", true),
            ("usage: codex-agent-x [-n N] [pattern]", true),
            ("Usage: codex-agent-x [OPTION...] [REF...|-]", true),
            ("usage: codex-agent x [--json] <id>", true),
            ("usage: codex-agent x -- COMMAND", true),
            // Nothing is known of these.
            ("x does this and that", true),
            ("usage: x [--by FIELD]", true),
        ] {
            assert_eq!(has_operands(usage, "x"), shows, "{usage}");
        }
    }
}
