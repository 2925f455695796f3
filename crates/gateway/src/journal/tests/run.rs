//! Runs without accidents.

use std::sync::atomic::Ordering;
use std::thread;

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::{RecentCalls, RefusedRow};

use super::rig::{Folder, LONG, Rig, START, Store, call, end_of};
use crate::journal::{Charge, Closed, EVENTS_MAX, Full, Journal, Opened, Writer, node, verify};

/// As the gateway does after a 503, but at once: the sealing thread has been woken for a segment.
fn charge_patiently(writer: &mut Writer, charge: &Charge) {
    while writer.charge(charge) == Err(Full) {
        thread::yield_now();
    }
}

#[test]
fn settle_hands_every_call_to_the_sink_once() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    for n in 0..40 {
        charge_patiently(&mut opened.writers[0], &call(1, n));
        opened.writers[0].end(&end_of(&call(1, n)));
        if n % 7 == 0 {
            assert!(opened.journal.settle(LONG));
        }
    }
    assert!(opened.journal.settle(LONG));
    assert_eq!((rig.store.calls(), rig.store.units()), (40, 40));
    assert_eq!(opened.journal.stats().waiting_bytes, 0);
}

#[test]
fn writers_of_several_cores_lose_nothing_while_segments_change_under_them() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let opened = rig.open_with(&rig.options(&folder.0, 3));
    thread::scope(|scope| {
        for (core, mut writer) in (0..).zip(opened.writers) {
            scope.spawn(move || {
                (0..2000).for_each(|n| charge_patiently(&mut writer, &call(core, n)));
            });
        }
        for _ in 0..20 {
            opened.journal.sync_now().unwrap();
        }
    });
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.units(), 6000);
    let stats = opened.journal.stats();
    assert_eq!((stats.bad_slots, stats.bad_seals), (0, 0));
    assert!(stats.segments > 90, "6000 events in segments of 64");
}

#[test]
fn sink_failures_delay_a_batch_and_never_change_it() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    rig.store.failures.store(2, Ordering::Release);
    rig.store.lost_answers.store(1, Ordering::Release);
    for n in 0..10 {
        opened.writers[0].charge(&call(1, n)).unwrap();
        opened.journal.sync_now().unwrap();
    }
    assert!(opened.journal.settle(LONG));
    assert_eq!((rig.store.calls(), rig.store.through()), (10, 10));
    assert_eq!(opened.journal.stats().offer_failures, 3);
    same_seal_every_time(&rig.store);
}

#[test]
fn a_panic_of_the_sink_is_a_failure_like_others() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    rig.store.panics.store(1, Ordering::Release);
    opened.writers[0].charge(&call(1, 1)).unwrap();
    assert!(opened.journal.settle(LONG));
    assert_eq!((rig.store.calls(), opened.journal.stats().offer_failures), (1, 1));
}

pub(super) fn same_seal_every_time(store: &Store) {
    let seals = store.seals();
    for offer in store.offers.lock().unwrap().iter() {
        let place = usize::try_from(offer.sequence - 1).unwrap();
        assert_eq!(*offer, seals[place]);
    }
}

#[test]
fn close_syncs_seals_and_offers_what_is_left() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    opened.writers[0].charge(&call(1, 1)).unwrap();
    assert_eq!(opened.journal.close(LONG), Closed { sealed_through: 1, taken_through: 1 });
    assert_eq!(rig.store.calls(), 1);
}

#[test]
fn close_gives_up_on_a_sink_that_is_away_and_the_next_run_offers_again() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    rig.store.failures.store(u32::MAX, Ordering::Release);
    opened.writers[0].charge(&call(1, 1)).unwrap();
    let closed = opened.journal.close(std::time::Duration::from_millis(1));
    assert_eq!(closed, Closed { sealed_through: 1, taken_through: 0 });
    rig.store.failures.store(0, Ordering::Release);
    let again = rig.open(&folder);
    assert_eq!((again.unfolded.len(), again.unfolded[0].units), (1, 1));
    assert!(again.journal.settle(LONG));
    assert_eq!(rig.store.calls(), 1);
    same_seal_every_time(&rig.store);
}

#[test]
fn refused_rows_travel_with_the_next_batch() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    let row =
        |count| RefusedRow { key: None, day: START.day(), code: "rate_limited".into(), count };
    opened.journal.refused(vec![row(2)]);
    opened.journal.refused(vec![row(3)]);
    opened.writers[0].charge(&call(1, 1)).unwrap();
    assert!(opened.journal.settle(LONG));
    let batches = rig.store.batches.lock().unwrap();
    let counts = batches.values().flat_map(|batch| &batch.refused).map(|row| row.count);
    assert_eq!(counts.sum::<u64>(), 5);
}

#[test]
fn refused_rows_are_told_also_when_no_call_is_granted() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let opened = rig.open(&folder);
    let row = RefusedRow { key: None, day: START.day(), code: "key_invalid".into(), count: 7 };
    opened.journal.refused(vec![row.clone()]);
    assert!(opened.journal.settle(LONG));
    assert!(opened.journal.settle(LONG));
    drop(opened);
    let seals = rig.store.seals();
    assert_eq!((seals.len(), seals[0].count), (1, 0));
    assert_eq!(rig.store.batches.lock().unwrap()[&1].refused, [row]);
    drop(rig.open(&folder));
    assert_eq!(verify(&folder.0, seals).unwrap().checked, 1);
    assert!(verify(&folder.0, []).unwrap().passed());
}

