//! `spec check` and `spec diff`: what is in an OpenAPI document, and what changed between two.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use keytoll_apispec::{Change, Document, SpecError};
use keytoll_control::catalog::SpecReader;
use serde_json::json;

use crate::output::Output;
use crate::specs::Specs;

/// Exit status of a comparison that found a change that breaks callers.
const BREAKING: u8 = 1;
/// Exit status of a document that was refused.
const REFUSED: u8 = 2;

pub fn check(file: &Path, output: Output) -> Result<ExitCode> {
    match load(file) {
        Ok(document) => {
            output.print(&document.check_summary(), || describe(&document))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => Ok(refused(file, &reason)),
    }
}

pub fn diff(old: &Path, new: &Path, output: Output) -> Result<ExitCode> {
    let before = match load(old) {
        Ok(document) => document,
        Err(reason) => return Ok(refused(old, &reason)),
    };
    let after = match load(new) {
        Ok(document) => document,
        Err(reason) => return Ok(refused(new, &reason)),
    };
    let changes = keytoll_apispec::diff(&before, &after);
    let breaking = changes.iter().any(|change| change.breaking);
    output.print(&json!({ "breaking": breaking, "changes": changes }), || list(&changes))?;
    Ok(if breaking { ExitCode::from(BREAKING) } else { ExitCode::SUCCESS })
}

fn refused(file: &Path, reason: &str) -> ExitCode {
    let file = file.display().to_string();
    let place = if reason.starts_with(&file) { String::new() } else { format!("{file}: ") };
    eprintln!("keytoll: {place}{reason}");
    ExitCode::from(REFUSED)
}

fn list(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "Nothing changed for callers.".into();
    }
    let mut text = String::new();
    for change in changes {
        let mark = if change.breaking { "breaking  " } else { "compatible" };
        let _ = writeln!(text, "{mark}  {}: {}", change.pointer, change.message);
    }
    text
}

/// Loads a document whose relative references are files below its own folder.
fn load(file: &Path) -> Result<Document, String> {
    let specs = Specs::in_folder(Path::new(""));
    let name = file.to_string_lossy();
    let bytes = specs.read(&name)?;
    let loader = |relative: &str| specs.read_beside(&name, relative);
    keytoll_apispec::load(&bytes, Some(&loader)).map_err(|error: SpecError| error.to_string())
}

fn describe(document: &Document) -> String {
    let operations = document.operations.len();
    let mut text = format!(
        "{} {} (OpenAPI {}): {operations} operations\n",
        document.title, document.version, document.openapi
    );
    for diagnostic in &document.diagnostics {
        let place = if diagnostic.pointer.is_empty() { "(document)" } else { &diagnostic.pointer };
        let _ = writeln!(text, "  {place}: {}", diagnostic.message);
    }
    if document.diagnostics.is_empty() {
        text.push_str("Nothing doubtful was found.\n");
    }
    text
}
