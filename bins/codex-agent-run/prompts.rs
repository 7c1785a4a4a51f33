//! Reads prompts and job records, and plans jobs. All input is read before a job is started; an invalid line
//! means that no job is started.

use std::io;
use std::path::{Path, PathBuf};

use codex_agent_engine::codex::worktree::check_repository;
use codex_agent_engine::commands::prompts;
use codex_agent_engine::commands::run_jobs::run_jobs;
use codex_agent_engine::commands::run_once::run_once;
use codex_agent_engine::commands::slips::Operands;
use codex_agent_engine::commands::worker;
use codex_agent_engine::{Job, Options, Plan, Sandbox};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Context, Error, Exit, Result, warn};
use codex_agent_shared::ndjson::{Item, Records, json_reason};
use codex_agent_shared::text::cell;
use serde_json::value::RawValue;

use super::Args;

pub(super) fn run(args: Args) -> Result<Exit> {
    if args.own.worker {
        return run_worker(&args);
    }
    if args.own.once && !args.own.job_records {
        return Err(Error::usage("--once needs --jobs: only a job record has a run and an id"));
    }
    if args.own.once && args.jobs.on.is_some() {
        return Err(
            Error::usage("--once cannot be combined with --on").hint("a host is given each job once anyway")
        );
    }
    let base = default_job(&args)?;
    if args.own.once {
        let home = base.codex_home.clone();
        return run_once(&args.common, &args.jobs, home, |add| read(&args, &base, add));
    }
    let subject = base.cwd.as_deref().map(Path::new).and_then(Path::file_name);
    let subject = subject.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = if args.own.job_records { "jobs" } else { "new" };
    let plan = Plan::new(kind, &subject, base.codex_home.clone());
    run_jobs(plan, &args.common, &args.jobs, &|| Ok(()), |_, add| read(&args, &base, add))
}

fn run_worker(args: &Args) -> Result<Exit> {
    let is_given = [
        (args.own.job_records, "--jobs"),
        (args.own.once, "--once"),
        (args.jobs.has_prompt() || !args.operands.is_empty(), "a prompt"),
        (args.jobs.on.is_some(), "--on"),
        (args.jobs.dry_run, "--dry-run"),
    ];
    if let Some((_, what)) = is_given.into_iter().find(|(is_given, _)| *is_given) {
        return Err(Error::usage(format!("--worker cannot be combined with {what}"))
            .hint("the jobs of a worker come as records from standard input"));
    }
    worker::work(&args.common, &args.jobs)
}

/// The defaults of all jobs.
fn default_job(args: &Args) -> Result<Job> {
    let mut job = Job::new(String::new());
    let text = |path: PathBuf| {
        path.into_os_string().into_string().map_err(|path| {
            Error::new(format!("cannot change to '{}': the path is not UTF-8", path.to_string_lossy()))
        })
    };
    let cwd = args.own.cwd.clone().unwrap_or_else(|| PathBuf::from("."));
    let is_elsewhere = args.jobs.on.is_some();
    let cwd = match std::fs::canonicalize(&cwd) {
        // The directory may be one of the hosts.
        Err(_) if is_elsewhere && cwd.is_absolute() => cwd,
        found => found.context("change to", &cwd)?,
    };
    if !cwd.is_dir() && !is_elsewhere {
        return Err(Error::new(format!("cannot change to '{}': it is not a directory", cwd.display())));
    }
    if args.jobs.options.worktree && !args.own.job_records && !is_elsewhere {
        check_repository(&cwd).map_err(|error| error.hint("nothing was started"))?;
    }
    job.cwd = Some(text(cwd)?);
    job.images = args.jobs.images()?;
    job.codex_home = args.common.codex_home_of_jobs()?;
    job.options = args.jobs.options()?;
    Ok(job)
}

/// Calls `add` with every job of the arguments and of standard input.
fn read(args: &Args, base: &Job, add: &mut dyn FnMut(Job) -> Result<()>) -> Result<()> {
    if args.own.job_records {
        let mut operands = args.operands.iter().filter(|operand| *operand != "-");
        if let Some(extra) = operands.next().or(args.jobs.prompt.first()) {
            let message = format!("unexpected prompt '{extra}': with --jobs each job has its own prompt");
            return Err(Error::usage(message));
        }
        if args.jobs.prompt_file.is_some() {
            let message = "--prompt-file cannot be combined with --jobs: each job has its own prompt";
            return Err(Error::usage(message));
        }
        return read_jobs(args, base, add);
    }
    let operands = Operands { words: &args.operands, queue: None, is_literal: args.has_end_of_flags };
    prompts::read(&args.jobs, &operands, &mut |given| {
        let mut job = base.with_prompt(given.prompt);
        job.images.extend(given.images);
        add(job)
    })
}

