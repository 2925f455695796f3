//! Configuration: built-in defaults < TOML file < environment `KEYTOLL_SECTION__KEY` < flags.
//!
//! [`KEYS`] is the one list of what can be set; the file, the environment, `config show` and the reference
//! page all follow it. An unknown key is an error that names its place.

mod load;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use keytoll_gateway::{AccessLog, Bounds, OtlpOptions, ProxyProtocol, SigningSecret, TlsFiles};
pub use load::{Loaded, built_in, load};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// `section.key`, or a bare key of the top level.
    pub name: &'static str,
    /// Written as in the file; empty = not set.
    pub default: &'static str,
    pub help: &'static str,
}

const fn key(name: &'static str, default: &'static str, help: &'static str) -> KeySpec {
    KeySpec { name, default, help }
}

/// Every key there is, in the order `config show` prints them.
pub const KEYS: &[KeySpec] = &[
    key("data_dir", "./keytoll-data", "folder of the database, the journal and the access log"),
    key("gateway.listen", "127.0.0.1:8080", "address calls arrive at"),
    key(
        "gateway.public_url",
        "",
        "the gateway's address as partners call it, shown to them; default: its listen address",
    ),
    key("gateway.workers", "0", "event loops; 0 = one per core"),
    key(
        "gateway.trusted_proxies",
        "[]",
        "networks whose X-Forwarded-For is believed and that may ask /v1/auth",
    ),
    key("gateway.tls.cert", "", "PEM file of the certificate chain; not set = plain HTTP"),
    key("gateway.tls.key", "", "PEM file of the certificate's private key"),
    key(
        "gateway.tls.extra",
        "[]",
        "further certificates, chosen by their host names: [[gateway.tls.extra]] with cert and key",
    ),
    key(
        "gateway.proxy_protocol",
        "off",
        "off, or trusted: connections of trusted_proxies begin with a PROXY header (version 1 or 2)",
    ),
    key(
        "gateway.connections_max",
        "16384",
        "connections served at once per worker; further ones wait",
    ),
    key(
        "gateway.connections_per_address",
        "1024",
        "connections of one client address (IPv6: one /64); trusted_proxies are exempt",
    ),
    key("gateway.head_max_bytes", "65536", "size of a request's line and headers"),
    key("gateway.body_max_bytes", "1073741824", "size of a request's body"),
    key(
        "gateway.head_secs",
        "60",
        "time for a request's line and headers; also how long an idle connection is kept",
    ),
    key("gateway.idle_secs", "60", "longest pause within a body, of the client or the upstream"),
    key(
        "gateway.stop_delay_secs",
        "0",
        "at a stop, how long /readyz answers 503 before new connections are refused",
    ),
    key(
        "gateway.signing_secret",
        "",
        "64 hexadecimal digits that requests to upstreams are signed with, the same on every node; \
         default: DATA_DIR/signing.key, made at the first start",
    ),
    key("portal.listen", "127.0.0.1:8081", "address of pages and management API"),
    key(
        "portal.public_url",
        "",
        "the portal's address as people type it; default: its listen address",
    ),
    key("metrics.listen", "", "address of /metrics; not set = not served"),
    key("storage.url", "", "sqlite:FILE or postgres://…; default: sqlite:DATA_DIR/keytoll.db"),
    key(
        "redis.url",
        "",
        "shared counters of several nodes; this version has none, so it must stay unset",
    ),
    key("redis.on_counter_failure", "local-share", "local-share, deny or allow"),
    key("journal.fsync", "1s", "how often the journal is synced to disk and sealed, 10ms to 60s"),
    key("journal.max_bytes", "10737418240", "size the journal's kept segments may reach"),
    key(
        "keys.brand",
        "sk",
        "first part of every new key: a letter, then letters, digits or dashes",
    ),
    key("keys.active_max", "25", "active keys a partner may have"),
    key(
        "log.access",
        "",
        "file of the access log, `stdout` or `off`; default: DATA_DIR/access.log",
    ),
    key(
        "otlp.endpoint",
        "",
        "collector that traces are sent to, such as http://127.0.0.1:4318; not set = none are made",
    ),
    key(
        "otlp.sample",
        "0.01",
        "share of the calls without a traceparent that is traced, 0 to 1; the others say so themselves",
    ),
    key(
        "otlp.headers",
        "",
        "headers of the requests to the collector, such as a token: names and values below [otlp.headers]",
    ),
];

/// The configuration as the program uses it.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub gateway_listen: SocketAddr,
    pub gateway_url: String,
    /// At least 1.
    pub gateway_workers: usize,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The first is for clients that name no other's host; none = plain HTTP.
    pub tls: Vec<TlsFiles>,
    pub proxy_protocol: ProxyProtocol,
    pub bounds: Bounds,
    pub stop_delay: Duration,
    /// Absent = the one in the data folder.
    pub signing_secret: Option<SigningSecret>,
    pub portal_listen: SocketAddr,
    pub public_url: String,
    pub metrics_listen: Option<SocketAddr>,
    pub storage_url: String,
    pub journal_fsync: Duration,
    pub journal_max_bytes: u64,
    pub brand: String,
    pub active_keys_max: u32,
    pub access_log: AccessLog,
    /// Absent = calls are not traced.
    pub otlp: Option<OtlpOptions>,
}

/// What is wrong with the configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {reason}")]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("{path} is not valid TOML: {reason}")]
    NotToml { path: PathBuf, reason: Box<toml::de::Error> },
    #[error("{place}: unknown key `{name}`{hint}; `keytoll config show` lists the keys")]
    UnknownKey { place: String, name: String, hint: String },
    #[error("{place}: `{name}` {problem}")]
    BadValue { place: String, name: &'static str, problem: String },
}

#[cfg(test)]
mod tests;
