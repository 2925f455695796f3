//! What is a question, and what of it is read.

use std::borrow::Cow;

use super::{Form, Text};
use crate::verify::KeyRef;

fn is_question(body: &str) -> bool {
    Form::parse(body.as_bytes()).is_some()
}

#[test]
fn every_member_is_read() {
    let body = r#" {"units":3,"ip":"2001:db8::1","scope":"zoo:feed","operation":"GET /a/{id}","product":"zoo","key":"k"} "#;
    let form = Form::parse(body.as_bytes()).unwrap();
    let question = form.question();
    assert!(matches!(question.key, KeyRef::Secret(b"k")));
    assert_eq!(question.product, Some("zoo"));
    assert_eq!(question.operation, Some("GET /a/{id}"));
    assert_eq!(question.scope, Some("zoo:feed"));
    assert_eq!(question.address, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(question.units, Some(3));
}

#[test]
fn absent_and_null_members_are_not_asked() {
    let null = r#"{"key":"k","product":null,"operation":null,"scope":null,"ip":null,"units":null}"#;
    assert_eq!(Form::parse(null.as_bytes()), Form::parse(br#"{"key":"k"}"#));
    assert!(is_question(null));
}

#[test]
fn texts_are_borrowed_unless_they_hold_escapes() {
    let form = Form::parse(br#"{"key":"k","scope":"a"}"#).unwrap();
    assert!(matches!(form.key.0, Cow::Borrowed("k")));
    assert!(matches!(form.scope, Some(Text(Cow::Borrowed("a")))));
    // Names of members may hold escapes too.
    let form = Form::parse(br#"{"\u006bey":"\u006b\"\\\n\ud83d\ude00","scope":"\u00e9"}"#).unwrap();
    assert_eq!(form.secret(), "k\"\\\n\u{1f600}".as_bytes());
    assert_eq!(form.question().scope, Some("é"));
}

#[test]
fn unknown_members_are_skipped_whatever_they_hold() {
    assert!(is_question(r#"{"key":"k","Key":1,"more":[{"key":"x"},null,1e9,"\u0000"],"":{}}"#));
    let depth = 100;
    let nested = format!("{{\"key\":\"k\",\"deep\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_question(&nested));
}

#[test]
fn what_is_no_question_is_refused() {
    for body in [
        "",
        " ",
        "null",
        "\"k\"",
        "{}",
        "{\"product\":\"zoo\"}",
        // Twice the same, even if equal or written differently.
        "{\"key\":\"k\",\"key\":\"k\"}",
        "{\"key\":\"k\",\"\\u006bey\":\"x\"}",
        "{\"key\":\"k\",\"scope\":null,\"scope\":\"a\"}",
        // Other types.
        "{\"key\":null}",
        "{\"key\":1}",
        "{\"key\":[\"k\"]}",
        "{\"key\":\"k\",\"product\":{}}",
        "{\"key\":\"k\",\"scope\":false}",
        "{\"key\":\"k\",\"ip\":\"nowhere\"}",
        "{\"key\":\"k\",\"ip\":\"10.0.0.0/8\"}",
        "{\"key\":\"k\",\"ip\":2130706433}",
        "{\"key\":\"k\",\"units\":\"1\"}",
        "{\"key\":\"k\",\"units\":1.0}",
        "{\"key\":\"k\",\"units\":0}",
        "{\"key\":\"k\",\"units\":-1}",
        "{\"key\":\"k\",\"units\":1000000001}",
        "{\"key\":\"k\",\"units\":99999999999999999999}",
        // Broken texts.
        "{\"key\":\"k\"",
        "{\"key\":\"k}",
        "{\"key\":\"k\",}",
        "{'key':'k'}",
        "{\"key\":\"\\x\"}",
        "{\"key\":\"\\ud800\"}",
        "{\"key\":\"a\nb\"}",
        // Something behind it.
        "{\"key\":\"k\"} x",
        "{\"key\":\"k\"}{\"key\":\"k\"}",
        "{\"key\":\"k\"}\0",
        "\u{feff}{\"key\":\"k\"}",
    ] {
        assert!(!is_question(body), "{body}");
    }
    assert!(Form::parse(b"{\"key\":\"\xff\"}").is_none());
    assert!(Form::parse(b"{\"key\":\"\xc0\xaf\"}").is_none());
    assert!(Form::parse(b"\xff\xfe{\0").is_none());
}

#[test]
fn depth_is_bounded_and_size_is_not() {
    for open in ["[", "{\"a\":"] {
        let nested = format!("{{\"key\":\"k\",\"deep\":{}", open.repeat(100_000));
        assert!(!is_question(&nested));
    }
    let long = format!("{{\"key\":\"{}\"}}", "k".repeat(60_000));
    assert_eq!(Form::parse(long.as_bytes()).unwrap().secret().len(), 60_000);
}
