//! Spans of calls, as a collector gets them and as the upstream is told of them.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http2;
use super::support::*;
use crate::OtlpOptions;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const PATIENCE: Duration = Duration::from_secs(20);

/// A collector that answers with these statuses, then with 200, and what it is sent: heads and bodies.
fn collector(statuses: Vec<u16>) -> (Upstream, Receiver<(String, String)>) {
    let (sent, received) = channel();
    let shared = Arc::new(Mutex::new((sent, statuses.into_iter())));
    let upstream = Upstream::with(move |served| {
        let body = String::from_utf8(read_body(served)).unwrap();
        let mut shared = shared.lock().unwrap();
        let status = shared.1.next().unwrap_or(200);
        let _ = shared.0.send((served.head.to_owned(), body));
        served.client.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}"));
        Then::Close
    });
    (upstream, received)
}

fn traced(upstream: &Upstream, sample: f64, collector: std::net::SocketAddr) -> Setup {
    let mut setup = Setup::new(upstream);
    setup.options = Box::new(move |options| {
        let endpoint = format!("http://{collector}/otlp");
        let mut otlp = OtlpOptions::new(&endpoint, sample, [("x-token", "t0ken")]).unwrap();
        otlp.retry_wait = Duration::from_millis(1);
        options.otlp = Some(otlp);
    });
    setup
}

/// Ends the gateway; the spans that its collector got.
fn spans_of(mut world: World, received: &Receiver<(String, String)>) -> Vec<Value> {
    let node_name = world.gateway().node().to_owned();
    world.gateway.take().unwrap().shutdown(PATIENCE);
    let mut spans = Vec::new();
    for (_, body) in received.try_iter() {
        assert!(!body.contains(KEY) && !body.contains("t0ken"), "{body}");
        let document: Value = serde_json::from_str(&body).unwrap();
        let here = &document["resourceSpans"][0];
        let node = &here["resource"]["attributes"][2];
        assert_eq!(node["key"], "service.instance.id");
        assert_eq!(node["value"]["stringValue"], node_name.as_str());
        spans.extend(here["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    spans
}

fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = found.and_then(|found| found["value"].as_object()?.values().next().cloned());
    value.unwrap_or_default()
}

fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    assert!(found.next().is_none(), "two of {name}");
    span
}

fn traceparent(head: &str) -> Vec<&str> {
    head.split("\r\n").filter_map(|line| line.strip_prefix("traceparent: ")).collect()
}

#[test]
fn a_recorded_call_is_the_parent_of_what_its_upstream_does() {
    let upstream = Upstream::new();
    let (collector, received) = collector(Vec::new());
    let world = traced(&upstream, 1.0, collector.addr).start();
    let key = "X-API-Key: secret-of-alice\r\n";
    let parent = format!("{key}traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1\r\n");
    assert_eq!(world.call("GET /zoo/animals?api=secret-of-alice", &parent).status, 200);
    let continued = upstream.last();
    assert_eq!(world.call("GET /zoo/animals/7", key).status, 200);
    let begun = upstream.last();
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    assert_eq!(
        world.call("GET /zoo/pens", &format!("{key}traceparent: {unsampled}\r\n")).status,
        200
    );
    assert_eq!(traceparent(&upstream.last()), [unsampled.as_str()]);
    assert_eq!(world.call("GET /zoo/herd", "X-API-Key: wrong\r\n").status, 401);
    assert_eq!(world.call("GET /zoo/nothing/secret-of-alice", key).status, 404);
    assert_eq!(world.call("GET /zoo/.keytoll/usage", key).status, 200);

    let spans = spans_of(world, &received);
    assert_eq!(spans.len(), 4, "{spans:?}");
    let first = named(&spans, "GET /animals");
    let id = first["spanId"].as_str().unwrap();
    assert_eq!((&first["traceId"], &first["parentSpanId"]), (&json!(TRACE), &json!(PARENT)));
    assert_eq!(traceparent(&continued), [format!("00-{TRACE}-{id}-01")]);
    assert!(continued.contains("\r\ntracestate: a=1\r\n"), "{continued}");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/animals"),
        ("http.response.status_code", "200"),
        ("server.address", "api.example"),
        ("network.protocol.version", "1.1"),
        ("keytoll.product", "zoo"),
        ("keytoll.operation", "GET /animals"),
        ("keytoll.key.id", "key_07070707070707070707070707070707"),
    ] {
        assert_eq!(attribute(first, key), value, "{key}");
    }
    assert_eq!(attribute(first, "error.type"), Value::Null);
    let second = named(&spans, "GET /animals/{id}");
    let (trace, id) = (second["traceId"].as_str().unwrap(), second["spanId"].as_str().unwrap());
    assert_eq!(traceparent(&begun), [format!("00-{trace}-{id}-01")]);
    assert!(second.get("parentSpanId").is_none());
    let refusals: Vec<_> = spans.iter().filter(|span| span["name"] == "GET").collect();
    let codes: Vec<_> = refusals.iter().map(|span| attribute(span, "error.type")).collect();
    assert_eq!(refusals.len(), 2);
    assert!(codes.contains(&json!("key_invalid")) && codes.contains(&json!("no_such_operation")));
}

