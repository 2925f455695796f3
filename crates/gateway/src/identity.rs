//! Who calls, as upstreams and other gateways are told.
//!
//! Every field is always written, empty where there is nothing to say, so that no client can smuggle its own: what is
//! left out would stay as the client wrote it.

use std::ops::Deref;

use keytoll_domain::scope::{ALL, ScopeSet};

use crate::keytable::KeyRecord;

/// Both digits of every byte.
const DIGITS: [[u8; 2]; 256] = {
    const ONE: &[u8; 16] = b"0123456789abcdef";
    let mut both = [[0; 2]; 256];
    let mut byte = 0;
    while byte < both.len() {
        both[byte] = [ONE[byte >> 4], ONE[byte & 15]];
        byte += 1;
    }
    both
};
/// Longest value of `X-Keytoll-Scopes`; scopes that do not fit are left out, which can only make a service stricter.
const SCOPES_MAX_BYTES: usize = 4096;

/// The scopes of keys that have the same, and their text, which is made when the records are.
#[derive(Debug)]
pub(crate) struct HeldScopes {
    set: ScopeSet,
    /// Separated by spaces, as OAuth does it.
    text: Box<str>,
}

impl HeldScopes {
    /// The texts are those of a set that is not all.
    pub(crate) fn new(set: ScopeSet, texts: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let text = match set {
            ScopeSet::All => ALL.to_owned(),
            ScopeSet::Only(_) => join(texts, SCOPES_MAX_BYTES),
        };
        Self { set, text: text.into() }
    }
}

impl Deref for HeldScopes {
    type Target = ScopeSet;

    fn deref(&self) -> &ScopeSet {
        &self.set
    }
}

fn join(texts: impl Iterator<Item = impl AsRef<str>>, max_bytes: usize) -> String {
    let mut joined = String::new();
    for text in texts {
        let text = text.as_ref();
        if joined.len() + 1 + text.len() > max_bytes {
            continue;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(text);
    }
    joined
}

/// Writes the fields of a granted call; without a key all are empty.
pub(crate) fn write(out: &mut Vec<u8>, key: Option<&KeyRecord>) {
    let Some(key) = key else {
        out.extend_from_slice(
            b"x-keytoll-key-id: \r\nx-keytoll-partner-id: \r\nx-keytoll-subscription-id: \r\n\
              x-keytoll-plan: \r\nx-keytoll-scopes: \r\nx-keytoll-environment: \r\n",
        );
        return;
    };
    put_id(out, b"x-keytoll-key-id: key_", key.id.to_bytes());
    put_id(out, b"\r\nx-keytoll-partner-id: ptn_", key.partner().to_bytes());
    put_id(out, b"\r\nx-keytoll-subscription-id: sub_", key.subscription.id.to_bytes());
    out.extend_from_slice(b"\r\nx-keytoll-plan: ");
    if let Some(slug) = &key.subscription.state.load().plan.slug {
        out.extend_from_slice(slug.as_str().as_bytes());
    }
    out.extend_from_slice(b"\r\nx-keytoll-scopes: ");
    out.extend_from_slice(key.scopes.text.as_bytes());
    out.extend_from_slice(b"\r\nx-keytoll-environment: ");
    out.extend_from_slice(key.environment.as_str().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An id after the text before it, without a line end.
pub(crate) fn put_id(out: &mut Vec<u8>, before: &[u8], id: [u8; 16]) {
    out.extend_from_slice(before);
    out.extend_from_slice(&hex::<16, 32>(id));
}

/// Two digits a byte; `CHARS` is twice `BYTES`.
pub(crate) fn hex<const BYTES: usize, const CHARS: usize>(bytes: [u8; BYTES]) -> [u8; CHARS] {
    const { assert!(CHARS == 2 * BYTES) };
    let mut text = [0; CHARS];
    for (two, byte) in text.chunks_exact_mut(2).zip(bytes) {
        two.copy_from_slice(&DIGITS[usize::from(byte)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_do_not_fit_are_left_out_whole() {
        assert_eq!(join(["a:read", "b:write"].iter(), 100), "a:read b:write");
        assert_eq!(join(["a:read", "b:write", "c"].iter(), 9), "a:read c");
        assert_eq!(join(std::iter::empty::<&str>(), 9), "");
    }
}
