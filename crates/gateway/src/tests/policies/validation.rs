//! Requests against the document.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keytoll_domain::catalog::Validation;

use crate::tests::support::{Answer, KEY, Setup, Sums, Then, Upstream, World, read_body};

const DOCUMENT: &str = r#"{"openapi": "3.1.0", "info": {"title": "Zoo", "version": "1"}, "paths": {
    "/animals": {
        "get": {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
            "responses": {"200": {"description": "ok"}}},
        "post": {"requestBody": {"required": true, "content": {"application/json": {"schema":
            {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}},
            "responses": {"200": {"description": "ok"}}}}}}"#;

/// Answers with the body it got.
fn echo() -> Upstream {
    Upstream::with(|served| {
        let body = String::from_utf8(read_body(served)).unwrap();
        let length = body.len();
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"));
        Then::KeepOpen
    })
}

fn world(upstream: &Upstream, validation: Validation) -> World {
    let mut setup = Setup::new(upstream);
    setup.settings.validation = validation;
    let world = setup.start();
    *world.records.document.lock().unwrap() = DOCUMENT.to_owned();
    while world.records.validators_given.load(Ordering::SeqCst) == 0 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    // The slot is filled right after the document was read.
    std::thread::park_timeout(Duration::from_millis(100));
    world
}

fn post(world: &World, body: &str) -> Answer {
    world.client().call(&format!(
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn enforce_refuses_with_the_places_and_charges_nothing() {
    let upstream = echo();
    let world = world(&upstream, Validation::Enforce);
    let wrong = post(&world, r#"{"name": 7}"#);
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "validation_failed"));
    assert_eq!(wrong.json()["violations"][0]["location"], "body#/name");
    assert!(wrong.json()["violations"][0]["message"].is_string());
    assert_eq!(world.get("/zoo/animals?limit=x").code(), "validation_failed");
    assert_eq!(world.call("GET /zoo/animals?limit=x", "").code(), "key_missing");
    let large = "x".repeat(keytoll_apispec::limits::MAX_VALIDATED_BODY_BYTES + 1);
    let announced = format!(
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        large.len()
    );
    assert_eq!(world.client().call(&announced).code(), "body_too_large");
    assert!(upstream.seen().is_empty());
    assert_eq!(world.sums(), Sums::default());

    let body = r#"{"name": "Ada"}"#;
    let right = post(&world, body);
    assert_eq!((right.status, right.body.as_slice()), (200, body.as_bytes()));
    let chunked = world.client().call(&format!(
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nExpect: 100-continue\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"nam\r\na\r\n\
         e\": \"Ada\"}}\r\n0\r\n\r\n"
    ));
    assert_eq!((chunked.status, chunked.body.as_slice()), (200, body.as_bytes()));
    assert_eq!(world.get("/zoo/animals?limit=7").status, 200);
    assert_eq!(world.sums().calls, 3);
}

#[test]
fn report_counts_and_passes() {
    let upstream = echo();
    let world = world(&upstream, Validation::Report);
    let body = r#"{"name": 7}"#;
    let answer = post(&world, body);
    assert_eq!((answer.status, answer.body.as_slice()), (200, body.as_bytes()));
    assert_eq!(post(&world, r#"{"name": "Ada"}"#).status, 200);
    let large = format!("\"{}\"", "x".repeat(keytoll_apispec::limits::MAX_VALIDATED_BODY_BYTES));
    let answer = post(&world, &large);
    assert_eq!((answer.status, answer.body.len()), (200, large.len()), "passes unread");
    let text = world.gateway().metrics_text();
    let line =
        "keytoll_gateway_validation_failures_total{product=\"zoo\",operation=\"POST /animals\"} 1";
    assert!(text.contains(line), "{text}");
    assert_eq!(world.sums().calls, 3);
}

#[test]
fn requests_pass_until_the_document_can_be_read() {
    let upstream = echo();
    let mut setup = Setup::new(&upstream);
    setup.settings.validation = Validation::Enforce;
    let world = setup.start();
    assert_eq!(post(&world, r#"{"name": 7}"#).status, 200);
}
