//! Flags of the tools that run jobs, described once for all of them (`table`), and their combinations.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::disk::progress::RunProgress;
use crate::process::{command, spawn};
use crate::record::job::LONGEST_PROMPT;
use crate::record::job::{Options, Sandbox};
use crate::record::settings::Patience;
use crate::record::settings::Settings;
use crate::record::settings::{CodexOptions, Interrupted, OnBusy, OnLimit, SavedSettings};
use crate::show::events::ShowOptions;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::Common;
use codex_agent_shared::config;
use codex_agent_shared::error::{Context, Error, Result};

mod table;

pub use table::*;

/// The arguments of a tool that runs jobs, with own ones of type `O`.
pub type Args<O = ()> = cli::Args<O, Jobs>;

/// What these flags store.
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
    /// `--dangerously-bypass-approvals-and-sandbox`.
    pub bypass: bool,
    /// `--output-schema`.
    pub output_schema: Option<PathBuf>,
    /// `--codex-arg`.
    pub args: Vec<String>,
    /// `--new`.
    pub new: bool,
    /// The flags that were given and go with a prompt alone.
    pub with_prompt: Vec<&'static str>,
}

impl Jobs {
    /// The settings of a run.
    pub fn settings(&self, common: &Common) -> Result<Settings> {
        self.settings_after(common, &RunProgress::default())
    }

    /// The settings of a continued run: those that were saved, unless flags give others.
    pub fn settings_after(&self, common: &Common, tasks: &RunProgress) -> Result<Settings> {
        spawn::check_depth()?;
        let (at_once, kept) = match tasks.settings.clone() {
            Some(settings) => settings,
            None => (config::get()?.max_concurrent().unwrap_or(3), SavedSettings::default()),
        };
        // The same Codex, if it still exists, and no flag names another.
        let same = tasks.codex.path.as_deref().map(Path::new).filter(|path| path.exists());
        let same =
            same.filter(|_| std::env::var_os("CODEX_AGENT_CODEX").is_none_or(|named| named.is_empty()));
        let (own, then) = (self.patience, kept.patience());
        Ok(Settings {
            codex: command::find(common.codex.as_deref().or(same))?,
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
            codex_options: None,
        })
    }

    /// The options of all jobs of a queue: those that were saved when the run was started, unless flags give
    /// others. Options that may be given more than once are added, so that no limit is removed.
    pub fn told_after(&self, tasks: &RunProgress) -> Result<CodexOptions> {
        let (own, images) = (self.options()?, self.images()?);
        let kept =
            tasks.settings.as_ref().and_then(|(_, kept)| kept.codex_options.clone()).unwrap_or_default();
        let then = kept.options;
        let is_limited = own.sandbox.is_some() || own.bypass;
        let (sandbox, bypass) =
            if is_limited { (own.sandbox, own.bypass) } else { (then.sandbox, then.bypass) };
        let key = |pair: &str| pair.split('=').next().unwrap_or_default().trim().to_owned();
        let is_kept = |pair: &String| !own.config.iter().any(|own| key(own) == key(pair));
        let config = then.config.into_iter().filter(is_kept).chain(own.config.clone()).collect();
        let mut args = then.args;
        args.extend(own.args.into_iter().filter(|arg| !args.contains(arg)).collect::<Vec<_>>());
        let options = CodexOptions {
            options: Options {
                model: own.model.or(then.model),
                sandbox,
                config,
                skip_git_repo_check: own.skip_git_repo_check || then.skip_git_repo_check,
                output_schema: own.output_schema.or(then.output_schema),
                bypass,
                args,
            },
            images: if images.is_empty() { kept.images } else { images },
        };
        // Without these files the prompts would differ from those of the first runner.
        let files = options.images.iter().chain(&options.options.output_schema);
        if let Some(gone) = files.into_iter().find(|file| !Path::new(file).is_file()) {
            return Err(Error::new(format!("file '{gone}', which the run was started with, does not exist"))
                .hint("name another file by the same flag, or start another run by --new"));
        }
        Ok(options)
    }

    /// The sandbox of the flags.
    pub fn sandbox(&self) -> Result<Option<Sandbox>> {
        match (self.sandbox, self.bypass) {
            (Some(_), true) => {
                let flag = "--dangerously-bypass-approvals-and-sandbox";
                Err(Error::usage(format!("{flag} cannot be combined with a sandbox")))
            }
            (sandbox, _) => Ok(sandbox),
        }
    }

    /// The options of Codex, besides the prompt.
    pub fn options(&self) -> Result<Options> {
        let schema = |path: &PathBuf| -> Result<String> {
            let file = absolute(path, "open the schema")?;
            // Codex reads the schema only after it has sent the prompt.
            let text = std::fs::read(&file).context("read the schema", path)?;
            serde_json::from_slice::<serde::de::IgnoredAny>(&text).map_err(|error| {
                Error::usage(format!("invalid schema '{}': it is not JSON: {error}", path.display()))
            })?;
            Ok(file)
        };
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

    /// The output format; an error if two flags ask for different ones. Call it before anything is started.
    pub fn show_options(&self, common: &Common) -> Result<ShowOptions> {
        let other = [("--json", common.json), ("--events", self.events)].into_iter().find(|(_, said)| *said);
        match other.filter(|_| self.answers) {
            Some((flag, _)) => Err(Error::usage(format!("--answers cannot be combined with {flag}"))
                .hint("with --json the record job.completed has the answer as last_message")),
            None => Ok(ShowOptions { json: common.json, answers: self.answers, events: self.events }),
        }
    }

    /// Whether a prompt was given.
    pub fn has_prompt(&self) -> bool {
        !self.prompt.is_empty() || self.prompt_file.is_some()
    }

    /// Refuses flags that need a prompt if there is none.
    pub fn refuse_without_prompt(&self) -> Result<()> {
        match self.with_prompt.first() {
            Some(flag) => {
                Err(Error::usage(format!("--{flag} needs a prompt"))
                    .hint("--prompt TEXT, or --prompt-file FILE"))
            }
            None => Ok(()),
        }
    }

    /// The one prompt.
    pub fn one_prompt(&self) -> Result<String> {
        match (&self.prompt[..], &self.prompt_file) {
            ([prompt], None) => Ok(prompt.clone()),
            ([], Some(path)) => read_prompt(path),
            ([], None) => {
                Err(Error::usage("the prompt is missing").hint("--prompt TEXT, or --prompt-file FILE"))
            }
            _ => Err(Error::usage("more than one prompt is given")),
        }
    }

    /// The absolute paths of the images. A missing image is an error: Codex would send the prompt without it.
    pub fn images(&self) -> Result<Vec<String>> {
        self.images.iter().map(|image| absolute(image, "open the image")).collect()
    }
}

/// The real path of a file of a job. `verb` is the attempt, for the error.
pub fn absolute(path: &Path, verb: &str) -> Result<String> {
    let real = std::fs::canonicalize(path).context(verb, path)?;
    if !real.is_file() {
        let what = if real.is_dir() { "a directory" } else { "no regular file" };
        return Err(Error::usage(format!("cannot {verb} '{}': it is {what}", path.display())));
    }
    real.into_os_string()
        .into_string()
        .map_err(|path| Error::new(format!("cannot use '{}': it is not UTF-8", path.to_string_lossy())))
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
