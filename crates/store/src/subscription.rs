//! Subscriptions of partners.

use keytoll_domain::ids::{PartnerId, SubscriptionId};
use keytoll_domain::period::Anchor;
use keytoll_domain::subscription::{Overrides, Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "subscriptions";
    INSERT = "INSERT INTO subscriptions (id, partner_id, plan, plan_version, status, anchor_at, started_at, ended_at, \
        limits, quota, concurrency, spend_cap_minor) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    BY_ID = "SELECT id, partner_id, plan, plan_version, status, anchor_at, started_at, ended_at, \
        limits, quota, concurrency, spend_cap_minor \
        FROM subscriptions WHERE id = $1";
    PAGE = "SELECT id, partner_id, plan, plan_version, status, anchor_at, started_at, ended_at, \
        limits, quota, concurrency, spend_cap_minor \
        FROM subscriptions WHERE id > $1 ORDER BY id LIMIT $2";
    PAGE_OF_PARTNER = "SELECT id, partner_id, plan, plan_version, status, anchor_at, started_at, ended_at, \
        limits, quota, concurrency, spend_cap_minor \
        FROM subscriptions WHERE partner_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    LOCK = "UPDATE subscriptions SET plan = plan WHERE id = $1";
    COUNT_RUNNING = "SELECT COUNT(*) AS running FROM subscriptions WHERE partner_id = $1 AND ended_at IS NULL";
    CANCEL = "UPDATE subscriptions SET status = 'cancelled', ended_at = $2 \
        WHERE id = $1 AND ended_at IS NULL";
    SET_OVERRIDES = "UPDATE subscriptions SET limits = $2, quota = $3, concurrency = $4, spend_cap_minor = $5 \
        WHERE id = $1";
}

pub async fn subscription_insert(tx: &mut Tx, subscription: &Subscription) -> Result<()> {
    let anchor_at = match subscription.anchor {
        Anchor::Calendar => None,
        Anchor::Anniversary(at) => Some(at),
    };
    tx.query(INSERT)
        .text(subscription.id)
        .text(subscription.partner)
        .text(&subscription.plan)
        .count(subscription.plan_version.into())
        .text(subscription.status.as_str())
        .time_or_null(anchor_at)
        .time(subscription.started_at)
        .time_or_null(subscription.ended_at)
        .json_or_null(subscription.overrides.limits.as_ref())?
        .json_or_null(subscription.overrides.quota.as_ref())?
        .count_or_null(subscription.overrides.concurrency.map(u64::from))
        .count_or_null(subscription.overrides.spend_cap_minor)
        .execute()
        .await?;
    Ok(())
}

pub async fn subscription_by_id(tx: &mut Tx, id: SubscriptionId) -> Result<Option<Subscription>> {
    tx.query(BY_ID).text(id).one(subscription).await
}

/// Subscriptions oldest first, after the cursor, of one partner or of all.
pub async fn subscription_page(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<Subscription>> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let query = match partner {
        Some(partner) => tx.query(PAGE_OF_PARTNER).text(partner).text(after),
        None => tx.query(PAGE).text(after),
    };
    query.big(limit.into()).all(subscription).await
}

/// Holds the subscription until the transaction ends: its invoices are written by one run at a time.
pub async fn subscription_lock(tx: &mut Tx, id: SubscriptionId) -> Result<()> {
    tx.query(LOCK).text(id).execute().await?;
    Ok(())
}

/// Subscriptions of a partner that have not ended.
pub async fn subscription_count_running(tx: &mut Tx, partner: PartnerId) -> Result<u64> {
    let counted = tx.query(COUNT_RUNNING).text(partner).one(|row| row.count("running")).await?;
    Ok(counted.unwrap_or(0))
}

/// Ends a subscription that has not ended; false if it had.
pub async fn subscription_cancel(tx: &mut Tx, id: SubscriptionId, at: Timestamp) -> Result<bool> {
    Ok(tx.query(CANCEL).text(id).time(at).execute().await? > 0)
}

/// Replaces what was agreed beside the plan.
pub async fn subscription_set_overrides(
    tx: &mut Tx,
    id: SubscriptionId,
    overrides: &Overrides,
) -> Result<()> {
    tx.query(SET_OVERRIDES)
        .text(id)
        .json_or_null(overrides.limits.as_ref())?
        .json_or_null(overrides.quota.as_ref())?
        .count_or_null(overrides.concurrency.map(u64::from))
        .count_or_null(overrides.spend_cap_minor)
        .execute()
        .await?;
    Ok(())
}

fn subscription(row: &Row) -> Result<Subscription> {
    let version = u32::try_from(row.big("plan_version")?);
    Ok(Subscription {
        id: row.parse("id")?,
        partner: row.parse("partner_id")?,
        plan: row.parse("plan")?,
        plan_version: version.map_err(|_| row.corrupt("plan_version"))?,
        status: row.word("status", SubscriptionStatus::parse)?,
        anchor: row.time_or_null("anchor_at")?.map_or(Anchor::Calendar, Anchor::Anniversary),
        started_at: row.time("started_at")?,
        ended_at: row.time_or_null("ended_at")?,
        overrides: overrides(row)?,
    })
}

fn overrides(row: &Row) -> Result<Overrides> {
    let concurrency = row.count_or_null("concurrency")?.map(u32::try_from).transpose();
    Ok(Overrides {
        limits: row.json_or_null("limits")?,
        quota: row.json_or_null("quota")?,
        concurrency: concurrency.map_err(|_| row.corrupt("concurrency"))?,
        spend_cap_minor: row.count_or_null("spend_cap_minor")?,
    })
}
