//! Limits: sliding windows and quotas, checked and charged together or not at all.
//!
//! Promise: in no trailing window (t − W, t] are more units admitted than the limit says, and a call is
//! refused only if admitting it would pass the limit in a trailing window of W × 65/64 (exactly W for
//! limits up to 64 units). A cell's time never goes back. A refusal changes nothing.

mod window;

pub use window::{BUCKETS, EXACT_MAX, Window};

use crate::catalog::{Quota, WindowLimits};
use crate::period::Period;
use crate::time::{MICROS_PER_SECOND, Timestamp};

/// Most limits one call can meet: four windows of the subscription, the key's own, the quota.
pub const LIMITS_MAX: usize = 6;

/// Names of limits, the same in headers, answers and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitName {
    Second,
    Minute,
    Hour,
    Day,
    KeyMinute,
    Quota,
}

impl LimitName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::KeyMinute => "key_minute",
            Self::Quota => "quota",
        }
    }

    /// Length of the window in microseconds; a quota's length is that of its period.
    pub fn window_micros(self) -> Option<i64> {
        let secs = match self {
            Self::Second => 1,
            Self::Minute | Self::KeyMinute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Quota => return None,
        };
        Some(secs * MICROS_PER_SECOND)
    }
}

/// Which limits a cell keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellPolicy {
    pub windows: WindowLimits,
    pub key_minute: Option<u64>,
    pub quota: Option<Quota>,
}

impl CellPolicy {
    fn windows(&self) -> impl Iterator<Item = (LimitName, u64)> {
        let WindowLimits { second, minute, hour, day } = self.windows;
        [
            (LimitName::Second, second),
            (LimitName::Minute, minute),
            (LimitName::Hour, hour),
            (LimitName::Day, day),
            (LimitName::KeyMinute, self.key_minute),
        ]
        .into_iter()
        .filter_map(|(name, limit)| limit.map(|limit| (name, limit)))
    }
}

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

/// Standings of all limits a call met, without allocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standings {
    entries: [Option<Standing>; LIMITS_MAX],
    len: usize,
}

impl Standings {
    fn push(&mut self, standing: Standing) {
        if let Some(entry) = self.entries.get_mut(self.len) {
            *entry = Some(standing);
            self.len += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.entries.iter().flatten()
    }

    /// The limit with the fewest units remaining.
    pub fn tightest(&self) -> Option<&Standing> {
        self.iter().min_by_key(|standing| standing.remaining)
    }
}

/// Counters of one subscription (per environment) or of one key.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    policy: CellPolicy,
    windows: Vec<(LimitName, Window)>,
    /// The latest time seen; earlier ones count as this one.
    clock: Timestamp,
    period_start: Timestamp,
    period_units: u64,
}

/// What is asked of the limits: `units` at `now`, which lies in `period`.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub units: u64,
    pub now: Timestamp,
    pub period: Period,
}

impl Cell {
    pub fn new(policy: CellPolicy) -> Self {
        let windows = policy.windows().map(|(name, limit)| (name, new_window(name, limit)));
        Self { policy, windows: windows.collect(), ..Self::default() }
    }

    pub fn policy(&self) -> &CellPolicy {
        &self.policy
    }

    /// Takes new limits. Calls already counted go on counting in windows that stay.
    pub fn set_policy(&mut self, policy: CellPolicy) {
        if self.policy == policy {
            return;
        }
        let old = std::mem::take(&mut self.windows);
        for (name, limit) in policy.windows() {
            let kept = old.iter().find(|(kept, _)| *kept == name);
            let window = kept.map(|(_, window)| window.resized(limit));
            self.windows.push((name, window.unwrap_or_else(|| new_window(name, limit))));
        }
        self.policy = policy;
    }

    /// Counts a call of the past without asking: for rebuilding after a start, in order of time.
    pub fn record(&mut self, at: Timestamp, units: u64) {
        let at = self.tick(at);
        for (_, window) in &mut self.windows {
            window.record(at, units);
        }
    }

    /// Sets the period's counter, from the store's sums and the journal.
    pub fn set_period(&mut self, start: Timestamp, units: u64) {
        self.period_start = start;
        self.period_units = units;
    }

    /// Adds to the period's counter if it is the running one or a later one.
    pub fn add_period(&mut self, start: Timestamp, units: u64) {
        self.enter_period(start);
        if start == self.period_start {
            self.period_units = self.period_units.saturating_add(units);
        }
    }

