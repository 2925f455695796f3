use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::ledger::Seal;
use keytoll_domain::time::{Day, Timestamp};
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Actor;
use crate::testing::{Bench, START};

fn seal(sequence: u64, sha256: &str) -> Seal {
    Seal {
        node: "n1".into(),
        sequence,
        segment: "s".into(),
        first: 0,
        count: 1,
        previous: if sequence == 1 { "0".repeat(64) } else { "a".repeat(64) },
        sha256: sha256.repeat(64),
        sealed_at: START,
    }
}

fn subscription() -> SubscriptionId {
    SubscriptionId::from_bytes([1; 16])
}

/// `keys` keys with one call each, none of which exists.
fn batch(sequence: u64, sha256: &str, keys: u32) -> SealedBatch {
    let id = |number: u32| KeyId::from_bytes(u128::from(number).to_be_bytes());
    let row = |number| UsageRow {
        key: id(number),
        day: Day(20_000),
        operation: OperationKey(7),
        environment: Environment::Live,
        calls: 1,
        successes: 1,
        units: 2,
        latency_micros: 1500,
    };
    let touch = |number| KeyTouch { key: id(number), last_used_at: START, calls: 1 };
    let refused = |number| RefusedRow {
        key: Some(id(number)),
        day: Day(20_000),
        code: "rate_limited".into(),
        count: 1,
    };
    let period = PeriodRow {
        subscription: subscription(),
        period_start: Timestamp(0),
        calls: u64::from(keys),
        units: 2,
    };
    SealedBatch {
        seals: vec![seal(sequence, sha256)],
        usage: (0..keys).map(row).collect(),
        periods: vec![period.clone(), period],
        touches: (0..keys).map(touch).collect(),
        refused: (0..keys).map(refused).collect(),
    }
}

async fn units(bench: &Bench) -> u64 {
    let mut tx = bench.ctx.store.read().await.unwrap();
    let found = store::period_units(&mut tx, subscription(), Timestamp(0), Timestamp(1)).await;
    found.unwrap().units
}

#[tokio::test]
async fn a_batch_is_taken_once_and_a_second_history_is_refused() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        assert_eq!(take(&bench.ctx, &batch(1, "a", 3)).await.unwrap(), Taken::Applied);
        assert_eq!(take(&bench.ctx, &batch(1, "a", 3)).await.unwrap(), Taken::Known { through: 1 });
        assert_eq!(units(&bench).await, 4);
        let forked = take(&bench.ctx, &batch(1, "b", 3)).await;
        assert!(matches!(forked, Err(TakeError::Forked { sequence: 1, .. })), "{forked:?}");
        assert_eq!(units(&bench).await, 4);
        assert_eq!(take(&bench.ctx, &batch(2, "b", 3)).await.unwrap(), Taken::Applied);
        assert_eq!(units(&bench).await, 8);
        let mut tx = bench.ctx.store.read().await.unwrap();
        assert_eq!(store::seal_last(&mut tx, "n1").await.unwrap(), Some(seal(2, "b")));
        assert_eq!(store::seal_page(&mut tx, "n1", 0, 10).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn seals_are_known_one_by_one_however_they_are_grouped() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let of = |seals: &[(u64, &str)]| SealedBatch {
            seals: seals.iter().map(|(sequence, sha256)| seal(*sequence, sha256)).collect(),
            ..batch(1, "a", 3)
        };
        let offer = async |seals: &[(u64, &str)]| take(&bench.ctx, &of(seals)).await;
        assert_eq!(offer(&[(1, "a"), (2, "a")]).await.unwrap(), Taken::Applied);
        for known in
            [&[(1, "a"), (2, "a")][..], &[(1, "a"), (2, "a"), (3, "a")], &[(2, "a"), (3, "a")]]
        {
            assert_eq!(offer(known).await.unwrap(), Taken::Known { through: 2 });
        }
        assert_eq!(offer(&[(1, "a")]).await.unwrap(), Taken::Known { through: 1 });
        assert_eq!(units(&bench).await, 4, "a batch of which a part is known adds nothing");
        let second = [&[(1, "a"), (2, "b")][..], &[(3, "b"), (4, "a")], &[(3, "a"), (5, "a")]];
        for forked in second {
            let forked = offer(forked).await;
            assert!(matches!(forked, Err(TakeError::Forked { .. })), "{forked:?}");
        }
        assert_eq!(offer(&[(3, "a"), (4, "a")]).await.unwrap(), Taken::Applied);
        assert_eq!(units(&bench).await, 8);
        assert_eq!(
            store::seal_page(&mut bench.ctx.store.read().await.unwrap(), "n1", 0, 10)
                .await
                .unwrap()
                .len(),
            4
        );
    })
    .await;
}

#[tokio::test]
async fn a_seal_that_does_not_follow_the_one_before_is_refused() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        take(&bench.ctx, &batch(1, "c", 3)).await.unwrap();
        let forked = take(&bench.ctx, &batch(2, "b", 3)).await;
        assert!(matches!(forked, Err(TakeError::Forked { sequence: 2, .. })), "{forked:?}");
        assert_eq!(units(&bench).await, 4);
    })
    .await;
}

#[tokio::test]
async fn the_chain_is_checked_seal_by_seal() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        for (sequence, sha256) in [(1, "a"), (2, "a"), (5, "b")] {
            take(&bench.ctx, &batch(sequence, sha256, 1)).await.unwrap();
        }
        let report = verify_chain(&bench.ctx, &Actor::cli()).await.unwrap();
        assert_eq!(report.len(), 1);
        assert_eq!((report[0].node.as_str(), report[0].seals, report[0].last), ("n1", 3, 5));
        assert_eq!(report[0].breaks, ["seals 3 to 4 are missing"]);
    })
    .await;
}

#[tokio::test]
async fn offers_of_the_same_batch_that_race_are_taken_once() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let batch = batch(1, "a", 50);
        let offer = || take(&bench.ctx, &batch);
        let (one, two, three) = tokio::join!(offer(), offer(), offer());
        let applied =
            [one, two, three].into_iter().filter(|taken| matches!(taken, Ok(Taken::Applied)));
        assert_eq!(applied.count(), 1);
        assert_eq!(units(&bench).await, 4);
    })
    .await;
}

#[tokio::test]
async fn a_large_batch_of_vanished_keys_is_taken_whole() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        take(&bench.ctx, &batch(1, "a", 1_234)).await.unwrap();
        take(&bench.ctx, &batch(2, "b", 1_234)).await.unwrap();
        let days = keytoll_store::usage::Days { first: Day(20_000), last: Day(20_000) };
        let mut tx = bench.ctx.store.read().await.unwrap();
        let rows = keytoll_store::usage::usage_by_product(&mut tx, None, Environment::Live, days);
        let rows = rows.await.unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.calls, row.successes)).collect::<Vec<_>>(),
            [(2_468, 2_468)]
        );
    })
    .await;
}

#[test]
fn rows_of_one_record_are_added_up() {
    let twice = [batch(1, "a", 2).usage, batch(1, "a", 2).usage].concat();
    let sums = usage(&twice);
    assert_eq!(sums.iter().map(|row| row.calls).collect::<Vec<_>>(), [2, 2]);
    let mut late = batch(1, "a", 1).touches;
    late.push(KeyTouch { last_used_at: START.plus_secs(5), ..late[0].clone() });
    late.push(KeyTouch { last_used_at: START.plus_secs(2), ..late[0].clone() });
    let sums = touches(&late);
    assert_eq!((sums[0].last_used_at, sums[0].calls), (START.plus_secs(5), 3));
}
