//! An operation as it stands in the document → what it asks of a request.
//!
//! Read from the document itself rather than from the model, which keeps neither the style of a
//! parameter nor any but the first content type.

use serde_json::{Map, Value};

use super::Rules;
use super::body::{BodyRules, Media};
use super::compile::Compiler;
use super::parameter::{Parameter, Place as In, Reading};
use super::schema::SchemaId;
use super::template::Template;
use crate::limits::MAX_PARAMETERS;
use crate::pointer;
use crate::tree::{Tree, reference_of};

/// Header fields that are described elsewhere in a document, by the specification.
const OTHER_HEADERS: &[&str] = &["accept", "authorization", "content-type"];

/// An operation with the path items it may take parameters from.
pub(super) struct Found<'d> {
    operation: &'d Value,
    items: Vec<&'d Value>,
}

pub(super) fn pointer(method: &str, path: &str) -> String {
    pointer::join(&pointer::join("/paths", path), &method.to_lowercase())
}

pub(super) fn find<'d>(tree: &'d Tree, method: &str, path: &str) -> Option<Found<'d>> {
    let item = tree.root().get("paths")?.get(path)?;
    let mut items = vec![item];
    if reference_of(item).is_some() {
        items.extend(tree.deref(item));
    }
    let lower = method.to_lowercase();
    let member = |item: &'d Value| {
        let additional = item.get("additionalOperations").and_then(|more| more.get(method));
        item.get(&lower).or(additional).filter(|value| value.is_object())
    };
    let operation = items.iter().find_map(|item| member(item))?;
    Some(Found { operation, items })
}

pub(super) struct Reader<'d> {
    pub(super) tree: &'d Tree,
    pub(super) swagger2: bool,
    pub(super) found: Found<'d>,
}

impl<'d> Reader<'d> {
    pub(super) fn rules(&self, path: &str, compiler: &mut Compiler<'d>) -> Rules {
        let mut rules = Rules {
            template: Template::parse(path),
            path: Vec::new(),
            query: Vec::new(),
            header: Vec::new(),
            body: None,
        };
        let inputs = self.inputs();
        for input in &inputs {
            let (Some(name), Some(place)) = (text(input, "name"), text(input, "in")) else {
                continue;
            };
            let (list, place) = match place {
                "path" => (&mut rules.path, In::Path),
                "query" => (&mut rules.query, In::Query),
                "header" if !OTHER_HEADERS.iter().any(|one| name.eq_ignore_ascii_case(one)) => {
                    (&mut rules.header, In::Header)
                }
                _ => continue,
            };
            list.push(self.parameter(name, place, input, compiler));
        }
        rules.body = if self.swagger2 {
            self.body_of_2(&inputs, compiler)
        } else {
            self.body_of_3(compiler)
        };
        rules
    }

