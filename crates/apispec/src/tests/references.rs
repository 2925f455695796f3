//! References: encodings, circles, other files.

use std::cell::RefCell;

use serde_json::json;

use super::{document, has_diagnostic, load_named, operation, read, specs};
use crate::sample::Audience;

#[test]
fn pointers_are_found_through_both_encodings() {
    let document = document("references.yaml");
    let operation = operation(&document, "GET", "/same");
    assert_eq!(operation.responses[0].description, "found");
    assert_eq!(operation.parameters[0].name, "x");
}

#[test]
fn circles_and_dangling_references_are_remarks() {
    let document = document("references.yaml");
    let expected = [
        ("/paths/~1circle/get/responses/200", "circle"),
        ("/paths/~1nowhere/get/requestBody/$ref", "leads nowhere"),
        ("/components/schemas/Far/$ref", "other hosts"),
    ];
    for (pointer, message) in expected {
        assert!(has_diagnostic(&document.diagnostics, pointer, message), "{pointer}: {message}");
    }
    assert!(!document.diagnostics.iter().any(|one| one.message.contains("#/data")));
}

#[test]
fn sample_of_a_schema_within_itself_ends() {
    let document = document("references.yaml");
    let sample = document.sample(&json!({"$ref": "#/components/schemas/Tree"}), Audience::Response);
    assert_eq!(sample, json!({"name": "string", "$ref": "string", "children": []}));
}

#[test]
fn other_files_are_loaded_once_and_never_from_outside_the_root() {
    let root = specs().join("parted");
    let asked = RefCell::new(Vec::new());
    let loader = |path: &str| {
        asked.borrow_mut().push(path.to_owned());
        std::fs::read(root.join(path)).map_err(|error| error.kind().to_string())
    };
    let bytes = read("parted/spec/openapi.yaml");
    let document = load_named("spec/openapi.yaml", &bytes, Some(&loader)).expect("it is imported");
    assert_eq!(*asked.borrow(), ["spec/parts/parcels.yaml", "common/Parcel.json"]);
    let operation = operation(&document, "GET", "/parcels");
    assert_eq!(operation.responses[0].example, Some(json!({"id": "p-1"})));
    let expected = [
        ("/paths/~1outside/$ref", "leave the root folder"),
        ("/paths/~1absolute/$ref", "not a relative file name"),
        ("spec/parts/parcels.yaml#/get/responses/404/$ref", "leads nowhere"),
    ];
    for (pointer, message) in expected {
        assert!(has_diagnostic(&document.diagnostics, pointer, message), "{pointer}: {message}");
    }
}

#[test]
fn other_files_are_remarks_when_there_is_no_loader() {
    let bytes = read("parted/spec/openapi.yaml");
    let document = load_named("spec/openapi.yaml", &bytes, None).expect("it is imported");
    assert!(has_diagnostic(&document.diagnostics, "/paths/~1parcels/$ref", "without access"));
}
