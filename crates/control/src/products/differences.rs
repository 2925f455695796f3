//! What changes between a product and its successor, member by member, for people: names only, for values may be
//! secrets between gateway and upstream.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use keytoll_domain::catalog::{Product, ProductVersion};
use keytoll_store::product::StoredProduct;

/// How far below the product members are named: `upstream_options.retries`.
const DEPTH_MAX: usize = 2;

/// One line for each member in which both differ, but for their times.
pub(super) fn differences(old: &StoredProduct, new: &StoredProduct) -> Vec<String> {
    let (was, is) = (&old.product, &new.product);
    let mut lines = Vec::new();
    let mut tell = |name: &str, differs: bool| {
        if differs {
            lines.push(format!("{name} changed"));
        }
    };
    tell("name", was.name != is.name);
    tell("description", was.description != is.description);
    tell("version", was.version != is.version);
    tell("status", was.status != is.status);
    tell("category", was.category != is.category);
    tell("tags", was.tags != is.tags);
    tell("upstream", was.upstream != is.upstream);
    tell("sandbox", was.sandbox != is.sandbox);
    tell("targets", was.targets != is.targets);
    tell("sandbox_targets", was.sandbox_targets != is.sandbox_targets);
    for member in members(&was.settings, &is.settings) {
        tell(&member, true);
    }
    // Settings of operations have been told; this is what the document changed.
    tell("operations", was.operations != is.operations);
    tell("document", old.document_sha256 != new.document_sha256);
    lines.extend(versions(was, is));
    lines
}

fn versions(was: &Product, is: &Product) -> Vec<String> {
    let named = |list: &[ProductVersion], id: &str| {
        list.iter().find(|version| version.version == id).cloned()
    };
    let ids = was.versions.iter().chain(&is.versions).map(|version| version.version.as_str());
    let mut lines = Vec::new();
    for id in ids.collect::<BTreeSet<_>>() {
        match (named(&was.versions, id), named(&is.versions, id)) {
            (None, _) => lines.push(format!("version {id} added")),
            (_, None) => lines.push(format!("version {id} removed")),
            (Some(was), Some(is)) => {
                let told = |member: String| {
                    let member = if member == "document_sha256" { "document" } else { &member };
                    format!("version {id}: {member} changed")
                };
                lines.extend(members(&was, &is).into_iter().map(told));
            }
        }
    }
    if lines.is_empty() && was.versions != is.versions {
        lines.push("order of versions changed".into());
    }
    lines
}

/// Paths of the members in which two records differ.
fn members<T: Serialize + PartialEq>(was: &T, is: &T) -> Vec<String> {
    if was == is {
        return Vec::new();
    }
    let json = |record: &T| serde_json::to_value(record).unwrap_or_default();
    let mut found = Vec::new();
    gather("", &json(was), &json(is), DEPTH_MAX, &mut found);
    found
}

fn gather(path: &str, was: &Value, is: &Value, depth: usize, found: &mut Vec<String>) {
    if was == is {
        return;
    }
    let (Value::Object(old), Value::Object(new), true) = (was, is, depth > 0) else {
        found.push(path.to_owned());
        return;
    };
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let member = |record: &serde_json::Map<String, Value>| record.get(name).cloned();
        let (was, is) = (member(old).unwrap_or_default(), member(new).unwrap_or_default());
        gather(&below, &was, &is, depth - 1, found);
    }
}
