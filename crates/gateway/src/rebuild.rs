//! Filling the counters at start from what the store and the journal remember, before the first request.

use std::collections::HashMap;
use std::sync::Arc;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::PeriodRow;

use crate::journal::Charge;
use crate::keytable::KeyTable;
use crate::route::{ProductRoute, Routes};

/// Adds sums of periods to the quota counters.
pub(crate) fn periods(keys: &KeyTable, rows: &[PeriodRow]) {
    for row in rows {
        let Some(subscription) = keys.known_subscription(row.subscription) else { continue };
        let state = subscription.state.load();
        let policy = state.policy(Environment::Live);
        subscription.cell(Environment::Live).add_period(policy, row.period_start, row.units);
    }
}

/// The products that have windows, by the keys of their operations, which are what charges name.
pub(crate) struct LimitedProducts(HashMap<OperationKey, Arc<ProductRoute>>);

impl LimitedProducts {
    pub(crate) fn of(routes: &Routes) -> Self {
        let mut limited = HashMap::new();
        for product in routes.all().filter(|product| product.limits.is_some()) {
            limited.insert(product.no_operation, product.clone());
            for operation in &product.operations {
                limited.insert(operation.key, product.clone());
            }
        }
        Self(limited)
    }

    /// A call of an operation that is no longer served counts for no product.
    fn record(&self, charge: &Charge) {
        let product = self.0.get(&charge.operation);
        let Some(limits) = product.and_then(|product| product.limits.as_ref()) else { return };
        let cell = limits.cells.of(charge.environment);
        cell.record(&limits.policy, charge.at, u64::from(charge.units_admitted));
    }
}

/// Counts a call of an earlier run in the windows it was admitted by.
pub(crate) fn windows(keys: &KeyTable, products: &LimitedProducts, charge: &Charge) {
    let units = u64::from(charge.units_admitted);
    products.record(charge);
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
