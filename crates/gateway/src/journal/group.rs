//! Seals on their way into one batch, with the sums of their calls.
//!
//! The sealing thread has the events at hand and adds them up at once; the offering thread takes what is ready, and
//! reads the journal only for what is not: what was left by an earlier run, did not fit, or was offered in vain.

use keytoll_domain::ledger::Seal;

use super::event::{Event, SLOT_BYTES, Slot};
use super::fold::Fold;
use super::recent::Recent;
use super::seals::{Hash, Record};
use super::segment::decoded;

/// Most seals in one batch: at 30 000 events a second, half a minute's.
const SEALS_MAX: usize = 64;
/// A batch is closed when it has so many sums (each up to three rows): some 15 MB.
const SUMS_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Group {
    pub(super) seals: Vec<Seal>,
    /// Bytes of each seal's events.
    pub(super) bytes: Vec<u64>,
    pub(super) fold: Fold,
}

impl Group {
    /// The next seal, which follows `previous`, and the slots in it. Slots that are damaged count nothing.
    pub(super) fn add(&mut self, record: &Record, previous: &Hash, node: &str, slots: &[u8]) {
        for slot in decoded(slots, record.first) {
            if let Slot::Event(Event::Charge(charge)) = slot {
                self.fold.add(&charge);
            }
        }
        self.seals.push(record.seal(node, previous));
        self.bytes.push(u64::from(record.count) * SLOT_BYTES as u64);
    }

    pub(super) fn is_full(&self) -> bool {
        self.seals.len() >= SEALS_MAX || self.fold.len() >= SUMS_MAX
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.seals.first().map(|seal| seal.sequence)
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.seals.last().map(|seal| seal.sequence)
    }
}

/// What becomes of the seals of a round.
pub(super) struct Adding<'s> {
    pub(super) group: Option<Group>,
    recent: Option<&'s Recent>,
    node: &'s str,
    /// A seal has no room in the group, or is not in it for another reason: those after it must not be either.
    full: bool,
}

impl<'s> Adding<'s> {
    /// The round's first seal comes after number `sealed`.
    pub(super) fn after(
        sealed: u64,
        group: Option<Group>,
        recent: Option<&'s Recent>,
        node: &'s str,
    ) -> Self {
        let ends = |group: &Group| group.is_full() || group.last() != Some(sealed);
        let full = group.as_ref().is_some_and(ends);
        Self { group, recent, node, full }
    }

    pub(super) fn add(&mut self, record: &Record, previous: &Hash, slots: &[u8]) {
        if let Some(recent) = self.recent {
            recent.note(record.sequence, slots);
        }
        if !self.full {
            let group = self.group.get_or_insert_default();
            group.add(record, previous, self.node, slots);
            self.full = group.is_full();
        }
    }
}
