//! `envoy.service.auth.v3.Authorization/Check`: a unary gRPC call without a gRPC library.
//!
//! Pure: bytes of a request's body in, bytes of an answer's body and its status out. Whoever holds the HTTP/2 stream
//! sends the body and then the trailers.

use super::envoy::{Answer, CheckRequest};

pub(crate) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Largest message. Envoy sends a request's head, which its own limits keep below this; bodies are not asked for.
pub(crate) const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// A flag for compression and the length of the message.
pub(crate) const PREFIX_BYTES: usize = 5;

/// How a call ended, as `grpc-status` and `grpc-message` say it. A refusal is an answer, and its call ends with `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    /// No message, or none that names a request and a product.
    InvalidArgument,
    /// The message is larger than [`MESSAGE_MAX_BYTES`].
    ResourceExhausted,
    /// Another method, or a compressed message.
    Unimplemented,
    /// The caller holds no management token and is no trusted proxy.
    Unauthenticated,
}

/// The answer: a body, empty unless the status is `Ok`, and the trailers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: Status,
    pub body: Vec<u8>,
}

impl Status {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::InvalidArgument => 3,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Unauthenticated => 16,
        }
    }

    /// Plain ASCII that needs no percent escapes.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ok => "",
            Self::InvalidArgument => "no valid CheckRequest with a product",
            Self::ResourceExhausted => "message too large",
            Self::Unimplemented => "not implemented",
            Self::Unauthenticated => "management token required",
        }
    }
}

/// What the body of a call asks.
pub(crate) fn question(body: &[u8]) -> Result<CheckRequest<'_>, Status> {
    let request = CheckRequest::read(message_of(body)?).map_err(|_| Status::InvalidArgument)?;
    if request.method.is_empty() || request.target.is_empty() {
        return Err(Status::InvalidArgument);
    }
    Ok(request)
}

/// How the call ends.
pub(crate) fn reply(answer: Result<Answer, Status>) -> Reply {
    match answer {
        Ok(answer) => Reply { status: Status::Ok, body: frame(&answer.write()) },
        Err(status) => Reply { status, body: Vec::new() },
    }
}

/// The one message of a unary call's body.
fn message_of(body: &[u8]) -> Result<&[u8], Status> {
    let (prefix, message) =
        body.split_first_chunk::<PREFIX_BYTES>().ok_or(Status::InvalidArgument)?;
    let [compressed, length @ ..] = prefix;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match (*compressed, length) {
        (_, length) if length > MESSAGE_MAX_BYTES => Err(Status::ResourceExhausted),
        (1, _) => Err(Status::Unimplemented),
        (0, length) if length == message.len() => Ok(message),
        _ => Err(Status::InvalidArgument),
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("an answer is some kilobytes");
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

#[cfg(test)]
mod tests;
