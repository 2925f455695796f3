//! Envoy's question over gRPC, answered by the same decision as those over HTTP.
//!
//! Product and token come from Envoy's configuration, as metadata of the call or as context of a route; the client's
//! own headers are inside the message and are only looked through for the key.

use http::{HeaderMap, HeaderName, HeaderValue};
use keytoll_domain::refusal::Refusal;

use super::envoy::{Answer, CheckRequest, Denied, Granted};
use super::{asking_about, decide, granted_key, grpc, identity, may_ask, product_of};
use crate::answer::{self, Context};
use crate::call::Start;
use crate::core::Core;

/// Names the product in the metadata, for Envoys that serve only one.
const PRODUCT: &str = "x-keytoll-product";

/// Answers the body of one call. The metadata are the header fields of the call itself, not those of the client.
#[expect(dead_code, reason = "the listener's HTTP/2 side calls it")]
pub(crate) fn check(core: &Core, start: &Start, metadata: &HeaderMap, body: &[u8]) -> grpc::Reply {
    if !may_ask(core, start, metadata) {
        return grpc::Reply { status: grpc::Status::Unauthenticated, body: Vec::new() };
    }
    grpc::check(body, |asked| answer_to_envoy(core, start, metadata, asked))
}

fn answer_to_envoy(
    core: &Core,
    start: &Start,
    metadata: &HeaderMap,
    asked: &CheckRequest<'_>,
) -> Result<Answer, grpc::Status> {
    let configured = metadata.get(PRODUCT).and_then(|id| id.to_str().ok());
    let id = asked.product.or(configured).ok_or(grpc::Status::InvalidArgument)?;
    let product = match product_of(core, start, metadata, id) {
        Ok(product) => product,
        Err(refusal) => return Ok(denied(core, start, refusal, &Context::default(), &[])),
    };
    let mut headers = HeaderMap::with_capacity(asked.headers.len());
    for (name, value) in &asked.headers {
        // What is no header field by our rules can hold no key by them either.
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let asking = asking_about(asked.method, asked.target);
    let address = asked.source.map(|source| core.shared.client_address(source, &headers));
    let decision = decide(core, start, &headers, &product, &asking, address);
    let mut limits = HeaderMap::new();
    let limited = decision.verdict.refusal.and_then(Refusal::limited);
    answer::limit_headers(&mut limits, &decision.verdict.standings, limited, start.at);
    let limits = pairs(&limits);
    if let Some(refusal) = decision.verdict.refusal {
        return Ok(denied(core, start, refusal, &decision.context(core, &product), &limits));
    }
    let who = identity::identity(&core.shared.tables, granted_key(&decision));
    Ok(Answer::Granted(Granted {
        headers: who.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        remove: decision.key_places.headers,
        remove_query: decision.key_places.query,
        to_client: limits,
    }))
}

fn denied(
    core: &Core,
    start: &Start,
    refusal: Refusal,
    context: &Context<'_>,
    limits: &[(String, String)],
) -> Answer {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| {
        let mut headers = pairs(problem.answer(start.id).headers());
        headers.extend_from_slice(limits);
        Answer::Denied(Denied { status: problem.status, headers, body: problem.body(start.id) })
    })
}

/// Our own headers as texts.
fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
