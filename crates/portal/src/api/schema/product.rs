//! Products, as control writes them.

use utoipa::ToSchema;

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Product {
    #[schema(example = "shipment-tracking")]
    id: String,
    #[schema(example = "Shipment Tracking")]
    name: String,
    description: String,
    #[schema(example = "2.1.0")]
    version: String,
    #[schema(example = "active")]
    status: String,
    #[schema(example = "logistics", required = true)]
    category: Option<String>,
    tags: Vec<String>,
    operations: Vec<Operation>,
    /// Every scope that a key of this product can hold.
    #[schema(example = json!(["shipment-tracking:read"]))]
    scopes: Vec<String>,
    /// Whether calls with test keys reach a sandbox.
    has_sandbox: bool,
    /// Whether calls need a key at all.
    needs_key: bool,
    /// Host names of its own.
    hosts: Vec<String>,
    /// How calls name a further version; absent when there is none.
    versioning: Option<Versioning>,
    /// Further versions.
    versions: Vec<Version>,
    /// Present while every call is answered 503.
    maintenance: Option<Maintenance>,
    deprecation: Option<Deprecation>,
    /// For staff only.
    upstream: Option<String>,
    /// For staff only.
    sandbox: Option<String>,
    /// For staff only.
    targets: Option<Vec<Target>>,
    /// For staff only.
    sandbox_targets: Option<Vec<Target>>,
    /// For staff only: what the catalogue says beside the document. Values of header rules are shown to admins.
    #[schema(value_type = Option<Object>)]
    settings: Option<serde_json::Value>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Operation {
    #[schema(example = "GET")]
    method: String,
    #[schema(example = "/shipments/{id}")]
    path: String,
    #[schema(required = true)]
    operation_id: Option<String>,
    summary: String,
    tags: Vec<String>,
    deprecated: bool,
    /// Alternatives, of which a key must hold one whole; none = no scope is needed.
    #[schema(example = json!([["shipment-tracking:read"]]))]
    scopes: Vec<Vec<String>>,
    /// What one call costs.
    #[schema(example = 1)]
    units: u64,
    /// Present when the answer says what a call costs: at most this.
    max_units: Option<u64>,
    deprecation: Option<Deprecation>,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Version {
    #[schema(example = "3")]
    version: String,
    #[schema(example = "beta")]
    status: String,
    host: Option<String>,
    operations: Vec<Operation>,
    has_sandbox: bool,
    /// For staff only.
    upstream: Option<String>,
    /// For staff only.
    sandbox: Option<String>,
    /// For staff only.
    targets: Option<Vec<Target>>,
    /// For staff only.
    sandbox_targets: Option<Vec<Target>>,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Versioning {
    /// path, header or host.
    #[schema(example = "path")]
    by: String,
    #[schema(example = "X-API-Version")]
    header: String,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Target {
    url: String,
    #[schema(example = 1)]
    weight: u16,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Maintenance {
    #[schema(required = true)]
    message: Option<String>,
    #[schema(format = "date-time", required = true)]
    until: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct Deprecation {
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time", required = true)]
    sunset: Option<String>,
    #[schema(required = true)]
    link: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(in crate::api) struct ProductList {
    products: Vec<Product>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}
