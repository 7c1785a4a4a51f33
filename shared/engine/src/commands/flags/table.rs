//! The flags of tools that run jobs.

use std::time::Duration;

use crate::commands::flags::{Args, Until};
use crate::record::job::{Sandbox, check_argument};
use crate::record::settings::{Interrupted, OnBusy, OnLimit};
use crate::show::records::Only;
use codex_agent_shared::cli::{self, Takes, Value, filters, flags, suggestions};
use codex_agent_shared::error::Error;
use codex_agent_shared::host::{ALL, HERE, Host, HostList, check_name};
use codex_agent_shared::record::Field;
use codex_agent_shared::time::{parse_duration, parse_moment};

/// A flag of a tool that runs jobs, with own arguments of type `O`.
pub type Flag<O> = cli::Flag<Args<O>>;

/// `--new`
pub fn new<O: 'static>() -> Flag<O> {
    let help = "start a new run even if an unfinished run exists";
    Flag::<O>::switch("new", help, |args| &mut args.jobs.new).more(
        "Without --new, the command reports the unfinished run and starts no job, so that a command that is repeated \
         after a crash does not send its prompt twice.",
    )
}

/// `--prompt`
pub fn prompt<O: 'static>() -> Flag<O> {
    let help = "use TEXT as the prompt; TEXT may begin with a dash";
    Flag::<O>::text("prompt", "TEXT", help, |args| &mut args.jobs.prompt).short('p').more(
        "TEXT is sent unchanged: '-' and the names of verbs have no special meaning, unlike in an operand. A command \
         that accepts several prompts accepts this option more than once.",
    )
}

/// `--prompt-file`
pub fn prompt_file<O: 'static>() -> Flag<O> {
    let help = "use the contents of FILE as the prompt; - means standard input";
    Flag::<O>::new("prompt-file", Takes::File("FILE"), help, |args, value| {
        match args.jobs.prompt_file.replace(value.path()) {
            None => Ok(()),
            Some(_) => Err(Error::usage("the flag may be given only once")
                .hint("standard input can have several prompts, one per line")),
        }
    })
}

/// `--text`
pub fn text<O: 'static>() -> Flag<O> {
    let help = "read each line of standard input as a prompt, even a line that begins with {";
    Flag::<O>::switch("text", help, |args| &mut args.jobs.text)
        .more("By default, a line that begins with { is read as a prompt record.")
}

/// `-0`
pub fn null<O: 'static>() -> Flag<O> {
    let help = "expect NUL instead of a newline after each prompt in standard input";
    Flag::<O>::switch("null", help, |args| &mut args.jobs.nul).short('0')
}

/// `--dry-run`
pub fn dry_run<O: 'static>() -> Flag<O> {
    let help = "print the jobs as records, and start no job";
    Flag::<O>::switch("dry-run", help, |args| &mut args.jobs.dry_run)
}

/// `--yes`
pub fn yes<O: 'static>() -> Flag<O> {
    let help = "do not ask for confirmation before many sessions are started";
    Flag::<O>::switch("yes", help, |args| &mut args.jobs.yes).short('y').more(
        "A run of more than 20 sessions asks for confirmation if standard input and standard error are a terminal, and \
         starts nothing without a confirmation. The setting runs.confirm_above in config.toml changes the number; 0 \
         means every run.",
    )
}

/// `--model`
pub fn model<O: 'static>() -> Flag<O> {
    Flag::<O>::text("model", "MODEL", "the model that Codex uses", |args| &mut args.jobs.options.model)
        .short('m')
        .offers(Field::Model)
}

/// `--sandbox`
pub fn sandbox<O: 'static>() -> Flag<O> {
    let help = "the mode of the sandbox in which Codex runs commands";
    Flag::<O>::choice::<Sandbox, _>("sandbox", "MODE", help, |args| &mut args.jobs.options.sandbox).short('s').more(
        "Without this option, a new session has Codex's default, and a resumed session keeps the mode of its last turn. \
         The exception is danger-full-access: such a session gets workspace-write, unless this option is given.",
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
    let (takes, help) = (Takes::Text("KEY=VALUE"), "a setting that overrides Codex's config.toml");
    Flag::<O>::parsed("config", takes, help, pair, |args| &mut args.jobs.options.config)
        .short('c')
        .more("The same as the option -c of Codex. May be given more than once.")
}

/// `--skip-git-repo-check`
pub fn skip_git_repo_check<O: 'static>() -> Flag<O> {
    let help = "let Codex work outside a git repository";
    Flag::<O>::switch("skip-git-repo-check", help, |args| &mut args.jobs.options.skip_git_repo_check)
}

