//! A product entry of the catalogue → [`ProductDraft`].

use std::collections::BTreeMap;

use keytoll_domain::catalog::{
    OperationSettings, ProductSettings, UNITS_PER_CALL_MAX, VersionBy, bounds,
};

use super::raw::{RawOperation, RawProduct, RawVersion, Text};
use super::sources::{SpecReader, is_url};
use super::{Fault, Place, Reader, plan, policy};
use crate::products::{
    self, DraftDocument, ProductDraft, VersionDraft, check_host, check_version_id, limits,
};

const LIVE: (&str, &str) = ("upstream", "targets");
const TEST: (&str, &str) = ("sandbox", "sandbox_targets");

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
    let (upstream, targets) = policy::addresses(&mut reader, "", LIVE, raw.upstream, raw.targets);
    let (sandbox, sandbox_targets) =
        policy::addresses(&mut reader, "", TEST, raw.sandbox, raw.sandbox_targets);
    let versioning = policy::versioning(raw.versioning);
    let versions = versions(&mut reader, raw.versions, versioning.by, specs);
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
        hosts: raw.hosts,
        versioning,
        upstream_options: policy::upstream_options(&mut reader, raw.upstream_options, specs),
        request_headers: policy::header_rules(&mut reader, "/request_headers", raw.request_headers),
        response_headers: policy::header_rules(
            &mut reader,
            "/response_headers",
            raw.response_headers,
        ),
        identity_headers: raw.identity_headers.unwrap_or(defaults.identity_headers),
        sign_requests: raw.sign_requests,
        cors: raw.cors.map(|raw| policy::cors(&mut reader, raw)),
        validation: raw.validation,
        cache: raw.cache,
        maintenance: raw.maintenance.map(|raw| policy::maintenance(&mut reader, raw)),
        deprecation: raw
            .deprecation
            .and_then(|raw| policy::deprecation(&mut reader, "/deprecation", raw)),
        limits: raw.limits.map(|raw| plan::windows(&mut reader, raw)).unwrap_or_default(),
        log_sample_percent: reader
            .number("/log_sample_percent", raw.log_sample_percent, 0, bounds::PERCENT_MAX)
            .unwrap_or(defaults.log_sample_percent),
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
        targets,
        sandbox_targets,
        versions: Some(versions),
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
    match specs.read(&reference) {
        Err(message) if member == "/openApiSpec" && is_url(&reference) => {
            DraftDocument::OutOfReach(format!("{reference}: {message}"))
        }
        bytes => interpret(reader, member, &reference, bytes, specs),
    }
}

fn read(
    reader: &mut Reader,
    below: &str,
    reference: &str,
    specs: &dyn SpecReader,
) -> DraftDocument {
    interpret(reader, below, reference, specs.read(reference), specs)
}

fn interpret(
    reader: &mut Reader,
    below: &str,
    reference: &str,
    bytes: Result<Vec<u8>, String>,
    specs: &dyn SpecReader,
) -> DraftDocument {
    let Some(bytes) = reader.take(below, bytes) else { return DraftDocument::Absent };
    let beside = |relative: &str| specs.read_beside(reference, relative);
    match products::read_document(bytes, Some(&beside)) {
        Ok(spec) => DraftDocument::Read(Box::new(spec)),
        Err(error) => {
            reader.fault(below, format!("{reference}: {error}"));
            DraftDocument::Absent
        }
    }
}

fn versions(
    reader: &mut Reader,
    raw: Vec<RawVersion>,
    by: VersionBy,
    specs: &dyn SpecReader,
) -> Vec<VersionDraft> {
    if raw.len() > bounds::VERSIONS_MAX {
        reader.fault("/versions", format!("at most {} further versions", bounds::VERSIONS_MAX));
        return Vec::new();
    }
    let mut drafts: Vec<VersionDraft> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let below = format!("/versions/{index}");
        let Text(id) = &raw.version;
        if drafts.iter().any(|known| known.version == *id) {
            reader.fault(&format!("{below}/version"), format!("{id} occurs twice"));
        }
        drafts.push(version(reader, &below, raw, by, specs));
    }
    drafts
}

fn version(
    reader: &mut Reader,
    below: &str,
    raw: RawVersion,
    by: VersionBy,
    specs: &dyn SpecReader,
) -> VersionDraft {
    let Text(id) = raw.version;
    reader.take(&format!("{below}/version"), check_version_id(&id));
    let host = format!("{below}/host");
    match (&raw.host, by) {
        (Some(name), VersionBy::Host) => {
            reader.take(&host, check_host(name));
        }
        (None, VersionBy::Host) => reader.fault(&host, "versioning is by host: name this one's"),
        (Some(_), VersionBy::Path | VersionBy::Header) => {
            reader.fault(&host, "versions have hosts only with versioning: {by: host}");
        }
        (None, VersionBy::Path | VersionBy::Header) => {}
    }
    let document = if let Some(spec) = raw.spec {
        read(reader, &format!("{below}/spec"), &spec, specs)
    } else {
        reader.fault(&format!("{below}/spec"), "a further version has a document of its own");
        DraftDocument::Absent
    };
    let (upstream, targets) = policy::addresses(reader, below, LIVE, raw.upstream, raw.targets);
    let (sandbox, sandbox_targets) =
        policy::addresses(reader, below, TEST, raw.sandbox, raw.sandbox_targets);
    VersionDraft {
        version: id,
        host: raw.host,
        status: raw.status.unwrap_or_default(),
        document,
        upstream,
        targets,
        sandbox,
        sandbox_targets,
    }
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
    for (name, raw) in raw {
        let below = format!("/operations/{}", crate::fault::escape(&name));
        let mut units = |member, count| {
            reader.count(&format!("{below}/{member}"), count, 0, UNITS_PER_CALL_MAX)
        };
        let (units, max_units) = (units("units", raw.units), units("max_units", raw.max_units));
        let deprecation = raw
            .deprecation
            .and_then(|raw| policy::deprecation(reader, &format!("{below}/deprecation"), raw));
        let operation = OperationSettings { scopes: raw.scopes, units, max_units, deprecation };
        settings.insert(name, operation);
    }
    settings
}
