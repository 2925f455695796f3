//! Request bodies: whether there is one, of which type, and JSON against its schema.
//!
//! A name that stands twice in a map is a violation: the upstream might read the other one.

use super::check::Checker;
use super::schema::SchemaId;
use super::violation::Place;
use super::{Body, RequestParts};
use crate::limits::MAX_VALIDATED_BODY_BYTES;
use crate::parse;

#[derive(Debug)]
pub(super) struct BodyRules {
    pub(super) required: bool,
    /// None: any content type.
    pub(super) media: Vec<Media>,
}

#[derive(Debug)]
pub(super) struct Media {
    /// In lower case without parameters; `*/*` and `text/*` are ranges.
    pub(super) range: String,
    pub(super) schema: Option<SchemaId>,
}

impl BodyRules {
    /// The schema that a body of this type is checked against.
    pub(super) fn schema_for(&self, content_type: Option<&[u8]>) -> Option<SchemaId> {
        let kind = essence(std::str::from_utf8(content_type?).ok()?);
        if !is_json(&kind) {
            return None;
        }
        self.media_for(&kind)?.schema
    }

    /// The most specific range that the type lies in.
    fn media_for(&self, kind: &str) -> Option<&Media> {
        let group = kind.split('/').next().unwrap_or_default();
        let in_group = |range: &str| range.strip_suffix("/*") == Some(group);
        let find = |fits: &dyn Fn(&str) -> bool| self.media.iter().find(|one| fits(&one.range));
        find(&|range| range == kind)
            .or_else(|| find(&in_group))
            .or_else(|| find(&|range| range == "*/*"))
    }

    pub(super) fn check(&self, request: &RequestParts<'_>, checker: &mut Checker<'_>) {
        let bytes = match request.body {
            Body::Absent | Body::Whole([]) => {
                if self.required {
                    checker.violations.add(&Place::root("body"), "is required");
                }
                return;
            }
            Body::Unread => None,
            Body::Whole(bytes) => Some(bytes),
        };
        let content_type = (request.headers)("content-type");
        if !self.check_type(content_type, checker) {
            return;
        }
        let Some(schema) = self.schema_for(content_type) else { return };
        let coding = (request.headers)("content-encoding");
        if coding.is_some_and(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
            let place = Place::root("header/content-encoding");
            return checker.violations.add(&place, "keeps the body from being checked");
        }
        if let Some(bytes) = bytes {
            check_json(schema, bytes, checker);
        }
    }

    fn check_type(&self, content_type: Option<&[u8]>, checker: &mut Checker<'_>) -> bool {
        if self.media.is_empty() {
            return true;
        }
        let kind = content_type.map(|kind| essence(&String::from_utf8_lossy(kind)));
        let found = match &kind {
            Some(kind) => self.media_for(kind),
            None => self.media.iter().find(|one| one.range == "*/*"),
        };
        if found.is_some() {
            return true;
        }
        let known: Vec<&str> = self.media.iter().take(8).map(|one| one.range.as_str()).collect();
        let message = format!("must be {}", known.join(" or "));
        checker.violations.add(&Place::root("header/content-type"), &message);
        false
    }
}

fn check_json(schema: SchemaId, bytes: &[u8], checker: &mut Checker<'_>) {
    let place = Place::root("body");
    if bytes.len() > MAX_VALIDATED_BODY_BYTES {
        return checker.violations.add(&place, "is too long to be checked");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return checker.violations.add(&place, "is not UTF-8");
    };
    match parse::parse_json(text) {
        Ok(parsed) if parsed.duplicates.is_empty() => checker.check(schema, &parsed.value, &place),
        Ok(_) => checker.violations.add(&place, "has a map in which a name stands twice"),
        Err(error) => {
            let message = format!("is not JSON that can be read: {}", error.place());
            checker.violations.add(&place, &message);
        }
    }
}

/// A content type in lower case without its parameters.
pub(super) fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn is_json(kind: &str) -> bool {
    let kind = essence(kind);
    matches!(kind.as_str(), "application/json" | "text/json") || kind.ends_with("+json")
}
