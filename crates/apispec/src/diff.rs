//! What changed between two versions of a document, and what of it breaks partners.
//!
//! A change breaks if a call that was right before may now be refused, or an answer may now hold
//! what its reader was told could not come. Operations are matched by method and template with
//! placeholders compared by position, so renaming a placeholder is no change.

mod schema;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::MAX_CHANGES;
use crate::model::{Document, Operation, Parameter, ParameterLocation};
use crate::pointer;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub breaking: bool,
    /// Where: in the old document for what is gone, otherwise in the new one.
    pub pointer: String,
    pub message: String,
}

/// The differences in the order of the documents: what is gone or changed, then what is new.
pub fn diff(old: &Document, new: &Document) -> Vec<Change> {
    let mut changes = Changes::default();
    let mut by_shape: HashMap<(String, String), &Operation> = HashMap::new();
    for operation in &new.operations {
        by_shape.entry(shape(operation)).or_insert(operation);
    }
    for before in &old.operations {
        match by_shape.remove(&shape(before)) {
            Some(after) => operation(&Pair { old, new }, before, after, &mut changes),
            None => changes.add(true, &pointer_of(before), "the operation is gone"),
        }
    }
    for after in &new.operations {
        if by_shape.get(&shape(after)).is_some_and(|left| std::ptr::eq(*left, after)) {
            changes.add(false, &pointer_of(after), "the operation is new");
        }
    }
    webhooks(old, new, &mut changes);
    changes.list
}

#[derive(Default)]
pub(super) struct Changes {
    list: Vec<Change>,
    /// Pairs of references compared before: their differences are listed where they come first,
    /// and schemas within themselves end.
    compared: HashSet<(schema::Direction, String, String)>,
}

impl Changes {
    fn add(&mut self, breaking: bool, pointer: &str, message: &str) {
        if self.list.len() < MAX_CHANGES {
            let pointer = pointer::clip(pointer);
            self.list.push(Change { breaking, pointer, message: message.to_owned() });
        }
    }
}

pub(super) struct Pair<'d> {
    old: &'d Document,
    new: &'d Document,
}

/// Method and template without the names of its placeholders.
fn shape(operation: &Operation) -> (String, String) {
    let mut path = String::new();
    let mut in_braces = false;
    for character in operation.path.chars() {
        match character {
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ if in_braces => continue,
            _ => {}
        }
        path.push(character);
    }
    (operation.method.clone(), path)
}

fn pointer_of(operation: &Operation) -> String {
    let mut pointer = pointer::join("/paths", &operation.path);
    pointer::push(&mut pointer, &operation.method.to_lowercase());
    pointer
}

fn operation(pair: &Pair<'_>, before: &Operation, after: &Operation, changes: &mut Changes) {
    let at = pointer_of(after);
    if before.security != after.security {
        changes.add(false, &format!("{at}/security"), "the security requirements changed");
    }
    if after.deprecated && !before.deprecated {
        changes.add(false, &at, "the operation is deprecated");
    }
    parameters(pair, before, after, &at, changes);
    bodies(pair, before, after, &at, changes);
    responses(pair, before, after, &at, changes);
}

/// A parameter's identity: its position in the path, else its place and name.
fn identity(operation: &Operation, parameter: &Parameter) -> String {
    let placeholder = format!("{{{}}}", parameter.name);
    let position = operation.path.find(&placeholder);
    match (parameter.location, position) {
        (ParameterLocation::Path, Some(position)) => {
            let before = operation.path[..position].matches('{').count();
            format!("path {before}")
        }
        (ParameterLocation::Header, _) => format!("Header {}", parameter.name.to_lowercase()),
        (location, _) => format!("{location:?} {}", parameter.name),
    }
}

fn parameters(
    pair: &Pair<'_>,
    before: &Operation,
    after: &Operation,
    at: &str,
    changes: &mut Changes,
) {
    let at = format!("{at}/parameters");
    let mut new: HashMap<String, &Parameter> =
        after.parameters.iter().map(|one| (identity(after, one), one)).collect();
    for parameter in &before.parameters {
        let name = &parameter.name;
        let Some(now) = new.remove(&identity(before, parameter)) else {
            changes.add(false, &at, &format!("the parameter {name} is gone"));
            continue;
        };
        let at = pointer::join(&at, &now.name);
        if now.required && !parameter.required {
            changes.add(true, &at, "the parameter is now required");
        }
        schema::request(pair, &parameter.schema, &now.schema, &at, changes);
        let default = |schema: &Value, document: &Document| {
            document.tree.deref(schema).and_then(|schema| schema.get("default").cloned())
        };
        if default(&parameter.schema, pair.old) != default(&now.schema, pair.new) {
            changes.add(true, &at, "the default changed");
        }
    }
    for parameter in &after.parameters {
        if new.contains_key(&identity(after, parameter)) {
            let message = format!("the parameter {} is new", parameter.name);
            changes.add(parameter.required, &at, &message);
        }
    }
}

