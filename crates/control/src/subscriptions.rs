//! Subscriptions: buying a plan, agreeing on terms beside it, and ending it.
//!
//! A subscription is active at once and keeps the plan version that was for sale when it was bought.

use serde::Serialize;
use serde_json::json;

use keytoll_domain::catalog::{Plan, Quota, WindowLimits};
use keytoll_domain::ids::{PartnerId, PlanSlug, Slug, SubscriptionId};
use keytoll_domain::period::{Anchor, period_at};
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;
use keytoll_store::StoreError;
use keytoll_store::Tx;
use keytoll_store::feed::{FeedKind, feed_append};
use keytoll_store::partner::partner_lock;
use keytoll_store::plan::{plan_by_version, plan_latest};
use keytoll_store::subscription::{
    subscription_by_id, subscription_cancel, subscription_count_running, subscription_insert,
    subscription_page,
};

use crate::actor::{Actor, Denied, Right};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::json as times;
use crate::page::PageRequest;
use crate::plans::amount;

mod terms;

pub(crate) use terms::check_windows;
pub use terms::{SetTermsError, Spending, TermsPatch, set_terms, spending};

/// Running subscriptions that a partner may have.
pub const RUNNING_PER_PARTNER: u64 = 100;

#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Absent: the actor's only partner.
    pub partner: Option<PartnerId>,
    /// The plan's slug, as the caller wrote it.
    pub plan: String,
    pub anchor: NewAnchor,
}

/// What the periods are counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewAnchor {
    #[default]
    Calendar,
    /// Months from the moment of the purchase.
    Anniversary,
}

#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    #[error("a partner has at most {RUNNING_PER_PARTNER} running subscriptions")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It has ended already.
    #[error("the subscription has ended")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A subscription as the API and the pages show it, with the period that runs now or ran last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    pub id: SubscriptionId,
    pub partner: PartnerId,
    pub plan: PlanSlug,
    pub plan_version: u32,
    pub status: SubscriptionStatus,
    #[serde(serialize_with = "times::time")]
    pub period_start: Timestamp,
    #[serde(serialize_with = "times::time")]
    pub period_end: Timestamp,
    #[serde(serialize_with = "times::time")]
    pub started_at: Timestamp,
    #[serde(serialize_with = "times::time_or_null")]
    pub ended_at: Option<Timestamp>,
    /// What was agreed beside the plan; absent = as the plan says.
    pub limits: Option<WindowLimits>,
    pub quota: Option<Quota>,
    pub concurrency: Option<u32>,
    /// Major units, decimal text.
    pub spend_cap: Option<String>,
}

pub async fn create(
    ctx: &Ctx,
    actor: &Actor,
    new: &NewSubscription,
) -> Result<SubscriptionView, SubscribeError> {
    let partner = actor.subject(new.partner, Right::Billing)?;
    let unknown = || SubscribeError::UnknownPlan(new.plan.chars().take(63).collect());
    let slug = Slug::new(&new.plan).map_err(|_| unknown())?;
    let mut tx = ctx.store.write().await?;
    let plan = plan_latest(&mut tx, &slug).await?.ok_or_else(unknown)?;
    // The lock comes before the count: of two purchases that see the last free place, one waits here.
    if !partner_lock(&mut tx, partner).await? {
        return Err(Denied::NotFound.into());
    }
    if subscription_count_running(&mut tx, partner).await? >= RUNNING_PER_PARTNER {
        return Err(SubscribeError::TooMany);
    }
    let now = ctx.now();
    let subscription = Subscription {
        id: SubscriptionId::new(now, ctx.random()),
        partner,
        plan: slug,
        plan_version: plan.version,
        status: SubscriptionStatus::Active,
        anchor: match new.anchor {
            NewAnchor::Calendar => Anchor::Calendar,
            NewAnchor::Anniversary => Anchor::Anniversary(now),
        },
        started_at: now,
        ended_at: None,
        overrides: Overrides::default(),
    };
    subscription_insert(&mut tx, &subscription).await?;
    let seen = view(&mut tx, &subscription, now).await?;
    finish(ctx, actor, tx, &subscription, "subscription.create").await?;
    Ok(seen)
}

