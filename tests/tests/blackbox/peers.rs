//! Keytoll beside nginx, Caddy, Traefik and Envoy: the real programs, set up by the recipes that the
//! documentation shows, must grant, refuse, identify and count as the gateway itself does.

use keytoll_tests::binary::{Server, export, text};
use keytoll_tests::catalog::{apply, catalog, plan};
use keytoll_tests::http::{Request, Response};
use keytoll_tests::peer::{Kind, Peer};
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::{Seen, Upstream};
use keytoll_tests::wait;
use serde_json::json;

const IDENTITY: [&str; 6] = [
    "X-Keytoll-Key-Id",
    "X-Keytoll-Partner-Id",
    "X-Keytoll-Subscription-Id",
    "X-Keytoll-Plan",
    "X-Keytoll-Scopes",
    "X-Keytoll-Environment",
];
/// What a client may write to be taken for somebody else.
const FORGED: &str = "forged-by-the-client";
/// Where a client may claim to come from, and the only address of one key.
const ELSEWHERE: &str = "203.0.113.9";
const PER_MINUTE: usize = 3;

/// A service sold by Keytoll, with another gateway in front of it.
struct Place {
    server: Server,
    upstream: Upstream,
    partner: Session,
    subscription: String,
    token: String,
    peer: Peer,
}

impl Place {
    fn open(kind: Kind) -> Self {
        let upstream = Upstream::start();
        let mut server = Server::prepare("", trust(kind));
        server.run();
        let plans = json!([plan("open", &json!({"limits": {"minute": PER_MINUTE}}))]);
        apply(&server, &catalog(&upstream, &json!({}), &plans));
        let token = server.token("verifier");
        let partner = Session::sign_up(server.portal, "dev@example.test", "Example");
        let subscription = text(&partner.subscribe("open"), "id");
        let peer = Peer::start(kind, server.gateway, &token, upstream.address());
        upstream.forget();
        Self { server, upstream, partner, subscription, token, peer }
    }

    fn send(&self, request: &Request) -> Response {
        request.send(self.peer.address).expect("the other gateway answers")
    }

    /// A granted call, as the service saw it.
    fn granted(&self, request: &Request) -> Seen {
        let before = self.upstream.count();
        let answer = self.send(request);
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.peer.output());
        assert_eq!(self.upstream.count(), before + 1, "the service saw the call once");
        self.upstream.last()
    }

    /// A refused call, which the service must not see.
    fn refused(&self, request: &Request, status: u16, code: &str) -> Response {
        let before = self.upstream.count();
        let answer = self.send(request);
        let shown = format!("{:?} {}\n{}", answer.headers, answer.text(), self.peer.output());
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{shown}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{shown}");
        assert_eq!(self.upstream.count(), before, "the service saw a refused call");
        answer
    }

    fn assert_counted(&self, calls: usize) {
        wait::until_true("the calls to show in the usage", || {
            self.partner.get("/api/v1/usage").expect(200).json()["totalCalls"] == calls
        });
        assert_eq!(export(&self.server).len(), calls, "each call is in the ledger once");
    }
}

/// Traefik cannot send a token, so that its address is trusted.
fn trust(kind: Kind) -> &'static str {
    match kind {
        Kind::Traefik => "trusted_proxies = [\"127.0.0.1/32\"]",
        Kind::Nginx | Kind::NginxShort | Kind::Caddy | Kind::EnvoyHttp | Kind::EnvoyGrpc => "",
    }
}

fn with_forged_identity(mut request: Request) -> Request {
    for name in IDENTITY {
        request = request.header(name, FORGED);
    }
    request.header("X-Keytoll-Product", FORGED)
}

#[test]
fn nginx_passes_every_refusal_with_the_recipe() {
    behaves_like_the_gateway(Kind::Nginx);
}

#[test]
fn caddy_forward_auth_behaves_like_the_gateway() {
    behaves_like_the_gateway(Kind::Caddy);
}

