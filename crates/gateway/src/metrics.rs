//! Numbers for Prometheus. Each core counts for itself behind a lock that nobody else wants but a scrape.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::ProductId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS: [u32; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000, 15_000_000, 30_000_000,
];
/// Different (operation, status, code) counted per product and core; further ones count under no operation.
const SERIES_MAX: usize = 4096;

/// Names of [`Cached`], in its order.
const CACHED: [&str; 3] = ["hit", "miss", "bypass"];

/// What the cache did for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    Hit,
    Miss,
    Bypass,
}

/// What happened to a request for a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub operation: OperationKey,
    pub status: u16,
    /// Code of a refusal or failure, else empty.
    pub code: &'static str,
}

#[derive(Default)]
pub(crate) struct Metrics {
    cores: Mutex<Vec<Arc<CoreMetrics>>>,
}

/// Values that are read when somebody asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    pub connections: i64,
    pub keys: i64,
    pub applied: i64,
    pub log_dropped: i64,
    pub spans_dropped: u64,
    pub journal_lag: i64,
    pub cache_bytes: i64,
    /// Product and target, and whether it is given calls.
    pub upstreams: BTreeMap<(String, String), bool>,
}

/// One core's counters.
#[derive(Default)]
pub(crate) struct CoreMetrics(Mutex<Counters>);

#[derive(Default)]
struct Counters {
    /// By the product's index.
    products: Vec<Option<OfProduct>>,
    own: HashMap<(u16, &'static str), u64>,
    /// By product and operation.
    violations: BTreeMap<(String, String), u64>,
    cached: BTreeMap<ProductId, [u64; CACHED.len()]>,
    accepted: u64,
    retried: u64,
    never_sent: u64,
}

struct OfProduct {
    id: ProductId,
    latency: Latency,
    series: Vec<Series>,
    places: HashMap<Outcome, usize>,
    /// Place of the latest outcome, which is mostly the next one too.
    latest: usize,
}

struct Series {
    outcome: Outcome,
    /// `METHOD /path`, or empty.
    operation: Box<str>,
    count: u64,
}

#[derive(Clone, Copy, Default)]
struct Latency {
    counts: [u64; BUCKETS.len() + 1],
    sum_micros: u64,
}

/// What a scrape shows: the sums of all cores.
#[derive(Default)]
struct Sums {
    requests: BTreeMap<Labels, u64>,
    latency: BTreeMap<String, Latency>,
    violations: BTreeMap<(String, String), u64>,
    cached: BTreeMap<ProductId, [u64; CACHED.len()]>,
    accepted: Vec<u64>,
    retried: u64,
    never_sent: u64,
    readings: Readings,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    product: String,
    operation: String,
    status: u16,
    code: &'static str,
}

impl Cached {
    pub(crate) fn as_str(self) -> &'static str {
        CACHED[self as usize]
    }
}

impl CoreMetrics {
    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request for no product.
    pub(crate) fn count_own(&self, status: u16, code: &'static str) {
        *self.lock().own.entry((status, code)).or_insert(0) += 1;
    }

    /// Counts a request for a product; `operation` is the outcome's operation as text.
    pub(crate) fn count(
        &self,
        product: (u32, &ProductId),
        outcome: Outcome,
        operation: &str,
        micros: u32,
    ) {
        let (index, id) = (product.0 as usize, product.1);
        let mut counters = self.lock();
        if counters.products.len() <= index {
            counters.products.resize_with(index + 1, || None);
        }
        let of = counters.products[index].get_or_insert_with(|| OfProduct {
            id: id.clone(),
            latency: Latency::default(),
            series: Vec::new(),
            places: HashMap::new(),
            latest: 0,
        });
        of.latency.observe(micros);
        of.count(outcome, operation);
    }

    /// A request was against the document.
    pub(crate) fn violation(&self, product: &ProductId, operation: &str) {
        let labels = (product.to_string(), operation.to_owned());
        *self.lock().violations.entry(labels).or_insert(0) += 1;
    }

    /// Counts a call of a product whose answers are kept.
    pub(crate) fn cached(&self, product: &ProductId, result: Cached) {
        let mut counters = self.lock();
        if let Some(counts) = counters.cached.get_mut(product) {
            counts[result as usize] += 1;
            return;
        }
        let counts = counters.cached.entry(product.clone()).or_default();
        counts[result as usize] += 1;
    }

    pub(crate) fn accepted(&self) {
        self.lock().accepted += 1;
    }

    /// A call of the ledger was sent so often, which is mostly once and then need not be told.
    pub(crate) fn sends(&self, sends: u32) {
        let mut counters = self.lock();
        match sends.checked_sub(1) {
            Some(more) => counters.retried += u64::from(more),
            None => counters.never_sent += 1,
        }
    }
}

impl OfProduct {
    fn count(&mut self, outcome: Outcome, operation: &str) {
        if let Some(series) = self.series.get_mut(self.latest)
            && series.outcome == outcome
        {
            series.count += 1;
            return;
        }
        if let Some(place) = self.places.get(&outcome) {
            self.latest = *place;
            self.series[*place].count += 1;
            return;
        }
        if self.series.len() >= SERIES_MAX && outcome.operation != OperationKey::NONE {
            return self.count(Outcome { operation: OperationKey::NONE, ..outcome }, "");
        }
        self.latest = self.series.len();
        self.places.insert(outcome, self.latest);
        self.series.push(Series { outcome, operation: operation.into(), count: 1 });
    }
}

