//! A request's head, and what must hold of it before anything else looks at it.
//!
//! What two readers could read in two ways is refused here; what remains means the same to everybody.

use std::mem::MaybeUninit;
use std::ops::Range;

use keytoll_domain::refusal::Refusal;

use crate::fields::{Fields, Name, parse_length};
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
    /// The stream is to carry WebSocket after its answer's head (RFC 8441).
    pub switches: bool,
    /// The client reads chunked answers; otherwise the end of the connection ends the answer.
    pub http11: bool,
    method: String,
    /// The target as it was written.
    target: String,
    path: Range<usize>,
    query: Option<Range<usize>>,
    /// The authority of a target in absolute form.
    authority: Option<Range<usize>>,
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
        self.method.clear();
        self.method.push_str(method);
        self.target.clear();
        self.target.push_str(target);
        self.set_target()?;
        self.set_framing()?;
        self.check()?;
        Ok(Some(length))
    }

    /// A head that came in another form than HTTP/1 text, such as HTTP/2; its fields follow by
    /// [`Fields::push`], then [`Self::finish`].
    pub(crate) fn begin(&mut self, method: &str, path: &str, query: Option<&str>) {
        self.fields.clear();
        self.method.clear();
        self.method.push_str(method);
        self.target.clear();
        for part in [path, if query.is_some() { "?" } else { "" }, query.unwrap_or_default()] {
            self.target.push_str(part);
        }
        self.path = 0..path.len();
        self.query = query.map(|_| path.len() + 1..self.target.len());
        self.authority = None;
        (self.http11, self.keep_alive) = (true, true);
    }

    /// Ends what [`Self::begin`] began.
    pub(crate) fn finish(&mut self, framing: BodyFraming) -> Result<(), Refusal> {
        self.framing = framing;
        self.check()
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// As it was written; `/` where a target in absolute form has none.
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.target[self.path.clone()] }
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.clone().map(|query| &self.target[query])
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

    /// Whether the request opens a WebSocket. Other switches of protocol are offers, which may be ignored.
    pub(crate) fn wants_websocket(&self) -> bool {
        let is_websocket = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"websocket");
        let mut offers = self.fields.all(Name::Upgrade);
        if self.switches {
            return true;
        }
        offers.any(|value| value.split(|byte| *byte == b',').any(is_websocket))
            && self.http11
            && self.method() == "GET"
            && self.framing == BodyFraming::None
            && self.fields.connection_says("upgrade")
    }

    fn set_target(&mut self) -> Result<(), Refusal> {
        let target = self.target.as_str();
        let scheme = if target.starts_with('/') { None } else { target.find("://") };
        let scheme = scheme.map(|at| at + 3).filter(|end| {
            let scheme = &target[..*end];
            scheme.eq_ignore_ascii_case("http://") || scheme.eq_ignore_ascii_case("https://")
        });
        self.authority = scheme.map(|start| {
            let end = target[start..].find(['/', '?']).map_or(target.len(), |at| start + at);
            start..end
        });
        let start = self.authority.as_ref().map_or(0, |authority| authority.end);
        let question = target[start..].find('?').map(|at| start + at);
        self.path = start..question.unwrap_or(target.len());
        self.query = question.map(|at| at + 1..target.len());
        if self.path.is_empty() && self.authority.is_none() {
            return Err(Refusal::RequestInvalid);
        }
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
        let authority = self.authority.clone().map(|authority| self.target[authority].as_bytes());
        let plain = is_host(host)
            && authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host))
            && self.method() != "CONNECT"
            && is_plain(self.path())
            && self.query().is_none_or(is_plain_query)
            && fields.all(Name::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue"));
        if plain { Ok(()) } else { Err(Refusal::RequestInvalid) }
    }
}

fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+;=%".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.iter().copied().all(allowed)
}
