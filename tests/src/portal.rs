//! A client of the management API: with the cookie of a session or with a management token.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::binary::text;
use crate::http::{Request, Response};

/// A signed-in caller.
#[derive(Clone, Debug)]
pub struct Session {
    portal: SocketAddr,
    credential: Credential,
}

#[derive(Clone, Debug)]
enum Credential {
    Cookie(String),
    Token(String),
}

pub const PASSWORD: &str = "correct-horse-battery-staple-9";

impl Session {
    /// Signs a new partner up; the session is that of its first user.
    pub fn sign_up(portal: SocketAddr, email: &str, partner_name: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "partner_name": partner_name});
        let answer = post(portal, "/api/v1/signup", &body).expect(201);
        Self { portal, credential: Credential::Cookie(cookies(&answer)) }
    }

    pub fn log_in(portal: SocketAddr, email: &str, password: &str) -> Self {
        let answer = post(portal, "/api/v1/login", &json!({"email": email, "password": password}));
        assert!(answer.status < 300, "log-in failed: {}", answer.text());
        Self { portal, credential: Credential::Cookie(cookies(&answer)) }
    }

    pub fn with_token(portal: SocketAddr, token: &str) -> Self {
        Self { portal, credential: Credential::Token(token.to_owned()) }
    }

    /// Sends a request with this caller's credential.
    pub fn send(&self, request: Request) -> Response {
        let request = match &self.credential {
            // A browser sends these with every request of a page; they are what protects a session.
            Credential::Cookie(cookie) => request
                .header("Cookie", cookie)
                .header("Origin", &format!("http://{}", self.portal))
                .header("Sec-Fetch-Site", "same-origin"),
            Credential::Token(token) => request.bearer(token),
        };
        request.send(self.portal).expect("the portal answers")
    }

    pub fn get(&self, path: &str) -> Response {
        self.send(Request::get(path))
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Request::new("POST", path).json(body))
    }

    pub fn delete(&self, path: &str) -> Response {
        self.send(Request::new("DELETE", path))
    }

    /// Subscribes to a plan and returns the subscription.
    pub fn subscribe(&self, plan: &str) -> Value {
        self.post("/api/v1/subscriptions", &json!({"plan": plan})).expect(201).json()
    }

    /// Creates a key without a limit of its own and returns (id, secret).
    pub fn create_key(&self, scopes: &[&str]) -> (String, String) {
        let body = json!({"name": "black box", "scopes": scopes, "rateLimitPerMinute": null});
        let made = self.post("/api/v1/keys", &body).expect(201).json();
        (text(&made, "id"), text(&made, "key"))
    }
}

fn post(portal: SocketAddr, path: &str, body: &Value) -> Response {
    Request::new("POST", path).json(body).send(portal).expect("the portal answers")
}

/// The `Cookie` header for the cookies that an answer sets.
fn cookies(answer: &Response) -> String {
    let pairs: Vec<&str> = answer
        .all("set-cookie")
        .into_iter()
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    assert!(!pairs.is_empty(), "no session cookie: {:?}", answer.headers);
    pairs.join("; ")
}
