//! Plans for sale: of each plan, the latest version. Like products, they are visible to whoever asks.

use rust_decimal::Decimal;
use serde::Serialize;

use keytoll_domain::catalog::{Plan, PlanOperation, Quota, WindowLimits};
use keytoll_domain::ids::{PlanSlug, ProductId};
use keytoll_domain::key_format::{Grouping, KeyFormat};
use keytoll_domain::rating::PlanPrice;
use keytoll_domain::time::Timestamp;

use keytoll_domain::money::{Currency, MAX_PRICE_MAJOR, Minor, MoneyError};
use keytoll_store::StoreError;
use keytoll_store::plan::{plan_latest, plan_page};

use crate::ctx::Ctx;
use crate::fault::Place;
use crate::json;
use crate::page::PageRequest;

/// What a plan shall be: everything of a version but its number and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDraft {
    pub slug: PlanSlug,
    pub place: Place,
    pub name: String,
    pub description: String,
    pub products: Vec<ProductId>,
    pub operations: Option<Vec<PlanOperation>>,
    pub limits: WindowLimits,
    pub quota: Option<Quota>,
    pub concurrency: Option<u32>,
    pub spend_cap_minor: Option<u64>,
    pub price: PlanPrice,
    pub key_format: Option<KeyFormat>,
    pub key_grouping: Option<Grouping>,
    pub default_expiry_days: Option<u32>,
    pub rotate_on_same_name: Option<bool>,
}

impl PlanDraft {
    pub fn publish(&self, version: u32, published_at: Timestamp) -> Plan {
        Plan {
            slug: self.slug.clone(),
            version,
            name: self.name.clone(),
            description: self.description.clone(),
            products: self.products.clone(),
            operations: self.operations.clone(),
            limits: self.limits,
            quota: self.quota,
            concurrency: self.concurrency,
            spend_cap_minor: self.spend_cap_minor,
            price: self.price.clone(),
            key_format: self.key_format,
            key_grouping: self.key_grouping,
            default_expiry_days: self.default_expiry_days,
            rotate_on_same_name: self.rotate_on_same_name,
            published_at,
        }
    }
}

/// A plan as the API and the pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanView {
    /// The slug.
    pub id: PlanSlug,
    pub version: u32,
    pub name: String,
    pub description: String,
    pub products: Vec<ProductId>,
    /// `METHOD /path` or `PRODUCT METHOD /path`; absent = all.
    pub operations: Option<Vec<String>>,
    pub currency: Currency,
    /// Major units, decimal text.
    pub price_monthly: Decimal,
    pub included_calls: u64,
    pub overage_per_1000: Option<Decimal>,
    pub quota: Option<Quota>,
    pub limits: WindowLimits,
    /// Calls in flight per key.
    pub concurrency: Option<u32>,
    /// The most a period may cost unless a subscription says otherwise: major units, decimal text.
    pub spend_cap: Option<String>,
    #[serde(serialize_with = "json::time")]
    pub published_at: Timestamp,
}

/// Plans by slug.
pub async fn list(ctx: &Ctx, page: &PageRequest<PlanSlug>) -> Result<Vec<PlanView>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let plans = plan_page(&mut tx, page.cursor.as_ref(), page.limit()).await?;
    Ok(plans.into_iter().map(PlanView::from).collect())
}

pub async fn show(ctx: &Ctx, slug: &PlanSlug) -> Result<Option<PlanView>, StoreError> {
    let mut tx = ctx.store.read().await?;
    Ok(plan_latest(&mut tx, slug).await?.map(PlanView::from))
}

/// A spend cap as people write it: major units, exact in the currency, not negative.
pub(crate) fn parse_spend_cap(text: &str, currency: Currency) -> Result<u64, MoneyError> {
    let cap = Minor::parse_major(text, currency)?;
    let major = cap.to_major(currency);
    if major > Decimal::from(MAX_PRICE_MAJOR) {
        return Err(MoneyError::TooLarge);
    }
    u64::try_from(cap.0).map_err(|_| MoneyError::Negative(major))
}

/// Minor units as major ones with all places of the currency.
pub(crate) fn amount(minor: u64, currency: Currency) -> String {
    Minor(i64::try_from(minor).unwrap_or(i64::MAX)).major_text(currency)
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        let text = |operation: &PlanOperation| {
            let name = format!("{} {}", operation.method, operation.path);
            operation.product.as_ref().map_or(name.clone(), |product| format!("{product} {name}"))
        };
        Self {
            operations: plan.operations.map(|list| list.iter().map(text).collect()),
            id: plan.slug,
            version: plan.version,
            name: plan.name,
            description: plan.description,
            products: plan.products,
            currency: plan.price.currency,
            price_monthly: plan.price.price_monthly,
            included_calls: plan.price.included_calls,
            overage_per_1000: plan.price.overage_per_1000,
            quota: plan.quota,
            limits: plan.limits,
            concurrency: plan.concurrency,
            spend_cap: plan.spend_cap_minor.map(|cap| amount(cap, plan.price.currency)),
            published_at: plan.published_at,
        }
    }
}
