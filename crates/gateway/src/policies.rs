//! What a product does to requests and answers on their way, beside deciding them: cross-origin answers, header
//! rules, notices of maintenance and of an end to come, how much is logged.
//!
//! Everything is written when the product is compiled. A product that asks for none of it has no [`Policies`], so
//! that its calls pay for one look at an `Option`.

use keytoll_domain::catalog::{self, HeaderRules, Product, bounds};
use keytoll_domain::time::Timestamp;

use crate::answer::ceil_secs;
use crate::core::RequestId;
use crate::cors::{self, Cors};
use crate::fields::{Fields, Name};

const REQUESTED_METHOD: &str = "access-control-request-method";

pub(crate) struct Policies {
    cors: Option<Cors>,
    pub request: Option<Rules>,
    response: Option<Rules>,
    pub maintenance: Option<Notice>,
    /// Lines of the product's own deprecation; empty if it has none.
    deprecation: Box<[u8]>,
    log_sample_percent: u8,
}

/// Why every call is turned away.
pub(crate) struct Notice {
    /// For callers; fit for a JSON string.
    detail: Option<Box<str>>,
    until: Option<Timestamp>,
}

/// A notice at some time.
#[derive(Clone, Copy)]
pub(crate) struct Closed<'n> {
    /// Fit for a JSON string.
    pub detail: Option<&'n str>,
    pub retry_after_secs: Option<u64>,
}

/// Lines of a head to leave out, and others to write instead.
pub(crate) struct Rules {
    /// In lower case.
    names: Box<[Box<[u8]>]>,
    lines: Box<[u8]>,
}

impl Policies {
    /// `None` if the product asks for nothing.
    pub(crate) fn of(product: &Product) -> Option<Self> {
        let settings = &product.settings;
        let further = product.versions.iter().flat_map(|version| &version.operations);
        let ends = settings.deprecation.is_some()
            || product.operations.iter().chain(further).any(|one| one.deprecation.is_some());
        let samples = settings.log_sample_percent < bounds::PERCENT_MAX;
        let asks = settings.cors.is_some()
            || !settings.request_headers.is_empty()
            || !settings.response_headers.is_empty()
            || settings.maintenance.is_some()
            || ends
            || samples;
        asks.then(|| Self {
            cors: settings.cors.as_ref().map(Cors::new),
            request: Rules::of(&settings.request_headers),
            response: Rules::of(&settings.response_headers),
            maintenance: settings.maintenance.as_ref().map(Notice::of),
            deprecation: settings.deprecation.as_ref().map(deprecation_lines).unwrap_or_default(),
            log_sample_percent: settings.log_sample_percent,
        })
    }

    /// Writes the answer to a preflight; `false` if the request is none.
    pub(crate) fn preflight(&self, method: &str, fields: &Fields, head: &mut Vec<u8>) -> bool {
        let Some(cors) = self.cors.as_ref().filter(|_| method == "OPTIONS") else { return false };
        let requested = fields.named(REQUESTED_METHOD).next();
        let headers = cors.preflight(method, fields.first(Name::Origin), requested);
        let Some(headers) = headers else { return false };
        put_all(head, &headers);
        true
    }

    /// Writes what pages of other origins need into any answer.
    pub(crate) fn put_cors(&self, fields: &Fields, head: &mut Vec<u8>) {
        if let Some(cors) = &self.cors {
            put_all(head, &cors.answer(fields.first(Name::Origin)));
        }
    }

    /// Changes the upstream's fields, which are the lines from `start`.
    pub(crate) fn change_answer(&self, head: &mut Vec<u8>, start: usize, ends: Option<&[u8]>) {
        let ends = !ends.unwrap_or(&self.deprecation).is_empty();
        if self.response.is_none() && self.cors.is_none() && !ends {
            return;
        }
        retain_lines(head, start, |name| {
            let of_cors =
                self.cors.is_some() && std::str::from_utf8(name).is_ok_and(cors::belongs_to_cors);
            let of_end = ends
                && (name.eq_ignore_ascii_case(b"deprecation")
                    || name.eq_ignore_ascii_case(b"sunset"));
            let by_rule = self.response.as_ref().is_some_and(|rules| rules.names(name));
            !of_cors && !of_end && !by_rule
        });
        if let Some(rules) = &self.response {
            head.extend_from_slice(&rules.lines);
        }
    }

