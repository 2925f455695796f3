//! Parameters of path, query and header: text → value by style and type, then against the schema.
//!
//! The text `5` is a number where the schema takes numbers and a text where it takes texts; where
//! it takes several, the reading that fits is taken, so that a good request is never refused for
//! having been read in another way.

use serde_json::{Map, Number, Value};

use super::check::Checker;
use super::query::{Query, decode};
use super::schema::{MapRules, Schema, SchemaId, Types};
use super::violation::Place as At;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// How a value with parts is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Parts stand in one text with a separator between them.
    Separated(char),
    /// Each part is a pair of its own in the query.
    Repeated,
    /// `name[member]=value`.
    Deep,
    Json,
    /// Only whether it is there.
    Unchecked,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: Box<str>,
    /// Such as `query/limit`.
    pub(super) shown: Box<str>,
    pub(super) required: bool,
    pub(super) allow_empty: bool,
    pub(super) reading: Reading,
    pub(super) schema: Option<SchemaId>,
}

impl Parameter {
    /// A parameter of the path, decoded.
    pub(super) fn check_path(&self, text: Option<&str>, checker: &mut Checker<'_>) {
        match text {
            Some(text) => self.check_texts(&[text], &str::to_owned, checker),
            None => self.check_absent(checker),
        }
    }

    /// A header field: spaces around the items of a list mean nothing there.
    pub(super) fn check_header(&self, text: Option<&str>, checker: &mut Checker<'_>) {
        match text {
            Some(text) => self.check_texts(&[text], &|text| text.trim().to_owned(), checker),
            None => self.check_absent(checker),
        }
    }

    pub(super) fn check_query(&self, query: &Query<'_>, checker: &mut Checker<'_>) {
        if self.reading == Reading::Deep {
            return self.check_deep(query, checker);
        }
        let values = query.values(&self.name);
        if self.reading == Reading::Repeated
            && let Some(schema) = self.schema
            && values.is_empty()
            && checker.types(schema).has(Types::OBJECT)
        {
            return self.check_spread(schema, query, checker);
        }
        if values.is_empty() {
            return self.check_absent(checker);
        }
        if self.allow_empty && values.iter().all(|value| value.is_empty()) {
            return;
        }
        self.check_texts(&values, &decode, checker);
    }

    fn place(&self) -> At<'_> {
        At::root(&self.shown)
    }

    fn check_absent(&self, checker: &mut Checker<'_>) {
        if self.required {
            checker.violations.add(&self.place(), "is required");
        }
    }

    fn check_texts(
        &self,
        texts: &[&str],
        decode: &dyn Fn(&str) -> String,
        checker: &mut Checker<'_>,
    ) {
        let Some(schema) = self.schema else { return };
        if self.reading == Reading::Unchecked {
            return;
        }
        let types = checker.types(schema);
        let (only, parts) = match texts {
            [only] => (Some(*only), self.parts(only, decode)),
            several => (None, several.iter().map(|text| decode(text)).collect()),
        };
        if only.is_none() && self.reading != Reading::Repeated {
            return checker.violations.add(&self.place(), "is given more than once");
        }
        if self.reading == Reading::Json {
            let Ok(value) = serde_json::from_str::<Value>(&decode(texts[0])) else {
                return checker.violations.add(&self.place(), "is not JSON");
            };
            return checker.check(schema, &value, &self.place());
        }
        let mut readings = Vec::new();
        if types.has(Types::ARRAY) {
            readings.push(list(schema, &parts, checker));
        }
        if types.has(Types::OBJECT) {
            let Some(rules) = plain_map(schema, checker) else { return };
            readings.extend(pairs(rules, &parts, checker));
        }
        if let Some(only) = only {
            readings.push(scalar(schema, types, &decode(only), checker));
        }
        match readings.iter().find(|value| checker.may_be(schema, value)).or(readings.first()) {
            Some(value) => checker.check(schema, value, &self.place()),
            None if types.is_empty() => {}
            None => checker.violations.add(&self.place(), "is given more than once"),
        }
    }

    /// A separator that was sent encoded separates only where no other does.
    fn parts(&self, text: &str, decode: &dyn Fn(&str) -> String) -> Vec<String> {
        let Reading::Separated(separator) = self.reading else { return vec![decode(text)] };
        let decoded = decode(text);
        if decoded.is_empty() {
            return Vec::new();
        }
        if text.contains(separator) {
            return text.split(separator).map(decode).collect();
        }
        decoded.split(separator).map(str::to_owned).collect()
    }

    /// `name[member]=value` for each member.
    fn check_deep(&self, query: &Query<'_>, checker: &mut Checker<'_>) {
        let Some(members) = query.members(&self.name) else { return };
        if members.is_empty() {
            if query.values(&self.name).is_empty() {
                self.check_absent(checker);
            }
            return;
        }
        let Some(schema) = self.schema else { return };
        let Some(rules) = plain_map(schema, checker) else { return };
        let mut map = Map::new();
        for (name, text) in members {
            let value = member(rules, name, &decode(text), checker);
            if map.insert(name.to_owned(), value).is_some() {
                // Lists within are written in more ways than one.
                return;
            }
        }
        checker.check(schema, &Value::Object(map), &self.place());
    }

    /// Each member of the map is a parameter of the query by itself.
    fn check_spread(&self, schema: SchemaId, query: &Query<'_>, checker: &mut Checker<'_>) {
        let Some(rules) = plain_map(schema, checker) else { return };
        let mut map = Map::new();
        for name in rules.members.keys() {
            match query.values(name).as_slice() {
                [] => {}
                [text] => {
                    map.insert(name.to_string(), member(rules, name, &decode(text), checker));
                }
                _ => return,
            }
        }
        // Whether an empty one is there cannot be seen; what it must have, can.
        if map.is_empty() && !self.required {
            return;
        }
        checker.check(schema, &Value::Object(map), &self.place());
    }
}

