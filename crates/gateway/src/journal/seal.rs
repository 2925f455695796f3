//! The sealing thread: every interval it syncs what was written, chains it into seals, prepares the next
//! segments and removes old ones. It never waits for the sink, and no writer waits for it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Thread};
use std::time::Duration;

use keytoll_domain::time::Timestamp;

use super::event::SLOT_BYTES;
use super::group::Adding;
use super::map::Pages;
use super::seals::{Appender, Hash, Record, chain};
use super::segment::{self, Allocate, Segment, SegmentId};
use super::shared::Shared;
use super::writer::{Fresh, Line, Writer};
use super::{Clock, Options, lock};

/// Most slots in one seal: bounds the memory of a fold and the rows of a transaction.
pub(super) const SLOTS_PER_SEAL: u32 = 16 * 1024;
/// How often a missing segment is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// In-flight calls that room is kept for.
const RESERVE_MAX: u32 = 4096;

/// Slots whose pages are made ready in a new segment, and at least after each sync: 96 KiB.
const FIRST_SLOTS: u32 = 1024;
/// And at most, 6 MiB.
const AHEAD_MAX: u32 = 64 * 1024;

/// What recovery hands to the sealing thread.
pub(super) struct State {
    pub(super) seals: Appender,
    /// Segments of earlier runs, oldest first, all sealed.
    pub(super) kept: VecDeque<Kept>,
    /// The next number of each core.
    pub(super) next_numbers: Vec<u64>,
}

/// A segment without a writer whose events are all sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) id: SegmentId,
    pub(super) bytes: u64,
    pub(super) last_seal: u64,
    pub(super) sealed_at: Timestamp,
}

/// A segment that is being written, or will be.
struct Live {
    segment: Segment,
    pages: Pages,
    written: Arc<AtomicU32>,
    sealed: u32,
}

impl Live {
    fn fresh(&self) -> u32 {
        self.written.load(Ordering::Acquire)
    }
}

/// One core's segments and the channels to its writer.
struct Core {
    index: u32,
    next_number: u64,
    line: Arc<Line>,
    fresh: SyncSender<Fresh>,
    live: VecDeque<Live>,
}

/// The writer's ends of a core's channels.
pub(super) struct WriterEnd {
    reserve: u32,
    line: Arc<Line>,
    fresh: Receiver<Fresh>,
}

impl WriterEnd {
    pub(super) fn writer(self, sealer: Thread) -> Writer {
        Writer::new(self.reserve, self.line, self.fresh, sealer)
    }
}

pub(super) struct Sealer {
    dir: PathBuf,
    node: String,
    slots: u32,
    interval: Duration,
    max_bytes: u64,
    retain_secs: i64,
    clock: Clock,
    allocate: Arc<Allocate>,
    cores: Vec<Core>,
    kept: VecDeque<Kept>,
    seals: Appender,
    shared: Arc<Shared>,
    starved: bool,
    failing: bool,
}

impl Sealer {
    /// Makes the first segment of each core, so that the writers are ready at once if there is space.
    pub(super) fn new(
        options: &Options,
        state: State,
        shared: Arc<Shared>,
    ) -> (Self, Vec<WriterEnd>) {
        let slots = options.slots_per_segment();
        let mut cores = Vec::new();
        let mut ends = Vec::new();
        for (index, next_number) in (0..options.cores).zip(state.next_numbers) {
            let line = Arc::new(Line::default());
            let (fresh_in, fresh_out) = sync_channel(1);
            let reserve = (slots / 8).min(RESERVE_MAX);
            ends.push(WriterEnd { reserve, line: line.clone(), fresh: fresh_out });
            let fresh = fresh_in;
            cores.push(Core { index, next_number, line, fresh, live: VecDeque::new() });
        }
        let mut sealer = Self {
            dir: options.dir.clone(),
            node: options.node.clone(),
            slots,
            interval: options.interval,
            max_bytes: options.max_bytes,
            retain_secs: options.retain_secs,
            clock: options.clock.clone(),
            allocate: options.allocate.clone(),
            cores,
            kept: state.kept,
            seals: state.seals,
            shared,
            starved: false,
            failing: false,
        };
        sealer.supply();
        (sealer, ends)
    }

