//! The fields of one head over a copy of its bytes, of either side.
//!
//! Names that decide something are told apart once, when the head is read, so that everything later compares a byte
//! instead of a text. Order and spelling of names are kept.

/// What a field's name means to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Other,
    Authorization,
    Connection,
    ContentLength,
    Date,
    Expect,
    Forwarded,
    ForwardedFor,
    ForwardedHost,
    ForwardedProto,
    /// Any other `X-Forwarded-…`.
    ForwardedOther,
    /// Belongs to one connection: `Keep-Alive`, `TE`, `Trailer`, `Proxy-…`.
    HopByHop,
    Host,
    /// `X-Keytoll-…`, which only we may say.
    Keytoll,
    Origin,
    /// A limit field of either form, which only we may say to clients.
    RateLimit,
    RealIp,
    RequestId,
    TraceParent,
    TraceState,
    TransferEncoding,
    Upgrade,
}

impl Name {
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |text: &[u8]| name.eq_ignore_ascii_case(text);
        match (name.len(), name.first().map_or(0, u8::to_ascii_lowercase)) {
            (4, b'h') if is(b"host") => Self::Host,
            (4, b'd') if is(b"date") => Self::Date,
            (2, b't') if is(b"te") => Self::HopByHop,
            (6, b'o') if is(b"origin") => Self::Origin,
            (6, b'e') if is(b"expect") => Self::Expect,
            (7, b'u') if is(b"upgrade") => Self::Upgrade,
            (7, b't') if is(b"trailer") => Self::HopByHop,
            (9, b'f') if is(b"forwarded") => Self::Forwarded,
            (9, b'x') if is(b"x-real-ip") => Self::RealIp,
            (10, b'c') if is(b"connection") => Self::Connection,
            (10, b't') if is(b"tracestate") => Self::TraceState,
            (11, b't') if is(b"traceparent") => Self::TraceParent,
            (10, b'k') if is(b"keep-alive") => Self::HopByHop,
            (12, b'x') if is(b"x-request-id") => Self::RequestId,
            (13, b'a') if is(b"authorization") => Self::Authorization,
            (14, b'c') if is(b"content-length") => Self::ContentLength,
            (17, b't') if is(b"transfer-encoding") => Self::TransferEncoding,
            (16, b'p') if is(b"proxy-connection") => Self::HopByHop,
            (18, b'p') if is(b"proxy-authenticate") => Self::HopByHop,
            (19, b'p') if is(b"proxy-authorization") => Self::HopByHop,
            (15, b'x') if is(b"x-forwarded-for") => Self::ForwardedFor,
            (16, b'x') if is(b"x-forwarded-host") => Self::ForwardedHost,
            (17, b'x') if is(b"x-forwarded-proto") => Self::ForwardedProto,
            (9, b'r') if is(b"ratelimit") => Self::RateLimit,
            (16, b'r') if is(b"ratelimit-policy") => Self::RateLimit,
            (17, b'x') if is(b"x-ratelimit-limit") || is(b"x-ratelimit-reset") => Self::RateLimit,
            (21, b'x') if is(b"x-ratelimit-remaining") => Self::RateLimit,
            (11.., b'x') if starts_with(name, b"x-forwarded-") => Self::ForwardedOther,
            (10.., b'x') if starts_with(name, b"x-keytoll-") => Self::Keytoll,
            _ => Self::Other,
        }
    }

    /// Whether it belongs to one connection and is never forwarded.
    pub(crate) fn is_hop_by_hop(self) -> bool {
        matches!(self, Self::Connection | Self::HopByHop | Self::TransferEncoding | Self::Upgrade)
    }
}

fn starts_with(name: &[u8], start: &[u8]) -> bool {
    name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// A part of the head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `part` must lie within `whole`.
    pub(crate) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        let small = |at: usize| u32::try_from(at).expect("heads are bounded far below 4 GiB");
        Self { start: small(start), end: small(start + part.len()) }
    }

    pub(crate) fn new(start: usize, end: usize) -> Self {
        let small = |at: usize| u32::try_from(at).expect("heads are bounded far below 4 GiB");
        Self { start: small(start), end: small(end) }
    }

    pub(crate) fn get(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Span,
    value: Span,
    id: Name,
}

/// One field as it was written.
#[derive(Clone, Copy)]
pub(crate) struct Field<'h> {
    pub id: Name,
    pub name: &'h [u8],
    pub value: &'h [u8],
}

#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) bytes: Vec<u8>,
    list: Vec<Entry>,
}

impl Fields {
    /// Copies a head and remembers where its fields are; `parsed` must point into `head`.
    pub(crate) fn take(&mut self, head: &[u8], parsed: &[httparse::Header<'_>]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        self.list.clear();
        self.list.extend(parsed.iter().map(|field| Entry {
            name: Span::of(head, field.name.as_bytes()),
            value: Span::of(head, field.value),
            id: Name::of(field.name.as_bytes()),
        }));
    }

    /// Empties the head, for heads that do not come as bytes.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let middle = at + name.len();
        self.list.push(Entry {
            name: Span::new(at, middle),
            value: Span::new(middle, middle + value.len()),
            id: Name::of(name),
        });
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Field<'_>> {
        let bytes = &self.bytes;
        self.list.iter().map(|entry| Field {
            id: entry.id,
            name: entry.name.get(bytes),
            value: entry.value.get(bytes),
        })
    }

    /// Values of the fields with a well-known name.
    pub(crate) fn all(&self, id: Name) -> impl DoubleEndedIterator<Item = &[u8]> {
        let bytes = &self.bytes;
        self.list.iter().filter(move |entry| entry.id == id).map(|entry| entry.value.get(bytes))
    }

    pub(crate) fn first(&self, id: Name) -> Option<&[u8]> {
        self.all(id).next()
    }

    pub(crate) fn has(&self, id: Name) -> bool {
        self.list.iter().any(|entry| entry.id == id)
    }

    /// The value of the only field with a well-known name; `None` where there are several, or none.
    pub(crate) fn only(&self, id: Name) -> Option<&[u8]> {
        let mut values = self.all(id);
        values.next().filter(|_| values.next().is_none())
    }

    /// Values of the fields of any name, whatever its case.
    pub(crate) fn named<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let fields = self.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        fields.map(|field| field.value)
    }

    /// Names that `Connection` declares to be of this connection only.
    pub(crate) fn of_connection(&self) -> impl Iterator<Item = &[u8]> {
        let tokens = self.all(Name::Connection).flat_map(|value| value.split(|byte| *byte == b','));
        tokens.map(<[u8]>::trim_ascii)
    }

    pub(crate) fn connection_says(&self, what: &str) -> bool {
        self.of_connection().any(|token| token.eq_ignore_ascii_case(what.as_bytes()))
    }

    /// Gives memory back that only a large head needed.
    pub(crate) fn shrink(&mut self) {
        const KEPT_BYTES: usize = 2048;
        const KEPT_FIELDS: usize = 32;
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        if self.list.capacity() > KEPT_FIELDS {
            self.list = Vec::new();
        }
    }
}

/// What a `Content-Length` may be: digits, at most 19 of them.
pub(crate) fn parse_length(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    digits.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
