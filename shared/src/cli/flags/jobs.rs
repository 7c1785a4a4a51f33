//! Flags of the tools that run jobs, described once for all of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Common;
use crate::cli::{Flag, Takes};
use crate::error::{Context, Error, Result};
use crate::run::job::LONGEST_PROMPT;
use crate::run::supervise::OnBusy;
use crate::run::{Options, Sandbox, Settings, attempt, binary};
use crate::time::parse_duration;

/// What these flags store. A tool's arguments hold one of these.
#[derive(Default)]
pub struct Jobs {
    /// `--prompt`.
    pub prompt: Vec<String>,
    /// `--prompt-file`.
    pub prompt_file: Option<PathBuf>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--model`.
    pub model: Option<String>,
    /// `--sandbox`.
    pub sandbox: Option<Sandbox>,
    /// `--image`.
    pub images: Vec<PathBuf>,
    /// `--config`.
    pub config: Vec<String>,
    /// `--skip-git-repo-check`.
    pub skip_git_repo_check: bool,
    /// `--max-concurrent`.
    pub max_concurrent: Option<usize>,
    /// `--max-failures`.
    pub max_failures: Option<usize>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--on-busy`.
    pub on_busy: Option<OnBusy>,
    /// `--interrupted=retry`.
    pub retry_interrupted: bool,
    /// `--answers`.
    pub answers: bool,
    /// `--new`.
    pub new: bool,
}

impl Jobs {
    /// How a run is carried out.
    pub fn settings(&self, common: &Common) -> Result<Settings> {
        attempt::check_depth()?;
        Ok(Settings {
            codex: binary::find(common.codex.as_deref())?,
            max_concurrent: self.max_concurrent.unwrap_or(3),
            timeout: self.timeout,
            max_failures: self.max_failures,
            on_busy: self.on_busy.unwrap_or(OnBusy::Wait(Duration::from_secs(90))),
            retry_interrupted: self.retry_interrupted,
        })
    }

    /// What Codex is told besides the prompt.
    pub fn options(&self) -> Options {
        Options {
            model: self.model.clone(),
            sandbox: self.sandbox,
            config: self.config.clone(),
            skip_git_repo_check: self.skip_git_repo_check,
        }
    }

    /// Whether a prompt was given.
    pub fn has_prompt(&self) -> bool {
        !self.prompt.is_empty() || self.prompt_file.is_some()
    }

    /// The one prompt.
    pub fn one_prompt(&self) -> Result<String> {
        match (&self.prompt[..], &self.prompt_file) {
            ([prompt], None) => Ok(prompt.clone()),
            ([], Some(path)) => read_prompt(path),
            ([], None) => {
                Err(Error::usage("the prompt is missing").hint("--prompt TEXT, or --prompt-file FILE"))
            }
            _ => Err(Error::usage("there is more than one prompt")),
        }
    }

    /// The pictures, absolute. One that is not there is an error: Codex would send the prompt without it.
    pub fn images(&self) -> Result<Vec<String>> {
        let absolute = |image: &PathBuf| {
            let real = std::fs::canonicalize(image).context("open the picture", image)?;
            real.into_os_string().into_string().map_err(|image| {
                Error::new(format!("cannot take '{}': it is not UTF-8", image.to_string_lossy()))
            })
        };
        self.images.iter().map(absolute).collect()
    }
}

/// A prompt that is a whole file; `-` is standard input.
pub fn read_prompt(path: &Path) -> Result<String> {
    let (mut bytes, limit) = (Vec::new(), LONGEST_PROMPT as u64 + 1);
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.context("read the prompt from", path)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("the prompt in '{}' is not UTF-8", path.display())))
}

/// `--new`
pub const fn new<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "new",
        takes: Takes::Nothing,
        help: "begin a new run although one of the same kind has work left",
        more: "Without it that one is named, and nothing is done: typed again after a crash, a command must not send its prompt twice.",
        set: |args, _| {
            args.as_mut().new = true;
            Ok(())
        },
    }
}

/// `--prompt`
pub const fn prompt<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('p'),
        long: "prompt",
        takes: Takes::Text("TEXT"),
        help: "a prompt, whatever it looks like",
        more: "As an operand, but '-' and the words of verbs are no different from others here. Again for one more session.",
        set: |args, value| {
            args.as_mut().prompt.push(value.text()?);
            Ok(())
        },
    }
}

/// `--prompt-file`
pub const fn prompt_file<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "prompt-file",
        takes: Takes::File("FILE"),
        help: "one prompt, the whole of this file; - is standard input",
        more: "",
        set: |args, value| {
            args.as_mut().prompt_file = Some(value.path());
            Ok(())
        },
    }
}

