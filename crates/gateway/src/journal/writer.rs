//! The side of the journal that the request path sees: one writer per core, no lock, no allocation, no
//! waiting. A full segment is swapped for the one prepared ahead; if there is none the caller is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::Thread;

use super::event::{Charge, End, SlotBytes, encode_charge, encode_end};
use super::map::Mapping;

/// No segment to be had: the call may not be served (503 `metering_unavailable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has no room")]
pub struct Full;

/// A mapped segment on its way from the sealing thread to the writer.
pub(super) struct Fresh {
    pub(super) mapping: Mapping,
    pub(super) slots: u32,
    /// Slots written so far; the sealing thread reads it.
    pub(super) written: Arc<AtomicU32>,
}

/// What a writer and the sealing thread share besides the segments: they differ by one while a prepared
/// segment waits in the channel.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Segments put into the channel; stored by the sealing thread only.
    pub(super) sent: AtomicU32,
    /// Segments taken out of it; stored by the writer only.
    pub(super) taken: AtomicU32,
}

impl Line {
    pub(super) fn has_spare(&self) -> bool {
        self.sent.load(Ordering::Acquire) != self.taken.load(Ordering::Acquire)
    }
}

/// One core's end of the journal.
pub struct Writer {
    current: Option<Fresh>,
    next: u32,
    reserve: u32,
    line: Arc<Line>,
    fresh: Receiver<Fresh>,
    sealer: Thread,
    /// The sealing thread was woken for a segment that has not come yet.
    asked: bool,
}

impl Writer {
    pub(super) fn new(
        reserve: u32,
        line: Arc<Line>,
        fresh: Receiver<Fresh>,
        sealer: Thread,
    ) -> Self {
        Self { current: None, next: 0, reserve, line, fresh, sealer, asked: false }
    }

    /// Is there room for this call and for those already on their way? Asked before a request is sent
    /// upstream; `false` is 503 `metering_unavailable`. The reserve behind the answer (an eighth of a
    /// segment, at most 4096 events) is for calls in flight.
    #[inline]
    pub fn ready(&self) -> bool {
        self.free() > self.reserve || self.line.has_spare()
    }

    /// Writes the charge. When it returns `Ok` the event outlives the process, even by SIGKILL; the
    /// machine's power it outlives after the next sync.
    #[inline]
    pub fn charge(&mut self, charge: &Charge) -> Result<(), Full> {
        if self.free() == 0 {
            self.next_segment()?;
        }
        let slot = self.next;
        self.publish(&encode_charge(charge, slot));
        Ok(())
    }

    /// Writes how a call ended, unless the room left is needed for charges.
    #[inline]
    pub fn end(&mut self, end: &End) {
        if self.free() == 0 && self.next_segment().is_err() {
            return;
        }
        if self.ready() {
            let slot = self.next;
            self.publish(&encode_end(end, slot));
        }
    }

    #[inline]
    fn free(&self) -> u32 {
        self.current.as_ref().map_or(0, |segment| segment.slots - self.next)
    }

    #[inline]
    fn publish(&mut self, bytes: &SlotBytes) {
        let Some(segment) = &mut self.current else { return };
        segment.mapping.store(self.next, bytes);
        self.next += 1;
        segment.written.store(self.next, Ordering::Release);
    }

    #[cold]
    fn next_segment(&mut self) -> Result<(), Full> {
        let Ok(fresh) = self.fresh.try_recv() else {
            if !self.asked {
                self.asked = true;
                self.sealer.unpark();
            }
            return Err(Full);
        };
        self.line.taken.fetch_add(1, Ordering::AcqRel);
        self.asked = false;
        self.next = 0;
        self.current = Some(fresh);
        self.sealer.unpark();
        Ok(())
    }
}
