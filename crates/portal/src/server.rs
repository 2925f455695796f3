//! The router of the portal listener, what holds for all of its answers, and its connections.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use http::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tower::ServiceExt as _;

use crate::state::Portal;
use crate::{api, assets, request_id, web};

/// Largest body of a form.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Connections served at once; further ones wait in the backlog.
const CONNECTIONS_MAX: u32 = 4096;
/// From a connection's first byte to the end of a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a connection without a request yet is waited for when the portal stops.
const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(1);
/// Pause after an accept error that another connection would meet too (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let (stop, _) = watch::channel(false);
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stopped) = (router.clone(), stop.subscribe());
                tokio::spawn(async move {
                    connection(stream, peer, router, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the portal cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let _all = room.acquire_many(CONNECTIONS_MAX).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let asked = Arc::new(Notify::new());
    let asking = asked.clone();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        asking.notify_one();
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    let connection = builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let stopped = async {
        let _ = stopped.changed().await;
        // Whoever connected just now is heard: to close on it would be to refuse it.
        let _ = tokio::time::timeout(FIRST_REQUEST_WAIT, asked.notified()).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
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

#[cfg(test)]
mod tests;
