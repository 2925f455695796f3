//! Use cases and jobs.
pub mod catalog;
pub mod fault;
pub mod plans;
pub mod products;
