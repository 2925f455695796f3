//! Heads between HTTP/2 and the form in which the rest of the gateway knows them.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use keytoll_domain::refusal::Refusal;

use crate::fields::{Name, parse_length};
use crate::request::{BodyFraming, Request};

/// Takes a head over. `ended`: no body follows it.
pub(super) fn take(
    request: &mut Request,
    head: &Parts,
    ended: bool,
    fields_max: usize,
) -> Result<(), Refusal> {
    if head.headers.len() > fields_max {
        return Err(Refusal::HeaderTooLarge);
    }
    let uri = &head.uri;
    let protocol = head.extensions.get::<Protocol>();
    let switches = protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    let method = if switches { "GET" } else { head.method.as_str() };
    request.begin(method, uri.path(), uri.query());
    request.switches = switches;
    let named = uri.authority().map(|authority| authority.as_str().as_bytes());
    if let Some(named) = named {
        request.fields.push(b"host", named);
    }
    let mut crumbs = Vec::new();
    for (name, value) in &head.headers {
        let value = value.as_bytes().trim_ascii();
        if name == HOST {
            match named {
                None => request.fields.push(b"host", value),
                Some(named) if named.eq_ignore_ascii_case(value) => {}
                Some(_) => return Err(Refusal::RequestInvalid),
            }
        } else if name == COOKIE {
            // Sent in pieces for the sake of compression.
            if !crumbs.is_empty() {
                crumbs.extend_from_slice(b"; ");
            }
            crumbs.extend_from_slice(value);
        } else {
            request.fields.push(name.as_str().as_bytes(), value);
        }
    }
    if !crumbs.is_empty() {
        request.fields.push(b"cookie", &crumbs);
    }
    let framing = if switches { BodyFraming::None } else { framing(request, ended)? };
    request.finish(framing)
}

fn framing(request: &Request, ended: bool) -> Result<BodyFraming, Refusal> {
    let fields = &request.fields;
    let length = match (fields.has(Name::ContentLength), fields.only(Name::ContentLength)) {
        (false, _) => None,
        (true, value) => Some(value.and_then(parse_length).ok_or(Refusal::RequestInvalid)?),
    };
    match (length, ended) {
        (None | Some(0), true) | (Some(0), false) => Ok(BodyFraming::None),
        (Some(_), true) => Err(Refusal::RequestInvalid),
        (Some(length), false) => Ok(BodyFraming::Length(length)),
        (None, false) => Ok(BodyFraming::Chunked),
    }
}

/// An answer's head, taken apart again; `length` becomes its `Content-Length`.
pub(super) fn response(status: u16, text: &[u8], length: Option<u64>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    put_fields(headers, text);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// Takes over the fields of a head in HTTP/1 form, of either side.
pub(crate) fn put_fields(headers: &mut HeaderMap, text: &[u8]) {
    for line in text.split(|byte| *byte == b'\n').skip(1) {
        put(headers, line);
    }
}

/// Fields of one connection have no place in HTTP/2.
fn put(headers: &mut HeaderMap, line: &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if Name::of(name).is_hop_by_hop() {
        return;
    }
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}
