//! A gateway of one worker serves one client, call after call, under the whole policy.
//!
//!     keytoll-guard KIND CALLS      KIND: decision, granted, wide, refused, keyless, verify or auth
//!
//! Made for callgrind, which counts the instructions of each thread: the difference between two lengths of this
//! run is what a call costs the busiest thread in user space, which is the gateway's worker (for `decision`, the only
//! one). The clock moves with the calls, so that every run does the same work. `bench/instructions.sh` runs it and
//! compares with what is allowed.

mod decision;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keytoll_domain::catalog::{
    Operation, Plan, Product, ProductSettings, ProductStatus, Quota, WindowLimits,
};
use keytoll_domain::feed::{Change, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, PartnerId, Slug, SubscriptionId, TokenId};
use keytoll_domain::key::{Environment, KeyHash, KeyWindows};
use keytoll_domain::ledger::SealedBatch;
use keytoll_domain::period::Anchor;
use keytoll_domain::rating::{Overage, PlanPrice};
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::{StaffRole, Token, TokenRole};
use keytoll_gateway::ports::{BoxFuture, KeySource, KeyUpgrade, PortError, Taken, UsageSink};
use keytoll_gateway::{AccessLog, Options};

const START: Timestamp = Timestamp(1_795_262_400_000_000);
const MICROS_PER_CALL: i64 = 100;
const KEYS: u16 = 256;
const OPERATIONS: usize = 10_000;
const BODY_BYTES: usize = 1024;
/// Ends the upstream's body, so that the client knows an answer's end without reading its head.
const BODY_END: &[u8] = b"#end-of-answer\n";
const PATIENCE: Duration = Duration::from_mins(1);
/// Of the one who asks about other people's calls; as long as real ones.
const TOKEN: &str = "kt_guard_ttttttttttttttttttttttttttttttttttttt";
const HEAD_END: &[u8] = b"\r\n\r\n";

#[derive(Clone, Copy)]
enum Kind {
    Granted,
    /// Of a product with [`OPERATIONS`] operations.
    Wide,
    Refused,
    Keyless,
    /// `POST /v1/keys/verify`, granted.
    Verify,
    /// `GET /v1/auth/{product}`, granted.
    Auth,
}

struct Records {
    snapshot: Snapshot,
    keys: Vec<SnapshotKey>,
}

impl KeySource for Records {
    fn snapshot<'a>(&'a self, _node: &'a str) -> BoxFuture<'a, Result<Snapshot, PortError>> {
        Box::pin(async { Ok(self.snapshot.clone()) })
    }

