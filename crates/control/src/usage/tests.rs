use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ledger::{PeriodRow, UsageRow};
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::subscriptions::NewAnchor;
use crate::subscriptions::tests::{Shop, calls, owner_of, partner_of};
use crate::testing::START;

#[tokio::test]
async fn r40_counts_live_calls_of_the_window_and_shows_empty_days() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let live = shop.key(&bought, 1, Environment::Live).await;
        let test = shop.key(&bought, 2, Environment::Test).await;
        let other = shop.buy(2, "basic", NewAnchor::Calendar).await;
        let foreign = shop.key(&other, 3, Environment::Live).await;
        let today = START.day();
        let unnamed = UsageRow {
            operation: OperationKey::NONE,
            ..calls(live, Environment::Live, today, 4, 4)
        };
        let rows = vec![
            calls(live, Environment::Live, today, 3, 2),
            calls(live, Environment::Live, today.plus(-2), 5, 5),
            calls(live, Environment::Live, today.plus(-3), 100, 100),
            calls(test, Environment::Test, today, 7, 7),
            calls(foreign, Environment::Live, today, 1_000, 0),
            unnamed,
        ];
        shop.take(rows, Vec::new()).await;
        let usage = async |environment| {
            let actor = owner_of(1);
            let found = partner_daily(&shop.bench.ctx, &actor, None, environment, 3).await.unwrap();
            serde_json::to_value(found).unwrap()
        };
        let expected = serde_json::json!({
            "daily": [
                {"date": "2026-11-28", "total": 5, "byApi": {"tracking": 5}},
                {"date": "2026-11-29", "total": 0, "byApi": {}},
                {"date": "2026-11-30", "total": 7, "byApi": {"tracking": 3}},
            ],
            "totalCalls": 12,
        });
        assert_eq!(usage(Environment::Live).await, expected);
        assert_eq!(usage(Environment::Test).await["totalCalls"], 7);
        let all = partner_daily(&shop.bench.ctx, &Actor::cli(), None, Environment::Live, 1).await;
        assert_eq!(all.unwrap().total_calls, 1_007);
    })
    .await;
}

#[tokio::test]
async fn days_are_bounded_and_foreign_partners_not_found() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let live = Environment::Live;
        for days in [0, DAYS_MAX + 1] {
            let result = partner_daily(ctx, &owner_of(1), None, live, days).await;
            assert!(matches!(result, Err(UsageError::Days)));
        }
        let most = partner_daily(ctx, &owner_of(1), None, live, DAYS_MAX).await.unwrap();
        assert_eq!(most.daily.len(), 400);
        let result = partner_daily(ctx, &owner_of(2), Some(partner_of(1)), live, 1).await;
        assert!(matches!(result, Err(UsageError::Denied(Denied::NotFound))));
        let result = dashboard(ctx, &owner_of(2), Some(partner_of(1))).await;
        assert!(matches!(result, Err(UsageError::Denied(Denied::NotFound))));
    })
    .await;
}

#[tokio::test]
async fn r60_weighs_latency_by_calls_and_names_the_top_ten() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let key = shop.key(&bought, 1, Environment::Live).await;
        let today = START.day();
        let slow = UsageRow {
            latency_micros: 90_000,
            ..calls(key, Environment::Live, today.plus(-29), 1, 0)
        };
        let mut rows = vec![
            calls(key, Environment::Live, today, 9, 9),
            slow,
            calls(key, Environment::Live, today.plus(-30), 50, 50),
        ];
        for number in 0..12 {
            let operation = OperationKey(number);
            rows.push(UsageRow { operation, ..calls(key, Environment::Live, today, 1, 0) });
        }
        shop.take(rows, Vec::new()).await;
        let ctx = &shop.bench.ctx;
        let found = key_daily(ctx, &owner_of(1), key, 30).await.unwrap();
        let told: Vec<_> =
            found.daily.iter().map(|day| (day.date.as_str(), day.successes, day.errors)).collect();
        assert_eq!(told, [("2026-11-01", 0, 1), ("2026-11-30", 9, 12)]);
        assert_eq!(found.endpoints.len(), 10);
        let first = &found.endpoints[0];
        assert_eq!(
            (first.endpoint.as_str(), first.successes, first.errors),
            ("GET /shipments", 9, 1)
        );
        let summary = &found.summary;
        assert_eq!(summary.total_requests, 22);
        // 21 calls of 2 ms and one of 90 ms; the mean of the daily means would be 46.
        assert!((summary.avg_latency_ms - 6.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.error_rate - 13.0 / 22.0).abs() < 1e-9, "{summary:?}");
        let foreign = key_daily(ctx, &owner_of(2), key, 30).await;
        assert!(matches!(foreign, Err(UsageError::Denied(Denied::NotFound))));
    })
    .await;
}

#[tokio::test]
async fn totals_and_last_use_of_a_key_follow_the_batches() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let key = shop.key(&bought, 1, Environment::Live).await;
        let row = || calls(key, Environment::Live, START.day(), 3, 3);
        shop.take(vec![row()], Vec::new()).await;
        shop.take(vec![row()], Vec::new()).await;
        let mut tx = shop.bench.ctx.store.read().await.unwrap();
        let found = key_by_id(&mut tx, key).await.unwrap().unwrap();
        assert_eq!((found.total_requests, found.last_used_at), (6, Some(START)));
    })
    .await;
}

#[tokio::test]
async fn r13_has_three_cards_and_the_quota_of_the_period() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let empty = dashboard(ctx, &owner_of(1), None).await.unwrap();
        assert_eq!((empty.requests_today, empty.monthly_limit, empty.days.len()), (0, None, 30));
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let key = shop.key(&bought, 1, Environment::Live).await;
        let today = START.day();
        let rows = vec![
            calls(key, Environment::Live, today, 3, 2),
            calls(key, Environment::Live, today.plus(-1), 4, 4),
        ];
        let period_start = Month::at(START).period().start;
        let period = PeriodRow { subscription: bought.id, period_start, calls: 7, units: 9 };
        shop.take(rows, vec![period]).await;
        let board = dashboard(ctx, &owner_of(1), None).await.unwrap();
        assert_eq!((board.requests_today, board.requests_this_month), (3, 7));
        assert_eq!(board.monthly_limit, Some(20_000));
        assert!((board.avg_response_ms - 2.0).abs() < 1e-9);
        assert_eq!(board.quotas[0].used_units, 9);
        assert_eq!(board.days.last(), Some(&(today, Calls { successes: 2, errors: 1 })));
        let products: Vec<_> = board.products.values().collect();
        assert_eq!(products, [&Calls { successes: 6, errors: 1 }]);
        shop.buy(1, "open", NewAnchor::Calendar).await;
        assert_eq!(dashboard(ctx, &owner_of(1), None).await.unwrap().monthly_limit, None);
    })
    .await;
}
