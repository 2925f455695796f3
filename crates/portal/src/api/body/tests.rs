use super::*;

#[derive(Debug)]
struct Sample {
    name: String,
    tags: Option<Vec<u8>>,
    count: Option<u64>,
}

impl FromMembers for Sample {
    fn read(members: &mut Members) -> Option<Self> {
        let name = members.text("name", 1, 5);
        let tags = members.list("tags", |text| text.parse().map_err(|_| format!("{text}!")));
        let count = members.count("count");
        Some(Self { name: name?, tags, count })
    }
}

fn places(body: &str) -> Vec<String> {
    let problem = parse::<Sample>(body.as_bytes()).expect_err(body);
    assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
    problem.errors.into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn a_good_body_is_read_and_unknown_members_are_ignored() {
    let sample: Sample =
        parse(br#"{"name": " a ", "tags": ["1"], "count": null, "more": {}}"#).unwrap();
    assert_eq!((sample.name.as_str(), sample.tags, sample.count), ("a", Some(vec![1]), None));
}

#[test]
fn every_mistake_has_its_place() {
    assert_eq!(
        places(r#"{"tags": ["1", "x", 2], "count": -1}"#),
        ["/name", "/tags/1", "/tags/2", "/count"]
    );
    assert_eq!(places(r#"{"name": "a\u0000b"}"#), ["/name"]);
    assert_eq!(places(r#"{"name": 1, "tags": {}}"#), ["/name", "/tags"]);
    assert_eq!(places("[]"), [""]);
}

#[test]
fn what_is_no_json_is_malformed() {
    let deep = "[".repeat(100_000);
    for body in [b"".as_slice(), b"{\"name\": ", b"{\"name\": \"\xff\xfe\"}", deep.as_bytes()] {
        let problem = parse::<Sample>(body).expect_err("malformed");
        assert_eq!((problem.status, problem.code), (StatusCode::BAD_REQUEST, "request_invalid"));
    }
}

#[test]
fn json_types_only() {
    let mut headers = HeaderMap::new();
    assert!(!is_json(&headers));
    for (kind, expected) in [
        ("application/json", true),
        ("Application/JSON; charset=UTF-8", true),
        ("application/vnd.x+json", true),
        ("application/json; charset=latin1", false),
        ("text/json", false),
        ("application/x-www-form-urlencoded", false),
        ("text/plain", false),
    ] {
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        assert_eq!(is_json(&headers), expected, "{kind}");
    }
}
