//! `OpenAPI` documents as data: a lenient importer, operations, samples, a path matcher and
//! the validation of requests.
//!
//! [`load`] reads Swagger 2.0 and `OpenAPI` 3.0, 3.1 and 3.2, in JSON or YAML, into a [`Document`]
//! of [`Operation`]s in document order. Real documents are rarely valid, so whatever is unknown or
//! wrong becomes a [`Diagnostic`] with a JSON pointer; only a document that cannot be understood at
//! all is refused, with a [`SpecError`].
//!
//! Invariant: a hostile document costs bounded time and memory. Every bound is a constant in
//! [`limits`]. This crate does no input or output of its own: files that a document refers to are
//! asked of the caller's [`Loader`].

mod check;
mod diff;
mod error;
mod import;
pub mod limits;
mod matcher;
mod model;
mod parse;
mod pointer;
pub mod sample;
mod tree;
mod validate;

#[cfg(test)]
mod tests;

pub use diff::{Change, diff};
pub use error::{Place, SpecError};
pub use matcher::{Conflict, Match, OperationMatcher};
pub use model::{
    CheckSummary, Diagnostic, Document, Operation, Parameter, ParameterLocation, RequestBody,
    Response, SchemeScope, SecurityRequirement, SecurityScheme, scopes,
};
pub use tree::Tree;
pub use validate::{Body, BodyNeeded, RequestParts, Validators, Violation};

/// Answers the bytes of a file, named by its normalised path relative to the root folder.
///
/// The name has no leading slash, no `.` or `..` part and no scheme. The message of an error is
/// shown in a diagnostic, so it must not hold secrets.
pub type Loader<'a> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'a;

/// Loads a document that stands alone or whose references stay below its own folder.
pub fn load(bytes: &[u8], loader: Option<&Loader<'_>>) -> Result<Document, SpecError> {
    load_named("", bytes, loader)
}

/// Loads a document that lies at `name` below the root folder, such as `spec/openapi.yaml`.
///
/// References are resolved against the folder of `name`; none may leave the root folder.
pub fn load_named(
    name: &str,
    bytes: &[u8],
    loader: Option<&Loader<'_>>,
) -> Result<Document, SpecError> {
    let parsed = parse::parse(bytes)?;
    let version = import::version(&parsed.value)?;
    let mut notes = model::Notes::default();
    for pointer in parsed.duplicates {
        notes.add(&pointer, "this name occurs twice; the last one is used");
    }
    let tree = Tree::build(name, parsed.value, bytes.len(), loader, &mut notes);
    import::import(tree, version, notes)
}
