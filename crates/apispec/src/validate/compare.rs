//! Values as JSON Schema compares them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Number, Value};

use super::schema::Types;

pub(super) fn is_of(value: &Value, types: Types) -> bool {
    match value {
        Value::Null => types.has(Types::NULL),
        Value::Bool(_) => types.has(Types::BOOLEAN),
        Value::Number(number) => {
            types.has(Types::NUMBER) || (types.has(Types::INTEGER) && is_whole(number))
        }
        Value::String(_) => types.has(Types::STRING),
        Value::Array(_) => types.has(Types::ARRAY),
        Value::Object(_) => types.has(Types::OBJECT),
    }
}

fn is_whole(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

pub(super) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// Decimal fractions have no exact double, so a step like 0.01 is compared with a tolerance.
pub(super) fn is_multiple(value: &Number, step: &Number) -> bool {
    const TOLERANCE: f64 = 1e-9;
    if let (Some(value), Some(step)) = (value.as_i128(), step.as_i128()) {
        return step != 0 && value % step == 0;
    }
    let (Some(value), Some(step)) = (value.as_f64(), step.as_f64()) else { return true };
    let times = value / step;
    (times - times.round()).abs() <= TOLERANCE * times.abs().max(1.0)
}

/// JSON knows no difference between 1 and 1.0, nor an order of members.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            compare(left, right) == Some(Ordering::Equal)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(one, two)| equal(one, two))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, one)| right.get(name).is_some_and(|two| equal(one, two)))
        }
        _ => left == right,
    }
}

pub(super) fn all_differ(list: &[Value]) -> bool {
    let mut seen = HashSet::with_capacity(list.len());
    list.iter().all(|item| {
        let mut text = String::new();
        write_canonical(item, &mut text);
        seen.insert(text)
    })
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) if number.is_f64() && is_whole(number) => {
            let _ = write!(text, "{:.0}", number.as_f64().unwrap_or_default());
        }
        Value::Array(list) => {
            text.push('[');
            for item in list {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, item) in members {
                let _ = write!(text, "{name:?}:");
                write_canonical(item, text);
                text.push(',');
            }
            text.push('}');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}
