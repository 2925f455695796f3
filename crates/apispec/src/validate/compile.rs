//! A document's schemas → the list that requests are checked against.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::format::Format;
use super::pattern;
use super::schema::{
    Dependent, Discriminator, ListRules, MapRules, Member, NumberRules, Parts, Schema, SchemaId,
    TextRules, Types,
};
use crate::limits::{MAX_PATTERNS, MAX_REF_CHAIN, MAX_VALIDATED_SCHEMAS};
use crate::model::Notes;
use crate::tree::{Tree, reference_of};

/// Which rules of reading a schema hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Swagger 2.0 and `OpenAPI` 3.0: what stands beside a `$ref` is ignored.
    Old,
    /// JSON Schema 2020-12.
    New,
}

pub(super) struct Compiler<'d> {
    tree: &'d Tree,
    dialect: Dialect,
    pub(super) schemas: Vec<Schema>,
    /// A schema's place in memory names it: the document does not move while it is compiled.
    known: HashMap<*const Value, SchemaId>,
    waiting: Vec<(SchemaId, &'d Value)>,
    patterns: HashMap<&'d str, Option<Regex>>,
    full: bool,
}

impl<'d> Compiler<'d> {
    pub(super) fn new(tree: &'d Tree, dialect: Dialect) -> Self {
        Self {
            tree,
            dialect,
            schemas: Vec::new(),
            known: HashMap::new(),
            waiting: Vec::new(),
            patterns: HashMap::new(),
            full: false,
        }
    }

    /// The number of a schema, which is compiled with the next [`Self::finish`].
    pub(super) fn schema(&mut self, value: &'d Value) -> SchemaId {
        if let Some(id) = self.known.get(&std::ptr::from_ref(value)) {
            return *id;
        }
        let id = u32::try_from(self.schemas.len()).unwrap_or(u32::MAX);
        if self.schemas.len() >= MAX_VALIDATED_SCHEMAS {
            if !self.full {
                self.full = true;
                self.schemas.push(Schema { incomplete: true, ..Schema::default() });
            }
            return u32::try_from(self.schemas.len() - 1).unwrap_or(u32::MAX);
        }
        self.schemas.push(Schema::default());
        self.known.insert(value, id);
        self.waiting.push((id, value));
        id
    }

    /// Compiles what has been asked for and all that it leads to. Remarks name the operation at
    /// `pointer`, the first that leads there.
    pub(super) fn finish(&mut self, pointer: &str, notes: &mut Notes) {
        let was_full = self.full;
        while let Some((id, value)) = self.waiting.pop() {
            let mut remarks = Vec::new();
            self.schemas[id as usize] = self.compile(value, &mut remarks);
            for remark in remarks {
                notes.add(pointer, &format!("requests are not checked for it: {remark}"));
            }
        }
        if self.full && !was_full {
            let message = format!("only {MAX_VALIDATED_SCHEMAS} schemas are checked in requests");
            notes.add(pointer, &message);
        }
    }

    fn compile(&mut self, value: &'d Value, remarks: &mut Vec<String>) -> Schema {
        let mut schema = Schema::default();
        let map = match value {
            Value::Bool(constant) => {
                schema.constant = Some(*constant);
                return schema;
            }
            Value::Object(map) => map,
            _ => {
                remarks.push("a schema must be a map or a boolean".to_owned());
                schema.incomplete = true;
                return schema;
            }
        };
        if let Some(reference) = reference_of(value) {
            if let Some(target) = self.tree.resolve(reference) {
                schema.reference = Some(self.schema(target));
            } else {
                remarks.push(format!("{reference} leads nowhere"));
                schema.incomplete = true;
            }
            if self.dialect == Dialect::Old {
                return schema;
            }
        }
        for keyword in ["$dynamicRef", "unevaluatedProperties", "unevaluatedItems"] {
            if map.contains_key(keyword) {
                remarks.push(keyword.to_owned());
                schema.incomplete = true;
            }
        }
        schema.nullable = is_true(map, "nullable") || is_true(map, "x-nullable");
        schema.types = types(map.get("type"));
        schema.one_of_values = values(map);
        schema.number = number_rules(map);
        schema.text = self.text_rules(map, &mut schema.incomplete, remarks);
        schema.list = self.list_rules(map);
        schema.map = self.map_rules(map, &mut schema.incomplete, remarks);
        schema.parts = self.parts(map);
        schema
    }

