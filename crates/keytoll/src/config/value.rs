//! Turns gathered values into typed ones, with an error that names key and place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use keytoll_gateway::SigningSecret;

use super::load::Entry;
use super::{AccessLog, Config, ConfigError};

mod listener;
mod otlp;

type Entries = BTreeMap<&'static str, Entry>;

const STORAGE_SCHEMES: [&str; 3] = ["sqlite:", "postgres://", "postgresql://"];
const WORKERS_MAX: u64 = 256;
const JOURNAL_MIN_BYTES: u64 = 64 * 1024 * 1024;
const FSYNC_MIN: Duration = Duration::from_millis(10);
const FSYNC_MAX: Duration = Duration::from_mins(1);

/// A default's or variable's text as a TOML value; what is no TOML value is a string.
pub(super) fn guess(text: &str) -> toml::Value {
    let document = format!("value = {text}");
    match toml::from_str::<toml::Table>(&document) {
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").unwrap_or_else(|| toml::Value::String(text.to_owned()))
        }
        _ => toml::Value::String(text.to_owned()),
    }
}

pub(super) fn config(entries: &Entries) -> Result<Config, ConfigError> {
    let data_dir = PathBuf::from(required(entries, "data_dir")?);
    let portal_listen = address(entries, "portal.listen")?;
    if text(entries, "redis.url")?.is_some() {
        let problem = "is set, but this version keeps counters in process only; remove it";
        return Err(bad(entries, "redis.url", problem));
    }
    on_counter_failure(entries)?;
    let storage = text(entries, "storage.url")?;
    let default_storage = || format!("sqlite:{}", data_dir.join("keytoll.db").display());
    if !storage.is_none_or(|url| STORAGE_SCHEMES.iter().any(|scheme| url.starts_with(scheme))) {
        let problem = "must begin with sqlite: or postgres://";
        return Err(bad(entries, "storage.url", problem));
    }
    let gateway_listen = address(entries, "gateway.listen")?;
    if gateway_listen == portal_listen && portal_listen.port() != 0 {
        return Err(bad(entries, "portal.listen", "is gateway.listen too: give each its own"));
    }
    let trusted_proxies = networks(entries, "gateway.trusted_proxies")?;
    let tls = listener::tls(entries)?;
    let scheme = if tls.is_empty() { "http" } else { "https" };
    Ok(Config {
        gateway_listen,
        gateway_url: public_url(entries, "gateway.public_url", scheme, gateway_listen)?,
        gateway_workers: workers(entries)?,
        tls,
        proxy_protocol: listener::proxy_protocol(entries, &trusted_proxies)?,
        bounds: listener::bounds(entries)?,
        stop_delay: listener::stop_delay(entries)?,
        signing_secret: signing_secret(entries)?,
        trusted_proxies,
        portal_listen,
        public_url: public_url(entries, "portal.public_url", "http", portal_listen)?,
        metrics_listen: optional_address(entries, "metrics.listen")?,
        storage_url: storage.map_or_else(default_storage, ToOwned::to_owned),
        journal_fsync: fsync(entries)?,
        journal_max_bytes: max_bytes(entries)?,
        brand: brand(entries)?,
        active_keys_max: active_keys_max(entries)?,
        access_log: access_log(entries, &data_dir)?,
        otlp: otlp::options(entries)?,
        data_dir,
    })
}

fn bad(entries: &Entries, name: &'static str, problem: &str) -> ConfigError {
    let place = entries.get(name).map_or_else(String::new, |entry| entry.source.to_string());
    ConfigError::BadValue { place, name, problem: problem.to_owned() }
}

fn text<'a>(entries: &'a Entries, name: &'static str) -> Result<Option<&'a str>, ConfigError> {
    match entries.get(name).and_then(|entry| entry.value.as_ref()) {
        None => Ok(None),
        Some(toml::Value::String(text)) if text.is_empty() => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(entries, name, "must be a string")),
    }
}

fn required<'a>(entries: &'a Entries, name: &'static str) -> Result<&'a str, ConfigError> {
    text(entries, name)?.ok_or_else(|| bad(entries, name, "must not be empty"))
}

fn number(entries: &Entries, name: &'static str) -> Result<u64, ConfigError> {
    let value = entries.get(name).and_then(|entry| entry.value.as_ref());
    let number = value.and_then(toml::Value::as_integer).and_then(|n| u64::try_from(n).ok());
    number.ok_or_else(|| bad(entries, name, "must be a whole number, not negative"))
}

