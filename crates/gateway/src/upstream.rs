//! The lean HTTP/1.1 client towards upstreams.
//!
//! One head buffer and one write per request, no task per connection, pools per core. A connection goes
//! back to its pool only when request and answer are both complete; a request is sent again only if it has no body
//! and a reused idle connection failed before any byte of an answer. Nothing is buffered beyond one read.

pub(crate) mod exchange;
pub(crate) mod forward;
pub(crate) mod head;
pub(crate) mod pool;
pub(crate) mod relay;

use std::fmt;

/// An upstream's base URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Upstream {
    /// `host:port` as connected to.
    pub address: Box<str>,
    /// What the `Host` header says: the URL's authority, not the name the client asked for.
    pub authority: Box<str>,
    /// The URL's own path without a trailing slash.
    pub prefix: Box<str>,
    /// Its place in the cores' pools of connections.
    pub number: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamUrlError {
    #[error("upstream `{0}` is no URL of the form http://host[:port][/path]")]
    Malformed(String),
    #[error("upstream `{0}`: https upstreams are not supported yet")]
    Https(String),
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
        if url.starts_with("https://") {
            return Err(UpstreamUrlError::Https(shown()));
        }
        if url.contains(['#', '?']) {
            return Err(UpstreamUrlError::Extra(shown()));
        }
        let uri: http::Uri = url.parse().map_err(|_| UpstreamUrlError::Malformed(shown()))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(UpstreamUrlError::Malformed(shown()));
        };
        if authority.as_str().contains('@') {
            return Err(UpstreamUrlError::Extra(shown()));
        }
        if authority.host().is_empty() {
            return Err(UpstreamUrlError::Malformed(shown()));
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            address: format!("{}:{port}", authority.host()).into(),
            authority: authority.as_str().into(),
            prefix: uri.path().trim_end_matches('/').into(),
            number,
        })
    }
}

/// Why a call got no answer head, or lost its answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection: refused, or an unknown host.
    Unreachable,
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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "upstream cannot be reached",
            Self::Broken => "upstream closed the connection early",
            Self::Garbage => "upstream's answer is not valid HTTP/1.1",
            Self::Timeout => "upstream did not answer in time",
            Self::ClientGone => "the client has gone",
            Self::ClientBroke => "the request's body broke off",
            Self::ClientSlow => "the request's body did not arrive in time",
            Self::BodyTooLarge => "the request's body is too large",
        })
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
