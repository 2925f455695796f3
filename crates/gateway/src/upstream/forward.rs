//! Sending one request and waiting for its answer's head.

use std::future::poll_fn;

use http::Method;
use hyper::body::Incoming;

use super::Failure;
use super::exchange::{Exchange, Limits};
use super::head::Head;
use super::pool::{Pool, connect};
use crate::options::Bounds;
use crate::request::{BodyFraming, Outgoing};

/// Leaves the exchange in `slot`, where the caller sees what was sent even if this future is dropped.
///
/// A request is sent again only on a fresh connection, after a reused idle one ended before any byte of an answer,
/// if it has no body and a method that may be repeated, or if nothing of it was sent.
pub(crate) async fn forward(
    pool: &Pool,
    outgoing: &Outgoing<'_>,
    body: Option<Incoming>,
    bounds: &Bounds,
    slot: &mut Option<Exchange>,
) -> Result<Head, Failure> {
    let method = &outgoing.parts.method;
    let replayable = body.is_none() && is_idempotent(method);
    let mut body = body.map(|body| (body, outgoing.framing == BodyFraming::Chunked));
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
        let mut exchange = Exchange::new(connection, body.take(), limits);
        exchange.sent = sent;
        let exchange = slot.insert(exchange);
        match poll_fn(|cx| exchange.poll_head(cx, method)).await {
            Err(Failure::Broken) if reused && !exchange.answered => {
                sent = exchange.sent;
                body = exchange.take_unused_body();
                if !replayable && body.is_none() {
                    return Err(Failure::Broken);
                }
            }
            result => return result,
        }
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}
