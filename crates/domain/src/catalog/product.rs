//! A product: its versions, operations and settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::WindowLimits;
use super::policy::{
    Cors, Deprecation, HeaderRules, Maintenance, Target, UpstreamOptions, Validation, bounds,
};
use crate::ids::ProductId;
use crate::key_format::{Grouping, KeyFormat};
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProductStatus {
    #[default]
    Active,
    Beta,
    Deprecated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    Logistics,
    Payments,
    Data,
    Communication,
    Analytics,
}

/// Where a key may be in a request; the product lists them in the order they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// The product's key header, `X-API-Key` unless it says otherwise.
    Header,
    /// The query parameter `api_key`.
    Query,
}

/// Which texts stand in the `error` member of refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorTexts {
    #[default]
    Standard,
    DocumentA,
    DocumentB,
}

/// Which answers of the upstream are charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bill {
    #[default]
    All,
    /// Only 2xx answers.
    Success,
}

/// What the provider decides about a product beside its OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the catalogue")]
pub struct ProductSettings {
    /// Empty = a product without keys: no decision, no limits, no ledger.
    pub key_from: Vec<KeySource>,
    pub key_header: String,
    pub forward_key: bool,
    pub error_texts: ErrorTexts,
    pub bill: Bill,
    /// Scopes offered beside those the operations ask for.
    pub scopes: Vec<String>,
    /// By `METHOD /path`, as in the OpenAPI document.
    pub operations: BTreeMap<String, OperationSettings>,
    pub key_format: Option<KeyFormat>,
    pub key_grouping: Option<Grouping>,
    pub default_expiry_days: Option<u32>,
    pub rotate_on_same_name: bool,
    /// Host names of the product's own, lower case, no port. On them nothing is reserved but `/.keytoll/`.
    pub hosts: Vec<String>,
    /// How a call names one of [`Product::versions`].
    pub versioning: Versioning,
    pub upstream_options: UpstreamOptions,
    /// Done to the request on its way to the upstream, after the gateway's own headers.
    pub request_headers: HeaderRules,
    /// Done to the upstream's answer on its way to the caller.
    pub response_headers: HeaderRules,
    /// Whether the upstream is told who calls (`X-Keytoll-Key-Id` and its kin).
    pub identity_headers: bool,
    /// Whether requests to the upstream carry an HMAC, so that it can refuse what bypasses the gateway.
    pub sign_requests: bool,
    pub cors: Option<Cors>,
    pub validation: Validation,
    /// Whether answers to GET are kept as their `Cache-Control` allows.
    pub cache: bool,
    /// Present: every call is answered 503 `maintenance`.
    pub maintenance: Option<Maintenance>,
    pub deprecation: Option<Deprecation>,
    /// Windows over all subscriptions together: they protect the upstream.
    pub limits: WindowLimits,
    /// Share of the calls that the access log holds.
    pub log_sample_percent: u8,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            key_from: vec![KeySource::Bearer, KeySource::Header],
            key_header: "X-API-Key".into(),
            forward_key: false,
            error_texts: ErrorTexts::default(),
            bill: Bill::default(),
            scopes: Vec::new(),
            operations: BTreeMap::new(),
            key_format: None,
            key_grouping: None,
            default_expiry_days: None,
            rotate_on_same_name: false,
            hosts: Vec::new(),
            versioning: Versioning::default(),
            upstream_options: UpstreamOptions::default(),
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            identity_headers: true,
            sign_requests: false,
            cors: None,
            validation: Validation::default(),
            cache: false,
            maintenance: None,
            deprecation: None,
            limits: WindowLimits::default(),
            log_sample_percent: bounds::PERCENT_MAX,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationSettings {
    /// `Some(vec![])` = none needed; `None` = what the document's `security` says, else the default.
    pub scopes: Option<Vec<String>>,
    pub units: Option<u64>,
    /// At least `units`; present: the upstream's `X-Keytoll-Units` header says what a call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_units: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<Deprecation>,
}

/// An operation as the request path needs it: settings and document already folded together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub method: String,
    /// Path template as in the document's `paths`.
    pub path: String,
    pub operation_id: Option<String>,
    pub summary: String,
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// Alternatives, of which one must be held whole; empty = none needed.
    pub scopes: Vec<Vec<String>>,
    /// What one call costs, 1 unless said otherwise.
    pub units: u64,
    /// Present: this many are admitted, and the upstream's `X-Keytoll-Units` header, capped at it, is charged;
    /// an answer without that header costs `units`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_units: Option<u64>,
    /// The catalogue's word for this operation; it goes before the product's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<Deprecation>,
}

