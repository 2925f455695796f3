//! The gateway's own answers: refusals, failures, and the limit headers that every answer to a known key carries.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use keytoll_domain::catalog::ErrorTexts;
use keytoll_domain::limits::{Limited, Standings};
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::{MICROS_PER_SECOND, Timestamp};

use crate::compile::Tables;
use crate::core::RequestId;
use crate::upstream::Failure;
use crate::upstream::body::Body;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const QUOTA_TYPE: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// What a problem says. Texts are known to need no escaping: they are ours, or scope names.
pub(crate) struct Problem<'a> {
    pub status: u16,
    pub code: &'static str,
    pub error: &'static str,
    /// Appended to the error after a colon.
    pub subject: Option<&'a str>,
    pub detail: &'static str,
    pub limited: Option<Limited>,
    pub upgrade_url: Option<&'a str>,
    pub allow: Option<&'a str>,
}

/// What a refusal's answer needs to know beside the refusal.
#[derive(Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    pub texts: ErrorTexts,
    pub allow: Option<&'a str>,
    pub upgrade_url: Option<&'a str>,
}

/// Calls `with` with the problem that a refusal is.
pub(crate) fn with_problem<T>(
    refusal: Refusal,
    context: &Context<'_>,
    tables: &Tables,
    with: impl FnOnce(&Problem<'_>) -> T,
) -> T {
    let scope = match (refusal, context.texts) {
        (_, ErrorTexts::DocumentB) => None,
        (Refusal::ScopeMissing(scope), _) => tables.scope_name(scope),
        _ => None,
    };
    with(&Problem {
        status: refusal.status(),
        code: refusal.code(),
        error: refusal.error(context.texts),
        subject: scope.as_deref(),
        detail: refusal.detail(),
        limited: refusal.limited(),
        upgrade_url: context.upgrade_url.filter(|_| a_plan_would_help(refusal)),
        allow: context.allow.filter(|_| refusal == Refusal::MethodNotAllowed),
    })
}

fn a_plan_would_help(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::SubscriptionInactive
            | Refusal::PaymentRequired
            | Refusal::SpendCapReached
            | Refusal::OperationNotInPlan
            | Refusal::ProductNotInPlan
            | Refusal::RateLimited(_)
            | Refusal::QuotaExceeded(_)
    )
}

/// The problem of a granted call that got no answer from its upstream.
pub(crate) fn failure(failure: Failure) -> Problem<'static> {
    let (status, code, error, detail) = match failure {
        Failure::Unreachable => (
            502,
            "upstream_unreachable",
            "Bad gateway",
            "The service behind this API cannot be reached.",
        ),
        Failure::Broken | Failure::Garbage => (
            502,
            "upstream_unreachable",
            "Bad gateway",
            "The service behind this API gave no valid answer.",
        ),
        Failure::Timeout => (
            504,
            "upstream_timeout",
            "Gateway timeout",
            "The service behind this API did not answer in time.",
        ),
        Failure::ClientBroke => return plain(Refusal::RequestInvalid),
        Failure::ClientSlow => return plain(Refusal::RequestTimeout),
        Failure::BodyTooLarge => return plain(Refusal::BodyTooLarge),
    };
    Problem {
        status,
        code,
        error,
        subject: None,
        detail,
        limited: None,
        upgrade_url: None,
        allow: None,
    }
}

fn plain(refusal: Refusal) -> Problem<'static> {
    Problem {
        status: refusal.status(),
        code: refusal.code(),
        error: refusal.error(ErrorTexts::Standard),
        subject: None,
        detail: refusal.detail(),
        limited: None,
        upgrade_url: None,
        allow: None,
    }
}

pub(crate) fn not_implemented() -> Problem<'static> {
    Problem {
        status: 501,
        code: "upgrade_not_supported",
        error: "Upgrade not supported",
        subject: None,
        detail: "This gateway does not pass protocol upgrades.",
        limited: None,
        upgrade_url: None,
        allow: None,
    }
}

