//! The flags themselves: words, values, places.

use std::time::Duration;

use crate::commands::flags::Args;
use crate::record::job::Sandbox;
use crate::record::job::check_argument;
use crate::record::settings::{Interrupted, OnBusy, OnLimit};
use codex_agent_shared::cli::{self, Takes, Value, flags};
use codex_agent_shared::error::Error;
use codex_agent_shared::time::parse_duration;

/// A flag of a tool that runs jobs, with own arguments of type `O`.
pub type Flag<O> = cli::Flag<Args<O>>;

/// `--new`
pub fn new<O: 'static>() -> Flag<O> {
    let help = "begin a new run although one of the same kind has work left";
    Flag::switch("new", help, |args: &mut Args<O>| &mut args.jobs.new).more(
        "Without --new the run with work left is named, and nothing is done: repeated after a crash, a command must not \
         send its prompt twice.",
    )
}

/// `--prompt`
pub fn prompt<O: 'static>() -> Flag<O> {
    let help = "the prompt, which may begin with a dash";
    Flag::text("prompt", "TEXT", help, |args: &mut Args<O>| &mut args.jobs.prompt).short('p').more(
        "As an operand, but '-' and the words of verbs have no meaning of their own. May be given more than once \
         where there may be several prompts.",
    )
}

/// `--prompt-file`
pub fn prompt_file<O: 'static>() -> Flag<O> {
    let help = "one prompt, the whole of this file; - is standard input";
    Flag::new("prompt-file", Takes::File("FILE"), help, |args: &mut Args<O>, value| {
        match args.jobs.prompt_file.replace(value.path()) {
            None => Ok(()),
            Some(_) => Err(Error::usage("there is one already; several prompts come from standard input")),
        }
    })
}

/// `--text`
pub fn text<O: 'static>() -> Flag<O> {
    let help = "lines from standard input are prompts, also those that begin with {";
    Flag::switch("text", help, |args: &mut Args<O>| &mut args.jobs.text)
        .more("Otherwise a line that begins with { is a prompt record.")
}

/// `-0`
pub fn null<O: 'static>() -> Flag<O> {
    let help = "prompts from standard input end with NUL instead of a newline";
    Flag::switch("null", help, |args: &mut Args<O>| &mut args.jobs.nul).short('0')
}

/// `--dry-run`
pub fn dry_run<O: 'static>() -> Flag<O> {
    let help = "print the jobs as records, and do nothing";
    Flag::switch("dry-run", help, |args: &mut Args<O>| &mut args.jobs.dry_run).short('n')
}

/// `--model`
pub fn model<O: 'static>() -> Flag<O> {
    Flag::text("model", "MODEL", "the model", |args: &mut Args<O>| &mut args.jobs.model).short('m')
}

/// `--sandbox`
pub fn sandbox<O: 'static>() -> Flag<O> {
    let help = "what Codex may touch";
    Flag::choice::<Sandbox, _>("sandbox", "MODE", help, |args: &mut Args<O>| &mut args.jobs.sandbox).short('s').more(
        "New sessions get Codex's own default. A resumed session gets the mode that it had last, but no more than \
         workspace-write; danger-full-access must be written out here.",
    )
}

/// `--image`
pub fn image<O: 'static>() -> Flag<O> {
    Flag::file("image", "an image to send with each prompt", |args: &mut Args<O>| &mut args.jobs.images)
        .short('i')
        .more("May be given more than once.")
}

/// `--config`
pub fn config<O: 'static>() -> Flag<O> {
    let pair = |value: Value| {
        let text = value.text()?;
        match text.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
            true => Err(Error::usage(format!("cannot take '{text}': expected KEY=VALUE"))),
            false => Ok(text),
        }
    };
    let (takes, help) = (Takes::Text("KEY=VALUE"), "a setting of Codex's configuration");
    Flag::parsed("config", takes, help, pair, |args: &mut Args<O>| &mut args.jobs.config)
        .short('c')
        .more("As 'codex -c' accepts it. May be given more than once.")
}

/// `--skip-git-repo-check`
pub fn skip_git_repo_check<O: 'static>() -> Flag<O> {
    let help = "let Codex work outside of git";
    Flag::switch("skip-git-repo-check", help, |args: &mut Args<O>| &mut args.jobs.skip_git_repo_check)
}

/// `--max-concurrent`
pub fn max_concurrent<O: 'static>() -> Flag<O> {
    let help = "run at most N jobs at a time";
    Flag::number("max-concurrent", "N", 1..=256, help, |args: &mut Args<O>| &mut args.jobs.max_concurrent)
        .short('j')
        .default("3")
        .more("runs.max_concurrent in config.toml sets another default.")
}

/// A length of time after which a job is stopped.
fn time<O: 'static>(
    long: &'static str,
    help: &'static str,
    place: fn(&mut Args<O>) -> &mut Option<Duration>,
) -> Flag<O> {
    let parse = |value: Value| {
        let text = value.text()?;
        match parse_duration(&text)? {
            Duration::ZERO => {
                Err(Error::usage(format!("cannot take '{text}': no job would be done in that")))
            }
            time => Ok(time),
        }
    };
    Flag::parsed(long, Takes::Text("TIME"), help, parse, place)
}

/// `--timeout`
pub fn timeout<O: 'static>() -> Flag<O> {
    let help = "stop a job that takes longer, such as 90s or 1h30m";
    time("timeout", help, |args| &mut args.jobs.patience.timeout)
}

/// `--idle-timeout`
pub fn idle_timeout<O: 'static>() -> Flag<O> {
    let help = "stop a job that prints nothing for this long";
    time("idle-timeout", help, |args| &mut args.jobs.patience.idle)
        .more("A long command that Codex runs is silence too.")
}

