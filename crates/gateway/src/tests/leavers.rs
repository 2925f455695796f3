//! Clients that leave, at every stage of a call, and bodies of any size: what was done is metered once, and nothing
//! stays open or grows.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use keytoll_domain::catalog::Quota;
use socket2::SockRef;

use super::support::*;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Exit {
    Close,
    Half,
    Reset,
}

const EXITS: [Exit; 3] = [Exit::Close, Exit::Half, Exit::Reset];
const GIGABYTE: usize = 1 << 30;

/// The half-closed connection, which is kept until it ends.
fn leave(client: Client, exit: Exit) -> Option<Client> {
    match exit {
        Exit::Close => None,
        Exit::Half => {
            client.stream.shutdown(Shutdown::Write).unwrap();
            Some(client)
        }
        Exit::Reset => {
            SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
            None
        }
    }
}

fn world(upstream: &Upstream) -> World {
    let mut setup = Setup::new(upstream);
    setup.plan.quota = Some(Quota { units: 1000, hard: true });
    setup.options = Box::new(|options| options.workers = 1);
    setup.start()
}

fn used(world: &World) -> u64 {
    world.get("/zoo/.keytoll/usage").json()["units"].as_u64().unwrap()
}

fn all_ended(world: &World, upstream: &Upstream, what: &str) {
    eventually(what, || upstream.open() == 0 && world.connections() == 0);
}

/// Answers at `/animals/ID`, tells of heads elsewhere and waits for the end of the connection.
fn waiting(told: mpsc::Sender<()>, start: &'static str) -> Upstream {
    let told = Mutex::new(told);
    Upstream::with(move |served| {
        if served.head.contains("/base/animals/") {
            served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            return Then::Close;
        }
        served.client.send(start);
        told.lock().unwrap().send(()).unwrap();
        while served.client.fill() > 0 {}
        Then::Close
    })
}

#[test]
fn leaving_within_a_head_is_no_call() {
    let upstream = Upstream::new();
    let world = world(&upstream);
    for exit in EXITS {
        for part in ["", "GET", "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: sec"] {
            let mut client = world.client();
            client.send(part);
            let kept = leave(client, exit);
            all_ended(&world, &upstream, "the connection ends");
            drop(kept);
        }
    }
    assert_eq!(world.sums(), Sums::default());
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn leaving_within_a_body_is_charged_when_some_of_it_went_upstream() {
    let (told, heard) = mpsc::channel();
    let upstream = waiting(told, "");
    let world = world(&upstream);
    let mut calls = 0;
    for exit in EXITS {
        for (framing, part) in
            [("Content-Length: 100", "some"), ("Transfer-Encoding: chunked", "4\r\nsome\r\n3\r\nx")]
        {
            let mut client = world.client();
            client.send(format!(
                "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n{framing}\r\n\r\n{part}"
            ));
            heard.recv().unwrap();
            let kept = leave(client, exit);
            if let Some(mut kept) = kept {
                assert_eq!(kept.answer().unwrap().code(), "request_invalid", "{framing}");
            }
            all_ended(&world, &upstream, "both connections end");
            calls += 1;
            assert_eq!(world.sums(), Sums { calls, successes: 0, units: calls }, "{exit:?}");
            assert_eq!(used(&world), calls, "{exit:?} {framing}");
        }
    }
    assert_eq!(world.get("/zoo/animals/1").body, b"ok");
}

#[test]
fn leaving_before_the_answer_is_charged_as_499() {
    let (told, heard) = mpsc::channel();
    let upstream = waiting(told, "");
    let world = world(&upstream);
    for (count, exit) in (1..).zip(EXITS) {
        let mut client = world.client();
        client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        heard.recv().unwrap();
        let kept = leave(client, exit);
        all_ended(&world, &upstream, "both connections end");
        if let Some(mut kept) = kept {
            assert_eq!(kept.fill(), 0, "who ends its side has left, and gets no answer");
        }
        assert_eq!(world.sums(), Sums { calls: count, successes: 0, units: count }, "{exit:?}");
    }
    assert_eq!(world.get("/zoo/animals/1").body, b"ok");
}

#[test]
fn leaving_within_an_answer_ends_it_upstream() {
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        "HTTP/1.1 200 OK\r\n\r\nsome",
    ] {
        let (told, heard) = mpsc::channel();
        let upstream = waiting(told, start);
        let world = world(&upstream);
        for (count, exit) in (1..).zip(EXITS) {
            let mut client = world.client();
            client
                .send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
            assert_eq!(client.head().status, 200);
            heard.recv().unwrap();
            let kept = leave(client, exit);
            all_ended(&world, &upstream, "both connections end");
            drop(kept);
            let sums = world.sums();
            assert_eq!(sums, Sums { calls: count, successes: count, units: count }, "{exit:?}");
        }
        assert_eq!(world.get("/zoo/animals/1").body, b"ok");
    }
}

