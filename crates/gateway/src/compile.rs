//! From the control plane's records to the tables that requests read. Only the feed task writes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwap;
use keytoll_apispec::OperationMatcher;
use keytoll_domain::catalog::{
    Operation, OperationKey, Plan, Product, ProductVersion, UNITS_PER_CALL_MAX, VersionBy,
    version_path,
};
use keytoll_domain::feed::{Changed, Snapshot, SnapshotKey};
use keytoll_domain::ids::{PlanSlug, ProductId};
use keytoll_domain::limits::CellPolicy;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::scope::{self, ScopeIndex, ScopeSet};
use keytoll_domain::subscription::{Overrides, Subscription};
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::{Token, TokenRole};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use crate::credential::KeyFrom;
use crate::identity::HeldScopes;
use crate::keytable::{
    KeyRecord, KeyTable, KeyTerms, LimitTerms, PlanRecord, Rare, SubscriptionState,
};
use crate::options::Clock;
use crate::outgoing::VersionField;
use crate::policies::{Policies, deprecation_lines};
use crate::ports::KeyUpgrade;
use crate::route::{
    OperationRoute, ProductCells, ProductLimits, ProductRoute, Routes, Spaces, Versions,
};
use crate::signing::{Signer, SigningSecret};
use crate::slow_check::SlowCheck;
use crate::spend::Spend;
use crate::upstream::registry::Registry;
use crate::validation::{FirstChecks, Slots, Wanted};

/// What requests read.
#[derive(Default)]
pub(crate) struct Tables {
    pub keys: KeyTable,
    pub routes: ArcSwap<Routes>,
    /// Goes up whenever there are new routes, so that cores know their own copy is old.
    pub routes_version: AtomicU64,
    /// Wakes the health checks.
    pub routes_changed: Notify,
    slow: OnceLock<SlowCheck>,
    scope_names: RwLock<Vec<Arc<str>>>,
}

/// What only the writer needs: the records as they came, and the numbers given to them.
pub(crate) struct Compiler {
    tables: Arc<Tables>,
    products: BTreeMap<ProductId, Product>,
    plans: BTreeMap<(PlanSlug, u32), (Plan, Arc<PlanRecord>)>,
    product_indexes: HashMap<ProductId, u32>,
    /// Of products that have or had windows of their own, for as long as the process runs.
    product_cells: HashMap<ProductId, Arc<ProductCells>>,
    scope_indexes: HashMap<Arc<str>, ScopeIndex>,
    scope_sets: HashMap<ScopeSet, Arc<HeldScopes>>,
    upstreams: Registry,
    last_scopes: Option<(Arc<[String]>, Arc<HeldScopes>)>,
    signing_secret: Option<SigningSecret>,
    checks: Slots,
    routes_stale: bool,
}

impl Tables {
    /// Starts the thread that checks secrets against bcrypt hashes; it ends with the tables.
    pub(crate) fn start_slow_check(
        self: &Arc<Self>,
        upgrade: Arc<dyn KeyUpgrade>,
        clock: Clock,
        runtime: Handle,
    ) -> io::Result<()> {
        let slow = SlowCheck::start(Arc::downgrade(self), upgrade, clock, runtime)?;
        let _only_one = self.slow.set(slow);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn slow_check(&self) -> &SlowCheck {
        self.slow.get().expect("it was started")
    }

    /// The key of a secret whose digest is unknown, if it is one of those known by a bcrypt hash only. For the
    /// request path after [`known_key`](crate::admit::known_key) said `KeyInvalid`; it costs one load while there
    /// are no such keys.
    pub(crate) async fn check_slow(
        &self,
        secret: &[u8],
        now: Timestamp,
    ) -> Result<Arc<KeyRecord>, Refusal> {
        match self.slow.get() {
            Some(slow) if !self.keys.candidates.is_empty() => slow.check(self, secret, now).await,
            _ => Err(Refusal::KeyInvalid),
        }
    }

    pub(crate) fn scope_name(&self, index: ScopeIndex) -> Option<Arc<str>> {
        let names = self.scope_names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(index.0 as usize).cloned()
    }

    /// Whether a set holds a scope given by name; a name that no record has is held by [`ScopeSet::All`] only.
    pub(crate) fn holds_scope(&self, held: &ScopeSet, name: &str) -> bool {
        if *held == ScopeSet::All {
            return true;
        }
        let names = self.scope_names.read().unwrap_or_else(PoisonError::into_inner);
        let index = names.iter().position(|known| **known == *name);
        index
            .and_then(|index| u32::try_from(index).ok())
            .is_some_and(|index| held.holds(ScopeIndex(index)))
    }
}

impl Compiler {
    /// The receiver gets what [`crate::validation::follow`] is to fetch.
    pub(crate) fn new(tables: Arc<Tables>) -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (checks, wanted) = Slots::new();
        let compiler = Self {
            tables,
            products: BTreeMap::new(),
            plans: BTreeMap::new(),
            product_indexes: HashMap::new(),
            product_cells: HashMap::new(),
            scope_indexes: HashMap::new(),
            scope_sets: HashMap::new(),
            upstreams: Registry::new(),
            last_scopes: None,
            signing_secret: None,
            checks,
            routes_stale: false,
        };
        (compiler, wanted)
    }

