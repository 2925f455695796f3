//! Keys that come by the million, and those known by a bcrypt hash only.

use std::sync::LazyLock;

use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::{BcryptHash, Key, KeyHash};
use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, Statement, statements};
use crate::key::{bind, insert_statement};
use crate::{Result, Tx};

/// Rows of a full statement; some twenty arguments each stay below the engines' limits (32 766 and 65 535).
const CHUNK: usize = 200;

/// A key that has a hash already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    pub id: KeyId,
    pub hash: KeyHash,
    pub subscription: SubscriptionId,
    pub revoked: bool,
}

statements! { "keys";
    BCRYPT_INSERT = "INSERT INTO key_bcrypt (key_id, prefix, hash) VALUES ($1, $2, $3)";
    BCRYPT_KNOWN = "SELECT k.id, k.hash, k.subscription_id, k.revoked_at FROM key_bcrypt b \
        JOIN keys k ON k.id = b.key_id WHERE b.hash = $1";
    BCRYPT_COUNT = "SELECT COUNT(*) AS live FROM key_bcrypt b JOIN keys k ON k.id = b.key_id \
        WHERE b.prefix = $1 AND b.upgraded_at IS NULL AND k.revoked_at IS NULL";
    BCRYPT_UPGRADED = "UPDATE key_bcrypt SET upgraded_at = $2 WHERE key_id = $1 AND upgraded_at IS NULL";
    SET_HASH = "UPDATE keys SET hash = $2 WHERE id = $1 AND revoked_at IS NULL";
}

/// A text for each engine. SQLite looks the numbered arguments of a long statement up one by one, so that its text
/// has none.
struct Texts {
    sqlite: String,
    postgres: String,
}

static INSERT_ONE: LazyLock<Texts> = LazyLock::new(|| Texts::new(|mark| insert_new(1, mark)));
static INSERT_MANY: LazyLock<Texts> = LazyLock::new(|| Texts::new(|mark| insert_new(CHUNK, mark)));
static KNOWN: LazyLock<Texts> = LazyLock::new(|| {
    Texts::new(|mark| {
        let list = (1..=CHUNK).map(mark).collect::<Vec<_>>().join(", ");
        format!("SELECT id, hash, subscription_id, revoked_at FROM keys WHERE hash IN ({list})")
    })
});

impl Texts {
    /// `write` gets what stands for the argument of a number.
    fn new(write: impl Fn(fn(usize) -> String) -> String) -> Self {
        Self { sqlite: write(|_| "?".into()), postgres: write(|number| format!("${number}")) }
    }

    fn of(&'static self, tx: &Tx) -> &'static str {
        if tx.is_sqlite() { &self.sqlite } else { &self.postgres }
    }
}

fn insert_new(rows: usize, mark: fn(usize) -> String) -> String {
    let one = insert_statement().sql;
    let (head, row) = one.split_once("VALUES").expect("an INSERT has values");
    let columns = row.matches('$').count();
    let row = |first: usize| {
        let list: Vec<_> = (first..first + columns).map(mark).collect();
        format!("({})", list.join(", "))
    };
    let list: Vec<_> = (0..rows).map(|index| row(index * columns + 1)).collect();
    format!("{head} VALUES {} ON CONFLICT (hash) DO NOTHING", list.join(", "))
}

/// Texts built at run time, for the test that prepares every statement: SQLite's, then PostgreSQL's.
#[cfg(test)]
pub(crate) fn built_statements() -> [[&'static str; 3]; 2] {
    let all = [&*INSERT_ONE, &*INSERT_MANY, &*KNOWN];
    [all.map(|texts| texts.sqlite.as_str()), all.map(|texts| texts.postgres.as_str())]
}

/// Adds the keys whose hash is not in use and returns their number; [`keys_known`] tells which were.
pub async fn keys_insert_new(tx: &mut Tx, keys: &[Key]) -> Result<u64> {
    let mut inserted = 0;
    let (full, rest) = keys.as_chunks::<CHUNK>();
    let full = full.iter().map(|chunk| (&*INSERT_MANY, chunk.as_slice()));
    let rest = rest.chunks(1).map(|chunk| (&*INSERT_ONE, chunk));
    for (texts, chunk) in full.chain(rest) {
        let sql = texts.of(tx);
        let mut query = tx.query(Statement { table: "keys", sql });
        for key in chunk {
            query = bind(query, key)?;
        }
        inserted += query.execute().await?;
    }
    Ok(inserted)
}

/// The keys that have one of these hashes.
pub async fn keys_known(tx: &mut Tx, hashes: &[KeyHash]) -> Result<Vec<KnownKey>> {
    let mut all = Vec::new();
    for chunk in hashes.chunks(CHUNK) {
        let sql = KNOWN.of(tx);
        let mut query = tx.query(Statement { table: "keys", sql });
        // The last ones are filled up: the same hash twice finds its key once.
        for at in 0..CHUNK {
            query = query.hash(chunk[at.min(chunk.len() - 1)]);
        }
        all.extend(query.all(known).await?);
    }
    Ok(all)
}

/// The key must be there. Conflict `key_bcrypt_hash` when the hash is in use.
pub async fn key_bcrypt_insert(tx: &mut Tx, key: KeyId, bcrypt: &BcryptHash) -> Result<()> {
    let query = tx.query(BCRYPT_INSERT).text(key).text(&bcrypt.prefix).text(&bcrypt.hash);
    query.execute().await?;
    Ok(())
}

/// The key that was imported with this bcrypt hash, upgraded or not.
pub async fn key_bcrypt_known(tx: &mut Tx, hash: &str) -> Result<Option<KnownKey>> {
    tx.query(BCRYPT_KNOWN).text(hash).one(known).await
}

/// Keys with this prefix that may still be checked by bcrypt.
pub async fn key_bcrypt_count(tx: &mut Tx, prefix: &str) -> Result<u64> {
    let count = tx.query(BCRYPT_COUNT).text(prefix).one(|row| row.count("live")).await?;
    Ok(count.unwrap_or_default())
}

/// Puts the digest of its secret in the place of a key's bcrypt hash. False when the key is revoked, or has its
/// digest already.
pub async fn key_bcrypt_upgrade(
    tx: &mut Tx,
    id: KeyId,
    digest: KeyHash,
    at: Timestamp,
) -> Result<bool> {
    if tx.query(BCRYPT_UPGRADED).text(id).time(at).execute().await? == 0 {
        return Ok(false);
    }
    Ok(tx.query(SET_HASH).text(id).hash(digest).execute().await? == 1)
}

fn known(row: &Row) -> Result<KnownKey> {
    Ok(KnownKey {
        id: row.parse("id")?,
        hash: row.hash("hash")?,
        subscription: row.parse("subscription_id")?,
        revoked: row.time_or_null("revoked_at")?.is_some(),
    })
}
