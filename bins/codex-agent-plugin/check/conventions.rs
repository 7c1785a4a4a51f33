//! The checks for every tool, whatever it does.

use std::time::{Duration, Instant};

use codex_agent_shared::child::limited::{CommandResult, EndKind, Input, Limits, Reader, Stop};
use codex_agent_shared::error::Result;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::{OWN_WORD, PREFIX, SearchPath, TOOLS, is_name, is_ours};

use super::contract::is_reserved;
use super::outcome::{
    Seen, ending, excerpt, failed, is_quiet_or_signed, is_signed, passed, skipped, undescribed,
};
use super::sandbox::{BARE, MOST, PATIENCE, Sandbox, source};

/// A flag that no tool has.
const NO_FLAG: &str = "--no-such-flag-of-anybody";
/// An operand that is of use to no tool.
const NO_OPERAND: &str = "no-such-operand-of-anybody";
/// The words after 'codex-agent help' that open pages of this package.
const PAGES: [&str; 4] = ["guide", "records", "files", "plugins"];
/// How long a tool runs at least before it is asked to stop, at most if it is slow to start, and how long
/// it may take then.
const BEFORE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(2);
/// How long what it has started may outlive it.
const OTHERS: Duration = Duration::from_secs(1);

pub(super) fn name(sandbox: &Sandbox) -> Result<Seen> {
    let file = sandbox.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(name) = file.strip_prefix(PREFIX) else {
        return Ok(failed!("'{file}' does not begin with '{PREFIX}', so that it is never found"));
    };
    if !is_name(name) {
        return Ok(failed!("'{name}' is more than lower case letters, digits and dashes"));
    }
    if name == OWN_WORD {
        return Ok(failed!("codex-agent has the word 'help' itself"));
    }
    if PAGES.contains(&name) {
        return Ok(failed!("'codex-agent help {name}' opens a page of codex-agent"));
    }
    if !is_ours(name, &sandbox.path) && TOOLS.iter().any(|(tool, ..)| *tool == name) {
        return Ok(failed!("it is never run: codex-agent has a tool '{name}' itself"));
    }
    if !is_ours(name, &sandbox.path) && is_reserved(name)? {
        return Ok(failed!("'{name}' is reserved for codex-agent, a tool or a type of its own"));
    }
    Ok(Seen::Ok(match SearchPath::from_env().find(name).ok().flatten() {
        Some(found) if found == sandbox.path => format!("it is 'codex-agent {name}'"),
        Some(other) => format!("'codex-agent {name}' runs '{}', which comes before it", other.display()),
        None => format!("it is 'codex-agent {name}' once its directory is on PATH"),
    }))
}

pub(super) fn starts(sandbox: &Sandbox) -> Result<Seen> {
    Ok(match &sandbox.why_not {
        Some(why) => Seen::Failed(why.clone()),
        None => passed!("it can be run"),
    })
}

pub(super) fn help(sandbox: &Sandbox) -> Result<Seen> {
    helps(sandbox, "--help")
}

pub(super) fn help_short(sandbox: &Sandbox) -> Result<Seen> {
    helps(sandbox, "-h")
}

fn helps(sandbox: &Sandbox, flag: &str) -> Result<Seen> {
    let ended = sandbox.plain(&[flag])?;
    let text = String::from_utf8_lossy(&ended.out).to_lowercase();
    Ok(if ended.how != EndKind::Code(0) {
        failed!("{flag} {}", ending(ended.how))
    } else if ended.first_message().is_some() {
        failed!("{flag} wrote to standard error: {}", excerpt(&ended.err))
    } else if !text.contains("usage") && !text.contains(&format!("codex-agent-{}", sandbox.name)) {
        failed!("{flag} printed {}, which tells no usage", excerpt(&ended.out))
    } else {
        passed!("{flag} printed {} lines", ended.lines)
    })
}