    /// The checks of what is loaded until [`Self::started`] are waited for.
    pub(crate) fn starting(&mut self) -> FirstChecks {
        self.checks.starting()
    }

    pub(crate) fn started(&mut self) {
        self.checks.started();
    }

    /// The secret of requests to upstreams; from the next compiled route on.
    pub(crate) fn sign_with(&mut self, secret: Option<SigningSecret>) {
        self.signing_secret = secret;
    }

    /// Takes a snapshot; its keys follow by [`Self::keys`].
    pub(crate) fn load(&mut self, snapshot: Snapshot) {
        for product in snapshot.products {
            self.product(product);
        }
        for plan in snapshot.plans {
            self.plan(plan);
        }
        for subscription in &snapshot.subscriptions {
            self.subscription(subscription);
        }
        self.tables.keys.reserve(usize::try_from(snapshot.key_count).unwrap_or(0));
        for token in &snapshot.tokens {
            self.token(token);
        }
        self.publish();
    }

    pub(crate) fn keys(&mut self, page: Vec<SnapshotKey>) {
        for key in page {
            self.key(key);
        }
    }

    /// Takes one change. Routes become visible with [`Self::publish`], everything else at once.
    pub(crate) fn apply(&mut self, change: Changed) {
        match change {
            Changed::Product(product) => self.product(*product),
            Changed::Plan(plan) => self.plan(*plan),
            Changed::Subscription(subscription) => {
                // A plan of this batch must be in the routes before a subscription points at it.
                self.publish();
                self.subscription(&subscription);
            }
            // A revoked key goes at once: this node's clock may be behind the one that revoked it.
            Changed::Key(key) if key.revoked_at.is_some() => self.tables.keys.remove(key.id),
            Changed::Key(key) => self.key((*key).into()),
            Changed::Keys(keys) => self.keys(keys),
            Changed::Token(token) => self.token(&token),
        }
    }

    /// Makes changed products and plans visible to every core.
    pub(crate) fn publish(&mut self) {
        if !std::mem::take(&mut self.routes_stale) {
            return;
        }
        let products = std::mem::take(&mut self.products);
        let mut routes = Routes::default();
        for product in products.values() {
            self.add_routes(product, &mut routes);
        }
        self.products = products;
        routes.plan_products = self.plans.values().map(|_| OnceLock::new()).collect();
        self.checks.settled();
        self.upstreams.end_round();
        self.tables.routes.store(Arc::new(routes));
        self.tables.routes_version.fetch_add(1, Ordering::Release);
        self.tables.routes_changed.notify_one();
    }

    fn product(&mut self, product: Product) {
        self.product_index(&product.id);
        self.checks.changed(&product);
        self.products.insert(product.id.clone(), product);
        self.routes_stale = true;
    }

    fn plan(&mut self, plan: Plan) {
        let key = (plan.slug.clone(), plan.version);
        let next = u32::try_from(self.plans.len()).unwrap_or(u32::MAX);
        let index = self.plans.get(&key).map_or(next, |(_, record)| record.index);
        let products = plan.products.iter().map(|id| self.product_index(id)).collect();
        let slug = Some(plan.slug.clone());
        let limits = LimitTerms::new(&Overrides::default().over(&plan));
        let record = PlanRecord { index, slug, products, limits };
        self.plans.insert(key, (plan, Arc::new(record)));
        self.routes_stale = true;
    }

