//! `read` and `verify`, as another process uses them.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::rig::{Folder, LONG, Rig, START, call, end_of};
use crate::journal::event::SLOT_BYTES;
use crate::journal::{Opened, Problem, SegmentId, read, verify};

const FIRST: SegmentId = SegmentId { core: 0, number: 1 };

fn with_seals(folder: &Folder, rig: &Rig) -> Opened {
    let mut opened = rig.open(folder);
    for n in 0..6 {
        opened.writers[0].charge(&call(1, n)).unwrap();
        assert!(opened.journal.settle(LONG));
    }
    opened
}

fn flip(folder: &Folder, file: &str, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(folder.0.join(file)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn read_gives_calls_of_the_span_with_their_ends_while_the_journal_runs() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    for n in 0..62 {
        opened.writers[0].charge(&call(1, n)).unwrap();
    }
    opened.journal.sync_now().unwrap();
    // These cross into the second segment.
    for n in 58..62 {
        opened.writers[0].end(&end_of(&call(1, n)));
    }
    let span = (START.plus_micros(50), START.plus_micros(61));
    let calls: Vec<_> =
        read(&folder.0, span.0, span.1).unwrap().map(|call| call.unwrap()).collect();
    let seen: Vec<_> =
        calls.iter().map(|call| (call.charge.at.0 - START.0, call.end.is_some())).collect();
    let expected: Vec<_> = (50..61).map(|n| (n, n >= 58)).collect();
    assert_eq!(seen, expected);
    assert_eq!(calls[10].end, Some(end_of(&calls[10].charge)));
}

#[test]
fn read_passes_over_what_was_sealed_before_the_span() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(with_seals(&folder, &rig));
    rig.advance(100);
    let opened = rig.open(&folder);
    let from = START.plus_secs(50);
    assert_eq!(read(&folder.0, from, from.plus_days(1)).unwrap().count(), 0);
    assert_eq!(read(&folder.0, START, from).unwrap().count(), 6);
    drop(opened);
}

#[test]
fn verify_passes_on_a_running_journal() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let opened = with_seals(&folder, &rig);
    let report = verify(&folder.0, rig.store.seals()).unwrap();
    assert!(report.passed());
    assert_eq!((report.seals, report.checked, report.stored, report.waiting), (6, 6, 6, 0));
    let report = verify(&folder.0, rig.store.seals().into_iter().take(4)).unwrap();
    assert_eq!((report.passed(), report.waiting), (true, 2));
    drop(opened);
}

/// Computed here from the files alone, as an auditor would: previous hash, then the bytes of the slots.
#[test]
fn seals_hash_the_seal_before_and_their_events() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(with_seals(&folder, &rig));
    let mut previous = [0_u8; 32];
    for seal in rig.store.seals() {
        let bytes = fs::read(folder.0.join(&seal.segment)).unwrap();
        let slots = &bytes.as_chunks::<SLOT_BYTES>().0[1..];
        let first = usize::try_from(seal.first).unwrap();
        let count = usize::try_from(seal.count).unwrap();
        let mut hash = Sha256::new().chain_update(previous);
        slots[first..first + count].iter().for_each(|slot| hash.update(slot));
        let text = |hash: [u8; 32]| hash.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(seal.previous, text(previous));
        previous = hash.finalize().into();
        assert_eq!(seal.sha256, text(previous));
    }
}

#[test]
fn verify_finds_an_altered_event_and_an_altered_seal() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(with_seals(&folder, &rig));
    flip(&folder, &FIRST.to_string(), 3 * SLOT_BYTES as u64 + 80);
    let report = verify(&folder.0, rig.store.seals()).unwrap();
    assert_eq!(report.problems, [Problem::Altered { sequence: 3, segment: FIRST }]);
    flip(&folder, "seals", 4 * 80 + 40);
    let report = verify(&folder.0, rig.store.seals()).unwrap();
    assert_eq!(report.problems[1..], [Problem::Damaged { sequence: 5 }]);
}

#[test]
fn verify_compares_the_store_with_the_journal() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(with_seals(&folder, &rig));
    let mut stored = rig.store.seals();
    stored[1].count += 1;
    stored.remove(3);
    let mut foreign = stored[0].clone();
    foreign.node = "node-b".into();
    stored.insert(0, foreign);
    let mut extra = stored[4].clone();
    extra.sequence = 7;
    stored.push(extra);
    let report = verify(&folder.0, stored).unwrap();
    assert_eq!(
        report.problems,
        [
            Problem::Differs { sequence: 2 },
            Problem::NotStored { first: 4, last: 4 },
            Problem::NotSealed { sequence: 7 },
        ]
    );
}

#[test]
fn verify_tells_events_removed_by_retention_from_lost_ones() {
    let (folder, rig) = (Folder::new(), Rig::new());
    drop(with_seals(&folder, &rig));
    fs::remove_file(folder.0.join(FIRST.to_string())).unwrap();
    let report = verify(&folder.0, rig.store.seals()).unwrap();
    assert_eq!((report.passed(), report.gone), (true, 6));
    let report = verify(&folder.0, rig.store.seals().into_iter().take(5)).unwrap();
    assert_eq!(report.problems, [Problem::Lost { sequence: 6, segment: FIRST }]);
}
