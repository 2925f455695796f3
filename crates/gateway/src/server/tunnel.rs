//! A connection that speaks another protocol after its answer's head: bytes pass both ways as they come.
//!
//! Nothing is read while the other side does not take what was read before, so that a tunnel holds one read of each
//! side at most. When one side says that it has ended, the other is told, and may go on until it ends too. A tunnel
//! in which nothing moves for too long is closed.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite as _;

use super::deadline::Deadline;
use crate::buffer::Buffer;
use crate::call::Finish;
use crate::stream::Stream;
use crate::upstream::exchange::Exchange;
use crate::upstream::pool::Connection;

/// Dropping it closes the upstream's connection.
pub(crate) struct Tunnel {
    exchange: Exchange,
    up: Way,
    down: Way,
    finish: Finish,
}

/// The client's side.
pub(super) struct ClientEnd<'c> {
    pub stream: &'c mut Stream,
    /// What it has said already.
    pub input: &'c mut Buffer,
    pub deadline: &'c Deadline,
}

/// What a side could not do any more.
enum Broken {
    Reading,
    Writing,
}

/// One direction.
#[derive(Default)]
struct Way {
    moved: u64,
    unflushed: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// Nothing more comes; the other side is to be told.
    Ending,
    Ended,
}

impl Tunnel {
    /// Takes over an exchange whose upstream has agreed. What it said behind its head is in its input.
    pub(crate) fn of(exchange: Exchange, mut finish: Finish) -> Self {
        finish.aborted = true;
        Self { exchange, up: Way::default(), down: Way::default(), finish }
    }

    /// Passes bytes until both sides have ended, one breaks, or nothing moves for too long.
    pub(super) async fn run(mut self, mut client: ClientEnd<'_>) {
        let idle = self.exchange.idle();
        client.deadline.set(idle);
        let is_whole = poll_fn(|cx| self.poll(cx, &mut client, idle)).await;
        self.finish.aborted = !is_whole;
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientEnd<'_>,
        idle: Duration,
    ) -> Poll<bool> {
        let before = self.up.moved + self.down.moved;
        let Connection { stream, input, .. } = &mut *self.exchange.connection;
        // What the upstream said comes first: it may have left, and a last word of it must not be lost.
        let down = self.down.poll(cx, stream, input, client.stream);
        if let Poll::Ready(Err(_)) = down {
            return Poll::Ready(false);
        }
        match self.up.poll(cx, client.stream, client.input, stream) {
            Poll::Ready(Ok(())) if down.is_ready() => return Poll::Ready(true),
            Poll::Ready(Err(Broken::Reading)) => return Poll::Ready(false),
            // An upstream that takes no more may still be heard to its end.
            Poll::Ready(Err(Broken::Writing)) if down.is_ready() => return Poll::Ready(false),
            Poll::Ready(Err(Broken::Writing)) => self.up.stage = Stage::Ended,
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if self.up.moved + self.down.moved > before {
            client.deadline.set(idle);
        }
        client.deadline.poll(cx).map(|()| false)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        (self.finish.bytes_in, self.finish.bytes_out) = (self.up.moved, self.down.moved);
    }
}

impl Way {
    /// Moves what there is; ready when the end has been passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        input: &mut Buffer,
        to: &mut Stream,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.stage == Stage::Ended {
                return Poll::Ready(Ok(()));
            }
            while !input.is_empty() {
                match ready!(Pin::new(&mut *to).poll_write(cx, input.data())) {
                    Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Writing)),
                    Ok(written) => {
                        input.consume(written);
                        self.moved += written as u64;
                        self.unflushed = true;
                    }
                }
            }
            if self.stage == Stage::Ending {
                let told = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                self.stage = Stage::Ended;
                return Poll::Ready(told.map_err(|_| Broken::Writing));
            }
            match input.poll_fill(from, cx, true) {
                Poll::Ready(Ok(0)) => self.stage = Stage::Ending,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Reading)),
                Poll::Pending if self.unflushed => {
                    // Encryption may hold bytes back.
                    let flushed = ready!(Pin::new(&mut *to).poll_flush(cx));
                    self.unflushed = false;
                    if flushed.is_err() {
                        return Poll::Ready(Err(Broken::Writing));
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
