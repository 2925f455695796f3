use keytoll_domain::catalog::{Plan, Quota, WindowLimits};
use keytoll_domain::ids::{KeyId, PartnerId, Slug, SubscriptionId};
use keytoll_domain::key::{Environment, Key, KeyHash, KeyWindows};
use keytoll_domain::money::Currency;
use keytoll_domain::period::Anchor;
use keytoll_domain::rating::{Overage, PlanPrice};
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;

use crate::db::Engine;
use sqlx::{Executor as _, SqlSafeStr as _};

use crate::db::query::Statement;
use crate::partner::{Partner, partner_insert};
use crate::testing::on_each_engine;
use crate::{
    Db, StoreError, audit, feed, invoice, key, key_import, key_snapshot, ledger, node, partner,
    plan, product, session, subscription, token, usage, user,
};

/// Every resource file's statements; a new file adds a line.
const STATEMENTS: &[&[Statement]] = &[
    audit::STATEMENTS,
    feed::STATEMENTS,
    invoice::STATEMENTS,
    key::STATEMENTS,
    key_import::STATEMENTS,
    key_snapshot::STATEMENTS,
    ledger::STATEMENTS,
    node::STATEMENTS,
    partner::STATEMENTS,
    plan::STATEMENTS,
    product::STATEMENTS,
    session::STATEMENTS,
    subscription::STATEMENTS,
    token::STATEMENTS,
    usage::STATEMENTS,
    user::STATEMENTS,
];

const NOW: Timestamp = Timestamp(1_796_000_000_000_000);

fn partner_of(number: u8) -> Partner {
    Partner {
        id: PartnerId::from_bytes([number; 16]),
        name: format!("Partner {number}"),
        email: format!("p{number}@example.com"),
        created_at: NOW,
    }
}

fn key_of(partner: &Partner, number: u8) -> Key {
    Key {
        id: KeyId::from_bytes([number; 16]),
        partner: partner.id,
        subscription: SubscriptionId::from_bytes([1; 16]),
        name: "Production".into(),
        hash: KeyHash([number; 32]),
        prefix: "sk_live_a3f9b1".into(),
        environment: Environment::Live,
        scopes: vec!["a:read".into()],
        products: None,
        rate_limit_per_minute: Some(60),
        windows: KeyWindows { second: Some(5), hour: None, day: Some(1_000) },
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
        created_at: NOW,
        imported: false,
    }
}

async fn with_key(db: &Db) -> Key {
    let partner = partner_of(1);
    let key = key_of(&partner, 7);
    let mut tx = db.write().await.unwrap();
    partner_insert(&mut tx, &partner).await.unwrap();
    key::key_insert(&mut tx, &key).await.unwrap();
    tx.commit().await.unwrap();
    key
}

