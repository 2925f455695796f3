//! The counters of limits: one cell per subscription and environment, one per key.
//!
//! Each cell stands behind one short lock, taken in the order subscription, then key, and never held across an
//! await. State is made at first use. Time within a cell never goes back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keytoll_domain::limits::{self, Ask, Cell, CellPolicy, Limited, Standings};
use keytoll_domain::period::{Anchor, Period, period_at};
use keytoll_domain::time::Timestamp;

/// A cell that exists once somebody has counted in it.
#[derive(Default)]
pub(crate) struct LazyCell(Mutex<Option<Box<Counted>>>);

struct Counted {
    cell: Cell,
    /// The period of the latest call, so that the calendar is not asked every time.
    period: Option<(Anchor, Period)>,
}

/// An admitted call's place in the counters.
#[derive(Clone, Copy)]
pub(crate) struct Admitted {
    pub standings: Standings,
    pub period_start: Timestamp,
}

/// What the two cells are asked to keep, and whose periods count.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub subscription: CellPolicy,
    pub key: CellPolicy,
    pub anchor: Anchor,
}

impl LazyCell {
    fn lock(&self) -> MutexGuard<'_, Option<Box<Counted>>> {
        // A panic while counting leaves the counters as they are, which is still a valid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of the past; for rebuilding before the first request, in order of time.
    pub(crate) fn record(&self, policy: CellPolicy, at: Timestamp, units: u64) {
        counted(&mut self.lock(), policy).cell.record(at, units);
    }

    pub(crate) fn add_period(&self, policy: CellPolicy, start: Timestamp, units: u64) {
        counted(&mut self.lock(), policy).cell.add_period(start, units);
    }

    /// Gives quota back; the window place stays used.
    pub(crate) fn refund(&self, period_start: Timestamp, units: u64) {
        if let Some(counted) = self.lock().as_mut() {
            counted.cell.refund(period_start, units);
        }
    }

    pub(crate) fn period_units(&self, period_start: Timestamp) -> u64 {
        self.lock().as_ref().map_or(0, |counted| counted.cell.period_units(period_start))
    }

    /// Drops counters that no longer matter.
    pub(crate) fn drop_idle(&self, now: Timestamp) {
        let mut slot = self.lock();
        if let Some(counted) = slot.as_mut()
            && counted.cell.policy().key_minute.is_some()
        {
            // A key has no quota, so that its sum of the period decides nothing.
            counted.cell.set_period(Timestamp::default(), 0);
        }
        if slot.as_ref().is_some_and(|counted| counted.cell.is_idle(now)) {
            *slot = None;
        }
    }
}

/// Admits the call in all limits of both cells, or in none.
pub(crate) fn admit(
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    units: u64,
    now: Timestamp,
) -> Result<Admitted, Limited> {
    with_both(subscription, key, terms, now, |subscription, key, period| {
        let ask = Ask { units, now, period };
        limits::admit(subscription, key, &ask)
            .map(|(standings, period_start)| Admitted { standings, period_start })
    })
}

/// Where both cells stand now. Consumes nothing.
pub(crate) fn standings(
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    now: Timestamp,
) -> Standings {
    with_both(subscription, key, terms, now, |subscription, key, period| {
        limits::standings(subscription, key, period, now)
    })
}

fn with_both<T>(
    subscription: &LazyCell,
    key: &LazyCell,
    terms: &Terms,
    now: Timestamp,
    with: impl FnOnce(&mut Cell, &mut Cell, Period) -> T,
) -> T {
    let mut subscription = subscription.lock();
    let subscription = counted(&mut subscription, terms.subscription);
    let period = subscription.period_of(terms.anchor, now);
    if terms.key.key_minute.is_none() {
        return with(&mut subscription.cell, &mut Cell::default(), period);
    }
    let mut key = key.lock();
    let key = counted(&mut key, terms.key);
    with(&mut subscription.cell, &mut key.cell, period)
}

fn counted(slot: &mut Option<Box<Counted>>, policy: CellPolicy) -> &mut Counted {
    let new = || Box::new(Counted { cell: Cell::new(policy), period: None });
    let counted = slot.get_or_insert_with(new);
    counted.cell.set_policy(policy);
    counted
}

impl Counted {
    fn period_of(&mut self, anchor: Anchor, now: Timestamp) -> Period {
        match self.period {
            Some((known, period)) if known == anchor && period.contains(now) => period,
            _ => self.period.insert((anchor, period_at(anchor, now))).1,
        }
    }
}
