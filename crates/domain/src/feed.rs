//! What the control plane tells the data plane: a snapshot at start, all keys in pages, then changes in sequence.

use std::sync::Arc;

use ipnet::IpNet;

use crate::catalog::{Plan, Product};
use crate::ids::{KeyId, PartnerId, ProductId, SubscriptionId};
use crate::key::{BcryptHash, Environment, Key, KeyHash, KeyWindows};
use crate::ledger::PeriodRow;
use crate::subscription::Subscription;
use crate::time::Timestamp;
use crate::user::Token;

/// Everything the request path decides by but keys, as of change `sequence`. Keys are read in pages after it:
/// what changes meanwhile has a later sequence.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub sequence: u64,
    pub products: Vec<Product>,
    pub plans: Vec<Plan>,
    pub subscriptions: Vec<Subscription>,
    /// About how many keys are not revoked, so that room for them is made at once.
    pub key_count: u64,
    /// Tokens that are not revoked.
    pub tokens: Vec<Token>,
    /// Sums of the running periods, for the quota counters.
    pub periods: Vec<PeriodRow>,
    /// The last seal of this node that the store has taken.
    pub sealed_through: u64,
}

/// One changed record, as it is now (a later change may already be in it; applying twice is harmless).
#[derive(Clone, Debug)]
pub struct Change {
    pub sequence: u64,
    pub record: Changed,
}

#[derive(Clone, Debug)]
pub enum Changed {
    Product(Box<Product>),
    Plan(Box<Plan>),
    Subscription(Box<Subscription>),
    Key(Box<Key>),
    /// Keys that were imported together; those revoked since are left out.
    Keys(Vec<SnapshotKey>),
    Token(Box<Token>),
}

/// A key that is not revoked, as the request path needs it; expired and disabled ones included.
#[derive(Clone, Debug)]
pub struct SnapshotKey {
    pub id: KeyId,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub hash: KeyHash,
    pub environment: Environment,
    /// Shared by neighbours with the same scopes.
    pub scopes: Arc<[String]>,
    pub products: Option<Vec<ProductId>>,
    pub rate_limit_per_minute: Option<u64>,
    pub windows: KeyWindows,
    pub allowed_ips: Vec<IpNet>,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    /// What a secret is checked against while `hash` is only a placeholder.
    pub bcrypt: Option<Box<BcryptHash>>,
}

impl From<Key> for SnapshotKey {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            partner: key.partner,
            subscription: key.subscription,
            hash: key.hash,
            environment: key.environment,
            scopes: key.scopes.into(),
            products: key.products,
            rate_limit_per_minute: key.rate_limit_per_minute,
            windows: key.windows,
            allowed_ips: key.allowed_ips,
            expires_at: key.expires_at,
            disabled: key.disabled_at.is_some(),
            bcrypt: None,
        }
    }
}
