//! Full disks, bounds and retention.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rig::{Folder, LONG, Rig, call, end_of};
use crate::journal::segment::allocate;
use crate::journal::{Full, Options, Writer};

/// A disk that is full while the switch is on.
fn full_when(options: &mut Options, full: &Arc<AtomicBool>) {
    let full = full.clone();
    options.allocate = Arc::new(move |file, bytes| {
        if full.load(Ordering::Acquire) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        allocate(file, bytes)
    });
}

fn fill(writer: &mut Writer, from: u64) -> u64 {
    let mut n = from;
    while writer.charge(&call(1, n)) != Err(Full) {
        n += 1;
    }
    n
}

#[test]
fn full_disk_stops_charges_and_space_brings_them_back() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let full = Arc::new(AtomicBool::new(false));
    let mut options = rig.options(&folder.0, 1);
    full_when(&mut options, &full);
    let mut opened = rig.open_with(&options);
    full.store(true, Ordering::Release);
    let writer = &mut opened.writers[0];
    let written = fill(writer, 0);
    assert_eq!(written, 64);
    assert!(!writer.ready());
    assert!(opened.journal.settle(LONG), "what was written is still counted");
    assert!(opened.journal.stats().starved);
    full.store(false, Ordering::Release);
    opened.journal.sync_now().unwrap();
    assert!(opened.writers[0].ready());
    opened.writers[0].charge(&call(1, written)).unwrap();
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), 65);
    assert!(!opened.journal.stats().starved);
}

#[test]
fn open_on_a_full_disk_starts_and_waits_for_space() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let full = Arc::new(AtomicBool::new(true));
    let mut options = rig.options(&folder.0, 1);
    full_when(&mut options, &full);
    let mut opened = rig.open_with(&options);
    assert!(!opened.writers[0].ready());
    assert_eq!(opened.writers[0].charge(&call(1, 0)), Err(Full));
    full.store(false, Ordering::Release);
    opened.journal.sync_now().unwrap();
    assert!(opened.writers[0].ready());
    assert_eq!(opened.writers[0].charge(&call(1, 0)), Ok(()));
    assert!(folder.segments().iter().all(|path| path.extension().unwrap() == "seg"));
}

#[test]
fn ready_is_false_while_the_reserve_is_left_for_calls_in_flight() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let full = Arc::new(AtomicBool::new(false));
    let mut options = rig.options(&folder.0, 1);
    full_when(&mut options, &full);
    let mut opened = rig.open_with(&options);
    full.store(true, Ordering::Release);
    let writer = &mut opened.writers[0];
    let mut admitted = 0;
    while writer.ready() {
        writer.charge(&call(1, admitted)).unwrap();
        admitted += 1;
    }
    assert_eq!(admitted, 56);
    writer.end(&end_of(&call(1, 0)));
    let in_flight = fill(writer, admitted) - admitted;
    assert_eq!(in_flight, 8, "an eighth of 64, none of it used by the end event");
}

/// With a sink that takes nothing the journal stops at `max_bytes` rather than drop what is not counted.
#[test]
fn max_bytes_never_drops_what_is_not_counted() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut options = rig.options(&folder.0, 1);
    options.max_bytes = 4 * 96 * 65;
    let mut opened = rig.open_with(&options);
    rig.store.failures.store(u32::MAX, Ordering::Release);
    let mut written = 0;
    for _ in 0..8 {
        written = fill(&mut opened.writers[0], written);
        opened.journal.sync_now().unwrap();
    }
    assert_eq!(written, 4 * 64);
    assert!(!opened.writers[0].ready());
    assert!(opened.journal.stats().starved);
    rig.store.failures.store(0, Ordering::Release);
    assert!(opened.journal.settle(LONG));
    assert_eq!(rig.store.calls(), written);
    opened.journal.sync_now().unwrap();
    for _ in 0..4 {
        written = fill(&mut opened.writers[0], written);
        assert!(opened.journal.settle(LONG));
        opened.journal.sync_now().unwrap();
    }
    assert!(folder.segments().len() <= 4);
    assert_eq!(rig.store.calls(), written);
}

#[test]
fn segments_go_when_they_are_counted_and_old_and_their_seals_stay() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    let mut written = 0;
    for _ in 0..3 {
        written = fill(&mut opened.writers[0], written);
        assert!(opened.journal.settle(LONG));
    }
    let before = folder.segments().len();
    assert!(before >= 3);
    rig.advance(34 * 86_400);
    opened.journal.sync_now().unwrap();
    assert_eq!(folder.segments().len(), before);
    rig.advance(2 * 86_400);
    // The removal follows the answer of a round, so the second answer tells that it is done.
    opened.journal.sync_now().unwrap();
    opened.journal.sync_now().unwrap();
    assert!(folder.segments().len() < before);
    drop(opened);
    let seals = rig.store.through();
    let reopened = rig.open(&folder);
    assert_eq!(reopened.journal.stats().sealed_through, seals);
    assert!(folder.segments().iter().all(|path| !path.ends_with("0-00000001.seg")));
}
