use keytoll_domain::period::Anchor;
use keytoll_domain::user::StaffRole;
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Who;
use crate::subscriptions::tests::{Shop, owner_of, partner_of};
use crate::subscriptions::{NewAnchor, cancel, show};

fn member_of(number: u8, role: PartnerRole) -> Actor {
    Actor { who: Who::System, staff: None, partners: vec![(partner_of(number), role)] }
}

fn staff(role: StaffRole) -> Actor {
    Actor { who: Who::System, staff: Some(role), partners: Vec::new() }
}

fn cap(text: &str) -> TermsPatch {
    TermsPatch { spend_cap: Some(Some(text.into())), ..TermsPatch::default() }
}

fn all() -> TermsPatch {
    let limits = WindowLimits { second: Some(20), day: Some(RATE_MAX), ..WindowLimits::default() };
    TermsPatch {
        limits: Some(Some(limits)),
        quota: Some(Some(Quota { units: 1_000, hard: false })),
        concurrency: Some(Some(8)),
        spend_cap: Some(Some("500".into())),
    }
}

#[tokio::test]
async fn staff_set_all_terms_and_take_them_back() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        let wakes = shop.bench.wakes.count();
        let set = set_terms(ctx, &Actor::cli(), bought.id, &all()).await.unwrap();
        assert_eq!(set.limits.unwrap().second, Some(20));
        assert_eq!((set.concurrency, set.spend_cap.as_deref()), (Some(8), Some("500.00")));
        assert_eq!(show(ctx, &owner_of(1), bought.id).await.unwrap(), set);
        assert_eq!(shop.bench.wakes.count(), wakes + 1);

        let mut tx = ctx.store.read().await.unwrap();
        let rows = keytoll_store::feed::feed_after(&mut tx, 0, 100).await.unwrap();
        assert_eq!(rows.last().map(|row| row.record.clone()), Some(bought.id.to_string()));
        let stored = subscription_by_id(&mut tx, bought.id).await.unwrap().unwrap();
        assert_eq!(stored.overrides.spend_cap_minor, Some(50_000));
        drop(tx);

        // What is not named stays; the same once more is no change.
        let patch = TermsPatch { quota: Some(None), ..TermsPatch::default() };
        let set = set_terms(ctx, &Actor::cli(), bought.id, &patch).await.unwrap();
        assert_eq!((set.quota, set.concurrency), (None, Some(8)));
        let wakes = shop.bench.wakes.count();
        set_terms(ctx, &Actor::cli(), bought.id, &patch).await.unwrap();
        assert_eq!(shop.bench.wakes.count(), wakes);
    })
    .await;
}

#[tokio::test]
async fn a_partner_sets_its_spend_cap_and_nothing_else() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let id = shop.buy(1, "basic", NewAnchor::Calendar).await.id;
        for role in [PartnerRole::Owner, PartnerRole::Billing] {
            let set = set_terms(ctx, &member_of(1, role), id, &cap("75.5")).await.unwrap();
            assert_eq!(set.spend_cap.as_deref(), Some("75.50"));
        }
        let more = TermsPatch { concurrency: Some(None), ..cap("80") };
        let refusals = [
            (owner_of(1), more, Denied::RoleMissing),
            (owner_of(1), all(), Denied::RoleMissing),
            (member_of(1, PartnerRole::Developer), cap("80"), Denied::RoleMissing),
            (member_of(1, PartnerRole::Viewer), cap("80"), Denied::RoleMissing),
            (owner_of(2), cap("80"), Denied::NotFound),
            (staff(StaffRole::Finance), cap("80"), Denied::RoleMissing),
            (staff(StaffRole::Support), cap("80"), Denied::RoleMissing),
            (staff(StaffRole::Verifier), cap("80"), Denied::NotFound),
        ];
        for (actor, patch, expected) in refusals {
            let refused = set_terms(ctx, &actor, id, &patch).await.unwrap_err();
            let SetTermsError::Denied(denied) = refused else { panic!("{actor:?}: {refused:?}") };
            assert_eq!(denied, expected, "{actor:?}");
        }
        let seen = show(ctx, &owner_of(1), id).await.unwrap();
        assert_eq!((seen.spend_cap.as_deref(), seen.limits), (Some("75.50"), None));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_acceptable_is_named_and_changes_nothing() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let id = shop.buy(1, "basic", NewAnchor::Calendar).await.id;
        let zero =
            WindowLimits { second: Some(0), hour: Some(RATE_MAX + 1), ..WindowLimits::default() };
        let patch = TermsPatch {
            limits: Some(Some(zero)),
            quota: Some(Some(Quota { units: 0, hard: true })),
            concurrency: Some(Some(10_001)),
            spend_cap: Some(Some("1.234".into())),
        };
        let refused = set_terms(ctx, &Actor::cli(), id, &patch).await.unwrap_err();
        let SetTermsError::Invalid(faults) = refused else { panic!("{refused:?}") };
        let places: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        let expected =
            ["/limits/second", "/limits/hour", "/quota/calls", "/concurrency", "/spend_cap"];
        assert_eq!(places, expected);
        for text in ["-1", "1e3", "", "1000000000001"] {
            let refused = set_terms(ctx, &owner_of(1), id, &cap(text)).await;
            assert!(matches!(refused, Err(SetTermsError::Invalid(_))), "{text}");
        }
        assert_eq!(show(ctx, &owner_of(1), id).await.unwrap().spend_cap, None);
        cancel(ctx, &owner_of(1), id).await.unwrap();
        let refused = set_terms(ctx, &owner_of(1), id, &cap("1")).await;
        assert!(matches!(refused, Err(SetTermsError::Ended)));
    })
    .await;
}

/// The purchase is at noon of the month's last day: a sixtieth of the fee and of the included calls.
#[tokio::test]
async fn spending_is_what_the_invoice_will_say() {
    on_each_engine(async |db| {
        let shop = Shop::open(db).await;
        let ctx = &shop.bench.ctx;
        let bought = shop.buy(1, "basic", NewAnchor::Calendar).await;
        shop.spend(&bought, Anchor::Calendar, 1_167).await;
        let seen = spending(ctx, &owner_of(1), bought.id).await.unwrap();
        assert_eq!((seen.fee, seen.spent, seen.units), (Minor(82), Minor(382), 1_167));
        assert_eq!((seen.cap, seen.units_cap), (None, None));
        set_terms(ctx, &owner_of(1), bought.id, &cap("3.82")).await.unwrap();
        let seen = spending(ctx, &owner_of(1), bought.id).await.unwrap();
        assert_eq!((seen.cap, seen.units_cap), (Some(Minor(382)), Some(1_168)));
        let developer = member_of(1, PartnerRole::Developer);
        let denied = spending(ctx, &developer, bought.id).await;
        assert!(matches!(denied, Err(SetTermsError::Denied(Denied::RoleMissing))));
    })
    .await;
}
