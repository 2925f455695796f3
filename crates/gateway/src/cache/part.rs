//! One part of the cache, behind its lock: entries by key, and the order in which they were last used.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Entry, VARIANTS_MAX};

/// Keys share a counter of changes with others, rather than that each change spoils all answers on their way.
const GENERATIONS: usize = 64;

pub(super) struct Part {
    entries: HashMap<Arc<str>, Vec<Kept>>,
    /// Last use → key, the longest unused first.
    order: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: usize,
    max_bytes: usize,
    generations: [u32; GENERATIONS],
}

struct Kept {
    entry: Arc<Entry>,
    last_use: u64,
    bytes: usize,
}

impl Part {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            max_bytes,
            generations: [0; GENERATIONS],
        }
    }

    /// Grows with each change of a key with this hash: an answer asked for before one must not be kept after it.
    pub(super) fn generation(&self, hash: u64) -> u32 {
        self.generations[slot(hash)]
    }

    pub(super) fn find(
        &mut self,
        key: &Arc<str>,
        fields: &[u8],
        identified: bool,
        now_secs: u64,
    ) -> Option<Arc<Entry>> {
        self.drop_where(key, |entry| !entry.is_fresh(now_secs));
        let kept = self.entries.get_mut(key)?;
        // Of several that fit, the newest.
        let kept = kept.iter_mut().rev().find(|kept| kept.entry.is_for(fields, identified))?;
        self.uses += 1;
        self.order.remove(&kept.last_use);
        kept.last_use = self.uses;
        self.order.insert(self.uses, key.clone());
        Some(kept.entry.clone())
    }

    /// Puts an entry in the place of one for the same request fields.
    pub(super) fn put(&mut self, key: Arc<str>, entry: Entry) {
        let bytes = entry.bytes();
        if bytes > self.max_bytes {
            return;
        }
        self.drop_where(&key, |known| known.depends_on == entry.depends_on);
        let crowded = self.entries.get(&key).filter(|kept| kept.len() >= VARIANTS_MAX);
        if let Some(oldest) = crowded.and_then(|kept| kept.iter().map(|one| one.last_use).min()) {
            self.evict(oldest);
        }
        while self.bytes + bytes > self.max_bytes {
            let Some(oldest) = self.order.keys().next().copied() else { break };
            self.evict(oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.order.insert(self.uses, key.clone());
        let kept = Kept { entry: Arc::new(entry), last_use: self.uses, bytes };
        self.entries.entry(key).or_default().push(kept);
    }

    pub(super) fn forget(&mut self, key: &Arc<str>, hash: u64) {
        let generation = &mut self.generations[slot(hash)];
        *generation = generation.wrapping_add(1);
        self.drop_where(key, |_| true);
    }

    fn evict(&mut self, last_use: u64) {
        let Some(key) = self.order.get(&last_use).cloned() else { return };
        let Some(kept) = self.entries.get(&key) else { return };
        let found = kept.iter().find(|kept| kept.last_use == last_use);
        let Some(entry) = found.map(|kept| kept.entry.clone()) else { return };
        self.drop_where(&key, |one| std::ptr::eq(one, &raw const *entry));
    }

    fn drop_where(&mut self, key: &Arc<str>, goes: impl Fn(&Entry) -> bool) {
        let Some(kept) = self.entries.get_mut(key) else { return };
        kept.retain(|kept| {
            let goes = goes(&kept.entry);
            if goes {
                self.order.remove(&kept.last_use);
                self.bytes -= kept.bytes;
            }
            !goes
        });
        if kept.is_empty() {
            self.entries.remove(key);
        }
    }
}

/// The part was chosen by the lower bits.
fn slot(hash: u64) -> usize {
    usize::try_from((hash >> 32) % GENERATIONS as u64).unwrap_or_default()
}
