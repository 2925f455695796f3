//! The shapes of the bodies that control's types have when they are written as JSON.
//!
//! Nothing here is ever built: control must not know of `OpenAPI`, so its shapes are written down once more
//! for the document. The tests hold every answer against them, member by member.

#![expect(dead_code, reason = "these types describe JSON, they never hold any")]
#![expect(clippy::struct_field_names, reason = "the names are the contract's")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

mod product;

pub(super) use product::{Product, ProductList};

/// `production` and `sandbox` are accepted for `live` and `test`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Environment {
    Live,
    Test,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct NewKey {
    #[schema(example = "shop backend", min_length = 1, max_length = 100)]
    name: String,
    /// Scopes of the plan's products, or `*` for all, future ones too.
    #[schema(example = json!(["shipment-tracking:read"]), min_items = 1, max_items = 100)]
    scopes: Vec<String>,
    environment: Option<Environment>,
    /// Products of the plan; by default all.
    #[schema(example = json!(["shipment-tracking"]), min_items = 1)]
    api_product_ids: Option<Vec<String>>,
    /// By default the partner's only active one.
    #[schema(example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")]
    subscription: Option<String>,
    /// Units per trailing minute; absent = 60, null = only the plan's windows. Staff may set more than 10 000.
    #[schema(example = 60, minimum = 1, maximum = 1_000_000_000, default = 60)]
    rate_limit_per_minute: Option<u64>,
    /// Further windows of the key's own, in units; `minute` is another spelling of `rateLimitPerMinute`: give one
    /// of them.
    #[schema(example = json!({"second": 5}))]
    limits: Option<Limits>,
    /// Addresses and networks in CIDR form, IPv4 and IPv6; none = from anywhere.
    #[schema(rename = "allowedIPs", example = json!(["192.0.2.10", "2001:db8::/32"]), max_items = 100)]
    allowed_ips: Option<Vec<String>>,
    /// By default never, unless the plan says otherwise.
    #[schema(example = "2027-12-31T23:59:59Z", format = "date-time")]
    expires_at: Option<String>,
    /// By default your only partner.
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner_id: Option<String>,
}

/// A key as lists show it.
#[derive(Debug, ToSchema)]
pub(super) struct Key {
    #[schema(example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "shop backend")]
    name: String,
    /// The part of the key before its secret.
    #[schema(example = "sk_test_00000000")]
    key_prefix: String,
    #[schema(example = json!(["shipment-tracking:read"]))]
    scopes: Vec<String>,
    /// Null: only the plan's windows hold.
    #[schema(example = 60, required = true)]
    rate_limit_per_minute: Option<u64>,
    /// All windows of the key's own, `minute` being `rate_limit_per_minute`.
    limits: Limits,
    #[schema(example = json!(["192.0.2.10", "2001:db8::/32"]))]
    allowed_ips: Vec<String>,
    #[schema(format = "date-time", required = true)]
    expires_at: Option<String>,
    #[schema(format = "date-time", required = true)]
    revoked_at: Option<String>,
    #[schema(format = "date-time", required = true)]
    last_used_at: Option<String>,
    total_requests: u64,
    #[schema(format = "date-time")]
    created_at: String,
    status: KeyStatus,
    environment: Environment,
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner: String,
    #[schema(example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")]
    subscription: String,
    /// Null: all products of the plan.
    #[schema(required = true)]
    products: Option<Vec<String>>,
    imported: bool,
    /// The successor of a key in its grace period.
    #[schema(required = true)]
    replaced_by: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum KeyStatus {
    Active,
    Disabled,
    Expired,
    Revoked,
}

#[derive(Debug, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<Key>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(super) struct KeyUsage {
    daily: Vec<KeyDay>,
    /// At most ten, by successes.
    endpoints: Vec<KeyEndpoint>,
    summary: KeySummary,
}

#[derive(Debug, ToSchema)]
pub(super) struct KeyDay {
    /// UTC.
    #[schema(example = "2026-11-30", format = "date")]
    date: String,
    successes: u64,
    errors: u64,
    avg_latency_ms: f64,
}

