use proptest::prelude::*;

use super::*;
use crate::journal::event::{End, Event, Slot};
use crate::journal::tests::rig::{START, call, end_of};

fn seal() -> Seal {
    Seal {
        node: "node-a".into(),
        sequence: 1,
        segment: "0-00000001.seg".into(),
        first: 0,
        count: 0,
        previous: String::new(),
        sha256: String::new(),
        sealed_at: START,
    }
}

fn fold(seal: Seal, slots: impl Iterator<Item = Slot>, refused: Vec<RefusedRow>) -> SealedBatch {
    let mut fold = Fold::default();
    for slot in slots {
        if let Slot::Event(Event::Charge(charge)) = slot {
            fold.add(&charge);
        }
    }
    fold.batch(vec![seal], refused)
}

fn slots(charges: &[Charge]) -> impl Iterator<Item = Slot> {
    charges.iter().map(|charge| Slot::Event(Event::Charge(*charge)))
}

#[test]
fn fold_keeps_test_calls_out_of_periods_units_and_totals() {
    let live = call(1, 1);
    let test = Charge { environment: Environment::Test, units_charged: 9, ..call(1, 2) };
    let batch = fold(seal(), slots(&[live, test]), Vec::new());
    let row = |row: &UsageRow| (row.environment, row.calls, row.units);
    let rows: Vec<_> = batch.usage.iter().map(row).collect();
    assert_eq!(rows, [(Environment::Live, 1, 1), (Environment::Test, 1, 0)]);
    assert_eq!(batch.periods.len(), 1);
    assert_eq!((batch.periods[0].calls, batch.periods[0].units), (1, 1));
    assert_eq!(batch.touches, [KeyTouch { key: live.key, last_used_at: test.at, calls: 1 }]);
}

#[test]
fn fold_counts_success_only_for_2xx_and_skips_what_is_no_charge() {
    let charges = [199, 200, 299, 300, 499, 502].map(|status| Charge { status, ..call(1, 1) });
    let end: End = end_of(&call(1, 1));
    let more = [Slot::Bad, Slot::Empty, Slot::Event(Event::End(end))];
    let batch = fold(seal(), slots(&charges).chain(more), Vec::new());
    assert_eq!((batch.usage[0].calls, batch.usage[0].successes), (6, 2));
    assert_eq!(batch.usage[0].latency_micros, 60);
}

#[test]
fn fold_takes_the_day_of_admission() {
    let night = Charge { at: Timestamp(86_400_000_000 - 1), ..call(1, 1) };
    let morning = Charge { at: Timestamp(86_400_000_000), ..call(1, 1) };
    let batch = fold(seal(), slots(&[night, morning]), Vec::new());
    let days: Vec<_> = batch.usage.iter().map(|row| row.day.0).collect();
    assert_eq!(days, [0, 1]);
}

#[test]
fn fold_puts_calls_of_two_periods_into_one_row_of_usage() {
    let next = Charge { period_start: START.plus_days(1), at: START.plus_secs(9), ..call(1, 2) };
    let batch = fold(seal(), slots(&[call(1, 1), next]), Vec::new());
    assert_eq!((batch.usage.len(), batch.usage[0].calls, batch.periods.len()), (1, 2, 2));
    let touch = KeyTouch { key: next.key, last_used_at: next.at, calls: 2 };
    assert_eq!(batch.touches, [touch]);
}

proptest! {
    /// However the rows are cut, they sum to the same calls and units; and order does not matter.
    #[test]
    fn fold_conserves_calls_and_units(calls in proptest::collection::vec((0..4_u8, 0..3_u32, any::<bool>()), 0..60)) {
        let charge = |(who, units, test): &(u8, u32, bool)| Charge {
            units_charged: *units,
            environment: if *test { Environment::Test } else { Environment::Live },
            ..call(*who, u64::from(*units))
        };
        let mut charges: Vec<_> = calls.iter().map(charge).collect();
        let batch = fold(seal(), slots(&charges), Vec::new());
        let live = calls.iter().filter(|(_, _, test)| !test);
        let units: u64 = live.clone().map(|(_, units, _)| u64::from(*units)).sum();
        prop_assert_eq!(batch.usage.iter().map(|row| row.calls).sum::<u64>(), calls.len() as u64);
        prop_assert_eq!(batch.usage.iter().map(|row| row.units).sum::<u64>(), units);
        prop_assert_eq!(batch.periods.iter().map(|row| row.units).sum::<u64>(), units);
        prop_assert_eq!(batch.touches.iter().map(|row| row.calls).sum::<u64>(), live.count() as u64);
        charges.reverse();
        prop_assert_eq!(fold(seal(), slots(&charges), Vec::new()), batch);
    }
}
