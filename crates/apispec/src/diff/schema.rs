//! Two versions of a schema: what a request may hold must not shrink, what an answer may hold must
//! not grow.

use serde_json::{Map, Value};

use super::{Changes, Pair};
use crate::limits::{MAX_DEPTH, MAX_DIFF_STEPS};
use crate::pointer;
use crate::tree::reference_of;

pub(super) const TYPE_CHANGED: &str = "the type changed";

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Request,
    Response,
}

pub(super) fn request(pair: &Pair<'_>, old: &Value, new: &Value, at: &str, to: &mut Changes) {
    compare(pair, old, new, at, to, Direction::Request);
}

pub(super) fn response(pair: &Pair<'_>, old: &Value, new: &Value, at: &str, to: &mut Changes) {
    compare(pair, old, new, at, to, Direction::Response);
}

fn compare(
    pair: &Pair<'_>,
    old: &Value,
    new: &Value,
    at: &str,
    changes: &mut Changes,
    direction: Direction,
) {
    let mut walk = Walk { pair, changes, direction, steps: 0 };
    walk.schema(old, new, at, 0);
}

struct Walk<'w> {
    pair: &'w Pair<'w>,
    changes: &'w mut Changes,
    direction: Direction,
    steps: usize,
}

impl Walk<'_> {
    fn schema(&mut self, old: &Value, new: &Value, at: &str, depth: usize) {
        self.steps += 1;
        if self.steps > MAX_DIFF_STEPS || depth > MAX_DEPTH {
            return;
        }
        let text = |value| reference_of(value).unwrap_or_default().to_owned();
        let names = (text(old), text(new));
        let is_reference = !names.0.is_empty() || !names.1.is_empty();
        if is_reference && !self.changes.compared.insert((self.direction, names.0, names.1)) {
            return;
        }
        let pair = self.pair;
        let (Some(old), Some(new)) = (pair.old.tree.deref(old), pair.new.tree.deref(new)) else {
            return;
        };
        self.types(old, new, at);
        self.values(old, new, at);
        self.bounds(old, new, at);
        self.properties(old, new, at, depth);
        for member in ["allOf", "oneOf", "anyOf"] {
            self.combined(old, new, member, at, depth);
        }
        if let (Some(was), Some(now)) = (old.get("items"), new.get("items")) {
            self.schema(was, now, &format!("{at}/items"), depth + 1);
        }
        if old.get("discriminator") != new.get("discriminator") {
            self.changes.add(false, at, "the discriminator changed");
        }
    }

    fn is_request(&self) -> bool {
        self.direction == Direction::Request
    }

    fn types(&mut self, old: &Value, new: &Value, at: &str) {
        let (was, now) = (types(old), types(new));
        if was == now || was.is_empty() || now.is_empty() {
            return;
        }
        let (from, to) = if self.is_request() { (&was, &now) } else { (&now, &was) };
        let fits = from
            .iter()
            .all(|kind| to.contains(kind) || (*kind == "integer" && to.contains(&"number")));
        let message = format!("{TYPE_CHANGED} from {} to {}", was.join("|"), now.join("|"));
        self.changes.add(!fits, at, &message);
    }

    fn values(&mut self, old: &Value, new: &Value, at: &str) {
        let list = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
        match (list(old), list(new)) {
            (Some(was), Some(now)) => {
                for value in was.iter().filter(|value| !now.contains(value)) {
                    let message = format!("the value {value} is gone");
                    self.changes.add(self.is_request(), at, &message);
                }
                for value in now.iter().filter(|value| !was.contains(value)) {
                    self.changes.add(false, at, &format!("the value {value} is new"));
                }
            }
            (None, Some(_)) => {
                self.changes.add(self.is_request(), at, "the values are now limited to a list");
            }
            (Some(_), None) => {
                self.changes.add(!self.is_request(), at, "the values are no longer a list");
            }
            (None, None) => {}
        }
        if old.get("const") != new.get("const") {
            let breaking = if self.is_request() { new.get("const") } else { old.get("const") };
            self.changes.add(breaking.is_some(), at, "the constant value changed");
        }
        if old.get("pattern") != new.get("pattern") {
            let breaking = self.is_request() && new.get("pattern").is_some();
            self.changes.add(breaking, at, "the pattern changed");
        }
    }

    /// A bound that is new warns; one that becomes narrower for requests, wider for answers breaks.
    fn bounds(&mut self, old: &Value, new: &Value, at: &str) {
        let upper = ["maximum", "maxLength", "maxItems", "maxProperties"];
        let lower = ["minimum", "minLength", "minItems", "minProperties"];
        for member in upper.into_iter().chain(lower) {
            let bound = |schema: &Value| schema.get(member).and_then(Value::as_f64);
            let (was, now) = (bound(old), bound(new));
            if was == now {
                continue;
            }
            let breaking = match (was, now) {
                (Some(was), Some(now)) => {
                    let narrower = if member.starts_with("max") { now < was } else { now > was };
                    narrower == self.is_request()
                }
                (was, _) => was.is_some() && !self.is_request(),
            };
            let text = |bound: Option<f64>| bound.map_or("none".to_owned(), |one| one.to_string());
            let message = format!("{member} changed from {} to {}", text(was), text(now));
            self.changes.add(breaking, at, &message);
        }
    }

    fn properties(&mut self, old: &Value, new: &Value, at: &str, depth: usize) {
        let none = Map::new();
        let (was, now) = (member_map(old, &none), member_map(new, &none));
        let needed = |schema: &Value, name: &str| {
            let list = schema.get("required").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|one| one == name))
        };
        for (name, schema) in was {
            let here = pointer::join(&format!("{at}/properties"), name);
            let (before, after) = (needed(old, name), needed(new, name));
            let Some(current) = now.get(name) else {
                let breaking = !self.is_request() && before;
                self.changes.add(breaking, &here, "the property is gone");
                continue;
            };
            if before != after {
                let message = if after { "is now required" } else { "is no longer required" };
                let message = format!("the property {message}");
                self.changes.add(after == self.is_request(), &here, &message);
            }
            self.schema(schema, current, &here, depth + 1);
        }
        for name in now.keys().filter(|name| !was.contains_key(*name)) {
            let here = pointer::join(&format!("{at}/properties"), name);
            let breaking = self.is_request() && needed(new, name);
            self.changes.add(breaking, &here, "the property is new");
        }
    }

    fn combined(&mut self, old: &Value, new: &Value, member: &str, at: &str, depth: usize) {
        let none = Vec::new();
        let (was, now) = (member_list(old, member, &none), member_list(new, member, &none));
        let at = format!("{at}/{member}");
        for part in was {
            if now.contains(part) {
                self.schema(part, part, &at, depth + 1);
            } else {
                let breaking = self.is_request() && member != "allOf";
                self.changes.add(breaking, &at, &format!("{} is gone", label(part)));
            }
        }
        for part in now.iter().filter(|part| !was.contains(part)) {
            let breaking = self.is_request() && member == "allOf";
            self.changes.add(breaking, &at, &format!("{} is new", label(part)));
        }
    }
}

fn member_map<'v>(schema: &'v Value, none: &'v Map<String, Value>) -> &'v Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).unwrap_or(none)
}

fn member_list<'v>(schema: &'v Value, member: &str, none: &'v Vec<Value>) -> &'v Vec<Value> {
    schema.get(member).and_then(Value::as_array).unwrap_or(none)
}

/// The allowed types, with `null` for both ways of saying it.
fn types(schema: &Value) -> Vec<&str> {
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let nullable = schema.get("nullable").is_some_and(|value| value == true);
    if nullable && !types.is_empty() && !types.contains(&"null") {
        types.push("null");
    }
    types
}

fn label(schema: &Value) -> &str {
    reference_of(schema).unwrap_or("a schema")
}
