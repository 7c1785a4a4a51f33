//! The flags of tools that run jobs.

use std::time::Duration;

use crate::commands::flags::Args;
use crate::record::job::{Sandbox, check_argument};
use crate::record::settings::{Interrupted, OnBusy, OnLimit};
use codex_agent_shared::cli::{self, Takes, Value, flags};
use codex_agent_shared::error::Error;
use codex_agent_shared::record::Field;
use codex_agent_shared::time::parse_duration;

/// A flag of a tool that runs jobs, with own arguments of type `O`.
pub type Flag<O> = cli::Flag<Args<O>>;

/// `--new`
pub fn new<O: 'static>() -> Flag<O> {
    let help = "start a new run even if an unfinished run exists";
    Flag::<O>::switch("new", help, |args| &mut args.jobs.new).more(
        "Without --new the unfinished run is reported and nothing is started, so that a command that is repeated after a \
         crash does not send its prompt twice.",
    )
}

/// `--prompt`
pub fn prompt<O: 'static>() -> Flag<O> {
    let help = "the prompt, which may begin with a dash";
    Flag::<O>::text("prompt", "TEXT", help, |args| &mut args.jobs.prompt).short('p').more(
        "The same as an operand, but '-' and the names of verbs have no special meaning. May be given more than once \
         where several prompts are accepted.",
    )
}

/// `--prompt-file`
pub fn prompt_file<O: 'static>() -> Flag<O> {
    let help = "use the contents of this file as the prompt; - is standard input";
    Flag::<O>::new("prompt-file", Takes::File("FILE"), help, |args, value| {
        match args.jobs.prompt_file.replace(value.path()) {
            None => Ok(()),
            Some(_) => Err(Error::usage("may be given only once")
                .hint("standard input can have several prompts, one a line")),
        }
    })
}

/// `--text`
pub fn text<O: 'static>() -> Flag<O> {
    let help = "read each line of standard input as a prompt, even if it begins with {";
    Flag::<O>::switch("text", help, |args| &mut args.jobs.text)
        .more("By default a line that begins with { is a prompt record.")
}

/// `-0`
pub fn null<O: 'static>() -> Flag<O> {
    let help = "prompts from standard input end with NUL instead of a newline";
    Flag::<O>::switch("null", help, |args| &mut args.jobs.nul).short('0')
}

/// `--dry-run`
pub fn dry_run<O: 'static>() -> Flag<O> {
    let help = "print the jobs as records, and start nothing";
    Flag::<O>::switch("dry-run", help, |args| &mut args.jobs.dry_run).short('n')
}

/// `--model`
pub fn model<O: 'static>() -> Flag<O> {
    Flag::<O>::text("model", "MODEL", "the model", |args| &mut args.jobs.options.model)
        .short('m')
        .offers(Field::Model)
}

/// `--sandbox`
pub fn sandbox<O: 'static>() -> Flag<O> {
    let help = "the sandbox of Codex";
    Flag::<O>::choice::<Sandbox, _>("sandbox", "MODE", help, |args| &mut args.jobs.options.sandbox).short('s').more(
        "A new session has Codex's own default. A resumed session keeps its last mode, but has workspace-write at most: \
         danger-full-access must be given explicitly.",
    )
}

/// `--image`
pub fn image<O: 'static>() -> Flag<O> {
    Flag::<O>::file("image", "an image to send with each prompt", |args| &mut args.jobs.images)
        .short('i')
        .more("May be given more than once.")
}

/// `--config`
pub fn config<O: 'static>() -> Flag<O> {
    let pair = |value: Value| {
        let text = value.text()?;
        match text.find('=') {
            None | Some(0) => Err(Error::usage(format!("invalid value '{text}': expected KEY=VALUE"))),
            Some(_) => Ok(text),
        }
    };
    let (takes, help) = (Takes::Text("KEY=VALUE"), "a setting of Codex's configuration");
    Flag::<O>::parsed("config", takes, help, pair, |args| &mut args.jobs.options.config)
        .short('c')
        .more("The same as 'codex -c'. May be given more than once.")
}

/// `--skip-git-repo-check`
pub fn skip_git_repo_check<O: 'static>() -> Flag<O> {
    let help = "let Codex work outside a git repository";
    Flag::<O>::switch("skip-git-repo-check", help, |args| &mut args.jobs.options.skip_git_repo_check)
}

/// `--dangerously-bypass-approvals-and-sandbox`
pub fn bypass<O: 'static>() -> Flag<O> {
    let help = "let Codex run everything without approval or sandbox; cannot be abbreviated";
    Flag::<O>::switch("dangerously-bypass-approvals-and-sandbox", help, |args| &mut args.jobs.options.bypass)
}

/// `--output-schema`
pub fn output_schema<O: 'static>() -> Flag<O> {
    let help = "a JSON Schema that the last message must follow";
    Flag::<O>::file("output-schema", help, |args| &mut args.jobs.output_schema)
}

