//! Products with several targets, targets that come and go, repeats, and time limits of their own.

mod differential;
mod tls;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use keytoll_domain::catalog::{Ejection, HealthCheck, Retries, Target, UpstreamOptions};

use super::support::*;

/// Calls until something has happened; what takes longer than that never will.
const PATIENCE_CALLS: u32 = 50_000;

fn setup(targets: &[(SocketAddr, u16)], options: UpstreamOptions) -> Setup {
    let target = |(addr, weight): &(SocketAddr, u16)| Target {
        url: format!("http://{addr}"),
        weight: *weight,
    };
    let targets: Vec<Target> = targets.iter().map(target).collect();
    // Replaced below.
    let mut setup = Setup::new(&Upstream::new());
    setup.product = Box::new(move |product| {
        product.upstream = None;
        product.targets = targets;
        product.settings.upstream_options = options;
    });
    // One core, so that budgets and connections are counted once.
    setup.options = Box::new(|options| options.workers = 1);
    setup
}

fn retries(attempts: u8, budget_percent: u8) -> UpstreamOptions {
    let retries = Retries { attempts, budget_percent };
    UpstreamOptions { retries, ..UpstreamOptions::default() }
}

fn post(world: &World) -> Answer {
    let fields = format!("Authorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\nhi");
    let mut client = world.client();
    client.send(format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\n{fields}"));
    client.answer().unwrap()
}

fn in_flight(world: &World) -> u32 {
    let routes = world.gateway().tables().routes.load();
    let clusters = routes.all().flat_map(|product| product.clusters());
    let members = clusters.flat_map(|cluster| &cluster.members);
    members.map(|member| member.upstream.in_flight()).sum()
}

fn metric(world: &World, start: &str) -> u64 {
    let text = world.gateway().metrics_text();
    let line = text.lines().find(|line| line.starts_with(&format!("keytoll_gateway_{start}")));
    let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn call_until(world: &World, wanted: impl Fn(&Answer) -> bool) {
    let mut calls = 0..PATIENCE_CALLS;
    assert!(calls.any(|_| wanted(&world.get("/zoo/animals"))), "it did not happen");
}

#[test]
fn targets_share_calls_by_weight() {
    let (large, small) = (Upstream::new(), Upstream::new());
    let targets = [(large.addr, 3), (small.addr, 1)];
    let world = setup(&targets, UpstreamOptions::default()).start();
    for _ in 0..400 {
        assert_eq!(world.get("/zoo/animals").status, 200);
    }
    // Chance strays from 300 by more than 60 once in 10^11 runs.
    assert!((240..=360).contains(&large.seen().len()), "{}", large.seen().len());
    assert_eq!(large.seen().len() + small.seen().len(), 400);
    assert!(small.last().contains(&format!("host: {}", small.addr)));
    assert_eq!(in_flight(&world), 0);
}

#[test]
fn a_dead_target_fails_no_call_and_comes_back() {
    let well = Upstream::new();
    let (held, dead) = closed_port();
    let eject = Some(Ejection { failures: 2, secs: 1 });
    let options = UpstreamOptions { eject, ..retries(1, 100) };
    let world = setup(&[(well.addr, 1), (dead, 1)], options).start();
    let up = |addr: SocketAddr| {
        metric(&world, &format!("upstream_up{{product=\"zoo\",target=\"http://{addr}\"}}"))
    };
    assert_eq!((up(well.addr), up(dead)), (1, 1));
    call_until(&world, |answer| {
        assert_eq!(answer.status, 200);
        up(dead) == 0
    });
    assert_eq!(post(&world).status, 200);
    assert_eq!(up(well.addr), 1);
    held.listen(16).unwrap();
    let back = Upstream::on(held.into(), |served| {
        served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        Then::KeepOpen
    });
    call_until(&world, |answer| {
        assert_eq!(answer.status, 200);
        !back.seen().is_empty()
    });
    assert_eq!(metric(&world, "never_sent_total"), 0);
    assert_eq!(metric(&world, "upstream_retries_total"), 0, "nothing was sent to the dead one");
}

#[test]
fn a_client_that_reads_slowly_is_no_fault_of_its_upstream() {
    const LENGTH: usize = 16 << 20;
    let upstream = || {
        Upstream::with(|served| {
            let small = served.head.starts_with("GET /pens");
            let length = if small { 100 } else { LENGTH };
            served.client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            // All but the last byte.
            let _ = served.client.stream.write_all(&vec![b'x'; length - 1]);
            while served.client.fill() > 0 {}
            Then::Close
        })
    };
    let (one, two) = (upstream(), upstream());
    let eject = Some(Ejection { failures: 1, secs: 3600 });
    let options = UpstreamOptions { eject, total_ms: Some(1000), ..UpstreamOptions::default() };
    let world = setup(&[(one.addr, 1), (two.addr, 1)], options).start();
    let up = |upstream: &Upstream| {
        let target = format!("target=\"http://{}\"", upstream.addr);
        metric(&world, &format!("upstream_up{{product=\"zoo\",{target}}}"))
    };
    let get = |path: &str| {
        let mut client = world.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        client
    };
    let mut slow = get("/zoo/animals");
    pause(Duration::from_millis(1500));
    assert_eq!(slow.head().status, 200);
    assert!(slow.take(LENGTH).len() < LENGTH, "the answer broke off");
    assert_eq!((up(&one), up(&two)), (1, 1));
    let mut quick = get("/zoo/pens");
    assert_eq!(quick.head().status, 200);
    assert_eq!(quick.take(100).len(), 99);
    assert_eq!(up(&one) + up(&two), 1, "it was the upstream that was too slow");
}

#[test]
fn a_post_goes_elsewhere_when_its_target_cannot_be_reached() {
    let well = Upstream::new();
    let (_held, dead) = closed_port();
    let world = setup(&[(well.addr, 1), (dead, 1)], retries(1, 100)).start();
    for _ in 0..20 {
        assert_eq!(post(&world).status, 200);
    }
    assert_eq!(well.seen().len(), 20);
}

#[test]
fn health_checks_take_a_target_out_and_back() {
    let well = Arc::new(AtomicBool::new(false));
    let told = well.clone();
    let upstream = Upstream::with(move |served| {
        let sick = served.head.starts_with("GET /healthz HTTP") && !told.load(Ordering::SeqCst);
        let status = if sick { "500 No" } else { "200 OK" };
        served.client.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        Then::KeepOpen
    });
    let health = Some(HealthCheck {
        path: "/healthz".into(),
        interval_secs: 1,
        timeout_secs: 1,
        unhealthy_after: 1,
        healthy_after: 1,
    });
    let options = UpstreamOptions { health, ..UpstreamOptions::default() };
    let world = setup(&[(upstream.addr, 1)], options).start();
    call_until(&world, |answer| answer.status == 503);
    let answer = world.get("/zoo/animals");
    assert_eq!((answer.status, answer.code().as_str()), (503, "upstream_unavailable"));
    assert_eq!(metric(&world, "upstream_up"), 0);
    well.store(true, Ordering::SeqCst);
    call_until(&world, |answer| answer.status == 200);
    assert_eq!(metric(&world, "upstream_up"), 1);
    assert!(metric(&world, "never_sent_total") >= 2);
}

#[test]
fn repeats_are_bounded_by_their_budget_and_a_sent_post_is_not_repeated() {
    let upstream = Upstream::with(|served| {
        read_body(served);
        Then::Close
    });
    let world = setup(&[(upstream.addr, 1)], retries(5, 10)).start();
    for _ in 0..40 {
        assert_eq!(world.get("/zoo/animals").status, 502);
    }
    assert_eq!(upstream.seen().len(), 45);
    assert_eq!(metric(&world, "upstream_retries_total"), 5);
    let world = setup(&[(upstream.addr, 1)], retries(5, 100)).start();
    assert_eq!(post(&world).status, 502);
    assert_eq!(upstream.seen().len(), 46);
    assert_eq!(metric(&world, "upstream_retries_total"), 0);
    let world = setup(&[(upstream.addr, 1)], retries(0, 100)).start();
    assert_eq!(world.get("/zoo/animals").status, 502);
    assert_eq!(upstream.seen().len(), 47);
}

#[test]
fn a_silent_target_is_left_for_another_but_not_asked_again() {
    let silent = Upstream::with(|served| {
        while served.client.fill() > 0 {}
        Then::Close
    });
    let well = Upstream::new();
    let options = || UpstreamOptions { first_byte_ms: Some(100), ..retries(3, 100) };
    let world = setup(&[(silent.addr, 1), (well.addr, 1)], options()).start();
    call_until(&world, |answer| {
        assert_eq!(answer.status, 200);
        !silent.seen().is_empty()
    });
    let world = setup(&[(silent.addr, 1)], options()).start();
    let before = silent.seen().len();
    assert_eq!(world.get("/zoo/animals").status, 504);
    assert_eq!(silent.seen().len(), before + 1);
}

#[test]
fn the_total_limit_ends_calls_before_and_within_the_answer() {
    let upstream = Upstream::with(|served| {
        if served.head.contains("/animals/part") {
            served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
        }
        while served.client.fill() > 0 {}
        Then::Close
    });
    let options = UpstreamOptions { total_ms: Some(200), ..UpstreamOptions::default() };
    let world = setup(&[(upstream.addr, 1)], options).start();
    let answer = world.get("/zoo/animals");
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"));
    assert_eq!(upstream.seen().len(), 1);
    let answer = world.get("/zoo/animals/part");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"part"[..]));
}

