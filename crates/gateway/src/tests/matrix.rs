//! Everything an upstream can do to an answer: the client gets a defined answer or a cut one, the call is metered
//! once, nothing stays open, and the next call gets its own answer.

use std::io::Write as _;
use std::net::Shutdown;
use std::time::Duration;

use keytoll_domain::catalog::Quota;
use socket2::SockRef;

use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\n";
const FIRST_BYTE: Duration = Duration::from_millis(400);
const IDLE: Duration = Duration::from_millis(400);

/// What an upstream does after it has read the request.
#[derive(Clone, Copy)]
enum Deed {
    /// Says this and waits for the gateway.
    Say(&'static str),
    /// Says this and serves the next request.
    Keep(&'static str),
    /// Says this and closes.
    Close(&'static str),
    /// Says this and resets the connection.
    Reset(&'static str),
    /// Says this and ends its sending side only.
    Half(&'static str),
    /// Says the first once, then the second as often as it is taken.
    Endless(&'static str, &'static str),
    /// Says this again and again with pauses, as long as it is taken.
    Drip(&'static str, &'static str),
}

/// What the client must get.
#[derive(Clone, Copy, Debug)]
enum Get {
    /// An answer of the upstream with this body, charged.
    Whole(u16, &'static str),
    /// An answer of the upstream that breaks off after this, charged.
    Cut(&'static str),
    /// An answer of ours, not charged.
    Failed(u16),
}

use Deed::{Close, Drip, Endless, Half, Keep, Reset, Say};
use Get::{Cut, Failed, Whole};

const CASES: &[(&str, Deed, Get)] = &[
    ("nothing and a close", Close(""), Failed(502)),
    ("nothing and a reset", Reset(""), Failed(502)),
    ("nothing and half a close", Half(""), Failed(502)),
    ("nothing at all", Say(""), Failed(504)),
    ("a reset within the head", Reset("HTTP/1.1 200 OK\r\nContent-Le"), Failed(502)),
    ("a close within the head", Close("HTTP/1.1 200 OK\r\nContent-Le"), Failed(502)),
    ("silence within the head", Say("HTTP/1.1 200 OK\r\nContent-Le"), Failed(504)),
    (
        "a reset within the body",
        Reset("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfive!"),
        Cut("five!"),
    ),
    ("too short", Close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfive!"), Cut("five!")),
    (
        "too short, half closed",
        Half("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfive!"),
        Cut("five!"),
    ),
    (
        "silence within the body",
        Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfive!"),
        Cut("five!"),
    ),
    (
        "too long",
        Say(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfourHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        Whole(200, "four"),
    ),
    (
        "a body of no length",
        Close("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        Whole(200, "until the end"),
    ),
    (
        "a body of no length, half closed",
        Half("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        Whole(200, "until the end"),
    ),
    (
        "a whole answer, half closed",
        Half("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour"),
        Whole(200, "four"),
    ),
    ("an old answer", Close("HTTP/1.0 200 OK\r\n\r\nold"), Whole(200, "old")),
    (
        "an old answer that says keep-alive",
        Say("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"),
        Whole(200, "old"),
    ),
    ("no chunk", Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Cut("")),
    (
        "a negative chunk",
        Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"),
        Cut(""),
    ),
    (
        "a chunk of 2^64",
        Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
        Cut(""),
    ),
    (
        "a chunk longer than it says",
        Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfourteen\r\n"),
        Cut("four"),
    ),
    (
        "no last chunk",
        Close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"),
        Cut("four"),
    ),
    (
        "a reset behind a chunk",
        Reset("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"),
        Cut("four"),
    ),
    (
        "chunks with extensions",
        Keep(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=\"b\"\r\nfour\r\n0;last\r\n\r\n",
        ),
        Whole(200, "four"),
    ),
    (
        "trailers",
        Keep(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n4\r\nfour\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
        ),
        Whole(200, "four"),
    ),
    (
        "endless trailers",
        Endless(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n",
            "X-A: 1\r\n",
        ),
        Cut("four"),
    ),
    (
        "an endless size",
        Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n", "1"),
        Cut("four"),
    ),
    (
        "more behind the last chunk",
        Say(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        Whole(200, "four"),
    ),
    (
        "interim answers",
        Keep(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour",
        ),
        Whole(200, "four"),
    ),
    ("endless interim answers", Endless("", "HTTP/1.1 103 Early Hints\r\n\r\n"), Failed(502)),
    ("slow interim answers", Drip("", "HTTP/1.1 102 Processing\r\n\r\n"), Failed(504)),
    ("a close behind an interim answer", Close("HTTP/1.1 100 Continue\r\n\r\n"), Failed(502)),
    (
        "an unasked switch",
        Say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        Failed(502),
    ),
    (
        "two lengths",
        Say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfour!"),
        Failed(502),
    ),
    (
        "the same length twice",
        Say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfour"),
        Failed(502),
    ),
    ("a negative length", Say("HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nfour"), Failed(502)),
    ("a length with a sign", Say("HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nfour"), Failed(502)),
    (
        "a length of 2^64",
        Say("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nfour"),
        Failed(502),
    ),
    (
        "a length beside chunks",
        Say(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
        ),
        Failed(502),
    ),
    (
        "another coding",
        Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        Failed(502),
    ),
    ("no HTTP", Say("SSH-2.0-server\r\n\r\n"), Failed(502)),
    ("a status of two digits", Say("HTTP/1.1 20 OK\r\n\r\n"), Failed(502)),
    ("another version", Say("HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"), Failed(502)),
    (
        "a folded field",
        Say("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        Failed(502),
    ),
    (
        "a zero byte in a field",
        Say("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
        Failed(502),
    ),
    (
        "an endless line",
        Endless("HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        Failed(502),
    ),
    ("endless fields", Endless(OK, "X: 1\r\n"), Failed(502)),
    ("a slow endless head", Drip(OK, "X: 1\r\n"), Failed(504)),
    (
        "a body where none may be",
        Say("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison"),
        Whole(204, ""),
    ),
    (
        "a body behind 304",
        Say("HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
        Whole(304, ""),
    ),
];

fn act(client: &mut Client, deed: Deed) -> Then {
    match deed {
        Keep(text) => {
            client.send(text);
            return Then::KeepOpen;
        }
        Say(text) => {
            client.send(text);
            while client.fill() > 0 {}
        }
        Close(text) => client.send(text),
        Reset(text) => {
            client.send(text);
            SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        Half(text) => {
            client.send(text);
            client.stream.shutdown(Shutdown::Write).unwrap();
            while client.fill() > 0 {}
        }
        Endless(start, again) => {
            let again = again.repeat(64);
            let mut taken = client.stream.write_all(start.as_bytes());
            while taken.is_ok() {
                taken = client.stream.write_all(again.as_bytes());
            }
        }
        Drip(start, again) => {
            let mut taken = client.stream.write_all(start.as_bytes());
            while taken.is_ok() {
                pause(Duration::from_millis(60));
                taken = client.stream.write_all(again.as_bytes());
            }
        }
    }
    Then::Close
}

/// Does what the number in the path says; everything else is answered well.
fn rude() -> Upstream {
    Upstream::with(|served| {
        let path = served.head.split(' ').nth(1).unwrap().to_owned();
        let number = path.rsplit('/').next().unwrap().parse::<usize>();
        if let Some((_, deed, _)) = number.ok().and_then(|number| CASES.get(number)) {
            read_body(served);
            return act(served.client, *deed);
        }
        read_body(served);
        served.client.send(format!("{OK}Content-Length: {}\r\n\r\n{path}", path.len()));
        Then::KeepOpen
    })
}

fn world(upstream: &Upstream) -> World {
    let mut setup = Setup::new(upstream);
    setup.plan.quota = Some(Quota { units: 1_000_000, hard: true });
    setup.options = Box::new(|options| {
        options.workers = 1;
        options.bounds.first_byte = FIRST_BYTE;
        options.bounds.idle = IDLE;
    });
    setup.start()
}

/// A connection's answer up to its end: status, and the body without its framing as far as it came.
fn read(client: &mut Client) -> (u16, String, bool) {
    let head = client.head();
    let mut body = Vec::new();
    let length = head.headers.get("content-length").map(|length| length.parse::<usize>().unwrap());
    let whole = if let Some(length) = length {
        body = client.take(length);
        body.len() == length
    } else if head.headers.contains_key("transfer-encoding") {
        while client.fill() > 0 {}
        let bytes = client.take(usize::MAX);
        let mut rest = bytes.as_slice();
        loop {
            let Some(end) = find(rest, b"\r\n") else { break false };
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[end + 2..];
            let here = size.min(rest.len());
            body.extend(&rest[..here]);
            if size == 0 {
                assert_eq!(rest, b"\r\n", "trailers are dropped");
                break true;
            }
            rest = rest.get(here + 2..).unwrap_or_default();
        }
    } else {
        assert!(matches!(head.status, 204 | 304), "{head:?}");
        true
    };
    (head.status, String::from_utf8(body).unwrap(), whole)
}

fn check(world: &World, upstream: &Upstream, request: &str, case: &(&str, Deed, Get)) {
    let (name, deed, get) = *case;
    let before = world.sums();
    let mut client = world.client();
    client.send(request);
    let (status, body, whole) = read(&mut client);
    drop(client);
    let charged = match get {
        Whole(wanted, text) => {
            assert_eq!((status, body.as_str(), whole), (wanted, text, true), "{name}");
            true
        }
        Cut(text) => {
            assert_eq!((status, body.as_str(), whole), (200, text, false), "{name}");
            true
        }
        Failed(wanted) => {
            assert_eq!((status, whole), (wanted, true), "{name}: {body}");
            assert!(body.contains("\"code\":\"upstream_"), "{name}: {body}");
            false
        }
    };
    let after = world.sums();
    assert_eq!(after.calls - before.calls, 1, "{name}");
    assert_eq!(after.units - before.units, u64::from(charged), "{name}");
    let used = world.get("/zoo/.keytoll/usage").json()["units"].as_u64().unwrap();
    assert_eq!(used, after.units, "{name}: the quota is what was charged");
    eventually(&format!("{name}: no connection is left"), || {
        let kept = u32::from(matches!(deed, Keep(_)));
        upstream.open() == kept && world.connections() == 0
    });
    let next = world.get("/zoo/animals/next");
    assert_eq!((next.status, next.body.as_slice()), (200, &b"/base/animals/next"[..]), "{name}");
}

#[test]
fn every_rude_answer_has_a_defined_end() {
    let upstream = rude();
    let world = world(&upstream);
    for (number, case) in CASES.iter().enumerate() {
        let fields = format!("Host: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n");
        let request = format!("GET /zoo/animals/{number} HTTP/1.1\r\n{fields}\r\n");
        check(&world, &upstream, &request, case);
    }
}

#[test]
fn an_upload_changes_nothing_about_a_rude_answer() {
    let upstream = rude();
    let world = world(&upstream);
    for (number, case) in CASES.iter().enumerate() {
        let fields = format!("Host: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n");
        let body = "Transfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n0\r\n\r\n";
        let request = format!("DELETE /zoo/animals/{number} HTTP/1.1\r\n{fields}{body}");
        check(&world, &upstream, &request, case);
    }
}
