//! A gateway with in-memory ports, an upstream that records what it sees, and a client that speaks raw HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use keytoll_apispec::Validators;
use keytoll_domain::catalog::{Operation, Plan, Product, ProductSettings, WindowLimits};
use keytoll_domain::feed::{Change, Changed, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, PartnerId, Slug, SubscriptionId, TokenId};
use keytoll_domain::key::{Environment, Key, KeyHash, KeyWindows};
use keytoll_domain::ledger::SealedBatch;
use keytoll_domain::money::Currency;
use keytoll_domain::period::Anchor;
use keytoll_domain::rating::{Overage, PlanPrice};
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::{StaffRole, Token, TokenRole};
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;

use crate::ports::{BoxFuture, KeySource, KeyUpgrade, PortError, Taken, UsageSink};
use crate::{Handle, Options, start};

pub(super) const KEY: &str = "secret-of-alice";
pub(super) const TOKEN: &str = "token-of-a-verifier";
/// 2026-11-21T12:00:00Z
pub(crate) const NOON: i64 = 1_795_262_400_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a request needs from the start of the gateway to its checks.
const DOCUMENT_READING: Duration = Duration::from_millis(300);

/// A clock that moves only when told to.
#[derive(Clone)]
pub(super) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOON)))
    }

    pub(super) fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis * 1000, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
pub(super) struct Records {
    /// The OpenAPI documents that there are, by version; `None` = the default one.
    pub documents: Mutex<BTreeMap<Option<String>, String>>,
    /// How long it takes to read one.
    pub reading: Duration,
    pub validators_given: AtomicU32,
    pub snapshot: Mutex<Snapshot>,
    keys: Vec<Key>,
    changes: Mutex<Vec<Change>>,
    woken: Notify,
    applied: Mutex<u64>,
    applied_more: Condvar,
}

impl Records {
    /// Appends a change and waits until the gateway says that every core sees it.
    pub(super) fn change(&self, record: Changed) {
        let sequence = {
            let mut changes = self.changes.lock().unwrap();
            let sequence = changes.len() as u64 + 1;
            changes.push(Change { sequence, record });
            sequence
        };
        self.woken.notify_one();
        let applied = self.applied.lock().unwrap();
        let waited =
            self.applied_more.wait_timeout_while(applied, PATIENCE, |applied| *applied < sequence);
        assert!(!waited.unwrap().1.timed_out(), "the change was not applied");
    }
}

impl KeyUpgrade for Records {
    fn upgrade(&self, _key: KeyId, _digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>> {
        Box::pin(async { Ok(true) })
    }
}

impl KeySource for Records {
    fn snapshot<'a>(&'a self, _node: &'a str) -> BoxFuture<'a, Result<Snapshot, PortError>> {
        Box::pin(async { Ok(self.snapshot.lock().unwrap().clone()) })
    }

    fn keys(&self, after: Option<KeyId>) -> BoxFuture<'_, Result<Vec<SnapshotKey>, PortError>> {
        Box::pin(async move {
            let mut keys = self.keys.clone();
            keys.sort_by_key(|key| key.id);
            let rest = keys.into_iter().filter(|key| after.is_none_or(|after| key.id > after));
            Ok(rest.take(2).map(SnapshotKey::from).collect())
        })
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, PortError>> {
        Box::pin(async move {
            let changes = self.changes.lock().unwrap();
            let skip = usize::try_from(after).unwrap();
            Ok(changes.iter().skip(skip).take(limit).cloned().collect())
        })
    }

