use keytoll_store::testing::on_each_engine;

use super::*;
use crate::feed;
use crate::testing::Bench;

#[tokio::test]
async fn wait_names_who_applied_and_who_did_not() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        assert_eq!(wait(&bench.ctx, 3).await, Receipt::default());
        feed::applied(&bench.ctx, "a", 3).await.unwrap();
        feed::applied(&bench.ctx, "b", 2).await.unwrap();
        let receipt = wait(&bench.ctx, 3).await;
        assert_eq!(receipt.nodes, [NodeReceipt { node: "a".into(), ms: 0 }]);
        assert_eq!(receipt.missing, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn wait_ends_when_the_last_node_applies() {
    on_each_engine(async |db| {
        let settings = crate::Settings { receipt_wait_ms: 60_000, ..Default::default() };
        let bench = Bench::with_settings(db, settings);
        feed::applied(&bench.ctx, "a", 2).await.unwrap();
        let late = async {
            tokio::task::yield_now().await;
            feed::applied(&bench.ctx, "a", 3).await.unwrap();
        };
        let (receipt, ()) = tokio::join!(wait(&bench.ctx, 3), late);
        assert_eq!(receipt.missing, Vec::<String>::new());
        assert_eq!(receipt.nodes[0].node, "a");
    })
    .await;
}

#[tokio::test]
async fn a_silent_node_is_not_waited_for() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        feed::applied(&bench.ctx, "gone", 1).await.unwrap();
        bench.clock.advance_secs(6);
        assert_eq!(wait(&bench.ctx, 3).await, Receipt::default());
    })
    .await;
}
