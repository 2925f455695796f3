//! Connections that switch to WebSocket. The gateway does not read frames: what passes must be the same bytes.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use keytoll_domain::catalog::{Bill, KeySource};

use super::http2::{call, connect, request};
use super::support::*;

const OPENING: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A frame of a client whose mask is zero, so that an echo of it is the same bytes.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(0x80 | 0x7e);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 0x7f);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Agrees, then lets `talk` have the connection.
fn agreeing(talk: impl Fn(&mut Client) + Send + Sync + 'static) -> Upstream {
    Upstream::with(move |served| {
        if !served.head.to_lowercase().contains("\r\nupgrade: websocket\r\n") {
            read_body(served);
            served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
            return Then::KeepOpen;
        }
        served.client.send(AGREED);
        talk(served.client);
        Then::Close
    })
}

fn echo() -> Upstream {
    agreeing(|client| {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = client.stream.read(&mut bytes) {
            if client.stream.write_all(&bytes[..read]).is_err() {
                return;
            }
        }
    })
}

fn opening(fields: &str) -> String {
    format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\n{fields}{OPENING}\r\n")
}

fn opened(world: &World) -> Client {
    let mut client = world.client();
    client.send(opening(&format!("X-API-Key: {KEY}\r\n")));
    assert_eq!(client.head().status, 101);
    client
}

fn setup_with_log(upstream: &Upstream, name: &str) -> (Setup, std::path::PathBuf) {
    let name = format!("keytoll-websocket-{}-{name}.log", std::process::id());
    let path = std::env::temp_dir().join(name);
    let target = path.clone();
    let mut setup = Setup::new(upstream);
    setup.options = Box::new(move |options| {
        options.workers = 1;
        options.access_log = crate::AccessLog::File(target);
    });
    (setup, path)
}

fn log_line(path: &std::path::Path) -> serde_json::Value {
    let log = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    serde_json::from_str(&log).unwrap()
}

#[test]
fn echo_comes_back_as_it_was_sent() {
    let upstream = echo();
    let (setup, path) = setup_with_log(&upstream, "echo");
    let mut world = setup.start();
    let mut client = world.client();
    client.send(opening(&format!("X-API-Key: {KEY}\r\n")));
    let head = client.head();
    assert_eq!((head.status, head.header("upgrade")), (101, "websocket"));
    assert_eq!(head.header("connection"), "upgrade");
    assert_eq!(head.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(head.header("x-request-id").len(), 36);
    assert_eq!((head.header("content-length"), head.header("transfer-encoding")), ("", ""));
    let seen = upstream.last();
    assert!(seen.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "{seen}");
    assert!(seen.contains("\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{seen}");
    assert!(!seen.contains("secret") && !seen.contains("content-length"), "{seen}");
    let mut moved = 0;
    for size in [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
        let text: Vec<u8> = (0..size).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
        for sent in [frame(TEXT, &text), frame(PING, &text[..size.min(125)])] {
            let mut writer = Client::over(&client);
            let back = std::thread::scope(|scope| {
                scope.spawn(|| writer.send(&sent));
                client.take(sent.len())
            });
            assert!(back == sent, "{size}");
            moved += sent.len();
        }
    }
    let close = frame(CLOSE, &1000u16.to_be_bytes());
    client.send(&close);
    assert_eq!(client.take(close.len()), close);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.fill(), 0);
    moved += close.len();
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
    eventually("the upstream's connection ends", || upstream.open() == 0);
    assert_eq!(world.get("/zoo/animals").body, b"plain");
    assert_eq!(upstream.connections(), 2, "a connection that switched was used again");
    eventually("the client's connection ends", || world.connections() == 0);
    world.gateway.take().unwrap().shutdown(Duration::from_secs(5));
    let log = std::fs::read_to_string(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&first["status"], &first["bytes_in"]), (&101.into(), &moved.into()));
    assert_eq!((&first["bytes_out"], &first["aborted"]), (&moved.into(), &().into()));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn both_sides_may_speak_before_they_are_asked() {
    let upstream = Upstream::with(|served| {
        served.client.send(format!("{AGREED}welcome"));
        assert_eq!(served.client.take(5), b"eager");
        served.client.send("done");
        Then::Close
    });
    let world = World::of(&upstream);
    let mut client = world.client();
    client.send(format!("{}eager", opening(&format!("X-API-Key: {KEY}\r\n"))));
    assert_eq!(client.head().status, 101);
    assert_eq!(client.take(11), b"welcomedone");
}

#[test]
fn an_end_is_passed_on_and_the_other_side_goes_on() {
    let upstream = agreeing(|client| {
        let mut heard = Vec::new();
        while client.fill() > 0 {}
        heard.extend(client.take(3));
        client.send("all of ");
        client.send(&heard);
    });
    let world = World::of(&upstream);
    let mut client = opened(&world);
    client.send("one");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.take(10), b"all of one");
    assert_eq!(client.fill(), 0);

    let (told, heard) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upstream = agreeing(move |client| {
        client.send("last word");
        client.stream.shutdown(Shutdown::Write).unwrap();
        told.lock().unwrap().send(client.take(5)).unwrap();
    });
    let world = World::of(&upstream);
    let mut client = opened(&world);
    assert_eq!(client.take(9), b"last word");
    assert_eq!(client.fill(), 0);
    client.send("still");
    assert_eq!(heard.recv().unwrap(), b"still");
}

