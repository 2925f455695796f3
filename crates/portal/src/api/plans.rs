//! Plans for sale; visible to whoever asks.

use axum::extract::State;
use keytoll_control::plans::{self, PlanView};
use keytoll_domain::ids::PlanSlug;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Anybody;
use super::answer::{PageQuery, next_cursor, one_more};
use super::problem::Problem;
use super::query::Params;
use super::schema;
use crate::state::Portal;

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Debug, Serialize)]
struct List {
    plans: Vec<PlanView>,
    next_cursor: Option<String>,
}

/// List the plans for sale
#[utoipa::path(get, path = "/plans", tag = "catalogue", operation_id = "listPlans", security((), ("session" = []), ("token" = [])),
    params(PageQuery),
    responses((status = 200, description = "Of each plan, the latest version", body = schema::PlanList)))]
async fn list(
    State(portal): State<Portal>,
    _: Anybody,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let page = params.page::<PlanSlug>();
    params.done()?;
    let mut plans = plans::list(&portal.ctx, &one_more(&page)).await?;
    let next_cursor = next_cursor(&mut plans, page.limit, |plan| plan.id.to_string());
    Ok(axum::Json(List { plans, next_cursor }))
}
