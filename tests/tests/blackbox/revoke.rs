//! A revoked key fails on its next request, whoever revoked it.

use keytoll_tests::binary::{Server, text};
use keytoll_tests::catalog::{plan, sell};
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use serde_json::{Value, json};

struct Shop {
    server: Server,
    _upstream: Upstream,
    subscription: String,
}

fn shop() -> Shop {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let partner =
        server.cli_json(&["partner", "create", "--name", "Example", "--email", "dev@example.test"]);
    let partner = text(&partner, "id");
    let subscription = server.cli_json(&["subscribe", "--partner", &partner, "--plan", "open"]);
    let subscription = text(&subscription, "id");
    Shop { server, _upstream: upstream, subscription }
}

impl Shop {
    fn key(&self, name: &str) -> (String, String) {
        let made = self.server.cli_json(&[
            "key",
            "create",
            "--subscription",
            &self.subscription,
            "--name",
            name,
        ]);
        (text(&made, "id"), text(&made, "key"))
    }
}

/// The receipt names at least one node and misses none.
fn assert_receipt(answer: &Value) {
    let nodes = answer["receipt"]["nodes"].as_array().expect("a receipt lists nodes");
    assert!(!nodes.is_empty(), "{answer}");
    for node in nodes {
        assert!(node["ms"].is_number(), "{answer}");
    }
    assert_eq!(answer["receipt"]["missing"], json!([]), "{answer}");
}

#[test]
fn revoke_from_another_process_is_effective_on_the_next_request() {
    let shop = shop();
    for round in 0..5 {
        let (id, key) = shop.key(&format!("round {round}"));
        shop.server.call("/items/items", &key).expect(200);
        let answer = shop.server.cli_json(&["key", "revoke", &id]);
        let next = shop.server.call("/items/items", &key);
        assert_eq!((next.status, next.code().as_str()), (401, "key_invalid"), "round {round}");
        assert_receipt(&answer);
    }
}

#[test]
fn key_from_another_process_works_at_once() {
    let shop = shop();
    let (_, key) = shop.key("fresh");
    shop.server.call("/items/items", &key).expect(200);
}

#[test]
fn roll_ends_the_old_key_and_starts_the_new_one() {
    let shop = shop();
    let (id, old) = shop.key("production");
    shop.server.call("/items/items", &old).expect(200);
    let rolled = shop.server.cli_json(&["key", "roll", &id]);
    assert_eq!(rolled["revokedKeyId"], id.as_str(), "{rolled}");
    let new = text(&rolled["newKey"], "key");
    shop.server.call("/items/items", &new).expect(200);
    shop.server.call("/items/items", &old).expect(401);
    assert_eq!(rolled["newKey"]["name"], "production", "the command line keeps the name");
}

#[test]
fn roll_with_grace_keeps_the_old_key_for_now() {
    let shop = shop();
    let (id, old) = shop.key("production");
    let rolled = shop.server.cli_json(&["key", "roll", &id, "--grace", "3600"]);
    let new = text(&rolled["newKey"], "key");
    shop.server.call("/items/items", &new).expect(200);
    shop.server.call("/items/items", &old).expect(200);
}

#[test]
fn roll_works_at_the_cap_and_creation_does_not() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let partner = Session::sign_up(server.portal, "cap@example.test", "Example Cap");
    partner.subscribe("open");
    let first = partner.create_key(&["items:read"]).0;
    for _ in 1..25 {
        partner.create_key(&["items:read"]);
    }
    let body = json!({"name": "one more", "scopes": ["items:read"]});
    let refused = partner.post("/api/v1/keys", &body).expect(400).json();
    assert_eq!(refused["error"], "Maximum 25 active keys per account");
    let rolled = partner.post(&format!("/api/v1/keys/{first}/roll"), &json!({}));
    assert!((200..300).contains(&rolled.status), "{}", rolled.text());
    let rolled = rolled.json();
    assert_eq!(rolled["revokedKeyId"], first.as_str());
    assert_eq!(rolled["newKey"]["name"], "black box (rolled)");
    assert_receipt(&rolled);
    server.call("/items/items", &text(&rolled["newKey"], "key")).expect(200);
}
