//! A product draft meets the product that is there: what it becomes, and whether that is a change.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keytoll_apispec as apispec;
use keytoll_domain::catalog::{Operation, Product, ProductSettings};
use keytoll_domain::time::Timestamp;
use keytoll_store::product::{
    StoredFile, StoredProduct, operation_names_put, product_by_id, product_files,
    product_files_replace, product_put,
};
use keytoll_store::{StoreError, Tx};

use super::draft::{DraftDocument, ProductDraft};
use super::{fold, limits};
use crate::catalog::{Action, ApplyError, Change, Kind};
use crate::fault::Fault;

/// Writes the product if it differs from what is there. The caller holds the catalogue's lock and appends to the feed.
pub(crate) async fn write(
    tx: &mut Tx,
    draft: &ProductDraft,
    now: Timestamp,
) -> Result<Change, ApplyError> {
    let existing = product_by_id(tx, &draft.id).await?;
    let settings = settings(draft, existing.as_ref());
    let operations = operations(tx, draft, existing.as_ref(), &settings).await?;
    let next = merge(draft, existing.as_ref(), settings, operations, now);
    let mut details = Vec::new();
    if let DraftDocument::OutOfReach(message) = &draft.document {
        details.push(format!("the document was not read: {message}"));
    }
    let action = match &existing {
        None => Action::Created,
        Some(existing) => {
            let changed = differences(existing, &next);
            let same = changed.is_empty();
            details.extend(changed.into_iter().map(|member| format!("{member} changed")));
            if same { Action::Unchanged } else { Action::Updated }
        }
    };
    if action != Action::Unchanged {
        product_put(tx, &next).await?;
        operation_names_put(tx, &next.product).await?;
        if let DraftDocument::Read(source) = &draft.document {
            product_files_replace(tx, &draft.id, &source.files).await?;
        }
    }
    Ok(Change { kind: Kind::Product, id: draft.id.to_string(), action, details })
}

fn settings(draft: &ProductDraft, existing: Option<&StoredProduct>) -> ProductSettings {
    let kept = || existing.map(|existing| existing.product.settings.clone());
    draft.settings.clone().or_else(kept).unwrap_or_default()
}

async fn operations(
    tx: &mut Tx,
    draft: &ProductDraft,
    existing: Option<&StoredProduct>,
    settings: &ProductSettings,
) -> Result<Vec<Operation>, ApplyError> {
    let stored;
    let document: &[apispec::Operation] = match (&draft.document, existing) {
        (DraftDocument::Read(source), _) => &source.document.operations,
        (_, Some(existing)) if existing.product.settings == *settings => {
            return Ok(existing.product.operations.clone());
        }
        (_, Some(existing)) if existing.document_sha256.is_some() => {
            stored = read_stored(product_files(tx, &draft.id).await?)?;
            &stored.operations
        }
        _ => &[],
    };
    fold::operations(&draft.id, document, settings).map_err(|faults| {
        let placed = |fault: Fault| draft.place.fault(&fault.pointer, fault.message);
        ApplyError::Faults(faults.into_iter().map(placed).collect())
    })
}

/// Reads a document again from its stored files.
pub(super) fn read_stored(files: Vec<StoredFile>) -> Result<apispec::Document, StoreError> {
    let corrupt =
        || StoreError::Corrupt { table: "spec_files", column: "bytes", id: String::new() };
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|file| (file.path, file.bytes)).collect();
    let files = RefCell::new(files);
    let main = files.borrow_mut().remove("").ok_or_else(corrupt)?;
    let beside = |path: &str| {
        let found = files.borrow().get(path).cloned();
        found.ok_or_else(|| "the file was not there when the document was imported".to_owned())
    };
    apispec::load(&main, Some(&beside)).map_err(|_| corrupt())
}

fn merge(
    draft: &ProductDraft,
    existing: Option<&StoredProduct>,
    settings: ProductSettings,
    operations: Vec<Operation>,
    now: Timestamp,
) -> StoredProduct {
    let old = existing.map(|existing| &existing.product);
    let kept = old.filter(|_| draft.keep_absent);
    let source = match &draft.document {
        DraftDocument::Read(source) => Some(source),
        DraftDocument::Absent | DraftDocument::OutOfReach(_) => None,
    };
    let document = source.map(|source| &source.document);
    let said = |member: fn(&apispec::Document) -> &str, max_chars: usize| {
        // PostgreSQL keeps no NUL in a text.
        let text = |document| member(document).chars().filter(|char| *char != '\0').take(max_chars);
        document.map(|document| text(document).collect::<String>())
    };
    let title = said(|document| &document.title, limits::NAME_MAX_CHARS);
    let title = title.filter(|title| !title.is_empty());
    let text = |own: &Option<String>, said: Option<String>, was: Option<String>| {
        own.clone().or(said).or(was).unwrap_or_default()
    };
    let product = Product {
        id: draft.id.clone(),
        name: text(
            &draft.name,
            title,
            Some(old.map_or(draft.id.to_string(), |old| old.name.clone())),
        ),
        description: text(
            &draft.description,
            said(|document| &document.description, limits::DESCRIPTION_MAX_CHARS),
            old.map(|old| old.description.clone()),
        ),
        version: text(
            &draft.version,
            said(|document| &document.version, limits::VERSION_MAX_CHARS),
            old.map(|old| old.version.clone()),
        ),
        status: draft.status.or(kept.map(|old| old.status)).unwrap_or_default(),
        category: draft.category.or(kept.and_then(|old| old.category)),
        tags: draft.tags.clone().or(kept.map(|old| old.tags.clone())).unwrap_or_default(),
        upstream: draft.upstream.clone().or(kept.and_then(|old| old.upstream.clone())),
        sandbox: draft.sandbox.clone().or(kept.and_then(|old| old.sandbox.clone())),
        targets: kept.map(|old| old.targets.clone()).unwrap_or_default(),
        sandbox_targets: kept.map(|old| old.sandbox_targets.clone()).unwrap_or_default(),
        settings,
        operations,
        versions: kept.map(|old| old.versions.clone()).unwrap_or_default(),
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    };
    let kept_digest = existing.and_then(|existing| existing.document_sha256.clone());
    let document_sha256 = source.map(|source| source.sha256.clone()).or(kept_digest);
    StoredProduct { product, document_sha256 }
}

/// Names of the members in which both differ, but for their times.
fn differences(old: &StoredProduct, new: &StoredProduct) -> Vec<&'static str> {
    let (was, is) = (&old.product, &new.product);
    let members = [
        ("name", was.name != is.name),
        ("description", was.description != is.description),
        ("version", was.version != is.version),
        ("status", was.status != is.status),
        ("category", was.category != is.category),
        ("tags", was.tags != is.tags),
        ("upstream", was.upstream != is.upstream),
        ("sandbox", was.sandbox != is.sandbox),
        ("settings", was.settings != is.settings),
        ("operations", was.operations != is.operations),
        ("document", old.document_sha256 != new.document_sha256),
    ];
    members.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
