//! Finding the key in a request, and taking it out of what the upstream sees.
//!
//! The product's order decides: the first source with a value is the key, even if it is wrong. What is removed before
//! forwarding is that source, and every other place that holds the same key or a text of the brand's form.

use std::borrow::Cow;

use keytoll_domain::catalog::{KeySource, ProductSettings};
use keytoll_domain::key_format::has_brand_form;
use keytoll_domain::refusal::Refusal;

use crate::fields::{Field, Fields, Name};
use crate::path::escape;

/// The query parameter that may hold a key.
pub(crate) const QUERY_NAME: &[u8] = b"api_key";

/// Where a product's keys may be.
#[derive(Clone, Debug)]
pub(crate) struct KeyFrom {
    pub sources: Box<[KeySource]>,
    /// Name of the field of [`KeySource::Header`].
    pub header: Box<str>,
    pub forward: bool,
}

/// The key as the request had it. Lives until it is hashed and compared with other places.
pub(crate) struct Found<'r> {
    pub source: KeySource,
    pub secret: Cow<'r, [u8]>,
}

impl KeyFrom {
    pub(crate) fn of(settings: &ProductSettings) -> Self {
        Self {
            sources: settings.key_from.clone().into(),
            header: settings.key_header.as_str().into(),
            forward: settings.forward_key,
        }
    }

    /// The request's key, or the 401 that says why there is none.
    pub(crate) fn find<'r>(
        &'r self,
        fields: &'r Fields,
        query: Option<&'r str>,
    ) -> Result<Found<'r>, Refusal> {
        for source in self.sources.iter().copied() {
            let secret = match source {
                KeySource::Bearer => bearer(fields)?.map(Cow::Borrowed),
                KeySource::Header => header(fields, &self.header)?.map(Cow::Borrowed),
                KeySource::Query => from_query(query)?,
            };
            if let Some(secret) = secret {
                return Ok(Found { source, secret });
            }
        }
        let in_query = from_query(query).map_or(true, |secret| secret.is_some());
        Err(if in_query { Refusal::KeyInQuery } else { Refusal::KeyMissing })
    }
}

impl Found<'_> {
    /// Whether a header field must not reach the upstream.
    pub(crate) fn hides_field(&self, from: &KeyFrom, brand: &str, field: Field<'_>) -> bool {
        if from.forward {
            return false;
        }
        let value = field.value;
        if field.id == Name::Authorization {
            let Some(token) = bearer_token(value) else {
                return self.is_key(brand, value);
            };
            return self.source == KeySource::Bearer || self.is_key(brand, token);
        }
        field.name.eq_ignore_ascii_case(from.header.as_bytes())
            && (self.source == KeySource::Header || self.is_key(brand, value))
    }

    /// The query without the parameters that hold a key; the rest keeps its bytes and order. Some servers end
    /// parameters at a semicolon too.
    pub(crate) fn strip_query<'q>(
        &self,
        from: &KeyFrom,
        brand: &str,
        query: &'q str,
    ) -> Cow<'q, str> {
        let hides = |part: &str| self.hides_pair(brand, part);
        let hides_any =
            |pair: &str| hides(pair) || pair.contains(';') && pair.split(';').any(hides);
        if from.forward || !query.split('&').any(hides_any) {
            return Cow::Borrowed(query);
        }
        let mut kept = String::with_capacity(query.len());
        for pair in query.split('&').filter(|pair| !hides(pair)) {
            let mut separator = '&';
            for part in pair.split(';').filter(|part| !hides(part)) {
                if !kept.is_empty() {
                    kept.push(separator);
                }
                kept.push_str(part);
                separator = ';';
            }
        }
        Cow::Owned(kept)
    }

    fn hides_pair(&self, brand: &str, pair: &str) -> bool {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        decode(name).as_ref() == QUERY_NAME
            && (self.source == KeySource::Query || self.is_key(brand, &decode(value)))
    }

    fn is_key(&self, brand: &str, value: &[u8]) -> bool {
        let value = value.trim_ascii();
        value == self.secret.as_ref() || has_brand_form(brand, value)
    }
}

/// The token of `Authorization: Bearer`; several such fields are ambiguous.
fn bearer(fields: &Fields) -> Result<Option<&[u8]>, Refusal> {
    let mut found = None;
    let mut count = 0;
    for value in fields.all(Name::Authorization) {
        count += 1;
        let token = bearer_token(value).filter(|token| !token.is_empty());
        found = found.or(token);
    }
    if count > 1 && found.is_some() { Err(Refusal::KeyAmbiguous) } else { Ok(found) }
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, token) =
        value.split_at(value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len()));
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

fn header<'r>(fields: &'r Fields, name: &'r str) -> Result<Option<&'r [u8]>, Refusal> {
    let mut found = None;
    let mut count = 0;
    for value in fields.named(name) {
        count += 1;
        found = found.or(Some(value.trim_ascii()).filter(|value| !value.is_empty()));
    }
    if count > 1 && found.is_some() { Err(Refusal::KeyAmbiguous) } else { Ok(found) }
}

fn from_query(query: Option<&str>) -> Result<Option<Cow<'_, [u8]>>, Refusal> {
    let Some(query) = query else { return Ok(None) };
    let mut found = None;
    let mut pairs = 0;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Behind a semicolon it is a parameter for some servers and part of a value for others.
        let hidden = pair.contains(';')
            && pair.split(';').skip(1).any(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                !value.is_empty() && decode(name).as_ref() == QUERY_NAME
            });
        if hidden {
            return Err(Refusal::KeyAmbiguous);
        }
        if decode(name).as_ref() != QUERY_NAME {
            continue;
        }
        pairs += 1;
        if found.is_none() && !value.is_empty() {
            found = Some(decode(value));
        }
    }
    if pairs > 1 && found.is_some() { Err(Refusal::KeyAmbiguous) } else { Ok(found) }
}

/// Percent escapes and plus signs decoded; nothing is copied where there are none.
pub(crate) fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text.as_bytes());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let decoded = if bytes[index] == b'%' { escape(bytes, index + 1) } else { None };
        out.push(match (decoded, bytes[index]) {
            (Some(decoded), _) => decoded,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        index += if decoded.is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
}
