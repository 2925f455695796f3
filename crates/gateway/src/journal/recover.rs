//! What is done before the first request: the node's name, the events of earlier runs sealed like all
//! others, and what the sink has not taken yet summed up for the quota counters.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use keytoll_domain::ledger::PeriodRow;
use keytoll_domain::time::Timestamp;

use super::event::{Charge, Event, SLOT_BYTES, Slot};
use super::fold::Periods;
use super::offer::Ranges;
use super::seal::{Chained, Kept, State, segment_bytes};
use super::seals::{Appender, Reader, Record, chain};
use super::segment::{self, Segment, SegmentId, VERSION, decoded};
use super::{OpenError, Options, at};

const NODE_FILE: &str = "node";
const NODE_MAX_LEN: usize = 64;
/// How far the clock may have gone back between runs without an event being missed in a replay.
const CLOCK_SLACK_SECS: i64 = 3600;

/// What recovery found, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Events of earlier runs that were not yet sealed.
    pub late_events: u64,
    /// Slots that a kill tore or that are damaged; they count nothing.
    pub bad_slots: u64,
    /// Seals that will be offered again.
    pub waiting_seals: u64,
    /// Waiting seals whose events are damaged or gone.
    pub bad_seals: u64,
}

pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) unfolded: Vec<PeriodRow>,
    pub(super) waiting_bytes: u64,
    pub(super) report: Recovery,
}

