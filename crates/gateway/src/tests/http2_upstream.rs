//! Calls to upstreams that speak HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use keytoll_domain::catalog::UpstreamHttp;
use tokio::net::TcpListener;

use super::http2::{call, call_with_trailers, connect, request, with_key};
use super::support::*;
use crate::tls::ServerTls;
use crate::tls::tests::Authority;

/// An upstream of HTTP/2: by path it echoes, breaks off, or says good-bye.
struct Peer {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    async fn start(tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, tls) = (connections.clone(), tls.map(Arc::new));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream).await,
                        Some(tls) => serve(tls.accept(stream).await.unwrap()).await,
                    }
                });
            }
        });
        Self { addr, connections }
    }

    fn setup(&self, scheme: &str) -> Setup {
        let mut setup = Setup::new(&Upstream::new());
        setup.upstream = Some(format!("{scheme}://{}/base", self.addr));
        setup.settings.upstream_options.http = UpstreamHttp::Http2;
        setup.settings.upstream_options.retries.attempts = 0;
        setup.options = Box::new(|options| options.workers = 1);
        setup
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, reply))) = connection.accept().await {
        if request.uri().path().ends_with("/last") {
            connection.graceful_shutdown();
        }
        tokio::spawn(answer(request, reply));
    }
}

async fn answer(request: Request<RecvStream>, mut reply: SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    assert!(head.uri.path().starts_with("/base/animals"), "{}", head.uri);
    if head.uri.path().ends_with("/refused") {
        return reply.send_reset(Reason::INTERNAL_ERROR);
    }
    let text =
        |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let response = Response::builder()
        .header("content-type", text("content-type"))
        .header("x-seen-te", text("te"))
        .header("x-seen-key", text("x-api-key"))
        .header("x-seen-length", text("content-length"))
        .header("cache-control", "public, max-age=60")
        .header("x-seen-authority", head.uri.authority().unwrap().as_str());
    let mut out = reply.send_response(response.body(()).unwrap(), false).unwrap();
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return };
        body.flow_control().release_capacity(piece.len()).unwrap();
        let mut piece = piece;
        while !piece.is_empty() {
            out.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|cx| out.poll_capacity(cx)).await;
            let Some(Ok(room)) = room else { return };
            let part = piece.split_to(room.min(piece.len()));
            out.send_data(part, false).unwrap();
        }
    }
    if head.uri.path().ends_with("/broken") {
        return out.send_reset(Reason::INTERNAL_ERROR);
    }
    if head.uri.path().ends_with("/plain") {
        return out.send_data(Bytes::from_static(b"plain"), true).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("x-keytoll-forged", "1".parse().unwrap());
    if let Some(sent) = body.trailers().await.unwrap_or_default() {
        trailers.insert("x-sent", sent.get("x-after").unwrap().clone());
    }
    out.send_trailers(trailers).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_passes_with_its_trailers_both_ways() {
    let peer = Peer::start(None).await;
    let world = peer.setup("http").start();
    let client = connect(&world).await;
    let request = request("POST", "/zoo/animals")
        .header("x-api-key", KEY)
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let mut after = HeaderMap::new();
    after.insert("x-after", "yes".parse().unwrap());
    after.insert("x-keytoll-plan", "forged".parse().unwrap());
    let request = request.body(()).unwrap();
    let got = call_with_trailers(&client, request, b"\0\0\0\0\x02hi", Some(after)).await.unwrap();
    assert_eq!((got.status, &*got.body), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(got.header("content-type"), "application/grpc+proto");
    assert_eq!(got.header("x-seen-te"), "trailers");
    assert_eq!(got.header("x-seen-key"), "", "the key stays here");
    assert_eq!(got.header("x-seen-authority"), peer.addr.to_string());
    assert_eq!(got.trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(got.trailers.get("x-sent").unwrap(), "yes");
    assert!(!got.trailers.contains_key("x-keytoll-forged"));
    let sums = world.sums();
    assert_eq!((sums.calls, sums.units), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_http1_get_a_plain_answer() {
    let peer = Peer::start(None).await;
    let world = peer.setup("http").start();
    let mut client = world.client();
    let fields = format!("Host: a\r\nX-API-Key: {KEY}\r\n");
    let got = client
        .call(&format!("POST /zoo/animals HTTP/1.1\r\n{fields}Content-Length: 5\r\n\r\nhello"));
    assert_eq!((got.status, &*got.body), (200, &b"hello"[..]));
    assert_eq!((got.header("x-seen-length"), got.header("transfer-encoding")), ("5", "chunked"));
    let got = client.call(&format!("POST /zoo/animals HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!((got.header("x-seen-length"), &*got.body), ("", &b"hello"[..]));
    let got = client.call(&format!("GET /zoo/animals HTTP/1.1\r\n{fields}\r\n"));
    assert_eq!((got.status, got.body.len()), (200, 0));
    assert_eq!(got.header("x-ratelimit-limit"), "");
    client.send(format!("HEAD /zoo/animals HTTP/1.1\r\n{fields}\r\n"));
    assert_eq!(client.head().status, 200);
    assert_eq!(world.sums().calls, 4);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_trailers_or_without_an_end_are_not_kept() {
    let peer = Peer::start(None).await;
    let mut setup = peer.setup("http");
    setup.settings.cache = true;
    let world = setup.start();
    let client = connect(&world).await;
    for (path, expected) in [("/zoo/animals/plain", "hit"), ("/zoo/animals/5", "miss")] {
        let got = call(&client, with_key("GET", path), b"").await.unwrap();
        assert_eq!((got.status, got.header("x-keytoll-cache")), (200, "miss"), "{path}");
        let got = call(&client, with_key("GET", path), b"").await.unwrap();
        assert_eq!(got.header("x-keytoll-cache"), expected, "{path}");
    }
    for _ in 0..2 {
        let broken = call(&client, with_key("GET", "/zoo/animals/broken"), b"").await;
        assert!(broken.is_err() || broken.is_ok_and(|got| got.status == 502));
    }
    let got = call(&client, with_key("GET", "/zoo/animals/plain"), b"").await.unwrap();
    assert_eq!((got.header("x-keytoll-cache"), &*got.body), ("hit", &b"plain"[..]));
    let got = world.get("/zoo/animals/5");
    assert_eq!(got.header("x-keytoll-cache"), "miss");
    let grpc = request("POST", "/zoo/animals").header("x-api-key", KEY);
    let grpc = grpc.header("content-type", "application/grpc").body(()).unwrap();
    let got = call(&client, grpc, b"\0\0\0\0\0").await.unwrap();
    assert_eq!(got.header("x-keytoll-cache"), "bypass");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_calls_share_a_connection() {
    const CALLS: usize = 8;
    let peer = Peer::start(None).await;
    let world = peer.setup("http").start();
    let client = connect(&world).await;
    let body: Arc<Vec<u8>> =
        Arc::new((0..1_000_000).map(|at| u8::try_from(at % 251).unwrap()).collect());
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (client, body) = (client.clone(), body.clone());
            tokio::spawn(
                async move { call(&client, with_key("POST", "/zoo/animals"), &body).await },
            )
        })
        .collect();
    for one in calls {
        let got = one.await.unwrap().unwrap();
        assert!(got.body == *body, "{} bytes came back", got.body.len());
    }
    assert_eq!(world.sums().calls, CALLS as u64);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_connection_is_replaced() {
    let peer = Peer::start(None).await;
    let world = peer.setup("http").start();
    for _ in 0..3 {
        assert_eq!(world.get("/zoo/animals/last").status, 200);
        assert_eq!(world.get("/zoo/animals").status, 200);
    }
    assert_eq!(world.sums().calls, 6);
    assert!(peer.connections() >= 3, "{}", peer.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_is_told_and_charged_as_ever() {
    let peer = Peer::start(None).await;
    let world = peer.setup("http").start();
    let client = connect(&world).await;
    let got = call(&client, with_key("GET", "/zoo/animals/refused"), b"").await.unwrap();
    assert_eq!(got.status, 502);
    let sums = world.sums();
    assert_eq!((sums.calls, sums.units), (1, 0));
    // The peer breaks off once the request has ended, which the client lets happen after the answer's head.
    let mut ready = client.clone().ready().await.unwrap();
    let (answer, mut out) =
        ready.send_request(with_key("GET", "/zoo/animals/broken"), false).unwrap();
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    out.send_data(Bytes::new(), true).unwrap();
    let broken = answer.body_mut().data().await.unwrap().unwrap_err();
    assert_eq!(broken.reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(world.sums().units, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_in_silence_is_found_and_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer =
        Peer { addr: listener.local_addr().unwrap(), connections: Arc::new(AtomicUsize::new(0)) };
    let count = peer.connections.clone();
    tokio::spawn(async move {
        let mut deaf = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let mut connection = h2::server::handshake(stream).await.unwrap();
            if !first {
                tokio::spawn(async move {
                    while let Some(Ok((request, reply))) = connection.accept().await {
                        tokio::spawn(answer(request, reply));
                    }
                });
                continue;
            }
            // Answers one call and is never heard of again.
            let (request, reply) = connection.accept().await.unwrap().unwrap();
            let mut answering = Box::pin(answer(request, reply));
            tokio::select! {
                _ = connection.accept() => {}
                () = &mut answering => {}
            }
            let flushed = tokio::time::Duration::from_millis(50);
            let _ = tokio::time::timeout(flushed, connection.accept()).await;
            deaf.push(connection);
        }
    });
    let world = peer.setup("http").start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals").status, 200, "asked again on another connection");
    assert_eq!(peer.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_upstreams_agree_on_it() {
    let authority = Authority::new();
    let files = authority.issue("upstream", &["127.0.0.1"]);
    for (protocol, status) in [("h2", 200), ("http/1.1", 502)] {
        let tls = ServerTls::load(std::slice::from_ref(&files), &[protocol.as_bytes()]).unwrap();
        let peer = Peer::start(Some(tls)).await;
        let mut setup = peer.setup("https");
        setup.settings.upstream_options.tls = Some(authority.upstream_tls());
        let world = setup.start();
        assert_eq!(world.get("/zoo/animals").status, status, "{protocol}");
    }
}
