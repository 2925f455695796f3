//! An answer on its way into the cache.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::entry::{DependsOn, Entry, header_bytes, kept_headers};
use super::{
    ENTRY_MAX_BYTES, Lines, REQUEST_HEADERS_MAX_BYTES, RequestView, control, date, joined,
};

/// Answers that may be kept if they say how long they are fresh.
const STATUSES: [u16; 7] = [200, 203, 204, 300, 301, 404, 410];
/// Request headers that are not remembered; an answer that depends on one of them is not kept.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Offer it the answer's head, push the body, and hand it to [`super::Cache::keep`] once the body is whole. Dropping
/// it keeps nothing, as is right for an answer that broke off.
#[derive(Debug)]
pub struct Ticket {
    key: Arc<str>,
    generation: u64,
    identified: bool,
    headers: Vec<(Box<str>, Box<[u8]>)>,
    taken: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    entry: Entry,
    body: BytesMut,
    room: usize,
}

impl Ticket {
    pub(super) fn new(key: Arc<str>, request: &RequestView<'_>, generation: u64) -> Option<Self> {
        let is_secret = |name: &str| SECRETS.iter().any(|one| name.eq_ignore_ascii_case(one));
        let mut headers: Vec<(Box<str>, Box<[u8]>)> = Vec::with_capacity(request.headers.len());
        let mut identified = request.identified;
        let mut bytes = 0;
        for (name, value) in request.headers {
            if is_secret(name) {
                identified = true;
                continue;
            }
            bytes += header_bytes(name, value);
            if bytes > REQUEST_HEADERS_MAX_BYTES {
                return None;
            }
            headers.push(((*name).into(), (*value).into()));
        }
        Some(Self { key, generation, identified, headers, taken: None })
    }

    /// Whether the answer may be kept; if so, its body is to be pushed. An answer with trailers must not be offered.
    pub fn offer(&mut self, status: u16, headers: Lines<'_>, now_secs: u64) -> bool {
        self.taken = self.take(status, headers, now_secs);
        self.taken.is_some()
    }

    /// False once the answer has grown too large; the ticket is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(taken) = &mut self.taken else { return false };
        let Some(room) = taken.room.checked_sub(bytes.len()) else {
            self.taken = None;
            return false;
        };
        taken.room = room;
        taken.body.extend_from_slice(bytes);
        true
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn into_entry(self) -> Option<(Arc<str>, Entry)> {
        let Taken { mut entry, body, .. } = self.taken?;
        entry.body = Bytes::copy_from_slice(&body);
        Some((self.key, entry))
    }

    fn take(&self, status: u16, headers: Lines<'_>, now_secs: u64) -> Option<Taken> {
        let sets_cookie = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        if !STATUSES.contains(&status) || sets_cookie {
            return None;
        }
        let lifetime_secs = control::lifetime_secs(headers, self.identified, now_secs)?;
        let entry = Entry {
            status,
            headers: kept_headers(headers),
            body: Bytes::new(),
            depends_on: self.depends_on(headers)?,
            lifetime_secs,
            kept_at_secs: now_secs,
            age_at_start_secs: age_at_start(headers, now_secs),
        };
        let length = joined(headers, "content-length");
        let length = length.and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok());
        let room = ENTRY_MAX_BYTES.checked_sub(entry.bytes())?;
        let fits = entry.is_fresh(now_secs) && length.is_none_or(|length: usize| length <= room);
        fits.then(|| Taken { entry, body: BytesMut::new(), room })
    }

    /// The request's values of what `Vary` names; `None` if it names everything, or what is not remembered.
    fn depends_on(&self, headers: Lines<'_>) -> Option<DependsOn> {
        let lines: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let vary = String::from_utf8(joined(headers, "vary").unwrap_or_default()).ok()?;
        let mut depends_on = DependsOn::new();
        for name in vary.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            if name == "*" || SECRETS.contains(&name.as_str()) {
                return None;
            }
            if !depends_on.iter().any(|(known, _)| **known == *name) {
                let value = joined(&lines, &name);
                depends_on.push((name.into(), value));
            }
        }
        Some(depends_on)
    }
}

/// What the answer was old when it came: as it says itself, or as its date shows.
fn age_at_start(headers: Lines<'_>, now_secs: u64) -> u64 {
    let said = joined(headers, "age");
    let said = said.and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok());
    let made = joined(headers, "date").and_then(|value| date::parse(&value));
    said.unwrap_or(0).max(made.map_or(0, |made| now_secs.saturating_sub(made)))
}
