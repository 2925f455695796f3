//! The offering thread: gives what is sealed to the sink as a batch of sums until it is taken, in order. Beside
//! the batch that it offers at most one more is ready, however long the sink is away.
//!
//! Seals that wait go together into one batch, because a key costs its rows once per batch. The more rows
//! a batch had, the longer the next one is waited for: taking rows stays within [`ROW_COST`], so that ten
//! thousand busy keys cost as little as one, and usage is seen at most [`LONGEST_WAIT`] later. With up to some
//! 2 000 keys busy in a second nothing waits longer than the sealing thread's interval.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keytoll_domain::ledger::RefusedRow;
use tokio::runtime::Handle;

use super::Options;
use super::group::Group;
use super::seals::{Hash, Reader, Record, chain};
use super::segment::{Segment, SegmentId};
use super::shared::Shared;
use crate::ports::{PortError, Taken, UsageSink};

/// The wait that one row is worth. A row takes 2 to 3 µs of CPU, so this is about 2 % of a core...
const ROW_COST: Duration = Duration::from_micros(150);
/// ...up to so many rows, which some 2 000 busy keys make; so many keys more wait longer, for half a percent.
const QUICK_ROWS: u32 = 6_000;
const FURTHER_ROW_COST: Duration = Duration::from_micros(400);
/// The wait between two batches however many rows they have. With the sealing thread's second and the
/// transaction itself, a call is in the sums within 10 s while the sink keeps up.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A sink that does not answer within this time is asked again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the ranges that seals name, keeping the last segment open.
pub(super) struct Ranges {
    dir: PathBuf,
    open: Option<Segment>,
}

impl Ranges {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None }
    }

    /// The slots of a seal; `None` when they are not there any more.
    pub(super) fn read(&mut self, record: &Record) -> io::Result<Option<Vec<u8>>> {
        if record.count == 0 {
            return Ok(Some(Vec::new()));
        }
        let bytes = self
            .segment(record.segment)
            .and_then(|segment| segment.read(record.first, record.count));
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                self.open = None;
                let gone = [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof];
                if gone.contains(&error.kind()) { Ok(None) } else { Err(error) }
            }
        }
    }

    fn segment(&mut self, id: SegmentId) -> io::Result<&Segment> {
        let segment = match self.open.take().filter(|open| open.id == id) {
            Some(open) => open,
            None => Segment::open(&self.dir, id)?,
        };
        Ok(self.open.insert(segment))
    }
}

pub(super) struct Offerer {
    dir: PathBuf,
    node: String,
    shared: Arc<Shared>,
    sink: Arc<dyn UsageSink>,
    handle: Handle,
    ranges: Ranges,
    first_pause: Duration,
}

impl Offerer {
    pub(super) fn new(
        options: &Options,
        shared: Arc<Shared>,
        sink: Arc<dyn UsageSink>,
        handle: Handle,
    ) -> Self {
        let (dir, node) = (options.dir.clone(), options.node.clone());
        let (ranges, first_pause) = (Ranges::new(&dir), options.first_pause);
        Self { dir, node, shared, sink, handle, ranges, first_pause }
    }

