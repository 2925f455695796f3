//! Counts over a file of cases, printed as one line that `make cases` collects.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scratch::repository;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// Why, with what was expected and what came.
    Failed(String),
    /// Why Keytoll does not do this, or not yet.
    NotOffered(&'static str),
    /// Another runner runs and counts this case.
    Elsewhere,
}

impl Verdict {
    /// Passed if the two are equal.
    pub fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Self {
        if expected == found {
            return Self::Passed;
        }
        Self::Failed(format!("{what}: expected {expected:?}, found {found:?}"))
    }

    /// The first verdict that is no pass, or a pass.
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().find(|verdict| *verdict != Self::Passed).unwrap_or(Self::Passed)
    }
}

/// The case files whose names begin with `prefix`: in `KEYTOLL_CASES` if that is set, else the
/// repository's own.
pub fn files(prefix: &str) -> Vec<PathBuf> {
    let own = repository().join("tests/cases");
    let folder = std::env::var_os("KEYTOLL_CASES").map_or(own, PathBuf::from);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("case folder {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let json = path.extension().is_some_and(|extension| extension == "json");
            json && name.starts_with(prefix)
        })
        .collect();
    files.sort();
    files
}

/// Prints the counts of every case file that no runner reads, so that no file is passed over in silence.
pub fn tell_unread(prefixes: &[&str], why: impl Fn(&str) -> &'static str) {
    for file in files("") {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let count = cases(&file).len();
            println!("not offered: all of {name}: {}", why(&name));
            println!("\n{name}: 0 passed, 0 failed, {count} not offered");
        }
    }
}

/// The `cases` of a file.
pub fn cases(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("a case file can be read");
    let document: Value = serde_json::from_str(&text).expect("a case file is JSON");
    document["cases"].as_array().cloned().expect("a case file has `cases`")
}

/// Runs every case of every file that begins with `prefix`, prints the counts, and fails if one failed.
pub fn run(prefix: &str, mut judge: impl FnMut(&Value) -> Verdict) {
    let mut failures = Vec::new();
    for file in files(prefix) {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for case in cases(&file) {
            let id = case["id"].as_str().unwrap_or("without id");
            match judge(&case) {
                Verdict::Passed => passed += 1,
                Verdict::NotOffered(reason) => {
                    skipped += 1;
                    println!("not offered: {id}: {reason}");
                }
                Verdict::Elsewhere => {}
                Verdict::Failed(reason) => {
                    failed += 1;
                    println!("FAILED: {id}: {reason}");
                    failures.push(format!("{id}: {reason}"));
                }
            }
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("\n{name}: {passed} passed, {failed} failed, {skipped} not offered");
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
}
