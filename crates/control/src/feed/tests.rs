use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Actor;
use crate::testing::Bench;
use crate::tokens::{self, NewToken};

#[tokio::test]
async fn a_snapshot_and_the_changes_after_it_are_the_whole_story() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        let token = |name: &str| NewToken { name: name.into(), ..NewToken::default() };
        let first = tokens::create(ctx, &Actor::cli(), token("first")).await.unwrap();
        let start = snapshot(ctx, "node").await.unwrap();
        assert_eq!((start.sequence, start.tokens.len(), start.sealed_through), (1, 1, 0));
        tokens::create(ctx, &Actor::cli(), token("second")).await.unwrap();
        tokens::revoke(ctx, &Actor::cli(), first.token.id).await.unwrap();
        let later = changes(ctx, start.sequence, 10).await.unwrap();
        assert_eq!(later.iter().map(|change| change.sequence).collect::<Vec<_>>(), [2, 3]);
        let Changed::Token(revoked) = &later[1].record else { panic!("{later:?}") };
        assert!(revoked.id == first.token.id && revoked.revoked_at.is_some());
        assert!(changes(ctx, 3, 10).await.unwrap().is_empty());
        assert_eq!(snapshot(ctx, "node").await.unwrap().tokens.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_node_s_name_is_bounded() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        for name in ["", &"n".repeat(101)] {
            assert!(applied(ctx, name, 1).await.is_err());
        }
    })
    .await;
}
