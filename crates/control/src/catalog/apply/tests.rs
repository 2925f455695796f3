use keytoll_domain::ids::Slug;
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::actor::Who;
use crate::catalog::parse;
use crate::catalog::tests::{R30, TRACKING, specs};
use crate::page::PageRequest;
use crate::testing::Bench;
use crate::{plans, products};

mod versions;

const SHOP: &str = r#"
products:
  - {id: tracking, spec: ./tracking.json, upstream: "http://127.0.0.1:9000/t", scopes: [extra],
     operations: {"GET /shipments": {scopes: [list], units: 2}}}
plans:
  - {id: basic, products: [tracking], operations: ["GET /shipments"], price_monthly: "49", included_calls: 10}
"#;

async fn run(bench: &Bench, text: &str) -> Result<Vec<(String, Action)>, ApplyError> {
    let catalogue = parse(text, &specs()).expect("the text is good");
    let changes = apply(&bench.ctx, &Actor::cli(), &catalogue, false).await?;
    Ok(changes.into_iter().map(|change| (change.id, change.action)).collect())
}

async fn feed(bench: &Bench) -> Vec<String> {
    let mut tx = bench.ctx.store.read().await.unwrap();
    let rows = keytoll_store::feed::feed_after(&mut tx, 0, 100).await.unwrap();
    rows.into_iter().map(|row| row.record).collect()
}

fn named(changes: &[(&str, Action)]) -> Vec<(String, Action)> {
    changes.iter().map(|(id, action)| ((*id).to_owned(), *action)).collect()
}

#[tokio::test]
async fn the_second_apply_changes_nothing() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let created = named(&[("tracking", Action::Created), ("basic", Action::Created)]);
        assert_eq!(run(&bench, SHOP).await.unwrap(), created);
        assert_eq!(feed(&bench).await, ["tracking", "basic@1"]);
        assert_eq!(bench.wakes.count(), 1);
        bench.clock.advance_secs(60);
        let unchanged = named(&[("tracking", Action::Unchanged), ("basic", Action::Unchanged)]);
        assert_eq!(run(&bench, SHOP).await.unwrap(), unchanged);
        assert_eq!(feed(&bench).await.len(), 2);
        assert_eq!(bench.wakes.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn operations_fold_document_and_settings() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        run(&bench, SHOP).await.unwrap();
        let id = Slug::new("tracking").unwrap();
        let shown = products::show(&bench.ctx, &Actor::cli(), &id).await.unwrap().unwrap();
        let told: Vec<String> = shown
            .operations
            .iter()
            .map(|op| format!("{} {} {:?} {}", op.method, op.path, op.scopes, op.units))
            .collect();
        assert_eq!(
            told,
            [
                "GET /shipments [[\"list\"]] 2",
                "POST /shipments [[\"tracking:write\"]] 1",
                "GET /shipments/{id} [[\"read:shipments\"]] 1",
            ]
        );
        assert_eq!(shown.scopes, ["extra", "list", "read:shipments", "tracking:write"]);
        assert_eq!((shown.name.as_str(), shown.version.as_str()), ("Tracking", "2.1.0"));
        assert!(shown.upstream.is_some());
        let stranger = Actor { who: Who::System, staff: None, partners: Vec::new() };
        let shown = products::show(&bench.ctx, &stranger, &id).await.unwrap().unwrap();
        assert_eq!(shown.upstream, None);
        let document = products::document(&bench.ctx, &id).await.unwrap().unwrap();
        assert_eq!(document.bytes, TRACKING.as_bytes());
        assert_eq!(
            (document.media_type, document.document.operations.len()),
            ("application/json", 3)
        );
    })
    .await;
}

#[tokio::test]
async fn a_changed_plan_is_a_new_version_and_settings_fold_again_without_the_document() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        run(&bench, SHOP).await.unwrap();
        let text = SHOP
            .replace("\"49\"", "\"59\"")
            .replace("spec: ./tracking.json, ", "")
            .replace("units: 2", "units: 3");
        let changed = named(&[("tracking", Action::Updated), ("basic", Action::NewVersion)]);
        assert_eq!(run(&bench, &text).await.unwrap(), changed);
        assert_eq!(feed(&bench).await, ["tracking", "basic@1", "tracking", "basic@2"]);
        let slug = Slug::new("basic").unwrap();
        let shown = plans::show(&bench.ctx, &slug).await.unwrap().unwrap();
        assert_eq!((shown.version, shown.price_monthly.to_string()), (2, "59".into()));
        let mut tx = bench.ctx.store.read().await.unwrap();
        let old = keytoll_store::plan::plan_by_version(&mut tx, &slug, 1).await.unwrap().unwrap();
        assert_eq!(old.price.price_monthly.to_string(), "49");
        let id = Slug::new("tracking").unwrap();
        let product = product_by_id(&mut tx, &id).await.unwrap().unwrap().product;
        assert_eq!((product.operations.len(), product.operations[0].units), (3, 3));
    })
    .await;
}

