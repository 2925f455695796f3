//! Every live key, by its digest: a digest that is not here is unknown, with no query and no cache behind it.
//!
//! Readers never wait for the one writer, the feed task. A record is replaced whole; what is counted lives in
//! cells that the old and the new record share.

mod candidates;
mod index;

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use ipnet::IpNet;
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::decide::KeyFacts;
use keytoll_domain::ids::{KeyId, PartnerId, PlanSlug, SubscriptionId};
use keytoll_domain::key::{Environment, KeyHash, KeyWindows};
use keytoll_domain::limits::CellPolicy;
use keytoll_domain::period::Anchor;
use keytoll_domain::subscription::{self, SubscriptionStatus};
use keytoll_domain::time::Timestamp;

use self::candidates::Candidates;
use self::index::Index;
use crate::bits::BitSet;
use crate::cells::{LazyCell, Terms};
use crate::identity::HeldScopes;
use crate::spend::Spend;

/// "Never expires", in a record.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// What requests look up. Shared by all cores.
#[derive(Default)]
pub(crate) struct KeyTable {
    by_digest: Index<KeyRecord>,
    by_id: Index<KeyRecord>,
    /// Keys whose digest nobody knows yet.
    pub candidates: Candidates,
    /// Held by whoever changes the two indexes.
    writing: Mutex<()>,
    subscriptions: papaya::HashMap<SubscriptionId, Arc<SubscriptionRecord>>,
    /// Digests of the tokens that may ask for verification.
    verifiers: papaya::HashMap<KeyHash, ()>,
    /// Goes up after each change of them.
    verifiers_version: AtomicU64,
}

/// One key as the request path needs it. A million of them are in memory: what few keys have is in [`Rare`].
pub(crate) struct KeyRecord {
    pub id: KeyId,
    pub subscription: Arc<SubscriptionRecord>,
    pub environment: Environment,
    pub scopes: Arc<HeldScopes>,
    disabled: bool,
    digest: KeyHash,
    limit_per_minute: Option<NonZeroU32>,
    expires_at: Timestamp,
    rare: Option<Box<Rare>>,
    /// Made at first use; a record that takes another's place shares it.
    cell: ArcSwapOption<LazyCell>,
}

/// What is said of a key when its record is made.
pub(crate) struct KeyTerms {
    pub id: KeyId,
    pub subscription: Arc<SubscriptionRecord>,
    pub environment: Environment,
    pub scopes: Arc<HeldScopes>,
    pub disabled: bool,
    pub limit_per_minute: Option<u64>,
    pub expires_at: Option<Timestamp>,
    pub rare: Rare,
}

/// What few keys have.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Rare {
    /// Indexes of the products it is for; absent = all of the plan.
    pub products: Option<BitSet>,
    pub allowed_ips: Box<[IpNet]>,
    pub windows: KeyWindows,
}

/// A key's counters; those of a key without limits of its own are never counted in.
pub(crate) struct CellRef(Guard<Option<Arc<LazyCell>>>);

static NO_CELL: LazyCell = LazyCell::new();

