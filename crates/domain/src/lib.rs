//! Types and pure decisions: no I/O, no async, no clock.

pub mod money;
pub mod period;
pub mod rating;
pub mod time;
