//! How much memory answers may take, whoever holds them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Room {
    used: AtomicUsize,
    max: usize,
}

/// Bytes that somebody holds; given back when it is dropped.
pub(super) struct Lease {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// `None` if there is no room left.
    pub(super) fn lease(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let mut lease = Lease { room: self.clone(), bytes: 0 };
        lease.grow(bytes).then_some(lease)
    }
}

impl Lease {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there was room.
    pub(super) fn grow(&mut self, by: usize) -> bool {
        let max = self.room.max;
        let more = |used: usize| used.checked_add(by).filter(|used| *used <= max);
        let grown = self.room.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if grown {
            self.bytes += by;
        }
        grown
    }

    pub(super) fn shrink(&mut self, by: usize) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.room.used.fetch_sub(by, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}
