//! Where a request held its key, so that the proxy which asked about it can take it out.

use std::borrow::Cow;

use crate::credential::{Found, KeyFrom};
use crate::fields::Fields;

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
            // A parameter that hides the key behind a semicolon goes as a whole.
            if matches!(found.strip_query(from, brand, pair), Cow::Owned(_)) {
                let name = pair.split_once('=').map_or(pair, |(name, _)| name);
                places.query.push(name.to_owned());
            }
        }
        places
    }
}

#[cfg(test)]
mod tests;