/// The node's name: the one in the folder, else `candidate`, which is then written there. The folder is
/// made when absent.
pub fn node(dir: &Path, candidate: &str) -> io::Result<String> {
    fs::create_dir_all(dir)?;
    match known_node(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    let name = valid_node(candidate)?;
    let path = dir.join(NODE_FILE);
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    segment::sync_dir(dir)?;
    Ok(name)
}

/// The name of a node that exists.
pub(super) fn known_node(dir: &Path) -> io::Result<String> {
    valid_node(fs::read_to_string(dir.join(NODE_FILE))?.trim_end())
}

fn valid_node(name: &str) -> io::Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.len() <= NODE_MAX_LEN && name.bytes().all(plain) {
        return Ok(name.to_owned());
    }
    let message = "a node's name has 1 to 64 letters, digits, `-`, `_` and `.`";
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// How far the seals have come in one segment.
#[derive(Clone, Copy, Default)]
struct SealedPart {
    end: u32,
    last_seal: u64,
    sealed_at: Timestamp,
}

impl SealedPart {
    fn add(&mut self, record: &Record) {
        self.end = self.end.max(record.end());
        self.last_seal = record.sequence;
        self.sealed_at = record.sealed_at;
    }
}

pub(super) fn recover(options: &Options) -> Result<Recovered, OpenError> {
    let dir = &options.dir;
    fs::create_dir_all(dir).map_err(at(dir))?;
    segment::remove_unfinished(dir).map_err(at(dir))?;
    let mut seals = Appender::open(dir).map_err(at(dir))?;
    if seals.count < options.sealed_through {
        let (store, journal) = (options.sealed_through, seals.count);
        return Err(OpenError::Behind { node: options.node.clone(), store, journal });
    }
    let mut report = Recovery::default();
    let mut parts: BTreeMap<SegmentId, SealedPart> = BTreeMap::new();
    for id in segment::list(dir).map_err(at(dir))? {
        parts.insert(id, SealedPart::default());
    }
    let mut next_numbers = vec![1; options.cores as usize];
    let mut seen = |id: SegmentId| {
        if let Some(next) = next_numbers.get_mut(id.core as usize) {
            *next = (id.number + 1).max(*next);
        }
    };
    parts.keys().copied().for_each(&mut seen);
    let reader = Reader::open(dir).map_err(at(dir))?;
    for record in reader.range(1, seals.count) {
        let record = record.map_err(at(dir))?;
        seen(record.segment);
        if let Some(part) = parts.get_mut(&record.segment) {
            part.add(&record);
        }
    }
    seal_late(options, &mut seals, &mut parts, &mut report)?;
    let kept = keep(dir, &parts).map_err(at(dir))?;
    let waiting = Waiting::sum(dir, options.sealed_through, &mut report).map_err(at(dir))?;
    let state = State { seals, kept, next_numbers };
    let unfolded = waiting.periods.rows();
    Ok(Recovered { state, unfolded, waiting_bytes: waiting.bytes, report })
}

/// Seals the events that the last run had no time for.
fn seal_late(
    options: &Options,
    seals: &mut Appender,
    parts: &mut BTreeMap<SegmentId, SealedPart>,
    report: &mut Recovery,
) -> Result<(), OpenError> {
    let dir = &options.dir;
    let mut chained = Chained::after(seals, (options.clock)());
    let mut records = Vec::new();
    for (id, part) in parts.iter() {
        let segment = Segment::open(dir, *id).map_err(at(dir))?;
        match segment.version().map_err(at(dir))? {
            Some(VERSION) => {}
            Some(found) => return Err(OpenError::Version { segment: *id, found }),
            // Slots have checks of their own: a damaged header loses no event.
            None => report.bad_slots += 1,
        }
        if segment.slots().map_err(at(dir))? <= part.end {
            continue;
        }
        let written = segment.written().map_err(at(dir))?;
        if written > part.end {
            segment.sync().map_err(at(dir))?;
            count_slots(&segment, part.end, written, report).map_err(at(dir))?;
            chained
                .seal(&segment, part.end, written, |record, _, _| records.push(record))
                .map_err(at(dir))?;
        }
    }
    seals.append(&records).map_err(at(dir))?;
    for record in &records {
        if let Some(part) = parts.get_mut(&record.segment) {
            part.add(record);
        }
    }
    Ok(())
}

fn count_slots(segment: &Segment, first: u32, end: u32, report: &mut Recovery) -> io::Result<()> {
    let bytes = segment.read(first, end - first)?;
    for slot in decoded(&bytes, first) {
        match slot {
            Slot::Event(_) => report.late_events += 1,
            Slot::Empty | Slot::Bad => report.bad_slots += 1,
        }
    }
    Ok(())
}

/// Trims all segments to what is in them; the rest is what retention decides about, oldest first.
fn keep(dir: &Path, parts: &BTreeMap<SegmentId, SealedPart>) -> io::Result<VecDeque<Kept>> {
    let mut kept = Vec::new();
    for (id, part) in parts {
        segment::trim(dir, *id, part.end)?;
        if part.end > 0 {
            let bytes = segment_bytes(part.end);
            let (last_seal, sealed_at) = (part.last_seal, part.sealed_at);
            kept.push(Kept { id: *id, bytes, last_seal, sealed_at });
        }
    }
    segment::sync_dir(dir)?;
    kept.sort_by_key(|kept| kept.last_seal);
    Ok(kept.into())
}

/// The seals that the sink has not taken.
#[derive(Default)]
struct Waiting {
    periods: Periods,
    bytes: u64,
}

impl Waiting {
    fn sum(dir: &Path, taken: u64, report: &mut Recovery) -> io::Result<Self> {
        let reader = Reader::open(dir)?;
        let mut ranges = Ranges::new(dir);
        let mut waiting = Self::default();
        let mut previous = reader.hash_of(taken)?;
        for record in reader.range(taken + 1, reader.count()?) {
            let record = record?;
            let bytes = ranges.read(&record)?.unwrap_or_default();
            report.waiting_seals += 1;
            report.bad_seals += u64::from(chain(&previous, &bytes) != record.sha256);
            waiting.bytes += u64::from(record.count) * SLOT_BYTES as u64;
            for slot in decoded(&bytes, record.first) {
                if let Slot::Event(Event::Charge(charge)) = slot {
                    waiting.periods.add(&charge);
                }
            }
            previous = record.sha256;
        }
        Ok(waiting)
    }
}

/// Charges newer than `since`, from seals made since then; sorted within each sync.
pub(super) fn replay(
    dir: &Path,
    since: Timestamp,
    mut each: impl FnMut(&Charge),
) -> io::Result<()> {
    let reader = Reader::open(dir)?;
    let last = reader.count()?;
    let sealed_since = since.plus_secs(-CLOCK_SLACK_SECS);
    let mut first = last + 1;
    while first > 1 && reader.get(first - 1)?.sealed_at >= sealed_since {
        first -= 1;
    }
    let mut ranges = Ranges::new(dir);
    let mut round: Vec<Charge> = Vec::new();
    let mut round_at = Timestamp::default();
    for record in reader.range(first, last) {
        let record = record?;
        if record.sealed_at != round_at {
            flush(&mut round, &mut each);
            round_at = record.sealed_at;
        }
        let bytes = ranges.read(&record)?.unwrap_or_default();
        let charges = decoded(&bytes, record.first).filter_map(|slot| match slot {
            Slot::Event(Event::Charge(charge)) => Some(charge),
            _ => None,
        });
        round.extend(charges.filter(|charge| charge.at > since));
    }
    flush(&mut round, &mut each);
    Ok(())
}

fn flush(round: &mut Vec<Charge>, each: &mut impl FnMut(&Charge)) {
    round.sort_by_key(|charge| charge.at);
    round.drain(..).for_each(|charge| each(&charge));
}
