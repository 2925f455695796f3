//! The process is killed under load, again and again, and no call is lost, doubled or given away.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use keytoll_tests::binary::{Server, export, text};
use keytoll_tests::catalog::{plan, sell};
use keytoll_tests::http::{Connection, Request};
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait;
use serde_json::{Value, json};

use crate::blackbox::first_sale::last_month_of;

const KILLS: usize = 10;
const ANSWERS_PER_ROUND: usize = 60;
const CLIENTS: usize = 2;
const QUOTA: usize = 150;
/// A window so long that it does not slide while the test runs, so that no timing decides.
const DAY_LIMIT: usize = 200;

/// What the clients of one partner saw and did.
#[derive(Debug, Default)]
struct Load {
    /// Request ids of the answers 200 that were received whole.
    answered: Mutex<Vec<String>>,
    /// Requests that were sent and got no answer, because the server died.
    unanswered: AtomicUsize,
    refused: AtomicUsize,
}

struct Partner {
    session: Session,
    subscription: Value,
    key_id: String,
    key: String,
    operation: &'static str,
    load: Arc<Load>,
}

impl Partner {
    /// Each partner calls an operation of its own, so that the upstream can tell them apart.
    fn new(server: &Server, plan: &str, operation: &'static str) -> Self {
        let email = format!("{plan}@example.test");
        let session = Session::sign_up(server.portal, &email, &format!("Example {plan}"));
        let subscription = session.subscribe(plan);
        let (key_id, key) = session.create_key(&["*"]);
        Self { session, subscription, key_id, key, operation, load: Arc::default() }
    }

