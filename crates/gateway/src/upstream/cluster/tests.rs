use std::cell::Cell;

use keytoll_domain::catalog::{Ejection, HealthCheck};

use super::*;

fn cluster(weights: &[u16], options: &UpstreamOptions) -> Arc<Cluster> {
    let target = |(index, weight): (usize, &u16)| Target {
        url: format!("http://127.0.0.1:{}", 1000 + index),
        weight: *weight,
    };
    let targets: Vec<Target> = weights.iter().enumerate().map(target).collect();
    let upstream = |target: &Target| Arc::new(Upstream::parse(&target.url, 0).unwrap());
    let upstreams = targets.iter().map(upstream).collect();
    Arc::new(Cluster::new(0, options, &targets, upstreams, Instant::now()))
}

/// Every residue once, so that shares are exact.
fn shares(cluster: &Cluster, tried: u64, count: usize) -> Vec<u32> {
    let next = Cell::new(0u64);
    let mut shares = vec![0; cluster.members.len()];
    for _ in 0..count {
        let random = || {
            // The first of the two samples moves on with every choice, the second is the same.
            let at = next.get();
            next.set(at + 1);
            at / 2
        };
        shares[cluster.choose(tried, random).unwrap()] += 1;
    }
    shares
}

#[test]
fn idle_targets_share_by_weight() {
    assert_eq!(shares(&cluster(&[3, 1], &UpstreamOptions::default()), 0, 400), [300, 100]);
    assert_eq!(shares(&cluster(&[1, 2, 5], &UpstreamOptions::default()), 4, 300), [100, 200, 0]);
}

#[test]
fn the_less_loaded_of_two_is_chosen_relative_to_its_weight() {
    let cluster = cluster(&[3, 1], &UpstreamOptions::default());
    let both = |first: u64| {
        let next = Cell::new(first);
        move || next.replace((next.get() + 3) % 4)
    };
    let first = Flight::begin(&cluster, 0).unwrap();
    assert_eq!(cluster.choose(0, both(0)), Ok(1), "1/3 against 0");
    let second = Flight::begin(&cluster, 1).unwrap();
    assert_eq!(cluster.choose(0, both(3)), Ok(0), "1 against 1/3");
    drop((first, second));
    assert_eq!(cluster.members.iter().map(|member| member.upstream.in_flight()).sum::<u32>(), 0);
}

#[test]
fn failing_targets_are_left_out_but_never_the_last() {
    let eject = Some(Ejection { failures: 2, secs: 10 });
    let mut cluster = cluster(&[1, 1], &UpstreamOptions { eject, ..UpstreamOptions::default() });
    cluster.failed(0);
    cluster.succeeded(0);
    cluster.failed(0);
    assert_eq!(shares(&cluster, 0, 100), [50, 50], "not in a row");
    cluster.failed(0);
    assert_eq!(shares(&cluster, 0, 100), [0, 100]);
    cluster.failed(1);
    cluster.failed(1);
    assert_eq!(shares(&cluster, 0, 100), [0, 100], "the last one");
    assert_eq!(shares(&cluster, 2, 100), [100, 0], "a repeat goes elsewhere");
    Arc::get_mut(&mut cluster).unwrap().epoch -= Duration::from_secs(10);
    assert_eq!(shares(&cluster, 0, 100), [50, 50]);
    cluster.failed(0);
    assert_eq!(shares(&cluster, 0, 100), [0, 100], "one failure is enough after its return");
}

#[test]
fn unhealthy_targets_are_never_chosen() {
    let health = Some(HealthCheck::default());
    let options = UpstreamOptions { health, ..UpstreamOptions::default() };
    for weights in [&[1][..], &[1, 1]] {
        let cluster = cluster(weights, &options);
        for member in &cluster.members {
            assert!(cluster.choose(0, || 0).is_ok());
            member.upstream.state.healthy.store(false, Relaxed);
        }
        assert_eq!(cluster.choose(0, || 0), Err(Failure::Unavailable));
    }
}
