//! Envoy's question over gRPC, answered by the same decision as those over HTTP.
//!
//! Product and token come from Envoy's configuration, as metadata of the call or as context of a route; the client's
//! own headers are inside the message and are only looked through for the key.

use keytoll_domain::refusal::Refusal;

use super::envoy::{Answer, CheckRequest, Denied, Granted};
use super::{asking_about, decide, granted_key, grpc, may_ask};
use crate::answer::{self, Context};
use crate::call::Start;
use crate::client::Client;
use crate::core::Core;
use crate::fields::Fields;
use crate::identity;

/// Names the product in the metadata, for Envoys that serve only one.
const PRODUCT: &str = "x-keytoll-product";

/// Answers the body of one call. The metadata are the header fields of the call itself, not those of the client.
pub(crate) async fn check(
    core: &Core,
    start: &Start,
    client: &Client,
    metadata: &Fields,
    body: &[u8],
) -> grpc::Reply {
    if !may_ask(core, client, metadata) {
        return grpc::Reply { status: grpc::Status::Unauthenticated, body: Vec::new() };
    }
    let answer = match grpc::question(body) {
        Ok(asked) => answer_to_envoy(core, start, metadata, &asked).await,
        Err(status) => Err(status),
    };
    grpc::reply(answer)
}

async fn answer_to_envoy(
    core: &Core,
    start: &Start,
    metadata: &Fields,
    asked: &CheckRequest<'_>,
) -> Result<Answer, grpc::Status> {
    let configured = metadata.named(PRODUCT).next().and_then(|id| std::str::from_utf8(id).ok());
    let id = asked.product.or(configured).ok_or(grpc::Status::InvalidArgument)?;
    let mut asking = asking_about(asked.method, asked.target);
    let mut fields = Fields::default();
    for (name, value) in &asked.headers {
        fields.push(name.as_bytes(), value);
    }
    let product = match asking.product(core, id, &fields) {
        Ok(product) => product,
        Err(refusal) => return Ok(denied(core, start, refusal, &Context::default(), &[])),
    };
    let address = asked.source.map(|source| {
        core.shared.client_address(&Client::new(&core.shared, source, false), &fields)
    });
    let decision = decide(core, start, &fields, &product, &asking, address).await;
    let mut limits = Vec::new();
    let limited = decision.verdict.refusal.and_then(Refusal::limited);
    core.put_limits(&mut limits, &decision.verdict.standings, limited, start.at);
    let limits = pairs(&limits);
    if let Some(refusal) = decision.verdict.refusal {
        return Ok(denied(
            core,
            start,
            refusal,
            &decision.context(core, &product, start.at),
            &limits,
        ));
    }
    let mut who = Vec::new();
    identity::write(&mut who, granted_key(&decision));
    let (remove, remove_query) = decision.key_places.names();
    Ok(Answer::Granted(Granted { headers: pairs(&who), remove, remove_query, to_client: limits }))
}

fn denied(
    core: &Core,
    start: &Start,
    refusal: Refusal,
    context: &Context<'_>,
    limits: &[(String, String)],
) -> Answer {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| {
        let mut headers = pairs(after_status(&problem.answer(start.id).head));
        headers.extend_from_slice(limits);
        Answer::Denied(Denied { status: problem.status, headers, body: problem.body(start.id) })
    })
}

/// Our own fields without the status line.
fn after_status(head: &[u8]) -> &[u8] {
    let end = head.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &head[end..]
}

/// Our own fields as texts.
fn pairs(fields: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(fields);
    let pairs = text.split("\r\n").filter_map(|line| line.split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
