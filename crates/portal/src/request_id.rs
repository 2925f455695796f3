//! One id per request: in the answer's `X-Request-Id`, in problems, and in the log.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

use crate::state::Portal;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// 32 hexadecimal digits, drawn here: what a caller sends is not trusted to be unique.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    fn draw(portal: &Portal) -> Self {
        let text = format!("{:032x}", u128::from_be_bytes(portal.ctx.random()));
        Self(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-")))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }
}

/// Middleware: the outermost layer. Handlers find the [`RequestId`] among the extensions; one that is there
/// already is kept, so that routers which each have this layer can be put together.
pub async fn assign(State(portal): State<Portal>, mut req: Request, next: Next) -> Response {
    let known = req.extensions().get::<RequestId>().cloned();
    let id = known.unwrap_or_else(|| RequestId::draw(&portal));
    req.extensions_mut().insert(id.clone());
    let mut res = next.run(req).await;
    res.headers_mut().insert(HEADER, id.0);
    res
}
