//! Answers to GET, kept as their `Cache-Control` allows: a shared cache after RFC 9111.
//!
//! Only answers that say how long they are fresh are kept, and nothing stale is ever served. An answer made for one
//! caller is kept, and given to one that is known, only if it says that all may see it. A request with a key counts
//! as such, because its upstream is told who calls. A call that is answered from here is a call like any other:
//! limits, units and whatever else belongs to one call are the caller's to add.
//!
//! One cache serves all cores, so that a change that one core sees is a change for all. It is cut into parts with a
//! lock each, held for a look-up and never across an await. Everything that is kept, is on its way in, or is still
//! being read by a slow client after it was thrown out, counts against one bound ([`room`]).

mod control;
mod date;
mod entry;
mod part;
mod room;
mod ticket;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::RequestControl;
pub(crate) use entry::{Entry, Playback};
use part::Part;
use room::Room;
pub(crate) use ticket::{Taking, Ticket, secs};

/// Largest answer that is kept, with its fields.
pub(crate) const ENTRY_MAX_BYTES: usize = 256 * 1024;
/// What a node spends on answers. Three quarters of it hold those that are kept; the rest is for those that are on
/// their way in, and for those that are still read after they were thrown out.
pub(crate) const TOTAL_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Longest path and query that is kept.
const TARGET_MAX_BYTES: usize = 4 * 1024;
/// Answers of one target that differ by request fields; a further one takes the longest unused one's place.
const VARIANTS_MAX: usize = 16;
const PARTS_MAX: usize = 16;
const PART_MIN_BYTES: usize = 16 * ENTRY_MAX_BYTES;

/// A request as it goes to the upstream, without the API key.
#[derive(Clone, Copy)]
pub(crate) struct RequestView<'r> {
    /// Names product, version and environment in one text, which ends with a NUL.
    pub space: &'r str,
    pub method: &'r str,
    pub path: &'r str,
    /// Empty if there is none.
    pub query: &'r str,
    /// Lines of the form `name: value`.
    pub fields: &'r [u8],
    /// The upstream is told who calls.
    pub identified: bool,
    pub now_secs: u64,
}

pub(crate) enum Lookup {
    Hit(Hit),
    /// Ask the upstream, and offer the ticket its answer.
    Miss(Option<Box<Ticket>>),
    /// The call has nothing to do with the cache.
    Bypass,
    /// The client wants an answer from here or none: 504.
    Refused,
}

pub(crate) struct Hit {
    pub entry: Arc<Entry>,
    pub age_secs: u64,
    /// The client has this answer already: 304 with [`Entry::not_modified`].
    pub not_modified: bool,
}

pub(crate) struct Cache {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
    room: Arc<Room>,
}

/// Where a key belongs.
#[derive(Clone, Copy)]
struct Spot {
    part: usize,
    hash: u64,
}

impl Cache {
    pub(crate) fn new(total_bytes: usize) -> Self {
        let kept_bytes = total_bytes / 4 * 3;
        let parts = (kept_bytes / PART_MIN_BYTES).clamp(1, PARTS_MAX);
        let part = || Mutex::new(Part::new(kept_bytes / parts));
        Self {
            parts: (0..parts).map(|_| part()).collect(),
            hasher: RandomState::new(),
            room: Arc::new(Room::new(total_bytes)),
        }
    }

    /// Looks for a fresh answer.
    pub(crate) fn lookup(self: &Arc<Self>, request: &RequestView<'_>) -> Lookup {
        let is_get = request.method == "GET";
        let length = request.path.len() + request.query.len();
        if !(is_get || request.method == "HEAD") || length > TARGET_MAX_BYTES {
            return Lookup::Bypass;
        }
        let control = RequestControl::read(request.fields);
        if control.no_store || control.partial {
            return Lookup::Bypass;
        }
        let identified = request.identified || identifies(request.fields);
        let key = key(request);
        let spot = self.spot(&key);
        let (found, generation) = {
            let mut part = self.part(spot);
            let found = part.find(&key, request.fields, identified, request.now_secs);
            (found, part.generation(spot.hash))
        };
        if let Some(entry) = found {
            let age_secs = entry.age_secs(request.now_secs);
            if control.takes(age_secs, entry.lifetime_secs) {
                let not_modified = entry.is_known_to(request.fields);
                return Lookup::Hit(Hit { entry, age_secs, not_modified });
            }
        }
        if control.only_if_cached {
            return Lookup::Refused;
        }
        let ticket = is_get.then(|| {
            let fields = request.fields.into();
            let asked_at_secs = request.now_secs;
            let cache = self.clone();
            Box::new(Ticket { cache, key, spot, generation, identified, fields, asked_at_secs })
        });
        Lookup::Miss(ticket)
    }

    /// To be told of each answer to a request that may have changed something: what is kept of its target goes.
    pub(crate) fn answered(
        &self,
        space: &str,
        method: &str,
        (path, query): (&str, &str),
        status: u16,
    ) {
        let is_safe = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        if !is_safe && (200..400).contains(&status) {
            let key = key_of(space, path, query);
            let spot = self.spot(&key);
            self.part(spot).forget(&key, spot.hash);
        }
    }

    /// Bytes that answers take at present, for a metric.
    pub(crate) fn bytes(&self) -> usize {
        self.room.used()
    }

    /// Keeps an answer, unless a change went by since it was asked for.
    fn keep(&self, key: Arc<str>, spot: Spot, generation: u32, entry: Entry) {
        let mut part = self.part(spot);
        if part.generation(spot.hash) == generation {
            part.put(key, entry);
        }
    }

    fn spot(&self, key: &str) -> Spot {
        let hash = self.hasher.hash_one(key);
        let part = usize::try_from(hash % self.parts.len() as u64).unwrap_or_default();
        Spot { part, hash }
    }

    fn part(&self, spot: Spot) -> MutexGuard<'_, Part> {
        self.parts[spot.part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(request: &RequestView<'_>) -> Arc<str> {
    key_of(request.space, request.path, request.query)
}

/// A space ends with a NUL and holds no other, so that no two pairs give one key.
fn key_of(space: &str, path: &str, query: &str) -> Arc<str> {
    let mark = if query.is_empty() { "" } else { "?" };
    [space, path, mark, query].concat().into()
}

/// Request fields that say who calls and are not remembered: an answer to a request with one of them that depends on
/// it is not kept. The gateway's own key is not among them any more when it comes here.
const SECRETS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
/// Request fields that every answer depends on: they say what the client called its target, which an upstream may
/// repeat, and nobody may choose what others are told.
const TARGET_FIELDS: [&str; 2] = ["x-forwarded-host", "x-forwarded-proto"];

/// Whether a request says who sends it, beside what the gateway says.
fn identifies(fields: &[u8]) -> bool {
    SECRETS.iter().any(|name| named(fields, name).next().is_some())
}

/// Values of the lines of a name, which is given in lower case.
fn named<'l>(lines: &'l [u8], name: &'l str) -> impl Iterator<Item = &'l [u8]> {
    lines.split(|byte| *byte == b'\n').filter_map(move |line| {
        let (own, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        own.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// All values of a name as one.
fn joined<'v>(values: impl Iterator<Item = &'v [u8]>) -> Option<Vec<u8>> {
    let mut joined: Option<Vec<u8>> = None;
    for value in values {
        match &mut joined {
            Some(before) => {
                before.extend_from_slice(b", ");
                before.extend_from_slice(value.trim_ascii());
            }
            None => joined = Some(value.trim_ascii().to_vec()),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
