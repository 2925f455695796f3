//! Applying a catalogue: every product and plan in one transaction, or nothing.
//!
//! Applying the same catalogue twice changes nothing the second time. What the catalogue does not name stays as it is:
//! a plan is never withdrawn by leaving it out. A plan that differs from its latest version becomes a new version;
//! subscriptions keep the one they were bought with.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use keytoll_domain::catalog::{PlanOperation, Product};
use keytoll_domain::ids::ProductId;
use keytoll_domain::time::Timestamp;
use keytoll_store::feed::{FeedKind, feed_append};
use keytoll_store::plan::{plan_insert, plan_latest};
use keytoll_store::product::{catalogue_lock, product_by_id};
use keytoll_store::{StoreError, Tx};

use super::Catalogue;
use crate::actor::{Actor, Denied};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::plans::PlanDraft;
use crate::products;

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Well-formed, but not acceptable: 422.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Product,
    Plan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Created,
    Updated,
    Unchanged,
    /// Of a plan: the next version is for sale.
    NewVersion,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub kind: Kind,
    pub id: String,
    pub action: Action,
    pub details: Vec<String>,
}

/// Applies the catalogue; a dry run tells the changes and makes none.
pub async fn apply(
    ctx: &Ctx,
    actor: &Actor,
    catalogue: &Catalogue,
    dry_run: bool,
) -> Result<Vec<Change>, ApplyError> {
    actor.require_admin()?;
    let now = ctx.now();
    let mut tx = ctx.store.write().await?;
    catalogue_lock(&mut tx).await?;
    let mut changes = Vec::new();
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for draft in &catalogue.products {
        match products::write(&mut tx, draft, now).await {
            Ok(change) => {
                if change.action != Action::Unchanged {
                    rows.push((FeedKind::Product, change.id.clone()));
                }
                changes.push(change);
            }
            Err(ApplyError::Faults(found)) => faults.extend(found),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() {
        faults.extend(products::check_hosts(&mut tx, &catalogue.products).await?);
    }
    let mut known = Known::default();
    for draft in &catalogue.plans {
        check_plan(&mut tx, draft, &mut known, &mut faults).await?;
        if faults.is_empty() {
            let (change, version) = write_plan(&mut tx, draft, now).await?;
            if change.action != Action::Unchanged {
                rows.push((FeedKind::Plan, format!("{}@{version}", draft.slug)));
            }
            changes.push(change);
        }
    }
    if !faults.is_empty() {
        return Err(ApplyError::Faults(faults));
    }
    if !dry_run && !rows.is_empty() {
        finish(ctx, actor, tx, &changes, rows).await?;
    }
    Ok(changes)
}

/// Writes audit and feed, commits and wakes the gateways.
pub(crate) async fn finish(
    ctx: &Ctx,
    actor: &Actor,
    mut tx: Tx,
    changes: &[Change],
    rows: Vec<(FeedKind, String)>,
) -> Result<(), StoreError> {
    for change in changes.iter().filter(|change| change.action != Action::Unchanged) {
        let action = match change.kind {
            Kind::Product => "product.put",
            Kind::Plan => "plan.publish",
        };
        let detail = json!({ "action": change.action, "details": change.details });
        let entry = Entry { action, subject: change.id.clone(), partner: None, detail };
        audit::record(ctx, actor, &mut tx, entry).await?;
    }
    for (kind, record) in rows {
        feed_append(&mut tx, kind, record, ctx.now()).await?;
    }
    tx.commit().await?;
    ctx.wake.wake();
    Ok(())
}

async fn write_plan(
    tx: &mut Tx,
    draft: &PlanDraft,
    now: Timestamp,
) -> Result<(Change, u32), ApplyError> {
    let latest = plan_latest(tx, &draft.slug).await?;
    let change = |action, details| {
        let id = draft.slug.to_string();
        Change { kind: Kind::Plan, id, action, details }
    };
    let Some(latest) = latest else {
        plan_insert(tx, &draft.publish(1, now)).await?;
        return Ok((change(Action::Created, vec!["version 1".into()]), 1));
    };
    if draft.publish(latest.version, latest.published_at) == latest {
        return Ok((change(Action::Unchanged, Vec::new()), latest.version));
    }
    let version = latest.version + 1;
    plan_insert(tx, &draft.publish(version, now)).await?;
    Ok((change(Action::NewVersion, vec![format!("version {version}")]), version))
}

/// Products looked up so far, as they are within the transaction.
#[derive(Default)]
struct Known(BTreeMap<ProductId, Option<Product>>);

impl Known {
    async fn load(&mut self, tx: &mut Tx, id: &ProductId) -> Result<bool, StoreError> {
        if let Some(known) = self.0.get(id) {
            return Ok(known.is_some());
        }
        let found = product_by_id(tx, id).await?.map(|stored| stored.product);
        let exists = found.is_some();
        self.0.insert(id.clone(), found);
        Ok(exists)
    }

    fn get(&self, id: &ProductId) -> Option<&Product> {
        self.0.get(id)?.as_ref()
    }
}

async fn check_plan(
    tx: &mut Tx,
    draft: &PlanDraft,
    known: &mut Known,
    faults: &mut Vec<Fault>,
) -> Result<(), StoreError> {
    let before = faults.len();
    for (index, id) in draft.products.iter().enumerate() {
        if !known.load(tx, id).await? {
            let below = format!("/products/{index}");
            faults.push(draft.place.fault(&below, format!("there is no product {id}")));
        }
    }
    if faults.len() > before {
        return Ok(());
    }
    let products: Vec<&Product> = draft.products.iter().filter_map(|id| known.get(id)).collect();
    for (index, operation) in draft.operations.iter().flatten().enumerate() {
        if let Err(message) = check_operation(operation, &products) {
            faults.push(draft.place.fault(&format!("/operations/{index}"), message));
        }
    }
    faults.extend(differing_settings(draft, &products));
    Ok(())
}

fn check_operation(operation: &PlanOperation, products: &[&Product]) -> Result<(), String> {
    let (method, path) = (&operation.method, &operation.path);
    if let Some(id) = &operation.product
        && !products.iter().any(|product| product.id == *id)
    {
        return Err(format!("the plan has no product {id}"));
    }
    let found = products.iter().any(|product| {
        let further = product.versions.iter().flat_map(|version| &version.operations);
        let mut own = product.operations.iter().chain(further);
        operation.product.as_ref().is_none_or(|id| *id == product.id)
            && own.any(|known| known.method == *method && known.path == *path)
    });
    if found { Ok(()) } else { Err(format!("no operation {method} {path}")) }
}

/// What products say about the keys of a plan must agree, unless the plan says it itself.
fn differing_settings(draft: &PlanDraft, products: &[&Product]) -> Vec<Fault> {
    let Some((first, rest)) = products.split_first() else { return Vec::new() };
    let differs =
        |same: fn(&Product, &Product) -> bool| rest.iter().any(|other| !same(first, other));
    let members = [
        (
            "key_format",
            draft.key_format.is_none(),
            differs(|a, b| a.settings.key_format == b.settings.key_format),
        ),
        (
            "key_grouping",
            draft.key_grouping.is_none(),
            differs(|a, b| a.settings.key_grouping == b.settings.key_grouping),
        ),
        (
            "default_expiry_days",
            draft.default_expiry_days.is_none(),
            differs(|a, b| a.settings.default_expiry_days == b.settings.default_expiry_days),
        ),
        (
            "rotate_on_same_name",
            draft.rotate_on_same_name.is_none(),
            differs(|a, b| a.settings.rotate_on_same_name == b.settings.rotate_on_same_name),
        ),
    ];
    let clash = members.into_iter().filter(|(_, unsaid, differs)| *unsaid && *differs);
    let fault = |(member, _, _)| {
        draft.place.fault("", format!("the products differ in {member}: the plan must say its own"))
    };
    clash.map(fault).collect()
}

fn list(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
