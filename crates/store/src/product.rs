//! Products, their OpenAPI documents and the names of their operations.

use keytoll_domain::catalog::{OperationKey, Product, version_path};
use keytoll_domain::ids::ProductId;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "products";
    LOCK = "UPDATE catalogue_head SET revision = revision + 1 WHERE one = 1";
    PUT = "INSERT INTO products (id, name, description, version, status, category, tags, upstream, sandbox, settings, \
        operations, document_sha256, created_at, updated_at, targets, sandbox_targets, versions) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, \
        version = excluded.version, status = excluded.status, category = excluded.category, tags = excluded.tags, \
        upstream = excluded.upstream, sandbox = excluded.sandbox, settings = excluded.settings, \
        operations = excluded.operations, document_sha256 = excluded.document_sha256, updated_at = excluded.updated_at, \
        targets = excluded.targets, sandbox_targets = excluded.sandbox_targets, versions = excluded.versions";
    BY_ID = "SELECT id, name, description, version, status, category, tags, upstream, sandbox, settings, operations, \
        document_sha256, created_at, updated_at, targets, sandbox_targets, versions FROM products WHERE id = $1";
    PAGE = "SELECT id, name, description, version, status, category, tags, upstream, sandbox, settings, operations, \
        document_sha256, created_at, updated_at, targets, sandbox_targets, versions FROM products WHERE id > $1 ORDER BY id LIMIT $2";
    FILE_PUT = "INSERT INTO spec_files (product_id, path, bytes) VALUES ($1, $2, $3)";
    FILES_DROP = "DELETE FROM spec_files WHERE product_id = $1";
    FILES = "SELECT path, bytes FROM spec_files WHERE product_id = $1 ORDER BY path";
    VERSION_FILE_PUT = "INSERT INTO version_files (product_id, version, path, bytes) VALUES ($1, $2, $3, $4)";
    VERSION_FILES_DROP = "DELETE FROM version_files WHERE product_id = $1 AND version = $2";
    VERSION_FILES = "SELECT path, bytes FROM version_files WHERE product_id = $1 AND version = $2 ORDER BY path";
    NAMES = "SELECT operation, product_id, method, path FROM operation_names ORDER BY product_id, path, method";
    NAME_OF = "SELECT operation, product_id, method, path FROM operation_names WHERE operation = $1";
    NAME_PUT = "INSERT INTO operation_names (operation, product_id, method, path) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (operation) DO NOTHING";
}

/// A product with the digest of its document, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProduct {
    pub product: Product,
    pub document_sha256: Option<String>,
}

/// A file of a document; the main one has an empty path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Makes this transaction the only one that changes products and plans until it ends.
pub async fn catalogue_lock(tx: &mut Tx) -> Result<()> {
    tx.query(LOCK).execute().await?;
    Ok(())
}

/// Inserts the product or replaces it; `created_at` of an existing one stays.
pub async fn product_put(tx: &mut Tx, stored: &StoredProduct) -> Result<()> {
    let product = &stored.product;
    tx.query(PUT)
        .text(&product.id)
        .text(&product.name)
        .text(&product.description)
        .text(&product.version)
        .json(&product.status)?
        .json_or_null(product.category.as_ref())?
        .json(&product.tags)?
        .text_or_null(product.upstream.as_ref())
        .text_or_null(product.sandbox.as_ref())
        .json(&product.settings)?
        .json(&product.operations)?
        .text_or_null(stored.document_sha256.as_ref())
        .time(product.created_at)
        .time(product.updated_at)
        .json(&product.targets)?
        .json(&product.sandbox_targets)?
        .json(&product.versions)?
        .execute()
        .await?;
    Ok(())
}

pub async fn product_by_id(tx: &mut Tx, id: &ProductId) -> Result<Option<StoredProduct>> {
    tx.query(BY_ID).text(id).one(stored).await
}

/// Products by id, after the cursor.
pub async fn product_page(
    tx: &mut Tx,
    after: Option<&ProductId>,
    limit: u32,
) -> Result<Vec<Product>> {
    let after = after.map_or("", |id| id.as_str());
    let rows = tx.query(PAGE).text(after).big(limit.into()).all(stored).await?;
    Ok(rows.into_iter().map(|row| row.product).collect())
}

