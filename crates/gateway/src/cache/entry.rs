//! A kept answer.

use std::sync::Arc;

use super::control::{Freshness, made_at};
use super::room::Lease;
use super::{date, joined, named};
use crate::admit::UNITS_HEADER;
use crate::fields::Name;
use crate::upstream::head::{Framing, Head};

/// Fields that are told anew with each answer, or belong to one delivery, beside those that never pass.
const NOT_KEPT: &[&str] = &["age", "proxy-authentication-info", "set-cookie"];
/// Fields of a 304 (RFC 9110, 15.4.5).
const NOT_MODIFIED: &[&str] =
    &["cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary"];
/// What an entry takes beside its bytes, roughly.
const OVERHEAD_BYTES: usize = 512;
const FIELD_OVERHEAD_BYTES: usize = 48;

/// Names in lower case, with the request's value.
pub(super) type DependsOn = Vec<(Box<str>, Option<Vec<u8>>)>;

pub(crate) struct Entry {
    /// As the upstream sent it, without the fields of the connection and those of one delivery; what the call cost
    /// is there, and a date always.
    pub head: Head,
    body: Box<[u8]>,
    /// The request's values of the fields named by `Vary`.
    pub(super) depends_on: DependsOn,
    pub(super) lifetime_secs: u64,
    /// See [`Freshness`].
    for_all: bool,
    pub(super) kept_at_secs: u64,
    pub(super) age_at_start_secs: u64,
    /// Missing until the entry is whole.
    lease: Option<Lease>,
}

/// A kept answer's body on its way to a client.
pub(crate) struct Playback {
    entry: Arc<Entry>,
    at: usize,
}

impl Entry {
    pub(super) fn new(head: Head, depends_on: DependsOn, freshness: Freshness) -> Self {
        Self {
            head,
            body: Box::default(),
            depends_on,
            lifetime_secs: freshness.lifetime_secs,
            for_all: freshness.for_all,
            kept_at_secs: 0,
            age_at_start_secs: 0,
            lease: None,
        }
    }

    /// The body has come.
    pub(super) fn complete(&mut self, body: Vec<u8>, lease: Lease) {
        self.head.length = if self.head.status == 204 { None } else { Some(body.len() as u64) };
        self.head.framing = self.head.length.map_or(Framing::None, Framing::Length);
        self.body = body.into();
        self.lease = Some(lease);
    }

    /// The head of a 304.
    pub(crate) fn not_modified(&self) -> Head {
        let mut head = Head::of_status(304);
        for field in self.head.fields.iter() {
            if NOT_MODIFIED.iter().any(|one| field.name.eq_ignore_ascii_case(one.as_bytes())) {
                head.fields.push(field.name, field.value);
            }
        }
        head
    }

    pub(super) fn age_secs(&self, now_secs: u64) -> u64 {
        self.age_at_start_secs.saturating_add(now_secs.saturating_sub(self.kept_at_secs))
    }

    pub(super) fn is_fresh(&self, now_secs: u64) -> bool {
        self.age_secs(now_secs) < self.lifetime_secs
    }

    pub(super) fn is_for(&self, fields: &[u8], identified: bool) -> bool {
        let mut depends_on = self.depends_on.iter();
        (self.for_all || !identified)
            && depends_on.all(|(name, value)| joined(named(fields, name)) == *value)
    }

    /// Whether the request's conditions say that the client has this answer. `If-None-Match` decides alone.
    pub(super) fn is_known_to(&self, fields: &[u8]) -> bool {
        if self.head.status != 200 {
            return false;
        }
        let own = &self.head.fields;
        if let Some(tags) = joined(named(fields, "if-none-match")) {
            let tag = own.named("etag").next();
            return tags == b"*" || tag.is_some_and(|tag| names_tag(&tags, tag));
        }
        let Some(since) = joined(named(fields, "if-modified-since")) else { return false };
        let changed = match own.named("last-modified").next() {
            Some(changed) => date::parse(changed),
            None => made_at(own),
        };
        match (date::parse(&since), changed) {
            (Some(since), Some(changed)) => changed <= since,
            _ => false,
        }
    }

    /// What it takes without its body.
    pub(super) fn head_bytes(&self) -> usize {
        let fields = &self.head.fields;
        let depends = self.depends_on.iter().map(|(name, value)| {
            name.len() + value.as_ref().map_or(0, Vec::len) + FIELD_OVERHEAD_BYTES
        });
        OVERHEAD_BYTES
            + fields.bytes.capacity()
            + fields.iter().count() * FIELD_OVERHEAD_BYTES
            + depends.sum::<usize>()
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.lease.as_ref().map_or(0, Lease::bytes)
    }
}

impl Playback {
    /// `None` if there is no body.
    pub(crate) fn of(entry: &Arc<Entry>) -> Option<Self> {
        (!entry.body.is_empty()).then(|| Self { entry: entry.clone(), at: 0 })
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.entry.body[self.at..]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.at = self.entry.body.len().min(self.at + count);
    }
}

/// The head of an answer as it is kept.
pub(super) fn kept_head(head: &Head, date: &str) -> Head {
    let mut kept = Head::of_status(head.status);
    let is_kept =
        |name: &[u8]| !NOT_KEPT.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()));
    for field in head.passing().filter(|field| is_kept(field.name)) {
        kept.fields.push(field.name, field.value);
    }
    for units in head.fields.named(UNITS_HEADER) {
        kept.fields.push(UNITS_HEADER.as_bytes(), units);
    }
    if !kept.fields.has(Name::Date) {
        kept.fields.push(b"date", date.as_bytes());
    }
    kept
}

/// Weak comparison: `W/` says nothing. A tag may hold commas, so the list is walked by its quotes.
fn names_tag(list: &[u8], tag: &[u8]) -> bool {
    let tag = tag.trim_ascii();
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
