//! What is wrong with a request, and where.

use serde::Serialize;

use crate::limits::{MAX_VIOLATION_CHARS, MAX_VIOLATION_NAME_CHARS, MAX_VIOLATIONS};
use crate::pointer;

/// Something in a request that its operation does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// `path/id`, `query/limit`, `header/X-Trace`, `body`, or a JSON pointer such as `body#/a/0/b`.
    pub location: String,
    /// What is expected there; never the value that was found.
    pub message: String,
}

/// Violations as they are gathered, bounded.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<Violation>);

/// A place within a request, linked outwards so that going deeper costs nothing.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    step: Step<'a>,
    outer: Option<&'a Place<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root(&'a str),
    Member(&'a str),
    Item(usize),
}

impl Violations {
    pub(super) fn add(&mut self, place: &Place<'_>, message: &str) {
        if self.is_full() {
            return;
        }
        let violation = Violation { location: place.text(), message: clip(message) };
        if !self.0.contains(&violation) {
            self.0.push(violation);
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.0.len() >= MAX_VIOLATIONS
    }

    pub(super) fn into_result(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

impl Place<'_> {
    pub(super) const fn root(name: &str) -> Place<'_> {
        Place { step: Step::Root(name), outer: None }
    }

    pub(super) const fn member<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place { step: Step::Member(name), outer: Some(self) }
    }

    pub(super) const fn item(&self, index: usize) -> Place<'_> {
        Place { step: Step::Item(index), outer: Some(self) }
    }

    /// Names that the client chose are cut; the number of steps is bounded by the depth of schemas.
    fn text(&self) -> String {
        let mut steps = Vec::new();
        let mut root = "";
        let mut current = Some(self);
        while let Some(place) = current {
            match place.step {
                Step::Root(name) => root = name,
                step => steps.push(step),
            }
            current = place.outer;
        }
        let mut text = root.to_owned();
        if !steps.is_empty() {
            text.push('#');
        }
        for step in steps.into_iter().rev() {
            match step {
                Step::Member(name) => {
                    let name: String = name.chars().take(MAX_VIOLATION_NAME_CHARS).collect();
                    pointer::push(&mut text, &name);
                }
                Step::Item(index) => pointer::push(&mut text, &index.to_string()),
                Step::Root(_) => {}
            }
        }
        text
    }
}

fn clip(message: &str) -> String {
    if message.chars().count() <= MAX_VIOLATION_CHARS {
        return message.to_owned();
    }
    message.chars().take(MAX_VIOLATION_CHARS).chain(['…']).collect()
}
