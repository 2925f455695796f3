use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_has_its_places_and_gets_them_back() {
    let places = Places::new(2);
    let one = places.take(ip("192.0.2.1")).unwrap();
    let two = places.clone().take(ip("192.0.2.1"));
    assert!(two.is_some());
    assert!(places.take(ip("192.0.2.1")).is_none());
    assert!(places.take(ip("192.0.2.2")).is_some(), "the neighbour has places of its own");
    drop(one);
    assert!(places.take(ip("192.0.2.1")).is_some());
}

#[test]
fn ipv6_counts_by_64_and_mapped_ipv4_by_address() {
    let places = Places::new(1);
    let _held = places.take(ip("2001:db8:0:1::1")).unwrap();
    assert!(places.take(ip("2001:db8:0:1:ffff::9")).is_none());
    assert!(places.take(ip("2001:db8:0:2::1")).is_some());
    let _mapped = places.take(ip("::ffff:192.0.2.1")).unwrap();
    assert!(places.take(ip("192.0.2.1")).is_none());
    assert!(places.take(ip("::ffff:192.0.2.2")).is_some());
}

#[test]
fn a_refused_address_leaves_nothing_behind() {
    let places = Places::new(1);
    for last in 0..=255u8 {
        let held = places.take(IpAddr::from([192, 0, 2, last]));
        assert!(held.is_some());
        assert!(places.take(IpAddr::from([192, 0, 2, last])).is_none());
    }
    let kept: usize = places.0.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
    assert_eq!(kept, 0);
}

#[test]
fn many_threads_never_hold_more_than_allowed() {
    use std::sync::atomic::{AtomicU32, Ordering};
    const MAX: u32 = 3;
    let places = Places::new(MAX);
    let (held, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let Some(place) = places.take(ip("192.0.2.1")) else { continue };
                    assert!(held.fetch_add(1, Ordering::SeqCst) < MAX);
                    taken.fetch_add(1, Ordering::SeqCst);
                    held.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                }
            });
        }
    });
    assert!(taken.load(Ordering::SeqCst) > 0);
    assert!(places.take(ip("192.0.2.1")).is_some());
}