/// `--dangerously-bypass-approvals-and-sandbox`
pub fn bypass<O: 'static>() -> Flag<O> {
    let help = "let Codex run every command without approval and without a sandbox; this option cannot be abbreviated";
    Flag::<O>::switch("dangerously-bypass-approvals-and-sandbox", help, |args| &mut args.jobs.options.bypass)
}

/// `--worktree`
pub fn worktree<O: 'static>() -> Flag<O> {
    let help = "begin each new session in a git worktree of its own, which Codex creates";
    Flag::<O>::switch("worktree", help, |args| &mut args.jobs.options.worktree).more(
        "The worktree is in the directory worktrees of Codex's home, at the commit that is checked out, without \
         uncommitted changes. The session stays there when it is resumed; codex-agent(7) describes worktrees. Codex \
         0.156 or later is needed, and a git repository.",
    )
}

/// `--output-schema`
pub fn output_schema<O: 'static>() -> Flag<O> {
    let help = "a file with a JSON Schema that the last message of the turn must follow";
    Flag::<O>::file("output-schema", help, |args| &mut args.jobs.output_schema)
}

/// `--codex-arg`
pub fn codex_arg<O: 'static>() -> Flag<O> {
    let checked = |value: Value| value.text().and_then(|text| check_argument(&text).map(|()| text));
    let (takes, help) = (Takes::Text("ARG"), "pass this argument to Codex");
    Flag::<O>::parsed("codex-arg", takes, help, checked, |args| &mut args.jobs.options.args).more(
        "ARG precedes the id of the session in the command line of Codex. Examples: --codex-arg=--search, and with a \
         value --codex-arg=--add-dir=/tmp. May be given more than once.",
    )
}

/// `--events`
pub fn events<O: 'static>() -> Flag<O> {
    let help = "also print Codex's own events, as records of type job.event";
    Flag::<O>::switch("events", help, |args| &mut args.jobs.events)
        .more("These events are printed unchanged, as they happen, and are not saved in the log.")
}

/// `--answers`
pub fn answers<O: 'static>() -> Flag<O> {
    let help = "print only the last message of each session";
    Flag::<O>::switch("answers", help, |args| &mut args.jobs.answers).more(
        "In a run of several jobs, and in a run of a queue, a line '==> ID <==' with the id of the session precedes \
         each message. This option cannot be combined with --json or --events.",
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
            "Even without this option, a run ends immediately after a failure that every job would have (no login, a \
             usage limit, a Codex that cannot be run), and after three jobs in a row failed before Codex has started.",
        ),
        Flag::<O>::number("retries", "N", 0..=1000, "retry a job up to N times on transient failures", |args| {
            &mut args.jobs.retries
        })
        .default("0")
        .more(
            "Transient failures are an overloaded or silent service, a rate limit, and no network. A job is retried \
             only if Codex has done nothing yet. The delay grows with each retry. The session of a retried job has \
             the prompt twice, and in the event job.started of the retry the field resent is true.",
        ),
        Flag::<O>::parsed(
            "on-busy",
            Takes::Words("ACTION", OnBusy::values),
            "the action if the session of a job is in use",
            on_busy,
            |args| &mut args.jobs.on_busy,
        )
        .default("wait=90s")
        .more("After the Codex TUI was closed, a background process of Codex still uses the session for a minute."),
        Flag::<O>::choice::<OnLimit, _>("on-limit", "ACTION", "the action when a job reaches a usage limit", |args| {
            &mut args.jobs.on_limit
        })
        .default("stop"),
        time_limit("timeout", "stop a job that runs longer than TIME, such as 90s or 1h30m", |args| {
            &mut args.jobs.patience.timeout
        }),
        time_limit("idle-timeout", "stop a job whose Codex prints nothing for TIME", |args| {
            &mut args.jobs.patience.idle
        })
        .more("Codex prints nothing while it runs a long command."),
        time_limit("network-timeout", "stop a job that has no network for TIME", |args| {
            &mut args.jobs.patience.network
        })
        .more("By default, a job waits for the network without a time limit."),
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
            .more("The setting runs.max_concurrent in config.toml changes the default.");
    [max_concurrent].into_iter().chain(run_options())
}

/// `--give-up`
pub fn give_up<O: 'static>() -> Flag<O> {
    let name = |value: Value| {
        let name = value.text()?;
        check_name(&name).map(|()| name)
    };
    let help = "do not ask HOST for its jobs: they were interrupted";
    let flag = Flag::<O>::parsed("give-up", Takes::Text("HOST"), help, name, |args| &mut args.jobs.given_up);
    flag.suggests(suggestions::hosts).more(
        "For a host that is gone for good. The jobs may have been carried out there, so they are not begun again; \
         'codex-agent run retry --interrupted' does that. Jobs for sessions of HOST that were not sent fail. May be given \
         more than once.",
    )
}

