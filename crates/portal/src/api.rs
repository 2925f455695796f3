//! The management API: JSON under `/api/v1` over the control plane's use cases.
//!
//! One file per resource or operation. A handler parses, asks one use case (which authorises), and answers;
//! it decides nothing itself. Every route is registered together with its description, so the `OpenAPI`
//! document ([`openapi_json`]) cannot miss one; the table in `tests/access.rs` says who may call what.

mod access;
mod answer;
pub mod body;
mod document;
mod invoices;
pub mod keys;
mod partners;
mod plans;
pub mod problem;
mod products;
mod query;
mod schema;
mod session;
mod subscriptions;
mod tokens;
mod usage;
mod windows;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode, header};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::problem::Problem;
use crate::request_id::{self, RequestId};
use crate::state::Portal;

const BASE: &str = "/api/v1";

/// The API as a router of its own, with its error answers, ids and cache rules; to be merged with the pages.
pub fn router(portal: Portal) -> Router {
    let (routes, _) = routes();
    // A nested router's fallback is not asked for the prefix with nothing behind it.
    routes
        .route("/api/v1/", any(async || Problem::no_such_path()))
        .layer(from_fn(finish))
        .layer(from_fn_with_state(portal.clone(), request_id::assign))
        .with_state(portal)
}

/// The API's `OpenAPI` 3.1 document.
pub fn openapi_json() -> String {
    let (_, document) = routes();
    document.to_pretty_json().expect("a document is a tree of texts and numbers")
}

fn routes() -> (Router<Portal>, OpenApi) {
    let resources = OpenApiRouter::new()
        .merge(session::routes())
        .merge(tokens::routes())
        .merge(products::routes())
        .merge(plans::routes())
        .merge(subscriptions::routes())
        .merge(keys::routes())
        .merge(usage::routes())
        .merge(invoices::routes())
        .merge(partners::routes())
        .merge(document::routes())
        .fallback(async || Problem::no_such_path());
    let all = OpenApiRouter::with_openapi(document::head()).nest(BASE, resources);
    let (router, mut document) = all.split_for_parts();
    document::complete(&mut document);
    (router, document)
}

/// The last hand on every answer: bodies of problems, and no caching of what may hold a secret.
async fn finish(req: Request, next: Next) -> Response {
    let id = req.extensions().get::<RequestId>().cloned();
    let path = req.uri().path().to_owned();
    let mut res = next.run(req).await;
    let problem = match res.extensions_mut().remove::<Problem>() {
        None if res.status() == StatusCode::METHOD_NOT_ALLOWED => {
            Some(Problem::method_not_allowed())
        }
        found => found,
    };
    if let Some(problem) = problem {
        let id = id.as_ref().map_or("-", RequestId::as_str);
        if let Some(cause) = &problem.cause {
            tracing::error!(request_id = id, code = problem.code, %cause, "a request failed");
        }
        let rendered = problem.render(&path, id);
        let allow = res.headers_mut().remove(header::ALLOW);
        res = rendered;
        res.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    res.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    res.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    res
}

#[cfg(test)]
mod tests;
