//! HTTP/2 towards upstreams: one connection per core and target, shared by its calls, each of which is a stream.
//!
//! A stream takes the place of a connection's bytes in an exchange; only its head and its end are told apart from
//! HTTP/1. A connection is left when its peer ends it or no longer answers, and when a call on it gets no answer in
//! time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection as Protocol, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::header::HOST;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connect::connect;
use super::head::{Framing, HEAD_MAX_BYTES, HEAD_MAX_FIELDS, Head};
use super::pool::{Connection, Pool};
use super::{Failure, Upstream};
use crate::buffer::Buffer;
use crate::carrier::{Carried, Carrier};
use crate::fields::{Name, parse_length};
use crate::heartbeat::{Heartbeat, Patience};
use crate::outgoing::Outgoing;
use crate::request::BodyFraming;
use crate::server::deadline::Deadline;
use crate::server::http2::{ALPN, put_fields};
use crate::stream::Stream;

/// What an upstream may send of one answer before we have taken some of it...
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// ...and of all answers on a connection: so many that slow clients do not hold the others up.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// What of one request's body waits in memory for the upstream.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Largest piece of a body handed over at once.
const PIECE_BYTES: usize = 16 * 1024;

/// When an upstream that is silent about its calls is dead.
#[cfg(not(test))]
const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(10), answer: Duration::from_secs(10) };
#[cfg(test)]
const PATIENCE: Patience =
    Patience { silence: Duration::from_millis(300), answer: Duration::from_millis(300) };

/// The connections of one core, by the number of the upstream.
#[derive(Default)]
pub(super) struct Connections {
    slots: RefCell<HashMap<usize, Rc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    /// Locked while a connection is made, so that calls that come meanwhile share it.
    sender: Mutex<Option<Sender>>,
    /// Connections made so far.
    made: Cell<u64>,
    /// In ticks of the core.
    used: Cell<u64>,
}

#[derive(Clone)]
struct Sender {
    requests: SendRequest<Bytes>,
    calls: Arc<AtomicU32>,
}

