//! Keys: the list, one key, and the three acts: create, roll, revoke.

mod create;

use axum::extract::Path;
use axum::response::Response;
use keytoll_control::calls;
use keytoll_control::keys::{self, KeyView, RollError, RollName, RollOptions};
use keytoll_control::page::PageRequest;
use keytoll_control::plans::{self, PlanView};
use keytoll_control::products::{self, ProductView};
use keytoll_control::receipts::Receipt;
use keytoll_control::subscriptions;
use keytoll_control::usage::{self, KeyDayTotal};
use keytoll_domain::ids::{KeyId, PlanSlug};
use keytoll_domain::key::{Environment, KeyStatus, PlainKey};
use keytoll_domain::time::Day;

use self::create::offers;
pub(super) use self::create::{create, create_form};
use super::answer::{Stop, ok, refused, secret};
use super::billing::{limit_texts, next};
use super::curl::{Call, curl};
use super::fields::Fields;
use super::visitor::{Member, SignedIn, Visitor};
use crate::pages::key_forms as forms;
use crate::pages::keys as pages;
use crate::ui::chart::DayBar;
use crate::ui::form::Problems;

const ROWS: u32 = 100;
const DAYS: u32 = 30;
/// Recent calls on one page.
const CALLS: u32 = 25;

/// `GET /keys`
pub(super) async fn list(member: Member) -> Result<Response, Stop> {
    let visitor = &member.visitor;
    let cursor = visitor.query.text("cursor").parse().ok();
    let page = PageRequest { cursor, limit: ROWS };
    let found = keys::list(visitor.ctx(), &member.actor, Some(member.partner), page).await;
    let found = found.map_err(|error| visitor.stop(error))?;
    let next_cursor = next(&found, ROWS, |last| last.id.to_string());
    let counted = |view: &&KeyView| matches!(view.status, KeyStatus::Active | KeyStatus::Expired);
    let whole = cursor.is_none() && next_cursor.is_none();
    let page = pages::KeyList {
        now: visitor.now,
        rows: found.iter().map(key_row).collect(),
        next_cursor,
        active: whole.then(|| found.iter().filter(counted).count() as u64),
        cap: visitor.ctx().settings.active_keys_per_partner.into(),
        subscribed: !offers(&member).await?.is_empty(),
        may_change: may_change(&member.actor, member.partner),
    };
    Ok(ok(&visitor.shell, &page))
}

