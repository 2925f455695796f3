//! The log of a small window: every admission with its time, in order.

use std::collections::VecDeque;

use super::NEVER;

const UNIT_BITS: u32 = 7;
/// Most units a log holds, so that each entry's units fit its bits.
pub(super) const UNITS_MAX: u64 = (1 << UNIT_BITS) - 1;
/// Entries by which a full log grows at most: memory matters more than copying a few words.
const GROWTH_MAX: usize = 8;

/// Admissions, oldest first, each packed as `micros << 7 | units`.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact(VecDeque<i64>);

impl Exact {
    /// Adds units, of which the log never holds more than [`UNITS_MAX`]. An entry never precedes the last.
    pub(super) fn add(&mut self, at: i64, units: u64) {
        let at = self.0.back().map_or(at, |last| at.max(last >> UNIT_BITS));
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(self.0.len().clamp(2, GROWTH_MAX));
        }
        self.0.push_back(at << UNIT_BITS | units.cast_signed());
    }

    /// Forgets what has left at `now`; answers its units.
    pub(super) fn expire(&mut self, now: i64, length_micros: i64) -> u64 {
        let mut left = 0;
        while let Some((at, units)) = self.0.front().map(|packed| unpack(*packed)) {
            if at.saturating_add(length_micros) > now {
                break;
            }
            self.0.pop_front();
            left += units;
        }
        left
    }

    /// When the oldest entry leaves.
    pub(super) fn next_free(&self, length_micros: i64) -> i64 {
        self.0.front().map_or(NEVER, |packed| unpack(*packed).0.saturating_add(length_micros))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().map(|packed| unpack(*packed))
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}

fn unpack(packed: i64) -> (i64, u64) {
    (packed >> UNIT_BITS, packed.cast_unsigned() & UNITS_MAX)
}
