//! By host name, and by version.

use keytoll_domain::catalog::{Product, ProductStatus, ProductVersion, VersionBy};

use crate::tests::support::{Answer, KEY, Setup, TOKEN, Upstream, World, operation};

fn with_key(world: &World, line: &str, host: &str, fields: &str) -> Answer {
    let key = format!("Authorization: Bearer {KEY}\r\n");
    world.client().call(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n{key}{fields}\r\n"))
}

pub(super) fn version(
    product: &Product,
    name: &str,
    host: Option<&str>,
    base: &str,
) -> ProductVersion {
    let upstream = product.upstream.as_ref().unwrap().replace("/base", base);
    ProductVersion {
        version: name.into(),
        host: host.map(Into::into),
        status: ProductStatus::Active,
        upstream: Some(upstream),
        targets: Vec::new(),
        sandbox: None,
        sandbox_targets: Vec::new(),
        operations: vec![operation("GET", "/beasts/{id}")],
        document_sha256: None,
    }
}

/// Version 1 of the product is the usual one; version 2 and 3.1 have beasts.
fn versioned(upstream: &Upstream, by: VersionBy) -> World {
    let mut setup = Setup::new(upstream);
    setup.settings.hosts = vec!["zoo.example".into()];
    setup.settings.versioning.by = by;
    setup.product = Box::new(move |product| {
        let host = |host| (by == VersionBy::Host).then_some(host);
        product.versions = vec![
            version(product, "2", host("two.zoo.example"), "/second"),
            version(product, "3.1", host("three.zoo.example"), "/third"),
        ];
    });
    setup.start()
}

fn last_line(upstream: &Upstream) -> String {
    upstream.last().split("\r\n").next().unwrap().to_owned()
}

#[test]
fn host_leads_to_the_product_and_reserves_only_its_own_prefix() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.hosts = vec!["zoo.example".into()];
    setup.product = Box::new(|product| product.operations.push(operation("GET", "/healthz")));
    let world = setup.start();
    for host in ["zoo.example", "ZOO.Example:8080", "zoo.example.", "zoo.example.:80"] {
        assert_eq!(with_key(&world, "GET /animals/7?a=b", host, "").status, 200, "{host}");
        assert_eq!(last_line(&upstream), "GET /base/animals/7?a=b HTTP/1.1");
    }
    assert_eq!(with_key(&world, "GET /healthz", "zoo.example", "").status, 200);
    assert_eq!(last_line(&upstream), "GET /base/healthz HTTP/1.1");
    let usage = with_key(&world, "GET /.keytoll/usage", "zoo.example", "");
    assert_eq!(usage.json()["plan"], "basic");
    assert_eq!(with_key(&world, "GET /zoo/animals", "zoo.example", "").code(), "no_such_operation");
    assert_eq!(with_key(&world, "GET /zoo/animals", "api.example", "").status, 200);
    assert_eq!(with_key(&world, "GET /animals", "other.example", "").code(), "no_such_product");
    assert_eq!(with_key(&world, "GET /animals", "azoo.example", "").code(), "no_such_product");
    let absolute = with_key(&world, "GET http://zoo.example/animals", "zoo.example", "");
    assert_eq!(absolute.status, 200);
    assert_eq!(last_line(&upstream), "GET /base/animals HTTP/1.1");
    let answer = world.call("GET /healthz", "");
    assert_eq!(answer.json()["status"], "ok", "the gateway's own elsewhere");
}

