//! Identifiers. Records have a `UUIDv7`, shown with a type prefix (`key_…`); what people name themselves
//! (products, plans) has a slug.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

/// Longest slug accepted.
pub const SLUG_MAX_LEN: usize = 63;
/// First path segments that the listeners use themselves, so that no product may have them as its id.
pub const RESERVED_PRODUCT_IDS: [&str; 8] =
    ["v1", "v2", "api", "unkey", "healthz", "readyz", "metrics", "assets"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_… with 32 hexadecimal digits")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A `UUIDv7` of this millisecond; `random` comes from the caller's CSPRNG.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.0.div_euclid(1000)).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            pub const fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError { prefix: $prefix };
                let digits = text.strip_prefix($prefix).and_then(|rest| rest.strip_prefix('_'));
                let digits = digits.filter(|d| d.len() == 32).ok_or(error)?;
                Uuid::try_parse(digits).map(Self).map_err(|_| error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(KeyId, "key");
id!(PartnerId, "ptn");
id!(
    /// A login of a person, whether partner member or staff.
    UserId, "usr"
);
id!(SubscriptionId, "sub");
id!(InvoiceId, "inv");
id!(
    /// A management token.
    TokenId, "tok"
);
id!(
    /// A row of the audit trail.
    AuditId, "aud"
);

/// A request at the gateway, as `X-Request-Id`, the access log and the ledger name it; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u128);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request's id of the form 8-4-4-4-12 with hexadecimal digits")]
pub struct RequestIdError;

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from_u128(self.0).hyphenated(), f)
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let hyphenated = Some(text).filter(|text| text.len() == 36).ok_or(RequestIdError)?;
        let id = Uuid::try_parse(hyphenated).map_err(|_| RequestIdError)?;
        Ok(Self(id.as_u128()))
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a slug: use a lower-case letter, then letters, digits and dashes, at most 63 characters"
)]
pub struct SlugError(String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(Box<str>);

/// A product's id, `^[a-z][a-z0-9-]*$`.
pub type ProductId = Slug;
/// A plan's name in URLs, commands and the catalogue; same form as a product's id.
pub type PlanSlug = Slug;

impl Slug {
    pub fn new(text: &str) -> Result<Self, SlugError> {
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let tail = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if head && tail && text.len() <= SLUG_MAX_LEN {
            Ok(Self(text.into()))
        } else {
            Err(SlugError(text.chars().take(SLUG_MAX_LEN).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
