//! `POST /keys` (R47, R58).

use axum::extract::State;
use http::StatusCode;
use keytoll_control::Denied;
use keytoll_control::keys::{self, IssueError, Issued, NewKey, RateLimit, WARNING};
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::key::{Environment, KeyWindows};
use keytoll_domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::NewKeyShown;
use crate::api::access::Caller;
use crate::api::body::{FromMembers, Json, Members, from_str};
use crate::api::problem::{PROBLEM, Problem, ProblemBody};
use crate::api::schema;
use crate::api::windows::windows;
use crate::state::Portal;

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyCreated {
    #[serde(flatten)]
    key: NewKeyShown,
    #[schema(example = "Store this key securely — it won't be shown again.")]
    warning: &'static str,
}

impl From<&Issued> for KeyCreated {
    fn from(issued: &Issued) -> Self {
        Self { key: NewKeyShown::new(&issued.key, &issued.secret), warning: WARNING }
    }
}

/// Wraps control's type to read it here.
pub(super) struct Asked(NewKey);

impl FromMembers for Asked {
    fn read(members: &mut Members) -> Option<Self> {
        let name = members.text("name", 1, 100);
        let scopes = members.list("scopes", |text| Ok(text.to_owned()));
        if scopes.as_ref().map_or(!members.has("scopes"), Vec::is_empty) {
            members.fault("/scopes", "`scopes` must name at least one scope");
        }
        let environment = members.optional("environment", environment);
        let (rate_limit, windows) = limits(members);
        let new = NewKey {
            partner: members.optional("partnerId", from_str),
            subscription: members.optional("subscription", from_str),
            name: name.unwrap_or_default(),
            scopes: scopes.unwrap_or_default(),
            environment: environment.unwrap_or_default(),
            products: members.list("apiProductIds", |text| Ok(text.to_owned())),
            rate_limit,
            windows,
            allowed_ips: members.list("allowedIPs", |text| Ok(text.to_owned())).unwrap_or_default(),
            expires_at: members.optional("expiresAt", from_str::<Timestamp>),
        };
        Some(Self(new))
    }
}

fn environment(text: &str) -> Result<Environment, String> {
    Environment::parse(text).ok_or_else(|| "`environment` must be `live` or `test`".to_owned())
}

/// The minute's limit has two spellings, `rateLimitPerMinute` and `limits.minute`. Absent is not the same as `null`:
/// the default limit, or none of its own.
fn limits(members: &mut Members) -> (RateLimit, KeyWindows) {
    const NAME: &str = "rateLimitPerMinute";
    let names_minute = members.has_below("limits", "minute");
    let WindowLimits { second, minute, hour, day } = windows(members).unwrap_or_default();
    if names_minute && members.has(NAME) {
        members.fault("/limits/minute", format!("is the same as `{NAME}`: give one of them"));
    }
    let given = if names_minute { minute } else { members.count(NAME) };
    let rate_limit = match given {
        Some(limit) => RateLimit::PerMinute(i64::try_from(limit).unwrap_or(i64::MAX)),
        None if names_minute || members.has(NAME) => RateLimit::PlanOnly,
        None => RateLimit::Default,
    };
    (rate_limit, KeyWindows { second, hour, day })
}

/// Create a key; the secret is in this answer and nowhere else
#[utoipa::path(post, path = "/keys", tag = "keys", operation_id = "createKey",
    request_body = schema::NewKey,
    responses((status = 201, description = "The key with its secret", body = KeyCreated),
        (status = 400, description = "`request_invalid`, or `key_limit_reached`", body = ProblemBody, content_type = PROBLEM),
        (status = 404, description = "`not_found`: there is no such partner or subscription, or it is not yours",
            body = ProblemBody, content_type = PROBLEM),
        (status = 409, description = "`partner_required`, `subscription_required` or `subscription_inactive`",
            body = ProblemBody, content_type = PROBLEM)))]
pub(super) async fn create(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    Json(Asked(new)): Json<Asked>,
) -> Result<(StatusCode, axum::Json<KeyCreated>), Problem> {
    let issued = keys::issue(&portal.ctx, &actor, new).await?;
    Ok((StatusCode::CREATED, axum::Json(KeyCreated::from(&issued))))
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Denied(Denied::NotFound) => {
                Self::not_found("Partner or subscription not found")
            }
            IssueError::Denied(denied) => denied.into(),
            IssueError::Invalid(faults) => Self::unacceptable(faults),
            IssueError::ScopeUnknown { scope, pointer } => {
                let shown = scope.escape_debug();
                let message = format!("there is no scope `{shown}` in the plan's products");
                Self::member("scope_unknown", &pointer, message)
            }
            IssueError::SubscriptionRequired => Self::new(
                StatusCode::CONFLICT,
                "subscription_required",
                "Say which subscription",
                "The partner has no active subscription, or several: subscribe to a plan, or name one.",
            ),
            IssueError::SubscriptionInactive => subscription_inactive(),
            IssueError::TooMany { limit } => Self::new(
                StatusCode::BAD_REQUEST,
                "key_limit_reached",
                format!("Maximum {limit} active keys per account"),
                "Revoke a key first, or roll one: a roll needs no place of its own.",
            ),
            IssueError::Store(error) => error.into(),
        }
    }
}

pub(super) fn subscription_inactive() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "subscription_inactive",
        "Subscription is not active",
        "Subscribe to a plan, or name another subscription.",
    )
}
