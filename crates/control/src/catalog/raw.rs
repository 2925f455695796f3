//! The catalogue as it is written in YAML, member by member.
//!
//! Strict: an unknown member is an error with its line. Numbers are read as texts, so that a price keeps its digits and
//! an absurd number gets a message instead of being rounded. Bounds and references are checked in the parent module.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use keytoll_domain::catalog::{Bill, Category, ErrorTexts, KeySource, ProductStatus, Validation};
use keytoll_domain::key_format::{Grouping, KeyFormat};
use keytoll_domain::rating::Overage;

mod policy;

pub(super) use policy::{
    RawCors, RawDeprecation, RawEject, RawHeaderRules, RawHealth, RawMaintenance, RawRetries,
    RawTarget, RawTls, RawUpstreamOptions, RawVersion, RawVersioning,
};

/// Longest number accepted, in characters.
const NUMBER_MAX_LEN: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCatalogue {
    pub(super) currency: Option<String>,
    #[serde(default)]
    pub(super) products: Vec<Spanned<RawProduct>>,
    #[serde(default)]
    pub(super) plans: Vec<Spanned<RawPlan>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the catalogue")]
pub(super) struct RawProduct {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) version: Option<Text>,
    pub(super) category: Option<Category>,
    pub(super) status: Option<ProductStatus>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) spec: Option<String>,
    #[serde(rename = "openApiSpec")]
    pub(super) open_api_spec: Option<String>,
    #[serde(alias = "baseUrl")]
    pub(super) upstream: Option<String>,
    #[serde(alias = "sandboxUrl")]
    pub(super) sandbox: Option<String>,
    pub(super) key_from: Option<Vec<KeySource>>,
    pub(super) key_header: Option<String>,
    #[serde(default)]
    pub(super) forward_key: bool,
    #[serde(default)]
    pub(super) error_texts: ErrorTexts,
    #[serde(default)]
    pub(super) bill: Bill,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) operations: BTreeMap<String, RawOperation>,
    pub(super) key_format: Option<KeyFormat>,
    pub(super) key_grouping: Option<Grouping>,
    pub(super) default_expiry_days: Option<Count>,
    #[serde(default)]
    pub(super) rotate_on_same_name: bool,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) versions: Vec<RawVersion>,
    pub(super) versioning: Option<RawVersioning>,
    pub(super) targets: Option<Vec<RawTarget>>,
    pub(super) sandbox_targets: Option<Vec<RawTarget>>,
    #[serde(default)]
    pub(super) upstream_options: RawUpstreamOptions,
    pub(super) request_headers: Option<RawHeaderRules>,
    pub(super) response_headers: Option<RawHeaderRules>,
    pub(super) identity_headers: Option<bool>,
    #[serde(default)]
    pub(super) sign_requests: bool,
    pub(super) cors: Option<RawCors>,
    #[serde(default)]
    pub(super) validation: Validation,
    #[serde(default)]
    pub(super) cache: bool,
    pub(super) maintenance: Option<RawMaintenance>,
    pub(super) deprecation: Option<RawDeprecation>,
    pub(super) limits: Option<RawLimits>,
    pub(super) log_sample_percent: Option<Count>,
    pub(super) pricing: Option<RawPricing>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperation {
    pub(super) scopes: Option<Vec<String>>,
    pub(super) units: Option<Count>,
    pub(super) max_units: Option<Count>,
    pub(super) deprecation: Option<RawDeprecation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlan {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) products: Vec<String>,
    pub(super) operations: Option<Vec<String>>,
    pub(super) price_monthly: Option<Price>,
    pub(super) included_calls: Option<Count>,
    pub(super) overage_per_1000: Option<Price>,
    #[serde(default)]
    pub(super) overage: Overage,
    pub(super) quota: Option<RawQuota>,
    pub(super) limits: Option<RawLimits>,
    pub(super) concurrency: Option<Count>,
    pub(super) spend_cap: Option<Price>,
    pub(super) key_format: Option<KeyFormat>,
    pub(super) key_grouping: Option<Grouping>,
    pub(super) default_expiry_days: Option<Count>,
    pub(super) rotate_on_same_name: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuota {
    pub(super) calls: Count,
    pub(super) hard: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) second: Option<Count>,
    pub(super) minute: Option<Count>,
    pub(super) hour: Option<Count>,
    pub(super) day: Option<Count>,
}

/// R29's `pricing`: one plan for each member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPricing {
    pub(super) free: Option<RawFree>,
    pub(super) starter: Option<RawPaid>,
    pub(super) enterprise: Option<RawPaid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFree {
    pub(super) monthly_quota: Count,
    pub(super) rate_per_second: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawPaid {
    pub(super) monthly_price: Price,
    pub(super) included_calls: Option<Count>,
    #[serde(rename = "overagePer1000")]
    pub(super) overage_per_1000: Option<Price>,
    pub(super) rate_per_second: Option<Count>,
}

/// A whole number as written; -1 is read as absent (R1).
pub(super) struct Count(pub(super) String);

/// A decimal as written.
pub(super) struct Price(pub(super) String);

/// A text that may look like a number, such as a version.
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer).map(Self)
    }
}

fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = deserializer.deserialize_str(Scalar)?;
    if text.len() > NUMBER_MAX_LEN {
        return Err(D::Error::custom(format!("longer than {NUMBER_MAX_LEN} characters")));
    }
    Ok(text)
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.trim().to_owned())
    }
}
