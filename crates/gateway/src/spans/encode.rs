//! OTLP in JSON: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Ids are hexadecimal, 64-bit
//! numbers are texts. Attributes are named as OpenTelemetry's conventions for HTTP servers have it, ours `keytoll.…`.

use std::borrow::Cow;

use keytoll_domain::time::Timestamp;
use serde::{Serialize, Serializer};

use super::{OTHER_METHOD, Span};
use crate::identity::hex;

/// Value of `kind` for a request that is served.
const SERVER: u8 = 2;
/// Value of `code` for a span that went wrong.
const ERROR: u8 = 2;
/// In `flags` beside those of the trace: it is known whether the parent is elsewhere, and it is.
const PARENT_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;
const SCOPE: &str = "keytoll.gateway";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'s> {
    resource_spans: [ResourceSpans<'s>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'s> {
    resource: Resource<'s>,
    scope_spans: [ScopeSpans<'s>; 1],
}

#[derive(Serialize)]
struct Resource<'s> {
    attributes: [Attribute<'s>; 3],
}

#[derive(Serialize)]
struct ScopeSpans<'s> {
    scope: Scope,
    spans: Vec<OneSpan<'s>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneSpan<'s> {
    trace_id: Hex<16, 32>,
    span_id: Hex<8, 16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Hex<8, 16>>,
    flags: u32,
    name: Cow<'s, str>,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Serialize)]
struct Attribute<'s> {
    key: &'static str,
    value: Value<'s>,
}

#[derive(Serialize)]
enum Value<'s> {
    #[serde(rename = "stringValue")]
    Text(Cow<'s, str>),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Truth(bool),
}

struct Hex<const BYTES: usize, const CHARS: usize>([u8; BYTES]);

impl<const BYTES: usize, const CHARS: usize> Serialize for Hex<BYTES, CHARS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = hex::<BYTES, CHARS>(self.0);
        serializer.serialize_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

/// The body of one request to the collector.
pub(super) fn request(node: &str, spans: &[Span]) -> Vec<u8> {
    let attributes = [
        text("service.name", "keytoll"),
        text("service.version", VERSION),
        text("service.instance.id", node),
    ];
    let scope = Scope { name: SCOPE, version: VERSION };
    let spans = spans.iter().map(one).collect();
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes },
            scope_spans: [ScopeSpans { scope, spans }],
        }],
    };
    serde_json::to_vec(&request).expect("writing to memory cannot fail")
}

fn one(span: &Span) -> OneSpan<'_> {
    let context = &span.context;
    let remote = if context.parent.is_some() { PARENT_IS_REMOTE } else { 0 };
    let went_wrong = span.status >= 500;
    OneSpan {
        trace_id: Hex(context.trace.to_be_bytes()),
        span_id: Hex(context.span.to_be_bytes()),
        parent_span_id: context.parent.map(|parent| Hex(parent.to_be_bytes())),
        flags: u32::from(context.flags) | PARENT_KNOWN | remote,
        name: name(span),
        kind: SERVER,
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end.max(span.start)),
        attributes: attributes(span),
        status: went_wrong.then_some(Status { code: ERROR }),
    }
}

fn attributes(span: &Span) -> Vec<Attribute<'_>> {
    let mut attributes = Vec::with_capacity(14);
    attributes.push(text("http.request.method", span.method));
    if let Some(route) = route(span) {
        attributes.push(text("http.route", route));
    }
    let status = span.status.to_string();
    attributes
        .push(Attribute { key: "http.response.status_code", value: Value::Number(status.clone()) });
    let error = match span.code {
        "" if span.status >= 500 => status.into(),
        code => Cow::Borrowed(code),
    };
    if !error.is_empty() {
        attributes.push(text("error.type", error));
    }
    if !span.host.is_empty() {
        attributes.push(text("server.address", &*span.host));
    }
    attributes.push(text("network.protocol.version", span.protocol));
    attributes.push(text("keytoll.product", span.product.as_str()));
    if !span.operation.is_empty() {
        attributes.push(text("keytoll.operation", &*span.operation));
    }
    if let Some(plan) = &span.plan {
        attributes.push(text("keytoll.plan", plan.as_str()));
    }
    if let Some(key) = span.key {
        attributes.push(text("keytoll.key.id", key.to_string()));
    }
    let request = String::from_utf8_lossy(&span.request.text()).into_owned();
    attributes.push(text("keytoll.request.id", request));
    if span.aborted {
        attributes.push(Attribute { key: "keytoll.aborted", value: Value::Truth(true) });
    }
    attributes
}

fn text<'s>(key: &'static str, value: impl Into<Cow<'s, str>>) -> Attribute<'s> {
    Attribute { key, value: Value::Text(value.into()) }
}

/// Method and path template, as far as they are known.
fn name(span: &Span) -> Cow<'_, str> {
    let method = if span.method == OTHER_METHOD { "HTTP" } else { span.method };
    match route(span) {
        Some(route) => format!("{method} {route}").into(),
        None => method.into(),
    }
}

/// The operation's path without method and version.
fn route(span: &Span) -> Option<&str> {
    span.operation.find('/').map(|at| &span.operation[at..])
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.0.max(0)) * 1000).to_string()
}