    /// Writes when the operation ends, else the product; the operation's own word goes first.
    pub(crate) fn put_deprecation(&self, of_operation: Option<&[u8]>, head: &mut Vec<u8>) {
        head.extend_from_slice(of_operation.unwrap_or(&self.deprecation));
    }

    /// Whether the access log holds a call that went well. The same request has the same answer everywhere.
    pub(crate) fn logs(&self, id: RequestId) -> bool {
        // The last 62 bits of an id are spread evenly; the first of them decide.
        let spread = u64::try_from((id.0 >> 30) & 0xffff_ffff).unwrap_or(0);
        (spread * u64::from(bounds::PERCENT_MAX)) >> 32 < u64::from(self.log_sample_percent)
    }
}

impl Notice {
    fn of(maintenance: &catalog::Maintenance) -> Self {
        let escape = |message: &String| {
            let quoted = serde_json::Value::from(message.as_str()).to_string();
            quoted[1..quoted.len() - 1].into()
        };
        Self { detail: maintenance.message.as_ref().map(escape), until: maintenance.until }
    }

    /// The seconds until it should be over are told while that is still to come.
    pub(crate) fn at(&self, now: Timestamp) -> Closed<'_> {
        let left = self.until.map(|until| ceil_secs(until.0.saturating_sub(now.0)));
        let secs = left.and_then(|left| u64::try_from(left).ok());
        let retry_after_secs = secs.filter(|secs| *secs > 0);
        Closed { detail: self.detail.as_deref(), retry_after_secs }
    }
}

impl Rules {
    fn of(rules: &HeaderRules) -> Option<Self> {
        let set = rules.set.iter().filter(|(name, value)| is_ours_to_set(name) && is_line(value));
        let mut names = Vec::new();
        let mut lines = Vec::new();
        for (name, value) in set {
            for part in [name, ": ", value, "\r\n"] {
                lines.extend_from_slice(part.as_bytes());
            }
            names.push(name.to_ascii_lowercase().into_bytes().into());
        }
        for name in rules.remove.iter().filter(|name| is_ours_to_set(name)) {
            names.push(name.to_ascii_lowercase().into_bytes().into());
        }
        (!names.is_empty()).then(|| Self { names: names.into(), lines: lines.into() })
    }

    /// Changes a request's fields, which are the lines from `start`.
    pub(crate) fn apply(&self, head: &mut Vec<u8>, start: usize) {
        retain_lines(head, start, |name| !self.names(name));
        head.extend_from_slice(&self.lines);
    }

    /// An underscore counts as a dash: some servers read them as one, and a rule must not be got around.
    fn names(&self, name: &[u8]) -> bool {
        let is = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        self.names.iter().any(|own| {
            own.len() == name.len()
                && own.iter().zip(name).all(|(own, byte)| *own == *byte || *own == is(*byte))
        })
    }
}

/// `Deprecation`, `Sunset` and `Link`, each with its line's end.
pub(crate) fn deprecation_lines(deprecation: &catalog::Deprecation) -> Box<[u8]> {
    let mut lines = format!("deprecation: @{}\r\n", deprecation.at.secs());
    if let Some(sunset) = deprecation.sunset {
        lines.extend(["sunset: ", &sunset.http_date(), "\r\n"]);
    }
    if let Some(link) = deprecation.link.as_ref().filter(|link| is_line(link)) {
        lines.extend(["link: <", link, ">; rel=\"deprecation\"\r\n"]);
    }
    lines.into_bytes().into()
}

fn put_all(head: &mut Vec<u8>, headers: &cors::Headers<'_>) {
    for (name, value) in headers.iter() {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
}

/// Framing and what only the gateway says stay as they are, whatever a stored rule asks for.
fn is_ours_to_set(name: &str) -> bool {
    let id = Name::of(name.as_bytes());
    let is_token = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte));
    is_token
        && !id.is_hop_by_hop()
        && !matches!(id, Name::ContentLength | Name::Host | Name::Keytoll)
}

fn is_line(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte))
}

/// Keeps the lines from `start` whose names pass.
fn retain_lines(head: &mut Vec<u8>, start: usize, keeps: impl Fn(&[u8]) -> bool) {
    let (mut at, mut kept) = (start, start);
    while at < head.len() {
        let rest = &head[at..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let name = rest.iter().position(|byte| *byte == b':').unwrap_or(length);
        if keeps(&rest[..name.min(length)]) {
            head.copy_within(at..at + length, kept);
            kept += length;
        }
        at += length;
    }
    head.truncate(kept);
}

#[cfg(test)]
mod tests;
