//! Limits of calls that run at once: a place is taken at the grant and comes back at the end, however that looks.

use std::sync::{Arc, Mutex, mpsc};

use super::support::*;

const CALL: &str = "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: secret-of-alice\r\n\r\n";

/// One call at a time; each waits within its answer's body for a word.
fn one_at_a_time(answer: &'static str) -> (Upstream, World, mpsc::Sender<&'static str>) {
    let (go, wait) = mpsc::channel::<&'static str>();
    let wait = Arc::new(Mutex::new(wait));
    let upstream = Upstream::with(move |served| {
        served.client.send(answer);
        let Ok(rest) = wait.lock().unwrap().recv() else { return Then::Close };
        served.client.send(rest);
        if rest.is_empty() { Then::Close } else { Then::KeepOpen }
    });
    let mut setup = Setup::new(&upstream);
    setup.plan.concurrency = Some(1);
    let world = setup.start();
    (upstream, world, go)
}

fn assert_busy(world: &World) {
    let refused = world.get("/zoo/animals");
    assert_eq!((refused.status, refused.code().as_str()), (429, "concurrency_limited"));
    assert_eq!((refused.header("retry-after"), &refused.json()["retryAfter"]), ("1", &1.into()));
}

#[test]
fn call_429_until_the_body_of_the_running_one_has_ended() {
    let heads = ["Content-Length: 4\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"];
    for (head, rest) in heads.into_iter().zip(["ay", "2\r\nay\r\n0\r\n\r\n"]) {
        let head = format!("HTTP/1.1 200 OK\r\n{head}").leak();
        let (upstream, world, go) = one_at_a_time(head);
        for calls in 1..=3 {
            let mut client = world.client();
            client.send(CALL);
            while upstream.seen().len() < calls {
                std::thread::yield_now();
            }
            assert_busy(&world);
            go.send(rest).unwrap();
            assert_eq!(client.answer().unwrap().body, b"okay");
        }
        assert_eq!(world.sums(), Sums { calls: 3, successes: 3, units: 3 });
    }
}

#[test]
fn place_comes_back_when_the_call_fails_or_its_client_leaves() {
    let (upstream, world, go) = one_at_a_time("");
    let asking = |calls| {
        let mut client = world.client();
        client.send(CALL);
        while upstream.seen().len() < calls {
            std::thread::yield_now();
        }
        assert_busy(&world);
        client
    };
    let mut failing = asking(1);
    go.send("no HTTP\r\n\r\n").unwrap();
    assert_eq!(failing.answer().unwrap().status, 502);
    drop(asking(2));
    free_again(&world, &go);
}

#[test]
fn place_comes_back_when_the_client_leaves_within_the_body() {
    let (_upstream, world, go) = one_at_a_time("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
    let mut client = world.client();
    client.send(CALL);
    assert_eq!(client.head().status, 200);
    assert_busy(&world);
    drop(client);
    free_again(&world, &go);
}

/// The end of a connection is seen a moment after the client has closed it. Every wait of an upstream gets its
/// word: that of the call which was left, that of the call which is let in, and those of its retries.
fn free_again(world: &World, go: &mpsc::Sender<&'static str>) {
    for _ in 0..10_000 {
        (0..4).for_each(|_| go.send("").unwrap());
        let answer = world.client().call(CALL);
        if answer.status != 429 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the place did not come back");
}

#[test]
fn refused_and_unlimited_calls_hold_no_place() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.concurrency = Some(1);
    let mut narrow = key(8, "narrow");
    narrow.scopes = vec!["zoo:read".into()];
    setup.keys.push(narrow);
    let world = setup.start();
    for _ in 0..3 {
        let refused = world.call("POST /zoo/animals/1/feed", "X-API-Key: narrow\r\n");
        assert_eq!(refused.code(), "scope_missing");
        let verify = "{\"key\":\"narrow\",\"product\":\"zoo\"}";
        let asked = format!(
            "Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{verify}",
            verify.len()
        );
        let verified =
            world.client().call(&format!("POST /v1/keys/verify HTTP/1.1\r\nHost: a\r\n{asked}"));
        assert_eq!(verified.json()["code"], "valid");
        assert_eq!(world.call("GET /zoo/animals", "X-API-Key: narrow\r\n").status, 200);
    }
}
