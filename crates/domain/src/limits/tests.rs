use proptest::prelude::*;

use super::*;
use crate::period::{Anchor, period_at};

const SECOND: i64 = MICROS_PER_SECOND;

fn ask(at: i64, units: u64) -> Ask {
    let now = Timestamp(at);
    Ask { units, now, period: period_at(Anchor::Calendar, now) }
}

fn windows(minute: Option<u64>) -> CellPolicy {
    CellPolicy {
        windows: WindowLimits { minute, ..WindowLimits::default() },
        ..CellPolicy::default()
    }
}

fn call(cell: &mut Cell, at: i64, units: u64) -> Result<Standings, Limited> {
    admit(cell, &mut Cell::default(), &ask(at, units)).map(|(standings, _)| standings)
}

#[test]
fn an_entry_one_window_old_no_longer_counts() {
    let mut cell = Cell::new(windows(Some(3)));
    let times = [0, 1, 2, 3, 60, 61, 62, 63];
    let answers: Vec<_> = times.iter().map(|t| call(&mut cell, t * SECOND, 1)).collect();
    let granted: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [true, true, true, false, true, true, true, false]);
    assert_eq!(answers[3].unwrap_err().retry_after_secs(), 57);
    assert_eq!(answers[0].unwrap().tightest().unwrap().remaining, 2);
}

#[test]
fn a_refusal_by_one_limit_consumes_none() {
    let mut subscription = Cell::new(CellPolicy {
        quota: Some(Quota { units: 200, hard: true }),
        ..windows(Some(100))
    });
    let mut key = Cell::new(CellPolicy { key_minute: Some(12), ..CellPolicy::default() });
    let granted =
        (0..20).filter(|_| admit(&mut subscription, &mut key, &ask(0, 1)).is_ok()).count();
    assert_eq!(granted, 12);
    let limited = admit(&mut subscription, &mut key, &ask(0, 1)).unwrap_err();
    assert_eq!(limited.name, LimitName::KeyMinute);
    let now = standings(&mut subscription, &mut key, ask(0, 1).period, Timestamp(0));
    let remaining: Vec<_> = now.iter().map(|s| (s.name.as_str(), s.remaining)).collect();
    assert_eq!(remaining, [("minute", 88), ("quota", 188), ("key_minute", 0)]);
    assert_eq!(now.tightest().unwrap().name, LimitName::KeyMinute);
}

#[test]
fn the_limit_that_lasts_longest_is_named() {
    let quota = Some(Quota { units: 2, hard: true });
    let mut cell = Cell::new(CellPolicy { quota, ..windows(Some(2)) });
    assert!(call(&mut cell, 0, 2).is_ok());
    let limited = call(&mut cell, 0, 1).unwrap_err();
    assert_eq!((limited.name, limited.remaining), (LimitName::Quota, 0));
    assert_eq!(limited.retry_at, Timestamp(31 * 86_400 * SECOND));
    assert!(call(&mut cell, 31 * 86_400 * SECOND, 1).is_ok());
}

#[test]
fn a_soft_quota_counts_and_serves() {
    let quota = Some(Quota { units: 2, hard: false });
    let mut cell = Cell::new(CellPolicy { quota, ..CellPolicy::default() });
    assert!((0..5).all(|_| call(&mut cell, 0, 1).is_ok()));
    assert_eq!(cell.period_units(Timestamp(0)), 5);
}

#[test]
fn a_refund_returns_to_the_quota_not_to_the_window() {
    let quota = Some(Quota { units: 5, hard: true });
    let mut cell = Cell::new(CellPolicy { quota, ..windows(Some(5)) });
    assert!(call(&mut cell, 0, 5).is_ok());
    cell.refund(Timestamp(0), 5);
    assert_eq!(call(&mut cell, 0, 1).unwrap_err().name, LimitName::Minute);
    assert!(call(&mut cell, 60 * SECOND, 5).is_ok());
    cell.refund(Timestamp(7), 5);
    assert_eq!(cell.period_units(Timestamp(0)), 5);
}

#[test]
fn a_clock_that_steps_back_opens_no_window_and_no_old_period() {
    let quota = Some(Quota { units: 3, hard: true });
    let mut cell = Cell::new(CellPolicy { quota, ..windows(Some(2)) });
    let february = 31 * 86_400 * SECOND;
    assert!(call(&mut cell, february, 1).is_ok());
    assert!(call(&mut cell, february - 90 * SECOND, 1).is_ok());
    assert!(call(&mut cell, february - 90 * SECOND, 1).is_err());
    assert!(call(&mut cell, february + 60 * SECOND, 1).is_ok());
    assert_eq!(cell.period_units(Timestamp(february)), 3);
}