/// `--on`
pub fn on<O: 'static>() -> Flag<O> {
    let hosts = |value: Value| HostList::parse_with_slots(&value.text()?);
    let help = "carry out the jobs on these hosts";
    let takes = Takes::List("HOST[:N],...", names_of_hosts);
    Flag::<O>::parsed("on", takes, help, hosts, |args| &mut args.jobs.on).more(
        "HOST is a host of config.toml or a name for ssh, 'all' is every host of config.toml, and N is the number of \
         jobs that run there at a time, instead of host.NAME.max_concurrent and --max-concurrent. With \
         --max-concurrent, so many jobs run at a time on all hosts. The run stays here: its journal, its counts and \
         its commands. See codex-agent-distributed(7).",
    )
}

/// The hosts that carry out jobs, which this machine does without.
fn names_of_hosts() -> Vec<(&'static str, &'static str)> {
    flags::host_names().into_iter().filter(|(name, _)| *name != HERE).collect()
}

/// `--on`, for a tool whose sessions are also selected by their time.
pub fn on_time_or_hosts<O: 'static>() -> Flag<O> {
    let help = "select only sessions updated within TIME, or send the prompt on these hosts";
    Flag::<O>::new("on", Takes::Text("TIME|HOST[:N],..."), help, |args, value| {
        let text = value.text()?;
        let list = HostList::parse_with_slots(&text);
        let is_host = |list: &HostList| {
            let names: Vec<&str> = list.names().collect();
            text.contains(':') || names.contains(&ALL) || names.iter().any(|name| matches!(Host::configured(name), Ok(Some(_))))
        };
        match (list, parse_moment(&text)) {
            // The name of a configured host may be that of a day.
            (Ok(list), time) if is_host(&list) || time.is_err() => {
                args.jobs.with_prompt.push("on");
                args.jobs.on = Some(list);
                Ok(())
            }
            _ => filters::select_on(&mut args.common, &text),
        }
    })
    .suggests(|typed| suggestions::times(typed).into_iter().chain(suggestions::hosts(typed)).collect())
    .more(
        "TIME is a day, week, month or year, such as yesterday, 'last week' or 2026-11. Any other word, and the name of a \
         host of config.toml, is a host: the prompt is sent to sessions of this host. N is the number of jobs that run there at a time. See codex-agent-distributed(7).",
    )
}

/// The options of a tool that follows sessions.
pub fn watch_options<O: 'static>() -> [Flag<O>; 5] {
    [
        Flag::<O>::number("last", "N", 1.., "print the last N turns of each session first", |args| {
            &mut args.jobs.watch.last
        })
        .short('n'),
        Flag::<O>::parsed(
            "only",
            Takes::Text("WORDS"),
            "print only these records, such as user,assistant,turn,session",
            |value| Only::parse(&value.text()?),
            |args| &mut args.jobs.watch.only,
        )
        .more("WORDS are names of roles of items, with commas between them (user, assistant, reasoning, plan, command, output, script, patch, todo, search, tool, image, question, agent, review, compaction, goal), 'turn' for the start and end of turns, and 'session' for changes of a session, such as of its status. See codex-agent-records(5)."),
        Flag::<O>::choice::<Until, _>("until", "CONDITION", "end when the condition holds", |args| {
            &mut args.jobs.watch.until
        })
        .more("The command ends at once if no followed session has a running turn. The turn of a process that has died counts as interrupted after a few seconds; on a system without /proc this is not known, and the command waits."),
        Flag::<O>::switch("exit-status", "exit with status 1 if the last turn of a session failed or was interrupted", |args| {
            &mut args.jobs.watch.exit_status
        })
        .more("This option is for --until."),
        Flag::<O>::switch("full", "print texts as a whole, with all of their lines", |args| {
            &mut args.jobs.watch.full
        })
        .more("By default a text is one line on a terminal, cut to its width."),
    ]
}

/// The output formats of a run.
pub fn output_options<O: 'static>() -> [Flag<O>; 3] {
    [flags::json("print events as JSON records, one per line, as they happen"), answers(), events()]
}

/// Records each of these flags that is given, for [`super::Jobs::check_has_prompt`].
pub fn with_prompt<O: 'static>(flags: impl IntoIterator<Item = Flag<O>>) -> impl Iterator<Item = Flag<O>> {
    flags.into_iter().map(|flag| flag.noted(|args| &mut args.jobs.with_prompt))
}
