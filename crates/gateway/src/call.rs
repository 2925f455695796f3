//! What must happen to a call however it ends: the charge, the end event, the line in the access log.

use std::rc::Rc;

use keytoll_domain::catalog::Bill;
use keytoll_domain::ledger::{STATUS_CLIENT_GONE, is_success};
use keytoll_domain::time::Timestamp;

use crate::access_log::{Ending, Line};
use crate::admit::{Grant, Running};
use crate::core::{Core, RequestId};
use crate::fields::Fields;
use crate::journal::{End, Full};
use crate::spans::Span;
use crate::upstream::exchange::Exchange;

/// A request's beginnings, known before anything is decided.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub id: RequestId,
    pub at: Timestamp,
}

/// A granted call until its answer's head. Dropped without an answer, it is a call whose client has gone: charged
/// if a byte of it went upstream, recorded with 0 units otherwise.
pub(crate) struct Call {
    core: Rc<Core>,
    start: Start,
    pub grant: Grant,
    bill: Bill,
    /// The exchange with the upstream while the answer's head is awaited.
    pub slot: Option<Exchange>,
    done: bool,
}

impl Call {
    pub(crate) fn new(core: Rc<Core>, start: &Start, grant: Grant, bill: Bill) -> Self {
        Self { core, start: *start, grant, bill, slot: None, done: false }
    }

    /// The upstream answered, after so many microseconds. An error means that the answer must not leave.
    pub(crate) fn charge(&mut self, status: u16) -> Result<u32, Full> {
        let answer = self.slot.as_ref().map(|exchange| &exchange.head().fields);
        let units = self.units(status, answer);
        self.record(status, units)
    }

    /// The upstream answered long ago, with these fields, and is not asked again.
    pub(crate) fn charge_kept(&mut self, status: u16, answer: &Fields) -> Result<u32, Full> {
        let units = self.units(status, Some(answer));
        self.record(status, units)
    }

    fn units(&self, status: u16, answer: Option<&Fields>) -> u32 {
        let billed = match self.bill {
            Bill::All => true,
            Bill::Success => is_success(status),
        };
        if billed { self.grant.cost(answer) } else { 0 }
    }

    /// There is no answer; the call is recorded with 0 units unless its client is the reason.
    pub(crate) fn charge_failed(&mut self, status: u16) -> Result<u32, Full> {
        let billed = status == STATUS_CLIENT_GONE && self.sends() > 0;
        let units = if billed { self.grant.cost(None) } else { 0 };
        self.record(status, units)
    }

    fn record(&mut self, status: u16, units: u32) -> Result<u32, Full> {
        self.done = true;
        let latency = micros_since(self.start.at, self.core.now());
        let charge = self.grant.charge(status, units, latency, self.start.id.0);
        let written = self.core.writer.borrow_mut().charge(&charge);
        self.grant.settle(if written.is_ok() { units } else { 0 });
        if written.is_ok() && self.sends() != 1 {
            self.core.metrics.sends(self.sends());
        }
        written.map(|()| latency)
    }

    fn sends(&self) -> u32 {
        self.slot.as_ref().map_or(0, Exchange::sends)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.done && self.charge_failed(STATUS_CLIENT_GONE).is_err() {
            tracing::error!("no room in the journal for a call whose client has gone");
        }
    }
}

/// The end of an answer that streams through.
pub(crate) struct Finish {
    pub core: Rc<Core>,
    pub start: Start,
    /// The journal has a charge to which the end belongs.
    pub charged: bool,
    pub running: Running,
    /// What of the access log's line is known already.
    pub line: Option<Line>,
    /// The call's span, if it is recorded.
    pub span: Option<Box<Span>>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub aborted: bool,
}

impl Finish {
    /// The answer is whole; its connection may serve another request if both sides have said everything.
    pub(crate) fn complete(&mut self, exchange: Exchange, keep_alive: bool) {
        self.aborted = false;
        self.running = Running::default();
        if keep_alive && exchange.is_complete() {
            self.core.pool.give(exchange.connection);
        }
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        if !self.charged && self.line.is_none() && self.span.is_none() {
            return;
        }
        let at = self.core.now();
        let micros = micros_since(self.start.at, at);
        if self.charged {
            self.core.writer.borrow_mut().end(&End {
                request: self.start.id.0,
                at,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                total_micros: micros,
                aborted: self.aborted,
            });
        }
        if let Some(span) = self.span.take() {
            self.core.end_span(span, at, self.aborted);
        }
        if let Some(line) = self.line.take() {
            let end = Ending {
                micros,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                aborted: self.aborted,
            };
            self.core.log.end(line, &end);
        }
    }
}

/// A clock that stepped back counts as no time.
pub(crate) fn micros_since(start: Timestamp, end: Timestamp) -> u32 {
    u32::try_from(end.0.saturating_sub(start.0).max(0)).unwrap_or(u32::MAX)
}
