//! JSON Schemas: they are those of the types, they are complete, and the tool that
//! prints them.
//!
//! `UPDATE=1 cargo test --test tests schema` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::plugin::TOOLS;
use codex_agent_shared::schema::{READ, Schema, WRITTEN, each, instance};
use serde_json::{Value, json};

mod generate;

use crate::world::schemas::{As, find_mismatch, hold, require_late};
use crate::world::terminal::on_terminal;
use crate::world::{World, data, json as records};

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn parsed(schema: &Schema) -> Value {
    serde_json::from_str(&schema.text).unwrap()
}

/// Golden records of a type of this version.
fn golden(kind: &str) -> Vec<Value> {
    let file = format!("golden/{}/{kind}.ndjson", env!("CARGO_PKG_VERSION"));
    records(&fs::read_to_string(data(&file)).unwrap())
}

#[test]
fn schemas_are_those_of_the_types() {
    let mut wrong = Vec::new();
    for (file, now) in [("written.json", generate::written()), ("read.json", generate::read())] {
        let path = root("shared/schema").join(file);
        if fs::read_to_string(&path).is_ok_and(|text| text == now) {
            continue;
        }
        if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
            fs::write(path, now).unwrap();
        } else {
            wrong.push(file);
        }
    }
    assert!(
        wrong.is_empty(),
        "not what the types say: {wrong:?} in shared/schema; UPDATE=1 writes them anew"
    );
}

#[test]
fn schemas_are_of_the_draft_that_they_name() {
    for text in [WRITTEN, READ] {
        let all: Value = serde_json::from_str(text).unwrap();
        jsonschema::draft202012::meta::validate(&all).unwrap_or_else(|e| panic!("{e}"));
        for schema in each(text).unwrap() {
            let schema = parsed(&schema);
            jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|e| panic!("{schema}: {e}"));
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        }
    }
}

#[test]
fn the_one_schema_fits_every_record_and_no_other() {
    let all = jsonschema::validator_for(&serde_json::from_str(WRITTEN).unwrap()).unwrap();
    for schema in each(WRITTEN).unwrap() {
        for mut record in golden(&schema.name) {
            assert!(all.is_valid(&record), "{record}");
            record["type"] = "nonsense".into();
            assert!(!all.is_valid(&record), "{record}");
        }
    }
}

/// A golden record with one thing changed.
fn changed(kind: &str, change: impl Fn(&mut Value)) -> Option<String> {
    let mut record = golden(kind).remove(0);
    assert_eq!(find_mismatch(&record, As::Today), None);
    change(&mut record);
    find_mismatch(&record, As::Today)
}

#[test]
fn a_record_that_violates_its_schema_is_found() {
    let without = |name: &'static str| move |r: &mut Value| drop(r.as_object_mut().unwrap().remove(name));
    for field in golden("session")[0].as_object().unwrap().keys() {
        let why = changed("session", |record| drop(record.as_object_mut().unwrap().remove(field)));
        let may_lack = ["forked_from", "status", "resume_command"].contains(&field.as_str());
        assert_eq!(why.is_none(), may_lack, "{field}: {why:?}");
    }
    for (kind, name, wrong) in [
        ("session", "id", json!("login")),
        ("session", "id", json!(null)),
        ("session", "status", json!("asleep")),
        ("session", "created_at", json!("2026-11-22T10:50:00Z")),
        ("session", "tokens_used", json!("321")),
        ("session", "git", json!({"sha": null})),
        ("session", "resume_command", json!("codex resume")),
        ("group", "session_ids", json!([1])),
        ("queue", "state", json!("asleep")),
        ("queue", "counts", json!({"pending": 1})),
        ("run", "counts", json!({"pending": -1, "running": 0, "completed": 0, "failed": 0, "skipped": 0})),
        ("job", "v", json!(2)),
        ("job", "kind", json!("begin")),
        ("job.failed", "failure", json!({"class": "bad luck", "message": "", "until": null})),
        ("job.completed", "usage", json!({"input_tokens": "many"})),
        ("run.started", "runner", json!(7)),
        ("tool", "ours", json!(null)),
        ("session.status", "status", json!("asleep")),
    ] {
        let why = changed(kind, |record| record[name] = wrong.clone());
        assert!(why.is_some(), "{kind} with {name} {wrong} fits");
    }
    for (kind, name) in
        [("limit", "until"), ("job.event", "event"), ("tool", "shadows"), ("turn.started", "at")]
    {
        let why = changed(kind, without(name)).unwrap();
        assert!(why.contains(name) || kind == "tool", "{why}");
    }
    assert_eq!(changed("session", |record| record["new"] = json!({"by": "a later release"})), None);
    assert!(find_mismatch(&json!({"type": "sesion"}), As::Today).unwrap().contains("no schema of 'sesion'"));
}