    /// Parameters of the operation and those of its path that it does not replace.
    fn inputs(&self) -> Vec<&'d Value> {
        let mut inputs: Vec<&'d Value> = Vec::new();
        let own = std::iter::once(&self.found.operation);
        for from in own.chain(&self.found.items) {
            let list = from.get("parameters").and_then(Value::as_array);
            for value in list.into_iter().flatten() {
                let Some(value) = self.tree.deref(value) else { continue };
                let same = |one: &&Value| {
                    one.get("in") == value.get("in")
                        && (one.get("name") == value.get("name") || text(one, "in") == Some("body"))
                };
                if inputs.len() < MAX_PARAMETERS && !inputs.iter().any(same) {
                    inputs.push(value);
                }
            }
        }
        inputs
    }

    fn parameter(
        &self,
        name: &str,
        place: In,
        input: &'d Value,
        compiler: &mut Compiler<'d>,
    ) -> Parameter {
        let (reading, schema) = if self.swagger2 {
            (reading_of_2(input, place), Some(input))
        } else if let Some((kind, media)) = first_content(input) {
            let is_json = super::body::is_json(kind);
            let reading = if is_json { Reading::Json } else { Reading::Unchecked };
            (reading, media.get("schema"))
        } else {
            (reading_of_3(input, place), input.get("schema"))
        };
        let name = if place == In::Header { name.to_lowercase() } else { name.to_owned() };
        Parameter {
            shown: format!("{}/{name}", place.word()).into(),
            name: name.into(),
            required: place == In::Path || is_true(input, "required"),
            allow_empty: is_true(input, "allowEmptyValue"),
            reading,
            schema: schema.map(|schema| compiler.schema(schema)),
        }
    }

    fn body_of_3(&self, compiler: &mut Compiler<'d>) -> Option<BodyRules> {
        let body = self.tree.deref(self.found.operation.get("requestBody")?)?;
        let mut media = Vec::new();
        for (kind, value) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
            let schema = self.tree.deref(value).and_then(|value| value.get("schema"));
            let range = super::body::essence(kind);
            let schema = schema.filter(|_| super::body::is_json(&range));
            media.push(Media { schema: schema.map(|one| compiler.schema(one)), range });
        }
        Some(BodyRules { required: is_true(body, "required"), media })
    }

    fn body_of_2(&self, inputs: &[&'d Value], compiler: &mut Compiler<'d>) -> Option<BodyRules> {
        let find = |place: &'static str| {
            inputs.iter().copied().filter(move |input| text(input, "in") == Some(place))
        };
        if let Some(body) = find("body").next() {
            let schema = body.get("schema").map(|schema| compiler.schema(schema));
            return Some(self.consumed(is_true(body, "required"), schema, "*/*"));
        }
        find("formData").next()?;
        let required = find("formData").any(|field| is_true(field, "required"));
        let mut rules = self.consumed(required, None, "application/x-www-form-urlencoded");
        rules.media.push(Media { range: "multipart/form-data".to_owned(), schema: None });
        Some(rules)
    }

    /// The content types of `consumes`, or the one that stands for none.
    fn consumed(&self, required: bool, schema: Option<SchemaId>, default: &str) -> BodyRules {
        let list = self.found.operation.get("consumes");
        let list = list.or_else(|| self.tree.root().get("consumes")).and_then(Value::as_array);
        let kinds = list.into_iter().flatten().filter_map(Value::as_str);
        let mut media: Vec<Media> =
            kinds.map(|kind| Media { range: super::body::essence(kind), schema }).collect();
        if media.is_empty() {
            media.push(Media { range: default.to_owned(), schema });
        }
        BodyRules { required, media }
    }
}

fn first_content(input: &Value) -> Option<(&str, &Map<String, Value>)> {
    let (kind, media) = input.get("content")?.as_object()?.iter().next()?;
    Some((kind, media.as_object()?))
}

fn reading_of_2(input: &Value, place: In) -> Reading {
    match text(input, "collectionFormat") {
        Some("multi") if place == In::Query => Reading::Repeated,
        Some("ssv") => Reading::Separated(' '),
        Some("tsv") => Reading::Separated('\t'),
        Some("pipes") => Reading::Separated('|'),
        _ => Reading::Separated(','),
    }
}

fn reading_of_3(input: &Value, place: In) -> Reading {
    let style = text(input, "style");
    if place != In::Query {
        let simple = style.is_none_or(|style| style == "simple");
        return if simple { Reading::Separated(',') } else { Reading::Unchecked };
    }
    let explode = input.get("explode").and_then(Value::as_bool);
    match style {
        None | Some("form") if explode != Some(false) => Reading::Repeated,
        None | Some("form") => Reading::Separated(','),
        Some("spaceDelimited") if explode != Some(true) => Reading::Separated(' '),
        Some("pipeDelimited") if explode != Some(true) => Reading::Separated('|'),
        Some("spaceDelimited" | "pipeDelimited") => Reading::Repeated,
        Some("deepObject") => Reading::Deep,
        Some(_) => Reading::Unchecked,
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}

fn is_true(value: &Value, member: &str) -> bool {
    value.get(member).and_then(Value::as_bool).unwrap_or(false)
}
