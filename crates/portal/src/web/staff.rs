//! The staff's pages. Searching reads a bounded part of the list and goes on from a cursor.

use axum::response::Response;
use keytoll_control::keys::{self, KeyView};
use keytoll_control::page::PageRequest;
use keytoll_control::subscriptions::SubscriptionView;
use keytoll_control::{partners, products, subscriptions};
use keytoll_domain::ids::{KeyId, PartnerId, ProductId};
use keytoll_domain::key::KeyStatus;
use keytoll_domain::subscription::SubscriptionStatus;

use super::answer::{Stop, ok};
use super::billing::{agreed, next};
use super::catalog::{all_plans, status_name};
use super::keys::key_row;
use super::visitor::StaffMember;
use crate::pages::staff as pages;

const ROWS: u32 = 50;
/// Rows a search reads at a time, and how often.
const BATCH: u32 = 1_000;
const BATCHES: usize = 10;
const NEWEST: u32 = 5;
const COUNTED: u32 = 1_000;

/// `GET /staff`
pub(super) async fn overview(staff: StaffMember) -> Result<Response, Stop> {
    let StaffMember { visitor, actor } = &staff;
    let ctx = visitor.ctx();
    let page = PageRequest { cursor: None, limit: COUNTED };
    let sold = products::list(ctx, actor, &page).await.map_err(|error| visitor.stop(error))?;
    let page = PageRequest { cursor: None, limit: COUNTED };
    let found = partners::list(ctx, actor, page).await.map_err(|error| visitor.stop(error))?;
    let page = PageRequest { cursor: None, limit: COUNTED };
    let made = keys::list(ctx, actor, None, page).await.map_err(|error| visitor.stop(error))?;
    let newest = found.iter().take(NEWEST as usize);
    let page = pages::Overview {
        now: visitor.now,
        products: sold.len() as u64,
        partners: found.len() as u64,
        more_partners: found.len() >= COUNTED as usize,
        active_keys: made.iter().filter(|key| key.status == KeyStatus::Active).count() as u64,
        more_keys: made.len() >= COUNTED as usize,
        recent_partners: newest.map(|partner| (partner.name.clone(), partner.created_at)).collect(),
    };
    Ok(ok(&visitor.shell, &page))
}

/// `GET /staff/products`
pub(super) async fn products(staff: StaffMember) -> Result<Response, Stop> {
    let StaffMember { visitor, actor } = &staff;
    let cursor = ProductId::new(&visitor.query.text("cursor")).ok();
    let page = PageRequest { cursor, limit: ROWS };
    let found =
        products::list(visitor.ctx(), actor, &page).await.map_err(|error| visitor.stop(error))?;
    let plans = all_plans(visitor).await.map_err(|error| visitor.stop(error))?;
    let next_cursor = next(&found, ROWS, |last| last.id.to_string());
    let row = |product: products::ProductView| pages::ProductRow {
        plans: plans
            .iter()
            .filter(|plan| plan.products.contains(&product.id))
            .map(|plan| plan.name.clone())
            .collect(),
        id: product.id.to_string(),
        name: product.name,
        status: status_name(product.status),
        version: product.version,
        operations: product.operations.len() as u64,
        upstream: product.upstream,
        sandbox: product.has_sandbox,
    };
    let page = pages::Products { rows: found.into_iter().map(row).collect(), next_cursor };
    Ok(ok(&visitor.shell, &page))
}

/// `GET /staff/partners`
pub(super) async fn partners(staff: StaffMember) -> Result<Response, Stop> {
    let StaffMember { visitor, actor } = &staff;
    let query = visitor.query.text("q");
    let wanted = query.to_lowercase();
    let mut cursor: Option<PartnerId> = visitor.query.text("cursor").parse().ok();
    let mut rows = Vec::new();
    for _ in 0..BATCHES {
        let limit = if wanted.is_empty() { ROWS } else { BATCH };
        let page = PageRequest { cursor, limit };
        let found = partners::list(visitor.ctx(), actor, page)
            .await
            .map_err(|error| visitor.stop(error))?;
        cursor = found.last().filter(|_| found.len() >= limit as usize).map(|last| last.id);
        for partner in found {
            let fits =
                partner.name.to_lowercase().contains(&wanted) || partner.email.contains(&wanted);
            if fits && rows.len() < ROWS as usize {
                let last = partner.id;
                rows.push(partner_row(&staff, partner).await?);
                if rows.len() == ROWS as usize {
                    cursor = Some(last);
                }
            }
        }
        if cursor.is_none() || rows.len() >= ROWS as usize {
            break;
        }
    }
    let next_cursor = cursor.map(|id| id.to_string());
    Ok(ok(&visitor.shell, &pages::Partners { now: visitor.now, query, rows, next_cursor }))
}

