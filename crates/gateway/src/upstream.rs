//! The lean HTTP/1.1 client towards upstreams.
//!
//! One head buffer and one write per request, no task per connection, pools per core. A connection goes
//! back to its pool only when request and answer are both complete. Which target of a product serves a call, and when
//! a call is sent again, is decided in [`forward`] alone. Nothing is buffered beyond one read.

mod budget;
pub(crate) mod cluster;
mod connect;
pub(crate) mod exchange;
pub(crate) mod forward;
pub(crate) mod head;
pub(crate) mod health;
pub(crate) mod http2;
pub(crate) mod once;
pub(crate) mod pool;
pub(crate) mod registry;
pub(crate) mod relay;

use std::fmt;

use crate::chunked::Malformed;
use crate::tls::ClientTls;
use cluster::State;

/// One target of a product: its base URL, taken apart, and how it fares.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// As the catalogue has it.
    pub url: Box<str>,
    /// The URL's host without its port, which its certificate must hold.
    pub host: Box<str>,
    /// `host:port` as connected to.
    pub address: Box<str>,
    /// What the `Host` header says: the URL's authority, not the name the client asked for.
    pub authority: Box<str>,
    /// The URL's own path without a trailing slash.
    pub prefix: Box<str>,
    /// Set once for `https`.
    pub tls: Option<ClientTls>,
    pub secure: bool,
    /// Spoken with every target of the product.
    pub http2: bool,
    /// Its place in the cores' pools of connections.
    pub number: usize,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamUrlError {
    #[error("upstream `{0}` is no URL of the form http://host[:port][/path] or https://…")]
    Malformed(String),
    #[error("upstream `{0}` must not hold a user, a query or a fragment")]
    Extra(String),
}

/// Says what is wrong with a base URL before a product with it is stored.
pub fn check_upstream_url(url: &str) -> Result<(), UpstreamUrlError> {
    Upstream::parse(url, 0).map(|_| ())
}

impl Upstream {
    /// `number` is the upstream's own among all.
    pub(crate) fn parse(url: &str, number: usize) -> Result<Self, UpstreamUrlError> {
        let shown = || url.chars().take(200).collect::<String>();
        if url.contains(['#', '?']) {
            return Err(UpstreamUrlError::Extra(shown()));
        }
        let uri: http::Uri = url.parse().map_err(|_| UpstreamUrlError::Malformed(shown()))?;
        let (secure, usual_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(UpstreamUrlError::Malformed(shown())),
        };
        let authority = uri.authority().ok_or_else(|| UpstreamUrlError::Malformed(shown()))?;
        if authority.as_str().contains('@') {
            return Err(UpstreamUrlError::Extra(shown()));
        }
        if authority.host().is_empty() {
            return Err(UpstreamUrlError::Malformed(shown()));
        }
        let port = authority.port_u16().unwrap_or(usual_port);
        Ok(Self {
            url: url.into(),
            host: authority.host().into(),
            address: format!("{}:{port}", authority.host()).into(),
            authority: authority.as_str().into(),
            prefix: uri.path().trim_end_matches('/').into(),
            tls: None,
            secure,
            http2: false,
            number,
            state: State::default(),
        })
    }
}

/// Why a call got no answer head, or lost its answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection: refused, an unknown host, or one that is not who it should be.
    Unreachable,
    /// Every target failed its health checks; none was tried.
    Unavailable,
    /// The connection ended before the answer was complete.
    Broken,
    /// What came is no HTTP/1.1 answer.
    Garbage,
    /// No connection, no first byte, or no further one for too long.
    Timeout,
    /// The client closed its connection while it was to wait for its answer.
    ClientGone,
    /// The client's body broke off or is malformed.
    ClientBroke,
    /// The client sent nothing of its body for too long.
    ClientSlow,
    /// The client's body is longer than allowed.
    BodyTooLarge,
    /// The client wanted an answer from the cache or none.
    NotCached,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "upstream cannot be reached",
            Self::Unavailable => "no target of the upstream is healthy",
            Self::Broken => "upstream closed the connection early",
            Self::Garbage => "upstream's answer is not valid HTTP/1.1",
            Self::Timeout => "upstream did not answer in time",
            Self::ClientGone => "the client has gone",
            Self::ClientBroke => "the request's body broke off",
            Self::ClientSlow => "the request's body did not arrive in time",
            Self::BodyTooLarge => "the request's body is too large",
            Self::NotCached => "the cache has no fresh answer",
        })
    }
}

impl std::error::Error for Failure {}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Garbage
    }
}

impl Failure {
    /// The upstream is to blame, or the way to it.
    pub(crate) fn is_of_upstream(self) -> bool {
        match self {
            Self::Unreachable | Self::Broken | Self::Garbage | Self::Timeout => true,
            Self::Unavailable
            | Self::ClientGone
            | Self::ClientBroke
            | Self::ClientSlow
            | Self::BodyTooLarge
            | Self::NotCached => false,
        }
    }
}

#[cfg(test)]
mod tests;