    pub(super) fn run(mut self) {
        let mut state =
            State { taken: self.shared.taken(), refused: Vec::new(), pause: self.first_pause };
        let mut rows = 0;
        while let Some(sealed) = self.shared.wait_sealed(state.taken, wait_for(rows)) {
            // A panic of the sink must not end the counting for good.
            let tried =
                panic::catch_unwind(AssertUnwindSafe(|| self.offer_through(&mut state, sealed)));
            let reason = match tried.unwrap_or(Err(Reason::Panicked)) {
                Ok(offered) => {
                    rows = offered;
                    continue;
                }
                Err(reason) => reason,
            };
            rows = 0;
            if self.shared.stopping() {
                return;
            }
            self.shared.counters.offer_failures.fetch_add(1, Ordering::Relaxed);
            // Said once per outage, and again each time the pause is at its longest for errors that
            // will not heal by themselves.
            if state.pause == self.first_pause || reason.is_lasting() {
                let sequence = state.taken + 1;
                tracing::error!(%reason, sequence, "a sealed batch is not taken; it is offered again");
            }
            if self.shared.pause(state.pause) {
                return;
            }
            state.pause = (state.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Offers what is sealed; the rows of the last batch, or none when there is more to offer at once.
    fn offer_through(&mut self, state: &mut State, sealed: u64) -> Result<usize, Reason> {
        let mut rows = 0;
        while state.taken < sealed {
            if self.shared.stopping() {
                return Err(Reason::Stopped);
            }
            let group = match self.shared.take_ready(state.taken + 1) {
                Ok(group) => group,
                Err(next) => self.gather(state.taken, next.map_or(sealed, |next| next - 1))?,
            };
            let (last, bytes) = (group.last(), group.bytes.clone());
            rows = group.fold.len() * 3;
            let through = self.offer(state, group)?;
            self.advance(state, &bytes, through);
            if Some(through) < last {
                return Ok(0);
            }
        }
        Ok(rows)
    }

    /// Reads seals after `taken`, at most through `last`, back into a group.
    fn gather(&mut self, taken: u64, last: u64) -> Result<Group, Reason> {
        let reader = Reader::open(&self.dir)?;
        let mut previous = reader.hash_of(taken)?;
        let mut group = Group::default();
        for record in reader.range(taken + 1, last) {
            if self.shared.stopping() {
                return Err(Reason::Stopped);
            }
            let record = record?;
            self.read(&record, &previous, &mut group)?;
            previous = record.sha256;
            if group.is_full() {
                break;
            }
        }
        Ok(group)
    }

    /// Notes that the sink has the first of the seals whose sizes are given.
    fn advance(&self, state: &mut State, bytes: &[u64], through: u64) {
        let count = usize::try_from(through - state.taken).unwrap_or(usize::MAX);
        let bytes: u64 = bytes.iter().take(count).sum();
        self.shared.counters.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        (state.taken, state.pause) = (through, self.first_pause);
        self.shared.set_taken(through);
    }

    /// Events that are damaged count nothing, and the log and `ledger verify` say so; a seal is offered
    /// all the same, because the ones after it must not wait for ever.
    fn read(&mut self, record: &Record, previous: &Hash, group: &mut Group) -> io::Result<()> {
        let bytes = self.ranges.read(record)?.unwrap_or_default();
        if chain(previous, &bytes) != record.sha256 {
            self.shared.counters.bad_seals.fetch_add(1, Ordering::Relaxed);
            tracing::error!(sequence = record.sequence, segment = %record.segment, "sealed events are damaged or gone");
        }
        group.add(record, previous, &self.node, &bytes);
        Ok(())
    }

    /// Offers the group and tells through which of its seals the sink has them.
    fn offer(&self, state: &mut State, group: Group) -> Result<u64, Reason> {
        if state.refused.is_empty() {
            state.refused = self.shared.take_refused();
        }
        let (first, last) = (state.taken + 1, state.taken + group.seals.len() as u64);
        let batch = Arc::new(group.fold.batch(group.seals, state.refused.clone()));
        let mut stop = self.shared.stop_signal();
        let taken = self.handle.block_on(async {
            tokio::select! {
                biased;
                taken = tokio::time::timeout(PATIENCE, self.sink.take(batch)) => match taken {
                    Ok(Ok(taken)) => Ok(taken),
                    Ok(Err(error)) => Err(Reason::Refused(error)),
                    Err(_) => Err(Reason::Silent),
                },
                _ = stop.wait_for(|stop| *stop) => Err(Reason::Stopped),
            }
        })?;
        let through = match taken {
            Taken::Applied => last,
            Taken::Known { through } if (first..=last).contains(&through) => through,
            Taken::Known { through } => return Err(Reason::Astray(through)),
        };
        // The refusals went with the seals that are known now.
        state.refused.clear();
        Ok(through)
    }
}

/// What outlives an offer.
struct State {
    taken: u64,
    refused: Vec<RefusedRow>,
    pause: Duration,
}

/// How long the next batch waits after one of so many rows.
fn wait_for(rows: usize) -> Duration {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    let quick = rows.min(QUICK_ROWS);
    let wait = ROW_COST * quick + FURTHER_ROW_COST.saturating_mul(rows - quick);
    wait.min(LONGEST_WAIT)
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    Refused(PortError),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the sink panicked")]
    Panicked,
    #[error("the sink knows seal {0}, which was not offered")]
    Astray(u64),
    #[error("the journal stops")]
    Stopped,
    #[error("reading the journal: {0}")]
    Unreadable(#[from] io::Error),
}

impl Reason {
    /// Waiting alone will not help.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused(PortError::Forked) | Self::Unreadable(_) | Self::Panicked)
    }
}

#[cfg(test)]
mod tests;
