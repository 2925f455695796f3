use std::collections::BTreeSet;

use super::*;

fn product() -> Product {
    let stored = r#"{"id": "parcels", "name": "Parcels", "description": "", "version": "1", "status": "active",
        "category": null, "tags": [], "upstream": "http://one", "sandbox": "http://sandbox",
        "settings": {"scopes": ["a"]}, "created_at": 0, "updated_at": 0,
        "operations": [{"method": "GET", "path": "/x", "operation_id": null, "summary": "", "tags": [],
            "deprecated": false, "scopes": [["b"]], "units": 1}]}"#;
    serde_json::from_str(stored).expect("a product as the first version stored it")
}

fn version(upstream: Option<&str>) -> ProductVersion {
    let mut operations = product().operations;
    operations[0].scopes = vec![vec!["c".into()]];
    ProductVersion {
        version: "2".into(),
        host: Some("two.example.com".into()),
        status: ProductStatus::Beta,
        upstream: upstream.map(Into::into),
        targets: Vec::new(),
        sandbox: None,
        sandbox_targets: Vec::new(),
        operations,
        document_sha256: None,
    }
}

#[test]
fn a_product_stored_before_policies_reads_back() {
    let mut product = product();
    assert_eq!(
        product.settings,
        ProductSettings { scopes: vec!["a".into()], ..Default::default() }
    );
    assert!(product.settings.identity_headers);
    assert_eq!(product.settings.log_sample_percent, 100);
    product.settings.deprecation = Some(Deprecation {
        at: Timestamp::from_secs(1_798_761_600),
        sunset: None,
        link: Some("https://example.com/end".into()),
    });
    product.settings.maintenance =
        Some(Maintenance { message: None, until: Some(Timestamp::from_secs(1_798_761_600)) });
    product.versions = vec![version(None)];
    let text = serde_json::to_string(&product).expect("JSON");
    assert!(text.contains(r#""at":"2027-01-01T00:00:00Z""#), "{text}");
    assert_eq!(serde_json::from_str::<Product>(&text).expect("the same"), product);
}

#[test]
fn a_version_falls_back_to_the_product() {
    let urls =
        |targets: Vec<Target>| targets.into_iter().map(|target| target.url).collect::<Vec<_>>();
    let mut product = product();
    assert_eq!(product.live_targets(), [Target { url: "http://one".into(), weight: 1 }]);
    let plain = version(None);
    assert_eq!(urls(product.version_live_targets(&plain)), ["http://one"]);
    assert_eq!(urls(product.version_test_targets(&plain)), ["http://sandbox"]);
    let apart = version(Some("http://two"));
    assert_eq!(urls(product.version_live_targets(&apart)), ["http://two"]);
    assert!(product.version_test_targets(&apart).is_empty(), "that sandbox answers as version 1");
    product.targets = vec![Target::only("http://a"), Target::only("http://b")];
    assert_eq!(urls(product.live_targets()), ["http://a", "http://b"]);
    product.versions = vec![apart];
    assert_eq!(product.scopes(), ["a", "b", "c"]);
    assert_eq!(product.host_names().collect::<Vec<_>>(), ["two.example.com"]);
}

#[test]
fn operations_of_versions_have_keys_of_their_own() {
    let id = product().id;
    let keys = BTreeSet::from([
        OperationKey::of(&id, "GET", "/x"),
        OperationKey::of_version(&id, "2", "GET", "/x"),
        OperationKey::of_version(&id, "3", "GET", "/x"),
        OperationKey::of(&id, "GET", "/2/x"),
    ]);
    assert_eq!(keys.len(), 4);
    assert_eq!(
        OperationKey::of_version(&id, "2", "GET", "/x"),
        OperationKey::of(&id, "GET", "2:/x")
    );
}

#[test]
fn header_values_stay_out_of_debug_output() {
    let rules = HeaderRules {
        set: [("authorization".to_owned(), "Bearer upstream-secret".to_owned())].into(),
        remove: vec!["server".into()],
    };
    let told = format!("{rules:?}");
    assert!(told.contains("authorization") && !told.contains("upstream-secret"), "{told}");
}
