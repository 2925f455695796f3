//! One labelled sample of every page, hostile texts among them.

use keytoll_domain::key::PlainKey;
use keytoll_domain::time::{Day, Timestamp};
use keytoll_portal::pages::account::{Landing, LogIn, SignUp};
use keytoll_portal::pages::catalog::{
    Catalog, OperationGroup, OperationView, ParameterRow, ProductCard, ProductPage, ResponseRow,
};
use keytoll_portal::pages::dashboard::{Allowance, Dashboard, Usage};
use keytoll_portal::pages::error::ErrorPage;
use keytoll_portal::pages::invoices::{InvoiceLine, InvoicePage, InvoiceRow, Invoices};
use keytoll_portal::pages::key_forms::{KeyForm, KeyRevoked, NewKey, RevokeKey, RollKey};
use keytoll_portal::pages::keys::{
    CallRow, EndpointRow, KeyDetail, KeyList, KeyRow, ReceiptView, RecentCalls, Rolled,
    SecretShown, UsageSummary,
};
use keytoll_portal::pages::plans::{
    CancelSubscription, PlanTerms, Plans, Subscribe, SubscriptionRow, Subscriptions,
};
use keytoll_portal::pages::staff::{self, PartnerRow, ProductRow};
use keytoll_portal::ui::chart::DayBar;
use keytoll_portal::ui::form::Problems;
use keytoll_portal::ui::{Page, Shell, Theme, Viewer};

const HOSTILE: &str = "<script>alert('sample')</script>\" onmouseover=x";

/// Every page by name, rendered.
pub(crate) fn all(theme: Theme) -> Vec<(&'static str, String)> {
    let out = Shell { viewer: None, theme, here: "/".into() };
    let partner = shell(theme, false);
    let staff = shell(theme, true);
    let mut made = Vec::new();
    let mut add = |name: &'static str, shell: &Shell, page: &dyn Fn(&Shell) -> String| {
        made.push((name, page(shell)));
    };
    add("landing", &out, &|s| show(s, &Landing { products: 2 }));
    add("signup", &out, &|s| show(s, &SignUp::default()));
    add("signup-refused", &out, &|s| show(s, &signup_refused()));
    add("login", &out, &|s| show(s, &LogIn::default()));
    add("dashboard", &partner, &|s| show(s, &dashboard()));
    add("dashboard-empty", &partner, &|s| show(s, &dashboard_empty()));
    add("catalog", &partner, &|s| show(s, &catalog()));
    add("catalog-public", &out, &|s| show(s, &catalog()));
    add("catalog-empty", &partner, &|s| show(s, &Catalog::default()));
    add("product", &partner, &|s| show(s, &product()));
    add("plans", &partner, &|s| show(s, &Plans { plans: plans() }));
    add("subscribe", &partner, &|s| show(s, &subscribe()));
    add("subscriptions", &partner, &|s| show(s, &subscriptions()));
    add("subscription-cancel", &partner, &|s| show(s, &cancel()));
    add("keys", &partner, &|s| show(s, &keys()));
    add("keys-empty", &partner, &|s| {
        show(s, &KeyList { cap: 25, may_change: true, ..KeyList::default() })
    });
    add("key-new", &partner, &|s| show(s, &new_key(Problems::default())));
    add("key-new-refused", &partner, &|s| show(s, &new_key(key_problems())));
    add("key-created", &partner, &|s| show(s, &secret(None)));
    add("key-rolled", &partner, &|s| show(s, &secret(Some(rolled()))));
    add("key", &partner, &|s| show(s, &key_detail()));
    add("key-roll", &partner, &|s| show(s, &roll()));
    add("key-revoke", &partner, &|s| show(s, &revoke()));
    add("key-revoked", &partner, &|s| show(s, &revoked()));
    add("usage", &partner, &|s| show(s, &usage()));
    add("invoices", &partner, &|s| {
        show(s, &Invoices { rows: invoices(), next_cursor: Some("sample".into()) })
    });
    add("invoice", &partner, &|s| show(s, &invoice()));
    add("staff", &staff, &|s| show(s, &overview()));
    add("staff-products", &staff, &|s| show(s, &staff_products()));
    add("staff-partners", &staff, &|s| show(s, &staff_partners()));
    add("staff-keys", &staff, &|s| show(s, &staff_keys()));
    add("error-404", &partner, &|s| show(s, &ErrorPage::not_found()));
    add("error-403", &partner, &|s| show(s, &ErrorPage::forbidden()));
    add("error-500", &partner, &|s| show(s, &ErrorPage::internal()));
    made
}

