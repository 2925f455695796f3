use proptest::prelude::*;

use super::{Fields, Malformed, Value, Writer};

fn read(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
    Fields::of(message).collect()
}

#[test]
fn known_encodings_are_read() {
    // The examples of the format's own description: 150 in field 1, "testing" in field 2.
    assert_eq!(read(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Varint(150))]));
    let testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
    assert_eq!(read(&testing), Ok(vec![(2, Value::Bytes(b"testing"))]));
    assert_eq!(read(&[]), Ok(vec![]));
    let fixed = [0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 0, 0, 0x18, 1];
    let read_fixed = vec![(1, Value::Fixed), (2, Value::Fixed), (3, Value::Varint(1))];
    assert_eq!(read(&fixed), Ok(read_fixed));
    let largest = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(read(&largest), Ok(vec![(1, Value::Varint(u64::MAX))]));
}

#[test]
fn garbage_is_an_error_and_ends_the_fields() {
    let broken: [&[u8]; 9] = [
        &[0x08],
        &[0x08, 0x80],
        &[0x12, 0x05, b'a'],
        &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x00, 0x01],
        &[0x0b, 0x0c],
        &[0x0f, 0x00],
        &[0x09, 0, 0, 0],
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
    ];
    for message in broken {
        assert_eq!(read(message), Err(Malformed), "{message:x?}");
        assert!(Fields::of(message).count() <= 1, "{message:x?}");
    }
    assert_eq!(Value::Varint(1).bytes(), Err(Malformed));
    assert_eq!(Value::Bytes(&[0xff]).text(), Err(Malformed));
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(number in any::<u64>(), field in 1u32..1000, text in ".{0,300}") {
        let mut writer = Writer::default();
        writer.number(field, number);
        writer.message(field + 1, |inner| inner.bytes(1, text.as_bytes()));
        let bytes = writer.finish();
        let fields = read(&bytes).expect("what was written is a message");
        prop_assert_eq!(fields[0], (u64::from(field), Value::Varint(number)));
        prop_assert_eq!(fields[1].0, u64::from(field) + 1);
        let inner = read(fields[1].1.bytes().expect("a message")).expect("a message");
        prop_assert_eq!(inner, vec![(1, Value::Bytes(text.as_bytes()))]);
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Fields::of(&bytes).count() <= bytes.len());
    }
}
