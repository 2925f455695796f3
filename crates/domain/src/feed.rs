//! What the control plane tells the data plane: a full snapshot at start, then changes in sequence.

use crate::catalog::{Plan, Product};
use crate::key::Key;
use crate::ledger::PeriodRow;
use crate::subscription::Subscription;
use crate::user::Token;

/// Everything the request path decides by, as of change `sequence`.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub sequence: u64,
    pub products: Vec<Product>,
    pub plans: Vec<Plan>,
    pub subscriptions: Vec<Subscription>,
    /// Keys that are not revoked; expired and disabled ones included.
    pub keys: Vec<Key>,
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
    Token(Box<Token>),
}
