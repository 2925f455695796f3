use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::server::deadline::{Deadline, Deadlines};
use crate::upstream::Upstream;

/// Says one length and has another.
struct Liar {
    announced: u64,
    pieces: Vec<&'static [u8]>,
    deadline: Deadline,
}

impl Source for Liar {
    fn framing(&self) -> BodyFraming {
        BodyFraming::Length(self.announced)
    }

    fn poll_fill(
        &mut self,
        _: &mut Context<'_>,
        out: &mut Vec<u8>,
        _: bool,
    ) -> Poll<Result<Fill, Failure>> {
        let Some(piece) = self.pieces.pop() else { return Poll::Ready(Ok(Fill::End)) };
        out.extend_from_slice(piece);
        Poll::Ready(Ok(Fill::Data(piece.len())))
    }

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }
}

/// Sends a body of so many bytes, announced as five; what came of it, and what the upstream got.
async fn send(pieces: Vec<&'static [u8]>) -> (Result<(), Failure>, bool, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = Stream::Tcp(TcpStream::connect(address).await.unwrap());
    let (mut peer, _) = listener.accept().await.unwrap();
    let upstream = Arc::new(Upstream::parse(&format!("http://{address}"), 0).unwrap());
    let deadline = Rc::<Deadlines>::default().add();
    let mut liar = Liar { announced: 5, pieces, deadline };
    let limits = Limits {
        first_byte: Duration::from_secs(1),
        idle: Duration::from_secs(1),
        body_max_bytes: 1 << 20,
        until: None,
    };
    let connection = Connection::over(&upstream, stream);
    let mut exchange = Exchange::new(connection, liar.framing(), limits, 0);
    let sent = poll_fn(|cx| Poll::Ready(exchange.drive_upload(cx, &mut liar))).await;
    let is_complete = exchange.is_complete();
    drop(exchange);
    let mut got = Vec::new();
    peer.read_to_end(&mut got).await.unwrap();
    (sent, is_complete, got)
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_never_complete() {
    assert_eq!(send(vec![b"llo", b"he"]).await, (Ok(()), true, b"hello".to_vec()));
    for pieces in [vec![b"he".as_slice()], vec![], vec![b" you", b"hello"]] {
        let (sent, is_complete, got) = send(pieces).await;
        assert_eq!((sent, is_complete), (Err(Failure::ClientBroke), false));
        assert!(got.is_empty(), "{got:?}");
    }
}
