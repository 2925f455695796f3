//! Gateway nodes: how far each has followed the feed, and when it was last heard of.

use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub node: String,
    /// The last change applied.
    pub sequence: u64,
    pub seen_at: Timestamp,
}

statements! { "nodes";
    PUT = "INSERT INTO nodes (node, sequence, seen_at) VALUES ($1, $2, $3) \
        ON CONFLICT (node) DO UPDATE SET sequence = excluded.sequence, seen_at = excluded.seen_at";
    SEEN_SINCE = "SELECT node, sequence, seen_at FROM nodes WHERE seen_at >= $1 ORDER BY node LIMIT 1000";
    DELETE = "DELETE FROM nodes WHERE node = $1";
}

/// Records the sequence a node has applied; also its heartbeat.
pub async fn node_put(tx: &mut Tx, node: &str, sequence: u64, now: Timestamp) -> Result<()> {
    tx.query(PUT).text(node).count(sequence).time(now).execute().await?;
    Ok(())
}

/// Nodes heard of since a time, by name.
pub async fn node_seen_since(tx: &mut Tx, since: Timestamp) -> Result<Vec<NodeRow>> {
    let read = |row: &Row| {
        Ok(NodeRow {
            node: row.text("node")?,
            sequence: row.count("sequence")?,
            seen_at: row.time("seen_at")?,
        })
    };
    tx.query(SEEN_SINCE).time(since).all(read).await
}

/// Forgets a node that says good-bye, so that nobody waits for it.
pub async fn node_delete(tx: &mut Tx, node: &str) -> Result<()> {
    tx.query(DELETE).text(node).execute().await?;
    Ok(())
}
