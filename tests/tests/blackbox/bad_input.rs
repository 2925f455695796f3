//! What people and attackers get wrong: each a clear message with its place, nothing half-written, and
//! the next right input works.

use keytoll_tests::binary::{Server, run_in};
use keytoll_tests::catalog::{apply, catalog, plan, sell, spec};
use keytoll_tests::http::Request;
use keytoll_tests::portal::Session;
use keytoll_tests::scratch::{Scratch, free_port};
use keytoll_tests::upstream::Upstream;
use serde_json::{Value, json};

/// Runs `serve` with this configuration; it must refuse.
fn serve_refuses(config: &str, texts: &[&str]) {
    let folder = Scratch::new();
    folder.write("keytoll.toml", config);
    run_in(folder.path(), &["serve", "--config", "keytoll.toml"], "").refused(texts);
    assert!(!folder.path().join("keytoll-data").exists(), "a refused start leaves nothing behind");
}

fn check_spec(name: &str, content: impl AsRef<[u8]>) -> keytoll_tests::binary::Outcome {
    let folder = Scratch::new();
    folder.write(name, content);
    run_in(folder.path(), &["spec", "check", name, "--json"], "")
}

#[test]
fn unknown_configuration_key_is_named() {
    serve_refuses(
        "[gateway]\nlisten = \"127.0.0.1:1\"\nlissten = \"x\"\n",
        &["lissten", "keytoll.toml"],
    );
    serve_refuses("[gatevay]\n", &["gatevay"]);
}

#[test]
fn broken_configuration_is_refused_with_its_line() {
    serve_refuses("data_dir = \"x\"\n[gateway\n", &["keytoll.toml", "2"]);
}

#[test]
fn configuration_value_of_the_wrong_kind_is_named() {
    serve_refuses("[gateway]\nlisten = \"nowhere\"\n", &["listen"]);
    serve_refuses("[gateway]\nworkers = \"many\"\n", &["workers"]);
}

#[test]
fn missing_configuration_file_is_named() {
    let folder = Scratch::new();
    run_in(folder.path(), &["serve", "--config", "absent.toml"], "").refused(&["absent.toml"]);
}

#[test]
fn unreadable_spec_is_refused_with_exit_2() {
    for (name, content) in [
        ("broken.json", "{\"openapi\": \"3.1.0\", \"info\": "),
        ("broken.yaml", "openapi: 3.1.0\ninfo: [unclosed\n"),
        ("other.json", "{\"hello\": 1}"),
        ("text.yaml", "just some words"),
        ("empty.yaml", ""),
    ] {
        let outcome = check_spec(name, content).refused(&[name]);
        assert_eq!(outcome.status.code(), Some(2), "{name}: {}", outcome.stderr);
    }
    let folder = Scratch::new();
    run_in(folder.path(), &["spec", "check", "absent.yaml"], "").refused(&["absent.yaml"]);
}

#[test]
fn yaml_bombs_do_no_harm() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = level - 1;
        let aliases = vec![format!("*a{below}"); 10].join(", ");
        laughs.push_str(
            &["a", &level.to_string(), ": &a", &level.to_string(), " [", &aliases, "]\n"].concat(),
        );
    }
    let head = "openapi: 3.0.0\ninfo: {title: Bomb, version: '1'}\npaths: {}\n";
    let bombs = [
        format!("{head}{laughs}"),
        format!("{head}x-loop: &loop\n  again: *loop\n"),
        format!("{head}x-deep: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    for bomb in bombs {
        let outcome = check_spec("bomb.yaml", bomb);
        let code = outcome.status.code();
        assert!(matches!(code, Some(0 | 2)), "{code:?}: {}", outcome.stderr);
    }
}

#[test]
fn self_referencing_schemas_are_no_endless_walk() {
    let mut document = spec();
    document["components"] = json!({"schemas": {
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"$ref": "#/components/schemas/A"},
        "C": {"properties": {"c": {"$ref": "#/components/schemas/C"}}},
    }});
    let found = check_spec("loop.json", document.to_string()).ok().json();
    assert_eq!(found["operations"], 4, "{found}");
}

