//! Holds every answer of the tests against the document: its status must be described, and its body must
//! have the members of the schema, all of them and no others.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use crate::api;

pub(super) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&api::openapi_json()).unwrap())
}

/// Method and path template of every operation.
pub(super) fn operations() -> Vec<(String, String)> {
    let mut operations = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

pub(super) fn check_headers(headers: &HeaderMap) {
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers["x-request-id"].len(), 32);
    if headers.contains_key(header::WWW_AUTHENTICATE) {
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer realm=\"keytoll\"");
    }
}

pub(super) fn check(method: &Method, path: &str, status: StatusCode, body: &Value) {
    let Some(operation) = operation(method, path) else {
        let missing = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        assert!(missing.contains(&status), "{method} {path} is not in the document: {status}");
        return;
    };
    let response = &operation["responses"][status.as_str()];
    assert!(response.is_object(), "{method} {path}: {status} is not in the document: {body}");
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let content = &response["content"];
    let schema = [kind, "application/json"].iter().find_map(|kind| content.get(kind));
    match schema {
        Some(media) => check_value(&media["schema"], body, &format!("{method} {path} {status}")),
        None => assert!(body.is_null(), "{method} {path} {status}: no body is described"),
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths = document()["paths"].as_object()?;
    let found = paths.iter().find(|(template, _)| matches(template, path))?;
    found.1.get(method.as_str().to_lowercase())
}

fn matches(template: &str, path: &str) -> bool {
    let (mut own, mut asked) = (template.split('/'), path.split('/'));
    loop {
        match (own.next(), asked.next()) {
            (None, None) => return true,
            (Some(own), Some(asked)) if own == asked || own.starts_with('{') => {}
            _ => return false,
        }
    }
}

fn resolve(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str().and_then(|pointer| pointer.strip_prefix('#')) {
        Some(pointer) => resolve(document().pointer(pointer).expect("a reference leads somewhere")),
        None => schema,
    }
}

fn check_value(schema: &'static Value, value: &Value, at: &str) {
    let schema = resolve(schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|choice| (choice["type"] == "null") == value.is_null());
        return check_value(choice.unwrap_or_else(|| panic!("{at}: {value}")), value, at);
    }
    let (properties, required) = members(schema);
    match value {
        Value::Object(object) if !properties.is_empty() => {
            for name in required {
                assert!(object.contains_key(&name), "{at}: `{name}` is missing");
            }
            for (name, value) in object {
                let own = properties.get(name.as_str());
                let own = own.unwrap_or_else(|| panic!("{at}: `{name}` is not in the document"));
                check_value(own, value, &format!("{at}/{name}"));
            }
        }
        Value::Array(items) => {
            assert!(schema.get("items").is_some(), "{at}: not a list in the document");
            for item in items {
                check_value(&schema["items"], item, at);
            }
        }
        _ => {}
    }
    check_type(schema, value, at);
}

fn check_type(schema: &Value, value: &Value, at: &str) {
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value} is none of {choices:?}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::String(only) => vec![only.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    assert!(allowed.contains(&kind), "{at}: {value} is not of type {allowed:?}");
}

/// Properties and required members, those of `allOf` included.
fn members(schema: &'static Value) -> (BTreeMap<&'static str, &'static Value>, Vec<String>) {
    let mut properties = BTreeMap::new();
    let mut required = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, needed) = members(resolve(part));
        properties.extend(more);
        required.extend(needed);
    }
    let own = schema["properties"].as_object().into_iter().flatten();
    properties.extend(own.map(|(name, value)| (name.as_str(), value)));
    let names = schema["required"].as_array().into_iter().flatten();
    required.extend(names.filter_map(|name| name.as_str().map(str::to_owned)));
    (properties, required)
}
