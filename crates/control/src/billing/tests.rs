use keytoll_domain::period::Anchor;
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::subscriptions::tests::{Shop, owner_of};
use crate::subscriptions::{self, NewAnchor};
use crate::testing::START;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn run(shop: &Shop, month: &str) -> Vec<Invoice> {
    run_invoices(&shop.bench.ctx, &Actor::cli(), month).await.unwrap()
}

#[tokio::test]
async fn a_running_period_is_a_draft_and_an_ended_one_is_final() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.bench.clock.set(at("2026-11-01T00:00:00Z"));
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        shop.spend(&bought, Anchor::Calendar, 10_500).await;
        shop.bench.clock.set(START);
        let draft = run(&shop, "2026-11").await.remove(0);
        assert_eq!((draft.status, draft.number.clone(), draft.units), ("draft", None, 10_500));
        assert_eq!(draft.total_minor, 4_900 + 150);
        assert_eq!(run(&shop, "2026-11").await, std::slice::from_ref(&draft));
        shop.spend(&bought, Anchor::Calendar, 500).await;
        let later = run(&shop, "2026-11").await.remove(0);
        assert_eq!((later.id, later.units, later.total_minor), (draft.id, 11_000, 4_900 + 300));
        assert_eq!(run(&shop, "2026-12").await, [], "December has not begun");

        shop.bench.clock.set(at("2026-12-01T00:02:00Z"));
        let done = run(&shop, "2026-11").await.remove(0);
        assert_eq!((done.id, done.status, done.units), (draft.id, "finalised", 11_000));
        assert_eq!(done.number.as_deref(), Some("2026-000001"));
        shop.bench.clock.set(at("2026-12-20T00:00:00Z"));
        assert_eq!(run(&shop, "2026-11").await, std::slice::from_ref(&done));
        assert_eq!(show(&shop.bench.ctx, &owner_of(1), done.id).await.unwrap(), done);
    })
    .await;
}

#[tokio::test]
async fn a_period_waits_for_its_last_calls_before_it_is_final() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.buy(1, "basic", NewAnchor::Calendar).await;
        shop.bench.clock.set(at("2026-12-01T00:01:59Z"));
        assert_eq!(run(&shop, "2026-11").await[0].status, "draft");
    })
    .await;
}

#[tokio::test]
async fn the_first_period_is_prorated_and_units_without_price_are_shown() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.bench.clock.set(at("2026-11-16T00:00:00Z"));
        let basic = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let open = shop.buy(1, "open", NewAnchor::Calendar).await;
        shop.spend(&basic, Anchor::Calendar, 5_001).await;
        shop.spend(&open, Anchor::Calendar, 77).await;
        shop.bench.clock.set(at("2026-12-02T00:00:00Z"));
        let invoices = run(&shop, "2026-11").await;
        let of = |id| invoices.iter().find(|one| one.subscription == id).unwrap();
        let prorated = of(basic.id);
        assert_eq!(prorated.period_start, at("2026-11-16T00:00:00Z"));
        // Half of 49, and one call above half of the included 10 000: 0.3 cents.
        assert_eq!((prorated.units, prorated.total_minor), (5_001, 2_450));
        assert_eq!(prorated.lines[1].quantity.to_string(), "1");
        assert_eq!((of(open.id).units, of(open.id).total_minor), (77, 500));
        let numbers: Vec<_> = invoices.iter().filter_map(|one| one.number.as_deref()).collect();
        assert_eq!(numbers, ["2026-000001", "2026-000002"]);
    })
    .await;
}

