//! The client's side of one HTTP/1 connection: its stream, what has been read, and how far the body has come.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::deadline::Deadline;
use super::source::{Fill, Source};
use crate::buffer::Buffer;
use crate::chunked::{self, Chunked, Malformed, Step};
use crate::request::{BodyFraming, Request};
use crate::stream::Stream;
use crate::upstream::Failure;

/// Largest piece of a body taken at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Bytes of further requests that may wait behind the one that is served.
const PIPELINED_MAX_BYTES: usize = 64 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much of the body has not been taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Length(u64),
    Chunked(Chunked),
}

pub(super) struct Inbound {
    pub stream: Stream,
    pub input: Buffer,
    pub deadline: Deadline,
    framing: BodyFraming,
    left: Left,
    /// The client waits to be told, and how much of that has been written.
    unasked: Option<usize>,
}

impl Inbound {
    pub(super) fn new(stream: Stream, deadline: Deadline) -> Self {
        Self {
            stream,
            input: Buffer::default(),
            deadline,
            framing: BodyFraming::None,
            left: Left::Nothing,
            unasked: None,
        }
    }

    /// A request's head has been taken; its body follows.
    pub(super) fn begin(&mut self, request: &Request) {
        self.framing = request.framing;
        self.left = match request.framing {
            BodyFraming::None => Left::Nothing,
            BodyFraming::Length(length) => Left::Length(length),
            BodyFraming::Chunked => Left::Chunked(Chunked::Size),
        };
        let waits = self.left != Left::Nothing && request.expects_continue();
        self.unasked = waits.then_some(0);
    }

    /// The body has ended, or what is left of it is short and already on its way.
    pub(super) fn leaves_at_most(&self, max_bytes: u64) -> bool {
        match self.left {
            Left::Nothing => true,
            Left::Length(left) => left <= max_bytes && self.unasked.is_none(),
            Left::Chunked(_) => false,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.left == Left::Nothing
    }

    /// Tells a client that waits to send its body.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while let Some(written) = self.unasked {
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write(cx, &CONTINUE[written..])) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::ClientBroke)),
                Ok(more) => {
                    let written = written + more;
                    self.unasked = (written < CONTINUE.len()).then_some(written);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes of the body at the front of the input; `None` = it has ended.
    fn here(&mut self) -> Result<Option<usize>, Failure> {
        let here = match &mut self.left {
            Left::Nothing => return Ok(None),
            Left::Length(left) => {
                usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len())
            }
            Left::Chunked(chunked) => match chunked.step(&mut self.input) {
                Ok(Step::Data(here)) => here,
                Ok(Step::More) => 0,
                Ok(Step::Done) => {
                    self.left = Left::Nothing;
                    return Ok(None);
                }
                Err(Malformed) => return Err(Failure::ClientBroke),
            },
        };
        Ok(Some(here.min(PIECE_BYTES)))
    }

    fn taken(&mut self, count: usize) {
        self.input.consume(count);
        match &mut self.left {
            Left::Nothing => {}
            Left::Chunked(chunked) => chunked.taken(count),
            Left::Length(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.left = Left::Nothing;
                }
            }
        }
    }
}

impl Source for Inbound {
    fn framing(&self) -> BodyFraming {
        self.framing
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        chunked: bool,
    ) -> Poll<Result<Fill, Failure>> {
        loop {
            match self.here()? {
                None => return Poll::Ready(Ok(Fill::End)),
                Some(0) => {}
                Some(here) => {
                    // The client sends without having been asked.
                    self.unasked = None;
                    if chunked {
                        chunked::write_size(out, here);
                    }
                    out.extend_from_slice(&self.input.data()[..here]);
                    if chunked {
                        out.extend_from_slice(b"\r\n");
                    }
                    self.taken(here);
                    return Poll::Ready(Ok(Fill::Data(here)));
                }
            }
            ready!(self.poll_ask(cx))?;
            match ready!(self.input.poll_fill(&mut self.stream, cx, true)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::ClientBroke)),
                Ok(_) => {}
            }
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.input.len() < PIPELINED_MAX_BYTES {
            match ready!(self.input.poll_fill(&mut self.stream, cx, false)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    fn can_switch(&self) -> bool {
        true
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }
}
