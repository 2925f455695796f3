//! Cells from many threads, and what only the gateway knows: periods from anchors, caps, places.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use keytoll_domain::catalog::{Quota, WindowLimits};
use keytoll_domain::limits::LimitName;
use keytoll_domain::time::MICROS_PER_SECOND;

use super::*;

const THREADS: usize = 8;
const NOON: Timestamp = Timestamp(1_790_000_000_000_000);

fn minute(limit: u64) -> WindowLimits {
    WindowLimits { minute: Some(limit), ..WindowLimits::default() }
}

fn terms() -> Terms {
    Terms {
        product: CellPolicy::of_product(WindowLimits::default()),
        subscription: CellPolicy::of_subscription(WindowLimits::default(), None),
        key: CellPolicy::of_key(WindowLimits::default(), None),
        anchor: Anchor::Calendar,
        spend_cap: None,
    }
}

fn give_back(admitted: &Admitted, key: &LazyCell) {
    if admitted.holds_place {
        key.release();
    }
}

/// Runs the same on all threads at once.
fn at_once(each: impl Fn(usize) + Sync) {
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, each) = (&start, &each);
            scope.spawn(move || {
                start.wait();
                each(thread);
            });
        }
    });
}

#[test]
fn many_threads_at_one_instant_are_admitted_exactly_the_limit() {
    let limits = [(7, 64), (64, 500), (501, 500), (9_000, 1_000), (2_000, 70_000)];
    for (subscription_limit, key_limit) in limits {
        let terms = Terms {
            product: CellPolicy::of_product(minute(100_000)),
            subscription: CellPolicy::of_subscription(minute(subscription_limit), None),
            key: CellPolicy::of_key(minute(key_limit), None),
            ..terms()
        };
        let (product, subscription) = (LazyCell::default(), LazyCell::default());
        let keys = [LazyCell::default(), LazyCell::default()];
        let admitted = [AtomicU64::new(0), AtomicU64::new(0)];
        at_once(|thread| {
            let key = thread % keys.len();
            // More than any of the limits, whoever comes first.
            for _ in 0..2_500 {
                let call = admit(Some(&product), &subscription, &keys[key], &terms, 1, NOON);
                admitted[key].fetch_add(u64::from(call.is_ok()), Ordering::Relaxed);
            }
        });
        let [one, two] = admitted.map(AtomicU64::into_inner);
        assert_eq!(one + two, subscription_limit.min(2 * key_limit));
        assert!(one.max(two) <= key_limit);
        let standings = standings(&subscription, &keys[0], &terms, NOON);
        let remaining: Vec<_> = standings.iter().map(|one| one.remaining).collect();
        let expected = [subscription_limit - one - two, key_limit - one];
        assert_eq!(remaining, expected, "what one limit refused took nothing of the others");
    }
}

#[test]
fn running_calls_never_pass_the_limit_and_come_back_to_none() {
    const LIMIT: u32 = 3;
    let key_policy = CellPolicy::of_key(WindowLimits::default(), Some(LIMIT));
    let terms = Terms { key: key_policy, ..terms() };
    let (subscription, key) = (LazyCell::default(), LazyCell::default());
    let (running, first) = (AtomicU32::new(0), AtomicU32::new(0));
    let all_asked = Barrier::new(THREADS);
    at_once(|_| {
        let held = admit(None, &subscription, &key, &terms, 1, NOON);
        first.fetch_add(u32::from(held.is_ok()), Ordering::Relaxed);
        all_asked.wait();
        if let Ok(held) = held {
            give_back(&held, &key);
        }
        all_asked.wait();
        for _ in 0..2_000 {
            match admit(None, &subscription, &key, &terms, 1, NOON) {
                Ok(admitted) => {
                    assert!(running.fetch_add(1, Ordering::SeqCst) < LIMIT);
                    key.drop_idle(Timestamp(i64::MAX));
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    give_back(&admitted, &key);
                }
                Err(limited) => assert_eq!(limited.name, LimitName::Concurrency),
            }
        }
    });
    assert_eq!(first.into_inner(), LIMIT);
    let all: Vec<_> =
        (0..=LIMIT).map(|_| admit(None, &subscription, &key, &terms, 1, NOON).is_ok()).collect();
    assert_eq!(all, [true, true, true, false], "every place had come back");
}

#[test]
fn release_of_a_call_that_took_no_place_gives_none_back() {
    let (subscription, key) = (LazyCell::default(), LazyCell::default());
    let free = admit(None, &subscription, &key, &terms(), 1, NOON).unwrap();
    let key_policy = CellPolicy::of_key(WindowLimits::default(), Some(1));
    let limited = Terms { key: key_policy, ..terms() };
    let placed = admit(None, &subscription, &key, &limited, 1, NOON).unwrap();
    give_back(&free, &key);
    assert!(admit(None, &subscription, &key, &limited, 1, NOON).is_err());
    // The limit is taken away while the call runs; its place is given back all the same.
    admit(None, &subscription, &key, &terms(), 1, NOON).unwrap();
    give_back(&placed, &key);
    assert!(admit(None, &subscription, &key, &limited, 1, NOON).is_ok());
}

