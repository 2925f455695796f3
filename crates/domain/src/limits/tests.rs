use super::*;
use crate::period::{Anchor, period_at};

mod periods;
mod promise;

const SECOND: i64 = MICROS_PER_SECOND;

fn ask(at: i64, units: u64) -> Ask {
    let now = Timestamp(at);
    Ask { units, now, period: period_at(Anchor::Calendar, now), spend_cap_units: None }
}

fn minute(limit: u64) -> WindowLimits {
    WindowLimits { minute: Some(limit), ..WindowLimits::default() }
}

fn windows(limit: u64) -> CellPolicy {
    CellPolicy::of_subscription(minute(limit), None)
}

const fn hard(units: u64) -> Quota {
    Quota { units, hard: true }
}

const fn soft(units: u64) -> Quota {
    Quota { units, hard: false }
}

fn alone(cell: &mut Cell) -> Cells<'_> {
    Cells { product: None, subscription: cell, key: None }
}

fn call(cell: &mut Cell, at: i64, units: u64) -> Result<Standings, Limited> {
    ask_of(&mut alone(cell), &ask(at, units))
}

fn ask_of(cells: &mut Cells<'_>, ask: &Ask) -> Result<Standings, Limited> {
    let mut standings = Standings::default();
    admit(cells, ask, &mut standings).map(|_| standings)
}

#[test]
fn an_entry_one_window_old_no_longer_counts() {
    let mut cell = Cell::new(windows(3));
    let times = [0, 1, 2, 3, 60, 61, 62, 63];
    let answers: Vec<_> = times.iter().map(|t| call(&mut cell, t * SECOND, 1)).collect();
    let granted: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [true, true, true, false, true, true, true, false]);
    assert_eq!(answers[3].unwrap_err().retry_after_secs(), 57);
    assert_eq!(answers[0].unwrap().tightest().unwrap().remaining, 2);
}

#[test]
fn a_refusal_by_one_limit_consumes_none() {
    let mut product = Cell::new(CellPolicy::of_product(minute(300)));
    let mut subscription = Cell::new(CellPolicy::of_subscription(minute(100), Some(hard(200))));
    let mut key = Cell::new(CellPolicy::of_key(minute(12), None));
    let mut cells =
        Cells { product: Some(&mut product), subscription: &mut subscription, key: Some(&mut key) };
    let granted = (0..20).filter(|_| ask_of(&mut cells, &ask(0, 1)).is_ok()).count();
    assert_eq!(granted, 12);
    let limited = ask_of(&mut cells, &ask(0, 1)).unwrap_err();
    assert_eq!(limited.name, LimitName::KeyMinute);
    let now = standings(&mut cells, ask(0, 1).period, Timestamp(0));
    let remaining: Vec<_> = now.iter().map(|s| (s.name.as_str(), s.remaining)).collect();
    assert_eq!(remaining, [("minute", 88), ("quota", 188), ("key_minute", 0)]);
    assert_eq!(now.tightest().unwrap().name, LimitName::KeyMinute);
    let mut cells =
        Cells { product: Some(&mut product), subscription: &mut subscription, key: None };
    assert!(ask_of(&mut cells, &ask(0, 88)).is_ok());
    let mut other = Cell::new(CellPolicy::of_subscription(minute(1_000), None));
    let mut cells = Cells { product: Some(&mut product), subscription: &mut other, key: None };
    assert_eq!(ask_of(&mut cells, &ask(0, 201)).unwrap_err().remaining, 300 - 12 - 88);
    let shown = ask_of(&mut cells, &ask(0, 200)).unwrap();
    assert_eq!(shown.iter().count(), 1, "where the product stands is nobody's to see");
}

