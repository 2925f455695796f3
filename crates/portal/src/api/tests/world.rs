//! An installation with a product, two partners who have bought it, staff, and a token for everybody.

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use keytoll_control::catalog::{self, FileSpecs};
use keytoll_control::keys::NewKey;
use keytoll_control::subscriptions::{NewAnchor, NewSubscription};
use keytoll_control::testing::{Bench, Folder};
use keytoll_control::tokens::NewToken;
use keytoll_control::{Actor, Settings, billing, keys, partners, subscriptions, tokens};
use keytoll_domain::ids::PartnerId;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::conform;
use crate::state::Portal;

const SPEC: &str = r#"{"openapi": "3.1.0", "info": {"title": "Tracking", "version": "1"}, "paths": {
    "/parcels": {"get": {"responses": {"200": {"description": "Parcels"}}}}}}"#;

const CATALOGUE: &str = r#"
products:
  - {id: tracking, spec: ./tracking.json, upstream: "http://127.0.0.1:9000/t", category: logistics}
plans:
  - {id: basic, products: [tracking], price_monthly: "49", included_calls: 10, overage_per_1000: "3",
     quota: {calls: 20, hard: true}, limits: {second: 5}, operations: ["GET /parcels"]}
"#;

pub(super) struct World {
    pub(super) bench: Bench,
    router: Router,
    /// The partner whose things are asked for.
    pub(super) own: PartnerId,
    pub(super) other: PartnerId,
    _folder: Folder,
}

/// An answer, held against the document.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) json: Value,
}

impl World {
    pub(super) async fn new() -> Self {
        let settings =
            Settings { active_keys_per_partner: 25, receipt_wait_ms: 50, ..Settings::default() };
        Self::with(settings).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let folder = Folder::create();
        std::fs::write(folder.path().join("tracking.json"), SPEC).unwrap();
        let bench = Bench::sqlite(&folder, settings).await;
        let specs = FileSpecs { folder: folder.path().to_owned() };
        let catalogue = catalog::parse(CATALOGUE, &specs).unwrap();
        catalog::apply(&bench.ctx, &Actor::cli(), &catalogue, false).await.unwrap();
        let own = partner(&bench, "Own").await;
        bench.clock.advance_secs(1);
        let other = partner(&bench, "Other").await;
        let public_url = "https://portal.example.com".parse().unwrap();
        let portal = Portal::new(bench.ctx.clone(), public_url, "http://127.0.0.1:8080");
        let router = crate::router(portal);
        Self { bench, router, own, other, _folder: folder }
    }

    pub(super) fn router(&self) -> Router {
        self.router.clone()
    }

    pub(super) async fn staff_token(&self, role: &str) -> String {
        self.token(role, None).await
    }

    pub(super) async fn partner_token(&self, partner: PartnerId, role: &str) -> String {
        self.token(role, Some(partner)).await
    }

    async fn token(&self, role: &str, partner: Option<PartnerId>) -> String {
        let new = NewToken { name: role.into(), role: Some(role.into()), partner };
        let created = tokens::create(&self.bench.ctx, &Actor::cli(), new).await.unwrap();
        created.secret.expose().to_owned()
    }

    /// A fresh token of the own partner, by id.
    pub(super) async fn token_id(&self) -> String {
        let new = NewToken { name: "x".into(), role: None, partner: Some(self.own) };
        let created = tokens::create(&self.bench.ctx, &Actor::cli(), new).await.unwrap();
        created.token.id.to_string()
    }

    pub(super) async fn subscription(&self, partner: PartnerId) -> String {
        let new = NewSubscription {
            partner: Some(partner),
            plan: "basic".into(),
            anchor: NewAnchor::Calendar,
        };
        let made = subscriptions::create(&self.bench.ctx, &Actor::cli(), &new).await.unwrap();
        made.id.to_string()
    }

    /// A fresh key of the own partner's subscription.
    pub(super) async fn key(&self, subscription: &str) -> String {
        let new = NewKey {
            subscription: Some(subscription.parse().unwrap()),
            name: "key".into(),
            scopes: vec!["*".into()],
            ..NewKey::default()
        };
        keys::issue(&self.bench.ctx, &Actor::cli(), new).await.unwrap().key.id.to_string()
    }

    /// The own partner's invoice of this month, a draft.
    pub(super) async fn invoice(&self) -> String {
        let run = billing::run_invoices(&self.bench.ctx, &Actor::cli(), "2026-11").await.unwrap();
        run.iter().find(|invoice| invoice.partner == self.own).unwrap().id.to_string()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let json = match bytes.len() {
            0 => Value::Null,
            _ => serde_json::from_slice(&bytes).expect("every body is JSON"),
        };
        conform::check_headers(&headers);
        conform::check(&method, &path, status, &json);
        Answer { status, headers, json }
    }

    pub(super) async fn ask(
        &self,
        method: &Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(&Method::GET, path, Some(token), &Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.ask(&Method::POST, path, Some(token), body).await
    }

    pub(super) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.ask(&Method::DELETE, path, Some(token), &Value::Null).await
    }
}

impl Answer {
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        self.json
    }

    /// A problem with this status and code.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status.as_u16(), &self.json["code"]),
            (status, &json!(code)),
            "{}",
            self.json
        );
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert_eq!(self.json["request_id"], self.headers["x-request-id"].to_str().unwrap());
        self.json
    }
}

async fn partner(bench: &Bench, name: &str) -> PartnerId {
    let email = format!("{}@example.com", name.to_lowercase());
    partners::create(&bench.ctx, &Actor::cli(), name, &email).await.unwrap().id
}
