//! Partners, and who is a member of them.

use keytoll_domain::ids::{PartnerId, UserId};
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::PartnerRole;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    pub id: PartnerId,
    pub name: String,
    /// Where the provider reaches the partner; not a log-in.
    pub email: String,
    pub created_at: Timestamp,
}

statements! { "partners";
    INSERT = "INSERT INTO partners (id, name, email, created_at) VALUES ($1, $2, $3, $4)";
    BY_ID = "SELECT id, name, email, created_at FROM partners WHERE id = $1";
    PAGE = "SELECT id, name, email, created_at FROM partners WHERE id < $1 ORDER BY id DESC LIMIT $2";
    LOCK = "UPDATE partners SET name = name WHERE id = $1";
    MEMBER_INSERT = "INSERT INTO members (user_id, partner_id, role) VALUES ($1, $2, $3)";
    MEMBERSHIPS = "SELECT partner_id, role FROM members WHERE user_id = $1 ORDER BY partner_id";
}

pub async fn partner_insert(tx: &mut Tx, partner: &Partner) -> Result<()> {
    let query = tx.query(INSERT).text(partner.id).text(&partner.name).text(&partner.email);
    query.time(partner.created_at).execute().await?;
    Ok(())
}

pub async fn partner_by_id(tx: &mut Tx, id: PartnerId) -> Result<Option<Partner>> {
    tx.query(BY_ID).text(id).one(partner).await
}

/// Newest first, those created before `before`.
pub async fn partner_page(
    tx: &mut Tx,
    before: Option<PartnerId>,
    limit: u32,
) -> Result<Vec<Partner>> {
    let before = before.unwrap_or(PartnerId::from_bytes([0xff; 16]));
    tx.query(PAGE).text(before).big(limit.into()).all(partner).await
}

/// Holds the partner's row until the transaction ends: whatever is counted per partner is counted behind
/// this. False when there is no such partner.
pub async fn partner_lock(tx: &mut Tx, id: PartnerId) -> Result<bool> {
    Ok(tx.query(LOCK).text(id).execute().await? == 1)
}

pub async fn member_insert(
    tx: &mut Tx,
    user: UserId,
    partner: PartnerId,
    role: PartnerRole,
) -> Result<()> {
    tx.query(MEMBER_INSERT).text(user).text(partner).text(role.as_str()).execute().await?;
    Ok(())
}

/// The partners a user belongs to, oldest first.
pub async fn member_partners(tx: &mut Tx, user: UserId) -> Result<Vec<(PartnerId, PartnerRole)>> {
    let read = |row: &Row| Ok((row.parse("partner_id")?, row.word("role", PartnerRole::parse)?));
    tx.query(MEMBERSHIPS).text(user).all(read).await
}

fn partner(row: &Row) -> Result<Partner> {
    Ok(Partner {
        id: row.parse("id")?,
        name: row.text("name")?,
        email: row.text("email")?,
        created_at: row.time("created_at")?,
    })
}
