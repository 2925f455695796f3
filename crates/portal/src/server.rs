//! The router of the portal listener, and what holds for all of its answers.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use http::header::{self, HeaderName, HeaderValue};
use tokio::net::TcpListener;

use crate::state::Portal;
use crate::{api, assets, request_id, web};

/// Largest body of a form.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// No inline script or style, nothing from elsewhere, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
];

/// Everything the portal listener answers.
pub fn router(portal: Portal) -> Router {
    let pages = web::routes()
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(portal.clone(), web::own_site_only))
        .route("/assets/{name}", get(assets::show))
        .layer(from_fn_with_state(portal.clone(), request_id::assign))
        .with_state(portal.clone());
    pages
        .merge(api::router(portal.clone()))
        .layer(from_fn(private_by_default))
        .layer(from_fn_with_state(portal, secure))
}

/// Answers on the listener until `shutdown` is done, then ends what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

/// Security headers; a handler that sets one itself knows why.
async fn secure(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if portal.public_url.https {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
    answer
}

/// What is somebody's own is not kept by caches between.
async fn private_by_default(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let value = HeaderValue::from_static("private, no-cache");
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(value);
    answer
}
