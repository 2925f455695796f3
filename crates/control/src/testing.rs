//! Ports for tests: a clock that is set by hand, randomness from a seed, a wake-up that is counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::{self, CallPlace, RecentCall};
use keytoll_domain::time::Timestamp;
use keytoll_store::Db;

use crate::calls::{NodeCalls, RecentCalls};
use crate::ctx::{Clock, Ctx, Entropy, Settings, Wake};

/// 2026-11-30T12:00:00Z.
pub const START: Timestamp = Timestamp(1_796_040_000_000_000);

#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    pub fn advance_secs(&self, secs: i64) {
        self.set(self.now().plus_secs(secs));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// splitmix64: no security, but the same bytes in every run.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in buffer.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[derive(Debug, Default)]
pub struct WakeCount(AtomicU64);

impl WakeCount {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for WakeCount {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A gateway called `here` that remembers calls of one key, given the newest first.
#[derive(Debug)]
pub struct Remembered {
    key: KeyId,
    calls: Vec<RecentCall>,
}

impl Remembered {
    pub fn of(key: KeyId, calls: Vec<RecentCall>) -> Arc<Self> {
        Arc::new(Self { key, calls })
    }
}

impl RecentCalls for Remembered {
    fn of_key(&self, key: KeyId, before: Option<CallPlace>, limit: usize) -> Option<NodeCalls> {
        let own = if key == self.key { &self.calls[..] } else { &[] };
        // All in one seal, the newest in the last slot.
        let end = before.map_or(own.len(), |before| before.slot as usize).min(own.len());
        let first = end.saturating_sub(limit);
        let calls = own[own.len() - end..own.len() - first].to_vec();
        let slot = u32::try_from(first).unwrap_or(u32::MAX);
        let next = (first > 0).then_some(CallPlace { seal: 1, slot });
        Some(NodeCalls { node: "here".into(), found: ledger::RecentCalls { calls, next } })
    }
}

/// A folder of a test's own; it goes when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn create() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("keytoll-control-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A context over a test database, with the ports to steer it.
#[derive(Clone, Debug)]
pub struct Bench {
    pub ctx: Ctx,
    pub clock: Arc<HandClock>,
    pub wakes: Arc<WakeCount>,
}

impl Bench {
    /// Over SQLite in the folder.
    pub async fn sqlite(folder: &Folder, settings: Settings) -> Self {
        let url = format!("sqlite:{}", folder.path().join("keytoll.db").display());
        Self::with_settings(Db::connect(&url).await.expect("SQLite opens"), settings)
    }

    pub fn new(store: Db) -> Self {
        Self::with_settings(store, Settings { receipt_wait_ms: 50, ..Settings::default() })
    }

    pub fn with_settings(store: Db, settings: Settings) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.0)));
        let wakes = Arc::new(WakeCount::default());
        let entropy = Arc::new(SeededEntropy(AtomicU64::new(1)));
        let ctx = Ctx::new(store, clock.clone(), entropy, wakes.clone(), settings);
        Self { ctx, clock, wakes }
    }
}
