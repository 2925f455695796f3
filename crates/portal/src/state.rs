//! What every handler of the portal shares: the ports of the control plane and the portal's own address.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use keytoll_control::Ctx;

/// State of the router; a cheap clone.
#[derive(Clone, Debug)]
pub struct Portal {
    pub ctx: Ctx,
    /// Where people reach the portal; decides on cookies and on the origins that forms may come from.
    pub public_url: Origin,
    /// Where calls go, for samples: scheme, host and port, and a path if there is one; no slash at the end.
    pub gateway_url: Arc<str>,
}

impl Portal {
    pub fn new(ctx: Ctx, public_url: Origin, gateway_url: &str) -> Self {
        Self { ctx, public_url, gateway_url: gateway_url.trim_end_matches('/').into() }
    }
}

/// Scheme, host and port: what browsers call an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub https: bool,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address of the form http://HOST[:PORT] or https://HOST[:PORT]")]
pub struct OriginError;

impl Origin {
    /// An authority as in a `Host` header; without a port it is the scheme's.
    pub fn of_authority(https: bool, authority: &str) -> Result<Self, OriginError> {
        let authority: http::uri::Authority = authority.parse().map_err(|_| OriginError)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(OriginError);
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Self { https, host: authority.host().to_ascii_lowercase(), port })
    }

    /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        let loopback = address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        loopback || self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    /// A path after the authority is left out: an origin has none.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError)?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(OriginError),
        };
        Self::of_authority(https, rest.split(['/', '?', '#']).next().unwrap_or_default())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        match (self.https, self.port) {
            (true, 443) | (false, 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_port_of_its_scheme_and_no_path() {
        for (text, shown) in [
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("https://Portal.Example.com/x?y", "https://portal.example.com"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().map(|o| o.to_string()).as_deref(), Ok(shown));
        }
        for bad in ["", "null", "ftp://a", "http://", "http://a@b", "//a"] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError), "{bad}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (text, loopback) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:9", true),
            ("http://127.0.0.1.evil.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<Origin>().map(|o| o.is_loopback()), Ok(loopback), "{text}");
        }
    }
}