/// `--codex-arg`
pub fn codex_arg<O: 'static>() -> Flag<O> {
    let checked = |value: Value| value.text().and_then(|text| check_argument(&text).map(|()| text));
    let (takes, help) = (Takes::Text("ARG"), "pass this argument to Codex");
    Flag::<O>::parsed("codex-arg", takes, help, checked, |args| &mut args.jobs.options.args).more(
        "The argument is passed before the session, for example --codex-arg=--search, or with a value \
         --codex-arg=--add-dir=/tmp. May be given more than once.",
    )
}

/// `--events`
pub fn events<O: 'static>() -> Flag<O> {
    let help = "print Codex's own events too, as job.event";
    Flag::<O>::switch("events", help, |args| &mut args.jobs.events)
        .more("Events are printed unchanged, as they happen. The log of the run does not have them.")
}

/// `--answers`
pub fn answers<O: 'static>() -> Flag<O> {
    let help = "print only the last message of each session";
    Flag::<O>::switch("answers", help, |args| &mut args.jobs.answers).more(
        "If there are several jobs, and in a queue that is being run, each message follows a line '==> ID <=='. \
         Not with --json or --events.",
    )
}

/// The heading of [`codex_options`] and [`run_options`] in the tools whose manual page refers to that of
/// codex-agent-run.
pub const RUN_OPTIONS: &str = "Run options; see codex-agent-run(1)";

/// The options for Codex, for every tool that runs jobs.
pub fn codex_options<O: 'static>() -> [Flag<O>; 7] {
    [model(), sandbox(), config(), output_schema(), skip_git_repo_check(), codex_arg(), bypass()]
}

/// A time limit of a job.
fn time_limit<O: 'static>(
    long: &'static str,
    help: &'static str,
    place: fn(&mut Args<O>) -> &mut Option<Duration>,
) -> Flag<O> {
    let parse = |value: Value| {
        let text = value.text()?;
        match parse_duration(&text)? {
            Duration::ZERO => Err(Error::usage(format!("invalid value '{text}': it must be longer than 0"))),
            time => Ok(time),
        }
    };
    Flag::<O>::parsed(long, Takes::Text("TIME"), help, parse, place)
}

/// The options of a run, for every tool that runs jobs.
pub fn run_options<O: 'static>() -> [Flag<O>; 8] {
    let on_busy = |value: Value| OnBusy::parse(&value.text()?);
    [
        Flag::<O>::number("max-failures", "N", 1.., "stop starting jobs after N failures", |args| {
            &mut args.jobs.max_failures
        })
        .more(
            "A run ends immediately on a failure that all jobs have in common (no login, a usage limit, a Codex that \
             cannot be run), and when three jobs in a row fail before Codex has started.",
        ),
        Flag::<O>::number("retries", "N", 0..=1000, "retry a job up to N times on transient failures", |args| {
            &mut args.jobs.retries
        })
        .default("0")
        .more(
            "Transient failures are an overloaded or silent service, a rate limit, and no network. A job is retried \
             only if Codex has done nothing yet. The delay grows with each retry. The session of a retried job has \
             the prompt twice, and the events of the job have the field resent.",
        ),
        Flag::<O>::parsed(
            "on-busy",
            Takes::Words("ACTION", OnBusy::values),
            "the action for a session that is in use",
            on_busy,
            |args| &mut args.jobs.on_busy,
        )
        .default("wait=90s")
        .more("A background process of Codex uses a session for a minute after the Codex TUI was closed."),
        Flag::<O>::choice::<OnLimit, _>("on-limit", "ACTION", "the action at a usage limit", |args| {
            &mut args.jobs.on_limit
        })
        .default("stop"),
        time_limit("timeout", "stop a job that runs longer than TIME, such as 90s or 1h30m", |args| {
            &mut args.jobs.patience.timeout
        }),
        time_limit("idle-timeout", "stop a job that prints nothing for TIME", |args| {
            &mut args.jobs.patience.idle
        })
        .more("Codex prints nothing while it runs a long command."),
        time_limit("network-timeout", "stop a job that has no network for TIME", |args| {
            &mut args.jobs.patience.network
        })
        .more("By default a job waits for the network without a limit."),
        Flag::<O>::choice::<Interrupted, _>("interrupted", "ACTION", "the action for an interrupted job", |args| {
            &mut args.jobs.interrupted
        })
        .default("fail"),
    ]
}

/// The options of a run, for every tool that runs several jobs at a time.
pub fn concurrent_run_options<O: 'static>() -> impl Iterator<Item = Flag<O>> {
    let help = "run at most N jobs at a time";
    let max_concurrent =
        Flag::<O>::number("max-concurrent", "N", 1..=256, help, |args| &mut args.jobs.max_concurrent)
            .short('j')
            .default("3")
            .more("runs.max_concurrent in config.toml sets another default.");
    [max_concurrent].into_iter().chain(run_options())
}

/// The output formats of a run.
pub fn output_options<O: 'static>() -> [Flag<O>; 3] {
    [flags::json("print events as records, one a line, as they happen"), answers(), events()]
}

/// Records each of these flags that is given, for [`super::Jobs::check_has_prompt`].
pub fn with_prompt<O: 'static>(flags: impl IntoIterator<Item = Flag<O>>) -> impl Iterator<Item = Flag<O>> {
    flags.into_iter().map(|flag| flag.noted(|args| &mut args.jobs.with_prompt))
}