#[test]
fn calls_beyond_the_share_are_left_as_they_are() {
    let upstream = Upstream::new();
    let (collector, received) = collector(Vec::new());
    let world = traced(&upstream, 0.0, collector.addr).start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert!(!upstream.last().contains("trace"));
    assert_eq!(spans_of(world, &received), Vec::<Value>::new());
    assert_eq!(collector.connections(), 0);
}

#[test]
fn a_collector_that_is_busy_is_asked_again_and_told_who_asks() {
    let upstream = Upstream::new();
    let (collector, received) = collector(vec![503, 429]);
    let world = traced(&upstream, 1.0, collector.addr).start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    let requests: Vec<_> = (0..3).map(|_| received.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    let head = &requests[0].0;
    assert!(head.starts_with("POST /otlp/v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-token: t0ken\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(world.gateway().metrics_text().contains("keytoll_gateway_spans_dropped_total 0\n"));
    assert_eq!(spans_of(world, &received).len(), 0);
}

#[test]
fn spans_that_reach_nobody_are_counted_and_calls_go_on() {
    let upstream = Upstream::new();
    let (_held, nobody) = closed_port();
    let (refusing, _received) = collector(vec![400; 8]);
    for (collector, calls) in [(nobody, 3), (refusing.addr, 2)] {
        let world = traced(&upstream, 1.0, collector).start();
        for _ in 0..calls {
            assert_eq!(world.get("/zoo/animals").status, 200);
        }
        let line = format!("keytoll_gateway_spans_dropped_total {calls}\n");
        eventually("spans are dropped", || world.gateway().metrics_text().contains(&line));
        assert_eq!(world.get("/zoo/animals").status, 200);
    }
}

#[test]
fn an_upstream_that_fails_and_a_client_that_leaves_have_spans_too() {
    let upstream = Upstream::with(|served| {
        if served.head.contains("/pens/1") {
            return Then::Close;
        }
        while served.client.fill() > 0 {}
        Then::Close
    });
    let (collector, received) = collector(Vec::new());
    let world = traced(&upstream, 1.0, collector.addr).start();
    assert_eq!(world.get("/zoo/pens/1").status, 502);
    let mut leaver = world.client();
    leaver.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a:81\r\nX-API-Key: {KEY}\r\n\r\n"));
    eventually("the call is upstream", || upstream.last().contains("/animals"));
    drop(leaver);
    eventually("the call is over", || world.connections() == 0);
    let spans = spans_of(world, &received);
    let failed = named(&spans, "GET /pens/{id}");
    assert_eq!(failed["status"], json!({ "code": 2 }));
    assert_eq!(attribute(failed, "error.type"), "upstream_unreachable");
    let left = named(&spans, "GET /animals");
    assert_eq!(attribute(left, "http.response.status_code"), "499");
    assert_eq!(attribute(left, "error.type"), "client_gone");
    assert_eq!(attribute(left, "server.address"), "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_over_http2_says_so() {
    let upstream = Upstream::new();
    let (collector, received) = collector(Vec::new());
    let world = traced(&upstream, 1.0, collector.addr).start();
    let client = http2::connect(&world).await;
    let answer = http2::call(&client, http2::with_key("GET", "/zoo/animals"), b"").await.unwrap();
    assert_eq!(answer.status, 200);
    drop(client);
    let spans = spans_of(world, &received);
    let span = named(&spans, "GET /animals");
    assert_eq!(attribute(span, "network.protocol.version"), "2");
    assert_eq!(attribute(span, "server.address"), "api.example");
}
