//! Management tokens: bearer credentials for the API and, for staff, for verification.
//!
//! A token never holds more than its maker does. Every change goes to the feed, because gateways check the
//! tokens of verification themselves.

use std::fmt;

use keytoll_domain::ids::{PartnerId, TokenId};
use keytoll_domain::key::KeyHash;
use keytoll_domain::user::{PartnerRole, StaffRole, Token, TokenRole};
use keytoll_store::StoreError;
use keytoll_store::feed::{FeedKind, feed_append};
use keytoll_store::partner::partner_lock;
use keytoll_store::token::{
    token_by_hash, token_by_id, token_count_live, token_insert, token_page, token_revoke,
};
use serde_json::json;

use crate::actor::{Actor, Denied, Right, Who};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::page::PageRequest;
use crate::receipts::{self, Receipt};
use crate::text::plain_name;

/// First characters of every token, by which scanners know it.
const PREFIX: &str = "kt_";
const SECRET_LEN: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TOKENS_PER_PARTNER: u64 = 100;

/// What is asked for. `role` by name, the caller's own when absent; with `partner` it is a partner's role.
/// A caller who is no staff always makes a token of a partner.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    pub name: String,
    pub role: Option<String>,
    pub partner: Option<PartnerId>,
}

/// A token's secret, shown once. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

#[derive(Clone, Debug)]
pub struct Created {
    pub token: Token,
    pub secret: TokenSecret,
    pub receipt: Receipt,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    #[error("maximum {TOKENS_PER_PARTNER} tokens per partner")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenSecret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// Makes a token with the caller's role or less.
pub async fn create(ctx: &Ctx, actor: &Actor, new: NewToken) -> Result<Created, TokenError> {
    let role = role_for(actor, &new)?;
    let name = plain_name(&new.name)
        .map_err(|rule| TokenError::Invalid(vec![Fault::new("/name", rule)]))?;

    let now = ctx.now();
    let secret = draw(ctx);
    let token = Token {
        id: TokenId::new(now, ctx.random()),
        name,
        hash: KeyHash::of(secret.0.as_bytes()),
        role,
        created_by: actor.user(),
        created_at: now,
        revoked_at: None,
    };
    let mut tx = ctx.store.write().await?;
    if let TokenRole::Partner(partner, _) = role {
        if !partner_lock(&mut tx, partner).await? {
            return Err(Denied::NotFound.into());
        }
        if token_count_live(&mut tx, partner).await? >= TOKENS_PER_PARTNER {
            return Err(TokenError::TooMany);
        }
    }
    token_insert(&mut tx, &token).await?;
    audit::record(ctx, actor, &mut tx, entry("token.create", &token)).await?;
    let sequence = feed_append(&mut tx, FeedKind::Token, token.id, now).await?;
    ctx.publish(tx).await?;
    Ok(Created { token, secret, receipt: receipts::wait(ctx, sequence).await })
}

/// Newest first; revoked ones included. All for admins, those of a partner for its owners.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    partner: Option<PartnerId>,
    page: PageRequest<TokenId>,
) -> Result<Vec<Token>, TokenError> {
    let partner = actor.list_subject(partner, Right::Manage)?;
    let mut tx = ctx.store.read().await?;
    Ok(token_page(&mut tx, partner, page.cursor, page.limit()).await?)
}

/// Ends a token at once. Its maker may, admins, and for a partner's token the partner's owners.
pub async fn revoke(ctx: &Ctx, actor: &Actor, id: TokenId) -> Result<Receipt, TokenError> {
    let mut tx = ctx.store.write().await?;
    let token = token_by_id(&mut tx, id).await?.ok_or(Denied::NotFound)?;
    let made_it = token.created_by.is_some() && token.created_by == actor.user();
    if !made_it {
        match token.role {
            TokenRole::Partner(partner, _) => actor.require(partner, Right::Manage)?,
            TokenRole::Staff(_) if actor.is_staff() => actor.require_admin()?,
            TokenRole::Staff(_) => return Err(Denied::NotFound.into()),
        }
    }
    if !token_revoke(&mut tx, id, ctx.now()).await? {
        return Err(Denied::NotFound.into());
    }
    audit::record(ctx, actor, &mut tx, entry("token.revoke", &token)).await?;
    let sequence = feed_append(&mut tx, FeedKind::Token, id, ctx.now()).await?;
    ctx.publish(tx).await?;
    Ok(receipts::wait(ctx, sequence).await)
}

