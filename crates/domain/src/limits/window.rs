//! One sliding window. Up to [`EXACT_MAX`] units it is a log of admission times; above, 65 buckets of a
//! 64th of the window each, of which the oldest counts whole until it has left entirely.
//!
//! The sum of what is counted and the time at which the oldest of it leaves are kept beside the log, so that
//! a call costs two comparisons and one addition; the log is read when something leaves, which happens once
//! per bucket or entry. Nothing that was counted is ever lost: a log that has become too small is exchanged for
//! a larger one at once, buckets for the exact log when the limit asks for it and the units fit.

use super::NEVER;
use super::buckets::{Buckets, RING_BUCKETS};
use super::exact::{Exact, UNITS_MAX};
use crate::time::Timestamp;

/// Buckets a window is divided into.
pub const BUCKETS: i64 = 64;
/// Limits up to this many units are kept as an exact log.
pub const EXACT_MAX: u64 = 64;

#[derive(Clone, Debug)]
pub struct Window {
    limit: u64,
    used: u64,
    /// When the oldest of the units counted leave; [`NEVER`] while there are none.
    free_at: i64,
    /// A 64th of the window's length in microseconds.
    width: i64,
    log: Log,
}

#[derive(Clone, Debug)]
enum Log {
    Exact(Box<Exact>),
    Small(Box<Buckets<u16>>),
    Narrow(Box<Buckets<u32>>),
    Wide(Box<Buckets<u64>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Small,
    Narrow,
    Wide,
}

impl Window {
    /// `length_micros` must be a multiple of [`BUCKETS`].
    pub fn new(length_micros: i64, limit: u64) -> Self {
        debug_assert!(length_micros > 0 && length_micros % BUCKETS == 0);
        let log = Log::new(if limit <= EXACT_MAX { Kind::Exact } else { Kind::Small });
        Self { limit, used: 0, free_at: NEVER, width: length_micros / BUCKETS, log }
    }

    #[inline]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub fn length_micros(&self) -> i64 {
        self.width * BUCKETS
    }

    #[inline]
    pub fn remaining(&mut self, now: Timestamp) -> u64 {
        self.expire(now.0);
        self.limit.saturating_sub(self.used)
    }

    /// Whether the units may be counted at `now`, which is not before the last time.
    #[inline]
    pub fn fits(&mut self, now: Timestamp, units: u64) -> bool {
        self.expire(now.0);
        self.used.saturating_add(units) <= self.limit
    }

    /// `None` = the units fit. Otherwise the time at which they would; for more units than the limit, a
    /// whole window from now.
    pub fn refusal(&mut self, now: Timestamp, units: u64) -> Option<Timestamp> {
        if self.fits(now, units) {
            return None;
        }
        if units > self.limit {
            return Some(now.plus_micros(self.length_micros()));
        }
        Some(Timestamp(self.freed_at(self.used - (self.limit - units)).unwrap_or(now.0)))
    }

    /// Counts units at a time not before the last one.
    pub fn record(&mut self, at: Timestamp, units: u64) {
        self.expire(at.0);
        self.add(at.0, units);
    }

    /// When the next used unit leaves the window; now, when none is used.
    #[inline]
    pub fn next_free(&mut self, now: Timestamp) -> Timestamp {
        self.expire(now.0);
        self.standing(now).1
    }

