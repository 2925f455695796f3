//! Quota and spend across the ends of periods.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ask_in(anchor: Anchor, now: Timestamp, units: u64) -> Ask {
    Ask { units, now, period: period_at(anchor, now), spend_cap_units: None }
}

fn quota_only(quota: Quota) -> Cell {
    Cell::new(CellPolicy::of_subscription(WindowLimits::default(), Some(quota)))
}

/// The last microsecond of a period and the first of the next.
fn ends_at(anchor: Anchor, end: &str) {
    let (mut cell, end) = (quota_only(hard(3)), at(end));
    let mut granted =
        |now, units| ask_of(&mut alone(&mut cell), &ask_in(anchor, now, units)).is_ok();
    assert!(granted(end.plus_secs(-3_600), 2));
    assert!(granted(end.plus_micros(-1), 1));
    assert!(!granted(end.plus_micros(-1), 1), "{end:?}");
    assert!(granted(end, 3), "{end:?}");
    assert!(!granted(end.plus_micros(1), 1), "{end:?}");
}

#[test]
fn a_quota_starts_anew_with_the_calendar_month() {
    for end in ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-03-01T00:00:00Z"] {
        ends_at(Anchor::Calendar, end);
    }
    ends_at(Anchor::Calendar, "2028-03-01T00:00:00Z");
    let (mut cell, leap) = (quota_only(hard(1)), at("2028-02-28T23:59:59Z"));
    assert!(ask_of(&mut alone(&mut cell), &ask_in(Anchor::Calendar, leap, 1)).is_ok());
    let leap = ask_in(Anchor::Calendar, at("2028-02-29T23:59:59Z"), 1);
    let limited = ask_of(&mut alone(&mut cell), &leap).unwrap_err();
    assert_eq!(limited.retry_after_secs(), 1);
}

#[test]
fn a_quota_starts_anew_on_the_anniversary_or_the_last_day_of_a_shorter_month() {
    let anchor = Anchor::Anniversary(at("2027-01-31T10:30:00Z"));
    let ends = [
        "2027-02-28T10:30:00Z",
        "2027-03-31T10:30:00Z",
        "2027-04-30T10:30:00Z",
        "2028-02-29T10:30:00Z",
        "2028-03-31T10:30:00Z",
    ];
    for end in ends {
        ends_at(anchor, end);
    }
    ends_at(Anchor::Anniversary(at("2028-02-29T00:00:00Z")), "2029-03-29T00:00:00Z");
}

#[test]
fn a_call_settled_after_its_period_changes_neither_period() {
    let end = at("2026-12-01T00:00:00Z");
    let mut cell = quota_only(hard(10));
    let mut into = Standings::default();
    let last = ask_in(Anchor::Calendar, end.plus_micros(-1), 8);
    let charged = admit(&mut alone(&mut cell), &last, &mut into).unwrap();
    assert_eq!(charged, at("2026-11-01T00:00:00Z"));
    assert!(ask_of(&mut alone(&mut cell), &ask_in(Anchor::Calendar, end, 4)).is_ok());
    cell.settle(charged, 8, 0);
    assert_eq!((cell.period_units(end), cell.period_units(charged)), (4, 0));
    // A clock that steps back keeps charging the later period, and so does the settling of it.
    into.clear();
    let charged = admit(&mut alone(&mut cell), &last, &mut into);
    assert_eq!(charged.unwrap_err().retry_at, at("2027-01-01T00:00:00Z"));
    let early = Ask { units: 5, ..last };
    assert_eq!(admit(&mut alone(&mut cell), &early, &mut into).unwrap(), end);
    cell.settle(end, 5, 2);
    assert_eq!(cell.period_units(end), 6);
}

#[test]
fn sums_from_the_store_count_in_the_running_period_only() {
    let mut cell = quota_only(hard(10));
    let (october, november) = (at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
    cell.add_period(october, 10);
    cell.add_period(november, 6);
    cell.add_period(october, 10);
    cell.add_period(november, 1);
    let asked = |units| ask_in(Anchor::Calendar, november.plus_secs(5), units);
    let limited = ask_of(&mut alone(&mut cell), &asked(4)).unwrap_err();
    assert_eq!((limited.remaining, limited.retry_at), (3, at("2026-12-01T00:00:00Z")));
    let standing = ask_of(&mut alone(&mut cell), &asked(3)).unwrap().tightest().unwrap();
    assert_eq!((standing.remaining, standing.window_secs), (0, 30 * 86_400));
}

proptest! {
    /// Admissions and settlements in any order over years: each period's units are the sum of what was
    /// admitted in it less what was given back before it ended, and never more than the quota.
    #[test]
    fn the_quota_is_the_sum_of_what_is_charged(
        day in 1..=31u8,
        limit in 1..60u64,
        steps in prop::collection::vec((0..40 * 86_400i64, 0..30u64, 0..30u64, any::<bool>()), 1..120),
    ) {
        let first = at(&format!("2027-12-{day:02}T12:00:00Z"));
        for anchor in [Anchor::Calendar, Anchor::Anniversary(first)] {
            let (mut cell, mut now) = (quota_only(hard(limit)), first);
            let mut sums: BTreeMap<Timestamp, u64> = BTreeMap::new();
            for (gap, units, charged, at_once) in &steps {
                now = now.plus_secs(*gap / 7);
                let asked = ask_in(anchor, now, *units);
                let sum = sums.entry(asked.period.start).or_default();
                let mut into = Standings::default();
                match admit(&mut alone(&mut cell), &asked, &mut into) {
                    Ok(start) => {
                        prop_assert_eq!(start, asked.period.start);
                        prop_assert!(asked.period.contains(now));
                        *sum += units;
                        prop_assert!(*sum <= limit);
                        let (next, ended) = (asked.period.end, !at_once);
                        if ended {
                            let later = ask_in(anchor, next, 0);
                            let _ = admit(&mut alone(&mut cell), &later, &mut into);
                            now = next;
                        } else {
                            *sum -= units.saturating_sub(*charged);
                        }
                        cell.settle(start, *units, *charged);
                    }
                    Err(limited) => {
                        prop_assert_eq!(limited.name, LimitName::Quota);
                        prop_assert!(*sum + units > limit && limited.remaining == limit - *sum);
                    }
                }
                let start = period_at(anchor, now).start;
                prop_assert_eq!(cell.period_units(start), sums.get(&start).copied().unwrap_or(0));
            }
        }
    }
}
