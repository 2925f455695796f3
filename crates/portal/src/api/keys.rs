//! API keys: one file per operation.

mod calls;
mod create;
mod list;
mod revoke;
mod roll;
mod show;
mod usage;

use keytoll_control::Denied;
use keytoll_control::keys::KeyError;
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::ids::KeyId;
use keytoll_domain::key::{Environment, Key, PlainKey};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use crate::state::Portal;

pub use create::KeyCreated;
pub use revoke::KeyRevoked;
pub use roll::KeyRolled;

const NOT_FOUND: &str = "Key not found";

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(create::create, list::list))
        .routes(routes!(show::show, revoke::revoke))
        .routes(routes!(roll::roll))
        .routes(routes!(usage::usage))
        .routes(routes!(calls::calls))
}

/// A key with its secret, which is shown this once (R51).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewKeyShown {
    #[schema(example = "key_019ab3f47c1d7000a1b2c3d4e5f60718")]
    id: String,
    #[schema(example = "shop backend")]
    name: String,
    #[schema(example = "sk_test_00000000_0000000000000000000000000000000000000000000000000")]
    key: String,
    /// The part of the key that lists show.
    #[schema(example = "sk_test_00000000")]
    key_prefix: String,
    #[schema(example = json!(["shipment-tracking:read"]))]
    scopes: Vec<String>,
    /// Null: only the plan's windows hold.
    #[schema(example = 60, required = true)]
    rate_limit_per_minute: Option<u64>,
    /// All windows of the key's own.
    #[schema(value_type = super::schema::Limits)]
    limits: WindowLimits,
    #[schema(value_type = super::schema::Environment)]
    environment: Environment,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(example = "sub_019ab3f47c1d7000a1b2c3d4e5f60718")]
    subscription: String,
    /// Null: never.
    #[schema(format = "date-time", required = true)]
    expires_at: Option<String>,
}

impl NewKeyShown {
    fn new(key: &Key, secret: &PlainKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            key: secret.expose().to_owned(),
            key_prefix: key.prefix.clone(),
            scopes: key.scopes.clone(),
            rate_limit_per_minute: key.rate_limit_per_minute,
            limits: key.limits(),
            environment: key.environment,
            created_at: key.created_at.rfc3339(),
            subscription: key.subscription.to_string(),
            expires_at: key.expires_at.map(keytoll_domain::time::Timestamp::rfc3339),
        }
    }
}

/// A text that is no key's id names no key.
fn key_id(text: &str, not_found: &'static str) -> Result<KeyId, Problem> {
    text.parse().map_err(|_| Problem::not_found(not_found))
}

fn problem(error: KeyError, not_found: &'static str) -> Problem {
    match error {
        KeyError::Denied(Denied::NotFound) => Problem::not_found(not_found),
        KeyError::Denied(denied) => denied.into(),
        KeyError::Store(error) => error.into(),
    }
}