    pub(super) fn run(mut self) {
        let _stop = StopAtEnd(self.shared.clone());
        loop {
            let stopping = self.shared.stopping();
            let asked = self.shared.asked();
            if !stopping {
                self.supply();
            }
            let failed = self.sync_and_seal();
            self.shared.answer(asked, self.seals.count, failed);
            if stopping {
                return;
            }
            self.remove_old();
            let wait = if self.starved { self.interval.min(RETRY) } else { self.interval };
            thread::park_timeout(wait);
        }
    }

    /// Puts a prepared segment into each channel that has none.
    fn supply(&mut self) {
        let mut trouble = None;
        for index in 0..self.cores.len() {
            let core = &self.cores[index];
            if !core.line.has_spare()
                && let Err(error) = self.supply_core(index)
            {
                trouble = Some(error);
            }
        }
        let starved = trouble.is_some();
        if let Some(error) = trouble.filter(|_| !self.starved) {
            tracing::error!(%error, "cannot make a journal segment; calls are refused when the last is full");
        } else if self.starved && !starved {
            tracing::info!("journal segments can be made again");
        }
        self.starved = starved;
        self.shared.counters.starved.store(starved, Ordering::Relaxed);
        self.count_segments();
    }

    fn supply_core(&mut self, index: usize) -> io::Result<()> {
        self.make_room()?;
        let now = (self.clock)();
        let core = &mut self.cores[index];
        let id = SegmentId { core: core.index, number: core.next_number };
        let allocate = &*self.allocate;
        let (segment, mapping, pages) = Segment::create(&self.dir, id, self.slots, now, allocate)?;
        pages.prepare(0, FIRST_SLOTS);
        core.next_number += 1;
        let written = Arc::new(AtomicU32::new(0));
        core.live.push_back(Live { segment, pages, written: written.clone(), sealed: 0 });
        // The channel has room: it was seen empty and this is its only sender. When the writer is gone
        // nobody waits for the segment.
        drop(core.fresh.try_send(Fresh { mapping, slots: self.slots, written }));
        core.line.sent.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Syncs and seals all that is new; `true` when it failed. The next round does it again.
    fn sync_and_seal(&mut self) -> bool {
        let result = self.try_sync_and_seal();
        if let Err(error) = &result {
            self.shared.counters.sync_failures.fetch_add(1, Ordering::Relaxed);
            if !self.failing {
                tracing::error!(%error, "the journal cannot be synced; it is tried again");
            }
        }
        self.failing = result.is_err();
        self.failing
    }

    fn try_sync_and_seal(&mut self) -> io::Result<()> {
        let shared = self.shared.clone();
        let (mut records, mut ends) = (Vec::new(), Vec::new());
        // Whoever wants what is ready waits for this round. If it fails, all is read from the journal.
        let mut ready = lock(&shared.ready);
        let recent = shared.recent.as_ref();
        let mut adding = Adding::after(self.seals.count, ready.take(), recent, &self.node);
        let mut chained = Chained::after(&self.seals, (self.clock)());
        for (index, core) in self.cores.iter().enumerate() {
            for (place, live) in core.live.iter().enumerate() {
                let end = live.fresh();
                if end > live.sealed {
                    live.pages.sync(live.sealed, end)?;
                    let segment = &live.segment;
                    chained.seal(segment, live.sealed, end, |record, previous, slots| {
                        adding.add(&record, previous, slots);
                        records.push(record);
                    })?;
                    ends.push((index, place, end));
                }
            }
        }
        // Seals that wait for the sink will carry the refusals.
        let idle = records.is_empty() && self.shared.taken() == self.seals.count;
        if idle && self.shared.has_refused() {
            self.seal_nothing(&mut chained, &mut records);
        }
        self.seals.append(&records)?;
        let slots: u64 = records.iter().map(|record| u64::from(record.count)).sum();
        let bytes = slots * SLOT_BYTES as u64;
        shared.counters.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        *ready = adding.group;
        drop(ready);
        for (index, place, end) in ends {
            let live = &mut self.cores[index].live[place];
            // As many again, and half as many more.
            let ahead = ((end - live.sealed) / 2 * 3).clamp(FIRST_SLOTS, AHEAD_MAX);
            live.pages.prepare(end, ahead);
            live.sealed = end;
        }
        self.keep_full();
        Ok(())
    }

    /// A seal without events, so that refusals are told also while no call is granted.
    fn seal_nothing(&self, chained: &mut Chained, records: &mut Vec<Record>) {
        if let Some(live) = self.cores.iter().find_map(|core| core.live.front()) {
            records.push(chained.next(live.segment.id, live.sealed, &[]));
        }
    }

    /// Moves segments that are full, sealed and left by their writer from the cores to the kept ones.
    fn keep_full(&mut self) {
        let (last_seal, sealed_at) = (self.seals.count, (self.clock)());
        for core in &mut self.cores {
            while core
                .live
                .front()
                .is_some_and(|live| live.sealed == self.slots && live.pages.released())
            {
                let Some(live) = core.live.pop_front() else { break };
                let bytes = segment_bytes(self.slots);
                self.kept.push_back(Kept { id: live.segment.id, bytes, last_seal, sealed_at });
            }
        }
    }

    fn total_bytes(&self) -> u64 {
        let live: usize = self.cores.iter().map(|core| core.live.len()).sum();
        let kept: u64 = self.kept.iter().map(|kept| kept.bytes).sum();
        kept + live as u64 * segment_bytes(self.slots)
    }

    fn count_segments(&self) {
        let live: usize = self.cores.iter().map(|core| core.live.len()).sum();
        let counters = &self.shared.counters;
        counters.segments.store((live + self.kept.len()) as u64, Ordering::Relaxed);
        counters.segment_bytes.store(self.total_bytes(), Ordering::Relaxed);
    }

    /// Makes room for one more segment within `max_bytes`. Two per core are always allowed.
    fn make_room(&mut self) -> io::Result<()> {
        let new = segment_bytes(self.slots);
        let floor = new * self.cores.len() as u64 * 2;
        let limit = self.max_bytes.max(floor);
        let taken = self.shared.taken();
        while self.total_bytes() + new > limit {
            let Some(oldest) = self.kept.front().filter(|kept| kept.last_seal <= taken) else {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "`journal.max_bytes` is used up by calls that are not yet counted",
                ));
            };
            remove(&self.dir, oldest.id)?;
            self.kept.pop_front();
        }
        Ok(())
    }

    /// Removes segments that are taken and older than what is kept.
    fn remove_old(&mut self) {
        let taken = self.shared.taken();
        let before = (self.clock)().plus_secs(-self.retain_secs);
        while let Some(oldest) = self.kept.front() {
            if oldest.last_seal > taken || oldest.sealed_at >= before {
                return;
            }
            if let Err(error) = remove(&self.dir, oldest.id) {
                tracing::warn!(%error, segment = %oldest.id, "cannot remove an old journal segment");
                return;
            }
            self.kept.pop_front();
        }
    }
}

