//! Documents that have been read, kept for the pages that show them: reading a large one takes a core for a while,
//! and anybody may ask for a product's page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keytoll_domain::ids::ProductId;
use keytoll_store::product::{StoredFile, product_by_id, product_files, version_files};
use keytoll_store::{StoreError, Tx};

use super::ProductDocument;
use super::write::read_stored;
use crate::ctx::Ctx;

/// Documents kept, the latest read ones.
const KEPT_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Documents {
    kept: Mutex<VecDeque<Arc<ProductDocument>>>,
    /// Held while one is read: askers for the same one wait and find it kept.
    reading: tokio::sync::Mutex<()>,
}

impl Documents {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<ProductDocument>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, sha256: &str) -> Option<Arc<ProductDocument>> {
        self.kept().iter().find(|document| document.sha256 == sha256).cloned()
    }

    fn keep(&self, document: Arc<ProductDocument>) {
        let mut kept = self.kept();
        kept.push_back(document);
        while kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }
}

/// The document of a product, if there is one.
pub async fn document(
    ctx: &Ctx,
    id: &ProductId,
) -> Result<Option<Arc<ProductDocument>>, StoreError> {
    find(ctx, id, None).await
}

/// The document of a further version, if there is such a version.
pub async fn version_document(
    ctx: &Ctx,
    id: &ProductId,
    version: &str,
) -> Result<Option<Arc<ProductDocument>>, StoreError> {
    find(ctx, id, Some(version)).await
}

async fn find(
    ctx: &Ctx,
    id: &ProductId,
    version: Option<&str>,
) -> Result<Option<Arc<ProductDocument>>, StoreError> {
    let Some(sha256) = digest(&mut ctx.store.read().await?, id, version).await? else {
        return Ok(None);
    };
    if let Some(found) = ctx.documents.find(&sha256) {
        return Ok(Some(found));
    }
    let _one_at_a_time = ctx.documents.reading.lock().await;
    let mut tx = ctx.store.read().await?;
    let Some(sha256) = digest(&mut tx, id, version).await? else { return Ok(None) };
    if let Some(found) = ctx.documents.find(&sha256) {
        return Ok(Some(found));
    }
    let files = match version {
        None => product_files(&mut tx, id).await?,
        Some(version) => version_files(&mut tx, id, version).await?,
    };
    drop(tx);
    let read = tokio::task::spawn_blocking(move || read(sha256, files)).await;
    let read = read.map_err(|error| StoreError::Internal(error.to_string()))?;
    let document = Arc::new(read?);
    ctx.documents.keep(document.clone());
    Ok(Some(document))
}

async fn digest(
    tx: &mut Tx,
    id: &ProductId,
    version: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let Some(stored) = product_by_id(tx, id).await? else { return Ok(None) };
    let Some(version) = version else { return Ok(stored.document_sha256) };
    let mut versions = stored.product.versions.into_iter();
    Ok(versions.find(|own| own.version == version).and_then(|own| own.document_sha256))
}

fn read(sha256: String, files: Vec<StoredFile>) -> Result<ProductDocument, StoreError> {
    let bytes = files.first().map(|file| file.bytes.clone()).unwrap_or_default();
    let document = read_stored(files)?;
    let json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let media_type = if json { "application/json" } else { "application/yaml" };
    Ok(ProductDocument { bytes, media_type, sha256, document })
}