fn show(shell: &Shell, page: &impl Page) -> String {
    shell.render(page).into_string()
}

fn shell(theme: Theme, staff: bool) -> Shell {
    let partners = vec![("ptn_1".into(), "Sample Partner".into(), true)];
    let viewer = Viewer { email: "developer@sample.example".into(), partners, staff };
    Shell { viewer: Some(viewer), theme, here: "/".into() }
}

fn now() -> Timestamp {
    "2026-11-21T14:05:00Z".parse().expect("a time")
}

fn days(errors: bool) -> Vec<DayBar> {
    let today = now().day();
    (0..30u64)
        .map(|index| {
            let wave = (index * 37 + index * index * 11) % 260;
            let successes = if index < 3 { 0 } else { 240 + wave + index * 9 };
            let errors = if errors && index % 4 == 1 && index > 3 { wave / 6 + 4 } else { 0 };
            DayBar {
                day: Day(today.0 - 29 + i32::try_from(index).expect("small")),
                successes,
                errors,
            }
        })
        .collect()
}

fn empty_days() -> Vec<DayBar> {
    days(false).into_iter().map(|day| DayBar { successes: 0, errors: 0, ..day }).collect()
}

fn signup_refused() -> SignUp {
    let mut problems = Problems::default();
    problems.add("email", "There is already an account with this e-mail.");
    problems.add("password", "Use at least 10 characters.");
    SignUp {
        email: "developer@sample.example".into(),
        partner_name: HOSTILE.into(),
        problems,
        next: String::new(),
    }
}

fn plans() -> Vec<PlanTerms> {
    let plan = |slug: &str, name: &str, price: &str, terms: &[&str], current| PlanTerms {
        slug: slug.into(),
        name: name.into(),
        description: String::new(),
        price: price.into(),
        terms: terms.iter().map(|term| (*term).to_owned()).collect(),
        current,
    };
    vec![
        plan(
            "free",
            "Free",
            "$0.00",
            &["500 calls a month, then calls are refused", "2 units a second"],
            false,
        ),
        plan(
            "starter",
            "Starter",
            "$49.00",
            &["10,000 calls included", "$3.00 per 1,000 calls beyond", "20 units a second"],
            true,
        ),
        plan(
            "enterprise",
            "Enterprise",
            "$299.00",
            &["100,000 calls included", "$1.50 per 1,000 calls beyond", "100 units a second"],
            false,
        ),
    ]
}

fn catalog() -> Catalog {
    let card = |id: &str, name: &str, category, status, operations, about: &str| ProductCard {
        id: id.into(),
        name: name.into(),
        description: about.into(),
        version: "2.1.0".into(),
        category,
        status,
        operations,
        from_price: Some("from $0.00 a month".into()),
    };
    Catalog {
        products: vec![
            card(
                "shipment-tracking",
                "Shipment tracking",
                Some("logistics"),
                "active",
                4,
                "Sample API. **Follow a parcel** from the warehouse to the door: events, estimates and proofs of delivery.",
            ),
            card(
                "rates",
                "Carrier rates",
                Some("logistics"),
                "beta",
                12,
                "Sample API. Compare prices of carriers for a parcel.",
            ),
            card("ledger", "Ledger", Some("payments"), "deprecated", 1, "Sample API."),
            card("hostile", HOSTILE, None, "active", 120, HOSTILE),
        ],
        next_cursor: Some("sample".into()),
        ..Catalog::default()
    }
}