/// Applies a catalogue that must be refused, and checks that nothing of it was written.
fn catalog_refused(plans: &Value, product: &Value, texts: &[&str]) {
    let upstream = Upstream::start();
    let server = Server::start();
    server.folder.write("items.json", spec().to_string());
    server.folder.write("catalog.yaml", catalog(&upstream, product, plans).to_string());
    server.cli(&["apply", "catalog.yaml"]).refused(texts);
    let staff = Session::with_token(server.portal, &server.token("admin"));
    let products = staff.get("/api/v1/products").expect(200).json();
    assert_eq!(products["products"], json!([]), "nothing half-written");
    apply(&server, &catalog(&upstream, &json!({}), &json!([plan("right", &json!({}))])));
    let plans = staff.get("/api/v1/plans").expect(200).text();
    assert!(plans.contains("right"), "the corrected catalogue is taken: {plans}");
}

#[test]
fn catalog_with_duplicate_ids_is_refused() {
    catalog_refused(
        &json!([plan("twice", &json!({})), plan("twice", &json!({}))]),
        &json!({}),
        &["twice"],
    );
}

#[test]
fn catalog_with_negative_or_huge_numbers_is_refused() {
    for (wrong, place) in [
        (json!({"limits": {"second": -5}}), "/plans/0/limits/second"),
        (json!({"limits": {"second": 0}}), "/plans/0/limits/second"),
        (json!({"limits": {"minute": 10_000_000_001_u64}}), "/plans/0/limits/minute"),
        (
            json!({"quota": {"calls": 1_000_000_000_000_001_u64, "hard": true}}),
            "/plans/0/quota/calls",
        ),
        (json!({"price_monthly": "-1"}), "/plans/0/price_monthly"),
        (json!({"price_monthly": "1e400"}), "/plans/0/price_monthly"),
    ] {
        catalog_refused(&json!([plan("odd", &wrong)]), &json!({}), &["catalog.yaml", place]);
    }
}

#[test]
fn catalog_with_unknown_members_or_operations_is_refused() {
    catalog_refused(&json!([plan("odd", &json!({"prise": "1"}))]), &json!({}), &["prise"]);
    catalog_refused(
        &json!([plan("odd", &json!({"operations": ["GET /nowhere"]}))]),
        &json!({}),
        &["/nowhere"],
    );
    catalog_refused(
        &json!([plan("odd", &json!({"products": ["absent"]}))]),
        &json!({}),
        &["absent"],
    );
    catalog_refused(&json!([]), &json!({"id": "healthz"}), &["healthz"]);
    catalog_refused(&json!([]), &json!({"id": "Not A Slug"}), &["Not A Slug"]);
}

#[test]
fn unknown_plan_is_named() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let made =
        server.cli_json(&["partner", "create", "--name", "Example", "--email", "a@example.test"]);
    let partner = made["id"].as_str().expect("an id");
    server.cli(&["subscribe", "--partner", partner, "--plan", "absent"]).refused(&["absent"]);
    let session = Session::sign_up(server.portal, "b@example.test", "Example");
    let answer = session.post("/api/v1/subscriptions", &json!({"plan": "absent"})).expect(422);
    assert!(answer.text().contains("absent"), "{}", answer.text());
}

#[test]
fn management_api_refuses_what_it_cannot_read() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let session = Session::sign_up(server.portal, "a@example.test", "Example");
    session.subscribe("open");
    let send = |body: Vec<u8>, kind: &str| {
        session.send(Request::new("POST", "/api/v1/keys").header("Content-Type", kind).body(body))
    };
    let huge = json!({"name": "x".repeat(2 << 20), "scopes": ["*"]}).to_string();
    send(huge.into_bytes(), "application/json").expect(413);
    send(b"{\"name\": \"\xff\xfe\"}".to_vec(), "application/json").expect(400);
    send(b"{\"name\": ".to_vec(), "application/json").expect(400);
    send(b"name=x".to_vec(), "application/x-www-form-urlencoded").expect(415);
    for wrong in [
        json!({"name": "", "scopes": ["*"]}),
        json!({"name": "x".repeat(101), "scopes": ["*"]}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["*"], "rateLimitPerMinute": 0}),
        json!({"name": "x", "scopes": ["*"], "rateLimitPerMinute": -3}),
        json!({"name": "x", "scopes": ["*"], "rateLimitPerMinute": 10_001}),
        json!({"name": "x", "scopes": ["*"], "expiresAt": "yesterday"}),
        json!({"name": "x", "scopes": ["*"], "allowedIPs": ["10.255.256.0/24"]}),
    ] {
        let answer = session.post("/api/v1/keys", &wrong);
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {} {}", answer.status, answer.text());
        assert!(answer.json()["code"].is_string(), "{}", answer.text());
    }
}

