//! Verification, forward authentication and the verifier of other threads: the same decision, the same counters.

use keytoll_domain::catalog::{Plan, Product, Quota, WindowLimits};
use keytoll_domain::feed::{Changed, SnapshotKey};
use keytoll_domain::ids::{KeyId, PartnerId};
use keytoll_domain::key::{BcryptHash, KeyHash};
use keytoll_domain::subscription::Subscription;
use serde_json::{Value, json};

use super::support::*;
use crate::{KeyRef, Question};

fn verify(world: &World, question: &Value) -> Answer {
    let body = question.to_string();
    let head =
        format!("POST /v1/keys/verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n");
    world.client().call(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

#[test]
fn verify_answers_charges_and_shares_the_counters() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(3), ..WindowLimits::default() };
    let mut narrow = key(8, "narrow");
    narrow.scopes = vec!["zoo:feed".into()];
    setup.keys.push(narrow);
    let world = setup.start();
    let valid =
        verify(&world, &json!({"key": KEY, "product": "zoo", "operation": "GET /animals"})).json();
    assert_eq!(
        (&valid["valid"], &valid["code"], &valid["error"]),
        (&true.into(), &"valid".into(), &Value::Null)
    );
    assert_eq!(valid["keyId"], KeyId::from_bytes([7; 16]).to_string());
    assert_eq!((&valid["rateLimitTier"], &valid["environment"]), (&"basic".into(), &"live".into()));
    assert_eq!(valid["apiProductIds"], json!(["zoo"]));
    let minute =
        json!({"name": "minute", "limit": 3, "remaining": 2, "reset": NOON / 1_000_000 + 60});
    assert_eq!(valid["ratelimits"], json!([minute]));
    assert_eq!(world.get("/zoo/animals").header("x-ratelimit-remaining"), "1");
    let unknown = verify(&world, &json!({"key": "nope"})).json();
    assert_eq!(unknown, json!({"valid": false, "code": "key_invalid", "error": "Invalid API key"}));
    let scope = verify(&world, &json!({"key": "narrow", "scope": "zoo:other"})).json();
    assert_eq!(
        (&scope["code"], &scope["error"]),
        (&"scope_missing".into(), &"Missing scope: zoo:other".into())
    );
    assert_eq!(
        verify(&world, &json!({"key": "narrow", "scope": "zoo:feed"})).json()["valid"],
        true
    );
    let limited = verify(&world, &json!({"key": KEY})).json();
    assert_eq!(
        (&limited["code"], &limited["ratelimits"][0]["remaining"]),
        (&"rate_limited".into(), &0.into())
    );
    assert_eq!(world.sums(), Sums { calls: 3, successes: 3, units: 3 });
}

