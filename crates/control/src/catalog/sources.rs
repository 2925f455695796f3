//! Where the OpenAPI documents of a catalogue come from.

use std::io::Read;
use std::path::{Path, PathBuf};

use keytoll_apispec::limits::MAX_DOCUMENT_BYTES;

/// Reads what a catalogue refers to. Messages of errors are shown, so they hold no secrets.
pub trait SpecReader {
    /// The document that a `spec` member names: a path relative to the catalogue, or a URL.
    fn read(&self, reference: &str) -> Result<Vec<u8>, String>;

    /// A file below the folder of that document, named by a relative `$ref`.
    fn read_beside(&self, reference: &str, relative: &str) -> Result<Vec<u8>, String>;

    /// The absolute path of a file that is named but not read, such as a certificate of the gateway's.
    fn absolute(&self, path: &str) -> Result<String, String> {
        if Path::new(path).is_absolute() {
            return Ok(path.to_owned());
        }
        Err("no folder to start from: write the absolute path of the file".into())
    }
}

/// Files relative to a folder. It knows no URLs; a reader that fetches can wrap it.
#[derive(Clone, Debug)]
pub struct FileSpecs {
    pub folder: PathBuf,
}

impl SpecReader for FileSpecs {
    fn read(&self, reference: &str) -> Result<Vec<u8>, String> {
        if is_url(reference) {
            return Err("this reader takes files, not URLs".into());
        }
        read_bounded(&self.folder.join(reference))
    }

    fn read_beside(&self, reference: &str, relative: &str) -> Result<Vec<u8>, String> {
        if is_url(reference) {
            return Err("files beside a URL are not fetched".into());
        }
        let document = self.folder.join(reference);
        let folder = document.parent().unwrap_or(&self.folder);
        read_bounded(&folder.join(relative))
    }

    fn absolute(&self, path: &str) -> Result<String, String> {
        if path.is_empty() {
            return Err("name a file".into());
        }
        let absolute = std::path::absolute(self.folder.join(path));
        let absolute = absolute.map_err(|error| format!("{path}: {error}"))?;
        absolute.into_os_string().into_string().map_err(|_| "the path is no UTF-8 text".to_owned())
    }
}

pub(crate) fn is_url(reference: &str) -> bool {
    reference.starts_with("http://") || reference.starts_with("https://")
}

/// One byte more than allowed is read, so that the importer says that the document is too large.
fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(explain)?;
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(explain)?;
    Ok(bytes)
}
