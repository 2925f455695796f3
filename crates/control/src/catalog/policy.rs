//! A product's policies in the catalogue → the domain's. Numbers are bounded here; names, values and what must agree
//! are checked with all other settings, in [`crate::products::check_settings`].

use keytoll_domain::catalog::{
    Cors, Deprecation, Ejection, HeaderRules, HealthCheck, Maintenance, Retries, Target,
    UpstreamOptions, UpstreamTls, Versioning, bounds,
};

use super::Reader;
use super::raw::{
    Count, RawCors, RawDeprecation, RawEject, RawHeaderRules, RawHealth, RawMaintenance,
    RawRetries, RawTarget, RawTls, RawUpstreamOptions, RawVersioning, Text,
};
use super::sources::SpecReader;
use crate::products;

/// `upstream` or `targets`, `sandbox` or `sandbox_targets`; `member` names the short form.
pub(super) fn addresses(
    reader: &mut Reader,
    below: &str,
    (member, list_member): (&str, &str),
    url: Option<String>,
    list: Option<Vec<RawTarget>>,
) -> (Option<String>, Vec<Target>) {
    let pointer = format!("{below}/{list_member}");
    if url.is_some() && list.is_some() {
        reader.fault(&pointer, format!("beside {member}: say one of the two"));
    }
    let url =
        url.and_then(|url| reader.take(&format!("{below}/{member}"), products::check_url(&url)));
    let Some(list) = list else { return (url, Vec::new()) };
    if list.is_empty() || list.len() > bounds::TARGETS_MAX {
        reader
            .fault(&pointer, format!("say 1 to {} targets, or leave it out", bounds::TARGETS_MAX));
    }
    let mut targets: Vec<Target> = Vec::new();
    for (index, raw) in list.into_iter().take(bounds::TARGETS_MAX).enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Some(url) = reader.take(&format!("{pointer}/url"), products::check_url(&raw.url))
        else {
            continue;
        };
        if targets.iter().any(|known| known.url == url) {
            reader.fault(&format!("{pointer}/url"), "named twice: give it a larger weight");
        }
        let weight = reader.number(&format!("{pointer}/weight"), raw.weight, 1, bounds::WEIGHT_MAX);
        targets.push(Target { weight: weight.unwrap_or(1), url });
    }
    (url, targets)
}

pub(super) fn versioning(raw: Option<RawVersioning>) -> Versioning {
    let defaults = Versioning::default();
    let Some(raw) = raw else { return defaults };
    Versioning { by: raw.by, header: raw.header.unwrap_or(defaults.header) }
}

pub(super) fn upstream_options(
    reader: &mut Reader,
    raw: RawUpstreamOptions,
    specs: &dyn SpecReader,
) -> UpstreamOptions {
    let mut millis = |member, count: Option<Count>| {
        let below = format!("/upstream_options/{member}");
        reader.number(&below, count, 1, bounds::TIMEOUT_MAX_MS)
    };
    UpstreamOptions {
        connect_ms: millis("connect_ms", raw.connect_ms),
        first_byte_ms: millis("first_byte_ms", raw.first_byte_ms),
        idle_ms: millis("idle_ms", raw.idle_ms),
        total_ms: millis("total_ms", raw.total_ms),
        retries: retries(reader, raw.retries),
        health: raw.health.map(|raw| health(reader, raw)),
        eject: raw.eject.map(|raw| eject(reader, raw)),
        http: raw.http.unwrap_or_default(),
        tls: raw.tls.map(|raw| tls(reader, raw, specs)),
    }
}

fn retries(reader: &mut Reader, raw: RawRetries) -> Retries {
    let defaults = Retries::default();
    let below = "/upstream_options/retries";
    let attempts =
        reader.number(&format!("{below}/attempts"), raw.attempts, 0, bounds::RETRY_ATTEMPTS_MAX);
    let budget = reader.number(
        &format!("{below}/budget_percent"),
        raw.budget_percent,
        0,
        bounds::PERCENT_MAX,
    );
    Retries {
        attempts: attempts.unwrap_or(defaults.attempts),
        budget_percent: budget.unwrap_or(defaults.budget_percent),
    }
}

