//! Forward authentication for proxies that ask us: Caddy, Traefik, Envoy, and nginx with its narrower contract.
//!
//! Nothing is taken from what a client could set unless the asking proxy overwrites it: the caller is believed for its
//! management token or its address, and product and path come from the URL and headers that proxies write.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use keytoll_domain::refusal::Refusal;

use crate::admit::{self, Asked};
use crate::answer::{self, Context};
use crate::call::Start;
use crate::core::Core;
use crate::own;
use crate::path::{is_plain, is_plain_query};
use crate::route::{Found, ProductRoute};
use crate::upstream::body::Body;
use crate::verify::{self, Verdict};

/// What the proxy's client asked for.
struct Asking<'r> {
    method: &'r str,
    path: &'r str,
    query: Option<&'r str>,
}

/// `/v1/auth/{product}`, and `/v1/auth/{product}/the/path` for proxies that append it.
pub(crate) fn forward(core: &Rc<Core>, start: &Start, parts: &Parts, rest: &str) -> Response<Body> {
    let (id, suffix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let headers = &parts.headers;
    let asking = if suffix.is_empty() {
        asking_of(headers, "x-forwarded-method", "x-forwarded-uri")
    } else {
        Some(Asking { method: parts.method.as_str(), path: suffix, query: parts.uri.query() })
    };
    let product = match product_of(core, start, parts, id) {
        Ok(product) => product,
        Err(refusal) => return own::refuse(core, start, refusal),
    };
    let Some(asking) = asking else {
        return own::refuse(core, start, Refusal::RequestInvalid);
    };
    let (verdict, allow) = decide(core, start, headers, &product, &asking);
    let upgrade_url = core.shared.options.upgrade_url.as_deref();
    let context = Context { texts: product.texts, allow, upgrade_url };
    let mut response = match verdict.refusal {
        None => answer::empty(start.id, 200),
        Some(refusal) => own::refusal_answer(core, start, refusal, &context),
    };
    finish(start, &verdict, response.headers_mut());
    response
}

/// `/v1/auth-nginx/{product}`: nginx passes only 401 and 403 on, so the real answer is in headers.
pub(crate) fn nginx(core: &Rc<Core>, start: &Start, parts: &Parts, id: &str) -> Response<Body> {
    let product = match product_of(core, start, parts, id) {
        Ok(product) => product,
        Err(refusal) => return nginx_refusal(core, start, refusal, &Context::default()),
    };
    let Some(asking) = asking_of(&parts.headers, "x-original-method", "x-original-uri") else {
        return nginx_refusal(core, start, Refusal::RequestInvalid, &Context::default());
    };
    let (verdict, allow) = decide(core, start, &parts.headers, &product, &asking);
    let context = Context { texts: product.texts, allow, upgrade_url: None };
    let mut response = match verdict.refusal {
        None => answer::empty(start.id, 200),
        Some(refusal) => nginx_refusal(core, start, refusal, &context),
    };
    finish(start, &verdict, response.headers_mut());
    response
}

fn nginx_refusal(
    core: &Core,
    start: &Start,
    refusal: Refusal,
    context: &Context<'_>,
) -> Response<Body> {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| {
        let mut response = problem.answer(start.id);
        let status = if problem.status == 401 { 401 } else { 403 };
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert("x-keytoll-status", problem.status.into());
        if let Ok(body) = HeaderValue::from_str(&problem.body(start.id)) {
            headers.insert("x-keytoll-problem", body);
        }
        response
    })
}

/// The product, if the caller may ask.
fn product_of(
    core: &Core,
    start: &Start,
    parts: &Parts,
    id: &str,
) -> Result<Arc<ProductRoute>, Refusal> {
    let shared = &core.shared;
    if !verify::is_token(shared, &parts.headers) && !shared.is_trusted(start.peer) {
        return Err(Refusal::TokenInvalid);
    }
    let routes = shared.tables.routes.load();
    let product = routes.products.get(id).cloned().ok_or(Refusal::NoSuchProduct)?;
    if product.is_keyless() { Err(Refusal::NoSuchProduct) } else { Ok(product) }
}

fn asking_of<'r>(headers: &'r HeaderMap, method: &str, uri: &str) -> Option<Asking<'r>> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    };
    let (method, uri) = (one(method)?, one(uri)?);
    let (path, query) =
        uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    Some(Asking { method, path, query })
}

fn decide<'p>(
    core: &Core,
    start: &Start,
    headers: &HeaderMap,
    product: &'p ProductRoute,
    asking: &Asking<'_>,
) -> (Verdict, Option<&'p str>) {
    let shared = &core.shared;
    if !is_plain(asking.path) || !asking.query.is_none_or(is_plain_query) {
        return (Verdict::of_unknown(Refusal::RequestInvalid), None);
    }
    let secret = product.key_from.find(headers, asking.query);
    let known = secret.and_then(|found| {
        admit::known_key(&shared.tables.keys, &shared.options.brand, &found.secret, start.at)
    });
    let (verdict, allow) = match known {
        Err(refusal) => (Verdict::of_unknown(refusal), None),
        Ok(key) => {
            let place = product.find(asking.method, asking.path);
            let asked = Asked {
                now: start.at,
                product: Some(product),
                found: Some(place),
                address: Some(shared.forwarded_address(start.peer, headers)),
                proxied: false,
                units: None,
            };
            let allow = if let Found::WrongMethod(allow) = place { Some(allow) } else { None };
            (verify::charge(&mut core.writer.borrow_mut(), start.id, key, &asked), allow)
        }
    };
    let (status, refusal_code) =
        verdict.refusal.map_or((200, ""), |refusal| (refusal.status(), refusal.code()));
    core.metrics.count(
        &product.id,
        status,
        refusal_code,
        crate::call::micros_since(start.at, core.now()),
    );
    if let Some(refusal) = verdict.refusal {
        core.refused(verdict.key_id(), start.at, refusal);
    }
    (verdict, allow)
}

/// Every identity header, empty where there is nothing to say, so that a client cannot smuggle its own.
fn finish(start: &Start, verdict: &Verdict, headers: &mut HeaderMap) {
    let granted = verdict.key.as_ref().filter(|_| verdict.refusal.is_none());
    let state = granted.map(|key| key.subscription.state.load());
    let texts = [
        ("x-keytoll-key-id", granted.map(|key| key.id.to_string())),
        ("x-keytoll-partner-id", granted.map(|key| key.partner.to_string())),
        ("x-keytoll-subscription-id", granted.map(|key| key.subscription.id.to_string())),
        ("x-keytoll-environment", granted.map(|key| key.environment.as_str().to_owned())),
        (
            "x-keytoll-plan",
            state.and_then(|state| state.plan.slug.as_ref().map(ToString::to_string)),
        ),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text.unwrap_or_default()) {
            headers.insert(name, value);
        }
    }
    let limited = verdict.refusal.and_then(Refusal::limited);
    answer::limit_headers(headers, &verdict.standings, limited, start.at);
}
