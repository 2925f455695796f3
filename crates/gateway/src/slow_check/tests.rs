use std::sync::atomic::{AtomicI64, Ordering};

use keytoll_domain::feed::{Changed, Snapshot, SnapshotKey};
use keytoll_domain::key::{BcryptHash, Key};
use tokio::sync::mpsc;

use super::*;
use crate::compile::Compiler;
use crate::ports::{BoxFuture, PortError};
use crate::tests::support::{self, NOON};

const SECRET: &str = "legacy-key-of-bob-0001";

struct Upgrades(mpsc::UnboundedSender<(KeyId, KeyHash)>);

impl KeyUpgrade for Upgrades {
    fn upgrade(&self, key: KeyId, digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>> {
        let _sent = self.0.send((key, digest));
        Box::pin(async { Ok(true) })
    }
}

struct World {
    tables: Arc<Tables>,
    compiler: Compiler,
    upgrades: mpsc::UnboundedReceiver<(KeyId, KeyHash)>,
    now: Arc<AtomicI64>,
}

/// Key 9, whose secret is known by its bcrypt hash.
fn imported() -> Key {
    let mut key = support::key(9, "");
    key.hash = KeyHash([0x5a; 32]);
    key
}

fn world() -> World {
    let tables = Arc::new(Tables::default());
    let (mut compiler, _wanted) = Compiler::new(tables.clone());
    compiler.load(Snapshot {
        subscriptions: vec![support::subscription()],
        plans: vec![support::plan()],
        ..Snapshot::default()
    });
    let hash = bcrypt::hash(SECRET, 4).expect("a hash");
    let bcrypt = Some(Box::new(BcryptHash { prefix: "legacy-key".into(), hash }));
    compiler.keys(vec![SnapshotKey { bcrypt, ..imported().into() }]);
    let (sent, upgrades) = mpsc::unbounded_channel();
    let now = Arc::new(AtomicI64::new(NOON));
    let hands = now.clone();
    let clock: Clock = Arc::new(move || Timestamp(hands.load(Ordering::SeqCst)));
    let upgrade = Arc::new(Upgrades(sent));
    tables.start_slow_check(upgrade, clock, Handle::current()).expect("a thread");
    World { tables, compiler, upgrades, now }
}

impl World {
    async fn check(&self, secret: &str) -> Result<KeyId, Refusal> {
        let now = Timestamp(self.now.load(Ordering::SeqCst));
        self.tables.check_slow(secret.as_bytes(), now).await.map(|record| record.id)
    }
}

#[tokio::test]
async fn the_first_use_makes_an_ordinary_key() {
    let mut world = world();
    let id = imported().id;
    let digest = KeyHash::of(SECRET.as_bytes());
    assert_eq!(world.check(SECRET).await, Ok(id));
    assert_eq!(world.tables.keys.find(&digest).map(|record| record.id), Some(id));
    assert_eq!(world.upgrades.recv().await, Some((id, digest)));
    assert_eq!(world.tables.keys.len(), 1);

    // A change that was made before the upgrade comes after it: the key still works, by another check.
    world.compiler.apply(Changed::Key(Box::new(imported())));
    assert!(world.tables.keys.find(&digest).is_none());
    assert_eq!(world.check(SECRET).await, Ok(id));
    // The store's own word ends it.
    world.compiler.apply(Changed::Key(Box::new(Key { hash: digest, ..imported() })));
    assert!(world.tables.keys.candidates.is_empty());
    assert!(world.tables.keys.find(&digest).is_some());
}

#[tokio::test]
async fn a_wrong_secret_is_checked_once_a_minute() {
    let world = world();
    let wrong = "legacy-key-of-eve-0001";
    assert_eq!(world.check(wrong).await, Err(Refusal::KeyInvalid));
    let failures = &world.tables.slow_check().failures;
    assert!(failures.has(&KeyHash::of(wrong.as_bytes()), Timestamp(NOON)));
    assert!(!failures.has(&KeyHash::of(wrong.as_bytes()), Timestamp(NOON).plus_secs(60)));
    for (unknown, why) in [("other-key-of-bob", "prefix"), (&*SECRET.repeat(4), "length")] {
        assert_eq!(world.check(unknown).await, Err(Refusal::KeyInvalid));
        assert!(!failures.has(&KeyHash::of(unknown.as_bytes()), Timestamp(NOON)), "{why}");
    }
    for number in 0..FAILURES_MAX + 10 {
        failures.add(KeyHash::of(&number.to_le_bytes()), Timestamp(NOON));
    }
    assert_eq!(failures.lock().0.len(), FAILURES_MAX);
    failures.add(KeyHash::of(b"later"), Timestamp(NOON).plus_secs(60));
    assert_eq!(failures.lock().0.len(), 1);
}

#[tokio::test]
async fn a_revoked_or_disabled_key_is_not_opened_by_its_secret() {
    let mut world = world();
    let at = Some(Timestamp(NOON));
    world.compiler.apply(Changed::Key(Box::new(Key { disabled_at: at, ..imported() })));
    assert_eq!(world.check(SECRET).await, Err(Refusal::KeyInvalid));
    world.compiler.apply(Changed::Key(Box::new(Key { revoked_at: at, ..imported() })));
    assert!(world.tables.keys.candidates.is_empty());
    assert_eq!(world.check(SECRET).await, Err(Refusal::KeyInvalid));
}

#[tokio::test]
async fn a_full_queue_is_an_answer() {
    let tables = world().tables;
    let (queue, _asks) = sync_channel(1);
    let slow = SlowCheck { queue, failures: Arc::default() };
    let now = Timestamp(NOON);
    let waiting = slow.check(&tables, b"legacy-key-1", now);
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures_poll(waiting.as_mut()).is_pending());
    let busy = slow.check(&tables, b"legacy-key-2", now).await;
    assert_eq!(busy.map(|record| record.id), Err(Refusal::KeyCheckBusy));
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn candidates_are_bounded_and_the_longest_prefix_comes_first() {
    let candidates = crate::keytable::KeyTable::default().candidates;
    let add = |number: u8, prefix: &str| {
        let bcrypt = BcryptHash { prefix: prefix.into(), hash: number.to_string() };
        candidates.add(KeyId::from_bytes([number; 16]), bcrypt, KeyHash([number; 32]));
    };
    (0..9).for_each(|number| add(number, "abcd"));
    add(20, "abcdef");
    let found = candidates.of(b"abcdefgh");
    assert_eq!((found.len(), found[0].1.as_str()), (8, "20"));
    candidates.remove(KeyId::from_bytes([20; 16]));
    assert_eq!(candidates.of(b"abcdefgh")[0].1, "0");
    assert!(candidates.of(b"abc").is_empty());
}
