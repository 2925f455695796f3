//! What goes wrong, as RFC 9457 problems: one value per answer, turned into a body in one place.
//!
//! A handler returns a [`Problem`]; the outer layer ([`crate::api::finish`]) writes the body, because only
//! there the request's id and path are at hand. Statuses and codes are part of the contract.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keytoll_control::fault::Fault;
use keytoll_control::{Denied, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

pub const PROBLEM: &str = "application/problem+json";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub error: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    pub errors: Vec<Fault>,
    pub retry_after_secs: Option<u32>,
    /// Why it is our fault: for the log, where it gets the request's id; never for the caller.
    pub cause: Option<Box<str>>,
}

/// The body of a problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    #[schema(example = 404)]
    status: u16,
    /// What to do about it.
    detail: String,
    /// The path asked for.
    #[schema(example = "/api/v1/keys/key_00000000000000000000000000000000/usage")]
    instance: String,
    /// Stable, for programs.
    #[schema(example = "not_found")]
    code: &'static str,
    /// Short text, for people and older clients.
    #[schema(example = "Key not found")]
    error: String,
    /// Also in the header `X-Request-Id`.
    request_id: String,
    /// What is wrong in the request; absent when nothing is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ProblemPlace>,
}

/// One mistake and its place.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemPlace {
    /// A JSON pointer into the body, or `?name` for a query parameter.
    #[schema(example = "/scopes/0")]
    pointer: String,
    #[schema(example = "there is no scope `orders:fly` in the plan's products")]
    message: String,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        error: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (error, detail) = (error.into(), detail.into());
        Self {
            status,
            code,
            error,
            detail,
            errors: Vec::new(),
            retry_after_secs: None,
            cause: None,
        }
    }

    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request_invalid", "Invalid request", detail)
    }

    pub fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "Not signed in",
            "Log in, or send a valid management token as `Authorization: Bearer TOKEN`.",
        )
    }

    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "Request from another site",
            "A session can only be used from the portal's own pages; programs send a management token.",
        )
    }

    pub fn role_missing() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "role_missing",
            "Your role does not allow this",
            "Ask an owner to do it or to change your role.",
        )
    }

    /// There is no such thing, or it is not the caller's: no difference is shown.
    pub fn not_found(error: &'static str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            error,
            "There is no such thing, or it is not yours.",
        )
    }

    pub fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "Not found",
            "The API has no such path; see /api/v1/openapi.json.",
        )
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed",
            "The path exists with other methods; see the Allow header.",
        )
    }

    pub fn partner_required() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "partner_required",
            "Say which partner",
            "Name the partner: `partnerId` in a body, `?partner=` in a query.",
        )
    }

    pub fn conflict(error: &'static str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            error,
            "It exists already, or changed meanwhile.",
        )
    }

    /// Well-formed but not acceptable.
    pub fn unacceptable(errors: Vec<Fault>) -> Self {
        Self::unacceptable_as("request_unacceptable", errors)
    }

    pub fn unacceptable_as(code: &'static str, errors: Vec<Fault>) -> Self {
        let error = match errors.first() {
            Some(first) => first.to_string(),
            None => "Not acceptable".to_owned(),
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let problem =
            Self::new(status, code, error, "Correct what `errors` lists and send it again.");
        Self { errors, ..problem }
    }

    /// One member of the body that is not acceptable.
    pub fn member(code: &'static str, pointer: &str, message: impl std::fmt::Display) -> Self {
        Self::unacceptable_as(code, vec![Fault::new(pointer, message)])
    }

    pub fn too_many(error: &'static str, retry_after_secs: u32) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let problem = Self::new(status, "rate_limited", error, "Wait as long as Retry-After says.");
        Self { retry_after_secs: Some(retry_after_secs), ..problem }
    }

    pub fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem =
            Self::new(status, "unavailable", "Temporarily unavailable", "Try again shortly.");
        Self { retry_after_secs: Some(1), ..problem }
    }

    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "The fault is ours; the request id finds it in the log.",
        )
    }

    /// The answer with its body; `Allow` and the like stay with the caller.
    pub(crate) fn render(self, instance: &str, request_id: &str) -> Response {
        let places = self.errors.into_iter();
        let errors =
            places.map(|f| ProblemPlace { pointer: f.pointer, message: f.message }).collect();
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            instance: instance.to_owned(),
            code: self.code,
            error: self.error.into_owned(),
            request_id: request_id.to_owned(),
            errors,
        };
        let mut res = (self.status, axum::Json(body)).into_response();
        let headers = res.headers_mut();
        let problem_json = HeaderValue::from_static(PROBLEM);
        headers.insert(header::CONTENT_TYPE, problem_json);
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"keytoll\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        res
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound => Self::not_found("Not found"),
            Denied::RoleMissing => Self::role_missing(),
            Denied::PartnerRequired => Self::partner_required(),
        }
    }
}

/// The caller learns no more than that it was our fault.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match error {
            StoreError::Conflict(_) => Self::conflict("Conflict"),
            StoreError::Unavailable(_) => Self::unavailable(),
            StoreError::Corrupt { .. } | StoreError::Internal(_) => Self::internal(),
        };
        Self { cause: Some(error.to_string().into()), ..problem }
    }
}

/// Carries the problem to the outer layer, which writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut res = self.status.into_response();
        res.extensions_mut().insert(self);
        res
    }
}
