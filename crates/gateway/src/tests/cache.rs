//! Answers that are kept and given out again.

mod bodies;
mod callers;
mod rules;

use std::sync::atomic::{AtomicU32, Ordering};

use keytoll_domain::catalog::{Bill, Quota};
use keytoll_domain::feed::Changed;
use keytoll_domain::key::Environment;

use super::support::*;

pub(super) const PUBLIC: &str = "Cache-Control: public, max-age=60\r\n";

/// An upstream that numbers its answers; each has these fields.
pub(super) fn counting(fields: &'static str) -> Upstream {
    answering(move |number| {
        let body = format!("answer {number}");
        format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
    })
}

/// Whole answers by their number; HEAD gets their heads.
pub(super) fn answering(answer: impl Fn(u32) -> String + Send + Sync + 'static) -> Upstream {
    let count = AtomicU32::new(0);
    Upstream::with(move |served| {
        read_body(served);
        let answer = answer(count.fetch_add(1, Ordering::SeqCst));
        let end = find(answer.as_bytes(), b"\r\n\r\n").unwrap() + 4;
        let is_head = served.head.starts_with("HEAD ");
        served.client.send(if is_head { &answer[..end] } else { &answer });
        Then::KeepOpen
    })
}

pub(super) fn keeping(upstream: &Upstream) -> Setup {
    let mut setup = Setup::new(upstream);
    setup.settings.cache = true;
    setup
}

/// A call with the usual key and further fields; what the cache did, and the body.
pub(super) fn ask(world: &World, line: &str, fields: &str) -> (String, String) {
    let answer = world.call(line, &format!("X-API-Key: {KEY}\r\n{fields}"));
    (answer.header("x-keytoll-cache").to_owned(), String::from_utf8_lossy(&answer.body).into())
}

pub(super) fn told(result: &str, body: &str) -> (String, String) {
    (result.to_owned(), body.to_owned())
}

/// The sum of the metric's lines with these labels.
pub(super) fn metric(world: &World, name: &str, labels: &str) -> u64 {
    let text = world.gateway().metrics_text();
    let lines = text.lines().filter(|line| line.starts_with(&format!("keytoll_gateway_{name}")));
    let values = lines.filter(|line| line.contains(labels));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_hit_is_a_call_that_no_upstream_sees() {
    let upstream = counting(PUBLIC);
    let mut setup = keeping(&upstream);
    setup.plan.limits.minute = Some(4);
    setup.plan.quota = Some(Quota { units: 100, hard: true });
    let world = setup.start();
    let first = world.get("/zoo/animals?a=1");
    assert_eq!((first.header("x-keytoll-cache"), first.header("age")), ("miss", ""));
    let mut ids = vec![first.header("x-request-id").to_owned()];
    for remaining in ["2", "1", "0"] {
        world.hands.advance_millis(5_000);
        let hit = world.get("/zoo/animals?a=1");
        assert_eq!((hit.status, &*hit.body), (200, &b"answer 0"[..]));
        assert_eq!(hit.header("x-keytoll-cache"), "hit");
        assert_eq!(hit.header("x-ratelimit-remaining"), remaining);
        assert_eq!(hit.header("date"), "Sat, 21 Nov 2026 12:00:00 GMT");
        ids.push(hit.header("x-request-id").to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each call has an id of its own");
    let refused = world.get("/zoo/animals?a=1");
    assert_eq!((refused.code().as_str(), refused.header("x-keytoll-cache")), ("rate_limited", ""));
    assert_eq!(upstream.seen().len(), 1);
    let sums = world.sums();
    assert_eq!(sums, Sums { calls: 4, successes: 4, units: 4 });
    let usage = world.get("/zoo/.keytoll/usage").json();
    assert_eq!(usage["quota"]["remaining"], 96);
    let never_sent = metric(&world, "never_sent_total", "");
    assert_eq!(sums.calls - never_sent, 1, "what the upstream saw");
    for (result, count) in [("hit", 3), ("miss", 1), ("bypass", 0)] {
        let labels = format!("product=\"zoo\",result=\"{result}\"");
        assert_eq!(metric(&world, "cache_calls_total", &labels), count, "{result}");
    }
    assert!(metric(&world, "cache_bytes", "") > 500);
    assert_eq!(metric(&world, "requests_total", "status=\"200\""), 4);
}

#[test]
fn a_hit_tells_its_age_until_it_is_none() {
    let upstream = counting("Cache-Control: public, max-age=60\r\nAge: 10\r\n");
    let world = keeping(&upstream).start();
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("miss", "answer 0"));
    world.hands.advance_millis(7_900);
    assert_eq!(world.get("/zoo/animals").header("age"), "17");
    world.hands.advance_millis(42_000);
    assert_eq!(world.get("/zoo/animals").header("age"), "59");
    world.hands.advance_millis(100);
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("miss", "answer 1"));
    assert_eq!(world.get("/zoo/animals").header("age"), "10");
}

#[test]
fn products_that_do_not_ask_for_it_have_no_cache() {
    let upstream = counting(PUBLIC);
    let world = World::of(&upstream);
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("", "answer 0"));
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("", "answer 1"));
    assert_eq!(metric(&world, "cache_bytes", ""), 0);
    assert!(!world.gateway().metrics_text().contains("cache_calls_total{"));
}