fn product() -> ProductPage {
    let operation = |method: &str, path: &str, summary: &str, scope: &str| OperationView {
        method: method.into(),
        path: path.into(),
        summary: summary.into(),
        description:
            "Answers the **current state** of one shipment.\n\n- newest event first\n- times in UTC"
                .into(),
        deprecated: false,
        scopes: vec![vec![scope.into()]],
        units: 1,
        parameters: vec![
            ParameterRow {
                name: "id".into(),
                location: "path",
                kind: "string".into(),
                required: true,
                description: "Number of the shipment.".into(),
                example: Some("SHP-1001".into()),
            },
            ParameterRow {
                name: "since".into(),
                location: "query",
                kind: "string".into(),
                required: false,
                description: HOSTILE.into(),
                example: None,
            },
        ],
        body: (method == "POST")
            .then(|| ("application/json".into(), "{\n  \"to\": \"Sample Street 1\"\n}".into())),
        responses: vec![
            ResponseRow {
                status: "200".into(),
                description: "The shipment.".into(),
                example: Some("{\n  \"id\": \"SHP-1001\",\n  \"status\": \"in_transit\"\n}".into()),
            },
            ResponseRow {
                status: "404".into(),
                description: "No such shipment.".into(),
                example: None,
            },
        ],
        curl: format!(
            "curl https://gateway.example{path} \\\n  -H \"Authorization: Bearer $KEYTOLL_KEY\""
        ),
    };
    ProductPage {
        id: "shipment-tracking".into(),
        name: "Shipment tracking".into(),
        description: "Sample API. Follow a parcel from the warehouse to the door: *events*, estimates and proofs of delivery.\n\n<img src=x onerror=alert(1)>".into(),
        version: "2.1.0".into(),
        category: Some("logistics"),
        status: "beta",
        tags: vec!["parcels".into(), "events".into()],
        base_url: "https://gateway.example/shipment-tracking".into(),
        sandbox: true,
        plans: plans(),
        groups: vec![OperationGroup {
            tag: "Shipments".into(),
            operations: vec![
                operation("GET", "/shipments", "List shipments", "shipment-tracking:read"),
                operation("POST", "/shipments", "Register a shipment", "shipment-tracking:write"),
                operation("GET", "/shipments/{id}", "One shipment", "shipment-tracking:read"),
                operation("DELETE", "/shipments/{id}", "Stop following a shipment", "shipment-tracking:write"),
            ],
        }],
        left_out: 0,
        keyless: false,
    }
}

fn subscribe() -> Subscribe {
    Subscribe {
        plan: plans().remove(1),
        partner: "Sample Partner".into(),
        first_invoice: "1 Dec 2026".into(),
        problems: Problems::default(),
    }
}

fn subscriptions() -> Subscriptions {
    let row = |id: &str, plan: &str, status, units, allowance| SubscriptionRow {
        id: id.into(),
        plan: plan.into(),
        status,
        price: Some("$49.00".into()),
        period_start: "2026-11-01T00:00:00Z".parse().expect("a time"),
        period_end: "2026-12-01T00:00:00Z".parse().expect("a time"),
        units,
        allowance,
        cancellable: status != "cancelled",
    };
    Subscriptions {
        rows: vec![
            row("sub_1", "Starter", "active", 8_412, Some(10_000)),
            row("sub_2", "Enterprise", "cancelled", 12, None),
        ],
        next_cursor: None,
        bought: Some("Starter".into()),
    }
}

fn cancel() -> CancelSubscription {
    CancelSubscription { id: "sub_1".into(), plan: "Starter".into(), active_keys: Some(3) }
}

fn key_rows() -> Vec<KeyRow> {
    let row = |id: &str, name: &str, prefix: &str, test, status, used: Option<i64>, total| KeyRow {
        id: id.into(),
        name: name.into(),
        prefix: prefix.into(),
        test,
        status,
        scopes: vec!["shipment-tracking:read".into(), "shipment-tracking:write".into()],
        last_used_at: used.map(|secs| now().plus_secs(-secs)),
        total_requests: total,
        created_at: now().plus_days(-40),
        expires_at: None,
    };
    vec![
        row(
            "key_1",
            "Production integration",
            "sk_live_a3f9b1c2",
            false,
            "active",
            Some(7_300),
            12_480,
        ),
        row("key_2", "Sandbox, mobile app", "sk_test_77b0e412", true, "active", None, 0),
        row("key_3", HOSTILE, "sk_live_0c1d9f3a", false, "expired", Some(86_400 * 12), 340),
        row(
            "key_4",
            "Old batch job",
            "sk_live_5ee81b07",
            false,
            "revoked",
            Some(86_400 * 31),
            98_112,
        ),
    ]
}

fn keys() -> KeyList {
    KeyList {
        now: now(),
        rows: key_rows(),
        next_cursor: None,
        active: Some(2),
        cap: 25,
        subscribed: true,
        may_change: true,
    }
}