pub(crate) struct SubscriptionRecord {
    pub id: SubscriptionId,
    pub partner: PartnerId,
    pub state: ArcSwap<SubscriptionState>,
    live: LazyCell,
    test: LazyCell,
    /// Counters of its keys, so that idle ones are found without a walk over all keys.
    key_cells: Mutex<Vec<Arc<LazyCell>>>,
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
        self.by_digest.find(digest_hash(digest), |record| record.digest == *digest)
    }

    pub(crate) fn find_id(&self, id: KeyId) -> Option<Arc<KeyRecord>> {
        self.by_id.find(id_hash(id), |record| record.id == id)
    }

    /// Takes a key in, or its new terms and digest. What it has counted stays.
    pub(crate) fn put(&self, digest: KeyHash, terms: KeyTerms) {
        let _one = self.lock();
        let old = self.find_id(terms.id);
        // Calls that hold the old record count in the same cell, even if they are the first.
        let cell = old.as_ref().map(|old| old.made_cell());
        self.replace(old.as_ref(), KeyRecord::new(digest, terms, cell));
    }

    /// Lets a key be found by another digest from now on; `None` when there is no such key any more.
    pub(crate) fn rehash(&self, id: KeyId, digest: KeyHash) -> Option<Arc<KeyRecord>> {
        let _one = self.lock();
        let old = self.find_id(id)?;
        Some(self.replace(Some(&old), old.with_digest(digest)))
    }

    fn replace(&self, old: Option<&Arc<KeyRecord>>, record: KeyRecord) -> Arc<KeyRecord> {
        let (id, digest) = (record.id, record.digest);
        let record = Arc::new(record);
        let hash_of = |record: &KeyRecord| digest_hash(&record.digest);
        let same = |record: &KeyRecord| record.digest == digest;
        self.by_digest.put(digest_hash(&digest), record.clone(), same, hash_of);
        let hash_of = |record: &KeyRecord| id_hash(record.id);
        self.by_id.put(id_hash(id), record.clone(), |record| record.id == id, hash_of);
        if let Some(old) = old.filter(|old| old.digest != digest) {
            self.drop_digest(old);
        }
        record
    }

    pub(crate) fn remove(&self, id: KeyId) {
        let _one = self.lock();
        self.candidates.remove(id);
        if let Some(old) = self.find_id(id) {
            self.drop_digest(&old);
            self.by_id.remove(id_hash(id), |record| record.id == id);
        }
    }

    fn drop_digest(&self, old: &KeyRecord) {
        let same = |record: &KeyRecord| record.digest == old.digest && record.id == old.id;
        self.by_digest.remove(digest_hash(&old.digest), same);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for so many keys at once, before the first.
    pub(crate) fn reserve(&self, keys: usize) {
        self.by_digest.reserve(keys);
        self.by_id.reserve(keys);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The record of a subscription; one that is not known yet is made and refuses every call.
    pub(crate) fn subscription(
        &self,
        id: SubscriptionId,
        partner: PartnerId,
    ) -> Arc<SubscriptionRecord> {
        let new = || Arc::new(SubscriptionRecord::unknown(id, partner));
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
        self.verifiers_version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn verifiers_version(&self) -> u64 {
        self.verifiers_version.load(Ordering::Acquire)
    }

    pub(crate) fn is_verifier(&self, digest: &KeyHash) -> bool {
        self.verifiers.pin().contains_key(digest)
    }

    /// Frees the counters of keys and subscriptions that have been quiet for long.
    pub(crate) fn drop_idle_cells(&self, now: Timestamp) {
        for subscription in self.subscriptions.pin().values() {
            subscription.live.drop_idle(now);
            subscription.test.drop_idle(now);
            // A cell that no record has any more is forgotten.
            let mut cells = subscription.key_cells();
            cells.retain(|cell| Arc::strong_count(cell) > 1);
            for cell in &*cells {
                cell.drop_idle(now);
            }
        }
    }
}

/// A digest is random already: its first bytes are its hash.
fn digest_hash(digest: &KeyHash) -> u64 {
    digest.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The end of an id is random; multiplying spreads it where it is not.
fn id_hash(id: KeyId) -> u64 {
    let bytes = id.to_bytes();
    let last = bytes.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
    let mixed = last.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

impl KeyRecord {
    fn new(digest: KeyHash, terms: KeyTerms, cell: Option<Arc<LazyCell>>) -> Self {
        let rare = (terms.rare != Rare::default()).then(|| Box::new(terms.rare));
        // The most a key may have is far below what this holds.
        let narrow = |limit: u64| NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX).max(1));
        Self {
            id: terms.id,
            subscription: terms.subscription,
            environment: terms.environment,
            scopes: terms.scopes,
            disabled: terms.disabled,
            digest,
            limit_per_minute: terms.limit_per_minute.and_then(narrow),
            expires_at: terms.expires_at.unwrap_or(NEVER),
            rare,
            cell: ArcSwapOption::new(cell),
        }
    }

    fn with_digest(&self, digest: KeyHash) -> Self {
        Self {
            id: self.id,
            subscription: self.subscription.clone(),
            environment: self.environment,
            scopes: self.scopes.clone(),
            disabled: self.disabled,
            digest,
            limit_per_minute: self.limit_per_minute,
            expires_at: self.expires_at,
            rare: self.rare.clone(),
            cell: ArcSwapOption::new(Some(self.made_cell())),
        }
    }

    pub(crate) fn partner(&self) -> PartnerId {
        self.subscription.partner
    }

    fn limit_per_minute(&self) -> Option<u64> {
        self.limit_per_minute.map(|limit| limit.get().into())
    }

    /// The key's own counters, made now if this policy limits anything.
    pub(crate) fn cell(&self, policy: &CellPolicy) -> CellRef {
        if policy.is_unlimited() {
            return CellRef(Guard::from_inner(None));
        }
        let cell = self.cell.load();
        if cell.is_some() {
            return CellRef(cell);
        }
        CellRef(Guard::from_inner(Some(self.made_cell())))
    }

    /// The key's own counters if there are any yet.
    pub(crate) fn known_cell(&self) -> CellRef {
        CellRef(self.cell.load())
    }

    /// The cell; made now unless it was before, or somebody is quicker.
    fn made_cell(&self) -> Arc<LazyCell> {
        let new = Arc::new(LazyCell::default());
        let before = self.cell.compare_and_swap(&None::<Arc<LazyCell>>, Some(new.clone()));
        if let Some(theirs) = Guard::into_inner(before) {
            return theirs;
        }
        self.subscription.key_cells().push(new.clone());
        new
    }

    pub(crate) fn facts<'r>(&'r self, state: &SubscriptionState, now: Timestamp) -> KeyFacts<'r> {
        let ended = state.ended_at.is_some_and(|end| end <= now);
        KeyFacts {
            dead: self.disabled,
            expires_at: (self.expires_at != NEVER).then_some(self.expires_at),
            subscription: if ended { SubscriptionStatus::Cancelled } else { state.status },
            allowed_ips: self.rare.as_ref().map_or(&[], |rare| &rare.allowed_ips),
            scopes: &self.scopes,
        }
    }

    /// Whether it is for everything that its plan has.
    pub(crate) fn has_all_products(&self) -> bool {
        self.rare.as_ref().is_none_or(|rare| rare.products.is_none())
    }

    pub(crate) fn has_product(&self, state: &SubscriptionState, product: u32) -> bool {
        state.plan.products.has(product)
            && self.rare.as_ref().is_none_or(|rare| rare.for_product(product))
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
        let rare = self.rare.as_ref();
        let KeyWindows { second, hour, day } = rare.map(|rare| rare.windows).unwrap_or_default();
        let windows = WindowLimits { second, minute: self.limit_per_minute(), hour, day };
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

impl Rare {
    fn for_product(&self, product: u32) -> bool {
        self.products.as_ref().is_none_or(|own| own.has(product))
    }
}

impl Deref for CellRef {
    type Target = LazyCell;

    fn deref(&self) -> &LazyCell {
        self.0.as_deref().unwrap_or(&NO_CELL)
    }
}

impl SubscriptionRecord {
    fn unknown(id: SubscriptionId, partner: PartnerId) -> Self {
        let state = SubscriptionState {
            status: SubscriptionStatus::Cancelled,
            ended_at: None,
            anchor: Anchor::Calendar,
            plan: Arc::new(PlanRecord::unknown()),
            own: None,
            spend: None,
        };
        Self {
            id,
            partner,
            state: ArcSwap::from_pointee(state),
            live: LazyCell::default(),
            test: LazyCell::default(),
            key_cells: Mutex::default(),
        }
    }

    fn key_cells(&self) -> MutexGuard<'_, Vec<Arc<LazyCell>>> {
        self.key_cells.lock().unwrap_or_else(PoisonError::into_inner)
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
#[cfg(test)]
mod tests;
