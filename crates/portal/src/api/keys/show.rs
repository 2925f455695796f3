//! `GET /keys/{id}`.

use axum::extract::State;
use keytoll_control::keys::{self, KeyView};

use super::{NOT_FOUND, key_id, problem};
use crate::api::access::Caller;
use crate::api::problem::Problem;
use crate::api::query::PathId;
use crate::api::schema;
use crate::state::Portal;

/// Show a key, without its secret
#[utoipa::path(get, path = "/keys/{id}", tag = "keys", operation_id = "showKey",
    params(("id" = String, Path, description = "The key", example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The key", body = schema::Key)))]
pub(super) async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<KeyView>, Problem> {
    let id = key_id(&id, NOT_FOUND)?;
    let found = keys::show(&portal.ctx, &actor, id).await;
    found.map(axum::Json).map_err(|error| problem(error, NOT_FOUND))
}