pub(super) fn bad_usage(sandbox: &Sandbox) -> Result<Seen> {
    let ended = sandbox.plain(&[NO_FLAG])?;
    Ok(if ended.how != EndKind::Code(2) {
        failed!("{NO_FLAG} {}, not with 2", ending(ended.how))
    } else if !ended.out.is_empty() {
        failed!("{NO_FLAG} printed {} on standard output", excerpt(&ended.out))
    } else if !is_signed(&ended, &sandbox.name) {
        let what = excerpt(&ended.err);
        failed!("{NO_FLAG} said {what}: no line begins with '{PREFIX}{}:'", sandbox.name)
    } else if is_same_with_an_operand(sandbox)? {
        failed!("it accepted the operand '{NO_OPERAND}' without a word, and did the same as without it")
    } else {
        passed!("ended with 2: {}", excerpt(&ended.err))
    })
}

/// Whether the usage names no operand, and an operand changes nothing: it was ignored.
fn is_same_with_an_operand(sandbox: &Sandbox) -> Result<bool> {
    let help = sandbox.plain(&["--help"])?;
    if has_operands(&String::from_utf8_lossy(&help.out), &sandbox.name) {
        return Ok(false);
    }
    let run = |words: &[&str]| {
        sandbox.run(words, Limits { input: source(&sandbox.samples), ..Limits::new(PATIENCE, MOST) })
    };
    let without = run(&sandbox.words())?;
    let with = run(&[&sandbox.words()[..], &[NO_OPERAND]].concat())?;
    let is_fine = matches!(with.how, EndKind::Code(0 | 1));
    Ok(is_fine && with.how == without.how && with.out == without.out && with.err == without.err)
}

/// Whether the usage of a tool shows a place for operands; without a usage that is unknown, and counts as yes.
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
            // The word behind a flag is its value, also within brackets.
            is_value = is_flag && !word.ends_with(']') && !bare.contains('=');
            is_operand
        })
}

pub(super) fn describe(sandbox: &Sandbox) -> Result<Seen> {
    let ended =
        sandbox.run(&["--generate", "describe"], Limits::new(description::PATIENCE, description::MOST))?;
    Ok(match ended.how {
        EndKind::Code(0) => match Description::parse(&ended.out, &sandbox.name) {
            Ok(description) => Seen::Ok(description.about),
            // Whatever it is asked for it does the same, and no description was meant.
            Err(_) if sandbox.plain(&[NO_FLAG])?.how == EndKind::Code(0) => {
                skipped!("it heeds no options, and so has none")
            }
            Err(why) => failed!("--generate describe printed {}: {why}", excerpt(&ended.out)),
        },
        EndKind::Code(_) if ended.out.is_empty() => Seen::Skipped(
            "it has none; with one it would be listed with its summary, its manual and its completion would be used, and its records would be checked"
                .to_owned(),
        ),
        EndKind::Late => failed!(
            "--generate describe did not end within {} seconds",
            description::PATIENCE.as_secs()
        ),
        EndKind::TooMuch => {
            failed!("--generate describe printed more than {} KiB", description::MOST >> 10)
        }
        how => failed!("--generate describe {}", ending(how)),
    })
}

pub(super) fn generates(sandbox: &Sandbox) -> Result<Seen> {
    let Some(description) = &sandbox.description else { return Ok(undescribed()) };
    for kind in &description.generates {
        let is_shell = ["bash", "zsh", "fish"].contains(&kind.as_str());
        let patience = if is_shell { AFTER } else { PATIENCE };
        let ended = sandbox.run(&["--generate", kind], Limits::new(patience, MOST))?;
        let text = String::from_utf8_lossy(&ended.out);
        if ended.how != EndKind::Code(0) || text.trim().is_empty() {
            return Ok(failed!("--generate {kind} {}, with {}", ending(ended.how), excerpt(&ended.out)));
        }
        let is_page =
            |text: &str| text.lines().any(|line| line.starts_with(".TH ") || line.starts_with(".Dd "));
        if kind == "man" && !is_page(&text) {
            return Ok(failed!(
                "--generate man printed {}: no line begins with .TH or .Dd",
                excerpt(&ended.out)
            ));
        }
        if is_shell && let Some(why) = sandbox.fault_of(kind, &ended.out)? {
            return Ok(failed!("--generate {kind} is no script for it: {why}"));
        }
    }
    Ok(match description.generates[..] {
        [] => skipped!("its description says of no document that it is there"),
        _ => Seen::Ok(description.generates.join(", ")),
    })
}