/// How calls name a further version. Without a name they get the product itself, its default version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionBy {
    /// `/{product}/{version}/…`, and `/{version}/…` on a host of the product's own.
    #[default]
    Path,
    /// The value of [`Versioning::header`]; an unknown one is `no_such_operation`.
    Header,
    /// Each version has a host name.
    Host,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versioning {
    pub by: VersionBy,
    /// Read when `by` is [`VersionBy::Header`].
    pub header: String,
}

impl Default for Versioning {
    fn default() -> Self {
        Self { by: VersionBy::default(), header: "X-API-Version".into() }
    }
}

/// A further version of a product, with a document and operations of its own; settings are the product's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductVersion {
    /// `[a-z0-9][a-z0-9.-]{0,31}`, other than the product's own version.
    pub version: String,
    /// Present when versions are told apart by host.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub status: ProductStatus,
    #[serde(default)]
    pub upstream: Option<String>,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub sandbox: Option<String>,
    #[serde(default)]
    pub sandbox_targets: Vec<Target>,
    pub operations: Vec<Operation>,
    /// Digest of its document, in hex.
    #[serde(default)]
    pub document_sha256: Option<String>,
}

/// An API for sale. The OpenAPI document itself is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    /// Of the default version.
    pub version: String,
    pub status: ProductStatus,
    pub category: Option<Category>,
    pub tags: Vec<String>,
    /// Base URL of the live upstream: the short form of one target. Neither = only verified, never proxied.
    pub upstream: Option<String>,
    pub sandbox: Option<String>,
    /// Instead of `upstream`.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Instead of `sandbox`.
    #[serde(default)]
    pub sandbox_targets: Vec<Target>,
    pub settings: ProductSettings,
    /// Of the default version.
    pub operations: Vec<Operation>,
    /// Further versions.
    #[serde(default)]
    pub versions: Vec<ProductVersion>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Product {
    /// Every scope a key of this product can hold, sorted: the catalogue's and the operations'.
    pub fn scopes(&self) -> Vec<String> {
        let further = self.versions.iter().flat_map(|version| &version.operations);
        let operations = self.operations.iter().chain(further);
        let mut all = self.settings.scopes.clone();
        all.extend(operations.flat_map(|op| op.scopes.iter().flatten().cloned()));
        all.sort();
        all.dedup();
        all
    }

    /// Where calls with live keys go; empty = the product is only verified.
    pub fn live_targets(&self) -> Vec<Target> {
        targets(self.upstream.as_deref(), &self.targets)
    }

    /// Where calls with test keys go.
    pub fn test_targets(&self) -> Vec<Target> {
        targets(self.sandbox.as_deref(), &self.sandbox_targets)
    }

    /// The version's own, else the product's.
    pub fn version_live_targets(&self, version: &ProductVersion) -> Vec<Target> {
        let own = version.own_targets();
        if own.is_empty() { self.live_targets() } else { own }
    }

    /// The version's own. A version that has its live upstream to itself does not fall back to the product's
    /// sandbox, for that answers as another version.
    pub fn version_test_targets(&self, version: &ProductVersion) -> Vec<Target> {
        let own = targets(version.sandbox.as_deref(), &version.sandbox_targets);
        if own.is_empty() && version.own_targets().is_empty() { self.test_targets() } else { own }
    }

    /// Every host name the product answers to: its own and its versions'.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        let versions = self.versions.iter().filter_map(|version| version.host.as_deref());
        self.settings.hosts.iter().map(String::as_str).chain(versions)
    }
}

impl ProductVersion {
    fn own_targets(&self) -> Vec<Target> {
        targets(self.upstream.as_deref(), &self.targets)
    }
}

fn targets(short: Option<&str>, list: &[Target]) -> Vec<Target> {
    if !list.is_empty() {
        return list.to_vec();
    }
    short.map(Target::only).into_iter().collect()
}
