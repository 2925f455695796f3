use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Denied;
use crate::feed;
use crate::subscriptions::NewAnchor;
use crate::subscriptions::tests::{Shop, owner_of};
use crate::testing::{Remembered, START};

fn call(number: u128, operation: OperationKey) -> RecentCall {
    RecentCall {
        request: RequestId(number),
        at: START,
        operation,
        status: 200,
        units: 1,
        latency_micros: 1_234,
        environment: Environment::Live,
        end: None,
    }
}

#[tokio::test]
async fn a_key_has_its_gateways_calls_with_names_and_strangers_find_none() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let key = shop.key(&bought, 1, Environment::Live).await;
        let page = PageRequest::default();
        let nothing = of_key(ctx, &owner_of(1), key, page).await.unwrap();
        assert_eq!((nothing.calls.len(), nothing.complete, nothing.node), (0, false, None));

        let product = "tracking".parse().unwrap();
        let known = OperationKey::of(&product, "GET", "/shipments");
        let calls = vec![
            call(3, known),
            call(2, OperationKey::of(&product, "", "")),
            call(1, OperationKey(12)),
        ];
        ctx.offer_recent_calls(Remembered::of(key, calls));
        feed::applied(ctx, "here", 1).await.unwrap();
        let found = of_key(ctx, &owner_of(1), key, page).await.unwrap();
        assert_eq!((found.complete, found.node.as_deref()), (true, Some("here")));
        let names: Vec<_> = found.calls.iter().map(|call| call.operation.as_deref()).collect();
        assert_eq!(names, [Some("GET /shipments"), None, None]);
        assert!((found.calls[0].latency_ms - 1.234).abs() < 1e-9);

        assert_eq!(found.next, None);
        let first = of_key(ctx, &owner_of(1), key, PageRequest { limit: 1, ..page }).await.unwrap();
        assert_eq!(first.calls[0].request_id, RequestId(3));
        let page = PageRequest { cursor: first.next, limit: 1 };
        let next = of_key(ctx, &owner_of(1), key, page).await.unwrap();
        assert_eq!((next.calls.len(), next.calls[0].request_id), (1, RequestId(2)));
        feed::applied(ctx, "elsewhere", 1).await.unwrap();
        assert!(!of_key(ctx, &owner_of(1), key, page).await.unwrap().complete);

        let foreign = of_key(ctx, &owner_of(2), key, page).await;
        assert!(matches!(foreign, Err(KeyError::Denied(Denied::NotFound))));
        let unknown = of_key(ctx, &Actor::cli(), KeyId::from_bytes([9; 16]), page).await;
        assert!(matches!(unknown, Err(KeyError::Denied(Denied::NotFound))));
    })
    .await;
}