    fn applied<'a>(
        &'a self,
        _node: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            *self.applied.lock().unwrap() = sequence;
            self.applied_more.notify_all();
            Ok(())
        })
    }

    fn validators<'a>(
        &'a self,
        _product: &'a Slug,
        version: Option<&'a str>,
        operations: Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<Option<Arc<Validators>>, PortError>> {
        Box::pin(async move {
            tokio::time::sleep(self.reading).await;
            let text = self.documents.lock().unwrap().get(&version.map(str::to_owned)).cloned();
            let text = text.ok_or_else(|| PortError::Unavailable("no document yet".into()))?;
            let document = keytoll_apispec::load(text.as_bytes(), None).unwrap();
            let pairs = operations.iter().map(|(method, path)| (method.as_str(), path.as_str()));
            let validators = Validators::compile(&document, pairs);
            self.validators_given.fetch_add(1, Ordering::SeqCst);
            Ok(Some(Arc::new(validators)))
        })
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.woken.notified())
    }
}

/// What reached the ledger.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Vec<SealedBatch>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub calls: u64,
    pub successes: u64,
    pub units: u64,
}

impl Ledger {
    pub(super) fn sums(&self, environment: Environment) -> Sums {
        let mut sums = Sums::default();
        for batch in self.0.lock().unwrap().iter() {
            for row in batch.usage.iter().filter(|row| row.environment == environment) {
                sums.calls += row.calls;
                sums.successes += row.successes;
                sums.units += row.units;
            }
        }
        sums
    }

    pub(super) fn refused(&self, code: &str) -> u64 {
        let batches = self.0.lock().unwrap();
        let rows = batches.iter().flat_map(|batch| &batch.refused);
        rows.filter(|row| row.code == code).map(|row| row.count).sum()
    }
}

impl UsageSink for Ledger {
    fn take(&self, batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>> {
        Box::pin(async move {
            self.0.lock().unwrap().push((*batch).clone());
            Ok(Taken::Applied)
        })
    }
}

/// What a test changes of the usual set-up: product `zoo` with a few operations, plan `basic`, one live key.
pub(super) struct Setup {
    pub settings: ProductSettings,
    pub plan: Plan,
    pub overrides: Overrides,
    pub keys: Vec<Key>,
    pub upstream: Option<String>,
    pub sandbox: Option<String>,
    /// By version.
    pub documents: BTreeMap<Option<String>, String>,
    /// The last word on the product.
    pub product: Box<dyn FnOnce(&mut Product)>,
    pub options: Box<dyn FnOnce(&mut Options)>,
    pub hands: Hands,
    pub data: Option<PathBuf>,
}

pub(super) struct World {
    pub gateway: Option<Handle>,
    pub addr: SocketAddr,
    pub records: Arc<Records>,
    pub ledger: Arc<Ledger>,
    pub hands: Hands,
    pub data: PathBuf,
    keep_data: bool,
}

pub(super) fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

pub(super) fn subscription_id() -> SubscriptionId {
    SubscriptionId::from_bytes([1; 16])
}

/// A live key of the usual subscription, without limits of its own.
pub(crate) fn key(number: u8, secret: &str) -> Key {
    Key {
        id: KeyId::from_bytes([number; 16]),
        partner: PartnerId::from_bytes([1; 16]),
        subscription: subscription_id(),
        name: "test".into(),
        hash: KeyHash::of(secret.as_bytes()),
        prefix: "secret".into(),
        environment: Environment::Live,
        scopes: vec!["*".into()],
        products: None,
        rate_limit_per_minute: None,
        windows: KeyWindows::default(),
        allowed_ips: Vec::new(),
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
        created_at: Timestamp(NOON),
        imported: false,
    }
}

pub(crate) fn plan() -> Plan {
    Plan {
        slug: slug("basic"),
        version: 1,
        name: "Basic".into(),
        description: String::new(),
        products: vec![slug("zoo")],
        operations: None,
        limits: WindowLimits::default(),
        quota: None,
        concurrency: None,
        spend_cap_minor: None,
        price: PlanPrice {
            currency: "USD".parse::<Currency>().unwrap(),
            price_monthly: "0".parse().unwrap(),
            included_calls: 0,
            overage_per_1000: None,
            overage: Overage::ProRata,
        },
        key_format: None,
        key_grouping: None,
        default_expiry_days: None,
        rotate_on_same_name: None,
        published_at: Timestamp(NOON),
    }
}

pub(crate) fn subscription() -> Subscription {
    Subscription {
        id: subscription_id(),
        partner: PartnerId::from_bytes([1; 16]),
        plan: slug("basic"),
        plan_version: 1,
        status: SubscriptionStatus::Active,
        anchor: Anchor::Calendar,
        started_at: Timestamp(NOON),
        ended_at: None,
        overrides: Overrides::default(),
    }
}

pub(super) fn operation(method: &str, path: &str) -> Operation {
    Operation {
        method: method.into(),
        path: path.into(),
        operation_id: None,
        summary: String::new(),
        tags: Vec::new(),
        deprecated: false,
        scopes: Vec::new(),
        units: 1,
        max_units: None,
        deprecation: None,
    }
}

impl Setup {
    pub(super) fn new(upstream: &Upstream) -> Self {
        let plan = plan();
        Self {
            settings: ProductSettings::default(),
            plan,
            overrides: Overrides::default(),
            keys: vec![key(7, KEY)],
            upstream: Some(format!("http://{}/base", upstream.addr)),
            sandbox: None,
            documents: BTreeMap::new(),
            product: Box::new(|_| {}),
            options: Box::new(|_| {}),
            hands: Hands::new(),
            data: None,
        }
    }