/// One call counted for its connection.
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn of(calls: Arc<AtomicU32>) -> Self {
        calls.fetch_add(1, Relaxed);
        Self(calls)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One call's stream.
pub(crate) struct CallStream {
    /// Absent on a client's stream.
    answer: Option<ResponseFuture>,
    out: SendStream<Bytes>,
    /// The request's end has been said.
    ended: bool,
    body: Option<RecvStream>,
    /// Taken from the body and not yet read.
    rest: Bytes,
    pub trailers: Option<HeaderMap>,
    _counted: Option<Counted>,
    /// Which of its upstream's connections it is on.
    pub number: u64,
}

impl Connections {
    fn slot(&self, upstream: &Upstream) -> Rc<Slot> {
        self.slots.borrow_mut().entry(upstream.number).or_default().clone()
    }

    /// Closes connections without calls, and leaves those to their calls that get no new ones.
    pub(super) fn sweep(&self, is_young: impl Fn(u64) -> bool) {
        self.slots.borrow_mut().retain(|_, slot| is_young(slot.used.get()));
    }

    /// No further call goes on this connection.
    pub(super) fn forget(&self, upstream: &Upstream, number: u64) {
        let slot = self.slot(upstream);
        if slot.made.get() == number
            && let Ok(mut sender) = slot.sender.try_lock()
        {
            *sender = None;
        }
    }
}

/// Opens a stream and sends the request's head on it. `failed` is the connection that just failed the call.
pub(super) async fn open(
    pool: &Pool,
    upstream: &Arc<Upstream>,
    outgoing: &Outgoing<'_>,
    framing: BodyFraming,
    limit: Duration,
    failed: Option<u64>,
) -> Result<Box<Connection>, Failure> {
    let mut text = Vec::with_capacity(1024);
    outgoing.write(upstream, &mut text);
    let trailers = |value: &[u8]| value.eq_ignore_ascii_case(b"trailers");
    let takes_trailers = outgoing.request.fields.named("te").any(trailers);
    let request = request(&text, upstream, takes_trailers).ok_or(Failure::ClientBroke)?;
    let slot = pool.http2.slot(upstream);
    slot.used.set(pool.now());
    let opening = timeout(limit, sender(pool, &slot, upstream, limit, failed)).await;
    let (mut sender, reused) = opening.map_err(|_| Failure::Timeout)??;
    let ended = framing == BodyFraming::None;
    let sent = sender.requests.send_request(request, ended);
    let (answer, out) = sent.map_err(|_| Failure::Broken)?;
    let stream = CallStream {
        answer: Some(answer),
        out,
        ended,
        body: None,
        rest: Bytes::new(),
        trailers: None,
        _counted: Some(Counted::of(sender.calls)),
        number: slot.made.get(),
    };
    let mut connection = Connection::over(upstream, Stream::Http2(Box::new(stream)));
    connection.reused = reused && failed.is_none();
    Ok(connection)
}

/// The shared connection, and whether it was there before; else a fresh one.
async fn sender(
    pool: &Pool,
    slot: &Slot,
    upstream: &Arc<Upstream>,
    limit: Duration,
    failed: Option<u64>,
) -> Result<(Sender, bool), Failure> {
    let mut kept = slot.sender.lock().await;
    if failed == Some(slot.made.get()) {
        *kept = None;
    }
    if let Some(Sender { requests, calls }) = &*kept
        && let Ok(requests) = requests.clone().ready().await
    {
        return Ok((Sender { requests, calls: calls.clone() }, true));
    }
    *kept = None;
    let (protocol_end, carried) =
        Carrier::of(Buffer::default(), connect_to(upstream, limit).await?);
    let (requests, protocol) = greet(protocol_end).await?;
    let calls = Arc::<AtomicU32>::default();
    let driving = drive(protocol, carried, calls.clone(), pool.deadline(), upstream.clone());
    tokio::task::spawn_local(driving);
    *kept = Some(Sender { requests: requests.clone(), calls: calls.clone() });
    slot.made.set(slot.made.get() + 1);
    let requests = requests.ready().await.map_err(|_| Failure::Broken)?;
    Ok((Sender { requests, calls }, false))
}

/// Keeps a connection going until it ends or its upstream is dead. How it ended, each of its calls is told.
async fn drive(
    mut protocol: Protocol<Carrier, Bytes>,
    carried: Rc<Carried>,
    calls: Arc<AtomicU32>,
    deadline: Deadline,
    upstream: Arc<Upstream>,
) {
    let mut heartbeat = Heartbeat::new(protocol.ping_pong(), PATIENCE, deadline);
    poll_fn(|cx| {
        if Pin::new(&mut protocol).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let (heard, busy) = (carried.read.get(), calls.load(Relaxed) > 0);
        ready!(heartbeat.poll(cx, heard, busy));
        tracing::warn!(target_url = %upstream.url, "an upstream answers no ping; its connection is given up");
        Poll::Ready(())
    })
    .await;
}

async fn connect_to(upstream: &Arc<Upstream>, limit: Duration) -> Result<Stream, Failure> {
    let stream = connect(upstream, limit).await?.stream;
    if upstream.secure && stream.protocol() != Some(ALPN) {
        tracing::warn!(target_url = %upstream.url, "an upstream does not speak HTTP/2");
        return Err(Failure::Unreachable);
    }
    Ok(stream)
}

async fn greet<S>(stream: S) -> Result<(SendRequest<Bytes>, Protocol<S, Bytes>), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(HEAD_MAX_BYTES).unwrap_or(u32::MAX))
        .handshake(stream)
        .await;
    greeting.map_err(|_| Failure::Broken)
}

/// The status of a `GET` on a connection of its own.
pub(super) async fn status_of(
    upstream: &Arc<Upstream>,
    path: &str,
    limit: Duration,
) -> Result<u16, Failure> {
    let (sender, protocol) = greet(connect_to(upstream, limit).await?).await?;
    let asking = async move {
        let text = format!("GET {path} HTTP/1.1\r\nuser-agent: keytoll-health\r\n\r\n");
        let request = request(text.as_bytes(), upstream, false).ok_or(Failure::Unreachable)?;
        let mut sender = sender.ready().await.map_err(|_| Failure::Broken)?;
        let (answer, _) = sender.send_request(request, true).map_err(|_| Failure::Broken)?;
        Ok(answer.await.map_err(|_| Failure::Broken)?.status().as_u16())
    };
    tokio::select! {
        status = asking => status,
        _ = protocol => Err(Failure::Broken),
    }
}

/// A head in HTTP/1 form as HTTP/2 has it; `None` if it cannot be said there.
fn request(text: &[u8], upstream: &Upstream, takes_trailers: bool) -> Option<Request<()>> {
    let mut line = text.split(|byte| *byte == b'\r').next()?.split(|byte| *byte == b' ');
    let (method, target) = (line.next()?, line.next()?);
    let uri = Uri::builder()
        .scheme(if upstream.secure { "https" } else { "http" })
        .authority(&*upstream.authority)
        .path_and_query(target)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    put_fields(headers, text);
    headers.remove(HOST);
    if takes_trailers {
        headers.insert("te", HeaderValue::from_static("trailers"));
    }
    Some(request)
}