    /// Gives back quota of a call that turned out to cost nothing. The windows keep it.
    pub fn refund(&mut self, period_start: Timestamp, units: u64) {
        if period_start == self.period_start {
            self.period_units = self.period_units.saturating_sub(units);
        }
    }

    /// Units charged in the period that began at the given time.
    pub fn period_units(&self, period_start: Timestamp) -> u64 {
        if self.period_start == period_start { self.period_units } else { 0 }
    }

    /// True when nothing that was counted matters any more, so that the cell may be dropped.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.period_units == 0 && self.windows.iter().all(|(_, window)| window.is_idle(now))
    }

    fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.clock
    }

    fn enter_period(&mut self, start: Timestamp) {
        if start > self.period_start {
            self.period_start = start;
            self.period_units = 0;
        }
    }

    /// The violated limit that takes longest to admit the call, if any is violated.
    fn check(&mut self, ask: &Ask) -> Option<Limited> {
        let now = self.tick(ask.now);
        self.enter_period(ask.period.start);
        let mut worst: Option<Limited> = None;
        for (name, window) in &mut self.windows {
            if let Some(retry_at) = window.refusal(now, ask.units) {
                let (limit, remaining) = (window.limit(), window.remaining(now));
                let limited = Limited { name: *name, limit, remaining, retry_at, now };
                worst = Some(later(worst, limited));
            }
        }
        if let Some(quota) = self.policy.quota.filter(|quota| quota.hard) {
            let remaining = quota.units.saturating_sub(self.period_units);
            if ask.units > remaining {
                let (name, limit) = (LimitName::Quota, quota.units);
                let limited = Limited { name, limit, remaining, retry_at: ask.period.end, now };
                worst = Some(later(worst, limited));
            }
        }
        worst
    }

    fn charge(&mut self, units: u64) {
        let now = self.clock;
        for (_, window) in &mut self.windows {
            window.record(now, units);
        }
        self.period_units = self.period_units.saturating_add(units);
    }

    fn standings(&mut self, period: Period, now: Timestamp, into: &mut Standings) {
        let now = self.tick(now);
        for (name, window) in &mut self.windows {
            let micros = name.window_micros().unwrap_or(MICROS_PER_SECOND);
            into.push(Standing {
                name: *name,
                limit: window.limit(),
                remaining: window.remaining(now),
                reset: window.next_free(now),
                window_secs: (micros / MICROS_PER_SECOND).unsigned_abs(),
            });
        }
        if let Some(quota) = self.policy.quota {
            let used = self.period_units(period.start.max(self.period_start));
            into.push(Standing {
                name: LimitName::Quota,
                limit: quota.units,
                remaining: quota.units.saturating_sub(used),
                reset: period.end,
                window_secs: period.seconds(),
            });
        }
    }
}

/// Admits the call in all limits of both cells, or in none. On success answers where each limit stands
/// and the period the quota was charged to, which a clock that steps back cannot move.
pub fn admit(
    subscription: &mut Cell,
    key: &mut Cell,
    ask: &Ask,
) -> Result<(Standings, Timestamp), Limited> {
    let refused = subscription.check(ask);
    let refused = match (refused, key.check(ask)) {
        (Some(one), Some(two)) => Some(later(Some(one), two)),
        (one, two) => one.or(two),
    };
    if let Some(limited) = refused {
        return Err(limited);
    }
    subscription.charge(ask.units);
    key.charge(ask.units);
    Ok((standings(subscription, key, ask.period, ask.now), subscription.period_start))
}

/// Where both cells stand now. Consumes nothing.
pub fn standings(
    subscription: &mut Cell,
    key: &mut Cell,
    period: Period,
    now: Timestamp,
) -> Standings {
    let mut all = Standings::default();
    subscription.standings(period, now, &mut all);
    key.standings(period, now, &mut all);
    all
}

/// Of two refusals the one that lasts longer.
fn later(one: Option<Limited>, two: Limited) -> Limited {
    one.filter(|one| one.retry_at >= two.retry_at).unwrap_or(two)
}

fn new_window(name: LimitName, limit: u64) -> Window {
    let micros = name.window_micros().expect("only windows are built from window limits");
    Window::new(micros, limit)
}

#[cfg(test)]
mod tests;
