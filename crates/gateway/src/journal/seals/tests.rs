use std::fs;

use super::*;
use crate::journal::tests::rig::{Folder, START};

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        segment: SegmentId { core: 1, number: 77 },
        first: 5,
        count: 6,
        sealed_at: START,
        sha256: [u8::try_from(sequence % 251).unwrap(); 32],
    }
}

#[test]
fn append_is_read_back_in_order_over_block_borders() {
    let folder = Folder::new();
    let mut seals = Appender::open(&folder.0).unwrap();
    let records: Vec<_> = (1..=2500).map(record).collect();
    seals.append(&records[..10]).unwrap();
    seals.append(&records[10..]).unwrap();
    let reader = Reader::open(&folder.0).unwrap();
    let read: Vec<_> = reader.range(1, 2500).map(|record| record.unwrap()).collect();
    assert_eq!(read, records);
    let part: Vec<_> = reader.range(1020, 1030).map(|record| record.unwrap().sequence).collect();
    assert_eq!(part, (1020..=1030).collect::<Vec<_>>());
    assert_eq!(reader.range(2501, 2500).count(), 0);
}

#[test]
fn open_cuts_a_torn_tail_at_every_length() {
    for torn in [1, 40, 79, 80, 81, 240] {
        let folder = Folder::new();
        Appender::open(&folder.0).unwrap().append(&[record(1), record(2)]).unwrap();
        let path = folder.0.join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes.resize(bytes.len() + torn, 0);
        fs::write(&path, bytes).unwrap();
        let mut seals = Appender::open(&folder.0).unwrap();
        assert_eq!((seals.count, seals.last), (2, record(2).sha256));
        seals.append(&[record(3)]).unwrap();
        assert_eq!(Reader::open(&folder.0).unwrap().count().unwrap(), 3);
    }
}

#[test]
fn range_gives_a_damaged_record_as_an_error_in_its_place() {
    let folder = Folder::new();
    Appender::open(&folder.0).unwrap().append(&[record(1), record(2), record(3)]).unwrap();
    let path = folder.0.join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[RECORD_BYTES + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let reader = Reader::open(&folder.0).unwrap();
    let read: Vec<_> = reader.range(1, 3).map(|record| record.is_ok()).collect();
    assert_eq!(read, [true, false, true]);
}
