//! Bytes → `serde_json::Value`, for JSON and YAML alike, within bounds.
//!
//! One visitor builds the tree for both formats, so that both have the same limits and both report
//! duplicate names by pointer. It counts what it builds, not what it reads: a YAML alias that
//! repeats a large text is charged every time.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Place, SpecError};
use crate::limits::{
    MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, MAX_TEXT_BYTES, MAX_YAML_ALIASES,
    MAX_YAML_REPLAYED_EVENTS,
};
use crate::pointer;

/// What the YAML reader calls an alias inside of its own anchor.
const SELF_ALIAS: &str = "recursive references require weak recursion types";
/// Duplicate names kept for diagnostics.
const MAX_DUPLICATES: usize = 100;

pub(crate) struct Parsed {
    pub(crate) value: Value,
    /// Pointers of names that occur more than once in their map.
    pub(crate) duplicates: Vec<String>,
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, SpecError> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(SpecError::TooLarge { found: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| SpecError::NotUtf8 {
        place: Place::of_byte(bytes, error.valid_up_to()),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().chars().next() {
        None => Err(SpecError::Empty),
        Some('{' | '[') => parse_json_or_flow(text),
        Some(_) => parse_yaml(text),
    }
}

/// YAML's flow style looks like JSON, so a text that fails as JSON gets its second chance; when
/// both fail, the JSON message is the one its author expects.
fn parse_json_or_flow(text: &str) -> Result<Parsed, SpecError> {
    let error = match parse_json(text) {
        Err(error @ SpecError::Syntax { .. }) => error,
        other => return other,
    };
    parse_yaml(text).map_err(|_| error)
}

pub(crate) fn parse_json(text: &str) -> Result<Parsed, SpecError> {
    let mut build = Build::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let result = Node { build: &mut build }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match result {
        Ok(value) => Ok(Parsed { value, duplicates: build.duplicates }),
        Err(error) => {
            let place = Place::Text { line: error.line() as u64, column: error.column() as u64 };
            Err(build.refusal("JSON", error.to_string(), place))
        }
    }
}

fn parse_yaml(text: &str) -> Result<Parsed, SpecError> {
    let mut build = Build::default();
    let result =
        serde_saphyr::with_deserializer_from_str_with_options(text, yaml_options(), |reader| {
            Node { build: &mut build }.deserialize(reader)
        });
    match result {
        Ok(value) => Ok(Parsed { value, duplicates: build.duplicates }),
        Err(error) => {
            let error = error.without_snippet();
            let place = error
                .location()
                .map_or(Place::Document, |at| Place::Text { line: at.line(), column: at.column() });
            let message = one_line(&error.to_string());
            if is_limit(error) {
                return Err(SpecError::TooComplex { message, place });
            }
            Err(build.refusal("YAML", message, place))
        }
    }
}

/// YAML 1.2 scalars: `no`, `on`, `0123` and `1_000` are texts, as API authors mean them.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_aliases: MAX_YAML_ALIASES,
            max_anchors: MAX_YAML_ALIASES,
            max_recorded_anchor_events: MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT_BYTES,
            max_documents: 1,
            simple_key_max_lookahead: 16 * 1024,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_YAML_REPLAYED_EVENTS,
        },
        emit_comments: false,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn is_limit(error: &serde_saphyr::Error) -> bool {
    if let serde_saphyr::Error::AliasError { error, .. } = error {
        return is_limit(error);
    }
    matches!(
        error,
        serde_saphyr::Error::Budget { .. }
            | serde_saphyr::Error::AliasReplayCounterOverflow { .. }
            | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
            | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
            | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. }
    )
}

fn one_line(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    first.chars().take(300).collect()
}

/// What has been built so far, and where the reader is.
#[derive(Default)]
struct Build {
    nodes: usize,
    text_bytes: usize,
    depth: usize,
    pointer: String,
    duplicates: Vec<String>,
    refused: Option<&'static str>,
}

impl Build {
    fn charge<E: de::Error>(&mut self, text_bytes: usize) -> Result<(), E> {
        self.nodes += 1;
        self.text_bytes += text_bytes;
        if self.nodes > MAX_NODES {
            return self.refuse("too many values");
        }
        if self.text_bytes > MAX_TEXT_BYTES {
            return self.refuse("too much text");
        }
        Ok(())
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.refuse("nested too deeply");
        }
        Ok(())
    }

    fn refuse<E: de::Error>(&mut self, why: &'static str) -> Result<(), E> {
        self.refused = Some(why);
        Err(E::custom(why))
    }

    fn refusal(&self, format: &'static str, message: String, place: Place) -> SpecError {
        match self.refused {
            Some(why) => SpecError::TooComplex { message: why.to_owned(), place },
            None if message.contains("recursion limit") => {
                SpecError::TooComplex { message: "nested too deeply".to_owned(), place }
            }
            None if message.starts_with(SELF_ALIAS) => {
                let message = message.replacen(SELF_ALIAS, "an alias holds itself", 1);
                SpecError::TooComplex { message, place }
            }
            None => SpecError::Syntax { format, message, place },
        }
    }
}

struct Node<'b> {
    build: &'b mut Build,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.build.charge(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }

    fn visit_newtype_struct<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.build.charge(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.build.charge(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.build.charge(0)?;
        Ok(Value::Number(value.into()))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers beyond 64 bits are doubles")]
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers beyond 64 bits are doubles")]
    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.build.charge(0)?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.build.charge(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Value, E> {
        self.visit_str(&String::from_utf8_lossy(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let build = self.build;
        build.charge(0)?;
        build.enter()?;
        let mut list = Vec::new();
        let here = build.pointer.len();
        loop {
            pointer::push(&mut build.pointer, &list.len().to_string());
            let item = items.next_element_seed(Node { build: &mut *build })?;
            build.pointer.truncate(here);
            let Some(item) = item else { break };
            list.push(item);
        }
        build.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let build = self.build;
        build.charge(0)?;
        build.enter()?;
        let mut map = Map::new();
        let here = build.pointer.len();
        while let Some(name) = entries.next_key::<String>()? {
            build.charge(name.len())?;
            pointer::push(&mut build.pointer, &name);
            let value = entries.next_value_seed(Node { build: &mut *build })?;
            if map.insert(name, value).is_some() && build.duplicates.len() < MAX_DUPLICATES {
                build.duplicates.push(pointer::clip(&build.pointer));
            }
            build.pointer.truncate(here);
        }
        build.depth -= 1;
        Ok(Value::Object(map))
    }
}
