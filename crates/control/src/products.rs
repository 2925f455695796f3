//! Products: import of an OpenAPI document with settings, and what the portal shows of them.
//!
//! Whatever is for sale is visible to whoever asks; addresses of upstreams are shown to staff only.

use serde::Serialize;

use keytoll_apispec::{Document, Loader};
use keytoll_domain::catalog::{Category, Operation, Product, ProductStatus};
use keytoll_domain::ids::ProductId;
use keytoll_domain::time::Timestamp;
use keytoll_store::StoreError;
use keytoll_store::feed::FeedKind;
use keytoll_store::product::{catalogue_lock, product_by_id, product_page};

use crate::actor::Actor;
use crate::catalog::{Action, ApplyError, Change, finish};
use crate::ctx::Ctx;
use crate::fault::{Fault, Place};
use crate::json;
use crate::page::PageRequest;

mod draft;
mod fold;
pub mod limits;
mod read;
mod write;

pub(crate) use draft::check_grouping;
pub use draft::{
    DraftDocument, ProductDraft, SpecSource, check_settings, check_url, product_id, read_document,
};
pub(crate) use read::Documents;
pub use read::document;
pub(crate) use write::write;

/// An import as it is asked for. What is absent stays as it is when the product exists already.
#[derive(Default)]
pub struct ImportProduct<'a> {
    pub id: &'a str,
    pub spec: Vec<u8>,
    /// Reads files that the document refers to.
    pub loader: Option<&'a Loader<'a>>,
    pub upstream: Option<&'a str>,
    pub sandbox: Option<&'a str>,
    pub settings: Option<keytoll_domain::catalog::ProductSettings>,
}

/// A product as the API and the pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductView {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    pub version: String,
    pub status: ProductStatus,
    pub category: Option<Category>,
    pub tags: Vec<String>,
    pub operations: Vec<Operation>,
    /// Every scope that a key of this product can hold.
    pub scopes: Vec<String>,
    /// Whether calls with test keys reach a sandbox.
    pub has_sandbox: bool,
    /// Whether calls need a key at all.
    pub needs_key: bool,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    #[serde(serialize_with = "json::time")]
    pub created_at: Timestamp,
    #[serde(serialize_with = "json::time")]
    pub updated_at: Timestamp,
}

/// A product's OpenAPI document, as it was imported.
#[derive(Debug)]
pub struct ProductDocument {
    pub bytes: Vec<u8>,
    pub media_type: &'static str,
    pub sha256: String,
    /// The same, read.
    pub document: Document,
}

impl ImportProduct<'_> {
    /// Checks everything that can be checked without the store. Pointers name the members of this struct.
    pub fn read(self) -> Result<ProductDraft, Vec<Fault>> {
        let mut faults = Vec::new();
        let id = keep(product_id(self.id), "/id", &mut faults);
        let mut address = |url: Option<&str>, pointer| {
            url.and_then(|url| keep(check_url(url), pointer, &mut faults))
        };
        let upstream = address(self.upstream, "/upstream");
        let sandbox = address(self.sandbox, "/sandbox");
        if let Some(settings) = &self.settings {
            faults.extend(check_settings(settings));
        }
        let spec = keep(read_document(self.spec, self.loader), "/spec", &mut faults);
        let (Some(id), Some(spec), true) = (id, spec, faults.is_empty()) else {
            return Err(faults);
        };
        Ok(ProductDraft {
            id,
            place: Place::default(),
            name: None,
            description: None,
            version: None,
            category: None,
            status: None,
            tags: None,
            document: DraftDocument::Read(Box::new(spec)),
            upstream,
            sandbox,
            settings: self.settings,
            keep_absent: true,
        })
    }
}

fn keep<T, E: std::fmt::Display>(
    read: Result<T, E>,
    pointer: &str,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    read.map_err(|error| faults.push(Fault::new(pointer, error))).ok()
}

/// Creates the product or brings it up to date.
pub async fn import(ctx: &Ctx, actor: &Actor, draft: &ProductDraft) -> Result<Change, ApplyError> {
    actor.require_admin()?;
    let mut tx = ctx.store.write().await?;
    catalogue_lock(&mut tx).await?;
    let change = write(&mut tx, draft, ctx.now()).await?;
    if change.action != Action::Unchanged {
        let rows = vec![(FeedKind::Product, change.id.clone())];
        finish(ctx, actor, tx, std::slice::from_ref(&change), rows).await?;
    }
    Ok(change)
}

/// Products by id.
pub async fn list(
    ctx: &Ctx,
    actor: &Actor,
    page: &PageRequest<ProductId>,
) -> Result<Vec<ProductView>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let products = product_page(&mut tx, page.cursor.as_ref(), page.limit()).await?;
    Ok(products.into_iter().map(|product| view(product, actor)).collect())
}

pub async fn show(
    ctx: &Ctx,
    actor: &Actor,
    id: &ProductId,
) -> Result<Option<ProductView>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let stored = product_by_id(&mut tx, id).await?;
    Ok(stored.map(|stored| view(stored.product, actor)))
}

fn view(product: Product, actor: &Actor) -> ProductView {
    let staff = actor.is_staff();
    ProductView {
        scopes: product.scopes(),
        has_sandbox: product.sandbox.is_some(),
        needs_key: !product.settings.key_from.is_empty(),
        upstream: product.upstream.filter(|_| staff),
        sandbox: product.sandbox.filter(|_| staff),
        id: product.id,
        name: product.name,
        description: product.description,
        version: product.version,
        status: product.status,
        category: product.category,
        tags: product.tags,
        operations: product.operations,
        created_at: product.created_at,
        updated_at: product.updated_at,
    }
}

#[cfg(test)]
mod tests;
