//! What the journal's threads and its handle know together: how far sealing and taking have come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::RefusedRow;
use keytoll_domain::time::Day;
use tokio::sync::watch;

use super::group::Group;
use super::recent::Recent;
use super::recover::Recovered;
use super::{Options, Unsynced, lock};

/// Rows of refusals that wait for the next batch; what does not fit is dropped.
const REFUSED_ROWS_MAX: usize = 10_000;

/// Numbers for metrics and health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub sealed_through: u64,
    pub taken_through: u64,
    /// Bytes of events in seals that the sink has not taken.
    pub waiting_bytes: u64,
    pub segments: u64,
    pub segment_bytes: u64,
    /// Slots that did not count: torn by a kill, or damaged.
    pub bad_slots: u64,
    /// Seals whose events do not have the sealed hash any more, or are gone.
    pub bad_seals: u64,
    pub sync_failures: u64,
    pub offer_failures: u64,
    /// The next segment cannot be made (disk full, or `max_bytes` reached).
    pub starved: bool,
}

#[derive(Default)]
struct Progress {
    sealed: u64,
    taken: u64,
    /// Syncs asked for and answered; answers go to all who asked before the round began.
    asked: u64,
    answered: u64,
    failed: bool,
    /// Somebody waits until this seal is taken.
    hurried: u64,
    stopping: bool,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) waiting_bytes: AtomicU64,
    pub(super) segments: AtomicU64,
    pub(super) segment_bytes: AtomicU64,
    pub(super) bad_slots: AtomicU64,
    pub(super) bad_seals: AtomicU64,
    pub(super) sync_failures: AtomicU64,
    pub(super) offer_failures: AtomicU64,
    pub(super) starved: AtomicBool,
}

type Refused = BTreeMap<(Option<KeyId>, Day, String), u64>;

pub(super) struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    refused: Mutex<Refused>,
    stop: watch::Sender<bool>,
    pub(super) counters: Counters,
    pub(super) recent: Option<Recent>,
    /// What is sealed and added up for the next batch.
    pub(super) ready: Mutex<Option<Group>>,
}

impl Shared {
    pub(super) fn new(recovered: &Recovered, options: &Options) -> Self {
        let taken = options.sealed_through;
        let progress =
            Progress { sealed: recovered.state.seals.count, taken, ..Progress::default() };
        let counters = Counters::default();
        counters.waiting_bytes.store(recovered.waiting_bytes, Ordering::Relaxed);
        counters.bad_slots.store(recovered.report.bad_slots, Ordering::Relaxed);
        counters.bad_seals.store(recovered.report.bad_seals, Ordering::Relaxed);
        Self {
            progress: Mutex::new(progress),
            changed: Condvar::new(),
            refused: Mutex::default(),
            stop: watch::Sender::new(false),
            counters,
            recent: options.recent_calls.then(Recent::default),
            ready: Mutex::default(),
        }
    }

    pub(super) fn sync_now(&self, sealer: &Thread) -> Result<u64, Unsynced> {
        let mut progress = lock(&self.progress);
        progress.asked += 1;
        let ticket = progress.asked;
        sealer.unpark();
        let waiting = |p: &mut Progress| p.answered < ticket && !p.stopping;
        let progress = self.changed.wait_while(progress, waiting);
        let progress = progress.unwrap_or_else(PoisonError::into_inner);
        if progress.answered < ticket || progress.failed {
            Err(Unsynced)
        } else {
            Ok(progress.sealed)
        }
    }

    pub(super) fn wait_taken(&self, sequence: u64, patience: Duration) -> bool {
        let mut progress = lock(&self.progress);
        progress.hurried = progress.hurried.max(sequence);
        self.changed.notify_all();
        let waiting = |p: &mut Progress| p.taken < sequence && !p.stopping;
        let progress = self.changed.wait_timeout_while(progress, patience, waiting);
        let (progress, _) = progress.unwrap_or_else(PoisonError::into_inner);
        progress.taken >= sequence
    }

