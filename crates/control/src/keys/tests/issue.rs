use keytoll_domain::key::{Environment, KeyHash};
use keytoll_domain::key_format::KeyFormat;

use super::*;

fn pointers(error: IssueError) -> Vec<String> {
    let IssueError::Invalid(faults) = error else { panic!("{error:?}") };
    faults.into_iter().map(|fault| fault.pointer).collect()
}

#[tokio::test]
async fn issue_stores_the_hash_only_and_tells_audit_and_feed() {
    in_world(async |world| {
        let issued = world.issue(new_key("Production")).await.unwrap();
        let secret = issued.secret.expose();
        assert!(secret.starts_with(&format!("{}_", issued.key.prefix)));
        assert_eq!(issued.key.hash, KeyHash::of(secret.as_bytes()));
        assert_eq!(issued.key.rate_limit_per_minute, Some(60));
        assert_eq!(issued.key.status(START), KeyStatus::Active);
        assert!(!format!("{issued:?}").contains(secret));

        let ctx = &world.bench.ctx;
        let audit = audit::list(ctx, &world.owner, None, PageRequest::default()).await.unwrap();
        assert_eq!(audit[0].action, "key.create");
        assert!(!format!("{audit:?}").contains(secret));
        let changes = crate::feed::changes(ctx, 0, 10).await.unwrap();
        assert!(format!("{changes:?}").contains(&issued.key.id.to_string()));
        assert_eq!(changes.last().unwrap().sequence, 1);
        assert_eq!(world.bench.wakes.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn issue_422_names_every_place_at_once() {
    in_world(async |world| {
        let bad = NewKey {
            name: "x".repeat(101),
            scopes: Vec::new(),
            products: Some(vec!["payments".into()]),
            rate_limit: RateLimit::PerMinute(10_001),
            allowed_ips: vec!["10.0.0.1".into(), "10.0.0.0/33".into(), "fe80::/10".into()],
            expires_at: Some(START),
            ..NewKey::default()
        };
        let expected = [
            "/name",
            "/scopes",
            "/apiProductIds/0",
            "/rateLimitPerMinute",
            "/allowedIPs/1",
            "/expiresAt",
        ];
        assert_eq!(pointers(world.issue(bad).await.unwrap_err()), expected);
        for rate in [0, -1, i64::MAX] {
            let bad = NewKey { rate_limit: RateLimit::PerMinute(rate), ..new_key("a") };
            assert_eq!(pointers(world.issue(bad).await.unwrap_err()), ["/rateLimitPerMinute"]);
        }
        assert!(world.all().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn issue_422_when_a_scope_is_outside_the_plan() {
    in_world(async |world| {
        let scopes = |list: &[&str]| NewKey {
            scopes: list.iter().map(|scope| (*scope).to_owned()).collect(),
            ..new_key("a")
        };
        let error = world.issue(scopes(&["tracking:read", "payments:read"])).await.unwrap_err();
        let IssueError::ScopeUnknown { scope, pointer } = error else { panic!("{error:?}") };
        assert_eq!((scope.as_str(), pointer.as_str()), ("payments:read", "/scopes/1"));
        for good in [&["*"][..], &["tracking:admin", "tracking:read", "tracking:read"]] {
            world.issue(scopes(good)).await.unwrap();
        }
        assert_eq!(world.all().await[0].scopes, ["tracking:admin", "tracking:read"]);
    })
    .await;
}

#[tokio::test]
async fn issue_lets_staff_set_more_than_partners_may() {
    in_world(async |world| {
        let new = NewKey {
            subscription: Some(world.subscription),
            rate_limit: RateLimit::PerMinute(1_000_000),
            ..new_key("a")
        };
        let issued = issue(&world.bench.ctx, &Actor::cli(), new).await.unwrap();
        assert_eq!(issued.key.rate_limit_per_minute, Some(1_000_000));
        let new = NewKey { rate_limit: RateLimit::PlanOnly, ..new_key("b") };
        assert_eq!(world.issue(new).await.unwrap().key.rate_limit_per_minute, None);
    })
    .await;
}

#[tokio::test]
async fn issue_404_for_a_foreign_subscription_and_403_for_a_viewer() {
    in_world(async |world| {
        let new = NewKey { subscription: Some(world.subscription), ..new_key("a") };
        let foreign = issue(&world.bench.ctx, &world.stranger, new.clone()).await.unwrap_err();
        assert!(matches!(foreign, IssueError::Denied(Denied::NotFound)), "{foreign:?}");
        let mut viewer = world.owner.clone();
        viewer.partners[0].1 = PartnerRole::Viewer;
        let viewer = issue(&world.bench.ctx, &viewer, new).await.unwrap_err();
        assert!(matches!(viewer, IssueError::Denied(Denied::RoleMissing)), "{viewer:?}");
        let none = issue(&world.bench.ctx, &world.stranger, new_key("a")).await.unwrap_err();
        assert!(matches!(none, IssueError::SubscriptionRequired), "{none:?}");
    })
    .await;
}

#[tokio::test]
async fn issue_409_when_two_subscriptions_are_active_and_none_is_named() {
    in_world(async |world| {
        let mut tx = world.bench.ctx.store.write().await.unwrap();
        let second = subscribe(&mut tx, world.owner.partners[0].0, 9).await;
        tx.commit().await.unwrap();
        let error = world.issue(new_key("a")).await.unwrap_err();
        assert!(matches!(error, IssueError::SubscriptionRequired), "{error:?}");
        let new = NewKey { subscription: Some(second), ..new_key("a") };
        assert_eq!(world.issue(new).await.unwrap().key.subscription, second);
    })
    .await;
}

#[tokio::test]
async fn forty_at_once_at_twenty_of_twenty_five_give_exactly_five() {
    in_world(async |world| {
        world.issue_many(20).await;
        world.warm_up().await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..40 {
            let (ctx, owner) = (world.bench.ctx.clone(), world.owner.clone());
            let new = new_key(&format!("racer {number}"));
            tasks.spawn(async move { issue(&ctx, &owner, new).await });
        }
        let mut issued = 0;
        while let Some(outcome) = tasks.join_next().await {
            match outcome.unwrap() {
                Ok(_) => issued += 1,
                Err(IssueError::TooMany { limit: 25 }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((issued, world.all().await.len()), (5, 25));
    })
    .await;
}

#[tokio::test]
async fn the_cap_counts_expired_keys_but_not_revoked_ones() {
    in_world(async |world| {
        let soon = NewKey { expires_at: Some(START.plus_secs(1)), ..new_key("short") };
        let short = world.issue(soon).await.unwrap().key.id;
        world.issue_many(24).await;
        world.bench.clock.advance_secs(10);
        let full = world.issue(new_key("one more")).await.unwrap_err();
        assert_eq!(full.to_string(), "Maximum 25 active keys per account");
        revoke(&world.bench.ctx, &world.owner, short).await.unwrap();
        world.issue(new_key("one more")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_plan_sets_format_expiry_and_rotation() {
    let terms = |plan: &mut Plan| {
        plan.key_format = Some(KeyFormat::Hex64);
        plan.default_expiry_days = Some(365);
        plan.rotate_on_same_name = Some(true);
    };
    with_plan(terms, async |world| {
        let first = world.issue(new_key("Production")).await.unwrap();
        assert_eq!(first.secret.expose().len(), 67);
        assert_eq!(first.key.expires_at, Some(START.plus_days(365)));
        let test = NewKey { environment: Environment::Test, ..new_key("Production") };
        assert_eq!(world.issue(test).await.unwrap().rotated, []);
        let second = world.issue(new_key("Production")).await.unwrap();
        assert_eq!(second.rotated, [first.key.id]);
        let old = show(&world.bench.ctx, &world.owner, first.key.id).await.unwrap();
        assert_eq!(old.status, KeyStatus::Revoked);
    })
    .await;
}
