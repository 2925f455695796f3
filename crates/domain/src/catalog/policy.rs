//! How the gateway treats the calls of a product: where they go, what is done to them on the way, and when they are
//! turned away. Every member has a default, so that a product stored by an older version reads back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Bounds of what a catalogue may say; more is refused with 422.
pub mod bounds {
    pub const PERCENT_MAX: u8 = 100;
    pub const HOSTS_MAX: usize = 16;
    /// RFC 1035: longest host name, longest label.
    pub const HOST_MAX_LEN: usize = 253;
    pub const HOST_LABEL_MAX_LEN: usize = 63;
    pub const VERSIONS_MAX: usize = 32;
    pub const VERSION_ID_MAX_LEN: usize = 32;
    pub const TARGETS_MAX: usize = 64;
    pub const WEIGHT_MAX: u16 = 1_000;
    /// Longest timeout of an upstream: an hour.
    pub const TIMEOUT_MAX_MS: u32 = 3_600_000;
    pub const RETRY_ATTEMPTS_MAX: u8 = 5;
    /// Longest pause between health checks: an hour.
    pub const HEALTH_INTERVAL_MAX_SECS: u32 = 3_600;
    pub const HEALTH_TIMEOUT_MAX_SECS: u32 = 60;
    pub const HEALTH_THRESHOLD_MAX: u32 = 100;
    pub const PATH_MAX_LEN: usize = 1_000;
    pub const EJECT_FAILURES_MAX: u32 = 1_000;
    /// Longest ejection: an hour.
    pub const EJECT_MAX_SECS: u32 = 3_600;
    pub const FILE_PATH_MAX_LEN: usize = 4_096;
    /// Most headers set, and most removed.
    pub const HEADERS_MAX: usize = 32;
    pub const HEADER_NAME_MAX_LEN: usize = 100;
    pub const HEADER_VALUE_MAX_LEN: usize = 4_096;
    pub const CORS_ENTRIES_MAX: usize = 64;
    pub const ORIGIN_MAX_LEN: usize = 300;
    /// A day: browsers keep preflights no longer.
    pub const CORS_MAX_AGE_SECS: u32 = 86_400;
    pub const MESSAGE_MAX_CHARS: usize = 500;
    pub const LINK_MAX_LEN: usize = 2_000;
}

/// One of the addresses that share a product's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A base URL.
    pub url: String,
    /// Its share beside the other targets, 1 to [`bounds::WEIGHT_MAX`].
    #[serde(default = "one")]
    pub weight: u16,
}

impl Target {
    /// The single target that a plain `upstream` is.
    pub fn only(url: &str) -> Self {
        Self { url: url.to_owned(), weight: one() }
    }
}

fn one() -> u16 {
    1
}

/// How an upstream is called. Absent times are the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamOptions {
    pub connect_ms: Option<u32>,
    /// From the request's end to the answer's head.
    pub first_byte_ms: Option<u32>,
    /// Longest silence within a body.
    pub idle_ms: Option<u32>,
    /// From the connection to the answer's end; absent = none.
    pub total_ms: Option<u32>,
    pub retries: Retries,
    /// Absent = no checks of their own.
    pub health: Option<HealthCheck>,
    /// Absent = a failing target is not left out.
    pub eject: Option<Ejection>,
    pub http: UpstreamHttp,
    /// For `https://` targets; absent = the system's authorities, no client certificate.
    pub tls: Option<UpstreamTls>,
}

/// Repeats of calls that can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Beside the first attempt; 0 = never.
    pub attempts: u8,
    /// Most repeats, as a share of the calls.
    pub budget_percent: u8,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, budget_percent: 20 }
    }
}

/// Calls of the gateway's own that find out whether a target is well: 2xx is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// On the target's host, not below its base path.
    pub path: String,
    pub interval_secs: u32,
    pub timeout_secs: u32,
    /// Failures in a row that take a target out.
    pub unhealthy_after: u32,
    /// Successes in a row that bring it back.
    pub healthy_after: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: "/".into(),
            interval_secs: 10,
            timeout_secs: 2,
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }
}

/// A target that fails calls in a row is left out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ejection {
    pub failures: u32,
    pub secs: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, secs: 10 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpstreamHttp {
    #[default]
    #[serde(rename = "1.1")]
    Http1,
    /// With prior knowledge on `http://`.
    #[serde(rename = "2")]
    Http2,
}

/// Files of the gateway's machine, absolute; PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTls {
    /// Authorities trusted instead of the system's.
    pub ca: Option<String>,
    pub client_cert: Option<String>,
    /// Present when `client_cert` is.
    pub client_key: Option<String>,
    /// Name asked for and checked instead of the URL's host.
    pub server_name: Option<String>,
}

/// First `remove`, then `set`, which replaces. Names are in lower case, the same name never in both.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderRules {
    pub set: BTreeMap<String, String>,
    pub remove: Vec<String>,
}

/// Values may be secrets between gateway and upstream.
impl std::fmt::Debug for HeaderRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.set.keys().collect();
        f.debug_struct("HeaderRules").field("set", &names).field("remove", &self.remove).finish()
    }
}

impl HeaderRules {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// Which pages of other origins may call. Preflights need no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// `scheme://host[:port]`, lower case, or `*` alone; `*` never together with `credentials`.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub credentials: bool,
    pub max_age_secs: u32,
}

impl Default for Cors {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            origins: Vec::new(),
            methods: owned(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            headers: owned(&["Authorization", "Content-Type", "X-API-Key"]),
            expose: owned(&[
                "Retry-After",
                "RateLimit",
                "RateLimit-Policy",
                "X-RateLimit-Limit",
                "X-RateLimit-Remaining",
                "X-RateLimit-Reset",
                "X-Request-Id",
            ]),
            credentials: false,
            max_age_secs: 600,
        }
    }
}

/// What becomes of a request that does not fit the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// Requests are not compared with the document.
    #[default]
    Off,
    /// It is forwarded and counted.
    Report,
    /// It is refused.
    Enforce,
}

/// Every call is answered 503 `maintenance`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Maintenance {
    /// Shown to callers.
    pub message: Option<String>,
    /// Answers say `Retry-After` when present. It does not end by itself.
    #[serde(with = "written_time")]
    pub until: Option<Timestamp>,
}

/// What callers are told of an end to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deprecation {
    /// `Deprecation: @unix` (RFC 9745).
    #[serde(with = "written_time::required")]
    pub at: Timestamp,
    /// `Sunset`, an HTTP date (RFC 8594); not before `at`.
    #[serde(default, with = "written_time")]
    pub sunset: Option<Timestamp>,
    /// `Link` with `rel="deprecation"`.
    #[serde(default)]
    pub link: Option<String>,
}

/// RFC 3339 in JSON: people read these members.
mod written_time {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::time::Timestamp;

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::rfc3339).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
    }

    pub(super) mod required {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        use crate::time::Timestamp;

        #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
        pub(in super::super) fn serialize<S: Serializer>(
            at: &Timestamp,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            at.rfc3339().serialize(serializer)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Timestamp, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        }
    }
}
