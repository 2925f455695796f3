//! Requests that can be read in two ways never reach an upstream.

use super::support::*;

#[test]
fn ambiguous_paths_are_refused() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    for path in [
        "/zoo/../zoo/animals",
        "/zoo/animals/..",
        "/zoo/animals/%2e%2e/x",
        "/zoo/animals/.%2E",
        "/zoo/./animals",
        "/zoo//animals",
        "//zoo/animals",
        "/zoo/animals\\5",
        "/zoo/animals/%5c",
        "/zoo/animals/%00",
        "/zoo/animals/%zz",
        "/zoo/animals/%2",
        "/zoo/animals/a%2f..%2fb",
        "/zoo/animals/..;x=1/b",
    ] {
        let answer = world.get(path);
        assert_eq!(
            (answer.status, answer.header("content-length").is_empty()),
            (400, false),
            "{path}"
        );
    }
    assert_eq!(world.get("/zoo/animals/a%2Fb").status, 200);
    assert!(upstream.last().starts_with("GET /base/animals/a%2Fb "));
    assert_eq!(world.get("/zoo/animals/...").status, 200);
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn an_encoded_slash_does_not_hide_another_operation() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.operations = Some(vec![keytoll_domain::catalog::PlanOperation {
        product: None,
        method: "GET".into(),
        path: "/pens/{id}".into(),
    }]);
    let world = setup.start();
    for path in [
        "/zoo/pens/7%2Flocks",
        "/zoo/pens/7%2flocks",
        "/zoo/pens/7%2F%2Flocks",
        "/zoo/pens/;a%2Flocks",
        "/zoo/pens/%2F",
        "/zoo/pens/;x",
        "/zoo/pens/%2F;x",
    ] {
        let answer = world.get(path);
        assert_eq!((answer.status, answer.code()), (404, "no_such_operation".into()), "{path}");
    }
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(world.get("/zoo/pens/7%2Fkeys").status, 200);
    assert_eq!(world.get("/zoo/pens/7;a=1").status, 200);
}

#[test]
fn ambiguous_heads_are_refused() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let key = format!("X-API-Key: {KEY}\r\n");
    let cases = [
        format!("GET /zoo/animals HTTP/1.1\r\n{key}\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nHost: a\r\n{key}\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a/b\r\n{key}\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\n{key} folded\r\n\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n{key}\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n{key}\r\n"),
        format!(
            "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n{key}\r\nab"
        ),
        format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n{key}\r\na"),
        format!(
            "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n{key}\r\n0\r\n\r\n"
        ),
        format!(
            "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n{key}\r\n"
        ),
        format!(
            "POST /zoo/animals HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{key}\r\n0\r\n\r\n"
        ),
        format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n{key}\r\n"),
        format!("GET http://u:p@a/zoo/animals HTTP/1.1\r\nHost: a\r\n{key}\r\n"),
        format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n{key}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{key}\r\n"),
    ];
    for request in cases {
        let mut client = world.client();
        client.send(&request);
        let answer = client.answer();
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{request}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn length_beside_chunked_reaches_the_upstream_in_one_form_and_ends_the_connection() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let mut client = world.client();
        client.send(format!("POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n{fields}\r\n0\r\n\r\nGET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        let answer = client.answer().unwrap();
        assert!(matches!(answer.status, 200 | 400), "{fields}");
        assert!(client.answer().is_none(), "{fields}: the bytes behind were taken for a request");
        assert!(!upstream.seen().iter().any(|head| head.contains("content-length: 4")));
    }
    assert!(upstream.seen().len() <= 2);
}

#[test]
fn oversized_heads_are_431() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let mut client = world.client();
    client
        .send(format!("GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(70_000)));
    assert_eq!(client.answer().unwrap().status, 431);
    let many: Vec<String> = (0..120).map(|number| format!("X-{number}: 1\r\n")).collect();
    assert_eq!(world.call("GET /zoo/animals", &many.concat()).status, 431);
}

#[test]
fn absolute_form_is_read_as_its_path_and_offers_to_switch_are_dropped() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let mut client = world.client();
    let key = format!("X-API-Key: {KEY}\r\n");
    let answer =
        client.call(&format!("GET http://a/zoo/animals?x=1 HTTP/1.1\r\nHost: a\r\n{key}\r\n"));
    assert_eq!(answer.status, 200);
    assert!(upstream.last().starts_with("GET /base/animals?x=1 HTTP/1.1\r\n"));
    let offer = "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n";
    assert_eq!(world.call("GET /zoo/animals", &format!("{key}{offer}")).status, 200);
    assert!(!upstream.last().contains("upgrade") && !upstream.last().contains("http2-settings"));
}

#[test]
fn malformed_chunks_that_came_with_the_head_never_reach_the_upstream() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    for body in ["2 x\r\naa\r\n0\r\n\r\n", "zz\r\n", "3\r\nfoo\r\n\r\n", "1\r\nab\r\n0\r\n\r\n"] {
        let mut client = world.client();
        client.send(format!(
            "POST /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        let answer = client.answer();
        assert!(answer.is_none_or(|answer| answer.status == 400), "{body}");
    }
    assert_eq!(upstream.seen(), Vec::<String>::new());
    assert_eq!(world.sums().units, 0);
}