/// What may pass in trailers, of either side: nothing that means anything to a gateway.
pub(super) fn passing_trailers(trailers: &HeaderMap) -> HeaderMap {
    let mut passing = HeaderMap::new();
    for (name, value) in trailers {
        if Name::of(name.as_str().as_bytes()) == Name::Other {
            passing.append(name.clone(), value.clone());
        }
    }
    passing
}

impl CallStream {
    /// A client's stream that carries another protocol from here on.
    pub(crate) fn of_client(out: SendStream<Bytes>, body: RecvStream) -> Self {
        Self {
            answer: None,
            out,
            ended: false,
            body: Some(body),
            rest: Bytes::new(),
            trailers: None,
            _counted: None,
            number: 0,
        }
    }

    /// Waits for the answer's head. The other error: the upstream has not looked at the request.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut Head,
        is_head: bool,
    ) -> Poll<Result<(), Unanswered>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(Unanswered::Failed(Failure::Broken)));
        };
        match ready!(Pin::new(answer).poll(cx)) {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let taken = take(head, &parts, body.is_end_stream(), is_head);
                self.body = Some(body);
                Poll::Ready(taken.map_err(Unanswered::Failed))
            }
            Err(error) => {
                let refused = error.reason() == Some(Reason::REFUSED_STREAM);
                let unseen = error.is_remote() && (refused || error.is_go_away());
                let failed = Unanswered::Failed(Failure::Broken);
                Poll::Ready(Err(if unseen { Unanswered::Unseen } else { failed }))
            }
        }
    }

    /// Ends the request, once.
    pub(super) fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let ended = match trailers.map(passing_trailers) {
            Some(trailers) if !trailers.is_empty() => self.out.send_trailers(trailers),
            _ => self.out.send_data(Bytes::new(), true),
        };
        ended.map_err(|_| Failure::Broken)
    }
}

/// Why a stream has no answer.
pub(super) enum Unanswered {
    Failed(Failure),
    Unseen,
}

fn take(head: &mut Head, parts: &Parts, ended: bool, is_head: bool) -> Result<(), Failure> {
    if parts.headers.len() > HEAD_MAX_FIELDS {
        return Err(Failure::Garbage);
    }
    head.status = parts.status.as_u16();
    head.keep_alive = false;
    head.fields.clear();
    for (name, value) in &parts.headers {
        head.fields.push(name.as_str().as_bytes(), value.as_bytes().trim_ascii());
    }
    let fields = &head.fields;
    head.length = match (fields.has(Name::ContentLength), fields.only(Name::ContentLength)) {
        (false, _) => None,
        (true, value) => Some(value.and_then(parse_length).ok_or(Failure::Garbage)?),
    };
    let bodiless = matches!(head.status, 204 | 304);
    head.framing = match head.length {
        _ if is_head || bodiless || ended => Framing::None,
        None => Framing::UntilClose,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
    };
    if bodiless {
        head.length = None;
    }
    Ok(())
}

impl AsyncRead for CallStream {
    /// The answer's body; trailers are kept.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let Some(body) = &mut this.body else { return Poll::Ready(Ok(())) };
            match ready!(body.poll_data(cx)) {
                Some(Ok(piece)) => {
                    // An error means that the stream is over, which is said next.
                    let _ = body.flow_control().release_capacity(piece.len());
                    this.rest = piece;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    this.trailers = ready!(body.poll_trailers(cx)).map_err(io::Error::other)?;
                    this.body = None;
                }
            }
        }
        let count = this.rest.len().min(buffer.remaining());
        buffer.put_slice(&this.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CallStream {
    /// The request's body.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let out = &mut self.get_mut().out;
        out.reserve_capacity(bytes.len().min(PIECE_BYTES));
        while out.capacity() == 0 {
            // It tells of changes only.
            if !matches!(ready!(out.poll_capacity(cx)), Some(Ok(_))) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        let count = bytes.len().min(PIECE_BYTES).min(out.capacity());
        let piece = Bytes::copy_from_slice(&bytes[..count]);
        Poll::Ready(out.send_data(piece, false).map(|()| count).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().end(None).map_err(io::Error::other))
    }
}
