//! What has been used: per partner (R40), per key (R60), and the cards of the dashboard (R13).
//!
//! All of it comes from the sums that the ledger writes with each seal, so a call shows within two seconds. `days` ends
//! today: one day is today alone.

use std::collections::BTreeMap;

use serde::Serialize;

use keytoll_domain::catalog::Quota;
use keytoll_domain::ids::{KeyId, PartnerId, PlanSlug, ProductId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::period::{Month, period_at};
use keytoll_domain::time::{Day, Timestamp};
use keytoll_store::key::key_by_id;
use keytoll_store::ledger::period_units;
use keytoll_store::plan::plan_by_version;
use keytoll_store::subscription::subscription_page;
use keytoll_store::usage::{
    Days, KeyDay, KeyOperation, PartnerUsage, usage_by_product, usage_of_key_by_day,
    usage_of_key_by_operation,
};
use keytoll_store::{StoreError, Tx};

use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::json;
use crate::subscriptions::RUNNING_PER_PARTNER;

pub const DAYS_DEFAULT: u32 = 30;
pub const DAYS_MAX: u32 = 400;
const TOP_ENDPOINTS: u32 = 10;
const CHART_DAYS: u32 = 30;

#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("days is a whole number from 1 to {DAYS_MAX}")]
    Days,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// R40. `byApi` leaves out calls that named no product, `total` counts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartnerDaily {
    pub daily: Vec<DayTotal>,
    pub total_calls: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayTotal {
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    pub total: u64,
    pub by_api: BTreeMap<String, u64>,
}

/// R60. Days without calls are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyDaily {
    pub daily: Vec<KeyDayTotal>,
    pub endpoints: Vec<Endpoint>,
    pub summary: KeySummary,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyDayTotal {
    pub date: String,
    pub successes: u64,
    pub errors: u64,
    pub avg_latency_ms: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// `METHOD /path`; empty for calls of no known operation.
    pub endpoint: String,
    /// The product's id; empty for calls that named no product.
    pub product: String,
    pub successes: u64,
    pub errors: u64,
    pub avg_latency_ms: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySummary {
    pub total_requests: u64,
    /// Errors by calls, from 0 to 1.
    pub error_rate: f64,
    /// Weighted by calls.
    pub avg_latency_ms: f64,
}

/// Calls of one day or to one product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    pub successes: u64,
    pub errors: u64,
}

/// R13's cards, the quotas behind them and 30 days by day and by product; live calls only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dashboard {
    pub requests_today: u64,
    /// Calendar month, UTC.
    pub requests_this_month: u64,
    /// Sum of the running subscriptions' quotas; absent if one of them has none.
    pub monthly_limit: Option<u64>,
    /// Over the days of the chart.
    pub avg_response_ms: f64,
    pub quotas: Vec<QuotaState>,
    /// One entry a day, oldest first, days without calls too.
    pub days: Vec<(Day, Calls)>,
    /// Over the days of the chart. Calls that named no product are left out.
    pub products: BTreeMap<ProductId, Calls>,
}

/// How far the current period of a subscription is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaState {
    pub subscription: SubscriptionId,
    pub plan: PlanSlug,
    pub plan_name: String,
    pub used_units: u64,
    pub quota: Option<Quota>,
    #[serde(serialize_with = "json::time")]
    pub period_start: Timestamp,
    #[serde(serialize_with = "json::time")]
    pub period_end: Timestamp,
}

/// R40. Staff who name no partner get the sum of all.
pub async fn partner_daily(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    environment: Environment,
    days: u32,
) -> Result<PartnerDaily, UsageError> {
    let partner = actor.list_subject(partner, Right::Read)?;
    let days = window(ctx.now(), days)?;
    let mut tx = ctx.store.read().await?;
    let rows = usage_by_product(&mut tx, partner, environment, days).await?;
    Ok(daily(days, &rows))
}

/// R60. A key of another partner is not found.
pub async fn key_daily(
    ctx: &Ctx,
    actor: &Actor,
    key: KeyId,
    days: u32,
) -> Result<KeyDaily, UsageError> {
    let mut tx = ctx.store.read().await?;
    let found = key_by_id(&mut tx, key).await?.ok_or(Denied::NotFound)?;
    actor.require(found.key.partner, Right::Read)?;
    let days = window(ctx.now(), days)?;
    let by_day = usage_of_key_by_day(&mut tx, key, days).await?;
    let top = usage_of_key_by_operation(&mut tx, key, days, TOP_ENDPOINTS).await?;
    Ok(KeyDaily {
        summary: summary(&by_day),
        daily: by_day.iter().map(key_day).collect(),
        endpoints: top.into_iter().map(endpoint).collect(),
    })
}

