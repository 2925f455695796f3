//! Verification for those who put Keytoll beside their own gateway: the same decision, the same counters.

use keytoll_tests::binary::Server;
use keytoll_tests::catalog::{plan, sell};
use keytoll_tests::http::{Request, Response};
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use serde_json::{Value, json};

struct Shop {
    server: Server,
    upstream: Upstream,
    token: String,
    partner: Session,
    key_id: String,
    key: String,
}

fn shop(plan_members: &Value) -> Shop {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", plan_members)]));
    let token = server.token("verifier");
    let partner = Session::sign_up(server.portal, "dev@example.test", "Example");
    partner.subscribe("open");
    let (key_id, key) = partner.create_key(&["items:read"]);
    Shop { server, upstream, token, partner, key_id, key }
}

impl Shop {
    fn verify(&self, body: &Value) -> Value {
        let request = Request::new("POST", "/v1/keys/verify").bearer(&self.token).json(body);
        request.send(self.server.gateway).expect("the gateway answers").expect(200).json()
    }

    fn forward_auth(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::get(path).header("X-Keytoll-Auth", &self.token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send(self.server.gateway).expect("the gateway answers")
    }
}

#[test]
fn verify_tells_who_the_key_belongs_to_and_counts_one_call() {
    let shop = shop(&json!({"limits": {"minute": 10}}));
    let answer =
        shop.verify(&json!({"key": shop.key, "product": "items", "operation": "GET /items"}));
    assert_eq!(answer["valid"], true, "{answer}");
    assert_eq!(answer["code"], "valid");
    assert_eq!(answer["error"], Value::Null);
    assert_eq!(answer["keyId"], shop.key_id.as_str());
    assert_eq!(answer["apiProductIds"], json!(["items"]));
    assert_eq!(answer["environment"], "live");
    assert_eq!(answer["accountId"], answer["partnerId"]);
    let windows = answer["ratelimits"].as_array().expect("a list of limits");
    let minute = windows.iter().find(|window| window["name"] == "minute").expect("the minute");
    assert_eq!((&minute["limit"], &minute["remaining"]), (&json!(10), &json!(9)), "{answer}");

    // The proxy and the verification share their counters.
    let call = shop.server.call("/items/items", &shop.key).expect(200);
    assert_eq!(call.header("x-ratelimit-remaining"), Some("8"));
    keytoll_tests::wait::until_true("both calls to show in the usage", || {
        shop.partner.get("/api/v1/usage").expect(200).json()["totalCalls"] == 2
    });
    assert_eq!(shop.upstream.count(), 1, "verification asks no upstream");
}

#[test]
fn verify_of_an_unknown_or_revoked_key_shows_nothing_else() {
    let shop = shop(&json!({}));
    let unknown = shop.verify(&json!({"key": "sk_live_00000000_nothing"}));
    shop.partner.delete(&format!("/api/v1/keys/{}", shop.key_id)).expect(200);
    let revoked = shop.verify(&json!({"key": shop.key}));
    for answer in [unknown, revoked] {
        assert_eq!(
            answer,
            json!({"valid": false, "code": "key_invalid", "error": "Invalid API key"})
        );
    }
}

#[test]
fn verify_refuses_a_missing_scope_with_its_name() {
    let shop = shop(&json!({}));
    let answer = shop.verify(&json!({"key": shop.key, "product": "items", "scope": "items:write"}));
    assert_eq!((&answer["valid"], &answer["code"]), (&json!(false), &json!("scope_missing")));
    assert_eq!(answer["error"], "Missing scope: items:write");
}

#[test]
fn verify_charges_units_all_or_nothing() {
    let shop = shop(&json!({"limits": {"minute": 20}}));
    let body = json!({"key": shop.key, "product": "items", "units": 15});
    assert_eq!(shop.verify(&body)["code"], "valid");
    assert_eq!(shop.verify(&body)["code"], "rate_limited");
    let five = json!({"key": shop.key, "product": "items", "units": 5});
    assert_eq!(shop.verify(&five)["code"], "valid", "the refused 15 took nothing");
}

#[test]
fn verify_needs_a_management_token() {
    let shop = shop(&json!({}));
    let body = json!({"key": shop.key});
    let bare = Request::new("POST", "/v1/keys/verify").json(&body).send(shop.server.gateway);
    assert_eq!(bare.expect("an answer").expect(401).code(), "token_invalid");
    let wrong = Request::new("POST", "/v1/keys/verify").bearer(&shop.key).json(&body);
    assert_eq!(
        wrong.send(shop.server.gateway).expect("an answer").expect(401).code(),
        "token_invalid"
    );
}

#[test]
fn forward_auth_decides_on_the_original_request() {
    let shop = shop(&json!({"limits": {"minute": 1}}));
    let bearer = format!("Bearer {}", shop.key);
    let original = [
        ("X-Forwarded-Uri", "/items?page=2"),
        ("X-Forwarded-Method", "GET"),
        ("Authorization", bearer.as_str()),
    ];
    let granted = shop.forward_auth("/v1/auth/items", &original);
    assert!((200..300).contains(&granted.status), "{}", granted.text());
    let limited = shop.forward_auth("/v1/auth/items", &original).expect(429);
    assert!(limited.header("retry-after").is_some());
    let no_key = shop.forward_auth("/v1/auth/items", &original[..2]).expect(401);
    assert_eq!(no_key.code(), "key_missing");
}

#[test]
fn forward_auth_for_nginx_answers_only_what_nginx_passes_on() {
    let shop = shop(&json!({"limits": {"minute": 1}}));
    let bearer = format!("Bearer {}", shop.key);
    let original = [
        ("X-Original-URI", "/items"),
        ("X-Original-Method", "GET"),
        ("Authorization", bearer.as_str()),
    ];
    let granted = shop.forward_auth("/v1/auth-nginx/items", &original);
    assert!((200..300).contains(&granted.status), "{}", granted.text());
    let limited = shop.forward_auth("/v1/auth-nginx/items", &original).expect(403);
    assert_eq!(limited.header("x-keytoll-status"), Some("429"));
    assert!(limited.header("retry-after").is_some());
    let problem = limited.header("x-keytoll-problem").expect("the problem travels in a header");
    let problem: Value = serde_json::from_str(problem).expect("the problem is JSON");
    assert_eq!(problem["code"], "rate_limited");
}

#[test]
fn forward_auth_refuses_a_caller_it_does_not_know() {
    let shop = shop(&json!({}));
    let request =
        Request::get("/v1/auth/items").bearer(&shop.key).header("X-Forwarded-Uri", "/items");
    let answer = request.send(shop.server.gateway).expect("an answer").expect(401);
    assert_eq!(answer.code(), "token_invalid");
}
