//! One request and its answer on one connection: sends the body as it arrives, reads the head, then the body.
//!
//! Sending and receiving make progress together in the task that asked, so an upstream may answer before it has
//! read the whole request. [`Exchange::is_complete`] is the only thing that lets a connection back into the pool.

use std::future::Future as _;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::Failure;
use super::head::{self, Head};
use super::pool::Connection;

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 16 * 1024;
/// A first body chunk up to this size leaves in the same write as the head.
const JOIN_MAX_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub first_byte: Duration,
    pub idle: Duration,
    pub body_max_bytes: u64,
}

/// The client's body on its way to the upstream.
struct Upload {
    body: Incoming,
    chunked: bool,
    /// A chunk's data is out and its CRLF is still owed.
    owes_crlf: bool,
    joining: Joining,
}

/// What has come of the body is gathered to leave in one write with the head. A small body that turns out to be
/// malformed then never reaches the upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    Gathering,
    /// The reader of the client's connection was given a turn since the last piece.
    Yielded,
    /// The head is on its way; each piece is sent as it comes.
    Over,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts about two directions")]
pub(crate) struct Exchange {
    pub connection: Connection,
    upload: Option<Upload>,
    /// Data of the chunk that follows `connection.output`.
    chunk: Bytes,
    limits: Limits,
    armed: bool,
    waits_for_client: bool,
    failed_upload: bool,
    pub bytes_up: u64,
    /// At least one byte of the request left this process.
    pub sent: bool,
    /// At least one byte of an answer arrived.
    pub answered: bool,
}

impl Exchange {
    /// `connection.output` holds the request's head.
    pub(crate) fn new(
        connection: Connection,
        body: Option<(Incoming, bool)>,
        limits: Limits,
    ) -> Self {
        let upload = body.map(|(body, chunked)| Upload {
            body,
            chunked,
            owes_crlf: false,
            joining: Joining::Gathering,
        });
        Self {
            connection,
            upload,
            chunk: Bytes::new(),
            limits,
            armed: false,
            waits_for_client: false,
            failed_upload: false,
            bytes_up: 0,
            sent: false,
            answered: false,
        }
    }

    /// The whole request is out and nothing unread is left: the answer's end decides the rest.
    pub(crate) fn is_complete(&self) -> bool {
        self.upload.is_none()
            && !self.failed_upload
            && self.connection.output.is_empty()
            && self.chunk.is_empty()
            && self.connection.input.is_empty()
    }

    /// The body, if nothing of the request has been used up yet.
    pub(crate) fn take_unused_body(&mut self) -> Option<(Incoming, bool)> {
        let unused = !self.sent && self.bytes_up == 0;
        self.upload.take_if(|_| unused).map(|upload| (upload.body, upload.chunked))
    }

    /// Sends what can be sent and looks for the answer's head.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<Head, Failure>> {
        self.drive_upload(cx)?;
        loop {
            if let Some(head) = head::parse(&mut self.connection.input, method)? {
                return Poll::Ready(Ok(head));
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Failure::Broken)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return self.poll_timer(cx).map(Err),
            }
        }
    }

    /// Reads more of the answer's body into the connection's input; 0 = the upstream closed.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        self.drive_upload(cx)?;
        match self.poll_read(cx) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.poll_timer(cx).map(Err),
        }
    }

    /// Goes on with the upload while the answer needs no reading.
    pub(crate) fn drive_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.upload.is_none() && self.connection.output.is_empty() && self.chunk.is_empty() {
            return Ok(());
        }
        match self.poll_upload(cx) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            // The upstream stopped reading; its answer may still be there.
            Poll::Ready(Err(Failure::Broken)) => {
                self.upload = None;
                self.connection.output.clear();
                self.chunk.clear();
                self.failed_upload = true;
                Ok(())
            }
            Poll::Ready(Err(failure)) => Err(failure),
        }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let full = !self.chunk.is_empty() || self.connection.output.len() > JOIN_MAX_BYTES;
            if let Some(upload) = self.upload.as_mut().filter(|_| full) {
                upload.joining = Joining::Over;
            }
            if self.upload.as_ref().is_none_or(|upload| upload.joining == Joining::Over) {
                ready!(self.poll_write(cx))?;
            }
            let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
            match Pin::new(&mut upload.body).poll_frame(cx) {
                Poll::Pending if upload.joining == Joining::Yielded => {
                    upload.joining = Joining::Over;
                    continue;
                }
                Poll::Pending if upload.joining == Joining::Gathering => {
                    upload.joining = Joining::Yielded;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    self.waits_for_client = true;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if upload.joining == Joining::Yielded {
                        upload.joining = Joining::Gathering;
                    }
                    if let Ok(data) = frame.into_data() {
                        self.queue(&data)?;
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Failure::ClientBroke)),
                Poll::Ready(None) => self.queue_end(),
            }
            self.waits_for_client = false;
            self.armed = false;
        }
    }

    fn queue(&mut self, data: &Bytes) -> Result<(), Failure> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        self.bytes_up += data.len() as u64;
        if self.bytes_up > self.limits.body_max_bytes {
            return Err(Failure::BodyTooLarge);
        }
        let output = &mut self.connection.output;
        if upload.chunked {
            if upload.owes_crlf {
                output.extend_from_slice(b"\r\n");
            }
            upload.owes_crlf = true;
            write_size(output, data.len());
        }
        if data.len() <= JOIN_MAX_BYTES {
            output.extend_from_slice(data);
        } else {
            self.chunk = data.clone();
        }
        Ok(())
    }

    fn queue_end(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        if upload.chunked {
            let end: &[u8] = if upload.owes_crlf { b"\r\n0\r\n\r\n" } else { b"0\r\n\r\n" };
            self.connection.output.extend_from_slice(end);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.connection.output.is_empty() || !self.chunk.is_empty() {
            let connection = &mut self.connection;
            let parts = [IoSlice::new(&connection.output), IoSlice::new(&self.chunk)];
            let stream = Pin::new(&mut connection.stream);
            let written = match ready!(stream.poll_write_vectored(cx, &parts)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::Broken)),
                Ok(written) => written,
            };
            self.sent = true;
            self.armed = false;
            let head = written.min(connection.output.len());
            connection.output.advance(head);
            self.chunk.advance(written - head);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let connection = &mut self.connection;
        connection.input.reserve(READ_BYTES);
        loop {
            match connection.stream.try_read_buf(&mut connection.input) {
                Ok(read) => {
                    self.armed = false;
                    self.answered |= read > 0;
                    return Poll::Ready(Ok(read));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Err(Failure::Broken)),
            }
            if ready!(connection.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Err(Failure::Broken));
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        if !self.armed {
            self.armed = true;
            let uploading = self.upload.is_some();
            let wait =
                if self.answered || uploading { self.limits.idle } else { self.limits.first_byte };
            self.connection.timer.as_mut().reset(Instant::now() + wait);
        }
        ready!(self.connection.timer.as_mut().poll(cx));
        Poll::Ready(if self.waits_for_client { Failure::ClientSlow } else { Failure::Timeout })
    }
}

fn write_size(output: &mut BytesMut, size: usize) {
    use std::fmt::Write as _;
    write!(output, "{size:x}\r\n").expect("writing to memory cannot fail");
}
