//! `Cache-Control` of requests and answers. What is contradictory or unreadable is read in the cautious way.

use super::{date, joined, named};
use crate::fields::Fields;

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

/// How long an answer may be kept, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    /// From when it was made.
    pub lifetime_secs: u64,
    /// It says that callers may see it who are known by name.
    pub for_all: bool,
}

impl RequestControl {
    pub(super) fn read(fields: &[u8]) -> Self {
        const PARTIAL: [&str; 4] = ["range", "if-range", "if-match", "if-unmodified-since"];
        let mut read = Self::default();
        let value = joined(named(fields, "cache-control"));
        directives(value.as_deref().unwrap_or_default(), |name, value| match name {
            "no-store" => read.no_store = true,
            "no-cache" => read.no_cache = true,
            "only-if-cached" => read.only_if_cached = true,
            "max-age" => least(&mut read.max_age, seconds(value).unwrap_or(0)),
            "min-fresh" => read.min_fresh = Some(seconds(value).unwrap_or(SECS_MAX)),
            _ => {}
        });
        if value.is_none() {
            read.no_cache = says_no_cache(named(fields, "pragma"));
        }
        // Ages are whole seconds: what is less than one second old would count as just made.
        read.no_cache |= read.max_age == Some(0);
        read.partial = PARTIAL.iter().any(|name| named(fields, name).next().is_some());
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

/// `None` if the answer must not be kept.
pub(super) fn freshness(answer: &Fields, identified: bool, now_secs: u64) -> Option<Freshness> {
    let (mut forbidden, mut for_all) = (false, false);
    let (mut shared, mut max_age): (Option<u64>, Option<u64>) = (None, None);
    let value = joined(answer.named("cache-control"));
    directives(value.as_deref().unwrap_or_default(), |name, value| match name {
        "no-store" | "private" | "no-cache" => forbidden = true,
        "public" => for_all = true,
        "s-maxage" => {
            for_all = true;
            least(&mut shared, seconds(value).unwrap_or(0));
        }
        "max-age" => least(&mut max_age, seconds(value).unwrap_or(0)),
        _ => {}
    });
    forbidden |= value.is_none() && says_no_cache(answer.named("pragma"));
    if forbidden || (identified && !for_all) {
        return None;
    }
    let expires = || {
        let expires = date::parse(&joined(answer.named("expires"))?)?;
        Some(expires.saturating_sub(made_at(answer).unwrap_or(now_secs)))
    };
    let lifetime_secs = shared.or(max_age).or_else(expires).filter(|secs| *secs > 0)?;
    Some(Freshness { lifetime_secs, for_all })
}

/// What an answer was old when it came: as it says itself and the time it took, or as its date shows.
pub(super) fn age_at_start_secs(answer: &Fields, asked_at_secs: u64, now_secs: u64) -> u64 {
    let said = joined(answer.named("age"));
    let first = said.as_deref().and_then(|list| list.split(|byte| *byte == b',').next());
    let said = first.and_then(|age| seconds(std::str::from_utf8(age).ok()?.trim()));
    let corrected = said.unwrap_or(0) + now_secs.saturating_sub(asked_at_secs);
    let apparent = made_at(answer).map_or(0, |made| now_secs.saturating_sub(made));
    corrected.max(apparent)
}

/// What the answer's `Date` says.
pub(super) fn made_at(answer: &Fields) -> Option<u64> {
    joined(answer.named("date")).and_then(|date| date::parse(&date))
}

fn says_no_cache<'v>(pragma: impl Iterator<Item = &'v [u8]>) -> bool {
    let mut says = false;
    directives(&joined(pragma).unwrap_or_default(), |name, _| says |= name == "no-cache");
    says
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
