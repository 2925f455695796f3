//! Plans, subscriptions and invoices.

use axum::extract::Path;
use axum::response::Response;
use keytoll_control::billing::{self, Invoice};
use keytoll_control::page::PageRequest;
use keytoll_control::plans::{self, PlanView};
use keytoll_control::subscriptions::{
    self, NewAnchor, NewSubscription, SubscribeError, SubscriptionView,
};
use keytoll_control::usage::{self, QuotaState};
use keytoll_domain::catalog::{Quota, WindowLimits};
use keytoll_domain::ids::{InvoiceId, PlanSlug, SubscriptionId};
use keytoll_domain::money::Minor;
use keytoll_domain::period::{Anchor, period_at};
use keytoll_domain::rating::Line;
use keytoll_domain::subscription::SubscriptionStatus;

use super::answer::{Stop, ok, refused, see_other};
use super::catalog::{all_plans, held_plans};
use super::visitor::{Member, SignedIn, Visitor};
use crate::pages::invoices::{InvoiceLine, InvoicePage, InvoiceRow, Invoices};
use crate::pages::plans::{
    CancelSubscription, PlanTerms, Plans, Subscribe, SubscriptionRow, Subscriptions,
};
use crate::ui::form::Problems;
use crate::ui::part::encode;
use crate::ui::text::{counted, date, money, price, quantity};

const ROWS: u32 = 50;

/// `GET /plans`
pub(super) async fn plans(visitor: Visitor) -> Result<Response, Stop> {
    let plans = all_plans(&visitor).await.map_err(|error| visitor.stop(error))?;
    let held = held_plans(&visitor).await?;
    let plans = plans.iter().map(|plan| terms(plan, held.contains(&plan.id.to_string()))).collect();
    Ok(ok(&visitor.shell, &Plans { plans }))
}

/// `GET /plans/{plan}/subscribe`
pub(super) async fn subscribe_form(
    member: Member,
    Path(slug): Path<String>,
) -> Result<Response, Stop> {
    let page = subscribe_page(&member, &slug, Problems::default()).await?;
    Ok(ok(&member.visitor.shell, &page))
}

/// `POST /plans/{plan}/subscribe`
pub(super) async fn subscribe(member: Member, Path(slug): Path<String>) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let new = NewSubscription {
        partner: Some(member.partner),
        plan: slug.clone(),
        anchor: NewAnchor::Calendar,
    };
    match subscriptions::create(visitor.ctx(), &member.actor, &new).await {
        Ok(made) => Ok(see_other(&format!("/subscriptions?bought={}", encode(made.plan.as_str())))),
        Err(SubscribeError::UnknownPlan(_)) => Err(visitor.not_found()),
        Err(SubscribeError::Denied(denied)) => Err(visitor.stop(denied)),
        Err(SubscribeError::Store(error)) => Err(visitor.stop(error)),
        Err(error @ SubscribeError::TooMany) => {
            let problems = Problems::from(("", format!("Nothing was bought: {error}.").as_str()));
            let page = subscribe_page(&member, &slug, problems).await?;
            Ok(refused(&visitor.shell, &page))
        }
    }
}

async fn subscribe_page(
    member: &Member,
    slug: &str,
    problems: Problems,
) -> Result<Subscribe, Stop> {
    let visitor = &member.visitor;
    let slug = PlanSlug::new(slug).map_err(|_| visitor.not_found())?;
    let plan = plans::show(visitor.ctx(), &slug).await.map_err(|error| visitor.stop(error))?;
    let plan = plan.ok_or_else(|| visitor.not_found())?;
    Ok(Subscribe {
        plan: terms(&plan, false),
        partner: visitor.partner_name(),
        first_invoice: date(period_at(Anchor::Calendar, visitor.now).end),
        problems,
    })
}

