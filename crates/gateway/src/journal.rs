//! The journal: every granted call as a fixed-size event in a mapped file, before its answer leaves.
//!
//! Three parties. A [`Writer`] per core stores events and never waits. The sealing thread syncs them
//! every interval, chains them into seals, prepares segments ahead and drops old ones. The offering
//! thread folds each seal and gives it to the [`UsageSink`], in order, until it is taken.
//!
//! Invariants: an event that [`Writer::charge`] accepted survives SIGKILL at any instant; a seal is on
//! disk before its batch is offered, so after a restart the same seals carry the same batches; a
//! segment whose seals the sink has not taken is never removed. What is not in memory is bounded: waiting
//! seals are read from the disk again, never queued.

mod event;
mod fold;
mod group;
mod map;
mod offer;
mod read;
mod recent;
mod recover;
mod seal;
mod seals;
mod segment;
mod shared;
mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::{CallPlace, PeriodRow, RecentCalls, RefusedRow};
use keytoll_domain::time::Timestamp;
use tokio::runtime::Handle;

pub use event::{Charge, End, Event, SLOT_BYTES};
pub use read::{Call, read};
pub use recent::EVENTS_MAX;
pub use recover::{Recovery, node};
pub use segment::SegmentId;
pub use shared::Stats;
pub use verify::{Problem, Report, verify};
pub use writer::{Full, Writer};

use crate::ports::UsageSink;
use offer::Offerer;
use seal::Sealer;
use segment::Allocate;
use shared::Shared;

/// Bytes of a segment: at 50 000 events a second one core needs three seconds for it and making the next
/// takes milliseconds, while an idle node holds no more than this per core on its disk.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
pub const MAX_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// How long raw events are kept (R37), in days.
pub const RETAIN_DAYS: i64 = 35;

pub struct Options {
    /// `DATA_DIR/journal`; made when absent. Only one process may have it open.
    pub dir: PathBuf,
    /// The name that [`node`] gave.
    pub node: String,
    /// Number of writers.
    pub cores: u32,
    /// The last seal of this node that the sink has taken.
    pub sealed_through: u64,
    /// Between two syncs.
    pub interval: Duration,
    pub segment_bytes: u64,
    pub max_bytes: u64,
    /// Keep events at least this long (the longest window or more), within `max_bytes`.
    pub retain_secs: i64,
    pub clock: Clock,
    /// Whether [`Journal::recent_calls`] will be asked.
    pub recent_calls: bool,
    /// Before the first new try of an offer; tests shorten it.
    first_pause: Duration,
    allocate: Arc<Allocate>,
}

/// The time, asked once per sync.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl Options {
    pub fn new(dir: PathBuf, node: String, cores: u32, sealed_through: u64, clock: Clock) -> Self {
        Self {
            dir,
            node,
            cores,
            sealed_through,
            interval: Duration::from_secs(1),
            segment_bytes: SEGMENT_BYTES,
            max_bytes: MAX_BYTES,
            retain_secs: RETAIN_DAYS * 86_400,
            clock,
            recent_calls: false,
            first_pause: Duration::from_millis(100),
            allocate: Arc::new(segment::allocate),
        }
    }

    fn slots_per_segment(&self) -> u32 {
        let slots = (self.segment_bytes / SLOT_BYTES as u64).saturating_sub(1);
        u32::try_from(slots.clamp(16, 1 << 28)).unwrap_or(16)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("journal `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("journal segment `{segment}` is of version {found}, this program knows version 1")]
    Version { segment: SegmentId, found: u32 },
    #[error(
        "the store has taken seal {store} of node `{node}` but the journal ends at seal {journal}: \
         the journal is older than the store. Bring the newer journal back, or move its folder away \
         to start as a new node"
    )]
    Behind { node: String, store: u64, journal: u64 },
}

/// An open journal, its writers, and what the calls of earlier runs left to be counted.
pub struct Opened {
    pub journal: Journal,
    /// One per core, in order.
    pub writers: Vec<Writer>,
    /// Sums of the seals that the sink has not taken: quota = the store's sums + these.
    pub unfolded: Vec<PeriodRow>,
    pub recovery: Recovery,
}