    fn text_rules(
        &mut self,
        map: &'d Map<String, Value>,
        incomplete: &mut bool,
        remarks: &mut Vec<String>,
    ) -> Option<Box<TextRules>> {
        let mut rules = TextRules {
            min_chars: count(map, "minLength").unwrap_or(0),
            max_chars: count(map, "maxLength"),
            pattern: None,
            format: map.get("format").and_then(Value::as_str).and_then(Format::named),
        };
        if let Some(text) = map.get("pattern").and_then(Value::as_str) {
            rules.pattern = self.pattern(text, remarks);
            *incomplete |= rules.pattern.is_none();
        }
        let asks = rules.min_chars > 0
            || rules.max_chars.is_some()
            || rules.pattern.is_some()
            || rules.format.is_some();
        asks.then(|| Box::new(rules))
    }

    fn pattern(&mut self, text: &'d str, remarks: &mut Vec<String>) -> Option<Regex> {
        if let Some(known) = self.patterns.get(text) {
            return known.clone();
        }
        let compiled =
            if self.patterns.len() < MAX_PATTERNS { pattern::compile(text) } else { None };
        if compiled.is_none() {
            remarks.push(format!("the pattern {text} cannot be run in bounded time"));
        }
        self.patterns.insert(text, compiled.clone());
        compiled
    }

    fn list_rules(&mut self, map: &'d Map<String, Value>) -> Option<Box<ListRules>> {
        const KEYWORDS: &[&str] =
            &["minItems", "maxItems", "uniqueItems", "prefixItems", "items", "contains"];
        if !KEYWORDS.iter().any(|keyword| map.contains_key(*keyword)) {
            return None;
        }
        let items = map.get("items");
        let tuple = items.and_then(Value::as_array);
        let first = map.get("prefixItems").and_then(Value::as_array).or(tuple);
        Some(Box::new(ListRules {
            min_items: count(map, "minItems").unwrap_or(0),
            max_items: count(map, "maxItems"),
            unique: is_true(map, "uniqueItems"),
            first: first.into_iter().flatten().map(|one| self.schema(one)).collect(),
            items: items.filter(|_| tuple.is_none()).map(|items| self.schema(items)),
            contains: map.get("contains").map(|one| self.schema(one)),
            min_contains: count(map, "minContains").unwrap_or(1),
            max_contains: count(map, "maxContains"),
        }))
    }

    fn map_rules(
        &mut self,
        map: &'d Map<String, Value>,
        incomplete: &mut bool,
        remarks: &mut Vec<String>,
    ) -> Option<Box<MapRules>> {
        const KEYWORDS: &[&str] = &[
            "minProperties",
            "maxProperties",
            "required",
            "properties",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
            "dependentRequired",
            "dependentSchemas",
        ];
        if !KEYWORDS.iter().any(|keyword| map.contains_key(*keyword)) {
            return None;
        }
        let mut rules = MapRules {
            min_members: count(map, "minProperties").unwrap_or(0),
            max_members: count(map, "maxProperties"),
            required: texts(map.get("required")),
            names: map.get("propertyNames").map(|one| self.schema(one)),
            others: map.get("additionalProperties").map(|one| self.schema(one)),
            ..MapRules::default()
        };
        for (name, value) in members(map, "properties") {
            let member = Member { schema: self.schema(value), read_only: self.read_only(value) };
            rules.members.insert(name.as_str().into(), member);
        }
        let mut patterns = Vec::new();
        for (text, value) in members(map, "patternProperties") {
            if let Some(pattern) = self.pattern(text, remarks) {
                patterns.push((pattern, self.schema(value)));
            } else {
                *incomplete = true;
                rules.others = None;
            }
        }
        rules.patterns = patterns.into();
        rules.dependent = members(map, "dependentRequired")
            .map(|(name, needed)| Dependent {
                name: name.as_str().into(),
                needed: texts(Some(needed)),
            })
            .collect();
        rules.dependent_schemas = members(map, "dependentSchemas")
            .map(|(name, value)| (name.as_str().into(), self.schema(value)))
            .collect();
        Some(Box::new(rules))
    }

    /// `readOnly` of a member, also where it stands behind references or in a part of `allOf`.
    fn read_only(&self, value: &Value) -> bool {
        let mut current = value;
        for _ in 0..MAX_REF_CHAIN {
            let Some(map) = current.as_object() else { return false };
            if is_true(map, "readOnly") {
                return true;
            }
            let parts = map.get("allOf").and_then(Value::as_array).into_iter().flatten();
            if parts.filter_map(Value::as_object).any(|part| is_true(part, "readOnly")) {
                return true;
            }
            let target = reference_of(current).and_then(|reference| self.tree.resolve(reference));
            let Some(target) = target else { return false };
            current = target;
        }
        false
    }

