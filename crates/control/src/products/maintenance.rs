//! Closing and opening a product without a catalogue at hand.

use keytoll_domain::catalog::Maintenance;
use keytoll_domain::ids::ProductId;
use keytoll_store::feed::FeedKind;
use keytoll_store::product::{catalogue_lock, product_by_id, product_put};

use super::check_settings;
use crate::actor::{Actor, Denied};
use crate::catalog::{Action, ApplyError, Change, Kind, finish};
use crate::ctx::Ctx;

/// From now on every call of the product is answered 503 `maintenance`, or served again with `None`. The next catalogue
/// that is applied says otherwise if it says otherwise.
pub async fn set_maintenance(
    ctx: &Ctx,
    actor: &Actor,
    id: &ProductId,
    maintenance: Option<Maintenance>,
) -> Result<Change, ApplyError> {
    actor.require_admin()?;
    let mut tx = ctx.store.write().await?;
    catalogue_lock(&mut tx).await?;
    let mut stored = product_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    let settings = &mut stored.product.settings;
    let same = settings.maintenance == maintenance;
    let mut change = Change {
        kind: Kind::Product,
        id: id.to_string(),
        action: Action::Unchanged,
        details: Vec::new(),
    };
    if same {
        return Ok(change);
    }
    settings.maintenance = maintenance;
    let faults = check_settings(settings);
    if !faults.is_empty() {
        return Err(ApplyError::Faults(faults));
    }
    stored.product.updated_at = ctx.now();
    product_put(&mut tx, &stored).await?;
    change.action = Action::Updated;
    change.details = vec!["maintenance changed".into()];
    let rows = vec![(FeedKind::Product, change.id.clone())];
    finish(ctx, actor, tx, std::slice::from_ref(&change), rows).await?;
    Ok(change)
}