pub(super) fn completes(sandbox: &Sandbox) -> Result<Seen> {
    match &sandbox.description {
        None => return Ok(undescribed()),
        Some(description) if !description.completes => {
            return Ok(skipped!("its description does not say that it has a hook"));
        }
        Some(_) => {}
    }
    let ended = sandbox.run(&["--generate", "complete", "--", ""], Limits::new(AFTER, description::MOST))?;
    let is_odd = |line: &&[u8]| line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    let is_good = match ended.how {
        EndKind::Code(code) => code == 0 || (code < 126 && !ended.out.is_empty()),
        _ => false,
    };
    Ok(if !is_good {
        failed!("--generate complete -- '' {}", ending(ended.how))
    } else if let Some(line) = ended.out.split(|byte| *byte == b'\n').find(is_odd) {
        failed!("a candidate has a control character in it: {}", excerpt(line))
    } else {
        passed!("{} candidates for an empty word", ended.lines)
    })
}

pub(super) fn version(sandbox: &Sandbox) -> Result<Seen> {
    let Some(description) = &sandbox.description else { return Ok(undescribed()) };
    let Some(version) = &description.version else {
        return Ok(skipped!("its description has no version"));
    };
    let ended = sandbox.plain(&["--version"])?;
    let has_it = String::from_utf8_lossy(&ended.out).contains(version.as_str());
    Ok(if ended.how == EndKind::Code(0) && has_it {
        Seen::Ok(version.clone())
    } else {
        let what = excerpt(&ended.out);
        failed!("--version {}, with {what}; its description says {version}", ending(ended.how))
    })
}

pub(super) fn empty_input(sandbox: &Sandbox) -> Result<Seen> {
    let ended = sandbox.plain(&sandbox.words())?;
    Ok(match ended.how {
        // It has done what it does; standard error is for counts and progress too.
        EndKind::Code(0) => Seen::Ok(ending(ended.how)),
        EndKind::Code(1 | 2 | 75) if is_quiet_or_signed(&ended, &sandbox.name) => Seen::Ok(ending(ended.how)),
        EndKind::Code(2) | EndKind::Code(_) => {
            failed!("{}: {}", ending(ended.how), excerpt(&ended.err))
        }
        how => Seen::Failed(ending(how)),
    })
}

pub(super) fn no_escapes(sandbox: &Sandbox) -> Result<Seen> {
    let words = sandbox.words();
    for (what, ended) in [
        ("--help", sandbox.plain(&["--help"])?),
        ("bad usage", sandbox.plain(&[NO_FLAG])?),
        ("its output", sandbox.fed(&sandbox.samples)?),
        ("its output", sandbox.plain(&words)?),
        ("its output without arguments", sandbox.plain(&[])?),
    ] {
        let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\n\r".contains(byte);
        for (stream, bytes) in [("standard output", &ended.out), ("standard error", &ended.err)] {
            // The controls beyond ASCII are escapes too: U+0080 to U+009F.
            let is_beyond = |pair: &[u8]| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]);
            if bytes.windows(2).any(is_beyond) {
                return Ok(failed!(
                    "{what} has a control character beyond ASCII in it, on {stream}, which is no terminal"
                ));
            }
            if let Some(byte) = bytes.iter().find(|byte| is_control(byte)) {
                let name =
                    if *byte == 0x1b { "an escape".to_owned() } else { format!("the byte \\x{byte:02x}") };
                return Ok(failed!("{what} has {name} in it, on {stream}, which is no terminal"));
            }
        }
    }
    Ok(passed!("none, and a title with escapes in it was there to be printed"))
}

