//! Who calls, as upstreams and other gateways are told. Every field is always sent, empty where there is nothing to
//! say, so that a client cannot smuggle its own.

use crate::keytable::KeyRecord;

pub(crate) struct Identity<'k> {
    pub key: &'k KeyRecord,
    pub scopes: &'k str,
}

impl Identity<'_> {
    /// Writes the fields of a request to an upstream.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let key = self.key;
        put_id(out, b"x-keytoll-key-id: key_", &key.id.to_bytes());
        put_id(out, b"x-keytoll-partner-id: ptn_", &key.partner().to_bytes());
        out.extend_from_slice(b"x-keytoll-plan: ");
        let state = key.subscription.state.load();
        if let Some(slug) = &state.plan.slug {
            out.extend_from_slice(slug.as_str().as_bytes());
        }
        out.extend_from_slice(b"\r\nx-keytoll-environment: ");
        out.extend_from_slice(key.environment.as_str().as_bytes());
        out.extend_from_slice(b"\r\nx-keytoll-scopes: ");
        out.extend_from_slice(self.scopes.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn put_id(out: &mut Vec<u8>, before: &[u8], id: &[u8; 16]) {
    out.extend_from_slice(before);
    put_hex(out, id);
    out.extend_from_slice(b"\r\n");
}

/// Two digits a byte.
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}
