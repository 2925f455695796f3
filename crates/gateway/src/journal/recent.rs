//! The last calls of each key, for people: the sealing thread notes what it has sealed, the portal reads.
//!
//! No core ever waits here: the lock is between those two. It holds at most [`CALLS_PER_KEY`] calls of a key and
//! [`CALLS_MAX`] in all; past either the oldest goes. Memory is taken as calls come, [`ROWS_PER_BLOCK`] at a time, and
//! kept. Calls of one core are in their order; of a key that makes more than [`CALLS_PER_KEY`] calls within one sync on
//! several cores, those of some core stay.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Mutex;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, RequestId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{CallEnd, RecentCall};
use keytoll_domain::time::Timestamp;

use super::event::{Charge, End, Event, Slot};
use super::lock;
use super::segment::{Segment, decoded};

/// Calls that are remembered of one key.
pub const CALLS_PER_KEY: usize = 100;
/// Calls that are remembered in all.
pub const CALLS_MAX: usize = 100_000;
/// Rows that memory is taken for at once: 64 KiB.
const ROWS_PER_BLOCK: usize = 1024;
/// Slots noted at a time: the reader waits less than a millisecond.
const SLOTS_PER_NOTE: u32 = 4096;
/// No row.
const NONE: u32 = u32::MAX;

/// The log with its lock.
pub(super) struct Recent(Mutex<Log>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Log::new(CALLS_PER_KEY, CALLS_MAX)))
    }

    /// Notes the calls in slots `[first, end)`.
    pub(super) fn note(&self, segment: &Segment, first: u32, end: u32) -> io::Result<()> {
        let mut first = first;
        while first < end {
            let count = SLOTS_PER_NOTE.min(end - first);
            let bytes = segment.read(first, count)?;
            let mut log = lock(&self.0);
            for slot in decoded(&bytes, first) {
                match slot {
                    Slot::Event(Event::Charge(charge)) => log.charge(&charge),
                    Slot::Event(Event::End(end)) => log.end(&end),
                    Slot::Empty | Slot::Bad => {}
                }
            }
            first += count;
        }
        Ok(())
    }

    /// The newest first, those before `before` only.
    pub(super) fn of_key(
        &self,
        key: KeyId,
        before: Option<RequestId>,
        limit: usize,
    ) -> Vec<RecentCall> {
        let mut calls = lock(&self.0).of_key(key, before);
        calls.sort_unstable_by_key(|call| Reverse(call.request));
        calls.truncate(limit);
        calls
    }
}

/// A call, and its neighbours in the order of noting.
#[derive(Clone, Copy)]
struct Row {
    at: Timestamp,
    /// In halves, so that a row needs no padding.
    request: [u64; 2],
    operation: OperationKey,
    units: u32,
    latency_micros: u32,
    bytes_in: u32,
    bytes_out: u32,
    /// Place of its key in [`Log::keys`].
    key: u32,
    older: u32,
    newer: u32,
    status: u16,
    test: bool,
    state: State,
}

const _: () = assert!(size_of::<Row>() <= 64, "a hundred thousand rows are 6.4 MB");

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for its end, and is in [`Log::running`].
    Running,
    /// Has none.
    Endless,
    Ended,
    Aborted,
}

struct KeyRows {
    id: KeyId,
    /// The oldest first.
    rows: VecDeque<u32>,
}

/// Rows are named by number; the free ones are used again first.
struct Log {
    per_key: usize,
    max: usize,
    blocks: Vec<Vec<Row>>,
    free: Vec<u32>,
    rows: usize,
    oldest: u32,
    newest: u32,
    keys: Vec<KeyRows>,
    free_keys: Vec<u32>,
    places: HashMap<KeyId, u32>,
    running: HashMap<u128, u32>,
}

impl Log {
    fn new(per_key: usize, max: usize) -> Self {
        Self {
            per_key,
            max,
            blocks: Vec::new(),
            free: Vec::new(),
            rows: 0,
            oldest: NONE,
            newest: NONE,
            keys: Vec::new(),
            free_keys: Vec::new(),
            places: HashMap::new(),
            running: HashMap::new(),
        }
    }

    fn charge(&mut self, charge: &Charge) {
        let key = self.place_of(charge.key);
        let own = self.keys[key as usize].rows.front().copied();
        if let Some(own) = own.filter(|_| self.keys[key as usize].rows.len() >= self.per_key) {
            self.remove(own, key);
        } else if self.rows >= self.max {
            self.remove(self.oldest, key);
        }
        let state = if charge.verification { State::Endless } else { State::Running };
        let row = Row {
            at: charge.at,
            request: halves(charge.request),
            operation: charge.operation,
            units: charge.units_charged,
            latency_micros: charge.latency_micros,
            bytes_in: 0,
            bytes_out: 0,
            key,
            older: self.newest,
            newer: NONE,
            status: charge.status,
            test: charge.environment == Environment::Test,
            state,
        };
        let number = self.add(row);
        self.keys[key as usize].rows.push_back(number);
        if state == State::Running {
            self.running.insert(charge.request, number);
        }
    }

