//! Flags of the tools that run jobs, described once for all of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Common;
use crate::cli::{Flag, Takes, Value};
use crate::config;
use crate::error::{Context, Error, Result};
use crate::output::events::Wanted;
use crate::run::job::{ARGUMENT_FORM, LONGEST_PROMPT, is_flag};
use crate::run::settings::{Interrupted, Kept, OnBusy, OnLimit};
use crate::run::tasks::Tasks;
use crate::run::{Options, Patience, Sandbox, Settings, attempt, binary};
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
    /// `--timeout`, `--idle-timeout`, `--network-timeout`.
    pub patience: Patience,
    /// `--retries`.
    pub retries: Option<u32>,
    /// `--on-busy`.
    pub on_busy: Option<OnBusy>,
    /// `--on-limit`.
    pub on_limit: Option<OnLimit>,
    /// `--interrupted`.
    pub interrupted: Option<Interrupted>,
    /// `--text` and `-0`.
    pub text: bool,
    #[allow(missing_docs)]
    pub nul: bool,
    /// `--answers`.
    pub answers: bool,
    /// `--events`.
    pub events: bool,
    /// `--full-auto`.
    pub full_auto: bool,
    /// `--dangerously-bypass-approvals-and-sandbox`.
    pub bypass: bool,
    /// `--output-schema`.
    pub output_schema: Option<PathBuf>,
    /// `--codex-arg`.
    pub args: Vec<String>,
    /// `--new`.
    pub new: bool,
}

impl Jobs {
    /// How a run is carried out.
    pub fn settings(&self, common: &Common) -> Result<Settings> {
        self.settings_after(common, &Tasks::default())
    }

    /// How a run is continued: as it was begun, where nothing else is said.
    pub fn settings_after(&self, common: &Common, tasks: &Tasks) -> Result<Settings> {
        attempt::check_depth()?;
        let (at_once, kept) = match tasks.settings.clone() {
            Some(settings) => settings,
            None => (config::get()?.max_concurrent().unwrap_or(3), Kept::default()),
        };
        // The same Codex, if it is there still.
        let same = tasks.codex.path.as_deref().map(Path::new).filter(|path| path.exists());
        let (own, then) = (self.patience, kept.patience());
        Ok(Settings {
            codex: binary::find(common.codex.as_deref().or(same))?,
            max_concurrent: self.max_concurrent.unwrap_or(at_once),
            patience: Patience {
                timeout: own.timeout.or(then.timeout),
                idle: own.idle.or(then.idle),
                network: own.network.or(then.network),
            },
            max_failures: self.max_failures.or(kept.max_failures),
            retries: self.retries.unwrap_or(kept.retries),
            on_busy: self.on_busy.or_else(|| OnBusy::parse(&kept.on_busy).ok()).unwrap_or_default(),
            on_limit: self.on_limit.unwrap_or(kept.on_limit),
            interrupted: self.interrupted.unwrap_or_default(),
        })
    }

    /// The sandbox that was asked for.
    pub fn sandbox(&self) -> Result<Option<Sandbox>> {
        match (self.sandbox, self.full_auto, self.bypass) {
            (Some(_), _, true) | (None, true, true) => {
                let flag = "--dangerously-bypass-approvals-and-sandbox";
                Err(Error::usage(format!("{flag} leaves no sandbox, and one was asked for")))
            }
            (Some(sandbox), true, false) if sandbox != Sandbox::WorkspaceWrite => {
                let mode = sandbox.word();
                Err(Error::usage(format!("--full-auto is --sandbox workspace-write, and not {mode}")))
            }
            (_, true, false) => Ok(Some(Sandbox::WorkspaceWrite)),
            (sandbox, ..) => Ok(sandbox),
        }
    }

    /// What Codex is told besides the prompt.
    pub fn options(&self) -> Result<Options> {
        let schema = |path: &PathBuf| absolute(path, "open the schema");
        Ok(Options {
            model: self.model.clone(),
            sandbox: self.sandbox()?,
            config: self.config.clone(),
            skip_git_repo_check: self.skip_git_repo_check,
            output_schema: self.output_schema.as_ref().map(schema).transpose()?,
            bypass: self.bypass,
            args: self.args.clone(),
        })
    }

    /// What is shown of a run.
    pub fn wanted(&self, common: &Common) -> Wanted {
        Wanted { json: common.json, answers: self.answers, events: self.events }
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
        self.images.iter().map(|image| absolute(image, "open the picture")).collect()
    }
}

fn absolute(path: &Path, verb: &str) -> Result<String> {
    let real = std::fs::canonicalize(path).context(verb, path)?;
    real.into_os_string()
        .into_string()
        .map_err(|path| Error::new(format!("cannot take '{}': it is not UTF-8", path.to_string_lossy())))
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
        more: "Or as runs.max_concurrent in config.toml says.",
        set: |args, value| {
            args.as_mut().max_concurrent = Some(value.number()?.clamp(1, 256));
            Ok(())
        },
    }
}

/// A flag that takes a length of time.
const fn time<A: AsMut<Jobs>>(
    long: &'static str,
    help: &'static str,
    more: &'static str,
    set: fn(&mut A, Value) -> Result<()>,
) -> Flag<A> {
    Flag { short: None, long, takes: Takes::Text("TIME"), help, more, set }
}

/// `--timeout`
pub const fn timeout<A: AsMut<Jobs>>() -> Flag<A> {
    time("timeout", "stop a job that takes longer, such as 90s or 1h30m", "", |args, value| {
        args.as_mut().patience.timeout = Some(parse_duration(&value.text()?)?);
        Ok(())
    })
}

