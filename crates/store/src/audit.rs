//! The audit trail: who did what to what. Rows are only ever added.

use keytoll_domain::ids::{AuditId, PartnerId};
use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: AuditId,
    pub at: Timestamp,
    /// `user:usr_…`, `token:tok_…`, `cli` or `system`.
    pub actor: String,
    /// Resource and verb, as `key.revoke`.
    pub action: String,
    /// Id of the record.
    pub subject: String,
    pub partner: Option<PartnerId>,
    /// A JSON object; never a secret.
    pub detail: serde_json::Value,
}

statements! { "audit";
    INSERT = "INSERT INTO audit (id, at, actor, action, subject, partner_id, detail) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    PAGE_ALL = "SELECT id, at, actor, action, subject, partner_id, detail FROM audit \
        WHERE id < $1 ORDER BY id DESC LIMIT $2";
    PAGE_PARTNER = "SELECT id, at, actor, action, subject, partner_id, detail FROM audit \
        WHERE id < $1 AND partner_id = $3 ORDER BY id DESC LIMIT $2";
}

pub async fn audit_insert(tx: &mut Tx, row: &AuditRow) -> Result<()> {
    let query = tx.query(INSERT).text(row.id).time(row.at).text(&row.actor).text(&row.action);
    query.text(&row.subject).text_or_null(row.partner).text(&row.detail).execute().await?;
    Ok(())
}

/// Newest first; of one partner, or everything.
pub async fn audit_page(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    before: Option<AuditId>,
    limit: u32,
) -> Result<Vec<AuditRow>> {
    let before = before.unwrap_or(AuditId::from_bytes([0xff; 16]));
    let statement = if partner.is_some() { PAGE_PARTNER } else { PAGE_ALL };
    let query = tx.query(statement).text(before).big(limit.into());
    match partner {
        Some(partner) => query.text(partner).all(audit).await,
        None => query.all(audit).await,
    }
}

fn audit(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        id: row.parse("id")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        partner: row.parse_or_null("partner_id")?,
        detail: row.json("detail")?,
    })
}
