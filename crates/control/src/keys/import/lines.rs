//! One line of an import: a key, a SHA-256 of one in hexadecimal or base64, or a JSON object.
//!
//! Messages never contain any part of a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytoll_domain::catalog::{KEY_RATE_MAX, WindowLimits};
use keytoll_domain::key::{BcryptHash, Environment, KeyHash, KeyWindows, SECRET_MAX_LEN};
use keytoll_domain::scope::{self, is_scope};
use keytoll_domain::time::Timestamp;
use serde::Deserialize;

use crate::text::plain_name;

const KEY_MIN_LEN: usize = 16;
const PREFIX_LEN: usize = 8;
const PREFIX_MAX_LEN: usize = 32;
/// A check of cost 14 takes about a second; more would keep other keys waiting too long.
const BCRYPT_COST_MAX: u8 = 14;
const BCRYPT_COST_MIN: u8 = 4;
const BCRYPT_LEN: usize = 60;
/// Of a shorter one every unknown key could begin with it.
const BCRYPT_PREFIX_MIN_LEN: usize = 4;
const SCOPES_MAX: usize = 100;
/// Shown for a hash that came without the visible part of its key.
const UNKNOWN_PREFIX: &str = "imported";

type Message = &'static str;

/// What a secret will be compared with.
#[derive(Clone)]
pub(super) enum HashOf {
    Sha256(KeyHash),
    Bcrypt(BcryptHash),
}

pub(super) struct Line {
    pub(super) hash: HashOf,
    pub(super) prefix: String,
    pub(super) name: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) environment: Environment,
    pub(super) rate_limit_per_minute: Option<u64>,
    pub(super) windows: KeyWindows,
    pub(super) expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    key: Option<String>,
    hash: Option<String>,
    hash_kind: Option<String>,
    prefix: Option<String>,
    name: Option<String>,
    scopes: Option<Vec<String>>,
    environment: Option<String>,
    rate_limit_per_minute: Option<u64>,
    limits: Option<WindowLimits>,
    expires_at: Option<String>,
}

pub(super) fn read_line(line: &str) -> Result<Line, Message> {
    if line.starts_with('{') {
        let object: Object = serde_json::from_str(line).map_err(|_| {
            "not a JSON object of key or hash, hash_kind, prefix, name, scopes, environment, \
             rate_limit_per_minute, limits, expires_at"
        })?;
        return from_object(object);
    }
    if is_bcrypt(line) {
        return Err(BCRYPT);
    }
    let (hash, prefix) = match parse_hash(line) {
        Some(hash) => (hash, UNKNOWN_PREFIX.to_owned()),
        None => of_key(line)?,
    };
    Ok(Line {
        hash: HashOf::Sha256(hash),
        prefix,
        name: None,
        scopes: vec![scope::ALL.to_owned()],
        environment: Environment::Live,
        rate_limit_per_minute: None,
        windows: KeyWindows::default(),
        expires_at: None,
    })
}

const BCRYPT: Message = "a bcrypt hash needs its key's visible prefix: {\"hash\":…,\"hash_kind\":\"bcrypt\",\"prefix\":…}";