async fn partner_row(
    staff: &StaffMember,
    partner: partners::Partner,
) -> Result<pages::PartnerRow, Stop> {
    let StaffMember { visitor, actor } = staff;
    let page = PageRequest { cursor: None, limit: 100 };
    let held = subscriptions::list(visitor.ctx(), actor, Some(partner.id), page).await;
    let held = held.map_err(|error| visitor.stop(error))?;
    let page = PageRequest { cursor: None, limit: 100 };
    let made = keys::list(visitor.ctx(), actor, Some(partner.id), page).await;
    let made = made.map_err(|error| visitor.stop(error))?;
    let running = held.iter().filter(|held| held.status == SubscriptionStatus::Active);
    let plan = |held: &SubscriptionView| match agreed(held).join("; ") {
        none if none.is_empty() => held.plan.to_string(),
        agreed => format!("{} ({agreed})", held.plan),
    };
    let mut plans: Vec<String> = running.map(plan).collect();
    plans.dedup();
    Ok(pages::PartnerRow {
        id: partner.id.to_string(),
        name: partner.name,
        email: Some(partner.email),
        plans,
        active_keys: Some(made.iter().filter(|key| key.status == KeyStatus::Active).count() as u64),
        created_at: partner.created_at,
    })
}

/// `GET /staff/keys`
pub(super) async fn keys(staff: StaffMember) -> Result<Response, Stop> {
    let StaffMember { visitor, actor } = &staff;
    let query = visitor.query.text("q");
    let wanted = query.to_lowercase();
    let partner: Option<PartnerId> = visitor.query.text("partner").parse().ok();
    let mut cursor: Option<KeyId> = visitor.query.text("cursor").parse().ok();
    let mut found: Vec<KeyView> = Vec::new();
    for _ in 0..BATCHES {
        let limit = if wanted.is_empty() { ROWS } else { BATCH };
        let page = PageRequest { cursor, limit };
        let batch = keys::list(visitor.ctx(), actor, partner, page)
            .await
            .map_err(|error| visitor.stop(error))?;
        cursor = batch.last().filter(|_| batch.len() >= limit as usize).map(|last| last.id);
        let room = (ROWS as usize).saturating_sub(found.len());
        found.extend(batch.into_iter().filter(|key| key_fits(key, &wanted)).take(room));
        if found.len() >= ROWS as usize {
            cursor = found.last().map(|last| last.id);
        }
        if cursor.is_none() || found.len() >= ROWS as usize {
            break;
        }
    }
    let page = pages::Keys {
        now: visitor.now,
        query,
        partner: partner.map(|id| id.to_string()).unwrap_or_default(),
        rows: named(&staff, found).await?,
        next_cursor: cursor.map(|id| id.to_string()),
        may_revoke: actor.is_admin()
            || actor.staff == Some(keytoll_domain::user::StaffRole::Support),
    };
    Ok(ok(&visitor.shell, &page))
}

/// By name, by the beginning of the key, or by a whole key that was found somewhere.
fn key_fits(key: &KeyView, wanted: &str) -> bool {
    let prefix = key.key_prefix.to_lowercase();
    key.name.to_lowercase().contains(wanted)
        || prefix.contains(wanted)
        || (!prefix.is_empty() && wanted.starts_with(&prefix))
}

/// Each key with its partner's name.
async fn named(
    staff: &StaffMember,
    found: Vec<KeyView>,
) -> Result<Vec<(crate::pages::keys::KeyRow, String)>, Stop> {
    let StaffMember { visitor, actor } = staff;
    let mut names: Vec<(PartnerId, String)> = Vec::new();
    let mut rows = Vec::with_capacity(found.len());
    for key in found {
        if !names.iter().any(|(id, _)| *id == key.partner) {
            let partner = partners::show(visitor.ctx(), actor, key.partner).await;
            names.push((key.partner, partner.map_err(|error| visitor.stop(error))?.name));
        }
        let name = names.iter().find(|(id, _)| *id == key.partner).map_or("", |(_, name)| name);
        rows.push((key_row(&key), name.to_owned()));
    }
    Ok(rows)
}
