//! What is kept, for how long it holds, and what removes it.

use keytoll_domain::catalog::{Deprecation, HeaderRules};
use keytoll_domain::time::Timestamp;

use super::super::support::*;
use super::{PUBLIC, answering, ask, counting, keeping, told};

#[test]
fn answers_to_keyed_calls_are_kept_only_if_they_are_for_all() {
    let cases = [
        ("Cache-Control: public, max-age=60\r\n", "hit"),
        ("Cache-Control: s-maxage=60\r\n", "hit"),
        ("Cache-Control: public\r\nExpires: Sat, 21 Nov 2026 12:01:00 GMT\r\n", "hit"),
        ("Cache-Control: max-age=60\r\n", "miss"),
        ("Cache-Control: max-age=60, must-revalidate\r\n", "miss"),
        ("Cache-Control: public, max-age=60, private\r\n", "miss"),
        ("Cache-Control: public, max-age=60\r\nCache-Control: no-store\r\n", "miss"),
        ("Cache-Control: public, max-age=60, no-cache\r\n", "miss"),
        ("Cache-Control: public, max-age=60, s-maxage=0\r\n", "miss"),
        ("Cache-Control: public, max-age=60\r\nSet-Cookie: a=1\r\n", "miss"),
        ("Cache-Control: public, max-age=60\r\nVary: *\r\n", "miss"),
        ("Cache-Control: public, max-age=60\r\nAge: 60\r\n", "miss"),
        ("Expires: Sat, 21 Nov 2026 12:01:00 GMT\r\n", "miss"),
        ("", "miss"),
    ];
    for (fields, expected) in cases {
        let upstream = counting(fields);
        let world = keeping(&upstream).start();
        assert_eq!(ask(&world, "GET /zoo/animals", "").0, "miss");
        assert_eq!(ask(&world, "GET /zoo/animals", "").0, expected, "{fields}");
    }
}

