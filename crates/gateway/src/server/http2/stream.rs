//! One request and its answer on a stream of an HTTP/2 connection.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response, StatusCode};

use super::{check, head};
use crate::answer::{Answer, AnswerBody};
use crate::buffer::Buffer;
use crate::call::Start;
use crate::chunked;
use crate::client::Client;
use crate::core::Core;
use crate::request::{BodyFraming, Request};
use crate::server::deadline::Deadline;
use crate::server::source::{Fill, Source};
use crate::server::tunnel::{ClientEnd, Tunnel};
use crate::stream::Stream;
use crate::upstream::Failure;
use crate::upstream::http2::CallStream;
use crate::upstream::relay::Relay;
use crate::{own, proxy};

/// Largest piece of an answer handed over at once.
const PIECE_BYTES: usize = 16 * 1024;

/// The client's side of one stream.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none excludes another"
)]
pub(super) struct ClientStream {
    body: RecvStream,
    reply: SendResponse<Bytes>,
    framing: BodyFraming,
    /// Bytes of a body of known length that have not come.
    left: Option<u64>,
    ended: bool,
    /// What followed the body.
    trailers: Option<HeaderMap>,
    /// The client waits to be told to send its body.
    unasked: bool,
    switches: bool,
    /// The answer has begun; what sends it hears of resets.
    answering: bool,
    deadline: Deadline,
    /// How long the client may take over a piece of its answer.
    idle: Duration,
}

impl ClientStream {
    /// Serves the stream to its end.
    pub(super) async fn serve(
        core: Rc<Core>,
        client: &Client,
        request: http::Request<RecvStream>,
        reply: SendResponse<Bytes>,
    ) {
        let (parts, body) = request.into_parts();
        let mut request = Request::default();
        let fields_max = core.shared.options.bounds.head_max_fields;
        let taken = head::take(&mut request, &parts, body.is_end_stream(), fields_max);
        drop(parts);
        let mut stream = Self::new(&core, body, reply, &request);
        if taken.is_ok() && check::is_check(&request) {
            return check::serve(&core, client, &request, &mut stream).await;
        }
        let answer = match taken {
            Ok(()) => proxy::serve(&core, client, &request, &mut stream).await,
            Err(refusal) => {
                let at = core.now();
                let start = Start { id: core.next_id(at), at };
                Some(own::refuse(&core, &start, refusal))
            }
        };
        match answer {
            Some(Answer { head, body: AnswerBody::Tunnel(tunnel), .. }) => {
                stream.switch(&head, *tunnel).await;
            }
            Some(answer) => stream.answer(answer, request.is_head()).await,
            None => {}
        }
    }

    /// The stream carries another protocol from here on.
    async fn switch(mut self, head: &[u8], tunnel: Tunnel) {
        let mut response = head::response(200, head, None);
        // Answers what we asked the upstream, not what the client did.
        response.headers_mut().remove("sec-websocket-accept");
        let Ok(out) = self.reply.send_response(response, false) else { return };
        let mut stream = Stream::Http2(Box::new(CallStream::of_client(out, self.body)));
        let (stream, input) = (&mut stream, &mut Buffer::default());
        tunnel.run(ClientEnd { stream, input, deadline: &self.deadline }).await;
    }

    fn new(core: &Core, body: RecvStream, reply: SendResponse<Bytes>, request: &Request) -> Self {
        let framing = request.framing;
        Self {
            ended: framing == BodyFraming::None,
            unasked: framing != BodyFraming::None && request.expects_continue(),
            switches: request.switches,
            answering: false,
            left: if let BodyFraming::Length(length) = framing { Some(length) } else { None },
            framing,
            body,
            reply,
            trailers: None,
            deadline: core.deadlines.add(),
            idle: core.shared.options.bounds.idle,
        }
    }

    /// Sends an answer to its end. What the client does not want any more is nobody's error.
    pub(super) async fn answer(&mut self, answer: Answer, is_head: bool) {
        let Answer { status, head, body } = answer;
        self.answering = true;
        self.deadline.set(self.idle);
        let bodiless = is_head || matches!(status, 204 | 304);
        match body {
            AnswerBody::Own(bytes) => {
                let length = (status != 204).then_some(bytes.len() as u64);
                let ends = bodiless || bytes.is_empty();
                let response = head::response(status, &head, length);
                let bytes = if ends { Bytes::new() } else { Bytes::from(bytes) };
                self.send(response, bytes, None).await;
            }
            // See `switch`.
            AnswerBody::Tunnel(_) => self.reply.send_reset(Reason::INTERNAL_ERROR),
            AnswerBody::Relay { mut relay, length } => {
                let length = if bodiless { length } else { relay.length() };
                let ends = relay.is_done();
                let response = head::response(status, &head, length);
                let Ok(mut out) = self.reply.send_response(response, ends) else {
                    relay.abort();
                    return;
                };
                if ends {
                    return;
                }
                let sent = poll_fn(|cx| self.poll_relay(cx, &mut out, &mut relay)).await;
                if let Err(failure) = sent {
                    relay.abort();
                    out.send_reset(match failure {
                        Failure::ClientGone | Failure::ClientSlow => Reason::CANCEL,
                        _ => Reason::INTERNAL_ERROR,
                    });
                }
            }
        }
    }