impl Problem<'_> {
    /// The RFC 9457 body with the members of older clients beside.
    pub(crate) fn body(&self, id: RequestId) -> String {
        let id = id.text();
        let id = std::str::from_utf8(&id).unwrap_or_default();
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let title = status.canonical_reason().unwrap_or_default();
        let kind = if self.limited.is_some() { QUOTA_TYPE } else { "about:blank" };
        let mut body = String::with_capacity(512);
        let mut member = |name: &str, value: &[&str]| {
            let separator = if body.is_empty() { "{\"" } else { "\",\"" };
            for part in [separator, name, "\":\""].iter().chain(value) {
                body.push_str(part);
            }
        };
        member("type", &[kind]);
        member("title", &[title]);
        member("detail", &[self.detail]);
        member("instance", &["urn:uuid:", id]);
        member("code", &[self.code]);
        match self.subject {
            Some(subject) => member("error", &[self.error, ": ", subject]),
            None => member("error", &[self.error]),
        }
        member("request_id", &[id]);
        if let Some(url) = self.upgrade_url {
            member("upgrade_url", &[url]);
        }
        // Writing to a string cannot fail.
        let _ = write!(body, "\",\"status\":{}", self.status);
        if let Some(limited) = self.limited {
            let (retry, name) = (limited.retry_after_secs(), limited.name.as_str());
            let _ = write!(body, ",\"retryAfter\":{retry},\"violated-policies\":[\"{name}\"]");
        }
        body.push('}');
        body
    }

    pub(crate) fn answer(&self, id: RequestId) -> Response<Body> {
        let mut response = own(self.status, PROBLEM_JSON, self.body(id).into());
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, id_value(id));
        if self.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if let Some(limited) = self.limited {
            headers.insert(RETRY_AFTER, limited.retry_after_secs().into());
        }
        response
    }
}

/// An answer that nobody may keep.
fn own(status: u16, kind: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Own(Some(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.reserve(12);
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn json(id: RequestId, value: &serde_json::Value) -> Response<Body> {
    let mut response = own(200, JSON, value.to_string().into());
    response.headers_mut().insert(X_REQUEST_ID, id_value(id));
    response
}

pub(crate) fn empty(id: RequestId, status: u16) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(X_REQUEST_ID, id_value(id));
    response
}

pub(crate) fn id_value(id: RequestId) -> HeaderValue {
    value(Bytes::copy_from_slice(&id.text()))
}

fn value(bytes: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes).expect("only digits and our own ASCII names are written")
}

/// Puts the limit headers in: of the limit that refused, else of the tightest one.
pub(crate) fn limit_headers(
    headers: &mut HeaderMap,
    standings: &Standings,
    refused: Option<Limited>,
    now: Timestamp,
) {
    let Some(tightest) = standings.tightest() else { return };
    let (limit, remaining, reset) = match refused {
        Some(limited) => (limited.limit, limited.remaining, limited.retry_at),
        None => (tightest.limit, tightest.remaining, tightest.reset),
    };
    let mut text = BytesMut::with_capacity(256);
    let mut put = |name: HeaderName, write: &dyn Fn(&mut BytesMut) -> std::fmt::Result| {
        // Memory grows as needed, so that writing cannot fail.
        let _ = write(&mut text);
        headers.insert(name, value(text.split().freeze()));
    };
    put(LIMIT, &|text| write!(text, "{limit}"));
    put(REMAINING, &|text| write!(text, "{remaining}"));
    put(RESET, &|text| write!(text, "{}", ceil_secs(reset.0)));
    put(POLICY, &|text| {
        for (index, one) in standings.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let (name, limit, secs) = (one.name.as_str(), one.limit, one.window_secs.max(1));
            write!(text, "{separator}\"{name}\";q={limit};w={secs}")?;
        }
        Ok(())
    });
    put(STANDING, &|text| {
        for (index, one) in standings.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let (name, left) = (one.name.as_str(), one.remaining);
            let secs = ceil_secs(one.reset.0.saturating_sub(now.0)).max(0);
            write!(text, "{separator}\"{name}\";r={left};t={secs}")?;
        }
        Ok(())
    });
}

/// Microseconds to whole seconds, rounded up.
pub(crate) fn ceil_secs(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_SECOND) + i64::from(micros.rem_euclid(MICROS_PER_SECOND) > 0)
}
