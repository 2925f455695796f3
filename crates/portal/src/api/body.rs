//! JSON bodies: bounded, read whole, and every wrong member named.
//!
//! Malformed is 400, well-formed but not acceptable 422 with a pointer per mistake. Members nobody asked for
//! are ignored, so that newer clients can talk to older servers.

use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use keytoll_control::fault::Fault;
use serde_json::{Map, Value};

use super::problem::Problem;

pub const BODY_MAX_BYTES: usize = 1 << 20;
/// An answer given before the request has been read is lost when the connection is torn down, so what is too
/// large is read and thrown away up to here.
const DISCARD_MAX_BYTES: usize = 16 << 20;
/// A body must have arrived by then.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Entries of any list in a body.
const LIST_MAX: usize = 1_000;

/// A type read from a JSON object; mistakes are noted in `members`, `None` says there were some.
pub trait FromMembers: Sized {
    fn read(members: &mut Members) -> Option<Self>;
}

/// The body of a request.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Sync, T: FromMembers> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(req: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(req.headers());
        let read = tokio::time::timeout(BODY_TIMEOUT, read(req.into_body()));
        let bytes = read.await.unwrap_or_else(|_| Err(too_slow()))?;
        if !is_json {
            return Err(unsupported_media_type());
        }
        parse(&bytes).map(Self)
    }
}

fn parse<T: FromMembers>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::malformed(format!("The body is not UTF-8: {error}.")))?;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))?;
    let Value::Object(object) = value else {
        return Err(Problem::member("request_unacceptable", "", "the body must be an object"));
    };
    let mut members = Members { object, faults: Vec::new() };
    match T::read(&mut members) {
        Some(value) if members.faults.is_empty() => Ok(value),
        _ => Err(Problem::unacceptable(members.faults)),
    }
}

/// `application/json` or a `+json` type; of charsets only UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    json && parts.all(|part| {
        part.strip_prefix("charset=").is_none_or(|set| set.trim_matches('"') == "utf-8")
    })
}

async fn read(mut body: Body) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("The body ended early."))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= BODY_MAX_BYTES {
            bytes.extend_from_slice(&data);
        } else if seen > DISCARD_MAX_BYTES {
            break;
        }
    }
    if seen > BODY_MAX_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, "body_too_large", "Body too large", "A body may have at most 1 MiB.")
}

fn too_slow() -> Problem {
    let status = StatusCode::REQUEST_TIMEOUT;
    Problem::new(status, "request_timeout", "Request timed out", "The body did not arrive in time.")
}

fn unsupported_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported media type",
        "Send JSON with `Content-Type: application/json`.",
    )
}

/// The members of a body, and what was wrong with those read so far.
#[derive(Debug)]
pub struct Members {
    object: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Members {
    pub fn fault(&mut self, pointer: &str, message: impl Display) {
        self.faults.push(Fault::new(pointer, message));
    }

    /// Whether the member is there, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Whether the member is an object that has this one, `null` included.
    pub fn has_below(&self, name: &str, below: &str) -> bool {
        self.object.get(name).is_some_and(|value| value.get(below).is_some())
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str, chars_min: usize, chars_max: usize) -> Option<String> {
        let text = self.required(name)?;
        self.checked_text(name, &text, chars_min, chars_max)
    }

    /// A text that must be there and is taken as it is: a password.
    pub fn secret(&mut self, name: &str) -> Option<String> {
        match self.required(name)? {
            Value::String(text) => Some(text),
            _ => self.refuse(name, "must be a text"),
        }
    }

    /// A text in a form of its own that must be there.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.required(name)?;
        self.parse_text(name, &value, &parse)
    }

    /// A text in a form of its own; absent and `null` are the same.
    pub fn optional<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.given(name)?;
        self.parse_text(name, &value, &parse)
    }

    /// A whole number, not negative; absent and `null` are the same.
    pub fn count(&mut self, name: &str) -> Option<u64> {
        let value = self.given(name)?;
        match value.as_u64() {
            Some(count) => Some(count),
            None => self.refuse(name, "must be a whole number, zero or more"),
        }
    }

    /// `true` or `false`; absent and `null` are the same.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.given(name)?;
        match value.as_bool() {
            Some(flag) => Some(flag),
            None => self.refuse(name, "must be `true` or `false`"),
        }
    }

    /// An object with members of its own: `None` when it is absent, `null` or something else. Its faults are taken
    /// back with [`Members::merge`].
    pub fn object(&mut self, name: &str) -> Option<Self> {
        match self.given(name)? {
            Value::Object(object) => Some(Self { object, faults: Vec::new() }),
            _ => self.refuse(name, "must be an object"),
        }
    }

    /// Takes the faults of an object below `name`. A member that `known` does not name is one more: what would
    /// silently limit nothing is better refused.
    pub fn merge(&mut self, name: &str, below: Self, known: &[&str]) {
        for mut fault in below.faults {
            fault.pointer.insert_str(0, &format!("/{name}"));
            self.faults.push(fault);
        }
        for member in below.object.keys().filter(|member| !known.contains(&member.as_str())) {
            let shown: String = member.chars().take(40).collect();
            let message = format!("`{name}` has no member `{}`", shown.escape_debug());
            self.fault(&format!("/{name}"), message);
        }
    }

    /// A list of texts, each with its own place in the faults: `None` when one was wrong. Absent and `null` are
    /// the same.
    pub fn list<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Value::Array(entries) = self.given(name)? else {
            return self.refuse(name, "must be a list of texts");
        };
        if entries.len() > LIST_MAX {
            return self.refuse(name, "has too many entries");
        }
        let mut list = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            list.extend(self.parse_text(&format!("{name}/{index}"), entry, &parse));
        }
        (list.len() == entries.len()).then_some(list)
    }

    fn given(&self, name: &str) -> Option<Value> {
        self.object.get(name).filter(|value| !value.is_null()).cloned()
    }

    fn required(&mut self, name: &str) -> Option<Value> {
        match self.given(name) {
            Some(value) => Some(value),
            None => self.refuse(name, "is missing"),
        }
    }

    fn refuse<T>(&mut self, place: &str, message: &str) -> Option<T> {
        match place.split_once('/') {
            None => self.fault(&format!("/{place}"), format_args!("`{place}` {message}")),
            Some((name, _)) => {
                self.fault(&format!("/{place}"), format_args!("an entry of `{name}` {message}"));
            }
        }
        None
    }

    fn checked_text(
        &mut self,
        name: &str,
        value: &Value,
        chars_min: usize,
        chars_max: usize,
    ) -> Option<String> {
        let Value::String(text) = value else { return self.refuse(name, "must be a text") };
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return self.refuse(name, "must not contain control characters");
        }
        if !(chars_min..=chars_max).contains(&text.chars().count()) {
            let bounds = format!("must have {chars_min} to {chars_max} characters");
            return self.refuse(name, &bounds);
        }
        Some(text.to_owned())
    }

    fn parse_text<T>(
        &mut self,
        place: &str,
        value: &Value,
        parse: &impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::String(text) = value else { return self.refuse(place, "must be a text") };
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(&format!("/{place}"), message);
                None
            }
        }
    }
}

/// A parser for [`Members`] and queries: what `FromStr` says is wrong, with the text cut short.
pub fn from_str<T: std::str::FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| {
        let shown: String = text.chars().take(40).collect();
        format!("`{}` is {error}", shown.escape_debug())
    })
}

#[cfg(test)]
mod tests;
