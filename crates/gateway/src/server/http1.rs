//! One HTTP/1 connection: reads a head, has it served, writes the answer, and again.
//!
//! It is one task with one state; nothing is allocated for a request that a reused connection has already.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use keytoll_domain::refusal::Refusal;
use tokio::io::AsyncWrite as _;

use super::body::Inbound;
use super::http2::PRIOR_KNOWLEDGE;
use super::source::{Fill, Source};
use super::tunnel::ClientEnd;
use crate::answer::{Answer, AnswerBody, put_number};
use crate::buffer::Buffer;
use crate::call::Start;
use crate::chunked::{Malformed, write_size};
use crate::client::Client;
use crate::core::Core;
use crate::request::Request;
use crate::stream::Stream;
use crate::upstream::Failure;
use crate::upstream::relay::Relay;
use crate::{own, proxy};

/// The rest of a body that is read and dropped so that the connection can go on after an early answer.
const DRAIN_MAX_BYTES: u64 = 64 * 1024;
/// Pieces of an answer up to this size are copied behind its head and leave in one write with it.
pub(crate) const COPY_MAX_BYTES: usize = 8 * 1024;
/// So much may be gathered before it is written.
const OUTPUT_MAX_BYTES: usize = 16 * 1024;
/// How long a connection without a request yet is waited for when the gateway stops: whoever connected just now is
/// heard, because to close on it would be to refuse it.
const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(1);
/// A closing connection waits this long for the client to read its last answer...
const LINGER: Duration = Duration::from_secs(2);
/// ...and reads at most so much of what the client still sends.
const LINGER_MAX_BYTES: usize = 1024 * 1024;

pub(crate) struct Http1 {
    core: Rc<Core>,
    client: Client,
    inbound: Inbound,
    /// A request has come on this connection.
    served: bool,
    /// What is to be written, and how much of it has been.
    output: Vec<u8>,
    written: usize,
    /// Bytes that the chunk begun in the output still lacks.
    chunk_left: usize,
    /// The last chunk of a chunked answer is in the output.
    ended: bool,
}

/// What a connection does next.
enum Next {
    Serve,
    Refuse(Refusal),
    /// The client speaks HTTP/2 and knew that we do.
    Http2,
    Close,
}

/// A connection that greets as HTTP/2 does.
pub(crate) struct Greeted {
    pub client: Client,
    /// What has been read, and is to be read again.
    pub input: Buffer,
    pub stream: Stream,
}

/// What of the request decides how its answer is written.
#[derive(Clone, Copy)]
struct Manner {
    keep: bool,
    http11: bool,
    is_head: bool,
}

/// How the client learns where the answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Length(Option<u64>),
    Chunked,
    Close,
}

impl Http1 {
    pub(crate) fn new(core: Rc<Core>, client: Client, stream: Stream) -> Self {
        let inbound = Inbound::new(stream, core.deadlines.add());
        Self {
            core,
            client,
            inbound,
            served: false,
            output: Vec::new(),
            written: 0,
            chunk_left: 0,
            ended: false,
        }
    }

    /// Serves the connection until either side ends it, or until it turns out to speak HTTP/2.
    pub(crate) async fn run(mut self) -> Option<Greeted> {
        let mut request = Request::default();
        loop {
            match self.next(&mut request).await {
                Next::Serve => {}
                Next::Refuse(refusal) => {
                    let at = self.core.now();
                    let start = Start { id: self.core.next_id(at), at };
                    let answer = own::refuse(&self.core, &start, refusal);
                    let manner = Manner { keep: false, http11: true, is_head: false };
                    if self.send(answer, manner).await.is_ok() {
                        self.linger().await;
                    }
                    return None;
                }
                Next::Http2 => {
                    let Inbound { stream, input, .. } = self.inbound;
                    return Some(Greeted { client: self.client, input, stream });
                }
                Next::Close => return None,
            }
            let served = proxy::serve(&self.core, &self.client, &request, &mut self.inbound);
            let answer = served.await?;
            let keep = self.answer(answer, &request).await.ok()?;
            if !keep || !self.drain().await {
                break;
            }
            request.fields.shrink();
        }
        if !self.inbound.has_ended() || !self.inbound.input.is_empty() {
            self.linger().await;
        } else if self.client.secure {
            self.close().await;
        }
        None
    }

