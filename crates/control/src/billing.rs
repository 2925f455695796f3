//! Invoices of a month: what the ledger counted × what the plan costs.
//!
//! A period is invoiced by the run of the month that its last instant lies in. A period that runs is a draft, which every run
//! computes anew; once it has ended, its invoice gets the next number of the year and is never edited again. The units are
//! those of `usage_periods`, the counter that the quota reads.

use serde::Serialize;

use keytoll_domain::ids::{InvoiceId, PartnerId, PlanSlug, SubscriptionId};
use keytoll_domain::money::{Currency, MoneyError};
use keytoll_domain::period::{BilledPeriod, Month, MonthError, periods_ending_in_month};
use keytoll_domain::rating::{self, Line, RatingError};
use keytoll_domain::subscription::Subscription;
use keytoll_domain::time::Timestamp;
use keytoll_domain::user::StaffRole;
use keytoll_store::invoice::{
    InvoiceRow, InvoiceStatus, invoice_by_id, invoice_by_period, invoice_insert,
    invoice_number_draw, invoice_page, invoice_update_draft,
};
use keytoll_store::ledger::period_units;
use keytoll_store::plan::plan_by_version;
use keytoll_store::subscription::{subscription_by_id, subscription_lock, subscription_page};
use keytoll_store::{StoreError, Tx};

use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::json;
use crate::page::PageRequest;

/// A period is final this long after its end: a call admitted in its last second may still wait for the upstream's
/// answer, and for the seal that brings it into the ledger.
pub const SETTLE_SECS: i64 = 120;
const SUBSCRIPTIONS_PER_PAGE: u32 = 500;

#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Month(#[from] MonthError),
    /// A stored plan that cannot be rated.
    #[error("subscription {subscription}: {source}")]
    Rating { subscription: SubscriptionId, source: RatingError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An invoice as the API and the pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invoice {
    pub id: InvoiceId,
    /// `2026-000001`; a draft has none.
    pub number: Option<String>,
    /// `draft` or `finalised`.
    pub status: &'static str,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub plan: PlanSlug,
    pub plan_version: u32,
    pub currency: Currency,
    #[serde(serialize_with = "json::time")]
    pub period_start: Timestamp,
    #[serde(serialize_with = "json::time")]
    pub period_end: Timestamp,
    /// All units of the period, priced or not.
    pub units: u64,
    pub lines: Vec<Line>,
    pub total_minor: i64,
    #[serde(serialize_with = "json::time")]
    pub created_at: Timestamp,
    #[serde(serialize_with = "json::time_or_null")]
    pub finalised_at: Option<Timestamp>,
}

/// Makes or brings up to date the invoices of a month such as `2026-11`, and returns all of them. Each invoice is
/// a transaction of its own: a run that is interrupted is completed by the next.
pub async fn run_invoices(
    ctx: &Ctx,
    actor: &Actor,
    month: &str,
) -> Result<Vec<Invoice>, BillingError> {
    let finance = [StaffRole::Owner, StaffRole::Admin, StaffRole::Finance];
    if !actor.staff.is_some_and(|role| finance.contains(&role)) {
        return Err(Denied::RoleMissing.into());
    }
    let month: Month = month.parse()?;
    let mut invoices = Vec::new();
    let mut cursor = None;
    loop {
        let mut tx = ctx.store.read().await?;
        let page = subscription_page(&mut tx, None, cursor, SUBSCRIPTIONS_PER_PAGE).await?;
        drop(tx);
        let Some(last) = page.last() else { return Ok(invoices) };
        cursor = Some(last.id);
        for subscription in page {
            if !periods(&subscription, month).is_empty() {
                run_subscription(ctx, subscription.id, month, &mut invoices).await?;
            }
        }
    }
}

/// Newest first. Staff who name no partner see all.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    page: PageRequest<InvoiceId>,
) -> Result<Vec<Invoice>, BillingError> {
    let partner = actor.list_subject(partner, Right::Billing)?;
    let mut tx = ctx.store.read().await?;
    let rows = invoice_page(&mut tx, partner, page.cursor, page.limit()).await?;
    Ok(rows.into_iter().map(Invoice::from).collect())
}

pub async fn show(ctx: &Ctx, actor: &Actor, id: InvoiceId) -> Result<Invoice, BillingError> {
    let mut tx = ctx.store.read().await?;
    let row = invoice_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    actor.require(row.partner, Right::Billing)?;
    Ok(row.into())
}

