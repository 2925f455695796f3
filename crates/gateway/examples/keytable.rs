//! What many keys cost: `cargo run --release -p keytoll-gateway --example keytable -- 1000000`.
//!
//! It loads a gateway with so many keys from memory and prints the time, the anonymous memory that an idle key
//! takes, and the time of a decision with a key drawn at random, and of a refusal of an unknown one. The keys'
//! subscription is not active, so that a decision ends after the table and before the limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keytoll_domain::feed::{Change, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, PartnerId, SubscriptionId};
use keytoll_domain::key::{Environment, KeyHash, KeyWindows};
use keytoll_domain::ledger::SealedBatch;
use keytoll_domain::time::Timestamp;
use keytoll_gateway::ports::{BoxFuture, KeySource, KeyUpgrade, PortError, Taken, UsageSink};
use keytoll_gateway::{AccessLog, KeyRef, Options, Question, start};

const PAGE: u32 = 2_000;
const DECISIONS: u32 = 300_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Made {
    keys: u32,
    scopes: Arc<[String]>,
}

fn secret(number: u32) -> String {
    format!("sk_bench_{number:08}_secret")
}

fn id(number: u32) -> KeyId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[8..]
        .copy_from_slice(&u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    KeyId::from_bytes(bytes)
}

fn number(id: KeyId) -> u32 {
    let bytes = id.to_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Made {
    fn key(&self, number: u32) -> SnapshotKey {
        SnapshotKey {
            id: id(number),
            partner: PartnerId::from_bytes([1; 16]),
            subscription: SubscriptionId::from_bytes([1; 16]),
            hash: KeyHash::of(secret(number).as_bytes()),
            environment: Environment::Live,
            scopes: self.scopes.clone(),
            products: None,
            rate_limit_per_minute: Some(60),
            windows: KeyWindows::default(),
            allowed_ips: Vec::new(),
            expires_at: None,
            disabled: false,
            bcrypt: None,
        }
    }
}

impl KeySource for Made {
    fn snapshot<'a>(&'a self, _node: &'a str) -> BoxFuture<'a, Result<Snapshot, PortError>> {
        let key_count = u64::from(self.keys);
        Box::pin(async move { Ok(Snapshot { key_count, ..Snapshot::default() }) })
    }

    fn keys(&self, after: Option<KeyId>) -> BoxFuture<'_, Result<Vec<SnapshotKey>, PortError>> {
        let first = after.map_or(0, |id| number(id) + 1);
        let last = self.keys.min(first + PAGE);
        Box::pin(async move { Ok((first..last).map(|number| self.key(number)).collect()) })
    }

    fn changes(&self, _after: u64, _limit: usize) -> BoxFuture<'_, Result<Vec<Change>, PortError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn applied<'a>(&'a self, _node: &'a str, _at: u64) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl KeyUpgrade for Made {
    fn upgrade(&self, _key: KeyId, _digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>> {
        Box::pin(async { Ok(true) })
    }
}

struct Nowhere;

impl UsageSink for Nowhere {
    fn take(&self, _batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>> {
        Box::pin(async { Ok(Taken::Applied) })
    }
}

fn rss_anon() -> u64 {
    let status =
        std::fs::read_to_string("/proc/self/status").expect("Linux says how much memory is used");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn measure(keys: u32) {
    let data: PathBuf =
        std::env::temp_dir().join(format!("keytoll-keytable-{}", std::process::id()));
    let mut options = Options::new(([127, 0, 0, 1], 0).into(), data.clone(), "bench");
    options.access_log = AccessLog::Off;
    let clock = Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(0))
    });
    let source = Arc::new(Made { keys, scopes: Arc::from(["*".to_owned()]) });
    let before = rss_anon();
    let began = Instant::now();
    let gateway = start(options, source, Arc::new(Nowhere), clock).expect("a gateway");
    let loaded = began.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let bytes = rss_anon().saturating_sub(before);
    let verifier = gateway.verifier();
    let ask = |name: &dyn Fn(u32) -> String| {
        let secrets: Vec<_> =
            (0..DECISIONS).map(|at| name(at.wrapping_mul(2_654_435_761) % keys)).collect();
        let began = Instant::now();
        for secret in &secrets {
            std::hint::black_box(verifier.ask(&Question {
                key: KeyRef::Secret(secret.as_bytes()),
                product: None,
                operation: None,
                scope: None,
                address: None,
                units: None,
            }));
        }
        began.elapsed().as_nanos() / u128::from(DECISIONS)
    };
    let known = ask(&secret);
    let unknown = ask(&|at| format!("sk_wrong_{at:08}_secret"));
    println!(
        "{keys:>9} keys: loaded in {loaded:.2?}, {} bytes a key, {known} ns a known, {unknown} ns an unknown key",
        bytes / u64::from(keys),
    );
    gateway.shutdown(Duration::from_secs(1));
    let _gone = std::fs::remove_dir_all(data);
}

fn main() {
    let keys = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    measure(keys);
}
