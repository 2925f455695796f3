//! The gateway's own paths: health, verification, forward authentication, and a key's usage.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, RESERVED_PRODUCT_IDS};
use keytoll_domain::refusal::Refusal;

use crate::access_log::{Beginning, Ending, Line};
use crate::answer::{self, Answer, Context};
use crate::call::{Start, micros_since};
use crate::client::Client;
use crate::core::Core;
use crate::masking::without_keys;
use crate::metrics::Outcome;
use crate::request::{BodyFraming, Request};
use crate::route::ProductRoute;
use crate::server::source::{Fill, Source};
use crate::upstream::Failure;
use crate::{auth, usage, verify};

/// Room made for a body before it has come.
const BODY_ROOM_BYTES: usize = 4096;

/// Whether a path belongs to the gateway itself. No product has such an id.
pub(crate) fn is_own(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let end = path.bytes().position(|byte| byte == b'/');
    RESERVED_PRODUCT_IDS.contains(&&path[..end.unwrap_or(path.len())])
}

pub(crate) async fn serve(
    core: &Rc<Core>,
    start: &Start,
    client: &Client,
    request: &Request,
    source: &mut dyn Source,
) -> Answer {
    let (answer, asked) = answer_of(core, start, client, request, source).await;
    log(core, start, client, request, answer.status, asked);
    answer
}

/// What a question was about, for its line in the log: the key, if it is known, and the code of a refusal.
#[derive(Clone, Copy, Default)]
pub(crate) struct AskedAbout {
    pub key: Option<KeyId>,
    pub code: &'static str,
    /// How long it took until it was decided, if that was looked at.
    pub micros: Option<u32>,
}

async fn answer_of(
    core: &Rc<Core>,
    start: &Start,
    client: &Client,
    request: &Request,
    source: &mut dyn Source,
) -> (Answer, AskedAbout) {
    let path = request.path();
    if let Some(rest) = path.strip_prefix("/v1/auth/") {
        return auth::forward(core, start, client, request, rest).await;
    }
    if let Some(product) = path.strip_prefix("/v1/auth-nginx/") {
        return auth::nginx(core, start, client, request, product).await;
    }
    if path == "/v1/keys/verify" && request.method() == "POST" {
        return verify::serve(core, start, request, source).await;
    }
    (of_node(core, start, request), AskedAbout::default())
}

/// What takes no key: health, and what is not there.
fn of_node(core: &Core, start: &Start, request: &Request) -> Answer {
    let path = request.path();
    let (allow, fits) = match path {
        "/v1/keys/verify" => ("POST", false),
        "/healthz" | "/readyz" => ("GET, HEAD", request.is_read()),
        _ => return refuse(core, start, Refusal::NoSuchOperation),
    };
    if !fits {
        let context = Context { allow: Some(allow), ..Context::default() };
        core.metrics.count_own(405, Refusal::MethodNotAllowed.code());
        return refusal_answer(core, start, Refusal::MethodNotAllowed, &context);
    }
    match path {
        "/readyz" if core.shared.draining.load(Ordering::Relaxed) => {
            refuse(core, start, Refusal::Maintenance)
        }
        "/readyz" if !core.writer.borrow().ready() => {
            refuse(core, start, Refusal::MeteringUnavailable)
        }
        _ => {
            core.metrics.count_own(200, "");
            let node = &core.shared.options.node;
            let body = serde_json::json!({"status": "ok", "node": node});
            Answer::json(start.id, body.to_string().into())
        }
    }
}

/// `/{product}/.keytoll/…`; the path is that below the product.
pub(crate) async fn of_product(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    product: &ProductRoute,
    path: &str,
) -> Answer {
    let answer = if path != "/.keytoll/usage" || product.is_keyless() {
        refuse(core, start, Refusal::NoSuchOperation)
    } else {
        usage::serve(core, start, client, request, product).await
    };
    log(core, start, client, request, answer.status, AskedAbout::default());
    answer
}

