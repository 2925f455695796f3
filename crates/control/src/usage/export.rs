//! The sums of the ledger as lines, for other systems.

use serde::Serialize;

use keytoll_domain::ids::KeyId;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::UsageRow;
use keytoll_domain::time::Day;
use keytoll_store::usage::{Days, ExportRow, usage_export_page};

use super::UsageError;
use crate::actor::Actor;
use crate::ctx::Ctx;

/// Lines of one page.
const EXPORT_LINES: u32 = 1_000;

/// One line of an export: the calls of a key to an operation on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportLine {
    pub date: String,
    /// Empty for a key that is gone.
    pub partner: String,
    pub subscription: String,
    pub key: KeyId,
    pub environment: Environment,
    pub product: String,
    pub method: String,
    pub path: String,
    pub calls: u64,
    pub successes: u64,
    pub units: u64,
    /// Sum of the times to the answer head.
    pub latency_micros: u64,
    #[serde(skip)]
    row: UsageRow,
}

/// Everything counted from one day to another (both included), by key, a page at a time: give the last line of a page for the
/// next; an empty page is the end.
pub async fn export(
    ctx: &Ctx,
    actor: &Actor,
    first: Day,
    last: Day,
    after: Option<&ExportLine>,
) -> Result<Vec<ExportLine>, UsageError> {
    actor.require_staff()?;
    let after = after.map(|line| &line.row);
    let mut tx = ctx.store.read().await?;
    let rows = usage_export_page(&mut tx, Days { first, last }, after, EXPORT_LINES).await?;
    Ok(rows.into_iter().map(export_line).collect())
}

fn export_line(found: ExportRow) -> ExportLine {
    let (partner, subscription) = match found.owner {
        Some((partner, subscription)) => (partner.to_string(), subscription.to_string()),
        None => Default::default(),
    };
    let (product, method, path) = match found.name {
        Some((product, method, path)) => (product.to_string(), method, path),
        None => Default::default(),
    };
    let row = found.usage;
    ExportLine {
        date: row.day.to_string(),
        partner,
        subscription,
        key: row.key,
        environment: row.environment,
        product,
        method,
        path,
        calls: row.calls,
        successes: row.successes,
        units: row.units,
        latency_micros: row.latency_micros,
        row,
    }
}