#[test]
fn a_cell_with_a_running_call_is_kept_when_idle() {
    let key_policy = CellPolicy::of_key(minute(5), Some(1));
    let terms = Terms { key: key_policy, ..terms() };
    let (subscription, key) = (LazyCell::default(), LazyCell::default());
    let call = admit(None, &subscription, &key, &terms, 1, NOON).unwrap();
    let tomorrow = NOON.plus_days(1);
    key.drop_idle(tomorrow);
    let refused = admit(None, &subscription, &key, &terms, 1, tomorrow).err().unwrap();
    assert_eq!(refused.name, LimitName::Concurrency);
    give_back(&call, &key);
    key.drop_idle(tomorrow.plus_days(1));
    assert!(key.lock().is_none());
}

#[test]
fn spend_cap_of_a_named_period_holds_in_it_and_the_other_elsewhere() {
    let period = period_at(Anchor::Calendar, NOON);
    let cap = SpendCap { period_start: period.start, units: 2, otherwise: 3 };
    let terms = Terms { spend_cap: Some(cap), ..terms() };
    let (subscription, key) = (LazyCell::default(), LazyCell::default());
    for (now, units) in [(NOON, 2), (period.last_instant(), 0), (period.end, 3)] {
        for _ in 0..units {
            assert!(admit(None, &subscription, &key, &terms, 1, now).is_ok());
        }
        let refused = admit(None, &subscription, &key, &terms, 1, now).err().unwrap();
        assert_eq!(refused.name, LimitName::SpendCap);
    }
}

#[test]
fn what_is_settled_returns_to_quota_and_spend_but_not_to_windows() {
    let quota = Some(Quota { units: 10, hard: true });
    let period = period_at(Anchor::Calendar, NOON);
    let cap = SpendCap { period_start: period.start, units: 12, otherwise: 12 };
    let subscription_policy = CellPolicy::of_subscription(minute(100), quota);
    let terms = Terms { subscription: subscription_policy, spend_cap: Some(cap), ..terms() };
    let (subscription, key) = (LazyCell::default(), LazyCell::default());
    let call = admit(None, &subscription, &key, &terms, 10, NOON).unwrap();
    assert!(admit(None, &subscription, &key, &terms, 1, NOON).is_err());
    call.settle(&subscription, 10, 4);
    let now = standings(&subscription, &key, &terms, NOON);
    let remaining: Vec<_> = now.iter().map(|one| (one.name, one.remaining)).collect();
    assert_eq!(remaining, [(LimitName::Minute, 90), (LimitName::Quota, 6)]);
    assert_eq!(subscription.period_units(period.start), 4);
    // A call of the last second that is settled in the next period leaves that one alone.
    let last = admit(None, &subscription, &key, &terms, 6, period.last_instant()).unwrap();
    let first = admit(None, &subscription, &key, &terms, 9, period.end).unwrap();
    last.settle(&subscription, 6, 0);
    assert_eq!((first.period_start, subscription.period_units(period.end)), (period.end, 9));
}

#[test]
fn threads_that_settle_and_drop_while_others_admit_lose_no_unit() {
    let quota = Some(Quota { units: 1_000_000, hard: true });
    let terms = Terms {
        product: CellPolicy::of_product(minute(1_000_000)),
        subscription: CellPolicy::of_subscription(minute(1_000_000), quota),
        key: CellPolicy::of_key(minute(1_000_000), Some(1_000)),
        ..terms()
    };
    let (product, subscription, key) = <(LazyCell, LazyCell, LazyCell)>::default();
    at_once(|thread| {
        for n in 0..1_000 {
            let now = NOON.plus_micros(n * MICROS_PER_SECOND / 100);
            if thread == 0 {
                standings(&subscription, &key, &terms, now);
                for cell in [&product, &subscription, &key] {
                    cell.drop_idle(now);
                }
                continue;
            }
            let call = admit(Some(&product), &subscription, &key, &terms, 5, now).unwrap();
            call.settle(&subscription, 5, u64::try_from(n % 6).unwrap());
            give_back(&call, &key);
        }
    });
    let charged: u64 = (0..1_000u64).map(|n| n % 6).sum();
    let threads = u64::try_from(THREADS - 1).unwrap();
    let start = period_at(Anchor::Calendar, NOON).start;
    assert_eq!(subscription.period_units(start), charged * threads);
}