/// `GET /keys/{id}`: the partner's own, or any for staff.
pub(super) async fn show(signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, Stop> {
    let SignedIn { visitor, actor } = &signed_in;
    let view = find(&signed_in, &id).await?;
    let used = usage::key_daily(visitor.ctx(), actor, view.id, DAYS).await;
    let used = used.map_err(|error| visitor.stop(error))?;
    let subscription = subscriptions::show(visitor.ctx(), actor, view.subscription).await;
    let subscription = subscription.map_err(|error| visitor.stop(error))?;
    let plan = plan_of(visitor, &subscription.plan).await?;
    let calls = used.summary.total_requests;
    let endpoints = used.endpoints.iter().map(|row| pages::EndpointRow {
        endpoint: if row.endpoint.is_empty() {
            "Verified without an operation".into()
        } else {
            row.endpoint.clone()
        },
        successes: row.successes,
        errors: row.errors,
        avg_latency_ms: Some(whole_ms(row.avg_latency_ms)),
    });
    let errors: u64 = used.daily.iter().map(|day| day.errors).sum();
    let page = pages::KeyDetail {
        now: visitor.now,
        key: key_row(&view),
        plan: plan.as_ref().map_or_else(|| subscription.plan.to_string(), |plan| plan.name.clone()),
        products: view.products.iter().flatten().map(ToString::to_string).collect(),
        rate_limit_per_minute: view.rate_limit_per_minute,
        plan_limits: plan.map(|plan| limit_texts(&plan.limits)).unwrap_or_default(),
        allowed_ips: view.allowed_ips.iter().map(ToString::to_string).collect(),
        revoked_at: view.revoked_at,
        days: bars(&used.daily, visitor.now.day()),
        endpoints: endpoints.collect(),
        summary: pages::UsageSummary {
            calls,
            errors_per_mille: errors.saturating_mul(1_000).checked_div(calls).unwrap_or(0),
            avg_latency_ms: (calls > 0).then(|| whole_ms(used.summary.avg_latency_ms)),
        },
        calls: recent_calls(&signed_in, view.id).await?,
        may_change: may_change(actor, view.partner),
        staff: actor.role_in(view.partner).is_none(),
    };
    Ok(ok(&visitor.shell, &page))
}

async fn recent_calls(signed_in: &SignedIn, key: KeyId) -> Result<pages::RecentCalls, Stop> {
    let SignedIn { visitor, actor } = signed_in;
    let cursor = visitor.query.text("cursor").parse().ok();
    let page = PageRequest { cursor, limit: CALLS };
    let log = calls::of_key(visitor.ctx(), actor, key, page).await;
    let log = log.map_err(|error| visitor.stop(error))?;
    let rows = log.calls.iter().map(|call| pages::CallRow {
        at: call.at,
        operation: call.operation.clone(),
        status: call.status,
        ms: whole_ms(call.latency_ms),
        request_id: call.request_id.to_string(),
    });
    Ok(pages::RecentCalls {
        rows: rows.collect(),
        next_cursor: log.next.map(|next| next.to_string()),
        known: log.node.is_some(),
        later: cursor.is_some(),
    })
}

/// The last 30 days; those without calls are not in `daily`.
fn bars(daily: &[KeyDayTotal], today: Day) -> Vec<DayBar> {
    let first = 1 - i32::try_from(DAYS).unwrap_or(0);
    let bar = |offset: i32| {
        let day = today.plus(offset);
        let date = day.to_string();
        let found = daily.iter().find(|found| found.date == date);
        let (successes, errors) = found.map_or((0, 0), |found| (found.successes, found.errors));
        DayBar { day, successes, errors }
    };
    (first..=0).map(bar).collect()
}

/// `GET /keys/{id}/roll`
pub(super) async fn roll_form(
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Stop> {
    let view = find(&signed_in, &id).await?;
    let page = roll_page(&signed_in, &view, Problems::default()).await?;
    Ok(ok(&signed_in.visitor.shell, &page))
}

/// `POST /keys/{id}/roll`
pub(super) async fn roll(
    signed_in: SignedIn,
    Path(id): Path<String>,
    form: Fields,
) -> Result<Response, Stop> {
    let SignedIn { visitor, actor } = &signed_in;
    let view = find(&signed_in, &id).await?;
    let grace = form.text("grace");
    let Some((grace_secs, _)) = forms::GRACES.iter().find(|(secs, _)| secs.to_string() == grace)
    else {
        let problems = Problems::from(("grace", "Choose when the old key ends."));
        return Ok(refused(&visitor.shell, &roll_page(&signed_in, &view, problems).await?));
    };
    let options =
        RollOptions { name: RollName::Keep, grace_secs: u32::try_from(*grace_secs).unwrap_or(0) };
    let rolled = match keys::roll(visitor.ctx(), actor, view.id, options).await {
        Ok(rolled) => rolled,
        Err(RollError::Denied(denied)) => return Err(visitor.stop(denied)),
        Err(RollError::Store(error)) => return Err(visitor.stop(error)),
        Err(error) => {
            let problems = Problems::from(("", format!("Nothing was changed: {error}.").as_str()));
            return Ok(refused(&visitor.shell, &roll_page(&signed_in, &view, problems).await?));
        }
    };
    let told = pages::Rolled {
        old_works_until: (options.grace_secs > 0)
            .then(|| visitor.now.plus_secs(options.grace_secs.into())),
        receipt: receipt(&rolled.receipt),
    };
    let new = keys::show(visitor.ctx(), actor, rolled.key.id).await;
    let new = new.map_err(|error| visitor.stop(error))?;
    let page = secret_page(visitor, &new, rolled.secret, Some(told)).await?;
    Ok(secret(ok(&visitor.shell, &page)))
}

async fn roll_page(
    signed_in: &SignedIn,
    view: &KeyView,
    problems: Problems,
) -> Result<forms::RollKey, Stop> {
    let SignedIn { visitor, actor } = signed_in;
    let used = usage::key_daily(visitor.ctx(), actor, view.id, DAYS).await;
    let used = used.map_err(|error| visitor.stop(error))?;
    Ok(forms::RollKey {
        id: view.id.to_string(),
        name: view.name.clone(),
        prefix: view.key_prefix.clone(),
        calls_30_days: used.summary.total_requests,
        problems,
    })
}

/// `GET /keys/{id}/revoke`
pub(super) async fn revoke_form(
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Stop> {
    let view = find(&signed_in, &id).await?;
    let page = forms::RevokeKey {
        now: signed_in.visitor.now,
        id: view.id.to_string(),
        name: view.name,
        prefix: view.key_prefix,
        last_used_at: view.last_used_at,
    };
    Ok(ok(&signed_in.visitor.shell, &page))
}

/// `POST /keys/{id}/revoke`
pub(super) async fn revoke(signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, Stop> {
    let SignedIn { visitor, actor } = &signed_in;
    let id: KeyId = id.parse().map_err(|_| visitor.not_found())?;
    let done = keys::revoke(visitor.ctx(), actor, id).await.map_err(|error| visitor.stop(error))?;
    let page = forms::KeyRevoked {
        name: done.key.name,
        prefix: done.key.prefix,
        receipt: receipt(&done.receipt),
        staff: actor.role_in(done.key.partner).is_none(),
    };
    Ok(ok(&visitor.shell, &page))
}

async fn find(signed_in: &SignedIn, id: &str) -> Result<KeyView, Stop> {
    let visitor = &signed_in.visitor;
    let id: KeyId = id.parse().map_err(|_| visitor.not_found())?;
    let found = keys::show(visitor.ctx(), &signed_in.actor, id).await;
    found.map_err(|error| visitor.stop(error))
}

async fn plan_of(visitor: &Visitor, slug: &PlanSlug) -> Result<Option<PlanView>, Stop> {
    plans::show(visitor.ctx(), slug).await.map_err(|error| visitor.stop(error))
}

async fn products_of(visitor: &Visitor, plan: Option<&PlanView>) -> Result<Vec<ProductView>, Stop> {
    let mut found = Vec::new();
    for id in plan.iter().flat_map(|plan| &plan.products) {
        let product = products::show(visitor.ctx(), &visitor.actor(), id).await;
        found.extend(product.map_err(|error| visitor.stop(error))?);
    }
    Ok(found)
}

async fn secret_page(
    visitor: &Visitor,
    view: &KeyView,
    secret: PlainKey,
    rolled: Option<pages::Rolled>,
) -> Result<pages::SecretShown, Stop> {
    let subscription =
        subscriptions::show(visitor.ctx(), &visitor.actor(), view.subscription).await;
    let subscription = subscription.map_err(|error| visitor.stop(error))?;
    let plan = plan_of(visitor, &subscription.plan).await?;
    let products = products_of(visitor, plan.as_ref()).await?;
    let sample = first_call(visitor, &products, secret.expose());
    Ok(pages::SecretShown {
        id: view.id.to_string(),
        name: view.name.clone(),
        test: view.environment == Environment::Test,
        curl: sample,
        secret,
        rolled,
    })
}

/// A GET without parameters in its path, if the plan has one.
fn first_call(visitor: &Visitor, products: &[ProductView], key: &str) -> String {
    let all = || {
        products.iter().flat_map(|product| product.operations.iter().map(move |op| (product, op)))
    };
    let easy =
        all().find(|(_, operation)| operation.method == "GET" && !operation.path.contains('{'));
    let easy = easy.or_else(|| all().find(|(_, operation)| operation.method == "GET"));
    let Some((product, operation)) = easy.or_else(|| all().next()) else { return String::new() };
    let base = format!("{}/{}", visitor.portal.gateway_url, product.id);
    curl(&Call {
        method: &operation.method,
        base: &base,
        path: &operation.path,
        key: Some(key),
        ..Call::default()
    })
}

pub(super) fn key_row(view: &KeyView) -> pages::KeyRow {
    pages::KeyRow {
        id: view.id.to_string(),
        name: view.name.clone(),
        prefix: view.key_prefix.clone(),
        test: view.environment == Environment::Test,
        status: match view.status {
            KeyStatus::Active => "active",
            KeyStatus::Disabled => "disabled",
            KeyStatus::Expired => "expired",
            KeyStatus::Revoked => "revoked",
        },
        scopes: view.scopes.clone(),
        last_used_at: view.last_used_at,
        total_requests: view.total_requests,
        created_at: view.created_at,
        expires_at: view.expires_at,
    }
}

fn receipt(receipt: &Receipt) -> pages::ReceiptView {
    pages::ReceiptView {
        nodes: receipt.nodes.iter().map(|node| (node.node.clone(), node.ms)).collect(),
        missing: receipt.missing.clone(),
    }
}

/// Whether the buttons are worth showing; the use case decides.
pub(super) fn may_change(
    actor: &keytoll_control::Actor,
    partner: keytoll_domain::ids::PartnerId,
) -> bool {
    actor.require(partner, keytoll_control::actor::Right::Keys).is_ok()
}

/// Milliseconds without decimals, for reading.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, bounded and not negative"
)]
pub(super) fn whole_ms(ms: f64) -> u64 {
    ms.round().clamp(0.0, 1e15) as u64
}
