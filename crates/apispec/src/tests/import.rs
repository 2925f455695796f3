//! What operations look like after the import.

use serde_json::json;

use super::{document, has_diagnostic, operation};
use crate::{ParameterLocation, scopes};

#[test]
fn parameters_merge_those_of_the_path_and_resolve_references() {
    let document = document("parameters.yaml");
    let operation = operation(&document, "GET", "/parcels/{id}");
    let rows: Vec<_> = operation
        .parameters
        .iter()
        .map(|one| (one.name.as_str(), one.kind.as_str(), one.required, one.example.clone()))
        .collect();
    assert_eq!(
        rows,
        [
            ("id", "string", true, Some(json!("p-7"))),
            ("limit", "integer", false, Some(json!(5))),
            ("session", "string|null", false, Some(json!("string"))),
            ("sort", "string", false, Some(json!("asc"))),
            ("filter", "object", false, Some(json!({"a": 1}))),
            ("zone", "string", false, Some(json!("north"))),
        ]
    );
    assert_eq!(operation.parameters[1].description, "own");
    assert_eq!(operation.parameters[2].location, ParameterLocation::Cookie);
    assert!(operation.parameters[1].example_generated);
    assert!(!operation.parameters[3].example_generated);
}

#[test]
fn responses_keep_ranges_and_default_in_document_order() {
    let document = document("parameters.yaml");
    let operation = operation(&document, "GET", "/parcels/{id}");
    let statuses: Vec<&str> = operation.responses.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(statuses, ["4XX", "default", "200"]);
    assert_eq!(operation.responses[2].schema, Some(json!({"$ref": "#/components/schemas/Zone"})));
}

#[test]
fn yaml_words_are_texts_and_versions_may_be_numbers() {
    let document = document("parameters.yaml");
    assert_eq!(document.version, "1.0");
    assert!(has_diagnostic(&document.diagnostics, "/info/version", "must be a text"));
    let zone = document.resolve("#/components/schemas/Zone").expect("the schema exists");
    assert_eq!(zone["enum"], json!(["north", "no", "on"]));
}

#[test]
fn swagger_2_bodies_forms_and_answers_become_content() {
    let document = document("swagger2.yaml");
    assert_eq!(document.openapi, "2.0");
    let pets = operation(&document, "POST", "/pets");
    let body = pets.request_body.as_ref().expect("there is a body");
    assert_eq!((body.required, body.content_type.as_str()), (true, "application/json"));
    assert_eq!(body.example, json!({"name": "Rex"}));
    assert_eq!(pets.parameters.len(), 1);
    assert_eq!(pets.parameters[0].kind, "integer");
    assert_eq!(pets.responses[0].content_type.as_deref(), Some("application/xml"));
    assert_eq!(pets.responses[0].schema, Some(json!({"$ref": "#/definitions/Pet"})));
    assert_eq!(pets.responses[1].example, Some(json!("no")));
    let photos = operation(&document, "POST", "/photos").request_body.as_ref();
    let form = photos.expect("there is a form");
    assert_eq!(form.content_type, "multipart/form-data");
    assert_eq!(form.schema["properties"]["file"]["format"], "binary");
    assert_eq!(document.security_schemes[0].scopes[0].name, "read:pets");
}

#[test]
fn security_of_the_operation_wins_and_empty_lists_count_as_absent() {
    let document = document("security.yaml");
    let needed = |path: &str| scopes(operation(&document, "GET", path));
    assert_eq!(needed("/document"), [vec!["read"], vec!["admin"]]);
    assert_eq!(needed("/own"), [vec!["write"]]);
    assert_eq!(needed("/empty"), [vec!["read"], vec!["admin"]]);
    assert!(needed("/plain").is_empty());
    assert_eq!(needed("/optional"), [vec!["read"]]);
    assert!(has_diagnostic(&document.diagnostics, "/paths/~1unknown/get/security/0", "nobody"));
    let auth = &document.security_schemes[1].scopes;
    let names: Vec<&str> = auth.iter().map(|scope| scope.name.as_str()).collect();
    assert_eq!(names, ["read", "write", "admin"]);
}

#[test]
fn odd_paths_and_methods_are_imported_with_remarks() {
    let document = document("methods.yaml");
    let names: Vec<String> =
        document.operations.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    assert_eq!(
        names,
        [
            "QUERY /search",
            "LINK /search",
            "GET /search?fast=true",
            "GET plain",
            "HEAD plain",
            "GET /twice/{a}",
            "GET /twice/{b}",
        ]
    );
    let expected = [
        ("/paths/~1search/fetch", "not known"),
        ("/paths/~1search/additionalOperations/not a method", "no method name"),
        ("/paths/~1search?fast=true", "without its query"),
        ("/paths/plain", "slash"),
        ("/paths/plain/head/operationId", "already used at /paths/plain/get"),
        ("/paths/~1twice~1{b}/get", "GET /twice/{a}"),
        ("/paths/~1twice~1{b}/get/responses/2000", "no status"),
    ];
    for (pointer, message) in expected {
        assert!(has_diagnostic(&document.diagnostics, pointer, message), "{pointer}: {message}");
    }
}

#[test]
fn summary_has_the_members_of_spec_check() {
    let summary = document("parameters.yaml").check_summary();
    let json = serde_json::to_value(summary).expect("the summary is serialisable");
    let names: Vec<&String> = json.as_object().expect("it is a map").keys().collect();
    assert_eq!(names, ["title", "version", "openapi", "operations", "diagnostics"]);
    assert_eq!(json["operations"], 1);
}
