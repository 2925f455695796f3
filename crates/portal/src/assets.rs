//! Style sheet, scripts and icon, embedded in the binary.
//!
//! An asset's address holds the start of its SHA-256, so it may be kept for ever and a new binary
//! never meets an old file. Without the right hash there is nothing there.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

struct Table {
    url_of: HashMap<String, String>,
    file_of: HashMap<String, (&'static str, Vec<u8>)>,
}

/// The address of an asset that this crate embeds.
pub fn url(name: &str) -> &'static str {
    let url = table().url_of.get(name);
    url.expect("pages name only assets that are embedded; a test renders them all").as_str()
}

/// `GET /assets/{name}`
pub(crate) async fn show(Path(name): Path<String>) -> Response {
    let Some((kind, bytes)) = table().file_of.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, bytes.as_slice()).into_response()
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table { url_of: HashMap::new(), file_of: HashMap::new() };
        for name in Files::iter() {
            let Some(file) = Files::get(&name) else { continue };
            let Some((stem, extension)) = name.rsplit_once('.') else { continue };
            let sha256 = file.metadata.sha256_hash();
            let hash = u64::from_be_bytes(sha256.first_chunk().copied().unwrap_or_default());
            let hashed = format!("{stem}.{hash:016x}.{extension}");
            table.url_of.insert(name.to_string(), format!("/assets/{hashed}"));
            table.file_of.insert(hashed, (content_type(extension), file.data.into_owned()));
        }
        table
    })
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
