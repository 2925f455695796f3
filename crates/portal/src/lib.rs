//! The portal: HTML pages and the management API over the control plane's use cases.
//!
//! Pages and handlers cannot reach SQL: they ask `control`, and show exactly what it answers.

pub mod api;
pub mod assets;
pub mod auth;
pub mod cookie;
pub mod csrf;
pub mod pages;
pub mod request_id;
mod server;
pub mod state;
pub mod ui;
mod web;

pub use api::openapi_json;
pub use server::{router, serve};
pub use state::{Origin, Portal};
/// What the binary calls the state.
pub type PortalState = Portal;
