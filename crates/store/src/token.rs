//! Management tokens. Only the SHA-256 of a token is here.

use keytoll_domain::ids::{PartnerId, TokenId};
use keytoll_domain::key::KeyHash;
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::{PartnerRole, StaffRole, Token, TokenRole};

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "tokens";
    INSERT = "INSERT INTO tokens (id, name, hash, staff_role, partner_id, partner_role, created_by, \
        created_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    BY_ID = "SELECT * FROM tokens WHERE id = $1";
    BY_HASH = "SELECT * FROM tokens WHERE hash = $1";
    LIVE = "SELECT * FROM tokens WHERE revoked_at IS NULL ORDER BY id";
    PAGE_STAFF = "SELECT * FROM tokens WHERE id < $1 ORDER BY id DESC LIMIT $2";
    PAGE_PARTNER = "SELECT * FROM tokens WHERE id < $1 AND partner_id = $3 ORDER BY id DESC LIMIT $2";
    LIVE_OF_PARTNER = "SELECT COUNT(*) AS live FROM tokens WHERE partner_id = $1 AND revoked_at IS NULL";
    REVOKE = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
}

pub async fn token_insert(tx: &mut Tx, token: &Token) -> Result<()> {
    let (staff, partner) = match token.role {
        TokenRole::Staff(role) => (Some(role.as_str()), None),
        TokenRole::Partner(partner, role) => (None, Some((partner, role.as_str()))),
    };
    tx.query(INSERT)
        .text(token.id)
        .text(&token.name)
        .hash(token.hash)
        .text_or_null(staff)
        .text_or_null(partner.map(|(partner, _)| partner))
        .text_or_null(partner.map(|(_, role)| role))
        .text_or_null(token.created_by)
        .time(token.created_at)
        .time_or_null(token.revoked_at)
        .execute()
        .await?;
    Ok(())
}

pub async fn token_by_id(tx: &mut Tx, id: TokenId) -> Result<Option<Token>> {
    tx.query(BY_ID).text(id).one(token).await
}

pub async fn token_by_hash(tx: &mut Tx, hash: KeyHash) -> Result<Option<Token>> {
    tx.query(BY_HASH).hash(hash).one(token).await
}

/// Every token that is not revoked, for the data plane.
pub async fn token_live(tx: &mut Tx) -> Result<Vec<Token>> {
    tx.query(LIVE).all(token).await
}

/// Newest first; of one partner, or all (staff tokens included).
pub async fn token_page(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    before: Option<TokenId>,
    limit: u32,
) -> Result<Vec<Token>> {
    let before = before.unwrap_or(TokenId::from_bytes([0xff; 16]));
    let statement = if partner.is_some() { PAGE_PARTNER } else { PAGE_STAFF };
    let query = tx.query(statement).text(before).big(limit.into());
    match partner {
        Some(partner) => query.text(partner).all(token).await,
        None => query.all(token).await,
    }
}

/// Tokens of a partner that are not revoked.
pub async fn token_count_live(tx: &mut Tx, partner: PartnerId) -> Result<u64> {
    let count = tx.query(LIVE_OF_PARTNER).text(partner).one(|row| row.count("live")).await?;
    Ok(count.unwrap_or_default())
}

/// False when there is no such token or it was revoked before.
pub async fn token_revoke(tx: &mut Tx, id: TokenId, at: Timestamp) -> Result<bool> {
    Ok(tx.query(REVOKE).text(id).time(at).execute().await? == 1)
}

fn token(row: &Row) -> Result<Token> {
    Ok(Token {
        id: row.parse("id")?,
        name: row.text("name")?,
        hash: row.hash("hash")?,
        role: role(row)?,
        created_by: row.parse_or_null("created_by")?,
        created_at: row.time("created_at")?,
        revoked_at: row.time_or_null("revoked_at")?,
    })
}

fn role(row: &Row) -> Result<TokenRole> {
    if row.text_or_null("staff_role")?.is_some() {
        return Ok(TokenRole::Staff(row.word("staff_role", StaffRole::parse)?));
    }
    let role = row.word("partner_role", PartnerRole::parse)?;
    Ok(TokenRole::Partner(row.parse("partner_id")?, role))
}
