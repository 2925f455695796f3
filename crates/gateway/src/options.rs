//! What the binary tells the gateway at start. Every bound has a name and a default here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use keytoll_domain::key_format::DEFAULT_BRAND;
use keytoll_domain::time::Timestamp;

use crate::cache;
use crate::journal;
use crate::signing::SigningSecret;
use crate::spans::options::OtlpOptions;
use crate::tls::TlsFiles;

/// The wall clock, as microseconds; called from every core.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// Threads that serve requests, each with its own event loop.
    pub workers: usize,
    /// Peers whose `X-Forwarded-For` is believed and who may ask for forward authentication without a token.
    pub trusted_proxies: Vec<IpNet>,
    /// The listener's certificates, the first for clients that name no other's host; none = plain HTTP.
    pub tls: Vec<TlsFiles>,
    pub proxy_protocol: ProxyProtocol,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// This node's name in receipts, seals and heartbeats.
    pub node: String,
    /// First part of this installation's keys.
    pub brand: String,
    /// Where partners change their plan; shown as `upgrade_url` in refusals.
    pub upgrade_url: Option<String>,
    /// What requests to upstreams are signed with, for products that want it.
    pub signing_secret: Option<SigningSecret>,
    pub access_log: AccessLog,
    /// The collector that a share of the calls is told to.
    pub otlp: Option<OtlpOptions>,
    /// What answers that products let be kept may take.
    pub cache_max_bytes: usize,
    pub bounds: Bounds,
    pub journal: JournalOptions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

/// Whether connections begin with a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    #[default]
    Off,
    /// Those of trusted proxies must, all others cannot: from them it is a malformed request.
    Trusted,
}

#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// How often events are forced to the disk.
    pub fsync: Duration,
    pub max_bytes: u64,
    /// Instead of the journal's own; for tests and small disks.
    pub segment_bytes: Option<u64>,
    /// Whether the last calls of keys will be asked for; only a process that shows them needs it.
    pub recent_calls: bool,
}

/// Time limits and sizes of the request path.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connect: Duration,
    /// From the end of the request to the answer's head.
    pub first_byte: Duration,
    /// Longest pause within a body, of either side.
    pub idle: Duration,
    /// From a connection's first byte to the end of a request head; also how long an idle connection is kept.
    pub head: Duration,
    pub body_max_bytes: u64,
    pub head_max_bytes: usize,
    pub head_max_fields: usize,
    /// Connections served at once per worker; further ones wait in the backlog.
    pub connections_max: usize,
    /// Connections of one client address (IPv6: one /64) over all workers; further ones are closed. Trusted proxies
    /// are exempt.
    pub connections_per_address: u32,
}

impl Options {
    pub fn new(listen: SocketAddr, data_dir: PathBuf, node: &str) -> Self {
        Self {
            listen,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            trusted_proxies: Vec::new(),
            tls: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            data_dir,
            node: node.to_owned(),
            brand: DEFAULT_BRAND.to_owned(),
            upgrade_url: None,
            signing_secret: None,
            access_log: AccessLog::Off,
            otlp: None,
            cache_max_bytes: cache::TOTAL_MAX_BYTES,
            bounds: Bounds::default(),
            journal: JournalOptions::default(),
        }
    }
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            fsync: Duration::from_secs(1),
            max_bytes: journal::MAX_BYTES,
            segment_bytes: None,
            recent_calls: false,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            head: Duration::from_mins(1),
            body_max_bytes: 1 << 30,
            head_max_bytes: 64 * 1024,
            head_max_fields: 100,
            connections_max: 16 * 1024,
            connections_per_address: 1024,
        }
    }
}
