//! `ledger verify`: does the chain hold, do the events still have the sealed hashes, and has the store
//! taken exactly these seals? Reads only; a running journal may be verified.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::iter::Peekable;
use std::path::Path;

use keytoll_domain::ledger::Seal;

use super::event::Slot;
use super::offer::Ranges;
use super::recover::known_node;
use super::seals::{Hash, NO_PREVIOUS, Reader, Record, chain};
use super::segment::{self, SegmentId, decoded};

/// Problems listed; more are only counted.
const PROBLEMS_MAX: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("seal {sequence} is damaged in the journal")]
    Damaged { sequence: u64 },
    #[error("the events of seal {sequence} in `{segment}` do not have the sealed hash")]
    Altered { sequence: u64, segment: SegmentId },
    #[error(
        "the events of seal {sequence} in `{segment}` are gone and the store has not taken them"
    )]
    Lost { sequence: u64, segment: SegmentId },
    #[error(
        "seal {sequence} begins at event {found} of `{segment}`, the one before ends at {expected}"
    )]
    Gap { sequence: u64, segment: SegmentId, expected: u32, found: u32 },
    #[error("the store has another seal {sequence} than the journal")]
    Differs { sequence: u64 },
    #[error("the store lacks seals {first} to {last} but has later ones")]
    NotStored { first: u64, last: u64 },
    #[error("the store has seal {sequence}, which the journal does not have in this place")]
    NotSealed { sequence: u64 },
}

/// What a verification saw. It passed if there are no problems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub node: String,
    pub seals: u64,
    /// Seals whose events were read and hashed.
    pub checked: u64,
    /// Seals whose events were taken by the store and are not kept any more.
    pub gone: u64,
    pub stored: u64,
    /// Seals at the end that the store has not taken yet.
    pub waiting: u64,
    /// Slots in checked seals that were torn or damaged before they were sealed.
    pub bad_slots: u64,
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
}

impl Report {
    pub fn passed(&self) -> bool {
        self.problem_count == 0
    }

    fn add(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// `stored` are the store's seals in order of sequence; those of other nodes are passed over.
pub fn verify(dir: &Path, stored: impl IntoIterator<Item = Seal>) -> io::Result<Report> {
    let node = known_node(dir)?;
    let own = node.clone();
    let mut stored = stored.into_iter().filter(move |seal| seal.node == own).peekable();
    let mut check = Check::new(dir, node);
    let reader = Reader::open(dir)?;
    for (record, sequence) in reader.range(1, reader.count()?).zip(1..) {
        check.report.seals += 1;
        let in_store = stored.next_if(|seal| seal.sequence == sequence);
        check.count_stored(sequence, in_store.is_some());
        match record {
            Ok(record) => check.record(&record, in_store.as_ref())?,
            Err(_) => check.damaged(sequence),
        }
    }
    Ok(check.finish(stored))
}

struct Check<'a> {
    dir: &'a Path,
    ranges: Ranges,
    /// Unknown after a damaged record.
    previous: Option<Hash>,
    /// Where the next seal of a segment has to begin.
    ends: BTreeMap<SegmentId, u32>,
    /// A record was damaged, so a segment's first seal may be one of those that could not be read.
    holes: bool,
    not_stored_since: Option<u64>,
    report: Report,
}

impl<'a> Check<'a> {
    fn new(dir: &'a Path, node: String) -> Self {
        Self {
            dir,
            ranges: Ranges::new(dir),
            previous: Some(NO_PREVIOUS),
            ends: BTreeMap::new(),
            holes: false,
            not_stored_since: None,
            report: Report { node, ..Report::default() },
        }
    }

    fn count_stored(&mut self, sequence: u64, stored: bool) {
        if !stored {
            self.not_stored_since.get_or_insert(sequence);
            return;
        }
        self.report.stored += 1;
        if let Some(first) = self.not_stored_since.take() {
            self.report.add(Problem::NotStored { first, last: sequence - 1 });
        }
    }

    fn damaged(&mut self, sequence: u64) {
        self.report.add(Problem::Damaged { sequence });
        self.previous = None;
        self.ends.clear();
        self.holes = true;
    }

    fn record(&mut self, record: &Record, stored: Option<&Seal>) -> io::Result<()> {
        let (sequence, segment) = (record.sequence, record.segment);
        let Some(previous) = self.previous.replace(record.sha256) else {
            self.ends.insert(segment, record.end());
            return Ok(());
        };
        if stored.is_some_and(|seal| *seal != record.seal(&self.report.node, &previous)) {
            self.report.add(Problem::Differs { sequence });
        }
        let known = self.ends.insert(segment, record.end());
        let expected = if self.holes { known } else { Some(known.unwrap_or(0)) };
        if let Some(expected) = expected.filter(|end| *end != record.first) {
            let found = record.first;
            self.report.add(Problem::Gap { sequence, segment, expected, found });
        }
        match self.ranges.read(record)? {
            Some(bytes) => self.events(record, &previous, &bytes),
            None if fs::exists(segment::path(self.dir, segment))? => {
                self.report.add(Problem::Altered { sequence, segment });
            }
            None if stored.is_some() => self.report.gone += 1,
            None => self.report.add(Problem::Lost { sequence, segment }),
        }
        Ok(())
    }

    fn events(&mut self, record: &Record, previous: &Hash, bytes: &[u8]) {
        let (sequence, segment) = (record.sequence, record.segment);
        self.report.checked += 1;
        if chain(previous, bytes) != record.sha256 {
            self.report.add(Problem::Altered { sequence, segment });
        }
        let bad = decoded(bytes, record.first).filter(|slot| !matches!(slot, Slot::Event(_)));
        self.report.bad_slots += bad.count() as u64;
    }

    fn finish(mut self, rest: Peekable<impl Iterator<Item = Seal>>) -> Report {
        if let Some(first) = self.not_stored_since {
            self.report.waiting = self.report.seals + 1 - first;
        }
        for seal in rest {
            self.report.add(Problem::NotSealed { sequence: seal.sequence });
        }
        self.report
    }
}