#[test]
fn leaving_between_pipelined_requests_counts_those_that_went_upstream() {
    let upstream = Upstream::with(|served| {
        read_body(served);
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Then::KeepOpen
    });
    let world = world(&upstream);
    let request = format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
    for exit in EXITS {
        let mut client = world.client();
        client.send(format!("{request}GET /zoo/animals HTTP/1.1\r\nHost:"));
        assert_eq!(client.answer().unwrap().body, b"ok");
        drop(leave(client, exit));
        eventually("the first client has ended", || world.connections() == 0);
        let before = upstream.seen().len();
        let mut client = world.client();
        client.send(request.repeat(10));
        drop(leave(client, exit));
        // It may be gone before it was accepted, and the upstream may read what was sent later still.
        eventually("the second client is heard and has ended", || {
            upstream.seen().len() > before && world.connections() == 0
        });
        eventually("the ledger has what the upstream saw", || {
            world.sums().units == upstream.seen().len() as u64
        });
        let sums = world.sums();
        assert_eq!(sums.calls, sums.units, "{exit:?}");
        assert_eq!(used(&world), sums.units, "{exit:?}");
    }
}

/// What the process holds now, in bytes. Other tests may run in it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Takes so many bytes of a body and forgets them; between pieces it notes how large the process was at most.
fn swallow(client: &mut Client, length: usize, most: &mut usize) {
    const NOTED_EVERY: usize = 16 << 20;
    let mut bytes = vec![0; 1 << 18];
    let (mut left, mut noted) = (length - client.taken_ahead(length), length);
    while left > 0 {
        let room = left.min(bytes.len());
        match client.stream.read(&mut bytes[..room]).unwrap() {
            0 => panic!("{left} bytes are missing"),
            read => left -= read,
        }
        if noted - left > NOTED_EVERY {
            noted = left;
            *most = resident().max(*most);
        }
    }
}

#[test]
fn a_gigabyte_passes_both_ways_in_little_memory() {
    const GROWTH_MAX: usize = 128 << 20;
    let upstream = Upstream::with(|served| {
        if served.head.starts_with("POST") {
            swallow(served.client, GIGABYTE, &mut 0);
            served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            return Then::KeepOpen;
        }
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
        let piece = vec![7; 1 << 18];
        for _ in 0..GIGABYTE >> 18 {
            served.client.send(&piece);
        }
        Then::KeepOpen
    });
    let world = world(&upstream);
    let before = resident();
    let mut most = before;
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.head().header("content-length"), GIGABYTE.to_string());
    swallow(&mut client, GIGABYTE, &mut most);
    client.send(format!(
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: {GIGABYTE}\r\n\r\n"
    ));
    let piece = vec![7; 1 << 18];
    for index in 0..GIGABYTE >> 18 {
        client.send(&piece);
        if index % 64 == 0 {
            most = most.max(resident());
        }
    }
    assert_eq!(client.answer().unwrap().body, b"ok");
    assert!(most - before < GROWTH_MAX, "{} MiB more", (most - before) >> 20);
    assert_eq!(world.sums(), Sums { calls: 2, successes: 2, units: 2 });
}

#[test]
fn a_client_that_reads_nothing_makes_the_upstream_wait_and_is_closed() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::with(move |served| {
        served.client.send("HTTP/1.1 200 OK\r\n\r\n");
        let (mut sent, bytes) = (0, vec![7; 64 * 1024]);
        while let Ok(count) = served.client.stream.write(&bytes) {
            sent += count;
            assert!(sent < 256 << 20, "nobody reads, and everything is taken");
        }
        told.lock().unwrap().send(sent).unwrap();
        Then::Close
    });
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.bounds.idle = Duration::from_millis(300));
    let world = setup.start();
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    assert!(heard.recv().unwrap() > 0);
    all_ended(&world, &upstream, "both connections end");
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
}
