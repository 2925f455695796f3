//! Keys that are known by a bcrypt hash only, found by the visible beginning of a secret.
//!
//! Asked only after the key table has no digest, and only while there are such keys. A key stays here until the
//! feed brings its true digest, so that a change that was on its way meanwhile cannot lock it out.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{BcryptHash, KeyHash};

/// Checks that one unknown secret can cost.
const CHECKS_MAX: usize = 8;

#[derive(Default)]
pub(crate) struct Candidates {
    count: AtomicUsize,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_prefix: HashMap<Box<[u8]>, Vec<KeyId>>,
    /// How many prefixes have a length.
    lengths: BTreeMap<usize, usize>,
    by_id: HashMap<KeyId, Candidate>,
}

struct Candidate {
    bcrypt: BcryptHash,
    /// The key's digest in the table until its first use.
    placeholder: KeyHash,
}

impl Candidates {
    /// Costs one load: what a request with an unknown key asks first.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn add(&self, id: KeyId, bcrypt: BcryptHash, placeholder: KeyHash) {
        self.change(|known| {
            known.remove(id);
            known.add(id, Candidate { bcrypt, placeholder });
        });
    }

    pub(crate) fn remove(&self, id: KeyId) {
        if !self.is_empty() {
            self.change(|known| known.remove(id));
        }
    }

    /// Takes note of a key's digest: any but the placeholder means that no check is needed any more.
    pub(crate) fn has_digest(&self, id: KeyId, digest: KeyHash) {
        if self.is_empty() {
            return;
        }
        self.change(|known| {
            if known.by_id.get(&id).is_some_and(|found| found.placeholder != digest) {
                known.remove(id);
            }
        });
    }

    /// The keys that a secret may be, those with the longest prefix first.
    pub(crate) fn of(&self, secret: &[u8]) -> Vec<(KeyId, String)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let prefixes = known.lengths.keys().rev().filter_map(|length| secret.get(..*length));
        let ids = prefixes.filter_map(|prefix| known.by_prefix.get(prefix)).flatten();
        ids.filter_map(|id| Some((*id, known.by_id.get(id)?.bcrypt.hash.clone())))
            .take(CHECKS_MAX)
            .collect()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        self.count.store(known.by_id.len(), Ordering::Release);
    }
}

impl Known {
    fn add(&mut self, id: KeyId, candidate: Candidate) {
        let prefix = candidate.bcrypt.prefix.as_bytes();
        let ids = self.by_prefix.entry(prefix.into()).or_insert_with(|| {
            *self.lengths.entry(prefix.len()).or_default() += 1;
            Vec::new()
        });
        ids.push(id);
        self.by_id.insert(id, candidate);
    }

    fn remove(&mut self, id: KeyId) {
        let Some(candidate) = self.by_id.remove(&id) else { return };
        let prefix = candidate.bcrypt.prefix.as_bytes();
        let Some(ids) = self.by_prefix.get_mut(prefix) else { return };
        ids.retain(|other| *other != id);
        if !ids.is_empty() {
            return;
        }
        self.by_prefix.remove(prefix);
        if let Some(prefixes) = self.lengths.get_mut(&prefix.len()) {
            *prefixes -= 1;
            if *prefixes == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }
}
