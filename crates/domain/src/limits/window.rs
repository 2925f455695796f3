//! One sliding window. Up to [`EXACT_MAX`] units it is a log of admission times; above, 65 buckets of a
//! 64th of the window each, of which the oldest counts whole until it has left entirely.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// Buckets a window is divided into.
pub const BUCKETS: i64 = 64;
/// Limits up to this many units are kept as an exact log.
pub const EXACT_MAX: u64 = 64;
const RING: usize = 65;
const RING_BUCKETS: i64 = BUCKETS + 1;
const UNIT_BITS: u32 = 7;
const UNIT_MASK: u64 = (1 << UNIT_BITS) - 1;

#[derive(Clone, Debug)]
pub struct Window {
    limit: u64,
    length_micros: i64,
    log: Log,
}

#[derive(Clone, Debug)]
enum Log {
    Exact(Exact),
    Narrow(Box<Buckets<u32>>),
    Wide(Box<Buckets<u64>>),
}

/// Admissions in order of time, each packed as `micros << 7 | units`.
#[derive(Clone, Debug, Default)]
struct Exact {
    entries: VecDeque<u64>,
    used: u64,
}

#[derive(Clone, Debug)]
struct Buckets<C> {
    counts: [C; RING],
    /// Number of the bucket the latest time fell into.
    newest: i64,
    used: u64,
}

impl Window {
    /// `length_micros` must be a multiple of [`BUCKETS`].
    pub fn new(length_micros: i64, limit: u64) -> Self {
        debug_assert!(length_micros > 0 && length_micros % BUCKETS == 0);
        let log = if limit <= EXACT_MAX {
            Log::Exact(Exact::default())
        } else if u32::try_from(limit).is_ok() {
            Log::Narrow(Box::new(Buckets::new()))
        } else {
            Log::Wide(Box::new(Buckets::new()))
        };
        Self { limit, length_micros, log }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub fn remaining(&mut self, now: Timestamp) -> u64 {
        self.expire(now);
        self.limit.saturating_sub(self.used())
    }

    /// `None` = the units fit. Otherwise the time at which they would; for more units than the limit, a
    /// whole window from now.
    pub fn refusal(&mut self, now: Timestamp, units: u64) -> Option<Timestamp> {
        self.expire(now);
        let used = self.used();
        if used.checked_add(units).is_some_and(|sum| sum <= self.limit) {
            return None;
        }
        if units > self.limit {
            return Some(now.plus_micros(self.length_micros));
        }
        Some(self.freed_at(used - (self.limit - units)).unwrap_or(now))
    }

    /// Counts units at a time not before the last one.
    pub fn record(&mut self, at: Timestamp, units: u64) {
        if units == 0 {
            return;
        }
        self.expire(at);
        match &mut self.log {
            Log::Exact(log) => log.add(at, units),
            Log::Narrow(log) => log.add(units),
            Log::Wide(log) => log.add(units),
        }
    }

    /// When the next used unit leaves the window; now, when none is used.
    pub fn next_free(&mut self, now: Timestamp) -> Timestamp {
        self.expire(now);
        if self.used() == 0 { now } else { self.freed_at(1).unwrap_or(now) }
    }

    pub fn is_idle(&self, now: Timestamp) -> bool {
        let mut copy = self.clone();
        copy.expire(now);
        copy.used() == 0
    }

    /// The same window with another limit; what was counted goes on counting, never shorter than before.
    #[must_use]
    pub fn resized(&self, limit: u64) -> Self {
        let mut window = Self::new(self.length_micros, limit);
        for (at, units) in self.entries() {
            window.record(at, units);
        }
        window
    }

    fn entries(&self) -> Vec<(Timestamp, u64)> {
        let width = self.width();
        match &self.log {
            Log::Exact(log) => log.entries.iter().map(|packed| unpack(*packed)).collect(),
            Log::Narrow(log) => log.entries(width),
            Log::Wide(log) => log.entries(width),
        }
    }

    fn used(&self) -> u64 {
        match &self.log {
            Log::Exact(log) => log.used,
            Log::Narrow(log) => log.used,
            Log::Wide(log) => log.used,
        }
    }

    fn width(&self) -> i64 {
        self.length_micros / BUCKETS
    }

    fn expire(&mut self, now: Timestamp) {
        let bucket = now.0.div_euclid(self.width());
        match &mut self.log {
            Log::Exact(log) => log.expire(now.plus_micros(-self.length_micros)),
            Log::Narrow(log) => log.expire(bucket),
            Log::Wide(log) => log.expire(bucket),
        }
    }

    /// When at least `units` of those counted have left.
    fn freed_at(&self, units: u64) -> Option<Timestamp> {
        match &self.log {
            Log::Exact(log) => log.freed_at(units, self.length_micros),
            Log::Narrow(log) => log.freed_at(units, self.width()),
            Log::Wide(log) => log.freed_at(units, self.width()),
        }
    }
}

fn unpack(packed: u64) -> (Timestamp, u64) {
    (Timestamp((packed >> UNIT_BITS).cast_signed()), packed & UNIT_MASK)
}

impl Exact {
    /// Units beyond the packing's 127 count as 127: more than any exact limit either way.
    fn add(&mut self, at: Timestamp, units: u64) {
        let units = units.min(UNIT_MASK);
        let micros = at.0.max(0).cast_unsigned();
        self.entries.push_back(micros << UNIT_BITS | units);
        self.used += units;
    }