pub(super) fn closed_pipe(sandbox: &Sandbox) -> Result<Seen> {
    let help = sandbox.plain(&["--help"])?;
    if help.how == EndKind::Code(0) && help.first_message().is_none() {
        let gone =
            sandbox.run(&["--help"], Limits { reader: Reader::Gone, ..Limits::new(PATIENCE, MOST) })?;
        if let Some(fault) = is_loud("--help", &gone) {
            return Ok(fault);
        }
    }
    let nonblocking = sandbox.fed(&sandbox.samples)?;
    if nonblocking.how != EndKind::Code(0) || nonblocking.first_message().is_some() {
        return Ok(passed!("--help is quiet about it"));
    }
    let (input, reader) = match sandbox.samples[..] {
        [] => (Input::Nothing, Reader::Gone),
        // More than any pipe holds.
        _ => {
            let many: Vec<String> = sandbox.samples.iter().cycle().take(2000).cloned().collect();
            (source(&many), Reader::OneLine)
        }
    };
    let ended = sandbox.run(&sandbox.words(), Limits { input, reader, ..Limits::new(PATIENCE, u64::MAX) })?;
    Ok(is_loud("it", &ended).unwrap_or_else(|| passed!("quiet about it")))
}

/// Whether values stand in plain lines as they are, which breaks rows and columns.
pub(super) fn rows(sandbox: &Sandbox) -> Result<Seen> {
    for ended in [sandbox.fed(&sandbox.samples)?, sandbox.plain(&[])?] {
        let text = String::from_utf8_lossy(&ended.out);
        if let Some((_, what)) = BARE.iter().find(|(bare, _)| text.contains(bare)) {
            return Ok(failed!("a title stands in its lines with {what} in it"));
        }
    }
    Ok(passed!("no title stands in its lines as it is"))
}

fn is_loud(what: &str, ended: &CommandResult) -> Option<Seen> {
    if ended.how == EndKind::Late {
        return Some(failed!("{what} did not end when its reader was gone"));
    }
    let message = ended.first_message()?;
    Some(failed!("{what} printed {} when its reader was gone", excerpt(message.as_bytes())))
}

pub(super) fn interrupt(sandbox: &Sandbox) -> Result<Seen> {
    stops(sandbox, Stop::Interrupt, "SIGINT")
}

pub(super) fn terminate(sandbox: &Sandbox) -> Result<Seen> {
    stops(sandbox, Stop::Terminate, "SIGTERM")
}

fn stops(sandbox: &Sandbox, stop: Stop, name: &str) -> Result<Seen> {
    let mut begin = sandbox.samples.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    if !begin.is_empty() {
        begin.push('\n');
    }
    // A traceback of Python from an interrupted import is not the tool's message.
    let began = Instant::now();
    sandbox.run(&["--help"], Limits::new(PATIENCE, MOST))?;
    let before = (began.elapsed() * 4).clamp(BEFORE, LONGEST);
    let limits = Limits {
        input: Input::Open(begin.into_bytes()),
        stop: Some((before, stop)),
        others: Some(OTHERS),
        ..Limits::new(AFTER, MOST)
    };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    Ok(match ended.how {
        EndKind::Late => failed!("it still ran {} s after {name}", AFTER.as_secs()),
        _ if !ended.was_asked => passed!("it waits for no input, and ended by itself"),
        how if ended.left.is_some() => {
            let program = ended.left.unwrap_or_default();
            failed!("at {name} it {}, and left '{program}' running", ending(how))
        }
        _ if !is_quiet_or_signed(&ended, &sandbox.name) => {
            failed!("at {name} it said {}", excerpt(&ended.err))
        }
        how => passed!("at {name} it {}", ending(how)),
    })
}

pub(super) fn codex_home(sandbox: &Sandbox) -> Result<Seen> {
    sandbox.fed(&sandbox.samples)?;
    Ok(match sandbox.changed_in_home() {
        None => passed!("as it was"),
        Some(_) if sandbox.has_run_codex() => {
            skipped!("it ran Codex, which may change its own home")
        }
        Some(what) => failed!("it changed {what}"),
    })
}

pub(super) fn leaves_nothing(sandbox: &Sandbox) -> Result<Seen> {
    let limits =
        Limits { input: source(&sandbox.samples), others: Some(OTHERS), ..Limits::new(PATIENCE, MOST) };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    Ok(match (sandbox.left(), ended.left) {
        (Some(left), _) => failed!("it left '{left}'"),
        (None, Some(program)) => failed!("it ended, and left '{program}' running"),
        (None, None) => passed!("nothing where it was run, in TMPDIR, in HOME or beside it"),
    })
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
