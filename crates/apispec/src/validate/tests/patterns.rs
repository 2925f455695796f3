use super::{document, validators};
use crate::validate::format::Format;
use crate::validate::pattern::compile;
use crate::validate::{Body, RequestParts, Validators};

#[test]
fn pattern_means_what_ecma_says() {
    let cases = [
        (r"^\d+$", "12", true),
        (r"^\d+$", "\u{663}", false),
        (r"^[\w.-]+$", "a-b.c", true),
        (r"^[\w]$", "é", false),
        (r"^[[]$", "[", true),
        (r"^[&&]$", "&", true),
        (r"^a\/b$", "a/b", true),
        (r"^\p{L}+$", "été", true),
        ("b", "abc", true),
    ];
    for (pattern, text, expected) in cases {
        let compiled = compile(pattern).expect("the pattern compiles");
        assert_eq!(compiled.is_match(text), expected, "{pattern} on {text}");
    }
    assert!(compile(r"^(?=a)").is_none());
    assert!(compile(r"(a)\1").is_none());
    assert!(compile(&"a{1000}".repeat(900)).is_none());
}

#[test]
fn format_looks_at_dates_and_uuids() {
    let cases = [
        (Format::Date, "2024-02-29", true),
        (Format::Date, "2023-02-29", false),
        (Format::Date, "2023-13-01", false),
        (Format::Date, "2023-1-1", false),
        (Format::DateTime, "2023-01-01T00:00:00Z", true),
        (Format::DateTime, "2023-01-01t23:59:59.123+05:30", true),
        (Format::DateTime, "2023-01-01T24:00:00Z", false),
        (Format::DateTime, "2023-01-01T00:00:00", false),
        (Format::DateTime, "2023-01-01T00:00:00.Z", false),
        (Format::DateTime, "éééééééé", false),
        (Format::Uuid, "0191d3a4-7b1c-7e2f-8a4b-1c2d3e4f5a6b", true),
        (Format::Uuid, "0191d3a47b1c7e2f8a4b1c2d3e4f5a6b", false),
    ];
    for (format, text, expected) in cases {
        assert_eq!(format.fits(text), expected, "{text}");
    }
}

/// What is not checked must neither be found wrong nor make something else wrong.
#[test]
fn unchecked_keywords_are_told_and_refuse_nothing() {
    let document = document(
        r"
openapi: 3.1.0
info: {title: Unchecked, version: '1'}
paths:
  /a:
    get:
      parameters:
        - {name: looks, in: query, schema: {type: string, pattern: '^(?!x)'}}
        - {name: not, in: query, schema: {not: {type: string, pattern: '^(?!x)'}}}
        - {name: one, in: query, schema: {oneOf: [{type: string, pattern: '(?=a)'}, {type: string, pattern: '(?=b)'}]}}
        - {name: far, in: query, schema: {$ref: '#/components/schemas/Nowhere'}}
      responses: {}
",
    );
    let validators = validators(&document);
    let told = validators.diagnostics();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|one| one.pointer == "/paths/~1a/get"), "{told:?}");
    let request = RequestParts {
        path: "/a",
        query: Some("looks=x&not=x&one=c&far=1"),
        headers: &|_| None,
        body: Body::Absent,
    };
    assert_eq!(validators.check(0, &request), Ok(()));
}

#[test]
fn compile_tells_operations_that_the_document_lacks() {
    let document = document("{openapi: 3.1.0, info: {title: None, version: '1'}, paths: {}}");
    let validators = Validators::compile(&document, [("GET", "/gone")]);
    assert_eq!(validators.diagnostics()[0].pointer, "/paths/~1gone/get");
    let request =
        RequestParts { path: "/gone", query: None, headers: &|_| None, body: Body::Absent };
    assert_eq!(validators.check(0, &request), Ok(()));
}
