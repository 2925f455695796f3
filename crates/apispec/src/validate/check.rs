//! A value against a compiled schema.
//!
//! There are three outcomes: what could not be checked is neither right nor wrong, and only what is
//! wrong for certain is a violation. Messages say what is expected and never repeat a value.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::compare::{all_differ, compare, equal, is_multiple, is_of};
use super::schema::{
    Dependent, Discriminator, ListRules, MapRules, NumberRules, Parts, Schema, SchemaId, TextRules,
};
use super::violation::{Place, Violations};
use crate::limits::{MAX_VALIDATION_DEPTH, MAX_VALIDATION_STEPS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Unknown,
    Wrong,
}

use Outcome::{Right, Unknown, Wrong};

impl Outcome {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Wrong, _) | (_, Wrong) => Wrong,
            (Unknown, _) | (_, Unknown) => Unknown,
            (Right, Right) => Right,
        }
    }
}

/// One request's checking: what it may still cost and what it found.
pub(super) struct Checker<'v> {
    pub(super) schemas: &'v [Schema],
    steps_left: u32,
    pub(super) violations: Violations,
    /// Above zero while alternatives are tried: nothing is told then.
    trying: u32,
}

/// The schemas that look at the same value from above, innermost first: a member that one of them
/// calls `readOnly` is not missed by another.
#[derive(Clone, Copy)]
struct Above<'a> {
    schema: &'a Schema,
    next: Option<&'a Above<'a>>,
}

#[derive(Clone, Copy)]
struct At<'a> {
    place: &'a Place<'a>,
    above: Option<&'a Above<'a>>,
    depth: usize,
}

impl<'v> Checker<'v> {
    pub(super) fn new(schemas: &'v [Schema]) -> Self {
        let violations = Violations::default();
        Self { schemas, steps_left: MAX_VALIDATION_STEPS, violations, trying: 0 }
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.steps_left == 0
    }

    /// Tells what is wrong with the value.
    pub(super) fn check(&mut self, id: SchemaId, value: &Value, place: &Place<'_>) {
        self.value(id, value, At { place, above: None, depth: 0 });
    }

    /// Whether the value may be right; tells nothing.
    pub(super) fn may_be(&mut self, id: SchemaId, value: &Value) -> bool {
        let at = At { place: &Place::root(""), above: None, depth: 0 };
        self.attempt(id, value, at) != Wrong
    }

    fn spend(&mut self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.steps_left = self.steps_left.saturating_sub(steps);
    }

    fn wrong(&mut self, place: &Place<'_>, message: &str) -> Outcome {
        if self.trying == 0 {
            self.violations.add(place, message);
        }
        Wrong
    }

    /// Nothing more is to be learnt from a value that is wrong when nobody is told, or enough was.
    fn is_settled(&self, outcome: Outcome) -> bool {
        outcome == Wrong && (self.trying > 0 || self.violations.is_full())
    }

    fn attempt(&mut self, id: SchemaId, value: &Value, at: At<'_>) -> Outcome {
        self.trying += 1;
        let outcome = self.value(id, value, at);
        self.trying -= 1;
        outcome
    }

    fn value(&mut self, id: SchemaId, value: &Value, at: At<'_>) -> Outcome {
        self.spend(1);
        if self.steps_left == 0 || at.depth >= MAX_VALIDATION_DEPTH {
            return Unknown;
        }
        let schemas = self.schemas;
        let schema = &schemas[id as usize];
        match schema.constant {
            Some(true) => return Right,
            Some(false) => return self.wrong(at.place, "is not allowed here"),
            None => {}
        }
        if schema.nullable && value.is_null() {
            return Right;
        }
        if !schema.types.is_empty() && !is_of(value, schema.types) {
            let message = format!("must be of type {}", schema.types.words());
            return self.wrong(at.place, &message);
        }
        let mut outcome = if schema.incomplete { Unknown } else { Right };
        if let Some(values) = &schema.one_of_values {
            outcome = outcome.and(self.one_of_values(values, value, at));
        }
        let own = match value {
            Value::Number(number) => {
                schema.number.as_deref().map(|rules| self.number(rules, number, at))
            }
            Value::String(text) => schema.text.as_deref().map(|rules| self.text(rules, text, at)),
            Value::Array(list) => schema.list.as_deref().map(|rules| self.list(rules, list, at)),
            Value::Object(map) => {
                schema.map.as_deref().map(|rules| self.map(rules, schema, map, value, at))
            }
            Value::Null | Value::Bool(_) => None,
        };
        outcome = outcome.and(own.unwrap_or(Right));
        if self.is_settled(outcome) {
            return outcome;
        }
        let above = Above { schema, next: at.above };
        let inner = At { place: at.place, above: Some(&above), depth: at.depth + 1 };
        if let Some(target) = schema.reference {
            outcome = outcome.and(self.value(target, value, inner));
        }
        match &schema.parts {
            Some(parts) => outcome.and(self.parts(parts, value, inner)),
            None => outcome,
        }
    }

