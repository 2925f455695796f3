//! Where OpenAPI documents come from on the command line: files, and URLs that the operator names.
//!
//! These addresses are the staff's own, so private ones are allowed; size, time and redirects are bounded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keytoll_apispec::limits::MAX_DOCUMENT_BYTES;
use keytoll_control::catalog::{FileSpecs, SpecReader};

const FETCH_WAIT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: u32 = 3;

/// Files relative to a folder, and URLs.
#[derive(Debug)]
pub struct Specs {
    files: FileSpecs,
}

impl Specs {
    pub fn in_folder(folder: &Path) -> Self {
        Self { files: FileSpecs { folder: PathBuf::from(folder) } }
    }
}

impl SpecReader for Specs {
    fn read(&self, reference: &str) -> Result<Vec<u8>, String> {
        if is_url(reference) { fetch(reference) } else { self.files.read(reference) }
    }

    fn read_beside(&self, reference: &str, relative: &str) -> Result<Vec<u8>, String> {
        let Some((folder, _)) = reference.rsplit_once('/').filter(|_| is_url(reference)) else {
            return self.files.read_beside(reference, relative);
        };
        fetch(&format!("{folder}/{relative}"))
    }

    fn absolute(&self, path: &str) -> Result<String, String> {
        self.files.absolute(path)
    }
}

fn is_url(reference: &str) -> bool {
    reference.starts_with("http://") || reference.starts_with("https://")
}

fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_WAIT))
        .max_redirects(REDIRECTS_MAX)
        .build()
        .into();
    let explain = |error: ureq::Error| format!("cannot fetch {url}: {error}");
    let mut answer = agent.get(url).call().map_err(explain)?;
    answer
        .body_mut()
        .with_config()
        .limit(MAX_DOCUMENT_BYTES as u64 + 1)
        .read_to_vec()
        .map_err(explain)
}
