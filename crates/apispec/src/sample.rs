//! A value that a schema allows, for documentation, ready-made calls and mock answers.
//!
//! Deterministic: the same schema gives the same value. What the author wrote (`example`,
//! `default`, `const`, `enum`) comes before anything made up. Schemas that contain themselves are
//! cut where they begin again; size, depth and work are bounded.

use serde_json::{Map, Number, Value};

use crate::limits::{
    MAX_SAMPLE_DEPTH, MAX_SAMPLE_NODES, MAX_SAMPLE_PROPERTIES, MAX_SAMPLE_STEPS,
    MAX_SAMPLE_TEXT_BYTES,
};
use crate::tree::{Tree, reference_of};

/// From this depth on only required properties are shown.
const FULL_DEPTH: usize = 3;

/// Who will read the value: `readOnly` is left out of requests, `writeOnly` of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Request,
    Response,
}

/// A value for the schema; `{}` if it says nothing about its values.
pub fn value(schema: &Value, tree: &Tree, audience: Audience) -> Value {
    counted(schema, tree, audience).0
}

/// Like [`value`], with the number of schemas that were looked at.
pub(crate) fn counted(schema: &Value, tree: &Tree, audience: Audience) -> (Value, usize) {
    let mut maker = Maker { tree, audience, nodes: 0, steps: 0, open: Vec::new() };
    let made = maker.make(schema, 0).unwrap_or_else(|| Value::Object(Map::new()));
    (made, maker.steps)
}

struct Maker<'t> {
    tree: &'t Tree,
    audience: Audience,
    nodes: usize,
    steps: usize,
    /// References being expanded: one of them inside itself is a cycle.
    open: Vec<&'t str>,
}

impl<'t> Maker<'t> {
    fn make(&mut self, schema: &'t Value, depth: usize) -> Option<Value> {
        self.steps += 1;
        if self.steps > MAX_SAMPLE_STEPS || depth > MAX_SAMPLE_DEPTH {
            return None;
        }
        let Some(reference) = reference_of(schema) else { return self.make_plain(schema, depth) };
        if self.open.contains(&reference) {
            return None;
        }
        let target = self.tree.resolve(reference)?;
        self.open.push(reference);
        let made = self.make(target, depth);
        self.open.pop();
        made
    }

    fn make_plain(&mut self, schema: &'t Value, depth: usize) -> Option<Value> {
        let map = schema.as_object()?;
        if let Some(written) = written(map) {
            return self.keep(written);
        }
        if self.nodes >= MAX_SAMPLE_NODES {
            return None;
        }
        self.nodes += 1;
        let combined = self.combined(map, depth);
        let made = match kind(map) {
            Some("object") => Some(Value::Object(self.object(map, depth))),
            Some("array") if combined.is_none() => Some(self.array(map, depth)),
            Some("string") if combined.is_none() => Some(Value::String(string(map))),
            Some("integer" | "number") if combined.is_none() => Some(number(map)),
            Some("boolean") if combined.is_none() => Some(Value::Bool(true)),
            Some("null") if combined.is_none() => Some(Value::Null),
            _ => None,
        };
        match (made, combined) {
            (Some(Value::Object(own)), Some(Value::Object(mut all))) => {
                all.extend(own);
                Some(Value::Object(all))
            }
            (made, combined) => combined.or(made),
        }
    }

    fn keep(&mut self, written: &Value) -> Option<Value> {
        self.nodes += count(written);
        (self.nodes <= MAX_SAMPLE_NODES * 2).then(|| written.clone())
    }

    /// What `allOf` adds up to, and the first of `oneOf` or `anyOf` that gives a value.
    fn combined(&mut self, map: &'t Map<String, Value>, depth: usize) -> Option<Value> {
        let mut result: Option<Value> = None;
        for part in list(map, "allOf") {
            let made = self.make(part, depth);
            result = merge(result, made);
        }
        for member in ["oneOf", "anyOf"] {
            for part in list(map, member) {
                if is_null(part) {
                    continue;
                }
                if let Some(made) = self.make(part, depth) {
                    result = merge(result, Some(made));
                    break;
                }
            }
        }
        result
    }

    fn object(&mut self, map: &'t Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut made = Map::new();
        let required: Vec<&str> =
            list(map, "required").filter_map(Value::as_str).take(MAX_SAMPLE_PROPERTIES).collect();
        let properties = map.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten().take(MAX_SAMPLE_PROPERTIES) {
            let needed = required.contains(&name.as_str());
            if self.hidden(schema) || (!needed && depth >= FULL_DEPTH) {
                continue;
            }
            if let Some(value) = self.make(schema, depth + 1) {
                made.insert(name.clone(), value);
            }
        }
        if let (true, Some(schema)) = (made.is_empty(), map.get("additionalProperties"))
            && schema.as_object().is_some_and(|schema| !schema.is_empty())
            && depth < FULL_DEPTH
            && let Some(value) = self.make(schema, depth + 1)
        {
            made.insert("key".to_owned(), value);
        }
        made
    }