    /// Says that nothing more will come; whether that could be said in time.
    async fn close(&mut self) -> bool {
        let inbound = &mut self.inbound;
        inbound.deadline.set(LINGER);
        poll_fn(|cx| match Pin::new(&mut inbound.stream).poll_shutdown(cx) {
            Poll::Ready(closed) => Poll::Ready(closed.is_ok()),
            Poll::Pending => inbound.deadline.poll(cx).map(|()| false),
        })
        .await
    }

    /// Waits for a whole head.
    async fn next(&mut self, request: &mut Request) -> Next {
        let bounds = self.core.shared.options.bounds;
        self.inbound.deadline.set(bounds.head);
        let mut hurried = false;
        let mut fresh = !self.inbound.input.is_empty();
        poll_fn(|cx| {
            loop {
                let inbound = &mut self.inbound;
                if fresh {
                    fresh = false;
                    match request.parse(inbound.input.data(), bounds.head_max_fields) {
                        Ok(Some(length)) if length <= bounds.head_max_bytes => {
                            inbound.input.consume(length);
                            inbound.begin(request);
                            self.served = true;
                            return Poll::Ready(Next::Serve);
                        }
                        Ok(None) if inbound.input.len() < bounds.head_max_bytes => {}
                        Ok(_) => return Poll::Ready(Next::Refuse(Refusal::HeaderTooLarge)),
                        Err(_) if self.is_prior_knowledge() => return Poll::Ready(Next::Http2),
                        Err(refusal) => return Poll::Ready(Next::Refuse(refusal)),
                    }
                }
                let idle = inbound.input.is_empty();
                match inbound.input.poll_fill(&mut inbound.stream, cx, false) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Close),
                    Poll::Ready(Ok(read)) => {
                        let data = inbound.input.data();
                        // A head is complete with a line's end, or too long without one.
                        fresh = data[data.len() - read..].contains(&b'\n')
                            || data.len() >= bounds.head_max_bytes;
                        if idle {
                            inbound.deadline.set(bounds.head);
                        }
                    }
                    Poll::Pending => {
                        // Only now: a request that is here already is served.
                        if idle && self.core.is_draining() {
                            if self.served {
                                return Poll::Ready(Next::Close);
                            }
                            if !std::mem::replace(&mut hurried, true) {
                                inbound.deadline.set(FIRST_REQUEST_WAIT);
                            }
                        }
                        ready!(inbound.deadline.poll(cx));
                        let slow = Next::Refuse(Refusal::RequestTimeout);
                        return Poll::Ready(if idle { Next::Close } else { slow });
                    }
                }
            }
        })
        .await
    }

    /// Asked only of what is no HTTP/1. Encrypted connections agree on HTTP/2 in their handshake or not at all.
    fn is_prior_knowledge(&self) -> bool {
        !self.served
            && !self.client.secure
            && self.inbound.input.data().starts_with(PRIOR_KNOWLEDGE)
    }

    /// Writes an answer; whether the connection can serve another request.
    async fn answer(&mut self, answer: Answer, request: &Request) -> Result<bool, Failure> {
        let (uploading, known) = match &answer.body {
            AnswerBody::Own(_) => (false, true),
            AnswerBody::Tunnel(_) => (true, true),
            AnswerBody::Relay { relay, .. } => (relay.is_uploading(), relay.length().is_some()),
        };
        let reads_on = !uploading && self.inbound.leaves_at_most(DRAIN_MAX_BYTES);
        let keep =
            request.keep_alive && reads_on && (known || request.http11) && !self.core.is_draining();
        let manner = Manner { keep, http11: request.http11, is_head: request.is_head() };
        self.send(answer, manner).await?;
        Ok(keep)
    }

    async fn send(&mut self, answer: Answer, manner: Manner) -> Result<(), Failure> {
        let Answer { status, head, body } = answer;
        self.output = head;
        (self.written, self.chunk_left, self.ended) = (0, 0, false);
        self.inbound.deadline.set(self.core.shared.options.bounds.idle);
        let bodiless = manner.is_head || matches!(status, 204 | 304);
        match body {
            AnswerBody::Own(bytes) => {
                let length = (status != 204).then_some(bytes.len() as u64);
                self.end_head(Ending::Length(length), manner);
                if !bodiless {
                    self.output.extend_from_slice(&bytes);
                }
                poll_fn(|cx| self.poll_flush(cx)).await
            }
            AnswerBody::Tunnel(tunnel) => {
                self.output.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n\r\n");
                poll_fn(|cx| self.poll_flush(cx)).await?;
                let Inbound { stream, input, deadline, .. } = &mut self.inbound;
                tunnel.run(ClientEnd { stream, input, deadline }).await;
                Ok(())
            }
            AnswerBody::Relay { mut relay, length } => {
                let ending = match relay.length() {
                    Some(_) if bodiless => Ending::Length(length),
                    Some(length) => Ending::Length(Some(length)),
                    None if manner.http11 => Ending::Chunked,
                    None => Ending::Close,
                };
                self.end_head(ending, manner);
                let chunked = ending == Ending::Chunked;
                let sent = poll_fn(|cx| self.poll_relay(cx, &mut relay, chunked)).await;
                if sent.is_err() {
                    relay.abort();
                }
                sent
            }
        }
    }

    fn end_head(&mut self, ending: Ending, manner: Manner) {
        let head = &mut self.output;
        match ending {
            Ending::Length(Some(length)) => {
                head.extend_from_slice(b"content-length: ");
                put_number(head, length);
                head.extend_from_slice(b"\r\n");
            }
            Ending::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Ending::Length(None) | Ending::Close => {}
        }
        let connection: &[u8] = match (manner.keep, manner.http11) {
            (true, true) => b"\r\n",
            (true, false) => b"connection: keep-alive\r\n\r\n",
            (false, _) => b"connection: close\r\n\r\n",
        };
        head.extend_from_slice(connection);
    }

    /// Passes an answer's body on until its end.
    fn poll_relay(
        &mut self,
        cx: &mut Context<'_>,
        relay: &mut Relay,
        chunked: bool,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let Ok(here) = self.gather_small(relay, chunked) else {
                // What came before the fault is the client's, its head above all.
                ready!(self.poll_flush(cx))?;
                return Poll::Ready(Err(Failure::Garbage));
            };
            if relay.is_done() && chunked && !self.ended {
                self.ended = true;
                self.output.extend_from_slice(b"0\r\n\r\n");
            }
            let flushed = if here > COPY_MAX_BYTES {
                self.poll_write_large(cx, relay, here, chunked)
            } else {
                self.poll_flush(cx)
            };
            match flushed {
                Poll::Ready(Ok(())) if here > 0 => {}
                Poll::Ready(Ok(())) if relay.is_done() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => ready!(relay.poll_more(cx, &mut self.inbound))?,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {
                    // The client reads slowly; what it still sends goes on meanwhile.
                    relay.drive_upload(cx, &mut self.inbound)?;
                    ready!(self.inbound.deadline.poll(cx));
                    return Poll::Ready(Err(Failure::ClientSlow));
                }
            }
        }
    }

    /// Begins a chunk if none is begun; how much of the bytes at hand belong to it.
    fn frame(&mut self, here: usize, chunked: bool) -> usize {
        if !chunked {
            return here;
        }
        if self.chunk_left == 0 {
            write_size(&mut self.output, here);
            self.chunk_left = here;
        }
        here.min(self.chunk_left)
    }

    fn framed(&mut self, count: usize, chunked: bool) {
        if chunked {
            self.chunk_left -= count;
            if self.chunk_left == 0 {
                self.output.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Gathers small pieces; how much of a larger one, of which only the frame is gathered, is at hand.
    fn gather_small(&mut self, relay: &mut Relay, chunked: bool) -> Result<usize, Malformed> {
        let mut here = relay.ready()?;
        while (1..=COPY_MAX_BYTES).contains(&here) && self.output.len() < OUTPUT_MAX_BYTES {
            self.gather(relay, here, chunked);
            here = relay.ready()?;
        }
        Ok(here)
    }

    fn gather(&mut self, relay: &mut Relay, here: usize, chunked: bool) {
        let piece = self.frame(here, chunked);
        self.output.extend_from_slice(relay.bytes(piece));
        relay.consume(piece);
        self.framed(piece, chunked);
    }

    /// Writes what is gathered and some of a large piece in one go, without copying the piece.
    fn poll_write_large(
        &mut self,
        cx: &mut Context<'_>,
        relay: &mut Relay,
        here: usize,
        chunked: bool,
    ) -> Poll<Result<(), Failure>> {
        let piece = self.frame(here, chunked);
        let gathered = self.output.len() - self.written;
        let parts = [IoSlice::new(&self.output[self.written..]), IoSlice::new(relay.bytes(piece))];
        let stream = Pin::new(&mut self.inbound.stream);
        let written = match ready!(stream.poll_write_vectored(cx, &parts)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(Failure::ClientGone)),
            Ok(written) => written,
        };
        self.inbound.deadline.set(self.core.shared.options.bounds.idle);
        if written < gathered {
            self.written += written;
            return Poll::Ready(Ok(()));
        }
        self.output.clear();
        self.written = 0;
        relay.consume(written - gathered);
        self.framed(written - gathered, chunked);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.written < self.output.len() {
            let stream = Pin::new(&mut self.inbound.stream);
            match stream.poll_write(cx, &self.output[self.written..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Ready(Ok(written)) => {
                    self.written += written;
                    self.inbound.deadline.set(self.core.shared.options.bounds.idle);
                }
                Poll::Pending => {
                    return self.inbound.deadline.poll(cx).map(|()| Err(Failure::ClientSlow));
                }
            }
        }
        self.output.clear();
        self.written = 0;
        // Encryption may hold bytes back.
        match Pin::new(&mut self.inbound.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Failure::ClientGone)),
            Poll::Pending => self.inbound.deadline.poll(cx).map(|()| Err(Failure::ClientSlow)),
        }
    }

    /// Reads and drops the short rest of a body that nobody wanted; whether that worked in time.
    async fn drain(&mut self) -> bool {
        if self.inbound.has_ended() {
            return true;
        }
        self.inbound.deadline.set(LINGER);
        let mut dropped = Vec::new();
        poll_fn(|cx| {
            loop {
                dropped.clear();
                match self.inbound.poll_fill(cx, &mut dropped, false) {
                    Poll::Ready(Ok(Fill::Data(_))) => {}
                    Poll::Ready(Ok(Fill::End)) => return Poll::Ready(true),
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => return self.inbound.deadline.poll(cx).map(|()| false),
                }
            }
        })
        .await
    }

    /// Ends the connection so that the client can read its last answer: unread bytes in our socket would make the
    /// system throw that answer away.
    async fn linger(&mut self) {
        if !self.close().await {
            return;
        }
        let inbound = &mut self.inbound;
        inbound.deadline.set(LINGER);
        let mut read = 0;
        poll_fn(|cx| {
            loop {
                inbound.input.consume(usize::MAX);
                match inbound.input.poll_fill(&mut inbound.stream, cx, false) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(more)) => read += more,
                    Poll::Pending => return inbound.deadline.poll(cx),
                }
                if read > LINGER_MAX_BYTES {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}