/// The answer to a preflight of a product, which needs no key and is no call.
pub(crate) fn preflight(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    product: &ProductRoute,
    fields: &[u8],
) -> Answer {
    let mut answer = Answer::empty(204, start.id);
    answer.head.extend_from_slice(fields);
    let outcome = Outcome { operation: OperationKey::NONE, status: 204, code: "" };
    let micros = micros_since(start.at, core.now());
    core.metrics.count((product.index, &product.id), outcome, "", micros);
    log(core, start, client, request, answer.status, AskedAbout::default());
    answer
}

/// The whole body of a request for ourselves.
pub(crate) async fn body(
    core: &Core,
    source: &mut dyn Source,
    max_bytes: usize,
) -> Result<Vec<u8>, Refusal> {
    let length = match source.framing() {
        BodyFraming::Length(length) => usize::try_from(length).unwrap_or(0).min(BODY_ROOM_BYTES),
        BodyFraming::None | BodyFraming::Chunked => 0,
    };
    let mut body = Vec::with_capacity(length);
    source.deadline().set(core.shared.options.bounds.idle);
    poll_fn(|cx| {
        loop {
            match source.poll_fill(cx, &mut body, false) {
                Poll::Ready(Ok(Fill::Data(_))) if body.len() > max_bytes => {
                    return Poll::Ready(Err(Refusal::BodyTooLarge));
                }
                Poll::Ready(Ok(Fill::Data(_))) => {}
                Poll::Ready(Ok(Fill::End)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(Failure::ClientSlow)) => {
                    return Poll::Ready(Err(Refusal::RequestTimeout));
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Refusal::RequestInvalid)),
                Poll::Pending => {
                    return source.deadline().poll(cx).map(|()| Err(Refusal::RequestTimeout));
                }
            }
        }
    })
    .await?;
    Ok(body)
}

/// Refuses where no product's texts or headers apply.
pub(crate) fn refuse(core: &Core, start: &Start, refusal: Refusal) -> Answer {
    core.metrics.count_own(refusal.status(), refusal.code());
    refusal_answer(core, start, refusal, &Context::default())
}

pub(crate) fn refuse_logged(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    refusal: Refusal,
) -> Answer {
    log(core, start, client, request, refusal.status(), AskedAbout::default());
    refuse(core, start, refusal)
}

pub(crate) fn refusal_answer(
    core: &Core,
    start: &Start,
    refusal: Refusal,
    context: &Context<'_>,
) -> Answer {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| problem.answer(start.id))
}

/// The access log's line of a request, if there is a log; it lacks its end.
pub(crate) fn line(
    core: &Core,
    start: &Start,
    whose: (&Client, IpAddr),
    request: &Request,
    outcome: (u16, &'static str),
    key: Option<KeyId>,
) -> Option<Line> {
    if !core.log.is_on() {
        return None;
    }
    Some(with_line(core, start, whose, request, outcome, key, Line::begin))
}

fn with_line<T>(
    core: &Core,
    start: &Start,
    (client, address): (&Client, IpAddr),
    request: &Request,
    outcome: (u16, &'static str),
    key: Option<KeyId>,
    with: impl FnOnce(&Beginning<'_>) -> T,
) -> T {
    let forwarded = (address != client.address).then(|| address.to_string());
    core.with_time(start.at, |time| {
        with(&Beginning {
            id: start.id,
            at: &time.rfc3339,
            client: forwarded.as_deref().unwrap_or(&client.text),
            method: request.method(),
            path: &without_keys(&core.shared.options.brand, request.path()),
            status: outcome.0,
            code: outcome.1,
            key,
            fields: &request.fields,
        })
    })
}

/// Logs a request that no product answered.
pub(crate) fn log(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    status: u16,
    asked: AskedAbout,
) {
    if !core.log.is_on() {
        return;
    }
    let address = core.shared.client_address(client, &request.fields);
    let outcome = (status, asked.code);
    let micros = asked.micros.unwrap_or_else(|| micros_since(start.at, core.now()));
    let end = Ending { micros, ..Ending::default() };
    let whole = |line: &Beginning<'_>| core.log.whole(line, &end);
    with_line(core, start, (client, address), request, outcome, asked.key, whole);
}
