//! The only SQL of Keytoll: SQLite by default, PostgreSQL for several nodes.
//!
//! One file per resource, functions named resource first, verb second (`key_insert`). Every operation takes a
//! transaction ([`Tx`]) from [`Db::read`] or [`Db::write`], so that a use case decides what is atomic. Each
//! operation has one SQL text for both engines; what differs between them is in [`db`].

pub mod audit;
mod backup;
pub mod db;
pub mod error;
pub mod feed;
pub mod invoice;
pub mod key;
pub mod key_import;
pub mod key_snapshot;
pub mod ledger;
mod migrate;
pub mod node;
pub mod partner;
pub mod plan;
pub mod product;
pub mod session;
pub mod subscription;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
pub mod usage;
pub mod user;

pub use db::{Db, Tx};
pub use error::StoreError;

/// Result of every operation; "not found" is `Ok(None)`.
pub type Result<T> = std::result::Result<T, StoreError>;

#[cfg(test)]
mod tests;
