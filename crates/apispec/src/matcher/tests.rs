//! Which request finds which operation.

use super::{Conflict, Match, OperationMatcher};

fn matcher(operations: &[(&str, &str)]) -> OperationMatcher {
    OperationMatcher::new(operations.iter().copied())
}

#[test]
fn match_path_prefers_literals_and_reads_every_template_form() {
    let operations = [
        ("GET", "/pets/{id}"),
        ("GET", "/pets/mine"),
        ("GET", "/pets/{id}.json"),
        ("GET", "/pets/{id}/toys"),
        ("GET", "/range/{from}-{to}"),
        ("POST", "/v1/{name}:cancel"),
        ("GET", "/caf%C3%A9/a b"),
        ("GET", "/"),
        ("GET", "/express/:id"),
        ("GET", "/query?view=a"),
        ("GET", "/pets/mine/{x}/deep"),
        ("DELETE", "/pets/{other}"),
    ];
    let matcher = matcher(&operations);
    let cases = [
        ("GET", "/pets/7", Some(0)),
        ("GET", "/pets/mine", Some(1)),
        ("GET", "/pets/m%69ne", Some(1)),
        ("GET", "/pets/7.json", Some(2)),
        ("GET", "/pets/.json", Some(0)),
        ("GET", "/pets/a%2Fb", Some(0)),
        ("GET", "/pets/mine/toys", Some(3)),
        ("GET", "/pets/mine/toys/deep", Some(10)),
        ("GET", "/range/1-2", Some(4)),
        ("GET", "/range/1-2-3", Some(4)),
        ("GET", "/range/-2", None),
        ("POST", "/v1/job:cancel", Some(5)),
        ("POST", "/v1/job%3Acancel", Some(5)),
        ("POST", "/v1/job:cancelled", None),
        ("GET", "/caf%c3%a9/a%20b", Some(6)),
        ("GET", "/", Some(7)),
        ("GET", "", Some(7)),
        ("GET", "/express/7", Some(8)),
        ("GET", "/query?view=b", Some(9)),
        ("DELETE", "/pets/mine", Some(11)),
        ("GET", "/Pets/7", None),
        ("GET", "/nothing", None),
        ("GET", "/pets/7/toys/8", None),
    ];
    for (method, path, expected) in cases {
        let expected = expected.map_or(Match::NoPath, Match::Found);
        assert_eq!(matcher.match_path(method, path), expected, "{method} {path}");
    }
}

#[test]
fn match_path_tells_the_methods_of_the_path() {
    let matcher = matcher(&[
        ("GET", "/a"),
        ("POST", "/a"),
        ("HEAD", "/b"),
        ("GET", "/b"),
        ("DELETE", "/c/{x}"),
        ("GET", "/c/me"),
    ]);
    assert_eq!(matcher.match_path("PUT", "/a"), Match::WrongMethod("GET, HEAD, POST"));
    assert_eq!(matcher.match_path("get", "/a"), Match::WrongMethod("GET, HEAD, POST"));
    assert_eq!(matcher.match_path("HEAD", "/a"), Match::Found(0));
    assert_eq!(matcher.match_path("HEAD", "/b"), Match::Found(2));
    assert_eq!(matcher.match_path("PUT", "/b"), Match::WrongMethod("HEAD, GET"));
    assert_eq!(matcher.match_path("PUT", "/c/me"), Match::WrongMethod("GET, HEAD"));
    assert_eq!(matcher.match_path("HEAD", "/c/7"), Match::WrongMethod("DELETE"));
}

#[test]
fn match_path_treats_a_trailing_slash_as_its_own_path_where_both_exist() {
    let matcher = matcher(&[
        ("GET", "/only"),
        ("GET", "/slashed/"),
        ("GET", "/both"),
        ("POST", "/both/"),
        ("GET", "/p/{id}"),
    ]);
    assert_eq!(matcher.match_path("GET", "/only/"), Match::Found(0));
    assert_eq!(matcher.match_path("GET", "/slashed"), Match::Found(1));
    assert_eq!(matcher.match_path("GET", "/both"), Match::Found(2));
    assert_eq!(matcher.match_path("POST", "/both/"), Match::Found(3));
    assert_eq!(matcher.match_path("GET", "/both/"), Match::WrongMethod("POST"));
    assert_eq!(matcher.match_path("POST", "/both"), Match::WrongMethod("GET, HEAD"));
    assert_eq!(matcher.match_path("GET", "/p/7/"), Match::Found(4));
    assert_eq!(matcher.match_path("GET", "/p/"), Match::NoPath);
    assert_eq!(matcher.match_path("GET", "/p"), Match::NoPath);
    assert_eq!(matcher.match_path("GET", "/only//"), Match::NoPath);
    assert_eq!(matcher.match_path("GET", "/"), Match::NoPath);
}

#[test]
fn match_path_never_takes_dots_or_empty_segments_for_values() {
    let matcher = matcher(&[("GET", "/a/{x}/admin"), ("GET", "/a/{x}"), ("GET", "/b/{x}.{y}")]);
    let paths = [
        "/a/../admin",
        "/a/./admin",
        "/a//admin",
        "//a/x",
        "/a/%2e%2e/admin",
        "/a/.%2E",
        "/a/%2e",
        "/a/..",
        "/b/..",
        "/a/x//",
        "/./a/x",
        "/x/../a/x",
    ];
    for path in paths {
        assert_eq!(matcher.match_path("GET", path), Match::NoPath, "{path}");
    }
    assert_eq!(matcher.match_path("GET", "/a/..."), Match::Found(1));
}

#[test]
fn conflicts_name_the_operation_that_wins() {
    let long = "/x".repeat(100);
    let matcher =
        matcher(&[("GET", "/a/{x}"), ("GET", "/a/{y}"), ("GET", &long), ("GET", "/a/{y}?z")]);
    assert_eq!(
        matcher.conflicts(),
        [
            Conflict { index: 1, first: Some(0) },
            Conflict { index: 2, first: None },
            Conflict { index: 3, first: Some(0) },
        ]
    );
}

#[test]
fn match_path_finds_each_of_ten_thousand() {
    let templates: Vec<String> =
        (0..10_000).map(|index| format!("/group{}/item{index}/{{id}}", index % 100)).collect();
    let matcher = OperationMatcher::new(templates.iter().map(|path| ("GET", path.as_str())));
    assert!(matcher.conflicts().is_empty());
    for (index, template) in templates.iter().enumerate() {
        let path = template.replace("{id}", "7");
        assert_eq!(matcher.match_path("GET", &path), Match::Found(index));
    }
}
