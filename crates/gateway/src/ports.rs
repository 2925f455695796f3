//! What the data plane needs from outside: cold ports that the binary connects to the control plane.
//! No call of a partner ever waits for one of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use keytoll_apispec::Validators;
use keytoll_domain::feed::{Change, Snapshot, SnapshotKey};
use keytoll_domain::ids::{KeyId, ProductId};
use keytoll_domain::key::KeyHash;
use keytoll_domain::ledger::SealedBatch;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Worth another try later; the text is for the log.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The sequence was taken with another hash: two journals share one node name, or an old one came back.
    #[error("the sequence is known with another hash")]
    Forked,
}

/// Did the sink add the batch, or did it have some of it already?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Applied,
    /// The seals up to this one had been taken before, and nothing was added: what comes after them is to be
    /// offered again without them.
    Known {
        through: u64,
    },
}

pub trait KeySource: KeyUpgrade {
    fn snapshot<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Snapshot, PortError>>;
    /// The keys after an id, by id, some thousands at once; empty after the last. Read after the snapshot.
    fn keys(&self, after: Option<KeyId>) -> BoxFuture<'_, Result<Vec<SnapshotKey>, PortError>>;
    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, PortError>>;
    /// The node has applied everything up to `sequence`; also its heartbeat.
    fn applied<'a>(&'a self, node: &'a str, sequence: u64) -> BoxFuture<'a, Result<(), PortError>>;
    /// The checks of requests against the document of a product's version, `None` = its default one, for `(method, path template)` pairs in their order;
    /// `None` if there is no document. Asked for products only whose `validation` is on. Reading a document may take
    /// a core for seconds, so it must happen elsewhere than on a gateway's thread.
    fn validators<'a>(
        &'a self,
        _product: &'a ProductId,
        _version: Option<&'a str>,
        _operations: Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<Option<Arc<Validators>>, PortError>> {
        Box::pin(async { Ok(None) })
    }
    /// Returns when somebody appended to the feed.
    fn woken(&self) -> BoxFuture<'_, ()>;
}

pub trait KeyUpgrade: Send + Sync {
    /// Puts the digest in the place of the key's bcrypt hash, for good and for all nodes. `false` when the key is
    /// revoked or has its digest already.
    fn upgrade(&self, key: KeyId, digest: KeyHash) -> BoxFuture<'_, Result<bool, PortError>>;
}

pub trait UsageSink: Send + Sync {
    /// Takes the batch in one transaction, or not at all; a known (node, sequence) changes nothing.
    fn take(&self, batch: Arc<SealedBatch>) -> BoxFuture<'_, Result<Taken, PortError>>;
}
