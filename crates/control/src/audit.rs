//! The audit trail: every change leaves a row in the transaction that makes it.

use keytoll_domain::ids::{AuditId, PartnerId};
use keytoll_store::audit::{AuditRow, audit_insert, audit_page};
use keytoll_store::{StoreError, Tx};

use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::page::PageRequest;

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What happened to what. `detail` holds names and settings, never a secret.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Resource and verb, as `key.revoke`.
    pub(crate) action: &'static str,
    pub(crate) subject: String,
    pub(crate) partner: Option<PartnerId>,
    pub(crate) detail: serde_json::Value,
}

/// Adds a row in the caller's transaction.
pub(crate) async fn record(
    ctx: &Ctx,
    actor: &Actor,
    tx: &mut Tx,
    entry: Entry,
) -> Result<(), StoreError> {
    let at = ctx.now();
    let row = AuditRow {
        id: AuditId::new(at, ctx.random()),
        at,
        actor: actor.who.to_string(),
        action: entry.action.into(),
        subject: entry.subject,
        partner: entry.partner,
        detail: entry.detail,
    };
    audit_insert(tx, &row).await
}

/// Newest first. Members need [`Right::Manage`]; staff who name no partner see all.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    page: PageRequest<AuditId>,
) -> Result<Vec<AuditRow>, AuditError> {
    let partner = actor.list_subject(partner, Right::Manage)?;
    let mut tx = ctx.store.read().await?;
    Ok(audit_page(&mut tx, partner, page.cursor, page.limit()).await?)
}
