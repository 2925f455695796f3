//! Keys as the data plane loads them: many, in pages, with nothing that only people read.
//!
//! A million rows pass here while a gateway starts, so columns are read in place and by number, and the JSON of
//! scopes, which neighbours mostly share, is read once for all of them.

use std::sync::Arc;

use keytoll_domain::feed::SnapshotKey;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{BcryptHash, Environment};
use keytoll_domain::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "keys";
    COUNT = "SELECT COUNT(*) AS live FROM keys";
    PAGE = "SELECT id, subscription_id, partner_id, hash, environment, scopes, products, \
        rate_limit_per_minute, NULLIF(allowed_ips, '[]') AS allowed_ips, expires_at, disabled_at, windows \
        FROM keys WHERE id >= $1 AND id <= $2 AND revoked_at IS NULL ORDER BY id LIMIT $3";
    BCRYPT = "SELECT key_id, prefix, hash FROM key_bcrypt \
        WHERE key_id >= $1 AND key_id <= $2 AND upgraded_at IS NULL ORDER BY key_id";
}

/// The scopes read last, with their text.
type LastScopes = (String, Arc<[String]>);

/// About how many keys [`key_snapshot_page`] will give; revoked ones are counted too.
pub async fn key_count(tx: &mut Tx) -> Result<u64> {
    Ok(tx.query(COUNT).one(|row| row.count("live")).await?.unwrap_or_default())
}

/// Keys that are not revoked, from id `first` to id `last`, by id.
pub async fn key_snapshot_page(
    tx: &mut Tx,
    (first, last): (KeyId, KeyId),
    limit: u32,
) -> Result<Vec<SnapshotKey>> {
    let mut last_scopes = LastScopes::default();
    let query = tx.query(PAGE).text(first).text(last).big(limit.into());
    let mut keys = query.all(|row| snapshot_key(row, &mut last_scopes)).await?;
    let (Some(from), Some(to)) = (keys.first(), keys.last()) else { return Ok(keys) };
    let bcrypt = tx.query(BCRYPT).text(from.id).text(to.id).all(bcrypt).await?;
    for (id, hash) in bcrypt {
        if let Ok(at) = keys.binary_search_by_key(&id, |key| key.id) {
            keys[at].bcrypt = Some(Box::new(hash));
        }
    }
    Ok(keys)
}

fn snapshot_key(row: &Row, last: &mut LastScopes) -> Result<SnapshotKey> {
    let environment = Environment::parse(row.text_at(4, "environment")?);
    let rate = row.big_or_null_at(7, "rate_limit_per_minute")?.map(u64::try_from).transpose();
    Ok(SnapshotKey {
        id: row.parse_at(0, "id")?,
        subscription: row.parse_at(1, "subscription_id")?,
        partner: row.parse_at(2, "partner_id")?,
        hash: row.hash_at(3, "hash")?,
        environment: environment.ok_or_else(|| row.corrupt("environment"))?,
        scopes: scopes(row, last)?,
        products: json_at(row, 6, "products")?,
        rate_limit_per_minute: rate.map_err(|_| row.corrupt("rate_limit_per_minute"))?,
        allowed_ips: json_at(row, 8, "allowed_ips")?.unwrap_or_default(),
        expires_at: row.big_or_null_at(9, "expires_at")?.map(Timestamp),
        disabled: row.big_or_null_at(10, "disabled_at")?.is_some(),
        windows: json_at(row, 11, "windows")?.unwrap_or_default(),
        bcrypt: None,
    })
}

fn scopes(row: &Row, last: &mut LastScopes) -> Result<Arc<[String]>> {
    let text = row.text_at(5, "scopes")?;
    if last.0 != text {
        let read: Vec<String> = serde_json::from_str(text).map_err(|_| row.corrupt("scopes"))?;
        *last = (text.to_owned(), read.into());
    }
    Ok(last.1.clone())
}

fn json_at<T: DeserializeOwned>(
    row: &Row,
    index: usize,
    column: &'static str,
) -> Result<Option<T>> {
    let text = row.text_or_null_at(index, column)?;
    text.map(|text| serde_json::from_str(text).map_err(|_| row.corrupt(column))).transpose()
}

fn bcrypt(row: &Row) -> Result<(KeyId, BcryptHash)> {
    Ok((row.parse("key_id")?, BcryptHash { prefix: row.text("prefix")?, hash: row.text("hash")? }))
}
