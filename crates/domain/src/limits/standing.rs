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

/// Standings of all limits a call met, without allocation, in the order product, subscription, quota, key.
#[derive(Clone, Copy, Debug)]
pub struct Standings {
    len: u8,
    names: [LimitName; LIMITS_MAX],
    /// Of the quota; windows have theirs from their names.
    period_secs: u32,
    entries: [Entry; LIMITS_MAX],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    limit: u64,
    remaining: u64,
    reset: Timestamp,
}

impl Default for Standings {
    #[inline]
    fn default() -> Self {
        let empty = Entry { limit: 0, remaining: 0, reset: Timestamp(0) };
        Self {
            len: 0,
            names: [LimitName::Second; LIMITS_MAX],
            period_secs: 0,
            entries: [empty; LIMITS_MAX],
        }
    }
}

impl Standings {
    #[inline]
    pub(super) fn push(&mut self, name: LimitName, limit: u64, remaining: u64, reset: Timestamp) {
        let at = usize::from(self.len);
        if let (Some(entry), Some(named)) = (self.entries.get_mut(at), self.names.get_mut(at)) {
            *entry = Entry { limit, remaining, reset };
            *named = name;
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
        let filled = self.names.iter().zip(&self.entries).take(usize::from(self.len));
        filled.map(|(name, entry)| {
            let Entry { limit, remaining, reset } = *entry;
            let window_secs = u64::from(name.window_secs().unwrap_or(self.period_secs));
            Standing { name: *name, limit, remaining, reset, window_secs }
        })
    }

    /// The limit with the fewest units remaining.
    pub fn tightest(&self) -> Option<Standing> {
        self.iter().min_by_key(|standing| standing.remaining)
    }
}
