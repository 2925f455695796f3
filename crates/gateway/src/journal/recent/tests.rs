use std::ops::RangeInclusive;

use super::*;
use crate::journal::tests::rig::{call, end_of};

fn key(who: u8) -> KeyId {
    KeyId::from_bytes([who; 16])
}

/// The numbers of the calls that are remembered, sorted.
fn numbers(log: &Log, who: u8) -> Vec<u64> {
    let calls = log.of_key(key(who), None);
    let mut numbers: Vec<u64> = calls.iter().map(|call| halves(call.request.0)[1]).collect();
    numbers.sort_unstable();
    numbers
}

fn charge(log: &mut Log, who: u8, numbers: RangeInclusive<u64>) {
    for n in numbers {
        log.charge(&call(who, n));
    }
}

#[test]
fn a_key_has_its_last_calls_and_a_busy_one_takes_nothing_from_others() {
    let mut log = Log::new(3, 10);
    charge(&mut log, 1, 1..=2);
    charge(&mut log, 2, 1..=1_000);
    assert_eq!(numbers(&log, 1), [1, 2]);
    assert_eq!(numbers(&log, 2), [998, 999, 1_000]);
    assert!(numbers(&log, 3).is_empty());
    assert_eq!((log.rows, log.blocks[0].len()), (5, 5), "rows are used again");
}

#[test]
fn past_the_bound_the_oldest_of_all_goes_and_keys_without_calls_with_it() {
    let mut log = Log::new(3, 4);
    charge(&mut log, 1, 1..=1);
    charge(&mut log, 2, 1..=3);
    charge(&mut log, 3, 1..=1);
    assert_eq!(
        (numbers(&log, 1), numbers(&log, 2), numbers(&log, 3)),
        (vec![], vec![1, 2, 3], vec![1])
    );
    assert_eq!((log.rows, log.places.len(), log.keys.len()), (4, 2, 3));
    charge(&mut log, 4, 1..=3);
    assert_eq!(
        (numbers(&log, 2), numbers(&log, 3), numbers(&log, 4)),
        (vec![], vec![1], vec![1, 2, 3])
    );
    assert_eq!((log.rows, log.places.len(), log.keys.len()), (4, 2, 3), "places are used again");
    assert_eq!(log.running.len(), 4);
}

#[test]
fn the_only_key_may_lose_its_last_row_to_itself() {
    let mut log = Log::new(5, 1);
    charge(&mut log, 1, 1..=4);
    assert_eq!((numbers(&log, 1), log.rows, log.places.len()), (vec![4], 1, 1));
}

/// The bounds as they are, against a plain list.
#[test]
fn the_bounds_hold_for_many_keys_and_memory_follows_the_calls() {
    let recent = Recent::new();
    let mut log = lock(&recent.0);
    let id = |n: u32| KeyId::from_bytes(u128::from(n).to_be_bytes());
    for n in 0..250_000_u32 {
        let mut charge = call(1, n.into());
        charge.key = id(n % 2_000);
        log.charge(&charge);
        if n == 1_023 {
            assert_eq!(log.blocks.len(), 1);
        }
    }
    assert_eq!(log.rows, CALLS_MAX);
    assert_eq!(log.blocks.len(), CALLS_MAX.div_ceil(ROWS_PER_BLOCK));
    assert_eq!((log.of_key(id(7), None).len(), log.running.len()), (50, CALLS_MAX));
    for n in 0..300 {
        log.charge(&call(9, n));
    }
    assert_eq!((log.rows, log.of_key(key(9), None).len()), (CALLS_MAX, CALLS_PER_KEY));
    drop(log);
    let newest = recent.of_key(key(9), None, 2);
    let numbers: Vec<_> = newest.iter().map(|call| halves(call.request.0)[1]).collect();
    assert_eq!(numbers, [299, 298], "the newest first");
    let next = recent.of_key(key(9), Some(newest[1].request), 1);
    assert_eq!(halves(next[0].request.0)[1], 297);
}

#[test]
fn an_end_completes_its_call_and_large_bodies_are_told_as_4_gib() {
    let mut log = Log::new(3, 10);
    let verified = Charge { verification: true, ..call(1, 2) };
    let running = Charge { environment: Environment::Test, status: 404, ..call(1, 1) };
    log.charge(&running);
    log.charge(&verified);
    log.end(&end_of(&call(1, 9)));
    assert!(log.of_key(key(1), None).iter().all(|call| call.end.is_none()));
    log.end(&End { bytes_out: 1 << 40, aborted: true, ..end_of(&running) });
    let expected = RecentCall {
        request: RequestId(running.request),
        at: running.at,
        operation: running.operation,
        status: 404,
        units: 1,
        latency_micros: 10,
        environment: Environment::Test,
        end: Some(CallEnd { bytes_in: 3, bytes_out: u32::MAX, aborted: true }),
    };
    assert_eq!(log.of_key(key(1), Some(RequestId(verified.request))), [expected]);
    assert!(log.running.is_empty());
}
