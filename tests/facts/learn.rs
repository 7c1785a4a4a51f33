//! Reads the state of a version from its homes, its output and its descriptions of itself, without ids,
//! times, ports and paths, which differ from run to run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::codex::files::Files;
use codex_agent_shared::record::Id;
use codex_agent_shared::text::fingerprint;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::known::Known;
use super::lab::{Lab, Outcome, Ran, said};

/// Text without ids, times, ports and paths.
pub fn plain(text: &str, directory: &Path, version: &str) -> String {
    let text = text.replace(&*directory.to_string_lossy(), "<tmp>").replace(version, "<version>");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let here = |len: usize| rest.get(..len);
        let starts_word = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let clock = rest.find('M').filter(|at| (6..=7).contains(at) && rest[..*at].contains(':'));
        let day = rest.find(", 20").filter(|at| *at <= 8 && rest[..*at].contains(' '));
        if starts_word && here(36).is_some_and(|word| Id::parse(word).is_some()) {
            out.push_str("<id>");
            rest = &rest[36..];
        } else if starts_word && digits == 4 && here(11).is_some_and(|day| day.ends_with('T')) {
            out.push_str("<time>");
            rest = &rest[rest.find('Z').map_or(11, |at| at + 1)..];
        } else if let (true, 1.., Some(end)) = (starts_word, digits, clock) {
            out.push_str("<clock>");
            rest = &rest[end + 1..];
        } else if let (true, true, Some(end)) = (starts_word, first.is_ascii_uppercase(), day) {
            out.push_str("<day>");
            rest = &rest[end + 6..];
        } else if digits >= 4 {
            // The code of a JSON-RPC error is the same in each run.
            out.push_str(if digits == 5 && rest.starts_with("32600") { "32600" } else { "<n>" });
            rest = &rest[digits..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Keys whose values are recorded, and not only that they are text.
const WORDS: [&str; 8] =
    ["type", "status", "reason", "role", "phase", "history_mode", "source", "codex_error_info"];

/// The kinds of lines, and the keys of each with the types of their values.
type Shapes = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Adds a value of a kind: its keys with the types below them, as in `payload.error.message`.
fn shape(kinds: &mut Shapes, of: &str, at: &str, value: &Value) {
    let last = at.rsplit('.').next().unwrap_or_default();
    let is_word =
        |word: &str| word.len() < 40 && !word.contains(|c: char| !(c.is_alphanumeric() || c == '_'));
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(word) if WORDS.contains(&last) && is_word(word) => word,
        Value::String(_) => "text",
        Value::Array(all) if all.is_empty() => "[]",
        Value::Array(all) => return all.iter().for_each(|one| shape(kinds, of, &format!("{at}[]"), one)),
        Value::Object(all) if all.is_empty() => "{}",
        // Deeper keys are those of tools. Whether a subagent ends in time to be mentioned is chance.
        Value::Object(_) if last == "provenance" || at.matches('.').count() > 2 => "{...}",
        Value::Object(all) => {
            for (key, value) in all {
                let key = if Id::parse(key).is_none() && !key.contains('/') { key } else { "*" };
                let at = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
                shape(kinds, of, &at, value);
            }
            return;
        }
    };
    kinds.entry(of.to_owned()).or_default().entry(at.to_owned()).or_default().insert(word.to_owned());
}

fn add_shapes(known: &mut Known, area: &str, kinds: &Shapes) {
    for (kind, keys) in kinds {
        let word = |(key, types): (&String, &BTreeSet<String>)| {
            format!("{key}:{}", types.iter().map(String::as_str).collect::<Vec<_>>().join("|"))
        };
        // The kind has these two already.
        let keys = keys.iter().filter(|(key, _)| !["type", "item.type"].contains(&key.as_str()));
        known.add(area, kind, &keys.map(word).collect::<Vec<_>>().join(" "));
    }
}

/// The kind of a line or an event.
pub fn kind(value: &Value) -> String {
    let word = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let payload = &value["payload"];
    let parts = [
        word(value, "type"),
        word(payload, "type"),
        word(&payload["item"], "type").or(word(&value["item"], "type")).or(word(payload, "role")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// The names and lines of the rollouts in some homes.
pub fn rollouts(known: &mut Known, homes: &[PathBuf]) -> Outcome {
    let mut kinds = Shapes::new();
    for home in homes {
        for file in Files::walk(home).all() {
            let path = file.path.strip_prefix(home).map_err(said)?.to_string_lossy().into_owned();
            let path = path.replace(&file.id.to_string(), "ID");
            let path: String = path.chars().map(|c| if c.is_ascii_digit() { 'N' } else { c }).collect();
            known.add("rollout", "names of files", path.split('_').next().unwrap_or_default());
            for line in fs::read_to_string(&file.path).unwrap_or_default().lines() {
                let value: Value =
                    serde_json::from_str(line).map_err(|why| format!("{path}: {why}: {line}"))?;
                shape(&mut kinds, &kind(&value), "", &value["payload"]);
                let keys = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
                known.add("rollout", "keys of lines", &keys.collect::<Vec<_>>().join(" "));
            }
        }
    }
    add_shapes(known, "rollout", &kinds);
    Ok(())
}

/// The databases of a home: modes, migrations, tables, columns, indexes, triggers.
pub fn databases(known: &mut Known, home: &Path) -> Outcome {
    for entry in fs::read_dir(home).map_err(said)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(short) = name.strip_suffix(".sqlite") else { continue };
        let database = Connection::open_with_flags(entry.path(), OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = database.map_err(|error| format!("'{name}': {error}"))?;
        let each = |sql: &str, take: &mut dyn FnMut(Vec<String>)| -> Outcome {
            let mut statement = database.prepare(sql).map_err(|error| format!("'{name}': {error}"))?;
            let count = statement.column_count();
            let text = |row: &rusqlite::Row<'_>, at| {
                let value = row.get::<_, rusqlite::types::Value>(at);
                value.map(|value| match value {
                    rusqlite::types::Value::Null => "-".to_owned(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                })
            };
            let rows =
                statement.query_map([], |row| (0..count).map(|at| text(row, at)).collect::<Result<_, _>>());
            rows.map_err(said)?.try_for_each(|row| row.map(&mut *take).map_err(said))
        };
        each("PRAGMA journal_mode", &mut |row| known.add("database", &format!("{short} journal"), &row[0]))?;
        each("SELECT version, description, success FROM _sqlx_migrations", &mut |row| {
            let (number, about) = (format!("{:0>2}", row[0]), format!("{} success={}", row[1], row[2]));
            known.add("database", &format!("{short} migration {number}"), &about);
        })?;
        let columns = "SELECT m.name, p.name, p.type, p.\"notnull\", p.dflt_value, p.pk FROM sqlite_schema m, \
                       pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name <> '_sqlx_migrations'";
        each(columns, &mut |row| {
            let [table, column, kind, required, default, key] = &row[..] else { return };
            let words = [
                Some(kind.clone()),
                (required == "1").then(|| "required".to_owned()),
                (default != "-").then(|| format!("default {default}")),
                (key != "0").then(|| format!("key {key}")),
            ];
            let words: Vec<String> = words.into_iter().flatten().collect();
            // The table of sessions has a line for each column, any other table a single one.
            let (key, value) = match table.as_str() {
                "threads" => (format!("{short} {table}.{column}"), words.join(" ")),
                _ => (
                    format!("{short} table {table}"),
                    format!("{column}:{}", words.join("_").replace(' ', "_")),
                ),
            };
            known.add("database", &key, &value);
        })?;
        each(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL",
            &mut |row| {
                let sql = row[3].split_whitespace().collect::<Vec<_>>().join(" ");
                let (on, is_listed) = (sql.find(" ON ").unwrap_or(0), row[2] == "threads");
                let value = match (row[0].as_str(), is_listed) {
                    ("index", true) => sql[on..].to_owned(),
                    _ => format!("on {} {}", row[2], &fingerprint(sql.as_bytes())[..8]),
                };
                known.add("database", &format!("{short} {} {}", row[0], row[1]), &value);
            },
        )?;
    }
    Ok(())
}

/// Whether a line of Codex's standard error is noise that differs from machine to machine.
fn is_noise(line: &str) -> bool {
    let noise = ["WARNING: ", "warning: ", "Reading ", "note: ", "stack backtrace", "thread '", "workdir: "];
    line.trim().is_empty() || noise.iter().any(|start| line.starts_with(start))
}

/// The exit status, events and messages of each case, and the keys of all events.
pub fn cases(known: &mut Known, lab: &Lab) {
    let mut kinds = Shapes::new();
    for (label, ran) in lab.all().into_iter().filter(|(label, _)| !label.starts_with('.')) {
        let Ran { exit, out, err, .. } = &ran;
        let text = |text: &str| lab.plain(text);
        let mut parts = Vec::new();
        if !exit.is_empty() {
            parts.push(format!("exit {exit}"));
        }
        if out.starts_with('{') {
            let events = ran.events();
            events.iter().for_each(|event| shape(&mut kinds, &kind(event), "", event));
            let mut words: Vec<String> = events.iter().map(kind).collect();
            // Without a network the same error is printed again and again.
            words.dedup();
            let mut messages: Vec<String> =
                events.iter().filter_map(|event| Some(text(event["error"]["message"].as_str()?))).collect();
            messages.dedup();
            parts.push(words.join(" "));
            parts.extend(messages);
        } else if !out.is_empty() {
            parts.push(text(out.trim()));
        }
        // Log lines are for the developers of Codex, and come in any order.
        let lines: Vec<String> = err
            .lines()
            .filter(|line| !is_noise(line))
            .map(text)
            .filter(|line| !line.starts_with("<time>"))
            .collect();
        parts.extend((!lines.is_empty()).then(|| lines.join("\n")));
        known.add("cases", &label, &parts.join("; "));
    }
    add_shapes(known, "events", &kinds);
}

/// The options in the `--help` of each subcommand, and a hash of its text.
pub fn help(known: &mut Known, lab: &Lab) -> Outcome {
    let mut waiting = VecDeque::from([Vec::<String>::new()]);
    while let Some(words) = waiting.pop_front() {
        let asked: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let text = lab.plain(&lab.print(&asked)?);
        let name = [&["codex".to_owned()], &words[..]].concat().join(" ");
        let mut section = "";
        let mut flags = BTreeSet::new();
        for line in text.lines() {
            let found = line.split_whitespace().next().unwrap_or_default();
            if line.ends_with(':') && !line.starts_with(' ') {
                section = line;
            } else if section == "Commands:" && line.starts_with("  ") && !line.starts_with("   ") {
                if !["help", ""].contains(&found) {
                    waiting.push_back([&words[..], &[found.to_owned()]].concat());
                }
            } else if found.starts_with('-') && line.starts_with("  ") {
                // As `--sandbox,-s=<SANDBOX_MODE>`: the description is behind two spaces.
                let flag = line.trim().split("  ").next().unwrap_or_default();
                let (names, value): (Vec<&str>, Vec<&str>) =
                    flag.split(' ').partition(|word| word.starts_with('-'));
                let mut names: Vec<&str> = names.iter().map(|name| name.trim_end_matches(',')).collect();
                names.sort_by_key(|name| !name.starts_with("--"));
                let value = if value.is_empty() { String::new() } else { format!("={}", value.join("_")) };
                flags.insert(names.join(",") + &value);
            }
        }
        let flags: Vec<String> = flags.into_iter().collect();
        known.add("help", &name, &format!("{} {}", &fingerprint(text.as_bytes())[..8], flags.join(" ")));
    }
    Ok(())
}

/// The features of Codex: their stage and default.
pub fn features(known: &mut Known, lab: &Lab) -> Outcome {
    for line in lab.print(&["features", "list"])?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, stage @ .., state] = &words[..] {
            known.add("features", name, &format!("{} {state}", stage.join("-")));
        }
    }
    Ok(())
}

/// The methods of the app-server with their parameters, and the types that those about sessions use.
pub fn schema(known: &mut Known, lab: &Lab) -> Outcome {
    let directory = lab.path("schema");
    let out = directory.to_string_lossy().into_owned();
    lab.print(&["app-server", "generate-json-schema", "--experimental", "--out", &out])
        .or_else(|_| lab.print(&["app-server", "generate-json-schema", "--out", &out]))?;
    let mut types: BTreeMap<String, Value> = BTreeMap::new();
    let mut roots = BTreeSet::new();
    for list in ["ClientRequest", "ClientNotification", "ServerNotification", "ServerRequest"] {
        let text = fs::read_to_string(directory.join(format!("{list}.json"))).map_err(said)?;
        let all: Value = serde_json::from_str(&text).map_err(said)?;
        for (name, about) in all["definitions"].as_object().into_iter().flatten() {
            types.insert(name.clone(), about.clone());
        }
        for one in all["oneOf"].as_array().into_iter().flatten() {
            let method = one["properties"]["method"]["enum"][0].as_str().unwrap_or_default();
            let params = one["properties"]["params"]["$ref"].as_str().unwrap_or_default();
            let params = params.rsplit('/').next().unwrap_or_default();
            let about = all["definitions"].get(params).map(names).unwrap_or_default();
            known.add("app-server", &format!("{list} {method}"), &about.join(" "));
            if ["thread/", "turn/", "item/", "rollout/", "error"].iter().any(|of| method.starts_with(of)) {
                roots.insert(params.to_owned());
            }
        }
    }
    let mut waiting: Vec<String> = roots.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let Some(about) = types.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
        references(about, &mut waiting);
        if !roots.contains(&name) {
            known.add("app-server", &format!("type {name}"), &names(about).join(" "));
        }
    }
    let rest: Vec<String> = types
        .iter()
        .filter(|(name, _)| !seen.contains(*name))
        .map(|(name, about)| format!("{name}{about}"))
        .collect();
    let mark = fingerprint(rest.concat().as_bytes());
    known.add("app-server", "types elsewhere", &format!("{} {}", rest.len(), &mark[..8]));
    Ok(())
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(all) => {
            if let Some(Value::String(to)) = all.get("$ref") {
                found.extend(to.rsplit('/').next().map(str::to_owned));
            }
            all.values().for_each(|value| references(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The names in a type: its keys, its values, and its variants as `variant{keys}`.
fn names(about: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    for word in about["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        found.insert(word.to_owned());
    }
    let keys = about["properties"].as_object();
    let kind = keys.and_then(|keys| keys.get("type")?["enum"][0].as_str());
    let names: Vec<String> = keys
        .into_iter()
        .flatten()
        .map(|(key, value)| match value["properties"].as_object() {
            Some(inner) => format!("{key}{{{}}}", inner.keys().cloned().collect::<Vec<_>>().join(",")),
            None => key.clone(),
        })
        .collect();
    match kind {
        Some(kind) => {
            let names: Vec<String> = names.into_iter().filter(|name| name != "type").collect();
            found.insert(format!("{kind}{{{}}}", names.join(",")));
        }
        None => found.extend(names),
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        about[list].as_array().into_iter().flatten().for_each(|one| found.extend(self::names(one)));
    }
    found.into_iter().collect()
}