/// The journal cannot be synced right now; the reason is in the log. It goes on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be synced")]
pub struct Unsynced;

/// How far a journal came when it was closed; equal numbers mean that everything is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub sealed_through: u64,
    pub taken_through: u64,
}

/// The handle of the two threads.
pub struct Journal {
    dir: PathBuf,
    shared: Arc<Shared>,
    sealer: thread::Thread,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Recovers what earlier runs left (their last events become seals), then starts both threads.
    /// `handle` is the runtime, with timers, that the sink runs on; never a gateway core's.
    /// A full disk is no error here: the writers are not ready until there is space.
    pub fn open(
        options: &Options,
        sink: Arc<dyn UsageSink>,
        handle: Handle,
    ) -> Result<Opened, OpenError> {
        let recovered = recover::recover(options)?;
        let shared = Arc::new(Shared::new(&recovered, options));
        let (sealer, ends) = Sealer::new(options, recovered.state, shared.clone());
        let sealer = spawn("journal-seal", move || sealer.run());
        let offerer = Offerer::new(options, shared.clone(), sink, handle);
        let threads = sealer.and_then(|sealer| {
            let thread = sealer.thread().clone();
            Ok((thread, vec![sealer, spawn("journal-offer", move || offerer.run())?]))
        });
        let path = || options.dir.clone();
        let (thread, threads) = threads.map_err(|source| OpenError::Io { path: path(), source })?;
        let writers = ends.into_iter().map(|end| end.writer(thread.clone())).collect();
        let journal = Self { dir: path(), shared, sealer: thread, threads: Mutex::new(threads) };
        Ok(Opened { journal, writers, unfolded: recovered.unfolded, recovery: recovered.report })
    }

    /// Calls `each` with every charge newer than `since` that earlier runs left, nearly in order: sorted
    /// within what one sync saw. For rebuilding windows before the first request.
    pub fn replay(&self, since: Timestamp, each: impl FnMut(&Charge)) -> io::Result<()> {
        recover::replay(&self.dir, since, each)
    }

    /// Syncs and seals what was written before the call; returns the last seal. Blocks: not for a
    /// gateway core.
    pub fn sync_now(&self) -> Result<u64, Unsynced> {
        self.shared.sync_now(&self.sealer)
    }

    /// [`Self::sync_now`], then waits until the sink has taken it all; `false` when time runs out.
    pub fn settle(&self, patience: Duration) -> bool {
        match self.sync_now() {
            Ok(sequence) => self.shared.wait_taken(sequence, patience),
            Err(Unsynced) => false,
        }
    }

    /// Counts refusals for the next batch: best effort (a kill forgets them), at most 10 000 rows.
    pub fn refused(&self, rows: Vec<RefusedRow>) {
        self.shared.add_refused(rows);
    }

    /// The last calls of the key at this node, the newest first: those before `before`, at most `limit`. A call is here
    /// after the next sync. At most [`EVENTS_MAX`] events are read for it; blocks meanwhile.
    pub fn recent_calls(
        &self,
        key: KeyId,
        before: Option<CallPlace>,
        limit: usize,
    ) -> io::Result<RecentCalls> {
        let Some(recent) = &self.shared.recent else { return Ok(RecentCalls::default()) };
        recent.of_key(&self.dir, key, before, limit)
    }

    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Last sync, seal and offer; stops waiting for the sink after `patience`. Whatever is not taken
    /// is offered again by the next run. Blocks; call it when the writers are idle.
    pub fn close(self, patience: Duration) -> Closed {
        self.settle(patience);
        self.stop();
        let stats = self.shared.stats();
        Closed { sealed_through: stats.sealed_through, taken_through: stats.taken_through }
    }

    fn stop(&self) {
        self.shared.stop();
        self.sealer.unpark();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a journal thread ended in a panic");
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
