//! Reading prompts from operands, flags, a file, lines and records, for all tools that accept several prompts.

use std::io::{self, Read};

use crate::commands::flags::{Jobs, read_prompt};
use crate::commands::slips::{Guard, Operands};
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::ndjson::{Lines, RawLine, TOO_LONG, json_reason};
use codex_agent_shared::reference;

/// A prompt of the input, with its images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptInput {
    /// The text.
    pub prompt: String,
    /// The paths of its images, unchanged.
    pub images: Vec<String>,
}

impl From<&str> for PromptInput {
    fn from(prompt: &str) -> PromptInput {
        PromptInput { prompt: prompt.to_owned(), images: Vec::new() }
    }
}

/// Passes every prompt of the flags, the operands and standard input to `each`. The operands are one prompt, or `-`.
/// Errors name the source of the prompt.
pub fn read(
    jobs: &Jobs,
    operands: &Operands<'_>,
    each: &mut dyn FnMut(PromptInput) -> Result<()>,
) -> Result<()> {
    let is_stdin = operands.words.iter().all(|operand| operand == "-");
    if !is_stdin {
        refuse_further_prompts(jobs, operands)?;
    }
    if let Some(path) = &jobs.prompt_file {
        let prompt = read_prompt(path)?;
        each(PromptInput { prompt, images: Vec::new() })
            .map_err(|error| error.within(format_args!("--prompt-file {}", path.display())))?;
    }
    for prompt in &jobs.prompt {
        each(PromptInput::from(prompt.as_str())).map_err(|error| error.within("--prompt"))?;
    }
    if !is_stdin {
        return each(PromptInput::from(operands.prompt()?.as_str()));
    }
    let reads = match (operands.words, jobs.has_prompt()) {
        ([], true) => false,
        (words, _) => reference::reads_stdin(words).map_err(|_| {
            Error::usage("a prompt is missing")
                .hint("give a prompt, or - to read prompts from standard input")
        })?,
    };
    match (reads, jobs.nul) {
        (false, _) => Ok(()),
        (true, true) => read_nul_separated(each),
        (true, false) => read_lines(operands, jobs.text, each),
    }
}

/// Refuses words beside a prompt of another source: they are probably the rest of a prompt without quotes.
fn refuse_further_prompts(jobs: &Jobs, operands: &Operands<'_>) -> Result<()> {
    let words = operands.words.join(" ");
    let (message, whole) = match (&jobs.prompt[..], &jobs.prompt_file) {
        ([.., last], _) => {
            (format!("unexpected operand '{}' beside --prompt", operands.words[0]), format!("{last} {words}"))
        }
        (_, Some(_)) => (format!("unexpected operand '{}' beside --prompt-file", operands.words[0]), words),
        _ if operands.words.iter().any(|word| word == "-") => {
            ("the operand - cannot be combined with a prompt as operands".to_owned(), words)
        }
        _ => return Ok(()),
    };
    Err(Error::usage(message)
        .hint(format!("a prompt of several words needs quotes: {}", operands.with_flags(&[&whole]))))
}

fn read_nul_separated(each: &mut dyn FnMut(PromptInput) -> Result<()>) -> Result<()> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Error::new(format!("cannot read standard input: {}", reason(&error))))?;
    for (at, prompt) in bytes.split(|byte| *byte == 0).enumerate().filter(|(_, part)| !part.is_empty()) {
        let place = format!("stdin:{}", at + 1);
        let prompt = std::str::from_utf8(prompt)
            .map_err(|_| Error::new(format!("{place}: the prompt is not UTF-8")))?;
        each(PromptInput::from(prompt)).map_err(|error| error.within(&place))?;
    }
    Ok(())
}

fn read_lines(
    operands: &Operands<'_>,
    is_text: bool,
    each: &mut dyn FnMut(PromptInput) -> Result<()>,
) -> Result<()> {
    let guard = Guard::new(operands)?;
    let mut lines = Lines::new(io::stdin().lock(), 64 << 10);
    loop {
        let number = lines.number() + 1;
        let place = |error: Error| error.within(format_args!("stdin:{number}"));
        let line = match lines.next() {
            Ok(None) => return Ok(()),
            Ok(Some(RawLine::Whole(line))) => line,
            Ok(Some(RawLine::TooLong)) => return Err(place(Error::new(TOO_LONG))),
            Err(error) => return Err(Error::new(format!("cannot read standard input: {}", reason(&error)))),
        };
        let text = std::str::from_utf8(line).map_err(|_| place(Error::new("the prompt is not UTF-8")))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            continue;
        }
        if !is_text {
            refuse_array(text).map_err(place)?;
        }
        if !is_text && !text.starts_with('{') {
            guard.check_line(text).map_err(place)?;
        }
        if !text.starts_with('{') || is_text {
            each(PromptInput::from(text)).map_err(place)?;
        } else if let Some(given) = parse_record(text).map_err(place)? {
            each(given).map_err(place)?;
        }
    }
}

/// Refuses a JSON array, which has several prompts in a line.
fn refuse_array(line: &str) -> Result<()> {
    let is_array = line == "[" || serde_json::from_str::<Vec<serde::de::IgnoredAny>>(line).is_ok();
    match line.starts_with('[') && is_array {
        true => Err(Error::usage("the line is a JSON array, and probably not a prompt")
            .hint("jq -c '.[]' prints one record per line")
            .hint("with --text each line is a prompt")),
        false => Ok(()),
    }
}

/// A prompt of standard input.
#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptRecord {
    // The type is checked before the record is read.
    #[allow(dead_code)]
    #[serde(rename = "type")]
    kind: String,
    /// The text that is sent to Codex.
    prompt: String,
    /// The paths of images to send with the text.
    #[serde(default)]
    images: Vec<String>,
}

/// Parses a prompt record. A queue record is skipped, since `queue show --json` prints it before its prompts. Any other
/// type is an error, since a prompt would be lost.
fn parse_record(text: &str) -> Result<Option<PromptInput>> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let refused = |why: String| {
        let hint = "with --text each line is a prompt, even if it begins with {";
        Error::new(format!("expected a prompt record{why}")).hint(hint)
    };
    let invalid = |error: serde_json::Error| refused(format!(": {}", json_reason(&error)));
    let Kind { kind } = serde_json::from_str(text).map_err(invalid)?;
    if kind == "queue" {
        return Ok(None);
    }
    if kind != "prompt" {
        return Err(refused(format!(", not one of type '{kind}'")));
    }
    let prompt: PromptRecord = serde_json::from_str(text).map_err(invalid)?;
    Ok(Some(PromptInput { prompt: prompt.prompt, images: prompt.images }))
}
