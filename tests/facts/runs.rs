//! Facts about a running Codex: its arguments, output, refusals, exit statuses, and its app-server.

use std::time::Duration;

use codex_agent_engine::Class;
use codex_agent_engine::record::failure::{classify, reset_time};
use codex_agent_shared::codex::rollout;
use codex_agent_shared::time::Timestamp;

use super::lab::{Lab, Outcome, must, said};
use super::list::Fact;
use super::story::long_message;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Outcome {
    must(got == want, || format!("{what} is {got:?}, not {want:?}"))
}

/// Fails unless a run was refused before anything was sent, with a message of this class.
fn refused(lab: &Lab, label: &str, class: Class) -> Outcome {
    let ran = lab.ran(label)?;
    ran.ended("1")?;
    must(ran.out.is_empty(), || format!("'{label}' printed {:?}", ran.out))?;
    let found = classify(None, &ran.err);
    must(found == Some(class), || format!("'{label}' is {found:?}, not {class:?}: {:?}", ran.err))
}

fn kinds(lab: &Lab, label: &str) -> Outcome<Vec<String>> {
    let events = lab.ran(label)?.events();
    let word = |event: &serde_json::Value| event["type"].as_str().map(str::to_owned);
    // Codex prints a warning for a model that it does not know.
    Ok(events.iter().filter(|event| event["item"]["type"] != "error").filter_map(word).collect())
}

