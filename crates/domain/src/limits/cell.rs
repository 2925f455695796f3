//! The counters of one product, one subscription (each per environment) or one key, and how a call passes all
//! of those it meets: first every one of them is asked, then every one is charged, or none.

use super::{
    CONCURRENCY_RETRY_MICROS, CellPolicy, LimitName, Limited, Owner, Standings, UNLIMITED,
    WINDOWS_MAX, Window,
};
use crate::period::Period;
use crate::time::{MICROS_PER_SECOND, Timestamp};

/// How long after the last time seen, beyond its longest window, a cell counts as idle, so that a clock that
/// then steps back by less finds no window opened again.
const IDLE_MICROS: i64 = 600 * MICROS_PER_SECOND;

/// Counters behind one lock. Only a subscription's cell knows periods, only a key's knows running calls.
#[derive(Clone, Debug)]
pub struct Cell {
    policy: CellPolicy,
    windows: Vec<(LimitName, Window)>,
    /// The latest time seen; earlier ones count as this one.
    clock: Timestamp,
    period: Period,
    period_secs: u32,
    running: u32,
    period_units: u64,
}

/// What is asked of the limits: `units` at `now`, which lies in `period`.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub units: u64,
    pub now: Timestamp,
    pub period: Period,
    /// Units of the period after which it has cost as much as it may.
    pub spend_cap_units: Option<u64>,
}

/// The cells of one call. A product or a key without limits needs none.
pub struct Cells<'a> {
    pub product: Option<&'a mut Cell>,
    pub subscription: &'a mut Cell,
    pub key: Option<&'a mut Cell>,
}

impl Cell {
    pub fn new(policy: CellPolicy) -> Self {
        let period = Period { start: Timestamp(0), end: Timestamp(0) };
        let windows = policy.windows().map(|(name, limit)| (name, new_window(name, limit)));
        Self {
            policy,
            windows: windows.collect(),
            clock: Timestamp(i64::MIN),
            period,
            period_secs: 0,
            running: 0,
            period_units: 0,
        }
    }

    pub fn policy(&self) -> &CellPolicy {
        &self.policy
    }

    /// Takes new limits. Calls already counted go on counting in windows that stay.
    #[inline]
    pub fn set_policy(&mut self, policy: &CellPolicy) {
        if self.policy != *policy {
            self.change_policy(policy);
        }
    }

    #[inline(never)]
    fn change_policy(&mut self, policy: &CellPolicy) {
        let mut old = std::mem::take(&mut self.windows);
        for (name, limit) in policy.windows() {
            let window = match old.iter().position(|(kept, _)| *kept == name) {
                Some(at) => {
                    let mut window = old.swap_remove(at).1;
                    window.set_limit(limit);
                    window
                }
                None => new_window(name, limit),
            };
            self.windows.push((name, window));
        }
        self.windows.shrink_to_fit();
        self.policy = *policy;
    }

    /// Counts a call of the past without asking: for rebuilding after a start, in order of time.
    pub fn record(&mut self, at: Timestamp, units: u64) {
        let at = self.tick(at);
        for (_, window) in &mut self.windows {
            window.record(at, units);
        }
    }

    /// Adds to the period's counter, from the store's sums and the journal, if it is the running period or a
    /// later one.
    pub fn add_period(&mut self, start: Timestamp, units: u64) {
        self.enter_period(Period { start, end: start });
        if start == self.period.start {
            self.period_units = self.period_units.saturating_add(units);
        }
    }

    /// Replaces the units that a call was admitted with by those it is charged, if that is fewer: the
    /// difference returns to quota and spend. The windows keep it. Without effect once the period has ended.
    pub fn settle(&mut self, period_start: Timestamp, admitted_units: u64, charged_units: u64) {
        if period_start == self.period.start {
            let unused = admitted_units.saturating_sub(charged_units);
            self.period_units = self.period_units.saturating_sub(unused);
        }
    }

    /// One running call has ended.
    pub fn release(&mut self) {
        debug_assert!(self.running > 0, "a place is given back once");
        self.running = self.running.saturating_sub(1);
    }

    pub fn running(&self) -> u32 {
        self.running
    }

    /// Units charged in the period that began at the given time.
    pub fn period_units(&self, period_start: Timestamp) -> u64 {
        if self.period.start == period_start { self.period_units } else { 0 }
    }

    /// Frees the windows if nothing in them can matter any more; true when nothing else does either, so that
    /// the cell may be dropped.
    pub fn shed(&mut self, now: Timestamp) -> bool {
        let longest = self.windows.iter().map(|(_, window)| window.length_micros()).max();
        let longest = longest.unwrap_or(0);
        // Counted buckets stay a 64th longer, or until a change of the log two.
        let stay = longest + longest / 32 + IDLE_MICROS;
        if self.running > 0 || now < self.clock.plus_micros(stay) {
            return false;
        }
        self.windows = Vec::new();
        // Unequal to a policy with windows, so that the next call makes them again.
        self.policy.windows = [UNLIMITED; WINDOWS_MAX];
        self.period_units == 0
    }

