//! Partners, as the provider's staff manages them; members see their own.

use axum::extract::State;
use http::StatusCode;
use keytoll_control::partners::{self, PartnerError};
use keytoll_domain::ids::PartnerId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::answer::{PageQuery, next_cursor, one_more};
use super::body::{FromMembers, Json, Members};
use super::problem::Problem;
use super::query::{Params, PathId};
use crate::state::Portal;

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show))
}

#[derive(Debug, ToSchema)]
#[schema(as = NewPartner)]
pub(super) struct NewPartner {
    #[schema(example = "Example Shop", min_length = 1, max_length = 100)]
    name: String,
    /// Where the partner is reached; not a log-in.
    #[schema(example = "office@example.com", max_length = 254)]
    email: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Partner)]
pub(super) struct PartnerRow {
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "Example Shop")]
    name: String,
    #[schema(example = "office@example.com")]
    email: String,
    #[schema(format = "date-time")]
    created_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PartnerList {
    partners: Vec<PartnerRow>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl FromMembers for NewPartner {
    fn read(members: &mut Members) -> Option<Self> {
        let (name, email) = (members.text("name", 1, 100), members.text("email", 3, 254));
        Some(Self { name: name?, email: email? })
    }
}

/// Create a partner without members
///
/// For the provider's admins; people who sign up make their own partner.
#[utoipa::path(post, path = "/partners", tag = "partners", operation_id = "createPartner",
    request_body = NewPartner,
    responses((status = 201, description = "The partner", body = PartnerRow)))]
async fn create(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    Json(new): Json<NewPartner>,
) -> Result<(StatusCode, axum::Json<PartnerRow>), Problem> {
    let partner = partners::create(&portal.ctx, &actor, &new.name, &new.email).await?;
    Ok((StatusCode::CREATED, axum::Json(row(partner))))
}

/// List partners, newest first: all for staff, your own otherwise
#[utoipa::path(get, path = "/partners", tag = "partners", operation_id = "listPartners",
    params(PageQuery), responses((status = 200, description = "Partners", body = PartnerList)))]
async fn list(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<PartnerList>, Problem> {
    let page = params.page::<PartnerId>();
    params.done()?;
    let mut rows = partners::list(&portal.ctx, &actor, one_more(&page)).await?;
    let next_cursor = next_cursor(&mut rows, page.limit, |partner| partner.id.to_string());
    Ok(axum::Json(PartnerList { partners: rows.into_iter().map(row).collect(), next_cursor }))
}

/// Show a partner
#[utoipa::path(get, path = "/partners/{id}", tag = "partners", operation_id = "showPartner",
    params(("id" = String, Path, description = "The partner", example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The partner", body = PartnerRow)))]
async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<PartnerRow>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("Partner not found"))?;
    Ok(axum::Json(row(partners::show(&portal.ctx, &actor, id).await?)))
}

fn row(partner: partners::Partner) -> PartnerRow {
    PartnerRow {
        id: partner.id.to_string(),
        name: partner.name,
        email: partner.email,
        created_at: partner.created_at.rfc3339(),
    }
}

impl From<PartnerError> for Problem {
    fn from(error: PartnerError) -> Self {
        match error {
            PartnerError::Denied(denied) => denied.into(),
            PartnerError::Invalid(faults) => Self::unacceptable(faults),
            PartnerError::Store(error) => error.into(),
        }
    }
}
