//! What holds for every route: what can be read, and what the answer says when it cannot.

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::{Answer, World};

async fn send(world: &World, token: &str, kind: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request =
        Request::post("/api/v1/keys").header(header::AUTHORIZATION, format!("Bearer {token}"));
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_by_kind() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    let json = Some("application/json");
    let huge = json!({"name": "x".repeat(2 << 20), "scopes": ["*"]}).to_string();
    let problem = send(&world, &token, json, huge).await.refused(413, "body_too_large");
    assert_eq!(problem["instance"], "/api/v1/keys");
    let text = b"{\"name\": \"\xff\xfe\"}".to_vec();
    send(&world, &token, json, text).await.refused(400, "request_invalid");
    for malformed in ["", "{\"name\": ", "{'name': 1}", "nul"] {
        send(&world, &token, json, malformed).await.refused(400, "request_invalid");
    }
    let form = Some("application/x-www-form-urlencoded");
    for kind in [form, Some("text/plain"), None] {
        send(&world, &token, kind, "name=x").await.refused(415, "unsupported_media_type");
    }
    for wrong in ["[]", "1", "null", "\"x\""] {
        send(&world, &token, json, wrong).await.refused(422, "request_unacceptable");
    }
}

#[tokio::test]
async fn a_body_of_just_one_mebibyte_is_read() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    let frame = json!({"name": "x", "scopes": ["*"], "more": ""}).to_string().len();
    for (len, code) in [(1 << 20, "subscription_required"), ((1 << 20) + 1, "body_too_large")] {
        let more = "x".repeat(len - frame);
        let body = json!({"name": "x", "scopes": ["*"], "more": more}).to_string();
        assert_eq!(body.len(), len);
        let answer = send(&world, &token, Some("application/json"), body).await;
        assert_eq!(answer.json["code"], code);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = World::new().await;
    for path in ["/api/v1", "/api/v1/", "/api/v1/nowhere", "/api/v1/keys/", "/api/v1/keys/a/b/c"] {
        let answer = world.ask(&Method::GET, path, None, &Value::Null).await;
        assert_eq!(answer.json["code"], "not_found", "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/keys", "GET,HEAD,POST"),
        (Method::PATCH, "/api/v1/keys/x", "GET,HEAD,DELETE"),
        (Method::GET, "/api/v1/login", "POST"),
    ] {
        let answer = world.ask(&method, path, None, &Value::Null).await;
        let found = answer.headers[header::ALLOW].to_str().unwrap().to_owned();
        let (mut found, mut allow): (Vec<_>, Vec<_>) =
            (found.split(',').collect(), allow.split(',').collect());
        found.sort_unstable();
        allow.sort_unstable();
        assert_eq!(found, allow, "{path}");
        answer.refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn queries_are_checked_by_parameter() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    for (path, place) in [
        ("/api/v1/usage?days=0", "?days"),
        ("/api/v1/usage?days=401", "?days"),
        ("/api/v1/usage?days=-1", "?days"),
        ("/api/v1/usage?days=ten", "?days"),
        ("/api/v1/usage?environment=moon", "?environment"),
        ("/api/v1/keys?limit=0", "?limit"),
        ("/api/v1/keys?limit=501", "?limit"),
        ("/api/v1/keys?cursor=x", "?cursor"),
        ("/api/v1/keys?partner=%00", "?partner"),
    ] {
        let problem = world.get(path, &token).await.refused(422, "request_unacceptable");
        assert_eq!(problem["errors"][0]["pointer"], place, "{path}");
    }
    world.get("/api/v1/usage?days=1&more=%ff&environment=sandbox", &token).await.expect(200);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_even_where_none_is_needed() {
    let world = World::new().await;
    for path in ["/api/v1/keys", "/api/v1/products"] {
        for value in ["Bearer ", "Bearer kt_x", "Basic YTpi", "x"] {
            let request = Request::get(path).header(header::AUTHORIZATION, value);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
            answer.refused(401, "not_signed_in");
        }
    }
}

/// Over a real connection: a client that is still sending must get to read the refusal.
#[tokio::test]
async fn the_refusal_of_a_large_body_arrives() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(crate::serve(listener, world.router(), std::future::pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    let len = 2 << 20;
    let head = format!(
        "POST /api/v1/keys HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&vec![b' '; len]).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
    server.abort();
}

#[tokio::test]
async fn a_store_that_is_down_is_unavailable_and_says_no_more() {
    let world = World::new().await;
    let token = world.partner_token(world.own, "owner").await;
    world.bench.ctx.store.close().await;
    let answer = world.get("/api/v1/keys", &token).await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    let problem = answer.refused(503, "unavailable");
    assert_eq!(problem["detail"], "Try again shortly.");
}
