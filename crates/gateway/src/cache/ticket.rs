//! An answer on its way into the cache.

use std::sync::Arc;

use keytoll_domain::time::Timestamp;

use super::entry::{DependsOn, Entry, kept_head};
use super::room::Lease;
use super::{Cache, ENTRY_MAX_BYTES, SECRETS, Spot, TARGET_FIELDS, control, joined, named};
use crate::upstream::head::Head;

/// Answers that may be kept if they say how long they are fresh.
const STATUSES: [u16; 8] = [200, 203, 204, 300, 301, 308, 404, 410];

/// What is remembered of a request until its answer's head is there.
pub(crate) struct Ticket {
    pub(super) cache: Arc<Cache>,
    pub(super) key: Arc<str>,
    pub(super) spot: Spot,
    pub(super) generation: u32,
    pub(super) identified: bool,
    pub(super) fields: Box<[u8]>,
    pub(super) asked_at_secs: u64,
}

/// An answer that may be kept. It is given the body piece by piece, and kept once that is whole; dropping it keeps
/// nothing, as is right for an answer that broke off.
pub(crate) struct Taking {
    cache: Arc<Cache>,
    key: Arc<str>,
    spot: Spot,
    generation: u32,
    entry: Entry,
    body: Vec<u8>,
    body_max: usize,
    lease: Lease,
}

impl Ticket {
    /// Takes the answer's head if the answer may be kept. `length` is that of the body, as far as it is known.
    pub(crate) fn offer(self, head: &Head, length: Option<u64>, now: Timestamp) -> Option<Taking> {
        let now_secs = secs(now);
        let sets_cookie = head.fields.named("set-cookie").next().is_some();
        if !STATUSES.contains(&head.status) || sets_cookie {
            return None;
        }
        let freshness = control::freshness(&head.fields, self.identified, now_secs)?;
        let depends_on = self.depends_on(head)?;
        let mut entry = Entry::new(kept_head(head, &now.http_date()), depends_on, freshness);
        entry.kept_at_secs = now_secs;
        entry.age_at_start_secs =
            control::age_at_start_secs(&head.fields, self.asked_at_secs, now_secs);
        // The key is held twice.
        let own_bytes = entry.head_bytes() + 2 * self.key.len();
        let body_max = ENTRY_MAX_BYTES.checked_sub(own_bytes)?;
        let length =
            usize::try_from(length.unwrap_or(0)).ok().filter(|bytes| *bytes <= body_max)?;
        if !entry.is_fresh(now_secs) {
            return None;
        }
        let lease = self.cache.room.lease(own_bytes + length)?;
        let Self { cache, key, spot, generation, .. } = self;
        let body = Vec::with_capacity(length);
        Some(Taking { cache, key, spot, generation, entry, body, body_max, lease })
    }

    /// The request's values of what `Vary` names, and of what it need not name; `None` if it names everything, or what
    /// is not remembered.
    fn depends_on(&self, head: &Head) -> Option<DependsOn> {
        let vary = joined(head.fields.named("vary")).unwrap_or_default();
        let vary = String::from_utf8(vary).ok()?;
        let mut depends_on = DependsOn::new();
        let names = vary.split(',').map(str::trim).filter(|name| !name.is_empty());
        for name in names.chain(TARGET_FIELDS) {
            let name = name.to_ascii_lowercase();
            let value = joined(named(&self.fields, &name));
            if name == "*" || (value.is_some() && SECRETS.contains(&name.as_str())) {
                return None;
            }
            if !depends_on.iter().any(|(known, _)| **known == *name) {
                depends_on.push((name.into(), value));
            }
        }
        depends_on.sort_unstable();
        Some(depends_on)
    }
}

impl Taking {
    /// False once the answer has grown too large, or there is no room; it is then of no more use.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let length = self.body.len() + bytes.len();
        if length > self.body_max {
            return false;
        }
        let capacity = self.body.capacity();
        if length > capacity {
            let wanted = length.max(2 * capacity).min(self.body_max);
            if !self.lease.grow(wanted - capacity) {
                return false;
            }
            self.body.reserve_exact(wanted - self.body.len());
        }
        self.body.extend_from_slice(bytes);
        true
    }

    /// The body is whole. Nothing is kept if a change went by meanwhile.
    pub(crate) fn keep(self) {
        let Self { cache, key, spot, generation, mut entry, mut body, mut lease, .. } = self;
        lease.shrink(body.capacity() - body.len());
        body.shrink_to_fit();
        entry.complete(body, lease);
        cache.keep(key, spot, generation, entry);
    }
}

/// Unix seconds.
pub(crate) fn secs(at: Timestamp) -> u64 {
    u64::try_from(at.secs()).unwrap_or(0)
}
