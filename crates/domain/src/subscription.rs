//! A partner's standing purchase of a plan, and the terms that hold for it.

use serde::{Deserialize, Serialize};

use crate::catalog::{Plan, Quota, WindowLimits};
use crate::ids::{PartnerId, PlanSlug, SubscriptionId};
use crate::period::Anchor;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    Active,
    /// Waiting for a payment; calls are refused with `payment_required`.
    PastDue,
    Paused,
    Cancelled,
}

impl SubscriptionStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::PastDue, Self::Paused, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub partner: PartnerId,
    pub plan: PlanSlug,
    pub plan_version: u32,
    pub status: SubscriptionStatus,
    pub anchor: Anchor,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub overrides: Overrides,
}

/// What was agreed for one subscription beside its plan; an absent member is as the plan says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// All windows at once: one that is absent in here is unlimited.
    pub limits: Option<WindowLimits>,
    pub quota: Option<Quota>,
    /// Calls in flight per key.
    pub concurrency: Option<u32>,
    /// The most a period may cost, in minor units of the plan's currency.
    pub spend_cap_minor: Option<u64>,
}

/// What holds for a subscription; absent = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub limits: WindowLimits,
    pub quota: Option<Quota>,
    pub concurrency: Option<u32>,
    pub spend_cap_minor: Option<u64>,
}

impl Overrides {
    pub fn over(&self, plan: &Plan) -> Terms {
        Terms {
            limits: self.limits.unwrap_or(plan.limits),
            quota: self.quota.or(plan.quota),
            concurrency: self.concurrency.or(plan.concurrency),
            spend_cap_minor: self.spend_cap_minor.or(plan.spend_cap_minor),
        }
    }
}
