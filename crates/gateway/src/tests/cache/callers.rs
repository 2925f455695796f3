//! Who shares what with whom.

use std::sync::Barrier;

use keytoll_domain::feed::Changed;
use keytoll_domain::ids::{PartnerId, SubscriptionId};

use super::super::http2::{call, connect, request, with_key};
use super::super::support::*;
use super::{PUBLIC, answering, ask, counting, keeping, metric, told};

#[test]
fn partners_share_unless_the_answer_depends_on_them() {
    for (fields, shared) in [
        (PUBLIC, true),
        ("Cache-Control: public, max-age=60\r\nVary: X-Keytoll-Partner-Id\r\n", false),
        ("Cache-Control: public, max-age=60\r\nVary: Accept, x-keytoll-key-id\r\n", false),
        ("Cache-Control: public, max-age=60\r\nVary: X-Keytoll-Plan\r\n", true),
        ("Cache-Control: public, max-age=60\r\nVary: X-API-Key, Authorization\r\n", true),
    ] {
        let upstream = counting(fields);
        let world = keeping(&upstream).start();
        let mut other = world.records.snapshot.lock().unwrap().subscriptions[0].clone();
        other.id = SubscriptionId::from_bytes([2; 16]);
        other.partner = PartnerId::from_bytes([2; 16]);
        let mut bob = key(8, "secret-of-bob");
        (bob.subscription, bob.partner) = (other.id, other.partner);
        world.records.change(Changed::Subscription(Box::new(other)));
        world.records.change(Changed::Key(Box::new(bob)));
        let result = |secret: &str| {
            // A forged word about the caller is not what is compared.
            let fields = format!("X-API-Key: {secret}\r\nX-Keytoll-Partner-Id: forged\r\n");
            world.call("GET /zoo/animals", &fields).header("x-keytoll-cache").to_owned()
        };
        assert_eq!(result(KEY), "miss");
        assert_eq!(result("secret-of-bob"), if shared { "hit" } else { "miss" }, "{fields}");
        assert_eq!([result(KEY), result("secret-of-bob")], ["hit", "hit"], "{fields}");
        assert_eq!(world.sums().calls, 4);
    }
}

#[test]
fn variants_are_told_apart_as_the_upstream_sees_them() {
    let upstream =
        counting("Cache-Control: public, max-age=60\r\nVary: Accept-Language, Cookie-Free\r\n");
    let mut setup = keeping(&upstream);
    setup.settings.request_headers.remove = vec!["cookie-free".into()];
    let world = setup.start();
    let asked = |fields: &str| ask(&world, "GET /zoo/animals", fields);
    assert_eq!(asked("Accept-Language: de\r\n"), told("miss", "answer 0"));
    assert_eq!(asked("Accept-Language: en\r\n"), told("miss", "answer 1"));
    assert_eq!(asked(""), told("miss", "answer 2"));
    assert_eq!(asked("accept-language:  de \r\n"), told("hit", "answer 0"));
    assert_eq!(asked("Accept-Language: en\r\nCookie-Free: 1\r\n"), told("hit", "answer 1"));
    assert_eq!(asked("Accept-Language: de\r\nAccept-Language: en\r\n").0, "miss");
}

#[test]
fn nobody_chooses_what_others_are_told_their_host_is() {
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    let result = |host: &str| {
        let fields = format!("Host: {host}\r\nX-API-Key: {KEY}\r\n\r\n");
        let answer = world.client().call(&format!("GET /zoo/animals HTTP/1.1\r\n{fields}"));
        answer.header("x-keytoll-cache").to_owned()
    };
    assert_eq!(["evil.example", "a.example", "a.example"].map(result), ["miss", "miss", "hit"]);
}

#[test]
fn upstreams_that_see_keys_have_no_cache() {
    let upstream = counting(PUBLIC);
    let mut setup = keeping(&upstream);
    setup.settings.forward_key = true;
    let world = setup.start();
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("", "answer 0"));
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("", "answer 1"));
    assert_eq!(metric(&world, "cache_bytes", ""), 0);
}

