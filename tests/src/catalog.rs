//! A small API for sale: its OpenAPI document and a catalogue with plans of the test's choice.

use serde_json::{Value, json};

use crate::binary::Server;
use crate::upstream::Upstream;

/// An API with `GET` and `POST /items`, `GET /items/{id}` and `GET /other`, as an OpenAPI document.
pub fn spec() -> Value {
    let answer = json!({"200": {"description": "Done"}});
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Items", "version": "1.0.0", "description": "Things to count"},
        "paths": {
            "/items": {
                "get": {"summary": "List items", "responses": answer},
                "post": {"summary": "Add an item", "responses": answer},
            },
            "/items/{id}": {"get": {"summary": "Show an item", "parameters": id, "responses": answer}},
            "/other": {"get": {"summary": "Something else", "responses": answer}},
        },
    })
}

/// A catalogue with the product `items`, more members for it, and plans.
///
/// JSON is YAML, so it is written as JSON.
pub fn catalog(upstream: &Upstream, product: &Value, plans: &Value) -> Value {
    let mut items = json!({"id": "items", "spec": "./items.json", "upstream": upstream.url()});
    merge(&mut items, product);
    json!({"currency": "USD", "products": [items], "plans": plans})
}

/// Writes the document and the catalogue to the server's folder and applies them.
pub fn apply(server: &Server, catalog: &Value) {
    server.folder.write("items.json", spec().to_string());
    server.folder.write("catalog.yaml", catalog.to_string());
    server.cli(&["apply", "catalog.yaml"]).ok();
}

/// A server that sells `items` of the upstream under these plans.
pub fn sell(upstream: &Upstream, plans: &Value) -> Server {
    sell_product(upstream, &json!({}), plans)
}

/// Like [`sell`], with more members for the product.
pub fn sell_product(upstream: &Upstream, product: &Value, plans: &Value) -> Server {
    let server = Server::start();
    apply(&server, &catalog(upstream, product, plans));
    server
}

/// A plan of `items` with its price and more members.
pub fn plan(id: &str, more: &Value) -> Value {
    let mut plan = json!({"id": id, "products": ["items"], "price_monthly": "10"});
    merge(&mut plan, more);
    plan
}

/// Puts the members of the second object over those of the first.
fn merge(into: &mut Value, more: &Value) {
    let (Some(into), Some(more)) = (into.as_object_mut(), more.as_object()) else {
        panic!("both are objects");
    };
    for (name, value) in more {
        into.insert(name.clone(), value.clone());
    }
}