#[test]
fn silence_ends_a_tunnel_and_traffic_of_one_side_keeps_it() {
    const IDLE: Duration = Duration::from_millis(300);
    let upstream = agreeing(|client| {
        for _ in 0..12 {
            client.send(".");
            pause(IDLE / 4);
        }
        assert_eq!(client.fill(), 0, "the gateway ends a silent tunnel");
    });
    let (mut setup, path) = setup_with_log(&upstream, "idle");
    let options = setup.options;
    setup.options = Box::new(move |all| {
        options(all);
        all.bounds.idle = IDLE;
    });
    let mut world = setup.start();
    let mut client = opened(&world);
    assert_eq!(client.take(12), b"............");
    assert_eq!(client.fill(), 0);
    eventually("both connections end", || upstream.open() + world.connections() == 0);
    world.gateway.take().unwrap().shutdown(Duration::from_secs(5));
    let line = log_line(&path);
    assert_eq!((&line["aborted"], &line["bytes_out"]), (&true.into(), &12.into()));
}

#[test]
fn a_tunnel_ends_with_the_gateway() {
    let upstream = echo();
    let (setup, path) = setup_with_log(&upstream, "stop");
    let mut world = setup.start();
    let mut client = opened(&world);
    client.send("x");
    assert_eq!(client.take(1), b"x");
    assert!(world.gateway.take().unwrap().shutdown(Duration::from_millis(300)));
    assert_eq!(client.fill(), 0);
    eventually("the upstream's connection ends", || upstream.open() == 0);
    let line = log_line(&path);
    assert_eq!((&line["aborted"], &line["bytes_in"]), (&true.into(), &1.into()));
}

#[test]
fn a_reader_that_stops_makes_the_writer_wait() {
    let (told, heard) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upstream = agreeing(move |client| {
        client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let (mut sent, bytes) = (0, vec![7; 64 * 1024]);
        while let Ok(count) = client.stream.write(&bytes) {
            sent += count;
            assert!(sent < 256 << 20, "nobody reads, and everything is taken");
        }
        told.lock().unwrap().send(sent).unwrap();
    });
    let world = World::of(&upstream);
    let mut client = opened(&world);
    let sent = heard.recv().unwrap();
    assert_eq!(client.take(sent).len(), sent);
    assert_eq!(client.fill(), 0);
}

#[test]
fn other_answers_are_answers_and_the_client_goes_on() {
    let upstream = Upstream::with(|served| {
        let switch = served.head.to_lowercase().contains("upgrade");
        let line = if switch { "426 Upgrade Required" } else { "200 OK" };
        served.client.send(format!("HTTP/1.1 {line}\r\nContent-Length: 4\r\n\r\nbody"));
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.settings.bill = Bill::Success;
    setup.options = Box::new(|options| options.workers = 1);
    let world = setup.start();
    let mut client = world.client();
    let answer = client.call(&opening(&format!("X-API-Key: {KEY}\r\n")));
    assert_eq!((answer.status, answer.body.as_slice()), (426, &b"body"[..]));
    let plain = format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
    assert_eq!(client.call(&plain).status, 200);
    assert_eq!(upstream.connections(), 2, "an upgrade was asked of this connection");
    assert_eq!(world.sums(), Sums { calls: 2, successes: 1, units: 1 });
}

#[test]
fn call_502_when_the_switch_is_none_or_unasked() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.0 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let upstream = Upstream::with(move |served| {
            served.client.send(answer);
            while served.client.fill() > 0 {}
            Then::Close
        });
        let world = World::of(&upstream);
        let fields = format!("X-API-Key: {KEY}\r\n{OPENING}");
        assert_eq!(world.call("GET /zoo/animals", &fields).status, 502, "{answer}");
        assert_eq!(world.get("/zoo/animals").status, 502, "{answer}");
        assert_eq!(world.sums(), Sums { calls: 2, successes: 0, units: 0 }, "{answer}");
        eventually("no connection is left", || upstream.open() == 0);
    }
}

