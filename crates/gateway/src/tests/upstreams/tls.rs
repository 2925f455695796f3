//! Upstreams that speak TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use keytoll_domain::catalog::{UpstreamOptions, UpstreamTls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::support::*;
use crate::tls::TlsFiles;
use crate::tls::tests::Authority;

/// A TLS upstream, and how each of its connections began.
struct Secure {
    addr: SocketAddr,
    handshakes: Arc<Mutex<Vec<Option<HandshakeKind>>>>,
}

/// `demanded` is the authority of the certificates that clients must show. `/animals/last` is the last call of a
/// connection.
fn secure(files: &TlsFiles, demanded: Option<&Path>) -> Secure {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match demanded {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&files.cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let settings = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let handshakes = Arc::new(Mutex::new(Vec::new()));
    let all = handshakes.clone();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let (settings, all) = (settings.clone(), all.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(settings).unwrap();
                let mut stream = StreamOwned::new(connection, tcp.unwrap());
                let mut head = Vec::new();
                let mut byte = [0];
                let mut first = true;
                while let Ok(1) = stream.read(&mut byte) {
                    head.push(byte[0]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    if std::mem::take(&mut first) {
                        all.lock().unwrap().push(stream.conn.handshake_kind());
                    }
                    let last = find(&head, b"/last").is_some();
                    let close = if last { "Connection: close\r\n" } else { "" };
                    let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok");
                    stream.write_all(answer.as_bytes()).unwrap();
                    head.clear();
                    if last {
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                        break;
                    }
                }
            });
        }
    });
    Secure { addr, handshakes }
}

fn world(url: String, tls: UpstreamTls) -> World {
    let mut setup = Setup::new(&Upstream::new());
    setup.upstream = Some(url);
    setup.settings.upstream_options =
        UpstreamOptions { tls: Some(tls), ..UpstreamOptions::default() };
    setup.options = Box::new(|options| options.workers = 1);
    setup.start()
}

fn trusting(ca: &Path) -> UpstreamTls {
    UpstreamTls { ca: Some(ca.to_str().unwrap().into()), ..UpstreamTls::default() }
}

#[test]
fn connections_are_reused_and_sessions_resumed() {
    let authority = Authority::new();
    let upstream = secure(&authority.issue("up", &["localhost"]), None);
    let url = format!("https://localhost:{}/base", upstream.addr.port());
    let world = world(url, trusting(&authority.ca()));
    for path in ["1", "2", "last", "3"] {
        let answer = world.get(&format!("/zoo/animals/{path}"));
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]), "{path}");
    }
    let handshakes = upstream.handshakes.lock().unwrap();
    assert_eq!(*handshakes, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
}

#[test]
fn call_502_when_the_certificate_is_not_trusted_or_for_another_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = secure(&authority.issue("up", &["parcels.internal"]), None);
    let url = format!("https://{}", upstream.addr);
    let named = |ca: &Path| {
        let server_name = Some("parcels.internal".into());
        UpstreamTls { server_name, ..trusting(ca) }
    };
    let refused = |tls: UpstreamTls| {
        let answer = world(url.clone(), tls).get("/zoo/animals");
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
        let shown = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(!shown.contains("certificate"), "{shown}");
    };
    refused(named(&stranger.ca()));
    refused(trusting(&authority.ca()));
    refused(trusting(Path::new("/nowhere/ca.pem")));
    assert_eq!(world(url.clone(), named(&authority.ca())).get("/zoo/animals").status, 200);
}

#[test]
fn a_client_certificate_is_shown_when_it_is_demanded() {
    let authority = Authority::new();
    let ours = authority.issue("gateway", &["gateway.internal"]);
    let upstream = secure(&authority.issue("up", &["127.0.0.1"]), Some(&authority.ca()));
    let url = format!("https://{}", upstream.addr);
    assert_eq!(world(url.clone(), trusting(&authority.ca())).get("/zoo/animals").status, 502);
    let shown = UpstreamTls {
        client_cert: Some(ours.cert.to_str().unwrap().into()),
        client_key: Some(ours.key.to_str().unwrap().into()),
        ..trusting(&authority.ca())
    };
    assert_eq!(world(url, shown).get("/zoo/animals").status, 200);
}

#[test]
fn files_that_change_are_read_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let ours = old.issue("gateway", &["gateway.internal"]);
    let upstream = secure(&new.issue("up", &["127.0.0.1"]), Some(&new.ca()));
    let read_later = old.ca().with_file_name("later.pem");
    let world = world(
        format!("https://{}", upstream.addr),
        UpstreamTls {
            client_cert: Some(ours.cert.to_str().unwrap().into()),
            client_key: Some(ours.key.to_str().unwrap().into()),
            ..trusting(&read_later)
        },
    );
    let status = || world.get("/zoo/animals/last").status;
    assert_eq!(status(), 502, "there is no such file");
    std::fs::copy(old.ca(), &read_later).unwrap();
    world.gateway().reload_tls();
    assert_eq!(status(), 502, "another authority's");
    let next = new.issue("gateway", &["gateway.internal"]);
    std::fs::copy(&next.cert, &ours.cert).unwrap();
    std::fs::copy(&next.key, &ours.key).unwrap();
    std::fs::copy(new.ca(), &read_later).unwrap();
    eventually("the files are read again", || status() == 200);
    std::fs::write(&read_later, "nonsense").unwrap();
    world.gateway().reload_tls();
    assert_eq!(status(), 200, "what was usable stays");
}
