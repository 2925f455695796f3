//! Parameters: those of the path item and of the operation, merged by name and location.

use serde_json::{Map, Value};

use super::{Generation, Importer, PathItem, is_true, text};
use crate::check;
use crate::error::SpecError;
use crate::limits::MAX_PARAMETERS;
use crate::model::{Parameter, ParameterLocation};
use crate::pointer;
use crate::sample::Audience;

/// A parameter object with its references followed, and where it stands.
pub(super) struct Input<'t> {
    pub(super) value: &'t Value,
    pub(super) name: String,
    /// `in`, as written; Swagger 2.0 also has `body` and `formData`.
    pub(super) location: String,
    pub(super) at: String,
}

/// Members of a Swagger 2.0 parameter that are its schema.
const SCHEMA_MEMBERS: &[&str] = &[
    "type",
    "format",
    "items",
    "collectionFormat",
    "default",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "enum",
    "multipleOf",
];
/// Header names that belong to other parts of the document, by the specification.
const RESERVED_HEADERS: &[&str] = &["accept", "content-type", "authorization"];

impl<'t> Importer<'t, '_> {
    /// All inputs of an operation; its own replace those of the path with the same name and place.
    pub(super) fn inputs(
        &mut self,
        path_item: &PathItem<'t>,
        operation: &'t Value,
        at: &str,
    ) -> Result<Vec<Input<'t>>, SpecError> {
        let mut inputs: Vec<Input<'t>> = Vec::new();
        for (value, at) in &path_item.parameters {
            self.charge(at.len() + 64, at)?;
            if let Some(input) = self.input(value, at.clone()) {
                push_checked(&mut inputs, 0, input, self.notes);
            }
        }
        let shared = inputs.len();
        let list = operation.get("parameters");
        if list.is_some_and(|list| !list.is_array()) {
            self.notes.add(&pointer::join(at, "parameters"), "parameters must be a list");
        }
        for (index, value) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = format!("{at}/parameters/{index}");
            self.charge(at.len() + 64, &at)?;
            let Some(input) = self.input(value, at) else { continue };
            let is_body = input.location == "body";
            let replaced = inputs[..shared].iter().position(|one| {
                one.location == input.location && (one.name == input.name || is_body)
            });
            match replaced {
                Some(index) => {
                    if inputs[index].name != input.name {
                        self.notes.add(&input.at, "this body replaces another of the path");
                    }
                    inputs[index] = input;
                }
                None => push_checked(&mut inputs, shared, input, self.notes),
            }
        }
        Ok(inputs)
    }

    fn input(&mut self, value: &'t Value, at: String) -> Option<Input<'t>> {
        let (value, _) = self.follow(value, &at)?;
        let name = text(value, "name");
        let location = text(value, "in");
        if !value.is_object() || (name.is_empty() && location != "body") {
            self.notes.add(&at, "a parameter must be a map with `name` and `in`");
            return None;
        }
        Some(Input { value, name, location, at })
    }

    pub(super) fn parameters(
        &mut self,
        inputs: &[Input<'t>],
        template: &str,
        at: &str,
    ) -> Result<Vec<Parameter>, SpecError> {
        let mut parameters = Vec::new();
        for input in inputs {
            let location = match input.location.as_str() {
                "query" => ParameterLocation::Query,
                "path" => ParameterLocation::Path,
                "header" => ParameterLocation::Header,
                "cookie" => ParameterLocation::Cookie,
                "body" | "formData" if self.generation == Generation::Swagger2 => continue,
                other => {
                    let message = format!("parameters in `{other}` are not supported");
                    self.notes.add(&input.at, &message);
                    continue;
                }
            };
            parameters.push(self.parameter(input, location)?);
        }
        check::path_parameters(template, &parameters, at, self.notes);
        Ok(parameters)
    }

    fn parameter(
        &mut self,
        input: &Input<'t>,
        location: ParameterLocation,
    ) -> Result<Parameter, SpecError> {
        let (value, at) = (input.value, input.at.as_str());
        self.charge(size_of::<Parameter>() + input.name.len(), at)?;
        let in_path = location == ParameterLocation::Path;
        if in_path && !is_true(value, "required") {
            self.notes.add(at, "a path parameter is always required");
        }
        if in_path && value.get("allowReserved").is_some() {
            self.notes.add(at, "allowReserved has no meaning in a path");
        }
        let schema = self.parameter_schema(value, at)?;
        let given = self.parameter_example(value, &schema, at)?;
        let reserved = location == ParameterLocation::Header
            && RESERVED_HEADERS.iter().any(|name| input.name.eq_ignore_ascii_case(name));
        let example_generated = given.is_none() && !reserved;
        let example = match given {
            None if !reserved => Some(self.parameter_sample(&schema, at)?),
            given => given,
        };
        Ok(Parameter {
            name: input.name.clone(),
            location,
            required: in_path || is_true(value, "required"),
            kind: kind(&schema, self.tree),
            description: self.copy_text(value, "description", at)?,
            example,
            example_generated,
            schema,
        })
    }

    fn parameter_sample(&mut self, schema: &Value, at: &str) -> Result<Value, SpecError> {
        let sample = self.generate(schema, Audience::Request, at)?;
        let says_nothing = sample.as_object().is_some_and(Map::is_empty);
        if says_nothing && kind(schema, self.tree) == "string" {
            return Ok(Value::String("string".to_owned()));
        }
        Ok(sample)
    }

    fn parameter_schema(&mut self, value: &'t Value, at: &str) -> Result<Value, SpecError> {
        if self.generation == Generation::Swagger2 && value.get("schema").is_none() {
            return self.flat_schema(value, at);
        }
        if let Some(schema) = value.get("schema") {
            return self.copy(schema, at);
        }
        let content = value.get("content").and_then(Value::as_object);
        let media = content.and_then(|content| content.values().next());
        match media.and_then(|media| media.get("schema")) {
            Some(schema) => self.copy(schema, at),
            None => Ok(Value::Object(Map::new())),
        }
    }

    /// The schema members that Swagger 2.0 writes right into a parameter.
    pub(super) fn flat_schema(&mut self, value: &'t Value, at: &str) -> Result<Value, SpecError> {
        let mut schema = Map::new();
        for (name, member) in value.as_object().into_iter().flatten() {
            if SCHEMA_MEMBERS.contains(&name.as_str()) {
                schema.insert(name.clone(), self.copy(member, at)?);
            }
        }
        Ok(Value::Object(schema))
    }

    fn parameter_example(
        &mut self,
        value: &'t Value,
        schema: &Value,
        at: &str,
    ) -> Result<Option<Value>, SpecError> {
        let content = value.get("content").and_then(Value::as_object);
        let media = content.and_then(|content| content.values().next());
        for holder in [Some(value), media].into_iter().flatten() {
            if let Some(example) = self.written_example(holder, at)? {
                return Ok(Some(example));
            }
        }
        if let Some(example) = value.get("x-example") {
            return self.copy(example, at).map(Some);
        }
        self.schema_example(schema, at)
    }

    /// `example` or the first of `examples` beside a schema.
    pub(super) fn written_example(
        &mut self,
        holder: &'t Value,
        at: &str,
    ) -> Result<Option<Value>, SpecError> {
        if let Some(example) = holder.get("example") {
            return self.copy(example, at).map(Some);
        }
        let first = match holder.get("examples") {
            Some(Value::Object(examples)) => examples.values().next(),
            Some(Value::Array(examples)) => examples.first(),
            _ => None,
        };
        let Some(first) = first else { return Ok(None) };
        let Some((first, _)) = self.follow(first, at) else { return Ok(None) };
        for member in ["value", "dataValue", "serializedValue"] {
            if let Some(value) = first.get(member) {
                return self.copy(value, at).map(Some);
            }
        }
        let is_example_object = first.get("externalValue").is_some();
        if is_example_object { Ok(None) } else { self.copy(first, at).map(Some) }
    }

    /// `example` or the first of `examples` inside a schema.
    pub(super) fn schema_example(
        &mut self,
        schema: &Value,
        at: &str,
    ) -> Result<Option<Value>, SpecError> {
        let Some(schema) = self.tree.deref(schema) else { return Ok(None) };
        let first = schema.get("examples").and_then(Value::as_array).and_then(|list| list.first());
        match schema.get("example").or(first) {
            Some(example) => self.copy(example, at).map(Some),
            None => Ok(None),
        }
    }
}

fn push_checked<'t>(
    inputs: &mut Vec<Input<'t>>,
    from: usize,
    input: Input<'t>,
    notes: &mut crate::model::Notes,
) {
    if inputs.len() >= MAX_PARAMETERS {
        notes.add(&input.at, "there are too many parameters; this one is ignored");
        return;
    }
    let twice = inputs[from..].iter().any(|one| {
        one.location == input.location && (one.name == input.name || one.location == "body")
    });
    if twice {
        let message = match input.location.as_str() {
            "body" => "there is already a body parameter; this one is ignored".to_owned(),
            place => format!("{} in {place} is there twice; this one is ignored", input.name),
        };
        notes.add(&input.at, &message);
        return;
    }
    inputs.push(input);
}

/// The type in words: `string` if the schema names none, several joined by `|`.
fn kind(schema: &Value, tree: &crate::tree::Tree) -> String {
    let Some(schema) = tree.deref(schema) else { return "string".to_owned() };
    if let Some(kind) = kind_here(schema) {
        return kind;
    }
    for member in ["allOf", "oneOf", "anyOf"] {
        for part in schema.get(member).and_then(Value::as_array).into_iter().flatten().take(8) {
            if let Some(kind) = tree.deref(part).and_then(kind_here).filter(|kind| kind != "null") {
                return kind;
            }
        }
    }
    "string".to_owned()
}

fn kind_here(schema: &Value) -> Option<String> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind.clone()),
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).take(8).collect();
            (!kinds.is_empty()).then(|| kinds.join("|"))
        }
        _ => None,
    }
}