    pub(super) fn start(self) -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut product = Product {
            id: slug("zoo"),
            name: "Zoo".into(),
            description: String::new(),
            version: "1".into(),
            status: keytoll_domain::catalog::ProductStatus::Active,
            category: None,
            tags: Vec::new(),
            upstream: self.upstream,
            sandbox: self.sandbox,
            targets: Vec::new(),
            sandbox_targets: Vec::new(),
            settings: self.settings,
            operations: operations(),
            versions: Vec::new(),
            created_at: Timestamp(NOON),
            updated_at: Timestamp(NOON),
        };
        (self.product)(&mut product);
        let snapshot = Snapshot {
            products: vec![product],
            plans: vec![self.plan],
            subscriptions: vec![Subscription { overrides: self.overrides, ..subscription() }],
            tokens: vec![Token {
                id: TokenId::from_bytes([1; 16]),
                name: "verifier".into(),
                hash: KeyHash::of(TOKEN.as_bytes()),
                role: TokenRole::Staff(StaffRole::Verifier),
                created_by: None,
                created_at: Timestamp(NOON),
                revoked_at: None,
            }],
            ..Snapshot::default()
        };
        let records = Arc::new(Records {
            snapshot: Mutex::new(snapshot),
            keys: self.keys,
            documents: Mutex::new(self.documents),
            reading: DOCUMENT_READING,
            ..Records::default()
        });
        let ledger = Arc::new(Ledger::default());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let keep_data = self.data.is_some();
        let data = self.data.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("keytoll-gateway-{}-{number}", std::process::id()))
        });
        let mut options = Options::new(([127, 0, 0, 1], 0).into(), data.clone(), "here");
        options.workers = 2;
        options.journal.segment_bytes = Some(1 << 20);
        options.journal.fsync = Duration::from_millis(50);
        (self.options)(&mut options);
        let hands = self.hands.clone();
        let clock = Arc::new(move || hands.now());
        let gateway = start(options, records.clone(), ledger.clone(), clock).unwrap();
        let addr = gateway.addr();
        let hands = self.hands;
        World { gateway: Some(gateway), addr, records, ledger, hands, data, keep_data }
    }
}

