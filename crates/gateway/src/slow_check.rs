//! Secrets of keys that are known by a bcrypt hash only: one thread, a short queue, and a memory of failures.
//!
//! A check takes up to a second. It costs other keys nothing: the core goes on with its other calls, and a full
//! queue is an answer. After the first success the key is an ordinary one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use keytoll_domain::decide::authenticate;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::KeyHash;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::compile::Tables;
use crate::keytable::KeyRecord;
use crate::options::Clock;
use crate::ports::KeyUpgrade;

/// Secrets that wait for the thread.
const QUEUE: usize = 64;
/// A secret that failed is not checked again for this long.
const FAILURE_SECS: i64 = 60;
/// Failures remembered; the oldest is forgotten first.
const FAILURES_MAX: usize = 4096;
/// Of a longer secret bcrypt would see a part only.
const SECRET_MAX_LEN: usize = 72;
/// How often the store is asked to keep a digest, and how long between two times.
const UPGRADE_TRIES: u32 = 10;
const UPGRADE_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct SlowCheck {
    queue: SyncSender<Ask>,
    failures: Arc<Failures>,
}

/// A secret on its way to the thread, and the way back.
struct Ask {
    secret: Vec<u8>,
    digest: KeyHash,
    answer: oneshot::Sender<Option<Arc<KeyRecord>>>,
}

/// Digests of secrets that were no key, in the order of their checks.
#[derive(Default)]
struct Failures(Mutex<(HashMap<KeyHash, Timestamp>, VecDeque<KeyHash>)>);

impl SlowCheck {
    pub(crate) fn start(
        tables: Weak<Tables>,
        upgrade: Arc<dyn KeyUpgrade>,
        clock: Clock,
        runtime: Handle,
    ) -> io::Result<Self> {
        let (queue, asks) = sync_channel(QUEUE);
        let failures = Arc::new(Failures::default());
        let checker = Checker { tables, upgrade, clock, runtime, failures: failures.clone() };
        std::thread::Builder::new()
            .name("gateway-bcrypt".into())
            .spawn(move || checker.run(&asks))?;
        Ok(Self { queue, failures })
    }

    pub(crate) async fn check(
        &self,
        tables: &Tables,
        secret: &[u8],
        now: Timestamp,
    ) -> Result<Arc<KeyRecord>, Refusal> {
        if secret.len() > SECRET_MAX_LEN || tables.keys.candidates.of(secret).is_empty() {
            return Err(Refusal::KeyInvalid);
        }
        let digest = KeyHash::of(secret);
        if self.failures.has(&digest, now) {
            return Err(Refusal::KeyInvalid);
        }
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Ask { secret: secret.to_vec(), digest, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                return Err(Refusal::KeyCheckBusy);
            }
        }
        let record = answered.await.ok().flatten().ok_or(Refusal::KeyInvalid)?;
        authenticate(&record.facts(&record.subscription.state.load(), now), now)?;
        Ok(record)
    }
}

struct Checker {
    tables: Weak<Tables>,
    upgrade: Arc<dyn KeyUpgrade>,
    clock: Clock,
    runtime: Handle,
    failures: Arc<Failures>,
}

impl Checker {
    fn run(&self, asks: &Receiver<Ask>) {
        while let Ok(ask) = asks.recv() {
            let Some(tables) = self.tables.upgrade() else { return };
            // Nobody waits for it any more.
            if ask.answer.is_closed() {
                continue;
            }
            let _gone = ask.answer.send(self.check(&tables, &ask.secret, ask.digest));
        }
    }

    fn check(&self, tables: &Tables, secret: &[u8], digest: KeyHash) -> Option<Arc<KeyRecord>> {
        // The same secret may have waited in the queue more than once.
        if let Some(known) = tables.keys.find(&digest) {
            return Some(known);
        }
        if self.failures.has(&digest, (self.clock)()) {
            return None;
        }
        for (id, hash) in tables.keys.candidates.of(secret) {
            if bcrypt::verify(secret, &hash).unwrap_or(false) {
                let record = tables.keys.rehash(id, digest)?;
                self.keep(id, digest);
                return Some(record);
            }
        }
        self.failures.add(digest, (self.clock)());
        None
    }

    /// Tells the store, apart from the thread. Until it has heard, this node alone knows the digest.
    fn keep(&self, id: KeyId, digest: KeyHash) {
        let upgrade = self.upgrade.clone();
        self.runtime.spawn(async move {
            for _ in 0..UPGRADE_TRIES {
                match upgrade.upgrade(id, digest).await {
                    Ok(_) => return,
                    Err(error) => tracing::warn!(key = %id, %error, "a key's digest is not stored yet"),
                }
                tokio::time::sleep(UPGRADE_PAUSE).await;
            }
            tracing::error!(key = %id, "a key's digest was not stored; its next first use tries again");
        });
    }
}

impl Failures {
    fn lock(&self) -> MutexGuard<'_, (HashMap<KeyHash, Timestamp>, VecDeque<KeyHash>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, digest: &KeyHash, now: Timestamp) -> bool {
        self.lock().0.get(digest).is_some_and(|until| *until > now)
    }

    fn add(&self, digest: KeyHash, now: Timestamp) {
        let mut all = self.lock();
        let (until, order) = &mut *all;
        while let Some(oldest) = order.front() {
            let over = until.get(oldest).is_none_or(|end| *end <= now);
            if order.len() < FAILURES_MAX && !over {
                break;
            }
            until.remove(oldest);
            order.pop_front();
        }
        if until.insert(digest, now.plus_secs(FAILURE_SECS)).is_none() {
            order.push_back(digest);
        }
    }
}

#[cfg(test)]
mod tests;
