//! Which key counts, and what of it the upstream sees.

use keytoll_domain::catalog::KeySource;

use super::support::*;

fn all_sources() -> Vec<KeySource> {
    vec![KeySource::Header, KeySource::Bearer, KeySource::Query]
}

#[test]
fn first_source_with_a_value_is_the_key_even_if_wrong() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let cases = [
        ("Authorization: Bearer wrong\r\nX-API-Key: secret-of-alice\r\n", 401, "key_invalid"),
        ("Authorization: Bearer \r\nX-API-Key: secret-of-alice\r\n", 200, ""),
        ("Authorization: bearer  secret-of-alice\r\n", 200, ""),
        ("Authorization: Basic abc\r\nX-API-Key: secret-of-alice\r\n", 200, ""),
        ("X-API-Key: secret-of-alice\r\nx-api-key: secret-of-alice\r\n", 401, "key_ambiguous"),
        (
            "Authorization: Bearer secret-of-alice\r\nAuthorization: Bearer b\r\n",
            401,
            "key_ambiguous",
        ),
        ("X-API-Key:\r\n", 401, "key_missing"),
        ("", 401, "key_missing"),
    ];
    for (fields, status, code) in cases {
        let answer = world.call("GET /zoo/animals", fields);
        assert_eq!(answer.status, status, "{fields}");
        if status != 200 {
            assert_eq!(answer.code(), code, "{fields}");
        }
    }
    for query in ["?api_key=secret-of-alice", "?a=1&api%5Fkey=x"] {
        assert_eq!(world.call(&format!("GET /zoo/animals{query}"), "").code(), "key_in_query");
    }
}

#[test]
fn query_key_is_taken_when_switched_on_and_never_forwarded() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = all_sources();
    let world = setup.start();
    let cases = [
        ("?c=1&b=2&api_key=secret-of-alice&a=3", "?c=1&b=2&a=3"),
        ("?api_key=secret-of-alice", ""),
        ("?%61pi_key=secret%2Dof-alice&x=%20y", "?x=%20y"),
    ];
    for (asked, forwarded) in cases {
        assert_eq!(world.call(&format!("GET /zoo/animals{asked}"), "").status, 200, "{asked}");
        let line = format!("GET /base/animals{forwarded} HTTP/1.1\r\n");
        assert!(upstream.last().starts_with(&line), "{}", upstream.last());
    }
    let twice = "GET /zoo/animals?api_key=secret-of-alice&api_key=secret-of-alice";
    assert_eq!(world.call(twice, "").code(), "key_ambiguous");
}

#[test]
fn key_behind_a_semicolon_is_none_and_never_forwarded() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = all_sources();
    let with_query = setup.start();
    for query in ["?a=1;api_key=secret-of-alice", "?a=1;b;api%5fkey=secret-of-alice"] {
        let line = format!("GET /zoo/animals{query}");
        assert_eq!(world.call(&line, "").code(), "key_in_query");
        assert_eq!(with_query.call(&line, "").code(), "key_ambiguous");
    }
    let key = "X-API-Key: secret-of-alice\r\n";
    for (asked, forwarded) in [
        ("?a=1;api_key=secret-of-alice", "?a=1"),
        ("?a=1;%61pi_key=secret%2Dof-alice;b=2&c", "?a=1;b=2&c"),
        ("?api_key=secret-of-alice;b=2", "?b=2"),
        ("?api_key=sk_live_abc;b=2&c=3", "?c=3"),
        ("?a=1;api_key=other;b", "?a=1;api_key=other;b"),
    ] {
        assert_eq!(world.call(&format!("GET /zoo/animals{asked}"), key).status, 200, "{asked}");
        let line = format!("GET /base/animals{forwarded} HTTP/1.1\r\n");
        assert!(upstream.last().starts_with(&line), "{}", upstream.last());
    }
}

#[test]
fn other_places_are_cleaned_of_keys_and_keep_everything_else() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = all_sources();
    let world = setup.start();
    let key = "X-API-Key: secret-of-alice\r\n";
    let get = |query: &str, fields: &str| {
        let answer = world.call(&format!("GET /zoo/animals{query}"), &format!("{key}{fields}"));
        assert_eq!(answer.status, 200, "{query} {fields}");
        upstream.last()
    };
    let jwt = get("?api_key=other", "Authorization: Bearer a.jwt.token\r\n");
    assert!(jwt.contains("\r\nauthorization: Bearer a.jwt.token\r\n"), "{jwt}");
    assert!(jwt.starts_with("GET /base/animals?api_key=other HTTP"), "{jwt}");
    let same = get("?api_key=secret-of-alice&z=1", "Authorization: Bearer secret-of-alice\r\n");
    assert!(!same.contains("secret-of-alice"), "{same}");
    assert!(same.starts_with("GET /base/animals?z=1 HTTP"), "{same}");
    let brand =
        get("?api_key=sk_live_abc&api%5fkey=sk_test_x", "Authorization: Bearer sk_live_abc\r\n");
    assert!(!brand.contains("sk_"), "{brand}");
}

