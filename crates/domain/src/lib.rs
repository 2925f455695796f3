//! Keytoll's types and pure decisions.
//!
//! Everything here is a function of its arguments: no I/O, no async, no clock and no randomness. The same
//! seed, time and input give the same output, which is what makes a grant, a bill and a key testable.

pub mod catalog;
pub mod decide;
pub mod feed;
pub mod ids;
pub mod key;
pub mod key_format;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod period;
pub mod rating;
pub mod refusal;
pub mod scope;
pub mod subscription;
pub mod time;
pub mod user;
