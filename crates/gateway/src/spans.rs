//! Traces: one server span for a sampled call of a product, handed to a collector over OTLP.
//!
//! A core gathers its spans in memory of its own and hands them over once a tick; one task apart from the cores sends
//! them. What does not fit is dropped and counted, and a call never waits for a collector. Nothing that a client wrote
//! is in a span but the host name: neither path nor query, since keys have been seen in both.

mod encode;
pub(crate) mod export;
pub(crate) mod options;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keytoll_domain::ids::{KeyId, PlanSlug, ProductId};
use keytoll_domain::time::Timestamp;
use tokio::sync::Notify;

use crate::core::RequestId;
use crate::fields::Fields;
use crate::trace::{self, Context};

/// Spans of one core between two ticks.
const CORE_SPANS_MAX: usize = 1024;
/// Spans of all cores that wait for the collector.
const PENDING_MAX: usize = 8192;
/// Spans sent in one request; as many do not wait for the next round.
const BATCH_MAX: usize = 512;
/// The methods that a span names; any other is a word of the client's.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
const OTHER_METHOD: &str = "_OTHER";

/// One call as a collector is told of it.
#[derive(Debug)]
pub(crate) struct Span {
    pub context: Context,
    pub request: RequestId,
    pub start: Timestamp,
    pub end: Timestamp,
    /// One of those that [`method`] knows.
    pub method: &'static str,
    pub protocol: &'static str,
    pub host: Box<str>,
    pub product: ProductId,
    /// `METHOD /path` as in the document, empty if unknown.
    pub operation: Box<str>,
    pub plan: Option<PlanSlug>,
    pub key: Option<KeyId>,
    pub status: u16,
    /// Code of a refusal or failure, else empty.
    pub code: &'static str,
    /// The answer broke off.
    pub aborted: bool,
}

/// Spans of all cores that nobody has sent yet.
#[derive(Default)]
pub(crate) struct Pending {
    spans: Mutex<Vec<Span>>,
    dropped: AtomicU64,
    /// Told when a batch is full.
    full: Notify,
    /// Of 2^32 calls that come without a trace, so many are recorded.
    share: u64,
}

/// One core's end.
pub(crate) struct CoreSpans {
    pending: Arc<Pending>,
    seed: RandomState,
    counter: Cell<u64>,
    gathered: RefCell<Vec<Span>>,
}

/// The method's name as a span has it.
pub(crate) fn method(name: &str) -> &'static str {
    METHODS.into_iter().find(|method| *method == name).unwrap_or(OTHER_METHOD)
}

impl Pending {
    /// Takes the share of calls from 0 to 1.
    pub(crate) fn new(sample: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 2^32 fits, and a fraction of one call is none"
        )]
        let share = (sample.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        Self { share, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything, or what there is room for.
    fn give(&self, gathered: &mut Vec<Span>) {
        let mut spans = self.lock();
        let room = PENDING_MAX - spans.len();
        spans.extend(gathered.drain(..gathered.len().min(room)));
        let full = spans.len() >= BATCH_MAX;
        drop(spans);
        self.count_dropped(gathered.len());
        gathered.clear();
        if full {
            self.full.notify_one();
        }
    }

    /// The oldest, at most a batch.
    fn take(&self) -> Vec<Span> {
        let mut spans = self.lock();
        let count = spans.len().min(BATCH_MAX);
        spans.drain(..count).collect()
    }

    fn count_dropped(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Spans that no collector got.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl CoreSpans {
    pub(crate) fn new(pending: &Arc<Pending>) -> Self {
        Self {
            pending: pending.clone(),
            seed: RandomState::new(),
            counter: Cell::new(0),
            gathered: RefCell::default(),
        }
    }

    /// Whether the request is recorded, and as what: with a trace of its own it says so itself, of the others a share
    /// is.
    pub(crate) fn begin(&self, fields: &Fields) -> Option<Context> {
        if let Some(parent) = trace::parent(fields) {
            return parent.is_sampled().then(|| parent.continued(self.next_id()));
        }
        let random = self.next_id();
        if random >> 32 >= self.pending.share {
            return None;
        }
        let trace = u128::from(self.next_id()) << 64 | u128::from(random);
        Some(Context::begun(trace, self.next_id()))
    }

    /// Not 0, which is no id.
    fn next_id(&self) -> u64 {
        let count = self.counter.get().wrapping_add(1);
        self.counter.set(count);
        self.seed.hash_one(count).max(1)
    }

    pub(crate) fn add(&self, span: Span) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.len() < CORE_SPANS_MAX {
            gathered.push(span);
        } else {
            self.pending.count_dropped(1);
        }
    }

    /// Gives the spans so far to the task that sends them.
    pub(crate) fn hand_over(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if !gathered.is_empty() {
            self.pending.give(&mut gathered);
        }
    }
}

/// Spans of calls that ended with their core.
impl Drop for CoreSpans {
    fn drop(&mut self) {
        self.hand_over();
    }
}
