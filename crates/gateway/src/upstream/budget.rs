//! How many of a product's calls a core may send again: a share of its calls of about the last ten seconds, so that
//! an upstream in trouble is not given more to do than usual.

use std::cell::RefCell;
use std::time::Duration;

use crate::server::deadline::TICK;

/// Two of these are looked at: the current and the one before.
const SPAN: Duration = Duration::from_secs(5);
/// So many repeats are allowed however few calls there are.
const FLOOR: u64 = 5;

/// By the product's index.
#[derive(Default)]
pub(super) struct Budgets(RefCell<Vec<Budget>>);

#[derive(Clone, Copy, Default)]
struct Budget {
    span: u64,
    now: Counts,
    before: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    calls: u64,
    repeats: u64,
}

impl Budgets {
    pub(super) fn called(&self, product: u32, tick: u64) {
        self.with(product, tick, |budget| budget.now.calls += 1);
    }

    /// Whether a call may be sent again, which then counts.
    pub(super) fn take(&self, product: u32, tick: u64, percent: u8) -> bool {
        self.with(product, tick, |budget| {
            let calls = budget.now.calls + budget.before.calls;
            let repeats = budget.now.repeats + budget.before.repeats;
            let allowed = percent > 0 && repeats < FLOOR.max(calls * u64::from(percent) / 100);
            budget.now.repeats += u64::from(allowed);
            allowed
        })
    }

    fn with<T>(&self, product: u32, tick: u64, act: impl FnOnce(&mut Budget) -> T) -> T {
        let mut all = self.0.borrow_mut();
        let index = product as usize;
        if all.len() <= index {
            all.resize(index + 1, Budget::default());
        }
        let budget = &mut all[index];
        budget.turn(tick / ticks_per_span());
        act(budget)
    }
}

impl Budget {
    fn turn(&mut self, span: u64) {
        if self.span == span {
            return;
        }
        self.before = if self.span + 1 == span { self.now } else { Counts::default() };
        self.now = Counts::default();
        self.span = span;
    }
}

fn ticks_per_span() -> u64 {
    u64::try_from(SPAN.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
