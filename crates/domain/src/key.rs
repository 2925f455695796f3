//! API keys as records: everything about a key but the secret, which exists only on its way to the owner.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::catalog::WindowLimits;
use crate::ids::{KeyId, PartnerId, ProductId, SubscriptionId};
use crate::time::Timestamp;

/// Longest key name, in characters.
pub const NAME_MAX_CHARS: usize = 100;
/// Active keys a partner may have unless the provider says otherwise.
pub const ACTIVE_KEYS_PER_PARTNER: u32 = 25;
/// Entries in one key's allowlist.
pub const ALLOWED_IPS_MAX: usize = 100;
/// Longest secret that is looked at; a longer one is unknown.
pub const SECRET_MAX_LEN: usize = 512;
/// A key's own limit when the caller names none.
pub const DEFAULT_RATE_LIMIT_PER_MINUTE: u64 = 60;
/// What a partner may ask for (R47); staff go to [`crate::catalog::RATE_MAX`].
pub const PARTNER_RATE_LIMIT_MAX: u64 = 10_000;

/// A key's secret in the clear: shown once, then gone. It has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainKey(String);

impl PlainKey {
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(…)")
    }
}

/// SHA-256 of the whole key: the only form that is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
            text
        })
    }

    /// 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// A key that another system knew by its bcrypt hash only, until its first use. `prefix` is the visible
/// beginning of the key, by which candidates are found.
#[derive(Clone, PartialEq, Eq)]
pub struct BcryptHash {
    pub prefix: String,
    pub hash: String,
}

impl fmt::Debug for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcryptHash(…)")
    }
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    #[default]
    Live,
    Test,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// `live|test`, and document C's `production|sandbox`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "live" | "production" => Some(Self::Live),
            "test" | "sandbox" => Some(Self::Test),
            _ => None,
        }
    }
}

/// What a key is now, as lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    Active,
    Disabled,
    Expired,
    Revoked,
}

/// A key's own windows beside `rate_limit_per_minute`, in units; absent = only the subscription's hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyWindows {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<u64>,
}

impl KeyWindows {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One key. `rate_limit_per_minute` = `None` means only the plan's windows hold; an empty allowlist
/// restricts nothing; `products` = `None` means all products of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub name: String,
    pub hash: KeyHash,
    pub prefix: String,
    pub environment: Environment,
    pub scopes: Vec<String>,
    pub products: Option<Vec<ProductId>>,
    pub rate_limit_per_minute: Option<u64>,
    pub windows: KeyWindows,
    pub allowed_ips: Vec<IpNet>,
    pub expires_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Staff imports do not count against the partner's cap.
    pub imported: bool,
}

impl Key {
    /// All windows that count for this key alone.
    pub fn limits(&self) -> WindowLimits {
        let KeyWindows { second, hour, day } = self.windows;
        WindowLimits { second, minute: self.rate_limit_per_minute, hour, day }
    }

    pub fn status(&self, now: Timestamp) -> KeyStatus {
        let past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if past(self.revoked_at) {
            KeyStatus::Revoked
        } else if self.disabled_at.is_some() {
            KeyStatus::Disabled
        } else if past(self.expires_at) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }
}

/// Reads one allowlist entry: an address, or a network in CIDR form. Host bits below the mask are cleared.
pub fn parse_allowed_ip(text: &str) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(net) => Some(net.trunc()),
        Err(_) => text.parse::<std::net::IpAddr>().ok().map(IpNet::from),
    }
}

/// " (rolled)" appended once and the whole cut to [`NAME_MAX_CHARS`] (R61).
pub fn rolled_name(name: &str) -> String {
    const SUFFIX: &str = " (rolled)";
    if name.ends_with(SUFFIX) {
        return name.to_owned();
    }
    let room = NAME_MAX_CHARS - SUFFIX.chars().count();
    let kept: String = name.chars().take(room).collect();
    kept + SUFFIX
}

#[cfg(test)]
mod tests;
