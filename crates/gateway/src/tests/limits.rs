//! Windows and quota as callers meet them, across restarts too.

use keytoll_domain::catalog::{Bill, Quota, WindowLimits};
use keytoll_domain::feed::Changed;
use keytoll_domain::key::{Environment, KeyWindows};

use super::support::*;

#[test]
fn call_429_by_window_says_when_to_come_back() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits =
        WindowLimits { second: Some(2), minute: Some(3), ..WindowLimits::default() };
    let world = setup.start();
    let first = world.get("/zoo/animals");
    assert_eq!(
        (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
        ("2", "1")
    );
    assert_eq!(first.header("x-ratelimit-reset"), (NOON / 1_000_000 + 1).to_string());
    assert_eq!(first.header("ratelimit-policy"), "\"second\";q=2;w=1, \"minute\";q=3;w=60");
    assert_eq!(first.header("ratelimit"), "\"second\";r=1;t=1, \"minute\";r=2;t=60");
    assert_eq!(world.get("/zoo/animals").status, 200);
    let refused = world.get("/zoo/animals");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.json()["error"], "Rate limit exceeded");
    assert_eq!(refused.json()["retryAfter"], 1);
    assert_eq!(refused.json()["violated-policies"][0], "second");
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-limit")), ("1", "2"));
    world.hands.advance_millis(1000);
    assert_eq!(world.get("/zoo/animals").status, 200);
    world.hands.advance_millis(1000);
    let refused = world.get("/zoo/animals");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "58"));
    assert_eq!(refused.json()["violated-policies"][0], "minute");
    assert_eq!(world.sums().units, 3);
    assert_eq!(upstream.seen().len(), 3);
}

#[test]
fn call_is_charged_in_all_limits_or_in_none() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(10), ..WindowLimits::default() };
    setup.keys[0].rate_limit_per_minute = Some(2);
    setup.keys.push(key(8, "second key"));
    let world = setup.start();
    // Three units do not fit the key's own window of two, so that nothing of the ten is used.
    let refused = world.get("/zoo/herd");
    assert_eq!((refused.status, refused.header("x-ratelimit-limit")), (429, "2"));
    assert_eq!(refused.json()["violated-policies"][0], "key_minute");
    for left in ["7", "4", "1"] {
        let answer = world.call("GET /zoo/herd", "X-API-Key: second key\r\n");
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, left));
    }
    assert_eq!(world.call("GET /zoo/herd", "X-API-Key: second key\r\n").status, 429);
    assert_eq!(world.sums(), Sums { calls: 3, successes: 3, units: 9 });
}

#[test]
fn call_429_when_a_hard_quota_is_used_up_and_200_when_soft() {
    let upstream = Upstream::new();
    for hard in [true, false] {
        let mut setup = Setup::new(&upstream);
        setup.plan.quota = Some(Quota { units: 2, hard });
        let world = setup.start();
        assert_eq!(world.get("/zoo/animals").status, 200);
        assert_eq!(world.get("/zoo/animals").header("x-ratelimit-remaining"), "0");
        let third = world.get("/zoo/animals");
        assert_eq!(third.status, if hard { 429 } else { 200 });
        if hard {
            assert_eq!(third.code(), "quota_exceeded");
            assert_eq!(third.json()["error"], "Monthly quota exceeded");
        }
        let usage = world.get("/zoo/.keytoll/usage").json();
        assert_eq!(usage["units"], if hard { 2 } else { 3 });
        assert_eq!((&usage["plan"], &usage["quota"]["remaining"]), (&"basic".into(), &0.into()));
    }
}

