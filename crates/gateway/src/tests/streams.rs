//! Bodies in both directions: nothing is buffered, everything arrives whole.

use super::support::*;

const LARGE: usize = 8 << 20;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

/// Answers with the body that came, in the framing that the path asks for.
fn echo() -> Upstream {
    Upstream::with(|served| {
        let body = read_body(served);
        if served.head.starts_with("PUT") {
            served
                .client
                .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n");
            for chunk in body.chunks(100_000) {
                served.client.send(format!("{:X};ext=1\r\n", chunk.len()));
                served.client.send(chunk);
                served.client.send("\r\n");
            }
            served.client.send("0\r\nX-T: 1\r\n\r\n");
            return Then::KeepOpen;
        }
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        served.client.send(&body);
        Then::KeepOpen
    })
}

#[test]
fn large_bodies_pass_in_both_framings() {
    let upstream = echo();
    let world = World::of(&upstream);
    let sent = bytes(LARGE);
    let mut client = world.client();
    for method in ["POST", "PUT"] {
        let mut writer = Client::over(&client);
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.send(format!("{method} /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: {LARGE}\r\n\r\n"));
                writer.send(&sent);
            });
            client.answer().unwrap()
        });
        assert_eq!(answer.status, 200);
        assert!(answer.body == sent, "{method}: {} bytes came back", answer.body.len());
        let mut writer = Client::over(&client);
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.send(format!("{method} /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"));
                for chunk in sent.chunks(70_001) {
                    writer.send(format!("{:x}\r\n", chunk.len()));
                    writer.send(chunk);
                    writer.send("\r\n");
                }
                writer.send("0\r\n\r\n");
            });
            client.answer().unwrap()
        });
        assert!(answer.body == sent, "{method} chunked: {} bytes came back", answer.body.len());
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(world.sums().calls, 4);
}

#[test]
fn small_body_and_head_arrive_together_and_empty_posts_say_so() {
    let upstream = echo();
    let world = World::of(&upstream);
    let fields = format!("X-API-Key: {KEY}\r\nContent-Length: 5\r\n");
    let mut client = world.client();
    let answer =
        client.call(&format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\n{fields}\r\nhello"));
    assert_eq!(answer.body, b"hello");
    let empty = world.call("POST /zoo/animals", &format!("X-API-Key: {KEY}\r\n"));
    assert_eq!(empty.status, 200);
    assert!(upstream.last().contains("\r\ncontent-length: 0\r\n"));
}

#[test]
fn answer_streams_while_the_upstream_is_still_writing() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::with(move |served| {
        served.client.send("HTTP/1.1 200 OK\r\n\r\nfirst");
        wait.lock().unwrap().recv().unwrap();
        served.client.send("second");
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    let mut seen = Vec::new();
    while find(&seen, b"first").is_none() {
        seen.extend(client.take(1));
    }
    go.send(()).unwrap();
    while find(&seen, b"second").is_none() {
        seen.extend(client.take(1));
    }
}

#[test]
fn early_answer_reaches_a_client_that_is_still_sending() {
    let upstream = Upstream::with(|served| {
        served.client.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 1000000\r\n\r\npart"));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (403, &b"no"[..]));
}

#[test]
fn head_and_304_have_no_body_and_keep_the_connection() {
    let upstream = Upstream::with(|served| {
        let line = if served.head.starts_with("HEAD") { "200 OK" } else { "304 Not Modified" };
        served.client.send(format!("HTTP/1.1 {line}\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n"));
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.workers = 1);
    let world = setup.start();
    let mut client = world.client();
    client.send(format!("HEAD /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\nGET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    let head = client.head();
    assert_eq!((head.status, head.header("content-length")), (200, "77"));
    let not_modified = client.head();
    assert_eq!((not_modified.status, not_modified.header("etag")), (304, "\"x\""));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::with(|served| {
        let path = served.head.split(' ').nth(1).unwrap().to_owned();
        served
            .client
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
        Then::KeepOpen
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    let mut all = Vec::new();
    for number in 0..20 {
        all.push(format!(
            "GET /zoo/animals/{number} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"
        ));
    }
    client.send(all.concat());
    for number in 0..20 {
        let answer = client.answer().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.body), format!("/base/animals/{number}"));
    }
    assert_eq!(world.sums().calls, 20);
}

#[test]
fn expect_continue_is_answered_only_when_the_call_is_granted() {
    let upstream = echo();
    let world = World::of(&upstream);
    let head =
        "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n";
    let mut client = world.client();
    client.send(format!("{head}X-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.head().status, 100);
    client.send("hi");
    assert_eq!(client.answer().unwrap().body, b"hi");
    assert!(!upstream.last().contains("expect"));
    let mut client = world.client();
    client.send(format!("{head}\r\n"));
    assert_eq!(client.answer().unwrap().status, 401);
}

#[test]
fn body_413_over_the_limit_in_both_framings() {
    let upstream = echo();
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.bounds.body_max_bytes = 10);
    let world = setup.start();
    let fields = format!("X-API-Key: {KEY}\r\nContent-Length: 11\r\n");
    assert_eq!(world.call("POST /zoo/animals", &fields).code(), "body_too_large");
    let mut client = world.client();
    client.send(format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"));
    assert_eq!(client.answer().unwrap().code(), "body_too_large");
    assert_eq!(world.sums().units, 0);
}

#[test]
fn old_client_gets_a_chunked_answer_until_the_connection_ends() {
    let upstream = echo();
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!(
        "PUT /zoo/animals HTTP/1.0\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 5\r\n\r\nhello"
    ));
    let head = client.head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, ""));
    assert_eq!(client.take(6), b"hello");
}
