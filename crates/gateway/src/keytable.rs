//! Every live key, by its digest: a digest that is not here is unknown, with no query and no cache behind it.
//!
//! Readers never wait for the one writer, the feed task. A record is replaced whole; what is counted lives in
//! cells that the old and the new record share.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::decide::KeyFacts;
use keytoll_domain::ids::{KeyId, PartnerId, PlanSlug, SubscriptionId};
use keytoll_domain::key::{Environment, KeyHash, KeyWindows};
use keytoll_domain::limits::CellPolicy;
use keytoll_domain::period::Anchor;
use keytoll_domain::scope::ScopeSet;
use keytoll_domain::subscription::{self, SubscriptionStatus};
use keytoll_domain::time::Timestamp;

use crate::bits::BitSet;
use crate::cells::{LazyCell, Terms};
use crate::spend::Spend;

/// A digest is random already: its first bytes are its hash.
#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

type ByDigest<V> = papaya::HashMap<KeyHash, V, BuildHasherDefault<DigestHasher>>;

/// What requests look up. Shared by all cores.
#[derive(Default)]
pub(crate) struct KeyTable {
    keys: ByDigest<Arc<KeyRecord>>,
    digests: papaya::HashMap<KeyId, KeyHash>,
    subscriptions: papaya::HashMap<SubscriptionId, Arc<SubscriptionRecord>>,
    /// Digests of the tokens that may ask for verification.
    verifiers: ByDigest<()>,
}

/// One key as the request path needs it.
pub(crate) struct KeyRecord {
    pub id: KeyId,
    pub partner: PartnerId,
    pub subscription: Arc<SubscriptionRecord>,
    pub environment: Environment,
    pub disabled: bool,
    pub scopes: Arc<ScopeSet>,
    /// Indexes of the products it is for; absent = all of the plan.
    pub products: Option<Box<BitSet>>,
    pub limit_per_minute: Option<u64>,
    /// Windows of its own beside the minute; few keys have any.
    pub windows: Option<Box<KeyWindows>>,
    pub allowed_ips: Box<[IpNet]>,
    pub expires_at: Option<Timestamp>,
    pub cell: Arc<LazyCell>,
}

pub(crate) struct SubscriptionRecord {
    pub id: SubscriptionId,
    pub state: ArcSwap<SubscriptionState>,
    live: LazyCell,
    test: LazyCell,
}

pub(crate) struct SubscriptionState {
    pub status: SubscriptionStatus,
    pub ended_at: Option<Timestamp>,
    pub anchor: Anchor,
    pub plan: Arc<PlanRecord>,
    /// Instead of the plan's.
    pub own: Option<Box<LimitTerms>>,
    pub spend: Option<Box<Spend>>,
}

/// Limits of a subscription as its cells and those of its keys keep them.
#[derive(Debug)]
pub(crate) struct LimitTerms {
    live: CellPolicy,
    test: CellPolicy,
    /// Calls in flight per key.
    concurrency: Option<u32>,
}

/// A plan version without what only bills and pages need.
#[derive(Debug)]
pub(crate) struct PlanRecord {
    pub index: u32,
    pub slug: Option<PlanSlug>,
    pub products: BitSet,
    pub limits: LimitTerms,
}

impl KeyTable {
    pub(crate) fn find(&self, digest: &KeyHash) -> Option<Arc<KeyRecord>> {
        self.keys.pin().get(digest).cloned()
    }

    pub(crate) fn find_id(&self, id: KeyId) -> Option<Arc<KeyRecord>> {
        let digest = self.digests.pin().get(&id).copied()?;
        self.find(&digest)
    }

    pub(crate) fn put(&self, digest: KeyHash, record: KeyRecord) {
        let id = record.id;
        self.keys.pin().insert(digest, Arc::new(record));
        let digests = self.digests.pin();
        let old = digests.insert(id, digest).copied();
        if let Some(old) = old.filter(|old| *old != digest) {
            self.keys.pin().remove(&old);
        }
    }