fn optional_address(
    entries: &Entries,
    name: &'static str,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = text(entries, name)? else { return Ok(None) };
    let problem = "must be ADDRESS:PORT, such as 127.0.0.1:8080 or [::]:8080";
    text.parse().map(Some).map_err(|_| bad(entries, name, problem))
}

fn address(entries: &Entries, name: &'static str) -> Result<SocketAddr, ConfigError> {
    optional_address(entries, name)?.ok_or_else(|| bad(entries, name, "must not be empty"))
}

fn networks(entries: &Entries, name: &'static str) -> Result<Vec<ipnet::IpNet>, ConfigError> {
    let value = entries.get(name).and_then(|entry| entry.value.as_ref());
    let Some(list) = value.and_then(toml::Value::as_array) else {
        return Err(bad(entries, name, "must be a list, such as [\"10.0.0.0/8\"]"));
    };
    let network = |item: &toml::Value| {
        item.as_str().and_then(keytoll_domain::key::parse_allowed_ip).ok_or_else(|| {
            bad(entries, name, &format!("holds {item}, which is no address or network"))
        })
    };
    list.iter().map(network).collect()
}

fn signing_secret(entries: &Entries) -> Result<Option<SigningSecret>, ConfigError> {
    const NAME: &str = "gateway.signing_secret";
    let Some(text) = text(entries, NAME)? else { return Ok(None) };
    let secret = SigningSecret::from_hex(text);
    secret.map(Some).ok_or_else(|| bad(entries, NAME, "must be 64 hexadecimal digits"))
}

fn workers(entries: &Entries) -> Result<usize, ConfigError> {
    let workers = number(entries, "gateway.workers")?;
    if workers > WORKERS_MAX {
        return Err(bad(entries, "gateway.workers", &format!("must be at most {WORKERS_MAX}")));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(if workers == 0 { cores } else { usize::try_from(workers).unwrap_or(cores) })
}

fn public_url(
    entries: &Entries,
    name: &'static str,
    scheme: &str,
    listen: SocketAddr,
) -> Result<String, ConfigError> {
    let Some(url) = text(entries, name)? else {
        return Ok(format!("{scheme}://{listen}"));
    };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        let problem = "must be http:// or https:// and a host, without path";
        return Err(bad(entries, name, problem));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn fsync(entries: &Entries) -> Result<Duration, ConfigError> {
    let text = required(entries, "journal.fsync")?;
    let millis = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => millis.parse::<u64>().ok(),
        (None, Some(secs)) => secs.parse::<u64>().ok().and_then(|secs| secs.checked_mul(1000)),
        (None, None) => None,
    };
    let duration = millis.map(Duration::from_millis);
    duration.filter(|wait| (FSYNC_MIN..=FSYNC_MAX).contains(wait)).ok_or_else(|| {
        bad(
            entries,
            "journal.fsync",
            "must be a time from 10ms to 60s, such as \"1s\" or \"200ms\"",
        )
    })
}

fn max_bytes(entries: &Entries) -> Result<u64, ConfigError> {
    let bytes = number(entries, "journal.max_bytes")?;
    if bytes < JOURNAL_MIN_BYTES {
        let problem = format!("must be at least {JOURNAL_MIN_BYTES}");
        return Err(bad(entries, "journal.max_bytes", &problem));
    }
    Ok(bytes)
}

fn brand(entries: &Entries) -> Result<String, ConfigError> {
    let brand = required(entries, "keys.brand")?;
    if !keytoll_domain::key_format::is_brand(brand) {
        let problem = "must begin with a letter and hold 1 to 16 letters, digits or dashes";
        return Err(bad(entries, "keys.brand", problem));
    }
    Ok(brand.to_owned())
}

fn active_keys_max(entries: &Entries) -> Result<u32, ConfigError> {
    let max = number(entries, "keys.active_max")?;
    let max = u32::try_from(max).ok().filter(|max| (1..=1_000_000).contains(max));
    max.ok_or_else(|| bad(entries, "keys.active_max", "must be from 1 to 1000000"))
}

fn on_counter_failure(entries: &Entries) -> Result<(), ConfigError> {
    match required(entries, "redis.on_counter_failure")? {
        "local-share" | "deny" | "allow" => Ok(()),
        _ => {
            let problem = "must be local-share, deny or allow";
            Err(bad(entries, "redis.on_counter_failure", problem))
        }
    }
}

fn access_log(entries: &Entries, data_dir: &std::path::Path) -> Result<AccessLog, ConfigError> {
    Ok(match text(entries, "log.access")? {
        None => AccessLog::File(data_dir.join("access.log")),
        Some("off") => AccessLog::Off,
        Some("stdout") => AccessLog::Stdout,
        Some(path) => AccessLog::File(path.into()),
    })
}
