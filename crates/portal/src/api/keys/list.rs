//! `GET /keys` (R57).

use axum::extract::State;
use keytoll_control::keys::{self, KeyView};
use keytoll_domain::ids::KeyId;
use serde::Serialize;

use super::{NOT_FOUND, problem};
use crate::api::access::Caller;
use crate::api::answer::{PageQuery, PartnerQuery, next_cursor, one_more};
use crate::api::problem::Problem;
use crate::api::query::Params;
use crate::api::schema;
use crate::state::Portal;

#[derive(Debug, Serialize)]
pub(super) struct List {
    keys: Vec<KeyView>,
    next_cursor: Option<String>,
}

/// List keys, newest first, revoked ones included
#[utoipa::path(get, path = "/keys", tag = "keys", operation_id = "listKeys",
    params(PartnerQuery, PageQuery),
    responses((status = 200, description = "Keys without their secrets", body = schema::KeyList)))]
pub(super) async fn list(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let (partner, page) = (params.id("partner"), params.page::<KeyId>());
    params.done()?;
    let rows = keys::list(&portal.ctx, &actor, partner, one_more(&page)).await;
    let mut keys = rows.map_err(|error| problem(error, NOT_FOUND))?;
    let next_cursor = next_cursor(&mut keys, page.limit, |key| key.id.to_string());
    Ok(axum::Json(List { keys, next_cursor }))
}
