//! The map of the crates, and that nobody leaves it.
//!
//! A crate exists because it forbids something: the gateway cannot reach SQL or pages, pages cannot reach
//! SQL, decisions cannot reach a clock. That holds only while the manifests hold it.

use std::collections::BTreeMap;

use keytoll_tests::scratch::repository;

/// Each folder under `crates/` with those of our crates it may use.
const MAP: [(&str, &[&str]); 7] = [
    ("domain", &[]),
    ("apispec", &[]),
    ("store", &["domain"]),
    ("gateway", &["domain", "apispec"]),
    ("control", &["domain", "apispec", "store"]),
    ("portal", &["domain", "apispec", "control"]),
    ("keytoll", &["domain", "apispec", "store", "gateway", "control", "portal"]),
];

/// Libraries that only these layers may use, because those are their reason to exist.
const RESERVED: [(&str, &[&str]); 6] = [
    ("sqlx", &["store"]),
    ("maud", &["portal"]),
    // The two that listen; no other speaks HTTP by itself.
    ("hyper", &["gateway", "portal"]),
    ("memmap2", &["gateway"]),
    ("anyhow", &["keytoll"]),
    ("clap", &["keytoll"]),
];

#[test]
fn manifests_hold_no_edge_that_is_not_in_the_map() {
    let manifests = manifests();
    let known: Vec<&str> = MAP.iter().map(|(folder, _)| *folder).collect();
    let found: Vec<&str> = manifests.keys().map(String::as_str).collect();
    for folder in &found {
        assert!(known.contains(folder), "crates/{folder} is not in the map");
    }
    for (folder, allowed) in MAP {
        for dependency in dependencies(&manifests[folder]) {
            let Some(ours) = dependency.strip_prefix("keytoll-") else {
                continue;
            };
            assert!(allowed.contains(&ours), "crates/{folder} must not depend on {dependency}");
        }
    }
}

#[test]
fn libraries_of_one_layer_stay_in_it() {
    let manifests = manifests();
    for (library, homes) in RESERVED {
        for (folder, manifest) in &manifests {
            let used = dependencies(manifest).iter().any(|name| name == library);
            assert!(
                !used || homes.contains(&folder.as_str()),
                "crates/{folder} must not use {library}"
            );
        }
    }
}

#[test]
fn black_box_tests_use_no_product_crate() {
    let manifest = read(&repository().join("tests/Cargo.toml"));
    let ours: Vec<String> =
        dependencies(&manifest).into_iter().filter(|name| name.starts_with("keytoll")).collect();
    assert!(ours.is_empty(), "tests/ depends on {ours:?}");
}

/// Folder name → manifest, of everything under `crates/`.
fn manifests() -> BTreeMap<String, toml::Table> {
    let crates = std::fs::read_dir(repository().join("crates")).expect("crates/ can be listed");
    let mut manifests = BTreeMap::new();
    for entry in crates.flatten().filter(|entry| entry.path().is_dir()) {
        let folder = entry.file_name().to_string_lossy().into_owned();
        manifests.insert(folder, read(&entry.path().join("Cargo.toml")));
    }
    manifests
}

fn read(path: &std::path::Path) -> toml::Table {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names under every table of dependencies, those for one platform included.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut names = Vec::new();
    for table in tables {
        for list in TABLES.iter().filter_map(|name| table.get(*name)?.as_table()) {
            names.extend(list.iter().map(|(name, value)| {
                // A renamed dependency is still the package it names.
                let package = value.get("package").and_then(toml::Value::as_str);
                package.unwrap_or(name).to_owned()
            }));
        }
    }
    names
}
