//! Upstreams that are down, slow, rude or wrong, and clients that leave.

use std::time::Duration;

use keytoll_domain::catalog::Quota;

use super::support::*;

fn hurried(upstream: &Upstream) -> Setup {
    let mut setup = Setup::new(upstream);
    setup.plan.quota = Some(Quota { units: 2, hard: true });
    setup.options = Box::new(|options| {
        options.bounds.first_byte = Duration::from_millis(100);
        options.bounds.idle = Duration::from_millis(100);
    });
    setup
}

fn used(world: &World) -> u64 {
    world.get("/zoo/.keytoll/usage").json()["units"].as_u64().unwrap()
}

#[test]
fn call_502_when_the_upstream_is_down_and_the_quota_comes_back() {
    let upstream = Upstream::new();
    let mut setup = hurried(&upstream);
    let (_held, nobody) = closed_port();
    setup.upstream = Some(format!("http://{nobody}"));
    let world = setup.start();
    for _ in 0..3 {
        let answer = world.get("/zoo/animals");
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
        assert_eq!(answer.header("x-ratelimit-remaining"), "2");
    }
    assert_eq!(used(&world), 0);
    assert_eq!(world.sums(), Sums { calls: 3, successes: 0, units: 0 });
}

#[test]
fn call_502_when_the_answer_is_no_http() {
    let answers: [&str; 8] = [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "",
    ];
    for answer in answers {
        let upstream = Upstream::with(move |served| {
            served.client.send(answer);
            Then::Close
        });
        let world = hurried(&upstream).start();
        assert_eq!(world.get("/zoo/animals").status, 502, "{answer}");
        assert_eq!(world.sums(), Sums { calls: 1, successes: 0, units: 0 }, "{answer}");
    }
}

#[test]
fn call_504_when_the_upstream_stays_silent() {
    let upstream = Upstream::with(|served| {
        while served.client.fill() > 0 {}
        Then::Close
    });
    let world = hurried(&upstream).start();
    let answer = world.get("/zoo/animals");
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"));
    assert_eq!(used(&world), 0);
}

#[test]
fn call_408_when_the_clients_body_stops_and_the_quota_comes_back() {
    let upstream = Upstream::with(|served| {
        read_body(served);
        Then::Close
    });
    let world = hurried(&upstream).start();
    let mut client = world.client();
    client.send(format!(
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 10\r\n\r\nabc"
    ));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
    assert_eq!(used(&world), 0);
    assert_eq!(world.sums(), Sums { calls: 1, successes: 0, units: 0 });
}

#[test]
fn answer_is_cut_off_when_the_upstream_breaks_within_the_body() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::with(move |served| {
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
        wait.lock().unwrap().recv().unwrap();
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.take(5), b"short");
    go.send(()).unwrap();
    assert_eq!(client.take(1), b"", "the connection must end");
    assert_eq!(world.sums().units, 1);
}

#[test]
fn interim_answers_are_skipped() {
    let upstream = Upstream::with(|served| {
        served
            .client
            .send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
        served.client.send("HTTP/1.1 204 No Content\r\n\r\n");
        Then::KeepOpen
    });
    assert_eq!(World::of(&upstream).get("/zoo/animals").status, 204);
}

#[test]
fn connections_are_reused_and_a_closed_one_is_replaced() {
    let upstream = Upstream::with(|served| {
        let close = served.head.contains("/animals/last");
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if close { Then::Close } else { Then::KeepOpen }
    });
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.workers = 1);
    let world = setup.start();
    for _ in 0..5 {
        assert_eq!(world.get("/zoo/animals/1").status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    for _ in 0..20 {
        assert_eq!(world.get("/zoo/animals/last").status, 200);
        assert_eq!(world.get("/zoo/animals/1").status, 200);
    }
    assert_eq!(world.sums().units, 45);
    assert_eq!(upstream.seen().len(), 45);
}

#[test]
fn client_gone_is_charged_when_its_request_went_upstream() {
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::with(move |served| {
        told.lock().unwrap().send(()).unwrap();
        // Ends when the gateway gives the exchange up.
        while served.client.fill() > 0 {}
        told.lock().unwrap().send(()).unwrap();
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    heard.recv().unwrap();
    drop(client);
    heard.recv().unwrap();
    assert_eq!(world.sums(), Sums { calls: 1, successes: 0, units: 1 });
}

#[test]
fn shutdown_finishes_what_is_in_flight() {
    let (told, heard) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (told, wait) = (std::sync::Mutex::new(told), std::sync::Mutex::new(wait));
    let upstream = Upstream::with(move |served| {
        told.lock().unwrap().send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        Then::KeepOpen
    });
    let mut world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    heard.recv().unwrap();
    let gateway = world.gateway.take().unwrap();
    let ending = std::thread::spawn(move || gateway.shutdown(Duration::from_secs(10)));
    go.send(()).unwrap();
    let answer = client.answer().unwrap();
    assert_eq!(answer.body, b"late");
    assert!(ending.join().unwrap(), "not everything reached the ledger");
    assert_eq!(world.ledger.sums(keytoll_domain::key::Environment::Live).units, 1);
}

#[test]
fn start_fails_when_the_port_is_taken() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let data = std::env::temp_dir().join(format!("keytoll-gateway-taken-{}", std::process::id()));
    let options = crate::Options::new(world.addr, data.clone(), "there");
    let clock = std::sync::Arc::new(|| keytoll_domain::time::Timestamp(NOON));
    let started = crate::start(options, world.records.clone(), world.ledger.clone(), clock);
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&world.addr.to_string()), "{error}");
    let _ = std::fs::remove_dir_all(data);
}

#[test]
fn upstream_that_is_no_url_is_refused_and_fails_as_down() {
    assert_eq!(crate::check_upstream_url("https://a.example"), Ok(()));
    for wrong in ["", "a", "ftp://a", "http://", "http://u@a", "http://a?b"] {
        assert!(crate::check_upstream_url(wrong).is_err(), "{wrong}");
    }
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.upstream = Some("ftp://a.example".into());
    assert_eq!(setup.start().get("/zoo/animals").status, 502);
}