#[tokio::test]
async fn a_mistake_anywhere_leaves_nothing_written() {
    let plan = |members: &str| SHOP.replace("operations: [\"GET /shipments\"]", members);
    let second = "products:\n  - {id: other, spec: ./tracking.json, key_format: hex64}";
    let cases = [
        (
            plan("operations: [\"GET /nothing\"]"),
            "line 6: /plans/0/operations/0: no operation GET /nothing",
        ),
        (
            plan("operations: [\"other GET /shipments\"]"),
            "line 6: /plans/0/operations/0: the plan has no product other",
        ),
        (
            SHOP.replace("products: [tracking]", "products: [nobody]"),
            "line 6: /plans/0/products/0: there is no product nobody",
        ),
        (
            SHOP.replace("{\"GET /shipments\":", "{\"GET /none\":"),
            "line 3: /operations/GET ~1none: the document of tracking has no operation \"GET /none\"",
        ),
        (
            SHOP.replace("products:\n", &format!("{second}\n"))
                .replace("[tracking]", "[tracking, other]"),
            "line 7: /plans/0: the products differ in key_format: the plan must say its own",
        ),
    ];
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        for (text, expected) in &cases {
            let error = run(&bench, text).await.unwrap_err().to_string();
            let first = error.lines().next().unwrap_or_default();
            assert!(first.replace("/products/0/operations", "/operations") == *expected, "{first}");
            assert_eq!(feed(&bench).await.len(), 0);
            let all =
                products::list(&bench.ctx, &Actor::cli(), &PageRequest::default()).await.unwrap();
            assert_eq!(all, []);
        }
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_tells_and_writes_nothing() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let catalogue = parse(SHOP, &specs()).unwrap();
        let changes = apply(&bench.ctx, &Actor::cli(), &catalogue, true).await.unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(feed(&bench).await.len(), 0);
        let all = plans::list(&bench.ctx, &PageRequest::default()).await.unwrap();
        assert_eq!(all, []);
    })
    .await;
}

#[tokio::test]
async fn an_apply_waits_for_another_and_sees_what_it_wrote() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        run(&bench, SHOP).await.unwrap();
        let text = SHOP.replace("\"49\"", "\"59\"");
        let catalogue = parse(&text, &specs()).unwrap();
        let mut tx = bench.ctx.store.write().await.unwrap();
        catalogue_lock(&mut tx).await.unwrap();
        let slow = async {
            // Far more round trips than the other needs to read the version before this one writes it.
            for _ in 0..200 {
                plan_latest(&mut tx, &catalogue.plans[0].slug).await.unwrap();
            }
            let written = write_plan(&mut tx, &catalogue.plans[0], bench.ctx.now()).await;
            tx.commit().await.unwrap();
            written.unwrap().0.action
        };
        let (slow, other) = tokio::join!(slow, run(&bench, &text));
        assert_eq!((slow, other.unwrap()[1].1), (Action::NewVersion, Action::Unchanged));
    })
    .await;
}

#[tokio::test]
async fn r30_is_for_sale_though_nobody_answers_at_its_address() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let catalogue = parse(R30, &specs()).unwrap();
        let changes = apply(&bench.ctx, &Actor::cli(), &catalogue, false).await.unwrap();
        assert!(changes[0].details[0].starts_with("the document was not read"), "{changes:?}");
        let plans = plans::list(&bench.ctx, &PageRequest::default()).await.unwrap();
        assert_eq!(plans.len(), 3);
        let again = apply(&bench.ctx, &Actor::cli(), &catalogue, false).await.unwrap();
        assert!(again.iter().all(|change| change.action == Action::Unchanged), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn only_admins_apply() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let catalogue = parse(SHOP, &specs()).unwrap();
        let stranger = Actor { who: Who::System, staff: None, partners: Vec::new() };
        let result = apply(&bench.ctx, &stranger, &catalogue, false).await;
        assert!(matches!(result, Err(ApplyError::Denied(Denied::RoleMissing))));
    })
    .await;
}
