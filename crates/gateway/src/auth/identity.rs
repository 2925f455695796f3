//! Who a granted call is from, for the service behind another gateway; and where its key was, so that the other
//! gateway can take it out.
//!
//! Every name is always told, with an empty value where there is nothing to say: what is left out would stay as the
//! client wrote it.

use keytoll_domain::scope::{ALL, ScopeSet};

use crate::compile::Tables;
use crate::credential::{Found, KeyFrom};
use crate::fields::Fields;
use crate::keytable::KeyRecord;

/// Longest value of `X-Keytoll-Scopes`; scopes that do not fit are left out, which can only make a service stricter.
const SCOPES_MAX_BYTES: usize = 4096;

/// The identity headers, in lower case.
pub(crate) const NAMES: [&str; 6] = [
    "x-keytoll-key-id",
    "x-keytoll-partner-id",
    "x-keytoll-subscription-id",
    "x-keytoll-plan",
    "x-keytoll-scopes",
    "x-keytoll-environment",
];

/// All identity headers with their values; without a key all are empty.
pub(crate) fn identity(tables: &Tables, key: Option<&KeyRecord>) -> [(&'static str, String); 6] {
    let values = key.map_or_else(Default::default, |key| values(tables, key));
    let mut values = values.into_iter();
    NAMES.map(|name| (name, values.next().unwrap_or_default()))
}

fn values(tables: &Tables, key: &KeyRecord) -> [String; 6] {
    let plan = key.subscription.state.load().plan.slug.as_ref().map(ToString::to_string);
    [
        key.id.to_string(),
        key.partner().to_string(),
        key.subscription.id.to_string(),
        plan.unwrap_or_default(),
        scopes(tables, &key.scopes),
        key.environment.as_str().to_owned(),
    ]
}

/// Separated by spaces, as OAuth does it.
fn scopes(tables: &Tables, held: &ScopeSet) -> String {
    match held {
        ScopeSet::All => ALL.to_owned(),
        ScopeSet::Only(held) => {
            join(held.iter().filter_map(|scope| tables.scope_name(*scope)), SCOPES_MAX_BYTES)
        }
    }
}

fn join(texts: impl Iterator<Item = impl AsRef<str>>, max_bytes: usize) -> String {
    let mut joined = String::new();
    for text in texts {
        let text = text.as_ref();
        if joined.len() + 1 + text.len() > max_bytes {
            continue;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(text);
    }
    joined
}

/// Where a request holds its key: names of header fields and, as they are written, of query parameters.
#[derive(Debug, Default)]
pub(crate) struct KeyPlaces {
    pub headers: Vec<String>,
    pub query: Vec<String>,
}

impl KeyPlaces {
    pub(crate) fn of(
        found: &Found<'_>,
        from: &KeyFrom,
        brand: &str,
        fields: &Fields,
        query: Option<&str>,
    ) -> Self {
        let mut places = Self::default();
        for field in fields.iter() {
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            if !places.headers.contains(&name) && found.hides_field(from, brand, field) {
                places.headers.push(name);
            }
        }
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            if !pair.is_empty() && found.strip_query(from, brand, pair).is_empty() {
                let name = pair.split_once('=').map_or(pair, |(name, _)| name);
                places.query.push(name.to_owned());
            }
        }
        places
    }
}

#[cfg(test)]
mod tests;
