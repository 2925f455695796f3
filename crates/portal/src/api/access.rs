//! Who calls: extractors for the session cookie or a management token.

use axum::extract::FromRequestParts;
use http::request::Parts;
use keytoll_control::Actor;

use super::problem::Problem;
use crate::auth::{self, AuthError};
use crate::state::Portal;

/// A caller who is signed in; 401 otherwise.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Actor);

/// Somebody or nobody; a credential that is wrong is 401 all the same.
#[derive(Debug)]
pub(super) struct Anybody(pub(super) Actor);

/// A request from our own pages or from no page: what signs in needs no credential, but no stranger's page
/// may sign a browser in.
#[derive(Debug)]
pub(super) struct OwnPage {
    /// Where it came from, if known.
    pub(super) address: Option<String>,
}

impl FromRequestParts<Portal> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let actor = auth::actor(portal, &parts.method, &parts.headers).await?;
        actor.map(Self).ok_or_else(Problem::not_signed_in)
    }
}

impl FromRequestParts<Portal> for Anybody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let actor = auth::actor(portal, &parts.method, &parts.headers).await?;
        Ok(Self(actor.unwrap_or_else(auth::nobody)))
    }
}

impl FromRequestParts<Portal> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        crate::csrf::check(&parts.method, &parts.headers, &portal.public_url)
            .map_err(|_| Problem::cross_site())?;
        Ok(Self { address: auth::address(&parts.extensions) })
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::CredentialWrong => Self::not_signed_in(),
            AuthError::CrossSite => Self::cross_site(),
            AuthError::Store(error) => error.into(),
        }
    }
}
