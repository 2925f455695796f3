//! The pages over a real store, as a browser asks for them.

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest as _, FromRequestParts as _};
use http::header::{self, HeaderMap};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use keytoll_control::catalog::{self, FileSpecs};
use keytoll_control::staff::{self, NewStaff};
use keytoll_control::testing::{Bench, Folder, Remembered, START};
use keytoll_control::users::Password;
use keytoll_control::{Actor, Settings};
use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::RequestId;
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::RecentCall;
use keytoll_domain::user::StaffRole;
use tower::ServiceExt as _;

use super::fields::Fields;
use super::visitor::Visitor;
use crate::state::Portal;
use crate::ui::part::encode;

const ORIGIN: &str = "http://127.0.0.1:8081";
const PASSWORD: &str = "a long password of tests";
const HOSTILE: &str = "<script>alert(1)</script>\"'";

const SPEC: &str = r#"{"openapi": "3.1.0",
    "info": {"title": "Tracking <b>bold</b>", "version": "1", "description": "<img src=x onerror=alert(1)> *fine*"},
    "paths": {
        "/parcels": {"get": {"summary": "<script>1</script>", "tags": ["Parcels"], "responses": {"200": {"description": "Parcels"}}}},
        "/parcels/{id}": {"delete": {"parameters": [{"name": "id", "in": "path", "required": true, "example": "'; rm -rf ~"}],
            "responses": {"204": {"description": "Gone"}}}}}}"#;

const CATALOGUE: &str = r#"
products:
  - {id: tracking, spec: ./tracking.json, upstream: "http://127.0.0.1:9000/t", category: logistics}
plans:
  - {id: basic, name: Basic, products: [tracking], price_monthly: "49", included_calls: 10, overage_per_1000: "3",
     quota: {calls: 20, hard: true}, limits: {second: 5}}
"#;

struct Site {
    bench: Bench,
    router: Router,
    _folder: Folder,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Site {
    async fn open() -> Self {
        let folder = Folder::create();
        std::fs::write(folder.path().join("tracking.json"), SPEC).unwrap();
        let settings = Settings { receipt_wait_ms: 50, ..Settings::default() };
        let bench = Bench::sqlite(&folder, settings).await;
        let specs = FileSpecs { folder: folder.path().to_owned() };
        let catalogue = catalog::parse(CATALOGUE, &specs).unwrap();
        catalog::apply(&bench.ctx, &Actor::cli(), &catalogue, false).await.unwrap();
        let portal =
            Portal::new(bench.ctx.clone(), ORIGIN.parse().unwrap(), "http://127.0.0.1:8080/");
        Self { router: crate::router(portal), bench, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, cookie: &str, path: &str) -> Answer {
        let request = Request::get(path).header(header::COOKIE, cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::ORIGIN, ORIGIN)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(pairs.join("&"))).unwrap()).await
    }

    /// Signs up and returns the cookie.
    async fn sign_up(&self, email: &str, partner_name: &str) -> String {
        let fields = [("email", email), ("password", PASSWORD), ("partner_name", partner_name)];
        let answer = self.post("", "/signup", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookie()
    }

    /// A partner with a subscription and a key: cookie, path of the key, secret.
    async fn with_key(&self, email: &str) -> (String, String, String) {
        let cookie = self.sign_up(email, "Example Partner").await;
        let bought = self.post(&cookie, "/plans/basic/subscribe", &[]).await;
        assert_eq!(bought.headers[header::LOCATION], "/subscriptions?bought=basic");
        let made = self.post(&cookie, "/keys/new", &KEY_FORM).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
        let path = between(&made.text, "href=\"/keys/key_", "\"");
        let secret = between(&made.text, "<code id=\"secret\">", "</code>");
        (cookie, format!("/keys/key_{path}"), secret)
    }
}

const KEY_FORM: [(&str, &str); 7] = [
    ("name", "Production integration"),
    ("environment", "live"),
    ("scopes", "*"),
    ("subscription", ""),
    ("rate_limit_per_minute", ""),
    ("allowed_ips", ""),
    ("expires_at", ""),
];

impl Answer {
    fn cookie(&self) -> String {
        let line = self.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(line.contains("; HttpOnly") && line.contains("; SameSite=Lax"), "{line}");
        line.split(';').next().unwrap().to_owned()
    }

    fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }

    fn shows(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

fn between(text: &str, start: &str, end: &str) -> String {
    let from = text.find(start).expect("the text begins somewhere") + start.len();
    let length = text[from..].find(end).expect("the text ends somewhere");
    text[from..from + length].to_owned()
}

#[tokio::test]
async fn stranger_signs_up_subscribes_creates_and_revokes_a_key() {
    let site = Site::open().await;
    let (cookie, key, secret) = site.with_key("a@example.com").await;
    assert!(secret.starts_with("sk_live_"));
    assert!(site.get(&cookie, "/").await.shows("Requests this month"));
    let list = site.get(&cookie, "/keys").await;
    assert!(
        list.shows("Production integration") && list.shows("Never used") && list.shows("Delete")
    );
    assert!(!list.shows(&secret), "a secret is shown once");
    assert!(site.get(&cookie, &key).await.shows("Calls per day"));
    assert!(site.get(&cookie, &key).await.shows("Not kept on this server"));
    for path in
        ["/usage", "/invoices", "/subscriptions", "/plans", "/catalog/tracking", "/keys/new"]
    {
        assert_eq!(site.get(&cookie, path).await.status, StatusCode::OK, "{path}");
    }
    let asked = site.get(&cookie, &format!("{key}/revoke")).await;
    assert!(asked.shows("from the next request on"));
    let done = site.post(&cookie, &format!("{key}/revoke"), &[]).await;
    assert!(done.shows("Key revoked"), "{}", done.text);
    let again = site.post(&cookie, &format!("{key}/revoke"), &[]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn recent_calls_of_a_key_are_shown_page_by_page() {
    let site = Site::open().await;
    let (cookie, path, _) = site.with_key("a@example.com").await;
    let id = path.strip_prefix("/keys/").unwrap().parse().unwrap();
    let (other, _, _) = site.with_key("b@example.com").await;
    let call = |number| RecentCall {
        request: RequestId(number),
        at: START,
        operation: OperationKey::of(&"tracking".parse().unwrap(), "GET", "/parcels"),
        status: 207,
        units: 1,
        latency_micros: 41_400,
        environment: Environment::Live,
        end: None,
    };
    let shown = |number| format!("<code class=\"cut\">{}</code>", RequestId(number));
    let calls = (1..=30).rev().map(call).collect();
    site.bench.ctx.offer_recent_calls(Remembered::of(id, calls));
    let page = site.get(&cookie, &path).await;
    assert!(page.shows("GET /parcels") && page.shows("207") && page.shows("30 Nov 2026, 12:00:00"));
    assert!(page.shows(&shown(30)) && page.shows(&shown(6)) && !page.shows(&shown(5)));
    assert!(page.shows("What this server has seen"), "{}", page.text);
    assert!(page.shows("cursor=1.5"));
    let next = site.get(&cookie, &format!("{path}?cursor=1.5")).await;
    assert!(next.shows(&shown(5)) && !next.shows(&shown(6)));
    let end = site.get(&cookie, &format!("{path}?cursor=1.0")).await;
    assert!(end.shows("No earlier calls"));
    assert_eq!(site.get(&other, &path).await.status, StatusCode::NOT_FOUND);
    let made = site.post(&cookie, "/keys/new", &KEY_FORM).await;
    let fresh = format!("/keys/key_{}", between(&made.text, "href=\"/keys/key_", "\""));
    assert!(site.get(&cookie, &fresh).await.shows("No calls yet"));
}

#[tokio::test]
async fn a_spend_cap_is_set_and_shown_with_what_the_period_costs() {
    let site = Site::open().await;
    let (cookie, _, _) = site.with_key("a@example.com").await;
    let list = site.get(&cookie, "/subscriptions").await;
    let id = between(&list.text, "href=\"/subscriptions/", "/spend-cap\"");
    let path = format!("/subscriptions/{id}/spend-cap");
    let asked = site.get(&cookie, &path).await;
    assert!(asked.shows("There is no cap.") && asked.shows("in USD"), "{}", asked.text);
    for typed in ["1e3", "-5", "0.001", "<b>"] {
        let refused = site.post(&cookie, &path, &[("spend_cap", typed)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(refused.shows("id=\"spend_cap-problem\"") && !refused.shows("<b>\""), "{typed}");
    }
    let done = site.post(&cookie, &path, &[("spend_cap", "1,500.5")]).await;
    assert_eq!(done.headers[header::LOCATION], "/subscriptions");
    let asked = site.get(&cookie, &path).await;
    assert!(asked.shows("$1,500.50") && asked.shows("value=\"1500.50\""), "{}", asked.text);
    assert!(asked.shows("pays for"), "{}", asked.text);
    site.post(&cookie, &path, &[("spend_cap", "")]).await;
    assert!(site.get(&cookie, &path).await.shows("There is no cap."));

    let (other, _, _) = site.with_key("b@example.com").await;
    assert_eq!(site.get(&other, &path).await.status, StatusCode::NOT_FOUND);
    let refused = site.post(&other, &path, &[("spend_cap", "1")]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rolling_keeps_the_name_and_says_how_long_the_old_key_works() {
    let site = Site::open().await;
    let (cookie, key, old) = site.with_key("a@example.com").await;
    let refused = site.post(&cookie, &format!("{key}/roll"), &[("grace", "7")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let rolled = site.post(&cookie, &format!("{key}/roll"), &[("grace", "3600")]).await;
    assert_eq!(rolled.headers[header::CACHE_CONTROL], "no-store");
    assert!(rolled.shows("The old key works until 30 Nov 2026, 13:00 UTC."), "{}", rolled.text);
    assert!(rolled.shows("Production integration") && !rolled.shows(&old));
}

#[tokio::test]
async fn a_refused_form_keeps_its_values_and_names_the_fields() {
    let site = Site::open().await;
    let fields = [("email", "no address"), ("password", "short"), ("partner_name", "Example")];
    let answer = site.post("", "/signup", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for text in [
        "id=\"email-problem\"",
        "id=\"password-problem\"",
        "value=\"no address\"",
        "value=\"Example\"",
    ] {
        assert!(answer.shows(text), "{text}");
    }
    assert!(!answer.shows("short"), "a password is never sent back");

    let (cookie, _, _) = site.with_key("a@example.com").await;
    let wrong = [
        ("name", ""),
        ("environment", "live"),
        ("scopes", "*"),
        ("rate_limit_per_minute", "10001"),
        ("allowed_ips", "10.0.0.1\nnonsense"),
        ("expires_at", "2020-01-01T00:00"),
    ];
    let answer = site.post(&cookie, "/keys/new", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["name", "rate_limit_per_minute", "allowed_ips", "expires_at"] {
        assert!(answer.shows(&format!("id=\"{field}-problem\"")), "{field}: {}", answer.text);
    }
    assert!(answer.shows("value=\"10001\"") && answer.shows("nonsense</textarea>"));
    assert!(!answer.shows("sk_live_"), "no key was made");
}

#[tokio::test]
async fn hostile_texts_stay_texts() {
    let site = Site::open().await;
    let cookie = site.sign_up("a@example.com", HOSTILE).await;
    site.post(&cookie, "/plans/basic/subscribe", &[]).await;
    let mut form = KEY_FORM;
    form[0].1 = HOSTILE;
    let made = site.post(&cookie, "/keys/new", &form).await;
    assert_eq!(made.status, StatusCode::OK);
    for path in
        ["/", "/keys", "/catalog", "/catalog/tracking", "/subscriptions", "/plans/basic/subscribe"]
    {
        let page = site.get(&cookie, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for text in ["<script>", "onerror", "<b>bold", "<img"] {
            assert!(!page.shows(text), "{text} on {path}");
        }
    }
    let product = site.get(&cookie, "/catalog/tracking").await;
    assert!(product.shows("%27%3B%20rm%20-rf%20~"), "an example is quoted in the sample call");
}

#[tokio::test]
async fn strangers_log_in_first_and_come_back_only_to_this_site() {
    let site = Site::open().await;
    for path in ["/keys", "/usage", "/staff", "/invoices", "/plans/basic/subscribe"] {
        let answer = site.get("", path).await;
        assert_eq!(answer.location(), format!("/login?next={}", encode(path)));
    }
    site.sign_up("a@example.com", "Example Partner").await;
    for (next, location) in [
        ("/keys", "/keys"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil", "/"),
    ] {
        let fields = [("email", "a@example.com"), ("password", PASSWORD), ("next", next)];
        assert_eq!(site.post("", "/login", &fields).await.location(), location);
    }
    let wrong = [("email", "a@example.com"), ("password", "wrong password")];
    assert_eq!(site.post("", "/login", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_partner_finds_nothing_of_another_and_no_staff_pages() {
    let site = Site::open().await;
    let (_, key, _) = site.with_key("a@example.com").await;
    let other = site.sign_up("b@example.com", "Other").await;
    for path in [
        key.clone(),
        format!("{key}/roll"),
        format!("{key}/revoke"),
        "/staff".into(),
        "/staff/keys".into(),
        "/nowhere".into(),
    ] {
        assert_eq!(site.get(&other, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for act in ["roll", "revoke"] {
        let answer = site.post(&other, &format!("{key}/{act}"), &[("grace", "0")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{act}");
    }
}

#[tokio::test]
async fn staff_find_partners_and_keys_and_revoke() {
    let site = Site::open().await;
    let (_, key, secret) = site.with_key("a@example.com").await;
    let new = NewStaff {
        email: "staff@example.com".into(),
        password: Password::new(PASSWORD.into()),
        role: StaffRole::Owner,
    };
    staff::create(&site.bench.ctx, &Actor::cli(), new).await.unwrap();
    let fields = [("email", "staff@example.com"), ("password", PASSWORD)];
    let cookie = site.post("", "/login", &fields).await.cookie();
    assert_eq!(site.get(&cookie, "/").await.location(), "/staff");
    assert!(site.get(&cookie, "/staff").await.shows("Example Partner"));
    assert!(site.get(&cookie, "/staff/products").await.shows("tracking"));
    assert!(site.get(&cookie, "/staff/partners?q=EXAMPLE").await.shows("Example Partner"));
    assert!(site.get(&cookie, "/staff/partners?q=nobody").await.shows("No partner matches"));
    let found = site.get(&cookie, &format!("/staff/keys?q={secret}")).await;
    assert!(found.shows("Production integration"), "a whole key is found by its prefix");
    assert!(site.get(&cookie, &key).await.shows("All keys"));
    assert!(site.post(&cookie, &format!("{key}/revoke"), &[]).await.shows("Key revoked"));
}

#[tokio::test]
async fn changes_from_other_sites_are_refused_and_headers_guard_every_answer() {
    let site = Site::open().await;
    let foreign = Request::post("/logout").header(header::ORIGIN, "https://evil.example");
    let answer = site.send(foreign.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    for path in ["/", "/nowhere", "/login", "/keys", "/api/v1/products"] {
        let answer = site.get("", path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    let style = crate::assets::url("portal.css");
    let asset = site.get("", style).await;
    assert!(asset.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(site.get("", "/assets/portal.css").await.status, StatusCode::NOT_FOUND);
    let theme = site.post("", "/theme", &[("theme", "dark"), ("here", "/login")]).await;
    assert_eq!(theme.location(), "/login");
    assert!(site.get("theme=dark", "/login").await.shows("data-theme=\"dark\""));
}

/// Behind a proxy on this machine everybody has the proxy's address: one guesser must not lock them all out.
#[tokio::test]
async fn a_proxy_on_this_machine_is_nobody_s_address() {
    let site = Site::open().await;
    for (peer, counted) in [("127.0.0.1:5000", None), ("192.0.2.7:5000", Some("192.0.2.7"))] {
        let mut request = Request::get("/login").body(()).unwrap();
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let (mut parts, ()) = request.into_parts();
        let portal = Portal::new(site.bench.ctx.clone(), ORIGIN.parse().unwrap(), "");
        let visitor = Visitor::from_request_parts(&mut parts, &portal).await.unwrap();
        assert_eq!(visitor.address.as_deref(), counted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_that_does_not_arrive_is_given_up() {
    let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let request = Request::post("/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
        .unwrap();
    let given_up = Fields::from_request(request, &()).await.unwrap_err();
    assert_eq!(given_up.status(), StatusCode::REQUEST_TIMEOUT);
}