/// The operation as written, for what the model keeps only the first of.
fn written<'d>(document: &'d Document, operation: &Operation) -> Option<&'d Value> {
    let item = document.tree.root().get("paths")?.get(&operation.path)?;
    let method = operation.method.to_lowercase();
    let own = item.get(&method);
    own.or_else(|| document.tree.deref(item).and_then(|item| item.get(&method)))
}

/// Content type → schema.
fn contents<'d>(document: &'d Document, holder: Option<&'d Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let holder = holder.and_then(|holder| document.tree.deref(holder));
    let content = holder.and_then(|holder| holder.get("content")).and_then(Value::as_object);
    for (content_type, media) in content.into_iter().flatten() {
        let schema = document.tree.deref(media).and_then(|media| media.get("schema"));
        found.insert(content_type.clone(), schema.cloned().unwrap_or_default());
    }
    found
}

fn bodies(pair: &Pair<'_>, before: &Operation, after: &Operation, at: &str, changes: &mut Changes) {
    let at = format!("{at}/requestBody");
    match (&before.request_body, &after.request_body) {
        (None, None) => {}
        (Some(_), None) => changes.add(true, &at, "the request body is gone"),
        (None, Some(body)) => changes.add(body.required, &at, "the request body is new"),
        (Some(was), Some(now)) => {
            if now.required && !was.required {
                changes.add(true, &at, "the request body is now required");
            }
            let all = |document, operation, one: &crate::RequestBody| {
                let holder = written(document, operation).and_then(|own| own.get("requestBody"));
                let mut all = contents(document, holder);
                if all.is_empty() {
                    all.insert(one.content_type.clone(), one.schema.clone());
                }
                all
            };
            let old = all(pair.old, before, was);
            let new = all(pair.new, after, now);
            media(&old, &new, &at, changes, |old, new, at, changes| {
                schema::request(pair, old, new, at, changes);
            });
        }
    }
}

fn media(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    changes: &mut Changes,
    compare: impl Fn(&Value, &Value, &str, &mut Changes),
) {
    let at = format!("{at}/content");
    for (content_type, schema) in old {
        let here = pointer::join(&at, content_type);
        match new.get(content_type) {
            None => changes.add(true, &here, "the content type is gone"),
            Some(now) => {
                let first = changes.list.len();
                compare(schema, now, &here, changes);
                if content_type.contains("xml") {
                    soften(&mut changes.list[first..]);
                }
            }
        }
    }
    for content_type in new.keys().filter(|name| !old.contains_key(*name)) {
        changes.add(false, &pointer::join(&at, content_type), "the content type is new");
    }
}

/// XML has only text, so another type alone breaks no reader.
fn soften(changes: &mut [Change]) {
    for change in changes {
        change.breaking &= !change.message.starts_with(schema::TYPE_CHANGED);
    }
}

fn responses(
    pair: &Pair<'_>,
    before: &Operation,
    after: &Operation,
    at: &str,
    changes: &mut Changes,
) {
    let at = format!("{at}/responses");
    for was in &before.responses {
        let here = pointer::join(&at, &was.status);
        let Some(now) = after.responses.iter().find(|one| one.status == was.status) else {
            changes.add(was.status.starts_with('2'), &here, "the response is gone");
            continue;
        };
        let all = |document, operation, one: &crate::Response| {
            let holder = written(document, operation).and_then(|own| own.get("responses"));
            let mut all = contents(document, holder.and_then(|all| all.get(&one.status)));
            if let (true, Some(kind), Some(schema)) =
                (all.is_empty(), &one.content_type, &one.schema)
            {
                all.insert(kind.clone(), schema.clone());
            }
            all
        };
        let old = all(pair.old, before, was);
        let new = all(pair.new, after, now);
        media(&old, &new, &here, changes, |old, new, at, changes| {
            schema::response(pair, old, new, at, changes);
        });
    }
    for now in &after.responses {
        if !before.responses.iter().any(|one| one.status == now.status) {
            changes.add(false, &pointer::join(&at, &now.status), "the response is new");
        }
    }
}

fn webhooks(old: &Document, new: &Document, changes: &mut Changes) {
    let names = |document: &Document| -> Vec<String> {
        let map = document.tree.root().get("webhooks").and_then(Value::as_object);
        map.map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let (before, after) = (names(old), names(new));
    for name in before.iter().filter(|name| !after.contains(name)) {
        changes.add(true, &pointer::join("/webhooks", name), "the webhook is gone");
    }
    for name in after.iter().filter(|name| !before.contains(name)) {
        changes.add(false, &pointer::join("/webhooks", name), "the webhook is new");
    }
}