    fn expire(&mut self, gone_through: Timestamp) {
        while let Some((at, units)) = self.entries.front().map(|packed| unpack(*packed)) {
            if at > gone_through {
                break;
            }
            self.entries.pop_front();
            self.used -= units;
        }
    }

    fn freed_at(&self, wanted: u64, length_micros: i64) -> Option<Timestamp> {
        let mut freed = 0;
        for (at, units) in self.entries.iter().map(|packed| unpack(*packed)) {
            freed += units;
            if freed >= wanted {
                return Some(at.plus_micros(length_micros));
            }
        }
        None
    }
}

impl<C: Copy + Default + Into<u64> + TryFrom<u64>> Buckets<C> {
    fn new() -> Self {
        Self { counts: [C::default(); RING], newest: i64::MIN, used: 0 }
    }

    fn slot(bucket: i64) -> usize {
        usize::try_from(bucket.rem_euclid(RING_BUCKETS)).expect("a remainder by 65 is not negative")
    }

    fn add(&mut self, units: u64) {
        let slot = Self::slot(self.newest);
        let before: u64 = self.counts[slot].into();
        // A count only passes C when a rebuilt window holds more than its limit; the full value still refuses.
        let after = C::try_from(before.saturating_add(units)).unwrap_or(self.counts[slot]);
        self.used = self.used - before + after.into();
        self.counts[slot] = after;
    }

    /// Makes `bucket` the newest; buckets more than 64 older have left.
    fn expire(&mut self, bucket: i64) {
        if bucket <= self.newest {
            return;
        }
        let steps = bucket.saturating_sub(self.newest);
        if self.used == 0 || steps >= RING_BUCKETS {
            if self.used > 0 {
                self.counts = [C::default(); RING];
                self.used = 0;
            }
            self.newest = bucket;
            return;
        }
        for entered in self.newest + 1..=bucket {
            let slot = Self::slot(entered);
            self.used -= self.counts[slot].into();
            self.counts[slot] = C::default();
        }
        self.newest = bucket;
    }

    /// Buckets with something in them, oldest first, as (number, units).
    fn filled(&self) -> impl Iterator<Item = (i64, u64)> {
        let oldest = self.newest.saturating_sub(BUCKETS);
        (oldest..=self.newest).filter_map(|bucket| {
            let units: u64 = self.counts[Self::slot(bucket)].into();
            (units > 0).then_some((bucket, units))
        })
    }

    fn freed_at(&self, wanted: u64, width: i64) -> Option<Timestamp> {
        let mut freed = 0;
        for (bucket, units) in self.filled() {
            freed += units;
            if freed >= wanted {
                return Some(Timestamp((bucket + RING_BUCKETS).saturating_mul(width)));
            }
        }
        None
    }

    /// Each bucket as one entry at its last instant.
    fn entries(&self, width: i64) -> Vec<(Timestamp, u64)> {
        if self.used == 0 {
            return Vec::new();
        }
        let end = |bucket: i64| Timestamp((bucket + 1).saturating_mul(width) - 1);
        self.filled().map(|(bucket, units)| (end(bucket), units)).collect()
    }
}
