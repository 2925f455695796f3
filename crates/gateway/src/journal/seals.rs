//! The file `seals`: fixed records, appended and synced before their batch is offered anywhere.
//!
//! Record number n is seal n + 1, so any seal is found by its sequence. `previous` is not stored: it is
//! the record before. A torn or unsynced tail is cut off at open; its events are sealed again. A record
//! that is damaged in the middle is an error: the chain cannot be continued over it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use keytoll_domain::ledger::Seal;
use keytoll_domain::time::Timestamp;
use sha2::{Digest, Sha256};

use super::event::field;
use super::segment::{SegmentId, sync_dir};

pub(super) const FILE: &str = "seals";
const RECORD_BYTES: usize = 80;
/// Records read at a time.
const RECORDS_PER_READ: u64 = 1024;

pub(super) type Hash = [u8; 32];
/// What the first seal has for `previous`.
pub(super) const NO_PREVIOUS: Hash = [0; 32];

/// A seal as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) sequence: u64,
    pub(super) segment: SegmentId,
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) sealed_at: Timestamp,
    pub(super) sha256: Hash,
}

impl Record {
    pub(super) fn seal(&self, node: &str, previous: &Hash) -> Seal {
        Seal {
            node: node.to_owned(),
            sequence: self.sequence,
            segment: self.segment.to_string(),
            first: u64::from(self.first),
            count: u64::from(self.count),
            previous: hex(previous),
            sha256: hex(&self.sha256),
            sealed_at: self.sealed_at,
        }
    }

    /// One past the last slot.
    pub(super) fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }

    fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.segment.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.segment.core.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.sealed_at.0.to_le_bytes());
        bytes[36..68].copy_from_slice(&self.sha256);
        let crc = crc32fast::hash(&bytes[..RECORD_BYTES - 4]);
        bytes[RECORD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let crc = crc32fast::hash(&bytes[..RECORD_BYTES - 4]);
        (field::<4>(bytes, RECORD_BYTES - 4) == crc.to_le_bytes()).then(|| Self {
            sequence: u64::from_le_bytes(field(bytes, 0)),
            segment: SegmentId {
                number: u64::from_le_bytes(field(bytes, 8)),
                core: u32::from_le_bytes(field(bytes, 16)),
            },
            first: u32::from_le_bytes(field(bytes, 20)),
            count: u32::from_le_bytes(field(bytes, 24)),
            sealed_at: Timestamp(i64::from_le_bytes(field(bytes, 28))),
            sha256: field(bytes, 36),
        })
    }
}

/// The hash of a seal: over the previous hash, then the bytes of the slots.
pub(super) fn chain(previous: &Hash, slots: &[u8]) -> Hash {
    Sha256::new().chain_update(previous).chain_update(slots).finalize().into()
}

pub(super) fn hex(hash: &Hash) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Appends; there is one per node.
pub(super) struct Appender {
    file: File,
    pub(super) count: u64,
    pub(super) last: Hash,
}

impl Appender {
    /// Opens or makes the file and cuts a torn tail off.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let reader = Reader { file: file.try_clone()? };
        let count = reader.count()?;
        file.set_len(count * RECORD_BYTES as u64)?;
        file.sync_all()?;
        sync_dir(dir)?;
        let last = reader.hash_of(count)?;
        Ok(Self { file, count, last })
    }

    /// Appends the records, which must continue the chain, and syncs; all or none.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let Some(last) = records.last() else { return Ok(()) };
        let bytes: Vec<u8> = records.iter().flat_map(Record::encode).collect();
        let length = self.count * RECORD_BYTES as u64;
        let written = self.file.write_all_at(&bytes, length).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What a full disk left half written is cut off; if even that fails, the next append or
            // the next open overwrites it, and readers stop at `count`.
            drop(self.file.set_len(length));
            return Err(error);
        }
        self.count = last.sequence;
        self.last = last.sha256;
        Ok(())
    }
}

/// Reads, in this process or another, also while seals are appended.
pub(super) struct Reader {
    file: File,
}

impl Reader {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(dir.join(FILE))? })
    }

    /// How many records there are, without a torn tail.
    pub(super) fn count(&self) -> io::Result<u64> {
        let mut count = self.file.metadata()?.len() / RECORD_BYTES as u64;
        while count > 0 && self.raw(count)?.is_none_or(|record| record.sequence != count) {
            count -= 1;
        }
        Ok(count)
    }

    /// The hash of seal `sequence`; of 0, what the first seal builds on.
    pub(super) fn hash_of(&self, sequence: u64) -> io::Result<Hash> {
        if sequence == 0 { Ok(NO_PREVIOUS) } else { Ok(self.get(sequence)?.sha256) }
    }

    pub(super) fn get(&self, sequence: u64) -> io::Result<Record> {
        let record = self.raw(sequence)?.filter(|record| record.sequence == sequence);
        record.ok_or_else(|| damaged(sequence))
    }

    fn raw(&self, sequence: u64) -> io::Result<Option<Record>> {
        let mut bytes = [0; RECORD_BYTES];
        self.file.read_exact_at(&mut bytes, (sequence - 1) * RECORD_BYTES as u64)?;
        Ok(Record::decode(&bytes))
    }

    /// The records of `[first, last]`, a damaged one as an error in its place.
    pub(super) fn range(
        &self,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = io::Result<Record>> + '_ {
        let starts = (first..=last).step_by(usize::try_from(RECORDS_PER_READ).unwrap_or(1));
        starts.flat_map(move |start| self.block(start, last.min(start + RECORDS_PER_READ - 1)))
    }

    fn block(&self, first: u64, last: u64) -> Vec<io::Result<Record>> {
        let count = usize::try_from(last + 1 - first).unwrap_or(0);
        let mut bytes = vec![0; count * RECORD_BYTES];
        if let Err(error) = self.file.read_exact_at(&mut bytes, (first - 1) * RECORD_BYTES as u64) {
            return vec![Err(error)];
        }
        let records = bytes.as_chunks::<RECORD_BYTES>().0.iter().zip(first..);
        let check = |(bytes, sequence): (&[u8; RECORD_BYTES], u64)| {
            let record = Record::decode(bytes).filter(|record| record.sequence == sequence);
            record.ok_or_else(|| damaged(sequence))
        };
        records.map(check).collect()
    }
}

fn damaged(sequence: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("seal {sequence} is damaged in `{FILE}`"))
}

#[cfg(test)]
mod tests;
