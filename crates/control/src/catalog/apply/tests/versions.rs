use keytoll_domain::user::StaffRole;
use keytoll_store::product::operation_names;

use super::*;
use crate::catalog::tests::Specs;
use crate::catalog::tests::policies::worked;
use crate::products::set_maintenance;

const ONE: &str = "products: [{id: one, spec: ./tracking.json, ";

async fn run_with(
    bench: &Bench,
    text: &str,
    specs: &Specs,
    dry_run: bool,
) -> Result<Vec<Change>, ApplyError> {
    let catalogue = parse(text, specs).expect("the text is good");
    apply(&bench.ctx, &Actor::cli(), &catalogue, dry_run).await
}

async fn stored(bench: &Bench, id: &str) -> Product {
    let mut tx = bench.ctx.store.read().await.unwrap();
    product_by_id(&mut tx, &Slug::new(id).unwrap()).await.unwrap().unwrap().product
}

async fn refused(bench: &Bench, text: &str) -> String {
    run_with(bench, text, &specs(), false).await.unwrap_err().to_string()
}

#[tokio::test]
async fn versions_and_policies_come_back_as_they_were_applied() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let (text, specs) = worked();
        let created = run_with(&bench, text, &specs, false).await.unwrap();
        assert_eq!(created[0].action, Action::Created);
        let product = stored(&bench, "parcels").await;
        let catalogue = parse(text, &specs).unwrap();
        assert_eq!(Some(&product.settings), catalogue.products[0].settings.as_ref());
        assert_eq!(product.targets, catalogue.products[0].targets);
        let version = &product.versions[0];
        assert_eq!((version.version.as_str(), version.operations.len()), ("1", 2));
        assert_eq!(version.operations[1].max_units, Some(50));
        assert!(version.operations[0].deprecation.is_some());
        let document = products::version_document(&bench.ctx, &product.id, "1").await.unwrap();
        assert_eq!(document.unwrap().document.title, "Parcels");
        let none = products::version_document(&bench.ctx, &product.id, "3").await.unwrap();
        assert!(none.is_none());
        let mut tx = bench.ctx.store.read().await.unwrap();
        let names = operation_names(&mut tx).await.unwrap();
        let paths: Vec<&str> = names.iter().map(|name| name.path.as_str()).collect();
        assert_eq!(paths, ["", "/labels", "/labels/{id}", "1:/labels", "1:/labels/{id}"]);
        drop(tx);
        let again = run_with(&bench, text, &specs, false).await.unwrap();
        assert_eq!((again[0].action, again[0].details.len()), (Action::Unchanged, 0));
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_names_each_member_that_would_change() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let (text, specs) = worked();
        run_with(&bench, text, &specs, false).await.unwrap();
        let changed = text
            .replace("connect_ms: 1000", "connect_ms: 2000")
            .replace("weight: 3", "weight: 2")
            .replace("X-Source: keytoll", "X-Source: gateway-secret")
            .replace("validation: report", "validation: enforce")
            .replace("status: deprecated ", "status: beta")
            .replace("max_units: 50", "max_units: 60");
        let before = stored(&bench, "parcels").await;
        let told = run_with(&bench, &changed, &specs, true).await.unwrap();
        assert_eq!(
            told[0].details,
            [
                "targets changed",
                "operations.GET /labels/{id} changed",
                "request_headers.set changed",
                "upstream_options.connect_ms changed",
                "validation changed",
                "operations changed",
                "version 1: operations changed",
                "version 1: status changed",
            ]
        );
        assert_eq!(stored(&bench, "parcels").await, before);
        let renamed = text.replace("- version: \"1\"", "- version: \"0\"");
        let told = run_with(&bench, &renamed, &specs, true).await.unwrap();
        assert_eq!(told[0].details, ["version 0 added", "version 1 removed"]);
    })
    .await;
}