/// Oldest first. Staff who name no partner see all.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    page: PageRequest<SubscriptionId>,
) -> Result<Vec<SubscriptionView>, SubscriptionError> {
    let partner = actor.list_subject(partner, Right::Read)?;
    let mut tx = ctx.store.read().await?;
    let found = subscription_page(&mut tx, partner, page.cursor, page.limit()).await?;
    let now = ctx.now();
    let mut views = Vec::with_capacity(found.len());
    for subscription in &found {
        views.push(view(&mut tx, subscription, now).await?);
    }
    Ok(views)
}

pub async fn show(
    ctx: &Ctx,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<SubscriptionView, SubscriptionError> {
    let mut tx = ctx.store.read().await?;
    let found = subscription_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    actor.require(found.partner, Right::Read)?;
    Ok(view(&mut tx, &found, ctx.now()).await?)
}

/// Ends the subscription now; its keys are refused from then on and the period is billed up to here.
pub async fn cancel(
    ctx: &Ctx,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<SubscriptionView, SubscriptionError> {
    let mut tx = ctx.store.write().await?;
    let mut found = subscription_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    actor.require(found.partner, Right::Billing)?;
    let now = ctx.now();
    if !subscription_cancel(&mut tx, id, now).await? {
        return Err(SubscriptionError::Ended);
    }
    found.status = SubscriptionStatus::Cancelled;
    found.ended_at = Some(now);
    let seen = view(&mut tx, &found, now).await?;
    finish(ctx, actor, tx, &found, "subscription.cancel").await?;
    Ok(seen)
}

async fn finish(
    ctx: &Ctx,
    actor: &Actor,
    mut tx: Tx,
    subscription: &Subscription,
    action: &'static str,
) -> Result<(), StoreError> {
    let entry = Entry {
        action,
        subject: subscription.id.to_string(),
        partner: Some(subscription.partner),
        detail: json!({
            "plan": subscription.plan,
            "plan_version": subscription.plan_version,
            "terms": subscription.overrides,
        }),
    };
    audit::record(ctx, actor, &mut tx, entry).await?;
    feed_append(&mut tx, FeedKind::Subscription, subscription.id, ctx.now()).await?;
    tx.commit().await?;
    ctx.wake.wake();
    Ok(())
}

async fn view(
    tx: &mut Tx,
    subscription: &Subscription,
    now: Timestamp,
) -> Result<SubscriptionView, StoreError> {
    let Overrides { limits, quota, concurrency, spend_cap_minor } = subscription.overrides;
    let spend_cap = match spend_cap_minor {
        Some(minor) => Some(amount(minor, plan_of(tx, subscription).await?.price.currency)),
        None => None,
    };
    let last = subscription.ended_at.map_or(now, |ended_at| now.min(ended_at.plus_micros(-1)));
    let full = period_at(subscription.anchor, last.max(subscription.started_at));
    let cut = full.cut(subscription.started_at, subscription.ended_at).unwrap_or(full);
    Ok(SubscriptionView {
        id: subscription.id,
        partner: subscription.partner,
        plan: subscription.plan.clone(),
        plan_version: subscription.plan_version,
        status: subscription.status,
        period_start: cut.start,
        period_end: cut.end,
        started_at: subscription.started_at,
        ended_at: subscription.ended_at,
        limits,
        quota,
        concurrency,
        spend_cap,
    })
}

async fn plan_of(tx: &mut Tx, subscription: &Subscription) -> Result<Plan, StoreError> {
    let plan = plan_by_version(tx, &subscription.plan, subscription.plan_version).await?;
    plan.ok_or_else(|| StoreError::Corrupt {
        table: "subscriptions",
        column: "plan_version",
        id: subscription.id.to_string(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
