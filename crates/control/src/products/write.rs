//! A product draft meets the product that is there: what it becomes, and whether that is a change.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keytoll_apispec as apispec;
use keytoll_domain::catalog::{Operation, Product, ProductSettings, ProductVersion, VersionBy};
use keytoll_domain::ids::ProductId;
use keytoll_domain::time::Timestamp;
use keytoll_store::product::{
    StoredFile, StoredProduct, operation_names_put, product_by_id, product_files,
    product_files_replace, product_page, product_put, version_files, version_files_replace,
};
use keytoll_store::{StoreError, Tx};

use super::differences::differences;
use super::draft::{DraftDocument, ProductDraft, VersionDraft};
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
    let versions = versions(tx, draft, existing.as_ref(), &settings).await?;
    let next = merge(draft, existing.as_ref(), settings, operations, versions, now);
    check(draft, &next.product)?;
    let mut details = Vec::new();
    if let DraftDocument::OutOfReach(message) = &draft.document {
        details.push(format!("the document was not read: {message}"));
    }
    let action = match &existing {
        None => Action::Created,
        Some(existing) => {
            let changed = differences(existing, &next);
            let same = changed.is_empty();
            details.extend(changed);
            if same { Action::Unchanged } else { Action::Updated }
        }
    };
    if action != Action::Unchanged {
        product_put(tx, &next).await?;
        operation_names_put(tx, &next.product).await?;
        put_documents(tx, draft, existing.as_ref()).await?;
    }
    Ok(Change { kind: Kind::Product, id: draft.id.to_string(), action, details })
}

fn settings(draft: &ProductDraft, existing: Option<&StoredProduct>) -> ProductSettings {
    let kept = || existing.map(|existing| existing.product.settings.clone());
    draft.settings.clone().or_else(kept).unwrap_or_default()
}

async fn put_documents(
    tx: &mut Tx,
    draft: &ProductDraft,
    existing: Option<&StoredProduct>,
) -> Result<(), StoreError> {
    if let DraftDocument::Read(source) = &draft.document {
        product_files_replace(tx, &draft.id, &source.files).await?;
    }
    let Some(versions) = &draft.versions else { return Ok(()) };
    for gone in existing.iter().flat_map(|existing| &existing.product.versions) {
        if !versions.iter().any(|version| version.version == gone.version) {
            version_files_replace(tx, &draft.id, &gone.version, &[]).await?;
        }
    }
    for version in versions {
        if let DraftDocument::Read(source) = &version.document {
            version_files_replace(tx, &draft.id, &version.version, &source.files).await?;
        }
    }
    Ok(())
}

async fn operations(
    tx: &mut Tx,
    draft: &ProductDraft,
    existing: Option<&StoredProduct>,
    settings: &ProductSettings,
) -> Result<Vec<Operation>, StoreError> {
    let stored;
    let document: &[apispec::Operation] = match (&draft.document, existing) {
        (DraftDocument::Read(source), _) => &source.document.operations,
        (_, Some(existing)) if folds_alike(&existing.product, settings) => {
            return Ok(existing.product.operations.clone());
        }
        (_, Some(existing)) if existing.document_sha256.is_some() => {
            stored = read_stored(product_files(tx, &draft.id).await?)?;
            &stored.operations
        }
        _ => &[],
    };
    Ok(fold::operations(&draft.id, document, settings))
}

async fn versions(
    tx: &mut Tx,
    draft: &ProductDraft,
    existing: Option<&StoredProduct>,
    settings: &ProductSettings,
) -> Result<Vec<ProductVersion>, StoreError> {
    if let Some(drafts) = &draft.versions {
        return Ok(drafts.iter().map(|own| version(draft, own, settings)).collect());
    }
    let Some(product) = existing.map(|existing| &existing.product) else { return Ok(Vec::new()) };
    let mut kept = product.versions.clone();
    if !folds_alike(product, settings) {
        for version in &mut kept {
            let document = read_stored(version_files(tx, &draft.id, &version.version).await?)?;
            version.operations = fold::operations(&draft.id, &document.operations, settings);
        }
    }
    Ok(kept)
}

fn version(draft: &ProductDraft, own: &VersionDraft, settings: &ProductSettings) -> ProductVersion {
    let source = match &own.document {
        DraftDocument::Read(source) => Some(source),
        DraftDocument::Absent | DraftDocument::OutOfReach(_) => None,
    };
    let document = source.map_or(&[][..], |source| &source.document.operations);
    ProductVersion {
        version: own.version.clone(),
        host: own.host.clone(),
        status: own.status,
        upstream: own.upstream.clone(),
        targets: own.targets.clone(),
        sandbox: own.sandbox.clone(),
        sandbox_targets: own.sandbox_targets.clone(),
        operations: fold::operations(&draft.id, document, settings),
        document_sha256: source.map(|source| source.sha256.clone()),
    }
}

