//! The first page and the usage page.

use axum::response::{IntoResponse, Response};
use keytoll_control::billing;
use keytoll_control::keys;
use keytoll_control::page::PageRequest;
use keytoll_control::usage::{self, DayTotal};
use keytoll_control::{Denied, products};
use keytoll_domain::ids::ProductId;
use keytoll_domain::key::Environment;
use keytoll_domain::time::Day;
use std::collections::BTreeMap;

use super::answer::{Stop, Trouble, ok, see_other};
use super::billing::invoice_row;
use super::keys::{key_row, whole_ms};
use super::visitor::{Member, Visitor};
use crate::pages::account::Landing;
use crate::pages::dashboard::{Allowance, Dashboard, Usage};
use crate::pages::error::ErrorPage;
use crate::pages::invoices::InvoiceRow;
use crate::pages::keys::UsageSummary;
use crate::ui::chart::DayBar;

const DAYS: u32 = 30;
const RECENT: u32 = 5;

/// `GET /`
pub(super) async fn home(visitor: Visitor) -> Response {
    let Some(session) = visitor.session.clone() else {
        return ok(&visitor.shell, &Landing::default());
    };
    match visitor.partner {
        Some(partner) => {
            let member = Member { visitor, actor: session.actor, partner };
            dashboard(&member).await.unwrap_or_else(IntoResponse::into_response)
        }
        None if session.actor.is_staff() => see_other("/staff"),
        None => Stop::error(ErrorPage::forbidden(), &visitor.shell).into_response(),
    }
}

async fn dashboard(member: &Member) -> Result<Response, Stop> {
    let Member { visitor, actor, partner } = member;
    let stop = |trouble: Trouble| visitor.stop(trouble);
    let ctx = visitor.ctx();
    let found = usage::dashboard(ctx, actor, Some(*partner)).await.map_err(|e| stop(e.into()))?;
    let page = PageRequest { cursor: None, limit: RECENT };
    let newest = keys::list(ctx, actor, Some(*partner), page).await.map_err(|e| stop(e.into()))?;
    let days = bars(&found.chart.daily);
    let called = days.iter().any(|day| day.successes + day.errors > 0);
    let page = Dashboard {
        now: visitor.now,
        partner: visitor.partner_name(),
        requests_today: found.requests_today,
        requests_month: found.requests_this_month,
        allowance: found.monthly_limit.map(|limit| Allowance {
            limit,
            hard: found.quotas.iter().any(|state| state.quota.is_some_and(|quota| quota.hard)),
        }),
        avg_response_ms: called.then(|| whole_ms(found.avg_response_ms)),
        days,
        subscribed: !found.quotas.is_empty(),
        keys: newest.iter().map(key_row).collect(),
        invoices: recent_invoices(member).await?,
    };
    Ok(ok(&visitor.shell, &page))
}

/// Empty for members who may not see money.
async fn recent_invoices(member: &Member) -> Result<Option<Vec<InvoiceRow>>, Stop> {
    let page = PageRequest { cursor: None, limit: RECENT };
    let found =
        billing::list(member.visitor.ctx(), &member.actor, Some(member.partner), page).await;
    match found.map_err(Trouble::from) {
        Ok(found) => Ok(Some(found.iter().map(invoice_row).collect())),
        Err(Trouble::Denied(Denied::RoleMissing)) => Ok(None),
        Err(trouble) => Err(member.visitor.stop(trouble)),
    }
}

/// `GET /usage`
pub(super) async fn usage(member: Member) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let ctx = visitor.ctx();
    let found =
        usage::partner_daily(ctx, &member.actor, Some(member.partner), Environment::Live, DAYS)
            .await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let average = usage::dashboard(ctx, &member.actor, Some(member.partner)).await;
    let average = average.map_err(|error| visitor.stop(error))?.avg_response_ms;
    let days = bars(&found.daily);
    let errors: u64 = days.iter().map(|day| day.errors).sum();
    let calls = found.total_calls;
    let mut products = Vec::new();
    for (id, (successes, errors)) in by_product(&found.daily) {
        products.push((id.clone(), product_name(&member, &id).await?, successes, errors));
    }
    let summary = UsageSummary {
        calls,
        errors_per_mille: errors.saturating_mul(1_000).checked_div(calls).unwrap_or(0),
        avg_latency_ms: (calls > 0).then(|| whole_ms(average)),
    };
    Ok(ok(&visitor.shell, &Usage { days, summary, products }))
}

/// A product's name, or its id when it is gone.
async fn product_name(member: &Member, id: &str) -> Result<String, Stop> {
    let Ok(slug) = ProductId::new(id) else { return Ok(id.to_owned()) };
    let found = products::show(member.visitor.ctx(), &member.actor, &slug).await;
    let found = found.map_err(|error| member.visitor.stop(error))?;
    Ok(found.map_or_else(|| id.to_owned(), |product| product.name))
}

/// R40's days as bars; calls of no product count as successes, since none of them failed upstream.
fn bars(daily: &[DayTotal]) -> Vec<DayBar> {
    let bar = |total: &DayTotal| {
        let failed = total.by_api.iter().filter(|(name, _)| name.ends_with(":error"));
        let errors: u64 = failed.map(|(_, count)| count).sum();
        let day: Day = total.date.parse().unwrap_or_default();
        DayBar { day, successes: total.total.saturating_sub(errors), errors }
    };
    daily.iter().map(bar).collect()
}

/// Successes and errors by product id.
fn by_product(daily: &[DayTotal]) -> BTreeMap<String, (u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (name, count) in daily.iter().flat_map(|day| &day.by_api) {
        match name.split_once(':') {
            Some((id, "success")) => sums.entry(id.to_owned()).or_default().0 += count,
            Some((id, "error")) => sums.entry(id.to_owned()).or_default().1 += count,
            _ => {}
        }
    }
    sums
}
