//! One request on a connection of its own, for what is not a call: health checks, traces.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::connect::connect;
use super::head::Asked;
use super::{Failure, Upstream};

/// Sends the whole request, which must ask that the connection be closed, and gives the answer's status. The limit is
/// that of the connection; the rest takes as long as the caller waits.
pub(crate) async fn ask(
    upstream: &Arc<Upstream>,
    request: &[u8],
    limit: Duration,
) -> Result<u16, Failure> {
    let mut connection = connect(upstream, limit).await?;
    let sent = connection.stream.write_all(request).await;
    sent.map_err(|_| Failure::Broken)?;
    connection.stream.flush().await.map_err(|_| Failure::Broken)?;
    poll_fn(|cx| {
        loop {
            if connection.head.parse(&mut connection.input, Asked::Content)? {
                return Poll::Ready(Ok(connection.head.status));
            }
            let stream = Pin::new(&mut connection.stream).get_mut();
            match connection.input.poll_fill(stream, cx, false) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Failure::Broken)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