    fn end(&mut self, end: &End) {
        let Some(number) = self.running.remove(&end.request) else { return };
        let row = self.row(number);
        row.bytes_in = u32::try_from(end.bytes_in).unwrap_or(u32::MAX);
        row.bytes_out = u32::try_from(end.bytes_out).unwrap_or(u32::MAX);
        row.state = if end.aborted { State::Aborted } else { State::Ended };
    }

    fn of_key(&self, key: KeyId, before: Option<RequestId>) -> Vec<RecentCall> {
        let Some(place) = self.places.get(&key) else { return Vec::new() };
        let rows = self.keys[*place as usize].rows.iter();
        let calls = rows.map(|number| self.blocks[block(*number)][within(*number)].call());
        calls.filter(|call| before.is_none_or(|before| call.request < before)).collect()
    }

    fn place_of(&mut self, id: KeyId) -> u32 {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let fresh = KeyRows { id, rows: VecDeque::new() };
        let place = if let Some(place) = self.free_keys.pop() {
            self.keys[place as usize] = fresh;
            place
        } else {
            self.keys.push(fresh);
            number_of(self.keys.len() - 1)
        };
        self.places.insert(id, place);
        place
    }

    /// Puts the row at the new end.
    fn add(&mut self, row: Row) -> u32 {
        let number = match self.free.pop() {
            Some(number) => {
                *self.row(number) = row;
                number
            }
            None => self.push(row),
        };
        match self.newest {
            NONE => self.oldest = number,
            newest => self.row(newest).newer = number,
        }
        self.newest = number;
        self.rows += 1;
        number
    }

    fn push(&mut self, row: Row) -> u32 {
        if self.blocks.last().is_none_or(|last| last.len() == ROWS_PER_BLOCK) {
            self.blocks.push(Vec::with_capacity(ROWS_PER_BLOCK));
        }
        let full = (self.blocks.len() - 1) * ROWS_PER_BLOCK;
        let last = self.blocks.last_mut().expect("a block with room was made sure of");
        last.push(row);
        number_of(full + last.len() - 1)
    }

    /// Forgets the row, which is its key's oldest, and a key without rows unless it is `kept`.
    fn remove(&mut self, number: u32, kept: u32) {
        let row = *self.row(number);
        match row.older {
            NONE => self.oldest = row.newer,
            older => self.row(older).newer = row.newer,
        }
        match row.newer {
            NONE => self.newest = row.older,
            newer => self.row(newer).older = row.older,
        }
        if row.state == State::Running {
            self.running.remove(&whole(row.request));
        }
        let of_key = &mut self.keys[row.key as usize];
        let first = of_key.rows.pop_front();
        debug_assert_eq!(first, Some(number), "rows of a key are noted and forgotten in one order");
        if of_key.rows.is_empty() && row.key != kept {
            of_key.rows = VecDeque::new();
            self.places.remove(&of_key.id);
            self.free_keys.push(row.key);
        }
        self.free.push(number);
        self.rows -= 1;
    }

    fn row(&mut self, number: u32) -> &mut Row {
        &mut self.blocks[block(number)][within(number)]
    }
}

impl Row {
    fn call(&self) -> RecentCall {
        let aborted = self.state == State::Aborted;
        let end = CallEnd { bytes_in: self.bytes_in, bytes_out: self.bytes_out, aborted };
        RecentCall {
            request: RequestId(whole(self.request)),
            at: self.at,
            operation: self.operation,
            status: self.status,
            units: self.units,
            latency_micros: self.latency_micros,
            environment: if self.test { Environment::Test } else { Environment::Live },
            end: matches!(self.state, State::Ended | State::Aborted).then_some(end),
        }
    }
}

fn block(number: u32) -> usize {
    number as usize / ROWS_PER_BLOCK
}

fn within(number: u32) -> usize {
    number as usize % ROWS_PER_BLOCK
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("there are far fewer rows and keys")
}

fn halves(request: u128) -> [u64; 2] {
    let bytes = request.to_be_bytes();
    let (halves, _) = bytes.as_chunks::<8>();
    [u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])]
}

fn whole(halves: [u64; 2]) -> u128 {
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

#[cfg(test)]
mod tests;
