//! Management tokens: credentials for this API.

use axum::extract::State;
use http::StatusCode;
use keytoll_control::tokens::{self, NewToken, TokenError};
use keytoll_domain::ids::{PartnerId, TokenId};
use keytoll_domain::user::{Token, TokenRole};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::answer::{PageQuery, PartnerQuery, ReceiptBody, next_cursor, one_more};
use super::body::{FromMembers, Json, Members, from_str};
use super::problem::{PROBLEM, Problem, ProblemBody};
use super::query::{Params, PathId};
use crate::state::Portal;

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke))
}

#[derive(Debug, ToSchema)]
#[schema(as = NewToken)]
#[expect(dead_code, reason = "describes a body that is read into the use case's own type")]
pub(super) struct NewTokenBody {
    #[schema(example = "deploy script", min_length = 1, max_length = 100)]
    name: String,
    /// Your own role or less, by default your own: for staff `owner`, `admin`, `finance`, `support`,
    /// `viewer` or `verifier`, for partners `owner`, `developer`, `billing` or `viewer`.
    #[schema(example = "viewer")]
    role: Option<String>,
    /// Makes a token of this partner; by default your only one.
    #[schema(rename = "partnerId", example = "ptn_019ab3f47c1d7000a1b2c3d4e5f60718")]
    partner_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenCreated {
    #[schema(example = "tok_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "deploy script")]
    name: String,
    /// Shown this once.
    #[schema(example = "kt_0000000000000000000000000000000000000000000")]
    token: String,
    #[schema(example = "viewer")]
    role: &'static str,
    #[schema(required = true)]
    partner: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenRow {
    #[schema(example = "tok_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "deploy script")]
    name: String,
    #[schema(example = "viewer")]
    role: &'static str,
    /// Null for a token of the provider's staff.
    #[schema(required = true)]
    partner: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time", required = true)]
    revoked_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    tokens: Vec<TokenRow>,
    #[schema(required = true)]
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenRevoked {
    success: bool,
    receipt: ReceiptBody,
}

struct Asked(NewToken);

impl FromMembers for Asked {
    fn read(members: &mut Members) -> Option<Self> {
        let name = members.text("name", 1, 100);
        let role = members.optional("role", |text| Ok(text.to_owned()));
        let partner = members.optional("partnerId", from_str::<PartnerId>);
        Some(Self(NewToken { name: name?, role, partner }))
    }
}

/// Create a management token with your role or less
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "createToken",
    request_body = NewTokenBody,
    responses((status = 201, description = "The token, shown this once", body = TokenCreated),
        (status = 404, description = "`not_found`: there is no such partner, or it is not yours", body = ProblemBody, content_type = PROBLEM),
        (status = 409, description = "`partner_required`, or too many tokens", body = ProblemBody, content_type = PROBLEM)))]
async fn create(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    Json(Asked(new)): Json<Asked>,
) -> Result<(StatusCode, axum::Json<TokenCreated>), Problem> {
    let created = tokens::create(&portal.ctx, &actor, new).await?;
    let (role, partner) = role(&created.token);
    let body = TokenCreated {
        id: created.token.id.to_string(),
        token: created.secret.expose().to_owned(),
        role,
        partner,
        name: created.token.name,
    };
    Ok((StatusCode::CREATED, axum::Json(body)))
}

/// List management tokens, newest first
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "listTokens",
    params(PartnerQuery, PageQuery),
    responses((status = 200, description = "Tokens, revoked ones included", body = TokenList)))]
async fn list(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<axum::Json<TokenList>, Problem> {
    let (partner, page) = (params.id("partner"), params.page::<TokenId>());
    params.done()?;
    let mut rows = tokens::list(&portal.ctx, &actor, partner, one_more(&page)).await?;
    let next_cursor = next_cursor(&mut rows, page.limit, |token| token.id.to_string());
    Ok(axum::Json(TokenList { tokens: rows.into_iter().map(row).collect(), next_cursor }))
}

/// Revoke a management token at once
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token", example = "tok_019ab3f47c1d7000a1b2c3d4e5f60718")),
    responses((status = 200, description = "Revoked", body = TokenRevoked)))]
async fn revoke(
    State(portal): State<Portal>,
    Caller(actor): Caller,
    PathId(id): PathId,
) -> Result<axum::Json<TokenRevoked>, Problem> {
    const UNKNOWN: &str = "Token not found or already revoked";
    let id = id.parse().map_err(|_| Problem::not_found(UNKNOWN))?;
    let receipt = tokens::revoke(&portal.ctx, &actor, id).await?;
    Ok(axum::Json(TokenRevoked { success: true, receipt: receipt.into() }))
}

fn row(token: Token) -> TokenRow {
    let (role, partner) = role(&token);
    TokenRow {
        id: token.id.to_string(),
        name: token.name,
        role,
        partner,
        created_at: token.created_at.rfc3339(),
        revoked_at: token.revoked_at.map(keytoll_domain::time::Timestamp::rfc3339),
    }
}

fn role(token: &Token) -> (&'static str, Option<String>) {
    match token.role {
        TokenRole::Staff(role) => (role.as_str(), None),
        TokenRole::Partner(partner, role) => (role.as_str(), Some(partner.to_string())),
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Denied(denied) => denied.into(),
            TokenError::Invalid(faults) => Self::unacceptable(faults),
            TokenError::TooMany => Self::conflict("Maximum 100 tokens per partner"),
            TokenError::Store(error) => error.into(),
        }
    }
}
