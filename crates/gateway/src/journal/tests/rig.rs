//! A folder, a clock, a sink.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{Seal, SealedBatch};
use keytoll_domain::time::Timestamp;
use tokio::runtime::{Builder, Runtime};

use crate::journal::{Charge, End, Journal, Opened, Options, node};
use crate::ports::{BoxFuture, PortError, Taken, UsageSink};

pub(crate) const START: Timestamp = Timestamp(1_764_000_000_000_000);
/// Far more than any step takes: reaching it is a failure.
pub(crate) const LONG: Duration = Duration::from_mins(1);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder of its own that goes away with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("keytoll-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// What a kill at this instant would leave, but for the time that copying takes. The seals are
    /// copied first: what they name is then already in the segments.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        fs::copy(self.0.join("seals"), copy.0.join("seals")).unwrap();
        fs::copy(self.0.join("node"), copy.0.join("node")).unwrap();
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some() {
                // One that is being made may be renamed in between.
                drop(fs::copy(&path, copy.0.join(path.file_name().unwrap())));
            }
        }
        copy
    }

    /// The bytes of the seals' file.
    pub(crate) fn seals(&self) -> Vec<u8> {
        fs::read(self.0.join("seals")).unwrap()
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
        paths.sort();
        paths
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Keeps batches as the store does: each (node, sequence) once.
#[derive(Default)]
pub(crate) struct Store {
    /// By the number of their last seal.
    pub(crate) batches: Mutex<BTreeMap<u64, SealedBatch>>,
    /// Every offer, as it came.
    pub(crate) offers: Mutex<Vec<Seal>>,
    /// Fail this many offers before the next is taken.
    pub(crate) failures: AtomicU32,
    /// Panic at this many offers.
    pub(crate) panics: AtomicU32,
    /// Say no to an offer after having taken it: the answer got lost.
    pub(crate) lost_answers: AtomicU32,
}

fn spend(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
}

impl Store {
    pub(crate) fn through(&self) -> u64 {
        self.batches.lock().unwrap().keys().last().copied().unwrap_or(0)
    }

    /// Forgets what came after seal `through`: the journal went on while it was copied, and that copy
    /// is what is left.
    pub(crate) fn rewind(&self, through: u64) {
        self.batches.lock().unwrap().retain(|sequence, _| *sequence <= through);
        self.offers.lock().unwrap().retain(|offer| offer.sequence <= through);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.sum(|batch| batch.usage.iter().map(|row| row.calls).sum())
    }

    pub(crate) fn units(&self) -> u64 {
        self.sum(|batch| batch.periods.iter().map(|row| row.units).sum())
    }

    fn sum(&self, of: impl Fn(&SealedBatch) -> u64) -> u64 {
        self.batches.lock().unwrap().values().map(of).sum()
    }

    pub(crate) fn seals(&self) -> Vec<Seal> {
        self.batches.lock().unwrap().values().flat_map(|batch| batch.seals.clone()).collect()
    }

    fn take_now(&self, batch: &SealedBatch) -> Result<Taken, PortError> {
        self.offers.lock().unwrap().extend(batch.seals.iter().cloned());
        assert!(!spend(&self.panics), "the test says so");
        if spend(&self.failures) {
            return Err(PortError::Unavailable("the test says so".into()));
        }
        let mut batches = self.batches.lock().unwrap();
        let through = batches.keys().last().copied().unwrap_or(0);
        let sequences: Vec<_> = batch.seals.iter().map(|seal| seal.sequence).collect();
        let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
        assert_eq!(sequences, (first..=last).collect::<Vec<_>>(), "seals come in order");
        if first <= through {
            let known: Vec<_> = batches.values().flat_map(|batch| &batch.seals).collect();
            let same = |seal: &&Seal| seal.sequence > through || known.contains(seal);
            let same = batch.seals.iter().all(|seal| same(&seal));
            let through = through.min(last);
            return if same { Ok(Taken::Known { through }) } else { Err(PortError::Forked) };
        }
        assert_eq!(first, through + 1, "no seal is left out");
        batches.insert(last, batch.clone());
        if spend(&self.lost_answers) {
            return Err(PortError::Unavailable("the answer got lost".into()));
        }
        Ok(Taken::Applied)
    }
}

impl UsageSink for Store {
    fn take(&self, batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>> {
        Box::pin(async move { self.take_now(&batch) })
    }
}

/// Opens journals on folders, with one store.
pub(crate) struct Rig {
    pub(crate) store: Arc<Store>,
    pub(crate) now: Arc<AtomicI64>,
    runtime: Runtime,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        Self { store: Arc::default(), now: Arc::new(AtomicI64::new(START.0)), runtime }
    }

    pub(crate) fn advance(&self, secs: i64) {
        self.now.fetch_add(secs * 1_000_000, Ordering::AcqRel);
    }

    /// Small segments, and rounds only when asked for.
    pub(crate) fn options(&self, dir: &Path, cores: u32) -> Options {
        let now = self.now.clone();
        let clock = Arc::new(move || Timestamp(now.load(Ordering::Acquire)));
        let name = node(dir, "node-a").unwrap();
        let mut options = Options::new(dir.to_owned(), name, cores, self.store.through(), clock);
        options.interval = Duration::from_hours(1);
        options.first_pause = Duration::from_millis(1);
        options.segment_bytes = 96 * 65;
        options
    }

    pub(crate) fn open_with(&self, options: &Options) -> Opened {
        Journal::open(options, self.store.clone(), self.runtime.handle().clone()).unwrap()
    }

    pub(crate) fn try_open(&self, options: &Options) -> Result<Opened, crate::journal::OpenError> {
        Journal::open(options, self.store.clone(), self.runtime.handle().clone())
    }

    pub(crate) fn open(&self, folder: &Folder) -> Opened {
        self.open_with(&self.options(&folder.0, 1))
    }
}

/// Call number `n` of key and subscription `who`; one unit.
pub(crate) fn call(who: u8, n: u64) -> Charge {
    Charge {
        at: START.plus_micros(i64::try_from(n).unwrap()),
        key: KeyId::from_bytes([who; 16]),
        subscription: SubscriptionId::from_bytes([who; 16]),
        period_start: START,
        operation: OperationKey(7),
        environment: Environment::Live,
        status: 200,
        units_admitted: 1,
        units_charged: 1,
        latency_micros: 10,
        request: (u128::from(who) << 64) | u128::from(n),
        verification: false,
    }
}

pub(crate) fn end_of(charge: &Charge) -> End {
    End {
        request: charge.request,
        at: charge.at.plus_micros(50),
        bytes_in: 3,
        bytes_out: 1000,
        total_micros: 50,
        aborted: false,
    }
}