#[test]
fn output_of_the_tools_is_validated() {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let wrong = |line: &str, input: &str, out: &str| {
        let (words, input, out) = (words(line), input.to_owned(), out.to_owned());
        std::panic::catch_unwind(move || hold(&words, &input, &out)).is_err()
    };
    let good = golden("session")[0].to_string() + "\n";
    let bad = good.replace("\"git\":", "\"got\":");
    // serde_json sorts fields, and a tool begins with the type.
    let typed =
        |text: &str| format!("{{\"type\":\"session\",{}", &text.replace(",\"type\":\"session\"", "")[1..]);
    let (good, bad) = (typed(&good), typed(&bad));
    assert!(!wrong("codex-agent-ls --json", "", &good));
    assert!(wrong("codex-agent-ls --json", "", &bad));
    assert!(wrong("/x/codex-agent-ls --json", "", &format!("{good}{bad}")));
    // The record was passed on, or only some fields were requested, or it is not ours.
    assert!(!wrong("codex-agent-group add g --json", &bad, &bad));
    assert!(!wrong("codex-agent-ls --json --fields id", "", &bad));
    assert!(wrong("codex-agent-ls --json --fields id", "", &bad.replace(":\"exec\"", ":7")));
    assert!(!wrong("jq .", "", &bad));
    // A tool writes only the types that it declares.
    assert!(wrong("codex-agent-status --json", "", &good));
    assert!(wrong("codex-agent-ls --json", "", "{\"type\":\"sesion\"}\n"));
}

#[test]
fn a_field_of_a_later_release_is_required_only_of_its_tools() {
    let mut schema = json!({
        "properties": {"a": {}, "b": {"x-since": "0.2.0"}},
        "required": ["a"],
        "oneOf": [{"properties": {"c": {"x-since": "0.2.0"}}, "required": []}],
    });
    require_late(&mut schema);
    assert_eq!(schema["required"], json!(["a", "b"]));
    assert_eq!(schema["oneOf"][0]["required"], json!(["c"]));
}

/// A value of another kind, or of another shape, or none.
fn spoiled(value: &Value, pick: u64) -> Value {
    let others =
        [json!(null), json!(17), json!(-1), json!(1.5), json!("text"), json!([]), json!({}), json!(true)];
    match (value, pick % 11) {
        (Value::String(text), 8) => json!(text.to_uppercase()),
        (Value::String(text), 9) => json!(text.replace(['Z', 'a'], "z")),
        (Value::Number(_), 8) => json!(2.0),
        (Value::Array(items), 8) => json!([items, [null]]),
        (Value::Object(fields), 8..) => {
            let mut fields = fields.clone();
            let nth = fields.keys().nth(pick as usize / 11 % fields.len().max(1)).cloned();
            match (nth, pick % 3) {
                (Some(name), 0) => drop(fields.remove(&name)),
                (Some(name), _) => drop(fields.insert(name.clone(), spoiled(&fields[&name], pick / 11))),
                (None, _) => drop(fields.insert("new".to_owned(), json!(1))),
            }
            fields.into()
        }
        (_, at) => others[at as usize % others.len()].clone(),
    }
}

