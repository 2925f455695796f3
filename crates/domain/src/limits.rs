//! Limits: sliding windows, quotas, spend caps and concurrency, checked and charged together or not at all.
//!
//! Promise: in no trailing window (t − W, t] are more units admitted than the limit says, and a call is
//! refused only if admitting it would pass the limit in a trailing window of W × 65/64 (exactly W for
//! limits up to 64 units). A cell's time never goes back. A refusal changes nothing.

mod buckets;
mod cell;
mod exact;
mod standing;
mod window;

pub use cell::{Ask, Cell, Cells, admit, standings};
pub use standing::{Standing, Standings};
pub use window::{BUCKETS, EXACT_MAX, Window};

use crate::catalog::{Quota, WindowLimits};
use crate::time::{MICROS_PER_SECOND, Timestamp};

/// Windows a cell can keep: second, minute, hour, day.
const WINDOWS_MAX: usize = 4;
/// Most standings one call can have: the windows of a subscription and of a key, and the quota. A product's are not
/// shown, because they would tell one partner of the calls of all others.
pub const LIMITS_MAX: usize = 2 * WINDOWS_MAX + 1;

/// In a packed policy: no such limit. Limits stay far below.
const UNLIMITED: u64 = u64::MAX;
const UNLIMITED_CALLS: u32 = u32::MAX;
/// The time at which something leaves a window in which there is nothing.
const NEVER: i64 = i64::MAX;
/// After how long a call is worth another try where only the end of another one makes room.
const CONCURRENCY_RETRY_MICROS: i64 = MICROS_PER_SECOND;

/// Names of limits, the same in headers, answers and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LimitName {
    Second,
    Minute,
    Hour,
    Day,
    KeySecond,
    KeyMinute,
    KeyHour,
    KeyDay,
    ProductSecond,
    ProductMinute,
    ProductHour,
    ProductDay,
    Quota,
    SpendCap,
    Concurrency,
}

impl LimitName {
    /// All names, each at its own number.
    const ALL: [Self; 15] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::KeySecond,
        Self::KeyMinute,
        Self::KeyHour,
        Self::KeyDay,
        Self::ProductSecond,
        Self::ProductMinute,
        Self::ProductHour,
        Self::ProductDay,
        Self::Quota,
        Self::SpendCap,
        Self::Concurrency,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::KeySecond => "key_second",
            Self::KeyMinute => "key_minute",
            Self::KeyHour => "key_hour",
            Self::KeyDay => "key_day",
            Self::ProductSecond => "product_second",
            Self::ProductMinute => "product_minute",
            Self::ProductHour => "product_hour",
            Self::ProductDay => "product_day",
            Self::Quota => "quota",
            Self::SpendCap => "spend_cap",
            Self::Concurrency => "concurrency",
        }
    }

    /// Whether it counts the calls of all partners, so that none may see where it stands.
    pub fn is_of_product(self) -> bool {
        let windows = Owner::Product.names();
        windows.contains(&self)
    }

    /// Length of the window in whole seconds; a quota's and a spend cap's is that of its period.
    pub fn window_secs(self) -> Option<u32> {
        match self {
            Self::Second | Self::KeySecond | Self::ProductSecond => Some(1),
            Self::Minute | Self::KeyMinute | Self::ProductMinute => Some(60),
            Self::Hour | Self::KeyHour | Self::ProductHour => Some(3_600),
            Self::Day | Self::KeyDay | Self::ProductDay => Some(86_400),
            Self::Quota | Self::SpendCap | Self::Concurrency => None,
        }
    }
}

/// Whose counters a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Product,
    Subscription,
    Key,
}

impl Owner {
    fn names(self) -> [LimitName; WINDOWS_MAX] {
        use LimitName as N;
        match self {
            Self::Product => [N::ProductSecond, N::ProductMinute, N::ProductHour, N::ProductDay],
            Self::Subscription => [N::Second, N::Minute, N::Hour, N::Day],
            Self::Key => [N::KeySecond, N::KeyMinute, N::KeyHour, N::KeyDay],
        }
    }
}

/// Which limits a cell keeps, packed so that comparing two costs little on every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellPolicy {
    windows: [u64; WINDOWS_MAX],
    quota: u64,
    concurrency: u32,
    quota_is_hard: bool,
    /// Whether there is any limit.
    limits: bool,
    owner: Owner,
}

impl CellPolicy {
    /// Windows over all subscriptions of one environment.
    pub const fn of_product(windows: WindowLimits) -> Self {
        Self::new(Owner::Product, windows)
    }

    /// Windows over all keys of one environment, and the quota of a period.
    pub const fn of_subscription(windows: WindowLimits, quota: Option<Quota>) -> Self {
        let mut policy = Self::new(Owner::Subscription, windows);
        if let Some(quota) = quota {
            policy.limits = true;
            policy.quota = quota.units;
            policy.quota_is_hard = quota.hard;
        }
        policy
    }

    /// A key's own windows, and how many of its calls may run at once.
    pub const fn of_key(windows: WindowLimits, concurrency: Option<u32>) -> Self {
        let mut policy = Self::new(Owner::Key, windows);
        if let Some(concurrency) = concurrency {
            policy.limits = true;
            policy.concurrency = concurrency;
        }
        policy
    }

    const fn new(owner: Owner, windows: WindowLimits) -> Self {
        let WindowLimits { second, minute, hour, day } = windows;
        let limits = second.is_some() || minute.is_some() || hour.is_some() || day.is_some();
        let windows = [packed(second), packed(minute), packed(hour), packed(day)];
        let (quota, concurrency) = (UNLIMITED, UNLIMITED_CALLS);
        Self { windows, quota, concurrency, quota_is_hard: false, limits, owner }
    }

    /// True when the cell would neither refuse nor show anything.
    #[inline]
    pub fn is_unlimited(&self) -> bool {
        !self.limits
    }

    /// True when a call takes a place that must be given back.
    #[inline]
    pub fn limits_concurrency(&self) -> bool {
        self.concurrency != UNLIMITED_CALLS
    }

    fn windows(&self) -> impl Iterator<Item = (LimitName, u64)> {
        self.owner.names().into_iter().zip(self.windows).filter(|(_, limit)| *limit != UNLIMITED)
    }
}

const fn packed(limit: Option<u64>) -> u64 {
    match limit {
        Some(limit) => limit,
        None => UNLIMITED,
    }
}

/// The limit that refused a call, and when the same call would be admitted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub name: LimitName,
    pub limit: u64,
    pub remaining: u64,
    pub retry_at: Timestamp,
    pub now: Timestamp,
}

impl Limited {
    /// Whole seconds to wait, rounded up, at least 1.
    pub fn retry_after_secs(&self) -> u64 {
        let micros = self.retry_at.0.saturating_sub(self.now.0).max(1);
        micros.unsigned_abs().div_ceil(MICROS_PER_SECOND.unsigned_abs())
    }
}

#[cfg(test)]
mod tests;