/// Replaces the product's document.
pub async fn product_files_replace(
    tx: &mut Tx,
    id: &ProductId,
    files: &[StoredFile],
) -> Result<()> {
    tx.query(FILES_DROP).text(id).execute().await?;
    for file in files {
        tx.query(FILE_PUT).text(id).text(&file.path).blob(file.bytes.clone()).execute().await?;
    }
    Ok(())
}

/// The product's document: the main file first.
pub async fn product_files(tx: &mut Tx, id: &ProductId) -> Result<Vec<StoredFile>> {
    tx.query(FILES).text(id).all(file).await
}

/// Replaces the document of a further version; with no files, only drops it.
pub async fn version_files_replace(
    tx: &mut Tx,
    id: &ProductId,
    version: &str,
    files: &[StoredFile],
) -> Result<()> {
    tx.query(VERSION_FILES_DROP).text(id).text(version).execute().await?;
    for file in files {
        let put = tx.query(VERSION_FILE_PUT).text(id).text(version).text(&file.path);
        put.blob(file.bytes.clone()).execute().await?;
    }
    Ok(())
}

/// The document of a further version: the main file first.
pub async fn version_files(tx: &mut Tx, id: &ProductId, version: &str) -> Result<Vec<StoredFile>> {
    tx.query(VERSION_FILES).text(id).text(version).all(file).await
}

fn file(row: &Row) -> Result<StoredFile> {
    Ok(StoredFile { path: row.text("path")?, bytes: row.blob("bytes")? })
}

/// What an operation of the ledger is called; method and path are empty for calls of no known operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationName {
    pub operation: OperationKey,
    pub product: ProductId,
    pub method: String,
    pub path: String,
}

/// The whole dictionary: as many rows as all versions of all products ever had operations.
pub async fn operation_names(tx: &mut Tx) -> Result<Vec<OperationName>> {
    tx.query(NAMES).all(operation_name_row).await
}

pub async fn operation_name(tx: &mut Tx, operation: OperationKey) -> Result<Option<OperationName>> {
    tx.query(NAME_OF).big(operation.0).one(operation_name_row).await
}

fn operation_name_row(row: &Row) -> Result<OperationName> {
    Ok(OperationName {
        operation: OperationKey(row.big("operation")?),
        product: row.parse("product_id")?,
        method: row.text("method")?,
        path: row.text("path")?,
    })
}

/// Adds the product's operations, and the product itself, to the dictionary of the ledger. A path of a further
/// version is named as its key is made: `2:/shipments/{id}`.
pub async fn operation_names_put(tx: &mut Tx, product: &Product) -> Result<()> {
    operation_name_put(tx, &product.id, "", "").await?;
    for operation in &product.operations {
        operation_name_put(tx, &product.id, &operation.method, &operation.path).await?;
    }
    for version in &product.versions {
        for operation in &version.operations {
            let path = version_path(&version.version, &operation.path);
            operation_name_put(tx, &product.id, &operation.method, &path).await?;
        }
    }
    Ok(())
}

async fn operation_name_put(tx: &mut Tx, id: &ProductId, method: &str, path: &str) -> Result<()> {
    let OperationKey(key) = OperationKey::of(id, method, path);
    // PostgreSQL keeps no NUL in a text; the key is of the path as it is written.
    let path = path.replace('\0', "");
    tx.query(NAME_PUT).big(key).text(id).text(method).text(path).execute().await?;
    Ok(())
}

fn stored(row: &Row) -> Result<StoredProduct> {
    let product = Product {
        id: row.parse("id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        version: row.text("version")?,
        status: row.json("status")?,
        category: row.json_or_null("category")?,
        tags: row.json("tags")?,
        upstream: row.text_or_null("upstream")?,
        sandbox: row.text_or_null("sandbox")?,
        targets: row.json("targets")?,
        sandbox_targets: row.json("sandbox_targets")?,
        settings: row.json("settings")?,
        operations: row.json("operations")?,
        versions: row.json("versions")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    Ok(StoredProduct { product, document_sha256: row.text_or_null("document_sha256")? })
}
