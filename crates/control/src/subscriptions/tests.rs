use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{Environment, Key, KeyHash, KeyWindows};
use keytoll_domain::ledger::{KeyTouch, PeriodRow, Seal, SealedBatch, UsageRow};
use keytoll_domain::time::Day;
use keytoll_domain::user::PartnerRole;
use keytoll_store::Db;
use keytoll_store::key::key_insert;
use keytoll_store::partner::{Partner, partner_insert};
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Who;
use crate::catalog::tests::specs;
use crate::testing::{Bench, START};
use crate::{catalog, ledger};

/// A catalogue with one product, two plans, and two partners that may buy them.
pub(crate) struct Shop {
    pub(crate) bench: Bench,
    seals: std::cell::Cell<u64>,
}

const CATALOGUE: &str = r#"
products:
  - {id: tracking, spec: ./tracking.json, upstream: "http://127.0.0.1:9000/t"}
plans:
  - {id: basic, products: [tracking], price_monthly: "49", included_calls: 10000, overage_per_1000: "3",
     quota: {calls: 20000, hard: true}}
  - {id: open, products: [tracking], price_monthly: "10"}
"#;

pub(crate) fn partner_of(number: u8) -> PartnerId {
    PartnerId::from_bytes([number; 16])
}

/// The owner of a partner.
pub(crate) fn owner_of(number: u8) -> Actor {
    let partners = vec![(partner_of(number), PartnerRole::Owner)];
    Actor { who: Who::System, staff: None, partners }
}

impl Shop {
    pub(crate) async fn open(db: Db) -> Self {
        let bench = Bench::new(db);
        let catalogue = catalog::parse(CATALOGUE, &specs()).unwrap();
        catalog::apply(&bench.ctx, &Actor::cli(), &catalogue, false).await.unwrap();
        let mut tx = bench.ctx.store.write().await.unwrap();
        for number in [1, 2] {
            let partner = Partner {
                id: partner_of(number),
                name: format!("Partner {number}"),
                email: format!("p{number}@example.com"),
                created_at: START,
            };
            partner_insert(&mut tx, &partner).await.unwrap();
        }
        tx.commit().await.unwrap();
        Self { bench, seals: std::cell::Cell::new(0) }
    }

    pub(crate) async fn buy(&self, partner: u8, plan: &str, anchor: NewAnchor) -> SubscriptionView {
        let new = NewSubscription { partner: None, plan: plan.into(), anchor };
        create(&self.bench.ctx, &owner_of(partner), &new).await.unwrap()
    }

    /// A key of the subscription; its environment and number are its identity.
    pub(crate) async fn key(
        &self,
        bought: &SubscriptionView,
        number: u8,
        environment: Environment,
    ) -> KeyId {
        let key = Key {
            id: KeyId::from_bytes([number; 16]),
            partner: bought.partner,
            subscription: bought.id,
            name: format!("Key {number}"),
            hash: KeyHash([number; 32]),
            prefix: "sk_live_a3f9b1".into(),
            environment,
            scopes: Vec::new(),
            products: None,
            rate_limit_per_minute: None,
            windows: KeyWindows::default(),
            allowed_ips: Vec::new(),
            expires_at: None,
            disabled_at: None,
            revoked_at: None,
            created_at: START,
            imported: false,
        };
        let mut tx = self.bench.ctx.store.write().await.unwrap();
        key_insert(&mut tx, &key).await.unwrap();
        tx.commit().await.unwrap();
        key.id
    }

    /// Brings a batch of this node into the ledger.
    pub(crate) async fn take(&self, usage: Vec<UsageRow>, periods: Vec<PeriodRow>) {
        let sequence = self.seals.get() + 1;
        self.seals.set(sequence);
        let seal = Seal {
            node: "n1".into(),
            sequence,
            segment: "s".into(),
            first: 0,
            count: 1,
            previous: format!("{:064x}", sequence - 1),
            sha256: format!("{sequence:064x}"),
            sealed_at: self.bench.ctx.now(),
        };
        let touch =
            |row: &UsageRow| KeyTouch { key: row.key, last_used_at: START, calls: row.calls };
        let touches = usage.iter().map(touch).collect();
        let batch = SealedBatch { seals: vec![seal], usage, periods, touches, refused: Vec::new() };
        ledger::take(&self.bench.ctx, &batch).await.unwrap();
    }

    /// Units of the period that runs now.
    pub(crate) async fn spend(&self, bought: &SubscriptionView, anchor: Anchor, units: u64) {
        let period_start = period_at(anchor, self.bench.ctx.now()).start;
        let row = PeriodRow { subscription: bought.id, period_start, calls: units, units };
        self.take(Vec::new(), vec![row]).await;
    }
}

