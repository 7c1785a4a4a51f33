//! The flags themselves: words, values, setters.

use std::time::Duration;

use crate::commands::flags::{Common, Jobs};
use crate::record::job::Sandbox;
use crate::record::job::check_argument;
use crate::record::settings::{Interrupted, OnBusy, OnLimit};
use codex_agent_shared::cli::{Flag, Takes, Value};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::time::parse_duration;

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
        more: "As an operand, but '-' and the words of verbs are no different from others here. Where several may be said, again for one more.",
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
        set: |args, value| match args.as_mut().prompt_file.replace(value.path()) {
            None => Ok(()),
            Some(_) => Err(Error::usage("there is one already; several prompts come from standard input")),
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
            args.as_mut().max_concurrent = Some(value.within(1, 256)?);
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

/// A length of time after which a job is stopped.
fn patience(value: Value) -> Result<Duration> {
    let text = value.text()?;
    match parse_duration(&text)? {
        Duration::ZERO => Err(Error::usage(format!("cannot take '{text}': no job would be done in that"))),
        time => Ok(time),
    }
}

/// `--timeout`
pub const fn timeout<A: AsMut<Jobs>>() -> Flag<A> {
    time("timeout", "stop a job that takes longer, such as 90s or 1h30m", "", |args, value| {
        args.as_mut().patience.timeout = Some(patience(value)?);
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
            args.as_mut().patience.idle = Some(patience(value)?);
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
            args.as_mut().patience.network = Some(patience(value)?);
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
            args.as_mut().retries = Some(value.within(0, 1000)? as u32);
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
        help: "at a usage limit: stop, wait until it resets, or try anyway",
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
            check_argument(&text)?;
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
        codex_agent_shared::cli::flags::codex(),
    ]
}

/// What is shown of a run.
pub const fn shown<A: AsMut<Jobs> + AsMut<Common>>() -> [Flag<A>; 3] {
    [
        codex_agent_shared::cli::flags::json("events as records, one a line, each as it happens"),
        answers(),
        events(),
    ]
}

/// `--max-failures`
pub const fn max_failures<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "max-failures",
        takes: Takes::Text("N"),
        help: "start nothing more after N failures",
        more: "A failure that any job would meet (no login, a usage limit, a Codex that cannot be run) ends a run at once, and so do three Codexes in a row that end before they have begun.",
        set: |args, value| {
            args.as_mut().max_failures = Some(value.within(1, usize::MAX)?);
            Ok(())
        },
    }
}

/// `--on-busy`
pub const fn on_busy<A: AsMut<Jobs>>() -> Flag<A> {
    Flag {
        short: None,
        long: "on-busy",
        takes: Takes::Words("WHAT", &["wait", "wait=", "skip", "fork", "fail"]),
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
        help: "for a job that was interrupted",
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
        more: "Of one job the bare message; of several, and of a queue that is being run, each under a line '==> ID <=='. It goes with neither --json nor --events.",
        set: |args, _| {
            args.as_mut().answers = true;
            Ok(())
        },
    }
}
