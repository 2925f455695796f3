//! A hash index of records for many readers and one writer at a time.
//!
//! Linear probing over a byte of tag and one swappable pointer per slot: nine bytes a slot and no allocation per
//! entry. Readers load pointers and never wait. The index is cut into shards that grow one by one, so that a
//! grown table never holds the feed up for long. The caller keeps writers apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
const SLOTS_MIN: usize = 8;
/// Slots made per 100 expected entries.
const ROOM_PERCENT: usize = 125;
/// A shard grows when more than this share of its slots is used; some slot always stays empty, where probing ends.
const FULL_PERCENT: usize = 88;

const EMPTY: u8 = 0;
const REMOVED: u8 = 1;

pub(super) struct Index<T> {
    shards: Box<[ArcSwap<Slots<T>>]>,
}

struct Slots<T> {
    tags: Box<[AtomicU8]>,
    records: Box<[ArcSwapOption<T>]>,
    live: AtomicUsize,
    /// Slots that are not empty: entries, and places of removed ones.
    used: AtomicUsize,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        let empty = || ArcSwap::from_pointee(Slots::with_capacity(0));
        Self { shards: std::iter::repeat_with(empty).take(SHARDS).collect() }
    }
}

impl<T> Index<T> {
    /// The entry of this hash that matches.
    pub(super) fn find(&self, hash: u64, matches: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let slots = self.shards[shard_of(hash)].load();
        let tag = tag_of(hash);
        for at in slots.probe(hash) {
            match slots.tags[at].load(Ordering::Acquire) {
                EMPTY => return None,
                found if found == tag => {
                    let record = slots.records[at].load();
                    if record.as_deref().is_some_and(&matches) {
                        return arc_swap::Guard::into_inner(record);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Puts an entry in the place of the one that matches, or in a new one. `hash_of` is asked when a shard grows.
    pub(super) fn put(
        &self,
        hash: u64,
        record: Arc<T>,
        matches: impl Fn(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) {
        let shard = &self.shards[shard_of(hash)];
        let slots = shard.load();
        if let Some(at) = slots.position(hash, &matches) {
            slots.records[at].store(Some(record));
            return;
        }
        if slots.has_room() {
            slots.add(hash, record);
            return;
        }
        let live = slots.live.load(Ordering::Relaxed) + 1;
        let grown = Slots::with_capacity((live * ROOM_PERCENT / 100).max(SLOTS_MIN));
        for old in slots.records.iter().filter_map(ArcSwapOption::load_full) {
            grown.add(hash_of(&old), old);
        }
        grown.add(hash, record);
        shard.store(Arc::new(grown));
    }

    pub(super) fn remove(&self, hash: u64, matches: impl Fn(&T) -> bool) {
        let slots = self.shards[shard_of(hash)].load();
        if let Some(at) = slots.position(hash, &matches) {
            slots.tags[at].store(REMOVED, Ordering::Release);
            slots.records[at].store(None);
            slots.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().live.load(Ordering::Relaxed)).sum()
    }

    /// Makes room for so many entries at once. Only for an empty index.
    pub(super) fn reserve(&self, entries: usize) {
        let room = (entries / SHARDS) * ROOM_PERCENT / 100;
        for shard in self.shards.iter().filter(|shard| shard.load().records.len() < room) {
            debug_assert_eq!(shard.load().live.load(Ordering::Relaxed), 0, "entries would be lost");
            shard.store(Arc::new(Slots::with_capacity(room)));
        }
    }
}

impl<T> Slots<T> {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            tags: std::iter::repeat_with(|| AtomicU8::new(EMPTY)).take(capacity).collect(),
            records: std::iter::repeat_with(ArcSwapOption::empty).take(capacity).collect(),
            live: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
        }
    }

    /// Every slot once, from the one where the hash belongs.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> {
        let capacity = self.tags.len();
        let fraction = u128::from(hash << SHARD_BITS);
        let home = usize::try_from((fraction * capacity as u128) >> 64).unwrap_or(0);
        (home..capacity).chain(0..home)
    }

    fn position(&self, hash: u64, matches: impl Fn(&T) -> bool) -> Option<usize> {
        let tag = tag_of(hash);
        self.probe(hash)
            .map(|at| (at, self.tags[at].load(Ordering::Relaxed)))
            .take_while(|(_, found)| *found != EMPTY)
            .find(|(at, found)| {
                *found == tag && self.records[*at].load().as_deref().is_some_and(&matches)
            })
            .map(|(at, _)| at)
    }

    fn has_room(&self) -> bool {
        let used = self.used.load(Ordering::Relaxed) + 1;
        used * 100 <= self.tags.len() * FULL_PERCENT
    }

    /// The pointer is there before its tag says so.
    fn add(&self, hash: u64, record: Arc<T>) {
        let free = self
            .probe(hash)
            .find(|at| self.tags[*at].load(Ordering::Relaxed) <= REMOVED)
            .expect("a shard with room has a free slot");
        self.records[free].store(Some(record));
        if self.tags[free].swap(tag_of(hash), Ordering::Release) == EMPTY {
            self.used.fetch_add(1, Ordering::Relaxed);
        }
        self.live.fetch_add(1, Ordering::Relaxed);
    }
}

fn shard_of(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SHARD_BITS)).unwrap_or(0)
}

/// Neither empty nor removed. Made of bits that do not decide the slot.
fn tag_of(hash: u64) -> u8 {
    hash.to_le_bytes()[0].max(REMOVED + 1)
}

#[cfg(test)]
mod tests;
