//! `GET /keys/{id}/calls`.

use axum::extract::State;
use keytoll_control::calls::{self, CallView};
use keytoll_domain::ledger::CallPlace;
use serde::Serialize;

use super::{NOT_FOUND, key_id, problem};
use crate::api::access::Caller;
use crate::api::answer::PageQuery;
use crate::api::problem::Problem;
use crate::api::query::{Params, PathId};
use crate::api::schema;
use crate::state::Portal;

#[derive(Debug, Serialize)]
pub(super) struct List {
    calls: Vec<CallView>,
    next_cursor: Option<String>,
    complete: bool,
    node: Option<String>,
}

/// The last calls of a key, newest first: as this server has seen them
#[utoipa::path(get, path = "/keys/{id}/calls", tag = "usage", operation_id = "listKeyCalls",
    params(("id" = String, Path, description = "The key", example = "key_019ab3f47c1d7000a1b2c3d4e5f60718"), PageQuery),
    responses((status = 200, description = "Granted calls, about a second after they were made; refused requests are not in it", body = schema::KeyCalls)))]
pub(super) async fn calls(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let id = key_id(&id, NOT_FOUND)?;
    let page = params.page::<CallPlace>();
    params.done()?;
    let found = calls::of_key(&portal.ctx, &actor, id, page).await;
    let log = found.map_err(|error| problem(error, NOT_FOUND))?;
    let next_cursor = log.next.map(|next| next.to_string());
    Ok(axum::Json(List { calls: log.calls, next_cursor, complete: log.complete, node: log.node }))
}