#[tokio::test]
async fn every_statement_is_accepted_by_both_engines() {
    on_each_engine(async |db| {
        for statement in STATEMENTS.iter().copied().flatten() {
            let prepared = prepare(&db, statement.sql).await;
            assert!(prepared.is_ok(), "{statement:?}: {prepared:?}");
        }
        let [sqlite, postgres] = ledger::built_statements();
        let [sqlite_keys, postgres_keys] = key_import::built_statements();
        let is_sqlite = matches!(db, Db::Sqlite { .. });
        let built = if is_sqlite { sqlite } else { postgres };
        let keys = if is_sqlite { sqlite_keys } else { postgres_keys };
        for sql in built.into_iter().chain(keys) {
            let prepared = prepare(&db, sql).await;
            assert!(prepared.is_ok(), "{sql}: {prepared:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_comes_back_as_it_was_stored() {
    on_each_engine(async |db| {
        let key = with_key(&db).await;
        let mut tx = db.read().await.unwrap();
        let found = key::key_by_id(&mut tx, key.id).await.unwrap().unwrap();
        assert_eq!((found.key, found.total_requests, found.last_used_at), (key.clone(), 0, None));
        assert_eq!(key::key_by_hash(&mut tx, key.hash).await.unwrap(), Some(key));
    })
    .await;
}

#[tokio::test]
async fn conflicts_have_the_same_name_on_both_engines() {
    on_each_engine(async |db| {
        let mut twin = with_key(&db).await;
        twin.id = KeyId::from_bytes([8; 16]);
        let mut tx = db.write().await.unwrap();
        let error = key::key_insert(&mut tx, &twin).await.unwrap_err();
        assert!(error.is_conflict("keys_hash"), "{error:?}");
        drop(tx);
        let mut tx = db.write().await.unwrap();
        let error = partner_insert(&mut tx, &partner_of(1)).await.unwrap_err();
        assert!(error.is_conflict("partners_id"), "{error:?}");
        drop(tx);
        let mut tx = db.write().await.unwrap();
        twin.hash = KeyHash([9; 32]);
        twin.partner = PartnerId::from_bytes([99; 16]);
        let error = key::key_insert(&mut tx, &twin).await.unwrap_err();
        assert!(error.is_conflict("foreign_key"), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_row_that_does_not_parse_is_corrupt_and_named() {
    on_each_engine(async |mut db| {
        let key = with_key(&db).await;
        execute(&mut db, "UPDATE keys SET allowed_ips = 'x' WHERE imported = 0").await;
        let mut tx = db.read().await.unwrap();
        let error = key::key_by_id(&mut tx, key.id).await.unwrap_err();
        let StoreError::Corrupt { table, column, id } = error else { panic!("{error:?}") };
        assert_eq!((table, column, id), ("keys", "allowed_ips", key.id.to_string()));
    })
    .await;
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    on_each_engine(async |db| {
        let mut tx = db.write().await.unwrap();
        partner_insert(&mut tx, &partner_of(1)).await.unwrap();
        drop(tx);
        let mut tx = db.read().await.unwrap();
        assert_eq!(partner::partner_page(&mut tx, None, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_read_transaction_cannot_write() {
    on_each_engine(async |db| {
        let mut tx = db.read().await.unwrap();
        assert!(partner_insert(&mut tx, &partner_of(1)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn sequences_have_no_gap_when_writers_race_and_fail() {
    on_each_engine(async |db| {
        let write = async |fails: bool| {
            let mut tx = db.write().await.unwrap();
            feed::feed_append(&mut tx, feed::FeedKind::Key, "k", NOW).await.unwrap();
            if !fails {
                tx.commit().await.unwrap();
            }
        };
        tokio::join!(write(false), write(true), write(false), write(true), write(false));
        let mut tx = db.read().await.unwrap();
        let rows = feed::feed_after(&mut tx, 0, 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(feed::feed_head(&mut tx).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn two_processes_write_in_turn() {
    on_each_engine(async |db| {
        let other = match &db {
            Db::Sqlite { writer, .. } => {
                let options = writer.connect_options();
                let path = options.get_filename().display();
                Db::connect(&format!("sqlite:{path}")).await.unwrap()
            }
            Db::Postgres(pool) => crate::db::postgres((*pool.connect_options()).clone()),
        };
        let write = async |db: &Db| {
            for _ in 0..10 {
                let mut tx = db.write().await.unwrap();
                feed::feed_append(&mut tx, feed::FeedKind::Key, "k", NOW).await.unwrap();
                tx.commit().await.unwrap();
            }
        };
        tokio::join!(write(&db), write(&other));
        let mut tx = db.read().await.unwrap();
        assert_eq!(feed::feed_head(&mut tx).await.unwrap(), 20);
        drop(tx);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn connect_says_what_it_cannot_open() {
    let folder = std::env::temp_dir();
    for url in [
        format!("sqlite:{}", folder.display()),
        "mysql://x".into(),
        "postgres://127.0.0.1:1/x".into(),
    ] {
        let error = Db::connect(&url).await.unwrap_err().to_string();
        let named = error.contains(&*folder.to_string_lossy())
            || error.contains("must begin with")
            || error.contains("cannot connect to PostgreSQL");
        assert!(named, "{error}");
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    on_each_engine(async |db| crate::migrate::run(&db).await.unwrap()).await;
}

#[tokio::test]
async fn pages_follow_the_cursor() {
    on_each_engine(async |db| {
        let mut tx = db.write().await.unwrap();
        for number in 1..=5 {
            partner_insert(&mut tx, &partner_of(number)).await.unwrap();
        }
        let first = partner::partner_page(&mut tx, None, 3).await.unwrap();
        let ids = |page: &[Partner]| page.iter().map(|p| p.id.to_bytes()[0]).collect::<Vec<_>>();
        assert_eq!(ids(&first), [5, 4, 3]);
        let second = partner::partner_page(&mut tx, Some(first[2].id), 3).await.unwrap();
        assert_eq!(ids(&second), [2, 1]);
    })
    .await;
}

async fn prepare(db: &Db, sql: &'static str) -> Result<(), sqlx::Error> {
    match db {
        Db::Sqlite { writer, .. } => writer.prepare(sql.into_sql_str()).await.map(drop),
        Db::Postgres(pool) => pool.prepare(sql.into_sql_str()).await.map(drop),
    }
}

async fn execute(db: &mut Db, sql: &'static str) {
    let mut tx = db.write().await.unwrap();
    match &mut tx.0 {
        Engine::Sqlite(tx) => drop(sqlx::query(sql).execute(&mut **tx).await.unwrap()),
        Engine::Postgres(tx) => drop(sqlx::query(sql).execute(&mut **tx).await.unwrap()),
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn write_works_again_when_a_full_disk_has_space() {
    on_each_engine(async |db| {
        let mut tx = db.write().await.unwrap();
        let Engine::Sqlite(connection) = &mut tx.0 else { return };
        // Fewer pages than there are already: the next new page is refused as on a full disk.
        connection.execute("PRAGMA max_page_count = 1").await.unwrap();
        let mut wide = partner_of(1);
        wide.name = "x".repeat(1 << 20);
        assert!(partner_insert(&mut tx, &wide).await.is_err(), "the disk is full");
        drop(tx);
        with_key(&db).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn connect_gives_up_on_a_server_that_says_nothing() {
    // The kernel accepts the connection; nobody ever reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://keytoll@{}/keytoll", silent.local_addr().unwrap());
    let error = Db::connect(&url).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("does not answer")));
}

#[tokio::test]
async fn a_subscription_comes_back_with_what_was_agreed_beside_its_plan() {
    on_each_engine(async |db| {
        let mut tx = db.write().await.unwrap();
        partner_insert(&mut tx, &partner_of(1)).await.unwrap();
        let plan = plan_of("basic");
        plan::plan_insert(&mut tx, &plan).await.unwrap();
        let bought = Subscription {
            id: SubscriptionId::from_bytes([1; 16]),
            partner: partner_of(1).id,
            plan: plan.slug.clone(),
            plan_version: plan.version,
            status: SubscriptionStatus::Active,
            anchor: Anchor::Anniversary(NOW),
            started_at: NOW,
            ended_at: None,
            overrides: Overrides::default(),
        };
        subscription::subscription_insert(&mut tx, &bought).await.unwrap();
        let found = subscription::subscription_by_id(&mut tx, bought.id).await.unwrap();
        assert_eq!(found, Some(bought.clone()));
        let overrides = Overrides {
            limits: Some(WindowLimits { second: Some(20), ..WindowLimits::default() }),
            quota: Some(Quota { units: 1_000, hard: false }),
            concurrency: Some(8),
            spend_cap_minor: Some(50_000),
        };
        subscription::subscription_set_overrides(&mut tx, bought.id, &overrides).await.unwrap();
        let found = subscription::subscription_page(&mut tx, None, None, 10).await.unwrap();
        assert_eq!(found, [Subscription { overrides, ..bought.clone() }]);
        let none = Overrides::default();
        subscription::subscription_set_overrides(&mut tx, bought.id, &none).await.unwrap();
        let found = subscription::subscription_by_id(&mut tx, bought.id).await.unwrap();
        assert_eq!(found, Some(bought));
        let stored = plan::plan_latest(&mut tx, &plan.slug).await.unwrap();
        assert_eq!(stored, Some(plan));
    })
    .await;
}

fn plan_of(slug: &str) -> Plan {
    Plan {
        slug: Slug::new(slug).unwrap(),
        version: 1,
        name: "Basic".into(),
        description: String::new(),
        products: Vec::new(),
        operations: None,
        limits: WindowLimits::default(),
        quota: None,
        concurrency: Some(8),
        spend_cap_minor: Some(50_050),
        price: PlanPrice {
            currency: Currency::USD,
            price_monthly: 49.into(),
            included_calls: 0,
            overage_per_1000: None,
            overage: Overage::default(),
        },
        key_format: None,
        key_grouping: None,
        default_expiry_days: None,
        rotate_on_same_name: None,
        published_at: NOW,
    }
}
