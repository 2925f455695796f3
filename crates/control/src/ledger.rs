//! The ledger's door: sealed batches of calls come in, each exactly once.
//!
//! The seal and the sums it proves are written in one transaction, so a batch that is offered again after a crash is
//! recognised by its seal. A seal of the same node and number with another hash is a second history: it is refused.

use std::collections::BTreeMap;

use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{KeyTouch, PeriodRow, RefusedRow, SealedBatch, UsageRow};
use keytoll_store::StoreError;
use keytoll_store::ledger as store;

use crate::ctx::Ctx;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Applied,
    /// The same batch had been taken before.
    Known,
}

#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error("seal {sequence} of node {node} is known with another hash")]
    Forked { node: String, sequence: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a batch. Records that it names need not exist any more.
pub async fn take(ctx: &Ctx, batch: &SealedBatch) -> Result<Taken, TakeError> {
    let seal = &batch.seal;
    let mut tx = ctx.store.write().await?;
    if !store::seal_insert(&mut tx, seal, ctx.now()).await? {
        let known = store::seal_by_sequence(&mut tx, &seal.node, seal.sequence).await?;
        if known.is_some_and(|known| known.sha256 == seal.sha256) {
            return Ok(Taken::Known);
        }
        return Err(TakeError::Forked { node: seal.node.clone(), sequence: seal.sequence });
    }
    store::usage_add(&mut tx, &usage(&batch.usage)).await?;
    store::periods_add(&mut tx, &periods(&batch.periods)).await?;
    store::touches_add(&mut tx, &touches(&batch.touches)).await?;
    store::refused_add(&mut tx, &refused(&batch.refused)).await?;
    tx.commit().await?;
    Ok(Taken::Applied)
}

// One row for each record, in the order of the records: the store's statements ask for both.

fn usage(rows: &[UsageRow]) -> Vec<UsageRow> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let live = row.environment == Environment::Live;
        let sum = sums.entry((row.key, row.day, row.operation, live)).or_insert_with(|| UsageRow {
            calls: 0,
            successes: 0,
            units: 0,
            latency_micros: 0,
            ..row.clone()
        });
        sum.calls = sum.calls.saturating_add(row.calls);
        sum.successes = sum.successes.saturating_add(row.successes);
        sum.units = sum.units.saturating_add(row.units);
        sum.latency_micros = sum.latency_micros.saturating_add(row.latency_micros);
    }
    sums.into_values().collect()
}

fn periods(rows: &[PeriodRow]) -> Vec<PeriodRow> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((row.subscription, row.period_start)).or_insert_with(|| PeriodRow {
            calls: 0,
            units: 0,
            ..row.clone()
        });
        sum.calls = sum.calls.saturating_add(row.calls);
        sum.units = sum.units.saturating_add(row.units);
    }
    sums.into_values().collect()
}

fn touches(rows: &[KeyTouch]) -> Vec<KeyTouch> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.key).or_insert_with(|| KeyTouch { calls: 0, ..row.clone() });
        sum.calls = sum.calls.saturating_add(row.calls);
        sum.last_used_at = sum.last_used_at.max(row.last_used_at);
    }
    sums.into_values().collect()
}

fn refused(rows: &[RefusedRow]) -> Vec<RefusedRow> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let key = (row.day, row.key, row.code.as_str());
        let sum = sums.entry(key).or_insert_with(|| RefusedRow { count: 0, ..row.clone() });
        sum.count = sum.count.saturating_add(row.count);
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests;
