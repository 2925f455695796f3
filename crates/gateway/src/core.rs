//! What one core has to itself, and what all cores share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::RefusedRow;
use keytoll_domain::limits::{Limited, Standings};
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::{Day, MICROS_PER_SECOND, Timestamp};

use crate::access_log::{CoreLog, Log};
use crate::cache::Cache;
use crate::client::Client;
use crate::compile::Tables;
use crate::entry::Gate;
use crate::fields::{Fields, Name};
use crate::identity::hex;
use crate::journal::Writer;
use crate::limit_fields::LimitFields;
use crate::locate::LocalRoutes;
pub(crate) use crate::locate::Product;
use crate::metrics::{CoreMetrics, Metrics};
use crate::options::{Clock, Options};
use crate::server::deadline::Deadlines;
use crate::spans::{CoreSpans, Pending, Span};
use crate::upstream::pool::Pool;
use crate::verify::LastAsker;

/// Different (key, day, code) refusals counted between two flushes; further ones are not told apart by key.
const REFUSED_MAX: usize = 4096;

/// Shared by all cores and the threads beside them.
pub(crate) struct Shared {
    pub options: Options,
    pub clock: Clock,
    pub tables: Arc<Tables>,
    pub metrics: Metrics,
    pub log: Option<Log>,
    /// Spans on their way to a collector, where there is one.
    pub spans: Option<Arc<Pending>>,
    pub gate: Gate,
    /// Answers of products that want it.
    pub cache: Arc<Cache>,
    /// No new connections, and answers close theirs.
    pub draining: AtomicBool,
    pub connections: AtomicI64,
    /// Last change of the feed that every core sees.
    pub applied: AtomicU64,
}

