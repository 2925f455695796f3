//! `POST /keys/{id}/roll` (R61).

use axum::extract::State;
use keytoll_control::Denied;
use keytoll_control::keys::{self, ROLL_WARNING, RollError, RollName, RollOptions, Rolled};
use serde::Serialize;
use utoipa::ToSchema;

use super::create::subscription_inactive;
use super::{NOT_FOUND, NewKeyShown, key_id};
use crate::api::access::Caller;
use crate::api::answer::ReceiptBody;
use crate::api::problem::{PROBLEM, Problem, ProblemBody};
use crate::api::query::PathId;
use crate::state::Portal;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRolled {
    new_key: NewKeyShown,
    #[schema(example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")]
    revoked_key_id: String,
    #[schema(
        example = "Old key is immediately invalid. Update your integration with the new key."
    )]
    warning: &'static str,
    receipt: ReceiptBody,
}

impl From<Rolled> for KeyRolled {
    fn from(rolled: Rolled) -> Self {
        Self {
            new_key: NewKeyShown::new(&rolled.key, &rolled.secret),
            revoked_key_id: rolled.old.to_string(),
            warning: ROLL_WARNING,
            receipt: rolled.receipt.into(),
        }
    }
}

/// Roll a key: a new one with the same settings, the old one ends at once
///
/// The new key is called like the old one with ` (rolled)` appended once. Works at the limit of active keys
/// too. The request's body is not read.
#[utoipa::path(post, path = "/keys/{id}/roll", tag = "keys", operation_id = "rollKey",
    params(("id" = String, Path, description = "The key", example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The new key with its secret", body = KeyRolled),
        (status = 409, description = "The key is not in use, or its subscription is not active",
            body = ProblemBody, content_type = PROBLEM)))]
pub(super) async fn roll(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<KeyRolled>, Problem> {
    let id = key_id(&id, NOT_FOUND)?;
    let options = RollOptions { name: RollName::AppendRolled, grace_secs: 0 };
    let rolled = keys::roll(&portal.ctx, &actor, id, options).await?;
    Ok(axum::Json(rolled.into()))
}

impl From<RollError> for Problem {
    fn from(error: RollError) -> Self {
        match error {
            RollError::Denied(Denied::NotFound) => Self::not_found(NOT_FOUND),
            RollError::Denied(denied) => denied.into(),
            RollError::NotInUse(_) => Self {
                detail: "A key that is disabled, expired or rolled already cannot be rolled; create a new one.".into(),
                ..Self::conflict("Key is not in use")
            },
            RollError::SubscriptionInactive => subscription_inactive(),
            RollError::GraceTooLong => Self::member("request_unacceptable", "", error),
            RollError::TooManyReplaced { .. } => Self::conflict("Too many keys in their grace period"),
            RollError::Store(error) => error.into(),
        }
    }
}