fn periods(subscription: &Subscription, month: Month) -> Vec<BilledPeriod> {
    let (anchor, started_at) = (subscription.anchor, subscription.started_at);
    periods_ending_in_month(anchor, started_at, subscription.ended_at, month)
}

/// The subscription is read again under its lock: it may have been cancelled, or invoiced by another run, meanwhile.
async fn run_subscription(
    ctx: &Ctx,
    id: SubscriptionId,
    month: Month,
    invoices: &mut Vec<Invoice>,
) -> Result<(), BillingError> {
    let mut tx = ctx.store.write().await?;
    subscription_lock(&mut tx, id).await?;
    let Some(subscription) = subscription_by_id(&mut tx, id).await? else { return Ok(()) };
    let now = ctx.now();
    let mut made = Vec::new();
    for billed in periods(&subscription, month) {
        if billed.period.start <= now {
            made.push(run_period(ctx, &mut tx, &subscription, billed, now).await?.into());
        }
    }
    tx.commit().await?;
    invoices.extend(made);
    Ok(())
}

async fn run_period(
    ctx: &Ctx,
    tx: &mut Tx,
    subscription: &Subscription,
    billed: BilledPeriod,
    now: Timestamp,
) -> Result<InvoiceRow, BillingError> {
    let existing = invoice_by_period(tx, subscription.id, billed.period.start).await?;
    let used = period_units(tx, subscription.id, billed.full.start, billed.full.end).await?;
    if let Some(final_one) = existing.as_ref().filter(|row| row.status == InvoiceStatus::Finalised)
    {
        if final_one.units != used.units {
            let (billed, counted) = (final_one.units, used.units);
            tracing::warn!(invoice = %final_one.id, billed, counted, "units came after the invoice was final");
        }
        return Ok(final_one.clone());
    }
    let mut row = rate(ctx, tx, subscription, billed, used.units, now).await?;
    if billed.period.end.plus_secs(SETTLE_SECS) <= now {
        let year = Month::at(now).year();
        let number = invoice_number_draw(tx, year).await?;
        row.number = Some(format!("{year:04}-{number:06}"));
        row.status = InvoiceStatus::Finalised;
        row.finalised_at = Some(now);
    }
    match existing {
        Some(draft) => {
            row.id = draft.id;
            row.created_at = draft.created_at;
            invoice_update_draft(tx, &row).await?;
        }
        None => invoice_insert(tx, &row).await?,
    }
    Ok(row)
}

/// The invoice of a period as a draft.
async fn rate(
    ctx: &Ctx,
    tx: &mut Tx,
    subscription: &Subscription,
    billed: BilledPeriod,
    units: u64,
    now: Timestamp,
) -> Result<InvoiceRow, BillingError> {
    let (slug, version) = (&subscription.plan, subscription.plan_version);
    let plan = plan_by_version(tx, slug, version).await?.ok_or_else(|| StoreError::Corrupt {
        table: "subscriptions",
        column: "plan_version",
        id: subscription.id.to_string(),
    })?;
    let failed = |source| BillingError::Rating { subscription: subscription.id, source };
    let lines =
        rating::rate_period(&plan.price, billed.period, billed.full, units).map_err(failed)?;
    let total = rating::total(&lines).map_err(|error: MoneyError| failed(error.into()))?;
    Ok(InvoiceRow {
        id: InvoiceId::new(now, ctx.random()),
        number: None,
        partner: subscription.partner,
        subscription: subscription.id,
        plan: slug.clone(),
        plan_version: version,
        status: InvoiceStatus::Draft,
        currency: plan.price.currency,
        period_start: billed.period.start,
        period_end: billed.period.end,
        units,
        lines,
        total,
        created_at: now,
        finalised_at: None,
    })
}

impl From<InvoiceRow> for Invoice {
    fn from(row: InvoiceRow) -> Self {
        Self {
            id: row.id,
            number: row.number,
            status: row.status.as_str(),
            partner: row.partner,
            subscription: row.subscription,
            plan: row.plan,
            plan_version: row.plan_version,
            currency: row.currency,
            period_start: row.period_start,
            period_end: row.period_end,
            units: row.units,
            lines: row.lines,
            total_minor: row.total.0,
            created_at: row.created_at,
            finalised_at: row.finalised_at,
        }
    }
}

#[cfg(test)]
mod tests;
