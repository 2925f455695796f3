//! What must hold of a request head before anything else looks at it, and what of it goes upstream.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::BytesMut;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use keytoll_domain::refusal::Refusal;

use crate::core::RequestId;
use crate::credential::{Found, KeyFrom};
use crate::path::{is_plain, is_plain_query};
use crate::upstream::Upstream;
use crate::upstream::head::is_hop_by_hop;

/// Refuses what two readers could read in two ways. hyper has already refused folded fields, bad characters,
/// differing lengths, and codings that do not end in `chunked`.
pub(crate) fn check(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::RequestInvalid);
    };
    let origin_form =
        parts.uri.authority().is_none_or(|authority| !authority.as_str().contains('@'));
    let plain = is_host(host.as_bytes())
        && parts.method != Method::CONNECT
        && parts.version != Version::HTTP_09
        && origin_form
        && is_plain(parts.uri.path())
        && parts.uri.query().is_none_or(is_plain_query)
        && is_one_framing(headers)
        && headers
            .get_all(EXPECT)
            .iter()
            .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if plain { Ok(()) } else { Err(Refusal::RequestInvalid) }
}

fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+;=%".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.iter().copied().all(allowed)
}

fn is_one_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return headers.get_all(CONTENT_LENGTH).iter().count() <= 1;
    };
    codings.next().is_none()
        && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        && !headers.contains_key(CONTENT_LENGTH)
}

/// A protocol switch that the request cannot do without. Others are offers, which may be ignored.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        value.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"))
    })
}

/// Everything that decides what the upstream sees.
pub(crate) struct Outgoing<'r> {
    pub parts: &'r Parts,
    pub upstream: &'r Upstream,
    /// The path below the product, still as it was written.
    pub rest: &'r str,
    pub query: Option<Cow<'r, str>>,
    pub key: Option<(&'r Found<'r>, &'r KeyFrom, &'r str)>,
    pub id: RequestId,
    pub peer: IpAddr,
    /// The peer is a trusted proxy, so that its forwarding fields go on.
    pub peer_trusted: bool,
    pub framing: BodyFraming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    None,
    Length(u64),
    Chunked,
}

impl Outgoing<'_> {
    /// Writes the head: the client's fields in their order, without those of this connection, the key, and what
    /// a client could forge; then ours. `Host` is the upstream's own name; the client's is in `X-Forwarded-Host`.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        put(out, &[self.parts.method.as_str().as_bytes(), b" ", self.upstream.prefix.as_bytes()]);
        put(out, &[self.rest.as_bytes()]);
        if let Some(query) = self.query.as_deref().filter(|query| !query.is_empty()) {
            put(out, &[b"?", query.as_bytes()]);
        }
        put(out, &[b" HTTP/1.1\r\nhost: ", self.upstream.authority.as_bytes(), b"\r\n"]);
        let named = connection_names(&self.parts.headers);
        for (name, value) in &self.parts.headers {
            if self.passes(name, value.as_bytes(), &named) {
                put(out, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            }
        }
        self.write_forwarding(out);
        match self.framing {
            BodyFraming::None if may_have_body(&self.parts.method) => {
                put(out, &[b"content-length: 0\r\n"]);
            }
            BodyFraming::None => {}
            BodyFraming::Length(length) => put_number(out, "content-length: ", length),
            BodyFraming::Chunked => put(out, &[b"transfer-encoding: chunked\r\n"]),
        }
        put(out, &[b"\r\n"]);
    }

    fn passes(&self, name: &HeaderName, value: &[u8], named: &[HeaderName]) -> bool {
        if named.contains(name) || self.is_held_back(name, value) {
            return false;
        }
        // Servers that hand fields on as variables read an underscore as a dash.
        let dashed = name.as_str().contains('_').then(|| name.as_str().replace('_', "-"));
        let dashed = dashed.and_then(|text| HeaderName::from_bytes(text.as_bytes()).ok());
        !dashed.is_some_and(|dashed| self.is_held_back(&dashed, value))
    }

    /// Fields of this connection, those that we write, those that a client could forge, and the key's.
    fn is_held_back(&self, name: &HeaderName, value: &[u8]) -> bool {
        let text = name.as_str();
        matches!(text, "host" | "content-length" | "expect" | "x-request-id")
            || text.starts_with("x-forwarded-")
            || text.starts_with("x-keytoll-")
            || !self.peer_trusted && matches!(text, "forwarded" | "x-real-ip")
            || is_hop_by_hop(name)
            || self
                .key
                .is_some_and(|(found, from, brand)| found.hides_field(from, brand, name, value))
    }

    fn write_forwarding(&self, out: &mut BytesMut) {
        let headers = &self.parts.headers;
        let known = |name: &str| headers.get(name).filter(|_| self.peer_trusted);
        put(out, &[b"x-forwarded-for: "]);
        if self.peer_trusted {
            for value in headers.get_all("x-forwarded-for") {
                put(out, &[value.as_bytes(), b", "]);
            }
        }
        {
            use std::fmt::Write as _;
            let _ = write!(out, "{}", self.peer.to_canonical());
        }
        let proto = known("x-forwarded-proto").map_or(&b"http"[..], |value| value.as_bytes());
        put(out, &[b"\r\nx-forwarded-proto: ", proto, b"\r\n"]);
        let host = known("x-forwarded-host").or(headers.get(HOST));
        if let Some(host) = host {
            put(out, &[b"x-forwarded-host: ", host.as_bytes(), b"\r\n"]);
        }
        put(out, &[b"x-request-id: ", &self.id.text(), b"\r\n"]);
    }
}

/// Fields that `Connection` declares to be of this connection only.
fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            let usual =
                token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close");
            if !usual && let Ok(name) = HeaderName::from_bytes(token) {
                names.push(name);
            }
        }
    }
    names
}

fn may_have_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn put(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn put_number(out: &mut BytesMut, name: &str, number: u64) {
    use std::fmt::Write as _;
    // Memory grows as needed, so that writing cannot fail.
    let _ = write!(out, "{name}{number}\r\n");
}
