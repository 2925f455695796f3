//! TLS towards an upstream.
//!
//! Without an own authority the roots are Mozilla's, compiled in: they are in the binary already for fetching
//! documents, need no package on the machine, and are the same on every node.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{TlsError, TlsFiles, pem, provider};

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
pub struct ClientTls {
    settings: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// `protocols` are offered by ALPN, the preferred first.
    pub fn load(options: &ClientTlsOptions, protocols: &[&[u8]]) -> Result<Self, TlsError> {
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
        settings.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let server_name = options.server_name.as_deref().map(name).transpose()?;
        Ok(Self { settings: Arc::new(settings), server_name })
    }

    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.settings
    }

    /// The handshake with the upstream of this host (a name or an address, without port). The caller sets the time
    /// limit. The protocol chosen by ALPN is `stream.get_ref().1.alpn_protocol()`.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let wanted = match &self.server_name {
            Some(server_name) => server_name.clone(),
            None => {
                name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
            }
        };
        TlsConnector::from(self.settings.clone()).connect(wanted, stream).await
    }
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
