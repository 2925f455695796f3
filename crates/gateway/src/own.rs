//! The gateway's own paths: health, verification, forward authentication, and a key's usage.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use keytoll_domain::ids::{KeyId, RESERVED_PRODUCT_IDS};
use keytoll_domain::refusal::Refusal;

use crate::access_log::Line;
use crate::answer::{self, Context};
use crate::call::{Start, micros_since};
use crate::core::Core;
use crate::route::ProductRoute;
use crate::upstream::body::Body;
use crate::{auth, usage, verify};

/// Whether a path belongs to the gateway itself. No product has such an id.
pub(crate) fn is_own(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    RESERVED_PRODUCT_IDS.contains(&first)
}

pub(crate) async fn serve(
    core: &Rc<Core>,
    start: &Start,
    parts: &Parts,
    body: Incoming,
) -> Response<Body> {
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/v1/auth/") {
        return auth::forward(core, start, parts, rest);
    }
    if let Some(product) = path.strip_prefix("/v1/auth-nginx/") {
        return auth::nginx(core, start, parts, product);
    }
    let (allow, post) = match path {
        "/v1/keys/verify" => ("POST", true),
        "/healthz" | "/readyz" => ("GET, HEAD", false),
        _ => return refuse(core, start, Refusal::NoSuchOperation),
    };
    let fits = if post { parts.method == Method::POST } else { is_read(&parts.method) };
    if !fits {
        let context = Context { allow: Some(allow), ..Context::default() };
        return refusal_answer(core, start, Refusal::MethodNotAllowed, &context);
    }
    match path {
        "/v1/keys/verify" => verify::serve(core, start, parts, body).await,
        "/readyz" if core.shared.draining.load(Ordering::Relaxed) => {
            refuse(core, start, Refusal::Maintenance)
        }
        "/readyz" if !core.writer.borrow().ready() => {
            refuse(core, start, Refusal::MeteringUnavailable)
        }
        _ => {
            let node = &core.shared.options.node;
            answer::json(start.id, &serde_json::json!({"status": "ok", "node": node}))
        }
    }
}

/// `/{product}/.keytoll/…`; the path is that below the product.
pub(crate) fn of_product(
    core: &Rc<Core>,
    start: &Start,
    parts: &Parts,
    product: &Arc<ProductRoute>,
    path: &str,
) -> Response<Body> {
    if path != "/.keytoll/usage" || product.is_keyless() {
        return refuse(core, start, Refusal::NoSuchOperation);
    }
    usage::serve(core, start, parts, product)
}

pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Refuses where no product's texts or headers apply.
pub(crate) fn refuse(core: &Core, start: &Start, refusal: Refusal) -> Response<Body> {
    core.metrics.count_own(refusal.status(), refusal.code());
    refusal_answer(core, start, refusal, &Context::default())
}

pub(crate) fn refusal_answer(
    core: &Core,
    start: &Start,
    refusal: Refusal,
    context: &Context<'_>,
) -> Response<Body> {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| problem.answer(start.id))
}

/// The access log's line of a request, if there is a log.
pub(crate) fn line(
    of: &Core,
    start: &Start,
    parts: &Parts,
    status: u16,
    code: &'static str,
    key: Option<KeyId>,
) -> Option<Box<Line>> {
    let shared = &of.shared;
    shared.log.as_ref()?;
    Some(Box::new(Line {
        id: start.id,
        at: start.at,
        client: shared.client_address(start.peer, &parts.headers),
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        status,
        code,
        key,
        micros: 0,
        bytes_in: 0,
        bytes_out: 0,
        aborted: false,
    }))
}

/// Logs a request that no product answered.
pub(crate) fn log(of: &Core, start: &Start, parts: &Parts, status: u16) {
    let line = line(of, start, parts, status, "", None);
    if let (Some(log), Some(mut line)) = (&of.shared.log, line) {
        line.micros = micros_since(start.at, of.now());
        log.write(*line);
    }
}
