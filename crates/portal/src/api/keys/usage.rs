//! `GET /keys/{id}/usage` (R60).

use axum::extract::State;
use keytoll_control::Denied;
use keytoll_control::usage::{self, DAYS_DEFAULT, DAYS_MAX, KeyDaily, UsageError};

use super::{NOT_FOUND, key_id};
use crate::api::access::Caller;
use crate::api::answer::DaysQuery;
use crate::api::problem::Problem;
use crate::api::query::{Params, PathId};
use crate::api::schema;
use crate::state::Portal;

/// Usage of a key: per day, its ten most used endpoints, and a summary
#[utoipa::path(get, path = "/keys/{id}/usage", tag = "usage", operation_id = "showKeyUsage",
    params(("id" = String, Path, description = "The key", example = "key_019ab3f47c1d7000a1b2c3d4e5f60718"), DaysQuery),
    responses((status = 200, description = "Usage; days without calls are left out", body = schema::KeyUsage)))]
pub(super) async fn usage(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
    mut params: Params,
) -> Result<axum::Json<KeyDaily>, Problem> {
    let id = key_id(&id, NOT_FOUND)?;
    let days = params.count("days", 1, DAYS_MAX).unwrap_or(DAYS_DEFAULT);
    params.done()?;
    match usage::key_daily(&portal.ctx, &actor, id, days).await {
        Err(UsageError::Denied(Denied::NotFound)) => Err(Problem::not_found(NOT_FOUND)),
        other => Ok(axum::Json(other?)),
    }
}