fn from_object(object: Object) -> Result<Line, Message> {
    let (hash, own_prefix) = match (&object.key, &object.hash) {
        (Some(key), None) if object.hash_kind.is_none() => {
            let (hash, prefix) = of_key(key)?;
            (HashOf::Sha256(hash), prefix)
        }
        (None, Some(hash)) => {
            let kind = object.hash_kind.as_deref();
            let hash = of_hash(hash, kind, object.prefix.as_deref())?;
            (hash, UNKNOWN_PREFIX.to_owned())
        }
        (Some(_), None) => return Err("hash_kind goes with hash, not with key"),
        _ => return Err("give either key or hash"),
    };
    let scopes = object.scopes.unwrap_or_else(|| vec![scope::ALL.to_owned()]);
    if scopes.is_empty() || scopes.len() > SCOPES_MAX || !scopes.iter().all(|own| is_scope(own)) {
        return Err("scopes: 1 to 100 scopes");
    }
    let rate = object.rate_limit_per_minute;
    if rate.is_some_and(|rate| !(1..=KEY_RATE_MAX).contains(&rate)) {
        return Err("rate_limit_per_minute: 1 to 1000000000, or absent");
    }
    let limits = object.limits.unwrap_or_default();
    if limits.minute.is_some() && rate.is_some() {
        return Err("limits.minute and rate_limit_per_minute are the same: give one");
    }
    let WindowLimits { second, minute, hour, day } = limits;
    let each = [second, minute, hour, day];
    if each.into_iter().flatten().any(|limit| !(1..=KEY_RATE_MAX).contains(&limit)) {
        return Err("limits: second, minute, hour, day, each 1 to 1000000000 or absent");
    }
    let environment =
        object.environment.as_deref().map_or(Some(Environment::Live), Environment::parse);
    let expires_at = object.expires_at.as_deref().map(str::parse::<Timestamp>).transpose();
    let name = object.name.as_deref().map(plain_name).transpose();
    Ok(Line {
        hash,
        prefix: object.prefix.map_or(Ok(own_prefix), given_prefix)?,
        name: name.map_err(|_| "name: 1 to 100 characters on one line")?,
        scopes,
        environment: environment.ok_or("environment: live or test")?,
        rate_limit_per_minute: rate.or(minute),
        windows: KeyWindows { second, hour, day },
        expires_at: expires_at.map_err(|_| "expires_at: a time like 2026-11-30T12:00:00Z")?,
    })
}

fn of_hash(text: &str, kind: Option<&str>, prefix: Option<&str>) -> Result<HashOf, Message> {
    match kind {
        Some("bcrypt") => of_bcrypt(text, prefix.ok_or(BCRYPT)?).map(HashOf::Bcrypt),
        None if is_bcrypt(text) => Err(BCRYPT),
        None | Some("sha256") => parse_hash(text)
            .map(HashOf::Sha256)
            .ok_or("hash: a SHA-256 has 64 hexadecimal digits, or 44 characters of base64"),
        Some(_) => Err("hash_kind: sha256 or bcrypt"),
    }
}

/// `$2a$`, `$2b$` or `$2y$`, two digits of cost, 53 characters of salt and hash. `$2x$` marks hashes of a broken
/// implementation.
fn of_bcrypt(text: &str, prefix: &str) -> Result<BcryptHash, Message> {
    const FORM: Message =
        "hash: a bcrypt hash has 60 characters and begins with $2a$, $2b$ or $2y$";
    let marked = ["$2a$", "$2b$", "$2y$"].iter().any(|mark| text.starts_with(mark));
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    if !marked || !text.is_ascii() || text.len() != BCRYPT_LEN || !text.bytes().skip(7).all(word) {
        return Err(FORM);
    }
    let cost = Some(&text[4..6]).filter(|two| two.bytes().all(|b| b.is_ascii_digit()));
    let cost: u8 = cost.and_then(|two| two.parse().ok()).ok_or(FORM)?;
    if text.as_bytes()[6] != b'$' {
        return Err(FORM);
    }
    if !(BCRYPT_COST_MIN..=BCRYPT_COST_MAX).contains(&cost) {
        return Err("hash: a bcrypt cost of 4 to 14; ask for the keys, or their SHA-256");
    }
    let prefix = given_prefix(prefix.to_owned())?;
    if prefix.len() < BCRYPT_PREFIX_MIN_LEN {
        return Err("prefix: at least 4 characters for a bcrypt hash");
    }
    Ok(BcryptHash { prefix, hash: text.to_owned() })
}

/// A key in the clear. Of what is too short to be secret, importing would make a hole.
fn of_key(key: &str) -> Result<(KeyHash, String), Message> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(KEY_MIN_LEN..=SECRET_MAX_LEN).contains(&key.len()) {
        return Err("a key has 16 to 512 visible ASCII characters");
    }
    let shown = PREFIX_LEN.min(key.len() / 4);
    Ok((KeyHash::of(key.as_bytes()), key[..shown].to_owned()))
}

fn given_prefix(text: String) -> Result<String, Message> {
    let fits = !text.is_empty() && text.len() <= PREFIX_MAX_LEN;
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err("prefix: 1 to 32 visible ASCII characters")
    }
}

fn parse_hash(text: &str) -> Option<KeyHash> {
    if let Some(hash) = KeyHash::from_hex(text) {
        return Some(hash);
    }
    if text.len() != 44 {
        return None;
    }
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(KeyHash)
}

fn is_bcrypt(text: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|mark| text.starts_with(mark))
}