    fn parts(&mut self, map: &'d Map<String, Value>) -> Option<Box<Parts>> {
        const KEYWORDS: &[&str] = &["allOf", "anyOf", "oneOf", "not", "if"];
        if !KEYWORDS.iter().any(|keyword| map.contains_key(*keyword)) {
            return None;
        }
        let mut list = |member: &str| -> Box<[SchemaId]> {
            let list = map.get(member).and_then(Value::as_array);
            list.into_iter().flatten().map(|one| self.schema(one)).collect()
        };
        let (all_of, any_of, one_of) = (list("allOf"), list("anyOf"), list("oneOf"));
        let condition = map.get("if").map(|test| {
            let test = self.schema(test);
            let then = map.get("then").map(|one| self.schema(one));
            (test, then, map.get("else").map(|one| self.schema(one)))
        });
        let not = map.get("not").map(|one| self.schema(one));
        let discriminator = self.discriminator(map);
        Some(Box::new(Parts { all_of, any_of, one_of, not, condition, discriminator }))
    }

    fn discriminator(&mut self, map: &'d Map<String, Value>) -> Option<Discriminator> {
        let discriminator = map.get("discriminator")?.as_object()?;
        let name = discriminator.get("propertyName")?.as_str()?;
        let mut leads = HashMap::new();
        let alternatives = map.get("oneOf").or_else(|| map.get("anyOf"))?.as_array()?;
        for alternative in alternatives {
            let reference = reference_of(alternative)?;
            let last = reference.rsplit('/').next()?;
            leads.insert(last.into(), self.schema(alternative));
        }
        for (value, target) in members(discriminator, "mapping") {
            let Some(target) = target.as_str() else { continue };
            let last = target.rsplit('/').next()?;
            if let Some(id) = leads.get(last).copied() {
                leads.insert(value.as_str().into(), id);
            }
        }
        Some(Discriminator { name: name.into(), leads })
    }
}

fn types(value: Option<&Value>) -> Types {
    match value {
        Some(Value::String(name)) => Types::named(name).unwrap_or_default(),
        Some(Value::Array(names)) => {
            let mut types = Types::default();
            for name in names {
                match name.as_str().and_then(Types::named) {
                    Some(one) => types = types.with(one),
                    None => return Types::default(),
                }
            }
            types
        }
        _ => Types::default(),
    }
}

/// `enum`, or `const` as a list of one.
fn values(map: &Map<String, Value>) -> Option<Box<[Value]>> {
    if let Some(value) = map.get("const") {
        return Some(Box::new([value.clone()]));
    }
    let list = map.get("enum")?.as_array()?;
    (!list.is_empty()).then(|| list.clone().into())
}

/// `exclusiveMinimum` is a flag in the old dialects and a number in the new; each says what it is.
fn number_rules(map: &Map<String, Value>) -> Option<Box<NumberRules>> {
    let number = |name: &str| match map.get(name) {
        Some(Value::Number(number)) => Some(number.clone()),
        _ => None,
    };
    let mut rules = NumberRules {
        minimum: number("minimum"),
        maximum: number("maximum"),
        above: number("exclusiveMinimum"),
        below: number("exclusiveMaximum"),
        multiple_of: number("multipleOf").filter(|by| by.as_f64().is_some_and(|by| by > 0.0)),
    };
    if is_true(map, "exclusiveMinimum") {
        rules.above = rules.minimum.take();
    }
    if is_true(map, "exclusiveMaximum") {
        rules.below = rules.maximum.take();
    }
    let lower = rules.minimum.is_some() || rules.above.is_some();
    let upper = rules.maximum.is_some() || rules.below.is_some();
    (lower || upper || rules.multiple_of.is_some()).then(|| Box::new(rules))
}

fn members<'v>(
    map: &'v Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'v String, &'v Value)> {
    map.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn texts(value: Option<&Value>) -> Box<[Box<str>]> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(Into::into).collect()
}

fn count(map: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = map.get(name)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a count")]
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|value| *value >= 0.0).map(|value| value as u64))
}

fn is_true(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).and_then(Value::as_bool).unwrap_or(false)
}
