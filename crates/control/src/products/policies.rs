//! What is wrong with a product's policies: names, values and what must agree. Pointers are relative to the product;
//! messages say what to write instead.

use std::path::Path;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};

use keytoll_domain::catalog::{
    Cors, Deprecation, HeaderRules, HealthCheck, Maintenance, OperationSettings, ProductSettings,
    UpstreamTls, VersionBy, bounds,
};
use keytoll_domain::time::{Day, Timestamp};

use crate::fault::{Fault, escape};

/// Headers that belong to one connection, or that only the gateway can know.
const NOT_BY_RULE: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const OWN_PREFIX: &str = "x-keytoll-";

pub(super) fn check(settings: &ProductSettings, faults: &mut Vec<Fault>) {
    check_hosts(&settings.hosts, faults);
    check_version_header(settings, faults);
    check_rules("/request_headers", &settings.request_headers, faults);
    check_rules("/response_headers", &settings.response_headers, faults);
    if settings.cache && settings.forward_key {
        let message = "not together with forward_key: an upstream that sees the keys may answer each \
                       differently";
        faults.push(Fault::new("/cache", message));
    }
    if let Some(health) = &settings.upstream_options.health {
        check_health(health, faults);
    }
    if let Some(tls) = &settings.upstream_options.tls {
        check_tls(tls, faults);
    }
    if let Some(cors) = &settings.cors {
        check_cors(cors, faults);
    }
    if let Some(maintenance) = &settings.maintenance {
        check_maintenance(maintenance, faults);
    }
    if let Some(deprecation) = &settings.deprecation {
        check_deprecation("/deprecation", deprecation, faults);
    }
    if settings.log_sample_percent > bounds::PERCENT_MAX {
        faults.push(Fault::new("/log_sample_percent", "a share is 0 to 100"));
    }
    for (name, operation) in &settings.operations {
        check_operation(&format!("/operations/{}", escape(name)), operation, faults);
    }
}

/// A point in time as people write it: a day (its first instant, UTC) or RFC 3339.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<Day>().map(Day::start);
    day.or_else(|_| text.parse()).map_err(|_| {
        format!("{text:?} is no time: write it like 2027-01-01 or 2027-01-01T12:00:00Z")
    })
}

/// A host name as a `Host` header has it, in lower case and without port.
pub(crate) fn check_host(text: &str) -> Result<(), String> {
    let form = || {
        format!(
            "{text:?} is no host name: write it like api.example.com, without scheme, port and path"
        )
    };
    if text.chars().any(|char| char.is_ascii_uppercase()) {
        return Err("write host names in lower case".into());
    }
    let label = |label: &str| {
        let inner =
            label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let length = (1..=bounds::HOST_LABEL_MAX_LEN).contains(&label.len());
        inner && length && !label.starts_with('-') && !label.ends_with('-')
    };
    let good = text.len() <= bounds::HOST_MAX_LEN && text.split('.').all(label);
    if good { Ok(()) } else { Err(form()) }
}

/// The id of a further version.
pub(crate) fn check_version_id(text: &str) -> Result<(), String> {
    let head = text.bytes().next();
    let starts = head.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-'
    };
    if starts && text.len() <= bounds::VERSION_ID_MAX_LEN && text.bytes().all(allowed) {
        return Ok(());
    }
    let max = bounds::VERSION_ID_MAX_LEN;
    Err(format!(
        "{text:?} is no version: 1 to {max} lower-case letters, digits, dots and dashes, beginning with a letter or digit"
    ))
}

fn check_hosts(hosts: &[String], faults: &mut Vec<Fault>) {
    if hosts.len() > bounds::HOSTS_MAX {
        faults.push(Fault::new("/hosts", format!("at most {} hosts", bounds::HOSTS_MAX)));
    }
    for (index, host) in hosts.iter().enumerate() {
        let pointer = format!("/hosts/{index}");
        if hosts[..index].contains(host) {
            faults.push(Fault::new(pointer.clone(), format!("{host} occurs twice")));
        }
        faults.extend(check_host(host).err().map(|message| Fault::new(pointer, message)));
    }
}

