//! A kept answer.

use bytes::Bytes;

use super::{Lines, date, joined};

/// Headers that belong to one connection or one delivery, and those that are told anew with each.
const NOT_KEPT: &[&str] = &[
    "age",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];
/// Headers of a 304 (RFC 9110, 15.4.5).
const NOT_MODIFIED: &[&str] =
    &["cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary"];
/// What an entry takes beside its bytes, roughly.
const OVERHEAD_BYTES: usize = 512;
const HEADER_OVERHEAD_BYTES: usize = 48;

/// Names in lower case, with the request's value.
pub(super) type DependsOn = Vec<(Box<str>, Option<Vec<u8>>)>;

#[derive(Debug)]
pub struct Entry {
    pub status: u16,
    /// As the upstream sent them, without those of the connection.
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    pub body: Bytes,
    /// The request's values of the headers named by `Vary`.
    pub(super) depends_on: DependsOn,
    pub(super) lifetime_secs: u64,
    pub(super) kept_at_secs: u64,
    pub(super) age_at_start_secs: u64,
}

impl Entry {
    /// What belongs into a 304.
    pub fn not_modified_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        headers.filter(|(name, _)| NOT_MODIFIED.iter().any(|one| name.eq_ignore_ascii_case(one)))
    }

    pub(super) fn lifetime_secs(&self) -> u64 {
        self.lifetime_secs
    }

    pub(super) fn age_secs(&self, now_secs: u64) -> u64 {
        self.age_at_start_secs.saturating_add(now_secs.saturating_sub(self.kept_at_secs))
    }

    pub(super) fn is_fresh(&self, now_secs: u64) -> bool {
        self.age_secs(now_secs) < self.lifetime_secs
    }

    pub(super) fn is_for(&self, headers: Lines<'_>) -> bool {
        self.depends_on.iter().all(|(name, value)| joined(headers, name) == *value)
    }

    /// Whether the request's conditions say that the client has this answer. `If-None-Match` decides alone.
    pub(super) fn is_known_to(&self, headers: Lines<'_>) -> bool {
        if self.status != 200 {
            return false;
        }
        let own = |wanted: &str| {
            let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim_ascii())
        };
        if let Some(tags) = joined(headers, "if-none-match") {
            return own("etag").is_some_and(|tag| names_tag(&tags, tag)) || tags == b"*";
        }
        let Some(since) = joined(headers, "if-modified-since") else { return false };
        let Some(changed) = own("last-modified") else { return false };
        match (date::parse(&since), date::parse(changed)) {
            (Some(since), Some(changed)) => changed <= since,
            _ => false,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let depends = self.depends_on.iter();
        OVERHEAD_BYTES
            + self.body.len()
            + self.headers.iter().map(|(name, value)| header_bytes(name, value)).sum::<usize>()
            + depends
                .map(|(name, value)| header_bytes(name, value.as_deref().unwrap_or_default()))
                .sum::<usize>()
    }
}

pub(super) fn header_bytes(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + HEADER_OVERHEAD_BYTES
}

/// The headers of an answer that are kept: none that `Connection` names.
pub(super) fn kept_headers(headers: Lines<'_>) -> Vec<(Box<str>, Box<[u8]>)> {
    let connection = joined(headers, "connection").unwrap_or_default();
    let named = |name: &str| {
        let mut tokens = connection.split(|byte| *byte == b',');
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let kept = headers.iter().filter(|(name, _)| {
        !NOT_KEPT.iter().any(|one| name.eq_ignore_ascii_case(one)) && !named(name)
    });
    kept.map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// Weak comparison: `W/` says nothing. A tag may hold commas, so the list is walked by its quotes.
fn names_tag(list: &[u8], tag: &[u8]) -> bool {
    let opaque = tag.strip_prefix(b"W/").unwrap_or(tag);
    let mut rest = list;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let Some(length) = rest[start + 1..].iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let end = start + length + 2;
        if &rest[start..end] == opaque {
            return true;
        }
        rest = &rest[end..];
    }
    false
}