/// Every byte: clients of other makes parse it.
#[test]
fn verify_answers_are_written_as_told() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(3), ..WindowLimits::default() };
    setup.plan.quota = Some(Quota { units: 100, hard: true });
    let mut narrow = key(8, "narrow");
    narrow.scopes = vec!["zoo:feed".into()];
    narrow.products = Some(Vec::new());
    setup.keys.push(narrow);
    let world = setup.start();
    let reset = NOON / 1_000_000 + 60;
    let partner = PartnerId::from_bytes([1; 16]);
    let of_zoo = r#""apiProductIds":["zoo"]"#;
    let known = |number: u8, products: &str, remaining: [u64; 2]| {
        format!(
            r#""keyId":"{}","accountId":"{partner}","partnerId":"{partner}",{products},"environment":"live","rateLimitTier":"basic","ratelimits":[{{"name":"minute","limit":3,"remaining":{},"reset":{reset}}},{{"name":"quota","limit":100,"remaining":{},"reset":1796083200}}]}}"#,
            KeyId::from_bytes([number; 16]),
            remaining[0],
            remaining[1],
        )
    };
    let body = |question: &Value| {
        let answer = verify(&world, question);
        assert_eq!(answer.header("content-type"), "application/json");
        String::from_utf8(answer.body).unwrap()
    };
    let valid = known(7, of_zoo, [2, 99]);
    assert_eq!(
        body(&json!({"key": KEY, "product": "zoo"})),
        format!(r#"{{"valid":true,"code":"valid","error":null,{valid}"#)
    );
    let lacking = known(8, r#""apiProductIds":[]"#, [2, 99]);
    assert_eq!(
        body(&json!({"key": "narrow", "scope": "a\"b\\\n"})),
        format!(
            r#"{{"valid":false,"code":"scope_missing","error":"Missing scope: a\"b\\\n",{lacking}"#
        )
    );
    assert_eq!(
        body(&json!({"key": "narrow", "product": "zoo"})),
        format!(
            r#"{{"valid":false,"code":"product_not_in_plan","error":"Product not in plan",{lacking}"#
        )
    );
    assert_eq!(
        body(&json!({"key": "unknown"})),
        r#"{"valid":false,"code":"key_invalid","error":"Invalid API key"}"#
    );
}

/// The products of a plan are a text made once: a change of either makes it anew.
#[test]
fn verify_lists_what_the_key_is_for_now() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.products = vec![slug("zoo"), slug("ark")];
    let mut narrow = key(8, "narrow");
    narrow.products = Some(vec![slug("ark")]);
    setup.keys.push(narrow);
    let world = setup.start();
    let products = |key: &str| verify(&world, &json!({"key": key})).json()["apiProductIds"].clone();
    assert_eq!((products(KEY), products("narrow")), (json!(["zoo"]), json!([])));
    let zoo = world.records.snapshot.lock().unwrap().products[0].clone();
    world.records.change(Changed::Product(Box::new(Product { id: slug("ark"), ..zoo })));
    assert_eq!((products(KEY), products("narrow")), (json!(["ark", "zoo"]), json!(["ark"])));
    let next = Plan { version: 2, products: vec![slug("ark")], ..plan() };
    world.records.change(Changed::Plan(Box::new(next)));
    assert_eq!(products(KEY), json!(["ark", "zoo"]));
    let moved = Subscription { plan_version: 2, ..subscription() };
    world.records.change(Changed::Subscription(Box::new(moved)));
    assert_eq!((products(KEY), products("narrow")), (json!(["ark"]), json!(["ark"])));
}

/// Keys of imports that only a bcrypt hash tells are found by every way to ask, and charged once.
#[test]
fn keys_known_by_bcrypt_are_verified() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let secrets = ["legacy-one-0001", "legacy-two-0002", "legacy-six-0003"];
    let imported = secrets.iter().zip(20u8..).map(|(secret, number)| {
        let hash = bcrypt::hash(secret, 4).unwrap();
        let bcrypt = Some(Box::new(BcryptHash { prefix: "legacy".into(), hash }));
        SnapshotKey { bcrypt, hash: KeyHash([number; 32]), ..key(number, "").into() }
    });
    world.records.change(Changed::Keys(imported.collect()));
    let wrong = verify(&world, &json!({"key": "legacy-one-0002"})).json();
    assert_eq!(wrong, json!({"valid": false, "code": "key_invalid", "error": "Invalid API key"}));
    for _ in 0..2 {
        let valid = verify(&world, &json!({"key": secrets[0], "product": "zoo"})).json();
        assert_eq!(
            (&valid["valid"], &valid["keyId"]),
            (&true.into(), &KeyId::from_bytes([20; 16]).to_string().into())
        );
    }
    let token = format!("X-Keytoll-Auth: {TOKEN}\r\n");
    let fields = format!("{token}X-API-Key: {}\r\n", secrets[1]);
    let granted = world.call("GET /v1/auth/zoo/animals", &fields);
    let id = KeyId::from_bytes([21; 16]).to_string();
    assert_eq!((granted.status, granted.header("x-keytoll-key-id")), (200, id.as_str()));
    let asked = "X-Original-Method: GET\r\nX-Original-URI: /animals\r\n";
    let fields = format!("{token}{asked}X-API-Key: {}\r\n", secrets[2]);
    let trusted = world.call("GET /v1/auth-nginx/zoo", &fields);
    let id = KeyId::from_bytes([22; 16]).to_string();
    assert_eq!((trusted.status, trusted.header("x-keytoll-key-id")), (200, id.as_str()));
    let unknown = format!("{token}X-API-Key: legacy-none-0004\r\n");
    assert_eq!(world.call("GET /v1/auth/zoo/animals", &unknown).status, 401);
    assert_eq!(world.sums().calls, 4);
}

