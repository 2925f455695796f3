//! PEM files, with errors that name file and line and never hold what was in them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// A chain is a few kilobytes, a bundle of public authorities a few hundred.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// All certificates of the file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found = sections::<CertificateDer<'static>>(path, &text)?;
    if found.is_empty() {
        return Err(TlsError::Absent { path: path.to_owned(), wanted: "certificate" });
    }
    Ok(found)
}

/// The file's first private key: PKCS #8, PKCS #1 or SEC 1.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    if let Some(key) = sections::<PrivateKeyDer<'static>>(path, &text)?.into_iter().next() {
        return Ok(key);
    }
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::Encrypted { path: path.to_owned() });
    }
    Err(TlsError::Absent { path: path.to_owned(), wanted: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(TlsError::TooLarge { path: path.to_owned(), max_bytes: FILE_MAX_BYTES });
    }
    Ok(text)
}

fn sections<T: PemObject>(path: &Path, text: &[u8]) -> Result<Vec<T>, TlsError> {
    let mut sections = T::pem_slice_iter(text);
    let mut found = Vec::new();
    while let Some(section) = sections.next() {
        match section {
            Ok(section) => found.push(section),
            Err(error) => {
                let read = text.len() - sections.remainder().len();
                let (line, problem) = (line_of_section(&text[..read]), problem(&error));
                return Err(TlsError::Pem { path: path.to_owned(), line, problem });
            }
        }
    }
    Ok(found)
}

/// The line of the last section that begins within the text, counted from 1.
fn line_of_section(text: &[u8]) -> usize {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let starts = lines.filter(|(_, line)| line.starts_with(b"-----BEGIN"));
    starts.last().map_or(1, |(index, _)| index + 1)
}

/// Without the library's own text, which quotes the file.
fn problem(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "the section that begins here has no END line",
        PemError::IllegalSectionStart { .. } => "the BEGIN line is malformed",
        PemError::Base64Decode(_) => "the section that begins here is no Base64",
        _ => "the section that begins here cannot be read",
    }
}
