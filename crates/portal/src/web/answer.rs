//! Answers of page handlers: pages, redirects after a change, and errors as pages.

use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Uri};
use keytoll_control::billing::BillingError;
use keytoll_control::keys::KeyError;
use keytoll_control::partners::PartnerError;
use keytoll_control::subscriptions::SubscriptionError;
use keytoll_control::usage::UsageError;
use keytoll_control::{Denied, StoreError};

use super::fields::cookie_value;
use crate::pages::error::ErrorPage;
use crate::ui::part::encode;
use crate::ui::{Page, Shell, Theme};

/// A page with its status.
pub(super) fn page(shell: &Shell, status: StatusCode, shown: &impl Page) -> Response {
    (status, shell.render(shown)).into_response()
}

pub(super) fn ok(shell: &Shell, shown: &impl Page) -> Response {
    page(shell, StatusCode::OK, shown)
}

/// The form again, with what was wrong next to the fields.
pub(super) fn refused(shell: &Shell, shown: &impl Page) -> Response {
    page(shell, StatusCode::UNPROCESSABLE_ENTITY, shown)
}

/// 303: the browser asks for `path` with GET, so that reloading repeats nothing.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Adds a cookie to an answer.
pub(super) fn with_cookie(mut answer: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// Forbids every cache to keep an answer: it holds a secret.
pub(super) fn secret(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A path of this portal to go to, or `/`: never another site's address.
pub(super) fn local_path(path: &str) -> &str {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let local = path.starts_with('/') && !path.starts_with("//") && path.len() <= 2_000;
    if local && plain { path } else { "/" }
}

/// The frame for whoever is not known: colours and address only.
pub(super) fn bare_shell(headers: &HeaderMap, uri: &Uri) -> Shell {
    let theme = cookie_value(headers, "theme").and_then(Theme::parse).unwrap_or_default();
    let here = uri.path_and_query().map_or("/", |path| path.as_str());
    Shell { viewer: None, theme, here: local_path(here).to_owned() }
}

/// What a use case can answer beside its own outcomes.
#[derive(Debug)]
pub(super) enum Trouble {
    Denied(Denied),
    Unavailable(String),
    Broken(String),
}

/// Why a page handler stops early.
#[derive(Debug)]
pub(super) enum Stop {
    Elsewhere(String),
    Error(ErrorPage, Box<Shell>),
}

impl Stop {
    /// Log in first, then come back here.
    pub(super) fn log_in(next: &str) -> Self {
        Self::Elsewhere(format!("/login?next={}", encode(local_path(next))))
    }

    pub(super) fn error(error: ErrorPage, shell: &Shell) -> Self {
        Self::Error(error, Box::new(shell.clone()))
    }

    /// A refusal as its page; a failure of ours is logged here and nowhere else.
    pub(super) fn of(trouble: impl Into<Trouble>, request_id: &str, shell: &Shell) -> Self {
        let (error, problem) = match trouble.into() {
            Trouble::Denied(Denied::NotFound) => return Self::error(ErrorPage::not_found(), shell),
            Trouble::Denied(Denied::RoleMissing) => {
                return Self::error(ErrorPage::forbidden(), shell);
            }
            Trouble::Denied(Denied::PartnerRequired) => return Self::Elsewhere("/".into()),
            Trouble::Unavailable(problem) => (ErrorPage::unavailable(), problem),
            Trouble::Broken(problem) => (ErrorPage::internal(), problem),
        };
        tracing::error!(request_id, problem, "a page could not be answered");
        Self::error(ErrorPage { request_id: Some(request_id.to_owned()), ..error }, shell)
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Elsewhere(path) => see_other(&path),
            Self::Error(error, shell) => {
                let status = StatusCode::from_u16(error.status);
                page(&shell, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error)
            }
        }
    }
}

impl From<Denied> for Trouble {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Conflict(_) | StoreError::Corrupt { .. } | StoreError::Internal(_) => {
                Self::Broken(error.to_string())
            }
        }
    }
}

impl From<KeyError> for Trouble {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Denied(denied) => denied.into(),
            KeyError::Store(error) => error.into(),
        }
    }
}

impl From<PartnerError> for Trouble {
    fn from(error: PartnerError) -> Self {
        match error {
            PartnerError::Denied(denied) => denied.into(),
            PartnerError::Invalid(_) => Self::Broken(error.to_string()),
            PartnerError::Store(error) => error.into(),
        }
    }
}

impl From<UsageError> for Trouble {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Denied(denied) => denied.into(),
            UsageError::Days => Self::Broken(error.to_string()),
            UsageError::Store(error) => error.into(),
        }
    }
}

impl From<SubscriptionError> for Trouble {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Denied(denied) => denied.into(),
            SubscriptionError::Ended => Self::Denied(Denied::NotFound),
            SubscriptionError::Store(error) => error.into(),
        }
    }
}

impl From<BillingError> for Trouble {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Denied(denied) => denied.into(),
            BillingError::Store(error) => error.into(),
            other => Self::Broken(other.to_string()),
        }
    }
}
