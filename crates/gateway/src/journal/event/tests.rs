use proptest::prelude::*;

use super::*;

prop_compose! {
    fn charges()(
        words in any::<[i64; 3]>(),
        ids in any::<[[u8; 16]; 2]>(),
        request in any::<u128>(),
        test in any::<bool>(),
        verification in any::<bool>(),
        status in any::<u16>(),
        counts in any::<[u32; 3]>(),
    ) -> Charge {
        Charge {
            at: Timestamp(words[0]),
            key: KeyId::from_bytes(ids[0]),
            subscription: SubscriptionId::from_bytes(ids[1]),
            period_start: Timestamp(words[1]),
            operation: OperationKey(words[2]),
            environment: if test { Environment::Test } else { Environment::Live },
            status,
            units_admitted: counts[0],
            units_charged: counts[1],
            latency_micros: counts[2],
            request,
            verification,
        }
    }
}

proptest! {
    #[test]
    fn decode_gives_back_every_charge(charge in charges(), slot in any::<u32>()) {
        let bytes = encode_charge(&charge, slot);
        prop_assert_eq!(decode(&bytes, slot), Slot::Event(Event::Charge(charge)));
    }

    #[test]
    fn decode_gives_back_every_end(
        request in any::<u128>(), at in any::<i64>(), sizes in any::<[u64; 2]>(),
        total_micros in any::<u32>(), aborted in any::<bool>(), slot in any::<u32>(),
    ) {
        let [bytes_in, bytes_out] = sizes;
        let end = End { request, at: Timestamp(at), bytes_in, bytes_out, total_micros, aborted };
        prop_assert_eq!(decode(&encode_end(&end, slot), slot), Slot::Event(Event::End(end)));
    }

    /// Up to 32 damaged bits in a row are always found by a CRC-32, torn slots among them by their CRC.
    #[test]
    fn decode_refuses_a_damaged_byte(charge in charges(), place in 0..SLOT_BYTES, flip in 1..=255_u8) {
        let mut bytes = encode_charge(&charge, 3);
        bytes[place] ^= flip;
        prop_assert_eq!(decode(&bytes, 3), Slot::Bad);
    }

    /// The CRC is stored last, so a torn slot ends in four zeros.
    #[test]
    fn decode_refuses_a_torn_slot(charge in charges(), length in 1..BODY_BYTES) {
        let mut bytes = encode_charge(&charge, 3);
        prop_assume!(bytes[BODY_BYTES..] != [0; 4]);
        bytes[length..].fill(0);
        prop_assert_eq!(decode(&bytes, 3), Slot::Bad);
    }
}

#[test]
fn decode_refuses_an_event_of_another_slot() {
    let end = End {
        request: 1,
        at: Timestamp(2),
        bytes_in: 3,
        bytes_out: 4,
        total_micros: 5,
        aborted: true,
    };
    assert_eq!(decode(&encode_end(&end, 8), 9), Slot::Bad);
    assert_eq!(decode(&[0; SLOT_BYTES], 0), Slot::Empty);
}