#[test]
fn traefik_forward_auth_behaves_like_the_gateway() {
    behaves_like_the_gateway(Kind::Traefik);
}

#[test]
fn envoy_ext_authz_over_http_behaves_like_the_gateway() {
    behaves_like_the_gateway(Kind::EnvoyHttp);
}

#[test]
fn envoy_ext_authz_over_grpc_behaves_like_the_gateway() {
    behaves_like_the_gateway(Kind::EnvoyGrpc);
}

fn behaves_like_the_gateway(kind: Kind) {
    let mut place = Place::open(kind);
    let (id, key) = place.partner.create_key(&["items:read"]);
    grants_tell_who_calls(&place, &id, &key);
    refusals_arrive_whole(&place, &key);
    clients_cannot_talk_their_way_in(&place, &key);
    addresses_are_those_of_the_connection(&place, kind);
    let limited = place.refused(&Request::get("/items").bearer(&key), 429, "rate_limited");
    let wait: u64 = limited.header("retry-after").and_then(|secs| secs.parse().ok()).unwrap_or(0);
    assert!((1..=60).contains(&wait), "{:?}", limited.headers);
    place.assert_counted(PER_MINUTE);

    place.partner.delete(&format!("/api/v1/subscriptions/{}", place.subscription)).expect(200);
    let call = Request::get("/items").bearer(&key);
    wait::until_true("the cancelled subscription to be known", || place.send(&call).status == 402);
    place.refused(&call, 402, "subscription_inactive");
    place.server.kill();
    assert!(place.send(&call).status >= 500, "nobody passes while Keytoll is away");
    assert_eq!(place.upstream.count(), PER_MINUTE, "refused calls never reached the service");
}

/// Two calls: one with the key as bearer, one as header with a body.
fn grants_tell_who_calls(place: &Place, id: &str, key: &str) {
    let call = Request::get("/items?page=2&product=other&units=0&scope=*").bearer(key);
    let seen = place.granted(&with_forged_identity(call));
    assert_eq!(seen.target, "/items?page=2&product=other&units=0&scope=*");
    assert_eq!(seen.header("x-keytoll-key-id"), Some(id));
    assert!(seen.header("x-keytoll-partner-id").is_some_and(|id| id.starts_with("ptn_")));
    assert_eq!(seen.header("x-keytoll-subscription-id"), Some(place.subscription.as_str()));
    assert_eq!(seen.header("x-keytoll-plan"), Some("open"));
    assert_eq!(seen.header("x-keytoll-scopes"), Some("items:read"));
    assert_eq!(seen.header("x-keytoll-environment"), Some("live"));
    assert_nothing_leaks(place, &seen, key);

    let (_, writer) = place.partner.create_key(&["items:write"]);
    let body = json!({"name": "one"});
    let call = Request::new("POST", "/items").header("X-API-Key", &writer).json(&body);
    let seen = place.granted(&with_forged_identity(call));
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.body, body.to_string().into_bytes());
    assert_eq!(seen.header("x-keytoll-scopes"), Some("items:write"));
    assert_nothing_leaks(place, &seen, &writer);
}

fn assert_nothing_leaks(place: &Place, seen: &Seen, key: &str) {
    let raw = String::from_utf8_lossy(&seen.raw);
    assert!(!raw.contains(key), "the key reached the service: {raw}");
    assert!(!raw.contains(&place.token), "the token reached the service: {raw}");
    for name in IDENTITY {
        let values = seen.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        assert!(values.len() <= 1 && !values.contains(&FORGED), "{name}: {values:?}");
    }
}

