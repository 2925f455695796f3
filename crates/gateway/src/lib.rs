//! Data plane: proxy, verification, limits, journal.
//!
//! [`start`] opens the listener; everything it decides by comes through the two ports of [`ports`], and everything it
//! counted leaves through them. Nothing here can reach SQL or pages, and no request waits for either.

mod access_log;
mod admit;
mod answer;
mod auth;
mod bits;
mod buffer;
mod cache;
mod call;
mod carrier;
mod cells;
mod chunked;
mod client;
mod compile;
mod core;
pub mod cors;
mod credential;
mod entry;
mod feed;
mod fields;
mod gateway;
mod heartbeat;
mod identity;
pub mod journal;
mod keytable;
mod limit_fields;
mod listener;
mod locate;
mod masking;
mod metrics;
mod options;
mod outgoing;
mod own;
mod path;
mod per_address;
mod policies;
pub mod ports;
mod proxy;
mod proxy_protocol;
mod rebuild;
mod request;
mod route;
mod server;
mod signing;
mod slow_check;
mod spans;
mod spend;
mod stream;
mod tls;
mod trace;
mod upstream;
mod usage;
mod validation;
mod verify;

#[cfg(test)]
mod tests;

pub use gateway::{Handle, StartError, Verifier, bind, start};
pub use options::{AccessLog, Bounds, Clock, JournalOptions, Options, ProxyProtocol};
pub use signing::{SECRET_BYTES as SIGNING_SECRET_BYTES, SigningSecret};
pub use spans::options::{OtlpError, OtlpOptions};
pub use tls::{ClientTls, ClientTlsOptions, ServerTls, TlsError, TlsFiles};
pub use upstream::registry::check_upstream_tls;
pub use upstream::{UpstreamUrlError, check_upstream_url};
pub use verify::{KeyRef, Question, Verdict};
