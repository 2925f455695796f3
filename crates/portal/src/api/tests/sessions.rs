//! Sessions of browsers, and management tokens.

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

use super::world::{Answer, World};

const PASSWORD: &str = "long enough password";

fn cookie(answer: &Answer) -> String {
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Secure"));
    set.split(';').next().unwrap().to_owned()
}

async fn sign_up(world: &World, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD, "partner_name": "Example"});
    world.ask(&Method::POST, "/api/v1/signup", None, &body).await
}

async fn with_cookie(world: &World, request: http::request::Builder, cookie: &str) -> Answer {
    let request = request.header(header::COOKIE, cookie);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    world.send(request.body(Body::from(r#"{"plan": "basic"}"#)).unwrap()).await
}

#[tokio::test]
async fn sign_up_buys_nothing_and_its_session_is_that_of_an_owner() {
    let world = World::new().await;
    let answer = sign_up(&world, "Dev@Example.com").await;
    let cookie = cookie(&answer);
    let begun = answer.expect(201);
    let shown = with_cookie(&world, Request::get("/api/v1/session"), &cookie).await.expect(200);
    assert_eq!(shown["user"], json!({"id": begun["user"], "email": "dev@example.com"}));
    assert_eq!(shown["partners"], json!([{"partner": begun["partner"], "role": "owner"}]));
    assert_eq!((&shown["staff"], &shown["token"]), (&Value::Null, &Value::Null));
    let listed = with_cookie(&world, Request::get("/api/v1/subscriptions"), &cookie).await;
    assert_eq!(listed.expect(200)["subscriptions"], json!([]));
    let bought = with_cookie(&world, Request::post("/api/v1/subscriptions"), &cookie).await;
    let bought = bought.expect(201);
    assert_eq!((&bought["status"], &bought["plan"]), (&json!("active"), &json!("basic")));
    assert_eq!(bought["period_end"], "2026-12-01T00:00:00Z");

    sign_up(&world, "dev@example.com").await.refused(409, "conflict");
    let problem = sign_up(&world, "nobody").await.refused(422, "request_unacceptable");
    assert_eq!(problem["errors"][0]["pointer"], "/email");
}

#[tokio::test]
async fn log_in_and_out() {
    let world = World::new().await;
    sign_up(&world, "dev@example.com").await.expect(201);
    let log_in = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        world.ask(&Method::POST, "/api/v1/login", None, &body).await
    };
    log_in("dev@example.com", "another password").await.refused(401, "not_signed_in");
    log_in("else@example.com", PASSWORD).await.refused(401, "not_signed_in");
    let answer = log_in(" DEV@example.com", PASSWORD).await;
    let cookie = cookie(&answer);
    assert_eq!(answer.expect(200)["partner"], Value::Null);
    with_cookie(&world, Request::get("/api/v1/keys"), &cookie).await.expect(200);
    let out = with_cookie(&world, Request::post("/api/v1/logout"), &cookie).await;
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    out.expect(204);
    let after = with_cookie(&world, Request::get("/api/v1/keys"), &cookie).await;
    after.refused(401, "not_signed_in");
}

#[tokio::test]
async fn a_session_ends_after_thirty_days() {
    let world = World::new().await;
    let cookie = cookie(&sign_up(&world, "dev@example.com").await);
    world.bench.clock.advance_secs(30 * 86_400 - 1);
    with_cookie(&world, Request::get("/api/v1/keys"), &cookie).await.expect(200);
    world.bench.clock.advance_secs(1);
    let after = with_cookie(&world, Request::get("/api/v1/keys"), &cookie).await;
    after.refused(401, "not_signed_in");
}

#[tokio::test]
async fn a_session_changes_nothing_for_another_site() {
    let world = World::new().await;
    let cookie = cookie(&sign_up(&world, "dev@example.com").await);
    let post = || Request::post("/api/v1/subscriptions");
    for request in [
        post().header("Sec-Fetch-Site", "cross-site"),
        post().header("Sec-Fetch-Site", "same-site"),
        post().header("Origin", "https://evil.example"),
        post().header("Origin", "null"),
        post().header("Host", "evil.example").header("Origin", "http://evil.example"),
    ] {
        with_cookie(&world, request, &cookie).await.refused(403, "cross_site");
    }
    let own = post().header("Origin", "https://portal.example.com");
    with_cookie(&world, own.header("Sec-Fetch-Site", "same-origin"), &cookie).await.expect(201);

    for path in ["/api/v1/signup", "/api/v1/login", "/api/v1/logout"] {
        let request = Request::post(path).header("Origin", "https://evil.example");
        with_cookie(&world, request, "a=b").await.refused(403, "cross_site");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_is_revoked() {
    let world = World::new().await;
    let owner = world.partner_token(world.own, "owner").await;
    let body = json!({"name": "deploy", "role": "developer"});
    let made = world.post("/api/v1/tokens", &owner, &body).await.expect(201);
    assert_eq!((&made["name"], &made["role"]), (&json!("deploy"), &json!("developer")));
    let secret = made["token"].as_str().unwrap();
    let shown = world.get("/api/v1/session", secret).await.expect(200);
    assert_eq!((&shown["token"], &shown["user"]), (&made["id"], &Value::Null));

    let listed = world.get("/api/v1/tokens", &owner).await.expect(200);
    assert!(!listed.to_string().contains(secret));
    let mine = listed["tokens"].as_array().unwrap().iter().find(|row| row["id"] == made["id"]);
    assert_eq!(mine.unwrap()["revoked_at"], Value::Null);

    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let revoked = world.delete(&path, &owner).await.expect(200);
    assert_eq!(revoked["receipt"], json!({"nodes": [], "missing": []}));
    world.get("/api/v1/keys", secret).await.refused(401, "not_signed_in");
    world.delete(&path, &owner).await.refused(404, "not_found");
}

#[tokio::test]
async fn nobody_makes_a_token_with_more_than_their_own_role() {
    let world = World::new().await;
    let developer = world.partner_token(world.own, "developer").await;
    for (role, status) in [("developer", 201), ("viewer", 201), ("billing", 403), ("owner", 403)] {
        let body = json!({"name": "x", "role": role});
        let answer = world.post("/api/v1/tokens", &developer, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{role}: {}", answer.json);
    }
    let body = json!({"name": "x", "role": "emperor"});
    let problem = world.post("/api/v1/tokens", &developer, &body).await;
    assert_eq!(problem.refused(422, "request_unacceptable")["errors"][0]["pointer"], "/role");
    let admin = world.staff_token("admin").await;
    let body = json!({"name": "x", "role": "owner"});
    world.post("/api/v1/tokens", &admin, &body).await.refused(403, "role_missing");
    let body = json!({"name": "x", "role": "verifier"});
    let made = world.post("/api/v1/tokens", &admin, &body).await.expect(201);
    assert_eq!(made["partner"], Value::Null);
}
