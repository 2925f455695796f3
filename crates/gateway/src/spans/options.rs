//! Where spans go, checked before anything starts.

use std::fmt;
use std::time::Duration;

use crate::upstream::{Upstream, UpstreamUrlError};

/// First wait before a batch is sent again; each further wait is twice as long.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Fields of the request that are ours to write.
const OURS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// A collector of traces that speaks OTLP over HTTP with JSON.
#[derive(Clone)]
pub struct OtlpOptions {
    endpoint: Box<str>,
    /// Share of the calls that come without a trace, from 0 to 1.
    pub(crate) sample: f64,
    /// Lines with their ends; their values are secrets.
    pub(crate) header_lines: Box<str>,
    pub(crate) retry_wait: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    #[error("is no URL of the form http://host[:port][/path] or https://…, without user and query")]
    Endpoint,
    #[error("must be from 0 to 1")]
    Sample,
    #[error("holds `{0}`, which cannot be set or has a value that cannot be sent")]
    Header(String),
}

impl OtlpOptions {
    /// `/v1/traces` is appended to the endpoint; the headers, such as a token, go with every request.
    pub fn new<'h>(
        endpoint: &str,
        sample: f64,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, OtlpError> {
        Upstream::parse(endpoint, 0).map_err(|_: UpstreamUrlError| OtlpError::Endpoint)?;
        if !(0.0..=1.0).contains(&sample) {
            return Err(OtlpError::Sample);
        }
        let mut lines = String::new();
        for (name, value) in headers {
            if !is_name(name) || !is_value(value) {
                return Err(OtlpError::Header(name.chars().take(100).collect()));
            }
            for part in [name, ": ", value, "\r\n"] {
                lines.push_str(part);
            }
        }
        let (endpoint, header_lines) = (endpoint.into(), lines.into());
        Ok(Self { endpoint, sample, header_lines, retry_wait: RETRY_WAIT })
    }

    /// The collector as a target to connect to. Its path may be a secret, so that nothing shows its URL.
    pub(crate) fn target(&self) -> Upstream {
        let mut target = Upstream::parse(&self.endpoint, 0).expect("`new` has parsed it");
        target.url = target.authority.clone();
        target
    }
}

impl fmt::Debug for OtlpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtlpOptions({}, {}, …)", self.target().authority, self.sample)
    }
}

fn is_name(name: &str) -> bool {
    let is_token = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    is_token && !OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
