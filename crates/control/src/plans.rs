//! Plans for sale.

use keytoll_domain::catalog::{Plan, PlanOperation, Quota, WindowLimits};
use keytoll_domain::ids::{PlanSlug, ProductId};
use keytoll_domain::key_format::{Grouping, KeyFormat};
use keytoll_domain::rating::PlanPrice;
use keytoll_domain::time::Timestamp;

use crate::fault::Place;

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
            price: self.price.clone(),
            key_format: self.key_format,
            key_grouping: self.key_grouping,
            default_expiry_days: self.default_expiry_days,
            rotate_on_same_name: self.rotate_on_same_name,
            published_at,
        }
    }
}
