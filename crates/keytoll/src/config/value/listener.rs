//! What guards the gateway's listener: certificates, PROXY header, sizes and times.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use keytoll_gateway::{Bounds, ProxyProtocol, TlsFiles};

use super::{ConfigError, Entries, bad, number, required, text};

const CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;
const HEAD_BYTES: RangeInclusive<u64> = 1024..=1024 * 1024;
const BODY_BYTES: RangeInclusive<u64> = 0..=1 << 40;
const HEAD_SECS: RangeInclusive<u64> = 1..=3600;
const IDLE_SECS: RangeInclusive<u64> = 1..=86_400;
const STOP_DELAY_SECS: RangeInclusive<u64> = 0..=300;
/// More than one certificate a host of a large installation.
const EXTRA_MAX: usize = 1000;

/// The pair of `[gateway.tls]`, then the further ones.
pub(super) fn tls(entries: &Entries) -> Result<Vec<TlsFiles>, ConfigError> {
    let further = extra(entries)?;
    let first = match (text(entries, "gateway.tls.cert")?, text(entries, "gateway.tls.key")?) {
        (Some(cert), Some(key)) => TlsFiles { cert: cert.into(), key: key.into() },
        (None, None) if further.is_empty() => return Ok(Vec::new()),
        (None, _) => {
            return Err(bad(
                entries,
                "gateway.tls.cert",
                "is missing: TLS needs both cert and key",
            ));
        }
        (_, None) => {
            return Err(bad(entries, "gateway.tls.key", "is missing: TLS needs both cert and key"));
        }
    };
    Ok(std::iter::once(first).chain(further).collect())
}

fn extra(entries: &Entries) -> Result<Vec<TlsFiles>, ConfigError> {
    const NAME: &str = "gateway.tls.extra";
    let value = entries.get(NAME).and_then(|entry| entry.value.as_ref());
    let wrong =
        || bad(entries, NAME, "must be a list of tables, each with cert and key and nothing else");
    let list = value.and_then(toml::Value::as_array).ok_or_else(wrong)?;
    if list.len() > EXTRA_MAX {
        return Err(bad(entries, NAME, &format!("may hold {EXTRA_MAX} certificates")));
    }
    let pair = |item: &toml::Value| {
        let table = item.as_table().filter(|table| table.len() == 2)?;
        let file = |name| table.get(name)?.as_str().filter(|path| !path.is_empty());
        Some(TlsFiles { cert: file("cert")?.into(), key: file("key")?.into() })
    };
    list.iter().map(|item| pair(item).ok_or_else(wrong)).collect()
}

pub(super) fn proxy_protocol(
    entries: &Entries,
    trusted_proxies: &[IpNet],
) -> Result<ProxyProtocol, ConfigError> {
    const NAME: &str = "gateway.proxy_protocol";
    match required(entries, NAME)? {
        "off" => Ok(ProxyProtocol::Off),
        "trusted" if trusted_proxies.is_empty() => {
            Err(bad(entries, NAME, "is trusted, but gateway.trusted_proxies names nobody"))
        }
        "trusted" => Ok(ProxyProtocol::Trusted),
        _ => Err(bad(entries, NAME, "must be off or trusted")),
    }
}

pub(super) fn bounds(entries: &Entries) -> Result<Bounds, ConfigError> {
    let within = |name, range| within(entries, name, range);
    Ok(Bounds {
        connections_max: narrow(within("gateway.connections_max", CONNECTIONS)?),
        connections_per_address: narrow(within("gateway.connections_per_address", CONNECTIONS)?),
        head_max_bytes: narrow(within("gateway.head_max_bytes", HEAD_BYTES)?),
        body_max_bytes: within("gateway.body_max_bytes", BODY_BYTES)?,
        head: Duration::from_secs(within("gateway.head_secs", HEAD_SECS)?),
        idle: Duration::from_secs(within("gateway.idle_secs", IDLE_SECS)?),
        ..Bounds::default()
    })
}

pub(super) fn stop_delay(entries: &Entries) -> Result<Duration, ConfigError> {
    within(entries, "gateway.stop_delay_secs", STOP_DELAY_SECS).map(Duration::from_secs)
}

/// The ranges above fit every integer that is asked for.
fn narrow<T: TryFrom<u64>>(value: u64) -> T {
    T::try_from(value).ok().expect("a range of this module fits 32 bits")
}

fn within(
    entries: &Entries,
    name: &'static str,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let value = number(entries, name)?;
    if !range.contains(&value) {
        let problem = format!("must be from {} to {}", range.start(), range.end());
        return Err(bad(entries, name, &problem));
    }
    Ok(value)
}
