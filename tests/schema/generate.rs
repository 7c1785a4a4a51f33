//! The text of the schemas, made from the types. Only tests call this.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use codex_agent_engine::codex::archive::RefusedRecord;
use codex_agent_engine::commands::manage::{LimitRecord, RunRecord};
use codex_agent_engine::commands::prompts;
use codex_agent_engine::queue::{PromptRecord, QueueRecord};
use codex_agent_engine::record::event::{Event, JobEvent};
use codex_agent_engine::record::job::Job;
use codex_agent_engine::record::worker::{JobStop, WorkerHello};
use codex_agent_shared::codex::drift::{Problem, Summary};
use codex_agent_shared::codex::limits::SeenLimit;
use codex_agent_shared::config;
use codex_agent_shared::group::GroupRecord;
use codex_agent_shared::output::{CommandRecord, SetupFileRecord};
use codex_agent_shared::plugin::record::{CheckRecord, ProblemRecord, ToolRecord};
use codex_agent_shared::record::{Field, Session};
use codex_agent_shared::schema::SchemaRecord;
use codex_agent_shared::transcript::search::MatchRecord;
use codex_agent_shared::transcript::stats::StatsRecord;
use codex_agent_shared::transcript::{Item, SessionEvent, Turn};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The types of the records that a tool also prints for other machines.
const ON_HOSTS: [&str; 7] = ["item", "turn", "match", "run", "queue", "limit", "limit.seen"];

const HOST: &str =
    "The host of the record, as the user calls it; a dot for this machine. Absent unless hosts were asked.";

/// A type of records and its schema.
type Typed = (String, Value);

