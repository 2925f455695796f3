//! The ledger's door: sealed batches of calls come in, each exactly once.
//!
//! The seals and the sums they prove are written in one transaction, so a batch that is offered again after a crash is
//! recognised by its seals, even when they come in other groups than before: then nothing is added, and the caller hears
//! which seals are known. A seal of the same node and number with another hash, or one that does not follow the seal before
//! it, is a second history: it is refused.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{KeyTouch, PeriodRow, RefusedRow, Seal, SealedBatch, UsageRow};
use keytoll_domain::time::Timestamp;
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
    /// The batch's seals up to this one had been taken before. Nothing was added.
    Known {
        through: u64,
    },
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
    let Some(first) = batch.seals.first() else {
        return Err(StoreError::Internal("a batch without a seal".into()).into());
    };
    let mut tx = ctx.store.write().await?;
    if let Some(through) = seals_add(&mut tx, &batch.seals, ctx.now()).await? {
        return Ok(Taken::Known { through });
    }
    if !follows(&mut tx, first).await? {
        return Err(forked(first));
    }
    store::usage_add(&mut tx, &usage(&batch.usage)).await?;
    store::periods_add(&mut tx, &periods(&batch.periods)).await?;
    store::touches_add(&mut tx, &touches(&batch.touches)).await?;
    store::refused_add(&mut tx, &refused(&batch.refused)).await?;
    tx.commit().await?;
    Ok(Taken::Applied)
}

/// Writes seals that are all new; else the last of those known. Known ones can only be the first ones of the batch, and
/// each seal names the hash of the one before it.
async fn seals_add(tx: &mut Tx, seals: &[Seal], now: Timestamp) -> Result<Option<u64>, TakeError> {
    let mut known = None;
    let mut before: Option<&Seal> = None;
    for seal in seals {
        let follows = before.is_none_or(|before| {
            seal.sequence == before.sequence + 1 && seal.previous == before.sha256
        });
        let new = store::seal_insert(tx, seal, now).await?;
        if !follows || (!new && known.is_none() && before.is_some()) {
            return Err(forked(seal));
        }
        if !new {
            let stored = store::seal_by_sequence(tx, &seal.node, seal.sequence).await?;
            if stored.is_none_or(|stored| stored.sha256 != seal.sha256) {
                return Err(forked(seal));
            }
            known = Some(seal.sequence);
        }
        before = Some(seal);
    }
    Ok(known)
}

fn forked(seal: &Seal) -> TakeError {
    TakeError::Forked { node: seal.node.clone(), sequence: seal.sequence }
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

// One row for each record, in the order of the records: the store's statements ask for both. A gateway's batch has them
// so already, and is not copied.

fn usage(rows: &[UsageRow]) -> Cow<'_, [UsageRow]> {
    let by =
        |row: &UsageRow| (row.key, row.day, row.operation, row.environment == Environment::Live);
    merged(rows, by, |sum, row| {
        sum.calls = sum.calls.saturating_add(row.calls);
        sum.successes = sum.successes.saturating_add(row.successes);
        sum.units = sum.units.saturating_add(row.units);
        sum.latency_micros = sum.latency_micros.saturating_add(row.latency_micros);
    })
}

fn periods(rows: &[PeriodRow]) -> Cow<'_, [PeriodRow]> {
    merged(
        rows,
        |row| (row.subscription, row.period_start),
        |sum, row| {
            sum.calls = sum.calls.saturating_add(row.calls);
            sum.units = sum.units.saturating_add(row.units);
        },
    )
}

fn touches(rows: &[KeyTouch]) -> Cow<'_, [KeyTouch]> {
    merged(
        rows,
        |row| row.key,
        |sum, row| {
            sum.calls = sum.calls.saturating_add(row.calls);
            sum.last_used_at = sum.last_used_at.max(row.last_used_at);
        },
    )
}

fn refused(rows: &[RefusedRow]) -> Cow<'_, [RefusedRow]> {
    merged(
        rows,
        |row| (row.day, row.key, row.code.clone()),
        |sum, row| {
            sum.count = sum.count.saturating_add(row.count);
        },
    )
}

/// The rows, sorted by record, those of one record added up.
fn merged<T: Clone, K: Ord>(
    rows: &[T],
    by: impl Fn(&T) -> K,
    add: impl Fn(&mut T, &T),
) -> Cow<'_, [T]> {
    if rows.is_sorted_by(|a, b| by(a) < by(b)) {
        return Cow::Borrowed(rows);
    }
    let mut sorted: Vec<&T> = rows.iter().collect();
    sorted.sort_by_key(|row| by(row));
    let mut sums: Vec<T> = Vec::with_capacity(sorted.len());
    for row in sorted {
        match sums.last_mut().filter(|sum| by(sum) == by(row)) {
            Some(sum) => add(sum, row),
            None => sums.push(row.clone()),
        }
    }
    Cow::Owned(sums)
}

#[cfg(test)]
mod tests;
