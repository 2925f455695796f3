//! Filling the counters at start from what the store and the journal remember, before the first request.

use keytoll_domain::key::Environment;
use keytoll_domain::ledger::PeriodRow;

use crate::journal::Charge;
use crate::keytable::KeyTable;

/// Adds sums of periods to the quota counters.
pub(crate) fn periods(keys: &KeyTable, rows: &[PeriodRow]) {
    for row in rows {
        let Some(subscription) = keys.known_subscription(row.subscription) else { continue };
        let state = subscription.state.load();
        let policy = state.policy(Environment::Live);
        subscription.cell(Environment::Live).add_period(policy, row.period_start, row.units);
    }
}

/// Counts a call of an earlier run in the windows it was admitted by.
pub(crate) fn windows(keys: &KeyTable, charge: &Charge) {
    let units = u64::from(charge.units_admitted);
    if let Some(subscription) = keys.known_subscription(charge.subscription) {
        let state = subscription.state.load();
        let policy = state.policy(charge.environment);
        subscription.cell(charge.environment).record(policy, charge.at, units);
    }
    if let Some(key) = keys.find_id(charge.key) {
        let policy = key.policy(&key.subscription.state.load());
        if !policy.is_unlimited() {
            key.cell(&policy).record(&policy, charge.at, units);
        }
    }
}