fn health(reader: &mut Reader, raw: RawHealth) -> HealthCheck {
    let defaults = HealthCheck::default();
    let mut number = |member, count: Option<Count>, max: u32, default: u32| {
        let below = format!("/upstream_options/health/{member}");
        reader.number(&below, count, 1, max).unwrap_or(default)
    };
    HealthCheck {
        path: raw.path.unwrap_or(defaults.path),
        interval_secs: number(
            "interval_secs",
            raw.interval_secs,
            bounds::HEALTH_INTERVAL_MAX_SECS,
            defaults.interval_secs,
        ),
        timeout_secs: number(
            "timeout_secs",
            raw.timeout_secs,
            bounds::HEALTH_TIMEOUT_MAX_SECS,
            defaults.timeout_secs,
        ),
        unhealthy_after: number(
            "unhealthy_after",
            raw.unhealthy_after,
            bounds::HEALTH_THRESHOLD_MAX,
            defaults.unhealthy_after,
        ),
        healthy_after: number(
            "healthy_after",
            raw.healthy_after,
            bounds::HEALTH_THRESHOLD_MAX,
            defaults.healthy_after,
        ),
    }
}

fn eject(reader: &mut Reader, raw: RawEject) -> Ejection {
    let defaults = Ejection::default();
    let below = "/upstream_options/eject";
    let failures =
        reader.number(&format!("{below}/failures"), raw.failures, 1, bounds::EJECT_FAILURES_MAX);
    let secs = reader.number(&format!("{below}/secs"), raw.secs, 1, bounds::EJECT_MAX_SECS);
    Ejection {
        failures: failures.unwrap_or(defaults.failures),
        secs: secs.unwrap_or(defaults.secs),
    }
}

/// Files are named beside the catalogue and kept as absolute paths: the gateway reads them from another folder.
fn tls(reader: &mut Reader, raw: RawTls, specs: &dyn SpecReader) -> UpstreamTls {
    let mut file = |member, path: Option<String>| {
        reader.take(&format!("/upstream_options/tls/{member}"), specs.absolute(&path?))
    };
    UpstreamTls {
        ca: file("ca", raw.ca),
        client_cert: file("client_cert", raw.client_cert),
        client_key: file("client_key", raw.client_key),
        server_name: raw.server_name,
    }
}

pub(super) fn header_rules(
    reader: &mut Reader,
    below: &str,
    raw: Option<RawHeaderRules>,
) -> HeaderRules {
    let mut rules = HeaderRules::default();
    let raw = raw.unwrap_or_default();
    for (name, value) in raw.set {
        let lower = name.to_ascii_lowercase();
        if rules.set.insert(lower, value).is_some() {
            let pointer = format!("{below}/set/{}", crate::fault::escape(&name));
            reader.fault(&pointer, "named twice: header names have no case");
        }
    }
    rules.remove = raw.remove.iter().map(|name| name.to_ascii_lowercase()).collect();
    rules
}

pub(super) fn cors(reader: &mut Reader, raw: RawCors) -> Cors {
    let defaults = Cors::default();
    let max_age =
        reader.number("/cors/max_age_secs", raw.max_age_secs, 0, bounds::CORS_MAX_AGE_SECS);
    Cors {
        origins: raw.origins,
        methods: raw.methods.unwrap_or(defaults.methods),
        headers: raw.headers.unwrap_or(defaults.headers),
        expose: raw.expose.unwrap_or(defaults.expose),
        credentials: raw.credentials,
        max_age_secs: max_age.unwrap_or(defaults.max_age_secs),
    }
}

pub(super) fn maintenance(reader: &mut Reader, raw: RawMaintenance) -> Maintenance {
    let until = raw.until.map(|Text(text)| products::moment(&text));
    Maintenance {
        message: raw.message,
        until: until.and_then(|until| reader.take("/maintenance/until", until)),
    }
}

pub(super) fn deprecation(
    reader: &mut Reader,
    below: &str,
    raw: RawDeprecation,
) -> Option<Deprecation> {
    let mut moment = |member: &str, Text(text): Text| {
        reader.take(&format!("{below}/{member}"), products::moment(&text))
    };
    let at = moment("at", raw.at);
    let sunset = raw.sunset.and_then(|text| moment("sunset", text));
    Some(Deprecation { at: at?, sunset, link: raw.link })
}