#[tokio::test]
async fn an_anniversary_belongs_to_the_month_of_its_end() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Anniversary).await;
        shop.spend(&bought, Anchor::Anniversary(START), 12_000).await;
        assert_eq!(run(&shop, "2026-11").await, []);
        let draft = run(&shop, "2026-12").await.remove(0);
        assert_eq!((draft.status, draft.units, draft.total_minor), ("draft", 12_000, 5_500));
        assert_eq!(draft.period_end, at("2026-12-30T12:00:00Z"));
        shop.bench.clock.set(at("2027-01-05T00:00:00Z"));
        let done = run(&shop, "2026-12").await.remove(0);
        assert_eq!((done.status, done.number.as_deref()), ("finalised", Some("2027-000001")));
        assert_eq!(run(&shop, "2027-01").await[0].units, 0);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_subscription_is_billed_up_to_its_end() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.bench.clock.set(at("2026-11-01T00:00:00Z"));
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let draft = run(&shop, "2026-11").await.remove(0);
        shop.bench.clock.set(at("2026-11-16T00:00:00Z"));
        subscriptions::cancel(&shop.bench.ctx, &owner_of(1), bought.id).await.unwrap();
        shop.bench.clock.advance_secs(SETTLE_SECS);
        let done = run(&shop, "2026-11").await.remove(0);
        assert_eq!((done.id, done.status, done.total_minor), (draft.id, "finalised", 2_450));
        assert_eq!(done.period_end, at("2026-11-16T00:00:00Z"));
        assert_eq!(run(&shop, "2026-12").await, []);
    })
    .await;
}

#[tokio::test]
async fn a_finalised_invoice_is_not_edited_by_late_units() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        shop.bench.clock.set(at("2026-12-02T00:00:00Z"));
        let done = run(&shop, "2026-11").await;
        shop.bench.clock.set(START);
        shop.spend(&bought, Anchor::Calendar, 50_000).await;
        shop.bench.clock.set(at("2026-12-03T00:00:00Z"));
        assert_eq!(run(&shop, "2026-11").await, done);
    })
    .await;
}

#[tokio::test]
async fn runs_that_race_make_one_invoice_each_with_gapless_numbers() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        for _ in 0..5 {
            shop.buy(1, "basic", NewAnchor::Calendar).await;
        }
        shop.bench.clock.set(at("2026-12-02T00:00:00Z"));
        let (one, two, three) =
            tokio::join!(run(&shop, "2026-11"), run(&shop, "2026-11"), run(&shop, "2026-11"));
        assert_eq!(one, two);
        assert_eq!(one, three);
        let page = PageRequest::default();
        let all = list(&shop.bench.ctx, &Actor::cli(), None, page).await.unwrap();
        let mut numbers: Vec<_> = all.into_iter().filter_map(|one| one.number).collect();
        numbers.sort();
        let expected: Vec<_> = (1..=5).map(|number| format!("2026-{number:06}")).collect();
        assert_eq!(numbers, expected);
    })
    .await;
}

#[tokio::test]
async fn an_invoice_has_the_members_of_the_contract() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.bench.clock.set(at("2026-11-01T00:00:00Z"));
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        shop.spend(&bought, Anchor::Calendar, 10_500).await;
        let invoice = run(&shop, "2026-11").await.remove(0);
        let json = serde_json::to_value(&invoice).unwrap();
        assert_eq!(json["period_start"], "2026-11-01T00:00:00Z");
        assert_eq!(json["currency"], "USD");
        let expected = serde_json::json!({
            "kind": "overage",
            "description": "Calls above the 10000 included",
            "quantity": "500",
            "unit_price": "0.003",
            "amount_minor": 150,
        });
        assert_eq!(json["lines"][1], expected);
        assert_eq!(json["lines"][0]["kind"], "base");
    })
    .await;
}

#[tokio::test]
async fn invoices_are_their_partners_and_runs_are_for_finance() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        shop.buy(1, "basic", NewAnchor::Calendar).await;
        let ctx = &shop.bench.ctx;
        let denied = run_invoices(ctx, &owner_of(1), "2026-11").await;
        assert!(matches!(denied, Err(BillingError::Denied(Denied::RoleMissing))));
        let wrong = run_invoices(ctx, &Actor::cli(), "2026-13").await;
        assert!(matches!(wrong, Err(BillingError::Month(_))));
        let invoice = run(&shop, "2026-11").await.remove(0);
        let foreign = show(ctx, &owner_of(2), invoice.id).await;
        assert!(matches!(foreign, Err(BillingError::Denied(Denied::NotFound))));
        let page = PageRequest::default();
        assert_eq!(list(ctx, &owner_of(2), None, page).await.unwrap(), []);
        assert_eq!(list(ctx, &owner_of(1), None, page).await.unwrap(), [invoice]);
    })
    .await;
}