impl Latency {
    fn observe(&mut self, micros: u32) {
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        self.counts[bucket] += 1;
        self.sum_micros += u64::from(micros);
    }

    fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.sum_micros += other.sum_micros;
    }
}

impl Metrics {
    pub(crate) fn core(&self) -> Arc<CoreMetrics> {
        let core = Arc::new(CoreMetrics::default());
        self.cores.lock().unwrap_or_else(PoisonError::into_inner).push(core.clone());
        core
    }

    pub(crate) fn text(&self, readings: Readings) -> String {
        let mut sums = Sums { readings, ..Sums::default() };
        for core in self.cores.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sums.add(&core.lock());
        }
        let mut registry = Registry::with_prefix("keytoll_gateway");
        registry.register_collector(Box::new(sums));
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to memory cannot fail");
        text
    }
}

impl Sums {
    fn add(&mut self, core: &Counters) {
        for of in core.products.iter().flatten() {
            let product = of.id.to_string();
            self.latency.entry(product.clone()).or_default().add(&of.latency);
            for series in &of.series {
                let labels = Labels {
                    product: product.clone(),
                    operation: series.operation.to_string(),
                    status: series.outcome.status,
                    code: series.outcome.code,
                };
                *self.requests.entry(labels).or_insert(0) += series.count;
            }
        }
        for ((status, code), count) in &core.own {
            let (product, operation) = (String::new(), String::new());
            let labels = Labels { product, operation, status: *status, code };
            *self.requests.entry(labels).or_insert(0) += count;
        }
        for (labels, count) in &core.violations {
            *self.violations.entry(labels.clone()).or_insert(0) += count;
        }
        for (product, counts) in &core.cached {
            let sums = self.cached.entry(product.clone()).or_default();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        self.accepted.push(core.accepted);
        self.retried += core.retried;
        self.never_sent += core.never_sent;
    }
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sums(…)")
    }
}

impl Collector for Sums {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests by product, operation, status and refusal code";
        let mut family = out.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (labels, count) in &self.requests {
            let labels = [
                ("product", labels.product.as_str()),
                ("operation", labels.operation.as_str()),
                ("status", &labels.status.to_string()),
                ("code", labels.code),
            ];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Time from a request to its answer's head";
        let kind = MetricType::Histogram;
        let mut family = out.encode_descriptor("latency_seconds", help, None, kind)?;
        for (product, latency) in &self.latency {
            let bounds = BUCKETS.iter().map(|micros| f64::from(*micros) / 1e6);
            let buckets: Vec<(f64, u64)> = bounds.chain([f64::MAX]).zip(latency.counts).collect();
            let labels = [("product", product.as_str())];
            #[expect(clippy::cast_precision_loss, reason = "sums of seconds need no more")]
            let sum = latency.sum_micros as f64 / 1e6;
            let count = latency.counts.iter().sum();
            let mut encoder = family.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        let help = "Requests that are against the document of their product";
        let kind = MetricType::Counter;
        let mut family = out.encode_descriptor("validation_failures", help, None, kind)?;
        for ((product, operation), count) in &self.violations {
            let labels = [("product", product.as_str()), ("operation", operation.as_str())];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Calls of products that keep answers, by what the cache did";
        let mut family = out.encode_descriptor("cache_calls", help, None, kind)?;
        for (product, counts) in &self.cached {
            for (result, count) in CACHED.iter().zip(counts) {
                let labels = [("product", product.as_str()), ("result", *result)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Client connections accepted, by worker";
        let mut family = out.encode_descriptor("accepted", help, None, MetricType::Counter)?;
        for (worker, count) in self.accepted.iter().enumerate() {
            let labels = [("worker", worker.to_string())];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, count) in [
            ("upstream_retries", "Calls sent to an upstream once more", self.retried),
            ("never_sent", "Calls in the ledger that no upstream saw", self.never_sent),
            (
                "spans_dropped",
                "Spans that did not reach the collector",
                self.readings.spans_dropped,
            ),
        ] {
            let encoder = out.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(encoder)?;
        }
        let now = &self.readings;
        let help = "Whether a watched target of a product is given calls";
        let mut family = out.encode_descriptor("upstream_up", help, None, MetricType::Gauge)?;
        for ((product, target), up) in &now.upstreams {
            let labels = [("product", product.as_str()), ("target", target.as_str())];
            ConstGauge::new(i64::from(*up)).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, value) in [
            ("connections", "Open client connections", now.connections),
            ("keys", "Keys in the table", now.keys),
            ("feed_sequence", "Last change applied", now.applied),
            ("access_log_dropped", "Lines that did not fit the queue", now.log_dropped),
            ("journal_lag_seals", "Seals not yet taken by the store", now.journal_lag),
            ("cache_bytes", "Memory that kept answers take", now.cache_bytes),
        ] {
            let encoder = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(encoder)?;
        }
        Ok(())
    }
}
