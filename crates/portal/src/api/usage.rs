//! `GET /usage` (R40).

use axum::extract::State;
use keytoll_control::usage::{self, DAYS_DEFAULT, DAYS_MAX, PartnerDaily, UsageError};
use keytoll_domain::key::Environment;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::answer::{DaysQuery, EnvironmentQuery, PartnerQuery};
use super::problem::Problem;
use super::query::Params;
use super::schema;
use crate::state::Portal;

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Calls per day and product
///
/// Oldest day first, days without calls included; a call shows within two seconds.
#[utoipa::path(get, path = "/usage", tag = "usage", operation_id = "showUsage",
    params(DaysQuery, EnvironmentQuery, PartnerQuery),
    responses((status = 200, description = "Usage", body = schema::Usage)))]
async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<PartnerDaily>, Problem> {
    let partner = params.id("partner");
    let days = params.count("days", 1, DAYS_MAX).unwrap_or(DAYS_DEFAULT);
    let environment = params.parsed("environment", |text| {
        Environment::parse(text).ok_or_else(|| "`environment` must be `live` or `test`".to_owned())
    });
    params.done()?;
    let environment = environment.unwrap_or_default();
    Ok(axum::Json(usage::partner_daily(&portal.ctx, &actor, partner, environment, days).await?))
}

impl From<UsageError> for Problem {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Denied(denied) => denied.into(),
            UsageError::Days => Self::member("request_unacceptable", "?days", error),
            UsageError::Store(error) => error.into(),
        }
    }
}
