//! One request and its answer on one connection: sends the body as it arrives, reads the head, then the body.
//!
//! Sending and receiving make progress together in the task that asked, so an upstream may answer before it has
//! read the whole request. [`Exchange::is_complete`] is the only thing that lets a connection back into the pool.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::AsyncWrite as _;

use super::Failure;
use super::cluster::Flight;
use super::head::{Asked, Framing, Head};
use super::http2::{Unanswered, passing_trailers};
use super::pool::Connection;
use crate::request::BodyFraming;
use crate::server::source::{Fill, Source};
use crate::stream::Stream;

/// So much of a request is gathered before it is written, as long as more of it is already there. A small body
/// that came with its head leaves in one write with it, and not at all if it is malformed.
const OUTPUT_MAX_BYTES: usize = 32 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub first_byte: Duration,
    pub idle: Duration,
    pub body_max_bytes: u64,
    /// The tick of the core at which the whole call is given up.
    pub until: Option<u64>,
}

/// The client's body on its way to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Open {
        chunked: bool,
    },
    Done,
    /// The upstream stopped reading before the end.
    Failed,
}

pub(crate) struct Exchange {
    pub connection: Box<Connection>,
    upload: Upload,
    limits: Limits,
    waits_for_client: bool,
    pub bytes_up: u64,
    /// At least one byte of the request left this process.
    sent: bool,
    /// Earlier attempts of the same call of which a byte left this process.
    sends_before: u32,
    /// At least one byte of an answer arrived.
    pub answered: bool,
    /// What the request's head says of its body's length.
    announced: Option<u64>,
    /// Counts the call for its target, once it has been answered.
    pub flight: Option<Flight>,
}

impl Exchange {
    /// `connection.output` holds the request's head.
    pub(crate) fn new(
        connection: Box<Connection>,
        framing: BodyFraming,
        limits: Limits,
        sends_before: u32,
    ) -> Self {
        let upload = match framing {
            BodyFraming::None => Upload::Done,
            BodyFraming::Length(_) => Upload::Open { chunked: false },
            // HTTP/2 has frames of its own.
            BodyFraming::Chunked => {
                Upload::Open { chunked: !matches!(connection.stream, Stream::Http2(_)) }
            }
        };
        // Its head has been sent when there is a stream.
        let sent = matches!(connection.stream, Stream::Http2(_));
        Self {
            connection,
            upload,
            limits,
            waits_for_client: false,
            bytes_up: 0,
            sent,
            sends_before,
            answered: false,
            announced: if let BodyFraming::Length(length) = framing { Some(length) } else { None },
            flight: None,
        }
    }

    /// How many attempts of the call an upstream may have seen something of.
    pub(crate) fn sends(&self) -> u32 {
        self.sends_before + u32::from(self.sent)
    }

