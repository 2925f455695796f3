//! Runs without accidents.

use super::rig::{Folder, LONG, Rig, call, end_of};

#[test]
fn settle_hands_every_call_to_the_sink_once() {
    let (folder, rig) = (Folder::new(), Rig::new());
    let mut opened = rig.open(&folder);
    for n in 0..40 {
        opened.writers[0].charge(&call(1, n)).unwrap();
        opened.writers[0].end(&end_of(&call(1, n)));
        if n % 7 == 0 {
            assert!(opened.journal.settle(LONG));
        }
    }
    assert!(opened.journal.settle(LONG));
    assert_eq!((rig.store.calls(), rig.store.units()), (40, 40));
    assert_eq!(opened.journal.stats().waiting_bytes, 0);
}