#[test]
fn underscores_do_not_carry_past_what_dashes_may_not() {
    let upstream = Upstream::new();
    let world = World::of(&upstream);
    let fields = "Authorization: Bearer secret-of-alice\r\nX_API_Key: secret-of-alice\r\n\
                  X_Forwarded_For: 192.0.2.66\r\nX_Real_IP: 192.0.2.66\r\nx-keytoll_plan: gold\r\n\
                  Transfer_Encoding: chunked\r\nmy_own: kept\r\n";
    assert_eq!(world.call("GET /zoo/animals", fields).status, 200);
    let seen = upstream.last().to_lowercase();
    for gone in ["secret", "192.0.2.66", "gold", "transfer"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    assert!(seen.contains("\r\nmy_own: kept\r\n"), "{seen}");
}

#[test]
fn forward_key_passes_the_key_on() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.forward_key = true;
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals").status, 200);
    assert!(upstream.last().contains("\r\nauthorization: Bearer secret-of-alice\r\n"));
}

#[test]
fn own_header_name_and_texts_of_document_b() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = vec![KeySource::Header];
    setup.settings.key_header = "X-Zoo-Key".into();
    setup.settings.error_texts = keytoll_domain::catalog::ErrorTexts::DocumentB;
    let world = setup.start();
    assert_eq!(world.call("GET /zoo/animals", "x-zoo-key: secret-of-alice\r\n").status, 200);
    assert!(!upstream.last().contains("secret"));
    let wrong = world.call("GET /zoo/animals", "x-zoo-key: no\r\n");
    assert_eq!(wrong.json()["error"], "Invalid or expired API key");
}

#[test]
fn access_log_never_holds_a_key() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = all_sources();
    let path = std::env::temp_dir().join(format!("keytoll-access-{}.log", std::process::id()));
    let target = path.clone();
    setup.options = Box::new(move |options| options.access_log = crate::AccessLog::File(target));
    let mut world = setup.start();
    world.call("GET /zoo/animals?api_key=secret-of-alice", "");
    world.call("GET /zoo/animals?api_key=wrong-one", "");
    world.call("GET /elsewhere?api_key=secret-of-alice", "");
    world.call("GET /zoo/animals;k=sk_live_secret-of-nobody-else/x", "");
    world.call("GET /zoo/%73k_live_secret-of-nobody-else", "");
    world.call("GET /zoo/a%3Ds%6B_live_secret-of-nobody-else/b", "");
    world.gateway.take().unwrap().shutdown(std::time::Duration::from_secs(5));
    drop(world);
    let log = std::fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().count(), 6, "{log}");
    assert!(!log.contains("secret") && !log.contains("wrong"), "{log}");
    let good = log.lines().find(|line| line.contains("\"status\":200")).unwrap();
    let first: serde_json::Value = serde_json::from_str(good).unwrap();
    assert_eq!((&first["path"], &first["status"]), (&"/zoo/animals".into(), &200.into()));
    assert_eq!(first["bytes_out"], 11);
    assert!(log.contains("\"path\":\"/zoo/animals;k=***/x\""), "{log}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn trace_passes_and_is_logged_if_it_is_well_formed() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    let path = std::env::temp_dir().join(format!("keytoll-traces-{}.log", std::process::id()));
    let target = path.clone();
    setup.options = Box::new(move |options| {
        options.access_log = crate::AccessLog::File(target);
        // The lines of one are in the order of its calls.
        options.workers = 1;
    });
    let mut world = setup.start();
    let key = "X-API-Key: secret-of-alice\r\n";
    let state = "tracestate: a=1\r\n";
    for (fields, passes) in [
        (format!("traceparent: {PARENT}\r\n{state}"), true),
        (format!("traceparent: {PARENT}x\r\n{state}"), false),
        (format!("traceparent: {PARENT}\r\nTraceParent: {PARENT}\r\n{state}"), false),
        (state.to_owned(), false),
    ] {
        assert_eq!(world.call("GET /zoo/animals", &format!("{key}{fields}")).status, 200);
        let seen = upstream.last();
        assert_eq!(seen.contains(&format!("\r\ntraceparent: {PARENT}\r\n")), passes, "{seen}");
        assert_eq!(seen.contains("\r\ntracestate: a=1\r\n"), passes, "{seen}");
        assert!(passes || !seen.contains("trace"), "{seen}");
    }
    world.gateway.take().unwrap().shutdown(std::time::Duration::from_secs(5));
    drop(world);
    let log = std::fs::read_to_string(&path).unwrap();
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let traces: Vec<_> = log.lines().map(|text| line(text)["trace_id"].clone()).collect();
    let none = serde_json::Value::Null;
    let known = PARENT[3..35].into();
    assert_eq!(traces, [known, none.clone(), none.clone(), none], "{log}");
    std::fs::remove_file(&path).unwrap();
}
