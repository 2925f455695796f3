//! A product on its way into the store: checked as far as that goes without looking at what is there.

use std::cell::RefCell;

use http::header::HeaderName;
use http::uri::{Scheme, Uri};
use sha2::{Digest, Sha256};

use keytoll_apispec::{Document, Loader, SpecError};
use keytoll_domain::catalog::{Category, ProductSettings, ProductStatus, Target};
use keytoll_domain::ids::{ProductId, RESERVED_PRODUCT_IDS, Slug};
use keytoll_domain::key::KeyHash;
use keytoll_domain::key_format::{GROUPED_LEN_MIN, Grouping};
use keytoll_domain::scope;
use keytoll_store::product::StoredFile;

use super::{limits, policies};
use crate::fault::{Fault, Place, escape};

/// What a product shall be. Members that are `None` come from the document, or stay as they are.
#[derive(Debug)]
pub struct ProductDraft {
    pub id: ProductId,
    /// Where it was written; empty for an import of its own.
    pub place: Place,
    pub name: Option<String>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub category: Option<Category>,
    pub status: Option<ProductStatus>,
    pub tags: Option<Vec<String>>,
    pub document: DraftDocument,
    pub upstream: Option<String>,
    pub sandbox: Option<String>,
    /// Instead of `upstream`.
    pub targets: Vec<Target>,
    /// Instead of `sandbox`.
    pub sandbox_targets: Vec<Target>,
    /// `None` keeps the further versions that the product has.
    pub versions: Option<Vec<VersionDraft>>,
    /// `None` keeps the settings that the product has.
    pub settings: Option<ProductSettings>,
    /// Whether everything that is absent here stays as it is (an import); a catalogue says all that holds.
    pub keep_absent: bool,
}

/// What a further version shall be; its document is always read.
#[derive(Debug)]
pub struct VersionDraft {
    pub version: String,
    pub host: Option<String>,
    pub status: ProductStatus,
    pub document: DraftDocument,
    pub upstream: Option<String>,
    pub targets: Vec<Target>,
    pub sandbox: Option<String>,
    pub sandbox_targets: Vec<Target>,
}

impl ProductDraft {
    /// Every address that it names.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let versions = self.versions.iter().flatten();
        let short = versions.clone().flat_map(|v| [&v.upstream, &v.sandbox]);
        let lists = versions.flat_map(|v| v.targets.iter().chain(&v.sandbox_targets));
        let short = [&self.upstream, &self.sandbox].into_iter().chain(short).flatten();
        let lists = self.targets.iter().chain(&self.sandbox_targets).chain(lists);
        short.map(String::as_str).chain(lists.map(|target| target.url.as_str()))
    }
}

#[derive(Debug)]
pub enum DraftDocument {
    Absent,
    /// A URL that could not be read now, and why.
    OutOfReach(String),
    Read(Box<SpecSource>),
}

/// A document that has been read, with the files it refers to.
#[derive(Debug)]
pub struct SpecSource {
    pub document: Document,
    pub files: Vec<StoredFile>,
    /// SHA-256 over all files, in hex: equal documents are not written again.
    pub sha256: String,
}

/// A product's id: a slug that no listener uses itself.
pub fn product_id(text: &str) -> Result<ProductId, String> {
    let id = Slug::new(text).map_err(|error| error.to_string())?;
    if RESERVED_PRODUCT_IDS.contains(&id.as_str()) {
        return Err(format!("{id} is reserved"));
    }
    Ok(id)
}

/// The base address of an upstream or sandbox: http or https, a host, a path; nothing that a request would lose or leak.
pub fn check_url(text: &str) -> Result<String, String> {
    if text.len() > limits::URL_MAX_LEN {
        return Err(format!("longer than {} bytes", limits::URL_MAX_LEN));
    }
    if text.contains('#') {
        return Err("an address has no fragment".into());
    }
    let uri: Uri = text.parse().map_err(|error| format!("no URL: {error}"))?;
    if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
        return Err("the address begins with http:// or https://".into());
    }
    let authority = uri.authority().ok_or("the address has no host")?;
    if authority.as_str().contains('@') {
        return Err("an address holds no user name or password".into());
    }
    let ported = authority.as_str().ends_with(':') || authority.as_str().contains("]:");
    let colons = authority.as_str().matches(':').count();
    if authority.host().is_empty() {
        return Err("the address has no host".into());
    }
    if authority.port_u16().is_none() && (ported || (colons == 1))
        || authority.port_u16() == Some(0)
    {
        return Err("the port is a number from 1 to 65535".into());
    }
    if uri.query().is_some() {
        return Err("an address has no query: the caller's query is passed on".into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// What is wrong with settings beside the document; pointers are relative to the product.
pub fn check_settings(settings: &ProductSettings) -> Vec<Fault> {
    let mut faults = Vec::new();
    if HeaderName::from_bytes(settings.key_header.as_bytes()).is_err() {
        faults.push(Fault::new("/key_header", "no name of a header"));
    }
    for (index, source) in settings.key_from.iter().enumerate() {
        if settings.key_from[..index].contains(source) {
            faults.push(Fault::new(format!("/key_from/{index}"), "named twice"));
        }
    }
    faults.extend(settings.key_grouping.and_then(check_grouping));
    check_scopes("/scopes", &settings.scopes, &mut faults);
    for (name, operation) in &settings.operations {
        let pointer = format!("/operations/{}/scopes", escape(name));
        check_scopes(&pointer, operation.scopes.as_deref().unwrap_or_default(), &mut faults);
    }
    policies::check(settings, &mut faults);
    faults
}

/// A grouped key must be long enough to be a secret.
pub(crate) fn check_grouping(grouping: Grouping) -> Option<Fault> {
    let short = grouping.length < GROUPED_LEN_MIN;
    let message = || format!("shorter than {GROUPED_LEN_MIN} digits: such keys could be guessed");
    short.then(|| Fault::new("/key_grouping/length", message()))
}

fn check_scopes(pointer: &str, scopes: &[String], faults: &mut Vec<Fault>) {
    if scopes.len() > limits::SCOPES_MAX {
        faults.push(Fault::new(pointer, format!("more than {} scopes", limits::SCOPES_MAX)));
    }
    for (index, text) in scopes.iter().enumerate() {
        if !scope::is_scope(text) || text == scope::ALL {
            let message = format!("{text:?} is no scope: use visible ASCII without space or quote");
            faults.push(Fault::new(format!("{pointer}/{index}"), message));
        }
    }
}

/// Reads a document and keeps the files that it refers to, so that it can be read again from the store alone.
pub fn read_document(bytes: Vec<u8>, loader: Option<&Loader<'_>>) -> Result<SpecSource, SpecError> {
    let read = RefCell::new(Vec::new());
    let recorder = |path: &str| {
        let load = loader.ok_or_else(|| "files beside this document cannot be read".to_owned())?;
        let bytes = load(path)?;
        read.borrow_mut().push(StoredFile { path: path.to_owned(), bytes: bytes.clone() });
        Ok(bytes)
    };
    let document = keytoll_apispec::load(&bytes, Some(&recorder))?;
    let mut files = vec![StoredFile { path: String::new(), bytes }];
    files.extend(read.into_inner());
    let sha256 = digest(&files);
    Ok(SpecSource { document, files, sha256 })
}

fn digest(files: &[StoredFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [file.path.as_bytes(), &file.bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    KeyHash(hash.finalize().into()).hex()
}
