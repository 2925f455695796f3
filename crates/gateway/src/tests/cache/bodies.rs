//! Only whole answers of a moderate size are kept, and they come back as they were.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;

use super::super::support::*;
use super::{PUBLIC, answering, ask, counting, keeping, metric, told};

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect()
}

#[test]
fn whatever_the_framing_the_bytes_come_back_as_they_were() {
    for length in [0, 1, 8 * 1024, 100_000, 250_000] {
        for chunked in [false, true] {
            let upstream = Upstream::with(move |served| {
                let body = bytes(length);
                if !chunked {
                    let head =
                        format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: {length}\r\n\r\n");
                    served.client.send([head.as_bytes(), &body].concat());
                    return Then::KeepOpen;
                }
                let head = format!("HTTP/1.1 200 OK\r\n{PUBLIC}Transfer-Encoding: chunked\r\n\r\n");
                served.client.send(head);
                for piece in body.chunks(30_000) {
                    let size = format!("{:x}\r\n", piece.len());
                    served.client.send([size.as_bytes(), piece, b"\r\n"].concat());
                }
                served.client.send("0\r\nX-After: 1\r\n\r\n");
                Then::KeepOpen
            });
            let world = keeping(&upstream).start();
            let mut client = world.client();
            let request =
                format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
            for expected in ["miss", "hit", "hit"] {
                let answer = client.call(&request);
                assert_eq!(answer.header("x-keytoll-cache"), expected, "{length} {chunked}");
                assert!(answer.body == bytes(length), "{length} {chunked}");
            }
            client.send(request.replace("GET", "HEAD"));
            let head = client.head();
            assert_eq!(head.header("x-keytoll-cache"), "hit");
            assert_eq!(head.header("content-length"), length.to_string());
            assert_eq!(client.call(&request).body.len(), length, "nothing followed the head");
            assert_eq!(upstream.seen().len(), 1);
        }
    }
}

#[test]
fn an_answer_to_head_is_not_kept() {
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    for _ in 0..2 {
        let mut client = world.client();
        client.send(format!("HEAD /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        assert_eq!(client.head().header("x-keytoll-cache"), "miss");
    }
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("miss", "answer 2"));
}

#[test]
fn an_answer_without_a_body_is_kept() {
    let upstream = answering(|_| format!("HTTP/1.1 204 No Content\r\n{PUBLIC}\r\n"));
    let world = keeping(&upstream).start();
    let mut client = world.client();
    for expected in ["miss", "hit", "hit"] {
        client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        let head = client.head();
        assert_eq!((head.status, head.header("x-keytoll-cache")), (204, expected));
        assert_eq!(head.header("content-length"), "");
    }
}

#[test]
fn large_answers_pass_and_are_not_kept() {
    for chunked in [false, true] {
        let upstream = answering(move |_| {
            let body = String::from_utf8(bytes(300_000)).unwrap();
            if chunked {
                format!(
                    "HTTP/1.1 200 OK\r\n{PUBLIC}Transfer-Encoding: chunked\r\n\r\n493e0\r\n{body}\r\n0\r\n\r\n"
                )
            } else {
                format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: 300000\r\n\r\n{body}")
            }
        });
        let world = keeping(&upstream).start();
        for _ in 0..2 {
            let (result, body) = ask(&world, "GET /zoo/animals", "");
            assert_eq!(result, "miss");
            assert!(body.as_bytes() == bytes(300_000));
        }
        eventually("nothing is held", || metric(&world, "cache_bytes", "") == 0);
    }
}

#[test]
fn answers_that_break_off_or_may_have_are_not_kept() {
    for fields in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let upstream = Upstream::with(move |served| {
            served
                .client
                .send(format!("HTTP/1.1 200 OK\r\n{PUBLIC}{fields}\r\na\r\n0123456789\r\n"));
            Then::Close
        });
        let world = keeping(&upstream).start();
        for _ in 0..2 {
            let mut client = world.client();
            client
                .send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"));
            assert_eq!(client.head().header("x-keytoll-cache"), "miss");
            while client.fill() > 0 {}
        }
        assert_eq!(upstream.seen().len(), 2);
        eventually("nothing is held", || metric(&world, "cache_bytes", "") == 0);
    }
}

#[test]
fn an_answer_whose_client_left_is_not_kept() {
    let (go, wait) = channel::<()>();
    let (wait, count) = (Mutex::new(wait), AtomicU32::new(0));
    let upstream = Upstream::with(move |served| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        served.client.send(format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: 10\r\n\r\nhello"));
        if first {
            wait.lock().unwrap().recv().unwrap();
        }
        if !first {
            served.client.send("world");
        }
        Then::KeepOpen
    });
    let world = keeping(&upstream).start();
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.take(5), b"hello");
    drop(client);
    eventually("the client has left", || world.connections() == 0);
    eventually("nothing is held", || metric(&world, "cache_bytes", "") == 0);
    go.send(()).unwrap();
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("miss", "helloworld"));
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("hit", "helloworld"));
    assert_eq!(world.sums().calls, 3);
}

#[test]
fn what_is_kept_is_bounded_and_the_longest_unused_goes() {
    const MAX_BYTES: u64 = 1 << 20;
    let upstream = answering(|_| {
        let body = String::from_utf8(bytes(50_000)).unwrap();
        format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: 50000\r\n\r\n{body}")
    });
    let mut setup = keeping(&upstream);
    setup.options =
        Box::new(|options| options.cache_max_bytes = usize::try_from(MAX_BYTES).unwrap());
    let world = setup.start();
    for index in 0..60 {
        assert_eq!(ask(&world, &format!("GET /zoo/animals/{index}"), "").0, "miss");
        assert!(index == 0 || ask(&world, "GET /zoo/animals/0", "").0 == "hit", "{index}");
        assert!(metric(&world, "cache_bytes", "") <= MAX_BYTES);
    }
    assert_eq!(ask(&world, "GET /zoo/animals/59", "").0, "hit");
    assert_eq!(ask(&world, "GET /zoo/animals/1", "").0, "miss");
}

#[test]
fn a_hit_gives_its_place_among_running_calls_back() {
    let upstream = counting(PUBLIC);
    let mut setup = keeping(&upstream);
    setup.plan.concurrency = Some(1);
    let world = setup.start();
    let mut client = world.client();
    for line in ["GET", "GET", "GET"] {
        let request =
            format!("{line} /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
        assert_eq!(client.call(&request).status, 200);
    }
}