/// `--network-timeout`
pub fn network_timeout<O: 'static>() -> Flag<O> {
    let help = "stop a job that has no network for this long";
    time("network-timeout", help, |args| &mut args.jobs.patience.network)
        .more("Codex itself waits without end, and continues when the network is back.")
}

/// `--retries`
pub fn retries<O: 'static>() -> Flag<O> {
    let (takes, help) = (Takes::Text("N"), "retry a job up to N times on transient failures");
    let parse = |value: Value| value.within(&(0..=1000)).map(|number| number as u32);
    Flag::parsed("retries", takes, help, parse, |args: &mut Args<O>| &mut args.jobs.retries)
        .default("0")
        .more(
            "Transient failures are an overloaded or silent service, a rate limit, no network; and a job is retried only \
             where Codex has done nothing yet. The waits grow. The prompt is in the session twice then, and the \
             events say resent.",
        )
}

/// `--on-limit`
pub fn on_limit<O: 'static>() -> Flag<O> {
    let help = "what to do at a usage limit";
    Flag::choice::<OnLimit, _>("on-limit", "WHAT", help, |args: &mut Args<O>| &mut args.jobs.on_limit)
        .default("stop")
}

/// `--dangerously-bypass-approvals-and-sandbox`
pub fn bypass<O: 'static>() -> Flag<O> {
    let help = "let Codex do everything; it must be written out";
    Flag::switch("dangerously-bypass-approvals-and-sandbox", help, |args: &mut Args<O>| &mut args.jobs.bypass)
}

/// `--output-schema`
pub fn output_schema<O: 'static>() -> Flag<O> {
    let help = "a JSON Schema that the last message must follow";
    Flag::file("output-schema", help, |args: &mut Args<O>| &mut args.jobs.output_schema)
}

/// `--codex-arg`
pub fn codex_arg<O: 'static>() -> Flag<O> {
    let checked = |value: Value| value.text().and_then(|text| check_argument(&text).map(|()| text));
    let (takes, help) = (Takes::Text("ARG"), "one more argument for Codex, as it stands");
    Flag::parsed("codex-arg", takes, help, checked, |args: &mut Args<O>| &mut args.jobs.args).more(
        "It goes before the session, and is written as --codex-arg=--search; an argument with a value is one word, \
         --codex-arg=--add-dir=/tmp. May be given more than once.",
    )
}

/// `--events`
pub fn events<O: 'static>() -> Flag<O> {
    let help = "Codex's own events too, as job.event";
    Flag::switch("events", help, |args: &mut Args<O>| &mut args.jobs.events)
        .more("Each as Codex printed it, when it printed it. They are not in the log of the run.")
}

/// `--max-failures`
pub fn max_failures<O: 'static>() -> Flag<O> {
    let help = "stop starting jobs after N failures";
    Flag::number("max-failures", "N", 1.., help, |args: &mut Args<O>| &mut args.jobs.max_failures).more(
        "A failure that any job would meet (no login, a usage limit, a Codex that cannot be run) ends a run at \
         once, and so do three Codexes in a row that end before they have begun.",
    )
}

/// `--on-busy`
pub fn on_busy<O: 'static>() -> Flag<O> {
    let (takes, help) = (Takes::Words("WHAT", OnBusy::values), "what to do with a session in use");
    let parse = |value: Value| OnBusy::parse(&value.text()?);
    Flag::parsed("on-busy", takes, help, parse, |args: &mut Args<O>| &mut args.jobs.on_busy)
        .default("wait=90s")
        .more("Codex's own background process keeps a session for a minute after its TUI was closed.")
}

/// `--interrupted`
pub fn interrupted<O: 'static>() -> Flag<O> {
    let help = "what to do with a job that was interrupted";
    Flag::choice::<Interrupted, _>("interrupted", "WHAT", help, |args: &mut Args<O>| {
        &mut args.jobs.interrupted
    })
    .default("fail")
}

/// `--answers`
pub fn answers<O: 'static>() -> Flag<O> {
    let help = "only the last message of each session";
    Flag::switch("answers", help, |args: &mut Args<O>| &mut args.jobs.answers).more(
        "The answer of a single job is the bare message; those of several jobs, and of a queue that is being run, \
         stand each under a line '==> ID <=='. Not with --json or --events.",
    )
}

/// The heading of [`codex_options`] and [`how`] in the tools whose manual page refers to that of codex-agent-run.
pub const RUN_OPTIONS: &str = "Run options; see codex-agent-run(1)";

/// The options for Codex, for every tool that runs jobs.
pub fn codex_options<O: 'static>() -> [Flag<O>; 7] {
    [model(), sandbox(), config(), output_schema(), skip_git_repo_check(), codex_arg(), bypass()]
}

/// The options of a run, for every tool that runs jobs.
pub fn how<O: 'static>() -> [Flag<O>; 8] {
    [
        max_failures(),
        retries(),
        on_busy(),
        on_limit(),
        timeout(),
        idle_timeout(),
        network_timeout(),
        interrupted(),
    ]
}

/// The options of a run, for every tool that runs several jobs at a time.
pub fn how_concurrent<O: 'static>() -> impl Iterator<Item = Flag<O>> {
    [max_concurrent()].into_iter().chain(how())
}

/// The output formats of a run.
pub fn shown<O: 'static>() -> [Flag<O>; 3] {
    [flags::json("events as records, one a line, each as it happens"), answers(), events()]
}

/// Notes each of these flags where it is given, for [`super::Jobs::refuse_without_prompt`].
pub fn with_prompt<O: 'static>(flags: impl IntoIterator<Item = Flag<O>>) -> impl Iterator<Item = Flag<O>> {
    flags.into_iter().map(|flag| flag.noted(|args: &mut Args<O>| &mut args.jobs.with_prompt))
}
