//! The last calls of a key, for people: found by reading the journal backwards.
//!
//! What a call costs for this is two bits: each seal has a Bloom filter of the keys in it (B. H. Bloom, "Space/time
//! trade-offs in hash coding with allowable errors", 1970), so that what lies between the calls of a quiet key is not
//! read. The filters are kept in memory, the newest [`FILTERS_MAX_BYTES`] of them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use keytoll_domain::ids::{KeyId, RequestId};
use keytoll_domain::ledger::{CallEnd, CallPlace, RecentCall, RecentCalls};

use super::event::{
    Charge, End, Event, SLOT_BYTES, Slot, SlotBytes, charge_is_of, decode, end_of, field, key_of,
};
use super::lock;
use super::offer::Ranges;
use super::seals::{Reader, Record};
use super::segment::slots_of;

/// Events that are read for one answer, the newest first: 24 MiB, some ten milliseconds.
pub const EVENTS_MAX: u64 = 256 * 1024;
/// What a seal counts at least, so that very many small ones are not read either.
const SEAL_COST: u64 = 64;
/// A call's end is looked for in so many seals after its own: some ten seconds of one core.
const ENDS_SEALS: u64 = 16;
const FILTERS_MAX_BYTES: usize = 2 * 1024 * 1024;
/// About every second event is a charge, so each has eight bits; one seal in twenty is read in vain.
const BITS_PER_EVENT: usize = 4;

#[derive(Default)]
pub(super) struct Recent {
    filters: Mutex<Filters>,
    /// Held by who reads: one at a time, however many ask.
    reading: Mutex<()>,
}

#[derive(Default)]
struct Filters {
    /// In the order of their seals.
    kept: VecDeque<Filter>,
    bytes: usize,
}

struct Filter {
    sequence: u64,
    /// A power of two.
    bits: Box<[u64]>,
}

impl Recent {
    /// Notes whose calls are in the seal with these slots.
    pub(super) fn note(&self, sequence: u64, slots: &[u8]) {
        let bits = slots.len() / SLOT_BYTES * BITS_PER_EVENT;
        let words = bits.div_ceil(64).next_power_of_two();
        let mut filter = Filter { sequence, bits: vec![0; words].into_boxed_slice() };
        for key in slots_of(slots).filter_map(key_of) {
            for bit in filter.places(&key) {
                filter.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        lock(&self.filters).push(filter);
    }

    /// At most `limit` calls of what is sealed, those before `before` only. Found without reading more than
    /// [`EVENTS_MAX`] events; where that is not enough, the answer says where to go on.
    pub(super) fn of_key(
        &self,
        dir: &Path,
        key: KeyId,
        before: Option<CallPlace>,
        limit: usize,
    ) -> io::Result<RecentCalls> {
        let _one = lock(&self.reading);
        let skipped = lock(&self.filters).without(key);
        let reader = Reader::open(dir)?;
        let newest = reader.count()?;
        let before = before.unwrap_or(CallPlace { seal: newest, slot: u32::MAX });
        let mut ranges = Ranges::new(dir);
        let mut found = RecentCalls::default();
        let (mut left, mut near) = (EVENTS_MAX, BTreeSet::new());
        for seal in (1..=newest.min(before.seal)).rev() {
            if skipped.binary_search(&seal).is_ok() {
                continue;
            }
            if left == 0 {
                found.next = Some(CallPlace { seal: seal + 1, slot: 0 });
                break;
            }
            let record = match reader.get(seal) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                other => other?,
            };
            let Some(bytes) = ranges.read(&record)? else { break };
            left = left.saturating_sub(u64::from(record.count).max(SEAL_COST));
            let end = if seal == before.seal { before.slot } else { u32::MAX };
            let mut charges = charges_of(&record, &bytes, key, end);
            let room = limit - found.calls.len();
            let cut = charges.len().saturating_sub(room);
            if charges.len() > cut {
                near.extend(seal..=newest.min(seal + ENDS_SEALS));
            }
            let first = charges.get(cut).map(|(slot, _)| *slot);
            found.calls.extend(charges.drain(cut..).rev().map(|(_, charge)| recent_call(&charge)));
            if found.calls.len() == limit {
                found.next = first.map(|slot| CallPlace { seal, slot });
                break;
            }
        }
        // Within a page by time: what the cores sealed at once is one core after the other.
        found.calls.sort_by_key(|call| Reverse(call.request));
        put_ends(&mut found.calls, near, &reader, &mut ranges)?;
        Ok(found)
    }
}

impl Filters {
    fn push(&mut self, filter: Filter) {
        // A seal that could not be appended is made again.
        while let Some(last) = self.kept.pop_back_if(|last| last.sequence >= filter.sequence) {
            self.bytes -= last.bytes();
        }
        self.bytes += filter.bytes();
        self.kept.push_back(filter);
        while self.bytes > FILTERS_MAX_BYTES
            && let Some(first) = self.kept.pop_front()
        {
            self.bytes -= first.bytes();
        }
    }

