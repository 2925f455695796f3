//! Cross-origin requests of browsers, by the product's settings (Fetch standard, CORS protocol).
//!
//! Preflights are answered here, before any key is looked for: a browser never sends one with them. What the
//! upstream says about origins is dropped ([`belongs_to_cors`]), or a browser would see two answers and take neither.

use std::borrow::Cow;

use keytoll_domain::catalog;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const VARY: &str = "vary";
/// Headers that one answer gets at most.
const ANSWER_HEADERS_MAX: usize = 6;

/// A product's settings, ready to be written.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    methods: Box<str>,
    headers: Box<str>,
    expose: Box<str>,
    max_age_secs: Box<str>,
}

#[derive(Debug)]
enum Origins {
    Any,
    Only(Box<[Box<str>]>),
}

/// Names in lower case with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers<'a>(Vec<(&'static str, Cow<'a, [u8]>)>);

impl Cors {
    pub fn new(settings: &catalog::Cors) -> Self {
        let any = settings.origins.iter().any(|origin| origin == "*");
        let only = || settings.origins.iter().map(|origin| origin.as_str().into()).collect();
        Self {
            origins: if any { Origins::Any } else { Origins::Only(only()) },
            // `*` with credentials would let every page act for its visitor.
            credentials: settings.credentials && !any,
            methods: settings.methods.join(", ").into(),
            headers: settings.headers.join(", ").into(),
            expose: settings.expose.join(", ").into(),
            max_age_secs: settings.max_age_secs.to_string().into(),
        }
    }

    /// The headers of the 204 to a preflight; `None` if the request is none. For an origin that may not call, they
    /// hold no permission, and the browser goes no further.
    pub fn preflight<'a>(
        &'a self,
        method: &str,
        origin: Option<&'a [u8]>,
        requested_method: Option<&[u8]>,
    ) -> Option<Headers<'a>> {
        let origin = origin.filter(|_| method == "OPTIONS" && requested_method.is_some())?;
        let mut headers = Headers(Vec::with_capacity(ANSWER_HEADERS_MAX));
        let vary = "origin, access-control-request-method, access-control-request-headers";
        headers.add(VARY, vary);
        if !self.permit(origin, &mut headers) {
            return Some(headers);
        }
        headers.add("access-control-allow-methods", &self.methods);
        headers.add("access-control-allow-headers", &self.headers);
        headers.add("access-control-max-age", &self.max_age_secs);
        Some(headers)
    }

    /// What is added to every other answer of the product, refusals too: a page must be able to read them.
    pub fn answer<'a>(&'a self, origin: Option<&'a [u8]>) -> Headers<'a> {
        let mut headers = Headers(Vec::with_capacity(ANSWER_HEADERS_MAX));
        if let Origins::Only(_) = self.origins {
            headers.add(VARY, "origin");
        }
        if let Some(origin) = origin
            && self.permit(origin, &mut headers)
        {
            headers.add("access-control-expose-headers", &self.expose);
        }
        headers
    }

    fn permit<'a>(&self, origin: &'a [u8], headers: &mut Headers<'a>) -> bool {
        match &self.origins {
            Origins::Any => headers.add(ALLOW_ORIGIN, "*"),
            Origins::Only(list) => {
                if !list.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(origin)) {
                    return false;
                }
                headers.0.push((ALLOW_ORIGIN, Cow::Borrowed(origin)));
            }
        }
        if self.credentials {
            headers.add(ALLOW_CREDENTIALS, "true");
        }
        true
    }
}

impl<'a> Headers<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }

    fn add(&mut self, name: &'static str, value: &'a str) {
        if !value.is_empty() {
            self.0.push((name, Cow::Borrowed(value.as_bytes())));
        }
    }
}

/// Whether a header of the upstream must not be passed on while the product has settings of its own.
pub fn belongs_to_cors(name: &str) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    name.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests;
