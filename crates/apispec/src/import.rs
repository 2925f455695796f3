//! A parsed document → [`Document`]: walks `paths` and resolves what stands around an operation.
//!
//! Everything copied into an operation is charged against one budget, because a few references can
//! make a small document describe an enormous one. What is wrong is noted and passed over.

mod body;
mod parameter;
mod response;
mod security;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::check;
use crate::error::{Place, SpecError};
use crate::limits::{MAX_IMPORT_SAMPLE_STEPS, MAX_IMPORTED_BYTES, MAX_OPERATIONS};
use crate::matcher::OperationMatcher;
use crate::model::{Document, Notes, Operation};
use crate::pointer;
use crate::sample;
use crate::tree::Tree;

/// Members of a path item that are operations, as the specification spells them.
const METHODS: &[&str] =
    &["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
/// Members of a path item that are not.
const PATH_ITEM_MEMBERS: &[&str] =
    &["$ref", "summary", "description", "servers", "parameters", "additionalOperations"];

/// The version of the specification that a document is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) text: String,
    pub(crate) generation: Generation,
    /// What is odd about the way it is written.
    pub(crate) remark: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Swagger2,
    OpenApi3,
}

pub(crate) fn version(root: &Value) -> Result<Version, SpecError> {
    let Some(map) = root.as_object() else {
        return Err(not_openapi("the top level is not a map"));
    };
    let (pointer, member, generation) = match (map.get("openapi"), map.get("swagger")) {
        (Some(member), _) => ("/openapi", member, Generation::OpenApi3),
        (None, Some(member)) => ("/swagger", member, Generation::Swagger2),
        (None, None) => return Err(not_openapi("it has no member `openapi` or `swagger`")),
    };
    let (text, mut remark) = match member {
        Value::String(text) => (text.trim().to_owned(), None),
        Value::Number(number) => {
            (number.to_string(), Some((pointer, "the version must be a text, not a number")))
        }
        _ => return Err(unsupported(pointer, "of this kind")),
    };
    let supported = match generation {
        Generation::Swagger2 => text == "2.0" || text == "2",
        Generation::OpenApi3 => text == "3" || text.starts_with("3."),
    };
    if !supported {
        return Err(unsupported(pointer, &text));
    }
    let known = ["2", "3.0", "3.1", "3.2"].iter().any(|known| text.starts_with(known));
    if !known {
        remark = Some((pointer, "this version is not known; it is read as 3.2"));
    }
    Ok(Version { text, generation, remark })
}

fn not_openapi(message: &str) -> SpecError {
    SpecError::NotOpenApi { message: message.to_owned(), place: Place::Document }
}

fn unsupported(pointer: &str, found: &str) -> SpecError {
    let found = found.chars().take(40).collect();
    SpecError::VersionUnsupported { found, place: Place::Pointer(pointer.to_owned()) }
}

pub(crate) fn import(
    tree: Tree,
    version: Version,
    mut notes: Notes,
) -> Result<Document, SpecError> {
    if let Some((pointer, message)) = version.remark {
        notes.add(pointer, message);
    }
    check::document(&tree, version.generation, &mut notes);
    let mut importer = Importer {
        tree: &tree,
        generation: version.generation,
        notes: &mut notes,
        spent: 0,
        sample_steps: 0,
        operation_ids: HashMap::new(),
        operations: Vec::new(),
    };
    let security_schemes = importer.security_schemes()?;
    importer.paths()?;
    let operations = std::mem::take(&mut importer.operations);
    note_conflicts(&operations, &mut notes);
    let info = tree.root().get("info").unwrap_or(&Value::Null);
    Ok(Document {
        title: text(info, "title"),
        version: text(info, "version"),
        openapi: version.text,
        description: text(info, "description"),
        operations,
        security_schemes,
        diagnostics: notes.finish(),
        tree,
    })
}

/// Two templates that match the same requests: only one of them can.
fn note_conflicts(operations: &[Operation], notes: &mut Notes) {
    let pairs = operations.iter().map(|one| (one.method.as_str(), one.path.as_str()));
    for conflict in OperationMatcher::new(pairs).conflicts() {
        let Some(operation) = operations.get(conflict.index) else { continue };
        let pointer = operation_pointer(operation);
        let message = match conflict.first.and_then(|first| operations.get(first)) {
            Some(first) => {
                format!("requests are matched by {} {} instead", first.method, first.path)
            }
            None => "the path has too many segments and never matches".to_owned(),
        };
        notes.add(&pointer, &message);
    }
}

