use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

/// (key, value); the hash is the key spread out.
type Entry = (u64, u32);

fn hash(key: u64) -> u64 {
    // Few distinct values, so that keys meet in slots and tags.
    (key % 7).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn put(index: &Index<Entry>, key: u64, value: u32) {
    index.put(hash(key), Arc::new((key, value)), |entry| entry.0 == key, |entry| hash(entry.0));
}

fn find(index: &Index<Entry>, key: u64) -> Option<u32> {
    index.find(hash(key), |entry| entry.0 == key).map(|entry| entry.1)
}

proptest! {
    #[test]
    fn an_index_holds_what_a_map_would(steps in prop::collection::vec((0..64_u64, prop::option::of(any::<u32>())), 0..400)) {
        let index = Index::default();
        let mut map = HashMap::new();
        for (key, value) in steps {
            if let Some(value) = value {
                put(&index, key, value);
                map.insert(key, value);
            } else {
                index.remove(hash(key), |entry: &Entry| entry.0 == key);
                map.remove(&key);
            }
            prop_assert_eq!(find(&index, key), map.get(&key).copied());
        }
        prop_assert_eq!(index.len(), map.len());
        for key in 0..64 {
            prop_assert_eq!(find(&index, key), map.get(&key).copied());
        }
    }
}

#[test]
fn an_entry_is_found_at_every_moment_while_the_index_grows_around_it() {
    let index = &Index::default();
    let spread = |key: u64| key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let stop = &AtomicBool::new(false);
    let add = |key: u64, value| {
        let record = Arc::new((key, value));
        index.put(spread(key), record, |entry: &Entry| entry.0 == key, |entry| spread(entry.0));
    };
    add(1, 0);
    std::thread::scope(|threads| {
        let readers = [(); 2].map(|()| {
            threads.spawn(|| {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let found = index.find(spread(1), |entry| entry.0 == 1).expect("it is there");
                    assert!(found.1 >= last, "an older record came back");
                    last = found.1;
                }
            })
        });
        for round in 1..20_000_u32 {
            add(1, round);
            add(u64::from(round) + 1, 0);
            if round % 3 == 0 {
                let gone = u64::from(round);
                index.remove(spread(gone), |entry| entry.0 == gone && gone != 1);
            }
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().expect("a reader found it every time");
        }
    });
}

#[test]
fn a_reserved_index_does_not_grow() {
    let index = Index::<Entry>::default();
    index.reserve(64_000);
    let capacity = || index.shards.iter().map(|shard| shard.load().tags.len()).sum::<usize>();
    let before = capacity();
    for key in 0..64_000_u64 {
        let at = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        index.put(at, Arc::new((key, 0)), |entry| entry.0 == key, |entry| entry.0);
    }
    assert_eq!((before, capacity(), index.len()), (80_000, 80_000, 64_000));
}