#[tokio::test]
async fn a_version_that_is_left_out_goes_with_its_document() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let (text, specs) = worked();
        run_with(&bench, text, &specs, false).await.unwrap();
        let id = Slug::new("parcels").unwrap();
        let renamed = text.replace("- version: \"1\"", "- version: \"0\"");
        run_with(&bench, &renamed, &specs, false).await.unwrap();
        let mut tx = bench.ctx.store.read().await.unwrap();
        let files = async |tx: &mut Tx, version| {
            keytoll_store::product::version_files(tx, &id, version).await.unwrap().len()
        };
        assert_eq!((files(&mut tx, "0").await, files(&mut tx, "1").await), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn versions_that_clash_with_the_default_one_are_refused() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let version =
            |id: &str| format!("{ONE} versions: [{{version: {id}, spec: ./tracking.json}}]}}]");
        let told = refused(&bench, &version("2.1.0")).await;
        assert!(
            told.contains("/products/0/versions/0/version: 2.1.0 is the product's own"),
            "{told}"
        );
        let told = refused(&bench, &version("shipments")).await;
        assert!(
            told.contains("GET /shipments of the default version begins with /shipments"),
            "{told}"
        );
        let by_header =
            version("shipments").replace("versions:", "versioning: {by: header}, versions:");
        run_with(&bench, &by_header, &specs(), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_host_belongs_to_one_product() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let one = format!("{ONE} hosts: [api.example.com]}}]");
        run_with(&bench, &one, &specs(), false).await.unwrap();
        let told = refused(&bench, &one.replace("id: one", "id: two")).await;
        assert_eq!(
            told,
            "line 1: /products/0/hosts/0: api.example.com belongs to product one: name another host"
        );
        let version = "{id: two, spec: ./tracking.json, versioning: {by: host}, \
            versions: [{version: v9, spec: ./tracking.json, host: api.example.com}]}";
        let told = refused(&bench, &format!("products: [{version}]")).await;
        assert!(
            told.contains("/versions/0/host: api.example.com belongs to product one"),
            "{told}"
        );
        let own = version.replace("versioning", "hosts: [api.example.com], versioning");
        let moved = format!("products: [{{id: one, spec: ./tracking.json}}, {own}]");
        let told = refused(&bench, &moved).await;
        assert!(
            told.contains("/products/1/hosts/0: api.example.com occurs twice in this product"),
            "{told}"
        );
        let moved = format!("products: [{{id: one, spec: ./tracking.json}}, {version}]");
        run_with(&bench, &moved, &specs(), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn maintenance_lasts_until_the_next_catalogue() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        run(&bench, SHOP).await.unwrap();
        let id = Slug::new("tracking").unwrap();
        let asked = keytoll_domain::catalog::Maintenance {
            message: Some("Back at six.".into()),
            until: None,
        };
        let set = async |actor, asked| set_maintenance(&bench.ctx, actor, &id, asked).await;
        let cli = Actor::cli();
        let change = set(&cli, Some(asked.clone())).await.unwrap();
        assert_eq!(
            (change.action, change.details),
            (Action::Updated, vec!["maintenance changed".to_owned()])
        );
        assert_eq!(set(&cli, Some(asked.clone())).await.unwrap().action, Action::Unchanged);
        assert_eq!(feed(&bench).await, ["tracking", "basic@1", "tracking"]);
        assert_eq!(stored(&bench, "tracking").await.settings.maintenance, Some(asked.clone()));
        let support = Actor { staff: Some(StaffRole::Support), ..Actor::cli() };
        let denied = set(&support, None).await;
        assert!(matches!(denied, Err(ApplyError::Denied(Denied::RoleMissing))));
        let again = parse(SHOP, &specs()).unwrap();
        let told = apply(&bench.ctx, &cli, &again, false).await.unwrap();
        assert_eq!(told[0].details, ["maintenance changed"]);
        assert_eq!(stored(&bench, "tracking").await.settings.maintenance, None);
    })
    .await;
}

#[tokio::test]
async fn what_lies_behind_the_gateway_is_for_staff() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let (text, specs) = worked();
        run_with(&bench, text, &specs, false).await.unwrap();
        let id = Slug::new("parcels").unwrap();
        let shown = async |staff| {
            let actor = Actor { who: Who::System, staff, partners: Vec::new() };
            let view = products::show(&bench.ctx, &actor, &id).await.unwrap().unwrap();
            serde_json::to_string(&view).unwrap()
        };
        let partner = shown(None).await;
        for secret in ["127.0.0.1", "tls", "x-source", "keytoll", "settings", "weight"] {
            assert!(!partner.contains(secret), "{secret}: {partner}");
        }
        assert!(
            partner.contains("parcels.example.com") && partner.contains("Back after the move.")
        );
        let support = shown(Some(StaffRole::Support)).await;
        assert!(support.contains("client.key") && support.contains("(hidden)"));
        assert!(!support.contains("\"x-source\":\"keytoll\""));
        assert!(shown(Some(StaffRole::Admin)).await.contains("\"x-source\":\"keytoll\""));
    })
    .await;
}