/// What refusals are counted by; the text is the code.
type Refused = (Option<KeyId>, Day, &'static str);

/// One core's own.
pub(crate) struct Core {
    pub shared: Arc<Shared>,
    pub writer: RefCell<Writer>,
    pub pool: Pool,
    pub deadlines: Rc<Deadlines>,
    pub metrics: Arc<CoreMetrics>,
    pub log: CoreLog,
    pub spans: Option<CoreSpans>,
    pub asker: LastAsker,
    routes: RefCell<LocalRoutes>,
    time: RefCell<TimeText>,
    limits: RefCell<LimitFields>,
    ids: RequestIds,
    refused: RefCell<HashMap<Refused, u64>>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.options.trusted_proxies.iter().any(|net| net.contains(&address))
    }

    /// Who called: the peer, or behind trusted proxies the rightmost address that is none of them.
    pub(crate) fn client_address(&self, client: &Client, fields: &Fields) -> IpAddr {
        if client.trusted { self.forwarded_address(client, fields) } else { client.address }
    }

    /// The same for a peer that is believed for another reason.
    pub(crate) fn forwarded_address(&self, client: &Client, fields: &Fields) -> IpAddr {
        let mut nearest = client.address;
        for value in fields.all(Name::ForwardedFor).rev() {
            for part in value.rsplit(|byte| *byte == b',') {
                let Some(address) = std::str::from_utf8(part).ok().and_then(parse_address) else {
                    return nearest;
                };
                nearest = address;
                if !self.is_trusted(address) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.trim().parse().ok()?;
    Some(address.to_canonical())
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        let metrics = shared.metrics.core();
        let deadlines = Rc::<Deadlines>::default();
        let log = CoreLog::new(shared.log.clone());
        let spans = shared.spans.as_ref().map(CoreSpans::new);
        Self {
            shared,
            writer: RefCell::new(writer),
            pool: Pool::new(deadlines.clone()),
            deadlines,
            metrics,
            log,
            spans,
            asker: LastAsker::default(),
            routes: RefCell::default(),
            time: RefCell::default(),
            limits: RefCell::default(),
            ids: RequestIds::new(),
            refused: RefCell::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Looks at this core's own copy of the routes.
    pub(crate) fn with_routes<T>(&self, with: impl FnOnce(&LocalRoutes) -> T) -> T {
        let tables = &self.shared.tables;
        let version = tables.routes_version.load(Ordering::Acquire);
        let mut local = self.routes.borrow_mut();
        if local.version != Some(version) {
            *local = LocalRoutes::of(&tables.routes.load(), version);
        }
        with(&local)
    }

    /// `2026-11-21T12:00:00.123456Z`, written anew once a second.
    pub(crate) fn with_time<T>(&self, at: Timestamp, with: impl FnOnce(&TimeText) -> T) -> T {
        let mut time = self.time.borrow_mut();
        time.set(at);
        with(&time)
    }

    /// See [`LimitFields::put`].
    pub(crate) fn put_limits(
        &self,
        head: &mut Vec<u8>,
        standings: &Standings,
        refused: Option<Limited>,
        now: Timestamp,
    ) {
        self.limits.borrow_mut().put(head, standings, refused, now);
    }

    /// Once a tick: what is gathered goes on, and limits that have passed are told.
    pub(crate) fn tick(&self) {
        self.deadlines.advance();
        self.log.hand_over();
        if let Some(spans) = &self.spans {
            spans.hand_over();
        }
    }

    /// The call is over.
    pub(crate) fn end_span(&self, mut span: Box<Span>, at: Timestamp, aborted: bool) {
        (span.end, span.aborted) = (at, aborted);
        if let Some(spans) = &self.spans {
            spans.add(*span);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn next_id(&self, now: Timestamp) -> RequestId {
        self.ids.next(now)
    }

    /// Counts a refusal for the `refused` rollup.
    pub(crate) fn refused(&self, key: Option<KeyId>, now: Timestamp, refusal: Refusal) {
        let mut refused = self.refused.borrow_mut();
        let key = if refused.len() < REFUSED_MAX { key } else { None };
        *refused.entry((key, now.day(), refusal.code())).or_insert(0) += 1;
    }

    pub(crate) fn take_refused(&self) -> Vec<RefusedRow> {
        let taken = std::mem::take(&mut *self.refused.borrow_mut());
        let row = |((key, day, code), count): (Refused, u64)| RefusedRow {
            key,
            day,
            code: code.to_owned(),
            count,
        };
        taken.into_iter().map(row).collect()
    }
}

/// The current time as text.
#[derive(Default)]
pub(crate) struct TimeText {
    second: Option<i64>,
    /// RFC 3339 with microseconds.
    pub rfc3339: Vec<u8>,
    /// As HTTP's `Date` has it.
    pub http: String,
}

impl TimeText {
    fn set(&mut self, at: Timestamp) {
        let second = at.0.div_euclid(MICROS_PER_SECOND);
        if self.second != Some(second) {
            let whole = Timestamp(second * MICROS_PER_SECOND);
            self.second = Some(second);
            self.http = whole.http_date();
            self.rfc3339 = whole.to_string().into_bytes();
            self.rfc3339.truncate("2026-11-21T12:00:00".len());
            self.rfc3339.extend_from_slice(b".000000Z");
        }
        let mut micros = at.0.rem_euclid(MICROS_PER_SECOND);
        for place in (20..26).rev() {
            self.rfc3339[place] = b'0' + u8::try_from(micros % 10).unwrap_or(0);
            micros /= 10;
        }
    }
}

/// A request's id: a UUID of version 7, made from the time, a random start per core and a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(pub u128);

pub(crate) struct RequestIds {
    seed: u64,
    counter: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { seed: RandomState::new().hash_one(0u8), counter: Cell::new(0) }
    }

    pub(crate) fn next(&self, now: Timestamp) -> RequestId {
        let count = self.counter.get().wrapping_add(1);
        self.counter.set(count);
        let micros = u128::from(now.0.unsigned_abs());
        let (millis, rest) = (micros / 1000, micros % 1000);
        let low = u128::from(self.seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        RequestId((millis << 80) | 0x7 << 76 | rest << 64 | low)
    }
}

impl RequestId {
    /// `8-4-4-4-12` hexadecimal digits.
    pub(crate) fn text(self) -> [u8; 36] {
        let digits = hex::<16, 32>(self.0.to_be_bytes());
        let mut text = [b'-'; 36];
        text[..8].copy_from_slice(&digits[..8]);
        text[9..13].copy_from_slice(&digits[8..12]);
        text[14..18].copy_from_slice(&digits[12..16]);
        text[19..23].copy_from_slice(&digits[16..20]);
        text[24..].copy_from_slice(&digits[20..]);
        text
    }
}