#[test]
fn the_limit_that_lasts_longest_is_named() {
    let mut cell = Cell::new(CellPolicy::of_subscription(minute(2), Some(hard(2))));
    assert!(call(&mut cell, 0, 2).is_ok());
    let limited = call(&mut cell, 0, 1).unwrap_err();
    assert_eq!((limited.name, limited.remaining), (LimitName::Quota, 0));
    assert_eq!(limited.retry_at, Timestamp(31 * 86_400 * SECOND));
    assert!(call(&mut cell, 31 * 86_400 * SECOND, 1).is_ok());
}

#[test]
fn a_soft_quota_counts_and_serves() {
    let policy = CellPolicy::of_subscription(WindowLimits::default(), Some(soft(2)));
    let mut cell = Cell::new(policy);
    assert!((0..5).all(|_| call(&mut cell, 0, 1).is_ok()));
    assert_eq!(cell.period_units(Timestamp(0)), 5);
}

#[test]
fn a_refund_returns_to_the_quota_not_to_the_window() {
    let mut cell = Cell::new(CellPolicy::of_subscription(minute(5), Some(hard(5))));
    assert!(call(&mut cell, 0, 5).is_ok());
    cell.settle(Timestamp(0), 5, 0);
    assert_eq!(call(&mut cell, 0, 1).unwrap_err().name, LimitName::Minute);
    assert!(call(&mut cell, 60 * SECOND, 5).is_ok());
    cell.settle(Timestamp(7), 5, 0);
    assert_eq!(cell.period_units(Timestamp(0)), 5);
}

#[test]
fn a_clock_that_steps_back_opens_no_window_and_no_old_period() {
    let mut cell = Cell::new(CellPolicy::of_subscription(minute(2), Some(hard(3))));
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
        let mut cell = Cell::new(windows(old));
        let used = old.min(9);
        assert!(call(&mut cell, SECOND, used).is_ok());
        cell.set_policy(&windows(new));
        assert!(call(&mut cell, 2 * SECOND, new - used).is_ok(), "{old} to {new}");
        assert!(call(&mut cell, 2 * SECOND, 1).is_err(), "{old} to {new}");
    }
    let mut cell = Cell::new(windows(100));
    assert!(call(&mut cell, 0, 100).is_ok());
    cell.set_policy(&windows(50));
    assert!(call(&mut cell, 30 * SECOND, 1).is_err());
    assert!(call(&mut cell, 61 * SECOND, 50).is_ok());
}

#[test]
fn more_units_than_the_limit_never_fit() {
    let mut cell = Cell::new(windows(2));
    assert_eq!(call(&mut cell, 0, 3).unwrap_err().retry_after_secs(), 60);
    assert!(call(&mut cell, 0, 2).is_ok());
    assert!(call(&mut cell, 0, u64::MAX).is_err());
}

#[test]
fn no_limits_admit_everything_and_count() {
    let mut cell = Cell::new(CellPolicy::of_subscription(WindowLimits::default(), None));
    assert!((0..10_000).all(|_| call(&mut cell, 0, 1).is_ok()));
    assert!(call(&mut cell, 0, 1).unwrap().tightest().is_none());
    assert_eq!(cell.period_units(Timestamp(0)), 10_001);
}

#[test]
fn an_active_cell_takes_at_most_a_kibibyte() {
    let usual = WindowLimits {
        second: Some(20),
        minute: Some(600),
        hour: Some(20_000),
        day: Some(200_000),
    };
    let own = WindowLimits { minute: Some(60), ..WindowLimits::default() };
    let policies = [
        CellPolicy::of_subscription(usual, Some(hard(1_000_000))),
        CellPolicy::of_product(WindowLimits { second: Some(5_000), ..WindowLimits::default() }),
        CellPolicy::of_key(own, None),
    ];
    for policy in policies {
        let mut cell = Cell::new(policy);
        let mut granted = 0;
        for at in 0..100_000 {
            granted += u32::from(call(&mut cell, at * SECOND / 10, 1).is_ok());
        }
        assert!(granted > 1_000);
        assert!(cell.bytes() <= 1_024, "{} bytes for {policy:?}", cell.bytes());
    }
}

