//! Signing up, in and out, and who is signed in.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use keytoll_control::users::{self, LogIn, LogInError, Password, SignUp, SignUpError, SignedIn};
use keytoll_control::{Actor, Who};
use keytoll_domain::ids::PartnerId;
use keytoll_domain::user::{PartnerRole, StaffRole};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, OwnPage};
use super::body::{FromMembers, Json, Members};
use super::problem::{PROBLEM, Problem, ProblemBody};
use crate::state::Portal;
use crate::{auth, cookie};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(show))
}

#[derive(Debug, ToSchema)]
#[schema(as = SignUp)]
pub(super) struct SignUpBody {
    #[schema(example = "dev@example.com", max_length = 254)]
    email: String,
    #[schema(example = "correct horse battery staple", min_length = 10, max_length = 200)]
    password: String,
    /// Name of the partner that the new user owns.
    #[schema(example = "Example Shop", min_length = 1, max_length = 100)]
    partner_name: String,
}

#[derive(Debug, ToSchema)]
#[schema(as = LogIn)]
pub(super) struct LogInBody {
    #[schema(example = "dev@example.com")]
    email: String,
    #[schema(example = "correct horse battery staple")]
    password: String,
}

/// A session that has begun; its secret is in the cookie only.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionBegun {
    #[schema(example = "usr_019ab3f47c1d7000a1b2c3d4e5f60718")]
    user: String,
    /// The partner made by the sign-up; null after a log-in.
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718", required = true)]
    partner: Option<String>,
    #[schema(example = "2026-12-30T12:00:00Z", format = "date-time")]
    expires_at: String,
}

/// Who a request is signed in as.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionShown {
    /// Null for a management token.
    #[schema(required = true)]
    user: Option<SessionUser>,
    /// Null for a session.
    #[schema(example = json!(null), required = true)]
    token: Option<String>,
    /// Role among the provider's staff.
    #[schema(example = json!(null), required = true)]
    staff: Option<&'static str>,
    partners: Vec<Membership>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionUser {
    #[schema(example = "usr_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "dev@example.com")]
    email: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Membership {
    #[schema(example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner: String,
    #[schema(example = "owner")]
    role: &'static str,
}

impl FromMembers for SignUpBody {
    fn read(members: &mut Members) -> Option<Self> {
        let email = members.text("email", 3, 254);
        let password = members.secret("password");
        let partner_name = members.text("partner_name", 1, 100);
        Some(Self { email: email?, password: password?, partner_name: partner_name? })
    }
}

impl FromMembers for LogInBody {
    fn read(members: &mut Members) -> Option<Self> {
        let (email, password) = (members.secret("email"), members.secret("password"));
        Some(Self { email: email?, password: password? })
    }
}

/// Sign up: a user, a partner that the user owns, and a session
///
/// Buys nothing; needs no confirmation.
#[utoipa::path(post, path = "/signup", tag = "session", operation_id = "signUp", security(()),
    request_body = SignUpBody,
    responses((status = 201, description = "Signed up; the session is in the cookie", body = SessionBegun),
        (status = 403, description = "`cross_site`", body = ProblemBody, content_type = PROBLEM),
        (status = 429, description = "Too many attempts", body = ProblemBody, content_type = PROBLEM),
        (status = 409, description = "The e-mail address is in use", body = ProblemBody, content_type = PROBLEM)))]
async fn sign_up(
    State(portal): State<Portal>,
    own_page: OwnPage,
    Json(body): Json<SignUpBody>,
) -> Result<Response, Problem> {
    let new = SignUp {
        email: body.email,
        password: Password::new(body.password),
        partner_name: body.partner_name,
        address: own_page.address,
    };
    let signed_in = users::sign_up(&portal.ctx, new).await?;
    begin(&portal, StatusCode::CREATED, &signed_in)
}

