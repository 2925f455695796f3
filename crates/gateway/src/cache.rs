//! Answers to GET, kept as their `Cache-Control` allows: a shared cache after RFC 9111.
//!
//! Only answers that say how long they are fresh are kept, and nothing stale is ever served. An answer made for one
//! caller is kept only if it says that others may see it: a request that tells the upstream who calls counts as one
//! with `Authorization`. A cached answer to a keyed call is still a call; limits, units and headers about them are
//! the caller's to add, as are `Age` ([`Hit::age_secs`]) and `X-Keytoll-Cache`.
//!
//! One cache serves all cores, so that a change that one core sees is a change for all. It is cut into parts with a
//! lock each, held for a look-up and never across an await.

mod control;
mod date;
mod entry;
mod part;
mod ticket;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::RequestControl;
pub use entry::Entry;
use part::Part;
pub use ticket::Ticket;

/// Largest answer that is kept, with its headers.
pub const ENTRY_MAX_BYTES: usize = 256 * 1024;
/// What a node keeps unless its configuration says otherwise.
pub const TOTAL_DEFAULT_BYTES: usize = 64 * 1024 * 1024;
/// Longest path and query that is kept.
pub const TARGET_MAX_BYTES: usize = 4 * 1024;
/// Most bytes of request headers that are remembered until the answer says which of them it depends on.
pub const REQUEST_HEADERS_MAX_BYTES: usize = 16 * 1024;
/// Answers of one target that differ by request headers; a further one takes the oldest one's place.
pub const VARIANTS_MAX: usize = 16;
const PARTS_MAX: usize = 16;
const PART_MIN_BYTES: usize = 16 * ENTRY_MAX_BYTES;

/// Header lines: names in any case, values as sent.
pub type Lines<'r> = &'r [(&'r str, &'r [u8])];

/// A request as it goes to the upstream, without the API key.
#[derive(Clone, Copy)]
pub struct RequestView<'r> {
    /// Names product, version and environment in one text.
    pub space: &'r str,
    pub method: &'r str,
    /// Path and query.
    pub target: &'r str,
    pub headers: Lines<'r>,
    /// The upstream is told who calls, by whatever header.
    pub identified: bool,
}

pub enum Lookup {
    Hit(Hit),
    /// Ask the upstream, and offer the ticket its answer.
    Miss(Option<Box<Ticket>>),
    /// The client wants an answer from here or none: 504.
    Refused,
}

pub struct Hit {
    pub entry: Arc<Entry>,
    pub age_secs: u64,
    /// The client has this answer already: 304 with [`Entry::not_modified_headers`].
    pub not_modified: bool,
}

pub struct Cache {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

impl Cache {
    pub fn new(total_bytes: usize) -> Self {
        let parts = (total_bytes / PART_MIN_BYTES).clamp(1, PARTS_MAX);
        let part = || Mutex::new(Part::new(total_bytes / parts));
        Self { parts: (0..parts).map(|_| part()).collect(), hasher: RandomState::new() }
    }

    /// Looks for a fresh answer. `now_secs` is Unix time.
    pub fn lookup(&self, request: &RequestView<'_>, now_secs: u64) -> Lookup {
        let is_get = request.method == "GET";
        if !(is_get || request.method == "HEAD") || request.target.len() > TARGET_MAX_BYTES {
            return Lookup::Miss(None);
        }
        let control = RequestControl::read(request.headers);
        if control.no_store || control.partial {
            return Lookup::Miss(None);
        }
        let key = key(request);
        let (found, generation) = {
            let mut part = self.part(&key);
            (part.find(&key, request.headers, now_secs), part.generation())
        };
        if let Some(entry) = found {
            let age_secs = entry.age_secs(now_secs);
            if control.takes(age_secs, entry.lifetime_secs()) {
                let not_modified = entry.is_known_to(request.headers);
                return Lookup::Hit(Hit { entry, age_secs, not_modified });
            }
        }
        if control.only_if_cached {
            return Lookup::Refused;
        }
        let ticket = is_get.then(|| Ticket::new(key, request, generation)).flatten();
        Lookup::Miss(ticket.map(Box::new))
    }

    /// Keeps a whole answer that a ticket has taken. Nothing happens if it was none, or if a change went by meanwhile.
    pub fn keep(&self, ticket: Ticket) {
        let generation = ticket.generation();
        let Some((key, entry)) = ticket.into_entry() else { return };
        let mut part = self.part(&key);
        if part.generation() == generation {
            part.put(key, entry);
        }
    }

    /// To be told of each answer to a request that may have changed something: what is kept of its target goes.
    pub fn answered(&self, request: &RequestView<'_>, status: u16) {
        let is_safe = matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        if !is_safe && (200..400).contains(&status) {
            let key = key(request);
            self.part(&key).forget(&key);
        }
    }

    /// Bytes that are kept at present, for a metric.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| lock(part).bytes()).sum()
    }

    fn part(&self, key: &str) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(key);
        let count = self.parts.len() as u64;
        let index = usize::try_from(hash % count).unwrap_or_default();
        lock(&self.parts[index])
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A space holds no NUL, so no two pairs give one key.
fn key(request: &RequestView<'_>) -> Arc<str> {
    [request.space, "\0", request.target].concat().into()
}

/// All lines of a name as one value.
fn joined(headers: Lines<'_>, name: &str) -> Option<Vec<u8>> {
    let mut joined: Option<Vec<u8>> = None;
    for (_, value) in headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
        let value = value.trim_ascii();
        match &mut joined {
            Some(before) => {
                before.extend_from_slice(b", ");
                before.extend_from_slice(value);
            }
            None => joined = Some(value.to_vec()),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
