//! Gathers values from defaults, file and environment, remembering where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::value;
use super::{Config, ConfigError, KEYS, KeySpec};

const ENV_PREFIX: &str = "KEYTOLL_";
/// The file that is read when no `--config` is given and it exists.
pub const DEFAULT_FILE: &str = "keytoll.toml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One value and its origin; `None` = not set.
#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Option<toml::Value>,
    pub source: Source,
}

/// The configuration with the origin of every value.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub entries: BTreeMap<&'static str, Entry>,
}

/// Reads the configuration. `file` is the flag's; without it [`DEFAULT_FILE`] is read if it is there.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut entries: BTreeMap<&'static str, Entry> = BTreeMap::new();
    set_defaults(&mut entries);
    let default = Path::new(DEFAULT_FILE);
    if let Some(path) = file.or_else(|| default.is_file().then_some(default)) {
        merge_file(path, &mut entries)?;
    }
    for (name, text) in environment {
        merge_variable(&name, &text, &mut entries)?;
    }
    let config = value::config(&entries)?;
    Ok(Loaded { config, entries })
}

/// The defaults alone.
pub fn built_in() -> Result<Config, ConfigError> {
    let mut entries: BTreeMap<&'static str, Entry> = BTreeMap::new();
    set_defaults(&mut entries);
    value::config(&entries)
}

fn set_defaults(entries: &mut BTreeMap<&'static str, Entry>) {
    for spec in KEYS {
        let value = (!spec.default.is_empty()).then(|| value::guess(spec.default));
        entries.insert(spec.name, Entry { value, source: Source::Default });
    }
}

fn merge_file(path: &Path, entries: &mut BTreeMap<&'static str, Entry>) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|reason| ConfigError::Unreadable { path: path.into(), reason })?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|reason| ConfigError::NotToml { path: path.into(), reason: Box::new(reason) })?;
    for (name, value) in table {
        merge_value(path, &name, value, entries)?;
    }
    Ok(())
}

/// A section's members one by one, sections within it too.
fn merge_value(
    path: &Path,
    name: &str,
    value: toml::Value,
    entries: &mut BTreeMap<&'static str, Entry>,
) -> Result<(), ConfigError> {
    match value {
        toml::Value::Table(section) if is_section(name) => {
            for (key, value) in section {
                merge_value(path, &format!("{name}.{key}"), value, entries)?;
            }
            Ok(())
        }
        value => set(path, name, value, entries),
    }
}

fn set(
    path: &Path,
    name: &str,
    value: toml::Value,
    entries: &mut BTreeMap<&'static str, Entry>,
) -> Result<(), ConfigError> {
    let Some(spec) = spec(name) else { return Err(unknown(&path.display().to_string(), name)) };
    let entry = Entry { value: Some(value), source: Source::File(path.into()) };
    entries.insert(spec.name, entry);
    Ok(())
}

fn merge_variable(
    name: &str,
    text: &str,
    entries: &mut BTreeMap<&'static str, Entry>,
) -> Result<(), ConfigError> {
    let Some(rest) = name.strip_prefix(ENV_PREFIX) else { return Ok(()) };
    let key = rest.to_ascii_lowercase().replace("__", ".");
    let Some(spec) = spec(&key) else {
        return if rest.contains("__") { Err(unknown(name, &key)) } else { Ok(()) };
    };
    let value = (!text.is_empty()).then(|| value::guess(text));
    entries.insert(spec.name, Entry { value, source: Source::Environment(name.to_owned()) });
    Ok(())
}

fn spec(name: &str) -> Option<&'static KeySpec> {
    KEYS.iter().find(|spec| spec.name == name)
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|spec| spec.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The error, with the key that was probably meant when one is close.
fn unknown(place: &str, name: &str) -> ConfigError {
    let near = KEYS.iter().map(|spec| (distance(spec.name, name), spec.name)).min();
    let hint = match near {
        Some((steps, near)) if steps <= 3 => format!(" (did you mean `{near}`?)"),
        _ => String::new(),
    };
    ConfigError::UnknownKey { place: place.to_owned(), name: name.to_owned(), hint }
}

/// Levenshtein distance of two short texts.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}
