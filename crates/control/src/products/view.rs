//! What is shown of a product: what callers must know to everybody, what lies behind the gateway to staff.

use serde::Serialize;

use keytoll_domain::catalog::{
    Category, Deprecation, HeaderRules, Maintenance, Operation, Product, ProductSettings,
    ProductStatus, ProductVersion, Target, Versioning,
};
use keytoll_domain::ids::ProductId;
use keytoll_domain::time::Timestamp;

use crate::actor::Actor;
use crate::json;

/// Stands for the value of a header rule: it may be a secret, and only admins may read those.
const HIDDEN: &str = "(hidden)";

/// A product as the API and the pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductView {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    pub version: String,
    pub status: ProductStatus,
    pub category: Option<Category>,
    pub tags: Vec<String>,
    pub operations: Vec<Operation>,
    /// Every scope that a key of this product can hold.
    pub scopes: Vec<String>,
    /// Whether calls with test keys reach a sandbox.
    pub has_sandbox: bool,
    /// Whether calls need a key at all.
    pub needs_key: bool,
    /// Host names of its own.
    pub hosts: Vec<String>,
    /// How calls name a further version; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,
    /// Further versions.
    pub versions: Vec<VersionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<Deprecation>,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// For staff only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// For staff only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sandbox_targets: Vec<Target>,
    /// For staff only; values of header rules for admins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<ProductSettings>,
    #[serde(serialize_with = "json::time")]
    pub created_at: Timestamp,
    #[serde(serialize_with = "json::time")]
    pub updated_at: Timestamp,
}

/// A further version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    pub version: String,
    pub status: ProductStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub operations: Vec<Operation>,
    pub has_sandbox: bool,
    /// For staff only: its own, without what it has from the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// For staff only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// For staff only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sandbox_targets: Vec<Target>,
}

pub(super) fn view(product: Product, actor: &Actor) -> ProductView {
    let staff = actor.is_staff();
    let versions = product.versions.iter();
    let versions: Vec<VersionView> =
        versions.map(|version| version_view(&product, version, staff)).collect();
    ProductView {
        scopes: product.scopes(),
        has_sandbox: !product.test_targets().is_empty(),
        needs_key: !product.settings.key_from.is_empty(),
        hosts: product.settings.hosts.clone(),
        versioning: (!versions.is_empty()).then(|| product.settings.versioning.clone()),
        versions,
        maintenance: product.settings.maintenance.clone(),
        deprecation: product.settings.deprecation.clone(),
        upstream: product.upstream.filter(|_| staff),
        sandbox: product.sandbox.filter(|_| staff),
        targets: if staff { product.targets } else { Vec::new() },
        sandbox_targets: if staff { product.sandbox_targets } else { Vec::new() },
        settings: staff.then(|| shown(product.settings, actor.is_admin())),
        id: product.id,
        name: product.name,
        description: product.description,
        version: product.version,
        status: product.status,
        category: product.category,
        tags: product.tags,
        operations: product.operations,
        created_at: product.created_at,
        updated_at: product.updated_at,
    }
}

fn version_view(product: &Product, version: &ProductVersion, staff: bool) -> VersionView {
    let own = |targets: &[Target]| if staff { targets.to_vec() } else { Vec::new() };
    VersionView {
        version: version.version.clone(),
        status: version.status,
        host: version.host.clone(),
        operations: version.operations.clone(),
        has_sandbox: !product.version_test_targets(version).is_empty(),
        upstream: version.upstream.clone().filter(|_| staff),
        sandbox: version.sandbox.clone().filter(|_| staff),
        targets: own(&version.targets),
        sandbox_targets: own(&version.sandbox_targets),
    }
}

fn shown(mut settings: ProductSettings, admin: bool) -> ProductSettings {
    let hide = |rules: &mut HeaderRules| {
        rules.set.values_mut().for_each(|value| HIDDEN.clone_into(value));
    };
    if !admin {
        hide(&mut settings.request_headers);
        hide(&mut settings.response_headers);
    }
    settings
}
