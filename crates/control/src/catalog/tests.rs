use std::collections::BTreeMap;

use keytoll_domain::catalog::{Category, KeySource, ProductStatus};

use super::*;
use crate::products::DraftDocument;

pub(crate) mod policies;

/// Documents by reference.
#[derive(Default)]
pub(crate) struct Specs(pub(crate) BTreeMap<String, String>);

impl SpecReader for Specs {
    fn read(&self, reference: &str) -> Result<Vec<u8>, String> {
        let found = self.0.get(reference).ok_or_else(|| format!("{reference}: not found"))?;
        Ok(found.clone().into_bytes())
    }

    fn read_beside(&self, _: &str, relative: &str) -> Result<Vec<u8>, String> {
        self.read(relative)
    }

    fn absolute(&self, path: &str) -> Result<String, String> {
        Ok(format!("/etc/keytoll/{path}"))
    }
}

pub(crate) const TRACKING: &str = r#"{"openapi":"3.1.0","info":{"title":"Tracking","version":"2.1.0"},
    "paths":{"/shipments":{"get":{"summary":"List","responses":{}},"post":{"responses":{}}},
    "/shipments/{id}":{"get":{"security":[{"o":["read:shipments"]}],"responses":{}}}}}"#;

pub(crate) fn specs() -> Specs {
    Specs(BTreeMap::from([("./tracking.json".into(), TRACKING.into())]))
}

/// R30's product as its document prints it; nobody answers at its addresses.
pub(crate) const R30: &str = "products:
  - id: shipment-tracking
    name: Shipment Tracking API
    description: Real-time tracking of shipments
    version: 2.1.0
    category: logistics
    openApiSpec: https://api.example.com/specs/shipment-tracking.json
    baseUrl: https://api.example.com/tracking/v2
    sandboxUrl: https://sandbox.example.com/tracking/v2
    status: active
    tags: [tracking, shipments]
    pricing:
      free: {monthlyQuota: 500, ratePerSecond: 2}
      starter: {monthlyPrice: 49, includedCalls: 10000, overagePer1000: 3, ratePerSecond: 20}
      enterprise:
        monthlyPrice: 299
        includedCalls: 100000
        overagePer1000: 1.5
        ratePerSecond: 100
";

