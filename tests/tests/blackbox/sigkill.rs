//! The process is killed under load, again and again, and no call is lost, doubled or given away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use keytoll_tests::binary::{Server, text};
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
    /// Answers 200 that were received whole.
    answered: AtomicUsize,
    /// Requests that were sent and got no answer, because the server died.
    unanswered: AtomicUsize,
    refused: AtomicUsize,
}

struct Partner {
    session: Session,
    subscription: Value,
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
        let (_, key) = session.create_key(&["*"]);
        Self { session, subscription, key, operation, load: Arc::default() }
    }

    fn answered(&self) -> usize {
        self.load.answered.load(Ordering::SeqCst)
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
            thread::spawn(move || call_until_stopped(gateway, &request, &load, &stop))
        };
        (0..CLIENTS).map(start).collect()
    }
}

fn call_until_stopped(gateway: SocketAddr, request: &Request, load: &Load, stop: &AtomicBool) {
    let mut connection = None;
    while !stop.load(Ordering::SeqCst) {
        let Some(open) = connection.as_mut() else {
            connection = Connection::open(gateway).ok();
            continue;
        };
        let counter = match open.exchange(request) {
            Ok(answer) if answer.status == 200 => &load.answered,
            Ok(answer) if answer.status == 429 => &load.refused,
            Ok(answer) => panic!("unexpected answer {}: {}", answer.status, answer.text()),
            Err(_) => {
                connection = None;
                &load.unanswered
            }
        };
        counter.fetch_add(1, Ordering::SeqCst);
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
            partners[0].answered() >= kill * ANSWERS_PER_ROUND
        });
        server.kill();
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("a client ends");
        }
        server.run();
    }

    for partner in &partners {
        check_ledger(&server, partner, &upstream);
    }
    let [_, daily, capped] = &partners;
    assert!(daily.load.refused.load(Ordering::SeqCst) > 0, "the load reached the window");
    assert!(capped.load.refused.load(Ordering::SeqCst) > 0, "the load reached the quota");
    for (partner, limit) in [(daily, DAY_LIMIT), (capped, QUOTA)] {
        assert!(partner.answered() <= limit, "{} answers above {limit}", partner.answered());
        let most = limit + partner.in_flight_at_kills();
        assert!(partner.reached(&upstream) <= most, "a limit was given away at a restart");
    }
    let verified = server.cli(&["ledger", "verify"]).ok();
    assert!(
        !verified.stdout.is_empty() || !verified.stderr.is_empty(),
        "verify says what it checked"
    );
    check_export(&server, &partners);
}

fn check_ledger(server: &Server, partner: &Partner, upstream: &Upstream) {
    let name = partner.operation;
    let answered = partner.answered();
    let total = settled_total(&partner.session);
    assert!(
        total >= answered,
        "{name}: {answered} answers were received, {total} are in the ledger"
    );
    let surplus = total - answered;
    let in_flight = partner.in_flight_at_kills();
    assert!(
        surplus <= in_flight,
        "{name}: {surplus} calls too many, {in_flight} were in flight at kills"
    );
    let reached = partner.reached(upstream);
    assert!(total <= reached, "{name}: {total} calls in the ledger, the upstream saw {reached}");

    let month = last_month_of(&text(&partner.subscription, "period_end"));
    server.cli_json(&["invoice", "run", "--period", &month]);
    let invoices = partner.session.get("/api/v1/invoices").expect(200).json();
    let id = text(&invoices["invoices"][0], "id");
    let invoice = partner.session.get(&format!("/api/v1/invoices/{id}")).expect(200).json();
    assert_eq!(invoice["units"], total, "{name}: billed units are the ledger's");
}

/// The total once two looks in a row agree, as the last batch may still be on its way.
fn settled_total(session: &Session) -> usize {
    let mut last = None;
    wait::until("the usage to settle", || {
        for _ in 0..30 {
            wait::pause();
        }
        let usage = session.get("/api/v1/usage?days=30").expect(200).json();
        let total = usage["totalCalls"].as_u64().and_then(|total| usize::try_from(total).ok());
        let settled = last == Some(total) && total.is_some();
        last = Some(total);
        if settled { total } else { None }
    })
}

/// The sums of the export are those of the usage API.
fn check_export(server: &Server, partners: &[Partner]) {
    let range = ["--from", "2000-01-01", "--to", "2999-12-31"];
    let export = server.cli(&[&["usage", "export", "--format", "jsonl"][..], &range].concat()).ok();
    let rows: Vec<Value> = export
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an export line is JSON"))
        .collect();
    let sum = |member: &str| rows.iter().filter_map(|row| row[member].as_u64()).sum::<u64>();
    let total: usize = partners.iter().map(|partner| settled_total(&partner.session)).sum();
    assert_eq!(sum("calls"), total as u64);
    assert_eq!(sum("units"), total as u64);
}
