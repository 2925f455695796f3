//! One world for the tests of keys: product `tracking`, plan `starter`, a partner with one subscription.

mod change;
mod import;
mod issue;
mod roll;

use keytoll_domain::catalog::{
    Operation, Plan, Product, ProductSettings, ProductStatus, WindowLimits,
};
use keytoll_domain::ids::{PartnerId, SubscriptionId};
use keytoll_domain::period::Anchor;
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::user::PartnerRole;
use keytoll_store::partner::{Partner, partner_insert};
use keytoll_store::plan::plan_insert;
use keytoll_store::product::{StoredProduct, product_put};
use keytoll_store::subscription::subscription_insert;
use keytoll_store::testing::on_each_engine;
use keytoll_store::{Db, Tx};

use super::*;
use crate::actor::Who;
use crate::testing::{Bench, START};

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) subscription: SubscriptionId,
    /// The partner's owner.
    pub(super) owner: Actor,
    /// The owner of another partner.
    pub(super) stranger: Actor,
}

pub(super) async fn in_world(test: impl AsyncFn(World)) {
    with_plan(|_| (), test).await;
}

pub(super) async fn with_plan(terms: impl Fn(&mut Plan), test: impl AsyncFn(World)) {
    on_each_engine(async |db| {
        let mut plan = plan();
        terms(&mut plan);
        test(world(db, plan).await).await;
    })
    .await;
}

async fn world(db: Db, plan: Plan) -> World {
    let mut tx = db.write().await.unwrap();
    let product = StoredProduct { product: product(), document_sha256: None };
    product_put(&mut tx, &product).await.unwrap();
    plan_insert(&mut tx, &plan).await.unwrap();
    let owner = partner(&mut tx, 1).await;
    let stranger = partner(&mut tx, 2).await;
    let subscription = subscribe(&mut tx, owner.partners[0].0, 1).await;
    tx.commit().await.unwrap();
    World { bench: Bench::new(db), subscription, owner, stranger }
}

async fn partner(tx: &mut Tx, number: u8) -> Actor {
    let id = PartnerId::from_bytes([number; 16]);
    let partner = Partner {
        id,
        name: format!("Partner {number}"),
        email: format!("p{number}@example.com"),
        created_at: START,
    };
    partner_insert(tx, &partner).await.unwrap();
    Actor { who: Who::System, staff: None, partners: vec![(id, PartnerRole::Owner)] }
}

pub(super) async fn subscribe(tx: &mut Tx, partner: PartnerId, number: u8) -> SubscriptionId {
    let id = SubscriptionId::from_bytes([number; 16]);
    let subscription = Subscription {
        id,
        partner,
        plan: "starter".parse().unwrap(),
        plan_version: 1,
        status: SubscriptionStatus::Active,
        anchor: Anchor::Calendar,
        started_at: START,
        ended_at: None,
        overrides: Overrides::default(),
    };
    subscription_insert(tx, &subscription).await.unwrap();
    id
}

fn product() -> Product {
    let operation = Operation {
        method: "GET".into(),
        path: "/shipments".into(),
        operation_id: None,
        summary: String::new(),
        tags: Vec::new(),
        deprecated: false,
        scopes: vec![vec!["tracking:read".into()]],
        units: 1,
        max_units: None,
        deprecation: None,
    };
    Product {
        id: "tracking".parse().unwrap(),
        name: "Tracking".into(),
        description: String::new(),
        version: "1".into(),
        status: ProductStatus::Active,
        category: None,
        tags: Vec::new(),
        upstream: None,
        sandbox: None,
        targets: Vec::new(),
        sandbox_targets: Vec::new(),
        settings: ProductSettings { scopes: vec!["tracking:admin".into()], ..Default::default() },
        operations: vec![operation],
        versions: Vec::new(),
        created_at: START,
        updated_at: START,
    }
}

fn plan() -> Plan {
    Plan {
        slug: "starter".parse().unwrap(),
        version: 1,
        name: "Starter".into(),
        description: String::new(),
        products: vec!["tracking".parse().unwrap()],
        operations: None,
        limits: WindowLimits::default(),
        quota: None,
        concurrency: None,
        spend_cap_minor: None,
        price: serde_json::from_value(json!({ "currency": "USD", "price_monthly": "49" })).unwrap(),
        key_format: None,
        key_grouping: None,
        default_expiry_days: None,
        rotate_on_same_name: None,
        published_at: START,
    }
}

pub(super) fn new_key(name: &str) -> NewKey {
    NewKey { name: name.into(), scopes: vec!["tracking:read".into()], ..Default::default() }
}

impl World {
    pub(super) async fn issue(&self, new: NewKey) -> Result<Issued, IssueError> {
        issue(&self.bench.ctx, &self.owner, new).await
    }

    pub(super) async fn issue_many(&self, count: usize) {
        for number in 0..count {
            self.issue(new_key(&format!("key {number}"))).await.unwrap();
        }
    }

    /// Opens connections ahead, so that tasks race for the rows and not for the first connection.
    pub(super) async fn warm_up(&self) {
        let store = &self.bench.ctx.store;
        let count = if matches!(store, Db::Postgres(_)) { 12 } else { 4 };
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(store.read().await.unwrap());
        }
    }

    pub(super) async fn all(&self) -> Vec<KeyView> {
        list(&self.bench.ctx, &self.owner, None, PageRequest::default()).await.unwrap()
    }
}
