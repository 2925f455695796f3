//! API keys. Only the SHA-256 of a secret is here; what a key has served is in `key_totals`.

use keytoll_domain::ids::{KeyId, PartnerId};
use keytoll_domain::key::{Environment, Key, KeyHash, KeyWindows};
use keytoll_domain::time::Timestamp;

use crate::db::query::{Query, Row, Statement, statements};
use crate::{Result, Tx};

/// A key with what it has served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWithTotals {
    pub key: Key,
    pub total_requests: u64,
    pub last_used_at: Option<Timestamp>,
    /// The key that follows this one after a roll with a grace period.
    pub replaced_by: Option<KeyId>,
}

statements! { "keys";
    INSERT = "INSERT INTO keys (id, partner_id, subscription_id, name, hash, prefix, environment, \
        scopes, products, rate_limit_per_minute, allowed_ips, expires_at, disabled_at, revoked_at, \
        created_at, imported, windows) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    BY_ID = "SELECT k.*, COALESCE(t.total_requests, 0) AS total_requests, t.last_used_at \
        FROM keys k LEFT JOIN key_totals t ON t.key_id = k.id \
        WHERE k.id = $1";
    BY_HASH = "SELECT k.*, COALESCE(t.total_requests, 0) AS total_requests, t.last_used_at \
        FROM keys k LEFT JOIN key_totals t ON t.key_id = k.id \
        WHERE k.hash = $1";
    PAGE_ALL = "SELECT k.*, COALESCE(t.total_requests, 0) AS total_requests, t.last_used_at \
        FROM keys k LEFT JOIN key_totals t ON t.key_id = k.id \
        WHERE k.id < $1 ORDER BY k.id DESC LIMIT $2";
    PAGE_PARTNER = "SELECT k.*, COALESCE(t.total_requests, 0) AS total_requests, t.last_used_at \
        FROM keys k LEFT JOIN key_totals t ON t.key_id = k.id \
        WHERE k.id < $1 AND k.partner_id = $3 ORDER BY k.id DESC LIMIT $2";
    SAME_NAME = "SELECT k.*, COALESCE(t.total_requests, 0) AS total_requests, t.last_used_at \
        FROM keys k LEFT JOIN key_totals t ON t.key_id = k.id \
        WHERE k.partner_id = $1 AND k.subscription_id = $2 AND k.name = $3 \
        AND k.environment = $4 AND k.revoked_at IS NULL ORDER BY k.id";
    COUNT_ACTIVE = "SELECT COUNT(*) AS active FROM keys \
        WHERE partner_id = $1 AND revoked_at IS NULL AND imported = 0 AND replaced_by IS NULL";
    COUNT_REPLACED = "SELECT COUNT(*) AS replaced FROM keys WHERE partner_id = $1 \
        AND revoked_at IS NULL AND replaced_by IS NOT NULL AND expires_at > $2";
    REVOKE = "UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    REPLACE = "UPDATE keys SET expires_at = $2, replaced_by = $3 \
        WHERE id = $1 AND revoked_at IS NULL AND replaced_by IS NULL";
    SET_DISABLED = "UPDATE keys SET disabled_at = $2 WHERE id = $1 AND revoked_at IS NULL";
}

/// The statement of [`key_insert`], from which the one for many rows is made.
pub(crate) fn insert_statement() -> Statement {
    INSERT
}

/// Conflict `keys_hash` when the secret is in use.
pub async fn key_insert(tx: &mut Tx, key: &Key) -> Result<()> {
    bind(tx.query(INSERT), key)?.execute().await?;
    Ok(())
}

pub(crate) fn bind<'q>(query: Query<'q>, key: &Key) -> Result<Query<'q>> {
    let query = query
        .text(key.id)
        .text(key.partner)
        .text(key.subscription)
        .text(&key.name)
        .hash(key.hash)
        .text(&key.prefix)
        .text(key.environment.as_str())
        .json(&key.scopes)?;
    let query = match &key.products {
        Some(products) => query.json(products)?,
        None => query.text_or_null(None::<&str>),
    };
    query
        .count_or_null(key.rate_limit_per_minute)
        .json(&key.allowed_ips)?
        .time_or_null(key.expires_at)
        .time_or_null(key.disabled_at)
        .time_or_null(key.revoked_at)
        .time(key.created_at)
        .flag(key.imported)
        .json_or_null((!key.windows.is_empty()).then_some(&key.windows))
}