fn operations() -> Vec<Operation> {
    let mut feed = operation("POST", "/animals/{id}/feed");
    feed.scopes = vec![vec!["zoo:feed".into()]];
    let mut herd = operation("GET", "/herd");
    herd.units = 3;
    let mut metered = operation("GET", "/metered");
    (metered.units, metered.max_units) = (2, Some(50));
    vec![
        operation("GET", "/animals"),
        operation("GET", "/animals/{id}"),
        operation("DELETE", "/animals/{id}"),
        operation("POST", "/animals"),
        operation("PUT", "/animals"),
        feed,
        herd,
        metered,
        operation("GET", "/pens"),
        operation("GET", "/pens/{id}"),
        operation("GET", "/pens/{id}/locks"),
    ]
}

impl World {
    pub(super) fn of(upstream: &Upstream) -> Self {
        Setup::new(upstream).start()
    }

    pub(super) fn gateway(&self) -> &Handle {
        self.gateway.as_ref().unwrap()
    }

    /// Another gateway on the same data, with listeners that are open already.
    pub(super) fn restart(&mut self, workers: usize, listeners: Vec<TcpListener>) {
        let mut options = Options::new(([127, 0, 0, 1], 0).into(), self.data.clone(), "here");
        options.workers = workers;
        options.journal.segment_bytes = Some(1 << 20);
        let hands = self.hands.clone();
        let clock = Arc::new(move || hands.now());
        let (records, ledger) = (self.records.clone(), self.ledger.clone());
        let gateway = crate::bind(options, listeners, records, ledger, clock).unwrap();
        gateway.open();
        self.gateway = Some(gateway);
    }

    pub(super) fn client(&self) -> Client {
        Client::to(self.addr)
    }

    /// One call on a connection of its own with further header lines.
    pub(super) fn call(&self, line: &str, fields: &str) -> Answer {
        self.client().call(&format!("{line} HTTP/1.1\r\nHost: api.example\r\n{fields}\r\n"))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), &format!("Authorization: Bearer {KEY}\r\n"))
    }

    /// Client connections that the gateway holds.
    pub(super) fn connections(&self) -> u32 {
        let text = self.gateway().metrics_text();
        let line = text.lines().find_map(|line| line.strip_prefix("keytoll_gateway_connections "));
        line.expect("the gauge").parse().unwrap()
    }

    pub(super) fn sums(&self) -> Sums {
        assert!(self.gateway().settle(PATIENCE), "the ledger did not take everything");
        self.ledger.sums(Environment::Live)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown(Duration::from_secs(5));
        }
        if !self.keep_data {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// A raw connection that reads whole answers.
pub(super) struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Client {
    pub(super) fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Another end of the same connection, for writing beside reading.
    pub(super) fn over(other: &Self) -> Self {
        Self { stream: other.stream.try_clone().unwrap(), buffer: Vec::new() }
    }

    /// An answer's head alone, for answers that have no body whatever their fields say.
    pub(super) fn head(&mut self) -> Answer {
        let head = next_head(self).expect("a head");
        let (status, headers) = parse_head(head.as_bytes());
        Answer { status, headers, body: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn call(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer().expect("an answer")
    }

    /// `None` when the connection ends before a head.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let head = next_head(self)?;
        let (status, headers) = parse_head(head.as_bytes());
        let body = match (headers.get("content-length"), headers.get("transfer-encoding")) {
            (Some(length), _) => self.take(length.parse().unwrap()),
            (None, Some(_)) => self.chunked(),
            (None, None) => Vec::new(),
        };
        Some(Answer { status, headers, body })
    }

    pub(super) fn fill(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        let read = self.stream.read(&mut bytes).unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..read]);
        read
    }

    /// Drops what has been read already, at most this much; how much that was.
    pub(super) fn taken_ahead(&mut self, length: usize) -> usize {
        let here = length.min(self.buffer.len());
        self.buffer.drain(..here);
        here
    }

    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.fill() > 0 {}
        self.buffer.drain(..length.min(self.buffer.len())).collect()
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            assert!(self.fill() > 0, "the connection ended within a line");
        }
    }

    pub(super) fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            body.extend(self.take(size));
            self.line();
            if size == 0 {
                return body;
            }
        }
    }
}

