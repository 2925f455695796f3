//! Segment files: names, header, creation with all blocks allocated, listing, reading.
//!
//! `<core>-<number>.seg` = a header of one slot's length, then slots. A file appears under that name only
//! when it is whole: allocated, its header synced. Numbers go up per core and are never used again, since
//! seals cite them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use keytoll_domain::time::Timestamp;
use rustix::fs::FallocateFlags;

use super::event::{SLOT_BYTES, Slot, SlotBytes, decode, field};
use super::map::{Mapping, Pages};

const MAGIC: [u8; 8] = *b"ktsegmnt";
/// Goes up with every change of header or slots.
pub(super) const VERSION: u32 = 1;
/// Suffix of a segment that is being made.
const UNFINISHED: &str = "new";
/// Slots read at a time.
const SLOTS_PER_READ: u32 = 4096;

/// Which segment: seals and file names spell it `<core>-<number>.seg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    pub core: u32,
    pub number: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08}.seg", self.core, self.number)
    }
}

impl FromStr for SegmentId {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (core, number) = name.strip_suffix(".seg").and_then(|s| s.split_once('-')).ok_or(())?;
        let id =
            Self { core: core.parse().map_err(|_| ())?, number: number.parse().map_err(|_| ())? };
        if id.to_string() == name { Ok(id) } else { Err(()) }
    }
}

/// Gives a new file its blocks; a full disk must be found here. Tests put a failing one in.
pub(super) type Allocate = dyn Fn(&File, u64) -> io::Result<()> + Send + Sync;

/// Reserves the blocks of a new file. Where the file system cannot, zeros are written.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_zeros(file, bytes),
        Err(error) => Err(error.into()),
    }
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0; 8 * 1024];
    let mut done = 0;
    while done < bytes {
        let rest = usize::try_from(bytes - done).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..rest], done)?;
        done += rest as u64;
    }
    file.sync_data()
}

/// A segment open for reading; writer and sealing thread have its mapping.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: SegmentId,
    file: File,
}

impl Segment {
    /// Makes a segment of `slots` slots and maps it.
    pub(super) fn create(
        dir: &Path,
        id: SegmentId,
        slots: u32,
        now: Timestamp,
        allocate: &Allocate,
    ) -> io::Result<(Self, Mapping, Pages)> {
        let path = dir.join(id.to_string());
        let unfinished = path.with_extension(UNFINISHED);
        let made = Self::make(&unfinished, id, slots, now, allocate);
        let (file, mapping, pages) = made.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
        fs::rename(&unfinished, &path)?;
        sync_dir(dir)?;
        Ok((Self { id, file }, mapping, pages))
    }

    fn make(
        path: &Path,
        id: SegmentId,
        slots: u32,
        now: Timestamp,
        allocate: &Allocate,
    ) -> io::Result<(File, Mapping, Pages)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
        allocate(&file, (u64::from(slots) + 1) * SLOT_BYTES as u64)?;
        file.write_all_at(&header(id, slots, now), 0)?;
        file.sync_all()?;
        let (mapping, pages) = Mapping::new(&file, slots)?;
        Ok((file, mapping, pages))
    }

    pub(super) fn open(dir: &Path, id: SegmentId) -> io::Result<Self> {
        let file = File::open(dir.join(id.to_string()))?;
        Ok(Self { id, file })
    }

    /// Slots that the file has room for now.
    pub(super) fn slots(&self) -> io::Result<u32> {
        let slots = (self.file.metadata()?.len() / SLOT_BYTES as u64).saturating_sub(1);
        Ok(u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// For segments without a mapping.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The bytes of `[first, first + count)`, as they are.
    pub(super) fn read(&self, first: u32, count: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize * SLOT_BYTES];
        self.file.read_exact_at(&mut bytes, (u64::from(first) + 1) * SLOT_BYTES as u64)?;
        Ok(bytes)
    }

    /// Where the events end: one past the last slot that is not empty. A process that is killed leaves
    /// no holes; a machine that loses power may, so all slots are looked at.
    pub(super) fn written(&self) -> io::Result<u32> {
        let slots = self.slots()?;
        let mut end = 0;
        let mut first = 0;
        while first < slots {
            let count = SLOTS_PER_READ.min(slots - first);
            let bytes = self.read(first, count)?;
            for (slot, content) in (first..).zip(slots_of(&bytes)) {
                if content.iter().any(|byte| *byte != 0) {
                    end = slot + 1;
                }
            }
            first += count;
        }
        Ok(end)
    }

    /// The version in the header, if the header is whole.
    pub(super) fn version(&self) -> io::Result<Option<u32>> {
        let mut bytes = [0; SLOT_BYTES];
        match self.file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let crc = crc32fast::hash(&bytes[..SLOT_BYTES - 4]).to_le_bytes();
        let whole = field::<8>(&bytes, 0) == MAGIC && field::<4>(&bytes, SLOT_BYTES - 4) == crc;
        Ok(whole.then(|| u32::from_le_bytes(field(&bytes, 8))))
    }
}

fn header(id: SegmentId, slots: u32, now: Timestamp) -> SlotBytes {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&id.core.to_le_bytes());
    bytes[16..24].copy_from_slice(&id.number.to_le_bytes());
    bytes[24..28].copy_from_slice(&slots.to_le_bytes());
    bytes[28..36].copy_from_slice(&now.0.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..SLOT_BYTES - 4]);
    bytes[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The slots in bytes that [`Segment::read`] gave.
pub(super) fn slots_of(bytes: &[u8]) -> impl Iterator<Item = &SlotBytes> {
    bytes.as_chunks::<SLOT_BYTES>().0.iter()
}

/// The slots decoded; the first is number `first`.
pub(super) fn decoded(bytes: &[u8], first: u32) -> impl Iterator<Item = Slot> {
    (first..).zip(slots_of(bytes)).map(|(slot, bytes)| decode(bytes, slot))
}

/// All whole segments of the folder, in order of core and number.
pub(super) fn list(dir: &Path) -> io::Result<Vec<SegmentId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Removes what a kill left half made.
pub(super) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Gives the unused end of a segment without a writer back to the disk; an empty one is removed.
pub(super) fn trim(dir: &Path, id: SegmentId, written: u32) -> io::Result<()> {
    let path = path(dir, id);
    if written == 0 {
        return fs::remove_file(path);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    let length = (u64::from(written) + 1) * SLOT_BYTES as u64;
    if file.metadata()?.len() > length {
        file.set_len(length)?;
        file.sync_all()?;
    }
    Ok(())
}

pub(super) fn path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(id.to_string())
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
