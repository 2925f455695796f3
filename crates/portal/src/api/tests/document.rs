use serde_json::{Value, json};

use super::conform::{document, operations};
use crate::api;

#[test]
fn the_document_loads_without_a_diagnostic() {
    let loaded = keytoll_apispec::load(api::openapi_json().as_bytes(), None).unwrap();
    assert_eq!(loaded.diagnostics, vec![]);
    assert_eq!(loaded.operations.len(), operations().len());
    assert_eq!(document()["openapi"], "3.1.0");
}

#[test]
fn every_operation_says_who_may_call_it_and_what_comes_back() {
    for (method, path) in operations() {
        let operation = &document()["paths"][&path][method.to_lowercase()];
        let at = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{at} has a summary");
        assert!(operation["operationId"].is_string(), "{at} has an id");
        assert!(operation["tags"][0].is_string(), "{at} has a tag");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{at} can succeed");
        let open = ["/signup", "/login", "/logout", "/products", "/plans", "/openapi.json"];
        let is_open = open.iter().any(|prefix| path["/api/v1".len()..].starts_with(prefix));
        let security = operation["security"].as_array().unwrap();
        assert_eq!(security.contains(&json!({})), is_open, "{at}: {security:?}");
        if !is_open {
            assert!(responses.contains_key("401") && responses.contains_key("403"), "{at}");
        }
    }
}

#[test]
fn every_scheme_that_is_named_is_described() {
    let schemes = document()["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes["session"]["in"], "cookie");
    assert_eq!(schemes["token"]["scheme"], "bearer");
    for (method, path) in operations() {
        let operation = &document()["paths"][&path][method.to_lowercase()];
        for requirement in operation["security"].as_array().into_iter().flatten() {
            for name in requirement.as_object().unwrap().keys() {
                assert!(schemes.contains_key(name), "{method} {path}: {name}");
            }
        }
    }
}

#[test]
fn the_document_is_the_same_every_time() {
    assert_eq!(api::openapi_json(), api::openapi_json());
    let _document: Value = serde_json::from_str(&api::openapi_json()).unwrap();
}