    /// The seals that have no call of the key, in order.
    fn without(&self, key: KeyId) -> Vec<u64> {
        let key = key.to_bytes();
        let lacking = self.kept.iter().filter(|filter| !filter.may_have(&key));
        lacking.map(|filter| filter.sequence).collect()
    }
}

impl Filter {
    fn bytes(&self) -> usize {
        size_of_val(&*self.bits) + size_of::<Self>()
    }

    /// The last seven bytes of a key's id are random, and serve as its hashes.
    fn places(&self, key: &[u8; 16]) -> [usize; 2] {
        let most = self.bits.len() * 64 - 1;
        let hash = |at| u32::from_le_bytes(field(key, at)) as usize & most;
        [hash(9), hash(12)]
    }

    fn may_have(&self, key: &[u8; 16]) -> bool {
        self.places(key).iter().all(|bit| self.bits[bit / 64] >> (bit % 64) & 1 == 1)
    }
}

/// The key's charges in slots before `end`, in order.
fn charges_of(record: &Record, bytes: &[u8], key: KeyId, end: u32) -> Vec<(u32, Charge)> {
    let key = key.to_bytes();
    let slots = (record.first..end).zip(slots_of(bytes));
    let charges = slots.filter_map(|(slot, bytes)| match decode_charge_of(bytes, &key, slot) {
        Slot::Event(Event::Charge(charge)) => Some((slot, charge)),
        _ => None,
    });
    charges.collect()
}

fn decode_charge_of(bytes: &SlotBytes, key: &[u8; 16], slot: u32) -> Slot {
    if charge_is_of(bytes, key) { decode(bytes, slot) } else { Slot::Empty }
}

/// Looks for the calls' ends in these seals, within [`EVENTS_MAX`] too.
fn put_ends(
    calls: &mut [RecentCall],
    near: BTreeSet<u64>,
    reader: &Reader,
    ranges: &mut Ranges,
) -> io::Result<()> {
    let places = calls.iter().enumerate().map(|(place, call)| (call.request.0, place));
    let places: HashMap<u128, usize> = places.collect();
    let mut left = EVENTS_MAX;
    for sequence in near.into_iter().rev() {
        if left == 0 {
            break;
        }
        let record = reader.get(sequence)?;
        let bytes = ranges.read(&record)?.unwrap_or_default();
        left = left.saturating_sub(u64::from(record.count).max(SEAL_COST));
        for (slot, bytes) in (record.first..).zip(slots_of(&bytes)) {
            let place = end_of(bytes).and_then(|request| places.get(&request));
            if let Some(place) = place
                && let Slot::Event(Event::End(end)) = decode(bytes, slot)
            {
                calls[*place].end = Some(call_end(&end));
            }
        }
    }
    Ok(())
}

fn recent_call(charge: &Charge) -> RecentCall {
    RecentCall {
        request: RequestId(charge.request),
        at: charge.at,
        operation: charge.operation,
        status: charge.status,
        units: charge.units_charged,
        latency_micros: charge.latency_micros,
        environment: charge.environment,
        end: None,
    }
}

fn call_end(end: &End) -> CallEnd {
    let bytes = |count| u32::try_from(count).unwrap_or(u32::MAX);
    CallEnd { bytes_in: bytes(end.bytes_in), bytes_out: bytes(end.bytes_out), aborted: end.aborted }
}

#[cfg(test)]
mod tests;
