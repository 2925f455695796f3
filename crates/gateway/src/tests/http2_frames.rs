//! HTTP/2 as no well-meaning client writes it: frames made by hand.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::support::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` in the static table, as a whole field.
const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Fields as literals that no table knows.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn greeting() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// What the gateway says of stream 1, or of the connection: kind of the frame and first byte of its payload.
fn verdict(client: &mut Client) -> Option<(u8, u8)> {
    loop {
        let head = client.take(9);
        let [_, high, low, kind, _, _, _, _, stream] = head[..] else { return None };
        let payload = client.take(usize::from(high) << 8 | usize::from(low));
        if kind == GOAWAY || stream == 1 && matches!(kind, HEADERS | RST_STREAM) {
            return Some((kind, payload.first().copied().unwrap_or_default()));
        }
    }
}

#[test]
fn what_has_two_readings_is_not_answered() {
    const USUAL: [(&str, &str); 4] =
        [(":method", "POST"), (":scheme", "http"), (":path", "/zoo/animals"), (":authority", "a")];
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let whole = |fields: &[(&str, &str)], data: Option<&str>| {
        let mut all = fields.to_vec();
        all.push(("x-api-key", KEY));
        let end = if data.is_none() { END_STREAM } else { 0 };
        let mut bytes = greeting();
        bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block(&all)));
        if let Some(data) = data {
            bytes.extend(frame(DATA, END_STREAM, 1, data.as_bytes()));
        }
        let mut client = world.client();
        client.send(bytes);
        verdict(&mut client)
    };
    let with = |field: (&'static str, &'static str)| [&USUAL[..], &[field]].concat();
    let instead = |name: &str, value: &'static str| {
        let other = |field: (&'static str, &'static str)| {
            if field.0 == name { (field.0, value) } else { field }
        };
        USUAL.map(other).to_vec()
    };
    assert_eq!(whole(&USUAL, None), Some((HEADERS, STATUS_200)), "the usual request");
    assert_eq!(whole(&with(("content-length", "3")), Some("abc")), Some((HEADERS, STATUS_200)));
    let before = upstream.seen().len();
    for (what, fields, data) in [
        ("a space in the path", instead(":path", "/zoo/ani mals"), None),
        ("a line end in the path", instead(":path", "/zoo/animals HTTP/1.1\r\nx: y"), None),
        ("an empty path", instead(":path", ""), None),
        ("an asterisk", instead(":path", "*"), None),
        ("a path without a slash", instead(":path", "zoo/animals"), None),
        ("dots", instead(":path", "/zoo/pens/../animals"), None),
        ("a space in the method", instead(":method", "GET /x"), None),
        ("CONNECT", instead(":method", "CONNECT"), None),
        ("a user in the authority", instead(":authority", "u@a"), None),
        ("an upper-case name", with(("X-Up", "1")), None),
        ("a line end in a value", with(("x-one", "1\r\nx-two: 2")), None),
        ("a line end in a name", with(("x-one: 1\r\nx-two", "2")), None),
        ("a colon in a name", with(("x:one", "1")), None),
        ("Transfer-Encoding", with(("transfer-encoding", "chunked")), Some("0\r\n\r\n")),
        ("Connection", with(("connection", "close")), None),
        ("Keep-Alive", with(("keep-alive", "1")), None),
        ("Upgrade", with(("upgrade", "websocket")), None),
        ("TE", with(("te", "gzip")), None),
        ("another host", with(("host", "b")), None),
        ("a second path", with((":path", "/zoo/pens")), None),
        ("an unknown pseudo field", with((":what", "1")), None),
        ("a length without a body", with(("content-length", "3")), None),
        ("no number", with(("content-length", "+3")), Some("abc")),
    ] {
        let answered = whole(&fields, data);
        assert!(answered.is_some_and(|(_, first)| first != STATUS_200), "{what}: {answered:?}");
    }
    let twice = [with(("content-length", "3")), vec![("content-length", "4")]].concat();
    assert_ne!(whole(&twice, Some("abc")).unwrap().1, STATUS_200, "two lengths");
    assert_eq!(upstream.seen().len(), before, "nothing of it went upstream");
    // A body that is not as long as was said may have begun to leave; it never arrives whole.
    for data in ["ab", "abcd"] {
        let answered = whole(&with(("content-length", "3")), Some(data)).unwrap();
        assert_ne!(answered.1, STATUS_200, "{data}");
    }
    assert_eq!(world.call("GET /healthz", "").status, 200);
}

