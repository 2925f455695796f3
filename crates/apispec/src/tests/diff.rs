//! Which changes break partners.

use crate::{Change, Document, diff, load};

fn document(paths: &str) -> Document {
    let yaml = format!(
        "openapi: 3.1.0\ninfo: {{title: t, version: '1'}}\npaths: {paths}\ncomponents:\n  schemas:\n    \
         Node: {{type: object, properties: {{next: {{$ref: '#/components/schemas/Node'}}}}}}"
    );
    load(yaml.as_bytes(), None).expect("the document is imported")
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    diff(&document(old), &document(new))
}

/// A body and an answer of the same schema.
fn both(schema: &str) -> (String, String) {
    let content = format!("content: {{application/json: {{schema: {schema}}}}}");
    (
        format!("{{/a: {{post: {{requestBody: {{{content}}}, responses: {{}}}}}}}}"),
        format!("{{/a: {{get: {{responses: {{200: {{description: d, {content}}}}}}}}}}}"),
    )
}

#[test]
fn diff_judges_requests_and_answers_in_opposite_directions() {
    let object = |inner: &str| format!("{{type: object, {inner}}}");
    let cases = [
        // old, new, breaks requests, breaks answers
        ("{type: integer}".to_owned(), "{type: number}".to_owned(), false, true),
        ("{type: [string, 'null']}".to_owned(), "{type: string}".to_owned(), true, false),
        (
            "{type: string, maxLength: 9}".to_owned(),
            "{type: string, maxLength: 5}".to_owned(),
            true,
            false,
        ),
        ("{enum: [a, b]}".to_owned(), "{enum: [a]}".to_owned(), true, false),
        (object("properties: {a: {}}"), object("properties: {a: {}}, required: [a]"), true, false),
        (object("properties: {a: {}}, required: [a]"), object("properties: {}"), false, true),
        (object("properties: {}"), object("properties: {a: {}}"), false, false),
    ];
    for (old, new, in_request, in_answer) in &cases {
        let ((old_request, old_answer), (new_request, new_answer)) = (both(old), both(new));
        let request = changes(&old_request, &new_request);
        let answer = changes(&old_answer, &new_answer);
        assert!(!request.is_empty() && !answer.is_empty(), "{old} -> {new}");
        assert_eq!(
            request.iter().any(|one| one.breaking),
            *in_request,
            "{old} -> {new}: {request:?}"
        );
        assert_eq!(answer.iter().any(|one| one.breaking), *in_answer, "{old} -> {new}: {answer:?}");
    }
}

#[test]
fn diff_names_operations_that_came_and_went() {
    let found =
        changes("{'/a/{x}': {get: {}}, /b: {get: {}}}", "{'/a/{y}': {get: {}}, /c: {put: {}}}");
    let expected = [
        Change {
            breaking: true,
            pointer: "/paths/~1b/get".to_owned(),
            message: "the operation is gone".to_owned(),
        },
        Change {
            breaking: false,
            pointer: "/paths/~1c/put".to_owned(),
            message: "the operation is new".to_owned(),
        },
    ];
    assert_eq!(found, expected);
}

#[test]
fn diff_breaks_on_new_required_parameters_only() {
    let with = |parameters: &str| format!("{{/a: {{get: {{parameters: [{parameters}]}}}}}}");
    let optional = "{name: q, in: query, schema: {type: string}}";
    let required = "{name: q, in: query, required: true, schema: {type: string}}";
    let breaks =
        |old: &str, new: &str| changes(&with(old), &with(new)).iter().any(|one| one.breaking);
    assert!(!breaks("", optional));
    assert!(breaks("", required));
    assert!(breaks(optional, required));
    assert!(!breaks(required, optional));
}

#[test]
fn diff_ends_on_schemas_within_themselves() {
    let (request, _) = both("{$ref: '#/components/schemas/Node'}");
    assert!(changes(&request, &request).is_empty());
}
