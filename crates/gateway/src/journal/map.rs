//! The one place with `unsafe`: storing a slot into a shared mapping of a segment file.
//!
//! Everybody else, in this process and in others, reads segments through the file (`pread`), never
//! through a mapping; on Linux both see the same pages. So the mapping has one reader and writer: the
//! `Mapping` itself, which is not `Sync` and stores through `&mut self`.

#![expect(unsafe_code, reason = "a store into a memory map has no safe form")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

use super::event::{BODY_BYTES, SLOT_BYTES, SlotBytes};

/// A segment file of `HEADER_BYTES + capacity × SLOT_BYTES`, mapped shared and writable.
pub(super) struct Mapping {
    map: MmapRaw,
    slots: u32,
}

impl Mapping {
    /// `file` must already have its full length *allocated*: a store to a hole of a full disk would
    /// kill the process (SIGBUS). `slots` is how many slots follow the header slot.
    pub(super) fn new(file: &File, slots: u32) -> io::Result<Self> {
        let map = MmapRaw::map_raw(file)?;
        if map.len() != (slots as usize + 1) * SLOT_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "segment of an odd length"));
        }
        Ok(Self { map, slots })
    }

    /// Stores the body, then, with Release, the CRC that makes it count: a kill in between leaves a
    /// slot that fails its CRC, never half an event that passes.
    #[inline]
    pub(super) fn store(&mut self, slot: u32, bytes: &SlotBytes) {
        assert!(slot < self.slots, "slot outside the segment");
        let offset = (slot as usize + 1) * SLOT_BYTES;
        let mut crc = [0; 4];
        crc.copy_from_slice(&bytes[BODY_BYTES..]);
        // SAFETY: `new` checked that the mapping is (slots + 1) × SLOT_BYTES long and the assertion
        // bounds `slot`, so all SLOT_BYTES from `offset` are inside the mapping, which lives as long as
        // `self`. No reference into the mapping exists anywhere (only raw pointers leave `MmapRaw`), and
        // `&mut self` excludes a second store. The mapping starts on a page and SLOT_BYTES and
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
