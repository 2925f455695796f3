//! Products and plans: what is for sale and on which terms.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{PlanSlug, ProductId};
use crate::key_format::{Grouping, KeyFormat};
use crate::rating::PlanPrice;
use crate::time::Timestamp;

mod policy;
mod product;

pub use policy::{
    Cors, Deprecation, Ejection, HeaderRules, HealthCheck, Maintenance, Retries, Target,
    UpstreamHttp, UpstreamOptions, UpstreamTls, Validation, bounds,
};
pub use product::{
    Bill, Category, ErrorTexts, KeySource, Operation, OperationSettings, Product, ProductSettings,
    ProductStatus, ProductVersion, VersionBy, Versioning,
};

/// Largest window limit, in units.
pub const RATE_MAX: u64 = 10_000_000_000;
/// Largest limit staff, CLI and imports may give a single key, per minute.
pub const KEY_RATE_MAX: u64 = 1_000_000_000;
/// Largest quota and largest number of included calls.
pub const QUOTA_MAX: u64 = 1_000_000_000_000_000;
/// Most calls that a plan or subscription may let each key have in flight.
pub const CONCURRENCY_MAX: u32 = 10_000;
/// Largest number of units one call may cost.
pub const UNITS_PER_CALL_MAX: u64 = 1_000_000_000;

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

    /// An operation of a further version: the path is `version ":" path`, which no path of a document can
    /// be, for those begin with a slash. The default version's operations keep the key of [`Self::of`].
    pub fn of_version(product: &ProductId, version: &str, method: &str, path: &str) -> Self {
        Self::of(product, method, &version_path(version, path))
    }
}

/// What the ledger calls a path of a further version: `2:/shipments/{id}`.
pub fn version_path(version: &str, path: &str) -> String {
    format!("{version}:{path}")
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
    /// Calls in flight per key; absent = unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The most a period may cost, in the price's minor units; absent = unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_cap_minor: Option<u64>,
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

#[cfg(test)]
mod tests;
