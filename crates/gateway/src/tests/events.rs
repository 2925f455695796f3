//! Streams of events: each piece passes as it comes, for as long as somebody listens.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::support::*;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n";

fn listener(world: &World) -> Client {
    let mut client = world.client();
    client.send(format!(
        "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nAccept: text/event-stream\r\n\r\n"
    ));
    let head = client.head();
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    client
}

/// Reads until `wanted` has come, whatever the framing.
fn hear(client: &mut Client, wanted: &str) {
    let mut heard = Vec::new();
    while find(&heard, wanted.as_bytes()).is_none() {
        let more = client.take(1);
        assert!(!more.is_empty(), "the stream ended before {wanted:?}");
        heard.extend(more);
    }
}

#[test]
fn each_event_arrives_before_the_next_is_sent() {
    for chunked in [false, true] {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let upstream = Upstream::with(move |served| {
            let framing = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
            served.client.send(format!("{HEAD}{framing}\r\n"));
            for number in 0..50 {
                wait.lock().unwrap().recv().unwrap();
                let event = format!("data: {number}\n\n");
                if chunked {
                    served.client.send(format!("{:x}\r\n{event}\r\n", event.len()));
                } else {
                    served.client.send(event);
                }
            }
            if chunked {
                served.client.send("0\r\n\r\n");
            }
            Then::Close
        });
        let world = World::of(&upstream);
        let mut client = listener(&world);
        for number in 0..50 {
            go.send(()).unwrap();
            hear(&mut client, &format!("data: {number}\n\n"));
        }
        hear(&mut client, "0\r\n\r\n");
        assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
    }
}

#[test]
fn a_listener_that_leaves_ends_the_stream_upstream_at_once() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::with(move |served| {
        served.client.send(format!("{HEAD}\r\ndata: 1\n\n"));
        // Nothing is sent any more: only the end of the connection says that nobody listens.
        let read = served.client.fill();
        told.lock().unwrap().send(read).unwrap();
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = listener(&world);
    hear(&mut client, "data: 1\n\n");
    drop(client);
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok(0));
    eventually("both connections end", || upstream.open() + world.connections() == 0);
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
}

#[test]
fn comments_keep_a_stream_and_silence_ends_it() {
    const IDLE: Duration = Duration::from_millis(300);
    let upstream = Upstream::with(|served| {
        served.client.send(format!("{HEAD}\r\n"));
        for _ in 0..12 {
            served.client.send(":\n\n");
            pause(IDLE / 4);
        }
        served.client.send("data: last\n\n");
        assert_eq!(served.client.fill(), 0, "the gateway ends a silent stream");
        Then::Close
    });
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| {
        options.bounds.idle = IDLE;
        options.bounds.first_byte = IDLE;
    });
    let world = setup.start();
    let mut client = listener(&world);
    hear(&mut client, "data: last\n\n");
    while client.fill() > 0 {}
    eventually("both connections end", || upstream.open() + world.connections() == 0);
}
