//! One HTTP/2 connection: takes streams as they are opened and has each of them served by a task of its own.
//!
//! The protocol's state belongs to the `h2` crate, which also refuses what is malformed on its level. What a
//! connection may cost is bounded here: streams at once, windows, heads, resets, and time without a stream.

mod check;
mod head;
mod rewind;
mod stream;

pub(crate) use head::put_fields;

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};

use self::rewind::Rewound;
use self::stream::ClientStream;
use crate::buffer::Buffer;
use crate::client::Client;
use crate::core::Core;
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
/// How long a client may take to close a connection that we have ended.
const LINGER: Duration = Duration::from_secs(2);

struct Http2 {
    core: Rc<Core>,
    client: Rc<Client>,
    connection: Connection<Rewound, Bytes>,
    /// Of the connection while it has no stream; each stream has its own.
    deadline: Deadline,
    open: Rc<Open>,
    /// The client has been told that no further stream will be served.
    leaving: bool,
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
    let stream = Rewound { before, stream };
    let Some(connection) = greet(&core, &deadline, stream).await else { return };
    let mut http2 = Http2 {
        core,
        client: Rc::new(client),
        connection,
        deadline,
        open: Rc::default(),
        leaving: false,
    };
    poll_fn(|cx| http2.poll(cx)).await;
}

/// Exchanges the greetings of both sides, in time.
async fn greet(
    core: &Core,
    deadline: &Deadline,
    stream: Rewound,
) -> Option<Connection<Rewound, Bytes>> {
    let bounds = core.shared.options.bounds;
    let greeting = h2::server::Builder::new()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(bounds.head_max_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(BROKEN_STREAMS_MAX))
        .handshake(stream);
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
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.core.is_draining() && !self.leaving {
                self.leave();
            }
            let busy = self.open.count.get() > 0;
            if busy {
                self.deadline.set(self.patience());
            }
            match self.poll_accept(cx) {
                Poll::Ready(Some((request, reply))) => self.serve(request, reply),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    ready!(self.deadline.poll(cx));
                    if busy {
                        continue;
                    }
                    if self.leaving {
                        return Poll::Ready(());
                    }
                    self.leave();
                }
            }
        }
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
        self.deadline.set(LINGER);
    }

    fn patience(&self) -> Duration {
        if self.leaving { LINGER } else { self.core.shared.options.bounds.head }
    }
}