/// `--dry-run`
pub const fn dry_run<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('n'),
        long: "dry-run",
        takes: Takes::Nothing,
        help: "print the jobs as records, and do nothing",
        more: "",
        set: |args, _| {
            args.as_mut().dry_run = true;
            Ok(())
        },
    }
}

/// `--model`
pub const fn model<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('m'),
        long: "model",
        takes: Takes::Text("MODEL"),
        help: "the model",
        more: "",
        set: |args, value| {
            args.as_mut().model = Some(value.text()?);
            Ok(())
        },
    }
}

/// `--sandbox`
pub const fn sandbox<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('s'),
        long: "sandbox",
        takes: Takes::OneOf("MODE", &Sandbox::WORDS),
        help: "what Codex may touch",
        more: "New sessions get Codex's own default. A resumed session gets the mode that it had last, but no more than workspace-write; danger-full-access must be written out here.",
        set: |args, value| {
            args.as_mut().sandbox = Sandbox::parse(&value.text()?);
            Ok(())
        },
    }
}

/// `--image`
pub const fn image<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('i'),
        long: "image",
        takes: Takes::File("FILE"),
        help: "a picture to send with each prompt",
        more: "Again for one more.",
        set: |args, value| {
            args.as_mut().images.push(value.path());
            Ok(())
        },
    }
}

/// `--config`
pub const fn config<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('c'),
        long: "config",
        takes: Takes::Text("KEY=VALUE"),
        help: "a setting of Codex's configuration",
        more: "As 'codex -c' takes it. Again for one more.",
        set: |args, value| {
            let text = value.text()?;
            if text.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                return Err(Error::usage(format!("cannot take '{text}': expected KEY=VALUE")));
            }
            args.as_mut().config.push(text);
            Ok(())
        },
    }
}

/// `--skip-git-repo-check`
pub const fn skip_git_repo_check<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "skip-git-repo-check",
        takes: Takes::Nothing,
        help: "let Codex work outside of git",
        more: "",
        set: |args, _| {
            args.as_mut().skip_git_repo_check = true;
            Ok(())
        },
    }
}

/// `--max-concurrent`
pub const fn max_concurrent<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: Some('j'),
        long: "max-concurrent",
        takes: Takes::Text("N"),
        help: "at most N jobs at once; 3 if not said",
        more: "",
        set: |args, value| {
            args.as_mut().max_concurrent = Some(value.number()?.clamp(1, 256));
            Ok(())
        },
    }
}

/// `--timeout`
pub const fn timeout<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "timeout",
        takes: Takes::Text("TIME"),
        help: "stop a job that takes longer, such as 90s or 1h30m",
        more: "Without a network Codex never ends by itself.",
        set: |args, value| {
            args.as_mut().timeout = Some(parse_duration(&value.text()?)?);
            Ok(())
        },
    }
}

/// `--max-failures`
pub const fn max_failures<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "max-failures",
        takes: Takes::Text("N"),
        help: "start nothing more after N failures",
        more: "A failure that any job would meet (no login, a usage limit, a Codex that cannot be run) ends a run at once.",
        set: |args, value| {
            args.as_mut().max_failures = Some(value.number()?.max(1));
            Ok(())
        },
    }
}

/// `--on-busy`
pub const fn on_busy<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "on-busy",
        takes: Takes::Text("WHAT"),
        help: "for a session in use: wait, wait=TIME, skip or fail",
        more: "wait=90s is the default: Codex's own background process keeps a session for a minute after its screen was closed.",
        set: |args, value| {
            let text = value.text()?;
            args.as_mut().on_busy = Some(match text.split_once('=').unwrap_or((&text, "90s")) {
                ("wait", longest) => OnBusy::Wait(parse_duration(longest)?),
                ("skip", "90s") => OnBusy::Skip,
                ("fail", "90s") => OnBusy::Fail,
                _ => {
                    let message = format!("cannot take '{text}': expected wait, wait=TIME, skip or fail");
                    return Err(Error::usage(message));
                }
            });
            Ok(())
        },
    }
}

/// `--interrupted`
pub const fn interrupted<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "interrupted",
        takes: Takes::OneOf("WHAT", &["fail", "retry"]),
        help: "what becomes of jobs that were cut off: fail or retry",
        more: "fail is the default, as the model may have seen the prompt. With retry it is sent again, and its events say resent.",
        set: |args, value| {
            args.as_mut().retry_interrupted = value.text()? == "retry";
            Ok(())
        },
    }
}

/// `--answers`
pub const fn answers<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "answers",
        takes: Takes::Nothing,
        help: "only the last message of each session",
        more: "Of one job the bare message; of several each under a line '==> ID <=='.",
        set: |args, _| {
            args.as_mut().answers = true;
            Ok(())
        },
    }
}