    fn hidden(&self, schema: &Value) -> bool {
        let Some(schema) = self.tree.deref(schema) else { return true };
        let member = match self.audience {
            Audience::Request => "readOnly",
            Audience::Response => "writeOnly",
        };
        schema.get(member).is_some_and(|value| value == true)
    }

    fn array(&mut self, map: &'t Map<String, Value>, depth: usize) -> Value {
        let tuple: Vec<&Value> = list(map, "prefixItems").collect();
        if !tuple.is_empty() {
            let items = tuple.into_iter().filter_map(|item| self.make(item, depth + 1));
            return Value::Array(items.collect());
        }
        let item = map.get("items").and_then(|item| self.make(item, depth + 1));
        Value::Array(item.into_iter().collect())
    }
}

fn written(map: &Map<String, Value>) -> Option<&Value> {
    let first =
        |member: &str| map.get(member).and_then(Value::as_array).and_then(|all| all.first());
    map.get("example")
        .or_else(|| first("examples"))
        .or_else(|| map.get("default").filter(|value| !value.is_null()))
        .or_else(|| map.get("const"))
        .or_else(|| first("enum"))
}

fn list<'v>(map: &'v Map<String, Value>, member: &str) -> impl Iterator<Item = &'v Value> {
    map.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn merge(so_far: Option<Value>, next: Option<Value>) -> Option<Value> {
    match (so_far, next) {
        (Some(Value::Object(mut all)), Some(Value::Object(more))) => {
            all.extend(more);
            Some(Value::Object(all))
        }
        (so_far, next) => so_far.or(next),
    }
}

/// The type that the schema names first, or that its other members imply.
fn kind(map: &Map<String, Value>) -> Option<&str> {
    match map.get("type") {
        Some(Value::String(kind)) => return Some(kind),
        Some(Value::Array(kinds)) => {
            let mut named = kinds.iter().filter_map(Value::as_str);
            return named.clone().find(|kind| *kind != "null").or_else(|| named.next());
        }
        _ => {}
    }
    let has = |members: &[&str]| members.iter().any(|member| map.contains_key(*member));
    if has(&["properties", "additionalProperties"]) {
        Some("object")
    } else if has(&["items", "prefixItems"]) {
        Some("array")
    } else if has(&["format", "pattern", "minLength", "maxLength"]) {
        Some("string")
    } else if has(&["minimum", "maximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

fn string(map: &Map<String, Value>) -> String {
    let format = map.get("format").and_then(Value::as_str).unwrap_or_default();
    let fixed = match format {
        "date-time" => "2026-01-15T09:30:00Z",
        "date" => "2026-01-15",
        "time" => "09:30:00Z",
        "duration" => "PT1H",
        "email" | "idn-email" => "user@example.com",
        "uuid" => "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "uri" | "url" | "iri" => "https://example.com",
        "uri-reference" | "iri-reference" => "/example",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "ZXhhbXBsZQ==",
        "binary" => "example",
        "password" => "correct-horse-9",
        _ => "string",
    };
    if fixed != "string" {
        return fixed.to_owned();
    }
    let length = |member: &str| {
        map.get(member).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok())
    };
    let mut text = fixed.to_owned();
    let least = length("minLength").unwrap_or(0).min(MAX_SAMPLE_TEXT_BYTES);
    while text.len() < least {
        text.push_str("string");
    }
    let most = length("maxLength").unwrap_or(MAX_SAMPLE_TEXT_BYTES);
    text.truncate(most.max(least));
    if length("minLength").is_some_and(|least| least > 6) {
        text.truncate(least.min(most));
    }
    text
}

fn number(map: &Map<String, Value>) -> Value {
    let whole = kind(map) == Some("integer");
    let bound = |member: &str| map.get(member).and_then(Value::as_f64);
    let excluded = |member: &str| map.get(member).is_some_and(|value| value == true);
    let small = if whole { 1.0 } else { 0.5 };
    let mut least = bound("minimum");
    if let Some(bound) =
        bound("exclusiveMinimum").or(least.filter(|_| excluded("exclusiveMinimum")))
    {
        least = Some(bound + small);
    }
    let mut most = bound("maximum");
    if let Some(bound) = bound("exclusiveMaximum").or(most.filter(|_| excluded("exclusiveMaximum")))
    {
        most = Some(bound - small);
    }
    let mut number: f64 = 1.0;
    if let Some(step) = bound("multipleOf").filter(|step| *step > 0.0) {
        number = (least.unwrap_or(step) / step).ceil() * step;
    }
    number = number.max(least.unwrap_or(number));
    number = number.min(most.unwrap_or(number));
    if number.fract() == 0.0 && number.abs() < 1e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 10^15")]
        return Value::Number((number as i64).into());
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}
