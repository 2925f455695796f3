//! What is wrong with something that a person wrote, and where: the entries of a 422 answer and of a failed `apply`.

use std::fmt;

use serde::Serialize;

/// One mistake and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A JSON pointer into the text, such as `/plans/1/operations/0`; empty for the text as a whole.
    pub pointer: String,
    /// Where the entry begins, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub message: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { pointer: pointer.into(), line: None, message: message.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// Where an entry of a text begins; faults are gathered below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub pointer: String,
    pub line: Option<u64>,
}

impl Place {
    pub fn fault(&self, below: &str, message: impl fmt::Display) -> Fault {
        let pointer = format!("{}{below}", self.pointer);
        Fault { pointer, line: self.line, message: message.to_string() }
    }
}

/// A member's name as a part of a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
