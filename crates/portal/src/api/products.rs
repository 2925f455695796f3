//! The APIs for sale; visible to whoever asks.

use axum::extract::State;
use keytoll_control::products::{self, ProductView};
use keytoll_domain::ids::ProductId;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Anybody;
use super::answer::{PageQuery, next_cursor, one_more};
use super::problem::Problem;
use super::query::{Params, PathId};
use super::schema;
use crate::state::Portal;

const NOT_FOUND: &str = "API product not found";

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Debug, Serialize)]
struct List {
    products: Vec<ProductView>,
    next_cursor: Option<String>,
}

/// List the APIs for sale
#[utoipa::path(get, path = "/products", tag = "catalogue", operation_id = "listProducts",
    security((), ("session" = []), ("token" = [])), params(PageQuery),
    responses((status = 200, description = "Products by id", body = schema::ProductList)))]
async fn list(
    State(portal): State<Portal>,
    Anybody(actor): Anybody,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let page = params.page::<ProductId>();
    params.done()?;
    let mut products = products::list(&portal.ctx, &actor, &one_more(&page)).await?;
    let next_cursor = next_cursor(&mut products, page.limit, |product| product.id.to_string());
    Ok(axum::Json(List { products, next_cursor }))
}

/// Show an API with its operations and scopes
#[utoipa::path(get, path = "/products/{id}", tag = "catalogue", operation_id = "showProduct",
    security((), ("session" = []), ("token" = [])),
    params(("id" = String, Path, description = "The product", example = "shipment-tracking")),
    responses((status = 200, description = "The product", body = schema::Product)))]
async fn show(
    State(portal): State<Portal>,
    Anybody(actor): Anybody,
    PathId(id): PathId,
) -> Result<axum::Json<ProductView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found(NOT_FOUND))?;
    let found = products::show(&portal.ctx, &actor, &id).await?;
    found.map(axum::Json).ok_or_else(|| Problem::not_found(NOT_FOUND))
}
