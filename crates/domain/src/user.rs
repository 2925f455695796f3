//! Roles of people and of management tokens.

use serde::{Deserialize, Serialize};

use crate::ids::{PartnerId, TokenId, UserId};
use crate::key::KeyHash;
use crate::time::Timestamp;

/// A user's part in a partner, most powerful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartnerRole {
    Owner,
    Developer,
    Billing,
    Viewer,
}

/// A user's part in the provider's staff, most powerful first. `Verifier` is for tokens only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaffRole {
    Owner,
    Admin,
    Finance,
    Support,
    Viewer,
    Verifier,
}

impl PartnerRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Developer, Self::Billing, Self::Viewer]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

impl StaffRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Finance => "finance",
            Self::Support => "support",
            Self::Viewer => "viewer",
            Self::Verifier => "verifier",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Admin, Self::Finance, Self::Support, Self::Viewer, Self::Verifier]
            .into_iter()
            .find(|role| role.as_str() == text)
    }

    /// May ask the gateway to verify keys of any partner.
    pub fn may_verify(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::Verifier)
    }
}

/// What a management token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    Staff(StaffRole),
    Partner(PartnerId, PartnerRole),
}

/// A management token: a bearer credential for `/api/v1` and, for staff, for verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    pub hash: KeyHash,
    pub role: TokenRole,
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}
