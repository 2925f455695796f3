//! The first use of a key that was imported as a bcrypt hash.

use keytoll_domain::ids::KeyId;
use keytoll_domain::key::KeyHash;
use keytoll_store::StoreError;
use keytoll_store::feed::{FeedKind, feed_append};
use keytoll_store::key_import::key_bcrypt_upgrade;

use crate::ctx::Ctx;

/// Puts the SHA-256 of its secret in the place of a key's bcrypt hash, for all gateways. A gateway asks for it
/// after it has checked the secret. False when the key is revoked or has its digest already.
pub async fn upgrade(ctx: &Ctx, key: KeyId, digest: KeyHash) -> Result<bool, StoreError> {
    let mut tx = ctx.store.write().await?;
    let now = ctx.now();
    if !key_bcrypt_upgrade(&mut tx, key, digest, now).await? {
        return Ok(false);
    }
    feed_append(&mut tx, FeedKind::Key, key, now).await?;
    ctx.publish(tx).await?;
    Ok(true)
}