pub async fn key_by_id(tx: &mut Tx, id: KeyId) -> Result<Option<KeyWithTotals>> {
    tx.query(BY_ID).text(id).one(with_totals).await
}

pub async fn key_by_hash(tx: &mut Tx, hash: KeyHash) -> Result<Option<Key>> {
    tx.query(BY_HASH).hash(hash).one(key).await
}

/// Newest first, revoked ones included; of one partner, or all.
pub async fn key_page(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    before: Option<KeyId>,
    limit: u32,
) -> Result<Vec<KeyWithTotals>> {
    let before = before.unwrap_or(KeyId::from_bytes([0xff; 16]));
    let statement = if partner.is_some() { PAGE_PARTNER } else { PAGE_ALL };
    let query = tx.query(statement).text(before).big(limit.into());
    match partner {
        Some(partner) => query.text(partner).all(with_totals).await,
        None => query.all(with_totals).await,
    }
}

/// Unrevoked keys that bear the new key's name in its subscription and environment.
pub async fn key_same_name(tx: &mut Tx, like: &Key) -> Result<Vec<Key>> {
    let query = tx.query(SAME_NAME).text(like.partner).text(like.subscription).text(&like.name);
    query.text(like.environment.as_str()).all(key).await
}

/// What the cap counts: not revoked, not imported, not replaced; expired ones count.
pub async fn key_count_active(tx: &mut Tx, partner: PartnerId) -> Result<u64> {
    let count = tx.query(COUNT_ACTIVE).text(partner).one(|row| row.count("active")).await?;
    Ok(count.unwrap_or_default())
}

/// False when there is no such key or it was revoked before.
pub async fn key_revoke(tx: &mut Tx, id: KeyId, at: Timestamp) -> Result<bool> {
    Ok(tx.query(REVOKE).text(id).time(at).execute().await? == 1)
}

/// Keys in the grace period of a roll.
pub async fn key_count_replaced(tx: &mut Tx, partner: PartnerId, now: Timestamp) -> Result<u64> {
    let query = tx.query(COUNT_REPLACED).text(partner).time(now);
    Ok(query.one(|row| row.count("replaced")).await?.unwrap_or_default())
}

/// Lets a key work until `expires_at` beside its successor. False when it is revoked or replaced already.
pub async fn key_replace(
    tx: &mut Tx,
    id: KeyId,
    expires_at: Timestamp,
    successor: KeyId,
) -> Result<bool> {
    let query = tx.query(REPLACE).text(id).time(expires_at).text(successor);
    Ok(query.execute().await? == 1)
}

pub async fn key_set_disabled(tx: &mut Tx, id: KeyId, at: Option<Timestamp>) -> Result<bool> {
    Ok(tx.query(SET_DISABLED).text(id).time_or_null(at).execute().await? == 1)
}

fn with_totals(row: &Row) -> Result<KeyWithTotals> {
    Ok(KeyWithTotals {
        key: key(row)?,
        total_requests: row.count("total_requests")?,
        last_used_at: row.time_or_null("last_used_at")?,
        replaced_by: row.parse_or_null("replaced_by")?,
    })
}

fn key(row: &Row) -> Result<Key> {
    Ok(Key {
        id: row.parse("id")?,
        partner: row.parse("partner_id")?,
        subscription: row.parse("subscription_id")?,
        name: row.text("name")?,
        hash: row.hash("hash")?,
        prefix: row.text("prefix")?,
        environment: row.word("environment", Environment::parse)?,
        scopes: row.json("scopes")?,
        products: row.json_or_null("products")?,
        rate_limit_per_minute: row.count_or_null("rate_limit_per_minute")?,
        windows: row.json_or_null::<KeyWindows>("windows")?.unwrap_or_default(),
        allowed_ips: row.json("allowed_ips")?,
        expires_at: row.time_or_null("expires_at")?,
        disabled_at: row.time_or_null("disabled_at")?,
        revoked_at: row.time_or_null("revoked_at")?,
        created_at: row.time("created_at")?,
        imported: row.flag("imported")?,
    })
}
