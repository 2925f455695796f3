//! A product entry of the catalogue → [`ProductDraft`].

use std::collections::BTreeMap;

use keytoll_domain::catalog::{OperationSettings, ProductSettings, UNITS_PER_CALL_MAX};

use super::raw::{RawOperation, RawProduct, Text};
use super::sources::{SpecReader, is_url};
use super::{Fault, Place, Reader};
use crate::products::{self, DraftDocument, ProductDraft, limits};

pub(super) fn draft(
    raw: RawProduct,
    place: &Place,
    specs: &dyn SpecReader,
    faults: &mut Vec<Fault>,
) -> Option<ProductDraft> {
    let mut reader = Reader { place, faults };
    let id = reader.take("/id", products::product_id(&raw.id))?;
    let document = document(&mut reader, raw.spec, raw.open_api_spec, specs);
    let name = reader.text("/name", raw.name, limits::NAME_MAX_CHARS);
    let description = reader.text("/description", raw.description, limits::DESCRIPTION_MAX_CHARS);
    let version = raw.version.map(|Text(version)| version);
    let version = reader.text("/version", version, limits::VERSION_MAX_CHARS);
    let tags = raw.tags.map(|tags| tag_list(&mut reader, tags));
    let upstream = address(&mut reader, "/upstream", raw.upstream);
    let sandbox = address(&mut reader, "/sandbox", raw.sandbox);
    let defaults = ProductSettings::default();
    let expiry =
        reader.count("/default_expiry_days", raw.default_expiry_days, 1, limits::EXPIRY_MAX_DAYS);
    let settings = ProductSettings {
        key_from: raw.key_from.unwrap_or(defaults.key_from),
        key_header: raw.key_header.unwrap_or(defaults.key_header),
        forward_key: raw.forward_key,
        error_texts: raw.error_texts,
        bill: raw.bill,
        scopes: raw.scopes,
        operations: operations(&mut reader, raw.operations),
        key_format: raw.key_format,
        key_grouping: raw.key_grouping,
        default_expiry_days: expiry.and_then(|days| u32::try_from(days).ok()),
        rotate_on_same_name: raw.rotate_on_same_name,
        ..defaults
    };
    for fault in products::check_settings(&settings) {
        reader.fault(&fault.pointer, fault.message);
    }
    Some(ProductDraft {
        id,
        place: place.clone(),
        name,
        description,
        version,
        category: raw.category,
        status: Some(raw.status.unwrap_or_default()),
        tags: Some(tags.unwrap_or_default()),
        document,
        upstream,
        sandbox,
        settings: Some(settings),
        keep_absent: false,
    })
}

/// `spec` must be readable. The URL of `openApiSpec` may be out of reach for now: the product is then offered without
/// operations, or with those it had, and the change says so.
fn document(
    reader: &mut Reader,
    spec: Option<String>,
    open_api_spec: Option<String>,
    specs: &dyn SpecReader,
) -> DraftDocument {
    let (member, reference) = match (spec, open_api_spec) {
        (Some(_), Some(_)) => {
            reader.fault("/openApiSpec", "a product has either spec or openApiSpec");
            return DraftDocument::Absent;
        }
        (Some(spec), None) => ("/spec", spec),
        (None, Some(spec)) => ("/openApiSpec", spec),
        (None, None) => return DraftDocument::Absent,
    };
    let bytes = match specs.read(&reference) {
        Ok(bytes) => bytes,
        Err(message) if member == "/openApiSpec" && is_url(&reference) => {
            return DraftDocument::OutOfReach(format!("{reference}: {message}"));
        }
        Err(message) => {
            reader.fault(member, message);
            return DraftDocument::Absent;
        }
    };
    let beside = |relative: &str| specs.read_beside(&reference, relative);
    match products::read_document(bytes, Some(&beside)) {
        Ok(spec) => DraftDocument::Read(Box::new(spec)),
        Err(error) => {
            reader.fault(member, format!("{reference}: {error}"));
            DraftDocument::Absent
        }
    }
}

fn address(reader: &mut Reader, below: &str, url: Option<String>) -> Option<String> {
    reader.take(below, products::check_url(&url?))
}

fn tag_list(reader: &mut Reader, tags: Vec<String>) -> Vec<String> {
    let long = |tag: &String| tag.is_empty() || tag.chars().count() > limits::TAG_MAX_CHARS;
    if tags.len() > limits::TAGS_MAX || tags.iter().any(long) {
        let (count, chars) = (limits::TAGS_MAX, limits::TAG_MAX_CHARS);
        reader.fault("/tags", format!("at most {count} tags of 1 to {chars} characters"));
    }
    tags
}

fn operations(
    reader: &mut Reader,
    raw: BTreeMap<String, RawOperation>,
) -> BTreeMap<String, OperationSettings> {
    let mut settings = BTreeMap::new();
    for (name, operation) in raw {
        let below = format!("/operations/{}/units", crate::fault::escape(&name));
        let units = reader.count(&below, operation.units, 0, UNITS_PER_CALL_MAX);
        settings.insert(
            name,
            OperationSettings { scopes: operation.scopes, units, ..Default::default() },
        );
    }
    settings
}
