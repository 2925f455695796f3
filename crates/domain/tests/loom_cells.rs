//! The gateway's locks around cells, in every order in which threads can meet there. Run by `make loom`; in an
//! ordinary build there is nothing here.
#![cfg(loom)]

#[path = "../../gateway/src/cells.rs"]
#[expect(dead_code, reason = "the model needs only a part of it")]
mod cells;

use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::limits::CellPolicy;
use keytoll_domain::period::Anchor;
use keytoll_domain::time::Timestamp;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use cells::{Admitted, LazyCell, Terms, admit, standings};

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

#[derive(Default)]
struct World {
    product: LazyCell,
    subscription: LazyCell,
    key: LazyCell,
    running: AtomicU32,
}

fn terms(per_minute: u64, concurrency: u32) -> Terms {
    let minute = WindowLimits { minute: Some(per_minute), ..WindowLimits::default() };
    Terms {
        product: CellPolicy::of_product(minute),
        subscription: CellPolicy::of_subscription(minute, None),
        key: CellPolicy::of_key(WindowLimits::default(), Some(concurrency)),
        anchor: Anchor::Calendar,
        spend_cap: None,
    }
}

impl World {
    fn admit(&self, terms: &Terms) -> Option<Admitted> {
        admit(Some(&self.product), &self.subscription, &self.key, terms, 1, NOW).ok()
    }

    /// Admits, runs and ends a call; whether it was admitted.
    fn call(&self, terms: &Terms, concurrency: u32) -> bool {
        let Some(mut admitted) = self.admit(terms) else { return false };
        assert!(self.running.fetch_add(1, Ordering::SeqCst) < concurrency);
        self.running.fetch_sub(1, Ordering::SeqCst);
        admitted.settle(&self.subscription, 1, 0);
        admitted.release(&self.key);
        admitted.release(&self.key);
        true
    }
}

/// Two calls and one place: never both at once, and the place is there again afterwards, once.
#[test]
fn a_place_is_held_by_one_call_and_given_back_once() {
    loom::model(|| {
        let (world, terms) = (Arc::new(World::default()), terms(10, 1));
        let other = world.clone();
        let thread = thread::spawn(move || other.call(&terms, 1));
        let here = world.call(&terms, 1);
        let there = thread.join().expect("the other call ends");
        assert!(here || there, "a place that is free is given");
        assert!(world.admit(&terms).is_some() && world.admit(&terms).is_none());
    });
}

/// Two calls and one unit: exactly one is admitted, whoever reads or frees the cells meanwhile.
#[test]
fn one_unit_is_admitted_once_and_the_order_of_locks_admits_no_deadlock() {
    loom::model(|| {
        let (world, terms) = (Arc::new(World::default()), terms(1, 2));
        let other = world.clone();
        let thread = thread::spawn(move || {
            let admitted = other.call(&terms, 2);
            other.key.drop_idle(NOW);
            admitted
        });
        let here = world.call(&terms, 2);
        standings(Some(&world.product), &world.subscription, &world.key, &terms, NOW);
        let there = thread.join().expect("the other call ends");
        assert!(here != there, "one unit is admitted to one call");
    });
}
