//! Sending one request and waiting for its answer's head: the one place where a connection is chosen.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, Flight};
use super::connect::connect;
use super::exchange::{Exchange, Limits};
use super::head::Asked;
use super::http2;
use super::pool::{Connection, Pool};
use super::{Failure, Upstream};
use crate::options::Bounds;
use crate::outgoing::Outgoing;
use crate::request::BodyFraming;
use crate::server::source::Source;

/// Leaves the exchange in `slot`, where the caller finds the answer's head, and sees what was sent even if this
/// future is dropped.
///
/// A request is sent again, to another target if there is one, only before any byte of an answer, and only if it has
/// no body and a method that may be repeated, or if nothing of it was sent or taken from the client. How often, the
/// product's options and the core's budget say; a reused idle connection that ended is replaced beside that.
pub(crate) async fn forward(
    pool: &Pool,
    cluster: &Arc<Cluster>,
    outgoing: &Outgoing<'_>,
    source: &mut dyn Source,
    bounds: &Bounds,
    slot: &mut Option<Exchange>,
) -> Result<(), Failure> {
    let policy = &cluster.policy;
    let framing = source.framing();
    let method = outgoing.request.method();
    let mut call = Attempts {
        pool,
        outgoing,
        framing,
        asked: if outgoing.websocket {
            Asked::WebSocket
        } else if outgoing.request.is_head() {
            Asked::Head
        } else {
            Asked::Content
        },
        replayable: framing == BodyFraming::None && is_idempotent(method),
        connect: policy.connect.unwrap_or(bounds.connect),
        limits: Limits {
            first_byte: policy.first_byte.unwrap_or(bounds.first_byte),
            idle: policy.idle.unwrap_or(bounds.idle),
            body_max_bytes: bounds.body_max_bytes,
            until: policy.total.map(|total| pool.after(total)),
        },
    };
    let mut repeats = policy.attempts;
    if repeats > 0 {
        pool.budgets.called(policy.product, pool.now());
    }
    let mut tried = 0;
    let mut failed = None;
    loop {
        let chosen = cluster.choose(tried, || pool.random());
        let index = chosen.map_err(|unavailable| failed.unwrap_or(unavailable))?;
        tried |= 1 << index;
        let flight = Flight::begin(cluster, index);
        let upstream = &cluster.members[index].upstream;
        let Err(failure) = call.attempt(upstream, source, slot).await else {
            cluster.succeeded(index);
            if let Some(exchange) = slot {
                exchange.flight = flight;
            }
            return Ok(());
        };
        if failure.is_of_upstream() {
            cluster.failed(index);
        }
        // Whoever is silent is not asked the same once more.
        let elsewhere =
            failure != Failure::Timeout || tried.count_ones() as usize != cluster.members.len();
        let repeatable = failure.is_of_upstream() && elsewhere && call.may_repeat(slot.as_ref());
        if repeats == 0
            || !repeatable
            || call.is_late()
            || !pool.budgets.take(policy.product, pool.now(), policy.budget_percent)
        {
            return Err(failure);
        }
        repeats -= 1;
        failed = Some(failure);
    }
}

/// What all attempts of one call have in common.
struct Attempts<'c> {
    pool: &'c Pool,
    outgoing: &'c Outgoing<'c>,
    framing: BodyFraming,
    asked: Asked,
    replayable: bool,
    connect: Duration,
    limits: Limits,
}

impl Attempts<'_> {
    /// One target, on an idle connection or, if that has ended, on a fresh one.
    async fn attempt(
        &mut self,
        upstream: &Arc<Upstream>,
        source: &mut dyn Source,
        slot: &mut Option<Exchange>,
    ) -> Result<(), Failure> {
        let mut idle = self.pool.take(upstream);
        let mut failed = None;
        loop {
            let connection = match idle.take() {
                None if upstream.http2 => self.open(upstream, failed).await?,
                idle => self.begin(upstream, idle).await?,
            };
            let reused = connection.reused;
            let number = connection.number();
            let sends = slot.as_ref().map_or(0, Exchange::sends);
            let exchange = Exchange::new(connection, self.framing, self.limits, sends);
            let exchange = slot.insert(exchange);
            source.deadline().set(self.limits.first_byte);
            match poll_fn(|cx| exchange.poll_head(cx, source, self.asked)).await {
                Err(Failure::Broken) if reused && self.may_repeat(slot.as_ref()) => failed = number,
                Err(Failure::Timeout) => {
                    if let Some(number) = number {
                        self.pool.http2.forget(upstream, number);
                    }
                    return Err(Failure::Timeout);
                }
                result => return result,
            }
        }
    }

    /// A connection of HTTP/1 with the request's head to write.
    async fn begin(
        &self,
        upstream: &Arc<Upstream>,
        idle: Option<Box<Connection>>,
    ) -> Result<Box<Connection>, Failure> {
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(upstream, self.connect_limit()?).await?,
        };
        self.outgoing.write(upstream, &mut connection.output);
        Ok(connection)
    }

    /// A stream of HTTP/2 on which the request's head has been sent. Boxed, so that calls over HTTP/1 have no room
    /// for it.
    async fn open(
        &self,
        upstream: &Arc<Upstream>,
        failed: Option<u64>,
    ) -> Result<Box<Connection>, Failure> {
        let limit = self.connect_limit()?;
        let open = http2::open(self.pool, upstream, self.outgoing, self.framing, limit, failed);
        Box::pin(open).await
    }

    /// `last` is the last exchange that was begun; before it there were only such as could be repeated.
    fn may_repeat(&self, last: Option<&Exchange>) -> bool {
        last.is_none_or(|last| !last.answered && (self.replayable || last.is_untouched()))
    }

    fn is_late(&self) -> bool {
        self.limits.until.is_some_and(|until| self.pool.now() >= until)
    }

    fn connect_limit(&self) -> Result<Duration, Failure> {
        let Some(until) = self.limits.until else { return Ok(self.connect) };
        let left = self.pool.until(until);
        if left.is_zero() { Err(Failure::Timeout) } else { Ok(self.connect.min(left)) }
    }
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}