/// The members of a schema that is nothing but a map, perhaps behind references.
fn plain_map<'v>(schema: SchemaId, checker: &Checker<'v>) -> Option<&'v MapRules> {
    let pick = |schema: &'v Schema| match (&schema.map, &schema.parts) {
        (Some(map), None) => Some(Some(&**map)),
        (_, Some(_)) => Some(None),
        (None, None) => None,
    };
    checker.find(schema, &pick).flatten()
}

fn list(schema: SchemaId, parts: &[String], checker: &mut Checker<'_>) -> Value {
    let items = checker.find(schema, &|one| one.list.as_ref()?.items);
    let mut list = Vec::with_capacity(parts.len());
    for part in parts {
        list.push(match items {
            Some(items) => scalar(items, checker.types(items), part, checker),
            None => Value::String(part.clone()),
        });
    }
    Value::Array(list)
}

/// `a,1,b,2`.
fn pairs(rules: &MapRules, parts: &[String], checker: &mut Checker<'_>) -> Option<Value> {
    let mut map = Map::new();
    for pair in parts.chunks(2) {
        let [name, text] = pair else { return None };
        map.insert(name.clone(), member(rules, name, text, checker));
    }
    Some(Value::Object(map))
}

fn member(rules: &MapRules, name: &str, text: &str, checker: &mut Checker<'_>) -> Value {
    let schema = rules.members.get(name).map(|member| member.schema).or(rules.others);
    match schema {
        Some(schema) => scalar(schema, checker.types(schema), text, checker),
        None => Value::String(text.to_owned()),
    }
}

/// The first value that the text can stand for and the schema takes.
fn scalar(schema: SchemaId, types: Types, text: &str, checker: &mut Checker<'_>) -> Value {
    let any = types.is_empty();
    let mut readings = Vec::new();
    if any || types.has(Types::INTEGER.with(Types::NUMBER)) {
        readings.extend(number(text).map(Value::Number));
    }
    if any || types.has(Types::BOOLEAN) {
        readings.extend(text.parse().ok().map(Value::Bool));
    }
    if types.has(Types::NULL) && matches!(text, "" | "null") {
        readings.push(Value::Null);
    }
    if any || types.has(Types::STRING) || readings.is_empty() {
        readings.push(Value::String(text.to_owned()));
    }
    let fits = readings.iter().position(|value| checker.may_be(schema, value));
    readings.swap_remove(fits.unwrap_or(0))
}

/// A number as JSON writes it, without anything around it.
fn number(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    let plain = bytes.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit())
        && bytes.last().is_some_and(u8::is_ascii_digit);
    if plain { serde_json::from_str(text).ok() } else { None }
}
