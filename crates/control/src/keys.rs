//! API keys: issue, list, roll, revoke, disable, import.
//!
//! A secret exists in [`Issued`] and [`Rolled`] only, on its way to the one answer that shows it. Every
//! change is one transaction: the key, the audit row, the row of the feed. The answer then waits until the
//! live gateways have applied it (see [`crate::receipts`]).

mod import;
mod issue;
mod roll;
mod upgrade;
mod view;

use keytoll_domain::ids::{KeyId, PartnerId};
use keytoll_domain::key::{Key, KeyStatus};
use keytoll_store::feed::{FeedKind, feed_append};
use keytoll_store::key::{KeyWithTotals, key_by_id, key_page, key_revoke, key_set_disabled};
use keytoll_store::{StoreError, Tx};
use serde_json::json;

use crate::actor::{Actor, Denied, Right};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::page::PageRequest;
use crate::receipts::{self, Receipt};

pub use import::{IMPORT_MAX_LINES, ImportError, Imported, LineFault, import};
pub use issue::{IssueError, Issued, NewKey, RateLimit, WARNING, issue};
pub use roll::{ROLL_WARNING, RollError, RollName, RollOptions, Rolled, roll};
pub use upgrade::upgrade;
pub use view::KeyView;

/// Why a key was not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// `NotFound` also for a key that is revoked already, where the request was to end it.
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key that was changed, as it is now.
#[derive(Clone, Debug)]
pub struct KeyChanged {
    pub key: Key,
    pub receipt: Receipt,
}

/// Newest first, revoked ones included. Staff who name no partner see all.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    page: PageRequest<KeyId>,
) -> Result<Vec<KeyView>, KeyError> {
    let partner = actor.list_subject(partner, Right::Read)?;
    let mut tx = ctx.store.read().await?;
    let rows = key_page(&mut tx, partner, page.cursor, page.limit()).await?;
    let now = ctx.now();
    Ok(rows.into_iter().map(|row| KeyView::new(row, now)).collect())
}

pub async fn show(ctx: &Ctx, actor: &Actor, id: KeyId) -> Result<KeyView, KeyError> {
    let mut tx = ctx.store.read().await?;
    let found = find(&mut tx, actor, id, Right::Read).await?;
    Ok(KeyView::new(found, ctx.now()))
}

/// Ends a key for good. A key that is revoked already is not found.
pub async fn revoke(ctx: &Ctx, actor: &Actor, id: KeyId) -> Result<KeyChanged, KeyError> {
    let mut tx = ctx.store.write().await?;
    let mut key = find(&mut tx, actor, id, Right::Keys).await?.key;
    let now = ctx.now();
    if !key_revoke(&mut tx, id, now).await? {
        return Err(Denied::NotFound.into());
    }
    key.revoked_at = Some(now);
    let sequence = record(ctx, actor, &mut tx, "key.revoke", &key).await?;
    ctx.publish(tx).await?;
    Ok(KeyChanged { key, receipt: receipts::wait(ctx, sequence).await })
}

/// Switches a key off until [`enable`]. Staff only, so that a partner cannot undo what the provider did.
pub async fn disable(ctx: &Ctx, actor: &Actor, id: KeyId) -> Result<KeyChanged, KeyError> {
    set_disabled(ctx, actor, id, true).await
}

/// Switches a disabled key on again.
pub async fn enable(ctx: &Ctx, actor: &Actor, id: KeyId) -> Result<KeyChanged, KeyError> {
    set_disabled(ctx, actor, id, false).await
}

async fn set_disabled(
    ctx: &Ctx,
    actor: &Actor,
    id: KeyId,
    disabled: bool,
) -> Result<KeyChanged, KeyError> {
    let mut tx = ctx.store.write().await?;
    let mut key = find(&mut tx, actor, id, Right::Keys).await?.key;
    actor.require_staff()?;
    key.disabled_at = disabled.then(|| key.disabled_at.unwrap_or(ctx.now()));
    if !key_set_disabled(&mut tx, id, key.disabled_at).await? {
        return Err(Denied::NotFound.into());
    }
    let action = if disabled { "key.disable" } else { "key.enable" };
    let sequence = record(ctx, actor, &mut tx, action, &key).await?;
    ctx.publish(tx).await?;
    Ok(KeyChanged { key, receipt: receipts::wait(ctx, sequence).await })
}

/// The key, if the actor may do this to it.
pub(crate) async fn find(
    tx: &mut Tx,
    actor: &Actor,
    id: KeyId,
    right: Right,
) -> Result<KeyWithTotals, KeyError> {
    let found = key_by_id(tx, id).await?.ok_or(Denied::NotFound)?;
    actor.require(found.key.partner, right)?;
    Ok(found)
}

/// The audit row and the row of the feed of a change; returns the sequence.
async fn record(
    ctx: &Ctx,
    actor: &Actor,
    tx: &mut Tx,
    action: &'static str,
    key: &Key,
) -> Result<u64, StoreError> {
    let entry = Entry {
        action,
        subject: key.id.to_string(),
        partner: Some(key.partner),
        detail: json!({
            "name": key.name,
            "prefix": key.prefix,
            "environment": key.environment,
            "scopes": key.scopes,
        }),
    };
    audit::record(ctx, actor, tx, entry).await?;
    feed_append(tx, FeedKind::Key, key.id, ctx.now()).await
}

fn is_usable(key: &Key, ctx: &Ctx) -> bool {
    key.status(ctx.now()) == KeyStatus::Active
}

#[cfg(test)]
mod tests;
