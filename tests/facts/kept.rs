//! Facts about the files of Codex: its database, its list of names, its rollouts.

use std::fs;
use std::path::Path;

use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::index::{Index, Sources};
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::codex::rollout::{Ending, Name};
use codex_agent_shared::codex::state::COLUMNS;
use codex_agent_shared::query::{Archived, Query};
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::{Detail, Item, Options, Reader, Record, Role, Turn, TurnStatus};
use serde_json::{Value, json};

use super::lab::{Lab, Outcome, must, said};
use super::list::Fact;
use super::story::long_message;

/// Fails where a column of a session's row has another value.
fn has(lab: &Lab, label: &str, column: &str, want: &Value) -> Outcome {
    let value = lab.row("main", &lab.id(label)?, column)?;
    must(value == *want, || format!("{column} of '{label}' is {value}, not {want}"))
}

fn id(lab: &Lab, label: &str) -> Outcome<Id> {
    Id::parse(&lab.id(label)?).ok_or_else(|| format!("the id of '{label}' is none"))
}

/// The lines of a session's rollout.
fn lines_of(lab: &Lab, home: &str, label: &str) -> Outcome<Vec<Value>> {
    let text = fs::read_to_string(lab.rollout(home, &lab.id(label)?)?).map_err(said)?;
    text.lines().map(|line| serde_json::from_str(line).map_err(said)).collect()
}

/// The items and turns of a session's rollout, as the library reads them.
fn transcript(lab: &Lab, home: &str, label: &str) -> Outcome<(Vec<Item>, Vec<Turn>)> {
    let (mut items, mut turns) = (Vec::new(), Vec::new());
    let path = lab.rollout(home, &lab.id(label)?)?;
    for record in Reader::of_file(&path, Options::default()).map_err(said)? {
        match record.map_err(said)? {
            Record::Item(item) => items.push(item),
            Record::Turn(turn) => turns.push(turn),
            _ => {}
        }
    }
    Ok((items, turns))
}

fn prompts(lab: &Lab, label: &str) -> Outcome<Vec<String>> {
    let (items, _) = transcript(lab, "main", label)?;
    Ok(items.into_iter().filter(|item| item.role == Role::User).filter_map(|item| item.text).collect())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Outcome {
    must(got == want, || format!("{what} is {got:?}, not {want:?}"))
}

/// The sessions of a home, by one of both sources.
fn listed(lab: &Lab, home: &str, sources: Sources) -> Outcome<Vec<Id>> {
    let mut index = Index::open(lab.view(home)?, sources).map_err(said)?;
    let mut query = Query::default();
    query.filter.archived = Archived::With;
    query.filter.subagents = true;
    let mut ids = Vec::new();
    let mut take = |session: &codex_agent_shared::record::Session<'_>| {
        ids.extend(session.id);
        Ok(())
    };
    index.list(&query, &mut take).map_err(said)?;
    ids.sort();
    Ok(ids)
}

/// The end of a session's last turn, as the library reads it.
fn ending(lab: &Lab, home: &str, label: &str) -> Outcome<Option<Ending>> {
    rollout::tail(&lab.rollout(home, &lab.id(label)?)?, true).map(|tail| tail.ending).map_err(said)
}

