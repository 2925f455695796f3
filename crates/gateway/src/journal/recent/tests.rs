use super::*;
use crate::journal::event::encode_charge;
use crate::journal::tests::rig::call;

/// Ids that end in other bytes, as random ones do.
fn key(number: u64) -> KeyId {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (mut id, bytes) = ([7; 16], (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    id[8..].copy_from_slice(&bytes.to_le_bytes());
    KeyId::from_bytes(id)
}

fn slots(keys: impl Iterator<Item = KeyId>) -> Vec<u8> {
    let charge = |(key, slot)| encode_charge(&Charge { key, ..call(1, 0) }, slot);
    keys.zip(0..).flat_map(charge).collect()
}

#[test]
fn seals_without_a_key_are_skipped_and_those_with_it_never() {
    const SEALS: u64 = 200;
    let recent = Recent::default();
    for seal in 1..=SEALS {
        // Room for twice as many events.
        let bytes = slots((0..500).map(|n| key(seal * 1_000 + n)));
        let padding = vec![0; bytes.len()];
        recent.note(seal, &[bytes, padding].concat());
    }
    let filters = lock(&recent.filters);
    for seal in 1..=SEALS {
        let skipped = filters.without(key(seal * 1_000 + 250));
        assert!(skipped.binary_search(&seal).is_err());
        assert!(skipped.len() > 150, "{} of {SEALS}", skipped.len());
    }
}

#[test]
fn filters_are_bounded_and_a_seal_that_is_made_again_replaces_its_own() {
    let recent = Recent::default();
    let bytes = slots((0..16 * 1024).map(key));
    for seal in 1..=400 {
        recent.note(seal, &bytes);
        assert!(lock(&recent.filters).bytes <= FILTERS_MAX_BYTES);
    }
    let kept = lock(&recent.filters).kept.len();
    assert!((200..400).contains(&kept), "{kept}");
    recent.note(399, &slots([key(1)].into_iter()));
    let filters = lock(&recent.filters);
    assert_eq!(filters.kept.iter().map(|filter| filter.sequence).max(), Some(399));
    assert_eq!(filters.bytes, filters.kept.iter().map(Filter::bytes).sum::<usize>());
    assert!(filters.without(key(2)).contains(&399));
}
