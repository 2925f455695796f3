//! The gateway's own answers: refusals, failures, and the limit headers that every answer to a known key carries.
//!
//! An answer's head is text in HTTP/1 form from the start, which is what most clients get; HTTP/2 takes it apart again.

use http::StatusCode;
use keytoll_domain::catalog::ErrorTexts;
use keytoll_domain::limits::Limited;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::MICROS_PER_SECOND;

use crate::compile::Tables;
use crate::core::RequestId;
use crate::policies::Closed;

use crate::server::tunnel::Tunnel;
use crate::upstream::Failure;
use crate::upstream::relay::Relay;

const QUOTA_TYPE: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// Room for most heads, so that writing one allocates once.
const HEAD_BYTES: usize = 768;

/// What goes back to the client. Framing fields are left to the one who sends it.
pub(crate) struct Answer {
    pub status: u16,
    /// Status line and fields in HTTP/1 form, each with its line end; without the empty line.
    pub head: Vec<u8>,
    pub body: AnswerBody,
}

pub(crate) enum AnswerBody {
    Own(Vec<u8>),
    /// An upstream's answer, which is still on its way. `length` is what its head announced, for answers to HEAD.
    Relay {
        relay: Box<Relay>,
        length: Option<u64>,
    },
    /// The connection carries another protocol from here on.
    Tunnel(Box<Tunnel>),
}

impl Answer {
    /// Begins an answer of our own, which nobody may keep.
    pub(crate) fn own(status: u16, id: RequestId, kind: &str, body: Vec<u8>) -> Self {
        let mut answer = Self::begin(status, id, HEAD_BYTES + body.len());
        answer.field("content-type", kind.as_bytes());
        answer.field("cache-control", b"no-store");
        answer.body = AnswerBody::Own(body);
        answer
    }

    pub(crate) fn empty(status: u16, id: RequestId) -> Self {
        Self::begin(status, id, HEAD_BYTES)
    }

    /// With room for what is to follow, so that its head need not move.
    fn begin(status: u16, id: RequestId, room: usize) -> Self {
        let mut head = Vec::with_capacity(room);
        put_status(&mut head, status);
        put_request_id(&mut head, id);
        Self { status, head, body: AnswerBody::Own(Vec::new()) }
    }

    pub(crate) fn json(id: RequestId, body: Vec<u8>) -> Self {
        Self::own(200, id, "application/json", body)
    }

    /// Adds a member to a JSON object of our own.
    pub(crate) fn add_member(&mut self, name: &str, value: &serde_json::Value) {
        let AnswerBody::Own(body) = &mut self.body else { return };
        if body.pop_if(|last| *last == b'}').is_some() {
            body.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
        }
    }

    /// Appends a field; the caller knows that the value holds no line end.
    pub(crate) fn field(&mut self, name: &str, value: &[u8]) {
        debug_assert!(!value.contains(&b'\n') && !value.contains(&b'\r'));
        put(&mut self.head, &[name.as_bytes(), b": ", value, b"\r\n"]);
    }
}

/// Begins a head.
pub(crate) fn put_status(head: &mut Vec<u8>, status: u16) {
    if status == 200 {
        head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    head.extend_from_slice(b"HTTP/1.1 ");
    put_number(head, status.into());
    put(head, &[b" ", reason.unwrap_or_default().as_bytes(), b"\r\n"]);
}

pub(crate) fn put_request_id(head: &mut Vec<u8>, id: RequestId) {
    put(head, &[b"x-request-id: ", &id.text(), b"\r\n"]);
}

pub(crate) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(crate) fn put_integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// What a problem says. Texts are known to need no escaping: they are ours, or scope names.
pub(crate) struct Problem<'a> {
    pub status: u16,
    pub code: &'static str,
    pub error: &'static str,
    /// Appended to the error after a colon.
    pub subject: Option<&'a str>,
    pub detail: &'a str,
    pub limited: Option<Limited>,
    pub retry_after_secs: Option<u64>,
    pub upgrade_url: Option<&'a str>,
    pub allow: Option<&'a str>,
}

