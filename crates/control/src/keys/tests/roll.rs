use super::*;

const APPEND: RollOptions = RollOptions { name: RollName::AppendRolled, grace_secs: 0 };

#[tokio::test]
async fn roll_works_at_twenty_five_of_twenty_five_and_keeps_the_settings() {
    in_world(async |world| {
        world.issue_many(24).await;
        let new = NewKey { allowed_ips: vec!["10.0.0.0/8".into()], ..new_key("Production") };
        let old = world.issue(new).await.unwrap();
        let rolled = roll(&world.bench.ctx, &world.owner, old.key.id, APPEND).await.unwrap();
        assert_eq!(rolled.key.name, "Production (rolled)");
        assert_eq!(rolled.key.allowed_ips, old.key.allowed_ips);
        assert_eq!(rolled.key.scopes, old.key.scopes);
        assert_ne!(rolled.key.hash, old.key.hash);
        let old = show(&world.bench.ctx, &world.owner, old.key.id).await.unwrap();
        assert_eq!(old.status, KeyStatus::Revoked);
        let again = roll(&world.bench.ctx, &world.owner, old.id, APPEND).await.unwrap_err();
        assert!(matches!(again, RollError::Denied(Denied::NotFound)), "{again:?}");
        let again = roll(&world.bench.ctx, &world.owner, rolled.key.id, APPEND).await.unwrap();
        assert_eq!(again.key.name, "Production (rolled)");
    })
    .await;
}

#[tokio::test]
async fn roll_with_grace_leaves_the_old_key_until_its_end() {
    in_world(async |world| {
        world.issue_many(25).await;
        let id = world.all().await[0].id;
        let options = RollOptions { grace_secs: 60, ..RollOptions::default() };
        let (ctx, owner) = (&world.bench.ctx, &world.owner);
        let rolled = roll(ctx, owner, id, options).await.unwrap();
        let old = show(ctx, owner, id).await.unwrap();
        assert_eq!(old.expires_at, Some(START.plus_secs(60)));
        assert_eq!(old.replaced_by, Some(rolled.key.id));
        assert_eq!(rolled.key.expires_at, None);
        // The successor takes the old key's place, so a second successor of the same key is refused.
        let again = roll(ctx, owner, id, options).await.unwrap_err();
        assert!(matches!(again, RollError::NotInUse("rolled already")), "{again:?}");
        world.bench.clock.advance_secs(60);
        assert_eq!(show(ctx, owner, id).await.unwrap().status, KeyStatus::Expired);
    })
    .await;
}

#[tokio::test]
async fn roll_never_lengthens_a_life() {
    in_world(async |world| {
        let end = START.plus_secs(30);
        let new = NewKey { expires_at: Some(end), ..new_key("a") };
        let id = world.issue(new).await.unwrap().key.id;
        let options = RollOptions { grace_secs: 60, ..RollOptions::default() };
        let rolled = roll(&world.bench.ctx, &world.owner, id, options).await.unwrap();
        let old = show(&world.bench.ctx, &world.owner, id).await.unwrap();
        assert_eq!((old.expires_at, rolled.key.expires_at), (Some(end), Some(end)));
        world.bench.clock.advance_secs(31);
        let late = roll(&world.bench.ctx, &world.owner, rolled.key.id, options).await.unwrap_err();
        assert!(matches!(late, RollError::NotInUse("expired")), "{late:?}");
    })
    .await;
}

#[tokio::test]
async fn keys_in_grace_are_bounded_too() {
    in_world(async |world| {
        let options = RollOptions { grace_secs: 60, ..RollOptions::default() };
        let mut id = world.issue(new_key("a")).await.unwrap().key.id;
        for _ in 0..25 {
            id = roll(&world.bench.ctx, &world.owner, id, options).await.unwrap().key.id;
        }
        let over = roll(&world.bench.ctx, &world.owner, id, options).await.unwrap_err();
        assert!(matches!(over, RollError::TooManyReplaced { limit: 25 }), "{over:?}");
    })
    .await;
}

#[tokio::test]
async fn of_ten_rolls_at_once_one_wins() {
    in_world(async |world| {
        let id = world.issue(new_key("a")).await.unwrap().key.id;
        world.warm_up().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (ctx, owner) = (world.bench.ctx.clone(), world.owner.clone());
            tasks.spawn(async move { roll(&ctx, &owner, id, APPEND).await });
        }
        let mut won = 0;
        while let Some(outcome) = tasks.join_next().await {
            match outcome.unwrap() {
                Ok(_) => won += 1,
                Err(RollError::Denied(Denied::NotFound)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((won, world.all().await.len()), (1, 2));
    })
    .await;
}