fn new_key(problems: Problems) -> NewKey {
    let refused = !problems.is_empty();
    NewKey {
        form: KeyForm {
            name: if refused { String::new() } else { "Production integration".into() },
            subscription: "sub_1".into(),
            environment: "live".into(),
            scopes: vec!["*".into()],
            rate_limit_per_minute: if refused { "900000".into() } else { String::new() },
            allowed_ips: if refused { "10.0.0.1\nnonsense".into() } else { String::new() },
            expires_at: String::new(),
        },
        problems,
        subscriptions: vec![
            ("sub_1".into(), "Starter".into(), "Shipment tracking".into()),
            ("sub_2".into(), "Enterprise".into(), "Shipment tracking, Carrier rates".into()),
        ],
        scopes: vec![
            ("shipment-tracking:read".into(), "Shipment tracking: 2 operations".into()),
            ("shipment-tracking:write".into(), "Shipment tracking: 2 operations".into()),
        ],
        rate_limit_max: 10_000,
    }
}

fn key_problems() -> Problems {
    let mut problems = Problems::default();
    problems.add("name", "Give the key a name of 1 to 100 characters.");
    problems.add("rate_limit_per_minute", "Choose a limit from 1 to 10,000, or leave it empty.");
    problems.add("allowed_ips", "Line 2, “nonsense”, is no IP address or network.");
    problems
}

fn rolled() -> Rolled {
    Rolled { old_works_until: Some(now().plus_days(1)), receipt: receipt() }
}

fn receipt() -> ReceiptView {
    ReceiptView {
        nodes: vec![("sample-node-1".into(), 4), ("sample-node-2".into(), 12)],
        missing: Vec::new(),
    }
}

fn secret(rolled: Option<Rolled>) -> SecretShown {
    SecretShown {
        id: "key_1".into(),
        name: "Production integration".into(),
        secret: PlainKey::new("sk_live_a3f9b1c2_SampleSampleSampleSampleSampleSampleSample9AbCdEf".into()),
        test: false,
        curl: "curl https://gateway.example/shipment-tracking/shipments \\\n  -H \"Authorization: Bearer sk_live_a3f9b1c2_SampleSampleSampleSampleSampleSampleSample9AbCdEf\"".into(),
        rolled,
    }
}

fn key_detail() -> KeyDetail {
    let endpoint = |endpoint: &str, successes, errors, ms| EndpointRow {
        endpoint: endpoint.into(),
        successes,
        errors,
        avg_latency_ms: Some(ms),
    };
    KeyDetail {
        now: now(),
        key: key_rows().remove(0),
        plan: "Starter".into(),
        products: Vec::new(),
        rate_limit_per_minute: Some(600),
        plan_limits: vec!["20 units a second".into(), "10,000 calls included".into()],
        allowed_ips: vec!["203.0.113.7/32".into(), "2001:db8::/48".into()],
        revoked_at: None,
        days: days(true),
        endpoints: vec![
            endpoint("GET /shipments/{id}", 9_210, 31, 42),
            endpoint("GET /shipments", 2_904, 0, 88),
            endpoint("POST /shipments", 335, 12, 120),
        ],
        summary: UsageSummary { calls: 12_492, errors_per_mille: 3, avg_latency_ms: Some(55) },
        calls: RecentCalls {
            rows: vec![
                call(2, Some("GET /shipments/{id}"), 200, 41),
                call(95, Some("POST /shipments"), 422, 118),
                call(7_230, None, 200, 0),
            ],
            next_cursor: Some("x".into()),
            known: true,
            later: false,
        },
        may_change: true,
        staff: false,
    }
}

fn call(secs_ago: i64, operation: Option<&str>, status: u16, ms: u64) -> CallRow {
    CallRow {
        at: now().plus_secs(-secs_ago),
        operation: operation.map(Into::into),
        status,
        ms,
        request_id: "01900000-0000-7000-8000-000000000000".into(),
    }
}

fn roll() -> RollKey {
    RollKey {
        id: "key_1".into(),
        name: "Production integration".into(),
        prefix: "sk_live_a3f9b1c2".into(),
        calls_30_days: 12_492,
        problems: Problems::default(),
    }
}

fn revoke() -> RevokeKey {
    RevokeKey {
        now: now(),
        id: "key_1".into(),
        name: "Production integration".into(),
        prefix: "sk_live_a3f9b1c2".into(),
        last_used_at: Some(now().plus_secs(-7_300)),
    }
}

fn revoked() -> KeyRevoked {
    let receipt = ReceiptView { missing: vec!["sample-node-3".into()], ..receipt() };
    KeyRevoked {
        name: "Production integration".into(),
        prefix: "sk_live_a3f9b1c2".into(),
        receipt,
        staff: false,
    }
}

