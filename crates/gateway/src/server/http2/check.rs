//! Envoy's question over gRPC: an own path that only HTTP/2 can ask for, because its answer ends with trailers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use keytoll_domain::refusal::Refusal;

use super::stream::ClientStream;
use crate::auth::check::check;
use crate::auth::grpc::{self, MESSAGE_MAX_BYTES, PREFIX_BYTES, Reply};
use crate::call::Start;
use crate::client::Client;
use crate::core::Core;
use crate::own::{self, AskedAbout};
use crate::request::Request;

const CONTENT_TYPE: &str = "application/grpc";

/// Whether a request is such a question.
pub(super) fn is_check(request: &Request) -> bool {
    request.path() == grpc::PATH
        && request.method() == "POST"
        && request
            .fields
            .named("content-type")
            .any(|kind| kind.starts_with(CONTENT_TYPE.as_bytes()))
}

/// Answers it.
pub(super) async fn serve(
    core: &Core,
    client: &Client,
    request: &Request,
    stream: &mut ClientStream,
) {
    let at = core.now();
    let start = Start { id: core.next_id(at), at };
    let reply = match own::body(core, stream, PREFIX_BYTES + MESSAGE_MAX_BYTES).await {
        Ok(body) => check(core, &start, client, &request.fields, &body).await,
        Err(Refusal::BodyTooLarge) => {
            Reply { status: grpc::Status::ResourceExhausted, body: Vec::new() }
        }
        Err(refusal) => {
            let answer = own::refuse_logged(core, &start, client, request, refusal);
            return stream.answer(answer, false).await;
        }
    };
    core.metrics.count_own(200, "");
    own::log(core, &start, client, request, 200, AskedAbout::default());
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(CONTENT_TYPE));
    if reply.body.is_empty() {
        // Head and trailers are one then.
        put_status(headers, reply.status);
        return stream.send(response, Bytes::new(), None).await;
    }
    let mut trailers = HeaderMap::new();
    put_status(&mut trailers, reply.status);
    stream.send(response, Bytes::from(reply.body), Some(trailers)).await;
}

fn put_status(headers: &mut HeaderMap, status: grpc::Status) {
    headers.insert("grpc-status", HeaderValue::from(u16::from(status.code())));
    headers.insert("grpc-message", HeaderValue::from_static(status.message()));
}