/// What a refusal's answer needs to know beside the refusal.
#[derive(Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    pub texts: ErrorTexts,
    pub allow: Option<&'a str>,
    pub upgrade_url: Option<&'a str>,
    /// What a product in maintenance says.
    pub closed: Option<Closed<'a>>,
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
    let closed = context.closed.filter(|_| refusal == Refusal::Maintenance);
    with(&Problem {
        status: refusal.status(),
        code: refusal.code(),
        error: refusal.error(context.texts),
        subject: scope.as_deref(),
        detail: closed.and_then(|closed| closed.detail).unwrap_or(refusal.detail()),
        limited: refusal.limited(),
        retry_after_secs: closed
            .map_or(refusal.retry_after_secs(), |closed| closed.retry_after_secs),
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
        Failure::Unavailable => (
            503,
            "upstream_unavailable",
            "Service unavailable",
            "The service behind this API takes no calls for now.",
        ),
        Failure::Timeout => (
            504,
            "upstream_timeout",
            "Gateway timeout",
            "The service behind this API did not answer in time.",
        ),
        Failure::NotCached => (
            504,
            "not_cached",
            "Gateway timeout",
            "There is no fresh answer in the cache, and the request wants no other.",
        ),
        Failure::ClientBroke | Failure::ClientGone => return plain(Refusal::RequestInvalid),
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
        retry_after_secs: None,
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
        retry_after_secs: None,
        upgrade_url: None,
        allow: None,
    }
}

impl Problem<'_> {
    /// The RFC 9457 body with the members of older clients beside.
    pub(crate) fn body(&self, id: RequestId) -> Vec<u8> {
        let id = id.text();
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let title = status.canonical_reason().unwrap_or_default().as_bytes();
        let kind = if self.limited.is_some() { QUOTA_TYPE } else { "about:blank" };
        let mut body = Vec::with_capacity(512);
        put(&mut body, &[b"{\"type\":\"", kind.as_bytes(), b"\",\"title\":\"", title]);
        put(&mut body, &[b"\",\"detail\":\"", self.detail.as_bytes()]);
        put(&mut body, &[b"\",\"instance\":\"urn:uuid:", &id, b"\",\"code\":\""]);
        put(&mut body, &[self.code.as_bytes(), b"\",\"error\":\"", self.error.as_bytes()]);
        if let Some(subject) = self.subject {
            put(&mut body, &[b": ", subject.as_bytes()]);
        }
        put(&mut body, &[b"\",\"request_id\":\"", &id]);
        if let Some(url) = self.upgrade_url {
            put(&mut body, &[b"\",\"upgrade_url\":\"", url.as_bytes()]);
        }
        body.extend_from_slice(b"\",\"status\":");
        put_number(&mut body, self.status.into());
        if let Some(secs) = self.retry_after_secs {
            body.extend_from_slice(b",\"retryAfter\":");
            put_number(&mut body, secs);
        }
        if let Some(limited) = self.limited {
            let name = limited.name.as_str().as_bytes();
            put(&mut body, &[b",\"violated-policies\":[\"", name, b"\"]"]);
        }
        body.push(b'}');
        body
    }

    pub(crate) fn answer(&self, id: RequestId) -> Answer {
        self.answer_as(self.status, id)
    }

    /// The same under another status, for callers that take only a few.
    pub(crate) fn answer_as(&self, status: u16, id: RequestId) -> Answer {
        let mut answer = Answer::own(status, id, "application/problem+json", self.body(id));
        if status == 401 {
            answer.field("www-authenticate", b"Bearer realm=\"api\"");
        }
        if let Some(allow) = self.allow {
            answer.field("allow", allow.as_bytes());
        }
        if let Some(secs) = self.retry_after_secs {
            answer.head.extend_from_slice(b"retry-after: ");
            put_number(&mut answer.head, secs);
            answer.head.extend_from_slice(b"\r\n");
        }
        answer
    }
}

/// Microseconds to whole seconds, rounded up.
pub(crate) fn ceil_secs(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_SECOND) + i64::from(micros.rem_euclid(MICROS_PER_SECOND) > 0)
}