#[test]
fn management_api_needs_a_session_and_hides_what_is_not_yours() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let nobody = Request::get("/api/v1/keys").send(server.portal).expect("an answer");
    assert_eq!(nobody.expect(401).code(), "not_signed_in");
    let owner = Session::sign_up(server.portal, "a@example.test", "Example A");
    owner.subscribe("open");
    let (id, _) = owner.create_key(&["items:read"]);
    let other = Session::sign_up(server.portal, "b@example.test", "Example B");
    other.delete(&format!("/api/v1/keys/{id}")).expect(404);
    let usage = other.get(&format!("/api/v1/keys/{id}/usage")).expect(404).json();
    assert_eq!(usage["error"], "Key not found");
}

#[test]
fn forged_cross_site_request_is_refused() {
    let server = Server::start();
    let body = json!({"email": "a@example.test", "password": "long-enough-password-1", "partner_name": "A"});
    let forged = Request::new("POST", "/api/v1/signup")
        .header("Origin", "https://evil.example")
        .header("Sec-Fetch-Site", "cross-site")
        .json(&body);
    forged.send(server.portal).expect("an answer").expect(403);
}

#[test]
fn missing_or_doubled_key_is_refused_by_name() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let partner = Session::sign_up(server.portal, "a@example.test", "Example");
    partner.subscribe("open");
    let (_, key) = partner.create_key(&["items:read"]);
    let send = |request: Request| request.send(server.gateway).expect("an answer");
    let items = || Request::get("/items/items");

    let missing = send(items()).expect(401);
    assert_eq!(
        (missing.code().as_str(), &missing.json()["error"]),
        ("key_missing", &json!("API key required"))
    );
    let twice = send(items().header("X-API-Key", &key).header("X-API-Key", &key)).expect(401);
    assert_eq!(twice.code(), "key_ambiguous");
    let in_query = send(Request::get(&format!("/items/items?api_key={key}"))).expect(401);
    assert_eq!(in_query.code(), "key_in_query");
    let wrong_first = send(items().bearer("wrong").header("X-API-Key", &key)).expect(401);
    assert_eq!(wrong_first.code(), "key_invalid");
    assert_eq!(upstream.count(), 0);
    send(items().header("X-API-Key", &key)).expect(200);
    let forwarded = String::from_utf8_lossy(&upstream.last().raw).into_owned();
    assert!(!forwarded.contains(&key), "the key reached the upstream: {forwarded}");
}

#[test]
fn second_process_on_one_data_folder_is_refused() {
    let server = Server::start();
    let config = format!(
        "data_dir = '{}'\n[gateway]\nlisten = \"127.0.0.1:{}\"\n[portal]\nlisten = \"127.0.0.1:{}\"\n",
        server.folder.path().join("data").display(),
        free_port(),
        free_port(),
    );
    server.folder.write("second.toml", config);
    run_in(server.folder.path(), &["serve", "--config", "second.toml"], "").refused(&["data"]);
    assert_eq!(Request::get("/healthz").send(server.gateway).expect("the first lives").status, 200);
}

#[test]
fn dead_upstream_is_502_costs_nothing_and_recovers() {
    let port = free_port();
    let upstream = Upstream::start_on(port);
    let limits = json!({"quota": {"calls": 2, "hard": true}});
    let server = sell(&upstream, &json!([plan("open", &limits)]));
    let partner = Session::sign_up(server.portal, "a@example.test", "Example");
    partner.subscribe("open");
    let (_, key) = partner.create_key(&["items:read"]);
    server.call("/items/items", &key).expect(200);
    drop(upstream);
    for _ in 0..3 {
        let down = server.call("/items/items", &key).expect(502);
        assert_eq!(down.code(), "upstream_unreachable");
    }
    let _upstream = Upstream::start_on(port);
    server.call("/items/items", &key).expect(200);
    assert_eq!(server.call("/items/items", &key).expect(429).code(), "quota_exceeded");
}