    pub(crate) fn remove(&self, id: KeyId) {
        if let Some(digest) = self.digests.pin().remove(&id).copied() {
            self.keys.pin().remove(&digest);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The record of a subscription; one that is not known yet is made and refuses every call.
    pub(crate) fn subscription(&self, id: SubscriptionId) -> Arc<SubscriptionRecord> {
        let new = || Arc::new(SubscriptionRecord::unknown(id));
        self.subscriptions.pin().get_or_insert_with(id, new).clone()
    }

    pub(crate) fn known_subscription(&self, id: SubscriptionId) -> Option<Arc<SubscriptionRecord>> {
        self.subscriptions.pin().get(&id).cloned()
    }

    pub(crate) fn set_verifier(&self, digest: KeyHash, allowed: bool) {
        let verifiers = self.verifiers.pin();
        if allowed {
            verifiers.insert(digest, ());
        } else {
            verifiers.remove(&digest);
        }
    }

    pub(crate) fn is_verifier(&self, digest: &KeyHash) -> bool {
        self.verifiers.pin().contains_key(digest)
    }

    /// Frees the counters of keys and subscriptions that have been quiet for long.
    pub(crate) fn drop_idle_cells(&self, now: Timestamp) {
        for record in self.keys.pin().values() {
            record.cell.drop_idle(now);
        }
        for subscription in self.subscriptions.pin().values() {
            subscription.live.drop_idle(now);
            subscription.test.drop_idle(now);
        }
    }
}

impl KeyRecord {
    pub(crate) fn facts<'r>(&'r self, state: &SubscriptionState, now: Timestamp) -> KeyFacts<'r> {
        let ended = state.ended_at.is_some_and(|end| end <= now);
        KeyFacts {
            dead: self.disabled,
            expires_at: self.expires_at,
            subscription: if ended { SubscriptionStatus::Cancelled } else { state.status },
            allowed_ips: &self.allowed_ips,
            scopes: &self.scopes,
        }
    }

    pub(crate) fn has_product(&self, state: &SubscriptionState, product: u32) -> bool {
        state.plan.products.has(product)
            && self.products.as_ref().is_none_or(|own| own.has(product))
    }

    pub(crate) fn terms(&self, state: &SubscriptionState) -> Terms {
        Terms {
            product: CellPolicy::of_product(WindowLimits::default()),
            subscription: *state.policy(self.environment),
            key: self.policy(state),
            anchor: state.anchor,
            spend_cap: self.spend(state).map(Spend::units),
        }
    }

    /// What the key's own cell keeps.
    pub(crate) fn policy(&self, state: &SubscriptionState) -> CellPolicy {
        let own = self.windows.as_deref();
        let KeyWindows { second, hour, day } = own.copied().unwrap_or_default();
        let windows = WindowLimits { second, minute: self.limit_per_minute, hour, day };
        CellPolicy::of_key(windows, state.limits().concurrency)
    }

    /// Calls with test keys cost nothing.
    pub(crate) fn spend<'s>(&self, state: &'s SubscriptionState) -> Option<&'s Spend> {
        state.spend.as_deref().filter(|_| self.environment == Environment::Live)
    }

    /// The subscription's counters for this key's environment.
    pub(crate) fn subscription_cell(&self) -> &LazyCell {
        self.subscription.cell(self.environment)
    }
}

impl SubscriptionRecord {
    fn unknown(id: SubscriptionId) -> Self {
        let state = SubscriptionState {
            status: SubscriptionStatus::Cancelled,
            ended_at: None,
            anchor: Anchor::Calendar,
            plan: Arc::new(PlanRecord::unknown()),
            own: None,
            spend: None,
        };
        let (live, test) = (LazyCell::default(), LazyCell::default());
        Self { id, state: ArcSwap::from_pointee(state), live, test }
    }

    pub(crate) fn cell(&self, environment: Environment) -> &LazyCell {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.test,
        }
    }
}

impl SubscriptionState {
    fn limits(&self) -> &LimitTerms {
        self.own.as_deref().unwrap_or(&self.plan.limits)
    }

    /// What the subscription's cell keeps.
    pub(crate) fn policy(&self, environment: Environment) -> &CellPolicy {
        self.limits().policy(environment)
    }
}

impl LimitTerms {
    pub(crate) fn new(terms: &subscription::Terms) -> Self {
        Self {
            live: CellPolicy::of_subscription(terms.limits, terms.quota),
            test: CellPolicy::of_subscription(terms.limits, None),
            concurrency: terms.concurrency,
        }
    }

    /// Test calls have no quota.
    fn policy(&self, environment: Environment) -> &CellPolicy {
        match environment {
            Environment::Live => &self.live,
            Environment::Test => &self.test,
        }
    }
}

impl PlanRecord {
    pub(crate) fn unknown() -> Self {
        Self {
            index: u32::MAX,
            slug: None,
            products: BitSet::default(),
            limits: LimitTerms::new(&subscription::Terms::default()),
        }
    }
}
