//! What the request path needs of a client while its request is served, whatever the client speaks.

use std::task::{Context, Poll};

use http::HeaderMap;

use crate::request::BodyFraming;
use crate::server::deadline::Deadline;
use crate::upstream::Failure;

/// What came of one look at a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// So many bytes of the body were appended.
    Data(usize),
    End,
}

/// The client's side of a request that is being served.
pub(crate) trait Source {
    /// How the end of the body is known.
    fn framing(&self) -> BodyFraming;

    /// Appends what has come of the body to `out`, as a chunk if `chunked`. Nothing is taken from the client's
    /// connection that `out` does not get.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        chunked: bool,
    ) -> Poll<Result<Fill, Failure>>;

    /// What followed the body, once it has ended.
    fn trailers(&mut self) -> Option<HeaderMap> {
        None
    }

    /// Ready when the client has gone, or will send nothing more; asked only once its body has ended.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the connection can go on in another protocol after this request.
    fn can_switch(&self) -> bool {
        false
    }

    /// Otherwise it came as HTTP/1.
    fn is_http2(&self) -> bool {
        false
    }

    /// The time limit of the task that serves the request.
    fn deadline(&self) -> &Deadline;
}