#[test]
fn verify_needs_a_token_and_a_well_formed_question() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let body = "Content-Length: 2\r\n\r\n{}";
    assert_eq!(world.call("POST /v1/keys/verify", body).code(), "token_invalid");
    for body in [
        "{}",
        "[",
        "{\"key\":1}",
        "{\"key\":\"a\",\"units\":-1}",
        "{\"key\":\"a\",\"units\":0}",
        "{\"key\":\"a\",\"units\":1000000001}",
    ] {
        let head =
            format!("POST /v1/keys/verify HTTP/1.1\r\nHost: a\r\nX-Keytoll-Auth: {TOKEN}\r\n");
        let answer =
            world.client().call(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(answer.code(), "request_invalid", "{body}");
    }
}

#[test]
fn forward_auth_answers_as_the_proxy_would() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(2), ..WindowLimits::default() };
    let world = setup.start();
    let token = format!("X-Keytoll-Auth: {TOKEN}\r\n");
    let asked = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /animals/5?x=1\r\n";
    let key = format!("X-API-Key: {KEY}\r\n");
    assert_eq!(world.call("GET /v1/auth/zoo", &format!("{asked}{key}")).code(), "token_invalid");
    let granted = world.call("GET /v1/auth/zoo", &format!("{token}{asked}{key}"));
    assert_eq!((granted.status, granted.header("x-keytoll-plan")), (200, "basic"));
    assert_eq!(granted.header("x-keytoll-key-id"), KeyId::from_bytes([7; 16]).to_string());
    assert_eq!(granted.header("x-ratelimit-remaining"), "1");
    let suffix = world.call("DELETE /v1/auth/zoo/animals/5", &format!("{token}{key}"));
    assert_eq!(suffix.status, 200);
    let limited = world.call("GET /v1/auth/zoo", &format!("{token}{asked}{key}"));
    assert_eq!((limited.status, limited.header("retry-after")), (429, "60"));
    assert_eq!(world.call("GET /v1/auth/zoo", &format!("{token}{asked}")).status, 401);
    assert_eq!(world.call("GET /v1/auth/zoo", &format!("{token}{key}")).status, 400);
    assert_eq!(world.call("GET /v1/auth/zoo/nope", &format!("{token}{key}")).status, 404);
    assert_eq!(world.call("GET /v1/auth/zoo/animals/%2e%2e", &format!("{token}{key}")).status, 400);
    assert_eq!(world.sums().calls, 2);
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn nginx_auth_narrows_every_refusal_to_401_or_403() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(1), ..WindowLimits::default() };
    setup.options =
        Box::new(|options| options.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let world = setup.start();
    let key = format!("X-API-Key: {KEY}\r\n");
    let asked = "X-Original-Method: GET\r\nX-Original-URI: /animals\r\n";
    assert_eq!(world.call("GET /v1/auth-nginx/zoo", &format!("{asked}{key}")).status, 200);
    let limited = world.call("GET /v1/auth-nginx/zoo", &format!("{asked}{key}"));
    assert_eq!((limited.status, limited.header("x-keytoll-status")), (403, "429"));
    assert_eq!(limited.header("retry-after"), "60");
    let problem: Value = serde_json::from_str(limited.header("x-keytoll-problem")).unwrap();
    assert_eq!(problem["code"], "rate_limited");
    let missing = world.call("GET /v1/auth-nginx/zoo", asked);
    assert_eq!((missing.status, missing.header("x-keytoll-status")), (401, "401"));
    assert_eq!(world.call("GET /v1/auth-nginx/zoo", &key).header("x-keytoll-status"), "400");
}

