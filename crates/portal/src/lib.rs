//! The portal: HTML pages and the management API over the control plane's use cases.
//!
//! Pages and handlers cannot reach SQL: they ask `control`, and show exactly what it answers.

pub mod api;
pub mod auth;
pub mod cookie;
pub mod csrf;
pub mod request_id;
pub mod state;

pub use state::{Origin, Portal};
