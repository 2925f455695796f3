//! A plain call, and the refusals in their order.

use keytoll_domain::feed::Changed;
use keytoll_domain::subscription::SubscriptionStatus;
use keytoll_domain::time::Timestamp;

use super::support::*;

#[test]
fn call_200_passes_through_with_ids_and_forwarding() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let answer = world.call(
        "GET /zoo/animals/5?b=2&a=1",
        &format!("Authorization: Bearer {KEY}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: mine\r\nConnection: x-hop\r\nX-Hop: 1\r\nAccept: */*\r\n"),
    );
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{\"ok\":true}"[..]));
    assert_eq!(answer.header("x-up"), "yes");
    let id = answer.header("x-request-id");
    assert_eq!(id.len(), 36);
    let seen = upstream.last();
    assert!(seen.starts_with("GET /base/animals/5?b=2&a=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("\r\nhost: {}\r\n", upstream.addr)), "{seen}");
    assert!(seen.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nx-forwarded-host: api.example\r\n"), "{seen}");
    assert!(seen.contains(&format!("\r\nx-request-id: {id}\r\n")), "{seen}");
    assert!(seen.contains("\r\naccept: */*\r\n"), "{seen}");
    assert!(!seen.contains("hop") && !seen.contains("authorization"), "{seen}");
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
}

#[test]
fn call_refused_in_the_contract_order() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    let mut narrow = key(8, "narrow");
    narrow.scopes = vec!["zoo:read".into()];
    let mut away = key(9, "away");
    away.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()];
    let mut old = key(10, "old");
    old.expires_at = Some(Timestamp(NOON));
    let mut test = key(11, "test");
    test.environment = keytoll_domain::key::Environment::Test;
    let mut other = key(12, "other");
    other.products = Some(vec![slug("bar")]);
    setup.keys.extend([narrow, away, old, test, other]);
    let world = setup.start();
    let cases = [
        ("GET /nope/animals", KEY, 404, "no_such_product"),
        ("GET /zoo/nope", "", 401, "key_missing"),
        ("GET /zoo/nope", "wrong", 401, "key_invalid"),
        ("GET /zoo/nope", "old", 401, "key_expired"),
        ("GET /zoo/nope", "test", 403, "environment_mismatch"),
        ("GET /zoo/nope", "away", 403, "address_denied"),
        ("GET /zoo/nope", "other", 403, "product_not_in_plan"),
        ("GET /zoo/nope", KEY, 404, "no_such_operation"),
        ("PATCH /zoo/animals/5", KEY, 405, "method_not_allowed"),
        ("POST /zoo/animals/5/feed", "narrow", 403, "scope_missing"),
    ];
    for (line, secret, status, code) in cases {
        let field =
            if secret.is_empty() { String::new() } else { format!("X-API-Key: {secret}\r\n") };
        let answer = world.call(line, &field);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{line} {secret}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
        if status == 405 {
            assert_eq!(answer.header("allow"), "GET, HEAD, DELETE");
        }
        if code == "scope_missing" {
            assert_eq!(answer.json()["error"], "Missing scope: zoo:feed");
        }
    }
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn call_401_on_the_request_after_a_revocation() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let mut client = world.client();
    let request = format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
    assert_eq!(client.call(&request).status, 200);
    let mut revoked = key(7, KEY);
    revoked.revoked_at = Some(Timestamp(NOON));
    world.records.change(Changed::Key(Box::new(revoked)));
    assert_eq!(client.call(&request).code(), "key_invalid");
    let mut ahead = key(8, "ahead");
    ahead.revoked_at = Some(Timestamp(NOON + 3_600_000_000));
    world.records.change(Changed::Key(Box::new(ahead)));
    assert_eq!(world.call("GET /zoo/animals", "X-API-Key: ahead\r\n").code(), "key_invalid");
}

#[test]
fn call_402_when_the_subscription_is_not_active() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let mut subscription = world.records.snapshot.lock().unwrap().subscriptions[0].clone();
    subscription.status = SubscriptionStatus::PastDue;
    world.records.change(Changed::Subscription(Box::new(subscription.clone())));
    assert_eq!(world.get("/zoo/animals").code(), "payment_required");
    subscription.status = SubscriptionStatus::Active;
    subscription.ended_at = Some(Timestamp(NOON));
    world.records.change(Changed::Subscription(Box::new(subscription)));
    assert_eq!(world.get("/zoo/animals").code(), "subscription_inactive");
}

#[test]
fn call_403_when_the_plan_lacks_the_operation() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.operations = Some(vec![keytoll_domain::catalog::PlanOperation {
        product: None,
        method: "GET".into(),
        path: "/animals".into(),
    }]);
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals/5").code(), "operation_not_in_plan");
}

#[test]
fn call_without_keys_passes_without_a_ledger_entry() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = Vec::new();
    let world = setup.start();
    assert_eq!(world.call("GET /zoo/anything?api_key=1", "").status, 200);
    assert!(upstream.last().starts_with("GET /base/anything?api_key=1 HTTP/1.1"));
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn health_metrics_and_unknown_paths() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    assert_eq!(world.call("GET /healthz", "").json()["status"], "ok");
    assert_eq!(world.call("GET /readyz", "").status, 200);
    assert_eq!(world.call("POST /healthz", "").status, 405);
    assert_eq!(world.call("GET /v1/nothing", "").status, 404);
    assert_eq!(world.call("GET /", "").code(), "no_such_product");
    world.get("/zoo/animals");
    let text = world.gateway().metrics_text();
    assert!(text.contains("product=\"zoo\",operation=\"GET /animals\",status=\"200\""), "{text}");
}
