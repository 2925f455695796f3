//! Keys as the data plane loads them: many, in pages, with nothing that only people read.
//!
//! A million of them pass here while a gateway starts. A page is therefore one text, put together by the engine: a
//! line per key, its members between tabs. Neither is ever in JSON as we write it, nor in the other members.

use std::str::FromStr;
use std::sync::Arc;

use keytoll_domain::feed::SnapshotKey;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{BcryptHash, Environment, KeyHash};
use keytoll_domain::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::db::query::{Row, Statement, statements};
use crate::{Result, StoreError, Tx};

const TABLE: &str = "keys";

statements! { "keys";
    COUNT = "SELECT COUNT(*) AS live FROM keys";
    BCRYPT = "SELECT key_id, prefix, hash FROM key_bcrypt \
        WHERE key_id >= $1 AND key_id <= $2 AND upgraded_at IS NULL ORDER BY key_id";
}

/// The engines differ in how they write bytes as text.
macro_rules! page {
    ($hash:literal) => {
        Statement {
            table: TABLE,
            sql: concat!(
                "SELECT string_agg(concat_ws('\t', id, subscription_id, partner_id, ",
                $hash,
                ", environment, scopes, COALESCE(products, ''), \
                COALESCE(CAST(rate_limit_per_minute AS TEXT), ''), \
                COALESCE(NULLIF(allowed_ips, '[]'), ''), \
                COALESCE(CAST(expires_at AS TEXT), ''), \
                CASE WHEN disabled_at IS NULL THEN '' ELSE 'x' END, \
                COALESCE(windows, '')), '\n') AS page \
                FROM (SELECT * FROM keys WHERE id >= $1 AND id <= $2 AND revoked_at IS NULL \
                ORDER BY id LIMIT $3) AS page"
            ),
        }
    };
}
const PAGE_SQLITE: Statement = page!("hex(hash)");
const PAGE_POSTGRES: Statement = page!("encode(hash, 'hex')");

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
    let statement = if tx.is_sqlite() { PAGE_SQLITE } else { PAGE_POSTGRES };
    let query = tx.query(statement).text(first).text(last).big(limit.into());
    let page = query.one(|row| row.text_or_null("page")).await?.flatten().unwrap_or_default();
    let mut scopes = LastScopes::default();
    let keys = page.lines().map(|line| Line::new(line).key(&mut scopes));
    let mut keys: Vec<SnapshotKey> = keys.collect::<Result<_>>()?;
    // In that order already, though no engine promises it.
    keys.sort_unstable_by_key(|key| key.id);
    let (Some(from), Some(to)) = (keys.first(), keys.last()) else { return Ok(keys) };
    let bcrypt = tx.query(BCRYPT).text(from.id).text(to.id).all(bcrypt).await?;
    for (id, hash) in bcrypt {
        if let Ok(at) = keys.binary_search_by_key(&id, |key| key.id) {
            keys[at].bcrypt = Some(Box::new(hash));
        }
    }
    Ok(keys)
}

/// One key's members, in the order of the statement.
struct Line<'p> {
    id: &'p str,
    members: std::str::Split<'p, char>,
}

impl<'p> Line<'p> {
    fn new(line: &'p str) -> Self {
        let mut members = line.split('\t');
        Self { id: members.next().unwrap_or_default(), members }
    }

    fn key(mut self, last: &mut LastScopes) -> Result<SnapshotKey> {
        Ok(SnapshotKey {
            id: self.id.parse().map_err(|_| self.corrupt("id"))?,
            subscription: self.parse("subscription_id")?,
            partner: self.parse("partner_id")?,
            hash: self.word("hash", KeyHash::from_hex)?,
            environment: self.word("environment", Environment::parse)?,
            scopes: self.scopes(last)?,
            products: self.json("products")?,
            rate_limit_per_minute: self
                .optional("rate_limit_per_minute", |text| text.parse().ok())?,
            allowed_ips: self.json("allowed_ips")?.unwrap_or_default(),
            expires_at: self.optional("expires_at", |text| text.parse().ok())?.map(Timestamp),
            disabled: !self.next("disabled_at")?.is_empty(),
            windows: self.json("windows")?.unwrap_or_default(),
            bcrypt: None,
        })
    }

    fn next(&mut self, column: &'static str) -> Result<&'p str> {
        self.members.next().ok_or_else(|| self.corrupt(column))
    }

    fn word<T>(&mut self, column: &'static str, known: impl Fn(&str) -> Option<T>) -> Result<T> {
        known(self.next(column)?).ok_or_else(|| self.corrupt(column))
    }

    fn parse<T: FromStr>(&mut self, column: &'static str) -> Result<T> {
        self.word(column, |text| text.parse().ok())
    }

    /// Nothing for a column that has none.
    fn optional<T>(
        &mut self,
        column: &'static str,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let text = self.next(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        known(text).map(Some).ok_or_else(|| self.corrupt(column))
    }

    fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>> {
        self.optional(column, |text| serde_json::from_str(text).ok())
    }

    /// Neighbours mostly share them.
    fn scopes(&mut self, last: &mut LastScopes) -> Result<Arc<[String]>> {
        let text = self.next("scopes")?;
        if last.0 != text {
            let read: Vec<String> =
                serde_json::from_str(text).map_err(|_| self.corrupt("scopes"))?;
            *last = (text.to_owned(), read.into());
        }
        Ok(last.1.clone())
    }

    fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: TABLE, column, id: self.id.to_owned() }
    }
}

fn bcrypt(row: &Row) -> Result<(KeyId, BcryptHash)> {
    Ok((row.parse("key_id")?, BcryptHash { prefix: row.text("prefix")?, hash: row.text("hash")? }))
}
