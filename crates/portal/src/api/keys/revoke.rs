//! `DELETE /keys/{id}` (R59).

use axum::extract::State;
use keytoll_control::keys::{self, KeyChanged};
use serde::Serialize;
use utoipa::ToSchema;

use super::{key_id, problem};
use crate::api::access::Caller;
use crate::api::answer::ReceiptBody;
use crate::api::problem::Problem;
use crate::api::query::PathId;
use crate::state::Portal;

const GONE: &str = "Key not found or already revoked";

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyRevoked {
    success: bool,
    #[schema(example = "Key revoked immediately")]
    message: &'static str,
    receipt: ReceiptBody,
}

impl From<KeyChanged> for KeyRevoked {
    fn from(changed: KeyChanged) -> Self {
        let receipt = changed.receipt.into();
        Self { success: true, message: "Key revoked immediately", receipt }
    }
}

/// Revoke a key: it fails on its next call
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key", example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "Revoked, with the receipt of the gateways", body = KeyRevoked)))]
pub(super) async fn revoke(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<KeyRevoked>, Problem> {
    let id = key_id(&id, GONE)?;
    let changed = keys::revoke(&portal.ctx, &actor, id).await;
    let changed = changed.map_err(|error| problem(error, GONE))?;
    Ok(axum::Json(changed.into()))
}