    fn subscription(&mut self, subscription: &Subscription) {
        let known = self.plans.get(&(subscription.plan.clone(), subscription.plan_version));
        if known.is_none() {
            tracing::error!(subscription = %subscription.id, plan = %subscription.plan, "plan of a subscription is not known");
        }
        let terms = known.map(|(plan, _)| subscription.overrides.over(plan));
        let Overrides { limits, quota, concurrency, spend_cap_minor: _ } = subscription.overrides;
        let differs = limits.is_some() || quota.is_some() || concurrency.is_some();
        let own = terms.filter(|_| differs);
        let cap = terms.and_then(|terms| terms.spend_cap_minor).zip(known);
        let spend = cap.map(|(cap, (plan, _))| Spend::new(cap, plan.price.clone(), subscription));
        let state = SubscriptionState {
            status: subscription.status,
            ended_at: subscription.ended_at,
            anchor: subscription.anchor,
            plan: known.map_or_else(|| Arc::new(PlanRecord::unknown()), |(_, plan)| plan.clone()),
            own: own.map(|terms| Box::new(LimitTerms::new(&terms))),
            spend: spend.map(Box::new),
        };
        self.tables
            .keys
            .subscription(subscription.id, subscription.partner)
            .state
            .store(Arc::new(state));
    }

    fn key(&mut self, key: SnapshotKey) {
        let products = key.products.as_ref();
        let products = products.map(|ids| ids.iter().map(|id| self.product_index(id)).collect());
        let terms = KeyTerms {
            id: key.id,
            subscription: self.tables.keys.subscription(key.subscription, key.partner),
            environment: key.environment,
            disabled: key.disabled,
            scopes: self.scope_set_of(key.scopes),
            limit_per_minute: key.rate_limit_per_minute,
            expires_at: key.expires_at,
            rare: Rare { products, allowed_ips: key.allowed_ips.into(), windows: key.windows },
        };
        self.tables.keys.put(key.hash, terms);
        match key.bcrypt {
            Some(bcrypt) => self.tables.keys.candidates.add(key.id, *bcrypt, key.hash),
            None => self.tables.keys.candidates.has_digest(key.id, key.hash),
        }
    }

    fn token(&mut self, token: &Token) {
        let allowed = match token.role {
            TokenRole::Staff(role) => token.revoked_at.is_none() && role.may_verify(),
            TokenRole::Partner(..) => false,
        };
        self.tables.keys.set_verifier(token.hash, allowed);
    }

    fn product_index(&mut self, id: &ProductId) -> u32 {
        let next = u32::try_from(self.product_indexes.len()).unwrap_or(u32::MAX);
        *self.product_indexes.entry(id.clone()).or_insert(next)
    }

