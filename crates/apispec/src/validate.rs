//! Requests against the operations of a document.
//!
//! [`Validators::compile`] reads what the operations say about path, query, header fields and body,
//! once; [`Validators::check`] then looks at one request. Undocumented query parameters, header fields
//! and cookies are no violation; an undocumented content type is. Members that are `readOnly` need
//! not be sent and are not looked at; `format` describes, but for `uuid`, `date` and `date-time`.
//!
//! Invariants: a request costs bounded time whatever the document says; what cannot be checked (a
//! pattern that looks around, a reference that leads nowhere, `unevaluatedProperties`) is told by
//! [`Validators::diagnostics`] and never a violation; a violation never repeats a value.

mod body;
mod check;
mod compare;
mod compile;
mod format;
mod look;
mod operation;
mod parameter;
mod pattern;
mod query;
mod schema;
mod template;
mod violation;

use body::BodyRules;
use check::Checker;
use compile::{Compiler, Dialect};
use parameter::Parameter;
use query::Query;
use schema::Schema;
use template::Template;
use violation::Place;
pub use violation::Violation;

use crate::limits::MAX_VALIDATED_BODY_BYTES;
use crate::model::{Diagnostic, Document, Notes};

/// The compiled checks of a list of operations.
#[derive(Debug, Default)]
pub struct Validators {
    schemas: Vec<Schema>,
    /// `None` for an operation that the document does not have: all its requests are right.
    operations: Vec<Option<Rules>>,
    diagnostics: Vec<Diagnostic>,
}

/// What one operation asks of a request.
#[derive(Debug)]
struct Rules {
    template: Template,
    path: Vec<Parameter>,
    query: Vec<Parameter>,
    header: Vec<Parameter>,
    body: Option<BodyRules>,
}

/// A request as the client sent it, with its key still in it: a document may name the key's header
/// field as a required parameter.
pub struct RequestParts<'r> {
    /// As in the document's `paths`, still percent-encoded.
    pub path: &'r str,
    /// Behind the question mark.
    pub query: Option<&'r str>,
    /// The first field line of a name; names are asked for in lower case.
    pub headers: &'r dyn Fn(&str) -> Option<&'r [u8]>,
    pub body: Body<'r>,
}

#[derive(Debug, Clone, Copy)]
pub enum Body<'r> {
    Absent,
    /// There is one, but its content is not looked at.
    Unread,
    Whole(&'r [u8]),
}

/// Whether [`Validators::check`] wants to see the whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeeded {
    No,
    /// Collect it if it is not longer than this; else hand over [`Body::Unread`] or refuse it.
    Yes {
        max_bytes: usize,
    },
}

impl Validators {
    /// Compiles the checks for `(method, path template)` pairs, in their order.
    pub fn compile<'o>(
        document: &Document,
        operations: impl IntoIterator<Item = (&'o str, &'o str)>,
    ) -> Self {
        let swagger2 = document.tree.root().get("openapi").is_none();
        let old = swagger2 || document.openapi.starts_with("3.0") || document.openapi == "3";
        let dialect = if old { Dialect::Old } else { Dialect::New };
        let mut notes = Notes::default();
        let mut compiler = Compiler::new(&document.tree, dialect);
        let mut all = Vec::new();
        for (method, path) in operations {
            let found = operation::find(&document.tree, method, path);
            let Some(found) = found else {
                let pointer = operation::pointer(method, path);
                notes.add(
                    &pointer,
                    "the document has no such operation; its requests are not checked",
                );
                all.push(None);
                continue;
            };
            let reader = operation::Reader { tree: &document.tree, swagger2, found };
            let rules = reader.rules(path, &mut compiler);
            compiler.finish(&operation::pointer(method, path), &mut notes);
            all.push(Some(rules));
        }
        let schemas = compiler.schemas;
        Self { schemas, operations: all, diagnostics: notes.finish() }
    }

    /// What is not checked, and why.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Asked at the head of a request. `index` is the operation's position in the compiled list.
    pub fn body_needed(&self, index: usize, content_type: Option<&[u8]>) -> BodyNeeded {
        let body = self.rules(index).and_then(|rules| rules.body.as_ref());
        match body.and_then(|body| body.schema_for(content_type)) {
            Some(_) => BodyNeeded::Yes { max_bytes: MAX_VALIDATED_BODY_BYTES },
            None => BodyNeeded::No,
        }
    }

    /// Tells what is wrong with a request, at most [`crate::limits::MAX_VIOLATIONS`] things.
    pub fn check(&self, index: usize, request: &RequestParts<'_>) -> Result<(), Vec<Violation>> {
        let Some(rules) = self.rules(index) else { return Ok(()) };
        let mut checker = Checker::new(&self.schemas);
        for parameter in &rules.path {
            let value = rules.template.value(&parameter.name, request.path);
            parameter.check_path(value.as_deref(), &mut checker);
        }
        if !rules.query.is_empty() {
            match Query::read(request.query.unwrap_or_default()) {
                Some(query) => {
                    for parameter in &rules.query {
                        parameter.check_query(&query, &mut checker);
                    }
                }
                None => checker.violations.add(&Place::root("query"), "has too many parameters"),
            }
        }
        for parameter in &rules.header {
            let value = (request.headers)(&parameter.name);
            let value = value.map(String::from_utf8_lossy);
            parameter.check_header(value.as_deref(), &mut checker);
        }
        if let Some(body) = &rules.body {
            body.check(request, &mut checker);
        }
        if checker.is_exhausted() {
            checker.violations.add(&Place::root("body"), "takes too long to check");
        }
        checker.violations.into_result()
    }

    fn rules(&self, index: usize) -> Option<&Rules> {
        self.operations.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod tests;