#[test]
fn a_field_after_the_pseudo_fields_comes_first() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let fields =
        [("x-api-key", KEY), (":method", "GET"), (":scheme", "http"), (":path", "/zoo/animals")];
    let mut client = world.client();
    client
        .send([greeting(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))].concat());
    assert!(verdict(&mut client).is_none_or(|(_, first)| first != STATUS_200));
    assert!(upstream.seen().is_empty());
}

#[test]
fn streams_opened_only_to_be_reset_end_the_connection() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "a")];
    let mut bytes = greeting();
    for stream in (3..1003).step_by(2) {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields)));
        bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    let mut client = world.client();
    client.send(bytes);
    assert_eq!(verdict(&mut client).map(|(kind, _)| kind), Some(GOAWAY));
    assert_eq!(world.call("GET /healthz", "").status, 200);
}

fn call(stream: u32, path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
        ("x-api-key", KEY),
    ];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

/// A call on stream 1, and windows as wide as they can be.
fn call_with_wide_windows() -> Vec<u8> {
    const WIDEST: u32 = i32::MAX.unsigned_abs();
    let window = [&4u16.to_be_bytes()[..], &WIDEST.to_be_bytes()].concat();
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &window),
        frame(WINDOW_UPDATE, 0, 0, &(WIDEST - 65_535).to_be_bytes()),
        call(1, "/zoo/animals"),
    ]
    .concat()
}

/// One frame: kind, flags, payload.
fn next(client: &mut Client) -> Option<(u8, u8, Vec<u8>)> {
    let head = client.take(9);
    let [top, high, low, kind, flags, ..] = head[..] else { return None };
    let length = usize::from(top) << 16 | usize::from(high) << 8 | usize::from(low);
    Some((kind, flags, client.take(length)))
}

#[test]
fn a_slow_reader_gets_its_whole_answer_while_the_gateway_stops() {
    const LENGTH: usize = 12 << 20;
    let upstream = Upstream::with(|served| {
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        served.client.send(vec![b'x'; LENGTH]);
        Then::KeepOpen
    });
    let mut world = World::of(&upstream);
    let mut client = world.client();
    client.send(call_with_wide_windows());
    let mut got = 0;
    // So much has been read when the gateway is told to stop, and all of it can leave.
    let mut take = |client: &mut Client, most: usize| {
        while got < most {
            let Some((kind, flags, payload)) = next(client) else { return (got, false) };
            if kind == DATA {
                got += payload.len();
                if flags & END_STREAM != 0 {
                    return (got, true);
                }
            }
        }
        (got, false)
    };
    take(&mut client, LENGTH / 2);
    let gateway = world.gateway.take().unwrap();
    let stopping = std::thread::spawn(move || gateway.shutdown(Duration::from_mins(1)));
    // Longer than an idle connection is waited for, twice: once while bytes wait in the gateway, once while the last
    // of them wait in the system. What the client says meanwhile must not end the connection.
    pause(Duration::from_secs(3));
    client.send(frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()));
    take(&mut client, LENGTH - (1 << 20));
    pause(Duration::from_secs(3));
    client.send(frame(PING, 0, 0, &[7; 8]));
    pause(Duration::from_millis(100));
    assert_eq!(take(&mut client, LENGTH + 1), (LENGTH, true));
    drop(client);
    assert!(stopping.join().unwrap());
}

