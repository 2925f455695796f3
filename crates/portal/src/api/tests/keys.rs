//! Keys, and the lists that all resources have in common.

use keytoll_control::feed;
use keytoll_control::testing::{Remembered, START};
use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::RequestId;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{CallEnd, RecentCall};
use serde_json::{Value, json};

use super::world::World;

/// A world with a subscription of the own partner and its owner's token.
async fn shop() -> (World, String, String) {
    let world = World::new().await;
    let subscription = world.subscription(world.own).await;
    let token = world.partner_token(world.own, "owner").await;
    (world, subscription, token)
}

#[tokio::test]
async fn a_key_is_made_with_the_members_and_defaults_of_r47() {
    let (world, subscription, token) = shop().await;
    let body = json!({"name": " shop ", "scopes": ["tracking:read", "tracking:read"]});
    let made = world.post("/api/v1/keys", &token, &body).await.expect(201);
    assert_eq!(made["name"], "shop");
    assert_eq!(made["scopes"], json!(["tracking:read"]));
    assert_eq!(made["rateLimitPerMinute"], 60);
    assert_eq!(made["environment"], "live");
    assert_eq!(made["subscription"], subscription.as_str());
    assert_eq!(made["createdAt"], "2026-11-30T12:00:01Z");
    assert_eq!(made["warning"], "Store this key securely — it won't be shown again.");
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with(made["keyPrefix"].as_str().unwrap()));

    let listed = world.get("/api/v1/keys", &token).await.expect(200);
    assert!(!listed.to_string().contains(key), "a list never shows a secret");
    let row = &listed["keys"][0];
    assert_eq!((&row["id"], &row["status"]), (&made["id"], &json!("active")));
    assert_eq!((&row["last_used_at"], &row["total_requests"]), (&Value::Null, &json!(0)));
    let shown = world.get(&format!("/api/v1/keys/{}", made["id"].as_str().unwrap()), &token).await;
    assert_eq!(shown.expect(200), *row);
}