#[test]
fn only_a_whole_wish_for_websocket_is_one() {
    let upstream = echo();
    let world = World::of(&upstream);
    let key = format!("X-API-Key: {KEY}\r\n");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for (line, fields) in [
        ("POST /zoo/animals", upgrade),
        ("GET /zoo/animals", "Upgrade: websocket\r\n"),
        ("GET /zoo/animals", "Connection: upgrade\r\nUpgrade: websockets\r\n"),
        ("GET /zoo/animals", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
        ("GET /zoo/animals", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"),
    ] {
        let mut client = world.client();
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{key}{fields}\r\n"));
        if fields.contains("Length") {
            client.send("x");
        }
        assert_eq!(client.answer().unwrap().body, b"plain", "{line} {fields}");
        assert!(!upstream.last().contains("upgrade"), "{line} {fields}");
    }
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.0\r\nHost: a\r\n{key}{upgrade}\r\n"));
    assert_eq!(client.answer().unwrap().body, b"plain");
    assert_eq!(world.call("GET /zoo/animals", OPENING).status, 401);
    let offers = "Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\n";
    let mut client = world.client();
    client.send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\n{key}{offers}\r\n"));
    assert_eq!(client.head().status, 101);
}

#[test]
fn browsers_give_their_key_in_the_query_where_it_may_be() {
    let upstream = echo();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = vec![KeySource::Query];
    setup.settings.bill = Bill::Success;
    let world = setup.start();
    let mut client = world.client();
    client.send(format!(
        "GET /zoo/animals?room=1&api_key={KEY} HTTP/1.1\r\nHost: a\r\n{OPENING}\r\nhi"
    ));
    assert_eq!(client.head().status, 101);
    assert_eq!(client.take(2), b"hi");
    assert!(upstream.last().starts_with("GET /base/animals?room=1 HTTP/1.1\r\n"));
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_http2_carry_it_too() {
    let upstream = echo();
    let world = World::of(&upstream);
    let client = connect(&world).await;
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let opening = |key: &str, protocol: &'static str| {
        let request = request("CONNECT", "/zoo/animals")
            .header("x-api-key", key)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "of the client")
            .extension(h2::ext::Protocol::from_static(protocol));
        request.body(()).unwrap()
    };
    assert_eq!(call(&client, opening("wrong", "websocket"), b"").await.unwrap().status, 401);
    assert_eq!(call(&client, opening(KEY, "connect-udp"), b"").await.unwrap().status, 400);
    assert!(upstream.seen().is_empty());

    let mut ready = client.clone().ready().await.unwrap();
    let (answer, mut out) = ready.send_request(opening(KEY, "websocket"), false).unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    assert!(!head.headers.contains_key("sec-websocket-accept"));
    let seen = upstream.last();
    assert!(seen.starts_with("GET /base/animals HTTP/1.1\r\n"), "{seen}");
    for part in ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"] {
        assert!(seen.contains(&format!("\r\n{part}\r\n")), "{part}: {seen}");
    }
    let nonces: Vec<_> =
        seen.lines().filter_map(|line| line.strip_prefix("sec-websocket-key: ")).collect();
    assert!(matches!(nonces[..], [nonce] if nonce.len() == 24), "{seen}");

    let said = frame(2, &vec![7; 1 << 20]);
    let mut echoed = Vec::new();
    for piece in said.chunks(10_000) {
        out.send_data(Bytes::copy_from_slice(piece), false).unwrap();
    }
    while echoed.len() < said.len() {
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        echoed.extend_from_slice(&piece);
    }
    assert!(echoed == said);
    out.send_data(Bytes::new(), true).unwrap();
    // The upstream's end is passed on.
    while let Some(piece) = body.data().await {
        assert_eq!(piece.unwrap().len(), 0);
    }
    assert_eq!(world.sums(), Sums { calls: 1, successes: 1, units: 1 });
    eventually("the tunnel has ended", || upstream.open() == 0);
}
