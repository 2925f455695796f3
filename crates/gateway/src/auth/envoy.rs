//! The messages of Envoy's `envoy.service.auth.v3`, as much of them as a decision needs.
//!
//! What a client sends arrives inside `attributes.request.http`; the product comes from `context_extensions`, which
//! only Envoy's configuration writes.

use std::net::IpAddr;

use super::protobuf::{Fields, Malformed, Value, Writer};

/// Header fields of one request. A real request's are fewer, and each costs a comparison.
const HEADERS_MAX: usize = 512;
/// The member of `context_extensions` that names the product.
const PRODUCT: &[u8] = b"product";
/// `OVERWRITE_IF_EXISTS_OR_ADD` of `HeaderValueOption`.
const OVERWRITE: u64 = 2;
/// `google.rpc.Code`.
const PERMISSION_DENIED: u64 = 7;
const UNAUTHENTICATED: u64 = 16;

/// What Envoy asks about. Header names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckRequest<'m> {
    pub method: &'m str,
    /// Path and query.
    pub target: &'m str,
    pub headers: Vec<(&'m str, &'m [u8])>,
    pub product: Option<&'m str>,
    /// The other end of Envoy's connection.
    pub source: Option<IpAddr>,
}

/// What Envoy shall do with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted(Granted),
    Denied(Denied),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    /// For the service, instead of any the client sent.
    pub headers: Vec<(String, String)>,
    /// Header fields and query parameters that hold the key.
    pub remove: Vec<String>,
    pub remove_query: Vec<String>,
    pub to_client: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Denied {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl<'m> CheckRequest<'m> {
    /// Reads a `CheckRequest`. Fields that repeat are merged, the last text wins, as the format demands.
    pub(super) fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut request = Self::default();
        for field in Fields::of(message) {
            if let (1, attributes) = field? {
                request.attributes(attributes.bytes()?)?;
            }
        }
        Ok(request)
    }

    fn attributes(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in Fields::of(message) {
            match field? {
                (1, source) => self.source = address(source.bytes()?)?.or(self.source),
                (4, request) => self.request(request.bytes()?)?,
                (10, entry) => {
                    let (name, value) = entry_of(entry.bytes()?)?;
                    if name == PRODUCT {
                        self.product = Some(std::str::from_utf8(value).map_err(|_| Malformed)?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn request(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in Fields::of(message) {
            if let (2, http) = field? {
                self.http(http.bytes()?)?;
            }
        }
        Ok(())
    }

    fn http(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in Fields::of(message) {
            match field? {
                (2, method) => self.method = method.text()?,
                (3, entry) => self.header(entry.bytes()?)?,
                (4, target) => self.target = target.text()?,
                // The same fields one by one, if Envoy is told to `encode_raw_headers`.
                (13, map) => {
                    for field in Fields::of(map.bytes()?) {
                        if let (1, header) = field? {
                            self.header(header.bytes()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn header(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        let (name, value) = entry_of(message)?;
        let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
        if name.starts_with(':') {
            return Ok(());
        }
        if self.headers.len() == HEADERS_MAX {
            return Err(Malformed);
        }
        self.headers.push((name, value));
        Ok(())
    }
}

/// An entry of a map, or a `HeaderValue`, whose third field holds the value as bytes.
fn entry_of(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut value) = (&[][..], &[][..]);
    for field in Fields::of(message) {
        match field? {
            (1, text) => name = text.bytes()?,
            (2 | 3, text) => value = text.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The address of a `Peer`, if it is one of the internet.
fn address(peer: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let text = within(within(Some(peer), 1)?, 1)?;
    let Some(socket_address) = text else { return Ok(None) };
    let Some(text) = within(Some(socket_address), 2)? else { return Ok(None) };
    Ok(std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()))
}

/// The last value of a field that holds bytes.
fn within(message: Option<&[u8]>, field: u64) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for one in message.into_iter().flat_map(Fields::of) {
        match one? {
            (number, Value::Bytes(bytes)) if number == field => found = Some(bytes),
            _ => {}
        }
    }
    Ok(found)
}

impl Answer {
    /// The `CheckResponse`.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Granted(granted) => {
                writer.message(1, |_ok| {});
                writer.message(3, |response| granted.write(response));
            }
            Self::Denied(denied) => {
                let code = if denied.status == 401 { UNAUTHENTICATED } else { PERMISSION_DENIED };
                writer.message(1, |status| status.number(1, code));
                writer.message(2, |response| denied.write(response));
            }
        }
        writer.finish()
    }
}

impl Granted {
    fn write(&self, response: &mut Writer) {
        for header in &self.headers {
            write_header(response, 2, header);
        }
        for name in &self.remove {
            response.bytes(5, name.as_bytes());
        }
        for header in &self.to_client {
            write_header(response, 6, header);
        }
        for name in &self.remove_query {
            response.bytes(8, name.as_bytes());
        }
    }
}

impl Denied {
    fn write(&self, response: &mut Writer) {
        response.message(1, |status| status.number(1, u64::from(self.status)));
        for header in &self.headers {
            write_header(response, 2, header);
        }
        response.bytes(3, &self.body);
    }
}

/// A `HeaderValueOption` that overwrites, said in the old way and the new: versions differ in which they follow.
fn write_header(response: &mut Writer, field: u32, (name, value): &(String, String)) {
    response.message(field, |option| {
        option.message(1, |header| {
            header.bytes(1, name.as_bytes());
            header.bytes(2, value.as_bytes());
        });
        option.message(2, |_append_is_false| {});
        option.number(3, OVERWRITE);
        option.number(4, 1);
    });
}

#[cfg(test)]
mod tests;