#[test]
fn spend_cap_refuses_like_a_hard_quota_of_the_period() {
    let mut cell = Cell::new(CellPolicy::of_subscription(minute(100), Some(soft(5))));
    let capped =
        |at: i64, units: u64, cap: u64| Ask { spend_cap_units: Some(cap), ..ask(at, units) };
    assert!(ask_of(&mut alone(&mut cell), &capped(0, 7, 8)).is_ok());
    let limited = ask_of(&mut alone(&mut cell), &capped(0, 2, 8)).unwrap_err();
    assert_eq!((limited.name, limited.limit, limited.remaining), (LimitName::SpendCap, 8, 1));
    assert_eq!(limited.retry_at, ask(0, 1).period.end);
    let shown = ask_of(&mut alone(&mut cell), &capped(0, 1, 8)).unwrap();
    let names: Vec<_> = shown.iter().map(|one| (one.name, one.remaining)).collect();
    assert_eq!(names, [(LimitName::Minute, 92), (LimitName::Quota, 0)]);
    cell.settle(Timestamp(0), 7, 3);
    assert!(ask_of(&mut alone(&mut cell), &capped(0, 4, 8)).is_ok());
    assert!(ask_of(&mut alone(&mut cell), &capped(0, 1, 9)).is_ok(), "a raised cap counts at once");
    assert!(ask_of(&mut alone(&mut cell), &capped(31 * 86_400 * SECOND, 8, 8)).is_ok());
}

#[test]
fn places_for_running_calls_are_taken_with_the_rest_and_given_back() {
    let mut subscription = Cell::new(windows(4));
    let mut key = Cell::new(CellPolicy::of_key(WindowLimits::default(), Some(2)));
    let call = |subscription: &mut Cell, key: &mut Cell| {
        let mut cells = Cells { product: None, subscription, key: Some(key) };
        ask_of(&mut cells, &ask(0, 1)).map_err(|limited| (limited.name, limited.retry_after_secs()))
    };
    assert!(call(&mut subscription, &mut key).is_ok());
    let shown = call(&mut subscription, &mut key).unwrap();
    assert_eq!(shown.iter().map(|one| one.name).collect::<Vec<_>>(), [LimitName::Minute]);
    let refused = call(&mut subscription, &mut key).unwrap_err();
    assert_eq!(refused, (LimitName::Concurrency, 1));
    key.release();
    assert!(call(&mut subscription, &mut key).is_ok());
    key.release();
    assert!(!key.shed(Timestamp(i64::MAX)), "a cell with a running call stays");
    assert!(call(&mut subscription, &mut key).is_ok());
    key.release();
    assert_eq!(call(&mut subscription, &mut key).unwrap_err().0, LimitName::Minute);
    assert_eq!(key.running(), 1, "what the window refused takes no place");
    key.release();
    assert!(key.shed(Timestamp(i64::MAX)));
}

#[test]
fn a_cell_idle_for_long_frees_its_windows_and_keeps_its_period() {
    let mut cell = Cell::new(CellPolicy::of_subscription(minute(3), Some(hard(5))));
    let policy = *cell.policy();
    assert!(call(&mut cell, 0, 3).is_ok());
    assert!(!cell.shed(Timestamp(61 * SECOND)) && cell.bytes() > size_of::<Cell>());
    assert!(!cell.shed(Timestamp(3_600 * SECOND)));
    assert_eq!(cell.bytes(), size_of::<Cell>());
    cell.set_policy(&policy);
    assert_eq!(call(&mut cell, 3_600 * SECOND, 3).unwrap_err().name, LimitName::Quota);
    assert!(call(&mut cell, 3_600 * SECOND, 2).is_ok());
    cell.settle(Timestamp(0), 5, 0);
    assert!(cell.shed(Timestamp(7_200 * SECOND)));
}
