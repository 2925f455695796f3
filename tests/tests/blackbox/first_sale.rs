//! The main job: a stranger signs up, buys, calls, is limited, and gets a right bill.

use keytoll_tests::binary::text;
use keytoll_tests::catalog::{plan, sell};
use keytoll_tests::http::Response;
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait;
use serde_json::json;

const QUOTA: usize = 20;

#[test]
fn partner_buys_calls_is_limited_revokes_and_is_billed() {
    let upstream = Upstream::start();
    let small = plan(
        "small",
        &json!({
            "price_monthly": "5",
            "quota": {"calls": QUOTA, "hard": true},
            "limits": {"second": 3},
        }),
    );
    let server = sell(&upstream, &json!([small]));

    let partner = Session::sign_up(server.portal, "buyer@example.test", "Example Buyer");
    let subscription = partner.subscribe("small");
    assert_eq!(subscription["status"], "active");
    let (key_id, key) = partner.create_key(&["items:read"]);

    let mut granted = 0;
    let mut limited: Option<Response> = None;
    let exhausted = wait::until("the quota to be used up", || {
        let answer = server.call("/items/items/1", &key);
        match (answer.status, answer.code().as_str()) {
            (200, _) => granted += 1,
            (429, "rate_limited") => limited = Some(answer),
            (429, "quota_exceeded") => return Some(answer),
            _ => panic!("unexpected answer {}: {}", answer.status, answer.text()),
        }
        None
    });

    assert_eq!(granted, QUOTA, "calls granted before the quota refused");
    assert_eq!(upstream.count(), QUOTA, "a refusal must not reach the upstream");
    let limited = limited.expect("a call was refused by the window of a second");
    assert_eq!(limited.json()["error"], "Rate limit exceeded");
    assert_eq!(limited.header("retry-after"), Some("1"));
    assert_eq!(limited.header("x-ratelimit-limit"), Some("3"));
    assert_eq!(limited.header("x-ratelimit-remaining"), Some("0"));
    assert!(limited.header("x-request-id").is_some());
    assert_eq!(exhausted.json()["error"], "Monthly quota exceeded");
    assert!(exhausted.header("retry-after").is_some());

    let revoked = partner.delete(&format!("/api/v1/keys/{key_id}")).expect(200).json();
    assert_eq!(revoked["success"], true);
    let after = server.call("/items/items/1", &key).expect(401);
    assert_eq!(after.code(), "key_invalid");
    assert!(after.header("www-authenticate").is_some());

    wait::until_true("the calls to show in the usage", || {
        partner.get("/api/v1/usage?days=30").expect(200).json()["totalCalls"] == QUOTA
    });

    let log = partner.get(&format!("/api/v1/keys/{key_id}/calls")).expect(200).json();
    let calls = log["calls"].as_array().expect("a list of calls");
    assert_eq!(calls.len(), QUOTA, "{log}");
    assert!(
        calls.iter().all(|call| call["status"] == 200 && call["operation"] == "GET /items/{id}"),
        "{log}"
    );

    let period = text(&subscription, "period_end");
    let month = last_month_of(&period);
    let run = server.cli_json(&["invoice", "run", "--period", &month]);
    let invoices = run["invoices"].as_array().expect("a list of invoices");
    assert_eq!(invoices.len(), 1, "{run}");
    assert_eq!(invoices[0]["units"], upstream.count());
    assert_eq!(invoices[0]["currency"], "USD");

    let again = server.cli_json(&["invoice", "run", "--period", &month]);
    assert_eq!(again["invoices"][0]["number"], invoices[0]["number"]);
    let listed = partner.get("/api/v1/invoices").expect(200).json();
    assert_eq!(listed["invoices"].as_array().map(Vec::len), Some(1), "{listed}");
    let path = format!("/api/v1/invoices/{}", text(&invoices[0], "id"));
    let shown = partner.get(&path).expect(200).json();
    assert_eq!(shown["units"], QUOTA);
    let lines = shown["lines"].as_array().expect("an invoice has lines");
    let sum: i64 = lines.iter().filter_map(|line| line["amount_minor"].as_i64()).sum();
    assert_eq!(shown["total_minor"], sum, "{shown}");
}

#[test]
fn overage_is_billed_above_the_included_calls() {
    let upstream = Upstream::start();
    let metered = plan(
        "metered",
        &json!({"price_monthly": "0", "included_calls": 0, "overage_per_1000": "2500"}),
    );
    let server = sell(&upstream, &json!([metered]));
    let partner = Session::sign_up(server.portal, "payer@example.test", "Example Payer");
    let subscription = partner.subscribe("metered");
    let (_, key) = partner.create_key(&["items:read"]);
    for _ in 0..4 {
        server.call("/items/items", &key).expect(200);
    }
    wait::until_true("the calls to show in the usage", || {
        partner.get("/api/v1/usage").expect(200).json()["totalCalls"] == 4
    });
    let month = last_month_of(&text(&subscription, "period_end"));
    let run = server.cli_json(&["invoice", "run", "--period", &month]);
    // Four calls at 2500 per 1000 are 2.50 each: 10.00 in all.
    assert_eq!(run["invoices"][0]["total_minor"], 1000, "{run}");
    assert_eq!(run["invoices"][0]["units"], 4);
}

/// The month in which the last instant of a period lies, for a period that ends at `end` (exclusive).
pub(crate) fn last_month_of(end: &str) -> String {
    let (year, month) = (end[..4].parse::<u32>(), end[5..7].parse::<u32>());
    let (year, month) = (year.expect("a year"), month.expect("a month"));
    if end[8..10] != *"01" {
        return format!("{year:04}-{month:02}");
    }
    if month == 1 { format!("{:04}-12", year - 1) } else { format!("{year:04}-{:02}", month - 1) }
}