pub const FACTS: &[Fact] = &[
    Fact {
        holds: "the database is state_N.sqlite in the home, in WAL mode",
        needed_by: &[("codex/home.rs", "find_databases"), ("codex/state/open.rs", "open")],
        proof: |lab| {
            let mode: String =
                lab.database("main")?.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(said)?;
            same("the mode", mode.as_str(), "wal")
        },
    },
    Fact {
        holds: "the table 'threads' has every column that is read, and times are whole numbers",
        needed_by: &[("codex/state.rs", "expressions"), ("codex/state/open.rs", "check")],
        proof: |lab| {
            for column in COLUMNS {
                let value = lab.row("main", &lab.id("new")?, column)?;
                let is_time = column.ends_with("_at");
                must(!is_time || value.is_i64() || value.is_null(), || format!("{column} is {value}"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "the columns *_ms have the same times in milliseconds",
        needed_by: &[("codex/state.rs", "time_column")],
        proof: |lab| {
            let sql = "SELECT count(*), sum(created_at_ms / 1000 = created_at AND updated_at_ms / 1000 = updated_at) FROM threads";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
            let (all, right) = lab.database("main")?.query_row(sql, [], row).map_err(said)?;
            must(all > 0 && right == Some(all), || format!("{right:?} of {all}"))
        },
    },
    Fact {
        holds: "an index gives the newest sessions first without a sort",
        needed_by: &[("codex/state.rs", "select")],
        proof: |lab| {
            for column in ["recency_at_ms", "updated_at_ms", "created_at_ms"] {
                let sql = format!(
                    "EXPLAIN QUERY PLAN SELECT id FROM threads WHERE +archived = 0 ORDER BY {column} DESC, id DESC"
                );
                let plan: String =
                    lab.database("main")?.query_row(&sql, [], |row| row.get(3)).map_err(said)?;
                must(plan.contains("USING") && !plan.contains("TEMP"), || plan.clone())?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "title and first_user_message are the first message of a session, however long",
        needed_by: &[("codex/state.rs", "session"), ("codex/rollout.rs", "read_messages")],
        proof: |lab| {
            for column in ["title", "first_user_message"] {
                has(lab, "new", column, &json!("Fix the login bug"))?;
                has(lab, "several lines", column, &json!(long_message()))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "a row says how, where, by which version and from which repository a session was made",
        needed_by: &[("codex/state.rs", "session"), ("codex/version.rs", "check_writer_version")],
        proof: |lab| {
            let directory = fs::canonicalize(lab.path("alpha")).map_err(said)?;
            for (column, want) in [
                ("cwd", json!(directory)),
                ("source", json!("exec")),
                ("originator", json!("codex_exec")),
                ("history_mode", json!("paginated")),
                ("cli_version", json!(lab.version)),
                ("model_provider", json!("mock")),
                ("model", json!("gpt-5")),
                ("git_branch", json!("trunk")),
                ("git_origin_url", json!("https://example.com/alpha.git")),
                ("length(git_sha)", json!(40)),
                ("archived", json!(0)),
                ("is_pinned", json!(0)),
                ("tokens_used > 0", json!(1)),
            ] {
                has(lab, "shell", column, &want)?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "recency_at_ms is in every row, and is the time in the id of the last turn",
        needed_by: &[("codex/state.rs", "time_column"), ("codex/rollout/tail.rs", "turn_id")],
        proof: |lab| {
            let sql = "SELECT count(*) FROM threads WHERE recency_at_ms <= 0";
            let empty: i64 = lab.database("main")?.query_row(sql, [], |row| row.get(0)).map_err(said)?;
            same("the rows without it", empty, 0)?;
            for label in ["shell", "new", "named"] {
                let lines = lab.lines("main", &lab.id(label)?)?;
                let mut turns =
                    lines.iter().filter_map(|line| Id::parse(line["payload"]["turn_id"].as_str()?));
                let clock = turns.next_back().ok_or("no turn")?.clock();
                let row = lab.row("main", &lab.id(label)?, "recency_at_ms")?.as_i64().ok_or("no number")?;
                must((0..3000).contains(&(row - clock)), || format!("'{label}': {row} and {clock}"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "a name is kept in the column 'name' and as a line of session_index.jsonl that begins with the id; the last counts; titles stay",
        needed_by: &[
            ("codex/names.rs", "id_of"),
            ("codex/fork.rs", "set_name"),
            ("codex/state.rs", "session"),
        ],
        proof: |lab| {
            has(lab, "named", "name", &json!("second name"))?;
            has(lab, "named", "title", &json!("Work that gets a name"))?;
            let names = Names::read(&lab.home("main"));
            same("the name", names.name_of(id(lab, "named")?).as_deref(), Some("second name"))?;
            let text = fs::read_to_string(lab.home("main").join("session_index.jsonl")).map_err(said)?;
            must(text.lines().all(|line| line.starts_with("{\"id\":\"")), || text.clone())
        },
    },
    Fact {
        holds: "a fork takes the name of its parent",
        needed_by: &[("reference.rs", "originals")],
        proof: |lab| has(lab, "fork of a named", "name", &json!("second name")),
    },
    Fact {
        holds: "a database that Codex rebuilds has every session, and names remain in session_index.jsonl",
        needed_by: &[("codex/names.rs", "name_of"), ("codex/state.rs", "session")],
        proof: |lab| {
            let queued = lab.id("to be queued for")?;
            same("the title", lab.row("odd", &queued, "title")?, json!("Three"))?;
            let names = Names::read(&lab.home("odd"));
            same("the name", names.name_of(id(lab, "to be queued for")?).as_deref(), Some("kept name"))
        },
    },
    Fact {
        holds: "an archived session is in archived_sessions/ with the same file name, its row has the time and the path, and unarchive reverses both",
        needed_by: &[
            ("codex/files.rs", "walk"),
            ("codex/reader.rs", "find_moved"),
            ("process/preflight.rs", "check"),
        ],
        proof: |lab| {
            let path = lab.rollout("main", &lab.id("to be archived")?)?;
            let is_flat = path.parent() == Some(&lab.home("main").join("archived_sessions"));
            must(is_flat, || path.display().to_string())?;
            has(lab, "to be archived", "archived", &json!(1))?;
            has(lab, "to be archived", "archived_at > 1700000000", &json!(1))?;
            let row = lab.row("main", &lab.id("to be archived")?, "rollout_path")?;
            must(row.as_str().is_some_and(|row| Path::new(row).file_name() == path.file_name()), || {
                row.to_string()
            })?;
            has(lab, "to be unarchived", "archived", &json!(0))?;
            let back = lab.rollout("main", &lab.id("to be unarchived")?)?;
            must(back.starts_with(lab.home("main").join("sessions")), || back.display().to_string())
        },
    },
    Fact {
        holds: "a rename and an unarchive leave recency_at_ms as it was",
        needed_by: &[("codex/state.rs", "time_column"), ("thread.rs", "set_name")],
        proof: |lab| {
            lab.is_noted("a rename moves recency_at_ms", "false")?;
            lab.is_noted("an unarchive moves recency_at_ms", "false")
        },
    },
    Fact {
        holds: "a deleted session has neither row nor file",
        needed_by: &[("codex/fork.rs", "remove"), ("watch.rs", "find_gone")],
        proof: |lab| {
            lab.ran("delete")?.ended("0")?;
            let id = lab.id("to be deleted")?;
            must(lab.row("main", &id, "id").is_err() && lab.rollout("main", &id).is_err(), || {
                "it is there".into()
            })
        },
    },
    Fact {
        holds: "a fork without a turn has no message of its own in its row, and the first one of its parent as preview",
        needed_by: &[("codex/state.rs", "expressions")],
        proof: |lab| {
            has(lab, "fork alone", "title", &json!(""))?;
            has(lab, "fork alone", "first_user_message", &json!(""))?;
            has(lab, "fork alone", "preview", &json!("Fix the login bug"))
        },
    },
    Fact {
        holds: "the source of a subagent begins with {\"subagent\" and names its parent",
        needed_by: &[("codex/state.rs", "select"), ("codex/rollout/meta.rs", "source")],
        proof: |lab| {
            let sql = "SELECT source FROM threads WHERE substr(source, 1, 11) = '{\"subagent\"'";
            let text: String = lab.database("main")?.query_row(sql, [], |row| row.get(0)).map_err(said)?;
            let (word, subagent) = rollout::source(&text);
            same("the source", word.as_deref(), Some("subagent"))?;
            same("the parent", subagent.and_then(|subagent| subagent.parent), Some(id(lab, "spawn")?))
        },
    },
    Fact {
        holds: "CODEX_SQLITE_HOME and sqlite_home move the database, and the key wins",
        needed_by: &[("codex/home.rs", "database_folder")],
        proof: |lab| {
            for place in ["by-variable", "by-key", "by-both"] {
                must(has_state(&lab.path(place)), || format!("nothing in {place}"))?;
            }
            must(!has_state(&lab.path("by-neither")), || "the variable won".to_owned())
        },
    },
    Fact {
        holds: "Codex's own queue is the table queued_items of queue_1.sqlite, and a resume takes its messages into the turn",
        needed_by: &[
            ("codex/state/queue.rs", "count_queued_messages"),
            ("process/preflight.rs", "find_queued_messages"),
        ],
        proof: |lab| {
            lab.is_noted("queued", "1")?;
            lab.ran("with a queue")?.ended("0")?;
            let texts = lab.model.requests().into_iter().flat_map(|request| request.user_texts);
            must(texts.into_iter().any(|text| text.contains("Queued words")), || "it was left".to_owned())
        },
    },
    Fact {
        holds: "the rows and the files of a home are the same sessions",
        needed_by: &[("codex/index.rs", "list"), ("codex/drift.rs", "check")],
        proof: |lab| {
            for home in ["main", "failures", "signals"] {
                let rows = listed(lab, home, Sources { database: true, files: false })?;
                let files = listed(lab, home, Sources { database: false, files: true })?;
                must(rows.len() > 4 && rows == files, || format!("{home}: {rows:?} {files:?}"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "rollouts are sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl, of the day of their making",
        needed_by: &[
            ("codex/rollout.rs", "parse"),
            ("codex/files.rs", "newest"),
            ("codex/files.rs", "of_day"),
        ],
        proof: |lab| {
            let path = lab.rollout("main", &lab.id("new")?)?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = Name::parse(name).ok_or_else(|| format!("'{name}'"))?;
            let day = name.stamp.get(..10).unwrap_or_default().replace('-', "/");
            same("the folder", path.parent(), Some(lab.home("main").join("sessions").join(day).as_path()))?;
            let made = rollout::head(&path, rollout::Depth::Start).map_err(said)?.meta.timestamp;
            let clock = Timestamp(name.id.clock());
            must(made.is_some_and(|made| (made.0 - clock.0).abs() < 5000), || {
                format!("{made:?} and {clock:?}")
            })
        },
    },
    Fact {
        holds: "a rollout begins with session_meta, whose keys but those of git and the history stand before the instructions and in the first 4 KiB",
        needed_by: &[("codex/rollout.rs", "head_start"), ("codex/rollout/meta.rs", "read_meta")],
        proof: |lab| {
            let text = fs::read_to_string(lab.rollout("main", &lab.id("fork")?)?).map_err(said)?;
            let line = text.lines().next().unwrap_or_default();
            let at = |key: &str| line.find(&format!("\"{key}\":")).ok_or_else(|| format!("no '{key}'"));
            let end = at("base_instructions")?;
            for key in [
                "type",
                "payload",
                "id",
                "timestamp",
                "cwd",
                "originator",
                "cli_version",
                "source",
                "model_provider",
                "forked_from_id",
            ] {
                must(at(key)? < end.min(4000), || format!("'{key}' stands at {}", at(key).unwrap_or(0)))?;
            }
            let meta = rollout::head(&lab.rollout("main", &lab.id("shell")?)?, rollout::Depth::Meta)
                .map_err(said)?
                .meta;
            let git = meta.git.ok_or("no 'git'")?;
            must(git.sha.is_some() && git.branch.is_some() && git.origin_url.is_some(), || format!("{git:?}"))
        },
    },
    Fact {
        holds: "every line of a session has the next ordinal",
        needed_by: &[("codex/rollout/wire.rs", "parse"), ("transcript/machine.rs", "is_own")],
        proof: |lab| {
            for label in ["new", "shell"] {
                let found = lines_of(lab, "main", label)?
                    .iter()
                    .map(|line| line["ordinal"].as_u64())
                    .collect::<Vec<_>>();
                let want: Vec<_> = (0..found.len() as u64).map(Some).collect();
                must(found.len() > 5 && found == want, || format!("{label}: {found:?}"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "a prompt is a UserMessage, word for word, and text that Codex injects is none",
        needed_by: &[("codex/rollout/line.rs", "item"), ("codex/rollout/turn.rs", "last_message")],
        proof: |lab| {
            let want = ["Fix the login bug", "Now add a test", "Write the changelog"].map(str::to_owned);
            same("the messages", prompts(lab, "new")?, want.to_vec())?;
            same("the lines", prompts(lab, "several lines")?, vec![long_message()])?;
            let images = transcript(lab, "main", "new")?.0.into_iter().filter_map(|item| match item.detail {
                Detail::Message { images, .. } if item.role == Role::User => Some(images),
                _ => None,
            });
            same("the images", images.collect(), vec![0, 1, 0])
        },
    },
    Fact {
        holds: "an answer of the model is an AgentMessage, and a tool call has its command",
        needed_by: &[("codex/rollout/line.rs", "item"), ("transcript/items.rs", "command_item")],
        proof: |lab| {
            let (items, _) = transcript(lab, "main", "shell")?;
            let found: Vec<String> = items
                .into_iter()
                .filter(|item| [Role::Command, Role::Assistant].contains(&item.role))
                .map(|item| format!("{:?}: {}", item.role, item.text.unwrap_or_default()))
                .collect();
            must(found.len() == 2 && found[0] == "Command: ls -1", || format!("{found:?}"))?;
            must(found[1].starts_with("Assistant: echo: List files"), || format!("{found:?}"))
        },
    },
    Fact {
        holds: "a turn begins with task_started and ends with task_complete and the last message, both with its id",
        needed_by: &[("codex/rollout/line.rs", "event"), ("codex/rollout/tail.rs", "tail")],
        proof: |lab| {
            let found = lines_of(lab, "main", "plain")?.into_iter().filter_map(|line| {
                let payload = &line["payload"];
                let kind = payload["type"].as_str().filter(|kind| kind.starts_with("task_"))?;
                let last = payload["last_agent_message"].as_str().map(str::to_owned);
                Some((kind.to_owned(), payload["turn_id"].is_string(), last))
            });
            let last = Some("echo: Work without a name".to_owned());
            let want = [("task_started", true, None), ("task_complete", true, last)];
            same(
                "the turn",
                found.collect(),
                want.map(|(kind, id, last)| (kind.to_owned(), id, last)).to_vec(),
            )?;
            same("its end", ending(lab, "main", "plain")?, Some(Ending::Completed))
        },
    },
    Fact {
        holds: "a turn that failed ends with task_complete and an error with codex_error_info",
        needed_by: &[("codex/rollout/line.rs", "event"), ("codex/rollout/turn.rs", "last_turn")],
        proof: |lab| {
            same("its end", ending(lab, "failures", "bad after good")?, Some(Ending::Failed))?;
            let turn =
                rollout::last_turn(&lab.rollout("failures", &lab.id("bad after good")?)?).map_err(said)?;
            let (message, info) = turn.error.ok_or("no error")?;
            must(message.contains("invalid_request_error") && !info.is_null(), || format!("{message} {info}"))
        },
    },
    Fact {
        holds: "SIGINT ends a turn with turn_aborted 'interrupted'; after other signals the turn has no end; the last line is always complete",
        needed_by: &[("codex/rollout/tail.rs", "tail"), ("codex/index.rs", "status")],
        proof: |lab| {
            // The session was resumed afterwards: the turn is the one before the last.
            for (label, aborted) in [("SIGINT", 1), ("SIGTERM", 0), ("SIGHUP", 0), ("SIGKILL", 0)] {
                let (lines, (_, turns)) =
                    (lines_of(lab, "signals", label)?, transcript(lab, "signals", label)?);
                let aborted_lines = lines.iter().filter(|line| line["payload"]["type"] == "turn_aborted");
                let found: Vec<bool> =
                    aborted_lines.map(|line| line["payload"]["reason"] == "interrupted").collect();
                let interrupted = turns.iter().any(|turn| turn.status == Some(TurnStatus::Interrupted));
                must(interrupted, || format!("{label}: no turn was interrupted"))?;
                same(label, found, vec![true; aborted])?;
                let ending = if aborted == 1 { "Some(Interrupted)" } else { "Some(Begun)" };
                lab.is_noted(&format!("rollout after {label}"), &format!("{ending} newline=true"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "the kind of a line of a turn stands in its first 256 bytes",
        needed_by: &[("codex/rollout/turn.rs", "last_turn"), ("codex/rollout.rs", "read_messages")],
        proof: |lab| {
            let text = fs::read_to_string(lab.rollout("main", &lab.id("new")?)?).map_err(said)?;
            for word in ["turn_context", "token_count", "task_complete", "task_started"] {
                let word = format!("\"{word}\"");
                let lines: Vec<usize> = text.lines().filter_map(|line| line.find(&word)).collect();
                must(lines.len() >= 3 && lines.iter().all(|at| *at < 240), || format!("{word}: {lines:?}"))?;
            }
            Ok(())
        },
    },
    Fact {
        holds: "turn_context has the directory, the sandbox and the model of the turn",
        needed_by: &[("codex/rollout/line.rs", "context"), ("process/preflight.rs", "read_last_turn")],
        proof: |lab| {
            let found = lines_of(lab, "main", "new")?.into_iter().filter_map(|line| {
                let context = (line["type"] == "turn_context").then(|| &line["payload"])?;
                let name = context["cwd"].as_str()?.rsplit('/').next()?;
                let sandbox = context["sandbox_policy"]["type"].as_str()?;
                Some(format!("{name} {sandbox} {}", context["model"].as_str()?))
            });
            let want = ["alpha read-only gpt-5", "alpha workspace-write gpt-5-codex", "beta read-only gpt-5"];
            let mut found: Vec<String> = found.collect();
            found.dedup();
            same("what was said", found, want.map(str::to_owned).to_vec())
        },
    },
    Fact {
        holds: "tokens are counted for the whole session, in the rollout and in turn.completed",
        needed_by: &[("codex/rollout/line.rs", "tokens"), ("run/transitions.rs", "turn_usage")],
        proof: |lab| {
            let turn = rollout::last_turn(&lab.rollout("main", &lab.id("new")?)?).map_err(said)?;
            let total = turn.total_usage.unwrap_or_default().get("input_tokens").copied();
            same("the total", total, Some(300))?;
            let event = lab.ran("resume elsewhere")?.event("turn.completed")?;
            same("what was printed", event["usage"]["input_tokens"].as_i64(), Some(300))
        },
    },
    Fact {
        holds: "a resume appends to the same file; a fork has only its own lines, and names its parent",
        needed_by: &[("codex/rollout/meta.rs", "read_meta"), ("codex/reader.rs", "add_meta")],
        proof: |lab| {
            let files = Files::walk(&lab.home("main"));
            same("the files", files.of_session(id(lab, "new")?).len(), 1)?;
            same("the messages", prompts(lab, "fork")?, vec!["Try another way".to_owned()])?;
            let meta = rollout::head(&lab.rollout("main", &lab.id("fork")?)?, rollout::Depth::Meta)
                .map_err(said)?
                .meta;
            same("the parent", meta.forked_from, Some(id(lab, "new")?))?;
            same("the base", meta.base.map(|base| base.id), Some(id(lab, "new")?))
        },
    },
    Fact {
        holds: "a reverted session continues in a second file with a segment in its name, and its row has that path",
        needed_by: &[
            ("codex/files.rs", "live"),
            ("codex/rollout.rs", "age"),
            ("codex/reader.rs", "add_earlier_message"),
        ],
        proof: |lab| {
            let files = Files::walk(&lab.home("odd"));
            let of = files.of_session(id(lab, "to be reverted")?);
            same("the files", of.iter().filter(|file| file.name().segment.is_some()).count(), 1)?;
            same("all files", of.len(), 2)?;
            let live = files.live(id(lab, "to be reverted")?, None).ok_or("no file")?;
            let row = lab.row("odd", &lab.id("to be reverted")?, "rollout_path")?;
            must(row.as_str().is_some_and(|row| Path::new(row).file_name() == live.path.file_name()), || {
                row.to_string()
            })
        },
    },
    Fact {
        holds: "a compressed rollout is .jsonl.zst, its row still has .jsonl, and a resume decompresses it",
        needed_by: &[
            ("codex/files.rs", "live"),
            ("codex/rollout.rs", "open"),
            ("codex/reader.rs", "find_moved"),
        ],
        proof: |lab| {
            lab.is_noted("title of a compressed", "Four")?;
            let row = lab.noted(".row of a compressed")?;
            must(row.ends_with(".jsonl"), || row.clone())?;
            same("the session", lab.id("resume of a compressed")?, lab.id("to be compressed")?)?;
            let path = lab.rollout("packed", &lab.id("to be compressed")?)?;
            must(path.extension().is_some_and(|end| end == "jsonl"), || path.display().to_string())
        },
    },
];

fn has_state(directory: &Path) -> bool {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("state"))
}
