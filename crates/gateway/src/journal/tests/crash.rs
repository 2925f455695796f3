//! Kills, torn writes, lost pages.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;

use super::rig::{Folder, LONG, Rig, call, end_of};
use super::run::same_seal_every_time;
use crate::journal::event::{SLOT_BYTES, encode_charge};
use crate::journal::{Full, OpenError, Opened, SegmentId, verify};

#[derive(Clone, Debug)]
enum Step {
    Call,
    End,
    Sync,
    Settle,
    SinkFails(u32),
    AnswerLost,
    Kill(Kill),
}

/// What the kill left behind beside whole events.
#[derive(Clone, Debug)]
struct Kill {
    /// Bytes of a call that was never answered.
    torn_slot: usize,
    /// Bytes behind the last whole seal.
    torn_seal: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kill = (0..SLOT_BYTES - 4, 0..100_usize);
    let step = prop_oneof![
        12 => Just(Step::Call),
        3 => Just(Step::End),
        3 => Just(Step::Sync),
        1 => Just(Step::Settle),
        1 => (0..3_u32).prop_map(Step::SinkFails),
        1 => Just(Step::AnswerLost),
        2 => kill.prop_map(|(torn_slot, torn_seal)| Step::Kill(Kill { torn_slot, torn_seal })),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Leaves half a call in the first empty slot of the newest segment that has events.
fn tear_slot(folder: &Folder, bytes: usize) {
    for path in folder.segments().into_iter().rev() {
        let content = fs::read(&path).unwrap();
        let slots = &content.as_chunks::<SLOT_BYTES>().0[1..];
        let free = slots.iter().position(|slot| slot.iter().all(|byte| *byte == 0));
        if let Some(slot) = free.filter(|slot| *slot > 0) {
            let torn = encode_charge(&call(9, 9), u32::try_from(slot).unwrap());
            write_at(&path, (slot + 1) * SLOT_BYTES, &torn[..bytes]);
            return;
        }
    }
}

fn write_at(path: &Path, offset: usize, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset as u64).unwrap();
}

fn kill(rig: &Rig, folder: &mut Folder, opened: Opened, kill: &Kill) -> Opened {
    let through = rig.store.through();
    let left = folder.copy();
    drop(opened);
    rig.store.rewind(through);
    tear_slot(&left, kill.torn_slot);
    let seals = left.0.join("seals");
    let length = fs::metadata(&seals).unwrap().len();
    write_at(&seals, usize::try_from(length).unwrap(), &vec![0; kill.torn_seal]);
    *folder = left;
    rig.open(folder)
}

fn charge(opened: &mut Opened, n: u64) {
    while opened.writers[0].charge(&call(1, n)) == Err(Full) {
        thread::yield_now();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, each answered call is counted once, and a seal never changes.
    #[test]
    fn every_answered_call_is_counted_once(steps in steps()) {
        let (mut folder, rig) = (Folder::new(), Rig::new());
        let mut opened = rig.open(&folder);
        let mut answered = 0;
        for step in steps {
            match step {
                Step::Call => {
                    charge(&mut opened, answered);
                    answered += 1;
                }
                Step::End => opened.writers[0].end(&end_of(&call(1, answered))),
                Step::Sync => drop(opened.journal.sync_now()),
                Step::Settle => prop_assert!(opened.journal.settle(LONG)),
                Step::SinkFails(times) => rig.store.failures.store(times, Ordering::Release),
                Step::AnswerLost => rig.store.lost_answers.store(1, Ordering::Release),
                Step::Kill(left) => {
                    opened = kill(&rig, &mut folder, opened, &left);
                    let waiting: u64 = opened.unfolded.iter().map(|row| row.units).sum();
                    prop_assert!(rig.store.units() <= answered);
                    prop_assert!(rig.store.units() + waiting >= answered);
                }
            }
        }
        prop_assert!(opened.journal.settle(LONG));
        prop_assert_eq!(rig.store.units(), answered);
        same_seal_every_time(&rig.store);
        let report = verify(&folder.0, rig.store.seals()).unwrap();
        prop_assert_eq!((report.problems, report.waiting), (vec![], 0));
    }
}

/// Copies of the folder while three writers, both threads and the sink are at work.
#[test]
fn kill_under_load_keeps_all_that_was_answered() {
    for round in 0..6 {
        let (folder, rig) = (Folder::new(), Rig::new());
        let opened = rig.open_with(&rig.options(&folder.0, 3));
        let answered: [AtomicU64; 3] = Default::default();
        let stop = AtomicBool::new(false);
        let (answered, stop) = (&answered, &stop);
        let (left, least, through) = thread::scope(|scope| {
            for (core, mut writer) in (0..).zip(opened.writers) {
                scope.spawn(move || {
                    for n in 0.. {
                        while writer.charge(&call(core, n)) == Err(Full) {
                            thread::yield_now();
                        }
                        answered[usize::from(core)].store(n + 1, Ordering::Release);
                        if stop.load(Ordering::Acquire) {
                            return;
                        }
                    }
                });
            }
            for _ in 0..=round {
                opened.journal.sync_now().unwrap();
            }
            let sum = || answered.iter().map(|n| n.load(Ordering::Acquire)).sum::<u64>();
            let (least, through) = (sum(), rig.store.through());
            let left = folder.copy();
            stop.store(true, Ordering::Release);
            (left, least, through)
        });
        drop(opened.journal);
        let most: u64 = answered.iter().map(|n| n.load(Ordering::Acquire)).sum();
        rig.store.rewind(through);
        let opened = rig.open_with(&rig.options(&left.0, 2));
        assert!(opened.journal.settle(LONG));
        let units = rig.store.units();
        assert!((least..=most).contains(&units), "{least} <= {units} <= {most}");
        assert!(verify(&left.0, rig.store.seals()).unwrap().passed());
    }
}

#[test]
fn pages_lost_with_the_power_cost_only_their_own_events() {
    // The sealing thread's first round may come late enough to seal them.
    let unsealed = || {
        let (folder, rig) = (Folder::new(), Rig::new());
        let mut opened = rig.open(&folder);
        let before = folder.copy().seals();
        (0..50).for_each(|n| charge(&mut opened, n));
        let left = folder.copy();
        (left.seals() == before).then_some((rig, left))
    };
    let (rig, left) = (0..100).find_map(|_| unsealed()).unwrap();
    write_at(&left.segments()[0], 10 * SLOT_BYTES, &[0; 3 * SLOT_BYTES]);
    write_at(&left.segments()[0], 20 * SLOT_BYTES + 40, &[0xff; 8]);
    rig.store.rewind(0);
    let opened = rig.open(&left);
    assert_eq!((opened.recovery.late_events, opened.recovery.bad_slots), (46, 4));
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), 46);
}

