//! `config show`, `config check`.

use anyhow::{Context as _, Result};
use keytoll_gateway::ServerTls;
use serde_json::{Map, Value, json};

use crate::config::{KEYS, Loaded};
use crate::output::{Output, table};

/// Keys whose values are secrets.
const SECRETS: [&str; 2] = ["gateway.signing_secret", "otlp.headers"];

/// Secrets are not shown, and values that hold a password without it.
fn shown(name: &str, value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) if text.is_empty() => Value::String(String::new()),
        _ if SECRETS.contains(&name) => Value::String("…".to_owned()),
        toml::Value::String(text) => Value::String(without_password(text)),
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}

fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else { return text.to_owned() };
    let user = rest[..at].split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:…{}", &rest[at..])
}

pub fn show(loaded: &Loaded, sources: bool, output: Output) -> Result<()> {
    let mut document = Map::new();
    let mut rows = Vec::new();
    for spec in KEYS {
        let entry = &loaded.entries[spec.name];
        let value = entry.value.as_ref().map_or(Value::Null, |value| shown(spec.name, value));
        let source = entry.source.to_string();
        let text = if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
        let member = if sources { json!({ "value": value, "source": source }) } else { value };
        document.insert(spec.name.to_owned(), member);
        rows.push(vec![spec.name.into(), text, if sources { source } else { spec.help.into() }]);
    }
    let header = ["KEY", "VALUE", if sources { "SOURCE" } else { "MEANING" }];
    output.print(&Value::Object(document), || table(&header, &rows))
}

/// Also reads the files that the configuration names, as the server would at its start.
pub fn check(loaded: &Loaded, output: Output) -> Result<()> {
    if !loaded.config.tls.is_empty() {
        ServerTls::load(&loaded.config.tls, &[]).context("gateway.tls")?;
    }
    let data_dir = loaded.config.data_dir.display().to_string();
    output.print(&json!({ "valid": true, "data_dir": data_dir }), || {
        "The configuration is valid.".into()
    })
}

#[cfg(test)]
mod tests {
    use super::{shown, without_password};

    #[test]
    fn a_secret_is_not_shown() {
        let value = toml::Value::String("0a".repeat(32));
        assert_eq!(shown("gateway.signing_secret", &value), "…");
        let table = toml::Table::from_iter([("authorization".to_owned(), value)]);
        assert_eq!(shown("otlp.headers", &toml::Value::Table(table)), "…");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let shown = without_password("postgres://keytoll:secret@db:5432/keytoll?x=@");
        assert_eq!(shown, "postgres://keytoll:…@db:5432/keytoll?x=@");
        assert_eq!(without_password("sqlite:/a/b@c"), "sqlite:/a/b@c");
        assert_eq!(without_password("postgres://db/x"), "postgres://db/x");
    }
}