#[tokio::test]
async fn every_member_of_a_new_key_counts() {
    let (world, subscription, token) = shop().await;
    let body = json!({
        "name": "all", "scopes": ["*"], "environment": "sandbox", "rateLimitPerMinute": null,
        "apiProductIds": ["tracking"], "subscription": subscription, "partnerId": world.own.to_string(),
        "allowedIPs": ["192.0.2.1", "10.1.2.3/8", "2001:db8::/32"], "expiresAt": "2027-01-01T01:00:00+01:00",
        "unknown": {"members": "are ignored"},
    });
    let made = world.post("/api/v1/keys", &token, &body).await.expect(201);
    assert_eq!((&made["environment"], &made["rateLimitPerMinute"]), (&json!("test"), &Value::Null));
    assert_eq!(made["expiresAt"], "2027-01-01T00:00:00Z");
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    let shown = world.get(&path, &token).await.expect(200);
    assert_eq!(shown["allowed_ips"], json!(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!(shown["products"], json!(["tracking"]));
    world.bench.clock.advance_secs(86_400 * 60);
    assert_eq!(world.get(&path, &token).await.expect(200)["status"], "expired");
}

#[tokio::test]
async fn every_wrong_member_is_named() {
    let (world, _, token) = shop().await;
    for (member, value, place) in [
        ("name", json!(""), "/name"),
        ("name", json!("x".repeat(101)), "/name"),
        ("name", json!(5), "/name"),
        ("name", json!("a\u{0}b"), "/name"),
        ("scopes", json!([]), "/scopes"),
        ("scopes", json!("*"), "/scopes"),
        ("scopes", json!([7]), "/scopes/0"),
        ("scopes", json!(["a b"]), "/scopes/0"),
        ("rateLimitPerMinute", json!(0), "/rateLimitPerMinute"),
        ("rateLimitPerMinute", json!(-3), "/rateLimitPerMinute"),
        ("rateLimitPerMinute", json!(10_001), "/rateLimitPerMinute"),
        ("rateLimitPerMinute", json!(1.5), "/rateLimitPerMinute"),
        ("rateLimitPerMinute", json!("60"), "/rateLimitPerMinute"),
        ("expiresAt", json!("yesterday"), "/expiresAt"),
        ("expiresAt", json!("2020-01-01T00:00:00Z"), "/expiresAt"),
        ("allowedIPs", json!(["10.0.0.1", "10.255.256.0/24"]), "/allowedIPs/1"),
        ("environment", json!("moon"), "/environment"),
        ("apiProductIds", json!(["else"]), "/apiProductIds/0"),
        ("subscription", json!("x"), "/subscription"),
        ("partnerId", json!("x"), "/partnerId"),
    ] {
        let mut body = json!({"name": "x", "scopes": ["*"]});
        body[member] = value;
        let problem = world.post("/api/v1/keys", &token, &body).await;
        let problem = problem.refused(422, "request_unacceptable");
        assert_eq!(problem["errors"][0]["pointer"], place, "{body}");
        assert!(problem["error"].is_string());
    }
    let body = json!({"scopes": [1], "environment": 2});
    let problem = world.post("/api/v1/keys", &token, &body).await;
    let problem = problem.refused(422, "request_unacceptable");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(3), "{problem}");

    let body = json!({"name": "x", "scopes": ["*", "tracking:fly"]});
    let problem = world.post("/api/v1/keys", &token, &body).await.refused(422, "scope_unknown");
    assert_eq!(problem["errors"][0]["pointer"], "/scopes/1");
    let admin = world.staff_token("admin").await;
    let body = json!({"name": "x", "scopes": ["*"], "rateLimitPerMinute": 10_001,
        "partnerId": world.own.to_string()});
    world.post("/api/v1/keys", &admin, &body).await.expect(201);
}

#[tokio::test]
async fn the_subscription_is_the_only_active_one_or_named() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    let body = json!({"name": "x", "scopes": ["*"]});
    let ask = async || world.post("/api/v1/keys", &token, &body).await;
    ask().await.refused(409, "subscription_required");
    let first = world.subscription(world.own).await;
    ask().await.expect(201);
    world.subscription(world.own).await;
    ask().await.refused(409, "subscription_required");

    let path = format!("/api/v1/subscriptions/{first}");
    assert_eq!(world.delete(&path, &token).await.expect(200)["status"], "cancelled");
    world.delete(&path, &token).await.refused(409, "conflict");
    ask().await.expect(201);
    let named = json!({"name": "x", "scopes": ["*"], "subscription": first});
    world.post("/api/v1/keys", &token, &named).await.refused(409, "subscription_inactive");
    let foreign = world.subscription(world.other).await;
    let named = json!({"name": "x", "scopes": ["*"], "subscription": foreign});
    world.post("/api/v1/keys", &token, &named).await.refused(404, "not_found");
    let absent = json!({"plan": "absent"});
    let problem = world.post("/api/v1/subscriptions", &token, &absent).await;
    assert!(problem.refused(422, "plan_unknown")["error"].as_str().unwrap().contains("absent"));
}

#[tokio::test]
async fn the_twenty_sixth_key_is_refused_and_a_roll_is_not() {
    let (world, subscription, token) = shop().await;
    let mut id = String::new();
    for _ in 0..25 {
        id = world.key(&subscription).await;
    }
    let body = json!({"name": "x", "scopes": ["*"]});
    let problem = world.post("/api/v1/keys", &token, &body).await;
    let problem = problem.refused(400, "key_limit_reached");
    assert_eq!(problem["error"], "Maximum 25 active keys per account");

    let path = format!("/api/v1/keys/{id}/roll");
    let rolled = world.post(&path, &token, &Value::Null).await.expect(200);
    assert_eq!(rolled["newKey"]["name"], "key (rolled)");
    assert_eq!(rolled["revokedKeyId"], id.as_str());
    let warning = "Old key is immediately invalid. Update your integration with the new key.";
    assert_eq!(rolled["warning"], warning);
    assert_eq!(rolled["receipt"], json!({"nodes": [], "missing": []}));
    let problem = world.post(&path, &token, &json!({})).await.refused(404, "not_found");
    assert_eq!(problem["error"], "Key not found");
    let again = format!("/api/v1/keys/{}/roll", rolled["newKey"]["id"].as_str().unwrap());
    let rolled = world.post(&again, &token, &json!({})).await.expect(200);
    assert_eq!(rolled["newKey"]["name"], "key (rolled)");
}