#[test]
fn our_validation_agrees_with_another_validator() {
    let keywords = [
        "$schema",
        "$id",
        "title",
        "description",
        "x-since",
        "pattern",
        "type",
        "const",
        "enum",
        "minimum",
        "format",
        "not",
        "anyOf",
        "oneOf",
        "items",
        "required",
        "properties",
        "additionalProperties",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut fit, mut unfit) = (0, 0);
    for schema in each(WRITTEN).unwrap() {
        let (text, name) = (parsed(&schema), &schema.name);
        assert_known_keywords(&text, &keywords, name);
        let other = jsonschema::options().should_validate_formats(true).build(&text).unwrap();
        let example = instance::example(&text);
        for record in golden(name).into_iter().chain([example]) {
            assert_eq!(instance::find_mismatch(&text, &record), None, "{name}: {record}");
            assert!(other.is_valid(&record), "{name}: {record}");
            for _ in 0..200 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let mut fields = record.as_object().unwrap().clone();
                let at = fields.keys().nth(seed as usize % fields.len()).unwrap().clone();
                match seed >> 60 {
                    0 => drop(fields.remove(&at)),
                    _ => drop(fields.insert(at.clone(), spoiled(&fields[&at], seed >> 20))),
                }
                let spoiled = Value::Object(fields);
                let why = instance::find_mismatch(&text, &spoiled);
                assert_eq!(why.is_none(), other.is_valid(&spoiled), "{name}: {spoiled}: {why:?}");
                *(if why.is_none() { &mut fit } else { &mut unfit }) += 1;
            }
        }
    }
    assert!(fit > 500 && unfit > 2000, "{fit} fit, {unfit} do not");
}

/// A keyword that our reader ignores must be known to change nothing.
fn assert_known_keywords(schema: &Value, known: &[&str], name: &str) {
    for (keyword, rule) in schema.as_object().into_iter().flatten() {
        assert!(known.contains(&keyword.as_str()), "{name}: '{keyword}' is not known to schema::instance");
        let inner: Vec<&Value> = match (keyword.as_str(), rule) {
            ("properties", Value::Object(fields)) => fields.values().collect(),
            ("anyOf" | "oneOf", Value::Array(shapes)) => shapes.iter().collect(),
            ("items" | "not" | "additionalProperties", rule) => vec![rule],
            _ => vec![],
        };
        inner.into_iter().for_each(|schema| assert_known_keywords(schema, known, name));
    }
}

/// Every field of a schema, by its path, with its description.
fn fields(schema: &Value, path: &str, all: &mut BTreeMap<String, Value>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(field, &path, all);
        all.insert(path, field.clone());
    }
    for shape in schema["oneOf"].as_array().into_iter().flatten() {
        fields(shape, path, all);
    }
}

#[test]
fn every_field_is_described_in_plain_words() {
    for schema in each(WRITTEN).unwrap().iter().chain(&each(READ).unwrap()) {
        let text = &schema.text;
        for odd in ["None", "`", "[`", "Some("] {
            assert!(!text.contains(odd), "the schema of {} speaks Rust: {odd}", schema.name);
        }
        let schema = parsed(schema);
        let mut all = BTreeMap::new();
        fields(&schema, schema["title"].as_str().unwrap(), &mut all);
        for (path, field) in all {
            let said = field["description"].as_str().unwrap_or_default();
            assert!(path.ends_with(".type") || said.ends_with('.'), "{path}: {said:?}");
        }
    }
}

#[test]
fn the_manual_names_every_type_and_field() {
    let page = fs::read_to_string(root("man/codex-agent-records.5")).unwrap().replace('\\', "");
    for schema in each(WRITTEN).unwrap() {
        let heads = [format!(".SH {}\n", schema.name), format!(".SS {}\n", schema.name)];
        let is_there = heads.iter().any(|head| page.contains(head));
        assert!(is_there, "codex-agent-records(5) has no '{}'", schema.name);
        let mut all = BTreeMap::new();
        fields(&parsed(&schema), "", &mut all);
        for path in all.keys() {
            let name = path.rsplit('.').next().unwrap();
            let words = page.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(
                words.clone().any(|word| word == name),
                "codex-agent-records(5) lacks {}{path}",
                schema.name
            );
        }
    }
}

