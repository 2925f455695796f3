//! The log of a large window: a ring of 65 counts, each for a 64th of the window. A bucket counts whole until
//! all of it has left, one 64th after its first unit could.
//!
//! Slots outside `oldest..=newest` hold zero, so that moving on needs no clearing.

use super::window::BUCKETS;

const RING: usize = 65;
/// Buckets after whose time the first of them has left entirely.
pub(super) const RING_BUCKETS: i64 = BUCKETS + 1;

#[derive(Clone, Debug)]
pub(super) struct Buckets<C> {
    /// First microsecond after the newest bucket.
    newest_end: i64,
    newest: u8,
    /// The oldest bucket with something in it, if there is one.
    oldest: u8,
    counts: [C; RING],
}

impl<C: Copy + Default + Into<u64> + TryFrom<u64>> Buckets<C> {
    pub(super) fn new() -> Self {
        Self { newest_end: 0, newest: 0, oldest: 0, counts: [C::default(); RING] }
    }

    /// Adds units; false, and nothing is added, if their bucket's count has no room for them. `first` =
    /// nothing is counted yet. What has left at `at` must have been let go before.
    #[inline]
    pub(super) fn add(&mut self, at: i64, width: i64, units: u64, first: bool) -> bool {
        if first {
            self.newest_end = at - at.rem_euclid(width) + width;
            self.oldest = self.newest;
        } else if at >= self.newest_end {
            self.move_on(at, width);
        }
        let Some(count) = self.counts.get_mut(usize::from(self.newest)) else { return false };
        let Ok(sum) = C::try_from((*count).into() + units) else { return false };
        *count = sum;
        true
    }

    #[inline(never)]
    fn move_on(&mut self, at: i64, width: i64) {
        let steps = (at - self.newest_end) / width + 1;
        debug_assert!((1..RING_BUCKETS).contains(&steps), "what is older has left before");
        self.newest_end += steps * width;
        self.newest = slot(usize::from(self.newest) + usize::try_from(steps).unwrap_or(0));
    }

    /// Forgets the oldest bucket and goes to the next that holds something; answers the units that left.
    /// At least one bucket holds something.
    pub(super) fn drop_oldest(&mut self) -> u64 {
        let left = std::mem::take(&mut self.counts[usize::from(self.oldest)]);
        while self.oldest != self.newest && self.counts[usize::from(self.oldest)].into() == 0 {
            self.oldest = slot(usize::from(self.oldest) + 1);
        }
        left.into()
    }

    /// When the oldest bucket has left entirely.
    pub(super) fn next_free(&self, width: i64) -> i64 {
        let age = usize::from(self.newest) + RING - usize::from(self.oldest);
        let age = i64::from(slot(age));
        self.newest_end.saturating_add((BUCKETS - age).saturating_mul(width))
    }

    /// Buckets with something in them, oldest first, as (first microsecond, units).
    pub(super) fn filled(&self, width: i64) -> impl Iterator<Item = (i64, u64)> {
        let age = i64::from(slot(usize::from(self.newest) + RING - usize::from(self.oldest)));
        let oldest = usize::from(self.oldest);
        (oldest..).zip((0..=age).rev()).filter_map(move |(index, age)| {
            let units: u64 = self.counts[usize::from(slot(index))].into();
            (units > 0).then(|| (self.newest_end - (age + 1) * width, units))
        })
    }
}

/// The slot of a position less than two rounds away.
#[inline]
fn slot(position: usize) -> u8 {
    let position = if position >= RING { position - RING } else { position };
    u8::try_from(position).unwrap_or(0)
}