    fn keys(&self, after: Option<KeyId>) -> BoxFuture<'_, Result<Vec<SnapshotKey>, PortError>> {
        Box::pin(async move { Ok(if after.is_none() { self.keys.clone() } else { Vec::new() }) })
    }

    fn changes(&self, _after: u64, _limit: usize) -> BoxFuture<'_, Result<Vec<Change>, PortError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn applied<'a>(&'a self, _node: &'a str, _seq: u64) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl KeyUpgrade for Records {
    fn upgrade(&self, _key: KeyId, _digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>> {
        Box::pin(async { Ok(false) })
    }
}

struct Sink;

impl UsageSink for Sink {
    fn take(&self, _batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>> {
        Box::pin(async { Ok(Taken::Applied) })
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let calls = arguments.next().and_then(|text| text.parse().ok()).expect("how many calls?");
    match kind.as_str() {
        "decision" => decision::run(calls),
        "granted" => serve(calls, Kind::Granted),
        "wide" => serve(calls, Kind::Wide),
        "refused" => serve(calls, Kind::Refused),
        "keyless" => serve(calls, Kind::Keyless),
        "verify" => serve(calls, Kind::Verify),
        "auth" => serve(calls, Kind::Auth),
        other => panic!("no such kind: {other}"),
    }
}

fn serve(calls: usize, kind: Kind) {
    let data = std::env::temp_dir().join(format!("keytoll-instructions-{}", std::process::id()));
    let micros = Arc::new(AtomicI64::new(START.0));
    let hands = micros.clone();
    let mut options = Options::new(([127, 0, 0, 1], 0).into(), data.clone(), "here");
    options.workers = 1;
    options.access_log = AccessLog::File(data.join("access.log"));
    options.journal.segment_bytes = Some(64 << 20);
    let records = Arc::new(Records {
        snapshot: snapshot(start_upstream(), kind),
        keys: (0..KEYS).map(key).collect(),
    });
    let clock = Arc::new(move || Timestamp(hands.load(Ordering::Relaxed)));
    let gateway = keytoll_gateway::start(options, records, Arc::new(Sink), clock)
        .expect("the gateway starts");
    call_many(gateway.addr(), calls, kind, &micros);
    gateway.shutdown(PATIENCE);
    std::fs::remove_dir_all(&data).expect("the data folder is ours");
}

fn secret(number: u16) -> String {
    format!("sk_live_{number:08x}{}", "k".repeat(35))
}

fn slug(text: &str) -> Slug {
    Slug::new(text).expect("a slug")
}

/// The request of one key, as clients send it and, for verification, as a gateway does that asks us.
fn request(kind: Kind, number: u16) -> Vec<u8> {
    let number = if matches!(kind, Kind::Refused) { number + KEYS } else { number };
    let key = secret(number);
    let call = |product: &str| {
        format!(
            "GET /{product}/parcels/{number} HTTP/1.1\r\nHost: api.example\r\nUser-Agent: instructions/1\r\n\
             Accept: application/json\r\nAccept-Encoding: gzip, br\r\nX-Api-Key: {key}\r\n\r\n"
        )
    };
    let request = match kind {
        Kind::Granted | Kind::Wide | Kind::Refused => call("parcels"),
        Kind::Keyless => call("open"),
        Kind::Verify => {
            let question = format!(
                "{{\"key\":\"{key}\",\"product\":\"parcels\",\"operation\":\"GET /parcels/{{id}}\"}}"
            );
            format!(
                "POST /v1/keys/verify HTTP/1.1\r\nHost: api.example\r\nX-Keytoll-Auth: {TOKEN}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{question}",
                question.len()
            )
        }
        Kind::Auth => format!(
            "GET /v1/auth/parcels/parcels/{number} HTTP/1.1\r\nHost: api.example\r\nX-Keytoll-Auth: {TOKEN}\r\n\
             X-Api-Key: {key}\r\n\r\n"
        ),
    };
    request.into_bytes()
}

fn call_many(gateway: SocketAddr, calls: usize, kind: Kind, micros: &AtomicI64) {
    let requests: Vec<Vec<u8>> = (0..KEYS).map(|number| request(kind, number)).collect();
    let (status, end): (&[u8], &[u8]) = match kind {
        Kind::Granted | Kind::Wide | Kind::Keyless => (b"HTTP/1.1 200", BODY_END),
        Kind::Refused => (b"HTTP/1.1 401", b"}"),
        Kind::Verify => (b"HTTP/1.1 200", b"]}"),
        Kind::Auth => (b"HTTP/1.1 200", HEAD_END),
    };
    let mut stream = TcpStream::connect(gateway).expect("the gateway listens");
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut answer = [0; 8192];
    for request in requests.iter().cycle().take(calls) {
        micros.fetch_add(MICROS_PER_CALL, Ordering::Relaxed);
        stream.write_all(request).expect("the gateway reads");
        let mut filled = 0;
        while !answer[..filled].ends_with(end) {
            let read = stream.read(&mut answer[filled..]).expect("the gateway answers");
            assert!(read > 0, "the gateway closed: {}", answer[..filled].escape_ascii());
            filled += read;
        }
        assert!(answer.starts_with(status), "{}", answer[..filled].escape_ascii());
    }
}

/// Answers every request head with the same bytes.
fn start_upstream() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + BODY_BYTES - BODY_END.len(), b'.');
    answer.extend_from_slice(BODY_END);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer_all(stream, &answer);
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.set_nodelay(true);
    let mut head = [0; 8192];
    let mut filled = 0;
    while let Ok(read) = stream.read(&mut head[filled..]) {
        if read == 0 {
            return;
        }
        filled += read;
        if head[..filled].ends_with(HEAD_END) {
            filled = 0;
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

fn snapshot(upstream: SocketAddr, kind: Kind) -> Snapshot {
    let more = if matches!(kind, Kind::Wide) { OPERATIONS } else { 0 };
    let product = |id: &str, settings: ProductSettings| Product {
        id: slug(id),
        name: id.into(),
        description: String::new(),
        version: "1".into(),
        status: ProductStatus::Active,
        category: None,
        tags: Vec::new(),
        upstream: Some(format!("http://{upstream}/base")),
        sandbox: None,
        targets: Vec::new(),
        sandbox_targets: Vec::new(),
        settings,
        operations: operations(more),
        versions: Vec::new(),
        created_at: START,
        updated_at: START,
    };
    let open = ProductSettings { key_from: Vec::new(), ..ProductSettings::default() };
    let plan = Plan {
        slug: slug("basic"),
        version: 1,
        name: "Basic".into(),
        description: String::new(),
        products: vec![slug("parcels")],
        operations: None,
        limits: WindowLimits {
            second: Some(100_000),
            minute: Some(6_000_000),
            ..WindowLimits::default()
        },
        quota: Some(Quota { units: 1_000_000_000, hard: true }),
        concurrency: None,
        spend_cap_minor: None,
        price: PlanPrice {
            currency: "USD".parse().expect("a currency"),
            price_monthly: "0".parse().expect("an amount"),
            included_calls: 0,
            overage_per_1000: None,
            overage: Overage::ProRata,
        },
        key_format: None,
        key_grouping: None,
        default_expiry_days: None,
        rotate_on_same_name: None,
        published_at: START,
    };
    Snapshot {
        products: vec![product("parcels", ProductSettings::default()), product("open", open)],
        plans: vec![plan],
        subscriptions: vec![Subscription {
            id: SubscriptionId::from_bytes([1; 16]),
            partner: PartnerId::from_bytes([1; 16]),
            plan: slug("basic"),
            plan_version: 1,
            status: SubscriptionStatus::Active,
            anchor: Anchor::Calendar,
            started_at: START,
            ended_at: None,
            overrides: Overrides::default(),
        }],
        tokens: vec![Token {
            id: TokenId::from_bytes([1; 16]),
            name: "guard".into(),
            hash: KeyHash::of(TOKEN.as_bytes()),
            role: TokenRole::Staff(StaffRole::Verifier),
            created_by: None,
            created_at: START,
            revoked_at: None,
        }],
        key_count: KEYS.into(),
        ..Snapshot::default()
    }
}

fn key(number: u16) -> SnapshotKey {
    SnapshotKey {
        id: KeyId::from_bytes((1 + u128::from(number)).to_be_bytes()),
        partner: PartnerId::from_bytes([1; 16]),
        subscription: SubscriptionId::from_bytes([1; 16]),
        hash: KeyHash::of(secret(number).as_bytes()),
        environment: Environment::Live,
        scopes: Arc::new(["parcels:read".into()]),
        products: None,
        rate_limit_per_minute: None,
        windows: KeyWindows::default(),
        allowed_ips: Vec::new(),
        expires_at: None,
        disabled: false,
        bcrypt: None,
    }
}

/// Three, and so many more beside and below them.
fn operations(more: usize) -> Vec<Operation> {
    let mut operations: Vec<Operation> =
        ["/parcels", "/parcels/{id}", "/labels"].map(operation).into();
    operations.extend((0..more).map(|number| match number % 3 {
        0 => operation(&format!("/parcels/kind-{number}")),
        1 => operation(&format!("/parcels/{{id}}/part-{number}")),
        _ => operation(&format!("/area-{number}/{{id}}")),
    }));
    operations
}

fn operation(path: &str) -> Operation {
    Operation {
        method: "GET".into(),
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