#[test]
fn quota_is_given_back_when_the_upstream_fails_and_the_window_is_not() {
    let upstream = Upstream::with(|served| {
        served.client.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.plan.quota = Some(Quota { units: 1, hard: true });
    setup.plan.limits = WindowLimits { minute: Some(2), ..WindowLimits::default() };
    setup.settings.bill = Bill::Success;
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").status, 404);
    assert_eq!(world.get("/zoo/animals").status, 404);
    assert_eq!(world.get("/zoo/animals").code(), "rate_limited");
    assert_eq!(world.sums(), Sums { calls: 2, successes: 0, units: 0 });
}

#[test]
fn windows_and_quota_are_rebuilt_after_a_restart() {
    let upstream = Upstream::new();
    let data = std::env::temp_dir().join(format!("keytoll-gateway-restart-{}", std::process::id()));
    let hands = Hands::new();
    let setup = || {
        let mut setup = Setup::new(&upstream);
        setup.plan.quota = Some(Quota { units: 5, hard: true });
        setup.plan.limits = WindowLimits { minute: Some(2), ..WindowLimits::default() };
        setup.data = Some(data.clone());
        setup.hands = hands.clone();
        setup
    };
    let world = setup().start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals").code(), "rate_limited");
    drop(world);
    hands.advance_millis(30_000);
    // The store forgot this node's seals, so that they are offered again and count as not taken.
    let world = setup().start();
    assert_eq!(world.get("/zoo/animals").code(), "rate_limited");
    hands.advance_millis(30_000);
    assert_eq!(world.get("/zoo/animals").status, 200);
    let usage = world.get("/zoo/.keytoll/usage").json();
    assert_eq!((&usage["units"], &usage["quota"]["remaining"]), (&3.into(), &2.into()));
    drop(world);
    std::fs::remove_dir_all(&data).unwrap();
}

#[test]
fn test_keys_have_windows_of_their_own_and_no_quota() {
    let upstream = Upstream::new();
    let sandbox = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.sandbox = Some(format!("http://{}", sandbox.addr));
    setup.plan.quota = Some(Quota { units: 1, hard: true });
    setup.plan.limits = WindowLimits { minute: Some(2), ..WindowLimits::default() };
    let mut test = key(8, "test");
    test.environment = Environment::Test;
    setup.keys.push(test);
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals").code(), "quota_exceeded");
    for status in [200, 200, 429] {
        assert_eq!(world.call("GET /zoo/animals", "X-API-Key: test\r\n").status, status);
    }
    assert_eq!((upstream.seen().len(), sandbox.seen().len()), (1, 2));
    assert!(sandbox.last().starts_with("GET /animals HTTP/1.1"));
    assert_eq!(world.sums().units, 1);
    let test = world.ledger.sums(Environment::Test);
    assert_eq!((test.calls, test.units), (2, 0));
}

#[test]
fn limits_hold_when_many_clients_call_at_once() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(100), ..WindowLimits::default() };
    let world = setup.start();
    let request = format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
    let granted: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = world.client();
                    (0..40).filter(|_| client.call(&request).status == 200).count()
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(granted, 100);
    assert_eq!(upstream.seen().len(), 100);
    assert_eq!(world.sums().units, 100);
}

#[test]
fn what_was_agreed_for_a_subscription_holds_instead_of_the_plan() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { minute: Some(1), ..WindowLimits::default() };
    setup.plan.quota = Some(Quota { units: 100, hard: true });
    setup.overrides.limits = Some(WindowLimits { hour: Some(5), ..WindowLimits::default() });
    setup.overrides.quota = Some(Quota { units: 3, hard: true });
    let world = setup.start();
    for _ in 0..3 {
        let granted = world.get("/zoo/animals");
        assert_eq!(granted.status, 200);
        let policy = granted.header("ratelimit-policy");
        assert!(policy.contains("\"hour\";q=5") && !policy.contains("minute"), "{policy}");
    }
    assert_eq!(world.get("/zoo/animals").code(), "quota_exceeded");
}

#[test]
fn a_keys_own_windows_hold_beside_those_of_the_plan() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits = WindowLimits { day: Some(10), ..WindowLimits::default() };
    setup.keys[0].windows = KeyWindows { day: Some(2), ..KeyWindows::default() };
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert_eq!(world.get("/zoo/animals").status, 200);
    let refused = world.get("/zoo/animals");
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.json()["violated-policies"][0], "key_day");
}

/// A dollar a call, no fee: three dollars are three calls.
#[test]
fn call_402_when_the_next_one_could_pass_the_spend_cap() {
    let upstream = Upstream::new();
    for own in [false, true] {
        let mut setup = Setup::new(&upstream);
        setup.plan.price.overage_per_1000 = Some("1000".parse().unwrap());
        setup.plan.spend_cap_minor = Some(if own { 100 } else { 399 });
        setup.overrides.spend_cap_minor = own.then_some(399);
        let world = setup.start();
        for _ in 0..3 {
            assert_eq!(world.get("/zoo/animals").status, 200);
        }
        let refused = world.get("/zoo/animals");
        assert_eq!((refused.status, refused.code()), (402, "spend_cap_reached".into()));
        let usage = world.get("/zoo/.keytoll/usage").json();
        assert_eq!(usage["spend"], serde_json::json!({"cap_minor": 399, "units_cap": 3}));
        assert_eq!(world.sums().units, 3);
    }
}

#[test]
fn a_cap_below_the_fee_lets_no_call_pass() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.price.price_monthly = "2000".parse().unwrap();
    setup.plan.spend_cap_minor = Some(1);
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").code(), "spend_cap_reached");
    assert_eq!(world.sums().units, 0);
}

