//! What gateways follow: a snapshot at start, all keys in pages, then changes in sequence.

use keytoll_domain::feed::{Change, Changed, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, PlanSlug};
use keytoll_domain::ledger::PeriodRow;
use keytoll_domain::period::period_at;
use keytoll_domain::subscription::Subscription;
use keytoll_domain::time::Timestamp;
use keytoll_store::feed::{FeedKind, FeedRow, feed_after, feed_head};
use keytoll_store::key::key_by_id;
use keytoll_store::key_snapshot::{key_count, key_snapshot_page};
use keytoll_store::ledger::{periods_since, seal_last};
use keytoll_store::node::{node_delete, node_put};
use keytoll_store::plan::{plan_by_version, plan_versions};
use keytoll_store::product::{product_by_id, product_page};
use keytoll_store::subscription::{subscription_by_id, subscription_page};
use keytoll_store::token::{token_by_id, token_live};
use keytoll_store::{StoreError, Tx};

use crate::ctx::Ctx;

/// Rows loaded per statement while a snapshot is put together.
const CHUNK: u32 = 1_000;
/// Keys handed out at once.
const KEYS_PAGE: u32 = 2_000;
/// Changes handed out at once.
const CHANGES_MAX: usize = 1_000;
/// Changes stop early after so many imported keys.
const IMPORTED_AT_ONCE: usize = 10_000;
/// Keys of one change of the feed.
const IMPORTED_MAX: u32 = 5_000;
/// Longest name of a node.
const NODE_MAX_LEN: usize = 100;
/// No period is longer.
const PERIOD_MAX_DAYS: i64 = 32;

/// Everything the request path decides by but keys, seen at one moment. Read [`keys`] after it, then [`changes`]
/// from its sequence on: no change is missed, and one that a page had already is harmless.
pub async fn snapshot(ctx: &Ctx, node: &str) -> Result<Snapshot, StoreError> {
    let mut tx = ctx.store.read().await?;
    let now = ctx.now();
    let sequence = feed_head(&mut tx).await?;
    let subscriptions = subscriptions(&mut tx).await?;
    let periods = periods_since(&mut tx, now.plus_days(-PERIOD_MAX_DAYS)).await?;
    Ok(Snapshot {
        sequence,
        products: products(&mut tx).await?,
        plans: plan_versions(&mut tx).await?,
        periods: running(periods, &subscriptions, now),
        subscriptions,
        key_count: key_count(&mut tx).await?,
        tokens: token_live(&mut tx).await?,
        sealed_through: seal_last(&mut tx, node).await?.map_or(0, |seal| seal.sequence),
    })
}

/// A page of the keys that are not revoked, by id; empty after the last.
pub async fn keys(ctx: &Ctx, after: Option<KeyId>) -> Result<Vec<SnapshotKey>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let first = after.map_or(KeyId::from_bytes([0; 16]), next);
    key_snapshot_page(&mut tx, (first, KeyId::from_bytes([0xff; 16])), KEYS_PAGE).await
}

/// The id after this one.
fn next(id: KeyId) -> KeyId {
    let number = u128::from_be_bytes(id.to_bytes());
    KeyId::from_bytes(number.saturating_add(1).to_be_bytes())
}

/// Changes after a sequence, in order, each with the record as it is now. Fewer than asked for where one of
/// them is a large import; none only when there are none.
pub async fn changes(ctx: &Ctx, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    let limit = u32::try_from(limit.clamp(1, CHANGES_MAX)).unwrap_or(CHUNK);
    let mut tx = ctx.store.read().await?;
    let rows = feed_after(&mut tx, after, limit).await?;
    let mut changes = Vec::with_capacity(rows.len());
    let mut imported = 0;
    for row in rows {
        let record = record(&mut tx, &row).await?.ok_or_else(|| dangling(&row))?;
        if let Changed::Keys(keys) = &record {
            imported += keys.len();
        }
        changes.push(Change { sequence: row.sequence, record });
        if imported >= IMPORTED_AT_ONCE {
            break;
        }
    }
    Ok(changes)
}

