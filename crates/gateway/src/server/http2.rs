//! One HTTP/2 connection: takes streams as they are opened and has each of them served by a task of its own.
//!
//! The protocol's state belongs to the `h2` crate, which also refuses what is malformed on its level. What a
//! connection may cost is bounded here: streams at once, windows, heads, resets, and time without a stream.

mod check;
mod head;
mod stream;

pub(crate) use head::put_fields;

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use tokio::io::AsyncWrite as _;

use self::stream::ClientStream;
use crate::buffer::Buffer;
use crate::carrier::{Carried, Carrier};
use crate::client::Client;
use crate::core::Core;
use crate::heartbeat::{Heartbeat, Patience};
use crate::server::deadline::Deadline;
use crate::stream::Stream;

/// With what a client begins that knows beforehand that we speak HTTP/2; the rest follows with the first frame.
pub(crate) const PRIOR_KNOWLEDGE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// The protocol's name in a TLS handshake.
pub(crate) const ALPN: &[u8] = b"h2";

/// Streams served at once on a connection.
const STREAMS_MAX: u32 = 128;
/// What a client may send of one body, and of all bodies of a connection, before we have taken some of it.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// What of one answer waits in memory for the client.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams reset by the client before they were looked at; with more the connection ends.
const UNSEEN_RESETS_MAX: usize = 20;
/// Streams that we had to reset over a connection's life because the client broke the rules; with more it ends.
const BROKEN_STREAMS_MAX: usize = 1024;
/// How long a connection that has not said anything is waited for when the gateway stops.
const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(1);
/// How long a client without streams may take to open one more, or to close a connection that we have ended.
const LINGER: Duration = Duration::from_secs(2);
/// A client that may still be reading is waited for as long as it says something, but not longer than this...
const LINGER_MAX: Duration = Duration::from_mins(10);
/// ...and not for more than so much.
const LINGER_MAX_BYTES: usize = 1024 * 1024;
/// Silence of a client with streams before it is asked whether it is there.
#[cfg(not(test))]
const SILENCE: Duration = Duration::from_secs(20);
#[cfg(test)]
const SILENCE: Duration = Duration::from_secs(1);

struct Http2 {
    core: Rc<Core>,
    client: Rc<Client>,
    connection: Connection<Carrier, Bytes>,
    carried: Rc<Carried>,
    heartbeat: Heartbeat,
    /// Of the connection while no stream is served; each of them has its own.
    deadline: Deadline,
    stage: Stage,
    /// Bytes written when the deadline was set.
    written: u64,
    open: Rc<Open>,
    /// The client has been told that no further stream will be served.
    leaving: bool,
}

/// What a connection has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Serving,
    /// All answers are complete here, but the client has not taken all of them.
    Sending,
}

/// The streams of a connection that are being served.
#[derive(Default)]
struct Open {
    count: Cell<u32>,
    /// Waits for room.
    waiting: Cell<Option<Waker>>,
}

/// One stream's place.
struct Place(Rc<Open>);