/// R13, for one partner.
pub async fn dashboard(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
) -> Result<Dashboard, UsageError> {
    let partner = actor.subject(partner, Right::Read)?;
    let now = ctx.now();
    let chart_days = window(now, CHART_DAYS)?;
    let month_start = Month::at(now).period().start.day();
    let days = Days { first: chart_days.first.min(month_start), last: chart_days.last };
    let mut tx = ctx.store.read().await?;
    let rows = usage_by_product(&mut tx, Some(partner), Environment::Live, days).await?;
    let quotas = quotas(&mut tx, partner, now).await?;
    let calls = |since: Day| -> u64 {
        rows.iter().filter(|row| row.day >= since).map(|row| row.calls).sum()
    };
    let charted: Vec<PartnerUsage> =
        rows.iter().filter(|row| row.day >= chart_days.first).cloned().collect();
    let latency_micros = charted.iter().map(|row| row.latency_micros).sum();
    let limits: Option<Vec<u64>> = quotas.iter().map(|state| Some(state.quota?.units)).collect();
    let limits = limits.filter(|limits| !limits.is_empty());
    Ok(Dashboard {
        requests_today: calls(chart_days.last),
        requests_this_month: calls(month_start),
        monthly_limit: limits.map(|limits| limits.into_iter().fold(0, u64::saturating_add)),
        avg_response_ms: average_ms(latency_micros, charted.iter().map(|row| row.calls).sum()),
        quotas,
        days: by_day(chart_days, &charted),
        products: by_product(&charted),
    })
}

async fn quotas(
    tx: &mut Tx,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Vec<QuotaState>, StoreError> {
    let limit = u32::try_from(RUNNING_PER_PARTNER * 10).unwrap_or(u32::MAX);
    let mut states = Vec::new();
    for subscription in subscription_page(tx, Some(partner), None, limit).await? {
        if subscription.ended_at.is_some() {
            continue;
        }
        let version = subscription.plan_version;
        let Some(plan) = plan_by_version(tx, &subscription.plan, version).await? else { continue };
        let period = period_at(subscription.anchor, now);
        let used = period_units(tx, subscription.id, period.start, period.end).await?;
        let quota = subscription.overrides.over(&plan).quota;
        states.push(QuotaState {
            subscription: subscription.id,
            plan: subscription.plan,
            plan_name: plan.name,
            used_units: used.units,
            quota,
            period_start: period.start,
            period_end: period.end,
        });
    }
    Ok(states)
}

fn window(now: Timestamp, days: u32) -> Result<Days, UsageError> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(UsageError::Days);
    }
    let last = now.day();
    let back = i32::try_from(days - 1).map_err(|_| UsageError::Days)?;
    Ok(Days { first: last.plus(-back), last })
}

fn daily(days: Days, rows: &[PartnerUsage]) -> PartnerDaily {
    let mut daily = Vec::new();
    let mut day = days.first;
    while day <= days.last {
        let mut total = 0;
        let mut by_api = BTreeMap::new();
        for row in rows.iter().filter(|row| row.day == day) {
            total += row.calls;
            if let Some(product) = &row.product {
                *by_api.entry(product.to_string()).or_insert(0) += row.calls;
            }
        }
        daily.push(DayTotal { date: day.to_string(), total, by_api });
        day = day.plus(1);
    }
    let total_calls = daily.iter().map(|day| day.total).sum();
    PartnerDaily { daily, total_calls }
}

impl Calls {
    fn add(&mut self, row: &PartnerUsage) {
        self.successes += row.successes;
        self.errors += row.calls.saturating_sub(row.successes);
    }
}

fn by_day(days: Days, rows: &[PartnerUsage]) -> Vec<(Day, Calls)> {
    let mut sums: BTreeMap<Day, Calls> = BTreeMap::new();
    for row in rows {
        sums.entry(row.day).or_default().add(row);
    }
    let every_day = (days.first.0..=days.last.0).map(Day);
    every_day.map(|day| (day, sums.get(&day).copied().unwrap_or_default())).collect()
}

fn by_product(rows: &[PartnerUsage]) -> BTreeMap<ProductId, Calls> {
    let mut sums: BTreeMap<ProductId, Calls> = BTreeMap::new();
    for row in rows {
        if let Some(product) = &row.product {
            sums.entry(product.clone()).or_default().add(row);
        }
    }
    sums
}

fn key_day(row: &KeyDay) -> KeyDayTotal {
    KeyDayTotal {
        date: row.day.to_string(),
        successes: row.successes,
        errors: row.calls.saturating_sub(row.successes),
        avg_latency_ms: average_ms(row.latency_micros, row.calls),
    }
}

fn endpoint(row: KeyOperation) -> Endpoint {
    let (product, endpoint) = match row.name {
        Some((product, method, path)) => (product.to_string(), format!("{method} {path}")),
        None => Default::default(),
    };
    Endpoint {
        endpoint: endpoint.trim().to_owned(),
        product,
        successes: row.successes,
        errors: row.calls.saturating_sub(row.successes),
        avg_latency_ms: average_ms(row.latency_micros, row.calls),
    }
}

fn summary(days: &[KeyDay]) -> KeySummary {
    let calls = days.iter().map(|day| day.calls).sum();
    let successes: u64 = days.iter().map(|day| day.successes).sum();
    let latency_micros = days.iter().map(|day| day.latency_micros).sum();
    KeySummary {
        total_requests: calls,
        error_rate: ratio(calls.saturating_sub(successes), calls),
        avg_latency_ms: average_ms(latency_micros, calls),
    }
}

/// Milliseconds with three places; 0 without calls.
fn average_ms(latency_micros: u64, calls: u64) -> f64 {
    ratio(latency_micros, calls).round() / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "shown, not billed")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
