//! What an imported document is to the rest of the program.
//!
//! Everything is in document order, so the same document always gives the same model. Schemas are
//! kept as written: their `$ref`s are canonical and are resolved with [`Document::resolve`] when
//! somebody looks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::MAX_DIAGNOSTICS;
use crate::pointer;
use crate::sample;
use crate::tree::Tree;

/// An imported document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    pub title: String,
    pub version: String,
    /// The version of the specification it is written in, such as `3.1.0` or `2.0`.
    pub openapi: String,
    pub description: String,
    pub operations: Vec<Operation>,
    pub security_schemes: Vec<SecurityScheme>,
    pub diagnostics: Vec<Diagnostic>,
    #[serde(skip)]
    pub tree: Tree,
}

/// Something the importer did not understand, or understood in its own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// A JSON pointer; in another file it is led by the file's path and `#`.
    pub pointer: String,
    pub message: String,
}

/// One method of one path template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Upper-case, such as `GET`.
    pub method: String,
    /// The template as it stands in the document's `paths`.
    pub path: String,
    pub operation_id: Option<String>,
    pub summary: String,
    pub description: String,
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// Those of the path first, as far as the operation does not replace them.
    pub parameters: Vec<Parameter>,
    pub request_body: Option<RequestBody>,
    pub responses: Vec<Response>,
    /// Alternatives, one of which must be met whole; `None` if neither the operation nor the
    /// document asks for any. An empty list of the operation counts as absent.
    pub security: Option<Vec<Vec<SecurityRequirement>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "in")]
    pub location: ParameterLocation,
    pub required: bool,
    /// The schema's type, `string` if it has none; several are joined by `|`.
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub example: Option<Value>,
    /// Whether `example` was made up from the schema rather than written in the document.
    pub example_generated: bool,
    pub schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterLocation {
    Query,
    Path,
    Header,
    Cookie,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestBody {
    pub required: bool,
    pub description: String,
    /// The first that the document offers.
    pub content_type: String,
    pub schema: Value,
    pub example: Value,
    pub example_generated: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// `200`, `4XX` or `default`.
    pub status: String,
    pub description: String,
    pub content_type: Option<String>,
    pub schema: Option<Value>,
    /// Written in the document, or generated for the first success; others are made on demand with
    /// [`Document::sample`].
    pub example: Option<Value>,
    pub example_generated: bool,
}

/// One scheme that must be met, and what it must allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityRequirement {
    pub scheme: String,
    pub scopes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityScheme {
    pub name: String,
    /// `apiKey`, `http`, `oauth2`, `openIdConnect`, `mutualTLS`, or `basic` in Swagger 2.0.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of an `apiKey`: `header`, `query` or `cookie`.
    #[serde(rename = "in")]
    pub location: Option<String>,
    /// Of an `apiKey`: the name of the header, parameter or cookie.
    pub parameter: Option<String>,
    /// Of `http`: `bearer`, `basic` and so on.
    pub scheme: Option<String>,
    pub description: String,
    /// Of `oauth2`: the scopes of all flows, each once.
    pub scopes: Vec<SchemeScope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemeScope {
    pub name: String,
    pub description: String,
}

/// What `spec check` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckSummary {
    pub title: String,
    pub version: String,
    pub openapi: String,
    pub operations: usize,
    pub diagnostics: Vec<Diagnostic>,
}

impl Document {
    pub fn check_summary(&self) -> CheckSummary {
        CheckSummary {
            title: self.title.clone(),
            version: self.version.clone(),
            openapi: self.openapi.clone(),
            operations: self.operations.len(),
            diagnostics: self.diagnostics.clone(),
        }
    }

    /// The document's `components`, or the whole document in Swagger 2.0, which has none.
    pub fn components(&self) -> &Value {
        let root = self.tree.root();
        root.get("components").unwrap_or(root)
    }

    /// The value that a `$ref` of this document names.
    pub fn resolve(&self, reference: &str) -> Option<&Value> {
        self.tree.resolve(reference)
    }

    /// A value that the schema allows, for showing.
    pub fn sample(&self, schema: &Value, audience: sample::Audience) -> Value {
        sample::value(schema, &self.tree, audience)
    }
}

/// The alternatives of scopes that an operation's `security` asks for; empty if it asks for none.
///
/// One alternative must be held whole. Requirements without scopes, such as a plain API key, count
/// as absent: they say how to sign in, not what is allowed.
pub fn scopes(operation: &Operation) -> Vec<Vec<String>> {
    let mut alternatives: Vec<Vec<String>> = Vec::new();
    for requirements in operation.security.iter().flatten() {
        let mut needed: Vec<String> = Vec::new();
        for scope in requirements.iter().flat_map(|requirement| &requirement.scopes) {
            if !needed.contains(scope) {
                needed.push(scope.clone());
            }
        }
        if !needed.is_empty() && !alternatives.contains(&needed) {
            alternatives.push(needed);
        }
    }
    alternatives
}

/// Diagnostics as they are gathered, bounded.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    kept: Vec<Diagnostic>,
    dropped: usize,
}

impl Notes {
    pub(crate) fn add(&mut self, pointer: &str, message: &str) {
        if self.kept.len() >= MAX_DIAGNOSTICS {
            self.dropped += 1;
            return;
        }
        let message = message.chars().take(400).collect();
        self.kept.push(Diagnostic { pointer: pointer::clip(pointer), message });
    }

    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.dropped > 0 {
            let message = format!("{} further diagnostics were left out", self.dropped);
            self.kept.push(Diagnostic { pointer: String::new(), message });
        }
        self.kept
    }
}