    fn one_of_values(&mut self, values: &[Value], value: &Value, at: At<'_>) -> Outcome {
        self.spend(values.len() / 16);
        if values.iter().any(|one| equal(one, value)) {
            return Right;
        }
        let mut message = "must be one of ".to_owned();
        for (index, one) in values.iter().take(20).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(message, "{comma}{one}");
        }
        self.wrong(at.place, &message)
    }

    fn number(&mut self, rules: &NumberRules, value: &Number, at: At<'_>) -> Outcome {
        let mut outcome = Right;
        let bounds = [
            (&rules.minimum, Ordering::Less, true, "at least"),
            (&rules.maximum, Ordering::Greater, true, "at most"),
            (&rules.above, Ordering::Greater, false, "greater than"),
            (&rules.below, Ordering::Less, false, "less than"),
        ];
        for (bound, ordering, forbidden, words) in bounds {
            let Some(bound) = bound else { continue };
            if (compare(value, bound) == Some(ordering)) == forbidden {
                outcome = self.wrong(at.place, &format!("must be {words} {bound}"));
            }
        }
        if let Some(step) = &rules.multiple_of
            && !is_multiple(value, step)
        {
            outcome = self.wrong(at.place, &format!("must be a multiple of {step}"));
        }
        outcome
    }

    fn text(&mut self, rules: &TextRules, text: &str, at: At<'_>) -> Outcome {
        self.spend(text.len() / 8);
        let mut outcome = Right;
        if rules.min_chars > 0 || rules.max_chars.is_some() {
            let chars = text.chars().count() as u64;
            outcome = self.size(chars, rules.min_chars, rules.max_chars, "characters", at);
        }
        if let Some(format) = rules.format
            && !format.fits(text)
        {
            outcome = self.wrong(at.place, format.words());
        }
        if let Some(pattern) = &rules.pattern
            && !pattern.is_match(text)
        {
            outcome = self.wrong(at.place, "does not match the pattern of the schema");
        }
        outcome
    }

    fn size(&mut self, found: u64, min: u64, max: Option<u64>, what: &str, at: At<'_>) -> Outcome {
        if found < min {
            return self.wrong(at.place, &format!("must have at least {min} {what}"));
        }
        match max {
            Some(max) if found > max => {
                self.wrong(at.place, &format!("must have at most {max} {what}"))
            }
            _ => Right,
        }
    }

    fn list(&mut self, rules: &ListRules, list: &[Value], at: At<'_>) -> Outcome {
        let count = list.len() as u64;
        let mut outcome = self.size(count, rules.min_items, rules.max_items, "items", at);
        if rules.unique && !all_differ(list) {
            outcome = self.wrong(at.place, "must not have equal items");
        }
        for (index, item) in list.iter().enumerate() {
            if self.is_settled(outcome) {
                return outcome;
            }
            let Some(schema) = rules.first.get(index).copied().or(rules.items) else { break };
            let place = at.place.item(index);
            let inner = At { place: &place, above: None, depth: at.depth + 1 };
            outcome = outcome.and(self.value(schema, item, inner));
        }
        match rules.contains {
            Some(schema) => outcome.and(self.contains(rules, schema, list, at)),
            None => outcome,
        }
    }

    fn contains(
        &mut self,
        rules: &ListRules,
        schema: SchemaId,
        list: &[Value],
        at: At<'_>,
    ) -> Outcome {
        let (mut right, mut unknown) = (0_u64, 0_u64);
        for item in list {
            let inner = At { place: at.place, above: None, depth: at.depth + 1 };
            match self.attempt(schema, item, inner) {
                Right => right += 1,
                Unknown => unknown += 1,
                Wrong => {}
            }
        }
        if right + unknown < rules.min_contains || rules.max_contains.is_some_and(|max| right > max)
        {
            return self.wrong(at.place, "has too few or too many of the items it must contain");
        }
        if unknown > 0 { Unknown } else { Right }
    }

    fn map(
        &mut self,
        rules: &MapRules,
        schema: &Schema,
        map: &Map<String, Value>,
        whole: &Value,
        at: At<'_>,
    ) -> Outcome {
        self.spend(map.len() / 4);
        let count = map.len() as u64;
        let mut outcome = self.size(count, rules.min_members, rules.max_members, "members", at);
        let above = Above { schema, next: at.above };
        for name in &rules.required {
            if !map.contains_key(&**name) && !self.is_read_only(&above, name) {
                outcome = self.wrong(&at.place.member(name), "is required");
            }
        }
        for Dependent { name, needed } in &rules.dependent {
            let missing = needed.iter().find(|needed| !map.contains_key(&***needed));
            if let Some(missing) = missing.filter(|_| map.contains_key(&**name)) {
                let message = format!("is required beside {name}");
                outcome = self.wrong(&at.place.member(missing), &message);
            }
        }
        for (name, value) in map {
            if self.is_settled(outcome) {
                return outcome;
            }
            outcome = outcome.and(self.member(rules, name, value, at));
        }
        let inner = At { place: at.place, above: Some(&above), depth: at.depth + 1 };
        for (name, schema) in &rules.dependent_schemas {
            if map.contains_key(&**name) {
                outcome = outcome.and(self.value(*schema, whole, inner));
            }
        }
        outcome
    }

    /// Whether the whole that is looked at calls the member `readOnly`, in whichever part of it.
    fn is_read_only(&mut self, above: &Above<'_>, name: &str) -> bool {
        const MAX_PARTS_DEPTH: usize = 6;
        let mut current = Some(above);
        while let Some(above) = current {
            if self.has_read_only(above.schema, name, MAX_PARTS_DEPTH) {
                return true;
            }
            current = above.next;
        }
        false
    }

    fn has_read_only(&mut self, schema: &Schema, name: &str, depth: usize) -> bool {
        self.spend(1);
        let rules = schema.map.as_deref();
        if rules.and_then(|rules| rules.members.get(name)).is_some_and(|one| one.read_only) {
            return true;
        }
        if depth == 0 || self.steps_left == 0 {
            return false;
        }
        let schemas = self.schemas;
        let parts = schema.parts.iter().flat_map(|parts| &parts.all_of);
        for part in schema.reference.iter().chain(parts) {
            if self.has_read_only(&schemas[*part as usize], name, depth - 1) {
                return true;
            }
        }
        false
    }

    fn member(&mut self, rules: &MapRules, name: &str, value: &Value, at: At<'_>) -> Outcome {
        let place = at.place.member(name);
        let inner = At { place: &place, above: None, depth: at.depth + 1 };
        let mut outcome = Right;
        let mut is_known = false;
        if let Some(schema) = rules.names {
            outcome = self.attempt(schema, &Value::String(name.to_owned()), inner);
            if outcome == Wrong {
                self.wrong(&place, "is no name that is allowed here");
            }
        }
        if let Some(member) = rules.members.get(name) {
            if member.read_only {
                return outcome;
            }
            is_known = true;
            outcome = outcome.and(self.value(member.schema, value, inner));
        }
        for (pattern, schema) in &rules.patterns {
            self.spend(name.len() / 8 + 1);
            if pattern.is_match(name) {
                is_known = true;
                outcome = outcome.and(self.value(*schema, value, inner));
            }
        }
        match rules.others {
            Some(schema) if !is_known => outcome.and(self.value(schema, value, inner)),
            _ => outcome,
        }
    }

    fn parts(&mut self, parts: &Parts, value: &Value, at: At<'_>) -> Outcome {
        let mut outcome = Right;
        for part in &parts.all_of {
            outcome = outcome.and(self.value(*part, value, at));
            if self.is_settled(outcome) {
                return outcome;
            }
        }
        if let Some(schema) = parts.chosen(value) {
            outcome = outcome.and(self.value(schema, value, at));
        } else {
            outcome = outcome.and(self.alternatives(&parts.any_of, u64::MAX, value, at));
            outcome = outcome.and(self.alternatives(&parts.one_of, 1, value, at));
        }
        if let Some(schema) = parts.not {
            outcome = outcome.and(match self.attempt(schema, value, at) {
                Right => self.wrong(at.place, "fits a schema that it must not fit"),
                Unknown => Unknown,
                Wrong => Right,
            });
        }
        let Some((test, then, otherwise)) = parts.condition else { return outcome };
        let branch = match self.attempt(test, value, at) {
            Right => then,
            Wrong => otherwise,
            Unknown => return outcome.and(Unknown),
        };
        branch.map_or(outcome, |schema| outcome.and(self.value(schema, value, at)))
    }

    /// At least one must fit, and at most `most`.
    fn alternatives(&mut self, list: &[SchemaId], most: u64, value: &Value, at: At<'_>) -> Outcome {
        if let [only] = list {
            return self.value(*only, value, at);
        }
        let (mut right, mut unknown) = (0_u64, false);
        for schema in list {
            match self.attempt(*schema, value, at) {
                Right => right += 1,
                Unknown => unknown = true,
                Wrong => {}
            }
            if right > most {
                return self.wrong(at.place, "fits more than one of its alternatives");
            }
            if right == 1 && most > 1 {
                return Right;
            }
        }
        match (right, unknown) {
            (0, false) if !list.is_empty() => self.none_fits(list, value, at),
            (_, true) => Unknown,
            _ => Right,
        }
    }

    /// If only one alternative is of the value's type, what is wrong with it says more.
    fn none_fits(&mut self, list: &[SchemaId], value: &Value, at: At<'_>) -> Outcome {
        let of_its_type = |id: &&SchemaId| {
            let types = self.types(**id);
            types.is_empty() || is_of(value, types)
        };
        let mut likely = list.iter().filter(of_its_type);
        if let (Some(only), None) = (likely.next(), likely.next())
            && self.trying == 0
        {
            return self.value(*only, value, at);
        }
        self.wrong(at.place, &format!("fits none of its {} alternatives", list.len()))
    }
}

impl Parts {
    /// The alternative that the discriminator names.
    fn chosen(&self, value: &Value) -> Option<SchemaId> {
        let Discriminator { name, leads } = self.discriminator.as_ref()?;
        leads.get(value.as_object()?.get(&**name)?.as_str()?).copied()
    }
}