#[test]
fn versions_by_path_have_operations_and_upstreams_of_their_own() {
    let upstream = Upstream::new();
    let world = versioned(&upstream, VersionBy::Path);
    for (line, sent) in [
        ("GET /zoo/animals/7", "GET /base/animals/7 HTTP/1.1"),
        ("GET /zoo/2/beasts/7?x=1", "GET /second/beasts/7?x=1 HTTP/1.1"),
        ("HEAD /zoo/3.1/beasts/7", "HEAD /third/beasts/7 HTTP/1.1"),
    ] {
        let mut client = world.client();
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        assert_eq!(client.head().status, 200, "{line}");
        assert_eq!(last_line(&upstream), sent);
    }
    assert_eq!(with_key(&world, "GET /2/beasts/7", "zoo.example", "").status, 200);
    assert_eq!(last_line(&upstream), "GET /second/beasts/7 HTTP/1.1");
    for path in
        ["/zoo/2/animals", "/zoo/2", "/zoo/9/beasts/7", "/zoo/beasts/7", "/zoo/%32/beasts/7"]
    {
        assert_eq!(world.get(path).code(), "no_such_operation", "{path}");
    }
    let wrong = with_key(&world, "DELETE /zoo/2/beasts/7", "a", "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
    assert_eq!(world.get("/zoo/2/.keytoll/usage").json()["plan"], "basic");
    let text = world.gateway().metrics_text();
    let labels = "product=\"zoo\",operation=\"GET 2:/beasts/{id}\",status=\"200\"";
    assert!(text.contains(labels), "{text}");
}

#[test]
fn versions_by_header_are_looked_at_after_the_key() {
    let upstream = Upstream::new();
    let world = versioned(&upstream, VersionBy::Header);
    let call = |path: &str, fields: &str| with_key(&world, &format!("GET {path}"), "a", fields);
    assert_eq!(call("/zoo/beasts/7", "X-API-Version: 2\r\n").status, 200);
    assert_eq!(last_line(&upstream), "GET /second/beasts/7 HTTP/1.1");
    assert_eq!(call("/zoo/animals", "X-API-Version: 1\r\n").status, 200);
    assert_eq!(call("/zoo/animals", "").status, 200);
    assert_eq!(call("/zoo/animals", "X-API-Version: 2\r\n").code(), "no_such_operation");
    assert_eq!(call("/zoo/animals", "X-API-Version: 4\r\n").code(), "no_such_operation");
    let two = "X-API-Version: 2\r\nx-api-version: 3.1\r\n";
    assert_eq!(call("/zoo/beasts/7", two).code(), "no_such_operation");
    let unknown = world.call("GET /zoo/animals", "X-API-Version: 4\r\n");
    assert_eq!(unknown.code(), "key_missing");
    assert_eq!(world.sums().calls, 3);
}

#[test]
fn upstream_reads_the_version_that_is_metered() {
    let upstream = Upstream::new();
    let world = versioned(&upstream, VersionBy::Header);
    for (path, fields, version) in [
        ("/zoo/animals", "", "1"),
        ("/zoo/beasts/7", "X-API-Version: 2 \r\nx-api-version:2\r\n", "2"),
        ("/zoo/animals", "X_API_Version: 2\r\n", "1"),
        ("/zoo/beasts/7", "X-API-Version: 2\r\nX_Api-Version: 3.1\r\n", "2"),
        ("/zoo/beasts/7", "X-API-Version: 2\r\nConnection: x-api-version\r\n", "2"),
    ] {
        assert_eq!(with_key(&world, &format!("GET {path}"), "a", fields).status, 200, "{fields}");
        let seen = upstream.last().to_lowercase().replace('_', "-");
        let lines: Vec<_> = seen.lines().filter(|line| line.starts_with("x-api-version")).collect();
        assert_eq!(lines, [format!("x-api-version: {version}")], "{fields}");
    }
}

#[test]
fn versions_by_host_answer_on_theirs() {
    let upstream = Upstream::new();
    let world = versioned(&upstream, VersionBy::Host);
    assert_eq!(with_key(&world, "GET /beasts/7", "two.zoo.example", "").status, 200);
    assert_eq!(last_line(&upstream), "GET /second/beasts/7 HTTP/1.1");
    assert_eq!(with_key(&world, "GET /animals", "zoo.example", "").status, 200);
    assert_eq!(with_key(&world, "GET /beasts/7", "zoo.example", "").code(), "no_such_operation");
    assert_eq!(world.get("/zoo/2/beasts/7").code(), "no_such_operation");
}

#[test]
fn verification_knows_versions() {
    let upstream = Upstream::new();
    let world = versioned(&upstream, VersionBy::Path);
    let fields = format!("X-Keytoll-Auth: {TOKEN}\r\nAuthorization: Bearer {KEY}\r\n");
    assert_eq!(world.call("GET /v1/auth/zoo/2/beasts/7", &fields).status, 200);
    assert_eq!(world.call("GET /v1/auth/zoo/2/animals", &fields).status, 404);
    for (operation, code) in [
        ("GET 2:/beasts/7", "valid"),
        ("GET 2:/animals", "no_such_operation"),
        ("GET /animals", "valid"),
    ] {
        let body = format!(r#"{{"key":"{KEY}","product":"zoo","operation":"{operation}"}}"#);
        let fields = format!(
            "Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer =
            world.client().call(&format!("POST /v1/keys/verify HTTP/1.1\r\nHost: a\r\n{fields}"));
        assert_eq!(answer.code(), code, "{operation}");
    }
}

#[test]
fn ten_thousand_operations_are_found_among() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.product = Box::new(|product| {
        let more =
            (0..10_000).map(|at| operation("GET", &format!("/group{}/item{at}/{{id}}", at % 100)));
        product.operations.extend(more);
    });
    let world = setup.start();
    assert_eq!(world.get("/zoo/group99/item9999/7").status, 200);
    assert_eq!(world.get("/zoo/group98/item9999/7").code(), "no_such_operation");
    assert_eq!(world.get("/zoo/animals").status, 200);
}

#[test]
fn head_is_answered_by_get_and_options_only_by_itself() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.product = Box::new(|product| product.operations.push(operation("OPTIONS", "/pens")));
    let world = setup.start();
    let options = with_key(&world, "OPTIONS /zoo/animals", "a", "");
    assert_eq!((options.status, options.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(options.header("allow"), "GET, HEAD, POST, PUT");
    assert_eq!(with_key(&world, "OPTIONS /zoo/pens", "a", "").status, 200);
    assert_eq!(world.call("OPTIONS /zoo/animals", "").code(), "key_missing");
    assert_eq!(world.get("/zoo/animals/").status, 200, "one of the two paths serves both");
    assert_eq!(last_line(&upstream), "GET /base/animals/ HTTP/1.1");
    assert_eq!(world.get("/zoo/animals/a%2Fb").status, 200, "one segment");
    assert_eq!(last_line(&upstream), "GET /base/animals/a%2Fb HTTP/1.1");
    assert_eq!(world.get("/zoo/pens/7%2Flocks").code(), "no_such_operation", "two readings");
}