#[test]
fn a_changed_limit_keeps_what_was_counted() {
    for (old, new) in [(1, 2), (70, 71), (10, 100), (100, 12), (5_000_000_000, 80)] {
        let mut cell = Cell::new(windows(Some(old)));
        let used = old.min(9);
        assert!(call(&mut cell, SECOND, used).is_ok());
        cell.set_policy(windows(Some(new)));
        assert!(call(&mut cell, 2 * SECOND, new - used).is_ok(), "{old} to {new}");
        assert!(call(&mut cell, 2 * SECOND, 1).is_err(), "{old} to {new}");
    }
    let mut cell = Cell::new(windows(Some(100)));
    assert!(call(&mut cell, 0, 100).is_ok());
    cell.set_policy(windows(Some(50)));
    assert!(call(&mut cell, 30 * SECOND, 1).is_err());
    assert!(call(&mut cell, 61 * SECOND, 50).is_ok());
}

#[test]
fn more_units_than_the_limit_never_fit() {
    let mut cell = Cell::new(windows(Some(2)));
    assert_eq!(call(&mut cell, 0, 3).unwrap_err().retry_after_secs(), 60);
    assert!(call(&mut cell, 0, 2).is_ok());
    assert!(call(&mut cell, 0, u64::MAX).is_err());
}

#[test]
fn no_limits_admit_everything_and_count() {
    let mut cell = Cell::default();
    assert!((0..10_000).all(|_| call(&mut cell, 0, 1).is_ok()));
    assert!(call(&mut cell, 0, 1).unwrap().tightest().is_none());
    assert_eq!(cell.period_units(Timestamp(0)), 10_001);
}

/// The oracle: every admission with its time; nothing is forgotten.
#[derive(Default)]
struct Exact {
    admitted: Vec<(i64, u64)>,
}

impl Exact {
    /// Units admitted in (at − length, at].
    fn within(&self, at: i64, length: i64) -> u64 {
        let inside = self.admitted.iter().filter(|(t, _)| *t > at - length && *t <= at);
        inside.map(|(_, units)| units).sum()
    }
}

fn promise(limit: u64, steps: &[(i64, u64)]) -> Result<(), TestCaseError> {
    let length = 60 * SECOND;
    let slack = if limit <= EXACT_MAX { length } else { length / 64 * 65 };
    let (mut cell, mut exact, mut now) = (Cell::new(windows(Some(limit))), Exact::default(), 0);
    for (gap, units) in steps {
        now += gap;
        match call(&mut cell, now, *units) {
            Ok(_) => {
                exact.admitted.push((now, *units));
                prop_assert!(exact.within(now, length) <= limit, "over the limit at {now}");
            }
            Err(limited) => {
                prop_assert!(exact.within(now, slack) + units > limit, "needless at {now}");
                if *units <= limit {
                    let mut later = cell.clone();
                    prop_assert!(call(&mut later, limited.retry_at.0, *units).is_ok());
                    prop_assert!(limited.retry_at.0 > now);
                }
            }
        }
    }
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let gap = prop_oneof![
        3 => 0..1_000_000i64,
        3 => (0..130i64).prop_map(|n| n * 937_500),
        1 => 55_000_000..65_000_000i64,
        1 => 0..10_000_000_000i64,
    ];
    prop::collection::vec((gap, 0..40u64), 1..200)
}

proptest! {
    #[test]
    fn both_halves_of_the_promise_hold_for_an_exact_log(limit in 1..=64u64, steps in steps()) {
        promise(limit, &steps)?;
    }

    #[test]
    fn both_halves_of_the_promise_hold_for_buckets(limit in 65..2_000u64, steps in steps()) {
        promise(limit, &steps)?;
    }

    #[test]
    fn a_rebuilt_cell_decides_as_the_one_that_lived(limit in 1..400u64, steps in steps()) {
        let (mut lived, mut now) = (Cell::new(windows(Some(limit))), 0);
        let mut admitted = Vec::new();
        for (gap, units) in &steps {
            now += gap;
            if call(&mut lived, now, *units).is_ok() {
                admitted.push((now, *units));
            }
        }
        let mut rebuilt = Cell::new(windows(Some(limit)));
        for (at, units) in admitted {
            rebuilt.record(Timestamp(at), units);
        }
        for later in [0, 1, 937_500, 30 * SECOND, 61 * SECOND] {
            let remaining = |cell: &mut Cell| {
                standings(cell, &mut Cell::default(), ask(0, 0).period, Timestamp(now + later))
                    .tightest().map(|s| s.remaining)
            };
            prop_assert_eq!(remaining(&mut lived), remaining(&mut rebuilt));
        }
    }
}
