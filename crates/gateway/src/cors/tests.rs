use keytoll_domain::catalog;

use super::{Cors, Headers, belongs_to_cors};

const SHOP: &[u8] = b"https://shop.example";

fn cors(origins: &[&str], credentials: bool) -> Cors {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Cors::new(&catalog::Cors { origins, credentials, ..catalog::Cors::default() })
}

fn text(headers: &Headers<'_>) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect()
}

#[test]
fn preflight_permits_listed_origins_only() {
    let cors = cors(&["https://shop.example", "null"], true);
    let vary = "vary: origin, access-control-request-method, access-control-request-headers";
    let permitted = cors.preflight("OPTIONS", Some(SHOP), Some(b"PUT")).expect("a preflight");
    assert_eq!(
        text(&permitted),
        [
            vary,
            "access-control-allow-origin: https://shop.example",
            "access-control-allow-credentials: true",
            "access-control-allow-methods: GET, HEAD, POST, PUT, PATCH, DELETE",
            "access-control-allow-headers: Authorization, Content-Type, X-API-Key",
            "access-control-max-age: 600",
        ]
    );
    for other in
        ["https://shop.example.evil", "http://shop.example", "https://shop.example:8443", ""]
    {
        let answer = cors.preflight("OPTIONS", Some(other.as_bytes()), Some(b"GET"));
        assert_eq!(text(&answer.expect("a preflight")), [vary], "{other}");
    }
    assert_eq!(text(&cors.preflight("OPTIONS", Some(b"null"), Some(b"GET")).unwrap()).len(), 6);
}

#[test]
fn preflight_is_options_with_both_headers() {
    let cors = cors(&["*"], false);
    assert!(cors.preflight("GET", Some(SHOP), Some(b"GET")).is_none());
    assert!(cors.preflight("OPTIONS", None, Some(b"GET")).is_none());
    assert!(cors.preflight("OPTIONS", Some(SHOP), None).is_none());
    assert!(cors.preflight("OPTIONS", Some(SHOP), Some(b"GET")).is_some());
}

#[test]
fn answer_tells_caches_that_it_depends_on_the_origin() {
    let listed = cors(&["https://shop.example"], false);
    assert_eq!(text(&listed.answer(None)), ["vary: origin"]);
    assert_eq!(text(&listed.answer(Some(b"https://other.example"))), ["vary: origin"]);
    assert_eq!(
        text(&listed.answer(Some(b"https://SHOP.example")))[..2],
        ["vary: origin", "access-control-allow-origin: https://SHOP.example"]
    );
    let exposed = listed.answer(Some(SHOP));
    let exposed = text(&exposed).pop().expect("headers");
    for name in ["RateLimit", "X-RateLimit-Remaining", "X-Request-Id", "Retry-After"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[test]
fn answer_to_any_origin_never_permits_credentials() {
    let any = cors(&["*"], true);
    let headers = any.answer(Some(SHOP));
    assert_eq!(text(&headers)[0], "access-control-allow-origin: *");
    assert!(!text(&headers).iter().any(|line| line.contains("credentials")));
    assert!(any.answer(None).iter().next().is_none());
}

#[test]
fn belongs_to_cors_knows_the_upstreams_headers() {
    assert!(belongs_to_cors("Access-Control-Allow-Origin"));
    assert!(!belongs_to_cors("access-contro"));
    assert!(!belongs_to_cors("vary"));
}
