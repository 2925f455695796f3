//! What a connection passes before its first request: PROXY header, place of its address; and what becomes of
//! connections when the gateway goes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::*;
use crate::options::ProxyProtocol;
use crate::tls::tests::Authority;

const CALL: &str =
    "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-of-alice\r\n\r\n";

/// Only callers of 10.1.0.0/16 may use the key.
fn setup(upstream: &Upstream, trusted: &'static str) -> Setup {
    let mut setup = Setup::new(upstream);
    setup.keys[0].allowed_ips = vec!["10.1.0.0/16".parse().unwrap()];
    setup.options = Box::new(move |options| {
        options.proxy_protocol = ProxyProtocol::Trusted;
        options.trusted_proxies = vec![trusted.parse().unwrap()];
        options.bounds.connections_per_address = 2;
    });
    setup
}

#[test]
fn the_header_of_a_trusted_peer_names_the_client() {
    let upstream = Upstream::new();
    let world = setup(&upstream, "127.0.0.0/8").start();
    for (line, status) in [
        ("PROXY TCP4 10.1.2.3 127.0.0.1 4711 80\r\n", 200),
        ("PROXY TCP4 6.6.6.6 127.0.0.1 4711 80\r\n", 403),
        ("PROXY UNKNOWN\r\n", 403),
    ] {
        let answer = world.client().call(&format!("{line}{CALL}"));
        assert_eq!(answer.status, status, "{line}");
    }
    // A client behind the header is believed nothing more.
    let forged = CALL.replace("Host: a\r\n", "Host: a\r\nX-Forwarded-For: 10.1.2.3\r\n");
    let answer = world.client().call(&format!("PROXY TCP4 6.6.6.6 127.0.0.1 1 2\r\n{forged}"));
    assert_eq!(answer.status, 403);
}

#[test]
fn a_trusted_peer_without_a_header_is_closed_upon() {
    let upstream = Upstream::new();
    let world = setup(&upstream, "127.0.0.0/8").start();
    let mut client = world.client();
    client.send(CALL);
    assert!(client.answer().is_none());
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_header_from_anybody_else_is_a_malformed_request() {
    let upstream = Upstream::new();
    let world = setup(&upstream, "192.0.2.0/24").start();
    let answer = world.client().call(&format!("PROXY TCP4 10.1.2.3 127.0.0.1 1 2\r\n{CALL}"));
    assert_eq!(answer.status, 400);
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let upstream = Upstream::new();
    let world = setup(&upstream, "127.0.0.0/8").start();
    let from = |address: &str| {
        let mut client = world.client();
        client.send(format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n{CALL}"));
        let status = client.answer().map(|answer| answer.status);
        (client, status)
    };
    let held = [from("10.1.2.3"), from("10.1.2.3")];
    assert!(held.iter().all(|(_, status)| *status == Some(200)));
    assert_eq!(from("10.1.2.3").1, None, "the third of an address");
    assert_eq!(from("10.1.2.4").1, Some(200), "another address");
    for _ in 0..3 {
        assert_eq!(from("127.0.0.9").1, Some(403), "proxies are exempt");
    }
    drop(held);
    for attempt in 0.. {
        if from("10.1.2.3").1 == Some(200) {
            break;
        }
        assert!(attempt < 10_000, "places come back with the connections' ends");
    }
}

#[test]
fn connections_wait_for_who_takes_the_listeners_over() {
    let upstream = Upstream::new();
    let mut world = World::of(&upstream);
    let (settled, listeners) = world.gateway.take().unwrap().hand_over(Duration::from_secs(5));
    assert!(settled);
    assert_eq!(listeners.len(), 2, "one per worker");
    let mut waiting: Vec<_> = (0..20).map(|_| world.client()).collect();
    for client in &mut waiting {
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    // Fewer workers than listeners: every queue is served nevertheless.
    world.restart(1, listeners);
    for client in &mut waiting {
        assert_eq!(client.answer().unwrap().status, 200);
    }
}

#[test]
fn a_single_inherited_listener_serves_all_workers() {
    let upstream = Upstream::new();
    let mut world = World::of(&upstream);
    world.gateway.take().unwrap().shutdown(Duration::from_secs(5));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.addr = listener.local_addr().unwrap();
    world.restart(3, vec![listener]);
    for _ in 0..20 {
        assert_eq!(world.call("GET /healthz", "").status, 200);
    }
}

/// The answer to one call over TLS, and the certificate that was shown.
async fn call_by_tls(world: &World, authority: &Authority) -> (String, Vec<u8>) {
    let stream = TcpStream::connect(world.addr).await.unwrap();
    let client = authority.client(None, &[b"http/1.1"]);
    let mut stream = client.connect("api.example.test", stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let call = CALL.replace("Host: a\r\n", "Host: a\r\nConnection: close\r\n");
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer, shown)
}

#[tokio::test]
async fn calls_come_by_tls_and_certificates_are_exchanged() {
    let authority = Authority::new();
    let files = authority.issue("gateway", &["api.example.test"]);
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.options = Box::new(move |options| options.tls = vec![files]);
    let world = setup.start();
    let (answer, old) = call_by_tls(&world, &authority).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    authority.issue("gateway", &["api.example.test"]);
    world.gateway().reload_tls();
    let (answer, new) = call_by_tls(&world, &authority).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_ne!(old, new);
    let mut plain = world.client();
    plain.send(CALL);
    assert!(plain.answer().is_none_or(|answer| answer.status != 200));
    assert_eq!(world.sums().calls, 2);
}
