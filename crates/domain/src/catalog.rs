//! Products and plans: what is for sale and on which terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{PlanSlug, ProductId};
use crate::key_format::{Grouping, KeyFormat};
use crate::rating::PlanPrice;
use crate::time::Timestamp;

/// Largest window limit, in units.
pub const RATE_MAX: u64 = 10_000_000_000;
/// Largest limit staff, CLI and imports may give a single key, per minute.
pub const KEY_RATE_MAX: u64 = 1_000_000_000;
/// Largest quota and largest number of included calls.
pub const QUOTA_MAX: u64 = 1_000_000_000_000_000;
/// Largest number of units one call may cost.
pub const UNITS_PER_CALL_MAX: u64 = 1_000_000_000;

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
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationSettings {
    /// `Some(vec![])` = none needed; `None` = what the document's `security` says, else the default.
    pub scopes: Option<Vec<String>>,
    pub units: Option<u64>,
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
}

/// An API for sale. The OpenAPI document itself is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    pub version: String,
    pub status: ProductStatus,
    pub category: Option<Category>,
    pub tags: Vec<String>,
    /// Base URL of the live upstream; absent for a product that is only verified, never proxied.
    pub upstream: Option<String>,
    pub sandbox: Option<String>,
    pub settings: ProductSettings,
    pub operations: Vec<Operation>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Product {
    /// Every scope a key of this product can hold, sorted: the catalogue's and the operations'.
    pub fn scopes(&self) -> Vec<String> {
        let mut all = self.settings.scopes.clone();
        all.extend(self.operations.iter().flat_map(|op| op.scopes.iter().flatten().cloned()));
        all.sort();
        all.dedup();
        all
    }
}

/// The scope an operation needs when nobody says anything: `<product>:read` or `<product>:write`.
pub fn default_scope(product: &ProductId, method: &str) -> String {
    let verb = if matches!(method, "GET" | "HEAD" | "OPTIONS") { "read" } else { "write" };
    format!("{product}:{verb}")
}

/// A product's operation in the ledger: the first eight bytes of SHA-256 over
/// `product "\n" method " " path`. It does not change when the document is imported again, so rollups of
/// old versions keep their names. `method` and `path` are empty for a call without a known operation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OperationKey(pub i64);

impl OperationKey {
    /// A call of no known product (a verification that named none).
    pub const NONE: Self = Self(0);

    pub fn of(product: &ProductId, method: &str, path: &str) -> Self {
        let digest = Sha256::digest(format!("{product}\n{method} {path}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_le_bytes(first))
    }
}

/// Units admitted per trailing window; absent = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<u64>,
}

/// The allowance of a period. Soft quotas serve on, bill and warn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    #[serde(rename = "calls")]
    pub units: u64,
    pub hard: bool,
}

/// An operation a plan allows; without `product` it holds for each product of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOperation {
    pub product: Option<ProductId>,
    pub method: String,
    pub path: String,
}

impl PlanOperation {
    pub fn allows(&self, product: &ProductId, method: &str, path: &str) -> bool {
        self.product.as_ref().is_none_or(|own| own == product)
            && self.method == method
            && self.path == path
    }
}

/// One published version of a plan: immutable, a change makes the next version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub slug: PlanSlug,
    pub version: u32,
    pub name: String,
    pub description: String,
    pub products: Vec<ProductId>,
    /// Absent = all operations of the products.
    pub operations: Option<Vec<PlanOperation>>,
    pub limits: WindowLimits,
    pub quota: Option<Quota>,
    pub price: PlanPrice,
    pub key_format: Option<KeyFormat>,
    pub key_grouping: Option<Grouping>,
    pub default_expiry_days: Option<u32>,
    pub rotate_on_same_name: Option<bool>,
    pub published_at: Timestamp,
}

impl Plan {
    pub fn allows(&self, product: &ProductId, method: &str, path: &str) -> bool {
        let Some(operations) = &self.operations else { return true };
        operations.iter().any(|operation| operation.allows(product, method, path))
    }
}
