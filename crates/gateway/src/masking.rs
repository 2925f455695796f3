//! Texts of a client as others may see them: without the keys that somebody put into them.

use std::borrow::Cow;

use crate::path::escape;

/// No key is shorter.
const KEY_MIN_BYTES: usize = 20;
const MASK: &str = "***";

/// The text with [`MASK`] for whatever begins like a key of the brand, up to the next byte that no key has. Where
/// one begins does not matter, nor which of its bytes are percent-encoded, nor how often.
pub(crate) fn without_keys<'t>(brand: &str, text: &'t str) -> Cow<'t, str> {
    let bytes = text.as_bytes();
    if bytes.len() < KEY_MIN_BYTES || !bytes.iter().any(|byte| matches!(byte, b'_' | b'%')) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let (mut kept, mut at) = (0, 0);
    // Every byte may be the first one, also within what reads as an escape: readers of the text see it as it is.
    while at < bytes.len() {
        let Some(end) = key_end(brand, bytes, at) else {
            at += 1;
            continue;
        };
        shown.push_str(&text[kept..at]);
        shown.push_str(MASK);
        (kept, at) = (end, end);
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[kept..]);
    Cow::Owned(shown)
}

/// Where the key ends that begins here. Both places are next to ASCII characters.
fn key_end(brand: &str, bytes: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    for wanted in brand.bytes().chain([b'_']) {
        let (byte, next) = character(bytes, at)?;
        if byte != wanted {
            return None;
        }
        at = next;
    }
    let mut length = brand.len() + 1;
    while let Some((byte, next)) = character(bytes, at) {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            break;
        }
        length += 1;
        at = next;
    }
    (length >= KEY_MIN_BYTES).then_some(at)
}

/// The byte that is written here, and where the next one begins. A percent sign may be encoded itself.
fn character(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let (mut byte, mut next) = (*bytes.get(at)?, at + 1);
    while byte == b'%'
        && let Some(decoded) = escape(bytes, next)
    {
        (byte, next) = (decoded, next + 2);
    }
    Some((byte, next))
}

#[cfg(test)]
mod tests;