impl Place {
    fn of(open: &Rc<Open>) -> Self {
        open.count.set(open.count.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }
}

/// Serves the connection until either side ends it. `before` has been read from the stream already.
pub(crate) async fn run(core: Rc<Core>, client: Client, before: Buffer, stream: Stream) {
    let deadline = core.deadlines.add();
    let (protocol_end, carried) = Carrier::of(before, stream);
    let Some(mut connection) = greet(&core, &deadline, protocol_end).await else { return };
    let patience = Patience { silence: SILENCE, answer: core.shared.options.bounds.idle };
    let heartbeat = Heartbeat::new(connection.ping_pong(), patience, core.deadlines.add());
    let mut http2 = Http2 {
        core,
        client: Rc::new(client),
        connection,
        carried,
        heartbeat,
        deadline,
        stage: Stage::Idle,
        written: 0,
        open: Rc::default(),
        leaving: false,
    };
    if poll_fn(|cx| http2.poll(cx)).await {
        http2.linger().await;
    }
}

/// Exchanges the greetings of both sides, in time.
async fn greet(
    core: &Core,
    deadline: &Deadline,
    carrier: Carrier,
) -> Option<Connection<Carrier, Bytes>> {
    let bounds = core.shared.options.bounds;
    let greeting = h2::server::Builder::new()
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(bounds.head_max_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(BROKEN_STREAMS_MAX))
        .handshake(carrier);
    let mut greeting = pin!(greeting);
    deadline.set(bounds.head);
    let mut hurried = false;
    poll_fn(|cx| {
        if let Poll::Ready(greeted) = greeting.as_mut().poll(cx) {
            return Poll::Ready(greeted.ok());
        }
        if core.is_draining() && !std::mem::replace(&mut hurried, true) {
            deadline.set(FIRST_REQUEST_WAIT);
        }
        deadline.poll(cx).map(|()| None)
    })
    .await
}

impl Http2 {
    /// Ready when the connection has ended; whether its client may still be reading.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.core.is_draining() && !self.leaving {
                self.leave();
            }
            match self.poll_accept(cx) {
                Poll::Ready(Some((request, reply))) => {
                    self.serve(request, reply);
                    continue;
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => {}
            }
            self.enter_stage();
            let busy = self.stage != Stage::Idle;
            if self.heartbeat.poll(cx, self.carried.read.get(), busy).is_ready() {
                return Poll::Ready(false);
            }
            ready!(self.deadline.poll(cx));
            match self.stage {
                Stage::Serving => {}
                Stage::Sending => return Poll::Ready(false),
                Stage::Idle if self.leaving => return Poll::Ready(true),
                Stage::Idle => self.leave(),
            }
        }
    }

    /// Sets the deadline: anew while streams are served, and whenever the client takes something of what is left.
    fn enter_stage(&mut self) {
        let stage = if self.open.count.get() > 0 {
            Stage::Serving
        } else if self.connection.has_streams() {
            Stage::Sending
        } else {
            Stage::Idle
        };
        let written = self.carried.written.get();
        let goes_on = match stage {
            Stage::Idle => false,
            Stage::Serving => true,
            Stage::Sending => written != self.written,
        };
        if stage != self.stage || goes_on {
            let bounds = &self.core.shared.options.bounds;
            self.deadline.set(match stage {
                Stage::Idle if self.leaving => LINGER,
                Stage::Idle | Stage::Serving => bounds.head,
                Stage::Sending => bounds.idle,
            });
        }
        (self.stage, self.written) = (stage, written);
    }

    /// `None` = the connection has ended.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(http::Request<RecvStream>, SendResponse<Bytes>)>> {
        // A stream that the client has reset counts no longer for the protocol, but may still be at work here.
        if self.open.count.get() >= STREAMS_MAX {
            self.open.waiting.set(Some(cx.waker().clone()));
            return self.connection.poll_closed(cx).map(|_| None);
        }
        self.connection.poll_accept(cx).map(|accepted| accepted.and_then(Result::ok))
    }

    fn serve(&mut self, request: http::Request<RecvStream>, reply: SendResponse<Bytes>) {
        let (core, client) = (self.core.clone(), self.client.clone());
        let place = Place::of(&self.open);
        tokio::task::spawn_local(async move {
            ClientStream::serve(core, &client, request, reply).await;
            drop(place);
        });
    }

    fn leave(&mut self) {
        self.leaving = true;
        self.connection.graceful_shutdown();
        if self.stage == Stage::Idle {
            self.deadline.set(LINGER);
        }
    }

    /// Waits until the system has sent all answers, says that nothing more will come, and waits until the client has
    /// closed: what it says to a closed connection would make the system throw away what it has not read yet. Only
    /// a client that has not had room for all of it yet is waited for longer than [`LINGER`].
    async fn linger(self) {
        let Self { core, connection, carried, deadline, .. } = self;
        drop(connection);
        let mut silence = core.shared.options.bounds.idle;
        let last = core.deadlines.after(LINGER_MAX);
        let mut dropped = Buffer::default();
        let mut read = 0;
        carried.stream.borrow().watch_sent();
        deadline.set(silence);
        let mut closed = false;
        poll_fn(|cx| {
            let stream = &mut *carried.stream.borrow_mut();
            if !closed && stream.poll_sent(cx).is_ready() {
                match Pin::new(&mut *stream).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {
                        closed = true;
                        silence = LINGER;
                        deadline.set(silence);
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            while read < LINGER_MAX_BYTES {
                match dropped.poll_fill(stream, cx, false) {
                    Poll::Ready(Ok(0)) => {
                        let _ = Pin::new(stream).poll_shutdown(cx);
                        return Poll::Ready(());
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(more)) => {
                        read += more;
                        dropped.consume(more);
                        deadline.set(silence);
                    }
                    Poll::Pending => {
                        deadline.cap(last);
                        return deadline.poll(cx);
                    }
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}
