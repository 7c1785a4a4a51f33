//! The flags of tools that run jobs (`table`), the values that they store, and their combinations.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::codex::version::query_version;
use crate::codex::worktree::check_version;
use crate::disk::progress::RunProgress;
use crate::process::{command, spawn};
use crate::record::job::{Job, LONGEST_PROMPT, Options};
use crate::record::settings::{
    CodexOptions, HostSettings, HostSlots, Interrupted, OnBusy, OnLimit, Patience, SavedHost, SavedSettings,
    Settings,
};
use crate::show::events::ShowOptions;
use crate::show::records::Only;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::config;
use codex_agent_shared::error::{Context, Error, Result, status};
use codex_agent_shared::host::{ALL, Host, HostList};
use codex_agent_shared::terminal::is_terminal;
use codex_agent_shared::watch::From;

mod table;

pub use table::*;

/// The arguments of a tool that runs jobs, with its own arguments of type `O`.
pub type Args<O = ()> = cli::Args<O, Jobs>;

/// The condition until which sessions are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// No session has a turn that is running.
    Idle,
}

impl Choice for Until {
    const ALL: &'static [(Until, &'static str, &'static str)] =
        &[(Until::Idle, "idle", "no followed session has a running turn")];
}

/// The values of the flags of a tool that follows sessions.
#[derive(Default)]
pub struct WatchFlags {
    /// `--only`.
    pub only: Only,
    /// `--full`.
    pub full: bool,
    /// `--until`.
    pub until: Option<Until>,
    /// `--exit-status`.
    pub exit_status: bool,
    /// `--last`.
    pub last: Option<usize>,
    /// Whether sessions that are made later are followed too.
    pub finds_new: bool,
}

impl WatchFlags {
    /// An error for options that have no meaning alone.
    pub fn check(&self) -> Result<()> {
        match self.exit_status && self.until.is_none() {
            true => Err(Error::usage("--exit-status needs --until idle")),
            false => Ok(()),
        }
    }

    /// The point from which a session is followed that no address names.
    pub fn from(&self) -> From {
        self.last.map_or(From::Now, |last| From::Last(last as u64))
    }
}