    /// Nothing was sent on this connection, and nothing of the body was taken for it.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.sent && self.bytes_up == 0
    }

    /// The time limit of the whole call has passed.
    pub(crate) fn is_late(&self, source: &dyn Source) -> bool {
        self.limits.until.is_some_and(|until| source.deadline().is_past(until))
    }

    /// Longest pause of its bytes.
    pub(crate) fn idle(&self) -> Duration {
        self.limits.idle
    }

    pub(crate) fn head(&self) -> &Head {
        &self.connection.head
    }

    /// Whether the end of the answer's body cannot be mistaken for a connection that broke off.
    pub(crate) fn ends_surely(&self) -> bool {
        self.head().framing != Framing::UntilClose
            || matches!(self.connection.stream, Stream::Http2(_))
    }

    /// The whole request is out and nothing unread is left: the answer's end decides the rest.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_sent() && self.connection.input.is_empty()
    }

    /// The whole request is out.
    pub(crate) fn is_sent(&self) -> bool {
        self.upload == Upload::Done && self.connection.output.is_empty()
    }

    /// Sends what can be sent and looks for the answer's head.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        asked: Asked,
    ) -> Poll<Result<(), Failure>> {
        self.drive_upload(cx, source)?;
        if matches!(self.connection.stream, Stream::Http2(_)) {
            return self.poll_http2_head(cx, source, asked);
        }
        loop {
            let connection = &mut *self.connection;
            if connection.head.parse(&mut connection.input, asked)? {
                let early = self.head().framing == Framing::Switched && !self.is_sent();
                return Poll::Ready(if early { Err(Failure::Garbage) } else { Ok(()) });
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Failure::Broken)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return self.poll_unanswered(cx, source).map(Err),
            }
        }
    }

    /// There is no answer yet.
    fn poll_unanswered(&mut self, cx: &mut Context<'_>, source: &mut dyn Source) -> Poll<Failure> {
        if self.upload == Upload::Done && source.poll_gone(cx).is_ready() {
            return Poll::Ready(Failure::ClientGone);
        }
        self.poll_timer(cx, source)
    }

    fn poll_http2_head(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        asked: Asked,
    ) -> Poll<Result<(), Failure>> {
        let connection = &mut *self.connection;
        let Stream::Http2(stream) = &mut connection.stream else {
            return Poll::Ready(Err(Failure::Broken));
        };
        match stream.poll_head(cx, &mut connection.head, asked == Asked::Head) {
            Poll::Ready(Ok(())) => {
                self.answered = true;
                source.deadline().set(self.limits.idle);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(Unanswered::Unseen)) => {
                self.sent = false;
                Poll::Ready(Err(Failure::Broken))
            }
            Poll::Ready(Err(Unanswered::Failed(failure))) => Poll::Ready(Err(failure)),
            Poll::Pending => self.poll_unanswered(cx, source).map(Err),
        }
    }

    /// What followed the answer's body.
    pub(crate) fn trailers(&mut self) -> Option<HeaderMap> {
        let Stream::Http2(stream) = &mut self.connection.stream else { return None };
        stream
            .trailers
            .take()
            .as_ref()
            .map(passing_trailers)
            .filter(|trailers| !trailers.is_empty())
    }

    /// Reads more of the answer's body into the connection's input; 0 = the upstream closed.
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Poll<Result<usize, Failure>> {
        self.drive_upload(cx, source)?;
        match self.poll_read(cx) {
            Poll::Ready(read) => {
                source.deadline().set(self.limits.idle);
                Poll::Ready(read)
            }
            Poll::Pending if self.upload == Upload::Done && source.poll_gone(cx).is_ready() => {
                Poll::Ready(Err(Failure::ClientGone))
            }
            Poll::Pending => self.poll_timer(cx, source).map(Err),
        }
    }

    /// Goes on with the upload while the answer needs no reading.
    pub(crate) fn drive_upload(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Result<(), Failure> {
        if self.upload != Upload::Failed && !self.is_sent() {
            match self.poll_upload(cx, source) {
                // The upstream stopped reading; its answer may still be there.
                Poll::Ready(Err(Failure::Broken)) => {
                    self.upload = Upload::Failed;
                    self.connection.output.clear();
                    self.connection.written = 0;
                }
                Poll::Ready(Err(failure)) => return Err(failure),
                Poll::Pending | Poll::Ready(Ok(())) => {}
            }
        }
        Ok(())
    }

    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Poll<Result<(), Failure>> {
        loop {
            self.waits_for_client = false;
            while let Upload::Open { chunked } = self.upload
                && self.connection.output.len() < OUTPUT_MAX_BYTES
                && !self.waits_for_client
            {
                match source.poll_fill(cx, &mut self.connection.output, chunked) {
                    Poll::Pending => self.waits_for_client = true,
                    Poll::Ready(filled) => self.take(filled?, chunked)?,
                }
            }
            if self.connection.output.is_empty() {
                if self.upload == Upload::Done
                    && let Stream::Http2(stream) = &mut self.connection.stream
                {
                    stream.end(source.trailers().as_ref())?;
                }
                return if self.waits_for_client { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            ready!(self.poll_write(cx))?;
            let wait =
                if self.upload == Upload::Done { self.limits.first_byte } else { self.limits.idle };
            source.deadline().set(wait);
        }
    }

    fn take(&mut self, filled: Fill, chunked: bool) -> Result<(), Failure> {
        match filled {
            Fill::Data(count) => {
                self.bytes_up += count as u64;
                if self.announced.is_some_and(|announced| self.bytes_up > announced) {
                    return Err(Failure::ClientBroke);
                }
            }
            // A body that is shorter than its head says would take its rest from the next request.
            Fill::End if self.announced.is_some_and(|announced| self.bytes_up < announced) => {
                return Err(Failure::ClientBroke);
            }
            Fill::End => {
                self.upload = Upload::Done;
                if chunked {
                    self.connection.output.extend_from_slice(b"0\r\n\r\n");
                }
            }
        }
        if self.bytes_up > self.limits.body_max_bytes {
            return Err(Failure::BodyTooLarge);
        }
        Ok(())
    }

    /// Writes all of the output.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let connection = &mut *self.connection;
        while connection.written < connection.output.len() {
            let rest = &connection.output[connection.written..];
            let stream = Pin::new(&mut connection.stream);
            match ready!(stream.poll_write(cx, rest)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::Broken)),
                Ok(written) => connection.written += written,
            }
            self.sent = true;
        }
        // Encryption may hold bytes back.
        if ready!(Pin::new(&mut connection.stream).poll_flush(cx)).is_err() {
            return Poll::Ready(Err(Failure::Broken));
        }
        connection.output.clear();
        connection.written = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let connection = &mut *self.connection;
        let read = connection.input.poll_fill(&mut connection.stream, cx, self.answered);
        let Ok(read) = ready!(read) else { return Poll::Ready(Err(Failure::Broken)) };
        self.answered |= read > 0;
        Poll::Ready(Ok(read))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, source: &mut dyn Source) -> Poll<Failure> {
        if let Some(until) = self.limits.until {
            source.deadline().cap(until);
        }
        ready!(source.deadline().poll(cx));
        // A client that does not send is no fault of the upstream, whatever limit has passed.
        Poll::Ready(if self.waits_for_client { Failure::ClientSlow } else { Failure::Timeout })
    }
}

#[cfg(test)]
mod tests;
