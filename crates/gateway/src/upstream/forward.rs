//! Sending one request and waiting for its answer's head.

use std::future::poll_fn;

use super::Failure;
use super::exchange::{Exchange, Limits};
use super::pool::{Pool, connect};
use crate::options::Bounds;
use crate::outgoing::Outgoing;
use crate::request::BodyFraming;
use crate::server::source::Source;

/// Leaves the exchange in `slot`, where the caller finds the answer's head, and sees what was sent even if this
/// future is dropped.
///
/// A request is sent again only on a fresh connection, after a reused idle one ended before any byte of an answer,
/// if it has no body and a method that may be repeated, or if nothing of it was sent.
pub(crate) async fn forward(
    pool: &Pool,
    outgoing: &Outgoing<'_>,
    source: &mut dyn Source,
    bounds: &Bounds,
    slot: &mut Option<Exchange>,
) -> Result<(), Failure> {
    let method = outgoing.request.method();
    let is_head = outgoing.request.is_head();
    let framing = source.framing();
    let replayable = framing == BodyFraming::None && is_idempotent(method);
    let limits = Limits {
        first_byte: bounds.first_byte,
        idle: bounds.idle,
        body_max_bytes: bounds.body_max_bytes,
    };
    let mut idle = pool.take(outgoing.upstream);
    let mut sent = false;
    loop {
        let mut connection = match idle.take() {
            Some(connection) => connection,
            None => connect(outgoing.upstream, bounds.connect).await?,
        };
        let reused = connection.reused;
        outgoing.write(&mut connection.output);
        let mut exchange = Exchange::new(connection, framing, limits);
        exchange.sent = sent;
        let exchange = slot.insert(exchange);
        source.deadline().set(bounds.first_byte);
        match poll_fn(|cx| exchange.poll_head(cx, source, is_head)).await {
            Err(Failure::Broken) if reused && !exchange.answered => {
                let untouched = !exchange.sent && exchange.bytes_up == 0;
                sent |= exchange.sent;
                if !replayable && !untouched {
                    return Err(Failure::Broken);
                }
            }
            result => return result,
        }
    }
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}
