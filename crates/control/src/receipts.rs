//! Proof that the gateways have heard of a change.
//!
//! A change is committed before its receipt is asked for; a receipt can therefore be late or name nodes that
//! did not answer, but it never fails and never undoes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use keytoll_domain::time::Timestamp;
use keytoll_store::StoreError;
use keytoll_store::feed::feed_head;
use keytoll_store::node::{NodeRow, node_seen_since};
use serde::Serialize;

use crate::ctx::Ctx;

/// A node that has not been heard of for this long is not waited for.
const LIVE_SECS: i64 = 5;
const TICK: Duration = Duration::from_millis(20);
/// Stands in `missing` when the store could not even say which nodes are live.
const UNKNOWN_NODE: &str = "(unknown)";

/// Which live nodes have applied a change, and which have not in time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub nodes: Vec<NodeReceipt>,
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeReceipt {
    pub node: String,
    /// Milliseconds from the commit until the node was seen to have applied it.
    pub ms: u64,
}

/// Waits until every live node has applied `sequence`, at most [`crate::Settings::receipt_wait_ms`].
pub async fn wait(ctx: &Ctx, sequence: u64) -> Receipt {
    let start = ctx.now();
    let mut heard = Heard::default();
    let limit = Duration::from_millis(ctx.settings.receipt_wait_ms);
    // Running out of time is an outcome like the other: what was heard until then is the receipt.
    let _in_time = tokio::time::timeout(limit, listen(ctx, sequence, start, &mut heard)).await;
    heard.receipt()
}

/// [`wait`] for everything that has been committed until now.
pub async fn settle(ctx: &Ctx) -> Result<Receipt, StoreError> {
    let mut tx = ctx.store.read().await?;
    let head = feed_head(&mut tx).await?;
    drop(tx);
    Ok(wait(ctx, head).await)
}

#[derive(Default)]
struct Heard {
    /// By node: milliseconds, or not yet.
    nodes: BTreeMap<String, Option<u64>>,
    answered: bool,
}

async fn listen(ctx: &Ctx, sequence: u64, start: Timestamp, heard: &mut Heard) {
    loop {
        let rung = ctx.applied.notified();
        if let Ok(rows) = live_nodes(ctx).await {
            heard.note(rows, sequence, elapsed_ms(start, ctx.now()));
            if heard.nodes.values().all(Option::is_some) {
                return;
            }
        }
        let _either = tokio::time::timeout(TICK, rung).await;
    }
}

/// The names of the nodes that serve now.
pub async fn live(ctx: &Ctx) -> Result<Vec<String>, StoreError> {
    Ok(live_nodes(ctx).await?.into_iter().map(|row| row.node).collect())
}

async fn live_nodes(ctx: &Ctx) -> Result<Vec<NodeRow>, StoreError> {
    let mut tx = ctx.store.read().await?;
    node_seen_since(&mut tx, ctx.now().plus_secs(-LIVE_SECS)).await
}

fn elapsed_ms(start: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.0.saturating_sub(start.0) / 1000).unwrap_or(0)
}

impl Heard {
    /// A node that died while we waited is no longer waited for.
    fn note(&mut self, rows: Vec<NodeRow>, sequence: u64, ms: u64) {
        self.answered = true;
        self.nodes.retain(|node, done| done.is_some() || rows.iter().any(|row| row.node == *node));
        for row in rows {
            let done = self.nodes.entry(row.node).or_default();
            if done.is_none() && row.sequence >= sequence {
                *done = Some(ms);
            }
        }
    }

    fn receipt(self) -> Receipt {
        let mut receipt = Receipt::default();
        if !self.answered {
            receipt.missing.push(UNKNOWN_NODE.into());
        }
        for (node, ms) in self.nodes {
            match ms {
                Some(ms) => receipt.nodes.push(NodeReceipt { node, ms }),
                None => receipt.missing.push(node),
            }
        }
        receipt
    }
}

#[cfg(test)]
mod tests;
