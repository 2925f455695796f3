//! Who a request comes from: a management token in `Authorization`, else the session in the cookie.
//!
//! Shared by pages and API. A request that changes something with a cookie must pass [`crate::csrf`]; one
//! with a token need not, because no browser sends a token by itself.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, Method, header};
use keytoll_control::users::{self, Session};
use keytoll_control::{Actor, StoreError, Who, tokens};

use crate::state::Portal;
use crate::{cookie, csrf};

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A token or a session was sent, and it is unknown, expired or revoked.
    #[error("the credential is not valid")]
    CredentialWrong,
    #[error("the request comes from another site")]
    CrossSite,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The caller; `None` when the request carries no credential, or the session of a cookie is over.
pub async fn actor(
    portal: &Portal,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Actor>, AuthError> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let secret = value.to_str().ok().and_then(bearer).ok_or(AuthError::CredentialWrong)?;
        let actor = tokens::authenticate(&portal.ctx, secret).await?;
        return actor.map(Some).ok_or(AuthError::CredentialWrong);
    }
    Ok(session(portal, method, headers).await?.map(|session| session.actor))
}

/// The signed-in browser, if it is one.
pub async fn session(
    portal: &Portal,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Session>, AuthError> {
    let Some(secret) = cookie::session(headers, &portal.public_url) else { return Ok(None) };
    csrf::check(method, headers, &portal.public_url).map_err(|_| AuthError::CrossSite)?;
    Ok(users::session(&portal.ctx, &secret).await?)
}

/// Who sees only what everybody sees.
pub fn nobody() -> Actor {
    Actor { who: Who::System, staff: None, partners: Vec::new() }
}

/// Where the request came from, for counting failed log-ins; `None` when that is a proxy on this machine, so
/// that one guesser does not lock everybody out. The server hands the peer's address in as [`ConnectInfo`].
pub fn address(extensions: &Extensions) -> Option<String> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip()).filter(|ip| !ip.is_loopback()).map(|ip| ip.to_string())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}
