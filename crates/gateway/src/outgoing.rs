//! What of a request goes upstream: the client's fields in their order, without those of this connection, the key,
//! and what a client could forge; then ours.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytoll_domain::time::Timestamp;

use crate::answer::put_number;
use crate::client::Client;
use crate::core::RequestId;
use crate::credential::{Found, KeyFrom};
use crate::fields::{Field, Name};
use crate::identity;
use crate::keytable::KeyRecord;
use crate::policies::Rules;
use crate::request::{BodyFraming, Request};
use crate::signing::{Signed, Signer};
use crate::trace;
use crate::upstream::Upstream;

/// Everything that decides what the upstream sees.
pub(crate) struct Outgoing<'r> {
    pub request: &'r Request,
    pub client: &'r Client,
    /// The path below the product, still as it was written.
    pub rest: &'r str,
    pub query: Option<Cow<'r, str>>,
    pub key: Option<(&'r Found<'r>, &'r KeyFrom, &'r str)>,
    /// Which version was chosen, for products that name it by header.
    pub version: Option<&'r VersionField>,
    /// Who calls, for products that tell their upstream.
    pub identity: Option<&'r KeyRecord>,
    /// The product's own, after all others.
    pub rules: Option<&'r Rules>,
    /// Present where the product's requests are signed, as of this time.
    pub signing: Option<(&'r Signer, Timestamp)>,
    pub id: RequestId,
    /// Present where the call is recorded for a collector of traces.
    pub trace: Option<trace::Context>,
    pub framing: BodyFraming,
    /// The client wants to speak WebSocket.
    pub websocket: bool,
}

/// The field that names a product's version. Only we write it, so that the upstream reads the version that is metered.
pub(crate) struct VersionField {
    name: Box<str>,
    /// With its end; empty where the version's name cannot stand in a field.
    line: Box<[u8]>,
}

impl VersionField {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let fits = version.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let line = if fits { format!("{name}: {version}\r\n") } else { String::new() };
        Self { name: name.into(), line: line.into_bytes().into() }
    }

    /// An underscore is a dash for some servers.
    fn is(&self, name: &[u8]) -> bool {
        let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        name.len() == self.name.len()
            && name.iter().map(plain).eq(self.name.bytes().map(|byte| plain(&byte)))
    }
}

impl Outgoing<'_> {
    /// Writes the head. `Host` is the upstream's own name; the client's is in `X-Forwarded-Host`.
    pub(crate) fn write(&self, upstream: &Upstream, out: &mut Vec<u8>) {
        let request = self.request;
        put(out, &[request.method().as_bytes(), b" "]);
        let target_at = out.len();
        put(out, &[upstream.prefix.as_bytes(), self.rest.as_bytes()]);
        if !self.query().is_empty() {
            put(out, &[b"?", self.query().as_bytes()]);
        }
        let target = target_at..out.len();
        put(out, &[b" HTTP/1.1\r\nhost: ", upstream.authority.as_bytes(), b"\r\n"]);
        self.write_fields(out);
        if let Some((signer, at)) = self.signing {
            let (method, id, caller) = (request.method(), self.id, self.identity);
            signer.write(out, &Signed { at, method, target, id, caller });
        }
        if self.websocket {
            put(out, &[b"connection: upgrade\r\nupgrade: websocket\r\n"]);
            if request.switches {
                // Over HTTP/2 a client says none; it has to be another one each time, which an id is.
                let nonce = STANDARD.encode(self.id.0.to_be_bytes());
                put(out, &[b"sec-websocket-key: ", nonce.as_bytes(), b"\r\n"]);
            }
        }
        match self.framing {
            BodyFraming::None if may_have_body(request.method()) => {
                put(out, &[b"content-length: 0\r\n"]);
            }
            BodyFraming::None => {}
            BodyFraming::Length(length) => {
                put(out, &[b"content-length: "]);
                put_number(out, length);
                put(out, &[b"\r\n"]);
            }
            BodyFraming::Chunked => put(out, &[b"transfer-encoding: chunked\r\n"]),
        }
        put(out, &[b"\r\n"]);
    }

    /// Empty if there is none.
    pub(crate) fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    /// Writes the fields that say the same to every upstream, each with its line's end; what is signed and how the
    /// body is framed comes beside.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        let request = self.request;
        let fields_at = out.len();
        let named = request.fields.has(Name::Connection);
        for field in request.fields.iter() {
            let stays = self.is_held_back(field) || (named && self.is_of_connection(field));
            if !stays {
                put(out, &[field.name, b": ", field.value, b"\r\n"]);
            }
        }
        self.write_forwarding(out);
        if let Some(trace) = self.trace {
            trace.write(out);
        }
        if let Some(field) = self.version {
            put(out, &[&field.line]);
        }
        if self.identity.is_some() {
            identity::write(out, self.identity);
        }
        if let Some(rules) = self.rules {
            rules.apply(out, fields_at);
        }
    }

    fn is_of_connection(&self, field: Field<'_>) -> bool {
        let mut named = self.request.fields.of_connection();
        named.any(|name| {
            let usual =
                name.eq_ignore_ascii_case(b"keep-alive") || name.eq_ignore_ascii_case(b"close");
            !usual && name.eq_ignore_ascii_case(field.name)
        })
    }

    /// Servers that hand fields on as variables read an underscore as a dash, so that both are held back.
    fn is_held_back(&self, field: Field<'_>) -> bool {
        let is_nonce =
            self.request.switches && field.name.eq_ignore_ascii_case(b"sec-websocket-key");
        if is_nonce
            || self.is_held_back_as(field.id, field)
            || self.version.is_some_and(|version| version.is(field.name))
        {
            return true;
        }
        if !field.name.contains(&b'_') {
            return false;
        }
        let dashed: Vec<u8> =
            field.name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
        let field = Field { id: Name::of(&dashed), name: &dashed, value: field.value };
        self.is_held_back_as(field.id, field)
    }

    /// Fields of this connection, those that we write, those that a client could forge, and the key's.
    fn is_held_back_as(&self, id: Name, field: Field<'_>) -> bool {
        let ours = match id {
            Name::Host
            | Name::ContentLength
            | Name::Expect
            | Name::RequestId
            | Name::ForwardedFor
            | Name::ForwardedHost
            | Name::ForwardedProto
            | Name::ForwardedOther
            | Name::Keytoll => true,
            Name::TraceParent => self.trace.is_some() || trace::id(&self.request.fields).is_none(),
            Name::TraceState => trace::id(&self.request.fields).is_none(),
            Name::Forwarded | Name::RealIp => !self.client.trusted,
            _ => id.is_hop_by_hop(),
        };
        ours || self.key.is_some_and(|(found, from, brand)| found.hides_field(from, brand, field))
    }

    fn write_forwarding(&self, out: &mut Vec<u8>) {
        let (fields, client) = (&self.request.fields, self.client);
        put(out, &[b"x-forwarded-for: "]);
        if client.trusted {
            for value in fields.all(Name::ForwardedFor) {
                put(out, &[value, b", "]);
            }
        }
        let known = |name| fields.first(name).filter(|_| client.trusted);
        let scheme: &[u8] = if client.secure { b"https" } else { b"http" };
        let proto = known(Name::ForwardedProto).unwrap_or(scheme);
        put(out, &[client.text.as_bytes(), b"\r\nx-forwarded-proto: ", proto, b"\r\n"]);
        let host = known(Name::ForwardedHost).unwrap_or(self.request.host());
        put(out, &[b"x-forwarded-host: ", host, b"\r\nx-request-id: ", &self.id.text(), b"\r\n"]);
    }
}

fn may_have_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
