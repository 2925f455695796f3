//! Subscriptions: buying a plan, its terms, and ending it.

use axum::extract::State;
use http::StatusCode;
use keytoll_control::Denied;
use keytoll_control::subscriptions::{
    self, NewAnchor, NewSubscription, SetTermsError, SubscribeError, SubscriptionError,
    SubscriptionView, TermsPatch,
};
use keytoll_domain::ids::SubscriptionId;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::answer::{PageQuery, PartnerQuery, next_cursor, one_more};
use super::body::{FromMembers, Json, Members, from_str};
use super::problem::{PROBLEM, Problem, ProblemBody};
use super::query::{Params, PathId};
use super::schema;
use super::windows::{quota, windows};
use crate::state::Portal;

const NOT_FOUND: &str = "Subscription not found";

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, update, cancel))
}

#[derive(Debug, Serialize)]
struct List {
    subscriptions: Vec<SubscriptionView>,
    next_cursor: Option<String>,
}

struct Asked(NewSubscription);

impl FromMembers for Asked {
    fn read(members: &mut Members) -> Option<Self> {
        let plan = members.text("plan", 1, 63);
        let partner = members.optional("partnerId", from_str);
        let anchor = members.optional("anchor", |text| match text {
            "calendar" => Ok(NewAnchor::Calendar),
            "anniversary" => Ok(NewAnchor::Anniversary),
            _ => Err("`anchor` must be `calendar` or `anniversary`".to_owned()),
        });
        Some(Self(NewSubscription { partner, plan: plan?, anchor: anchor.unwrap_or_default() }))
    }
}

/// Subscribe to a plan
///
/// The subscription is active at once and keeps the plan's version of this moment.
#[utoipa::path(post, path = "/subscriptions", tag = "subscriptions", operation_id = "subscribe",
    request_body = schema::NewSubscription,
    responses((status = 201, description = "The subscription", body = schema::Subscription),
        (status = 404, description = "`not_found`: there is no such partner, or it is not yours", body = ProblemBody, content_type = PROBLEM),
        (status = 409, description = "`partner_required`, or too many subscriptions", body = ProblemBody, content_type = PROBLEM)))]
async fn create(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    Json(Asked(new)): Json<Asked>,
) -> Result<(StatusCode, axum::Json<SubscriptionView>), Problem> {
    let view = subscriptions::create(&portal.ctx, &actor, &new).await?;
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// List subscriptions, oldest first
#[utoipa::path(get, path = "/subscriptions", tag = "subscriptions", operation_id = "listSubscriptions",
    params(PartnerQuery, PageQuery),
    responses((status = 200, description = "Subscriptions", body = schema::SubscriptionList)))]
async fn list(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<List>, Problem> {
    let (partner, page) = (params.id("partner"), params.page::<SubscriptionId>());
    params.done()?;
    let rows = subscriptions::list(&portal.ctx, &actor, partner, one_more(&page));
    let mut subscriptions = rows.await?;
    let next_cursor = next_cursor(&mut subscriptions, page.limit, |row| row.id.to_string());
    Ok(axum::Json(List { subscriptions, next_cursor }))
}

/// Show a subscription with the period that runs now
#[utoipa::path(get, path = "/subscriptions/{id}", tag = "subscriptions", operation_id = "showSubscription",
    params(("id" = String, Path, description = "The subscription", example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The subscription", body = schema::Subscription)))]
async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<SubscriptionView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found(NOT_FOUND))?;
    Ok(axum::Json(subscriptions::show(&portal.ctx, &actor, id).await?))
}

/// Wraps control's type to read it here.
struct Patch(TermsPatch);

impl FromMembers for Patch {
    fn read(members: &mut Members) -> Option<Self> {
        let limits = members.has("limits").then(|| windows(members));
        let quota = members.has("quota").then(|| quota(members));
        let concurrency = members.has("concurrency").then(|| members.count("concurrency"));
        let as_written = |text: &str| Ok(text.to_owned());
        let spend_cap = members.has("spend_cap").then(|| members.optional("spend_cap", as_written));
        Some(Self(TermsPatch { limits, quota, concurrency, spend_cap }))
    }
}

/// Change what holds for a subscription beside its plan
///
/// Gateways apply it to the next call. The provider's owners and admins may change all of it, a partner's owners and
/// billing members only `spend_cap`.
#[utoipa::path(patch, path = "/subscriptions/{id}", tag = "subscriptions", operation_id = "setSubscriptionTerms",
    params(("id" = String, Path, description = "The subscription", example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")),
    request_body = schema::SubscriptionTerms,
    responses((status = 200, description = "The subscription as it is now", body = schema::Subscription),
        (status = 409, description = "It has ended", body = ProblemBody, content_type = PROBLEM)))]
async fn update(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
    Json(Patch(patch)): Json<Patch>,
) -> Result<axum::Json<SubscriptionView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found(NOT_FOUND))?;
    Ok(axum::Json(subscriptions::set_terms(&portal.ctx, &actor, id, &patch).await?))
}

/// Cancel a subscription: it ends now and is billed up to here
#[utoipa::path(delete, path = "/subscriptions/{id}", tag = "subscriptions", operation_id = "cancelSubscription",
    params(("id" = String, Path, description = "The subscription", example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "The subscription as it ended", body = schema::Subscription),
        (status = 409, description = "It has ended already", body = ProblemBody, content_type = PROBLEM)))]
async fn cancel(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<SubscriptionView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found(NOT_FOUND))?;
    Ok(axum::Json(subscriptions::cancel(&portal.ctx, &actor, id).await?))
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Denied(Denied::NotFound) => Self::not_found("Partner not found"),
            SubscribeError::Denied(denied) => denied.into(),
            SubscribeError::UnknownPlan(plan) => {
                let message = format!("there is no plan `{}`", plan.escape_debug());
                Self::member("plan_unknown", "/plan", message)
            }
            SubscribeError::TooMany => Self::conflict("Too many subscriptions"),
            SubscribeError::Store(error) => error.into(),
        }
    }
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Denied(Denied::NotFound) => Self::not_found(NOT_FOUND),
            SubscriptionError::Denied(denied) => denied.into(),
            SubscriptionError::Ended => Self::conflict("Subscription has ended already"),
            SubscriptionError::Store(error) => error.into(),
        }
    }
}

impl From<SetTermsError> for Problem {
    fn from(error: SetTermsError) -> Self {
        match error {
            SetTermsError::Denied(Denied::NotFound) => Self::not_found(NOT_FOUND),
            SetTermsError::Denied(denied) => denied.into(),
            SetTermsError::Invalid(faults) => Self::unacceptable(faults),
            SetTermsError::Ended => Self::conflict("Subscription has ended"),
            SetTermsError::Store(error) => error.into(),
        }
    }
}
