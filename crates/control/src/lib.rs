//! Use cases: what a person, a token or the command line can do, each with its authorisation.
//!
//! A use case takes a [`Ctx`] (the ports to the outside) and an [`Actor`] (who asks), authorises first, and
//! does its work in one transaction of the store together with the audit row and the row of the feed that
//! gateways follow. No HTTP and no HTML here; no SQL either.

pub mod actor;
pub mod audit;
pub mod billing;
pub mod calls;
pub mod catalog;
pub mod ctx;
pub mod fault;
pub mod feed;
mod json;
pub mod keys;
pub mod ledger;
pub mod page;
pub mod partners;
pub mod password;
pub mod plans;
pub mod products;
pub mod receipts;
pub mod staff;
pub mod subscriptions;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod throttle;
pub mod tokens;
pub mod usage;
pub mod users;

pub use actor::{Actor, Denied, Who};
pub use ctx::{Clock, Ctx, Entropy, Settings, Wake};
pub use keytoll_store::StoreError;
pub use password::Password;
