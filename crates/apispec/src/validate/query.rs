//! A query split into names and values.

use crate::limits::MAX_QUERY_PAIRS;
use crate::pointer;

/// Names are decoded, values still as they were sent.
pub(super) struct Query<'q>(Vec<(String, &'q str)>);

impl<'q> Query<'q> {
    /// `None` if there are too many pairs.
    pub(super) fn read(text: &'q str) -> Option<Self> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() >= MAX_QUERY_PAIRS {
                return None;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name), value));
        }
        Some(Self(pairs))
    }

    pub(super) fn values(&self, name: &str) -> Vec<&'q str> {
        let found = self.0.iter().filter(|(known, _)| *known == name);
        found.map(|(_, value)| *value).collect()
    }

    /// The pairs `name[member]=value`; `None` if one is nested deeper.
    pub(super) fn members(&self, name: &str) -> Option<Vec<(&str, &'q str)>> {
        let mut members = Vec::new();
        for (known, value) in &self.0 {
            let Some(rest) = known.strip_prefix(name).and_then(|rest| rest.strip_prefix('['))
            else {
                continue;
            };
            let member = rest.strip_suffix(']')?;
            if member.contains(['[', ']']) {
                return None;
            }
            members.push((member, *value));
        }
        Some(members)
    }
}

/// Decodes `%XX` and `+`; bytes that are no UTF-8 stay encoded.
pub(super) fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    pointer::percent_decode(&spaced).unwrap_or(spaced)
}