    fn scope_index(&mut self, text: &str) -> ScopeIndex {
        if let Some(index) = self.scope_indexes.get(text) {
            return *index;
        }
        let index = ScopeIndex(u32::try_from(self.scope_indexes.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = text.into();
        self.scope_indexes.insert(name.clone(), index);
        self.tables.scope_names.write().unwrap_or_else(PoisonError::into_inner).push(name);
        index
    }

    /// Keys of a page share their lists of scopes, so that the last answer is mostly the next one.
    fn scope_set_of(&mut self, scopes: Arc<[String]>) -> Arc<HeldScopes> {
        if let Some((last, set)) = &self.last_scopes
            && Arc::ptr_eq(last, &scopes)
        {
            return set.clone();
        }
        let set = self.scope_set(&scopes);
        self.last_scopes = Some((scopes, set.clone()));
        set
    }

    fn scope_set(&mut self, scopes: &[String]) -> Arc<HeldScopes> {
        let set = if scopes.iter().any(|text| text == scope::ALL) {
            ScopeSet::All
        } else {
            ScopeSet::only(scopes.iter().map(|text| self.scope_index(text)).collect())
        };
        let held = |set: &ScopeSet| Arc::new(HeldScopes::new(set.clone(), scopes.iter()));
        self.scope_sets.entry(set).or_insert_with_key(held).clone()
    }

    /// A product's versions, by path and by host.
    fn add_routes(&mut self, product: &Product, routes: &mut Routes) {
        let id: Box<str> = product.id.as_str().into();
        let default = Arc::new(self.route(product, None));
        for host in &product.settings.hosts {
            routes.hosts.insert(host.as_str().into(), default.clone());
        }
        let mut further = HashMap::with_capacity(product.versions.len());
        for version in &product.versions {
            let route = Arc::new(self.route(product, Some(version)));
            if let Some(host) = &version.host {
                routes.hosts.insert(host.as_str().into(), route.clone());
            }
            further.insert(version.version.as_str().into(), route);
        }
        if !further.is_empty() {
            let versioning = &product.settings.versioning;
            let versions = Versions {
                by: versioning.by,
                header: versioning.header.as_str().into(),
                default: product.version.as_str().into(),
                further,
            };
            routes.versions.insert(id.clone(), versions);
        }
        routes.products.insert(id, default);
    }

    /// One version's route; `None` is the default one.
    fn route(&mut self, product: &Product, version: Option<&ProductVersion>) -> ProductRoute {
        let operations = version.map_or(&product.operations, |version| &version.operations);
        let pairs = operations.iter().map(|op| (op.method.as_str(), op.path.as_str()));
        let matcher = OperationMatcher::new(pairs);
        let name = version.map(|version| version.version.as_str());
        let checks = self.checks.checks(product, name, operations).map(Box::new);
        let operations = operations.iter().enumerate();
        let operations =
            operations.map(|(index, op)| self.operation(product, version, (index, op))).collect();
        let (live, test) = match version {
            None => (product.live_targets(), product.test_targets()),
            Some(version) => {
                (product.version_live_targets(version), product.version_test_targets(version))
            }
        };
        let index = self.product_index(&product.id);
        ProductRoute {
            id: product.id.clone(),
            index,
            live: self.upstreams.place(product, index, &live),
            sandbox: self.upstreams.place(product, index, &test),
            key_from: KeyFrom::of(&product.settings),
            texts: product.settings.error_texts,
            bill: product.settings.bill,
            identity_headers: product.settings.identity_headers,
            version_field: version_field(product, version).map(Box::new),
            signer: self.signer(product),
            limits: self.product_limits(product),
            cache: Spaces::of(product, name.unwrap_or(&product.version)).map(Box::new),
            policies: Policies::of(product).map(Box::new),
            checks,
            matcher,
            operations,
            no_operation: OperationKey::of(&product.id, "", ""),
        }
    }

    fn signer(&self, product: &Product) -> Option<Box<Signer>> {
        if !product.settings.sign_requests {
            return None;
        }
        let Some(secret) = &self.signing_secret else {
            tracing::error!(product = %product.id, "its requests go unsigned: this node has no signing secret");
            return None;
        };
        Some(Box::new(Signer::new(secret, product.id.as_str())))
    }

    fn product_limits(&mut self, product: &Product) -> Option<ProductLimits> {
        let policy = CellPolicy::of_product(product.settings.limits);
        if policy.is_unlimited() {
            return None;
        }
        let cells = self.product_cells.entry(product.id.clone()).or_default().clone();
        Some(ProductLimits { policy, cells })
    }

    fn operation(
        &mut self,
        product: &Product,
        version: Option<&ProductVersion>,
        (index, op): (usize, &Operation),
    ) -> OperationRoute {
        let allowing =
            self.plans.values().filter(|(plan, _)| plan.allows(&product.id, &op.method, &op.path));
        let plans = allowing.map(|(_, record)| record.index).collect();
        let mut scopes = Vec::with_capacity(op.scopes.len());
        for alternative in &op.scopes {
            scopes.push(alternative.iter().map(|text| self.scope_index(text)).collect());
        }
        let path = version.map(|version| version_path(&version.version, &op.path));
        let path = path.as_deref().unwrap_or(&op.path);
        OperationRoute {
            key: OperationKey::of(&product.id, &op.method, path),
            name: format!("{} {path}", op.method).into(),
            operation_id: op.operation_id.as_deref().map(Into::into),
            index,
            deprecation: op.deprecation.as_ref().map(deprecation_lines),
            units: units(op.units),
            max_units: op.max_units.map(|most| units(most.max(op.units))),
            scopes: scopes.into(),
            plans,
        }
    }
}

fn version_field(product: &Product, version: Option<&ProductVersion>) -> Option<VersionField> {
    let versioning = &product.settings.versioning;
    let name = version.map_or(&product.version, |version| &version.version);
    (versioning.by == VersionBy::Header && !product.versions.is_empty())
        .then(|| VersionField::new(&versioning.header, name))
}

fn units(units: u64) -> u32 {
    u32::try_from(units.min(UNITS_PER_CALL_MAX)).unwrap_or(u32::MAX)
}
