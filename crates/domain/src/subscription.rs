//! A partner's standing purchase of a plan.

use serde::{Deserialize, Serialize};

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
}