    fn answered(&self) -> Vec<String> {
        self.load.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn in_flight_at_kills(&self) -> usize {
        self.load.unanswered.load(Ordering::SeqCst)
    }

    fn reached(&self, upstream: &Upstream) -> usize {
        let target = format!("/base{}", self.operation);
        upstream.seen().iter().filter(|seen| seen.target == target).count()
    }

    fn start_clients(&self, gateway: SocketAddr, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
        let target = format!("/items{}", self.operation);
        let request = Request::get(&target).bearer(&self.key);
        let start = |_| {
            let (request, load, stop) = (request.clone(), Arc::clone(&self.load), Arc::clone(stop));
            thread::spawn(move || call_until_killed(gateway, &request, &load, &stop))
        };
        (0..CLIENTS).map(start).collect()
    }
}

/// Calls over one connection until told to stop, or until the connection breaks: at a kill one request at
/// most is in flight. Were it to break earlier, the round would never have its answers.
fn call_until_killed(gateway: SocketAddr, request: &Request, load: &Load, stop: &AtomicBool) {
    let mut connection = Connection::open(gateway).expect("the server lives when a round begins");
    while !stop.load(Ordering::SeqCst) {
        match connection.exchange(request) {
            Ok(answer) if answer.status == 200 => {
                let id = answer.header("x-request-id").expect("an answer names its request");
                let mut answered = load.answered.lock().unwrap_or_else(PoisonError::into_inner);
                answered.push(id.to_owned());
            }
            Ok(answer) if answer.status == 429 => {
                load.refused.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => panic!("unexpected answer {}: {}", answer.status, answer.text()),
            Err(_) => {
                load.unanswered.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

#[test]
fn ten_kills_under_load_lose_double_and_give_away_nothing() {
    let upstream = Upstream::start();
    let plans = json!([
        plan("wide", &json!({"price_monthly": "0", "included_calls": 0, "overage_per_1000": "1"})),
        plan("daily", &json!({"limits": {"day": DAY_LIMIT}})),
        plan("capped", &json!({"quota": {"calls": QUOTA, "hard": true}})),
    ]);
    let mut server = sell(&upstream, &plans);
    let partners = [
        Partner::new(&server, "wide", "/items"),
        Partner::new(&server, "daily", "/items/1"),
        Partner::new(&server, "capped", "/other"),
    ];

    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = partners
            .iter()
            .flat_map(|partner| partner.start_clients(server.gateway, &stop))
            .collect();
        wait::until_true("the round's answers", || {
            partners[0].answered().len() >= kill * ANSWERS_PER_ROUND
        });
        server.kill();
        // A client that has not noticed by its broken connection is told.
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("a client ends");
        }
        server.run();
    }

    // All calls are over, and the last start has recovered the journal: this is the whole ledger.
    let rows = export(&server);
    for partner in &partners {
        check_ledger(partner, &rows, &upstream);
    }
    let [_, daily, capped] = &partners;
    for (partner, limit) in [(daily, DAY_LIMIT), (capped, QUOTA)] {
        check_limit(partner, limit, &rows, &upstream);
    }
    for partner in &partners {
        check_bill(&server, partner, &rows);
    }
    let verified = server.cli(&["ledger", "verify"]).ok();
    assert!(
        !verified.stdout.is_empty() || !verified.stderr.is_empty(),
        "verify says what it checked"
    );
    assert_eq!(export(&server).len(), rows.len(), "nothing was added without a call");
}

/// The rows of a partner's calls. Each partner has one key and one operation.
fn rows_of<'r>(partner: &Partner, rows: &'r [Value]) -> Vec<&'r Value> {
    rows.iter().filter(|row| row["key_id"] == partner.key_id.as_str()).collect()
}

fn units(rows: &[&Value]) -> usize {
    let units = rows.iter().map(|row| row["units"].as_u64().expect("a row has units"));
    usize::try_from(units.sum::<u64>()).expect("a small sum")
}

/// Every answer is in the ledger exactly once; what is there beside them was in flight at a kill and
/// reached the upstream.
fn check_ledger(partner: &Partner, rows: &[Value], upstream: &Upstream) {
    let name = partner.operation;
    let rows = rows_of(partner, rows);
    let mut times: HashMap<String, usize> = HashMap::new();
    for row in &rows {
        *times.entry(text(row, "request_id")).or_default() += 1;
    }
    let answered = partner.answered();
    for id in &answered {
        assert_eq!(times.get(id), Some(&1), "{name}: answer {id} in the ledger");
    }
    assert_eq!(times.len(), rows.len(), "{name}: a call is in the ledger twice");

    let in_flight = partner.in_flight_at_kills();
    let surplus = rows.len() - answered.len();
    assert!(surplus <= in_flight, "{name}: {surplus} calls beside answers, {in_flight} in flight");
    let charged = rows.iter().filter(|row| row["units"] != 0).count();
    let reached = partner.reached(upstream);
    assert!(charged <= reached, "{name}: {charged} calls charged, the upstream saw {reached}");
}

/// No window and no quota is exceeded, although the server started anew within it.
fn check_limit(partner: &Partner, limit: usize, rows: &[Value], upstream: &Upstream) {
    let name = partner.operation;
    assert!(partner.load.refused.load(Ordering::SeqCst) > 0, "{name}: the load reached the limit");
    let used = units(&rows_of(partner, rows));
    assert!(used <= limit, "{name}: {used} units in the ledger, the limit is {limit}");
    let most = limit + partner.in_flight_at_kills();
    let reached = partner.reached(upstream);
    assert!(reached <= most, "{name}: {reached} reached the upstream, at most {most} may");
}

/// The usage shows and the invoice bills what the ledger holds.
fn check_bill(server: &Server, partner: &Partner, rows: &[Value]) {
    let name = partner.operation;
    let rows = rows_of(partner, rows);
    wait::until_true("the usage to show all calls", || {
        let usage = partner.session.get("/api/v1/usage?days=30").expect(200).json();
        usage["totalCalls"] == rows.len()
    });
    let month = last_month_of(&text(&partner.subscription, "period_end"));
    server.cli_json(&["invoice", "run", "--period", &month]);
    let invoices = partner.session.get("/api/v1/invoices").expect(200).json();
    let id = text(&invoices["invoices"][0], "id");
    let invoice = partner.session.get(&format!("/api/v1/invoices/{id}")).expect(200).json();
    assert_eq!(invoice["units"], units(&rows), "{name}: billed units are the ledger's");
}
