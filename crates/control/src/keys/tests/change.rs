use keytoll_domain::feed::Changed;

use super::*;

#[tokio::test]
async fn revoke_ends_a_key_once_and_gives_a_receipt() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        let id = world.issue(new_key("a")).await.unwrap().key.id;
        crate::feed::applied(ctx, "node", 0).await.unwrap();
        let revoked = revoke(ctx, &world.owner, id).await.unwrap();
        assert_eq!(revoked.receipt.missing, ["node"]);
        assert_eq!(revoked.key.status(START), KeyStatus::Revoked);
        let again = revoke(ctx, &world.owner, id).await.unwrap_err();
        assert!(matches!(again, KeyError::Denied(Denied::NotFound)), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_foreign_key_is_not_found_for_any_use_case() {
    in_world(async |world| {
        let (ctx, stranger) = (&world.bench.ctx, &world.stranger);
        let id = world.issue(new_key("a")).await.unwrap().key.id;
        let outcomes = [
            show(ctx, stranger, id).await.map(drop),
            revoke(ctx, stranger, id).await.map(drop),
            disable(ctx, stranger, id).await.map(drop),
            enable(ctx, stranger, id).await.map(drop),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(KeyError::Denied(Denied::NotFound))), "{outcome:?}");
        }
        let rolled = roll(ctx, stranger, id, RollOptions::default()).await;
        assert!(matches!(rolled, Err(RollError::Denied(Denied::NotFound))));
        let listed = list(ctx, stranger, None, PageRequest::default()).await.unwrap();
        assert!(listed.is_empty());
        let partner = Some(world.owner.partners[0].0);
        let listed = list(ctx, stranger, partner, PageRequest::default()).await.unwrap_err();
        assert!(matches!(listed, KeyError::Denied(Denied::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn only_staff_disable_and_enable_and_a_disabled_key_cannot_be_rolled() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        let id = world.issue(new_key("a")).await.unwrap().key.id;
        let own = disable(ctx, &world.owner, id).await.unwrap_err();
        assert!(matches!(own, KeyError::Denied(Denied::RoleMissing)), "{own:?}");
        disable(ctx, &Actor::cli(), id).await.unwrap();
        assert_eq!(world.all().await[0].status, KeyStatus::Disabled);
        let rolled = roll(ctx, &world.owner, id, RollOptions::default()).await.unwrap_err();
        assert!(matches!(rolled, RollError::NotInUse("disabled")), "{rolled:?}");
        enable(ctx, &Actor::cli(), id).await.unwrap();
        assert_eq!(world.all().await[0].status, KeyStatus::Active);
    })
    .await;
}

#[tokio::test]
async fn list_is_newest_first_with_a_cursor_and_the_contract_s_members() {
    in_world(async |world| {
        for name in ["a", "b", "c"] {
            world.bench.clock.advance_secs(1);
            world.issue(new_key(name)).await.unwrap();
        }
        let first = PageRequest { cursor: None, limit: 2 };
        let (ctx, owner) = (&world.bench.ctx, &world.owner);
        let first = list(ctx, owner, None, first).await.unwrap();
        assert_eq!((first[0].name.as_str(), first[1].name.as_str()), ("c", "b"));
        let rest = PageRequest { cursor: Some(first[1].id), limit: 2 };
        let rest = list(ctx, owner, None, rest).await.unwrap();
        assert_eq!((rest.len(), rest[0].name.as_str()), (1, "a"));

        let row = serde_json::to_value(&rest[0]).unwrap();
        assert_eq!(row["status"], "active");
        assert_eq!(row["environment"], "live");
        assert_eq!(row["total_requests"], 0);
        assert_eq!(row["last_used_at"], serde_json::Value::Null);
        assert_eq!(row["created_at"], START.plus_secs(1).rfc3339());
        assert_eq!(row["rate_limit_per_minute"], 60);
    })
    .await;
}

#[tokio::test]
async fn the_feed_carries_everything_a_gateway_decides_by() {
    in_world(async |world| {
        let ctx = &world.bench.ctx;
        let id = world.issue(new_key("a")).await.unwrap().key.id;
        let gone = world.issue(new_key("b")).await.unwrap().key.id;
        revoke(ctx, &world.owner, gone).await.unwrap();
        let snapshot = crate::feed::snapshot(ctx, "node").await.unwrap();
        assert_eq!(snapshot.sequence, 3);
        let keys = crate::feed::keys(ctx, None).await.unwrap();
        assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [id]);
        assert!(crate::feed::keys(ctx, Some(id)).await.unwrap().is_empty());
        assert_eq!(snapshot.subscriptions[0].id, world.subscription);
        assert_eq!((snapshot.plans[0].version, snapshot.products.len()), (1, 1));

        let mut tx = ctx.store.write().await.unwrap();
        for (kind, record) in [
            (FeedKind::Product, "tracking".to_owned()),
            (FeedKind::Plan, "starter@1".into()),
            (FeedKind::Subscription, world.subscription.to_string()),
        ] {
            feed_append(&mut tx, kind, record, START).await.unwrap();
        }
        tx.commit().await.unwrap();
        let changes = crate::feed::changes(ctx, 2, 100).await.unwrap();
        let records: Vec<_> = changes.iter().map(|change| change.record.clone()).collect();
        assert!(
            matches!(
                records.as_slice(),
                [Changed::Key(key), Changed::Product(_), Changed::Plan(_), Changed::Subscription(_)]
                    if key.revoked_at.is_some()
            ),
            "{records:?}"
        );
    })
    .await;
}