#[test]
fn what_waits_behind_a_full_connection_is_sent_while_the_gateway_stops() {
    const SMALL: usize = 40_000;
    let upstream = Upstream::with(|served| {
        let length = if served.head.starts_with("GET /base/pens") { SMALL } else { 64 << 20 };
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        let _ = served.client.stream.write_all(&vec![b'x'; length]);
        Then::KeepOpen
    });
    let mut world = World::of(&upstream);
    let mut client = world.client();
    client.send(call_with_wide_windows());
    eventually("the large answer begins", || upstream.seen().len() == 1);
    pause(Duration::from_millis(300));
    client.send(call(3, "/zoo/pens"));
    let answered = "operation=\"GET /pens\",status=\"200\"";
    eventually("the small one too", || world.gateway().metrics_text().contains(answered));
    pause(Duration::from_millis(200));
    client.send(frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
    let gateway = world.gateway.take().unwrap();
    let stopping = std::thread::spawn(move || gateway.shutdown(Duration::from_mins(1)));
    pause(Duration::from_millis(300));
    // The gateway looks at the connection again, and no stream is at work any more.
    client.send(frame(PING, 0, 0, &[7; 8]));
    pause(Duration::from_secs(3));
    let mut whole = false;
    while let Some((kind, flags, _)) = next(&mut client) {
        // Of the large one nobody hears the end.
        whole |= kind == DATA && flags & END_STREAM != 0;
    }
    assert!(whole, "the small answer was cut");
    drop(client);
    assert!(stopping.join().unwrap());
}

#[test]
fn a_silent_client_that_has_taken_everything_does_not_hold_up_a_stop() {
    for calls in [true, false] {
        let upstream = Upstream::new();
        let mut world = World::of(&upstream);
        let mut client = world.client();
        client.send(if calls { call_with_wide_windows() } else { greeting() });
        let awaited = if calls { HEADERS } else { SETTINGS };
        while next(&mut client).is_some_and(|(kind, ..)| kind != awaited) {}
        pause(Duration::from_millis(200));
        let gateway = world.gateway.take().unwrap();
        let begun = Instant::now();
        assert!(gateway.shutdown(Duration::from_secs(25)));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(6), "calls: {calls}, took {took:?}");
        drop(client);
    }
}

#[test]
fn a_client_that_is_gone_without_a_word_is_found_by_a_ping() {
    let upstream = Upstream::with(|served| {
        while served.client.fill() > 0 {}
        Then::Close
    });
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.bounds.idle = Duration::from_secs(1));
    let world = setup.start();
    let (mut well, mut gone) = (world.client(), world.client());
    for client in [&mut well, &mut gone] {
        client.send(call_with_wide_windows());
    }
    let answering = std::thread::spawn(move || {
        let mut pings = 0;
        while let Some((kind, flags, payload)) = next(&mut well) {
            if kind == PING && flags & ACK == 0 {
                pings += 1;
                well.send(frame(PING, ACK, 0, &payload));
                break;
            }
        }
        (well, pings)
    });
    while next(&mut gone).is_some() {}
    let (mut well, pings) = answering.join().unwrap();
    assert_eq!(pings, 1);
    well.send(frame(PING, 0, 0, &[7; 8]));
    let alive = std::iter::from_fn(|| next(&mut well));
    assert!(alive.into_iter().any(|(kind, flags, _)| kind == PING && flags & ACK != 0));
    assert_eq!(upstream.seen().len(), 2);
    eventually("the call of the gone client is let go", || upstream.open() == 1);
}

#[test]
fn a_large_head_is_refused_and_the_preface_belongs_to_the_first_bytes() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(|options| options.bounds.head_max_bytes = 4096);
    let world = setup.start();
    let long = "x".repeat(120);
    let mut fields =
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "a")];
    fields.extend(std::iter::repeat_n(("x-long", &*long), 40));
    let mut client = world.client();
    client
        .send([greeting(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))].concat());
    assert!(verdict(&mut client).is_some_and(|(_, first)| first != STATUS_200));
    // Not after a request of HTTP/1.
    let mut client = world.client();
    assert_eq!(client.call("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    client.send(greeting());
    assert_eq!(client.answer().unwrap().status, 400);
}