#[test]
fn a_damaged_seal_in_the_past_does_not_stop_those_after_it() {
    let (folder, rig) = (Folder::new(), Rig::new());
    rig.store.failures.store(u32::MAX, Ordering::Release);
    let mut opened = rig.open(&folder);
    for n in 0..4 {
        charge(&mut opened, n);
        opened.journal.sync_now().unwrap();
    }
    let left = folder.copy();
    drop(opened);
    write_at(&left.segments()[0], 2 * SLOT_BYTES, &[0xff; 4]);
    rig.store.failures.store(0, Ordering::Release);
    let opened = rig.open(&left);
    assert_eq!((opened.recovery.waiting_seals, opened.recovery.bad_seals), (4, 1));
    assert!(opened.journal.settle(LONG));
    assert_eq!((rig.store.through(), rig.store.calls()), (4, 3));
}

#[test]
fn open_refuses_a_journal_older_than_the_store() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let old = {
        let opened = rig.open(&folder);
        let old = folder.copy();
        drop(opened);
        old
    };
    let mut opened = rig.open(&folder);
    charge(&mut opened, 1);
    assert!(opened.journal.settle(LONG));
    let refused = rig.try_open(&rig.options(&old.0, 1));
    assert!(matches!(refused, Err(OpenError::Behind { store: 1, journal: 0, .. })));
}

#[test]
fn open_refuses_segments_of_a_later_version() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(rig.open(&folder));
    let id = SegmentId { core: 0, number: 9 };
    let mut header = fs::read(folder.segments().last().unwrap()).unwrap();
    header.truncate(SLOT_BYTES);
    header[8] = 2;
    let crc = crc32fast::hash(&header[..SLOT_BYTES - 4]).to_le_bytes();
    header[SLOT_BYTES - 4..].copy_from_slice(&crc);
    fs::write(folder.0.join(id.to_string()), header).unwrap();
    let refused = rig.try_open(&rig.options(&folder.0, 1));
    assert!(matches!(refused, Err(OpenError::Version { found: 2, .. })));
}

#[test]
fn segments_of_cores_that_are_gone_are_still_counted() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open_with(&rig.options(&folder.0, 3));
    for (core, writer) in (0..).zip(&mut opened.writers) {
        writer.charge(&call(core, 1)).unwrap();
    }
    let left = folder.copy();
    drop(opened);
    rig.store.rewind(0);
    let opened = rig.open(&left);
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), 3);
}
