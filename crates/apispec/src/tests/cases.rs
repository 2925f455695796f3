//! Pairs of documents with the verdict of another tool's tests, when `KEYTOLL_CASES` (a folder with
//! `specdiff-*.json`) and `KEYTOLL_SPECS_DIFF` (the documents) are set.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::{diff, load};

#[test]
fn diff_agrees_with_the_cases() {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(cases), Some(specs)) = (folder("KEYTOLL_CASES"), folder("KEYTOLL_SPECS_DIFF")) else {
        return;
    };
    let text = fs::read(cases.join("specdiff-dev.json")).expect("the case file is there");
    let cases: Value = serde_json::from_slice(&text).expect("the case file is JSON");
    let mut wrong = Vec::new();
    let mut right = 0;
    for case in cases["cases"].as_array().expect("there are cases") {
        let Some(expected) = case["breaking"].as_bool() else { continue };
        let expected = expected || breaks_elsewhere(&cases, case);
        let read = |member: &str| {
            let name = case[member].as_str().expect("a file name");
            let bytes = fs::read(specs.join(name)).expect("the document is there");
            load(&bytes, None).expect("the document is imported")
        };
        let changes = diff(&read("base"), &read("revision"));
        if !changes.is_empty() && changes.iter().any(|one| one.breaking) == expected {
            right += 1;
        } else {
            wrong.push(format!("{} {expected}: {changes:?}", case["id"]));
        }
    }
    println!("{right} right, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A pair of documents may differ in several ways; the verdict on the pair is that of the worst.
fn breaks_elsewhere(cases: &Value, case: &Value) -> bool {
    let all = cases["cases"].as_array().into_iter().flatten();
    let mut same = all.filter(|one| ["base", "revision"].iter().all(|key| one[key] == case[key]));
    same.any(|one| one["breaking"] == true)
}
