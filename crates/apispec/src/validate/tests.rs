//! Good and bad requests in tables: one document per version of the specification.

mod bodies;
mod parameters;
mod patterns;

use crate::validate::{Body, RequestParts, Validators, Violation};
use crate::{Document, load};

/// A request as a table writes it.
#[derive(Clone, Copy)]
struct Given<'r> {
    operation: (&'r str, &'r str),
    /// Path and query.
    target: &'r str,
    headers: &'r [(&'r str, &'r str)],
    body: Option<&'r str>,
}

fn document(text: &str) -> Document {
    load(text.as_bytes(), None).expect("the document is imported")
}

fn validators(document: &Document) -> Validators {
    let pairs = document.operations.iter().map(|one| (one.method.as_str(), one.path.as_str()));
    Validators::compile(document, pairs)
}

fn check(document: &Document, given: Given<'_>) -> Result<(), Vec<Violation>> {
    let (method, path) = given.operation;
    let mut operations = document.operations.iter();
    let index = operations.position(|one| one.method == method && one.path == path);
    let (path, query) = match given.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (given.target, None),
    };
    let headers = |name: &str| {
        let found = given.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_bytes())
    };
    let body = given.body.map_or(Body::Absent, |body| Body::Whole(body.as_bytes()));
    let request = RequestParts { path, query, headers: &headers, body };
    validators(document).check(index.expect("the operation exists"), &request)
}

/// Violations as `location: message`, the messages cut to what a table needs.
fn found(result: Result<(), Vec<Violation>>) -> Vec<String> {
    let violations = result.err().unwrap_or_default();
    violations.iter().map(|one| format!("{}: {}", one.location, one.message)).collect()
}

/// An empty expectation is a good request; else some violation must begin with it.
fn expect(what: &str, found: &[String], expected: &str) {
    let fits = if expected.is_empty() {
        found.is_empty()
    } else {
        found.iter().any(|one| one.starts_with(expected))
    };
    assert!(fits, "{what}: expected {expected:?}, found {found:?}");
}