fn refusals_arrive_whole(place: &Place, key: &str) {
    let no_key = place.refused(&with_forged_identity(Request::get("/items")), 401, "key_missing");
    assert!(no_key.header("www-authenticate").is_some(), "{:?}", no_key.headers);
    assert_eq!(no_key.all("www-authenticate").len(), 1, "{:?}", no_key.headers);
    place.refused(&Request::get("/items").bearer("sk_live_nonsense"), 401, "key_invalid");
    let write = Request::new("POST", "/items").bearer(key).json(&json!({}));
    assert_eq!(
        place.refused(&write, 403, "scope_missing").json()["error"],
        "Missing scope: items:write"
    );
    place.refused(&Request::get("/nothing").bearer(key), 404, "no_such_operation");
    let method = Request::new("DELETE", "/items").bearer(key);
    let allow = place.refused(&method, 405, "method_not_allowed");
    assert!(
        allow.header("allow").is_some_and(|allow| allow.contains("POST")),
        "{:?}",
        allow.headers
    );
}

/// Neither the query nor a header that only the asking gateway may set changes what is asked.
fn clients_cannot_talk_their_way_in(place: &Place, key: &str) {
    let query = "/items?product=other&scope=items:write&method=GET&uri=/other&path=/other";
    let write = Request::new("POST", query).bearer(key).body("{}");
    place.refused(&write, 403, "scope_missing");
    let write = Request::new("POST", "/items")
        .bearer(key)
        .header("X-Original-URI", "/other")
        .header("X-Original-Method", "GET")
        .header("X-Forwarded-Uri", "/other")
        .header("X-Forwarded-Method", "GET")
        .header("X-Keytoll-Product", "other")
        .body("{}");
    place.refused(&write, 403, "scope_missing");
}

/// One call.
fn addresses_are_those_of_the_connection(place: &Place, kind: Kind) {
    let far = key_for_address(place, ELSEWHERE);
    let call = Request::get("/items").bearer(&far).header("X-Forwarded-For", ELSEWHERE);
    place.refused(&call.header("X-Real-Ip", ELSEWHERE), 403, "address_denied");
    let near = match kind {
        // Of a client on its own machine Envoy tells the machine's address in the network.
        Kind::EnvoyHttp => "0.0.0.0/0",
        _ => "127.0.0.1",
    };
    place.granted(&Request::get("/items").bearer(&key_for_address(place, near)));
}

fn key_for_address(place: &Place, address: &str) -> String {
    let body = json!({"name": "one address", "scopes": ["items:read"], "allowedIPs": [address]});
    text(&place.partner.post("/api/v1/keys", &body).expect(201).json(), "key")
}

#[test]
fn nginx_in_few_lines_knows_only_401_and_403() {
    let place = Place::open(Kind::NginxShort);
    let (id, key) = place.partner.create_key(&["items:read"]);
    grants_tell_who_calls(&place, &id, &key);
    let write = Request::new("POST", "/items").bearer(&key).body("{}");
    let no_key = place.send(&Request::get("/items")).expect(401);
    assert!(no_key.header("www-authenticate").is_some(), "{:?}", no_key.headers);
    place.send(&write).expect(403);
    place.send(&Request::get("/nothing").bearer(&key)).expect(500);
    let call = Request::get("/items").bearer(&key);
    place.granted(&call);
    place.send(&call).expect(500);
    place.assert_counted(PER_MINUTE);
}

/// Keytoll gives every identity header a value, today. Should one be empty, the client's copy must go all the same.
#[test]
fn an_identity_header_without_a_value_displaces_the_clients() {
    for kind in [Kind::Nginx, Kind::NginxShort, Kind::Caddy, Kind::Traefik, Kind::EnvoyHttp] {
        let asked = Upstream::start();
        asked.answer_with(401, "text/plain", "no key yet");
        asked.answer_header("X-Keytoll-Status", "401");
        let upstream = Upstream::start();
        let peer = Peer::start(kind, asked.address(), "a-token", upstream.address());
        asked.answer_with(200, "text/plain", "");
        for name in IDENTITY {
            asked.answer_header(name, "");
        }
        let call = with_forged_identity(Request::get("/items"));
        call.send(peer.address).expect("the other gateway answers").expect(200);
        let seen = upstream.last();
        for name in IDENTITY {
            assert_eq!(seen.header(name).unwrap_or_default(), "", "{kind:?} {name}");
        }
    }
}
