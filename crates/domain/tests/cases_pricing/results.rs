//! What a case came to, and how that is compared with what it expects.

use std::collections::BTreeMap;

use keytoll_domain::money::{Currency, Minor};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::members::decimal;

pub(crate) type Results = BTreeMap<String, Found>;

#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// Major units: exact, and after the rounding of lines.
    Amount {
        exact: Decimal,
        rounded: Decimal,
        places: u32,
    },
    Number(Decimal),
    Text(String),
    /// Lines, or other things in order.
    List(Vec<Found>),
    Members(Results),
    /// A name with an amount, as plan changes are told.
    Pair(String, Box<Found>),
}

pub(crate) fn amount(exact: Decimal, minor: Minor, currency: Currency) -> Found {
    Found::Amount { exact, rounded: minor.to_major(currency), places: currency.exponent() }
}

/// An amount that has been rounded already.
pub(crate) fn minor(minor: Minor, currency: Currency) -> Found {
    amount(minor.to_major(currency), minor, currency)
}

pub(crate) fn cents(minor: Minor) -> Found {
    Found::Number(Decimal::from(minor.0))
}

pub(crate) fn put(results: &mut Results, name: &str, found: Found) {
    results.insert(name.to_owned(), found);
}

/// Puts an amount under `name` and its minor units under `name_cents`.
pub(crate) fn put_amount(results: &mut Results, name: &str, value: Minor, currency: Currency) {
    put(results, name, minor(value, currency));
    put(results, &format!("{name}_cents"), cents(value));
}

/// One text for each expected member that was not met.
pub(crate) fn differences(results: &Results, expected: &Map<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, value) in expected.iter().filter(|(name, _)| *name != "error") {
        match results.get(name) {
            None => wrong.push(format!("{name}: expected {value}, but there is no such result")),
            Some(found) if found.is(value) => {}
            Some(found) => wrong.push(format!("{name}: expected {value}, got {found:?}")),
        }
    }
    wrong
}

impl Found {
    fn is(&self, expected: &Value) -> bool {
        match self {
            Self::Amount { exact, rounded, places } => decimal(expected).is_ok_and(|expected| {
                let told_exactly = expected.normalize().scale() > *places;
                expected == if told_exactly { *exact } else { *rounded }
            }),
            Self::Number(number) => decimal(expected).is_ok_and(|expected| expected == *number),
            Self::Text(text) => expected.as_str() == Some(text),
            Self::List(items) => expected.as_array().is_some_and(|expected| {
                let same = |(item, expected): (&Self, &Value)| item.is(expected);
                items.len() == expected.len() && items.iter().zip(expected).all(same)
            }),
            Self::Members(members) => expected
                .as_object()
                .is_some_and(|expected| differences(members, expected).is_empty()),
            Self::Pair(name, found) => expected.as_array().is_some_and(|pair| {
                pair.len() == 2 && pair[0].as_str() == Some(name) && found.is(&pair[1])
            }),
        }
    }
}