/// `GET /subscriptions`
pub(super) async fn subscriptions(member: Member) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let cursor = visitor.query.text("cursor").parse().ok();
    let page = PageRequest { cursor, limit: ROWS };
    let found = subscriptions::list(visitor.ctx(), &member.actor, Some(member.partner), page).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let used = usage::dashboard(visitor.ctx(), &member.actor, Some(member.partner)).await;
    let used = used.map_err(|error| visitor.stop(error))?.quotas;
    let plans = all_plans(visitor).await.map_err(|error| visitor.stop(error))?;
    let bought = PlanSlug::new(&visitor.query.text("bought")).ok();
    let bought = bought.and_then(|slug| plans.iter().find(|plan| plan.id == slug));
    let page = Subscriptions {
        next_cursor: next(&found, ROWS, |last| last.id.to_string()),
        rows: found.iter().map(|row| subscription_row(row, &plans, &used)).collect(),
        bought: bought.map(|plan| plan.name.clone()),
    };
    Ok(ok(&visitor.shell, &page))
}

fn subscription_row(
    row: &SubscriptionView,
    plans: &[PlanView],
    used: &[QuotaState],
) -> SubscriptionRow {
    let plan = plans.iter().find(|plan| plan.id == row.plan && plan.version == row.plan_version);
    let state = used.iter().find(|state| state.subscription == row.id);
    let included = plan.map(|plan| plan.included_calls).filter(|included| *included > 0);
    SubscriptionRow {
        id: row.id.to_string(),
        plan: plan.map_or_else(
            || format!("{}, version {}", row.plan, row.plan_version),
            |plan| plan.name.clone(),
        ),
        status: row.status.as_str(),
        price: plan.map(|plan| price(plan.price_monthly, plan.currency)),
        period_start: row.period_start,
        period_end: row.period_end,
        units: state.map_or(0, |state| state.used_units),
        allowance: state.and_then(|state| state.quota).map(|quota| quota.units).or(included),
        cancellable: row.status != SubscriptionStatus::Cancelled,
    }
}

