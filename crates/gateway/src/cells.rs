//! The counters of limits: one cell per product and environment, per subscription and environment, per key.
//!
//! Each cell stands behind one short lock, taken in the order product, subscription, key, and never held across
//! an await. State is made at first use. Time within a cell never goes back.

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

use keytoll_domain::limits::{self, Ask, Cell, CellPolicy, Cells, Limited, Standings};
use keytoll_domain::period::{Anchor, Period, period_at};
use keytoll_domain::time::Timestamp;

/// A cell that exists once somebody has counted in it.
#[derive(Default)]
pub(crate) struct LazyCell(Mutex<Slot>);

type Slot = Option<Box<Counted>>;

struct Counted {
    cell: Cell,
    /// The period of the latest call, so that the calendar is not asked every time.
    period: Option<(Anchor, Period)>,
}

/// An admitted call's place in the counters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Admitted {
    pub standings: Standings,
    /// Start of the period whose quota and spend were charged.
    pub period_start: Timestamp,
    /// Whether the call takes one of the places the key has for running calls, to be given back at its end.
    pub holds_place: bool,
}

/// What the cells are asked to keep, and whose periods count.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub product: CellPolicy,
    pub subscription: CellPolicy,
    pub key: CellPolicy,
    pub anchor: Anchor,
    pub spend_cap: Option<SpendCap>,
}

/// Units of a period after which it has cost as much as its partner allows. The period named, which may be
/// shorter or have other included calls, has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpendCap {
    pub period_start: Timestamp,
    pub units: u64,
    /// In every other period.
    pub otherwise: u64,
}

impl SpendCap {
    fn units_in(&self, period: Period) -> u64 {
        if period.start == self.period_start { self.units } else { self.otherwise }
    }
}

impl LazyCell {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // A panic while counting leaves the counters as they are, which is still a valid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of the past; for rebuilding before the first request, in order of time.
    pub(crate) fn record(&self, policy: &CellPolicy, at: Timestamp, units: u64) {
        counted(&mut self.lock(), policy).cell.record(at, units);
    }

    pub(crate) fn add_period(&self, policy: &CellPolicy, start: Timestamp, units: u64) {
        counted(&mut self.lock(), policy).cell.add_period(start, units);
    }

    pub(crate) fn period_units(&self, period_start: Timestamp) -> u64 {
        self.lock().as_ref().map_or(0, |counted| counted.cell.period_units(period_start))
    }

    /// Gives the place of a running call back; once for each call that holds one.
    pub(crate) fn release(&self) {
        if let Some(counted) = self.lock().as_mut() {
            counted.cell.release();
        }
    }

    /// Frees counters that no longer matter. A cell with running calls stays.
    pub(crate) fn drop_idle(&self, now: Timestamp) {
        let mut slot = self.lock();
        if slot.as_mut().is_some_and(|counted| counted.cell.shed(now)) {
            *slot = None;
        }
    }
}

impl Admitted {
    /// Returns what a call was admitted with and is not charged to quota and spend of its period. The places
    /// in the windows stay used.
    pub(crate) fn settle(&self, subscription: &LazyCell, admitted_units: u64, charged_units: u64) {
        if charged_units < admitted_units
            && let Some(counted) = subscription.lock().as_mut()
        {
            counted.cell.settle(self.period_start, admitted_units, charged_units);
        }
    }
}

/// Admits the call in all limits of all cells, or in none. A place that it takes must be released at its end.
#[inline]
pub(crate) fn admit(
    product: Option<&LazyCell>,
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    units: u64,
    now: Timestamp,
) -> Result<Admitted, Limited> {
    with_cells(product, subscription, key, terms, now, |cells, period| {
        let spend_cap_units = terms.spend_cap.map(|cap| cap.units_in(period));
        let ask = Ask { units, now, period, spend_cap_units };
        let mut admitted = Admitted::default();
        admitted.period_start = limits::admit(cells, &ask, &mut admitted.standings)?;
        admitted.holds_place = terms.key.limits_concurrency();
        Ok(admitted)
    })
}

/// Where the cells that a partner may see stand now. Consumes nothing.
pub(crate) fn standings(
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    now: Timestamp,
) -> Standings {
    with_cells(None, subscription, key, terms, now, |cells, period| {
        limits::standings(cells, period, now)
    })
}

#[inline]
fn with_cells<T>(
    product: Option<&LazyCell>,
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    now: Timestamp,
    with: impl FnOnce(&mut Cells<'_>, Period) -> T,
) -> T {
    let product = product.filter(|_| !terms.product.is_unlimited());
    let mut product = product.map(LazyCell::lock);
    let mut subscription = subscription.lock();
    let mut key = if terms.key.is_unlimited() { None } else { Some(key.lock()) };
    let subscription = counted(&mut subscription, &terms.subscription);
    let period = subscription.period_of(terms.anchor, now);
    let mut cells = Cells {
        product: product.as_mut().map(|slot| &mut counted(slot, &terms.product).cell),
        subscription: &mut subscription.cell,
        key: key.as_mut().map(|slot| &mut counted(slot, &terms.key).cell),
    };
    with(&mut cells, period)
}

#[inline]
fn counted<'s>(slot: &'s mut Slot, policy: &CellPolicy) -> &'s mut Counted {
    let counted = slot.get_or_insert_with(|| new_counted(policy));
    counted.cell.set_policy(policy);
    counted
}

#[cold]
fn new_counted(policy: &CellPolicy) -> Box<Counted> {
    Box::new(Counted { cell: Cell::new(*policy), period: None })
}

impl Counted {
    #[inline]
    fn period_of(&mut self, anchor: Anchor, now: Timestamp) -> Period {
        match self.period {
            Some((known, period)) if known == anchor && period.contains(now) => period,
            _ => self.period.insert((anchor, period_at(anchor, now))).1,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
