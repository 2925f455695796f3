//! Partners as the provider sees them.

use keytoll_domain::ids::PartnerId;
use keytoll_store::StoreError;
use keytoll_store::partner::{partner_by_id, partner_insert, partner_page};
use serde_json::json;

use crate::actor::{Actor, Denied, Right};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::page::PageRequest;
use crate::text::{normal_email, plain_name};

pub use keytoll_store::partner::Partner;

#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a partner without members. Admins only; people who sign up make their own.
pub async fn create(
    ctx: &Ctx,
    actor: &Actor,
    name: &str,
    email: &str,
) -> Result<Partner, PartnerError> {
    actor.require_admin()?;
    let mut faults = Vec::new();
    let name = plain_name(name).map_err(|rule| faults.push(Fault::new("/name", rule)));
    let email = normal_email(email).ok_or_else(|| {
        faults.push(Fault::new("/email", "not an e-mail address"));
    });
    let (Ok(name), Ok(email)) = (name, email) else { return Err(PartnerError::Invalid(faults)) };

    let now = ctx.now();
    let partner = Partner { id: PartnerId::new(now, ctx.random()), name, email, created_at: now };
    let mut tx = ctx.store.write().await?;
    partner_insert(&mut tx, &partner).await?;
    let entry = Entry {
        action: "partner.create",
        subject: partner.id.to_string(),
        partner: Some(partner.id),
        detail: json!({ "name": partner.name }),
    };
    audit::record(ctx, actor, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(partner)
}

/// Newest first: all for staff, their own for members.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    page: PageRequest<PartnerId>,
) -> Result<Vec<Partner>, PartnerError> {
    let mut tx = ctx.store.read().await?;
    if actor.is_staff() {
        return Ok(partner_page(&mut tx, page.cursor, page.limit()).await?);
    }
    let mut own: Vec<PartnerId> = actor.partners.iter().map(|(id, _)| *id).collect();
    own.retain(|id| page.cursor.is_none_or(|cursor| *id < cursor));
    own.sort_unstable_by(|a, b| b.cmp(a));
    own.truncate(page.limit() as usize);
    let mut partners = Vec::with_capacity(own.len());
    for id in own {
        partners.extend(partner_by_id(&mut tx, id).await?);
    }
    Ok(partners)
}

pub async fn show(ctx: &Ctx, actor: &Actor, id: PartnerId) -> Result<Partner, PartnerError> {
    actor.require(id, Right::Read)?;
    let mut tx = ctx.store.read().await?;
    Ok(partner_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?)
}