/// The schemas of what is written, as `shared/schema/written.json` has them.
pub fn written() -> String {
    let mut all = vec![("session".to_owned(), session())];
    all.push(typed::<GroupRecord<'_>>("group"));
    all.extend(tools());
    all.push(typed::<config::alias::AliasRecord<'_>>("alias"));
    all.push(typed::<config::records::SettingRecord>("setting"));
    all.push(typed::<config::records::ProblemRecord>("config.problem"));
    all.push(typed::<ProblemRecord<'_>>("plugin.problem"));
    all.push(typed::<CheckRecord<'_>>("plugin.check"));
    all.push(typed::<CommandRecord<'_>>("command"));
    all.push(typed::<Problem>("problem"));
    all.push(typed::<Summary>("check"));
    all.push(typed::<QueueRecord<'_>>("queue"));
    all.push(typed::<PromptRecord<'_>>("prompt"));
    all.push(typed::<Job>("job"));
    all.push(typed::<SetupFileRecord<'_>>("setup.file"));
    all.push(typed::<LimitRecord<'_>>("limit"));
    all.push(typed::<SeenLimit>("limit.seen"));
    all.push(typed::<RunRecord<'_>>("run"));
    all.push(typed::<Item>("item"));
    all.push(typed::<Turn>("turn"));
    all.push(typed::<MatchRecord<'_>>("match"));
    all.push(typed::<StatsRecord<'_>>("stats"));
    all.extend(variants(plain::<Event>(Contract::Serialize)));
    all.push(typed::<JobEvent<'_>>("job.event"));
    all.push(typed::<WorkerHello>("worker.hello"));
    all.push(typed::<JobStop>("job.stop"));
    all.extend(variants(plain::<SessionEvent>(Contract::Serialize)));
    all.push(typed::<RefusedRecord<'_>>("session.refused"));
    all.push(typed::<SchemaRecord<'_>>("schema"));
    let about = "Any record that a tool of codex-agent writes.";
    bundle("urn:codex-agent:written", "written", about, all)
}

/// The schemas of what is read, as `shared/schema/read.json` has them.
pub fn read() -> String {
    let session = json!({
        "type": "object",
        "description": "A Codex session, of which only the id is used.",
        "properties": {
            "type": {},
            "id": {"type": "string", "description": "The id of the session."},
        },
        "required": ["id"],
    });
    let all = vec![
        ("session".to_owned(), session),
        ("prompt".to_owned(), plain::<prompts::PromptRecord>(Contract::Deserialize)),
        ("job".to_owned(), plain::<Job>(Contract::Deserialize)),
    ];
    bundle("urn:codex-agent:read", "read", "Any record that a tool of codex-agent reads.", all)
}

fn plain<T: JsonSchema>(contract: Contract) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.contract = contract;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>().into()
}

fn typed<T: JsonSchema>(name: &str) -> Typed {
    (name.to_owned(), plain::<T>(Contract::Serialize))
}

/// A session is written field by field, by [`Field::ALL`]; so is its schema.
fn session() -> Value {
    let derived = plain::<Session<'_>>(Contract::Serialize);
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({}));
    for &field in Field::ALL {
        let property = &derived["properties"][field.name()];
        assert!(property.is_object(), "a session has no field '{}'", field.name());
        properties.insert(field.name().to_owned(), property.clone());
    }
    // Only a record of another program may lack it.
    never_null(&mut properties["id"]);
    let always = Field::LISTED.iter().map(|field| field.name());
    let required: Vec<&str> = std::iter::once("type").chain(always).collect();
    json!({
        "type": "object",
        "description": "A Codex session. With --fields a record has only the named fields.",
        "properties": properties,
        "required": required,
    })
}

/// The two records of tools: in a listing, and from --generate describe.
fn tools() -> [Typed; 2] {
    let said = ["version", "protocol", "reads", "writes", "generates", "completes"];
    let both = plain::<ToolRecord<'_>>(Contract::Serialize);
    let shape = |fields: &[&str], others: &[&str], description: &str| {
        let mut properties = Map::new();
        for field in fields.iter().chain(others) {
            let mut property = both["properties"][field].clone();
            // A field that is omitted is never null instead.
            if *field != "about" {
                never_null(&mut property);
            }
            properties.insert((*field).to_owned(), property);
        }
        json!({
            "type": "object",
            "description": description,
            "properties": properties,
            "required": fields,
        })
    };
    let all = both["properties"].as_object().map_or(0, Map::len);
    assert_eq!(all, 14, "a field of ToolRecord is in neither record");
    let found = ["type", "name", "about", "path", "ours", "shadows", "description"];
    let known = [&said[..], &["pipe"]].concat();
    let found = shape(&found, &known, "A tool on the search path.");
    let head = ["type", "name", "about"];
    let mut own = shape(
        &[&head[..], &said].concat(),
        &["pipe"],
        "The description that a tool prints with --generate describe.",
    );
    // The description of a tool that was found has all of these fields too.
    own["not"] = json!({"required": ["path"]});
    [("tool".to_owned(), found), ("tool".to_owned(), own)]
}

/// Takes null out of what a field may be.
fn never_null(property: &mut Value) {
    if let Some([kind, _]) = property["type"].as_array().map(Vec::as_slice) {
        property["type"] = kind.clone();
    }
}

/// The schemas of the variants of an event, each with the fields that all of them have.
fn variants(event: Value) -> Vec<Typed> {
    let own = event["oneOf"].as_array().cloned().unwrap_or_default();
    assert!(!own.is_empty(), "an event has no variants");
    let with_common = |mut variant: Value| {
        let name = variant["properties"]["type"]["const"].as_str().unwrap_or_default().to_owned();
        for (key, property) in event["properties"].as_object().into_iter().flatten() {
            variant["properties"][key] = property.clone();
        }
        let common = event["required"].as_array().into_iter().flatten().cloned();
        if let Some(required) = variant["required"].as_array_mut() {
            required.extend(common);
        }
        (name, variant)
    };
    own.into_iter().map(with_common).collect()
}

/// All schemas as one. Where a type has several records, any of them will do.
fn bundle(id: &str, what: &str, about: &str, all: Vec<Typed>) -> String {
    let mut shapes: Vec<(String, Vec<Value>)> = Vec::new();
    for (name, mut schema) in all {
        tidy(&mut schema, what == "written");
        if what == "written" && ON_HOSTS.contains(&name.as_str()) && schema["properties"]["host"].is_null() {
            schema["properties"]["host"] = json!({"type": "string", "description": HOST});
        }
        schema["properties"]["type"] = json!({"type": "string", "const": name});
        match shapes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, shapes)) => shapes.push(schema),
            None => shapes.push((name, vec![schema])),
        }
    }
    let mut order = Vec::new();
    let mut schemas = Vec::new();
    for (name, mut shapes) in shapes {
        let mut schema = match shapes.len() {
            1 => shapes.remove(0),
            _ => json!({"type": "object", "description": one_of(&shapes), "oneOf": shapes}),
        };
        schema["$schema"] = DRAFT.into();
        schema["$id"] = format!("{id}:{name}").into();
        schema["title"] = name.as_str().into();
        order.push(json!({"$ref": format!("#/$defs/{name}")}));
        schemas.push((name, schema));
    }
    let mut text = String::from("{\n");
    let head = json!({"$schema": DRAFT, "$id": id, "title": what, "description": about, "oneOf": order});
    for key in ["$schema", "$id", "title", "description", "oneOf"] {
        text.push_str(&format!("  {}: {},\n", json!(key), pretty(&head[key], 1, Keys::Words)));
    }
    let schemas: Vec<String> = schemas
        .iter()
        .map(|(name, schema)| format!("    {}: {}", json!(name), pretty(schema, 2, Keys::Words)))
        .collect();
    text.push_str(&format!("  \"$defs\": {{\n{}\n  }}\n}}\n", schemas.join(",\n")));
    text
}

/// The description of several records of one type: "A thing; or: another thing."
fn one_of(shapes: &[Value]) -> String {
    let mut words = String::new();
    for shape in shapes {
        let own = shape["description"].as_str().unwrap_or_default().trim_end_matches('.');
        match (words.is_empty(), own.split_at_checked(1)) {
            (false, Some((first, rest))) => {
                words.push_str(&format!("; or: {}{rest}", first.to_lowercase()));
            }
            _ => words.push_str(own),
        }
    }
    words + "."
}

/// What a reader of the schema need not know is taken out, and what is true of all is put in.
fn tidy(schema: &mut Value, is_written: bool) {
    match schema {
        Value::Object(members) => {
            // The size of an integer in memory.
            let of_memory = |format: &str| format.starts_with("int") || format.starts_with("uint");
            if members.get("format").and_then(Value::as_str).is_some_and(of_memory) {
                members.remove("format");
                // Nor is what it can hold at the most a promise.
                members.remove("maximum");
            }
            if is_written {
                members.remove("default");
            }
            members.remove("title");
            if members.contains_key("const") {
                members.remove("minimum");
            }
            perhaps_a_word(members);
            if let Some(Value::String(description)) = members.get_mut("description") {
                *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            since(members);
            let is_open = members.get("properties").is_some_and(Value::is_object);
            if is_open {
                members.insert("additionalProperties".to_owned(), true.into());
            }
            for (key, member) in members.iter_mut() {
                match (key.as_str(), member) {
                    // A field may be called as a keyword is.
                    ("properties", Value::Object(properties)) => {
                        properties.values_mut().for_each(|property| tidy(property, is_written));
                    }
                    ("const" | "enum" | "default" | "required", _) => {}
                    (_, member) => tidy(member, is_written),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tidy(item, is_written)),
        _ => {}
    }
}

/// One of several words, or null: as one list.
fn perhaps_a_word(members: &mut Map<String, Value>) {
    let Some([Value::Object(words), null]) =
        members.get("anyOf").and_then(Value::as_array).map(Vec::as_slice)
    else {
        return;
    };
    let Some(Value::Array(words)) = words.get("oneOf") else { return };
    let words: Vec<Value> = words.iter().chain([null]).cloned().collect();
    members.remove("anyOf");
    members.insert("oneOf".to_owned(), words.into());
}

/// A field that came after the first release of its type is not required: old records have it not.
fn since(members: &mut Map<String, Value>) {
    let is_late = |property: &Value| property.get("x-since").is_some();
    let properties = members.get("properties").and_then(Value::as_object);
    let late: Vec<String> =
        properties.into_iter().flatten().filter(|(_, p)| is_late(p)).map(|(key, _)| key.clone()).collect();
    if let Some(Value::Array(required)) = members.get_mut("required") {
        required.retain(|key| !late.iter().any(|late| key == late));
    }
}

/// The keywords in the order in which they are best read; others follow.
const ORDER: [&str; 20] = [
    "$schema",
    "$id",
    "title",
    "type",
    "description",
    "x-since",
    "const",
    "enum",
    "format",
    "pattern",
    "default",
    "minimum",
    "maximum",
    "minItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "oneOf",
    "anyOf",
];

/// How long a value may be on one line.
const LINE: usize = 100;

/// The schemas of the keys of an object.
#[derive(Clone, Copy)]
enum Keys<'v> {
    /// Keywords of a schema.
    Words,
    /// Fields of a record; those that are required come first, in this order.
    Fields(&'v [Value]),
    /// Data.
    Data,
}

impl<'v> Keys<'v> {
    fn sorted(self, members: &'v Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by_key(|(key, _)| {
            let at = match self {
                Keys::Words => ORDER.iter().position(|word| word == key),
                Keys::Fields(required) => required.iter().position(|field| field == *key),
                Keys::Data => None,
            };
            at.unwrap_or(usize::MAX)
        });
        sorted
    }

    /// The schemas of the keys of a member.
    fn below(self, key: &str, members: &'v Map<String, Value>) -> Keys<'v> {
        match (self, key) {
            (Keys::Words, "properties") => {
                let required = members.get("required").and_then(Value::as_array);
                Keys::Fields(required.map_or(&[], Vec::as_slice))
            }
            (Keys::Words, "default" | "const" | "enum") | (Keys::Data, _) => Keys::Data,
            (Keys::Words | Keys::Fields(_), _) => Keys::Words,
        }
    }
}

/// JSON to be read by people.
fn pretty(value: &Value, depth: usize, keys: Keys<'_>) -> String {
    let flat = flat(value, keys);
    if depth > 1 && flat.len() + 2 * depth <= LINE {
        return flat;
    }
    let (indent, end) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    let (open, close, lines): (_, _, Vec<String>) = match value {
        Value::Object(members) if !members.is_empty() => {
            let line = |(key, member): (&String, &Value)| {
                let member = pretty(member, depth + 1, keys.below(key, members));
                format!("{indent}{}: {member}", json!(key))
            };
            ('{', '}', keys.sorted(members).into_iter().map(line).collect())
        }
        Value::Array(items) if items.iter().all(Value::is_string) => ('[', ']', filled(items, &indent)),
        Value::Array(items) if !items.is_empty() => (
            '[',
            ']',
            items.iter().map(|item| format!("{indent}{}", pretty(item, depth + 1, keys))).collect(),
        ),
        _ => return flat,
    };
    format!("{open}\n{}\n{end}{close}", lines.join(",\n"))
}

/// Words, as many on a line as there is room for.
fn filled(words: &[Value], indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.iter().map(Value::to_string) {
        match lines.last_mut().filter(|line| line.len() + word.len() + 2 <= LINE) {
            Some(line) => line.push_str(&format!(", {word}")),
            None => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

/// The same on one line.
fn flat(value: &Value, keys: Keys<'_>) -> String {
    match value {
        Value::Object(members) => {
            let member = |(key, member): (&String, &Value)| {
                format!("{}: {}", json!(key), flat(member, keys.below(key, members)))
            };
            let members: Vec<String> = keys.sorted(members).into_iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| flat(item, keys)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing. With more.
    #[derive(serde::Serialize, JsonSchema)]
    struct Thing {
        #[serde(rename = "type")]
        kind: &'static str,
        /// How often.
        count: u32,
        /// Fields of later releases.
        #[schemars(extend("x-since" = "0.2.0"))]
        late: Option<String>,
    }

    #[test]
    fn a_field_that_came_later_is_not_required() {
        let text = bundle("urn:x", "written", "Any.", vec![typed::<Thing>("thing")]);
        let all: Value = serde_json::from_str(&text).unwrap();
        let thing = &all["$defs"]["thing"];
        assert_eq!(thing["required"], json!(["type", "count"]));
        assert_eq!(thing["properties"]["late"]["x-since"], "0.2.0");
        assert_eq!(thing["properties"]["type"], json!({"type": "string", "const": "thing"}));
        assert_eq!(thing["properties"]["count"]["minimum"], 0);
        assert_eq!(thing["properties"]["count"].get("format"), None);
        assert_eq!((&thing["additionalProperties"], &thing["$id"]), (&json!(true), &json!("urn:x:thing")));
        let fields: Vec<usize> =
            ["\"type\": {", "\"count\"", "\"late\""].iter().map(|field| text.find(field).unwrap()).collect();
        assert!(fields.is_sorted(), "{text}");
    }

    #[test]
    fn records_of_one_type_are_distinguished() {
        let things =
            vec![typed::<Thing>("thing"), typed::<Summary>("check"), typed::<SchemaRecord<'_>>("thing")];
        let all: Value = serde_json::from_str(&bundle("urn:x", "written", "Any.", things)).unwrap();
        let thing = &all["$defs"]["thing"];
        assert_eq!(thing["oneOf"].as_array().unwrap().len(), 2);
        assert!(thing["description"].as_str().unwrap().starts_with("A thing. With more; or: a type of"));
        assert_eq!(all["oneOf"], json!([{"$ref": "#/$defs/thing"}, {"$ref": "#/$defs/check"}]));
    }
}
