//! Products: import of an OpenAPI document with settings, and what the portal shows of them.
//!
//! Whatever is for sale is visible to whoever asks; addresses of upstreams are shown to staff only.

use keytoll_apispec::{Document, Loader};
use keytoll_domain::ids::ProductId;
use keytoll_store::StoreError;
use keytoll_store::feed::FeedKind;
use keytoll_store::product::{catalogue_lock, product_by_id, product_page};

use crate::actor::Actor;
use crate::catalog::{Action, ApplyError, Change, finish};
use crate::ctx::Ctx;
use crate::fault::{Fault, Place};
use crate::page::PageRequest;

mod differences;
mod draft;
mod fold;
pub mod limits;
mod maintenance;
mod policies;
mod read;
mod view;
mod write;

pub(crate) use draft::check_grouping;
pub use draft::{
    DraftDocument, ProductDraft, SpecSource, VersionDraft, check_settings, check_url, product_id,
    read_document,
};
pub use maintenance::set_maintenance;
pub use policies::moment;
pub(crate) use policies::{check_host, check_version_id};
pub(crate) use read::Documents;
pub use read::{document, version_document};
pub use view::{ProductView, VersionView};
pub(crate) use write::{check_hosts, write};

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
            targets: Vec::new(),
            sandbox_targets: Vec::new(),
            versions: None,
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
    let faults = check_hosts(&mut tx, std::slice::from_ref(draft)).await?;
    if !faults.is_empty() {
        return Err(ApplyError::Faults(faults));
    }
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
    Ok(products.into_iter().map(|product| view::view(product, actor)).collect())
}

pub async fn show(
    ctx: &Ctx,
    actor: &Actor,
    id: &ProductId,
) -> Result<Option<ProductView>, StoreError> {
    let mut tx = ctx.store.read().await?;
    let stored = product_by_id(&mut tx, id).await?;
    Ok(stored.map(|stored| view::view(stored.product, actor)))
}

#[cfg(test)]
mod tests;
