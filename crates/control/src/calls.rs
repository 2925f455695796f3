//! The last calls of a key: what the gateway of this process finds in its journal, with the names of operations.
//!
//! A gateway knows its own calls. Who asks a process without a gateway, or one of several, is told that the answer is
//! not complete.

use std::collections::HashMap;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, RequestId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{self, CallPlace, RecentCall};
use keytoll_domain::time::Timestamp;
use keytoll_store::product::operation_name;
use keytoll_store::{StoreError, Tx};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::actor::{Actor, Right};
use crate::ctx::Ctx;
use crate::json;
use crate::keys::{KeyError, find};
use crate::page::PageRequest;
use crate::receipts;

/// The gateway of this process. Reads files to answer.
pub trait RecentCalls: Send + Sync {
    /// The newest first, those before `before`, at most `limit`; `None` when the gateway has stopped.
    fn of_key(&self, key: KeyId, before: Option<CallPlace>, limit: usize) -> Option<NodeCalls>;
}

/// What one node knows.
#[derive(Clone, Debug)]
pub struct NodeCalls {
    pub node: String,
    pub found: ledger::RecentCalls,
}

/// A part of a key's last calls.
#[derive(Clone, Debug, Default)]
pub struct CallLog {
    pub calls: Vec<CallView>,
    /// Where to go on; absent when the journal has no more.
    pub next: Option<CallPlace>,
    /// Whether no other gateway may have served the key meanwhile.
    pub complete: bool,
    /// The gateway that tells; none = there is none in this process.
    pub node: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    pub request_id: RequestId,
    /// When it was admitted.
    #[serde(serialize_with = "json::time")]
    pub at: Timestamp,
    /// `METHOD /path`; absent for calls of no known operation.
    pub operation: Option<String>,
    pub status: u16,
    pub units: u32,
    /// Until the answer's head, with three places.
    pub latency_ms: f64,
    /// Absent while the call runs, and for verifications; told as 2³² - 1 at most.
    pub bytes_in: Option<u32>,
    pub bytes_out: Option<u32>,
    pub environment: Environment,
    /// Whether its answer was cut off.
    pub aborted: bool,
    pub node: String,
}

/// The newest first. A key of another partner is not found.
pub async fn of_key(
    ctx: &Ctx,
    actor: &Actor,
    key: KeyId,
    page: PageRequest<CallPlace>,
) -> Result<CallLog, KeyError> {
    let mut tx = ctx.store.read().await?;
    find(&mut tx, actor, key, Right::Read).await?;
    // Looking into the journal takes a while, and readers of the store are few.
    drop(tx);
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let told = match ctx.recent_calls.get().cloned() {
        Some(port) => {
            let told = spawn_blocking(move || port.of_key(key, page.cursor, limit));
            told.await.unwrap_or_default()
        }
        None => None,
    };
    let Some(NodeCalls { node, found }) = told else { return Ok(CallLog::default()) };
    let mut tx = ctx.store.read().await?;
    let names = names(&mut tx, &found.calls).await?;
    drop(tx);
    let complete = receipts::live(ctx).await?.iter().all(|other| *other == node);
    let calls = found.calls.into_iter().map(|call| view(call, &names, &node)).collect();
    Ok(CallLog { calls, next: found.next, complete, node: Some(node) })
}

type Names = HashMap<OperationKey, String>;

async fn names(tx: &mut Tx, calls: &[RecentCall]) -> Result<Names, StoreError> {
    let mut names = Names::new();
    for call in calls {
        if names.contains_key(&call.operation) {
            continue;
        }
        let found = operation_name(tx, call.operation).await?;
        let name = found.map(|name| format!("{} {}", name.method, name.path)).unwrap_or_default();
        names.insert(call.operation, name.trim().to_owned());
    }
    Ok(names)
}

fn view(call: RecentCall, names: &Names, node: &str) -> CallView {
    CallView {
        request_id: call.request,
        at: call.at,
        operation: names.get(&call.operation).filter(|name| !name.is_empty()).cloned(),
        status: call.status,
        units: call.units,
        latency_ms: f64::from(call.latency_micros) / 1000.0,
        bytes_in: call.end.map(|end| end.bytes_in),
        bytes_out: call.end.map(|end| end.bytes_out),
        environment: call.environment,
        aborted: call.end.is_some_and(|end| end.aborted),
        node: node.to_owned(),
    }
}

#[cfg(test)]
mod tests;
