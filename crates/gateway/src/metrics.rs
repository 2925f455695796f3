//! Numbers for Prometheus. Each core counts in its own series, so that cores never wait for each other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use keytoll_domain::ids::ProductId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    worker: u32,
    product: String,
    status: u16,
    /// Code of a refusal or failure, else empty.
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProduct {
    worker: u32,
    product: String,
}

type Histograms = Family<ByProduct, Histogram, fn() -> Histogram>;

pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<ByStatus, Counter>,
    latency: Histograms,
    gauges: Gauges,
    workers: AtomicU32,
}

/// Values that are read when somebody asks.
#[derive(Default)]
struct Gauges {
    connections: Gauge,
    keys: Gauge,
    applied: Gauge,
    log_dropped: Gauge,
    journal_lag: Gauge,
}

/// What the gauges are set to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    pub connections: i64,
    pub keys: i64,
    pub applied: i64,
    pub log_dropped: i64,
    pub journal_lag: i64,
}

/// One core's counters, found without a lock after their first use.
pub(crate) struct CoreMetrics {
    worker: u32,
    requests: Family<ByStatus, Counter>,
    latency: Histograms,
    counters: RefCell<HashMap<ProductId, PerProduct>>,
}

struct PerProduct {
    latency: Histogram,
    statuses: Vec<(u16, &'static str, Counter)>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("keytoll_gateway");
        let requests = Family::default();
        let latency = Histograms::new_with_constructor(|| Histogram::new(BUCKETS));
        let gauges = Gauges::default();
        registry.register(
            "requests",
            "Requests by product, status and refusal code",
            requests.clone(),
        );
        registry.register(
            "latency_seconds",
            "Time from a request to its answer's head",
            latency.clone(),
        );
        registry.register("connections", "Open client connections", gauges.connections.clone());
        registry.register("keys", "Keys in the table", gauges.keys.clone());
        registry.register("feed_sequence", "Last change applied", gauges.applied.clone());
        registry.register(
            "access_log_dropped",
            "Lines that did not fit the queue",
            gauges.log_dropped.clone(),
        );
        registry.register(
            "journal_lag_seals",
            "Seals not yet taken by the store",
            gauges.journal_lag.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            requests,
            latency,
            gauges,
            workers: AtomicU32::new(0),
        }
    }

    pub(crate) fn core(&self) -> CoreMetrics {
        CoreMetrics {
            worker: self.workers.fetch_add(1, Ordering::Relaxed),
            requests: self.requests.clone(),
            latency: self.latency.clone(),
            counters: RefCell::default(),
        }
    }

    pub(crate) fn text(&self, readings: Readings) -> String {
        self.gauges.connections.set(readings.connections);
        self.gauges.keys.set(readings.keys);
        self.gauges.applied.set(readings.applied);
        self.gauges.log_dropped.set(readings.log_dropped);
        self.gauges.journal_lag.set(readings.journal_lag);
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to memory cannot fail");
        text
    }
}

impl CoreMetrics {
    /// Counts a request for no product.
    pub(crate) fn count_own(&self, status: u16, code: &'static str) {
        let labels = ByStatus { worker: self.worker, product: String::new(), status, code };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn count(&self, product: &ProductId, status: u16, code: &'static str, micros: u32) {
        let mut counters = self.counters.borrow_mut();
        if !counters.contains_key(product) {
            let labels = ByProduct { worker: self.worker, product: product.to_string() };
            let latency = self.latency.get_or_create(&labels).clone();
            counters.insert(product.clone(), PerProduct { latency, statuses: Vec::new() });
        }
        let Some(of) = counters.get_mut(product) else { return };
        of.latency.observe(f64::from(micros) / 1e6);
        if let Some((.., counter)) = of.statuses.iter().find(|(s, c, _)| *s == status && *c == code)
        {
            counter.inc();
            return;
        }
        let product = product.to_string();
        let labels = ByStatus { worker: self.worker, product, status, code };
        let counter = self.requests.get_or_create(&labels).clone();
        counter.inc();
        of.statuses.push((status, code, counter));
    }
}