/// Nobody waits for a thread that is gone, whatever ended it.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn remove(dir: &Path, id: SegmentId) -> io::Result<()> {
    match fs::remove_file(segment::path(dir, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn segment_bytes(slots: u32) -> u64 {
    (u64::from(slots) + 1) * SLOT_BYTES as u64
}

/// The end of the chain while new seals are made.
pub(super) struct Chained {
    sequence: u64,
    last: Hash,
    now: Timestamp,
}

impl Chained {
    pub(super) fn after(seals: &Appender, now: Timestamp) -> Self {
        Self { sequence: seals.count, last: seals.last, now }
    }

    /// Seals `[first, end)` of a synced segment, in pieces of at most [`SLOTS_PER_SEAL`]: `each` is given the seal, the
    /// hash before it, and the slots.
    pub(super) fn seal(
        &mut self,
        segment: &Segment,
        first: u32,
        end: u32,
        mut each: impl FnMut(Record, &Hash, &[u8]),
    ) -> io::Result<()> {
        let mut first = first;
        while first < end {
            let count = SLOTS_PER_SEAL.min(end - first);
            let slots = segment.read(first, count)?;
            let previous = self.last;
            each(self.next(segment.id, first, &slots), &previous, &slots);
            first += count;
        }
        Ok(())
    }

    /// The seal of these slots, the first of which is number `first`.
    fn next(&mut self, segment: SegmentId, first: u32, slots: &[u8]) -> Record {
        self.last = chain(&self.last, slots);
        self.sequence += 1;
        let count = u32::try_from(slots.len() / SLOT_BYTES).unwrap_or(u32::MAX);
        let (sequence, sealed_at, sha256) = (self.sequence, self.now, self.last);
        Record { sequence, segment, first, count, sealed_at, sha256 }
    }
}
