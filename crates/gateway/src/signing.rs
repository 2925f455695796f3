//! Signing requests to upstreams, so that they can refuse what did not come through the gateway.
//!
//! Each product has a secret of its own, derived from the installation's, so that the upstream of one product cannot
//! sign for another. What is signed is what the upstream sees: see `docs/guide/policies.md`.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit as _, Mac as _};
use keytoll_domain::time::{MICROS_PER_SECOND, Timestamp};
use sha2::Sha256;

use crate::answer::{put, put_number};
use crate::core::RequestId;
use crate::identity::hex;
use crate::keytable::KeyRecord;

/// Length of the installation's secret, and of every product's.
pub const SECRET_BYTES: usize = 32;

/// The installation's secret.
#[derive(Clone)]
pub struct SigningSecret([u8; SECRET_BYTES]);

impl SigningSecret {
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Two hexadecimal digits a byte.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * SECRET_BYTES {
            return None;
        }
        let mut bytes = [0; SECRET_BYTES];
        for (byte, two) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value =
                |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
            *byte = value(two[0])? << 4 | value(two[1])?;
        }
        Some(Self(bytes))
    }

    /// For the file that keeps it, and for nothing else.
    pub fn to_hex(&self) -> String {
        text(self.0)
    }

    /// The secret that a product's upstream verifies with, in hexadecimal digits.
    pub fn of_product(&self, product: &str) -> String {
        text(self.derived(product))
    }

    fn derived(&self, product: &str) -> [u8; SECRET_BYTES] {
        let mut mac = keyed(&self.0);
        mac.update(b"upstream-signing:");
        mac.update(product.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

fn text(bytes: [u8; SECRET_BYTES]) -> String {
    hex::<SECRET_BYTES, 64>(bytes).into_iter().map(char::from).collect()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Signs the requests of one product. The key's share of the work is done once.
pub(crate) struct Signer(Hmac<Sha256>);

/// What of a request is signed.
pub(crate) struct Signed<'r> {
    pub at: Timestamp,
    pub method: &'r str,
    /// Where path and query are in the head, as the upstream gets them.
    pub target: Range<usize>,
    pub id: RequestId,
    /// Whose key id the upstream is told.
    pub caller: Option<&'r KeyRecord>,
}

impl Signer {
    pub(crate) fn new(secret: &SigningSecret, product: &str) -> Self {
        Self(keyed(&secret.derived(product)))
    }

    /// Writes the header field.
    pub(crate) fn write(&self, out: &mut Vec<u8>, signed: &Signed<'_>) {
        let seconds = signed.at.0.div_euclid(MICROS_PER_SECOND).unsigned_abs();
        let mut time = itoa::Buffer::new();
        let mut mac = self.0.clone();
        for part in [
            time.format(seconds).as_bytes(),
            b"\n",
            signed.method.as_bytes(),
            b"\n",
            &out[signed.target.clone()],
            b"\n",
            &signed.id.text(),
            b"\n",
        ] {
            mac.update(part);
        }
        if let Some(key) = signed.caller {
            mac.update(b"key_");
            mac.update(&hex::<16, 32>(key.id.to_bytes()));
        }
        put(out, &[b"x-keytoll-signature: t="]);
        put_number(out, seconds);
        let code: [u8; SECRET_BYTES] = mac.finalize().into_bytes().into();
        put(out, &[b",v1=", &hex::<SECRET_BYTES, 64>(code), b"\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_they_are_written_and_shown_to_nobody() {
        let secret = SigningSecret::from_hex(&"0aF1".repeat(16)).expect("64 digits");
        assert_eq!(secret.to_hex(), "0af1".repeat(16));
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
        for wrong in ["", "0a", &"zz".repeat(32), &"0a".repeat(33), &"é".repeat(32)] {
            assert!(SigningSecret::from_hex(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn products_have_secrets_of_their_own() {
        let secret = SigningSecret::new([7; SECRET_BYTES]);
        let zoo = secret.of_product("zoo");
        assert_eq!((zoo.len(), &zoo), (64, &secret.of_product("zoo")));
        assert_ne!(zoo, secret.of_product("zoos"));
        assert_ne!(zoo, SigningSecret::new([8; SECRET_BYTES]).of_product("zoo"));
    }
}