#[test]
fn every_type_that_a_tool_names_has_a_schema_and_is_named_by_one() {
    let world = World::new();
    let names = |text: &str| each(text).unwrap().into_iter().map(|s| s.name).collect::<BTreeSet<String>>();
    let mut writes = BTreeSet::new();
    let mut reads = BTreeSet::new();
    let tools = TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}"));
    for tool in tools.chain(["codex-agent".to_owned()]) {
        let record = records(&world.ok(&[&tool, "--generate", "describe"])).remove(0);
        for (field, all) in [("writes", &mut writes), ("reads", &mut reads)] {
            all.extend(
                record[field].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()),
            );
        }
    }
    // The type occurs only in journals.
    writes.insert("run.planned".to_owned());
    assert_eq!((writes, reads), (names(WRITTEN), names(READ)));
}

#[test]
fn schemas_are_listed_and_printed() {
    let world = World::new();
    let list = world.ok(&["codex-agent-schema"]);
    let schemas = each(WRITTEN).unwrap();
    assert_eq!(list.lines().count(), schemas.len());
    assert!(list.starts_with("session\tA Codex session\ngroup\tA named set of sessions\n"), "{list}");
    let types = records(&world.ok(&["codex-agent-schema", "--json"]));
    for ((row, record), schema) in list.lines().zip(&types).zip(&schemas) {
        assert_eq!(row, format!("{}\t{}", schema.name, schema.about));
        assert_eq!(
            record,
            &json!({"type": "schema", "name": schema.name, "about": schema.about, "id": schema.id})
        );
        let text = world.ok(&["codex-agent-schema", &schema.name]);
        let printed: Value = serde_json::from_str(&text).unwrap();
        let all: Value = serde_json::from_str(WRITTEN).unwrap();
        assert_eq!(printed, all["$defs"][&schema.name]);
        assert_eq!((&printed["title"], &printed["$id"]), (&json!(schema.name), &json!(schema.id)));
    }
    let two = world.ok(&["codex-agent", "schema", "job", "session"]);
    let titles: Vec<Value> = serde_json::Deserializer::from_str(&two)
        .into_iter::<Value>()
        .map(|schema| schema.unwrap()["title"].clone())
        .collect();
    assert_eq!(titles, ["job", "session"]);
    assert_eq!(world.ok(&["codex-agent-schema", "--all"]), WRITTEN);
    assert_eq!(world.ok(&["codex-agent-schema", "--all", "--read"]), READ);
    let read: Value = serde_json::from_str(&world.ok(&["codex-agent-schema", "--read", "job"])).unwrap();
    assert_eq!(read["required"], json!(["type", "prompt"]));
    let shown = on_terminal(&world, &["codex-agent-schema", "--color", "never"], 60);
    assert!(shown.lines().all(|row| row.chars().count() <= 60), "{shown}");
    assert!(shown.contains("session              A Codex session\n"), "{shown:?}");
}

#[test]
fn an_unknown_type_is_refused() {
    let world = World::new();
    let ran = world.run(&["codex-agent-schema", "session", "sesion"]);
    ran.exits(1).prints("");
    ran.reports_exactly(
        "codex-agent-schema: there is no schema of the type 'sesion'\n  did you mean 'session'?\n",
    );
    let ran = world.run(&["codex-agent-schema", "xyzzy"]);
    ran.exits(1).reports("'codex-agent schema' lists the types");
    // Types that are written and not read.
    let ran = world.run(&["codex-agent-schema", "--read", "run"]);
    let told = "there is no schema of the type 'run' that is read\n  'codex-agent schema run' prints the schema of the records that tools write\n";
    ran.exits(1);
    assert!(ran.err.ends_with(told), "{}", ran.err);
    let ran = world.run(&["codex-agent-schema", "--read", "xyzzy"]);
    ran.reports("'codex-agent schema --read' lists the types");
    for words in [&["--all", "job"][..], &["--json", "job"], &["--all", "--json"]] {
        let ran = world.run(&[&["codex-agent-schema"], words].concat());
        ran.exits(2).prints("");
    }
    let ran = world.sh("codex-agent-schema --all | head -n 1");
    ran.succeeds().reports_exactly("").prints("{\n");
}
