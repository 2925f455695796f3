//! The first page and the usage page.

use axum::response::{IntoResponse, Response};
use keytoll_control::billing;
use keytoll_control::keys;
use keytoll_control::page::PageRequest;
use keytoll_control::usage::{self, Calls};
use keytoll_control::{Denied, products};
use keytoll_domain::ids::ProductId;
use keytoll_domain::key::KeyStatus;
use keytoll_domain::time::Day;

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

const RECENT: u32 = 5;
/// Keys looked at to find the recent ones that still work.
const KEYS_LOOKED_AT: u32 = 50;

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
    let page = PageRequest { cursor: None, limit: KEYS_LOOKED_AT };
    let newest = keys::list(ctx, actor, Some(*partner), page).await.map_err(|e| stop(e.into()))?;
    let in_use = newest.iter().filter(|key| key.status != KeyStatus::Revoked);
    let days = bars(&found.days);
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
        keys: in_use.take(RECENT as usize).map(key_row).collect(),
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
    let found = usage::dashboard(ctx, &member.actor, Some(member.partner)).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let days = bars(&found.days);
    let errors: u64 = days.iter().map(|day| day.errors).sum();
    let calls = errors + days.iter().map(|day| day.successes).sum::<u64>();
    let mut products = Vec::new();
    for (id, calls) in &found.products {
        let name = product_name(&member, id).await?;
        products.push((id.to_string(), name, calls.successes, calls.errors));
    }
    let summary = UsageSummary {
        calls,
        errors_per_mille: errors.saturating_mul(1_000).checked_div(calls).unwrap_or(0),
        avg_latency_ms: (calls > 0).then(|| whole_ms(found.avg_response_ms)),
    };
    Ok(ok(&visitor.shell, &Usage { days, summary, products }))
}

/// A product's name, or its id when it is gone.
async fn product_name(member: &Member, id: &ProductId) -> Result<String, Stop> {
    let found = products::show(member.visitor.ctx(), &member.actor, id).await;
    let found = found.map_err(|error| member.visitor.stop(error))?;
    Ok(found.map_or_else(|| id.to_string(), |product| product.name))
}

fn bars(days: &[(Day, Calls)]) -> Vec<DayBar> {
    let bar = |(day, calls): &(Day, Calls)| DayBar {
        day: *day,
        successes: calls.successes,
        errors: calls.errors,
    };
    days.iter().map(bar).collect()
}
