//! Recorded calls for other processes, also while the journal is being written: `usage export`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use keytoll_domain::time::Timestamp;

use super::event::{Charge, End, Event, Slot};
use super::seals::Reader;
use super::segment::{self, Segment, SegmentId, decoded};

/// Slots decoded at a time.
const SLOTS_PER_READ: u32 = 16 * 1024;

/// A call as recorded. The end is best effort: absent when the call still runs, was cut off by a kill,
/// or took longer than two segments last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub charge: Charge,
    pub end: Option<End>,
}

/// The calls admitted in `[from, to)` that are still kept, by core, in the order of writing. Slots that
/// do not count are left out. Holds the calls of one segment at a time.
pub fn read(
    dir: &Path,
    from: Timestamp,
    to: Timestamp,
) -> io::Result<impl Iterator<Item = io::Result<Call>> + use<>> {
    let segments = segments_since(dir, from)?;
    let calls = VecDeque::new();
    Ok(Reading { dir: dir.to_owned(), from, to, segments, calls })
}

struct Reading {
    dir: PathBuf,
    from: Timestamp,
    to: Timestamp,
    segments: VecDeque<SegmentId>,
    calls: VecDeque<Call>,
}

impl Iterator for Reading {
    type Item = io::Result<Call>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(call) = self.calls.pop_front() {
                return Some(Ok(call));
            }
            let id = self.segments.pop_front()?;
            if let Err(error) = self.load(id) {
                return Some(Err(error));
            }
        }
    }
}

impl Reading {
    fn load(&mut self, id: SegmentId) -> io::Result<()> {
        let (from, to) = (self.from, self.to);
        let mut places = HashMap::new();
        let mut calls: Vec<Call> = Vec::new();
        let mut visit = |event, add: bool| match event {
            Event::Charge(charge) if add && charge.at >= from && charge.at < to => {
                places.insert(charge.request, calls.len());
                calls.push(Call { charge, end: None });
            }
            Event::Charge(_) => {}
            Event::End(end) => {
                if let Some(place) = places.get(&end.request) {
                    calls[*place].end = Some(end);
                }
            }
        };
        each_event(&self.dir, id, |event| visit(event, true))?;
        if let Some(next) = self.segments.front().filter(|next| next.core == id.core) {
            each_event(&self.dir, *next, |event| visit(event, false))?;
        }
        self.calls = calls.into();
        Ok(())
    }
}

/// A segment that retention has removed meanwhile has no events.
fn each_event(dir: &Path, id: SegmentId, mut visit: impl FnMut(Event)) -> io::Result<()> {
    let segment = match Segment::open(dir, id) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let slots = segment.slots()?;
    let mut first = 0;
    while first < slots {
        let count = SLOTS_PER_READ.min(slots - first);
        for slot in decoded(&segment.read(first, count)?, first) {
            if let Slot::Event(event) = slot {
                visit(event);
            }
        }
        first += count;
    }
    Ok(())
}

/// Leaves out what was sealed to its end before `from`: a call is admitted before it is sealed.
fn segments_since(dir: &Path, from: Timestamp) -> io::Result<VecDeque<SegmentId>> {
    let mut sealed: BTreeMap<SegmentId, (u32, Timestamp)> = BTreeMap::new();
    for id in segment::list(dir)? {
        sealed.insert(id, (0, Timestamp(i64::MAX)));
    }
    let reader = Reader::open(dir)?;
    for record in reader.range(1, reader.count()?) {
        let record = record?;
        if let Some(part) = sealed.get_mut(&record.segment) {
            *part = (record.end(), record.sealed_at);
        }
    }
    let mut since = VecDeque::new();
    for (id, (end, sealed_at)) in sealed {
        let old = sealed_at < from;
        if !old || Segment::open(dir, id).and_then(|open| open.slots()).is_ok_and(|all| all > end) {
            since.push_back(id);
        }
    }
    Ok(since)
}
