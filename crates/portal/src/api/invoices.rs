//! Invoices with their lines.

use axum::extract::State;
use keytoll_control::Denied;
use keytoll_control::billing::{self, BillingError, Invoice};
use keytoll_domain::ids::InvoiceId;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::answer::{PageQuery, PartnerQuery, next_cursor, one_more};
use super::problem::Problem;
use super::query::{Params, PathId};
use super::schema;
use crate::state::Portal;

const NOT_FOUND: &str = "Invoice not found";

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Debug, Serialize)]
struct List {
    invoices: Vec<Invoice>,
    next_cursor: Option<String>,
}

/// List invoices, newest first
#[utoipa::path(get, path = "/invoices", tag = "invoices", operation_id = "listInvoices",
    params(PartnerQuery, PageQuery),
    responses((status = 200, description = "Invoices, drafts included", body = schema::InvoiceList)))]
async fn list(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let (partner, page) = (params.id("partner"), params.page::<InvoiceId>());
    params.done()?;
    let mut invoices = billing::list(&portal.ctx, &actor, partner, one_more(&page)).await?;
    let next_cursor = next_cursor(&mut invoices, page.limit, |invoice| invoice.id.to_string());
    Ok(axum::Json(List { invoices, next_cursor }))
}

/// Show an invoice
#[utoipa::path(get, path = "/invoices/{id}", tag = "invoices", operation_id = "showInvoice",
    params(("id" = String, Path, description = "The invoice", example = "inv_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The invoice", body = schema::Invoice)))]
async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<Invoice>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found(NOT_FOUND))?;
    Ok(axum::Json(billing::show(&portal.ctx, &actor, id).await?))
}

impl From<BillingError> for Problem {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Denied(Denied::NotFound) => Self::not_found(NOT_FOUND),
            BillingError::Denied(denied) => denied.into(),
            BillingError::Month(error) => Self::member("request_unacceptable", "", error),
            BillingError::Rating { .. } => {
                Self { cause: Some(error.to_string().into()), ..Self::internal() }
            }
            BillingError::Store(error) => error.into(),
        }
    }
}
