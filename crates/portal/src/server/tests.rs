//! Connections over real sockets. Time is paused: what waits for a limit reaches it at once.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_given_up() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(super::serve(listener, Router::new(), std::future::pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_hours(1), client.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection is still open after an hour");
    server.abort();
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_lets_answers_end() {
    let (listener, address) = listener().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let (reached, at_work) = oneshot::channel::<()>();
    let (release, released) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some((reached, released)));
    let once = std::sync::Arc::new(once);
    let slow = get(move || {
        let (reached, released) = once.lock().unwrap().take().unwrap();
        async move {
            reached.send(()).unwrap();
            released.await.unwrap();
            "done"
        }
    });
    let router = Router::new().route("/slow", slow);
    let shutdown = async { stopped.await.unwrap() };
    let server = tokio::spawn(super::serve(listener, router, shutdown));
    let _idle = TcpStream::connect(address).await.unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    at_work.await.unwrap();
    stop.send(()).unwrap();
    release.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    server.await.unwrap().unwrap();
}