/// Log in with e-mail address and password
#[utoipa::path(post, path = "/login", tag = "session", operation_id = "logIn", security(()),
    request_body = LogInBody,
    responses((status = 200, description = "The session is in the cookie", body = SessionBegun),
        (status = 403, description = "`cross_site`", body = ProblemBody, content_type = PROBLEM),
        (status = 429, description = "Too many attempts", body = ProblemBody, content_type = PROBLEM),
        (status = 401, description = "Wrong e-mail address or password", body = ProblemBody, content_type = PROBLEM)))]
async fn log_in(
    State(portal): State<Portal>,
    own_page: OwnPage,
    Json(body): Json<LogInBody>,
) -> Result<Response, Problem> {
    let password = Password::new(body.password);
    let request = LogIn { email: body.email, password, address: own_page.address };
    let signed_in = users::log_in(&portal.ctx, request).await?;
    begin(&portal, StatusCode::OK, &signed_in)
}

/// Log out: ends the session of the cookie
#[utoipa::path(post, path = "/logout", tag = "session", operation_id = "logOut", security(()),
    responses((status = 204, description = "There is no session any more"),
        (status = 403, description = "`cross_site`", body = ProblemBody, content_type = PROBLEM)))]
async fn log_out(
    State(portal): State<Portal>,
    _: OwnPage,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(secret) = cookie::session(&headers, &portal.public_url) {
        users::log_out(&portal.ctx, &secret).await?;
    }
    let mut res = StatusCode::NO_CONTENT.into_response();
    let clear = cookie::clear(&portal.public_url);
    res.headers_mut().extend(clear.map(|value| (header::SET_COOKIE, value)));
    Ok(res)
}

/// Who is signed in
#[utoipa::path(get, path = "/session", tag = "session", operation_id = "showSession",
    responses((status = 200, description = "The caller", body = SessionShown)))]
async fn show(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    headers: HeaderMap,
) -> Result<axum::Json<SessionShown>, Problem> {
    let user = match actor.who {
        Who::User(_) => auth::session(&portal, &Method::GET, &headers).await?,
        Who::Token(_) | Who::Cli | Who::System => None,
    };
    let user = user.map(|own| SessionUser { id: own.user.to_string(), email: own.email });
    Ok(axum::Json(shown(&actor, user)))
}

fn shown(actor: &Actor, user: Option<SessionUser>) -> SessionShown {
    let token = match actor.who {
        Who::Token(id) => Some(id.to_string()),
        Who::User(_) | Who::Cli | Who::System => None,
    };
    let member = |(partner, role): &(PartnerId, PartnerRole)| Membership {
        partner: partner.to_string(),
        role: role.as_str(),
    };
    let partners = actor.partners.iter().map(member).collect();
    SessionShown { user, token, staff: actor.staff.map(StaffRole::as_str), partners }
}

fn begin(portal: &Portal, status: StatusCode, signed_in: &SignedIn) -> Result<Response, Problem> {
    let begun = SessionBegun {
        user: signed_in.user.to_string(),
        partner: signed_in.partner.map(|id| id.to_string()),
        expires_at: signed_in.expires_at.rfc3339(),
    };
    let set = cookie::set(signed_in.secret.expose(), &portal.public_url);
    let set = set.ok_or_else(Problem::internal)?;
    Ok((status, [(header::SET_COOKIE, set)], axum::Json(begun)).into_response())
}

impl From<SignUpError> for Problem {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::Invalid(faults) => Self::unacceptable(faults),
            SignUpError::EmailTaken => {
                Self::conflict("This e-mail address is in use: log in instead")
            }
            SignUpError::TooMany { retry_after_secs } => {
                Self::too_many("Too many attempts", retry_after_secs)
            }
            SignUpError::Busy => Self::unavailable(),
            SignUpError::Store(error) => error.into(),
        }
    }
}

impl From<LogInError> for Problem {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Wrong => Self {
                error: "Wrong e-mail address or password".into(),
                detail: "Try again, or sign up.".into(),
                ..Self::not_signed_in()
            },
            LogInError::TooMany { retry_after_secs } => {
                Self::too_many("Too many attempts", retry_after_secs)
            }
            LogInError::Busy => Self::unavailable(),
            LogInError::Store(error) => error.into(),
        }
    }
}
