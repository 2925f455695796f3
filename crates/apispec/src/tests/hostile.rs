//! Documents that are broken or mean harm: refused with a code and a place.

use std::fmt::Write as _;

use super::{document, has_diagnostic, read};
use crate::limits::{MAX_DIAGNOSTICS, MAX_DOCUMENT_BYTES};
use crate::{Place, load};

fn refusal(bytes: &[u8]) -> (&'static str, Place) {
    let error = load(bytes, None).expect_err("the document is refused");
    println!("{error} ({})", error.place());
    (error.code(), error.place())
}

#[test]
fn refusals_name_their_code_and_place() {
    let at = |line, column| Place::Text { line, column };
    let pointer = |pointer: &str| Place::Pointer(pointer.to_owned());
    let cases: &[(&[u8], &str, Place)] = &[
        (b"", "spec_empty", Place::Document),
        (b" \n", "spec_empty", Place::Document),
        (b"{\"openapi\": \"3.0.0\",\n \xff}", "spec_not_utf8", at(2, 2)),
        (b"{\"openapi\": \"3", "spec_syntax", at(1, 14)),
        (b"openapi: 3.0.0\ninfo: [", "spec_syntax", at(2, 7)),
        (b"[1]", "spec_not_openapi", Place::Document),
        (b"type: object", "spec_not_openapi", Place::Document),
        (b"just words", "spec_not_openapi", Place::Document),
        (b"swagger: '1.2'", "spec_version_unsupported", pointer("/swagger")),
        (b"swagger: '3.0'", "spec_version_unsupported", pointer("/swagger")),
        (b"openapi: 4.0.0", "spec_version_unsupported", pointer("/openapi")),
        (b"openapi: [3]", "spec_version_unsupported", pointer("/openapi")),
    ];
    for (bytes, code, place) in cases {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(refusal(bytes), (*code, place.clone()), "{text}");
    }
}

#[test]
fn aliases_that_explode_are_refused() {
    assert_eq!(refusal(&read("laughs.yaml")).0, "spec_too_complex");
    let error = load(&read("self_alias.yaml"), None).expect_err("refused").to_string();
    assert!(
        error.starts_with("the document is too complex: an alias holds itself at line"),
        "{error}"
    );
}

#[test]
fn aliases_of_a_long_text_are_charged_each_time() {
    let text = "x".repeat(1024 * 1024);
    let aliases = "  - *long\n".repeat(1000);
    let yaml = format!("openapi: 3.0.3\nx-long: &long {text}\nx-list:\n{aliases}");
    assert_eq!(refusal(yaml.as_bytes()).0, "spec_too_complex");
}

#[test]
fn deep_and_long_documents_are_refused() {
    let deep = format!("{{\"openapi\":\"3.0.3\",\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(refusal(deep.as_bytes()).0, "spec_too_complex");
    let deep_yaml = format!("openapi: 3.0.3\nx: {}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(refusal(deep_yaml.as_bytes()).0, "spec_too_complex");
    assert_eq!(refusal(&vec![b' '; MAX_DOCUMENT_BYTES + 1]).0, "spec_too_large");
}

#[test]
fn references_that_multiply_are_refused() {
    let text = "x".repeat(100_000);
    let mut paths = String::new();
    for index in 0..5000 {
        write!(paths, r##""/p{index}":{{"$ref":"#/components/pathItems/big"}},"##).expect("memory");
    }
    let json = format!(
        r#"{{"openapi":"3.1.0","paths":{{{paths}"x-end":0}},"components":{{"pathItems":{{"big":
        {{"get":{{"description":"{text}","responses":{{}}}}}}}}}}}}"#
    );
    assert_eq!(refusal(json.as_bytes()).0, "spec_too_complex");
}

#[test]
fn names_that_occur_twice_are_remarks_and_the_last_counts() {
    let document = document("duplicates.json");
    assert_eq!(document.title, "last");
    assert_eq!(document.operations[0].method, "PUT");
    assert!(has_diagnostic(&document.diagnostics, "/info/title", "twice"));
    assert!(has_diagnostic(&document.diagnostics, "/paths/~1a", "twice"));
}

#[test]
fn diagnostics_are_bounded_and_say_so() {
    let mut yaml = "openapi: 3.0.3\npaths:\n".to_owned();
    for index in 0..1000 {
        writeln!(yaml, "  /p{index}: 1").expect("memory");
    }
    let document = load(yaml.as_bytes(), None).expect("it is imported");
    assert_eq!(document.diagnostics.len(), MAX_DIAGNOSTICS + 1);
    let last = document.diagnostics.last().expect("there is one");
    assert!(last.message.contains("left out"), "{}", last.message);
}

#[test]
fn byte_order_mark_and_flow_style_are_read() {
    let document =
        load(b"\xef\xbb\xbf{openapi: 3.0.3, info: {title: flow, version: '1'}, paths: {},}", None);
    assert_eq!(document.expect("it is imported").title, "flow");
}
