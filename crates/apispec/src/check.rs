//! What a document does wrong without keeping anyone from understanding it.
//!
//! These are remarks, not validation against the specification's schema: each one tells a provider
//! something that will surprise their partners.

use serde_json::Value;

use crate::import::Generation;
use crate::limits::MAX_PLACEHOLDERS;
use crate::model::{Notes, Parameter, ParameterLocation};
use crate::pointer;
use crate::tree::Tree;

pub(crate) fn document(tree: &Tree, generation: Generation, notes: &mut Notes) {
    let root = tree.root();
    info(root, notes);
    containers(root, notes);
    servers(root, notes);
    let (schemas_at, schemas) = match generation {
        Generation::Swagger2 => ("/definitions", root.get("definitions")),
        Generation::OpenApi3 => ("/components/schemas", in_components(root, "schemas")),
    };
    for (name, schema) in schemas.and_then(Value::as_object).into_iter().flatten() {
        if !schema.is_object() && !schema.is_boolean() {
            notes.add(&pointer::join(schemas_at, name), "a schema must be a map or a boolean");
        }
    }
    if generation == Generation::OpenApi3 {
        shared_parameters(root, notes);
    }
}

fn in_components<'v>(root: &'v Value, member: &str) -> Option<&'v Value> {
    root.get("components").and_then(|components| components.get(member))
}

fn info(root: &Value, notes: &mut Notes) {
    let Some(info) = root.get("info").filter(|info| info.is_object()) else {
        notes.add("/info", "the document has no info");
        return;
    };
    for member in ["title", "version"] {
        match info.get(member) {
            Some(Value::String(_)) => {}
            Some(_) => notes.add(&format!("/info/{member}"), "this must be a text"),
            None => notes.add("/info", &format!("info has no {member}")),
        }
    }
}

fn containers(root: &Value, notes: &mut Notes) {
    if ["paths", "webhooks", "components"].iter().all(|member| root.get(member).is_none()) {
        notes.add("", "the document has neither paths nor webhooks nor components");
    }
}

fn servers(root: &Value, notes: &mut Notes) {
    let Some(servers) = root.get("servers") else { return };
    let Some(servers) = servers.as_array() else {
        notes.add("/servers", "servers must be a list");
        return;
    };
    for (index, server) in servers.iter().enumerate() {
        let variables = server.get("variables").and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            let mut at = format!("/servers/{index}/variables");
            pointer::push(&mut at, name);
            pointer::push(&mut at, "enum");
            let Some(values) = variable.get("enum").and_then(Value::as_array) else { continue };
            if values.is_empty() {
                notes.add(&at, "the list of allowed values is empty");
            } else if !values.iter().all(Value::is_string) {
                notes.add(&at, "the allowed values of a server variable must be texts");
            }
        }
    }
}

fn shared_parameters(root: &Value, notes: &mut Notes) {
    let parameters = in_components(root, "parameters").and_then(Value::as_object);
    for (name, parameter) in parameters.into_iter().flatten() {
        let in_path = parameter.get("in").is_some_and(|place| place == "path");
        if in_path && parameter.get("allowReserved").is_some() {
            let at = pointer::join("/components/parameters", name);
            notes.add(&at, "allowReserved has no meaning in a path");
        }
    }
}

/// Remarks on a key of `paths`.
pub(crate) fn template(template: &str, at: &str, notes: &mut Notes) {
    if !template.starts_with('/') {
        notes.add(at, "the path does not begin with a slash; it is matched as if it did");
    }
    if template.contains(['?', '#']) {
        notes.add(at, "the path is matched without its query and fragment");
    }
    let names = placeholders(template);
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            notes.add(at, &format!("the placeholder {{{name}}} is there twice"));
        }
    }
    if template.split('/').any(|segment| segment.len() > 1 && segment.starts_with(':')) {
        notes.add(at, "a segment that begins with a colon is matched as a placeholder");
    }
}

/// Placeholders without a parameter, and path parameters without a placeholder.
pub(crate) fn path_parameters(
    template: &str,
    parameters: &[Parameter],
    at: &str,
    notes: &mut Notes,
) {
    let names = placeholders(template);
    let in_path = |name: &str| {
        parameters.iter().any(|one| one.location == ParameterLocation::Path && one.name == name)
    };
    for name in &names {
        if !in_path(name) {
            notes.add(at, &format!("the placeholder {{{name}}} has no parameter"));
        }
    }
    for parameter in parameters {
        let unused = parameter.location == ParameterLocation::Path
            && !names.contains(&parameter.name.as_str())
            && !template
                .split('/')
                .any(|segment| segment.strip_prefix(':') == Some(&parameter.name));
        if unused {
            notes.add(at, &format!("the path has no placeholder {{{}}}", parameter.name));
        }
    }
}

fn placeholders(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        names.push(name);
        if names.len() >= MAX_PLACEHOLDERS {
            break;
        }
        rest = after;
    }
    names
}

/// `200`, `4XX` or `default`.
pub(crate) fn is_status(status: &str) -> bool {
    let bytes = status.as_bytes();
    let first_ok = matches!(bytes.first(), Some(b'1'..=b'5'));
    let digits = bytes.iter().all(u8::is_ascii_digit);
    let range = bytes.get(1..).is_some_and(|rest| rest.eq_ignore_ascii_case(b"xx"));
    status == "default" || (bytes.len() == 3 && first_ok && (digits || range))
}

/// Whether a text can stand as the method of a request.
pub(crate) fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