/// The values of the flags.
#[derive(Default)]
pub struct Jobs {
    /// `--prompt`.
    pub prompt: Vec<String>,
    /// `--prompt-file`.
    pub prompt_file: Option<PathBuf>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--yes`.
    pub yes: bool,
    /// `--model`, `--sandbox`, `--config`, `--skip-git-repo-check`, `--worktree`, `--codex-arg` and
    /// `--dangerously-bypass-approvals-and-sandbox`.
    pub options: Options,
    /// `--output-schema`.
    pub output_schema: Option<PathBuf>,
    /// `--image`.
    pub images: Vec<PathBuf>,
    /// `--max-concurrent`.
    pub max_concurrent: Option<usize>,
    /// `--max-failures`.
    pub max_failures: Option<usize>,
    /// `--timeout`, `--idle-timeout`, `--network-timeout`.
    pub patience: Patience,
    /// `--retries`.
    pub retries: Option<usize>,
    /// `--on-busy`.
    pub on_busy: Option<OnBusy>,
    /// `--on-limit`.
    pub on_limit: Option<OnLimit>,
    /// `--interrupted`.
    pub interrupted: Option<Interrupted>,
    /// `--text`.
    pub text: bool,
    /// `-0`.
    pub nul: bool,
    /// `--answers`.
    pub answers: bool,
    /// `--events`.
    pub events: bool,
    /// The options of a tool that follows sessions.
    pub watch: WatchFlags,
    /// `--new`.
    pub new: bool,
    /// `--on`.
    pub on: Option<HostList>,
    /// `--give-up`.
    pub given_up: Vec<String>,
    /// The flags that were given and need a prompt.
    pub with_prompt: Vec<&'static str>,
}

impl Jobs {
    /// The settings of a run.
    pub fn settings(&self, common: &CommonOptions) -> Result<Settings> {
        self.settings_after(common, &RunProgress::default())
    }

    /// The number of jobs that a new run has at a time.
    pub fn max_concurrent(&self) -> Result<usize> {
        match self.max_concurrent {
            Some(most) => Ok(most),
            None => Ok(config::get()?.max_concurrent().unwrap_or(3)),
        }
    }

    /// The settings of a continued run: those that were saved, unless flags set others.
    pub fn settings_after(&self, common: &CommonOptions, tasks: &RunProgress) -> Result<Settings> {
        spawn::check_depth()?;
        let (max_concurrent, saved) = match tasks.settings.clone() {
            Some(settings) => settings,
            None => (self.max_concurrent()?, SavedSettings::default()),
        };
        // The same Codex, if it still exists and no flag or variable names another.
        let is_named = std::env::var_os("CODEX_AGENT_CODEX").is_some_and(|named| !named.is_empty());
        let same = tasks.codex.path.as_deref().map(Path::new).filter(|path| !is_named && path.exists());
        let (own, then) = (self.patience, saved.patience());
        let hosts = self.hosts_after(&saved)?;
        if self.on.is_some()
            && let Some(flag) =
                [(common.codex.is_some(), "--codex"), (common.codex_home.is_some(), "--codex-home")]
                    .into_iter()
                    .find_map(|(is_given, flag)| is_given.then_some(flag))
        {
            return Err(Error::usage(format!("{flag} cannot be combined with --on"))
                .hint("a host has its own; host.NAME.via = [\"env\", \"CODEX_HOME=...\"] sets one"));
        }
        let found = command::find(common.codex.as_deref().or(same));
        // The hosts have their own.
        let codex = if hosts.take_unassigned { found.unwrap_or_default() } else { found? };
        if self.options.worktree && !hosts.take_unassigned {
            let home = Home::find(common.codex_home.as_deref())?;
            check_version(&query_version(&codex, Some(home.path()), Some(Path::new(".")))?)
                .map_err(|error| error.hint("nothing was started"))?;
        }
        Ok(Settings {
            codex,
            max_concurrent: self.max_concurrent.unwrap_or(max_concurrent),
            patience: Patience {
                timeout: own.timeout.or(then.timeout),
                idle: own.idle.or(then.idle),
                network: own.network.or(then.network),
            },
            max_failures: self.max_failures.or(saved.max_failures),
            retries: self.retries.map_or(saved.retries, |retries| retries as u32),
            on_busy: self.on_busy.or_else(|| OnBusy::parse(&saved.on_busy).ok()).unwrap_or_default(),
            on_limit: self.on_limit.unwrap_or(saved.on_limit),
            interrupted: self.interrupted.unwrap_or_default(),
            codex_options: None,
            hosts,
        })
    }

    /// The hosts of a run: those of `--on`, or else those that were saved.
    fn hosts_after(&self, saved: &SavedSettings) -> Result<HostSettings> {
        let all = match &self.on {
            Some(list) => list.hosts()?.into_iter().map(|(host, slots)| self.slots_of(host, slots)).collect(),
            None => {
                let saved = saved.hosts.iter();
                let host =
                    |saved: &SavedHost| Ok(HostSlots { host: Host::named(&saved.name)?, slots: saved.slots });
                saved.map(host).collect::<Result<Vec<_>>>()
            }
        };
        let all = all?;
        if all.is_empty() {
            return Ok(HostSettings { given_up: self.given_up.clone(), ..HostSettings::default() });
        }
        Ok(HostSettings {
            all,
            take_unassigned: self.on.is_some() || saved.on_hosts,
            most: self.max_concurrent.or(saved.most),
            given_up: self.given_up.clone(),
        })
    }

    /// A job of a dry run: on the host of `--on`, if there is one only. A Codex home of this machine is none of hosts.
    pub fn place(&self, mut job: Job) -> Job {
        if let Some(list) = &self.on {
            let names: Vec<&str> = list.names().collect();
            match names[..] {
                [name] if name != ALL && job.host.is_none() => job.host = Some(name.to_owned()),
                _ => {}
            }
            job.codex_home = None;
        }
        job
    }

    /// Reports the hosts of a dry run. The prompts of a queue are sent in order.
    pub fn report_hosts(&self, is_in_order: bool) -> Result<()> {
        let Some(list) = &self.on else { return Ok(()) };
        let host = |(host, slots)| {
            let HostSlots { host, slots } = self.slots_of(host, slots)?;
            Ok(match is_in_order {
                true => format!("'{}'", host.name),
                false => format!("'{}' ({slots} at a time)", host.name),
            })
        };
        let hosts: Vec<String> = list.hosts()?.into_iter().map(host).collect::<Result<_>>()?;
        match &hosts[..] {
            [only] => status(format_args!("the jobs would go to host {only}")),
            _ => status(format_args!(
                "each job would go to the first host with a free slot: {}",
                hosts.join(", ")
            )),
        }
        Ok(())
    }

    /// A host with the number of jobs that run there at a time: that of `--on`, of the configuration, or of a run.
    pub fn slots_of(&self, host: Host, given: Option<usize>) -> Result<HostSlots> {
        let slots = match given.or(host.max_concurrent) {
            Some(slots) => slots,
            None => self.max_concurrent()?,
        };
        Ok(HostSlots { host, slots })
    }

    /// The options of all jobs of a queue: those that were saved when the run was started, unless flags set
    /// others. Options that may be given more than once are added, so that no limit is removed.
    pub fn codex_options_after(&self, tasks: &RunProgress) -> Result<CodexOptions> {
        let (own, images) = (self.options()?, self.images()?);
        let saved = tasks.settings.as_ref().and_then(|(_, saved)| saved.codex_options.clone());
        let CodexOptions { options: mut all, images: saved_images } = saved.unwrap_or_default();
        if own.sandbox.is_some() || own.bypass {
            (all.sandbox, all.bypass) = (own.sandbox, own.bypass);
        }
        let key = |pair: &str| pair.split('=').next().unwrap_or_default().trim().to_owned();
        all.config.retain(|pair| !own.config.iter().any(|own| key(own) == key(pair)));
        all.config.extend(own.config);
        let known = all.args.clone();
        all.args.extend(own.args.into_iter().filter(|arg| !known.contains(arg)));
        all.model = own.model.or(all.model);
        all.skip_git_repo_check |= own.skip_git_repo_check;
        all.worktree |= own.worktree;
        all.output_schema = own.output_schema.or(all.output_schema);
        let images = if images.is_empty() { saved_images } else { images };
        // Without these files the prompts would differ from those of the first runner.
        let mut files = images.iter().chain(&all.output_schema);
        if let Some(missing) = files.find(|file| !Path::new(file).is_file()) {
            return Err(Error::new(format!(
                "the file '{missing}', with which the run was started, does not exist"
            ))
            .hint("name another file by --image or --output-schema, or start another run by --new"));
        }
        Ok(CodexOptions { options: all, images })
    }

    /// The options of Codex, besides the prompt.
    pub fn options(&self) -> Result<Options> {
        let Options { sandbox, bypass, .. } = self.options;
        if sandbox.is_some() && bypass {
            let flag = "--dangerously-bypass-approvals-and-sandbox";
            return Err(Error::usage(format!("{flag} cannot be combined with --sandbox")));
        }
        let schema = |path: &PathBuf| -> Result<String> {
            let file = resolve_file(path, "open the schema")?;
            // Codex reads the schema only after it has sent the prompt.
            let text = std::fs::read(&file).context("read the schema", path)?;
            serde_json::from_slice::<serde::de::IgnoredAny>(&text).map_err(|error| {
                Error::usage(format!("the JSON Schema '{}' is not JSON: {error}", path.display()))
            })?;
            Ok(file)
        };
        let output_schema = self.output_schema.as_ref().map(schema).transpose()?;
        Ok(Options { output_schema, ..self.options.clone() })
    }

    /// The output format; an error if two flags ask for different ones. Call it before anything is started.
    pub fn show_options(&self, common: &CommonOptions) -> Result<ShowOptions> {
        let mut others = [("--json", common.json), ("--events", self.events)].into_iter();
        let other = others.find(|(_, is_given)| *is_given);
        match other.filter(|_| self.answers) {
            Some((flag, _)) => Err(Error::usage(format!("--answers cannot be combined with {flag}"))
                .hint("the record job.completed of --json has the answer in its field last_message")),
            None => Ok(ShowOptions {
                json: common.json,
                answers: self.answers,
                events: self.events,
                color: is_terminal() && common.color.is_on(),
                as_terminal: false,
            }),
        }
    }

    /// Whether a prompt was given.
    pub fn has_prompt(&self) -> bool {
        !self.prompt.is_empty() || self.prompt_file.is_some()
    }

    /// Refuses flags that need a prompt if there is none.
    pub fn check_has_prompt(&self) -> Result<()> {
        match self.with_prompt.first() {
            Some(flag) => Err(needs_prompt(format!("--{flag} needs a prompt"))),
            None => Ok(()),
        }
    }

    /// Refuses to read both the prompt and the sessions from standard input.
    pub fn check_single_stdin(&self, operands: &[String]) -> Result<()> {
        let sessions_are_read = operands.is_empty() || operands.iter().any(|operand| operand == "-");
        if sessions_are_read && self.prompt_file.as_deref() == Some(Path::new("-")) {
            let message = "standard input cannot be both the prompt and the sessions";
            return Err(Error::usage(message).hint("name the sessions as operands"));
        }
        Ok(())
    }

    /// The only prompt of the flags.
    pub fn single_prompt(&self) -> Result<String> {
        match (&self.prompt[..], &self.prompt_file) {
            ([prompt], None) => Ok(prompt.clone()),
            ([], Some(path)) => read_prompt(path),
            ([], None) => Err(needs_prompt("the prompt is missing")),
            _ => Err(Error::usage("only one prompt may be given, by --prompt or --prompt-file")),
        }
    }

    /// The absolute paths of the images. A missing image is an error: Codex would send the prompt without it.
    pub fn images(&self) -> Result<Vec<String>> {
        self.images.iter().map(|image| resolve_file(image, "open the image")).collect()
    }
}

fn needs_prompt(message: impl Into<String>) -> Error {
    Error::usage(message).hint("give a prompt by --prompt TEXT or --prompt-file FILE")
}

/// The real path of a file of a job. `verb` is the attempt, for the error.
pub fn resolve_file(path: &Path, verb: &str) -> Result<String> {
    let real = std::fs::canonicalize(path).context(verb, path)?;
    if !real.is_file() {
        let why = if real.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(Error::usage(format!("cannot {verb} '{}': {why}", path.display())));
    }
    real.into_os_string().into_string().map_err(|path| {
        Error::new(format!("cannot {verb} '{}': the path is not UTF-8", path.to_string_lossy()))
    })
}

/// Reads a file as a prompt; `-` is standard input.
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
