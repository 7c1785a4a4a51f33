//! Reading prompts from operands, flags, a file, lines and records, for all tools that accept several.

use std::io::{self, Read};

use crate::commands::flags::{Jobs, read_prompt};
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::ndjson::{Lines, RawLine};
use codex_agent_shared::reference;

/// A prompt from the user, with its images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The text.
    pub prompt: String,
    /// The paths of its images, unchanged.
    pub images: Vec<String>,
}

impl From<&str> for Given {
    fn from(prompt: &str) -> Given {
        Given { prompt: prompt.to_owned(), images: Vec::new() }
    }
}

/// Passes every prompt of the flags, the operands and standard input to `each`. Errors name the source of the
/// prompt.
pub fn read(jobs: &Jobs, operands: &[String], each: &mut dyn FnMut(Given) -> Result<()>) -> Result<()> {
    if let Some(path) = &jobs.prompt_file {
        let prompt = read_prompt(path)?;
        each(Given { prompt, images: Vec::new() })
            .map_err(|error| error.within(format_args!("--prompt-file {}", path.display())))?;
    }
    for prompt in &jobs.prompt {
        each(Given::from(prompt.as_str())).map_err(|error| error.within("--prompt"))?;
    }
    for prompt in operands.iter().filter(|operand| *operand != "-") {
        each(Given::from(prompt.as_str()))?;
    }
    let reads = match (operands, jobs.has_prompt()) {
        ([], true) => false,
        (operands, _) => reference::reads_stdin(operands).map_err(|_| {
            Error::usage("a prompt is missing").hint("give one, or - to read prompts from stdin")
        })?,
    };
    match (reads, jobs.nul) {
        (false, _) => Ok(()),
        (true, true) => read_parts(each),
        (true, false) => read_lines(jobs.text, each),
    }
}

fn read_parts(each: &mut dyn FnMut(Given) -> Result<()>) -> Result<()> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Error::new(format!("cannot read stdin: {}", reason(&error))))?;
    for (at, prompt) in bytes.split(|byte| *byte == 0).enumerate().filter(|(_, part)| !part.is_empty()) {
        let place = format!("stdin:{}", at + 1);
        let prompt = std::str::from_utf8(prompt)
            .map_err(|_| Error::new(format!("{place}: the prompt is not UTF-8")))?;
        each(Given::from(prompt)).map_err(|error| error.within(&place))?;
    }
    Ok(())
}

fn read_lines(is_text: bool, each: &mut dyn FnMut(Given) -> Result<()>) -> Result<()> {
    let mut lines = Lines::new(io::stdin().lock(), 64 << 10);
    loop {
        let number = lines.number() + 1;
        let place = |error: Error| error.within(format_args!("stdin:{number}"));
        let line = match lines.next() {
            Ok(None) => return Ok(()),
            Ok(Some(RawLine::Whole(line))) => line,
            Ok(Some(RawLine::TooLong)) => return Err(place(Error::new("the line is too long"))),
            Err(error) => return Err(Error::new(format!("cannot read stdin: {}", reason(&error)))),
        };
        let text = std::str::from_utf8(line).map_err(|_| place(Error::new("the prompt is not UTF-8")))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            continue;
        }
        if !text.starts_with('{') || is_text {
            each(Given::from(text)).map_err(place)?;
        } else if let Some(given) = record(text).map_err(place)? {
            each(given).map_err(place)?;
        }
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

/// Reads a prompt record. A queue record, which 'queue show --json' prints before its prompts, is skipped;
/// another type is an error, since a prompt would be lost.
fn record(text: &str) -> Result<Option<Given>> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let wrong = |error: serde_json::Error| {
        Error::new(format!("expected a prompt record: {error}")).hint("--text reads lines as plain text")
    };
    match serde_json::from_str(text).map_err(wrong)? {
        Kind { kind } if kind == "prompt" => {}
        Kind { kind } if kind == "queue" => return Ok(None),
        Kind { kind } => {
            return Err(Error::new(format!("expected a prompt record, not one of type '{kind}'"))
                .hint("--text reads lines as plain text"));
        }
    }
    let prompt: PromptRecord = serde_json::from_str(text).map_err(wrong)?;
    Ok(Some(Given { prompt: prompt.prompt, images: prompt.images }))
}
