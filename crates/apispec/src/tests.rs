//! The importer on small documents, one quirk each, and on a folder of real ones.

mod cases;
mod diff;
mod folder;
mod hostile;
mod import;
mod references;
mod sample;

use std::path::{Path, PathBuf};

use crate::{Diagnostic, Document, Operation, load, load_named};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(specs().join(name)).expect("the document is in the repository")
}

fn document(name: &str) -> Document {
    load(&read(name), None).expect("the document is imported")
}

fn operation<'d>(document: &'d Document, method: &str, path: &str) -> &'d Operation {
    let mut operations = document.operations.iter();
    operations.find(|one| one.method == method && one.path == path).expect("the operation exists")
}

fn has_diagnostic(diagnostics: &[Diagnostic], pointer: &str, message: &str) -> bool {
    diagnostics.iter().any(|one| one.pointer == pointer && one.message.contains(message))
}
