//! JSON pointers (RFC 6901) and the percent-encoding of `$ref` fragments.

use std::borrow::Cow;

use serde_json::Value;

/// Appends one reference token to a pointer.
pub(crate) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

pub(crate) fn join(pointer: &str, token: &str) -> String {
    let mut joined = String::with_capacity(pointer.len() + token.len() + 1);
    joined.push_str(pointer);
    push(&mut joined, token);
    joined
}

/// A pointer as it is kept: names in hostile documents may be megabytes long.
pub(crate) fn clip(pointer: &str) -> String {
    const MAX_POINTER_CHARS: usize = 1000;
    pointer.chars().take(MAX_POINTER_CHARS).collect()
}

/// Finds the value that a `$ref` fragment names (without its `#`).
///
/// Documents disagree about encoding, so each token is tried as written, then percent-decoded,
/// then with `+` as a space.
pub(crate) fn find<'v>(root: &'v Value, fragment: &str) -> Option<&'v Value> {
    if fragment.is_empty() {
        return Some(root);
    }
    let mut value = root;
    for raw in fragment.strip_prefix('/')?.split('/') {
        value = step(value, raw)?;
    }
    Some(value)
}

fn step<'v>(value: &'v Value, raw: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => {
            if let Some(found) = map.get(unescape(raw).as_ref()) {
                return Some(found);
            }
            let decoded = percent_decode(raw)?;
            if let Some(found) = map.get(unescape(&decoded).as_ref()) {
                return Some(found);
            }
            map.get(unescape(&decoded.replace('+', " ")).as_ref())
        }
        Value::Array(list) => list.get(raw.parse::<usize>().ok()?),
        _ => None,
    }
}

fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}

/// Decodes `%XX`; a stray `%` stays as it is. `None` if the result is not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = decode_byte(rest) {
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}

/// The first byte that an encoded text stands for, and the rest of the text.
#[inline]
pub(crate) fn decode_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text
        && let (Some(high), Some(low)) = (hex(*high), hex(*low))
    {
        return Some((high << 4 | low, rest));
    }
    text.split_first().map(|(byte, rest)| (*byte, rest))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
