//! A key as lists and answers show it (R27, R57).

use ipnet::IpNet;
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::ids::{KeyId, PartnerId, ProductId, SubscriptionId};
use keytoll_domain::key::{Environment, KeyStatus};
use keytoll_domain::time::Timestamp;
use keytoll_store::key::KeyWithTotals;
use serde::{Serialize, Serializer};

use crate::json;

/// Serialised, it is a row of `GET /api/v1/keys`; times are RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    pub id: KeyId,
    pub name: String,
    pub key_prefix: String,
    pub scopes: Vec<String>,
    pub rate_limit_per_minute: Option<u64>,
    /// All windows of the key's own, the minute's among them.
    pub limits: WindowLimits,
    /// Addresses without a mask are written without one.
    #[serde(serialize_with = "ips")]
    pub allowed_ips: Vec<IpNet>,
    #[serde(serialize_with = "json::time_or_null")]
    pub expires_at: Option<Timestamp>,
    #[serde(serialize_with = "json::time_or_null")]
    pub revoked_at: Option<Timestamp>,
    #[serde(serialize_with = "json::time_or_null")]
    pub last_used_at: Option<Timestamp>,
    pub total_requests: u64,
    #[serde(serialize_with = "json::time")]
    pub created_at: Timestamp,
    pub status: KeyStatus,
    pub environment: Environment,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    /// `None` = all products of the plan.
    pub products: Option<Vec<ProductId>>,
    pub imported: bool,
    /// The successor of a key in its grace period.
    pub replaced_by: Option<KeyId>,
}

impl KeyView {
    pub(crate) fn new(row: KeyWithTotals, now: Timestamp) -> Self {
        let key = row.key;
        Self {
            status: key.status(now),
            limits: key.limits(),
            id: key.id,
            name: key.name,
            key_prefix: key.prefix,
            scopes: key.scopes,
            rate_limit_per_minute: key.rate_limit_per_minute,
            allowed_ips: key.allowed_ips,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: row.last_used_at,
            total_requests: row.total_requests,
            created_at: key.created_at,
            environment: key.environment,
            partner: key.partner,
            subscription: key.subscription,
            products: key.products,
            imported: key.imported,
            replaced_by: row.replaced_by,
        }
    }
}

fn ips<S: Serializer>(list: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|net| {
        if net.prefix_len() == net.max_prefix_len() {
            net.addr().to_string()
        } else {
            net.to_string()
        }
    }))
}
