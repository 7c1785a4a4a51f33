//! Records and their schemas: validation, and an example of a valid record.
//!
//! The keywords in the schemas of this package are supported. Tests compare the schemas with this list, and the results
//! with those of an external validator.
//!
//! ```
//! use codex_agent_shared::schema::instance::{example, find_mismatch};
//! use serde_json::json;
//!
//! let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]});
//! assert_eq!(find_mismatch(&schema, &example(&schema)), None);
//! assert_eq!(find_mismatch(&schema, &json!({"id": "x"})).unwrap(), "id is a string, not an integer");
//! ```

use serde_json::{Map, Value};

use crate::time::Timestamp;

/// The form of a string of each format: 0 is a digit, x a hexadecimal digit.
const SHAPES: [(&str, &str); 2] =
    [("date-time", "0000-00-00T00:00:00.000Z"), ("uuid", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")];

/// The reason why a value is invalid, as a clause that names the place; `None` if it is valid.
pub fn find_mismatch(schema: &Value, value: &Value) -> Option<String> {
    find_mismatch_at(schema, value, "")
}

fn find_mismatch_at(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let named = if place.is_empty() { "the record" } else { place };
    let inner = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let Some(rules) = schema.as_object() else {
        return (*schema == Value::Bool(false)).then(|| format!("{named} is not allowed"));
    };
    let fitting = |all: &Value| list(all).iter().filter(|one| find_mismatch(one, value).is_none()).count();
    rules.iter().find_map(|(keyword, rule)| match (keyword.as_str(), value) {
        ("type", _) => {
            let kinds: Vec<&str> = match rule {
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
                one => one.as_str().into_iter().collect(),
            };
            let named_so = || kinds.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ");
            (!kinds.iter().any(|kind| is_kind(value, kind)))
                .then(|| format!("{named} is {}, not {}", article(kind(value)), named_so()))
        }
        ("const", _) => (rule != value).then(|| format!("{named} is not {rule}")),
        ("enum", _) => (!list(rule).contains(value)).then(|| format!("{named} is not one of {rule}")),
        ("minimum", Value::Number(number)) => {
            (number.as_f64() < rule.as_f64()).then(|| format!("{named} is less than {rule}"))
        }
        ("format", Value::String(text)) => {
            let format = rule.as_str().unwrap_or_default();
            (!has_format(text, format)).then(|| format!("{named} is not a valid {format}"))
        }
        ("not", _) => find_mismatch(rule, value).is_none().then(|| format!("{named} has a forbidden value")),
        ("anyOf", _) => (fitting(rule) == 0).then(|| format!("{named} matches none of its schemas")),
        ("oneOf", _) => (fitting(rule) != 1).then(|| {
            let whys: Vec<String> =
                list(rule).iter().filter_map(|one| find_mismatch_at(one, value, place)).collect();
            format!("{named} does not match exactly one of its schemas: {}", whys.join("; "))
        }),
        ("items", Value::Array(items)) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| find_mismatch_at(rule, item, &format!("{named}[{at}]"))),
        ("required", Value::Object(fields)) => {
            let lacks = list(rule).iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
            lacks.map(|name| format!("{} is missing", inner(name)))
        }
        ("properties", Value::Object(fields)) => rule
            .as_object()?
            .iter()
            .find_map(|(name, rule)| find_mismatch_at(rule, fields.get(name)?, &inner(name))),
        ("additionalProperties", Value::Object(fields)) => {
            let known = |name: &str| rules.get("properties").is_some_and(|known| known.get(name).is_some());
            let mut others = fields.iter().filter(|(name, _)| !known(name));
            others.find_map(|(name, field)| find_mismatch_at(rule, field, &inner(name)))
        }
        _ => None,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_kind(value: &Value, wanted: &str) -> bool {
    let is_whole = || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    wanted == kind(value)
        || wanted == "number" && value.is_number()
        || wanted == "integer" && value.is_number() && is_whole()
}

fn article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        _ if kind.starts_with(['a', 'i', 'o']) => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn has_format(text: &str, format: &str) -> bool {
    let Some((_, shape)) = SHAPES.iter().find(|(name, _)| *name == format) else { return true };
    let is_like = |(byte, like): (u8, u8)| match like {
        b'0' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        _ => byte == like,
    };
    let is_shaped = text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(is_like);
    is_shaped && (format != "date-time" || Timestamp::parse(text).is_some())
}

/// A valid value with all fields of a schema.
pub fn example(schema: &Value) -> Value {
    if let Some(value) = schema.get("const").or_else(|| list(&schema["enum"]).first()) {
        return value.clone();
    }
    let shape = ["oneOf", "anyOf"].iter().find_map(|keyword| list(&schema[*keyword]).first()).map(example);
    let kind = list(&schema["type"]).first().unwrap_or(&schema["type"]).as_str();
    match (kind, shape) {
        (Some("object"), shape) => {
            let described = schema["properties"].as_object().into_iter().flatten();
            let mut fields: Map<String, Value> =
                described.map(|(name, rule)| (name.clone(), example(rule))).collect();
            if let Some(Value::Object(more)) = shape {
                fields.extend(more);
            }
            Value::Object(fields)
        }
        (_, Some(shape)) => shape,
        (Some("array"), _) => Value::Array(vec![example(&schema["items"])]),
        (Some("string"), _) => match schema["format"].as_str() {
            Some("date-time") => "2026-11-22T10:50:15.944Z".into(),
            Some("uuid") => "01a202e0-96cb-7050-a2d5-f828a9b95443".into(),
            _ => "example".into(),
        },
        (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        (Some("boolean"), _) => true.into(),
        _ => Value::Null,
    }
}
