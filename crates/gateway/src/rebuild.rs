//! Filling the counters at start from what the store and the journal remember, before the first request.

use keytoll_domain::key::Environment;
use keytoll_domain::ledger::PeriodRow;
use keytoll_domain::limits::CellPolicy;

use crate::journal::Charge;
use crate::keytable::{KeyTable, SubscriptionState};

/// Adds sums of periods to the quota counters.
pub(crate) fn periods(keys: &KeyTable, rows: &[PeriodRow]) {
    for row in rows {
        let Some(subscription) = keys.known_subscription(row.subscription) else { continue };
        let policy = policy(&subscription.state.load(), Environment::Live);
        subscription.cell(Environment::Live).add_period(policy, row.period_start, row.units);
    }
}

/// Counts a call of an earlier run in the windows it was admitted by.
pub(crate) fn windows(keys: &KeyTable, charge: &Charge) {
    let units = u64::from(charge.units_admitted);
    if let Some(subscription) = keys.known_subscription(charge.subscription) {
        let policy = policy(&subscription.state.load(), charge.environment);
        subscription.cell(charge.environment).record(policy, charge.at, units);
    }
    if let Some(key) = keys.find_id(charge.key)
        && key.limit_per_minute.is_some()
    {
        let policy = CellPolicy { key_minute: key.limit_per_minute, ..CellPolicy::default() };
        key.cell.record(policy, charge.at, units);
    }
}

fn policy(state: &SubscriptionState, environment: Environment) -> CellPolicy {
    let quota = state.plan.quota.filter(|_| environment == Environment::Live);
    CellPolicy { windows: state.plan.limits, key_minute: None, quota }
}
