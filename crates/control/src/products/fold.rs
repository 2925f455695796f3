//! Document + settings → the operations that the request path decides by.

use std::collections::BTreeSet;

use keytoll_apispec as apispec;
use keytoll_domain::catalog::{Operation, OperationSettings, ProductSettings, default_scope};
use keytoll_domain::ids::ProductId;

use super::limits;
use crate::fault::{Fault, escape};

/// Folds both.
pub(super) fn operations(
    product: &ProductId,
    document: &[apispec::Operation],
    settings: &ProductSettings,
) -> Vec<Operation> {
    let own = |operation: &apispec::Operation| {
        settings.operations.get(&format!("{} {}", operation.method, operation.path))
    };
    document.iter().map(|operation| one(product, operation, own(operation))).collect()
}

/// Settings of operations that no version has.
pub(super) fn unknown<'a>(
    product: &ProductId,
    settings: &ProductSettings,
    operations: impl Iterator<Item = &'a Operation>,
) -> Vec<Fault> {
    let known: BTreeSet<String> =
        operations.map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    let unknown = settings.operations.keys().filter(|name| !known.contains(*name));
    let fault = |name: &String| {
        let pointer = format!("/operations/{}", escape(name));
        Fault::new(pointer, format!("the document of {product} has no operation {name:?}"))
    };
    unknown.map(fault).collect()
}

fn one(
    product: &ProductId,
    operation: &apispec::Operation,
    own: Option<&OperationSettings>,
) -> Operation {
    Operation {
        method: operation.method.clone(),
        path: operation.path.clone(),
        operation_id: operation.operation_id.clone(),
        summary: operation.summary.chars().take(limits::SUMMARY_MAX_CHARS).collect(),
        tags: operation.tags.clone(),
        deprecated: operation.deprecated,
        scopes: scopes(product, operation, own),
        units: own.and_then(|own| own.units).unwrap_or(1),
        max_units: own.and_then(|own| own.max_units),
        deprecation: own.and_then(|own| own.deprecation.clone()),
    }
}

/// The first that exists: the catalogue's, the document's, the default.
fn scopes(
    product: &ProductId,
    operation: &apispec::Operation,
    own: Option<&OperationSettings>,
) -> Vec<Vec<String>> {
    match own.and_then(|own| own.scopes.clone()) {
        Some(none) if none.is_empty() => return Vec::new(),
        Some(scopes) => return vec![scopes],
        None => {}
    }
    let asked = apispec::scopes(operation);
    if asked.is_empty() { vec![vec![default_scope(product, &operation.method)]] } else { asked }
}
