//! Values made from schemas.

use serde_json::{Value, json};

use crate::limits::MAX_SAMPLE_NODES;
use crate::sample::{self, Audience};
use crate::tree::Tree;

fn made(schema: &Value) -> Value {
    sample::value(schema, &Tree::default(), Audience::Request)
}

#[test]
fn value_follows_the_schema() {
    let cases = [
        (json!({"type": "string", "example": "own"}), json!("own")),
        (json!({"type": ["null", "integer"], "minimum": 10}), json!(10)),
        (json!({"type": "integer", "exclusiveMinimum": 10, "multipleOf": 4}), json!(12)),
        (json!({"type": "number", "maximum": 0.5}), json!(0.5)),
        (json!({"type": "string", "format": "date"}), json!("2026-01-15")),
        (json!({"type": "string", "minLength": 8, "maxLength": 8}), json!("stringst")),
        (json!({"type": "string", "maxLength": 3}), json!("str")),
        (json!({"type": "array", "items": {"type": "boolean"}}), json!([true])),
        (json!({"enum": ["a", "b"]}), json!("a")),
        (json!({"const": 7}), json!(7)),
        (json!({"type": "null"}), json!(null)),
        (json!({"oneOf": [{"type": "null"}, {"type": "string"}]}), json!("string")),
        (json!({}), json!({})),
        (json!(true), json!({})),
        (
            json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}],
                "properties": {"c": {"const": 3}}}),
            json!({"a": 1, "b": 2, "c": 3}),
        ),
        (
            json!({"properties": {"id": {"type": "string", "readOnly": true}, "n": {"type": "integer"}}}),
            json!({"n": 1}),
        ),
        (json!({"type": "object", "additionalProperties": {"type": "integer"}}), json!({"key": 1})),
    ];
    for (schema, expected) in cases {
        assert_eq!(made(&schema), expected, "{schema}");
    }
}

#[test]
fn value_is_bounded() {
    let mut properties = serde_json::Map::new();
    for index in 0..10_000 {
        properties.insert(format!("p{index}"), json!({"type": "string"}));
    }
    let wide = made(&json!({"properties": properties}));
    assert!(wide.as_object().is_some_and(|map| map.len() <= MAX_SAMPLE_NODES));
}