    /// Sends an answer of our own, and trailers after its body.
    pub(super) async fn send(
        &mut self,
        response: Response<()>,
        mut bytes: Bytes,
        mut trailers: Option<HeaderMap>,
    ) {
        self.deadline.set(self.idle);
        let ends = bytes.is_empty();
        let Ok(mut out) = self.reply.send_response(response, ends) else { return };
        if ends {
            return;
        }
        let sent = poll_fn(|cx| self.poll_own(cx, &mut out, &mut bytes, &mut trailers));
        if sent.await.is_err() {
            out.send_reset(Reason::CANCEL);
        }
    }

    fn poll_own(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut SendStream<Bytes>,
        bytes: &mut Bytes,
        trailers: &mut Option<HeaderMap>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let Poll::Ready(room) = poll_room(cx, out, bytes.len()) else {
                return self.deadline.poll(cx).map(|()| Err(Failure::ClientSlow));
            };
            let piece = bytes.split_to(bytes.len().min(room?));
            let ends = bytes.is_empty();
            send(out, piece, ends && trailers.is_none())?;
            if ends {
                return Poll::Ready(send_trailers(out, trailers.take()));
            }
            self.deadline.set(self.idle);
        }
    }

    /// Passes an answer's body on until its end.
    fn poll_relay(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut SendStream<Bytes>,
        relay: &mut Relay,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let here = relay.ready()?;
            if here == 0 {
                if relay.is_done() {
                    return Poll::Ready(match relay.trailers() {
                        None => send(out, Bytes::new(), true),
                        trailers => send_trailers(out, trailers),
                    });
                }
                match relay.poll_more(cx, self) {
                    Poll::Ready(more) => more?,
                    Poll::Pending => {
                        ready!(out.poll_reset(cx)).ok();
                        return Poll::Ready(Err(Failure::ClientGone));
                    }
                }
                continue;
            }
            let Poll::Ready(room) = poll_room(cx, out, here) else {
                // The client reads slowly; what it still sends goes on meanwhile.
                relay.drive_upload(cx, self)?;
                return self.deadline.poll(cx).map(|()| Err(Failure::ClientSlow));
            };
            let count = here.min(room?);
            let piece = Bytes::copy_from_slice(relay.bytes(count));
            relay.consume(count);
            self.deadline.set(self.idle);
            let ends = relay.ready()? == 0 && relay.is_done();
            let trailers = relay.trailers();
            send(out, piece, ends && trailers.is_none())?;
            if ends {
                return Poll::Ready(send_trailers(out, trailers));
            }
        }
    }

    /// Tells a client that waits to send its body.
    fn ask(&mut self) {
        if std::mem::take(&mut self.unasked) {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::CONTINUE;
            // A stream that cannot be written to any more says so to whoever reads from it.
            let _ = self.reply.send_informational(response);
        }
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), Failure> {
        self.unasked = false;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(piece.len() as u64).ok_or(Failure::ClientBroke)?;
        }
        let released = self.body.flow_control().release_capacity(piece.len());
        released.map_err(|_| Failure::ClientBroke)
    }
}

/// How many of so many bytes the client may be sent now.
fn poll_room(
    cx: &mut Context<'_>,
    out: &mut SendStream<Bytes>,
    wanted: usize,
) -> Poll<Result<usize, Failure>> {
    out.reserve_capacity(wanted.min(PIECE_BYTES));
    loop {
        let room = out.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room.min(PIECE_BYTES)));
        }
        // It tells of changes only.
        if !matches!(ready!(out.poll_capacity(cx)), Some(Ok(_))) {
            return Poll::Ready(Err(Failure::ClientGone));
        }
    }
}

fn send(out: &mut SendStream<Bytes>, piece: Bytes, ends: bool) -> Result<(), Failure> {
    out.send_data(piece, ends).map_err(|_| Failure::ClientGone)
}

fn send_trailers(out: &mut SendStream<Bytes>, trailers: Option<HeaderMap>) -> Result<(), Failure> {
    let Some(trailers) = trailers else { return Ok(()) };
    out.send_trailers(trailers).map_err(|_| Failure::ClientGone)
}

impl Source for ClientStream {
    fn framing(&self) -> BodyFraming {
        self.framing
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        chunked: bool,
    ) -> Poll<Result<Fill, Failure>> {
        while !self.ended {
            let Poll::Ready(polled) = self.body.poll_data(cx) else {
                self.ask();
                return Poll::Pending;
            };
            match polled {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    self.take(&piece)?;
                    if chunked {
                        chunked::write_size(out, piece.len());
                    }
                    out.extend_from_slice(&piece);
                    if chunked {
                        out.extend_from_slice(b"\r\n");
                    }
                    return Poll::Ready(Ok(Fill::Data(piece.len())));
                }
                Some(Err(_)) => return Poll::Ready(Err(Failure::ClientBroke)),
                None if self.left.is_some_and(|left| left > 0) => {
                    return Poll::Ready(Err(Failure::ClientBroke));
                }
                None => {
                    let trailers = ready!(self.body.poll_trailers(cx));
                    self.trailers = trailers.map_err(|_| Failure::ClientBroke)?;
                    self.ended = true;
                }
            }
        }
        Poll::Ready(Ok(Fill::End))
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answering { Poll::Pending } else { self.reply.poll_reset(cx).map(drop) }
    }

    fn can_switch(&self) -> bool {
        self.switches
    }

    fn is_http2(&self) -> bool {
        true
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }
}