#[tokio::test]
async fn a_key_is_revoked_once() {
    let (world, subscription, token) = shop().await;
    let path = format!("/api/v1/keys/{}", world.key(&subscription).await);
    let revoked = world.delete(&path, &token).await.expect(200);
    assert_eq!(
        (&revoked["success"], &revoked["message"]),
        (&json!(true), &json!("Key revoked immediately"))
    );
    assert!(world.bench.wakes.count() > 0, "the gateways are woken");
    let problem = world.delete(&path, &token).await.refused(404, "not_found");
    assert_eq!(problem["error"], "Key not found or already revoked");
    assert_eq!(world.get(&path, &token).await.expect(200)["status"], "revoked");
}

#[tokio::test]
async fn the_receipt_names_the_nodes_that_have_heard_and_those_that_have_not() {
    let (world, subscription, token) = shop().await;
    let path = format!("/api/v1/keys/{}", world.key(&subscription).await);
    feed::applied(&world.bench.ctx, "ahead", 1_000_000).await.unwrap();
    feed::applied(&world.bench.ctx, "behind", 0).await.unwrap();
    let revoked = world.delete(&path, &token).await.expect(200);
    let expected = json!({"nodes": [{"node": "ahead", "ms": 0}], "missing": ["behind"]});
    assert_eq!(revoked["receipt"], expected);
}

