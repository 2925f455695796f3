//! TLS of the gateway's own listener: certificates from files, chosen by server name, exchanged while it runs.
//!
//! rustls with ring, TLS 1.2 and 1.3. The settings are made once, so that sessions are resumed across an exchange;
//! only the certificates behind them change. Files that cannot be used are an error at start and a line in the log
//! later: what served before goes on serving. Nothing of a private key is ever in an error.

mod client;
mod pem;

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use client::{ClientTls, ClientTlsOptions};
pub(crate) use client::{follow_upstreams, reload_upstreams};

/// From the first byte of a TLS connection to its first byte of HTTP.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const POLL: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };

/// A certificate chain, the server's own first, and the private key of the first; both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{path}`: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{path}` is larger than {max_bytes} bytes, so it holds something else")]
    TooLarge { path: PathBuf, max_bytes: u64 },
    #[error("`{path}`, line {line}: {problem}")]
    Pem { path: PathBuf, line: usize, problem: &'static str },
    #[error("`{path}` holds no {wanted} in PEM form")]
    Absent { path: PathBuf, wanted: &'static str },
    #[error("the private key in `{path}` is encrypted; store it without a pass phrase")]
    Encrypted { path: PathBuf },
    #[error(
        "the private key in `{path}` is of no supported kind: RSA, ECDSA P-256, P-384 or Ed25519"
    )]
    Key { path: PathBuf },
    #[error("the certificate in `{path}` cannot be used: {problem}")]
    Certificate { path: PathBuf, problem: String },
    #[error("the key in `{key}` is not the key of the certificate in `{cert}`")]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("`{name}` is no host name or address")]
    ServerName { name: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Why a connection did not become a TLS connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("no TLS handshake within {HANDSHAKE_MAX:?}")]
    TimedOut,
    #[error("TLS handshake: {0}")]
    Failed(#[from] io::Error),
}

/// The listener's side of TLS, shared by all cores.
#[derive(Debug)]
pub struct ServerTls {
    settings: Arc<ServerConfig>,
    chosen: Arc<Chosen>,
    files: Vec<TlsFiles>,
    /// Of the files as they were last looked at, usable or not.
    seen: Mutex<Vec<Stamp>>,
}

/// What tells a file from its successor.
type Stamp = Option<(i64, i64, u64, u64)>;

#[derive(Debug)]
struct Chosen(ArcSwap<Certificates>);

#[derive(Debug)]
struct Certificates {
    /// By lower-case DNS name; `*.example.org` stands as it is.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name nobody, or nobody we know.
    first: Arc<CertifiedKey>,
}

impl ServerTls {
    /// Loads every pair. A certificate serves the DNS names written in it, the first all others too.
    /// `protocols` are offered by ALPN, the preferred first.
    pub fn load(files: &[TlsFiles], protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let seen = Mutex::new(stamps(files));
        let chosen = Arc::new(Chosen(ArcSwap::from_pointee(Certificates::load(files)?)));
        let mut settings = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(chosen.clone());
        settings.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        settings.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self { settings: Arc::new(settings), chosen, files: files.to_vec(), seen })
    }

    /// The handshake. The protocol chosen by ALPN is `stream.get_ref().1.alpn_protocol()`.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let handshake = TlsAcceptor::from(self.settings.clone()).accept(stream);
        let done = tokio::time::timeout(HANDSHAKE_MAX, handshake).await;
        Ok(done.map_err(|_| HandshakeError::TimedOut)??)
    }

    /// Loads the files again, all or none; handshakes from now on use them.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.remember(stamps(&self.files));
        let certificates = Certificates::load(&self.files)?;
        self.chosen.0.store(Arc::new(certificates));
        Ok(())
    }

    /// [`Self::reload`] when a file is another one than last time; `None` when none is.
    pub(crate) fn reload_if_changed(&self) -> Option<Result<(), TlsError>> {
        // Taken before the files are read: a later change is seen by the next look.
        self.remember(stamps(&self.files)).then(|| self.reload())
    }

    fn remember(&self, stamps: Vec<Stamp>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != stamps;
        *seen = stamps;
        changed
    }

    /// Follows the files for ever. A change that cannot be used is logged once.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(POLL).await;
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
            if let Ok(Some(reloaded)) = looked {
                log(&reloaded);
            }
        }
    }
}

/// Says how a reload went.
pub(crate) fn log(reloaded: &Result<(), TlsError>) {
    match reloaded {
        Ok(()) => tracing::info!("the TLS certificates were loaded again"),
        Err(error) => tracing::error!(
            %error, "the new TLS certificates cannot be used; the old ones stay until the files change again"
        ),
    }
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().for_name(hello.server_name()))
    }
}

impl Certificates {
    fn load(files: &[TlsFiles]) -> Result<Self, TlsError> {
        let mut by_name = HashMap::new();
        let mut first = None;
        for pair in files {
            let certified = Arc::new(certified_key(pair)?);
            for name in names(&certified, &pair.cert)? {
                by_name.entry(name).or_insert_with(|| certified.clone());
            }
            first.get_or_insert(certified);
        }
        let first = first.ok_or(TlsError::Setup(rustls::Error::NoCertificatesPresented))?;
        Ok(Self { by_name, first })
    }

    /// The name itself, then the wildcard one label up.
    fn for_name(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wildcard = || {
                let (_, parent) = name.split_once('.')?;
                self.by_name.get(&format!("*.{parent}"))
            };
            self.by_name.get(&name).or_else(wildcard)
        });
        found.unwrap_or(&self.first).clone()
    }
}

fn certified_key(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let chain = pem::certificates(&files.cert)?;
    let key = pem::private_key(&files.key)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { cert: files.cert.clone(), key: files.key.clone() }
        }
        rustls::Error::InvalidCertificate(problem) => {
            TlsError::Certificate { path: files.cert.clone(), problem: problem.to_string() }
        }
        _ => TlsError::Key { path: files.key.clone() },
    })
}

fn names(certified: &CertifiedKey, path: &Path) -> Result<Vec<String>, TlsError> {
    let unusable = |problem: String| TlsError::Certificate { path: path.to_owned(), problem };
    let own = certified.end_entity_cert().map_err(|error| unusable(error.to_string()))?;
    let own = webpki::EndEntityCert::try_from(own).map_err(|error| unusable(error.to_string()))?;
    Ok(own.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

/// Modification time, inode (a file put in another's place) and size; `None` when it cannot be seen.
fn stamp(path: &Path) -> Stamp {
    let seen = std::fs::metadata(path).ok()?;
    Some((seen.mtime(), seen.mtime_nsec(), seen.ino(), seen.size()))
}

fn stamps(files: &[TlsFiles]) -> Vec<Stamp> {
    files.iter().flat_map(|pair| [stamp(&pair.cert), stamp(&pair.key)]).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
pub(crate) mod tests;