    /// The syncs asked for so far: the round that begins now answers them.
    pub(super) fn asked(&self) -> u64 {
        lock(&self.progress).asked
    }

    pub(super) fn answer(&self, asked: u64, sealed: u64, failed: bool) {
        let mut progress = lock(&self.progress);
        progress.answered = asked;
        progress.failed = failed;
        progress.sealed = sealed;
        self.changed.notify_all();
    }

    pub(super) fn taken(&self) -> u64 {
        lock(&self.progress).taken
    }

    pub(super) fn set_taken(&self, sequence: u64) {
        let mut progress = lock(&self.progress);
        progress.taken = sequence;
        // What was ready may be newer than what was told.
        progress.sealed = progress.sealed.max(sequence);
        drop(progress);
        self.changed.notify_all();
    }

    /// What is ready, if it begins with this seal; otherwise the seal that it begins with, if it is a later one.
    pub(super) fn take_ready(&self, next: u64) -> Result<Group, Option<u64>> {
        let mut ready = lock(&self.ready);
        let first = ready.as_ref().and_then(Group::first);
        if first.is_some_and(|first| first > next) {
            return Err(first);
        }
        // What begins earlier was taken already, from the journal.
        ready.take().filter(|_| first == Some(next)).ok_or(None)
    }

    /// Waits for a seal after `taken`, and at least so long, unless somebody waits for the seals; `None`
    /// when the journal stops.
    pub(super) fn wait_sealed(&self, taken: u64, at_least: Duration) -> Option<u64> {
        let idle = |p: &mut Progress| p.hurried <= taken && !p.stopping;
        drop(self.changed.wait_timeout_while(lock(&self.progress), at_least, idle));
        let waiting = |p: &mut Progress| p.sealed <= taken && !p.stopping;
        let progress = self.changed.wait_while(lock(&self.progress), waiting);
        let progress = progress.unwrap_or_else(PoisonError::into_inner);
        (!progress.stopping).then_some(progress.sealed)
    }

    /// Waits for the time given; `true` when the journal stops.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waiting = |p: &mut Progress| !p.stopping;
        let progress = self.changed.wait_timeout_while(lock(&self.progress), time, waiting);
        progress.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    pub(super) fn stop(&self) {
        lock(&self.progress).stopping = true;
        self.stop.send_replace(true);
        self.changed.notify_all();
    }

    pub(super) fn stopping(&self) -> bool {
        lock(&self.progress).stopping
    }

    /// Resolves when the journal stops.
    pub(super) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub(super) fn add_refused(&self, rows: Vec<RefusedRow>) {
        let mut refused = lock(&self.refused);
        for row in rows {
            let full = refused.len() >= REFUSED_ROWS_MAX;
            let by = (row.key, row.day, row.code);
            if let Some(count) = refused.get_mut(&by) {
                *count = count.saturating_add(row.count);
            } else if !full {
                refused.insert(by, row.count);
            }
        }
    }

    pub(super) fn has_refused(&self) -> bool {
        !lock(&self.refused).is_empty()
    }

    pub(super) fn take_refused(&self) -> Vec<RefusedRow> {
        let rows = std::mem::take(&mut *lock(&self.refused));
        let row = |((key, day, code), count)| RefusedRow { key, day, code, count };
        rows.into_iter().map(row).collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let (sealed_through, taken_through) = {
            let progress = lock(&self.progress);
            (progress.sealed, progress.taken)
        };
        let counters = &self.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            sealed_through,
            taken_through,
            waiting_bytes: load(&counters.waiting_bytes),
            segments: load(&counters.segments),
            segment_bytes: load(&counters.segment_bytes),
            bad_slots: load(&counters.bad_slots),
            bad_seals: load(&counters.bad_seals),
            sync_failures: load(&counters.sync_failures),
            offer_failures: load(&counters.offer_failures),
            starved: counters.starved.load(Ordering::Relaxed),
        }
    }
}
