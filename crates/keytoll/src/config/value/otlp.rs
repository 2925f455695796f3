//! The collector that traces are sent to.

use keytoll_gateway::{OtlpError, OtlpOptions};

use super::{ConfigError, Entries, bad, text};

/// Headers that are sent beside ours.
const HEADERS_MAX: usize = 32;

/// All of it is checked, also when nothing is sent.
pub(super) fn options(entries: &Entries) -> Result<Option<OtlpOptions>, ConfigError> {
    let endpoint = text(entries, "otlp.endpoint")?;
    let (sample, headers) = (sample(entries)?, headers(entries)?);
    let options = OtlpOptions::new(endpoint.unwrap_or("http://localhost"), sample, headers);
    let options = options.map_err(|error| {
        let name = match error {
            OtlpError::Endpoint => "otlp.endpoint",
            OtlpError::Sample => "otlp.sample",
            OtlpError::Header(_) => "otlp.headers",
        };
        bad(entries, name, &error.to_string())
    })?;
    Ok(endpoint.map(|_| options))
}

#[expect(clippy::cast_precision_loss, reason = "what is far outside 0 to 1 stays there")]
fn sample(entries: &Entries) -> Result<f64, ConfigError> {
    let value = entries.get("otlp.sample").and_then(|entry| entry.value.as_ref());
    let number = value.and_then(|value| {
        value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
    });
    number.ok_or_else(|| bad(entries, "otlp.sample", "must be a number from 0 to 1"))
}

/// Their values are secrets: no error shows one.
fn headers<'c>(entries: &'c Entries) -> Result<Vec<(&'c str, &'c str)>, ConfigError> {
    let Some(value) = entries.get("otlp.headers").and_then(|entry| entry.value.as_ref()) else {
        return Ok(Vec::new());
    };
    let problem = "must be a table of names and texts, such as { authorization = \"…\" }";
    let wrong = || bad(entries, "otlp.headers", problem);
    let table = value.as_table().filter(|table| table.len() <= HEADERS_MAX).ok_or_else(wrong)?;
    let header = |(name, value): (&'c String, &'c toml::Value)| {
        value.as_str().map(|value| (name.as_str(), value)).ok_or_else(wrong)
    };
    table.iter().map(header).collect()
}
