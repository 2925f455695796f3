use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().unwrap()
}

fn span(start: &str, end: &str) -> Period {
    Period { start: at(start), end: at(end) }
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

#[test]
fn calendar_period_is_the_utc_month() {
    let november = span("2026-11-01", "2026-12-01");
    for moment in ["2026-11-01", "2026-11-30T23:59:59.999999Z", "2026-11-15T12:00:00Z"] {
        assert_eq!(period_at(Anchor::Calendar, at(moment)), november, "{moment}");
    }
    assert_eq!(period_at(Anchor::Calendar, at("2026-12-01")), span("2026-12-01", "2027-01-01"));
    assert_eq!(period_at(Anchor::Calendar, at("2024-02-29")).seconds(), 29 * 86_400);
}

#[test]
fn anniversary_on_the_31st_falls_on_shorter_ends_and_returns() {
    let anchor = Anchor::Anniversary(at("2024-01-31T10:00:00Z"));
    let starts = [
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
        "2024-05-31",
        "2024-06-30",
        "2024-07-31",
    ];
    for pair in starts.windows(2) {
        let expected = span(&format!("{}T10:00:00Z", pair[0]), &format!("{}T10:00:00Z", pair[1]));
        assert_eq!(period_at(anchor, expected.start), expected);
        assert_eq!(period_at(anchor, expected.last_instant()), expected);
    }
    let common_year = period_at(anchor, at("2025-02-28T10:00:00Z"));
    assert_eq!(common_year, span("2025-02-28T10:00:00Z", "2025-03-31T10:00:00Z"));
}

#[test]
fn anniversary_on_a_leap_day_returns_to_the_29th() {
    let anchor = Anchor::Anniversary(at("2024-02-29"));
    assert_eq!(period_at(anchor, at("2025-03-01")), span("2025-02-28", "2025-03-29"));
    assert_eq!(period_at(anchor, at("2028-02-29")), span("2028-02-29", "2028-03-29"));
}

#[test]
fn first_period_starts_at_the_subscription() {
    let started = at("2026-11-10T08:30:00Z");
    let billed = periods_ending_in_month(Anchor::Calendar, started, None, month("2026-11"));
    let full = span("2026-11-01", "2026-12-01");
    assert_eq!(billed, [BilledPeriod { period: Period { start: started, end: full.end }, full }]);
    assert_eq!(periods_ending_in_month(Anchor::Calendar, started, None, month("2026-10")), []);
}

#[test]
fn anniversary_period_is_billed_in_the_month_of_its_last_instant() {
    let started = at("2026-11-10T08:30:00Z");
    let anchor = Anchor::Anniversary(started);
    assert_eq!(periods_ending_in_month(anchor, started, None, month("2026-11")), []);
    let first = span("2026-11-10T08:30:00Z", "2026-12-10T08:30:00Z");
    let billed = periods_ending_in_month(anchor, started, None, month("2026-12"));
    assert_eq!(billed, [BilledPeriod { period: first, full: first }]);
}

#[test]
fn period_that_ends_at_midnight_of_the_first_belongs_to_the_month_before() {
    let started = at("2026-11-01");
    let billed =
        periods_ending_in_month(Anchor::Anniversary(started), started, None, month("2026-11"));
    assert_eq!(billed.len(), 1);
    assert_eq!(billed[0].period, span("2026-11-01", "2026-12-01"));
}

#[test]
fn ended_subscription_bills_its_last_part_once() {
    let (started, ended) = (at("2026-10-15"), Some(at("2026-12-01")));
    for (name, count) in [("2026-10", 1), ("2026-11", 1), ("2026-12", 0)] {
        assert_eq!(
            periods_ending_in_month(Anchor::Calendar, started, ended, month(name)).len(),
            count,
            "{name}"
        );
    }
    let never = periods_ending_in_month(Anchor::Calendar, started, Some(started), month("2026-10"));
    assert_eq!(never, []);
    let anchor = Anchor::Anniversary(started);
    let both = periods_ending_in_month(anchor, started, Some(at("2026-11-20")), month("2026-11"));
    assert_eq!(both.len(), 2, "the first period and the cut second one both end in November");
}

#[test]
fn month_is_refused_when_it_is_no_month() {
    for text in [
        "",
        "2026",
        "2026-1",
        "2026-13",
        "2026-00",
        "26-11",
        "2026-11-01",
        "+026-11",
        "2026/11",
        "9999-11",
    ] {
        assert!(text.parse::<Month>().is_err(), "{text:?}");
    }
    assert_eq!(month("2026-11").to_string(), "2026-11");
    assert_eq!(Month::at(at("2026-11-30T23:59:59Z")), month("2026-11"));
}

const YEAR_2000: i64 = 946_684_800_000_000;
const YEAR_2060: i64 = 2_840_140_800_000_000;

fn anchors() -> impl Strategy<Value = Anchor> {
    prop_oneof![
        Just(Anchor::Calendar),
        (YEAR_2000..YEAR_2060).prop_map(|start| Anchor::Anniversary(Timestamp(start))),
    ]
}

proptest! {
    #[test]
    fn period_contains_its_moment_and_its_neighbours_touch(anchor in anchors(), moment in YEAR_2000..YEAR_2060) {
        let period = period_at(anchor, Timestamp(moment));
        prop_assert!(period.contains(Timestamp(moment)));
        prop_assert_eq!(period_at(anchor, period.start), period);
        prop_assert_eq!(period_at(anchor, period.last_instant()), period);
        prop_assert_eq!(period_at(anchor, period.end).start, period.end);
        let days = period.seconds() / 86_400;
        prop_assert!((28..=31).contains(&days), "{} days", days);
    }

    #[test]
    fn months_bill_every_instant_of_a_subscription_once(
        anchor in anchors(), started in YEAR_2000..YEAR_2060, length in 1_i64..40_000_000_000_000,
    ) {
        let (started, ended) = (Timestamp(started), Timestamp(started + length));
        let mut next = started;
        let mut run = Month::at(started);
        while next < ended {
            for billed in periods_ending_in_month(anchor, started, Some(ended), run) {
                prop_assert_eq!(billed.period.start, next);
                prop_assert!(billed.period.end <= billed.full.end);
                next = billed.period.end;
            }
            run = Month::at(run.period().end);
        }
        prop_assert_eq!(next, ended);
    }

    #[test]
    fn no_time_panics(start: i64, moment: i64) {
        let _ = period_at(Anchor::Calendar, Timestamp(moment));
        let _ = period_at(Anchor::Anniversary(Timestamp(start)), Timestamp(moment));
    }
}
