//! Document + settings → the operations that the request path decides by.

use std::collections::BTreeSet;

use keytoll_apispec as apispec;
use keytoll_domain::catalog::{Operation, OperationSettings, ProductSettings, default_scope};
use keytoll_domain::ids::ProductId;

use super::limits;
use crate::fault::{Fault, escape};

/// Folds both; settings of an operation that the document does not have are faults.
pub(super) fn operations(
    product: &ProductId,
    document: &[apispec::Operation],
    settings: &ProductSettings,
) -> Result<Vec<Operation>, Vec<Fault>> {
    let mut folded = Vec::with_capacity(document.len());
    let mut known = BTreeSet::new();
    for operation in document {
        let name = format!("{} {}", operation.method, operation.path);
        let own = settings.operations.get(&name);
        folded.push(one(product, operation, own));
        known.insert(name);
    }
    let unknown = settings.operations.keys().filter(|name| !known.contains(*name));
    let fault = |name: &String| {
        let pointer = format!("/operations/{}", escape(name));
        Fault::new(pointer, format!("the document of {product} has no operation {name:?}"))
    };
    let faults: Vec<Fault> = unknown.map(fault).collect();
    if faults.is_empty() { Ok(folded) } else { Err(faults) }
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