#[tokio::test]
async fn foreign_things_have_the_texts_of_unknown_ones() {
    let (world, subscription, _) = shop().await;
    let id = world.key(&subscription).await;
    let stranger = world.partner_token(world.other, "owner").await;
    let usage = world.get(&format!("/api/v1/keys/{id}/usage"), &stranger).await;
    assert_eq!(usage.refused(404, "not_found")["error"], "Key not found");
    let calls = world.get(&format!("/api/v1/keys/{id}/calls?limit=1"), &stranger).await;
    assert_eq!(calls.refused(404, "not_found")["error"], "Key not found");
    let deleted = world.delete(&format!("/api/v1/keys/{id}"), &stranger).await;
    assert_eq!(deleted.refused(404, "not_found")["error"], "Key not found or already revoked");
    let body = json!({"name": "x", "scopes": ["*"], "partnerId": world.own.to_string()});
    world.post("/api/v1/keys", &stranger, &body).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let (world, subscription, token) = shop().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        world.bench.clock.advance_secs(1);
        made.push(world.key(&subscription).await);
    }
    made.reverse();
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = world.get(&format!("/api/v1/keys?limit=2&cursor={cursor}"), &token).await;
        let page = page.expect(200);
        pages += 1;
        for row in page["keys"].as_array().unwrap() {
            seen.push(row["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!((seen, pages), (made, 3));
}

#[tokio::test]
async fn usage_has_all_days_and_a_key_without_calls_has_zeroes() {
    let (world, subscription, token) = shop().await;
    let usage = world.get("/api/v1/usage?days=3", &token).await.expect(200);
    assert_eq!(usage["totalCalls"], 0);
    let day = |date: &str| json!({"date": date, "total": 0, "byApi": {}});
    assert_eq!(usage["daily"], json!([day("2026-11-28"), day("2026-11-29"), day("2026-11-30")]));
    let usage = world.get("/api/v1/usage", &token).await.expect(200);
    assert_eq!(usage["daily"].as_array().map(Vec::len), Some(30));
    let id = world.key(&subscription).await;
    let usage = world.get(&format!("/api/v1/keys/{id}/usage"), &token).await.expect(200);
    assert_eq!(usage["summary"]["totalRequests"], 0);
    assert_eq!((&usage["daily"], &usage["endpoints"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn calls_of_a_key_are_read_page_by_page_and_say_whose_they_are() {
    let (world, subscription, token) = shop().await;
    let id = world.key(&subscription).await;
    let path = format!("/api/v1/keys/{id}/calls");
    let without = world.get(&path, &token).await.expect(200);
    let nothing = json!({"calls": [], "next_cursor": null, "complete": false, "node": null});
    assert_eq!(without, nothing);

    let call = |number| RecentCall {
        request: RequestId(number),
        at: START,
        operation: OperationKey::of(&"tracking".parse().unwrap(), "GET", "/parcels"),
        status: 404,
        units: 2,
        latency_micros: 1_500,
        environment: Environment::Test,
        end: (number != 3).then_some(CallEnd { bytes_in: 5, bytes_out: 70, aborted: true }),
    };
    let remembered = Remembered::of(id.parse().unwrap(), vec![call(3), call(2), call(1)]);
    world.bench.ctx.offer_recent_calls(remembered);
    let first = world.get(&format!("{path}?limit=2"), &token).await.expect(200);
    assert_eq!((&first["complete"], &first["node"]), (&json!(true), &json!("here")));
    assert_eq!(first["calls"].as_array().map(Vec::len), Some(2));
    let running = json!({
        "request_id": "00000000-0000-0000-0000-000000000003", "at": "2026-11-30T12:00:00Z",
        "operation": "GET /parcels", "status": 404, "units": 2, "latency_ms": 1.5, "bytes_in": null,
        "bytes_out": null, "environment": "test", "aborted": false, "node": "here",
    });
    assert_eq!(first["calls"][0], running);
    let ended = &first["calls"][1];
    let told = (&ended["bytes_in"], &ended["bytes_out"], &ended["aborted"]);
    assert_eq!(told, (&json!(5), &json!(70), &json!(true)));
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(cursor, "1.1");
    let last = world.get(&format!("{path}?limit=2&cursor={cursor}"), &token).await.expect(200);
    assert_eq!(
        (last["calls"].as_array().map(Vec::len), &last["next_cursor"]),
        (Some(1), &Value::Null)
    );
    for (query, place) in [("limit=0", "?limit"), ("limit=501", "?limit"), ("cursor=x", "?cursor")]
    {
        let problem = world.get(&format!("{path}?{query}"), &token).await;
        let problem = problem.refused(422, "request_unacceptable");
        assert_eq!(problem["errors"][0]["pointer"], place, "{query}");
    }
}

#[tokio::test]
async fn an_invoice_is_listed_and_shown_with_its_lines() {
    let (world, _, token) = shop().await;
    let id = world.invoice().await;
    let listed = world.get("/api/v1/invoices", &token).await.expect(200);
    let shown = world.get(&format!("/api/v1/invoices/{id}"), &token).await.expect(200);
    assert_eq!(listed["invoices"], json!([shown]));
    assert_eq!((&shown["status"], &shown["number"]), (&json!("draft"), &Value::Null));
    let amounts = shown["lines"].as_array().unwrap().iter();
    let sum: i64 = amounts.map(|line| line["amount_minor"].as_i64().unwrap()).sum();
    assert_eq!(shown["total_minor"], sum);
}

#[tokio::test]
async fn upstream_addresses_are_for_staff_only() {
    let world = World::new().await;
    let staff = world.staff_token("viewer").await;
    let owner = world.partner_token(world.own, "owner").await;
    let path = "/api/v1/products/tracking";
    assert_eq!(world.get(path, &staff).await.expect(200)["upstream"], "http://127.0.0.1:9000/t");
    assert_eq!(world.get(path, &owner).await.expect(200)["upstream"], Value::Null);
    let plans = world.get("/api/v1/plans", &owner).await.expect(200);
    assert_eq!(plans["plans"][0]["operations"], json!(["GET /parcels"]));
}