#[test]
fn replay_gives_newer_charges_in_order_of_admission() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open_with(&rig.options(&folder.0, 2));
    for n in 0..20 {
        opened.writers[usize::from(n % 2 == 0)].charge(&call(1, 40 - n)).unwrap();
        if n == 9 {
            opened.journal.sync_now().unwrap();
            rig.advance(1);
        }
    }
    drop(opened);
    let opened = rig.open(&folder);
    let mut seen = Vec::new();
    let since = START.plus_micros(25);
    opened.journal.replay(since, |charge| seen.push(charge.at.0 - START.0)).unwrap();
    assert_eq!(seen, (31..=40).chain(26..=30).collect::<Vec<_>>());
}

#[test]
fn node_keeps_the_first_name_and_refuses_an_odd_one() {
    let folder = Folder::new();
    assert!(node(&folder.0, "a/b").is_err());
    assert_eq!(node(&folder.0, "one").unwrap(), "one");
    assert_eq!(node(&folder.0, "two").unwrap(), "one");
}

#[test]
fn what_no_ready_batch_has_room_for_is_read_from_the_journal() {
    const ROUNDS: u64 = 200;
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    rig.store.failures.store(u32::MAX, Ordering::Release);
    for n in 0..ROUNDS {
        charge_patiently(&mut opened.writers[0], &call(1, n));
        opened.journal.sync_now().unwrap();
    }
    rig.store.failures.store(0, Ordering::Release);
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), ROUNDS);
    assert!(rig.store.batches.lock().unwrap().len() > 1);
    charge_patiently(&mut opened.writers[0], &call(1, ROUNDS));
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), ROUNDS + 1);
    assert!(verify(&folder.0, rig.store.seals()).unwrap().passed());
}

#[test]
fn the_last_calls_of_a_key_are_found_after_a_sync_and_in_later_runs() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut options = rig.options(&folder.0, 2);
    options.recent_calls = true;
    let mut opened = rig.open_with(&options);
    rig.store.failures.store(u32::MAX, Ordering::Release);
    // Two segments of one core, and another core's.
    for n in 0..50 {
        charge_patiently(&mut opened.writers[0], &call(1, n));
        if n < 20 {
            opened.writers[0].end(&end_of(&call(1, n)));
        }
    }
    opened.journal.sync_now().unwrap();
    opened.writers[1].charge(&call(1, 50)).unwrap();
    opened.writers[1].charge(&call(2, 1)).unwrap();
    opened.journal.sync_now().unwrap();
    let key = KeyId::from_bytes([1; 16]);
    let last =
        |opened: &Opened, before, limit| opened.journal.recent_calls(key, before, limit).unwrap();
    let requests = |found: &RecentCalls| -> Vec<u128> {
        found.calls.iter().map(|call| call.request.0).collect()
    };
    let newest_first = |from: u64, to: u64| -> Vec<u128> {
        (from..to).rev().map(|n| call(1, n).request).collect()
    };
    let found = last(&opened, None, 1_000);
    assert_eq!(found.calls.iter().filter(|call| call.end.is_some()).count(), 20);
    assert_eq!((requests(&found), found.next), (newest_first(0, 51), None));
    for limit in 1..9 {
        let mut page = last(&opened, None, limit);
        let mut all = requests(&page);
        while page.next.is_some() {
            assert_eq!(page.calls.len(), limit);
            page = last(&opened, page.next, limit);
            all.extend(requests(&page));
        }
        assert_eq!(all, newest_first(0, 51), "pages of {limit}");
    }

    // What a key did in an earlier run is in the journal too.
    rig.store.failures.store(0, Ordering::Release);
    drop(opened);
    let mut again = rig.open_with(&options);
    again.writers[0].charge(&call(1, 51)).unwrap();
    again.journal.sync_now().unwrap();
    assert_eq!(requests(&last(&again, None, 1_000)), newest_first(0, 52));
    drop(again);
    let unasked = rig.open(&folder);
    assert_eq!(last(&unasked, None, 1), RecentCalls::default());
}

#[test]
fn a_search_that_read_enough_says_where_to_go_on() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut options = rig.options(&folder.0, 1);
    options.recent_calls = true;
    options.segment_bytes = 1 << 20;
    let mut opened = rig.open_with(&options);
    charge_patiently(&mut opened.writers[0], &call(1, 0));
    opened.journal.sync_now().unwrap();
    for n in 0..EVENTS_MAX + 10_000 {
        charge_patiently(&mut opened.writers[0], &call(2, n));
    }
    opened.journal.sync_now().unwrap();
    let of = |opened: &Opened, before| {
        opened.journal.recent_calls(KeyId::from_bytes([1; 16]), before, 10).unwrap()
    };
    // The filters know where the key was not.
    assert_eq!(of(&opened, None).calls.len(), 1);
    drop(opened);
    let again = rig.open_with(&options);
    let first = of(&again, None);
    assert!(first.calls.is_empty() && first.next.is_some());
    let second = of(&again, first.next);
    assert_eq!((second.calls.len(), second.next), (1, None));
}

/// The proxy moves writers to its cores' threads and shares the handle.
const fn _bounds() {
    const fn send<T: Send>() {}
    const fn sync<T: Sync>() {}
    send::<Writer>();
    send::<Journal>();
    sync::<Journal>();
}