#[derive(Debug, ToSchema)]
pub(super) struct KeyEndpoint {
    /// Empty for calls of no known operation.
    #[schema(example = "GET /shipments/{id}")]
    endpoint: String,
    #[schema(example = "shipment-tracking")]
    product: String,
    successes: u64,
    errors: u64,
    avg_latency_ms: f64,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct KeySummary {
    total_requests: u64,
    /// Errors by calls, from 0 to 1.
    error_rate: f64,
    /// Weighted by calls.
    avg_latency_ms: f64,
}

#[derive(Debug, ToSchema)]
pub(super) struct KeyCalls {
    calls: Vec<KeyCall>,
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// False when other gateways may have served calls of the key, or when there is none in this process.
    complete: bool,
    /// The gateway whose calls these are; null: there is none in this process.
    #[schema(example = "node-0a1b2c3d", required = true)]
    node: Option<String>,
}

/// A granted call.
#[derive(Debug, ToSchema)]
pub(super) struct KeyCall {
    /// `X-Request-Id` of its answer.
    #[schema(example = "019ab3f4-7c1d-7000-a1b2-c3d4e5f60718")]
    request_id: String,
    #[schema(example = "2026-11-30T12:00:00.000250Z", format = "date-time")]
    at: String,
    /// Null for calls of no known operation.
    #[schema(example = "GET /shipments/{id}", required = true)]
    operation: Option<String>,
    #[schema(example = 200)]
    status: u16,
    /// What it cost; no units of test keys are billed.
    #[schema(example = 1)]
    units: u32,
    /// Until the answer's head.
    latency_ms: f64,
    /// Of the request; null while the call runs, and for verifications. 4 GiB and more are told as 4294967295.
    #[schema(required = true)]
    bytes_in: Option<u32>,
    /// Of the answer.
    #[schema(required = true)]
    bytes_out: Option<u32>,
    environment: Environment,
    /// Whether the answer was cut off.
    aborted: bool,
    #[schema(example = "node-0a1b2c3d")]
    node: String,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Usage {
    daily: Vec<UsageDay>,
    total_calls: u64,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct UsageDay {
    /// UTC.
    #[schema(example = "2026-11-30", format = "date")]
    date: String,
    total: u64,
    /// Calls by product.
    #[schema(example = json!({"shipment-tracking": 3}))]
    by_api: BTreeMap<String, u64>,
}

#[derive(Debug, ToSchema)]
pub(super) struct NewSubscription {
    /// The plan's id.
    #[schema(example = "shipment-tracking-starter")]
    plan: String,
    /// Periods are calendar months (UTC), or months from the purchase on.
    #[schema(inline)]
    anchor: Option<Anchor>,
    /// By default your only partner.
    #[schema(rename = "partnerId", example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner_id: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase", default = "calendar")]
pub(super) enum Anchor {
    Calendar,
    Anniversary,
}

#[derive(Debug, ToSchema)]
pub(super) struct Subscription {
    #[schema(example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner: String,
    #[schema(example = "shipment-tracking-starter")]
    plan: String,
    plan_version: u32,
    status: SubscriptionStatus,
    #[schema(example = "2026-11-01T00:00:00Z", format = "date-time")]
    period_start: String,
    #[schema(example = "2026-12-01T00:00:00Z", format = "date-time")]
    period_end: String,
    #[schema(format = "date-time")]
    started_at: String,
    #[schema(format = "date-time", required = true)]
    ended_at: Option<String>,
    /// Agreed for this subscription; null: the plan's.
    #[schema(required = true)]
    limits: Option<Limits>,
    /// Agreed for this subscription; null: the plan's.
    #[schema(required = true)]
    quota: Option<Quota>,
    /// Calls in flight per key; null: the plan's.
    #[schema(required = true)]
    concurrency: Option<u32>,
    /// The most a period may cost, decimal text in the currency's main unit; null: the plan's.
    #[schema(example = "500.00", required = true)]
    spend_cap: Option<String>,
}

/// What to change; an absent member stays, `null` returns to what the plan says.
#[derive(Debug, ToSchema)]
pub(super) struct SubscriptionTerms {
    /// For staff. All windows at once: one that is absent in here is unlimited.
    limits: Option<Limits>,
    /// For staff.
    quota: Option<NewQuota>,
    /// For staff: calls in flight per key.
    #[schema(minimum = 1, maximum = 10_000, example = 8)]
    concurrency: Option<u32>,
    /// The most a period may cost, in the main unit of the plan's currency: a call that could pass it is refused
    /// with 402.
    #[schema(example = "500")]
    spend_cap: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(super) struct NewQuota {
    /// Units of a period.
    #[schema(minimum = 1, example = 1000)]
    calls: u64,
    /// Whether calls above it are refused.
    #[schema(default = true)]
    hard: Option<bool>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum SubscriptionStatus {
    Active,
    PastDue,
    Paused,
    Cancelled,
}

#[derive(Debug, ToSchema)]
pub(super) struct SubscriptionList {
    subscriptions: Vec<Subscription>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(super) struct Invoice {
    #[schema(example = "inv_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    /// Null for a draft.
    #[schema(example = "2026-000001", required = true)]
    number: Option<String>,
    status: InvoiceStatus,
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner: String,
    #[schema(example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")]
    subscription: String,
    #[schema(example = "shipment-tracking-starter")]
    plan: String,
    plan_version: u32,
    #[schema(example = "USD")]
    currency: String,
    #[schema(example = "2026-11-01T00:00:00Z", format = "date-time")]
    period_start: String,
    #[schema(example = "2026-12-01T00:00:00Z", format = "date-time")]
    period_end: String,
    /// All units of the period, priced or not.
    units: u64,
    lines: Vec<InvoiceLine>,
    /// In the currency's smallest unit.
    #[schema(example = 4900)]
    total_minor: i64,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time", required = true)]
    finalised_at: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum InvoiceStatus {
    Draft,
    Finalised,
}

#[derive(Debug, ToSchema)]
pub(super) struct InvoiceLine {
    #[schema(example = "base")]
    kind: String,
    #[schema(example = "Starter")]
    description: String,
    /// Decimal text.
    #[schema(example = "1")]
    quantity: String,
    /// Decimal text, in the currency's main unit.
    #[schema(example = "49")]
    unit_price: String,
    /// In the currency's smallest unit.
    #[schema(example = 4900)]
    amount_minor: i64,
}

#[derive(Debug, ToSchema)]
pub(super) struct InvoiceList {
    invoices: Vec<Invoice>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}

#[derive(Debug, ToSchema)]
pub(super) struct Plan {
    #[schema(example = "shipment-tracking-starter")]
    id: String,
    version: u32,
    name: String,
    description: String,
    #[schema(example = json!(["shipment-tracking"]))]
    products: Vec<String>,
    /// `METHOD /path` or `PRODUCT METHOD /path`; null = all.
    #[schema(required = true)]
    operations: Option<Vec<String>>,
    #[schema(example = "USD")]
    currency: String,
    /// Decimal text, in the currency's main unit.
    #[schema(example = "49")]
    price_monthly: String,
    included_calls: u64,
    /// Decimal text; null: units above the included ones cost nothing.
    #[schema(example = "3", required = true)]
    overage_per_1000: Option<String>,
    #[schema(required = true)]
    quota: Option<Quota>,
    limits: Limits,
    /// Calls in flight per key; null: unlimited.
    #[schema(example = 8, required = true)]
    concurrency: Option<u32>,
    /// The most a period may cost unless the subscription says otherwise: decimal text in the currency's main unit.
    #[schema(example = "500.00", required = true)]
    spend_cap: Option<String>,
    #[schema(format = "date-time")]
    published_at: String,
}

/// The allowance of a period, in units.
#[derive(Debug, ToSchema)]
pub(super) struct Quota {
    calls: u64,
    /// Calls above a hard quota are refused; above a soft one they are served and billed.
    hard: bool,
}

/// Units per trailing window; an absent one is unlimited.
#[derive(Debug, ToSchema)]
pub(super) struct Limits {
    second: Option<u64>,
    minute: Option<u64>,
    hour: Option<u64>,
    day: Option<u64>,
}

#[derive(Debug, ToSchema)]
pub(super) struct PlanList {
    plans: Vec<Plan>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}
