//! Events → sums, the same for the same events: a seal that is offered again carries the same batch.
//!
//! Test calls cost 0 units and are in no period; they are in the usage rows, and touch their key.

use std::collections::BTreeMap;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{KeyTouch, PeriodRow, RefusedRow, Seal, SealedBatch, UsageRow};
use keytoll_domain::time::{Day, Timestamp};

use super::event::{Charge, Event, Slot};

/// The units a charge puts on the bill.
pub(super) fn billed_units(charge: &Charge) -> u64 {
    match charge.environment {
        Environment::Live => u64::from(charge.units_charged),
        Environment::Test => 0,
    }
}

#[derive(Default)]
struct Sum {
    calls: u64,
    successes: u64,
    units: u64,
    latency_micros: u64,
}

/// Sums of charges; ordered maps, so that rows come out in one order.
#[derive(Default)]
struct Sums {
    usage: BTreeMap<(KeyId, Day, OperationKey, Environment), Sum>,
    periods: Periods,
    touches: BTreeMap<KeyId, (Timestamp, u64)>,
}

/// Sums by period of a subscription, for a batch or for the quota counters at start.
#[derive(Default)]
pub(super) struct Periods(BTreeMap<(SubscriptionId, Timestamp), (u64, u64)>);

impl Periods {
    pub(super) fn add(&mut self, charge: &Charge) {
        if charge.environment == Environment::Live {
            let (calls, units) =
                self.0.entry((charge.subscription, charge.period_start)).or_default();
            *calls += 1;
            *units += billed_units(charge);
        }
    }

    pub(super) fn rows(self) -> Vec<PeriodRow> {
        let row = |((subscription, period_start), (calls, units))| PeriodRow {
            subscription,
            period_start,
            calls,
            units,
        };
        self.0.into_iter().map(row).collect()
    }
}

impl Sums {
    fn add(&mut self, charge: &Charge) {
        let by = (charge.key, charge.at.day(), charge.operation, charge.environment);
        let usage = self.usage.entry(by).or_default();
        usage.calls += 1;
        usage.successes += u64::from((200..300).contains(&charge.status));
        usage.units += billed_units(charge);
        usage.latency_micros += u64::from(charge.latency_micros);
        self.periods.add(charge);
        let (last, calls) = self.touches.entry(charge.key).or_insert((charge.at, 0));
        *last = charge.at.max(*last);
        *calls += u64::from(charge.environment == Environment::Live);
    }
}

/// The batch of a seal; slots that hold no event count nothing.
pub(super) fn fold(
    seal: Seal,
    slots: impl Iterator<Item = Slot>,
    refused: Vec<RefusedRow>,
) -> SealedBatch {
    let mut sums = Sums::default();
    for slot in slots {
        if let Slot::Event(Event::Charge(charge)) = slot {
            sums.add(&charge);
        }
    }
    let usage = sums.usage.into_iter().map(|((key, day, operation, environment), sum)| UsageRow {
        key,
        day,
        operation,
        environment,
        calls: sum.calls,
        successes: sum.successes,
        units: sum.units,
        latency_micros: sum.latency_micros,
    });
    let touches = sums.touches.into_iter();
    let touches = touches.map(|(key, (last_used_at, calls))| KeyTouch { key, last_used_at, calls });
    SealedBatch {
        seal,
        usage: usage.collect(),
        touches: touches.collect(),
        periods: sums.periods.rows(),
        refused,
    }
}

#[cfg(test)]
mod tests;
