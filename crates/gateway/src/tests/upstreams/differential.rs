//! What our client makes of an answer, compared with what hyper makes of it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::support::*;

/// Status and body, or that there was no whole answer.
type Outcome = Option<(u16, Vec<u8>)>;

async fn ask(addr: SocketAddr, method: &str, path: &str) -> Outcome {
    let stream = TcpStream::connect(addr).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::task::spawn_local(connection);
    let request = hyper::Request::builder().method(method).uri(path).header("host", "a");
    let request = request.header("x-api-key", KEY).body(String::new()).ok()?;
    let (head, mut body) = sender.send_request(request).await.ok()?.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Some((head.status.as_u16(), bytes))
}

fn outcome(addr: SocketAddr, method: &str, path: &str) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, ask(addr, method, path))
}

/// Each piece is a write of its own.
fn answers() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let large = vec![b'x'; 300_000];
    let slowly = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;a=b\r\n0123456789abcdef\r\n0\r\nX-Trailer: 1\r\n\r\n";
    let mut all: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("GET", vec![b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec(), large.clone()]),
        (
            "GET",
            vec![
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n".to_vec(),
                large,
                b"\r\n0\r\n\r\n".to_vec(),
            ],
        ),
        ("GET", slowly.chunks(1).map(<[u8]>::to_vec).collect()),
    ];
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        // No whole answer.
        ("GET", ""),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ("GET", "SSH-2.0-OpenSSH\r\n\r\n"),
    ] {
        all.push((method, vec![answer.as_bytes().to_vec()]));
    }
    all
}

#[test]
fn answers_are_understood_as_hyper_understands_them() {
    let all = answers();
    let upstream = Upstream::with(|served| {
        let number = served.head.split(['/', ' ']).find_map(|part| part.parse::<usize>().ok());
        let (_, pieces) = answers().swap_remove(number.unwrap());
        for piece in pieces {
            served.client.send(piece);
        }
        Then::Close
    });
    let mut setup = Setup::new(&upstream);
    setup.upstream = Some(format!("http://{}", upstream.addr));
    let world = setup.start();
    for (number, (method, pieces)) in all.iter().enumerate() {
        let path = format!("/animals/{number}");
        let direct = outcome(upstream.addr, method, &path);
        let ours = outcome(world.addr, method, &format!("/zoo{path}"));
        // Ours says so when there was no head.
        let ours = ours.filter(|(status, _)| *status != 502);
        let shown = pieces.concat();
        let shown = String::from_utf8_lossy(&shown[..shown.len().min(100)]);
        assert!(direct == ours, "{method} {shown:?}");
    }
}
