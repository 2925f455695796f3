//! A new process in the old one's place under load, and the end of one that is asked to stop.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use keytoll_tests::binary::{Server, export, text};
use keytoll_tests::catalog::{apply, catalog, plan, sell};
use keytoll_tests::http::{Connection, Request};
use keytoll_tests::portal::Session;
use keytoll_tests::scratch::{Scratch, free_port};
use keytoll_tests::upstream::Upstream;
use keytoll_tests::{binary, wait};
use rustix::process::Signal;
use serde_json::json;

const RESTARTS: usize = 2;
const ANSWERS_PER_ROUND: usize = 50;
const CLIENTS: usize = 3;

fn starts(output: &str) -> usize {
    output.lines().filter(|line| line.starts_with("gateway http")).count()
}

fn key_of(server: &Server) -> String {
    let session = Session::sign_up(server.portal, "a@example.test", "Example");
    session.subscribe("open");
    session.create_key(&["*"]).1
}

#[test]
fn restarts_under_load_refuse_no_connection_and_lose_no_call() {
    let upstream = Upstream::start();
    let mut server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let key = key_of(&server);
    let (gateway, portal) = (server.gateway, server.portal);
    let request = Request::get("/items/items").bearer(&key);
    let stop = AtomicBool::new(false);
    let answered: Mutex<Vec<String>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let count = || answered.lock().unwrap_or_else(PoisonError::into_inner).len();

    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                // A connection of its own for each call: every one of them must be accepted.
                while !stop.load(Ordering::SeqCst) {
                    match request.send(gateway) {
                        Ok(answer) if answer.status == 200 => {
                            let id = answer.header("x-request-id").unwrap_or_default().to_owned();
                            answered.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                        }
                        other => failures
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(format!("{other:?}")),
                    }
                }
            });
        }
        // The portal waits likewise.
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                if let Err(error) = Request::get("/login").send(portal) {
                    let failure = format!("portal: {error}");
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                }
            }
        });
        for restart in 0..=RESTARTS {
            let before = count();
            wait::until_true("calls to be answered", || count() >= before + ANSWERS_PER_ROUND);
            if restart < RESTARTS {
                server.process().signal(Signal::USR2);
                wait::until_true("the new process to be ready", || {
                    let process = server.process();
                    assert_eq!(process.ended(), None, "{}", process.output());
                    starts(&process.output()) == restart + 2
                });
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "{} failures: {:?}", failures.len(), failures.first());

    server.process().signal(Signal::TERM);
    assert!(server.process().wait().success(), "{}", server.process().output());
    let mut times: HashMap<String, usize> = HashMap::new();
    for row in export(&server) {
        *times.entry(text(&row, "request_id")).or_default() += 1;
    }
    let answered = answered.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(answered.iter().all(|id| times.get(id) == Some(&1)), "each answer is metered once");
    assert_eq!(times.len(), answered.len());
    server.cli(&["ledger", "verify"]).ok();
}

#[test]
fn a_restart_into_a_broken_configuration_does_not_happen() {
    let upstream = Upstream::start();
    let mut server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let good = std::fs::read_to_string(server.folder.path().join("keytoll.toml")).unwrap();
    server.folder.write("keytoll.toml", format!("nonsense = 1\n{good}"));
    server.process().signal(Signal::USR2);
    wait::until_true("the refusal", || server.process().output().contains("not restarted"));
    assert!(server.process().output().contains("`nonsense`"));
    let answer = Request::get("/healthz").send(server.gateway).unwrap();
    assert_eq!(answer.status, 200);
    server.folder.write("keytoll.toml", good);
    server.process().signal(Signal::USR2);
    wait::until_true("the restart", || starts(&server.process().output()) == 2);
    Request::get("/healthz").send(server.gateway).unwrap().expect(200);
}

/// An upstream that reads a call and answers it when told to.
struct Held {
    listener: TcpListener,
    url: String,
}

impl Held {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", free_port())).expect("the port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        Self { listener, url }
    }

    fn receive(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().expect("the gateway connects");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("the gateway sends a head");
            head.push(byte[0]);
        }
        stream
    }
}

/// A server with a call in flight, whose connection and upstream end are returned.
fn with_a_call_in_flight(gateway_more: &str) -> (Server, Connection, TcpStream) {
    let held = Held::start();
    let unused = Upstream::start();
    let mut server = Server::prepare("", gateway_more);
    let product = json!({"upstream": held.url});
    apply(&server, &catalog(&unused, &product, &json!([plan("open", &json!({}))])));
    server.run();
    let key = key_of(&server);
    let mut connection = Connection::open(server.gateway).expect("the gateway accepts");
    let call =
        format!("GET /items/items HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n");
    connection.write(call.as_bytes()).expect("a call can be sent");
    let upstream = held.receive();
    (server, connection, upstream)
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn sigterm_says_so_first_then_refuses_and_lets_the_call_end() {
    let (mut server, mut call, mut upstream) = with_a_call_in_flight("stop_delay_secs = 3");
    Request::get("/readyz").send(server.gateway).unwrap().expect(200);
    let mut idle = Connection::open(server.gateway).unwrap();
    idle.exchange(&Request::get("/readyz")).unwrap().expect(200);
    server.process().signal(Signal::TERM);
    wait::until_true("/readyz to say 503", || {
        Request::get("/readyz").send(server.gateway).unwrap().status == 503
    });
    idle.exchange(&Request::get("/healthz")).unwrap().expect(200);
    wait::until_true("new connections to be refused", || is_refused(server.gateway));
    assert!(idle.read_to_close().is_empty(), "an idle connection is closed");
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
    let answer = call.read_response(false).unwrap().expect(200);
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("done", Some("close")));
    assert!(server.process().wait().success());
    assert_eq!(export(&server).len(), 1);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (mut server, mut call, _upstream) = with_a_call_in_flight("");
    server.process().signal(Signal::TERM);
    wait::until_true("new connections to be refused", || is_refused(server.gateway));
    server.process().signal(Signal::TERM);
    assert_eq!(server.process().wait().code(), Some(130));
    assert!(call.read_to_close().is_empty());
}

#[test]
fn config_check_reads_the_certificates() {
    let folder = Scratch::new();
    folder.write("keytoll.toml", "[gateway.tls]\ncert = \"a.pem\"\nkey = \"a.key\"\n");
    let check = || binary::run_in(folder.path(), &["config", "check"], "");
    check().refused(&["gateway.tls", "cannot read `a.pem`"]);
    folder.write("a.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    check().refused(&["`a.pem`, line 1"]);
}
