//! TLS towards an upstream.
//!
//! Without an own authority the roots are Mozilla's, compiled in: they are in the binary already for fetching
//! documents, need no package on the machine, and are the same on every node. Files are read again when they change;
//! while they cannot be used, what was usable before goes on being used.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{POLL, Stamp, TlsError, TlsFiles, pem, provider, stamp};
use crate::compile::Tables;

/// What an upstream's TLS needs beside its host name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsOptions {
    /// Authorities that vouch for the upstream, instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How the gateway shows who it is.
    pub client: Option<TlsFiles>,
    /// The name that the upstream's certificate must hold, instead of the host in its URL.
    pub server_name: Option<String>,
}

/// Ready to connect; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Absent while the files could never be used.
    settings: ArcSwapOption<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    options: ClientTlsOptions,
    protocols: Vec<Vec<u8>>,
    /// Of the files as they were last looked at, usable or not.
    seen: Mutex<Vec<Stamp>>,
}

impl ClientTls {
    /// `protocols` are offered by ALPN, the preferred first.
    pub fn load(options: &ClientTlsOptions, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let tls = Self::unusable(options, protocols)?;
        tls.reload()?;
        Ok(tls)
    }

    /// Connects to nobody until its files are loaded.
    pub(crate) fn unusable(
        options: &ClientTlsOptions,
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Inner {
            settings: ArcSwapOption::empty(),
            server_name: options.server_name.as_deref().map(name).transpose()?,
            options: options.clone(),
            protocols: protocols.iter().map(|name| name.to_vec()).collect(),
            seen: Mutex::new(stamps(options)),
        })))
    }

    /// Loads the files again, all or none; handshakes from now on use them.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        self.0.remember(stamps(&self.0.options));
        let settings = settings(&self.0.options, &self.0.protocols)?;
        self.0.settings.store(Some(Arc::new(settings)));
        Ok(())
    }

    /// [`Self::reload`] when a file is another one than last time; `None` when none is.
    pub(crate) fn reload_if_changed(&self) -> Option<Result<(), TlsError>> {
        self.0.remember(stamps(&self.0.options)).then(|| self.reload())
    }

    #[cfg(test)]
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.0.settings.load_full().expect("it was loaded")
    }

    /// The handshake with the upstream of this host (a name or an address, without port). The caller sets the time
    /// limit. The protocol chosen by ALPN is `stream.get_ref().1.alpn_protocol()`.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let settings = self.0.settings.load_full();
        let settings = settings.ok_or_else(|| io::Error::other("its TLS files cannot be used"))?;
        let wanted = match &self.0.server_name {
            Some(server_name) => server_name.clone(),
            None => {
                name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
            }
        };
        TlsConnector::from(settings).connect(wanted, stream).await
    }
}

impl Inner {
    fn remember(&self, stamps: Vec<Stamp>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != stamps;
        *seen = stamps;
        changed
    }
}

/// Loads the files of every upstream again, or those that have changed; how that went is in the log.
pub(crate) fn reload_upstreams(tables: &Tables, even_unchanged: bool) {
    let routes = tables.routes.load();
    let members = routes.all().flat_map(|product| {
        let members = product.clusters().flat_map(|cluster| &cluster.members);
        members.map(|member| (&product.id, &member.upstream))
    });
    let mut done: Vec<*const Inner> = Vec::new();
    for (product, upstream) in members {
        // Targets of a product, and products without files, share theirs.
        let Some(tls) = upstream.tls.as_ref().filter(|tls| !done.contains(&Arc::as_ptr(&tls.0)))
        else {
            continue;
        };
        done.push(Arc::as_ptr(&tls.0));
        if tls.0.options.ca.is_none() && tls.0.options.client.is_none() {
            continue;
        }
        let reloaded = if even_unchanged { Some(tls.reload()) } else { tls.reload_if_changed() };
        match reloaded {
            None => {}
            Some(Ok(())) => tracing::info!(%product, "the upstream's TLS files were loaded again"),
            Some(Err(error)) => tracing::error!(
                %product, %error, "the upstream's new TLS files cannot be used; the old ones stay until the files change again"
            ),
        }
    }
}

/// Follows the files of upstreams for ever.
pub(crate) async fn follow_upstreams(tables: Arc<Tables>) {
    loop {
        tokio::time::sleep(POLL).await;
        let tables = tables.clone();
        let _ = tokio::task::spawn_blocking(move || reload_upstreams(&tables, false)).await;
    }
}

fn settings(options: &ClientTlsOptions, protocols: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots(options)?);
    let mut settings = match &options.client {
        None => builder.with_no_client_auth(),
        Some(files) => {
            // Read as the listener's pairs are, for the same errors.
            super::certified_key(files)?;
            let (chain, key) = (pem::certificates(&files.cert)?, pem::private_key(&files.key)?);
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Setup)?
        }
    };
    settings.alpn_protocols = protocols.to_vec();
    Ok(settings)
}

fn stamps(options: &ClientTlsOptions) -> Vec<Stamp> {
    let pair = options.client.iter().flat_map(|files| [&files.cert, &files.key]);
    options.ca.iter().chain(pair).map(|path| stamp(path)).collect()
}

fn roots(options: &ClientTlsOptions) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &options.ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    for authority in pem::certificates(path)? {
        roots.add(authority).map_err(|error| TlsError::Certificate {
            path: path.clone(),
            problem: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// An IPv6 address may stand in brackets, as in a URL.
fn name(text: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| TlsError::ServerName { name: text.to_owned() })
}
