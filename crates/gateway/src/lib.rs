//! Data plane: proxy, verification, limits, journal.

pub mod journal;
pub mod ports;
