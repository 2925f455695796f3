//! Cross-origin requests and header rules.

use keytoll_domain::catalog::{Cors, HeaderRules};

use crate::tests::support::{KEY, Setup, Sums, Then, Upstream, read_body};

const PAGE: &str = "https://app.example.com";

fn upstream() -> Upstream {
    Upstream::with(|served| {
        read_body(served);
        served.client.send(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: secret/1\r\nX-Tier: none\r\n\
             Access-Control-Allow-Origin: *\r\nDeprecation: @1\r\n\r\nok",
        );
        Then::KeepOpen
    })
}

#[test]
fn preflights_need_no_key_and_are_no_calls() {
    let upstream = upstream();
    let mut setup = Setup::new(&upstream);
    setup.settings.cors = Some(Cors { origins: vec![PAGE.into()], ..Cors::default() });
    let world = setup.start();
    let asks = "Access-Control-Request-Method: POST\r\n";
    let answer = world.call("OPTIONS /zoo/animals", &format!("Origin: {PAGE}\r\n{asks}"));
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    let other =
        world.call("OPTIONS /zoo/animals", &format!("Origin: https://evil.example\r\n{asks}"));
    assert_eq!((other.status, other.header("access-control-allow-origin")), (204, ""));
    let plain = world.call("OPTIONS /zoo/animals", &format!("Origin: {PAGE}\r\n"));
    assert_eq!(plain.code(), "key_missing", "no preflight without the method it asks for");
    assert_eq!(plain.header("access-control-allow-origin"), PAGE, "pages read refusals too");
    assert!(upstream.seen().is_empty());
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn every_answer_of_the_product_says_who_may_read_it() {
    let upstream = upstream();
    let mut setup = Setup::new(&upstream);
    setup.settings.cors = Some(Cors { origins: vec![PAGE.into()], ..Cors::default() });
    let world = setup.start();
    for path in ["/zoo/animals", "/zoo/nothing", "/zoo/.keytoll/usage"] {
        let fields = format!("Authorization: Bearer {KEY}\r\nOrigin: {PAGE}\r\n");
        let answer = world.call(&format!("GET {path}"), &fields);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE, "{path}");
        assert!(answer.header("access-control-expose-headers").contains("RateLimit"), "{path}");
        assert_eq!(answer.header("vary"), "origin", "{path}");
    }
    let fields = format!("Authorization: Bearer {KEY}\r\nOrigin: https://evil.example\r\n");
    let answer = world.call("GET /zoo/animals", &fields);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "", "the upstream has no say");
}

#[test]
fn rules_change_what_both_sides_see() {
    let upstream = upstream();
    let rules = |set: &[(&str, &str)], remove: &[&str]| HeaderRules {
        set: set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        remove: remove.iter().map(|name| (*name).into()).collect(),
    };
    let mut setup = Setup::new(&upstream);
    setup.settings.request_headers = rules(
        &[("authorization", "Bearer of-the-upstream"), ("x-forwarded-host", "shop")],
        &["cookie"],
    );
    setup.settings.response_headers = rules(&[("x-tier", "gold")], &["server"]);
    let world = setup.start();
    let fields =
        format!("X-API-Key: {KEY}\r\nCOOKIE: a=b\r\nAuthorization: Basic abc\r\nX-Kept: 1\r\n");
    let answer = world.call("POST /zoo/animals", &format!("{fields}Content-Length: 2\r\n\r\nhi"));
    assert_eq!(answer.status, 200);
    let seen = upstream.last();
    assert!(seen.contains("authorization: Bearer of-the-upstream\r\n"), "{seen}");
    assert!(
        seen.contains("x-forwarded-host: shop\r\n") && seen.contains("x-kept: 1\r\n"),
        "{seen}"
    );
    for gone in ["cookie", "Basic", "api.example"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    assert_eq!((answer.header("x-tier"), answer.header("server")), ("gold", ""));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "no settings: the upstream's say"
    );
    assert!(!answer.header("x-request-id").is_empty() && !answer.header("date").is_empty());
}