/// Answers requests in turn in every way there is, after it has seen them.
fn moody() -> Upstream {
    let turn = AtomicU32::new(0);
    Upstream::with(move |served| {
        read_body(served);
        let answers: [(&str, Then); 7] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::KeepOpen),
            ("", Then::Close),
            ("HTTP/1.1 204 No Content\r\n\r\n", Then::KeepOpen),
            ("SSH-2.0-OpenSSH\r\n\r\n", Then::Close),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Then::KeepOpen),
            ("HTTP/1.1 200 OK\r\nContent-Le", Then::Close),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", Then::Close),
        ];
        let turn = turn.fetch_add(1, Ordering::SeqCst) as usize;
        let (answer, then) = answers.into_iter().nth(turn % 7).unwrap();
        served.client.send(answer);
        then
    })
}

#[test]
fn calls_less_those_never_sent_plus_repeats_are_what_the_upstreams_saw() {
    let (one, two) = (moody(), moody());
    let (_held, dead) = closed_port();
    let targets = [(one.addr, 1), (two.addr, 1), (dead, 1)];
    let world = setup(&targets, retries(1, 20)).start();
    for _ in 0..60 {
        world.get("/zoo/animals");
        post(&world);
    }
    let (never_sent, repeats) =
        (metric(&world, "never_sent_total"), metric(&world, "upstream_retries_total"));
    let seen = (one.seen().len() + two.seen().len()) as u64;
    assert_eq!(world.sums().calls - never_sent + repeats, seen);
    assert!(never_sent > 0 && repeats > 0, "{never_sent} {repeats}");
    assert_eq!(in_flight(&world), 0);
}

#[test]
fn nothing_is_in_flight_when_clients_have_gone() {
    let upstream = || {
        Upstream::with(|served| {
            if served.head.contains("/animals/part") {
                served.client.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
            }
            while served.client.fill() > 0 {}
            Then::Close
        })
    };
    let (one, two) = (upstream(), upstream());
    let world = setup(&[(one.addr, 1), (two.addr, 1)], UpstreamOptions::default()).start();
    for path in ["animals", "animals/part"] {
        let mut client = world.client();
        client.send(format!("GET /zoo/{path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        while in_flight(&world) == 0 {
            std::thread::yield_now();
        }
        if path.ends_with("part") {
            assert_eq!(client.head().status, 200);
        }
        drop(client);
        while in_flight(&world) > 0 {
            std::thread::yield_now();
        }
    }
}
