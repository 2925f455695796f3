//! A new secret for an old key: same settings, atomic, also when the partner has no place left (R61).

use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{Key, KeyStatus, PlainKey, rolled_name};
use keytoll_domain::key_format::NewSecret;
use keytoll_store::StoreError;
use keytoll_store::key::{key_count_replaced, key_insert, key_replace, key_revoke};
use keytoll_store::partner::partner_lock;
use keytoll_store::subscription::subscription_by_id;

use super::issue::{draw, is_active, terms_of};
use super::{KeyError, find, is_usable, record};
use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::receipts::{self, Receipt};

/// Stands in the answer to a roll without grace (R61).
pub const ROLL_WARNING: &str =
    "Old key is immediately invalid. Update your integration with the new key.";
/// Longest grace period: 30 days.
const GRACE_MAX_SECS: u32 = 30 * 86_400;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RollName {
    #[default]
    Keep,
    /// " (rolled)" once, as the management API does it.
    AppendRolled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollOptions {
    pub name: RollName,
    /// How long the old key still works beside the new one; 0 = it ends now.
    pub grace_secs: u32,
}

/// The new key with its secret, which is shown now or never.
#[derive(Clone, Debug)]
pub struct Rolled {
    pub old: KeyId,
    pub key: Key,
    pub secret: PlainKey,
    pub receipt: Receipt,
}

#[derive(Debug, thiserror::Error)]
pub enum RollError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A key that is disabled, expired or rolled already: its successor would give what it lacks.
    #[error("only a key in use can be rolled; this one is {0}")]
    NotInUse(&'static str),
    #[error("the subscription is not active")]
    SubscriptionInactive,
    #[error("a grace period has at most {GRACE_MAX_SECS} seconds")]
    GraceTooLong,
    #[error("at most {limit} keys in their grace period per partner")]
    TooManyReplaced { limit: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a successor with the same settings and ends the old key, now or after the grace period.
pub async fn roll(
    ctx: &Ctx,
    actor: &Actor,
    id: KeyId,
    options: RollOptions,
) -> Result<Rolled, RollError> {
    if options.grace_secs > GRACE_MAX_SECS {
        return Err(RollError::GraceTooLong);
    }
    let now = ctx.now();
    let mut tx = ctx.store.write().await?;
    let partner = find(&mut tx, actor, id, Right::Keys).await?.key.partner;
    // Read again behind the lock: of two rolls of one key, the second finds it ended.
    partner_lock(&mut tx, partner).await?;
    let found = find(&mut tx, actor, id, Right::Keys).await?;
    let mut old = found.key;
    if old.revoked_at.is_some() {
        return Err(Denied::NotFound.into());
    }
    if found.replaced_by.is_some() || !is_usable(&old, ctx) {
        return Err(RollError::NotInUse(state(&old, ctx)));
    }
    let subscription = subscription_by_id(&mut tx, old.subscription).await?;
    let subscription = subscription.ok_or(Denied::NotFound)?;
    if !is_active(&subscription, now) {
        return Err(RollError::SubscriptionInactive);
    }
    let terms = terms_of(&mut tx, subscription).await?;
    let NewSecret { key: secret, prefix } = draw(ctx, &terms, old.environment);
    let name = match options.name {
        RollName::Keep => old.name.clone(),
        RollName::AppendRolled => rolled_name(&old.name),
    };
    let key = Key {
        id: KeyId::new(now, ctx.random()),
        name,
        hash: secret.hash(),
        prefix,
        created_at: now,
        ..old.clone()
    };

    key_insert(&mut tx, &key).await?;
    if options.grace_secs == 0 {
        key_revoke(&mut tx, id, now).await?;
        old.revoked_at = Some(now);
    } else {
        let limit = ctx.settings.active_keys_per_partner;
        if key_count_replaced(&mut tx, partner, now).await? >= u64::from(limit) {
            return Err(RollError::TooManyReplaced { limit });
        }
        let end = now.plus_secs(options.grace_secs.into());
        let end = old.expires_at.map_or(end, |expiry| expiry.min(end));
        key_replace(&mut tx, id, end, key.id).await?;
        old.expires_at = Some(end);
    }
    record(ctx, actor, &mut tx, "key.create", &key).await?;
    let sequence = record(ctx, actor, &mut tx, "key.roll", &old).await?;
    ctx.publish(tx).await?;
    Ok(Rolled { old: id, key, secret, receipt: receipts::wait(ctx, sequence).await })
}

fn state(key: &Key, ctx: &Ctx) -> &'static str {
    match key.status(ctx.now()) {
        KeyStatus::Disabled => "disabled",
        KeyStatus::Expired => "expired",
        KeyStatus::Revoked => "revoked",
        KeyStatus::Active => "rolled already",
    }
}

impl From<KeyError> for RollError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Denied(denied) => Self::Denied(denied),
            KeyError::Store(error) => Self::Store(error),
        }
    }
}