/// Lets others work for a moment.
pub(super) fn pause(time: Duration) {
    let (_open, silent) = std::sync::mpsc::channel::<()>();
    let _ = silent.recv_timeout(time);
}

/// Waits for what happens in another thread.
pub(super) fn eventually(what: &str, happened: impl Fn() -> bool) {
    const STEP: Duration = Duration::from_millis(5);
    let mut left = PATIENCE.as_millis() / STEP.as_millis();
    while !happened() {
        left -= 1;
        assert!(left > 0, "{what}");
        pause(STEP);
    }
}

/// An address where nobody listens: the port is held, so that no other test is given it.
pub(super) fn closed_port() -> (Socket, SocketAddr) {
    let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = held.local_addr().unwrap().as_socket().unwrap();
    (held, address)
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_head(head: &[u8]) -> (u16, BTreeMap<String, String>) {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields = lines.filter_map(|line| line.split_once(": "));
    (status, fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect())
}

/// An upstream: records each connection's bytes; a function decides what a request is answered with.
pub(super) struct Upstream {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
}

/// One request's head as the upstream saw it, and the connection it came on.
pub(super) struct Served<'a> {
    pub head: &'a str,
    pub client: &'a mut Client,
}

pub(super) enum Then {
    KeepOpen,
    Close,
}

impl Upstream {
    /// Answers everything with `200 {"ok":true}`.
    pub(super) fn new() -> Self {
        Self::with(|served| {
            read_body(served);
            served
                .client
                .send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Up: yes\r\n\r\n{\"ok\":true}");
            Then::KeepOpen
        })
    }

    pub(super) fn with(answer: impl Fn(&mut Served<'_>) -> Then + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub(super) fn on(
        listener: TcpListener,
        answer: impl Fn(&mut Served<'_>) -> Then + Send + Sync + 'static,
    ) -> Self {
        let addr = listener.local_addr().unwrap();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let connections = Arc::new(AtomicU32::new(0));
        let open = Arc::new(AtomicU32::new(0));
        let (all, count, alive) = (seen.clone(), connections.clone(), open.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer, alive) = (all.clone(), answer.clone(), alive.clone());
                count.fetch_add(1, Ordering::SeqCst);
                alive.fetch_add(1, Ordering::SeqCst);
                let mut client = Client { stream: stream.unwrap(), buffer: Vec::new() };
                std::thread::spawn(move || {
                    while let Some(head) = next_head(&mut client) {
                        seen.lock().unwrap().push(head.clone());
                        let mut served = Served { head: &head, client: &mut client };
                        if let Then::Close = answer(&mut served) {
                            break;
                        }
                    }
                    drop(client);
                    alive.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { addr, seen, connections, open }
    }

    /// The heads of all requests so far, names of fields in lower case.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|head| with_small_names(head)).collect()
    }

    pub(super) fn last(&self) -> String {
        self.seen().pop().expect("a request")
    }

    pub(super) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are served right now.
    pub(super) fn open(&self) -> u32 {
        self.open.load(Ordering::SeqCst)
    }
}

fn with_small_names(head: &str) -> String {
    let small = |line: &str| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
        None => line.to_owned(),
    };
    head.split("\r\n").map(small).collect::<Vec<_>>().join("\r\n")
}

fn next_head(client: &mut Client) -> Option<String> {
    loop {
        if let Some(at) = find(&client.buffer, b"\r\n\r\n") {
            let head: Vec<u8> = client.buffer.drain(..at + 4).collect();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if client.fill() == 0 {
            return None;
        }
    }
}

/// The whole body of a request, by its own framing.
pub(super) fn read_body(served: &mut Served<'_>) -> Vec<u8> {
    let head = served.head.to_lowercase();
    if head.contains("\r\ntransfer-encoding: chunked") {
        return served.client.chunked();
    }
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    served.client.take(length.map_or(0, |length| length.parse().unwrap()))
}