pub const FACTS: &[Fact] = &[
    Fact {
        holds: "codex --version prints codex-cli and the version",
        needed_by: &[("engine/src/codex/version.rs", "query_version")],
        proof: |lab| {
            let said_so =
                codex_agent_engine::codex::version::query_version(&lab.codex, Some(&lab.home("main")), None)
                    .map_err(said)?;
            same("the version", said_so, lab.version.clone())
        },
    },
    Fact {
        holds: "each event is a line that begins with its type",
        needed_by: &[("process/output.rs", "read_long_line")],
        proof: |lab| {
            for label in ["new", "shell", "FAIL400", "fork"] {
                let out = lab.ran(label)?.out;
                must(!out.is_empty() && out.lines().all(|line| line.starts_with("{\"type\":\"")), || {
                    format!("'{label}' printed {out:?}")
                })?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "a turn prints thread.started first and turn.completed last, with the last message before it and usage in numbers",
        needed_by: &[
            ("process/output.rs", "apply_event"),
            ("run/transitions.rs", "complete"),
            ("process/judge.rs", "judge"),
        ],
        proof: |lab| {
            let want = ["thread.started", "turn.started", "item.completed", "turn.completed"];
            for label in ["new", "resume", "resume elsewhere", "fork"] {
                lab.ran(label)?.ended("0")?;
                same(label, kinds(lab, label)?, want.map(str::to_owned).to_vec())?;
            }
            let ran = lab.ran("new")?;
            let message = ran.events().into_iter().find(|event| event["item"]["type"] == "agent_message");
            let text = message.and_then(|event| event["item"]["text"].as_str().map(str::to_owned));
            same("the message", text.as_deref(), Some("echo: Fix the login bug"))?;
            let usage = ran.event("turn.completed")?["usage"].clone();
            must(usage["input_tokens"].is_i64() && usage["output_tokens"].is_i64(), || usage.to_string())
        },
    },
    Fact {
        holds: "an item of the type error is a warning, and the turn goes on",
        needed_by: &[("process/output.rs", "apply_event")],
        proof: |lab| {
            let ran = lab.ran("new")?;
            ran.ended("0")?;
            must(ran.events().iter().any(|event| event["item"]["type"] == "error"), || ran.out.clone())
        },
    },
    Fact {
        holds: "a resume prints the id of its session, a fork another one",
        needed_by: &[("process/judge.rs", "judge"), ("codex/fork.rs", "fork_by_command")],
        proof: |lab| {
            let id = lab.id("new")?;
            same("the session", lab.id("resume")?, id.clone())?;
            must(lab.id("fork")? != id && lab.id("fork alone")? != id, || "the fork is its parent".to_owned())
        },
    },
    Fact {
        holds: "all options of a job stand before 'resume ID -', each joined to its value",
        needed_by: &[("process/command.rs", "arguments")],
        proof: |lab| {
            lab.ran("resume")?.ended("0")?;
            let request =
                lab.model.requests().into_iter().find(|request| request.last_user_text == "Now add a test");
            let body = request.ok_or("the prompt was not sent")?.body.to_string();
            for word in ["\"gpt-5-codex\"", "json_schema", "input_image"] {
                must(body.contains(word), || format!("no {word} in what the model was asked"))?;
            }
            lab.ran("missing provider")?.ended("1")?;
            must(!lab.was_asked("Who answers?"), || "--config= was not heard".to_owned())
        },
    },
    Fact {
        holds: "'-' reads the prompt from standard input as it is, for a new session, a resume and a fork",
        needed_by: &[("process/spawn.rs", "create_files"), ("process/command.rs", "arguments")],
        proof: |lab| {
            let long = long_message();
            for words in [long.as_str(), "Now add a test", "Try another way", "--json", "with a NUL\0 inside"]
            {
                let is_sent = lab.model.requests().iter().any(|request| request.last_user_text == words);
                must(is_sent, || format!("{words:?} was not sent so"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "the turn of a resume runs where Codex was started, not where the session was",
        needed_by: &[("process/spawn.rs", "spawn"), ("process/preflight.rs", "read_last_turn")],
        proof: |lab| {
            let tail = rollout::tail(&lab.rollout("main", &lab.id("new")?)?, true).map_err(said)?;
            must(tail.cwd.as_deref().is_some_and(|cwd| cwd.ends_with("/beta")), || format!("{:?}", tail.cwd))
        },
    },
    Fact {
        holds: "a prompt that is empty or not UTF-8 is refused with status 1, and nothing is sent",
        needed_by: &[("process/judge.rs", "judge_unsent")],
        proof: |lab| {
            for label in ["empty", "empty resume", "not UTF-8"] {
                let ran = lab.ran(label)?;
                ran.ended("1")?;
                must(ran.out.is_empty(), || ran.out.clone())?;
            }
            must(!lab.was_asked("\u{fffd}"), || "it was sent".to_owned())
        },
    },
    Fact {
        holds: "a turn that fails prints turn.failed with a message and exits with status 1",
        needed_by: &[("process/output.rs", "apply_event"), ("process/judge.rs", "judge")],
        proof: |lab| {
            for word in super::story::FAILURES {
                let ran = lab.ran(word)?;
                ran.ended("1")?;
                let event = ran.event("turn.failed")?;
                must(event["error"]["message"].is_string(), || event.to_string())?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "codex_error_info and the message each show the class of a failure",
        needed_by: &[("record/failure.rs", "TEXTS"), ("record/failure.rs", "classify")],
        proof: |lab| {
            for (word, by_info, by_text) in [
                ("FAIL400", None, None),
                ("FAIL401", Some(Class::Auth), Some(Class::Auth)),
                ("FAIL403", Some(Class::Auth), Some(Class::Auth)),
                ("FAIL500", Some(Class::Overloaded), Some(Class::Overloaded)),
                ("RATELIMIT", Some(Class::RateLimit), Some(Class::RateLimit)),
                ("LIMIT3600", Some(Class::UsageLimit), Some(Class::UsageLimit)),
                ("LIMITX", Some(Class::UsageLimit), Some(Class::UsageLimit)),
                ("OVERLOADED", Some(Class::Overloaded), Some(Class::Overloaded)),
                ("CONTEXT", Some(Class::Context), Some(Class::Context)),
                ("NOMODEL", Some(Class::Model), Some(Class::Model)),
                ("CUT", Some(Class::Network), Some(Class::Network)),
            ] {
                let event = lab.ran(word)?.event("turn.failed")?;
                let text = event["error"]["message"].as_str().unwrap_or_default().to_owned();
                let turn = rollout::last_turn(&lab.rollout("failures", &lab.id(word)?)?).map_err(said)?;
                let (_, info) = turn.error.ok_or_else(|| format!("{word} has no error in its rollout"))?;
                let found = (classify(Some(&info), ""), classify(None, &text));
                must(found.0.or(found.1) == by_info && found.1 == by_text, || {
                    format!("{word} is {found:?}: {info} {text}")
                })?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "the message of a usage limit has its end as 'try again at H:MM AM.', rounded down to the minute, or no end at all",
        needed_by: &[("record/failure.rs", "reset_time"), ("run/usage_limit.rs", "record_limit")],
        proof: |lab| {
            let message = |word: &str| -> Outcome<String> {
                Ok(lab.ran(word)?.event("turn.failed")?["error"]["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned())
            };
            let (text, now) = (message("LIMIT3600")?, Timestamp::now());
            let until = reset_time(&text, now).ok_or_else(|| text.clone())?;
            let ahead = (until.0 - now.0) / 1000;
            // The limit was set while this was run.
            must((3600 - 360..=3600).contains(&ahead), || format!("{ahead} s from now: {text}"))?;
            let text = message("LIMITX")?;
            must(reset_time(&text, now).is_none(), || text)
        },
    },
    Fact {
        holds: "a session that cannot be started is refused with status 1, without events, and with known words on standard error",
        needed_by: &[("record/failure.rs", "TEXTS"), ("process/judge.rs", "judge_unsent")],
        proof: |lab| {
            refused(lab, "second writer", Class::Busy)?;
            refused(lab, "resume of an archived", Class::Archived)?;
            refused(lab, "fork of an archived", Class::Archived)?;
            refused(lab, "not trusted", Class::NotTrusted)?;
            refused(lab, "unknown id", Class::NotFound)?;
            refused(lab, "fork of an unknown id", Class::NotFound)?;
            refused(lab, "fork of an unknown name", Class::NotFound)?;
            for words in ["I too", "Untrusted things", "Of an unknown one"] {
                must(!lab.was_asked(words), || format!("{words:?} was sent"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "an unknown option is refused with status 2 and without events",
        needed_by: &[("process/judge.rs", "judge_unsent")],
        proof: |lab| {
            let ran = lab.ran("bad flag")?;
            ran.ended("2")?;
            must(ran.out.is_empty() && !ran.err.is_empty(), || format!("{ran:?}"))
        },
    },
    Fact {
        holds: "--image=FILE does not swallow the arguments behind it, and a missing image is no error",
        needed_by: &[("process/command.rs", "arguments")],
        proof: |lab| same("the session", lab.id("missing image")?, lab.id("before words")?),
    },
    Fact {
        holds: "where standard output cannot be written Codex exits with status 101 before anything is sent",
        needed_by: &[("process/judge.rs", "judge_unsent")],
        proof: |lab| {
            lab.ran("full disk")?.ended("101")?;
            must(!lab.was_asked("Onto a full disk"), || "it was sent".to_owned())
        },
    },
    Fact {
        holds: "a home that is named and not there is an error",
        needed_by: &[("codex/home.rs", "find"), ("process/spawn.rs", "spawn")],
        proof: |lab| {
            lab.ran("no home")?.ended("1")?;
            must(!lab.path("no-home").exists(), || "it was made".to_owned())
        },
    },
    Fact {
        holds: "SIGINT ends Codex with status 1 within seconds, SIGTERM and SIGHUP by the signal, and the session can be resumed",
        needed_by: &[("process/running.rs", "escalate_signal"), ("liveness.rs", "stop_holders")],
        proof: |lab| {
            for (label, exit) in
                [("SIGINT", "1"), ("SIGTERM", "signal 15"), ("SIGHUP", "signal 1"), ("SIGKILL", "signal 9")]
            {
                let ran = lab.ran(label)?;
                ran.ended(exit)?;
                must(ran.took < Duration::from_secs(30), || format!("{label} took {:?}", ran.took))?;
                lab.ran(&format!("after {label}"))?.ended("0")?;
                same(label, lab.id(&format!("after {label}"))?, lab.id(label)?)?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "the lock on standard output lasts as long as any Codex of the job, and its tools do not have it",
        needed_by: &[("process/spawn.rs", "spawn"), ("process/judge.rs", "judge")],
        proof: |lab| {
            lab.is_noted("lock after the launcher", "true")?;
            lab.is_noted("lock after a tool", "true")?;
            lab.ran("launcher killed")?.event("turn.completed").map(drop)
        },
    },
    Fact {
        holds: "a session in use is locked in thread-writer-locks/ID.lock, which /proc/locks shows, and free afterwards",
        needed_by: &[("codex/holder.rs", "holds"), ("process/preflight.rs", "check")],
        proof: |lab| {
            lab.is_noted("lock file while it runs", "true")?;
            lab.is_noted("held while it runs", "true")?;
            lab.is_noted("held after its end", "false")
        },
    },
    Fact {
        holds: "a refused second writer does not disturb the first, and a session in use can be forked",
        needed_by: &[("run/transitions.rs", "handle_busy"), ("process/preflight.rs", "check")],
        proof: |lab| {
            lab.ran("first writer")?.ended("0")?;
            lab.ran("first writer")?.event("turn.completed")?;
            lab.ran("fork of a held")?.ended("0")?;
            lab.ran("after both")?.ended("0")
        },
    },
    Fact {
        holds: "without a network Codex prints events of the type error, and does not end",
        needed_by: &[("process/output.rs", "apply_event"), ("process/judge.rs", "judge")],
        proof: |lab| {
            let ran = lab.ran("no network")?;
            // It was killed.
            ran.ended("signal 9")?;
            let text = ran.event("error")?["message"].as_str().unwrap_or_default().to_owned();
            must(classify(None, &text) == Some(Class::Network), || text)
        },
    },
    Fact {
        holds: "exec fork without a prompt prints thread.started alone, reads nothing and sends nothing",
        needed_by: &[("codex/fork.rs", "fork_by_command")],
        proof: |lab| {
            lab.ran("fork alone")?.ended("0")?;
            same("the events", kinds(lab, "fork alone")?, vec!["thread.started".to_owned()])?;
            must(!lab.was_asked("left unread"), || "it was sent".to_owned())
        },
    },
    Fact {
        holds: "thread/fork with beforeTurnId keeps the turns before it",
        needed_by: &[("codex/fork.rs", "fork"), ("codex/fork.rs", "list_turns")],
        proof: |lab| {
            same("the session", lab.id("in a cut fork")?, lab.noted(".cut fork")?)?;
            let requests = lab.model.requests();
            let request = requests.iter().find(|request| request.last_user_text == "After the cut");
            let texts = request.map(|request| request.user_texts.clone()).unwrap_or_default();
            same(
                "what the model saw",
                texts,
                ["Fix the login bug", "After the cut"].map(str::to_owned).to_vec(),
            )
        },
    },
    Fact {
        holds: "the app-server renames sessions that are not loaded, refuses unknown methods in known words, and ends with its input",
        needed_by: &[("codex/server.rs", "call"), ("codex/server.rs", "end"), ("codex/fork.rs", "set_name")],
        proof: |lab| {
            lab.is_noted("unknown method", "this Codex does not know thread/nonsense")?;
            lab.is_noted("app-server ends by itself", "true")?;
            same("the name", lab.row("main", &lab.id("named")?, "name")?.as_str(), Some("second name"))
        },
    },
    Fact {
        holds: "codex resume takes --cd and the id of a session",
        needed_by: &[("codex/index.rs", "resume_command")],
        proof: |lab| {
            let help = lab.print(&["resume", "--help"])?;
            must(help.contains("--cd <DIR>") && help.contains("[SESSION_ID]"), || {
                format!("its help is {help:?}")
            })
        },
    },
];
