//! Calls over HTTP/2: the same results as over HTTP/1, and what only HTTP/2 can get wrong.

use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::support::*;
use crate::tls::tests::Authority;

const LARGE: usize = 4 << 20;

pub(super) type H2 = SendRequest<Bytes>;

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> H2 {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(super) async fn connect(world: &World) -> H2 {
    over(TcpStream::connect(world.addr).await.unwrap()).await
}

pub(super) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://api.example{path}"))
}

pub(super) fn with_key(method: &str, path: &str) -> Request<()> {
    request(method, path).header("x-api-key", KEY).body(()).unwrap()
}

pub(super) struct Got {
    pub status: u16,
    headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut read = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

/// One call with its whole body, sent as windows allow.
pub(super) async fn call(client: &H2, request: Request<()>, body: &[u8]) -> Result<Got, h2::Error> {
    call_with_trailers(client, request, body, None).await
}

pub(super) async fn call_with_trailers(
    client: &H2,
    request: Request<()>,
    body: &[u8],
    trailers: Option<HeaderMap>,
) -> Result<Got, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (answer, mut out) = client.send_request(request, body.is_empty())?;
    let mut body = Bytes::copy_from_slice(body);
    let sending = async move {
        while !body.is_empty() {
            out.reserve_capacity(body.len());
            let Some(room) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else { return };
            let Ok(room) = room else { return };
            let piece = body.split_to(room.min(body.len()));
            if out.send_data(piece, body.is_empty() && trailers.is_none()).is_err() {
                return;
            }
        }
        if let Some(trailers) = trailers {
            out.send_trailers(trailers).unwrap();
        }
    };
    let sending = tokio::spawn(sending);
    let (head, mut received) = answer.await?.into_parts();
    let body = read(&mut received).await?;
    let trailers = received.trailers().await?.unwrap_or_default();
    sending.await.unwrap();
    Ok(Got { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn results_are_those_of_http1() {
    let upstream = Upstream::with(|served| {
        let body = read_body(served);
        let length = body.len();
        let body = if served.head.starts_with("HEAD") { Vec::new() } else { body };
        served
            .client
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Up: 1\r\n\r\n"));
        served.client.send(body);
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.plan.limits.minute = Some(1_000);
    setup.keys[0].rate_limit_per_minute = Some(500);
    let mut limited = key(8, "secret-of-bob");
    limited.rate_limit_per_minute = Some(1);
    setup.keys.push(limited);
    setup.options = Box::new(|options| options.bounds.body_max_bytes = 100_000);
    let world = setup.start();
    let client = connect(&world).await;
    let bob = "secret-of-bob";
    assert_eq!(world.call("GET /zoo/animals", &format!("X-API-Key: {bob}\r\n")).status, 200);
    let large = vec![b'x'; 100_001];
    for (method, path, secret, body, status) in [
        ("GET", "/zoo/animals", KEY, &b""[..], 200),
        ("HEAD", "/zoo/animals", KEY, b"", 200),
        ("POST", "/zoo/animals", KEY, b"hello", 200),
        ("POST", "/zoo/animals", KEY, &large, 413),
        ("GET", "/zoo/animals", "wrong", b"", 401),
        ("GET", "/zoo/animals", bob, b"", 429),
        ("GET", "/zoo/nothing", KEY, b"", 404),
        ("PATCH", "/zoo/animals", KEY, b"", 405),
        ("GET", "/nowhere/at/all", KEY, b"", 404),
        ("GET", "/zoo/animals/%2e%2e", KEY, b"", 400),
        ("GET", "/zoo/.keytoll/usage", KEY, b"", 200),
        ("GET", "/healthz", "", b"", 200),
    ] {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut old = world.client();
        old.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: api.example\r\nX-API-Key: {secret}\r\n{length}\r\n"
        ));
        if status != 413 {
            old.send(body);
        }
        let old = if method == "HEAD" { old.head() } else { old.answer().unwrap() };
        let mut request = request(method, path).header("x-api-key", secret);
        if !body.is_empty() {
            request = request.header("content-length", body.len());
        }
        let new = call(&client, request.body(()).unwrap(), body).await.unwrap();
        let what = format!("{method} {path} {secret}");
        assert_eq!((old.status, new.status), (status, status), "{what}");
        for name in [
            "content-type",
            "allow",
            "www-authenticate",
            "retry-after",
            "x-up",
            "x-ratelimit-limit",
            "ratelimit-policy",
            "cache-control",
            "content-length",
        ] {
            assert_eq!(new.header(name), old.header(name), "{what}: {name}");
        }
        assert!(!new.header("x-request-id").is_empty(), "{what}");
        assert_eq!(new.body.len(), old.body.len(), "{what}");
        if status >= 400 {
            let problem: serde_json::Value = serde_json::from_slice(&new.body).unwrap();
            assert_eq!(problem["code"], old.json()["code"], "{what}");
        }
    }
    assert_eq!(world.sums().calls, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_upstream_sees_what_an_http1_client_would_have_sent() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let request = request("POST", "/zoo/animals?a=1")
        .header("x-api-key", KEY)
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-own", "kept");
    assert_eq!(call(&client, request.body(()).unwrap(), b"").await.unwrap().status, 200);
    let seen = upstream.last();
    for part in [
        "POST /base/animals?a=1 HTTP/1.1\r\n",
        "\r\ncookie: a=1; b=2\r\n",
        "\r\nx-own: kept\r\n",
        "\r\nx-forwarded-host: api.example\r\n",
        "\r\nx-forwarded-for: 127.0.0.1\r\n",
        "\r\ncontent-length: 0\r\n",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    for part in [KEY, "\r\nte:", "6.6.6.6"] {
        assert!(!seen.contains(part), "{part}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn streams_of_a_connection_are_served_at_once() {
    const STREAMS: usize = 20;
    let all = Barrier::new(STREAMS);
    let upstream = Upstream::with(move |served| {
        all.wait();
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Then::KeepOpen
    });
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let calls: Vec<_> = (0..STREAMS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, with_key("GET", "/zoo/animals"), b"").await })
        })
        .collect();
    for one in calls {
        assert_eq!(one.await.unwrap().unwrap().body, b"ok");
    }
    assert_eq!(world.sums().calls, STREAMS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_bodies_pass_both_ways_with_and_without_a_length() {
    let upstream = Upstream::with(|served| {
        let body = read_body(served);
        if served.head.contains("x-chunked") {
            served.client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(100_000) {
                served.client.send(format!("{:x}\r\n", chunk.len()));
                served.client.send(chunk);
                served.client.send("\r\n");
            }
            served.client.send("0\r\n\r\n");
            return Then::KeepOpen;
        }
        served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        served.client.send(&body);
        Then::KeepOpen
    });
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let sent: Vec<u8> = (0..LARGE).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect();
    for (name, value) in [("content-length", LARGE.to_string()), ("x-chunked", "1".to_owned())] {
        let request = request("POST", "/zoo/animals").header("x-api-key", KEY).header(name, value);
        let got = call(&client, request.body(()).unwrap(), &sent).await.unwrap();
        assert_eq!(got.status, 200);
        assert!(got.body == sent, "{name}: {} bytes came back", got.body.len());
    }
    assert_eq!(world.sums().calls, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_reset_before_its_answer_is_charged_once() {
    let (arrived, arrivals) = channel();
    let upstream = Upstream::with(move |served| {
        arrived.send(()).unwrap();
        // Ends when the gateway lets go of it.
        while served.client.fill() > 0 {}
        Then::Close
    });
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let mut ready = client.clone().ready().await.unwrap();
    let (answer, mut out) = ready.send_request(with_key("GET", "/zoo/animals"), true).unwrap();
    tokio::task::block_in_place(|| arrivals.recv_timeout(Duration::from_secs(20))).unwrap();
    out.send_reset(Reason::CANCEL);
    assert!(answer.await.is_err());
    // The connection serves on, and the reset is behind.
    assert_eq!(
        call(&client, request("GET", "/healthz").body(()).unwrap(), b"").await.unwrap().status,
        200
    );
    let sums = world.sums();
    assert_eq!((sums.calls, sums.units, sums.successes), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_that_breaks_off_is_a_reset_not_an_end() {
    let upstream = Upstream::with(|served| {
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        Then::Close
    });
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let got = call(&client, with_key("GET", "/zoo/animals"), b"").await;
    assert_eq!(got.err().and_then(|error| error.reason()), Some(Reason::INTERNAL_ERROR));
    assert_eq!(world.sums().calls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_come_by_alpn() {
    let authority = Authority::new();
    let files = authority.issue("gateway", &["api.example"]);
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(move |options| options.tls = vec![files]);
    let world = setup.start();
    let stream = TcpStream::connect(world.addr).await.unwrap();
    let tls = authority.client(None, &[b"h2", b"http/1.1"]);
    let stream = tls.connect("api.example", stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = over(stream).await;
    assert_eq!(call(&client, with_key("GET", "/zoo/animals"), b"").await.unwrap().status, 200);
    assert!(upstream.last().contains("\r\nx-forwarded-proto: https\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stop_lets_streams_end_and_takes_no_more() {
    let (arrived, arrivals) = channel();
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let upstream = Upstream::with(move |served| {
        arrived.send(()).unwrap();
        let _ = gone.lock().unwrap().recv();
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Then::KeepOpen
    });
    let mut world = World::of(&upstream);
    let (client, connection) = {
        let stream = TcpStream::connect(world.addr).await.unwrap();
        h2::client::handshake(stream).await.unwrap()
    };
    let connection = tokio::spawn(connection);
    let last = client.clone();
    let calling =
        tokio::spawn(async move { call(&last, with_key("GET", "/zoo/animals"), b"").await });
    tokio::task::block_in_place(|| arrivals.recv_timeout(Duration::from_secs(20))).unwrap();
    let gateway = world.gateway.take().unwrap();
    let stopping = std::thread::spawn(move || gateway.shutdown(Duration::from_secs(20)));
    // The first GOAWAY is told by the client's refusal to open more.
    while call(&client, request("GET", "/healthz").body(()).unwrap(), b"").await.is_ok() {}
    go.send(()).unwrap();
    assert_eq!(calling.await.unwrap().unwrap().body, b"ok");
    connection.await.unwrap().unwrap();
    assert!(tokio::task::block_in_place(|| stopping.join().unwrap()));
    assert_eq!(world.ledger.sums(keytoll_domain::key::Environment::Live).calls, 1);
}

/// One field of a message that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend_from_slice(bytes);
    field
}

/// Envoy's question whether a request with this key may pass.
fn question(secret: &str) -> Vec<u8> {
    let header = [field(1, b"x-api-key"), field(2, secret.as_bytes())].concat();
    let http = [field(2, b"GET"), field(3, &header), field(4, b"/animals")].concat();
    let message = field(1, &field(4, &field(2, &http)));
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn envoy_is_answered_over_grpc() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let client = connect(&world).await;
    let ask = |token: &str, body: Vec<u8>| {
        let request = request("POST", "/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-keytoll-product", "zoo")
            .header("x-keytoll-auth", token);
        let request = request.body(()).unwrap();
        let client = &client;
        async move { call(client, request, &body).await.unwrap() }
    };
    for (secret, granted) in [(KEY, true), ("wrong", false)] {
        let got = ask(TOKEN, question(secret)).await;
        assert_eq!((got.status, got.header("content-type")), (200, "application/grpc"));
        assert_eq!(got.trailers.get("grpc-status").unwrap(), "0");
        let status = u8::from(!granted) * 16;
        // A message of the answer's own status: empty, or with a code in it.
        let code = got.body.windows(4).any(|part| part == [0x0a, 2, 8, status]);
        assert!(got.body.len() > 5 && (granted || code), "{secret}: {:?}", got.body);
    }
    let got = ask("wrong", question(KEY)).await;
    assert_eq!((got.header("grpc-status"), got.body.len()), ("16", 0));
    let got = ask(TOKEN, vec![0; 70 * 1024]).await;
    assert_eq!((got.header("grpc-status"), got.body.len()), ("8", 0));
    let get = request("GET", "/envoy.service.auth.v3.Authorization/Check").body(()).unwrap();
    assert_eq!(call(&client, get, b"").await.unwrap().status, 404);
    assert!(upstream.seen().is_empty());
    assert_eq!(world.sums().calls, 1);
}
