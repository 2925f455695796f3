//! Bodies of answers: the gateway's own short ones, and an upstream's as it streams through.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Failure;
use super::chunked::{Chunked, Step};
use super::exchange::Exchange;
use super::head::Framing;
use crate::call::Finish;

pub(crate) enum Body {
    Empty,
    Own(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
}

/// The rest of an answer. Dropping it early closes the connection.
pub(crate) struct UpstreamBody {
    exchange: Option<Exchange>,
    state: State,
    keep_alive: bool,
    finish: Finish,
}

enum State {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Body {
    /// Takes over an exchange whose head has been read. One without a body ends here.
    pub(crate) fn of(
        exchange: Exchange,
        framing: Framing,
        keep_alive: bool,
        mut finish: Finish,
    ) -> Self {
        let state = match framing {
            // A request still being sent would be cut off by hyper's end of the answer, so it is given up.
            Framing::None => {
                finish.bytes_in = exchange.bytes_up;
                finish.complete(exchange, keep_alive);
                return Self::Empty;
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::Size),
            Framing::UntilClose => State::UntilClose,
        };
        Self::Upstream(Box::new(UpstreamBody {
            exchange: Some(exchange),
            state,
            keep_alive,
            finish,
        }))
    }
}

impl UpstreamBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
            let data = match take(&mut self.state, exchange) {
                Ok(data) => data,
                Err(failure) => return Poll::Ready(Some(Err(self.fail(failure)))),
            };
            if let Some(data) = data {
                self.finish.bytes_out += data.len() as u64;
                if self.state.is_done() {
                    self.end();
                }
                return Poll::Ready(Some(Ok(data)));
            }
            if self.state.is_done() {
                self.end();
                return Poll::Ready(None);
            }
            match ready!(exchange.poll_more(cx)) {
                Ok(0) if matches!(self.state, State::UntilClose) => {
                    self.end();
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(self.fail(Failure::Broken)))),
                Ok(_) => {}
                Err(failure) => return Poll::Ready(Some(Err(self.fail(failure)))),
            }
        }
    }

    fn end(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.finish.bytes_in = exchange.bytes_up;
            self.finish.complete(exchange, self.keep_alive);
        }
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        if let Some(exchange) = self.exchange.take() {
            self.finish.bytes_in = exchange.bytes_up;
        }
        failure
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            self.finish.bytes_in = exchange.bytes_up;
        }
    }
}

impl State {
    fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Done))
    }
}

/// What of the body is already in the connection's buffer.
fn take(state: &mut State, exchange: &mut Exchange) -> Result<Option<Bytes>, Failure> {
    let input = &mut exchange.connection.input;
    match state {
        State::Chunked(chunked) => match chunked.step(input)? {
            Step::Data(data) => Ok(Some(data)),
            Step::Done | Step::More => Ok(None),
        },
        _ if input.is_empty() => Ok(None),
        State::UntilClose => Ok(Some(input.split().freeze())),
        State::Length(left) => {
            let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
            *left -= here as u64;
            Ok((here > 0).then(|| input.split_to(here).freeze()))
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(body) => {
                body.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Own(None) => true,
            Self::Own(Some(_)) => false,
            Self::Upstream(body) => body.exchange.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Own(None) => SizeHint::with_exact(0),
            Self::Own(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Upstream(body) => match body.state {
                State::Length(left) => SizeHint::with_exact(left),
                State::Chunked(_) | State::UntilClose => SizeHint::default(),
            },
        }
    }
}
