//! Reading an upstream's answer head: strict about framing, because two readings of one answer are an attack.

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, StatusCode};

use super::Failure;

/// Largest answer head.
pub(crate) const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Most header fields in an answer.
pub(crate) const HEAD_MAX_FIELDS: usize = 100;

/// How the end of the answer's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub status: StatusCode,
    /// Without hop-by-hop fields.
    pub headers: HeaderMap,
    pub framing: Framing,
    pub keep_alive: bool,
}

/// Takes a final answer head from the front of `input`; `None` = more bytes are needed. Interim answers are skipped.
pub(crate) fn parse(input: &mut BytesMut, method: &Method) -> Result<Option<Head>, Failure> {
    loop {
        if input.is_empty() {
            return Ok(None);
        }
        let mut fields = [httparse::EMPTY_HEADER; HEAD_MAX_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        let len = match answer.parse(input) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if input.len() < HEAD_MAX_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Failure::Garbage),
        };
        let code = answer.code.ok_or(Failure::Garbage)?;
        let http11 = answer.version == Some(1);
        if code == 101 || !(100..=999).contains(&code) {
            return Err(Failure::Garbage);
        }
        if code < 200 {
            drop(input.split_to(len));
            continue;
        }
        let spans = spans(input, answer.headers);
        let count = answer.headers.len();
        let bytes = input.split_to(len).freeze();
        return head(&bytes, &spans[..count], code, http11, method).map(Some);
    }
}

type Span = (usize, usize, usize, usize);

/// Offsets of names and values, so that they can be shared slices of the buffer rather than copies.
fn spans(input: &[u8], fields: &[httparse::Header<'_>]) -> [Span; HEAD_MAX_FIELDS] {
    let start = input.as_ptr().addr();
    let mut spans = [(0, 0, 0, 0); HEAD_MAX_FIELDS];
    for (span, field) in spans.iter_mut().zip(fields) {
        let name = field.name.as_ptr().addr() - start;
        let value = field.value.as_ptr().addr() - start;
        *span = (name, name + field.name.len(), value, value + field.value.len());
    }
    spans
}

fn head(
    bytes: &Bytes,
    spans: &[Span],
    code: u16,
    http11: bool,
    method: &Method,
) -> Result<Head, Failure> {
    let status = StatusCode::from_u16(code).map_err(|_| Failure::Garbage)?;
    let mut headers = HeaderMap::with_capacity(spans.len() + 8);
    for (name, name_end, value, value_end) in spans.iter().copied() {
        let name = HeaderName::from_bytes(&bytes[name..name_end]).map_err(|_| Failure::Garbage)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(value..value_end))
            .map_err(|_| Failure::Garbage)?;
        headers.append(name, value);
    }
    let framing = framing(&headers, code, method)?;
    let keep_alive = http11 && framing != Framing::UntilClose && !says_close(&headers);
    drop_hop_by_hop(&mut headers);
    if matches!(framing, Framing::Chunked | Framing::UntilClose) || matches!(code, 204 | 304) {
        headers.remove(CONTENT_LENGTH);
    }
    Ok(Head { status, headers, framing, keep_alive })
}

fn framing(headers: &HeaderMap, code: u16, method: &Method) -> Result<Framing, Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let length = content_length(headers)?;
    if let Some(coding) = coding {
        let only_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !only_chunked || codings.next().is_some() || length.is_some() {
            return Err(Failure::Garbage);
        }
    }
    if *method == Method::HEAD || matches!(code, 204 | 304) {
        return Ok(Framing::None);
    }
    Ok(match (coding, length) {
        (Some(_), _) => Framing::Chunked,
        (None, Some(0)) => Framing::None,
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::UntilClose,
    })
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let text = length.as_bytes();
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    if lengths.next().is_some() || !digits {
        return Err(Failure::Garbage);
    }
    let number = text.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Ok(Some(number))
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|b| *b == b',')
            .any(|t| t.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// Whether a field belongs to one connection and is never forwarded.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION || HOP_BY_HOP.contains(&name.as_str())
}

/// What [`is_hop_by_hop`] names, without `Connection` itself.
const HOP_BY_HOP: [&str; 8] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Removes the fields of one connection, those that `Connection` names included.
pub(crate) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        for token in values.iter().flat_map(|value| value.as_bytes().split(|b| *b == b',')) {
            if let Ok(name) = HeaderName::from_bytes(token.trim_ascii())
                && name != CONTENT_LENGTH
            {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
