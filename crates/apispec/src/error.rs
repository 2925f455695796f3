//! Why a document was refused: a stable code, a sentence, and the place to look at.

use std::fmt;

use crate::limits;

/// A document that cannot be imported at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("the document has {found} bytes, the limit is {limit}", limit = limits::MAX_DOCUMENT_BYTES)]
    TooLarge { found: usize },
    #[error("the document is empty")]
    Empty,
    #[error("the document is not UTF-8")]
    NotUtf8 { place: Place },
    #[error("the document is not valid {format}: {message}")]
    Syntax { format: &'static str, message: String, place: Place },
    #[error("the document is too complex: {message}")]
    TooComplex { message: String, place: Place },
    #[error("this is no OpenAPI document: {message}")]
    NotOpenApi { message: String, place: Place },
    #[error("version {found} is not supported; supported are 2.0, 3.0, 3.1 and 3.2")]
    VersionUnsupported { found: String, place: Place },
}

/// Where in a document something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The document as a whole.
    #[default]
    Document,
    /// A line and a column, both from 1.
    Text { line: u64, column: u64 },
    /// A JSON pointer.
    Pointer(String),
}

impl SpecError {
    /// A name for this kind of refusal that scripts can rely on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "spec_too_large",
            Self::Empty => "spec_empty",
            Self::NotUtf8 { .. } => "spec_not_utf8",
            Self::Syntax { .. } => "spec_syntax",
            Self::TooComplex { .. } => "spec_too_complex",
            Self::NotOpenApi { .. } => "spec_not_openapi",
            Self::VersionUnsupported { .. } => "spec_version_unsupported",
        }
    }

    pub fn place(&self) -> Place {
        match self {
            Self::TooLarge { .. } | Self::Empty => Place::Document,
            Self::NotUtf8 { place }
            | Self::Syntax { place, .. }
            | Self::TooComplex { place, .. }
            | Self::NotOpenApi { place, .. }
            | Self::VersionUnsupported { place, .. } => place.clone(),
        }
    }
}

impl Place {
    /// The place of a byte in a text, for readers that count only bytes.
    pub(crate) fn of_byte(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut line = 1;
        for byte in before {
            line += u64::from(*byte == b'\n');
        }
        Self::Text { line, column: (before.len() - line_start) as u64 + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("document"),
            Self::Text { line, column } => write!(f, "{line}:{column}"),
            Self::Pointer(pointer) => f.write_str(pointer),
        }
    }
}
