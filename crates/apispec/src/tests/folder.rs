//! Every document below `KEYTOLL_SPECS`, when that is set.
//!
//! Documents in folders named `fail` or `invalid` must be refused or warned about, those in
//! `malicious` must merely end, and all others must load without a dangling reference unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Body, BodyNeeded, Document, RequestParts, SpecError, Validators, diff, load_named};

#[derive(Default)]
struct Counts {
    loaded: usize,
    operations: usize,
    diagnostics: usize,
    warned: usize,
    refused: usize,
    parts: usize,
    /// Operations whose validator takes the document's own example of a JSON body.
    examples_taken: usize,
    examples_refused: usize,
    unchecked: usize,
}

#[test]
fn every_document_of_the_folder_loads_or_is_refused_with_reason() {
    let Some(root) = std::env::var_os("KEYTOLL_SPECS").map(PathBuf::from) else { return };
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "no documents below {}", root.display());
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for file in &files {
        if let Err(message) = check(&root, file, &mut counts) {
            failures.push(format!("{}: {message}", file.display()));
        }
    }
    println!(
        "{} loaded with {} operations and {} diagnostics; of those meant to fail {} warned about, {} refused; {} parts; \
         {} bodies made from schemas taken by validators, {} refused; {} things not checked",
        counts.loaded,
        counts.operations,
        counts.diagnostics,
        counts.warned,
        counts.refused,
        counts.parts,
        counts.examples_taken,
        counts.examples_refused,
        counts.unchecked,
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(root: &Path, file: &Path, counts: &mut Counts) -> Result<(), String> {
    let name = file.strip_prefix(root).expect("the file is below the root").to_string_lossy();
    let group = name.split('/').next().unwrap_or_default();
    let base = root.join(group);
    let inner = name.strip_prefix(group).unwrap_or_default().trim_start_matches('/');
    let loader = |path: &str| fs::read(base.join(path)).map_err(|error| error.to_string());
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let result = load_named(inner, &bytes, Some(&loader));
    let meant_to_fail = name.contains("/fail/") || name.contains("/invalid/");
    match result {
        Err(SpecError::NotOpenApi { .. }) => counts.parts += 1,
        _ if name.contains("/malicious/") => {}
        Err(_) if meant_to_fail => counts.refused += 1,
        Err(error) => return Err(format!("{} at {}: {error}", error.code(), error.place())),
        Ok(document) => {
            println!("{}", line(&name, &document));
            counts.loaded += usize::from(!meant_to_fail);
            counts.warned += usize::from(meant_to_fail);
            counts.operations += document.operations.len();
            counts.diagnostics += document.diagnostics.len();
            if !diff(&document, &document).is_empty() {
                return Err("it differs from itself".to_owned());
            }
            validate(&document, counts);
            if meant_to_fail && document.diagnostics.is_empty() {
                return Err("nothing was found wrong with it".to_owned());
            }
        }
    }
    Ok(())
}

/// Compiles every operation and lets it look at two requests, one of them with a body of the document.
fn validate(document: &Document, counts: &mut Counts) {
    let pairs = document.operations.iter().map(|one| (one.method.as_str(), one.path.as_str()));
    let validators = Validators::compile(document, pairs);
    counts.unchecked += validators.diagnostics().len();
    for (index, operation) in document.operations.iter().enumerate() {
        let kind = operation.request_body.as_ref().map(|body| body.content_type.as_bytes());
        let headers = |name: &str| kind.filter(|_| name == "content-type");
        let example = operation.request_body.as_ref().map(|body| body.example.to_string());
        let mut request = RequestParts {
            path: &operation.path,
            query: Some("limit=10&page=x&filter[a]=1"),
            headers: &headers,
            body: Body::Whole(b"[{\"a\":null}]"),
        };
        let _ = validators.check(index, &request);
        if let (Some(example), BodyNeeded::Yes { .. }) =
            (&example, validators.body_needed(index, kind))
        {
            request.body = Body::Whole(example.as_bytes());
            let found = validators.check(index, &request).err().unwrap_or_default();
            let found: Vec<_> =
                found.iter().filter(|one| one.location.starts_with("body")).collect();
            match found.first() {
                None => counts.examples_taken += 1,
                Some(first) => {
                    counts.examples_refused += 1;
                    let (method, path) = (&operation.method, &operation.path);
                    println!("  {method} {path}\t{}: {}", first.location, first.message);
                }
            }
        }
    }
}

fn line(name: &str, document: &Document) -> String {
    let first = document.diagnostics.first();
    let first = first.map_or(String::new(), |one| format!("{}: {}", one.pointer, one.message));
    format!(
        "{name}\t{}\t{} operations\t{} diagnostics\t{first}",
        document.openapi,
        document.operations.len(),
        document.diagnostics.len(),
    )
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|kind| kind == "json" || kind == "yaml" || kind == "yml")
        {
            files.push(path);
        }
    }
}