#[test]
fn a_hit_costs_what_the_kept_answer_cost() {
    let upstream = counting("Cache-Control: s-maxage=60\r\nX-Keytoll-Units: 7\r\n");
    let world = keeping(&upstream).start();
    for result in ["miss", "hit", "hit"] {
        let answer = world.get("/zoo/metered");
        assert_eq!(answer.header("x-keytoll-cache"), result);
        assert_eq!(answer.header("x-keytoll-units"), "");
    }
    assert_eq!(world.sums(), Sums { calls: 3, successes: 3, units: 21 });
    let upstream = counting("Cache-Control: s-maxage=60\r\nX-Keytoll-Units: 700\r\n");
    let world = keeping(&upstream).start();
    world.get("/zoo/metered");
    assert_eq!(ask(&world, "GET /zoo/metered", "").0, "hit");
    assert_eq!(world.sums().units, 100, "at most max_units each");
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    world.get("/zoo/herd");
    assert_eq!(ask(&world, "GET /zoo/herd", "").0, "hit");
    assert_eq!(world.sums().units, 6);
}

#[test]
fn a_kept_failure_costs_nothing_where_only_successes_do() {
    let upstream = answering(|_| {
        format!("HTTP/1.1 404 Not Found\r\n{PUBLIC}ETag: \"1\"\r\nContent-Length: 4\r\n\r\ngone")
    });
    let mut setup = keeping(&upstream);
    setup.settings.bill = Bill::Success;
    let world = setup.start();
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("miss", "gone"));
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("hit", "gone"));
    let conditional =
        world.call("GET /zoo/animals", &format!("X-API-Key: {KEY}\r\nIf-None-Match: \"1\"\r\n"));
    assert_eq!(conditional.status, 404);
    assert_eq!(world.sums(), Sums { calls: 3, successes: 0, units: 0 });
}

#[test]
fn decisions_come_before_the_cache() {
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    assert_eq!(ask(&world, "GET /zoo/animals", "").0, "miss");
    let code = |fields: &str| world.call("GET /zoo/animals", fields).code();
    assert_eq!(code(""), "key_missing");
    assert_eq!(code("X-API-Key: wrong\r\n"), "key_invalid");
    let mut product = world.records.snapshot.lock().unwrap().products[0].clone();
    product.settings.maintenance = Some(keytoll_domain::catalog::Maintenance::default());
    world.records.change(Changed::Product(Box::new(product)));
    assert_eq!(world.get("/zoo/animals").code(), "maintenance");
    assert_eq!(world.sums().calls, 1);
}

#[test]
fn environments_and_changed_products_have_answers_of_their_own() {
    let (live, sandbox) = (counting(PUBLIC), counting(PUBLIC));
    let mut setup = keeping(&live);
    setup.sandbox = Some(format!("http://{}", sandbox.addr));
    let mut test = key(9, "test");
    test.environment = Environment::Test;
    setup.keys.push(test);
    let world = setup.start();
    let result = |secret: &str| {
        let answer = world.call("GET /zoo/animals", &format!("X-API-Key: {secret}\r\n"));
        answer.header("x-keytoll-cache").to_owned()
    };
    assert_eq!((result(KEY), result("test")), ("miss".into(), "miss".into()));
    assert_eq!((result(KEY), result("test")), ("hit".into(), "hit".into()));
    assert_eq!((live.seen().len(), sandbox.seen().len()), (1, 1));
    let mut product = world.records.snapshot.lock().unwrap().products[0].clone();
    product.updated_at = product.updated_at.plus_secs(1);
    world.records.change(Changed::Product(Box::new(product)));
    assert_eq!((result(KEY), result("test")), ("miss".into(), "miss".into()));
}

#[test]
fn the_log_has_hits_as_any_call() {
    let path = std::env::temp_dir().join(format!("keytoll-cache-{}.log", std::process::id()));
    let upstream = counting(PUBLIC);
    let mut setup = keeping(&upstream);
    let target = path.clone();
    setup.options = Box::new(move |options| {
        options.workers = 1;
        options.access_log = crate::AccessLog::File(target);
    });
    setup.settings.key_from = vec![keytoll_domain::catalog::KeySource::Query];
    let mut world = setup.start();
    for line in [
        "GET /zoo/animals?a=1&api_key=secret-of-alice",
        "GET /zoo/animals?api_key=secret-of-alice&a=1",
    ] {
        assert_eq!(world.call(line, "").status, 200);
    }
    assert_eq!(upstream.seen().len(), 1, "the key is no part of what is compared");
    world.gateway.take().unwrap().shutdown(std::time::Duration::from_secs(5));
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(!log.contains(KEY), "{log}");
    for member in ["status", "bytes_out", "key", "aborted"] {
        assert_eq!(lines[0][member], lines[1][member], "{member}");
    }
}