/// A node says how far it has come. Also its heartbeat: a node silent for five seconds is not waited for.
pub async fn applied(ctx: &Ctx, node: &str, sequence: u64) -> Result<(), StoreError> {
    if node.is_empty() || node.len() > NODE_MAX_LEN {
        return Err(StoreError::Internal("a node's name has 1 to 100 bytes".into()));
    }
    let mut tx = ctx.store.write().await?;
    node_put(&mut tx, node, sequence, ctx.now()).await?;
    tx.commit().await?;
    ctx.applied.notify_waiters();
    Ok(())
}

/// A node says good-bye: from now on nobody waits for it.
pub async fn left(ctx: &Ctx, node: &str) -> Result<(), StoreError> {
    let mut tx = ctx.store.write().await?;
    node_delete(&mut tx, node).await?;
    tx.commit().await?;
    ctx.applied.notify_waiters();
    Ok(())
}

async fn record(tx: &mut Tx, row: &FeedRow) -> Result<Option<Changed>, StoreError> {
    Ok(match row.kind {
        FeedKind::Product => {
            let found = product_by_id(tx, &id(row)?).await?;
            found.map(|stored| Changed::Product(Box::new(stored.product)))
        }
        FeedKind::Plan => {
            let (slug, version) = plan_id(row)?;
            plan_by_version(tx, &slug, version).await?.map(|plan| Changed::Plan(Box::new(plan)))
        }
        FeedKind::Subscription => subscription_by_id(tx, id(row)?)
            .await?
            .map(|subscription| Changed::Subscription(Box::new(subscription))),
        FeedKind::Key => {
            key_by_id(tx, id(row)?).await?.map(|found| Changed::Key(Box::new(found.key)))
        }
        FeedKind::Keys => {
            let range = row.record.split_once("..").and_then(|(first, last)| {
                Some((first.parse::<KeyId>().ok()?, last.parse::<KeyId>().ok()?))
            });
            let range = range.ok_or_else(|| dangling(row))?;
            Some(Changed::Keys(key_snapshot_page(tx, range, IMPORTED_MAX).await?))
        }
        FeedKind::Token => {
            token_by_id(tx, id(row)?).await?.map(|token| Changed::Token(Box::new(token)))
        }
    })
}

fn id<T: std::str::FromStr>(row: &FeedRow) -> Result<T, StoreError> {
    row.record.parse().map_err(|_| dangling(row))
}

fn plan_id(row: &FeedRow) -> Result<(PlanSlug, u32), StoreError> {
    let parts = row.record.split_once('@').and_then(|(slug, version)| {
        Some((slug.parse::<PlanSlug>().ok()?, version.parse::<u32>().ok()?))
    });
    parts.ok_or_else(|| dangling(row))
}

/// Records are never deleted, so a change always has one.
fn dangling(row: &FeedRow) -> StoreError {
    StoreError::Corrupt { table: "feed", column: "record_id", id: row.sequence.to_string() }
}

async fn products(tx: &mut Tx) -> Result<Vec<keytoll_domain::catalog::Product>, StoreError> {
    let mut all: Vec<keytoll_domain::catalog::Product> = Vec::new();
    loop {
        let page = product_page(tx, all.last().map(|product| &product.id), CHUNK).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn subscriptions(tx: &mut Tx) -> Result<Vec<Subscription>, StoreError> {
    let mut all: Vec<Subscription> = Vec::new();
    loop {
        let after = all.last().map(|subscription| subscription.id);
        let page = subscription_page(tx, None, after, CHUNK).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Keeps the sums of each subscription's present period. `subscriptions` is sorted by id.
fn running(
    mut periods: Vec<PeriodRow>,
    subscriptions: &[Subscription],
    now: Timestamp,
) -> Vec<PeriodRow> {
    periods.retain(|row| {
        let found = subscriptions.binary_search_by_key(&row.subscription, |found| found.id);
        found.is_ok_and(|at| period_at(subscriptions[at].anchor, now).contains(row.period_start))
    });
    periods
}

#[cfg(test)]
mod tests;
