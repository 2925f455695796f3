//! A request's head, and what must hold of it before anything else looks at it.
//!
//! What two readers could read in two ways is refused here; what remains means the same to everybody.

use std::mem::MaybeUninit;

use keytoll_domain::refusal::Refusal;

use crate::fields::{Fields, Name, Span, parse_length};
use crate::path::{is_plain, is_plain_query};

/// Most fields the parser has room for, whatever the configuration says.
pub(crate) const FIELDS_MAX: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    #[default]
    None,
    Length(u64),
    Chunked,
}

/// One request's head. Kept per connection, so that a reused one allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub fields: Fields,
    pub framing: BodyFraming,
    /// The client may send another request on this connection.
    pub keep_alive: bool,
    /// The client reads chunked answers; otherwise the end of the connection ends the answer.
    pub http11: bool,
    method: Span,
    path: Span,
    query: Option<Span>,
    /// The authority of a target in absolute form.
    authority: Option<Span>,
}

impl Request {
    /// Takes a head from the front of `input` and says how long it is; `None` = more bytes are needed.
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        fields_max: usize,
    ) -> Result<Option<usize>, Refusal> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(input, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeaderTooLarge),
            Err(_) => return Err(Refusal::RequestInvalid),
        };
        if request.headers.len() > fields_max {
            return Err(Refusal::HeaderTooLarge);
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Refusal::RequestInvalid);
        };
        let head = &input[..length];
        self.fields.take(head, request.headers);
        self.http11 = request.version == Some(1);
        self.method = Span::of(head, method.as_bytes());
        self.set_target(head, target)?;
        self.set_framing()?;
        self.check()?;
        Ok(Some(length))
    }

    /// A head that came in another form than HTTP/1 text, such as HTTP/2; its fields follow by
    /// [`Fields::push`], then [`Self::finish`].
    pub(crate) fn begin(&mut self, method: &str, path: &str, query: Option<&str>) {
        self.fields.begin(&[
            method.as_bytes(),
            path.as_bytes(),
            query.unwrap_or_default().as_bytes(),
        ]);
        let (path_at, query_at) = (method.len(), method.len() + path.len());
        self.method = Span::new(0, path_at);
        self.path = Span::new(path_at, query_at);
        self.query = query.map(|query| Span::new(query_at, query_at + query.len()));
        self.authority = None;
        (self.http11, self.keep_alive) = (true, true);
    }

    /// Ends what [`Self::begin`] began.
    pub(crate) fn finish(&mut self, framing: BodyFraming) -> Result<(), Refusal> {
        self.framing = framing;
        self.check()
    }

    pub(crate) fn method(&self) -> &str {
        self.text(self.method)
    }

    /// As it was written; `/` where a target in absolute form has none.
    pub(crate) fn path(&self) -> &str {
        let path = self.text(self.path);
        if path.is_empty() { "/" } else { path }
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.map(|query| self.text(query))
    }

    /// What the request names as its host.
    pub(crate) fn host(&self) -> &[u8] {
        self.fields.first(Name::Host).unwrap_or_default()
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method(), "GET" | "HEAD")
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method() == "HEAD"
    }

    /// The client waits to be told before it sends its body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.http11 && self.fields.has(Name::Expect)
    }

    /// A protocol switch that the request cannot do without. Others are offers, which may be ignored.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.fields.all(Name::Upgrade).any(|value| {
            let value = value.trim_ascii();
            value.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"))
        })
    }

    fn text(&self, span: Span) -> &str {
        // The parser takes ASCII only for methods; a target that is no text is refused by `check`.
        std::str::from_utf8(span.get(&self.fields.bytes)).unwrap_or_default()
    }

    fn set_target(&mut self, head: &[u8], target: &str) -> Result<(), Refusal> {
        let scheme = target.split_once("://").map(|(scheme, _)| scheme.len() + 3);
        let is_absolute = !target.starts_with('/')
            && (starts_with(target, "http://") || starts_with(target, "https://"));
        let (authority, rest) = match scheme {
            Some(start) if is_absolute => {
                let end = target[start..].find(['/', '?']).map_or(target.len(), |at| start + at);
                (Some(&target[start..end]), &target[end..])
            }
            _ => (None, target),
        };
        let (path, query) = match rest.find('?') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        if path.is_empty() && authority.is_none() {
            return Err(Refusal::RequestInvalid);
        }
        let span = |part: &str| Span::of(head, part.as_bytes());
        self.path = span(path);
        self.query = query.map(span);
        self.authority = authority.map(span);
        Ok(())
    }

    fn set_framing(&mut self) -> Result<(), Refusal> {
        let fields = &self.fields;
        let lengths = fields.all(Name::ContentLength).count();
        let persists = if self.http11 {
            !fields.connection_says("close")
        } else {
            fields.connection_says("keep-alive")
        };
        if lengths > 1 {
            return Err(Refusal::RequestInvalid);
        }
        if fields.has(Name::TransferEncoding) {
            let coding = fields.only(Name::TransferEncoding).unwrap_or_default();
            if !self.http11 || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::RequestInvalid);
            }
            self.framing = BodyFraming::Chunked;
            // Who sends both may have meant something else: nothing behind this body is read as a request.
            self.keep_alive = persists && lengths == 0;
            return Ok(());
        }
        self.keep_alive = persists;
        self.framing = match fields.first(Name::ContentLength).map(parse_length) {
            None | Some(Some(0)) => BodyFraming::None,
            Some(Some(length)) => BodyFraming::Length(length),
            Some(None) => return Err(Refusal::RequestInvalid),
        };
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        let fields = &self.fields;
        let host = fields.only(Name::Host).unwrap_or_default();
        let authority = self.authority.map(|authority| authority.get(&fields.bytes));
        let plain = is_host(host)
            && authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host))
            && self.method() != "CONNECT"
            && is_plain(self.path())
            && self.query().is_none_or(is_plain_query)
            && fields.all(Name::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue"));
        if plain { Ok(()) } else { Err(Refusal::RequestInvalid) }
    }
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+;=%".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.iter().copied().all(allowed)
}
