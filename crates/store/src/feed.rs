//! The sequence of changes that the data plane follows.
//!
//! The sequence is drawn by updating one row inside the writing transaction, which then holds that row until
//! it ends: sequences become visible in order and without gaps, so a reader never skips one.

use std::str::FromStr;

use keytoll_domain::ids::KeyId;
use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, statements};
use crate::{Result, StoreError, Tx};

/// What kind of record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    Product,
    /// The record id is `slug@version`.
    Plan,
    Subscription,
    Key,
    /// Keys that were imported together; the record id is `first..last`, both included.
    Keys,
    Token,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRow {
    pub sequence: u64,
    pub kind: FeedKind,
    pub record: String,
}

statements! { "feed";
    HEAD = "SELECT sequence FROM feed_head WHERE one = 1";
    DRAW = "UPDATE feed_head SET sequence = sequence + 1 WHERE one = 1 RETURNING sequence";
    INSERT = "INSERT INTO feed (sequence, kind, record_id, at) VALUES ($1, $2, $3, $4)";
    AFTER = "SELECT sequence, kind, record_id FROM feed WHERE sequence > $1 ORDER BY sequence LIMIT $2";
}

/// Appends a change and returns its sequence. Do it last: until the commit, other writers wait behind it.
pub async fn feed_append(
    tx: &mut Tx,
    kind: FeedKind,
    record: impl std::fmt::Display,
    at: Timestamp,
) -> Result<u64> {
    let drawn = tx.query(DRAW).one(|row| row.count("sequence")).await?;
    let sequence = drawn.ok_or_else(no_head)?;
    let query = tx.query(INSERT).count(sequence).text(kind.as_str()).text(record).time(at);
    query.execute().await?;
    Ok(sequence)
}

/// Appends keys that were imported together, from id `first` to id `last`, as one change.
pub async fn feed_append_keys(
    tx: &mut Tx,
    (first, last): (KeyId, KeyId),
    at: Timestamp,
) -> Result<u64> {
    feed_append(tx, FeedKind::Keys, format_args!("{first}..{last}"), at).await
}

/// The last sequence drawn.
pub async fn feed_head(tx: &mut Tx) -> Result<u64> {
    tx.query(HEAD).one(|row| row.count("sequence")).await?.ok_or_else(no_head)
}

/// Changes after a sequence, in order.
pub async fn feed_after(tx: &mut Tx, sequence: u64, limit: u32) -> Result<Vec<FeedRow>> {
    let read = |row: &Row| {
        Ok(FeedRow {
            sequence: row.count("sequence")?,
            kind: row.parse("kind")?,
            record: row.text("record_id")?,
        })
    };
    tx.query(AFTER).count(sequence).big(limit.into()).all(read).await
}

fn no_head() -> StoreError {
    StoreError::Corrupt { table: "feed_head", column: "sequence", id: "1".into() }
}

impl FeedKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Plan => "plan",
            Self::Subscription => "subscription",
            Self::Key => "key",
            Self::Keys => "keys",
            Self::Token => "token",
        }
    }
}

impl FromStr for FeedKind {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        [Self::Product, Self::Plan, Self::Subscription, Self::Key, Self::Keys, Self::Token]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(())
    }
}