/// `calls` calls of 2 ms to `GET /shipments`, `successes` of which succeeded.
pub(crate) fn calls(
    key: KeyId,
    environment: Environment,
    day: Day,
    calls: u64,
    successes: u64,
) -> UsageRow {
    let product = Slug::new("tracking").unwrap();
    UsageRow {
        key,
        day,
        operation: OperationKey::of(&product, "GET", "/shipments"),
        environment,
        calls,
        successes,
        units: calls,
        latency_micros: calls * 2_000,
    }
}

#[tokio::test]
async fn a_subscription_is_active_at_once_and_in_the_feed() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        assert_eq!((bought.status, bought.plan_version), (SubscriptionStatus::Active, 1));
        assert_eq!(bought.period_start, START);
        assert_eq!(bought.period_end.rfc3339(), "2026-12-01T00:00:00Z");
        let mut tx = shop.bench.ctx.store.read().await.unwrap();
        let rows = keytoll_store::feed::feed_after(&mut tx, 0, 100).await.unwrap();
        assert_eq!(rows.last().map(|row| row.record.clone()), Some(bought.id.to_string()));
    })
    .await;
}

#[tokio::test]
async fn a_partner_sees_and_ends_only_its_own() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let foreign = owner_of(2);
        let not_found = |result: Result<SubscriptionView, SubscriptionError>| {
            matches!(result, Err(SubscriptionError::Denied(Denied::NotFound)))
        };
        assert!(not_found(show(ctx, &foreign, bought.id).await));
        assert!(not_found(cancel(ctx, &foreign, bought.id).await));
        let seen = list(ctx, &foreign, Some(partner_of(1)), PageRequest::default()).await;
        assert!(matches!(seen, Err(SubscriptionError::Denied(Denied::NotFound))));
        assert_eq!(list(ctx, &foreign, None, PageRequest::default()).await.unwrap(), []);
        let new = NewSubscription {
            partner: Some(partner_of(1)),
            plan: "basic".into(),
            anchor: NewAnchor::Calendar,
        };
        let result = create(ctx, &foreign, &new).await;
        assert!(matches!(result, Err(SubscribeError::Denied(Denied::NotFound))));
        assert_eq!(list(ctx, &Actor::cli(), None, PageRequest::default()).await.unwrap(), [bought]);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_plan_or_partner_is_told() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let new = |partner: u8, plan: &str| NewSubscription {
            partner: Some(partner_of(partner)),
            plan: plan.into(),
            anchor: NewAnchor::Calendar,
        };
        for plan in ["none", "", "No slug"] {
            let result = create(&shop.bench.ctx, &owner_of(1), &new(1, plan)).await;
            assert!(matches!(result, Err(SubscribeError::UnknownPlan(_))), "{result:?}");
        }
        let result = create(&shop.bench.ctx, &Actor::cli(), &new(9, "basic")).await;
        assert!(matches!(result, Err(SubscribeError::Denied(Denied::NotFound))), "{result:?}");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_subscription_ends_once_and_now() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let bought = shop.buy(1, "basic", NewAnchor::Anniversary).await;
        assert_eq!(bought.period_end.rfc3339(), "2026-12-30T12:00:00Z");
        shop.bench.clock.advance_secs(3_600);
        let ended = cancel(ctx, &owner_of(1), bought.id).await.unwrap();
        assert_eq!(ended.status, SubscriptionStatus::Cancelled);
        assert_eq!(ended.ended_at, Some(START.plus_secs(3_600)));
        assert_eq!(ended.period_end, START.plus_secs(3_600));
        let again = cancel(ctx, &owner_of(1), bought.id).await;
        assert!(matches!(again, Err(SubscriptionError::Ended)));
    })
    .await;
}

#[tokio::test]
async fn running_subscriptions_are_bounded() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        for _ in 3..RUNNING_PER_PARTNER {
            shop.buy(1, "open", NewAnchor::Calendar).await;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let ctx = shop.bench.ctx.clone();
            let (partner, anchor) = (None, NewAnchor::Calendar);
            let new = NewSubscription { partner, plan: "open".into(), anchor };
            tasks.spawn(async move { create(&ctx, &owner_of(1), &new).await });
        }
        let outcomes = tasks.join_all().await;
        let bought = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(bought, 3, "of twenty at once for the last three places");
        let late = outcomes.into_iter().find_map(Result::err);
        assert!(matches!(late, Some(SubscribeError::TooMany)), "{late:?}");
        shop.buy(2, "open", NewAnchor::Calendar).await;
    })
    .await;
}
