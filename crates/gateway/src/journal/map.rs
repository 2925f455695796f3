//! The one place with `unsafe`: storing a slot into a shared mapping of a segment file.
//!
//! Everybody else, in this process and in others, reads segments through the file (`pread`), never
//! through a mapping; on Linux both see the same pages. Only a `Mapping` stores, there is one per
//! segment, and it stores through `&mut self`. The `Pages` beside it belong to the sealing thread, which
//! tells the kernel about pages but neither reads nor writes them.

#![expect(unsafe_code, reason = "a store into a memory map has no safe form")]

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{Advice, MmapRaw};

use super::event::{BODY_BYTES, SLOT_BYTES, SlotBytes};

/// A segment file of a header slot and `slots` slots, mapped shared and writable.
pub(super) struct Mapping {
    map: Arc<MmapRaw>,
    slots: u32,
}

/// The pages of a mapping, for syncing and for having them ready. The sealing thread lets go of them
/// last, because unmapping takes time in proportion to their number.
pub(super) struct Pages {
    map: Arc<MmapRaw>,
}

impl Pages {
    /// Syncs `[first, end)`. Pages after it stay as they are, so that the writer meets no page that is
    /// being written back, but for the one it is on.
    pub(super) fn sync(&self, first: u32, end: u32) -> io::Result<()> {
        self.map.flush_range(offset(first), offset(end) - offset(first))
    }

    /// Makes the pages of the next `count` slots writable, so that the writer need not wait for the file
    /// system at the first store to each. It is only a favour: an old kernel may not know it.
    pub(super) fn prepare(&self, first: u32, count: u32) {
        let start = offset(first);
        let length = offset(count).min(self.map.len() - start);
        drop(self.map.advise_range(Advice::PopulateWrite, start, length));
    }

    /// The writer has gone on to another segment.
    pub(super) fn released(&self) -> bool {
        Arc::strong_count(&self.map) == 1
    }
}

/// Where a slot begins in the file: after the header, which is as long as a slot.
fn offset(slot: u32) -> usize {
    (slot as usize + 1) * SLOT_BYTES
}

impl Mapping {
    /// `file` must already have its full length *allocated*: a store to a hole of a full disk would
    /// kill the process (SIGBUS). `slots` is how many slots follow the header slot.
    pub(super) fn new(file: &File, slots: u32) -> io::Result<(Self, Pages)> {
        let map = Arc::new(MmapRaw::map_raw(file)?);
        if map.len() != offset(slots) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "segment of an odd length"));
        }
        Ok((Self { map: map.clone(), slots }, Pages { map }))
    }

    /// Stores the body, then, with Release, the CRC that makes it count: a kill in between leaves a
    /// slot that fails its CRC, never half an event that passes.
    #[inline]
    pub(super) fn store(&mut self, slot: u32, bytes: &SlotBytes) {
        assert!(slot < self.slots, "slot outside the segment");
        let offset = offset(slot);
        let mut crc = [0; 4];
        crc.copy_from_slice(&bytes[BODY_BYTES..]);
        // SAFETY: `new` checked that the mapping is (slots + 1) × SLOT_BYTES long and the assertion
        // bounds `slot`, so all SLOT_BYTES from `offset` are inside the mapping, which lives as long as
        // `self`. No reference into the mapping exists anywhere (only raw pointers leave `MmapRaw`),
        // `&mut self` excludes a second store, and `Pages` has no way to the bytes. The mapping starts on a page and SLOT_BYTES and
        // BODY_BYTES are multiples of 4, so the CRC's address is aligned for `AtomicU32`. The file is
        // never shortened while it is mapped: only files without a writer are truncated.
        unsafe {
            let target = self.map.as_mut_ptr().add(offset);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, BODY_BYTES);
            AtomicU32::from_ptr(target.add(BODY_BYTES).cast())
                .store(u32::from_ne_bytes(crc), Ordering::Release);
        }
    }
}

const _: () = assert!(SLOT_BYTES.is_multiple_of(4) && BODY_BYTES.is_multiple_of(4));
