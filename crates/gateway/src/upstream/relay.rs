//! An upstream's answer body as it streams through: what of it is at hand, and when it ends.

use std::task::{Context, Poll, ready};

use http::HeaderMap;

use super::Failure;
use super::exchange::Exchange;
use super::head::Framing;
use crate::admit::Running;
use crate::cache::{Playback, Taking};
use crate::call::Finish;
use crate::chunked::{Chunked, Malformed, Step};
use crate::server::source::Source;

/// The rest of an answer. Dropping it early closes the upstream's connection.
pub(crate) struct Relay {
    exchange: Option<Exchange>,
    state: State,
    keep_alive: bool,
    finish: Finish,
    /// The client once did not take what was there.
    client_lagged: bool,
    /// What followed the body; only HTTP/2 has a way to say it.
    trailers: Option<Box<HeaderMap>>,
    /// Where the body goes beside the client.
    taking: Option<Box<Taking>>,
    /// The body comes from the cache instead; there is no exchange then.
    playback: Option<Playback>,
}

enum State {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

impl Relay {
    /// Takes over an exchange whose head has been read.
    pub(crate) fn of(exchange: Exchange, finish: Finish, taking: Option<Box<Taking>>) -> Self {
        let keep_alive = exchange.head().keep_alive;
        let state = match exchange.head().framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::Size),
            Framing::UntilClose | Framing::Switched => State::UntilClose,
        };
        let mut relay = Self {
            exchange: Some(exchange),
            state,
            keep_alive,
            finish,
            client_lagged: false,
            trailers: None,
            taking,
            playback: None,
        };
        // A request that is still being sent is given up when its answer has no body to wait for.
        if matches!(relay.state, State::Done) {
            relay.end();
        }
        relay
    }

    /// Plays an answer that was kept.
    pub(crate) fn kept(playback: Option<Playback>, mut finish: Finish) -> Self {
        let length = playback.as_ref().map_or(0, |playback| playback.rest().len() as u64);
        let state = if length == 0 { State::Done } else { State::Length(length) };
        if length == 0 {
            finish.running = Running::default();
        }
        Self {
            exchange: None,
            state,
            keep_alive: false,
            finish,
            client_lagged: false,
            trailers: None,
            taking: None,
            playback,
        }
    }

    /// How the client learns of the end: the length, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.state {
            State::Length(length) => Some(length),
            State::Done => Some(0),
            State::Chunked(_) | State::UntilClose => None,
        }
    }

    /// What is to follow the body, once it has ended.
    pub(crate) fn trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take().map(|trailers| *trailers)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The request's body is not yet all with the upstream.
    pub(crate) fn is_uploading(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| !exchange.is_sent())
    }

    /// How many bytes of the body are at hand, without asking the upstream for more. An error stays one.
    pub(crate) fn ready(&mut self) -> Result<usize, Malformed> {
        let Some(exchange) = &mut self.exchange else { return Ok(self.played().len()) };
        let input = &mut exchange.connection.input;
        let here = match &mut self.state {
            State::Done => 0,
            State::UntilClose => input.len(),
            State::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(input.len()),
            State::Chunked(chunked) => match chunked.step(input) {
                Ok(Step::Data(here)) => here,
                Ok(Step::More) => 0,
                Ok(Step::Done) => {
                    self.end();
                    0
                }
                Err(malformed) => return Err(malformed),
            },
        };
        Ok(here)
    }

    /// The first bytes at hand; `count` is at most what [`Self::ready`] said.
    pub(crate) fn bytes(&self, count: usize) -> &[u8] {
        match &self.exchange {
            Some(exchange) => &exchange.connection.input.data()[..count],
            None => &self.played()[..count],
        }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        let Some(exchange) = &mut self.exchange else { return self.play(count) };
        if let Some(taking) = &mut self.taking
            && !taking.push(&exchange.connection.input.data()[..count])
        {
            self.taking = None;
        }
        exchange.connection.input.consume(count);
        self.finish.bytes_out += count as u64;
        match &mut self.state {
            State::Length(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.end();
                }
            }
            State::Chunked(chunked) => chunked.taken(count),
            State::UntilClose | State::Done => {}
        }
    }

    /// Waits for more of the body, or for its end.
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Poll<Result<(), Failure>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(Ok(())) };
        match ready!(exchange.poll_more(cx, source)) {
            Ok(0) if matches!(self.state, State::UntilClose) => self.end(),
            Ok(0) => return Poll::Ready(Err(self.fail(Failure::Broken, true))),
            Ok(_) => {}
            Err(failure) => {
                // The time that all may take together passed while the client took its own.
                let excused =
                    failure == Failure::Timeout && self.client_lagged && exchange.is_late(source);
                let blames = failure.is_of_upstream() && !excused;
                return Poll::Ready(Err(self.fail(failure, blames)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on with the upload while the client takes what it has been given.
    pub(crate) fn drive_upload(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Result<(), Failure> {
        self.client_lagged = true;
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        exchange.drive_upload(cx, source)
    }

    /// The client did not get all of it.
    pub(crate) fn abort(&mut self) {
        self.finish.aborted = true;
    }

    fn end(&mut self) {
        self.state = State::Done;
        if let Some(mut exchange) = self.exchange.take() {
            self.trailers = exchange.trailers().map(Box::new);
            if let Some(taking) = self.taking.take()
                && self.trailers.is_none()
            {
                taking.keep();
            }
            self.finish.bytes_in = exchange.bytes_up;
            self.finish.complete(exchange, self.keep_alive);
        }
    }

    /// What is left to play.
    fn played(&self) -> &[u8] {
        self.playback.as_ref().map_or(&[], Playback::rest)
    }

    fn play(&mut self, count: usize) {
        let Some(playback) = &mut self.playback else { return };
        playback.consume(count);
        self.finish.bytes_out += count as u64;
        let left = playback.rest().len() as u64;
        self.state = State::Length(left);
        if left == 0 {
            self.state = State::Done;
            self.playback = None;
            self.finish.running = Running::default();
        }
    }

    fn fail(&mut self, failure: Failure, blames_upstream: bool) -> Failure {
        self.state = State::Done;
        if let Some(exchange) = self.exchange.take() {
            self.finish.bytes_in = exchange.bytes_up;
            if let Some(flight) = exchange.flight.filter(|_| blames_upstream) {
                flight.failed();
            }
        }
        failure
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            self.finish.bytes_in = exchange.bytes_up;
            self.finish.aborted = true;
        }
        self.finish.aborted |= self.playback.is_some();
    }
}
