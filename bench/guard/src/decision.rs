//! A decision alone: the checks and the limits of one call, without anything around them.

use std::hint::black_box;

use keytoll_domain::catalog::{Quota, WindowLimits};
use keytoll_domain::decide::{CallFacts, KeyFacts, Route, decide};
use keytoll_domain::limits::{Ask, Cell, CellPolicy, Cells, Standings, admit};
use keytoll_domain::period::{Anchor, period_at};
use keytoll_domain::scope::{ScopeIndex, ScopeSet};
use keytoll_domain::subscription::SubscriptionStatus;

use crate::{MICROS_PER_CALL, START};

pub(crate) fn run(calls: usize) {
    let windows =
        WindowLimits { second: Some(100_000), minute: Some(6_000_000), ..WindowLimits::default() };
    let quota = Some(Quota { units: 1_000_000_000, hard: true });
    let mut subscription = Cell::new(CellPolicy::of_subscription(windows, quota));
    let scopes = ScopeSet::only(vec![ScopeIndex(3), ScopeIndex(5)]);
    let needed: [Box<[ScopeIndex]>; 1] = [[ScopeIndex(5)].into()];
    let period = period_at(Anchor::Calendar, START);
    let mut now = START;
    for _ in 0..calls {
        now = now.plus_micros(MICROS_PER_CALL);
        let key = KeyFacts {
            dead: false,
            expires_at: None,
            subscription: SubscriptionStatus::Active,
            allowed_ips: &[],
            scopes: &scopes,
        };
        let call = CallFacts {
            environment_served: Some(true),
            address: None,
            product_in_plan: Some(true),
            route: Some(Route::Operation),
            operation_in_plan: Some(true),
            scopes: &needed,
        };
        decide(black_box(&key), black_box(&call), now).expect("the key may call");
        let mut counted = Cells { product: None, subscription: &mut subscription, key: None };
        let ask = Ask { units: 1, now, period, spend_cap_units: None };
        let mut standings = Standings::default();
        admit(&mut counted, black_box(&ask), &mut standings).expect("the limits are high");
        black_box(&standings);
    }
}
