//! `Cache-Control` of requests and answers. What is contradictory or unreadable is read in the cautious way.

use super::date;
use super::{Lines, joined};

/// Numbers that do not fit are as good as for ever (RFC 9111, 1.2.2).
const SECS_MAX: u64 = 1 << 31;

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive of its own")]
pub(super) struct RequestControl {
    pub(super) no_store: bool,
    pub(super) only_if_cached: bool,
    /// It asks for a part of the answer, or names a condition that only the upstream can judge.
    pub(super) partial: bool,
    no_cache: bool,
    max_age: Option<u64>,
    min_fresh: Option<u64>,
}

impl RequestControl {
    pub(super) fn read(headers: Lines<'_>) -> Self {
        const PARTIAL: [&str; 4] = ["range", "if-range", "if-match", "if-unmodified-since"];
        let mut read = Self::default();
        let value = joined(headers, "cache-control");
        directives(value.as_deref().unwrap_or_default(), |name, value| match name {
            "no-store" => read.no_store = true,
            "no-cache" => read.no_cache = true,
            "only-if-cached" => read.only_if_cached = true,
            "max-age" => read.max_age = Some(seconds(value).unwrap_or(0)),
            "min-fresh" => read.min_fresh = Some(seconds(value).unwrap_or(SECS_MAX)),
            _ => {}
        });
        if value.is_none() {
            let pragma = joined(headers, "pragma").unwrap_or_default();
            directives(&pragma, |name, _| read.no_cache |= name == "no-cache");
        }
        read.partial = headers
            .iter()
            .any(|(name, _)| PARTIAL.iter().any(|one| name.eq_ignore_ascii_case(one)));
        read
    }

    /// Whether the client takes an answer of this age; `max-stale` is not granted.
    pub(super) fn takes(&self, age: u64, lifetime: u64) -> bool {
        !self.no_cache
            && age < lifetime
            && self.max_age.is_none_or(|most| age <= most)
            && self.min_fresh.is_none_or(|least| lifetime - age >= least)
    }
}

/// Seconds that an answer is fresh from when it was made; `None` if it must not be kept.
pub(super) fn lifetime_secs(headers: Lines<'_>, identified: bool, now_secs: u64) -> Option<u64> {
    let (mut forbidden, mut for_others) = (false, false);
    let (mut shared, mut max_age): (Option<u64>, Option<u64>) = (None, None);
    let value = joined(headers, "cache-control").unwrap_or_default();
    directives(&value, |name, value| match name {
        "no-store" | "private" | "no-cache" => forbidden = true,
        "public" | "must-revalidate" => for_others = true,
        "s-maxage" => {
            for_others = true;
            least(&mut shared, seconds(value).unwrap_or(0));
        }
        "max-age" => least(&mut max_age, seconds(value).unwrap_or(0)),
        _ => {}
    });
    if forbidden || (identified && !for_others) {
        return None;
    }
    let expires = || {
        let expires = joined(headers, "expires")?;
        let made = joined(headers, "date").and_then(|date| date::parse(&date));
        Some(date::parse(&expires)?.saturating_sub(made.unwrap_or(now_secs)))
    };
    shared.or(max_age).or_else(expires).filter(|secs| *secs > 0)
}

fn least(kept: &mut Option<u64>, secs: u64) {
    *kept = Some(kept.map_or(secs, |before| before.min(secs)));
}

fn seconds(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(SECS_MAX).min(SECS_MAX))
}

/// Calls `each` with names in lower case and values without quotes. A comma within quotes separates nothing.
fn directives(value: &[u8], mut each: impl FnMut(&str, &str)) {
    let value = String::from_utf8_lossy(value);
    let mut quoted = false;
    let parts = value.split(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim().to_ascii_lowercase();
        each(&name, value.trim().trim_matches('"'));
    }
}