#[test]
fn products_without_keys_keep_what_is_for_nobody_in_particular() {
    let upstream = counting("Cache-Control: max-age=60\r\n");
    let mut setup = keeping(&upstream);
    setup.settings.key_from = Vec::new();
    let world = setup.start();
    let result = |fields: &str| {
        let answer = world.call("GET /zoo/anything", fields);
        answer.header("x-keytoll-cache").to_owned()
    };
    assert_eq!([result(""), result(""), result("Accept: a\r\n")], ["miss", "hit", "hit"]);
    let known = "Authorization: Basic YQ==\r\n";
    assert_eq!([result(known), result(known), result("Cookie: a=1\r\n")], ["miss"; 3]);
    assert_eq!(upstream.seen().len(), 4);
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn a_call_may_ask_for_more_or_less() {
    let upstream = counting(PUBLIC);
    let world = keeping(&upstream).start();
    let asked = |fields: &str| ask(&world, "GET /zoo/animals", fields).0;
    let only = "Cache-Control: only-if-cached\r\n";
    let refused = world.call("GET /zoo/animals", &format!("X-API-Key: {KEY}\r\n{only}"));
    assert_eq!((refused.status, refused.code().as_str()), (504, "not_cached"));
    assert_eq!(asked(""), "miss");
    assert_eq!(asked(only), "hit");
    world.hands.advance_millis(20_000);
    for (fields, expected) in [
        ("Cache-Control: max-age=20\r\n", "hit"),
        ("Cache-Control: min-fresh=40\r\n", "hit"),
        ("Cache-Control: no-store\r\n", "bypass"),
        ("Range: bytes=0-1\r\n", "bypass"),
        ("If-Match: \"1\"\r\n", "bypass"),
        ("Content-Length: 2\r\n\r\nhi", "bypass"),
        ("Cache-Control: min-fresh=41\r\n", "miss"),
    ] {
        assert_eq!(asked(fields), expected, "{fields}");
    }
    world.hands.advance_millis(10_000);
    assert_eq!(ask(&world, "GET /zoo/animals", "").1, "answer 5", "the last one was kept anew");
    for fields in
        ["Cache-Control: no-cache\r\n", "Cache-Control: max-age=0\r\n", "Pragma: no-cache\r\n"]
    {
        assert_eq!(asked(fields), "miss", "{fields}");
    }
    assert_eq!(ask(&world, "GET /zoo/animals", ""), told("hit", "answer 8"));
    let sums = world.sums();
    assert_eq!((sums.calls, sums.successes, sums.units), (15, 14, 14));
    let sent = sums.calls - super::metric(&world, "never_sent_total", "");
    assert_eq!(sent, upstream.seen().len() as u64);
}

#[test]
fn a_change_removes_what_was_kept_of_its_target() {
    let upstream = answering(|number| {
        let body = format!("answer {number}");
        let status = if number == 5 { "409 Conflict" } else { "200 OK" };
        format!(
            "HTTP/1.1 {status}\r\n{PUBLIC}Vary: Accept\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let world = keeping(&upstream).start();
    let text = "Accept: text/plain\r\n";
    assert_eq!(ask(&world, "GET /zoo/animals/5", ""), told("miss", "answer 0"));
    assert_eq!(ask(&world, "GET /zoo/animals/5", text), told("miss", "answer 1"));
    assert_eq!(ask(&world, "GET /zoo/animals/6", ""), told("miss", "answer 2"));
    assert_eq!(ask(&world, "DELETE /zoo/animals/5", ""), told("bypass", "answer 3"));
    assert_eq!(ask(&world, "GET /zoo/animals/5", ""), told("miss", "answer 4"));
    assert_eq!(ask(&world, "DELETE /zoo/animals/5", ""), told("bypass", "answer 5"));
    assert_eq!(ask(&world, "GET /zoo/animals/5", ""), told("hit", "answer 4"));
    assert_eq!(ask(&world, "GET /zoo/animals/5", text), told("miss", "answer 6"));
    assert_eq!(ask(&world, "GET /zoo/animals/6", ""), told("hit", "answer 2"));
}

#[test]
fn conditions_are_answered_from_what_is_kept() {
    let upstream = counting(
        "Cache-Control: public, max-age=60\r\nETag: \"v1\"\r\nContent-Type: text/plain\r\n\
         Last-Modified: Sat, 21 Nov 2026 11:00:00 GMT\r\n",
    );
    let world = keeping(&upstream).start();
    let mut client = world.client();
    let mut conditional = |field: &str| {
        client.send(format!(
            "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n{field}\r\n\r\n"
        ));
        let mut head = client.head();
        if head.status == 200 {
            head.body = client.take(8);
        }
        head
    };
    assert_eq!(conditional("Accept: */*").status, 200);
    for field in [
        "If-None-Match: W/\"v1\", \"v2\"",
        "If-None-Match: *",
        "If-Modified-Since: Sat, 21 Nov 2026 11:00:00 GMT",
    ] {
        let known = conditional(field);
        assert_eq!((known.status, known.header("etag")), (304, "\"v1\""), "{field}");
        assert_eq!((known.header("age"), known.header("x-keytoll-cache")), ("0", "hit"));
        assert_eq!((known.header("content-type"), known.header("content-length")), ("", ""));
        assert_eq!(known.header("x-request-id").len(), 36);
    }
    let other = conditional("If-None-Match: \"v2\"");
    assert_eq!((other.status, other.header("x-keytoll-cache")), (200, "hit"));
    assert_eq!(other.body, b"answer 0");
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(world.sums(), Sums { calls: 5, successes: 2, units: 5 });
}

#[test]
fn fields_of_one_call_are_told_anew() {
    let upstream = counting(
        "Cache-Control: public, max-age=60\r\nServer: old\r\nAccess-Control-Allow-Origin: *\r\n\
         X-Request-Id: theirs\r\nRateLimit: theirs\r\nX-Keytoll-Plan: theirs\r\n",
    );
    let mut setup = keeping(&upstream);
    let origins = ["https://a.example", "https://b.example"].map(str::to_owned).into();
    setup.settings.cors = Some(keytoll_domain::catalog::Cors {
        origins,
        methods: vec!["GET".into()],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: false,
        max_age_secs: 0,
    });
    let rules = HeaderRules {
        set: [("x-shown".to_owned(), "1".to_owned())].into(),
        remove: vec!["server".into(), "cache-control".into()],
    };
    setup.settings.response_headers = rules;
    setup.settings.deprecation =
        Some(Deprecation { at: Timestamp(NOON), sunset: None, link: None });
    let world = setup.start();
    for (origin, expected) in
        [("https://a.example", "miss"), ("https://b.example", "hit"), ("https://c.example", "hit")]
    {
        let answer =
            world.call("GET /zoo/animals", &format!("X-API-Key: {KEY}\r\nOrigin: {origin}\r\n"));
        assert_eq!(answer.header("x-keytoll-cache"), expected);
        let allowed = if origin.contains("c.example") { "" } else { origin };
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!((answer.header("server"), answer.header("cache-control")), ("", ""));
        assert_eq!((answer.header("x-shown"), answer.header("x-keytoll-plan")), ("1", ""));
        assert_eq!(answer.header("deprecation"), "@1795262400");
        assert_eq!((answer.header("x-request-id").len(), answer.header("ratelimit")), (36, ""));
    }
    assert_eq!(upstream.seen().len(), 1);
}