/// `--idle-timeout`
pub const fn idle_timeout<A: AsMut<Jobs>>() -> Flag<A> {
    time(
        "idle-timeout",
        "stop a job from which nothing is heard for so long",
        "A long command of Codex's is silence too.",
        |args, value| {
            args.as_mut().patience.idle = Some(parse_duration(&value.text()?)?);
            Ok(())
        },
    )
}

/// `--network-timeout`
pub const fn network_timeout<A: AsMut<Jobs>>() -> Flag<A> {
    time(
        "network-timeout",
        "stop a job that is without a network for so long",
        "Codex itself waits for ever, and goes on when the network is back.",
        |args, value| {
            args.as_mut().patience.network = Some(parse_duration(&value.text()?)?);
            Ok(())
        },
    )
}

/// `--retries`
pub const fn retries<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "retries",
        takes: Takes::Text("N"),
        help: "try a job again up to N times where the failure may pass",
        more: "An overloaded or silent service, a rate limit, no network; and only where Codex has done nothing yet. The waits grow. The prompt is in the session twice then, and the events say resent.",
        set: |args, value| {
            args.as_mut().retries = Some(value.number()?.min(1000) as u32);
            Ok(())
        },
    }
}

/// `--on-limit`
pub const fn on_limit<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "on-limit",
        takes: Takes::OneOf("WHAT", &["stop", "wait", "try"]),
        help: "at a usage limit: stop, wait for its end, or try anyway",
        more: "With stop, the default, the run ends with 75 and what was not done is left; while Codex has said until when, no further run is begun on its home. wait goes on when the limit is over; one run tries, and the others wait for it. try does not believe that a limit lasts.",
        set: |args, value| {
            args.as_mut().on_limit = Some(match value.text()?.as_str() {
                "wait" => OnLimit::Wait,
                "try" => OnLimit::Try,
                _ => OnLimit::Stop,
            });
            Ok(())
        },
    }
}

/// `--full-auto`
pub const fn full_auto<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "full-auto",
        takes: Takes::Nothing,
        help: "the same as --sandbox workspace-write",
        more: "Codex itself has not taken the word since 0.150.",
        set: |args, _| {
            args.as_mut().full_auto = true;
            Ok(())
        },
    }
}

/// `--dangerously-bypass-approvals-and-sandbox`
pub const fn bypass<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "dangerously-bypass-approvals-and-sandbox",
        takes: Takes::Nothing,
        help: "let Codex do everything; it must be written out",
        more: "",
        set: |args, _| {
            args.as_mut().bypass = true;
            Ok(())
        },
    }
}

/// `--output-schema`
pub const fn output_schema<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "output-schema",
        takes: Takes::File("FILE"),
        help: "a JSON Schema that the last message must follow",
        more: "",
        set: |args, value| {
            args.as_mut().output_schema = Some(value.path());
            Ok(())
        },
    }
}

/// `--codex-arg`
pub const fn codex_arg<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "codex-arg",
        takes: Takes::Text("ARG"),
        help: "one more argument for Codex, as it stands",
        more: "Given before the session. --codex-arg=--search is how it is written; one with a value is one word, --codex-arg=--add-dir=/tmp. May be given again.",
        set: |args, value| {
            let text = value.text()?;
            if !is_flag(&text) {
                return Err(Error::usage(format!("cannot take '{text}': {ARGUMENT_FORM}")));
            }
            args.as_mut().args.push(text);
            Ok(())
        },
    }
}

/// `--events`
pub const fn events<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "events",
        takes: Takes::Nothing,
        help: "Codex's own events too, as job.event",
        more: "Each as Codex printed it, when it printed it. They are not in the log of the run.",
        set: |args, _| {
            args.as_mut().events = true;
            Ok(())
        },
    }
}

/// What Codex is told, for every tool that runs jobs.
pub const fn told<A: AsMut<Jobs>>() -> [Flag<A>; 8] {
    [model(), sandbox(), full_auto(), config(), output_schema(), skip_git_repo_check(), codex_arg(), bypass()]
}

/// How jobs are run, for every tool that runs them.
pub const fn how<A: AsMut<Jobs> + AsMut<Common>>() -> [Flag<A>; 10] {
    [
        max_concurrent(),
        max_failures(),
        retries(),
        on_busy(),
        on_limit(),
        timeout(),
        idle_timeout(),
        network_timeout(),
        interrupted(),
        super::codex(),
    ]
}

/// What is shown of a run.
pub const fn shown<A: AsMut<Jobs> + AsMut<Common>>() -> [Flag<A>; 3] {
    [super::json("events as records, one a line, each as it happens"), answers(), events()]
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
        help: "for a session in use: wait, wait=TIME, skip, fork or fail",
        more: "wait=90s is the default: Codex's own background process keeps a session for a minute after its screen was closed. fork sends the prompt to a fork of the session (Codex 0.148 and later).",
        set: |args, value| {
            args.as_mut().on_busy = Some(OnBusy::parse(&value.text()?)?);
            Ok(())
        },
    }
}

/// `--interrupted`
pub const fn interrupted<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "interrupted",
        takes: Takes::OneOf("WHAT", &["fail", "continue", "retry"]),
        help: "for a job that was cut off: fail, continue or retry",
        more: "fail is the default, as the model has seen the prompt and may have done some of it. continue sends 'Continue.' to the same session. retry sends the prompt again, and its events say resent.",
        set: |args, value| {
            args.as_mut().interrupted = Some(match value.text()?.as_str() {
                "continue" => Interrupted::Continue,
                "retry" => Interrupted::Retry,
                _ => Interrupted::Fail,
            });
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