fn invoices() -> Vec<InvoiceRow> {
    let row =
        |id: &str, number: &str, status: &str, month: &str, last: &str, total: &str| InvoiceRow {
            id: id.into(),
            number: number.into(),
            status: status.into(),
            period_start: format!("2026-{month}-01T00:00:00Z").parse().expect("a time"),
            period_last: format!("2026-{month}-{last}T23:59:59Z").parse().expect("a time"),
            total: total.into(),
        };
    vec![
        row("inv_2", "KT-2026-0002", "draft", "11", "30", "$49.00"),
        row("inv_1", "KT-2026-0001", "finalised", "10", "31", "$54.70"),
    ]
}

fn invoice() -> InvoicePage {
    let line = |description: &str, quantity: &str, unit_price: &str, amount: &str| InvoiceLine {
        description: description.into(),
        quantity: quantity.into(),
        unit_price: unit_price.into(),
        amount: amount.into(),
    };
    InvoicePage {
        row: invoices().remove(1),
        partner: "Sample Partner".into(),
        plan: "Starter".into(),
        currency: "USD".into(),
        units: 11_900,
        lines: vec![
            line("Starter, monthly fee", "1", "$49.00", "$49.00"),
            line("Calls beyond the 10,000 included", "1,900 calls", "$0.003", "$5.70"),
        ],
    }
}

fn dashboard() -> Dashboard {
    Dashboard {
        now: now(),
        partner: "Sample Partner".into(),
        requests_today: 497,
        requests_month: 8_412,
        allowance: Some(Allowance { limit: 10_000, hard: false }),
        avg_response_ms: Some(84),
        days: days(true),
        subscribed: true,
        keys: key_rows(),
        invoices: Some(invoices()),
    }
}

fn dashboard_empty() -> Dashboard {
    Dashboard {
        requests_today: 0,
        requests_month: 0,
        allowance: None,
        avg_response_ms: None,
        days: empty_days(),
        subscribed: false,
        keys: Vec::new(),
        invoices: Some(Vec::new()),
        ..dashboard()
    }
}

fn usage() -> Usage {
    Usage {
        days: days(true),
        summary: UsageSummary { calls: 12_492, errors_per_mille: 12, avg_latency_ms: Some(55) },
        products: vec![
            ("shipment-tracking".into(), "Shipment tracking".into(), 12_300, 150),
            ("rates".into(), "Carrier rates".into(), 42, 0),
        ],
    }
}

fn partners() -> Vec<PartnerRow> {
    let row = |id: &str, name: &str, plans: &[&str], keys| PartnerRow {
        id: id.into(),
        name: name.into(),
        email: Some("owner@sample.example".into()),
        plans: plans.iter().map(|plan| (*plan).to_owned()).collect(),
        active_keys: Some(keys),
        created_at: now().plus_days(-3),
    };
    vec![
        row("ptn_1", "Sample Partner", &["Starter"], 3),
        row("ptn_2", "Another Sample Partner", &[], 0),
        row("ptn_3", HOSTILE, &["Free", "Enterprise"], 25),
    ]
}

fn overview() -> staff::Overview {
    staff::Overview {
        now: now(),
        products: 3,
        partners: 1_000,
        more_partners: true,
        active_keys: 812,
        more_keys: false,
        recent_partners: partners().into_iter().map(|row| (row.name, row.created_at)).collect(),
    }
}

fn staff_products() -> staff::Products {
    let row = |id: &str, name: &str, status, plans: &[&str], upstream: Option<&str>| ProductRow {
        id: id.into(),
        name: name.into(),
        status,
        version: "2.1.0".into(),
        operations: 4,
        plans: plans.iter().map(|plan| (*plan).to_owned()).collect(),
        upstream: upstream.map(str::to_owned),
        sandbox: true,
    };
    staff::Products {
        rows: vec![
            row(
                "shipment-tracking",
                "Shipment tracking",
                "active",
                &["Free", "Starter", "Enterprise"],
                Some("http://127.0.0.1:9000/tracking/v2"),
            ),
            row("rates", "Carrier rates", "beta", &[], None),
        ],
        next_cursor: None,
    }
}

fn staff_partners() -> staff::Partners {
    staff::Partners {
        now: now(),
        query: String::new(),
        rows: partners(),
        next_cursor: Some("sample".into()),
    }
}

fn staff_keys() -> staff::Keys {
    let rows = key_rows().into_iter().map(|key| (key, "Sample Partner".to_owned())).collect();
    staff::Keys {
        now: now(),
        query: "sk_".into(),
        partner: String::new(),
        rows,
        next_cursor: None,
        may_revoke: true,
    }
}
