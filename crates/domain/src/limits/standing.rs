//! Where a call stands with its limits, as headers and answers show it.

use super::{LIMITS_MAX, LimitName};
use crate::time::Timestamp;

/// Where a call stands with one limit. `reset` is when the next used unit becomes free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub name: LimitName,
    pub limit: u64,
    pub remaining: u64,
    pub reset: Timestamp,
    /// Length of the window or period in whole seconds.
    pub window_secs: u64,
}

/// Standings of all limits a call met, without allocation, in the order subscription, quota, key.
#[derive(Clone, Copy, Debug)]
pub struct Standings {
    len: u32,
    /// Of the quota; windows have theirs from their names.
    period_secs: u32,
    entries: [Entry; LIMITS_MAX],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    limit: u64,
    remaining: u64,
    /// Microseconds and, in the lowest bits, the name.
    reset_and_name: i64,
}

const NAME_BITS: u32 = 4;

impl Default for Standings {
    #[inline]
    fn default() -> Self {
        let empty = Entry { limit: 0, remaining: 0, reset_and_name: 0 };
        Self { len: 0, period_secs: 0, entries: [empty; LIMITS_MAX] }
    }
}

impl Standings {
    #[inline]
    pub(super) fn push(&mut self, name: LimitName, limit: u64, remaining: u64, reset: Timestamp) {
        if let Some(entry) = self.entries.get_mut(self.len as usize) {
            let reset_and_name = reset.0 << NAME_BITS | i64::from(name as u8);
            *entry = Entry { limit, remaining, reset_and_name };
            self.len += 1;
        }
    }

    #[inline]
    pub(super) fn set_period_secs(&mut self, secs: u32) {
        self.period_secs = secs;
    }

    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Standing> {
        self.entries.iter().take(self.len as usize).map(|entry| {
            let Entry { limit, remaining, reset_and_name } = *entry;
            let name = reset_and_name & ((1 << NAME_BITS) - 1);
            let name = LimitName::ALL[usize::try_from(name).unwrap_or(0)];
            let reset = Timestamp(reset_and_name >> NAME_BITS);
            let window_secs = u64::from(name.window_secs().unwrap_or(self.period_secs));
            Standing { name, limit, remaining, reset, window_secs }
        })
    }

    /// The limit with the fewest units remaining.
    pub fn tightest(&self) -> Option<Standing> {
        self.iter().min_by_key(|standing| standing.remaining)
    }
}