/// Refuses a job without a sandbox unless the flags have the same option, since a record may come from anywhere. An
/// accepted job without a sandbox is reported.
fn check_sandbox(job: &Job, all: &Options, line: u64) -> Result<()> {
    let Some(word) = job.options.find_sandbox_bypass() else { return Ok(()) };
    let name = if job.id.is_empty() { String::new() } else { format!(" '{}'", cell(&job.id, 60)) };
    let is_mode = word == Sandbox::DangerFullAccess.word();
    if !all.bypass && all.find_sandbox_bypass().filter(|own| is_mode || *own == word).is_none() {
        let message = format!("job{name} asks to run without a sandbox ('{}')", cell(word, 80));
        return Err(Error::usage(message).within(format_args!("stdin:{line}")).hint(
            "nothing was started; --dangerously-bypass-approvals-and-sandbox or --sandbox=danger-full-access \
             beside --jobs allows it",
        ));
    }
    warn(format_args!("stdin:{line}: job{name} runs without a sandbox ('{}')", cell(word, 80)));
    Ok(())
}

/// Reads a job record. The error names what the line is instead.
fn read_job(line: &Item<Box<RawValue>>) -> Result<Job> {
    #[derive(serde::Deserialize)]
    struct Kind<'k> {
        #[serde(rename = "type", borrow)]
        kind: Option<std::borrow::Cow<'k, str>>,
    }
    let refused = |what: String, hint: &str| {
        Err(Error::new(format!("expected a job record, {what}")).hint(hint.to_owned()))
    };
    let without = "without --jobs, each line is a prompt";
    let text = match line {
        Item::Text(text) => return refused(format!("not '{}'", cell(text, 60)), without),
        Item::Json(json) => json.get(),
    };
    let kind = serde_json::from_str::<Kind<'_>>(text).ok().and_then(|record| record.kind);
    match kind.as_deref() {
        Some("job") => serde_json::from_str(text)
            .map_err(|error| Error::new(format!("invalid job record: {}", json_reason(&error)))),
        Some("prompt") => {
            refused("not one of type 'prompt'".to_owned(), "without --jobs, prompt records are read")
        }
        Some("session") => refused(
            "not one of type 'session'".to_owned(),
            "'codex-agent resume --prompt TEXT -' sends a prompt to the sessions of standard input",
        ),
        Some(other) => refused(
            format!("not one of type '{}'", cell(other, 60)),
            "'codex-agent run --dry-run' prints job records",
        ),
        None => refused(format!("not '{}'", cell(text, 60)), without),
    }
}

fn read_jobs(args: &Args, base: &Job, add: &mut dyn FnMut(Job) -> Result<()>) -> Result<()> {
    let mut records = Records::<_, Box<RawValue>>::new("stdin", io::stdin().lock());
    while let Some(next) = records.next_item() {
        let next = next.map_err(|failure| failure.error)?;
        let mut job =
            read_job(&next.value).map_err(|error| error.within(format_args!("stdin:{}", next.line)))?;
        // A session has its own directory.
        if job.cwd.is_none() && (job.session.is_none() || args.own.cwd.is_some()) {
            job.cwd.clone_from(&base.cwd);
        }
        job.codex_home = job.codex_home.or_else(|| base.codex_home.clone());
        job.images.extend_from_slice(&base.images);
        check_sandbox(&job, &base.options, next.line)?;
        let (own, all) = (&mut job.options, &base.options);
        if own.bypass && own.sandbox.is_some() {
            let message = "the fields 'sandbox' and 'bypass' of a job cannot be combined";
            return Err(Error::usage(message).within(format_args!("stdin:{}", next.line)));
        }
        own.model = own.model.take().or_else(|| all.model.clone());
        own.bypass |= all.bypass && own.sandbox.is_none();
        own.sandbox = own.sandbox.or(all.sandbox).filter(|_| !own.bypass);
        own.output_schema = own.output_schema.take().or_else(|| all.output_schema.clone());
        own.args.splice(0..0, all.args.iter().cloned());
        own.skip_git_repo_check |= all.skip_git_repo_check;
        own.worktree |= all.worktree;
        own.config.splice(0..0, all.config.iter().cloned());
        add(job).map_err(|error| error.within(format_args!("stdin:{}", next.line)))?;
    }
    Ok(())
}