fn check_version_header(settings: &ProductSettings, faults: &mut Vec<Fault>) {
    let name = &settings.versioning.header;
    if settings.versioning.by != VersionBy::Header {
        return;
    }
    let key = name.eq_ignore_ascii_case(&settings.key_header)
        || name.eq_ignore_ascii_case("authorization");
    let message = header_name(&name.to_ascii_lowercase()).err();
    let message = message.or_else(|| key.then(|| "that header holds the key".to_owned()));
    faults.extend(message.map(|message| Fault::new("/versioning/header", message)));
}

fn check_rules(below: &str, rules: &HeaderRules, faults: &mut Vec<Fault>) {
    let max = bounds::HEADERS_MAX;
    for (member, count) in [("set", rules.set.len()), ("remove", rules.remove.len())] {
        if count > max {
            faults.push(Fault::new(format!("{below}/{member}"), format!("at most {max} headers")));
        }
    }
    for (name, value) in &rules.set {
        let pointer = format!("{below}/set/{}", escape(name));
        let found = header_name(name).and_then(|()| header_value(value));
        faults.extend(found.err().map(|message| Fault::new(pointer, message)));
    }
    for (index, name) in rules.remove.iter().enumerate() {
        let pointer = format!("{below}/remove/{index}");
        let twice = rules.remove[..index].contains(name) || rules.set.contains_key(name);
        let message = header_name(name).err();
        let message =
            message.or_else(|| twice.then(|| "named twice: set replaces what was there".into()));
        faults.extend(message.map(|message| Fault::new(pointer, message)));
    }
}

/// `name` is in lower case.
fn header_name(name: &str) -> Result<(), String> {
    if name.len() > bounds::HEADER_NAME_MAX_LEN || HeaderName::from_bytes(name.as_bytes()).is_err()
    {
        return Err("no name of a header: letters, digits and dashes".into());
    }
    if NOT_BY_RULE.contains(&name) || name.starts_with(OWN_PREFIX) {
        return Err(format!("{name} is the gateway's own: leave it out"));
    }
    Ok(())
}

/// The message does not repeat the value: it may be a secret.
fn header_value(value: &str) -> Result<(), String> {
    let trimmed = value.trim().len() == value.len();
    if value.len() > bounds::HEADER_VALUE_MAX_LEN
        || !trimmed
        || HeaderValue::from_str(value).is_err()
    {
        let max = bounds::HEADER_VALUE_MAX_LEN;
        return Err(format!(
            "no value of a header: visible ASCII, no space at either end, at most {max} bytes"
        ));
    }
    Ok(())
}

fn check_health(health: &HealthCheck, faults: &mut Vec<Fault>) {
    let below = "/upstream_options/health";
    let good = health.path.starts_with('/')
        && health.path.len() <= bounds::PATH_MAX_LEN
        && health.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && health.path.parse::<Uri>().is_ok();
    if !good {
        let message = "no path: write it like /healthz, without host and spaces";
        faults.push(Fault::new(format!("{below}/path"), message));
    }
    if health.timeout_secs > health.interval_secs {
        let message = "longer than interval_secs: checks would overtake each other";
        faults.push(Fault::new(format!("{below}/timeout_secs"), message));
    }
}

fn check_tls(tls: &UpstreamTls, faults: &mut Vec<Fault>) {
    let below = "/upstream_options/tls";
    let files =
        [("ca", &tls.ca), ("client_cert", &tls.client_cert), ("client_key", &tls.client_key)];
    for (member, file) in files {
        let Some(file) = file else { continue };
        let known = file.len() <= bounds::FILE_PATH_MAX_LEN && !file.contains('\0');
        if !known || !Path::new(file).is_absolute() {
            let message = "the path of a file on the gateway's machine, absolute";
            faults.push(Fault::new(format!("{below}/{member}"), message));
        }
    }
    let lacking = match (&tls.client_cert, &tls.client_key) {
        (Some(_), None) => Some("client_key"),
        (None, Some(_)) => Some("client_cert"),
        _ => None,
    };
    if let Some(member) = lacking {
        let message = "absent: a client certificate needs both client_cert and client_key";
        faults.push(Fault::new(format!("{below}/{member}"), message));
    }
    let name = tls.server_name.as_deref().map(check_host);
    let message = name.and_then(Result::err);
    faults.extend(message.map(|message| Fault::new(format!("{below}/server_name"), message)));
}