/// Who a bearer token stands for; `None` for an unknown or revoked one.
pub async fn authenticate(ctx: &Ctx, secret: &str) -> Result<Option<Actor>, StoreError> {
    if !secret.starts_with(PREFIX) || secret.len() != PREFIX.len() + SECRET_LEN {
        return Ok(None);
    }
    let mut tx = ctx.store.read().await?;
    let token = token_by_hash(&mut tx, KeyHash::of(secret.as_bytes())).await?;
    Ok(token.filter(|token| token.revoked_at.is_none()).map(|token| actor_of(&token)))
}

fn actor_of(token: &Token) -> Actor {
    let (staff, partners) = match token.role {
        TokenRole::Staff(role) => (Some(role), Vec::new()),
        TokenRole::Partner(partner, role) => (None, vec![(partner, role)]),
    };
    Actor { who: Who::Token(token.id), staff, partners }
}

fn entry(action: &'static str, token: &Token) -> Entry {
    let (role, partner) = match token.role {
        TokenRole::Staff(role) => (role.as_str(), None),
        TokenRole::Partner(partner, role) => (role.as_str(), Some(partner)),
    };
    let detail = json!({ "name": token.name, "role": role });
    Entry { action, subject: token.id.to_string(), partner, detail }
}

fn role_for(actor: &Actor, new: &NewToken) -> Result<TokenRole, TokenError> {
    let unknown = || TokenError::Invalid(vec![Fault::new("/role", "no such role")]);
    let wanted = new.role.as_deref();
    if let (Some(own), None) = (actor.staff, new.partner) {
        let role = wanted.map_or(Some(own), StaffRole::parse).ok_or_else(unknown)?;
        return if staff_may_give(own, role) {
            Ok(TokenRole::Staff(role))
        } else {
            Err(Denied::RoleMissing.into())
        };
    }
    let partner = actor.subject(new.partner, Right::Read)?;
    // Staff who may manage the partner stand in for its owner.
    let stand_in = actor.require(partner, Right::Manage).is_ok().then_some(PartnerRole::Owner);
    let own = actor.role_in(partner).or(stand_in).ok_or(Denied::RoleMissing)?;
    let role = wanted.map_or(Some(own), PartnerRole::parse).ok_or_else(unknown)?;
    if own == PartnerRole::Owner || role == own || role == PartnerRole::Viewer {
        Ok(TokenRole::Partner(partner, role))
    } else {
        Err(Denied::RoleMissing.into())
    }
}

/// Roles are not a ladder (finance sees what support does not): beside the two at the top, one may give
/// only one's own role and `viewer`. A verifier, which sees nothing else, gives only its own.
fn staff_may_give(own: StaffRole, role: StaffRole) -> bool {
    match own {
        StaffRole::Owner => true,
        StaffRole::Admin => role != StaffRole::Owner,
        StaffRole::Verifier => role == own,
        StaffRole::Finance | StaffRole::Support | StaffRole::Viewer => {
            role == own || role == StaffRole::Viewer
        }
    }
}

/// 43 base62 characters, each equally likely: bytes past the last whole multiple are drawn again.
fn draw(ctx: &Ctx) -> TokenSecret {
    let mut text = PREFIX.to_owned();
    while text.len() < PREFIX.len() + SECRET_LEN {
        let [byte] = ctx.random::<1>();
        if byte < 248 {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    TokenSecret(text)
}

#[cfg(test)]
mod tests;
