//! Requests against the document.

use std::sync::atomic::Ordering;

use keytoll_domain::catalog::Validation;

use super::routing::version;
use crate::tests::support::{
    Answer, KEY, Setup, Sums, Then, Upstream, World, eventually, operation, read_body,
};

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
    setup(upstream, validation).start()
}

fn setup(upstream: &Upstream, validation: Validation) -> Setup {
    let mut setup = Setup::new(upstream);
    setup.settings.validation = validation;
    setup.documents.insert(None, DOCUMENT.to_owned());
    setup
}

/// Waits for checks that the start does not wait for.
fn wait_for_checks(world: &World) {
    let wrong = "keytoll_gateway_validation_failures_total{product=\"zoo\"";
    eventually("the document is compiled", || {
        world.get("/zoo/animals?limit=x");
        world.gateway().metrics_text().contains(wrong)
    });
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
    wait_for_checks(&world);
    let before = world.sums().calls;
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
    assert_eq!(world.sums().calls, before + 3);
}

#[test]
fn requests_pass_until_the_document_can_be_read() {
    let upstream = echo();
    let mut setup = setup(&upstream, Validation::Enforce);
    let document = setup.documents.remove(&None).unwrap();
    let world = setup.start();
    assert_eq!(post(&world, r#"{"name": 7}"#).status, 200);
    world.records.documents.lock().unwrap().insert(None, document);
    eventually("the document is asked for again", || post(&world, r#"{"name": 7}"#).status == 400);
}

#[test]
fn versions_are_compared_with_their_own_documents() {
    let upstream = echo();
    let mut setup = setup(&upstream, Validation::Enforce);
    let second = DOCUMENT.replace("limit", "most").replace("integer", "boolean");
    setup.documents.insert(Some("2".to_owned()), second);
    setup.product = Box::new(|product| {
        let mut second = version(product, "2", None, "/second");
        second.operations = vec![operation("GET", "/animals")];
        product.versions = vec![second];
    });
    let world = setup.start();
    for (path, status) in [
        ("/zoo/animals?limit=x&most=x", 400),
        ("/zoo/animals?limit=7&most=x", 200),
        ("/zoo/2/animals?limit=x&most=x", 400),
        ("/zoo/2/animals?limit=x&most=true", 200),
    ] {
        assert_eq!(world.get(path).status, status, "{path}");
    }
    assert_eq!(world.records.validators_given.load(Ordering::SeqCst), 2);
}

#[test]
fn products_without_keys_are_compared_too() {
    let upstream = echo();
    let mut setup = setup(&upstream, Validation::Enforce);
    setup.settings.key_from = Vec::new();
    let world = setup.start();
    let wrong = post(&world, r#"{"name": 7}"#);
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "validation_failed"));
    assert_eq!(wrong.json()["violations"][0]["location"], "body#/name");
    assert_eq!(world.call("GET /zoo/elsewhere", "").code(), "no_such_operation");
    let method = world.call("PATCH /zoo/animals", "");
    assert_eq!((method.status, method.header("allow")), (405, "GET, HEAD, POST, PUT"));
    assert!(upstream.seen().is_empty());
    let body = r#"{"name": "Ada"}"#;
    let right = post(&world, body);
    assert_eq!((right.status, right.body.as_slice()), (200, body.as_bytes()));
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn products_without_keys_are_reported_and_pass() {
    let upstream = echo();
    let mut setup = setup(&upstream, Validation::Report);
    setup.settings.key_from = Vec::new();
    let world = setup.start();
    wait_for_checks(&world);
    let body = r#"{"name": 7}"#;
    assert_eq!(post(&world, body).body, body.as_bytes());
    assert_eq!(world.call("GET /zoo/elsewhere", "").status, 200);
    let text = world.gateway().metrics_text();
    for operation in ["POST /animals", ""] {
        let line = format!(
            "keytoll_gateway_validation_failures_total{{product=\"zoo\",operation=\"{operation}\"}} 1"
        );
        assert!(text.contains(&line), "{text}");
    }
}
