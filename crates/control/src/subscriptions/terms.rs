//! Terms of one subscription beside its plan: limits that staff agreed with a partner, and the spend cap,
//! which the partner may set as well.

use keytoll_domain::catalog::{CONCURRENCY_MAX, Plan, QUOTA_MAX, Quota, RATE_MAX, WindowLimits};
use keytoll_domain::ids::{PartnerId, SubscriptionId};
use keytoll_domain::money::{Currency, Minor};
use keytoll_domain::period::{BilledPeriod, period_at};
use keytoll_domain::rating::{rate_period, total, units_within};
use keytoll_domain::subscription::Overrides;
use keytoll_domain::user::PartnerRole;
use keytoll_store::StoreError;
use keytoll_store::ledger::period_units;
use keytoll_store::subscription::{
    subscription_by_id, subscription_lock, subscription_set_overrides,
};

use super::{SubscriptionView, finish, plan_of, view};
use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::plans::parse_spend_cap;

/// What to change. An absent member stays as it is; `Some(None)` returns to what the plan says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsPatch {
    /// All windows at once: one that is absent in here becomes unlimited.
    pub limits: Option<Option<WindowLimits>>,
    pub quota: Option<Option<Quota>>,
    /// Calls in flight per key.
    pub concurrency: Option<Option<u64>>,
    /// Major units of the plan's currency, as written.
    pub spend_cap: Option<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SetTermsError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    #[error("the subscription has ended")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a subscription's terms from the next call on. Owners and admins of the provider may change all of
/// them, a partner's owners and billing members only the spend cap.
pub async fn set_terms(
    ctx: &Ctx,
    actor: &Actor,
    id: SubscriptionId,
    patch: &TermsPatch,
) -> Result<SubscriptionView, SetTermsError> {
    let mut tx = ctx.store.write().await?;
    // The lock comes before the reading: of two changes, the second starts from what the first left.
    subscription_lock(&mut tx, id).await?;
    let mut found = subscription_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    authorise(actor, found.partner, patch)?;
    if found.ended_at.is_some() {
        return Err(SetTermsError::Ended);
    }
    let plan = plan_of(&mut tx, &found).await?;
    let mut faults = Vec::new();
    let overrides = changed(found.overrides, patch, &plan, &mut faults);
    if !faults.is_empty() {
        return Err(SetTermsError::Invalid(faults));
    }
    let same = overrides == found.overrides;
    found.overrides = overrides;
    let seen = view(&mut tx, &found, ctx.now()).await?;
    if !same {
        subscription_set_overrides(&mut tx, id, &overrides).await?;
        finish(ctx, actor, tx, &found, "subscription.terms").await?;
    }
    Ok(seen)
}

/// What the running period costs so far, and where its cap is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    pub subscription: SubscriptionView,
    pub plan_name: String,
    pub currency: Currency,
    /// Live units of the period.
    pub units: u64,
    /// What an invoice of these units says.
    pub spent: Minor,
    /// The fee alone: a cap below it lets no call pass.
    pub fee: Minor,
    /// The plan's own cap, which holds unless the subscription has one.
    pub plan_cap: Option<Minor>,
    pub cap: Option<Minor>,
    /// The units that the cap pays for; absent = no number of units reaches it.
    pub units_cap: Option<u64>,
}

/// The spending of a subscription that has not ended, for whoever may see its invoices.
pub async fn spending(
    ctx: &Ctx,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Spending, SetTermsError> {
    let mut tx = ctx.store.read().await?;
    let found = subscription_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    actor.require(found.partner, Right::Billing)?;
    if found.ended_at.is_some() {
        return Err(SetTermsError::Ended);
    }
    let now = ctx.now().max(found.started_at);
    let plan = plan_of(&mut tx, &found).await?;
    let full = period_at(found.anchor, now);
    let period = full.cut(found.started_at, None).unwrap_or(full);
    let units = period_units(&mut tx, id, full.start, full.end).await?.units;
    let cost = |units| {
        let lines = rate_period(&plan.price, period, full, units);
        let sum = lines.and_then(|lines| Ok(total(&lines)?));
        sum.map_err(|error| StoreError::Internal(format!("cannot rate {id}: {error}")))
    };
    let (spent, fee) = (cost(units)?, cost(0)?);
    let cap_minor = found.overrides.over(&plan).spend_cap_minor;
    let billed = BilledPeriod { period, full };
    let units_cap = cap_minor.map(|cap| units_within(&plan.price, cap, billed));
    let minor = |minor| Minor(i64::try_from(minor).unwrap_or(i64::MAX));
    Ok(Spending {
        subscription: view(&mut tx, &found, now).await?,
        units,
        spent,
        fee,
        plan_cap: plan.spend_cap_minor.map(minor),
        cap: cap_minor.map(minor),
        units_cap: units_cap.filter(|units| *units < u64::MAX),
        currency: plan.price.currency,
        plan_name: plan.name,
    })
}

fn authorise(actor: &Actor, partner: PartnerId, patch: &TermsPatch) -> Result<(), Denied> {
    if actor.is_admin() {
        return Ok(());
    }
    let own_cap = TermsPatch { spend_cap: patch.spend_cap.clone(), ..TermsPatch::default() };
    match actor.role_in(partner) {
        Some(PartnerRole::Owner | PartnerRole::Billing) if *patch == own_cap => Ok(()),
        Some(_) => Err(Denied::RoleMissing),
        // Staff who may see it learn that their role is missing; to others it does not exist.
        None => actor.require(partner, Right::Read).and(Err(Denied::RoleMissing)),
    }
}

fn changed(
    mut overrides: Overrides,
    patch: &TermsPatch,
    plan: &Plan,
    faults: &mut Vec<Fault>,
) -> Overrides {
    if let Some(limits) = patch.limits {
        overrides.limits = limits;
        check_windows(limits.unwrap_or_default(), RATE_MAX, faults);
    }
    if let Some(quota) = patch.quota {
        overrides.quota = quota;
        if quota.is_some_and(|quota| !(1..=QUOTA_MAX).contains(&quota.units)) {
            faults.push(Fault::new("/quota/calls", format!("1 to {QUOTA_MAX}")));
        }
    }
    if let Some(concurrency) = patch.concurrency {
        let calls = concurrency.map(|calls| u32::try_from(calls).unwrap_or(u32::MAX));
        overrides.concurrency = calls;
        if calls.is_some_and(|calls| !(1..=CONCURRENCY_MAX).contains(&calls)) {
            faults.push(Fault::new("/concurrency", format!("1 to {CONCURRENCY_MAX}, or null")));
        }
    }
    match &patch.spend_cap {
        None => {}
        Some(None) => overrides.spend_cap_minor = None,
        Some(Some(text)) => match parse_spend_cap(text, plan.price.currency) {
            Ok(minor) => overrides.spend_cap_minor = Some(minor),
            Err(error) => faults.push(Fault::new("/spend_cap", error)),
        },
    }
    overrides
}

/// Holds each window against the largest limit; its place is `/limits/WINDOW`.
pub(crate) fn check_windows(limits: WindowLimits, max: u64, faults: &mut Vec<Fault>) {
    let WindowLimits { second, minute, hour, day } = limits;
    let named = [("second", second), ("minute", minute), ("hour", hour), ("day", day)];
    for (name, limit) in named {
        if limit.is_some_and(|limit| !(1..=max).contains(&limit)) {
            faults.push(Fault::new(format!("/limits/{name}"), format!("1 to {max}")));
        }
    }
}

#[cfg(test)]
mod tests;
