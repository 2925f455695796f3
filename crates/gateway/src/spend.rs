//! A subscription's spend cap in units.
//!
//! Two numbers serve for good: a first period that is cut short has its own, every whole period the same one,
//! however long its month is. They are looked for at the subscription's first call under the cap, not at
//! start, where there may be very many.

use std::sync::OnceLock;

use keytoll_domain::period::{BilledPeriod, period_at};
use keytoll_domain::rating::{PlanPrice, units_within};
use keytoll_domain::subscription::Subscription;

use crate::cells::SpendCap;

pub(crate) struct Spend {
    /// In the currency's minor units.
    pub cap_minor: u64,
    price: PlanPrice,
    first: BilledPeriod,
    units: OnceLock<SpendCap>,
}

impl Spend {
    pub(crate) fn new(cap_minor: u64, price: PlanPrice, subscription: &Subscription) -> Self {
        let full = period_at(subscription.anchor, subscription.started_at);
        let period = full.cut(subscription.started_at, None).unwrap_or(full);
        let first = BilledPeriod { period, full };
        Self { cap_minor, price, first, units: OnceLock::new() }
    }

    pub(crate) fn units(&self) -> SpendCap {
        *self.units.get_or_init(|| {
            let full = self.first.full;
            let whole = BilledPeriod { period: full, full };
            SpendCap {
                period_start: full.start,
                units: units_within(&self.price, self.cap_minor, self.first),
                otherwise: units_within(&self.price, self.cap_minor, whole),
            }
        })
    }
}