/// Whether operations that were folded with the product's settings are right for these ones too.
fn folds_alike(product: &Product, settings: &ProductSettings) -> bool {
    product.settings.operations == settings.operations
}

/// What must agree between settings, documents and versions.
fn check(draft: &ProductDraft, product: &Product) -> Result<(), ApplyError> {
    let further = product.versions.iter().flat_map(|version| &version.operations);
    let operations = product.operations.iter().chain(further);
    let mut faults = fold::unknown(&product.id, &product.settings, operations);
    for (index, version) in product.versions.iter().enumerate() {
        let id = &version.version;
        let pointer = format!("/versions/{index}/version");
        if *id == product.version {
            let message = format!("{id} is the product's own version: give another one");
            faults.push(Fault::new(pointer, message));
            continue;
        }
        let by_path = product.settings.versioning.by == VersionBy::Path;
        let shadowed = |operation: &&Operation| {
            operation.path.strip_prefix('/').and_then(|path| path.split('/').next()) == Some(id)
        };
        if by_path && let Some(operation) = product.operations.iter().find(shadowed) {
            let (method, path) = (&operation.method, &operation.path);
            let message = format!(
                "{method} {path} of the default version begins with /{id}: use versioning by header or host"
            );
            faults.push(Fault::new(pointer, message));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let placed = |fault: Fault| draft.place.fault(&fault.pointer, fault.message);
    Err(ApplyError::Faults(faults.into_iter().map(placed).collect()))
}

/// Host names that two products have: each of the drafts' that is another product's too. Called when all are written.
pub(crate) async fn check_hosts(
    tx: &mut Tx,
    drafts: &[ProductDraft],
) -> Result<Vec<Fault>, StoreError> {
    let names_hosts = |draft: &ProductDraft| {
        let own = draft.settings.as_ref().is_some_and(|settings| !settings.hosts.is_empty());
        own || draft.versions.iter().flatten().any(|version| version.host.is_some())
    };
    if !drafts.iter().any(names_hosts) {
        return Ok(Vec::new());
    }
    let owners = owners_of_hosts(tx).await?;
    let mut faults = Vec::new();
    for draft in drafts {
        let own = draft.settings.iter().flat_map(|settings| &settings.hosts);
        let own = own.enumerate().map(|(index, host)| (format!("/hosts/{index}"), host));
        let versions = draft.versions.iter().flatten().enumerate();
        let versions = versions.filter_map(|(index, version)| {
            Some((format!("/versions/{index}/host"), version.host.as_ref()?))
        });
        for (pointer, host) in own.chain(versions) {
            let owners = owners.get(host).map_or(&[][..], Vec::as_slice);
            let other = owners.iter().find(|id| **id != draft.id);
            let message = match other {
                Some(other) => format!("{host} belongs to product {other}: name another host"),
                None if owners.len() > 1 => format!("{host} occurs twice in this product"),
                None => continue,
            };
            faults.push(draft.place.fault(&pointer, message));
        }
    }
    Ok(faults)
}

async fn owners_of_hosts(tx: &mut Tx) -> Result<BTreeMap<String, Vec<ProductId>>, StoreError> {
    let mut owners: BTreeMap<String, Vec<ProductId>> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = product_page(tx, cursor.as_ref(), limits::HOSTS_PAGE).await?;
        let Some(last) = page.last() else { return Ok(owners) };
        cursor = Some(last.id.clone());
        for product in &page {
            for host in product.host_names() {
                owners.entry(host.to_owned()).or_default().push(product.id.clone());
            }
        }
    }
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
    versions: Vec<ProductVersion>,
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
    let (upstream, targets) = match kept {
        Some(old) if draft.upstream.is_none() && draft.targets.is_empty() => {
            (old.upstream.clone(), old.targets.clone())
        }
        _ => (draft.upstream.clone(), draft.targets.clone()),
    };
    let (sandbox, sandbox_targets) = match kept {
        Some(old) if draft.sandbox.is_none() && draft.sandbox_targets.is_empty() => {
            (old.sandbox.clone(), old.sandbox_targets.clone())
        }
        _ => (draft.sandbox.clone(), draft.sandbox_targets.clone()),
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
        upstream,
        sandbox,
        targets,
        sandbox_targets,
        settings,
        operations,
        versions,
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    };
    let kept_digest = existing.and_then(|existing| existing.document_sha256.clone());
    let document_sha256 = source.map(|source| source.sha256.clone()).or(kept_digest);
    StoredProduct { product, document_sha256 }
}