fn check_cors(cors: &Cors, faults: &mut Vec<Fault>) {
    let max = bounds::CORS_ENTRIES_MAX;
    let lists = [
        ("origins", &cors.origins),
        ("methods", &cors.methods),
        ("headers", &cors.headers),
        ("expose", &cors.expose),
    ];
    for (member, list) in lists {
        if list.len() > max {
            faults.push(Fault::new(format!("/cors/{member}"), format!("at most {max} entries")));
        }
    }
    if cors.origins.is_empty() {
        let message = "name the origins that may call, or [\"*\"] for all";
        faults.push(Fault::new("/cors/origins", message));
    }
    let any = cors.origins.iter().any(|origin| origin == "*");
    if any && cors.origins.len() > 1 {
        faults.push(Fault::new("/cors/origins", "\"*\" stands alone: it is every origin"));
    }
    if any && cors.credentials {
        let message = "not together with the origin \"*\": name the origins";
        faults.push(Fault::new("/cors/credentials", message));
    }
    let entries = |member: &'static str, list: &[String], good: fn(&str) -> bool, form: &str| {
        let bad = list.iter().enumerate().filter(|(_, text)| !good(text));
        let fault = |(index, text): (usize, &String)| {
            let text: String = text.chars().take(bounds::HEADER_NAME_MAX_LEN).collect();
            Fault::new(format!("/cors/{member}/{index}"), format!("{text:?} is no {form}"))
        };
        bad.map(fault).collect::<Vec<_>>()
    };
    let form = "origin: write it like https://app.example.com, lower case, without path";
    faults.extend(entries("origins", &cors.origins, |text| text == "*" || is_origin(text), form));
    faults.extend(entries("methods", &cors.methods, is_method, "method: write it like GET"));
    faults.extend(entries("headers", &cors.headers, is_header, "name of a header"));
    faults.extend(entries("expose", &cors.expose, is_header, "name of a header"));
}

/// As browsers write it in `Origin`, which is compared byte by byte.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(host) = host.filter(|_| text.len() <= bounds::ORIGIN_MAX_LEN) else { return false };
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let plain = !host.contains(['/', '?', '#', '@', ',', '*']);
    let whole = text.parse::<Uri>().is_ok_and(|uri| {
        uri.host().is_some_and(|host| !host.is_empty())
            && (uri.port().is_some() == (host.rsplit(']').next().unwrap_or(host).contains(':')))
    });
    lower && plain && whole
}

fn is_method(text: &str) -> bool {
    let upper = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    upper
        && text.len() <= bounds::HEADER_NAME_MAX_LEN
        && Method::from_bytes(text.as_bytes()).is_ok()
}

fn is_header(text: &str) -> bool {
    text.len() <= bounds::HEADER_NAME_MAX_LEN && HeaderName::from_bytes(text.as_bytes()).is_ok()
}

fn check_maintenance(maintenance: &Maintenance, faults: &mut Vec<Fault>) {
    let max = bounds::MESSAGE_MAX_CHARS;
    let Some(message) = &maintenance.message else { return };
    if message.chars().count() > max || message.chars().any(char::is_control) {
        let message = format!("one line of at most {max} characters");
        faults.push(Fault::new("/maintenance/message", message));
    }
}

fn check_deprecation(below: &str, deprecation: &Deprecation, faults: &mut Vec<Fault>) {
    if deprecation.sunset.is_some_and(|sunset| sunset < deprecation.at) {
        let message = "before at: an API is first deprecated, then ends";
        faults.push(Fault::new(format!("{below}/sunset"), message));
    }
    let Some(link) = &deprecation.link else { return };
    let web = link.starts_with("https://") || link.starts_with("http://");
    let plain = link.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte));
    if link.len() > bounds::LINK_MAX_LEN || !web || !plain || link.parse::<Uri>().is_err() {
        let message = "no address of a page: write it like https://example.com/changes";
        faults.push(Fault::new(format!("{below}/link"), message));
    }
}

fn check_operation(below: &str, operation: &OperationSettings, faults: &mut Vec<Fault>) {
    let units = operation.units.unwrap_or(1);
    if operation.max_units.is_some_and(|max| max < units) {
        let message = format!("less than units, which is {units}");
        faults.push(Fault::new(format!("{below}/max_units"), message));
    }
    if let Some(deprecation) = &operation.deprecation {
        check_deprecation(&format!("{below}/deprecation"), deprecation, faults);
    }
}
