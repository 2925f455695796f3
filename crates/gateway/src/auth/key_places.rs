//! Where a request held its key, so that the proxy which asked about it can take it out.

use std::borrow::Cow;

use crate::credential::{Found, KeyFrom};
use crate::fields::Fields;

/// Where a request holds its key: names of header fields and of query parameters, both as they are written.
#[derive(Debug, Default)]
pub(crate) struct KeyPlaces<'r> {
    headers: Vec<&'r [u8]>,
    query: Vec<&'r str>,
}

impl<'r> KeyPlaces<'r> {
    pub(crate) fn of(
        found: &Found<'_>,
        from: &KeyFrom,
        brand: &str,
        fields: &'r Fields,
        query: Option<&'r str>,
    ) -> Self {
        let mut places = Self::default();
        for field in fields.iter() {
            if found.hides_field(from, brand, field)
                && !places.headers.iter().any(|name| name.eq_ignore_ascii_case(field.name))
            {
                places.headers.push(field.name);
            }
        }
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            // A parameter that hides the key behind a semicolon goes as a whole.
            if matches!(found.strip_query(from, brand, pair), Cow::Owned(_)) {
                places.query.push(pair.split_once('=').map_or(pair, |(name, _)| name));
            }
        }
        places
    }

    /// The line that names the header fields, in lower case; nothing where there are none.
    pub(crate) fn put_headers(&self, out: &mut Vec<u8>, name: &str) {
        let mut before: &[u8] = b": ";
        for (index, header) in self.headers.iter().enumerate() {
            if index == 0 {
                out.extend_from_slice(name.as_bytes());
            }
            out.extend_from_slice(before);
            let start = out.len();
            out.extend_from_slice(header);
            out[start..].make_ascii_lowercase();
            before = b",";
        }
        if !self.headers.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The names of the header fields in lower case, and those of the query's parameters.
    pub(crate) fn names(&self) -> (Vec<String>, Vec<String>) {
        let lower = |name: &&[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
        let headers = self.headers.iter().map(lower).collect();
        (headers, self.query.iter().map(|name| (*name).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests;