fn faults(text: &str) -> Vec<String> {
    let Err(faults) = parse(text, &specs()) else { panic!("accepted: {text}") };
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn r30_loads_as_printed() {
    let catalogue = parse(R30, &specs()).expect("R30 as printed");
    let product = &catalogue.products[0];
    assert_eq!(product.category, Some(Category::Logistics));
    assert_eq!(product.status, Some(ProductStatus::Active));
    assert_eq!(product.version.as_deref(), Some("2.1.0"));
    assert_eq!(product.upstream.as_deref(), Some("https://api.example.com/tracking/v2"));
    assert!(matches!(product.document, DraftDocument::OutOfReach(_)));
    let told: Vec<String> = catalogue
        .plans
        .iter()
        .map(|plan| {
            let quota = plan.quota.expect("all three have a quota");
            format!(
                "{} {}/{} {}+{:?} {:?}/s",
                plan.slug,
                quota.units,
                if quota.hard { "hard" } else { "soft" },
                plan.price.price_monthly,
                plan.price.overage_per_1000.map(|price| price.to_string()),
                plan.limits.second,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "shipment-tracking-free 500/hard 0+None Some(2)/s",
            "shipment-tracking-starter 10000/soft 49+Some(\"3\") Some(20)/s",
            "shipment-tracking-enterprise 100000/soft 299+Some(\"1.5\") Some(100)/s",
        ]
    );
}

#[test]
fn own_members_are_read() {
    let text = r#"
currency: EUR
products:
  - {id: tracking, spec: ./tracking.json, upstream: "http://127.0.0.1:9000/t/", key_from: [header, bearer],
     scopes: [extra], operations: {"GET /shipments": {scopes: [], units: 2}}, default_expiry_days: 30}
  - {id: open, spec: ./tracking.json, key_from: []}
plans:
  - {id: basic, products: [tracking], operations: ["GET /shipments", "tracking GET /shipments/{id}"],
     price_monthly: "49.90", included_calls: 10000, overage_per_1000: 0.5, quota: {calls: 500, hard: false},
     limits: {second: 20, minute: 600}, concurrency: 8, spend_cap: "500.5", key_format: hex8_base64url32}
  - {id: endless, products: [tracking, open], quota: {calls: -1}, included_calls: -1}
"#;
    let catalogue = parse(text, &specs()).expect("a good catalogue");
    let product = &catalogue.products[0];
    assert_eq!(product.upstream.as_deref(), Some("http://127.0.0.1:9000/t"));
    let settings = product.settings.as_ref().expect("a catalogue sets them");
    assert_eq!(settings.key_from, [KeySource::Header, KeySource::Bearer]);
    assert_eq!(settings.operations["GET /shipments"].units, Some(2));
    assert_eq!(settings.operations["GET /shipments"].scopes, Some(vec![]));
    assert!(catalogue.products[1].settings.as_ref().is_some_and(|s| s.key_from.is_empty()));
    let basic = &catalogue.plans[0];
    assert_eq!(basic.price.price_monthly.to_string(), "49.90");
    assert_eq!(basic.price.currency, Currency::EUR);
    assert_eq!(basic.operations.as_ref().map(Vec::len), Some(2));
    assert_eq!((basic.concurrency, basic.spend_cap_minor), (Some(8), Some(50_050)));
    let endless = &catalogue.plans[1];
    assert_eq!((endless.quota, endless.concurrency, endless.spend_cap_minor), (None, None, None));
}

#[test]
fn mistakes_name_their_place() {
    let cases = [
        ("products: [{id: a, colour: red}]", "line 1: "),
        ("plans:\n  - {id: p, products: [a], prize: 1}", "line 2: "),
        ("products: [{id: V1}]", "line 1: /products/0/id: `V1` is not a slug"),
        ("products: [{id: v1}]", "line 1: /products/0/id: v1 is reserved"),
        (
            "products: [{id: a, spec: ./none.json}]",
            "line 1: /products/0/spec: ./none.json: not found",
        ),
        (
            "products: [{id: a, upstream: \"ftp://x\"}]",
            "line 1: /products/0/upstream: the address begins",
        ),
        (
            "products: [{id: a, upstream: \"http://u:p@x\"}]",
            "line 1: /products/0/upstream: an address holds no user",
        ),
        ("products: [{id: a}, {id: a}]", "line 1: /products/1/id: product a occurs twice"),
        ("products: [{id: a, scopes: [\"a b\"]}]", "line 1: /products/0/scopes/0: "),
        ("plans: [{id: p, products: []}]", "line 1: /plans/0/products: a plan names"),
        (
            "plans: [{id: p, products: [a], price_monthly: -3}]",
            "line 1: /plans/0/price_monthly: -3 is negative",
        ),
        ("plans: [{id: p, products: [a], price_monthly: 1e3}]", "line 1: /plans/0/price_monthly: "),
        (
            "plans: [{id: p, products: [a], limits: {second: 0}}]",
            "line 1: /plans/0/limits/second: 0 is no whole",
        ),
        (
            "plans: [{id: p, products: [a], limits: {second: 10000000001}}]",
            "line 1: /plans/0/limits/second: ",
        ),
        (
            "plans: [{id: p, products: [a], limits: {minute: -2}}]",
            "line 1: /plans/0/limits/minute: -2 is no",
        ),
        (
            "plans: [{id: p, products: [a], quota: {calls: 1000000000000001}}]",
            "line 1: /plans/0/quota/calls: ",
        ),
        (
            "plans: [{id: p, products: [a], quota: {calls: 99999999999999999999}}]",
            "line 1: /plans/0/quota/calls: ",
        ),
        (
            "plans: [{id: p, products: [a], concurrency: 0}]",
            "line 1: /plans/0/concurrency: 0 is no whole number from 1 to 10000",
        ),
        (
            "plans: [{id: p, products: [a], concurrency: 10001}]",
            "line 1: /plans/0/concurrency: 10001 is no",
        ),
        (
            "plans: [{id: p, products: [a], spend_cap: \"4.999\"}]",
            "line 1: /plans/0/spend_cap: 4.999 has more than 2 places",
        ),
        (
            "currency: JPY\nplans: [{id: p, products: [a], spend_cap: 4.5}]",
            "line 2: /plans/0/spend_cap: 4.5 has more than 0 places",
        ),
        ("plans: [{id: p, products: [a], spend_cap: -1}]", "line 1: /plans/0/spend_cap: -1"),
        (
            "plans: [{id: p, products: [a], spend_cap: 1000000000001}]",
            "line 1: /plans/0/spend_cap: the amount is too large",
        ),
        (
            "plans: [{id: p, products: [a], included_calls: 1.5}]",
            "line 1: /plans/0/included_calls: 1.5 is no",
        ),
        (
            "plans: [{id: p, products: [a], operations: [\"/x\"]}]",
            "line 1: /plans/0/operations/0: ",
        ),
        (
            "plans: [{id: p, products: [a]}, {id: p, products: [a]}]",
            "line 1: /plans/1/id: plan p occurs twice",
        ),
        (
            "products: [{id: a, key_grouping: {length: 8, split: true, interval: 4, case: upper}}]",
            "line 1: /products/0/key_grouping/length: shorter than 32 digits",
        ),
        (
            "plans: [{id: p, products: [a], key_grouping: {length: 0, split: true, interval: 4, case: upper}}]",
            "line 1: /plans/0/key_grouping/length: shorter than 32 digits",
        ),
        ("currency: usd", "/currency: "),
        ("products: 3", "line 1: "),
        ("products: [", "line 1: "),
        ("products: []\nproducts: []", "line 2: "),
    ];
    for (text, expected) in cases {
        let found = faults(text);
        assert!(found[0].starts_with(expected), "{text}\n{found:?}");
    }
}

#[test]
fn a_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let list = vec![before; 9].join(", ");
        text = format!("{text}a{level}: &a{level} [{list}]\n");
    }
    assert_eq!(faults(&text).len(), 1);
}

#[test]
fn a_generated_plan_collides_with_a_written_one() {
    let text =
        format!("{R30}plans:\n  - {{id: shipment-tracking-free, products: [shipment-tracking]}}\n");
    assert_eq!(faults(&text), ["line 21: /plans/0/id: plan shipment-tracking-free occurs twice"]);
}
