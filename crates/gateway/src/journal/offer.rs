//! The offering thread: reads each seal's events back, folds them, and gives the batch to the sink until
//! it is taken, in order. It holds one batch at a time, however long the sink is away.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keytoll_domain::ledger::{RefusedRow, SealedBatch};
use tokio::runtime::Handle;

use super::Options;
use super::event::{SLOT_BYTES, Slot};
use super::fold::fold;
use super::seals::{Hash, Reader, Record, chain};
use super::segment::{Segment, SegmentId, decoded};
use super::shared::Shared;
use crate::ports::{PortError, UsageSink};

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
        let mut refused = Vec::new();
        let mut pause = self.first_pause;
        let mut taken = self.shared.taken();
        while let Some(sealed) = self.shared.wait_sealed(taken) {
            // A panic of the sink must not end the counting for good.
            let tried = panic::catch_unwind(AssertUnwindSafe(|| {
                self.offer_through(&mut taken, sealed, &mut refused, &mut pause)
            }));
            let Err(reason) = tried.unwrap_or(Err(Reason::Panicked)) else { continue };
            if self.shared.stopping() {
                return;
            }
            self.shared.counters.offer_failures.fetch_add(1, Ordering::Relaxed);
            // Said once per outage, and again each time the pause is at its longest for errors that
            // will not heal by themselves.
            if pause == self.first_pause || reason.is_lasting() {
                tracing::error!(%reason, sequence = taken + 1, "a sealed batch is not taken; it is offered again");
            }
            if self.shared.pause(pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn offer_through(
        &mut self,
        taken: &mut u64,
        sealed: u64,
        refused: &mut Vec<RefusedRow>,
        pause: &mut Duration,
    ) -> Result<(), Reason> {
        let reader = Reader::open(&self.dir)?;
        let mut previous = reader.hash_of(*taken)?;
        for record in reader.range(*taken + 1, sealed) {
            let record = record?;
            if self.shared.stopping() {
                return Err(Reason::Stopped);
            }
            if refused.is_empty() {
                *refused = self.shared.take_refused();
            }
            let batch = self.batch(&record, &previous, refused.clone())?;
            self.offer(&batch)?;
            refused.clear();
            *pause = self.first_pause;
            previous = record.sha256;
            *taken = record.sequence;
            let bytes = u64::from(record.count) * SLOT_BYTES as u64;
            self.shared.counters.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.set_taken(*taken);
        }
        Ok(())
    }

    /// Events that are damaged count nothing, and the log and `ledger verify` say so; a seal is offered
    /// all the same, because the ones after it must not wait for ever.
    fn batch(
        &mut self,
        record: &Record,
        previous: &Hash,
        refused: Vec<RefusedRow>,
    ) -> io::Result<SealedBatch> {
        let bytes = self.ranges.read(record)?.unwrap_or_default();
        if chain(previous, &bytes) != record.sha256 {
            self.shared.counters.bad_seals.fetch_add(1, Ordering::Relaxed);
            tracing::error!(sequence = record.sequence, segment = %record.segment, "sealed events are damaged or gone");
        }
        let slots = decoded(&bytes, record.first);
        let slots = slots.filter(|slot| matches!(slot, Slot::Event(_)));
        Ok(fold(record.seal(&self.node, previous), slots, refused))
    }

    fn offer(&self, batch: &SealedBatch) -> Result<(), Reason> {
        let mut stop = self.shared.stop_signal();
        self.handle.block_on(async {
            tokio::select! {
                biased;
                taken = tokio::time::timeout(PATIENCE, self.sink.take(batch)) => match taken {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(Reason::Refused(error)),
                    Err(_) => Err(Reason::Silent),
                },
                _ = stop.wait_for(|stop| *stop) => Err(Reason::Stopped),
            }
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    Refused(PortError),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the sink panicked")]
    Panicked,
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
