//! The ledger's door: sealed batches of calls come in, each exactly once.
//!
//! The seal and the sums it proves are written in one transaction, so a batch that is offered again after a crash is
//! recognised by its seal. A seal of the same node and number with another hash, or one that does not follow the seal
//! before it, is a second history: it is refused.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{KeyTouch, PeriodRow, RefusedRow, Seal, SealedBatch, UsageRow};
use keytoll_store::ledger as store;
use keytoll_store::product::OperationName;
use keytoll_store::{StoreError, Tx};

use crate::actor::{Actor, Denied};
use crate::ctx::Ctx;

/// What the first seal of a node names as the hash before it.
const FIRST_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SEALS_PER_PAGE: u32 = 1_000;
/// Breaks told of one node.
const BREAKS_MAX: usize = 20;

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

/// What the seals of one node are like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    pub node: String,
    pub seals: u64,
    /// Number of the last seal.
    pub last: u64,
    /// The first few places where a seal is missing or does not follow the one before.
    pub breaks: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Denied(#[from] Denied),
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
    if !follows(&mut tx, seal).await? {
        return Err(TakeError::Forked { node: seal.node.clone(), sequence: seal.sequence });
    }
    store::usage_add(&mut tx, &usage(&batch.usage)).await?;
    store::periods_add(&mut tx, &periods(&batch.periods)).await?;
    store::touches_add(&mut tx, &touches(&batch.touches)).await?;
    store::refused_add(&mut tx, &refused(&batch.refused)).await?;
    tx.commit().await?;
    Ok(Taken::Applied)
}

/// Whether the seal names the hash of the one before it, if that one is here.
async fn follows(tx: &mut Tx, seal: &Seal) -> Result<bool, StoreError> {
    let before = store::seal_by_sequence(tx, &seal.node, seal.sequence.saturating_sub(1)).await?;
    Ok(before.is_none_or(|before| before.sha256 == seal.previous))
}

/// Follows every node's seals from the first to the last.
pub async fn verify_chain(ctx: &Ctx, actor: &Actor) -> Result<Vec<ChainReport>, VerifyError> {
    actor.require_staff()?;
    let mut tx = ctx.store.read().await?;
    let mut reports = Vec::new();
    for node in store::seal_nodes(&mut tx).await? {
        reports.push(verify_node(&mut tx, node).await?);
    }
    Ok(reports)
}

async fn verify_node(tx: &mut Tx, node: String) -> Result<ChainReport, StoreError> {
    let mut report = ChainReport { node, seals: 0, last: 0, breaks: Vec::new() };
    let mut hash = FIRST_PREVIOUS.to_owned();
    loop {
        let page = store::seal_page(tx, &report.node, report.last, SEALS_PER_PAGE).await?;
        if page.is_empty() {
            return Ok(report);
        }
        for seal in page {
            if let Some(text) = break_before(&seal, report.last, &hash)
                && report.breaks.len() < BREAKS_MAX
            {
                report.breaks.push(text);
            }
            report.seals += 1;
            report.last = seal.sequence;
            hash = seal.sha256;
        }
    }
}

fn break_before(seal: &Seal, last: u64, hash: &str) -> Option<String> {
    let next = last + 1;
    if seal.sequence > next {
        return Some(format!("seals {next} to {} are missing", seal.sequence - 1));
    }
    let follows = seal.previous == hash;
    (!follows).then(|| format!("seal {} does not follow the one before", seal.sequence))
}

/// What the store holds against which a journal is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// All seals, by node and sequence.
    pub seals: Vec<Seal>,
    /// Calls and units of live usage, summed by day and summed by period: equal, unless a sum is wrong.
    pub by_day: (u64, u64),
    pub by_period: (u64, u64),
}

pub async fn stored(ctx: &Ctx) -> Result<Stored, StoreError> {
    let mut tx = ctx.store.read().await?;
    let [by_day, by_period] = store::ledger_totals(&mut tx).await?;
    let mut seals = Vec::new();
    for node in store::seal_nodes(&mut tx).await? {
        let mut after = 0;
        loop {
            let page = store::seal_page(&mut tx, &node, after, SEALS_PER_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            seals.extend(page);
        }
    }
    Ok(Stored { seals, by_day, by_period })
}

/// What operations of the ledger are called, for an export.
pub async fn operation_names(
    ctx: &Ctx,
) -> Result<HashMap<OperationKey, OperationName>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let names = keytoll_store::product::operation_names(&mut tx).await?;
    Ok(names.into_iter().map(|name| (name.operation, name)).collect())
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
