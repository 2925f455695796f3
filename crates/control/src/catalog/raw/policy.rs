//! A product's versions and policies as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;

use keytoll_domain::catalog::{ProductStatus, UpstreamHttp, VersionBy};

use super::{Count, Text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawVersion {
    pub(in crate::catalog) version: Text,
    pub(in crate::catalog) spec: Option<String>,
    pub(in crate::catalog) host: Option<String>,
    pub(in crate::catalog) status: Option<ProductStatus>,
    pub(in crate::catalog) upstream: Option<String>,
    pub(in crate::catalog) targets: Option<Vec<RawTarget>>,
    pub(in crate::catalog) sandbox: Option<String>,
    pub(in crate::catalog) sandbox_targets: Option<Vec<RawTarget>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawVersioning {
    pub(in crate::catalog) by: VersionBy,
    pub(in crate::catalog) header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawTarget {
    pub(in crate::catalog) url: String,
    pub(in crate::catalog) weight: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawUpstreamOptions {
    pub(in crate::catalog) connect_ms: Option<Count>,
    pub(in crate::catalog) first_byte_ms: Option<Count>,
    pub(in crate::catalog) idle_ms: Option<Count>,
    pub(in crate::catalog) total_ms: Option<Count>,
    pub(in crate::catalog) retries: RawRetries,
    pub(in crate::catalog) health: Option<RawHealth>,
    pub(in crate::catalog) eject: Option<RawEject>,
    pub(in crate::catalog) http: Option<UpstreamHttp>,
    pub(in crate::catalog) tls: Option<RawTls>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawRetries {
    pub(in crate::catalog) attempts: Option<Count>,
    pub(in crate::catalog) budget_percent: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawHealth {
    pub(in crate::catalog) path: Option<String>,
    pub(in crate::catalog) interval_secs: Option<Count>,
    pub(in crate::catalog) timeout_secs: Option<Count>,
    pub(in crate::catalog) unhealthy_after: Option<Count>,
    pub(in crate::catalog) healthy_after: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawEject {
    pub(in crate::catalog) failures: Option<Count>,
    pub(in crate::catalog) secs: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawTls {
    pub(in crate::catalog) ca: Option<String>,
    pub(in crate::catalog) client_cert: Option<String>,
    pub(in crate::catalog) client_key: Option<String>,
    pub(in crate::catalog) server_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::catalog) struct RawHeaderRules {
    pub(in crate::catalog) set: BTreeMap<String, String>,
    pub(in crate::catalog) remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawCors {
    pub(in crate::catalog) origins: Vec<String>,
    pub(in crate::catalog) methods: Option<Vec<String>>,
    pub(in crate::catalog) headers: Option<Vec<String>>,
    pub(in crate::catalog) expose: Option<Vec<String>>,
    #[serde(default)]
    pub(in crate::catalog) credentials: bool,
    pub(in crate::catalog) max_age_secs: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawMaintenance {
    pub(in crate::catalog) message: Option<String>,
    pub(in crate::catalog) until: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::catalog) struct RawDeprecation {
    pub(in crate::catalog) at: Text,
    pub(in crate::catalog) sunset: Option<Text>,
    pub(in crate::catalog) link: Option<String>,
}
