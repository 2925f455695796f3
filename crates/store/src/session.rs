//! Signed-in browsers. Only the SHA-256 of a session's secret is here.

use keytoll_domain::ids::UserId;
use keytoll_domain::key::KeyHash;
use keytoll_domain::time::Timestamp;

use crate::db::query::statements;
use crate::{Result, Tx};

statements! { "sessions";
    INSERT = "INSERT INTO sessions (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
    USER = "SELECT user_id FROM sessions WHERE hash = $1 AND expires_at > $2";
    DELETE = "DELETE FROM sessions WHERE hash = $1";
    PRUNE = "DELETE FROM sessions WHERE expires_at <= $1";
}

pub async fn session_insert(
    tx: &mut Tx,
    hash: KeyHash,
    user: UserId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    tx.query(INSERT).hash(hash).text(user).time(now).time(expires_at).execute().await?;
    Ok(())
}

/// Whose session this is, unless it has expired.
pub async fn session_user(tx: &mut Tx, hash: KeyHash, now: Timestamp) -> Result<Option<UserId>> {
    tx.query(USER).hash(hash).time(now).one(|row| row.parse("user_id")).await
}

pub async fn session_delete(tx: &mut Tx, hash: KeyHash) -> Result<()> {
    tx.query(DELETE).hash(hash).execute().await?;
    Ok(())
}

/// Removes expired sessions and returns how many they were.
pub async fn session_prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.query(PRUNE).time(now).execute().await
}