#[test]
fn allowlist_takes_the_rightmost_address_that_is_no_trusted_proxy() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.keys[0].allowed_ips = vec!["10.1.0.0/16".parse().unwrap()];
    setup.options = Box::new(|options| {
        options.trusted_proxies =
            vec!["127.0.0.0/8".parse().unwrap(), "192.168.0.1/32".parse().unwrap()];
    });
    let world = setup.start();
    for (chain, status) in [
        ("10.1.2.3", 200),
        ("6.6.6.6, 10.1.2.3, 192.168.0.1", 200),
        ("10.1.2.3, 6.6.6.6", 403),
        ("10.1.2.3, nonsense", 403),
        ("::ffff:10.1.2.3", 200),
    ] {
        let fields = format!("X-API-Key: {KEY}\r\nX-Forwarded-For: {chain}\r\n");
        assert_eq!(world.call("GET /zoo/animals", &fields).status, status, "{chain}");
    }
    assert!(upstream.last().contains("\r\nx-forwarded-for: ::ffff:10.1.2.3, 127.0.0.1\r\n"));
}

#[test]
fn verifier_of_other_threads_decides_by_id_with_the_same_counters() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(2), ..WindowLimits::default() };
    let world = setup.start();
    let verifier = world.gateway().verifier();
    let question = |key| Question {
        key,
        product: Some("zoo"),
        operation: Some("GET /animals"),
        scope: None,
        address: None,
        units: None,
    };
    assert!(verifier.ask(&question(KeyRef::Id(KeyId::from_bytes([7; 16])))).refusal.is_none());
    assert!(verifier.ask(&question(KeyRef::Secret(KEY.as_bytes()))).refusal.is_none());
    assert_eq!(world.get("/zoo/animals").code(), "rate_limited");
    let unknown = verifier.ask(&question(KeyRef::Id(KeyId::from_bytes([9; 16]))));
    assert_eq!(unknown.refusal.map(keytoll_domain::refusal::Refusal::code), Some("key_invalid"));
    assert_eq!(world.sums().units, 2);
}

#[test]
fn refusals_reach_the_refused_rollup() {
    let upstream = Upstream::new();
    let mut world = World::of(&upstream);
    for _ in 0..3 {
        assert_eq!(world.get("/zoo/nope").status, 404);
    }
    world.get("/zoo/animals");
    world.gateway.take().unwrap().shutdown(std::time::Duration::from_secs(20));
    assert_eq!(world.ledger.refused("no_such_operation"), 3);
}

#[test]
fn verify_knows_no_product_without_keys() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = Vec::new();
    let world = setup.start();
    let answer = verify(&world, &json!({"key": KEY, "product": "zoo"})).json();
    assert_eq!((&answer["valid"], &answer["code"]), (&false.into(), &"no_such_product".into()));
    assert_eq!(world.sums().calls, 0);
}

#[test]
fn verify_takes_the_usual_units_where_upstreams_have_a_say() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let question = json!({"key": KEY, "product": "zoo", "operation": "GET /metered"});
    assert_eq!(verify(&world, &question).json()["valid"], true);
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 2 });
}

#[test]
fn questions_are_counted_for_their_product_and_logged_with_their_key() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    let file = std::env::temp_dir().join(format!("keytoll-asked-{}.log", std::process::id()));
    let target = file.clone();
    setup.options = Box::new(move |options| options.access_log = crate::AccessLog::File(target));
    let world = setup.start();
    let asked = [
        json!({"key": KEY, "product": "zoo"}),
        json!({"key": KEY, "product": "zoo", "operation": "GET /none"}),
    ];
    for question in &asked {
        assert_eq!(verify(&world, question).status, 200);
    }
    let fields = format!(
        "X-Keytoll-Auth: {TOKEN}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /animals\r\nX-API-Key: {KEY}\r\n"
    );
    assert_eq!(world.call("GET /v1/auth/zoo", &fields).status, 200);
    let text = world.gateway().metrics_text();
    for (status, code, count) in [("200", "", 2), ("404", "no_such_operation", 1)] {
        let wanted = |line: &&str| {
            line.contains("product=\"zoo\"")
                && line.contains(&format!("status=\"{status}\""))
                && line.contains(&format!("=\"{code}\""))
        };
        let line = text.lines().find(wanted).unwrap_or_else(|| panic!("{status}: {text}"));
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    drop(world);
    let log = std::fs::read_to_string(&file).unwrap();
    let key = format!("\"key\":\"{}\"", KeyId::from_bytes([7; 16]));
    assert_eq!(log.lines().filter(|line| line.contains(&key)).count(), 3, "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("no_such_operation")).count(), 1, "{log}");
    let _ = std::fs::remove_file(file);
}