    #[inline]
    fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.clock
    }

    #[inline]
    fn enter_period(&mut self, period: Period) {
        if period.start > self.period.start {
            self.period_units = 0;
        } else if period.start < self.period.start || period.end <= self.period.end {
            return;
        }
        self.period = period;
        self.period_secs = u32::try_from(period.seconds()).unwrap_or(u32::MAX);
    }

    /// Whether the call fits all limits of the cell; changes nothing but time.
    #[inline]
    fn fits(&mut self, ask: &Ask) -> bool {
        let now = self.tick(ask.now);
        let mut fits = self.running < self.policy.concurrency;
        for (_, window) in &mut self.windows {
            fits &= window.fits(now, ask.units);
        }
        if self.policy.owner == Owner::Subscription {
            self.enter_period(ask.period);
            fits &= self.period_units.saturating_add(ask.units) <= self.most_units(ask);
        }
        fits
    }

    /// Units a period may have before quota or spend cap refuse.
    #[inline]
    fn most_units(&self, ask: &Ask) -> u64 {
        let quota = if self.policy.quota_is_hard { self.policy.quota } else { UNLIMITED };
        quota.min(ask.spend_cap_units.unwrap_or(UNLIMITED))
    }

    /// The violated limit that takes longest to admit the call, if any is violated.
    #[inline(never)]
    fn refusal(&mut self, ask: &Ask) -> Option<Limited> {
        let now = self.clock;
        let mut worst = None;
        for (name, window) in &mut self.windows {
            if let Some(retry_at) = window.refusal(now, ask.units) {
                let (limit, remaining) = (window.limit(), window.remaining(now));
                keep_longer(&mut worst, Limited { name: *name, limit, remaining, retry_at, now });
            }
        }
        if self.running >= self.policy.concurrency {
            let (name, limit) = (LimitName::Concurrency, u64::from(self.policy.concurrency));
            let retry_at = now.plus_micros(CONCURRENCY_RETRY_MICROS);
            keep_longer(&mut worst, Limited { name, limit, remaining: 0, retry_at, now });
        }
        if self.policy.owner != Owner::Subscription {
            return worst;
        }
        let quota = if self.policy.quota_is_hard { self.policy.quota } else { UNLIMITED };
        let spend_cap = ask.spend_cap_units.unwrap_or(UNLIMITED);
        for (name, limit) in [(LimitName::Quota, quota), (LimitName::SpendCap, spend_cap)] {
            let remaining = limit.saturating_sub(self.period_units);
            if limit != UNLIMITED && ask.units > remaining {
                let retry_at = self.period.end;
                keep_longer(&mut worst, Limited { name, limit, remaining, retry_at, now });
            }
        }
        worst
    }

    /// Counts the call that fits and says where the limits stand.
    #[inline]
    fn charge(&mut self, units: u64, into: &mut Standings) {
        let now = self.clock;
        for (name, window) in &mut self.windows {
            let (remaining, reset) = window.charge(now, units);
            if self.policy.owner != Owner::Product {
                into.push(*name, window.limit(), remaining, reset);
            }
        }
        match self.policy.owner {
            Owner::Product => {}
            Owner::Subscription => {
                self.period_units = self.period_units.saturating_add(units);
                self.stand_with_quota(into);
            }
            Owner::Key => self.running += u32::from(self.policy.limits_concurrency()),
        }
    }

    fn stand(&mut self, now: Timestamp, into: &mut Standings) {
        let now = self.tick(now);
        for (name, window) in &mut self.windows {
            into.push(*name, window.limit(), window.remaining(now), window.next_free(now));
        }
        self.stand_with_quota(into);
    }

    #[inline]
    fn stand_with_quota(&self, into: &mut Standings) {
        let limit = self.policy.quota;
        if limit != UNLIMITED {
            into.set_period_secs(self.period_secs);
            let remaining = limit.saturating_sub(self.period_units);
            into.push(LimitName::Quota, limit, remaining, self.period.end);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let windows = self.windows.capacity() * size_of::<(LimitName, Window)>();
        let logs: usize = self.windows.iter().map(|(_, window)| window.heap_bytes()).sum();
        size_of::<Self>() + windows + logs
    }
}

/// Admits the call in all limits of its cells, or in none. Adds to `into` where each limit but the product's
/// stands then, and answers the start of the period that was charged, which a clock that steps back cannot move.
#[inline]
pub fn admit(cells: &mut Cells<'_>, ask: &Ask, into: &mut Standings) -> Result<Timestamp, Limited> {
    let mut fits = cells.subscription.fits(ask);
    if let Some(product) = &mut cells.product {
        fits &= product.fits(ask);
    }
    if let Some(key) = &mut cells.key {
        fits &= key.fits(ask);
    }
    if !fits && let Some(limited) = refusal(cells, ask) {
        return Err(limited);
    }
    if let Some(product) = &mut cells.product {
        product.charge(ask.units, into);
    }
    cells.subscription.charge(ask.units, into);
    if let Some(key) = &mut cells.key {
        key.charge(ask.units, into);
    }
    Ok(cells.subscription.period.start)
}

/// Where the cells of the subscription and the key stand now. Consumes nothing.
pub fn standings(cells: &mut Cells<'_>, period: Period, now: Timestamp) -> Standings {
    let mut all = Standings::default();
    cells.subscription.enter_period(period);
    cells.subscription.stand(now, &mut all);
    if let Some(key) = &mut cells.key {
        key.stand(now, &mut all);
    }
    all
}

fn refusal(cells: &mut Cells<'_>, ask: &Ask) -> Option<Limited> {
    let product = cells.product.as_deref_mut();
    let key = cells.key.as_deref_mut();
    let mut worst = None;
    for cell in [product, Some(&mut *cells.subscription), key].into_iter().flatten() {
        if let Some(limited) = cell.refusal(ask) {
            keep_longer(&mut worst, limited);
        }
    }
    worst
}

/// Keeps of two refusals the one that lasts longer; of equal ones the first.
fn keep_longer(worst: &mut Option<Limited>, other: Limited) {
    if worst.is_none_or(|worst| worst.retry_at < other.retry_at) {
        *worst = Some(other);
    }
}

fn new_window(name: LimitName, limit: u64) -> Window {
    let secs = name.window_secs().expect("only windows are built from window limits");
    Window::new(i64::from(secs) * MICROS_PER_SECOND, limit)
}