#[test]
fn a_products_windows_hold_for_all_partners_together_and_are_shown_to_none() {
    let upstream = Upstream::new();
    let data = std::env::temp_dir().join(format!("keytoll-gateway-windows-{}", std::process::id()));
    let hands = Hands::new();
    let setup = || {
        let mut setup = Setup::new(&upstream);
        setup.settings.limits = WindowLimits { minute: Some(5), ..WindowLimits::default() };
        setup.plan.limits = WindowLimits { minute: Some(100), ..WindowLimits::default() };
        setup.keys.push(key(8, "second key"));
        setup.sandbox = setup.upstream.clone();
        let mut test = key(9, "test key");
        test.environment = Environment::Test;
        setup.keys.push(test);
        setup.data = Some(data.clone());
        setup.hands = hands.clone();
        setup
    };
    let world = setup().start();
    for (line, key) in [("GET /zoo/herd", "second key"), ("GET /zoo/animals", KEY)] {
        let answer = world.call(line, &format!("X-API-Key: {key}\r\n"));
        assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, "100"));
        assert!(!answer.header("ratelimit").contains("product"), "{answer:?}");
    }
    let refused = |world: &World| {
        let refused = world.call("GET /zoo/herd", "X-API-Key: second key\r\n");
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
        assert_eq!(refused.json()["violated-policies"][0], "product_minute");
        assert_eq!(
            (refused.header("retry-after"), refused.header("x-ratelimit-limit")),
            ("60", "100")
        );
        assert!(!refused.header("ratelimit").contains("product"), "{refused:?}");
        let usage = world.get("/zoo/.keytoll/usage");
        assert!(!String::from_utf8(usage.body).unwrap().contains("product"));
    };
    refused(&world);
    assert_eq!(world.call("GET /zoo/herd", "X-API-Key: test key\r\n").status, 200, "of its own");
    // What is counted stays when the product changes, and after a restart.
    let mut changed = world.records.snapshot.lock().unwrap().products[0].clone();
    changed.name = "Large zoo".into();
    world.records.change(Changed::Product(Box::new(changed)));
    refused(&world);
    drop(world);
    let world = setup().start();
    refused(&world);
    hands.advance_millis(61_000);
    assert_eq!(world.call("GET /zoo/herd", "X-API-Key: second key\r\n").status, 200);
    drop(world);
    let _ = std::fs::remove_dir_all(data);
}

#[test]
fn upstream_says_the_units_within_what_was_admitted() {
    let upstream = Upstream::with(|served| {
        let said = served.head.lines().find_map(|line| line.strip_prefix("X-Say: "));
        let said = said.unwrap_or_default().replace('|', "\r\n");
        served.client.send(format!("HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n"));
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.settings.bill = Bill::Success;
    setup.plan.quota = Some(Quota { units: 1_000, hard: true });
    setup.plan.limits = WindowLimits { hour: Some(10_000), ..WindowLimits::default() };
    setup.sandbox = setup.upstream.clone();
    let mut test = key(9, "test key");
    test.environment = Environment::Test;
    setup.keys.push(test);
    let world = setup.start();
    let mut charged = 0;
    let mut window = 10_000;
    for (said, units) in [
        ("200 OK|X-Keytoll-Units: 7", 7),
        ("200 OK|x-keytoll-units: 0", 0),
        ("200 OK|X-Keytoll-Units: 0040", 40),
        ("200 OK|X-Keytoll-Units: 51", 50),
        ("200 OK|X-Keytoll-Units: 99999999999999999999999", 50),
        ("200 OK", 2),
        ("200 OK|X-Keytoll-Units: -1", 2),
        ("200 OK|X-Keytoll-Units: 1.5", 2),
        ("200 OK|X-Keytoll-Units:", 2),
        ("200 OK|X-Keytoll-Units: 7|X-Keytoll-Units: 7", 2),
        ("204 No Content|X-Keytoll-Units: 3", 3),
        ("500 Oops|X-Keytoll-Units: 7", 0),
    ] {
        let fields = format!("X-API-Key: {KEY}\r\nX-Say: {said}\r\n");
        let answer = world.call("GET /zoo/metered", &fields);
        assert_eq!(answer.header("x-keytoll-units"), "", "{said}");
        charged += units;
        window -= 50;
        assert!(
            answer.header("ratelimit").contains(&format!("\"quota\";r={};", 1_000 - charged)),
            "{said}: {answer:?}"
        );
        assert!(
            answer.header("ratelimit").contains(&format!("\"hour\";r={window};")),
            "{answer:?}"
        );
        assert_eq!(world.sums().units, charged, "{said}");
    }
    let plain = world.call(
        "GET /zoo/animals",
        &format!("X-API-Key: {KEY}\r\nX-Say: 200 OK|X-Keytoll-Units: 9\r\n"),
    );
    assert_eq!((plain.status, world.sums().units), (200, charged + 1), "no say without max_units");
    let test = world
        .call("GET /zoo/metered", "X-API-Key: test key\r\nX-Say: 200 OK|X-Keytoll-Units: 9\r\n");
    assert_eq!((test.status, world.sums().units), (200, charged + 1));
    assert!(world.gateway().settle(std::time::Duration::from_secs(20)));
    assert_eq!(world.ledger.sums(Environment::Test).units, 0);
}

#[test]
fn call_needs_room_for_the_most_it_could_cost() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.quota = Some(Quota { units: 51, hard: true });
    let world = setup.start();
    for status in [200, 429] {
        let answer = world.get("/zoo/metered");
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (status, "49"));
    }
    assert_eq!(upstream.seen().len(), 1);
}
