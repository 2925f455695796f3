//! How a key is written: the presets, their visible prefixes, and the check that rejects typos.
//!
//! Randomness comes from the caller as a function that fills a buffer from a CSPRNG. Characters are drawn by
//! rejection, so that every one is equally likely.

use serde::{Deserialize, Serialize};

use crate::key::{Environment, PlainKey};

/// Fills a buffer from a cryptographically secure source.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The brand prefix of an installation that chose none.
pub const DEFAULT_BRAND: &str = "sk";
const BRAND_MAX_LEN: usize = 16;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";
const SECRET_LEN: usize = 43;
const CHECK_LEN: usize = 6;
const PUBLIC_ID_LEN: usize = 8;
const SHORT_PREFIX_LEN: usize = 8;
/// Fewest digits of a grouped key. The first eight are its visible prefix; 96 bits stay secret.
pub const GROUPED_LEN_MIN: u8 = 32;

/// The presets of DESIGN §6 by the names the catalogue uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// `sk_live_` + 8 hex + `_` + 43 base62 + 6 characters of CRC-32.
    #[default]
    Default,
    /// `sk_` + 64 hex.
    Hex64,
    /// `sk_` + 48 alphanumeric.
    Alnum48,
    /// `sk_live_` + 43 base64url.
    Base64url43,
    /// `sk_live_` + 8 hex + `_` + 32 base64url.
    #[serde(rename = "hex8_base64url32")]
    Hex8Base64url32,
    /// Hexadecimal digits in groups, `BA907863-47C1A4F5-…`.
    Grouped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterCase {
    Upper,
    Lower,
    Mixed,
}

/// Shape of a [`KeyFormat::Grouped`] key: `length` digits, a dash after every `interval` when `split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    pub length: u8,
    pub split: bool,
    pub interval: u8,
    pub case: LetterCase,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { length: 32, split: true, interval: 8, case: LetterCase::Upper }
    }
}

/// A new key and the part of it that stays visible.
#[derive(Debug)]
pub struct NewSecret {
    pub key: PlainKey,
    pub prefix: String,
}

/// 1 to 16 letters, digits or dashes, beginning with a letter: the first part of every key of a brand.
pub fn is_brand(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    text.len() <= BRAND_MAX_LEN
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(word)
}

/// Draws a key. `brand` must pass [`is_brand`].
pub fn generate(
    format: KeyFormat,
    grouping: Grouping,
    brand: &str,
    environment: Environment,
    fill: Fill,
) -> NewSecret {
    let env = environment.as_str();
    match format {
        KeyFormat::Default => {
            let prefix = format!("{brand}_{env}_{}", draw(HEX, PUBLIC_ID_LEN, fill));
            let body = format!("{prefix}_{}", draw(BASE62, SECRET_LEN, fill));
            let check = check_text(body.as_bytes());
            secret(body + &check, prefix)
        }
        KeyFormat::Hex64 => short(format!("{brand}_{}", draw(HEX, 64, fill))),
        KeyFormat::Alnum48 => short(format!("{brand}_{}", draw(BASE62, 48, fill))),
        KeyFormat::Base64url43 => {
            let body = draw(BASE64URL, SECRET_LEN, fill);
            let text = format!("{brand}_{env}_{body}");
            let visible = text.len() - body.len() + 4;
            let prefix = text[..visible].to_owned();
            secret(text, prefix)
        }
        KeyFormat::Hex8Base64url32 => {
            let prefix = format!("{brand}_{env}_{}", draw(HEX, PUBLIC_ID_LEN, fill));
            let text = format!("{prefix}_{}", draw(BASE64URL, 32, fill));
            secret(text, prefix)
        }
        KeyFormat::Grouped => grouped(grouping, fill),
    }
}

/// Whether a text has the form of the brand's keys: brand, underscore, something. Such a value in a
/// later key source is taken for a key and not passed to the upstream.
pub fn has_brand_form(brand: &str, text: &[u8]) -> bool {
    text.strip_prefix(brand.as_bytes()).is_some_and(|rest| rest.len() > 1 && rest[0] == b'_')
}

/// False only for a text that has the default format's shape but not its checksum: a typo that needs no
/// lookup. Anything else may be a key of another format.
pub fn may_be_a_key(brand: &str, text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(brand.as_bytes()) else { return true };
    let Some(rest) = rest.strip_prefix(b"_live_").or_else(|| rest.strip_prefix(b"_test_")) else {
        return true;
    };
    let shaped = rest.len() == PUBLIC_ID_LEN + 1 + SECRET_LEN + CHECK_LEN
        && rest[PUBLIC_ID_LEN] == b'_'
        && rest[..PUBLIC_ID_LEN].iter().all(|b| HEX.contains(b))
        && rest[PUBLIC_ID_LEN + 1..].iter().all(u8::is_ascii_alphanumeric);
    if !shaped {
        return true;
    }
    let (body, check) = text.split_at(text.len() - CHECK_LEN);
    check_text(body).as_bytes() == check
}

/// CRC-32 (IEEE) in base62, most significant digit first, padded to six characters.
fn check_text(body: &[u8]) -> String {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECK_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

fn secret(text: String, prefix: String) -> NewSecret {
    NewSecret { key: PlainKey::new(text), prefix }
}

fn short(text: String) -> NewSecret {
    let prefix = text[..SHORT_PREFIX_LEN].to_owned();
    secret(text, prefix)
}

fn grouped(grouping: Grouping, fill: Fill) -> NewSecret {
    let digits = draw(HEX, usize::from(grouping.length), fill);
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        let boundary = grouping.split
            && index > 0
            && grouping.interval > 0
            && index.is_multiple_of(usize::from(grouping.interval));
        if boundary {
            text.push('-');
        }
        let upper = match grouping.case {
            LetterCase::Upper => true,
            LetterCase::Lower => false,
            LetterCase::Mixed => digit.is_ascii_alphabetic() && coin(fill),
        };
        text.push(if upper { digit.to_ascii_uppercase() } else { digit });
    }
    let prefix = text.chars().take(SHORT_PREFIX_LEN).collect();
    secret(text, prefix)
}

fn coin(fill: Fill) -> bool {
    let mut byte = [0];
    fill(&mut byte);
    byte[0] & 1 == 1
}

/// `len` characters of the alphabet, each equally likely: bytes past the last whole multiple are drawn again.
fn draw(alphabet: &[u8], len: usize, fill: Fill) -> String {
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(len);
    let mut buffer = [0u8; 64];
    while text.len() < len {
        fill(&mut buffer);
        for byte in buffer.iter().map(|b| usize::from(*b)).filter(|b| *b < fair) {
            if text.len() == len {
                break;
            }
            text.push(char::from(alphabet[byte % alphabet.len()]));
        }
    }
    text
}

#[cfg(test)]
mod tests;