#[test]
fn workers_share_what_is_kept() {
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    assert_eq!(ask(&world, "GET /zoo/animals", "").0, "miss");
    let accepted = |worker: u32| metric(&world, "accepted_total", &format!("worker=\"{worker}\""));
    while accepted(0) < 2 || accepted(1) < 2 {
        assert_eq!(ask(&world, "GET /zoo/animals", ""), told("hit", "answer 0"));
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn calls_that_miss_at_once_all_get_whole_answers() {
    const CALLERS: usize = 16;
    let letter = |number: u32| char::from(b'a' + u8::try_from(number).unwrap()).to_string();
    let upstream = answering(move |number| {
        let body = letter(number).repeat(20_000);
        format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: {}\r\n\r\n{body}", body.len())
    });
    let world = keeping(&upstream).start();
    let start = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..20 {
                    let (_, body) = ask(&world, "GET /zoo/animals", "");
                    assert!(body == body[..1].repeat(20_000));
                }
            });
        }
    });
    let sums = world.sums();
    assert_eq!(sums.calls, 20 * CALLERS as u64);
    let sent = sums.calls - metric(&world, "never_sent_total", "");
    assert_eq!(sent, upstream.seen().len() as u64);
    assert!(sent <= CALLERS as u64, "each caller misses once at most");
    assert_eq!(ask(&world, "GET /zoo/animals", "").0, "hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_http2_share_with_those_of_http1() {
    let upstream = answering(|number| {
        let body = number.to_string().repeat(100_000);
        format!(
            "HTTP/1.1 200 OK\r\n{PUBLIC}ETag: \"a\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let world = keeping(&upstream).start();
    let client = connect(&world).await;
    let got = call(&client, with_key("GET", "/zoo/animals"), b"").await.unwrap();
    assert_eq!((got.header("x-keytoll-cache"), got.body.len()), ("miss", 100_000));
    for _ in 0..3 {
        let got = call(&client, with_key("GET", "/zoo/animals"), b"").await.unwrap();
        assert_eq!(
            (got.status, got.header("x-keytoll-cache"), got.header("age")),
            (200, "hit", "0")
        );
        assert_eq!((got.header("content-length"), &got.body), ("100000", &vec![b'0'; 100_000]));
    }
    assert_eq!(ask(&world, "GET /zoo/animals", "").0, "hit");
    let got = call(&client, with_key("HEAD", "/zoo/animals"), b"").await.unwrap();
    assert_eq!((got.header("x-keytoll-cache"), got.header("content-length")), ("hit", "100000"));
    let known =
        request("GET", "/zoo/animals").header("x-api-key", KEY).header("if-none-match", "*");
    let got = call(&client, known.body(()).unwrap(), b"").await.unwrap();
    assert_eq!((got.status, got.body.len(), got.header("content-length")), (304, 0, ""));
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(world.sums().calls, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_a_hit_aborts_its_own_call_only() {
    let upstream = answering(|_| {
        let body = "a".repeat(250_000);
        format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: 250000\r\n\r\n{body}")
    });
    let path = std::env::temp_dir().join(format!("keytoll-cache-left-{}.log", std::process::id()));
    let target = path.clone();
    let mut setup = keeping(&upstream);
    setup.plan.concurrency = Some(1);
    setup.options = Box::new(move |options| {
        options.workers = 1;
        options.access_log = crate::AccessLog::File(target);
    });
    let mut world = setup.start();
    let client = connect(&world).await;
    let whole = || async { call(&client, with_key("GET", "/zoo/animals"), b"").await.unwrap() };
    assert_eq!(whole().await.header("x-keytoll-cache"), "miss");
    // On a connection of its own, whose windows stay full.
    let mut sender = connect(&world).await.ready().await.unwrap();
    let (answer, mut out) = sender.send_request(with_key("GET", "/zoo/animals"), true).unwrap();
    let head = answer.await.unwrap();
    assert_eq!(head.headers()["x-keytoll-cache"], "hit");
    assert_eq!(whole().await.status, 429, "the call is still running");
    out.send_reset(h2::Reason::CANCEL);
    drop(head);
    let mut got = whole().await;
    while got.status == 429 {
        got = whole().await;
    }
    assert_eq!((got.header("x-keytoll-cache"), got.body.len()), ("hit", 250_000));
    assert_eq!((world.sums().calls, upstream.seen().len()), (3, 1));
    world.gateway.take().unwrap().shutdown(std::time::Duration::from_secs(5));
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let granted = log.lines().filter(|line| line.contains("\"status\":200"));
    let aborted: Vec<bool> = granted.map(|line| line.contains("\"aborted\":true")).collect();
    assert_eq!(aborted, [false, true, false], "{log}");
}