/// `GET /subscriptions/{id}/cancel`
pub(super) async fn cancel_form(
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Stop> {
    let visitor = &signed_in.visitor;
    let id: SubscriptionId = id.parse().map_err(|_| visitor.not_found())?;
    let found = subscriptions::show(visitor.ctx(), &signed_in.actor, id).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let page =
        CancelSubscription { id: id.to_string(), plan: found.plan.to_string(), active_keys: None };
    Ok(ok(&visitor.shell, &page))
}

/// `POST /subscriptions/{id}/cancel`
pub(super) async fn cancel(signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, Stop> {
    let visitor = &signed_in.visitor;
    let id: SubscriptionId = id.parse().map_err(|_| visitor.not_found())?;
    let ended = subscriptions::cancel(visitor.ctx(), &signed_in.actor, id).await;
    ended.map_err(|error| visitor.stop(error))?;
    Ok(see_other("/subscriptions"))
}

/// `GET /invoices`
pub(super) async fn invoices(member: Member) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let cursor = visitor.query.text("cursor").parse().ok();
    let page = PageRequest { cursor, limit: ROWS };
    let found = billing::list(visitor.ctx(), &member.actor, Some(member.partner), page).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let next_cursor = next(&found, ROWS, |last| last.id.to_string());
    let page = Invoices { rows: found.iter().map(invoice_row).collect(), next_cursor };
    Ok(ok(&visitor.shell, &page))
}

/// `GET /invoices/{id}`
pub(super) async fn invoice(signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, Stop> {
    let visitor = &signed_in.visitor;
    let id: InvoiceId = id.parse().map_err(|_| visitor.not_found())?;
    let found = billing::show(visitor.ctx(), &signed_in.actor, id).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let partner =
        keytoll_control::partners::show(visitor.ctx(), &signed_in.actor, found.partner).await;
    let partner = partner.map_err(|error| visitor.stop(error))?;
    let page = InvoicePage {
        row: invoice_row(&found),
        partner: partner.name,
        plan: format!("{}, version {}", found.plan, found.plan_version),
        currency: found.currency.code().to_owned(),
        units: found.units,
        lines: found.lines.iter().map(|line| invoice_line(line, &found)).collect(),
    };
    Ok(ok(&visitor.shell, &page))
}

pub(super) fn invoice_row(invoice: &Invoice) -> InvoiceRow {
    InvoiceRow {
        id: invoice.id.to_string(),
        number: invoice.number.clone().unwrap_or_else(|| "Draft".into()),
        status: invoice.status.to_owned(),
        period_start: invoice.period_start,
        period_last: invoice.period_end.plus_micros(-1),
        total: money(Minor(invoice.total_minor), invoice.currency),
    }
}

fn invoice_line(line: &Line, invoice: &Invoice) -> InvoiceLine {
    InvoiceLine {
        description: line.description.clone(),
        quantity: quantity(line.quantity),
        unit_price: price(line.unit_price, invoice.currency),
        amount: money(Minor(line.amount_minor), invoice.currency),
    }
}

/// The cursor of the next page, if this one is full.
pub(super) fn next<T>(rows: &[T], limit: u32, id: impl Fn(&T) -> String) -> Option<String> {
    let full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    rows.last().filter(|_| full).map(id)
}

/// A plan in the words a buyer reads.
pub(super) fn terms(plan: &PlanView, current: bool) -> PlanTerms {
    let mut terms = Vec::new();
    if plan.included_calls > 0 {
        terms.push(format!(
            "{} included every month",
            counted(plan.included_calls, "call", "calls")
        ));
    }
    if let Some(overage) = plan.overage_per_1000.filter(|overage| !overage.is_zero()) {
        let each = price(overage, plan.currency);
        terms.push(
            format!(
                "{each} per 1,000 calls {}",
                if plan.included_calls > 0 { "beyond" } else { "" }
            )
            .trim_end()
            .to_owned(),
        );
    }
    terms.extend(plan.quota.map(quota_text));
    terms.extend(limit_texts(&plan.limits));
    terms.extend(plan.concurrency.map(|calls| {
        format!("{} of a key at the same time", counted(calls.into(), "call", "calls"))
    }));
    terms.extend(plan.spend_cap.as_ref().map(|cap| {
        format!("Calls stop at a bill of {} {cap} a month; you can set another cap", plan.currency)
    }));
    if let Some(operations) = &plan.operations {
        let count = operations.len() as u64;
        terms.push(format!("Only {} of its APIs", counted(count, "operation", "operations")));
    }
    let products: Vec<&str> = plan.products.iter().map(PlanSlug::as_str).collect();
    terms.push(format!("Opens {}", products.join(", ")));
    PlanTerms {
        slug: plan.id.to_string(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        price: price(plan.price_monthly, plan.currency),
        terms,
        current,
    }
}

fn quota_text(quota: Quota) -> String {
    let calls = counted(quota.units, "call", "calls");
    if quota.hard {
        format!("At most {calls} a month; more are refused")
    } else {
        format!("Meant for up to {calls} a month; more still work")
    }
}

/// What was agreed for a subscription beside its plan, for staff; empty when nothing was.
pub(super) fn agreed(row: &SubscriptionView) -> Vec<String> {
    let mut agreed = row.limits.as_ref().map(limit_texts).unwrap_or_default();
    if row.limits.is_some() && agreed.is_empty() {
        agreed.push("no windows".to_owned());
    }
    agreed.extend(row.quota.map(quota_text));
    agreed.extend(row.concurrency.map(|calls| format!("{calls} calls in flight per key")));
    agreed.extend(row.spend_cap.as_ref().map(|cap| format!("spend cap {cap}")));
    agreed
}

pub(super) fn limit_texts(limits: &WindowLimits) -> Vec<String> {
    let windows = [
        (limits.second, "a second"),
        (limits.minute, "a minute"),
        (limits.hour, "an hour"),
        (limits.day, "a day"),
    ];
    let text = |(limit, unit): (Option<u64>, &str)| {
        Some(format!("{} {unit} at most", counted(limit?, "call", "calls")))
    };
    windows.into_iter().filter_map(text).collect()
}
