//! Events → sums, the same for the same events: rows come out sorted, whatever order the calls came in.
//!
//! One look into one table per call: what is summed by period and by key is made from those sums at the end.
//! Test calls cost 0 units and are in no period; they are in the usage rows, and touch their key.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{
    KeyTouch, PeriodRow, RefusedRow, Seal, SealedBatch, UsageRow, is_success,
};
use keytoll_domain::time::{Day, Timestamp};

use super::event::Charge;

/// The units a charge puts on the bill.
pub(super) fn billed_units(charge: &Charge) -> u64 {
    match charge.environment {
        Environment::Live => u64::from(charge.units_charged),
        Environment::Test => 0,
    }
}

/// All that decides in which rows a call is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key: KeyId,
    day: Day,
    operation: OperationKey,
    environment: Environment,
    subscription: SubscriptionId,
    period_start: Timestamp,
}

/// Key and operation tell nearly all places apart.
impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [_, key] = halves(self.key.to_bytes());
        state.write_u64(key);
        state.write_i64(self.operation.0);
    }
}

fn halves(id: [u8; 16]) -> [u64; 2] {
    let (halves, _) = id.as_chunks::<8>();
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}

#[derive(Default)]
struct Sum {
    calls: u64,
    successes: u64,
    units: u64,
    latency_micros: u64,
    last: Timestamp,
}

/// Sums of charges on their way to a batch.
#[derive(Default)]
pub(super) struct Fold(HashMap<Place, Sum>);

/// Sums by period of a subscription, for a batch or for the quota counters at start.
#[derive(Default)]
pub(super) struct Periods(BTreeMap<(SubscriptionId, Timestamp), (u64, u64)>);

impl Periods {
    pub(super) fn add(&mut self, charge: &Charge) {
        if charge.environment == Environment::Live {
            self.add_sum((charge.subscription, charge.period_start), 1, billed_units(charge));
        }
    }

    fn add_sum(&mut self, period: (SubscriptionId, Timestamp), calls: u64, units: u64) {
        let sum = self.0.entry(period).or_default();
        sum.0 += calls;
        sum.1 += units;
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

impl Fold {
    pub(super) fn add(&mut self, charge: &Charge) {
        let place = Place {
            key: charge.key,
            day: charge.at.day(),
            operation: charge.operation,
            environment: charge.environment,
            subscription: charge.subscription,
            period_start: charge.period_start,
        };
        let sum = self.0.entry(place).or_default();
        sum.calls += 1;
        sum.successes += u64::from(is_success(charge.status));
        sum.units += billed_units(charge);
        sum.latency_micros += u64::from(charge.latency_micros);
        sum.last = sum.last.max(charge.at);
    }

    /// About a third of the rows that the batch will have.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn batch(self, seals: Vec<Seal>, refused: Vec<RefusedRow>) -> SealedBatch {
        let mut sums: Vec<(Place, Sum)> = self.0.into_iter().collect();
        sums.sort_unstable_by_key(|(place, _)| *place);
        let mut usage: Vec<UsageRow> = Vec::with_capacity(sums.len());
        let mut touches: Vec<KeyTouch> = Vec::new();
        let mut periods = Periods::default();
        for (place, sum) in &sums {
            match usage.last_mut().filter(|row| same_row(row, place)) {
                Some(row) => add_usage(row, sum),
                None => usage.push(usage_row(place, sum)),
            }
            let live = place.environment == Environment::Live;
            let calls = if live { sum.calls } else { 0 };
            match touches.last_mut().filter(|touch| touch.key == place.key) {
                Some(touch) => {
                    touch.last_used_at = touch.last_used_at.max(sum.last);
                    touch.calls += calls;
                }
                None => touches.push(KeyTouch { key: place.key, last_used_at: sum.last, calls }),
            }
            if live {
                periods.add_sum((place.subscription, place.period_start), sum.calls, sum.units);
            }
        }
        SealedBatch { seals, usage, periods: periods.rows(), touches, refused }
    }
}

fn same_row(row: &UsageRow, place: &Place) -> bool {
    let of_row = (row.key, row.day, row.operation, row.environment);
    of_row == (place.key, place.day, place.operation, place.environment)
}

fn usage_row(place: &Place, sum: &Sum) -> UsageRow {
    UsageRow {
        key: place.key,
        day: place.day,
        operation: place.operation,
        environment: place.environment,
        calls: sum.calls,
        successes: sum.successes,
        units: sum.units,
        latency_micros: sum.latency_micros,
    }
}

fn add_usage(row: &mut UsageRow, sum: &Sum) {
    row.calls += sum.calls;
    row.successes += sum.successes;
    row.units += sum.units;
    row.latency_micros += sum.latency_micros;
}

#[cfg(test)]
mod tests;