    /// Sets another limit; what was counted goes on counting, never shorter than before.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.suit(self.used);
    }

    /// Counts units that fit, after what has left at `at` was let go; answers what remains and when the next
    /// used unit leaves.
    #[inline]
    pub(super) fn charge(&mut self, at: Timestamp, units: u64) -> (u64, Timestamp) {
        if units == 0 || !self.log.add(at.0, self.width, units, self.used == 0) {
            return self.charge_otherwise(at, units);
        }
        if self.used == 0 {
            self.free_at = self.log.next_free(self.width);
        }
        self.used += units;
        (self.limit.saturating_sub(self.used), Timestamp(self.free_at))
    }

    /// Nothing is to be counted, or the log must be exchanged for it.
    #[cold]
    fn charge_otherwise(&mut self, at: Timestamp, units: u64) -> (u64, Timestamp) {
        self.add(at.0, units);
        self.standing(at)
    }

    /// What remains and when the next used unit leaves, after what has left at `now` was let go.
    #[inline]
    pub(super) fn standing(&self, now: Timestamp) -> (u64, Timestamp) {
        let reset = if self.used == 0 { now } else { Timestamp(self.free_at) };
        (self.limit.saturating_sub(self.used), reset)
    }

    #[inline(never)]
    fn add(&mut self, at: i64, units: u64) {
        let units = units.min(u64::MAX - self.used);
        if units == 0 {
            return;
        }
        let first = self.used == 0;
        if self.used + units > self.limit {
            self.suit(self.used + units);
        }
        while !self.log.add(at, self.width, units, first) {
            self.exchange(self.log.kind().wider());
        }
        self.used += units;
        if first {
            self.free_at = self.log.next_free(self.width);
        }
    }

    #[inline]
    fn expire(&mut self, now: i64) {
        if now >= self.free_at {
            self.let_go(now);
        }
    }

    #[inline(never)]
    fn let_go(&mut self, now: i64) {
        let width = self.width;
        if let Log::Exact(log) = &mut self.log {
            self.used -= log.expire(now, width * BUCKETS);
            self.free_at = log.next_free(width * BUCKETS);
            return;
        }
        while now >= self.free_at {
            self.used -= match &mut self.log {
                Log::Exact(_) => 0,
                Log::Small(log) => log.drop_oldest(),
                Log::Narrow(log) => log.drop_oldest(),
                Log::Wide(log) => log.drop_oldest(),
            };
            self.free_at = if self.used == 0 { NEVER } else { self.log.next_free(width) };
        }
        self.suit(self.used);
    }

    /// Exchanges the exact log for buckets or back, as the limit and so many units ask for.
    fn suit(&mut self, units: u64) {
        let exact = self.limit <= EXACT_MAX && units <= UNITS_MAX;
        match (exact, self.log.kind()) {
            (true, Kind::Exact) | (false, Kind::Small | Kind::Narrow | Kind::Wide) => {}
            (true, _) => self.exchange(Kind::Exact),
            (false, Kind::Exact) => self.exchange(Kind::Small),
        }
    }

    #[cold]
    fn exchange(&mut self, mut kind: Kind) {
        let entries = self.entries();
        self.log = loop {
            let mut log = Log::new(kind);
            let mut counted = entries.iter().enumerate();
            if counted.all(|(at, (time, units))| log.add(*time, self.width, *units, at == 0)) {
                break log;
            }
            kind = kind.wider();
        };
        if self.used > 0 {
            self.free_at = self.log.next_free(self.width);
        }
    }

    /// What is counted, oldest first; each bucket as one entry at its last instant.
    fn entries(&self) -> Vec<(i64, u64)> {
        if self.used == 0 {
            return Vec::new();
        }
        let width = self.width;
        let at_end = |(start, units): (i64, u64)| (start + width - 1, units);
        match &self.log {
            Log::Exact(log) => log.entries().collect(),
            Log::Small(log) => log.filled(width).map(at_end).collect(),
            Log::Narrow(log) => log.filled(width).map(at_end).collect(),
            Log::Wide(log) => log.filled(width).map(at_end).collect(),
        }
    }

    /// When at least `units` of those counted have left.
    fn freed_at(&self, wanted: u64) -> Option<i64> {
        let (width, length) = (self.width, self.length_micros());
        let whole = RING_BUCKETS.saturating_mul(width);
        match &self.log {
            Log::Exact(log) => nth(log.entries(), wanted, length),
            Log::Small(log) => nth(log.filled(width), wanted, whole),
            Log::Narrow(log) => nth(log.filled(width), wanted, whole),
            Log::Wide(log) => nth(log.filled(width), wanted, whole),
        }
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.log {
            Log::Exact(log) => size_of_val(&**log) + log.heap_bytes(),
            Log::Small(log) => size_of_val(&**log),
            Log::Narrow(log) => size_of_val(&**log),
            Log::Wide(log) => size_of_val(&**log),
        }
    }
}

/// The time of the entry with which so many units are reached, later by `stay`.
fn nth(entries: impl Iterator<Item = (i64, u64)>, wanted: u64, stay: i64) -> Option<i64> {
    let mut freed: u64 = 0;
    for (at, units) in entries {
        freed = freed.saturating_add(units);
        if freed >= wanted {
            return Some(at.saturating_add(stay));
        }
    }
    None
}

impl Kind {
    fn wider(self) -> Self {
        match self {
            Self::Exact => Self::Small,
            Self::Small => Self::Narrow,
            // Counts of 64 bits hold whatever a window holds.
            Self::Narrow | Self::Wide => Self::Wide,
        }
    }
}

impl Log {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Exact => Self::Exact(Box::default()),
            Kind::Small => Self::Small(Box::new(Buckets::new())),
            Kind::Narrow => Self::Narrow(Box::new(Buckets::new())),
            Kind::Wide => Self::Wide(Box::new(Buckets::new())),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Exact(_) => Kind::Exact,
            Self::Small(_) => Kind::Small,
            Self::Narrow(_) => Kind::Narrow,
            Self::Wide(_) => Kind::Wide,
        }
    }

    /// False, and nothing is added, if the log has no room for them.
    #[inline]
    fn add(&mut self, at: i64, width: i64, units: u64, first: bool) -> bool {
        match self {
            Self::Exact(log) => {
                log.add(at, units);
                true
            }
            Self::Small(log) => log.add(at, width, units, first),
            Self::Narrow(log) => log.add(at, width, units, first),
            Self::Wide(log) => log.add(at, width, units, first),
        }
    }

    /// When the oldest units leave; something is counted.
    fn next_free(&self, width: i64) -> i64 {
        match self {
            Self::Exact(log) => log.next_free(width * BUCKETS),
            Self::Small(log) => log.next_free(width),
            Self::Narrow(log) => log.next_free(width),
            Self::Wide(log) => log.next_free(width),
        }
    }
}
