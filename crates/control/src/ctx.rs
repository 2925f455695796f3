//! What every use case needs from outside, as one cheap clone.
//!
//! Time, randomness and the wake-up of gateways are ports: the binary wires the real ones, tests their own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use keytoll_domain::key::ACTIVE_KEYS_PER_PARTNER;
use keytoll_domain::key_format::DEFAULT_BRAND;
use keytoll_domain::time::Timestamp;
use keytoll_store::{Db, StoreError, Tx};
use tokio::sync::Notify;

use crate::calls::RecentCalls;
use crate::password::Passwords;
use crate::products::Documents;
use crate::throttle::Throttle;

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// A cryptographically secure source of random bytes.
pub trait Entropy: Send + Sync {
    fn fill(&self, buffer: &mut [u8]);
}

/// Tells the gateways of this process that the feed has grown. Called after the commit.
pub trait Wake: Send + Sync {
    fn wake(&self);
}

/// What the installation decides about keys and log-ins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// First part of every key, `sk` unless the provider has a brand.
    pub brand: String,
    pub active_keys_per_partner: u32,
    /// Wait this long for gateways to apply a change before naming those that have not.
    pub receipt_wait_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brand: DEFAULT_BRAND.into(),
            active_keys_per_partner: ACTIVE_KEYS_PER_PARTNER,
            receipt_wait_ms: 2_000,
        }
    }
}

#[derive(Clone)]
pub struct Ctx {
    pub store: Db,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub wake: Arc<dyn Wake>,
    pub settings: Arc<Settings>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) documents: Arc<Documents>,
    /// Rung when a gateway of this process has applied a change, so that receipts need not wait for a tick.
    pub(crate) applied: Arc<Notify>,
    /// The gateway of this process, once it is there.
    pub(crate) recent_calls: Arc<OnceLock<Arc<dyn RecentCalls>>>,
}

impl Ctx {
    pub fn new(
        store: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        wake: Arc<dyn Wake>,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            clock,
            entropy,
            wake,
            settings: Arc::new(settings),
            passwords: Arc::default(),
            throttle: Arc::default(),
            documents: Arc::default(),
            applied: Arc::default(),
            recent_calls: Arc::default(),
        }
    }

    /// Connects this process' gateway, which is made after the context; all clones know it then. The first one stays.
    pub fn offer_recent_calls(&self, gateway: Arc<dyn RecentCalls>) {
        let _known = self.recent_calls.set(gateway);
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits a transaction that appended to the feed, then wakes the gateways.
    pub(crate) async fn publish(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.wake.wake();
        Ok(())
    }

    /// `N` fresh random bytes, as for an id or a secret.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("settings", &self.settings).finish_non_exhaustive()
    }
}