fn operation_pointer(operation: &Operation) -> String {
    let mut pointer = "/paths".to_owned();
    pointer::push(&mut pointer, &operation.path);
    pointer::push(&mut pointer, &operation.method.to_lowercase());
    pointer
}

/// A member as text: numbers count, since `version: 1.0` is common; anything else is empty.
pub(crate) fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

pub(crate) fn is_true(value: &Value, member: &str) -> bool {
    value.get(member).and_then(Value::as_bool).unwrap_or(false)
}

struct Importer<'t, 'n> {
    tree: &'t Tree,
    generation: Generation,
    notes: &'n mut Notes,
    /// Bytes copied into the model so far, roughly.
    spent: usize,
    sample_steps: usize,
    /// Operation id → where it was seen first.
    operation_ids: HashMap<String, String>,
    operations: Vec<Operation>,
}

/// A path item, or a path item with the one it refers to.
struct PathItem<'t> {
    template: &'t str,
    parameters: Vec<(&'t Value, String)>,
}

impl<'t> Importer<'t, '_> {
    fn charge(&mut self, bytes: usize, at: &str) -> Result<(), SpecError> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > MAX_IMPORTED_BYTES {
            let message = format!("its operations have more than {MAX_IMPORTED_BYTES} bytes");
            return Err(SpecError::TooComplex { message, place: Place::Pointer(at.to_owned()) });
        }
        Ok(())
    }

    fn copy(&mut self, value: &Value, at: &str) -> Result<Value, SpecError> {
        self.charge(weight(value), at)?;
        Ok(value.clone())
    }

    fn copy_text(&mut self, value: &Value, member: &str, at: &str) -> Result<String, SpecError> {
        let text = text(value, member);
        self.charge(text.len(), at)?;
        Ok(text)
    }

    fn generate(
        &mut self,
        schema: &Value,
        audience: sample::Audience,
        at: &str,
    ) -> Result<Value, SpecError> {
        if self.sample_steps > MAX_IMPORT_SAMPLE_STEPS {
            return Ok(Value::Object(Map::new()));
        }
        let (sample, steps) = sample::counted(schema, self.tree, audience);
        self.sample_steps += steps;
        self.charge(weight(&sample), at)?;
        Ok(sample)
    }

    /// Follows a reference, noting one that leads nowhere. The flag tells whether it was one.
    fn follow(&mut self, value: &'t Value, at: &str) -> Option<(&'t Value, Option<&'t str>)> {
        let followed = self.tree.follow(value);
        if followed.is_none() && self.tree.resolve(reference(value)).is_some() {
            self.notes.add(at, "the references go round in a circle");
        }
        followed
    }

    fn paths(&mut self) -> Result<(), SpecError> {
        let Some(paths) = self.tree.root().get("paths") else { return Ok(()) };
        let Some(paths) = paths.as_object() else {
            self.notes.add("/paths", "paths must be a map");
            return Ok(());
        };
        for (template, item) in paths {
            if template.starts_with("x-") {
                continue;
            }
            let at = pointer::join("/paths", template);
            check::template(template, &at, self.notes);
            self.path_item(template, item, &at)?;
        }
        Ok(())
    }

    fn path_item(&mut self, template: &'t str, item: &'t Value, at: &str) -> Result<(), SpecError> {
        let mut parts: Vec<(&'t Map<String, Value>, String)> = Vec::new();
        let Some(own) = item.as_object() else {
            self.notes.add(at, "a path item must be a map");
            return Ok(());
        };
        parts.push((own, at.to_owned()));
        if own.contains_key("$ref")
            && let Some((target, _)) = self.follow(item, at)
        {
            match target.as_object() {
                Some(target) => parts.push((target, at.to_owned())),
                None => self.notes.add(at, "the $ref does not lead to a path item"),
            }
        }
        let mut path_item = PathItem { template, parameters: Vec::new() };
        for (part, at) in &parts {
            let list = part.get("parameters").and_then(Value::as_array);
            for (index, parameter) in list.into_iter().flatten().enumerate() {
                path_item.parameters.push((parameter, format!("{at}/parameters/{index}")));
            }
        }
        let mut seen: Vec<String> = Vec::new();
        for (part, at) in &parts {
            self.path_item_part(part, &path_item, at, &mut seen)?;
        }
        Ok(())
    }

    fn path_item_part(
        &mut self,
        part: &'t Map<String, Value>,
        path_item: &PathItem<'t>,
        at: &str,
        seen: &mut Vec<String>,
    ) -> Result<(), SpecError> {
        for (name, value) in part {
            let here = pointer::join(at, name);
            if METHODS.contains(&name.as_str()) {
                self.operation(&name.to_uppercase(), path_item, value, &here, seen)?;
            } else if name == "additionalOperations" {
                for (method, value) in value.as_object().into_iter().flatten() {
                    let here = pointer::join(&here, method);
                    if check::is_method(method) {
                        self.operation(method, path_item, value, &here, seen)?;
                    } else {
                        self.notes.add(&here, "this is no method name");
                    }
                }
            } else if !PATH_ITEM_MEMBERS.contains(&name.as_str()) && !name.starts_with("x-") {
                self.notes.add(&here, "this member of a path item is not known");
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        method: &str,
        path_item: &PathItem<'t>,
        value: &'t Value,
        at: &str,
        seen: &mut Vec<String>,
    ) -> Result<(), SpecError> {
        if !value.is_object() {
            self.notes.add(at, "an operation must be a map");
            return Ok(());
        }
        if seen.iter().any(|one| one == method) {
            return Ok(());
        }
        seen.push(method.to_owned());
        if self.operations.len() >= MAX_OPERATIONS {
            let message = format!("more than {MAX_OPERATIONS} operations");
            return Err(SpecError::TooComplex { message, place: Place::Pointer(at.to_owned()) });
        }
        self.charge(size_of::<Operation>() + path_item.template.len(), at)?;
        let inputs = self.inputs(path_item, value, at)?;
        let request_body = self.request_body(&inputs, value, at)?;
        let operation = Operation {
            method: method.to_owned(),
            path: path_item.template.to_owned(),
            operation_id: self.operation_id(value, at),
            summary: self.copy_text(value, "summary", at)?,
            description: self.copy_text(value, "description", at)?,
            tags: self.tags(value, at)?,
            deprecated: is_true(value, "deprecated"),
            parameters: self.parameters(&inputs, path_item.template, at)?,
            request_body,
            responses: self.responses(value, at)?,
            security: self.security(value, at)?,
        };
        self.operations.push(operation);
        Ok(())
    }

    fn operation_id(&mut self, value: &Value, at: &str) -> Option<String> {
        let id = text(value, "operationId");
        if id.is_empty() {
            return None;
        }
        if let Some(first) = self.operation_ids.get(&id) {
            let message = format!("operationId {id} is already used at {first}");
            self.notes.add(&pointer::join(at, "operationId"), &message);
        } else {
            self.operation_ids.insert(id.clone(), pointer::clip(at));
        }
        Some(id)
    }

    fn tags(&mut self, value: &Value, at: &str) -> Result<Vec<String>, SpecError> {
        let mut tags = Vec::new();
        for tag in value.get("tags").and_then(Value::as_array).into_iter().flatten() {
            if let Some(tag) = tag.as_str() {
                self.charge(tag.len() + size_of::<String>(), at)?;
                tags.push(tag.to_owned());
            }
        }
        Ok(tags)
    }
}

fn reference(value: &Value) -> &str {
    crate::tree::reference_of(value).unwrap_or_default()
}

/// Roughly the memory that a copy of a value takes.
fn weight(value: &Value) -> usize {
    let own = size_of::<Value>();
    match value {
        Value::String(text) => own + text.len(),
        Value::Array(list) => own + list.iter().map(weight).sum::<usize>(),
        Value::Object(map) => {
            own + map.iter().map(|(name, item)| 64 + name.len() + weight(item)).sum::<usize>()
        }
        _ => own,
    }
}
